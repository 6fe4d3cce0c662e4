/* scene_help.h - for tests: a few transactions on separated nodes, each seeing some of those before it; whoever learns of them, in whatever order, shows the same,
 * now and as of each of them. */
#ifndef TESTS_UNIT_ENGINE_SCENE_HELP_H
#define TESTS_UNIT_ENGINE_SCENE_HELP_H

#include "cluster_help.h"
#include "query_help.h"

#define STEPS_MAX 6u
#define WRITERS 3u

struct step {
    uint8_t node;
    const char *sees; /* digits: the earlier steps that this node has learnt of by now, beside its own */
    const char *sql;  /* one transaction */
};
struct scene {
    const char *name, *setup; /* setup: statements, all nodes know them */
    struct step steps[STEPS_MAX];
    const char *query, *want;
};
/* What else must be alike. Scenes that are compared so have no table t that is there all along: their past is not asked for. */
typedef void (*scene_compare)(db *first, db *other, const char *who);

static inline void run_all(db *d, const char *sql)
{
    char one[512];
    while (*sql != '\0') {
        size_t n = strcspn(sql, ";");
        CU_ASSERT_FATAL(n < sizeof one);
        memcpy(one, sql, n);
        one[n] = '\0';
        run_sql(d, one);
        sql += n;
        sql += strspn(sql, "; ");
    }
}

static inline void next_millisecond(struct env *env)
{
    uint64_t now = env_wall_ms(env);
    while (env_wall_ms(env) <= now + 1)
        ;
}

struct play { /* a scene that ran */
    struct cluster *c;
    uint32_t first, count; /* the batch of each step follows `first` */
    int64_t stamps[STEPS_MAX];
    struct buf past[STEPS_MAX]; /* what the first who was asked saw as of each */
    bool asked;
};

static inline void scene_play(struct play *p, const struct scene *s)
{
    struct err err = ERR_INIT;
    struct prng r;
    prng_seed(&r, 5);
    *p = (struct play){.c = cluster_new(WRITERS)};
    run_all(p->c->d[0], s->setup);
    cluster_exchange(p->c, &r);
    p->first = p->c->pool.count;
    for (uint32_t i = 0; i < STEPS_MAX && s->steps[i].sql != NULL; i++) {
        const struct step *step = &s->steps[i];
        next_millisecond(env_posix());
        for (const char *see = step->sees; *see != '\0'; see++)
            (void)cluster_give(p->c, step->node, p->first + (uint32_t)(*see - '0'));
        run_sql(p->c->d[step->node], step->sql);
        cluster_seal(p->c, step->node);
        CU_ASSERT_EQUAL_FATAL(p->c->pool.count, p->first + i + 1);
        struct buf stamp = {0};
        OK(query_try(p->c->d[step->node], "SELECT quartet_stamp()", NULL, &stamp, &err));
        buf_u8(&stamp, 0);
        p->stamps[i] = strtoll((const char *)stamp.data, NULL, 10);
        buf_deinit(&stamp);
        p->count++;
    }
}

static inline void scene_end(struct play *p)
{
    for (uint32_t i = 0; i < STEPS_MAX; i++)
        buf_deinit(&p->past[i]);
    cluster_free(p->c);
}

/* All that was true as of each step must be so for whoever asks, however it learnt of the steps. */
static inline void ask_past(struct play *p, const struct scene *s, db *d, const char *order)
{
    for (uint32_t i = 0; i < p->count; i++) {
        struct err err = ERR_INIT;
        struct buf got = {0};
        char sql[160];
        (void)snprintf(sql, sizeof sql, "SELECT * FROM t AS OF STAMP %lld ORDER BY id", (long long)p->stamps[i]);
        OK(query_try(d, sql, NULL, &got, &err));
        if (!p->asked) {
            p->past[i] = got;
            continue;
        }
        bool same = slice_eq(slice_of(got.data, got.len), slice_of(p->past[i].data, p->past[i].len));
        if (!same)
            printf("\n%s, as of step %u, order %s: %.*sothers saw %.*s\n", s->name, i, order, (int)got.len, (const char *)got.data, (int)p->past[i].len,
                   (const char *)p->past[i].data);
        CU_ASSERT(same);
        buf_deinit(&got);
    }
    p->asked = true;
}

static inline void scene_expect(const struct scene *s, scene_compare also, db *first, db *d, const char *who)
{
    struct err err = ERR_INIT;
    struct buf got = {0};
    quartet_status rc = query_try(d, s->query, NULL, &got, &err);
    bool same = rc == QUARTET_OK && slice_eq(slice_of(got.data, got.len), slice_of(s->want, strlen(s->want)));
    if (!same)
        printf("\n%s, %s: %s\n%.*swant\n%s", s->name, who, rc == QUARTET_OK ? "" : err.text, (int)got.len, (const char *)got.data, s->want);
    CU_ASSERT(same);
    buf_deinit(&got);
    if (also != NULL && first != d)
        also(first, d, s->name);
}

/* The order with this number, of count! */
static inline void permutation(uint32_t number, uint32_t count, uint32_t *out)
{
    bool used[STEPS_MAX] = {false};
    uint32_t of = 1;
    for (uint32_t i = 2; i < count; i++)
        of *= i;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t skip = number / of, k = 0;
        number %= of;
        of = count - i > 1 ? of / (count - i - 1 > 0 ? count - i - 1 : 1) : 1;
        for (; used[k] || skip > 0; k++)
            skip -= !used[k];
        used[k] = true;
        out[i] = k;
    }
}

/* A fourth node that learns of the steps in one order; those that must wait for others do. */
static inline void observe(struct play *p, const struct scene *s, scene_compare also, uint32_t number, struct state_hash want)
{
    struct err err = ERR_INIT;
    struct cluster *c = p->c;
    uint32_t order[STEPS_MAX];
    char text[STEPS_MAX + 1] = "";
    db *d = help_memory();
    struct state_hash h;
    struct buf at = {0};
    permutation(number, p->count, order);
    cluster_keys(c, 3);
    OK(db_set_identity(d, &c->id[3], &err));
    c->d[3] = d;
    for (uint32_t i = 0; i < p->first; i++)
        (void)cluster_give(c, 3, i);
    for (uint32_t missing = 1, turns = 0; missing > 0 && turns < STEPS_MAX; turns++) {
        missing = 0;
        for (uint32_t i = 0; i < p->count; i++)
            missing += cluster_give(c, 3, p->first + order[i]) == DELIVER_GAP;
    }
    for (uint32_t i = 0; i < p->count; i++)
        text[i] = (char)('0' + order[i]);
    scene_expect(s, also, c->d[0], d, text);
    if (also == NULL)
        ask_past(p, s, d, text);
    OK(db_state_hash(d, &h, &at, &err));
    CU_ASSERT(h.lo == want.lo && h.hi == want.hi);
    buf_deinit(&at);
    c->d[3] = NULL;
    help_close(d);
}

static inline void run_scene(const struct scene *s, scene_compare also)
{
    struct play p;
    struct err err = ERR_INIT;
    struct prng r;
    struct buf at = {0};
    struct state_hash want;
    static const char *const tables[] = {"t", NULL}, *const none[] = {NULL};
    uint32_t orders = 1;
    scene_play(&p, s);
    for (uint32_t i = 2; i <= p.count; i++)
        orders *= i;
    prng_seed(&r, 9);
    cluster_exchange(p.c, &r);
    for (uint32_t i = 0; i < WRITERS; i++) {
        scene_expect(s, also, p.c->d[0], p.c->d[i], "a writer");
        if (also == NULL)
            ask_past(&p, s, p.c->d[i], "a writer's");
    }
    cluster_expect_equal(p.c, also != NULL ? none : tables, 0);
    OK(db_state_hash(p.c->d[0], &want, &at, &err));
    buf_deinit(&at);
    for (uint32_t i = 0; i < orders; i++)
        observe(&p, s, also, i, want);
    scene_end(&p);
}

#endif

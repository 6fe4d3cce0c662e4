/* test_conflicts.c - quartet_conflicts: who lost to whom, the same on all nodes; nothing where one had seen the other; RESOLVE CONFLICT. */
#include "cluster_help.h"
#include "query_help.h"

#define LIST "SELECT table_name, row_key, column_name, rule, winning_value, losing_value, winning_node, losing_node, resolved FROM quartet_conflicts ORDER BY losing_stamp, column_name"

static struct cluster *start(uint32_t nodes, const char *const *schema)
{
    struct prng r;
    struct cluster *c = cluster_new(nodes);
    prng_seed(&r, 1);
    for (; *schema != NULL; schema++)
        run_sql(c->d[0], *schema);
    cluster_exchange(c, &r);
    return c;
}

static void exchange(struct cluster *c, uint64_t seed)
{
    struct prng r;
    prng_seed(&r, seed);
    cluster_exchange(c, &r);
}

static void on_all(struct cluster *c, const char *sql, const char *want)
{
    for (uint32_t i = 0; i < c->count; i++)
        expect_rows(c->d[i], sql, want);
}

static const char *const plain[] = {"CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER, n INTEGER COUNTER DEFAULT 0)", "INSERT INTO t VALUES (1, 'x', 1, 0), (2, 'y', 2, 0)", NULL};

static void test_conflicts_of_two_updates(void)
{
    struct cluster *c = start(3, plain);
    on_all(c, LIST, "");
    run_sql(c->d[0], "UPDATE t SET a = 'from 0', n = n + 1 WHERE id = 1");
    run_sql(c->d[1], "UPDATE t SET a = 'from 1', n = n + 1, b = 1 WHERE id = 1"); /* a counter loses nothing, nor does who writes b alone */
    run_sql(c->d[2], "UPDATE t SET b = 5 WHERE id = 2");
    exchange(c, 2);
    on_all(c, LIST, "t|1|a|latest write|from 1|from 0|1|0|0\n");
    on_all(c, "SELECT count(DISTINCT id), min(at) <= now() FROM quartet_conflicts", "1|1\n");
    run_sql(c->d[0], "UPDATE t SET a = 'after' WHERE id = 1"); /* it has seen both */
    exchange(c, 3);
    on_all(c, "SELECT count(*) FROM quartet_conflicts", "1\n");
    run_sql(c->d[0], "UPDATE t SET a = 'same' WHERE id = 2");
    run_sql(c->d[1], "UPDATE t SET a = 'same' WHERE id = 2"); /* nobody lost anything */
    exchange(c, 4);
    on_all(c, "SELECT count(*) FROM quartet_conflicts", "1\n");
    on_all(c, "SELECT table_name, row_key, column_name, conflicts FROM quartet_hot_cells", "t|1|a|1\n");
    cluster_free(c);
}

static void test_conflicts_with_deletes_and_inserts(void)
{
    struct cluster *c = start(2, plain);
    run_sql(c->d[0], "DELETE FROM t WHERE id = 1");
    run_sql(c->d[1], "UPDATE t SET a = 'lost' WHERE id = 1");
    exchange(c, 5);
    on_all(c, "SELECT count(*) FROM t WHERE id = 1", "0\n");
    on_all(c, LIST, "t|1|a|DELETE over UPDATE|NULL|lost|0|1|0\n");
    run_sql(c->d[0], "INSERT INTO t (id, a, b) VALUES (3, 'first', 1)");
    run_sql(c->d[1], "INSERT INTO t (id, a, b) VALUES (3, 'second', 1)");
    exchange(c, 6);
    on_all(c, "SELECT column_name, winning_value, losing_value FROM quartet_conflicts WHERE row_key = '3'", "a|second|first\n");
    cluster_free(c);
}

static void test_conflicts_are_resolved_anywhere(void)
{
    struct cluster *c = start(3, plain);
    char sql[128];
    struct buf id = {0};
    struct err err = ERR_INIT;
    run_sql(c->d[0], "UPDATE t SET a = 'from 0' WHERE id = 1");
    run_sql(c->d[1], "UPDATE t SET a = 'from 1' WHERE id = 1");
    exchange(c, 7);
    OK(query_try(c->d[2], "SELECT id FROM quartet_conflicts", NULL, &id, &err));
    CU_ASSERT_FATAL(id.len > 1);
    snprintf(sql, sizeof sql, "RESOLVE CONFLICT %.*s USING LOSER", (int)id.len - 1, (const char *)id.data);
    run_sql(c->d[2], sql);
    expect_rows(c->d[2], "SELECT a FROM t WHERE id = 1", "from 0\n");
    exchange(c, 8);
    on_all(c, "SELECT a FROM t WHERE id = 1", "from 0\n");
    on_all(c, LIST, "t|1|a|latest write|from 1|from 0|1|0|1\n");
    run_sql(c->d[0], sql); /* once more changes nothing */
    exchange(c, 9);
    on_all(c, LIST, "t|1|a|latest write|from 1|from 0|1|0|1\n");
    expect_error(c->d[0], "RESOLVE CONFLICT 7 USING LOSER", QUARTET_NOTFOUND, "no conflict 7", -2);
    expect_error(c->d[0], "RESOLVE CONFLICT NULL USING WINNER", QUARTET_ERROR, "not NULL", -2);
    run_sql(c->d[0], "DELETE FROM t WHERE id = 1");
    expect_error(c->d[0], sql, QUARTET_ERROR, "INSERT it", -2);
    run_sql(c->d[0], "DROP TABLE t");
    expect_error(c->d[0], sql, QUARTET_ERROR, "was dropped", -2);
    expect_error(c->d[0], "DELETE FROM quartet_conflict_log", QUARTET_READONLY, "read-only", -2);
    expect_error(c->d[0], "DROP VIEW quartet_conflicts", QUARTET_READONLY, "read-only", -2);
    buf_deinit(&id);
    cluster_free(c);
}

/* ---- held against explicit sets of what each writer had seen ---- */

#define WRITES_MAX 60u
#define CELLS 3u

struct write {
    uint32_t node, cell;
    uint64_t stamp;
    uint64_t seen; /* bits: the writes that its writer had applied */
};
struct world {
    struct write writes[WRITES_MAX];
    uint32_t count;
    uint64_t knows[4];
    bool lost[4][WRITES_MAX];      /* that node must tell that this write lost */
    int32_t shows[4][CELLS];       /* the write that a cell shows there */
};

static void model_apply(struct world *w, uint32_t node, uint32_t i)
{
    const struct write *x = &w->writes[i];
    int32_t now = w->shows[node][x->cell];
    w->knows[node] |= 1ull << i;
    if (now < 0 || (x->seen >> now & 1) != 0) {
        w->shows[node][x->cell] = (int32_t)i;
        return;
    }
    bool wins = x->stamp > w->writes[now].stamp;
    w->lost[node][wins ? (uint32_t)now : i] = true;
    if (wins)
        w->shows[node][x->cell] = (int32_t)i;
}

static uint64_t newest_stamp(db *d)
{
    struct buf b = {0};
    struct err err = ERR_INIT;
    OK(query_try(d, "SELECT quartet_stamp()", NULL, &b, &err));
    buf_u8(&b, 0);
    uint64_t stamp = strtoull((const char *)b.data, NULL, 10);
    buf_deinit(&b);
    return stamp;
}

static void expect_lost(struct cluster *c, const struct world *w, uint64_t seed)
{
    for (uint32_t node = 0; node < c->count; node++) {
        struct buf want = {0}, got = {0};
        struct err err = ERR_INIT;
        for (uint32_t i = 0; i < w->count; i++)
            if (w->lost[node][i])
                buf_printf(&want, "%u|%u\n", w->writes[i].cell, i);
        OK(query_try(c->d[node], "SELECT row_key, losing_value FROM quartet_conflicts ORDER BY losing_value", NULL, &got, &err));
        if (!slice_eq(slice_of(want.data, want.len), slice_of(got.data, got.len)))
            printf("\nseed %llu, node %u: want\n%.*sgot\n%.*s", (unsigned long long)seed, node, (int)want.len, (const char *)want.data, (int)got.len,
                   (const char *)got.data);
        CU_ASSERT(slice_eq(slice_of(want.data, want.len), slice_of(got.data, got.len)));
        buf_deinit(&want);
        buf_deinit(&got);
    }
}

/* Each write is one transaction, and one batch of its own. `from` gives `to` all that it has of its own chain; what that depends on goes first. */
static void give_chain(struct cluster *c, struct world *w, uint32_t from, uint32_t to, uint32_t first_batch, const uint32_t *batch_of)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->writes[i].node != from || (w->knows[to] >> i & 1) != 0)
            continue;
        if ((w->writes[i].seen & ~w->knows[to]) != 0)
            return; /* it would be held; a later turn brings it */
        (void)cluster_give(c, to, first_batch + batch_of[i]);
        model_apply(w, to, i);
    }
}

static void test_conflicts_equal_the_model(void)
{
    static const char *const schema[] = {"CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)", "INSERT INTO t VALUES (0, -1), (1, -1), (2, -1)", NULL};
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct cluster *c = start(3, schema);
        struct world *w = calloc(1, sizeof *w);
        uint32_t batch_of[WRITES_MAX], first = c->pool.count;
        struct prng r;
        CU_ASSERT_PTR_NOT_NULL_FATAL(w);
        memset(w->shows, -1, sizeof w->shows);
        prng_seed(&r, seed);
        for (uint32_t step = 0; step < 140; step++) {
            uint32_t node = (uint32_t)prng_below(&r, 3), other = (uint32_t)prng_below(&r, 3);
            if (w->count < WRITES_MAX && prng_below(&r, 2) == 0) {
                char sql[80];
                struct write *x = &w->writes[w->count];
                *x = (struct write){.node = node, .cell = (uint32_t)prng_below(&r, CELLS), .seen = w->knows[node]};
                snprintf(sql, sizeof sql, "UPDATE t SET v = %u WHERE id = %u", w->count, x->cell);
                run_sql(c->d[node], sql);
                x->stamp = newest_stamp(c->d[node]);
                batch_of[w->count] = c->pool.count - first;
                cluster_seal(c, node);
                CU_ASSERT_EQUAL_FATAL(c->pool.count - first, batch_of[w->count] + 1);
                model_apply(w, node, w->count++);
            } else if (other != node) {
                give_chain(c, w, node, other, first, batch_of);
            }
        }
        expect_lost(c, w, seed);
        free(w);
        cluster_free(c);
    }
}

const char *const unit_suite = "conflicts";
const struct unit_test unit_tests[] = {
    {"updates", test_conflicts_of_two_updates},
    {"deletes", test_conflicts_with_deletes_and_inserts},
    {"resolve", test_conflicts_are_resolved_anywhere},
    {"model", test_conflicts_equal_the_model},
    {NULL, NULL},
};

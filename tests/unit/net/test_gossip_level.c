/* test_gossip_level.c - which level links and clusters speak while versions differ. */
#include "unit/cunit.h"

#include "base/level.h"
#include "net/gossip.h"
#include "net/wire.h"
#include "unit/net/toy.h"

#define OLD LEVEL_FIRST
#define NEW LEVEL_NEXT

/* Up to four nodes; what one sends comes to the other at once, where there is a link. */
struct world {
    struct toy_cluster cluster;
    struct toy_env env;
    struct toy_store stores[SLOTS_MAX];
    gossip *g[SLOTS_MAX];
    uint32_t nodes;
    bool up[SLOTS_MAX][SLOTS_MAX];
    struct err refused[SLOTS_MAX]; /* of the receiver's last failure */
};

static void start_node(struct world *w, uint8_t slot, uint32_t min, uint32_t max)
{
    struct toy_store *s = &w->stores[slot];
    struct err err = ERR_INIT;
    s->host.level_min = min;
    s->host.level_max = max;
    s->host.members = (uint8_t)((1u << w->nodes) - 1);
    CU_ASSERT_EQUAL_FATAL(gossip_new(slot, slot, &s->host, &w->g[slot], &err), QUARTET_OK);
}

static struct world *world_new(uint32_t nodes, const uint32_t *max)
{
    struct world *w = mem_zalloc(1, sizeof *w);
    w->nodes = nodes;
    toy_env_init(&w->env, 1);
    toy_cluster_init(&w->cluster, nodes, NULL, 1);
    for (uint8_t i = 0; i < nodes; i++) {
        toy_store_init(&w->stores[i], &w->cluster, i, 100u + i, &w->env);
        start_node(w, i, OLD, max[i]);
    }
    return w;
}

static void world_free(struct world *w)
{
    for (uint32_t i = 0; i < w->nodes; i++) {
        gossip_free(w->g[i]);
        toy_store_deinit(&w->stores[i]);
    }
    toy_cluster_deinit(&w->cluster);
    mem_free(w);
}

static void link_up(struct world *w, uint8_t a, uint8_t b)
{
    struct err err = ERR_INIT;
    w->up[a][b] = w->up[b][a] = true;
    CU_ASSERT_EQUAL(gossip_connect(w->g[a], b, w->env.now_us, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(gossip_connect(w->g[b], a, w->env.now_us, &err), QUARTET_OK);
}

static void cut(struct world *w, uint8_t a, uint8_t b)
{
    w->up[a][b] = w->up[b][a] = false;
    gossip_disconnect(w->g[a], b, w->env.now_us);
    gossip_disconnect(w->g[b], a, w->env.now_us);
}

static struct gossip_peer_view view(struct world *w, uint8_t at, uint8_t of)
{
    struct gossip_peer_view v;
    struct err err = ERR_INIT;
    CU_ASSERT_EQUAL_FATAL(gossip_peer(w->g[at], of, &v, &err), QUARTET_OK);
    gossip_status_deinit(&v.status);
    return v;
}

struct flight {
    uint8_t from, to;
    uint8_t *bytes;
    size_t n;
};

/* All that waits is on its way at once, as what a server writes is; then a tick. What was refused by its receiver is noted, and the link goes. */
static void run(struct world *w, uint32_t ticks)
{
    static struct flight flights[1000];
    for (uint32_t t = 0; t < ticks; t++) {
        uint32_t count = 0;
        struct slice m;
        for (uint8_t a = 0; a < w->nodes; a++)
            for (uint8_t b = 0; b < w->nodes; b++)
                for (; a != b && gossip_peek(w->g[a], b, &m); gossip_pop(w->g[a], b)) {
                    CU_ASSERT_FATAL(count < sizeof flights / sizeof *flights);
                    flights[count++] = (struct flight){.from = a, .to = b, .bytes = mem_dup(m.p, m.n), .n = m.n};
                }
        for (uint32_t i = 0; i < count; i++) {
            const struct flight *f = &flights[i];
            struct err err = ERR_INIT;
            struct gossip_peer_view before = view(w, f->to, f->from);
            if (before.connected && gossip_input(w->g[f->to], f->from, slice_of(f->bytes, f->n), w->env.now_us, &err) != QUARTET_OK)
                w->refused[f->to] = err;
            mem_free(f->bytes);
        }
        for (uint8_t a = 0; a < w->nodes; a++)
            for (uint8_t b = 0; b < w->nodes; b++)
                if (a != b && w->up[a][b] && !view(w, a, b).connected)
                    cut(w, a, b);
        w->env.now_us += 50000;
        for (uint8_t a = 0; a < w->nodes; a++) {
            struct err err = ERR_INIT;
            CU_ASSERT_EQUAL(gossip_tick(w->g[a], w->env.now_us, &err), QUARTET_OK);
        }
    }
}

static void test_links_speak_the_highest_level_of_both(void)
{
    struct world *w = world_new(3, (const uint32_t[]){OLD, NEW, NEW});
    for (uint8_t a = 0; a < 3; a++)
        for (uint8_t b = (uint8_t)(a + 1); b < 3; b++)
            link_up(w, a, b);
    CU_ASSERT_EQUAL(view(w, 1, 2).level, 0); /* before its status it is not known */
    run(w, 30);
    CU_ASSERT_EQUAL(view(w, 0, 1).level, OLD);
    CU_ASSERT_EQUAL(view(w, 1, 0).level, OLD);
    CU_ASSERT_EQUAL(view(w, 1, 2).level, NEW);
    CU_ASSERT_EQUAL(view(w, 0, 1).level_max, NEW); /* it is told all the same */
    for (uint32_t i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(w->stores[i].level, OLD); /* one member does not know the new operations */
    world_free(w);
}

static void test_new_operations_wait_for_every_member(void)
{
    struct world *w = world_new(4, (const uint32_t[]){NEW, NEW, NEW, OLD});
    for (uint8_t a = 0; a < 3; a++) /* a chain: nobody sees everybody */
        link_up(w, a, (uint8_t)(a + 1));
    run(w, 200);
    for (uint32_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(w->stores[i].level, OLD);
    cut(w, 2, 3);
    run(w, 100); /* who is away is not upgraded for that */
    CU_ASSERT_EQUAL(w->stores[0].level, OLD);
    gossip_free(w->g[3]);
    start_node(w, 3, OLD, NEW);
    link_up(w, 2, 3);
    run(w, 200);
    for (uint32_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(w->stores[i].level, NEW);
    world_free(w);
}

/* The chain of links again: node 0 hears of node 3 from node 1, who heard it from node 2. What is told again must not outlive the truth. */
static void test_who_goes_back_before_the_switch_is_heard_of(void)
{
    struct world *w = world_new(4, (const uint32_t[]){NEW, OLD, NEW, NEW});
    for (uint8_t a = 0; a < 3; a++)
        link_up(w, a, (uint8_t)(a + 1));
    run(w, 200); /* all know that node 3 is a new one */
    cut(w, 2, 3);
    gossip_free(w->g[3]);
    start_node(w, 3, OLD, OLD);
    link_up(w, 2, 3);
    run(w, 200);
    cut(w, 0, 1);
    cut(w, 1, 2);
    gossip_free(w->g[1]);
    start_node(w, 1, OLD, NEW);
    link_up(w, 0, 1);
    link_up(w, 1, 2);
    run(w, 200);
    for (uint32_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(w->stores[i].level, OLD);
    CU_ASSERT_EQUAL(w->refused[3].code, QUARTET_OK);
    world_free(w);
}

static void test_what_is_in_use_is_taken_over_and_an_old_build_refused(void)
{
    struct world *w = world_new(3, (const uint32_t[]){NEW, NEW, OLD});
    w->stores[0].level = NEW; /* it remembers; node 1 comes from an old copy, node 2 runs an old build */
    link_up(w, 0, 1);
    link_up(w, 0, 2);
    run(w, 30);
    CU_ASSERT_EQUAL(w->stores[1].level, NEW);
    CU_ASSERT_EQUAL(w->stores[2].level, OLD);
    CU_ASSERT_EQUAL(w->refused[0].code, QUARTET_UNAVAILABLE);
    CU_ASSERT_EQUAL(w->refused[2].code, QUARTET_UNAVAILABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(view(w, 0, 2).refused, "the version of slot 2 is too old"));
    CU_ASSERT_PTR_NOT_NULL(strstr(view(w, 2, 0).refused, "this node's version is too old"));
    CU_ASSERT(!view(w, 0, 2).connected && !view(w, 2, 0).connected);
    CU_ASSERT_EQUAL(w->stores[0].faults + w->stores[2].faults, 0); /* it is nobody's fault */
    gossip_free(w->g[2]);
    start_node(w, 2, OLD, NEW);
    link_up(w, 0, 2);
    run(w, 30);
    CU_ASSERT_EQUAL(w->stores[2].level, NEW);
    CU_ASSERT_EQUAL(view(w, 0, 2).level, NEW);
    CU_ASSERT_STRING_EQUAL(view(w, 0, 2).refused, "");
    world_free(w);
}

static void test_versions_too_far_apart_refuse_each_other(void)
{
    struct world *w = world_new(2, (const uint32_t[]){OLD, NEW});
    gossip_free(w->g[1]);
    start_node(w, 1, NEW, NEW); /* it has unlearnt the old level */
    link_up(w, 0, 1);
    run(w, 5);
    CU_ASSERT_PTR_NOT_NULL(strstr(view(w, 0, 1).refused, "versions too far apart: slot 1 speaks levels 3 to 3, this node 1 to 1; upgrade this node"));
    CU_ASSERT_PTR_NOT_NULL(strstr(view(w, 1, 0).refused, "versions too far apart: slot 0 speaks levels 1 to 1, this node 3 to 3; upgrade that node"));
    CU_ASSERT_EQUAL(w->stores[0].faults + w->stores[1].faults, 0);
    world_free(w);
}

static void test_a_status_may_grow_but_not_lie(void)
{
    static const struct {
        uint32_t min, max, used, entries, slot, level, more;
        quartet_status rc;
    } cases[] = {{1, 1, 1, 1, 0, 1, 0, QUARTET_OK},      {1, 9, 1, 1, 0, 1, 5, QUARTET_OK}, /* fields of later versions are skipped */
                 {0, 1, 1, 0, 0, 0, 0, QUARTET_CORRUPT}, {2, 1, 1, 0, 0, 0, 0, QUARTET_CORRUPT}, {1, 251, 1, 0, 0, 0, 0, QUARTET_CORRUPT},
                 {1, 1, 2, 0, 0, 0, 0, QUARTET_CORRUPT}, {1, 1, 0, 0, 0, 0, 0, QUARTET_CORRUPT}, {1, 1, 1, 1, 4, 1, 0, QUARTET_CORRUPT},
                 {1, 1, 1, 1, 0, 0, 0, QUARTET_CORRUPT}, {1, 1, 1, 2, 0, 1, 0, QUARTET_CORRUPT}, {1, 1, 1, 5, 0, 1, 0, QUARTET_CORRUPT}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct world *w = world_new(2, (const uint32_t[]){OLD, OLD});
        struct buf out = {0}, vector = {0};
        struct idvec none = {0};
        struct err err = ERR_INIT;
        link_up(w, 0, 1);
        idvec_encode(&vector, &none);
        wire_put_array(&out, GOSSIP_STATUS_FIELDS + cases[k].more);
        wire_put_u64(&out, 1);
        wire_put_u64(&out, GOSSIP_VERSION);
        for (int i = 0; i < 4; i++)
            wire_put_u64(&out, i == 3 ? GOSSIP_STATE_READY : 1);
        wire_put_bin(&out, slice_of("hash", 4));
        wire_put_bin(&out, slice_of(vector.data, vector.len));
        wire_put_bin(&out, slice_of(vector.data, vector.len));
        wire_put_u64(&out, 77);
        wire_put_u64(&out, cases[k].min);
        wire_put_u64(&out, cases[k].max);
        wire_put_u64(&out, cases[k].used);
        wire_put_array(&out, cases[k].entries * 3);
        for (uint32_t i = 0; i < cases[k].entries; i++) { /* the same slot each time */
            wire_put_u64(&out, cases[k].slot);
            wire_put_u64(&out, cases[k].level);
            wire_put_u64(&out, 5);
        }
        for (uint32_t i = 0; i < cases[k].more; i++)
            wire_put_cstr(&out, "something else");
        quartet_status rc = gossip_input(w->g[0], 1, slice_of(out.data, out.len), w->env.now_us, &err);
        if (rc != cases[k].rc)
            printf("case %zu: %s\n", k, err.text);
        CU_ASSERT_EQUAL(rc, cases[k].rc);
        for (size_t n = 0; cases[k].rc == QUARTET_OK && n < out.len - 20 * cases[k].more; n++) { /* cut anywhere */
            struct world *v = world_new(2, (const uint32_t[]){OLD, OLD});
            link_up(v, 0, 1);
            CU_ASSERT_NOT_EQUAL(gossip_input(v->g[0], 1, slice_of(out.data, n), v->env.now_us, &err), QUARTET_OK);
            world_free(v);
        }
        buf_deinit(&out);
        buf_deinit(&vector);
        world_free(w);
    }
}

const char *const unit_suite = "gossip_level";
const struct unit_test unit_tests[] = {
    {"links speak the highest level of both", test_links_speak_the_highest_level_of_both},
    {"new operations wait for every member", test_new_operations_wait_for_every_member},
    {"who goes back before the switch is heard of", test_who_goes_back_before_the_switch_is_heard_of},
    {"what is in use is taken over, and an old build refused", test_what_is_in_use_is_taken_over_and_an_old_build_refused},
    {"versions too far apart refuse each other", test_versions_too_far_apart_refuse_each_other},
    {"a status may grow, but not lie", test_a_status_may_grow_but_not_lie},
    {NULL, NULL},
};

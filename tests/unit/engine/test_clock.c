/* test_clock.c - a node's clock among the members': who is ahead commits nothing, who is behind takes what the others take; by the median, not by one clock. */
#include "cluster_help.h"

#include "engine/node.h"

#define SECOND_US 1000000ll

/* A delta of slot 1, made by hand, stamped so far ahead of the machine's clock; what node 0 makes of it. */
static enum deliver_result deliver_ahead(struct cluster *c, int64_t ahead_ms, uint64_t incarnation)
{
    struct err err = ERR_INIT;
    struct chain_table chains = {0};
    chain_no no;
    struct chain_id chain = {.slot = 1, .incarnation = incarnation};
    struct buf delta = {0}, payload = {0}, batch = {0};
    struct delta_writer w;
    OK(chain_intern(&chains, chain, &no, &err));
    struct delta_head head = {.number = 1, .stamp = hlc_make((uint64_t)((int64_t)env_wall_ms(env_posix()) + ahead_ms), 0, 1)};
    delta_begin(&w, &delta, &chains, &head);
    delta_end(&w);
    buf_u32(&payload, (uint32_t)delta.len);
    buf_put(&payload, delta.data, delta.len);
    struct batch_header h = {.chain = chain, .cluster = c->id[0].cluster, .first = 1, .count = 1, .last_stamp = head.stamp};
    OK(batch_seal(&h, slice_of(payload.data, payload.len), c->id[1].secret_key, &batch, &err));
    buf_put(&batch, payload.data, payload.len);
    enum deliver_result got;
    uint64_t need;
    OK(db_deliver(c->d[0], slice_of(batch.data, batch.len), c->public_key[1], &got, &need, &err));
    chain_table_deinit(&chains);
    buf_deinit(&delta);
    buf_deinit(&payload);
    buf_deinit(&batch);
    return got;
}

static quartet_status try_insert(db *d, int64_t id, struct err *why)
{
    struct err err = ERR_INIT;
    txn *t = NULL;
    char key[32];
    snprintf(key, sizeof key, "%lld", (long long)id);
    OK(txn_begin(d, &t, &err));
    OK(help_insert(t, "t", ROW(key, "x"), &err));
    return txn_commit(t, why);
}

static void test_clock_ahead_commits_nothing(void)
{
    struct err err = ERR_INIT;
    struct cluster *c = cluster_new(2);
    help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)");
    db_set_clock(c->d[0], -249000, 3); /* a little ahead */
    CU_ASSERT_EQUAL(try_insert(c->d[0], 1, &err), QUARTET_OK);
    db_set_clock(c->d[0], -3 * SECOND_US, 2); /* of two nobody knows which is right */
    CU_ASSERT_EQUAL(try_insert(c->d[0], 2, &err), QUARTET_OK);
    db_set_clock(c->d[0], -3 * SECOND_US, 3);
    CU_ASSERT_EQUAL(try_insert(c->d[0], 3, &err), QUARTET_READONLY);
    CU_ASSERT(strstr(err.text, "3000 ms ahead of the median") != NULL);
    err_clear(&err);
    CU_ASSERT_EQUAL(db_health(c->d[0], &err), QUARTET_READONLY);
    err_clear(&err);
    EXPECT(c->d[0], "t", "1,'x';2,'x';"); /* it can be read */
    db_set_clock(c->d[0], 3 * SECOND_US, 4); /* behind is no reason */
    CU_ASSERT_EQUAL(try_insert(c->d[0], 3, &err), QUARTET_OK);
    cluster_free(c);
}

static void test_clock_median_decides_what_is_held(void)
{
    struct cluster *c = cluster_new(2);
    db_set_clock(c->d[0], 3600 * SECOND_US, 4); /* our clock is an hour behind */
    CU_ASSERT_EQUAL(deliver_ahead(c, 3600000, 70), DELIVER_APPLIED);
    CU_ASSERT_EQUAL(deliver_ahead(c, 3600000 + 60000, 71), DELIVER_HELD);
    db_set_clock(c->d[0], -60 * SECOND_US, 4); /* ours is a minute ahead: what the others would hold we hold */
    CU_ASSERT_EQUAL(deliver_ahead(c, -50000, 72), DELIVER_HELD);
    CU_ASSERT_EQUAL(deliver_ahead(c, -57000, 73), DELIVER_APPLIED);
    struct db_stats s;
    db_set_clock(c->d[0], 3660 * SECOND_US, 4);
    db_tick(c->d[0]); /* their time has come */
    db_stats(c->d[0], &s);
    CU_ASSERT_EQUAL(s.held_batches, 0);
    cluster_free(c);
}

static void test_clock_median_of_peers(void)
{
    struct cluster *c = cluster_new(4);
    struct node_gossip g = {.d = c->d[0], .env = env_posix()};
    node_clock_heard(&g, 1, -3 * SECOND_US, 1000);
    CU_ASSERT_EQUAL(db_clock_ahead_ms(c->d[0]), 0); /* two clocks */
    node_clock_heard(&g, 2, 2 * SECOND_US, 1000);
    CU_ASSERT_EQUAL(db_clock_ahead_ms(c->d[0]), 0); /* -3 s, ours, +2 s: ours is the median */
    node_clock_heard(&g, 2, -2 * SECOND_US, 1000);
    CU_ASSERT_EQUAL(db_clock_ahead_ms(c->d[0]), 1999);
    node_clock_heard(&g, 3, 0, 1000); /* -3, -2, 0, 0 */
    CU_ASSERT_EQUAL(db_clock_ahead_ms(c->d[0]), 999);
    node_clock_heard(&g, 1, -3 * SECOND_US, 3 * SECOND_US); /* a ping of 6 s: it may be as late as ours */
    node_clock_heard(&g, 2, -2 * SECOND_US, 3 * SECOND_US);
    CU_ASSERT(db_clock_ahead_ms(c->d[0]) <= 0);
    node_clock_heard(&g, 2, -2 * SECOND_US, 1000);
    node_clock_heard(&g, 1, -3 * SECOND_US, 1000);
    node_clock_gone(&g, 3);
    CU_ASSERT_EQUAL(db_clock_ahead_ms(c->d[0]), 1999);
    node_clock_gone(&g, 2);
    CU_ASSERT_EQUAL(db_clock_ahead_ms(c->d[0]), 0);
    cluster_free(c);
}

const char *const unit_suite = "clock";
const struct unit_test unit_tests[] = {
    {"ahead", test_clock_ahead_commits_nothing},
    {"held", test_clock_median_decides_what_is_held},
    {"median", test_clock_median_of_peers},
    {NULL, NULL},
};

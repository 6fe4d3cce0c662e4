/* test_apply.c - members that exchange batches in any order show the same; what is damaged, forged, repeated or early is told apart. */
#include "cluster_help.h"

static void add_to(db *d, const char *table, int64_t id, const char *column, bool add, const char *text)
{
    struct err err = ERR_INIT;
    txn *t = NULL;
    OK(txn_begin(d, &t, &err));
    OK(help_update(t, table, id, column, add, text, &err));
    OK(txn_commit(t, &err));
}

static void delete_from(db *d, const char *table, int64_t id)
{
    struct err err = ERR_INIT;
    txn *t = NULL;
    OK(txn_begin(d, &t, &err));
    OK(help_delete(t, table, id, &err));
    OK(txn_commit(t, &err));
}

static const char *const tables[] = {"t", NULL};

static void test_apply_converges_over_concurrent_writes(void)
{
    struct prng r;
    prng_seed(&r, 1);
    struct cluster *c = cluster_new(3);
    help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER)");
    help_ddl(c->d[0], "CREATE INDEX tn ON t (name)");
    help_put(c->d[0], "t", ROW("1", "a", "10"));
    cluster_exchange(c, &r);
    EXPECT(c->d[2], "t", "1,'a',10;");
    add_to(c->d[0], "t", 1, "n", true, "1");
    add_to(c->d[1], "t", 1, "n", true, "2");
    add_to(c->d[2], "t", 1, "n", true, "4");
    add_to(c->d[1], "t", 1, "name", false, "b");
    add_to(c->d[2], "t", 1, "name", false, "c");
    cluster_exchange(c, &r);
    cluster_expect_equal(c, tables, 1);
    EXPECT(c->d[0], "t", "1,'c',17;"); /* the later write wins: one process, one clock */
    EXPECT_INDEX(c->d[1], "t", "tn", "1,'c',17;");
    delete_from(c->d[0], "t", 1);
    add_to(c->d[1], "t", 1, "name", false, "too late");
    cluster_exchange(c, &r);
    EXPECT(c->d[2], "t", ""); /* the DELETE saw the row */
    help_put(c->d[1], "t", ROW("1", "new", "5"));
    cluster_exchange(c, &r);
    EXPECT(c->d[0], "t", "1,'new',5;");
    cluster_expect_equal(c, tables, 1);
    cluster_free(c);
}

/* One random transaction on one node. */
static void random_write(struct cluster *c, struct prng *r)
{
    struct err err = ERR_INIT;
    db *d = c->d[prng_below(r, c->count)];
    txn *t = NULL;
    char id[16], name[16];
    OK(txn_begin(d, &t, &err));
    for (uint64_t n = 1 + prng_below(r, 3); n > 0; n--) {
        int64_t key = (int64_t)prng_below(r, 6);
        snprintf(id, sizeof id, "%d", (int)key);
        snprintf(name, sizeof name, "n%d", (int)prng_below(r, 4));
        switch (prng_below(r, 5)) {
        case 0: case 1:
            if (help_insert(t, "t", ROW(id, name, "3"), &err) != QUARTET_OK)
                CU_ASSERT_EQUAL(err.code, QUARTET_CONSTRAINT);
            break;
        case 2: OK(help_update(t, "t", key, "name", false, name, &err)); break;
        case 3: OK(help_update(t, "t", key, "n", true, "2", &err)); break;
        default: OK(help_delete(t, "t", key, &err));
        }
        if (prng_chance(r, 0.2))
            OK(help_insert(t, "h", ROW(name, id), &err));
    }
    OK(txn_commit(t, &err));
}

static void test_apply_converges_in_any_order(void)
{
    uint64_t base = unit_seed(20), runs = getenv("QUARTET_LONG") != NULL ? 500 : 30;
    static const char *const both[] = {"t", "h", NULL};
    for (uint64_t seed = base; seed < base + runs; seed++) {
        struct prng r;
        prng_seed(&r, seed);
        struct cluster *c = cluster_new(2 + (uint32_t)prng_below(&r, 3));
        help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER)");
        help_ddl(c->d[0], "CREATE INDEX tn ON t (name)");
        help_ddl(c->d[0], "CREATE TABLE h (x TEXT, y INTEGER)");
        cluster_exchange(c, &r);
        for (uint64_t n = prng_below(&r, 30); n > 0; n--) {
            random_write(c, &r);
            if (prng_chance(&r, 0.3))
                cluster_seal(c, (uint32_t)prng_below(&r, c->count));
            if (c->pool.count > 0 && prng_chance(&r, 0.5)) { /* something arrives somewhere, maybe too early */
                uint32_t b = (uint32_t)prng_below(&r, c->pool.count), to = (uint32_t)prng_below(&r, c->count);
                if (c->pool.slot[b] != to)
                    (void)cluster_give(c, to, b); /* any answer but REFUSED */
            }
        }
        cluster_exchange(c, &r);
        cluster_expect_equal(c, both, seed);
        for (uint32_t i = 0; i < c->count; i++) { /* the index has what the table has */
            struct buf a = {0}, b = {0};
            struct err err = ERR_INIT;
            txn *t = NULL;
            OK(txn_begin(c->d[i], &t, &err));
            help_dump(t, "t", NULL, &a);
            help_dump(t, "t", "tn", &b);
            CU_ASSERT_EQUAL(a.len, b.len);
            txn_rollback(t);
            buf_deinit(&a);
            buf_deinit(&b);
        }
        cluster_free(c);
    }
}

static void test_apply_counts_an_addition_once(void)
{
    struct prng r;
    prng_seed(&r, 4);
    struct cluster *c = cluster_new(3);
    help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER)");
    cluster_exchange(c, &r);
    help_put(c->d[0], "t", ROW("1", "a", "10")); /* two births of one row */
    help_put(c->d[1], "t", ROW("1", "b", "20"));
    cluster_exchange(c, &r);
    EXPECT(c->d[2], "t", "1,'b',30;");
    add_to(c->d[2], "t", 1, "n", true, "1");
    add_to(c->d[0], "t", 1, "n", true, "2");
    EXPECT(c->d[2], "t", "1,'b',31;");
    cluster_exchange(c, &r);
    EXPECT(c->d[1], "t", "1,'b',33;");
    add_to(c->d[1], "t", 1, "n", false, "7");
    cluster_exchange(c, &r);
    EXPECT(c->d[0], "t", "1,'b',7;");
    cluster_expect_equal(c, tables, 4);
    cluster_free(c);
}

static void test_apply_answers_duplicate_gap_and_held(void)
{
    struct err err = ERR_INIT;
    struct cluster *c = cluster_new(3);
    enum deliver_result got;
    uint64_t need;
    help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)");
    cluster_seal(c, 0); /* 0: the table */
    CU_ASSERT_EQUAL(cluster_give(c, 1, 0), DELIVER_APPLIED);
    CU_ASSERT_EQUAL(cluster_give(c, 1, 0), DELIVER_DUPLICATE);
    help_put(c->d[1], "t", ROW("1", "from 1"));
    cluster_seal(c, 1); /* 1: depends on 0 */
    help_put(c->d[0], "t", ROW("2", "from 0"));
    cluster_seal(c, 0); /* 2: follows 0 */
    OK(db_deliver(c->d[2], slice_of(c->pool.bytes[2], c->pool.n[2]), c->public_key[0], &got, &need, &err));
    CU_ASSERT_EQUAL(got, DELIVER_GAP);
    CU_ASSERT_EQUAL(need, 1);
    CU_ASSERT_EQUAL(cluster_give(c, 2, 1), DELIVER_HELD);
    CU_ASSERT_EQUAL(cluster_give(c, 2, 1), DELIVER_DUPLICATE);
    CU_ASSERT_EQUAL(cluster_give(c, 2, 0), DELIVER_APPLIED);
    EXPECT(c->d[2], "t", "1,'from 1';"); /* what waited came by itself */
    CU_ASSERT_EQUAL(cluster_give(c, 2, 2), DELIVER_APPLIED);
    EXPECT(c->d[2], "t", "1,'from 1';2,'from 0';");
    struct db_stats s;
    db_stats(c->d[2], &s);
    CU_ASSERT_EQUAL(s.held_batches, 0);
    cluster_free(c);
}

static void refuse(struct cluster *c, uint32_t to, struct slice batch, const uint8_t *key, const char *why)
{
    struct err err = ERR_INIT;
    enum deliver_result got;
    uint64_t need;
    OK(db_deliver(c->d[to], batch, key, &got, &need, &err));
    CU_ASSERT_EQUAL(got, DELIVER_REFUSED);
    if (strstr(err.text, why) == NULL)
        printf("\nrefused as: %s, wanted: %s\n", err.text, why);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, why));
}

static void test_apply_refuses_what_is_forged(void)
{
    struct cluster *c = cluster_new(3);
    help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)");
    cluster_seal(c, 0);
    size_t n = c->pool.n[0];
    uint8_t *copy = malloc(n);
    memcpy(copy, c->pool.bytes[0], n);
    copy[n - 1] ^= 1;
    refuse(c, 1, slice_of(copy, n), c->public_key[0], "altered");
    memcpy(copy, c->pool.bytes[0], n);
    copy[130] ^= 1; /* the header's stamp */
    refuse(c, 1, slice_of(copy, n), c->public_key[0], "signature");
    refuse(c, 1, slice_of(c->pool.bytes[0], n), c->public_key[1], "signature");
    for (size_t cut = 0; cut < n; cut += 7)
        refuse(c, 1, slice_of(c->pool.bytes[0], cut), c->public_key[0], "batch");
    free(copy);
    /* Another cluster's batch. */
    struct err err = ERR_INIT;
    struct cluster *other = cluster_new(1);
    help_close(other->d[0]);
    other->d[0] = help_memory();
    memset(other->id[0].cluster.b, 9, 32);
    OK(db_set_identity(other->d[0], &other->id[0], &err));
    help_ddl(other->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)");
    cluster_seal(other, 0);
    refuse(c, 1, slice_of(other->pool.bytes[0], other->pool.n[0]), c->public_key[0], "cluster");
    /* The same chain number twice: a second history of slot 0 cannot be slipped in. */
    CU_ASSERT_EQUAL(cluster_give(c, 1, 0), DELIVER_APPLIED);
    cluster_free(other);
    cluster_free(c);
}

static void test_apply_large_transactions_arrive_whole(void)
{
    struct err err = ERR_INIT;
    struct prng r;
    prng_seed(&r, 3);
    struct cluster *c = cluster_new(2);
    txn *t = NULL;
    char id[16], name[64];
    help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER)");
    OK(txn_begin(c->d[0], &t, &err));
    for (int i = 0; i < 10000; i++) {
        snprintf(id, sizeof id, "%d", i);
        snprintf(name, sizeof name, "a name of some length, number %d", i);
        OK(help_insert(t, "t", ROW(id, name, "1"), &err));
    }
    OK(txn_commit(t, &err));
    cluster_seal(c, 0);
    CU_ASSERT(c->pool.count > 2); /* several batches */
    for (uint32_t i = 0; i < c->pool.count; i++) {
        CU_ASSERT_EQUAL(cluster_give(c, 1, i), DELIVER_APPLIED);
        if (i > 0 && i + 1 < c->pool.count)
            EXPECT(c->d[1], "t", ""); /* nobody sees a part of it */
    }
    cluster_expect_equal(c, tables, 3);
    cluster_free(c);
}

static void test_apply_reads_batches_back(void)
{
    struct err err = ERR_INIT;
    struct cluster *c = cluster_new(3);
    struct buf out = {0};
    uint32_t count;
    struct batch_header h;
    struct slice payload;
    help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)");
    cluster_seal(c, 0);
    help_put(c->d[0], "t", ROW("1", "a"));
    help_put(c->d[0], "t", ROW("2", "b"));
    cluster_seal(c, 0);
    for (uint32_t i = 0; i < c->pool.count; i++)
        CU_ASSERT_EQUAL(cluster_give(c, 1, i), DELIVER_APPLIED);
    OK(batch_parse(slice_of(c->pool.bytes[0], c->pool.n[0]), &h, &payload, &err));
    for (uint32_t node = 0; node < 2; node++) { /* from its origin and from a relay: the same bytes */
        buf_clear(&out);
        OK(db_read_batches(c->d[node], h.chain, 1, 1 << 20, &out, &count, &err));
        CU_ASSERT_EQUAL(count, c->pool.count);
        struct bytes_in in = bytes_in(out.data, out.len);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t n = bytes_u32(&in);
            const uint8_t *p = bytes_take(&in, n);
            CU_ASSERT_EQUAL_FATAL(n, c->pool.n[i]);
            CU_ASSERT(memcmp(p, c->pool.bytes[i], n) == 0);
        }
    }
    buf_clear(&out);
    OK(db_read_batches(c->d[0], h.chain, 3, 1, &out, &count, &err)); /* from the middle of a batch; at least one */
    CU_ASSERT_EQUAL(count, 1);
    CU_ASSERT_EQUAL(db_read_batches(c->d[0], h.chain, 99, 1 << 20, &out, &count, &err), QUARTET_NOTFOUND);
    buf_deinit(&out);
    cluster_free(c);
}

static void test_apply_holds_what_comes_from_the_future(void)
{
    /* A delta made by hand, signed by slot 1, stamped a minute ahead. */
    struct err err = ERR_INIT;
    struct cluster *c = cluster_new(2);
    struct chain_table chains = {0};
    chain_no no;
    struct chain_id chain = {.slot = 1, .incarnation = 77};
    struct buf delta = {0}, payload = {0}, batch = {0};
    OK(chain_intern(&chains, chain, &no, &err));
    struct delta_writer w;
    struct delta_head head = {.number = 1, .stamp = hlc_make(env_wall_ms(env_posix()) + 60000, 0, 1)};
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
    CU_ASSERT_EQUAL(got, DELIVER_HELD);
    db_tick(c->d[0]);
    struct db_stats s;
    db_stats(c->d[0], &s);
    CU_ASSERT_EQUAL(s.held_batches, 1);
    chain_table_deinit(&chains);
    buf_deinit(&delta);
    buf_deinit(&payload);
    buf_deinit(&batch);
    cluster_free(c);
}

static void test_apply_members_assign_keys_of_their_class(void)
{
    struct prng r;
    prng_seed(&r, 5);
    struct cluster *c = cluster_new(4);
    help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER)");
    cluster_exchange(c, &r);
    for (uint32_t i = 0; i < 4; i++)
        for (int k = 0; k < 2; k++)
            help_put(c->d[i], "t", ROW(NULL, "x", "0"));
    cluster_exchange(c, &r);
    EXPECT(c->d[3], "t", "1,'x',0;2,'x',0;3,'x',0;4,'x',0;5,'x',0;6,'x',0;7,'x',0;8,'x',0;");
    cluster_expect_equal(c, tables, 5);
    cluster_free(c);
}

const char *const unit_suite = "apply";
const struct unit_test unit_tests[] = {
    {"concurrent writes", test_apply_converges_over_concurrent_writes},
    {"any order", test_apply_converges_in_any_order},
    {"one addition", test_apply_counts_an_addition_once},
    {"answers", test_apply_answers_duplicate_gap_and_held},
    {"forged", test_apply_refuses_what_is_forged},
    {"large", test_apply_large_transactions_arrive_whole},
    {"read back", test_apply_reads_batches_back},
    {"future", test_apply_holds_what_comes_from_the_future},
    {"keys", test_apply_members_assign_keys_of_their_class},
    {NULL, NULL},
};

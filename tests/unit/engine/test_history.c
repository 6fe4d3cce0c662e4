/* test_history.c - rows as of a stamp: members that learnt the same in other orders, with flushes anywhere in between, tell the same, and it is what a
 * member shows that was given the transactions up to the stamp and no other. */
#include "engine/history.h"

#include "cluster_help.h"

static hlc_stamp commit(txn *t)
{
    struct err err = ERR_INIT;
    hlc_stamp stamp = 0;
    OK(txn_commit_stamped(t, &stamp, &err));
    return stamp;
}

/* The rows of a table as they were; as_of 0: as they are. */
static void dump_as_of(db *d, const char *table, hlc_stamp as_of, struct buf *out)
{
    struct err err = ERR_INIT;
    txn *t = NULL;
    table_scan *s = NULL;
    uint32_t columns[16];
    OK(txn_begin(d, &t, &err));
    const struct table_def *def = catalog_table(txn_catalog(t), table);
    CU_ASSERT_PTR_NOT_NULL_FATAL(def);
    for (uint32_t i = 0; i < def->column_count; i++)
        columns[i] = i;
    struct scan_want want = {.columns = columns, .column_count = def->column_count, .keys = true, .as_of = as_of};
    OK(txn_statement_begin(t, &err));
    OK(table_scan_open(t, def, NULL, NULL, &want, &s, &err));
    for (;;) {
        struct batch b;
        OK(table_scan_next(s, 0, &b, &err));
        if (b.n == 0)
            break;
        for (uint32_t r = 0; r < b.n; r++)
            for (uint32_t i = 0; i < def->column_count; i++) {
                struct value v = vec_get(&b.cols[i], r);
                value_to_literal(&v, out);
                buf_u8(out, i + 1 < def->column_count ? ',' : ';');
            }
    }
    table_scan_close(s);
    txn_rollback(t);
}

static void expect_as_of(db *d, const char *table, hlc_stamp as_of, const char *want, const char *what, int line)
{
    struct buf got = {0};
    dump_as_of(d, table, as_of, &got);
    buf_u8(&got, 0);
    if (strcmp((const char *)got.data, want) != 0)
        printf("\nline %d, %s: %s as of %llu was %s, wanted %s\n", line, what, table, (unsigned long long)as_of, (const char *)got.data, want);
    CU_ASSERT_STRING_EQUAL((const char *)got.data, want);
    buf_deinit(&got);
}

static void flush(db *d)
{
    struct err err = ERR_INIT;
    pthread_mutex_lock(&d->commit_lock);
    db_publish(d);
    OK(kv_flush(d->store, &err));
    pthread_mutex_unlock(&d->commit_lock);
}

/* ---- one database ---- */

static hlc_stamp put(db *d, const char *const *texts)
{
    struct err err = ERR_INIT;
    txn *t = NULL;
    OK(txn_begin(d, &t, &err));
    OK(help_insert(t, "t", texts, &err));
    return commit(t);
}

static hlc_stamp set(db *d, int64_t id, const char *column, bool add, const char *text)
{
    struct err err = ERR_INIT;
    txn *t = NULL;
    OK(txn_begin(d, &t, &err));
    OK(help_update(t, "t", id, column, add, text, &err));
    return commit(t);
}

static hlc_stamp drop(db *d, int64_t id)
{
    struct err err = ERR_INIT;
    txn *t = NULL;
    OK(txn_begin(d, &t, &err));
    OK(help_delete(t, "t", id, &err));
    return commit(t);
}

#define TABLE "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER, q INTEGER)"

/* `when`: flush after that step; 0: never. */
static void steps(uint32_t when, bool all)
{
    db *d = help_memory();
    hlc_stamp s[8];
    help_ddl(d, TABLE);
    for (uint32_t i = 0; i < 8; i++) {
        switch (i) {
        case 0: s[i] = put(d, ROW("1", "a", "10", "5")); break;
        case 1: s[i] = set(d, 1, "name", false, "b"); break;
        case 2: s[i] = set(d, 1, "n", true, "7"); break;
        case 3: s[i] = set(d, 1, "q", false, "6"); break;
        case 4: s[i] = drop(d, 1); break;
        case 5: s[i] = put(d, ROW("1", "c", "1", "1")); break;
        case 6: s[i] = set(d, 1, "name", false, "d"); break;
        default: s[i] = put(d, ROW("2", "z", "0", NULL)); break;
        }
        if (all || i + 1 == when)
            flush(d);
    }
    static const char *const want[8] = {"1,'a',10,5;", "1,'b',10,5;", "1,'b',17,5;", "1,'b',17,6;", "", "1,'c',1,1;", "1,'d',1,1;",
                                        "1,'d',1,1;2,'z',0,NULL;"};
    for (uint32_t i = 0; i < 8; i++)
        expect_as_of(d, "t", s[i], want[i], "steps", (int)(when * 10 + i));
    expect_as_of(d, "t", s[0] - 1, "", "before", (int)when);
    expect_as_of(d, "t", s[7] + 1000, want[7], "after", (int)when);
    help_close(d);
}

static void test_history_tells_each_step(void)
{
    for (uint32_t when = 0; when <= 8; when++)
        steps(when, false);
    steps(0, true);
}

static void test_history_of_one_row_many_times(void)
{
    enum { TIMES = 3000 };
    static hlc_stamp s[TIMES];
    char text[16];
    db *d = help_memory();
    help_ddl(d, TABLE);
    (void)put(d, ROW("1", "a", "0", "-1"));
    for (int i = 0; i < TIMES; i++) {
        snprintf(text, sizeof text, "%d", i);
        s[i] = i % 3 == 0 ? set(d, 1, "n", true, "1") : set(d, 1, "q", false, text);
        if (i == 1000 || i == 2000)
            flush(d);
    }
    for (int i = 1; i < TIMES; i += 97) {
        char want[64];
        int q = i % 3 == 0 ? i - 1 : i;
        snprintf(want, sizeof want, "1,'a',%d,%d;", i / 3 + 1, q);
        expect_as_of(d, "t", s[i], want, "many", i);
    }
    help_close(d);
}

/* Transactions that get into the store as runs, with their history in trees of its own. */
static void test_history_of_large_transactions(void)
{
    enum { ROWS = 400, ROUNDS = 12 };
    struct err err = ERR_INIT;
    struct db_options o = {.in_memory = true, .buffer_bytes = 4096};
    hlc_stamp s[ROUNDS];
    char text[64];
    db *d = NULL;
    OK(db_open(env_posix(), NULL, &o, &d, &err));
    help_ddl(d, TABLE);
    help_ddl(d, "CREATE INDEX tn ON t (name, q)");
    for (int round = 0; round < ROUNDS; round++) {
        txn *t = NULL;
        OK(txn_begin(d, &t, &err));
        for (int64_t i = 1; i <= ROWS; i++) {
            char id[16];
            snprintf(id, sizeof id, "%d", (int)i);
            snprintf(text, sizeof text, "%d", round);
            if (round == 0)
                OK(help_insert(t, "t", ROW(id, "a name that is not too short", "0", text), &err));
            else if (i % 7 != round % 7)
                OK(help_update(t, "t", i, "q", false, text, &err));
        }
        s[round] = commit(t);
    }
    for (int round = 0; round < ROUNDS; round++) {
        struct buf want = {0};
        for (int64_t i = 1; i <= ROWS; i++) {
            int q = round > 0 && i % 7 == round % 7 ? round - 1 : round;
            buf_printf(&want, "%d,'a name that is not too short',0,%d;", (int)i, q);
        }
        buf_u8(&want, 0);
        expect_as_of(d, "t", s[round], (const char *)want.data, "large", round);
        if (round == ROUNDS - 1)
            help_expect(d, "t", NULL, (const char *)want.data, __FILE__, __LINE__);
        buf_deinit(&want);
    }
    help_close(d);
}

/* What nobody may ask for any longer is let go by the flush that meets it. */
static void test_history_ends_with_the_retention(void)
{
    struct err err = ERR_INIT;
    db *d = help_memory();
    help_ddl(d, TABLE);
    hlc_stamp first = put(d, ROW("1", "a", "0", "1"));
    (void)set(d, 1, "q", false, "2");
    flush(d);
    expect_as_of(d, "t", first, "1,'a',0,1;", "kept", 0);
    pthread_mutex_lock(&d->commit_lock);
    db_history_set(d, 0);
    pthread_mutex_unlock(&d->commit_lock);
    CU_ASSERT_EQUAL(db_history_check(d, first, &err), QUARTET_TOO_OLD);
    CU_ASSERT_EQUAL(err.code, QUARTET_TOO_OLD);
    hlc_stamp second = set(d, 1, "q", false, "3");
    flush(d);
    pthread_mutex_lock(&d->commit_lock);
    db_history_set(d, DB_HISTORY_MS_DEFAULT);
    pthread_mutex_unlock(&d->commit_lock);
    CU_ASSERT_EQUAL(db_history_check(d, first, &err), QUARTET_TOO_OLD); /* a longer retention brings nothing back */
    CU_ASSERT_EQUAL(db_history_check(d, second, &err), QUARTET_OK);
    (void)set(d, 1, "q", false, "4");
    expect_as_of(d, "t", second, "1,'a',0,3;", "again", 0);
    help_close(d);
}

/* ---- members ---- */

struct world {
    struct cluster *c;
    struct prng r;
    hlc_stamp stamps[BATCHES_MAX]; /* of each batch: one transaction; 0: the schema */
    uint64_t seed;
};

static void random_txn(struct world *w)
{
    struct err err = ERR_INIT;
    uint32_t node = (uint32_t)prng_below(&w->r, w->c->count);
    db *d = w->c->d[node];
    txn *t = NULL;
    char id[16], name[16], number[16];
    OK(txn_begin(d, &t, &err));
    for (uint64_t n = 1 + prng_below(&w->r, 3); n > 0; n--) {
        int64_t key = (int64_t)prng_below(&w->r, 4);
        snprintf(id, sizeof id, "%d", (int)key);
        snprintf(number, sizeof number, "%d", (int)prng_below(&w->r, 100));
        snprintf(name, sizeof name, "x%s", number);
        switch (prng_below(&w->r, 8)) {
        case 0: case 1: case 2:
            if (help_insert(t, "t", ROW(id, name, "3", number), &err) != QUARTET_OK)
                CU_ASSERT_EQUAL(err.code, QUARTET_CONSTRAINT);
            break;
        case 3: OK(help_update(t, "t", key, "q", false, number, &err)); break;
        case 4: OK(help_update(t, "t", key, "name", false, name, &err)); break;
        case 5: case 6: OK(help_update(t, "t", key, "n", true, number, &err)); break;
        default: OK(help_delete(t, "t", key, &err));
        }
    }
    hlc_stamp stamp = commit(t);
    uint32_t before = w->c->pool.count;
    cluster_seal(w->c, node);
    CU_ASSERT_FATAL(w->c->pool.count <= before + 1);
    if (w->c->pool.count > before)
        w->stamps[before] = stamp;
}

static void some_arrive(struct world *w)
{
    for (uint64_t n = prng_below(&w->r, 4); n > 0 && w->c->pool.count > 0; n--) {
        uint32_t b = (uint32_t)prng_below(&w->r, w->c->pool.count), to = (uint32_t)prng_below(&w->r, w->c->count);
        if (w->c->pool.slot[b] != to)
            (void)cluster_give(w->c, to, b); /* any answer but REFUSED */
    }
    if (prng_chance(&w->r, 0.3))
        flush(w->c->d[prng_below(&w->r, w->c->count)]);
}

/* A new member that gets the transactions up to the stamp alone: causally closed, since stamps respect causality. */
static void oracle(struct world *w, hlc_stamp as_of, struct buf *out)
{
    struct err err = ERR_INIT;
    struct cluster *c = w->c;
    db *d = help_memory();
    cluster_keys(c, 3);
    OK(db_set_identity(d, &c->id[3], &err));
    for (bool missing = true; missing;) {
        missing = false;
        for (uint32_t i = 0; i < c->pool.count; i++) {
            enum deliver_result got;
            uint64_t need;
            if (w->stamps[i] > as_of)
                continue;
            OK(db_deliver(d, slice_of(c->pool.bytes[i], c->pool.n[i]), c->public_key[c->pool.slot[i]], &got, &need, &err));
            CU_ASSERT_NOT_EQUAL_FATAL(got, DELIVER_REFUSED);
            missing |= got == DELIVER_GAP;
        }
    }
    struct db_stats stats;
    db_stats(d, &stats);
    CU_ASSERT_EQUAL(stats.held_batches, 0);
    dump_as_of(d, "t", 0, out);
    help_close(d);
}

static void compare(struct world *w, hlc_stamp as_of)
{
    struct buf want = {0};
    char what[64];
    oracle(w, as_of, &want);
    buf_u8(&want, 0);
    for (uint32_t i = 0; i < w->c->count; i++) {
        snprintf(what, sizeof what, "seed %llu, node %u", (unsigned long long)w->seed, i);
        expect_as_of(w->c->d[i], "t", as_of, (const char *)want.data, what, __LINE__);
    }
    buf_deinit(&want);
}

static void one_world(uint64_t seed)
{
    static struct world w;
    w = (struct world){.seed = seed};
    prng_seed(&w.r, seed);
    w.c = cluster_new(2 + (uint32_t)prng_below(&w.r, 2));
    help_ddl(w.c->d[0], TABLE);
    cluster_exchange(w.c, &w.r);
    for (uint64_t n = 2 + prng_below(&w.r, 30); n > 0; n--) {
        random_txn(&w);
        some_arrive(&w);
    }
    cluster_exchange(w.c, &w.r);
    for (uint32_t i = 0; i < w.c->count; i++)
        if (prng_chance(&w.r, 0.5))
            flush(w.c->d[i]);
    for (int k = 0; k < 6 && w.c->pool.count > 1; k++) {
        hlc_stamp s = w.stamps[prng_below(&w.r, w.c->pool.count)];
        if (s != 0)
            compare(&w, prng_chance(&w.r, 0.3) ? s - 1 : s);
    }
    cluster_free(w.c);
}

static void test_history_is_the_same_on_all_members(void)
{
    uint64_t base = unit_seed(300), runs = getenv("QUARTET_LONG") != NULL ? 2000 : 60;
    for (uint64_t seed = base; seed < base + runs; seed++)
        one_world(seed);
}

/* What arrives after history has gone past its stamp is still part of what the row was at all times that history tells of. */
static void test_history_of_what_is_older_than_it(void)
{
    struct prng r;
    prng_seed(&r, 1);
    struct cluster *c = cluster_new(2);
    db *a = c->d[0], *b = c->d[1];
    help_ddl(a, TABLE);
    (void)put(a, ROW("1", "a", "0", "0"));
    cluster_exchange(c, &r);
    (void)drop(b, 1);
    (void)put(b, ROW("1", "theirs", "0", "0"));
    hlc_stamp last = put(b, ROW("3", "theirs", "0", "0")), s[2] = {0};
    for (int i = 0; i < 2; i++)
        do
            s[i] = set(a, 1, "name", false, i == 0 ? "b" : "c");
        while (s[i] <= last);
    hlc_stamp now = put(a, ROW("3", "ours", "0", "0"));
    pthread_mutex_lock(&a->commit_lock);
    atomic_store(&a->history_from, s[0]);
    pthread_mutex_unlock(&a->commit_lock);
    cluster_exchange(c, &r);
    for (int round = 0; round < 2; round++) {
        expect_as_of(a, "t", s[0], "1,'theirs',0,0;3,'theirs',0,0;", "older than history", round);
        expect_as_of(a, "t", s[1], "1,'theirs',0,0;3,'theirs',0,0;", "older than history", round);
        expect_as_of(a, "t", now, "1,'theirs',0,0;3,'ours',0,0;", "older than history", round);
        flush(a);
        struct err err = ERR_INIT;
        OK(db_sweep(a, &err)); /* takes nothing of it: INSERT 3 of the other is older than history, and shows until ours */
    }
    static const char *const tables[] = {"t", NULL};
    (void)set(b, 1, "name", false, "still");
    cluster_exchange(c, &r);
    cluster_expect_equal(c, tables, 1);
    cluster_free(c);
}

const char *const unit_suite = "history";
const struct unit_test unit_tests[] = {
    {"each step", test_history_tells_each_step},
    {"many times", test_history_of_one_row_many_times},
    {"large", test_history_of_large_transactions},
    {"retention", test_history_ends_with_the_retention},
    {"older than it", test_history_of_what_is_older_than_it},
    {"all members", test_history_is_the_same_on_all_members},
    {NULL, NULL},
};

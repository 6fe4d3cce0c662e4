/* test_txn_large.c - transactions whose writes go to disk, against the same statements in a database whose memory holds them: reads both ways and by index, statements
 * that fail half-way, savepoints, COMMIT and ROLLBACK, reopening, a log that fills up while a commit is being written. */
#include "db_help.h"

#include <stdatomic.h>

#include "base/prng.h"
#include "engine/conn.h"
#include "fault/fault_env.h"

const char *const unit_suite = "txn_large";

struct side {
    db *d;
    conn *c;
};

static void side_open(struct side *s, struct env *env, const char *dir, size_t buffer_bytes)
{
    struct err err = ERR_INIT;
    struct db_options o = {.in_memory = dir == NULL, .buffer_bytes = buffer_bytes, .sync = LOG_SYNC_OFF};
    OK(db_open(env, dir != NULL ? dir : ":memory:", &o, &s->d, &err));
    OK(conn_open(s->d, &s->c, &err));
}

static void side_close(struct side *s)
{
    struct err err = ERR_INIT;
    conn_close(s->c);
    OK(db_close(s->d, &err));
}

/* Run one statement; all values of all rows are appended to `out` (may be NULL). */
static quartet_status run(struct side *s, const char *sql, struct buf *out, struct err *err)
{
    conn_stmt *st = NULL;
    size_t consumed = 0;
    struct batch rows;
    quartet_status rc = conn_prepare(s->c, sql, strlen(sql), &st, &consumed, err);
    while (rc == QUARTET_OK && (rc = conn_step(st, &rows, err)) == QUARTET_OK && rows.n > 0)
        for (uint32_t r = 0; r < rows.n && out != NULL; r++)
            for (uint32_t i = 0; i < rows.col_count; i++) {
                struct value v = vec_get(&rows.cols[i], batch_row(&rows, r));
                value_to_literal(&v, out);
                buf_u8(out, '|');
            }
    conn_finalize(st);
    return rc;
}

/* The same statement on both sides: the same status, the same rows. */
static void both(struct side *two, const char *sql)
{
    struct buf out[2] = {0};
    struct err err[2] = {ERR_INIT, ERR_INIT};
    quartet_status rc[2];
    for (int i = 0; i < 2; i++)
        rc[i] = run(&two[i], sql, &out[i], &err[i]);
    bool same = rc[0] == rc[1] && slice_eq(slice_of(out[0].data, out[0].len), slice_of(out[1].data, out[1].len));
    if (!same)
        printf("\n%s\n%d %s, %d %s; %zu and %zu bytes\n%.*s\n%.*s\n", sql, rc[0], err[0].text, rc[1], err[1].text, out[0].len, out[1].len,
               (int)(out[0].len < 300 ? out[0].len : 300), out[0].data, (int)(out[1].len < 300 ? out[1].len : 300), out[1].data);
    CU_ASSERT_TRUE_FATAL(same);
    buf_deinit(&out[0]);
    buf_deinit(&out[1]);
}

static void check(struct side *two)
{
    both(two, "SELECT id, a, b, name FROM t ORDER BY id");
    both(two, "SELECT id, name FROM t ORDER BY id DESC LIMIT 300");
    both(two, "SELECT b, id FROM t ORDER BY b, id LIMIT 400");
    both(two, "SELECT count(*), sum(a), max(b) FROM t WHERE b BETWEEN 20 AND 60");
}

static void random_statement(struct side *two, struct prng *r, uint32_t *savepoints)
{
    char sql[300];
    int from = (int)prng_below(r, 3000), n = 1 + (int)prng_below(r, 400), k = (int)prng_below(r, 1000);
    switch (prng_below(r, 12)) {
    case 0: case 1: case 2:
        snprintf(sql, sizeof sql, "INSERT OR IGNORE INTO t SELECT i, %d, i %% 97, 'row ' || i || '-%d', i FROM (WITH RECURSIVE c(i) AS (SELECT %d UNION ALL SELECT "
                 "i + 1 FROM c WHERE i < %d) SELECT i FROM c) AS s", k, k, from, from + n);
        break;
    case 3: case 4:
        snprintf(sql, sizeof sql, "UPDATE t SET a = a + %d, b = (b + 1) %% 97 WHERE id BETWEEN %d AND %d", k, from, from + n);
        break;
    case 5:
        snprintf(sql, sizeof sql, "DELETE FROM t WHERE id BETWEEN %d AND %d", from, from + n / 4);
        break;
    case 6: /* fails at some row, after others were written */
        snprintf(sql, sizeof sql, "UPDATE t SET name = 'new ' || id, u = CASE WHEN id >= %d THEN -1 ELSE u END", from + n);
        break;
    case 7:
        if (*savepoints < 3)
            snprintf(sql, sizeof sql, "SAVEPOINT s%u", ++*savepoints);
        else
            snprintf(sql, sizeof sql, "RELEASE s%u", (*savepoints)--);
        break;
    case 8:
        if (*savepoints == 0)
            return;
        snprintf(sql, sizeof sql, "ROLLBACK TO s%u", *savepoints);
        break;
    case 9:
        snprintf(sql, sizeof sql, "SELECT id, a, name FROM t WHERE b = %d ORDER BY id DESC", k % 97);
        break;
    case 10:
        snprintf(sql, sizeof sql, "UPDATE t SET name = name || (SELECT count(*) FROM t AS x WHERE x.b = t.b) WHERE id BETWEEN %d AND %d", from, from + n / 8);
        break;
    default:
        snprintf(sql, sizeof sql, "SELECT id, a, b, name FROM t WHERE id BETWEEN %d AND %d ORDER BY id", from, from + n);
    }
    both(two, sql);
}

static void test_txn_large_agrees_with_one_in_memory(void)
{
    char dir[] = "/tmp/quartet_large_XXXXXX", remove[100];
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    struct side two[2];
    struct prng r;
    uint64_t seed = unit_seed(7);
    prng_seed(&r, seed);
    side_open(&two[0], env_posix(), NULL, 0);
    side_open(&two[1], env_posix(), dir, 64 << 10);
    both(two, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, name TEXT, u INTEGER UNIQUE)");
    both(two, "CREATE INDEX t_b ON t (b)");
    for (int round = 0; round < 6 && CU_get_number_of_failures() == 0; round++) {
        uint32_t savepoints = 0;
        both(two, "BEGIN");
        for (int i = 0; i < 40; i++)
            random_statement(two, &r, &savepoints);
        check(two);
        if (round == 3)
            both(two, "CREATE INDEX t_a ON t (a)");
        both(two, round % 3 == 2 ? "ROLLBACK" : "COMMIT");
        check(two);
        if (round == 2) {
            side_close(&two[1]);
            side_open(&two[1], env_posix(), dir, 64 << 10);
            check(two);
        }
    }
    both(two, "SELECT a, id FROM t WHERE a > 100 ORDER BY a, id LIMIT 500");
    if (CU_get_number_of_failures() != 0)
        printf("seed %llu\n", (unsigned long long)seed);
    side_close(&two[0]);
    side_close(&two[1]);
    snprintf(remove, sizeof remove, "rm -rf %s", dir);
    CU_ASSERT_EQUAL(system(remove), 0);
}

/* The disk fills up while a commit's chunks are being logged: nothing has happened, later commits take its numbers, and replay passes over what it left. */
static void test_txn_large_full_log_leaves_no_trace(void)
{
    static const char fill[] = "INSERT INTO t SELECT i, hex(zeroblob(500)) FROM (WITH RECURSIVE c(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM c WHERE i < 40000) "
                               "SELECT i FROM c) AS s";
    struct fault_env f;
    struct side s;
    struct err err = ERR_INIT;
    struct buf before = {0}, after = {0};
    struct db_options o = {.base_in_memory = true, .buffer_bytes = 64 << 10};
    fault_env_init(&f, unit_seed(3));
    OK(db_open(&f.env, "/db", &o, &s.d, &err));
    OK(conn_open(s.d, &s.c, &err));
    OK(run(&s, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)", NULL, &err));
    OK(run(&s, "INSERT INTO t VALUES (1, 'one')", NULL, &err));
    f.disk_bytes = f.used_bytes + (20u << 20);
    CU_ASSERT_EQUAL(run(&s, fill, NULL, &err), QUARTET_FULL);
    f.disk_bytes = 0;
    err_clear(&err);
    OK(run(&s, "INSERT INTO t VALUES (2, 'two')", NULL, &err));
    OK(run(&s, "SELECT * FROM t ORDER BY id", &before, &err));
    CU_ASSERT_TRUE(slice_eq(slice_of(before.data, before.len), slice_of("1|'one'|2|'two'|", 16)));
    side_close(&s);
    OK(db_open(&f.env, "/db", &o, &s.d, &err));
    OK(conn_open(s.d, &s.c, &err));
    OK(run(&s, "SELECT * FROM t ORDER BY id", &after, &err));
    CU_ASSERT_TRUE(slice_eq(slice_of(before.data, before.len), slice_of(after.data, after.len)));
    side_close(&s);
    fault_env_deinit(&f);
    buf_deinit(&before);
    buf_deinit(&after);
}

/* Files as the system gives them, but that a thread which is not the test's finds the disk full while `full` says so. */
static _Thread_local bool tests_own;
static atomic_bool full;
static atomic_uint refused;

static quartet_status full_pwrite(struct file *f, const void *p, size_t n, uint64_t offset, struct err *err)
{
    if (!tests_own && full) {
        atomic_fetch_add(&refused, 1u);
        return err_set(err, QUARTET_FULL, "no room, says the test");
    }
    return env_posix()->ops->pwrite(f, p, n, offset, err);
}

/* The thread that writes a large transaction to disk fails: statements say so and leave nothing behind, the others' rows stay, and it goes on once there is room. */
static void test_txn_large_full_disk_behind_its_back(void)
{
    char dir[] = "/tmp/quartet_large_XXXXXX", remove[100], sql[300];
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    struct env env = *env_posix();
    struct env_ops ops = *env.ops;
    struct err err = ERR_INIT;
    struct side s;
    struct buf out = {0};
    ops.pwrite = full_pwrite;
    env.ops = &ops;
    tests_own = true;
    side_open(&s, &env, dir, 64 << 10);
    OK(run(&s, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)", NULL, &err));
    OK(run(&s, "BEGIN", NULL, &err));
    uint32_t good = 0, bad = 0;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t id = i * 7919u % 3000u;
        full = i >= 600 && i < 1500;
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%u, 'a row of about a hundred bytes, so that there are many runs of them: %u')", id, id);
        quartet_status rc = run(&s, sql, NULL, &err);
        CU_ASSERT_TRUE(rc == QUARTET_OK || (rc == QUARTET_FULL && i >= 600)); /* the thread may be told of later */
        good += rc == QUARTET_OK;
        bad += rc != QUARTET_OK;
        sum += rc == QUARTET_OK ? id : 0;
        err_clear(&err);
    }
    CU_ASSERT_TRUE(bad > 0 && good > 2000 && refused > 0);
    OK(run(&s, "COMMIT", NULL, &err));
    OK(run(&s, "SELECT count(*), sum(id) FROM t", &out, &err));
    snprintf(sql, sizeof sql, "%u|%llu|", good, (unsigned long long)sum);
    CU_ASSERT_TRUE(out.len == strlen(sql) && memcmp(out.data, sql, out.len) == 0);
    side_close(&s);
    buf_deinit(&out);
    snprintf(remove, sizeof remove, "rm -rf %s", dir);
    CU_ASSERT_EQUAL(system(remove), 0);
}

const struct unit_test unit_tests[] = {
    {"a full disk behind its back", test_txn_large_full_disk_behind_its_back},
    {"a full log leaves no trace", test_txn_large_full_log_leaves_no_trace},
    {"agrees with one in memory", test_txn_large_agrees_with_one_in_memory},
    {NULL, NULL},
};

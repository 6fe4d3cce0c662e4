/* test_entries.c - index entries are those of the rows, however rows were written: random statements in transactions of any size, and after each the same question by the index
 * and by the table. The database's buffer is so small that large transactions become runs and CREATE INDEX sorts on disk. */
#include "db_help.h"

#include "base/prng.h"
#include "engine/conn.h"
#include "engine/kv.h"

const char *const unit_suite = "entries";

struct side {
    db *d;
    conn *c;
};

/* All values of all rows are appended to `out` (may be NULL). */
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

/* Two ways to ask the same: equal rows. */
static void same(struct side *s, const char *by_index, const char *by_table)
{
    struct err err = ERR_INIT;
    struct buf a = {0}, b = {0};
    OK(run(s, by_index, &a, &err));
    OK(run(s, by_table, &b, &err));
    bool equal = slice_eq(slice_of(a.data, a.len), slice_of(b.data, b.len));
    if (!equal)
        printf("\n%s\n%s\n%zu and %zu bytes\n%.*s\n%.*s\n", by_index, by_table, a.len, b.len, (int)(a.len < 300 ? a.len : 300), a.data,
               (int)(b.len < 300 ? b.len : 300), b.data);
    CU_ASSERT_TRUE(equal);
    buf_deinit(&a);
    buf_deinit(&b);
}

static void check(struct side *s, struct prng *r)
{
    char one[200], two[200];
    int k = (int)prng_below(r, 40);
    snprintf(one, sizeof one, "SELECT id, a, c FROM t WHERE a BETWEEN %d AND %d ORDER BY id", k, k + 3);
    snprintf(two, sizeof two, "SELECT id, a, c FROM t WHERE +a BETWEEN %d AND %d ORDER BY id", k, k + 3);
    same(s, one, two);
    snprintf(one, sizeof one, "SELECT id, u FROM t WHERE u BETWEEN %d AND %d ORDER BY id", k * 20, k * 20 + 60);
    snprintf(two, sizeof two, "SELECT id, u FROM t WHERE +u BETWEEN %d AND %d ORDER BY id", k * 20, k * 20 + 60);
    same(s, one, two);
    snprintf(one, sizeof one, "SELECT id FROM t WHERE a + b = %d ORDER BY id", k);
    snprintf(two, sizeof two, "SELECT id FROM t WHERE a + b + 0 = %d ORDER BY id", k);
    same(s, one, two);
    same(s, "SELECT count(*), sum(a) FROM t WHERE a >= -1", "SELECT count(*), sum(a) FROM t");
}

static void random_statement(struct side *s, struct prng *r)
{
    static const char *const rows = "(WITH RECURSIVE c(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM c WHERE i < %d) SELECT i FROM c)";
    char sql[500], from[200];
    struct err err = ERR_INIT;
    int lo = (int)prng_below(r, 800), n = (int)prng_below(r, prng_below(r, 3) == 0 ? 400 : 20), k = (int)prng_below(r, 40);
    snprintf(from, sizeof from, rows, lo, lo + n);
    switch (prng_below(r, 9)) {
    case 0: case 1:
        snprintf(sql, sizeof sql, "INSERT OR IGNORE INTO t SELECT i, i %% 40, %d, 'c' || (i %% 7), i FROM %s", k, from);
        break;
    case 2: case 3: /* other rows' values of u stand in the way */
        snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO t SELECT i, (i + %d) %% 40, i %% 3, 'r' || i, i + %d FROM %s", k, k % 5, from);
        break;
    case 4:
        snprintf(sql, sizeof sql, "UPDATE t SET a = (a + %d) %% 40, c = c || 'x' WHERE id BETWEEN %d AND %d", k, lo, lo + n);
        break;
    case 5: /* the key moves: DELETE and INSERT */
        snprintf(sql, sizeof sql, "UPDATE OR IGNORE t SET id = id + 1000 - 2000 * (id >= 1000), a = (a + 1) %% 40 WHERE a = %d", k);
        break;
    case 6:
        snprintf(sql, sizeof sql, "DELETE FROM t WHERE a BETWEEN %d AND %d", k, k + n % 3);
        break;
    case 7:
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, %d, %d, 'up', %d) ON CONFLICT (id) DO UPDATE SET a = excluded.a, b = b + 1", lo, k, n, lo + 5000);
        break;
    default:
        snprintf(sql, sizeof sql, "DELETE FROM t WHERE id BETWEEN %d AND %d", lo, lo + n);
    }
    quartet_status rc = run(s, sql, NULL, &err);
    if (rc != QUARTET_OK && rc != QUARTET_CONSTRAINT)
        printf("\n%s\n%s\n", sql, err.text);
    CU_ASSERT_TRUE(rc == QUARTET_OK || rc == QUARTET_CONSTRAINT);
}

static void histories(const char *dir, size_t buffer_bytes, uint64_t seed)
{
    struct err err = ERR_INIT;
    struct side s;
    struct prng r;
    struct db_options o = {.in_memory = dir == NULL, .buffer_bytes = buffer_bytes, .sync = LOG_SYNC_OFF};
    prng_seed(&r, seed);
    OK(db_open(env_posix(), dir != NULL ? dir : ":memory:", &o, &s.d, &err));
    OK(conn_open(s.d, &s.c, &err));
    OK(run(&s, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, c TEXT, u INTEGER UNIQUE)", NULL, &err));
    OK(run(&s, "CREATE INDEX t_a ON t (a DESC)", NULL, &err));
    OK(run(&s, "CREATE INDEX t_ab ON t (a + b)", NULL, &err));
    for (int round = 0; round < 12 && CU_get_number_of_failures() == 0; round++) {
        OK(run(&s, "BEGIN", NULL, &err));
        for (int i = 0; i < 12; i++) {
            bool marked = prng_below(&r, 4) == 0;
            if (marked)
                OK(run(&s, "SAVEPOINT x", NULL, &err));
            random_statement(&s, &r);
            if (marked)
                OK(run(&s, prng_below(&r, 2) == 0 ? "ROLLBACK TO x" : "RELEASE x", NULL, &err));
        }
        check(&s, &r);
        if (round == 5) { /* in a transaction that has written rows, and read by it at once */
            OK(run(&s, "DROP INDEX t_a", NULL, &err));
            OK(run(&s, "CREATE INDEX t_a ON t (a, c DESC)", NULL, &err));
            check(&s, &r);
        }
        OK(run(&s, round % 5 == 4 ? "ROLLBACK" : "COMMIT", NULL, &err));
        check(&s, &r);
    }
    if (CU_get_number_of_failures() != 0)
        printf("seed %llu\n", (unsigned long long)seed);
    conn_close(s.c);
    OK(db_close(s.d, &err));
}

static void test_entries_are_those_of_the_rows(void)
{
    char dir[] = "/tmp/quartet_entries_XXXXXX", remove[100];
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    uint64_t seed = unit_seed(11);
    histories(NULL, 0, seed);
    histories(NULL, 64 << 10, seed + 1);
    histories(dir, 64 << 10, seed + 2);
    snprintf(remove, sizeof remove, "rm -rf %s", dir);
    CU_ASSERT_EQUAL(system(remove), 0);
}

/* What makes a UNIQUE index of rows that are there fail, and what does not. */
static void test_entries_unique_of_what_is_there(void)
{
    struct err err = ERR_INIT;
    struct side s = {.d = help_memory()};
    OK(conn_open(s.d, &s.c, &err));
    OK(run(&s, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT COLLATE NOCASE, c TEXT)", NULL, &err));
    OK(run(&s, "INSERT INTO t VALUES (1, 1, 'x', 'x'), (2, 1, NULL, 'X'), (3, 1, NULL, 'y'), (4, 2, 'x', 'yy'), (5, NULL, 'x', ''), (6, NULL, 'x', NULL), (7, 3, 'X', NULL)", NULL, &err));
    OK(run(&s, "CREATE UNIQUE INDEX i1 ON t (a, b)", NULL, &err));       /* NULLs differ */
    OK(run(&s, "CREATE UNIQUE INDEX i2 ON t (c DESC)", NULL, &err));     /* 'y' begins 'yy', and case counts */
    OK(run(&s, "CREATE UNIQUE INDEX i3 ON t (b) WHERE a = 3", NULL, &err));
    CU_ASSERT_EQUAL(run(&s, "CREATE UNIQUE INDEX i4 ON t (b)", NULL, &err), QUARTET_CONSTRAINT); /* 'x' and 'X' */
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "i4"));
    err_clear(&err);
    OK(run(&s, "BEGIN", NULL, &err));
    OK(run(&s, "UPDATE t SET c = 'y' WHERE id = 7", NULL, &err) == QUARTET_CONSTRAINT ? QUARTET_OK : QUARTET_INTERNAL);
    err_clear(&err);
    OK(run(&s, "DROP INDEX i2", NULL, &err));
    OK(run(&s, "UPDATE t SET c = 'y' WHERE id = 7", NULL, &err)); /* the transaction's own rows count */
    CU_ASSERT_EQUAL(run(&s, "CREATE UNIQUE INDEX i2 ON t (c DESC)", NULL, &err), QUARTET_CONSTRAINT);
    err_clear(&err);
    OK(run(&s, "ROLLBACK", NULL, &err));
    conn_close(s.c);
    help_close(s.d);
}

/* A transaction that is not small beside the base goes into the store as a run, others do not. */
static void test_entries_runs_by_the_size_of_the_base(void)
{
    struct err err = ERR_INIT;
    struct side s = {.d = help_memory()};
    struct kv_stats stats;
    OK(conn_open(s.d, &s.c, &err));
    CU_ASSERT_EQUAL(kv_bulk_from(s.d->store), KV_BULK_BYTES_MIN);
    OK(run(&s, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)", NULL, &err));
    OK(run(&s, "INSERT INTO t VALUES (-1, 'x')", NULL, &err));
    kv_stats(s.d->store, &stats);
    CU_ASSERT_TRUE(stats.frozen_runs == 0 && stats.flushes == 0);
    OK(run(&s, "INSERT INTO t SELECT i, 'some text that makes a row of a hundred bytes ' || i FROM (WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 12000) "
               "SELECT i FROM c)", NULL, &err));
    kv_stats(s.d->store, &stats);
    CU_ASSERT_TRUE(stats.frozen_runs + stats.flushes > 0);
    OK(run(&s, "INSERT INTO t SELECT i, printf('%d', i * 7919 % 1000003) || hex(randomblob(400)) FROM (WITH RECURSIVE c(i) AS (SELECT 20001 UNION ALL SELECT i + 1 FROM c "
               "WHERE i < 40000) SELECT i FROM c)", NULL, &err));
    OK(kv_flush(s.d->store, &err));
    size_t from = kv_bulk_from(s.d->store);
    CU_ASSERT_TRUE(from > KV_BULK_BYTES_MIN && from <= (64u << 20) / 4);
    kv_set_limits(s.d->store, &(struct kv_limits){.buffer_bytes = 1 << 20});
    CU_ASSERT_EQUAL(kv_bulk_from(s.d->store), 1 << 18);
    conn_close(s.c);
    help_close(s.d);
}

const struct unit_test unit_tests[] = {
    {"are those of the rows", test_entries_are_those_of_the_rows},
    {"unique of what is there", test_entries_unique_of_what_is_there},
    {"runs by the size of the base", test_entries_runs_by_the_size_of_the_base},
    {NULL, NULL},
};

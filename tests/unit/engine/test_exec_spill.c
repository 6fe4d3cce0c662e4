/* test_exec_spill.c - sorts that memory does not hold: runs on their own, ORDER BY under a small memory_limit, and files that fail meanwhile. */
#include "db_help.h"

#include "base/prng.h"
#include "engine/conn.h"
#include "engine/exec_spill.h"
#include "fault/fault_env.h"

const char *const unit_suite = "exec_spill";

/* Runs of every number up to past three levels: all rows come back in order, equal keys in the order in which they went. */
static void test_exec_spill_merges_in_order(void)
{
    for (uint32_t runs = 0; runs <= 600; runs = runs < 20 ? runs + 1 : runs * 2) {
        struct fault_env f;
        struct err err = ERR_INIT;
        struct prng r;
        spill *s;
        struct slice row;
        uint32_t number = 0, seen = 0, last_key = 0, last_number = 0;
        fault_env_init(&f, 1);
        prng_seed(&r, runs + 1);
        OK(f.env.ops->mkdir(&f.env, "/t", &err));
        OK(spill_new(&f.env, "/t", &s, &err));
        for (uint32_t i = 0; i < runs; i++) {
            uint32_t rows = (uint32_t)prng_below(&r, 6), key = 0;
            OK(spill_run_begin(s, &err));
            for (uint32_t k = 0; k < rows; k++) {
                uint8_t rest[3] = {0}, bytes[8];
                key += (uint32_t)prng_below(&r, 3);
                rest[0] = (uint8_t)key; /* the words are the same: what follows decides */
                struct spill_key at = {.first = 7, .second = key / 64, .rest = rest, .rest_bytes = key % 2 == 0 ? 1 : 3};
                store_le32(bytes, key);
                store_le32(bytes + 4, ++number);
                OK(spill_run_put(s, &at, slice_of(bytes, sizeof bytes), &err));
            }
            OK(spill_run_end(s, &err));
            CU_ASSERT(spill_runs(s) < 3 * SPILL_FAN_IN + 1);
        }
        OK(spill_read(s, &err));
        for (;;) {
            OK(spill_next(s, &row, &err));
            if (row.p == NULL)
                break;
            uint32_t key = load_le32(row.p), at = load_le32(row.p + 4);
            CU_ASSERT(key > last_key || seen == 0 || (key == last_key && at > last_number));
            last_key = key;
            last_number = at;
            seen++;
        }
        CU_ASSERT_EQUAL(seen, number);
        spill_free(s);
        fault_env_deinit(&f);
    }
}

static quartet_status run(conn *c, const char *sql, struct buf *out, struct err *err)
{
    conn_stmt *st = NULL;
    size_t consumed = 0;
    struct batch rows;
    quartet_status rc = conn_prepare(c, sql, strlen(sql), &st, &consumed, err);
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

static void exec_sql(conn *c, const char *sql)
{
    struct err err = ERR_INIT;
    OK(run(c, sql, NULL, &err));
}

struct disk {
    struct fault_env f;
    db *d;
    conn *c;
};

static void disk_open(struct disk *k, uint32_t rows)
{
    struct err err = ERR_INIT;
    struct db_options o = {.base_in_memory = true, .sync = LOG_SYNC_OFF};
    char sql[400];
    fault_env_init(&k->f, 3);
    OK(db_open(&k->f.env, "/db", &o, &k->d, &err));
    OK(conn_open(k->d, &k->c, &err));
    exec_sql(k->c, "CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER, b TEXT, c DECIMAL(12, 2), e DATE)");
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO t SELECT value, CASE WHEN value %% 9 > 0 THEN value * 7919 %% 2003 END, 'row ' || (value %% 97) || substr('%s', 1, value %% 60), "
                   "value * 1.25, date('2020-01-01', '+' || (value %% 700) || ' days') FROM generate_series(1, %u)",
                   "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh", rows);
    exec_sql(k->c, sql);
}

static void disk_close(struct disk *k)
{
    struct err err = ERR_INIT;
    conn_close(k->c);
    OK(db_close(k->d, &err));
    fault_env_deinit(&k->f);
}

#define sorts_first "SELECT * FROM t ORDER BY a, b, id"
static const char *const sorts[] = {
    sorts_first, "SELECT b, a FROM t ORDER BY b DESC, c", "SELECT id FROM t ORDER BY a % 3",
    "SELECT a / 2.0, e, NULL FROM t ORDER BY 1 DESC, e DESC, id", "SELECT b, c FROM t ORDER BY b COLLATE NOCASE, c DESC LIMIT 9000 OFFSET 7",
    "SELECT CASE WHEN id % 2 = 0 THEN a ELSE b END FROM t ORDER BY 1 NULLS LAST, id",
};

/* 30,000 rows are some 3 MiB and more: under 1 MiB they come in the order that memory gives them. */
static void test_exec_spill_order_by(void)
{
    struct disk k;
    disk_open(&k, 30000);
    for (size_t i = 0; i < sizeof sorts / sizeof sorts[0]; i++) {
        struct buf out[2] = {{0}, {0}};
        struct err err = ERR_INIT;
        exec_sql(k.c, "SET memory_limit = 1000");
        OK(run(k.c, sorts[i], &out[0], &err));
        uint64_t writes = k.f.writes;
        exec_sql(k.c, "SET memory_limit = 1");
        OK(run(k.c, sorts[i], &out[1], &err));
        CU_ASSERT(k.f.writes > writes + 5); /* it did go to disk */
        CU_ASSERT_EQUAL(out[0].len, out[1].len);
        CU_ASSERT(out[0].len == out[1].len && memcmp(out[0].data, out[1].data, out[0].len) == 0);
        buf_deinit(&out[0]);
        buf_deinit(&out[1]);
    }
    disk_close(&k);
}

/* Groups that memory does not hold, some levels deep: as with memory for all, whatever the order in which they come. */
static void test_exec_spill_group_by(void)
{
    static const char *const groups[] = {
        "SELECT * FROM (SELECT id, count(*), sum(a), min(b), max(c) FROM t GROUP BY id) ORDER BY 1",
        "SELECT * FROM (SELECT b, c, count(DISTINCT a), sum(c) FILTER (WHERE id % 2 = 0), avg(a) FROM t GROUP BY b, c) ORDER BY 1, 2",
        ("SELECT * FROM (SELECT CASE WHEN id % 3 = 0 THEN NULL WHEN id % 3 = 1 THEN id ELSE id || 'x' END AS k, group_concat(b, ',' ORDER BY c DESC), e FROM t "
         "GROUP BY k, e) ORDER BY 1, 3 LIMIT 12000"),
        "SELECT count(*), sum(n) FROM (SELECT b || (id % 9000) AS k, count(*) AS n, min(e), a FROM t GROUP BY b || (id % 9000))",
    };
    struct disk k;
    disk_open(&k, 30000);
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        struct buf out[2] = {{0}, {0}};
        struct err err = ERR_INIT;
        exec_sql(k.c, "SET memory_limit = 1000");
        OK(run(k.c, groups[i], &out[0], &err));
        uint64_t writes = k.f.writes;
        exec_sql(k.c, i == 2 ? "SET memory_limit = 12" : "SET memory_limit = 1"); /* the third keeps what it will put in order, too */
        OK(run(k.c, groups[i], &out[1], &err));
        CU_ASSERT(k.f.writes > writes + 5);
        CU_ASSERT(out[0].len == out[1].len && memcmp(out[0].data, out[1].data, out[0].len) == 0);
        buf_deinit(&out[0]);
        buf_deinit(&out[1]);
    }
    disk_close(&k);
}

/* The same answer with memory for all of it, and with 1 MiB and the disk. */
static void with_and_without(struct disk *k, const char *sql, uint32_t limit)
{
    struct buf out[2] = {{0}, {0}};
    struct err err = ERR_INIT;
    char set[64];
    exec_sql(k->c, "SET memory_limit = 1000");
    OK(run(k->c, sql, &out[0], &err));
    uint64_t writes = k->f.writes;
    (void)snprintf(set, sizeof set, "SET memory_limit = %u", limit); /* it fits */
    exec_sql(k->c, set);
    OK(run(k->c, sql, &out[1], &err));
    bool wrote = k->f.writes > writes + 5;
    CU_ASSERT(wrote); /* it did go to disk */
    bool same = out[0].len == out[1].len && memcmp(out[0].data, out[1].data, out[0].len) == 0;
    CU_ASSERT(same && out[0].len > 10);
    if (!same || !wrote || out[0].len <= 10)
        printf("\n%s: %zu and %zu bytes\n", sql, out[0].len, out[1].len);
    buf_deinit(&out[0]);
    buf_deinit(&out[1]);
}

/* DISTINCT and set operations whose keys memory does not hold; that of DISTINCT ON in the order of the sort below it. */
static void test_exec_spill_distinct_and_sets(void)
{
    static const char *const queries[] = {
        "SELECT count(*), sum(id), min(b) FROM (SELECT DISTINCT id, b, e FROM t)",
        "SELECT * FROM (SELECT DISTINCT b || (id % 20011) AS k, e, a FROM t) ORDER BY 1, 2, 3",
        "SELECT DISTINCT ON (b || (id % 9000)) id, c, b FROM t ORDER BY c DESC, id",
        "SELECT DISTINCT ON (id / 2) id, b, a FROM t ORDER BY e, id LIMIT 11000",
        "SELECT * FROM (SELECT id, b FROM t UNION SELECT id + 10, b FROM t UNION SELECT -id, NULL FROM t) ORDER BY 1, 2",
        "SELECT count(*), sum(id), min(b) FROM (SELECT id, b, e FROM t EXCEPT SELECT id, b, e FROM t WHERE id % 3 = 0)",
        "SELECT count(*), sum(id), min(b) FROM (SELECT id, b FROM t INTERSECT SELECT id, b FROM t WHERE id % 7 > 2)",
        "SELECT count(*), sum(k) FROM (SELECT id / 2 AS k, 'x' AS x FROM t EXCEPT ALL SELECT id, 'x' FROM t)",
        "SELECT count(*), sum(k) FROM (SELECT id / 2 AS k, 'x' AS x FROM t UNION ALL SELECT id, 'x' FROM t INTERSECT ALL SELECT id / 3, 'x' FROM t EXCEPT SELECT 5, 'x')",
    };
    struct disk k;
    disk_open(&k, 30000);
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++)
        with_and_without(&k, queries[i], 1);
    disk_close(&k);
}

/* Joins whose right side memory does not hold, some levels deep: every kind, with and without a further condition, NULLs on both sides. */
static void test_exec_spill_joins(void)
{
    static const char *const queries[] = {
        "SELECT count(*), sum(x.id), sum(y.c), min(y.b) FROM t AS x JOIN t AS y ON x.id + 0 = y.id + 3",
        "SELECT * FROM (SELECT x.id AS i, y.id AS k, y.b FROM t AS x LEFT JOIN t AS y ON x.id + 0 = y.id * 2 AND x.b > y.b) ORDER BY 1, 2",
        "SELECT count(*), count(x.id), count(y.id), sum(x.id), sum(y.id) FROM t AS x FULL JOIN t AS y ON x.id + 100 = y.id * 3",
        "SELECT count(*), count(x.id), count(y.id), sum(x.id), sum(y.id) FROM t AS x FULL JOIN t AS y ON nullif(x.id % 5000, 3) = nullif(y.id * 3, 12)",
        "SELECT count(*), sum(y.id), max(y.b || x.b) FROM t AS x RIGHT JOIN t AS y ON x.id % 20000 = y.id + 0 AND x.e <> y.e",
        "SELECT count(*), sum(id) FROM t AS x WHERE EXISTS (SELECT 1 FROM t AS y WHERE y.id * 2 = x.id + 0)",
        "SELECT count(*), sum(id) FROM t AS x WHERE NOT EXISTS (SELECT 1 FROM t AS y WHERE y.id * 2 = x.id + 0)",
        "SELECT count(*), sum(id) FROM t AS x WHERE EXISTS (SELECT 1 FROM t AS y WHERE y.id - 7 = x.id + 0 AND y.b < x.b)",
        "SELECT count(*), sum(id) FROM t AS x WHERE NOT EXISTS (SELECT 1 FROM t AS y WHERE y.id - 7 = nullif(x.id, 9) AND y.b < x.b)",
        "SELECT count(*), sum(x.id) FROM t AS x JOIN t AS y ON x.id + 0 = y.id + 1 AND x.e <> y.e JOIN t AS z ON z.id + 0 = x.id + 2",
    };
    struct disk k;
    disk_open(&k, 30000);
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++)
        with_and_without(&k, queries[i], i == 1 ? 2 : 1);
    /* A range of 20,000 equal keys of a merge join, walked three times and across. */
    exec_sql(k.c, "CREATE TABLE g(x INTEGER, y INTEGER, b TEXT, PRIMARY KEY (x, y))");
    exec_sql(k.c, "INSERT INTO g SELECT CASE WHEN id BETWEEN 5001 AND 25000 THEN 5 ELSE id END, id, b || b FROM t");
    with_and_without(&k, "SELECT count(*), sum(g.y), sum(h.y), max(g.b || h.b) FROM g JOIN g AS h ON g.x = h.x WHERE g.y % 7000 < 4 AND h.y % 7 >= 0", 1);
    with_and_without(&k, "SELECT count(*), count(h.x), sum(h.y), min(g.b || h.b) FROM g LEFT JOIN g AS h ON g.x = h.x AND h.y > g.y WHERE g.y % 7000 < 4", 1);
    disk_close(&k);
}

/* Windows: many partitions, and one that memory does not hold; every function and kind of frame. */
static void test_exec_spill_windows(void)
{
    static const char *const queries[] = {
        "SELECT id, row_number() OVER (ORDER BY b, id), sum(a) OVER (ORDER BY id), count(*) OVER () FROM t",
        ("SELECT id, rank() OVER w, dense_rank() OVER w, percent_rank() OVER w, cume_dist() OVER w, ntile(7) OVER w, lag(b, 3, 'none') OVER (PARTITION BY a ORDER BY id) "
         "FROM t WINDOW w AS (PARTITION BY a ORDER BY e)"),
        ("SELECT id, sum(a) OVER (ORDER BY id ROWS BETWEEN 20 PRECEDING AND 5 FOLLOWING), min(b) OVER (ORDER BY a NULLS LAST, id ROWS 10 PRECEDING), "
         "first_value(b) OVER (PARTITION BY e ORDER BY id), last_value(id) OVER (PARTITION BY e ORDER BY a, id), nth_value(c, 5000) OVER (ORDER BY id) FROM t"),
        ("SELECT id, sum(a) OVER (ORDER BY a RANGE BETWEEN 3 PRECEDING AND 3 FOLLOWING), count(*) OVER (ORDER BY a DESC RANGE BETWEEN 5 PRECEDING AND 1 PRECEDING), "
         "group_concat(id) OVER (PARTITION BY a ORDER BY id GROUPS 2 PRECEDING) FROM t"),
        ("SELECT id, sum(id) OVER (ORDER BY e GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES), lead(id, id % 50) OVER (ORDER BY c), "
         "lag(a, 2) IGNORE NULLS OVER (ORDER BY id), first_value(a) IGNORE NULLS OVER (ORDER BY id ROWS BETWEEN CURRENT ROW AND 9 FOLLOWING), b FROM t"),
        "SELECT id, sum(a) FILTER (WHERE id % 2 = 0) OVER (PARTITION BY id % 3 ORDER BY b, id), max(b) OVER (PARTITION BY id % 3), stddev(a) OVER (PARTITION BY b) FROM t",
    };
    struct disk k;
    disk_open(&k, 20000);
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++)
        with_and_without(&k, queries[i], 1);
    disk_close(&k);
}

/* A database in memory has no disk to go to. */
static void test_exec_spill_nowhere(void)
{
    struct err err = ERR_INIT;
    db *d = help_memory();
    conn *c;
    OK(conn_open(d, &c, &err));
    exec_sql(c, "SET memory_limit = 1");
    CU_ASSERT_EQUAL(run(c, "SELECT value FROM generate_series(1, 200000) ORDER BY value DESC", NULL, &err), QUARTET_LIMIT);
    conn_close(c);
    help_close(d);
}

/* Every write, read and open fails once, and the disk is full: the statement says so, the next one works. */
static void test_exec_spill_survives_faults(void)
{
    struct disk k;
    struct buf want = {0};
    struct err err = ERR_INIT;
    disk_open(&k, 12000);
    OK(run(k.c, sorts[0], &want, &err));
    exec_sql(k.c, "SET memory_limit = 1");
    static const char *const statements[] = {
        sorts_first, "SELECT id, c, count(*), min(b) FROM t GROUP BY id, c", "SELECT DISTINCT id, b, e FROM t", "SELECT DISTINCT ON (b, id) id, c FROM t ORDER BY c DESC, id",
        "SELECT id, b FROM t INTERSECT SELECT id, b FROM t",
        "SELECT count(*), max(y.b) FROM t AS x LEFT JOIN t AS y ON x.id + 0 = y.id + 3",
        "SELECT count(*) FROM t AS x WHERE NOT EXISTS (SELECT 1 FROM t AS y WHERE y.id * 2 = x.id + 0)",
        "SELECT id, sum(a) OVER (PARTITION BY id % 2 ORDER BY b, id), lag(b, 700) OVER (PARTITION BY id % 2 ORDER BY b, id) FROM t",
    };
    for (uint32_t turn = 0; turn < 3 * sizeof statements / sizeof statements[0]; turn++) {
        const uint32_t what = turn % 3;
        const char *sql = statements[turn / 3];
        uint32_t failed = 0;
        quartet_status rc = QUARTET_IO;
        for (uint64_t nth = 1; rc != QUARTET_OK; nth += nth < 4 ? 1 : 7) {
            uint64_t *at[] = {&k.f.fail_write_at, &k.f.fail_read_at, &k.f.fail_open_at};
            struct err told = ERR_INIT;
            *at[what] = nth;
            rc = run(k.c, sql, NULL, &told);
            CU_ASSERT(rc == QUARTET_OK || told.text[0] != 0);
            failed += rc != QUARTET_OK;
            *at[what] = 0;
        }
        CU_ASSERT(failed > 0);
    }
    k.f.disk_bytes = k.f.used_bytes + 1000;
    CU_ASSERT_EQUAL(run(k.c, sorts[0], NULL, &err), QUARTET_FULL);
    k.f.disk_bytes = 0;
    struct buf out = {0};
    OK(run(k.c, sorts[0], &out, &err));
    CU_ASSERT(out.len == want.len && memcmp(out.data, want.data, want.len) == 0);
    buf_deinit(&out);
    buf_deinit(&want);
    disk_close(&k);
}

const struct unit_test unit_tests[] = {
    {"test_exec_spill_merges_in_order", test_exec_spill_merges_in_order},
    {"test_exec_spill_order_by", test_exec_spill_order_by},
    {"test_exec_spill_group_by", test_exec_spill_group_by},
    {"test_exec_spill_distinct_and_sets", test_exec_spill_distinct_and_sets},
    {"test_exec_spill_joins", test_exec_spill_joins},
    {"test_exec_spill_windows", test_exec_spill_windows},
    {"test_exec_spill_nowhere", test_exec_spill_nowhere},
    {"test_exec_spill_survives_faults", test_exec_spill_survives_faults},
    {NULL, NULL},
};

/* test_derived.c - generated columns, indexes on expressions and partial ones: whoever wrote the rows, a column is what its row says, and, an index holds those that its WHERE names under what its expressions say, the
 *   planner uses it, and a UNIQUE one hides the rows that break it, alike on all members. */
#include "cluster_help.h"
#include "dir_help.h"
#include "engine/verify.h"
#include "query_help.h"

#define IDS 14

static const char *const schema[] = {
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, s TEXT, g INTEGER AS (a * 10 + b) STORED, h TEXT AS (upper(s) || g))",
    "CREATE INDEX t_sum ON t (a + b, s DESC)",
    "CREATE INDEX t_part ON t (b) WHERE a > 2 AND s IS NOT NULL",
    "CREATE UNIQUE INDEX t_once ON t (a, lower(s)) WHERE b < 4",
    "CREATE INDEX t_g ON t (g, h)",
};

/* ---- one node ---- */

static void test_derived_expressions_are_found(void)
{
    db *d = help_memory();
    for (size_t i = 0; i < sizeof schema / sizeof schema[0]; i++)
        run_sql(d, schema[i]);
    run_sql(d, "INSERT INTO t SELECT value, value % 100, value / 7, 'S' || value FROM generate_series(1, 5000)");
    expect_part(d, "EXPLAIN SELECT id FROM t WHERE a + b = 77", "index t_sum (a + b = ?)");
    expect_part(d, "EXPLAIN SELECT id FROM t x WHERE 77 = x.a + x.b AND s = 'q'", "index t_sum (a + b = ? AND s = ?)");
    expect_part(d, "EXPLAIN SELECT id FROM t WHERE a + b BETWEEN 3 AND 4", "using index t_sum");
    expect_part(d, "EXPLAIN SELECT id FROM t WHERE b + a = 77", "Scan t"); /* another expression */
    expect_part(d, "EXPLAIN SELECT x.id FROM (VALUES (3), (4)) y JOIN t x ON x.a + x.b = y.column1", "t_sum");
    expect_rows(d, "SELECT id FROM t WHERE a + b = 8 AND id < 60 ORDER BY id", "7\n");
    expect_rows(d, "SELECT count(*) FROM t WHERE a + b = 80", "6\n");
    expect_rows(d, "SELECT count(*) FROM t WHERE (a + b = 80) IS TRUE", "6\n");
    help_close(d);
}

static void test_derived_where_is_implied(void)
{
    static const struct {
        const char *where;
        bool used;
    } cases[] = {
        {"a > 2 AND s IS NOT NULL AND b = 3", true}, {"a > 2 AND s = 'x' AND b = 3", true},        {"a = 5 AND s LIKE 'x%' AND b = 3", true},
        {"a >= 3 AND s > 'a' AND b = 3", true},      {"a IN (4, 5) AND s <> 'q' AND b = 3", true}, {"a BETWEEN 3 AND 9 AND s IN ('x') AND b = 3", true},
        {"a > 2.5 AND s IS NOT NULL AND b = 3", true}, {"2 < a AND s IS NOT NULL AND b > 3 AND b < 5", true},
        {"a >= 2 AND s IS NOT NULL AND b = 3", false}, {"a IN (2, 5) AND s = 'x' AND b = 3", false}, {"a > 2 AND b = 3", false},
        {"a > 2 AND s IS NULL AND b = 3", false},      {"a < 9 AND s = 'x' AND b = 3", false},       {"(a > 2 OR length(s) = 7) AND s = 'x' AND b = 3", false},
        {"a <> 2 AND s = 'x' AND b = 3", false},       {"a > ? AND s = 'x' AND b = 3", false},       {"s NOT IN () AND a > 2 AND b = 3", false},
    };
    db *d = help_memory();
    run_sql(d, schema[0]);
    run_sql(d, schema[2]);
    run_sql(d, "INSERT INTO t SELECT value, value % 10, value % 700, CASE WHEN value % 3 > 0 THEN 'x' END FROM generate_series(1, 5000)");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char sql[200];
        (void)snprintf(sql, sizeof sql, "EXPLAIN SELECT id FROM t WHERE %s", cases[i].where);
        expect_part(d, sql, cases[i].used ? "using index t_part" : "Scan t");
    }
    help_close(d);
}

static void test_derived_definitions_that_cannot_be(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, s TEXT, n INTEGER COUNTER)");
    expect_error(d, "CREATE INDEX x ON t (random())", QUARTET_ERROR, "random() cannot stand in an index", -2);
    expect_error(d, "CREATE INDEX x ON t (a) WHERE s > date('now')", QUARTET_ERROR, "date() cannot stand in the WHERE of an index", -2);
    expect_error(d, "CREATE INDEX x ON t (a + (SELECT 1))", QUARTET_ERROR, "a subquery cannot stand in an index", -2);
    expect_error(d, "CREATE INDEX x ON t (nowhere + 1)", QUARTET_ERROR, "nowhere", -2);
    expect_error(d, "CREATE INDEX x ON t (sum(a))", QUARTET_ERROR, "sum()", -2);
    expect_error(d, "CREATE INDEX x ON t (n + 1)", QUARTET_ERROR, "COUNTER column n", -2);
    expect_error(d, "CREATE INDEX x ON t (a) WHERE n > 1", QUARTET_ERROR, "COUNTER column n", -2);
    run_sql(d, "CREATE INDEX x ON t (a + 1) WHERE s <> ''");
    run_sql(d, "ALTER TABLE t RENAME COLUMN a TO aa");
    expect_error(d, "CREATE INDEX y ON t (nowhere + 1)", QUARTET_ERROR, "nowhere", -2); /* with the reason, also once a column has changed */
    expect_error(d, "ALTER TABLE t DROP COLUMN aa", QUARTET_ERROR, "index x holds it", -2);
    expect_error(d, "ALTER TABLE t DROP COLUMN s", QUARTET_ERROR, "index x holds it", -2);
    expect_error(d, "ALTER TABLE t ALTER COLUMN aa SET COUNTER", QUARTET_ERROR, "index x holds it", -2);
    expect_error(d, "INSERT INTO t (aa, s) VALUES (9223372036854775807, 'x')", QUARTET_ERROR, "aa + 1: overflow", -2);
    expect_rows(d, "SELECT count(*) FROM t", "0\n");
    expect_rows(d, "SELECT column_name, expression, filter_condition FROM information_schema.statistics WHERE index_name = 'x'", "NULL|aa + 1|s <> ''\n");
    help_close(d);
}

static void test_derived_generated_columns(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE o (id INTEGER PRIMARY KEY, price DECIMAL(10,2), n INTEGER, total DECIMAL(12,2) GENERATED ALWAYS AS (price * n) STORED, big INTEGER AS (total > 100))");
    run_sql(d, "INSERT INTO o VALUES (1, 2.50, 10), (2, 30, 10)");
    expect_rows(d, "SELECT * FROM o ORDER BY id", "1|2.50|10|25.00|0\n2|30.00|10|300.00|1\n");
    expect_rows(d, "UPDATE o SET n = n + 1 WHERE id = 1 RETURNING total", "27.50\n");
    expect_rows(d, "INSERT INTO o VALUES (1, 5, 5) ON CONFLICT (id) DO UPDATE SET price = excluded.total RETURNING total, big", "275.00|1\n");
    expect_rows(d, "SELECT x.column1, o.big FROM (VALUES (2), (7)) x LEFT JOIN o ON o.id = x.column1 ORDER BY 1", "2|1\n7|NULL\n");
    expect_error(d, "UPDATE o SET total = 3", QUARTET_ERROR, "is generated", 13);
    expect_error(d, "INSERT INTO o (id, total) VALUES (3, 3)", QUARTET_ERROR, "is generated", 19);
    expect_error(d, "INSERT INTO o VALUES (3, 99999999.99, 9999999999)", QUARTET_MISMATCH, "total: column total is DECIMAL(12,2)", -2);
    expect_error(d, "CREATE TABLE c (a INTEGER AS (b), b INTEGER AS (a))", QUARTET_ERROR, "computed from itself", -2);
    expect_error(d, "CREATE TABLE c (a INTEGER AS (random()))", QUARTET_ERROR, "random() cannot stand in a generated column", -2);
    expect_error(d, "CREATE TABLE c (a INTEGER AS (b) PRIMARY KEY, b INTEGER)", QUARTET_ERROR, "cannot be in the primary key", -2);
    expect_error(d, "CREATE TABLE c (a INTEGER AS (b) REFERENCES o, b INTEGER)", QUARTET_ERROR, "can be in no foreign key", -2);
    expect_error(d, "CREATE TABLE c (a INTEGER DEFAULT 3 AS (b), b INTEGER)", QUARTET_ERROR, "no DEFAULT and no kind", -2);
    expect_error(d, "CREATE TABLE c (a INTEGER AS (b) UNIQUE, b INTEGER COUNTER)", QUARTET_ERROR, "COUNTER column b", -2);
    expect_error(d, "CREATE TABLE c (a INTEGER AS (b), b INTEGER COUNTER, CHECK (a > 1))", QUARTET_ERROR, "COUNTER column b", -2);
    run_sql(d, "ALTER TABLE o ADD COLUMN label TEXT AS ('#' || n) NOT NULL");
    expect_error(d, "INSERT INTO o (id) VALUES (9)", QUARTET_CONSTRAINT, "NOT NULL constraint failed: o.label", -2);
    expect_error(d, "ALTER TABLE o DROP COLUMN n", QUARTET_ERROR, "the generated column total is computed from it", -2);
    expect_error(d, "ALTER TABLE o ALTER COLUMN total SET DEFAULT 1", QUARTET_ERROR, "is generated", -2);
    expect_error(d, "ALTER TABLE o ADD COLUMN bad INTEGER AS (nowhere)", QUARTET_ERROR, "nowhere", -2);
    run_sql(d, "ALTER TABLE o RENAME COLUMN n TO amount");
    expect_rows(d, "SELECT label, total FROM o ORDER BY id", "#11|275.00\n#10|300.00\n");
    expect_rows(d, "SELECT generation_expression FROM information_schema.columns WHERE column_name = 'total'", "price * amount\n");
    help_close(d);
}

static void test_derived_unique_of_a_part(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, mail TEXT, gone INTEGER)");
    run_sql(d, "CREATE UNIQUE INDEX t_mail ON t (lower(mail)) WHERE gone IS NULL");
    run_sql(d, "CREATE UNIQUE INDEX t_case ON t (mail COLLATE NOCASE) WHERE gone = 2");
    run_sql(d, "INSERT INTO t VALUES (1, 'X@', NULL), (2, 'x@', 1)");
    expect_error(d, "INSERT INTO t VALUES (3, 'x@', NULL)", QUARTET_CONSTRAINT, "UNIQUE constraint failed: t.lower(mail)", -2);
    expect_error(d, "UPDATE t SET gone = NULL WHERE id = 2", QUARTET_CONSTRAINT, "UNIQUE", -2);
    run_sql(d, "UPDATE t SET gone = 1 WHERE id = 1");
    run_sql(d, "UPDATE t SET gone = NULL WHERE id = 2");
    expect_error(d, "UPDATE t SET gone = NULL WHERE id = 1", QUARTET_CONSTRAINT, "UNIQUE", -2);
    run_sql(d, "INSERT INTO t VALUES (5, 'x@', NULL) ON CONFLICT DO NOTHING");
    run_sql(d, "INSERT OR REPLACE INTO t VALUES (6, 'x@', NULL)");
    expect_rows(d, "SELECT id FROM t ORDER BY id", "1\n6\n");
    run_sql(d, "INSERT INTO t VALUES (7, 'STRASSE', 2)");
    expect_error(d, "INSERT INTO t VALUES (8, 'strasse', 2)", QUARTET_CONSTRAINT, "UNIQUE", -2);
    run_sql(d, "CREATE UNIQUE INDEX t_plain ON t (mail) WHERE gone = 3");
    run_sql(d, "INSERT INTO t VALUES (10, 'q', 3)");
    run_sql(d, "INSERT INTO t VALUES (11, 'q', 3) ON CONFLICT (mail) WHERE gone = 3 DO UPDATE SET mail = 'r'");
    expect_error(d, "INSERT INTO t VALUES (11, 'q', 3) ON CONFLICT (mail) DO NOTHING", QUARTET_ERROR, "no PRIMARY KEY or UNIQUE", -2);
    expect_rows(d, "SELECT mail FROM t WHERE id >= 10", "r\n");
    expect_error(d, "CREATE UNIQUE INDEX t_bad ON t (1)", QUARTET_CONSTRAINT, "equal values", -2);
    help_close(d);
}

/* ---- several nodes ---- */

static void same_way(db *d, const char *columns, const char *condition, uint64_t seed)
{
    struct err err = ERR_INIT;
    struct buf one = {0}, other = {0};
    char sql[300];
    (void)snprintf(sql, sizeof sql, "SELECT %s FROM t WHERE %s ORDER BY id", columns, condition);
    OK(query_try(d, sql, NULL, &one, &err));
    (void)snprintf(sql, sizeof sql, "SELECT %s FROM t WHERE (%s) IS TRUE ORDER BY id", columns, condition);
    OK(query_try(d, sql, NULL, &other, &err));
    bool same = slice_eq(slice_of(one.data, one.len), slice_of(other.data, other.len));
    if (!same)
        printf("\nseed %llu: %s\n  by index: %.*s\n  else:     %.*s\n", (unsigned long long)seed, condition, (int)one.len, (const char *)one.data, (int)other.len, (const char *)other.data);
    CU_ASSERT_FATAL(same);
    buf_deinit(&one);
    buf_deinit(&other);
}

static void expect_indexes(db *d, uint64_t seed)
{
    char condition[100];
    same_way(d, "*", "a > 2 AND s = 'x'", seed);
    same_way(d, "*", "g BETWEEN 12 AND 44", seed);
    same_way(d, "id, h", "g > 20 AND h IS NULL", seed);
    same_way(d, "id", "b BETWEEN 1 AND 6 AND a > 2 AND s IS NOT NULL", seed);
    for (int v = 0; v < 10; v++) {
        (void)snprintf(condition, sizeof condition, "a + b = %d", v);
        same_way(d, "*", condition, seed);
        (void)snprintf(condition, sizeof condition, "a = %d AND lower(s) = 'x' AND b < 4", v);
        same_way(d, "id, a", condition, seed);
    }
}

static void random_statement(db *d, struct prng *r)
{
    static const char *const ddl[] = {"CREATE INDEX IF NOT EXISTS t_more ON t (a * 2, b) WHERE b <> 3", "DROP INDEX IF EXISTS t_more",
                                      "DROP INDEX IF EXISTS t_once", "CREATE UNIQUE INDEX IF NOT EXISTS t_once ON t (a, lower(s)) WHERE b < 4",
                                      "ALTER TABLE t RENAME COLUMN c TO cc", "ALTER TABLE t RENAME COLUMN cc TO c", "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 3",
                                      "CREATE INDEX IF NOT EXISTS t_c ON t (c + a)", "ALTER TABLE t DROP COLUMN c", "ALTER TABLE t ADD COLUMN x INTEGER AS (g + c)", "CREATE INDEX IF NOT EXISTS t_x ON t (x)",
                                      "ALTER TABLE t DROP COLUMN x", "DROP INDEX IF EXISTS t_x"};
    struct err err = ERR_INIT;
    char sql[160], v[2][24];
    int id = 1 + (int)prng_below(r, IDS);
    for (int i = 0; i < 2; i++)
        (void)snprintf(v[i], sizeof v[i], prng_chance(r, 0.15) ? "NULL" : "%d", (int)prng_below(r, 7));
    const char *s = prng_chance(r, 0.2) ? "NULL" : prng_chance(r, 0.5) ? "'x'" : prng_chance(r, 0.5) ? "'X'" : "'y'";
    switch (prng_below(r, 10)) {
    case 0: (void)snprintf(sql, sizeof sql, "DELETE FROM t WHERE id = %d", id); break;
    case 1: case 2: (void)snprintf(sql, sizeof sql, "UPDATE t SET a = %s WHERE id = %d", v[0], id); break;
    case 3: case 4: (void)snprintf(sql, sizeof sql, "UPDATE t SET b = %s WHERE id = %d", v[0], id); break;
    case 5: (void)snprintf(sql, sizeof sql, "UPDATE t SET s = %s WHERE id = %d", s, id); break;
    case 6: (void)snprintf(sql, sizeof sql, "%s", ddl[prng_below(r, sizeof ddl / sizeof ddl[0])]); break;
    default: (void)snprintf(sql, sizeof sql, "INSERT INTO t (id, a, b, s) VALUES (%d, %s, %s, %s)", id, v[0], v[1], s);
    }
    quartet_status rc = query_try(d, sql, NULL, NULL, &err);
    if (rc != QUARTET_OK && rc != QUARTET_CONSTRAINT && strncmp(sql, "ALTER", 5) != 0 && strstr(sql, "t_c") == NULL && strstr(sql, "t_x") == NULL) {
        printf("\n%s: %s\n", sql, err.text);
        CU_FAIL_FATAL("a statement that must do");
    }
}

static void give_some(struct cluster *c, struct prng *r)
{
    for (uint32_t i = 0; i < c->count; i++)
        cluster_seal(c, i);
    for (int n = 0; n < 10 && c->pool.count > 0; n++) {
        uint32_t to = (uint32_t)prng_below(r, c->count), batch = (uint32_t)prng_below(r, c->pool.count);
        if (c->pool.slot[batch] != to)
            (void)cluster_give(c, to, batch);
    }
}

static void open_first(struct cluster *c, const char *dir)
{
    struct err err = ERR_INIT;
    struct db_options o = {.buffer_bytes = 4096};
    OK(db_open(env_posix(), dir, &o, &c->d[0], &err));
    OK(db_set_identity(c->d[0], &c->id[0], &err));
}

static void expect_sound(const char *dir, uint64_t seed)
{
    struct err err = ERR_INIT;
    struct verify v = {.env = env_posix(), .dir = dir};
    OK(verify_run(&v, &err));
    for (uint32_t i = 0; i < v.found && i < 1; i++)
        printf("\nseed %llu: %s: %s\n", (unsigned long long)seed, v.findings[i].table, v.findings[i].what);
    CU_ASSERT_EQUAL_FATAL(v.found, 0);
    verify_deinit(&v);
}

/* Rows and definitions from everywhere in any order; what verify says of every entry once node 0 is closed, and again once all know all. */
static void one_history(uint64_t seed)
{
    struct prng r;
    char dir[64];
    prng_seed(&r, seed);
    struct cluster *c = cluster_new(2 + (uint32_t)prng_below(&r, 2));
    help_close(c->d[0]);
    new_dir(dir);
    open_first(c, dir);
    for (size_t i = 0; i < sizeof schema / sizeof schema[0]; i++)
        run_sql(c->d[1], schema[i]);
    cluster_exchange(c, &r);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 16; i++) {
            db *d = c->d[prng_below(&r, c->count)];
            random_statement(d, &r);
            expect_indexes(d, seed);
            if (prng_chance(&r, 0.2))
                give_some(c, &r);
        }
        if (round > 0) {
            cluster_seal(c, 0);
            help_close(c->d[0]);
            expect_sound(dir, seed);
            open_first(c, dir);
        }
        if (round == 2)
            break;
        cluster_exchange(c, &r);
        cluster_expect_equal(c, (const char *const[]){"t", NULL}, seed);
    }
    cluster_exchange(c, &r);
    cluster_expect_equal(c, (const char *const[]){"t", NULL}, seed);
    for (uint32_t i = 0; i < c->count; i++)
        expect_indexes(c->d[i], seed);
    cluster_free(c);
    expect_sound(dir, seed);
    walk_dir(dir, NULL);
}

static void test_derived_agree_on_all_members(void)
{
    for (uint64_t seed = unit_seed(1), end = seed + 25; seed < end; seed++)
        one_history(seed);
}

const char *const unit_suite = "derived";
const struct unit_test unit_tests[] = {
    {"expressions are found", test_derived_expressions_are_found},
    {"a WHERE is implied", test_derived_where_is_implied},
    {"definitions that cannot be", test_derived_definitions_that_cannot_be},
    {"GENERATED columns", test_derived_generated_columns},
    {"UNIQUE of a part", test_derived_unique_of_a_part},
    {"agree on all members", test_derived_agree_on_all_members},
    {NULL, NULL},
};

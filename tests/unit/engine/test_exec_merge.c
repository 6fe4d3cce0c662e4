/* test_exec_merge.c - merge joins give what hash joins give: every kind of key, NULLs, duplicates on both sides and across batches, further conditions; and where they are planned. */
#include "query_help.h"

const char *const unit_suite = "exec_merge";

static db *tables(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE a(id INTEGER PRIMARY KEY, k INTEGER, s TEXT)");
    run_sql(d, "INSERT INTO a SELECT value * 3, CASE WHEN value % 10 > 0 THEN value / 7 END, 's' || (value % 500) FROM generate_series(1, 6000)");
    run_sql(d, "CREATE TABLE b(id INTEGER PRIMARY KEY, k INTEGER, s TEXT)");
    run_sql(d, "INSERT INTO b SELECT value * 2, CASE WHEN value % 9 > 0 THEN value / 5 END, 's' || (value % 700) FROM generate_series(1, 7000)");
    run_sql(d, "CREATE INDEX a_k ON a(k, s)");
    run_sql(d, "CREATE INDEX b_k ON b(k, s)");
    run_sql(d, "CREATE TABLE c(x INTEGER, t TEXT, y INTEGER, PRIMARY KEY (x, t, y))"); /* ranges of 1, 3 and 2,500 rows */
    run_sql(d, "INSERT INTO c SELECT CASE WHEN value <= 2500 THEN 42 WHEN value < 5000 THEN value ELSE value / 3 * 3 END, 't' || (value % 4), value FROM generate_series(1, 9000)");
    run_sql(d, "CREATE TABLE e(x INTEGER, t TEXT, z REAL, PRIMARY KEY (t, x, z))");
    run_sql(d, "INSERT INTO e SELECT value % 3000, 't' || (value % 5), value / 2.0 FROM generate_series(1, 6000)");
    return d;
}

/* `sql` has a % for each left key: as it stands it is merged, behind a + it is hashed. */
static void same_as_hash(db *d, const char *sql, bool merged)
{
    struct buf out[2] = {{0}, {0}};
    struct err err = ERR_INIT;
    char text[600], explain[700];
    for (int way = 0; way < 2; way++) {
        size_t n = 0;
        for (const char *at = sql; *at != 0; at++)
            if (*at != '%')
                text[n++] = *at;
            else if (way == 1)
                text[n++] = '+';
        text[n] = 0;
        (void)snprintf(explain, sizeof explain, "EXPLAIN %s", text); /* it fits */
        expect_part(d, explain, way == 0 && merged ? "Merge join" : "Hash join");
        OK(query_try(d, text, NULL, &out[way], &err));
    }
    CU_ASSERT_FATAL(out[0].len > 2 && out[1].len > 2);
    bool same = out[0].len == out[1].len && memcmp(out[0].data, out[1].data, out[0].len) == 0;
    CU_ASSERT(same);
    if (!same)
        printf("\n%s\n", text);
    buf_deinit(&out[0]);
    buf_deinit(&out[1]);
}

static void test_exec_merge_answers(void)
{
    static const char *const queries[] = {
        "SELECT count(*), sum(a.k), min(b.s) FROM a JOIN b ON %a.id = b.id",
        "SELECT a.id, a.s, b.s FROM a JOIN b ON %a.id = b.id AND a.s > b.s WHERE b.k > 20 ORDER BY 1",
        "SELECT count(*), count(b.id), sum(a.id), sum(b.k) FROM a LEFT JOIN b ON %a.id = b.id",
        "SELECT a.id, b.id FROM a LEFT JOIN b ON %a.id = b.id AND a.k < b.k AND a.s <> b.s ORDER BY 1, 2",
        "SELECT count(*), sum(c.y), max(a.s || c.t) FROM a JOIN c ON %a.id = c.x",
        "SELECT count(*), sum(c.y), count(c.t), sum(a.id) FROM a LEFT JOIN c ON %a.id = c.x",
        "SELECT count(*), sum(c.y), sum(d.y), max(c.t || d.t) FROM c JOIN c AS d ON %c.x = d.x WHERE mod(d.y, 50) < 2",
        "SELECT count(*), sum(c.y), sum(d.y) FROM c LEFT JOIN c AS d ON %c.x = d.x AND c.y < d.y AND d.y > 2200",
        "SELECT c.x, c.t, c.y, d.y FROM c JOIN c AS d ON %c.t = d.t AND %c.x = d.x WHERE c.x > 2000 ORDER BY 1, 2, 3, 4",
        "SELECT count(*), sum(a.id), sum(c.y) FROM a JOIN b ON %a.id = b.id JOIN c ON %a.id = c.x",
        "SELECT count(*), sum(d.z), sum(e.z) FROM e JOIN e AS d ON %e.x = d.x AND %d.t = e.t",
    };
    db *d = tables();
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++)
        same_as_hash(d, queries[i], true);
    help_close(d);
}

static void test_exec_merge_planned(void)
{
    db *d = tables();
    expect_part(d, "EXPLAIN SELECT * FROM a JOIN b ON a.id = b.id", "Merge join, inner, 1 equal key");
    expect_part(d, "EXPLAIN SELECT * FROM a JOIN b ON a.k = b.k", "Hash join"); /* no order of theirs */
    expect_part(d, "EXPLAIN SELECT * FROM a JOIN b ON a.id = b.id + 0", "Hash join");
    expect_part(d, "EXPLAIN SELECT * FROM a JOIN e ON a.id = e.z", "Hash join"); /* another type */
    expect_part(d, "EXPLAIN SELECT * FROM c JOIN e ON c.x = e.x AND c.t = e.t", "Hash join"); /* one by x, the other by t */
    /* The result's order is that of the key, whichever side is the left one. */
    expect_part(d, "EXPLAIN SELECT a.id, b.s FROM a JOIN b ON a.id = b.id ORDER BY a.id DESC", "Sort");
    struct err err = ERR_INIT;
    struct buf out = {0};
    OK(query_try(d, "EXPLAIN SELECT a.id, b.s FROM a JOIN b ON a.id = b.id ORDER BY a.id", NULL, &out, &err));
    buf_u8(&out, 0);
    CU_ASSERT_PTR_NULL(strstr((const char *)out.data, "Sort"));
    CU_ASSERT_PTR_NOT_NULL(strstr((const char *)out.data, "Merge join"));
    buf_deinit(&out);
    expect_rows(d, "SELECT a.id, b.s FROM a JOIN b ON a.id = b.id ORDER BY a.id LIMIT 3", "6|s3\n12|s6\n18|s9\n");
    expect_rows(d, "SELECT a.id, b.s FROM a JOIN b ON a.id = b.id ORDER BY a.id DESC LIMIT 2", "13998|s699\n13992|s696\n");
    expect_rows(d, "SELECT a.id, b.id FROM a LEFT JOIN b ON a.id = b.id AND b.k > 2 ORDER BY a.id LIMIT 6", "3|NULL\n6|NULL\n9|NULL\n12|NULL\n15|NULL\n18|NULL\n");
    help_close(d);
}

const struct unit_test unit_tests[] = {
    {"test_exec_merge_answers", test_exec_merge_answers},
    {"test_exec_merge_planned", test_exec_merge_planned},
    {NULL, NULL},
};

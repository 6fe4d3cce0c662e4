/* test_show.c - SHOW: what it lists, LIKE, texts that make an object again; rowid by SQLite's names. */
#include "db_help.h"

#include "engine/conn.h"
#include "engine/types.h"

const char *const unit_suite = "show";

static quartet_status run(conn *c, const char *sql, struct buf *out, struct err *err)
{
    conn_stmt *st = NULL;
    size_t consumed = 0;
    struct batch rows;
    quartet_status rc = conn_prepare(c, sql, strlen(sql), &st, &consumed, err);
    while (rc == QUARTET_OK && (rc = conn_step(st, &rows, err)) == QUARTET_OK && rows.n > 0)
        for (uint32_t r = 0; r < rows.n && out != NULL; r++) {
            for (uint32_t i = 0; i < rows.col_count; i++) {
                struct value v = vec_get(&rows.cols[i], batch_row(&rows, r));
                buf_str(out, i > 0 ? "|" : "");
                if (v.type != VALUE_NULL)
                    value_to_text(&v, out);
            }
            buf_u8(out, '\n');
        }
    conn_finalize(st);
    return rc;
}

static void rows(conn *c, const char *sql, const char *want)
{
    struct err err = ERR_INIT;
    struct buf out = {0};
    OK(run(c, sql, &out, &err));
    buf_u8(&out, 0);
    if (strcmp((const char *)out.data, want) != 0)
        printf("\n%s\n  want: %s\n  got:  %s\n", sql, want, (const char *)out.data);
    CU_ASSERT_STRING_EQUAL((const char *)out.data, want);
    buf_deinit(&out);
}

static void fails(conn *c, const char *sql, const char *part)
{
    struct err err = ERR_INIT;
    quartet_status rc = run(c, sql, NULL, &err);
    if (rc == QUARTET_OK || strstr(err.text, part) == NULL)
        printf("\n%s\n  want: %s\n  got:  %s\n", sql, part, err.text);
    CU_ASSERT(rc != QUARTET_OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, part));
}

static conn *open_some(db **d)
{
    static const char *const made[] = {
        "CREATE TABLE stock(id INTEGER PRIMARY KEY, name TEXT, price DECIMAL(8, 2))", "CREATE TABLE sales(day DATE, stock_id INTEGER, PRIMARY KEY (day, stock_id))",
        "CREATE UNIQUE INDEX stock_name ON stock(name COLLATE NOCASE DESC) WHERE price > 0", "CREATE VIEW cheap AS SELECT name FROM stock WHERE price < 5",
        "CREATE TRIGGER sold AFTER INSERT ON sales BEGIN UPDATE stock SET price = price + 1 WHERE id = NEW.stock_id; END",
        "CREATE TRIGGER no_cheap INSTEAD OF DELETE ON cheap BEGIN SELECT 1; END", "INSERT INTO stock VALUES (1, 'bolt', 2.5), (7, 'nut', 9)"};
    struct err err = ERR_INIT;
    conn *c;
    *d = help_memory();
    OK(conn_open(*d, &c, &err));
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++)
        OK(run(c, made[i], NULL, &err));
    return c;
}

static void test_show_lists(void)
{
    db *d;
    conn *c = open_some(&d);
    rows(c, "SHOW TABLES", "sales\nstock\n");
    rows(c, "SHOW TABLES LIKE 'ST%'", "stock\n");
    rows(c, "SHOW FULL TABLES", "sales|BASE TABLE\nstock|BASE TABLE\ncheap|VIEW\n");
    rows(c, "SHOW FULL TABLES LIKE '%ea_'", "cheap|VIEW\n");
    rows(c, "SHOW COLUMNS FROM stock LIKE 'n%'", "1|name|TEXT|0||0|last writer wins|\n");
    rows(c, "SHOW DATABASES", "main\n");
    rows(c, "SHOW TRIGGERS LIKE 'no%'", "no_cheap|cheap|INSTEAD OF|DELETE|CREATE TRIGGER no_cheap INSTEAD OF DELETE ON cheap BEGIN SELECT 1; END\n");
    rows(c, "SHOW TRIGGERS FROM sales LIKE '%x%'", "");
    rows(c, "SHOW FUNCTIONS LIKE 'regexp_l%'", "regexp_like|scalar|2|3\n");
    rows(c, "SHOW SETTINGS LIKE 'memory_l%'", "memory_limit|1024\n");
    fails(c, "SHOW TRIGGERS FROM nothing", "no such table: nothing");
    fails(c, "SHOW TABLES LIKE 5", "takes a text in quotes");
    fails(c, "SHOW TABLES WHERE name = 'x'", "information_schema");
    fails(c, "SHOW SOMETHING", "TRIGGERS, SCHEMA");
    conn_close(c);
    help_close(d);
}

/* What is shown makes the same again. */
static void test_show_create(void)
{
    db *d;
    struct err err = ERR_INIT;
    conn *c = open_some(&d);
    static const char *const things[][3] = {{"INDEX", "STOCK_name", "stock_name"}, {"TRIGGER", "sold", "sold"}, {"VIEW", "cheap", "cheap"}};
    for (size_t i = 0; i < sizeof things / sizeof things[0]; i++) {
        struct buf first = {0}, second = {0};
        char sql[100];
        (void)snprintf(sql, sizeof sql, "SHOW CREATE %s %s", things[i][0], things[i][1]);
        OK(run(c, sql, &first, &err));
        size_t name = strlen(things[i][2]) + 1;
        CU_ASSERT_FATAL(first.len > name && memcmp(first.data, things[i][2], name - 1) == 0);
        first.data[first.len - 1] = 0;
        char drop[100];
        (void)snprintf(drop, sizeof drop, "DROP %s %s", things[i][0], things[i][2]);
        OK(run(c, drop, NULL, &err));
        OK(run(c, (const char *)first.data + name, NULL, &err));
        OK(run(c, sql, &second, &err));
        CU_ASSERT(first.len == second.len && memcmp(first.data, second.data, first.len - 1) == 0);
        buf_deinit(&first);
        buf_deinit(&second);
    }
    fails(c, "SHOW CREATE INDEX nothing", "no such index: nothing");
    fails(c, "SHOW CREATE TRIGGER nothing", "no such trigger: nothing");
    conn_close(c);
    help_close(d);
}

static void test_show_rowid(void)
{
    db *d;
    conn *c = open_some(&d);
    struct err err = ERR_INIT;
    rows(c, "SELECT rowid, s.OID, _rowid_ FROM stock AS s WHERE rowid > 1", "7|7|7\n");
    rows(c, "SELECT stock.rowid FROM stock, sales", "");
    OK(run(c, "INSERT INTO stock(rowid, name) VALUES (9, 'washer')", NULL, &err));
    OK(run(c, "UPDATE stock SET rowid = 10 WHERE oid = 9", NULL, &err));
    rows(c, "DELETE FROM stock WHERE rowid = 10 RETURNING rowid, id", "10|10\n");
    OK(run(c, "CREATE TRIGGER t2 BEFORE DELETE ON stock BEGIN INSERT INTO sales VALUES ('2026-01-01', OLD.rowid); END", NULL, &err));
    OK(run(c, "DELETE FROM stock WHERE name = 'nut'", NULL, &err));
    rows(c, "SELECT stock_id FROM sales", "7\n");
    OK(run(c, "CREATE TABLE own(rowid TEXT, id INTEGER PRIMARY KEY)", NULL, &err));
    OK(run(c, "INSERT INTO own VALUES ('x', 5)", NULL, &err));
    rows(c, "SELECT rowid, oid FROM own", "x|5\n"); /* a column so called is what is meant */
    fails(c, "SELECT rowid FROM sales", "It would be an INTEGER PRIMARY KEY");
    fails(c, "SELECT oid FROM stock, own", "ambiguous column name: oid");
    conn_close(c);
    help_close(d);
}

const struct unit_test unit_tests[] = {
    {"test_show_lists", test_show_lists},
    {"test_show_create", test_show_create},
    {"test_show_rowid", test_show_rowid},
    {NULL, NULL},
};

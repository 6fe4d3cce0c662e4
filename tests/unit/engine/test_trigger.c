/* test_trigger.c - triggers: when they fire, what they see, how they end. */
#include "cluster_help.h"
#include "query_help.h"

static void setup(db *d)
{
    run_sql(d, "CREATE TABLE log(what TEXT, o INTEGER, n INTEGER)");
    run_sql(d, "CREATE TABLE t(id INTEGER PRIMARY KEY, x INTEGER, y INTEGER DEFAULT 0)");
}

static void test_trigger_events(void)
{
    db *d = help_memory();
    setup(d);
    run_sql(d, "CREATE TRIGGER ai AFTER INSERT ON t BEGIN INSERT INTO log VALUES ('ai', NULL, NEW.x); END");
    run_sql(d, "CREATE TRIGGER bi INSERT ON t BEGIN INSERT INTO log SELECT 'bi', count(*), NEW.x FROM t; END"); /* BEFORE, as in SQLite */
    run_sql(d, "CREATE TRIGGER au AFTER UPDATE ON t WHEN NEW.x <> OLD.x BEGIN INSERT INTO log VALUES ('au', OLD.x, NEW.x); END");
    run_sql(d, "CREATE TRIGGER bd BEFORE DELETE ON t FOR EACH ROW BEGIN INSERT INTO log VALUES ('bd', OLD.x, NULL); END");
    run_sql(d, "INSERT INTO t(id, x) VALUES (1, 10), (2, 20)");
    run_sql(d, "UPDATE t SET x = x + y");      /* nothing differs */
    run_sql(d, "UPDATE t SET x = x + 1 WHERE id = 2");
    run_sql(d, "INSERT INTO t(id, x) VALUES (2, 5) ON CONFLICT (id) DO UPDATE SET x = 7");
    run_sql(d, "DELETE FROM t WHERE id = 1");
    expect_rows(d, "SELECT * FROM log", "bi|0|10\nai|NULL|10\nbi|1|20\nai|NULL|20\nau|20|21\nbi|2|5\nau|21|7\nbd|10|NULL\n");
    run_sql(d, "DROP TRIGGER bd");
    run_sql(d, "DELETE FROM t");
    expect_rows(d, "SELECT count(*) FROM log WHERE what = 'bd'", "1\n");
    help_close(d);
}

static void test_trigger_update_of(void)
{
    db *d = help_memory();
    setup(d);
    run_sql(d, "CREATE TRIGGER u AFTER UPDATE OF y ON t BEGIN INSERT INTO log VALUES ('y', OLD.y, NEW.y); END");
    run_sql(d, "INSERT INTO t(id, x) VALUES (1, 1)");
    run_sql(d, "UPDATE t SET x = 2");
    run_sql(d, "UPDATE t SET y = 3, x = 4");
    expect_rows(d, "SELECT * FROM log", "y|0|3\n");
    expect_error(d, "CREATE TRIGGER w AFTER UPDATE OF z ON t BEGIN SELECT 1; END", QUARTET_ERROR, "no such column: z", -2);
    help_close(d);
}

static void test_trigger_raise(void)
{
    db *d = help_memory();
    setup(d);
    run_sql(d, "CREATE TRIGGER r BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'kept: this one') WHERE OLD.x = 1; SELECT RAISE(IGNORE) WHERE OLD.x = 2; END");
    run_sql(d, "INSERT INTO t(id, x) VALUES (1, 1), (2, 2), (3, 3)");
    expect_error(d, "DELETE FROM t WHERE id >= 1", QUARTET_CONSTRAINT, "kept: this one", -1);
    expect_rows(d, "SELECT count(*) FROM t", "3\n"); /* undone as a whole */
    run_sql(d, "DELETE FROM t WHERE id > 1");
    expect_rows(d, "SELECT id FROM t", "1\n2\n");
    expect_error(d, "SELECT RAISE(ABORT, 'x')", QUARTET_ERROR, "only in a trigger", 7);
    help_close(d);
}

/* A row that a trigger changed or removed is met as it is now; the scan itself sees none of it. */
static void test_trigger_changes_what_is_being_written(void)
{
    db *d = help_memory();
    setup(d);
    run_sql(d, "INSERT INTO t(id, x) SELECT value, value FROM generate_series(1, 6)");
    run_sql(d, "CREATE TRIGGER n AFTER DELETE ON t BEGIN DELETE FROM t WHERE id = OLD.id + 1; INSERT INTO log VALUES ('d', OLD.id, NULL); END");
    run_sql(d, "DELETE FROM t WHERE id IN (1, 2, 4)");
    expect_rows(d, "SELECT id FROM t", "3\n6\n");
    expect_rows(d, "SELECT o FROM log", "1\n4\n"); /* 2 was gone already, and the trigger does not set itself off */
    run_sql(d, "DROP TRIGGER n");
    run_sql(d, "CREATE TRIGGER g AFTER UPDATE ON t BEGIN INSERT INTO t(id, x) VALUES (NEW.id + 100, 0); END");
    run_sql(d, "UPDATE t SET x = x + 1");
    expect_rows(d, "SELECT id, x FROM t ORDER BY id", "3|4\n6|7\n103|0\n106|0\n");
    help_close(d);
}

static void test_trigger_sets_off_others(void)
{
    db *d = help_memory();
    setup(d);
    run_sql(d, "CREATE TABLE a(n INTEGER)");
    run_sql(d, "CREATE TABLE b(n INTEGER)");
    run_sql(d, "CREATE TRIGGER ab AFTER INSERT ON a WHEN NEW.n > 0 BEGIN INSERT INTO b VALUES (NEW.n); END");
    run_sql(d, "CREATE TRIGGER ba AFTER INSERT ON b BEGIN INSERT INTO a VALUES (NEW.n - 1); END");
    run_sql(d, "INSERT INTO a VALUES (3)"); /* ab, ba; then ab is at work */
    expect_rows(d, "SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)", "2|1\n");
    expect_error(d, "CREATE TRIGGER ab AFTER INSERT ON b BEGIN SELECT 1; END", QUARTET_ERROR, "trigger ab already exists", -2);
    expect_error(d, "CREATE TRIGGER x AFTER INSERT ON b BEGIN SELECT OLD.n; END", QUARTET_ERROR, "there is no OLD row", -1);
    expect_error(d, "CREATE TRIGGER x AFTER INSERT ON b BEGIN INSERT INTO gone VALUES (1); END", QUARTET_ERROR, "no such table: gone", -1);
    run_sql(d, "DROP TABLE b");
    expect_error(d, "INSERT INTO a VALUES (1)", QUARTET_ERROR, "trigger: ab: no such table: b", -1);
    expect_error(d, "DROP TRIGGER ba", QUARTET_ERROR, "no such trigger: ba", -2); /* went with its table */
    help_close(d);
}

/* It runs at the origin only: what ships is what came of it. */
static void test_trigger_runs_once_in_a_cluster(void)
{
    struct prng r;
    prng_seed(&r, 21);
    struct cluster *c = cluster_new(3);
    setup(c->d[0]);
    run_sql(c->d[0], "CREATE TRIGGER ai AFTER INSERT ON t BEGIN INSERT INTO log VALUES ('ai', NULL, NEW.x); END");
    cluster_exchange(c, &r);
    run_sql(c->d[1], "INSERT INTO t(id, x) VALUES (1, 10)");
    run_sql(c->d[2], "INSERT INTO t(id, x) VALUES (2, 20)");
    cluster_exchange(c, &r);
    for (uint32_t i = 0; i < 3; i++)
        expect_rows(c->d[i], "SELECT what, n FROM log ORDER BY n", "ai|10\nai|20\n");
    cluster_free(c);
}

static void view_setup(db *d)
{
    run_sql(d, "CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT)");
    run_sql(d, "CREATE TABLE s(pid INTEGER PRIMARY KEY, n INTEGER)");
    run_sql(d, "CREATE TABLE log(x)");
    run_sql(d, "INSERT INTO p VALUES (1, 'a'), (2, 'b'), (3, 'c')");
    run_sql(d, "INSERT INTO s VALUES (1, 10), (2, 20)");
    run_sql(d, "CREATE VIEW v(id, name, n) AS SELECT p.id, p.name, s.n FROM p LEFT JOIN s ON s.pid = p.id");
}

static void test_trigger_instead_of(void)
{
    db *d = help_memory();
    view_setup(d);
    expect_error(d, "DELETE FROM v", QUARTET_ERROR, "v is a view: it cannot be written", 12);
    run_sql(d, "CREATE TRIGGER vi INSTEAD OF INSERT ON v BEGIN INSERT INTO p VALUES (NEW.id, NEW.name); INSERT INTO s VALUES (NEW.id, NEW.n); END");
    run_sql(d, "CREATE TRIGGER vu INSTEAD OF UPDATE OF n ON v WHEN NEW.n IS NOT OLD.n BEGIN UPDATE s SET n = NEW.n WHERE pid = OLD.id;"
               " INSERT INTO log VALUES (OLD.name || OLD.n || NEW.name || NEW.n); END");
    expect_error(d, "DELETE FROM v", QUARTET_ERROR, "a trigger INSTEAD OF DELETE", 12);
    expect_error(d, "UPDATE v SET name = 'x'", QUARTET_ERROR, "a trigger INSTEAD OF UPDATE", 7); /* OF n only */
    run_sql(d, "CREATE TRIGGER vd INSTEAD OF DELETE ON v BEGIN DELETE FROM p WHERE id = OLD.id; DELETE FROM s WHERE pid = OLD.id; END");
    run_sql(d, "INSERT INTO v VALUES (7, 'g', 70), (8, 'h', 80)");
    run_sql(d, "INSERT INTO v(name, id) SELECT name || 'x', id + 100 FROM p WHERE id < 3");
    expect_rows(d, "UPDATE v SET n = n + 1, name = 'z' WHERE id < 3 RETURNING id, name, n", "1|z|11\n2|z|21\n");
    expect_rows(d, "SELECT * FROM v ORDER BY 1", "1|a|11\n2|b|21\n3|c|NULL\n7|g|70\n8|h|80\n101|ax|NULL\n102|bx|NULL\n");
    expect_rows(d, "SELECT * FROM log", "a10z11\nb20z21\n");
    expect_rows(d, "DELETE FROM v WHERE id IN (1, 101) RETURNING *", "1|a|11\n101|ax|NULL\n");
    expect_rows(d, "INSERT INTO v VALUES (9, 'i', 1) RETURNING id, name || n", "9|i1\n");
    run_sql(d, "UPDATE v SET n = x.k FROM (SELECT 7 AS i, 700 AS k) AS x WHERE x.i = v.id");
    run_sql(d, "WITH w AS (SELECT 8 AS i) DELETE FROM v AS o WHERE o.id IN (SELECT i FROM w)");
    expect_rows(d, "SELECT * FROM v ORDER BY 1", "2|b|21\n3|c|NULL\n7|g|700\n9|i|1\n102|bx|NULL\n");
    expect_error(d, "INSERT INTO v VALUES (2, 'again', 0)", QUARTET_CONSTRAINT, "p", -1); /* undone as a whole */
    expect_error(d, "INSERT INTO v VALUES (5, 'x', 0) ON CONFLICT DO NOTHING", QUARTET_ERROR, "ON CONFLICT has no meaning", 12);
    expect_error(d, "INSERT INTO v(none) VALUES (5)", QUARTET_ERROR, "no such column: none", 14);
    help_close(d);
}

static void test_trigger_instead_of_and_its_view(void)
{
    db *d = help_memory();
    view_setup(d);
    expect_error(d, "CREATE TRIGGER g AFTER INSERT ON v BEGIN SELECT 1; END", QUARTET_ERROR, "its triggers are INSTEAD OF", -2);
    expect_error(d, "CREATE TRIGGER g INSTEAD OF INSERT ON p BEGIN SELECT 1; END", QUARTET_ERROR, "p is a table", -2);
    expect_error(d, "CREATE TRIGGER g INSTEAD OF INSERT ON quartet_conflicts BEGIN SELECT 1; END", QUARTET_ERROR, "can have no triggers", -2);
    expect_error(d, "CREATE TRIGGER g INSTEAD OF INSERT ON v BEGIN DELETE FROM p WHERE id = NEW.none; END", QUARTET_ERROR, "no such column: NEW.none", -1);
    expect_error(d, "CREATE TRIGGER g INSTEAD OF UPDATE OF none ON v BEGIN SELECT 1; END", QUARTET_ERROR, "no such column: none in view v", -1);
    run_sql(d, "CREATE TRIGGER g INSTEAD OF INSERT ON v BEGIN INSERT INTO log VALUES (NEW.name); END");
    run_sql(d, "COMMENT ON TRIGGER g IS 'logs'");
    expect_rows(d, "SELECT trigger_name, event_object_table, action_timing, trigger_comment FROM information_schema.triggers", "g|v|INSTEAD OF|logs\n");
    expect_error(d, "CREATE OR REPLACE VIEW v AS SELECT id FROM p", QUARTET_ERROR, "no such column: NEW.name", -1); /* its trigger needs more */
    run_sql(d, "CREATE OR REPLACE VIEW v AS SELECT name FROM p");
    run_sql(d, "INSERT INTO v VALUES ('new')");
    expect_rows(d, "SELECT * FROM log", "new\n");
    expect_rows(d, "SELECT trigger_comment FROM information_schema.triggers", "logs\n");
    expect_error(d, "CREATE TRIGGER g INSTEAD OF DELETE ON v BEGIN SELECT 1; END", QUARTET_ERROR, "trigger g already exists", -2);
    run_sql(d, "DROP TRIGGER g");
    expect_error(d, "INSERT INTO v VALUES ('new')", QUARTET_ERROR, "cannot be written", 12);
    run_sql(d, "CREATE TRIGGER g INSTEAD OF INSERT ON v BEGIN INSERT INTO log VALUES (NEW.name); END");
    run_sql(d, "DROP VIEW v");
    expect_rows(d, "SELECT count(*) FROM information_schema.triggers", "0\n");
    expect_rows(d, "SELECT count(*) FROM quartet_objects WHERE kind = 'trigger'", "0\n");
    help_close(d);
}

/* The view and its trigger are everywhere; what the trigger wrote came to the others as rows, and it ran at the origin alone. */
static void test_trigger_instead_of_in_a_cluster(void)
{
    struct prng r;
    struct cluster *c = cluster_new(2);
    prng_seed(&r, 1);
    view_setup(c->d[0]);
    run_sql(c->d[0], "CREATE TRIGGER g INSTEAD OF INSERT ON v BEGIN INSERT INTO log VALUES (NEW.name); END");
    cluster_exchange(c, &r);
    run_sql(c->d[1], "INSERT INTO v(name) VALUES ('one'), ('two')");
    cluster_exchange(c, &r);
    for (int i = 0; i < 2; i++)
        expect_rows(c->d[i], "SELECT x FROM log ORDER BY x", "one\ntwo\n");
    const char *none[] = {NULL};
    cluster_expect_equal(c, none, 0);
    cluster_free(c);
}

const char *const unit_suite = "trigger";
const struct unit_test unit_tests[] = {
    {"events", test_trigger_events},
    {"update of", test_trigger_update_of},
    {"raise", test_trigger_raise},
    {"changes what is being written", test_trigger_changes_what_is_being_written},
    {"sets off others", test_trigger_sets_off_others},
    {"runs once in a cluster", test_trigger_runs_once_in_a_cluster},
    {"instead_of", test_trigger_instead_of},
    {"instead_of_and_its_view", test_trigger_instead_of_and_its_view},
    {"instead_of_in_a_cluster", test_trigger_instead_of_in_a_cluster},
    {NULL, NULL},
};

/* test_cases.c - cases in which replicated databases are known to go wrong, each on three writers and a fourth node that learns of the steps in every order of arrival. The table
 *   "Cases with a test of their own" of docs/MERGE.md names these and those that stand elsewhere; every name there must be the name of a test. */
#include "scene_help.h"

#define USERS "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE); CREATE TABLE orders (id INTEGER PRIMARY KEY, user INTEGER NOT NULL REFERENCES users)"
#define BOTH "SELECT 'user', id FROM users UNION ALL SELECT 'order', id FROM orders ORDER BY 1, 2"
#define FAMILY "CREATE TABLE g (id INTEGER PRIMARY KEY); CREATE TABLE p (id INTEGER PRIMARY KEY, g INTEGER REFERENCES g ON DELETE CASCADE); " \
               "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p ON DELETE CASCADE); INSERT INTO g VALUES (1), (2); INSERT INTO p VALUES (10, 1), (20, 2)"
#define OUT_OF_SIGHT "SELECT table_name, key, reason FROM quartet_quarantine ORDER BY 1, 2"
#define CIRCLE "CREATE TABLE m (id INTEGER PRIMARY KEY); CREATE TABLE r (id INTEGER PRIMARY KEY, up INTEGER REFERENCES r, m INTEGER REFERENCES m); INSERT INTO m VALUES (1)"
#define NAMED "CREATE TABLE p (id INTEGER PRIMARY KEY, mail TEXT UNIQUE); CREATE TABLE c (id INTEGER PRIMARY KEY, mail TEXT REFERENCES p (mail)); INSERT INTO p VALUES (1, 'x@')"
#define FORM "CREATE TABLE u (id INTEGER PRIMARY KEY, a TEXT UNIQUE, b TEXT UNIQUE)"
#define COUNTED "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER COUNTER); INSERT INTO t VALUES (1, 50), (2, 50)"

static const struct scene scenes[] = {
    {"a row inserted by one who had seen neither the INSERT nor the DELETE of its key", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)",
     {{0, "", "INSERT INTO t VALUES (1, 'A')"}, {0, "", "DELETE FROM t"}, {1, "", "INSERT INTO t VALUES (1, 'C')"}, {2, "0", "UPDATE t SET v = 'late'"}}, "SELECT * FROM t", "1|C\n"},
    {"one address on two nodes, and an order for each", USERS,
     {{0, "", "INSERT INTO users VALUES (1, 'x@')"}, {0, "", "INSERT INTO orders VALUES (10, 1)"}, {1, "", "INSERT INTO users VALUES (2, 'x@')"}, {1, "", "INSERT INTO orders VALUES (20, 2)"}},
     BOTH, "order|10\nuser|1\n"},
    {"one address on two nodes, and the first user gives it up", USERS,
     {{0, "", "INSERT INTO users VALUES (1, 'x@')"}, {0, "", "INSERT INTO orders VALUES (10, 1)"}, {1, "", "INSERT INTO users VALUES (2, 'x@')"}, {1, "", "INSERT INTO orders VALUES (20, 2)"},
      {2, "0", "UPDATE users SET email = 'y@' WHERE id = 1"}},
     BOTH, "order|10\norder|20\nuser|1\nuser|2\n"},
    {"a grandparent is deleted with what it has, a child comes elsewhere", FAMILY, {{0, "", "DELETE FROM g WHERE id = 1"}, {1, "", "INSERT INTO c VALUES (100, 10), (200, 20)"}},
     OUT_OF_SIGHT, "c|100|FOREIGN KEY\n"},
    {"a circle that lacks a parent", CIRCLE, {{0, "", "INSERT INTO r VALUES (1, 2, 1), (2, 1, NULL), (3, 2, NULL), (4, 4, NULL)"}, {1, "", "DELETE FROM m"}}, "SELECT id FROM r", "4\n"},
    {"a circle that lacked a parent and is mended", CIRCLE,
     {{0, "", "INSERT INTO r VALUES (1, 2, 1), (2, 1, NULL), (3, 2, NULL), (4, 4, NULL)"}, {1, "", "DELETE FROM m"}, {2, "1", "INSERT INTO m VALUES (1)"}}, "SELECT id FROM r ORDER BY id",
     "1\n2\n3\n4\n"},
    {"a referenced UNIQUE value is updated elsewhere", NAMED, {{0, "", "UPDATE p SET mail = 'z@'"}, {1, "", "INSERT INTO c VALUES (10, 'x@'), (20, NULL)"}}, "SELECT id FROM c", "20\n"},
    {"a referenced UNIQUE value is updated elsewhere, and given to another row", NAMED,
     {{0, "", "UPDATE p SET mail = 'z@'"}, {1, "", "INSERT INTO c VALUES (10, 'x@'), (20, NULL)"}, {2, "0", "INSERT INTO p VALUES (2, 'x@')"}}, "SELECT id FROM c ORDER BY id", "10\n20\n"},
    {"a bounded counter of two births, one spent and deleted by a third", "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER COUNTER CHECK (n >= 0))",
     {{0, "", "INSERT INTO t VALUES (1, 10)"}, {1, "", "INSERT INTO t VALUES (1, 2)"}, {0, "1", "UPDATE t SET n = n - 8"}, {2, "0", "DELETE FROM t"}}, "SELECT * FROM t", "1|2\n"},
    {"a form saved unchanged keeps its value", FORM,
     {{0, "", "INSERT INTO u VALUES (1, 'x', 'p')"}, {1, "", "INSERT INTO u VALUES (2, 'x', 'q')"}, {0, "", "UPDATE u SET a = 'x', b = 'p' WHERE id = 1"}}, "SELECT id FROM u", "1\n"},
    {"two rows claim two values crosswise", FORM "; INSERT INTO u VALUES (1, 'a1', 'b1'), (2, 'a2', 'b2')",
     {{0, "", "UPDATE u SET a = 'x' WHERE id = 1"}, {1, "", "UPDATE u SET a = 'x' WHERE id = 2"}, {1, "", "UPDATE u SET b = 'y' WHERE id = 2"}, {0, "", "UPDATE u SET b = 'y' WHERE id = 1"}},
     "SELECT * FROM u", "1|x|y\n"},
    {"two transfers at once", COUNTED,
     {{0, "", "UPDATE t SET n = n + CASE id WHEN 1 THEN -10 ELSE 10 END"}, {1, "", "UPDATE t SET n = n + CASE id WHEN 1 THEN -20 ELSE 20 END"}}, "SELECT id, n FROM t ORDER BY id", "1|20\n2|80\n"},
    {"one more here, one and ten more there", "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER COUNTER); INSERT INTO t VALUES (1, 0)",
     {{0, "", "UPDATE t SET n = n + 1"}, {1, "", "UPDATE t SET n = n + 1"}, {1, "", "UPDATE t SET n = n + 10"}}, "SELECT n FROM t", "12\n"},
};

static void nothing_else(db *first, db *other, const char *who)
{
    (void)first; /* what the query shows and the hash tell enough: these tables have other names than t */
    (void)other;
    (void)who;
}

static void test_cases_every_order(void)
{
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++)
        run_scene(&scenes[i], strstr(scenes[i].setup, "TABLE t ") != NULL ? NULL : nothing_else);
}

/* Does the file have a test or a scene of this name? */
static bool file_has(const char *file, const char *name)
{
    char path[512], want[256], line[4096];
    bool found = false;
    (void)snprintf(path, sizeof path, SOURCE_DIR "/tests/unit/%s", file);
    (void)snprintf(want, sizeof want, "{\"%s\",", name);
    FILE *f = fopen(path, "r");
    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL)
        found = strstr(line, want) != NULL;
    if (f != NULL)
        fclose(f);
    return found;
}

/* Lines "| case | file | name |" of that section; a case may have several lines. */
static void test_cases_are_the_page(void)
{
    char line[2048];
    bool inside = false;
    uint32_t lines = 0, own = 0;
    FILE *page = fopen(SOURCE_DIR "/docs/MERGE.md", "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(page);
    while (fgets(line, sizeof line, page) != NULL) {
        char *part[3];
        if (strncmp(line, "## ", 3) == 0)
            inside = strcmp(line, "## Cases with a test of their own\n") == 0;
        if (!inside || strncmp(line, "| ", 2) != 0 || strncmp(line, "| case |", 8) == 0)
            continue;
        char *at = line + 2;
        for (int i = 0; i < 3; i++) {
            part[i] = at;
            at = strstr(at, " |");
            CU_ASSERT_PTR_NOT_NULL_FATAL(at);
            *at = '\0';
            at += i < 2 ? 3 : 0;
        }
        bool found = file_has(part[1], part[2]);
        if (!found)
            printf("\ntests/unit/%s has no test \"%s\"\n", part[1], part[2]);
        CU_ASSERT(found);
        lines++;
        own += strcmp(part[1], "engine/test_cases.c") == 0;
    }
    fclose(page);
    CU_ASSERT(lines > 25);
    CU_ASSERT_EQUAL(own, sizeof scenes / sizeof scenes[0]);
}

const char *const unit_suite = "cases";
const struct unit_test unit_tests[] = {
    {"every order of arrival", test_cases_every_order},
    {"are the page", test_cases_are_the_page},
    {NULL, NULL},
};

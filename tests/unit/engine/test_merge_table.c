/* test_merge_table.c - the tables of docs/MERGE.md, "Every pair": each row there names a cell here, and each cell here stands there.
 * Four nodes: one runs A, one runs B, the other two get them in either order; once A is the later of the two by stamp, once B. All must show the same. */
#include "cluster_help.h"
#include "query_help.h"

struct cell {
    const char *name;
    const char *a, *b;
    const char *query;
    const char *a_later, *b_later; /* what all show; b_later NULL: the same */
};

#define T "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT DEFAULT 'd', b INTEGER DEFAULT 0, n INTEGER COUNTER DEFAULT 0)"
#define OLD_ROW "INSERT INTO t VALUES (1, 'old', 5, 10)"
#define ALL "SELECT * FROM t ORDER BY id"

#define KINDS "CREATE TABLE k (id INTEGER PRIMARY KEY, hi INTEGER MAXIMUM, tags TEXT SET, body TEXT MULTIVALUE); INSERT INTO k VALUES (1, 5, '[\"a\"]', 'old')"
#define WIN "CREATE TABLE w (id INTEGER PRIMARY KEY, name TEXT, qty INTEGER) UPDATES WIN; INSERT INTO w VALUES (1, 'x', 5)"
#define HELD "CREATE TABLE q (id INTEGER PRIMARY KEY, mail TEXT UNIQUE, lo INTEGER, hi INTEGER, CHECK (lo < hi)); INSERT INTO q VALUES (1, 'one', 1, 10), (2, 'two', 1, 10)"
#define KEYED "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE f (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p ON DELETE CASCADE, q INTEGER); " \
              "INSERT INTO p VALUES (1), (2); INSERT INTO f VALUES (10, 2, 1)"
#define ALL_Q "SELECT * FROM q ORDER BY id"
#define ALL_K "SELECT *, siblings(body) FROM k ORDER BY id"
#define ALL_W "SELECT * FROM w ORDER BY id"

static const struct cell cells[] = {
    /* rows */
    {"insert-insert", "INSERT INTO t VALUES (2, 'A', 1, 2)", "INSERT INTO t VALUES (2, 'B', 3, 4)", ALL, "1|old|5|10\n2|A|1|6\n", "1|old|5|10\n2|B|3|6\n"},
    {"insert-insert-other-key", "INSERT INTO t VALUES (2, 'A', 1, 2)", "INSERT INTO t VALUES (3, 'B', 3, 4)", ALL, "1|old|5|10\n2|A|1|2\n3|B|3|4\n", NULL},
    {"insert-update", "DELETE FROM t; INSERT INTO t VALUES (1, 'A', 1, 2)", "UPDATE t SET a = 'B', n = n + 1 WHERE id = 1", ALL, "1|A|1|2\n", NULL},
    {"insert-update-where", "INSERT INTO t VALUES (2, 'A', 5, 2)", "UPDATE t SET a = 'B' WHERE b = 5", ALL, "1|B|5|10\n2|A|5|2\n", NULL},
    {"insert-delete", "DELETE FROM t; INSERT INTO t VALUES (1, 'A', 1, 2)", "DELETE FROM t WHERE id = 1", ALL, "1|A|1|2\n", NULL},
    {"insert-delete-where", "INSERT INTO t VALUES (2, 'A', 5, 2)", "DELETE FROM t", ALL, "2|A|5|2\n", NULL},
    {"insert-upsert", "INSERT INTO t VALUES (2, 'A', 1, 2)", "INSERT INTO t (id, a) VALUES (2, 'B') ON CONFLICT (id) DO UPDATE SET a = 'B', n = n + 1", ALL,
     "1|old|5|10\n2|A|1|2\n", "1|old|5|10\n2|B|0|2\n"},
    {"update-update", "UPDATE t SET a = 'A' WHERE id = 1", "UPDATE t SET a = 'B' WHERE id = 1", ALL, "1|A|5|10\n", "1|B|5|10\n"},
    {"update-update-other-column", "UPDATE t SET a = 'A' WHERE id = 1", "UPDATE t SET b = 7 WHERE id = 1", ALL, "1|A|7|10\n", NULL},
    {"update-update-counter", "UPDATE t SET n = n + 1 WHERE id = 1", "UPDATE t SET n = n + 10 WHERE id = 1", ALL, "1|old|5|21\n", NULL},
    {"update-update-counter-set", "UPDATE t SET n = 7 WHERE id = 1", "UPDATE t SET n = n + 10 WHERE id = 1", ALL, "1|old|5|17\n", NULL},
    {"update-delete", "UPDATE t SET a = 'A', n = n + 1 WHERE id = 1", "DELETE FROM t WHERE id = 1", ALL, "", NULL},
    {"update-upsert", "UPDATE t SET a = 'A' WHERE id = 1", "INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 'B', n = n + 1", ALL, "1|A|5|11\n", "1|B|5|11\n"},
    {"update-replace", "UPDATE t SET a = 'A', n = n + 1 WHERE id = 1", "REPLACE INTO t VALUES (1, 'B', 1, 2)", ALL, "1|B|1|2\n", NULL},
    {"update-key", "UPDATE t SET id = 2 WHERE id = 1", "UPDATE t SET a = 'B' WHERE id = 1", ALL, "2|old|5|10\n", NULL},
    {"update-key-key", "UPDATE t SET id = 2 WHERE id = 1", "UPDATE t SET id = 3 WHERE id = 1", ALL, "2|old|5|10\n3|old|5|10\n", NULL},
    {"delete-delete", "DELETE FROM t WHERE id = 1", "DELETE FROM t WHERE id = 1", ALL, "", NULL},
    {"delete-upsert", "DELETE FROM t WHERE id = 1", "INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 'B', n = n + 1", ALL, "", NULL},
    {"delete-replace", "DELETE FROM t WHERE id = 1", "REPLACE INTO t VALUES (1, 'B', 1, 2)", ALL, "1|B|1|2\n", NULL},
    {"upsert-upsert-new", "INSERT INTO t (id, n) VALUES (2, 1) ON CONFLICT (id) DO UPDATE SET n = n + 1", "INSERT INTO t (id, n) VALUES (2, 1) ON CONFLICT (id) DO UPDATE SET n = n + 1",
     ALL, "1|old|5|10\n2|d|0|2\n", NULL},
    {"upsert-upsert-old", "INSERT INTO t (id, n) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = n + 1", "INSERT INTO t (id, n) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = n + 1",
     ALL, "1|old|5|12\n", NULL},
    {"replace-replace", "REPLACE INTO t VALUES (1, 'A', 1, 2)", "REPLACE INTO t VALUES (1, 'B', 3, 4)", ALL, "1|A|1|6\n", "1|B|3|6\n"},
    /* kinds of column */
    {"maximum-maximum", "UPDATE k SET hi = 9", "UPDATE k SET hi = 7", ALL_K, "1|9|[\"a\"]|old|[\"old\"]\n", NULL},
    {"maximum-delete", "UPDATE k SET hi = 9", "DELETE FROM k", ALL_K, "", NULL},
    {"set-add-add", "UPDATE k SET tags = set_add(tags, 'b')", "UPDATE k SET tags = set_add(tags, 'c')", ALL_K, "1|5|[\"a\",\"b\",\"c\"]|old|[\"old\"]\n", NULL},
    {"set-add-remove", "UPDATE k SET tags = set_add(tags, 'a')", "UPDATE k SET tags = set_remove(tags, 'a')", ALL_K, "1|5|[\"a\"]|old|[\"old\"]\n", NULL},
    {"set-add-remove-other", "UPDATE k SET tags = set_add(tags, 'b')", "UPDATE k SET tags = set_remove(tags, 'a')", ALL_K, "1|5|[\"b\"]|old|[\"old\"]\n", NULL},
    {"set-add-assign", "UPDATE k SET tags = set_add(tags, 'b')", "UPDATE k SET tags = '[\"c\"]'", ALL_K, "1|5|[\"b\",\"c\"]|old|[\"old\"]\n", NULL},
    {"set-insert-insert", "INSERT INTO k VALUES (2, 1, '[\"x\"]', 'A')", "INSERT INTO k VALUES (2, 3, '[\"y\"]', 'B')", "SELECT *, siblings(body) FROM k WHERE id = 2",
     "2|3|[\"x\",\"y\"]|A|[\"A\",\"B\"]\n", "2|3|[\"x\",\"y\"]|B|[\"B\",\"A\"]\n"},
    {"multivalue-multivalue", "UPDATE k SET body = 'A'", "UPDATE k SET body = 'B'", ALL_K, "1|5|[\"a\"]|A|[\"A\",\"B\"]\n", "1|5|[\"a\"]|B|[\"B\",\"A\"]\n"},
    {"win-update-delete", "UPDATE w SET name = 'y'", "DELETE FROM w", ALL_W, "1|y|5\n", NULL},
    {"win-update-replace", "UPDATE w SET name = 'y'", "REPLACE INTO w VALUES (1, 'z', 6)", ALL_W, "1|y|6\n", "1|z|6\n"},
    {"win-insert-delete", "DELETE FROM w; INSERT INTO w VALUES (1, 'z', 6)", "DELETE FROM w", ALL_W, "1|z|6\n", NULL},
    {"win-delete-delete", "DELETE FROM w", "DELETE FROM w", ALL_W, "", NULL},
    {"win-on-update-delete", "ALTER TABLE t UPDATES WIN; UPDATE t SET a = 'A'", "DELETE FROM t", ALL, "", NULL},
    {"win-on-delete-update", "ALTER TABLE t UPDATES WIN; DELETE FROM t", "UPDATE t SET a = 'B'", ALL, "", NULL},
    {"win-on-update-update", "ALTER TABLE t UPDATES WIN; UPDATE t SET a = 'A'", "UPDATE t SET b = 7, n = n + 1", ALL, "1|A|7|11\n", NULL},
    {"win-on-win-on", "ALTER TABLE t UPDATES WIN; UPDATE t SET a = 'A'", "ALTER TABLE t UPDATES WIN; DELETE FROM t", ALL, "1|A|5|10\n", NULL},
    {"win-off-update-delete", "ALTER TABLE w UPDATES LOSE; UPDATE w SET name = 'y'", "DELETE FROM w", ALL_W, "", NULL},
    {"win-off-delete-update", "ALTER TABLE w UPDATES LOSE; DELETE FROM w", "UPDATE w SET name = 'y'", ALL_W, "", NULL},
    {"win-off-win-off", "ALTER TABLE w UPDATES LOSE; UPDATE w SET name = 'y'", "ALTER TABLE w UPDATES LOSE; DELETE FROM w", ALL_W, "", NULL},
    {"win-on-win-off", "ALTER TABLE w UPDATES LOSE; ALTER TABLE w UPDATES WIN", "ALTER TABLE w UPDATES LOSE", "SELECT count(*) FROM quartet_columns WHERE sql = 'UPDATES WIN'", "1\n", "0\n"},
    /* rows and the schema */
    {"add-column-insert", "ALTER TABLE t ADD COLUMN z INTEGER DEFAULT 9", "INSERT INTO t VALUES (2, 'B', 3, 4)", ALL, "1|old|5|10|9\n2|B|3|4|9\n", NULL},
    {"add-column-update", "ALTER TABLE t ADD COLUMN z INTEGER DEFAULT 9; UPDATE t SET z = 8", "UPDATE t SET a = 'B'", ALL, "1|B|5|10|8\n", NULL},
    {"add-column-delete", "ALTER TABLE t ADD COLUMN z INTEGER DEFAULT 9; UPDATE t SET z = 8", "DELETE FROM t", ALL, "", NULL},
    {"drop-column-insert", "ALTER TABLE t DROP COLUMN b", "INSERT INTO t VALUES (2, 'B', 3, 4)", ALL, "1|old|10\n2|B|4\n", NULL},
    {"drop-column-update", "ALTER TABLE t DROP COLUMN b", "UPDATE t SET b = 7, a = 'B'", ALL, "1|B|10\n", NULL},
    {"rename-column-update", "ALTER TABLE t RENAME COLUMN b TO z", "UPDATE t SET b = 7", "SELECT z FROM t", "7\n", NULL},
    {"rename-column-upsert", "ALTER TABLE t RENAME COLUMN b TO z", "INSERT INTO t (id, b) VALUES (1, 3) ON CONFLICT (id) DO UPDATE SET b = excluded.b", "SELECT z FROM t", "3\n", NULL},
    {"drop-table-insert", "DROP TABLE t", "INSERT INTO t VALUES (2, 'B', 3, 4)", "SELECT count(*) FROM information_schema.tables", "0\n", NULL},
    {"drop-table-update", "DROP TABLE t", "UPDATE t SET a = 'B'", "SELECT count(*) FROM information_schema.tables", "0\n", NULL},
    {"drop-and-create-table-insert", "DROP TABLE t; " T, "INSERT INTO t VALUES (2, 'B', 3, 4)", ALL, "", NULL},
    {"rename-table-insert", "ALTER TABLE t RENAME TO u", "INSERT INTO t VALUES (2, 'B', 3, 4)", "SELECT * FROM u ORDER BY id", "1|old|5|10\n2|B|3|4\n", NULL},
    {"create-index-insert", "CREATE INDEX t_b ON t (b)", "INSERT INTO t VALUES (2, 'B', 3, 4)", "SELECT a FROM t INDEXED BY t_b WHERE b = 3", "B\n", NULL},
    {"create-index-update", "CREATE INDEX t_b ON t (b)", "UPDATE t SET b = 3", "SELECT a FROM t INDEXED BY t_b WHERE b IN (3, 5)", "old\n", NULL},
    {"create-index-delete", "CREATE INDEX t_b ON t (b)", "DELETE FROM t", "SELECT a FROM t INDEXED BY t_b WHERE b IN (3, 5)", "", NULL},
    {"add-column-upsert", "ALTER TABLE t ADD COLUMN z INTEGER DEFAULT 9", "INSERT INTO t (id, a) VALUES (1, 'B') ON CONFLICT (id) DO UPDATE SET a = excluded.a", ALL, "1|B|5|10|9\n", NULL},
    {"drop-column-delete", "ALTER TABLE t DROP COLUMN b", "DELETE FROM t", ALL, "", NULL},
    {"drop-column-upsert", "ALTER TABLE t DROP COLUMN b", "INSERT INTO t (id, b) VALUES (1, 3) ON CONFLICT (id) DO UPDATE SET b = excluded.b, a = 'B'", ALL, "1|B|10\n", NULL},
    {"rename-column-insert", "ALTER TABLE t RENAME COLUMN b TO z", "INSERT INTO t VALUES (2, 'B', 3, 4)", "SELECT id, z FROM t ORDER BY id", "1|5\n2|3\n", NULL},
    {"rename-column-delete", "ALTER TABLE t RENAME COLUMN b TO z", "DELETE FROM t", "SELECT z FROM t", "", NULL},
    {"rename-table-update", "ALTER TABLE t RENAME TO u", "UPDATE t SET a = 'B'", "SELECT * FROM u", "1|B|5|10\n", NULL},
    {"rename-table-delete", "ALTER TABLE t RENAME TO u", "DELETE FROM t", "SELECT * FROM u", "", NULL},
    {"rename-table-upsert", "ALTER TABLE t RENAME TO u", "INSERT INTO t (id, n) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = n + 1", "SELECT * FROM u", "1|old|5|11\n", NULL},
    {"drop-table-delete", "DROP TABLE t", "DELETE FROM t", "SELECT count(*) FROM information_schema.tables", "0\n", NULL},
    {"drop-table-upsert", "DROP TABLE t", "INSERT INTO t (id, n) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = n + 1", "SELECT count(*) FROM information_schema.tables", "0\n", NULL},
    {"create-index-upsert", "CREATE INDEX t_b ON t (b)", "INSERT INTO t (id, b) VALUES (1, 3) ON CONFLICT (id) DO UPDATE SET b = excluded.b", "SELECT a FROM t INDEXED BY t_b WHERE b IN (3, 5)", "old\n", NULL},
    {"set-default-insert", "ALTER TABLE t ALTER COLUMN b SET DEFAULT 8", "INSERT INTO t (id) VALUES (2)", ALL, "1|old|5|10\n2|d|0|0\n", NULL},
    {"set-kind-insert", "ALTER TABLE t ALTER COLUMN b SET COUNTER", "INSERT INTO t VALUES (2, 'B', 3, 4)", ALL, "1|old|5|10\n2|B|3|4\n", NULL},
    {"set-kind-update", "ALTER TABLE t ALTER COLUMN b SET COUNTER; UPDATE t SET b = b + 2", "UPDATE t SET b = b + 1", ALL, "1|old|7|10\n", "1|old|6|10\n"},
    {"set-kind-set-update", "ALTER TABLE t ALTER COLUMN b DROP DEFAULT; ALTER TABLE t ALTER COLUMN b SET SET; UPDATE t SET b = 7", "UPDATE t SET b = b + 1", ALL, "1|old|7|10\n",
     "1|old|6|10\n"},
    {"set-kind-delete", "ALTER TABLE t ALTER COLUMN b SET COUNTER", "DELETE FROM t", ALL, "", NULL},
    /* constraints */
    {"unique-insert-insert", "INSERT INTO q VALUES (3, 'x', 1, 2)", "INSERT INTO q VALUES (4, 'x', 1, 2)", ALL_Q, "1|one|1|10\n2|two|1|10\n4|x|1|2\n", "1|one|1|10\n2|two|1|10\n3|x|1|2\n"},
    {"unique-update-update", "UPDATE q SET mail = 'x' WHERE id = 2", "UPDATE q SET mail = 'x' WHERE id = 1", ALL_Q, "1|x|1|10\n", NULL},
    {"unique-insert-update", "INSERT INTO q VALUES (3, 'x', 1, 2)", "UPDATE q SET mail = 'x' WHERE id = 2", ALL_Q, "1|one|1|10\n2|x|1|10\n", NULL},
    {"unique-insert-delete", "UPDATE q SET mail = 'x' WHERE id = 1; INSERT INTO q VALUES (3, 'one', 1, 2)", "DELETE FROM q WHERE id = 1", ALL_Q, "2|two|1|10\n3|one|1|2\n", NULL},
    {"unique-save-unchanged", "UPDATE q SET mail = 'one' WHERE id = 1", "UPDATE q SET mail = 'two' WHERE id = 2", ALL_Q, "1|one|1|10\n2|two|1|10\n", NULL},
    {"unique-index-insert", "CREATE UNIQUE INDEX t_b ON t (b)", "INSERT INTO t VALUES (2, 'B', 5, 4)", ALL, "1|old|5|10\n", NULL},
    {"check-update-update", "UPDATE q SET lo = 5 WHERE id = 1", "UPDATE q SET hi = 3 WHERE id = 1", ALL_Q, "1|one|5|10\n2|two|1|10\n", "1|one|1|3\n2|two|1|10\n"},
    {"add-check-update", "ALTER TABLE t ADD CONSTRAINT small CHECK (b < 6)", "UPDATE t SET b = 7", ALL, "", NULL},
    {"add-check-insert", "ALTER TABLE t ADD CONSTRAINT small CHECK (b < 6)", "INSERT INTO t VALUES (2, 'B', 7, 4), (3, 'B', 3, 4)", ALL, "1|old|5|10\n3|B|3|4\n", NULL},
    {"add-together-update-update", "ALTER TABLE t ADD MERGE TOGETHER (a, b); UPDATE t SET a = 'A'", "UPDATE t SET b = 7", ALL, "1|A|5|10\n", "1|A|7|10\n"},
    {"add-together-add-together", "ALTER TABLE t ADD MERGE TOGETHER (a, b); UPDATE t SET a = 'A'", "ALTER TABLE t ADD MERGE TOGETHER (a, b); UPDATE t SET b = 7", ALL, "1|A|5|10\n", "1|old|7|10\n"},
    {"add-together-delete", "ALTER TABLE t ADD MERGE TOGETHER (a, b); UPDATE t SET a = 'A'", "DELETE FROM t", ALL, "", NULL},
    {"add-together-drop-column", "ALTER TABLE t ADD MERGE TOGETHER (a, b); UPDATE t SET a = 'A'", "ALTER TABLE t DROP COLUMN b", ALL, "1|A|10\n", NULL},
    {"add-together-rename-column", "ALTER TABLE t ADD MERGE TOGETHER (a, b)", "ALTER TABLE t RENAME COLUMN b TO z; UPDATE t SET z = 7", ALL, "1|old|7|10\n", NULL},
    {"set-not-null-update", "ALTER TABLE t ALTER COLUMN a SET NOT NULL", "UPDATE t SET a = NULL", ALL, "", NULL},
    {"add-check-add-check-same", "ALTER TABLE t ADD CONSTRAINT small CHECK (b < 6)", "ALTER TABLE t ADD CONSTRAINT small CHECK (b < 6)",
     "SELECT count(*) FROM quartet_objects WHERE kind = 'constraint'", "1\n", NULL},
    {"add-check-drop-column", "ALTER TABLE t ADD CONSTRAINT small CHECK (b < 6)", "ALTER TABLE t DROP COLUMN b", ALL, "1|old|10\n", NULL},
    {"add-check-rename-column", "ALTER TABLE t ADD CONSTRAINT small CHECK (b < 6)", "ALTER TABLE t RENAME COLUMN b TO z; INSERT INTO t (id, z) VALUES (2, 7), (3, 3)",
     "SELECT id, z FROM t ORDER BY id", "1|5\n3|3\n", NULL},
    {"add-unique-drop-table", "ALTER TABLE t ADD CONSTRAINT one UNIQUE (b)", "DROP TABLE t", "SELECT count(*) FROM information_schema.tables", "0\n", NULL},
    {"foreign-key-insert-delete", "INSERT INTO f VALUES (11, 1, NULL)", "DELETE FROM p WHERE id = 1", "SELECT id FROM f ORDER BY id", "10\n", NULL},
    {"foreign-key-update-delete", "UPDATE f SET p = 1", "DELETE FROM p WHERE id = 1", "SELECT id FROM f ORDER BY id", "", NULL},
    {"foreign-key-delete-delete", "DELETE FROM f", "DELETE FROM p WHERE id = 2", "SELECT id FROM f ORDER BY id", "", NULL},
    {"add-foreign-key-insert", "ALTER TABLE f ADD CONSTRAINT fq FOREIGN KEY (q) REFERENCES p", "INSERT INTO f VALUES (11, 2, 7), (12, 2, 2)", "SELECT id FROM f ORDER BY id", "10\n12\n", NULL},
    {"add-foreign-key-delete", "ALTER TABLE f ADD CONSTRAINT fq FOREIGN KEY (q) REFERENCES p", "DELETE FROM p WHERE id = 1", "SELECT id FROM f ORDER BY id", "", NULL},
    /* the schema twice */
    {"create-create-same", "CREATE TABLE x (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO x VALUES (1, 'A')", "CREATE TABLE x (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO x VALUES (2, 'B')",
     "SELECT * FROM x ORDER BY id", "1|A\n2|B\n", NULL},
    {"create-create-same-and-add", "CREATE TABLE x (id INTEGER PRIMARY KEY); ALTER TABLE x ADD COLUMN y TEXT; INSERT INTO x VALUES (1, 'A')", "CREATE TABLE x (id INTEGER PRIMARY KEY); INSERT INTO x VALUES (2)",
     "SELECT * FROM x ORDER BY id", "1|A\n2|NULL\n", NULL},
    {"create-create-different", "CREATE TABLE x (id INTEGER PRIMARY KEY, v TEXT)", "CREATE TABLE x (id INTEGER PRIMARY KEY, w INTEGER)",
     "SELECT count(*), max(table_name LIKE 'x!_%' ESCAPE '!') FROM information_schema.tables WHERE table_name LIKE 'x%'", "2|1\n", NULL},
    {"add-add-same", "ALTER TABLE t ADD COLUMN z INTEGER; UPDATE t SET z = 1", "ALTER TABLE t ADD COLUMN z INTEGER; UPDATE t SET z = 2", ALL, "1|old|5|10|1\n", "1|old|5|10|2\n"},
    {"add-add-other", "ALTER TABLE t ADD COLUMN y INTEGER DEFAULT 1", "ALTER TABLE t ADD COLUMN z INTEGER DEFAULT 2", "SELECT y, z FROM t", "1|2\n", NULL},
    {"add-column-drop-table", "ALTER TABLE t ADD COLUMN z INTEGER", "DROP TABLE t", "SELECT count(*) FROM information_schema.tables", "0\n", NULL},
    {"drop-column-drop-column", "ALTER TABLE t DROP COLUMN b", "ALTER TABLE t DROP COLUMN b", ALL, "1|old|10\n", NULL},
    {"drop-column-rename-column", "ALTER TABLE t DROP COLUMN b", "ALTER TABLE t RENAME COLUMN b TO z",
     "SELECT count(*) FROM information_schema.columns WHERE table_name = 't'", "3\n", "4\n"},
    {"rename-column-rename-column", "ALTER TABLE t RENAME COLUMN b TO y", "ALTER TABLE t RENAME COLUMN b TO z",
     "SELECT column_name FROM information_schema.columns WHERE table_name = 't' AND ordinal_position = 3", "y\n", "z\n"},
    {"rename-table-rename-table", "ALTER TABLE t RENAME TO u", "ALTER TABLE t RENAME TO v", "SELECT table_name FROM information_schema.tables", "u\n", "v\n"},
    {"rename-two-tables-to-one-name", "ALTER TABLE t RENAME TO x", "ALTER TABLE s RENAME TO x",
     "SELECT count(*), count(DISTINCT table_name), max(table_name = 'x') FROM information_schema.tables", "2|2|1\n", NULL},
    {"drop-table-drop-table", "DROP TABLE t", "DROP TABLE t", "SELECT count(*) FROM information_schema.tables", "0\n", NULL},
    {"create-index-create-index-same", "CREATE INDEX t_b ON t (b)", "CREATE INDEX t_b ON t (b)", "SELECT count(*) FROM information_schema.statistics WHERE index_name <> 'PRIMARY'", "1\n", NULL},
    {"create-index-create-index-different", "CREATE INDEX t_b ON t (b)", "CREATE INDEX t_b ON t (a)", "SELECT count(DISTINCT index_name) FROM information_schema.statistics WHERE index_name <> 'PRIMARY'", "2\n", NULL},
    {"create-index-drop-table", "CREATE INDEX t_b ON t (b)", "DROP TABLE t", "SELECT count(*) FROM information_schema.tables", "0\n", NULL},
    {"comment-comment", "COMMENT ON TABLE t IS 'of A'; COMMENT ON COLUMN t.a IS 'A'", "COMMENT ON TABLE t IS 'of B'; COMMENT ON COLUMN t.b IS 'B'",
     "SELECT (SELECT table_comment FROM information_schema.tables), group_concat(column_comment) FROM information_schema.columns", "of A|A,B\n", "of B|A,B\n"},
    {"comment-drop-column", "COMMENT ON COLUMN t.b IS 'A'", "ALTER TABLE t DROP COLUMN b", "SELECT count(*), count(column_comment) FROM information_schema.columns", "3|0\n", NULL},
    {"comment-rename-table", "COMMENT ON TABLE t IS 'A'", "ALTER TABLE t RENAME TO u", "SELECT table_name, table_comment FROM information_schema.tables", "u|A\n", NULL},
    {"create-view-create-view-different", "CREATE VIEW v AS SELECT 1 AS x", "CREATE VIEW v AS SELECT 2 AS x", "SELECT count(DISTINCT table_name) FROM information_schema.views", "2\n", NULL},
    {"set-default-set-default", "ALTER TABLE t ALTER COLUMN b SET DEFAULT 8", "ALTER TABLE t ALTER COLUMN b SET DEFAULT 9", "SELECT column_default FROM information_schema.columns WHERE table_name = 't' AND column_name = 'b'", "8\n", "9\n"},
    {"add-column-drop-column", "ALTER TABLE t ADD COLUMN z INTEGER DEFAULT 9", "ALTER TABLE t DROP COLUMN b", ALL, "1|old|10|9\n", NULL},
    {"add-column-rename-column", "ALTER TABLE t ADD COLUMN z INTEGER DEFAULT 9", "ALTER TABLE t RENAME COLUMN b TO y", "SELECT y, z FROM t", "5|9\n", NULL},
    {"add-column-rename-column-to-its-name", "ALTER TABLE t ADD COLUMN z INTEGER DEFAULT 9", "ALTER TABLE t RENAME COLUMN b TO z", "SELECT count(*), count(DISTINCT column_name), max(column_name = 'z') FROM information_schema.columns WHERE table_name = 't'", "5|5|1\n", NULL},
    {"rename-table-add-column", "ALTER TABLE t RENAME TO u", "ALTER TABLE t ADD COLUMN z INTEGER DEFAULT 9", "SELECT * FROM u", "1|old|5|10|9\n", NULL},
    {"rename-table-drop-table", "ALTER TABLE t RENAME TO u", "DROP TABLE t", "SELECT count(*) FROM information_schema.tables", "0\n", NULL},
};

static void run_all(db *d, const char *sql)
{
    char one[512];
    while (*sql != '\0') {
        size_t n = strcspn(sql, ";");
        CU_ASSERT_FATAL(n < sizeof one);
        memcpy(one, sql, n);
        one[n] = '\0';
        run_sql(d, one);
        sql += n;
        sql += strspn(sql, "; ");
    }
}

/* Stamps of what runs after it are above all that ran before, on every node. */
static void next_millisecond(struct env *env)
{
    uint64_t now = env_wall_ms(env);
    while (env_wall_ms(env) <= now + 1)
        ;
}

static void give_from(struct cluster *c, uint32_t from, uint32_t to, uint32_t first)
{
    for (uint32_t i = first; i < c->pool.count; i++)
        if (c->pool.slot[i] == from)
            (void)cluster_give(c, to, i);
}

static void run_cell(const struct cell *x, bool a_later)
{
    struct prng r;
    struct cluster *c = cluster_new(4);
    prng_seed(&r, 5);
    run_all(c->d[0], T "; CREATE TABLE s (id INTEGER PRIMARY KEY)");
    if (strncmp(x->name, "rename-two", 10) != 0)
        run_sql(c->d[0], "DROP TABLE s");
    run_sql(c->d[0], OLD_ROW);
    if (strstr(x->query, " k") != NULL)
        run_all(c->d[0], KINDS);
    if (strstr(x->query, " w ") != NULL || strstr(x->a, " w ") != NULL)
        run_all(c->d[0], WIN);
    if (strstr(x->query, " q ") != NULL)
        run_all(c->d[0], HELD);
    if (strstr(x->query, " f ") != NULL)
        run_all(c->d[0], KEYED);
    cluster_exchange(c, &r);
    uint32_t first = c->pool.count;
    for (int turn = 0; turn < 2; turn++) {
        next_millisecond(env_posix());
        bool runs_a = (turn == 0) != a_later;
        run_all(c->d[runs_a ? 0 : 1], runs_a ? x->a : x->b);
        cluster_seal(c, runs_a ? 0 : 1);
    }
    give_from(c, 0, 2, first);
    give_from(c, 1, 2, first);
    give_from(c, 1, 3, first);
    give_from(c, 0, 3, first);
    give_from(c, 1, 0, first);
    give_from(c, 0, 1, first);
    const char *want = a_later || x->b_later == NULL ? x->a_later : x->b_later;
    for (uint32_t i = 0; i < 4; i++) {
        struct buf got = {0};
        struct err err = ERR_INIT;
        quartet_status rc = query_try(c->d[i], x->query, NULL, &got, &err);
        bool same = rc == QUARTET_OK && slice_eq(slice_of(got.data, got.len), slice_of(want, strlen(want)));
        if (!same)
            printf("\n%s, %s later, node %u: %s\n%.*swant\n%s", x->name, a_later ? "A" : "B", i, rc == QUARTET_OK ? "" : err.text, (int)got.len,
                   (const char *)got.data, want);
        CU_ASSERT(same);
        buf_deinit(&got);
    }
    const char *none[] = {NULL};
    cluster_expect_equal(c, none, 0);
    cluster_free(c);
}

/* The first words of the page's table lines of this section. */
static bool page_has(FILE *page, const char *name, uint32_t *lines)
{
    char line[2048];
    bool inside = false, found = false;
    *lines = 0;
    rewind(page);
    while (fgets(line, sizeof line, page) != NULL) {
        if (strncmp(line, "## ", 3) == 0)
            inside = strcmp(line, "## Every pair\n") == 0;
        if (!inside || strncmp(line, "| ", 2) != 0 || strncmp(line, "| pair |", 8) == 0)
            continue;
        ++*lines;
        size_t n = strlen(name);
        found |= strncmp(line + 2, name, n) == 0 && strncmp(line + 2 + n, " |", 2) == 0;
    }
    return found;
}

static void test_merge_table_is_the_page(void)
{
    FILE *page = fopen(SOURCE_DIR "/docs/MERGE.md", "r");
    uint32_t lines = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(page);
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        bool found = page_has(page, cells[i].name, &lines);
        if (!found)
            printf("\n%s does not stand in docs/MERGE.md\n", cells[i].name);
        CU_ASSERT(found);
    }
    CU_ASSERT_EQUAL(lines, sizeof cells / sizeof cells[0]);
    fclose(page);
}

static void test_merge_table_every_cell(void)
{
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        run_cell(&cells[i], false);
        run_cell(&cells[i], true);
    }
}

const char *const unit_suite = "merge_table";
const struct unit_test unit_tests[] = {
    {"every cell", test_merge_table_every_cell},
    {"is the page", test_merge_table_is_the_page},
    {NULL, NULL},
};

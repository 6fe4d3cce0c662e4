/* test_catalog.c - DDL: what definitions become, what is refused, how concurrent DDL of several members comes together. */
#include "cluster_help.h"

static void refuse(db *d, const char *sql, const char *why)
{
    struct err err = ERR_INIT;
    quartet_status rc = help_try_ddl(d, sql, &err);
    if (rc != QUARTET_ERROR && rc != QUARTET_CONSTRAINT)
        printf("\n%s: %s\n", sql, status_name(rc));
    CU_ASSERT(rc == QUARTET_ERROR || rc == QUARTET_CONSTRAINT);
    if (strstr(err.text, why) == NULL)
        printf("\n%s: %s\n", sql, err.text);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, why));
}

static void test_catalog_reads_definitions(void)
{
    db *d = help_memory();
    help_ddl(d, "CREATE TABLE [Album] ([AlbumId] INTEGER NOT NULL, [Title] NVARCHAR(160) NOT NULL, price DECIMAL(10,2) DEFAULT 1.5, "
                "CONSTRAINT [PK_Album] PRIMARY KEY ([AlbumId]), UNIQUE (Title, price), CHECK (price > 0), "
                "FOREIGN KEY (price) REFERENCES other (x) ON DELETE CASCADE)");
    struct catalog *c = db_catalog(d);
    const struct table_def *t = catalog_table(c, "aLBUM");
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    CU_ASSERT_STRING_EQUAL(t->name, "Album");
    CU_ASSERT(t->rowid_key && !t->hidden_key);
    CU_ASSERT_EQUAL(t->column_count, 3);
    CU_ASSERT_EQUAL(t->rows.count, 2);
    CU_ASSERT_EQUAL(t->columns[0].key_at, 0);
    CU_ASSERT_EQUAL(t->columns[0].record_at, -1);
    CU_ASSERT_EQUAL(t->columns[1].type, VALUE_TEXT);
    CU_ASSERT(t->columns[1].not_null);
    CU_ASSERT_EQUAL(t->columns[1].length, 160);
    CU_ASSERT_EQUAL(t->columns[2].type, VALUE_DECIMAL);
    CU_ASSERT_EQUAL(t->columns[2].scale, 2);
    CU_ASSERT_PTR_NOT_NULL(t->columns[2].default_expr);
    CU_ASSERT_EQUAL(t->index_count, 2); /* the FOREIGN KEY has one of its own */
    CU_ASSERT(t->indexes[0].unique && t->indexes[0].implied && t->indexes[0].column_count == 2);
    CU_ASSERT_EQUAL(t->indexes[0].keys[1].kind, KEY_DECIMAL);
    CU_ASSERT_EQUAL(t->check_count, 1);
    CU_ASSERT_EQUAL(t->foreign_key_count, 1);
    CU_ASSERT_STRING_EQUAL(t->foreign_keys[0].parent, "other");
    CU_ASSERT_EQUAL(table_column(t, "PRICE"), 2);
    CU_ASSERT_EQUAL(table_column(t, "none"), -1);
    CU_ASSERT_PTR_EQUAL(catalog_table_by_id(c, t->id), t);
    CU_ASSERT_PTR_NULL(catalog_table(c, "none"));
    CU_ASSERT(catalog_table(c, "quartet_objects")->is_system);
    catalog_unref(c);
    help_close(d);
}

static void test_catalog_refuses_what_cannot_be(void)
{
    db *d = help_memory();
    help_ddl(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
    help_ddl(d, "CREATE TABLE IF NOT EXISTS T (other INTEGER)");
    refuse(d, "CREATE TABLE T (x)", "already exists");
    refuse(d, "CREATE TABLE quartet_x (x)", "reserved");
    refuse(d, "CREATE TABLE u (x, X)", "twice");
    refuse(d, "CREATE TABLE u (x, PRIMARY KEY (y))", "no such column");
    refuse(d, "CREATE TABLE u (x REAL COUNTER)", "REAL");
    refuse(d, "CREATE TABLE u (x TEXT COUNTER)", "COUNTER");
    refuse(d, "CREATE TABLE u (x INTEGER COUNTER PRIMARY KEY)", "COUNTER");
    refuse(d, "CREATE TABLE u (x INTEGER COUNTER CHECK (x <> 0))", "COUNTER");
    refuse(d, "CREATE TABLE u (x INTEGER COUNTER UNIQUE)", "COUNTER");
    refuse(d, "CREATE TABLE u (x INTEGER PRIMARY KEY, y INTEGER, PRIMARY KEY (y))", "more than one primary key");
    refuse(d, "CREATE INDEX i ON none (x)", "no such table");
    refuse(d, "CREATE INDEX i ON t (none)", "no such column");
    refuse(d, "CREATE INDEX i ON quartet_objects (name)", "read-only");
    refuse(d, "DROP TABLE none", "no such table");
    refuse(d, "DROP TABLE quartet_objects", "cannot be dropped");
    refuse(d, "DROP INDEX none", "no such index");
    refuse(d, "ALTER TABLE t ADD COLUMN a TEXT", "already has");
    refuse(d, "ALTER TABLE t ADD COLUMN b TEXT UNIQUE", "key");
    refuse(d, "ALTER TABLE t ADD COLUMN b TEXT NOT NULL", "NOT NULL");
    refuse(d, "ALTER TABLE t ADD COLUMN b TEXT DEFAULT (random())", "constant");
    help_ddl(d, "DROP TABLE IF EXISTS none");
    help_put(d, "t", ROW("1", "same"));
    help_put(d, "t", ROW("2", "same"));
    refuse(d, "CREATE UNIQUE INDEX i ON t (a)", "equal values");
    EXPECT(d, "t", "1,'same';2,'same';"); /* nothing was half done */
    help_ddl(d, "CREATE INDEX i ON t (a)");
    EXPECT_INDEX(d, "t", "i", "1,'same';2,'same';");
    help_close(d);
}

static void test_catalog_drops_and_makes_again(void)
{
    db *d = help_memory();
    tree_id first = 0;
    for (int i = 0; i < 3; i++) {
        help_ddl(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE)");
        EXPECT(d, "t", ""); /* nothing of the one before */
        struct catalog *c = db_catalog(d);
        tree_id id = catalog_table(c, "t")->id;
        CU_ASSERT(i == 0 || id != first);
        first = i == 0 ? id : first;
        catalog_unref(c);
        help_put(d, "t", ROW("1", "a"));
        EXPECT_INDEX(d, "t", "t_unique_1", "1,'a';");
        help_ddl(d, "DROP TABLE t");
    }
    help_ddl(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
    help_put(d, "t", ROW("1", "a"));
    help_ddl(d, "CREATE INDEX ta ON t (a DESC)");
    help_put(d, "t", ROW("2", "b"));
    EXPECT_INDEX(d, "t", "ta", "2,'b';1,'a';");
    help_ddl(d, "DROP INDEX ta");
    help_ddl(d, "CREATE INDEX ta ON t (a DESC)");
    EXPECT_INDEX(d, "t", "ta", "2,'b';1,'a';");
    help_ddl(d, "ALTER TABLE t RENAME TO u");
    EXPECT_INDEX(d, "u", "ta", "2,'b';1,'a';");
    help_ddl(d, "CREATE TABLE t (x TEXT)");
    EXPECT(d, "t", "");
    help_close(d);
}

static void test_catalog_adds_columns(void)
{
    struct err err = ERR_INIT;
    db *d = help_memory();
    txn *t = NULL;
    help_ddl(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
    help_put(d, "t", ROW("1", "old"));
    help_ddl(d, "ALTER TABLE t ADD COLUMN b INTEGER DEFAULT 7");
    help_ddl(d, "ALTER TABLE t ADD n INTEGER COUNTER");
    EXPECT(d, "t", "1,'old',7,0;");
    help_put(d, "t", ROW("2", "new", "3", "5"));
    OK(txn_begin(d, &t, &err));
    OK(help_update(t, "t", 1, "n", true, "4", &err));
    OK(help_update(t, "t", 1, "b", false, NULL, &err));
    OK(txn_commit(t, &err));
    EXPECT(d, "t", "1,'old',NULL,4;2,'new',3,5;");
    help_ddl(d, "CREATE INDEX tb ON t (b)");
    EXPECT_INDEX(d, "t", "tb", "1,'old',NULL,4;2,'new',3,5;");
    struct catalog *c = db_catalog(d);
    CU_ASSERT_PTR_NOT_NULL(strstr(catalog_table(c, "t")->sql, "b INTEGER DEFAULT 7"));
    catalog_unref(c);
    help_close(d);
}

static const char *const t_only[] = {"t", NULL};

static void test_catalog_equal_concurrent_creations_are_one(void)
{
    struct prng r;
    prng_seed(&r, 1);
    struct cluster *c = cluster_new(3);
    help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
    help_ddl(c->d[1], "create  table [t] (id INTEGER primary key, \"a\" TEXT)"); /* written otherwise */
    help_ddl(c->d[2], "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
    for (uint32_t i = 0; i < 3; i++)
        help_put(c->d[i], "t", ROW(NULL, "x"));
    cluster_exchange(c, &r);
    struct catalog *cat = db_catalog(c->d[0]);
    uint32_t users = 0;
    for (uint32_t i = 0; catalog_table_at(cat, i) != NULL; i++)
        users += !catalog_table_at(cat, i)->is_system;
    catalog_unref(cat);
    CU_ASSERT_EQUAL(users, 1);
    cluster_expect_equal(c, t_only, 1);
    EXPECT(c->d[2], "t", "1,'x';2,'x';3,'x';");
    cluster_free(c);
}

static void test_catalog_different_concurrent_creations_get_names(void)
{
    struct prng r;
    prng_seed(&r, 2);
    struct cluster *c = cluster_new(2);
    help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
    help_put(c->d[0], "t", ROW("1", "first"));
    help_ddl(c->d[1], "CREATE TABLE t (id INTEGER PRIMARY KEY, b INTEGER)");
    help_put(c->d[1], "t", ROW("1", "2"));
    cluster_exchange(c, &r);
    cluster_expect_equal(c, t_only, 2);
    EXPECT(c->d[1], "t", "1,'first';"); /* the earlier birth keeps the name */
    char other[2][128] = {{0}};
    for (uint32_t i = 0; i < 2; i++) {
        struct catalog *cat = db_catalog(c->d[i]);
        const struct table_def *t;
        for (uint32_t k = 0; (t = catalog_table_at(cat, k)) != NULL; k++)
            if (!t->is_system && strcmp(t->name, "t") != 0)
                snprintf(other[i], sizeof other[i], "%s", t->name);
        catalog_unref(cat);
    }
    CU_ASSERT(strncmp(other[0], "t_", 2) == 0);
    CU_ASSERT_STRING_EQUAL(other[0], other[1]);
    EXPECT(c->d[0], other[0], "1,2;");
    cluster_free(c);
}

static void test_catalog_concurrent_columns_and_rows(void)
{
    struct prng r;
    static const char *const tables[] = {"t", NULL};
    for (uint64_t seed = 1; seed <= 10; seed++) {
        prng_seed(&r, seed);
        struct cluster *c = cluster_new(3);
        help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
        cluster_exchange(c, &r);
        help_ddl(c->d[0], "ALTER TABLE t ADD COLUMN x INTEGER DEFAULT 1");
        help_put(c->d[0], "t", ROW("1", "from 0", "10"));
        help_ddl(c->d[1], "ALTER TABLE t ADD COLUMN y INTEGER DEFAULT 2"); /* learnt in another order than x */
        help_put(c->d[1], "t", ROW("2", "from 1", "20"));
        help_put(c->d[2], "t", ROW("3", "from 2"));
        help_ddl(c->d[2], "CREATE INDEX ta ON t (a)");
        cluster_exchange(c, &r);
        help_put(c->d[1], "t", ROW("4", "all", "30", "40"));
        cluster_exchange(c, &r);
        cluster_expect_equal(c, tables, seed);
        EXPECT(c->d[0], "t", "1,'from 0',10,2;2,'from 1',1,20;3,'from 2',1,2;4,'all',30,40;");
        EXPECT_INDEX(c->d[1], "t", "ta", "4,'all',30,40;1,'from 0',10,2;2,'from 1',1,20;3,'from 2',1,2;");
        cluster_free(c);
    }
}

static void test_catalog_dropped_tables_take_late_writes_out_of_sight(void)
{
    struct prng r;
    prng_seed(&r, 7);
    static const char *const none[] = {NULL};
    struct cluster *c = cluster_new(3);
    help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE)");
    help_put(c->d[0], "t", ROW("1", "a"));
    cluster_exchange(c, &r);
    help_ddl(c->d[0], "DROP TABLE t");
    help_put(c->d[1], "t", ROW("2", "late"));
    cluster_exchange(c, &r);
    for (uint32_t i = 0; i < 3; i++) {
        struct catalog *cat = db_catalog(c->d[i]);
        CU_ASSERT_PTR_NULL(catalog_table(cat, "t"));
        catalog_unref(cat);
    }
    cluster_expect_equal(c, none, 7);
    help_ddl(c->d[2], "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE)");
    cluster_exchange(c, &r);
    EXPECT(c->d[0], "t", ""); /* a new one */
    cluster_expect_equal(c, t_only, 7);
    cluster_free(c);
}

const char *const unit_suite = "catalog";
const struct unit_test unit_tests[] = {
    {"definitions", test_catalog_reads_definitions},
    {"refused", test_catalog_refuses_what_cannot_be},
    {"drop", test_catalog_drops_and_makes_again},
    {"add column", test_catalog_adds_columns},
    {"equal creations", test_catalog_equal_concurrent_creations_are_one},
    {"different creations", test_catalog_different_concurrent_creations_get_names},
    {"concurrent columns", test_catalog_concurrent_columns_and_rows},
    {"dropped", test_catalog_dropped_tables_take_late_writes_out_of_sight},
    {NULL, NULL},
};

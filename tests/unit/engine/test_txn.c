/* test_txn.c - transactions: own writes, snapshots, rollback of statements and savepoints, conflicts, phantoms, counters. */
#include "db_help.h"

static db *with_table(void)
{
    db *d = help_memory();
    help_ddl(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER)");
    return d;
}

static void test_txn_sees_its_own_writes_and_others_do_not(void)
{
    struct err err = ERR_INIT;
    db *d = with_table();
    txn *t = NULL;
    OK(txn_begin(d, &t, &err));
    OK(help_insert(t, "t", ROW("1", "a", "5"), &err));
    OK(help_insert(t, "t", ROW("2", "b", NULL), &err));
    EXPECT_IN(t, "t", "1,'a',5;2,'b',0;");
    EXPECT(d, "t", "");
    OK(help_update(t, "t", 1, "name", false, "x", &err));
    OK(help_update(t, "t", 1, "n", true, "2", &err));
    OK(help_delete(t, "t", 2, &err));
    EXPECT_IN(t, "t", "1,'x',7;");
    OK(txn_commit(t, &err));
    EXPECT(d, "t", "1,'x',7;");
    help_close(d);
}

static void test_txn_updates_and_deletes_committed_rows(void)
{
    struct err err = ERR_INIT;
    db *d = with_table();
    txn *t = NULL;
    help_put(d, "t", ROW("1", "a", "1"));
    help_put(d, "t", ROW("2", "b", "2"));
    OK(txn_begin(d, &t, &err));
    OK(help_update(t, "t", 1, "n", true, "10", &err));
    OK(help_update(t, "t", 1, "n", false, "7", &err)); /* adds the difference to what is there */
    OK(help_update(t, "t", 2, "name", false, "c", &err));
    OK(help_delete(t, "t", 1, &err));
    OK(help_insert(t, "t", ROW("1", "again", "3"), &err));
    EXPECT_IN(t, "t", "1,'again',3;2,'c',2;");
    OK(txn_commit(t, &err));
    EXPECT(d, "t", "1,'again',3;2,'c',2;");
    OK(txn_begin(d, &t, &err));
    OK(help_delete(t, "t", 2, &err));
    OK(help_insert(t, "t", ROW("3", "gone", NULL), &err));
    OK(help_delete(t, "t", 3, &err));
    OK(txn_commit(t, &err));
    EXPECT(d, "t", "1,'again',3;");
    help_close(d);
}

static void test_txn_rolls_back_statements_and_savepoints(void)
{
    struct err err = ERR_INIT;
    db *d = with_table();
    txn *t = NULL;
    OK(txn_begin(d, &t, &err));
    OK(help_insert(t, "t", ROW("1", "a", "1"), &err));
    txn_mark mark = txn_savepoint(t);
    OK(help_insert(t, "t", ROW("2", "b", "1"), &err));
    OK(help_update(t, "t", 1, "name", false, "changed", &err));
    OK(help_ddl_in(t, "CREATE TABLE u (x INTEGER)", &err));
    CU_ASSERT_PTR_NOT_NULL(catalog_table(txn_catalog(t), "u"));
    CU_ASSERT_EQUAL(help_insert(t, "t", ROW("2", "dup", "1"), &err), QUARTET_CONSTRAINT);
    EXPECT_IN(t, "t", "1,'changed',1;2,'b',1;");
    txn_rollback_to(t, mark);
    CU_ASSERT_PTR_NULL(catalog_table(txn_catalog(t), "u"));
    EXPECT_IN(t, "t", "1,'a',1;");
    OK(help_insert(t, "t", ROW("3", "c", "1"), &err));
    OK(txn_commit(t, &err));
    EXPECT(d, "t", "1,'a',1;3,'c',1;");
    OK(txn_begin(d, &t, &err));
    OK(help_insert(t, "t", ROW("4", "d", "1"), &err));
    txn_rollback(t);
    EXPECT(d, "t", "1,'a',1;3,'c',1;");
    help_close(d);
}

static void test_txn_keeps_its_snapshot(void)
{
    struct err err = ERR_INIT;
    db *d = with_table();
    txn *t = NULL;
    help_put(d, "t", ROW("1", "a", "1"));
    OK(txn_begin(d, &t, &err));
    help_put(d, "t", ROW("2", "b", "1"));
    EXPECT_IN(t, "t", "1,'a',1;");
    OK(txn_commit(t, &err)); /* read-only: never fails */
    EXPECT(d, "t", "1,'a',1;2,'b',1;");
    help_close(d);
}

static void expect_conflict(txn *t)
{
    struct err err = ERR_INIT;
    quartet_status rc = txn_commit(t, &err);
    CU_ASSERT_EQUAL(rc, QUARTET_SERIALIZATION);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "retry"));
    CU_ASSERT_STRING_EQUAL(status_sqlstate(rc), "40001");
}

static void test_txn_refuses_two_writes_of_one_row(void)
{
    struct err err = ERR_INIT;
    db *d = with_table();
    txn *a = NULL, *b = NULL;
    help_put(d, "t", ROW("1", "a", "1"));
    OK(txn_begin(d, &a, &err));
    OK(txn_begin(d, &b, &err));
    OK(help_update(a, "t", 1, "name", false, "A", &err));
    OK(help_update(b, "t", 1, "name", false, "B", &err));
    OK(txn_commit(a, &err));
    expect_conflict(b);
    EXPECT(d, "t", "1,'A',1;");
    OK(txn_begin(d, &a, &err)); /* two INSERTs of one key */
    OK(txn_begin(d, &b, &err));
    OK(help_insert(a, "t", ROW("2", "A", "1"), &err));
    OK(help_insert(b, "t", ROW("2", "B", "1"), &err));
    OK(txn_commit(a, &err));
    expect_conflict(b);
    help_close(d);
}

static void test_txn_refuses_phantoms(void)
{
    struct err err = ERR_INIT;
    db *d = with_table();
    txn *a = NULL, *b = NULL;
    struct buf ignored = {0};
    help_put(d, "t", ROW("1", "a", "1"));
    OK(txn_begin(d, &a, &err));
    OK(txn_begin(d, &b, &err));
    help_dump(a, "t", NULL, &ignored); /* reads all, then writes what depends on it */
    OK(help_insert(a, "t", ROW("10", "sum", "1"), &err));
    OK(help_insert(b, "t", ROW("2", "phantom", "1"), &err));
    OK(txn_commit(b, &err));
    expect_conflict(a);
    EXPECT(d, "t", "1,'a',1;2,'phantom',1;");
    /* Disjoint writes are none of each other's business. */
    OK(txn_begin(d, &a, &err));
    OK(txn_begin(d, &b, &err));
    OK(help_insert(a, "t", ROW("3", "x", "1"), &err));
    OK(help_insert(b, "t", ROW("4", "y", "1"), &err));
    OK(txn_commit(a, &err));
    OK(txn_commit(b, &err));
    buf_deinit(&ignored);
    help_close(d);
}

static void test_txn_exclusive_cannot_fail(void)
{
    struct err err = ERR_INIT;
    db *d = with_table();
    txn *a = NULL, *b = NULL;
    help_put(d, "t", ROW("1", "a", "1"));
    OK(txn_begin(d, &a, &err));
    OK(help_update(a, "t", 1, "name", false, "A", &err));
    OK(txn_begin_exclusive(d, &b, &err));
    OK(help_update(b, "t", 1, "name", false, "B", &err));
    OK(txn_commit(b, &err));
    expect_conflict(a);
    EXPECT(d, "t", "1,'B',1;");
    help_close(d);
}

static void test_txn_unique_is_held(void)
{
    struct err err = ERR_INIT;
    db *d = help_memory();
    txn *a = NULL, *b = NULL;
    help_ddl(d, "CREATE TABLE u (id INTEGER PRIMARY KEY, mail TEXT COLLATE NOCASE UNIQUE)");
    help_put(d, "u", ROW("1", "x@"));
    OK(txn_begin(d, &a, &err));
    CU_ASSERT_EQUAL(help_insert(a, "u", ROW("2", "X@"), &err), QUARTET_CONSTRAINT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "u.mail"));
    OK(help_insert(a, "u", ROW("2", NULL), &err));
    OK(help_insert(a, "u", ROW("3", NULL), &err));
    CU_ASSERT_EQUAL(help_update(a, "u", 2, "mail", false, "x@", &err), QUARTET_CONSTRAINT);
    OK(help_update(a, "u", 1, "mail", false, "X@", &err)); /* its own value */
    OK(help_update(a, "u", 1, "mail", false, "y@", &err));
    OK(help_update(a, "u", 2, "mail", false, "x@", &err)); /* free now */
    OK(txn_commit(a, &err));
    EXPECT_INDEX(d, "u", "u_unique_1", "3,NULL;2,'x@';1,'y@';");
    OK(txn_begin(d, &a, &err));
    OK(txn_begin(d, &b, &err));
    OK(help_insert(a, "u", ROW("7", "same@"), &err));
    OK(help_insert(b, "u", ROW("8", "same@"), &err));
    OK(txn_commit(a, &err));
    expect_conflict(b);
    help_close(d);
}

static void test_txn_assigns_keys_without_holes(void)
{
    struct err err = ERR_INIT;
    db *d = with_table();
    txn *t = NULL;
    help_put(d, "t", ROW(NULL, "a", "1"));
    OK(txn_begin(d, &t, &err));
    OK(help_insert(t, "t", ROW(NULL, "b", "1"), &err));
    txn_rollback(t);
    OK(txn_begin(d, &t, &err));
    OK(help_insert(t, "t", ROW(NULL, "b", "1"), &err));
    OK(help_insert(t, "t", ROW("10", "c", "1"), &err));
    OK(help_insert(t, "t", ROW(NULL, "d", "1"), &err));
    OK(txn_commit(t, &err));
    EXPECT(d, "t", "1,'a',1;2,'b',1;10,'c',1;11,'d',1;");
    help_close(d);
}

static void test_txn_hidden_keys_keep_order(void)
{
    struct err err = ERR_INIT;
    db *d = help_memory();
    txn *t = NULL;
    help_ddl(d, "CREATE TABLE h (x TEXT, y INTEGER)");
    help_ddl(d, "CREATE INDEX hx ON h (x)");
    help_put(d, "h", ROW("b", "1"));
    OK(txn_begin(d, &t, &err));
    OK(help_insert(t, "h", ROW("a", "2"), &err));
    OK(help_insert(t, "h", ROW("c", "3"), &err));
    EXPECT_IN(t, "h", "'b',1;'a',2;'c',3;");
    OK(txn_commit(t, &err));
    EXPECT(d, "h", "'b',1;'a',2;'c',3;");
    EXPECT_INDEX(d, "h", "hx", "'a',2;'b',1;'c',3;");
    help_close(d);
}

static void test_txn_large_one_travels_in_chunks(void)
{
    struct err err = ERR_INIT;
    db *d = with_table();
    txn *t = NULL;
    char id[16], name[64];
    OK(txn_begin(d, &t, &err));
    for (int i = 1; i <= 20000; i++) {
        snprintf(id, sizeof id, "%d", i);
        snprintf(name, sizeof name, "a name of some length, number %d", i);
        OK(help_insert(t, "t", ROW(id, name, "1"), &err));
    }
    OK(txn_commit(t, &err));
    struct db_stats s;
    db_stats(d, &s);
    CU_ASSERT_EQUAL(s.rows_written, 20001); /* the table's own row, too */
    CU_ASSERT_EQUAL(s.commits, 2);
    OK(txn_begin(d, &t, &err));
    struct buf out = {0};
    help_dump(t, "t", NULL, &out);
    size_t rows = 0;
    for (size_t i = 0; i < out.len; i++)
        rows += out.data[i] == ';';
    CU_ASSERT_EQUAL(rows, 20000);
    buf_deinit(&out);
    txn_rollback(t);
    help_close(d);
}

const char *const unit_suite = "txn";
const struct unit_test unit_tests[] = {
    {"own writes", test_txn_sees_its_own_writes_and_others_do_not},
    {"committed rows", test_txn_updates_and_deletes_committed_rows},
    {"rollback", test_txn_rolls_back_statements_and_savepoints},
    {"snapshot", test_txn_keeps_its_snapshot},
    {"write-write", test_txn_refuses_two_writes_of_one_row},
    {"phantoms", test_txn_refuses_phantoms},
    {"exclusive", test_txn_exclusive_cannot_fail},
    {"unique", test_txn_unique_is_held},
    {"assigned keys", test_txn_assigns_keys_without_holes},
    {"hidden keys", test_txn_hidden_keys_keep_order},
    {"chunks", test_txn_large_one_travels_in_chunks},
    {NULL, NULL},
};

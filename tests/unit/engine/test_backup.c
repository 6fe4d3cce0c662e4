/* test_backup.c - BACKUP, restore, VACUUM: what is copied, what is refused, and whose numbers a restored database uses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/env.h"
#include "engine/api_internal.h"
#include "engine/backup.h"
#include "engine/db_internal.h"
#include "unit/cunit.h"

static char top[64];

static const char *path_of(const char *name)
{
    static char room[4][128];
    static int turn;
    char *out = room[turn++ & 3];
    snprintf(out, sizeof room[0], "%s/%s", top, name);
    return out;
}

static void begin(void)
{
    snprintf(top, sizeof top, "/tmp/quartet-test-backup-XXXXXX");
    CU_ASSERT_FATAL(mkdtemp(top) != NULL);
}

static void end(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", top);
    CU_ASSERT_EQUAL(system(command), 0);
}

static quartet_db *open_at(const char *path)
{
    quartet_db *q = NULL;
    CU_ASSERT_EQUAL(quartet_open(path, &q), QUARTET_OK);
    return q;
}

static int run(quartet_db *q, const char *sql)
{
    return quartet_exec(q, sql, NULL, NULL, NULL);
}

static int64_t ask(quartet_db *q, const char *sql)
{
    quartet_stmt *s = NULL;
    int64_t v = -1;
    if (quartet_prepare(q, sql, -1, &s, NULL) == QUARTET_OK && quartet_step(s) == QUARTET_ROW)
        v = quartet_column_int64(s, 0);
    (void)quartet_finalize(s); /* -1 says it */
    return v;
}

static quartet_db *with_rows(const char *path)
{
    quartet_db *q = open_at(path);
    CU_ASSERT_EQUAL(run(q, "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT); CREATE INDEX t_x ON t (x); INSERT INTO t (x) VALUES ('a'), ('b'), ('c')"), QUARTET_OK);
    return q;
}

static void backup_to(quartet_db *q, const char *name)
{
    char sql[256];
    snprintf(sql, sizeof sql, "BACKUP TO '%s'", path_of(name));
    CU_ASSERT_EQUAL(run(q, sql), QUARTET_OK);
}

static void test_round_trip(void)
{
    begin();
    for (int memory = 0; memory < 2; memory++) {
        quartet_db *q = with_rows(memory ? ":memory:" : path_of("d"));
        const char *name = memory ? "b2" : "b1", *copy = memory ? "c2" : "c1", *again = memory ? "e2" : "e1";
        backup_to(q, name);
        CU_ASSERT_EQUAL(run(q, "INSERT INTO t (x) VALUES ('later')"), QUARTET_OK);
        CU_ASSERT_EQUAL(quartet_restore(path_of(name), path_of(copy), NULL), QUARTET_OK);
        quartet_db *r = open_at(path_of(copy));
        CU_ASSERT_EQUAL(ask(r, "SELECT count(*) FROM t"), 3);
        CU_ASSERT_EQUAL(run(r, "INSERT INTO t (x) VALUES ('other')"), QUARTET_OK);
        /* Both have written a fourth row; the copy did it in a chain of its own. */
        db *a = conn_db(q->local), *b = conn_db(r->local);
        CU_ASSERT_NOT_EQUAL(chain_id_cmp(a->chains.ids[a->own], b->chains.ids[b->own]), 0);
        backup_to(r, again); /* and so does a copy of the copy, and the copy itself when it is opened again */
        struct chain_id own = b->chains.ids[b->own];
        CU_ASSERT_EQUAL(quartet_close(r), QUARTET_OK);
        r = open_at(path_of(copy));
        b = conn_db(r->local);
        CU_ASSERT_EQUAL(chain_id_cmp(own, b->chains.ids[b->own]), 0);
        CU_ASSERT_EQUAL(ask(r, "SELECT count(*) FROM t"), 4);
        CU_ASSERT_EQUAL(quartet_close(r), QUARTET_OK);
        char twice[16];
        snprintf(twice, sizeof twice, "f%d", memory);
        CU_ASSERT_EQUAL(quartet_restore(path_of(again), path_of(twice), NULL), QUARTET_OK);
        r = open_at(path_of(twice));
        b = conn_db(r->local);
        CU_ASSERT_NOT_EQUAL(chain_id_cmp(own, b->chains.ids[b->own]), 0);
        CU_ASSERT_EQUAL(ask(r, "SELECT count(*) FROM t"), 4);
        CU_ASSERT_EQUAL(quartet_close(r), QUARTET_OK);
        CU_ASSERT_EQUAL(quartet_close(q), QUARTET_OK);
    }
    end();
}

static void damage(const char *path, long at, int change)
{
    FILE *f = fopen(path, "r+b");
    CU_ASSERT_FATAL(f != NULL);
    CU_ASSERT_EQUAL(fseek(f, at, SEEK_SET), 0);
    int c = fgetc(f);
    CU_ASSERT_EQUAL(fseek(f, at, SEEK_SET), 0);
    CU_ASSERT_EQUAL(fputc(c ^ change, f), c ^ change);
    CU_ASSERT_EQUAL(fclose(f), 0);
}

static void refused(const char *backup, const char *target, const char *told)
{
    char *text = NULL;
    CU_ASSERT_NOT_EQUAL(quartet_restore(backup, target, &text), QUARTET_OK);
    CU_ASSERT(text != NULL && strstr(text, told) != NULL);
    if (text == NULL || strstr(text, told) == NULL)
        printf("\n    told \"%s\", expected \"%s\"\n", text, told);
    quartet_free(text);
}

static void test_refusals(void)
{
    struct stat st;
    begin();
    quartet_db *q = with_rows(path_of("d"));
    backup_to(q, "b");
    refused(path_of("nothing"), path_of("x"), "is no backup");
    refused(path_of("b"), path_of("d"), "not empty");
    char base[128], manifest[128];
    snprintf(base, sizeof base, "%s", path_of("b/base.mdb"));
    snprintf(manifest, sizeof manifest, "%s", path_of("b/backup.manifest"));
    CU_ASSERT_EQUAL(stat(base, &st), 0);
    for (long at = 0; at < st.st_size; at += 4099) { /* any bit of the base */
        damage(base, at, 0x10);
        refused(path_of("b"), path_of("x"), "base.mdb: damaged");
        damage(base, at, 0x10);
    }
    CU_ASSERT_EQUAL(stat(manifest, &st), 0);
    for (long at = 0; at < st.st_size; at++) { /* any byte of the manifest */
        damage(manifest, at, 1);
        refused(path_of("b"), path_of("x"), "backup.manifest");
        damage(manifest, at, 1);
    }
    CU_ASSERT_EQUAL(truncate(base, 8192), 0);
    refused(path_of("b"), path_of("x"), "has 8192 bytes");
    CU_ASSERT_EQUAL(unlink(base), 0);
    refused(path_of("b"), path_of("x"), "base.mdb");
    CU_ASSERT_NOT_EQUAL(stat(path_of("x"), &st), 0); /* nothing was left */
    quartet_db *b = NULL;
    CU_ASSERT_EQUAL(quartet_open(path_of("b"), &b), QUARTET_CANTOPEN);
    CU_ASSERT(strstr(quartet_errmsg(b), "quartet restore") != NULL);
    CU_ASSERT_EQUAL(quartet_close(b), QUARTET_OK);
    char sql[256];
    snprintf(sql, sizeof sql, "BACKUP TO '%s'", path_of("d"));
    CU_ASSERT_EQUAL(run(q, sql), QUARTET_CANTOPEN);
    CU_ASSERT_EQUAL(run(q, "BEGIN"), QUARTET_OK);
    CU_ASSERT_EQUAL(run(q, "VACUUM"), QUARTET_ERROR);
    CU_ASSERT_EQUAL(run(q, "ROLLBACK; VACUUM INTO 'x'"), QUARTET_ERROR);
    CU_ASSERT_EQUAL(quartet_close(q), QUARTET_OK);
    end();
}

static void test_client_names_no_path(void)
{
    struct err err = ERR_INIT;
    begin();
    quartet_db *q = with_rows(path_of("d"));
    conn_backups_below(q->local, NULL);
    CU_ASSERT_EQUAL(run(q, "BACKUP TO 'x'"), QUARTET_AUTH);
    CU_ASSERT_EQUAL(env_posix()->ops->mkdir(env_posix(), path_of("all"), &err), QUARTET_OK);
    char below[128];
    snprintf(below, sizeof below, "%s", path_of("all"));
    conn_backups_below(q->local, below);
    static const char *const bad[] = {"BACKUP TO '../x'", "BACKUP TO '/tmp/x'", "BACKUP TO '.'", "BACKUP TO '..'", "BACKUP TO ''", "BACKUP TO 'a/b'", "BACKUP TO 'a b'"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(run(q, bad[i]), QUARTET_AUTH);
    CU_ASSERT_EQUAL(run(q, "BACKUP TO 'mon-1.b'"), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_restore(path_of("all/mon-1.b"), path_of("r"), NULL), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_close(q), QUARTET_OK);
    end();
}

static void test_vacuum(void)
{
    struct stat st;
    begin();
    quartet_db *q = with_rows(path_of("d"));
    CU_ASSERT_EQUAL(run(q, "INSERT INTO t (x) SELECT a.x || b.x || c.x || d.x || e.x || f.x || g.x || hex(a.id * 7919 + g.id) FROM t a, t b, t c, t d, t e, t f, t g"), QUARTET_OK);
    int64_t rows = ask(q, "SELECT count(*) FROM t"), sum = ask(q, "SELECT sum(id) FROM t");
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(run(q, "UPDATE t SET x = x || 'y'"), QUARTET_OK);
        CU_ASSERT_EQUAL(quartet_close(q), QUARTET_OK); /* flushed */
        q = open_at(path_of("d"));
    }
    quartet_stmt *s = NULL;
    CU_ASSERT_EQUAL(quartet_prepare(q, "VACUUM", -1, &s, NULL), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_column_count(s), 2);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(quartet_step(s), QUARTET_ROW);
        CU_ASSERT(quartet_column_int64(s, 1) <= quartet_column_int64(s, 0));
        CU_ASSERT(i > 0 || quartet_column_int64(s, 1) < quartet_column_int64(s, 0));
        CU_ASSERT_EQUAL(quartet_step(s), QUARTET_DONE);
        CU_ASSERT_EQUAL(ask(q, "SELECT count(*) FROM t"), rows);
        CU_ASSERT_EQUAL(ask(q, "SELECT sum(id) FROM t"), sum);
        CU_ASSERT_EQUAL(run(q, "INSERT INTO t (id, x) VALUES (0, 'z'); DELETE FROM t WHERE id = 0"), QUARTET_OK);
    }
    CU_ASSERT_EQUAL(quartet_finalize(s), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_close(q), QUARTET_OK);
    FILE *f = fopen(path_of("d/base.mdb.vacuum-9"), "wb"); /* as a killed one leaves it */
    CU_ASSERT_FATAL(f != NULL);
    CU_ASSERT_EQUAL(fputc('x', f), 'x');
    CU_ASSERT_EQUAL(fclose(f), 0);
    q = open_at(path_of("d"));
    CU_ASSERT_NOT_EQUAL(stat(path_of("d/base.mdb.vacuum-9"), &st), 0);
    CU_ASSERT_EQUAL(ask(q, "SELECT count(*) FROM t WHERE x LIKE '%yyy'"), rows);
    CU_ASSERT_EQUAL(quartet_close(q), QUARTET_OK);
    end();
}

const char *const unit_suite = "backup";
const struct unit_test unit_tests[] = {
    {"test_backup_round_trip", test_round_trip},
    {"test_backup_refusals", test_refusals},
    {"test_backup_client_names_no_path", test_client_names_no_path},
    {"test_backup_vacuum", test_vacuum},
    {NULL, NULL},
};

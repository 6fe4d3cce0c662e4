/* test_verify.c - quartet verify: each kind of damage is found and named by its place; nothing that is sound is called damaged; no bytes make it crash. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/prng.h"
#include "engine/api_internal.h"
#include "engine/db_internal.h"
#include "unit/cunit.h"

#define PAGE 4096

static char top[64];

static const char *path_of(const char *name)
{
    static char room[4][160];
    static int turn;
    char *out = room[turn++ & 3];
    snprintf(out, sizeof room[0], "%s/%s", top, name);
    return out;
}

static void shell(const char *verb, const char *a, const char *b)
{
    char command[400];
    snprintf(command, sizeof command, "%s %s %s", verb, a, b);
    CU_ASSERT_EQUAL(system(command), 0);
}

static void run(quartet_db *q, const char *sql)
{
    CU_ASSERT_EQUAL(quartet_exec(q, sql, NULL, NULL, NULL), QUARTET_OK);
}

/* top/d, closed; top/b, its backup; top/r, restored of it: all its pages are in use. */
static void begin(void)
{
    char sql[256];
    quartet_db *q = NULL;
    snprintf(top, sizeof top, "/tmp/quartet-test-verify-XXXXXX");
    CU_ASSERT_FATAL(mkdtemp(top) != NULL);
    CU_ASSERT_EQUAL_FATAL(quartet_open(path_of("d"), &q), QUARTET_OK);
    run(q, "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, n INTEGER COUNTER DEFAULT 0); CREATE INDEX t_x ON t (x); CREATE TABLE k (a TEXT, b TEXT, PRIMARY KEY (a, b))");
    run(q, "BEGIN");
    for (int i = 0; i < 3000; i++) {
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, 'text %d', %d)", i, i * 7919 % 10007, i);
        run(q, sql);
    }
    run(q, "COMMIT; INSERT INTO k SELECT x, 'b' FROM t WHERE id < 500; UPDATE t SET n = n + 1 WHERE id % 3 = 0; DELETE FROM t WHERE id % 5 = 0");
    snprintf(sql, sizeof sql, "BACKUP TO '%s'", path_of("b"));
    run(q, sql);
    run(q, "INSERT INTO k VALUES ('later', 'than the backup')");
    CU_ASSERT_EQUAL(quartet_close(q), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_restore(path_of("b"), path_of("r"), NULL), QUARTET_OK);
}

static void end(void)
{
    shell("rm -rf", top, "");
}

/* The first finding as text, and how many there are. */
struct told {
    char first[600], all[8000];
    int count;
};

static void on_finding(void *arg, const struct quartet_finding *f)
{
    struct told *t = arg;
    char text[600];
    snprintf(text, sizeof text, "%s@%lld|%s|%s|%s\n", f->file, (long long)f->offset, f->table, f->key, f->what);
    if (t->count++ == 0)
        snprintf(t->first, sizeof t->first, "%s", text);
    size_t n = strlen(t->all);
    snprintf(t->all + n, sizeof t->all - n, "%s", text);
}

static int verify(const char *dir, struct told *t)
{
    *t = (struct told){.count = 0};
    return quartet_verify(dir, on_finding, t, NULL, NULL);
}

static void sound(const char *dir)
{
    struct told t;
    CU_ASSERT_EQUAL(verify(dir, &t), QUARTET_OK);
    if (t.count > 0)
        printf("\n    %s: %s\n", dir, t.first);
}

static void wrong(const char *dir, const char *told)
{
    struct told t;
    CU_ASSERT_EQUAL(verify(dir, &t), QUARTET_CORRUPT);
    CU_ASSERT(strstr(t.all, told) != NULL);
    if (strstr(t.all, told) == NULL)
        printf("\n    told %sexpected %s\n", t.all, told);
}

static void xor_at(const char *path, long at, const void *with, size_t n)
{
    uint8_t bytes[PAGE];
    FILE *f = fopen(path, "r+b");
    CU_ASSERT_FATAL(f != NULL && n <= sizeof bytes);
    CU_ASSERT(fseek(f, at, SEEK_SET) == 0 && fread(bytes, 1, n, f) == n);
    for (size_t i = 0; i < n; i++)
        bytes[i] ^= ((const uint8_t *)with)[i];
    CU_ASSERT(fseek(f, at, SEEK_SET) == 0 && fwrite(bytes, 1, n, f) == n);
    CU_ASSERT_EQUAL(fclose(f), 0);
}

static void flip(const char *path, long at, int bit)
{
    uint8_t x = (uint8_t)(1 << bit);
    xor_at(path, at, &x, 1);
}

static void test_sound(void)
{
    struct quartet_verified s = {.size = sizeof s};
    begin();
    sound(path_of("d"));
    sound(path_of("b"));
    sound(path_of("r"));
    CU_ASSERT_EQUAL(quartet_verify(path_of("d"), NULL, NULL, &s, NULL), QUARTET_OK);
    CU_ASSERT(s.rows >= 2900 && s.entries == 2400 && s.records > 3 && s.pages > 2 && s.blocks > 10 && s.indexes == 1 && !s.unread && !s.is_backup);
    quartet_db *q = NULL;
    CU_ASSERT_EQUAL(quartet_open(path_of("d"), &q), QUARTET_OK); /* it can still be opened, and is told to be in use */
    CU_ASSERT_EQUAL(quartet_verify(path_of("d"), NULL, NULL, NULL, NULL), QUARTET_BUSY);
    run(q, "INSERT INTO t (x) VALUES ('more')");
    CU_ASSERT_EQUAL(quartet_close(q), QUARTET_OK);
    sound(path_of("d"));
    CU_ASSERT_EQUAL(quartet_verify(path_of("nothing"), NULL, NULL, NULL, NULL), QUARTET_NOTFOUND);
    end();
}

/* Any bit within a block, of a base without free pages; and any bit at all, which must not crash it. */
static void test_bits_of_the_base(void)
{
    struct stat st;
    struct prng r;
    struct told t;
    int blocks = 0;
    begin();
    prng_seed(&r, unit_seed(5));
    char base[160], dir[160];
    snprintf(base, sizeof base, "%s", path_of("r/base.mdb"));
    snprintf(dir, sizeof dir, "%s", path_of("r"));
    CU_ASSERT_EQUAL(stat(base, &st), 0);
    FILE *f = fopen(base, "rb");
    CU_ASSERT_FATAL(f != NULL);
    for (long page = 2; page < st.st_size / PAGE; page++) {
        uint8_t head[16 + 28];
        CU_ASSERT(fseek(f, page * PAGE, SEEK_SET) == 0 && fread(head, 1, sizeof head, f) == sizeof head);
        if ((head[10] & 4) == 0)
            continue;
        long at = page * PAGE + 16 + (long)prng_below(&r, load_le32(head + 24)); /* of the block's own bytes */
        char place[64];
        snprintf(place, sizeof place, "base.mdb@%ld|", page * PAGE + 16);
        int bit = (int)prng_below(&r, 8);
        flip(base, at, bit);
        wrong(dir, place);
        flip(base, at, bit);
        blocks++;
    }
    CU_ASSERT_EQUAL(fclose(f), 0);
    CU_ASSERT(blocks > 5);
    for (int i = 0; i < 300; i++) {
        long at = (long)prng_below(&r, prng_below(&r, 2) ? 2 * PAGE : (uint64_t)st.st_size);
        int bit = (int)prng_below(&r, 8);
        flip(base, at, bit);
        int rc = verify(dir, &t);
        CU_ASSERT(rc == QUARTET_OK || rc == QUARTET_CORRUPT);
        flip(base, at, bit);
    }
    CU_ASSERT_EQUAL(truncate(base, st.st_size / 2 / PAGE * PAGE), 0);
    wrong(dir, "the file is shorter than it says");
    CU_ASSERT_EQUAL(truncate(base, 100), 0);
    wrong(dir, "not the first page of a base");
    end();
}

/* Two blocks of one tree change places: each is sound in itself. */
static void test_swapped_blocks(void)
{
    uint8_t a[PAGE], b[PAGE];
    struct stat st;
    begin();
    const char *base = path_of("r/base.mdb");
    CU_ASSERT_EQUAL(stat(base, &st), 0);
    FILE *f = fopen(base, "r+b");
    CU_ASSERT_FATAL(f != NULL);
    long first = 0, second = 0;
    for (long page = 2; page < st.st_size / PAGE; page++) { /* two of the same size, so that the pages' own heads fit */
        CU_ASSERT(fseek(f, page * PAGE, SEEK_SET) == 0 && fread(b, 1, PAGE, f) == PAGE);
        if ((b[10] & 4) == 0 || load_le32(b + 12) != 1)
            continue;
        if (first == 0) {
            first = page;
            memcpy(a, b, PAGE);
        } else {
            second = page;
            break;
        }
    }
    CU_ASSERT_FATAL(second != 0);
    CU_ASSERT(fseek(f, first * PAGE + 16, SEEK_SET) == 0 && fwrite(b + 16, 1, PAGE - 16, f) == PAGE - 16);
    CU_ASSERT(fseek(f, second * PAGE + 16, SEEK_SET) == 0 && fwrite(a + 16, 1, PAGE - 16, f) == PAGE - 16);
    CU_ASSERT_EQUAL(fclose(f), 0);
    struct told t;
    CU_ASSERT_EQUAL(verify(path_of("r"), &t), QUARTET_CORRUPT);
    CU_ASSERT(t.count > 0);
    end();
}

static void test_log_and_files(void)
{
    begin();
    const char *log = path_of("d/log/00000001");
    char path[160];
    snprintf(path, sizeof path, "%s", log);
    flip(path, 64 + 30, 3); /* in the first record: later ones show that it was on disk */
    wrong(path_of("d"), "log/00000001@64|||damaged record");
    flip(path, 64 + 30, 3);
    sound(path_of("d"));
    flip(path, 20, 0);
    wrong(path_of("d"), "log/00000001@0|||damaged header");
    flip(path, 20, 0);
    flip(path_of("b/backup.manifest"), 30, 1);
    wrong(path_of("b"), "backup.manifest@-1");
    shell("rm", path_of("b/base.mdb"), "");
    CU_ASSERT_EQUAL(quartet_verify(path_of("b"), NULL, NULL, NULL, NULL), QUARTET_CORRUPT);
    shell("rm", path_of("r/base.mdb"), "");
    CU_ASSERT_EQUAL(quartet_verify(path_of("r"), NULL, NULL, NULL, NULL), QUARTET_NOTFOUND);
    end();
}

/* A store opened behind the database's back: the checkpoint stays as it is, or with a bit flipped. */
struct keep {
    struct buf checkpoint;
};

static quartet_status same_checkpoint(void *ctx, apply_no through, struct buf *out, struct err *err)
{
    struct keep *k = ctx;
    (void)through;
    buf_put(out, k->checkpoint.data, k->checkpoint.len);
    return buf_check(out, err);
}

static void tamper(tree_id tree, struct slice key, struct slice record, long checkpoint_flip)
{
    struct err err = ERR_INIT;
    struct keep k = {0};
    struct kv_host host = {.ctx = &k, .checkpoint = same_checkpoint};
    struct kv_options o = {0};
    kv *s = NULL;
    CU_ASSERT_EQUAL_FATAL(kv_open(env_posix(), path_of("r"), &o, &host, &s, &k.checkpoint, &err), QUARTET_OK);
    if (checkpoint_flip > 0)
        k.checkpoint.data[k.checkpoint.len - (size_t)checkpoint_flip] ^= 1;
    struct kv_op op = {.tree = tree, .key = key, .record = record};
    if (tree != 0)
        CU_ASSERT_EQUAL(kv_apply(s, &op, 1, 1, &err), QUARTET_OK);
    kv_publish(s, 1);
    CU_ASSERT_EQUAL(kv_flush(s, &err), QUARTET_OK);
    kv_close(s);
    buf_deinit(&k.checkpoint);
}

static const struct table_def *table_of(struct catalog **c)
{
    quartet_db *q = NULL;
    CU_ASSERT_EQUAL_FATAL(quartet_open(path_of("d"), &q), QUARTET_OK);
    *c = db_catalog(conn_db(q->local));
    CU_ASSERT_EQUAL(quartet_close(q), QUARTET_OK);
    const struct table_def *t = catalog_table(*c, "t");
    CU_ASSERT_FATAL(t != NULL && t->index_count == 1);
    return t;
}

/* top/r once more, as it was restored. */
static void again(void)
{
    shell("rm -r", path_of("r"), "");
    CU_ASSERT_EQUAL(quartet_restore(path_of("b"), path_of("r"), NULL), QUARTET_OK);
}

static void test_rows_and_entries(void)
{
    struct catalog *c;
    struct buf key = {0}, entry = {0}, stray = {0};
    struct value id = value_int(7), x = value_text("text 5398", 9), other = value_text("never", 5);
    char text[32];
    begin();
    const struct table_def *t = table_of(&c);
    x.s.n = (size_t)snprintf(text, sizeof text, "text %d", 7 * 7919 % 10007);
    x.s.p = (const uint8_t *)text;
    key_put(&key, &t->keys[0], &id);
    key_put(&entry, &t->indexes[0].keys[0], &x);
    buf_put(&entry, key.data, key.len);
    key_put(&stray, &t->indexes[0].keys[0], &other);
    buf_put(&stray, key.data, key.len);
    sound(path_of("r"));

    tamper(t->indexes[0].id, slice_of(entry.data, entry.len), (struct slice){0}, 0);
    wrong(path_of("r"), "base.mdb@-1|table t|7|index t_x has no entry of this row");
    again();
    tamper(t->indexes[0].id, slice_of(stray.data, stray.len), slice_of("", 0), 0);
    wrong(path_of("r"), "base.mdb@-1|index t_x of table t|'never'|an entry of values that its row does not have");
    again();
    tamper(t->id, slice_of(key.data, key.len), (struct slice){0}, 0); /* the row itself */
    wrong(path_of("r"), "an entry whose row is not there");
    wrong(path_of("r"), "base.mdb@-1|table t||the state hash of its rows is not the stored one");
    again();
    tamper(t->id, slice_of(key.data, key.len), slice_of("\x05 no record", 11), 0);
    wrong(path_of("r"), "base.mdb@-1|table t|7|");
    again();
    tamper(0, (struct slice){0}, (struct slice){0}, 24 + 8 + 8 + 3); /* in the checkpoint: the last table's hash, before what is hidden of it, history's stamp and the incarnation */
    wrong(path_of("r"), "the state hash of its rows is not the stored one");
    again();
    sound(path_of("r"));
    end();
    buf_deinit(&entry);
    buf_deinit(&stray);
    buf_deinit(&key);
    catalog_unref(c);
}

static void int_key(struct buf *out, int64_t v)
{
    static const struct key_column column = {.kind = KEY_INT, .type = VALUE_INTEGER};
    struct value x = value_int(v);
    key_put(out, &column, &x);
}

static struct slice bytes_of(const struct buf *b)
{
    return slice_of(b->data, b->len);
}

/* The key of an entry about a row or a key of a table: its id, and what else stands before the bytes. */
static void list_key(struct buf *out, tree_id table, bool broken, int64_t row)
{
    static const struct key_column column = {.kind = KEY_BYTES, .type = VALUE_BLOB};
    struct buf raw = {0};
    buf_clear(out);
    int_key(out, (int64_t)table);
    if (broken)
        int_key(out, 0); /* the primary key */
    int_key(&raw, row);
    struct value v = {.type = VALUE_BLOB, .s = bytes_of(&raw)};
    key_put(out, &column, &v);
    buf_deinit(&raw);
}

/* What is out of sight, and the lists of it: each is damaged in turn. */
static void test_out_of_sight(void)
{
    char sql[256];
    quartet_db *q = NULL;
    struct catalog *c;
    struct buf key = {0}, row = {0}, record = {0}, none = {0};
    struct value v = value_int(50), five = value_int(5);
    begin();
    CU_ASSERT_EQUAL_FATAL(quartet_open(path_of("d"), &q), QUARTET_OK);
    run(q, "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES p); CREATE TABLE e (id INTEGER PRIMARY KEY, m INTEGER UNIQUE);"
           "CREATE TABLE l (id INTEGER PRIMARY KEY, n INTEGER CHECK (n < 10)); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 1); INSERT INTO e VALUES (1, 5), (2, 6);"
           "INSERT INTO l VALUES (1, 5); SET foreign_keys = off; INSERT INTO c VALUES (2, 9)");
    c = db_catalog(conn_db(q->local));
    const struct table_def *parent = catalog_table(c, "p"), *e = catalog_table(c, "e"), *l = catalog_table(c, "l");
    shell("rm -r", path_of("b"), "");
    snprintf(sql, sizeof sql, "BACKUP TO '%s'", path_of("b"));
    run(q, sql);
    CU_ASSERT_EQUAL(quartet_close(q), QUARTET_OK);
    again();
    sound(path_of("r"));
    record_put_simple(&none, (struct ver){0}, NULL, 0);

    list_key(&key, parent->id, true, 9);
    tamper(SYS_BROKEN, bytes_of(&key), (struct slice){0}, 0);
    wrong(path_of("r"), "and it is not listed as broken");
    again();
    list_key(&key, parent->id, true, 1);
    tamper(SYS_BROKEN, bytes_of(&key), bytes_of(&none), 0);
    wrong(path_of("r"), "the key is listed as broken, and rows say otherwise");
    again();
    list_key(&key, parent->id, false, 1);
    record_put_simple(&record, (struct ver){0}, &v, 1);
    tamper(SYS_QUARANTINE, bytes_of(&key), bytes_of(&record), 0);
    wrong(path_of("r"), "a row that is not there, or is not marked as quarantined");
    again();
    int_key(&row, 1);
    buf_clear(&record);
    record_put_simple(&record, (struct ver){.stamp = 1}, &v, 1);
    tamper(l->id, bytes_of(&row), bytes_of(&record), 0);
    wrong(path_of("r"), "base.mdb@-1|table l|1|the row breaks a constraint, and is not marked as quarantined");
    again();
    buf_clear(&row);
    int_key(&row, 2);
    buf_clear(&record);
    record_put_simple(&record, (struct ver){.stamp = (hlc_stamp)1 << 60}, &five, 1);
    tamper(e->id, bytes_of(&row), bytes_of(&record), 0);
    buf_clear(&key);
    key_put(&key, &e->indexes[0].keys[0], &five);
    buf_put(&key, row.data, row.len);
    tamper(e->indexes[0].id, bytes_of(&key), slice_of("", 0), 0);
    wrong(path_of("r"), "base.mdb@-1|table e|2|the row's UNIQUE value is another's, and it is not marked as quarantined");
    again();
    sound(path_of("r"));
    end();
    catalog_unref(c);
    buf_deinit(&key);
    buf_deinit(&row);
    buf_deinit(&record);
    buf_deinit(&none);
}

static void no_batch(void *arg, struct slice batch, const struct batch_header *h)
{
    (void)arg;   /* nobody is there to get it */
    (void)batch;
    (void)h;
}

/* A member's log: batches, links and signatures are looked at; with another cluster's keys none of them fits. */
static void test_signatures(void)
{
    struct quartet_verified s = {.size = sizeof s};
    static const char *const addresses[] = {"127.0.0.1:0"};
    quartet_db *q = NULL;
    struct node_identity id = {0};
    struct node_gossip g = {0};
    struct err err = ERR_INIT;
    begin();
    for (int i = 0; i < 2; i++)
        CU_ASSERT_EQUAL_FATAL(quartet_cluster_init(path_of(i == 0 ? "c" : "e"), 1, addresses, NULL, NULL), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(quartet_open(path_of("c/0"), &q), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(node_identity_read(env_posix(), path_of("c/0/keys"), &id, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(node_gossip_init(&g, conn_db(q->local), &id.doc, &id.key, &err), QUARTET_OK);
    run(q, "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)");
    CU_ASSERT_EQUAL(db_seal(conn_db(q->local), no_batch, NULL, &err), QUARTET_OK);
    node_gossip_deinit(&g);
    node_identity_deinit(&id);
    CU_ASSERT_EQUAL(quartet_close(q), QUARTET_OK);
    sound(path_of("c/0"));
    CU_ASSERT_EQUAL(quartet_verify(path_of("c/0"), NULL, NULL, &s, NULL), QUARTET_OK);
    CU_ASSERT(s.batches > 0 && s.signatures == s.batches);
    shell("rm -r", path_of("c/0/keys"), "");
    CU_ASSERT_EQUAL(quartet_verify(path_of("c/0"), NULL, NULL, &s, NULL), QUARTET_OK);
    CU_ASSERT(s.batches > 0 && s.signatures == 0);
    shell("cp -r", path_of("e/0/keys"), path_of("c/0/keys"));
    wrong(path_of("c/0"), "log/00000001@");
    end();
}

const char *const unit_suite = "verify";
const struct unit_test unit_tests[] = {
    {"test_verify_sound", test_sound},
    {"test_verify_bits_of_the_base", test_bits_of_the_base},
    {"test_verify_swapped_blocks", test_swapped_blocks},
    {"test_verify_log_and_files", test_log_and_files},
    {"test_verify_rows_and_entries", test_rows_and_entries},
    {"test_verify_out_of_sight", test_out_of_sight},
    {"test_verify_signatures", test_signatures},
    {NULL, NULL},
};

/* test_db_recover.c - what is there after closing, after a crash (a copy of the files of an open database), after a crash within a flush; incarnations and
 *   identity over restarts. */
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cluster_help.h"
#include "dir_help.h"
#include "engine/apply.h"
#include "engine/kv_base.h"

static db *open_dir(const char *dir, size_t buffer_bytes)
{
    struct err err = ERR_INIT;
    struct db_options o = {.buffer_bytes = buffer_bytes};
    db *d = NULL;
    OK(db_open(env_posix(), dir, &o, &d, &err));
    return d;
}

static void expect_same_hash(db *d, struct state_hash want)
{
    struct err err = ERR_INIT;
    struct state_hash h;
    OK(db_state_hash(d, &h, NULL, &err));
    CU_ASSERT(h.lo == want.lo && h.hi == want.hi);
}

/* Lives of one directory, drawn from a seed: with or without writes, ended by a close or by a kill. What was written is there, always. */
static void test_recover_any_sequence_of_lives(void)
{
    for (uint64_t seed = unit_seed(1), end = seed + 12; seed < end; seed++) {
        struct prng r;
        char dir[2][64], want[512] = "", row[32];
        uint32_t rows = 0, at = 0;
        prng_seed(&r, seed);
        new_dir(dir[0]);
        new_dir(dir[1]);
        for (int life = 0; life < 8; life++) {
            db *d = open_dir(dir[at], prng_chance(&r, 0.3) ? 4096 : 0);
            if (rows > 0)
                EXPECT(d, "t", want);
            for (uint64_t n = prng_chance(&r, 0.5) ? 0 : 1 + prng_below(&r, 3); n > 0; n--) {
                if (rows++ == 0)
                    help_ddl(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)");
                help_put(d, "t", ROW(NULL, "x"));
                snprintf(row, sizeof row, "%u,'x';", rows);
                strcat(want, row);
            }
            if (prng_chance(&r, 0.4)) { /* killed: what the files hold now is what the next life finds */
                walk_dir(dir[1 - at], NULL);
                CU_ASSERT_EQUAL_FATAL(mkdir(dir[1 - at], 0700), 0);
                walk_dir(dir[at], dir[1 - at]);
                help_close(d);
                at = 1 - at;
            } else {
                help_close(d);
            }
        }
        if (CU_get_number_of_failures() > 0) {
            printf("\nseed %llu\n", (unsigned long long)seed);
            break;
        }
        walk_dir(dir[0], NULL);
        walk_dir(dir[1], NULL);
    }
}

static void test_recover_after_close_and_after_crash(void)
{
    struct err err = ERR_INIT;
    char dir[64], copy[64];
    struct state_hash h, h2;
    new_dir(dir);
    new_dir(copy);
    db *d = open_dir(dir, 0);
    help_ddl(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, n INTEGER COUNTER)");
    help_put(d, "t", ROW("1", "a", "1"));
    help_put(d, "t", ROW(NULL, "b", "2"));
    OK(db_state_hash(d, &h, NULL, &err));
    help_close(d);
    d = open_dir(dir, 0);
    EXPECT(d, "t", "1,'a',1;2,'b',2;");
    EXPECT_INDEX(d, "t", "t_unique_1", "1,'a',1;2,'b',2;");
    expect_same_hash(d, h);
    help_put(d, "t", ROW(NULL, "c", "3"));
    help_ddl(d, "CREATE TABLE u (x TEXT)");
    help_put(d, "u", ROW("hidden"));
    OK(db_state_hash(d, &h2, NULL, &err));
    walk_dir(dir, copy); /* a crash here */
    help_close(d);
    d = open_dir(copy, 0);
    EXPECT(d, "t", "1,'a',1;2,'b',2;3,'c',3;");
    EXPECT_INDEX(d, "t", "t_unique_1", "1,'a',1;2,'b',2;3,'c',3;");
    EXPECT(d, "u", "'hidden';");
    expect_same_hash(d, h2);
    help_put(d, "u", ROW("more"));
    EXPECT(d, "u", "'hidden';'more';");
    help_close(d);
    walk_dir(dir, NULL);
    walk_dir(copy, NULL);
}

static void write_many(db *d, int from, int to)
{
    struct err err = ERR_INIT;
    char id[16], name[64];
    for (int i = from; i < to;) {
        txn *t = NULL;
        OK(txn_begin(d, &t, &err));
        for (int k = 0; k < 500 && i < to; k++, i++) {
            snprintf(id, sizeof id, "%d", i * 7919 % 100003);
            snprintf(name, sizeof name, "a name of some length, number %d", i);
            OK(help_insert(t, "t", ROW(id, name, "1"), &err));
        }
        OK(txn_commit(t, &err));
    }
}

/* As many rows and entries as there should be, and the hash of a database that wrote the same without a crash. */
static void expect_rows(db *d, size_t want, const char *index)
{
    struct err err = ERR_INIT;
    struct buf out = {0};
    txn *t = NULL;
    size_t rows = 0;
    OK(txn_begin(d, &t, &err));
    help_dump(t, "t", index, &out);
    txn_rollback(t);
    for (size_t i = 0; i < out.len; i++)
        rows += out.data[i] == ';';
    CU_ASSERT_EQUAL(rows, want);
    buf_deinit(&out);
}

static void test_recover_while_buffers_are_flushed(void)
{
    struct err err = ERR_INIT;
    char dir[64], copy[64];
    struct state_hash h;
    new_dir(dir);
    db *d = open_dir(dir, 256 << 10);
    help_ddl(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER)");
    help_ddl(d, "CREATE INDEX tn ON t (name)");
    for (int round = 1; round <= 4; round++) {
        write_many(d, (round - 1) * 2000, round * 2000);
        new_dir(copy);
        OK(db_state_hash(d, &h, NULL, &err));
        walk_dir(dir, copy); /* maybe in the middle of a flush: LMDB's file then has an old state, whole */
        db *c = open_dir(copy, 256 << 10);
        expect_rows(c, (size_t)round * 2000, NULL);
        expect_rows(c, (size_t)round * 2000, "tn");
        expect_same_hash(c, h);
        help_close(c);
        walk_dir(copy, NULL);
    }
    help_close(d);
    walk_dir(dir, NULL);
}

static void test_recover_a_second_process_is_told_who_has_it(void)
{
    struct err err = ERR_INIT;
    char dir[64];
    db *second = NULL;
    new_dir(dir);
    db *d = open_dir(dir, 0);
    CU_ASSERT_EQUAL(db_open(env_posix(), dir, NULL, &second, &err), QUARTET_BUSY); /* locks are of the open file: the same process will do */
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "in use"));
    help_close(d);
    walk_dir(dir, NULL);
}

static struct chain_id chain_of(struct slice batch)
{
    struct err err = ERR_INIT;
    struct batch_header h;
    struct slice payload;
    OK(batch_parse(batch, &h, &payload, &err));
    return h.chain;
}

static void test_recover_members_begin_a_new_chain_and_sign_the_tail(void)
{
    struct err err = ERR_INIT;
    char dir[64];
    struct prng r;
    prng_seed(&r, 9);
    new_dir(dir);
    struct cluster *c = cluster_new(2);
    help_close(c->d[0]);
    c->d[0] = open_dir(dir, 0);
    OK(db_set_identity(c->d[0], &c->id[0], &err));
    help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER)");
    cluster_seal(c, 0);
    cluster_exchange(c, &r);
    help_put(c->d[1], "t", ROW("5", "from 1", "1"));
    cluster_exchange(c, &r);
    help_put(c->d[0], "t", ROW("1", "not signed before the end", "1"));
    help_close(c->d[0]);
    c->d[0] = open_dir(dir, 0);
    EXPECT(c->d[0], "t", "1,'not signed before the end',1;5,'from 1',1;");
    struct db_identity wrong = c->id[0];
    wrong.slot = 1;
    CU_ASSERT_EQUAL(db_set_identity(c->d[0], &wrong, &err), QUARTET_MISUSE);
    OK(db_set_identity(c->d[0], &c->id[0], &err));
    uint32_t before = c->pool.count;
    help_put(c->d[0], "t", ROW("2", "new run", "1"));
    cluster_seal(c, 0);
    CU_ASSERT_EQUAL_FATAL(c->pool.count, before + 2); /* the old tail, then the new chain */
    struct chain_id first = chain_of(slice_of(c->pool.bytes[0], c->pool.n[0]));
    struct chain_id tail = chain_of(slice_of(c->pool.bytes[before], c->pool.n[before]));
    struct chain_id fresh = chain_of(slice_of(c->pool.bytes[before + 1], c->pool.n[before + 1]));
    CU_ASSERT_EQUAL(first.incarnation, tail.incarnation);
    CU_ASSERT_NOT_EQUAL(first.incarnation, fresh.incarnation);
    cluster_exchange(c, &r);
    static const char *const tables[] = {"t", NULL};
    cluster_expect_equal(c, tables, 9);
    /* A peer that lost everything gets all of it from here, foreign batches included. */
    help_close(c->d[0]);
    c->d[0] = open_dir(dir, 0);
    OK(db_set_identity(c->d[0], &c->id[0], &err));
    struct buf out = {0};
    uint32_t count;
    OK(db_read_batches(c->d[0], first, 1, 1 << 20, &out, &count, &err));
    CU_ASSERT_EQUAL(count, 2);
    OK(db_read_batches(c->d[0], fresh, 1, 1 << 20, &out, &count, &err));
    CU_ASSERT_EQUAL(count, 1);
    buf_deinit(&out);
    cluster_expect_equal(c, tables, 9);
    cluster_free(c);
    walk_dir(dir, NULL);
}

static void test_recover_identity_is_refused_where_there_are_data(void)
{
    struct err err = ERR_INIT;
    struct cluster *c = cluster_new(1);
    db *d = help_memory();
    help_ddl(d, "CREATE TABLE t (x TEXT)");
    CU_ASSERT_EQUAL(db_set_identity(d, &c->id[0], &err), QUARTET_MISUSE);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "dump"));
    help_close(d);
    cluster_free(c);
}

/* Partly applied batches and unfinished chunks survive a restart. */
static void test_recover_what_was_half_taken(void)
{
    struct err err = ERR_INIT;
    char dir[64];
    struct prng r;
    prng_seed(&r, 11);
    new_dir(dir);
    struct cluster *c = cluster_new(3);
    help_close(c->d[2]);
    c->d[2] = open_dir(dir, 0);
    OK(db_set_identity(c->d[2], &c->id[2], &err));
    help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER)");
    cluster_exchange(c, &r);
    help_put(c->d[1], "t", ROW("1", "cause", "1"));
    help_put(c->d[0], "t", ROW("9", "first of the batch", "1"));
    uint32_t cause = c->pool.count;
    cluster_seal(c, 1);
    CU_ASSERT_EQUAL(cluster_give(c, 0, cause), DELIVER_APPLIED);
    help_put(c->d[0], "t", ROW("2", "effect", "1"));
    uint32_t batch = c->pool.count;
    cluster_seal(c, 0); /* one batch: a delta that can be taken, and one that waits for the cause */
    CU_ASSERT_EQUAL_FATAL(c->pool.count, batch + 1);
    CU_ASSERT_EQUAL(cluster_give(c, 2, batch), DELIVER_HELD);
    EXPECT(c->d[2], "t", "9,'first of the batch',1;");
    help_close(c->d[2]);
    c->d[2] = open_dir(dir, 0);
    OK(db_set_identity(c->d[2], &c->id[2], &err));
    EXPECT(c->d[2], "t", "9,'first of the batch',1;");
    CU_ASSERT_EQUAL(cluster_give(c, 2, batch), DELIVER_DUPLICATE);
    CU_ASSERT_EQUAL(cluster_give(c, 2, cause), DELIVER_APPLIED);
    EXPECT(c->d[2], "t", "1,'cause',1;2,'effect',1;9,'first of the batch',1;");
    cluster_exchange(c, &r);
    static const char *const tables[] = {"t", NULL};
    cluster_expect_equal(c, tables, 11);
    cluster_free(c);
    walk_dir(dir, NULL);
}

/* After a flush that a crash cut in two, entries and hash may be of another time than the rows. */
static void test_recover_rebuilds_indexes_and_hashes(void)
{
    struct err err = ERR_INIT;
    struct state_hash h;
    db *d = help_memory();
    help_ddl(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER)");
    help_ddl(d, "CREATE INDEX tn ON t (name)");
    help_put(d, "t", ROW("1", "b", "1"));
    help_put(d, "t", ROW("2", "a", "1"));
    OK(db_state_hash(d, &h, NULL, &err));
    const struct table_def *t = catalog_table(d->catalog, "t");
    struct value v[3] = {value_int(1), value_text("b", 1), value_int(1)};
    struct buf key = {0}, entry = {0};
    OK(table_key(t, v, &key, &err));
    OK(index_key(t, &t->indexes[0], v, slice_of(key.data, key.len), &entry, &err));
    struct kv_op ops[2] = {{.tree = t->indexes[0].id, .key = slice_of(entry.data, entry.len)}, /* one entry lost, one too many */
                           {.tree = t->indexes[0].id, .key = slice_of("\001zz\000\000\001\200\0\0\0\0\0\0\002", 14), .record = slice_of("", 0)}};
    OK(kv_apply(d->store, ops, 2, ++d->applied_no, &err));
    kv_publish(d->store, d->applied_no);
    db_table(d, t->id, &err)->hash.lo ^= 1;
    OK(apply_rebuild(d, &err));
    EXPECT_INDEX(d, "t", "tn", "2,'a',1;1,'b',1;");
    expect_same_hash(d, h);
    buf_deinit(&key);
    buf_deinit(&entry);
    help_close(d);
}

/* A database never in a cluster lets go of the log below its last flush. */
static void test_recover_trims_the_log(void)
{
    struct err err = ERR_INIT;
    char dir[64], id[16], *name = malloc(2001);
    struct db_stats s;
    uint64_t most = 0;
    new_dir(dir);
    memset(name, 'x', 2000);
    name[2000] = '\0';
    db *d = open_dir(dir, 4 << 20);
    help_ddl(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER)");
    for (int i = 0; i < 30000;) {
        txn *t = NULL;
        OK(txn_begin(d, &t, &err));
        for (int k = 0; k < 500; k++, i++) {
            snprintf(id, sizeof id, "%d", i);
            OK(help_insert(t, "t", ROW(id, name, "1"), &err));
        }
        OK(txn_commit(t, &err));
        db_tick(d);
        db_stats(d, &s);
        most = s.log_bytes > most ? s.log_bytes : most;
    }
    OK(kv_flush(d->store, &err));
    db_tick(d);
    db_stats(d, &s);
    CU_ASSERT(s.kv.flushes > 3);
    CU_ASSERT(s.log_bytes < most || most <= 3u * LOG_SEGMENT_BYTES); /* 60 MB were written */
    CU_ASSERT(s.log_bytes <= 3u * LOG_SEGMENT_BYTES);
    help_close(d);
    d = open_dir(dir, 4 << 20);
    expect_rows(d, 30000, NULL);
    help_close(d);
    free(name);
    walk_dir(dir, NULL);
}

/* What the killed process does: rows in random order, and how many are committed, by the pipe. */
static void child_writes(const char *dir, int out)
{
    struct err err = ERR_INIT;
    struct db_options o = {.buffer_bytes = 20 << 20, .sync = LOG_SYNC_NORMAL}; /* survives a kill */
    db *d = NULL;
    char id[16], name[256];
    if (db_open(env_posix(), dir, &o, &d, &err) != QUARTET_OK || help_try_ddl(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)", &err) != QUARTET_OK ||
        help_try_ddl(d, "CREATE INDEX tn ON t (name)", &err) != QUARTET_OK)
        _exit(1);
    for (uint32_t i = 0;;) {
        txn *t = NULL;
        if (txn_begin(d, &t, &err) != QUARTET_OK)
            _exit(2);
        for (int k = 0; k < 1000; k++, i++) {
            snprintf(id, sizeof id, "%u", (uint32_t)(i * 2654435761u) >> 4);
            snprintf(name, sizeof name, "%08x %0150u", (uint32_t)(i * 40503u) ^ i, i);
            if (help_insert(t, "t", ROW(id, name), &err) != QUARTET_OK)
                _exit(3);
        }
        if (txn_commit(t, &err) != QUARTET_OK || write(out, &i, sizeof i) != (ssize_t)sizeof i)
            _exit(4);
    }
}

static size_t count_rows(db *d, const char *index)
{
    struct err err = ERR_INIT;
    txn *t = NULL;
    size_t rows = 0;
    uint32_t column = 0;
    struct scan_want want = {.columns = &column, .column_count = 1};
    OK(txn_begin(d, &t, &err));
    OK(txn_statement_begin(t, &err));
    const struct table_def *def = catalog_table(txn_catalog(t), "t"), *of;
    table_scan *s = NULL;
    OK(table_scan_open(t, def, index != NULL ? catalog_index(txn_catalog(t), index, &of) : NULL, NULL, &want, &s, &err));
    for (struct batch b;; rows += b.n) {
        OK(table_scan_next(s, 0, &b, &err));
        if (b.n == 0)
            break;
    }
    table_scan_close(s);
    txn_rollback(t);
    return rows;
}

static void test_recover_after_kill_within_flushes(void)
{
    struct err err = ERR_INIT;
    struct prng r;
    uint64_t seed = unit_seed(1), rounds = getenv("QUARTET_LONG") != NULL ? 40 : 2;
    uint32_t torn = 0;
    prng_seed(&r, seed);
    for (uint64_t round = 0; round < rounds; round++) {
        char dir[64];
        int pipes[2];
        uint32_t told = 0, n, enough = 60000 + (uint32_t)prng_below(&r, 60000);
        struct state_hash h;
        new_dir(dir);
        CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
        pid_t child = fork();
        CU_ASSERT_FATAL(child >= 0);
        if (child == 0)
            child_writes(dir, pipes[1]);
        close(pipes[1]);
        while (told < enough && read(pipes[0], &n, sizeof n) == (ssize_t)sizeof n)
            told = n;
        CU_ASSERT_EQUAL_FATAL(kill(child, SIGKILL), 0);
        CU_ASSERT_EQUAL(waitpid(child, NULL, 0), child);
        while (read(pipes[0], &n, sizeof n) == (ssize_t)sizeof n)
            told = n;
        close(pipes[0]);
        db *d = open_dir(dir, 0);
        torn += kv_torn(d->store);
        size_t rows = count_rows(d, NULL);
        if (rows < told || rows > told + 1000)
            printf("\nround %u of seed %llu: %zu rows, told %u\n", (unsigned)round, (unsigned long long)seed, rows, told);
        CU_ASSERT(rows == told || rows == told + 1000); /* whole transactions; the last may not have been told */
        CU_ASSERT_EQUAL(count_rows(d, "tn"), rows);
        OK(db_state_hash(d, &h, NULL, &err));
        OK(apply_rebuild(d, &err));
        expect_same_hash(d, h);
        help_close(d);
        walk_dir(dir, NULL);
    }
    if (rounds > 10) {
        printf("%u of %u flushes were cut in two: ", torn, (unsigned)rounds);
        CU_ASSERT(torn > 0);
    }
}

/* Change a closed database's base as another version might have written it: the format's text (NULL: it stays), the version of the checkpoint (0: likewise). */
static void make_other(const char *dir, const char *format, uint8_t version)
{
    struct err err = ERR_INIT;
    char path[80];
    struct kv_base *base = NULL;
    struct base_write *w = NULL;
    struct buf blob = {0};
    snprintf(path, sizeof path, "%s/base.mdb", dir);
    OK(kv_lmdb_open_file(env_posix(), path, &base, &err));
    OK(base->ops->checkpoint(base, &blob, &err));
    CU_ASSERT_FATAL(blob.len > 2 && blob.data[0] == 0); /* KV_FLUSH_WHOLE, then the engine's */
    if (version != 0)
        blob.data[1] = version;
    OK(base->ops->write_begin(base, &w, &err));
    if (format != NULL)
        OK(base->ops->put(w, UINT64_MAX, slice_of("format", 6), slice_of(format, strlen(format)), &err));
    OK(base->ops->commit(w, slice_of(blob.data, blob.len), &err));
    kv_base_unref(base);
    buf_deinit(&blob);
}

static void test_recover_refuses_other_versions(void)
{
    static const struct {
        const char *format;
        uint8_t version;
        const char *said;
    } others[] = {{NULL, 200, "format version 200"}, {"quartet base 9", 0, "base.mdb: made by another version (format \"quartet base 9\""}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct err err = ERR_INIT;
        struct db_options o = {0};
        char dir[64];
        db *d;
        new_dir(dir);
        d = open_dir(dir, 0);
        help_ddl(d, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
        help_close(d);
        make_other(dir, others[i].format, others[i].version);
        for (int again = 0; again < 2; again++) { /* it changes nothing, so it is refused again */
            d = NULL;
            err_clear(&err);
            CU_ASSERT_EQUAL(db_open(env_posix(), dir, &o, &d, &err), QUARTET_CANTOPEN);
            CU_ASSERT_PTR_NOT_NULL(strstr(err.text, others[i].said));
            help_close(d);
        }
        walk_dir(dir, NULL);
    }
}

/* The log holds far more than a buffer, since the buffer was larger in the life before: it is flushed while it is replayed. */
static void test_recover_flushes_while_it_replays(void)
{
    struct err err = ERR_INIT;
    char dir[64], copy[64], id[16], *name = malloc(2001);
    struct db_stats s;
    struct state_hash h;
    new_dir(dir);
    new_dir(copy);
    memset(name, 'x', 2000);
    name[2000] = '\0';
    db *d = open_dir(dir, 64 << 20);
    help_ddl(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER)");
    for (int i = 0; i < 4000;) {
        txn *t = NULL;
        OK(txn_begin(d, &t, &err));
        for (int k = 0; k < 20; k++, i++) {
            snprintf(id, sizeof id, "%d", i * 7919 % 100003);
            OK(help_insert(t, "t", ROW(id, name, "1"), &err));
        }
        OK(txn_commit(t, &err));
    }
    OK(db_state_hash(d, &h, NULL, &err));
    db_stats(d, &s);
    CU_ASSERT_EQUAL(s.kv.flushes, 0);
    walk_dir(copy, NULL);
    CU_ASSERT_EQUAL_FATAL(mkdir(copy, 0700), 0);
    walk_dir(dir, copy); /* as a kill leaves it */
    help_close(d);
    d = open_dir(copy, 64 << 10);
    db_stats(d, &s);
    CU_ASSERT(s.kv.flushes > 50); /* 8 MB were replayed */
    CU_ASSERT(s.kv.buffer_bytes + s.kv.frozen_bytes < 6u * (64u << 10));
    expect_rows(d, 4000, NULL);
    expect_same_hash(d, h);
    help_close(d);
    free(name);
    walk_dir(dir, NULL);
    walk_dir(copy, NULL);
}

const char *const unit_suite = "db_recover";
const struct unit_test unit_tests[] = {
    {"any sequence of lives", test_recover_any_sequence_of_lives},
    {"close and crash", test_recover_after_close_and_after_crash},
    {"while flushing", test_recover_while_buffers_are_flushed},
    {"second process", test_recover_a_second_process_is_told_who_has_it},
    {"new chain", test_recover_members_begin_a_new_chain_and_sign_the_tail},
    {"identity", test_recover_identity_is_refused_where_there_are_data},
    {"rebuild", test_recover_rebuilds_indexes_and_hashes},
    {"trim", test_recover_trims_the_log},
    {"other versions", test_recover_refuses_other_versions},
    {"replay in a small buffer", test_recover_flushes_while_it_replays},
    {"kill", test_recover_after_kill_within_flushes},
    {"half taken", test_recover_what_was_half_taken},
    {NULL, NULL},
};

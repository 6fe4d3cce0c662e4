/* test_snapshot.c - a member's state handed to another: random worlds in which the receiver then equals all others in every table, in the past, and in its hashes; crashes at any write while it
 * takes the state up; donors whose rows are not what they tell; hostile bytes. */
#include "cluster_help.h"
#include "dir_help.h"
#include "engine/apply.h"
#include "engine/db_snapshot.h"
#include "engine/node.h"
#include "fault/fault_env.h"
#include "query_help.h"

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#define AWAY 2u /* the node that takes snapshots */
#define PART "snapshot.part"

static const char *const schema[] = {
    "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER, m INTEGER MAXIMUM, tags TEXT SET, email TEXT UNIQUE)",
    "CREATE INDEX item_name ON item (name)",
    "CREATE TABLE part (id INTEGER PRIMARY KEY, item INTEGER REFERENCES item (id) ON DELETE CASCADE, q INTEGER, CHECK (q < 900))",
    "CREATE TABLE form (id INTEGER PRIMARY KEY, name TEXT, q INTEGER) UPDATES WIN",
    "CREATE TABLE stock (id INTEGER PRIMARY KEY, n INTEGER COUNTER CHECK (n >= 0))",
    "INSERT INTO stock VALUES (1, 1000), (2, 50)",
    NULL,
};
static const char *const shown[] = {
    "SELECT id, name, n, m, tags, email FROM item ORDER BY id",
    "SELECT name, n FROM item WHERE name >= 'a' ORDER BY name, n, id",
    "SELECT id, item, q FROM part ORDER BY id",
    "SELECT id, name, q FROM form ORDER BY id",
    "SELECT id, n FROM stock ORDER BY id",
    "SELECT * FROM quartet_quarantine ORDER BY 1, 2, 3",
    NULL,
};

struct world {
    struct cluster *c;
    struct prng r;
    uint64_t seed;
    bool on_disk;         /* the receiver has a directory and LMDB; otherwise a made-up disk */
    struct fault_env f;
    char dir[64];
    hlc_stamp past;       /* a stamp to look back to */
    uint64_t refused;     /* statements that a constraint refused */
};

static struct env *env_of(struct world *w)
{
    return w->on_disk ? env_posix() : &w->f.env;
}

static const char *dir_of(struct world *w)
{
    return w->on_disk ? w->dir : "/db";
}

static void part_of(struct world *w, char out[128])
{
    snprintf(out, 128, "%s/%s", dir_of(w), PART);
}

static void open_away(struct world *w)
{
    struct err err = ERR_INIT;
    struct db_options o = {.base_in_memory = !w->on_disk, .buffer_bytes = w->seed % 3 == 0 ? 16u << 10 : 0};
    w->f.wall_us = env_wall_ms(env_posix()) * 1000;
    OK(db_open(env_of(w), dir_of(w), &o, &w->c->d[AWAY], &err));
    OK(db_set_identity(w->c->d[AWAY], &w->c->id[AWAY], &err));
}

/* $i, $v, $k stand for numbers. */
static void fill(char *out, size_t n, const char *pattern, const int numbers[3])
{
    static const char names[] = "ivk";
    size_t at = 0;
    for (; *pattern != '\0' && at + 12 < n; pattern++) {
        const char *which = *pattern == '$' && pattern[1] != '\0' ? strchr(names, pattern[1]) : NULL;
        if (which == NULL) {
            out[at++] = *pattern;
            continue;
        }
        at += (size_t)snprintf(out + at, n - at, "%d", numbers[which - names]);
        pattern++;
    }
    out[at] = '\0';
}

static void act(struct world *w, uint32_t at)
{
    static const char *const how[] = {
        "INSERT INTO item (id, name, n, m, tags, email) VALUES ($i, 'i$v', $v, $v, '[\"a\"]', 'e$v') ON CONFLICT (id) DO UPDATE SET n = n + 1",
        "UPDATE item SET n = n + $v WHERE id = $i",
        "UPDATE item SET name = 'u$v', m = $v WHERE id = $i",
        "UPDATE item SET tags = set_add(tags, 't$v') WHERE id = $i",
        "UPDATE item SET tags = set_remove(tags, 'a') WHERE id = $i",
        "UPDATE item SET email = 'e$v' WHERE id = $i",
        "DELETE FROM item WHERE id = $i",
        "INSERT INTO part (id, item, q) VALUES ($k, $i, $v) ON CONFLICT (id) DO UPDATE SET q = $v",
        "DELETE FROM part WHERE id = $k",
        "INSERT INTO form (id, name, q) VALUES ($i, 'f$v', $v) ON CONFLICT (id) DO UPDATE SET q = $v",
        "UPDATE form SET name = 'g$v' WHERE id = $i",
        "DELETE FROM form WHERE id = $i",
        "UPDATE stock SET n = n - $v WHERE id = 1 + $i % 2",
    };
    struct err err = ERR_INIT;
    char sql[300];
    int numbers[3] = {1 + (int)prng_below(&w->r, 12), (int)prng_below(&w->r, 20), 1 + (int)prng_below(&w->r, 30)};
    fill(sql, sizeof sql, how[prng_below(&w->r, sizeof how / sizeof *how)], numbers);
    quartet_status rc = query_try(w->c->d[at], sql, NULL, NULL, &err);
    bool refused = rc == QUARTET_CONSTRAINT || rc == QUARTET_UNAVAILABLE || rc == QUARTET_BUSY;
    if (rc != QUARTET_OK && !refused)
        printf("\nseed %llu: %s: %s: %s\n", (unsigned long long)w->seed, sql, status_name(rc), err.text);
    CU_ASSERT_FATAL(rc == QUARTET_OK || refused);
    w->refused += refused;
}

static void acts(struct world *w, uint32_t at, uint64_t most)
{
    for (uint64_t i = prng_below(&w->r, most + 1); i > 0; i--)
        act(w, at);
}

/* What `to` lacks of the batches from `first` on, in any order. */
static void give(struct world *w, uint32_t to, uint32_t first)
{
    for (bool missing = true; missing;) {
        missing = false;
        for (uint32_t i = first; i < w->c->pool.count; i++)
            if (w->c->pool.slot[i] != to)
                missing |= cluster_give(w->c, to, i) == DELIVER_GAP;
    }
}

static void begin(struct world *w, uint64_t seed, bool on_disk)
{
    *w = (struct world){.seed = seed, .on_disk = on_disk};
    prng_seed(&w->r, seed);
    w->c = cluster_new(3);
    help_close(w->c->d[AWAY]);
    fault_env_init(&w->f, seed);
    if (on_disk)
        new_dir(w->dir);
    open_away(w);
    for (const char *const *sql = schema; *sql != NULL; sql++)
        run_sql(w->c->d[0], *sql);
    cluster_exchange(w->c, &w->r);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t at = 0; at < 3; at++)
            acts(w, at, 12);
        cluster_exchange(w->c, &w->r);
    }
}

static void end(struct world *w)
{
    char part[128];
    part_of(w, part);
    cluster_free(w->c);
    fault_env_deinit(&w->f);
    if (w->on_disk)
        walk_dir(w->dir, NULL);
}

/* The others go on, and node 2 does by itself; what it wrote they may have heard of, or not. */
static void grow_apart(struct world *w)
{
    struct err err = ERR_INIT;
    struct db_stats stats;
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t at = 0; at < 2; at++)
            acts(w, at, 15);
        uint32_t from = w->c->pool.count;
        cluster_seal(w->c, 0);
        cluster_seal(w->c, 1);
        for (uint32_t at = 0; at < 2; at++)
            give(w, at, from);
        if (round == 1) {
            db_stats(w->c->d[0], &stats);
            w->past = stats.last_stamp;
            OK(db_sync_remote(w->c->d[0], &err));
        }
    }
    acts(w, AWAY, 10);
}

static void upload(struct world *w)
{
    uint32_t from = w->c->pool.count;
    cluster_seal(w->c, AWAY);
    for (uint32_t at = 0; at < 2; at++)
        give(w, at, from);
}

static void write_file(struct env *env, const char *path, const struct buf *b)
{
    struct err err = ERR_INIT;
    struct file *f = NULL;
    OK(env->ops->open(env, path, FILE_WRITE, &f, &err));
    OK(env->ops->truncate(f, 0, &err));
    OK(env->ops->pwrite(f, b->data, b->len, 0, &err));
    OK(env->ops->sync(f, &err));
    env->ops->close(f);
}

/* A donor's stream, in pieces of any size, while others commit. */
static void read_stream(struct world *w, db_donation *o, struct buf *out)
{
    struct err err = ERR_INIT;
    for (bool last = false; !last;) {
        OK(db_donation_read(o, 1 + prng_below(&w->r, 3000), out, &last, &err));
        if (prng_chance(&w->r, 0.3))
            act(w, (uint32_t)prng_below(&w->r, 2));
    }
}

static void donate(struct world *w, uint32_t donor, struct buf *out)
{
    struct err err = ERR_INIT;
    db_donation *o = NULL;
    OK(db_donate(w->c->d[donor], &o, &err));
    read_stream(w, o, out);
    db_donation_free(o);
}

static quartet_status check(struct world *w, const struct buf *stream, struct db_snapshot_info *info, struct err *why)
{
    char part[128], scratch[128];
    part_of(w, part);
    snprintf(scratch, sizeof scratch, "%s/snapshot.check", dir_of(w));
    write_file(env_of(w), part, stream);
    return db_snapshot_check(env_of(w), part, w->on_disk ? scratch : NULL, info, why);
}

static void reopen(struct world *w)
{
    help_close(w->c->d[AWAY]);
    if (!w->on_disk && prng_chance(&w->r, 0.5)) {
        fault_env_die(&w->f);
        fault_env_restart(&w->f, false);
    }
    open_away(w);
}

static void expect_same(struct world *w)
{
    static const char *const none[] = {NULL};
    cluster_expect_equal(w->c, none, w->seed);
    for (const char *const *sql = shown; *sql != NULL; sql++)
        for (uint32_t back = 0; back < 2; back++) {
            struct buf got[3] = {{0}, {0}, {0}};
            char text[300];
            const char *order = strstr(*sql, " ORDER"), *where = strstr(*sql, " WHERE"), *cut = where != NULL ? where : order;
            if (back == 1 && strstr(*sql, "quartet_") != NULL)
                continue;
            if (back == 1)
                snprintf(text, sizeof text, "%.*s AS OF STAMP %llu%s", (int)(cut - *sql), *sql, (unsigned long long)w->past, cut);
            else
                snprintf(text, sizeof text, "%s", *sql);
            for (uint32_t i = 0; i < 3; i++) {
                struct err err = ERR_INIT;
                OK(query_try(w->c->d[i], text, NULL, &got[i], &err));
                bool same = slice_eq(slice_of(got[i].data, got[i].len), slice_of(got[0].data, got[0].len));
                if (!same)
                    printf("\nseed %llu: %s\n node 0: %.*s\n node %u: %.*s\n", (unsigned long long)w->seed, text, (int)got[0].len, (char *)got[0].data, i,
                           (int)got[i].len, (char *)got[i].data);
                CU_ASSERT(same);
            }
            for (uint32_t i = 0; i < 3; i++)
                buf_deinit(&got[i]);
        }
}

/* Node 2 gets nothing of the batches before `first`: no log holds them any longer. */
static void one_world(uint64_t seed, bool on_disk)
{
    struct err err = ERR_INIT;
    struct world w;
    struct buf stream = {0};
    struct db_snapshot_info info = {0};
    char part[128];
    begin(&w, seed, on_disk);
    grow_apart(&w);
    uint32_t donor = (uint32_t)prng_below(&w.r, 2), first = w.c->pool.count;
    struct buf ours = {0};
    OK(db_vectors(w.c->d[AWAY], &ours, NULL, &err));
    bool told = prng_chance(&w.r, 0.5);
    if (told) {
        upload(&w);
        first = w.c->pool.count;
    }
    acts(&w, donor, 3); /* applied and not signed yet */
    donate(&w, donor, &stream);
    part_of(&w, part);
    OK(check(&w, &stream, &info, &err));
    CU_ASSERT_EQUAL(info.donor, donor);
    bool covers = db_vector_covers(slice_of(info.vector.data, info.vector.len), slice_of(ours.data, ours.len));
    if (!covers) { /* it holds what the donor lacks: it stays as it is */
        CU_ASSERT(!told);
        CU_ASSERT_EQUAL(db_snapshot_adopt(w.c->d[AWAY], part, slice_of(info.vector.data, info.vector.len), (struct slice){0}, &err), QUARTET_NOTFOUND);
        CU_ASSERT(!db_is_sealed(w.c->d[AWAY]));
        upload(&w);
        buf_clear(&stream);
        db_snapshot_info_deinit(&info);
        first = w.c->pool.count;
        donate(&w, donor, &stream);
        OK(check(&w, &stream, &info, &err));
    }
    OK(db_snapshot_adopt(w.c->d[AWAY], part, slice_of(info.vector.data, info.vector.len), (struct slice){0}, &err));
    CU_ASSERT(db_is_sealed(w.c->d[AWAY]));
    struct err why = ERR_INIT;
    CU_ASSERT_EQUAL(query_try(w.c->d[AWAY], "INSERT INTO form VALUES (77, 'x', 1)", NULL, NULL, &why), QUARTET_BUSY);
    reopen(&w);
    struct state_hash h;
    OK(db_state_hash(w.c->d[AWAY], &h, NULL, &err));
    CU_ASSERT(h.lo == info.hash.lo && h.hi == info.hash.hi);
    /* Everybody goes on; what was sealed before is told to nobody again. */
    acts(&w, AWAY, 5);
    for (uint32_t round = 0; round < 3; round++) {
        acts(&w, (uint32_t)prng_below(&w.r, 3), 5);
        for (uint32_t at = 0; at < 3; at++)
            cluster_seal(w.c, at);
        for (uint32_t at = 0; at < 3; at++)
            give(&w, at, first);
        if (round == 1)
            reopen(&w); /* its log goes on from where the snapshot left it */
    }
    expect_same(&w);
    db_snapshot_info_deinit(&info);
    buf_deinit(&ours);
    buf_deinit(&stream);
    end(&w);
}

static void test_snapshot_receiver_equals_the_others(void)
{
    uint64_t seed = unit_seed(1), n = getenv("QUARTET_SEED") != NULL ? 1 : 40;
    for (uint64_t i = 0; i < n && CU_get_number_of_failures() == 0; i++) {
        one_world(seed + i, false);
        if (CU_get_number_of_failures() > 0)
            printf("\nseed %llu\n", (unsigned long long)(seed + i));
    }
}

static void test_snapshot_receiver_equals_the_others_on_disk(void)
{
    uint64_t seed = unit_seed(1001), n = getenv("QUARTET_SEED") != NULL ? 1 : 6;
    for (uint64_t i = 0; i < n && CU_get_number_of_failures() == 0; i++)
        one_world(seed + i, true);
}

/* ---- crashes ---- */

static void test_snapshot_crash_leaves_old_or_new(void)
{
    struct err err = ERR_INIT;
    struct world w;
    struct buf stream = {0};
    struct db_snapshot_info info = {0};
    struct state_hash before, after;
    char part[128];
    uint64_t olds = 0, news = 0;
    begin(&w, unit_seed(7), false);
    grow_apart(&w);
    upload(&w);
    donate(&w, 0, &stream);
    OK(check(&w, &stream, &info, &err));
    part_of(&w, part);
    OK(db_state_hash(w.c->d[AWAY], &before, NULL, &err));
    help_close(w.c->d[AWAY]);
    struct fault_env disk;
    fault_env_init(&disk, 1);
    OK(fault_env_copy_files(&disk, &w.f, &err));
    bool done = false;
    for (uint64_t n = 1; !done && n < 200 && CU_get_number_of_failures() == 0; n++) {
        fault_env_erase(&w.f);
        OK(fault_env_copy_files(&w.f, &disk, &err));
        open_away(&w);
        w.f.crash_at_write = w.f.writes + w.f.syncs + n;
        struct err why = ERR_INIT;
        quartet_status rc = db_snapshot_adopt(w.c->d[AWAY], part, slice_of(info.vector.data, info.vector.len), (struct slice){0}, &why);
        done = rc == QUARTET_OK && !w.f.dead;
        bool told = rc == QUARTET_OK;
        fault_env_die(&w.f);
        (void)db_close(w.c->d[AWAY], &why);
        fault_env_restart(&w.f, n % 2 == 0);
        w.f.crash_at_write = 0;
        open_away(&w);
        OK(db_state_hash(w.c->d[AWAY], &after, NULL, &err));
        bool old = after.lo == before.lo && after.hi == before.hi, fresh = after.lo == info.hash.lo && after.hi == info.hash.hi;
        CU_ASSERT(old || fresh);
        CU_ASSERT(fresh || !told);
        olds += old;
        news += fresh;
        /* Either goes on, and keeps what it takes. */
        run_sql(w.c->d[AWAY], "INSERT INTO form (id, name, q) VALUES (4000, 'after', 1)");
        help_close(w.c->d[AWAY]);
        open_away(&w);
        expect_rows(w.c->d[AWAY], "SELECT name FROM form WHERE id = 4000", "after\n");
        help_close(w.c->d[AWAY]);
    }
    if (!done || olds == 0 || news == 0)
        printf("\n%llu times old, %llu times new%s\n", (unsigned long long)olds, (unsigned long long)news, done ? "" : ", not to the end");
    CU_ASSERT(done && olds > 0 && news > 0);
    fault_env_deinit(&disk);
    open_away(&w);
    db_snapshot_info_deinit(&info);
    buf_deinit(&stream);
    end(&w);
}

/* ---- donors that lie ---- */

/* A row of `item` in the donor's store is altered, or goes, without anybody's knowing. */
static void tamper(db *d, bool drop, bool hash_too)
{
    struct err err = ERR_INIT;
    struct catalog *catalog = db_catalog(d);
    const struct table_def *t = catalog_table(catalog, "form");
    struct buf key = {0}, record = {0};
    kv_snap *snap = NULL;
    struct row row;
    struct arena a = {0};
    help_key(t, 500, &key);
    OK(kv_snapshot_latest(d->store, &snap, &err));
    OK(kv_get(snap, NULL, t->id, slice_of(key.data, key.len), &record, &err));
    kv_release(snap);
    OK(row_decode(slice_of(record.data, record.len), &t->rows, &a, &row, &err));
    struct kv_op op = {.tree = t->id, .key = slice_of(key.data, key.len), .record = slice_of(record.data, record.len)};
    uint8_t *at = memmem(record.data, record.len, "honest", 6);
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    memcpy(at, "lyings", 6);
    if (drop)
        op.record = (struct slice){0};
    pthread_mutex_lock(&d->commit_lock);
    OK(kv_apply(d->store, &op, 1, ++d->applied_no, &err));
    kv_publish(d->store, d->applied_no);
    if (hash_too)
        OK(apply_rebuild(d, &err));
    pthread_mutex_unlock(&d->commit_lock);
    arena_free_all(&a);
    buf_deinit(&key);
    buf_deinit(&record);
    catalog_unref(catalog);
}

static void lied(bool drop, bool hash_too, bool early)
{
    struct err err = ERR_INIT;
    struct world w;
    struct buf stream = {0}, at = {0};
    struct db_snapshot_info info = {0};
    struct state_hash honest;
    begin(&w, 11, false);
    run_sql(w.c->d[0], "INSERT INTO form (id, name, q) VALUES (500, 'honest', 1)");
    cluster_exchange(w.c, &w.r);
    if (early) { /* it claims one more transaction of node 1 than its rows have */
        run_sql(w.c->d[1], "UPDATE form SET q = 2 WHERE id = 500");
        cluster_seal(w.c, 1);
        pthread_mutex_lock(&w.c->d[0]->commit_lock);
        chain_no no;
        CU_ASSERT_FATAL(chain_find(&w.c->d[0]->chains, chain_id_of(&w.c->d[1]->chains, w.c->d[1]->own), &no));
        struct vv_entry e = *vv_find(&w.c->d[0]->applied, no);
        e.number++;
        e.stamp += 4;
        OK(vv_raise(&w.c->d[0]->applied, e, &err));
        w.c->d[0]->state[no]->head_number = e.number;
        pthread_mutex_unlock(&w.c->d[0]->commit_lock);
    } else {
        tamper(w.c->d[0], drop, hash_too);
    }
    db_donation *o = NULL;
    OK(db_donate(w.c->d[0], &o, &err));
    for (bool last = false; !last;)
        OK(db_donation_read(o, 4096, &stream, &last, &err));
    db_donation_free(o);
    struct err why = ERR_INIT;
    quartet_status rc = check(&w, &stream, &info, &why);
    if (!hash_too && !early) { /* its rows are not what its own hash says */
        CU_ASSERT_EQUAL(rc, QUARTET_CORRUPT);
        CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "node 0"));
    } else { /* the lie is whole: another member's hash at this vector is another one */
        CU_ASSERT_EQUAL(rc, QUARTET_OK);
        OK(db_state_hash(w.c->d[1], &honest, &at, &err));
        CU_ASSERT(db_vector_covers(slice_of(info.vector.data, info.vector.len), slice_of(at.data, at.len)));
        CU_ASSERT(db_vector_covers(slice_of(at.data, at.len), slice_of(info.vector.data, info.vector.len)));
        CU_ASSERT(honest.lo != info.hash.lo || honest.hi != info.hash.hi);
    }
    db_snapshot_info_deinit(&info);
    buf_deinit(&stream);
    buf_deinit(&at);
    end(&w);
}

static void test_snapshot_lying_donor_shows(void)
{
    lied(false, false, false);
    lied(true, false, false);
    lied(false, true, false);
    lied(true, true, false);
    lied(false, false, true);
}

/* ---- hostile bytes ---- */

/* Checksums of the block that holds offset `at`, and of the whole stream, made right again; the walk follows the lengths as they are, as far as they make sense. */
static void mend(struct buf *s)
{
    size_t at = 29 + load_le32(s->data + 25);
    while (at + 15 < s->len && s->data[at] == 1) {
        size_t sep = load_le16(s->data + at + 9), n = load_le32(s->data + at + 11), block = at + 15 + sep;
        if (block + n > s->len || n < 8)
            return;
        store_le64(s->data + block, XXH3_64bits_withSeed(s->data + block + 8, n - 8, load_le64(s->data + at + 1)));
        at = block + n;
    }
    if (at + 9 + 32 <= s->len)
        crypto_generichash(s->data + at + 9, 32, s->data, at + 9, NULL, 0);
}

static void test_snapshot_hostile_bytes_are_refused(void)
{
    struct err err = ERR_INIT;
    struct world w;
    struct buf stream = {0}, bad = {0};
    struct db_snapshot_info info = {0};
    begin(&w, unit_seed(3), false);
    donate(&w, 0, &stream);
    OK(check(&w, &stream, &info, &err));
    db_snapshot_info_deinit(&info);
    for (uint64_t i = 0; i < 60; i++) { /* cut short, longer, a bit changed: always found */
        struct err why = ERR_INIT;
        buf_clear(&bad);
        buf_put(&bad, stream.data, i < 20 ? prng_below(&w.r, stream.len) : stream.len);
        if (i >= 20 && i < 25)
            buf_put(&bad, stream.data, 1 + prng_below(&w.r, 100));
        if (i >= 25)
            bad.data[prng_below(&w.r, bad.len)] ^= (uint8_t)(1u << prng_below(&w.r, 8));
        quartet_status rc = check(&w, &bad, &info, &why);
        if (i >= 25 && bad.data[8] != stream.data[8])
            continue;
        if (rc == QUARTET_OK)
            printf("\nchange %llu was not found\n", (unsigned long long)i);
        CU_ASSERT_NOT_EQUAL(rc, QUARTET_OK);
    }
    for (uint64_t i = 0; i < 300; i++) { /* with checksums that fit: whatever it is, nothing breaks */
        struct err why = ERR_INIT;
        buf_clear(&bad);
        buf_put(&bad, stream.data, stream.len);
        for (uint64_t k = prng_below(&w.r, 3); k < 3; k++) {
            size_t from = k == 0 ? 29 : 29 + load_le32(stream.data + 25);
            bad.data[from + prng_below(&w.r, bad.len - from)] = (uint8_t)prng_u64(&w.r);
        }
        mend(&bad);
        if (check(&w, &bad, &info, &why) == QUARTET_OK)
            db_snapshot_info_deinit(&info);
    }
    buf_deinit(&stream);
    buf_deinit(&bad);
    end(&w);
}

const char *const unit_suite = "snapshot";
const struct unit_test unit_tests[] = {
    {"receiver equals the others", test_snapshot_receiver_equals_the_others},
    {"receiver equals the others, on disk", test_snapshot_receiver_equals_the_others_on_disk},
    {"crash leaves old or new", test_snapshot_crash_leaves_old_or_new},
    {"lying donor shows", test_snapshot_lying_donor_shows},
    {"hostile bytes are refused", test_snapshot_hostile_bytes_are_refused},
    {NULL, NULL},
};

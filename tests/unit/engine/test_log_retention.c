/* test_log_retention.c - what of a member's log is kept, what goes, and what is known of it after a restart without reading it. */
#include "cluster_help.h"
#include "dir_help.h"
#include "engine/apply.h"
#include "engine/verify.h"

static db *open_member(struct cluster *c, uint32_t i, const char *dir, size_t buffer_bytes, const char *archive, uint32_t index_exact)
{
    struct err err = ERR_INIT;
    struct db_options o = {.buffer_bytes = buffer_bytes, .log_archive = archive, .index_exact = index_exact, .index_run_bytes = index_exact * 700};
    db *d = NULL;
    OK(db_open(env_posix(), dir, &o, &d, &err));
    OK(db_set_identity(d, &c->id[i], &err));
    return d;
}

/* Is the batch given back as it was sealed? */
static quartet_status gives(db *d, const struct pool *p, uint32_t i, bool *same)
{
    struct err err = ERR_INIT;
    struct batch_header h;
    struct slice payload;
    struct buf out = {0};
    uint32_t count;
    OK(batch_parse(slice_of(p->bytes[i], p->n[i]), &h, &payload, &err));
    quartet_status rc = db_read_batches(d, h.chain, h.first, 1, &out, &count, &err);
    *same = rc == QUARTET_OK && out.len == p->n[i] + 4 && memcmp(out.data + 4, p->bytes[i], p->n[i]) == 0;
    buf_deinit(&out);
    return rc;
}

/* What is known of the log is bounded by how much of it there is, not by how many batches it holds. */
static void expect_small_index(db *d)
{
    uint64_t spans = (commit_log_end(d->log) - commit_log_start(d->log)) / d->options.index_run_bytes;
    for (uint32_t i = 0; i < d->state_count; i++)
        if (d->state[i] != NULL)
            CU_ASSERT(d->state[i]->batch_count <= 2 * d->options.index_exact + spans + 2);
}

/* Of each chain all batches that are here, read with one call, are those that were sealed, one after the other. */
static void expect_in_one_piece(db *d, const struct pool *p)
{
    struct err err = ERR_INIT;
    for (uint32_t i = 0; i < d->state_count; i++) {
        if (d->state[i] == NULL || d->state[i]->batch_count == 0)
            continue;
        struct buf out = {0};
        uint32_t count, found = 0;
        OK(db_read_batches(d, d->chains.ids[i], d->state[i]->batches[0].first, SIZE_MAX, &out, &count, &err));
        struct bytes_in in = bytes_in(out.data, out.len);
        uint64_t next = d->state[i]->batches[0].first;
        while (in.left > 0) {
            uint32_t n = bytes_u32(&in);
            struct slice batch = slice_of(bytes_take(&in, n), n), payload;
            struct batch_header h;
            OK(batch_parse(batch, &h, &payload, &err));
            CU_ASSERT_EQUAL(h.first, next);
            next = h.first + h.count;
            for (uint32_t k = 0; k < p->count; k++)
                found += slice_eq(batch, slice_of(p->bytes[k], p->n[k]));
        }
        const struct batch_at *last = &d->state[i]->batches[d->state[i]->batch_count - 1];
        CU_ASSERT_EQUAL(found, count);
        CU_ASSERT(last->is_seal || next == last->first + last->count); /* own ones once they are on disk */
        buf_deinit(&out);
    }
}

static void some_work(struct cluster *c, struct prng *r, int *id)
{
    char text[16], n[8];
    uint32_t who = (uint32_t)prng_below(r, c->count);
    snprintf(text, sizeof text, "%d", ++*id);
    snprintf(n, sizeof n, "%d", *id % 7);
    help_put(c->d[who], "t", ROW(text, "some text", n));
    if (prng_chance(r, 0.5))
        cluster_seal(c, who);
    for (uint64_t k = prng_below(r, 4); k > 0 && c->pool.count > 0; k--) { /* held ones and gaps are part of it */
        uint32_t to = (uint32_t)prng_below(r, c->count), batch = c->pool.count - 1 - (uint32_t)prng_below(r, c->pool.count < 5 ? c->pool.count : 5);
        if (c->pool.slot[batch] != to)
            (void)cluster_give(c, to, batch);
    }
    if (prng_chance(r, 0.05))
        cluster_exchange(c, r);
}

/* Lives of one member on disk, ended by a close or a kill: every batch that it had it still gives, though its log is not read again. */
static void test_retention_index_survives_any_sequence_of_lives(void)
{
    for (uint64_t seed = unit_seed(1), end = seed + 10; seed < end; seed++) {
        struct prng r;
        char dir[2][64];
        int id = 0;
        bool opened_late = false;
        prng_seed(&r, seed);
        new_dir(dir[0]);
        new_dir(dir[1]);
        struct cluster *c = cluster_new(3);
        uint32_t at = 0;
        help_close(c->d[0]);
        c->d[0] = open_member(c, 0, dir[0], 4096, NULL, 0);
        help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER)");
        cluster_exchange(c, &r);
        for (int life = 0; life < 6; life++) {
            for (uint64_t n = prng_below(&r, 60); n > 0; n--)
                some_work(c, &r, &id);
            bool *had = calloc(BATCHES_MAX, sizeof *had);
            for (uint32_t i = 0; i < c->pool.count; i++)
                (void)gives(c->d[0], &c->pool, i, &had[i]);
            if (prng_chance(&r, 0.5)) {
                struct err err = ERR_INIT;
                OK(db_sync_remote(c->d[0], &err));
                walk_dir(dir[1 - at], NULL);
                CU_ASSERT_EQUAL_FATAL(mkdir(dir[1 - at], 0700), 0);
                walk_dir(dir[at], dir[1 - at]);
                at = 1 - at;
            }
            help_close(c->d[0]);
            c->d[0] = open_member(c, 0, dir[at], prng_chance(&r, 0.7) ? 4096 : 0, NULL, (uint32_t)prng_below(&r, 5));
            opened_late |= c->d[0]->opened_at > LOG_SEGMENT_BYTES + 64;
            for (uint32_t i = 0; i < c->pool.count; i++) {
                bool same;
                (void)gives(c->d[0], &c->pool, i, &same);
                CU_ASSERT(!had[i] || same);
            }
            expect_in_one_piece(c->d[0], &c->pool);
            if (c->d[0]->options.index_exact != 0)
                expect_small_index(c->d[0]);
            free(had);
        }
        CU_ASSERT(opened_late);
        cluster_exchange(c, &r);
        static const char *const tables[] = {"t", NULL};
        cluster_expect_equal(c, tables, seed);
        cluster_free(c);
        walk_dir(dir[0], NULL);
        walk_dir(dir[1], NULL);
        if (CU_get_number_of_failures() > 0) {
            printf("\nseed %llu\n", (unsigned long long)seed);
            break;
        }
    }
}

static void tell(db *d, db *peer, uint8_t slot)
{
    struct err err = ERR_INIT;
    struct buf v = {0};
    OK(db_sync_remote(peer, &err));
    OK(db_vectors(peer, NULL, &v, &err));
    OK(db_peer_has(d, slot, slice_of(v.data, v.len), &err));
    buf_deinit(&v);
}

/* Of each member the node can give all that it lacked when it last told, however far the log was trimmed; in memory it goes byte by byte. */
static void test_retention_keeps_what_a_member_lacks(void)
{
    for (uint64_t seed = unit_seed(1), end = seed + 20; seed < end; seed++) {
        struct prng r;
        struct cluster *c = cluster_new(3);
        int id = 0;
        bool first;
        prng_seed(&r, seed);
        help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER)");
        cluster_exchange(c, &r);
        db_set_peers(c->d[0], 6);
        if (seed % 2 == 0)
            small_index(c->d[0], seed);
        for (int step = 0; step < 200; step++) {
            some_work(c, &r, &id);
            bool had[2] = {false}, has;
            uint32_t i = (uint32_t)prng_below(&r, c->pool.count), k = c->pool.slot[i] != 1 ? 1 : 2;
            (void)gives(c->d[0], &c->pool, i, &had[0]);
            (void)gives(c->d[k], &c->pool, i, &had[1]);
            tell(c->d[0], c->d[1], 1);
            if (step < 50) /* not all told: all is kept */
                db_trim(c->d[0]);
            (void)gives(c->d[0], &c->pool, i, &has);
            CU_ASSERT(step >= 50 || has == had[0]);
            if (step >= 50) {
                tell(c->d[0], c->d[2], 2);
                db_trim(c->d[0]);
                (void)gives(c->d[0], &c->pool, i, &has);
                CU_ASSERT(!had[0] || had[1] || has);
            }
            if (seed % 2 == 0)
                expect_small_index(c->d[0]);
        }
        cluster_exchange(c, &r);
        tell(c->d[0], c->d[1], 1);
        tell(c->d[0], c->d[2], 2);
        db_trim(c->d[0]);
        CU_ASSERT_EQUAL(gives(c->d[0], &c->pool, 0, &first), QUARTET_TOO_OLD);
        static const char *const tables[] = {"t", NULL};
        cluster_expect_equal(c, tables, seed);
        cluster_free(c);
        if (CU_get_number_of_failures() > 0) {
            printf("\nseed %llu\n", (unsigned long long)seed);
            break;
        }
    }
}

static void write_much(db *d, int *id, int rows)
{
    struct err err = ERR_INIT;
    char text[16], *name = malloc(4001);
    memset(name, 'x', 4000);
    name[4000] = '\0';
    while (rows > 0) {
        txn *t = NULL;
        OK(txn_begin(d, &t, &err));
        txn_set_sync(t, LOG_SYNC_NORMAL);
        for (int k = 0; k < 50; k++, rows--) {
            snprintf(text, sizeof text, "%d", ++*id);
            OK(help_insert(t, "t", ROW(text, name, "1"), &err));
        }
        OK(txn_commit(t, &err));
    }
    free(name);
}

static bool same_bytes(const char *a, const char *b)
{
    static uint8_t x[1 << 16], y[1 << 16];
    FILE *f = fopen(a, "rb"), *g = fopen(b, "rb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    size_t n = 0, m = 0;
    bool same = true;
    do {
        n = fread(x, 1, sizeof x, f);
        m = fread(y, 1, sizeof y, g);
        same = n == m && memcmp(x, y, n) == 0;
    } while (same && n > 0);
    fclose(f);
    fclose(g);
    return same;
}

/* Segments of the archive; each holds what stood in the log under its number, of which `log` is a copy. */
static uint32_t count_segments(const char *dir, const char *log)
{
    char path[600], was[600];
    struct stat st;
    uint32_t n = 0;
    DIR *d = opendir(dir);
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.')
            continue;
        path_of(path, sizeof path, dir, e->d_name);
        CU_ASSERT(stat(path, &st) == 0 && st.st_size == LOG_SEGMENT_BYTES && strlen(e->d_name) == 25);
        path_of(was, sizeof was, log, strchr(e->d_name, '-') + 1);
        CU_ASSERT(same_bytes(path, was));
        n++;
    }
    closedir(d);
    return n;
}

/* On disk: kept for a member, let go when it has it, archived, opened again without what went, and past the limit let go in any case. */
static void test_retention_trims_a_members_log(void)
{
    struct err err = ERR_INIT;
    struct db_stats s;
    char dir[64], copy[64], archive[64], before[64], place[512], before_log[512];
    struct prng r;
    int id = 0;
    bool same;
    prng_seed(&r, 5);
    new_dir(before);
    path_of(before_log, sizeof before_log, before, "log");
    new_dir(dir);
    new_dir(copy);
    new_dir(archive);
    path_of(place, sizeof place, archive, "kept"); /* is made */
    struct cluster *c = cluster_new(2);
    help_close(c->d[0]);
    db *d = c->d[0] = open_member(c, 0, dir, 1 << 20, place, 0);
    help_ddl(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER)");
    write_much(d, &id, 14000); /* 56 MB */
    cluster_seal(c, 0);
    db_set_peers(d, 2);
    OK(kv_flush(d->store, &err));
    db_tick(d);
    db_stats(d, &s);
    CU_ASSERT(s.log_bytes > 3u * LOG_SEGMENT_BYTES); /* nobody has told anything */
    tell(d, c->d[1], 1);
    db_tick(d);
    walk_dir(dir, before);
    OK(gives(d, &c->pool, 0, &same)); /* it has nothing */
    cluster_exchange(c, &r);
    tell(d, c->d[1], 1);
    db_tick(d);
    db_stats(d, &s);
    CU_ASSERT(s.log_bytes <= 2u * LOG_SEGMENT_BYTES); /* the last one, and what is made ahead */
    CU_ASSERT_EQUAL(gives(d, &c->pool, 0, &same), QUARTET_TOO_OLD);
    CU_ASSERT(count_segments(place, before_log) >= 3);
    walk_dir(dir, copy); /* killed now: its checkpoint is older than the trimming */
    help_put(d, "t", ROW("-1", "after", "1"));
    cluster_seal(c, 0);
    help_close(d);
    d = c->d[0] = open_member(c, 0, dir, 1 << 20, place, 0);
    CU_ASSERT_EQUAL(gives(d, &c->pool, 0, &same), QUARTET_TOO_OLD);
    OK(gives(d, &c->pool, c->pool.count - 1, &same));
    CU_ASSERT(same);
    help_put(d, "t", ROW("-2", "a new chain", "1")); /* links to the one before */
    cluster_exchange(c, &r);
    static const char *const tables[] = {"t", NULL};
    cluster_expect_equal(c, tables, 5);
    db *k = open_member(c, 0, copy, 1 << 20, NULL, 0);
    CU_ASSERT_EQUAL(gives(k, &c->pool, 0, &same), QUARTET_TOO_OLD);
    help_close(k);
    /* Past the limit it goes though nobody told. */
    db_set_peers(d, 6);
    OK(db_set_retention(d, 3u * LOG_SEGMENT_BYTES, NULL, &err));
    write_much(d, &id, 16000);
    cluster_seal(c, 0);
    OK(kv_flush(d->store, &err));
    db_tick(d);
    db_stats(d, &s);
    CU_ASSERT(s.log_bytes <= 3u * LOG_SEGMENT_BYTES);
    CU_ASSERT(s.log_bytes > LOG_SEGMENT_BYTES);
    cluster_free(c);
    walk_dir(dir, NULL);
    walk_dir(copy, NULL);
    walk_dir(before, NULL);
    walk_dir(archive, NULL);
}

const char *const unit_suite = "log_retention";
const struct unit_test unit_tests[] = {
    {"index survives lives", test_retention_index_survives_any_sequence_of_lives},
    {"keeps what a member lacks", test_retention_keeps_what_a_member_lacks},
    {"trims a member", test_retention_trims_a_members_log},
    {NULL, NULL},
};

/* test_trim.c - power cuts while a member's log is trimmed: segments are made, filled, moved into an archive (on the same file system or another), used again and removed while the
 * member commits, signs, and is told what the others have. The log is compiled with small segments, so this goes on all the time. At any moment of the record power goes. Then the
 * database opens; every acknowledged transaction is there; every batch that was given out and that a member may lack is given again, byte by byte; log and archive
 * together hold the log from its beginning, valid, without a gap.
 *   fault-trim [--seed N] [--runs N] [--cuts N] [--steps N] [--moment N --cut-seed S]
 * In half of the runs renames and removals fail now and then. Prints what does a failure again. */
#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/prng.h"
#include "engine/db_internal.h"
#include "fault/disk.h"
#include "fault/work.h"

#define BATCHES_MAX 2000u
#define TOLD_MAX 2000u
#define KEPT 10 /* transactions whose rows stay */
#define ROWS 3  /* of each */
#define OTHERS 2u /* a bit: slot 1 */
enum { MARK_STARTED, MARK_ACKNOWLEDGED, MARK_CLOSED };

struct given { /* a batch that others may have got */
    struct chain_id chain;
    uint64_t first;
    uint8_t *bytes;
    size_t n, moment;
};
struct told { /* from this moment on the other member was known to have this many batches */
    size_t moment, batches;
};
struct run {
    uint64_t seed, steps;
    struct prng prng;
    struct work w;
    struct db_identity id;
    char dir[512], live[600], archive[700];
    bool archives, other_fs, faults;
    struct given given[BATCHES_MAX];
    size_t given_count;
    struct told told[TOLD_MAX];
    size_t told_count;
    uint64_t checked, trimmed, archived;
    int failures;
};

static void fail(struct run *r, const struct disk_cut *cut, const char *what)
{
    printf("FAILED: seed %llu, moment %zu (%s), cut seed %llu: %s\n", (unsigned long long)r->seed, cut != NULL ? cut->moment : 0, cut != NULL ? cut->what : "no cut",
           cut != NULL ? (unsigned long long)cut->seed : 0, what);
    r->failures++;
}

static void path_of(char *out, size_t n, const char *dir, const char *name)
{
    if (snprintf(out, n, "%s/%s", dir, name) >= (int)n)
        exit(2);
}

/* ---- the work ---- */

static quartet_status open_member(struct run *r, struct work *w, struct err *err)
{
    quartet_status rc = work_open(w, err);
    if (rc == QUARTET_OK)
        rc = db_set_identity(w->d, &r->id, err);
    return rc;
}

static void give(void *arg, struct slice batch, const struct batch_header *h)
{
    struct run *r = arg;
    if (r->given_count == BATCHES_MAX)
        exit(2);
    r->given[r->given_count++] = (struct given){.chain = h->chain, .first = h->first, .bytes = mem_dup(batch.p, batch.n), .n = batch.n, .moment = disk_moments()};
}

/* The other member says what it has: all that was given out. */
static quartet_status hear(struct run *r, struct err *err)
{
    struct buf v = {0};
    if (r->told_count == TOLD_MAX)
        exit(2);
    struct told t = {.moment = disk_moments(), .batches = r->given_count};
    quartet_status rc = db_vectors(r->w.d, NULL, &v, err);
    if (rc == QUARTET_OK) {
        r->told[r->told_count++] = t; /* from the call on segments may go */
        rc = db_peer_has(r->w.d, 1, slice_of(v.data, v.len), err);
    }
    buf_deinit(&v);
    return rc;
}

static void draw(struct run *r, uint64_t n, struct buf *sql)
{
    struct prng p;
    prng_seed(&p, r->seed ^ n << 20);
    buf_printf(sql, "BEGIN; DELETE FROM t WHERE n = %lld;", (long long)n - KEPT);
    for (int k = 0; k < ROWS; k++) {
        buf_printf(sql, "INSERT INTO t VALUES (%llu, %d, '", (unsigned long long)n, k);
        for (uint64_t i = prng_below(&p, n % 9 == 0 ? 40000 : 2000); i > 0; i--)
            buf_u8(sql, (uint8_t)('a' + prng_below(&p, 26)));
        buf_str(sql, "');");
    }
    buf_printf(sql, "UPDATE done SET n = %llu; COMMIT", (unsigned long long)n);
    buf_u8(sql, 0);
}

static quartet_status again(struct run *r, struct err *err)
{
    struct err ignored = ERR_INIT;
    (void)work_close(&r->w, &ignored); /* what is broken may say so once more */
    quartet_status rc = open_member(r, &r->w, err);
    if (rc != QUARTET_OK)
        return rc;
    db_set_peers(r->w.d, OTHERS);
    return db_set_retention(r->w.d, 0, r->archives ? r->archive : NULL, err);
}

/* After a failure on purpose: once more, on a handle that was opened again where the log is in doubt. */
static quartet_status commit_again(struct run *r, uint64_t n, const char *sql, quartet_status was, struct err *err)
{
    struct buf out = {0};
    char want[40];
    quartet_status rc = conn_in_transaction(r->w.c) ? work_sql(&r->w, "ROLLBACK", NULL, err) : QUARTET_OK;
    err_clear(err);
    if (was == QUARTET_IO)
        rc = again(r, err);
    if (rc == QUARTET_OK)
        rc = work_sql(&r->w, "SELECT n FROM done", &out, err);
    buf_u8(&out, 0);
    snprintf(want, sizeof want, "%llu;\n", (unsigned long long)n);
    if (rc == QUARTET_OK && strcmp((const char *)out.data, want) != 0) /* else it was done */
        rc = work_sql(&r->w, sql, NULL, err);
    buf_deinit(&out);
    return rc;
}

static quartet_status commit(struct run *r, uint64_t n, struct err *err)
{
    struct buf sql = {0};
    draw(r, n, &sql);
    bool armed = r->faults && prng_chance(&r->prng, 0.3);
    if (armed)
        disk_fail(DISK_NAME, 1 + prng_below(&r->prng, 3), prng_chance(&r->prng, 0.5) ? EIO : ENOSPC, false, false);
    disk_mark(MARK_STARTED, n);
    quartet_status rc = work_sql(&r->w, (const char *)sql.data, NULL, err);
    if (rc != QUARTET_OK && armed && disk_fail_hits() > 0) {
        disk_fail(0, 0, 0, false, false);
        rc = commit_again(r, n, (const char *)sql.data, rc, err);
    }
    buf_deinit(&sql);
    if (rc == QUARTET_OK)
        disk_mark(MARK_ACKNOWLEDGED, n);
    return rc;
}

static quartet_status one_step(struct run *r, uint64_t n, struct err *err)
{
    quartet_status rc = commit(r, n, err);
    if (rc == QUARTET_OK && prng_chance(&r->prng, 0.6))
        rc = db_seal(r->w.d, give, r, err);
    if (rc == QUARTET_OK && prng_chance(&r->prng, 0.3))
        rc = hear(r, err);
    db_tick(r->w.d);
    disk_fail(0, 0, 0, false, false);
    if (rc != QUARTET_OK || !prng_chance(&r->prng, 0.05))
        return rc;
    rc = work_close(&r->w, err);
    return rc == QUARTET_OK ? again(r, err) : rc;
}

static bool record(struct run *r)
{
    struct err err = ERR_INIT, close_err = ERR_INIT;
    path_of(r->w.path, sizeof r->w.path, r->live, "db");
    disk_watch(r->live);
    disk_other_fs(r->other_fs ? "archive" : NULL);
    quartet_status rc = again(r, &err);
    if (rc == QUARTET_OK)
        rc = work_sql(&r->w, "CREATE TABLE t (n INTEGER, k INTEGER, v TEXT, PRIMARY KEY (n, k)); CREATE TABLE done (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO done VALUES (1, 0)",
                      NULL, &err);
    disk_mark(MARK_CLOSED, 1); /* from here on there is something to look for */
    for (uint64_t n = 1; rc == QUARTET_OK && n <= r->steps; n++)
        rc = one_step(r, n, &err);
    quartet_status end = work_close(&r->w, &close_err);
    disk_stop();
    disk_other_fs(NULL);
    if (rc != QUARTET_OK || end != QUARTET_OK)
        fail(r, NULL, rc != QUARTET_OK ? err.text : close_err.text);
    return rc == QUARTET_OK && end == QUARTET_OK;
}

/* ---- after a cut ---- */

static void check_rows(struct run *r, const struct disk_cut *cut, struct work *w)
{
    struct err err = ERR_INIT;
    struct buf out = {0};
    unsigned long long n = 0, rows = 0, least = 0;
    char text[300];
    if (work_sql(w, "SELECT n, (SELECT count(*) FROM t), coalesce((SELECT min(n) FROM t), 0) FROM done", &out, &err) != QUARTET_OK) {
        fail(r, cut, err.text);
    } else {
        buf_u8(&out, 0);
        bool read = sscanf((const char *)out.data, "%llu,%llu,%llu", &n, &rows, &least) == 3;
        uint64_t kept = n < KEPT ? n : KEPT;
        snprintf(text, sizeof text, "transaction %llu with %llu rows; acknowledged was %llu, begun %llu", n, rows, (unsigned long long)cut->marks[MARK_ACKNOWLEDGED],
                 (unsigned long long)cut->marks[MARK_STARTED]);
        if (!read || n < cut->marks[MARK_ACKNOWLEDGED] || n > cut->marks[MARK_STARTED] || rows != kept * ROWS || (kept > 0 && least != n - kept + 1))
            fail(r, cut, text);
    }
    buf_deinit(&out);
}

/* What was given out before the cut and may be lacked is given again as it was. */
static void check_batches(struct run *r, const struct disk_cut *cut, struct work *w)
{
    size_t from = 0;
    char text[300];
    for (size_t i = 0; i < r->told_count && r->told[i].moment <= cut->moment; i++)
        from = r->told[i].batches;
    for (size_t i = from; i < r->given_count && r->given[i].moment <= cut->moment; i++) {
        const struct given *g = &r->given[i];
        struct err err = ERR_INIT;
        struct buf out = {0};
        uint32_t count;
        quartet_status rc = db_read_batches(w->d, g->chain, g->first, 1, &out, &count, &err);
        if (rc != QUARTET_OK || out.len != g->n + 4 || memcmp(out.data + 4, g->bytes, g->n) != 0) {
            snprintf(text, sizeof text, "batch %zu of %zu (numbers from %llu on) that was given out and may be lacked is not given again: %.90s", i, r->given_count,
                     (unsigned long long)g->first, rc != QUARTET_OK ? err.text : "other bytes");
            fail(r, cut, text);
            i = r->given_count;
        }
        buf_deinit(&out);
    }
}

struct audit {
    char to[700];
    uint64_t count;
};

/* Hard links of all segments under their numbers. False: one stands in both places with different contents. */
static void gather(const char *dir, struct audit *a, bool archive)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char from[1000], to[1000];
        const char *dash = archive ? strchr(e->d_name, '-') : NULL, *name = dash != NULL ? dash + 1 : e->d_name;
        if (strlen(name) != 8 || strspn(name, "0123456789") != 8 || (archive && dash == NULL))
            continue;
        path_of(from, sizeof from, dir, e->d_name);
        path_of(to, sizeof to, a->to, name);
        if (rename(from, to) == 0)
            a->count++;
    }
    if (d != NULL)
        closedir(d);
}

static quartet_status see(void *arg, const struct log_record *rec, struct err *err)
{
    uint64_t *records = arg;
    (void)rec;
    (void)err;
    ++*records;
    return QUARTET_OK;
}

/* Log and archive are one log from segment 1 on. The image is used up. */
static void check_archive(struct run *r, const struct disk_cut *cut, const char *image)
{
    char dir[600], path[700], text[400];
    struct audit a = {.count = 0};
    struct err err = ERR_INIT;
    commit_log *log = NULL;
    bool damaged = false;
    uint64_t records = 0;
    path_of(dir, sizeof dir, image, "audit");
    path_of(a.to, sizeof a.to, dir, "log");
    if (mkdir(dir, 0700) != 0 || mkdir(a.to, 0700) != 0)
        exit(2);
    path_of(path, sizeof path, image, "archive");
    gather(path, &a, true);
    r->archived += a.count;
    path_of(path, sizeof path, image, "db/log");
    gather(path, &a, false);
    quartet_status rc = commit_log_open(env_posix(), dir, false, &log, &err);
    if (rc == QUARTET_OK)
        rc = commit_log_scan(log, see, &records, &damaged, &err);
    if (rc == QUARTET_OK && !damaged && (commit_log_is_trimmed(log) || records < cut->marks[MARK_ACKNOWLEDGED]))
        rc = err_set(&err, QUARTET_CORRUPT, "%llu records%s", (unsigned long long)records, commit_log_is_trimmed(log) ? ", not from the beginning on" : "");
    commit_log_close(log);
    if (rc != QUARTET_OK || damaged) {
        snprintf(text, sizeof text, "log and archive together are no log: %.300s", err.text);
        fail(r, cut, text);
    }
}

static void check(struct run *r, const struct disk_cut *cut, const char *image)
{
    struct work w = {.env = env_posix(), .options = r->w.options};
    struct err err = ERR_INIT;
    path_of(w.path, sizeof w.path, image, "db");
    r->checked++;
    if (open_member(r, &w, &err) != QUARTET_OK) {
        fail(r, cut, err.text);
    } else if (cut->marks[MARK_CLOSED] != 0) {
        char why[600];
        r->trimmed += commit_log_is_trimmed(w.d->log);
        check_rows(r, cut, &w);
        if (r->failures == 0)
            check_batches(r, cut, &w);
        if (r->failures == 0 && !work_consistent(&w, why, sizeof why))
            fail(r, cut, why);
        if (r->failures == 0 && work_sql(&w, "UPDATE done SET n = n", NULL, &err) != QUARTET_OK)
            fail(r, cut, err.text);
    }
    if (work_close(&w, &err) != QUARTET_OK)
        fail(r, cut, err.text);
    if (r->archives && r->failures == 0 && cut->marks[MARK_CLOSED] != 0)
        check_archive(r, cut, image);
}

static void cut_at(struct run *r, size_t moment, uint64_t seed)
{
    char image[600];
    struct disk_cut cut = {.moment = moment, .seed = seed};
    path_of(image, sizeof image, r->dir, "image");
    disk_build(&cut, image);
    check(r, &cut, image);
    disk_remove_tree(image);
}

struct options {
    uint64_t seed, runs, cuts, steps, moment, cut_seed;
};

static int run(const struct options *o, uint64_t seed, struct run *r)
{
    static const size_t buffers[] = {4096, 16 << 10, 64 << 10};
    uint64_t checked = r->checked, trimmed = r->trimmed, archived = r->archived;
    *r = (struct run){.seed = seed, .steps = o->steps, .checked = checked, .trimmed = trimmed, .archived = archived};
    prng_seed(&r->prng, seed);
    uint8_t key[32] = {1}, public_key[32];
    r->id = (struct db_identity){.slot = 0, .member = true, .members_answered = true};
    memset(r->id.cluster.b, 7, sizeof r->id.cluster.b);
    if (crypto_sign_seed_keypair(public_key, r->id.secret_key, key) != 0)
        exit(2);
    r->w = (struct work){.env = env_posix(), .options = {.buffer_bytes = buffers[prng_below(&r->prng, 3)], .index_exact = 2, .index_run_bytes = 2000}};
    r->archives = prng_chance(&r->prng, 0.6);
    r->other_fs = prng_chance(&r->prng, 0.5);
    r->faults = prng_chance(&r->prng, 0.5);
    work_dir_begin(r->dir, sizeof r->dir, "trim");
    path_of(r->live, sizeof r->live, r->dir, "live");
    path_of(r->archive, sizeof r->archive, r->live, "archive");
    if (mkdir(r->live, 0700) != 0)
        exit(2);
    if (record(r) && o->moment != UINT64_MAX) {
        cut_at(r, (size_t)o->moment, o->cut_seed);
    } else if (r->failures == 0) {
        for (uint64_t n = 0; n < o->cuts && r->failures == 0;) {
            size_t m = (size_t)prng_below(&r->prng, disk_moments() + 1);
            uint64_t s = prng_chance(&r->prng, 0.1) ? 0 : prng_u64(&r->prng);
            if (disk_is_dull(m))
                continue;
            cut_at(r, m, s);
            n++;
        }
    }
    disk_forget();
    work_dir_end(r->dir);
    for (size_t i = 0; i < r->given_count; i++)
        mem_free(r->given[i].bytes);
    return r->failures;
}

int main(int argc, char **argv)
{
    static struct run r; /* large */
    const char *seed = getenv("QUARTET_SEED");
    struct options o = {.seed = seed != NULL ? strtoull(seed, NULL, 10) : 1, .runs = 8, .cuts = 30, .steps = 120, .moment = UINT64_MAX};
    for (int i = 1; i < argc; i += 2) {
        uint64_t *to = strcmp(argv[i], "--seed") == 0       ? &o.seed
                       : strcmp(argv[i], "--runs") == 0     ? &o.runs
                       : strcmp(argv[i], "--cuts") == 0     ? &o.cuts
                       : strcmp(argv[i], "--steps") == 0    ? &o.steps
                       : strcmp(argv[i], "--moment") == 0   ? &o.moment
                       : strcmp(argv[i], "--cut-seed") == 0 ? &o.cut_seed
                                                            : NULL;
        if (to == NULL || i + 1 == argc) {
            fprintf(stderr, "usage: fault-trim [--seed N] [--runs N] [--cuts N] [--steps N] [--moment N --cut-seed N]\n");
            return 2;
        }
        *to = strtoull(argv[i + 1], NULL, 10);
    }
    env_posix_set_log(4, false); /* what recovery tells is not the test's output */
    if (sodium_init() < 0)
        return 2;
    int failures = 0;
    for (uint64_t k = 0; k < o.runs && failures == 0; k++)
        failures += run(&o, o.seed + k, &r);
    if (failures > 0)
        return 1;
    printf("trim: %llu disks after power cuts, %llu of them with a log that was trimmed, %llu archived segments: nothing that was acknowledged or may be lacked was lost\n",
           (unsigned long long)r.checked, (unsigned long long)r.trimmed, (unsigned long long)r.archived);
    if (o.moment == UINT64_MAX && r.trimmed == 0)
        return printf("trim: no log was trimmed: this tests nothing\n"), 1;
    return 0;
}

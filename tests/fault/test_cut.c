/* test_cut.c - power cuts at every write and sync of log, base and directories: a script runs on real files while all its calls are recorded;
 * then the disk is made as a cut at a moment would leave it, and opened. It must open; every acknowledged transaction is there, the one at work is
 * there or not, no other state; indexes and hashes agree with the rows; it takes writes. A quarter of the openings are cut off themselves.
 *   fault-cut [--seed N] [--runs N] [--cuts N | --all] [--steps N] [--lie]
 * --lie: the disk forgets what was synced, and the program fails unless it notices.
 * Prints the seed and moment of a failure; --seed N --runs 1 --moment M --cut-seed S does that one again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/prng.h"
#include "engine/db_internal.h"
#include "fault/disk.h"
#include "fault/work.h"

#define SWEEP_STEPS 8u /* of odd seeds: what may go is swept from the base before one step of so many */

enum { MARK_STARTED, MARK_ACKNOWLEDGED, MARK_CLOSED };

struct options {
    uint64_t seed, runs, cuts, steps, moment, cut_seed;
    bool all, lie;
};
struct run {
    const struct options *o;
    uint64_t seed;
    struct prng prng;
    struct script script;
    struct db_options db;
    char dir[512], live[600];
    uint64_t checked, nested;
    uint64_t swept; /* rows and entries of history */
    int failures;
};

static void fail(struct run *r, const struct disk_cut *cut, const char *what)
{
    printf("FAILED: seed %llu, moment %zu (%s), cut seed %llu: %s\n", (unsigned long long)r->seed, cut->moment, cut->what,
           (unsigned long long)cut->seed, what);
    r->failures++;
}

static void path_of(char *out, size_t n, const char *dir, const char *name)
{
    if (snprintf(out, n, "%s/%s", dir, name) >= (int)n)
        exit(2);
}

/* Between two steps: what was deleted and overwritten so far goes from the base, in slices of its own. It changes nothing that anybody sees. */
static quartet_status sweep(struct run *r, struct work *w, struct err *err)
{
    struct db_stats before, after;
    uint64_t flush = 0;
    quartet_status rc = QUARTET_OK;
    db_stats(w->d, &before);
    while (rc == QUARTET_OK && flush == 0) {
        pthread_mutex_lock(&w->d->commit_lock);
        rc = kv_freeze_now(w->d->store, &flush, err);
        pthread_mutex_unlock(&w->d->commit_lock);
        db_publish(w->d); /* the thread that flushes waits for it */
        if (rc == QUARTET_OK)
            rc = kv_wait_flushed(w->d->store, flush, err);
    }
    if (rc == QUARTET_OK)
        rc = db_sweep(w->d, err);
    db_stats(w->d, &after);
    r->swept += after.kv.swept_rows + after.kv.swept_pasts - before.kv.swept_rows - before.kv.swept_pasts;
    return rc;
}

/* The work whose calls are recorded. */
static bool record(struct run *r)
{
    struct work w = {.env = env_posix(), .options = r->db};
    struct err err = ERR_INIT;
    path_of(w.path, sizeof w.path, r->live, "db");
    disk_watch(r->live);
    quartet_status rc = work_open(&w, &err);
    bool sweeps = r->seed % 2 == 1; /* all that ever went is gone from the base at once: rows, history, and VACUUM's new file takes its place */
    if (rc == QUARTET_OK && sweeps)
        rc = work_sql(&w, "SET history_retention = 0", NULL, &err);
    for (uint32_t i = 0; rc == QUARTET_OK && i < r->script.count; i++) {
        if (sweeps && i % SWEEP_STEPS == SWEEP_STEPS - 1)
            rc = sweep(r, &w, &err);
        if (rc != QUARTET_OK)
            break;
        conn_settings(w.c)->synchronous = r->db.sync;
        disk_mark(MARK_STARTED, i + 1);
        rc = script_step(&r->script, i, &w, &err);
        if (rc == QUARTET_OK)
            disk_mark(MARK_ACKNOWLEDGED, i + 1);
        db_tick(w.d);
        if (rc == QUARTET_OK && prng_chance(&r->prng, 0.05)) {
            rc = work_close(&w, &err);
            disk_mark(MARK_CLOSED, i + 1);
            if (rc == QUARTET_OK)
                rc = work_open(&w, &err);
        }
    }
    struct err close_err = ERR_INIT;
    if (rc == QUARTET_OK)
        rc = work_close(&w, &err);
    else
        (void)work_close(&w, &close_err); /* the first failure is told */
    disk_stop();
    if (rc != QUARTET_OK) {
        printf("FAILED: seed %llu: without any fault: %s\n", (unsigned long long)r->seed, err.text);
        r->failures++;
    }
    return rc == QUARTET_OK;
}

/* The states that may be found after this cut. */
static uint32_t least_state(const struct run *r, const struct disk_cut *cut)
{
    enum log_sync_mode mode = r->db.sync;
    if (mode == LOG_SYNC_FULL || (mode == LOG_SYNC_NORMAL && cut->seed == 0))
        return (uint32_t)cut->marks[MARK_ACKNOWLEDGED];
    return (uint32_t)cut->marks[MARK_CLOSED];
}

static void check_content(struct run *r, const struct disk_cut *cut, struct work *w)
{
    struct err err = ERR_INIT;
    struct buf dump = {0};
    char why[600];
    uint32_t least = least_state(r, cut), most = (uint32_t)cut->marks[MARK_STARTED];
    if (work_dump(w, &dump, &err) != QUARTET_OK) {
        fail(r, cut, err.text);
    } else if (script_state(&r->script, &dump, least, most) < 0) {
        int at = script_state(&r->script, &dump, 0, r->script.count);
        snprintf(why, sizeof why, "the state before step %d, not one of %u to %u", at, least, most);
        fail(r, cut, why);
        if (at < 0)
            script_explain(&r->script, &dump, least);
    } else if (!work_consistent(w, why, sizeof why)) {
        fail(r, cut, why);
    } else if (work_sql(w, "CREATE TABLE after_cut (x INTEGER PRIMARY KEY); INSERT INTO after_cut VALUES (1); DROP TABLE after_cut", NULL, &err) !=
               QUARTET_OK) {
        fail(r, cut, err.text);
    }
    buf_deinit(&dump);
}

static void check(struct run *r, const struct disk_cut *cut, const char *dir)
{
    struct work w = {.env = env_posix(), .options = r->db};
    struct err err = ERR_INIT;
    path_of(w.path, sizeof w.path, dir, "db");
    r->checked++;
    if (work_open(&w, &err) != QUARTET_OK) {
        fail(r, cut, err.text);
        return;
    }
    check_content(r, cut, &w);
    if (work_close(&w, &err) != QUARTET_OK)
        fail(r, cut, err.text);
}

/* Cut the opening of a disk that a cut had left. The record of the first life is gone after this. */
static void cut_again(struct run *r, const struct disk_cut *first, const char *dir)
{
    struct work w = {.env = env_posix(), .options = r->db};
    struct err err = ERR_INIT;
    char again[600];
    path_of(w.path, sizeof w.path, dir, "db");
    path_of(again, sizeof again, r->dir, "again");
    disk_watch(dir);
    quartet_status rc = work_open(&w, &err);
    if (rc == QUARTET_OK)
        rc = work_close(&w, &err);
    disk_stop();
    if (rc != QUARTET_OK) {
        fail(r, first, err.text);
        return;
    }
    struct prng p;
    prng_seed(&p, first->seed + 1);
    for (int k = 0; k < 3; k++) {
        struct disk_cut second = {.moment = (size_t)prng_below(&p, disk_moments() + 1), .seed = prng_u64(&p)};
        disk_build(&second, again);
        struct disk_cut both = *first;
        snprintf(both.what, sizeof both.what, "%.70s, then within recovery at %zu: %.50s", first->what, second.moment, second.what);
        check(r, &both, again);
        disk_remove_tree(again);
        r->nested++;
    }
}

static void cut_at(struct run *r, size_t moment, uint64_t seed)
{
    char image[600];
    struct disk_cut cut = {.moment = moment, .seed = seed, .lie = r->o->lie};
    path_of(image, sizeof image, r->dir, "image");
    disk_build(&cut, image);
    check(r, &cut, image);
    disk_remove_tree(image);
}

static void cut_anywhere(struct run *r)
{
    size_t moments = disk_moments();
    uint64_t n = 0;
    if (r->o->moment != UINT64_MAX) {
        cut_at(r, (size_t)r->o->moment, r->o->cut_seed);
    } else if (r->o->all) {
        for (size_t m = 0; m <= moments && r->failures < 5; m++)
            if (!disk_is_dull(m))
                cut_at(r, m, prng_chance(&r->prng, 0.1) ? 0 : prng_u64(&r->prng));
    } else {
        while (n < r->o->cuts && r->failures < 5) {
            size_t m = (size_t)prng_below(&r->prng, moments + 1);
            bool all = prng_chance(&r->prng, 0.1);
            uint64_t seed = prng_u64(&r->prng);
            if (disk_is_dull(m))
                continue;
            cut_at(r, m, all ? 0 : seed);
            n++;
        }
    }
    struct disk_cut cut = {.moment = (size_t)prng_below(&r->prng, moments + 1), .seed = prng_u64(&r->prng)};
    char image[600];
    path_of(image, sizeof image, r->dir, "twice");
    if (r->failures > 0 || r->o->moment != UINT64_MAX)
        return;
    disk_build(&cut, image);
    cut_again(r, &cut, image);
    disk_remove_tree(image);
}

static int run(const struct options *o, uint64_t seed, uint64_t *checked)
{
    static struct run r; /* large */
    static const size_t buffers[] = {4096, 16 << 10, 64 << 10, 0};
    r = (struct run){.o = o, .seed = seed};
    prng_seed(&r.prng, seed);
    r.db.buffer_bytes = buffers[prng_below(&r.prng, 4)];
    r.db.slice_pages = prng_chance(&r.prng, 0.5) ? 4 + (uint32_t)prng_below(&r.prng, 8) : 0; /* flushes of many slices */
    r.db.sync = prng_chance(&r.prng, 0.8) ? LOG_SYNC_FULL : prng_chance(&r.prng, 0.5) ? LOG_SYNC_NORMAL : LOG_SYNC_OFF;
    script_make(&r.script, seed, (uint32_t)o->steps, true);
    work_dir_begin(r.dir, sizeof r.dir, "cut");
    path_of(r.live, sizeof r.live, r.dir, "live");
    if (mkdir(r.live, 0700) != 0)
        exit(2);
    if (record(&r))
        cut_anywhere(&r);
    if (r.failures == 0 && seed % 2 == 1 && o->steps >= 40 && r.swept == 0) {
        printf("FAILED: seed %llu: no sweep took anything away\n", (unsigned long long)seed);
        r.failures++;
    }
    disk_forget();
    work_dir_end(r.dir);
    script_free(&r.script);
    *checked += r.checked;
    return r.failures;
}

int main(int argc, char **argv)
{
    const char *seed = getenv("QUARTET_SEED");
    struct options o = {.seed = seed != NULL ? strtoull(seed, NULL, 10) : 1, .runs = 6, .cuts = 40, .steps = 40, .moment = UINT64_MAX};
    for (int i = 1; i < argc; i++) {
        uint64_t n = i + 1 < argc ? strtoull(argv[i + 1], NULL, 10) : 0;
        if (strcmp(argv[i], "--all") == 0 || strcmp(argv[i], "--lie") == 0) {
            *(argv[i][2] == 'a' ? &o.all : &o.lie) = true;
            continue;
        }
        uint64_t *to = strcmp(argv[i], "--seed") == 0       ? &o.seed
                       : strcmp(argv[i], "--runs") == 0     ? &o.runs
                       : strcmp(argv[i], "--cuts") == 0     ? &o.cuts
                       : strcmp(argv[i], "--steps") == 0    ? &o.steps
                       : strcmp(argv[i], "--moment") == 0   ? &o.moment
                       : strcmp(argv[i], "--cut-seed") == 0 ? &o.cut_seed
                                                            : NULL;
        if (to == NULL || i + 1 == argc) {
            fprintf(stderr, "usage: fault-cut [--seed N] [--runs N] [--cuts N | --all] [--lie] [--steps N] [--moment N --cut-seed N]\n");
            return 2;
        }
        *to = n;
        i++;
    }
    env_posix_set_log(4, false); /* what recovery tells is not the test's output */
    uint64_t checked = 0;
    int failures = 0;
    for (uint64_t k = 0; k < o.runs && failures == 0; k++)
        failures += run(&o, o.seed + k, &checked);
    if (o.lie) { /* what is printed above was to be found */
        printf("cut: a disk whose syncs do nothing was%s noticed\n", failures > 0 ? "" : " NOT");
        return failures == 0;
    }
    if (failures == 0)
        printf("cut: %llu disks after power cuts, seeds %llu to %llu: all opened, nothing acknowledged was lost, nothing was half done\n",
               (unsigned long long)checked, (unsigned long long)o.seed, (unsigned long long)(o.seed + o.runs - 1));
    return failures > 0;
}

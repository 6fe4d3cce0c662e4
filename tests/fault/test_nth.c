/* test_nth.c - the Nth call fails, for N = 1, 2, ... until a script runs through without being hit: allocations (of libraries, too), reads, writes (also cut
 * short), syncs, opens, renames, maps, threads. Each failure must be told with its code, leave the transaction undone, and leave a database that is usable: at
 * once, or after it was opened again where the error says so. At the end all is there. For syncs and writes also a disk is made as a power cut after
 * the failure would leave it.
 *   fault-nth [--seed N] [--kind NAME] [--stride N] [--from N] [--to N] [--steps N] [--api]
 * With a stride only about each N-th call is tried, chosen by the seed. Prints what replays a failure. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/prng.h"
#include "fault/disk.h"
#include "fault/kinds.h"
#include "fault/work.h"
#include "quartet.h"

enum { MARK_STARTED, MARK_ACKNOWLEDGED };

struct run {
    const struct fault_kind *kind;
    const struct script *script;
    uint64_t seed, n;
    struct db_options db;
    char dir[512], live[600];
    struct work w;
    bool hit, failed;
};

static void fail(struct run *r, const char *when, const char *what)
{
    printf("FAILED: seed %llu, %s, call %llu (%s): %s: %s\n", (unsigned long long)r->seed, r->kind->name, (unsigned long long)r->n,
           r->kind->calls != 0 ? disk_fail_text() : "allocation", when, what);
    r->failed = true;
}

static void arm(const struct run *r)
{
    if (r->kind->calls == 0)
        disk_fail_memory(r->n, r->kind->persists, r->kind->others);
    else
        disk_fail(r->kind->calls, r->n, r->kind->error, r->kind->persists, r->kind->partial);
}

/* The fault is over; remember whether it struck. */
static void disarm(struct run *r)
{
    if (r->kind->calls == 0) {
        r->hit |= disk_fail_memory_hits() > 0;
        disk_fail_memory(0, false, false);
    } else {
        disk_fail(0, 0, 0, false, false); /* before it is asked whether it struck: the flusher goes on meanwhile */
        r->hit |= disk_fail_hits() > 0;
    }
}

/* Was this a failure as it should be? */
static bool told(struct run *r, const char *when, const struct err *err)
{
    char text[700];
    bool good = (err->code == r->kind->code || err->code == r->kind->or_code) && err->text[0] != '\0';
    if (!good) {
        snprintf(text, sizeof text, "told as %s: %s", status_name(err->code), err->text);
        fail(r, when, text);
    }
    return good;
}

/* In which of the two states is it? -1: told. -2: it cannot be read, which an I/O error may bring. */
static int state_now(struct run *r, uint32_t i, const char *when)
{
    struct err err = ERR_INIT;
    struct buf dump = {0};
    quartet_status rc = work_dump(&r->w, &dump, &err);
    int at = -2;
    if (rc == QUARTET_OK) {
        at = script_state(r->script, &dump, i, i + 1);
        if (at < 0) {
            fail(r, when, "a state that is neither the one before the step nor the one after it");
            script_explain(r->script, &dump, i);
        }
    } else if (rc != QUARTET_IO) {
        fail(r, when, err.text);
        at = -1;
    }
    buf_deinit(&dump);
    return at;
}

static bool reopen(struct run *r, const char *when)
{
    struct err err = ERR_INIT;
    (void)work_close(&r->w, &err); /* what is broken may say so once more */
    err = ERR_INIT;
    if (work_open(&r->w, &err) == QUARTET_OK)
        return true;
    fail(r, when, err.text);
    return false;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Step i failed. Afterwards it is done, or the run has failed. */
static void recover(struct run *r, uint32_t i, const struct err *why)
{
    struct err err = ERR_INIT;
    char when[80];
    snprintf(when, sizeof when, "step %u", i);
    disarm(r);
    if (!r->hit) {
        fail(r, when, why->text);
        return;
    }
    if (!told(r, when, why))
        return;
    if (conn_in_transaction(r->w.c) && work_sql(&r->w, "ROLLBACK", NULL, &err) != QUARTET_OK) {
        fail(r, when, err.text);
        return;
    }
    int at = state_now(r, i, when);
    if (at == -1)
        return;
    /* Equal states: nothing tells whether it was done; doing it again is no harm only if it was not. */
    bool still = script_state(r->script, &r->script->state[i], i + 1, i + 1) > 0;
    if (at == (int)i + 1 && !still && r->kind->code == QUARTET_NOMEM) {
        fail(r, when, "told that memory ran out, but it was done");
        return;
    }
    quartet_status rc = at == (int)i + 1 ? QUARTET_OK : script_step(r->script, i, &r->w, &err);
    for (double end = now() + 10; (rc == QUARTET_NOMEM || rc == QUARTET_FULL) && now() < end;) { /* the flusher tries again by itself */
        poll(NULL, 0, 5);
        rc = script_step(r->script, i, &r->w, &err);
    }
    if (rc == QUARTET_OK && at != -2)
        return;
    if (rc != QUARTET_IO && rc != QUARTET_FULL && at != -2) {
        fail(r, when, err.text);
        return;
    }
    if (!reopen(r, when) || (at = state_now(r, i, when)) < 0) {
        if (at == -2)
            fail(r, when, "it cannot be read after it was opened again");
        return;
    }
    if (at == (int)i && (rc = script_step(r->script, i, &r->w, &err)) != QUARTET_OK && !still)
        fail(r, when, err.text);
}

static void check_end(struct run *r, const char *dir, uint32_t least, uint32_t most, const char *when)
{
    struct work w = {.env = env_posix(), .options = r->db};
    struct err err = ERR_INIT;
    struct buf dump = {0};
    char why[600];
    if (snprintf(w.path, sizeof w.path, "%s/db", dir) >= (int)sizeof w.path)
        exit(2);
    if (work_open(&w, &err) != QUARTET_OK) {
        fail(r, when, err.text);
        return;
    }
    if (work_dump(&w, &dump, &err) != QUARTET_OK) {
        fail(r, when, err.text);
    } else if (script_state(r->script, &dump, least, most) < 0) {
        snprintf(why, sizeof why, "the state before step %d, not one of %u to %u", script_state(r->script, &dump, 0, r->script->count), least, most);
        fail(r, when, why);
        script_explain(r->script, &dump, least);
    } else if (!work_consistent(&w, why, sizeof why)) {
        fail(r, when, why);
    }
    buf_deinit(&dump);
    if (work_close(&w, &err) != QUARTET_OK)
        fail(r, when, err.text);
}

/* Power goes after the failure. */
static void cut(struct run *r)
{
    char image[600];
    struct prng p;
    prng_seed(&p, r->seed ^ r->n);
    struct disk_cut c = {.moment = (size_t)prng_below(&p, disk_moments() + 1), .seed = prng_u64(&p)};
    if (prng_chance(&p, 0.3))
        c.moment = disk_moments();
    snprintf(image, sizeof image, "%s/image", r->dir);
    disk_build(&c, image);
    check_end(r, image, (uint32_t)c.marks[MARK_ACKNOWLEDGED], (uint32_t)c.marks[MARK_STARTED], "after a power cut");
    disk_remove_tree(image);
}

static void steps(struct run *r)
{
    struct err err = ERR_INIT;
    arm(r);
    if (work_open(&r->w, &err) != QUARTET_OK) {
        disarm(r);
        if (!r->hit || !told(r, "open", &err)) {
            if (!r->failed)
                fail(r, "open", err.text);
            return;
        }
        err = ERR_INIT;
        if (work_open(&r->w, &err) != QUARTET_OK) {
            fail(r, "the second open", err.text);
            return;
        }
    }
    for (uint32_t i = 0; i < r->script->count && !r->failed; i++) {
        disk_mark(MARK_STARTED, i + 1);
        err = ERR_INIT;
        if (script_step(r->script, i, &r->w, &err) != QUARTET_OK)
            recover(r, i, &err);
        if (r->failed)
            break;
        disk_mark(MARK_ACKNOWLEDGED, i + 1);
        db_tick(r->w.d);
    }
    struct err end = ERR_INIT;
    quartet_status rc = work_close(&r->w, &end);
    disarm(r);
    if (rc != QUARTET_OK && !r->failed && !r->hit)
        fail(r, "close", end.text);
    else if (rc != QUARTET_OK && !r->failed)
        (void)told(r, "close", &end);
}

/* ---- the same through the public interface ---- */

static int first_row(void *arg, int columns, char **values, char **names)
{
    (void)arg;
    (void)columns;
    (void)values;
    (void)names;
    return 0;
}

/* The commit failed half-way: only opening again tells whether it was done. */
static void api_again(struct run *r, quartet_db **q, uint32_t i, const char *when)
{
    struct err err = ERR_INIT;
    (void)quartet_close(*q); /* broken, and said so */
    *q = NULL;
    if (work_open(&r->w, &err) != QUARTET_OK) {
        fail(r, when, err.text);
        return;
    }
    int at = state_now(r, i, when);
    if (at == -2)
        fail(r, when, "it cannot be read after it was opened again");
    if (work_close(&r->w, &err) != QUARTET_OK)
        fail(r, when, err.text);
    if (quartet_open(r->w.path, q) != QUARTET_OK || (at == (int)i && quartet_exec(*q, r->script->steps[i], first_row, NULL, NULL) != QUARTET_OK &&
                                                     script_state(r->script, &r->script->state[i], i + 1, i + 1) < 0))
        fail(r, when, *q != NULL ? quartet_errmsg(*q) : "no handle");
}

static void api_step(struct run *r, quartet_db **handle, uint32_t i)
{
    quartet_db *q = *handle;
    char when[80];
    snprintf(when, sizeof when, "step %u by the interface", i);
    int rc = quartet_exec(q, r->script->steps[i], first_row, NULL, NULL);
    if (rc == QUARTET_OK)
        return;
    disarm(r);
    if (rc != QUARTET_NOMEM || quartet_errcode(q) != rc || quartet_errmsg(q)[0] == '\0' || !r->hit) {
        char text[600];
        snprintf(text, sizeof text, "told as %d, %d: %s", rc, quartet_errcode(q), quartet_errmsg(q));
        fail(r, when, text);
        return;
    }
    if (quartet_in_transaction(q) && quartet_exec(q, "ROLLBACK", NULL, NULL, NULL) != QUARTET_OK) {
        fail(r, when, quartet_errmsg(q));
        return;
    }
    rc = quartet_exec(q, r->script->steps[i], first_row, NULL, NULL);
    if (rc == QUARTET_IO && strstr(quartet_errmsg(q), "open the database again") != NULL)
        api_again(r, handle, i, when);
    else if (rc != QUARTET_OK)
        fail(r, when, quartet_errmsg(q));
}

static void api_steps(struct run *r)
{
    quartet_db *q = NULL;
    arm(r);
    int rc = quartet_open(r->w.path, &q);
    if (rc != QUARTET_OK) {
        disarm(r);
        if (rc != QUARTET_NOMEM || !r->hit)
            fail(r, "open by the interface", q != NULL ? quartet_errmsg(q) : "no handle");
        (void)quartet_close(q); /* as documented: in any case */
        q = NULL;
        if (quartet_open(r->w.path, &q) != QUARTET_OK)
            fail(r, "the second open by the interface", q != NULL ? quartet_errmsg(q) : "no handle");
    }
    for (uint32_t i = 0; i < r->script->count && !r->failed; i++)
        api_step(r, &q, i);
    rc = quartet_close(q);
    disarm(r);
    if (rc != QUARTET_OK && (rc != QUARTET_NOMEM || !r->hit) && !r->failed)
        fail(r, "close by the interface", "an unexpected code");
}

/* False: the call was never reached. */
static bool once(struct run *r, bool api)
{
    snprintf(r->live, sizeof r->live, "%s/live", r->dir);
    if (mkdir(r->live, 0700) != 0)
        exit(2);
    r->w = (struct work){.env = env_posix(), .options = r->db};
    if (snprintf(r->w.path, sizeof r->w.path, "%s/db", r->live) >= (int)sizeof r->w.path)
        exit(2);
    r->hit = false;
    disk_watch(r->live);
    if (api)
        api_steps(r);
    else
        steps(r);
    disk_stop();
    if (!r->failed && !api && (r->kind->calls & (DISK_SYNC | DISK_WRITE | DISK_NAME)) != 0)
        cut(r);
    if (!r->failed)
        check_end(r, r->live, r->script->count, r->script->count, "at the end");
    disk_forget();
    disk_remove_tree(r->live);
    return r->hit;
}

struct options {
    uint64_t seed, stride, from, to, steps;
    const char *kind;
    bool api;
};

static uint64_t sweep(const struct options *o, const struct fault_kind *k, const struct script *s, bool *failed)
{
    struct run r = {.kind = k, .script = s, .seed = o->seed, .db = {.buffer_bytes = o->seed % 2 == 0 ? 4096 : 0, .slice_pages = o->seed % 2 == 0 ? 4 : 0}};
    struct prng p;
    uint64_t tried = 0, misses = 0;
    prng_seed(&p, o->seed ^ (uint64_t)(k - fault_kinds));
    work_dir_begin(r.dir, sizeof r.dir, "nth");
    /* Threads make the number of calls vary: the end is where a few in a row were not reached. */
    uint32_t failures = 0;
    for (r.n = o->from; r.n <= o->to && misses < 3 && failures < 20; tried++) {
        r.failed = false;
        misses = once(&r, o->api) ? 0 : misses + 1;
        failures += r.failed;
        r.n += 1 + (o->stride > 1 ? prng_below(&p, 2 * o->stride - 1) : 0);
    }
    work_dir_end(r.dir);
    *failed |= failures > 0;
    return tried;
}

int main(int argc, char **argv)
{
    const char *seed = getenv("QUARTET_SEED");
    struct options o = {.seed = seed != NULL ? strtoull(seed, NULL, 10) : 1, .stride = 1, .from = 1, .to = UINT64_MAX, .steps = 16};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        uint64_t *to = strcmp(argv[i], "--seed") == 0     ? &o.seed
                       : strcmp(argv[i], "--stride") == 0 ? &o.stride
                       : strcmp(argv[i], "--from") == 0   ? &o.from
                       : strcmp(argv[i], "--to") == 0     ? &o.to
                       : strcmp(argv[i], "--steps") == 0  ? &o.steps
                                                          : NULL;
        if (strcmp(argv[i], "--api") == 0) {
            o.api = true;
            continue;
        }
        if (to != NULL)
            *to = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--kind") == 0)
            o.kind = value;
        else
            return fprintf(stderr, "usage: fault-nth [--seed N] [--kind NAME] [--stride N] [--from N] [--to N] [--steps N] [--api]\n"), 2;
        i++;
    }
    env_posix_set_log(4, false); /* what the engine tells of its failures is not the test's output */
    static struct script script;
    script_make(&script, o.seed, (uint32_t)o.steps, true);
    bool failed = false;
    for (size_t k = 0; k < FAULT_KINDS && !failed; k++) {
        if (o.kind != NULL ? strcmp(o.kind, fault_kinds[k].name) != 0 : o.api && fault_kinds[k].calls != 0)
            continue;
        uint64_t tried = sweep(&o, &fault_kinds[k], &script, &failed);
        printf("nth: %s: %llu failures tried\n", fault_kinds[k].name, (unsigned long long)tried);
        fflush(stdout);
    }
    script_free(&script);
    return failed;
}

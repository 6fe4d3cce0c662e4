/* kv_spill.c - own writes of a large transaction that went to disk.
 * Why levels: every read looks into every run, and a transaction of a gigabyte makes a hundred. So eight of one size become one of the next.
 * Why spans: what was rolled back stays in the runs, out of sight; a merge leaves it out.
 * Invariants: of two runs the newer one has no version below the older one's newest; so the first run that knows a key knows its newest version in sight. */
#include "kv_spill.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"

#define MERGE_RUNS 8u
#define GONE_MAX 32u /* spans; past half of it all runs are merged, which forgets them */

struct spill_run {
    atomic_uint refs; /* sets; the thread that makes one counts, too */
    uint32_t level;
    kv_run *run;
};
struct kv_spill {
    uint32_t refs, count, gone_count;
    apply_no newest; /* version in sight */
    struct kv_span gone[GONE_MAX];
    struct spill_run *runs[]; /* newest first */
};

static void run_unref(struct spill_run *r)
{
    if (r == NULL || atomic_fetch_sub(&r->refs, 1) > 1)
        return;
    kv_run_free(r->run);
    mem_free(r);
}

void kv_spill_hold(kv_spill *set)
{
    set->refs++;
}

void kv_spill_drop(kv_spill *set)
{
    if (set == NULL || --set->refs > 0)
        return;
    for (uint32_t i = 0; i < set->count; i++)
        run_unref(set->runs[i]);
    mem_free(set);
}

uint32_t kv_spill_runs(const kv_spill *set)
{
    return set != NULL ? set->count : 0;
}

static struct kv_sight sight_of(const kv_spill *set, apply_no through)
{
    return (struct kv_sight){.through = through, .gone = set->gone, .gone_count = set->gone_count};
}

void kv_spill_walk(const kv_spill *set, uint32_t run, apply_no through, struct kv_walk *w)
{
    struct kv_sight sight = sight_of(set, through);
    kv_walk_set_run(w, set->runs[run]->run, &sight);
}

void kv_spill_ahead(const kv_spill *set, const struct kv_run_probe *probe)
{
    for (uint32_t i = 0; i < set->count; i++)
        kv_run_ahead(set->runs[i]->run, probe);
}

quartet_status kv_spill_get(const kv_spill *set, struct kv_run_page *page, const struct kv_run_probe *probe, apply_no through, struct slice *record,
                            apply_no *version, bool *found, struct err *err)
{
    struct kv_sight sight = sight_of(set, through);
    quartet_status rc = QUARTET_OK;
    *found = false;
    for (uint32_t i = 0; i < set->count && rc == QUARTET_OK && !*found; i++)
        rc = kv_run_get(set->runs[i]->run, page, probe, &sight, record, version, found, err);
    return rc;
}

/* One run of all that the walks show; they are used up. */
static quartet_status run_make(const struct kv_run_place *place, struct kv_walk *walks, uint32_t count, uint32_t level, apply_no *newest,
                               struct spill_run **out, struct err *err)
{
    kv_run_writer *w = NULL;
    struct kv_blend b = {0};
    struct spill_run *r = mem_zalloc(1, sizeof *r);
    quartet_status rc = r != NULL ? kv_run_writer_new(place, &w, err) : err_nomem(err);
    if (rc == QUARTET_OK)
        rc = kv_blend_start(&b, walks, count, true, 0, slice_of("", 0), err);
    while (rc == QUARTET_OK && b.at != NULL) {
        *newest = b.at->version > *newest ? b.at->version : *newest;
        rc = kv_run_put(w, b.at->tree, b.at->key, b.at->version, b.at->record, err);
        if (rc == QUARTET_OK)
            rc = kv_blend_next(&b, err);
    }
    kv_blend_end(&b);
    if (rc == QUARTET_OK) {
        rc = kv_run_finish(w, 0, &r->run, err);
        w = NULL;
    }
    kv_run_writer_free(w);
    if (rc != QUARTET_OK) {
        mem_free(r);
        return rc;
    }
    atomic_init(&r->refs, 1);
    r->level = level;
    *out = r;
    return QUARTET_OK;
}

/* The newest `n` runs of a set that nobody else holds become one. */
static quartet_status merge_newest(kv_spill *set, uint32_t n, const struct kv_run_place *place, struct err *err)
{
    struct spill_run *merged = NULL;
    struct kv_walk *walks = mem_zalloc(n, sizeof *walks);
    apply_no newest = 0;
    if (walks == NULL)
        return err_nomem(err);
    struct kv_sight sight = sight_of(set, UINT64_MAX);
    sight.every = true;
    for (uint32_t i = 0; i < n; i++)
        kv_walk_set_run(&walks[i], set->runs[i]->run, &sight);
    quartet_status rc = run_make(place, walks, n, set->runs[n - 1]->level + 1, &newest, &merged, err);
    for (uint32_t i = 0; i < n; i++)
        kv_walk_deinit(&walks[i]);
    mem_free(walks);
    if (rc != QUARTET_OK)
        return rc;
    for (uint32_t i = 0; i < n; i++)
        run_unref(set->runs[i]);
    set->runs[0] = merged;
    memmove(set->runs + 1, set->runs + n, (set->count - n) * sizeof set->runs[0]);
    set->count -= n - 1;
    if (set->count == 1)
        set->gone_count = 0;
    return QUARTET_OK;
}

/* How many of the newest runs are of one level. */
static uint32_t alike(const kv_spill *set)
{
    uint32_t n = 1;
    while (n < set->count && set->runs[n]->level == set->runs[0]->level)
        n++;
    return n;
}

struct pour { /* own writes on their way into a run */
    kv_run_writer *w;
    apply_no newest;
};

static quartet_status pour_each(void *arg, tree_id tree, struct slice key, apply_no version, struct slice record, struct err *err)
{
    struct pour *p = arg;
    p->newest = version > p->newest ? version : p->newest;
    return kv_run_put(p->w, tree, key, version, record, err);
}

static quartet_status run_of_own(const struct kv_run_place *place, const kv_own *own, apply_no *newest, struct spill_run **out, struct err *err)
{
    struct pour p = {.newest = *newest};
    struct spill_run *r = mem_zalloc(1, sizeof *r);
    quartet_status rc = r != NULL ? kv_run_writer_new(place, &p.w, err) : err_nomem(err);
    if (rc == QUARTET_OK)
        rc = kv_own_each(own, pour_each, &p, err);
    if (rc == QUARTET_OK) {
        rc = kv_run_finish(p.w, 0, &r->run, err);
        p.w = NULL;
    }
    kv_run_writer_free(p.w);
    if (rc != QUARTET_OK) {
        mem_free(r);
        return rc;
    }
    atomic_init(&r->refs, 1);
    *newest = p.newest;
    *out = r;
    return QUARTET_OK;
}

/* The set that takes the place of `set` (NULL: none) once all of `own` is a run; both are only read. */
static quartet_status set_make(kv_spill *set, const struct kv_run_place *place, const kv_own *own, kv_spill **out, struct err *err)
{
    uint32_t had = kv_spill_runs(set);
    kv_spill *fresh = mem_zalloc(1, sizeof *fresh + (had + 1u) * sizeof fresh->runs[0]);
    if (fresh == NULL)
        return err_nomem(err);
    if (set != NULL)
        memcpy(fresh, set, sizeof *fresh);
    fresh->refs = 1;
    fresh->count = 0;
    quartet_status rc = run_of_own(place, own, &fresh->newest, &fresh->runs[0], err);
    if (rc != QUARTET_OK) {
        mem_free(fresh);
        return rc;
    }
    fresh->count = 1 + had;
    for (uint32_t i = 0; i < had; i++) {
        fresh->runs[1 + i] = set->runs[i];
        atomic_fetch_add(&fresh->runs[1 + i]->refs, 1);
    }
    if (fresh->gone_count > GONE_MAX / 2)
        rc = merge_newest(fresh, fresh->count, place, err);
    while (rc == QUARTET_OK && alike(fresh) >= MERGE_RUNS)
        rc = merge_newest(fresh, alike(fresh), place, err);
    if (rc != QUARTET_OK) {
        kv_spill_drop(fresh);
        return rc;
    }
    *out = fresh;
    return QUARTET_OK;
}

quartet_status kv_spill_add(kv_spill **set, const struct kv_run_place *place, kv_own *own, struct err *err)
{
    kv_spill *fresh = NULL;
    quartet_status rc = set_make(*set, place, own, &fresh, err);
    if (rc != QUARTET_OK)
        return rc;
    kv_spill_drop(*set);
    *set = fresh;
    return QUARTET_OK;
}

struct kv_spilling {
    pthread_t thread;
    struct kv_run_place place;
    kv_spill *set, *fresh;
    kv_own *own;
    quartet_status rc;
    struct err err;
};

static void *spilling_run(void *arg)
{
    struct kv_spilling *job = arg;
    job->rc = set_make(job->set, &job->place, job->own, &job->fresh, &job->err);
    return NULL;
}

quartet_status kv_spill_begin(kv_spill *set, const struct kv_run_place *place, kv_own *own, kv_spilling **out, struct err *err)
{
    struct kv_spilling *job = mem_zalloc(1, sizeof *job);
    if (job == NULL)
        return err_nomem(err);
    *job = (struct kv_spilling){.place = *place, .set = set, .own = own, .err = ERR_INIT};
    if (pthread_create(&job->thread, NULL, spilling_run, job) != 0) {
        mem_free(job);
        return err_set(err, QUARTET_NOMEM, "a thread that writes a large transaction to disk could not be started");
    }
    *out = job;
    return QUARTET_OK;
}

quartet_status kv_spill_end(kv_spilling *job, kv_spill **set, struct err *err)
{
    pthread_join(job->thread, NULL);
    quartet_status rc = job->rc;
    if (rc == QUARTET_OK) {
        kv_spill_drop(*set);
        *set = job->fresh;
    } else {
        *err = job->err;
    }
    mem_free(job);
    return rc;
}

/* A scan that holds the set sees the new span, too, and does not mind: it reads at or below `keep`. */
void kv_spill_rollback(kv_spill *set, apply_no keep)
{
    if (set == NULL || set->newest <= keep)
        return;
    struct kv_span span = {.after = keep, .last = set->newest};
    while (set->gone_count > 0 && set->gone[set->gone_count - 1].last >= keep) { /* what was gone beyond it stays gone */
        const struct kv_span *had = &set->gone[--set->gone_count];
        span.after = had->after < span.after ? had->after : span.after;
        span.last = had->last > span.last ? had->last : span.last;
    }
    QASSERT(set->gone_count < GONE_MAX); /* each needs a run that came since the one before */
    set->gone[set->gone_count++] = span;
    set->newest = keep;
}

quartet_status kv_overlay_start(struct kv_overlay_walk *w, const struct kv_overlay *over, struct err *err)
{
    uint32_t runs = kv_spill_runs(over->spill);
    *w = (struct kv_overlay_walk){0};
    w->walks = runs == 0 ? &w->one : mem_zalloc(runs + 1u, sizeof *w->walks);
    if (w->walks == NULL)
        return err_nomem(err);
    if (over->own != NULL)
        kv_walk_set_own(&w->walks[w->count++], over->own, over->through, false);
    for (uint32_t i = 0; i < runs; i++)
        kv_spill_walk(over->spill, i, over->through, &w->walks[w->count++]);
    return kv_blend_start(&w->blend, w->walks, w->count, false, 0, slice_of("", 0), err);
}

void kv_overlay_end(struct kv_overlay_walk *w)
{
    kv_blend_end(&w->blend);
    for (uint32_t i = 0; i < w->count; i++)
        kv_walk_deinit(&w->walks[i]);
    if (w->walks != &w->one)
        mem_free(w->walks);
    *w = (struct kv_overlay_walk){0};
}

void kv_overlay_hold(const struct kv_overlay *over)
{
    if (over->own != NULL)
        kv_own_hold(over->own);
    if (over->spill != NULL)
        kv_spill_hold(over->spill);
}

void kv_overlay_drop(struct kv_overlay *over)
{
    kv_own_free(over->own);
    kv_spill_drop(over->spill);
    *over = (struct kv_overlay){0};
}

/* kv_tidy.c - when the base is swept (kv_sweep.c), and when it is written anew without anybody asking.
 * Why by the thread that flushes: it is the one writer of the base. A step is short, so that a flush does not wait for it.
 * What makes a pass due is remembered, so that a base in which nothing is to go is not read again and again: whether rows that are not live stay, and the least stamp of the
 *   pasts that do. After opening neither is known, so there is one pass.
 * Why a third: an LMDB file never shrinks by itself; a file of which less is of no use will use that again.
 * Invariants: nothing is swept while the base is no whole state, or while VACUUM copies it. */
#include <string.h>

#include "base/log.h"
#include "base/plant.h"
#include "kv_internal.h"

#define STEP_BLOCKS 1024u
#define STEP_WAIT_MS 100u  /* between steps of a pass */
#define LOOK_WAIT_MS 2000u /* between looks whether one is due */
#define FAILED_WAIT_MS 60000u
#define VACUUM_AGAIN_MS 60000u /* after one that failed or was given up */

static uint64_t after_ms(const struct kv *s, uint64_t ms)
{
    return s->env->ops->mono_ns(s->env) + ms * UINT64_C(1000000);
}

void kv_tidy_met(struct kv *s, const struct kv_merged *met)
{
    struct kv_tidying *t = &s->tidy;
    t->pasts += met->pasts_gone;
    t->dead |= met->dead;
    t->oldest = met->oldest_past < t->oldest ? met->oldest_past : t->oldest;
    t->pass.dead |= met->dead;
    t->pass.oldest_past = met->oldest_past < t->pass.oldest_past ? met->oldest_past : t->pass.oldest_past;
    t->vacuum_due_ns = after_ms(s, KV_TIDY_QUIET_MS);
}

static bool rows_may_go(const struct kv *s, const struct kv_sweep *how)
{
    return s->base_floor < how->rows_below && !plant_is(PLANT_PURGE_NEVER);
}

static bool is_due(const struct kv *s, const struct kv_sweep *how)
{
    const struct kv_tidying *t = &s->tidy;
    return t->running || t->all || t->oldest < how->due_from || (t->dead && rows_may_go(s, how));
}

/* ---- sweeping ---- */

struct step {
    struct kv *s;
    uint64_t past_from;
};

static quartet_status store_swept(void *arg, const struct kv_swept *gone, struct buf *stored, struct err *err)
{
    const struct step *step = arg;
    const struct kv *s = step->s;
    if (s->host.swept == NULL || stored->len == 0)
        return QUARTET_OK;
    return s->host.swept(s->host.ctx, gone->rows > 0, step->past_from, stored, 1, err);
}

static uint64_t row_newest(void *arg, tree_id tree, struct slice record)
{
    const struct step *step = arg;
    const struct kv_host *host = &step->s->host;
    return host->row_newest != NULL ? host->row_newest(host->ctx, tree, record) : 0;
}

static bool keeps_dead(void *arg, tree_id tree)
{
    const struct step *step = arg;
    const struct kv_host *host = &step->s->host;
    return host->keeps_dead != NULL && host->keeps_dead(host->ctx, tree);
}

static void pass_begin(struct kv_tidying *t)
{
    t->running = true;
    t->all_begun = t->all;
    t->at.tree = 0;
    t->pass = (struct kv_swept){.oldest_past = UINT64_MAX};
}

static void pass_end(struct kv_tidying *t)
{
    t->running = false;
    t->passes++;
    t->oldest = t->pass.oldest_past;
    t->dead = t->pass.dead || (t->pass.held && t->pass.pasts > 0); /* some may have lost what held them */
    if (t->all_begun)
        t->all = t->all_begun = false;
}

static void add_step(struct kv_tidying *t, const struct kv_swept *x)
{
    t->rows += x->rows;
    t->pasts += x->pasts;
    t->pass.pasts += x->pasts;
    t->pass.dead |= x->dead;
    t->pass.held |= x->held;
    t->pass.oldest_past = x->oldest_past < t->pass.oldest_past ? x->oldest_past : t->pass.oldest_past;
}

/* Lock held on entry and exit. */
static quartet_status sweep_step(struct kv *s, const struct kv_sweep *how, struct err *err)
{
    struct kv_tidying *t = &s->tidy;
    struct step step = {s, how->past_from};
    struct kv_sweep_how sweep = {.past_from = how->past_from, .rows = rows_may_go(s, how), .blocks = STEP_BLOCKS, .slice_pages = s->slice_pages, .checkpoint = store_swept, .row_newest = row_newest, .keeps_dead = keeps_dead, .arg = &step};
    struct kv_swept x;
    if (!t->running || (t->all && !t->all_begun))
        pass_begin(t);
    s->flushing = s->merging = true;
    struct kv_base *base = s->base;
    pthread_mutex_unlock(&s->lock);
    quartet_status rc = kv_base_sweep(base, &sweep, &t->at, &x, err);
    pthread_mutex_lock(&s->lock);
    s->flushing = s->merging = false;
    s->base_dead = base->ops->dead(base);
    if (rc == QUARTET_OK) {
        add_step(t, &x);
        t->failed = ERR_INIT;
        if (x.done)
            pass_end(t);
    } else {
        log_line(s->env, LOG_WARN, "store", "sweep: %s", err->text);
        t->running = t->all = t->all_begun = false;
        t->failed = *err;
    }
    pthread_cond_broadcast(&s->done);
    return rc;
}

static bool try_sweep(struct kv *s)
{
    struct kv_tidying *t = &s->tidy;
    struct kv_sweep how = {0};
    struct err err = ERR_INIT;
    bool may = s->host.sweep != NULL && s->host.sweep(s->host.ctx, &how);
    if (!may) { /* who waits for a sweep gets none */
        t->all = t->all_begun = t->running = false;
        pthread_cond_broadcast(&s->done);
        return false;
    }
    return is_due(s, &how) && sweep_step(s, &how, &err) == QUARTET_OK && t->running;
}

/* ---- writing the base anew ---- */

static bool vacuum_pays(struct kv *s)
{
    uint64_t bytes = s->base->ops->bytes(s->base), dead = s->base->ops->dead(s->base);
    return !s->base->trusted && dead >= KV_TIDY_DEAD_BYTES && dead > bytes / KV_TIDY_DEAD_PART && s->base->ops->room(s->base) / 2 > bytes - dead;
}

static bool work_waits(void *arg)
{
    struct kv *s = arg;
    pthread_mutex_lock(&s->lock);
    bool stop = s->stop || s->waiting > 0 || s->view->count > 1;
    pthread_mutex_unlock(&s->lock);
    return stop;
}

/* Lock held on entry and exit. */
static void try_vacuum(struct kv *s)
{
    uint64_t before, after;
    struct err err = ERR_INIT;
    if (s->tidy.running || s->snap_count > 0 || s->env->ops->mono_ns(s->env) < s->tidy.vacuum_due_ns || !vacuum_pays(s))
        return;
    pthread_mutex_unlock(&s->lock);
    quartet_status rc = kv_vacuum_until(s, work_waits, &before, &after, &err);
    pthread_mutex_lock(&s->lock);
    s->tidy.vacuum_due_ns = after_ms(s, VACUUM_AGAIN_MS);
    if (rc != QUARTET_OK && rc != QUARTET_INTERRUPTED && rc != QUARTET_BUSY)
        log_line(s->env, LOG_WARN, "store", "the base could not be written anew to give back what is free: %s", err.text);
}

void kv_tidy_close(kv *s)
{
    uint64_t before, after;
    struct err err = ERR_INIT;
    pthread_mutex_lock(&s->lock);
    uint64_t live = s->base->ops->bytes(s->base) - s->base->ops->dead(s->base);
    bool pays = !s->broken && live <= KV_TIDY_CLOSE_BYTES && vacuum_pays(s);
    pthread_mutex_unlock(&s->lock);
    if (pays && kv_vacuum(s, &before, &after, &err) != QUARTET_OK)
        log_line(s->env, LOG_WARN, "store", "the base could not be written anew to give back what is free: %s", err.text);
}

/* ---- when ---- */

uint32_t kv_tidy_wait_ms(const struct kv *s)
{
    uint64_t now = s->env->ops->mono_ns(s->env);
    if (s->host.sweep == NULL)
        return 0;
    return now >= s->tidy.due_ns ? 1 : (uint32_t)((s->tidy.due_ns - now) / 1000000u) + 1;
}

bool kv_tidy(struct kv *s)
{
    bool torn = s->journal.id != 0; /* the base is no whole state before a flush makes it one */
    if ((s->host.sweep == NULL || torn) && s->tidy.all) {
        s->tidy.all = false;
        pthread_cond_broadcast(&s->done);
    }
    if (s->host.sweep == NULL || torn || s->broken || s->stop || s->held || s->flushing || s->merging)
        return false;
    if (!s->tidy.all && s->env->ops->mono_ns(s->env) < s->tidy.due_ns)
        return false;
    bool goes_on = try_sweep(s);
    if (!goes_on && s->has_thread && !s->stop)
        try_vacuum(s);
    s->tidy.due_ns = after_ms(s, goes_on ? STEP_WAIT_MS : s->tidy.failed.code != QUARTET_OK ? FAILED_WAIT_MS : LOOK_WAIT_MS);
    return goes_on && s->tidy.all;
}

void kv_tidy_tick(kv *s)
{
    if (s->has_thread)
        return;
    pthread_mutex_lock(&s->lock);
    while (kv_tidy(s))
        ;
    pthread_mutex_unlock(&s->lock);
}

quartet_status kv_sweep_all(kv *s, struct err *err)
{
    pthread_mutex_lock(&s->lock);
    s->tidy.all = true;
    s->tidy.all_begun = false;
    s->tidy.failed = ERR_INIT;
    while (!s->has_thread && kv_tidy(s))
        ;
    while (s->has_thread && s->tidy.all && s->health.code == QUARTET_OK && s->host.sweep != NULL) {
        pthread_cond_broadcast(&s->wake);
        pthread_cond_wait(&s->done, &s->lock);
    }
    s->tidy.all = false;
    if (s->health.code != QUARTET_OK)
        s->tidy.failed = s->health;
    quartet_status rc = s->tidy.failed.code;
    if (rc != QUARTET_OK)
        *err = s->tidy.failed;
    pthread_mutex_unlock(&s->lock);
    return rc;
}

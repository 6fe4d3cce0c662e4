/* api_pool.c - a pool of connections: a bounded number of them, kept open, each lent to one thread at a time.
 * What comes back is lent again first, so that what a quiet program does not need grows old and is not touched. A connection that lay for a while is asked whether it still stands before
 * it is lent: one to a URL moves to another node by itself then, so that whoever takes it waits for nothing but its own statement; one that cannot be mended is replaced.
 * Invariants: `open` counts those that are lent, idle or being opened, and is never above max. Nothing blocks under the lock. */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "api_internal.h"
#include "base/mem.h"

#define CHECK_IDLE_MS_DEFAULT 1000
#define WAIT_MS_DEFAULT 5000

struct idle {
    quartet_db *q;
    uint64_t since_ms;
};

struct quartet_pool {
    pthread_mutex_t lock;
    pthread_cond_t came; /* one came back, or a place is free */
    char *path;          /* owned */
    struct quartet_open_options options;
    uint32_t max, open, idle_count, waiting;
    int wait_ms, check_idle_ms;
    bool closing;
    struct idle idle[QUARTET_POOL_MAX];
};

static uint64_t now_ms(void)
{
    struct env *env = env_posix();
    return env->ops->mono_ns(env) / 1000000u;
}

static quartet_status init_lock(struct quartet_pool *p)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return QUARTET_NOMEM;
    bool ok = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 && pthread_cond_init(&p->came, &attr) == 0;
    pthread_condattr_destroy(&attr);
    if (ok && pthread_mutex_init(&p->lock, NULL) != 0) {
        pthread_cond_destroy(&p->came);
        ok = false;
    }
    return ok ? QUARTET_OK : QUARTET_NOMEM;
}

int quartet_pool_open(const char *path, const struct quartet_pool_config *config, quartet_pool **out)
{
    if (path == NULL || out == NULL || config == NULL || config->size != sizeof *config || config->max == 0 || config->max > QUARTET_POOL_MAX || config->wait_ms < 0 ||
        config->check_idle_ms < 0)
        return QUARTET_MISUSE;
    *out = NULL;
    struct quartet_pool *p = mem_zalloc(1, sizeof *p);
    if (p == NULL)
        return QUARTET_NOMEM;
    p->path = mem_strdup(path);
    p->max = config->max;
    p->wait_ms = config->wait_ms != 0 ? config->wait_ms : WAIT_MS_DEFAULT;
    p->check_idle_ms = config->check_idle_ms != 0 ? config->check_idle_ms : CHECK_IDLE_MS_DEFAULT;
    p->options = config->options != NULL ? *config->options : (struct quartet_open_options){.size = sizeof p->options};
    if (p->path == NULL || init_lock(p) != QUARTET_OK) {
        mem_free(p->path);
        mem_free(p);
        return QUARTET_NOMEM;
    }
    *out = p;
    return QUARTET_OK;
}

static void deadline_in(struct timespec *t, int ms)
{
    uint64_t ns = env_posix()->ops->mono_ns(env_posix()) + (uint64_t)ms * 1000000u;
    *t = (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
}

/* An idle one, or leave to open one more (*idle NULL). QUARTET_BUSY: neither within the time. */
static quartet_status get_place(struct quartet_pool *p, struct idle *idle)
{
    struct timespec until;
    int rc = 0;
    deadline_in(&until, p->wait_ms);
    *idle = (struct idle){0};
    pthread_mutex_lock(&p->lock);
    p->waiting++;
    while (rc == 0 && !p->closing && p->idle_count == 0 && p->open == p->max)
        rc = pthread_cond_timedwait(&p->came, &p->lock, &until);
    p->waiting--;
    quartet_status got = p->closing ? QUARTET_MISUSE : QUARTET_OK;
    if (got == QUARTET_OK && p->idle_count > 0)
        *idle = p->idle[--p->idle_count];
    else if (got == QUARTET_OK && p->open < p->max)
        p->open++;
    else if (got == QUARTET_OK)
        got = QUARTET_BUSY;
    pthread_mutex_unlock(&p->lock);
    return got;
}

static void free_place(struct quartet_pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->open--;
    pthread_cond_signal(&p->came);
    pthread_mutex_unlock(&p->lock);
}

/* Does it still stand? One that serves an embedded database does; one to a URL is asked over its link, and moves where nobody answers. */
static bool stands(quartet_db *q)
{
    struct err err = ERR_INIT;
    return api_check(q) == QUARTET_OK && (q->far == NULL || remote_ping(q->far, &err) == QUARTET_OK);
}

int quartet_pool_take(quartet_pool *p, quartet_db **out)
{
    struct idle idle;
    if (out == NULL)
        return QUARTET_MISUSE;
    *out = NULL;
    if (p == NULL)
        return QUARTET_MISUSE;
    quartet_status rc = get_place(p, &idle);
    if (rc != QUARTET_OK)
        return (int)rc;
    if (idle.q != NULL && (now_ms() - idle.since_ms < (uint64_t)p->check_idle_ms || stands(idle.q))) {
        *out = idle.q;
        return QUARTET_OK;
    }
    (void)quartet_close(idle.q); /* it stood no more; NULL: there was none */
    int opened = quartet_open_with(p->path, &p->options, out);
    if (opened != QUARTET_OK)
        free_place(p); /* *out tells why; whoever took it closes or gives it */
    return opened;
}

/* As it was opened, but for what was SET: no transaction, no statement. */
static bool is_reusable(quartet_db *q)
{
    if (api_check(q) != QUARTET_OK || q->first != NULL || (q->local == NULL && q->far == NULL))
        return false;
    return !quartet_in_transaction(q) || quartet_exec(q, "ROLLBACK", NULL, NULL, NULL) == QUARTET_OK;
}

void quartet_pool_give(quartet_pool *p, quartet_db *q)
{
    if (p == NULL || q == NULL)
        return;
    if (q->local == NULL && q->far == NULL) { /* of a take that failed: it has no place */
        (void)quartet_close(q);                /* there is nothing in it */
        return;
    }
    bool keep = is_reusable(q);
    pthread_mutex_lock(&p->lock);
    keep = keep && !p->closing;
    if (keep)
        p->idle[p->idle_count++] = (struct idle){.q = q, .since_ms = now_ms()};
    else
        p->open--;
    pthread_cond_signal(&p->came);
    pthread_mutex_unlock(&p->lock);
    if (!keep)
        (void)quartet_close(q); /* rolls back; what was acknowledged stands */
}

void quartet_pool_stats(quartet_pool *p, uint32_t *open, uint32_t *idle)
{
    pthread_mutex_lock(&p->lock);
    *open = p->open;
    *idle = p->idle_count;
    pthread_mutex_unlock(&p->lock);
}

int quartet_pool_close(quartet_pool *p)
{
    if (p == NULL)
        return QUARTET_OK;
    pthread_mutex_lock(&p->lock);
    if (p->open > p->idle_count || p->waiting > 0) {
        pthread_mutex_unlock(&p->lock);
        return QUARTET_BUSY;
    }
    p->closing = true;
    pthread_mutex_unlock(&p->lock);
    int rc = QUARTET_OK;
    for (uint32_t i = 0; i < p->idle_count; i++) {
        int closed = quartet_close(p->idle[i].q);
        rc = rc == QUARTET_OK ? closed : rc;
    }
    pthread_cond_destroy(&p->came);
    pthread_mutex_destroy(&p->lock);
    mem_free(p->path);
    mem_free(p);
    return rc;
}

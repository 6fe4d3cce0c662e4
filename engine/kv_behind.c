/* kv_behind.c - see kv_behind.h.
 * Why two buffers and no queue: the thread takes one in less time than the next needs to fill; where it does not (a slow disk), to wait is what keeps memory
 *   bounded.
 * Invariants: take() runs once at a time and never after it failed. */
#include "kv_behind.h"

#include <pthread.h>

#include "base/mem.h"

struct kv_behind {
    quartet_status (*take)(void *arg, const uint8_t *p, size_t n, struct err *err);
    void *arg;
    size_t at_once_bytes;
    struct buf fill;  /* the owner's */
    bool wanted;      /* a thread; false once none could be had */
    bool has_thread;
    pthread_t thread;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t change;
    struct buf busy;      /* whoever takes it owns it while `taking` */
    bool taking, stop;
    struct err failed;    /* code QUARTET_OK: well */
};

quartet_status kv_behind_new(bool threads, size_t at_once_bytes, quartet_status (*take)(void *arg, const uint8_t *p, size_t n, struct err *err), void *arg,
                             kv_behind **out, struct err *err)
{
    kv_behind *b = mem_zalloc(1, sizeof *b);
    if (b == NULL)
        return err_nomem(err);
    b->take = take;
    b->arg = arg;
    b->at_once_bytes = at_once_bytes;
    b->wanted = threads;
    b->failed = ERR_INIT;
    bool lock = pthread_mutex_init(&b->lock, NULL) == 0;
    if (!lock || pthread_cond_init(&b->change, NULL) != 0) {
        if (lock)
            pthread_mutex_destroy(&b->lock);
        mem_free(b);
        return err_nomem(err);
    }
    *out = b;
    return QUARTET_OK;
}

/* Take what is in `busy`. Lock held on entry and exit, not in between. */
static void take_busy(kv_behind *b)
{
    struct err err = ERR_INIT;
    pthread_mutex_unlock(&b->lock);
    quartet_status rc = b->take(b->arg, b->busy.data, b->busy.len, &err);
    pthread_mutex_lock(&b->lock);
    if (rc != QUARTET_OK)
        b->failed = err;
    buf_clear(&b->busy);
    b->taking = false;
    pthread_cond_broadcast(&b->change);
}

static void *worker(void *arg)
{
    kv_behind *b = arg;
    pthread_mutex_lock(&b->lock);
    while (!b->stop) {
        if (b->taking)
            take_busy(b);
        else
            pthread_cond_wait(&b->change, &b->lock);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

/* Wait for what is being taken. Lock held. */
static quartet_status settle(kv_behind *b, struct err *err)
{
    while (b->taking)
        pthread_cond_wait(&b->change, &b->lock);
    if (b->failed.code != QUARTET_OK)
        *err = b->failed;
    return b->failed.code;
}

static quartet_status pass_on(kv_behind *b, bool wait, struct err *err)
{
    if (b->wanted && !b->has_thread && !wait)
        b->has_thread = b->wanted = pthread_create(&b->thread, NULL, worker, b) == 0; /* none to be had: then it is done here */
    pthread_mutex_lock(&b->lock);
    quartet_status rc = settle(b, err);
    if (rc == QUARTET_OK && b->fill.len > 0) {
        struct buf swap = b->busy;
        b->busy = b->fill;
        b->fill = swap;
        b->taking = true;
        if (b->has_thread)
            pthread_cond_broadcast(&b->change);
        else
            take_busy(b);
        if (wait || !b->has_thread)
            rc = settle(b, err);
    }
    pthread_mutex_unlock(&b->lock);
    return rc;
}

struct buf *kv_behind_fill(kv_behind *b)
{
    return &b->fill;
}

quartet_status kv_behind_filled(kv_behind *b, struct err *err)
{
    quartet_status rc = buf_check(&b->fill, err);
    return rc != QUARTET_OK || b->fill.len < b->at_once_bytes ? rc : pass_on(b, false, err);
}

quartet_status kv_behind_drain(kv_behind *b, struct err *err)
{
    quartet_status rc = buf_check(&b->fill, err);
    return rc == QUARTET_OK ? pass_on(b, true, err) : rc;
}

void kv_behind_free(kv_behind *b)
{
    if (b == NULL)
        return;
    if (b->has_thread) {
        pthread_mutex_lock(&b->lock);
        b->stop = true;
        pthread_cond_broadcast(&b->change);
        pthread_mutex_unlock(&b->lock);
        pthread_join(b->thread, NULL);
    }
    buf_deinit(&b->fill);
    buf_deinit(&b->busy);
    pthread_cond_destroy(&b->change);
    pthread_mutex_destroy(&b->lock);
    mem_free(b);
}

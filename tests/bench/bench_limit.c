/* bench_limit.c - what this machine can do at all, without a database: the bare limits that durable commits are up against. No peer, nothing of Quartet.
 * limit_sync: appends of one commit's bytes, each with its fdatasync, in a file filled with zeros ahead, by one thread.
 * limit_group_N: N threads that do nothing else than commit together: the last one to join writes for all of them, syncs once and wakes the others with one
 *   call. No session, no delta, no lock; what is left is one sync, and one switch between threads for each that waits. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define COMMIT_BYTES 200u           /* about what a commit of one row takes in the log */
#define FILE_BYTES (16u << 20)      /* a segment of the log; used again from its beginning */
#define FILL_BYTES 4096u            /* the log fills with zeros in pieces of this size, too */
#define THREADS_MAX 32

struct group {
    int fd;
    uint64_t at;                    /* only the one that leads writes it */
    uint32_t threads;
    _Atomic uint32_t joined, round; /* of the round that is being filled; the round's number, what the others wait for */
    atomic_bool stop, failed;
    _Atomic uint64_t done;          /* commits */
};

static bool open_file(struct bench_ctx *c, char *path, size_t n, int *fd)
{
    static const char zeros[FILL_BYTES];
    bench_path(c, BENCH_QUARTET, path, n);
    *fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = *fd >= 0;
    for (uint64_t at = 0; ok && at < FILE_BYTES; at += FILL_BYTES)
        ok = pwrite(*fd, zeros, FILL_BYTES, (off_t)at) == (ssize_t)FILL_BYTES;
    ok = ok && fsync(*fd) == 0;
    return ok || bench_fail(path, strerror(errno));
}

/* One append of `commits` commits, on disk when it returns. */
static bool append(struct group *g, uint32_t commits)
{
    static const char bytes[COMMIT_BYTES * THREADS_MAX];
    size_t n = (size_t)commits * COMMIT_BYTES;
    if (g->at + n > FILE_BYTES)
        g->at = 0;
    bool ok = pwrite(g->fd, bytes, n, (off_t)g->at) == (ssize_t)n && fdatasync(g->fd) == 0;
    g->at += n;
    return ok;
}

static void *member(void *arg)
{
    struct group *g = arg;
    while (!atomic_load(&g->stop)) {
        uint32_t round = atomic_load(&g->round);
        if (atomic_fetch_add(&g->joined, 1) + 1 < g->threads) {
            while (atomic_load(&g->round) == round && !atomic_load(&g->stop))
                syscall(SYS_futex, &g->round, FUTEX_WAIT_PRIVATE, round, NULL, NULL, 0); /* whatever it returns, the loop looks again */
            continue;
        }
        if (!append(g, g->threads)) {
            atomic_store(&g->failed, true);
            atomic_store(&g->stop, true);
        }
        atomic_fetch_add(&g->done, g->threads);
        atomic_store(&g->joined, 0);
        atomic_fetch_add(&g->round, 1);
        syscall(SYS_futex, &g->round, FUTEX_WAKE_PRIVATE, THREADS_MAX, NULL, NULL, 0); /* it has no way to fail */
    }
    /* Who waits for a round that will not be full any more looks again, too. */
    atomic_fetch_add(&g->round, 1);
    syscall(SYS_futex, &g->round, FUTEX_WAKE_PRIVATE, THREADS_MAX, NULL, NULL, 0);
    return NULL;
}

static bool limit(struct bench_ctx *c, uint32_t threads, double *figure)
{
    char path[4200];
    pthread_t thread[THREADS_MAX];
    struct group g = {.fd = -1, .threads = threads};
    uint32_t started = 0;
    bool ok = open_file(c, path, sizeof path, &g.fd);
    double from = bench_now();
    while (ok && started < threads && pthread_create(&thread[started], NULL, member, &g) == 0)
        started++;
    while (started == threads && bench_now() - from < c->seconds && !atomic_load(&g.stop)) {
        struct timespec t = {.tv_nsec = 1000000};
        nanosleep(&t, NULL);
    }
    *figure = (double)atomic_load(&g.done) / (bench_now() - from);
    atomic_store(&g.stop, true);
    atomic_fetch_add(&g.round, 1);
    syscall(SYS_futex, &g.round, FUTEX_WAKE_PRIVATE, THREADS_MAX, NULL, NULL, 0);
    for (uint32_t k = 0; k < started; k++)
        pthread_join(thread[k], NULL);
    if (ok && (started < threads || atomic_load(&g.failed)))
        ok = bench_fail("limit", started < threads ? "no more threads" : "the file could not be written");
    if (g.fd >= 0 && close(g.fd) != 0)
        ok = bench_fail(path, strerror(errno));
    bench_remove(path);
    return ok;
}

static bool limit_sync(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)side;  /* no peer */
    (void)check; /* nothing to compare */
    return limit(c, 1, figure);
}

static bool limit_group_8(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)side;  /* no peer */
    (void)check; /* nothing to compare */
    return limit(c, 8, figure);
}

static bool limit_group_32(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)side;  /* no peer */
    (void)check; /* nothing to compare */
    return limit(c, 32, figure);
}

const struct bench bench_limit_list[] = {
    {"limit_sync", "commits/s", false, true, limit_sync},
    {"limit_group_8", "commits/s", false, true, limit_group_8},
    {"limit_group_32", "commits/s", false, true, limit_group_32},
    {NULL, NULL, false, false, NULL},
};

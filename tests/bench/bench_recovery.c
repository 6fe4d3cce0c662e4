/* bench_recovery.c - how fast a killed database comes back: MiB of log replayed per second by quartet_open.
 * A program of its own (this one, called with --recovery-writer) commits rows one by one with synchronous = normal until the write buffer is nearly full, and is
 * killed with SIGKILL: nothing of it is in the base then, all of it in the log. What was acknowledged must be there afterwards. */
#include "bench.h"

#include <dirent.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RECOVERY_COMMITS 300000 /* their rows take somewhat less than the 64 MiB of the buffer */

extern char **environ;

static const char insert_sql[] = "INSERT INTO t (id, k, g, name, v) VALUES (?, ?, ?, ?, ?)";

int bench_recovery_writer(const char *path, const char *rows)
{
    bench_db *b = NULL;
    bench_stmt *s = NULL;
    long n = strtol(rows, NULL, 10);
    bool ok = bench_open(BENCH_QUARTET, path, BENCH_NORMAL, &b) &&
              bench_exec(b, "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, g INTEGER, name TEXT, v REAL)") && bench_prepare(b, insert_sql, &s);
    for (long i = 1; ok && i <= n; i++) {
        struct bench_row r;
        bench_make_row(i, &r);
        ok = bench_bind_int(s, 1, r.id) && bench_bind_int(s, 2, r.k) && bench_bind_int(s, 3, r.g) && bench_bind_text(s, 4, r.name, r.name_bytes) &&
             bench_bind_real(s, 5, r.v) && bench_run(s);
    }
    ok = ok && write(STDOUT_FILENO, "k", 1) == 1;
    while (ok) /* until it is killed */
        pause();
    return 1;
}

/* Bytes up to the last that is not zero: segments are zeros ahead of use. */
static bool used_bytes(const char *path, double *bytes)
{
    static uint8_t block[1 << 16];
    FILE *f = fopen(path, "rb");
    uint64_t at = 0, last = 0;
    if (f == NULL)
        return bench_fail(path, "cannot be read");
    for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0; at += n)
        for (size_t i = n; i > 0; i--)
            if (block[i - 1] != 0) {
                last = at + i;
                break;
            }
    *bytes += (double)last;
    return fclose(f) == 0;
}

static bool log_bytes(const char *path, double *bytes)
{
    char name[4600];
    snprintf(name, sizeof name, "%s/log", path);
    DIR *d = opendir(name);
    bool ok = d != NULL || bench_fail(name, "cannot be listed");
    *bytes = 0;
    for (struct dirent *e; ok && (e = readdir(d)) != NULL;) {
        snprintf(name, sizeof name, "%s/log/%.200s", path, e->d_name);
        if (e->d_name[0] >= '0' && e->d_name[0] <= '9')
            ok = used_bytes(name, bytes);
    }
    if (d != NULL)
        closedir(d);
    return ok;
}

/* Start the writer, wait for its word, kill it. */
static bool write_and_kill(const char *path, int64_t rows)
{
    char count[32], ready;
    int fds[2], status;
    pid_t pid;
    posix_spawn_file_actions_t actions;
    snprintf(count, sizeof count, "%lld", (long long)rows);
    char name[] = "quartet-bench", option[] = "--recovery-writer";
    char *copy = strdup(path), *argv[] = {name, option, copy, count, NULL};
    if (copy == NULL || pipe(fds) != 0) {
        free(copy);
        return bench_fail("recovery", "no pipe to the writer");
    }
    bool ok = posix_spawn_file_actions_init(&actions) == 0;
    ok = ok && posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO) == 0;
    ok = ok && posix_spawn_file_actions_addclose(&actions, fds[0]) == 0 && posix_spawn_file_actions_addclose(&actions, fds[1]) == 0;
    ok = ok && posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ) == 0;
    close(fds[1]);
    if (ok) {
        ok = read(fds[0], &ready, 1) == 1; /* 0: it ended by itself, and has said why */
        kill(pid, SIGKILL);
        ok = waitpid(pid, &status, 0) == pid && ok;
    }
    close(fds[0]);
    posix_spawn_file_actions_destroy(&actions);
    free(copy);
    return ok || bench_fail("recovery", "the writer failed");
}

static bool recovery(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    char path[4200];
    bench_db *b = NULL;
    bench_stmt *s = NULL;
    double bytes = 0;
    bool row = false;
    int64_t rows = c->rows < RECOVERY_COMMITS ? c->rows : RECOVERY_COMMITS;
    (void)check; /* looked for below */
    bench_path(c, side, path, sizeof path);
    bool ok = write_and_kill(path, rows) && log_bytes(path, &bytes);
    double from = bench_now();
    ok = ok && bench_open(side, path, BENCH_NORMAL, &b);
    *figure = bytes / (1 << 20) / (bench_now() - from);
    ok = ok && bench_prepare(b, "SELECT count(*) FROM t", &s) && bench_step(s, &row) && row;
    if (ok && bench_int(s, 0) != rows)
        ok = bench_fail("recovery", "the table does not hold what was acknowledged");
    bench_finalize(s);
    ok = bench_close(b) && ok;
    bench_remove(path);
    return ok;
}

const struct bench bench_recovery_list[] = {
    {"recovery", "MiB/s", false, true, recovery},
    {NULL, NULL, false, false, NULL},
};

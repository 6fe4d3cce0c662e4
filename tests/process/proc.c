/* proc.c - clusters of real processes for tests. See proc.h. */
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

uint64_t proc_random(struct proc *p)
{
    uint64_t z = p->random_state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void proc_fail(struct proc *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("FAILED: ");
    vprintf(format, args);
    putchar('\n');
    fflush(stdout);
    va_end(args);
    p->failures++;
}

/* ---- the guard ---- */

struct guard_message {
    int slot;
    pid_t pid; /* 0: reaped */
};

/* Knows every node's process; when the pipe ends, the program is gone, and so must they be. */
static void guard_run(int fd)
{
    pid_t pids[CLUSTER_NODES] = {0};
    struct guard_message m;
    for (;;) {
        ssize_t n = read(fd, &m, sizeof m);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != (ssize_t)sizeof m)
            break;
        if (m.slot >= 0 && m.slot < CLUSTER_NODES)
            pids[m.slot] = m.pid;
    }
    for (int k = 0; k < CLUSTER_NODES; k++)
        if (pids[k] > 0)
            kill(pids[k], SIGKILL);
    _exit(0);
}

static void guard_tell(struct proc *p, int slot)
{
    struct guard_message m = {.slot = slot, .pid = p->cluster.pid[slot]};
    if (write(p->guard, &m, sizeof m) != (ssize_t)sizeof m)
        proc_fail(p, "the guard process is gone");
}

static void guard_start(struct proc *p)
{
    int fds[2];
    if (pipe(fds) != 0) {
        perror("pipe");
        exit(1);
    }
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0); /* Ctrl-C is not for it */
        close(fds[1]);
        close(STDOUT_FILENO); /* who reads our output must not wait for the guard */
        guard_run(fds[0]);
    }
    close(fds[0]);
    if (pid < 0 || fcntl(fds[1], F_SETFD, FD_CLOEXEC) != 0) {
        perror("guard");
        exit(1);
    }
    p->guard = fds[1];
}

/* ---- the cluster ---- */

void proc_begin(struct proc *p, const char *name, uint64_t seed, const struct cluster_hosts *hosts)
{
    const char *tmp = getenv("TMPDIR");
    signal(SIGPIPE, SIG_IGN);
    p->seed = seed;
    p->random_state = seed;
    snprintf(p->dir, sizeof p->dir, "%.200s/quartet-%s-XXXXXX", tmp != NULL ? tmp : "/tmp", name);
    if (mkdtemp(p->dir) == NULL) {
        fprintf(stderr, "%s: %s\n", p->dir, strerror(errno));
        exit(1);
    }
    guard_start(p);
    bool ok = cluster_init(&p->cluster, p->dir, "");
    p->cluster.hosts = hosts;
    if (!ok || !cluster_make(&p->cluster)) {
        fprintf(stderr, "%s\n", p->cluster.error);
        exit(1);
    }
    if (!p->quiet)
        printf("%s: seed %llu (--seed replays the order of events)\n", name, (unsigned long long)seed);
    fflush(stdout);
}

bool proc_start(struct proc *p, int slot)
{
    p->disturbed[slot] = now_seconds();
    p->down[slot] = false;
    if (!cluster_start_node(&p->cluster, slot)) {
        proc_fail(p, "%s", p->cluster.error);
        return false;
    }
    guard_tell(p, slot);
    return true;
}

bool proc_start_all(struct proc *p)
{
    bool ok = true;
    for (int k = 0; k < CLUSTER_NODES; k++)
        ok = proc_start(p, k) && ok;
    for (int k = 0; ok && k < CLUSTER_NODES; k++)
        if (!cluster_wait_ready(&p->cluster, k, 20000)) {
            proc_fail(p, "%s", p->cluster.error);
            ok = false;
        }
    return ok;
}

void proc_signal(struct proc *p, int slot, int sig)
{
    p->down[slot] = sig != SIGCONT;
    p->disturbed[slot] = now_seconds();
    cluster_kill_node(&p->cluster, slot, sig);
    if (sig == SIGKILL)
        guard_tell(p, slot);
    p->disturbed[slot] = now_seconds();
}

int proc_end(struct proc *p, const char *summary)
{
    cluster_stop(&p->cluster);
    if (p->failures > 0)
        cluster_print_logs(&p->cluster, 12);
    if (!cluster_remove(&p->cluster))
        proc_fail(p, "%s", p->cluster.error);
    close(p->guard);
    while (wait(NULL) > 0 || errno == EINTR) /* the guard, and nobody else */
        continue;
    if (p->failures == 0 && summary != NULL)
        printf("%s\n", summary);
    if (p->failures > 0)
        printf("%d checks failed (seed %llu)\n", p->failures, (unsigned long long)p->seed);
    return p->failures == 0 ? 0 : 1;
}

/* ---- asking ---- */

bool proc_exec(struct proc *p, const char *url, const char *sql)
{
    char answer[1024];
    bool ok = cluster_ask(url, sql, answer, sizeof answer);
    if (!ok)
        proc_fail(p, "%.100s: %s", sql, answer);
    return ok;
}

bool proc_wait_equal(struct proc *p, unsigned mask, double deadline_s, double *took_s)
{
    static char state[CLUSTER_NODES][CLUSTER_STATE_MAX]; /* one caller, one thread */
    double from = now_seconds();
    bool equal = cluster_wait_equal(&p->cluster, mask, (int)(1000 * deadline_s), state);
    *took_s = now_seconds() - from;
    if (!equal) {
        proc_fail(p, "vectors and hashes are not equal after %.1f s", *took_s);
        for (int k = 0; k < CLUSTER_NODES; k++)
            if ((mask >> k & 1) != 0)
                printf("  node %d: %s\n", k, state[k]);
    }
    return equal;
}

long proc_rss_kib(const struct proc *p, int slot)
{
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%ld/status", (long)p->cluster.pid[slot]);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    if (f != NULL)
        fclose(f); /* it was only read */
    return kib;
}

int proc_log_lines(const struct proc *p, int slot, const char *text)
{
    char path[CLUSTER_PATH_MAX + 32], line[2048];
    int count = 0;
    snprintf(path, sizeof path, "%s/%d.log", p->cluster.dir, slot);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        count += strstr(line, text) != NULL;
    if (f != NULL)
        fclose(f); /* it was only read */
    return count;
}

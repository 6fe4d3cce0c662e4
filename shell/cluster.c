/* cluster.c - node processes on loopback. See cluster.h.
 * Nodes are told to end with their parent (--die-with-parent), so that nothing stays behind however the parent ends. */
#include "cluster.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "free_port.h"
#include "quartet.h"

static bool fail(struct cluster *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct cluster *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->error, sizeof c->error, format, args);
    va_end(args);
    return false;
}

bool cluster_init(struct cluster *c, const char *dir, const char *own_program)
{
    *c = (struct cluster){.error = ""};
    if (strlen(dir) >= sizeof c->dir - 64)
        return fail(c, "the directory's name is too long");
    snprintf(c->dir, sizeof c->dir, "%s", dir);
    ssize_t n = readlink("/proc/self/exe", c->quartetd, sizeof c->quartetd - 16);
    if (n <= 0)
        n = snprintf(c->quartetd, sizeof c->quartetd - 16, "%s", own_program);
    c->quartetd[n] = '\0';
    char *slash = strrchr(c->quartetd, '/');
    snprintf(slash != NULL ? slash + 1 : c->quartetd, 16, "quartetd");
    if (access(c->quartetd, X_OK) != 0)
        return fail(c, "no program %s: %s", c->quartetd, strerror(errno));
    return true;
}

/* "quartet://user@a,b,c,d/?rest" into its parts; one URL per node. */
static bool split_url(struct cluster *c)
{
    char *at = strchr(c->url, '@');
    char *hosts = at != NULL ? at + 1 : c->url + strlen("quartet://");
    char *rest = strchr(hosts, '/');
    if (strncmp(c->url, "quartet://", 10) != 0 || rest == NULL)
        return fail(c, "%s/admin.url holds no quartet:// URL", c->dir);
    int slot = 0;
    for (char *h = hosts; slot < CLUSTER_NODES && h < rest; slot++) {
        size_t n = strcspn(h, ",/");
        snprintf(c->node_url[slot], sizeof c->node_url[slot], "%.*s%.*s%s", (int)(hosts - c->url), c->url, (int)n, h, rest);
        h += n + (h[n] == ',');
    }
    return slot == CLUSTER_NODES ? true : fail(c, "%s/admin.url names %d nodes, not four", c->dir, slot);
}

static bool read_url(struct cluster *c)
{
    char path[CLUSTER_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/admin.url", c->dir);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return fail(c, "cannot read %s: %s", path, strerror(errno));
    bool ok = fgets(c->url, sizeof c->url, f) != NULL;
    fclose(f); /* it was only read */
    c->url[strcspn(c->url, "\r\n")] = '\0';
    return ok ? split_url(c) : fail(c, "%s is empty", path);
}

bool cluster_make(struct cluster *c)
{
    char path[CLUSTER_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/admin.url", c->dir);
    if (access(path, F_OK) == 0)
        return read_url(c);
    char text[2 * CLUSTER_NODES][64];
    const char *addresses[CLUSTER_NODES], *https[CLUSTER_NODES];
    for (int k = 0; k < 2 * CLUSTER_NODES; k++) {
        uint16_t port = free_port();
        if (port == 0)
            return fail(c, "no free port on 127.0.0.1: %s", strerror(errno));
        snprintf(text[k], sizeof text[k], "%s:%u", c->hosts != NULL ? c->hosts->address[k % CLUSTER_NODES] : "127.0.0.1", port);
    }
    for (int k = 0; k < CLUSTER_NODES; k++) {
        addresses[k] = text[k];
        https[k] = text[CLUSTER_NODES + k];
    }
    char *error = NULL;
    if (quartet_cluster_init(c->dir, CLUSTER_NODES, addresses, https, &error) != QUARTET_OK) {
        fail(c, "%s", error != NULL ? error : "out of memory");
        quartet_free(error);
        return false;
    }
    return read_url(c);
}

bool cluster_start_node(struct cluster *c, int slot)
{
    char dir[CLUSTER_PATH_MAX + 8], log[CLUSTER_PATH_MAX + 32];
    snprintf(dir, sizeof dir, "%s/%d", c->dir, slot);
    snprintf(log, sizeof log, "%s/%d.log", c->dir, slot);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(c, "cannot write %s: %s", log, strerror(errno));
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setpgid(0, 0); /* Ctrl-C is for the parent, which ends its nodes in order */
        if (getppid() != parent || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
            _exit(127);
        if (c->hosts != NULL)
            c->hosts->enter(c->hosts->arg, slot);
        execl(c->quartetd, "quartetd", "--dir", dir, "--die-with-parent", c->more[0], c->more[1], (char *)NULL);
        _exit(127);
    }
    close(fd);
    if (pid < 0)
        return fail(c, "cannot start a process: %s", strerror(errno));
    c->pid[slot] = pid;
    return true;
}

/* One statement's rows behind what out has already. */
static int ask_one(quartet_db *db, const char **sql, char *out, size_t n)
{
    quartet_stmt *stmt = NULL;
    size_t used = strlen(out);
    int rc = quartet_prepare(db, *sql, -1, &stmt, sql);
    while (rc == QUARTET_OK && stmt != NULL && (rc = quartet_step(stmt)) == QUARTET_ROW) {
        for (int c = 0; c < quartet_column_count(stmt) && used < n; c++) {
            const char *text = quartet_column_text(stmt, c);
            used += (size_t)snprintf(out + used, n - used, "%s%s", c > 0 ? "|" : used > 0 ? "\n" : "", text != NULL ? text : "NULL");
        }
        rc = QUARTET_OK;
    }
    (void)quartet_finalize(stmt); /* repeats rc */
    return rc == QUARTET_DONE ? QUARTET_OK : rc;
}

bool cluster_ask(const char *url, const char *sql, char *out, size_t n)
{
    quartet_db *db = NULL;
    out[0] = '\0';
    int rc = quartet_open(url, &db);
    while (rc == QUARTET_OK && *sql != '\0')
        rc = ask_one(db, &sql, out, n);
    if (rc != QUARTET_OK)
        snprintf(out, n, "%s", db != NULL ? quartet_errmsg(db) : "out of memory");
    (void)quartet_close(db); /* what it wrote was acknowledged */
    return rc == QUARTET_OK;
}

bool cluster_wait_ready(struct cluster *c, int slot, int deadline_ms)
{
    double until = now_seconds() + deadline_ms / 1000.0;
    while (now_seconds() < until) {
        char answer[64];
        if (cluster_ask(c->node_url[slot], "SELECT 1", answer, sizeof answer))
            return true;
        int status = 0;
        if (c->pid[slot] > 0 && waitpid(c->pid[slot], &status, WNOHANG) == c->pid[slot]) {
            c->pid[slot] = 0;
            return fail(c, "node %d ended with status %d; see %s/%d.log", slot, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status),
                        c->dir, slot);
        }
        pause_ms(20);
    }
    return fail(c, "node %d does not answer after %d s; see %s/%d.log", slot, deadline_ms / 1000, c->dir, slot);
}

void cluster_kill_node(struct cluster *c, int slot, int sig)
{
    if (c->pid[slot] <= 0)
        return;
    if (kill(c->pid[slot], sig) == 0 && sig == SIGKILL) {
        while (waitpid(c->pid[slot], NULL, 0) < 0 && errno == EINTR)
            continue;
        c->pid[slot] = 0;
    }
}

bool cluster_stop_node(struct cluster *c, int slot, int deadline_ms)
{
    double until = now_seconds() + deadline_ms / 1000.0;
    int status = 0;
    if (c->pid[slot] <= 0)
        return true;
    if (kill(c->pid[slot], SIGTERM) != 0)
        return fail(c, "node %d cannot be told to end: %s", slot, strerror(errno));
    while (waitpid(c->pid[slot], &status, WNOHANG) != c->pid[slot]) {
        if (now_seconds() >= until)
            return fail(c, "node %d did not end within %d ms", slot, deadline_ms);
        pause_ms(1);
    }
    c->pid[slot] = 0;
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) || fail(c, "node %d did not end well; see %s/%d.log", slot, c->dir, slot);
}

bool cluster_node_state(const struct cluster *c, int slot, char *out, size_t n)
{
    quartet_db *db = NULL;
    quartet_stmt *stmt = NULL;
    bool found = false;
    int rc = quartet_open(c->node_url[slot], &db);
    if (rc == QUARTET_OK)
        rc = quartet_prepare(db, "SHOW CLUSTER", -1, &stmt, NULL);
    int vector = -1, hash = -1;
    for (int k = 0; rc == QUARTET_OK && k < quartet_column_count(stmt); k++) {
        vector = strcmp(quartet_column_name(stmt, k), "vector") == 0 ? k : vector;
        hash = strcmp(quartet_column_name(stmt, k), "state_hash") == 0 ? k : hash;
    }
    while (rc == QUARTET_OK && vector >= 0 && hash >= 0 && quartet_step(stmt) == QUARTET_ROW)
        if (quartet_column_int64(stmt, 0) == slot) {
            const char *v = quartet_column_text(stmt, vector);
            size_t used = (size_t)snprintf(out, n, "vector %s", v != NULL ? v : "NULL");
            const char *h = quartet_column_text(stmt, hash);
            if (used < n)
                snprintf(out + used, n - used, " hash %s", h != NULL ? h : "NULL");
            found = true;
        }
    if (!found)
        snprintf(out, n, "no answer: %s", db != NULL ? quartet_errmsg(db) : "out of memory");
    (void)quartet_finalize(stmt); /* only read */
    (void)quartet_close(db);      /* only read */
    return found;
}

bool cluster_wait_equal(const struct cluster *c, unsigned mask, int deadline_ms, char state[CLUSTER_NODES][CLUSTER_STATE_MAX])
{
    double until = now_seconds() + deadline_ms / 1000.0;
    for (;;) {
        int first = -1;
        bool equal = true;
        for (int k = 0; k < CLUSTER_NODES; k++) {
            if ((mask >> k & 1u) == 0)
                continue;
            first = first < 0 ? k : first;
            equal = cluster_node_state(c, k, state[k], CLUSTER_STATE_MAX) && equal && strcmp(state[k], state[first]) == 0;
        }
        if (equal || now_seconds() >= until)
            return equal;
        pause_ms(20);
    }
}

void cluster_stop(struct cluster *c)
{
    for (int k = 0; k < CLUSTER_NODES; k++)
        if (c->pid[k] > 0) {
            kill(c->pid[k], SIGTERM);
            kill(c->pid[k], SIGCONT); /* a paused one must hear it too */
        }
    double until = now_seconds() + 5;
    for (int k = 0; k < CLUSTER_NODES; k++) {
        while (c->pid[k] > 0 && now_seconds() < until) {
            pid_t done = waitpid(c->pid[k], NULL, WNOHANG);
            if (done == c->pid[k] || (done < 0 && errno == ECHILD))
                c->pid[k] = 0;
            else
                pause_ms(5);
        }
        cluster_kill_node(c, k, SIGKILL);
    }
}

void cluster_url_from(const struct cluster *c, int first, char *out, size_t n)
{
    const char *at = strchr(c->url, '@');
    const char *hosts = at != NULL ? at + 1 : c->url + strlen("quartet://");
    const char *rest = strchr(hosts, '/');
    const char *parts[CLUSTER_NODES];
    size_t lens[CLUSTER_NODES];
    const char *h = hosts;
    for (int k = 0; k < CLUSTER_NODES; k++) {
        parts[k] = h;
        lens[k] = strcspn(h, ",/");
        h += lens[k] + 1;
    }
    size_t used = (size_t)snprintf(out, n, "%.*s", (int)(hosts - c->url), c->url);
    for (int k = 0; k < CLUSTER_NODES && used < n; k++) {
        int slot = (first + k) % CLUSTER_NODES;
        used += (size_t)snprintf(out + used, n - used, "%s%.*s", k > 0 ? "," : "", (int)lens[slot], parts[slot]);
    }
    if (used < n)
        snprintf(out + used, n - used, "%s%sroute=ordered", rest, strchr(rest, '?') != NULL ? "&" : "?");
}

void cluster_print_logs(const struct cluster *c, int lines)
{
    for (int k = 0; k < CLUSTER_NODES; k++) {
        char path[CLUSTER_PATH_MAX + 32];
        snprintf(path, sizeof path, "%s/%d.log", c->dir, k);
        FILE *f = fopen(path, "r");
        fprintf(stderr, "-- last lines of node %d's log (%s)\n", k, path);
        if (f == NULL)
            continue;
        char text[16384];
        if (fseek(f, -(long)sizeof text, SEEK_END) != 0)
            rewind(f);
        size_t n = fread(text, 1, sizeof text, f);
        fclose(f); /* it was only read */
        size_t from = n;
        for (int seen = 0; from > 0; from--)
            if (text[from - 1] == '\n' && from < n && ++seen == lines)
                break;
        fwrite(text + from, 1, n - from, stderr);
    }
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;   /* only the name counts */
    (void)type; /* remove() knows files from directories */
    (void)walk; /* depth first: directories come empty */
    return remove(path);
}

bool cluster_remove(struct cluster *c)
{
    if (nftw(c->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        return fail(c, "cannot remove %s: %s", c->dir, strerror(errno));
    return true;
}

/* test_identity.c - directories that are not what they were: real nodes, of which one goes on with an old copy of its directory, and then with the one that was put aside.
 * Nothing that was acknowledged is lost, no assigned key is given twice, all nodes end alike; and a copy that runs in its original's place makes no fork. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc.h"

#define SLOT 3
#define ROWS 20
#define PATH_BYTES (CLUSTER_PATH_MAX + 32)

struct identity {
    struct proc *p;
    int written; /* rows, acknowledged */
};

/* A program with its arguments; its failure is one of the test. */
static void tool(struct proc *p, const char *const *args)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        execvp(args[0], (char *const *)(uintptr_t)args);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid < 0 || status != 0)
        proc_fail(p, "%s %s failed", args[0], args[1]);
}

static void path_of(const struct identity *t, char out[PATH_BYTES], const char *what)
{
    snprintf(out, PATH_BYTES, "%s/%s", t->p->cluster.dir, what);
}

static void copy_to(struct identity *t, const char *name)
{
    char from[PATH_BYTES], to[PATH_BYTES];
    path_of(t, from, "3");
    path_of(t, to, name);
    tool(t->p, (const char *const[]){"cp", "-r", from, to, NULL});
}

/* The node is killed, its directory put aside as `aside`, and `name` takes its place. */
static void go_on_with(struct identity *t, const char *name, const char *aside)
{
    char here[PATH_BYTES], there[PATH_BYTES], other[PATH_BYTES];
    path_of(t, here, "3");
    path_of(t, there, aside);
    path_of(t, other, name);
    proc_signal(t->p, SLOT, SIGKILL);
    tool(t->p, (const char *const[]){"mv", here, there, NULL});
    tool(t->p, (const char *const[]){"mv", other, here, NULL});
    if (!proc_start(t->p, SLOT))
        proc_fail(t->p, "node %d does not start with %s", SLOT, name);
}

/* Rows with keys that the node assigns, once it answers. */
static void write_rows(struct identity *t, int slot)
{
    char answer[256] = "";
    const char *url = t->p->cluster.node_url[slot];
    for (double until = now_seconds() + 30; !cluster_ask(url, "SELECT 1", answer, sizeof answer) && now_seconds() < until;)
        pause_ms(50);
    for (int i = 0; i < ROWS; i++) {
        char sql[96];
        snprintf(sql, sizeof sql, "INSERT INTO keyed (who) VALUES (%d) RETURNING id", t->written);
        if (!cluster_ask(url, sql, answer, sizeof answer) || strtoll(answer, NULL, 10) <= 0)
            proc_fail(t->p, "node %d gave no key: %s", slot, answer);
        t->written++;
    }
}

static void expect_all(struct identity *t, const char *when)
{
    char want[64], answer[256];
    double took;
    snprintf(want, sizeof want, "%d|%d", t->written, t->written);
    if (!proc_wait_equal(t->p, 15, 40, &took))
        proc_fail(t->p, "%s: the nodes do not become equal", when);
    for (int k = 0; k < CLUSTER_NODES; k++)
        if (!cluster_ask(t->p->cluster.node_url[k], "SELECT count(*), count(DISTINCT who) FROM keyed", answer, sizeof answer) || strcmp(answer, want) != 0)
            proc_fail(t->p, "%s: node %d has %s, not %s", when, k, answer, want);
    if (proc_log_lines(t->p, 0, "signed two histories") + proc_log_lines(t->p, 0, "was given to two rows") > 0)
        proc_fail(t->p, "%s: node 0 takes it for a fork, or found a key that was given twice", when);
}

static void run(struct proc *p)
{
    struct identity t = {.p = p};
    if (!proc_start_all(p) || !proc_exec(p, p->cluster.node_url[0], "CREATE TABLE keyed (id INTEGER PRIMARY KEY, who INTEGER)"))
        return;
    double took;
    if (!proc_wait_equal(p, 15, 40, &took))
        proc_fail(p, "the table does not reach all nodes");
    write_rows(&t, SLOT);
    expect_all(&t, "before anything happens");
    copy_to(&t, "backup");
    write_rows(&t, SLOT);
    write_rows(&t, 0);
    expect_all(&t, "after the backup");
    go_on_with(&t, "backup", "aside");
    write_rows(&t, SLOT);
    expect_all(&t, "with the old copy");
    go_on_with(&t, "aside", "backup");
    write_rows(&t, SLOT);
    write_rows(&t, 1);
    expect_all(&t, "with the directory that had been put aside");
}

int main(void)
{
    struct proc p;
    const char *seed = getenv("QUARTET_SEED");
    proc_begin(&p, "identity", seed != NULL ? strtoull(seed, NULL, 10) : 1 + (uint64_t)(unsigned)getpid(), NULL);
    run(&p);
    return proc_end(&p, "identity: an old copy of a directory, and the one that it replaced, go on in its place: nothing lost, no key twice");
}

/* proc.h - real node processes under test: what the programs of this folder share.
 * Whatever ends a program, its nodes end too: a guard process kills them when the program is gone, paused ones included, which a
 * signal from --die-with-parent alone would not reach. */
#ifndef PROCESS_PROC_H
#define PROCESS_PROC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "quartet.h"
#include "shell/clock.h"
#include "shell/cluster.h"

#define PROC_WRITES_MAX 2000000u /* of one writer */
#define PROC_COUNTERS 100        /* rows of `counters` */
#define PROC_NEW_NOTE 100000000  /* ids of `notes`: this * (writer + 1) + n */

struct proc {
    struct cluster cluster;
    char dir[256];                  /* temporary; removed by proc_end where all went well */
    int guard;                      /* the pipe's end that says the program lives */
    uint64_t seed, random_state;
    _Atomic double disturbed[CLUSTER_NODES]; /* when the node last was killed, paused or down */
    atomic_bool down[CLUSTER_NODES];         /* it is, now */
    int failures;
    bool quiet;                     /* proc_begin does not tell the seed: set before it */
};

uint64_t proc_random(struct proc *p);
/* A failed check: printed, counted; the program goes on. */
void proc_fail(struct proc *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A temporary directory and a cluster in it, nothing started. hosts: where, NULL for loopback. Exits the program where that is impossible. */
void proc_begin(struct proc *p, const char *name, uint64_t seed, const struct cluster_hosts *hosts);
bool proc_start(struct proc *p, int slot);      /* and tells the guard */
bool proc_start_all(struct proc *p);            /* all four, and waits until they answer */
void proc_signal(struct proc *p, int slot, int sig); /* SIGKILL (and reaps), SIGSTOP or SIGCONT; keeps `disturbed` */
/* Stops all, removes the directory, prints the logs' ends if something failed, otherwise the summary (NULL: none). The program's exit status. */
int proc_end(struct proc *p, const char *summary);

bool proc_exec(struct proc *p, const char *url, const char *sql); /* a failure is counted */
/* Wait until the nodes of the mask show the same vector and hash; prints how long it took. */
bool proc_wait_equal(struct proc *p, unsigned mask, double deadline_s, double *took_s);
/* Resident memory of a node in KiB; 0: unknown. */
long proc_rss_kib(const struct proc *p, int slot);
/* Lines of the node's log that contain the text. */
int proc_log_lines(const struct proc *p, int slot, const char *text);

/* ---- writers: one thread each, with a URL of all nodes that begins with its own ---- */

struct proc_writer {
    struct proc *proc;
    int slot;
    pthread_t thread;
    bool started;
    atomic_bool *stop;
    uint8_t *told;            /* per n: 1 acknowledged, 2 outcome unknown */
    uint64_t next;
    uint64_t acknowledged, unknown, lost, again, moves, violations; /* lost: by a node that was down; again: serialization */
    double slowest_ms;
    char url[8192];
};

bool proc_make_tables(struct proc *p, const char *url);
bool proc_start_writer(struct proc *p, struct proc_writer *w, int slot, atomic_bool *stop);
bool proc_continue_writer(struct proc_writer *w); /* after a join: it goes on with its next number */
void proc_join_writer(struct proc_writer *w);
void proc_free_writer(struct proc_writer *w);
/* Hold one node's tables against what the writers were told: nothing acknowledged is missing, nothing else is there, counters exact. */
void proc_check_node(struct proc *p, int slot, struct proc_writer *writers, int count);

#endif

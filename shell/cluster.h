/* cluster.h - four node processes on this machine: made, started, killed, waited for. For the demonstration, --serve and tests. */
#ifndef SHELL_CLUSTER_H
#define SHELL_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CLUSTER_NODES 4
#define CLUSTER_PATH_MAX 4096
#define CLUSTER_STATE_MAX 2048

/* Where the nodes are, if not on loopback: tests put each into a network of its own. */
struct cluster_hosts {
    const char *address[CLUSTER_NODES];      /* without port */
    void (*enter)(const void *arg, int slot); /* in the node's process, before its program starts; it may end it */
    const void *arg;
};

struct cluster {
    const struct cluster_hosts *hosts; /* NULL: 127.0.0.1; the caller's, set after cluster_init */
    const char *more[2];            /* of each node's command line: an option and its value, likewise; NULL: none */
    char dir[CLUSTER_PATH_MAX];     /* dir/0 ... dir/3 */
    char quartetd[CLUSTER_PATH_MAX]; /* the program */
    char url[8192];                 /* all nodes */
    char node_url[CLUSTER_NODES][8192]; /* one node each */
    pid_t pid[CLUSTER_NODES];       /* 0: not running */
    char error[1024];               /* of the last call that returned false */
};

/* Find quartetd beside the running program. */
bool cluster_init(struct cluster *c, const char *dir, const char *own_program);
/* Keys and free ports for four new nodes; or, where dir holds a cluster already, its URLs as they were. */
bool cluster_make(struct cluster *c);
bool cluster_start_node(struct cluster *c, int slot);
/* Wait until the node answers a query, or deadline_ms pass, or it ends. */
bool cluster_wait_ready(struct cluster *c, int slot, int deadline_ms);
void cluster_kill_node(struct cluster *c, int slot, int sig); /* and waits for its end where sig ends it */
/* SIGTERM, and waits for its end. False: it did not end in that time, or not with status 0. */
bool cluster_stop_node(struct cluster *c, int slot, int deadline_ms);
/* The node's vector and hash, from its own line of SHOW CLUSTER, as text that is equal where they are; false: it did not answer, and the text says why. */
bool cluster_node_state(const struct cluster *c, int slot, char *out, size_t n);
/* Wait until all nodes of the mask say the same; what each said last is in state. */
bool cluster_wait_equal(const struct cluster *c, unsigned mask, int deadline_ms, char state[CLUSTER_NODES][CLUSTER_STATE_MAX]);
/* Statements through a connection of their own: their rows as lines, columns separated by '|', NULL as NULL, cut at n. False: it
 * failed, and out is the error's text. */
bool cluster_ask(const char *url, const char *sql, char *out, size_t n);
/* SIGTERM to all, SIGKILL after 5 s; waits. */
void cluster_stop(struct cluster *c);
/* The URL with `first` before the other nodes, so that a client begins there and moves on from there. */
void cluster_url_from(const struct cluster *c, int first, char *out, size_t n);
/* Print the last lines of each node's log. */
void cluster_print_logs(const struct cluster *c, int lines);
/* Remove dir and all in it (only what cluster_make and the nodes wrote). */
bool cluster_remove(struct cluster *c);

#endif

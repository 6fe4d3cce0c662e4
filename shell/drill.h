/* drill.h - quartet drill: faults on purpose in a cluster made for it, and what clients saw of them. What its files share. */
#ifndef SHELL_DRILL_H
#define SHELL_DRILL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "cluster.h"
#include "quartet.h"

#define DRILL_WRITES_MAX 20000000u /* of one client */
#define DRILL_PHASES_MAX 256u

/* One client: its own thread and connection, beginning with its own node, knowing all. It inserts one row after the other. */
struct drill_client {
    struct drill *drill;
    int slot;
    pthread_t thread;
    bool started;
    char url[8192];
    uint8_t *told;               /* per n: 1 acknowledged, 2 outcome unknown, 3 failed; read after the join */
    uint64_t next;
    _Atomic uint64_t acknowledged, unknown, failed;
    _Atomic double last_ack;     /* seconds, monotonic; 0: none yet */
    _Atomic double gap[DRILL_PHASES_MAX]; /* the longest time between two acknowledgements, the later one of that phase */
    char last_error[512];        /* read after the join */
};

struct drill {
    struct cluster cluster;
    struct drill_client clients[CLUSTER_NODES];
    int commit_acks;
    atomic_uint phase;
    atomic_bool stop, interrupted;
};

/* drill_clients.c */
bool drill_start_clients(struct drill *d);
void drill_join_clients(struct drill *d);
/* What all clients were told against what all nodes show: *lost counts acknowledged rows that some node has not, *ghosts rows that a client was told had failed.
 * False: a node did not answer (cluster.error). */
bool drill_check(struct drill *d, uint64_t *lost, uint64_t *ghosts);
/* One statement on one node, without result. */
bool drill_exec(struct drill *d, int slot, const char *sql);
bool drill_shows(struct drill *d, int slot, const char *sql); /* the query gives a row */

/* drill.c */
int drill_run(int count, char **args);

#endif

/* nodes.h - the nodes that a quartet:// URL names, each asked by itself, all at the same time: for quartet top, quartetd status and quartetd doctor. */
#ifndef SHELL_NODES_H
#define SHELL_NODES_H

#include <stdbool.h>
#include <stdint.h>

#define NODES_MAX 4
#define NODES_URL_MAX 8192
#define NODES_TEXT_MAX 160

/* What one node says of a member: a line of its SHOW CLUSTER. */
struct node_says {
    bool there;
    char address[NODES_TEXT_MAX], state[NODES_TEXT_MAX], vector[4096], hash[64], equal[NODES_TEXT_MAX];
    int64_t lag_deltas, lag_ms, skew_ms; /* -1 where it does not know (skew: 0) */
};

/* What one node says of its link with a member: a line of its SHOW PEERS. */
struct node_link {
    bool there;
    int speaks_to;  /* the highest level that the member's build speaks; 0: never told */
    char note[256]; /* why there can be no link; "": there can */
};

struct node_figures { /* of SHOW STATUS; missing ones are 0 */
    int64_t commits, remote_rows, remote_deltas, held_batches, log_bytes, base_bytes, buffer_bytes, frozen_bytes, snapshots, left_behind_delta, purge_waits_for,
        base_dead_bytes;
};

struct node_view {
    char address[NODES_TEXT_MAX]; /* as in the URL */
    char url[NODES_URL_MAX];      /* this node alone */
    bool up;
    int slot;                     /* -1: never answered */
    char error[512];              /* where it is not up */
    char version[64];
    double answered_ms;           /* connecting and the first answer */
    struct node_figures figures;
    struct node_says says[NODES_MAX]; /* by slot */
    struct node_link links[NODES_MAX]; /* likewise; none of itself */
};

struct nodes {
    struct node_view node[NODES_MAX];
    int count;
};

/* Takes the URL apart. False: it is none, names nobody, or more than NODES_MAX; *why says which. */
bool nodes_parse(struct nodes *n, const char *url, const char **why);
/* Asks all of them; returns when each has answered or was given up (timeout_ms). */
void nodes_ask(struct nodes *n, int timeout_ms);
/* The node that says it is in this slot, or NULL. */
const struct node_view *nodes_in_slot(const struct nodes *n, int slot);
/* Is what it says of itself worth no worry? */
bool node_is_well(const struct node_view *v);

#endif

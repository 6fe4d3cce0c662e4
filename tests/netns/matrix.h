/* matrix.h - workloads x faults on real nodes: what the files of the program `matrix` share. matrix.c says what it is about. */
#ifndef NETNS_MATRIX_H
#define NETNS_MATRIX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "netns/wires.h"
#include "process/proc.h"
#include "quartet.h"

#define MATRIX_WRITES_MAX 200000u   /* of one writer in one cell */
#define MATRIX_UNKNOWN_MAX 4096u    /* likewise */
#define MATRIX_OWN_MAX 12u          /* rows that a writer remembers, to delete them */
#define MATRIX_ID 100000000         /* ids of rows: this * (writer + 1) + n */
#define MATRIX_STATUS(rc) (1u << (rc))

struct cell;

enum told { TOLD_FAILED, TOLD_DONE, TOLD_UNKNOWN }; /* what a writer was told of a transaction */

struct client { /* a writer, or a reader that only looks */
    struct cell *cell;
    int slot;
    pthread_t thread;
    bool started;
    quartet_db *db;
    uint64_t random;
    char url[8192];
    char line[512];         /* of matrix_journal */
    /* Of writers: n counts its transactions. */
    uint8_t *told, *kind;   /* per n: enum told; 0: it has a row in `journal`, otherwise the workload's */
    uint64_t next;
    int64_t last;           /* the last one that was acknowledged; -1: none */
    struct unknown_commit {
        uint64_t n;
        char name[128];     /* as quartet_outcome takes it */
    } *unknown;
    uint32_t unknown_count;
    int64_t own[MATRIX_OWN_MAX]; /* the workload's */
    uint32_t own_count;
    uint64_t acknowledged, refused, again, failed;
    /* Of readers. */
    uint64_t looks;
    int64_t most;           /* rows of `journal` that it has seen; never fewer again */
};

struct look { /* a query and its one value, whenever and wherever it is asked; lists end with NULL */
    const char *sql, *want;
};

/* What writers do and what must hold. Each transaction that it acknowledges has a row in `journal`, written by the same transaction. */
struct workload {
    const char *name, *what;
    const char *schema;
    const char *wrong;       /* the schema that breaks its promise, for --wrong; NULL: `write` breaks it where cell->wrong */
    int (*write)(struct client *c, uint64_t n);  /* one transaction; not QUARTET_OK: it did not happen, or the outcome is unknown */
    const struct look *looks; /* of readers, in every snapshot, and at the end */
    const struct look *ends;  /* at the end, on every node */
    void (*check)(struct cell *x, int slot); /* besides; NULL: nothing */
    unsigned refuses;        /* MATRIX_STATUS of what may be answered at any time */
};
extern const struct workload matrix_workloads[]; /* ends with a NULL name */

struct fault {
    const char *name, *what;
    bool (*begin)(struct cell *x); /* before nodes are started; NULL: nothing. False: it cannot be made here, and x->why says why */
    void (*on)(struct cell *x);
    void (*off)(struct cell *x);
    void (*end)(struct cell *x);   /* when nodes are stopped; NULL: nothing */
    bool wires;                    /* needs network namespaces */
    unsigned fails;                /* MATRIX_STATUS of what clients of a disturbed node may be answered */
    double equal_s;                /* nodes are equal within this time after it */
};
extern const struct fault matrix_faults[]; /* likewise */

struct cell {
    struct proc p;
    struct wires *wires;         /* NULL: all on loopback */
    const struct workload *work;
    const struct fault *fault;
    double seconds;
    bool wrong;                  /* the workload breaks its promise: something must be found */
    bool trace;                  /* tell what clients are told */
    atomic_bool stop;
    pthread_mutex_t lock;        /* of what is found */
    unsigned found;
    char first[1024];            /* the first that was found */
    char why[256];
    struct client writers[CLUSTER_NODES], readers[CLUSTER_NODES];
    /* The fault's. */
    unsigned victims;            /* a bit each */
    int disk;                    /* the node with a small disk; -1: none */
    int clock;                   /* the node with a clock of its own; -1: none */
};

/* A promise is broken: printed, counted. */
void matrix_found(struct cell *x, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t matrix_draw(struct client *c, uint64_t below);
/* Statements on the client's connection; after a failure no transaction is open. */
int matrix_run(struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* One integer from a query; NULL and no row are 0. */
int matrix_number(struct client *c, int64_t *out, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* "INSERT INTO journal VALUES (...)" for transaction n; valid until the next call. */
const char *matrix_journal(struct client *c, uint64_t n, int kind, int64_t a, int64_t b, int64_t v);

/* matrix_client.c */
bool matrix_start_clients(struct cell *x);
void matrix_join_clients(struct cell *x);
void matrix_free_clients(struct cell *x);
void matrix_ask_unknown(struct cell *x);           /* what became of them, when all nodes are back */
void matrix_check_node(struct cell *x, int slot);  /* when the nodes are equal */

/* matrix_fault.c: for cluster_hosts.enter, with the cell as its argument. */
void matrix_enter(const void *cell, int slot);

#endif

/* demo.h - the demonstration of ./start cluster: what its files share. */
#ifndef SHELL_DEMO_H
#define SHELL_DEMO_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "clock.h"
#include "cluster.h"
#include "quartet.h"

#define DEMO_WRITES_MAX 4000000u /* of one writer */
#define DEMO_NEW_CITY 100000000  /* ids of inserted cities: this * (writer + 1) + n */

/* One writer: its own thread, connection and numbers. What it was told is kept, to be checked at the end. */
struct demo_writer {
    struct demo *demo;
    int slot;
    pthread_t thread;
    bool started;
    uint8_t *told;            /* per n: 1 acknowledged, 2 outcome unknown; written by its thread, read after the join */
    uint64_t next;
    atomic_uint_fast64_t acknowledged, unknown, refused, moves;
    char url[8192];
    char last_error[512];     /* read after the join */
};

struct demo {
    struct cluster cluster;
    struct demo_writer writers[CLUSTER_NODES];
    int64_t cities;           /* loaded */
    int64_t first_city, last_city;
    atomic_bool stop;         /* writers: end */
    atomic_bool interrupted;  /* Ctrl-C */
    bool tty;
    double started, deadline; /* seconds, monotonic */
};

/* The CSV text of the cities, from its start; the caller's to fclose. */
FILE *demo_cities(const char *project, bool *sample, char *error, size_t error_bytes);
/* demo_write.c */
bool demo_load(struct demo *d, FILE *cities);
bool demo_start_writers(struct demo *d);
void demo_join_writers(struct demo *d);
/* demo_check.c: wait until all nodes agree, then hold everything against what the writers were told. Prints what it finds. */
bool demo_check(struct demo *d);
/* Each node's vector and hash, and its last log lines: for a run that failed. */
void demo_print_states(struct demo *d);

#endif

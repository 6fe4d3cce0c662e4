/* workload.h - a user's schema and workload file (docs/CHECK.md), read once, with every limit and error named by file and line. */
#ifndef TESTS_SUITE_WORKLOAD_H
#define TESTS_SUITE_WORKLOAD_H

#include "base/arena.h"
#include "crdt/value.h"

#define WORKLOAD_FILE_BYTES_MAX (1u << 20)
#define WORKLOAD_TRANSACTIONS_MAX 64u
#define WORKLOAD_INVARIANTS_MAX 64u
#define WORKLOAD_STATEMENTS_MAX 256u /* of one section, and of the schema */
#define WORKLOAD_DRAWS_MAX 32u       /* of one transaction */
#define WORKLOAD_CHOICES_MAX 256u    /* of one list */
#define WORKLOAD_NAMES_MAX 16u       /* of one let */
#define WORKLOAD_WEIGHT_MAX 1000u

enum draw_kind {
    DRAW_RANGE,  /* lo..hi, both included */
    DRAW_CHOICE, /* ('a', 'b', 3) */
    DRAW_UUID,
    DRAW_UNIQUE  /* an integer that no other transaction of the run has */
};
struct draw {
    const char *name; /* without the ':' */
    uint8_t kind;
    int64_t lo, hi;
    struct value *choices;
    uint32_t choice_count, line;
};

enum line_kind {
    LINE_SQL,
    LINE_LET,    /* names = first row's columns; no row: the transaction is given up */
    LINE_REQUIRE /* an expression; not true: given up */
};
struct wl_stmt {
    uint8_t kind;
    uint32_t line;
    const char *sql; /* LET: the query. REQUIRE: SELECT 1 WHERE (...) */
    const char *shown; /* as it was written, on one line */
    const char *names[WORKLOAD_NAMES_MAX];
    uint32_t name_count;
};
struct wl_stmts {
    struct wl_stmt *item;
    uint32_t count;
};
struct wl_txn {
    const char *name;
    uint32_t weight, line, draw_count;
    struct draw draws[WORKLOAD_DRAWS_MAX];
    struct wl_stmts body;
};
struct wl_invariant {
    const char *name;
    const char *sql;
    uint32_t line;
    bool same; /* all nodes must answer alike at the end; else: it must return no row, ever */
};
struct workload {
    struct arena arena;
    const char *schema_file, *file;
    struct wl_stmts schema, setup, session;
    struct wl_txn *txns;
    struct wl_invariant *invariants;
    uint32_t txn_count, invariant_count;
};

/* Reads both files. On failure the text begins with FILE:LINE. The paths are borrowed. */
quartet_status workload_read(struct workload *w, const char *schema_file, const char *file, struct err *err);
void workload_free(struct workload *w);

#endif

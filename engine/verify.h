/* verify.h - `quartet verify`: everything that a database's directory, or a backup, says of itself is checked, and what is wrong is named.
 *
 * Nothing is changed. The base's pages are read one by one (verify_base.c) before LMDB, which trusts its file, may see them; then the log (verify_log.c); then, where
 * the base is sound enough to be opened, what its trees say of each other (verify_rows.c). */
#ifndef ENGINE_VERIFY_H
#define ENGINE_VERIFY_H

#include "crdt/delta_sign.h"
#include "db.h"

#define VERIFY_FINDINGS_MAX 1000u /* that are kept; the others are counted */

struct verify_finding {
    char file[64];     /* "base.mdb", "log/00000001", ... */
    int64_t offset;    /* in it; -1: not one place */
    tree_id tree;      /* 0: none */
    char table[128];   /* "table t", "index i of table t", "tree 4711"; empty: none */
    char key[200];     /* as values, or hexadecimal; empty: none */
    uint8_t raw_key[64];
    size_t raw_key_bytes;
    char what[256];
};
struct verify_keys { /* public keys by slot, to check signatures with */
    struct verify_key {
        uint8_t slot, key[32];
    } of[SLOTS_MAX + 64u]; /* members', and those of nodes that were evicted */
    uint32_t count;
    struct cluster_id cluster;
};
struct verify {
    struct env *env;
    const char *dir;
    const struct verify_keys *keys; /* NULL: signatures are not checked */
    struct verify_finding *findings; /* owned */
    size_t count, cap;
    uint64_t found;                  /* all of them */
    bool backup, damaged_pages;
    bool unread; /* damage was in the way: not everything was compared */
    uint64_t pages, blocks, rows, entries, tables, indexes, records, batches, signatures; /* looked at */
};

/* Check it all. QUARTET_OK: see v->found. QUARTET_BUSY: in use. QUARTET_NOTFOUND: no database. */
quartet_status verify_run(struct verify *v, struct err *err);
void verify_deinit(struct verify *v);

/* The parts. Each adds findings and returns another status than QUARTET_OK only where it could not look. */
quartet_status verify_base(struct verify *v, struct err *err);
quartet_status verify_log(struct verify *v, struct err *err);
quartet_status verify_rows(struct verify *v, struct err *err);
void verify_add(struct verify *v, const char *file, int64_t offset, tree_id tree, struct slice key, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

#endif

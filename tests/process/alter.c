/* alter.c - makes a stopped node diverge, as a mistake in merging would: changes one text in one row of its base, and the table's state hash with it, so that all that the node checks
 * by itself is right. `process-alter DIR TABLE KEY COLUMN TEXT`, for a table whose key is one INTEGER. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/catalog.h"
#include "engine/db_internal.h"

static quartet_status alter(db *d, const struct table_def *t, struct slice key, const char *column, const char *text, struct err *err)
{
    struct arena arena = {0};
    struct buf old = {0}, hashed = {0}, record = {0};
    struct row row;
    kv_snap *snap = NULL;
    struct table_state *s = db_table(d, t->id, err);
    quartet_status rc = s == NULL ? QUARTET_NOMEM : kv_snapshot_latest(d->store, &snap, err);
    if (rc == QUARTET_OK)
        rc = kv_get(snap, NULL, t->id, key, &old, err);
    kv_release(snap);
    if (rc == QUARTET_OK)
        rc = row_decode(slice_of(old.data, old.len), &t->rows, &arena, &row, err);
    if (rc == QUARTET_OK) {
        state_hash_sub(&s->hash, row_hash(&row, &t->rows, t->record_ids, t->id, key, &d->chains, &hashed));
        for (uint32_t i = 0; i < t->rows.count; i++)
            if (strcmp(t->columns[t->record_columns[i]].name, column) == 0)
                row.lives[0].cells[i].value = value_text(text, strlen(text));
        state_hash_add(&s->hash, row_hash(&row, &t->rows, t->record_ids, t->id, key, &d->chains, &hashed));
        rc = row_encode(&row, &t->rows, &d->chains, &record, err);
    }
    struct kv_op op = {.tree = t->id, .key = key, .record = slice_of(record.data, record.len)};
    if (rc == QUARTET_OK)
        rc = kv_apply(d->store, &op, 1, ++d->applied_no, err);
    if (rc == QUARTET_OK)
        kv_publish(d->store, d->applied_no);
    arena_free_all(&arena);
    buf_deinit(&old);
    buf_deinit(&hashed);
    buf_deinit(&record);
    return rc;
}

int main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct db_options options = {0};
    struct buf key = {0};
    db *d = NULL;
    if (argc != 6) {
        fprintf(stderr, "usage: process-alter DIR TABLE KEY COLUMN TEXT\n");
        return 64;
    }
    quartet_status rc = db_open(env_posix(), argv[1], &options, &d, &err);
    const struct table_def *t = rc == QUARTET_OK ? catalog_table(d->catalog, argv[2]) : NULL;
    if (rc == QUARTET_OK && t == NULL)
        rc = err_set(&err, QUARTET_NOTFOUND, "no such table: %s", argv[2]);
    if (rc == QUARTET_OK && t != NULL) {
        struct value v = value_int(strtoll(argv[3], NULL, 10));
        key_put(&key, &t->keys[0], &v);
        rc = alter(d, t, slice_of(key.data, key.len), argv[4], argv[5], &err);
    }
    struct err closing = ERR_INIT;
    if (d != NULL && db_close(d, &closing) != QUARTET_OK && rc == QUARTET_OK) {
        rc = closing.code;
        err = closing;
    }
    buf_deinit(&key);
    if (rc != QUARTET_OK)
        fprintf(stderr, "process-alter: %s\n", err.text);
    return rc == QUARTET_OK ? 0 : 1;
}

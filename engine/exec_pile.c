/* exec_pile.c - rows on piles by their key's hash.
 * Why piles and not one sorted file: nothing that works by keys needs an order, and a row is written once for each level instead of being sorted and merged. */
#include "exec_pile.h"

#include "base/map.h"
#include "db_internal.h"

#define FEED_ROWS 256u

bool piles_begin(const struct exec *e, uint32_t depth, size_t used)
{
    return used > e->limits.memory_bytes / PILE_FULL_SHARE && depth < PILES_DEEP && db_temp_dir(txn_db(e->t)) != NULL;
}

static quartet_status run_new(const struct exec *e, spill **out, struct err *err)
{
    db *d = txn_db(e->t);
    quartet_status rc = *out != NULL ? QUARTET_OK : spill_new(db_env(d), db_temp_dir(d), out, err);
    return rc == QUARTET_OK ? spill_run_begin(*out, err) : rc;
}

static quartet_status row_bytes(struct buf *out, const struct vec *cols, uint32_t col_count, uint32_t row, struct err *err)
{
    buf_clear(out);
    for (uint32_t c = 0; c < col_count; c++) {
        struct value v = vec_get(&cols[c], row);
        value_encode(out, &v);
    }
    return buf_check(out, err);
}

quartet_status piles_put(struct piles *p, const struct exec *e, uint32_t depth, const struct vec *keys, const uint8_t *flags, uint32_t key_count,
                         const struct vec *cols, uint32_t col_count, uint32_t row, struct err *err)
{
    static const struct spill_key as_they_come = {0};
    buf_clear(&p->key);
    for (uint32_t i = 0; i < key_count; i++)
        cell_key_put_vec(&p->key, &keys[i], row, flags != NULL ? flags[i] : 0);
    quartet_status rc = buf_check(&p->key, err);
    if (rc == QUARTET_OK)
        rc = row_bytes(&p->row, cols, col_count, row, err);
    if (rc != QUARTET_OK)
        return rc;
    struct pile *to = &p->making[hash64(p->key.data, p->key.len, depth + 1) % PILES];
    if (to->rows == NULL)
        rc = run_new(e, &to->rows, err);
    return rc == QUARTET_OK ? spill_run_put(to->rows, &as_they_come, slice_of(p->row.data, p->row.len), err) : rc;
}

quartet_status piles_end(struct piles *p, uint32_t depth, bool empty, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < PILES && rc == QUARTET_OK; i++) {
        if (p->making[i].rows == NULL && !empty)
            continue;
        if (p->making[i].rows != NULL)
            rc = spill_run_end(p->making[i].rows, err);
        QASSERT(p->waiting_count < sizeof p->waiting / sizeof p->waiting[0]);
        p->waiting[p->waiting_count++] = (struct pile){.rows = p->making[i].rows, .depth = depth + 1};
        p->making[i].rows = NULL;
    }
    return rc;
}

quartet_status piles_take(struct piles *p, struct pile *out, struct err *err)
{
    QASSERT(p->waiting_count > 0);
    *out = p->waiting[--p->waiting_count];
    return out->rows != NULL ? spill_read(out->rows, err) : QUARTET_OK;
}

quartet_status pile_feed(spill *rows, struct vec *cols, uint32_t col_count, struct arena *a, struct batch *out, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    arena_rewind(a, (struct arena_mark){0});
    *out = (struct batch){.col_count = col_count, .cols = cols};
    while (rows != NULL && rc == QUARTET_OK && out->n < FEED_ROWS && (out->n == 0 || a->used_bytes < a->limit_bytes / 8)) {
        struct slice row;
        rc = spill_next(rows, &row, err);
        if (rc != QUARTET_OK || row.p == NULL)
            break;
        rc = spill_row_put(row, out, BATCH_ROWS_MAX, a, err);
    }
    return rc;
}

void piles_reset(struct piles *p)
{
    for (uint32_t i = 0; i < PILES; i++)
        spill_free(p->making[i].rows);
    for (uint32_t i = 0; i < p->waiting_count; i++)
        spill_free(p->waiting[i].rows);
    memset(p->making, 0, sizeof p->making);
    p->waiting_count = 0;
}

void piles_deinit(struct piles *p)
{
    piles_reset(p);
    buf_deinit(&p->key);
    buf_deinit(&p->row);
    p->key = p->row = (struct buf){0};
}

/* ---- in the order of their numbers ---- */

quartet_status late_put(struct late_rows *l, const struct exec *e, struct buf *scratch, uint64_t number, const struct vec *cols, uint32_t col_count, uint32_t row,
                        struct err *err)
{
    struct spill_key key = {.first = number};
    quartet_status rc = l->open ? QUARTET_OK : run_new(e, &l->rows, err);
    l->open = rc == QUARTET_OK;
    if (rc == QUARTET_OK)
        rc = row_bytes(scratch, cols, col_count, row, err);
    return rc == QUARTET_OK ? spill_run_put(l->rows, &key, slice_of(scratch->data, scratch->len), err) : rc;
}

quartet_status late_run_end(struct late_rows *l, struct err *err)
{
    bool open = l->open;
    l->open = false;
    return open ? spill_run_end(l->rows, err) : QUARTET_OK;
}

void late_reset(struct late_rows *l)
{
    spill_free(l->rows);
    *l = (struct late_rows){0};
}

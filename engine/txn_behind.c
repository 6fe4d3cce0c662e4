/* txn_behind.c - see txn_behind.h.
 * Why: merging is a third of a load's COMMIT or more, and needs nothing that writing the delta makes. A row is copied and read twice for it, which is a sixth of what it
 *   saves the committer.
 * Invariants: rows are merged in the order in which they were given; the committer merges none itself, and looks at nothing that merging changes, before it has drained. */
#include "txn_behind.h"

#include <string.h>

#include "base/mem.h"
#include "kv_behind.h"
#include "txn_op.h"

#define BEHIND_BYTES (256u << 10) /* handed over at a time */

struct txn_behind {
    struct applying *a;
    kv_behind *rows;
    struct txn_op_memory op; /* the thread's */
};
struct behind_row { /* before each row's bytes */
    const struct table_def *t;
    uint32_t key_bytes, record_bytes;
};

static quartet_status merge(void *arg, const uint8_t *p, size_t n, struct err *err)
{
    txn_behind *b = arg;
    quartet_status rc = QUARTET_OK;
    for (const uint8_t *end = p + n; rc == QUARTET_OK && p < end;) {
        struct behind_row row;
        struct row_op op;
        struct apply_values values;
        bool empty;
        memcpy(&row, p, sizeof row);
        p += sizeof row;
        struct slice key = slice_of(p, row.key_bytes), record = slice_of(p + row.key_bytes, row.record_bytes);
        p += key.n + record.n;
        rc = txn_op_read(&b->op, row.t, record, &op, &values, &empty, err);
        if (rc == QUARTET_OK)
            rc = apply_row(b->a, key, &op, values.bytes != NULL ? &values : NULL, err);
    }
    return rc;
}

quartet_status txn_behind_new(struct applying *a, txn_behind **out, struct err *err)
{
    txn_behind *b = mem_zalloc(1, sizeof *b);
    if (b == NULL)
        return err_nomem(err);
    b->a = a;
    quartet_status rc = kv_behind_new(true, BEHIND_BYTES, merge, b, &b->rows, err);
    if (rc == QUARTET_OK)
        *out = b;
    else
        mem_free(b);
    return rc;
}

quartet_status txn_behind_row(txn_behind *b, const struct table_def *t, struct slice key, struct slice record, struct err *err)
{
    struct behind_row row = {.t = t, .key_bytes = (uint32_t)key.n, .record_bytes = (uint32_t)record.n};
    struct buf *to = kv_behind_fill(b->rows);
    buf_put(to, &row, sizeof row);
    buf_put(to, key.p, key.n);
    buf_put(to, record.p, record.n);
    return kv_behind_filled(b->rows, err);
}

quartet_status txn_behind_drain(txn_behind *b, struct err *err)
{
    return b == NULL ? QUARTET_OK : kv_behind_drain(b->rows, err);
}

void txn_behind_free(txn_behind *b)
{
    if (b == NULL)
        return;
    kv_behind_free(b->rows);
    txn_op_deinit(&b->op);
    mem_free(b);
}

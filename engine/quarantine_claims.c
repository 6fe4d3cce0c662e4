/* quarantine_claims.c - the rows that SYS_QUARANTINE lists, and what each breaks, asked of claim.c row by row.
 * Why asked again: the list says which rows, not why; the reason is a function of the state, and people want the one that holds now. */
#include "quarantine_claims.h"

#include "base/mem.h"
#include "table_internal.h"

struct quarantine_claims {
    txn *t;
    kv_iter *it;
    struct kv_rows rows;
    uint32_t at;
    struct chain_table chains; /* as of the beginning: what versions name */
    struct claim_view view;
    struct claim_row row;
    struct claim_tests *tests; /* of `of` */
    const struct table_def *of;
    struct arena a;
};

static quartet_status copy_chains(quarantine_claims *q, struct err *err)
{
    db *d = q->t->d;
    if (!q->t->exclusive)
        pthread_mutex_lock(&d->commit_lock);
    quartet_status rc = chain_table_follow(&q->chains, &d->chains, err);
    if (!q->t->exclusive)
        pthread_mutex_unlock(&d->commit_lock);
    return rc;
}

quartet_status quarantine_claims_open(txn *t, quarantine_claims **out, struct err *err)
{
    struct kv_range all = {.hi_open = true};
    struct kv_want want = {.keys = true};
    quarantine_claims *q = mem_zalloc(1, sizeof *q);
    if (q == NULL)
        return err_nomem(err);
    q->t = t;
    quartet_status rc = copy_chains(q, err);
    q->view = (struct claim_view){.snap = t->snap, .chains = &q->chains};
    if (rc == QUARTET_OK)
        rc = txn_note_range(t, SYS_QUARANTINE, &all, err);
    if (rc == QUARTET_OK)
        rc = kv_iter_open(t->snap, NULL, SYS_QUARANTINE, &all, &want, &q->it, err);
    if (rc != QUARTET_OK)
        quarantine_claims_close(q);
    else
        *out = q;
    return rc;
}

void quarantine_claims_close(quarantine_claims *q)
{
    if (q == NULL)
        return;
    kv_iter_close(q->it);
    claim_view_deinit(&q->view);
    claim_row_deinit(&q->row);
    claim_tests_free(q->tests);
    chain_table_deinit(&q->chains);
    arena_free_all(&q->a);
    mem_free(q);
}

static quartet_status take_table(quarantine_claims *q, tree_id id, struct err *err)
{
    if (q->of != NULL && q->of->id == id)
        return QUARTET_OK;
    claim_tests_free(q->tests);
    q->tests = NULL;
    q->of = catalog_table_by_id(q->t->catalog, id);
    return q->of != NULL && !q->of->dropped && claim_tested(q->of) ? claim_tests_new(q->t->catalog, q->of, &q->tests, err) : QUARTET_OK;
}

/* One entry of the list. */
static quartet_status take(quarantine_claims *q, struct slice entry, struct quarantine_claim *out, bool *found, struct err *err)
{
    static const struct key_column id_key = {.kind = KEY_INT, .type = VALUE_INTEGER}, raw_key = {.kind = KEY_BYTES, .type = VALUE_BLOB};
    struct bytes_in in = bytes_in(entry.p, entry.n);
    struct value table, key;
    struct slice record;
    bool own = false, there;
    arena_rewind(&q->a, (struct arena_mark){0});
    if (!key_get(&in, &id_key, &table, &q->a) || !key_get(&in, &raw_key, &key, &q->a) || table.type != VALUE_INTEGER || key.type != VALUE_BLOB)
        return err_set(err, QUARTET_CORRUPT, "a damaged key in quartet_quarantined");
    quartet_status rc = take_table(q, (tree_id)table.i, err);
    if (rc != QUARTET_OK || q->of == NULL || q->of->dropped)
        return rc;
    if (txn_has_writes(q->t))
        rc = txn_row(q->t, q->of->id, key.s, q->t->statement, &record, &own, &there, err);
    if (rc != QUARTET_OK || own)
        return rc;
    rc = txn_note_point(q->t, q->of->id, key.s, err);
    if (rc == QUARTET_OK)
        rc = claim_row_read(&q->view, q->of, key.s, &q->row, err);
    if (rc != QUARTET_OK || !q->row.live || !q->row.hidden)
        return rc;
    *out = (struct quarantine_claim){.table = q->of, .key = key.s, .values = q->row.values};
    *found = true;
    return claim_why(&q->view, q->of, q->tests, key.s, &q->row, &out->why, err);
}

quartet_status quarantine_claims_next(quarantine_claims *q, struct quarantine_claim *out, bool *found, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    *found = false;
    while (rc == QUARTET_OK && !*found) {
        if (q->at == q->rows.n) {
            q->at = 0;
            rc = kv_iter_next(q->it, 0, &q->rows, err);
            if (rc != QUARTET_OK || q->rows.n == 0)
                return rc;
        }
        rc = take(q, q->rows.keys[q->at++], out, found, err);
    }
    return rc;
}

/* ---- what is told ---- */

/* The COUNTER that is beyond its bound; NULL: none is. */
static const struct column_def *beyond(const struct quarantine_claim *c)
{
    for (uint32_t i = 0; c->table->bounded && i < c->table->visible_count; i++) {
        const struct column_def *col = &c->table->columns[i];
        if (col->record_at >= 0 && bounded_any(&col->bound) &&
            !bounded_holds(&col->bound, row_counter_number(&c->table->rows.columns[col->record_at], &c->values[i])))
            return col;
    }
    return NULL;
}

const char *quarantine_claim_reason(const struct quarantine_claim *c)
{
    return c->why.column != NULL ? "NOT NULL" : c->why.index != NULL ? "UNIQUE" : c->why.check != NULL && beyond(c) != NULL ? "BOUND" : "CHECK";
}

void quarantine_claim_name(const struct quarantine_claim *c, struct buf *out)
{
    const struct check_def *check = c->why.check;
    if (c->why.column != NULL)
        buf_str(out, c->why.column->name);
    else if (c->why.index != NULL)
        buf_str(out, c->why.index->name);
    else if (check != NULL)
        buf_str(out, check->name != NULL ? check->name : check->text != NULL ? check->text : "check");
}

/* "email = 'x@', which the row 7 has" */
static quartet_status put_owner(const struct quarantine_claim *c, struct arena *a, struct buf *out, struct err *err)
{
    const struct index_def *ix = c->why.index;
    struct value owner;
    for (uint32_t i = 0; i < ix->column_count; i++) {
        buf_printf(out, "%s%s = ", i > 0 ? ", " : "", c->table->columns[ix->columns[i]].name);
        value_to_literal(&c->values[ix->columns[i]], out);
    }
    quartet_status rc = table_key_text(c->table, c->why.owner, a, &owner, err);
    if (rc != QUARTET_OK)
        return rc;
    buf_str(out, " belongs to ");
    if (owner.type == VALUE_NULL) {
        buf_str(out, "another row");
        return QUARTET_OK;
    }
    buf_printf(out, "the row with %s = ", c->table->columns[c->table->key_columns[0]].name);
    buf_put(out, owner.s.p, owner.s.n);
    return QUARTET_OK;
}

quartet_status quarantine_claim_detail(const struct quarantine_claim *c, struct arena *a, struct buf *out, struct err *err)
{
    const struct column_def *counter = c->why.check != NULL ? beyond(c) : NULL;
    quartet_status rc = QUARTET_OK;
    if (c->why.column != NULL) {
        buf_printf(out, "%s is NULL", c->why.column->name);
    } else if (c->why.index != NULL) {
        rc = put_owner(c, a, out, err);
    } else if (counter != NULL) {
        buf_printf(out, "%s = ", counter->name);
        value_to_literal(&c->values[counter - c->table->columns], out);
        buf_str(out, " is beyond its bound");
    } else {
        buf_str(out, "the condition is false for this row, or cannot be evaluated");
    }
    return rc == QUARTET_OK ? buf_check(out, err) : rc;
}

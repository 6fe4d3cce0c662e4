/* exec_history.c - what AS OF names as a stamp, and BACKTRACK: old values written as new ones.
 * Why an ordinary statement: it replicates, is validated and undone like any other, and loses no write that it has not seen.
 * How: the rows as they were and as they are come in the order of the primary key, so one walk finds what differs. Where a UNIQUE value is still held by
 *   a row that comes later, the row waits for the end; rows that wait for each other in a circle are deleted and inserted.
 * Invariants: the scans see none of what is written meanwhile; rows that do not differ are not written.
 * Not here: what rows were (history.c). */
#include <string.h>

#include "db.h"
#include "exec_write.h"

quartet_status exec_as_of(uint8_t kind, const struct expr *e, struct expr_ctx *ctx, hlc_stamp *out,
                          struct err *err)
{
    struct value v;
    struct type_decl to = {.type = kind == AST_AS_OF_STAMP ? VALUE_INTEGER : VALUE_TIMESTAMP};
    quartet_status rc = expr_value(e, ctx, NULL, 0, &v, err);
    if (rc == QUARTET_OK && v.type != VALUE_NULL)
        rc = types_convert(&to, NULL, &v, ctx->arena, err);
    if (rc != QUARTET_OK)
        return rc;
    if (v.type == VALUE_NULL || (kind == AST_AS_OF_STAMP && v.i <= 0))
        return err_set_at(err, QUARTET_ERROR, e->sql_offset, "AS OF takes a time or a stamp, not %s",
                          v.type == VALUE_NULL ? "NULL" : "a number below 1");
    *out = kind == AST_AS_OF_STAMP ? (hlc_stamp)v.i : db_stamp_of_time(v.i);
    if (*out == 0)
        *out = 1; /* long before any history */
    return QUARTET_OK;
}

/* ---- BACKTRACK ---- */

struct side {
    table_scan *scan;
    struct batch b;
    uint32_t at;
};
struct xbacktrack {
    struct xnode x;
    bool done;
    hlc_stamp as_of;
    const struct table_def *table;
    struct side was, is;
    struct value *old, *now; /* of the row in hand */
    struct table_write *writes;
    struct buf waiting; /* rows: u32 length and the key, then all values */
    struct arena scratch, columns;
};

static quartet_status side_next(struct xbacktrack *x, struct side *s, struct err *err)
{
    s->at = 0;
    quartet_status rc = exec_check(x->x.run->e, err);
    return rc == QUARTET_OK ? table_scan_next(s->scan, 0, &s->b, err) : rc;
}

static void side_values(const struct side *s, struct value *out)
{
    for (uint32_t i = 0; i < s->b.col_count; i++)
        out[i] = vec_get(&s->b.cols[i], batch_row(&s->b, s->at));
}

static quartet_status counter_back(const struct column_def *c, const struct value *was,
                                   const struct value *is, struct value *out, struct err *err)
{
    *out = *was;
    if (was->type == VALUE_INTEGER && is->type == VALUE_INTEGER) {
        if (__builtin_sub_overflow(was->i, is->i, &out->i))
            return err_set(err, QUARTET_ERROR, "integer overflow in COUNTER %s", c->name);
        return QUARTET_OK;
    }
    if (was->type != VALUE_DECIMAL || is->type != VALUE_DECIMAL || was->scale != is->scale)
        return err_set(err, QUARTET_INTERNAL, "COUNTER %s holds a value of another type", c->name);
    out->dec = dec_make(dec_get(was->dec) - dec_get(is->dec));
    return QUARTET_OK;
}

/* A MAXIMUM that goes back begins anew: what was larger no longer counts. */
static uint8_t back_op(uint8_t kind)
{
    return kind == ROW_COUNTER ? ROW_ADD : kind == ROW_MAXIMUM || kind == ROW_MINIMUM ? ROW_CUT : ROW_PUT;
}

/* x->old over x->now, which is there. */
static quartet_status set_back(struct xbacktrack *x, struct slice key, struct err *err)
{
    const struct table_def *t = x->table;
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->column_count; i++) {
        const struct column_def *c = &t->columns[i];
        if (c->key_at >= 0 || c->derived || value_identical(&x->old[i], &x->now[i]))
            continue;
        struct table_write *w = &x->writes[n++];
        *w = (struct table_write){.column = i, .op = back_op(c->kind), .value = x->old[i]};
        quartet_status rc =
            c->kind == ROW_COUNTER ? counter_back(c, &x->old[i], &x->now[i], &w->value, err) : QUARTET_OK;
        if (rc != QUARTET_OK)
            return rc;
    }
    if (n == 0)
        return QUARTET_OK;
    struct exec *e = x->x.run->e;
    quartet_status rc = table_update(e->t, t, key, x->now, x->writes, n, &x->scratch, NULL, err);
    e->changes += rc == QUARTET_OK;
    return rc;
}

static quartet_status insert_back(struct xbacktrack *x, struct err *err)
{
    struct exec *e = x->x.run->e;
    quartet_status rc = table_insert(e->t, x->table, x->old, &x->scratch, NULL, NULL, err);
    e->changes += rc == QUARTET_OK;
    return rc;
}

static quartet_status wait(struct xbacktrack *x, struct slice key, struct err *err)
{
    buf_u32(&x->waiting, (uint32_t)key.n);
    buf_put(&x->waiting, key.p, key.n);
    for (uint32_t i = 0; i < x->table->column_count; i++)
        value_encode(&x->waiting, &x->old[i]);
    return buf_check(&x->waiting, err);
}

/* One row that was, is, or both. */
static quartet_status restore(struct xbacktrack *x, struct slice key, bool was, bool is,
                              struct err *err)
{
    struct exec *e = x->x.run->e;
    arena_rewind(&x->scratch, (struct arena_mark){0});
    quartet_status rc;
    if (!was) {
        rc = table_delete(e->t, x->table, key, NULL, err);
        e->changes += rc == QUARTET_OK;
        return rc;
    }
    rc = is ? set_back(x, key, err) : insert_back(x, err);
    if (rc != QUARTET_CONSTRAINT)
        return rc;
    err_clear(err);
    return wait(x, key, err);
}

static quartet_status walk(struct xbacktrack *x, struct err *err)
{
    quartet_status rc = side_next(x, &x->was, err);
    if (rc == QUARTET_OK)
        rc = side_next(x, &x->is, err);
    while (rc == QUARTET_OK && (x->was.b.n > 0 || x->is.b.n > 0)) {
        int c = x->was.b.n == 0 ? 1 : x->is.b.n == 0 ? -1 : 0;
        if (c == 0)
            c = slice_cmp(x->was.b.keys[x->was.at], x->is.b.keys[x->is.at]);
        struct slice key = c <= 0 ? x->was.b.keys[x->was.at] : x->is.b.keys[x->is.at];
        if (c <= 0)
            side_values(&x->was, x->old);
        if (c >= 0)
            side_values(&x->is, x->now);
        rc = restore(x, key, c <= 0, c >= 0, err);
        if (rc == QUARTET_OK && c <= 0 && ++x->was.at == x->was.b.n)
            rc = side_next(x, &x->was, err);
        if (rc == QUARTET_OK && c >= 0 && ++x->is.at == x->is.b.n)
            rc = side_next(x, &x->is, err);
    }
    return rc;
}

static quartet_status waiting_row(struct xbacktrack *x, struct bytes_in *in, struct slice *key,
                                  struct err *err)
{
    key->n = bytes_u32(in);
    key->p = bytes_take(in, key->n);
    for (uint32_t i = 0; i < x->table->column_count; i++)
        if (!value_decode(in, &x->old[i]))
            return err_set(err, QUARTET_INTERNAL, "a damaged row that waits");
    return QUARTET_OK;
}

/* Rows that had to wait for others. In a circle the first of them makes room by going away: its values come back with its next turn. */
static quartet_status settle(struct xbacktrack *x, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    struct exec *e = x->x.run->e;
    size_t before = SIZE_MAX;
    while (rc == QUARTET_OK && x->waiting.len > 0) {
        struct buf turn = x->waiting;
        bool stuck = turn.len == before;
        before = turn.len;
        x->waiting = (struct buf){0};
        struct bytes_in in = bytes_in(turn.data, turn.len);
        while (rc == QUARTET_OK && in.left > 0) {
            struct slice key;
            bool found = false;
            rc = exec_check(e, err);
            if (rc == QUARTET_OK)
                rc = waiting_row(x, &in, &key, err);
            arena_rewind(&x->columns, (struct arena_mark){0});
            if (rc == QUARTET_OK)
                rc = table_get(e->t, x->table, key, x->now, &x->columns, &found, err);
            if (rc == QUARTET_OK && stuck && found) {
                stuck = false;
                before = SIZE_MAX;
                rc = table_delete(e->t, x->table, key, NULL, err);
                if (rc == QUARTET_OK)
                    rc = wait(x, key, err);
            } else if (rc == QUARTET_OK) {
                rc = restore(x, key, true, found, err);
            }
        }
        buf_deinit(&turn);
        if (rc == QUARTET_OK && stuck)
            rc = err_set(err, QUARTET_CONSTRAINT, "BACKTRACK of table %s: a UNIQUE constraint does not allow what was then", x->table->name);
    }
    return rc;
}

static void sides_close(struct xbacktrack *x)
{
    table_scan_close(x->was.scan);
    table_scan_close(x->is.scan);
    x->was = x->is = (struct side){0};
}

static quartet_status backtrack_table(struct xbacktrack *x, const struct table_def *t,
                                      struct err *err)
{
    struct exec *e = x->x.run->e;
    struct arena a = {0};
    uint32_t n = t->column_count + 1;
    uint32_t *columns = arena_zalloc(&a, n, sizeof *columns);
    x->table = t;
    x->old = arena_zalloc(&a, n, sizeof *x->old);
    x->now = arena_zalloc(&a, n, sizeof *x->now);
    x->writes = arena_zalloc(&a, n, sizeof *x->writes);
    quartet_status rc = columns == NULL || x->old == NULL || x->now == NULL || x->writes == NULL
                            ? arena_fail(&a, err)
                            : QUARTET_OK;
    for (uint32_t i = 0; rc == QUARTET_OK && i < t->column_count; i++)
        columns[i] = i;
    struct scan_want want = {.columns = columns, .column_count = t->column_count, .keys = true};
    if (rc == QUARTET_OK)
        rc = table_scan_open(e->t, t, NULL, NULL, &want, &x->is.scan, err);
    want.as_of = x->as_of;
    want.unjudged = true; /* a row that was out of sight is not to be deleted for that: it comes back as it was, and is judged anew */
    if (rc == QUARTET_OK)
        rc = table_scan_open(e->t, t, NULL, NULL, &want, &x->was.scan, err);
    if (rc == QUARTET_OK)
        rc = walk(x, err);
    if (rc == QUARTET_OK)
        rc = settle(x, err);
    sides_close(x);
    buf_clear(&x->waiting);
    arena_free_all(&a);
    return rc;
}

static quartet_status backtrack_open(struct xnode *x, struct err *err)
{
    (void)err;
    ((struct xbacktrack *)x)->done = false;
    return QUARTET_OK;
}

static quartet_status backtrack_next(struct xnode *node, struct err *err)
{
    struct xbacktrack *x = (struct xbacktrack *)node;
    const struct pbacktrack *p = node->p->u.backtrack;
    node->out.n = 0;
    if (x->done)
        return QUARTET_OK;
    x->done = true;
    tmp_reset(node);
    quartet_status rc = exec_as_of(p->to, p->expr, &node->ctx, &x->as_of, err);
    if (rc == QUARTET_OK && p->table != NULL)
        return backtrack_table(x, p->table, err);
    const struct table_def *t;
    for (uint32_t i = 0; rc == QUARTET_OK && (t = catalog_table_at(txn_catalog(node->run->e->t), i)) != NULL; i++)
        if (!t->is_system) {
            rc = backtrack_table(x, t, err);
            if (rc == QUARTET_CONSTRAINT)
                err_prefix(err, t->name);
        }
    return rc;
}

static void backtrack_close(struct xnode *node)
{
    struct xbacktrack *x = (struct xbacktrack *)node;
    sides_close(x);
    buf_deinit(&x->waiting);
    x->waiting = (struct buf){0};
    arena_free_all(&x->scratch);
    arena_free_all(&x->columns);
}

const struct xkind xkind_backtrack = {sizeof(struct xbacktrack),
                                      {backtrack_open, backtrack_next, backtrack_close},
                                      0};

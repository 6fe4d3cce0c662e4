/* exec_sub.c - subqueries in expressions, and common table expressions.
 * Why answers are kept by outer values: a correlated subquery is asked once per row, but orders of
 * one customer ask the same again. A subquery without outer values runs once. One that reads a
 * recursion's working table is never kept: that table changes below it. */
#include <string.h>

#include "db.h"
#include "exec_internal.h"
#include "txn.h"

#define SUB_CACHE_MAX 20000u /* answers kept for one subquery; then it starts anew */

/* ---- what expressions ask for ---- */

static int64_t host_now(void *arg)
{
    const struct exec *e = arg;
    return txn_now_us(e->t);
}

static quartet_status host_random(void *arg, void *p, size_t n, struct err *err)
{
    const struct exec *e = arg;
    return txn_random(e->t, p, n, err);
}

/* ROLLBACK and FAIL end the statement as ABORT does. */
static quartet_status host_raise(void *arg, int action, struct slice message, struct err *err)
{
    struct exec *e = arg;
    e->ignore_raised = action == AST_RAISE_IGNORE;
    if (e->ignore_raised)
        return err_set(err, QUARTET_CONSTRAINT, "RAISE(IGNORE)");
    return err_set(err, QUARTET_CONSTRAINT, "%.*s", (int)(message.n > 400 ? 400 : message.n), (const char *)message.p);
}

static void forget_answers(struct exec *e)
{
    for (uint32_t i = 0; i < e->p->sub_count; i++) {
        e->subs[i].ready = false;
        e->subs[i].cache_cap = 0;
        e->subs[i].cache.n = 0;
        e->subs[i].cache_answers = NULL;
    }
}

void xsub_forget(struct exec *e)
{
    forget_answers(e);
    for (uint32_t i = 0; i < e->p->cte_count; i++)
        e->ctes[i].filled = false;
}

void xsub_close(struct xsub *s)
{
    keyset_deinit(&s->cache);
    keyset_deinit(&s->set);
    arena_free_all(&s->key_arena);
    arena_free_all(&s->cache_arena);
    arena_free_all(&s->run.data);
}

static bool reads_work(const struct pnode *n)
{
    if (n == NULL)
        return false;
    if (n->kind == PN_CTE_WORK)
        return true;
    for (uint32_t i = 0; n->kind == PN_SET && i < n->u.set->part_count; i++) {
        if (reads_work(n->u.set->parts[i]))
            return true;
    }
    return reads_work(n->child[0]) || reads_work(n->child[1]);
}

static quartet_status sub_make(struct exec *e, struct xsub *s, const struct psub *p,
                               struct err *err)
{
    s->p = p;
    s->made = true;
    s->key = keep_alloc(e, p->dep_count, sizeof *s->key);
    s->never_keep = reads_work(p->root);
    s->key_arena.limit_bytes = s->cache_arena.limit_bytes = e->limits.memory_bytes;
    if (s->key == NULL)
        return arena_fail(&e->keep, err);
    return xrun_make(e, &s->run, p->root, err);
}

/* Is the kept answer the one for the present outer values? If not, note them. */
static quartet_status sub_same(struct exec *e, struct xsub *s, bool *same, struct err *err)
{
    *same = s->ready && !s->never_keep;
    for (uint32_t i = 0; i < s->p->dep_count && *same; i++)
        *same = value_identical(&s->key[i], &e->params[s->p->deps[i] - 1]);
    if (*same)
        return QUARTET_OK;
    s->ready = false;
    arena_rewind(&s->key_arena, (struct arena_mark){0});
    for (uint32_t i = 0; i < s->p->dep_count; i++) {
        s->key[i] = e->params[s->p->deps[i] - 1];
        if (!value_copy(&s->key_arena, &s->key[i]))
            return arena_fail(&s->key_arena, err);
        e->params[s->p->deps[i] - 1] = s->key[i]; /* the run may outlive the row it came from */
    }
    return QUARTET_OK;
}

static quartet_status add_to_set(struct xsub *s, const struct batch *in, const uint8_t *right_to,
                                 struct err *err)
{
    uint32_t n = s->p->out_count, ids[BATCH_ROWS_MAX];
    struct vec *cols = arena_alloc(&s->run.root->tmp, (n + 1) * sizeof *cols);
    if (cols == NULL)
        return arena_fail(&s->run.root->tmp, err);
    for (uint32_t c = 0; c < n; c++) {
        cols[c] = in->cols[c];
        if (right_to[c] == 0)
            continue;
        struct vec *v = &cols[c];
        if (!vec_init(v, VEC_MIXED, BATCH_ROWS_MAX, &s->key_arena))
            return arena_fail(&s->key_arena, err);
        for (uint32_t k = 0; k < in->n; k++) {
            uint32_t row = batch_row(in, k);
            struct value x = vec_get(&in->cols[c], row);
            quartet_status rc = x.type == VALUE_NULL
                                    ? QUARTET_OK
                                    : types_affinity(right_to[c], &x, &s->key_arena, err);
            if (rc != QUARTET_OK)
                return rc;
            v->v[row] = x;
            v->null[row] = x.type == VALUE_NULL;
            v->has_null |= x.type == VALUE_NULL;
        }
    }
    quartet_status rc = keyset_rows(&s->set, cols, in->sel, in->n, true, true, ids, err);
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++)
        s->has_null |= ids[k] == KEYSET_NONE;
    return rc != QUARTET_OK ? rc : rows_append_vecs(&s->rows, cols, in->sel, in->n, err);
}

/* Run it and keep what the question needs. */
static quartet_status sub_run(struct xsub *s, const struct expr *node, bool into_set,
                              const uint8_t *right_to, struct err *err)
{
    struct xnode *root = s->run.root;
    s->has_rows = s->has_null = false;
    rows_init(&s->rows, s->p->out_count, &s->key_arena);
    keyset_init(&s->set, s->p->out_count, s->p->flags, &s->key_arena);
    quartet_status rc = xrun_open(&s->run, err);
    while (rc == QUARTET_OK) {
        rc = root->ops->next(root, err);
        if (rc != QUARTET_OK || root->out.n == 0)
            break;
        s->has_rows = true;
        if (node->op == EXPR_EXISTS)
            break;
        struct batch b = root->out;
        b.col_count = s->p->out_count;
        if (node->op == EXPR_SUBQUERY) {
            b.n = 1; /* of several rows the first, as in SQLite */
            rc = rows_append(&s->rows, &b, err);
            break;
        }
        rc = into_set ? add_to_set(s, &b, right_to, err) : rows_append(&s->rows, &b, err);
    }
    s->ready = rc == QUARTET_OK;
    return rc;
}

/* ---- IN and ANY ---- */

/* 1, 0, or -1 for unknown: does the row of values equal row `r`? */
static int row_equals(const struct xsub *s, const struct value *left, uint32_t n, uint32_t r)
{
    int answer = 1;
    for (uint32_t c = 0; c < n; c++) {
        struct value v = rows_value(&s->rows, r, c);
        if (v.type == VALUE_NULL || left[c].type == VALUE_NULL)
            answer = -1;
        else if (types_compare(&left[c], &v, s->p->flags[c] != 0) != 0)
            return 0;
    }
    return answer;
}

static quartet_status answer_in(struct xsub *s, const struct value *left, uint32_t n,
                                struct value *out, struct err *err)
{
    bool left_null = false;
    *out = value_int(0);
    if (!s->has_rows)
        return QUARTET_OK;
    for (uint32_t c = 0; c < n; c++)
        left_null |= left[c].type == VALUE_NULL;
    if (!left_null) {
        struct vec *cols = arena_alloc(&s->run.root->tmp, (n + 1) * sizeof *cols);
        uint8_t no_null = 0;
        uint32_t id;
        struct value copy[16];
        if (cols == NULL || n > 16)
            return n > 16 ? err_set(err, QUARTET_LIMIT, "IN compares rows of at most 16 values")
                          : arena_fail(&s->run.root->tmp, err);
        for (uint32_t c = 0; c < n; c++) {
            copy[c] = left[c];
            cols[c] = (struct vec){
                .type = left[c].type, .scale = left[c].scale, .constant = true, .null = &no_null};
            cols[c].p = &copy[c].i; /* a value's payload is laid out as a cell of its type */
        }
        quartet_status rc = keyset_rows(&s->set, cols, NULL, 1, false, true, &id, err);
        if (rc != QUARTET_OK)
            return rc;
        if (id != KEYSET_NONE) {
            *out = value_int(1);
            return QUARTET_OK;
        }
        if (!s->has_null)
            return QUARTET_OK;
    }
    if (n == 1) {
        *out = VALUE_NULL_INIT;
        return QUARTET_OK;
    }
    for (uint32_t r = 0; r < s->rows.n; r++) {
        int c = row_equals(s, left, n, r);
        if (c > 0)
            *out = value_int(1);
        else if (c < 0)
            *out = VALUE_NULL_INIT;
        if (c > 0)
            return QUARTET_OK;
    }
    return QUARTET_OK;
}

static bool holds(uint8_t op, int c)
{
    switch (op) {
    case EXPR_NE:
        return c != 0;
    case EXPR_LT:
        return c < 0;
    case EXPR_LE:
        return c <= 0;
    case EXPR_GT:
        return c > 0;
    case EXPR_GE:
        return c >= 0;
    default:
        return c == 0;
    }
}

static quartet_status answer_any(struct exec *e, struct xsub *s, const struct expr *node,
                                 uint8_t op, const struct value *left, struct value *out,
                                 struct err *err)
{
    uint8_t left_to = 0, right_to = 0;
    types_compare_affinity(node->args[0]->affinity, s->p->affinity[0], &left_to, &right_to);
    *out = value_int(0);
    for (uint32_t r = 0; r < s->rows.n; r++) {
        struct value x = left[0], y = rows_value(&s->rows, r, 0);
        quartet_status rc = QUARTET_OK;
        if (x.type == VALUE_NULL || y.type == VALUE_NULL) {
            *out = VALUE_NULL_INIT;
            continue;
        }
        if (left_to != 0)
            rc = types_affinity(left_to, &x, &e->tmp, err);
        if (rc == QUARTET_OK && right_to != 0)
            rc = types_affinity(right_to, &y, &e->tmp, err);
        if (rc != QUARTET_OK)
            return rc;
        if (holds(op, types_compare(&x, &y, s->p->flags[0] != 0))) {
            *out = value_int(1);
            return QUARTET_OK;
        }
    }
    return QUARTET_OK;
}

static quartet_status answer(struct exec *e, struct xsub *s, const struct expr *node,
                             const struct value *left, struct expr_ctx *ctx, struct value *out,
                             struct err *err)
{
    const struct bsub *b = node->u.subquery;
    uint8_t left_to[16] = {0}, right_to[16] = {0};
    struct value converted[16];
    bool same, into_set = node->op == EXPR_IN_QUERY && b->compare == 0;
    if (node->op == EXPR_IN_QUERY && node->arg_count > 16)
        return err_set_at(err, QUARTET_LIMIT, node->sql_offset,
                          "IN compares rows of at most 16 values");
    for (uint32_t i = 0; into_set && i < node->arg_count; i++)
        types_compare_affinity(node->args[i]->affinity, s->p->affinity[i], &left_to[i],
                               &right_to[i]);
    quartet_status rc = sub_same(e, s, &same, err);
    if (rc == QUARTET_OK && !same)
        rc = sub_run(s, node, into_set, right_to, err);
    if (rc != QUARTET_OK)
        return rc;
    if (node->op == EXPR_EXISTS) {
        *out = value_int(s->has_rows);
    } else if (node->op == EXPR_SUBQUERY) {
        *out = s->has_rows ? rows_value(&s->rows, 0, b->column) : VALUE_NULL_INIT;
    } else if (into_set) {
        for (uint32_t i = 0; i < node->arg_count && rc == QUARTET_OK; i++) {
            converted[i] = left[i];
            if (left_to[i] != 0 && left[i].type != VALUE_NULL)
                rc = types_affinity(left_to[i], &converted[i], ctx->arena, err);
        }
        if (rc == QUARTET_OK)
            rc = answer_in(s, converted, node->arg_count, out, err);
    } else {
        rc = answer_any(e, s, node, b->compare, left, out, err);
    }
    return rc;
}

/* Can all rows be looked up in the set as they are? Several columns with a NULL on either side are compared one by one. */
static bool in_rows_fits(const struct xsub *s, const struct expr *node, const struct vec *left, const uint8_t *left_to)
{
    for (uint32_t i = 0; i < node->arg_count; i++) {
        if (left_to[i] != 0 && left[i].type != left_to[i] && left[i].type != VALUE_NULL)
            return false;
        if (node->arg_count > 1 && (s->has_null || left[i].has_null || left[i].type == VALUE_NULL || left[i].type == VEC_MIXED))
            return false;
    }
    return true;
}

static quartet_status host_in_rows(void *arg, const struct expr *node, struct expr_ctx *ctx, const struct vec *left, const struct batch *in,
                                   struct vec *out, bool *done, struct err *err)
{
    struct exec *e = arg;
    const struct bsub *b = node->u.subquery;
    struct xsub *s = &e->subs[*b->plan_index];
    uint8_t left_to[16] = {0}, right_to[16] = {0};
    uint32_t ids[BATCH_ROWS_MAX];
    bool same;
    *done = false;
    if (b->compare != 0 || b->set_count > 0 || node->arg_count > 16)
        return QUARTET_OK;
    quartet_status rc = s->made ? QUARTET_OK : sub_make(e, s, &e->p->subs[*b->plan_index], err);
    for (uint32_t i = 0; i < node->arg_count && rc == QUARTET_OK; i++)
        types_compare_affinity(node->args[i]->affinity, s->p->affinity[i], &left_to[i], &right_to[i]);
    if (rc == QUARTET_OK)
        rc = sub_same(e, s, &same, err);
    if (rc == QUARTET_OK && !same)
        rc = sub_run(s, node, true, right_to, err);
    if (rc != QUARTET_OK || !in_rows_fits(s, node, left, left_to))
        return rc;
    if (!vec_init(out, VALUE_INTEGER, BATCH_ROWS_MAX, ctx->arena))
        return arena_fail(ctx->arena, err);
    if (s->has_rows)
        rc = keyset_rows(&s->set, left, in->sel, in->n, false, true, ids, err);
    for (uint32_t k = 0; k < in->n && rc == QUARTET_OK; k++) {
        uint32_t row = batch_row(in, k), at = left[0].constant ? 0 : row;
        bool found = s->has_rows && ids[k] != KEYSET_NONE;
        bool null = left[0].type == VALUE_NULL || (left[0].type == VEC_MIXED ? left[0].v[at].type == VALUE_NULL : left[0].has_null && left[0].null[at]);
        out->i[row] = found;
        out->null[row] = s->has_rows && !found && (s->has_null || null);
        out->has_null |= out->null[row] != 0;
    }
    *done = rc == QUARTET_OK;
    return rc;
}

static quartet_status host_in_query(void *arg, const struct expr *node, const struct rows **out, struct err *err)
{
    struct exec *e = arg;
    const struct bsub *b = node->u.subquery;
    struct xsub *s = &e->subs[*b->plan_index];
    uint8_t left_to[16] = {0}, right_to[16] = {0};
    bool same;
    QASSERT(b->compare == 0 && b->set_count == 0 && node->arg_count <= 16);
    quartet_status rc = s->made ? QUARTET_OK : sub_make(e, s, &e->p->subs[*b->plan_index], err);
    for (uint32_t i = 0; i < node->arg_count && rc == QUARTET_OK; i++)
        types_compare_affinity(node->args[i]->affinity, s->p->affinity[i], &left_to[i], &right_to[i]);
    if (rc == QUARTET_OK)
        rc = sub_same(e, s, &same, err);
    if (rc == QUARTET_OK && !same)
        rc = sub_run(s, node, true, right_to, err);
    *out = &s->rows;
    return rc;
}

/* The number of the present outer values in the cache, or KEYSET_NONE. */
static quartet_status cache_find(struct exec *e, struct xsub *s, bool insert, uint32_t *id,
                                 struct err *err)
{
    uint32_t n = s->p->dep_count;
    struct vec cols[8];
    uint8_t null[8];
    struct value copy[8];
    for (uint32_t i = 0; i < n; i++) {
        copy[i] = e->params[s->p->deps[i] - 1];
        null[i] = copy[i].type == VALUE_NULL;
        cols[i] = (struct vec){.type = copy[i].type,
                               .scale = copy[i].scale,
                               .constant = true,
                               .has_null = null[i] != 0,
                               .null = &null[i]};
        cols[i].p = &copy[i].i;
    }
    return keyset_rows(&s->cache, cols, NULL, 1, insert, false, id, err);
}

static quartet_status cached_answer(struct exec *e, struct xsub *s, const struct expr *node,
                                    struct expr_ctx *ctx, struct value *out, struct err *err)
{
    uint32_t id = KEYSET_NONE;
    if (s->cache_cap == 0 || s->cache.n >= SUB_CACHE_MAX) {
        arena_rewind(&s->cache_arena, (struct arena_mark){0});
        keyset_init(&s->cache, s->p->dep_count, NULL, &s->cache_arena);
        s->cache_cap = 16;
        s->cache_answers = arena_alloc(&s->cache_arena, s->cache_cap * sizeof *s->cache_answers);
        if (s->cache_answers == NULL)
            return arena_fail(&s->cache_arena, err);
    }
    quartet_status rc = cache_find(e, s, false, &id, err);
    if (rc != QUARTET_OK)
        return rc;
    if (id != KEYSET_NONE) {
        *out = s->cache_answers[id];
        return QUARTET_OK;
    }
    rc = answer(e, s, node, NULL, ctx, out, err);
    if (rc != QUARTET_OK ||
        s->cache_cap == 0) /* a round of a recursion below it has dropped the cache */
        return rc;
    rc = cache_find(e, s, true, &id, err);
    if (rc != QUARTET_OK)
        return rc;
    if (id >= s->cache_cap) {
        struct value *more = arena_alloc(&s->cache_arena, (size_t)s->cache_cap * 2 * sizeof *more);
        if (more == NULL)
            return arena_fail(&s->cache_arena, err);
        memcpy(more, s->cache_answers, s->cache_cap * sizeof *more);
        s->cache_answers = more;
        s->cache_cap *= 2;
    }
    s->cache_answers[id] = *out;
    return value_copy(&s->cache_arena, &s->cache_answers[id]) ? QUARTET_OK
                                                              : arena_fail(&s->cache_arena, err);
}

static quartet_status host_subquery(void *arg, const struct expr *node, struct expr_ctx *ctx,
                                    const struct value *left, const struct batch *in, uint32_t row,
                                    struct value *out, struct err *err)
{
    struct exec *e = arg;
    const struct bsub *b = node->u.subquery;
    struct xsub *s = &e->subs[*b->plan_index];
    quartet_status rc = QUARTET_OK;
    if (!s->made)
        rc = sub_make(e, s, &e->p->subs[*b->plan_index], err);
    for (uint32_t i = 0; i < b->set_count && rc == QUARTET_OK; i++)
        rc = expr_value(b->set_exprs[i], ctx, in, row, &e->params[b->set_params[i] - 1], err);
    if (rc != QUARTET_OK)
        return rc;
    bool small = node->op == EXPR_EXISTS || (node->op == EXPR_SUBQUERY && s->p->out_count == 1);
    if (small && b->set_count > 0 && s->p->dep_count <= 8 && !s->never_keep)
        rc = cached_answer(e, s, node, ctx, out, err);
    else
        rc = answer(e, s, node, left, ctx, out, err);
    if (rc == QUARTET_OK && !value_copy(ctx->arena, out))
        rc = arena_fail(ctx->arena, err);
    return rc;
}

static int64_t host_stamp(void *arg, bool stable)
{
    return (int64_t)txn_newest_stamp(((struct exec *)arg)->t, stable);
}

static quartet_status host_siblings(void *arg, uint64_t table, uint32_t column, struct slice key, struct arena *a, struct value **out, uint32_t *count,
                                    struct err *err)
{
    return table_siblings(((struct exec *)arg)->t, table, column, key, a, out, count, err);
}

static quartet_status host_zone(void *arg, struct slice name, const struct tz **out, struct err *err)
{
    struct exec *e = arg;
    const char *own = e->limits.time_zone != NULL ? e->limits.time_zone : "UTC";
    return tz_find(db_zones(txn_db(e->t)), name.n > 0 ? name : slice_of(own, strlen(own)), out, err);
}

static int64_t host_session(void *arg, bool last_id)
{
    const struct exec *e = arg;
    return last_id ? e->limits.last_insert_id : e->limits.changes;
}

const struct expr_host exec_host = {
    .session = host_session,
    .zone = host_zone,
    .siblings = host_siblings, .now_us = host_now, .stamp = host_stamp, .random = host_random, .subquery = host_subquery, .in_rows = host_in_rows, .in_query = host_in_query, .raise = host_raise};

/* ---- WITH ---- */

struct xwith {
    struct xnode x;
};

static quartet_status with_open(struct xnode *x, struct err *err)
{
    for (uint32_t i = 0; i < x->p->u.with.count; i++)
        x->run->e->ctes[x->p->u.with.ctes[i]].filled = false;
    return child_open(x, 0, err);
}

static quartet_status with_next(struct xnode *x, struct err *err)
{
    quartet_status rc = child_next(x, 0, err);
    x->out = x->child[0]->out;
    return rc;
}

const struct xkind xkind_with = {sizeof(struct xwith), {with_open, with_next, NULL}, 0};

void xcte_close(struct xcte *c, uint32_t step_count)
{
    keyset_deinit(&c->keys);
    arena_free_all(&c->data);
    arena_free_all(&c->last_data[0]);
    arena_free_all(&c->last_data[1]);
    arena_free_all(&c->init.data);
    for (uint32_t i = 0; c->steps != NULL && i < step_count; i++)
        arena_free_all(&c->steps[i].data);
}

static quartet_status cte_make(struct exec *e, struct xcte *c, const struct pcte *p,
                               struct err *err)
{
    quartet_status rc = xrun_make(e, &c->init, p->init, err);
    c->steps = keep_alloc(e, p->step_count, sizeof *c->steps);
    if (c->steps == NULL)
        return arena_fail(&e->keep, err);
    for (uint32_t i = 0; i < p->step_count && rc == QUARTET_OK; i++)
        rc = xrun_make(e, &c->steps[i], p->steps[i], err);
    c->data.limit_bytes = c->last_data[0].limit_bytes = c->last_data[1].limit_bytes =
        e->limits.memory_bytes;
    c->made = true;
    return rc;
}

static quartet_status cte_limit(struct exec *e, const struct expr *x, uint64_t missing,
                                uint64_t *out, struct err *err)
{
    struct value v;
    *out = missing;
    if (x == NULL)
        return QUARTET_OK;
    quartet_status rc = expr_value(x, &e->ctx, NULL, 0, &v, err);
    if (rc == QUARTET_OK && v.type == VALUE_INTEGER && v.i >= 0)
        *out = (uint64_t)v.i;
    return rc;
}

/* All rows of a run go to the whole; those that are new, to `last` too. */
static quartet_status cte_take(struct xcte *c, const struct pcte *p, struct xrun *run,
                               struct err *err)
{
    uint32_t ids[BATCH_ROWS_MAX];
    uint16_t sel[BATCH_ROWS_MAX];
    quartet_status rc = xrun_open(run, err);
    while (rc == QUARTET_OK && c->rows.n < c->limit) {
        rc = run->root->ops->next(run->root, err);
        struct batch b = run->root->out;
        if (rc != QUARTET_OK || b.n == 0)
            break;
        if (p->distinct) {
            uint32_t known = c->keys.n, fresh = 0;
            rc = keyset_rows(&c->keys, b.cols, b.sel, b.n, true, false, ids, err);
            for (uint32_t k = 0; k < b.n && rc == QUARTET_OK; k++) {
                if (ids[k] == known + fresh)
                    sel[fresh++] = (uint16_t)batch_row(&b, k);
            }
            b.sel = sel;
            b.n = fresh;
        }
        if (rc == QUARTET_OK)
            rc = rows_append_vecs(&c->rows, b.cols, b.sel, b.n, err);
        if (rc == QUARTET_OK && p->step_count > 0)
            rc = rows_append_vecs(&c->last, b.cols, b.sel, b.n, err);
    }
    return rc;
}

static quartet_status cte_start(struct exec *e, uint32_t index, struct err *err)
{
    struct xcte *c = &e->ctes[index];
    const struct pcte *p = &e->p->ctes[index];
    quartet_status rc = c->made ? QUARTET_OK : cte_make(e, c, p, err);
    uint64_t limit = UINT64_MAX, offset = 0;
    if (rc == QUARTET_OK)
        rc = cte_limit(e, p->limit, UINT64_MAX, &limit, err);
    if (rc == QUARTET_OK)
        rc = cte_limit(e, p->offset, 0, &offset, err);
    if (rc != QUARTET_OK)
        return rc;
    c->offset = offset;
    c->limit = limit > UINT64_MAX - offset ? UINT64_MAX : limit + offset;
    arena_rewind(&c->data, (struct arena_mark){0});
    arena_rewind(&c->last_data[0], (struct arena_mark){0});
    c->which = 0;
    rows_init(&c->rows, p->col_count, &c->data);
    rows_init(&c->last, p->col_count, &c->last_data[0]);
    keyset_init(&c->keys, p->col_count, p->flags, &c->data);
    c->filled = true; /* before the first rows: what they read of themselves is what is there */
    rc = cte_take(c, p, &c->init, err);
    c->finished = p->step_count == 0;
    return rc;
}

/* One more round of a recursion. */
static quartet_status cte_round(struct exec *e, uint32_t index, struct err *err)
{
    struct xcte *c = &e->ctes[index];
    const struct pcte *p = &e->p->ctes[index];
    struct rows work = c->last;
    quartet_status rc = exec_check(e, err);
    if (work.n == 0 || c->rows.n >= c->limit) {
        c->finished = true;
        return rc;
    }
    c->which = 1 - c->which;
    arena_rewind(&c->last_data[c->which], (struct arena_mark){0});
    rows_init(&c->last, p->col_count, &c->last_data[c->which]);
    const struct rows *before = c->work;
    forget_answers(e); /* some may come from the last round's rows */
    c->work = &work;
    for (uint32_t i = 0; i < p->step_count && rc == QUARTET_OK; i++)
        rc = cte_take(c, p, &c->steps[i], err);
    c->work = before;
    return rc;
}

quartet_status xcte_fill(struct exec *e, uint32_t index, struct err *err)
{
    return e->ctes[index].filled ? QUARTET_OK : cte_start(e, index, err);
}

struct xcte_scan {
    struct xnode x;
    uint32_t at;
    bool started;
    uint16_t sel[BATCH_ROWS_MAX];
};

static quartet_status cte_scan_open(struct xnode *x, struct err *err)
{
    struct xcte_scan *s = (struct xcte_scan *)x;
    s->at = 0;
    s->started = false;
    return out_vecs(x, x->p->col_count, err);
}

/* Rows at .. of a store, up to `end`, as a batch. */
static void rows_view(struct xcte_scan *s, const struct rows *rows, uint64_t end)
{
    struct xnode *x = &s->x;
    x->out.n = 0;
    if (s->at >= end || s->at >= rows->n)
        return;
    const struct rows_chunk *c = &rows->chunks[s->at / BATCH_ROWS_MAX];
    uint32_t from = s->at % BATCH_ROWS_MAX, n = c->n - from;
    if (n > end - s->at)
        n = (uint32_t)(end - s->at);
    memcpy(x->out.cols, c->cols,
           rows->col_count *
               sizeof *x->out.cols); /* the chunk may grow while this batch is in use */
    x->out.sel = NULL;
    if (from > 0) {
        for (uint32_t k = 0; k < n; k++)
            s->sel[k] = (uint16_t)(from + k);
        x->out.sel = s->sel;
    }
    x->out.n = n;
    s->at += n;
}

static quartet_status cte_scan_next(struct xnode *x, struct err *err)
{
    struct xcte_scan *s = (struct xcte_scan *)x;
    struct exec *e = x->run->e;
    struct xcte *c = &e->ctes[x->p->u.cte];
    quartet_status rc = xcte_fill(e, x->p->u.cte, err);
    if (rc == QUARTET_OK && !s->started) {
        s->started = true;
        while (rc == QUARTET_OK && c->rows.n < c->offset && !c->finished)
            rc = cte_round(e, x->p->u.cte, err);
        s->at = c->offset < UINT32_MAX ? (uint32_t)c->offset : UINT32_MAX;
    }
    while (rc == QUARTET_OK && s->at >= c->rows.n && !c->finished)
        rc = cte_round(e, x->p->u.cte, err);
    if (rc == QUARTET_OK)
        rows_view(s, &c->rows, c->limit);
    return rc;
}

const struct xkind xkind_cte_scan = {sizeof(struct xcte_scan),
                                     {cte_scan_open, cte_scan_next, NULL}, 0};

static quartet_status cte_work_next(struct xnode *x, struct err *err)
{
    struct xcte_scan *s = (struct xcte_scan *)x;
    const struct xcte *c = &x->run->e->ctes[x->p->u.cte];
    (void)err;
    x->out.n = 0;
    if (c->work != NULL)
        rows_view(s, c->work, UINT64_MAX);
    return QUARTET_OK;
}

const struct xkind xkind_cte_work = {sizeof(struct xcte_scan),
                                     {cte_scan_open, cte_work_next, NULL}, 0};

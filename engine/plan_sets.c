/* plan_sets.c - conditions that name several places of a key: IN lists, rows in a list, IN of a query that names no column around it, and equalities behind them.
 * Why lookups and not one search for each (plan_union.c): they come in the key's order, none twice, and there may be thousands.
 * Invariant: a set's values are compared as the column compares, so only conditions that leave the column as it is are taken. */
#include "plan_access.h"

#include <string.h>

#include "exec_key.h"

#define LOOKUPS_MAX 10000.0 /* of several sets together; a single list may be longer */

bool access_column(const struct bsource *src, const struct expr *e, uint32_t *column)
{
    if (e->op != EXPR_COLUMN)
        return plan_is_index_expr(src, e, column);
    if (e->u.column < src->first_cid || e->u.column >= src->first_cid + src->count)
        return false;
    *column = e->u.column - src->first_cid;
    return true;
}

bool access_is_outer(struct planner *p, const struct expr *e, const uint64_t *outer, uint64_t *scratch)
{
    memset(scratch, 0, p->words * sizeof *scratch);
    cid_set_add_expr(p, scratch, e);
    for (uint32_t i = 0; i < p->words; i++) {
        if ((scratch[i] & ~(outer != NULL ? outer[i] : 0)) != 0)
            return false;
    }
    return !bind_is_volatile(e) || e->op == EXPR_SUBQUERY;
}

/* ---- finding them ---- */

/* One side of column = outer, by the column's own collation. */
static bool equality(struct planner *p, const struct bsource *src, const struct expr *e, const uint64_t *outer, uint64_t *scratch, uint32_t *column, struct expr **value)
{
    if (e->op != EXPR_EQ || (e->flags & EXPR_NEGATED) != 0)
        return false;
    for (uint32_t side = 0; side < 2; side++) {
        *value = e->args[1 - side];
        if (access_column(src, e->args[side], column) && src->table->columns[*column].nocase == ((e->flags & EXPR_NOCASE) != 0) && access_is_outer(p, *value, outer, scratch))
            return true;
    }
    return false;
}

/* (a, b) IN ((1, 2), (3, 4)), which is a = 1 AND b = 2 OR a = 3 AND b = 4 by now. */
static bool rows_of(struct planner *p, const struct bsource *src, struct conj *c, const uint64_t *outer, uint64_t *scratch, struct tuple *t)
{
    const struct expr *e = c->e;
    if (e->op != EXPR_OR || (e->flags & EXPR_NEGATED) != 0 || e->arg_count == 0)
        return false;
    *t = (struct tuple){.conj = c, .width = e->args[0]->arg_count, .rows = e->arg_count};
    if (e->args[0]->op != EXPR_AND || t->width > TUPLE_WIDTH_MAX)
        return false;
    t->values = arena_zalloc(p->a, (size_t)e->arg_count * t->width, sizeof(struct expr *));
    for (uint32_t r = 0; t->values != NULL && r < e->arg_count; r++) {
        const struct expr *row = e->args[r];
        if (row->op != EXPR_AND || (row->flags & EXPR_NEGATED) != 0 || row->arg_count != t->width)
            return false;
        for (uint32_t k = 0; k < t->width; k++) {
            uint32_t column;
            if (!equality(p, src, row->args[k], outer, scratch, &column, &t->values[(size_t)r * t->width + k]) || (r > 0 && column != t->columns[k]))
                return false;
            t->columns[k] = column;
        }
    }
    return t->values != NULL; /* without memory the condition is asked as it stands */
}

/* a IN (SELECT ...) or (a, b) IN (SELECT ...), of a query that is the same for all rows. */
static quartet_status query_of(struct planner *p, const struct bsource *src, struct conj *c, struct tuple *t, bool *is, struct err *err)
{
    const struct expr *e = c->e;
    const struct psub *sub;
    *is = false;
    if (e->op != EXPR_IN_QUERY || (e->flags & (EXPR_NEGATED | EXPR_CORRELATED)) != 0 || ((const struct bsub *)e->u.subquery)->compare != 0 ||
        e->arg_count > TUPLE_WIDTH_MAX || src->table->is_system || ((const struct bsub *)e->u.subquery)->set_count > 0)
        return QUARTET_OK;
    *t = (struct tuple){.conj = c, .width = e->arg_count, .query = c->e};
    for (uint32_t k = 0; k < t->width; k++)
        if (!access_column(src, e->args[k], &t->columns[k]))
            return QUARTET_OK;
    quartet_status rc = plan_in_query(p, e, &sub, err);
    if (rc != QUARTET_OK)
        return rc;
    t->rows = sub->root->rows;
    *is = sub->out_count == t->width;
    for (uint32_t k = 0; k < t->width && *is; k++) {
        uint8_t left_to, right_to;
        types_compare_affinity(e->args[k]->affinity, sub->affinity[k], &left_to, &right_to);
        *is = left_to == 0 && src->table->columns[t->columns[k]].nocase == ((sub->flags[k] & CELL_KEY_NOCASE) != 0);
    }
    return QUARTET_OK;
}

quartet_status tuples_add(struct planner *p, const struct bsource *src, struct conj *c, const uint64_t *outer, uint64_t *scratch, struct tuples *to, struct err *err)
{
    struct tuple t;
    bool is = rows_of(p, src, c, outer, scratch, &t);
    quartet_status rc = is ? QUARTET_OK : query_of(p, src, c, &t, &is, err);
    if (rc != QUARTET_OK || !is)
        return rc;
    if (!bind_grow(p->a, &to->list, to->count, &to->cap, sizeof *to->list))
        return arena_fail(p->a, err);
    to->list[to->count++] = t;
    return QUARTET_OK;
}

static uint32_t tuple_find(const struct tuple *t, uint32_t column)
{
    for (uint32_t k = 0; k < t->width; k++)
        if (t->columns[k] == column)
            return k;
    return PLAN_NONE;
}

bool tuples_begin(const struct tuples *t, uint32_t column)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (tuple_find(&t->list[i], column) != PLAN_NONE)
            return true;
    return false;
}

/* ---- choosing ---- */

/* The tuple that fixes most of the columns columns[0 .. n-1]. */
static struct way_set best_tuple(const struct tuples *tuples, const uint32_t *columns, uint32_t n)
{
    struct way_set best = {0};
    for (uint32_t i = 0; i < tuples->count; i++) {
        uint32_t used = 0;
        while (used < n && tuple_find(&tuples->list[i], columns[used]) != PLAN_NONE)
            used++;
        if (used > best.used)
            best = (struct way_set){.tuple = &tuples->list[i], .used = used};
    }
    return best;
}

void way_add_sets(const struct planner *p, const struct bsource *src, const uint32_t *columns, uint32_t count, const struct match *matches, const struct tuples *tuples,
                  double (*share)(const struct planner *p, const struct bsource *src, uint32_t column), struct way *w, double *lookups, double *shares)
{
    uint32_t most = count < PLAN_BOUND_COLUMNS_MAX ? count : PLAN_BOUND_COLUMNS_MAX;
    for (uint32_t at = w->eq; at < most && w->set_count < WAY_SETS_MAX;) {
        const struct match *m = &matches[columns[at]];
        struct way_set s = {.match = m, .used = 1, .eq = m->eq != NULL};
        double n = 1;
        if (!s.eq && m->in != NULL)
            n = m->in->e->arg_count - 1;
        else if (!s.eq)
            s = best_tuple(tuples, columns + at, most - at);
        if (s.used == 0)
            return;
        if (s.tuple != NULL)
            n = s.tuple->rows;
        if (w->set_count > 0 && *lookups * n > LOOKUPS_MAX)
            return;
        w->queried |= s.tuple != NULL && s.tuple->query != NULL;
        *lookups *= n > 1 ? n : 1;
        for (uint32_t k = 0; k < s.used; k++)
            *shares *= share(p, src, columns[at + k]);
        w->sets[w->set_count++] = s;
        w->set_width += s.used;
        at += s.used;
    }
}

/* ---- placing ---- */

static quartet_status place_set(struct planner *p, const struct way *w, const struct way_set *s, uint32_t at, const uint32_t *cids, uint32_t n, struct pbound_set *out,
                                struct err *err)
{
    const struct tuple *t = s->tuple;
    struct conj *conj = t != NULL ? t->conj : s->eq ? s->match->eq : s->match->in;
    struct expr **values = t != NULL ? t->values : s->eq ? (struct expr **)(uintptr_t)&s->match->eq_expr : conj->e->args + 1, **some = values;
    uint32_t width = t != NULL ? t->width : 1, rows = t != NULL ? conj->e->arg_count : s->eq ? 1 : conj->e->arg_count - 1;
    conj->placed = t == NULL || s->used == width; /* else the columns that the key has not are asked of each row */
    out->width = s->used;
    out->at = arena_alloc(p->a, s->used * sizeof *out->at);
    out->from = arena_alloc(p->a, s->used * sizeof *out->from);
    if (out->at == NULL || out->from == NULL)
        return arena_fail(p->a, err);
    for (uint32_t k = 0; k < s->used; k++) {
        out->at[k] = at + k;
        out->from[k] = t != NULL ? tuple_find(t, w->columns[w->eq + at + k]) : 0;
    }
    if (t != NULL && t->query != NULL) {
        out->query = t->query; /* its own columns are not looked at */
        return QUARTET_OK;
    }
    if (t != NULL) {
        some = arena_alloc(p->a, (size_t)rows * s->used * sizeof(struct expr *));
        if (some == NULL)
            return arena_fail(p->a, err);
        for (uint32_t i = 0; i < rows * s->used; i++)
            some[i] = values[(size_t)(i / s->used) * width + out->from[i % s->used]];
    }
    out->row_count = rows;
    return plan_place_list(p, some, rows * s->used, cids, n, &out->values, err);
}

quartet_status way_place_sets(struct planner *p, const struct way *w, const uint32_t *cids, uint32_t n, struct pscan *s, struct expr **again, uint32_t *again_count,
                              struct err *err)
{
    struct pbound *b = &s->bound;
    uint32_t at = 0;
    b->sets = arena_zalloc(p->a, w->set_count, sizeof *b->sets);
    if (b->sets == NULL)
        return arena_fail(p->a, err);
    b->set_width = w->set_width;
    b->queried = w->queried;
    for (; b->set_count < w->set_count; b->set_count++) {
        const struct way_set *set = &w->sets[b->set_count];
        struct conj *conj = set->tuple != NULL ? set->tuple->conj : set->eq ? set->match->eq : set->match->in;
        quartet_status rc = place_set(p, w, set, at, cids, n, &b->sets[b->set_count], err);
        if (rc != QUARTET_OK)
            return rc;
        if (w->queried && conj->placed)
            again[(*again_count)++] = conj->e;
        at += set->used;
    }
    return QUARTET_OK;
}

/* plan_access.c - the best way into one table: whole, by primary key, or by an index.
 * Why a condition that made a bound is sometimes asked again: a bound is a key of the column's
 * type. Where a value of another type cannot become one (a REAL beyond int64, a parameter of any
 * type), the executor drops the bound and asks the condition itself. Equality needs no such way
 * out: a value that cannot become one of the column's type equals none of them. */
#include "plan_access.h"

#include <string.h>

#include "exec_key.h"

#define COST_FETCH 30.0 /* a row by its key, against a row of a scan */
#define COST_GUESS 3.0  /* the same where the table's size is a guess: then an index is the safer way */
#define COST_ENTRY 4.0  /* an entry that holds all that is wanted */
#define COST_LOOKUP 30.0 /* to begin at another place of the key: told of queries, of whose rows nobody knows how many there will be */

static enum expr_op flipped(enum expr_op op)
{
    return op == EXPR_LT   ? EXPR_GT
           : op == EXPR_LE ? EXPR_GE
           : op == EXPR_GT ? EXPR_LT
           : op == EXPR_GE ? EXPR_LE
                           : op;
}

static void match_compare(struct conj *c, enum expr_op op, struct expr *other, struct match *m)
{
    if (op == EXPR_EQ && m->eq == NULL) {
        m->eq = c;
        m->eq_expr = other;
    } else if ((op == EXPR_GT || op == EXPR_GE) && m->lo == NULL) {
        m->lo = c;
        m->lo_expr = other;
        m->lo_open = op == EXPR_GT;
    } else if ((op == EXPR_LT || op == EXPR_LE) && m->hi == NULL) {
        m->hi = c;
        m->hi_expr = other;
        m->hi_open = op == EXPR_LT;
    }
}

static void match_conj(struct planner *p, const struct bsource *src, struct conj *c,
                       const uint64_t *outer, uint64_t *scratch, struct match *matches)
{
    struct expr *e = c->e;
    uint32_t column;
    bool nocase =
        (e->flags & EXPR_NOCASE) !=
        0; /* entries of a NOCASE column are folded: good for that comparison and no other */
    if ((e->flags & EXPR_NEGATED) != 0)
        return;
    if (e->op == EXPR_EQ || e->op == EXPR_LT || e->op == EXPR_LE || e->op == EXPR_GT ||
        e->op == EXPR_GE) {
        for (int side = 0; side < 2; side++) {
            struct expr *other = e->args[1 - side];
            if (!access_column(src, e->args[side], &column) ||
                src->table->columns[column].nocase != nocase || !access_is_outer(p, other, outer, scratch))
                continue;
            match_compare(c, side == 0 ? e->op : flipped(e->op), other, &matches[column]);
            return;
        }
    } else if (e->op == EXPR_BETWEEN && access_column(src, e->args[0], &column) &&
               src->table->columns[column].nocase == nocase) {
        struct match *m = &matches[column];
        if (m->lo == NULL && m->hi == NULL && access_is_outer(p, e->args[1], outer, scratch) &&
            access_is_outer(p, e->args[2], outer, scratch)) {
            m->lo = m->hi = c;
            m->lo_expr = e->args[1];
            m->hi_expr = e->args[2];
        }
    } else if (e->op == EXPR_IN && e->arg_count > 1 && access_column(src, e->args[0], &column) &&
               matches[column].in == NULL && src->table->columns[column].nocase == nocase) {
        for (uint32_t i = 1; i < e->arg_count; i++) {
            if (!access_is_outer(p, e->args[i], outer, scratch))
                return;
        }
        matches[column].in = c;
    }
}

/* A table is never taken to be smaller than PLAN_TABLE_ROWS here, and of a small one nothing is asked: a plan lives on while the table grows, and at that size any
 * way is fast. */
static double rows_to_search(const struct planner *p, const struct table_def *t)
{
    double rows = plan_table_rows(p, t);
    return rows > PLAN_TABLE_ROWS ? rows : PLAN_TABLE_ROWS;
}

static double equal_share(const struct planner *p, const struct table_def *t, double table_rows, uint32_t column)
{
    return table_rows > PLAN_TABLE_ROWS ? plan_equal_share(p, t, column) : SHARE_EQUAL;
}

static double between_share(const struct planner *p, const struct table_def *t, double table_rows, uint32_t column, const struct match *m)
{
    const struct expr *lo = m->lo != NULL ? m->lo_expr : NULL, *hi = m->hi != NULL ? m->hi_expr : NULL;
    if (table_rows > PLAN_TABLE_ROWS)
        return plan_between_share(p, t, column, lo, hi);
    return lo != NULL && hi != NULL ? SHARE_BETWEEN : SHARE_HALF;
}

/* What a key is judged by: its columns, and what a row costs that it leads to. */
struct candidate {
    const uint32_t *columns;
    uint32_t count;
    bool unique, by_key, covering;
};

static double row_cost(const struct candidate *k, double all)
{
    if (k->by_key)
        return 1;
    if (all <= PLAN_TABLE_ROWS)
        return COST_GUESS;
    return k->covering ? COST_ENTRY : COST_FETCH;
}

static double set_share(const struct planner *p, const struct bsource *src, uint32_t column)
{
    return equal_share(p, src->table, rows_to_search(p, src->table), column);
}

static struct way judge(const struct planner *p, const struct bsource *src, const struct candidate *k, const struct match *matches, const struct tuples *tuples)
{
    const struct table_def *t = src->table;
    const uint32_t *columns = k->columns, count = k->count;
    const bool unique = k->unique;
    struct way w = {.rows = 1, .cost = 1};
    while (w.eq < count && w.eq < PLAN_BOUND_COLUMNS_MAX && matches[columns[w.eq]].eq != NULL)
        w.eq++;
    if (w.eq == count && unique)
        return w;
    double lookups = 1, shares = 1;
    way_add_sets(p, src, columns, count, matches, tuples, set_share, &w, &lookups, &shares);
    uint32_t at = w.eq + w.set_width;
    if (at < count && at < PLAN_BOUND_COLUMNS_MAX && (matches[columns[at]].lo != NULL || matches[columns[at]].hi != NULL))
        w.next = &matches[columns[at]];
    if (!way_is_bound(&w))
        return w;
    const double all = rows_to_search(p, t);
    w.rows = all * shares;
    for (uint32_t i = 0; i < w.eq; i++)
        w.rows *= equal_share(p, t, all, columns[i]);
    if (at == count && unique)
        w.rows = 1;
    if (w.next != NULL)
        w.rows *= between_share(p, t, all, columns[at], w.next);
    w.rows *= lookups;
    if (w.rows < 1)
        w.rows = 1;
    w.cost = w.rows * row_cost(k, all) + (w.queried ? lookups * COST_LOOKUP : 0);
    return w;
}

/* Can e have a value that no value of the column's type equals? Of a DECIMAL the scale may be another. */
static bool may_not_fit(const struct expr *e, uint8_t type)
{
    return e->type != type || type == VALUE_DECIMAL;
}

static quartet_status place_bound(struct planner *p, const struct bsource *src,
                                  const struct way *w, const uint32_t *cids, uint32_t n, struct pscan *s, struct expr **again, uint32_t *again_count,
                                  struct err *err)
{
    struct pbound *b = &s->bound;
    const uint32_t *columns = w->columns;
    const struct match *matches = w->matches;
    quartet_status rc = QUARTET_OK;
    s->bounded = true;
    b->eq_count = w->eq;
    b->eq = arena_zalloc(p->a, w->eq + 1, sizeof(struct expr *));
    if (b->eq == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < w->eq && rc == QUARTET_OK; i++) {
        rc = plan_place(p, matches[columns[i]].eq_expr, cids, n, &b->eq[i], err);
        matches[columns[i]].eq->placed = true;
    }
    if (rc == QUARTET_OK && w->set_count > 0)
        rc = way_place_sets(p, w, cids, n, s, again, again_count, err);
    b->lookups_max = rows_to_search(p, src->table) / COST_LOOKUP;
    const struct match *m = w->next;
    if (m == NULL || rc != QUARTET_OK)
        return rc;
    uint8_t type = p->b.cols[src->first_cid + columns[w->eq + w->set_width]].type;
    if (m->lo != NULL) {
        rc = plan_place(p, m->lo_expr, cids, n, &b->lo, err);
        b->lo_open = m->lo_open;
        m->lo->placed = true;
        if (w->queried || may_not_fit(m->lo_expr, type))
            again[(*again_count)++] = m->lo->e;
    }
    if (m->hi != NULL && rc == QUARTET_OK) {
        rc = plan_place(p, m->hi_expr, cids, n, &b->hi, err);
        b->hi_open = m->hi_open;
        m->hi->placed = true;
        if ((w->queried || may_not_fit(m->hi_expr, type)) && (m->hi != m->lo || *again_count == 0 || again[*again_count - 1] != m->lo->e))
            again[(*again_count)++] = m->hi->e;
    }
    return rc;
}

/* The scan's columns: what is needed above and what its own conditions look at. */
static quartet_status scan_columns(struct planner *p, const struct bsource *src,
                                   const uint64_t *need, struct pnode *node, struct err *err)
{
    struct pscan *s = node->u.scan;
    s->columns = arena_zalloc(p->a, src->count + 1, sizeof *s->columns);
    node->cids = arena_zalloc(p->a, src->count + 2, sizeof *node->cids);
    if (s->columns == NULL || node->cids == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < src->count; i++) {
        if (!cid_set_has(need, src->first_cid + i))
            continue;
        node->cids[s->column_count] = src->first_cid + i;
        s->columns[s->column_count++] = i;
    }
    node->col_count = s->column_count;
    if (src->key_cid != BIND_NONE && cid_set_has(need, src->key_cid)) {
        s->keys = true;
        node->cids[node->col_count++] = src->key_cid;
    }
    s->covering = s->index != NULL && table_index_covers(s->table, s->index, s->columns, s->column_count);
    return QUARTET_OK;
}

static quartet_status scan_new(struct planner *p, const struct bsource *src, struct pnode **out,
                               struct err *err)
{
    struct pnode *n = pnode_new(p, PN_SCAN, 0, err);
    struct pscan *s = arena_zalloc(p->a, 1, sizeof *s);
    if (n == NULL || s == NULL)
        return arena_fail(p->a, err);
    s->table = src->table;
    s->alias = src->alias;
    n->u.scan = s;
    n->rows = p->figures ? plan_table_rows(p, src->table) : PLAN_TABLE_ROWS;
    s->as_of = src->as_of;
    *out = n;
    return src->as_of_expr != NULL ? plan_place(p, src->as_of_expr, NULL, 0, &s->as_of_expr, err)
                                   : QUARTET_OK;
}

/* Does the index hold all columns of src in `read`, which is made when it is first asked for? */
static bool covers(struct planner *p, const struct bsource *src, const struct index_def *ix, struct conj **conjs,
                   uint32_t conj_count, const uint64_t *need, uint64_t *read)
{
    uint32_t columns[PLAN_BOUND_COLUMNS_MAX], n = 0;
    memcpy(read, need, p->words * sizeof *read);
    for (uint32_t i = 0; i < conj_count; i++)
        for (uint32_t w = 0; w < p->words; w++)
            read[w] |= conjs[i]->refs[w];
    for (uint32_t i = 0; i < src->count; i++) {
        if (!cid_set_has(read, src->first_cid + i))
            continue;
        if (n == PLAN_BOUND_COLUMNS_MAX)
            return false;
        columns[n++] = i;
    }
    return table_index_covers(src->table, ix, columns, n);
}

/* Of a partial index: what its WHERE leaves out need not be looked at; without a bound all that it holds. */
static void only_part(const struct planner *p, const struct bsource *src, const struct index_def *ix, const struct candidate *k, struct way *w)
{
    double all = rows_to_search(p, src->table), share = plan_index_share(p, src, ix);
    if (!way_is_bound(w)) {
        w->rows = all;
        w->cost = all * row_cost(k, all);
    }
    w->rows = w->rows * share > 1 ? w->rows * share : 1;
    w->cost = w->cost * share > 1 ? w->cost * share : 1;
}

quartet_status access_best(struct planner *p, const struct bsource *src, struct conj **conjs,
                           uint32_t conj_count, const uint64_t *outer, const uint64_t *need, struct way *best, struct err *err)
{
    const struct table_def *t = src->table;
    uint64_t *scratch = cid_set_new(p);
    struct match *matches = arena_zalloc(p->a, src->count + 1, sizeof *matches);
    struct tuples tuples = {0};
    if (scratch == NULL || matches == NULL)
        return arena_fail(p->a, err);
    for (uint32_t i = 0; i < conj_count; i++) {
        match_conj(p, src, conjs[i], outer, scratch, matches);
        quartet_status rc = tuples_add(p, src, conjs[i], outer, scratch, &tuples, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    struct candidate key = {.columns = t->key_columns, .count = t->key_count, .unique = true, .by_key = true};
    *best = (struct way){.cost = 0};
    if (!t->hidden_key)
        *best = judge(p, src, &key, matches, &tuples);
    best->matches = matches;
    if (way_is_bound(best))
        best->columns = t->key_columns;
    if (best->columns != NULL && best->rows <= 1)
        return QUARTET_OK;
    double whole = 0; /* asked only where there is another way */
    for (uint32_t i = 0; i < t->index_count && src->as_of_expr == NULL; i++) { /* indexes hold what is */
        const struct index_def *ix = &t->indexes[i];
        struct candidate k = {.columns = ix->columns, .count = ix->column_count, .unique = ix->unique};
        const struct match *first = &matches[ix->columns[0]];
        bool bound = first->eq != NULL || first->in != NULL || first->lo != NULL || first->hi != NULL || tuples_begin(&tuples, ix->columns[0]);
        if ((!bound && ix->where == INDEX_WHOLE) || !plan_index_serves(src, ix, conjs, conj_count))
            continue;
        k.covering = covers(p, src, ix, conjs, conj_count, need, scratch);
        struct way w = judge(p, src, &k, matches, &tuples);
        if (!way_is_bound(&w) && ix->where == INDEX_WHOLE)
            continue;
        if (ix->where != INDEX_WHOLE)
            only_part(p, src, ix, &k, &w);
        if (whole == 0)
            whole = rows_to_search(p, t);
        if (w.cost < (best->columns != NULL && best->cost < whole ? best->cost : whole)) {
            *best = w;
            best->matches = matches;
            best->index = ix;
            best->columns = ix->columns;
        }
    }
    return QUARTET_OK;
}

/* What is left of the conditions becomes the scan's filter. */
static quartet_status scan_filters(struct planner *p, const struct bsource *src,
                                   struct conj **conjs, uint32_t conj_count, const uint64_t *need,
                                   struct expr **again, uint32_t again_count, struct pnode *node,
                                   struct err *err)
{
    struct expr **rest = arena_zalloc(p->a, conj_count + 1, sizeof(struct expr *)), **placed;
    uint64_t *all = cid_set_new(p);
    uint32_t n = 0;
    if (rest == NULL || all == NULL)
        return arena_fail(p->a, err);
    memcpy(all, need, p->words * sizeof *all);
    for (uint32_t i = 0; i < conj_count; i++) {
        if (conjs[i]->placed)
            continue;
        conjs[i]->placed = true;
        rest[n++] = conjs[i]->e;
        cid_set_add_expr(p, all, conjs[i]->e);
        node->rows *= p->figures ? 1 : SHARE_HALF;
    }
    if (p->figures)
        node->rows *= plan_shares(p, src, rest, n);
    for (uint32_t i = 0; i < again_count; i++)
        cid_set_add_expr(p, all, again[i]);
    if (node->rows < 1)
        node->rows = 1;
    quartet_status rc = scan_columns(p, src, all, node, err);
    if (rc == QUARTET_OK)
        rc = plan_place_list(p, rest, n, node->cids, node->col_count, &placed, err);
    if (rc == QUARTET_OK)
        rc = plan_and(p, placed, n, &node->u.scan->filter, err);
    if (rc == QUARTET_OK)
        rc = plan_place_list(p, again, again_count, node->cids, node->col_count, &placed, err);
    return rc != QUARTET_OK ? rc
                            : plan_and(p, placed, again_count, &node->u.scan->bound_filter, err);
}

quartet_status access_scan(struct planner *p, const struct bsource *src, struct conj **conjs, uint32_t conj_count,
                           const struct way *way, const uint64_t *need, struct pnode **out, struct err *err)
{
    struct expr *again[WAY_AGAIN_MAX];
    uint32_t again_count = 0;
    quartet_status rc = scan_new(p, src, out, err);
    if (rc == QUARTET_OK && way->columns != NULL) {
        (*out)->u.scan->index = way->index;
        (*out)->rows = way->rows;
        rc = place_bound(p, src, way, NULL, 0, (*out)->u.scan, again, &again_count, err);
    }
    return rc != QUARTET_OK ? rc : scan_filters(p, src, conjs, conj_count, need, again, again_count, *out, err);
}

quartet_status plan_access(struct planner *p, const struct bsource *src, struct conj **conjs,
                           uint32_t conj_count, const uint64_t *need, struct pnode **out,
                           struct err *err)
{
    struct way best;
    *out = NULL;
    quartet_status rc = access_best(p, src, conjs, conj_count, NULL, need, &best, err);
    if (rc == QUARTET_OK)
        rc = plan_union(p, src, conjs, conj_count, &best, need, out, err);
    if (rc == QUARTET_OK && *out == NULL)
        rc = access_scan(p, src, conjs, conj_count, &best, need, out, err);
    return rc;
}

quartet_status plan_lookup(struct planner *p, const struct bsource *src, struct conj **conjs,
                           uint32_t conj_count, const uint64_t *outer,
                           const struct pnode *outer_node, const uint64_t *need,
                           struct pnode **scan, double *rows_per_lookup, struct err *err)
{
    struct way best;
    struct expr *again[WAY_AGAIN_MAX];
    uint32_t again_count = 0, own_count = 0;
    *scan = NULL;
    quartet_status rc = access_best(p, src, conjs, conj_count, outer, need, &best, err);
    if (rc != QUARTET_OK || best.columns == NULL || best.eq == 0)
        return rc;
    best.next = NULL; /* lookups are by equality; the rest filters */
    best.set_count = best.set_width = 0;
    best.queried = false;
    rc = scan_new(p, src, scan, err);
    struct conj **own = arena_zalloc(p->a, conj_count + 1, sizeof(struct conj *));
    if (rc != QUARTET_OK || own == NULL)
        return rc != QUARTET_OK ? rc : arena_fail(p->a, err);
    (*scan)->u.scan->index = best.index;
    (*scan)->rows = best.rows;
    *rows_per_lookup = best.rows;
    rc = place_bound(p, src, &best, outer_node->cids, outer_node->col_count, (*scan)->u.scan, again, &again_count, err);
    for (uint32_t i = 0; i < conj_count; i++) { /* conditions on the inner row alone stay with it */
        bool alone = true;
        for (uint32_t w = 0; w < p->words; w++)
            alone &= (conjs[i]->refs[w] & outer[w]) == 0;
        if (alone && !conjs[i]->placed)
            own[own_count++] = conjs[i];
    }
    return rc != QUARTET_OK
               ? rc
               : scan_filters(p, src, own, own_count, need, again, again_count, *scan, err);
}

/* Column number `at` of a scan's order: those of the index, then those of the primary key, which stand behind them in every entry. PLAN_NONE: past
 * the end, with *unique where no two rows are alike up to here. */
static uint32_t scan_key(const struct pscan *s, uint32_t at, const struct key_column **key,
                         bool *unique)
{
    const struct table_def *t = s->table;
    uint32_t count = s->index != NULL ? s->index->column_count : 0;
    *unique = false;
    if (at < count) {
        *key = &s->index->keys[at];
        return s->index->columns[at];
    }
    *unique = !t->hidden_key && at - count >= t->key_count;
    if (t->hidden_key || *unique)
        return PLAN_NONE;
    *key = &t->keys[at - count];
    return t->key_columns[at - count];
}

/* Is the column one of the first `n` of the scan's order? */
static bool scan_key_before(const struct pscan *s, uint32_t n, uint32_t column)
{
    const struct key_column *key;
    bool unique;
    for (uint32_t k = 0; k < n; k++)
        if (scan_key(s, k, &key, &unique) == column)
            return true;
    return false;
}

bool plan_scan_ordered(struct pnode *scan, const uint32_t *cids, const uint8_t *flags, uint32_t n)
{
    struct pscan *s = scan->u.scan;
    const struct table_def *t = s->table;
    const struct key_column *key = NULL;
    bool turn = false, turned = false, unique;
    if ((s->index == NULL && t->hidden_key) || (s->index != NULL && s->bound.queried)) /* with too many lookups the table is read by its key */
        return false;
    uint32_t at = s->bound.eq_count;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t column = PLAN_NONE;
        for (uint32_t c = 0; c < s->column_count; c++) {
            if (scan->cids[c] == cids[i])
                column = s->columns[c];
        }
        if (column == PLAN_NONE)
            return false;
        bool nocase = (flags[i] & CELL_KEY_NOCASE) != 0;
        if (scan_key_before(s, at, column) && (nocase || !t->columns[column].nocase))
            continue; /* the same in all rows that are alike so far */
        uint32_t next = scan_key(s, at, &key, &unique);
        while (next != PLAN_NONE && scan_key_before(s, at, next))
            next = scan_key(s, ++at, &key, &unique);
        if (unique)
            break; /* no two rows are left to be ordered by more */
        if (next != column)
            return false;
        bool desc = (flags[i] & CELL_KEY_DESC) != 0, last = (flags[i] & CELL_KEY_NULLS_LAST) != 0;
        if (nocase != t->columns[column].nocase)
            return false;
        if (desc != last && !t->columns[column].not_null && t->columns[column].key_at < 0)
            return false;
        bool reverse = desc != key->desc;
        if (turned && reverse != turn)
            return false;
        turn = reverse;
        turned = true;
        at++;
    }
    s->reverse = turn;
    return true;
}

bool plan_scan_by_order(const struct planner *p, struct pnode *scan, const uint32_t *cids, const uint8_t *flags, uint32_t n, double wanted)
{
    struct pscan *s = scan->u.scan;
    const struct table_def *t = s->table;
    if (wanted <= 0 || s->bounded || s->as_of_expr != NULL || t->index_count == 0)
        return false;
    const double all = plan_table_rows(p, t);
    const double base = p->figures ? all : PLAN_TABLE_ROWS; /* what the scan's estimate began with */
    const double share = base > 0 ? scan->rows / base : 1; /* of the rows that meet the conditions */
    const double asked = share > 0 ? wanted / share : all;
    for (uint32_t i = 0; i < t->index_count; i++) {
        if (t->indexes[i].where != INDEX_WHOLE)
            continue;
        s->index = &t->indexes[i];
        s->covering = table_index_covers(t, s->index, s->columns, s->column_count);
        if (asked * (s->covering ? COST_ENTRY : COST_FETCH) < all && plan_scan_ordered(scan, cids, flags, n)) {
            s->few = true;
            return true;
        }
    }
    s->index = NULL;
    s->covering = false;
    return false;
}

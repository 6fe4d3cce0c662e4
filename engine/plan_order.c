/* plan_order.c - the order of inner joins, by dynamic programming over sets of tables (Selinger et al. 1979): of all orders in which ten tables can be joined one
 * after the other only the cheapest way to each set of them is followed further. */
#include "plan_join.h"
#include "txn.h"

#include <string.h>

/* In rows of a scan whose columns are looked at, some 60 instructions: what callgrind counted for tpch. */
#define COST_POINT  30.0 /* one row by its whole key */
#define COST_RANGE  80.0 /* to begin at a key */
#define COST_FOUND  4.0  /* each row from there on */
#define COST_FETCH  80.0 /* or each that an index names, which is looked up by its own key */
#define COST_BUILD  3.0
#define COST_PAIR   0.5  /* of rows that a loop looks at */
#define SHARE_OTHER 0.3
#define WAYS_MAX    8u   /* keys of one table that are looked at */

double join_hash_cost(double left_rows, double right_rows)
{
    double build = left_rows < right_rows ? left_rows : right_rows;
    return left_rows + right_rows + (COST_BUILD - 1) * build;
}

double join_lookup_cost(double left_rows, double rows_per_lookup, enum lookup how)
{
    if (how == LOOKUP_POINT)
        return left_rows * COST_POINT;
    return left_rows * (COST_RANGE + (how == LOOKUP_FETCH ? COST_FETCH : COST_FOUND) * rows_per_lookup);
}

/* ---- shares ---- */

/* How many values one side of an equality can have; 0: it is not of one unit. */
static double side_distinct(const struct jplan *j, const struct expr *e)
{
    while (e->op == EXPR_AFFINITY)
        e = e->args[0];
    for (uint32_t i = 0; i < j->unit_count && e->op == EXPR_COLUMN; i++) {
        const struct unit *u = &j->units[i];
        if (!cid_set_has(u->cids, e->u.column))
            continue;
        double rows = u->node != NULL ? u->node->rows : PLAN_TABLE_ROWS;
        if (u->src->kind != SRC_TABLE || e->u.column < u->src->first_cid || e->u.column >= u->src->first_cid + u->src->count)
            return rows;
        double distinct = plan_column_values(j->p, u->src->table, e->u.column - u->src->first_cid);
        return distinct < rows ? distinct : rows;
    }
    return 0;
}

double join_share(const struct jplan *j, const struct conj *c)
{
    if (c->e->op != EXPR_EQ)
        return SHARE_OTHER;
    double l = side_distinct(j, c->e->args[0]), r = side_distinct(j, c->e->args[1]);
    double most = l > r ? l : r;
    return most == 0 ? 1 / PLAN_TABLE_ROWS : most < 1 ? 1 : 1 / most;
}

/* ---- what is between the units ---- */

struct link { /* a condition between units */
    uint32_t units; /* as bits */
    double share;
    bool equal;
};
struct way { /* a key of a unit whose first columns equal something of other units */
    uint32_t from;
    double rows; /* per lookup */
    enum lookup how;
};
struct order {
    const struct jplan *j;
    struct link *links;
    uint32_t link_count;
    struct way ways[ORDER_UNITS_MAX][WAYS_MAX];
    uint32_t way_count[ORDER_UNITS_MAX];
    uint32_t lateral[ORDER_UNITS_MAX]; /* what must come before */
};
struct reached { /* the best way to join a set of units */
    double rows, cost;
    uint8_t last;
    bool possible;
};

static uint32_t units_of(const struct jplan *j, const uint64_t *cids)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < j->unit_count; i++)
        bits |= overlap(j->p, cids, j->units[i].cids) ? 1u << i : 0;
    return bits;
}

/* Conditions between the same units are hardly independent: the strictest counts, each further one little. */
static void damp(struct order *o)
{
    for (uint32_t i = 0; i < o->link_count; i++)
        for (uint32_t k = 0; k < o->link_count; k++) {
            struct link *a = &o->links[i], *b = &o->links[k];
            if (i != k && a->units == b->units && a->equal && b->equal && (b->share < a->share || (b->share == a->share && k < i)) &&
                a->share < SHARE_OTHER)
                a->share = SHARE_OTHER;
        }
}

/* The units that `column` of u is set equal to by a condition; 0: none. */
static uint32_t equal_to(const struct order *o, uint32_t u, uint32_t cid)
{
    const struct jplan *j = o->j;
    uint64_t *refs = cid_set_new(j->p);
    for (uint32_t i = 0; i < j->conj_count && refs != NULL; i++) {
        const struct expr *e = j->conjs[i].e;
        if (j->conjs[i].placed || j->conjs[i].late || e->op != EXPR_EQ || (e->flags & EXPR_NEGATED) != 0)
            continue;
        for (int side = 0; side < 2; side++) {
            if (e->args[side]->op != EXPR_COLUMN || e->args[side]->u.column != cid)
                continue;
            memset(refs, 0, j->p->words * sizeof *refs);
            cid_set_add_expr(j->p, refs, e->args[1 - side]);
            uint32_t from = units_of(j, refs);
            if (from != 0 && (from & 1u << u) == 0)
                return from;
        }
    }
    return 0;
}

/* ix NULL: the primary key. */
static void add_ways(struct order *o, uint32_t u, const struct index_def *ix)
{
    const struct bsource *src = o->j->units[u].src;
    const struct pnode *node = o->j->units[u].node;
    const uint32_t *columns = ix != NULL ? ix->columns : src->table->key_columns;
    uint32_t count = ix != NULL ? ix->column_count : src->table->key_count;
    bool unique = ix == NULL || ix->unique;
    struct way w = {.rows = plan_table_rows(o->j->p, src->table), .how = ix != NULL ? LOOKUP_FETCH : LOOKUP_RANGE};
    if (ix != NULL && node->kind == PN_SCAN && table_index_covers(src->table, ix, node->u.scan->columns, node->u.scan->column_count))
        w.how = LOOKUP_RANGE;
    for (uint32_t k = 0; k < count && o->way_count[u] < WAYS_MAX; k++) {
        uint32_t from = equal_to(o, u, src->first_cid + columns[k]);
        if (from == 0)
            return;
        w.from |= from;
        w.rows = unique && k + 1 == count ? 1 : w.rows * plan_equal_share(o->j->p, src->table, columns[k]);
        if (ix == NULL && k + 1 == count)
            w.how = LOOKUP_POINT;
        o->ways[u][o->way_count[u]++] = w;
    }
}

static bool order_init(struct order *o, const struct jplan *j)
{
    *o = (struct order){.j = j};
    o->links = arena_zalloc(j->p->a, j->conj_count + 1u, sizeof *o->links);
    for (uint32_t i = 0; i < j->conj_count && o->links != NULL; i++) {
        uint32_t units = units_of(j, j->conjs[i].refs);
        if (j->conjs[i].placed || j->conjs[i].late || (units & (units - 1)) == 0)
            continue;
        o->links[o->link_count++] = (struct link){.units = units, .share = join_share(j, &j->conjs[i]), .equal = j->conjs[i].e->op == EXPR_EQ};
    }
    for (uint32_t u = 0; u < j->unit_count; u++) {
        const struct bsource *src = j->units[u].src;
        o->lateral[u] = j->units[u].lateral != NULL ? units_of(j, j->units[u].lateral) : 0;
        if (src->kind != SRC_TABLE)
            continue;
        if (!src->table->hidden_key)
            add_ways(o, u, NULL);
        for (uint32_t i = 0; i < src->table->index_count && src->as_of_expr == NULL; i++)
            if (src->table->indexes[i].where == INDEX_WHOLE)
                add_ways(o, u, &src->table->indexes[i]);
    }
    if (o->links != NULL)
        damp(o);
    return o->links != NULL;
}

/* ---- the search ---- */

static struct reached extend(const struct order *o, uint32_t set, const struct reached *from, uint32_t u)
{
    const struct unit *unit = &o->j->units[u];
    uint32_t both = set | 1u << u;
    double share = 1;
    bool equal = false;
    for (uint32_t i = 0; i < o->link_count; i++) {
        const struct link *l = &o->links[i];
        if ((l->units & ~both) != 0 || (l->units & 1u << u) == 0)
            continue;
        share *= l->share;
        equal |= l->equal;
    }
    double rows = from->rows * unit->node->rows * share;
    double cost = unit->read_cost + (equal ? join_hash_cost(from->rows, unit->node->rows) : from->rows * unit->node->rows * COST_PAIR);
    for (uint32_t i = 0; i < o->way_count[u]; i++) {
        const struct way *w = &o->ways[u][i];
        double by_key = join_lookup_cost(from->rows, w->rows, w->how);
        if ((w->from & ~set) == 0 && by_key < cost)
            cost = by_key;
    }
    rows = rows < 1 ? 1 : rows;
    return (struct reached){.rows = rows, .cost = from->cost + cost + rows, .last = (uint8_t)u, .possible = true};
}

bool plan_order(const struct jplan *j, uint32_t *order)
{
    struct order o;
    uint32_t n = j->unit_count;
    if (n > ORDER_UNITS_MAX || !order_init(&o, j))
        return false;
    struct reached *best = arena_zalloc(j->p->a, (size_t)1 << n, sizeof *best);
    if (best == NULL)
        return false;
    for (uint32_t u = 0; u < n; u++)
        if (o.lateral[u] == 0)
            best[1u << u] = (struct reached){.rows = j->units[u].node->rows, .cost = j->units[u].read_cost, .last = (uint8_t)u, .possible = true};
    for (uint32_t set = 1; set < 1u << n; set++)
        for (uint32_t u = 0; u < n && best[set].possible; u++) {
            uint32_t both = set | 1u << u;
            if (both == set || (o.lateral[u] & ~set) != 0)
                continue;
            struct reached r = extend(&o, set, &best[set], u);
            if (!best[both].possible || r.cost < best[both].cost)
                best[both] = r;
        }
    uint32_t set = (1u << n) - 1;
    if (!best[set].possible)
        return false;
    for (uint32_t at = n; at > 0; at--) {
        order[at - 1] = best[set].last;
        set &= ~(1u << best[set].last);
    }
    return true;
}

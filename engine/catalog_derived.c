/* catalog_derived.c - columns that are computed: their expressions bound to the table's own columns, and put into an order in which they can be computed.
 * Why bound here and not where they are evaluated: apply, verify and scans of all threads need them for every row; a bound tree is never changed while it runs.
 * Invariants: an expression gives the same for the same row on every node, at any time; one over a column that another node dropped meanwhile is NULL on every node alike.
 * Not here: computing (derived.c), which columns an index has (catalog_index.c). */
#include <string.h>

#include <xxhash.h>

#include "bind.h"
#include "catalog_internal.h"
#include "kind.h"
#include "parser/parse.h"
#include "plan_check.h"

quartet_status build_problem(struct build *b)
{
    b->t->problem = arena_strndup(b->a, b->err->text, strlen(b->err->text));
    err_clear(b->err);
    return b->t->problem == NULL ? build_nomem(b) : QUARTET_OK;
}

struct walk {
    const struct table_def *t;
    const char *function;
    uint32_t *columns; /* that are named, each once */
    uint32_t count;
    bool strange;      /* a parameter, or a column that is not the table's */
};

static bool note_columns(void *arg, const struct expr *e)
{
    struct walk *w = arg;
    w->strange |= e->op == EXPR_PARAM || e->op == EXPR_OUTER || (e->op == EXPR_COLUMN && e->u.column >= w->t->column_count);
    if (e->op != EXPR_COLUMN || w->strange)
        return !w->strange;
    for (uint32_t i = 0; i < w->count; i++)
        if (w->columns[i] == e->u.column)
            return true;
    w->columns[w->count++] = e->u.column;
    return true;
}

/* An expression over the table's columns by position, and which it names. */
static quartet_status bind_own(struct build *b, const char *clause, const struct ast_expr *ast, struct expr **out, struct walk *w)
{
    struct catalog none = {0}; /* it has no subqueries to name other tables */
    struct bind bind = {.a = b->a, .catalog = &none};
    struct bquery *q = arena_zalloc(b->a, 1, sizeof *q);
    struct scope *s = arena_zalloc(b->a, 1, sizeof *s);
    struct bsource *src;
    *w = (struct walk){.t = b->t, .columns = arena_zalloc(b->a, b->t->column_count + 1u, sizeof *w->columns)};
    if (q == NULL || s == NULL || w->columns == NULL)
        return build_nomem(b);
    *s = (struct scope){.query = q, .clause = clause};
    quartet_status rc = bind_table_source(&bind, s, b->t, NULL, false, &src, b->err);
    if (rc == QUARTET_OK)
        rc = bind_expr(&bind, s, ast, out, b->err);
    if (rc != QUARTET_OK)
        return rc;
    if (bind_has_subquery(*out))
        return err_set_at(b->err, QUARTET_ERROR, ast->offset, "a subquery cannot stand in %s", clause);
    if (!plan_always_same(*out, &w->function))
        return err_set_at(b->err, QUARTET_ERROR, ast->offset, "%s() cannot stand in %s: it is asked on every node, at any time, and must give the same there",
                          w->function, clause);
    (void)expr_walk(*out, note_columns, w); /* what it says stands in w */
    if (w->strange)
        return err_set_at(b->err, QUARTET_ERROR, ast->offset, "only columns of table %s can stand in %s", b->t->name, clause);
    return QUARTET_OK;
}

/* One more derived column, whose expression names columns that are there already. */
static quartet_status put_derived(struct build *b, uint32_t column, const struct expr *e, const struct walk *w)
{
    struct table_def *t = b->t;
    if (t->derived_count == b->derived_cap) {
        uint32_t cap = b->derived_cap * 2 + 4;
        struct derived_def *grown = arena_zalloc(b->a, cap, sizeof *grown);
        if (grown == NULL)
            return build_nomem(b);
        if (t->derived_count > 0)
            memcpy(grown, b->derived, t->derived_count * sizeof *grown);
        t->derived = b->derived = grown;
        b->derived_cap = cap;
    }
    bool *read = arena_zalloc(b->a, t->column_count + 1u, sizeof *read);
    uint32_t *reads = arena_zalloc(b->a, t->column_count + 1u, sizeof *reads), n = 0;
    if (read == NULL || reads == NULL)
        return build_nomem(b);
    for (uint32_t i = 0; e != NULL && i < w->count; i++) {
        read[w->columns[i]] |= !t->columns[w->columns[i]].derived;
        for (uint32_t k = 0; k < t->derived_count; k++)
            for (uint32_t r = 0; t->derived[k].column == w->columns[i] && r < t->derived[k].read_count; r++)
                read[t->derived[k].reads[r]] = true;
    }
    for (uint32_t i = 0; i < t->column_count; i++)
        if (read[i])
            reads[n++] = i;
    b->derived[t->derived_count++] = (struct derived_def){.column = column, .expr = e, .reads = reads, .read_count = n};
    return QUARTET_OK;
}

/* ---- GENERATED columns ---- */

struct generated {
    uint32_t column;
    struct expr *expr;
    struct walk names;
    bool placed;
};

static quartet_status bind_generated(struct build *b, uint32_t at, struct generated *g)
{
    struct ast_column_def *def = b->ast->columns.item[at];
    struct ast_constraint as = {.kind = AST_CONSTRAINT_CHECK, .check = def->generated};
    const struct column_def *c = &b->columns[b->place[at]];
    struct type_decl to = {.type = c->type, .precision = c->precision, .scale = c->scale, .is_boolean = c->is_boolean, .length = c->length};
    g->column = b->place[at];
    if (b->dropped[at])
        return QUARTET_OK;
    b->at_column = at;
    b->missed = false;
    quartet_status rc = catalog_rename_constraint(&as, build_new_name, b, b->a, b->err);
    b->at_column = UINT32_MAX;
    if (rc != QUARTET_OK || b->missed)
        return rc;
    def->generated = as.check;
    b->columns[b->place[at]].generated = as.check;
    rc = bind_own(b, "a generated column", def->generated, &g->expr, &g->names);
    if (rc == QUARTET_OK && c->type != VALUE_NULL)
        rc = expr_convert(b->a, g->expr, &to, c->name, &g->expr, b->err);
    if (rc == QUARTET_ERROR && b->src->override_count > 0) { /* another node dropped what it names */
        g->expr = NULL;
        return build_problem(b);
    }
    return rc;
}

static bool can_place(const struct generated *all, uint32_t n, const struct generated *g)
{
    bool can = true;
    for (uint32_t i = 0; g->expr != NULL && i < g->names.count; i++)
        for (uint32_t k = 0; k < n && can; k++)
            can = all[k].column != g->names.columns[i] || all[k].placed;
    return can;
}

quartet_status build_generated(struct build *b)
{
    uint32_t n = 0, placed = 0;
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < b->total; i++)
        n += b->ast->columns.item[i]->generated != NULL;
    if (n == 0)
        return QUARTET_OK;
    struct generated *all = arena_zalloc(b->a, n, sizeof *all), *g = all;
    if (all == NULL)
        return build_nomem(b);
    for (uint32_t i = 0; i < b->total && rc == QUARTET_OK; i++)
        if (b->ast->columns.item[i]->generated != NULL)
            rc = bind_generated(b, i, g++);
    for (bool progress = true; rc == QUARTET_OK && progress;) {
        progress = false;
        for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++) {
            if (all[i].placed || !can_place(all, n, &all[i]))
                continue;
            rc = put_derived(b, all[i].column, all[i].expr, &all[i].names);
            all[i].placed = progress = true;
            placed++;
        }
    }
    for (uint32_t i = 0; rc == QUARTET_OK && placed < n && i < n; i++)
        if (!all[i].placed)
            rc = err_set(b->err, QUARTET_ERROR, "generated column %s is computed from itself", b->columns[all[i].column].name);
    return rc;
}

/* ---- expressions of indexes ---- */

quartet_status build_hidden(struct build *b, const char *clause, const struct ast_expr *ast, bool nocase, uint32_t *at)
{
    struct table_def *t = b->t;
    struct expr *e;
    struct walk names;
    struct buf text = {0};
    quartet_status rc = bind_own(b, clause, ast, &e, &names);
    if (rc != QUARTET_OK)
        return rc;
    for (uint32_t i = 0; i < names.count; i++)
        for (uint32_t r = 0; r < t->column_count; r++)
            if (derived_reads(t, names.columns[i], r) && t->columns[r].kind != ROW_LWW)
                return err_set_at(b->err, QUARTET_ERROR, ast->offset, "the %s column %s can be in no key and no index", kind_name(t->columns[r].kind), t->columns[r].name);
    if (t->column_count >= ROW_COLUMNS_MAX)
        return err_set(b->err, QUARTET_LIMIT, "table %s has %u columns and expressions of indexes, limit %u", t->name, t->column_count + 1, ROW_COLUMNS_MAX);
    ast_print_expr(ast, &text);
    rc = buf_check(&text, b->err);
    char *name = rc == QUARTET_OK ? arena_strndup(b->a, (const char *)text.data, text.len) : NULL;
    buf_deinit(&text);
    struct column_def *grown = rc == QUARTET_OK ? arena_zalloc(b->a, t->column_count + 1u, sizeof *grown) : NULL;
    if (rc != QUARTET_OK)
        return rc;
    if (name == NULL || grown == NULL)
        return build_nomem(b);
    memcpy(grown, b->columns, t->column_count * sizeof *grown);
    *at = t->column_count;
    grown[*at] = (struct column_def){ /* its id is for statistics alone */
        .name = name, .first_name = "", .declared = "", .id = UINT32_C(1) << 31 | (uint32_t)XXH3_64bits(name, strlen(name)), .type = VALUE_NULL, .key_at = -1, .record_at = -1,
                                     .nocase = nocase, .derived = true};
    t->columns = b->columns = grown;
    t->column_count++;
    return put_derived(b, *at, e, &names);
}

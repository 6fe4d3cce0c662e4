/* catalog_index.c - what the columns of keys and indexes are: plain columns, and for those of CREATE INDEX expressions and a WHERE, each of which becomes a hidden column.
 * Why hidden columns: an entry's key, a claim, a scan and the planner all name columns by position; one that is computed is to them like any other.
 * Invariants: an index over a column that another node dropped, or gave another kind, meanwhile is not there, on every node alike.
 * Not here: UNIQUE and FOREIGN KEY of the table's own definition (catalog_table.c), how expressions are bound (catalog_derived.c). */
#include <string.h>

#include "catalog_internal.h"
#include "kind.h"

struct created_index { /* a CREATE INDEX, by the order of its source */
    const struct ast_create_index *ast;
    uint32_t *hidden; /* by column of the index: the position of its expression; UINT32_MAX: it is a plain column */
    uint32_t where;
    bool gone;
};

static struct key_column key_of(const struct column_def *c, bool desc)
{
    struct key_column k = {.type = c->type, .desc = desc};
    switch (c->type) {
    case VALUE_INTEGER: case VALUE_DATE: case VALUE_TIME: case VALUE_TIMESTAMP: k.kind = KEY_INT; break;
    case VALUE_REAL: k.kind = KEY_REAL; break;
    case VALUE_TEXT: case VALUE_BLOB: case VALUE_JSON: k.kind = KEY_BYTES; break;
    case VALUE_UUID: k.kind = KEY_UUID; break;
    case VALUE_DECIMAL:
        if (c->precision > 0) {
            k.kind = KEY_DECIMAL;
            k.scale = c->scale;
            break;
        } /* any scale: only the general form orders them */
        k.kind = KEY_ANY;
        k.type = VALUE_NULL;
        break;
    default: k.kind = KEY_ANY; k.type = VALUE_NULL;
    }
    return k;
}

quartet_status build_keys(struct build *b, const uint32_t *at, const bool *desc, uint32_t n, const struct key_column **out)
{
    struct key_column *keys = arena_zalloc(b->a, n + 1u, sizeof *keys);
    if (keys == NULL)
        return build_nomem(b);
    for (uint32_t i = 0; i < n; i++)
        keys[i] = key_of(&b->columns[at[i]], desc[i]);
    *out = keys;
    return QUARTET_OK;
}

/* A generated column is in an index by what it is computed from. */
static quartet_status check_kinds(struct build *b, uint32_t at, int64_t offset)
{
    for (uint32_t i = 0; i < b->t->column_count; i++)
        if (derived_reads(b->t, at, i) && b->columns[i].kind != ROW_LWW)
            return err_set_at(b->err, QUARTET_ERROR, offset, "the %s column %s can be in no key and no index", kind_name(b->columns[i].kind), b->columns[i].name);
    return QUARTET_OK;
}

static const struct ast_expr *uncollated(const struct ast_expr *e)
{
    while (e->kind == AST_EXPR_COLLATE)
        e = e->u.collate.value;
    return e;
}

quartet_status build_key_columns(struct build *b, const struct ast_constraint *c, const uint32_t *hidden, int32_t own, bool original, uint32_t **at, uint32_t *n, bool **desc)
{
    *n = own >= 0 ? 1 : c->columns.count;
    *at = arena_zalloc(b->a, *n + 1u, sizeof **at);
    *desc = arena_zalloc(b->a, *n + 1u, sizeof **desc);
    if (*at == NULL || *desc == NULL)
        return build_nomem(b);
    if (own >= 0) {
        (*at)[0] = (uint32_t)own;
        (*desc)[0] = c->key_dir == AST_SORT_DESC;
        return b->columns[own].derived ? check_kinds(b, (uint32_t)own, c->offset) : QUARTET_OK; /* of others whoever calls tells */
    }
    for (uint32_t i = 0; i < *n; i++) {
        const struct ast_expr *e = uncollated(c->columns.item[i].expr);
        (*desc)[i] = c->columns.item[i].dir == AST_SORT_DESC;
        if (hidden != NULL && hidden[i] != UINT32_MAX) {
            (*at)[i] = hidden[i];
            continue;
        }
        if (e->kind != AST_EXPR_COLUMN)
            return err_set_at(b->err, QUARTET_ERROR, e->offset, "only plain columns can stand here");
        const char *name = e->u.column->name.text;
        int32_t k = build_column_called(b, name, original);
        if (k < 0)
            return err_set_at(b->err, QUARTET_ERROR, e->offset, "no such column: %s", name);
        e->u.column->name.text = b->columns[k].name; /* what SHOW CREATE TABLE prints */
        for (uint32_t j = 0; j < i; j++)
            if ((*at)[j] == (uint32_t)k)
                return err_set_at(b->err, QUARTET_ERROR, e->offset, "column %s stands twice in a key", name);
        quartet_status rc = check_kinds(b, (uint32_t)k, e->offset);
        if (rc != QUARTET_OK)
            return rc;
        (*at)[i] = (uint32_t)k;
    }
    return QUARTET_OK;
}

/* ---- CREATE INDEX ---- */

/* Does it say another collation than its column has? Entries are folded as their column says, so it is an expression then. */
static bool other_collation(const struct build *b, const struct ast_expr *e, bool *nocase)
{
    const struct ast_expr *value = uncollated(e);
    int32_t at = value->kind == AST_EXPR_COLUMN ? table_column(b->t, value->u.column->name.text) : -1;
    *nocase = e->kind == AST_EXPR_COLLATE && name_cmp(e->u.collate.name, "NOCASE") == 0;
    return e->kind == AST_EXPR_COLLATE && (at < 0 || *nocase != b->columns[at].nocase);
}

static quartet_status add_hidden(struct build *b, struct created_index *x)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < x->ast->columns.count && rc == QUARTET_OK; i++) {
        const struct ast_expr *e = x->ast->columns.item[i].expr;
        bool nocase, other = other_collation(b, e, &nocase);
        if (e->kind == AST_EXPR_COLUMN || (uncollated(e)->kind == AST_EXPR_COLUMN && !other))
            continue;
        rc = build_hidden(b, "an index", e, nocase, &x->hidden[i]);
    }
    if (rc == QUARTET_OK && x->ast->where != NULL)
        rc = build_hidden(b, "the WHERE of an index", x->ast->where, false, &x->where);
    return rc;
}

quartet_status build_indexes_begin(struct build *b)
{
    b->created = arena_zalloc(b->a, b->src->index_count + 1u, sizeof *b->created);
    if (b->created == NULL)
        return build_nomem(b);
    for (uint32_t i = 0; i < b->src->index_count; i++) {
        struct created_index *x = &b->created[i];
        struct ast_stmt *stmt;
        quartet_status rc = build_parse(b, b->src->indexes[i].sql, &stmt);
        if (rc != QUARTET_OK)
            return rc;
        if (stmt->kind != AST_STMT_CREATE_INDEX)
            return err_set(b->err, QUARTET_CORRUPT, "index %s: its definition is no CREATE INDEX", b->src->indexes[i].name);
        struct ast_create_index *ast = stmt->u.create_index;
        x->ast = ast;
        x->where = INDEX_WHOLE;
        x->hidden = arena_alloc(b->a, (ast->columns.count + 1u) * sizeof *x->hidden);
        if (x->hidden == NULL)
            return build_nomem(b);
        memset(x->hidden, 0xff, (ast->columns.count + 1u) * sizeof *x->hidden);
        b->missed = false;
        rc = catalog_rename_index(ast, build_now_called, b, b->a, b->err);
        x->gone = rc == QUARTET_OK && b->missed;
        if (rc == QUARTET_OK && !x->gone)
            rc = add_hidden(b, x);
        if (rc == QUARTET_ERROR && (b->src->override_count > 0 || b->src->kind_count > 0)) { /* made while another node dropped a column, or gave it a kind */
            rc = build_problem(b);
            x->gone = true;
        }
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

quartet_status build_created_index(struct build *b, uint32_t i)
{
    const struct created_index *x = &b->created[i];
    const struct table_index *src = &b->src->indexes[i];
    if (x->gone)
        return QUARTET_OK;
    struct ast_constraint as = {.kind = AST_CONSTRAINT_INDEX, .columns = x->ast->columns};
    uint32_t *at, n;
    bool *desc;
    quartet_status rc = build_key_columns(b, &as, x->hidden, -1, false, &at, &n, &desc);
    if (rc == QUARTET_ERROR && (b->src->override_count > 0 || b->src->kind_count > 0)) { /* as above: there is nothing to index */
        return build_problem(b);
    }
    if (rc != QUARTET_OK)
        return rc;
    struct index_def *ix = &b->indexes[b->t->index_count];
    *ix = (struct index_def){.id = src->id, .unique = x->ast->unique, .name = arena_strndup(b->a, src->name, strlen(src->name)),
                             .columns = at, .column_count = n, .where = x->where};
    if (ix->name == NULL)
        return build_nomem(b);
    rc = build_keys(b, at, desc, n, &ix->keys);
    if (rc == QUARTET_OK)
        b->t->index_count++;
    return rc;
}

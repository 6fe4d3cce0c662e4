/* bind.c - columns of a statement, and how names find them.
 * Why numbers: one column may be named in many places and travel through many operators; its number
 * is the same in all of them. */
#include "bind.h"

#include <string.h>
#include <strings.h>

bool name_eq(const char *a, const char *b)
{
    if (a == NULL || b == NULL || ((a[0] ^ b[0]) & 0xDF) != 0)
        return false; /* upper and lower case differ in one bit */
    return strcasecmp(a, b) == 0;
}

bool bind_grow(struct arena *a, void *items, uint32_t count, uint32_t *cap, size_t size)
{
    void *old;
    if (count < *cap)
        return true;
    uint32_t want = *cap == 0 ? 8 : *cap * 2;
    void *p = arena_zalloc(a, want, size);
    if (p == NULL)
        return false;
    memcpy(&old, items, sizeof old);
    if (count > 0)
        memcpy(p, old, count * size);
    memcpy(items, &p, sizeof p);
    *cap = want;
    return true;
}

quartet_status bind_add(struct arena *a, struct expr ***list, uint32_t *count, uint32_t *cap,
                        struct expr *e, struct err *err)
{
    if (!bind_grow(a, list, *count, cap, sizeof **list))
        return arena_fail(a, err);
    (*list)[(*count)++] = e;
    return QUARTET_OK;
}

quartet_status bind_conjuncts(struct bind *b, struct expr *e, struct expr ***list, uint32_t *count,
                              uint32_t *cap, struct err *err)
{
    if (e->op != EXPR_AND)
        return bind_add(b->a, list, count, cap, e, err);
    for (uint32_t i = 0; i < e->arg_count; i++) {
        quartet_status rc = bind_conjuncts(b, e->args[i], list, count, cap, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

quartet_status bind_new_col(struct bind *b, const struct bcol *like, uint32_t *cid, struct err *err)
{
    if (!bind_grow(b->a, &b->cols, b->col_count, &b->col_cap, sizeof *b->cols))
        return arena_fail(b->a, err);
    *cid = b->col_count++;
    b->cols[*cid] = *like;
    b->cols[*cid].uses = 0;
    return QUARTET_OK;
}

static void shape_into(const struct bcol *c, struct expr *e)
{
    e->type = c->type;
    e->affinity = c->affinity;
    e->scale = c->scale;
    e->flags = c->flags;
    e->is_boolean = c->is_boolean;
}

quartet_status bind_col_expr(struct bind *b, uint32_t cid, struct expr **out, struct err *err)
{
    struct type_decl any = {.type = VALUE_NULL};
    struct bcol *c = &b->cols[cid];
    quartet_status rc = expr_column(b->a, cid, &any, false, out, err);
    if (rc != QUARTET_OK)
        return rc;
    shape_into(c, *out);
    c->uses++;
    return QUARTET_OK;
}

void bind_shape(const struct bind *b, const struct expr *e, const char *name, struct bcol *out)
{
    *out = (struct bcol){.name = name,
                         .type = e->type,
                         .affinity = e->affinity,
                         .scale = e->scale,
                         .is_boolean = e->is_boolean};
    out->flags = e->flags & (EXPR_NOCASE_VALUE | EXPR_OF_COLUMN);
    if (e->op == EXPR_COLUMN) {
        out->declared = b->cols[e->u.column].declared;
        out->table = b->cols[e->u.column].table;
        out->column = b->cols[e->u.column].column;
    }
}

quartet_status bind_visible(struct bind *b, struct scope *s, const char *name, const char *table,
                            struct expr *e, struct err *err)
{
    if (!bind_grow(b->a, &s->cols, s->count, &s->cap, sizeof *s->cols))
        return arena_fail(b->a, err);
    s->cols[s->count++] = (struct visible){.name = name, .table = table, .expr = e};
    return QUARTET_OK;
}

/* ---- names that are not there: say what is ---- */

static uint32_t edit_distance(const char *a, const char *b)
{
    uint32_t row[65];
    size_t n = strlen(b);
    if (n > 64 || strlen(a) > 64)
        return UINT32_MAX;
    for (uint32_t j = 0; j <= n; j++)
        row[j] = j;
    for (uint32_t i = 1; a[i - 1] != 0; i++) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= n; j++) {
            bool same = (a[i - 1] | 0x20) == (b[j - 1] | 0x20);
            uint32_t best = diagonal + (same ? 0 : 1);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[n];
}

static quartet_status no_such_column(const struct scope *s, const struct ast_column *c,
                                     uint32_t offset, struct err *err)
{
    struct buf text = {.limit_bytes = 4096};
    const char *near = NULL;
    uint32_t near_distance = 3;
    if (c->table.text != NULL)
        buf_printf(&text, "no such column: %s.%s", c->table.text, c->name.text);
    else
        buf_printf(&text, "no such column: %s", c->name.text);
    const char *table = NULL;
    uint32_t listed = 0;
    for (uint32_t i = 0; i < s->count && listed < 20; i++) {
        const struct visible *v = &s->cols[i];
        if (c->table.text != NULL && !name_eq(v->table, c->table.text))
            continue;
        uint32_t d = edit_distance(c->name.text, v->name);
        if (d < near_distance && d < strlen(c->name.text)) {
            near = v->name;
            near_distance = d;
        }
        if (table == NULL || !name_eq(table, v->table))
            buf_printf(&text, "; table %s has %s", v->table != NULL ? v->table : "(subquery)",
                       v->name);
        else
            buf_printf(&text, ", %s", v->name);
        table = v->table != NULL ? v->table : "";
        listed++;
    }
    if (near != NULL)
        buf_printf(&text, ". Did you mean %s?", near);
    else if (name_is_rowid(c->name.text))
        buf_str(&text, ". It would be an INTEGER PRIMARY KEY; rows have no other number");
    buf_u8(&text, 0);
    quartet_status rc = err_set_at(err, QUARTET_ERROR, offset, "%s",
                                   text.failed ? "no such column" : (const char *)text.data);
    buf_deinit(&text);
    return rc == QUARTET_ERROR ? QUARTET_NOTFOUND : rc;
}

static quartet_status ambiguous(const struct visible *x, const struct visible *y, const char *name, uint32_t offset, struct err *err)
{
    return err_set_at(err, QUARTET_ERROR, offset, "ambiguous column name: %s is in %s and in %s; write the table's name before it", name,
                      x->table != NULL ? x->table : "(subquery)", y->table != NULL ? y->table : "(subquery)");
}

/* rowid: true where no column is called so, and one is an INTEGER PRIMARY KEY. */
static quartet_status find_named(const struct scope *s, const struct ast_column *c, bool rowid, uint32_t offset, uint32_t *at, struct err *err)
{
    uint32_t found = BIND_NONE;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct visible *v = &s->cols[i];
        if (rowid ? !v->rowid : !name_eq(v->name, c->name.text))
            continue;
        if (c->table.text != NULL ? !name_eq(v->table, c->table.text) : v->hidden)
            continue;
        if (found != BIND_NONE && c->table.text == NULL)
            return ambiguous(&s->cols[found], v, c->name.text, offset, err);
        if (found == BIND_NONE)
            found = i;
    }
    *at = found;
    return QUARTET_OK;
}

static quartet_status find_here(const struct scope *s, const struct ast_column *c, uint32_t offset,
                                uint32_t *at, struct err *err)
{
    quartet_status rc = find_named(s, c, false, offset, at, err);
    return rc == QUARTET_OK && *at == BIND_NONE && name_is_rowid(c->name.text) ? find_named(s, c, true, offset, at, err) : rc;
}

/* The slot of a column of `owner`, noted as needed by every query from `from` outwards. */
static quartet_status use_outer(struct bind *b, struct scope *from, struct scope *owner,
                                struct expr *e, struct expr **out, struct err *err)
{
    uint32_t at = 0;
    while (at < b->slot_count && !(b->slots[at].owner == owner && b->slots[at].expr == e))
        at++;
    if (at == b->slot_count) {
        if (!bind_grow(b->a, &b->slots, b->slot_count, &b->slot_cap, sizeof *b->slots))
            return arena_fail(b->a, err);
        b->slots[b->slot_count++] =
            (struct bslot){.owner = owner, .expr = e, .param = b->param_count + 1 + at};
    }
    for (struct scope *s = from; s != NULL && s != owner; s = s->container) {
        struct bquery *q = s->query;
        bool known = false;
        for (uint32_t i = 0; i < q->dep_count; i++)
            known |= q->deps[i] == at;
        if (known)
            continue;
        if (!bind_grow(b->a, &q->deps, q->dep_count, &q->dep_cap, sizeof *q->deps))
            return arena_fail(b->a, err);
        q->deps[q->dep_count++] = at;
    }
    quartet_status rc = expr_param(b->a, b->slots[at].param, out, err);
    if (rc != QUARTET_OK)
        return rc;
    (*out)->type = e->type;
    (*out)->affinity = e->affinity;
    (*out)->scale = e->scale;
    (*out)->flags = e->flags & (EXPR_NOCASE_VALUE | EXPR_COLLATED | EXPR_OF_COLUMN);
    (*out)->is_boolean = e->is_boolean;
    return QUARTET_OK;
}

static void count_use(void *arg, uint32_t cid)
{
    struct bind *b = arg;
    b->cols[cid].uses++;
}

static quartet_status alias_expr(struct bind *b, struct scope *s, const char *name,
                                 struct expr **out, struct err *err)
{
    *out = NULL;
    if (s->aliases == NULL || s->alias_depth > 8)
        return QUARTET_OK;
    for (uint32_t i = 0; i < s->aliases->count; i++) {
        const struct ast_result *r = &s->aliases->item[i];
        if (r->alias.text == NULL || !name_eq(r->alias.text, name))
            continue;
        s->alias_depth++;
        quartet_status rc = bind_expr(b, s, r->expr, out, err);
        s->alias_depth--;
        return rc;
    }
    return QUARTET_OK;
}

/* OLD.x and NEW.x of a trigger. *out NULL: it is neither. */
static quartet_status row_name(struct bind *b, const struct ast_column *c, uint32_t offset,
                               struct expr **out, struct err *err)
{
    bool is_new = b->row_of != NULL && name_eq(c->table.text, "new");
    bool is_old = b->row_of != NULL && name_eq(c->table.text, "old");
    *out = NULL;
    if (!is_new && !is_old)
        return QUARTET_OK;
    if ((is_new && !b->has_new) || (is_old && !b->has_old))
        return err_set_at(err, QUARTET_ERROR, offset, "there is no %s row in this trigger",
                          is_new ? "NEW" : "OLD");
    int32_t at = table_column_or_rowid(b->row_of, c->name.text);
    if (at < 0)
        return err_set_at(err, QUARTET_ERROR, offset, "no such column: %s.%s", c->table.text,
                          c->name.text);
    struct bcol col = bind_table_col(b->row_of, (uint32_t)at);
    quartet_status rc =
        expr_param(b->a, (uint32_t)at + 1 + (is_new ? b->row_of->column_count : 0), out, err);
    if (rc == QUARTET_OK)
        shape_into(&col, *out);
    return rc;
}

quartet_status bind_name(struct bind *b, struct scope *s, const struct ast_column *c,
                         uint32_t offset, struct expr **out, struct err *err)
{
    for (struct scope *at = s; at != NULL; at = at->up) {
        uint32_t i = BIND_NONE;
        quartet_status rc = find_here(at, c, offset, &i, err);
        if (rc != QUARTET_OK)
            return rc;
        if (i == BIND_NONE && c->table.text == NULL && at == s) {
            rc = alias_expr(b, s, c->name.text, out, err);
            if (rc != QUARTET_OK || *out != NULL)
                return rc;
        }
        if (i == BIND_NONE)
            continue;
        struct expr *e = at->cols[i].expr;
        bind_each_column(e, count_use, b);
        if (at != s)
            return use_outer(b, s, at, e, out, err);
        return expr_copy(b->a, e, NULL, NULL, out, err);
    }
    quartet_status rc = row_name(b, c, offset, out, err);
    return rc != QUARTET_OK || *out != NULL ? rc : no_such_column(s, c, offset, err);
}

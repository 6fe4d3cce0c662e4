/* bind_from.c - FROM: tables, subqueries, common table expressions and joins.
 * Why simple subqueries vanish here: SELECT a FROM (SELECT x AS a FROM t WHERE c) is SELECT x FROM
 * t WHERE c; merged, the planner sees t and its indexes. Only where the subquery cannot be the side
 * of an outer join that is filled up with NULLs. A view is such a subquery under a name. */
#include "bind.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_temp_schema(const struct ast_qname *name)
{
    return name_eq(name->schema.text, "temp");
}

/* What the session has for itself comes first, unless the name says otherwise. */
static const struct catalog *temp_of(const struct bind *b, const struct ast_qname *name)
{
    return b->permanent || (name->schema.text != NULL && !is_temp_schema(name)) ? NULL : catalog_temp(b->catalog);
}

static const struct table_def *temp_table(const struct bind *b, const struct ast_qname *name)
{
    const struct catalog *temp = temp_of(b, name);
    const struct table_def *t = temp != NULL ? catalog_table(temp, name->name.text) : NULL;
    return t != NULL && !t->is_system ? t : NULL;
}

const struct view_def *bind_find_view(const struct bind *b, const struct ast_qname *name)
{
    const struct catalog *temp = temp_of(b, name);
    const struct view_def *v = temp != NULL ? catalog_view(temp, name->name.text) : NULL;
    if (v != NULL && !v->is_system)
        return v;
    return is_temp_schema(name) || temp_table(b, name) != NULL ? NULL : catalog_view(b->catalog, name->name.text);
}

const struct table_def *bind_find_table(struct bind *b, const struct ast_qname *name,
                                        struct err *err)
{
    const struct table_def *t = temp_table(b, name);
    if (t == NULL && !is_temp_schema(name))
        t = catalog_table(b->catalog, name->name.text);
    if (t != NULL && !t->dropped)
        return t;
    const char *near = NULL;
    for (uint32_t i = 0; (t = catalog_table_at(b->catalog, i)) != NULL; i++) {
        size_t n = strlen(t->name), m = strlen(name->name.text);
        bool close = n > 2 && m > 2 && (n > m ? n - m : m - n) <= 2 &&
                     strncasecmp(t->name, name->name.text, (n < m ? n : m) - 1) == 0;
        if (close)
            near = t->name;
    }
    if (near != NULL)
        (void)err_set_at(err, QUARTET_ERROR, name->name.offset,
                         "no such table: %s. Did you mean %s?", name->name.text,
                         near); /* NULL tells */
    else
        (void)err_set_at(err, QUARTET_ERROR, name->name.offset, "no such table: %s",
                         name->name.text); /* NULL tells */
    return NULL;
}

static quartet_status quiet_col_expr(struct bind *b, uint32_t cid, struct expr **out,
                                     struct err *err)
{
    quartet_status rc = bind_col_expr(b, cid, out, err);
    if (rc == QUARTET_OK)
        b->cols[cid].uses--; /* seen is not used */
    return rc;
}

struct bsource *bind_source_new(struct bind *b, uint8_t kind)
{
    struct bsource *s = arena_zalloc(b->a, 1, sizeof *s);
    if (s != NULL) {
        s->kind = kind;
        s->first_cid = b->col_count;
        s->key_cid = BIND_NONE;
    }
    return s;
}

quartet_status bind_source_column(struct bind *b, struct scope *s, struct bsource *src,
                                    const struct bcol *like, struct err *err)
{
    uint32_t cid;
    struct expr *e;
    quartet_status rc = bind_new_col(b, like, &cid, err);
    if (rc == QUARTET_OK)
        rc = quiet_col_expr(b, cid, &e, err);
    if (rc == QUARTET_OK && s != NULL)
        rc = bind_visible(b, s, like->name, src->alias, e, err);
    if (rc == QUARTET_OK)
        src->count++;
    return rc;
}

struct bcol bind_table_col(const struct table_def *t, uint32_t column)
{
    const struct column_def *c = &t->columns[column];
    struct bcol col = {.name = c->name,
                       .declared = c->kind == ROW_SET ? types_name(c->type) : c->declared, /* of what is read */
                       .table = t->name,
                       .column = c->name,
                       .is_boolean = c->is_boolean,
                       .scale = c->scale};
    col.type = c->type == VALUE_NULL ? 0 : c->type;
    col.affinity = col.type;
    col.flags = (uint8_t)(EXPR_OF_COLUMN | (c->nocase ? EXPR_NOCASE_VALUE : 0));
    return col;
}

quartet_status bind_table_source(struct bind *b, struct scope *s, const struct table_def *t,
                                 const char *alias, bool with_key, struct bsource **out,
                                 struct err *err)
{
    struct bsource *src = bind_source_new(b, SRC_TABLE);
    quartet_status rc = QUARTET_OK;
    if (src == NULL)
        return arena_fail(b->a, err);
    src->table = t;
    src->alias = alias != NULL ? alias : t->name;
    for (uint32_t i = 0; i < t->column_count && rc == QUARTET_OK; i++) {
        struct bcol col = bind_table_col(t, i);
        rc = bind_source_column(b, i < t->visible_count ? s : NULL, src, &col, err);
        if (rc == QUARTET_OK)
            b->cols[src->first_cid + i].source = src;
        if (rc == QUARTET_OK && s != NULL && i < t->visible_count)
            s->cols[s->count - 1].rowid = t->rowid_key && i == t->key_columns[0];
    }
    if (rc == QUARTET_OK && with_key) {
        struct bcol key = {.name = "(key)", .type = VALUE_BLOB};
        rc = bind_new_col(b, &key, &src->key_cid, err);
    }
    *out = src;
    return rc;
}

quartet_status bind_name_columns(struct bind *b, struct scope *s, uint32_t from,
                                   const struct ast_from *f, struct err *err)
{
    if (f->column_aliases.count == 0)
        return QUARTET_OK;
    if (f->column_aliases.count > s->count - from)
        return err_set_at(err, QUARTET_ERROR, f->offset, "%u column names for %u columns",
                          f->column_aliases.count, s->count - from);
    for (uint32_t i = 0; i < f->column_aliases.count; i++)
        s->cols[from + i].name = f->column_aliases.item[i].text;
    (void)b;
    return QUARTET_OK;
}

/* ---- common table expressions ---- */

static struct cte_scope *find_cte(struct scope *s, const struct ast_qname *name)
{
    if (name->schema.text != NULL)
        return NULL;
    for (struct cte_scope *c = s->ctes; c != NULL; c = c->next) {
        if (name_eq(c->ast->name.text, name->name.text))
            return c;
    }
    return NULL;
}

static quartet_status cte_names(struct bind *b, struct cte_scope *c, struct err *err)
{
    struct bcte *cte = c->cte;
    cte->out_count = cte->query->out_count;
    cte->names = arena_zalloc(b->a, cte->out_count + 1, sizeof(char *));
    if (cte->names == NULL)
        return arena_fail(b->a, err);
    if (c->ast->columns.count > 0 && c->ast->columns.count != cte->out_count)
        return err_set_at(err, QUARTET_ERROR, c->ast->name.offset,
                          "%s names %u columns, its query has %u", c->ast->name.text,
                          c->ast->columns.count, cte->out_count);
    for (uint32_t i = 0; i < cte->out_count; i++)
        cte->names[i] =
            c->ast->columns.count > 0 ? c->ast->columns.item[i].text : cte->query->names[i];
    return QUARTET_OK;
}

static bool may_recurse(const struct ast_query *q)
{
    if (q->kind != AST_QUERY_COMPOUND || q->with != NULL)
        return false;
    for (uint32_t i = 1; i < q->part_count; i++) {
        if (q->part[i].op != AST_SET_UNION && q->part[i].op != AST_SET_UNION_ALL)
            return false;
    }
    return true;
}

/* Parts that do not name the table itself start the recursion, the others go on with it. */
static quartet_status bind_recursive(struct bind *b, struct cte_scope *c, struct err *err)
{
    const struct ast_query *q = c->ast->query;
    struct bcte *cte = c->cte;
    struct scope *home = c->home;
    quartet_status rc = bind_query(b, home->up, home, c, q->part[0].query, &cte->query, err);
    if (rc == QUARTET_OK)
        rc = cte_names(b, c, err);
    cte->steps = arena_zalloc(b->a, q->part_count, sizeof(struct bquery *));
    if (rc != QUARTET_OK || cte->steps == NULL)
        return rc != QUARTET_OK ? rc : arena_fail(b->a, err);
    for (uint32_t i = 1; i < q->part_count; i++) {
        struct bquery *part;
        c->working = 1;
        rc = bind_query(b, home->up, home, c, q->part[i].query, &part, err);
        bool names_itself = c->working > 1;
        c->working = 0;
        if (rc != QUARTET_OK)
            return rc;
        if (part->out_count != cte->out_count)
            return err_set_at(err, QUARTET_ERROR, q->part[i].query->offset,
                              "the parts of %s have %u and %u columns", cte->name, cte->out_count,
                              part->out_count);
        if (!names_itself)
            return err_set_at(err, QUARTET_ERROR, q->part[i].query->offset,
                              "in the recursive %s every part after the first must name it",
                              cte->name);
        cte->steps[cte->step_count++] = part;
        cte->distinct |= q->part[i].op == AST_SET_UNION;
    }
    cte->recursive = true;
    if (q->limit != NULL)
        rc = bind_expr(b, home, q->limit, &cte->limit, err);
    if (rc == QUARTET_OK && q->limit_offset != NULL)
        rc = bind_expr(b, home, q->limit_offset, &cte->limit_offset, err);
    return rc;
}

/* Does a FROM below name it? Only names count; a wrong yes is answered by bind_recursive's error.
 */
static bool query_names(const struct ast_query *q, const char *name);
static bool from_names(const struct ast_from_list *list, const char *name)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct ast_from *f = list->item[i];
        if (f->kind == AST_FROM_TABLE && name_eq(f->name.name.text, name))
            return true;
        if (f->kind == AST_FROM_QUERY && query_names(f->query, name))
            return true;
        if (f->kind == AST_FROM_JOIN && from_names(f->nested, name))
            return true;
    }
    return false;
}

static bool query_names(const struct ast_query *q, const char *name)
{
    if (q->kind == AST_QUERY_SELECT)
        return from_names(&q->select->from, name);
    for (uint32_t i = 0; q->kind == AST_QUERY_COMPOUND && i < q->part_count; i++) {
        if (query_names(q->part[i].query, name))
            return true;
    }
    return false;
}

static quartet_status cte_bind(struct bind *b, struct cte_scope *c, struct err *err)
{
    struct bquery *home = c->home->query;
    quartet_status rc;
    c->busy = true;
    c->cte->name = c->ast->name.text;
    c->cte->materialized = c->ast->materialized == AST_CTE_MATERIALIZED;
    if (c->recursive && may_recurse(c->ast->query) &&
        query_names(c->ast->query, c->ast->name.text)) {
        rc = bind_recursive(b, c, err);
    } else {
        rc = bind_query(b, c->home->up, c->home, c->next, c->ast->query, &c->cte->query, err);
        if (rc == QUARTET_OK)
            rc = cte_names(b, c, err);
    }
    c->busy = false;
    if (rc != QUARTET_OK)
        return rc;
    if (!bind_grow(b->a, &home->ctes, home->cte_count, &home->cte_cap, sizeof *home->ctes))
        return arena_fail(b->a, err);
    home->ctes[home->cte_count++] = c->cte;
    return QUARTET_OK;
}

/* What the body reads from outside, everyone between reads too. */
static quartet_status cte_deps(struct bind *b, struct scope *from, struct cte_scope *c,
                               struct err *err)
{
    for (struct scope *s = from; s != NULL && s != c->home; s = s->container) {
        struct bquery *q = s->query;
        for (uint32_t i = 0; i < c->cte->query->dep_count; i++) {
            if (!bind_grow(b->a, &q->deps, q->dep_count, &q->dep_cap, sizeof *q->deps))
                return arena_fail(b->a, err);
            q->deps[q->dep_count++] = c->cte->query->deps[i];
        }
    }
    return QUARTET_OK;
}

static quartet_status bind_cte(struct bind *b, struct scope *s, struct cte_scope *c,
                               const struct ast_from *f, struct bsource **out, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    bool working = c->working > 0;
    if (c->busy && !working)
        return err_set_at(err, QUARTET_ERROR, f->offset, "circular reference: %s",
                          c->ast->name.text);
    if (!working && c->cte->query == NULL)
        rc = cte_bind(b, c, err);
    if (rc == QUARTET_OK && !working)
        rc = cte_deps(b, s, c, err);
    if (rc != QUARTET_OK)
        return rc;
    if (working)
        c->working++;
    else
        c->cte->refs++;
    struct bsource *src = bind_source_new(b, working ? SRC_CTE_WORK : SRC_CTE);
    if (src == NULL)
        return arena_fail(b->a, err);
    src->cte = c->cte;
    src->query = c->cte->query;
    src->alias = f->alias.text != NULL ? f->alias.text : c->ast->name.text;
    for (uint32_t i = 0; i < c->cte->out_count && rc == QUARTET_OK; i++) {
        struct bcol col = c->cte->query->shape[i];
        col.name = c->cte->names[i];
        col.kind = BCOL_SOURCE;
        rc = bind_source_column(b, s, src, &col, err);
    }
    *out = src;
    return rc;
}

/* ---- subqueries ---- */

static void uncount(void *arg, uint32_t cid)
{
    struct bind *b = arg;
    if (b->cols[cid].uses > 0)
        b->cols[cid].uses--;
}

static bool can_merge(const struct bquery *q)
{
    if (q->kind != BQ_SELECT || q->aggregated || q->distinct || q->window_count > 0 ||
        q->limit != NULL || q->limit_offset != NULL || q->order_count > 0 || q->cte_count > 0 ||
        q->from == NULL || q->qualify != NULL || q->hidden_count > 0)
        return false;
    for (uint32_t i = 0; i < q->out_count; i++) {
        if (bind_is_volatile(q->outs[i]))
            return false;
    }
    return true;
}

static quartet_status merge_query(struct bind *b, struct scope *s, const struct bquery *q,
                                  const char *alias, struct bsource **out, struct err *err)
{
    struct bquery *into = s->query;
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < q->where_count && rc == QUARTET_OK; i++)
        rc = bind_add(b->a, &into->where, &into->where_count, &into->where_cap, q->where[i], err);
    for (uint32_t i = 0; i < q->out_count && rc == QUARTET_OK; i++) {
        bind_each_column(q->outs[i], uncount, b);
        rc = bind_visible(b, s, q->names[i], alias, q->outs[i], err);
    }
    *out = q->from;
    return rc;
}

/* A query whose rows are made apart from the others. */
static quartet_status query_source(struct bind *b, struct scope *s, struct bquery *q,
                                   const struct ast_from *f, const char *alias,
                                   struct bsource **out, struct err *err)
{
    uint32_t from = s->count;
    quartet_status rc = QUARTET_OK;
    struct bsource *src = bind_source_new(b, SRC_QUERY);
    if (src == NULL)
        return arena_fail(b->a, err);
    src->query = q;
    src->alias = alias;
    for (uint32_t i = 0; i < q->dep_count; i++)
        src->lateral |= b->slots[q->deps[i]].owner == s;
    for (uint32_t i = 0; i < q->out_count && rc == QUARTET_OK; i++) {
        struct bcol col = q->shape[i];
        col.kind = BCOL_SOURCE;
        rc = bind_source_column(b, s, src, &col, err);
    }
    *out = src;
    return rc != QUARTET_OK ? rc : bind_name_columns(b, s, from, f, err);
}

static quartet_status bind_from_query(struct bind *b, struct scope *s, const struct ast_from *f,
                                      bool merge, struct bsource **out, struct err *err)
{
    struct bquery *q;
    uint32_t from = s->count;
    quartet_status rc = bind_query(b, f->lateral ? s : s->up, s, s->ctes, f->query, &q, err);
    if (rc != QUARTET_OK)
        return rc;
    if (merge && !f->lateral && can_merge(q)) {
        rc = merge_query(b, s, q, f->alias.text, out, err);
        return rc != QUARTET_OK ? rc : bind_name_columns(b, s, from, f, err);
    }
    return query_source(b, s, q, f, f->alias.text, out, err);
}

void bind_in_view(const struct view_def *v, struct err *err)
{
    char what[128];
    (void)snprintf(what, sizeof what, "view %s", v->name); /* a longer name is cut */
    if (strncmp(err->text, "view ", 5) != 0) /* of views within views the innermost is enough */
        err_prefix(err, what);
}

/* A view is its query under its name; no name of the statement around it is seen there. */
static quartet_status bind_view(struct bind *b, struct scope *s, const struct view_def *v,
                                const struct ast_from *f, bool merge, struct bsource **out,
                                struct err *err)
{
    struct ast_from *as = arena_dup(b->a, f, sizeof *f);
    if (as == NULL)
        return arena_fail(b->a, err);
    if (v->ast == NULL)
        return err_set_at(err, QUARTET_ERROR, f->offset,
                          "view %s: this version cannot read its definition: %s", v->name, v->sql);
    if (b->view_depth >= BIND_VIEW_DEPTH_MAX)
        return err_set_at(err, QUARTET_LIMIT, f->offset,
                          "view %s: views within views more than %u deep, or in a circle", v->name,
                          BIND_VIEW_DEPTH_MAX);
    as->kind = AST_FROM_QUERY;
    as->query = v->ast->query;
    as->lateral = false;
    if (as->alias.text == NULL)
        as->alias.text = v->name;
    if (v->ast->columns.count > 0)
        as->column_aliases = v->ast->columns;
    b->view_depth++;
    const struct ast_from *outer_as_of = b->view_as_of;
    if (f->as_of != AST_AS_OF_NONE)
        b->view_as_of = f;
    as->as_of = AST_AS_OF_NONE;
    uint32_t from = s->count;
    struct scope *up = s->up;
    struct cte_scope *ctes = s->ctes;
    const struct table_def *row_of = b->row_of;
    bool permanent = b->permanent;
    b->permanent = !v->temporary;
    s->up = NULL;
    s->ctes = NULL;
    b->row_of = NULL;
    quartet_status rc = bind_from_query(b, s, as, merge, out, err);
    s->up = up;
    s->ctes = ctes;
    b->row_of = row_of;
    b->permanent = permanent;
    b->view_depth--;
    b->view_as_of = outer_as_of;
    if (rc != QUARTET_OK) {
        bind_in_view(v, err);
        err->sql_offset = f->offset; /* within the view's text it would mean nothing */
        return rc;
    }
    if (v->ast->columns.count > 0 && v->ast->columns.count != s->count - from)
        return err_set_at(err, QUARTET_ERROR, f->offset, "view %s names %u columns, its query has %u",
                          v->name, v->ast->columns.count, s->count - from);
    return f->column_aliases.count > 0 ? bind_name_columns(b, s, from, f, err) : QUARTET_OK;
}

quartet_status bind_view_rows(struct bind *b, struct scope *s, const struct view_def *v, const struct ast_from *f, struct table_def **rows, struct bsource **src,
                              struct err *err)
{
    uint32_t from = s->count;
    quartet_status rc = bind_view(b, s, v, f, false, src, err);
    if (rc != QUARTET_OK)
        return rc;
    uint32_t n = s->count - from;
    struct table_def *t = arena_zalloc(b->a, 1, sizeof *t);
    struct column_def *columns = arena_zalloc(b->a, n + 1u, sizeof *columns);
    if (t == NULL || columns == NULL)
        return arena_fail(b->a, err);
    for (uint32_t i = 0; i < n; i++)
        columns[i] = (struct column_def){.name = s->cols[from + i].name, .first_name = s->cols[from + i].name, .declared = "", .id = i, .key_at = -1, .record_at = -1};
    *t = (struct table_def){.name = v->name, .first_name = v->name, .id = v->id, .sql = v->sql, .column_count = n, .visible_count = n, .columns = columns, .hidden_key = true,
                            .trigger_count = v->trigger_count, .triggers = v->triggers};
    *rows = t;
    return QUARTET_OK;
}

/* AS OF at the table, or at the view that it stands in. */
static quartet_status bind_as_of(struct bind *b, struct scope *s, const struct ast_from *f,
                                 struct bsource *src, struct err *err)
{
    struct scope none = {.up = s->up,
                         .container = s->container,
                         .query = s->query,
                         .ctes = s->ctes,
                         .clause = "AS OF"};
    if (f->as_of == AST_AS_OF_NONE)
        f = b->view_as_of;
    if (f == NULL)
        return QUARTET_OK;
    if (src->table->is_system || src->table->temporary)
        return err_set_at(err, QUARTET_ERROR, f->offset, "%s has no history to be read AS OF",
                          src->table->name);
    src->as_of = f->as_of;
    return bind_expr(b, &none, f->as_of_expr, &src->as_of_expr, err);
}

static quartet_status from_list(struct bind *b, struct scope *s, const struct ast_from_list *list,
                                bool merge, struct bsource **out, struct err *err);

static quartet_status bind_from_item(struct bind *b, struct scope *s, const struct ast_from *f,
                                     bool merge, struct bsource **out, struct err *err)
{
    uint32_t from = s->count;
    quartet_status rc;
    if (f->kind == AST_FROM_QUERY)
        return bind_from_query(b, s, f, merge, out, err);
    if (f->kind == AST_FROM_FUNCTION && s->count == 0)
        return bind_table_function(b, s, f, out, err);
    if (f->kind == AST_FROM_FUNCTION) {
        rc = bind_function_query(b, f, &f, err);
        return rc == QUARTET_OK ? bind_from_query(b, s, f, false, out, err) : rc;
    }
    if (f->kind == AST_FROM_JOIN) {
        rc = from_list(b, s, f->nested, merge, out, err);
        for (uint32_t i = from; rc == QUARTET_OK && f->alias.text != NULL && i < s->count; i++)
            s->cols[i].table = f->alias.text;
        return rc;
    }
    if (name_eq(f->name.schema.text, "information_schema")) {
        struct bquery *q;
        rc = bind_schema_query(b, &f->name, &q, err);
        return rc == QUARTET_OK
                   ? query_source(b, s, q, f,
                                  f->alias.text != NULL ? f->alias.text : f->name.name.text, out, err)
                   : rc;
    }
    struct cte_scope *cte = find_cte(s, &f->name);
    const struct view_def *view = cte == NULL ? bind_find_view(b, &f->name) : NULL;
    if (view != NULL)
        return bind_view(b, s, view, f, merge, out, err);
    if (cte != NULL && f->as_of != AST_AS_OF_NONE)
        return err_set_at(err, QUARTET_ERROR, f->offset, "AS OF is for tables and views, %s is neither",
                          f->name.name.text);
    if (cte != NULL) {
        rc = bind_cte(b, s, cte, f, out, err);
    } else {
        const struct table_def *t = bind_find_table(b, &f->name, err);
        if (t == NULL)
            return QUARTET_ERROR;
        rc = bind_table_source(b, s, t, f->alias.text, false, out, err);
        if (rc == QUARTET_OK)
            rc = bind_as_of(b, s, f, *out, err);
    }
    return rc != QUARTET_OK ? rc : bind_name_columns(b, s, from, f, err);
}

/* ---- joins ---- */

quartet_status bind_join(struct bind *b, struct bsource *l, struct bsource *r, uint8_t join,
                         struct bsource **out, struct err *err)
{
    struct bsource *j = bind_source_new(b, SRC_JOIN);
    if (j == NULL)
        return arena_fail(b->a, err);
    j->join = join;
    j->left = l;
    j->right = r;
    *out = j;
    return QUARTET_OK;
}

static quartet_status find_side(const struct scope *s, uint32_t from, uint32_t to, const char *name,
                                uint32_t offset, const char *side, uint32_t *at, struct err *err)
{
    *at = BIND_NONE;
    for (uint32_t i = from; i < to; i++) {
        if (s->cols[i].hidden || !name_eq(s->cols[i].name, name))
            continue;
        if (*at != BIND_NONE)
            return err_set_at(err, QUARTET_ERROR, offset,
                              "USING (%s): more than one column of that name on the %s", name,
                              side);
        *at = i;
    }
    return QUARTET_OK;
}

/* A column that stands for both, where the left one stood. */
static quartet_status merged_column(struct bind *b, struct scope *s, uint32_t l, uint32_t r,
                                    uint8_t join, struct err *err)
{
    struct expr *merged, *both[2];
    quartet_status rc = expr_copy(b->a, s->cols[l].expr, NULL, NULL, &both[0], err);
    if (rc == QUARTET_OK)
        rc = expr_copy(b->a, s->cols[r].expr, NULL, NULL, &both[1], err);
    if (rc != QUARTET_OK)
        return rc;
    merged = both[1];
    if (join == JOIN_FULL)
        rc = expr_nary(b->a, EXPR_COALESCE, 0, both, 2, -1, &merged, err);
    const char *name = s->cols[l].name;
    if (rc == QUARTET_OK)
        rc = bind_visible(b, s, name, NULL, merged, err);
    if (rc != QUARTET_OK)
        return rc;
    struct visible added = s->cols[s->count - 1];
    s->cols[l].hidden = true;
    s->cols[r].hidden = true;
    memmove(&s->cols[l + 1], &s->cols[l], (s->count - 1 - l) * sizeof *s->cols);
    s->cols[l] = added;
    return QUARTET_OK;
}

static void count_use(void *arg, uint32_t cid)
{
    struct bind *b = arg;
    b->cols[cid].uses++;
}

static quartet_status join_on_name(struct bind *b, struct scope *s, struct bsource *j,
                                   uint32_t *cap, uint32_t start, uint32_t *mid, const char *name,
                                   uint32_t offset, struct err *err)
{
    uint32_t l, r;
    struct expr *le, *re, *eq;
    quartet_status rc = find_side(s, start, *mid, name, offset, "left", &l, err);
    if (rc == QUARTET_OK)
        rc = find_side(s, *mid, s->count, name, offset, "right", &r, err);
    if (rc != QUARTET_OK)
        return rc;
    if (l == BIND_NONE || r == BIND_NONE)
        return err_set_at(err, QUARTET_ERROR, offset,
                          "cannot join using column %s: it is not on both sides", name);
    rc = expr_copy(b->a, s->cols[l].expr, NULL, NULL, &le, err);
    if (rc == QUARTET_OK)
        rc = expr_copy(b->a, s->cols[r].expr, NULL, NULL, &re, err);
    if (rc != QUARTET_OK)
        return rc;
    bind_each_column(le, count_use, b);
    bind_each_column(re, count_use, b);
    rc = expr_binary(b->a, EXPR_EQ, le, re, offset, &eq, err);
    if (rc == QUARTET_OK)
        rc = bind_add(b->a, &j->on, &j->on_count, cap, eq, err);
    if (rc != QUARTET_OK)
        return rc;
    if (j->join == JOIN_INNER || j->join == JOIN_LEFT) {
        s->cols[r].hidden = true;
        return QUARTET_OK;
    }
    rc = merged_column(b, s, l, r, j->join, err);
    *mid += 1;
    return rc;
}

static quartet_status join_condition(struct bind *b, struct scope *s, const struct ast_from *f,
                                     struct bsource *j, uint32_t start, uint32_t mid,
                                     struct err *err)
{
    uint32_t cap = 0;
    quartet_status rc = QUARTET_OK;
    if (f->natural) {
        for (uint32_t i = start; i < mid && rc == QUARTET_OK; i++) {
            uint32_t r = BIND_NONE;
            if (s->cols[i].hidden)
                continue;
            rc = find_side(s, mid, s->count, s->cols[i].name, f->offset, "right", &r, err);
            if (rc == QUARTET_OK && r != BIND_NONE) {
                uint32_t was = mid;
                rc = join_on_name(b, s, j, &cap, start, &mid, s->cols[i].name, f->offset, err);
                i += mid - was;
            }
        }
        return rc;
    }
    for (uint32_t i = 0; i < f->using_columns.count && rc == QUARTET_OK; i++)
        rc = join_on_name(b, s, j, &cap, start, &mid, f->using_columns.item[i].text,
                          f->using_columns.item[i].offset, err);
    if (rc == QUARTET_OK && f->on != NULL) {
        struct expr *on;
        s->clause = "ON";
        rc = bind_expr(b, s, f->on, &on, err);
        if (rc == QUARTET_OK)
            rc = bind_conjuncts(b, on, &j->on, &j->on_count, &cap, err);
    }
    return rc;
}

static uint8_t join_kind(uint8_t join)
{
    return join == AST_JOIN_LEFT    ? JOIN_LEFT
           : join == AST_JOIN_RIGHT ? JOIN_RIGHT
           : join == AST_JOIN_FULL  ? JOIN_FULL
                                    : JOIN_INNER;
}

static quartet_status from_list(struct bind *b, struct scope *s, const struct ast_from_list *list,
                                bool merge, struct bsource **out, struct err *err)
{
    uint32_t start = s->count;
    struct bsource *all = NULL;
    if (list->count > BIND_SOURCES_MAX)
        return err_set_at(err, QUARTET_LIMIT, list->item[BIND_SOURCES_MAX]->offset,
                          "more than %u tables in one FROM", BIND_SOURCES_MAX);
    for (uint32_t i = 0; i < list->count;
         i++) /* a later RIGHT or FULL JOIN fills up what is at its left */
        merge =
            merge && list->item[i]->join != AST_JOIN_RIGHT && list->item[i]->join != AST_JOIN_FULL;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct ast_from *f = list->item[i];
        struct bsource *src, *j = NULL;
        uint32_t mid = s->count;
        quartet_status rc =
            bind_from_item(b, s, f, merge && join_kind(f->join) == JOIN_INNER, &src, err);
        if (rc != QUARTET_OK)
            return rc;
        if (all == NULL) {
            all = src;
            continue;
        }
        rc = bind_join(b, all, src, join_kind(f->join), &j, err);
        if (rc == QUARTET_OK)
            rc = join_condition(b, s, f, j, start, mid, err);
        if (rc != QUARTET_OK)
            return rc;
        all = j;
    }
    *out = all;
    return QUARTET_OK;
}

quartet_status bind_from_list(struct bind *b, struct scope *s, const struct ast_from_list *list,
                              struct bsource **out, struct err *err)
{
    const char *was = s->clause;
    s->clause = "FROM";
    quartet_status rc = from_list(b, s, list, true, out, err);
    s->clause = was;
    return rc;
}

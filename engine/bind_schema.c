/* bind_schema.c - information_schema: the catalog as tables that can be queried.
 * Why rows made while binding: a plan is valid for one catalog, so what the catalog says are constants of the plan, and no second way of reading the schema
 *   is needed. Names and columns are the standard's and MySQL's, as far as they mean something here; catalog and schema are "def" and "main".
 * Not here: SHOW (conn_show.c), which is for people. */
#include <string.h>

#include "bind.h"
#include "kind.h"
#include "parser/parse.h"
#include "types.h"

#define CELLS_MAX 18u

struct rows {
    struct bind *b;
    struct bquery *q;
    uint32_t cap;
    struct err *err;
};

static struct value text(const char *s)
{
    return s != NULL ? value_text(s, strlen(s)) : VALUE_NULL_INIT;
}

static quartet_status add(struct rows *r, const struct value *cells)
{
    struct bquery *q = r->q;
    struct expr **row = arena_zalloc(r->b->a, q->out_count + 1, sizeof *row);
    if (row == NULL || !bind_grow(r->b->a, &q->rows, q->row_count, &r->cap, sizeof *q->rows))
        return arena_fail(r->b->a, r->err);
    q->rows[q->row_count++] = row;
    for (uint32_t i = 0; i < q->out_count; i++) {
        quartet_status rc = expr_const(r->b->a, &cells[i], &row[i], r->err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

#define OF_TEMP (1u << 31) /* of a position: in what the session has for itself, which comes last */

static const struct table_def *next_table(const struct rows *r, uint32_t *at)
{
    const struct table_def *t;
    while ((*at & OF_TEMP) == 0 && (t = catalog_table_at(r->b->catalog, (*at)++)) != NULL)
        if (!t->is_system)
            return t;
    *at = *at >= OF_TEMP ? *at : OF_TEMP;
    const struct catalog *temp = catalog_temp(r->b->catalog);
    while (temp != NULL && (t = catalog_table_at(temp, (*at)++ - OF_TEMP)) != NULL)
        if (!t->is_system)
            return t;
    return NULL;
}

static const struct view_def *next_view(const struct rows *r, uint32_t *at)
{
    const struct view_def *v;
    while ((*at & OF_TEMP) == 0 && (v = catalog_view_at(r->b->catalog, (*at)++)) != NULL)
        if (!v->is_system)
            return v;
    *at = *at >= OF_TEMP ? *at : OF_TEMP;
    const struct catalog *temp = catalog_temp(r->b->catalog);
    while (temp != NULL && (v = catalog_view_at(temp, (*at)++ - OF_TEMP)) != NULL)
        if (!v->is_system)
            return v;
    return NULL;
}

static struct value schema_of(bool temporary)
{
    return text(temporary ? "temp" : "main");
}

static quartet_status schemata(struct rows *r)
{
    struct value own[] = {text("def"), text("main")}, session[] = {text("def"), text("temp")}, standard[] = {text("def"), text("information_schema")};
    quartet_status rc = add(r, own);
    if (rc == QUARTET_OK)
        rc = add(r, session);
    return rc == QUARTET_OK ? add(r, standard) : rc;
}

static quartet_status tables(struct rows *r)
{
    quartet_status rc = QUARTET_OK;
    const struct table_def *t;
    const struct view_def *v;
    for (uint32_t i = 0; rc == QUARTET_OK && (t = next_table(r, &i)) != NULL;) {
        struct value c[] = {text("def"), schema_of(t->temporary), text(t->name), text(t->temporary ? "LOCAL TEMPORARY" : "BASE TABLE"), text(catalog_table_comment(r->b->catalog, t))};
        rc = add(r, c);
    }
    for (uint32_t i = 0; rc == QUARTET_OK && (v = next_view(r, &i)) != NULL;) {
        struct value c[] = {text("def"), schema_of(v->temporary), text(v->name), text("VIEW"), text(catalog_comment(r->b->catalog, v->id))};
        rc = add(r, c);
    }
    return rc;
}

static quartet_status views(struct rows *r)
{
    quartet_status rc = QUARTET_OK;
    const struct view_def *v;
    for (uint32_t i = 0; rc == QUARTET_OK && (v = next_view(r, &i)) != NULL;) {
        struct value c[] = {text("def"), schema_of(v->temporary), text(v->name), text(v->sql), text("NO")};
        rc = add(r, c);
    }
    return rc;
}

/* In how many indexes does the column stand first? MySQL's column_key. */
static const char *column_key(const struct table_def *t, uint32_t at)
{
    const char *key = t->columns[at].key_at >= 0 ? "PRI" : "";
    for (uint32_t i = 0; i < t->index_count && *key == '\0'; i++)
        if (t->indexes[i].columns[0] == at)
            key = t->indexes[i].unique && t->indexes[i].column_count == 1 ? "UNI" : "MUL";
    return key;
}

static quartet_status table_columns(struct rows *r, const struct table_def *t)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < t->visible_count && rc == QUARTET_OK; i++) {
        const struct column_def *d = &t->columns[i];
        struct buf by_default = {0}; /* or what it is computed from */
        if (d->default_expr != NULL || d->generated != NULL)
            ast_print_expr(d->default_expr != NULL ? d->default_expr : d->generated, &by_default);
        bool decimal = d->type == VALUE_DECIMAL && d->precision > 0;
        struct value c[] = {text("def"),
                            schema_of(t->temporary),
                            text(t->name),
                            text(d->name),
                            value_int(i + 1),
                            d->default_expr != NULL ? value_text(by_default.data, by_default.len) : VALUE_NULL_INIT,
                            text(d->not_null || d->key_at >= 0 ? "NO" : "YES"),
                            text(d->is_boolean ? "BOOLEAN" : d->type == VALUE_NULL ? "ANY" : types_name(d->type)),
                            d->length > 0 ? value_int(d->length) : VALUE_NULL_INIT,
                            decimal ? value_int(d->precision) : VALUE_NULL_INIT,
                            decimal ? value_int(d->scale) : VALUE_NULL_INIT,
                            text(d->declared != NULL ? d->declared : ""),
                            text(column_key(t, i)),
                            text(d->nocase ? "NOCASE" : "BINARY"),
                            text(kind_column_merges(d)),
                            d->derived ? value_text(by_default.data, by_default.len) : VALUE_NULL_INIT,
                            text(catalog_column_comment(r->b->catalog, t, i))};
        rc = by_default.failed ? err_nomem(r->err) : add(r, c);
        buf_deinit(&by_default);
    }
    return rc;
}

/* Of a view what its query gives now; nothing where it cannot be bound. */
static quartet_status view_columns(struct rows *r, const struct view_def *v)
{
    struct bind b = {.a = r->b->a, .catalog = r->b->catalog, .listing = true};
    struct bquery *q = NULL;
    struct err ignored = ERR_INIT;
    if (v->ast == NULL)
        return QUARTET_OK;
    quartet_status rc = bind_query(&b, NULL, NULL, NULL, v->ast->query, &q, &ignored);
    if (rc != QUARTET_OK)
        return rc == QUARTET_NOMEM ? err_nomem(r->err) : QUARTET_OK;
    for (uint32_t i = 0; i < q->out_count && rc == QUARTET_OK; i++) {
        const struct bcol *s = &q->shape[i];
        struct value null = VALUE_NULL_INIT;
        struct value c[] = {text("def"), schema_of(v->temporary), text(v->name), text(i < v->ast->columns.count ? v->ast->columns.item[i].text : q->names[i]),
                            value_int(i + 1), null, text("YES"), text(s->is_boolean ? "BOOLEAN" : s->type == 0 ? "ANY" : types_name(s->type)),
                            null, null, null, text(s->declared != NULL ? s->declared : ""), text(""), text((s->flags & EXPR_NOCASE_VALUE) != 0 ? "NOCASE" : "BINARY"), null, null, null};
        rc = add(r, c);
    }
    return rc;
}

static quartet_status columns(struct rows *r)
{
    quartet_status rc = QUARTET_OK;
    const struct table_def *t;
    const struct view_def *v;
    for (uint32_t i = 0; rc == QUARTET_OK && (t = next_table(r, &i)) != NULL;)
        rc = table_columns(r, t);
    for (uint32_t i = 0; rc == QUARTET_OK && !r->b->listing && (v = next_view(r, &i)) != NULL;)
        rc = view_columns(r, v);
    return rc;
}

/* ---- constraints ---- */

static const char *named(struct rows *r, const char *name, const struct table_def *t, const char *kind, uint32_t n)
{
    return name != NULL ? name : arena_printf(r->b->a, "%s_%s_%u", t->name, kind, n + 1);
}

static quartet_status one_constraint(struct rows *r, const struct table_def *t, const char *name, const char *type)
{
    struct value c[] = {text("def"), schema_of(t->temporary), text(name), schema_of(t->temporary), text(t->name), text(type)};
    return name == NULL ? arena_fail(r->b->a, r->err) : add(r, c);
}

static quartet_status table_constraints(struct rows *r)
{
    quartet_status rc = QUARTET_OK;
    const struct table_def *t;
    for (uint32_t i = 0; rc == QUARTET_OK && (t = next_table(r, &i)) != NULL;) {
        if (!t->hidden_key)
            rc = one_constraint(r, t, "PRIMARY", "PRIMARY KEY");
        for (uint32_t k = 0; k < t->index_count && rc == QUARTET_OK; k++)
            if (t->indexes[k].unique && t->indexes[k].where == INDEX_WHOLE)
                rc = one_constraint(r, t, t->indexes[k].name, "UNIQUE");
        for (uint32_t k = 0; k < t->foreign_key_count && rc == QUARTET_OK; k++)
            rc = one_constraint(r, t, named(r, t->foreign_keys[k].name, t, "foreign", k), "FOREIGN KEY");
        for (uint32_t k = 0; k < t->check_count && rc == QUARTET_OK; k++)
            rc = one_constraint(r, t, named(r, t->checks[k].name, t, "check", k), "CHECK");
    }
    return rc;
}

static quartet_status key_column(struct rows *r, const struct table_def *t, const char *name, uint32_t column, uint32_t at, const char *parent,
                                 const char *parent_column)
{
    struct value null = VALUE_NULL_INIT;
    struct value c[] = {text("def"), schema_of(t->temporary), text(name), schema_of(t->temporary), text(t->name), text(t->columns[column].name), value_int(at + 1),
                        parent != NULL ? value_int(at + 1) : null, text(parent), text(parent_column)};
    return name == NULL ? arena_fail(r->b->a, r->err) : add(r, c);
}

static const char *parent_column(const struct rows *r, const struct foreign_key_def *f, uint32_t at)
{
    const struct table_def *parent = catalog_parent(r->b->catalog, f);
    if (f->parent_columns != NULL)
        return f->parent_columns[at];
    return parent != NULL && at < parent->key_count ? parent->columns[parent->key_columns[at]].name : NULL;
}

static quartet_status key_column_usage(struct rows *r)
{
    quartet_status rc = QUARTET_OK;
    const struct table_def *t;
    for (uint32_t i = 0; rc == QUARTET_OK && (t = next_table(r, &i)) != NULL;) {
        for (uint32_t k = 0; k < t->key_count && rc == QUARTET_OK && !t->hidden_key; k++)
            rc = key_column(r, t, "PRIMARY", t->key_columns[k], k, NULL, NULL);
        for (uint32_t k = 0; k < t->index_count; k++)
            for (uint32_t c = 0; t->indexes[k].unique && t->indexes[k].where == INDEX_WHOLE && c < t->indexes[k].column_count && rc == QUARTET_OK; c++)
                rc = key_column(r, t, t->indexes[k].name, t->indexes[k].columns[c], c, NULL, NULL);
        for (uint32_t k = 0; k < t->foreign_key_count; k++) {
            const struct foreign_key_def *f = &t->foreign_keys[k];
            for (uint32_t c = 0; c < f->column_count && rc == QUARTET_OK; c++)
                rc = key_column(r, t, named(r, f->name, t, "foreign", k), f->columns[c], c, f->parent, parent_column(r, f, c));
        }
    }
    return rc;
}

static quartet_status referential_constraints(struct rows *r)
{
    static const char *const rules[] = {"NO ACTION", "NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"};
    quartet_status rc = QUARTET_OK;
    const struct table_def *t;
    for (uint32_t i = 0; rc == QUARTET_OK && (t = next_table(r, &i)) != NULL;)
        for (uint32_t k = 0; k < t->foreign_key_count && rc == QUARTET_OK; k++) {
            const struct foreign_key_def *f = &t->foreign_keys[k];
            const char *name = named(r, f->name, t, "foreign", k);
            struct value c[] = {text("def"), text("main"), text(name), text("NONE"), text(rules[f->on_update]), text(rules[f->on_delete]),
                                text(t->name), text(f->parent)};
            rc = name == NULL ? arena_fail(r->b->a, r->err) : add(r, c);
        }
    return rc;
}

static quartet_status statistics(struct rows *r)
{
    quartet_status rc = QUARTET_OK;
    const struct table_def *t;
    for (uint32_t i = 0; rc == QUARTET_OK && (t = next_table(r, &i)) != NULL;) {
        for (uint32_t k = 0; k < t->key_count && rc == QUARTET_OK && !t->hidden_key; k++) {
            struct value c[] = {text("def"), schema_of(t->temporary), text(t->name), value_int(0), text("PRIMARY"), value_int(k + 1),
                                text(t->columns[t->key_columns[k]].name), text(t->keys[k].desc ? "D" : "A"), text(NULL), text(NULL), text(NULL)};
            rc = add(r, c);
        }
        for (uint32_t k = 0; k < t->index_count; k++)
            for (uint32_t n = 0; n < t->indexes[k].column_count && rc == QUARTET_OK; n++) {
                const struct index_def *ix = &t->indexes[k];
                bool expression = ix->columns[n] >= t->visible_count;
                struct value c[] = {text("def"), schema_of(t->temporary), text(t->name), value_int(!ix->unique), text(ix->name), value_int(n + 1),
                                    text(expression ? NULL : t->columns[ix->columns[n]].name), text(ix->keys[n].desc ? "D" : "A"),
                                    text(expression ? t->columns[ix->columns[n]].name : NULL), text(ix->where != INDEX_WHOLE ? t->columns[ix->where].name : NULL),
                                    text(catalog_comment(r->b->catalog, ix->id))};
                rc = add(r, c);
            }
    }
    return rc;
}

static quartet_status triggers_of(struct rows *r, const char *table, const struct trigger_def *list, uint32_t n)
{
    static const char *const times[] = {"BEFORE", "BEFORE", "AFTER", "INSTEAD OF"}, *const events[] = {"INSERT", "UPDATE", "DELETE"};
    quartet_status rc = QUARTET_OK;
    for (uint32_t k = 0; k < n && rc == QUARTET_OK; k++) {
        const struct trigger_def *g = &list[k];
        struct value c[] = {text("def"), text("main"), text(g->name), text(events[g->ast->event]), text(table), text(times[g->ast->time]),
                            text("ROW"), text(g->sql), text(catalog_comment(r->b->catalog, g->id))};
        rc = add(r, c);
    }
    return rc;
}

static quartet_status triggers(struct rows *r)
{
    quartet_status rc = QUARTET_OK;
    const struct table_def *t;
    const struct view_def *v;
    for (uint32_t i = 0; rc == QUARTET_OK && (t = next_table(r, &i)) != NULL;)
        rc = triggers_of(r, t->name, t->triggers, t->trigger_count);
    for (uint32_t i = 0; rc == QUARTET_OK && (v = next_view(r, &i)) != NULL;)
        rc = triggers_of(r, v->name, v->triggers, v->trigger_count);
    return rc;
}

static const struct {
    const char *name;
    quartet_status (*fill)(struct rows *r);
    const char *columns[CELLS_MAX]; /* those whose names begin with # are INTEGER */
} all[] = {
    {"schemata", schemata, {"catalog_name", "schema_name"}},
    {"tables", tables, {"table_catalog", "table_schema", "table_name", "table_type", "table_comment"}},
    {"columns", columns,
     {"table_catalog", "table_schema", "table_name", "column_name", "#ordinal_position", "column_default", "is_nullable", "data_type",
      "#character_maximum_length", "#numeric_precision", "#numeric_scale", "column_type", "column_key", "collation_name", "merges_by", "generation_expression",
      "column_comment"}},
    {"views", views, {"table_catalog", "table_schema", "table_name", "view_definition", "is_updatable"}},
    {"table_constraints", table_constraints,
     {"constraint_catalog", "constraint_schema", "constraint_name", "table_schema", "table_name", "constraint_type"}},
    {"key_column_usage", key_column_usage,
     {"constraint_catalog", "constraint_schema", "constraint_name", "table_schema", "table_name", "column_name", "#ordinal_position",
      "#position_in_unique_constraint", "referenced_table_name", "referenced_column_name"}},
    {"referential_constraints", referential_constraints,
     {"constraint_catalog", "constraint_schema", "constraint_name", "match_option", "update_rule", "delete_rule", "table_name", "referenced_table_name"}},
    {"statistics", statistics,
     {"table_catalog", "table_schema", "table_name", "#non_unique", "index_name", "#seq_in_index", "column_name", "collation", "expression", "filter_condition",
      "index_comment"}},
    {"triggers", triggers,
     {"trigger_catalog", "trigger_schema", "trigger_name", "event_manipulation", "event_object_table", "action_timing", "action_orientation",
      "action_statement", "trigger_comment"}},
};

static quartet_status shape(struct rows *r, const char *const *names)
{
    struct bquery *q = r->q;
    while (q->out_count < CELLS_MAX && names[q->out_count] != NULL)
        q->out_count++;
    q->names = arena_zalloc(r->b->a, q->out_count + 1, sizeof *q->names);
    q->shape = arena_zalloc(r->b->a, q->out_count + 1, sizeof *q->shape);
    if (q->names == NULL || q->shape == NULL)
        return arena_fail(r->b->a, r->err);
    for (uint32_t i = 0; i < q->out_count; i++) {
        bool number = names[i][0] == '#';
        uint8_t type = number ? VALUE_INTEGER : VALUE_TEXT;
        q->names[i] = names[i] + (number ? 1 : 0);
        q->shape[i] = (struct bcol){.name = q->names[i], .type = type, .affinity = type, .flags = number ? 0 : EXPR_OF_COLUMN | EXPR_NOCASE_VALUE};
    }
    return QUARTET_OK;
}

quartet_status bind_schema_query(struct bind *b, const struct ast_qname *name, struct bquery **out, struct err *err)
{
    size_t at = 0, count = sizeof all / sizeof all[0];
    while (at < count && !name_eq(all[at].name, name->name.text))
        at++;
    if (at == count)
        return err_set_at(err, QUARTET_ERROR, name->name.offset,
                          "no such table: information_schema.%s; there are schemata, tables, columns, views, table_constraints, key_column_usage, "
                          "referential_constraints, statistics and triggers",
                          name->name.text);
    struct rows r = {.b = b, .q = arena_zalloc(b->a, 1, sizeof *r.q), .err = err};
    if (r.q == NULL)
        return arena_fail(b->a, err);
    r.q->kind = BQ_VALUES;
    r.q->bare_by = BIND_NONE;
    quartet_status rc = shape(&r, all[at].columns);
    if (rc == QUARTET_OK)
        rc = all[at].fill(&r);
    *out = r.q;
    return rc;
}

/* conn_show.c - SHOW: tables, columns, indexes, definitions, settings, figures; what only a cluster's node knows comes through its hook. */
#include "conn_internal.h"

#include <string.h>
#include <strings.h>

#include "func.h"
#include "kind.h"
#include "like.h"
#include "parser/parse.h"
#include "share.h"
#include "types.h"

/* A table under construction in the caller's arena. */
struct builder {
    struct arena *a;
    struct conn_table *out;
    struct value *values;
    uint32_t cap;
};

static quartet_status add_row(struct builder *b, const struct value *row, struct err *err)
{
    struct conn_table *t = b->out;
    if (t->row_count == b->cap) {
        uint32_t cap = b->cap == 0 ? 16 : b->cap * 2;
        struct value *grown = arena_zalloc(b->a, (size_t)cap * t->column_count, sizeof *grown);
        if (grown == NULL)
            return arena_fail(b->a, err);
        if (t->row_count > 0)
            memcpy(grown, b->values, (size_t)t->row_count * t->column_count * sizeof *grown);
        b->values = grown;
        b->cap = cap;
        t->values = grown;
    }
    memcpy(b->values + (size_t)t->row_count * t->column_count, row, t->column_count * sizeof *row);
    t->row_count++;
    return QUARTET_OK;
}

static struct value text_of(struct arena *a, const char *text)
{
    if (text == NULL)
        return VALUE_NULL_INIT;
    size_t n = strlen(text);
    char *copy = arena_strndup(a, text, n); /* the catalog may go before the rows are read */
    return copy != NULL ? value_text(copy, n) : VALUE_NULL_INIT;
}

static void begin_table(struct builder *b, struct arena *a, struct conn_table *out, const char *const *columns, uint32_t count)
{
    *out = (struct conn_table){.columns = columns, .column_count = count};
    *b = (struct builder){.a = a, .out = out};
}

static quartet_status add_tables(struct builder *b, const struct catalog *catalog, struct err *err)
{
    const struct table_def *t;
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; rc == QUARTET_OK && (t = catalog_table_at(catalog, i)) != NULL; i++)
        if (!t->is_system) {
            struct value row = text_of(b->a, t->name);
            rc = add_row(b, &row, err);
        }
    return rc;
}

/* Here and below: what the session has for itself comes last. */
static quartet_status show_tables(const struct catalog *catalog, struct arena *a, struct conn_table *out, struct err *err)
{
    static const char *const columns[] = {"name"};
    struct builder b;
    begin_table(&b, a, out, columns, 1);
    quartet_status rc = add_tables(&b, catalog, err);
    return rc == QUARTET_OK && catalog_temp(catalog) != NULL ? add_tables(&b, catalog_temp(catalog), err) : rc;
}

static quartet_status add_views(struct builder *b, const struct catalog *catalog, struct err *err)
{
    const struct view_def *v;
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; rc == QUARTET_OK && (v = catalog_view_at(catalog, i)) != NULL; i++) {
        if (v->is_system)
            continue;
        struct value row[2] = {text_of(b->a, v->name), text_of(b->a, v->sql)};
        rc = add_row(b, row, err);
    }
    return rc;
}

static quartet_status show_views(const struct catalog *catalog, struct arena *a, struct conn_table *out, struct err *err)
{
    static const char *const columns[] = {"name", "sql"};
    struct builder b;
    begin_table(&b, a, out, columns, 2);
    quartet_status rc = add_views(&b, catalog, err);
    return rc == QUARTET_OK && catalog_temp(catalog) != NULL ? add_views(&b, catalog_temp(catalog), err) : rc;
}

static quartet_status find_table(const struct catalog *catalog, const char *name, const struct table_def **out, struct err *err)
{
    *out = name != NULL ? catalog_named(catalog, name) : NULL;
    return *out != NULL ? QUARTET_OK : err_set(err, QUARTET_ERROR, "no such table: %s", name != NULL ? name : "(no name was given)");
}

static struct value merges_by(struct arena *a, const struct column_def *c)
{
    if (c->kind_claimed == ROW_LWW)
        return text_of(a, kind_column_merges(c));
    const char *text = arena_printf(a, "%s; %s once every member has acknowledged that", kind_merges(c->kind), kind_merges(c->kind_claimed));
    return text == NULL ? VALUE_NULL_INIT : value_text(text, strlen(text));
}

static quartet_status show_columns(const struct catalog *catalog, const char *name, struct arena *a, struct conn_table *out, struct err *err)
{
    static const char *const columns[] = {"cid", "name", "type", "notnull", "dflt_value", "pk", "merges_by", "comment"};
    struct builder b;
    const struct table_def *t;
    quartet_status rc = find_table(catalog, name, &t, err);
    begin_table(&b, a, out, columns, 8);
    for (uint32_t i = 0; rc == QUARTET_OK && i < t->visible_count; i++) {
        const struct column_def *c = &t->columns[i];
        struct buf text = {0};
        if (c->default_expr != NULL)
            ast_print_expr(c->default_expr, &text);
        buf_u8(&text, 0);
        struct value row[8] = {value_int(i),
                               text_of(a, c->name),
                               text_of(a, c->declared != NULL ? c->declared : ""),
                               value_int(c->not_null),
                               c->default_expr != NULL && !text.failed ? text_of(a, (const char *)text.data) : VALUE_NULL_INIT,
                               value_int(c->key_at + 1),
                               merges_by(a, c),
                               text_of(a, catalog_column_comment(catalog, t, i))};
        rc = add_row(&b, row, err);
        buf_deinit(&text);
    }
    return rc;
}

quartet_status conn_show_columns(conn *c, const char *table, struct arena *a, struct conn_table *out, struct err *err)
{
    struct catalog *catalog;
    quartet_status rc = conn_catalog(c, &catalog, err);
    if (rc != QUARTET_OK)
        return rc;
    rc = show_columns(catalog, table, a, out, err);
    catalog_unref(catalog);
    return rc;
}

static quartet_status show_indexes(const struct catalog *catalog, const char *name, struct arena *a, struct conn_table *out, struct err *err)
{
    static const char *const columns[] = {"table", "name", "unique", "seq", "column", "order", "implied", "comment"};
    struct builder b;
    const struct table_def *t;
    quartet_status rc = find_table(catalog, name, &t, err);
    begin_table(&b, a, out, columns, 8);
    for (uint32_t i = 0; rc == QUARTET_OK && i < t->index_count; i++)
        for (uint32_t k = 0; rc == QUARTET_OK && k < t->indexes[i].column_count; k++) {
            const struct index_def *ix = &t->indexes[i];
            struct value row[8] = {text_of(a, t->name), text_of(a, ix->name), value_int(ix->unique), value_int(k),
                                   text_of(a, t->columns[ix->columns[k]].name), text_of(a, ix->keys[k].desc ? "DESC" : "ASC"), value_int(ix->implied),
                                   text_of(a, catalog_comment(catalog, ix->id))};
            rc = add_row(&b, row, err);
        }
    return rc;
}

static quartet_status show_create(const struct catalog *catalog, const char *name, struct arena *a, struct conn_table *out, struct err *err)
{
    static const char *const columns[] = {"table", "sql"};
    struct builder b;
    const struct table_def *t;
    quartet_status rc = find_table(catalog, name, &t, err);
    begin_table(&b, a, out, columns, 2);
    if (rc != QUARTET_OK)
        return rc;
    const char *sql;
    rc = catalog_commented(catalog, t, a, &sql, err);
    struct value row[2] = {text_of(a, t->name), rc == QUARTET_OK ? text_of(a, sql) : VALUE_NULL_INIT};
    return rc == QUARTET_OK ? add_row(&b, row, err) : rc;
}

/* What CREATE INDEX would make it as it is now: its columns may have been renamed since. */
static struct value index_text(struct arena *a, const struct table_def *t, const struct index_def *ix)
{
    struct buf text = {0};
    buf_str(&text, ix->unique ? "CREATE UNIQUE INDEX " : "CREATE INDEX ");
    ast_print_name(ix->name, &text);
    buf_str(&text, " ON ");
    ast_print_name(t->name, &text);
    for (uint32_t i = 0; i < ix->column_count; i++) {
        buf_str(&text, i == 0 ? " (" : ", ");
        if (ix->columns[i] < t->visible_count)
            ast_print_name(t->columns[ix->columns[i]].name, &text);
        else
            buf_printf(&text, "(%s)", t->columns[ix->columns[i]].name); /* an expression */
        buf_str(&text, ix->keys[i].desc ? " DESC" : "");
    }
    buf_str(&text, ")");
    if (ix->where != INDEX_WHOLE)
        buf_printf(&text, " WHERE %s", t->columns[ix->where].name);
    buf_u8(&text, 0);
    struct value v = text.failed ? VALUE_NULL_INIT : text_of(a, (const char *)text.data);
    buf_deinit(&text);
    return v;
}

/* A row of SHOW SCHEMA for a comment, if there is one; `now` is what it is, `declared` what the definition, which stands before, says. */
static quartet_status add_comment(struct builder *b, const char *what, const char *table, const char *name, const char *column, const char *now, const char *declared, struct err *err)
{
    struct buf text = {0};
    if (now == declared || (now != NULL && declared != NULL && strcmp(now, declared) == 0))
        return QUARTET_OK;
    buf_printf(&text, "COMMENT ON %s ", what);
    ast_print_name(name, &text);
    if (column != NULL) {
        buf_str(&text, ".");
        ast_print_name(column, &text);
    }
    buf_str(&text, " IS ");
    struct value v = now != NULL ? value_text(now, strlen(now)) : VALUE_NULL_INIT;
    value_to_literal(&v, &text);
    buf_u8(&text, 0);
    struct value sql = text.failed ? VALUE_NULL_INIT : text_of(b->a, (const char *)text.data);
    buf_deinit(&text);
    return add_row(b, (struct value[]){text_of(b->a, "comment"), text_of(b->a, column != NULL ? column : name), text_of(b->a, table), sql}, err);
}

static quartet_status add_trigger_comments(struct builder *b, const struct catalog *catalog, const char *table, const struct trigger_def *list, uint32_t n, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++)
        rc = add_comment(b, "TRIGGER", table, list[i].name, NULL, catalog_comment(catalog, list[i].id), NULL, err);
    return rc;
}

static quartet_status add_comments(struct builder *b, const struct catalog *catalog, const struct table_def *t, struct err *err)
{
    quartet_status rc = add_comment(b, "TABLE", t->name, t->name, NULL, catalog_table_comment(catalog, t), t->comment, err);
    for (uint32_t i = 0; i < t->visible_count && rc == QUARTET_OK; i++)
        rc = add_comment(b, "COLUMN", t->name, t->name, t->columns[i].name, catalog_column_comment(catalog, t, i), t->columns[i].comment, err);
    for (uint32_t i = 0; i < t->index_count && rc == QUARTET_OK; i++)
        rc = add_comment(b, "INDEX", t->name, t->indexes[i].name, NULL, catalog_comment(catalog, t->indexes[i].id), NULL, err);
    return rc == QUARTET_OK ? add_trigger_comments(b, catalog, t->name, t->triggers, t->trigger_count, err) : rc;
}

static quartet_status add_triggers(struct builder *b, const char *table, const struct trigger_def *list, uint32_t n, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++)
        rc = add_row(b, (struct value[]){text_of(b->a, "trigger"), text_of(b->a, list[i].name), text_of(b->a, table), text_of(b->a, list[i].sql)}, err);
    return rc;
}

/* Everything that users made, as it is now: tables by name, each before its indexes, triggers and their comments; then views. */
static quartet_status add_schema(struct builder *b, const struct catalog *catalog, struct err *err)
{
    struct arena *a = b->a;
    const struct table_def *t;
    const struct view_def *v;
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; rc == QUARTET_OK && (t = catalog_table_at(catalog, i)) != NULL; i++) {
        if (t->is_system)
            continue;
        rc = add_row(b, (struct value[]){text_of(a, "table"), text_of(a, t->name), text_of(a, t->name), text_of(a, t->sql)}, err);
        for (uint32_t k = 0; k < t->index_count && rc == QUARTET_OK; k++)
            if (!t->indexes[k].implied)
                rc = add_row(b, (struct value[]){text_of(a, "index"), text_of(a, t->indexes[k].name), text_of(a, t->name), index_text(a, t, &t->indexes[k])}, err);
        if (rc == QUARTET_OK)
            rc = add_triggers(b, t->name, t->triggers, t->trigger_count, err);
        if (rc == QUARTET_OK)
            rc = add_comments(b, catalog, t, err);
    }
    for (uint32_t i = 0; rc == QUARTET_OK && (v = catalog_view_at(catalog, i)) != NULL; i++)
        if (!v->is_system) {
            rc = add_row(b, (struct value[]){text_of(a, "view"), text_of(a, v->name), text_of(a, v->name), text_of(a, v->sql)}, err);
            if (rc == QUARTET_OK)
                rc = add_triggers(b, v->name, v->triggers, v->trigger_count, err);
            if (rc == QUARTET_OK)
                rc = add_comment(b, "VIEW", v->name, v->name, NULL, catalog_comment(catalog, v->id), NULL, err);
            if (rc == QUARTET_OK)
                rc = add_trigger_comments(b, catalog, v->name, v->triggers, v->trigger_count, err);
        }
    return rc;
}

static quartet_status show_schema(const struct catalog *catalog, struct arena *a, struct conn_table *out, struct err *err)
{
    static const char *const columns[] = {"kind", "name", "table", "sql"};
    struct builder b;
    begin_table(&b, a, out, columns, 4);
    quartet_status rc = add_schema(&b, catalog, err);
    if (rc == QUARTET_OK && catalog_temp(catalog) != NULL)
        rc = add_schema(&b, catalog_temp(catalog), err);
    for (uint32_t i = 0; rc == QUARTET_OK && i < out->row_count; i++)
        if (out->values[4 * i + 3].type == VALUE_NULL)
            rc = err_nomem(err); /* a text that is missing would be taken for an object without one */
    return rc;
}

static quartet_status show_create_view(const struct catalog *catalog, const char *name, struct arena *a, struct conn_table *out, struct err *err)
{
    static const char *const columns[] = {"view", "sql"};
    struct builder b;
    const struct catalog *temp = catalog_temp(catalog);
    const struct view_def *v = temp != NULL ? catalog_view(temp, name) : NULL;
    v = v != NULL && !v->is_system ? v : catalog_view(catalog, name);
    begin_table(&b, a, out, columns, 2);
    if (v == NULL)
        return err_set(err, QUARTET_ERROR, "no such view: %s", name);
    struct value row[2] = {text_of(a, v->name), text_of(a, v->sql)};
    return add_row(&b, row, err);
}

static quartet_status add_trigger_rows(struct builder *b, const char *table, const struct trigger_def *list, uint32_t n, struct err *err)
{
    static const char *const events[] = {"INSERT", "UPDATE", "DELETE"};
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++) {
        const char *timing = list[i].ast->time == AST_TRIGGER_AFTER ? "AFTER" : list[i].ast->time == AST_TRIGGER_INSTEAD_OF ? "INSTEAD OF" : "BEFORE";
        rc = add_row(b, (struct value[]){text_of(b->a, list[i].name), text_of(b->a, table), text_of(b->a, timing), text_of(b->a, events[list[i].ast->event]), text_of(b->a, list[i].sql)}, err);
    }
    return rc;
}

/* Those of one table or view, where it is named. */
static quartet_status show_triggers(const struct catalog *catalog, const char *of, struct arena *a, struct conn_table *out, struct err *err)
{
    static const char *const columns[] = {"name", "table", "timing", "event", "sql"};
    struct builder b;
    const struct table_def *t;
    const struct view_def *v;
    quartet_status rc = QUARTET_OK;
    begin_table(&b, a, out, columns, 5);
    if (of != NULL && catalog_named(catalog, of) == NULL && catalog_view(catalog, of) == NULL)
        return err_set(err, QUARTET_ERROR, "no such table: %s", of);
    for (uint32_t i = 0; rc == QUARTET_OK && (t = catalog_table_at(catalog, i)) != NULL; i++)
        if (of == NULL || name_cmp(t->name, of) == 0)
            rc = add_trigger_rows(&b, t->name, t->triggers, t->trigger_count, err);
    for (uint32_t i = 0; rc == QUARTET_OK && (v = catalog_view_at(catalog, i)) != NULL; i++)
        if (of == NULL || name_cmp(v->name, of) == 0)
            rc = add_trigger_rows(&b, v->name, v->triggers, v->trigger_count, err);
    return rc;
}

/* Its name and text; *found false: there is none. */
static quartet_status add_create_index(struct builder *b, const struct catalog *catalog, const char *name, bool *found, struct err *err)
{
    const struct table_def *t;
    for (uint32_t i = 0; catalog != NULL && (t = catalog_table_at(catalog, i)) != NULL; i++)
        for (uint32_t k = 0; k < t->index_count; k++)
            if (name_cmp(t->indexes[k].name, name) == 0) {
                *found = true;
                return add_row(b, (struct value[]){text_of(b->a, t->indexes[k].name), index_text(b->a, t, &t->indexes[k])}, err);
            }
    return QUARTET_OK;
}

static quartet_status show_create_index(const struct catalog *catalog, const char *name, struct arena *a, struct conn_table *out, struct err *err)
{
    static const char *const columns[] = {"index", "sql"};
    struct builder b;
    bool found = false;
    begin_table(&b, a, out, columns, 2);
    quartet_status rc = add_create_index(&b, catalog_temp(catalog), name, &found, err);
    if (rc == QUARTET_OK && !found)
        rc = add_create_index(&b, catalog, name, &found, err);
    return rc != QUARTET_OK || found ? rc : err_set(err, QUARTET_ERROR, "no such index: %s", name);
}

static quartet_status show_create_trigger(const struct catalog *catalog, const char *name, struct arena *a, struct conn_table *out, struct err *err)
{
    static const char *const columns[] = {"trigger", "sql"};
    struct builder b;
    struct conn_table all;
    quartet_status rc = show_triggers(catalog, NULL, a, &all, err);
    begin_table(&b, a, out, columns, 2);
    for (uint32_t i = 0; i < all.row_count && rc == QUARTET_OK; i++) {
        const struct value *row = &all.values[(size_t)i * all.column_count];
        if (row[0].type == VALUE_TEXT && name_cmp((const char *)row[0].s.p, name) == 0)
            return add_row(&b, (struct value[]){row[0], row[4]}, err);
    }
    return rc != QUARTET_OK ? rc : err_set(err, QUARTET_ERROR, "no such trigger: %s", name);
}

static quartet_status show_databases(struct arena *a, struct conn_table *out, struct err *err)
{
    static const char *const columns[] = {"name"};
    struct builder b;
    begin_table(&b, a, out, columns, 1);
    struct value row = text_of(a, "main");
    return add_row(&b, &row, err);
}

/* SHOW FULL TABLES: views too, and what each is. */
static quartet_status show_full_tables(const struct catalog *catalog, struct arena *a, struct conn_table *out, struct err *err)
{
    static const char *const columns[] = {"name", "type"};
    struct builder b;
    quartet_status rc = QUARTET_OK;
    begin_table(&b, a, out, columns, 2);
    for (int temp = 0; temp < 2; temp++) {
        const struct catalog *from = temp ? catalog_temp(catalog) : catalog;
        const struct table_def *t;
        const struct view_def *v;
        for (uint32_t i = 0; rc == QUARTET_OK && from != NULL && (t = catalog_table_at(from, i)) != NULL; i++)
            if (!t->is_system)
                rc = add_row(&b, (struct value[]){text_of(a, t->name), text_of(a, temp ? "LOCAL TEMPORARY" : "BASE TABLE")}, err);
        for (uint32_t i = 0; rc == QUARTET_OK && from != NULL && (v = catalog_view_at(from, i)) != NULL; i++)
            if (!v->is_system)
                rc = add_row(&b, (struct value[]){text_of(a, v->name), text_of(a, "VIEW")}, err);
    }
    return rc;
}

/* Every function, once for each number of arguments that another of the name does not take. */
static quartet_status show_functions(struct arena *a, struct conn_table *out, struct err *err)
{
    static const char *const columns[] = {"name", "kind", "min_args", "max_args"};
    struct builder b;
    const struct func *f;
    quartet_status rc = QUARTET_OK;
    begin_table(&b, a, out, columns, 4);
    for (uint32_t i = 0; rc == QUARTET_OK && (f = func_at(i)) != NULL; i++)
        rc = add_row(&b, (struct value[]){text_of(a, f->name), text_of(a, (f->flags & FUNC_AGGREGATE) != 0 ? "aggregate" : "scalar"), value_int(f->min_args),
                                          f->max_args < 0 ? VALUE_NULL_INIT : value_int(f->max_args)}, err);
    return rc;
}

/* SHOW ... LIKE 'pattern': rows whose name is like it. */
static quartet_status keep_like(const struct ast_show *s, struct arena *a, struct conn_table *t, struct err *err)
{
    struct like_pattern *p;
    uint32_t name = 0, kept = 0;
    if (s->where != NULL)
        return err_set_at(err, QUARTET_ERROR, s->where->offset, "SHOW takes LIKE 'pattern' and no WHERE; information_schema can be asked anything");
    if (s->like == NULL)
        return QUARTET_OK;
    if (s->like->kind != AST_EXPR_STRING)
        return err_set_at(err, QUARTET_ERROR, s->like->offset, "SHOW ... LIKE takes a text in quotes");
    for (uint32_t c = 0; c < t->column_count; c++)
        if (strcmp(t->columns[c], "name") == 0)
            name = c;
    quartet_status rc = like_compile(LIKE_LIKE, slice_of(s->like->u.string.p, s->like->u.string.n), slice_of(NULL, 0), a, &p, err);
    struct value *rows = (struct value *)(uintptr_t)t->values; /* in the caller's arena, made here */
    for (uint32_t i = 0; i < t->row_count && rc == QUARTET_OK; i++) {
        struct value *row = &rows[(size_t)i * t->column_count];
        bool match = false;
        if (row[name].type == VALUE_TEXT)
            rc = like_match(p, row[name].s, &match, err);
        if (match)
            memmove(&rows[(size_t)kept++ * t->column_count], row, t->column_count * sizeof *row);
    }
    t->row_count = kept;
    return rc;
}

static quartet_status show_settings(conn *c, struct arena *a, struct conn_table *out, struct err *err)
{
    static const char *const columns[] = {"setting", "value"};
    static const char *const names[] = {"synchronous", "consistency", "consistency_timeout", "commit_acks", "commit_acks_timeout", "share_timeout",
                                        "statement_timeout", "memory_limit", "foreign_keys", "time_zone", "history_retention",
                                        "buffer_bytes", "snapshot_bytes"};
    struct builder b;
    quartet_status rc = QUARTET_OK;
    begin_table(&b, a, out, columns, 2);
    for (size_t i = 0; rc == QUARTET_OK && i < sizeof names / sizeof *names; i++) {
        struct value row[2] = {text_of(a, names[i]), text_of(a, conn_setting_text(c, names[i], a))};
        rc = add_row(&b, row, err);
    }
    return rc;
}

static quartet_status show_one_setting(const char *name, const char *text, struct arena *a, struct conn_table *out, struct err *err)
{
    struct builder b;
    const char **columns = arena_alloc(a, sizeof *columns);
    if (columns == NULL || (columns[0] = arena_strndup(a, name, strlen(name))) == NULL)
        return arena_fail(a, err);
    begin_table(&b, a, out, columns, 1);
    struct value row = text_of(a, text);
    return add_row(&b, &row, err);
}

/* What this session may and may not observe, and what its COMMIT waits for: read off its settings, so that it says what holds now. */
static quartet_status show_consistency(conn *c, struct arena *a, struct conn_table *out, struct err *err)
{
    static const char *const columns[] = {"consistency", "what this session may observe"};
    static const char *const syncs[] = {"it is on this node's disk", "this process may die; what the machine had not written yet goes with the machine", "nothing: a crash may take the last commits back"};
    const struct conn_settings *s = &c->settings;
    bool alone = db_node_hooks(c->d)->before_read == NULL, local = s->consistency == CONN_LOCAL, cluster = s->consistency == CONN_CLUSTER;
    const char *acks = conn_setting_text(c, "commit_acks", a);
    struct builder b;
    begin_table(&b, a, out, columns, 2);
    struct {
        const char *name, *text;
    } rows[] = {
        {conn_setting_text(c, "consistency", a), alone     ? "this database is in no cluster: all levels are the same, and every read sees all that was committed"
                                                 : local   ? "what this node has, at once"
                                                 : cluster ? "all that anybody was told is committed before the read began"
                                                           : "all that this session has read or written before, on whichever node it is"},
        {"half a transaction", "never"},
        {"an effect before its cause", "never"},
        {"own writes", alone || !local ? "always" : "always on one node; after a move to another node maybe not yet"},
        {"time going back", alone || !local ? "never" : "never on one node; after a move to another node it may"},
        {"commits of others elsewhere", alone ? "there are none" : cluster ? "always" : "once they have come here: a moment later, or when a cut is over"},
        {"concurrent writes to one row", alone ? "are stopped: a transaction whose reads were overtaken runs again or fails with 40001"
                                               : "on this node stopped (40001), between nodes merged as the table says; quartet_conflicts shows what was overridden"},
        {"a read waits", alone || local ? "never"
                         : cluster      ? arena_printf(a, "for every member, up to %u ms, and fails naming the one that does not answer", s->consistency_timeout_ms)
                                        : arena_printf(a, "after a move, up to %u ms, and fails naming what is missing", s->consistency_timeout_ms)},
        {"a commit is acknowledged when", syncs[s->synchronous]},
        {"and other nodes have it on disk", alone || s->commit_acks == 0 ? "not waited for"
                                                                        : arena_printf(a, "%s; after %u ms it stands all the same, and a notice says how many have it", acks,
                                                                                       s->commit_acks_timeout_ms)}};
    quartet_status rc = QUARTET_OK;
    for (size_t i = 0; rc == QUARTET_OK && i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].name == NULL || rows[i].text == NULL)
            return arena_fail(a, err);
        struct value row[2] = {text_of(a, rows[i].name), text_of(a, rows[i].text)};
        rc = add_row(&b, row, err);
    }
    return rc;
}

/* conn_node_hooks.status's each */
static quartet_status add_figure(void *arg, const char *name, const struct value *value, struct err *err)
{
    struct builder *b = arg;
    struct value row[2] = {text_of(b->a, name), *value};
    if (value->type == VALUE_TEXT) {
        void *copy = arena_dup(b->a, value->s.p, value->s.n);
        if (copy == NULL)
            return arena_fail(b->a, err);
        row[1] = value_text(copy, value->s.n);
    }
    return add_row(b, row, err);
}

static quartet_status show_status(conn *c, struct arena *a, struct conn_table *out, struct err *err)
{
    static const char *const columns[] = {"name", "value"};
    struct builder b;
    struct db_stats s;
    quartet_status rc = QUARTET_OK;
    struct db_purge_info purge;
    db_stats(c->d, &s);
    db_purge_info(c->d, &purge);
    const struct {
        const char *name;
        uint64_t value;
    } figures[] = {{"commits", s.commits},           {"rows_written", s.rows_written},       {"remote_deltas", s.remote_deltas},
                   {"remote_rows", s.remote_rows},   {"held_batches", s.held_batches},       {"apply_number", s.apply_no},
                   {"log_bytes", s.log_bytes},       {"buffer_bytes", s.kv.buffer_bytes},    {"frozen_bytes", s.kv.frozen_bytes},
                   {"base_bytes", s.kv.base_bytes},  {"flushes", s.kv.flushes},              {"snapshots", s.kv.snapshots},
                   {"frozen_runs", s.kv.frozen_runs}, {"oldest_snapshot_lag", s.kv.oldest_snapshot_lag},
                   {"oldest_snapshot_seconds", s.kv.oldest_snapshot_ns / 1000000000u},
                   {"oldest_snapshot_bytes", s.kv.oldest_snapshot_bytes},
                   {"pinned_bytes", s.kv.pinned_bytes}, {"pinned_memory_bytes", s.kv.pinned_memory_bytes}, {"pinned_base_bytes", s.kv.pinned_base_bytes},
                   {"snapshots_too_old", s.kv.too_old}, {"base_dead_bytes", s.kv.base_dead_bytes}, {"vacuums", s.kv.vacuums},
                   {"sweeps", s.kv.sweeps},          {"swept_history", s.kv.swept_pasts},    {"purged_rows", s.kv.swept_rows},
                   {"purge_vector_deltas", purge.deltas}, {"purge_vector_stamp", purge.stamp}, {"purge_waits_for", purge.waits_for},
                   {"left_behind_delta", db_behind_from(c->d)}, {"clock_ahead_ms", db_clock_ahead_ms(c->d) > 0 ? (uint64_t)db_clock_ahead_ms(c->d) : 0},
                   {"operations_level", db_level(c->d)}, {"written_level", s.written_level}, {"last_stamp", s.last_stamp}};
    begin_table(&b, a, out, columns, 2);
    for (size_t i = 0; rc == QUARTET_OK && i < sizeof figures / sizeof *figures; i++) {
        struct value row[2] = {text_of(a, figures[i].name), value_int((int64_t)figures[i].value)};
        rc = add_row(&b, row, err);
    }
    const struct conn_node_hooks *hooks = db_node_hooks(c->d);
    return rc == QUARTET_OK && hooks->status != NULL ? hooks->status(hooks->ctx, add_figure, &b, err) : rc;
}

/* What is read off the catalog; *known false: it is something else. */
static quartet_status show_catalog(const struct catalog *catalog, const struct ast_show *s, struct arena *a, struct conn_table *out, bool *known, struct err *err)
{
    const char *name = s->name.name.text;
    *known = true;
    if (strcmp(s->what, "TABLES") == 0)
        return s->full ? show_full_tables(catalog, a, out, err) : show_tables(catalog, a, out, err);
    if (strcmp(s->what, "COLUMNS") == 0 || strcmp(s->what, "FIELDS") == 0)
        return show_columns(catalog, name, a, out, err);
    if (strcmp(s->what, "INDEX") == 0 || strcmp(s->what, "INDEXES") == 0 || strcmp(s->what, "KEYS") == 0)
        return show_indexes(catalog, name, a, out, err);
    if (strcmp(s->what, "TRIGGERS") == 0)
        return show_triggers(catalog, name, a, out, err);
    if (strcmp(s->what, "CREATE TABLE") == 0)
        return show_create(catalog, name, a, out, err);
    if (strcmp(s->what, "CREATE INDEX") == 0)
        return show_create_index(catalog, name, a, out, err);
    if (strcmp(s->what, "CREATE TRIGGER") == 0)
        return show_create_trigger(catalog, name, a, out, err);
    if (strcmp(s->what, "SCHEMA") == 0)
        return show_schema(catalog, a, out, err);
    if (strcmp(s->what, "VIEWS") == 0)
        return show_views(catalog, a, out, err);
    if (strcmp(s->what, "CREATE VIEW") == 0)
        return show_create_view(catalog, name, a, out, err);
    if (strcmp(s->what, "DATABASES") == 0 || strcmp(s->what, "SCHEMAS") == 0)
        return show_databases(a, out, err);
    if (strcmp(s->what, "FUNCTIONS") == 0)
        return show_functions(a, out, err);
    *known = false;
    return QUARTET_OK;
}

static quartet_status show_what(conn *c, const struct catalog *catalog, const struct ast_show *s, struct arena *a, struct conn_table *out,
                                struct err *err)
{
    const struct conn_node_hooks *hooks = db_node_hooks(c->d);
    bool known = false;
    if (hooks->show != NULL) {
        quartet_status rc = hooks->show(hooks->ctx, s->what, a, out, &known, err);
        if (rc != QUARTET_OK || known)
            return rc;
    }
    quartet_status done = show_catalog(catalog, s, a, out, &known, err);
    if (done != QUARTET_OK || known)
        return done;
    if (strcmp(s->what, "SETTINGS") == 0 || strcmp(s->what, "VARIABLES") == 0 || strcmp(s->what, "ALL") == 0)
        return show_settings(c, a, out, err);
    if (strcmp(s->what, "STATUS") == 0 || strcmp(s->what, "STORE") == 0)
        return show_status(c, a, out, err);
    if (strcmp(s->what, "SHARES") == 0)
        return share_show(c->d, s->name.name.text, a, out, err);
    if (strcmp(s->what, "CONSISTENCY") == 0)
        return show_consistency(c, a, out, err);
    const char *setting = conn_setting_text(c, s->what, a);
    if (setting != NULL)
        return show_one_setting(s->what, setting, a, out, err);
    if (strcmp(s->what, "CLUSTER") == 0 || strcmp(s->what, "PEERS") == 0)
        return err_set(err, QUARTET_ERROR, "this database is not a member of a cluster");
    return err_set(err, QUARTET_ERROR,
                   "SHOW %s is not known; there are TABLES, VIEWS, TRIGGERS, SCHEMA, COLUMNS FROM t, INDEX FROM t, CREATE TABLE | VIEW | INDEX | TRIGGER name, FUNCTIONS, SHARES [FROM t], "
                   "SETTINGS, STATUS, CLUSTER and PEERS", s->what);
}

quartet_status conn_show(conn *c, const struct ast_show *s, struct arena *a, struct conn_table *out, struct err *err)
{
    struct catalog *catalog;
    quartet_status rc = conn_catalog(c, &catalog, err);
    if (rc != QUARTET_OK)
        return rc;
    rc = show_what(c, catalog, s, a, out, err);
    if (rc == QUARTET_OK)
        rc = keep_like(s, a, out, err);
    catalog_unref(catalog);
    return rc;
}

/* ast_table.c - constructors of CREATE TABLE: columns, constraints, options.
 * Why attributes of a column write into cx->column: they come in any order and number, and a list
 * of them would only be walked once to do the same. */
#include "parser/ast_build.h"

#include <string.h>
#include <strings.h>

/* ---- the statement ---- */

struct ast_stmt *ast_create_table(struct parse_ctx *cx, struct ast_qname *name, int temporary,
                                  int if_not_exists)
{
    struct ast_create_table *t = ast_alloc(cx, sizeof *t);
    struct ast_stmt *s = ast_stmt(cx, AST_STMT_CREATE_TABLE, t);
    if (cx->rc != QUARTET_OK)
        return s;
    t->name = *name;
    t->temporary = temporary != 0;
    t->if_not_exists = if_not_exists != 0;
    return s;
}

static bool constraints_add(struct parse_ctx *cx, struct ast_constraints *list,
                            struct ast_constraint *c)
{
    struct ast_constraint **item = ast_grow(cx, list->item, list->count, &list->cap, sizeof *item);
    if (item == NULL)
        return false;
    list->item = item;
    item[list->count++] = c;
    return true;
}

void ast_create_table_elements(struct parse_ctx *cx, struct ast_stmt *s, struct ast_elements *e,
                               struct ast_table_options *o)
{
    if (cx->rc != QUARTET_OK)
        return;
    struct ast_create_table *t = s->u.create_table;
    t->columns = e->columns;
    t->constraints = e->constraints;
    if (o == NULL)
        return;
    for (uint32_t i = 0; i < o->constraints.count; i++)
        if (!constraints_add(cx, &t->constraints, o->constraints.item[i]))
            return;
    t->options = o->list;
    t->without_rowid = o->without_rowid;
    t->strict = o->strict;
    t->updates_win = o->updates_win;
}

struct ast_as_query ast_as_query(struct ast_query *q, bool no_data)
{
    return (struct ast_as_query){.query = q, .no_data = no_data};
}

void ast_create_table_as(struct parse_ctx *cx, struct ast_stmt *s, struct ast_as_query q)
{
    if (cx->rc != QUARTET_OK)
        return;
    s->u.create_table->as = q.query;
    s->u.create_table->no_data = q.no_data;
}

void ast_create_table_like(struct parse_ctx *cx, struct ast_stmt *s, struct ast_qname *like)
{
    if (cx->rc == QUARTET_OK)
        s->u.create_table->like = *like;
}

struct ast_element ast_element(struct ast_column_def *column, struct ast_constraint *constraint)
{
    return (struct ast_element){.column = column, .constraint = constraint};
}

struct ast_elements *ast_elements_add(struct parse_ctx *cx, struct ast_elements *list,
                                      struct ast_element e)
{
    if (list == NULL)
        list = ast_alloc(cx, sizeof *list);
    if (e.column == NULL) {
        (void)constraints_add(cx, &list->constraints,
                              e.constraint); /* a failure stands in cx->rc */
        return list;
    }
    struct ast_column_def **item =
        ast_grow(cx, list->columns.item, list->columns.count, &list->columns.cap, sizeof *item);
    if (item == NULL)
        return list;
    list->columns.item = item;
    item[list->columns.count++] = e.column;
    return list;
}

/* ---- a column ---- */

/* Cut the last word off a type's text; NULL where there was but one. */
static const char *without_last_word(struct parse_ctx *cx, const char *text, const char *last)
{
    if (last == text)
        return NULL;
    char *cut = arena_strndup(cx->arena, text, (size_t)(last - text) - 1);
    if (cut == NULL)
        cx->rc = arena_fail(cx->arena, cx->err);
    return cut;
}

/* A type is any words, so that INTEGER COUNTER arrives as one type: the last word may be the
 * column's kind, or MySQL's CHARSET x. */
static void split_kind(struct parse_ctx *cx, struct ast_column_def *c)
{
    static const char *const kinds[] = {
#define X(name, text) text,
        AST_COLUMN_KINDS(X)
#undef X
    };
    const char *space = strrchr(c->type.text, ' ');
    const char *last = space == NULL ? c->type.text : space + 1;
    for (uint8_t k = AST_COLUMN_COUNTER; k < AST_COLUMN_KIND_COUNT; k++) {
        if (strcasecmp(last, kinds[k]) != 0 || c->type.arg_count > 0)
            continue;
        c->column_kind = k;
        c->type.text = without_last_word(cx, c->type.text, last);
        return;
    }
    if (space == NULL)
        return;
    const char *before = space;
    while (before > c->type.text && before[-1] != ' ')
        before--;
    if (space - before == 7 && strncasecmp(before, "CHARSET", 7) == 0)
        c->type.text = without_last_word(cx, c->type.text, before);
}

struct ast_column_def *ast_column_start(struct parse_ctx *cx, struct ast_name name,
                                        struct ast_type *type)
{
    struct ast_column_def *c = ast_alloc(cx, sizeof *c);
    cx->column = c;
    cx->constraint_name = ast_no_name();
    if (cx->rc != QUARTET_OK)
        return c;
    c->name = name;
    if (type != NULL) {
        c->type = *type;
        split_kind(cx, c);
    }
    return c;
}

void ast_column_finish(struct parse_ctx *cx)
{
    cx->column = NULL;
    cx->constraint_name = ast_no_name();
}

void ast_constraint_name(struct parse_ctx *cx, struct ast_name name)
{
    cx->constraint_name = name;
}

static void column_add(struct parse_ctx *cx, struct ast_constraint *c)
{
    if (cx->rc != QUARTET_OK)
        return;
    c->name = cx->constraint_name;
    cx->constraint_name = ast_no_name();
    (void)constraints_add(cx, &cx->column->constraints, c); /* a failure stands in cx->rc */
}

void ast_attr_default(struct parse_ctx *cx, struct ast_expr *e)
{
    if (cx->rc == QUARTET_OK)
        cx->column->default_value = e;
}

void ast_attr_null(struct parse_ctx *cx, int not_null, int conflict)
{
    if (cx->rc != QUARTET_OK)
        return;
    cx->column->not_null = (uint8_t)not_null;
    cx->column->not_null_conflict = (uint8_t)conflict;
    cx->constraint_name = ast_no_name(); /* NOT NULL needs no name to be dropped by */
}

static struct ast_constraint *constraint_new(struct parse_ctx *cx, enum ast_constraint_kind kind,
                                             struct token t, int conflict)
{
    struct ast_constraint *c = ast_alloc(cx, sizeof *c);
    c->kind = (uint8_t)kind;
    c->offset = t.offset;
    c->conflict = (uint8_t)conflict;
    return c;
}

void ast_attr_key(struct parse_ctx *cx, enum ast_constraint_kind kind, struct token t, int dir,
                  int conflict)
{
    struct ast_constraint *c = constraint_new(cx, kind, t, conflict);
    c->key_dir = (uint8_t)dir;
    column_add(cx, c);
}

void ast_attr_check(struct parse_ctx *cx, struct ast_constraint *check)
{
    column_add(cx, check);
}

void ast_attr_references(struct parse_ctx *cx, struct ast_references *r)
{
    if (cx->rc != QUARTET_OK)
        return;
    struct token t = {.offset = r->table.name.offset};
    struct ast_constraint *c = constraint_new(cx, AST_CONSTRAINT_FOREIGN_KEY, t, 0);
    c->references = r;
    column_add(cx, c);
}

void ast_attr_deferred(struct parse_ctx *cx, int deferred)
{
    if (cx->rc != QUARTET_OK)
        return;
    for (uint32_t i = cx->column->constraints.count; i > 0; i--) {
        struct ast_constraint *c = cx->column->constraints.item[i - 1];
        if (c->kind != AST_CONSTRAINT_FOREIGN_KEY)
            continue;
        c->references->deferred = (uint8_t)deferred;
        return;
    }
    parse_ctx_fail(cx, QUARTET_ERROR, cx->tok.offset, "DEFERRABLE belongs behind REFERENCES");
}

void ast_attr_collate(struct parse_ctx *cx, struct ast_name name)
{
    if (cx->rc == QUARTET_OK)
        cx->column->collate = name;
}

void ast_attr_identity(struct parse_ctx *cx, struct token when)
{
    if (cx->rc != QUARTET_OK)
        return;
    bool always = when.n == 6;
    cx->column->identity = (struct ast_name){
        .text = always ? "ALWAYS" : "DEFAULT", .len = always ? 6 : 7, .offset = when.offset};
}

void ast_attr_generated(struct parse_ctx *cx, struct ast_expr *e, int stored)
{
    if (cx->rc != QUARTET_OK)
        return;
    cx->column->generated = e;
    cx->column->stored = stored != 0;
}

void ast_attr_autoincrement(struct parse_ctx *cx)
{
    if (cx->rc == QUARTET_OK)
        cx->column->autoincrement = true;
}

void ast_attr_comment(struct parse_ctx *cx, struct token t)
{
    if (cx->rc == QUARTET_OK)
        cx->column->comment = ast_name(cx, t);
}

void ast_attr_kind(struct parse_ctx *cx, int kind)
{
    if (cx->rc != QUARTET_OK)
        return;
    if (cx->column->column_kind != AST_COLUMN_LWW)
        parse_ctx_fail(cx, QUARTET_ERROR, cx->tok.offset, "a column has one kind of merging");
    else
        cx->column->column_kind = (uint8_t)kind;
}

void ast_attr_on_update(struct parse_ctx *cx, struct ast_expr *e)
{
    if (cx->rc == QUARTET_OK)
        cx->column->on_update = e;
}

/* ---- constraints ---- */

struct ast_references *ast_references_new(struct parse_ctx *cx)
{
    return ast_alloc(cx, sizeof(struct ast_references));
}

struct ast_references *ast_references(struct parse_ctx *cx, struct ast_qname *table,
                                      struct ast_names *columns, struct ast_references *r)
{
    if (cx->rc != QUARTET_OK)
        return r;
    r->table = *table;
    if (columns != NULL)
        r->columns = *columns;
    return r;
}

void ast_references_on(struct parse_ctx *cx, struct ast_references *r, bool is_delete, int action)
{
    if (cx->rc != QUARTET_OK)
        return;
    if (is_delete)
        r->on_delete = (uint8_t)action;
    else
        r->on_update = (uint8_t)action;
}

void ast_references_keep(struct parse_ctx *cx, struct ast_references *r)
{
    if (cx->rc == QUARTET_OK)
        r->keep_parent = true;
}

void ast_references_match(struct parse_ctx *cx, struct ast_references *r, struct ast_name match)
{
    if (cx->rc == QUARTET_OK)
        r->match = match;
}

struct ast_constraint *ast_key_constraint(struct parse_ctx *cx, enum ast_constraint_kind kind,
                                          struct token t, struct ast_orders *columns, int conflict,
                                          int autoincrement)
{
    struct ast_constraint *c = constraint_new(cx, kind, t, conflict);
    if (cx->rc != QUARTET_OK)
        return c;
    c->columns = *columns;
    c->autoincrement = autoincrement != 0;
    return c;
}

struct ast_constraint *ast_check(struct parse_ctx *cx, struct token t, struct ast_span start,
                                 struct ast_expr *e, struct ast_span end, int conflict)
{
    struct ast_constraint *c = constraint_new(cx, AST_CONSTRAINT_CHECK, t, conflict);
    c->check = e;
    c->check_offset = start.next;
    c->check_length = end.prev_end - start.next;
    return c;
}

struct ast_constraint *ast_foreign_key(struct parse_ctx *cx, struct token t,
                                       struct ast_names *columns, struct ast_references *r,
                                       int deferred)
{
    struct ast_constraint *c = constraint_new(cx, AST_CONSTRAINT_FOREIGN_KEY, t, 0);
    if (cx->rc != QUARTET_OK)
        return c;
    c->fk_columns = *columns;
    c->references = r;
    r->deferred = (uint8_t)deferred;
    if (r->columns.count > 0 && r->columns.count != columns->count)
        parse_ctx_fail(cx, QUARTET_ERROR, t.offset,
                       "this FOREIGN KEY has %u columns and references %u", columns->count,
                       r->columns.count);
    return c;
}

struct ast_constraint *ast_merge_together(struct parse_ctx *cx, struct token t,
                                          struct ast_names *columns)
{
    struct ast_orders *list = NULL;
    for (uint32_t i = 0; cx->rc == QUARTET_OK && i < columns->count; i++) {
        struct ast_expr *e = ast_column(cx, ast_no_name(), ast_no_name(), columns->item[i]);
        list = ast_orders_add(cx, list, ast_order(e, AST_SORT_DEFAULT, AST_NULLS_DEFAULT));
    }
    return ast_key_constraint(cx, AST_CONSTRAINT_MERGE_TOGETHER, t, list, 0, 0);
}

struct ast_constraint *ast_constraint_named(struct parse_ctx *cx, struct ast_constraint *c,
                                            struct ast_name name)
{
    if (cx->rc == QUARTET_OK && name.text != NULL)
        c->name = name;
    return c;
}

/* ---- options behind the ')' ---- */

struct ast_table_options *ast_options_start(struct parse_ctx *cx)
{
    cx->options = ast_alloc(cx, sizeof *cx->options);
    return cx->options;
}

static const char *upper_text(struct parse_ctx *cx, struct token t)
{
    char *text = cx->rc == QUARTET_OK ? arena_strndup(cx->arena, t.p, t.n) : NULL;
    if (text == NULL && cx->rc == QUARTET_OK)
        cx->rc = arena_fail(cx->arena, cx->err);
    for (char *c = text; c != NULL && *c != '\0'; c++)
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 32);
    return text;
}

void ast_option(struct parse_ctx *cx, struct token name, struct token value)
{
    struct ast_option o = {
        .name = {.text = upper_text(cx, name), .len = name.n, .offset = name.offset}};
    o.value = ast_text(cx, value);
    if (cx->rc == QUARTET_OK)
        (void)ast_options_add(cx, &cx->options->list,
                              &o); /* the same list; a failure stands in cx->rc */
}

void ast_option_word(struct parse_ctx *cx, struct token first, struct token last)
{
    if (cx->rc != QUARTET_OK)
        return;
    char letter = (char)(first.p[0] | 0x20);
    if (letter == 's')
        cx->options->strict = true;
    else if (letter == 'u')
        cx->options->updates_win = true;
    else if (last.n == 5 && strncasecmp(last.p, "rowid", 5) == 0)
        cx->options->without_rowid = true;
    else
        parse_ctx_fail(cx, QUARTET_ERROR, last.offset, "unknown table option WITHOUT %.*s",
                       (int)last.n, last.p);
}

void ast_option_constraint(struct parse_ctx *cx, struct ast_constraint *c)
{
    if (cx->rc == QUARTET_OK)
        (void)constraints_add(cx, &cx->options->constraints, c); /* a failure stands in cx->rc */
}

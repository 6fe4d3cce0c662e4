/* ast_command.c - constructors of transactions, settings, SHOW and upkeep. */
#include "parser/ast_build.h"

#include <string.h>

struct ast_stmt *ast_transaction(struct parse_ctx *cx, enum ast_txn action, int mode, int access,
                                 struct ast_name savepoint)
{
    struct ast_transaction *t = ast_alloc(cx, sizeof *t);
    *t = (struct ast_transaction){.action = (uint8_t)action,
                                  .mode = (uint8_t)mode,
                                  .access = (uint8_t)access,
                                  .savepoint = savepoint};
    return ast_stmt(cx, AST_STMT_TRANSACTION, t);
}

/* ---- settings ---- */

struct ast_setting *ast_setting(struct parse_ctx *cx, struct ast_qname *name,
                                struct ast_expr *value, int scope)
{
    struct ast_setting *s = ast_alloc(cx, sizeof *s);
    if (cx->rc != QUARTET_OK)
        return s;
    s->name = *name;
    s->value = value;
    s->scope = (uint8_t)scope;
    return s;
}

struct ast_settings *ast_settings_add(struct parse_ctx *cx, struct ast_settings *list,
                                      struct ast_setting *s)
{
    if (list == NULL)
        list = ast_alloc(cx, sizeof *list);
    struct ast_setting *item = ast_grow(cx, list->item, list->count, &list->cap, sizeof *item);
    if (item == NULL)
        return list;
    list->item = item;
    item[list->count++] = *s;
    return list;
}

/* A bare word is a text: SET consistency = session. */
struct ast_expr *ast_setting_value(struct parse_ctx *cx, struct ast_expr *e)
{
    if (cx->rc != QUARTET_OK || e->kind != AST_EXPR_COLUMN || e->u.column->table.text != NULL)
        return e;
    struct ast_expr *word = ast_expr_new(cx, AST_EXPR_STRING, e->offset, 0);
    if (cx->rc != QUARTET_OK)
        return word;
    word->u.string.p = e->u.column->name.text;
    word->u.string.n = e->u.column->name.len;
    return word;
}

/* ---- SHOW ---- */

struct ast_show_filter ast_show_filter(struct ast_expr *like, struct ast_expr *where)
{
    return (struct ast_show_filter){.like = like, .where = where};
}

/* The words of SHOW gather as those of a type do. */
struct ast_type *ast_show_word(struct parse_ctx *cx, struct ast_type *words, struct token word)
{
    if (word.p[0] == '"' || word.p[0] == '`' || word.p[0] == '[')
        parse_ctx_fail(cx, QUARTET_ERROR, word.offset,
                       "SHOW takes plain words here, as SHOW TABLES");
    return ast_type_word(cx, words, ast_name(cx, word));
}

static char *upper_words(struct parse_ctx *cx, const char *text)
{
    char *words = cx->rc == QUARTET_OK ? arena_strndup(cx->arena, text, strlen(text)) : NULL;
    if (words == NULL && cx->rc == QUARTET_OK)
        cx->rc = arena_fail(cx->arena, cx->err);
    for (char *c = words; c != NULL && *c != '\0'; c++)
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 32);
    return words;
}

/* "FULL COLUMNS" is COLUMNS, with more said about each. */
static const char *skip_full(const char *words, bool *full)
{
    static const char *const prefixes[] = {"FULL ", "EXTENDED "};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t n = strlen(prefixes[i]);
        if (strncmp(words, prefixes[i], n) == 0) {
            *full = true;
            words += n;
        }
    }
    return words;
}

struct ast_stmt *ast_show(struct parse_ctx *cx, struct ast_type *words, struct ast_qname *name,
                          struct ast_qname *from, struct ast_show_filter filter)
{
    struct ast_show *s = ast_alloc(cx, sizeof *s);
    struct ast_stmt *stmt = ast_stmt(cx, AST_STMT_SHOW, s);
    if (cx->rc != QUARTET_OK)
        return stmt;
    char *what = upper_words(cx, words->text);
    if (what == NULL)
        return stmt;
    s->what = skip_full(what, &s->full);
    if (name != NULL)
        s->name = *name;
    if (from != NULL)
        s->from = from->name;
    s->like = filter.like;
    s->where = filter.where;
    return stmt;
}

struct ast_stmt *ast_show_create(struct parse_ctx *cx, struct token object, struct ast_qname *name)
{
    struct ast_show *s = ast_alloc(cx, sizeof *s);
    struct ast_stmt *stmt = ast_stmt(cx, AST_STMT_SHOW, s);
    char *words = cx->rc == QUARTET_OK
                      ? arena_printf(cx->arena, "CREATE %.*s", (int)object.n, object.p)
                      : NULL;
    if (words == NULL) {
        if (cx->rc == QUARTET_OK)
            cx->rc = arena_fail(cx->arena, cx->err);
        return stmt;
    }
    s->what = upper_words(cx, words);
    if (cx->rc == QUARTET_OK)
        s->name = *name;
    return stmt;
}

struct ast_stmt *ast_describe(struct parse_ctx *cx, struct ast_qname *name)
{
    struct ast_show *s = ast_alloc(cx, sizeof *s);
    struct ast_stmt *stmt = ast_stmt(cx, AST_STMT_SHOW, s);
    if (cx->rc != QUARTET_OK)
        return stmt;
    s->what = "COLUMNS";
    s->name = *name;
    return stmt;
}

/* ---- upkeep ---- */

struct ast_stmt *ast_maintenance(struct parse_ctx *cx, enum ast_stmt_kind kind,
                                 struct ast_qname *name, struct ast_expr *path)
{
    struct ast_maintenance *m = ast_alloc(cx, sizeof *m);
    struct ast_stmt *s = ast_stmt(cx, kind, m);
    if (cx->rc != QUARTET_OK)
        return s;
    if (name != NULL)
        m->name = *name;
    m->path = path;
    return s;
}

struct ast_stmt *ast_backtrack(struct parse_ctx *cx, struct ast_qname *table,
                               struct ast_as_of_value to)
{
    struct ast_backtrack *b = ast_alloc(cx, sizeof *b);
    struct ast_stmt *s = ast_stmt(cx, AST_STMT_BACKTRACK, b);
    if (cx->rc != QUARTET_OK)
        return s;
    if (table != NULL)
        b->table = *table;
    b->to = to.kind;
    b->value = to.expr;
    return s;
}

struct ast_stmt *ast_resolve(struct parse_ctx *cx, struct ast_expr *id, bool using_loser)
{
    struct ast_resolve *r = ast_alloc(cx, sizeof *r);
    r->id = id;
    r->using_loser = using_loser;
    return ast_stmt(cx, AST_STMT_RESOLVE, r);
}

struct ast_stmt *ast_comment(struct parse_ctx *cx, int object, struct ast_qname *name,
                             const char *text)
{
    struct ast_comment *c = ast_alloc(cx, sizeof *c);
    struct ast_stmt *s = ast_stmt(cx, AST_STMT_COMMENT, c);
    if (cx->rc != QUARTET_OK)
        return s;
    c->object = (uint8_t)object;
    c->name = *name;
    c->text = text;
    return s;
}

struct ast_stmt *ast_comment_column(struct parse_ctx *cx, struct ast_qname *table,
                                    struct ast_name column, const char *text)
{
    struct ast_stmt *s = ast_comment(cx, AST_OBJECT_COLUMN, table, text);
    if (cx->rc == QUARTET_OK)
        s->u.comment->column = column;
    return s;
}

/* ---- COPY ---- */

struct ast_stmt *ast_copy(struct parse_ctx *cx, struct ast_qname *table, struct ast_names *columns,
                          int is_from, const char *file, struct ast_options *o)
{
    struct ast_copy *c = ast_alloc(cx, sizeof *c);
    struct ast_stmt *s = ast_stmt(cx, AST_STMT_COPY, c);
    if (cx->rc != QUARTET_OK)
        return s;
    c->table = *table;
    if (columns != NULL)
        c->columns = *columns;
    c->is_from = is_from != 0;
    c->file = file;
    if (o != NULL)
        c->options = *o;
    return s;
}

struct ast_stmt *ast_copy_query(struct parse_ctx *cx, struct ast_query *q, const char *file,
                                struct ast_options *o)
{
    struct ast_copy *c = ast_alloc(cx, sizeof *c);
    struct ast_stmt *s = ast_stmt(cx, AST_STMT_COPY, c);
    if (cx->rc != QUARTET_OK)
        return s;
    c->query = q;
    c->file = file;
    if (o != NULL)
        c->options = *o;
    return s;
}

struct ast_option *ast_copy_option(struct parse_ctx *cx, struct token name,
                                   const struct token *value)
{
    struct ast_option *o = ast_alloc(cx, sizeof *o);
    struct ast_name word = ast_name(cx, name);
    if (cx->rc != QUARTET_OK)
        return o;
    o->name = word;
    o->name.text = upper_words(cx, word.text);
    if (value != NULL)
        o->value = ast_text(cx, *value);
    return o;
}

struct ast_stmt *ast_database(struct parse_ctx *cx, enum ast_stmt_kind kind, struct ast_name name,
                              struct ast_expr *file, int if_not_exists)
{
    struct ast_database *d = ast_alloc(cx, sizeof *d);
    d->name = name;
    d->file = file;
    d->if_not_exists = if_not_exists != 0;
    return ast_stmt(cx, kind, d);
}

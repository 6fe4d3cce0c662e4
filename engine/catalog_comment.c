/* catalog_comment.c - what COMMENT ON said of tables, columns, indexes, views and triggers.
 * Why beside the objects and not in them: a comment changes nothing that a table is made of, so no table is built anew for one.
 * Invariants: the newest COMMENT ON counts, an empty one too; only where there never was one does COMMENT 'text' of the definition itself.
 * Not here: who writes these rows (ddl_comment.c). */
#include "catalog_build.h"

#include <stdlib.h>
#include <string.h>

#include "parser/parse.h"

static int comment_cmp(const void *a, const void *b)
{
    const struct catalog_comment *x = a, *y = b;
    if (x->object != y->object)
        return x->object < y->object ? -1 : 1;
    return (x->column > y->column) - (x->column < y->column);
}

quartet_status catalog_take_comments(struct catalog *c, const struct catalog_parts *parts, struct err *err)
{
    if (parts->comment_count == 0)
        return QUARTET_OK;
    c->comments = arena_dup(&c->arena, parts->comments, parts->comment_count * sizeof *c->comments);
    if (c->comments == NULL)
        return arena_fail(&c->arena, err);
    c->comment_count = parts->comment_count;
    for (uint32_t i = 0; i < c->comment_count; i++) {
        c->comments[i].text = arena_strndup(&c->arena, c->comments[i].text, strlen(c->comments[i].text));
        if (c->comments[i].text == NULL)
            return arena_fail(&c->arena, err);
    }
    qsort(c->comments, c->comment_count, sizeof *c->comments, comment_cmp);
    return QUARTET_OK;
}

/* What COMMENT ON said, else `declared`. */
static const char *comment_of(const struct catalog *c, tree_id object, uint32_t column, const char *declared)
{
    struct catalog_comment key = {.object = object, .column = column};
    const struct catalog_comment *found = c->comment_count == 0 ? NULL : bsearch(&key, c->comments, c->comment_count, sizeof key, comment_cmp);
    const char *text = found != NULL ? found->text : declared;
    return text != NULL && *text != '\0' ? text : NULL;
}

static const struct catalog *home_of(const struct catalog *c, const struct table_def *t)
{
    return t->temporary && c->temp != NULL ? c->temp : c;
}

const char *catalog_comment(const struct catalog *c, tree_id object)
{
    const char *text = comment_of(c, object, CATALOG_COMMENT_OF_OBJECT, NULL);
    return text == NULL && c->temp != NULL ? catalog_comment(c->temp, object) : text;
}

const char *catalog_table_comment(const struct catalog *c, const struct table_def *t)
{
    return comment_of(home_of(c, t), t->id, CATALOG_COMMENT_OF_OBJECT, t->comment);
}

const char *catalog_column_comment(const struct catalog *c, const struct table_def *t, uint32_t at)
{
    return comment_of(home_of(c, t), t->id, t->columns[at].id, t->columns[at].comment);
}

/* The table's own becomes the last of its options. */
static quartet_status set_table_comment(struct ast_create_table *t, const char *text, struct arena *a, struct err *err)
{
    struct ast_option *items = arena_zalloc(a, t->options.count + 1u, sizeof *items);
    uint32_t n = 0;
    if (items == NULL)
        return arena_fail(a, err);
    for (uint32_t i = 0; i < t->options.count; i++)
        if (name_cmp(t->options.item[i].name.text, "COMMENT") != 0)
            items[n++] = t->options.item[i];
    if (text != NULL)
        items[n++] = (struct ast_option){.name = {.text = "COMMENT", .len = 7}, .value = text};
    t->options.item = items;
    t->options.count = n;
    return QUARTET_OK;
}

quartet_status catalog_commented(const struct catalog *c, const struct table_def *t, struct arena *a, const char **out, struct err *err)
{
    struct ast_stmt *stmt = NULL;
    struct buf text = {0};
    size_t consumed;
    quartet_status rc = parse_sql(a, t->sql, strlen(t->sql), NULL, &stmt, &consumed, err);
    if (rc != QUARTET_OK)
        return rc;
    QASSERT(stmt->kind == AST_STMT_CREATE_TABLE && stmt->u.create_table->columns.count == t->visible_count);
    for (uint32_t i = 0; i < t->visible_count; i++) {
        const char *comment = catalog_column_comment(c, t, i);
        stmt->u.create_table->columns.item[i]->comment = (struct ast_name){.text = comment, .len = comment != NULL ? (uint32_t)strlen(comment) : 0};
    }
    rc = set_table_comment(stmt->u.create_table, catalog_table_comment(c, t), a, err);
    if (rc != QUARTET_OK)
        return rc;
    ast_print_stmt(stmt, &text);
    rc = buf_check(&text, err);
    *out = rc == QUARTET_OK ? arena_strndup(a, (const char *)text.data, text.len) : NULL;
    buf_deinit(&text);
    return rc == QUARTET_OK && *out == NULL ? arena_fail(a, err) : rc;
}

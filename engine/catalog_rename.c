/* catalog_rename.c - the columns that a stored definition names, under other names.
 * Why on the text: it is canonical, as ast_print wrote it, so its tokens are few and known; a walk over every kind of expression would be longer.
 * Why by id: a definition that said a column's name of its time would mean another one, or none, where somebody else renamed columns meanwhile. */
#include <stdlib.h>
#include <string.h>

#include "catalog_build.h"
#include "parser/parse.h"

static bool starts_word(char c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static bool in_word(char c)
{
    return starts_word(c) || c == '$' || (c >= '0' && c <= '9');
}

/* Past what is quoted, both quotes included; a doubled quote is one of the text. */
static const char *quoted_end(const char *p)
{
    char q = *p++;
    while (*p != '\0' && (*p != q || p[1] == q))
        p += *p == q ? 2 : 1;
    return *p == '\0' ? p : p + 1;
}

static void put_identifier(const char *from, const char *end, const char *(*name)(void *, const char *), void *arg, struct buf *out)
{
    struct buf word = {0};
    bool quoted = *from == '"';
    for (const char *p = quoted ? from + 1 : from; p < (quoted ? end - 1 : end); p++) {
        buf_u8(&word, (uint8_t)*p);
        p += quoted && *p == '"'; /* doubled */
    }
    buf_u8(&word, 0);
    if (word.failed) {
        out->failed = true;
    } else {
        const char *to = name(arg, (const char *)word.data);
        if (to != NULL && (quoted || *end != '('))
            ast_print_name(to, out);
        else
            buf_put(out, from, (size_t)(end - from));
    }
    buf_deinit(&word);
}

void catalog_rename(const char *text, const char *(*name)(void *arg, const char *name), void *arg, struct buf *out)
{
    for (const char *p = text; *p != '\0';) {
        const char *end = p + 1;
        if (*p == '"') {
            end = quoted_end(p);
            put_identifier(p, end, name, arg, out);
        } else if (*p == '\'') {
            end = quoted_end(p);
            buf_put(out, p, (size_t)(end - p));
        } else if (starts_word(*p)) {
            while (in_word(*end))
                end++;
            put_identifier(p, end, name, arg, out);
        } else if (in_word(*p)) { /* a number, with all its letters */
            while (in_word(*end) || *end == '.')
                end++;
            buf_put(out, p, (size_t)(end - p));
        } else {
            buf_u8(out, (uint8_t)*p);
        }
        p = end;
    }
}

void catalog_rename_columns(struct ast_orders *columns, const char *(*name)(void *, const char *), void *arg)
{
    for (uint32_t i = 0; i < columns->count; i++) {
        struct ast_expr *e = columns->item[i].expr;
        while (e->kind == AST_EXPR_COLLATE)
            e = e->u.collate.value;
        const char *to = e->kind == AST_EXPR_COLUMN ? name(arg, e->u.column->name.text) : NULL;
        if (to == NULL)
            continue;
        e->u.column->name.text = to;
        e->u.column->name.len = (uint32_t)strlen(to);
        e->flags &= (uint8_t)~AST_DOUBLE_QUOTED; /* is printed with quotes where it needs them */
    }
}

quartet_status catalog_rename_constraint(struct ast_constraint *c, const char *(*name)(void *, const char *), void *arg, struct arena *a, struct err *err)
{
    struct buf was = {0}, text = {0};
    catalog_rename_columns(&c->columns, name, arg);
    for (uint32_t i = 0; i < c->fk_columns.count; i++) {
        const char *to = name(arg, c->fk_columns.item[i].text);
        if (to == NULL)
            continue;
        c->fk_columns.item[i].text = to;
        c->fk_columns.item[i].len = (uint32_t)strlen(to);
    }
    if (c->check == NULL)
        return QUARTET_OK;
    ast_print_expr(c->check, &was);
    buf_u8(&was, 0);
    if (!was.failed)
        catalog_rename((const char *)was.data, name, arg, &text);
    quartet_status rc = was.failed ? err_nomem(err) : buf_check(&text, err);
    if (rc == QUARTET_OK && !slice_eq(slice_of(was.data, was.len - 1), slice_of(text.data, text.len)))
        rc = parse_expression(a, (const char *)text.data, text.len, NULL, &c->check, err);
    buf_deinit(&was);
    buf_deinit(&text);
    return rc;
}

quartet_status catalog_rename_index(struct ast_create_index *c, const char *(*name)(void *, const char *), void *arg, struct arena *a, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    catalog_rename_columns(&c->columns, name, arg);
    for (uint32_t i = 0; i < c->columns.count && rc == QUARTET_OK; i++) {
        struct ast_constraint as = {.kind = AST_CONSTRAINT_CHECK, .check = c->columns.item[i].expr};
        if (as.check->kind == AST_EXPR_COLUMN)
            continue;
        rc = catalog_rename_constraint(&as, name, arg, a, err);
        c->columns.item[i].expr = as.check;
    }
    struct ast_constraint where = {.kind = AST_CONSTRAINT_CHECK, .check = c->where};
    if (rc == QUARTET_OK)
        rc = catalog_rename_constraint(&where, name, arg, a, err);
    c->where = where.check;
    return rc;
}

bool catalog_column_id(const char *name, uint32_t *id)
{
    char *end;
    if (name[0] != '#' || name[1] < '0' || name[1] > '9')
        return false;
    unsigned long n = strtoul(name + 1, &end, 10);
    *id = (uint32_t)n;
    return *end == '\0' && n <= UINT32_MAX;
}

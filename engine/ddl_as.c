/* ddl_as.c - CREATE TABLE t AS query: the table that a query's result fits into.
 * Why a text: a definition that is printed and parsed again is one that everybody reads alike, and what a plain column was declared as stays as it was.
 * Not here: the rows, which conn.c inserts. */
#include "ddl_as.h"

#include <string.h>

#include "bind.h"
#include "parser/parse.h"

/* Names of results may repeat, names of columns not: a, a:1, a:2. */
static void put_name(const struct bquery *q, const struct ast_create_table *c, uint32_t at, struct buf *out)
{
    const char *name = at < c->columns.count ? c->columns.item[at]->name.text : q->names[at];
    uint32_t same = 0;
    for (uint32_t i = 0; i < at; i++)
        same += name_eq(i < c->columns.count ? c->columns.item[i]->name.text : q->names[i], name);
    struct buf text = {0};
    buf_str(&text, name);
    if (same > 0)
        buf_printf(&text, ":%u", same);
    buf_u8(&text, 0);
    if (text.failed)
        out->failed = true;
    else
        ast_print_name((const char *)text.data, out);
    buf_deinit(&text);
}

static void put_type(const struct bcol *col, struct buf *out)
{
    if (col->declared != NULL && *col->declared != '\0')
        buf_printf(out, " %s", col->declared);
    else if (col->is_boolean)
        buf_str(out, " BOOLEAN");
    else if (col->type != 0 && col->type != VALUE_NULL)
        buf_printf(out, " %s", types_name(col->type)); /* what takes any value has no type */
}

quartet_status ddl_as_definition(struct catalog *catalog, const struct ast_create_table *c, struct arena *a, struct ast_stmt **out, struct err *err)
{
    struct bind b = {.a = a, .catalog = catalog};
    struct bquery *q;
    struct buf text = {0};
    size_t consumed;
    quartet_status rc = bind_query(&b, NULL, NULL, NULL, c->as, &q, err);
    if (rc != QUARTET_OK)
        return rc;
    if (c->columns.count > 0 && c->columns.count != q->out_count)
        return err_set_at(err, QUARTET_ERROR, c->name.name.offset, "table %s names %u columns, its query has %u", c->name.name.text, c->columns.count,
                          q->out_count);
    buf_str(&text, "CREATE TABLE ");
    ast_print_name(c->name.name.text, &text);
    for (uint32_t i = 0; i < q->out_count; i++) {
        buf_str(&text, i == 0 ? " (" : ", ");
        put_name(q, c, i, &text);
        if (i < c->columns.count && c->columns.item[i]->type.text != NULL) {
            buf_u8(&text, ' ');
            ast_print_type(&c->columns.item[i]->type, &text);
        } else {
            put_type(&q->shape[i], &text);
        }
    }
    buf_u8(&text, ')');
    rc = buf_check(&text, err);
    if (rc == QUARTET_OK)
        rc = parse_sql(a, (const char *)text.data, text.len, NULL, out, &consumed, err);
    buf_deinit(&text);
    return rc;
}

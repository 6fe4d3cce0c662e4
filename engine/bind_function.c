/* bind_function.c - functions that stand in FROM and give rows: generate_series, json_each, json_tree.
 * Why a query around them: their arguments may name what stands at their left, FROM t, json_each(t.doc). That is what LATERAL is, so f(..) behind another source is
 * bound as LATERAL (SELECT * FROM f(..)), and nothing else has to know. */
#include "bind.h"

#define FUNCTION_COLUMNS_MAX 8

struct function_column {
    const char *name;
    uint8_t type; /* 0: any */
};

struct table_function {
    const char *name, *usage;
    uint8_t min_args, max_args;
    uint8_t code; /* enum bfunction */
    struct function_column columns[FUNCTION_COLUMNS_MAX + 1];
};

#define JSON_COLUMNS                                                                                                    \
    {{"key", 0}, {"value", 0}, {"type", VALUE_TEXT}, {"atom", 0}, {"id", VALUE_INTEGER}, {"parent", VALUE_INTEGER},       \
     {"fullkey", VALUE_TEXT}, {"path", VALUE_TEXT}}

static const struct table_function functions[] = {
    {"generate_series", "start, stop [, step]", 2, 3, BFN_SERIES, {{"value", VALUE_INTEGER}}},
    {"json_each", "document [, path]", 1, 2, BFN_JSON_EACH, JSON_COLUMNS},
    {"json_tree", "document [, path]", 1, 2, BFN_JSON_TREE, JSON_COLUMNS},
    {"quartet_quarantined", "", 0, 0, BFN_QUARANTINE, /* by enum quarantined_column; the view quartet_quarantine reads it */
     {{"table_name", VALUE_TEXT}, {"key", VALUE_TEXT}, {"reason", VALUE_TEXT}, {"constraint_name", VALUE_TEXT}, {"detail", VALUE_TEXT},
      {"row", VALUE_JSON}, {"table_id", VALUE_INTEGER}, {"row_id", VALUE_BLOB}}},
};

static quartet_status find(const struct ast_from *f, const struct table_function **out, struct err *err)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        *out = &functions[i];
        if (!name_eq(f->name.name.text, functions[i].name))
            continue;
        if (f->args.count < functions[i].min_args || f->args.count > functions[i].max_args)
            return err_set_at(err, QUARTET_ERROR, f->offset, "%s takes (%s), not %u arguments", functions[i].name, functions[i].usage, f->args.count);
        return QUARTET_OK;
    }
    return err_set_at(err, QUARTET_ERROR, f->offset,
                      "no such table function: %s (there are generate_series(start, stop [, step]), json_each(document [, path]) and json_tree(document [, path]))",
                      f->name.name.text);
}

/* Alone in its FROM: only what is around the query can be named. */
quartet_status bind_table_function(struct bind *b, struct scope *s, const struct ast_from *f, struct bsource **out, struct err *err)
{
    uint32_t from = s->count;
    struct scope none = {.up = s->up, .container = s->container, .query = s->query, .ctes = s->ctes, .clause = "FROM"};
    const struct table_function *fn;
    quartet_status rc = find(f, &fn, err);
    if (rc != QUARTET_OK)
        return rc;
    struct bsource *src = bind_source_new(b, SRC_FUNCTION);
    if (src == NULL)
        return arena_fail(b->a, err);
    src->alias = f->alias.text != NULL ? f->alias.text : f->name.name.text;
    src->function = fn->code;
    src->arg_count = f->args.count;
    src->args = arena_zalloc(b->a, fn->max_args + 1u, sizeof(struct expr *)); /* what is not given stays NULL */
    if (src->args == NULL)
        return arena_fail(b->a, err);
    for (uint32_t i = 0; i < f->args.count && rc == QUARTET_OK; i++)
        rc = bind_expr(b, &none, f->args.item[i], &src->args[i], err);
    src->first_cid = b->col_count;
    for (uint32_t i = 0; rc == QUARTET_OK && fn->columns[i].name != NULL; i++) {
        struct bcol col = {.name = fn->columns[i].name, .type = fn->columns[i].type};
        rc = bind_source_column(b, s, src, &col, err);
    }
    *out = src;
    return rc != QUARTET_OK ? rc : bind_name_columns(b, s, from, f, err);
}

quartet_status bind_function_query(struct bind *b, const struct ast_from *f, const struct ast_from **out, struct err *err)
{
    struct tree {
        struct ast_from outer, inner, *list;
        struct ast_query query;
        struct ast_select select;
        struct ast_result result;
        struct ast_expr star;
        struct ast_column all;
    } *t = arena_zalloc(b->a, 1, sizeof *t);
    if (t == NULL)
        return arena_fail(b->a, err);
    t->star = (struct ast_expr){.kind = AST_EXPR_STAR, .height = 1, .offset = f->offset, .u.column = &t->all};
    t->result = (struct ast_result){.expr = &t->star, .offset = f->offset};
    t->inner = (struct ast_from){.kind = AST_FROM_FUNCTION, .offset = f->offset, .name = f->name, .args = f->args};
    t->list = &t->inner;
    t->select.results = (struct ast_results){.item = &t->result, .count = 1};
    t->select.from = (struct ast_from_list){.item = &t->list, .count = 1};
    t->query = (struct ast_query){.kind = AST_QUERY_SELECT, .height = f->height, .offset = f->offset, .select = &t->select};
    t->outer = *f;
    t->outer.kind = AST_FROM_QUERY;
    t->outer.lateral = true;
    t->outer.query = &t->query;
    if (t->outer.alias.text == NULL)
        t->outer.alias = f->name.name;
    *out = &t->outer;
    return QUARTET_OK;
}

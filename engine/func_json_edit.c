/* func_json_edit.c - JSON documents changed: SQLite's json_set and its kin, and what the SQL standard and MySQL call looks at one place. */
#include "func_impl.h"
#include "func_json.h"

#include "json_edit.h"

#include <string.h>

/* json_set, json_insert, json_replace(doc, path, value, ...): one change after the other, each on what the last one left. */
static quartet_status f_json_set(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX}, value = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX}, next = b;
    struct slice doc, path;
    if (n % 2 == 0)
        return err_set(err, QUARTET_ERROR, "%s() needs an odd number of arguments: a document, then paths and values in turn", call->func->name);
    if (args[0].type == VALUE_NULL)
        return func_null(out);
    quartet_status rc = func_json_document(&args[0], call->ctx->arena, &doc, err);
    if (rc == QUARTET_OK)
        json_minify(&b, doc);
    for (uint32_t k = 1; k < n && rc == QUARTET_OK; k += 2) {
        if (args[k].type == VALUE_NULL)
            continue;
        buf_clear(&value);
        buf_clear(&next);
        rc = func_arg(call, &args[k], &path, err);
        if (rc == QUARTET_OK)
            rc = func_json_put(&value, &args[k + 1], err);
        if (rc == QUARTET_OK && (rc = buf_check(&b, err)) == QUARTET_OK && (rc = buf_check(&value, err)) == QUARTET_OK &&
            !json_edit(&next, slice_of(b.data, b.len), path, (enum json_edit)call->func->code, slice_of(value.data, value.len)))
            rc = func_json_bad_path(path, err);
        struct buf was = b;
        b = next;
        next = was;
    }
    buf_deinit(&value);
    buf_deinit(&next);
    return func_json_take(call, rc, &b, out, err);
}

/* json_remove(doc, path, ...): NULL where a path is NULL or takes the whole document. */
static quartet_status f_json_remove(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX}, next = b;
    struct slice doc, path;
    bool gone = args[0].type == VALUE_NULL;
    quartet_status rc = gone ? QUARTET_OK : func_json_document(&args[0], call->ctx->arena, &doc, err);
    if (rc == QUARTET_OK && !gone)
        json_minify(&b, doc);
    for (uint32_t k = 1; k < n && rc == QUARTET_OK; k++) {
        buf_clear(&next);
        rc = func_arg(call, &args[k], &path, err);
        if (gone || args[k].type == VALUE_NULL) {
            gone = true; /* the other paths must be right all the same */
            if (rc == QUARTET_OK && args[k].type != VALUE_NULL && !json_path_valid(path))
                rc = func_json_bad_path(path, err);
            continue;
        }
        if (rc == QUARTET_OK && (rc = buf_check(&b, err)) == QUARTET_OK &&
            !json_edit(&next, slice_of(b.data, b.len), path, JSON_EDIT_REMOVE, (struct slice){NULL, 0}))
            rc = func_json_bad_path(path, err);
        struct buf was = b;
        b = next;
        next = was;
        gone = rc == QUARTET_OK && !b.failed && b.len == 0;
    }
    buf_deinit(&next);
    if (rc == QUARTET_OK && gone) {
        buf_deinit(&b);
        return func_null(out);
    }
    return func_json_take(call, rc, &b, out, err);
}

static quartet_status f_json_patch(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    struct slice doc, patch;
    (void)n;
    quartet_status rc = func_json_document(&args[0], call->ctx->arena, &doc, err);
    if (rc == QUARTET_OK)
        rc = func_json_document(&args[1], call->ctx->arena, &patch, err);
    if (rc == QUARTET_OK)
        json_merge_patch(&b, doc, patch);
    return func_json_take(call, rc, &b, out, err);
}

enum { LOOK_VALUE, LOOK_QUERY, LOOK_EXISTS };

/* json_value: a scalar at the path, as SQL value; json_query: an object or array there; json_exists: is there anything? (SQL:2016, without their clauses) */
static quartet_status f_json_look_at(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct slice root, node;
    bool found = false;
    (void)n;
    quartet_status rc = func_json_document(&args[0], call->ctx->arena, &root, err);
    if (rc == QUARTET_OK)
        rc = func_json_find(call, &root, &args[1], &node, &found, err);
    if (rc != QUARTET_OK)
        return rc;
    if (call->func->code == LOOK_EXISTS)
        return func_int(out, found);
    bool container = found && json_type_of(node) >= JSON_ARRAY;
    if (!found || container != (call->func->code == LOOK_QUERY))
        return func_null(out);
    return func_json_value(node, call->ctx->arena, out, err);
}

/* json_keys(doc [, path]): the names of an object's members as an array. */
static quartet_status f_json_keys(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    struct slice node, key, value;
    bool found = true;
    quartet_status rc = func_json_document(&args[0], call->ctx->arena, &node, err);
    if (rc == QUARTET_OK && n > 1) {
        struct slice root = node;
        rc = func_json_find(call, &root, &args[1], &node, &found, err);
    }
    if (rc != QUARTET_OK || !found || json_type_of(node) != JSON_OBJECT)
        return rc != QUARTET_OK ? rc : func_null(out);
    buf_u8(&b, '[');
    for (size_t at = 0; json_next(node, &at, &key, &value);) {
        if (b.len > 1)
            buf_u8(&b, ',');
        buf_put(&b, key.p, key.n);
    }
    buf_u8(&b, ']');
    return func_json_take(call, rc, &b, out, err);
}

/* json_unquote(x): the text of a JSON string; what is none stays as it is. */
static quartet_status f_json_unquote(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct slice s;
    (void)n;
    quartet_status rc = func_arg(call, &args[0], &s, err);
    if (rc != QUARTET_OK)
        return rc;
    struct slice node = json_trim(s);
    if (node.n < 2 || node.p[0] != '"' || !json_valid(node))
        return func_slice(out, s);
    return func_json_value(node, call->ctx->arena, out, err);
}

const struct func func_json_edit_table[] = {
    {"json_set", 1, -1, FUNC_DETERMINISTIC, VALUE_JSON, JSON_EDIT_SET, f_json_set},
    {"json_insert", 1, -1, FUNC_DETERMINISTIC, VALUE_JSON, JSON_EDIT_INSERT, f_json_set},
    {"json_replace", 1, -1, FUNC_DETERMINISTIC, VALUE_JSON, JSON_EDIT_REPLACE, f_json_set},
    {"json_remove", 1, -1, FUNC_DETERMINISTIC, VALUE_JSON, 0, f_json_remove},
    {"json_patch", 2, 2, FUNC_PURE, VALUE_JSON, 0, f_json_patch},
    {"json_merge_patch", 2, 2, FUNC_PURE, VALUE_JSON, 0, f_json_patch},
    {"json_value", 2, 2, FUNC_PURE, 0, LOOK_VALUE, f_json_look_at},
    {"json_query", 2, 2, FUNC_PURE, VALUE_JSON, LOOK_QUERY, f_json_look_at},
    {"json_exists", 2, 2, FUNC_PURE, VALUE_INTEGER, LOOK_EXISTS, f_json_look_at},
    {"json_keys", 1, 2, FUNC_PURE, VALUE_JSON, 0, f_json_keys},
    {"json_unquote", 1, 1, FUNC_PURE, VALUE_TEXT, 0, f_json_unquote},
    {NULL, 0, 0, 0, 0, 0, NULL},
};

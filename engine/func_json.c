/* func_json.c - JSON: SQLite's functions and operators on the walker of json.c. JSON results carry type JSON, so that json_array(json(x)) nests instead of
 * quoting. Text that is no JSON is an error in json(), ->, json_extract and the like, as in SQLite. */
#include "func_impl.h"
#include "func_json.h"

#include <math.h>
#include <string.h>

quartet_status func_json_document(const struct value *v, struct arena *arena, struct slice *out, struct err *err)
{
    quartet_status rc = types_text(v, arena, out, err);
    if (rc == QUARTET_OK && v->type != VALUE_JSON && !json_valid(*out))
        rc = err_set(err, QUARTET_ERROR, "malformed JSON");
    if (rc == QUARTET_OK)
        *out = json_trim(*out);
    return rc;
}

static struct value json_value(struct slice s)
{
    return (struct value){.type = VALUE_JSON, .s = s};
}

/* Without blanks, as SQLite gives it; a node without any is not copied. */
static quartet_status minified(struct slice node, struct arena *arena, struct value *out, struct err *err)
{
    bool blanks = memchr(node.p, ' ', node.n) != NULL || memchr(node.p, '\n', node.n) != NULL || memchr(node.p, '\t', node.n) != NULL ||
                  memchr(node.p, '\r', node.n) != NULL;
    *out = json_value(node);
    if (!blanks)
        return QUARTET_OK;
    struct buf b = {.limit_bytes = TYPES_VALUE_BYTES_MAX};
    json_minify(&b, node);
    quartet_status rc = buf_check(&b, err);
    const void *copy = rc == QUARTET_OK ? arena_dup(arena, b.data, b.len) : NULL;
    if (rc == QUARTET_OK && copy == NULL)
        rc = arena_fail(arena, err);
    *out = json_value(slice_of(copy, b.len));
    buf_deinit(&b);
    return rc;
}

quartet_status func_json_value(struct slice node, struct arena *arena, struct value *out, struct err *err)
{
    struct slice s;
    switch (json_type_of(node)) {
    case JSON_NULL:
        return func_null(out);
    case JSON_TRUE:
        return func_int(out, 1);
    case JSON_FALSE:
        return func_int(out, 0);
    case JSON_INTEGER:
    case JSON_REAL:
        (void)types_number_from_text(node, false, out); /* JSON numbers are numbers */
        return QUARTET_OK;
    case JSON_TEXT:
        if (!json_unquote(node, arena, &s))
            return arena_fail(arena, err);
        return func_slice(out, s);
    default:
        return minified(node, arena, out, err);
    }
}

quartet_status func_json_put(struct buf *b, const struct value *v, struct err *err)
{
    switch (v->type) {
    case VALUE_NULL:
        buf_str(b, "null");
        return QUARTET_OK;
    case VALUE_REAL:
        if (isinf(v->r))
            buf_str(b, v->r < 0 ? "-9.0e+999" : "9.0e+999");
        else
            value_to_text(v, b);
        return QUARTET_OK;
    case VALUE_INTEGER:
    case VALUE_DECIMAL:
        value_to_text(v, b);
        return QUARTET_OK;
    case VALUE_JSON:
        json_minify(b, v->s);
        return QUARTET_OK;
    case VALUE_TEXT:
        json_put_string(b, v->s);
        return QUARTET_OK;
    case VALUE_BLOB:
        return err_set(err, QUARTET_ERROR, "JSON cannot hold BLOB values");
    default:
        buf_u8(b, '"');
        value_to_text(v, b);
        buf_u8(b, '"');
        return QUARTET_OK;
    }
}

quartet_status func_json_take(const struct func_call *call, quartet_status rc, struct buf *b, struct value *out, struct err *err)
{
    if (rc != QUARTET_OK) {
        buf_deinit(b);
        return rc;
    }
    rc = func_take(call, b, out, err);
    if (rc == QUARTET_OK && !json_valid(out->s)) /* of valid parts: it can only be too deep */
        return err_set(err, QUARTET_LIMIT, "%s(): the result is nested more than %u deep", call->func->name, JSON_DEPTH_MAX);
    if (rc == QUARTET_OK)
        out->type = VALUE_JSON;
    return rc;
}

quartet_status func_json_bad_path(struct slice path, struct err *err)
{
    return err_set(err, QUARTET_ERROR, "bad JSON path: %.*s (paths are like $.name[0])", (int)(path.n > 60 ? 60 : path.n), (const char *)path.p);
}

quartet_status ops_json_get(const struct value *doc, const struct value *path, bool as_text, struct arena *arena, struct value *out, struct err *err)
{
    struct slice root, p, node;
    *out = VALUE_NULL_INIT;
    if (doc->type == VALUE_NULL || path->type == VALUE_NULL)
        return QUARTET_OK;
    quartet_status rc = func_json_document(doc, arena, &root, err);
    if (rc == QUARTET_OK)
        rc = types_text(path, arena, &p, err);
    if (rc != QUARTET_OK)
        return rc;
    if (path->type == VALUE_INTEGER && path->i >= 0) {
        const char *text = arena_printf(arena, "$[%lld]", (long long)path->i);
        p = text != NULL ? slice_of(text, strlen(text)) : p;
        rc = text != NULL ? QUARTET_OK : arena_fail(arena, err);
    } else if (path->type == VALUE_INTEGER) {
        const char *text = arena_printf(arena, "$[#%lld]", (long long)path->i);
        p = text != NULL ? slice_of(text, strlen(text)) : p;
        rc = text != NULL ? QUARTET_OK : arena_fail(arena, err);
    } else if (p.n == 0 || p.p[0] != '$') { /* -> 'name' */
        struct buf b = {.limit_bytes = TYPES_VALUE_BYTES_MAX};
        buf_str(&b, "$.");
        json_put_string(&b, p);
        rc = buf_check(&b, err);
        void *copy = rc == QUARTET_OK ? arena_dup(arena, b.data, b.len) : NULL;
        if (rc == QUARTET_OK && copy == NULL)
            rc = arena_fail(arena, err);
        p = slice_of(copy, b.len);
        buf_deinit(&b);
    }
    if (rc != QUARTET_OK)
        return rc;
    int found = json_path(root, p, &node);
    if (found < 0)
        return func_json_bad_path(p, err);
    if (found == 0)
        return QUARTET_OK;
    if (!as_text)
        return minified(node, arena, out, err);
    return func_json_value(node, arena, out, err);
}

static quartet_status f_json(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    struct slice s;
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    quartet_status rc = func_json_document(&args[0], call->ctx->arena, &s, err);
    if (rc == QUARTET_OK)
        json_minify(&b, s);
    return func_json_take(call, rc, &b, out, err);
}

static quartet_status f_json_valid(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    struct slice s;
    quartet_status rc = func_arg(call, &args[0], &s, err);
    return rc == QUARTET_OK ? func_int(out, json_valid(s)) : rc;
}

quartet_status func_json_find(const struct func_call *call, const struct slice *root, const struct value *path, struct slice *node, bool *found,
                                struct err *err)
{
    struct slice p;
    quartet_status rc = func_arg(call, path, &p, err);
    if (rc != QUARTET_OK)
        return rc;
    int r = path->type == VALUE_NULL ? 0 : json_path(*root, p, node);
    if (r < 0)
        return func_json_bad_path(p, err);
    *found = r == 1;
    return QUARTET_OK;
}

/* json_extract(doc, path): the value; with several paths an array of them. */
static quartet_status f_json_extract(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct slice root, node;
    bool found = false;
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    *out = VALUE_NULL_INIT;
    if (args[0].type == VALUE_NULL)
        return QUARTET_OK;
    quartet_status rc = func_json_document(&args[0], call->ctx->arena, &root, err);
    if (rc == QUARTET_OK && n == 2) {
        rc = func_json_find(call, &root, &args[1], &node, &found, err);
        return rc == QUARTET_OK && found ? func_json_value(node, call->ctx->arena, out, err) : rc;
    }
    buf_u8(&b, '[');
    for (uint32_t k = 1; k < n && rc == QUARTET_OK; k++) {
        if (k > 1)
            buf_u8(&b, ',');
        rc = func_json_find(call, &root, &args[k], &node, &found, err);
        if (rc == QUARTET_OK && found)
            json_minify(&b, node);
        else
            buf_str(&b, "null");
    }
    buf_u8(&b, ']');
    return func_json_take(call, rc, &b, out, err);
}

static quartet_status f_json_array(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    quartet_status rc = QUARTET_OK;
    buf_u8(&b, '[');
    for (uint32_t k = 0; k < n && rc == QUARTET_OK; k++) {
        if (k > 0)
            buf_u8(&b, ',');
        rc = func_json_put(&b, &args[k], err);
    }
    buf_u8(&b, ']');
    return func_json_take(call, rc, &b, out, err);
}

static quartet_status f_json_object(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    quartet_status rc = QUARTET_OK;
    if (n % 2 != 0)
        return err_set(err, QUARTET_ERROR, "json_object() takes names and values in turn");
    buf_u8(&b, '{');
    for (uint32_t k = 0; k < n && rc == QUARTET_OK; k += 2) {
        struct slice name;
        if (args[k].type == VALUE_NULL)
            rc = err_set(err, QUARTET_ERROR, "json_object() names must be text");
        else
            rc = func_arg(call, &args[k], &name, err);
        if (rc != QUARTET_OK)
            break;
        if (k > 0)
            buf_u8(&b, ',');
        json_put_string(&b, name);
        buf_u8(&b, ':');
        rc = func_json_put(&b, &args[k + 1], err);
    }
    buf_u8(&b, '}');
    return func_json_take(call, rc, &b, out, err);
}

enum { LOOK_TYPE, LOOK_ARRAY_LENGTH, LOOK_LENGTH };

/* json_type(doc [, path]); json_array_length(doc [, path]); json_length(doc [, path]) counts an object's members too, as MySQL's, and anything else as 1. */
static quartet_status f_json_look(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct slice node;
    bool found = true;
    quartet_status rc = func_json_document(&args[0], call->ctx->arena, &node, err);
    if (rc == QUARTET_OK && n > 1) {
        struct slice root = node;
        rc = func_json_find(call, &root, &args[1], &node, &found, err);
    }
    if (rc != QUARTET_OK || !found)
        return rc != QUARTET_OK ? rc : func_null(out);
    enum json_type type = json_type_of(node);
    if (call->func->code == LOOK_ARRAY_LENGTH)
        return func_int(out, type == JSON_ARRAY ? json_length(node) : 0);
    if (call->func->code == LOOK_LENGTH)
        return func_int(out, type >= JSON_ARRAY ? json_length(node) : 1);
    const char *name = json_type_name(type);
    return func_slice(out, slice_of(name, strlen(name)));
}

static quartet_status f_json_quote(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    return func_json_take(call, func_json_put(&b, &args[0], err), &b, out, err);
}

const struct func func_json_table[] = {
    {"json", 1, 1, FUNC_PURE, VALUE_JSON, 0, f_json},
    {"json_valid", 1, 1, FUNC_PURE, VALUE_INTEGER, 0, f_json_valid},
    {"json_extract", 2, -1, FUNC_DETERMINISTIC, 0, 0, f_json_extract},
    {"json_array", 0, -1, FUNC_DETERMINISTIC, VALUE_JSON, 0, f_json_array},
    {"json_object", 0, -1, FUNC_DETERMINISTIC, VALUE_JSON, 0, f_json_object},
    {"json_type", 1, 2, FUNC_PURE, VALUE_TEXT, LOOK_TYPE, f_json_look},
    {"json_array_length", 1, 2, FUNC_PURE, VALUE_INTEGER, LOOK_ARRAY_LENGTH, f_json_look},
    {"json_length", 1, 2, FUNC_PURE, VALUE_INTEGER, LOOK_LENGTH, f_json_look},
    {"json_quote", 1, 1, FUNC_DETERMINISTIC, VALUE_JSON, 0, f_json_quote},
    {NULL, 0, 0, 0, 0, 0, NULL},
};

/* func_set.c - sets: set_add, set_remove, set_has, set_size over JSON arrays of numbers and strings, as SET columns read.
 * In UPDATE t SET tags = set_add(tags, 'x') the planner makes a change of the column of it (plan_write.c), by func_set_changes; everywhere else these are functions of
 * the array they are given. */
#include "func_impl.h"
#include "func_json.h"

#include "crdt/row_cell.h"
#include "kind.h"

static quartet_status tokens_of(const struct func_call *call, const struct value *v, struct slice **tokens, uint32_t *count, struct err *err)
{
    *tokens = NULL;
    *count = 0;
    return v->type == VALUE_NULL ? QUARTET_OK : kind_set_tokens(v, call->ctx->arena, tokens, count, err);
}

/* Equal numbers are one element: the token that is there stands for the one that is named. */
static struct slice as_it_stands(const struct slice *tokens, uint32_t count, struct slice token)
{
    for (uint32_t i = 0; i < count; i++)
        if (kind_token_equal(tokens[i], token))
            return tokens[i];
    return token;
}

/* set_add(set, x, ...), set_remove(set, x, ...): a set, NULL being the empty one. */
static quartet_status f_change(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct arena *a = call->ctx->arena;
    struct slice *tokens;
    uint32_t count, changed = 0;
    struct value set;
    struct kind_change *changes = arena_alloc(a, (n + 1u) * sizeof *changes);
    if (changes == NULL)
        return arena_fail(a, err);
    quartet_status rc = tokens_of(call, &args[0], &tokens, &count, err);
    if (rc == QUARTET_OK && !row_tokens_join(tokens, count, a, &set))
        rc = arena_fail(a, err);
    for (uint32_t i = 1; i < n && rc == QUARTET_OK; i++) {
        struct slice token;
        rc = kind_token(&args[i], a, &token, err);
        if (rc == QUARTET_OK && token.n > 0) /* NULL is no element */
            changes[changed++] = (struct kind_change){.op = call->func->code, .token = as_it_stands(tokens, count, token)};
    }
    return rc == QUARTET_OK ? kind_changed(&set, changes, changed, a, out, err) : rc;
}

static quartet_status f_set_has(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct slice *tokens, token;
    uint32_t count;
    bool found = false;
    (void)n;
    quartet_status rc = tokens_of(call, &args[0], &tokens, &count, err);
    if (rc == QUARTET_OK)
        rc = kind_token(&args[1], call->ctx->arena, &token, err);
    for (uint32_t i = 0; rc == QUARTET_OK && i < count && !found; i++)
        found = kind_token_equal(tokens[i], token);
    return rc == QUARTET_OK ? func_int(out, found) : rc;
}

static quartet_status f_set_size(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct slice *tokens;
    uint32_t count;
    (void)n;
    quartet_status rc = tokens_of(call, &args[0], &tokens, &count, err);
    return rc == QUARTET_OK ? func_int(out, count) : rc;
}

/* op, element, op, element, ...: a BLOB for kind_changes_convert. */
static quartet_status f_changes(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    for (uint32_t i = 0; i + 1 < n; i += 2)
        kind_change_put(&b, (uint8_t)args[i].i, &args[i + 1]);
    quartet_status rc = buf_check(&b, err);
    void *copy = rc == QUARTET_OK ? arena_dup(call->ctx->arena, b.data, b.len) : NULL;
    if (rc == QUARTET_OK && copy == NULL)
        rc = arena_fail(call->ctx->arena, err);
    *out = (struct value){.type = VALUE_BLOB, .s = slice_of(copy, b.len)};
    buf_deinit(&b);
    return rc;
}

const struct func func_set_changes = {"set_changes", 0, -1, FUNC_DETERMINISTIC, VALUE_BLOB, 0, f_changes};

/* The binder gives all four. */
static quartet_status f_siblings(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    const struct expr_host *host = call->ctx->host;
    struct value *list;
    uint32_t count = 0;
    (void)n;
    *out = VALUE_NULL_INIT;
    if (host == NULL || host->siblings == NULL)
        return err_set(err, QUARTET_ERROR, "siblings() cannot stand here: it needs a database");
    if (args[1].type == VALUE_NULL) /* of an outer join: there is no row */
        return QUARTET_OK;
    quartet_status rc = host->siblings(call->ctx->host_arg, (uint64_t)args[2].i, (uint32_t)args[3].i, args[1].s, call->ctx->arena, &list, &count, err);
    if (rc != QUARTET_OK || count == 0)
        return rc;
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    buf_u8(&b, '[');
    for (uint32_t i = 0; i < count && rc == QUARTET_OK; i++) {
        if (i > 0)
            buf_u8(&b, ',');
        rc = func_json_put(&b, &list[i], err);
    }
    buf_u8(&b, ']');
    return func_json_take(call, rc, &b, out, err);
}

const struct func func_set_table[] = {
    {"set_add", 2, -1, FUNC_DETERMINISTIC, VALUE_JSON, ROW_ADD, f_change},
    {"set_remove", 2, -1, FUNC_DETERMINISTIC, VALUE_JSON, ROW_CUT, f_change},
    {"set_has", 2, 2, FUNC_PURE, VALUE_INTEGER, 0, f_set_has},
    {"siblings", 1, 1, FUNC_STABLE, VALUE_JSON, 0, f_siblings},
    {"set_size", 1, 1, FUNC_PURE, VALUE_INTEGER, 0, f_set_size},
    {NULL, 0, 0, 0, 0, 0, NULL},
};

const struct func *func_siblings(void)
{
    const struct func *f = func_set_table;
    while (f->scalar != f_siblings)
        f++;
    return f;
}

bool func_changes_set(const struct func *f)
{
    return f->scalar == f_change;
}

/* func.c - finding built-in functions, and what their implementations share.
 * Why tables per family: a function is one line beside its implementation, and nothing has to be registered at run time. */
#include "func_impl.h"

#include <math.h>
#include <string.h>

static const struct func *const families[] = {func_agg_table,  func_text_table, func_string_table, func_math_table,
                                              func_date_table, func_json_table, func_json_edit_table, func_set_table, func_misc_table, func_compat_table, func_regexp_table};
#define FAMILY_COUNT (sizeof families / sizeof *families)

static uint8_t lower(char c)
{
    return (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static bool same_name(const char *wanted, const char *name)
{
    return lower(wanted[0]) == (uint8_t)name[0] && strcasecmp(wanted, name) == 0;
}

static bool takes(const struct func *f, uint32_t n)
{
    return n >= (uint32_t)f->min_args && (f->max_args < 0 || n <= (uint32_t)f->max_args);
}

/* The next function of that name, from a place in all tables on. */
static const struct func *next_named(const char *name, size_t *family, size_t *at)
{
    for (; *family < FAMILY_COUNT; (*family)++, *at = 0)
        for (const struct func *f = families[*family] + *at; f->name != NULL; f++) {
            (*at)++;
            if (same_name(name, f->name))
                return f;
        }
    return NULL;
}

quartet_status func_find(const char *name, uint32_t arg_count, const struct func **out, struct err *err)
{
    size_t family = 0, at = 0;
    const struct func *f, *other = NULL;
    while ((f = next_named(name, &family, &at)) != NULL) {
        if (takes(f, arg_count)) {
            *out = f;
            return QUARTET_OK;
        }
        other = f;
    }
    if (other == NULL)
        return err_set(err, QUARTET_ERROR, "no such function: %s", name);
    if (other->max_args == other->min_args)
        return err_set(err, QUARTET_ERROR, "%s() takes %d argument%s, not %u", other->name, other->min_args, other->min_args == 1 ? "" : "s", arg_count);
    if (other->max_args < 0)
        return err_set(err, QUARTET_ERROR, "%s() takes %d or more arguments, not %u", other->name, other->min_args, arg_count);
    return err_set(err, QUARTET_ERROR, "%s() takes %d to %d arguments, not %u", other->name, other->min_args, other->max_args, arg_count);
}

bool func_exists(const char *name)
{
    size_t family = 0, at = 0;
    return next_named(name, &family, &at) != NULL;
}

const struct func *func_bare(const char *name)
{
    size_t family = 0, at = 0;
    const struct func *f;
    while ((f = next_named(name, &family, &at)) != NULL)
        if ((f->flags & FUNC_NO_PARENS) != 0)
            return f;
    return NULL;
}

const struct func *func_at(uint32_t i)
{
    for (size_t family = 0; family < FAMILY_COUNT; family++)
        for (const struct func *f = families[family]; f->name != NULL; f++)
            if (i-- == 0)
                return f;
    return NULL;
}

/* ---- shared by implementations ---- */

quartet_status func_real(struct value *out, double r)
{
    *out = isnan(r) ? VALUE_NULL_INIT : (struct value){.type = VALUE_REAL, .r = r};
    return QUARTET_OK;
}

quartet_status func_slice(struct value *out, struct slice s)
{
    *out = value_text(s.p, s.n);
    return QUARTET_OK;
}

int64_t func_arg_int(const struct value *v)
{
    int64_t i = 0;
    return types_to_int64(v, &i) ? i : 0;
}

double func_arg_real(const struct value *v)
{
    double r = 0;
    return types_to_double(v, &r) ? r : 0;
}

quartet_status func_room(const struct func_call *call, uint64_t n, uint8_t **out, struct err *err)
{
    if (n > TYPES_VALUE_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "%s() would give %llu bytes: the limit is %u", call->func->name, (unsigned long long)n,
                       TYPES_VALUE_BYTES_MAX);
    *out = arena_alloc(call->ctx->arena, (size_t)n);
    return *out != NULL ? QUARTET_OK : arena_fail(call->ctx->arena, err);
}

quartet_status func_take(const struct func_call *call, struct buf *b, struct value *out, struct err *err)
{
    quartet_status rc = buf_check(b, err);
    if (rc == QUARTET_OK && b->len > TYPES_VALUE_BYTES_MAX)
        rc = err_set(err, QUARTET_LIMIT, "%s() would give %zu bytes: the limit is %u", call->func->name, b->len, TYPES_VALUE_BYTES_MAX);
    if (rc == QUARTET_OK) {
        uint8_t *text = arena_dup(call->ctx->arena, b->data, b->len);
        if (text == NULL)
            rc = arena_fail(call->ctx->arena, err);
        else
            *out = value_text(text, b->len);
    }
    buf_deinit(b);
    return rc;
}

bool func_word(struct slice s, const char *word)
{
    return s.n == strlen(word) && (s.n == 0 || strncasecmp((const char *)s.p, word, s.n) == 0);
}

quartet_status func_now(const struct func_call *call, int64_t *us, struct err *err)
{
    const struct expr_host *host = call->ctx->host;
    if (host == NULL || host->now_us == NULL)
        return err_set(err, QUARTET_ERROR, "%s() cannot stand here: it needs the present time", call->func->name);
    *us = host->now_us(call->ctx->host_arg);
    return QUARTET_OK;
}

quartet_status func_zone(const struct func_call *call, struct slice name, const struct tz **out, struct err *err)
{
    const struct expr_host *host = call->ctx->host;
    if (host == NULL || host->zone == NULL)
        return err_set(err, QUARTET_ERROR, "%s() cannot stand here: it needs a time zone", call->func->name);
    return host->zone(call->ctx->host_arg, func_word(name, "local") ? slice_of("", 0) : name, out, err);
}

quartet_status func_random_bytes(const struct func_call *call, void *p, size_t n, struct err *err)
{
    const struct expr_host *host = call->ctx->host;
    if (host == NULL || host->random == NULL)
        return err_set(err, QUARTET_ERROR, "%s() cannot stand here: it needs random numbers", call->func->name);
    return host->random(call->ctx->host_arg, p, n, err);
}

int64_t func_char_count(struct slice s)
{
    int64_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += (s.p[i] & 0xc0) != 0x80;
    return n;
}

size_t func_char_offset(struct slice s, uint64_t chars)
{
    size_t i = 0;
    for (; i < s.n; i++)
        if ((s.p[i] & 0xc0) != 0x80 && chars-- == 0)
            break;
    return i;
}

/* func_string.c - functions that make new texts: concat, replace, repeat, lpad, hex, char, quote. */
#include "func_impl.h"

#include "collate.h"

#include <string.h>
#include <utf8proc.h>

/* concat(a, b, ...): NULLs count as empty. concat_ws(sep, a, b, ...): NULLs are left out; NULL where sep is. */
static quartet_status f_concat(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    uint32_t first = call->func->code; /* 1: concat_ws */
    bool any = false;
    if (first == 1 && args[0].type == VALUE_NULL)
        return func_null(out);
    for (uint32_t k = first; k < n; k++) {
        if (args[k].type == VALUE_NULL)
            continue;
        if (any && first == 1)
            value_to_text(&args[0], &b);
        value_to_text(&args[k], &b);
        any = true;
    }
    return func_take(call, &b, out, err);
}

static quartet_status f_replace(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    struct slice s, from, to;
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    quartet_status rc = func_arg2(call, args, &s, &from, err);
    if (rc == QUARTET_OK)
        rc = func_arg(call, &args[2], &to, err);
    if (rc != QUARTET_OK)
        return rc;
    if (args[0].type == VALUE_NULL || args[1].type == VALUE_NULL)
        return func_null(out);
    if (from.n == 0 || args[2].type == VALUE_NULL) { /* nothing to look for: x as it is, whatever stands third (SQLite) */
        *out = from.n == 0 ? args[0] : VALUE_NULL_INIT;
        return QUARTET_OK;
    }
    const uint8_t *at = s.n >= from.n ? memmem(s.p, s.n, from.p, from.n) : NULL;
    if (at == NULL)
        return func_slice(out, s);
    while (at != NULL) {
        size_t before = (size_t)(at - s.p);
        buf_put(&b, s.p, before);
        buf_put(&b, to.p, to.n);
        s = slice_of(at + from.n, s.n - before - from.n);
        at = s.n >= from.n ? memmem(s.p, s.n, from.p, from.n) : NULL;
    }
    buf_put(&b, s.p, s.n);
    return func_take(call, &b, out, err);
}

static quartet_status f_repeat(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct slice s = slice_of(" ", 1);
    uint8_t *p;
    quartet_status rc = n > 1 ? func_arg(call, &args[0], &s, err) : QUARTET_OK; /* space(n) has one argument */
    if (rc != QUARTET_OK)
        return rc;
    int64_t times = func_arg_int(&args[n - 1]);
    uint64_t count = times > 0 ? (uint64_t)times : 0;
    if (count > TYPES_VALUE_BYTES_MAX && s.n > 0)
        count = TYPES_VALUE_BYTES_MAX + 1;
    rc = func_room(call, s.n == 0 ? 0 : count * s.n, &p, err);
    if (rc != QUARTET_OK)
        return rc;
    for (uint64_t k = 0; k < count && s.n > 0; k++)
        memcpy(p + k * s.n, s.p, s.n);
    return func_slice(out, slice_of(p, s.n == 0 ? 0 : count * s.n));
}

static quartet_status f_reverse(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    struct slice s;
    uint8_t *p;
    quartet_status rc = func_arg(call, &args[0], &s, err);
    if (rc == QUARTET_OK)
        rc = func_room(call, s.n, &p, err);
    if (rc != QUARTET_OK)
        return rc;
    for (size_t i = 0, end = s.n; i < s.n;) {
        uint32_t code;
        uint32_t len = collate_char(s.p + i, s.n - i, &code);
        end -= len;
        memcpy(p + end, s.p + i, len);
        i += len;
    }
    return func_slice(out, slice_of(p, s.n));
}

/* lpad(x, length [, with]), rpad: cut or filled to that many characters. */
static quartet_status f_pad(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct slice s, with = slice_of(" ", 1);
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    quartet_status rc = func_arg(call, &args[0], &s, err);
    if (rc == QUARTET_OK && n > 2)
        rc = func_arg(call, &args[2], &with, err);
    if (rc != QUARTET_OK)
        return rc;
    int64_t length = func_char_count(s), want = func_arg_int(&args[1]), with_length = func_char_count(with);
    if (want > (int64_t)TYPES_VALUE_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "%s() would give %lld characters: the limit is %u", call->func->name, (long long)want, TYPES_VALUE_BYTES_MAX);
    if (want <= length || with_length == 0)
        return func_slice(out, slice_of(s.p, func_char_offset(s, want > 0 ? (uint64_t)want : 0)));
    if (call->func->code == 1)
        buf_put(&b, s.p, s.n);
    int64_t fill = want - length;
    for (; fill >= with_length && !b.failed; fill -= with_length)
        buf_put(&b, with.p, with.n);
    buf_put(&b, with.p, func_char_offset(with, (uint64_t)fill));
    if (call->func->code == 0)
        buf_put(&b, s.p, s.n);
    return func_take(call, &b, out, err);
}

static quartet_status f_hex(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    static const char digits[] = "0123456789ABCDEF";
    struct slice s;
    uint8_t *p;
    quartet_status rc = func_arg(call, &args[0], &s, err);
    if (rc == QUARTET_OK)
        rc = func_room(call, (uint64_t)s.n * 2, &p, err);
    if (rc != QUARTET_OK)
        return rc;
    for (size_t i = 0; i < s.n; i++) {
        p[2 * i] = (uint8_t)digits[s.p[i] >> 4];
        p[2 * i + 1] = (uint8_t)digits[s.p[i] & 15];
    }
    return func_slice(out, slice_of(p, s.n * 2));
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* unhex(x [, ignore]): NULL where x is no hex; characters of `ignore` may stand between bytes. */
static quartet_status f_unhex(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct slice s, ignore = slice_of("", 0);
    uint8_t *p;
    size_t at = 0;
    quartet_status rc = func_arg(call, &args[0], &s, err);
    if (rc == QUARTET_OK && n > 1)
        rc = func_arg(call, &args[1], &ignore, err);
    if (rc == QUARTET_OK)
        rc = func_room(call, s.n / 2 + 1, &p, err);
    if (rc != QUARTET_OK)
        return rc;
    for (size_t i = 0; i < s.n;) {
        int hi = hex_value(s.p[i]), lo = i + 1 < s.n ? hex_value(s.p[i + 1]) : -1;
        if (hi >= 0 && lo >= 0) {
            p[at++] = (uint8_t)(hi * 16 + lo);
            i += 2;
        } else if (hi < 0 && ignore.n > 0 && memchr(ignore.p, s.p[i], ignore.n) != NULL) {
            i++;
        } else {
            return func_null(out);
        }
    }
    *out = (struct value){.type = VALUE_BLOB, .s = {p, at}};
    return QUARTET_OK;
}

/* char(code, code, ...): what is no character becomes U+FFFD. */
static quartet_status f_char(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    uint8_t *p;
    size_t at = 0;
    quartet_status rc = func_room(call, (uint64_t)n * 4, &p, err);
    if (rc != QUARTET_OK)
        return rc;
    for (uint32_t k = 0; k < n; k++) {
        int64_t code = func_arg_int(&args[k]);
        if (code < 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            code = 0xfffd;
        at += (size_t)utf8proc_encode_char((utf8proc_int32_t)code, p + at);
    }
    return func_slice(out, slice_of(p, at));
}

static quartet_status f_quote(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    value_to_literal(&args[0], &b);
    return func_take(call, &b, out, err);
}

static quartet_status f_zeroblob(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    int64_t want = func_arg_int(&args[0]);
    uint8_t *p;
    quartet_status rc = func_room(call, want > 0 ? (uint64_t)want : 0, &p, err);
    if (rc != QUARTET_OK)
        return rc;
    memset(p, 0, want > 0 ? (size_t)want : 0);
    *out = (struct value){.type = VALUE_BLOB, .s = {p, want > 0 ? (size_t)want : 0}};
    return QUARTET_OK;
}

/* translate(x, from, to): each character of `from` becomes the one at its place in `to`, or goes. */
static quartet_status f_translate(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    struct slice s, from, to;
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    quartet_status rc = func_arg2(call, args, &s, &from, err);
    if (rc == QUARTET_OK)
        rc = func_arg(call, &args[2], &to, err);
    if (rc != QUARTET_OK)
        return rc;
    for (size_t i = 0; i < s.n;) {
        uint32_t code;
        uint32_t len = collate_char(s.p + i, s.n - i, &code);
        const uint8_t *at = from.n > 0 ? memmem(from.p, from.n, s.p + i, len) : NULL;
        if (at == NULL) {
            buf_put(&b, s.p + i, len);
        } else {
            size_t place = func_char_offset(to, (uint64_t)func_char_count(slice_of(from.p, (size_t)(at - from.p))));
            if (place < to.n)
                buf_put(&b, to.p + place, collate_char(to.p + place, to.n - place, &code));
        }
        i += len;
    }
    return func_take(call, &b, out, err);
}

static quartet_status f_initcap(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    struct slice s;
    bool inside = false;
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    quartet_status rc = func_arg(call, &args[0], &s, err);
    if (rc != QUARTET_OK)
        return rc;
    for (size_t i = 0; i < s.n;) {
        uint32_t code;
        uint32_t len = collate_char(s.p + i, s.n - i, &code);
        bool letter = code >= 0x80 || (code >= '0' && code <= '9') || ((code | 32) >= 'a' && (code | 32) <= 'z');
        struct slice one = slice_of(s.p + i, len);
        if (letter && !collate_case(one, !inside, call->ctx->arena, &one)) {
            buf_deinit(&b);
            return arena_fail(call->ctx->arena, err);
        }
        buf_put(&b, one.p, one.n);
        inside = letter;
        i += len;
    }
    return func_take(call, &b, out, err);
}

const struct func func_string_table[] = {
    {"concat", 1, -1, FUNC_DETERMINISTIC, VALUE_TEXT, 0, f_concat},
    {"concat_ws", 2, -1, FUNC_DETERMINISTIC, VALUE_TEXT, 1, f_concat},
    {"replace", 3, 3, FUNC_DETERMINISTIC, 0, 0, f_replace},
    {"repeat", 2, 2, FUNC_PURE, VALUE_TEXT, 0, f_repeat},
    {"replicate", 2, 2, FUNC_PURE, VALUE_TEXT, 0, f_repeat},
    {"space", 1, 1, FUNC_PURE, VALUE_TEXT, 0, f_repeat},
    {"reverse", 1, 1, FUNC_PURE, VALUE_TEXT, 0, f_reverse},
    {"lpad", 2, 3, FUNC_PURE, VALUE_TEXT, 0, f_pad},
    {"rpad", 2, 3, FUNC_PURE, VALUE_TEXT, 1, f_pad},
    {"hex", 1, 1, FUNC_DETERMINISTIC, VALUE_TEXT, 0, f_hex},
    {"unhex", 1, 2, FUNC_PURE, VALUE_BLOB, 0, f_unhex},
    {"char", 0, -1, FUNC_DETERMINISTIC, VALUE_TEXT, 0, f_char},
    {"chr", 1, 1, FUNC_PURE, VALUE_TEXT, 0, f_char},
    {"quote", 1, 1, FUNC_DETERMINISTIC, VALUE_TEXT, 0, f_quote},
    {"zeroblob", 1, 1, FUNC_DETERMINISTIC, VALUE_BLOB, 0, f_zeroblob},
    {"translate", 3, 3, FUNC_PURE, VALUE_TEXT, 0, f_translate},
    {"initcap", 1, 1, FUNC_PURE, VALUE_TEXT, 0, f_initcap},
    {NULL, 0, 0, 0, 0, 0, NULL},
};

/* func_regexp.c - regexp_like, regexp_instr, regexp_substr and regexp_replace, with MySQL's arguments, and functions on numbers as texts that statements for MySQL ask for.
 * Positions count characters, from 1. An empty match is one, and the next search begins a character behind it. */
#include <string.h>

#include "func_impl.h"
#include "like.h"

struct search {
    struct slice text;
    struct like_pattern *pattern;
    size_t from;          /* byte where the next match may begin */
    int64_t occurrence;   /* which match is meant, from 1; 0: all */
    struct like_span spans[LIKE_SPANS_MAX];
    uint32_t count;       /* of spans; 0: no match */
};

/* Arguments text, pattern; then from `at` on position and occurrence; flags are argument `flags`. */
static quartet_status search_begin(const struct func_call *call, const struct value *args, uint32_t n, uint32_t at, uint32_t flags, int64_t occurrence, struct search *s, struct err *err)
{
    struct slice pattern, letters = slice_of("", 0);
    int64_t position = at < n ? func_arg_int(&args[at]) : 1;
    s->occurrence = at + 1 < n ? func_arg_int(&args[at + 1]) : occurrence;
    quartet_status rc = func_arg2(call, args, &s->text, &pattern, err);
    if (rc == QUARTET_OK && flags < n)
        rc = func_arg(call, &args[flags], &letters, err);
    if (rc == QUARTET_OK && position < 1)
        rc = err_set(err, QUARTET_ERROR, "%s(): positions count from 1, not %lld", call->func->name, (long long)position);
    if (rc == QUARTET_OK && (s->occurrence < 0 || (s->occurrence == 0 && occurrence > 0)))
        rc = err_set(err, QUARTET_ERROR, "%s(): occurrences count from 1, not %lld", call->func->name, (long long)s->occurrence);
    if (rc != QUARTET_OK)
        return rc;
    s->from = func_char_offset(s->text, (uint64_t)position - 1);
    return like_regexp(pattern, letters, call->ctx->arena, &s->pattern, err);
}

static quartet_status search_next(struct search *s, struct err *err)
{
    quartet_status rc = like_find(s->pattern, s->text, s->from, s->spans, &s->count, err);
    if (rc != QUARTET_OK || s->count == 0)
        return rc;
    s->from = s->spans[0].to;
    if (s->spans[0].to == s->spans[0].from) { /* the next one is a character further */
        s->from++;
        while (s->from < s->text.n && (s->text.p[s->from] & 0xc0) == 0x80)
            s->from++;
    }
    return QUARTET_OK;
}

/* The match that was asked for; count 0: there is none. */
static quartet_status search_nth(struct search *s, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    s->count = 1;
    for (int64_t i = 0; i < s->occurrence && s->count > 0 && rc == QUARTET_OK; i++)
        rc = search_next(s, err);
    return rc;
}

static quartet_status f_like(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct search s;
    quartet_status rc = search_begin(call, args, n, n, 2, 1, &s, err);
    if (rc == QUARTET_OK)
        rc = search_nth(&s, err);
    return rc == QUARTET_OK ? func_int(out, s.count > 0) : rc;
}

/* regexp_instr(x, pattern [, position [, occurrence [, behind [, flags]]]]) */
static quartet_status f_instr(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct search s;
    int64_t behind = n > 4 ? func_arg_int(&args[4]) : 0;
    quartet_status rc = search_begin(call, args, n, 2, 5, 1, &s, err);
    if (rc == QUARTET_OK && behind != 0 && behind != 1)
        rc = err_set(err, QUARTET_ERROR, "regexp_instr(): 0 asks where a match begins, 1 what is behind it, not %lld", (long long)behind);
    if (rc == QUARTET_OK)
        rc = search_nth(&s, err);
    if (rc != QUARTET_OK || s.count == 0)
        return rc == QUARTET_OK ? func_int(out, 0) : rc;
    return func_int(out, func_char_count(slice_of(s.text.p, behind == 1 ? s.spans[0].to : s.spans[0].from)) + 1);
}

/* regexp_substr(x, pattern [, position [, occurrence [, flags]]]) */
static quartet_status f_substr(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct search s;
    quartet_status rc = search_begin(call, args, n, 2, 4, 1, &s, err);
    if (rc == QUARTET_OK)
        rc = search_nth(&s, err);
    if (rc != QUARTET_OK || s.count == 0)
        return rc == QUARTET_OK ? func_null(out) : rc;
    return func_slice(out, slice_of(s.text.p + s.spans[0].from, s.spans[0].to - s.spans[0].from));
}

/* What stands in place of a match: $1 to $9 are its groups, $0 all of it, a backslash takes the next character as it is. */
static void put_replacement(struct buf *out, const struct search *s, struct slice with)
{
    for (size_t i = 0; i < with.n; i++) {
        bool more = i + 1 < with.n;
        if (with.p[i] == '\\' && more) {
            buf_u8(out, with.p[++i]);
        } else if (with.p[i] == '$' && more && with.p[i + 1] >= '0' && with.p[i + 1] <= '9') {
            uint32_t group = (uint32_t)(with.p[++i] - '0');
            if (group < s->count && s->spans[group].from != SIZE_MAX)
                buf_put(out, s->text.p + s->spans[group].from, s->spans[group].to - s->spans[group].from);
        } else {
            buf_u8(out, with.p[i]);
        }
    }
}

/* regexp_replace(x, pattern, with [, position [, occurrence [, flags]]]); occurrence 0: all. */
static quartet_status f_replace(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct search s;
    struct slice with;
    struct buf text = {.limit_bytes = (size_t)2 * TYPES_VALUE_BYTES_MAX};
    size_t done = 0;
    quartet_status rc = search_begin(call, args, n, 3, 5, 0, &s, err);
    if (rc == QUARTET_OK)
        rc = func_arg(call, &args[2], &with, err);
    for (int64_t i = 1; rc == QUARTET_OK && (s.occurrence == 0 || i <= s.occurrence); i++) {
        rc = search_next(&s, err);
        if (rc != QUARTET_OK || s.count == 0)
            break;
        if (s.occurrence != 0 && i < s.occurrence)
            continue;
        buf_put(&text, s.text.p + done, s.spans[0].from - done);
        put_replacement(&text, &s, with);
        done = s.spans[0].to;
    }
    if (rc == QUARTET_OK) {
        buf_put(&text, s.text.p + done, s.text.n - done);
        return func_take(call, &text, out, err);
    }
    buf_deinit(&text);
    return rc;
}

/* ---- numbers as texts ---- */

static quartet_status put_base(const struct func_call *call, uint64_t v, uint32_t base, bool negative, struct value *out, struct err *err)
{
    uint8_t text[66], *p;
    size_t at = sizeof text;
    do {
        text[--at] = (uint8_t)"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[v % base];
        v /= base;
    } while (v > 0);
    if (negative)
        text[--at] = '-';
    quartet_status rc = func_room(call, sizeof text - at, &p, err);
    if (rc != QUARTET_OK)
        return rc;
    memcpy(p, text + at, sizeof text - at);
    return func_slice(out, slice_of(p, sizeof text - at));
}

/* bin(n), oct(n): of negative numbers the 64 bits. */
static quartet_status f_bin(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    return put_base(call, (uint64_t)func_arg_int(&args[0]), call->func->code, false, out, err);
}

/* conv(x, from, to): the leading digits of x in another base; a base below 0: with a sign. */
static quartet_status f_conv(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct slice s;
    int64_t from = func_arg_int(&args[1]), to = func_arg_int(&args[2]);
    int64_t base = from < 0 ? -from : from, target = to < 0 ? -to : to;
    uint64_t v = 0;
    (void)n;
    quartet_status rc = func_arg(call, &args[0], &s, err);
    if (rc != QUARTET_OK || from < -36 || from > 36 || to < -36 || to > 36 || base < 2 || target < 2)
        return rc != QUARTET_OK ? rc : func_null(out);
    size_t i = 0;
    bool minus = s.n > 0 && s.p[0] == '-';
    for (i = minus; i < s.n; i++) {
        uint8_t c = s.p[i], lower = c | 0x20;
        uint32_t digit = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : lower >= 'a' && lower <= 'z' ? lower - 'a' + 10u : 99u;
        if (digit >= (uint64_t)base)
            break;
        if (__builtin_mul_overflow(v, (uint64_t)base, &v) || __builtin_add_overflow(v, digit, &v))
            v = UINT64_MAX;
    }
    v = minus ? 0 - v : v;
    bool negative = to < 0 && (int64_t)v < 0;
    return put_base(call, negative ? 0 - v : v, (uint32_t)target, negative, out, err);
}

static quartet_status f_bit_count(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)call;
    (void)n;
    (void)err;
    return func_int(out, __builtin_popcountll((unsigned long long)func_arg_int(&args[0])));
}

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* to_base64(x): of a text's or a blob's bytes, in one line. */
static quartet_status f_to_base64(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct slice s;
    uint8_t *p;
    (void)n;
    quartet_status rc = func_arg(call, &args[0], &s, err);
    if (rc == QUARTET_OK)
        rc = func_room(call, ((uint64_t)s.n + 2) / 3 * 4, &p, err);
    if (rc != QUARTET_OK)
        return rc;
    size_t at = 0;
    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t v = (uint32_t)s.p[i] << 16 | (i + 1 < s.n ? (uint32_t)s.p[i + 1] << 8 : 0) | (i + 2 < s.n ? s.p[i + 2] : 0);
        p[at++] = (uint8_t)base64[v >> 18];
        p[at++] = (uint8_t)base64[v >> 12 & 63];
        p[at++] = i + 1 < s.n ? (uint8_t)base64[v >> 6 & 63] : '=';
        p[at++] = i + 2 < s.n ? (uint8_t)base64[v & 63] : '=';
    }
    return func_slice(out, slice_of(p, at));
}

/* from_base64(x): the bytes as a BLOB; blanks and line ends between are skipped; NULL: x is none. */
static quartet_status f_from_base64(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct slice s;
    uint8_t *p;
    uint32_t v = 0, digits = 0, padding = 0;
    size_t at = 0;
    (void)n;
    quartet_status rc = func_arg(call, &args[0], &s, err);
    if (rc == QUARTET_OK)
        rc = func_room(call, (uint64_t)s.n / 4 * 3 + 3, &p, err);
    if (rc != QUARTET_OK)
        return rc;
    for (size_t i = 0; i < s.n; i++) {
        const char *digit = s.p[i] != 0 ? strchr(base64, s.p[i]) : NULL;
        if (s.p[i] == ' ' || s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] == '\t')
            continue;
        if ((digit == NULL && s.p[i] != '=') || (digit != NULL && padding > 0))
            return func_null(out);
        padding += digit == NULL;
        v = v << 6 | (digit != NULL ? (uint32_t)(digit - base64) : 0);
        if (++digits % 4 != 0)
            continue;
        if (padding > 2)
            return func_null(out);
        p[at] = (uint8_t)(v >> 16);
        p[at + 1] = (uint8_t)(v >> 8);
        p[at + 2] = (uint8_t)v;
        at += 3 - padding;
        v = 0;
    }
    if (digits % 4 != 0)
        return func_null(out);
    *out = (struct value){.type = VALUE_BLOB, .s = {p, at}};
    return QUARTET_OK;
}

const struct func func_regexp_table[] = {
    {"regexp_like", 2, 3, FUNC_PURE, VALUE_INTEGER, 0, f_like},
    {"regexp_instr", 2, 6, FUNC_PURE, VALUE_INTEGER, 0, f_instr},
    {"regexp_substr", 2, 5, FUNC_PURE, VALUE_TEXT, 0, f_substr},
    {"regexp_replace", 3, 6, FUNC_PURE, VALUE_TEXT, 0, f_replace},
    {"bin", 1, 1, FUNC_PURE, VALUE_TEXT, 2, f_bin},
    {"oct", 1, 1, FUNC_PURE, VALUE_TEXT, 8, f_bin},
    {"conv", 3, 3, FUNC_PURE, VALUE_TEXT, 0, f_conv},
    {"bit_count", 1, 1, FUNC_PURE, VALUE_INTEGER, 0, f_bit_count},
    {"to_base64", 1, 1, FUNC_PURE, VALUE_TEXT, 0, f_to_base64},
    {"from_base64", 1, 1, FUNC_PURE, VALUE_BLOB, 0, f_from_base64},
    {NULL, 0, 0, 0, 0, 0, NULL},
};

/* func_text.c - functions on texts that look, cut and fold: length, substr, trim, upper, instr and the like. Positions count characters from 1; in
 * blobs they count bytes. Those that make new texts are in func_string.c. */
#include "func_impl.h"

#include "collate.h"

#include <string.h>

enum { TRIM_BOTH, TRIM_LEFT, TRIM_RIGHT };

static quartet_status f_length(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    struct slice s;
    if (args[0].type == VALUE_BLOB)
        return func_int(out, (int64_t)args[0].s.n);
    quartet_status rc = func_arg(call, &args[0], &s, err);
    return rc == QUARTET_OK ? func_int(out, func_char_count(s)) : rc;
}

static quartet_status f_octets(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    struct slice s;
    quartet_status rc = func_arg(call, &args[0], &s, err);
    return rc == QUARTET_OK ? func_int(out, (int64_t)s.n * call->func->code) : rc;
}

static quartet_status f_case(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    struct slice s;
    quartet_status rc = func_arg(call, &args[0], &s, err);
    if (rc != QUARTET_OK)
        return rc;
    if (!collate_case(s, call->func->code == 1, call->ctx->arena, &s))
        return arena_fail(call->ctx->arena, err);
    return func_slice(out, s);
}

/* Is the character p[0..len) one of `set`'s? */
static bool char_in(struct slice set, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < set.n;) {
        uint32_t code;
        uint32_t l = collate_char(set.p + i, set.n - i, &code);
        if (l == len && memcmp(set.p + i, p, len) == 0)
            return true;
        i += l;
    }
    return false;
}

static size_t last_char(struct slice s) /* where the last character begins */
{
    size_t i = s.n - 1;
    while (i > 0 && (s.p[i] & 0xc0) == 0x80)
        i--;
    return i;
}

static quartet_status f_trim(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct slice s, set = slice_of(" ", 1);
    quartet_status rc = func_arg(call, &args[0], &s, err);
    if (rc == QUARTET_OK && n > 1)
        rc = func_arg(call, &args[1], &set, err);
    if (rc != QUARTET_OK)
        return rc;
    while (call->func->code != TRIM_RIGHT && s.n > 0) {
        uint32_t code;
        uint32_t len = collate_char(s.p, s.n, &code);
        if (!char_in(set, s.p, len))
            break;
        s = slice_of(s.p + len, s.n - len);
    }
    while (call->func->code != TRIM_LEFT && s.n > 0) {
        size_t at = last_char(s);
        if (!char_in(set, s.p + at, s.n - at))
            break;
        s.n = at;
    }
    return func_slice(out, s);
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* substr(x, start [, count]) as SQLite: a negative start counts from the end, a negative count takes what is before the start, start 0 stands one before
 * the first. */
static quartet_status f_substr(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    const int64_t far = (int64_t)1 << 40;
    struct slice s;
    bool blob = args[0].type == VALUE_BLOB;
    quartet_status rc = func_arg(call, &args[0], &s, err);
    if (rc != QUARTET_OK)
        return rc;
    int64_t length = blob ? (int64_t)s.n : func_char_count(s);
    int64_t start = clamp(func_arg_int(&args[1]), -far, far), count = n > 2 ? clamp(func_arg_int(&args[2]), -far, far) : far;
    int64_t from = start > 0 ? start - 1 : start < 0 ? length + start : -1; /* 0 is the first; -1 for start 0, which eats one of count */
    int64_t to = from + count;
    if (start == 0 && count < 0)
        from = 0, to = count;
    if (count < 0) {
        int64_t end = from;
        from = to;
        to = end;
    }
    from = clamp(from, 0, length);
    to = clamp(to, from, length);
    size_t a = blob ? (size_t)from : func_char_offset(s, (uint64_t)from);
    struct slice rest = slice_of(s.p + a, s.n - a);
    size_t b = blob ? (size_t)(to - from) : func_char_offset(rest, (uint64_t)(to - from));
    *out = (struct value){.type = blob ? VALUE_BLOB : VALUE_TEXT, .s = {rest.p, b}};
    return QUARTET_OK;
}

/* left(x, n), right(x, n): a negative n leaves out that many at the other end. */
static quartet_status f_side(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    struct slice s;
    quartet_status rc = func_arg(call, &args[0], &s, err);
    if (rc != QUARTET_OK)
        return rc;
    int64_t length = func_char_count(s), want = func_arg_int(&args[1]);
    want = clamp(want < 0 ? (want < -length ? 0 : length + want) : want, 0, length);
    size_t at = func_char_offset(s, (uint64_t)(call->func->code == TRIM_LEFT ? want : length - want));
    return func_slice(out, call->func->code == TRIM_LEFT ? slice_of(s.p, at) : slice_of(s.p + at, s.n - at));
}

/* Where `part` is first found in s, as a byte offset; s.n + 1 where it is not. */
static size_t find(struct slice s, struct slice part)
{
    if (part.n == 0)
        return 0;
    const uint8_t *at = s.n >= part.n ? memmem(s.p, s.n, part.p, part.n) : NULL;
    return at != NULL ? (size_t)(at - s.p) : s.n + 1;
}

/* instr(text, part), position and locate have it the other way round (code 1); locate(part, text, start). */
static quartet_status f_instr(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    const struct value *text = &args[call->func->code], *what = &args[1 - call->func->code];
    struct slice s, part;
    bool bytes = text->type == VALUE_BLOB && what->type == VALUE_BLOB;
    quartet_status rc = func_arg(call, text, &s, err);
    if (rc == QUARTET_OK)
        rc = func_arg(call, what, &part, err);
    if (rc != QUARTET_OK)
        return rc;
    int64_t skip = n > 2 ? func_arg_int(&args[2]) - 1 : 0;
    if (skip < 0 || skip > (int64_t)s.n)
        return func_int(out, 0);
    size_t offset = func_char_offset(s, (uint64_t)skip);
    struct slice rest = slice_of(s.p + offset, s.n - offset);
    size_t at = find(rest, part);
    if (at > rest.n)
        return func_int(out, 0);
    return func_int(out, bytes ? (int64_t)at + 1 : skip + func_char_count(slice_of(rest.p, at)) + 1);
}

static quartet_status f_starts(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    struct slice s, part;
    quartet_status rc = func_arg2(call, args, &s, &part, err);
    if (rc != QUARTET_OK)
        return rc;
    if (call->func->code == 2)
        return func_int(out, find(s, part) <= s.n);
    bool ok = s.n >= part.n && (part.n == 0 || memcmp(call->func->code == 0 ? s.p : s.p + s.n - part.n, part.p, part.n) == 0);
    return func_int(out, ok);
}

static quartet_status f_unicode(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    struct slice s;
    quartet_status rc = func_arg(call, &args[0], &s, err);
    if (rc != QUARTET_OK || s.n == 0)
        return rc != QUARTET_OK ? rc : func_null(out);
    uint32_t code;
    (void)collate_char(s.p, s.n, &code); /* only the code is wanted */
    return func_int(out, code);
}

/* split_part(text, delimiter, n): the nth field from 1, or from the end where n is negative. */
static quartet_status f_split_part(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    struct slice s, part;
    quartet_status rc = func_arg2(call, args, &s, &part, err);
    if (rc != QUARTET_OK)
        return rc;
    int64_t want = func_arg_int(&args[2]), fields = 1;
    if (want < 0 && part.n > 0) {
        for (struct slice rest = s; find(rest, part) <= rest.n; fields++) {
            size_t at = find(rest, part) + part.n;
            rest = slice_of(rest.p + at, rest.n - at);
        }
        want = fields + want + 1;
    }
    for (int64_t k = 1; want >= k; k++) {
        size_t at = part.n > 0 ? find(s, part) : s.n + 1;
        bool last = at > s.n;
        if (k == want)
            return func_slice(out, slice_of(s.p, last ? s.n : at));
        if (last)
            break;
        s = slice_of(s.p + at + part.n, s.n - at - part.n);
    }
    return func_slice(out, slice_of("", 0));
}

const struct func func_text_table[] = {
    {"length", 1, 1, FUNC_PURE, VALUE_INTEGER, 0, f_length},
    {"len", 1, 1, FUNC_PURE, VALUE_INTEGER, 0, f_length},
    {"char_length", 1, 1, FUNC_PURE, VALUE_INTEGER, 0, f_length},
    {"character_length", 1, 1, FUNC_PURE, VALUE_INTEGER, 0, f_length},
    {"octet_length", 1, 1, FUNC_PURE, VALUE_INTEGER, 1, f_octets},
    {"bit_length", 1, 1, FUNC_PURE, VALUE_INTEGER, 8, f_octets},
    {"lower", 1, 1, FUNC_PURE, VALUE_TEXT, 0, f_case},
    {"lcase", 1, 1, FUNC_PURE, VALUE_TEXT, 0, f_case},
    {"upper", 1, 1, FUNC_PURE, VALUE_TEXT, 1, f_case},
    {"ucase", 1, 1, FUNC_PURE, VALUE_TEXT, 1, f_case},
    {"trim", 1, 2, FUNC_PURE, VALUE_TEXT, TRIM_BOTH, f_trim},
    {"btrim", 1, 2, FUNC_PURE, VALUE_TEXT, TRIM_BOTH, f_trim},
    {"ltrim", 1, 2, FUNC_PURE, VALUE_TEXT, TRIM_LEFT, f_trim},
    {"rtrim", 1, 2, FUNC_PURE, VALUE_TEXT, TRIM_RIGHT, f_trim},
    {"substr", 2, 3, FUNC_PURE, 0, 0, f_substr},
    {"substring", 2, 3, FUNC_PURE, 0, 0, f_substr},
    {"mid", 2, 3, FUNC_PURE, 0, 0, f_substr},
    {"left", 2, 2, FUNC_PURE, VALUE_TEXT, TRIM_LEFT, f_side},
    {"right", 2, 2, FUNC_PURE, VALUE_TEXT, TRIM_RIGHT, f_side},
    {"instr", 2, 2, FUNC_PURE, VALUE_INTEGER, 0, f_instr},
    {"strpos", 2, 2, FUNC_PURE, VALUE_INTEGER, 0, f_instr},
    {"position", 2, 2, FUNC_PURE, VALUE_INTEGER, 1, f_instr},
    {"locate", 2, 3, FUNC_PURE, VALUE_INTEGER, 1, f_instr},
    {"starts_with", 2, 2, FUNC_PURE, VALUE_INTEGER, 0, f_starts},
    {"ends_with", 2, 2, FUNC_PURE, VALUE_INTEGER, 1, f_starts},
    {"contains", 2, 2, FUNC_PURE, VALUE_INTEGER, 2, f_starts},
    {"unicode", 1, 1, FUNC_PURE, VALUE_INTEGER, 0, f_unicode},
    {"ascii", 1, 1, FUNC_PURE, VALUE_INTEGER, 0, f_unicode},
    {"ord", 1, 1, FUNC_PURE, VALUE_INTEGER, 0, f_unicode},
    {"split_part", 3, 3, FUNC_PURE, VALUE_TEXT, 0, f_split_part},
    {NULL, 0, 0, 0, 0, 0, NULL},
};

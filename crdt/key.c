/* key.c - keys that sort under memcmp as their columns do under value_cmp.
 * Why: the store knows bytes only; a range of keys must be a range of values, prefixes of composite keys included. So every
 *   column is self-delimiting, and none is a prefix of another one of the same kind.
 * KEY_ANY numbers need more: an INTEGER, a REAL and a DECIMAL sort among each other by exact value. Halves are exact in binary,
 *   tenths in decimal; every double is an exact decimal number, so all are written as decimal digits (key_number.c).
 * Invariants: key_get(key_put(v)) is v (normalised as key.h says); key_put(key_get(bytes)) are the bytes, or key_check refuses them.
 * Not here: the conversion of a value to its column's type (engine). */
#include "key.h"

#include "key_number.h"

#include <math.h>
#include <string.h>

#define MARK_NULL 0x00
#define MARK_VALUE 0x01

/* The classes of KEY_ANY, in the order of value_cmp. 0x10 to 0x14 are key_number.c's. */
#define ANY_INSTANT 0x20
#define ANY_TIME 0x28
#define ANY_TEXT 0x30
#define ANY_UUID 0x38
#define ANY_BLOB 0x40

#define SIGN_BIT (1ull << 63)

static void invert(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)~p[i];
}

static void put_be64(struct buf *out, uint64_t v)
{
    uint8_t b[8];
    store_be64(b, v);
    buf_put(out, b, sizeof b);
}

static void put_be128(struct buf *out, __int128 v)
{
    put_be64(out, (uint64_t)(v >> 64) ^ SIGN_BIT);
    put_be64(out, (uint64_t)v);
}

void key_put_escaped(struct buf *out, struct slice s)
{
    const uint8_t *p = s.p;
    size_t left = s.n;
    while (left > 0) {
        const uint8_t *zero = memchr(p, 0, left);
        size_t run = zero == NULL ? left : (size_t)(zero - p);
        buf_put(out, p, run);
        p += run;
        left -= run;
        if (zero != NULL) {
            buf_put(out, "\0\xff", 2);
            p++;
            left--;
        }
    }
    buf_put(out, "\0\0", 2);
}

/* The bits of a double in an order that integers have. -0.0 is keyed as 0.0: they are equal. */
static uint64_t real_order(double r)
{
    uint64_t bits;
    if (r == 0)
        r = 0.0;
    memcpy(&bits, &r, sizeof bits);
    if (bits == SIGN_BIT)
        bits = 0;
    return (bits & SIGN_BIT) != 0 ? ~bits : bits | SIGN_BIT;
}

static double real_unorder(uint64_t order)
{
    uint64_t bits = (order & SIGN_BIT) != 0 ? order & ~SIGN_BIT : ~order;
    double r;
    memcpy(&r, &bits, sizeof r);
    return r;
}

static void put_any(struct buf *out, const struct value *v)
{
    switch (v->type) {
    case VALUE_INTEGER:
    case VALUE_REAL:
    case VALUE_DECIMAL:
        key_number_put(out, v);
        return;
    case VALUE_DATE:
    case VALUE_TIMESTAMP:
        buf_u8(out, ANY_INSTANT);
        put_be128(out, value_instant(v));
        buf_u8(out, v->type);
        return;
    case VALUE_TIME:
        buf_u8(out, ANY_TIME);
        put_be64(out, (uint64_t)v->i ^ SIGN_BIT);
        return;
    case VALUE_TEXT:
    case VALUE_JSON:
        buf_u8(out, ANY_TEXT);
        key_put_escaped(out, v->s);
        buf_u8(out, v->type);
        return;
    case VALUE_UUID:
        buf_u8(out, ANY_UUID);
        buf_put(out, v->uuid, sizeof v->uuid);
        return;
    default:
        QASSERT(v->type == VALUE_BLOB);
        buf_u8(out, ANY_BLOB);
        key_put_escaped(out, v->s);
    }
}

static void put_typed(struct buf *out, const struct key_column *col, const struct value *v)
{
    QASSERT(v->type == col->type);
    buf_u8(out, MARK_VALUE);
    switch ((enum key_kind)col->kind) {
    case KEY_INT:
        put_be64(out, (uint64_t)v->i ^ SIGN_BIT);
        return;
    case KEY_REAL:
        put_be64(out, real_order(v->r));
        return;
    case KEY_DECIMAL:
        QASSERT(v->scale == col->scale);
        put_be128(out, dec_get(v->dec));
        return;
    case KEY_BYTES:
        key_put_escaped(out, v->s);
        return;
    case KEY_UUID:
        buf_put(out, v->uuid, sizeof v->uuid);
        return;
    case KEY_ANY:
        break;
    }
    QASSERT(col->kind < KEY_ANY); /* put_any has those */
}

static bool is_null(const struct value *v)
{
    return v->type == VALUE_NULL || (v->type == VALUE_REAL && isnan(v->r));
}

void key_put(struct buf *out, const struct key_column *col, const struct value *v)
{
    size_t at = out->len;
    if (col->kind == KEY_INT && v->type == col->type && !col->desc) { /* the key of most rows */
        uint8_t *p = buf_reserve(out, 9);
        if (p == NULL)
            return;
        p[0] = MARK_VALUE;
        store_be64(p + 1, (uint64_t)v->i ^ SIGN_BIT);
        out->len += 9;
        return;
    }
    if (is_null(v))
        buf_u8(out, MARK_NULL);
    else if (col->kind == KEY_ANY)
        put_any(out, v);
    else
        put_typed(out, col, v);
    if (col->desc && !out->failed)
        invert(out->data + at, out->len - at);
}

static bool bad(struct bytes_in *in)
{
    in->bad = true;
    return false;
}

/* A column's bytes as they were before they were inverted. */
struct reader {
    struct bytes_in *in;
    bool desc;
};

static bool get_raw(struct reader *r, uint8_t *p, size_t n)
{
    const uint8_t *from = bytes_take(r->in, n);
    if (from == NULL)
        return false;
    memcpy(p, from, n);
    if (r->desc)
        invert(p, n);
    return true;
}

static uint8_t get_u8(struct reader *r)
{
    uint8_t b = bytes_u8(r->in);
    return r->desc ? (uint8_t)~b : b;
}

static uint64_t get_be64(struct reader *r)
{
    uint8_t b[8] = {0};
    (void)get_raw(r, b, sizeof b); /* in->bad tells; the caller checks once */
    return load_be64(b);
}

static __int128 get_be128(struct reader *r)
{
    uint64_t hi = get_be64(r) ^ SIGN_BIT;
    uint64_t lo = get_be64(r);
    return (__int128)((unsigned __int128)hi << 64 | lo);
}

/* Bytes up to the end mark, and how many escapes are among them. False without an end mark or with a wrong escape. */
static bool scan_escaped(struct reader *r, struct slice *raw, size_t *escapes)
{
    uint8_t zero = r->desc ? 0xff : 0;
    const uint8_t *p = r->in->at, *end = p + r->in->left;
    *escapes = 0;
    for (;;) {
        const uint8_t *z = r->in->left == 0 ? NULL : memchr(p, zero, (size_t)(end - p));
        if (z == NULL || end - z < 2)
            return bad(r->in);
        uint8_t next = r->desc ? (uint8_t)~z[1] : z[1];
        p = z + 2;
        if (next == 0) {
            *raw = slice_of(r->in->at, (size_t)(z - r->in->at));
            return bytes_take(r->in, raw->n + 2) != NULL;
        }
        if (next != 0xff)
            return bad(r->in);
        ++*escapes;
    }
}

static bool get_escaped(struct reader *r, struct slice *out, struct arena *a)
{
    struct slice raw;
    size_t escapes;
    if (!scan_escaped(r, &raw, &escapes))
        return false;
    if (escapes == 0 && !r->desc) {
        *out = raw;
        return true;
    }
    uint8_t *p = arena_alloc(a, raw.n - escapes + 1);
    if (p == NULL)
        return bad(r->in);
    uint8_t flip = r->desc ? 0xff : 0;
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        p[n++] = raw.p[i] ^ flip;
        if ((raw.p[i] ^ flip) == 0)
            i++;
    }
    *out = slice_of(p, n);
    return true;
}

static bool get_text(struct reader *r, struct value *v, struct arena *a)
{
    return get_escaped(r, &v->s, a);
}

static bool get_any(struct reader *r, uint8_t mark, struct value *v, struct arena *a)
{
    switch (mark) {
    case ANY_INSTANT: {
        __int128 us = get_be128(r);
        v->type = get_u8(r);
        __int128 i = v->type == VALUE_DATE ? us / VALUE_DAY_US : us;
        v->i = (int64_t)i;
        if ((v->type != VALUE_DATE && v->type != VALUE_TIMESTAMP) || v->i != i || value_instant(v) != us)
            return bad(r->in);
        return !r->in->bad;
    }
    case ANY_TIME:
        v->type = VALUE_TIME;
        v->i = (int64_t)(get_be64(r) ^ SIGN_BIT);
        return !r->in->bad;
    case ANY_TEXT:
        if (!get_text(r, v, a))
            return false;
        v->type = get_u8(r);
        if (v->type != VALUE_TEXT && v->type != VALUE_JSON)
            return bad(r->in);
        return !r->in->bad;
    case ANY_UUID:
        v->type = VALUE_UUID;
        return get_raw(r, v->uuid, sizeof v->uuid);
    case ANY_BLOB:
        v->type = VALUE_BLOB;
        return get_text(r, v, a);
    default:
        return key_number_get(r->in, r->desc, mark, v);
    }
}

static bool get_decimal(struct reader *r, const struct key_column *col, struct value *v)
{
    __int128 d = get_be128(r);
    __int128 limit = value_pow10(VALUE_SCALE_MAX);
    if (r->in->bad || d <= -limit || d >= limit)
        return bad(r->in);
    v->dec = dec_make(d);
    v->scale = col->scale;
    return true;
}

static bool get_typed(struct reader *r, const struct key_column *col, struct value *v, struct arena *a)
{
    v->type = col->type;
    switch ((enum key_kind)col->kind) {
    case KEY_INT:
        v->i = (int64_t)(get_be64(r) ^ SIGN_BIT);
        return !r->in->bad;
    case KEY_REAL:
        v->r = real_unorder(get_be64(r));
        if (isnan(v->r) || (v->r == 0 && signbit(v->r)))
            return bad(r->in);
        return !r->in->bad;
    case KEY_DECIMAL:
        return get_decimal(r, col, v);
    case KEY_BYTES:
        return get_text(r, v, a);
    case KEY_UUID:
        return get_raw(r, v->uuid, sizeof v->uuid);
    case KEY_ANY:
        break;
    }
    return bad(r->in);
}

bool key_get(struct bytes_in *in, const struct key_column *col, struct value *v, struct arena *a)
{
    struct reader r = {.in = in, .desc = col->desc};
    uint8_t mark = get_u8(&r);
    if (in->bad)
        return false;
    *v = VALUE_NULL_INIT;
    if (mark == MARK_NULL)
        return true;
    if (col->kind == KEY_ANY)
        return get_any(&r, mark, v, a);
    if (mark != MARK_VALUE)
        return bad(in);
    return get_typed(&r, col, v, a);
}

bool key_skip(struct bytes_in *in, const struct key_column *col)
{
    struct reader r = {.in = in, .desc = col->desc};
    bool text = col->kind == KEY_BYTES;
    if (in->bad || in->left == 0)
        return bad(in);
    uint8_t mark = r.desc ? (uint8_t)~*in->at : *in->at;
    if (col->kind == KEY_ANY)
        text = mark == ANY_TEXT || mark == ANY_BLOB;
    if (!text || mark == MARK_NULL) {
        struct value v;
        return key_get(in, col, &v, NULL); /* only texts take memory */
    }
    if (col->kind != KEY_ANY && mark != MARK_VALUE)
        return bad(in);
    struct slice raw;
    size_t escapes;
    (void)bytes_take(in, 1); /* the mark, seen above */
    if (!scan_escaped(&r, &raw, &escapes))
        return false;
    return mark != ANY_TEXT || col->kind != KEY_ANY || bytes_take(in, 1) != NULL;
}

bool key_check(struct slice key, const struct key_column *cols, uint32_t count, struct arena *a)
{
    if (count == 1 && cols->kind == KEY_INT && cols->type == VALUE_INTEGER && !cols->desc && key.n == 9 && key.p[0] == MARK_VALUE)
        return true; /* any eight bytes are a number */
    struct arena_mark mark = arena_mark(a);
    struct bytes_in in = bytes_in(key.p, key.n);
    struct buf again = {.limit_bytes = KEY_BYTES_MAX};
    bool ok = key.n <= KEY_BYTES_MAX;
    for (uint32_t i = 0; ok && i < count; i++) {
        struct value v;
        const uint8_t *start = in.at;
        ok = key_get(&in, &cols[i], &v, a);
        if (ok && (v.type == VALUE_TEXT || v.type == VALUE_JSON))
            ok = utf8_valid(v.s.p, v.s.n);
        if (!ok)
            break;
        buf_clear(&again);
        key_put(&again, &cols[i], &v);
        ok = !again.failed && slice_eq(slice_of(start, (size_t)(in.at - start)), slice_of(again.data, again.len));
    }
    buf_deinit(&again);
    arena_rewind(a, mark);
    return ok && in.left == 0;
}

bool key_prefix_end(struct buf *key)
{
    while (key->len > 0) {
        if (key->data[key->len - 1] != 0xff) {
            key->data[key->len - 1]++;
            return true;
        }
        key->len--;
    }
    return false;
}

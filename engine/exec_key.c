/* exec_key.c - cells as bytes that sort.
 * Why a double in front: INTEGER, REAL and DECIMAL compare by exact value. The nearest double
 * orders nearly all of them in eight bytes; only a number that no double holds needs its digits
 * behind, and those compare among numbers of the same double. Invariants: the nearest double is
 * monotone in the value, so equal doubles are a contiguous run that the marker and digits order. */
#include "exec_key.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collate.h"
#include "crdt/key.h"
#include "crdt/key_number.h"

#define TAG_NULL_FIRST 0x00
#define TAG_NULL_LAST  0xff
#define TAG_NUMBER     0x10
#define TAG_INSTANT    0x20
#define TAG_TIME       0x28
#define TAG_TEXT       0x30
#define TAG_UUID       0x38
#define TAG_BLOB       0x40

#define MARK_BELOW 0x40 /* the value lies below its nearest double: digits follow */
#define MARK_EXACT 0x80
#define MARK_ABOVE 0xc0

#define SIGN_BIT      (1ull << 63)
#define EXACT_INT_MAX (1ll << 53)

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

static void put_number(struct buf *out, double nearest, uint8_t mark)
{
    uint8_t b[10];
    b[0] = TAG_NUMBER;
    store_be64(b + 1, real_order(nearest));
    b[9] = mark;
    buf_put(out, b, sizeof b);
}

static void put_inexact(struct buf *out, double nearest, const struct value *v)
{
    struct value d = {.type = VALUE_REAL, .r = nearest};
    int c = value_cmp(v, &d);
    put_number(out, nearest, c == 0 ? MARK_EXACT : c < 0 ? MARK_BELOW : MARK_ABOVE);
    if (c != 0)
        key_number_put(out, v);
}

static void put_int(struct buf *out, int64_t i)
{
    if (i >= -EXACT_INT_MAX && i <= EXACT_INT_MAX) {
        put_number(out, (double)i, MARK_EXACT);
    } else {
        struct value v = value_int(i);
        put_inexact(out, (double)i, &v);
    }
}

/* Correctly rounded: small parts divide exactly rounded, others go through strtod. */
static double decimal_nearest(const struct value *v)
{
    static const double pow10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    __int128 m = dec_get(v->dec);
    if (m >= -EXACT_INT_MAX && m <= EXACT_INT_MAX && v->scale <= 22)
        return (double)(int64_t)m / pow10[v->scale];
    char text[64];
    size_t at = sizeof text - 8;
    unsigned __int128 u = m < 0 ? -(unsigned __int128)m : (unsigned __int128)m;
    (void)snprintf(text + at, 8, "e-%u", v->scale); /* "e-38" at most: always fits */
    do {
        text[--at] = (char)('0' + (int)(u % 10));
        u /= 10;
    } while (u != 0);
    if (m < 0)
        text[--at] = '-';
    return strtod(text + at, NULL);
}

static void put_folded(struct buf *out, struct slice s)
{
    struct arena a = {0};
    struct slice folded;
    if (collate_fold(s, &a, &folded))
        key_put_escaped(out, folded);
    else
        out->failed = true;
    arena_free_all(&a);
}

static void put_be64(struct buf *out, uint8_t tag, uint64_t v)
{
    uint8_t b[9];
    b[0] = tag;
    store_be64(b + 1, v);
    buf_put(out, b, sizeof b);
}

/* Whole days and the rest, so that no product overflows. */
static void put_instant(struct buf *out, int64_t days, uint64_t us)
{
    put_be64(out, TAG_INSTANT, (uint64_t)days ^ SIGN_BIT);
    uint8_t b[8];
    store_be64(b, us);
    buf_put(out, b, sizeof b);
}

static void put_value(struct buf *out, const struct value *v, uint8_t flags)
{
    const int64_t day_us = 86400000000ll;
    switch (v->type) {
    case VALUE_INTEGER:
        put_int(out, v->i);
        return;
    case VALUE_REAL:
        put_number(out, v->r, MARK_EXACT);
        return;
    case VALUE_DECIMAL:
        put_inexact(out, decimal_nearest(v), v);
        return;
    case VALUE_DATE:
        put_instant(out, v->i, 0);
        return;
    case VALUE_TIMESTAMP: {
        int64_t rest = v->i % day_us;
        if (rest < 0)
            rest += day_us;
        put_instant(out, (v->i - rest) / day_us, (uint64_t)rest);
        return;
    }
    case VALUE_TIME:
        put_be64(out, TAG_TIME, (uint64_t)v->i ^ SIGN_BIT);
        return;
    case VALUE_TEXT:
    case VALUE_JSON:
        buf_u8(out, TAG_TEXT);
        if ((flags & CELL_KEY_NOCASE) != 0)
            put_folded(out, v->s);
        else
            key_put_escaped(out, v->s);
        return;
    case VALUE_UUID:
        buf_u8(out, TAG_UUID);
        buf_put(out, v->uuid, sizeof v->uuid);
        return;
    default:
        buf_u8(out, TAG_BLOB);
        key_put_escaped(out, v->s);
    }
}

void cell_key_put(struct buf *out, const struct value *v, uint8_t flags)
{
    if (v->type == VALUE_NULL) {
        buf_u8(out, (flags & CELL_KEY_NULLS_LAST) != 0 ? TAG_NULL_LAST : TAG_NULL_FIRST);
        return;
    }
    size_t at = out->len;
    put_value(out, v, flags);
    if ((flags & CELL_KEY_DESC) != 0 && !out->failed) {
        for (size_t i = at; i < out->len; i++)
            out->data[i] = (uint8_t)~out->data[i];
    }
}

void cell_key_put_vec(struct buf *out, const struct vec *v, uint32_t row, uint8_t flags)
{
    struct value cell = vec_get(v, row);
    cell_key_put(out, &cell, flags);
}

bool cell_key_upto(const struct vec *v, const struct batch *in, uint8_t flags, uint64_t most, uint16_t *sel_out, uint32_t *n_out)
{
    uint64_t invert = (flags & CELL_KEY_DESC) != 0 ? UINT64_MAX : 0;
    uint32_t n = 0, rows = in->n;
    if ((v->type != VALUE_INTEGER && v->type != VALUE_REAL) || v->has_null || v->constant)
        return false;
    bool ints = v->type == VALUE_INTEGER;
    for (uint32_t k = 0; k < rows; k++) {
        uint32_t row = in->sel != NULL ? in->sel[k] : k;
        double nearest = ints ? (double)v->i[row] : v->r[row];
        sel_out[n] = (uint16_t)row; /* may be in->sel: writing never overtakes reading */
        n += (((uint64_t)TAG_NUMBER << 56 | real_order(nearest) >> 8) ^ invert) <= most;
    }
    *n_out = n;
    return true;
}

bool cell_key_prefixes(const struct vec *v, const uint16_t *sel, uint32_t n, uint8_t flags,
                       uint64_t *out)
{
    uint64_t invert = (flags & CELL_KEY_DESC) != 0 ? UINT64_MAX : 0;
    if ((v->type != VALUE_INTEGER && v->type != VALUE_REAL) || v->has_null || v->constant)
        return false;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t row = sel != NULL ? sel[k] : k;
        double nearest = v->type == VALUE_INTEGER ? (double)v->i[row] : v->r[row];
        out[row] = ((uint64_t)TAG_NUMBER << 56 | real_order(nearest) >> 8) ^ invert;
    }
    return true;
}

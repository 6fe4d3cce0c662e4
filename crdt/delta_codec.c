/* delta_codec.c - values and numbers as msgpack (docs/WIRE.md, "Deltas and batches").
 * Why our own reader: msgpack-c believes declared counts (5 bytes made it reserve 512 MiB), and unpacks into a tree that nobody
 *   here wants. This one takes what it knows must come, item by item, and never past the end. Why our own writer: msgpack-c calls a function for each
 *   head and body, which was a tenth of a load's COMMIT; a test holds the bytes against its.
 * Not here: what a delta is made of (delta_write.c, delta_read.c). */
#include "delta_codec.h"

#include "value_quick.h"

#include <math.h>
#include <string.h>

/* A tag, then n bytes of v (1, 2, 4 or 8), big-endian. */
static void put_tagged(struct buf *out, uint8_t tag, uint64_t v, uint32_t n)
{
    uint8_t *p = buf_reserve(out, 9);
    if (p == NULL)
        return;
    p[0] = tag;
    store_be64(p + 1, v << (64 - 8 * n));
    out->len += 1 + n;
}

/* log2 of the bytes that hold v. */
static uint32_t width_of(uint64_t v)
{
    return v <= UINT8_MAX ? 0 : v <= UINT16_MAX ? 1 : v <= UINT32_MAX ? 2 : 3;
}

void mp_put_uint_long(struct buf *out, uint64_t v)
{
    uint32_t log2 = width_of(v);
    if (v < 0x80)
        buf_u8(out, (uint8_t)v);
    else
        put_tagged(out, (uint8_t)(0xcc + log2), v, 1u << log2);
}

static void put_int(struct buf *out, int64_t v)
{
    if (v >= 0) {
        mp_put_uint(out, (uint64_t)v);
        return;
    }
    if (v >= -32) {
        buf_u8(out, (uint8_t)v);
        return;
    }
    uint32_t log2 = v >= INT8_MIN ? 0 : v >= INT16_MIN ? 1 : v >= INT32_MIN ? 2 : 3;
    put_tagged(out, (uint8_t)(0xd0 + log2), (uint64_t)v, 1u << log2);
}

void mp_put_array(struct buf *out, uint32_t count)
{
    if (count < 16)
        buf_u8(out, (uint8_t)(0x90 | count));
    else if (count <= UINT16_MAX)
        put_tagged(out, 0xdc, count, 2);
    else
        put_tagged(out, 0xdd, count, 4);
}

/* Tags for lengths of 1, 2 and 4 bytes follow each other. */
static void put_length(struct buf *out, uint8_t tag, size_t n)
{
    QASSERT(n <= UINT32_MAX);
    uint32_t log2 = width_of(n);
    put_tagged(out, (uint8_t)(tag + log2), n, 1u << log2);
}

void mp_put_bin(struct buf *out, struct slice s)
{
    put_length(out, 0xc4, s.n);
    buf_put(out, s.p, s.n);
}

static void put_ext(struct buf *out, uint8_t type, const void *p, size_t n)
{
    if (n == 1 || n == 2 || n == 4 || n == 8 || n == 16)
        buf_u8(out, (uint8_t)(0xd4 + __builtin_ctz((unsigned)n)));
    else
        put_length(out, 0xc7, n);
    buf_u8(out, type);
    buf_put(out, p, n);
}

static void put_i64_ext(struct buf *out, uint8_t type, int64_t i)
{
    uint8_t raw[8];
    store_be64(raw, (uint64_t)i);
    put_ext(out, type, raw, sizeof raw);
}

static void put_decimal(struct buf *out, const struct value *v)
{
    uint8_t raw[17], number[16];
    uint32_t n = value_dec_bytes(v->dec, number);
    raw[0] = v->scale;
    memcpy(raw + 1, number, sizeof number);
    put_ext(out, VALUE_DECIMAL, raw, n + 1u);
}

static void put_text(struct buf *out, struct slice s)
{
    if (s.n < 32)
        buf_u8(out, (uint8_t)(0xa0 | s.n));
    else
        put_length(out, 0xd9, s.n);
    buf_put(out, s.p, s.n);
}

void mp_put_value(struct buf *out, const struct value *v)
{
    uint64_t bits;
    switch (v->type) {
    case VALUE_INTEGER:
        put_int(out, v->i);
        return;
    case VALUE_REAL:
        memcpy(&bits, &v->r, sizeof bits);
        if (isnan(v->r))
            buf_u8(out, 0xc0);
        else
            put_tagged(out, 0xcb, bits, 8);
        return;
    case VALUE_TEXT:
        put_text(out, v->s);
        return;
    case VALUE_BLOB:
        mp_put_bin(out, v->s);
        return;
    case VALUE_JSON:
        put_ext(out, VALUE_JSON, v->s.p, v->s.n);
        return;
    case VALUE_DECIMAL:
        put_decimal(out, v);
        return;
    case VALUE_DATE:
    case VALUE_TIME:
    case VALUE_TIMESTAMP:
        put_i64_ext(out, v->type, v->i);
        return;
    case VALUE_UUID:
        put_ext(out, VALUE_UUID, v->uuid, sizeof v->uuid);
        return;
    default:
        QASSERT(v->type == VALUE_NULL);
        buf_u8(out, 0xc0);
    }
}

bool mp_put_encoded(struct buf *out, struct bytes_in *in)
{
    struct value v;
    if (!value_decode_quick(in, &v))
        return false;
    if (v.type == VALUE_INTEGER) {
        put_int(out, v.i);
    } else if (v.type == VALUE_TEXT && v.s.n < 32) {
        uint8_t *p = buf_reserve(out, 1 + v.s.n);
        if (p == NULL)
            return true; /* out->failed tells */
        *p = (uint8_t)(0xa0 | v.s.n);
        bytes_copy(p + 1, v.s.p, v.s.n);
        out->len += 1 + v.s.n;
    } else if (v.type == VALUE_REAL) { /* no NaN: those are damage */
        uint64_t bits;
        memcpy(&bits, &v.r, sizeof bits);
        put_tagged(out, 0xcb, bits, 8);
    } else {
        mp_put_value(out, &v);
    }
    return true;
}

static bool bad(struct bytes_in *in)
{
    in->bad = true;
    return false;
}

/* n bytes (1, 2, 4 or 8), big-endian as all of msgpack. */
static uint64_t get_be(struct bytes_in *in, uint32_t n)
{
    const uint8_t *p = bytes_take(in, n);
    if (p == NULL)
        return 0;
    switch (n) {
    case 1:
        return p[0];
    case 2:
        return (uint64_t)p[0] << 8 | p[1];
    case 4:
        return load_be32(p);
    default:
        QASSERT(n == 8);
        return load_be64(p);
    }
}

/* 2^log2 bytes, the highest bit the sign. */
static int64_t get_be_signed(struct bytes_in *in, uint32_t log2)
{
    uint64_t v = get_be(in, 1u << log2);
    switch (log2) {
    case 0:
        return (int8_t)v;
    case 1:
        return (int16_t)v;
    case 2:
        return (int32_t)v;
    default:
        return (int64_t)v;
    }
}

uint64_t mp_uint(struct bytes_in *in)
{
    uint8_t tag = bytes_u8(in);
    if (tag < 0x80)
        return tag;
    if (tag >= 0xcc && tag <= 0xcf)
        return get_be(in, 1u << (tag - 0xcc));
    in->bad = true;
    return 0;
}

uint32_t mp_array(struct bytes_in *in)
{
    uint8_t tag = bytes_u8(in);
    uint64_t n = 0;
    if ((tag & 0xf0) == 0x90)
        n = tag & 0x0f;
    else if (tag == 0xdc || tag == 0xdd)
        n = get_be(in, tag == 0xdc ? 2 : 4);
    else
        in->bad = true;
    if (n > in->left) /* every item is a byte at least */
        in->bad = true;
    return in->bad ? 0 : (uint32_t)n;
}

static struct slice take(struct bytes_in *in, uint64_t n)
{
    if (n > in->left)
        in->bad = true;
    const uint8_t *p = in->bad ? NULL : bytes_take(in, (size_t)n);
    return (struct slice){.p = p, .n = p == NULL ? 0 : (size_t)n};
}

struct slice mp_bin(struct bytes_in *in)
{
    uint8_t tag = bytes_u8(in);
    if (tag < 0xc4 || tag > 0xc6) {
        in->bad = true;
        return (struct slice){0};
    }
    return take(in, get_be(in, 1u << (tag - 0xc4)));
}

static bool text(struct bytes_in *in, struct value *v, uint64_t n, uint8_t type, bool check)
{
    v->s = take(in, n);
    v->type = type;
    if (check && !in->bad && type != VALUE_BLOB && !utf8_valid(v->s.p, v->s.n))
        return bad(in);
    return !in->bad;
}

static bool ext(struct bytes_in *in, struct value *v, uint64_t n, bool check)
{
    uint8_t type = bytes_u8(in);
    if (type == VALUE_JSON)
        return text(in, v, n, VALUE_JSON, check);
    struct slice s = take(in, n);
    if (in->bad)
        return false;
    v->type = type;
    switch (type) {
    case VALUE_DATE:
    case VALUE_TIME:
    case VALUE_TIMESTAMP:
        if (n != 8)
            return bad(in);
        v->i = (int64_t)load_be64(s.p);
        return true;
    case VALUE_UUID:
        if (n != sizeof v->uuid)
            return bad(in);
        memcpy(v->uuid, s.p, sizeof v->uuid);
        return true;
    case VALUE_DECIMAL:
        if (n == 0 || !value_dec_load(s.p + 1, s.n - 1, s.p[0], &v->dec))
            return bad(in);
        v->scale = s.p[0];
        return true;
    default:
        return bad(in);
    }
}

static bool integer(struct value *v, int64_t i)
{
    v->type = VALUE_INTEGER;
    v->i = i;
    return true;
}

static bool real(struct bytes_in *in, struct value *v)
{
    uint64_t bits = get_be(in, 8);
    memcpy(&v->r, &bits, sizeof bits);
    v->type = VALUE_REAL;
    return (!in->bad && !isnan(v->r)) || bad(in);
}

/* Tags from 0xc0 to 0xdf. */
static bool tagged(struct bytes_in *in, struct value *v, uint8_t tag, bool check)
{
    if (tag >= 0xcc && tag <= 0xcf) {
        uint64_t u = get_be(in, 1u << (tag - 0xcc));
        return (!in->bad && u <= INT64_MAX && integer(v, (int64_t)u)) || bad(in);
    }
    if (tag >= 0xd0 && tag <= 0xd3) {
        int64_t i = get_be_signed(in, tag & 3);
        return (!in->bad && integer(v, i)) || bad(in);
    }
    if (tag >= 0xd4 && tag <= 0xd8)
        return ext(in, v, 1ull << (tag - 0xd4), check);
    switch (tag) {
    case 0xc0:
        v->type = VALUE_NULL;
        return true;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return text(in, v, get_be(in, 1u << (tag - 0xc4)), VALUE_BLOB, check);
    case 0xc7:
    case 0xc8:
    case 0xc9:
        return ext(in, v, get_be(in, 1u << (tag - 0xc7)), check);
    case 0xcb:
        return real(in, v);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return text(in, v, get_be(in, 1u << (tag - 0xd9)), VALUE_TEXT, check);
    default:
        return bad(in);
    }
}

bool mp_value(struct bytes_in *in, struct value *v, bool check)
{
    uint8_t tag = bytes_u8(in);
    if (in->bad)
        return false;
    v->scale = 0;
    if (tag < 0x80)
        return integer(v, tag);
    if (tag >= 0xe0)
        return integer(v, (int8_t)tag);
    if ((tag & 0xe0) == 0xa0)
        return text(in, v, tag & 0x1f, VALUE_TEXT, check);
    return tagged(in, v, tag, check);
}

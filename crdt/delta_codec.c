/* delta_codec.c - values and numbers as msgpack (docs/WIRE.md, "Deltas and batches").
 * Why our own reader: msgpack-c believes declared counts (5 bytes made it reserve 512 MiB), and unpacks into a tree that nobody
 *   here wants. This one takes what it knows must come, item by item, and never past the end. Packing is msgpack-c's.
 * Not here: what a delta is made of (delta_write.c, delta_read.c). */
#include "delta_codec.h"

#include <math.h>
#include <string.h>

static int append(void *data, const char *p, size_t n)
{
    struct buf *out = data;
    buf_put(out, p, n);
    return 0; /* the buf remembers */
}

msgpack_packer mp_packer(struct buf *out)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, append);
    return pk;
}

static void put_i64_ext(msgpack_packer *pk, uint8_t type, int64_t i)
{
    uint8_t raw[8];
    store_be64(raw, (uint64_t)i);
    msgpack_pack_ext_with_body(pk, raw, sizeof raw, (int8_t)type);
}

static void put_decimal(msgpack_packer *pk, const struct value *v)
{
    uint8_t raw[17], number[16];
    uint32_t n = value_dec_bytes(v->dec, number);
    raw[0] = v->scale;
    memcpy(raw + 1, number, sizeof number);
    msgpack_pack_ext_with_body(pk, raw, n + 1u, VALUE_DECIMAL);
}

void mp_put_value(msgpack_packer *pk, const struct value *v)
{
    switch (v->type) {
    case VALUE_INTEGER:
        msgpack_pack_int64(pk, v->i);
        return;
    case VALUE_REAL:
        if (isnan(v->r))
            msgpack_pack_nil(pk);
        else
            msgpack_pack_double(pk, v->r);
        return;
    case VALUE_TEXT:
        msgpack_pack_str(pk, v->s.n);
        if (v->s.n > 0)
            msgpack_pack_str_body(pk, v->s.p, v->s.n);
        return;
    case VALUE_BLOB:
        msgpack_pack_bin(pk, v->s.n);
        if (v->s.n > 0)
            msgpack_pack_bin_body(pk, v->s.p, v->s.n);
        return;
    case VALUE_JSON:
        msgpack_pack_ext(pk, v->s.n, VALUE_JSON);
        if (v->s.n > 0)
            msgpack_pack_ext_body(pk, v->s.p, v->s.n);
        return;
    case VALUE_DECIMAL:
        put_decimal(pk, v);
        return;
    case VALUE_DATE:
    case VALUE_TIME:
    case VALUE_TIMESTAMP:
        put_i64_ext(pk, v->type, v->i);
        return;
    case VALUE_UUID:
        msgpack_pack_ext_with_body(pk, v->uuid, sizeof v->uuid, VALUE_UUID);
        return;
    default:
        QASSERT(v->type == VALUE_NULL);
        msgpack_pack_nil(pk);
    }
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
    uint64_t v = 0;
    for (uint32_t i = 0; p != NULL && i < n; i++)
        v = v << 8 | p[i];
    return v;
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

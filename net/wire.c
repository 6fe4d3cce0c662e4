/* wire.c - msgpack items. Writing goes through msgpack-c's packer, which only formats; reading is
 * our own, see wire.h. */
#include "wire.h"

#include <msgpack.h>
#include <string.h>

static int write_to_buf(void *data, const char *p, size_t n)
{
    struct buf *out = data;
    buf_put(out, p, n);
    return out->failed ? -1 : 0; /* sticky: looked at once, by buf_check */
}

static msgpack_packer packer(struct buf *out)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, write_to_buf);
    return pk;
}

void wire_put_array(struct buf *out, uint32_t n)
{
    msgpack_packer pk = packer(out);
    (void)msgpack_pack_array(&pk, n);
}

void wire_put_u64(struct buf *out, uint64_t v)
{
    msgpack_packer pk = packer(out);
    (void)msgpack_pack_uint64(&pk, v);
}

void wire_put_i64(struct buf *out, int64_t v)
{
    msgpack_packer pk = packer(out);
    (void)msgpack_pack_int64(&pk, v);
}

void wire_put_bool(struct buf *out, bool v)
{
    buf_u8(out, v ? 0xc3 : 0xc2);
}

void wire_put_nil(struct buf *out)
{
    buf_u8(out, 0xc0);
}

void wire_put_bin(struct buf *out, struct slice s)
{
    msgpack_packer pk = packer(out);
    (void)msgpack_pack_bin(&pk, s.n);
    buf_put(out, s.p, s.n);
}

void wire_put_str(struct buf *out, struct slice s)
{
    msgpack_packer pk = packer(out);
    (void)msgpack_pack_str(&pk, s.n);
    buf_put(out, s.p, s.n);
}

void wire_put_cstr(struct buf *out, const char *s)
{
    wire_put_str(out, slice_of(s, strlen(s)));
}

size_t wire_bin_begin(struct buf *out)
{
    size_t begun = out->len;
    buf_u8(out, 0xc6); /* bin 32: its length is patched */
    buf_u32(out, 0);
    return begun;
}

void wire_bin_end(struct buf *out, size_t begun)
{
    if (out->failed)
        return;
    size_t n = out->len - begun - 5;
    QASSERT(n <= UINT32_MAX);
    for (int i = 0; i < 4; i++)
        out->data[begun + 1 + (size_t)i] = (uint8_t)(n >> (24 - 8 * i));
}

static uint64_t take_be(struct bytes_in *in, uint32_t bytes)
{
    const uint8_t *p = bytes_take(in, bytes);
    uint64_t v = 0;
    for (uint32_t i = 0; p != NULL && i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

static uint64_t bad(struct bytes_in *in)
{
    in->bad = true;
    return 0;
}

uint32_t wire_array(struct bytes_in *in)
{
    uint8_t tag = bytes_u8(in);
    uint64_t n = 0;
    if ((tag & 0xf0u) == 0x90)
        n = tag & 15u;
    else if (tag == 0xdc)
        n = take_be(in, 2);
    else if (tag == 0xdd)
        n = take_be(in, 4);
    else
        n = bad(in);
    if (n > in->left)
        n = bad(in);
    return in->bad ? 0 : (uint32_t)n;
}

void wire_array_of(struct bytes_in *in, uint32_t n)
{
    if (wire_array(in) != n)
        in->bad = true;
}

uint64_t wire_u64(struct bytes_in *in)
{
    uint8_t tag = bytes_u8(in);
    if (in->bad)
        return 0;
    if (tag < 0x80)
        return tag;
    if (tag >= 0xcc && tag <= 0xcf)
        return take_be(in, 1u << (tag - 0xcc));
    return bad(in);
}

int64_t wire_i64(struct bytes_in *in)
{
    uint8_t tag = in->left > 0 && !in->bad ? in->at[0] : 0xc1;
    if (tag < 0x80 || (tag >= 0xcc && tag <= 0xcf)) {
        uint64_t v = wire_u64(in);
        return v <= INT64_MAX ? (int64_t)v : (int64_t)bad(in);
    }
    (void)bytes_u8(in); /* looked at above; sets bad where there was none */
    if (tag >= 0xe0)
        return (int8_t)tag;
    switch (tag) {
    case 0xd0:
        return (int8_t)take_be(in, 1);
    case 0xd1:
        return (int16_t)take_be(in, 2);
    case 0xd2:
        return (int32_t)take_be(in, 4);
    case 0xd3:
        return (int64_t)take_be(in, 8);
    default:
        return (int64_t)bad(in);
    }
}

uint32_t wire_u32(struct bytes_in *in)
{
    uint64_t v = wire_u64(in);
    return v <= UINT32_MAX ? (uint32_t)v : (uint32_t)bad(in);
}

bool wire_bool(struct bytes_in *in)
{
    uint8_t tag = bytes_u8(in);
    if (tag != 0xc2 && tag != 0xc3)
        in->bad = true;
    return !in->bad && tag == 0xc3;
}

bool wire_is_nil(struct bytes_in *in)
{
    if (in->bad || in->left == 0 || in->at[0] != 0xc0)
        return false;
    (void)bytes_u8(in); /* known to be there */
    return true;
}

static struct slice take_sized(struct bytes_in *in, uint64_t n, size_t max_bytes)
{
    if (n > max_bytes || n > in->left)
        n = bad(in);
    const uint8_t *p = bytes_take(in, (size_t)n);
    return in->bad ? slice_of("", 0) : slice_of(p, (size_t)n);
}

struct slice wire_bin(struct bytes_in *in, size_t max_bytes)
{
    uint8_t tag = bytes_u8(in);
    uint64_t n = tag >= 0xc4 && tag <= 0xc6 ? take_be(in, 1u << (tag - 0xc4)) : bad(in);
    return take_sized(in, n, max_bytes);
}

struct slice wire_str(struct bytes_in *in, size_t max_bytes)
{
    uint8_t tag = bytes_u8(in);
    uint64_t n = 0;
    if ((tag & 0xe0u) == 0xa0)
        n = tag & 31u;
    else
        n = tag >= 0xd9 && tag <= 0xdb ? take_be(in, 1u << (tag - 0xd9)) : bad(in);
    struct slice s = take_sized(in, n, max_bytes);
    if (!in->bad && !utf8_valid(s.p, s.n)) {
        in->bad = true;
        s = slice_of("", 0);
    }
    return s;
}

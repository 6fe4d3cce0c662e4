/* value.c - typed cells: one total order over all of them, and one encoding for each.
 * Why: keys, ORDER BY and merging must agree on every node about what is smaller and what is the same. A comparison through a
 *   rounded double would make 2^53 + 1 equal 2^53 and the order intransitive, so numbers of different types are compared exactly.
 * Invariants: value_decode(value_encode(v)) is v bit for bit; two encodings are equal exactly where value_identical holds.
 * Not here: keys that sort (key.c), the msgpack form in deltas (delta_value.c). */
#include "value_quick.h"

#include <math.h>

__int128 value_pow10(uint32_t n)
{
    QASSERT(n <= VALUE_SCALE_MAX);
    static const int64_t table[19] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
        10000000000, 100000000000, 1000000000000, 10000000000000, 100000000000000, 1000000000000000, 10000000000000000,
        100000000000000000, 1000000000000000000};
    __int128 v = table[n % 19];
    for (; n >= 19; n -= 19)
        v *= (__int128)table[18] * 10;
    return v;
}

static int cmp_i128(__int128 a, __int128 b)
{
    return (a > b) - (a < b);
}

/* |num| / den < 1 against |frac| < 1, both not negative: one binary digit at a time, exactly. Doubling a double below 1 and
 * taking 1 away are exact, and den <= 10^38 leaves room for the doubled numerator. */
static int cmp_fraction(unsigned __int128 num, unsigned __int128 den, double frac)
{
    while (frac > 0) {
        if (num == 0)
            return -1;
        num <<= 1;
        frac *= 2;
        bool a = num >= den;
        bool b = frac >= 1;
        if (a != b)
            return a ? 1 : -1;
        if (a) {
            num -= den;
            frac -= 1;
        }
    }
    return num > 0;
}

#define TWO_127 170141183460469231731687303715884105728.0

/* dec / 10^scale against a double that is no NaN. */
static int cmp_dec_real(__int128 dec, uint32_t scale, double r)
{
    if (r >= TWO_127)
        return -1;
    if (r < -TWO_127)
        return 1;
    __int128 den = value_pow10(scale);
    __int128 whole = dec / den;
    double r_whole = trunc(r);
    int c = cmp_i128(whole, (__int128)r_whole);
    if (c != 0)
        return c;
    __int128 rest = dec % den;
    double frac = r - r_whole;
    if (rest < 0 || frac < 0) { /* towards zero on both sides: the wholes are equal, so the signs agree unless one rest is 0 */
        if (rest > 0)
            return 1;
        if (frac > 0)
            return -1;
        return -cmp_fraction((unsigned __int128)-rest, (unsigned __int128)den, -frac);
    }
    return cmp_fraction((unsigned __int128)rest, (unsigned __int128)den, frac);
}

static int cmp_dec_dec(__int128 a, uint32_t as, __int128 b, uint32_t bs)
{
    if (as == bs)
        return cmp_i128(a, b);
    __int128 aden = value_pow10(as), bden = value_pow10(bs);
    int c = cmp_i128(a / aden, b / bden);
    if (c != 0)
        return c;
    __int128 ar = a % aden, br = b % bden; /* below 10^scale, so bringing both to the larger scale fits */
    if (as < bs)
        ar *= value_pow10(bs - as);
    else
        br *= value_pow10(as - bs);
    return cmp_i128(ar, br);
}

static int cmp_real(double a, double b)
{
    return (a > b) - (a < b);
}

static int cmp_numbers(const struct value *a, const struct value *b)
{
    if (a->type == VALUE_INTEGER && b->type == VALUE_INTEGER)
        return (a->i > b->i) - (a->i < b->i);
    if (a->type == VALUE_REAL && b->type == VALUE_REAL)
        return cmp_real(a->r, b->r);
    __int128 ad = a->type == VALUE_DECIMAL ? dec_get(a->dec) : a->type == VALUE_INTEGER ? a->i : 0;
    __int128 bd = b->type == VALUE_DECIMAL ? dec_get(b->dec) : b->type == VALUE_INTEGER ? b->i : 0;
    uint32_t as = a->type == VALUE_DECIMAL ? a->scale : 0;
    uint32_t bs = b->type == VALUE_DECIMAL ? b->scale : 0;
    if (b->type == VALUE_REAL)
        return cmp_dec_real(ad, as, b->r);
    if (a->type == VALUE_REAL)
        return -cmp_dec_real(bd, bs, a->r);
    return cmp_dec_dec(ad, as, bd, bs);
}

/* The classes in their order; types of one class are compared with each other. */
static int class_of(const struct value *v)
{
    switch (v->type) {
    case VALUE_INTEGER:
    case VALUE_DECIMAL:
        return 1;
    case VALUE_REAL:
        return isnan(v->r) ? 0 : 1;
    case VALUE_DATE:
    case VALUE_TIMESTAMP:
        return 2;
    case VALUE_TIME:
        return 3;
    case VALUE_TEXT:
    case VALUE_JSON:
        return 4;
    case VALUE_UUID:
        return 5;
    case VALUE_BLOB:
        return 6;
    default:
        return 0;
    }
}

__int128 value_instant(const struct value *v)
{
    return v->type == VALUE_DATE ? (__int128)v->i * VALUE_DAY_US : v->i;
}

int value_cmp(const struct value *a, const struct value *b)
{
    int ac = class_of(a), bc = class_of(b);
    if (ac != bc)
        return ac < bc ? -1 : 1;
    switch (ac) {
    case 1:
        return cmp_numbers(a, b);
    case 2:
        return cmp_i128(value_instant(a), value_instant(b));
    case 3:
        return (a->i > b->i) - (a->i < b->i);
    case 4:
    case 6:
        return slice_cmp(a->s, b->s);
    case 5:
        return memcmp(a->uuid, b->uuid, sizeof a->uuid);
    default:
        return 0;
    }
}

bool value_identical(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case VALUE_INTEGER:
    case VALUE_DATE:
    case VALUE_TIME:
    case VALUE_TIMESTAMP:
        return a->i == b->i;
    case VALUE_REAL:
        return memcmp(&a->r, &b->r, sizeof a->r) == 0;
    case VALUE_DECIMAL:
        return a->scale == b->scale && a->dec.lo == b->dec.lo && a->dec.hi == b->dec.hi;
    case VALUE_UUID:
        return memcmp(a->uuid, b->uuid, sizeof a->uuid) == 0;
    case VALUE_TEXT:
    case VALUE_BLOB:
    case VALUE_JSON:
        return a->s.n == b->s.n && (a->s.n == 0 || memcmp(a->s.p, b->s.p, a->s.n) == 0);
    default:
        return true;
    }
}

static int64_t load_int(const uint8_t *p, uint32_t n)
{
    uint64_t v = 0;
    if (n == 0)
        return 0;
    for (uint32_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    uint32_t shift = 64 - 8 * n;
    return (int64_t)(v << shift) >> shift;
}

uint32_t value_dec_bytes(struct dec128 d, uint8_t out[16])
{
    store_le64(out, d.lo);
    store_le64(out + 8, (uint64_t)d.hi);
    uint32_t n = 16;
    uint8_t fill = d.hi < 0 ? 0xff : 0;
    while (n > 1 && out[n - 1] == fill && ((out[n - 2] ^ fill) & 0x80) == 0)
        n--;
    return n == 1 && out[0] == 0 ? 0 : n;
}

bool value_dec_load(const uint8_t *p, size_t n, uint32_t scale, struct dec128 *out)
{
    if (n > 16 || scale > VALUE_SCALE_MAX)
        return false;
    uint8_t full[16], again[16];
    memset(full, n > 0 && (p[n - 1] & 0x80) != 0 ? 0xff : 0, sizeof full);
    if (n > 0)
        memcpy(full, p, n);
    struct dec128 d = {.lo = load_le64(full), .hi = (int64_t)load_le64(full + 8)};
    __int128 v = dec_get(d), limit = value_pow10(VALUE_SCALE_MAX);
    if (v <= -limit || v >= limit || value_dec_bytes(d, again) != n)
        return false;
    *out = d;
    return true;
}

static void put_bytes(struct buf *out, uint8_t tag, struct slice s)
{
    buf_u8(out, tag);
    buf_varint(out, s.n);
    buf_put(out, s.p, s.n);
}

static void put_text(struct buf *out, struct slice s)
{
    if (s.n > TEXT_SHORT_MAX) {
        put_bytes(out, TAG_TEXT, s);
        return;
    }
    uint8_t *p = buf_reserve(out, 1 + s.n);
    if (p == NULL)
        return;
    *p = (uint8_t)(TAG_TEXT_SHORT + s.n);
    if (s.n > 0)
        memcpy(p + 1, s.p, s.n);
    out->len += 1 + s.n;
}

static void put_ints(struct buf *out, uint8_t tag, int64_t v)
{
    uint8_t *p = buf_reserve(out, 9);
    if (p != NULL)
        out->len += (size_t)(value_put_int(p, tag, v) - p);
}

static void put_decimal(struct buf *out, const struct value *v)
{
    uint8_t bytes[16];
    uint32_t n = value_dec_bytes(v->dec, bytes);
    buf_u8(out, TAG_DECIMAL);
    buf_u8(out, v->scale);
    buf_u8(out, (uint8_t)n);
    buf_put(out, bytes, n);
}

static void put_real(struct buf *out, double r)
{
    if (isnan(r)) {
        buf_u8(out, TAG_NULL);
        return;
    }
    uint8_t *p = buf_reserve(out, 9);
    if (p == NULL)
        return;
    uint64_t bits;
    memcpy(&bits, &r, sizeof bits);
    *p = TAG_REAL;
    store_le64(p + 1, bits);
    out->len += 9;
}

void value_encode_row(struct buf *out, const struct value *values, const uint32_t *columns, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        value_encode_quick(out, &values[columns[i]]);
}

void value_encode(struct buf *out, const struct value *v)
{
    switch (v->type) {
    case VALUE_INTEGER:
        if (v->i >= 0 && v->i <= INT_SMALL_MAX)
            buf_u8(out, (uint8_t)(TAG_INT_SMALL + v->i));
        else
            put_ints(out, TAG_INT, v->i);
        return;
    case VALUE_REAL:
        put_real(out, v->r);
        return;
    case VALUE_TEXT:
        put_text(out, v->s);
        return;
    case VALUE_BLOB:
        put_bytes(out, TAG_BLOB, v->s);
        return;
    case VALUE_JSON:
        put_bytes(out, TAG_JSON, v->s);
        return;
    case VALUE_DECIMAL:
        put_decimal(out, v);
        return;
    case VALUE_DATE:
        put_ints(out, TAG_DATE, v->i);
        return;
    case VALUE_TIME:
        put_ints(out, TAG_TIME, v->i);
        return;
    case VALUE_TIMESTAMP:
        put_ints(out, TAG_TIMESTAMP, v->i);
        return;
    case VALUE_UUID:
        buf_u8(out, TAG_UUID);
        buf_put(out, v->uuid, sizeof v->uuid);
        return;
    default:
        QASSERT(v->type == VALUE_NULL);
        buf_u8(out, TAG_NULL);
    }
}

static bool bad(struct bytes_in *in)
{
    in->bad = true;
    return false;
}

/* n bytes of an integer; refused where fewer would do, so that each number has one encoding. */
static bool get_int(struct bytes_in *in, uint8_t type, uint32_t n, struct value *v)
{
    const uint8_t *p = bytes_take(in, n);
    if (p == NULL && n > 0)
        return false;
    v->type = type;
    v->i = load_int(p, n);
    if (value_int_bytes(v->i) != n)
        return bad(in);
    return !in->bad;
}

/* A length and its bytes; a length written with a useless last byte is refused, so that each has one encoding. */
static bool get_slice(struct bytes_in *in, uint8_t type, struct value *v)
{
    const uint8_t *start = in->at;
    v->s = bytes_slice(in);
    v->type = type;
    if (in->bad)
        return false;
    const uint8_t *end = v->s.n > 0 ? v->s.p : in->at;
    return (end - start == 1 || end[-1] != 0) || bad(in);
}

static bool get_text_short(struct bytes_in *in, size_t n, struct value *v)
{
    const uint8_t *p = bytes_take(in, n);
    v->type = VALUE_TEXT;
    v->s = (struct slice){.p = p, .n = n};
    return !in->bad;
}

static bool get_real(struct bytes_in *in, struct value *v)
{
    uint64_t bits = bytes_u64(in);
    memcpy(&v->r, &bits, sizeof bits);
    v->type = VALUE_REAL;
    if (isnan(v->r))
        return bad(in);
    return !in->bad;
}

static bool get_decimal(struct bytes_in *in, struct value *v)
{
    uint8_t scale = bytes_u8(in);
    size_t n = bytes_u8(in);
    const uint8_t *p = bytes_take(in, n);
    if (in->bad || !value_dec_load(p, n, scale, &v->dec))
        return bad(in);
    v->type = VALUE_DECIMAL;
    v->scale = scale;
    return true;
}

static bool get_uuid(struct bytes_in *in, struct value *v)
{
    const uint8_t *p = bytes_take(in, sizeof v->uuid);
    if (p == NULL)
        return false;
    v->type = VALUE_UUID;
    memcpy(v->uuid, p, sizeof v->uuid);
    return true;
}

static bool decode_tagged(struct bytes_in *in, uint8_t tag, struct value *v)
{
    if (tag >= TAG_DATE && tag <= TAG_DATE + 8)
        return get_int(in, VALUE_DATE, (uint32_t)tag - TAG_DATE, v);
    if (tag >= TAG_TIME && tag <= TAG_TIME + 8)
        return get_int(in, VALUE_TIME, (uint32_t)tag - TAG_TIME, v);
    if (tag >= TAG_TIMESTAMP && tag <= TAG_TIMESTAMP + 8)
        return get_int(in, VALUE_TIMESTAMP, (uint32_t)tag - TAG_TIMESTAMP, v);
    switch (tag) {
    case TAG_REAL:
        return get_real(in, v);
    case TAG_TEXT:
        return get_slice(in, VALUE_TEXT, v) && (v->s.n > TEXT_SHORT_MAX || bad(in));
    case TAG_BLOB:
        return get_slice(in, VALUE_BLOB, v);
    case TAG_JSON:
        return get_slice(in, VALUE_JSON, v);
    case TAG_NULL:
        v->type = VALUE_NULL;
        return true;
    case TAG_DECIMAL:
        return get_decimal(in, v);
    case TAG_UUID:
        return get_uuid(in, v);
    default:
        return bad(in);
    }
}

bool value_decode(struct bytes_in *in, struct value *v)
{
    uint8_t tag = bytes_u8(in);
    if (in->bad)
        return false;
    v->scale = 0;
    if (tag >= TAG_TEXT_SHORT && tag <= TAG_TEXT_SHORT + TEXT_SHORT_MAX)
        return get_text_short(in, (size_t)tag - TAG_TEXT_SHORT, v);
    if (tag >= TAG_INT_SMALL && tag <= TAG_INT_SMALL + INT_SMALL_MAX) {
        v->type = VALUE_INTEGER;
        v->i = tag - TAG_INT_SMALL;
        return true;
    }
    if (tag > TAG_INT && tag <= TAG_INT + 8)
        return get_int(in, VALUE_INTEGER, (uint32_t)tag - TAG_INT, v) &&
               (v->i < 0 || v->i > INT_SMALL_MAX || bad(in));
    return decode_tagged(in, tag, v);
}

bool value_skip(struct bytes_in *in)
{
    struct value v;
    return value_decode(in, &v);
}

bool value_copy(struct arena *a, struct value *v)
{
    if (v->type != VALUE_TEXT && v->type != VALUE_BLOB && v->type != VALUE_JSON)
        return true;
    if (v->s.n == 0) {
        v->s.p = NULL;
        return true;
    }
    const uint8_t *p = arena_dup(a, v->s.p, v->s.n);
    if (p == NULL)
        return false;
    v->s.p = p;
    return true;
}

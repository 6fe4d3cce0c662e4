/* key_number.c - one order-keeping form for INTEGER, REAL and DECIMAL together.
 * Why: a column without a type holds all three, and value_cmp orders them exactly. Common ground is the decimal expansion: that
 *   of a double is finite (at most 767 digits), that of a decimal number in binary is not.
 * Form: mark (10 -infinity, 11 negative, 12 zero, 13 positive, 14 infinity); unless zero or infinite, two bytes of decimal exponent
 *   plus 1000 (of 0.d1d2d3...), then two digits to a byte plus 1, then 00; all these inverted where negative. Last the type, and
 *   for a REAL its 8 bytes, so that nobody has to turn digits into a double. */
#include "key_number.h"

#include <math.h>
#include <string.h>

enum { MARK_NEG_INF = 0x10, MARK_NEG, MARK_ZERO, MARK_POS, MARK_POS_INF };
#define EXPONENT_BIAS 1000
#define LIMBS_MAX 84   /* 53 + 1074 * log2(5) bits of a subnormal double's numerator are 80 limbs */
#define DIGITS_MAX 780 /* 767 and the rounding up to nines */

/* 0.d1d2...dn times 10^exponent; first and last digit are not 0. */
struct digits {
    int32_t exponent;
    uint32_t count;
    uint8_t d[DIGITS_MAX];
};

static void big_mul_small(uint32_t *limbs, uint32_t *count, uint32_t by)
{
    uint64_t carry = 0;
    for (uint32_t i = 0; i < *count; i++) {
        carry += (uint64_t)limbs[i] * by;
        limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry != 0) {
        QASSERT(*count < LIMBS_MAX);
        limbs[(*count)++] = (uint32_t)carry;
    }
}

static uint32_t big_div_small(uint32_t *limbs, uint32_t *count, uint32_t by)
{
    uint64_t rest = 0;
    for (uint32_t i = *count; i-- > 0;) {
        rest = rest << 32 | limbs[i];
        limbs[i] = (uint32_t)(rest / by);
        rest %= by;
    }
    while (*count > 0 && limbs[*count - 1] == 0)
        --*count;
    return (uint32_t)rest;
}

/* The digits of limbs / 10^scale; uses limbs up. */
static void digits_of(uint32_t *limbs, uint32_t count, int32_t scale, struct digits *out)
{
    uint8_t rev[DIGITS_MAX + 9];
    uint32_t n = 0;
    while (count > 0) {
        uint32_t nine = big_div_small(limbs, &count, 1000000000u);
        QASSERT(n + 9 <= sizeof rev);
        for (int i = 0; i < 9; i++, nine /= 10)
            rev[n++] = (uint8_t)(nine % 10);
    }
    while (n > 0 && rev[n - 1] == 0)
        n--;
    out->exponent = (int32_t)n - scale;
    uint32_t skip = 0;
    while (skip < n && rev[skip] == 0)
        skip++;
    out->count = n - skip;
    QASSERT(out->count <= DIGITS_MAX);
    for (uint32_t i = 0; i < out->count; i++)
        out->d[i] = rev[n - 1 - i];
}

static void digits_of_real(double r, struct digits *out)
{
    int e;
    uint64_t m = (uint64_t)ldexp(frexp(fabs(r), &e), 53);
    e -= 53;
    int twos = __builtin_ctzll(m);
    m >>= twos;
    e += twos;
    uint32_t limbs[LIMBS_MAX] = {(uint32_t)m, (uint32_t)(m >> 32)};
    uint32_t count = limbs[1] != 0 ? 2 : 1;
    for (int left = e; left > 0;) {
        int step = left > 30 ? 30 : left;
        big_mul_small(limbs, &count, 1u << step);
        left -= step;
    }
    for (int left = -e; left > 0; left--)
        big_mul_small(limbs, &count, 5);
    digits_of(limbs, count, e < 0 ? -e : 0, out);
}

static void digits_of_dec(unsigned __int128 v, int32_t scale, struct digits *out)
{
    uint32_t limbs[LIMBS_MAX];
    uint32_t count = 0;
    for (; v > 0; v >>= 32)
        limbs[count++] = (uint32_t)v;
    digits_of(limbs, count, scale, out);
}

/* Is dec / 10^scale (scale as small as can be) a double? Its lowest terms must have a power of two below and 53 bits above. */
static bool dec_as_real(__int128 dec, uint32_t scale, double *out)
{
    unsigned __int128 n = dec < 0 ? (unsigned __int128)-dec : (unsigned __int128)dec;
    for (uint32_t i = 0; i < scale; i++) {
        if (n % 5 != 0)
            return false;
        n /= 5;
    }
    int twos = -(int)scale;
    while ((n & 1) == 0) {
        n >>= 1;
        twos++;
    }
    if (n >> 53 != 0)
        return false;
    double r = ldexp((double)(uint64_t)n, twos);
    *out = dec < 0 ? -r : r;
    return true;
}

static struct value normal(const struct value *v)
{
    if (v->type == VALUE_INTEGER)
        return *v;
    if (v->type == VALUE_REAL) {
        if (v->r >= -9223372036854775808.0 && v->r < 9223372036854775808.0 && v->r == trunc(v->r))
            return value_int((int64_t)v->r);
        return *v;
    }
    __int128 d = dec_get(v->dec);
    uint8_t scale = v->scale;
    while (scale > 0 && d % 10 == 0) {
        d /= 10;
        scale--;
    }
    if (scale == 0 && d >= INT64_MIN && d <= INT64_MAX)
        return value_int((int64_t)d);
    struct value out = {.type = VALUE_REAL};
    if (dec_as_real(d, scale, &out.r))
        return out;
    return (struct value){.type = VALUE_DECIMAL, .scale = scale, .dec = dec_make(d)};
}

static void put_digits(struct buf *out, const struct digits *g, bool negative)
{
    size_t at = out->len;
    uint32_t exponent = (uint32_t)(g->exponent + EXPONENT_BIAS);
    buf_u8(out, (uint8_t)(exponent >> 8));
    buf_u8(out, (uint8_t)exponent);
    for (uint32_t i = 0; i < g->count; i += 2) {
        uint32_t second = i + 1 < g->count ? g->d[i + 1] : 0;
        buf_u8(out, (uint8_t)(g->d[i] * 10u + second + 1));
    }
    buf_u8(out, 0);
    for (; negative && !out->failed && at < out->len; at++)
        out->data[at] = (uint8_t)~out->data[at];
}

void key_number_put(struct buf *out, const struct value *given)
{
    struct value v = normal(given);
    bool negative = v.type == VALUE_REAL ? v.r < 0 : v.type == VALUE_INTEGER ? v.i < 0 : v.dec.hi < 0;
    if (v.type == VALUE_INTEGER && v.i == 0) {
        buf_u8(out, MARK_ZERO);
        return;
    }
    if (v.type == VALUE_REAL && isinf(v.r)) {
        buf_u8(out, negative ? MARK_NEG_INF : MARK_POS_INF);
        return;
    }
    struct digits g;
    if (v.type == VALUE_REAL) {
        digits_of_real(v.r, &g);
    } else {
        __int128 d = v.type == VALUE_INTEGER ? v.i : dec_get(v.dec);
        digits_of_dec(negative ? (unsigned __int128)-d : (unsigned __int128)d, v.type == VALUE_INTEGER ? 0 : v.scale, &g);
    }
    buf_u8(out, negative ? MARK_NEG : MARK_POS);
    put_digits(out, &g, negative);
    buf_u8(out, v.type);
    if (v.type == VALUE_REAL) {
        uint8_t bits[8];
        memcpy(bits, &v.r, sizeof bits);
        buf_put(out, bits, sizeof bits);
    }
}

static bool bad(struct bytes_in *in)
{
    in->bad = true;
    return false;
}

/* INTEGER or DECIMAL from its digits. */
static bool from_digits(struct bytes_in *in, const struct digits *g, bool negative, uint8_t type, struct value *v)
{
    int32_t scale = (int32_t)g->count - g->exponent; /* digits behind the point; below 0: zeros before it */
    int32_t zeros = scale < 0 ? -scale : 0;
    if (g->exponent < -(int32_t)VALUE_SCALE_MAX || g->count + (uint32_t)zeros > VALUE_SCALE_MAX || scale > (int32_t)VALUE_SCALE_MAX)
        return bad(in);
    __int128 d = 0;
    for (uint32_t i = 0; i < g->count; i++)
        d = d * 10 + g->d[i];
    d *= value_pow10((uint32_t)zeros);
    if (negative)
        d = -d;
    if (type == VALUE_DECIMAL) {
        *v = (struct value){.type = VALUE_DECIMAL, .scale = (uint8_t)(scale > 0 ? scale : 0), .dec = dec_make(d)};
        return true;
    }
    if (type != VALUE_INTEGER || scale > 0 || d < INT64_MIN || d > INT64_MAX)
        return bad(in);
    *v = value_int((int64_t)d);
    return true;
}

static uint8_t get_u8(struct bytes_in *in, bool inverted)
{
    uint8_t b = bytes_u8(in);
    return inverted ? (uint8_t)~b : b;
}

bool key_number_get(struct bytes_in *in, bool inverted, uint8_t mark, struct value *v)
{
    if (mark == MARK_ZERO) {
        *v = value_int(0);
        return true;
    }
    if (mark == MARK_NEG_INF || mark == MARK_POS_INF) {
        *v = (struct value){.type = VALUE_REAL, .r = mark == MARK_NEG_INF ? -(double)INFINITY : (double)INFINITY};
        return true;
    }
    if (mark != MARK_NEG && mark != MARK_POS)
        return bad(in);
    bool negative = mark == MARK_NEG, flip = negative != inverted;
    struct digits g = {.count = 0};
    uint32_t exponent = (uint32_t)get_u8(in, flip) << 8;
    exponent |= get_u8(in, flip);
    g.exponent = (int32_t)exponent - EXPONENT_BIAS;
    for (;;) {
        uint8_t pair = get_u8(in, flip);
        if (in->bad || pair > 100 || g.count + 2 > DIGITS_MAX)
            return bad(in);
        if (pair == 0)
            break;
        g.d[g.count++] = (uint8_t)((pair - 1) / 10);
        g.d[g.count++] = (uint8_t)((pair - 1) % 10);
    }
    if (g.count > 0 && g.d[g.count - 1] == 0)
        g.count--;
    uint8_t type = get_u8(in, inverted);
    if (in->bad || g.count == 0)
        return bad(in);
    if (type != VALUE_REAL)
        return from_digits(in, &g, negative, type, v);
    uint8_t bits[8];
    for (size_t i = 0; i < sizeof bits; i++)
        bits[i] = get_u8(in, inverted);
    *v = (struct value){.type = VALUE_REAL};
    memcpy(&v->r, bits, sizeof bits);
    if (isnan(v->r) || isinf(v->r))
        return bad(in);
    return !in->bad;
}

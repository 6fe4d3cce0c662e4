/* decimal.c - exact decimal arithmetic on 128 bits.
 * Why: money. 0.1 + 0.2 is 0.3 here, on every node, to the last digit.
 * Scales: a + b, a - b, a % b have the larger one; a * b their sum, cut (rounded) to what 38 digits hold but never below the larger one; a / b has the
 *   larger one plus 14 (about what a REAL shows), less where 38 digits do not hold it. Rounding is half away from zero. What does not fit 38 digits fails.
 * Not here: which operands make an operation a decimal one (expr_ops.c). */
#include "decimal.h"

#include <math.h>
#include <string.h>

#define QUOTIENT_DIGITS 14

typedef unsigned __int128 u128;

struct u256 {
    u128 hi, lo;
};

__int128 decimal_pow10(uint32_t n)
{
    QASSERT(n <= TYPES_DECIMAL_DIGITS_MAX);
    static const int64_t table[19] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
        10000000000, 100000000000, 1000000000000, 10000000000000, 100000000000000, 1000000000000000, 10000000000000000,
        100000000000000000, 1000000000000000000};
    if (n < 19)
        return table[n];
    return n < 37 ? (__int128)table[18] * table[n - 18] : (__int128)table[18] * table[18] * table[n - 36];
}

bool decimal_fits(__int128 v)
{
    __int128 limit = decimal_pow10(TYPES_DECIMAL_DIGITS_MAX);
    return v < limit && v > -limit;
}

static u128 magnitude(__int128 v)
{
    return v < 0 ? (u128)0 - (u128)v : (u128)v;
}

static struct u256 mul_wide(u128 a, u128 b)
{
    u128 mask = ~(uint64_t)0;
    u128 a0 = a & mask, a1 = a >> 64, b0 = b & mask, b1 = b >> 64;
    u128 low = a0 * b0, mid1 = a1 * b0, mid2 = a0 * b1;
    u128 mid = (low >> 64) + (mid1 & mask) + (mid2 & mask);
    return (struct u256){.lo = (low & mask) | (mid << 64), .hi = a1 * b1 + (mid1 >> 64) + (mid2 >> 64) + (mid >> 64)};
}

/* n / d with d below 2^127; false where the quotient passes 128 bits. Bit by bit: only results near 38 digits come here. */
static bool div_wide(struct u256 n, u128 d, u128 *quotient, u128 *rest)
{
    if (n.hi == 0) {
        *quotient = n.lo / d;
        *rest = n.lo % d;
        return true;
    }
    if (n.hi >= d)
        return false;
    u128 r = n.hi, q = 0;
    for (int bit = 127; bit >= 0; bit--) {
        r = (r << 1) | ((n.lo >> bit) & 1);
        q <<= 1;
        if (r >= d) {
            r -= d;
            q |= 1;
        }
    }
    *quotient = q;
    *rest = r;
    return true;
}

/* a * b / d, rounded half away from zero; false where it does not fit 38 digits. */
static bool mul_div_round(u128 a, u128 b, u128 d, u128 *out)
{
    u128 q, r;
    if (!div_wide(mul_wide(a, b), d, &q, &r))
        return false;
    if (r >= d - r)
        q++;
    if (q >= (u128)decimal_pow10(TYPES_DECIMAL_DIGITS_MAX))
        return false;
    *out = q;
    return true;
}

static __int128 with_sign(u128 v, bool negative)
{
    return negative ? -(__int128)v : (__int128)v;
}

bool decimal_rescale(struct decimal a, uint8_t scale, struct decimal *out, bool *exact)
{
    if (exact != NULL)
        *exact = true;
    if (scale > a.scale) {
        __int128 v;
        if (__builtin_mul_overflow(a.v, decimal_pow10((uint32_t)(scale - a.scale)), &v) || !decimal_fits(v))
            return false;
        *out = (struct decimal){v, scale};
        return true;
    }
    __int128 den = decimal_pow10((uint32_t)(a.scale - scale));
    __int128 whole = a.v / den, rest = a.v % den;
    u128 left = magnitude(rest);
    if (left != 0 && exact != NULL)
        *exact = false;
    if (left != 0 && left >= (u128)den - left)
        whole += a.v < 0 ? -1 : 1;
    *out = (struct decimal){whole, scale};
    return true;
}

static bool align(struct decimal *a, struct decimal *b)
{
    uint8_t scale = a->scale > b->scale ? a->scale : b->scale;
    return (a->scale == scale || decimal_rescale(*a, scale, a, NULL)) && (b->scale == scale || decimal_rescale(*b, scale, b, NULL));
}

bool decimal_add(struct decimal a, struct decimal b, struct decimal *out)
{
    __int128 v;
    if (!align(&a, &b) || __builtin_add_overflow(a.v, b.v, &v) || !decimal_fits(v))
        return false;
    *out = (struct decimal){v, a.scale};
    return true;
}

bool decimal_sub(struct decimal a, struct decimal b, struct decimal *out)
{
    b.v = -b.v;
    return decimal_add(a, b, out);
}

bool decimal_mul(struct decimal a, struct decimal b, struct decimal *out)
{
    uint32_t scale = (uint32_t)a.scale + b.scale;
    __int128 v;
    if (scale <= TYPES_DECIMAL_DIGITS_MAX && !__builtin_mul_overflow(a.v, b.v, &v) && decimal_fits(v)) {
        *out = (struct decimal){v, (uint8_t)scale};
        return true;
    }
    uint32_t least = a.scale > b.scale ? a.scale : b.scale;
    uint32_t cut = scale > TYPES_DECIMAL_DIGITS_MAX ? scale - TYPES_DECIMAL_DIGITS_MAX : 0;
    for (; scale - cut >= least && cut <= TYPES_DECIMAL_DIGITS_MAX; cut++) {
        u128 q;
        if (mul_div_round(magnitude(a.v), magnitude(b.v), (u128)decimal_pow10(cut), &q)) {
            *out = (struct decimal){with_sign(q, (a.v < 0) != (b.v < 0)), (uint8_t)(scale - cut)};
            return true;
        }
        if (scale == cut)
            break;
    }
    return false;
}

bool decimal_div(struct decimal a, struct decimal b, struct decimal *out)
{
    QASSERT(b.v != 0);
    int scale = (a.scale > b.scale ? a.scale : b.scale) + QUOTIENT_DIGITS;
    int digits_max = (int)TYPES_DECIMAL_DIGITS_MAX;
    if (scale > digits_max)
        scale = digits_max;
    if (scale > digits_max + a.scale - b.scale) /* the power of ten below must fit */
        scale = digits_max + a.scale - b.scale;
    for (; scale >= 0; scale--) {
        int shift = scale + b.scale - a.scale;
        u128 q;
        u128 up = shift > 0 ? (u128)decimal_pow10((uint32_t)shift) : 1;
        struct decimal n = a;
        if (shift < 0 && !decimal_rescale(a, (uint8_t)(a.scale + shift), &n, NULL))
            return false;
        if (mul_div_round(magnitude(n.v), up, magnitude(b.v), &q)) {
            *out = (struct decimal){with_sign(q, (a.v < 0) != (b.v < 0)), (uint8_t)scale};
            return true;
        }
    }
    return false;
}

bool decimal_mod(struct decimal a, struct decimal b, struct decimal *out)
{
    QASSERT(b.v != 0);
    if (!align(&a, &b))
        return false;
    *out = (struct decimal){a.v % b.v, a.scale};
    return true;
}

struct decimal decimal_trim(struct decimal a)
{
    while (a.scale > 0 && a.v % 10 == 0) {
        a.v /= 10;
        a.scale--;
    }
    return a;
}

double decimal_to_double(struct decimal a)
{
    __int128 exact_max = (__int128)1 << 53;
    if (a.scale <= 22 && a.v <= exact_max && a.v >= -exact_max) {
        static const double pow10[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
                                       1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
        return (double)a.v / pow10[a.scale]; /* both exact, one rounding */
    }
    char text[TYPES_NUMBER_TEXT_BYTES];
    size_t n = decimal_format(a, text);
    double r = 0;
    (void)types_parse_real(text, n, &r); /* what decimal_format writes is a number */
    return r;
}

bool decimal_from_double(double r, struct decimal *out)
{
    char text[TYPES_NUMBER_TEXT_BYTES];
    if (!isfinite(r))
        return false;
    size_t n = types_format_real(r, text);
    if (!decimal_parse(text, n, out))
        return false;
    *out = decimal_trim(*out);
    return true;
}

int64_t decimal_to_int64(struct decimal a)
{
    __int128 whole = a.v / decimal_pow10(a.scale);
    if (whole > INT64_MAX)
        return INT64_MAX;
    return whole < INT64_MIN ? INT64_MIN : (int64_t)whole;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool decimal_parse(const char *p, size_t n, struct decimal *out)
{
    size_t i = 0;
    bool negative = false, any = false, point = false;
    if (i < n && (p[i] == '+' || p[i] == '-'))
        negative = p[i++] == '-';
    u128 v = 0, limit = (u128)decimal_pow10(TYPES_DECIMAL_DIGITS_MAX);
    int scale = 0;
    int64_t exponent = 0; /* no exponent past 1000 leaves a decimal */
    for (; i < n; i++) {
        if (p[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (!is_digit(p[i]))
            break;
        any = true;
        v = v * 10 + (unsigned)(p[i] - '0');
        if (v >= limit)
            return false;
        scale += point;
    }
    if (!any || (i < n && p[i] != 'e' && p[i] != 'E') || (i < n && !types_parse_exponent(p + i + 1, n - i - 1, 1000, &exponent)))
        return false;
    scale -= (int)exponent;
    for (; scale < 0 && v != 0; scale++) {
        v *= 10;
        if (v >= limit)
            return false;
    }
    if (scale < 0 || (v == 0 && scale > (int)TYPES_DECIMAL_DIGITS_MAX))
        scale = 0;
    for (; scale > (int)TYPES_DECIMAL_DIGITS_MAX; scale--) {
        if (v % 10 != 0)
            return false;
        v /= 10;
    }
    *out = (struct decimal){with_sign(v, negative), (uint8_t)scale};
    return true;
}

size_t decimal_format(struct decimal a, char out[TYPES_NUMBER_TEXT_BYTES])
{
    char digits[TYPES_NUMBER_TEXT_BYTES];
    size_t n = 0, at = 0;
    u128 v = magnitude(a.v);
    do { /* from the last digit on, and at least one before the point */
        if (n == a.scale && a.scale > 0)
            digits[at++] = '.';
        digits[at++] = (char)('0' + (int)(v % 10));
        v /= 10;
        n++;
    } while (v != 0 || n <= a.scale);
    if (a.v < 0)
        digits[at++] = '-';
    for (size_t i = 0; i < at; i++)
        out[i] = digits[at - 1 - i];
    return at;
}

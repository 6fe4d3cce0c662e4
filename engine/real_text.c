/* real_text.c - doubles and integers to text and back, the same under every locale.
 * Why: printf and strtod write and read the locale's decimal point; an embedding program may set any. Text that differs between nodes would
 *   break the promise of same answers, so the point is put in by hand, and strtod only ever sees digits and an exponent.
 * How: the shortest of 15, 16 and 17 digits that reads back as the same double; common numbers take a path without printf. */
#include "types.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARSE_DIGITS_MAX 800u /* a double is decided by its first 767 digits and whether anything follows */

static const double exact_pow10[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

size_t types_format_int(int64_t i, char out[TYPES_NUMBER_TEXT_BYTES])
{
    char digits[24];
    size_t n = 0, at = 0;
    uint64_t v = i < 0 ? (uint64_t)0 - (uint64_t)i : (uint64_t)i;
    do {
        digits[n++] = (char)('0' + (char)(v % 10));
        v /= 10;
    } while (v != 0);
    if (i < 0)
        out[at++] = '-';
    while (n > 0)
        out[at++] = digits[--n];
    return at;
}

/* Up to four digits after the point and no more than 15 in all: m / 10^k reads back as r exactly where the division gives r. */
static size_t format_short(double r, char *out)
{
    if (!(r < 1e11 && r > -1e11))
        return 0;
    for (uint32_t k = 0; k <= 4; k++) {
        double scaled = r * exact_pow10[k];
        int64_t m = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
        if ((double)m / exact_pow10[k] != r)
            continue;
        if (k == 0) {
            size_t n = types_format_int(m, out);
            memcpy(out + n, ".0", 2);
            return n + 2;
        }
        size_t at = 0;
        if (m < 0)
            out[at++] = '-';
        int64_t den = (int64_t)exact_pow10[k], whole = llabs(m) / den, rest = llabs(m) % den;
        at += types_format_int(whole, out + at);
        out[at++] = '.';
        for (; den > 1; den /= 10)
            out[at++] = (char)('0' + (char)(rest / (den / 10) % 10));
        return at;
    }
    return 0;
}

/* The digits of r (first one not 0) and its decimal exponent, from printf, whatever its decimal point is. */
static uint32_t digits_of(double r, int precision, char digits[32], int *exponent)
{
    char text[64];
    int n = snprintf(text, sizeof text, "%.*e", precision - 1, r);
    uint32_t count = 0;
    int i = 0;
    for (; i < n && text[i] != 'e'; i++)
        if (text[i] >= '0' && text[i] <= '9')
            digits[count++] = text[i];
    *exponent = (int)strtol(text + i + 1, NULL, 10);
    return count;
}

static double read_digits(const char *digits, uint32_t count, int exponent)
{
    char text[64];
    memcpy(text, digits, count);
    (void)snprintf(text + count, sizeof text - count, "e%d", exponent - (int)count + 1); /* cannot pass 64 bytes */
    return strtod(text, NULL);
}

static size_t format_digits(const char *digits, uint32_t count, int exponent, char *out)
{
    size_t at = 0;
    if (exponent < -4 || exponent >= 15) {
        out[at++] = digits[0];
        out[at++] = '.';
        for (uint32_t k = 1; k < count; k++)
            out[at++] = digits[k];
        if (count == 1)
            out[at++] = '0';
        at += (size_t)snprintf(out + at, 8, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return at;
    }
    if (exponent < 0) {
        memcpy(out, "0.000", 5);
        at = (size_t)(1 - exponent);
        out[1] = '.';
        for (uint32_t k = 0; k < count; k++)
            out[at++] = digits[k];
        return at;
    }
    for (int k = 0; k <= exponent || k < (int)count; k++) {
        if (k == exponent + 1)
            out[at++] = '.';
        out[at++] = k < (int)count ? digits[k] : '0';
    }
    if ((int)count <= exponent + 1) {
        out[at++] = '.';
        out[at++] = '0';
    }
    return at;
}

size_t types_format_real(double r, char out[TYPES_NUMBER_TEXT_BYTES])
{
    if (r == 0) { /* -0.0 too: it equals 0.0 */
        memcpy(out, "0.0", 3);
        return 3;
    }
    if (isnan(r)) {
        memcpy(out, "NaN", 3);
        return 3;
    }
    if (isinf(r)) {
        memcpy(out, r < 0 ? "-Inf" : "Inf", r < 0 ? 4 : 3);
        return r < 0 ? 4 : 3;
    }
    size_t at = format_short(r, out);
    if (at > 0)
        return at;
    if (r < 0)
        out[at++] = '-';
    double positive = fabs(r);
    char digits[32];
    int exponent = 0;
    uint32_t count = 0;
    for (int precision = 15; precision <= 17; precision++) {
        count = digits_of(positive, precision, digits, &exponent);
        if (precision == 17 || read_digits(digits, count, exponent) == positive)
            break;
    }
    while (count > 1 && digits[count - 1] == '0')
        count--;
    return at + format_digits(digits, count, exponent, out + at);
}

/* What a text of a number consists of, before it is put together. */
struct scanned {
    char digits[PARSE_DIGITS_MAX + 1]; /* without leading zeros */
    uint32_t count;
    int64_t exponent; /* of the last of digits */
    bool negative;
};

bool types_parse_exponent(const char *p, size_t n, int64_t max, int64_t *exponent)
{
    size_t i = 0;
    bool negative = false;
    if (i < n && (p[i] == '+' || p[i] == '-'))
        negative = p[i++] == '-';
    if (i == n)
        return false;
    int64_t e = 0;
    for (; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        if (e < max)
            e = e * 10 + (p[i] - '0');
    }
    *exponent += negative ? -e : e;
    return true;
}

static bool scan(const char *p, size_t n, struct scanned *s)
{
    size_t i = 0;
    bool any = false, point = false, tail = false;
    s->count = 0;
    s->exponent = 0;
    s->negative = false;
    if (i < n && (p[i] == '+' || p[i] == '-'))
        s->negative = p[i++] == '-';
    for (; i < n; i++) {
        if (p[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (p[i] < '0' || p[i] > '9')
            break;
        any = true;
        if (s->count < PARSE_DIGITS_MAX) {
            if (s->count > 0 || p[i] != '0')
                s->digits[s->count++] = p[i];
            s->exponent -= point;
        } else {
            tail = tail || p[i] != '0';
            s->exponent += !point;
        }
    }
    if (tail) { /* a digit below the last one decides a tie */
        s->digits[s->count++] = '1';
        s->exponent--;
    }
    if (!any)
        return false;
    return i == n || ((p[i] == 'e' || p[i] == 'E') && types_parse_exponent(p + i + 1, n - i - 1, 100000000, &s->exponent));
}

bool types_parse_real(const char *p, size_t n, double *out)
{
    struct scanned s;
    if (!scan(p, n, &s))
        return false;
    if (s.count == 0) {
        *out = 0;
        return true;
    }
    double r;
    if (s.count <= 15 && s.exponent >= -22 && s.exponent <= 22) {
        int64_t m = 0;
        for (uint32_t k = 0; k < s.count; k++)
            m = m * 10 + (s.digits[k] - '0');
        r = s.exponent < 0 ? (double)m / exact_pow10[-s.exponent] : (double)m * exact_pow10[s.exponent];
    } else {
        char text[PARSE_DIGITS_MAX + 32];
        memcpy(text, s.digits, s.count);
        (void)snprintf(text + s.count, sizeof text - s.count, "e%lld", (long long)s.exponent); /* 32 bytes suffice */
        r = strtod(text, NULL);
    }
    *out = s.negative ? -r : r;
    return true;
}

/* number_text.c - what a text is worth as a number, and every value as a number.
 * Why: SQL users write WHERE id = '12' and qty + '3'; the rules are SQLite's, so that its users' queries keep their answers. */
#include "decimal.h"

#include <math.h>

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* The longest beginning of p[0..n) that is a number; 0: none. *integer: it has no point and no exponent. */
static size_t number_prefix(const uint8_t *p, size_t n, bool *integer)
{
    size_t i = 0, digits = 0;
    *integer = true;
    if (i < n && (p[i] == '+' || p[i] == '-'))
        i++;
    for (; i < n && is_digit(p[i]); i++)
        digits++;
    if (i < n && p[i] == '.') {
        size_t after = i + 1;
        while (after < n && is_digit(p[after]))
            after++;
        if (digits > 0 || after > i + 1) {
            digits += after - i - 1;
            *integer = false;
            i = after;
        }
    }
    if (digits == 0)
        return 0;
    if (i < n && (p[i] == 'e' || p[i] == 'E')) {
        size_t at = i + 1;
        if (at < n && (p[at] == '+' || p[at] == '-'))
            at++;
        if (at < n && is_digit(p[at])) {
            while (at < n && is_digit(p[at]))
                at++;
            *integer = false;
            i = at;
        }
    }
    return i;
}

/* An integer with sign that is known to have digits only; false where it passes 64 bits. */
static bool parse_int(const uint8_t *p, size_t n, int64_t *out)
{
    bool negative = p[0] == '-';
    size_t i = p[0] == '-' || p[0] == '+';
    int64_t v = 0;
    for (; i < n; i++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, p[i] - '0', &v))
            return false;
    return negative ? (*out = v, true) : !__builtin_sub_overflow(0, v, out);
}

bool types_number_from_text(struct slice s, bool whole, struct value *out)
{
    const uint8_t *p = s.p;
    size_t n = s.n;
    bool integer;
    while (n > 0 && is_blank(*p)) {
        p++;
        n--;
    }
    size_t len = number_prefix(p, n, &integer);
    if (whole) {
        while (n > len && is_blank(p[n - 1]))
            n--;
        if (len == 0 || len != n)
            return false;
    }
    int64_t i = 0;
    if (len == 0 || (integer && parse_int(p, len, &i))) {
        *out = value_int(i);
        return true;
    }
    double r = 0;
    (void)types_parse_real((const char *)p, len, &r); /* number_prefix has checked the form */
    *out = (struct value){.type = VALUE_REAL, .r = r};
    return true;
}

void types_to_number(const struct value *v, struct value *out)
{
    char text[TYPES_NUMBER_TEXT_BYTES];
    switch (v->type) {
    case VALUE_INTEGER:
    case VALUE_REAL:
    case VALUE_DECIMAL:
    case VALUE_NULL:
        *out = *v;
        return;
    case VALUE_TEXT:
    case VALUE_BLOB:
    case VALUE_JSON:
        (void)types_number_from_text(v->s, false, out); /* a prefix always gives a number */
        return;
    default: {
        struct buf b = {.data = (uint8_t *)text, .cap = sizeof text, .limit_bytes = sizeof text};
        value_to_text(v, &b); /* fits: numbers, dates and UUIDs stay below TYPES_NUMBER_TEXT_BYTES */
        (void)types_number_from_text(slice_of(b.data, b.len), false, out);
    }
    }
}

static int64_t real_to_int(double r)
{
    if (isnan(r))
        return 0;
    if (r >= 9223372036854775808.0)
        return INT64_MAX;
    return r <= -9223372036854775808.0 ? INT64_MIN : (int64_t)r;
}

bool types_to_int64(const struct value *v, int64_t *out)
{
    if (v->type == VALUE_TEXT || v->type == VALUE_BLOB || v->type == VALUE_JSON) { /* digits only: '1e3' is 1 */
        const uint8_t *p = v->s.p;
        size_t n = v->s.n, len = 0;
        for (; n > 0 && is_blank(*p); n--)
            p++;
        if (n > 0 && (*p == '-' || *p == '+'))
            len = 1;
        while (len < n && is_digit(p[len]))
            len++;
        if (len == 0 || !is_digit(p[len - 1]))
            *out = 0;
        else if (!parse_int(p, len, out))
            *out = *p == '-' ? INT64_MIN : INT64_MAX;
        return true;
    }
    struct value number;
    types_to_number(v, &number);
    switch (number.type) {
    case VALUE_INTEGER:
        *out = number.i;
        return true;
    case VALUE_REAL:
        *out = real_to_int(number.r);
        return true;
    case VALUE_DECIMAL:
        *out = decimal_to_int64(decimal_of(&number));
        return true;
    default:
        return false;
    }
}

bool types_to_double(const struct value *v, double *out)
{
    struct value number;
    types_to_number(v, &number);
    switch (number.type) {
    case VALUE_INTEGER:
        *out = (double)number.i;
        return true;
    case VALUE_REAL:
        *out = number.r;
        return true;
    case VALUE_DECIMAL:
        *out = decimal_to_double(decimal_of(&number));
        return true;
    default:
        return false;
    }
}

int types_truth(const struct value *v)
{
    struct value number;
    types_to_number(v, &number);
    switch (number.type) {
    case VALUE_INTEGER:
        return number.i != 0;
    case VALUE_REAL:
        return number.r != 0;
    case VALUE_DECIMAL:
        return dec_get(number.dec) != 0;
    default:
        return -1;
    }
}

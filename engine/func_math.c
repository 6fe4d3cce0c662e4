/* func_math.c - functions on numbers. Outside of a function's domain (ln(-1), sqrt(-1)) the answer is NULL, as x / 0 is; text counts by its leading
 * number where SQLite's does, and gives NULL where SQLite's gives NULL (ceil('x')). DECIMAL stays exact in abs, round, ceil, floor, trunc, sign. */
#include "func_impl.h"

#include "decimal.h"

#include <math.h>

/* The argument as a number; false: it is a text that is none. */
static bool numeric(const struct value *v, struct value *out)
{
    if (v->type == VALUE_TEXT)
        return types_number_from_text(v->s, true, out);
    types_to_number(v, out);
    return out->type != VALUE_NULL && v->type != VALUE_BLOB;
}

static quartet_status f_abs(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)call;
    (void)n;
    struct value v;
    types_to_number(&args[0], &v);
    if (args[0].type == VALUE_TEXT || args[0].type == VALUE_BLOB)
        return func_real(out, fabs(func_arg_real(&args[0])));
    bool negative = v.type == VALUE_INTEGER ? v.i < 0 : v.type == VALUE_REAL ? v.r < 0 : dec_get(v.dec) < 0;
    *out = v;
    return negative ? ops_negate(&v, out, err) : QUARTET_OK;
}

static quartet_status f_sign(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)call;
    (void)n;
    (void)err;
    struct value v;
    if (!numeric(&args[0], &v))
        return func_null(out);
    double r = func_arg_real(&v);
    return func_int(out, (r > 0) - (r < 0));
}

/* round(x [, digits]): half away from zero on the shortest decimal, so that round(2.675, 2) is 2.68 as people expect. */
static quartet_status f_round(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)call;
    (void)err;
    struct value v;
    int64_t digits = n > 1 ? func_arg_int(&args[1]) : 0;
    struct decimal d;
    types_to_number(&args[0], &v);
    digits = digits < 0 ? 0 : digits > 30 ? 30 : digits;
    if (v.type == VALUE_DECIMAL) {
        d = decimal_of(&v);
        if (d.scale > digits)
            (void)decimal_rescale(d, (uint8_t)digits, &d, NULL); /* fewer digits always fit */
        *out = decimal_value(d);
        return QUARTET_OK;
    }
    double r = func_arg_real(&v);
    if (fabs(r) < 4503599627370496.0 && decimal_from_double(r, &d) && d.scale > digits) {
        (void)decimal_rescale(d, (uint8_t)digits, &d, NULL);
        r = decimal_to_double(d);
    }
    return func_real(out, r);
}

enum { WHOLE_CEIL, WHOLE_FLOOR, WHOLE_TRUNC };

static quartet_status f_whole(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    (void)err;
    struct value v;
    if (!numeric(&args[0], &v))
        return func_null(out);
    if (v.type == VALUE_INTEGER) {
        *out = v;
        return QUARTET_OK;
    }
    if (v.type == VALUE_REAL)
        return func_real(out, call->func->code == WHOLE_CEIL ? ceil(v.r) : call->func->code == WHOLE_FLOOR ? floor(v.r) : trunc(v.r));
    struct decimal d = decimal_of(&v);
    __int128 unit = decimal_pow10(d.scale), whole = d.v / unit, rest = d.v % unit;
    whole += call->func->code == WHOLE_CEIL && rest > 0;
    whole -= call->func->code == WHOLE_FLOOR && rest < 0;
    *out = decimal_value((struct decimal){whole, 0});
    return QUARTET_OK;
}

enum {
    MATH_ACOS, MATH_ACOSH, MATH_ASIN, MATH_ASINH, MATH_ATAN, MATH_ATANH, MATH_COS, MATH_COSH, MATH_SIN, MATH_SINH, MATH_TAN, MATH_TANH, MATH_COT,
    MATH_EXP, MATH_LN, MATH_LOG2, MATH_LOG10, MATH_SQRT, MATH_CBRT, MATH_DEGREES, MATH_RADIANS
};

static double math_one(uint8_t code, double x)
{
    switch (code) {
    case MATH_ACOS:
        return acos(x);
    case MATH_ACOSH:
        return acosh(x);
    case MATH_ASIN:
        return asin(x);
    case MATH_ASINH:
        return asinh(x);
    case MATH_ATAN:
        return atan(x);
    case MATH_ATANH:
        return atanh(x);
    case MATH_COS:
        return cos(x);
    case MATH_COSH:
        return cosh(x);
    case MATH_SIN:
        return sin(x);
    case MATH_SINH:
        return sinh(x);
    case MATH_TAN:
        return tan(x);
    case MATH_TANH:
        return tanh(x);
    case MATH_COT:
        return 1 / tan(x);
    case MATH_EXP:
        return exp(x);
    case MATH_LN:
        return x > 0 ? log(x) : NAN;
    case MATH_LOG2:
        return x > 0 ? log2(x) : NAN;
    case MATH_LOG10:
        return x > 0 ? log10(x) : NAN;
    case MATH_SQRT:
        return sqrt(x);
    case MATH_CBRT:
        return cbrt(x);
    case MATH_DEGREES:
        return x * (180.0 / M_PI);
    default:
        return x * (M_PI / 180.0);
    }
}

static quartet_status f_math(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    (void)err;
    struct value v;
    return numeric(&args[0], &v) ? func_real(out, math_one(call->func->code, func_arg_real(&v))) : func_null(out);
}

enum { MATH2_POWER, MATH2_ATAN2, MATH2_MOD, MATH2_LOG };

static quartet_status f_math2(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    (void)err;
    struct value a, b;
    if (!numeric(&args[0], &a) || !numeric(&args[1], &b))
        return func_null(out);
    double x = func_arg_real(&a), y = func_arg_real(&b);
    switch (call->func->code) {
    case MATH2_POWER:
        return func_real(out, pow(x, y));
    case MATH2_ATAN2:
        return func_real(out, atan2(x, y));
    case MATH2_MOD:
        return func_real(out, fmod(x, y));
    default: /* log(base, x) */
        return x <= 0 || y <= 0 || x == 1 ? func_null(out) : func_real(out, log(y) / log(x));
    }
}

static quartet_status f_pi(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)call;
    (void)args;
    (void)n;
    (void)err;
    return func_real(out, M_PI);
}

static quartet_status f_random(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)args;
    (void)n;
    int64_t i = 0;
    quartet_status rc = func_random_bytes(call, &i, sizeof i, err);
    if (rc != QUARTET_OK)
        return rc;
    if (call->func->code == 1) /* rand(): [0, 1) */
        return func_real(out, (double)((uint64_t)i >> 11) / 9007199254740992.0);
    return func_int(out, i);
}

static quartet_status f_randomblob(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    int64_t want = func_arg_int(&args[0]);
    size_t bytes = want > 1 ? (size_t)want : 1;
    uint8_t *p;
    quartet_status rc = func_room(call, bytes, &p, err);
    if (rc == QUARTET_OK)
        rc = func_random_bytes(call, p, bytes, err);
    if (rc == QUARTET_OK)
        *out = (struct value){.type = VALUE_BLOB, .s = {p, bytes}};
    return rc;
}

/* max(a, b, ...), min: NULL where any is. */
static quartet_status f_extreme(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)err;
    *out = args[0];
    for (uint32_t k = 1; k < n; k++) {
        int c = types_compare(&args[k], out, call->nocase);
        if (call->func->code == 1 ? c > 0 : c <= 0) /* of equals max takes the first and min the last, as SQLite */
            *out = args[k];
    }
    return QUARTET_OK;
}

static quartet_status f_gcd(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    int64_t a = func_arg_int(&args[0]), b = func_arg_int(&args[1]), x, y;
    if (a == INT64_MIN || b == INT64_MIN)
        return ops_overflow(call->func->name, &args[0], &args[1], err);
    x = a < 0 ? -a : a;
    y = b < 0 ? -b : b;
    while (y != 0) {
        int64_t rest = x % y;
        x = y;
        y = rest;
    }
    if (call->func->code == 0 || x == 0)
        return func_int(out, x);
    int64_t r;
    if (__builtin_mul_overflow(a / x, b, &r) || r == INT64_MIN)
        return ops_overflow(call->func->name, &args[0], &args[1], err);
    return func_int(out, r < 0 ? -r : r);
}

#define REAL1(name, code) {name, 1, 1, FUNC_PURE, VALUE_REAL, code, f_math}

const struct func func_math_table[] = {
    {"abs", 1, 1, FUNC_PURE, 0, 0, f_abs},
    {"sign", 1, 1, FUNC_PURE, VALUE_INTEGER, 0, f_sign},
    {"round", 1, 2, FUNC_PURE, 0, 0, f_round},
    {"ceil", 1, 1, FUNC_PURE, 0, WHOLE_CEIL, f_whole},
    {"ceiling", 1, 1, FUNC_PURE, 0, WHOLE_CEIL, f_whole},
    {"floor", 1, 1, FUNC_PURE, 0, WHOLE_FLOOR, f_whole},
    {"trunc", 1, 1, FUNC_PURE, 0, WHOLE_TRUNC, f_whole},
    REAL1("acos", MATH_ACOS),
    REAL1("acosh", MATH_ACOSH),
    REAL1("asin", MATH_ASIN),
    REAL1("asinh", MATH_ASINH),
    REAL1("atan", MATH_ATAN),
    REAL1("atanh", MATH_ATANH),
    REAL1("cos", MATH_COS),
    REAL1("cosh", MATH_COSH),
    REAL1("sin", MATH_SIN),
    REAL1("sinh", MATH_SINH),
    REAL1("tan", MATH_TAN),
    REAL1("tanh", MATH_TANH),
    REAL1("cot", MATH_COT),
    REAL1("exp", MATH_EXP),
    REAL1("ln", MATH_LN),
    REAL1("log", MATH_LOG10),
    REAL1("log10", MATH_LOG10),
    REAL1("log2", MATH_LOG2),
    REAL1("sqrt", MATH_SQRT),
    REAL1("cbrt", MATH_CBRT),
    REAL1("degrees", MATH_DEGREES),
    REAL1("radians", MATH_RADIANS),
    {"log", 2, 2, FUNC_PURE, VALUE_REAL, MATH2_LOG, f_math2},
    {"power", 2, 2, FUNC_PURE, VALUE_REAL, MATH2_POWER, f_math2},
    {"pow", 2, 2, FUNC_PURE, VALUE_REAL, MATH2_POWER, f_math2},
    {"atan2", 2, 2, FUNC_PURE, VALUE_REAL, MATH2_ATAN2, f_math2},
    {"mod", 2, 2, FUNC_PURE, VALUE_REAL, MATH2_MOD, f_math2},
    {"pi", 0, 0, FUNC_DETERMINISTIC, VALUE_REAL, 0, f_pi},
    {"gcd", 2, 2, FUNC_PURE, VALUE_INTEGER, 0, f_gcd},
    {"lcm", 2, 2, FUNC_PURE, VALUE_INTEGER, 1, f_gcd},
    {"random", 0, 0, 0, VALUE_INTEGER, 0, f_random},
    {"rand", 0, 0, 0, VALUE_REAL, 1, f_random},
    {"randomblob", 1, 1, 0, VALUE_BLOB, 0, f_randomblob},
    {"max", 2, -1, FUNC_PURE, 0, 1, f_extreme},
    {"min", 2, -1, FUNC_PURE, 0, 0, f_extreme},
    {"greatest", 1, -1, FUNC_PURE, 0, 1, f_extreme},
    {"least", 1, -1, FUNC_PURE, 0, 0, f_extreme},
    {NULL, 0, 0, 0, 0, 0, NULL},
};

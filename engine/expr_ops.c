/* expr_ops.c - the operators on single values.
 * Why apart from the vector loops: this is the meaning; the loops are only faster ways to it, and fall back to it for every odd case.
 * Rules (docs/SQL.md): x / 0 and x % 0 are NULL; integers that overflow are an error, never a wrong number; text counts by its leading number; REAL
 *   beats DECIMAL beats INTEGER; DATE and TIMESTAMP take days and intervals. */
#include "expr_ops.h"

#include "collate.h"
#include "datetime.h"
#include "decimal.h"
#include "like.h"

#include <math.h>
#include <string.h>

quartet_status ops_overflow(const char *what, const struct value *a, const struct value *b, struct err *err)
{
    char ta[TYPES_NUMBER_TEXT_BYTES], tb[TYPES_NUMBER_TEXT_BYTES];
    struct buf ba = {.data = (uint8_t *)ta, .cap = sizeof ta, .limit_bytes = sizeof ta};
    struct buf bb = {.data = (uint8_t *)tb, .cap = sizeof tb, .limit_bytes = sizeof tb};
    value_to_text(a, &ba);
    value_to_text(b, &bb);
    const char *type = a->type == VALUE_DECIMAL || b->type == VALUE_DECIMAL ? "DECIMAL of 38 digits" : "64-bit integer";
    return err_set(err, QUARTET_ERROR, "overflow: %.*s %s %.*s does not fit a %s", (int)ba.len, ta, what, (int)bb.len, tb, type);
}

static const char *op_sign(enum expr_op op)
{
    switch (op) {
    case EXPR_ADD:
        return "+";
    case EXPR_SUB:
        return "-";
    case EXPR_MUL:
        return "*";
    case EXPR_MOD:
        return "%";
    default:
        return "/";
    }
}

static quartet_status arith_int(enum expr_op op, int64_t a, int64_t b, struct value *out, struct err *err)
{
    int64_t r = 0;
    bool bad = false;
    switch (op) {
    case EXPR_ADD:
        bad = __builtin_add_overflow(a, b, &r);
        break;
    case EXPR_SUB:
        bad = __builtin_sub_overflow(a, b, &r);
        break;
    case EXPR_MUL:
        bad = __builtin_mul_overflow(a, b, &r);
        break;
    case EXPR_MOD:
        if (b == 0) {
            *out = VALUE_NULL_INIT;
            return QUARTET_OK;
        }
        r = b == -1 ? 0 : a % b;
        break;
    default:
        if (b == 0) {
            *out = VALUE_NULL_INIT;
            return QUARTET_OK;
        }
        bad = b == -1 ? __builtin_sub_overflow(0, a, &r) : (r = a / b, false);
    }
    if (bad) {
        struct value va = value_int(a), vb = value_int(b);
        return ops_overflow(op_sign(op), &va, &vb, err);
    }
    *out = value_int(r);
    return QUARTET_OK;
}

static struct value real_value(double r)
{
    return isnan(r) ? VALUE_NULL_INIT : (struct value){.type = VALUE_REAL, .r = r};
}

static quartet_status arith_real(enum expr_op op, const struct value *a, const struct value *b, struct value *out, struct err *err)
{
    double x = 0, y = 0;
    (void)types_to_double(a, &x); /* neither is NULL */
    (void)types_to_double(b, &y);
    switch (op) {
    case EXPR_ADD:
        *out = real_value(x + y);
        return QUARTET_OK;
    case EXPR_SUB:
        *out = real_value(x - y);
        return QUARTET_OK;
    case EXPR_MUL:
        *out = real_value(x * y);
        return QUARTET_OK;
    case EXPR_DIV:
        *out = y == 0 ? VALUE_NULL_INIT : real_value(x / y);
        return QUARTET_OK;
    default: { /* %, DIV: on the whole parts; % gives a REAL again, as SQLite */
        int64_t i = 0, j = 0;
        (void)types_to_int64(a, &i);
        (void)types_to_int64(b, &j);
        quartet_status rc = arith_int(op, i, j, out, err);
        if (rc == QUARTET_OK && out->type == VALUE_INTEGER && op == EXPR_MOD)
            *out = real_value((double)out->i);
        return rc;
    }
    }
}

static quartet_status arith_decimal(enum expr_op op, const struct value *a, const struct value *b, struct value *out, struct err *err)
{
    struct decimal x = decimal_of(a), y = decimal_of(b), r;
    bool ok;
    *out = VALUE_NULL_INIT;
    if (y.v == 0 && (op == EXPR_DIV || op == EXPR_MOD || op == EXPR_IDIV))
        return QUARTET_OK;
    switch (op) {
    case EXPR_ADD:
        ok = decimal_add(x, y, &r);
        break;
    case EXPR_SUB:
        ok = decimal_sub(x, y, &r);
        break;
    case EXPR_MUL:
        ok = decimal_mul(x, y, &r);
        break;
    case EXPR_MOD:
        ok = decimal_mod(x, y, &r);
        break;
    default:
        ok = decimal_div(x, y, &r);
    }
    if (!ok)
        return ops_overflow(op_sign(op), a, b, err);
    *out = op == EXPR_IDIV ? value_int(decimal_to_int64(r)) : decimal_value(r);
    return QUARTET_OK;
}

/* ---- dates ---- */

static bool is_instant(const struct value *v)
{
    return v->type == VALUE_DATE || v->type == VALUE_TIMESTAMP;
}

static int64_t instant_us(const struct value *v)
{
    return v->type == VALUE_DATE ? v->i * DATETIME_DAY_US : v->i;
}

/* date - date: days, whole for two DATEs, else REAL. TIME - TIME: the same as a part of a day. */
static struct value date_difference(const struct value *a, const struct value *b)
{
    if (a->type == VALUE_DATE && b->type == VALUE_DATE)
        return value_int(a->i - b->i);
    double us = a->type == VALUE_TIME ? (double)(a->i - b->i) : (double)(instant_us(a) - instant_us(b));
    return real_value(us / (double)DATETIME_DAY_US);
}

/* What is added to a date: days as a number, or an interval as text. False: neither. */
static bool date_step(const struct value *v, int64_t *months, int64_t *us)
{
    struct value number;
    *months = 0;
    if (v->type == VALUE_TEXT && !types_number_from_text(v->s, true, &number))
        return datetime_parse_interval(v->s, months, us);
    if (v->type != VALUE_TEXT)
        types_to_number(v, &number);
    double days = 0;
    if (number.type == VALUE_INTEGER && number.i < 4000000 && number.i > -4000000) {
        *us = number.i * DATETIME_DAY_US;
        return true;
    }
    (void)types_to_double(&number, &days); /* not NULL */
    if (!(days < 4000000 && days > -4000000))
        return false;
    *us = llround(days * (double)DATETIME_DAY_US);
    return true;
}

/* A DATE or TIMESTAMP plus or minus a step. A DATE stays one where whole days were added. */
static quartet_status date_add(const struct value *date, const struct value *step, bool minus, struct value *out, struct err *err)
{
    int64_t months, us, result;
    if (!date_step(step, &months, &us))
        return err_set(err, QUARTET_MISMATCH, "a date takes a number of days or an interval such as '3 days'");
    if (!datetime_add(instant_us(date), minus ? -months : months, minus ? -us : us, true, &result))
        return err_set(err, QUARTET_ERROR, "overflow: dates go from year 0000 to 9999");
    if (date->type == VALUE_DATE && us % DATETIME_DAY_US == 0)
        *out = (struct value){.type = VALUE_DATE, .i = result / DATETIME_DAY_US};
    else
        *out = (struct value){.type = VALUE_TIMESTAMP, .i = result};
    return QUARTET_OK;
}

/* True where the operation was one on dates. */
static bool arith_dates(enum expr_op op, const struct value *a, const struct value *b, struct value *out, quartet_status *rc, struct err *err)
{
    bool a_date = is_instant(a), b_date = is_instant(b);
    if ((!a_date && !b_date && a->type != VALUE_TIME) || (op != EXPR_ADD && op != EXPR_SUB))
        return false;
    *rc = QUARTET_OK;
    if (op == EXPR_SUB && ((a_date && b_date) || (a->type == VALUE_TIME && b->type == VALUE_TIME))) {
        *out = date_difference(a, b);
        return true;
    }
    if (a_date && !b_date && b->type != VALUE_TIME)
        *rc = date_add(a, b, op == EXPR_SUB, out, err);
    else if (b_date && !a_date && op == EXPR_ADD && a->type != VALUE_TIME)
        *rc = date_add(b, a, false, out, err);
    else if (a_date && b->type == VALUE_TIME)
        *out = (struct value){.type = VALUE_TIMESTAMP, .i = instant_us(a) + (op == EXPR_SUB ? -b->i : b->i)};
    else
        return false;
    return true;
}

quartet_status ops_arith(enum expr_op op, const struct value *a, const struct value *b, struct value *out, struct err *err)
{
    if (a->type == VALUE_INTEGER && b->type == VALUE_INTEGER)
        return arith_int(op, a->i, b->i, out, err);
    *out = VALUE_NULL_INIT;
    if (a->type == VALUE_NULL || b->type == VALUE_NULL)
        return QUARTET_OK;
    quartet_status rc;
    if (arith_dates(op, a, b, out, &rc, err))
        return rc;
    struct value x, y;
    types_to_number(a, &x);
    types_to_number(b, &y);
    if (x.type == VALUE_REAL || y.type == VALUE_REAL)
        return arith_real(op, a, b, out, err); /* as they were: '3e2' % 2 goes by the digits before the e, as in SQLite */
    if (x.type == VALUE_DECIMAL || y.type == VALUE_DECIMAL)
        return arith_decimal(op, &x, &y, out, err);
    return arith_int(op, x.i, y.i, out, err);
}

quartet_status ops_negate(const struct value *v, struct value *out, struct err *err)
{
    struct value zero = value_int(0), number;
    types_to_number(v, &number);
    switch (number.type) {
    case VALUE_REAL:
        *out = real_value(-number.r);
        return QUARTET_OK;
    case VALUE_DECIMAL:
        number.dec = dec_make(-dec_get(number.dec));
        *out = number;
        return QUARTET_OK;
    case VALUE_INTEGER:
        return arith_int(EXPR_SUB, zero.i, number.i, out, err);
    default:
        *out = VALUE_NULL_INIT;
        return QUARTET_OK;
    }
}

static int64_t shift_left(int64_t v, int64_t by)
{
    if (by >= 0)
        return by >= 64 ? 0 : (int64_t)((uint64_t)v << by);
    if (by <= -64)
        return v < 0 ? -1 : 0;
    return v >> -by; /* arithmetic, in gcc and clang */
}

quartet_status ops_bits(enum expr_op op, const struct value *a, const struct value *b, struct value *out)
{
    int64_t x, y;
    *out = VALUE_NULL_INIT;
    if (!types_to_int64(a, &x) || !types_to_int64(b, &y))
        return QUARTET_OK;
    switch (op) {
    case EXPR_BITAND:
        *out = value_int(x & y);
        break;
    case EXPR_BITOR:
        *out = value_int(x | y);
        break;
    case EXPR_SHL:
        *out = value_int(shift_left(x, y));
        break;
    default:
        *out = value_int(shift_left(x, y == INT64_MIN ? INT64_MAX : -y));
    }
    return QUARTET_OK;
}

quartet_status ops_concat(const struct value *a, const struct value *b, struct arena *arena, struct value *out, struct err *err)
{
    *out = VALUE_NULL_INIT;
    if (a->type == VALUE_NULL || b->type == VALUE_NULL)
        return QUARTET_OK;
    struct slice x, y;
    quartet_status rc = types_text(a, arena, &x, err);
    if (rc == QUARTET_OK)
        rc = types_text(b, arena, &y, err);
    if (rc != QUARTET_OK)
        return rc;
    if (x.n + y.n > TYPES_VALUE_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "a text of %zu bytes: the limit is %u", x.n + y.n, TYPES_VALUE_BYTES_MAX);
    uint8_t *text = arena_alloc(arena, x.n + y.n);
    if (text == NULL)
        return arena_fail(arena, err);
    if (x.n > 0)
        memcpy(text, x.p, x.n);
    if (y.n > 0)
        memcpy(text + x.n, y.p, y.n);
    *out = value_text(text, x.n + y.n);
    bool blob = a->type == VALUE_BLOB || b->type == VALUE_BLOB;
    if (blob && ((a->type == VALUE_BLOB && b->type == VALUE_BLOB) || !utf8_valid(text, x.n + y.n)))
        out->type = VALUE_BLOB;
    return QUARTET_OK;
}

int ops_compare(enum expr_op op, const struct value *a, const struct value *b, bool nocase)
{
    bool a_null = a->type == VALUE_NULL, b_null = b->type == VALUE_NULL;
    if (op == EXPR_IS || op == EXPR_IS_NOT) {
        bool same = a_null || b_null ? a_null && b_null : types_compare(a, b, nocase) == 0;
        return same == (op == EXPR_IS);
    }
    if (a_null || b_null)
        return -1;
    return ops_holds(op, types_compare(a, b, nocase));
}

quartet_status ops_unary(const struct expr *e, const struct value *v, struct arena *arena, struct value *out, struct err *err)
{
    int t;
    int64_t i;
    switch (e->op) {
    case EXPR_NEG:
        return ops_negate(v, out, err);
    case EXPR_POS:
        *out = *v;
        return QUARTET_OK;
    case EXPR_BITNOT:
        *out = types_to_int64(v, &i) ? value_int(~i) : VALUE_NULL_INIT;
        return QUARTET_OK;
    case EXPR_NOT:
        t = types_truth(v);
        *out = ops_truth(t < 0 ? t : !t);
        return QUARTET_OK;
    case EXPR_IS_NULL:
        *out = value_int(v->type == VALUE_NULL);
        return QUARTET_OK;
    case EXPR_NOT_NULL:
        *out = value_int(v->type != VALUE_NULL);
        return QUARTET_OK;
    case EXPR_IS_TRUE:
    case EXPR_IS_FALSE:
        t = types_truth(v) == (e->op == EXPR_IS_TRUE);
        *out = value_int(t != ((e->flags & EXPR_NEGATED) != 0));
        return QUARTET_OK;
    case EXPR_AFFINITY:
        *out = *v;
        return types_affinity(e->u.affinity_to, out, arena, err);
    case EXPR_CAST:
        *out = *v;
        return (e->flags & EXPR_TRY) != 0 ? types_try_cast(&e->u.cast.type, out, arena, err) : types_cast(&e->u.cast.type, out, arena, err);
    default:
        *out = *v;
        return types_convert(&e->u.cast.type, e->u.cast.column, out, arena, err);
    }
}

enum expr_op ops_inverse(uint8_t op)
{
    switch (op) {
    case EXPR_EQ:
        return EXPR_NE;
    case EXPR_NE:
        return EXPR_EQ;
    case EXPR_LT:
        return EXPR_GE;
    case EXPR_GE:
        return EXPR_LT;
    case EXPR_GT:
        return EXPR_LE;
    case EXPR_LE:
        return EXPR_GT;
    case EXPR_IS:
        return EXPR_IS_NOT;
    case EXPR_IS_NOT:
        return EXPR_IS;
    case EXPR_IS_NULL:
        return EXPR_NOT_NULL;
    case EXPR_NOT_NULL:
        return EXPR_IS_NULL;
    default:
        return EXPR_NOT;
    }
}

quartet_status ops_binary(const struct expr *e, const struct value *a, const struct value *b, struct arena *arena, struct value *out,
                          struct err *err)
{
    switch (e->op) {
    case EXPR_ADD:
    case EXPR_SUB:
    case EXPR_MUL:
    case EXPR_DIV:
    case EXPR_MOD:
    case EXPR_IDIV:
        return ops_arith(e->op, a, b, out, err);
    case EXPR_CONCAT:
        return ops_concat(a, b, arena, out, err);
    case EXPR_BITAND:
    case EXPR_BITOR:
    case EXPR_SHL:
    case EXPR_SHR:
        return ops_bits(e->op, a, b, out);
    case EXPR_JSON_GET:
    case EXPR_JSON_GET_TEXT:
        return ops_json_get(a, b, e->op == EXPR_JSON_GET_TEXT, arena, out, err);
    case EXPR_XOR: {
        int x = types_truth(a), y = types_truth(b);
        *out = ops_truth(x < 0 || y < 0 ? -1 : x != y);
        return QUARTET_OK;
    }
    case EXPR_NULLIF: {
        bool equal = ops_compare(EXPR_EQ, a, b, (e->flags & EXPR_NOCASE) != 0) == 1;
        *out = equal ? VALUE_NULL_INIT : *a;
        return QUARTET_OK;
    }
    default:
        *out = ops_truth(ops_compare(e->op, a, b, (e->flags & EXPR_NOCASE) != 0));
        return QUARTET_OK;
    }
}

static enum like_kind like_kind_of(uint8_t op)
{
    switch (op) {
    case EXPR_LIKE:
        return LIKE_LIKE;
    case EXPR_ILIKE:
        return LIKE_ILIKE;
    case EXPR_GLOB:
        return LIKE_GLOB;
    case EXPR_REGEXP:
        return LIKE_REGEXP;
    default:
        return LIKE_SIMILAR;
    }
}

quartet_status ops_like_compile(const struct expr *e, const struct value *args, struct arena *arena, struct like_pattern **out, struct err *err)
{
    struct slice pattern, escape = {NULL, 0};
    quartet_status rc = types_text(&args[0], arena, &pattern, err);
    if (rc == QUARTET_OK && e->arg_count > 2)
        rc = types_text(&args[1], arena, &escape, err);
    return rc == QUARTET_OK ? like_compile(like_kind_of(e->op), pattern, escape, arena, out, err) : rc;
}

quartet_status ops_like(const struct expr *e, const struct value *v, const struct value *args, struct arena *arena, struct value *out,
                        struct err *err)
{
    *out = VALUE_NULL_INIT;
    if (v->type == VALUE_NULL || args[0].type == VALUE_NULL || (e->arg_count > 2 && args[1].type == VALUE_NULL))
        return QUARTET_OK;
    const struct like_pattern *pattern = e->u.pattern;
    if (pattern == NULL) {
        struct like_pattern *made;
        quartet_status rc = ops_like_compile(e, args, arena, &made, err);
        if (rc != QUARTET_OK)
            return rc;
        pattern = made;
    }
    struct slice text;
    bool match = false;
    quartet_status rc = types_text(v, arena, &text, err);
    bool blob = v->type == VALUE_BLOB || args[0].type == VALUE_BLOB; /* patterns are about text: a blob matches none */
    if (rc == QUARTET_OK && !blob)
        rc = like_match(pattern, text, &match, err);
    *out = value_int(match != ((e->flags & EXPR_NEGATED) != 0));
    return rc;
}

quartet_status expr_casefold(struct slice s, struct arena *a, struct slice *out, struct err *err)
{
    return collate_fold(s, a, out) ? QUARTET_OK : arena_fail(a, err);
}

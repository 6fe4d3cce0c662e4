/* types_cast.c - the lenient conversions: CAST, and what comparisons do to sides of different types.
 * Why beside the strict ones: CAST('12 apples' AS INTEGER) is 12 for every SQLite user, and WHERE id = '12' finds row 12; but neither may decide
 *   what is stored. */
#include "collate.h"
#include "datetime.h"
#include "decimal.h"
#include "json.h"

#include <math.h>
#include <string.h>

static bool is_number(uint8_t type)
{
    return type == VALUE_INTEGER || type == VALUE_REAL || type == VALUE_DECIMAL;
}

static bool is_textual(uint8_t type)
{
    return type == VALUE_TEXT || type == VALUE_JSON;
}

/* Types whose texts have one fixed form, so that a text beside them is meant as one of them. */
static bool has_fixed_text(uint8_t type)
{
    return type == VALUE_DATE || type == VALUE_TIME || type == VALUE_TIMESTAMP || type == VALUE_UUID;
}

static quartet_status cast_decimal(const struct type_decl *to, struct value *v, struct err *err)
{
    struct value number;
    struct decimal d;
    bool ok = true;
    types_to_number(v, &number);
    if (v->type == VALUE_TEXT && decimal_parse((const char *)v->s.p, v->s.n, &d)) /* more digits than a double holds */
        ok = true;
    else if (number.type == VALUE_REAL)
        ok = decimal_from_double(number.r, &d);
    else
        d = decimal_of(&number);
    if (ok && to->precision != 0) {
        __int128 limit = decimal_pow10(to->precision);
        ok = decimal_rescale(d, to->scale, &d, NULL) && d.v < limit && d.v > -limit;
    }
    if (!ok)
        return types_mismatch(to, v, err);
    *v = decimal_value(d);
    return QUARTET_OK;
}

static quartet_status cast_time_type(const struct type_decl *to, struct value *v, struct err *err)
{
    int64_t us = 0;
    enum datetime_form form = DATETIME_NONE;
    if (v->type == VALUE_TEXT) {
        form = datetime_parse(v->s, true, &us, NULL);
    } else if (v->type == VALUE_DATE || v->type == VALUE_TIMESTAMP) {
        form = DATETIME_BOTH;
        us = v->type == VALUE_DATE ? v->i * DATETIME_DAY_US : v->i;
    } else if (v->type == VALUE_TIME) {
        form = DATETIME_TIME;
        us = v->i;
    }
    if (form == DATETIME_NONE || (form == DATETIME_TIME && to->type != VALUE_TIME))
        return types_mismatch(to, v, err);
    int64_t days = datetime_floor_days(us);
    if (to->type == VALUE_DATE)
        us = days;
    else if (to->type == VALUE_TIME)
        us -= days * DATETIME_DAY_US;
    *v = (struct value){.type = to->type, .i = us};
    return QUARTET_OK;
}

quartet_status types_cast(const struct type_decl *to, struct value *v, struct arena *a, struct err *err)
{
    if (v->type == VALUE_NULL || (v->type == to->type && v->type != VALUE_DECIMAL && !to->is_boolean))
        return QUARTET_OK;
    struct slice s;
    switch (to->type) {
    case VALUE_INTEGER: {
        int64_t i = 0;
        struct err ignored = ERR_INIT;
        if (to->is_boolean && types_convert(to, NULL, v, a, &ignored) == QUARTET_OK) /* 'true'; takes no memory */
            return QUARTET_OK;
        if (to->is_boolean)
            i = types_truth(v) == 1;
        else
            (void)types_to_int64(v, &i); /* v is not NULL */
        *v = value_int(i);
        return QUARTET_OK;
    }
    case VALUE_REAL: {
        double r = 0;
        (void)types_to_double(v, &r); /* v is not NULL */
        *v = (struct value){.type = VALUE_REAL, .r = r};
        return QUARTET_OK;
    }
    case VALUE_DECIMAL:
        return cast_decimal(to, v, err);
    case VALUE_TEXT:
    case VALUE_BLOB: {
        quartet_status rc = types_text(v, a, &s, err);
        if (rc != QUARTET_OK)
            return rc;
        if (to->type == VALUE_TEXT && v->type == VALUE_BLOB && !utf8_valid(s.p, s.n))
            return types_mismatch(to, v, err);
        *v = (struct value){.type = to->type, .s = s};
        return QUARTET_OK;
    }
    case VALUE_DATE:
    case VALUE_TIME:
    case VALUE_TIMESTAMP:
        return cast_time_type(to, v, err);
    case VALUE_NULL:
        return QUARTET_OK;
    default:
        return types_convert(to, NULL, v, a, err);
    }
}

/* ---- comparison ---- */

void types_compare_affinity(uint8_t left, uint8_t right, uint8_t *left_to, uint8_t *right_to)
{
    *left_to = 0;
    *right_to = 0;
    if (left == right)
        return;
    if (has_fixed_text(left) && (right == 0 || right == VALUE_TEXT || right == VALUE_BLOB))
        *right_to = left;
    else if (has_fixed_text(right) && (left == 0 || left == VALUE_TEXT || left == VALUE_BLOB))
        *left_to = right;
    else if (left == VALUE_DECIMAL && !has_fixed_text(right))
        *right_to = VALUE_DECIMAL;
    else if (right == VALUE_DECIMAL && !has_fixed_text(left))
        *left_to = VALUE_DECIMAL;
    else if (is_number(left) && !is_number(right) && !has_fixed_text(right))
        *right_to = left;
    else if (is_number(right) && !is_number(left) && !has_fixed_text(left))
        *left_to = right;
    else if (is_textual(left) && right == 0)
        *right_to = VALUE_TEXT;
    else if (is_textual(right) && left == 0)
        *left_to = VALUE_TEXT;
}

/* A text as the fixed form of `type`, if it is one. DATE and TIMESTAMP are both instants: a text gets the one that it spells. */
static bool read_fixed(uint8_t type, struct value *v)
{
    int64_t us;
    bool cut;
    if (type == VALUE_UUID) {
        struct type_decl uuid = {.type = VALUE_UUID};
        struct err ignored = ERR_INIT;
        return types_convert(&uuid, NULL, v, NULL, &ignored) == QUARTET_OK; /* takes no memory */
    }
    enum datetime_form form = datetime_parse(v->s, false, &us, &cut);
    if (form == DATETIME_NONE || cut || (form == DATETIME_TIME) != (type == VALUE_TIME))
        return false;
    if (type == VALUE_DATE && us % DATETIME_DAY_US == 0)
        *v = (struct value){.type = VALUE_DATE, .i = us / DATETIME_DAY_US};
    else
        *v = (struct value){.type = type == VALUE_TIME ? VALUE_TIME : VALUE_TIMESTAMP, .i = us};
    return true;
}

quartet_status types_affinity(uint8_t type, struct value *v, struct arena *a, struct err *err)
{
    struct decimal d;
    if (v->type == type || v->type == VALUE_NULL)
        return QUARTET_OK;
    switch (type) {
    case VALUE_INTEGER:
    case VALUE_REAL:
        if (v->type == VALUE_TEXT)
            (void)types_number_from_text(v->s, true, v); /* no number: it stays as it is */
        return QUARTET_OK;
    case VALUE_DECIMAL:
        if (v->type == VALUE_REAL && decimal_from_double(v->r, &d))
            *v = decimal_value(d);
        else if (v->type == VALUE_TEXT && decimal_parse((const char *)v->s.p, v->s.n, &d))
            *v = decimal_value(d);
        return QUARTET_OK;
    case VALUE_TEXT:
        if (is_number(v->type)) {
            struct slice s;
            quartet_status rc = types_text(v, a, &s, err);
            if (rc != QUARTET_OK)
                return rc;
            *v = value_text(s.p, s.n);
        }
        return QUARTET_OK;
    default:
        if (has_fixed_text(type) && v->type == VALUE_TEXT)
            (void)read_fixed(type, v); /* not of that form: it stays as it is */
        return QUARTET_OK;
    }
}

int types_compare(const struct value *a, const struct value *b, bool nocase)
{
    if (a->type == VALUE_INTEGER && b->type == VALUE_INTEGER)
        return (a->i > b->i) - (a->i < b->i);
    if (is_textual(a->type) && is_textual(b->type))
        return nocase ? collate_nocase_cmp(a->s, b->s) : slice_cmp(a->s, b->s);
    struct value other;
    if (has_fixed_text(a->type) && b->type == VALUE_TEXT) {
        other = *b;
        return read_fixed(a->type, &other) ? value_cmp(a, &other) : value_cmp(a, b);
    }
    if (has_fixed_text(b->type) && a->type == VALUE_TEXT) {
        other = *a;
        return read_fixed(b->type, &other) ? value_cmp(&other, b) : value_cmp(a, b);
    }
    return value_cmp(a, b);
}

static enum types_fit fit_real(struct value *v)
{
    double f = floor(v->r);
    if (f < -9223372036854775808.0 || f >= 9223372036854775808.0)
        return TYPES_FIT_INEXACT;
    enum types_fit fit = f == v->r ? TYPES_FIT_EXACT : TYPES_FIT_NEVER;
    *v = value_int((int64_t)f);
    return fit;
}

enum types_fit types_fit(const struct type_decl *to, struct value *v, struct arena *a)
{
    struct value was = *v;
    struct err ignored = ERR_INIT;
    if (to->type == VALUE_NULL || (v->type == to->type && (to->type != VALUE_DECIMAL || v->scale == to->scale)))
        return TYPES_FIT_EXACT;
    if (to->type == VALUE_INTEGER && v->type == VALUE_REAL)
        return fit_real(v);
    struct type_decl plain = {.type = to->type, .precision = to->precision, .scale = to->scale};
    bool converted = types_convert(&plain, NULL, v, a, &ignored) == QUARTET_OK && v->type == to->type;
    bool text = was.type == VALUE_TEXT || was.type == VALUE_JSON;
    bool to_text = to->type == VALUE_TEXT || to->type == VALUE_JSON;
    if (converted && (to_text ? text : to->type != VALUE_BLOB && types_compare(v, &was, false) == 0)) /* a BLOB column takes texts, comparing does not */
        return TYPES_FIT_EXACT;
    *v = was;
    return TYPES_FIT_INEXACT;
}

/* Would CAST have to guess? */
static bool is_guess(const struct type_decl *to, const struct value *v)
{
    struct value number = *v;
    bool is_number = to->type == VALUE_INTEGER || to->type == VALUE_REAL || to->type == VALUE_DECIMAL;
    if (!is_number || v->type == VALUE_NULL)
        return false;
    if (v->type == VALUE_TEXT && !types_number_from_text(v->s, true, &number))
        return true;
    return to->type == VALUE_INTEGER && number.type == VALUE_REAL && !(number.r >= -9223372036854775808.0 && number.r < 9223372036854775808.0);
}

quartet_status types_try_cast(const struct type_decl *to, struct value *v, struct arena *a, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    struct value made = *v;
    if (to->is_boolean)
        rc = types_convert(to, "TRY_CAST", &made, a, err);
    else if (is_guess(to, v))
        made = (struct value)VALUE_NULL_INIT;
    else
        rc = types_cast(to, &made, a, err);
    if (rc == QUARTET_NOMEM || rc == QUARTET_LIMIT)
        return rc;
    if (rc != QUARTET_OK) {
        err_clear(err);
        made = (struct value)VALUE_NULL_INIT;
    }
    *v = made;
    return QUARTET_OK;
}

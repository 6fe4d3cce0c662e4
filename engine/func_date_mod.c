/* func_date_mod.c - the time values and modifiers of SQLite's date functions.
 * 'localtime' and 'utc' go by the session's zone, which is UTC until SET TIME ZONE: to take that of the machine would make four nodes give four answers. */
#include "func_date.h"
#include "tz.h"

#include <math.h>
#include <string.h>

#define JULIAN_EPOCH_MS INT64_C(210866760000000) /* 1970-01-01 as a Julian day, in milliseconds */

static bool in_range(struct date_result *r)
{
    r->ok = r->ok && datetime_in_range(r->us);
    return r->ok;
}

/* A number: a Julian day, unless the first modifier says seconds since 1970 (`unix_time`). */
static void from_number(double number, const struct value *exact, bool unix_time, struct date_result *r)
{
    r->ok = true;
    if (unix_time) {
        r->ok = number > -2e11 && number < 3e11;
        r->us = !r->ok ? 0 : exact->type == VALUE_INTEGER ? exact->i * 1000000 : llround(number * 1e3) * 1000;
    } else {
        r->ok = number >= 0 && number < 5373484.5;
        r->us = r->ok ? (llround(number * 86400000.0) - JULIAN_EPOCH_MS) * 1000 : 0;
    }
}

static bool blank_at(struct slice s, size_t i)
{
    return i < s.n && s.p[i] <= ' ';
}

/* number_said: a modifier says that it is one ('unixepoch', 'julianday'). */
static quartet_status read_time_value(const struct func_call *call, const struct value *v, bool number_said, bool unix_time, struct date_result *r, struct err *err)
{
    struct value number;
    switch (v->type) {
    case VALUE_DATE:
        *r = (struct date_result){.ok = true, .us = v->i * DATETIME_DAY_US};
        return QUARTET_OK;
    case VALUE_TIMESTAMP:
        *r = (struct date_result){.ok = true, .us = v->i};
        return QUARTET_OK;
    case VALUE_TIME: /* as SQLite takes '12:00': on 2000-01-01 */
        *r = (struct date_result){.ok = true, .us = datetime_days(2000, 1, 1) * DATETIME_DAY_US + v->i};
        return QUARTET_OK;
    case VALUE_INTEGER:
    case VALUE_REAL:
    case VALUE_DECIMAL:
        from_number(func_arg_real(v), v, unix_time, r);
        return QUARTET_OK;
    case VALUE_TEXT:
        break;
    default:
        return QUARTET_OK;
    }
    if (func_word(v->s, "now")) {
        r->ok = true;
        return func_now(call, &r->us, err);
    }
    enum datetime_form form = number_said || blank_at(v->s, 0) ? DATETIME_NONE : datetime_parse(v->s, true, &r->us, NULL);
    r->ok = form != DATETIME_NONE;
    if (form == DATETIME_TIME)
        r->us += datetime_days(2000, 1, 1) * DATETIME_DAY_US;
    if (form == DATETIME_NONE && types_number_from_text(v->s, true, &number))
        from_number(func_arg_real(&number), &number, unix_time, r);
    return QUARTET_OK;
}

static bool starts(struct slice s, const char *with, struct slice *rest)
{
    size_t n = strlen(with);
    if (s.n < n || strncasecmp((const char *)s.p, with, n) != 0)
        return false;
    *rest = slice_of(s.p + n, s.n - n);
    return true;
}

static void start_of(struct slice unit, struct date_result *r)
{
    struct datetime_civil c;
    datetime_civil(r->us, &c);
    if (func_word(unit, "month"))
        r->us = datetime_days(c.year, c.month, 1) * DATETIME_DAY_US;
    else if (func_word(unit, "year"))
        r->us = datetime_days(c.year, 1, 1) * DATETIME_DAY_US;
    else if (func_word(unit, "day"))
        r->us = datetime_floor_days(r->us) * DATETIME_DAY_US;
    else
        r->ok = false;
}

/* 'weekday N': on to the next such day, or to today. */
static void weekday(struct slice number, struct date_result *r)
{
    struct value v;
    if (!types_number_from_text(number, true, &v) || v.type != VALUE_INTEGER || v.i < 0 || v.i > 6) {
        r->ok = false;
        return;
    }
    int64_t days = datetime_floor_days(r->us), today = ((days + 4) % 7 + 7) % 7;
    r->us += ((v.i - today + 7) % 7) * DATETIME_DAY_US;
}

/* '+3 months', '-1.5 days', '+10:30': as SQLite, a month too short overflows into the next. */
static void shift(struct slice s, struct date_result *r)
{
    int64_t months, us;
    r->ok = !blank_at(s, 0) && !blank_at(s, s.n - 1) && datetime_parse_interval(s, &months, &us) && datetime_add(r->us, months, us, false, &r->us);
}

int64_t date_to_local(const struct tz *z, int64_t us)
{
    return us + (int64_t)tz_offset(z, date_seconds(us)) * 1000000;
}

int64_t date_from_local(const struct tz *z, int64_t us)
{
    int64_t seconds = date_seconds(us);
    return tz_from_local(z, seconds) * 1000000 + (us - seconds * 1000000);
}

static quartet_status by_zone(const struct func_call *call, bool to_local, struct date_result *r, struct err *err)
{
    const struct tz *z;
    quartet_status rc = func_zone(call, slice_of("", 0), &z, err);
    if (rc == QUARTET_OK)
        r->us = to_local ? date_to_local(z, r->us) : date_from_local(z, r->us);
    return rc;
}

static quartet_status modify(const struct func_call *call, struct slice s, struct date_result *r, struct err *err)
{
    struct slice rest;
    if (starts(s, "start of ", &rest))
        start_of(rest, r);
    else if (starts(s, "weekday ", &rest))
        weekday(rest, r);
    else if (func_word(s, "subsec") || func_word(s, "subsecond"))
        r->subsecond = true;
    else if (func_word(s, "localtime") || func_word(s, "utc"))
        return by_zone(call, func_word(s, "localtime"), r, err);
    else
        shift(s, r);
    return QUARTET_OK;
}

quartet_status date_read(const struct func_call *call, const struct value *args, uint32_t n, struct date_result *out, struct err *err)
{
    *out = (struct date_result){.ok = false};
    if (n == 0) {
        out->ok = true;
        return func_now(call, &out->us, err);
    }
    uint32_t k = 1;
    bool first_text = n > 1 && args[1].type == VALUE_TEXT;
    bool unix_time = first_text && func_word(args[1].s, "unixepoch"), julian = first_text && func_word(args[1].s, "julianday"), said = unix_time || julian;
    if (first_text && func_word(args[1].s, "auto")) { /* what is no Julian day counts seconds */
        double number = func_arg_real(&args[0]);
        unix_time = !(number >= 0 && number < 5373484.5);
        k = 2;
    }
    k += unix_time && k == 1;
    k += julian;
    quartet_status rc = read_time_value(call, &args[0], said, unix_time, out, err);
    for (; rc == QUARTET_OK && in_range(out) && k < n; k++) {
        struct slice s;
        rc = func_arg(call, &args[k], &s, err);
        if (rc == QUARTET_OK)
            rc = modify(call, s, out, err);
    }
    (void)in_range(out); /* the flag is in *out */
    return rc;
}

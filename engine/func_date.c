/* func_date.c - dates and times: SQLite's functions with their modifiers, and the usual ones of MySQL and the standard.
 * All times are UTC. SQLite's functions give TEXT as there; CURRENT_DATE, now() and the like give DATE, TIME and TIMESTAMP values, whose text is the same.
 * Not here: the calendar (datetime.c), modifiers (func_date_mod.c). */
#include "func_date.h"
#include "tz.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static quartet_status text_result(const struct func_call *call, const char *text, size_t n, struct value *out, struct err *err)
{
    const char *copy = arena_dup(call->ctx->arena, text, n);
    if (copy == NULL)
        return arena_fail(call->ctx->arena, err);
    *out = value_text(copy, n);
    return QUARTET_OK;
}

/* Julian day as SQLite prints it: milliseconds are what it counts in. */
static double julian_day(int64_t us)
{
    int64_t ms = us / 1000 - (us % 1000 < 0);
    return (double)(ms + INT64_C(210866760000000)) / 86400000.0;
}

enum { FORM_DATE, FORM_TIME, FORM_DATETIME, FORM_JULIAN, FORM_EPOCH };

static quartet_status f_date(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct date_result r;
    char text[TYPES_NUMBER_TEXT_BYTES];
    quartet_status rc = date_read(call, args, n, &r, err);
    if (rc != QUARTET_OK || !r.ok)
        return rc != QUARTET_OK ? rc : func_null(out);
    int64_t second = r.us - ((r.us % 1000000) + 1000000) % 1000000, shown = r.subsecond ? r.us - ((r.us % 1000) + 1000) % 1000 : second;
    int64_t of_day = shown - datetime_floor_days(shown) * DATETIME_DAY_US;
    size_t len;
    switch (call->func->code) {
    case FORM_DATE:
        return text_result(call, text, datetime_format_date(datetime_floor_days(r.us), text), out, err);
    case FORM_TIME:
        len = datetime_format_time(of_day, text);
        break;
    case FORM_DATETIME:
        len = datetime_format_timestamp(shown, text);
        break;
    case FORM_JULIAN:
        return func_real(out, julian_day(r.us));
    default:
        return r.subsecond ? func_real(out, (double)(shown / 1000) / 1000.0) : func_int(out, second / 1000000);
    }
    if (r.subsecond) { /* SQLite shows milliseconds */
        if (shown % 1000000 == 0) {
            memcpy(text + len, ".000", 4);
            len += 4;
        } else {
            len -= 3;
        }
    }
    return text_result(call, text, len, out, err);
}

/* ---- strftime ---- */

struct iso_week {
    int64_t year;
    uint32_t week;
};

static struct iso_week iso_week(int64_t days)
{
    int64_t weekday = ((days + 3) % 7 + 7) % 7; /* 0 is Monday */
    struct datetime_civil thursday;
    datetime_civil((days - weekday + 3) * DATETIME_DAY_US, &thursday);
    int64_t first = datetime_days(thursday.year, 1, 1);
    return (struct iso_week){thursday.year, (uint32_t)((days - weekday + 3 - first) / 7 + 1)};
}

/* One conversion of strftime. False: there is none of that letter. */
static bool put_conversion(struct buf *b, char letter, int64_t us, const struct datetime_civil *c)
{
    int64_t days = datetime_floor_days(us), weekday = ((days + 4) % 7 + 7) % 7, year_day = days - datetime_days(c->year, 1, 1);
    uint32_t hour12 = c->hour % 12 == 0 ? 12 : c->hour % 12;
    char text[TYPES_NUMBER_TEXT_BYTES];
    switch (letter) {
    case 'd': buf_printf(b, "%02d", c->day); return true;
    case 'e': buf_printf(b, "%2d", c->day); return true;
    case 'f': buf_printf(b, "%02d.%03u", c->second, c->micros / 1000); return true;
    case 'F': buf_printf(b, "%04d-%02d-%02d", c->year, c->month, c->day); return true;
    case 'G': buf_printf(b, "%04d", (int)iso_week(days).year); return true;
    case 'g': buf_printf(b, "%02d", (int)(iso_week(days).year % 100)); return true;
    case 'V': buf_printf(b, "%02u", iso_week(days).week); return true;
    case 'H': buf_printf(b, "%02d", c->hour); return true;
    case 'I': buf_printf(b, "%02u", hour12); return true;
    case 'k': buf_printf(b, "%2d", c->hour); return true;
    case 'l': buf_printf(b, "%2u", hour12); return true;
    case 'j': buf_printf(b, "%03d", (int)year_day + 1); return true;
    case 'J': buf_put(b, text, types_format_real(julian_day(us), text)); return true;
    case 'm': buf_printf(b, "%02d", c->month); return true;
    case 'M': buf_printf(b, "%02d", c->minute); return true;
    case 'p': buf_str(b, c->hour < 12 ? "AM" : "PM"); return true;
    case 'P': buf_str(b, c->hour < 12 ? "am" : "pm"); return true;
    case 'R': buf_printf(b, "%02d:%02d", c->hour, c->minute); return true;
    case 's': buf_printf(b, "%lld", (long long)(us / 1000000 - (us % 1000000 < 0))); return true;
    case 'S': buf_printf(b, "%02d", c->second); return true;
    case 'T': buf_printf(b, "%02d:%02d:%02d", c->hour, c->minute, c->second); return true;
    case 'u': buf_printf(b, "%d", (int)(weekday == 0 ? 7 : weekday)); return true;
    case 'w': buf_printf(b, "%d", (int)weekday); return true;
    case 'U': buf_printf(b, "%02d", (int)((year_day + 7 - weekday) / 7)); return true;
    case 'W': buf_printf(b, "%02d", (int)((year_day + 7 - (weekday + 6) % 7) / 7)); return true;
    case 'Y': buf_printf(b, "%04d", c->year); return true;
    case '%': buf_str(b, "%"); return true;
    default: return false;
    }
}

static quartet_status f_strftime(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct date_result r;
    struct slice format;
    struct datetime_civil c;
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    bool swapped = call->func->code == 1; /* date_format(time, format) */
    quartet_status rc = func_arg(call, &args[swapped], &format, err);
    if (rc == QUARTET_OK)
        rc = swapped ? date_read(call, args, 1, &r, err) : date_read(call, args + 1, n - 1, &r, err);
    if (rc != QUARTET_OK || !r.ok)
        return rc != QUARTET_OK ? rc : func_null(out);
    datetime_civil(r.us, &c);
    for (size_t i = 0; i < format.n; i++) {
        if (format.p[i] != '%') {
            buf_u8(&b, format.p[i]);
            continue;
        }
        if (++i == format.n || !put_conversion(&b, (char)format.p[i], r.us, &c)) {
            buf_deinit(&b);
            return func_null(out);
        }
    }
    return func_take(call, &b, out, err);
}

/* ---- now ---- */

enum { NOW_EXACT, NOW_SECOND, NOW_DATE, NOW_TIME, NOW_LOCAL_SECOND, NOW_LOCAL_TIME };

static quartet_status f_now(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)args;
    (void)n;
    int64_t us;
    quartet_status rc = func_now(call, &us, err);
    bool local = call->func->code == NOW_LOCAL_SECOND || call->func->code == NOW_LOCAL_TIME;
    const struct tz *z = NULL;
    if (rc == QUARTET_OK && local)
        rc = func_zone(call, slice_of("", 0), &z, err);
    if (rc != QUARTET_OK)
        return rc;
    us = local ? date_to_local(z, us) : us;
    int64_t days = datetime_floor_days(us), second = us - ((us % 1000000) + 1000000) % 1000000;
    switch (call->func->code) {
    case NOW_DATE:
        *out = (struct value){.type = VALUE_DATE, .i = days};
        break;
    case NOW_TIME:
    case NOW_LOCAL_TIME:
        *out = (struct value){.type = VALUE_TIME, .i = second - days * DATETIME_DAY_US};
        break;
    default:
        *out = (struct value){.type = VALUE_TIMESTAMP, .i = call->func->code == NOW_EXACT ? us : second};
    }
    return QUARTET_OK;
}

/* ---- parts ---- */

enum date_part {
    PART_NONE, PART_YEAR, PART_QUARTER, PART_MONTH, PART_WEEK, PART_DAY, PART_HOUR, PART_MINUTE, PART_SECOND, PART_MILLISECOND, PART_MICROSECOND,
    PART_DOW, PART_ISODOW, PART_DOY, PART_EPOCH, PART_DAYOFWEEK, PART_WEEKDAY, PART_ISOYEAR
};

static enum date_part part_named(struct slice s)
{
    static const struct {
        const char *name;
        enum date_part part;
    } parts[] = {
        {"year", PART_YEAR}, {"quarter", PART_QUARTER}, {"month", PART_MONTH}, {"week", PART_WEEK}, {"day", PART_DAY}, {"hour", PART_HOUR},
        {"minute", PART_MINUTE}, {"second", PART_SECOND}, {"millisecond", PART_MILLISECOND}, {"microsecond", PART_MICROSECOND}, {"dow", PART_DOW},
        {"isodow", PART_ISODOW}, {"doy", PART_DOY}, {"epoch", PART_EPOCH}, {"dayofweek", PART_DAYOFWEEK}, {"weekday", PART_WEEKDAY},
        {"dayofyear", PART_DOY}, {"isoyear", PART_ISOYEAR}, {"years", PART_YEAR}, {"months", PART_MONTH}, {"weeks", PART_WEEK}, {"days", PART_DAY},
        {"hours", PART_HOUR}, {"minutes", PART_MINUTE}, {"seconds", PART_SECOND}, {"milliseconds", PART_MILLISECOND},
        {"microseconds", PART_MICROSECOND},
    };
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
        if (func_word(s, parts[k].name))
            return parts[k].part;
    return PART_NONE;
}

static int64_t part_of(enum date_part part, int64_t us)
{
    struct datetime_civil c;
    int64_t days = datetime_floor_days(us), weekday = ((days + 4) % 7 + 7) % 7;
    datetime_civil(us, &c);
    switch (part) {
    case PART_YEAR:
        return c.year;
    case PART_QUARTER:
        return (c.month + 2) / 3;
    case PART_MONTH:
        return c.month;
    case PART_WEEK:
        return iso_week(days).week;
    case PART_ISOYEAR:
        return iso_week(days).year;
    case PART_DAY:
        return c.day;
    case PART_HOUR:
        return c.hour;
    case PART_MINUTE:
        return c.minute;
    case PART_SECOND:
        return c.second;
    case PART_MILLISECOND:
        return (int64_t)c.second * 1000 + c.micros / 1000;
    case PART_MICROSECOND:
        return (int64_t)c.second * 1000000 + c.micros;
    case PART_DOW:
        return weekday;
    case PART_ISODOW:
        return weekday == 0 ? 7 : weekday;
    case PART_DAYOFWEEK: /* ODBC: Sunday is 1 */
        return weekday + 1;
    case PART_WEEKDAY: /* MySQL: Monday is 0 */
        return (weekday + 6) % 7;
    case PART_DOY:
        return days - datetime_days(c.year, 1, 1) + 1;
    default:
        return us / 1000000 - (us % 1000000 < 0);
    }
}

/* year(x), month(x), ...: the part is the function's code. extract('year', x), date_part('year', x): code 0. */
static quartet_status f_part(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct date_result r;
    enum date_part part = call->func->code;
    struct slice name;
    quartet_status rc = date_read(call, &args[n - 1], 1, &r, err);
    if (rc == QUARTET_OK && part == PART_NONE) {
        rc = func_arg(call, &args[0], &name, err);
        part = rc == QUARTET_OK ? part_named(name) : PART_NONE;
        if (rc == QUARTET_OK && part == PART_NONE)
            return err_set(err, QUARTET_ERROR, "%s(): no part of a date is called '%.*s'", call->func->name, (int)(name.n > 40 ? 40 : name.n),
                           (const char *)name.p);
    }
    if (rc != QUARTET_OK || !r.ok)
        return rc != QUARTET_OK ? rc : func_null(out);
    return func_int(out, part_of(part, r.us));
}

static quartet_status timestamp_result(int64_t us, struct value *out)
{
    *out = (struct value){.type = VALUE_TIMESTAMP, .i = us};
    return QUARTET_OK;
}

static quartet_status f_trunc(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    struct date_result r;
    struct slice name;
    struct datetime_civil c;
    quartet_status rc = func_arg(call, &args[0], &name, err);
    if (rc == QUARTET_OK)
        rc = date_read(call, &args[1], 1, &r, err);
    if (rc != QUARTET_OK || !r.ok)
        return rc != QUARTET_OK ? rc : func_null(out);
    datetime_civil(r.us, &c);
    int64_t days = datetime_floor_days(r.us), unit;
    switch (part_named(name)) {
    case PART_YEAR:
        return timestamp_result(datetime_days(c.year, 1, 1) * DATETIME_DAY_US, out);
    case PART_QUARTER:
        return timestamp_result(datetime_days(c.year, (c.month - 1) / 3 * 3 + 1, 1) * DATETIME_DAY_US, out);
    case PART_MONTH:
        return timestamp_result(datetime_days(c.year, c.month, 1) * DATETIME_DAY_US, out);
    case PART_WEEK:
        return timestamp_result((days - ((days + 3) % 7 + 7) % 7) * DATETIME_DAY_US, out);
    case PART_DAY:
        return timestamp_result(days * DATETIME_DAY_US, out);
    case PART_HOUR:
        unit = INT64_C(3600000000);
        break;
    case PART_MINUTE:
        unit = 60000000;
        break;
    case PART_SECOND:
        unit = 1000000;
        break;
    case PART_MILLISECOND:
        unit = 1000;
        break;
    default:
        return err_set(err, QUARTET_ERROR, "date_trunc(): no part of a date is called '%.*s'", (int)(name.n > 40 ? 40 : name.n), (const char *)name.p);
    }
    return timestamp_result(r.us - ((r.us % unit) + unit) % unit, out);
}

/* ---- zones ---- */

/* timezone(zone, t), which t AT TIME ZONE zone is: what clocks there show. convert_tz(t, from, to): t is what clocks show in the one, and becomes what they show in the other. */
static quartet_status f_zone(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct date_result r;
    struct slice from, to;
    const struct tz *z;
    bool both = n == 3;
    quartet_status rc = date_read(call, &args[both ? 0 : 1], 1, &r, err);
    if (rc == QUARTET_OK)
        rc = func_arg(call, &args[both ? 2 : 0], &to, err);
    if (rc != QUARTET_OK || !r.ok)
        return rc != QUARTET_OK ? rc : func_null(out);
    if (both) {
        rc = func_arg(call, &args[1], &from, err);
        if (rc == QUARTET_OK)
            rc = func_zone(call, from, &z, err);
        if (rc != QUARTET_OK)
            return rc;
        r.us = date_from_local(z, r.us);
    }
    rc = func_zone(call, to, &z, err);
    if (rc != QUARTET_OK)
        return rc;
    r.us = date_to_local(z, r.us);
    return datetime_in_range(r.us) ? timestamp_result(r.us, out) : func_null(out);
}

/* ---- arithmetic ---- */

/* date_add(x, interval), date_sub: a number is days, a text an interval ('3 months'). */
static quartet_status f_add(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)n;
    struct date_result r;
    struct value date = args[0];
    if (date.type != VALUE_DATE && date.type != VALUE_TIMESTAMP) {
        quartet_status rc = date_read(call, args, 1, &r, err);
        if (rc != QUARTET_OK || !r.ok)
            return rc != QUARTET_OK ? rc : func_null(out);
        bool whole = r.us % DATETIME_DAY_US == 0;
        date = (struct value){.type = whole ? VALUE_DATE : VALUE_TIMESTAMP, .i = whole ? r.us / DATETIME_DAY_US : r.us};
    }
    return ops_arith(call->func->code == 0 ? EXPR_ADD : EXPR_SUB, &date, &args[1], out, err);
}

/* datediff(a, b): days from b to a (MySQL). datediff(part, a, b): parts from a to b (DuckDB, SQL Server): boundaries crossed. */
static quartet_status f_diff(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct date_result a, b;
    struct slice name = slice_of("day", 3);
    quartet_status rc = date_read(call, &args[n - 2], 1, &a, err);
    if (rc == QUARTET_OK)
        rc = date_read(call, &args[n - 1], 1, &b, err);
    if (rc == QUARTET_OK && n > 2)
        rc = func_arg(call, &args[0], &name, err);
    if (rc != QUARTET_OK || !a.ok || !b.ok)
        return rc != QUARTET_OK ? rc : func_null(out);
    if (n == 2)
        return func_int(out, datetime_floor_days(a.us) - datetime_floor_days(b.us));
    struct datetime_civil ca, cb;
    datetime_civil(a.us, &ca);
    datetime_civil(b.us, &cb);
    int64_t years = cb.year - ca.year, months = years * 12 + cb.month - ca.month, seconds = part_of(PART_EPOCH, b.us) - part_of(PART_EPOCH, a.us);
    int64_t days = datetime_floor_days(b.us) - datetime_floor_days(a.us);
    switch (part_named(name)) {
    case PART_YEAR:
        return func_int(out, years);
    case PART_QUARTER:
        return func_int(out, years * 4 + (cb.month - 1) / 3 - (ca.month - 1) / 3);
    case PART_MONTH:
        return func_int(out, months);
    case PART_WEEK:
        return func_int(out, (datetime_floor_days(b.us) + 700003) / 7 - (datetime_floor_days(a.us) + 700003) / 7);
    case PART_DAY:
        return func_int(out, days);
    case PART_HOUR:
        return func_int(out, days * 24 + cb.hour - ca.hour);
    case PART_MINUTE:
        return func_int(out, days * 1440 + (int64_t)(cb.hour - ca.hour) * 60 + cb.minute - ca.minute);
    case PART_SECOND:
        return func_int(out, seconds);
    case PART_MILLISECOND:
        return func_int(out, (b.us - a.us) / 1000);
    default:
        return err_set(err, QUARTET_ERROR, "datediff(): no part of a date is called '%.*s'", (int)(name.n > 40 ? 40 : name.n), (const char *)name.p);
    }
}

static quartet_status f_last_day(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct date_result r;
    struct datetime_civil c;
    quartet_status rc = date_read(call, args, n, &r, err);
    if (rc != QUARTET_OK || !r.ok)
        return rc != QUARTET_OK ? rc : func_null(out);
    datetime_civil(r.us, &c);
    *out = (struct value){.type = VALUE_DATE, .i = datetime_days(c.year, c.month + 1, 0)};
    return QUARTET_OK;
}

static quartet_status f_make_date(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)call;
    (void)n;
    (void)err;
    int64_t y = func_arg_int(&args[0]), m = func_arg_int(&args[1]), d = func_arg_int(&args[2]);
    if (y < 0 || y > 9999 || m < 1 || m > 12 || d < 1 || d > datetime_month_days(y, (uint32_t)m))
        return func_null(out);
    *out = (struct value){.type = VALUE_DATE, .i = datetime_days(y, m, d)};
    return QUARTET_OK;
}

static quartet_status f_from_epoch(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)call;
    (void)n;
    (void)err;
    double seconds = func_arg_real(&args[0]);
    if (!(seconds > -62167219201.0 && seconds < 253402300800.0))
        return func_null(out);
    int64_t us = args[0].type == VALUE_INTEGER ? args[0].i * 1000000 : llround(seconds * 1e6);
    return datetime_in_range(us) ? timestamp_result(us, out) : func_null(out);
}

#define PART(name, code) {name, 1, 1, FUNC_PURE, VALUE_INTEGER, code, f_part}
/* With 'now' (or no argument) these depend on the time: stable within a statement. */
#define SQLITE_DATE(name, type, code) {name, 0, -1, FUNC_STABLE | FUNC_STRICT, type, code, f_date}

const struct func func_date_table[] = {
    SQLITE_DATE("date", VALUE_TEXT, FORM_DATE),
    SQLITE_DATE("time", VALUE_TEXT, FORM_TIME),
    SQLITE_DATE("datetime", VALUE_TEXT, FORM_DATETIME),
    SQLITE_DATE("julianday", VALUE_REAL, FORM_JULIAN),
    SQLITE_DATE("unixepoch", 0, FORM_EPOCH),
    SQLITE_DATE("unix_timestamp", 0, FORM_EPOCH),
    {"strftime", 1, -1, FUNC_STABLE | FUNC_STRICT, VALUE_TEXT, 0, f_strftime},
    {"date_format", 2, 2, FUNC_STABLE | FUNC_STRICT, VALUE_TEXT, 1, f_strftime},
    {"now", 0, 0, FUNC_STABLE, VALUE_TIMESTAMP, NOW_EXACT, f_now},
    {"current_timestamp", 0, 1, FUNC_STABLE | FUNC_NO_PARENS, VALUE_TIMESTAMP, NOW_SECOND, f_now},
    {"localtimestamp", 0, 1, FUNC_STABLE | FUNC_NO_PARENS, VALUE_TIMESTAMP, NOW_LOCAL_SECOND, f_now},
    {"utc_timestamp", 0, 1, FUNC_STABLE | FUNC_NO_PARENS, VALUE_TIMESTAMP, NOW_SECOND, f_now},
    {"getdate", 0, 0, FUNC_STABLE, VALUE_TIMESTAMP, NOW_EXACT, f_now},
    {"current_date", 0, 0, FUNC_STABLE | FUNC_NO_PARENS, VALUE_DATE, NOW_DATE, f_now},
    {"curdate", 0, 0, FUNC_STABLE, VALUE_DATE, NOW_DATE, f_now},
    {"current_time", 0, 1, FUNC_STABLE | FUNC_NO_PARENS, VALUE_TIME, NOW_TIME, f_now},
    {"localtime", 0, 1, FUNC_STABLE | FUNC_NO_PARENS, VALUE_TIME, NOW_LOCAL_TIME, f_now},
    {"curtime", 0, 0, FUNC_STABLE, VALUE_TIME, NOW_TIME, f_now},
    {"extract", 2, 2, FUNC_STABLE | FUNC_STRICT, VALUE_INTEGER, PART_NONE, f_part},
    {"date_part", 2, 2, FUNC_STABLE | FUNC_STRICT, VALUE_INTEGER, PART_NONE, f_part},
    {"datepart", 2, 2, FUNC_STABLE | FUNC_STRICT, VALUE_INTEGER, PART_NONE, f_part},
    PART("year", PART_YEAR),
    PART("quarter", PART_QUARTER),
    PART("month", PART_MONTH),
    PART("week", PART_WEEK),
    PART("weekofyear", PART_WEEK),
    PART("day", PART_DAY),
    PART("dayofmonth", PART_DAY),
    PART("dayofweek", PART_DAYOFWEEK),
    PART("dayofyear", PART_DOY),
    PART("weekday", PART_WEEKDAY),
    PART("hour", PART_HOUR),
    PART("minute", PART_MINUTE),
    PART("second", PART_SECOND),
    PART("microsecond", PART_MICROSECOND),
    PART("epoch", PART_EPOCH),
    {"date_trunc", 2, 2, FUNC_PURE, VALUE_TIMESTAMP, 0, f_trunc},
    {"timezone", 2, 2, FUNC_STABLE | FUNC_STRICT | FUNC_ZONED, VALUE_TIMESTAMP, 0, f_zone},
    {"convert_tz", 3, 3, FUNC_STABLE | FUNC_STRICT | FUNC_ZONED, VALUE_TIMESTAMP, 0, f_zone},
    {"date_add", 2, 2, FUNC_PURE, 0, 0, f_add},
    {"adddate", 2, 2, FUNC_PURE, 0, 0, f_add},
    {"date_sub", 2, 2, FUNC_PURE, 0, 1, f_add},
    {"subdate", 2, 2, FUNC_PURE, 0, 1, f_add},
    {"datediff", 2, 3, FUNC_PURE, VALUE_INTEGER, 0, f_diff},
    {"date_diff", 2, 3, FUNC_PURE, VALUE_INTEGER, 0, f_diff},
    {"last_day", 1, 1, FUNC_PURE, VALUE_DATE, 0, f_last_day},
    {"make_date", 3, 3, FUNC_PURE, VALUE_DATE, 0, f_make_date},
    {"from_unixtime", 1, 1, FUNC_PURE, VALUE_TIMESTAMP, 0, f_from_epoch},
    {"to_timestamp", 1, 1, FUNC_PURE, VALUE_TIMESTAMP, 0, f_from_epoch},
    {NULL, 0, 0, 0, 0, 0, NULL},
};

/* tz_rule.c - POSIX TZ strings: the rule by which a zone's clocks change in the years past the table of its file.
 * Invariants: what is parsed is bounds-checked, so that no date computed from it overflows.
 * Not here: the table (tz.c). */
#include "datetime.h"
#include "tz.h"

#define HOUR 3600
#define DAY 86400
#define RULE_HOURS_MAX 167 /* of the time of a change: version 3 of the format */

struct reader {
    const uint8_t *p, *end;
};

static bool at(const struct reader *r, char c)
{
    return r->p < r->end && *r->p == (uint8_t)c;
}

static bool take(struct reader *r, char c)
{
    bool here = at(r, c);
    r->p += here;
    return here;
}

static bool letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* CET, or <+0330>. What it is called matters to nobody here. */
static bool skip_name(struct reader *r)
{
    const uint8_t *from = r->p;
    if (take(r, '<')) {
        while (r->p < r->end && *r->p != '>')
            r->p++;
        return take(r, '>') && r->p - from >= 3;
    }
    while (r->p < r->end && letter(*r->p))
        r->p++;
    return r->p - from >= 3;
}

static bool number(struct reader *r, int32_t max, int32_t *out)
{
    const uint8_t *from = r->p;
    int32_t v = 0;
    while (r->p < r->end && *r->p >= '0' && *r->p <= '9' && r->p - from < 4)
        v = v * 10 + (*r->p++ - '0');
    *out = v;
    return r->p > from && v <= max;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static bool hours(struct reader *r, int32_t max, int32_t *out)
{
    int32_t h, m = 0, s = 0;
    bool minus = take(r, '-');
    if (!minus)
        (void)take(r, '+'); /* it may stand there */
    bool ok = number(r, max, &h);
    if (ok && take(r, ':'))
        ok = number(r, 59, &m) && (!take(r, ':') || number(r, 59, &s));
    *out = (h * HOUR + m * 60 + s) * (minus ? -1 : 1);
    return ok;
}

static bool day(struct reader *r, struct tz_day *out)
{
    int32_t n = 0, month = 0, week = 0;
    bool ok;
    *out = (struct tz_day){.kind = TZ_DAY_ZERO, .time = 2 * HOUR};
    if (take(r, 'M')) {
        out->kind = TZ_DAY_MONTH;
        ok = number(r, 12, &month) && month > 0 && take(r, '.') && number(r, 5, &week) && week > 0 && take(r, '.') && number(r, 6, &n);
    } else if (take(r, 'J')) {
        out->kind = TZ_DAY_JULIAN;
        ok = number(r, 365, &n) && n > 0;
    } else {
        ok = number(r, 365, &n);
    }
    out->day = (uint16_t)n;
    out->month = (uint8_t)month;
    out->week = (uint8_t)week;
    return ok && (!take(r, '/') || hours(r, RULE_HOURS_MAX, &out->time));
}

bool tz_rule_parse(struct slice text, struct tz_rule *out)
{
    struct reader r = {text.p, text.p + text.n};
    int32_t west;
    *out = (struct tz_rule){0};
    if (!skip_name(&r) || !hours(&r, 24, &west))
        return false;
    out->standard = out->summer = -west; /* POSIX counts to the west */
    if (r.p == r.end)
        return true;
    out->has_summer = true;
    out->summer = out->standard + HOUR;
    if (!skip_name(&r))
        return false;
    if (!at(&r, ',')) {
        if (!hours(&r, 24, &west))
            return false;
        out->summer = -west;
    }
    return take(&r, ',') && day(&r, &out->from) && take(&r, ',') && day(&r, &out->until) && r.p == r.end;
}

/* When clocks change in a year, by the clock before: seconds as if it were UTC. */
static int64_t change(const struct tz_day *d, int64_t year)
{
    int64_t first = datetime_days(year, 1, 1);
    bool leap = datetime_month_days(year, 2) == 29;
    int64_t days = first + d->day;
    if (d->kind == TZ_DAY_JULIAN) {
        days = first + d->day - 1 + (leap && d->day > 59);
    } else if (d->kind == TZ_DAY_MONTH) {
        int64_t month = datetime_days(year, d->month, 1), weekday = ((month + 4) % 7 + 7) % 7;
        days = month + (d->day - weekday + 7) % 7 + 7 * (d->week - 1);
        if (days >= month + datetime_month_days(year, d->month))
            days -= 7;
    }
    return days * DAY + d->time;
}

int32_t tz_rule_offset(const struct tz_rule *r, int64_t utc)
{
    struct datetime_civil c;
    if (!r->has_summer)
        return r->standard;
    datetime_civil((utc + r->standard) * 1000000, &c);
    int64_t from = change(&r->from, c.year) - r->standard, until = change(&r->until, c.year) - r->summer;
    bool summer = from < until ? utc >= from && utc < until : utc >= from || utc < until;
    return summer ? r->summer : r->standard;
}

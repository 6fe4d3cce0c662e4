/* datetime.c - the calendar: days to civil dates and back, and reading and writing of dates and times.
 * Why of our own: libc's functions depend on locale, time zone and the width of time_t.
 * How: the calendar is counted from 1 March, so that the leap day is the last of a year (the method of H. Hinnant's "chrono-compatible
 *   low-level date algorithms"). */
#include "datetime.h"

#include <stdio.h>
#include <string.h>

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t datetime_days(int64_t year, int64_t month, int64_t day)
{
    year += floor_div(month - 1, 12);
    month = (month - 1) - floor_div(month - 1, 12) * 12 + 1;
    year -= month <= 2;
    int64_t era = floor_div(year, 400);
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468 + day - 1;
}

uint8_t datetime_month_days(int64_t year, uint32_t month)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return (uint8_t)(days[month - 1] + (month == 2 && leap));
}

void datetime_civil(int64_t us, struct datetime_civil *out)
{
    int64_t days = datetime_floor_days(us);
    int64_t rest = us - days * DATETIME_DAY_US;
    days += 719468;
    int64_t era = floor_div(days, 146097);
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t mp = (5 * day_of_year + 2) / 153;
    out->day = (uint8_t)(day_of_year - (153 * mp + 2) / 5 + 1);
    out->month = (uint8_t)(mp < 10 ? mp + 3 : mp - 9);
    out->year = (int32_t)(year_of_era + era * 400 + (out->month <= 2));
    out->hour = (uint8_t)(rest / INT64_C(3600000000));
    out->minute = (uint8_t)(rest / 60000000 % 60);
    out->second = (uint8_t)(rest / 1000000 % 60);
    out->micros = (uint32_t)(rest % 1000000);
}

int64_t datetime_from_civil(const struct datetime_civil *c)
{
    int64_t seconds = (int64_t)c->hour * 3600 + (int64_t)c->minute * 60 + c->second;
    return datetime_days(c->year, c->month, c->day) * DATETIME_DAY_US + seconds * 1000000 + c->micros;
}

bool datetime_in_range(int64_t us)
{
    return us >= DATETIME_DAYS_MIN * DATETIME_DAY_US && us < (DATETIME_DAYS_MAX + 1) * DATETIME_DAY_US;
}

/* ---- reading ---- */

struct reader {
    const uint8_t *p, *end;
};

static bool read_char(struct reader *r, char c)
{
    if (r->p >= r->end || *r->p != (uint8_t)c)
        return false;
    r->p++;
    return true;
}

static bool read_digits(struct reader *r, uint32_t digits, uint32_t max, uint32_t *out)
{
    uint32_t v = 0;
    if ((size_t)(r->end - r->p) < digits)
        return false;
    for (uint32_t k = 0; k < digits; k++) {
        if (r->p[k] < '0' || r->p[k] > '9')
            return false;
        v = v * 10 + (uint32_t)(r->p[k] - '0');
    }
    r->p += digits;
    *out = v;
    return v <= max;
}

static void skip_blanks(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || (*r->p >= '\t' && *r->p <= '\r')))
        r->p++;
}

static bool read_date(struct reader *r, bool lenient, int64_t *days)
{
    uint32_t year, month, day;
    if (!read_digits(r, 4, 9999, &year) || !read_char(r, '-') || !read_digits(r, 2, 12, &month) || !read_char(r, '-') ||
        !read_digits(r, 2, 31, &day) || month == 0 || day == 0 || (!lenient && day > datetime_month_days(year, month)))
        return false;
    *days = datetime_days(year, month, day);
    return true;
}

/* HH:MM[:SS[.f]] and what may follow it of a zone. */
static bool read_time(struct reader *r, bool lenient, int64_t *us, bool *cut)
{
    uint32_t hour, minute, second = 0;
    int64_t micros = 0;
    if (!read_digits(r, 2, lenient ? 24 : 23, &hour) || !read_char(r, ':') || !read_digits(r, 2, 59, &minute))
        return false;
    if (read_char(r, ':')) {
        if (!read_digits(r, 2, 59, &second))
            return false;
        if (read_char(r, '.')) {
            int64_t unit = 100000;
            if (r->p >= r->end || *r->p < '0' || *r->p > '9')
                return false;
            for (; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++) {
                micros += unit * (*r->p - '0');
                if (unit == 0 && *r->p != '0' && cut != NULL)
                    *cut = true;
                unit /= 10;
            }
        }
    }
    *us = ((int64_t)hour * 3600 + (int64_t)minute * 60 + second) * 1000000 + micros;
    skip_blanks(r);
    if (read_char(r, 'Z') || read_char(r, 'z') || r->p == r->end)
        return true;
    if (r->end - r->p >= 3 && memcmp(r->p, "UTC", 3) == 0) {
        r->p += 3;
        return true;
    }
    bool west = *r->p == '-';
    if (!read_char(r, '-') && !read_char(r, '+'))
        return false;
    uint32_t zone_hour, zone_minute = 0;
    if (!read_digits(r, 2, 15, &zone_hour))
        return false;
    if ((read_char(r, ':') || r->p < r->end) && !read_digits(r, 2, 59, &zone_minute))
        return false;
    int64_t zone = ((int64_t)zone_hour * 60 + zone_minute) * 60000000;
    *us += west ? zone : -zone;
    return true;
}

enum datetime_form datetime_parse(struct slice s, bool lenient, int64_t *us, bool *cut)
{
    struct reader r = {s.p, s.p + s.n};
    int64_t days = 0, time = 0;
    if (cut != NULL)
        *cut = false;
    skip_blanks(&r);
    if (r.end - r.p >= 3 && r.p[2] == ':') {
        if (!read_time(&r, lenient, &time, cut))
            return DATETIME_NONE;
        skip_blanks(&r);
        *us = ((time % DATETIME_DAY_US) + DATETIME_DAY_US) % DATETIME_DAY_US;
        return r.p == r.end ? DATETIME_TIME : DATETIME_NONE;
    }
    if (!read_date(&r, lenient, &days))
        return DATETIME_NONE;
    *us = days * DATETIME_DAY_US;
    bool mark = read_char(&r, 'T') || read_char(&r, 't');
    skip_blanks(&r);
    if (r.p == r.end)
        return mark ? DATETIME_NONE : DATETIME_DATE;
    if (!read_time(&r, lenient, &time, cut))
        return DATETIME_NONE;
    skip_blanks(&r);
    *us += time;
    return r.p == r.end && datetime_in_range(*us) ? DATETIME_BOTH : DATETIME_NONE;
}

/* ---- writing ---- */

static char *put_number(char *p, uint32_t v, int digits)
{
    for (int k = digits - 1; k >= 0; k--) {
        p[k] = (char)('0' + (char)(v % 10));
        v /= 10;
    }
    return p + digits;
}

static char *put_date(char *p, const struct datetime_civil *c)
{
    p = put_number(p, (uint32_t)c->year, 4);
    *p++ = '-';
    p = put_number(p, c->month, 2);
    *p++ = '-';
    return put_number(p, c->day, 2);
}

static char *put_time(char *p, const struct datetime_civil *c)
{
    p = put_number(p, c->hour, 2);
    *p++ = ':';
    p = put_number(p, c->minute, 2);
    *p++ = ':';
    p = put_number(p, c->second, 2);
    if (c->micros == 0)
        return p;
    *p++ = '.';
    return put_number(p, c->micros, 6);
}

/* A day outside of what the text form can show can only come from a damaged or foreign value: shown as a number of days. */
size_t datetime_format_date(int64_t days, char out[TYPES_NUMBER_TEXT_BYTES])
{
    struct datetime_civil c;
    if (days < DATETIME_DAYS_MIN || days > DATETIME_DAYS_MAX)
        return types_format_int(days, out);
    datetime_civil(days * DATETIME_DAY_US, &c);
    return (size_t)(put_date(out, &c) - out);
}

size_t datetime_format_time(int64_t us, char out[TYPES_NUMBER_TEXT_BYTES])
{
    struct datetime_civil c;
    if (us < 0 || us >= DATETIME_DAY_US)
        return types_format_int(us, out);
    datetime_civil(us, &c);
    return (size_t)(put_time(out, &c) - out);
}

size_t datetime_format_timestamp(int64_t us, char out[TYPES_NUMBER_TEXT_BYTES])
{
    struct datetime_civil c;
    if (!datetime_in_range(us))
        return types_format_int(us, out);
    datetime_civil(us, &c);
    char *p = put_date(out, &c);
    *p++ = ' ';
    return (size_t)(put_time(p, &c) - out);
}

/* ---- adding ---- */

bool datetime_add(int64_t us, int64_t months, int64_t add_us, bool clamp, int64_t *out)
{
    if (months != 0) {
        if (months > 120000 || months < -120000)
            return false;
        struct datetime_civil c;
        datetime_civil(us, &c);
        int64_t month = (int64_t)c.year * 12 + c.month - 1 + months;
        int64_t year = floor_div(month, 12);
        if (year < 0 || year > 9999)
            return false;
        month = month - year * 12 + 1;
        int64_t day = c.day;
        if (clamp && day > datetime_month_days(year, (uint32_t)month))
            day = datetime_month_days(year, (uint32_t)month);
        us = datetime_days(year, month, day) * DATETIME_DAY_US + (us - datetime_floor_days(us) * DATETIME_DAY_US);
    }
    return !__builtin_add_overflow(us, add_us, out) && datetime_in_range(*out);
}

static const struct {
    const char *name;
    int64_t months, us;
} units[] = {
    {"microsecond", 0, 1}, {"millisecond", 0, 1000}, {"second", 0, 1000000}, {"minute", 0, 60000000}, {"hour", 0, INT64_C(3600000000)},
    {"day", 0, DATETIME_DAY_US}, {"week", 0, 7 * DATETIME_DAY_US}, {"month", 1, 0}, {"quarter", 3, 0}, {"year", 12, 0},
    {"sec", 0, 1000000}, {"min", 0, 60000000}, {"h", 0, INT64_C(3600000000)},
};

static bool unit_named(const uint8_t *p, size_t n, int64_t *months, int64_t *us)
{
    if (n > 1 && (p[n - 1] == 's' || p[n - 1] == 'S'))
        n--;
    for (size_t k = 0; k < sizeof units / sizeof *units; k++)
        if (strlen(units[k].name) == n && strncasecmp(units[k].name, (const char *)p, n) == 0) {
            *months = units[k].months;
            *us = units[k].us;
            return true;
        }
    return false;
}

/* One "<number> <unit>" of an interval, added to the sums. */
static bool read_interval_part(struct reader *r, int64_t *months, int64_t *us)
{
    const uint8_t *start = r->p;
    while (r->p < r->end && (*r->p == '+' || *r->p == '-' || *r->p == '.' || (*r->p >= '0' && *r->p <= '9')))
        r->p++;
    double number;
    if (!types_parse_real((const char *)start, (size_t)(r->p - start), &number) || number > 1e12 || number < -1e12)
        return false;
    skip_blanks(r);
    const uint8_t *word = r->p;
    while (r->p < r->end && ((*r->p | 32) >= 'a' && (*r->p | 32) <= 'z'))
        r->p++;
    int64_t unit_months, unit_us;
    if (!unit_named(word, (size_t)(r->p - word), &unit_months, &unit_us))
        return false;
    double add_us = number * (double)unit_us, add_months = number * (double)unit_months;
    if (add_us > 9e18 || add_us < -9e18 || add_months > 1e9 || add_months < -1e9)
        return false;
    *months += (int64_t)add_months;
    return !__builtin_add_overflow(*us, (int64_t)(add_us < 0 ? add_us - 0.5 : add_us + 0.5), us);
}

bool datetime_parse_interval(struct slice s, int64_t *months, int64_t *us)
{
    struct reader r = {s.p, s.p + s.n};
    *months = 0;
    *us = 0;
    skip_blanks(&r);
    if (r.p == r.end)
        return false;
    for (; r.p < r.end; skip_blanks(&r)) {
        struct reader clock = r;
        bool minus = read_char(&clock, '-');
        if (!minus)
            (void)read_char(&clock, '+'); /* an optional sign */
        if (clock.end - clock.p >= 5 && clock.p[2] == ':') {
            int64_t time;
            if (!read_time(&clock, false, &time, NULL))
                return false;
            *us += minus ? -time : time;
            r = clock;
            continue;
        }
        if (!read_interval_part(&r, months, us))
            return false;
    }
    return true;
}

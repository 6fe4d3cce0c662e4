/* datetime.h - dates and times as numbers: days and microseconds since 1970-01-01 in the proleptic Gregorian calendar, and their texts.
 *
 * Years are 0000 to 9999, as the text form has four digits; what lies outside is refused. All times are UTC. */
#ifndef ENGINE_DATETIME_H
#define ENGINE_DATETIME_H

#include "types.h"

#define DATETIME_DAY_US INT64_C(86400000000)
#define DATETIME_DAYS_MIN INT64_C(-719528) /* 0000-01-01 */
#define DATETIME_DAYS_MAX INT64_C(2932896) /* 9999-12-31 */

struct datetime_civil {
    int32_t year;
    uint8_t month, day; /* from 1 */
    uint8_t hour, minute, second;
    uint32_t micros;
};

int64_t datetime_days(int64_t year, int64_t month, int64_t day); /* month and day may overflow: month 13 is the next January */
uint8_t datetime_month_days(int64_t year, uint32_t month);
void datetime_civil(int64_t us, struct datetime_civil *out);
int64_t datetime_from_civil(const struct datetime_civil *c);
bool datetime_in_range(int64_t us);
static inline int64_t datetime_floor_days(int64_t us)
{
    return us / DATETIME_DAY_US - (us % DATETIME_DAY_US < 0);
}

enum datetime_form { DATETIME_NONE, DATETIME_DATE, DATETIME_TIME, DATETIME_BOTH };
/* Read 'YYYY-MM-DD', 'YYYY-MM-DD HH:MM[:SS[.ffffff]]' (or with T), or 'HH:MM[:SS[.f]]', the latter two with an optional Z or +HH[:MM] that is
 * subtracted; blanks around are allowed. *us: microseconds since 1970, or of the day. More than six digits of a second are cut, *cut (may be NULL)
 * tells it. `lenient`: days up to 31 in every month overflow into the next, as SQLite's functions take them. */
enum datetime_form datetime_parse(struct slice s, bool lenient, int64_t *us, bool *cut);

/* Text without NUL; the length is returned. Microseconds are written where they are not 0. */
size_t datetime_format_date(int64_t days, char out[TYPES_NUMBER_TEXT_BYTES]);
size_t datetime_format_time(int64_t us, char out[TYPES_NUMBER_TEXT_BYTES]);
size_t datetime_format_timestamp(int64_t us, char out[TYPES_NUMBER_TEXT_BYTES]);

/* Add to a timestamp: months first (a day past the end of its month is cut to it where `clamp`, else it overflows), then microseconds. False: out of range. */
bool datetime_add(int64_t us, int64_t months, int64_t add_us, bool clamp, int64_t *out);
/* '3 days', '1 year 2 months', '-1 day 02:30:00', '2 hours': into months and microseconds. False: no such thing. */
bool datetime_parse_interval(struct slice s, int64_t *months, int64_t *us);

#endif

/* tz.h - time zones: what clocks show where, from the system's tz database (TZif files, RFC 8536).
 *
 * A zone belongs to the cache that gave it and lives as long as that. Offsets are seconds east of UTC. */
#ifndef ENGINE_TZ_H
#define ENGINE_TZ_H

#include "base/bytes.h"
#include "base/env.h"

#define TZ_NAME_BYTES_MAX 64u
#define TZ_FILE_BYTES_MAX (256u << 10) /* the largest of today's has 3.6 KiB */
#define TZ_OFFSET_MAX 93599            /* 25:59:59, as in RFC 8536 */

struct tz;

/* The offset in force at an instant (Unix seconds). */
int32_t tz_offset(const struct tz *z, int64_t utc);
/* The instant at which clocks of the zone show `local` (seconds as if it were UTC). Shown twice, when clocks go back: the first time. Never shown, when they go
 * forward: read by the offset before, so 02:30 is what is called 03:30 a moment later. */
int64_t tz_from_local(const struct tz *z, int64_t local);
const char *tz_name(const struct tz *z);

/* A zone from the bytes of a TZif file. QUARTET_CORRUPT: it is none; the text says why. *out is the caller's. */
quartet_status tz_read(const char *name, struct slice file, struct tz **out, struct err *err);
/* One whose offset is always the same. */
quartet_status tz_fixed(const char *name, int32_t offset, struct tz **out, struct err *err);
void tz_free(struct tz *z); /* NULL is allowed */

/* A POSIX TZ string, the footer of a TZif file: "CET-1CEST,M3.5.0,M10.5.0/3". */
struct tz_day {
    uint8_t kind; /* enum tz_day_kind */
    uint16_t day; /* JULIAN: 1 to 365, 29 February never counted; ZERO: 0 to 365; MONTH: 0 (Sunday) to 6 */
    uint8_t month, week; /* MONTH; week 5 is the last */
    int32_t time; /* seconds of the day, by the clock before the change; may be negative or past 24 hours */
};
enum tz_day_kind { TZ_DAY_JULIAN, TZ_DAY_ZERO, TZ_DAY_MONTH };
struct tz_rule {
    int32_t standard, summer; /* offsets */
    bool has_summer;
    struct tz_day from, until; /* of summer time */
};
bool tz_rule_parse(struct slice text, struct tz_rule *out);
int32_t tz_rule_offset(const struct tz_rule *r, int64_t utc);

/* Zones that were asked for, by name; read once each. Thread-safe. */
struct tz_cache;
quartet_status tz_cache_new(struct env *env, struct tz_cache **out, struct err *err); /* env is borrowed */
void tz_cache_free(struct tz_cache *c); /* with all its zones; NULL is allowed */
/* "Europe/Rome", "UTC", "+02:00", "-5". QUARTET_ERROR: there is no such zone. */
quartet_status tz_find(struct tz_cache *c, struct slice name, const struct tz **out, struct err *err);

#endif

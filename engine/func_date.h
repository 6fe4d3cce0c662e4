/* func_date.h - reading a time and its modifiers, as date('now', '-1 day') has them. Inside engine/func_date*.c only. */
#ifndef ENGINE_FUNC_DATE_H
#define ENGINE_FUNC_DATE_H

#include "datetime.h"
#include "func_impl.h"

struct date_result {
    bool ok;        /* false: NULL */
    bool subsecond; /* the modifier 'subsec' */
    int64_t us;
};
static inline int64_t date_seconds(int64_t us) /* since 1970 */
{
    return us / 1000000 - (us % 1000000 < 0);
}
/* What clocks of the zone show at an instant, and back (tz.h). */
struct tz;
int64_t date_to_local(const struct tz *z, int64_t us);
int64_t date_from_local(const struct tz *z, int64_t us);
/* args[0] is the time ('now' where n is 0), the rest modifiers. */
quartet_status date_read(const struct func_call *call, const struct value *args, uint32_t n, struct date_result *out, struct err *err);

#endif

/* db_clock.c - this node's clock among the members' (DESIGN: 250 ms ahead of the median of three or more a node commits nothing; what is stamped 5 s past the
 * median is held until its time comes).
 * Why the median and not our own clock decides what is held: a node whose clock is behind would hold all that others write; one that is ahead would let through
 *   what no other member takes.
 * Not here: what the peers' clocks say (node_clock.c); stamps (crdt/hlc.c). */
#include "base/log.h"
#include "db_internal.h"

void db_set_clock(db *d, int64_t median_us, uint32_t clocks)
{
    int64_t median_ms = clocks >= DB_CLOCKS_MIN ? median_us / 1000 : 0;
    int64_t before = atomic_exchange(&d->clock_median_ms, median_ms);
    bool was = before < -DB_CLOCK_AHEAD_MS_MAX, is = median_ms < -DB_CLOCK_AHEAD_MS_MAX;
    struct err why = ERR_INIT;
    if (is && !was && db_clock_check(d, &why) != QUARTET_OK)
        log_line(d->env, LOG_ERROR, "db", "%s", why.text);
    else if (was && !is)
        log_line(d->env, LOG_INFO, "db", "this node's clock is no longer ahead of the members': it commits again");
}

int64_t db_clock_ahead_ms(db *d)
{
    return -atomic_load(&d->clock_median_ms);
}

quartet_status db_clock_check(db *d, struct err *err)
{
    int64_t ahead = db_clock_ahead_ms(d);
    if (ahead <= DB_CLOCK_AHEAD_MS_MAX)
        return QUARTET_OK;
    return err_set(err, QUARTET_READONLY, "this node's clock is %lld ms ahead of the median of the members' clocks, limit %d: it commits nothing until its clock is right "
                                          "(does a time service keep it?). Other nodes take writes", (long long)ahead, DB_CLOCK_AHEAD_MS_MAX);
}

uint64_t db_members_wall_ms(db *d)
{
    int64_t ms = (int64_t)env_wall_ms(d->env) + atomic_load(&d->clock_median_ms);
    return ms > 0 ? (uint64_t)ms : 0;
}

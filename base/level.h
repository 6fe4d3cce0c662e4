/* level.h - protocol levels: what versions of Quartet that run side by side may say to each other.
 *
 * A build speaks all levels from LEVEL_MIN to LEVEL_MAX and tells so in its status. Two things follow:
 * - Between two nodes: what only they see (kinds of messages, fields) goes by the link's level, the highest that both speak.
 * - In the cluster: what others store and relay as it is, kinds of operations in deltas above all, is written only once every member is known to speak the level that
 *   brought it (net/gossip_level.c). From then on it is in use for good: the database remembers it (engine/db_level.c), and a build that does not speak it is refused.
 * Who adds something new takes the next level here, lists it, and says in level_of_operations() whether it is of the second sort. docs/OPERATIONS.md, "Upgrading". */
#ifndef BASE_LEVEL_H
#define BASE_LEVEL_H

#include <stdint.h>

#define LEVEL_FIRST 1u /* deltas of version 4, status of version 6, membership documents, snapshots and hashes as WIRE.md has them */
#define LEVEL_ZIPPED 2u /* on a link: compressed messages */
#define LEVEL_NEXT  3u /* spoken by quartetd-next alone, a build that only tests make: plays the version after this one */

#define LEVEL_MIN LEVEL_FIRST
#ifdef QUARTET_PLAYS_NEXT
#define LEVEL_MAX LEVEL_NEXT
#else
#define LEVEL_MAX LEVEL_ZIPPED
#endif
#define LEVEL_LIMIT 250u /* no number past it is a level */

/* The newest level, up to this one, that brought a kind of operation or anything else that others must be able to store. */
static inline uint32_t level_of_operations(uint32_t level)
{
    return level >= LEVEL_NEXT ? LEVEL_NEXT : LEVEL_FIRST;
}

#endif

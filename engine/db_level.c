/* db_level.c - the level of operations in use (base/level.h): which kinds of operations this database may hold, kept in a file of its own, DIR/level.
 * Why a file, and why before anything of the level is written: a build that does not speak the level must find out before it reads the log, in which it would take for damage
 *   what it does not know. There is no such file as long as the first level is in use.
 * Not here: when the members of a cluster have all come to speak a level (net/gossip_level.c). */
#include <stdio.h>
#include <string.h>

#include "base/level.h"
#include "base/log.h"
#include "base/mem.h"
#include "db_internal.h"
#include "quartet.h"

#define FILE_NAME "level"
#define FILE_BYTES_MAX 64u
static const char file_head[] = "quartet level ";

uint32_t db_level(db *d)
{
    return atomic_load(&d->level);
}

static bool has_file(const db *d)
{
    return !d->options.in_memory;
}

quartet_status db_level_load(db *d, struct err *err)
{
    char path[DB_PATH_BYTES_MAX];
    uint8_t *bytes = NULL;
    size_t n = 0;
    uint32_t level = 0;
    atomic_store(&d->level, LEVEL_FIRST);
    if (!has_file(d))
        return QUARTET_OK;
    quartet_status rc = path_join(path, sizeof path, d->path, FILE_NAME, err);
    if (rc != QUARTET_OK || !d->env->ops->exists(d->env, path))
        return rc;
    rc = env_read_file(d->env, path, FILE_BYTES_MAX, &bytes, &n, err);
    size_t at = sizeof file_head - 1;
    bool ok = rc == QUARTET_OK && n > at + 1 && n <= at + 4 && memcmp(bytes, file_head, at) == 0 && bytes[n - 1] == '\n';
    for (; ok && at < n - 1; at++) {
        ok = bytes[at] >= '0' && bytes[at] <= '9';
        level = level * 10 + (uint32_t)(bytes[at] - '0');
    }
    mem_free(bytes);
    if (rc != QUARTET_OK)
        return rc;
    if (!ok || level < LEVEL_FIRST || level > LEVEL_LIMIT)
        return err_set(err, QUARTET_CORRUPT, "%.300s: it does not say the level of the operations in use", path);
    if (level > LEVEL_MAX)
        return err_set(err, QUARTET_CANTOPEN, "%.300s holds operations of level %u, and this build (version %s) knows those up to %u: it takes the newer version that wrote them, or another. "
                                              "OPERATIONS.md, \"Upgrading\"", d->path, level, QUARTET_VERSION, LEVEL_MAX);
    atomic_store(&d->level, level);
    return QUARTET_OK;
}

quartet_status db_raise_level(db *d, uint32_t level, struct err *err)
{
    char path[DB_PATH_BYTES_MAX], text[FILE_BYTES_MAX];
    QASSERT(level <= LEVEL_MAX);
    if (level <= db_level(d))
        return QUARTET_OK;
    quartet_status rc = QUARTET_OK;
    if (has_file(d)) {
        int n = snprintf(text, sizeof text, "%s%u\n", file_head, level); /* fits */
        rc = path_join(path, sizeof path, d->path, FILE_NAME, err);
        if (rc == QUARTET_OK)
            rc = env_write_file(d->env, path, text, (size_t)n, err); /* and it is on disk */
    }
    if (rc != QUARTET_OK)
        return rc;
    atomic_store(&d->level, level);
    log_line(d->env, LOG_INFO, "db", "operations of level %u are in use from now on: versions of Quartet that do not know them cannot open this directory any more", level);
    return QUARTET_OK;
}

quartet_status db_level_to_write(db *d, uint32_t *level, struct err *err)
{
    uint32_t newest = level_of_operations(LEVEL_MAX);
    quartet_status rc = d->identity.member ? QUARTET_OK : db_raise_level(d, newest, err); /* alone it asks nobody */
    *level = db_level(d);
    return rc;
}

uint32_t db_payload_level(struct slice payload)
{
    struct bytes_in in = bytes_in(payload.p, payload.n);
    struct slice delta;
    uint32_t level = LEVEL_FIRST;
    while (batch_next_delta(&in, &delta))
        level = delta_level(delta) > level ? delta_level(delta) : level;
    return level;
}

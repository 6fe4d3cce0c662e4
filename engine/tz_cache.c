/* tz_cache.c - time zones by name: fixed offsets, UTC, and files of the system's tz database.
 * Why kept until the database closes: an expression asks for its zone in every row, and there are some hundred zones of some KiB.
 * Invariants: a name that reaches a path has letters, digits, '_', '+', '-', '/' and '.' only, and leads out of the directory nowhere.
 * Not here: what a file says (tz.c). */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tz.h"

#define ZONES_MAX 2000u /* today's database has 600 names */

struct tz_cache {
    struct env *env;
    pthread_mutex_t lock;
    struct tz **zones;
    uint32_t count, cap;
};

static const char *const directories[] = {"/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo"};

quartet_status tz_cache_new(struct env *env, struct tz_cache **out, struct err *err)
{
    struct tz_cache *c = mem_zalloc(1, sizeof *c);
    if (c == NULL)
        return err_nomem(err);
    c->env = env;
    pthread_mutex_init(&c->lock, NULL);
    *out = c;
    return QUARTET_OK;
}

void tz_cache_free(struct tz_cache *c)
{
    if (c == NULL)
        return;
    for (uint32_t i = 0; i < c->count; i++)
        tz_free(c->zones[i]);
    mem_free(c->zones);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

static bool digits(const char **p, int32_t *out)
{
    const char *from = *p;
    *out = 0;
    for (; **p >= '0' && **p <= '9' && *p - from < 2; (*p)++)
        *out = *out * 10 + (**p - '0');
    return *p > from;
}

/* +02:00, -5, +0530; UTC and what else it is called. */
static bool is_fixed(const char *name, int32_t *offset)
{
    static const char *const zero[] = {"UTC", "GMT", "Z", "UCT", "Zulu", "Etc/UTC"};
    int32_t hour, minute = 0;
    const char *p = name + 1;
    *offset = 0;
    for (size_t i = 0; i < sizeof zero / sizeof *zero; i++)
        if (strcasecmp(name, zero[i]) == 0)
            return true;
    if ((*name != '+' && *name != '-') || !digits(&p, &hour))
        return false;
    bool colon = *p == ':';
    p += colon;
    if ((colon || *p != '\0') && (!digits(&p, &minute) || p[-2] < '0' || p[-2] > '9'))
        return false;
    *offset = (hour * 3600 + minute * 60) * (*name == '-' ? -1 : 1);
    return *p == '\0' && hour <= 15 && minute < 60;
}

static bool is_safe(const char *name)
{
    for (const char *p = name; *p != '\0'; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '_' || *p == '+' || *p == '-';
        bool inner = p > name && (*p == '/' || *p == '.') && p[-1] != '/' && p[-1] != '.';
        if (!plain && !inner)
            return false;
    }
    return true;
}

static quartet_status no_zone(const char *name, struct err *err)
{
    return err_set(err, QUARTET_ERROR, "no such time zone: '%s'; there are UTC, offsets as '+02:00', and the names of this system's tz database as 'Europe/Rome'", name);
}

static quartet_status load(struct tz_cache *c, const char *name, struct tz **out, struct err *err)
{
    quartet_status rc = QUARTET_NOTFOUND;
    uint8_t *data = NULL;
    size_t n = 0;
    for (size_t i = 0; rc != QUARTET_OK && rc != QUARTET_NOMEM && i < sizeof directories / sizeof *directories; i++) {
        char path[TZ_NAME_BYTES_MAX + 64];
        err_clear(err);
        snprintf(path, sizeof path, "%s/%s", directories[i], name);
        rc = env_read_file(c->env, path, TZ_FILE_BYTES_MAX, &data, &n, err);
    }
    if (rc == QUARTET_OK)
        rc = tz_read(name, slice_of(data, n), out, err);
    else if (rc != QUARTET_NOMEM)
        rc = no_zone(name, err);
    mem_free(data);
    return rc;
}

static quartet_status keep(struct tz_cache *c, struct tz *z, struct err *err)
{
    if (c->count == ZONES_MAX)
        return err_set(err, QUARTET_LIMIT, "more than %u time zones were asked for", ZONES_MAX);
    if (c->count == c->cap) {
        uint32_t cap = c->cap == 0 ? 8 : c->cap * 2;
        struct tz **grown = mem_realloc(c->zones, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(err);
        c->zones = grown;
        c->cap = cap;
    }
    c->zones[c->count++] = z;
    return QUARTET_OK;
}

static quartet_status find(struct tz_cache *c, const char *name, const struct tz **out, struct err *err)
{
    int32_t offset;
    struct tz *z = NULL;
    for (uint32_t i = 0; i < c->count; i++)
        if (strcmp(tz_name(c->zones[i]), name) == 0) {
            *out = c->zones[i];
            return QUARTET_OK;
        }
    quartet_status rc = is_fixed(name, &offset) ? tz_fixed(name, offset, &z, err) : is_safe(name) && *name != '\0' ? load(c, name, &z, err) : no_zone(name, err);
    if (rc == QUARTET_OK)
        rc = keep(c, z, err);
    if (rc != QUARTET_OK)
        tz_free(z);
    else
        *out = z;
    return rc;
}

quartet_status tz_find(struct tz_cache *c, struct slice name, const struct tz **out, struct err *err)
{
    char text[TZ_NAME_BYTES_MAX + 1];
    if (name.n > TZ_NAME_BYTES_MAX || (name.n > 0 && memchr(name.p, '\0', name.n) != NULL))
        return err_set(err, QUARTET_ERROR, "no such time zone: its name is too long");
    if (name.n > 0)
        memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    pthread_mutex_lock(&c->lock);
    quartet_status rc = find(c, text, out, err);
    pthread_mutex_unlock(&c->lock);
    return rc;
}

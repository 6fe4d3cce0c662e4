/* tz.c - a time zone from its TZif file: a table of changes, then a rule for the years past it.
 * Why a reader of our own: libc has one zone for the whole process, set by the environment, and no call that takes a zone's name.
 * Invariants: all numbers of the file are checked before they are used; changes ascend; every change's kind is there.
 * Not here: where files are (tz_cache.c), the rule (tz_rule.c). */
#include "tz.h"

#include <string.h>

#include "base/mem.h"

#define CHANGES_MAX 10000u
#define DAY 86400
#define SEARCH_SECONDS (2 * 86400) /* two clocks that show the same are never that far apart */

struct tz {
    char name[TZ_NAME_BYTES_MAX + 1];
    uint32_t count;
    int64_t *at;     /* Unix seconds */
    int32_t *offset; /* from then on */
    int32_t first;   /* before the first */
    bool has_rule;   /* from the last one on, or always where there is none */
    struct tz_rule rule;
};

const char *tz_name(const struct tz *z)
{
    return z->name;
}

void tz_free(struct tz *z)
{
    if (z == NULL)
        return;
    mem_free(z->at);
    mem_free(z->offset);
    mem_free(z);
}

static struct tz *tz_new(const char *name, uint32_t count)
{
    struct tz *z = mem_zalloc(1, sizeof *z);
    size_t n = strlen(name);
    QASSERT(n <= TZ_NAME_BYTES_MAX);
    if (z == NULL)
        return NULL;
    memcpy(z->name, name, n);
    z->count = count;
    z->at = mem_zalloc(count + 1u, sizeof *z->at);
    z->offset = mem_zalloc(count + 1u, sizeof *z->offset);
    if (z->at != NULL && z->offset != NULL)
        return z;
    tz_free(z);
    return NULL;
}

quartet_status tz_fixed(const char *name, int32_t offset, struct tz **out, struct err *err)
{
    QASSERT(offset >= -TZ_OFFSET_MAX && offset <= TZ_OFFSET_MAX);
    *out = tz_new(name, 0);
    if (*out == NULL)
        return err_nomem(err);
    (*out)->first = offset;
    return QUARTET_OK;
}

/* ---- the file ---- */

struct header {
    uint8_t version;
    uint32_t isut, isstd, leap, changes, types, chars;
};

static uint32_t be32(struct bytes_in *in)
{
    const uint8_t *p = bytes_take(in, 4);
    return p == NULL ? 0 : load_be32(p);
}

static bool read_header(struct bytes_in *in, struct header *h)
{
    const uint8_t *magic = bytes_take(in, 4);
    if (magic == NULL || memcmp(magic, "TZif", 4) != 0)
        return false;
    h->version = bytes_u8(in);
    (void)bytes_take(in, 15); /* reserved; a failure shows below */
    h->isut = be32(in);
    h->isstd = be32(in);
    h->leap = be32(in);
    h->changes = be32(in);
    h->types = be32(in);
    h->chars = be32(in);
    return !in->bad && h->changes <= CHANGES_MAX && h->types > 0 && h->types <= 256 && h->chars <= TZ_FILE_BYTES_MAX && h->leap <= CHANGES_MAX && h->isut <= 256 && h->isstd <= 256;
}

static size_t data_bytes(const struct header *h, size_t time_bytes)
{
    return h->changes * (time_bytes + 1) + h->types * (size_t)6 + h->chars + h->leap * (time_bytes + 4) + h->isstd + h->isut;
}

/* The table, in times of 4 or 8 bytes. NULL: it is right. */
static const char *read_table(struct bytes_in *in, const struct header *h, size_t time_bytes, struct tz *z)
{
    const uint8_t *times = bytes_take(in, h->changes * time_bytes), *kinds = bytes_take(in, h->changes), *types = bytes_take(in, h->types * (size_t)6);
    if (times == NULL || kinds == NULL || types == NULL || bytes_take(in, h->chars + h->leap * (time_bytes + 4) + h->isstd + h->isut) == NULL)
        return "it is cut short";
    if (h->leap > 0)
        return "it counts leap seconds";
    for (uint32_t i = 0; i < h->types; i++) {
        int32_t offset = (int32_t)load_be32(types + i * (size_t)6);
        if (offset < -TZ_OFFSET_MAX || offset > TZ_OFFSET_MAX)
            return "an offset is out of range";
    }
    z->first = (int32_t)load_be32(types);
    for (uint32_t i = 0; i < h->changes; i++) {
        z->at[i] = time_bytes == 8 ? (int64_t)load_be64(times + i * (size_t)8) : (int32_t)load_be32(times + i * (size_t)4);
        if (kinds[i] >= h->types)
            return "a change is of a kind that is not there";
        if (i > 0 && z->at[i] <= z->at[i - 1])
            return "its changes do not ascend";
        z->offset[i] = (int32_t)load_be32(types + kinds[i] * (size_t)6);
    }
    return NULL;
}

/* Version 2 and later: "\n", a rule or nothing, "\n". */
static const char *read_footer(struct bytes_in *in, struct tz *z)
{
    const uint8_t *text = in->at + 1, *end = in->left > 1 ? memchr(text, '\n', in->left - 1) : NULL;
    if (in->left < 2 || *in->at != '\n' || end == NULL)
        return "its footer is missing";
    z->has_rule = end > text;
    return z->has_rule && !tz_rule_parse(slice_of(text, (size_t)(end - text)), &z->rule) ? "its footer is no rule" : NULL;
}

static quartet_status bad(const char *name, const char *why, struct err *err)
{
    return err_set(err, QUARTET_CORRUPT, "the file of time zone %s cannot be read: %s", name, why);
}

quartet_status tz_read(const char *name, struct slice file, struct tz **out, struct err *err)
{
    struct bytes_in in = bytes_in(file.p, file.n);
    struct header h;
    size_t time_bytes = 4;
    *out = NULL;
    if (!read_header(&in, &h))
        return bad(name, "it is no TZif file", err);
    bool later = h.version >= '2';
    if (later) {
        time_bytes = 8;
        if (bytes_take(&in, data_bytes(&h, 4)) == NULL || !read_header(&in, &h))
            return bad(name, "its second part is missing", err);
    }
    if (in.left < data_bytes(&h, time_bytes))
        return bad(name, "it is cut short", err);
    struct tz *z = tz_new(name, h.changes);
    if (z == NULL)
        return err_nomem(err);
    const char *why = read_table(&in, &h, time_bytes, z);
    if (why == NULL && later)
        why = read_footer(&in, z);
    if (why != NULL) {
        tz_free(z);
        return bad(name, why, err);
    }
    *out = z;
    return QUARTET_OK;
}

/* ---- offsets ---- */

int32_t tz_offset(const struct tz *z, int64_t utc)
{
    uint32_t lo = 0, hi = z->count; /* how many changes have come */
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (z->at[mid] <= utc)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == z->count && z->has_rule)
        return tz_rule_offset(&z->rule, utc);
    return lo == 0 ? z->first : z->offset[lo - 1];
}

/* The first instant behind `at` at which the offset is another, or `limit`. Two changes are more than a day apart, but in files that were made to fool us: of those one is found. */
static int64_t next_change(const struct tz *z, int64_t at, int64_t limit)
{
    int32_t before = tz_offset(z, at);
    int64_t next = at;
    do {
        at = next;
        next = at + DAY < limit ? at + DAY : limit;
    } while (next < limit && tz_offset(z, next) == before);
    if (tz_offset(z, next) == before)
        return limit;
    while (at + 1 < next) {
        int64_t mid = at + (next - at) / 2;
        if (tz_offset(z, mid) == before)
            at = mid;
        else
            next = mid;
    }
    return next;
}

int64_t tz_from_local(const struct tz *z, int64_t local)
{
    int64_t at = local - SEARCH_SECONDS, limit = local + SEARCH_SECONDS;
    for (;;) {
        int32_t offset = tz_offset(z, at);
        int64_t utc = local - offset, end = next_change(z, at, limit);
        if (utc < end || end == limit)
            return utc; /* shown while this offset holds: the first time */
        if (local - tz_offset(z, end) < end)
            return utc; /* the clocks jump over it */
        at = end;
    }
}

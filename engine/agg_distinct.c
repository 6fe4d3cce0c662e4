/* agg_distinct.c - which values a group has seen: a hash set over (group, value) for DISTINCT.
 * Equal numbers of different types are one value, so numbers are brought to one form: integers as such, the rest as keys (crdt/key.h), which are equal
 * where values are. */
#include "agg_impl.h"

#include "base/map.h"
#include "collate.h"
#include "crdt/key.h"
#include "decimal.h"

#include <math.h>
#include <string.h>

#define INT_LEN UINT32_MAX
#define SLOTS_MIN 64u

static uint64_t mix(uint64_t h, uint32_t group)
{
    h ^= (uint64_t)group * UINT64_C(0xff51afd7ed558ccd);
    h ^= h >> 32;
    h *= UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 29);
}

static quartet_status grow(agg *g, struct err *err)
{
    struct distinct *d = &g->distinct, bigger = {.count = d->count};
    uint64_t slots = d->slots == NULL ? SLOTS_MIN : (d->mask + 1) * 2;
    bigger.mask = slots - 1;
    bigger.slots = arena_zalloc(g->arena, slots, sizeof *bigger.slots);
    bigger.used = arena_zalloc(g->arena, slots, 1);
    if (bigger.slots == NULL || bigger.used == NULL)
        return arena_fail(g->arena, err);
    for (uint64_t k = 0; d->slots != NULL && k <= d->mask; k++) {
        if (d->used[k] == 0)
            continue;
        uint64_t at = d->slots[k].hash & bigger.mask;
        while (bigger.used[at] != 0)
            at = (at + 1) & bigger.mask;
        bigger.slots[at] = d->slots[k];
        bigger.used[at] = 1;
    }
    *d = bigger;
    return QUARTET_OK;
}

/* The integer that a number equals, if it does. */
static bool as_int(const struct value *v, int64_t *out)
{
    if (v->type == VALUE_INTEGER) {
        *out = v->i;
        return true;
    }
    if (v->type == VALUE_REAL && v->r >= -9223372036854775808.0 && v->r < 9223372036854775808.0 && trunc(v->r) == v->r) {
        *out = (int64_t)v->r;
        return true;
    }
    if (v->type == VALUE_DECIMAL) {
        struct decimal d = decimal_trim(decimal_of(v));
        *out = (int64_t)d.v;
        return d.scale == 0 && d.v >= INT64_MIN && d.v <= INT64_MAX;
    }
    return false;
}

static quartet_status find(agg *g, const struct distinct_slot *wanted, bool *fresh, struct err *err)
{
    struct distinct *d = &g->distinct;
    if (d->slots == NULL || (d->count + 1) * 4 > (d->mask + 1) * 3) {
        quartet_status rc = grow(g, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    uint64_t at = wanted->hash & d->mask;
    for (; d->used[at] != 0; at = (at + 1) & d->mask) {
        const struct distinct_slot *s = &d->slots[at];
        if (s->hash != wanted->hash || s->group != wanted->group || s->len != wanted->len)
            continue;
        if (s->len == INT_LEN ? s->i == wanted->i : s->len == 0 || memcmp(s->p, wanted->p, s->len) == 0) {
            *fresh = false;
            return QUARTET_OK;
        }
    }
    struct distinct_slot new = *wanted;
    if (new.len != INT_LEN) {
        new.p = arena_dup(g->arena, wanted->p, wanted->len);
        if (new.p == NULL)
            return arena_fail(g->arena, err);
    }
    d->slots[at] = new;
    d->used[at] = 1;
    d->count++;
    *fresh = true;
    return QUARTET_OK;
}

quartet_status distinct_add(agg *g, uint32_t group, const struct value *v, bool *fresh, struct err *err)
{
    struct distinct_slot s = {.group = group, .len = INT_LEN};
    int64_t i;
    if (as_int(v, &i)) {
        s.i = i;
        s.hash = mix((uint64_t)i, group);
        return find(g, &s, fresh, err);
    }
    struct value key = *v;
    struct arena fold = {.limit_bytes = 0};
    struct buf b = {.limit_bytes = 0};
    const struct key_column any = {.kind = KEY_ANY, .type = VALUE_NULL};
    quartet_status rc = QUARTET_OK;
    if (g->spec.nocase && v->type == VALUE_TEXT && !collate_fold(v->s, &fold, &key.s))
        rc = err_nomem(err);
    if (rc == QUARTET_OK) {
        key_put(&b, &any, &key);
        rc = buf_check(&b, err);
    }
    if (rc == QUARTET_OK) {
        s.len = (uint32_t)b.len;
        s.p = b.data;
        s.hash = mix(hash64(b.data, b.len, 0), group);
        rc = find(g, &s, fresh, err);
    }
    buf_deinit(&b);
    arena_free_all(&fold);
    return rc;
}

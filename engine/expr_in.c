/* expr_in.c - the set of an IN list whose items are all constants.
 * Why: lists of hundreds of items are common (ids from an application); one by one, each row would pay for all of them. Integers and texts, the usual
 *   ones, are hashed; whatever else there is lies sorted by value. */
#include "expr_ops.h"

#include "base/map.h"

#include <stdlib.h>
#include <string.h>

struct in_set {
    bool nocase;
    bool has_null;
    uint32_t count; /* without NULLs */
    uint32_t int_count, text_count;
    struct value *values; /* integers, then texts, then the rest */
    uint32_t mask;        /* of both tables: slots - 1 */
    uint32_t *int_slots;  /* index + 1, 0 is empty */
    uint32_t *text_slots;
};

static uint32_t hash_int(int64_t i)
{
    uint64_t h = (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(h >> 32);
}

static uint32_t hash_text(struct slice s)
{
    return (uint32_t)hash64(s.p, s.n, 0);
}

static int class_of(const struct value *v)
{
    return v->type == VALUE_INTEGER ? 0 : v->type == VALUE_TEXT ? 1 : 2;
}

static uint32_t slot_count_for(uint32_t n)
{
    uint32_t slots = 8;
    while (slots < n * 2)
        slots *= 2;
    return slots;
}

quartet_status in_set_new(struct arena *a, struct expr *const *items, uint32_t n, bool nocase, struct in_set **out, struct err *err)
{
    struct in_set *s = arena_zalloc(a, 1, sizeof *s);
    if (s == NULL)
        return arena_fail(a, err);
    s->nocase = nocase;
    s->values = arena_zalloc(a, n > 0 ? n : 1, sizeof *s->values);
    s->mask = slot_count_for(n) - 1;
    s->int_slots = arena_zalloc(a, s->mask + 1, sizeof *s->int_slots);
    s->text_slots = arena_zalloc(a, s->mask + 1, sizeof *s->text_slots);
    if (s->values == NULL || s->int_slots == NULL || s->text_slots == NULL)
        return arena_fail(a, err);
    for (int class = 0; class < 3; class++)
        for (uint32_t k = 0; k < n; k++) {
            const struct value *v = &items[k]->u.value;
            if (v->type == VALUE_NULL)
                s->has_null = true;
            else if (class_of(v) == class)
                s->values[s->count++] = *v;
        }
    for (uint32_t k = 0; k < s->count; k++) {
        const struct value *v = &s->values[k];
        uint32_t *slots = v->type == VALUE_INTEGER ? s->int_slots : s->text_slots;
        if (class_of(v) == 2)
            break;
        uint32_t at = (v->type == VALUE_INTEGER ? hash_int(v->i) : hash_text(v->s)) & s->mask;
        while (slots[at] != 0)
            at = (at + 1) & s->mask;
        slots[at] = k + 1;
        s->int_count += v->type == VALUE_INTEGER;
        s->text_count += v->type == VALUE_TEXT;
    }
    *out = s;
    return QUARTET_OK;
}

bool in_set_int(const struct in_set *s, int64_t i)
{
    for (uint32_t at = hash_int(i) & s->mask; s->int_slots[at] != 0; at = (at + 1) & s->mask)
        if (s->values[s->int_slots[at] - 1].i == i)
            return true;
    return false;
}

bool in_set_text(const struct in_set *s, struct slice text)
{
    for (uint32_t at = hash_text(text) & s->mask; s->text_slots[at] != 0; at = (at + 1) & s->mask)
        if (slice_eq(s->values[s->text_slots[at] - 1].s, text))
            return true;
    return false;
}

bool in_set_null(const struct in_set *s)
{
    return s->has_null;
}

bool in_set_ints_only(const struct in_set *s)
{
    return s->int_count == s->count;
}

bool in_set_texts_only(const struct in_set *s)
{
    return s->text_count == s->count && !s->nocase;
}

int in_set_has(const struct in_set *s, const struct value *v)
{
    if (s->count == 0 && !s->has_null)
        return 0;
    if (v->type == VALUE_NULL)
        return -1;
    bool found = false;
    uint32_t from = 0;
    if (v->type == VALUE_INTEGER) {
        found = in_set_int(s, v->i);
        from = s->int_count + s->text_count; /* a text never equals an integer here: affinity was applied before */
    } else if (v->type == VALUE_TEXT && !s->nocase) {
        found = in_set_text(s, v->s);
        from = s->int_count + s->text_count;
    }
    for (uint32_t k = from; k < s->count && !found; k++)
        found = types_compare(v, &s->values[k], s->nocase) == 0;
    return found ? 1 : s->has_null ? -1 : 0;
}

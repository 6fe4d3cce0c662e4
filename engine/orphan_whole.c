/* orphan_whole.c - references that are known to be whole (orphan_whole.h).
 * Why: nearly every row that comes references what a thousand before it did. Where no key has stopped being given since, looking for the parent again takes a third of what merging the
 *   row takes, and finds the same.
 * Invariants: a name that is here was asked for in its present place since the last orphan_whole_forget; names are compared as they are, never by their hash.
 * Not here: when to forget (apply_orphans.c). */
#include "orphan_whole.h"

#include <string.h>

#include "base/map.h"
#include "base/mem.h"

#define PLACES 1024u /* a power of two; 64 KiB */

struct place {
    uint32_t round; /* of the memory when it was learnt; another one: empty */
    uint8_t n;
    uint8_t name[ORPHAN_WHOLE_NAME_BYTES_MAX];
};
struct orphan_whole {
    uint32_t round; /* from 1 on */
    struct place places[PLACES];
};

void orphan_whole_free(struct orphan_whole *w)
{
    mem_free(w);
}

bool orphan_whole_name(const struct fk_link *l, uint32_t place, const struct value *values, struct buf *name)
{
    buf_clear(name);
    buf_varint(name, l->child->id);
    buf_varint(name, place);
    for (uint32_t i = 0; i < l->count; i++) {
        const struct value *v = &values[l->columns[i]];
        if (v->type == VALUE_NULL || ((v->type == VALUE_TEXT || v->type == VALUE_BLOB || v->type == VALUE_JSON) && v->s.n > ORPHAN_WHOLE_NAME_BYTES_MAX))
            return false;
        value_encode(name, v);
    }
    return !name->failed && name->len <= ORPHAN_WHOLE_NAME_BYTES_MAX;
}

static uint32_t place_of(struct slice name)
{
    return (uint32_t)hash64(name.p, name.n, 5) & (PLACES - 1);
}

bool orphan_whole_has(const struct orphan_whole *w, struct slice name)
{
    if (w == NULL)
        return false;
    const struct place *p = &w->places[place_of(name)];
    return p->round == w->round && slice_eq(slice_of(p->name, p->n), name);
}

void orphan_whole_learn(struct orphan_whole **w, struct slice name)
{
    QASSERT(name.n <= ORPHAN_WHOLE_NAME_BYTES_MAX);
    if (*w == NULL && (*w = mem_zalloc(1, sizeof **w)) != NULL)
        (*w)->round = 1;
    if (*w == NULL)
        return;
    struct place *p = &(*w)->places[place_of(name)];
    p->round = (*w)->round;
    p->n = (uint8_t)name.n;
    memcpy(p->name, name.p, name.n);
}

void orphan_whole_forget(struct orphan_whole *w)
{
    if (w != NULL && ++w->round == 0) { /* once in 4 billion times the old ones must really go */
        memset(w->places, 0, sizeof w->places);
        w->round = 1;
    }
}

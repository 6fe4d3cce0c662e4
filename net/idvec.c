/* idvec.c - vectors by chain identity. Entries are few (about four live ones, and old incarnations
 * until they are folded), so a sorted array with binary search serves better than a map, and gives
 * equal bytes for equal vectors. */
#include "idvec.h"

#include <string.h>

#include "base/mem.h"

#define ENTRY_BYTES_MIN (1u + 8u + 1u + 8u + 8u)

void idvec_deinit(struct idvec *v)
{
    mem_free(v->e);
    *v = (struct idvec){0};
}

void idvec_clear(struct idvec *v)
{
    v->count = 0;
}

static quartet_status reserve(struct idvec *v, uint32_t count, struct err *err)
{
    if (count <= v->cap)
        return QUARTET_OK;
    if (count > IDVEC_ENTRIES_MAX)
        return err_set(err, QUARTET_LIMIT, "a vector of more than %u chains", IDVEC_ENTRIES_MAX);
    uint32_t cap = v->cap < 8 ? 8 : v->cap * 2;
    if (cap < count)
        cap = count;
    struct idvec_entry *e = mem_realloc(v->e, cap, sizeof *e);
    if (e == NULL)
        return err_nomem(err);
    v->e = e;
    v->cap = cap;
    return QUARTET_OK;
}

quartet_status idvec_copy(struct idvec *to, const struct idvec *from, struct err *err)
{
    QASSERT(to != from);
    quartet_status rc = reserve(to, from->count, err);
    if (rc != QUARTET_OK)
        return rc;
    if (from->count > 0)
        memcpy(to->e, from->e, from->count * sizeof *from->e);
    to->count = from->count;
    return QUARTET_OK;
}

/* The place of the chain, or where it belongs. */
static uint32_t place(const struct idvec *v, struct chain_id chain, bool *found)
{
    uint32_t lo = 0, hi = v->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int c = chain_id_cmp(v->e[mid].chain, chain);
        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *found = false;
    return lo;
}

const struct idvec_entry *idvec_find(const struct idvec *v, struct chain_id chain)
{
    bool found = false;
    uint32_t i = place(v, chain, &found);
    return found ? &v->e[i] : NULL;
}

uint64_t idvec_number(const struct idvec *v, struct chain_id chain)
{
    const struct idvec_entry *e = idvec_find(v, chain);
    return e != NULL ? e->number : 0;
}

quartet_status idvec_raise(struct idvec *v, struct idvec_entry e, struct err *err)
{
    bool found = false;
    uint32_t i = place(v, e.chain, &found);
    if (found) {
        if (e.number > v->e[i].number)
            v->e[i] = e;
        return QUARTET_OK;
    }
    quartet_status rc = reserve(v, v->count + 1, err);
    if (rc != QUARTET_OK)
        return rc;
    memmove(v->e + i + 1, v->e + i, (v->count - i) * sizeof *v->e);
    v->e[i] = e;
    v->count++;
    return QUARTET_OK;
}

quartet_status idvec_merge(struct idvec *v, const struct idvec *other, struct err *err)
{
    for (uint32_t i = 0; i < other->count; i++) {
        quartet_status rc = idvec_raise(v, other->e[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

bool idvec_covers(const struct idvec *v, const struct idvec *other)
{
    for (uint32_t i = 0; i < other->count; i++)
        if (idvec_number(v, other->e[i].chain) < other->e[i].number)
            return false;
    return true;
}

bool idvec_equal(const struct idvec *a, const struct idvec *b)
{
    return idvec_covers(a, b) && idvec_covers(b, a);
}

quartet_status idvec_from_vv(struct idvec *out, const struct vv *v, const struct chain_table *t,
                             struct err *err)
{
    idvec_clear(out);
    for (uint32_t i = 0; i < v->count; i++) {
        const struct vv_entry *e = &v->e[i];
        QASSERT(e->chain < t->count);
        struct idvec_entry by_id = {
            .chain = t->ids[e->chain], .number = e->number, .stamp = e->stamp, .head = e->head};
        quartet_status rc = idvec_raise(out, by_id, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

quartet_status idvec_to_vv(struct vv *out, const struct idvec *v, struct chain_table *t,
                           struct err *err)
{
    out->count = 0;
    for (uint32_t i = 0; i < v->count; i++) {
        struct vv_entry e = {
            .number = v->e[i].number, .stamp = v->e[i].stamp, .head = v->e[i].head};
        quartet_status rc = chain_intern(t, v->e[i].chain, &e.chain, err);
        if (rc == QUARTET_OK)
            rc = vv_raise(out, e, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

void idvec_encode(struct buf *out, const struct idvec *v)
{
    buf_varint(out, v->count);
    for (uint32_t i = 0; i < v->count; i++) {
        buf_u8(out, v->e[i].chain.slot);
        buf_u64(out, v->e[i].chain.incarnation);
        buf_varint(out, v->e[i].number);
        buf_u64(out, v->e[i].stamp);
        buf_u64(out, v->e[i].head);
    }
}

quartet_status idvec_decode(struct bytes_in *in, struct idvec *out, struct err *err)
{
    idvec_clear(out);
    uint32_t count = bytes_count(in, ENTRY_BYTES_MIN);
    if (!in->bad && count > IDVEC_ENTRIES_MAX)
        return err_set(err, QUARTET_CORRUPT, "a vector of %u chains", count);
    quartet_status rc = reserve(out, count, err);
    if (rc != QUARTET_OK)
        return rc;
    for (uint32_t i = 0; i < count; i++) {
        struct idvec_entry e = {0};
        e.chain.slot = bytes_u8(in);
        e.chain.incarnation = bytes_u64(in);
        e.number = bytes_varint(in);
        e.stamp = bytes_u64(in);
        e.head = bytes_u64(in);
        bool sorted = i == 0 || chain_id_cmp(out->e[i - 1].chain, e.chain) < 0;
        if (in->bad || !sorted || e.chain.slot >= SLOTS_MAX || e.chain.incarnation == 0)
            break;
        out->e[out->count++] = e;
    }
    if (in->bad || out->count != count) {
        idvec_clear(out);
        in->bad = true;
        return err_set(err, QUARTET_CORRUPT, "malformed vector");
    }
    return QUARTET_OK;
}

/* chain.c - chains, versions and vectors.
 * Why: "seen" decides which lives a write or a DELETE reaches, so it must be exact. A chain's stamps increase with its numbers,
 *   hence the stamp of the last delta known tells of any version of that chain whether it was seen: no list of versions is needed.
 * Invariants: a chain keeps its number for the life of the table; a vector's entries are sorted by chain number and never lowered.
 *   A chain that forked keeps its number for what it had in common and for the branch that this node had taken for it: numbers and stamps ascend along both, so
 *   nothing that is stored must be written anew. Only its name depends on where in it one is.
 * Not here: how a fork is found out (engine/db_fork.c), closing and folding of chains, links between batches (engine, delta_sign.c). */
#include "chain.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define VV_ENTRY_BYTES_MIN 26u /* slot, incarnation, one byte of number, stamp, head */

void chain_table_deinit(struct chain_table *t)
{
    mem_free(t->ids);
    mem_free(t->forks);
    mem_free(t->folds);
    *t = (struct chain_table){0};
}

static bool id_eq(struct chain_id a, struct chain_id b)
{
    return a.incarnation == b.incarnation && a.slot == b.slot;
}

bool chain_find(const struct chain_table *t, struct chain_id id, chain_no *out)
{
    /* First the branches: one may have been heard of before it was known to be what is here under another name. */
    for (uint32_t i = 0; i < t->fork_count; i++)
        if (t->forks[i].branch == id.incarnation && t->ids[t->forks[i].as].slot == id.slot) {
            *out = t->forks[i].as;
            return true;
        }
    for (uint32_t i = t->count; i-- > 0;) /* the newest are asked for most */
        if (id_eq(t->ids[i], id)) {
            *out = (chain_no)i;
            return true;
        }
    return false;
}

quartet_status chain_fork_add(struct chain_table *t, struct chain_fork f, struct err *err)
{
    QASSERT(f.chain < t->count && f.as < t->count && f.first > 0 && f.branch != 0);
    for (uint32_t i = 0; i < t->fork_count; i++) {
        struct chain_fork *had = &t->forks[i];
        if (had->chain == f.chain && had->first == f.first && had->as == f.as)
            return QUARTET_OK;
    }
    struct chain_fork *grown = mem_realloc(t->forks, t->fork_count + 1u, sizeof *grown);
    if (grown == NULL)
        return err_nomem(err);
    t->forks = grown;
    grown[t->fork_count++] = f;
    return QUARTET_OK;
}

/* The fork beyond which the chain goes on under another name: the last one that begins at or below `number`, or after which `stamp` comes. */
static const struct chain_fork *part_of(const struct chain_table *t, chain_no no, uint64_t number, hlc_stamp stamp)
{
    const struct chain_fork *best = NULL;
    for (uint32_t i = 0; i < t->fork_count; i++) {
        const struct chain_fork *f = &t->forks[i];
        if (f->chain == no && f->as == no && (f->first <= number || f->after < stamp) && (best == NULL || f->first > best->first))
            best = f;
    }
    return best;
}

struct chain_id chain_id_at(const struct chain_table *t, chain_no no, uint64_t number)
{
    struct chain_id id = chain_id_of(t, no);
    const struct chain_fork *f = t->fork_count == 0 ? NULL : part_of(t, no, number, 0);
    if (f != NULL)
        id.incarnation = f->branch;
    return id;
}

struct chain_id ver_chain_id(const struct chain_table *t, struct ver v)
{
    struct chain_id id = chain_id_of(t, v.chain);
    const struct chain_fork *f = t->fork_count == 0 ? NULL : part_of(t, v.chain, 0, v.stamp);
    if (f != NULL)
        id.incarnation = f->branch;
    return id;
}

chain_no chain_root(const struct chain_table *t, chain_no no)
{
    for (uint32_t i = 0; i < t->fork_count; i++)
        if (t->forks[i].as == no && t->forks[i].chain != no) {
            no = t->forks[i].chain;
            i = UINT32_MAX; /* from the start again: parents have parents */
        }
    return no;
}

bool ver_is(const struct chain_table *t, struct ver v, hlc_stamp stamp, struct chain_id chain)
{
    if (v.stamp != stamp)
        return false;
    return id_eq(ver_chain_id(t, v), chain) || (t->fork_count > 0 && id_eq(chain_id_of(t, chain_root(t, v.chain)), chain));
}

quartet_status chain_intern(struct chain_table *t, struct chain_id id, chain_no *out, struct err *err)
{
    if (chain_find(t, id, out))
        return QUARTET_OK;
    if (id.slot >= SLOTS_MAX || id.incarnation == 0)
        return err_set(err, QUARTET_CORRUPT, "no such chain can be: slot %u, incarnation %llx", id.slot,
                       (unsigned long long)id.incarnation);
    if (t->count >= CHAINS_MAX)
        return err_set(err, QUARTET_LIMIT, "more than %u chains", CHAINS_MAX);
    if (t->count == t->cap) {
        uint32_t cap = t->cap == 0 ? 8 : t->cap * 2;
        struct chain_id *ids = mem_realloc(t->ids, cap, sizeof *ids);
        if (ids == NULL)
            return err_nomem(err);
        t->ids = ids;
        t->cap = cap;
    }
    t->ids[t->count] = id;
    *out = (chain_no)t->count++;
    return QUARTET_OK;
}

bool chain_is_sum(const struct chain_table *t, chain_no no)
{
    return t->fold_last > 0 && chain_id_is_sum(chain_id_of(t, no));
}

uint32_t chain_fold_of(const struct chain_table *t, chain_no no)
{
    if (t->fold_last == 0)
        return 0;
    struct chain_id id = chain_id_of(t, no);
    return chain_id_is_sum(id) ? (uint32_t)(id.incarnation - CHAIN_SUMS) : no < t->fold_cap ? t->folds[no] : 0;
}

quartet_status chain_fold_set(struct chain_table *t, chain_no no, uint32_t fold, struct err *err)
{
    QASSERT(no < t->count && fold > 0);
    if (no >= t->fold_cap) {
        uint32_t *grown = mem_realloc(t->folds, t->count, sizeof *grown);
        if (grown == NULL)
            return err_nomem(err);
        memset(grown + t->fold_cap, 0, (t->count - t->fold_cap) * sizeof *grown);
        t->folds = grown;
        t->fold_cap = t->count;
    }
    t->folds[no] = fold;
    t->fold_last = fold > t->fold_last ? fold : t->fold_last;
    return QUARTET_OK;
}

quartet_status chain_table_follow(struct chain_table *copy, const struct chain_table *from, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    chain_no no;
    for (uint32_t i = copy->count; i < from->count && rc == QUARTET_OK; i++)
        rc = chain_intern(copy, from->ids[i], &no, err);
    for (uint32_t i = copy->fork_count; i < from->fork_count && rc == QUARTET_OK; i++)
        rc = chain_fork_add(copy, from->forks[i], err);
    uint32_t had = copy->fold_last;
    for (uint32_t i = 0; i < from->fold_cap && had < from->fold_last && rc == QUARTET_OK; i++)
        if (from->folds[i] > had)
            rc = chain_fold_set(copy, (chain_no)i, from->folds[i], err);
    return rc;
}

struct chain_id chain_id_of(const struct chain_table *t, chain_no no)
{
    return no < t->count ? t->ids[no] : (struct chain_id){0};
}

int chain_id_cmp(struct chain_id a, struct chain_id b)
{
    if (a.incarnation != b.incarnation)
        return a.incarnation < b.incarnation ? -1 : 1;
    return (a.slot > b.slot) - (a.slot < b.slot);
}

int chain_no_cmp(const struct chain_table *t, chain_no a, chain_no b)
{
    if (a == b)
        return 0;
    int c = chain_id_cmp(chain_id_of(t, a), chain_id_of(t, b));
    return c != 0 ? c : (a > b) - (a < b); /* only damaged records name chains that the table lacks */
}

int ver_cmp(const struct chain_table *t, struct ver a, struct ver b)
{
    if (a.stamp != b.stamp)
        return a.stamp < b.stamp ? -1 : 1;
    if (t->fork_count == 0 || a.chain == b.chain)
        return chain_no_cmp(t, a.chain, b.chain);
    int c = chain_id_cmp(ver_chain_id(t, a), ver_chain_id(t, b));
    return c != 0 ? c : chain_no_cmp(t, a.chain, b.chain);
}

void vv_deinit(struct vv *v)
{
    mem_free(v->e);
    *v = (struct vv){0};
}

/* Where the chain's entry is or would be. */
static uint32_t vv_place(const struct vv *v, chain_no chain)
{
    uint32_t i = 0;
    while (i < v->count && v->e[i].chain < chain)
        i++;
    return i;
}

const struct vv_entry *vv_find(const struct vv *v, chain_no chain)
{
    uint32_t i = vv_place(v, chain);
    return i < v->count && v->e[i].chain == chain ? &v->e[i] : NULL;
}

uint64_t vv_number(const struct vv *v, chain_no chain)
{
    const struct vv_entry *e = vv_find(v, chain);
    return e == NULL ? 0 : e->number;
}

static quartet_status vv_room(struct vv *v, uint32_t count, struct err *err)
{
    if (count <= v->cap)
        return QUARTET_OK;
    uint32_t cap = count < 8 ? 8 : count + count / 2;
    struct vv_entry *e = mem_realloc(v->e, cap, sizeof *e);
    if (e == NULL)
        return err_nomem(err);
    v->e = e;
    v->cap = cap;
    return QUARTET_OK;
}

quartet_status vv_reserve(struct vv *v, struct err *err)
{
    return vv_room(v, v->count + 1, err);
}

quartet_status vv_copy(struct vv *to, const struct vv *from, struct err *err)
{
    quartet_status rc = vv_room(to, from->count, err);
    if (rc != QUARTET_OK)
        return rc;
    if (from->count > 0)
        memcpy(to->e, from->e, from->count * sizeof *to->e);
    to->count = from->count;
    return QUARTET_OK;
}

quartet_status vv_raise(struct vv *v, struct vv_entry e, struct err *err)
{
    uint32_t i = vv_place(v, e.chain);
    if (i < v->count && v->e[i].chain == e.chain) {
        struct vv_entry *mine = &v->e[i];
        if (e.number > mine->number)
            *mine = e;
        else if (e.number == mine->number && mine->head == 0)
            mine->head = e.head;
        return QUARTET_OK;
    }
    if (e.number == 0)
        return QUARTET_OK;
    quartet_status rc = vv_room(v, v->count + 1, err);
    if (rc != QUARTET_OK)
        return rc;
    memmove(v->e + i + 1, v->e + i, (v->count - i) * sizeof *v->e);
    v->e[i] = e;
    v->count++;
    return QUARTET_OK;
}

void vv_set_head(struct vv *v, chain_no chain, uint64_t head)
{
    uint32_t i = vv_place(v, chain);
    QASSERT(i < v->count && v->e[i].chain == chain);
    v->e[i].head = head;
}

quartet_status vv_merge(struct vv *v, const struct vv *other, struct err *err)
{
    for (uint32_t i = 0; i < other->count; i++) {
        quartet_status rc = vv_raise(v, other->e[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

bool vv_covers(const struct vv *v, const struct vv *other)
{
    for (uint32_t i = 0; i < other->count; i++)
        if (other->e[i].astray || vv_number(v, other->e[i].chain) < other->e[i].number)
            return false;
    return true;
}

bool vv_saw(const struct vv *v, struct ver version)
{
    const struct vv_entry *e = vv_find(v, version.chain);
    return e != NULL && version.stamp <= e->stamp;
}

enum vv_order vv_compare(const struct vv *a, const struct vv *b)
{
    bool ab = vv_covers(a, b), ba = vv_covers(b, a);
    if (ab && ba)
        return VV_EQUAL;
    return ab ? VV_AFTER : ba ? VV_BEFORE : VV_CONCURRENT;
}

bool vv_part(const struct chain_table *t, const struct vv_entry *e, uint32_t part, struct chain_id *id, struct vv_entry *out)
{
    uint64_t from = 1;
    const struct chain_fork *next = NULL;
    *out = *e;
    *id = chain_id_of(t, e->chain);
    for (uint32_t i = 0; i < t->fork_count; i++)
        if (t->forks[i].as == e->chain && t->forks[i].chain != e->chain && e->number < t->forks[i].first)
            return false; /* of this branch nothing is here yet, or any longer after a crash: what it begins with is told by the chain that it left */
    for (uint32_t k = 0;; k++) {
        next = NULL; /* the fork that ends part k */
        for (uint32_t i = 0; i < t->fork_count; i++) {
            const struct chain_fork *f = &t->forks[i];
            if (f->chain == e->chain && f->as == e->chain && (k == 0 ? f->first >= from : f->first > from) && (next == NULL || f->first < next->first))
                next = f;
        }
        if (k == part)
            break;
        if (next == NULL || next->first > e->number)
            return false;
        from = next->first;
        id->incarnation = next->branch;
    }
    if (next != NULL && next->first <= e->number) {
        out->number = next->first - 1;
        out->stamp = next->after;
        out->head = next->head;
    }
    return out->number > 0 && out->stamp > 0;
}

struct vv_told {
    struct chain_id id;
    struct vv_entry e;
};

/* The next entry in the order of identities behind *last (NULL: the first). Vectors have about four entries. */
static bool vv_next(const struct vv *v, const struct chain_table *t, const struct chain_id *last, struct vv_told *best)
{
    bool any = false;
    for (uint32_t i = 0; i < v->count; i++) {
        struct vv_told x = {.id = chain_id_of(t, v->e[i].chain), .e = v->e[i]};
        for (uint32_t part = 0; t->fork_count == 0 ? part == 0 : part <= t->fork_count; part++) {
            if (t->fork_count > 0 && !vv_part(t, &v->e[i], part, &x.id, &x.e))
                continue; /* an empty first part has a part behind it */
            if ((last == NULL || chain_id_cmp(x.id, *last) > 0) && (!any || chain_id_cmp(x.id, best->id) < 0)) {
                *best = x;
                any = true;
            }
        }
    }
    return any;
}

void vv_encode(struct buf *out, const struct vv *v, const struct chain_table *t)
{
    uint64_t count = 0;
    struct vv_told next, last;
    if (t->fork_count == 0)
        count = v->count;
    for (bool any = t->fork_count > 0 && vv_next(v, t, NULL, &next); any; any = vv_next(v, t, &last.id, &next), count++)
        last = next;
    buf_varint(out, count);
    for (uint64_t i = 0; i < count; i++) {
        bool any = vv_next(v, t, i == 0 ? NULL : &last.id, &next);
        QASSERT(any);
        buf_u8(out, next.id.slot);
        buf_u64(out, next.id.incarnation);
        buf_varint(out, next.e.number);
        buf_u64(out, next.e.stamp);
        buf_u64(out, next.e.head);
        last = next;
    }
}

quartet_status vv_decode(struct bytes_in *in, struct vv *out, struct chain_table *t, struct err *err)
{
    struct chain_id last = {0};
    quartet_status rc = QUARTET_OK;
    uint32_t count = bytes_count(in, VV_ENTRY_BYTES_MIN);
    *out = (struct vv){0};
    for (uint32_t i = 0; rc == QUARTET_OK && i < count; i++) {
        struct chain_id id = {.slot = bytes_u8(in)};
        struct vv_entry e = {0};
        id.incarnation = bytes_u64(in);
        e.number = bytes_varint(in);
        e.stamp = bytes_u64(in);
        e.head = bytes_u64(in);
        if (in->bad)
            break;
        if (e.number == 0 || e.stamp == 0 || chain_id_is_sum(id) || (i > 0 && chain_id_cmp(last, id) >= 0)) {
            rc = err_set(err, QUARTET_CORRUPT, "vector: entry %u is empty or out of order", i);
            break;
        }
        last = id;
        rc = chain_intern(t, id, &e.chain, err);
        if (rc == QUARTET_OK)
            rc = vv_raise(out, e, err);
    }
    if (rc == QUARTET_OK && in->bad)
        rc = err_set(err, QUARTET_CORRUPT, "vector: cut short");
    if (rc != QUARTET_OK)
        vv_deinit(out);
    return rc;
}

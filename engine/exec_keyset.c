/* exec_keyset.c - rows of key cells to dense numbers.
 * Why modes: most keys are one INTEGER or one TEXT; those hash without being encoded. The first row
 * of another type turns the set into the general one, whose keys are the bytes of exec_key.c, so
 * that 1 and 1.0 still are one group. Invariants: slots hold number + 1; at most half of them are
 * filled. */
#include "exec_keyset.h"

#include <string.h>

#include "base/map.h"
#include "exec_key.h"

#define SLOTS_MIN 64u

void keyset_init(struct keyset *k, uint32_t col_count, const uint8_t *flags, struct arena *a)
{
    struct buf scratch = k->scratch;
    *k = (struct keyset){.a = a, .col_count = col_count, .flags = flags, .null_id = KEYSET_NONE};
    k->scratch = scratch;
}

void keyset_deinit(struct keyset *k)
{
    buf_deinit(&k->scratch);
    k->scratch = (struct buf){0};
}

static uint64_t hash_int(int64_t i)
{
    uint64_t h = (uint64_t)i * 0x9e3779b97f4a7c15ull;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93ull;
    return h ^ (h >> 29);
}

static bool grow(struct keyset *k)
{
    uint32_t cap = k->cap == 0 ? SLOTS_MIN / 2 : k->cap * 2;
    uint64_t *hashes = arena_alloc(k->a, cap * sizeof *hashes);
    uint32_t *slots = arena_zalloc(k->a, (size_t)cap * 2, sizeof *slots);
    if (hashes == NULL || slots == NULL)
        return false;
    if (k->mode == KEYSET_INT) {
        int64_t *ints = arena_alloc(k->a, cap * sizeof *ints);
        if (ints == NULL)
            return false;
        if (k->n > 0)
            memcpy(ints, k->ints, k->n * sizeof *ints);
        k->ints = ints;
    } else {
        struct slice *bytes = arena_alloc(k->a, cap * sizeof *bytes);
        if (bytes == NULL)
            return false;
        if (k->n > 0)
            memcpy(bytes, k->bytes, k->n * sizeof *bytes);
        k->bytes = bytes;
    }
    if (k->n > 0)
        memcpy(hashes, k->hashes, k->n * sizeof *hashes);
    k->hashes = hashes;
    k->slots = slots;
    k->slot_mask = cap * 2 - 1;
    k->cap = cap;
    for (uint32_t id = 0; id < k->n; id++) {
        uint32_t at = (uint32_t)hashes[id] & k->slot_mask;
        while (slots[at] != 0)
            at = (at + 1) & k->slot_mask;
        slots[at] = id + 1;
    }
    return true;
}

/* The next number, to be filled in by the caller; KEYSET_NONE: out of memory. `at` is a free slot
 * unless the table grew. */
static uint32_t add_key(struct keyset *k, uint64_t hash, uint32_t at)
{
    if (k->n == k->cap) {
        if (k->n >= 1u << 30 || !grow(k))
            return KEYSET_NONE;
        at = (uint32_t)hash & k->slot_mask;
        while (k->slots[at] != 0)
            at = (at + 1) & k->slot_mask;
    }
    uint32_t id = k->n++;
    k->hashes[id] = hash;
    k->slots[at] = id + 1;
    return id;
}

static uint32_t find_int(struct keyset *k, int64_t i, bool insert, bool *failed)
{
    uint64_t hash = hash_int(i);
    uint32_t at = 0;
    if (k->cap > 0) {
        at = (uint32_t)hash & k->slot_mask;
        for (uint32_t s; (s = k->slots[at]) != 0; at = (at + 1) & k->slot_mask) {
            if (k->ints[s - 1] == i && s - 1 != k->null_id)
                return s - 1;
        }
    }
    if (!insert)
        return KEYSET_NONE;
    uint32_t id = add_key(k, hash, at);
    if (id == KEYSET_NONE)
        *failed = true;
    else
        k->ints[id] = i;
    return id;
}

static uint32_t find_bytes(struct keyset *k, struct slice key, bool insert, bool *failed)
{
    uint64_t hash = hash64(key.p, key.n, 0);
    uint32_t at = 0;
    if (k->cap > 0) {
        at = (uint32_t)hash & k->slot_mask;
        for (uint32_t s; (s = k->slots[at]) != 0; at = (at + 1) & k->slot_mask) {
            if (k->hashes[s - 1] == hash && s - 1 != k->null_id && slice_eq(k->bytes[s - 1], key))
                return s - 1;
        }
    }
    if (!insert)
        return KEYSET_NONE;
    uint8_t *copy = arena_dup(k->a, key.n > 0 ? key.p : (const uint8_t *)"", key.n);
    uint32_t id = copy == NULL ? KEYSET_NONE : add_key(k, hash, at);
    if (id == KEYSET_NONE)
        *failed = true;
    else
        k->bytes[id] = slice_of(copy, key.n);
    return id;
}

static uint32_t find_null(struct keyset *k, bool insert, bool *failed)
{
    if (k->null_id != KEYSET_NONE || !insert)
        return k->null_id;
    uint64_t hash = hash_int(INT64_MIN / 3);
    uint32_t at = 0;
    if (k->cap > 0) {
        at = (uint32_t)hash & k->slot_mask;
        while (k->slots[at] != 0)
            at = (at + 1) & k->slot_mask;
    }
    uint32_t id = add_key(k, hash, at);
    if (id == KEYSET_NONE) {
        *failed = true;
        return id;
    }
    if (k->mode == KEYSET_INT)
        k->ints[id] = 0;
    else
        k->bytes[id] = slice_of("", 0);
    k->null_id = id;
    return id;
}

/* To the general mode: the keys so far are written anew, their numbers stay. */
static bool generalize(struct keyset *k)
{
    uint8_t was = k->mode;
    uint32_t n = k->n;
    struct slice *bytes = arena_alloc(k->a, (k->cap > 0 ? k->cap : 1) * sizeof *bytes);
    if (bytes == NULL)
        return false;
    for (uint32_t id = 0; id < n; id++) {
        struct value v = VALUE_NULL_INIT;
        if (id != k->null_id)
            v = was == KEYSET_INT ? value_int(k->ints[id])
                                  : value_text(k->bytes[id].p, k->bytes[id].n);
        buf_clear(&k->scratch);
        cell_key_put(&k->scratch, &v, k->flags != NULL ? k->flags[0] : 0);
        uint8_t *copy = k->scratch.failed ? NULL : arena_dup(k->a, k->scratch.data, k->scratch.len);
        if (copy == NULL)
            return false;
        bytes[id] = slice_of(copy, k->scratch.len);
        k->hashes[id] = hash64(copy, k->scratch.len, 0);
    }
    k->bytes = bytes;
    k->ints = NULL;
    k->null_id = KEYSET_NONE;
    k->mode = KEYSET_BYTES;
    if (k->cap > 0) {
        memset(k->slots, 0, ((size_t)k->slot_mask + 1) * sizeof *k->slots);
        for (uint32_t id = 0; id < n; id++) {
            uint32_t at = (uint32_t)k->hashes[id] & k->slot_mask;
            while (k->slots[at] != 0)
                at = (at + 1) & k->slot_mask;
            k->slots[at] = id + 1;
        }
    }
    return true;
}

static bool pick_mode(struct keyset *k, const struct vec *cols)
{
    uint8_t want = KEYSET_BYTES;
    if (k->col_count == 1) {
        if (cols[0].type == VALUE_NULL && (k->mode == KEYSET_INT || k->mode == KEYSET_TEXT))
            return true;
        if (cols[0].type == VALUE_INTEGER)
            want = KEYSET_INT;
        else if (cols[0].type == VALUE_TEXT &&
                 (k->flags == NULL || (k->flags[0] & CELL_KEY_NOCASE) == 0))
            want = KEYSET_TEXT;
    }
    if (k->mode == KEYSET_EMPTY)
        k->mode = want;
    if (k->mode != want && k->mode != KEYSET_BYTES)
        return generalize(k);
    return true;
}

static uint32_t find_row(struct keyset *k, const struct vec *cols, uint32_t row, bool insert,
                         bool null_none, bool *failed)
{
    buf_clear(&k->scratch);
    for (uint32_t c = 0; c < k->col_count; c++) {
        struct value v = vec_get(&cols[c], row);
        if (v.type == VALUE_NULL && null_none)
            return KEYSET_NONE;
        cell_key_put(&k->scratch, &v, k->flags != NULL ? k->flags[c] : 0);
    }
    if (k->scratch.failed) {
        *failed = true;
        return KEYSET_NONE;
    }
    return find_bytes(k, slice_of(k->scratch.data, k->scratch.len), insert, failed);
}

quartet_status keyset_rows(struct keyset *k, const struct vec *cols, const uint16_t *sel,
                           uint32_t n, bool insert, bool null_none, uint32_t *ids, struct err *err)
{
    bool failed = false;
    if (k->col_count > 0 && !pick_mode(k, cols))
        return arena_fail(k->a, err);
    if (k->col_count == 0)
        k->mode = KEYSET_BYTES;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel != NULL ? sel[i] : i;
        if (k->mode == KEYSET_BYTES) {
            ids[i] = find_row(k, cols, row, insert, null_none, &failed);
        } else {
            uint32_t at = cols[0].constant ? 0 : row;
            if (cols[0].type == VALUE_NULL || (cols[0].has_null && cols[0].null[at]))
                ids[i] = null_none ? KEYSET_NONE : find_null(k, insert, &failed);
            else if (k->mode == KEYSET_INT)
                ids[i] = find_int(k, cols[0].i[at], insert, &failed);
            else
                ids[i] = find_bytes(k, cols[0].s[at], insert, &failed);
        }
        if (failed)
            return arena_fail(k->a, err);
    }
    return QUARTET_OK;
}

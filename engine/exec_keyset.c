/* exec_keyset.c - rows of key cells to dense numbers.
 * Why modes: most keys are one INTEGER or one TEXT; those hash without being encoded. Others are mostly columns of such types and dates, which
 * are equal where their own bytes are. The first row of another type turns the set into the general one, whose keys are the bytes of exec_key.c, so
 * that 1 and 1.0 still are one group. Invariants: slots hold number + 1; at most half of them are
 * filled. */
#include "exec_keyset.h"

#include <string.h>

#include "base/map.h"
#include "exec_key.h"

#define SLOTS_MIN  64u
#define AHEAD      12u           /* rows */
#define AHEAD_KEYS (1u << 13) /* from so many on */

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

/* ---- several columns of plain types ---- */

/* Are two values of this type equal where their bytes are? */
static bool raw_type(const struct keyset *k, uint32_t c, uint8_t type)
{
    if (type == VALUE_TEXT)
        return k->flags == NULL || (k->flags[c] & CELL_KEY_NOCASE) == 0;
    return type == VALUE_NULL || type == VALUE_INTEGER || type == VALUE_DATE || type == VALUE_TIME || type == VALUE_TIMESTAMP;
}

/* Could all keys, those that are there and these, be told by their values' bytes? */
static bool raw_fits(const struct keyset *k, const struct vec *cols)
{
    for (uint32_t c = 0; c < k->col_count; c++) {
        uint8_t type = cols[c].type, was = k->mode == KEYSET_RAW ? k->types[c] : VALUE_NULL;
        if (!raw_type(k, c, type) || (type != VALUE_NULL && was != VALUE_NULL && was != type))
            return false;
    }
    return true;
}

static bool raw_note(struct keyset *k, const struct vec *cols)
{
    if (k->types == NULL) {
        k->types = arena_alloc(k->a, k->col_count);
        if (k->types == NULL)
            return false;
        memset(k->types, VALUE_NULL, k->col_count);
    }
    for (uint32_t c = 0; c < k->col_count; c++)
        if (cols[c].type != VALUE_NULL)
            k->types[c] = cols[c].type;
    return true;
}

/* A byte for each column, 0 where it is NULL; then eight of a number, or four and a text. */
static uint32_t find_raw(struct keyset *k, const struct vec *cols, uint32_t row, bool insert, bool null_none, bool *failed)
{
    struct buf *b = &k->scratch;
    buf_clear(b);
    for (uint32_t c = 0; c < k->col_count; c++) {
        const struct vec *v = &cols[c];
        uint32_t at = v->constant ? 0 : row;
        bool null = v->type == VALUE_NULL || (v->has_null && v->null[at]);
        if (null && null_none)
            return KEYSET_NONE;
        uint8_t *to = buf_reserve(b, v->type == VALUE_TEXT && !null ? 5 + v->s[at].n : 9);
        if (to == NULL) {
            *failed = true;
            return KEYSET_NONE;
        }
        to[0] = !null;
        if (null) {
            b->len++;
        } else if (v->type == VALUE_TEXT) {
            store_le32(to + 1, (uint32_t)v->s[at].n);
            if (v->s[at].n > 0)
                memcpy(to + 5, v->s[at].p, v->s[at].n);
            b->len += 5 + v->s[at].n;
        } else {
            store_le64(to + 1, (uint64_t)v->i[at]);
            b->len += 9;
        }
    }
    return find_bytes(k, slice_of(b->data, b->len), insert, failed);
}

static struct value raw_take(const struct keyset *k, uint32_t c, const uint8_t **at)
{
    struct value v = VALUE_NULL_INIT;
    const uint8_t *p = *at;
    *at = p + 1;
    if (p[0] == 0)
        return v;
    if (k->types[c] == VALUE_TEXT) {
        v = value_text((const char *)p + 5, load_le32(p + 1));
        *at = p + 5 + v.s.n;
        return v;
    }
    v = value_int((int64_t)load_le64(p + 1));
    v.type = k->types[c];
    *at = p + 9;
    return v;
}

/* A key of KEYSET_INT or KEYSET_TEXT. */
static struct value plain_value(const struct keyset *k, uint32_t id)
{
    if (id == k->null_id)
        return VALUE_NULL_INIT;
    return k->mode == KEYSET_INT ? value_int(k->ints[id]) : value_text(k->bytes[id].p, k->bytes[id].n);
}

/* To the general mode: the keys so far are written anew, their numbers stay. */
static bool generalize(struct keyset *k)
{
    uint32_t n = k->n;
    struct slice *bytes = arena_alloc(k->a, (k->cap > 0 ? k->cap : 1) * sizeof *bytes);
    if (bytes == NULL)
        return false;
    for (uint32_t id = 0; id < n; id++) {
        const uint8_t *at = k->mode == KEYSET_RAW ? k->bytes[id].p : NULL;
        buf_clear(&k->scratch);
        for (uint32_t c = 0; c < k->col_count; c++) {
            struct value v = at != NULL ? raw_take(k, c, &at) : plain_value(k, id);
            cell_key_put(&k->scratch, &v, k->flags != NULL ? k->flags[c] : 0);
        }
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

static uint8_t wanted_mode(const struct keyset *k, const struct vec *cols)
{
    if (k->mode != KEYSET_RAW && k->col_count == 1 && cols[0].type == VALUE_INTEGER)
        return KEYSET_INT;
    if (k->mode != KEYSET_RAW && k->col_count == 1 && cols[0].type == VALUE_TEXT && raw_type(k, 0, VALUE_TEXT))
        return KEYSET_TEXT;
    return raw_fits(k, cols) ? KEYSET_RAW : KEYSET_BYTES;
}

static bool pick_mode(struct keyset *k, const struct vec *cols)
{
    if (k->mode == KEYSET_BYTES || (cols[0].type == VALUE_NULL && (k->mode == KEYSET_INT || k->mode == KEYSET_TEXT)))
        return true;
    uint8_t want = wanted_mode(k, cols);
    if (k->mode == KEYSET_EMPTY)
        k->mode = want;
    if (k->mode != want)
        return generalize(k);
    return want != KEYSET_RAW || raw_note(k, cols);
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

/* The same where none is added and all keys are near: nothing but the search. */
static void find_int_rows(const struct keyset *k, const struct vec *v, const uint16_t *sel, uint32_t n, uint32_t *ids)
{
    const int64_t *cells = v->i, *ints = k->ints;
    const uint32_t *slots = k->slots, mask = k->slot_mask, null_id = k->null_id;
    for (uint32_t i = 0; i < n; i++) {
        int64_t x = cells[sel != NULL ? sel[i] : i];
        uint32_t at = (uint32_t)hash_int(x) & mask, s = slots[at];
        while (s != 0 && (ints[s - 1] != x || s - 1 == null_id))
            s = slots[at = (at + 1) & mask];
        ids[i] = s - 1; /* KEYSET_NONE is all ones */
    }
}

/* Of one INTEGER column without NULLs. Rows often come in runs of one key, and where the table is larger than a cache a slot is asked for ahead. */
static void int_rows(struct keyset *k, const struct vec *v, const uint16_t *sel, uint32_t n, bool insert, uint32_t *ids, bool *failed)
{
    int64_t last = 0;
    if (!insert && k->cap > 0 && k->cap < AHEAD_KEYS && !v->constant) {
        find_int_rows(k, v, sel, n, ids);
        return;
    }
    for (uint32_t i = 0; i < n && !*failed; i++) {
        int64_t x = v->i[v->constant ? 0 : sel != NULL ? sel[i] : i];
        if (i + AHEAD < n && k->cap >= AHEAD_KEYS)
            __builtin_prefetch(&k->slots[hash_int(v->i[v->constant ? 0 : sel != NULL ? sel[i + AHEAD] : i + AHEAD]) & k->slot_mask]);
        ids[i] = i > 0 && x == last ? ids[i - 1] : find_int(k, x, insert, failed);
        last = x;
    }
}

quartet_status keyset_rows(struct keyset *k, const struct vec *cols, const uint16_t *sel,
                           uint32_t n, bool insert, bool null_none, uint32_t *ids, struct err *err)
{
    bool failed = false;
    if (k->col_count > 0 && !pick_mode(k, cols))
        return arena_fail(k->a, err);
    if (k->col_count == 0)
        k->mode = KEYSET_BYTES;
    if (k->mode == KEYSET_INT && cols[0].type == VALUE_INTEGER && !cols[0].has_null) {
        int_rows(k, &cols[0], sel, n, insert, ids, &failed);
        return failed ? arena_fail(k->a, err) : QUARTET_OK;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel != NULL ? sel[i] : i;
        if (k->mode == KEYSET_RAW) {
            ids[i] = find_raw(k, cols, row, insert, null_none, &failed);
        } else if (k->mode == KEYSET_BYTES) {
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

/* kv_sort.c - an external sort: pieces sorted in memory become runs, which are merged at the end.
 * Invariants: of equal keys the later put wins: within a piece it sorts first, and later pieces stand first in the merge. */
#include "kv_sort.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "kv_run_internal.h"
#include "kv_walk.h"

#define ERASED UINT32_MAX

struct item {
    tree_id tree;
    uint64_t word; /* run_word of the key */
    const uint8_t *p; /* u32 key length, u32 record length, key, record */
    uint64_t order;
};
struct kv_sort {
    struct kv_run_place place;
    struct arena arena;
    struct item *items;
    size_t count, cap;
    size_t bytes;       /* of the present piece */
    uint64_t all_bytes;
    kv_run **runs;      /* oldest first */
    uint32_t run_count, run_cap;
};

quartet_status kv_sort_new(const struct kv_run_place *place, kv_sort **out, struct err *err)
{
    kv_sort *s = mem_zalloc(1, sizeof *s);
    if (s == NULL)
        return err_nomem(err);
    s->place = *place;
    *out = s;
    return QUARTET_OK;
}

static struct slice key_of(const struct item *x)
{
    return slice_of(x->p + 8, load_le32(x->p));
}

static struct slice record_of(const struct item *x)
{
    uint32_t n = load_le32(x->p + 4);
    return n == ERASED ? slice_of(NULL, 0) : slice_of(x->p + 8 + load_le32(x->p), n);
}

static int item_cmp(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->tree != y->tree)
        return x->tree < y->tree ? -1 : 1;
    if (x->word != y->word)
        return x->word < y->word ? -1 : 1;
    int c = slice_cmp(key_of(x), key_of(y));
    return c != 0 ? c : x->order > y->order ? -1 : 1;
}

static bool item_hidden(const struct item *x, size_t i)
{
    return i > 0 && x[i].tree == x[i - 1].tree && x[i].word == x[i - 1].word && slice_eq(key_of(&x[i]), key_of(&x[i - 1]));
}

static void sort_items(kv_sort *s)
{
    if (s->count > 1)
        qsort(s->items, s->count, sizeof *s->items, item_cmp);
}

static quartet_status runs_room(kv_sort *s, struct err *err)
{
    if (s->run_count < s->run_cap)
        return QUARTET_OK;
    uint32_t cap = s->run_cap == 0 ? 8 : s->run_cap * 2;
    kv_run **grown = mem_realloc(s->runs, cap, sizeof *grown);
    if (grown == NULL)
        return err_nomem(err);
    s->runs = grown;
    s->run_cap = cap;
    return QUARTET_OK;
}

/* The piece in memory becomes a run on disk. */
static quartet_status spill(kv_sort *s, struct err *err)
{
    struct kv_run_place place = {.env = s->place.env, .dir = s->place.dir};
    kv_run_writer *w = NULL;
    quartet_status rc = runs_room(s, err);
    if (rc == QUARTET_OK)
        rc = kv_run_writer_new(&place, &w, err);
    if (rc != QUARTET_OK)
        return rc;
    sort_items(s);
    for (size_t i = 0; i < s->count && rc == QUARTET_OK; i++)
        if (!item_hidden(s->items, i))
            rc = kv_run_put(w, s->items[i].tree, key_of(&s->items[i]), 0, record_of(&s->items[i]), err);
    if (rc == QUARTET_OK)
        rc = kv_run_finish(w, 0, &s->runs[s->run_count], err);
    else
        kv_run_writer_free(w);
    if (rc != QUARTET_OK)
        return rc;
    s->run_count++;
    s->count = s->bytes = 0;
    arena_free_all(&s->arena);
    return QUARTET_OK;
}

quartet_status kv_sort_put(kv_sort *s, tree_id tree, struct slice key, struct slice record, struct err *err)
{
    if (key.n > KV_KEY_BYTES_MAX || record.n > KV_RECORD_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "a key of %zu bytes with a record of %zu bytes is too large", key.n, record.n);
    if (s->place.dir != NULL && s->bytes >= s->place.memory_bytes) {
        quartet_status rc = spill(s, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    if (s->count == s->cap) {
        size_t cap = s->cap == 0 ? 256 : s->cap * 2;
        struct item *grown = mem_realloc(s->items, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(err);
        s->items = grown;
        s->cap = cap;
    }
    uint8_t *p = arena_alloc(&s->arena, 8 + key.n + record.n);
    if (p == NULL)
        return arena_fail(&s->arena, err);
    store_le32(p, (uint32_t)key.n);
    store_le32(p + 4, record.p == NULL ? ERASED : (uint32_t)record.n);
    if (key.n > 0)
        memcpy(p + 8, key.p, key.n);
    if (record.n > 0)
        memcpy(p + 8 + key.n, record.p, record.n);
    s->items[s->count] = (struct item){.tree = tree, .word = run_word(key), .p = p, .order = s->count};
    s->count++;
    size_t bytes = 16 + key.n + record.n + sizeof *s->items;
    s->bytes += bytes;
    s->all_bytes += bytes;
    return QUARTET_OK;
}

bool kv_sort_empty(const kv_sort *s)
{
    return s->count == 0 && s->run_count == 0;
}

uint64_t kv_sort_bytes(const kv_sort *s)
{
    return s->all_bytes;
}

quartet_status kv_sort_drain(kv_sort *s, quartet_status (*each)(void *arg, tree_id tree, struct slice key, struct slice record, struct err *err), void *arg,
                             struct err *err)
{
    quartet_status rc = QUARTET_OK;
    if (s->run_count == 0) {
        sort_items(s);
        for (size_t i = 0; i < s->count && rc == QUARTET_OK; i++)
            if (!item_hidden(s->items, i))
                rc = each(arg, s->items[i].tree, key_of(&s->items[i]), record_of(&s->items[i]), err);
        return rc;
    }
    if (s->count > 0)
        rc = spill(s, err);
    struct kv_walk *walks = rc == QUARTET_OK ? mem_zalloc(s->run_count, sizeof *walks) : NULL;
    if (walks == NULL)
        return rc != QUARTET_OK ? rc : err_nomem(err);
    struct kv_sight all = {.through = UINT64_MAX};
    for (uint32_t i = 0; i < s->run_count; i++)
        kv_walk_set_run(&walks[i], s->runs[s->run_count - 1 - i], &all);
    struct kv_blend b;
    rc = kv_blend_start(&b, walks, s->run_count, false, 0, slice_of("", 0), err);
    while (rc == QUARTET_OK && b.at != NULL) {
        rc = each(arg, b.at->tree, b.at->key, b.at->record, err);
        if (rc == QUARTET_OK)
            rc = kv_blend_next(&b, err);
    }
    kv_blend_end(&b);
    for (uint32_t i = 0; i < s->run_count; i++)
        kv_walk_deinit(&walks[i]);
    mem_free(walks);
    return rc;
}

void kv_sort_free(kv_sort *s)
{
    if (s == NULL)
        return;
    for (uint32_t i = 0; i < s->run_count; i++)
        kv_run_free(s->runs[i]);
    mem_free(s->runs);
    mem_free(s->items);
    arena_free_all(&s->arena);
    mem_free(s);
}

/* kv_own.c - a transaction's own writes: a B+tree per tree of the store (kv_own_tree.c), over entries that lie in chunks in the order they were put.
 * Why: one thread fills it, so nothing need be linked one by one as in kv_buffer.c.
 * In a tree with many entries those that come in no order wait beside it (kv_own_loose.c) until somebody wants them in order.
 * The versions of one key hang on each other, newest first, the later put of one version before the earlier.
 * Invariants: versions never go down from put to put, so entries stand in the chunks by version, and a rollback is a walk over the chunks' ends.
 * Not here: walking over what is there in order (kv_own_walk.c). */
#include "kv_own_internal.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"

#define CHUNK_BYTES_MIN 4096u
#define CHUNK_BYTES_MAX (256u << 10)
#define CHUNK_BYTES_KEPT (16u << 10) /* by kv_own_recycle */
#define LOOSE_FROM 2048u /* entries of a tree from which on keys in no order wait beside it */
#define LOOSE_LEAST 64u  /* where fewer were put in order at a time, walks and puts take turns: then nothing waits any more */

/* ---- trees ---- */

static struct tree *tree_find(struct kv_own *o, tree_id id)
{
    if (o->recent != NULL && o->recent->id == id)
        return o->recent;
    uint32_t at = own_tree_place(o, id);
    if (at == o->tree_count || o->sorted[at]->id != id)
        return NULL;
    o->recent = o->sorted[at];
    return o->recent;
}

static struct tree *tree_new(struct kv_own *o, tree_id id)
{
    if (o->tree_count == o->tree_cap) {
        uint32_t cap = o->tree_cap == 0 ? 4 : o->tree_cap * 2;
        struct tree **grown = mem_realloc(o->trees, cap, sizeof(struct tree *));
        if (grown == NULL)
            return NULL;
        o->trees = grown;
        grown = mem_realloc(o->sorted, cap, sizeof(struct tree *));
        if (grown == NULL)
            return NULL;
        o->sorted = grown;
        o->tree_cap = cap;
    }
    struct tree *t = arena_alloc(&o->nodes, sizeof *t);
    struct leaf *l = own_leaf_new(o);
    if (t == NULL || l == NULL)
        return NULL;
    *t = (struct tree){.id = id, .no = o->tree_count, .root = l, .first = l, .last = l, .near = l};
    uint32_t at = own_tree_place(o, id);
    memmove(o->sorted + at + 1, o->sorted + at, (o->tree_count - at) * sizeof(struct tree *));
    o->sorted[at] = t;
    o->trees[o->tree_count++] = t;
    o->recent = t;
    return t;
}

kv_own *kv_own_new(void)
{
    return mem_zalloc(1, sizeof(struct kv_own));
}

static void chunks_free(struct kv_own *o)
{
    for (struct chunk *c = o->newest, *older; c != NULL; c = older) {
        older = c->older;
        mem_free(c);
    }
}

static void trees_free(struct kv_own *o)
{
    for (uint32_t i = 0; i < o->tree_count; i++)
        loose_deinit(&o->trees[i]->loose);
}

void kv_own_clear(kv_own *o)
{
    chunks_free(o);
    trees_free(o);
    arena_free_all(&o->nodes);
    mem_free(o->trees);
    mem_free(o->sorted);
    *o = (struct kv_own){.largest = o->largest, .holders = o->holders};
}

void kv_own_hold(kv_own *o)
{
    o->holders++;
}

bool kv_own_shared(const kv_own *o)
{
    return o->holders > 0;
}

void kv_own_recycle(kv_own *o)
{
    struct chunk *kept = NULL;
    for (struct chunk *c = o->newest, *older; c != NULL; c = older) {
        older = c->older;
        if (older == NULL && c->cap <= CHUNK_BYTES_KEPT)
            kept = c;
        else
            mem_free(c);
    }
    if (kept != NULL)
        *kept = (struct chunk){.cap = kept->cap};
    trees_free(o);
    arena_recycle(&o->nodes, CHUNK_BYTES_KEPT);
    *o = (struct kv_own){.newest = kept, .nodes = o->nodes, .trees = o->trees, .sorted = o->sorted, .tree_cap = o->tree_cap,
                         .bytes = kept != NULL ? sizeof *kept + kept->cap : 0};
}

void kv_own_free(kv_own *o)
{
    if (o == NULL || o->holders-- > 0)
        return;
    kv_own_clear(o);
    mem_free(o);
}

size_t kv_own_bytes(const kv_own *o)
{
    return sizeof *o + o->bytes + o->nodes.used_bytes;
}

uint64_t kv_own_entries(const kv_own *o)
{
    return o->entries;
}

size_t kv_own_largest(const kv_own *o)
{
    return o->largest;
}

apply_no kv_own_last_version(const kv_own *o)
{
    return o->last_version;
}

bool kv_own_tree(const kv_own *o, uint32_t number, tree_id *tree, uint64_t *digest)
{
    if (number >= o->tree_count)
        return false;
    *tree = o->trees[number]->id;
    *digest = o->trees[number]->greatest;
    return true;
}

/* ---- get ---- */

/* What waits beside a tree is newer than what is in it. */
static const struct entry *loose_at(const struct tree *t, const struct probe *p, apply_no through)
{
    const struct loose_item *x = loose_find(&t->loose, p);
    return x != NULL ? own_version_at(x->e, through) : NULL;
}

bool kv_own_get(kv_own *o, tree_id tree, struct slice key, apply_no through, struct slice *record, apply_no *version)
{
    struct tree *t = tree_find(o, tree);
    if (t == NULL)
        return false;
    struct probe p = {.key = key, .digest = kv_digest_of(key)};
    const struct entry *e = loose_at(t, &p, through);
    if (e == NULL) {
        struct place at = own_find(t, &p);
        e = at.exact ? own_version_at(at.leaf->e[at.at], through) : NULL;
    }
    if (e == NULL)
        return false;
    *record = own_entry_record(e);
    *version = e->version;
    return true;
}

bool kv_own_peek(const kv_own *o, tree_id tree, struct slice key, apply_no through, struct slice *record, apply_no *version)
{
    uint32_t n = own_tree_place(o, tree);
    if (n == o->tree_count || o->sorted[n]->id != tree)
        return false;
    struct probe p = {.key = key, .digest = kv_digest_of(key)};
    const struct entry *e = loose_at(o->sorted[n], &p, through);
    if (e == NULL) {
        struct place at = own_look(o->sorted[n], &p);
        e = at.exact ? own_version_at(at.leaf->e[at.at], through) : NULL;
    }
    if (e == NULL)
        return false;
    *record = own_entry_record(e);
    *version = e->version;
    return true;
}

void kv_own_ahead(const kv_own *o, tree_id tree, struct slice key)
{
    uint32_t n = own_tree_place(o, tree);
    if (n < o->tree_count && o->sorted[n]->id == tree)
        loose_ahead(&o->sorted[n]->loose, key);
}

/* ---- put ---- */

static size_t entry_bytes(size_t key_len, size_t record_len)
{
    return (offsetof(struct entry, bytes) + key_len + record_len + 7) & ~(size_t)7;
}

static struct entry *entry_alloc(struct kv_own *o, size_t bytes)
{
    struct chunk *c = o->newest;
    if (c == NULL || c->cap - c->used < bytes) {
        size_t cap = c == NULL ? CHUNK_BYTES_MIN : c->cap * 2;
        if (cap > CHUNK_BYTES_MAX)
            cap = CHUNK_BYTES_MAX;
        if (cap < bytes)
            cap = bytes;
        c = mem_alloc(sizeof *c + cap);
        if (c == NULL)
            return NULL;
        c->older = o->newest;
        c->used = 0;
        c->cap = cap;
        c->last_version = o->last_version;
        o->newest = c;
        o->bytes += sizeof *c + cap;
    }
    struct entry *e = (struct entry *)(void *)(c->data + c->used);
    c->used += bytes;
    return e;
}

/* Is it in order, or are the entries few, or walked over all the time? Then it goes into the tree at once. */
static bool goes_in(const struct kv_own *o, const struct tree *t, const struct probe *p)
{
    if (t->loose.n > 0)
        return false;
    return t->puts < LOOSE_FROM || o->eager || (t->last->n > 0 && p->digest > t->last->digest[t->last->n - 1]);
}

quartet_status kv_own_put(kv_own *o, tree_id tree, struct slice key, apply_no version, struct slice record, struct err *err)
{
    QASSERT(version >= o->last_version);
    size_t record_len = record.p != NULL ? record.n : 0;
    if (key.n >= KV_KEY_BYTES_MAX || record_len >= KV_RECORD_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "an entry of %zu key bytes and %zu record bytes is too large", key.n, record_len);
    struct tree *t = tree_find(o, tree);
    if (t == NULL && (t = tree_new(o, tree)) == NULL)
        return err_nomem(err);
    size_t bytes = entry_bytes(key.n, record_len);
    struct entry *e = entry_alloc(o, bytes);
    if (e == NULL)
        return err_nomem(err);
    *e = (struct entry){.version = version, .record_len = record.p != NULL ? (uint32_t)record_len : ERASED, .tree_no = t->no, .key_len = (uint16_t)key.n};
    bytes_copy(e->bytes, key.p, key.n);
    if (record_len > 0)
        memcpy(e->bytes + key.n, record.p, record_len);
    struct probe p = {.key = key, .digest = kv_digest_of(key)};
    uint32_t waiting = t->loose.n;
    bool good = goes_in(o, t, &p) ? own_tree_put(o, t, &p, e) : loose_put(&t->loose, &p, e, &o->bytes);
    o->loose += t->loose.n - waiting;
    t->greatest = p.digest > t->greatest ? p.digest : t->greatest;
    if (!good) {
        o->newest->used -= bytes;
        return err_nomem(err);
    }
    o->last_version = version;
    o->newest->last_version = version;
    o->entries++;
    if (key.n + record_len > o->largest)
        o->largest = key.n + record_len;
    return QUARTET_OK;
}

/* ---- what waits goes into the trees ---- */

/* What could not be put into the tree goes on waiting: those in `left`. */
static void keep_waiting(struct tree *t, const struct loose_item *left, uint32_t n)
{
    size_t none = 0;
    loose_clear(&t->loose);
    for (uint32_t i = 0; i < n; i++) {
        struct probe p = {.key = own_entry_key(left[i].e), .digest = left[i].digest};
        struct entry *older = left[i].e->older;
        bool room = loose_put(&t->loose, &p, left[i].e, &none);
        QASSERT(room); /* there were more before */
        left[i].e->older = older;
    }
}

static bool settle_tree(struct kv_own *o, struct tree *t)
{
    uint32_t n, done = 0;
    struct loose_item *memory, *sorted = loose_sorted(&t->loose, &n, &memory);
    if (sorted == NULL)
        return false;
    for (; done < n; done++) {
        struct probe p = {.key = own_entry_key(sorted[done].e), .digest = sorted[done].digest};
        if (done + AHEAD < n)
            __builtin_prefetch(sorted[done + AHEAD].e);
        if (!own_tree_put(o, t, &p, sorted[done].e))
            break;
    }
    o->loose -= t->loose.n;
    o->eager = o->eager || t->loose.n < LOOSE_LEAST;
    keep_waiting(t, sorted + done, n - done);
    o->loose += t->loose.n;
    mem_free(memory);
    return done == n;
}

quartet_status kv_own_settle(kv_own *o, struct err *err)
{
    for (uint32_t i = 0; o->loose > 0 && i < o->tree_count; i++)
        if (o->trees[i]->loose.n > 0 && !settle_tree(o, o->trees[i]))
            return err_nomem(err);
    return QUARTET_OK;
}

/* ---- rollback ---- */

/* What the entry's key has left at or below `keep`. Its later entries, met on the way, are found settled already. */
static void settle_key(struct kv_own *o, const struct entry *e, apply_no keep)
{
    struct probe p = {.key = own_entry_key(e), .digest = kv_digest_of(own_entry_key(e))};
    struct loose_item *waits = loose_find(&o->trees[e->tree_no]->loose, &p);
    if (waits != NULL) /* its oldest is above all that the tree has of the key */
        waits->e = own_version_at(waits->e, keep);
    struct place at = own_find(o->trees[e->tree_no], &p);
    if (!at.exact)
        return;
    struct leaf *l = at.leaf;
    l->e[at.at] = own_version_at(l->e[at.at], keep);
    if (l->e[at.at] != NULL)
        return;
    l->n--;
    memmove(l->digest + at.at, l->digest + at.at + 1, (l->n - at.at) * sizeof l->digest[0]);
    memmove(l->e + at.at, l->e + at.at + 1, (l->n - at.at) * sizeof l->e[0]);
    o->changes++;
}

static size_t bytes_of(const struct entry *e)
{
    return entry_bytes(e->key_len, e->record_len == ERASED ? 0 : e->record_len);
}

/* Settle and drop the entries of the newest chunk above `keep`. False: all older ones are at or below it. */
static bool chunk_rollback(struct kv_own *o, apply_no keep)
{
    struct chunk *c = o->newest;
    size_t from = 0;
    uint64_t last = 0;
    while (from < c->used) {
        const struct entry *e = (const struct entry *)(const void *)(c->data + from);
        if (e->version > keep)
            break;
        last = e->version;
        from += bytes_of(e);
    }
    for (size_t at = from; at < c->used;) {
        const struct entry *e = (const struct entry *)(const void *)(c->data + at);
        settle_key(o, e, keep);
        at += bytes_of(e);
        o->entries--;
    }
    c->used = from;
    c->last_version = last;
    return from == 0;
}

void kv_own_rollback(kv_own *o, apply_no keep)
{
    if (o->last_version <= keep)
        return;
    /* Where an older chunk has entries of the same keys that go too, those of the newer chunk are settled by the first that is met: nothing that was freed is
     * looked at, since a key's entry is replaced by one at or below `keep`, or leaves its leaf. */
    while (o->newest != NULL && o->newest->last_version > keep && chunk_rollback(o, keep)) {
        struct chunk *c = o->newest;
        o->newest = c->older;
        o->bytes -= sizeof *c + c->cap;
        mem_free(c);
    }
    o->last_version = o->newest != NULL ? o->newest->last_version : 0;
}


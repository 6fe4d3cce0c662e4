/* kv_own.c - a transaction's own writes: a B+tree per tree of the store, over entries that lie in chunks in the order they were put.
 * Why: one thread fills it, so nothing need be linked one by one as in kv_buffer.c. A leaf holds digests of its keys side by side, so that a search in a
 *   million keys costs two or three cache misses and not one a step; keys in ascending order are appended without a search.
 * In a tree with many entries those that come in no order wait beside it (kv_own_loose.c) until somebody wants them in order.
 * Order within a leaf is by key; the versions of one key hang on each other, newest first, the later put of one version before the earlier.
 * Invariants: versions never go down from put to put, so entries stand in the chunks by version, and a rollback is a walk over the chunks' ends.
 *   Leaves live as long as the map, an empty one stays where it is. Separators are copies: they outlive the entry they were made from. */
#include "kv_own_internal.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"

#define HEIGHT_MAX 12u
#define CHUNK_BYTES_MIN 4096u
#define CHUNK_BYTES_MAX (256u << 10)
#define CHUNK_BYTES_KEPT (16u << 10) /* by kv_own_recycle */
#define AHEAD 8u /* entries that a walk asks the memory for before it comes to them */
#define LOOSE_FROM 2048u /* entries of a tree from which on keys in no order wait beside it */
#define LOOSE_LEAST 64u  /* where fewer were put in order at a time, walks and puts take turns: then nothing waits any more */

/* Where a key is in a leaf, or where it would have to be. */
struct place {
    struct leaf *leaf;
    uint32_t at;
    bool exact;
};
struct step {
    struct inner *node;
    uint32_t child;
};

/* ---- trees ---- */

/* The first of `sorted` with an id at or above. */
static uint32_t tree_place(const struct kv_own *o, tree_id id)
{
    uint32_t lo = 0, hi = o->tree_count;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (o->sorted[mid]->id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct tree *tree_find(struct kv_own *o, tree_id id)
{
    if (o->recent != NULL && o->recent->id == id)
        return o->recent;
    uint32_t at = tree_place(o, id);
    if (at == o->tree_count || o->sorted[at]->id != id)
        return NULL;
    o->recent = o->sorted[at];
    return o->recent;
}

static struct leaf *leaf_new(struct kv_own *o)
{
    struct leaf *l = arena_alloc(&o->nodes, sizeof *l);
    if (l == NULL)
        return NULL;
    l->prev = l->next = NULL;
    l->n = 0;
    return l;
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
    struct leaf *l = leaf_new(o);
    if (t == NULL || l == NULL)
        return NULL;
    *t = (struct tree){.id = id, .no = o->tree_count, .root = l, .first = l, .last = l, .near = l};
    uint32_t at = tree_place(o, id);
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

/* ---- search ---- */

/* How many of these ascending numbers are below x. */
static uint32_t count_below(const uint64_t *a, uint32_t n, uint64_t x)
{
    const uint64_t *p = a;
    if (n == 0)
        return 0;
    while (n > 1) {
        uint32_t half = n / 2;
        p = p[half - 1] < x ? p + half : p;
        n -= half;
    }
    return (uint32_t)(p - a) + (*p < x);
}

/* The first child that may hold the key: how many separators are at or below it. */
static uint32_t child_of(const struct inner *x, const struct probe *p)
{
    uint32_t lo = count_below(x->digest, x->n - 1, p->digest), hi = lo;
    while (hi + 1 < x->n && x->digest[hi] == p->digest)
        hi++;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (slice_cmp(slice_of(x->sep[mid]->bytes, x->sep[mid]->n), p->key) <= 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct place place_in(struct leaf *l, const struct probe *p)
{
    uint32_t lo = count_below(l->digest, l->n, p->digest), hi = lo;
    while (hi < l->n && l->digest[hi] == p->digest)
        hi++;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        int c = slice_cmp(own_entry_key(l->e[mid]), p->key);
        if (c == 0)
            return (struct place){.leaf = l, .at = mid, .exact = true};
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return (struct place){.leaf = l, .at = lo};
}

/* From the root; `path` (NULL: not wanted) gets the inner nodes on the way. */
static struct leaf *descend(const struct tree *t, const struct probe *p, struct step *path)
{
    void *at = t->root;
    for (uint32_t level = t->height; level > 0; level--) {
        struct inner *x = at;
        uint32_t child = child_of(x, p);
        if (path != NULL)
            path[level - 1] = (struct step){.node = x, .child = child};
        at = x->child[child];
    }
    return at;
}

static struct place find(struct tree *t, const struct probe *p)
{
    struct leaf *l = t->last;
    if (l->n > 0 && p->digest > l->digest[l->n - 1])
        return (struct place){.leaf = l, .at = l->n};
    l = t->near;
    if (l->n == 0 || p->digest <= l->digest[0] || p->digest >= l->digest[l->n - 1])
        t->near = l = descend(t, p, NULL);
    return place_in(l, p);
}

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
        struct place at = find(t, &p);
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
    uint32_t n = tree_place(o, tree);
    if (n == o->tree_count || o->sorted[n]->id != tree)
        return false;
    struct probe p = {.key = key, .digest = kv_digest_of(key)};
    const struct entry *e = loose_at(o->sorted[n], &p, through);
    if (e == NULL) {
        struct place at = place_in(descend(o->sorted[n], &p, NULL), &p);
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
    uint32_t n = tree_place(o, tree);
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

/* What splitting a leaf takes, made before anything is changed. */
struct splitting {
    struct leaf *leaf;
    struct separator *sep;
    struct inner *inner[HEIGHT_MAX]; /* a new neighbour for each full one on the path; one more where the root splits */
};

static bool splitting_make(struct kv_own *o, const struct tree *t, const struct step *path, struct slice key, struct splitting *s)
{
    *s = (struct splitting){.leaf = leaf_new(o), .sep = arena_alloc(&o->nodes, sizeof *s->sep + key.n)};
    if (s->leaf == NULL || s->sep == NULL)
        return false;
    s->sep->n = key.n;
    if (key.n > 0)
        memcpy(s->sep->bytes, key.p, key.n);
    uint32_t level = 0;
    while (level <= t->height) {
        bool room = level < t->height && path[level].node->n < FANOUT;
        if (room)
            break;
        QASSERT(level < HEIGHT_MAX);
        s->inner[level] = arena_alloc(&o->nodes, sizeof *s->inner[level]);
        if (s->inner[level] == NULL)
            return false;
        level++;
    }
    return true;
}

static void inner_insert(struct inner *x, uint32_t child, uint64_t digest, struct separator *sep, void *right)
{
    uint32_t after = x->n - 1 - child;
    memmove(x->digest + child + 1, x->digest + child, after * sizeof x->digest[0]);
    memmove(x->sep + child + 1, x->sep + child, after * sizeof(struct separator *));
    memmove(x->child + child + 2, x->child + child + 1, after * sizeof(void *));
    x->digest[child] = digest;
    x->sep[child] = sep;
    x->child[child + 1] = right;
    x->n++;
}

/* Move the children from `keep` on to `right`; the separator before them goes up. */
static void inner_split(struct inner *x, uint32_t keep, struct inner *right, uint64_t *digest, struct separator **sep)
{
    right->n = x->n - keep;
    *digest = x->digest[keep - 1];
    *sep = x->sep[keep - 1];
    memcpy(right->child, x->child + keep, right->n * sizeof(void *));
    memcpy(right->digest, x->digest + keep, (right->n - 1) * sizeof x->digest[0]);
    memcpy(right->sep, x->sep + keep, (right->n - 1) * sizeof(struct separator *));
    x->n = keep;
}

/* The new leaf stands right of the old one: tell the inner nodes. */
static void insert_up(struct tree *t, struct step *path, struct splitting *s, uint64_t digest)
{
    void *right = s->leaf;
    struct separator *sep = s->sep;
    for (uint32_t level = 0; level < t->height; level++) {
        struct inner *x = path[level].node;
        uint32_t child = path[level].child;
        if (x->n < FANOUT) {
            inner_insert(x, child, digest, sep, right);
            return;
        }
        struct inner *fresh = s->inner[level];
        if (child == FANOUT - 1) { /* keys in ascending order: full nodes stay full */
            fresh->n = 1;
            fresh->child[0] = right;
        } else {
            uint64_t up_digest;
            struct separator *up;
            inner_split(x, FANOUT / 2, fresh, &up_digest, &up);
            if (child < FANOUT / 2)
                inner_insert(x, child, digest, sep, right);
            else
                inner_insert(fresh, child - FANOUT / 2, digest, sep, right);
            digest = up_digest;
            sep = up;
        }
        right = fresh;
    }
    struct inner *root = s->inner[t->height];
    root->n = 2;
    root->digest[0] = digest;
    root->sep[0] = sep;
    root->child[0] = t->root;
    root->child[1] = right;
    t->root = root;
    t->height++;
}

/* Make room in a full leaf; *at becomes the place in whichever half the key belongs to. */
static bool leaf_split(struct kv_own *o, struct tree *t, const struct probe *p, struct place *at)
{
    struct step path[HEIGHT_MAX];
    struct splitting s;
    struct leaf *l = descend(t, p, path);
    QASSERT(l == at->leaf);
    bool append = l->next == NULL && at->at == FANOUT; /* keys in ascending order: full leaves stay full */
    uint32_t keep = append ? FANOUT : FANOUT / 2;
    if (!splitting_make(o, t, path, append ? p->key : own_entry_key(l->e[keep]), &s))
        return false;
    struct leaf *right = s.leaf;
    right->n = FANOUT - keep;
    memcpy(right->digest, l->digest + keep, right->n * sizeof l->digest[0]);
    memcpy(right->e, l->e + keep, right->n * sizeof l->e[0]);
    l->n = keep;
    right->prev = l;
    right->next = l->next;
    if (l->next != NULL)
        l->next->prev = right;
    else
        t->last = right;
    l->next = right;
    insert_up(t, path, &s, append ? p->digest : right->digest[0]);
    if (append || at->at > keep)
        *at = (struct place){.leaf = right, .at = at->at - keep};
    return true;
}

/* `e` is the newest of its key: those that hang on it stay so, above what the tree has. */
static bool tree_put(struct kv_own *o, struct tree *t, const struct probe *p, struct entry *e)
{
    struct place at = find(t, p);
    if (!at.exact && at.leaf->n == FANOUT && !leaf_split(o, t, p, &at))
        return false;
    struct leaf *l = at.leaf;
    if (at.exact) {
        struct entry *oldest = e;
        while (oldest->older != NULL)
            oldest = oldest->older;
        oldest->older = l->e[at.at];
    } else {
        memmove(l->digest + at.at + 1, l->digest + at.at, (l->n - at.at) * sizeof l->digest[0]);
        memmove(l->e + at.at + 1, l->e + at.at, (l->n - at.at) * sizeof l->e[0]);
        l->digest[at.at] = p->digest;
        l->n++;
        o->changes++;
    }
    l->e[at.at] = e;
    t->puts++;
    return true;
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
    if (key.n > 0)
        memcpy(e->bytes, key.p, key.n);
    if (record_len > 0)
        memcpy(e->bytes + key.n, record.p, record_len);
    struct probe p = {.key = key, .digest = kv_digest_of(key)};
    uint32_t waiting = t->loose.n;
    bool good = goes_in(o, t, &p) ? tree_put(o, t, &p, e) : loose_put(&t->loose, &p, e, &o->bytes);
    o->loose += t->loose.n - waiting;
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

/* ---- order ---- */

/* A walk comes to entries that were put at any time: have them in the cache by then. */
static void ask_ahead(const struct leaf *l, uint32_t at)
{
    uint32_t then = at + AHEAD;
    const struct leaf *next = l->next;
    if (next != NULL && at == 0) {
        __builtin_prefetch(&next->n);
        __builtin_prefetch(next->e);
        __builtin_prefetch(next->e + AHEAD);
    }
    if (then >= l->n) {
        then -= l->n;
        l = next;
    }
    if (l == NULL || then >= l->n)
        return;
    __builtin_prefetch(l->e[then]);
    __builtin_prefetch((const uint8_t *)l->e[then] + 64);
}

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
        if (!tree_put(o, t, &p, sorted[done].e))
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

/* All versions of a key, newest first; of those put with one version the last. */
static quartet_status each_version(const struct tree *t, const struct entry *e, const struct entry *below,
                                   quartet_status (*each)(void *arg, tree_id tree, struct slice key, apply_no version, struct slice record, struct err *err),
                                   void *arg, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    const struct entry *last = NULL;
    while (rc == QUARTET_OK && (e != NULL || below != NULL)) {
        if (e == NULL) {
            e = below;
            below = NULL;
        }
        if (last == NULL || e->version != last->version)
            rc = each(arg, t->id, own_entry_key(e), e->version, own_entry_record(e), err);
        last = e;
        e = e->older;
    }
    return rc;
}

static quartet_status each_in_tree(const struct tree *t,
                                   quartet_status (*each)(void *arg, tree_id tree, struct slice key, apply_no version, struct slice record, struct err *err),
                                   void *arg, struct err *err)
{
    uint32_t n, i = 0;
    struct loose_item *memory, *sorted = loose_sorted(&t->loose, &n, &memory);
    quartet_status rc = sorted != NULL ? QUARTET_OK : err_nomem(err);
    for (const struct leaf *l = t->first; rc == QUARTET_OK && l != NULL; l = l->next)
        for (uint32_t at = 0; rc == QUARTET_OK && at < l->n;) {
            int c = i == n ? 1 : sorted[i].digest != l->digest[at] ? (sorted[i].digest < l->digest[at] ? -1 : 1)
                                                                : slice_cmp(own_entry_key(sorted[i].e), own_entry_key(l->e[at]));
            if (i + AHEAD < n)
                __builtin_prefetch(sorted[i + AHEAD].e);
            ask_ahead(l, at);
            rc = each_version(t, c <= 0 ? sorted[i].e : l->e[at], c == 0 ? l->e[at] : NULL, each, arg, err);
            i += c <= 0;
            at += c >= 0;
        }
    for (; rc == QUARTET_OK && i < n; i++) {
        if (i + AHEAD < n) {
            __builtin_prefetch(sorted[i + AHEAD].e);
            __builtin_prefetch((const uint8_t *)sorted[i + AHEAD].e + 64);
        }
        rc = each_version(t, sorted[i].e, NULL, each, arg, err);
    }
    mem_free(memory);
    return rc;
}

quartet_status kv_own_each(const kv_own *o,
                           quartet_status (*each)(void *arg, tree_id tree, struct slice key, apply_no version, struct slice record, struct err *err), void *arg,
                           struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; rc == QUARTET_OK && i < o->tree_count; i++)
        rc = each_in_tree(o->sorted[i], each, arg, err);
    return rc;
}

/* ---- rollback ---- */

/* What the entry's key has left at or below `keep`. Its later entries, met on the way, are found settled already. */
static void settle_key(struct kv_own *o, const struct entry *e, apply_no keep)
{
    struct probe p = {.key = own_entry_key(e), .digest = kv_digest_of(own_entry_key(e))};
    struct loose_item *waits = loose_find(&o->trees[e->tree_no]->loose, &p);
    if (waits != NULL) /* its oldest is above all that the tree has of the key */
        waits->e = own_version_at(waits->e, keep);
    struct place at = find(o->trees[e->tree_no], &p);
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

/* ---- cursors ---- */

/* The first visible entry from place `at` of the leaf on. */
static void settle(struct kv_own_cursor *c, struct tree *t, struct leaf *l, uint32_t at)
{
    struct kv_own *o = c->own;
    for (;;) {
        if (at < l->n) {
            const struct entry *e = own_version_at(l->e[at], c->through);
            if (e == NULL) {
                at++;
                continue;
            }
            ask_ahead(l, at);
            *c = (struct kv_own_cursor){.own = o, .through = c->through, .valid = true, .tree = t->id, .key = own_entry_key(e), .record = own_entry_record(e),
                                        .version = e->version, .in_tree = t, .leaf = l, .at = at, .seen = o->changes};
            return;
        }
        at = 0;
        l = l->next;
        if (l != NULL)
            continue;
        uint32_t next = tree_place(o, t->id + 1);
        if (t->id == UINT64_MAX || next == o->tree_count) {
            c->valid = false;
            return;
        }
        t = o->sorted[next];
        l = t->first;
    }
}

/* The last visible entry before place `at` of the leaf. */
static void settle_back(struct kv_own_cursor *c, struct tree *t, struct leaf *l, uint32_t at)
{
    struct kv_own *o = c->own;
    for (;;) {
        if (at > 0) {
            at--;
            const struct entry *e = own_version_at(l->e[at], c->through);
            if (e == NULL)
                continue;
            *c = (struct kv_own_cursor){.own = o, .through = c->through, .valid = true, .tree = t->id, .key = own_entry_key(e), .record = own_entry_record(e),
                                        .version = e->version, .in_tree = t, .leaf = l, .at = at, .seen = o->changes};
            return;
        }
        l = l->prev;
        if (l == NULL) {
            uint32_t next = tree_place(o, t->id);
            if (next == 0) {
                c->valid = false;
                return;
            }
            t = o->sorted[next - 1];
            l = t->last;
        }
        at = l->n;
    }
}

void kv_own_seek(struct kv_own_cursor *c, kv_own *o, apply_no through, tree_id tree, struct slice key)
{
    QASSERT(o->loose == 0);
    *c = (struct kv_own_cursor){.own = o, .through = through};
    uint32_t n = tree_place(o, tree);
    if (n == o->tree_count)
        return;
    struct tree *t = o->sorted[n];
    struct place at = {.leaf = t->first};
    if (t->id == tree && key.n > 0) {
        struct probe p = {.key = key, .digest = kv_digest_of(key)};
        at = find(t, &p);
    }
    settle(c, t, at.leaf, at.at);
}

void kv_own_seek_before(struct kv_own_cursor *c, kv_own *o, apply_no through, tree_id tree, struct slice key)
{
    QASSERT(o->loose == 0);
    *c = (struct kv_own_cursor){.own = o, .through = through};
    uint32_t n = tree_place(o, tree);
    if (n < o->tree_count && o->sorted[n]->id == tree) {
        struct probe p = {.key = key, .digest = kv_digest_of(key)};
        struct place at = find(o->sorted[n], &p);
        settle_back(c, o->sorted[n], at.leaf, at.at);
    } else if (n > 0) {
        settle_back(c, o->sorted[n - 1], o->sorted[n - 1]->last, o->sorted[n - 1]->last->n);
    }
}

void kv_own_seek_last(struct kv_own_cursor *c, kv_own *o, apply_no through)
{
    QASSERT(o->loose == 0);
    *c = (struct kv_own_cursor){.own = o, .through = through};
    if (o->tree_count == 0)
        return;
    struct tree *t = o->sorted[o->tree_count - 1];
    settle_back(c, t, t->last, t->last->n);
}

/* Where the cursor's key is now. */
static struct place cursor_place(const struct kv_own_cursor *c)
{
    QASSERT(c->own->loose == 0);
    if (c->seen == c->own->changes)
        return (struct place){.leaf = c->leaf, .at = c->at, .exact = true};
    struct probe p = {.key = c->key, .digest = kv_digest_of(c->key)};
    return find(c->in_tree, &p);
}

void kv_own_next(struct kv_own_cursor *c)
{
    QASSERT(c->valid);
    struct place at = cursor_place(c);
    settle(c, c->in_tree, at.leaf, at.at + at.exact);
}

bool kv_own_older(struct kv_own_cursor *c)
{
    QASSERT(c->valid);
    struct place at = cursor_place(c);
    const struct entry *e = at.exact && c->version > 0 ? own_version_at(at.leaf->e[at.at], c->version - 1) : NULL;
    if (e == NULL)
        return false;
    c->record = own_entry_record(e);
    c->version = e->version;
    return true;
}

void kv_own_prev(struct kv_own_cursor *c)
{
    QASSERT(c->valid);
    struct place at = cursor_place(c);
    settle_back(c, c->in_tree, at.leaf, at.at);
}

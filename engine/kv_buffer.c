/* kv_buffer.c - a versioned ordered map in memory: a skip list (Pugh 1990) whose nodes lie in chunks.
 * Why: one writer and many readers without locks; entries that never move let readers keep slices of them.
 * Order: tree ascending, key ascending, version descending; of two entries with one version the later put stands first.
 * A slot holds, beside the link, a digest of the next node's key: most nodes that are too far are known as such without the cache miss of looking
 *   at them, which is what a search in a large list costs.
 * Invariants: a node is linked bottom up with release stores once it is complete, so a reader that follows acquire loads sees whole
 *   nodes only. Versions never go down from put to put. Fingers (where the last put of a tree went) make puts in key order cost O(1). */
#include "kv_buffer.h"

#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "kv_digest.h"

#define HEIGHT_MAX 20u
#define FINGERS 8u
#define TREE_SLOTS 64u
#define CHUNK_BYTES_MIN 4096u
#define CHUNK_BYTES_MAX (256u << 10)
#define ERASED UINT32_MAX

struct slot {
    _Atomic(struct node *) next;
    /* The next node's digest; UINT64_MAX where its tree is another. Stored before `next` and loaded after it, so it is never older: it may be that of a
     * node just about to be linked, which is nearer. Hence a digest beyond what is sought always tells right, others only invite a look. */
    _Atomic uint64_t digest;
};

struct node {
    uint64_t tree;
    uint64_t digest;
    uint64_t word0, word1; /* the key's first 16 bytes as big-endian numbers, padded with zeros */
    uint64_t version;
    uint16_t key_len;
    uint16_t height;
    uint32_t record_len; /* ERASED: an erasure */
    uint32_t past_len;
    uint32_t bytes_at; /* the key's bytes, then the record's, then the past's, from the node's start */
    struct slot slots[];
};

struct chunk {
    struct chunk *older;
    size_t used, cap; /* of data */
    _Alignas(16) uint8_t data[];
};

struct finger {
    struct node *prev[HEIGHT_MAX]; /* each at or before the finger's place; &head where none */
};

struct kv_buffer {
    struct chunk *newest;
    struct node *head; /* before everything, of full height */
    struct finger fingers[FINGERS];
    uint64_t rng;
    uint64_t last_version;
    uint64_t tree_last[TREE_SLOTS]; /* the last version put into any tree of the slot */
    _Atomic uint32_t height; /* levels in use */
    _Atomic size_t bytes;
    _Atomic uint64_t entries;
    atomic_bool has_past; /* some entry brought one */
};

/* What is looked for: position just before the first node that does not sort below it. */
struct probe {
    uint64_t tree, digest, word0, word1, version;
    struct slice key;
};

static struct probe probe_make(tree_id tree, struct slice key, apply_no version)
{
    struct probe p = {.tree = tree, .word0 = kv_key_word(key, 0), .word1 = kv_key_word(key, 8), .version = version, .key = key};
    p.digest = kv_digest(key, p.word0, p.word1);
    return p;
}

static const uint8_t *node_key(const struct node *n)
{
    return (const uint8_t *)n + n->bytes_at;
}

/* Order of the node's (tree, key) against the probe's. */
static int node_key_cmp(const struct node *n, const struct probe *p)
{
    if (n->tree != p->tree)
        return n->tree < p->tree ? -1 : 1;
    if (n->word0 != p->word0)
        return n->word0 < p->word0 ? -1 : 1;
    if (n->word1 != p->word1)
        return n->word1 < p->word1 ? -1 : 1;
    size_t shorter = n->key_len < p->key.n ? n->key_len : p->key.n;
    if (shorter > 16) {
        int c = memcmp(node_key(n) + 16, p->key.p + 16, shorter - 16);
        if (c != 0)
            return c;
    }
    return n->key_len < p->key.n ? -1 : n->key_len > p->key.n;
}

/* Does the node stand before the place of the probe, the first entry of its key with a version at or below the probe's? */
static inline bool node_before(const struct node *n, const struct probe *p)
{
    int c = node_key_cmp(n, p);
    return c < 0 || (c == 0 && n->version > p->version);
}

static inline struct node *next_of(const struct node *n, uint32_t level)
{
    return atomic_load_explicit(&n->slots[level].next, memory_order_acquire);
}

/* The node after x on the level, if it stands before the probe; x does, or is the head. */
static inline struct node *step(const struct kv_buffer *b, const struct node *x, uint32_t level, const struct probe *p)
{
    struct node *n = next_of(x, level);
    if (n == NULL)
        return NULL;
    if (x != b->head && x->tree == p->tree && atomic_load_explicit(&x->slots[level].digest, memory_order_relaxed) > p->digest)
        return NULL;
    return node_before(n, p) ? n : NULL;
}

/* From x, which stands before the probe or is the head, as far as the level goes without passing the probe. For the writer only: nobody changes slots
 * meanwhile, so that digests tell in both directions and most nodes on the way are not looked at but for their slots, which saves a cache miss each. */
static struct node *walk_own(struct node *x, uint32_t level, const struct probe *p, bool *in_tree)
{
    for (struct node *n; (n = next_of(x, level)) != NULL; x = n) {
        if (*in_tree) { /* x is of the probe's tree */
            uint64_t digest = atomic_load_explicit(&x->slots[level].digest, memory_order_relaxed);
            if (digest > p->digest)
                break;
            if (digest < p->digest)
                continue;
        }
        if (!node_before(n, p))
            break;
        *in_tree = n->tree == p->tree;
    }
    return x;
}

/* What a slot of `from` says about `to`. */
static uint64_t slot_digest(const struct node *from, const struct node *to)
{
    return to != NULL && to->tree == from->tree ? to->digest : UINT64_MAX;
}

static size_t node_bytes(uint32_t height, size_t key_len, size_t record_len, size_t past_len)
{
    size_t n = sizeof(struct node) + height * sizeof(struct slot) + key_len + record_len + past_len;
    return (n + 15) & ~(size_t)15;
}

static struct chunk *chunk_new(struct kv_buffer *b, size_t need)
{
    size_t cap = b->newest == NULL ? CHUNK_BYTES_MIN : b->newest->cap * 2;
    if (cap > CHUNK_BYTES_MAX)
        cap = CHUNK_BYTES_MAX;
    if (cap < need)
        cap = need;
    struct chunk *c = mem_alloc(sizeof *c + cap);
    if (c == NULL)
        return NULL;
    c->older = b->newest;
    c->used = 0;
    c->cap = cap;
    b->newest = c;
    atomic_fetch_add_explicit(&b->bytes, sizeof *c + cap, memory_order_relaxed);
    return c;
}

static struct node *node_alloc(struct kv_buffer *b, size_t bytes)
{
    struct chunk *c = b->newest;
    if ((c == NULL || c->cap - c->used < bytes) && (c = chunk_new(b, bytes)) == NULL)
        return NULL;
    struct node *n = (struct node *)(void *)(c->data + c->used);
    c->used += bytes;
    return n;
}

static void fingers_reset(struct kv_buffer *b)
{
    for (uint32_t f = 0; f < FINGERS; f++)
        for (uint32_t i = 0; i < HEIGHT_MAX; i++)
            b->fingers[f].prev[i] = b->head;
}

kv_buffer *kv_buffer_new(void)
{
    struct kv_buffer *b = mem_zalloc(1, sizeof *b);
    if (b == NULL)
        return NULL;
    b->rng = 0x9E3779B97F4A7C15u; /* heights need no secrecy: keys do not choose them */
    size_t head_bytes = sizeof(struct node) + HEIGHT_MAX * sizeof(struct slot);
    b->head = mem_zalloc(1, head_bytes);
    if (b->head == NULL) {
        mem_free(b);
        return NULL;
    }
    for (uint32_t i = 0; i < HEIGHT_MAX; i++) {
        atomic_init(&b->head->slots[i].next, NULL);
        atomic_init(&b->head->slots[i].digest, UINT64_MAX);
    }
    b->head->height = HEIGHT_MAX;
    atomic_init(&b->height, 1);
    atomic_init(&b->bytes, sizeof *b + head_bytes);
    atomic_init(&b->entries, 0);
    atomic_init(&b->has_past, false);
    fingers_reset(b);
    return b;
}

void kv_buffer_free(kv_buffer *b)
{
    if (b == NULL)
        return;
    for (struct chunk *c = b->newest, *older; c != NULL; c = older) {
        older = c->older;
        mem_free(c);
    }
    mem_free(b->head);
    mem_free(b);
}

static uint32_t random_height(struct kv_buffer *b)
{
    b->rng ^= b->rng << 13;
    b->rng ^= b->rng >> 7;
    b->rng ^= b->rng << 17;
    uint64_t r = b->rng >> 20;
    uint32_t h = 1;
    /* Half of the nodes of each level: more slots than with a quarter, but a search visits fewer nodes, and those cost a cache miss each
     * (measured, 1,000,000 keys in random order: two thirds of the time). */
    while (h < HEIGHT_MAX && (r & 1u) == 0) {
        h++;
        r >>= 1;
    }
    return h;
}

/* Move the finger so that prev[i] is the last node before the probe on every level below `upto`. */
static void finger_seek(struct kv_buffer *b, struct finger *f, const struct probe *p, uint32_t upto)
{
    uint32_t top = atomic_load_explicit(&b->height, memory_order_relaxed);
    if (upto > top)
        top = upto;
    /* The lowest level whose link spans the place; below it the search starts from there. */
    uint32_t level = 0;
    while (level < top) {
        struct node *prev = f->prev[level];
        if (prev == b->head || node_before(prev, p)) {
            if (step(b, prev, level, p) == NULL)
                break;
        }
        level++;
    }
    /* Above it prev[] stands before the place too, since no level is ahead of a lower one; but other trees' fingers may have put
     * nodes in between. */
    for (uint32_t i = level; i < upto; i++) {
        bool in_tree = f->prev[i] != b->head && f->prev[i]->tree == p->tree;
        f->prev[i] = walk_own(f->prev[i], i, p, &in_tree);
    }
    struct node *x = level < top ? f->prev[level] : b->head;
    bool in_tree = x != b->head && x->tree == p->tree;
    for (uint32_t i = level; i-- > 0;)
        f->prev[i] = x = walk_own(x, i, p, &in_tree);
}

quartet_status kv_buffer_put(kv_buffer *b, tree_id tree, struct slice key, apply_no version, struct slice record, struct err *err)
{
    return kv_buffer_put_past(b, tree, key, version, record, slice_of(NULL, 0), err);
}

quartet_status kv_buffer_put_past(kv_buffer *b, tree_id tree, struct slice key, apply_no version, struct slice record, struct slice past,
                                  struct err *err)
{
    QASSERT(version >= b->last_version);
    size_t record_len = record.p != NULL ? record.n : 0;
    if (key.n >= KV_KEY_BYTES_MAX || record_len >= KV_RECORD_BYTES_MAX || past.n >= KV_RECORD_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "an entry of %zu key bytes and %zu record bytes is too large", key.n, record_len);
    uint32_t height = random_height(b);
    struct node *n = node_alloc(b, node_bytes(height, key.n, record_len, past.n));
    if (n == NULL)
        return err_nomem(err);
    struct probe p = probe_make(tree, key, version);
    n->tree = tree;
    n->digest = p.digest;
    n->word0 = p.word0;
    n->word1 = p.word1;
    n->version = version;
    n->key_len = (uint16_t)key.n;
    n->record_len = record.p != NULL ? (uint32_t)record_len : ERASED;
    n->past_len = (uint32_t)past.n;
    n->height = (uint16_t)height;
    n->bytes_at = (uint32_t)(sizeof *n + height * sizeof n->slots[0]);
    uint8_t *bytes = (uint8_t *)n + n->bytes_at;
    if (key.n > 0)
        memcpy(bytes, key.p, key.n);
    if (record_len > 0)
        memcpy(bytes + key.n, record.p, record_len);
    if (past.n > 0) {
        memcpy(bytes + key.n + record_len, past.p, past.n);
        atomic_store_explicit(&b->has_past, true, memory_order_relaxed);
    }

    struct finger *f = &b->fingers[tree % FINGERS];
    finger_seek(b, f, &p, height);
    if (height > atomic_load_explicit(&b->height, memory_order_relaxed))
        atomic_store_explicit(&b->height, height, memory_order_relaxed);
    for (uint32_t i = 0; i < height; i++) {
        struct node *prev = f->prev[i], *next = atomic_load_explicit(&prev->slots[i].next, memory_order_relaxed);
        bool same_tree = prev != b->head && prev->tree == tree; /* then what prev knows holds for n, and next need not be looked at */
        atomic_init(&n->slots[i].next, next);
        atomic_init(&n->slots[i].digest,
                    same_tree ? atomic_load_explicit(&prev->slots[i].digest, memory_order_relaxed) : slot_digest(n, next));
        atomic_store_explicit(&prev->slots[i].digest, same_tree ? n->digest : UINT64_MAX, memory_order_relaxed);
        atomic_store_explicit(&prev->slots[i].next, n, memory_order_release);
        f->prev[i] = n;
    }
    b->last_version = version;
    b->tree_last[tree % TREE_SLOTS] = version;
    atomic_fetch_add_explicit(&b->entries, 1, memory_order_relaxed);
    return QUARTET_OK;
}

size_t kv_buffer_bytes(const kv_buffer *b)
{
    return atomic_load_explicit(&b->bytes, memory_order_relaxed);
}

uint64_t kv_buffer_entries(const kv_buffer *b)
{
    return atomic_load_explicit(&b->entries, memory_order_relaxed);
}

/* The last node before the probe, the head where there is none. */
static const struct node *search(const kv_buffer *b, const struct probe *p)
{
    const struct node *x = b->head;
    for (uint32_t i = atomic_load_explicit(&b->height, memory_order_relaxed); i-- > 0;)
        for (const struct node *n; (n = step(b, x, i, p)) != NULL;)
            x = n;
    return x;
}

/* The first node at or after the probe. The writer may link another in between while we look, so what follows is compared again. */
static struct node *first_at(const kv_buffer *b, const struct probe *p)
{
    struct node *n = next_of(search(b, p), 0);
    while (n != NULL && node_before(n, p))
        n = next_of(n, 0);
    return n;
}

static struct slice node_record(const struct node *n)
{
    if (n->record_len == ERASED)
        return (struct slice){.p = NULL, .n = 0};
    return slice_of(node_key(n) + n->key_len, n->record_len);
}

bool kv_buffer_get(const kv_buffer *b, tree_id tree, struct slice key, apply_no through, struct slice *record, apply_no *version)
{
    struct probe p = probe_make(tree, key, through);
    const struct node *n = first_at(b, &p);
    if (n == NULL || node_key_cmp(n, &p) != 0)
        return false;
    *record = node_record(n);
    *version = n->version;
    return true;
}

static void unlink_node(struct kv_buffer *b, struct node *n)
{
    struct probe p = {.tree = n->tree, .digest = n->digest, .word0 = n->word0, .word1 = n->word1, .version = n->version, .key = slice_of(node_key(n), n->key_len)};
    struct node *x = b->head;
    for (uint32_t i = HEIGHT_MAX; i-- > 0;) {
        for (struct node *y; (y = step(b, x, i, &p)) != NULL;)
            x = y;
        if (i >= n->height)
            continue;
        struct node *y = x; /* several puts of one version stand side by side */
        while (next_of(y, i) != n)
            y = next_of(y, i);
        atomic_store_explicit(&y->slots[i].digest, slot_digest(y, next_of(n, i)), memory_order_relaxed);
        atomic_store_explicit(&y->slots[i].next, next_of(n, i), memory_order_release);
    }
    atomic_fetch_sub_explicit(&b->entries, 1, memory_order_relaxed);
}

void kv_buffer_take_back(kv_buffer *b, tree_id tree, struct slice key, apply_no version)
{
    struct probe p = probe_make(tree, key, version);
    struct node *n = first_at(b, &p);
    if (n == NULL || node_key_cmp(n, &p) != 0 || n->version != version)
        return;
    unlink_node(b, n);
    fingers_reset(b);
}

static void cursor_on(struct kv_cursor *c, const struct node *n)
{
    c->node = n;
    if (n == NULL)
        return;
    c->tree = n->tree;
    c->key = slice_of(node_key(n), n->key_len);
    c->record = node_record(n);
    c->version = n->version;
}

/* The first entry from `n` on that is visible; n is the first of its key that may be. */
static void cursor_settle(struct kv_cursor *c, const struct node *n)
{
    while (n != NULL && n->version > c->through)
        n = next_of(n, 0);
    cursor_on(c, n);
}

void kv_cursor_seek(struct kv_cursor *c, const kv_buffer *b, apply_no through, tree_id tree, struct slice key)
{
    struct probe p = probe_make(tree, key, through);
    c->buffer = b;
    c->through = through;
    cursor_settle(c, first_at(b, &p));
}

static bool same_key(const struct node *a, const struct node *b)
{
    return a->tree == b->tree && a->word0 == b->word0 && a->word1 == b->word1 && a->key_len == b->key_len &&
           (a->key_len <= 16 || memcmp(node_key(a) + 16, node_key(b) + 16, a->key_len - 16) == 0);
}

void kv_cursor_next(struct kv_cursor *c)
{
    const struct node *from = c->node;
    QASSERT(from != NULL);
    const struct node *n = next_of(from, 0);
    while (n != NULL && same_key(n, from)) /* older versions of the key just seen */
        n = next_of(n, 0);
    cursor_settle(c, n);
}

bool kv_cursor_older(struct kv_cursor *c)
{
    const struct node *from = c->node;
    QASSERT(from != NULL);
    const struct node *n = next_of(from, 0);
    while (n != NULL && n->version == from->version && same_key(n, from)) /* an earlier put of the same version */
        n = next_of(n, 0);
    if (n == NULL || !same_key(n, from))
        return false;
    cursor_on(c, n);
    return true;
}

/* The last visible entry at or before `n`, which is the oldest version of its key. */
static void settle_back(struct kv_cursor *c, const struct node *n)
{
    const kv_buffer *b = c->buffer;
    for (;;) {
        if (n == b->head) {
            c->node = NULL;
            return;
        }
        struct probe p = {.tree = n->tree, .digest = n->digest, .word0 = n->word0, .word1 = n->word1, .version = c->through, .key = slice_of(node_key(n), n->key_len)};
        const struct node *seen = first_at(b, &p);
        if (seen != NULL && same_key(seen, n)) {
            cursor_on(c, seen);
            return;
        }
        p.version = UINT64_MAX;
        n = search(b, &p);
    }
}

void kv_cursor_seek_before(struct kv_cursor *c, const kv_buffer *b, apply_no through, tree_id tree, struct slice key)
{
    c->buffer = b;
    c->through = through;
    struct probe p = probe_make(tree, key, UINT64_MAX);
    settle_back(c, search(b, &p));
}

void kv_cursor_seek_last(struct kv_cursor *c, const kv_buffer *b, apply_no through)
{
    c->buffer = b;
    c->through = through;
    const struct node *x = b->head;
    for (uint32_t i = atomic_load_explicit(&b->height, memory_order_relaxed); i-- > 0;)
        for (const struct node *n; (n = next_of(x, i)) != NULL;)
            x = n;
    settle_back(c, x);
}

void kv_cursor_prev(struct kv_cursor *c)
{
    const struct node *n = c->node;
    QASSERT(n != NULL);
    kv_cursor_seek_before(c, c->buffer, c->through, n->tree, slice_of(node_key(n), n->key_len));
}

bool kv_buffer_past(const struct kv_cursor *c, const void **at, struct slice *past)
{
    const struct node *on = c->node, *n = *at == NULL ? on : next_of(*at, 0);
    QASSERT(on != NULL);
    if (!atomic_load_explicit(&c->buffer->has_past, memory_order_relaxed))
        return false;
    for (; n != NULL && (n == on || same_key(n, on)); n = next_of(n, 0)) {
        if (n->past_len == 0)
            continue;
        *past = slice_of(node_key(n) + n->key_len + (n->record_len == ERASED ? 0 : n->record_len), n->past_len);
        *at = n;
        return true;
    }
    return false;
}

bool kv_buffer_has_past(const kv_buffer *b)
{
    return atomic_load_explicit(&b->has_past, memory_order_relaxed);
}

apply_no kv_buffer_last_version(const kv_buffer *b)
{
    return b->last_version;
}

bool kv_buffer_tree_changed(const kv_buffer *b, tree_id tree, apply_no since)
{
    return b->tree_last[tree % TREE_SLOTS] > since;
}

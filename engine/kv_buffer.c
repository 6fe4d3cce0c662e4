/* kv_buffer.c - a versioned ordered map in memory: a skip list (Pugh 1990) whose nodes lie in chunks.
 * Why: one writer and many readers without locks; entries that never move let readers keep slices of them.
 * Order: tree ascending, key ascending; a key's versions hang on its one node, newest first, of two with one version the later put.
 * Why versions are no nodes of their own: an update of a key that is here costs no place in the list, and walks meet each key once.
 * A slot holds, beside the link, a digest of the next node's key: most nodes that are too far are known as such without the cache miss of looking
 *   at them, which is what a search in a large list costs.
 * Invariants: a node is linked bottom up with release stores once it is complete, and so is a version to its node, so a reader that follows acquire loads sees
 *   whole ones only. A node is never unlinked; one without versions is passed over. Versions never go down from put to put.
 *   Fingers (where the last put of a tree went) make puts in key order cost O(1).
 * Not here: what finds a key without a search (kv_buffer_hints.c), searches side by side (kv_buffer_many.c). */
#include "kv_buffer_internal.h"

#include <stddef.h>

#include "base/mem.h"

#define CHUNK_BYTES_MIN 4096u
#define CHUNK_BYTES_MAX (256u << 10)
#define ERASED UINT32_MAX

struct chunk {
    struct chunk *older;
    size_t used, cap; /* of data */
    _Alignas(16) uint8_t data[];
};

/* The newest one at or below `through`, NULL: none. */
static const struct version *version_at(const struct node *n, apply_no through)
{
    const struct version *v = atomic_load_explicit(&n->newest, memory_order_acquire);
    while (v != NULL && v->version > through)
        v = v->older != NULL && v->jump->version > through ? v->jump : v->older;
    return v;
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
    return to != NULL && to->tree == from->tree ? node_digest(to) : UINT64_MAX;
}

static size_t node_bytes(uint32_t height, size_t key_len)
{
    return (sizeof(struct node) + height * sizeof(struct slot) + key_len + 7) & ~(size_t)7;
}

/* What a put gives to a key. */
struct entry {
    apply_no version;
    struct slice record, past;
};

static size_t record_bytes(const struct entry *e)
{
    return e->record.p != NULL ? e->record.n : 0;
}

static size_t version_bytes(const struct entry *e)
{
    return (offsetof(struct version, record) + record_bytes(e) + e->past.n + 7) & ~(size_t)7;
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

static void *chunk_alloc(struct kv_buffer *b, size_t bytes) /* multiples of 8 */
{
    struct chunk *c = b->newest;
    if ((c == NULL || c->cap - c->used < bytes) && (c = chunk_new(b, bytes)) == NULL)
        return NULL;
    void *p = c->data + c->used;
    c->used += bytes;
    return p;
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
    for (struct hints *h = atomic_load_explicit(&b->hints, memory_order_relaxed), *older; h != NULL; h = older) {
        older = h->older;
        mem_free(h);
    }
    kv_hashes_deinit(&b->claims);
    kv_filter_deinit(&b->filter);
    mem_free(b->head);
    mem_free(b);
}

/* ---- puts ---- */

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

/* Complete, on top of the node's versions. */
static void push_version(struct kv_buffer *b, struct node *n, struct version *v, const struct entry *e)
{
    const struct version *older = atomic_load_explicit(&n->newest, memory_order_relaxed);
    *v = (struct version){.older = older, .jump = v, .version = e->version, .past_len = (uint32_t)e->past.n,
                          .record_len = e->record.p != NULL ? (uint32_t)e->record.n : ERASED};
    if (older != NULL) {
        const struct version *far = older->jump;
        v->jump = older->depth - far->depth == far->depth - far->jump->depth ? far->jump : older;
        v->depth = older->depth + 1;
    }
    if (record_bytes(e) > 0)
        memcpy(v->record, e->record.p, e->record.n);
    if (e->past.n > 0) {
        memcpy(v->record + record_bytes(e), e->past.p, e->past.n);
        atomic_store_explicit(&b->has_past, true, memory_order_relaxed);
    }
    atomic_store_explicit(&n->newest, v, memory_order_release);
    b->last_version = e->version;
    b->tree_last[n->tree % TREE_SLOTS] = e->version;
    /* There is one writer: no need for an addition that holds the line of the cache against others, which costs as much as the rest of this. */
    atomic_store_explicit(&b->entries, atomic_load_explicit(&b->entries, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* A complete node goes where the finger is. */
static void link_node(struct kv_buffer *b, struct finger *f, struct node *n)
{
    if (n->height > atomic_load_explicit(&b->height, memory_order_relaxed))
        atomic_store_explicit(&b->height, n->height, memory_order_relaxed);
    uint64_t digest = node_digest(n);
    for (uint32_t i = 0; i < n->height; i++) {
        struct node *prev = f->prev[i], *next = atomic_load_explicit(&prev->slots[i].next, memory_order_relaxed);
        bool same_tree = prev != b->head && prev->tree == n->tree; /* then what prev knows holds for n, and next need not be looked at */
        atomic_init(&n->slots[i].next, next);
        atomic_init(&n->slots[i].digest,
                    same_tree ? atomic_load_explicit(&prev->slots[i].digest, memory_order_relaxed) : slot_digest(n, next));
        atomic_store_explicit(&prev->slots[i].digest, same_tree ? digest : UINT64_MAX, memory_order_relaxed);
        atomic_store_explicit(&prev->slots[i].next, n, memory_order_release);
        f->prev[i] = n;
    }
}

static quartet_status put_new(struct kv_buffer *b, struct finger *f, const struct probe *p, uint32_t height, const struct entry *e, struct err *err)
{
    size_t own = node_bytes(height, p->key.n);
    struct node *n = chunk_alloc(b, own + version_bytes(e)); /* together: they are mostly read together */
    if (n == NULL)
        return err_nomem(err);
    n->tree = p->tree;
    n->word0 = p->word0;
    n->word1 = p->word1;
    n->key_len = (uint32_t)p->key.n;
    n->height = height;
    atomic_init(&n->newest, NULL);
    bytes_copy((uint8_t *)&n->slots[height], p->key.p, p->key.n);
    push_version(b, n, (struct version *)(void *)((uint8_t *)n + own), e);
    link_node(b, f, n);
    b->keys++;
    kv_buffer_hint_new(b, p, n);
    return QUARTET_OK;
}

/* Is the probe's place just behind the last put, as with puts in order? Costs no cache miss. */
static bool at_finger(const struct kv_buffer *b, const struct finger *f, const struct probe *p)
{
    const struct node *prev = f->prev[0];
    if (prev == b->head || prev->tree != p->tree || !node_before(prev, p))
        return false;
    return next_of(prev, 0) == NULL || atomic_load_explicit(&prev->slots[0].digest, memory_order_relaxed) > p->digest;
}

quartet_status kv_buffer_put(kv_buffer *b, tree_id tree, struct slice key, apply_no version, struct slice record, struct err *err)
{
    return kv_buffer_put_past(b, tree, key, version, record, slice_of(NULL, 0), err);
}

bool kv_buffer_known(const kv_buffer *b, const struct probe *p)
{
    return at_finger(b, &b->fingers[p->tree % FINGERS], p) || kv_buffer_hinted(b, p) != NULL;
}

quartet_status kv_buffer_put_at(kv_buffer *b, const struct probe *p, struct finger *found, apply_no version, struct slice record, struct slice past,
                                struct err *err)
{
    QASSERT(version >= b->last_version);
    size_t record_len = record.p != NULL ? record.n : 0;
    if (p->key.n >= KV_KEY_BYTES_MAX || record_len >= KV_RECORD_BYTES_MAX || past.n >= KV_RECORD_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "an entry of %zu key bytes and %zu record bytes is too large", p->key.n, record_len);
    struct entry e = {.version = version, .record = record, .past = past};
    struct finger *f = found != NULL ? found : &b->fingers[p->tree % FINGERS];
    struct node *n = found != NULL || at_finger(b, f, p) ? NULL : kv_buffer_hinted(b, p);
    if (n == NULL) {
        uint32_t height = random_height(b);
        finger_seek(b, f, p, height);
        n = next_of(f->prev[0], 0);
        if (n == NULL || node_key_cmp(n, p) != 0)
            return put_new(b, f, p, height, &e, err);
        kv_buffer_hint(b, p, n);
    }
    struct version *v = chunk_alloc(b, version_bytes(&e));
    if (v == NULL)
        return err_nomem(err);
    push_version(b, n, v, &e);
    return QUARTET_OK;
}

quartet_status kv_buffer_put_past(kv_buffer *b, tree_id tree, struct slice key, apply_no version, struct slice record, struct slice past,
                                  struct err *err)
{
    struct probe p = probe_make(tree, key);
    return kv_buffer_put_at(b, &p, NULL, version, record, past, err);
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

static struct slice version_record(const struct version *v)
{
    return v->record_len == ERASED ? (struct slice){.p = NULL, .n = 0} : slice_of(v->record, v->record_len);
}

/* The probe's own node, NULL: there is none. */
static struct node *node_of(const struct kv_buffer *b, const struct probe *p)
{
    if (!kv_buffer_may_have(b, p))
        return NULL;
    struct node *n = kv_buffer_hinted(b, p);
    if (n == NULL)
        n = first_at(b, p);
    return n != NULL && node_key_cmp(n, p) == 0 ? n : NULL;
}

bool kv_buffer_get(const kv_buffer *b, tree_id tree, struct slice key, apply_no through, struct slice *record, apply_no *version)
{
    struct probe p = probe_make(tree, key);
    const struct node *n = node_of(b, &p);
    const struct version *v = n != NULL ? version_at(n, through) : NULL;
    if (v == NULL)
        return false;
    *record = version_record(v);
    *version = v->version;
    return true;
}

uint32_t kv_buffer_begin_with(const kv_buffer *b, tree_id tree, struct slice prefix, apply_no through)
{
    struct probe p = probe_make(tree, prefix);
    struct node *x = b->head;
    bool in_tree = false;
    uint32_t count = 0;
    for (uint32_t i = atomic_load_explicit(&b->height, memory_order_relaxed); i-- > 0;)
        x = walk_own(x, i, &p, &in_tree);
    for (const struct node *n = next_of(x, 0); n != NULL && count < 2; n = next_of(n, 0)) {
        if (n->tree != tree || n->key_len < prefix.n || memcmp(node_key(n), prefix.p, prefix.n) != 0)
            break;
        const struct version *v = version_at(n, through);
        count += v != NULL && v->record_len != ERASED;
    }
    return count;
}

void kv_buffer_take_back(kv_buffer *b, tree_id tree, struct slice key, apply_no version)
{
    struct probe p = probe_make(tree, key);
    struct node *n = node_of(b, &p);
    const struct version *v = n != NULL ? atomic_load_explicit(&n->newest, memory_order_relaxed) : NULL;
    if (v == NULL || v->version != version)
        return;
    atomic_store_explicit(&n->newest, v->older, memory_order_release);
    atomic_fetch_sub_explicit(&b->entries, 1, memory_order_relaxed);
}

/* ---- cursors ---- */

static void cursor_on(struct kv_cursor *c, const struct node *n, const struct version *v)
{
    c->node = n;
    c->at = v;
    c->tree = n->tree;
    c->key = slice_of(node_key(n), n->key_len);
    c->record = version_record(v);
    c->version = v->version;
}

/* The first entry from `n` on that is visible. */
static void cursor_settle(struct kv_cursor *c, const struct node *n)
{
    for (const struct node *next; n != NULL; n = next) {
        const struct version *v = version_at(n, c->through);
        next = next_of(n, 0);
        if (next != NULL)
            fetch_node(next); /* a walk is likely to go on, and meets a cache miss with each key that came out of order */
        if (v != NULL) {
            cursor_on(c, n, v);
            return;
        }
    }
    c->node = NULL;
}

void kv_cursor_seek(struct kv_cursor *c, const kv_buffer *b, apply_no through, tree_id tree, struct slice key)
{
    struct probe p = probe_make(tree, key);
    c->buffer = b;
    c->through = through;
    cursor_settle(c, first_at(b, &p));
}

void kv_cursor_next(struct kv_cursor *c)
{
    const struct node *from = c->node;
    QASSERT(from != NULL);
    cursor_settle(c, next_of(from, 0));
}

bool kv_cursor_older(struct kv_cursor *c)
{
    QASSERT(c->node != NULL);
    const struct version *from = c->at, *v = from->older;
    while (v != NULL && v->version == from->version) /* an earlier put of the same version */
        v = v->older;
    if (v != NULL)
        cursor_on(c, c->node, v);
    return v != NULL;
}

/* The last visible entry at or before `n`, which may be the head. */
static void settle_back(struct kv_cursor *c, const struct node *n)
{
    while (n != c->buffer->head) {
        const struct version *v = version_at(n, c->through);
        if (v != NULL) {
            cursor_on(c, n, v);
            return;
        }
        struct probe p = probe_of(n);
        n = search(c->buffer, &p);
    }
    c->node = NULL;
}

void kv_cursor_seek_before(struct kv_cursor *c, const kv_buffer *b, apply_no through, tree_id tree, struct slice key)
{
    c->buffer = b;
    c->through = through;
    struct probe p = probe_make(tree, key);
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
    QASSERT(c->node != NULL);
    if (!kv_buffer_has_past(c->buffer))
        return false;
    const struct version *v = *at == NULL ? c->at : ((const struct version *)*at)->older;
    while (v != NULL && v->past_len == 0)
        v = v->older;
    if (v == NULL)
        return false;
    *past = slice_of(v->record + version_record(v).n, v->past_len);
    *at = v;
    return true;
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

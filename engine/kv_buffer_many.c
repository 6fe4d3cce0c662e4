/* kv_buffer_many.c - puts into a large buffer whose searches go on side by side, so that their cache misses overlap.
 * Why: a search in a skip list waits for memory some ten times, and each wait must end before the next place to look at is known. Searches for different keys do
 *   not wait for each other. Measured: merging rows with two indexes spent two fifths of its time on the waits of puts.
 *   The words of the filter that the puts will write are asked for with them: that was a tenth of merging such rows.
 * Invariants: where a search ended still stands before its key when others have put theirs meanwhile, since no node moves; the put goes on from there.
 *   A node that was reached by a link of some level has slots on that level and below. */
#include "base/map.h"
#include "kv_buffer_internal.h"

#define SMALL_ENTRIES 2048u /* of such a buffer what searches touch is near anyway */
#define WIDTH 16u

struct search {
    const struct kv_op *op;
    struct probe p;
    struct finger found;
    struct node *x;          /* stands before the probe, or is the head */
    struct node *look;       /* the next one's link is not enough: it was asked for and is looked at in the next turn. NULL: none */
    uint32_t level;          /* those at and above are done */
    bool known;              /* it needs no search */
};

static inline void fetch(const struct node *n, uint32_t level)
{
    __builtin_prefetch(n);
    __builtin_prefetch(&n->slots[level]);
}

static inline void descend(struct search *s)
{
    s->found.prev[--s->level] = s->x;
}

/* One more step; false: it has arrived. */
static bool go_on(const struct kv_buffer *b, struct search *s)
{
    if (s->look != NULL) {
        if (node_before(s->look, &s->p))
            s->x = s->look;
        else
            descend(s);
        s->look = NULL;
    }
    while (s->level > 0) {
        struct node *n = next_of(s->x, s->level - 1);
        uint64_t digest = s->p.digest; /* not known */
        if (s->x != b->head && s->x->tree == s->p.tree)
            digest = atomic_load_explicit(&s->x->slots[s->level - 1].digest, memory_order_relaxed);
        if (n == NULL || digest > s->p.digest) {
            descend(s);
            continue;
        }
        fetch(n, s->level - 1);
        if (digest < s->p.digest)
            s->x = n;
        else
            s->look = n;
        return true;
    }
    return false;
}

static void search_all(const struct kv_buffer *b, struct search *all, uint32_t n)
{
    const struct hints *h = atomic_load_explicit(&b->hints, memory_order_relaxed);
    uint32_t height = atomic_load_explicit(&b->height, memory_order_relaxed), at[WIDTH], count = 0;
    for (uint32_t i = 0; i < n; i++) {
        all[i].p = probe_make(all[i].op->tree, all[i].op->key);
        if (h != NULL)
            __builtin_prefetch(&h->at[hint_bucket(h, probe_hash(&all[i].p))], 1);
        kv_filter_fetch(&b->filter, probe_hash(&all[i].p));
    }
    for (uint32_t i = 0; i < n; i++) {
        struct search *s = &all[i];
        s->known = kv_buffer_known(b, &s->p);
        if (s->known)
            continue;
        s->x = b->head;
        s->look = NULL;
        s->level = height;
        for (uint32_t k = height; k < HEIGHT_MAX; k++)
            s->found.prev[k] = b->head;
        at[count++] = i;
    }
    while (count > 0)
        for (uint32_t i = 0; i < count; i++)
            if (!go_on(b, &all[at[i]]))
                at[i--] = at[--count];
}

static uint64_t claim_hash(tree_id tree, struct slice value)
{
    return hash64(value.p, value.n, tree);
}

bool kv_buffer_claimed(const kv_buffer *b, tree_id tree, struct slice value)
{
    return kv_hashes_has(&b->claims, claim_hash(tree, value));
}

static void note_claim(kv_buffer *b, const struct kv_op *op)
{
    size_t before = kv_hashes_bytes(&b->claims);
    kv_hashes_put(&b->claims, claim_hash(op->tree, slice_of(op->key.p, op->claim)));
    atomic_fetch_add_explicit(&b->bytes, kv_hashes_bytes(&b->claims) - before, memory_order_relaxed);
}

quartet_status kv_buffer_put_many(kv_buffer *b, const struct kv_op *ops, size_t n, apply_no version, size_t *done, struct err *err)
{
    struct search all[WIDTH];
    quartet_status rc = QUARTET_OK;
    bool searches = n > 1 && atomic_load_explicit(&b->entries, memory_order_relaxed) >= SMALL_ENTRIES;
    for (*done = 0; *done < n && rc == QUARTET_OK;) {
        const struct kv_op *op = ops + *done;
        uint32_t at = (uint32_t)(*done % WIDTH);
        if (!searches) {
            rc = kv_buffer_put_past(b, op->tree, op->key, version, op->record, op->past, err);
        } else {
            if (at == 0) {
                for (uint32_t i = 0; i < WIDTH && *done + i < n; i++)
                    all[i].op = op + i;
                search_all(b, all, n - *done < WIDTH ? (uint32_t)(n - *done) : WIDTH);
            }
            rc = kv_buffer_put_at(b, &all[at].p, all[at].known ? NULL : &all[at].found, version, op->record, op->past, err);
        }
        if (rc == QUARTET_OK && op->claim > 0)
            note_claim(b, op);
        *done += rc == QUARTET_OK;
    }
    return rc;
}

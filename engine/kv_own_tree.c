/* kv_own_tree.c - the B+tree of a transaction's own writes.
 * Why: a leaf holds digests of its keys side by side, so that a search in a million keys costs two or three cache misses and not one a step; keys in ascending order are
 *   appended without a search.
 * Order within a leaf is by key. Invariants: leaves live as long as the map, an empty one stays where it is. Separators are copies: they outlive the entry they were made from. */
#include <string.h>

#include "kv_own_internal.h"

#define HEIGHT_MAX 12u

struct step {
    struct inner *node;
    uint32_t child;
};

uint32_t own_tree_place(const struct kv_own *o, tree_id id)
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

struct leaf *own_leaf_new(struct kv_own *o)
{
    struct leaf *l = arena_alloc(&o->nodes, sizeof *l);
    if (l == NULL)
        return NULL;
    l->prev = l->next = NULL;
    l->n = 0;
    return l;
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

struct place own_look(const struct tree *t, const struct probe *p)
{
    return place_in(descend(t, p, NULL), p);
}

struct place own_find(struct tree *t, const struct probe *p)
{
    struct leaf *l = t->last;
    if (l->n > 0 && p->digest > l->digest[l->n - 1])
        return (struct place){.leaf = l, .at = l->n};
    l = t->near;
    if (l->n == 0 || p->digest <= l->digest[0] || p->digest >= l->digest[l->n - 1])
        t->near = l = descend(t, p, NULL);
    return place_in(l, p);
}

/* ---- put ---- */

/* What splitting a leaf takes, made before anything is changed. */
struct splitting {
    struct leaf *leaf;
    struct separator *sep;
    struct inner *inner[HEIGHT_MAX]; /* a new neighbour for each full one on the path; one more where the root splits */
};

static bool splitting_make(struct kv_own *o, const struct tree *t, const struct step *path, struct slice key, struct splitting *s)
{
    *s = (struct splitting){.leaf = own_leaf_new(o), .sep = arena_alloc(&o->nodes, sizeof *s->sep + key.n)};
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

bool own_tree_put(struct kv_own *o, struct tree *t, const struct probe *p, struct entry *e)
{
    struct place at = own_find(t, p);
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

/* kv_own_walk.c - a transaction's own writes in order: all of them at once, or by a cursor that stays where its key is while more is put.
 * Why two ways: COMMIT walks over everything once, and takes what waits beside the trees along without putting it in; a statement's scan goes where it likes, and what waits is put
 *   in before (kv_own_settle). */
#include "base/mem.h"
#include "kv_own_internal.h"

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

/* ---- all of it ---- */

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
        uint32_t next = own_tree_place(o, t->id + 1);
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
            uint32_t next = own_tree_place(o, t->id);
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
    uint32_t n = own_tree_place(o, tree);
    if (n == o->tree_count)
        return;
    struct tree *t = o->sorted[n];
    struct place at = {.leaf = t->first};
    if (t->id == tree && key.n > 0) {
        struct probe p = {.key = key, .digest = kv_digest_of(key)};
        at = own_find(t, &p);
    }
    settle(c, t, at.leaf, at.at);
}

void kv_own_seek_before(struct kv_own_cursor *c, kv_own *o, apply_no through, tree_id tree, struct slice key)
{
    QASSERT(o->loose == 0);
    *c = (struct kv_own_cursor){.own = o, .through = through};
    uint32_t n = own_tree_place(o, tree);
    if (n < o->tree_count && o->sorted[n]->id == tree) {
        struct probe p = {.key = key, .digest = kv_digest_of(key)};
        struct place at = own_find(o->sorted[n], &p);
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
    return own_find(c->in_tree, &p);
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

/* orphan_settle.c - which referenced keys are broken in a new state, where it may differ from what SYS_BROKEN says.
 * How: a few keys are in doubt. Of those that are broken and may be mended, all that they reach (children, and the keys these give) are taken for whole first; then
 *   whatever has a reason of its own is broken again, with what depends on it. So a circle of rows that reference each other does not keep itself broken, and what is
 *   found is the least set: a circle is whole as long as nothing else breaks it.
 * Invariants: only keys that doubt reaches are looked at; memory is theirs, never that of the rows that reference them.
 * Not here: which keys are in doubt, and how the change gets into the store (apply_orphans.c). */
#include "orphan_settle.h"

#include "base/mem.h"

/* ---- rows ---- */

struct settle_row { /* one row of the state */
    struct settle_row *next; /* while nobody uses it */
    struct buf record;
    struct arena arena;
    struct value *values;
    uint32_t cap;
};

static struct settle_row *row_take(struct settling *s)
{
    struct settle_row *r = s->spare;
    if (r == NULL)
        r = mem_zalloc(1, sizeof *r);
    else
        s->spare = r->next;
    if (r == NULL)
        (void)err_nomem(s->err); /* NULL tells */
    return r;
}

static void row_give(struct settling *s, struct settle_row *r)
{
    if (r == NULL)
        return;
    r->next = s->spare;
    s->spare = r;
}

/* One that steps 1 and 2 let be seen; *live false: there is none. */
static quartet_status row_read(struct settling *s, struct settle_row *r, const struct table_def *t, struct slice key, bool *live)
{
    *live = false;
    buf_clear(&r->record);
    arena_rewind(&r->arena, (struct arena_mark){0});
    quartet_status rc = kv_get(s->snap, NULL, t->id, key, &r->record, s->err);
    if (rc == QUARTET_NOTFOUND)
        return QUARTET_OK;
    if (rc == QUARTET_OK && r->cap < t->column_count) {
        struct value *grown = mem_realloc(r->values, t->column_count, sizeof *grown);
        if (grown == NULL)
            return err_nomem(s->err);
        r->values = grown;
        r->cap = t->column_count;
    }
    for (uint32_t i = 0; rc == QUARTET_OK && i < t->column_count; i++)
        r->values[i] = VALUE_NULL_INIT;
    return rc == QUARTET_OK ? table_decode(t, key, slice_of(r->record.data, r->record.len), r->values, &r->arena, live, s->err) : rc;
}

/* ---- keys ---- */

quartet_status settling_in_set(struct settling *s, struct slice key, bool *in)
{
    *in = false;
    if (!s->any)
        return QUARTET_OK;
    buf_clear(&s->record);
    quartet_status rc = kv_get(s->snap, NULL, SYS_BROKEN, key, &s->record, s->err);
    *in = rc == QUARTET_OK;
    return rc == QUARTET_NOTFOUND ? QUARTET_OK : rc;
}

static struct key_entry *state_of(struct settling *s, struct slice key)
{
    return map_get(&s->states, key.p, key.n);
}

static quartet_status state_new(struct settling *s, struct slice key, bool was, struct key_entry **out)
{
    struct key_entry *e = arena_zalloc(&s->arena, 1, sizeof *e);
    uint8_t *copy = arena_dup(&s->arena, key.p, key.n);
    if (e == NULL || copy == NULL)
        return arena_fail(&s->arena, s->err);
    *e = (struct key_entry){.key = slice_of(copy, key.n), .state = {.was = was}};
    *out = e;
    return map_put(&s->states, copy, key.n, e, s->err);
}

/* As far as is known by now. */
static quartet_status is_broken(struct settling *s, struct slice key, bool *broken)
{
    const struct key_entry *e = state_of(s, key);
    if (e != NULL) {
        *broken = e->state.broken;
        return QUARTET_OK;
    }
    return settling_in_set(s, key, broken);
}

/* Is the row an orphan, as far as is known? */
static quartet_status row_orphan(struct settling *s, const struct settle_row *r, const struct table_def *t, struct slice key, bool *orphan)
{
    const struct fk_link *out;
    uint32_t n = catalog_links_out(s->catalog, t->id, &out);
    quartet_status rc = QUARTET_OK;
    *orphan = false;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK && !*orphan; i++) {
        enum orphan_ref ref;
        if (!s->any && s->states.count == 0 && !out[i].casts)
            continue;
        rc = orphan_reference(&out[i], r->values, key, &s->key, &ref, s->err);
        if (rc == QUARTET_OK && ref == ORPHAN_KEY)
            rc = is_broken(s, slice_of(s->key.key.data, s->key.key.len), orphan);
        else
            *orphan = rc == QUARTET_OK && ref == ORPHAN_NEVER;
    }
    return rc;
}

/* The link that a key belongs to (any of those with that key: they differ in the child only), and how many there are. */
static uint32_t links_of(struct settling *s, tree_id table, tree_id index, const struct fk_link *const **first)
{
    uint32_t n = catalog_links_in(s->catalog, table, first), from = 0, count = 0;
    while (from < n && ((*first)[from]->key != NULL ? (*first)[from]->key->id : 0) != index)
        from++;
    *first += from;
    while (from + count < n && ((*first)[count]->key != NULL ? (*first)[count]->key->id : 0) == index)
        count++;
    return count;
}

/* Whether the rows of a table may be orphans at all, as far as is known. */
static bool may_be_orphans(const struct settling *s, const struct table_def *t)
{
    const struct fk_link *out;
    uint32_t n = catalog_links_out(s->catalog, t->id, &out);
    bool may = n > 0 && (s->any || s->states.count > 0);
    for (uint32_t i = 0; i < n && !may; i++)
        may = out[i].casts;
    return may;
}

static quartet_status parent_whole(struct settling *s, const struct fk_link *l, struct slice key, bool *whole)
{
    if (!may_be_orphans(s, l->parent)) { /* nearly always: it need not be taken apart */
        struct kv_want want = {0};
        quartet_status rc = kv_get_values(s->snap, NULL, l->parent->id, key, &want, NULL, &s->arena, s->err);
        *whole = rc == QUARTET_OK;
        return rc == QUARTET_NOTFOUND ? QUARTET_OK : rc;
    }
    struct settle_row *r = row_take(s);
    bool live, orphan = false;
    quartet_status rc = r == NULL ? QUARTET_NOMEM : row_read(s, r, l->parent, key, &live);
    *whole = rc == QUARTET_OK && live;
    if (*whole)
        rc = row_orphan(s, r, l->parent, key, &orphan);
    *whole = *whole && rc == QUARTET_OK && !orphan;
    row_give(s, r);
    return rc;
}

/* Is there a row that gives the key, and is it none that is an orphan itself? */
static quartet_status has_parent(struct settling *s, const struct fk_link *l, struct slice raw, bool *whole)
{
    if (l->key == NULL)
        return parent_whole(s, l, raw, whole);
    struct kv_want want = {.keys = true};
    struct kv_rows rows = {.n = 1};
    struct buf hi = {0};
    kv_iter *it = NULL;
    *whole = false;
    buf_put(&hi, raw.p, raw.n);
    struct kv_range range = {.lo = raw, .hi_open = !key_prefix_end(&hi)};
    range.hi = slice_of(hi.data, hi.len);
    quartet_status rc = hi.failed ? err_nomem(s->err) : kv_iter_open(s->snap, NULL, l->key->id, &range, &want, &it, s->err);
    while (rc == QUARTET_OK && rows.n > 0 && !*whole) {
        rc = kv_iter_next(it, 2, &rows, s->err);
        for (uint32_t i = 0; rc == QUARTET_OK && i < rows.n && !*whole; i++)
            rc = parent_whole(s, l, slice_of(rows.keys[i].p + raw.n, rows.keys[i].n - raw.n), whole);
    }
    kv_iter_close(it);
    buf_deinit(&hi);
    return rc;
}

/* Calls each() for the visible rows of one link that reference the key, until it says *stop. */
typedef quartet_status (*child_fn)(struct settling *s, const struct fk_link *l, const struct settle_row *r, struct slice key, bool *stop);

static quartet_status one_child(struct settling *s, const struct fk_link *l, struct slice parent, struct slice key, child_fn each, bool *stop)
{
    enum orphan_ref ref = ORPHAN_NONE;
    struct settle_row *r = row_take(s);
    bool live = false;
    quartet_status rc = r == NULL ? QUARTET_NOMEM : row_read(s, r, l->child, key, &live);
    if (rc == QUARTET_OK && live)
        rc = orphan_reference(l, r->values, key, &s->key, &ref, s->err);
    if (rc == QUARTET_OK && ref == ORPHAN_KEY && slice_eq(slice_of(s->key.key.data, s->key.key.len), parent))
        rc = each(s, l, r, key, stop);
    row_give(s, r);
    return rc;
}

static quartet_status link_children(struct settling *s, const struct fk_link *l, struct slice parent, struct slice raw, child_fn each, bool *stop)
{
    struct kv_want want = {.keys = true};
    struct kv_rows rows = {.n = 1};
    struct buf lo = {0}, hi = {0};
    kv_iter *it = NULL;
    bool hi_open, never;
    uint32_t limit = 4; /* most questions end with the first */
    struct arena a = {0};
    quartet_status rc = orphan_children(l, raw, &lo, &hi, &hi_open, &never, &a, s->err);
    struct kv_range range = {.lo = slice_of(lo.data, lo.len), .hi = slice_of(hi.data, hi.len), .hi_open = hi_open};
    if (rc == QUARTET_OK && !never)
        rc = kv_iter_open(s->snap, NULL, l->index != NULL ? l->index->id : l->child->id, &range, &want, &it, s->err);
    while (rc == QUARTET_OK && !never && rows.n > 0 && !*stop) {
        rc = kv_iter_next(it, limit, &rows, s->err);
        for (uint32_t i = 0; rc == QUARTET_OK && i < rows.n && !*stop; i++) {
            size_t n = l->index != NULL ? index_prefix(l->index, rows.keys[i]) : 0;
            rc = one_child(s, l, parent, slice_of(rows.keys[i].p + n, rows.keys[i].n - n), each, stop);
        }
        limit = 0;
    }
    kv_iter_close(it);
    arena_free_all(&a);
    buf_deinit(&lo);
    buf_deinit(&hi);
    return rc;
}

/* givers_only: of tables whose rows may be referenced themselves. */
static quartet_status children(struct settling *s, struct slice key, bool givers_only, child_fn each, bool *stop)
{
    tree_id table, index;
    struct slice raw;
    struct arena own = {0};
    const struct fk_link *const *links, *const *in;
    if (!orphan_split(key, &table, &index, &raw, &own)) {
        arena_free_all(&own);
        return err_set(s->err, QUARTET_CORRUPT, "a damaged key in quartet_broken_keys");
    }
    uint32_t n = links_of(s, table, index, &links);
    quartet_status rc = QUARTET_OK;
    *stop = false;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK && !*stop; i++)
        if (!givers_only || catalog_links_in(s->catalog, links[i]->child->id, &in) > 0)
            rc = link_children(s, links[i], key, raw, each, stop);
    arena_free_all(&own);
    return rc;
}

static quartet_status stop_at_first(struct settling *s, const struct fk_link *l, const struct settle_row *r, struct slice key, bool *stop)
{
    (void)s;
    (void)l;
    (void)r;
    (void)key;
    *stop = true;
    return QUARTET_OK;
}

quartet_status settling_has_child(struct settling *s, struct slice key, bool *has)
{
    return children(s, key, false, stop_at_first, has);
}

/* Is the key broken for a reason that is known by now: a child, and no parent that is whole? */
quartet_status settling_has_reason(struct settling *s, struct slice key, bool *broken)
{
    tree_id table, index;
    struct slice raw;
    struct arena own = {0};
    const struct fk_link *const *links;
    bool whole = true;
    *broken = false;
    if (!orphan_split(key, &table, &index, &raw, &own)) {
        arena_free_all(&own);
        return err_set(s->err, QUARTET_CORRUPT, "a damaged key in quartet_broken_keys");
    }
    quartet_status rc = QUARTET_OK;
    if (links_of(s, table, index, &links) > 0) /* none: the foreign key is gone */
        rc = has_parent(s, links[0], raw, &whole);
    if (rc == QUARTET_OK && !whole)
        rc = settling_has_child(s, key, broken);
    arena_free_all(&own);
    return rc;
}

/* Calls each() with every key that a row gives, where somebody may reference it; the key's bytes last through the call. */
static quartet_status given_keys(struct settling *s, const struct table_def *t, const struct settle_row *r, struct slice key,
                                 quartet_status (*each)(struct settling *s, struct slice given))
{
    const struct fk_link *const *in;
    uint32_t n = catalog_links_in(s->catalog, t->id, &in);
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++) {
        bool none;
        struct orphan_key k = {0};
        if (i > 0 && in[i]->key == in[i - 1]->key)
            continue;
        rc = orphan_given(in[i], r->values, key, &k, &none, s->err);
        if (rc == QUARTET_OK && !none)
            rc = each(s, slice_of(k.key.data, k.key.len));
        orphan_key_deinit(&k);
    }
    return rc;
}

/* ---- what may be mended ---- */

static quartet_status suspect(struct settling *s, struct slice key)
{
    struct key_entry *e;
    bool in;
    if (state_of(s, key) != NULL)
        return QUARTET_OK;
    quartet_status rc = settling_in_set(s, key, &in);
    return rc == QUARTET_OK && in ? state_new(s, key, true, &e) : rc;
}

static quartet_status suspect_given(struct settling *s, const struct fk_link *l, const struct settle_row *r, struct slice key, bool *stop)
{
    (void)stop;
    return given_keys(s, l->child, r, key, suspect);
}

/* All that those taken for whole reach is taken for whole, too. */
static quartet_status close_suspects(struct settling *s)
{
    quartet_status rc = QUARTET_OK;
    bool stop;
    for (size_t i = 0; i < s->states.entry_count && rc == QUARTET_OK; i++) {
        struct key_entry *e = s->states.entries[i].value;
        if (e->state.was)
            rc = children(s, e->key, true, suspect_given, &stop);
    }
    return rc;
}

/* ---- what breaks ---- */

static quartet_status break_key(struct settling *s, struct key_entry *e)
{
    e->state.broken = true;
    if (s->queue_count == s->queue_cap) {
        size_t cap = s->queue_cap == 0 ? 64 : s->queue_cap * 2;
        struct key_entry **grown = mem_realloc(s->queue, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(s->err);
        s->queue = grown;
        s->queue_cap = cap;
    }
    s->queue[s->queue_count++] = e;
    return QUARTET_OK;
}

static quartet_status break_given(struct settling *s, struct slice key)
{
    struct key_entry *e = state_of(s, key);
    bool in = false, child;
    if (e != NULL && e->state.broken)
        return QUARTET_OK;
    quartet_status rc = e == NULL ? settling_in_set(s, key, &in) : QUARTET_OK;
    if (rc == QUARTET_OK && in)
        return QUARTET_OK; /* broken, and stays so */
    if (rc == QUARTET_OK)
        rc = settling_has_child(s, key, &child);
    if (rc != QUARTET_OK || !child)
        return rc;
    if (e == NULL)
        rc = state_new(s, key, false, &e);
    return rc == QUARTET_OK ? break_key(s, e) : rc;
}

static quartet_status break_child(struct settling *s, const struct fk_link *l, const struct settle_row *r, struct slice key, bool *stop)
{
    (void)stop;
    return given_keys(s, l->child, r, key, break_given);
}

static quartet_status break_all(struct settling *s)
{
    quartet_status rc = QUARTET_OK;
    bool stop, broken;
    for (size_t i = 0, done = 0; rc == QUARTET_OK && (done < s->queue_count || i < s->states.entry_count);) {
        if (done < s->queue_count) { /* first what follows from what is known: fewer are looked at */
            struct key_entry *e = s->queue[done++];
            rc = children(s, e->key, true, break_child, &stop);
            continue;
        }
        struct key_entry *e = s->states.entries[i++].value;
        if (e->state.broken)
            continue;
        rc = settling_has_reason(s, e->key, &broken);
        if (rc == QUARTET_OK && broken)
            rc = break_key(s, e);
    }
    return rc;
}

/* ---- from doubts to the change ---- */

quartet_status settling_doubt(struct settling *s, struct slice key, bool was)
{
    struct key_entry *e;
    return state_of(s, key) != NULL ? QUARTET_OK : state_new(s, key, was, &e);
}

struct key_entry *settling_doubted(const struct settling *s, struct slice key)
{
    return map_get(&s->states, key.p, key.n);
}

quartet_status settling_run(struct settling *s)
{
    quartet_status rc = s->anew ? QUARTET_OK : close_suspects(s);
    return rc == QUARTET_OK ? break_all(s) : rc;
}

quartet_status settling_begin(struct settling *s, db *d, const struct catalog *catalog, struct err *err)
{
    *s = (struct settling){.d = d, .catalog = catalog, .any = d->broken_count > 0, .err = err};
    map_init(&s->states, d->applied_no);
    return kv_snapshot_latest(d->store, &s->snap, err);
}

void settling_end(struct settling *s)
{
    for (struct settle_row *r = s->spare, *next; r != NULL; r = next) {
        next = r->next;
        buf_deinit(&r->record);
        arena_free_all(&r->arena);
        mem_free(r->values);
        mem_free(r);
    }
    kv_release(s->snap);
    map_deinit(&s->states);
    mem_free(s->queue);
    arena_free_all(&s->arena);
    orphan_key_deinit(&s->key);
    buf_deinit(&s->record);
}

/* ---- everything anew ---- */

quartet_status settling_each_row(struct settling *s, const struct table_def *t, settling_row_fn each, void *arg)
{
    struct kv_range all = {.hi_open = true};
    struct kv_want want = {.keys = true};
    struct kv_rows rows = {.n = 1};
    kv_iter *it = NULL;
    struct settle_row *r = row_take(s);
    bool live;
    quartet_status rc = r == NULL ? QUARTET_NOMEM : kv_iter_open(s->snap, NULL, t->id, &all, &want, &it, s->err);
    while (rc == QUARTET_OK && rows.n > 0) {
        rc = kv_iter_next(it, 0, &rows, s->err);
        for (uint32_t i = 0; rc == QUARTET_OK && i < rows.n; i++) {
            rc = row_read(s, r, t, rows.keys[i], &live);
            if (rc == QUARTET_OK && live)
                rc = each(s, t, rows.keys[i], r->values, arg);
        }
    }
    kv_iter_close(it);
    row_give(s, r);
    return rc;
}

/* orphan.c - references between rows as keys of SYS_BROKEN, and the test of a row against that set.
 * Why the parent's encoding: a key that a row gives is then its primary key or the beginning of its index entry as it stands, so that looking for a parent is
 *   one seek; values of the child are made values of the parent's columns first, as comparing would.
 * Invariants: what a reference is depends on the row and the schema alone; equal values, as SQL compares them, make equal keys.
 * Not here: when a key breaks or is mended (apply_orphans.c). */
#include "orphan.h"

#include "base/map.h"
#include "base/mem.h"
#include "types.h"

#define ORPHAN_LOAD_MAX 1024u /* keys of one link that a scan holds in memory; with more each row's is looked up */

void orphan_key_deinit(struct orphan_key *k)
{
    buf_deinit(&k->key);
    buf_deinit(&k->raw);
    buf_deinit(&k->fold);
    arena_free_all(&k->arena);
}

static const struct key_column id_key = {.kind = KEY_INT, .type = VALUE_INTEGER}, raw_key = {.kind = KEY_BYTES, .type = VALUE_BLOB};

static void put_prefix(const struct fk_link *l, struct buf *out)
{
    struct value table = value_int((int64_t)l->parent->id), index = value_int(l->key != NULL ? (int64_t)l->key->id : 0);
    key_put(out, &id_key, &table);
    key_put(out, &id_key, &index);
}

static void put_key(const struct fk_link *l, struct slice raw, struct buf *out)
{
    struct value v = {.type = VALUE_BLOB, .s = raw};
    buf_clear(out);
    put_prefix(l, out);
    key_put(out, &raw_key, &v);
}

quartet_status orphan_prefix(const struct fk_link *l, struct orphan_key *k, struct err *err)
{
    buf_clear(&k->key);
    put_prefix(l, &k->key);
    return k->key.failed ? err_nomem(err) : QUARTET_OK;
}

static void put_part(const struct fk_link *l, uint32_t i, const struct value *v, struct orphan_key *k)
{
    if (l->key != NULL)
        index_put_column(l->parent, l->key, i, v, &k->raw, &k->fold);
    else
        key_put(&k->raw, &l->keys[i], v);
}

/* The child's value as one of the parent's column. */
static quartet_status part_fits(const struct fk_link *l, uint32_t i, struct value *v, struct arena *a, bool *fits, struct err *err)
{
    const struct column_def *c = &l->parent->columns[l->parent_columns[i]];
    struct type_decl to = {.type = c->type, .precision = c->precision, .scale = c->scale};
    quartet_status rc = c->type != VALUE_NULL ? types_affinity(c->type, v, a, err) : QUARTET_OK;
    if (rc == QUARTET_LIMIT) {
        err_clear(err);
        rc = QUARTET_OK;
    }
    *fits = rc == QUARTET_OK && types_fit(&to, v, a) == TYPES_FIT_EXACT && key_value_fits(&l->keys[i], v);
    return rc;
}

quartet_status orphan_reference(const struct fk_link *l, const struct value *values, struct slice primary, struct orphan_key *k, enum orphan_ref *out,
                                struct err *err)
{
    *out = ORPHAN_NONE;
    for (uint32_t i = 0; i < l->count; i++)
        if (values[l->columns[i]].type == VALUE_NULL)
            return QUARTET_OK;
    *out = ORPHAN_NEVER;
    buf_clear(&k->raw);
    arena_rewind(&k->arena, (struct arena_mark){0});
    for (uint32_t i = 0; i < l->count; i++) {
        struct value v = values[l->columns[i]];
        bool fits = true;
        quartet_status rc = l->casts ? part_fits(l, i, &v, &k->arena, &fits, err) : QUARTET_OK;
        if (rc != QUARTET_OK || !fits)
            return rc;
        put_part(l, i, &v, k);
    }
    if (!k->raw.failed && k->raw.len + primary.n > KEY_BYTES_MAX)
        return QUARTET_OK;
    put_key(l, slice_of(k->raw.data, k->raw.len), &k->key);
    *out = ORPHAN_KEY;
    return k->raw.failed || k->key.failed ? err_nomem(err) : QUARTET_OK;
}

quartet_status orphan_given(const struct fk_link *l, const struct value *values, struct slice primary, struct orphan_key *k, bool *none, struct err *err)
{
    *none = false;
    if (l->key == NULL) {
        put_key(l, primary, &k->key);
        return k->key.failed ? err_nomem(err) : QUARTET_OK;
    }
    buf_clear(&k->raw);
    for (uint32_t i = 0; i < l->count; i++) {
        *none |= values[l->parent_columns[i]].type == VALUE_NULL;
        put_part(l, i, &values[l->parent_columns[i]], k);
    }
    *none |= k->raw.len + primary.n > KEY_BYTES_MAX;
    put_key(l, slice_of(k->raw.data, k->raw.len), &k->key);
    return k->raw.failed || k->key.failed ? err_nomem(err) : QUARTET_OK;
}

bool orphan_split(struct slice key, tree_id *table, tree_id *index, struct slice *raw, struct arena *a)
{
    struct bytes_in in = bytes_in(key.p, key.n);
    struct value t, i, r;
    if (!key_get(&in, &id_key, &t, a) || !key_get(&in, &id_key, &i, a) || !key_get(&in, &raw_key, &r, a) || t.type != VALUE_INTEGER ||
        i.type != VALUE_INTEGER || r.type != VALUE_BLOB)
        return false;
    *table = (tree_id)t.i;
    *index = (tree_id)i.i;
    *raw = r.s;
    return true;
}

quartet_status orphan_child_values(const struct fk_link *l, struct slice raw, struct value *out, bool *never, struct arena *a, struct err *err)
{
    struct bytes_in in = bytes_in(raw.p, raw.n);
    const uint32_t *order = l->index != NULL ? l->index->columns : l->child->key_columns;
    const struct key_column *keys = l->index != NULL ? l->index->keys : l->child->keys;
    *never = false;
    for (uint32_t i = 0; i < l->count; i++) {
        const struct column_def *c = &l->child->columns[l->columns[i]];
        struct type_decl to = {.type = c->type, .precision = c->precision, .scale = c->scale};
        struct value v;
        uint32_t k = 0;
        if (!key_get(&in, &l->keys[i], &v, a))
            return err_set(err, QUARTET_CORRUPT, "a damaged key of table %s", l->parent->name);
        while (order[k] != l->columns[i])
            k++;
        *never |= types_fit(&to, &v, a) != TYPES_FIT_EXACT || v.type == VALUE_NULL || !key_value_fits(&keys[k], &v);
        out[k] = v;
    }
    return QUARTET_OK;
}

quartet_status orphan_children(const struct fk_link *l, struct slice raw, struct buf *lo, struct buf *hi, bool *hi_open, bool *never, struct arena *a,
                               struct err *err)
{
    struct buf fold = {0};
    struct value *v = arena_zalloc(a, l->count, sizeof *v);
    quartet_status rc = QUARTET_OK;
    buf_clear(lo);
    buf_clear(hi);
    *hi_open = true;
    *never = false;
    if (v == NULL)
        return arena_fail(a, err);
    if (l->seeks)
        rc = orphan_child_values(l, raw, v, never, a, err);
    for (uint32_t k = 0; rc == QUARTET_OK && k < l->count && l->seeks && !*never; k++)
        if (l->index != NULL)
            index_put_column(l->child, l->index, k, &v[k], lo, &fold);
        else
            key_put(lo, &l->child->keys[k], &v[k]);
    buf_put(hi, lo->data, lo->len);
    *hi_open = lo->len == 0 || !key_prefix_end(hi);
    buf_deinit(&fold);
    if (rc != QUARTET_OK)
        return rc;
    return lo->failed || hi->failed ? err_nomem(err) : QUARTET_OK;
}

/* ---- readers ---- */

struct orphan_link_set {
    bool loaded; /* all of the link's broken keys are in `keys` */
    struct map keys;
};

static void drop_sets(struct orphan_filter *f)
{
    for (uint32_t i = 0; f->sets != NULL && i < f->count; i++)
        map_deinit(&f->sets[i].keys);
    mem_free(f->sets);
    f->sets = NULL;
    f->loaded = false;
}

void orphan_filter_rest(struct orphan_filter *f)
{
    drop_sets(f);
    f->on = f->noted = false;
    f->links = NULL;
    f->count = 0;
    f->snap = NULL;
    f->t = NULL;
}

void orphan_filter_deinit(struct orphan_filter *f)
{
    drop_sets(f);
    orphan_key_deinit(&f->key);
    buf_deinit(&f->record);
}

/* The range of all keys that the link references, in f->key.key and *hi. */
static quartet_status link_range(struct orphan_filter *f, const struct fk_link *l, struct buf *hi, struct kv_range *out, struct err *err)
{
    quartet_status rc = orphan_prefix(l, &f->key, err);
    if (rc != QUARTET_OK)
        return rc;
    buf_clear(hi);
    buf_put(hi, f->key.key.data, f->key.key.len);
    *out = (struct kv_range){.lo = slice_of(f->key.key.data, f->key.key.len), .hi_open = !key_prefix_end(hi)};
    out->hi = slice_of(hi->data, hi->len);
    return hi->failed ? err_nomem(err) : QUARTET_OK;
}

static quartet_status note(struct orphan_filter *f, txn *t, struct err *err)
{
    struct buf hi = {0};
    struct kv_range range;
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < f->count && rc == QUARTET_OK && !t->reads_unneeded; i++) {
        rc = link_range(f, &f->links[i], &hi, &range, err);
        if (rc == QUARTET_OK)
            rc = txn_note_range(t, SYS_BROKEN, &range, err);
    }
    buf_deinit(&hi);
    f->noted = rc == QUARTET_OK;
    return rc;
}

static quartet_status load(struct orphan_filter *f, uint32_t i, struct err *err)
{
    struct orphan_link_set *set = &f->sets[i];
    struct buf hi = {0};
    struct kv_range range;
    struct kv_want want = {.keys = true};
    struct kv_rows rows = {.n = 1};
    kv_iter *it = NULL;
    size_t n = 0;
    quartet_status rc = link_range(f, &f->links[i], &hi, &range, err);
    if (rc == QUARTET_OK)
        rc = kv_iter_open(f->snap, NULL, SYS_BROKEN, &range, &want, &it, err);
    while (rc == QUARTET_OK && rows.n > 0 && n <= ORPHAN_LOAD_MAX) {
        rc = kv_iter_next(it, 0, &rows, err);
        for (uint32_t k = 0; rc == QUARTET_OK && k < rows.n && n <= ORPHAN_LOAD_MAX; k++, n++)
            rc = map_put(&set->keys, rows.keys[k].p, rows.keys[k].n, set, err);
    }
    kv_iter_close(it);
    buf_deinit(&hi);
    set->loaded = n <= ORPHAN_LOAD_MAX;
    return rc;
}

static quartet_status load_all(struct orphan_filter *f, txn *t, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    drop_sets(f);
    f->sets = mem_zalloc(f->count, sizeof *f->sets);
    if (f->sets == NULL)
        return err_nomem(err);
    for (uint32_t i = 0; i < f->count; i++)
        map_init(&f->sets[i].keys, t->snap_at);
    f->on = false;
    for (uint32_t i = 0; i < f->count && rc == QUARTET_OK; i++) {
        rc = load(f, i, err);
        f->on |= !f->sets[i].loaded || f->sets[i].keys.count > 0 || f->links[i].casts;
    }
    f->at = t->snap_at;
    f->loaded = rc == QUARTET_OK;
    return rc;
}

quartet_status orphan_filter_start(struct orphan_filter *f, txn *t, const struct table_def *table, bool few, struct err *err)
{
    bool casts = false;
    if (table->foreign_key_count == 0)
        return QUARTET_OK;
    if (f->links == NULL || f->of != catalog_version(t->catalog)) {
        orphan_filter_rest(f);
        f->count = catalog_links_out(t->catalog, table->id, &f->links);
        f->of = catalog_version(t->catalog);
    }
    f->snap = t->snap;
    f->t = t;
    quartet_status rc = f->noted || f->count == 0 ? QUARTET_OK : note(f, t, err);
    for (uint32_t i = 0; i < f->count; i++)
        casts |= f->links[i].casts;
    if (rc != QUARTET_OK || f->count == 0 || (!casts && !orphan_possible(t->d, t->snap_at))) {
        f->on = false;
        return rc;
    }
    if (f->loaded && f->at == t->snap_at)
        return QUARTET_OK; /* as before */
    f->few = few;
    if (!few)
        return load_all(f, t, err);
    f->on = true;
    return QUARTET_OK;
}

/* Is the row with this key one that the transaction wrote? */
static quartet_status own_row(txn *t, const struct table_def *parent, struct slice key, bool *own, struct err *err)
{
    struct slice record;
    struct record_view view;
    bool found;
    quartet_status rc = txn_row(t, parent->id, key, t->statement, &record, own, &found, err);
    *own = rc == QUARTET_OK && *own && found && record_view(record, &view) && (view.flags & RECORD_LIVE) != 0;
    return rc;
}

/* Does the transaction itself give the key in f->key? */
static quartet_status own_gives(struct orphan_filter *f, const struct fk_link *l, bool *gives, struct err *err)
{
    struct slice raw = slice_of(f->key.raw.data, f->key.raw.len);
    struct kv_overlay over;
    struct kv_want want = {.keys = true};
    struct kv_rows rows = {.n = 1};
    struct buf hi = {0};
    kv_iter *it = NULL;
    if (l->key == NULL)
        return own_row(f->t, l->parent, raw, gives, err);
    buf_put(&hi, raw.p, raw.n);
    struct kv_range range = {.lo = raw, .hi_open = !key_prefix_end(&hi)};
    range.hi = slice_of(hi.data, hi.len);
    quartet_status rc = hi.failed ? err_nomem(err) : txn_overlay(f->t, f->t->statement, &over, err);
    if (rc == QUARTET_OK)
        rc = kv_iter_open(f->snap, &over, l->key->id, &range, &want, &it, err);
    while (rc == QUARTET_OK && rows.n > 0 && !*gives) {
        rc = kv_iter_next(it, 0, &rows, err);
        for (uint32_t i = 0; rc == QUARTET_OK && i < rows.n && !*gives; i++)
            rc = own_row(f->t, l->parent, slice_of(rows.keys[i].p + raw.n, rows.keys[i].n - raw.n), gives, err);
    }
    kv_iter_close(it);
    buf_deinit(&hi);
    return rc;
}

static quartet_status key_broken(struct orphan_filter *f, uint32_t i, bool *broken, struct err *err)
{
    const struct orphan_link_set *set = f->few ? NULL : &f->sets[i];
    struct slice key = slice_of(f->key.key.data, f->key.key.len);
    quartet_status rc = QUARTET_OK;
    bool given = false;
    if (set != NULL && set->loaded) {
        *broken = map_has(&set->keys, key.p, key.n);
    } else {
        buf_clear(&f->record);
        rc = kv_get(f->snap, NULL, SYS_BROKEN, key, &f->record, err);
        *broken = rc == QUARTET_OK;
        if (rc == QUARTET_NOTFOUND)
            rc = QUARTET_OK;
    }
    if (rc == QUARTET_OK && *broken && txn_has_writes(f->t))
        rc = own_gives(f, &f->links[i], &given, err);
    *broken = *broken && !given;
    return rc;
}

quartet_status orphan_filter_find(struct orphan_filter *f, const struct value *values, struct slice primary, uint32_t *link, enum orphan_ref *ref,
                                  struct err *err)
{
    quartet_status rc = QUARTET_OK;
    *ref = ORPHAN_NONE;
    for (*link = 0; *link < f->count; ++*link) {
        bool broken = false;
        rc = orphan_reference(&f->links[*link], values, primary, &f->key, ref, err);
        if (rc == QUARTET_OK && *ref == ORPHAN_KEY)
            rc = key_broken(f, *link, &broken, err);
        if (rc != QUARTET_OK || broken || *ref == ORPHAN_NEVER)
            return rc;
    }
    *ref = ORPHAN_NONE;
    return rc;
}

quartet_status orphan_filter_test(struct orphan_filter *f, const struct value *values, struct slice primary, bool *orphan, struct err *err)
{
    uint32_t link;
    enum orphan_ref ref;
    quartet_status rc = orphan_filter_find(f, values, primary, &link, &ref, err);
    *orphan = rc == QUARTET_OK && ref != ORPHAN_NONE;
    return rc;
}

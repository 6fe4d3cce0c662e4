/* apply_orphans.c - keeps SYS_BROKEN, the set of referenced keys that are broken (DESIGN.md section 4, step 3), as transactions are applied.
 * A key is broken where a visible row by steps 1 and 2 references it and either no such row gives it, or the one that does is an orphan itself. The set is the
 *   least one: a circle of rows that reference each other is whole as long as nothing else breaks it.
 * Why keys and not rows: one entry hides any number of children, and mending it shows them again; nothing is ever written per row.
 * How: while a transaction is merged, the keys that it might break or mend are noted. Once it is in the store, and before anybody may see it, they are looked at in
 *   the new state (orphan_settle.c). The change is an apply of its own, one number later; both are published together.
 * Why after and not with the transaction: the new state is then a snapshot like any other, also of a large transaction whose rows lie in a run on disk. A flush
 *   that takes the one and not the other says in its checkpoint that the set is to be derived again (db.rebuild).
 * Invariants: the set is a function of the visible rows alone, whatever the order in which they came.
 * Not here: what a reader does with it (orphan.c). */
#include <string.h>

#include "apply_internal.h"
#include "base/mem.h"
#include "base/plant.h"
#include "given_up.h"
#include "kv_sort.h"
#include "orphan_settle.h"
#include "orphan_whole.h"

#define NOTES_BYTES (256u << 10) /* gathered in memory; past it they are sorted, on disk where they are many */

#define ASKED_BYTES_MAX (16u << 10)

enum note_kind { /* last byte of a note */
    NOTE_CHILD = 'c', /* a row that references the key came */
    NOTE_LESS = 'l',  /* one went */
    NOTE_GONE = 'g',  /* a row that gave the key went, or what it references changed */
    NOTE_GIVEN = 'p'  /* a row that gives it came */
};

struct orphan_notes {
    struct buf near; /* u32 length, key, kind; ... */
    kv_sort *far;    /* NULL: none */
    struct buf last;
    struct orphan_key key, other;
    struct buf name, asked; /* asked: u8 length, name, ...: references to be learnt if nothing is broken (orphan_whole.h) */
    bool moved;      /* rows gave references up: which of those that were asked for are still there is not known */
};

void apply_notes_free(struct orphan_notes *n)
{
    if (n == NULL)
        return;
    buf_deinit(&n->near);
    buf_deinit(&n->last);
    kv_sort_free(n->far);
    orphan_key_deinit(&n->key);
    orphan_key_deinit(&n->other);
    buf_deinit(&n->name);
    buf_deinit(&n->asked);
    mem_free(n);
}

static quartet_status notes_pour(struct applying *a, struct orphan_notes *n)
{
    quartet_status rc = QUARTET_OK;
    if (n->far == NULL) {
        struct kv_run_place place = db_run_place(a->d);
        place.memory_bytes = NOTES_BYTES * 4;
        rc = kv_sort_new(&place, &n->far, a->err);
    }
    for (size_t at = 0; rc == QUARTET_OK && at < n->near.len;) {
        uint32_t len = load_le32(n->near.data + at);
        rc = kv_sort_put(n->far, SYS_BROKEN, slice_of(n->near.data + at + 4, len), slice_of("", 0), a->err);
        at += 4 + len;
    }
    buf_clear(&n->near);
    return rc;
}

static quartet_status note(struct applying *a, const struct buf *key, uint8_t kind)
{
    struct orphan_notes *n = a->notes;
    if (kind == NOTE_GONE)
        orphan_whole_forget(a->d->whole);
    if (n->last.len == key->len + 1 && n->last.data[key->len] == kind && memcmp(n->last.data, key->data, key->len) == 0)
        return QUARTET_OK; /* neighbours often have one parent */
    buf_clear(&n->last);
    buf_put(&n->last, key->data, key->len);
    buf_u8(&n->last, kind);
    buf_u32(&n->near, (uint32_t)n->last.len);
    buf_put(&n->near, n->last.data, n->last.len);
    if (n->near.failed || n->last.failed)
        return err_nomem(a->err);
    return n->near.len > NOTES_BYTES ? notes_pour(a, n) : QUARTET_OK;
}

static quartet_status notes_need(struct applying *a)
{
    if (a->notes == NULL)
        a->notes = mem_zalloc(1, sizeof *a->notes);
    return a->notes == NULL ? err_nomem(a->err) : QUARTET_OK;
}

static bool same_key(const struct orphan_key *x, const struct orphan_key *y)
{
    return slice_eq(slice_of(x->key.data, x->key.len), slice_of(y->key.data, y->key.len));
}

/* A row came, and what it references is known to be whole. Should the key stop being given in this very transaction, that is noted, and its children are looked for. */
static bool is_whole(struct applying *a, const struct fk_link *l, uint32_t place, const struct value *after)
{
    struct orphan_notes *n = a->notes;
    if (a->d->broken_count > 0 || !orphan_whole_name(l, place, after, &n->name))
        return false;
    struct slice name = slice_of(n->name.data, n->name.len);
    if (orphan_whole_has(a->d->whole, name))
        return true;
    if (n->asked.len + 1 + name.n <= ASKED_BYTES_MAX && !a->d->recovering) {
        buf_u8(&n->asked, (uint8_t)name.n);
        buf_put(&n->asked, name.p, name.n);
    }
    return false;
}

/* Nothing is broken now, and no row of any table is out of sight: so each reference of a row that came is whole. */
static void learn(struct applying *a)
{
    struct orphan_notes *n = a->notes;
    db *d = a->d;
    if (d->broken_count > 0)
        orphan_whole_forget(d->whole);
    if (d->broken_count > 0 || d->hidden_rows > 0 || n->moved || n->asked.failed)
        return;
    for (size_t at = 0; at < n->asked.len; at += 1u + n->asked.data[at])
        orphan_whole_learn(&d->whole, slice_of(n->asked.data + at + 1, n->asked.data[at]));
}

/* *moved: what the row references is not what it did. */
static quartet_status note_out(struct applying *a, const struct fk_link *l, uint32_t place, struct slice key, const struct value *before, const struct value *after, bool *moved)
{
    struct orphan_notes *n = a->notes;
    enum orphan_ref was = ORPHAN_NONE, is = ORPHAN_NONE;
    n->moved |= before != NULL;
    if (before == NULL && is_whole(a, l, place, after)) {
        *moved = true;
        return QUARTET_OK;
    }
    quartet_status rc = before != NULL ? orphan_reference(l, before, key, &n->key, &was, a->err) : QUARTET_OK;
    if (rc == QUARTET_OK && after != NULL)
        rc = orphan_reference(l, after, key, &n->other, &is, a->err);
    if (rc != QUARTET_OK || (was == is && (was != ORPHAN_KEY || same_key(&n->key, &n->other))))
        return rc;
    *moved = true;
    if (was == ORPHAN_KEY && a->d->broken_count > 0)
        rc = note(a, &n->key.key, NOTE_LESS);
    if (!a->in.trusted && plant_is(PLANT_ORPHAN_UNSEEN))
        return rc;
    return rc == QUARTET_OK && is == ORPHAN_KEY ? note(a, &n->other.key, NOTE_CHILD) : rc;
}

static quartet_status note_in(struct applying *a, const struct fk_link *l, struct slice key, const struct value *before, const struct value *after, bool moved)
{
    struct orphan_notes *n = a->notes;
    bool was_none = true, is_none = true;
    quartet_status rc = before != NULL ? orphan_given(l, before, key, &n->key, &was_none, a->err) : QUARTET_OK;
    if (rc == QUARTET_OK && after != NULL)
        rc = orphan_given(l, after, key, &n->other, &is_none, a->err);
    if (rc != QUARTET_OK)
        return rc;
    bool same = !was_none && !is_none && same_key(&n->key, &n->other);
    if (same)
        return moved ? note(a, &n->key.key, NOTE_GONE) : QUARTET_OK;
    if (!was_none)
        rc = note(a, &n->key.key, NOTE_GONE);
    return rc == QUARTET_OK && !is_none && a->d->broken_count > 0 && !plant_is(PLANT_ORPHAN_NOT_MENDED) ? note(a, &n->other.key, NOTE_GIVEN) : rc;
}

quartet_status apply_state_note(struct applying *a, const struct table_def *t, struct slice key, const struct value *before, const struct value *after)
{
    const struct fk_link *out;
    const struct fk_link *const *in;
    uint32_t out_count = catalog_links_out(a->catalog, t->id, &out), in_count = catalog_links_in(a->catalog, t->id, &in);
    bool moved = false;
    if ((out_count == 0 && in_count == 0) || (before == NULL && after == NULL))
        return QUARTET_OK;
    if (before == NULL && out_count == 0 && a->d->broken_count == 0)
        return QUARTET_OK; /* nothing is there to be mended */
    quartet_status rc = notes_need(a);
    for (uint32_t i = 0; i < out_count && rc == QUARTET_OK; i++)
        rc = note_out(a, &out[i], i, key, before, after, &moved);
    for (uint32_t i = 0; i < in_count && rc == QUARTET_OK; i++)
        if (i == 0 || in[i]->key != in[i - 1]->key) /* several tables may reference one key */
            rc = note_in(a, in[i], key, before, after, moved && before != NULL);
    return rc;
}

void apply_state_table(struct applying *a)
{
    const struct fk_link *out;
    const struct fk_link *const *in;
    a->links_out = catalog_links_out(a->catalog, a->t->id, &out) > 0;
    a->links_in = catalog_links_in(a->catalog, a->t->id, &in) > 0;
}

/* ---- from notes to the change ---- */

static quartet_status take_note(struct settling *s, struct slice key, uint8_t kind)
{
    bool in, doubt = true;
    struct key_entry *known = settling_doubted(s, key);
    if (known != NULL) {
        known->state.gone |= kind == NOTE_GONE;
        return QUARTET_OK;
    }
    quartet_status rc = settling_in_set(s, key, &in);
    if (rc != QUARTET_OK)
        return rc;
    switch (kind) {
    case NOTE_CHILD: /* nearly always the parent is there, and that is all */
        doubt = !in;
        if (in)
            atomic_store(&s->d->follow_due, true);
        rc = in ? QUARTET_OK : settling_has_reason(s, key, &doubt);
        break;
    case NOTE_LESS: /* as long as there are others nothing changes */
        rc = in ? settling_has_child(s, key, &doubt) : QUARTET_OK;
        doubt = in && !doubt;
        break;
    case NOTE_GIVEN: doubt = in; break;
    default: rc = in ? QUARTET_OK : settling_has_child(s, key, &doubt);
    }
    if (rc == QUARTET_OK && doubt)
        rc = settling_doubt(s, key, in);
    if (rc == QUARTET_OK && doubt && kind == NOTE_GONE)
        settling_doubted(s, key)->state.gone = true;
    return rc;
}

static quartet_status far_note(void *arg, tree_id tree, struct slice key, struct slice record, struct err *err)
{
    struct settling *s = arg;
    (void)tree;
    (void)record;
    (void)err; /* s->err is the same */
    return take_note(s, slice_of(key.p, key.n - 1), key.p[key.n - 1]);
}

static quartet_status take_notes(struct settling *s, struct applying *a)
{
    struct orphan_notes *n = a->notes;
    quartet_status rc = n->far != NULL ? notes_pour(a, n) : QUARTET_OK;
    if (rc == QUARTET_OK && n->far != NULL)
        rc = kv_sort_drain(n->far, far_note, s, s->err);
    for (size_t at = 0; rc == QUARTET_OK && at < n->near.len;) {
        uint32_t len = load_le32(n->near.data + at);
        rc = take_note(s, slice_of(n->near.data + at + 4, len - 1), n->near.data[at + 3 + len]);
        at += 4 + len;
    }
    return rc;
}

/* ---- whose DELETE it was ---- */

/* The newest stamp at which the writer had seen something of this node, of whichever run. */
static hlc_stamp seen_of_own(const struct applying *a)
{
    hlc_stamp newest = 0;
    for (uint32_t i = 0; i < a->writer.seen->count; i++) {
        const struct vv_entry *e = &a->writer.seen->e[i];
        if (chain_id_of(&a->d->chains, e->chain).slot == a->d->identity.slot && e->stamp > newest)
            newest = e->stamp;
    }
    return newest;
}

/* The stamp at which a row that is not there was ended, as far as history tells; 0: it is there, or was not, or that is not known. */
static quartet_status ended_at(struct settling *s, tree_id table, struct slice row, hlc_stamp *out)
{
    struct record_view view;
    struct slice entry;
    kv_past *past = NULL;
    bool found = false;
    *out = 0;
    buf_clear(&s->record);
    quartet_status rc = kv_get(s->snap, NULL, table, row, &s->record, s->err);
    if (rc == QUARTET_NOTFOUND)
        return QUARTET_OK;
    if (rc == QUARTET_OK && !record_view(slice_of(s->record.data, s->record.len), &view))
        rc = err_set(s->err, QUARTET_CORRUPT, "damaged record in table %llu", (unsigned long long)table);
    if (rc != QUARTET_OK || record_has_values(view.flags))
        return rc;
    rc = kv_past_open(s->snap, table, &past, s->err);
    if (rc == QUARTET_OK)
        rc = kv_past_seek(past, row, 0, s->err);
    if (rc == QUARTET_OK)
        rc = kv_past_next(past, out, &entry, &found, s->err);
    kv_past_close(past);
    *out = rc == QUARTET_OK && found ? *out : 0;
    return rc;
}

/* Did a DELETE of this node end the key's row, or an UPDATE take its UNIQUE value, by one that had not seen the children? Then it is this node that follows up. What this node's own transaction leaves
 * dangling, or one that knew of the DELETE, somebody meant so (foreign_keys = off); but where a row goes that was out of sight, nobody asked for its children yet.
 * a NULL: the set is made anew, and who came last is not known. */
static quartet_status is_owed(struct settling *s, const struct applying *a, const struct key_entry *e, bool *owed)
{
    const db *d = s->d;
    tree_id table, index;
    struct slice row, of;
    struct arena own = {0};
    hlc_stamp at = 0;
    bool local = a != NULL && chain_id_of(&d->chains, a->writer.ver.chain).slot == d->identity.slot;
    quartet_status rc = QUARTET_OK;
    *owed = false;
    if (!d->has_identity || (a != NULL && a->links_were != NULL) || (e->state.was ? !local || !e->state.gone : local))
        return QUARTET_OK;
    if (!orphan_split(e->key, &table, &index, &row, &own))
        rc = err_set(s->err, QUARTET_CORRUPT, "a damaged key in quartet_broken_keys");
    else
        rc = index == 0 ? ended_at(s, table, row, &at) : given_up_find(s->snap, d->identity.slot, e->key, &at, &of, &own, s->err);
    *owed = rc == QUARTET_OK && at != 0 && hlc_slot(at) == d->identity.slot && (a == NULL || local || seen_of_own(a) < at);
    arena_free_all(&own);
    return rc;
}

static quartet_status put_owed(struct settling *s, const struct applying *a, const struct key_entry *e, struct slice record, struct apply_ops *ops)
{
    bool owed = false;
    if (!e->state.broken)
        return e->state.was ? ops_put_copy(ops, SYS_FOLLOW_UPS, e->key, (struct slice){0}, s->err) : QUARTET_OK;
    quartet_status rc = is_owed(s, a, e, &owed);
    if (rc != QUARTET_OK || !owed)
        return rc;
    atomic_store(&s->d->follow_due, true);
    return ops_put_copy(ops, SYS_FOLLOW_UPS, e->key, record, s->err);
}

/* *no: the apply number of the change; as it was where there is none. */
static quartet_status put_changes(struct settling *s, const struct applying *a, apply_no *no)
{
    db *d = s->d;
    struct apply_ops ops = {.store = d->store, .limit = ops_limit(d)};
    struct buf record = {0};
    uint64_t count = d->broken_count;
    record_put_simple(&record, (struct ver){0}, NULL, 0);
    quartet_status rc = buf_check(&record, s->err);
    for (size_t i = 0; i < s->states.entry_count && rc == QUARTET_OK; i++) {
        const struct key_entry *e = s->states.entries[i].value;
        rc = put_owed(s, a, e, slice_of(record.data, record.len), &ops);
        if (rc != QUARTET_OK || e->state.broken == e->state.was)
            continue;
        rc = ops_put_copy(&ops, SYS_BROKEN, e->key, e->state.broken ? slice_of(record.data, record.len) : (struct slice){0}, s->err);
        count = e->state.broken ? count + 1 : count - 1;
    }
    if (rc == QUARTET_OK && (ops.count > 0 || ops.bulk != NULL)) {
        if (count > 0)
            atomic_store(&d->broken_none_from, UINT64_MAX);
        rc = ops_commit_derived(&ops, d, s->err);
        if (rc == QUARTET_OK) {
            *no = d->applied_no;
            d->broken_count = count;
            if (count == 0)
                atomic_store(&d->broken_none_from, d->applied_no);
        }
    }
    ops_deinit(&ops);
    buf_deinit(&record);
    return rc;
}

/* ---- links that came or went with the schema ---- */

static bool same_link(const struct fk_link *x, const struct fk_link *y)
{
    bool same = x->child->id == y->child->id && x->parent->id == y->parent->id && x->count == y->count &&
                (x->key != NULL ? x->key->id : 0) == (y->key != NULL ? y->key->id : 0);
    for (uint32_t i = 0; same && i < x->count; i++)
        same = x->child->columns[x->columns[i]].id == y->child->columns[y->columns[i]].id;
    return same;
}

static bool has_link(const struct catalog *c, const struct fk_link *l)
{
    const struct fk_link *out;
    uint32_t n = catalog_links_out(c, l->child->id, &out);
    for (uint32_t i = 0; i < n; i++)
        if (same_link(&out[i], l))
            return true;
    return false;
}

static bool links_differ(const struct catalog *was, const struct catalog *is)
{
    for (uint32_t i = 0; i < was->link_count; i++)
        if (!has_link(is, &was->links[i]))
            return true;
    for (uint32_t i = 0; i < is->link_count; i++)
        if (!has_link(was, &is->links[i]))
            return true;
    return false;
}

/* What was broken by a key of these tables may be whole without the link that went. */
static quartet_status doubt_table(struct settling *s, tree_id table)
{
    struct kv_range all = {.hi_open = true};
    struct kv_want want = {.keys = true};
    struct kv_rows rows = {.n = 1};
    struct arena a = {0};
    kv_iter *it = NULL;
    quartet_status rc = s->any ? kv_iter_open(s->snap, NULL, SYS_BROKEN, &all, &want, &it, s->err) : QUARTET_OK;
    while (rc == QUARTET_OK && it != NULL && rows.n > 0) {
        rc = kv_iter_next(it, 0, &rows, s->err);
        for (uint32_t i = 0; rc == QUARTET_OK && i < rows.n; i++) {
            tree_id of, index;
            struct slice raw;
            if (!orphan_split(rows.keys[i], &of, &index, &raw, &a))
                rc = err_set(s->err, QUARTET_CORRUPT, "a damaged key in quartet_broken_keys");
            else if (table == 0 || of == table)
                rc = settling_doubt(s, rows.keys[i], true);
            arena_rewind(&a, (struct arena_mark){0});
        }
    }
    kv_iter_close(it);
    arena_free_all(&a);
    return rc;
}

/* A row whose value no row of the parent can have is an orphan without a broken key: what references the row in turn must be told by the keys that it gives. */
static quartet_status doubt_given(struct settling *s, const struct table_def *t, struct slice key, const struct value *values, struct orphan_key *k)
{
    const struct fk_link *const *in;
    uint32_t n = catalog_links_in(s->catalog, t->id, &in);
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++) {
        bool none;
        if (i > 0 && in[i]->key == in[i - 1]->key)
            continue; /* several tables may reference one key */
        rc = orphan_given(in[i], values, key, k, &none, s->err);
        if (rc == QUARTET_OK && !none)
            rc = take_note(s, slice_of(k->key.data, k->key.len), NOTE_GONE);
    }
    return rc;
}

/* arg: the link; NULL: all of the table's. */
static quartet_status check_child(struct settling *s, const struct table_def *t, struct slice key, const struct value *values, void *arg)
{
    const struct fk_link *out;
    uint32_t n = catalog_links_out(s->catalog, t->id, &out);
    quartet_status rc = QUARTET_OK;
    struct orphan_key k = {0};
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++) {
        enum orphan_ref ref;
        if (arg != NULL && arg != &out[i])
            continue;
        rc = orphan_reference(&out[i], values, key, &k, &ref, s->err);
        if (rc == QUARTET_OK && ref == ORPHAN_KEY)
            rc = take_note(s, slice_of(k.key.data, k.key.len), NOTE_CHILD);
        else if (rc == QUARTET_OK && ref == ORPHAN_NEVER)
            rc = doubt_given(s, t, key, values, &k);
    }
    orphan_key_deinit(&k);
    return rc;
}

static quartet_status take_links(struct settling *s, const struct catalog *was)
{
    const struct catalog *is = s->catalog;
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < was->link_count && rc == QUARTET_OK; i++)
        if (!has_link(is, &was->links[i])) {
            rc = doubt_table(s, was->links[i].parent->id);
            if (rc == QUARTET_OK)
                rc = doubt_table(s, was->links[i].child->id);
        }
    for (uint32_t i = 0; i < is->link_count && rc == QUARTET_OK; i++)
        if (!has_link(was, &is->links[i]))
            rc = settling_each_row(s, is->links[i].child, check_child, &is->links[i]);
    return rc;
}

quartet_status apply_orphans_catalog(struct applying *a, struct catalog *was, const struct catalog *is)
{
    orphan_whole_forget(a->d->whole); /* names are of one catalog */
    if (a->notes != NULL)
        buf_clear(&a->notes->asked);
    if (!links_differ(was, is))
        return QUARTET_OK;
    quartet_status rc = notes_need(a);
    if (rc == QUARTET_OK && a->links_were == NULL)
        a->links_were = catalog_ref(was);
    return rc;
}

quartet_status apply_orphans_settle(struct applying *a, const struct catalog *catalog, apply_no *no)
{
    struct settling s;
    if (a->notes == NULL)
        return QUARTET_OK;
    quartet_status rc = settling_begin(&s, a->d, catalog, a->err);
    if (rc == QUARTET_OK && a->links_were != NULL)
        rc = take_links(&s, a->links_were);
    if (rc == QUARTET_OK)
        rc = take_notes(&s, a);
    if (rc == QUARTET_OK)
        rc = settling_run(&s);
    if (rc == QUARTET_OK)
        rc = put_changes(&s, a, no);
    if (rc == QUARTET_OK)
        learn(a);
    settling_end(&s);
    return rc;
}

/* All keys of the set, and all that it should have. */
static quartet_status derive_anew(struct settling *s, db *d, const struct catalog *catalog, struct err *err)
{
    const struct table_def *t;
    const struct fk_link *out;
    quartet_status rc = settling_begin(s, d, catalog, err);
    s->anew = true;
    if (rc == QUARTET_OK)
        rc = doubt_table(s, 0);
    for (uint32_t i = 0; rc == QUARTET_OK && (t = catalog_at_id(catalog, i)) != NULL; i++)
        if (catalog_links_out(catalog, t->id, &out) > 0)
            rc = settling_each_row(s, t, check_child, NULL);
    return rc == QUARTET_OK ? settling_run(s) : rc;
}

quartet_status apply_orphans_check(db *d, const struct catalog *catalog, void (*each)(void *arg, struct slice key, bool listed), void *arg, struct err *err)
{
    struct settling s;
    quartet_status rc = apply_orphans_load(d, err);
    if (rc != QUARTET_OK || (d->broken_count == 0 && catalog->link_count == 0))
        return rc;
    rc = derive_anew(&s, d, catalog, err);
    for (size_t i = 0; i < s.states.entry_count && rc == QUARTET_OK; i++) {
        const struct key_entry *e = s.states.entries[i].value;
        if (e->state.broken != e->state.was)
            each(arg, e->key, e->state.was);
    }
    settling_end(&s);
    return rc;
}

quartet_status apply_orphans_rebuild(db *d, struct err *err)
{
    struct settling s;
    apply_no no;
    quartet_status rc = apply_orphans_load(d, err);
    if (rc != QUARTET_OK || (d->broken_count == 0 && d->catalog->link_count == 0))
        return rc;
    rc = derive_anew(&s, d, d->catalog, err);
    no = d->applied_no;
    if (rc == QUARTET_OK)
        rc = put_changes(&s, NULL, &no);
    if (rc == QUARTET_OK)
        kv_publish(d->store, no);
    settling_end(&s);
    return rc;
}

quartet_status apply_orphans_load(db *d, struct err *err)
{
    struct kv_range all = {.hi_open = true};
    struct kv_want want = {.keys = true};
    struct kv_rows rows = {.n = 1};
    kv_iter *it = NULL;
    kv_snap *snap = NULL;
    d->broken_count = 0;
    orphan_whole_forget(d->whole);
    atomic_store(&d->follow_due, true);
    quartet_status rc = kv_snapshot_latest(d->store, &snap, err);
    if (rc == QUARTET_OK)
        rc = kv_iter_open(snap, NULL, SYS_BROKEN, &all, &want, &it, err);
    while (rc == QUARTET_OK && rows.n > 0) {
        rc = kv_iter_next(it, 0, &rows, err);
        d->broken_count += rc == QUARTET_OK ? rows.n : 0;
    }
    kv_iter_close(it);
    kv_release(snap);
    atomic_store(&d->broken_none_from, rc == QUARTET_OK && d->broken_count == 0 ? 0 : UINT64_MAX);
    return rc;
}

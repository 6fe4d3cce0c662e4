/* apply_claims.c - which rows a constraint of their own table hides (DESIGN.md section 4, step 2), kept up to date as transactions are applied.
 * How: while a transaction is merged, notes are taken of values that a row came to claim or left, of rows that break a test by themselves, and of hidden rows that
 *   were changed (merging makes a record that is not hidden). Once it is in the store, and before anybody may see it, the values are looked up in the new state:
 *   where more than one row claims one, all of them are in doubt. What that changes is an apply of its own, one number later; all is published together.
 * Why after and not with the transaction: as in apply_orphans.c, which comes next: whether a row is hidden decides what its children are.
 * Invariants: which records have RECORD_HIDDEN is a function of the merged rows and the present definitions alone; SYS_QUARANTINE lists exactly these rows.
 * Not here: what a claim is, and who wins (claim.c); what readers make of it (table_read.c). */
#include <stdlib.h>
#include <string.h>

#include "apply_internal.h"
#include "base/mem.h"
#include "base/plant.h"
#include "claim.h"
#include "crdt/row_cell.h"
#include "kv_sort.h"
#include "quarantine_claims.h"
#include "txn_internal.h"

#define NOTES_BYTES (256u << 10) /* gathered in memory; past it they are sorted, on disk where they are many */

enum note_kind { /* last byte of a note; in this order where the rest is equal */
    NOTE_CAME = 'c',   /* tree: an index; a row came to claim the value */
    NOTE_FIRST = 'f',  /* likewise, and nothing that the store held in memory was claiming it */
    NOTE_HIDDEN = 'h', /* tree: a table; the row was hidden, and has changed */
    NOTE_LEFT = 'l',   /* tree: an index; a row that claimed the value does not any longer, or its birth is another one */
    NOTE_ROW = 'r'     /* tree: a table; the row breaks a test */
};

struct claim_notes {
    struct buf near; /* u32 length, u64 tree, key, kind; ... */
    size_t count;
    kv_sort *far;    /* NULL: none */
    struct buf other, one;
};

void apply_claims_free(struct claim_notes *n)
{
    if (n == NULL)
        return;
    buf_deinit(&n->near);
    buf_deinit(&n->other);
    buf_deinit(&n->one);
    kv_sort_free(n->far);
    mem_free(n);
}

/* ---- notes ---- */

static quartet_status notes_pour(struct applying *a, struct claim_notes *n)
{
    quartet_status rc = QUARTET_OK;
    if (n->far == NULL) {
        struct kv_run_place place = db_run_place(a->d);
        place.memory_bytes = NOTES_BYTES * 4;
        rc = kv_sort_new(&place, &n->far, a->err);
    }
    for (size_t at = 0; rc == QUARTET_OK && at < n->near.len;) {
        uint32_t len = load_le32(n->near.data + at);
        uint8_t *p = n->near.data + at + 4;
        if (p[len - 1] == NOTE_FIRST) /* two such notes of one value would be one after this */
            p[len - 1] = NOTE_CAME;
        rc = kv_sort_put(n->far, load_le64(p), slice_of(p + 8, len - 8), slice_of("", 0), a->err);
        at += 4 + len;
    }
    buf_clear(&n->near);
    n->count = 0;
    return rc;
}

static quartet_status note(struct applying *a, tree_id tree, struct slice key, uint8_t kind)
{
    if (a->claim_notes == NULL)
        a->claim_notes = mem_zalloc(1, sizeof *a->claim_notes);
    struct claim_notes *n = a->claim_notes;
    if (n == NULL)
        return err_nomem(a->err);
    buf_u32(&n->near, (uint32_t)(8 + key.n + 1));
    buf_u64(&n->near, tree);
    buf_put(&n->near, key.p, key.n);
    buf_u8(&n->near, kind);
    n->count++;
    if (n->near.failed)
        return err_nomem(a->err);
    return n->near.len > NOTES_BYTES ? notes_pour(a, n) : QUARTET_OK;
}

quartet_status apply_claims_table(struct applying *a)
{
    struct catalog *catalog = a->fresh != NULL ? a->fresh : a->d->catalog;
    a->claims = (struct claims_at){.unique = claim_has_unique(a->t), .hidden = a->changes[a->at_table].state->hidden_count > 0};
    /* What this node committed was checked against all claims, so it takes no value from anybody; it may give one up. */
    a->claims.probes = a->claims.unique && (!a->in.trusted || a->claims.hidden);
    quartet_status rc = claim_tests_of(a->d, catalog, a->t, &a->claims.tests, a->err);
    a->claims.any = a->claims.probes || a->claims.tests != NULL;
    return rc;
}

static quartet_status test_row(struct applying *a, struct slice key, const struct value *values)
{
    const struct column_def *column;
    const struct check_def *check;
    if (a->claims.tests == NULL || plant_is(PLANT_CHECK_LOCAL))
        return QUARTET_OK;
    quartet_status rc = claim_test(a->claims.tests, values, &column, &check, a->err);
    return rc == QUARTET_OK && (column != NULL || check != NULL) ? note(a, a->t->id, key, NOTE_ROW) : rc;
}

static quartet_status note_came(struct applying *a, const struct index_def *ix, struct slice value)
{
    bool first = a->in.snap == NULL && !kv_claimed(a->snap, ix->id, value); /* a snapshot that was given may not know what came last */
    return note(a, ix->id, value, first ? NOTE_FIRST : NOTE_CAME);
}

quartet_status apply_claims_row(struct applying *a, struct slice key, const struct value *before, const struct value *after, bool same_birth)
{
    const struct table_def *t = a->t;
    quartet_status rc = after != NULL ? test_row(a, key, after) : QUARTET_OK;
    if (!a->claims.probes)
        return rc;
    if (a->claim_notes == NULL && (a->claim_notes = mem_zalloc(1, sizeof *a->claim_notes)) == NULL)
        return err_nomem(a->err);
    struct buf *was = &a->claim_notes->other, *is = &a->claim_notes->one;
    for (uint32_t i = 0; i < t->index_count && rc == QUARTET_OK; i++) {
        const struct index_def *ix = &t->indexes[i];
        bool no_was = true, no_is = true;
        if (!ix->unique)
            continue;
        if (before != NULL)
            rc = claim_value(t, ix, before, key, was, &no_was, a->err);
        if (rc == QUARTET_OK && after != NULL)
            rc = claim_value(t, ix, after, key, is, &no_is, a->err);
        if (rc != QUARTET_OK)
            break;
        bool same = !no_was && !no_is && slice_eq(slice_of(was->data, was->len), slice_of(is->data, is->len));
        if (same && same_birth)
            continue;
        if (!no_is)
            rc = note_came(a, ix, slice_of(is->data, is->len));
        if (rc == QUARTET_OK && !no_was && a->claims.hidden && !plant_is(PLANT_CLAIM_NOT_RELEASED)) /* else nobody waits for it */
            rc = note(a, ix->id, slice_of(was->data, was->len), NOTE_LEFT);
    }
    return rc;
}

quartet_status apply_claims_was_hidden(struct applying *a, struct slice key, struct state_hash before)
{
    struct hash_change *c = &a->changes[a->at_table];
    state_hash_add(&c->hidden_sub, before);
    c->hidden_rows--;
    return note(a, a->t->id, key, NOTE_HIDDEN);
}

quartet_status apply_claims_catalog(struct applying *a, struct catalog *was, const struct catalog *is)
{
    const struct table_def *t;
    bool differ = false;
    for (uint32_t i = 0; !differ && (t = catalog_at_id(is, i)) != NULL; i++)
        differ = claim_differ(catalog_table_by_id(was, t->id), t);
    for (uint32_t i = 0; !differ && (t = catalog_at_id(was, i)) != NULL; i++)
        differ = catalog_table_by_id(is, t->id) == NULL;
    if (differ && a->claims_were == NULL)
        a->claims_were = catalog_ref(was);
    return QUARTET_OK;
}

/* ---- rows in doubt ---- */

struct doubt {
    const struct table_def *t;
    struct slice key;
    bool was; /* it was hidden before this transaction, which made its record one that is not */
};
struct hidden_change {
    struct table_state *state;
    struct state_hash add, sub;
    int64_t rows;
};
struct settle {
    struct applying *a; /* NULL: everything anew, at opening */
    db *d;
    struct catalog *catalog;
    struct claim_view v;
    struct claim_row row;
    struct map doubts; /* u64 table, key -> struct doubt, in the arena */
    struct arena arena;
    struct buf id, hi, hashed;
    tree_id tree;             /* that `t` and `ix` belong to */
    const struct table_def *t;
    const struct index_def *ix; /* NULL: the tree is a table's */
    struct apply_ops ops;
    struct hidden_change *changes;
    size_t change_count, change_cap;
    struct err *err;
};

static quartet_status doubt_row(void *arg, const struct table_def *t, struct slice key, struct err *err)
{
    struct settle *s = arg;
    buf_clear(&s->id);
    buf_u64(&s->id, t->id);
    buf_put(&s->id, key.p, key.n);
    if (s->id.failed)
        return err_nomem(err);
    if (map_has(&s->doubts, s->id.data, s->id.len))
        return QUARTET_OK;
    struct doubt *x = arena_zalloc(&s->arena, 1, sizeof *x);
    uint8_t *copy = arena_dup(&s->arena, key.p, key.n);
    if (x == NULL || copy == NULL)
        return arena_fail(&s->arena, err);
    *x = (struct doubt){.t = t, .key = slice_of(copy, key.n)};
    return map_put(&s->doubts, s->id.data, s->id.len, x, err);
}

static quartet_status doubt_hidden(struct settle *s, const struct table_def *t, struct slice key)
{
    quartet_status rc = doubt_row(s, t, key, s->err);
    struct doubt *x = rc == QUARTET_OK ? map_get(&s->doubts, s->id.data, s->id.len) : NULL;
    if (x != NULL)
        x->was = true;
    return rc;
}

/* Which index, or else which table, has this tree? */
static void find_tree(struct settle *s, tree_id tree)
{
    const struct table_def *t;
    if (s->tree == tree)
        return;
    s->tree = tree;
    s->t = catalog_table_by_id(s->catalog, tree);
    s->ix = NULL;
    for (uint32_t i = 0; s->t == NULL && s->ix == NULL && (t = catalog_at_id(s->catalog, i)) != NULL; i++)
        for (uint32_t k = 0; k < t->index_count && s->ix == NULL; k++)
            if (t->indexes[k].id == tree && t->indexes[k].unique) {
                s->t = t;
                s->ix = &t->indexes[k];
            }
}

/* May several rows claim the value? Nearly always it is the one that came. */
static quartet_status is_shared(struct settle *s, struct slice value, bool first, bool *shared)
{
    uint32_t n = 0;
    buf_clear(&s->hi);
    buf_put(&s->hi, value.p, value.n);
    bool open = !key_prefix_end(&s->hi);
    if (s->hi.failed)
        return err_nomem(s->err);
    quartet_status rc = kv_begin_with(s->v.snap, s->ix->id, value, open ? (struct slice){0} : slice_of(s->hi.data, s->hi.len), first, &n, s->err);
    *shared = n > (first ? 0 : 1); /* the base has not got yet what came just now */
    return rc;
}

static quartet_status take_note(struct settle *s, tree_id tree, struct slice key, uint8_t kind)
{
    bool look = true;
    find_tree(s, tree);
    if (s->t == NULL)
        return QUARTET_OK; /* it went with the schema */
    if (kind == NOTE_ROW || kind == NOTE_HIDDEN)
        return kind == NOTE_HIDDEN ? doubt_hidden(s, s->t, key) : doubt_row(s, s->t, key, s->err);
    if (s->ix == NULL)
        return QUARTET_OK; /* likewise */
    quartet_status rc = kind != NOTE_LEFT ? is_shared(s, key, kind == NOTE_FIRST, &look) : QUARTET_OK;
    if (rc == QUARTET_OK && look)
        rc = claim_each(&s->v, s->t, s->ix, key, doubt_row, s, s->err);
    return rc;
}

static quartet_status far_note(void *arg, tree_id tree, struct slice key, struct slice record, struct err *err)
{
    (void)record;
    (void)err; /* s->err is the same */
    return take_note(arg, tree, slice_of(key.p, key.n - 1), key.p[key.n - 1]);
}

static int near_cmp(const void *x, const void *y)
{
    const uint8_t *a = *(const uint8_t *const *)x, *b = *(const uint8_t *const *)y;
    uint64_t s = load_le64(a + 4), t = load_le64(b + 4);
    if (s != t)
        return s < t ? -1 : 1;
    return slice_cmp(slice_of(a + 12, load_le32(a) - 8), slice_of(b + 12, load_le32(b) - 8));
}

struct near_note {
    tree_id tree;
    struct slice key;
    uint8_t kind;
};

static struct near_note note_at(const uint8_t *p)
{
    uint32_t len = load_le32(p);
    return (struct near_note){.tree = load_le64(p + 4), .key = slice_of(p + 12, len - 9), .kind = p[3 + len]};
}

static bool same_note(struct near_note x, struct near_note y)
{
    bool came = x.kind == NOTE_CAME || x.kind == NOTE_FIRST;
    return x.tree == y.tree && slice_eq(x.key, y.key) && (x.kind == y.kind || (came && (y.kind == NOTE_CAME || y.kind == NOTE_FIRST)));
}

/* In the order of the trees, so that looking values up goes through each once. */
static quartet_status take_near(struct settle *s, const struct claim_notes *n)
{
    quartet_status rc = QUARTET_OK;
    const uint8_t **at = mem_zalloc(n->count + 1u, sizeof *at);
    if (at == NULL)
        return err_nomem(s->err);
    size_t offset = 0;
    for (size_t i = 0; i < n->count; i++) {
        at[i] = n->near.data + offset;
        offset += 4 + load_le32(at[i]);
    }
    if (n->count > 1)
        qsort(at, n->count, sizeof *at, near_cmp);
    for (size_t i = 0, next; i < n->count && rc == QUARTET_OK; i = next) {
        struct near_note x = note_at(at[i]);
        for (next = i + 1; next < n->count && same_note(x, note_at(at[next])); next++)
            if (x.kind == NOTE_FIRST)
                x.kind = NOTE_CAME; /* it was the first for each of them */
        rc = take_note(s, x.tree, x.key, x.kind);
    }
    mem_free(at);
    return rc;
}

static quartet_status take_notes(struct settle *s)
{
    struct claim_notes *n = s->a->claim_notes;
    if (n == NULL)
        return QUARTET_OK;
    if (n->far == NULL)
        return take_near(s, n);
    quartet_status rc = notes_pour(s->a, n);
    return rc == QUARTET_OK ? kv_sort_drain(n->far, far_note, s, s->err) : rc;
}

/* ---- tables in doubt ---- */

static const struct key_column id_key = {.kind = KEY_INT, .type = VALUE_INTEGER}, raw_key = {.kind = KEY_BYTES, .type = VALUE_BLOB};

static void put_id(struct buf *out, tree_id table)
{
    struct value v = value_int((int64_t)table);
    key_put(out, &id_key, &v);
}

/* Calls each() for the rows of a table that SYS_QUARANTINE lists; their entry's key is in s->id. */
static quartet_status each_listed(struct settle *s, tree_id table, quartet_status (*each)(struct settle *s, struct slice entry, struct slice key))
{
    struct kv_want want = {.keys = true};
    struct kv_rows rows = {.n = 1};
    struct buf lo = {0}, hi = {0};
    struct arena a = {0};
    kv_iter *it = NULL;
    put_id(&lo, table);
    buf_put(&hi, lo.data, lo.len);
    struct kv_range range = {.lo = slice_of(lo.data, lo.len), .hi_open = !key_prefix_end(&hi)};
    range.hi = slice_of(hi.data, hi.len);
    quartet_status rc = lo.failed || hi.failed ? err_nomem(s->err) : kv_iter_open(s->v.snap, NULL, SYS_QUARANTINE, &range, &want, &it, s->err);
    while (rc == QUARTET_OK && rows.n > 0) {
        rc = kv_iter_next(it, 0, &rows, s->err);
        for (uint32_t i = 0; rc == QUARTET_OK && i < rows.n; i++) {
            struct bytes_in in = bytes_in(rows.keys[i].p, rows.keys[i].n);
            struct value v;
            arena_rewind(&a, (struct arena_mark){0});
            if (!key_skip(&in, &id_key) || !key_get(&in, &raw_key, &v, &a) || v.type != VALUE_BLOB)
                rc = err_set(s->err, QUARTET_CORRUPT, "a damaged key in quartet_quarantined");
            else
                rc = each(s, rows.keys[i], v.s);
        }
    }
    kv_iter_close(it);
    arena_free_all(&a);
    buf_deinit(&lo);
    buf_deinit(&hi);
    return rc;
}

static quartet_status doubt_listed(struct settle *s, struct slice entry, struct slice key)
{
    (void)entry;
    return doubt_row(s, s->t, key, s->err);
}

static quartet_status erase_listed(struct settle *s, struct slice entry, struct slice key)
{
    (void)key;
    return ops_put_copy(&s->ops, SYS_QUARANTINE, entry, (struct slice){0}, s->err);
}

/* Rows that are marked, and those that break a test. */
static quartet_status doubt_rows(struct settle *s, const struct table_def *t)
{
    struct kv_range all = {.hi_open = true};
    struct kv_want want = {.keys = true, .records = true, .dead = true};
    struct kv_rows rows = {.n = 1};
    struct claim_tests *tests;
    kv_iter *it = NULL;
    quartet_status rc = claim_tests_of(s->d, s->catalog, t, &tests, s->err);
    if (rc == QUARTET_OK)
        rc = kv_iter_open(s->v.snap, NULL, t->id, &all, &want, &it, s->err);
    while (rc == QUARTET_OK && rows.n > 0) {
        rc = kv_iter_next(it, 0, &rows, s->err);
        for (uint32_t i = 0; rc == QUARTET_OK && i < rows.n; i++) {
            const struct column_def *column = NULL;
            const struct check_def *check = NULL;
            if (rows.records[i].n == 0 || !record_has_values(rows.records[i].p[0]))
                continue;
            if (tests != NULL)
                rc = claim_row_read(&s->v, t, rows.keys[i], &s->row, s->err);
            if (rc == QUARTET_OK && tests != NULL && s->row.live)
                rc = claim_test(tests, s->row.values, &column, &check, s->err);
            if (rc == QUARTET_OK && (column != NULL || check != NULL || (rows.records[i].p[0] & RECORD_HIDDEN) != 0))
                rc = doubt_row(s, t, rows.keys[i], s->err);
        }
    }
    kv_iter_close(it);
    return rc;
}

/* Rows whose neighbour in the index claims the same value. */
static quartet_status doubt_index(struct settle *s, const struct table_def *t, const struct index_def *ix)
{
    struct kv_range all = {.hi_open = true};
    struct kv_want want = {.keys = true};
    struct kv_rows rows = {.n = 1};
    struct buf last = {0};
    size_t last_prefix = 0;
    kv_iter *it = NULL;
    quartet_status rc = kv_iter_open(s->v.snap, NULL, ix->id, &all, &want, &it, s->err);
    while (rc == QUARTET_OK && rows.n > 0) {
        rc = kv_iter_next(it, 0, &rows, s->err);
        for (uint32_t i = 0; rc == QUARTET_OK && i < rows.n; i++) {
            struct slice e = rows.keys[i];
            size_t prefix = index_prefix(ix, e);
            if (prefix == last_prefix && last.len > 0 && memcmp(e.p, last.data, prefix) == 0) { /* NULLs are looked at and found to claim nothing */
                rc = doubt_row(s, t, slice_of(last.data + prefix, last.len - prefix), s->err);
                if (rc == QUARTET_OK)
                    rc = doubt_row(s, t, slice_of(e.p + prefix, e.n - prefix), s->err);
            }
            buf_clear(&last);
            buf_put(&last, e.p, e.n);
            last_prefix = prefix;
            if (rc == QUARTET_OK && last.failed)
                rc = err_nomem(s->err);
        }
    }
    kv_iter_close(it);
    buf_deinit(&last);
    return rc;
}

static quartet_status doubt_table(struct settle *s, const struct table_def *t)
{
    quartet_status rc = doubt_rows(s, t);
    for (uint32_t i = 0; i < t->index_count && !t->dropped && rc == QUARTET_OK; i++)
        if (t->indexes[i].unique)
            rc = doubt_index(s, t, &t->indexes[i]);
    return rc;
}

static quartet_status take_catalog(struct settle *s, const struct catalog *was)
{
    const struct table_def *t, *before;
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; rc == QUARTET_OK && (t = catalog_at_id(s->catalog, i)) != NULL; i++) {
        before = catalog_table_by_id(was, t->id);
        if (claim_more(before, t)) {
            rc = doubt_table(s, t);
        } else if (claim_differ(before, t)) {
            find_tree(s, t->id);
            rc = each_listed(s, t->id, doubt_listed);
        }
    }
    for (uint32_t i = 0; rc == QUARTET_OK && (t = catalog_at_id(was, i)) != NULL; i++)
        if (catalog_table_by_id(s->catalog, t->id) == NULL) /* its rows are gone */
            rc = each_listed(s, t->id, erase_listed);
    return rc;
}

/* ---- from doubts to the change ---- */

static quartet_status change_of(struct settle *s, tree_id id, struct hidden_change **out)
{
    for (size_t i = 0; i < s->change_count; i++)
        if (s->changes[i].state->id == id) {
            *out = &s->changes[i];
            return QUARTET_OK;
        }
    if (s->change_count == s->change_cap) {
        size_t cap = s->change_cap == 0 ? 4 : s->change_cap * 2;
        struct hidden_change *grown = mem_realloc(s->changes, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(s->err);
        s->changes = grown;
        s->change_cap = cap;
    }
    struct table_state *state = db_table(s->d, id, s->err);
    if (state == NULL)
        return QUARTET_NOMEM;
    s->changes[s->change_count] = (struct hidden_change){.state = state};
    *out = &s->changes[s->change_count++];
    return QUARTET_OK;
}

static quartet_status list(struct settle *s, const struct doubt *x, bool hide)
{
    struct value key = {.type = VALUE_BLOB, .s = x->key}, since = value_int(s->a != NULL ? (int64_t)s->a->in.stamp : (int64_t)s->d->clock.last);
    struct buf record = {0};
    buf_clear(&s->id);
    put_id(&s->id, x->t->id);
    key_put(&s->id, &raw_key, &key);
    record_put_simple(&record, (struct ver){0}, &since, 1);
    quartet_status rc = s->id.failed || record.failed ? err_nomem(s->err) : QUARTET_OK;
    if (rc == QUARTET_OK)
        rc = ops_put_copy(&s->ops, SYS_QUARANTINE, slice_of(s->id.data, s->id.len), hide ? slice_of(record.data, record.len) : (struct slice){0}, s->err);
    buf_deinit(&record);
    return rc;
}

/* The newest write to what the constraint is about: with it the row came to break it, as far as the row itself tells. */
static struct ver broken_by(struct settle *s, const struct doubt *x, const struct row *row, struct claim_tests *tests, const struct claim_reason *why)
{
    const struct table_def *t = x->t;
    struct ver newest = row_first_life(row)->birth;
    for (uint32_t i = 0; i < t->rows.count; i++) {
        uint32_t at = t->record_columns[i];
        bool about = why->column == &t->columns[at] || (why->check != NULL && claim_check_reads(tests, (uint32_t)(why->check - t->checks), at));
        for (uint32_t k = 0; why->index != NULL && k < why->index->column_count; k++)
            about |= why->index->columns[k] == at;
        const struct row_cell *cell = about ? row_shown_cell(row, &t->rows, &s->d->chains, i) : NULL;
        if (cell != NULL && cell->ver.stamp != 0 && ver_cmp(&s->d->chains, cell->ver, newest) > 0)
            newest = cell->ver;
    }
    return newest;
}

/* A row of quartet_conflicts: who quarantines, tells. Its id is made of what all nodes know alike. */
static quartet_status tell(struct settle *s, const struct doubt *x, const struct row *row, struct claim_tests *tests, const struct claim_reason *why)
{
    struct quarantine_claim c = {.table = x->t, .key = x->key, .values = s->row.values, .why = *why};
    struct buf name = {0}, detail = {0}, rule = {0}, record = {0};
    struct ver losing = broken_by(s, x, row, tests, why);
    quarantine_claim_name(&c, &name);
    uint32_t which = (uint32_t)hash64(name.data, name.len, 77) | (uint32_t)1 << 31; /* columns have small numbers */
    buf_u8(&name, 0);
    buf_printf(&rule, "%s, quarantined", quarantine_claim_reason(&c));
    buf_u8(&rule, 0);
    quartet_status rc = quarantine_claim_detail(&c, &s->row.arena, &detail, s->err);
    if (rc == QUARTET_OK && (name.failed || rule.failed || detail.failed))
        rc = err_nomem(s->err);
    struct conflict_entry e = {.t = x->t, .key = x->key, .column_id = -(int64_t)which, .column = (const char *)name.data, .rule = (const char *)rule.data,
                               .losing = losing.stamp, .by = losing, .lost = value_text((const char *)detail.data, detail.len), .won = VALUE_NULL_INIT,
                               .id = apply_conflict_id(x->t->id, which, x->key, losing, &s->d->chains)};
    if (rc == QUARTET_OK && why->index != NULL)
        rc = table_key_text(x->t, why->owner, &s->row.arena, &e.won, s->err);
    if (rc == QUARTET_OK)
        rc = apply_conflict_put(&s->ops, s->catalog, &e, &s->row.arena, &record, s->err);
    if (rc == QUARTET_OK) {
        s->d->conflicts_kept++;
        s->d->conflicts_due = true;
    }
    buf_deinit(&name);
    buf_deinit(&detail);
    buf_deinit(&rule);
    buf_deinit(&record);
    return rc;
}

/* why: NULL: it is shown again. */
static quartet_status mark(struct settle *s, const struct doubt *x, struct claim_tests *tests, const struct claim_reason *why)
{
    bool hide = why != NULL;
    const struct table_def *t = x->t;
    struct hidden_change *c = NULL;
    struct row row;
    struct slice record = slice_of(s->row.record.data, s->row.record.len);
    quartet_status rc = change_of(s, t->id, &c);
    if (rc == QUARTET_OK)
        rc = row_decode(record, &t->rows, &s->row.arena, &row, s->err);
    if (rc != QUARTET_OK)
        return rc;
    state_hash_add(hide ? &c->add : &c->sub, row_hash(&row, &t->rows, t->record_ids, t->id, x->key, &s->d->chains, &s->hashed));
    c->rows += hide ? 1 : -1;
    if (s->hashed.failed)
        return err_nomem(s->err);
    rc = hide ? tell(s, x, &row, tests, why) : QUARTET_OK;
    if (rc != QUARTET_OK)
        return rc;
    record_set_hidden(s->row.record.data, s->row.record.len, hide); /* values that point into it stay as they are */
    rc = ops_put_copy(&s->ops, t->id, x->key, record, s->err);
    if (rc == QUARTET_OK && s->a != NULL)
        rc = apply_state_note(s->a, t, x->key, hide ? s->row.values : NULL, hide ? NULL : s->row.values);
    return rc;
}

static quartet_status settle_row(struct settle *s, const struct doubt *x)
{
    struct claim_tests *tests;
    struct claim_reason why;
    quartet_status rc = claim_row_read(&s->v, x->t, x->key, &s->row, s->err);
    if (rc == QUARTET_OK)
        rc = claim_tests_of(s->d, s->catalog, x->t, &tests, s->err);
    if (rc == QUARTET_OK)
        rc = claim_why(&s->v, x->t, tests, x->key, &s->row, &why, s->err);
    if (rc != QUARTET_OK)
        return rc;
    bool hide = why.column != NULL || why.check != NULL || why.index != NULL, is = s->row.live && s->row.hidden;
    bool listed = s->a != NULL && (x->was || is); /* anew: the list was emptied before */
    if (s->row.live && hide != is)
        rc = mark(s, x, tests, hide ? &why : NULL);
    return rc == QUARTET_OK && hide != listed ? list(s, x, hide) : rc;
}

static void take_changes(struct settle *s)
{
    db *d = s->d;
    for (size_t i = 0; i < s->change_count; i++) {
        struct hidden_change *c = &s->changes[i];
        state_hash_add(&c->state->hidden, c->add);
        state_hash_sub(&c->state->hidden, c->sub);
        c->state->hidden_count += (uint64_t)c->rows;
        d->hidden_rows += (uint64_t)c->rows;
    }
}

/* *no: the apply number of the change; as it was where there is none. */
static quartet_status put_changes(struct settle *s, apply_no *no)
{
    db *d = s->d;
    bool any = s->ops.count > 0 || s->ops.bulk != NULL;
    quartet_status rc = QUARTET_OK;
    if (any) {
        atomic_store(&d->hidden_none_from, UINT64_MAX);
        rc = ops_commit_derived(&s->ops, d, s->err);
    }
    if (rc == QUARTET_OK && any) {
        *no = d->applied_no;
        take_changes(s);
    }
    if (rc == QUARTET_OK)
        atomic_store(&d->hidden_none_from, d->hidden_rows == 0 ? (any ? d->applied_no : atomic_load(&d->hidden_none_from)) : UINT64_MAX);
    return rc;
}

static quartet_status settle_begin(struct settle *s, db *d, struct applying *a, struct catalog *catalog, struct err *err)
{
    *s = (struct settle){.d = d, .a = a, .catalog = catalog, .err = err, .ops = {.store = d->store, .limit = ops_limit(d)}};
    s->v.chains = &d->chains;
    map_init(&s->doubts, d->applied_no);
    return kv_snapshot_latest(d->store, &s->v.snap, err);
}

static quartet_status settle_doubts(struct settle *s, apply_no *no)
{
    quartet_status rc = QUARTET_OK;
    for (size_t i = 0; i < s->doubts.entry_count && rc == QUARTET_OK; i++)
        rc = settle_row(s, s->doubts.entries[i].value);
    return rc == QUARTET_OK ? put_changes(s, no) : rc;
}

static void settle_end(struct settle *s)
{
    ops_deinit(&s->ops);
    claim_row_deinit(&s->row);
    claim_view_deinit(&s->v);
    kv_release(s->v.snap);
    map_deinit(&s->doubts);
    arena_free_all(&s->arena);
    buf_deinit(&s->id);
    buf_deinit(&s->hi);
    buf_deinit(&s->hashed);
    mem_free(s->changes);
}

quartet_status apply_claims_settle(struct applying *a, struct catalog *catalog, apply_no *no)
{
    struct settle s;
    if ((a->claim_notes == NULL || a->claim_notes->count + (a->claim_notes->far != NULL) == 0) && a->claims_were == NULL)
        return QUARTET_OK;
    quartet_status rc = settle_begin(&s, a->d, a, catalog, a->err);
    if (rc == QUARTET_OK && a->claims_were != NULL)
        rc = take_catalog(&s, a->claims_were);
    if (rc == QUARTET_OK)
        rc = take_notes(&s);
    if (rc == QUARTET_OK)
        rc = settle_doubts(&s, no);
    settle_end(&s);
    return rc;
}

/* ---- everything anew ---- */

void apply_claims_load(db *d)
{
    struct map_entry *e;
    d->hidden_rows = 0;
    for (size_t i = 0; (e = map_at(&d->tables, &i)) != NULL;)
        d->hidden_rows += ((const struct table_state *)e->value)->hidden_count;
    atomic_store(&d->hidden_none_from, d->hidden_rows == 0 ? 0 : UINT64_MAX);
}

static quartet_status empty_list(db *d, struct err *err)
{
    struct apply_ops gone = {.store = d->store, .limit = ops_limit(d)};
    kv_snap *snap = NULL;
    quartet_status rc = kv_snapshot_latest(d->store, &snap, err);
    if (rc == QUARTET_OK)
        rc = apply_tree_erase(&gone, snap, SYS_QUARANTINE, err);
    kv_release(snap);
    if (rc == QUARTET_OK && (gone.count > 0 || gone.bulk != NULL)) {
        rc = ops_commit(&gone, d->applied_no + 1, err);
        if (rc == QUARTET_OK)
            kv_publish(d->store, ++d->applied_no); /* nobody reads yet */
    }
    ops_deinit(&gone);
    return rc;
}

quartet_status apply_claims_rebuild(db *d, struct err *err)
{
    struct settle s;
    const struct table_def *t;
    apply_claims_load(d);
    quartet_status rc = empty_list(d, err);
    if (rc != QUARTET_OK)
        return rc;
    rc = settle_begin(&s, d, NULL, d->catalog, err);
    for (uint32_t i = 0; rc == QUARTET_OK && (t = catalog_at_id(d->catalog, i)) != NULL; i++) {
        struct table_state *state = db_table(d, t->id, err);
        if (state == NULL)
            rc = QUARTET_NOMEM;
        else if (t->id >= SYS_TREES_END && (claim_tested(t) || claim_has_unique(t) || state->hidden_count > 0))
            rc = doubt_table(&s, t);
    }
    apply_no no = d->applied_no;
    if (rc == QUARTET_OK)
        rc = settle_doubts(&s, &no);
    if (rc == QUARTET_OK)
        kv_publish(d->store, no);
    settle_end(&s);
    return rc;
}

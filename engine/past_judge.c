/* past_judge.c - constraints evaluated on the rows as of a stamp, from their definition: steps 2 and 3 of DESIGN.md section 4.
 * How: claims of one value come side by side by sorting, and so do the keys that rows give and those that rows reference; both on disk where they are many. Keys that are broken because the
 *   row that gives them is an orphan itself are found in rounds, until nothing changes: the least such set, so a circle stays whole.
 * Not here: the rows of the past (history.c), the present (claim.c, orphan_settle.c). */
#include "past_judge.h"

#include <string.h>

#include "base/mem.h"
#include "catalog_build.h"
#include "claim.h"
#include "history.h"
#include "kv_sort.h"
#include "orphan.h"

#define SORT_MEMORY_BYTES ((size_t)16 << 20)
#define REFERENCED 'r'
#define GIVEN 'g' /* sorts before it */

struct judged { /* a table that matters */
    const struct table_def *t;
    struct claim_tests *tests; /* NULL: none */
    bool unique, refers;       /* some index, some link counts as of the stamp: */
    bool *index_counts, *link_counts;
};
struct claimant {
    struct slice key;
    struct claimant *next;
};
struct past_judge {
    txn *t;
    hlc_stamp as_of;
    struct judged *tables; /* [0]: the one whose rows are asked for */
    uint32_t table_count, table_cap;
    struct map hidden; /* u64 table, key: a claim of it is another's */
    struct map broken; /* orphan keys */
    bool any_never;    /* some row references what no row can give */
    struct chain_table chains;
    struct arena arena;
    struct orphan_key key;
    struct buf id;
    struct err *err;
};

void past_judge_free(past_judge *j)
{
    if (j == NULL)
        return;
    for (uint32_t i = 0; i < j->table_count; i++)
        claim_tests_free(j->tables[i].tests);
    mem_free(j->tables);
    map_deinit(&j->hidden);
    map_deinit(&j->broken);
    chain_table_deinit(&j->chains);
    arena_free_all(&j->arena);
    orphan_key_deinit(&j->key);
    buf_deinit(&j->id);
    mem_free(j);
}

/* ---- what counts as of the stamp ---- */

/* Was the row of a system table there by then; with `unchanged`: and is it what it was? A definition without a row is as old as its table. */
static quartet_status was_there(past_judge *j, tree_id tree, const struct value *key_values, bool unchanged, bool *was)
{
    const struct table_def *t = catalog_table_by_id(j->t->catalog, tree);
    struct buf key = {0}, record = {0};
    struct row row;
    *was = true;
    for (uint32_t i = 0; i < t->key_count; i++)
        key_put(&key, &t->keys[i], &key_values[i]);
    quartet_status rc = buf_check(&key, j->err);
    if (rc == QUARTET_OK)
        rc = kv_get(j->t->snap, NULL, tree, slice_of(key.data, key.len), &record, j->err);
    if (rc == QUARTET_OK)
        rc = row_decode(slice_of(record.data, record.len), &t->rows, &j->arena, &row, j->err);
    const struct row_life *first = rc == QUARTET_OK ? row_first_life(&row) : NULL;
    if (first != NULL)
        *was = (unchanged ? history_newest(&row, &t->rows) : first->birth.stamp) <= j->as_of;
    if (rc == QUARTET_NOTFOUND)
        rc = QUARTET_OK;
    buf_deinit(&key);
    buf_deinit(&record);
    return rc;
}

static quartet_status object_was_there(past_judge *j, tree_id id, bool *was)
{
    struct value key = value_int((int64_t)id);
    return was_there(j, SYS_OBJECTS, &key, false, was);
}

/* A CHECK or a foreign key by its name; without one it stands in the table's own definition. */
static quartet_status named_was_there(past_judge *j, const struct table_def *t, const char *name, bool *was)
{
    *was = true;
    for (uint32_t i = 0; name != NULL && i < t->constraint_count; i++)
        if (name_cmp(t->constraints[i].name, name) == 0)
            return object_was_there(j, t->constraints[i].id, was);
    return QUARTET_OK;
}

static quartet_status add_tests(past_judge *j, struct judged *x)
{
    const struct table_def *t = x->t;
    bool was = true;
    if (!claim_tested(t))
        return QUARTET_OK;
    quartet_status rc = claim_tests_new(j->t->catalog, t, &x->tests, j->err);
    for (uint32_t i = 0; i < t->check_count && rc == QUARTET_OK; i++) {
        rc = named_was_there(j, t, t->checks[i].name, &was);
        if (rc == QUARTET_OK && !was)
            claim_tests_forget_check(x->tests, i);
    }
    for (uint32_t i = 0; i < t->column_count && rc == QUARTET_OK; i++) {
        struct value key[] = {value_int((int64_t)t->id), value_int((int64_t)t->columns[i].id + CATALOG_OVERRIDE)}; /* where SET NOT NULL is written down */
        if (!t->columns[i].not_null)
            continue;
        rc = was_there(j, SYS_COLUMNS, key, true, &was);
        if (rc == QUARTET_OK && !was)
            claim_tests_forget_column(x->tests, i);
    }
    return rc;
}

static quartet_status add_table(past_judge *j, const struct table_def *t)
{
    const struct fk_link *out;
    uint32_t n = catalog_links_out(j->t->catalog, t->id, &out);
    for (uint32_t i = 0; i < j->table_count; i++)
        if (j->tables[i].t == t)
            return QUARTET_OK;
    if (j->table_count == j->table_cap) {
        uint32_t cap = j->table_cap == 0 ? 4 : j->table_cap * 2;
        struct judged *grown = mem_realloc(j->tables, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(j->err);
        j->tables = grown;
        j->table_cap = cap;
    }
    struct judged *x = &j->tables[j->table_count++];
    *x = (struct judged){.t = t, .index_counts = arena_zalloc(&j->arena, t->index_count + 1u, sizeof(bool)), .link_counts = arena_zalloc(&j->arena, n + 1u, sizeof(bool))};
    if (x->index_counts == NULL || x->link_counts == NULL)
        return arena_fail(&j->arena, j->err);
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < t->index_count && rc == QUARTET_OK; i++) {
        if (t->indexes[i].unique)
            rc = object_was_there(j, t->indexes[i].id, &x->index_counts[i]);
        x->unique |= x->index_counts[i];
    }
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++) {
        rc = named_was_there(j, t, out[i].fk->name, &x->link_counts[i]);
        x->refers |= x->link_counts[i];
    }
    return rc == QUARTET_OK ? add_tests(j, x) : rc;
}

/* ---- rows as they were ---- */

typedef quartet_status (*judged_fn)(past_judge *j, struct judged *x, struct slice key, const struct value *values, void *arg);

static quartet_status each_row(past_judge *j, struct judged *x, judged_fn each, void *arg)
{
    uint32_t n = x->t->column_count;
    uint32_t *columns = mem_zalloc(n + 1u, sizeof *columns);
    struct value *values = mem_zalloc(n + 1u, sizeof *values);
    table_scan *s = NULL;
    struct batch b = {.n = 1};
    quartet_status rc = columns == NULL || values == NULL ? err_nomem(j->err) : QUARTET_OK;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++)
        columns[i] = i;
    struct scan_want want = {.columns = columns, .column_count = n, .keys = true, .as_of = j->as_of, .unjudged = true};
    if (rc == QUARTET_OK)
        rc = table_scan_open(j->t, x->t, NULL, NULL, &want, &s, j->err);
    while (rc == QUARTET_OK && b.n > 0) {
        rc = table_scan_next(s, 0, &b, j->err);
        for (uint32_t r = 0; rc == QUARTET_OK && r < b.n; r++) {
            for (uint32_t i = 0; i < n; i++)
                values[i] = vec_get(&b.cols[i], batch_row(&b, r));
            rc = each(j, x, b.keys[r], values, arg);
        }
    }
    table_scan_close(s);
    mem_free(columns);
    mem_free(values);
    return rc;
}

static quartet_status sorter(past_judge *j, struct kv_run_place *place, kv_sort **out)
{
    *place = db_run_place(j->t->d);
    place->memory_bytes = SORT_MEMORY_BYTES;
    return kv_sort_new(place, out, j->err);
}

/* ---- claims ---- */

struct claiming {
    past_judge *j;
    struct judged *x;
    kv_sort *sort;
    tree_id index;
    struct buf value;     /* of the present group */
    struct claimant *of;  /* who claim it; in `arena` */
    struct arena arena;
    struct buf entry;
};

static quartet_status put_claims(past_judge *j, struct judged *x, struct slice key, const struct value *values, void *arg)
{
    struct claiming *c = arg;
    for (uint32_t i = 0; i < x->t->index_count; i++) {
        const struct index_def *ix = &x->t->indexes[i];
        bool none;
        if (!x->index_counts[i])
            continue;
        quartet_status rc = claim_value(x->t, ix, values, key, &c->entry, &none, j->err);
        if (rc != QUARTET_OK)
            return rc;
        if (none)
            continue;
        uint8_t bytes[4];
        store_le32(bytes, (uint32_t)c->entry.len);
        buf_put(&c->entry, key.p, key.n);
        rc = buf_check(&c->entry, j->err);
        if (rc == QUARTET_OK)
            rc = kv_sort_put(c->sort, ix->id, slice_of(c->entry.data, c->entry.len), slice_of(bytes, sizeof bytes), j->err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

/* The earliest unended birth that the row had. */
static quartet_status birth_of(struct claiming *c, struct slice key, struct ver *out)
{
    past_judge *j = c->j;
    struct history_reader r = {.table = c->x->t, .chains = &j->chains, .as_of = j->as_of};
    struct buf record = {0};
    struct row row = {0};
    quartet_status rc = kv_past_open(j->t->snap, c->x->t->id, &r.past, j->err);
    if (rc == QUARTET_OK)
        rc = kv_get(j->t->snap, NULL, c->x->t->id, key, &record, j->err);
    if (rc == QUARTET_OK)
        rc = history_row(&r, key, slice_of(record.data, record.len), &c->arena, &row, j->err);
    const struct row_life *first = rc == QUARTET_OK ? row_first_life(&row) : NULL;
    if (rc == QUARTET_OK && first == NULL)
        rc = err_set(j->err, QUARTET_CORRUPT, "a row of table %s that was there is not", c->x->t->name);
    if (rc == QUARTET_OK)
        *out = first->birth;
    kv_past_close(r.past);
    buf_deinit(&record);
    return rc;
}

static quartet_status put_id(past_judge *j, tree_id table, struct slice key)
{
    buf_clear(&j->id);
    buf_u64(&j->id, table);
    buf_put(&j->id, key.p, key.n);
    return buf_check(&j->id, j->err);
}

/* All claims of one value are known: all but the first by birth and key are hidden. */
static quartet_status end_group(struct claiming *c)
{
    past_judge *j = c->j;
    const struct claimant *owner = NULL;
    struct ver best = {0}, birth;
    quartet_status rc = QUARTET_OK;
    for (struct claimant *x = c->of; x != NULL && c->of->next != NULL && rc == QUARTET_OK; x = x->next) {
        rc = birth_of(c, x->key, &birth);
        int order = owner == NULL ? -1 : ver_cmp(&j->chains, birth, best);
        if (rc != QUARTET_OK || order > 0 || (order == 0 && slice_cmp(x->key, owner->key) > 0))
            continue;
        owner = x;
        best = birth;
    }
    for (struct claimant *x = c->of; owner != NULL && x != NULL && rc == QUARTET_OK; x = x->next) {
        if (x == owner)
            continue;
        rc = put_id(j, c->x->t->id, x->key);
        if (rc == QUARTET_OK)
            rc = map_put(&j->hidden, j->id.data, j->id.len, j, j->err);
    }
    c->of = NULL;
    arena_rewind(&c->arena, (struct arena_mark){0});
    return rc;
}

static quartet_status take_claim(void *arg, tree_id tree, struct slice key, struct slice record, struct err *err)
{
    struct claiming *c = arg;
    uint32_t n = record.n == 4 ? load_le32(record.p) : 0;
    QASSERT(n <= key.n);
    bool same = tree == c->index && n == c->value.len && memcmp(key.p, c->value.data, n) == 0;
    quartet_status rc = same ? QUARTET_OK : end_group(c);
    if (rc == QUARTET_OK && !same) {
        c->index = tree;
        buf_clear(&c->value);
        buf_put(&c->value, key.p, n);
        rc = buf_check(&c->value, err);
    }
    struct claimant *x = arena_zalloc(&c->arena, 1, sizeof *x);
    uint8_t *copy = arena_dup(&c->arena, key.p + n, key.n - n);
    if (rc == QUARTET_OK && (x == NULL || copy == NULL))
        rc = arena_fail(&c->arena, err);
    if (rc != QUARTET_OK)
        return rc;
    *x = (struct claimant){.key = slice_of(copy, key.n - n), .next = c->of};
    c->of = x;
    return QUARTET_OK;
}

static quartet_status judge_claims(past_judge *j, struct judged *x)
{
    struct claiming c = {.j = j, .x = x};
    struct kv_run_place place;
    quartet_status rc = sorter(j, &place, &c.sort);
    if (rc == QUARTET_OK)
        rc = each_row(j, x, put_claims, &c);
    if (rc == QUARTET_OK)
        rc = kv_sort_drain(c.sort, take_claim, &c, j->err);
    if (rc == QUARTET_OK)
        rc = end_group(&c);
    kv_sort_free(c.sort);
    arena_free_all(&c.arena);
    buf_deinit(&c.value);
    buf_deinit(&c.entry);
    return rc;
}

/* Step 2. */
static quartet_status is_whole(past_judge *j, struct judged *x, struct slice key, const struct value *values, bool *whole)
{
    const struct column_def *column = NULL;
    const struct check_def *check = NULL;
    quartet_status rc = x->tests != NULL ? claim_test(x->tests, values, &column, &check, j->err) : QUARTET_OK;
    *whole = column == NULL && check == NULL;
    if (rc != QUARTET_OK || !*whole || j->hidden.count == 0)
        return rc;
    rc = put_id(j, x->t->id, key);
    *whole = rc == QUARTET_OK && !map_has(&j->hidden, j->id.data, j->id.len);
    return rc;
}

/* ---- references ---- */

static quartet_status put_note(past_judge *j, kv_sort *sort, uint8_t kind)
{
    buf_u8(&j->key.key, kind);
    quartet_status rc = buf_check(&j->key.key, j->err);
    return rc == QUARTET_OK ? kv_sort_put(sort, SYS_BROKEN, slice_of(j->key.key.data, j->key.key.len), slice_of("", 0), j->err) : rc;
}

/* Calls each() for the keys that a row gives; they stand in j->key.key. */
static quartet_status given(past_judge *j, const struct table_def *t, struct slice key, const struct value *values,
                            quartet_status (*each)(past_judge *j, void *arg), void *arg)
{
    const struct fk_link *const *in;
    uint32_t n = catalog_links_in(j->t->catalog, t->id, &in);
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++) {
        bool none;
        if (i > 0 && in[i]->key == in[i - 1]->key)
            continue;
        rc = orphan_given(in[i], values, key, &j->key, &none, j->err);
        if (rc == QUARTET_OK && !none)
            rc = each(j, arg);
    }
    return rc;
}

static quartet_status note_given(past_judge *j, void *sort)
{
    return put_note(j, sort, GIVEN);
}

static quartet_status note_references(past_judge *j, struct judged *x, struct slice key, const struct value *values, void *sort)
{
    const struct fk_link *out;
    uint32_t n = x->refers ? catalog_links_out(j->t->catalog, x->t->id, &out) : 0;
    bool whole;
    quartet_status rc = is_whole(j, x, key, values, &whole);
    for (uint32_t i = 0; i < n && rc == QUARTET_OK && whole; i++) {
        enum orphan_ref ref = ORPHAN_NONE;
        if (x->link_counts[i])
            rc = orphan_reference(&out[i], values, key, &j->key, &ref, j->err);
        if (rc == QUARTET_OK && ref == ORPHAN_KEY)
            rc = put_note(j, sort, REFERENCED);
        j->any_never |= ref == ORPHAN_NEVER;
    }
    return rc == QUARTET_OK && whole ? given(j, x->t, key, values, note_given, sort) : rc;
}

struct matching {
    past_judge *j;
    struct buf given; /* the last key that some row gives */
};

static quartet_status match(void *arg, tree_id tree, struct slice key, struct slice record, struct err *err)
{
    struct matching *m = arg;
    (void)tree;
    (void)record;
    key.n--;
    if (key.p[key.n] == GIVEN) {
        buf_clear(&m->given);
        buf_put(&m->given, key.p, key.n);
        return buf_check(&m->given, err);
    }
    return slice_eq(key, slice_of(m->given.data, m->given.len)) ? QUARTET_OK : map_put(&m->j->broken, key.p, key.n, m->j, err);
}

/* Step 3 for a row that is whole by itself. */
static quartet_status is_orphan(past_judge *j, struct judged *x, struct slice key, const struct value *values, bool *orphan)
{
    const struct fk_link *out;
    uint32_t n = x->refers && (j->broken.count > 0 || j->any_never) ? catalog_links_out(j->t->catalog, x->t->id, &out) : 0;
    quartet_status rc = QUARTET_OK;
    *orphan = false;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK && !*orphan; i++) {
        enum orphan_ref ref = ORPHAN_NONE;
        if (x->link_counts[i])
            rc = orphan_reference(&out[i], values, key, &j->key, &ref, j->err);
        *orphan = rc == QUARTET_OK && (ref == ORPHAN_NEVER || (ref == ORPHAN_KEY && map_has(&j->broken, j->key.key.data, j->key.key.len)));
    }
    return rc;
}

static quartet_status break_given(past_judge *j, void *changed)
{
    if (map_has(&j->broken, j->key.key.data, j->key.key.len))
        return QUARTET_OK;
    *(bool *)changed = true;
    return map_put(&j->broken, j->key.key.data, j->key.key.len, j, j->err);
}

static quartet_status spread(past_judge *j, struct judged *x, struct slice key, const struct value *values, void *changed)
{
    bool whole, orphan = false;
    quartet_status rc = is_whole(j, x, key, values, &whole);
    if (rc == QUARTET_OK && whole)
        rc = is_orphan(j, x, key, values, &orphan);
    return rc == QUARTET_OK && orphan ? given(j, x->t, key, values, break_given, changed) : rc;
}

static quartet_status judge_references(past_judge *j)
{
    struct matching m = {.j = j};
    struct kv_run_place place;
    kv_sort *sort = NULL;
    const struct fk_link *const *in;
    quartet_status rc = sorter(j, &place, &sort);
    for (uint32_t i = 0; i < j->table_count && rc == QUARTET_OK; i++)
        rc = each_row(j, &j->tables[i], note_references, sort);
    if (rc == QUARTET_OK)
        rc = kv_sort_drain(sort, match, &m, j->err);
    kv_sort_free(sort);
    buf_deinit(&m.given);
    for (bool changed = j->broken.count > 0 || j->any_never; changed && rc == QUARTET_OK;) {
        changed = false;
        for (uint32_t i = 0; i < j->table_count && rc == QUARTET_OK; i++)
            if (j->tables[i].refers && catalog_links_in(j->t->catalog, j->tables[i].t->id, &in) > 0)
                rc = each_row(j, &j->tables[i], spread, &changed);
    }
    return rc;
}

/* ---- all of it ---- */

static quartet_status copy_chains(past_judge *j)
{
    db *d = j->t->d;
    if (!j->t->exclusive)
        pthread_mutex_lock(&d->commit_lock);
    quartet_status rc = chain_table_follow(&j->chains, &d->chains, j->err);
    if (!j->t->exclusive)
        pthread_mutex_unlock(&d->commit_lock);
    return rc;
}

static quartet_status judge_all(past_judge *j, const struct table_def *table)
{
    const struct fk_link *out;
    bool refers = false;
    quartet_status rc = add_table(j, table);
    for (uint32_t i = 0; i < j->table_count && rc == QUARTET_OK; i++) {
        uint32_t n = catalog_links_out(j->t->catalog, j->tables[i].t->id, &out);
        refers |= j->tables[i].refers;
        for (uint32_t k = 0; k < n && rc == QUARTET_OK; k++)
            rc = j->tables[i].link_counts[k] ? add_table(j, out[k].parent) : QUARTET_OK;
    }
    if (rc == QUARTET_OK)
        rc = copy_chains(j);
    bool alone = true; /* one node wrote all there is, and kept values apart; unlike references, which a session may leave unchecked */
    for (uint32_t i = 1; i < j->chains.count; i++)
        alone = alone && j->chains.ids[i].slot == j->chains.ids[0].slot;
    for (uint32_t i = 0; i < j->table_count && rc == QUARTET_OK; i++)
        if (j->tables[i].unique && !alone)
            rc = judge_claims(j, &j->tables[i]);
    return rc == QUARTET_OK && refers ? judge_references(j) : rc;
}

quartet_status past_judge_new(txn *t, const struct table_def *table, hlc_stamp as_of, past_judge **out, struct err *err)
{
    const struct fk_link *links;
    *out = NULL;
    if (table->is_system || (!claim_tested(table) && !claim_has_unique(table) && catalog_links_out(t->catalog, table->id, &links) == 0))
        return QUARTET_OK;
    past_judge *j = mem_zalloc(1, sizeof *j);
    if (j == NULL)
        return err_nomem(err);
    j->t = t;
    j->as_of = as_of;
    j->err = err;
    map_init(&j->hidden, as_of);
    map_init(&j->broken, as_of);
    quartet_status rc = judge_all(j, table);
    j->err = NULL;
    if (rc != QUARTET_OK) {
        past_judge_free(j);
        return rc;
    }
    *out = j;
    return QUARTET_OK;
}

quartet_status past_judge_row(past_judge *j, struct slice key, const struct value *values, bool *shown, struct err *err)
{
    bool orphan = false;
    j->err = err;
    quartet_status rc = is_whole(j, &j->tables[0], key, values, shown);
    if (rc == QUARTET_OK && *shown)
        rc = is_orphan(j, &j->tables[0], key, values, &orphan);
    *shown = *shown && !orphan;
    return rc;
}

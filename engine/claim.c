/* claim.c - claims on values and the tests of a row by itself: who owns a value, which row breaks what.
 * Why owners are looked for in the index and not kept there in order: births change with every re-insertion, entries then would too; a value that several rows
 *   claim is rare, and then few do.
 * Invariants: nothing here depends on which rows are marked as quarantined, so evaluating in any order gives the same.
 * Not here: which rows are in doubt after a transaction (apply_claims.c). */
#include "claim.h"

#include <string.h>

#include "base/mem.h"
#include "base/plant.h"
#include "bind.h"
#include "catalog_build.h"
#include "txn_internal.h"

#define TESTS_KEPT_MAX 64u /* tables */

/* ---- the tests of a row by itself ---- */

struct claim_tests {
    struct claim_tests *next; /* among those that are kept */
    struct catalog *catalog;
    const struct table_def *t;
    struct arena arena, run;
    struct expr **checks; /* NULL: it cannot be bound, and says nothing */
    struct vec *cols;
    uint8_t *nulls;
    bool *may_be_null; /* by column: whatever it says */
};

static bool must_not_be_null(const struct table_def *t, uint32_t i)
{
    const struct column_def *c = &t->columns[i];
    return i < t->visible_count && c->not_null && c->key_at < 0 && c->kind != ROW_SET && (c->kind != ROW_COUNTER || c->over_lww); /* those are never NULL */
}

bool claim_tested(const struct table_def *t)
{
    bool any = t->check_count > 0;
    for (uint32_t i = 0; i < t->column_count && !any; i++)
        any = must_not_be_null(t, i);
    return any && !t->dropped && t->id >= SYS_TREES_END;
}

bool claim_has_unique(const struct table_def *t)
{
    bool any = false;
    for (uint32_t i = 0; i < t->index_count && !any; i++)
        any = t->indexes[i].unique;
    return any && !t->dropped && t->id >= SYS_TREES_END;
}

static quartet_status place_column(void *arg, const struct expr *e, struct expr **out, struct err *err)
{
    struct claim_tests *x = arg;
    if (e->op != EXPR_COLUMN)
        return QUARTET_OK;
    struct expr *copy = arena_dup(&x->arena, e, sizeof *e); /* the only source: its columns are the table's, in order */
    if (copy == NULL)
        return arena_fail(&x->arena, err);
    *out = copy;
    return QUARTET_OK;
}

static quartet_status bind_checks(struct claim_tests *x, struct err *err)
{
    const struct table_def *t = x->t;
    struct bind b = {.a = &x->arena, .catalog = x->catalog};
    struct bquery *q = arena_zalloc(&x->arena, 1, sizeof *q);
    struct scope *s = arena_zalloc(&x->arena, 1, sizeof *s);
    struct bsource *src;
    if (q == NULL || s == NULL)
        return arena_fail(&x->arena, err);
    *s = (struct scope){.query = q, .clause = "CHECK"};
    quartet_status rc = bind_table_source(&b, s, t, NULL, false, &src, err);
    for (uint32_t i = 0; i < t->check_count && rc == QUARTET_OK; i++) {
        struct expr *e = NULL;
        rc = bind_expr(&b, s, t->checks[i].expr, &e, err);
        if (rc == QUARTET_OK && !bind_has_subquery(e))
            rc = bind_map(&x->arena, e, place_column, x, &x->checks[i], err);
        if (rc != QUARTET_OK && rc != QUARTET_NOMEM) { /* of a column that another node dropped meanwhile: on every node alike */
            err_clear(err);
            x->checks[i] = NULL;
            rc = QUARTET_OK;
        }
    }
    QASSERT(rc != QUARTET_OK || src->first_cid == 0);
    return rc;
}

quartet_status claim_tests_new(struct catalog *catalog, const struct table_def *t, struct claim_tests **out, struct err *err)
{
    struct claim_tests *x = mem_zalloc(1, sizeof *x);
    if (x == NULL)
        return err_nomem(err);
    x->catalog = catalog_ref(catalog);
    x->t = t;
    x->checks = arena_zalloc(&x->arena, t->check_count + 1u, sizeof(struct expr *));
    x->cols = arena_zalloc(&x->arena, t->column_count + 1u, sizeof *x->cols);
    x->nulls = arena_zalloc(&x->arena, t->column_count + 1u, 1);
    x->may_be_null = arena_zalloc(&x->arena, t->column_count + 1u, sizeof *x->may_be_null);
    quartet_status rc = x->checks == NULL || x->cols == NULL || x->nulls == NULL || x->may_be_null == NULL ? arena_fail(&x->arena, err) : QUARTET_OK;
    if (rc == QUARTET_OK && t->check_count > 0)
        rc = bind_checks(x, err);
    if (rc != QUARTET_OK) {
        claim_tests_free(x);
        return rc;
    }
    *out = x;
    return QUARTET_OK;
}

void claim_tests_free(struct claim_tests *x)
{
    if (x == NULL)
        return;
    catalog_unref(x->catalog);
    arena_free_all(&x->arena);
    arena_free_all(&x->run);
    mem_free(x);
}

static bool is_not_column(void *arg, const struct expr *e)
{
    return e->op != EXPR_COLUMN || e->u.column != *(const uint32_t *)arg;
}

bool claim_check_reads(const struct claim_tests *x, uint32_t check, uint32_t column)
{
    return x->checks[check] != NULL && !expr_walk(x->checks[check], is_not_column, &column);
}

void claim_tests_forget_check(struct claim_tests *x, uint32_t check)
{
    QASSERT(check < x->t->check_count);
    x->checks[check] = NULL;
}

void claim_tests_forget_column(struct claim_tests *x, uint32_t column)
{
    QASSERT(column < x->t->column_count);
    x->may_be_null[column] = true;
}

quartet_status claim_test(struct claim_tests *x, const struct value *values, const struct column_def **column, const struct check_def **check, struct err *err)
{
    const struct table_def *t = x->t;
    *column = NULL;
    *check = NULL;
    for (uint32_t i = 0; i < t->column_count && *column == NULL; i++)
        if (values[i].type == VALUE_NULL && !x->may_be_null[i] && must_not_be_null(t, i))
            *column = &t->columns[i];
    if (*column != NULL || t->check_count == 0)
        return QUARTET_OK;
    arena_rewind(&x->run, (struct arena_mark){0});
    struct value *copy = arena_dup(&x->run, values, t->column_count * sizeof *values);
    if (copy == NULL)
        return arena_fail(&x->run, err);
    for (uint32_t i = 0; i < t->column_count; i++) {
        x->nulls[i] = values[i].type == VALUE_NULL;
        x->cols[i] = (struct vec){.type = VEC_MIXED, .null = &x->nulls[i], .has_null = true};
        x->cols[i].v = &copy[i];
    }
    struct batch row = {.n = 1, .col_count = t->column_count, .cols = x->cols};
    struct expr_ctx ctx = {.arena = &x->run};
    for (uint32_t i = 0; i < t->check_count && *check == NULL; i++) {
        struct value v = VALUE_NULL_INIT;
        quartet_status rc = x->checks[i] != NULL ? expr_value(x->checks[i], &ctx, &row, 0, &v, err) : QUARTET_OK;
        if (rc == QUARTET_NOMEM)
            return rc;
        if (rc != QUARTET_OK)
            err_clear(err);
        if (rc != QUARTET_OK || types_truth(&v) == 0) /* NULL passes */
            *check = &t->checks[i];
    }
    return QUARTET_OK;
}

quartet_status claim_tests_of(db *d, struct catalog *catalog, const struct table_def *t, struct claim_tests **out, struct err *err)
{
    uint32_t n = 0;
    *out = NULL;
    if (!claim_tested(t))
        return QUARTET_OK;
    for (struct claim_tests *x = d->claim_tests; x != NULL; x = x->next, n++)
        if (x->t == t) { /* a definition stays where it is as long as any catalog has it */
            *out = x;
            return QUARTET_OK;
        }
    if (n >= TESTS_KEPT_MAX)
        claim_tests_drop(d);
    quartet_status rc = claim_tests_new(catalog, t, out, err);
    if (rc != QUARTET_OK)
        return rc;
    (*out)->next = d->claim_tests;
    d->claim_tests = *out;
    return QUARTET_OK;
}

void claim_tests_drop(db *d)
{
    for (struct claim_tests *x = d->claim_tests, *next; x != NULL; x = next) {
        next = x->next;
        claim_tests_free(x);
    }
    d->claim_tests = NULL;
}

/* ---- definitions that change ---- */

static bool has_unique(const struct table_def *t, tree_id id)
{
    for (uint32_t i = 0; i < t->index_count; i++)
        if (t->indexes[i].unique && t->indexes[i].id == id)
            return true;
    return false;
}

static bool has_check(const struct table_def *t, const char *text)
{
    for (uint32_t i = 0; i < t->check_count; i++)
        if (strcmp(t->checks[i].text, text) == 0)
            return true;
    return false;
}

static bool not_null_by_id(const struct table_def *t, uint32_t id)
{
    for (uint32_t i = 0; i < t->column_count; i++)
        if (t->columns[i].id == id)
            return must_not_be_null(t, i);
    return false;
}

bool claim_more(const struct table_def *was, const struct table_def *is)
{
    if (is == NULL || is->dropped || is == was)
        return false;
    if (was == NULL || was->dropped)
        return claim_tested(is) || claim_has_unique(is);
    bool more = false;
    for (uint32_t i = 0; i < is->index_count && !more; i++)
        more = is->indexes[i].unique && !has_unique(was, is->indexes[i].id);
    for (uint32_t i = 0; i < is->check_count && !more; i++)
        more = !has_check(was, is->checks[i].text);
    for (uint32_t i = 0; i < is->column_count && !more; i++)
        more = must_not_be_null(is, i) && !not_null_by_id(was, is->columns[i].id);
    /* A CHECK of the same text over columns that changed: one was dropped, or another took its name. */
    for (uint32_t i = 0; i < is->column_count && is->check_count > 0 && !more; i++)
        more = i >= was->column_count || was->columns[i].id != is->columns[i].id || strcmp(was->columns[i].name, is->columns[i].name) != 0 ||
               was->visible_count != is->visible_count;
    return more;
}

bool claim_differ(const struct table_def *was, const struct table_def *is)
{
    return claim_more(was, is) || claim_more(is, was);
}

/* ---- rows and claims ---- */

void claim_row_deinit(struct claim_row *r)
{
    buf_deinit(&r->record);
    arena_free_all(&r->arena);
    mem_free(r->values);
}

void claim_view_deinit(struct claim_view *v)
{
    claim_row_deinit(&v->other);
    if (v->started)
        map_deinit(&v->owners);
    arena_free_all(&v->arena);
    buf_deinit(&v->entry);
    buf_deinit(&v->hi);
}

static quartet_status birth_of(const struct table_def *t, struct claim_row *r, struct err *err)
{
    struct record_view view;
    struct slice record = slice_of(r->record.data, r->record.len);
    if (!record_view(record, &view))
        return err_set(err, QUARTET_CORRUPT, "damaged record in table %s", t->name);
    r->hidden = (view.flags & RECORD_HIDDEN) != 0;
    r->birth = view.ver;
    if ((view.flags & RECORD_SIMPLE) != 0)
        return QUARTET_OK;
    quartet_status rc = row_decode(record, &t->rows, &r->arena, &r->row, err);
    const struct row_life *first = rc == QUARTET_OK ? row_first_life(&r->row) : NULL;
    if (rc == QUARTET_OK && first == NULL)
        return err_set(err, QUARTET_CORRUPT, "damaged record in table %s", t->name);
    if (rc == QUARTET_OK)
        r->birth = first->birth;
    return rc;
}

quartet_status claim_row_read(struct claim_view *v, const struct table_def *t, struct slice key, struct claim_row *r, struct err *err)
{
    buf_clear(&r->record);
    arena_rewind(&r->arena, (struct arena_mark){0});
    r->live = r->hidden = false;
    quartet_status rc = kv_get(v->snap, NULL, t->id, key, &r->record, err);
    if (rc == QUARTET_NOTFOUND)
        return QUARTET_OK;
    if (rc == QUARTET_OK && r->cap < t->column_count) {
        struct value *grown = mem_realloc(r->values, t->column_count, sizeof *grown);
        if (grown == NULL)
            return err_nomem(err);
        r->values = grown;
        r->cap = t->column_count;
    }
    for (uint32_t i = 0; rc == QUARTET_OK && i < t->column_count; i++)
        r->values[i] = VALUE_NULL_INIT;
    if (rc == QUARTET_OK)
        rc = table_decode_hidden(t, key, slice_of(r->record.data, r->record.len), r->values, &r->arena, &r->live, err);
    return rc == QUARTET_OK && r->live ? birth_of(t, r, err) : rc;
}

quartet_status claim_value(const struct table_def *t, const struct index_def *ix, const struct value *values, struct slice key, struct buf *out, bool *none, struct err *err)
{
    *none = !index_claims(ix, values);
    if (*none)
        return QUARTET_OK;
    quartet_status rc = index_key(t, ix, values, key, out, err);
    if (rc == QUARTET_LIMIT) { /* it has no entry, on every node alike */
        err_clear(err);
        *none = true;
        return QUARTET_OK;
    }
    if (rc == QUARTET_OK)
        out->len -= key.n;
    return rc;
}

quartet_status claim_each(struct claim_view *v, const struct table_def *t, const struct index_def *ix, struct slice value, claim_fn each, void *arg, struct err *err)
{
    struct kv_want want = {.keys = true};
    struct kv_rows rows = {.n = 1};
    struct buf lo = {0}, hi = {0};
    kv_iter *it = NULL;
    buf_put(&lo, value.p, value.n); /* each() may change what the caller's points to */
    buf_put(&hi, value.p, value.n);
    struct kv_range range = {.lo = slice_of(lo.data, lo.len), .hi_open = !key_prefix_end(&hi)};
    range.hi = slice_of(hi.data, hi.len);
    quartet_status rc = lo.failed || hi.failed ? err_nomem(err) : kv_iter_open(v->snap, NULL, ix->id, &range, &want, &it, err);
    while (rc == QUARTET_OK && rows.n > 0) {
        rc = kv_iter_next(it, 0, &rows, err);
        for (uint32_t i = 0; rc == QUARTET_OK && i < rows.n; i++)
            rc = each(arg, t, slice_of(rows.keys[i].p + lo.len, rows.keys[i].n - lo.len), err);
    }
    kv_iter_close(it);
    buf_deinit(&lo);
    buf_deinit(&hi);
    return rc;
}

struct owner {
    struct claim_view *v;
    bool found;
    struct ver birth;
    struct slice key;
};

static quartet_status compare(void *arg, const struct table_def *t, struct slice key, struct err *err)
{
    struct owner *o = arg;
    struct claim_row *r = &o->v->other;
    quartet_status rc = claim_row_read(o->v, t, key, r, err);
    if (rc != QUARTET_OK || !r->live)
        return rc;
    int c = o->found ? ver_cmp(o->v->chains, r->birth, o->birth) : -1;
    if (o->found && plant_is(PLANT_CLAIM_LOCAL_ORDER))
        c = (int)o->birth.chain - (int)r->birth.chain;
    if (c > 0 || (c == 0 && slice_cmp(key, o->key) > 0))
        return QUARTET_OK;
    o->key = slice_of(arena_dup(&o->v->arena, key.p, key.n), key.n);
    o->birth = r->birth;
    o->found = true;
    return o->key.p == NULL ? arena_fail(&o->v->arena, err) : QUARTET_OK;
}

/* The key of the row that owns the value in v->entry; NULL: nobody claims it. */
static quartet_status owner_of(struct claim_view *v, const struct table_def *t, const struct index_def *ix, const struct slice **out, struct err *err)
{
    struct buf id = {0};
    struct owner o = {.v = v};
    if (!v->started)
        map_init(&v->owners, ix->id);
    v->started = true;
    buf_u64(&id, ix->id);
    buf_put(&id, v->entry.data, v->entry.len);
    quartet_status rc = buf_check(&id, err);
    *out = rc == QUARTET_OK ? map_get(&v->owners, id.data, id.len) : NULL;
    if (rc == QUARTET_OK && *out == NULL) {
        rc = claim_each(v, t, ix, slice_of(v->entry.data, v->entry.len), compare, &o, err);
        struct slice *kept = rc == QUARTET_OK && o.found ? arena_dup(&v->arena, &o.key, sizeof o.key) : NULL;
        if (rc == QUARTET_OK && o.found)
            rc = kept == NULL ? arena_fail(&v->arena, err) : map_put(&v->owners, id.data, id.len, kept, err);
        *out = kept;
    }
    buf_deinit(&id);
    return rc;
}

quartet_status claim_why(struct claim_view *v, const struct table_def *t, struct claim_tests *tests, struct slice key, const struct claim_row *row,
                         struct claim_reason *out, struct err *err)
{
    *out = (struct claim_reason){0};
    quartet_status rc = QUARTET_OK;
    if (t->dropped || !row->live)
        return rc;
    if (tests != NULL)
        rc = claim_test(tests, row->values, &out->column, &out->check, err);
    if (out->column != NULL || out->check != NULL)
        return rc;
    for (uint32_t i = 0; i < t->index_count && rc == QUARTET_OK; i++) {
        const struct index_def *ix = &t->indexes[i];
        const struct slice *owner = NULL;
        bool none;
        if (!ix->unique)
            continue;
        rc = claim_value(t, ix, row->values, key, &v->entry, &none, err);
        if (rc == QUARTET_OK && !none)
            rc = owner_of(v, t, ix, &owner, err);
        if (rc != QUARTET_OK || owner == NULL || slice_eq(*owner, key))
            continue;
        out->index = ix;
        out->owner = *owner;
        break;
    }
    return rc;
}

/* ---- readers ---- */

quartet_status claim_note_table(txn *t, const struct table_def *table, struct err *err)
{
    static const struct key_column id_key = {.kind = KEY_INT, .type = VALUE_INTEGER};
    struct value id = value_int((int64_t)table->id);
    struct buf lo = {0}, hi = {0};
    if (t->reads_unneeded)
        return QUARTET_OK;
    key_put(&lo, &id_key, &id);
    buf_put(&hi, lo.data, lo.len);
    struct kv_range range = {.lo = slice_of(lo.data, lo.len), .hi_open = !key_prefix_end(&hi)};
    range.hi = slice_of(hi.data, hi.len);
    quartet_status rc = lo.failed || hi.failed ? err_nomem(err) : txn_note_range(t, SYS_QUARANTINE, &range, err);
    buf_deinit(&lo);
    buf_deinit(&hi);
    return rc;
}

quartet_status claim_is_hidden(txn *t, const struct table_def *table, struct slice key, bool *hidden, struct err *err)
{
    *hidden = false;
    if (!claim_possible(t->d, t->snap_at))
        return QUARTET_OK;
    buf_clear(&t->record);
    quartet_status rc = kv_get(t->snap, NULL, table->id, key, &t->record, err);
    *hidden = rc == QUARTET_OK && t->record.len > 0 && (t->record.data[0] & RECORD_HIDDEN) != 0;
    return rc == QUARTET_NOTFOUND ? QUARTET_OK : rc;
}

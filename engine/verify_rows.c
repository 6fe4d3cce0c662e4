/* verify_rows.c - what the trees of a base say of each other: the catalog, rows and index entries, state hashes.
 * Why on the base alone: it and its checkpoint are one state; what the log holds beyond it is not applied, only read (verify_log.c).
 * Invariants: called after verify_base found no damaged page. What a crash cut off of a flush is read from its journal, as at any opening. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "apply.h"
#include "base/mem.h"
#include "catalog_build.h"
#include "claim.h"
#include "txn_internal.h"
#include "types.h"
#include "verify.h"

struct rows {
    struct verify *v;
    db *d; /* not an open database: what its checkpoint holds */
    kv *store;
    kv_snap *snap;
    struct catalog *catalog;
    const struct table_def *t;
    struct arena arena;
    struct value *values;
    struct state_hash hash, hidden;
    uint64_t hidden_count, listed; /* quarantined rows: of the table, of all up to here */
    struct claim_view claims;
    struct claim_row claimer;
    struct claim_tests *tests;
    uint64_t *entries; /* that the rows ask for, by index */
    const struct index_def *ix;
    struct buf key, scratch, record;
    struct buf last;      /* the entry before, of one index */
    size_t last_prefix;   /* 0: none */
    uint64_t found;
    struct err *err;
};

static void finding(struct rows *r, tree_id tree, struct slice key, const char *what)
{
    verify_add(r->v, "base.mdb", -1, tree, key, "%.250s", what);
}

static quartet_status walk(struct rows *r, tree_id tree, bool records, quartet_status (*each)(struct rows *r, struct slice key, struct slice record))
{
    struct kv_range all = {.hi_open = true};
    struct kv_want want = {.keys = true, .records = records, .dead = records};
    kv_iter *it = NULL;
    quartet_status rc = kv_iter_open(r->snap, NULL, tree, &all, &want, &it, r->err);
    while (rc == QUARTET_OK) {
        struct kv_rows rows;
        rc = kv_iter_next(it, 0, &rows, r->err);
        if (rc != QUARTET_OK || rows.n == 0)
            break;
        for (uint32_t i = 0; i < rows.n && rc == QUARTET_OK; i++)
            rc = each(r, rows.keys[i], records ? rows.records[i] : (struct slice){0});
    }
    kv_iter_close(it);
    if (rc == QUARTET_CORRUPT) { /* the block itself was named before */
        if (r->v->found == 0)
            finding(r, tree, (struct slice){0}, r->err->text);
        err_clear(r->err);
        r->v->unread = true; /* what can no longer be read is not compared */
        rc = QUARTET_OK;
    }
    return rc;
}

/* Is there the entry that this row asks for? */
static quartet_status check_entry(struct rows *r, uint32_t i, struct slice key)
{
    const struct index_def *ix = &r->t->indexes[i];
    if (!index_holds(ix, r->values))
        return QUARTET_OK;
    struct err why = ERR_INIT;
    quartet_status rc = index_key(r->t, ix, r->values, key, &r->scratch, &why);
    if (rc == QUARTET_LIMIT)
        return QUARTET_OK; /* such a row stays out of it */
    if (rc == QUARTET_OK) {
        r->entries[i]++;
        buf_clear(&r->record);
        rc = kv_get(r->snap, NULL, ix->id, slice_of(r->scratch.data, r->scratch.len), &r->record, &why);
    }
    if (rc == QUARTET_NOTFOUND) {
        char text[256];
        snprintf(text, sizeof text, "index %.100s has no entry of this row", ix->name);
        finding(r, r->t->id, key, text);
        return QUARTET_OK;
    }
    if (rc != QUARTET_OK)
        *r->err = why;
    return rc;
}

/* A row that is marked as quarantined: does it break anything? */
static quartet_status check_hidden(struct rows *r, struct slice key, struct state_hash hash)
{
    struct claim_reason why;
    struct err wrong = ERR_INIT;
    r->hidden_count++;
    state_hash_add(&r->hidden, hash);
    quartet_status rc = r->tests == NULL && claim_tested(r->t) ? claim_tests_new(r->catalog, r->t, &r->tests, &wrong) : QUARTET_OK;
    if (rc == QUARTET_OK)
        rc = claim_row_read(&r->claims, r->t, key, &r->claimer, &wrong);
    if (rc == QUARTET_OK)
        rc = claim_why(&r->claims, r->t, r->tests, key, &r->claimer, &why, &wrong);
    if (rc == QUARTET_OK && !r->d->rebuild && why.column == NULL && why.check == NULL && why.index == NULL)
        finding(r, r->t->id, key, "the row is marked as quarantined, and breaks no constraint");
    if (rc == QUARTET_CORRUPT)
        finding(r, r->t->id, key, wrong.text);
    else if (rc != QUARTET_OK)
        *r->err = wrong;
    return rc == QUARTET_CORRUPT ? QUARTET_OK : rc;
}

/* A row that is not marked: does it break a test? (Who has a value is looked at in the order of the index.) */
static quartet_status check_shown(struct rows *r, struct slice key)
{
    const struct column_def *column = NULL;
    const struct check_def *check = NULL;
    if (!claim_tested(r->t) || r->d->rebuild)
        return QUARTET_OK;
    quartet_status rc = r->tests == NULL ? claim_tests_new(r->catalog, r->t, &r->tests, r->err) : QUARTET_OK;
    if (rc == QUARTET_OK)
        rc = claim_test(r->tests, r->values, &column, &check, r->err);
    if (rc == QUARTET_OK && (column != NULL || check != NULL))
        finding(r, r->t->id, key, "the row breaks a constraint, and is not marked as quarantined");
    return rc;
}

/* A row that shares a value with another one: is it marked if that is the other's? */
static quartet_status check_claimer(struct rows *r, struct slice key)
{
    struct claim_reason why;
    struct err wrong = ERR_INIT;
    quartet_status rc = claim_row_read(&r->claims, r->t, key, &r->claimer, &wrong);
    if (rc == QUARTET_OK)
        rc = claim_why(&r->claims, r->t, NULL, key, &r->claimer, &why, &wrong);
    if (rc == QUARTET_OK && why.index != NULL && !r->claimer.hidden)
        finding(r, r->t->id, key, "the row's UNIQUE value is another's, and it is not marked as quarantined");
    if (rc == QUARTET_CORRUPT)
        finding(r, r->t->id, key, wrong.text);
    else if (rc != QUARTET_OK)
        *r->err = wrong;
    return rc == QUARTET_CORRUPT ? QUARTET_OK : rc;
}

static quartet_status check_row(struct rows *r, struct slice key, struct slice record)
{
    struct err why = ERR_INIT;
    struct row row;
    bool live = false;
    arena_rewind(&r->arena, (struct arena_mark){0});
    r->values = arena_zalloc(&r->arena, r->t->column_count + 1u, sizeof *r->values);
    if (r->values == NULL)
        return arena_fail(&r->arena, r->err);
    r->v->rows++;
    quartet_status rc = table_decode_hidden(r->t, key, record, r->values, &r->arena, &live, &why);
    if (rc == QUARTET_OK)
        rc = row_decode(record, &r->t->rows, &r->arena, &row, &why);
    if (rc == QUARTET_CORRUPT) {
        finding(r, r->t->id, key, why.text);
        return QUARTET_OK;
    }
    if (rc != QUARTET_OK) {
        *r->err = why;
        return rc;
    }
    struct state_hash hash = {0};
    if (row_live(&row))
        hash = row_hash(&row, &r->t->rows, r->t->record_ids, r->t->id, key, &r->d->chains, &r->scratch);
    state_hash_add(&r->hash, hash);
    if (r->scratch.failed)
        return err_nomem(r->err);
    if (live && (record.p[0] & RECORD_HIDDEN) != 0)
        rc = check_hidden(r, key, hash);
    else if (live)
        rc = check_shown(r, key);
    for (uint32_t i = 0; rc == QUARTET_OK && live && !r->v->unread && i < r->t->index_count; i++)
        rc = check_entry(r, i, key);
    return rc;
}

/* An entry of the list of quarantined rows: is its row there, and marked? */
static quartet_status check_listed(struct rows *r, struct slice entry, struct slice record)
{
    static const struct key_column id_key = {.kind = KEY_INT, .type = VALUE_INTEGER}, raw_key = {.kind = KEY_BYTES, .type = VALUE_BLOB};
    struct bytes_in in = bytes_in(entry.p, entry.n);
    struct value table, key;
    (void)record;
    r->found++;
    arena_rewind(&r->arena, (struct arena_mark){0});
    if (!key_get(&in, &id_key, &table, &r->arena) || !key_get(&in, &raw_key, &key, &r->arena) || table.type != VALUE_INTEGER || key.type != VALUE_BLOB) {
        finding(r, SYS_QUARANTINE, entry, "a damaged key");
        return QUARTET_OK;
    }
    buf_clear(&r->record);
    quartet_status rc = kv_get(r->snap, NULL, (tree_id)table.i, key.s, &r->record, r->err);
    if (rc == QUARTET_NOTFOUND || (rc == QUARTET_OK && (r->record.len == 0 || (r->record.data[0] & RECORD_HIDDEN) == 0))) {
        finding(r, SYS_QUARANTINE, entry, "a row that is not there, or is not marked as quarantined");
        rc = QUARTET_OK;
    }
    return rc;
}

static void wrong_key(void *arg, struct slice key, bool listed)
{
    finding(arg, SYS_BROKEN, key, listed ? "the key is listed as broken, and rows say otherwise" : "the key is referenced, no row in sight gives it, and it is not listed as broken");
}

/* The lists of what is out of sight, against the rows. */
static quartet_status check_lists(struct rows *r)
{
    r->found = 0;
    r->t = NULL;
    if (r->v->unread || r->d->rebuild) /* the next opening derives them anew */
        return QUARTET_OK;
    quartet_status rc = walk(r, SYS_QUARANTINE, false, check_listed);
    if (rc == QUARTET_OK && !r->v->unread && r->found != r->listed)
        finding(r, SYS_QUARANTINE, (struct slice){0}, "the list of quarantined rows is not that of the rows that are marked so");
    if (rc == QUARTET_OK && !r->v->unread)
        rc = apply_orphans_check(r->d, r->catalog, wrong_key, r, r->err);
    return rc;
}

/* An entry whose row is not there, or has other values. */
static quartet_status check_stray(struct rows *r, struct slice entry, struct slice record)
{
    (void)record;
    r->v->entries++;
    r->found++;
    size_t prefix = index_prefix(r->ix, entry);
    struct slice key = slice_of(entry.p + prefix, entry.n - prefix);
    struct err why = ERR_INIT;
    bool live = false;
    arena_rewind(&r->arena, (struct arena_mark){0});
    r->values = arena_zalloc(&r->arena, r->t->column_count + 1u, sizeof *r->values);
    if (r->values == NULL)
        return arena_fail(&r->arena, r->err);
    buf_clear(&r->record);
    quartet_status rc = kv_get(r->snap, NULL, r->t->id, key, &r->record, &why);
    if (rc == QUARTET_OK)
        rc = table_decode_hidden(r->t, key, slice_of(r->record.data, r->record.len), r->values, &r->arena, &live, &why);
    if (rc == QUARTET_OK && live)
        rc = index_key(r->t, r->ix, r->values, key, &r->scratch, &why);
    if (rc == QUARTET_NOMEM)
        return err_nomem(r->err);
    if (rc != QUARTET_OK || !live)
        finding(r, r->ix->id, entry, "an entry whose row is not there");
    else if (!index_holds(r->ix, r->values))
        finding(r, r->ix->id, entry, "an entry of a row that the WHERE of the index leaves out");
    else if (!slice_eq(slice_of(r->scratch.data, r->scratch.len), entry))
        finding(r, r->ix->id, entry, "an entry of values that its row does not have");
    bool shared = r->ix->unique && !r->d->rebuild && prefix == r->last_prefix && memcmp(entry.p, r->last.data, prefix) == 0; /* by NULLs, too, which claim nothing */
    rc = shared ? check_claimer(r, slice_of(r->last.data + prefix, r->last.len - prefix)) : QUARTET_OK;
    if (rc == QUARTET_OK && shared)
        rc = check_claimer(r, key);
    buf_clear(&r->last);
    buf_put(&r->last, entry.p, entry.n);
    r->last_prefix = prefix;
    return rc == QUARTET_OK ? buf_check(&r->last, r->err) : rc;
}

static quartet_status check_table(struct rows *r)
{
    struct table_state *s = db_table(r->d, r->t->id, r->err);
    quartet_status rc = s == NULL ? QUARTET_NOMEM : QUARTET_OK;
    r->hash = r->hidden = (struct state_hash){0};
    r->hidden_count = 0;
    r->claims = (struct claim_view){.snap = r->snap, .chains = &r->d->chains};
    r->entries = mem_zalloc(r->t->index_count + 1u, sizeof *r->entries);
    if (rc == QUARTET_OK && r->entries == NULL)
        rc = err_nomem(r->err);
    if (rc == QUARTET_OK && !system_is_local(r->t->id))
        rc = walk(r, r->t->id, true, check_row);
    r->v->tables++;
    if (rc == QUARTET_OK && !r->v->unread && (r->hash.lo != s->hash.lo || r->hash.hi != s->hash.hi))
        finding(r, r->t->id, (struct slice){0}, "the state hash of its rows is not the stored one");
    if (rc == QUARTET_OK && !r->v->unread && !r->d->rebuild && (r->hidden_count != s->hidden_count || r->hidden.lo != s->hidden.lo || r->hidden.hi != s->hidden.hi))
        finding(r, r->t->id, (struct slice){0}, "its quarantined rows are not those that the checkpoint tells of");
    r->listed += r->hidden_count;
    for (uint32_t i = 0; rc == QUARTET_OK && i < r->t->index_count; i++) {
        r->ix = &r->t->indexes[i];
        r->found = 0;
        r->last_prefix = 0;
        r->v->indexes++;
        if (!r->v->unread)
            rc = walk(r, r->ix->id, false, check_stray);
        if (rc == QUARTET_OK && !r->v->unread && r->found != r->entries[i]) {
            char text[128];
            snprintf(text, sizeof text, "%llu entries for %llu rows", (unsigned long long)r->found, (unsigned long long)r->entries[i]);
            finding(r, r->ix->id, (struct slice){0}, text);
        }
    }
    mem_free(r->entries);
    r->entries = NULL;
    claim_tests_free(r->tests);
    r->tests = NULL;
    claim_view_deinit(&r->claims);
    r->claims = (struct claim_view){0};
    return rc;
}

/* ---- names instead of numbers ---- */

static void name_key(struct verify_finding *f, const struct key_column *columns, uint32_t count, struct arena *a)
{
    struct bytes_in in = bytes_in(f->raw_key, f->raw_key_bytes);
    struct buf text = {0};
    for (uint32_t i = 0; i < count; i++) {
        struct value v;
        if (!key_get(&in, &columns[i], &v, a))
            break;
        buf_str(&text, i > 0 ? ", " : "");
        value_to_literal(&v, &text);
    }
    if (!in.bad && !text.failed && text.len > 0)
        snprintf(f->key, sizeof f->key, "%.*s", (int)(text.len < sizeof f->key - 1 ? text.len : sizeof f->key - 1), (const char *)text.data);
    buf_deinit(&text);
}

static void name_finding(const struct catalog *c, struct verify_finding *f, struct arena *a)
{
    const struct table_def *t;
    for (uint32_t i = 0; f->tree != 0 && (t = catalog_at_id(c, i)) != NULL; i++) {
        if (t->id == f->tree) {
            snprintf(f->table, sizeof f->table, "table %.100s", t->name);
            if (f->raw_key_bytes > 0 && !t->hidden_key)
                name_key(f, t->keys, t->key_count, a);
            return;
        }
        for (uint32_t k = 0; k < t->index_count; k++)
            if (t->indexes[k].id == f->tree) {
                snprintf(f->table, sizeof f->table, "index %.50s of table %.50s", t->indexes[k].name, t->name);
                if (f->raw_key_bytes > 0)
                    name_key(f, t->indexes[k].keys, t->indexes[k].column_count, a);
                return;
            }
    }
}

/* ---- the stage ---- */

static void stage_free(struct rows *r)
{
    struct map_entry *e;
    db *d = r->d;
    catalog_unref(r->catalog);
    kv_release(r->snap);
    kv_close(r->store);
    arena_free_all(&r->arena);
    claim_row_deinit(&r->claimer);
    buf_deinit(&r->last);
    buf_deinit(&r->key);
    buf_deinit(&r->scratch);
    buf_deinit(&r->record);
    if (d == NULL)
        return;
    for (uint32_t i = 0; i < d->state_count; i++)
        chain_state_free(d->state[i]);
    mem_free(d->state);
    for (size_t i = 0; (e = map_at(&d->tables, &i)) != NULL;)
        mem_free(e->value);
    map_deinit(&d->tables);
    mem_free(d->owns);
    buf_deinit(&d->purge.vector);
    chain_table_deinit(&d->chains);
    vv_deinit(&d->applied);
    vv_deinit(&d->durable);
    pthread_mutex_destroy(&d->tables_lock);
    mem_free(d);
}

static quartet_status stage(struct rows *r, struct env *env)
{
    struct kv_options options = {0};
    struct buf checkpoint = {0};
    log_pos from;
    db *d = mem_zalloc(1, sizeof *d);
    if (d == NULL)
        return err_nomem(r->err);
    if (pthread_mutex_init(&d->tables_lock, NULL) != 0) {
        mem_free(d);
        return err_nomem(r->err);
    }
    r->d = d;
    d->env = env;
    map_init(&d->tables, 1);
    quartet_status rc = kv_open(env, r->v->dir, &options, NULL, &r->store, &checkpoint, r->err);
    d->store = r->store; /* for who asks what is broken */
    if (rc == QUARTET_OK)
        rc = db_checkpoint_read(d, slice_of(checkpoint.data, checkpoint.len), &from, r->err);
    buf_deinit(&checkpoint);
    if (rc == QUARTET_OK)
        rc = kv_snapshot_latest(r->store, &r->snap, r->err);
    struct catalog_source src = {.snap = r->snap, .chains = &d->chains};
    return rc == QUARTET_OK ? catalog_read(&src, 1, &r->catalog, r->err) : rc;
}

quartet_status verify_rows(struct verify *v, struct err *err)
{
    struct env env = *v->env;
    struct rows r = {.v = v, .err = err};
    char lock[4200];
    env.threads = false; /* nothing is flushed, so nobody is needed who does it */
    quartet_status rc = path_join(lock, sizeof lock, v->dir, "base.mdb-lock", err);
    if (rc != QUARTET_OK)
        return rc;
    bool had_lock = v->env->ops->exists(v->env, lock);
    rc = stage(&r, &env);
    if (rc == QUARTET_CORRUPT || rc == QUARTET_CANTOPEN) {
        finding(&r, 0, (struct slice){0}, err->text);
        err_clear(err);
        v->unread = true; /* nothing could be compared */
        rc = QUARTET_OK;
    }
    for (uint32_t i = 0; rc == QUARTET_OK && r.catalog != NULL && (r.t = catalog_at_id(r.catalog, i)) != NULL; i++)
        rc = check_table(&r);
    if (rc == QUARTET_OK && r.catalog != NULL)
        rc = check_lists(&r);
    arena_rewind(&r.arena, (struct arena_mark){0});
    for (size_t i = 0; r.catalog != NULL && i < v->count; i++)
        name_finding(r.catalog, &v->findings[i], &r.arena);
    stage_free(&r);
    if (!had_lock) {
        struct err ignored = ERR_INIT; /* a backup stays as it was; a lock file more is no harm */
        (void)v->env->ops->unlink(v->env, lock, &ignored);
    }
    return rc;
}

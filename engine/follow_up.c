/* follow_up.c - ON DELETE and ON UPDATE for children that the DELETE, or the UPDATE of a UNIQUE value, had not seen: they were written elsewhere meanwhile, and are orphans
 *   on all nodes.
 * Who: the node whose DELETE it was. apply_orphans.c writes down at that node that a key is owed (SYS_FOLLOW_UPS), with the change that breaks the key; so what is to
 *   be done is part of the state, and is found again after a crash, by whichever run of the node.
 * How: an ordinary transaction that deletes or sets the rows, with triggers, foreign keys and checks, as the DELETE would have done had it seen them. It replicates, can be
 *   overridden, and where two nodes do it both (each deleted the row) nothing differs. What hangs on a row that goes is owed then in its turn.
 * What cannot be done (RESTRICT, NO ACTION; a NOT NULL column that would be set to NULL) stays in quarantine, and is looked at again when more children come.
 * A UNIQUE value: the row that lost it last by this node's doing (given_up.c) is asked what it has now. Has it another value, ON UPDATE follows; is it gone, ON DELETE.
 * Not here: which keys are owed, and when they are no more (apply_orphans.c). */
#include "base/env.h"
#include "base/log.h"
#include "exec.h"
#include "given_up.h"
#include "orphan.h"
#include "plan.h"

#define FOLLOW_UP_ROWS_MAX 1000u           /* of one transaction */
#define FOLLOW_UP_RETRY_NS 1000000000ull   /* after a failure */

struct following {
    db *d;
    txn *t;
    uint32_t rows, room; /* written; that may be still */
    bool more;
    struct arena a;      /* of one link's rows */
    struct orphan_key key;
    struct err *err;
};

struct action { /* what is to be done with the children of one key */
    uint8_t code;               /* AST_FK_... */
    bool update;                /* it is ON UPDATE's: CASCADE sets the parent's values */
    const struct value *parent; /* by its columns */
};

struct child_keys {
    struct slice *item;
    uint32_t count;
};

/* The rows that reference the key by this link and are out of sight; as many as there is room for. */
static quartet_status find_children(struct following *f, const struct fk_link *l, struct slice key, struct slice raw, struct child_keys *out)
{
    uint32_t n = l->child->column_count, *columns = arena_alloc(&f->a, (n + 1u) * sizeof *columns);
    struct value *v = arena_zalloc(&f->a, l->count, sizeof *v), *row = arena_zalloc(&f->a, n + 1u, sizeof *row);
    struct key_bound bound = {.prefix = v, .prefix_count = l->count};
    table_scan *s = NULL;
    bool never = false;
    out->item = arena_zalloc(&f->a, FOLLOW_UP_ROWS_MAX, sizeof *out->item);
    out->count = 0;
    if (columns == NULL || v == NULL || row == NULL || out->item == NULL)
        return arena_fail(&f->a, f->err);
    for (uint32_t i = 0; i < n; i++)
        columns[i] = i;
    struct scan_want want = {.columns = columns, .column_count = n, .keys = true, .orphans = true};
    quartet_status rc = l->seeks ? orphan_child_values(l, raw, v, &never, &f->a, f->err) : QUARTET_OK;
    if (rc == QUARTET_OK && !never)
        rc = table_scan_open(f->t, l->child, l->seeks ? l->index : NULL, l->seeks ? &bound : NULL, &want, &s, f->err);
    struct batch b = {.n = s != NULL ? 1 : 0};
    while (rc == QUARTET_OK && b.n > 0 && !f->more) {
        rc = table_scan_next(s, 0, &b, f->err);
        for (uint32_t r = 0; rc == QUARTET_OK && r < b.n && !f->more; r++) {
            enum orphan_ref ref;
            for (uint32_t i = 0; i < n; i++)
                row[i] = vec_get(&b.cols[i], batch_row(&b, r));
            rc = orphan_reference(l, row, b.keys[r], &f->key, &ref, f->err);
            if (rc != QUARTET_OK || ref != ORPHAN_KEY || !slice_eq(key, slice_of(f->key.key.data, f->key.key.len)))
                continue;
            f->more = out->count == f->room;
            if (f->more)
                break;
            out->item[out->count] = slice_of(arena_dup(&f->a, b.keys[r].p, b.keys[r].n), b.keys[r].n);
            if (out->item[out->count++].p == NULL)
                rc = arena_fail(&f->a, f->err);
        }
    }
    table_scan_close(s);
    return rc;
}

static quartet_status write_children(struct following *f, const struct fk_link *l, const struct action *act, const struct child_keys *rows)
{
    struct keyed_write k = {.table = l->child};
    struct arena a = {0};
    plan *p = NULL;
    bool sets = act->code != AST_FK_CASCADE || act->update;
    struct value *params = arena_zalloc(&a, l->count + 1u, sizeof *params);
    if (params == NULL)
        return arena_fail(&a, f->err);
    if (sets) {
        k.columns = l->columns;
        k.count = l->count;
        k.defaults = act->code == AST_FK_SET_DEFAULT;
    }
    for (uint32_t i = 0; i < l->count; i++)
        params[1 + i] = act->code == AST_FK_CASCADE && act->update ? act->parent[l->parent_columns[i]] : VALUE_NULL_INIT;
    uint32_t param_count = sets && act->code == AST_FK_CASCADE ? 1 + l->count : 1;
    struct exec_limits limits = {0};
    quartet_status rc = plan_build_keyed(f->t->catalog, &k, &a, &p, f->err);
    for (uint32_t i = 0; i < rows->count && rc == QUARTET_OK; i++) {
        struct batch none = {.n = 1};
        struct txn_nested saved;
        exec *e = NULL;
        params[0] = (struct value){.type = VALUE_BLOB, .s = rows->item[i]};
        rc = txn_nested_begin(f->t, &saved, f->err);
        if (rc == QUARTET_OK)
            rc = exec_open(p, f->t, params, param_count, &limits, &e, f->err);
        while (rc == QUARTET_OK && none.n > 0)
            rc = exec_next(e, &none, f->err);
        exec_close(e);
        txn_nested_end(f->t, &saved);
    }
    plan_free(p);
    arena_free_all(&a);
    return rc;
}

/* What became of the row that gave this UNIQUE value? Nothing is to be done where that is not known, or where it still has the value, out of sight. */
static quartet_status unique_action(struct following *f, const struct fk_link *l, struct slice key, struct arena *a, struct action *out)
{
    struct orphan_key gives = {0};
    struct slice row_key;
    hlc_stamp at;
    bool found = false, none = true;
    struct value *values = arena_zalloc(a, l->parent->column_count, sizeof *values);
    if (values == NULL)
        return arena_fail(a, f->err);
    quartet_status rc = given_up_find(f->t->snap, f->d->identity.slot, key, &at, &row_key, a, f->err);
    if (rc != QUARTET_OK || at == 0)
        return rc;
    rc = table_get_any(f->t, l->parent, row_key, values, a, &found, f->err);
    if (rc == QUARTET_OK && found)
        rc = orphan_given(l, values, row_key, &gives, &none, f->err);
    if (rc == QUARTET_OK && !found)
        out->code = l->fk->on_delete;
    else if (rc == QUARTET_OK && (none || !slice_eq(slice_of(gives.key.data, gives.key.len), key)))
        *out = (struct action){.code = l->fk->on_update, .update = true, .parent = values};
    orphan_key_deinit(&gives);
    return rc;
}

/* One foreign key's children, as one statement: all of them, or none where a constraint stands in the way. */
static quartet_status follow_link(struct following *f, const struct fk_link *l, struct slice key, struct slice raw)
{
    struct child_keys rows;
    struct action what = {.code = l->key == NULL ? l->fk->on_delete : AST_FK_NO_ACTION};
    if (f->more)
        return QUARTET_OK;
    arena_rewind(&f->a, (struct arena_mark){0});
    quartet_status rc = txn_statement_begin(f->t, f->err);
    if (rc == QUARTET_OK && l->key != NULL)
        rc = unique_action(f, l, key, &f->a, &what);
    if (rc != QUARTET_OK || (what.code != AST_FK_CASCADE && what.code != AST_FK_SET_NULL && what.code != AST_FK_SET_DEFAULT))
        return rc;
    if (rc == QUARTET_OK)
        rc = find_children(f, l, key, raw, &rows);
    if (rc != QUARTET_OK || rows.count == 0)
        return rc;
    rc = write_children(f, l, &what, &rows);
    if (rc == QUARTET_CONSTRAINT || rc == QUARTET_MISMATCH || rc == QUARTET_ERROR) {
        log_line(f->d->env, LOG_WARN, "db", "%s does not follow on %u rows of %s that another node wrote meanwhile, they stay in quartet_quarantine: %s",
                 what.update ? "ON UPDATE" : "ON DELETE", rows.count, l->child->name, f->err->text);
        err_clear(f->err);
        txn_statement_rollback(f->t);
        return QUARTET_OK;
    }
    f->rows += rows.count;
    f->room -= rows.count;
    return rc;
}

static quartet_status follow_key(struct following *f, struct slice key)
{
    struct arena own = {0};
    tree_id table, index;
    struct slice raw;
    const struct fk_link *const *in;
    if (!orphan_split(key, &table, &index, &raw, &own)) {
        arena_free_all(&own);
        return err_set(f->err, QUARTET_CORRUPT, "a damaged key in quartet_follow_ups");
    }
    uint32_t n = catalog_links_in(f->t->catalog, table, &in);
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++)
        if ((in[i]->key != NULL ? in[i]->key->id : 0) == index)
            rc = follow_link(f, in[i], key, raw);
    arena_free_all(&own);
    return rc;
}

static quartet_status follow_all(struct following *f)
{
    struct kv_range all = {.hi_open = true};
    struct kv_want want = {.keys = true};
    struct kv_rows rows = {.n = 1};
    kv_iter *it = NULL;
    quartet_status rc = kv_iter_open(f->t->snap, NULL, SYS_FOLLOW_UPS, &all, &want, &it, f->err);
    while (rc == QUARTET_OK && rows.n > 0 && !f->more) {
        rc = kv_iter_next(it, 0, &rows, f->err);
        for (uint32_t i = 0; rc == QUARTET_OK && i < rows.n && !f->more; i++)
            rc = follow_key(f, rows.keys[i]);
    }
    kv_iter_close(it);
    return rc;
}

quartet_status db_follow_up(db *d, uint64_t *rows, struct err *err)
{
    struct following f = {.d = d, .room = FOLLOW_UP_ROWS_MAX, .err = err};
    *rows = 0;
    atomic_store(&d->follow_due, false); /* before it is looked at: what comes from here on is looked at again */
    quartet_status rc = txn_begin(d, &f.t, err);
    if (rc == QUARTET_OK)
        rc = follow_all(&f);
    if (rc == QUARTET_OK && f.rows > 0)
        rc = txn_commit(f.t, err);
    else
        txn_rollback(f.t);
    arena_free_all(&f.a);
    orphan_key_deinit(&f.key);
    if (rc != QUARTET_OK || f.more)
        atomic_store(&d->follow_due, true);
    *rows = rc == QUARTET_OK ? f.rows : 0;
    return rc;
}

void db_follow_up_tick(db *d)
{
    struct err err = ERR_INIT;
    uint64_t rows, now = d->env->ops->mono_ns(d->env);
    if (!atomic_load(&d->follow_due) || now < d->follow_after_ns)
        return;
    pthread_mutex_lock(&d->commit_lock);
    bool may = d->identity.member && d->can_sign && !d->fenced && db_writable(d, &err) == QUARTET_OK;
    pthread_mutex_unlock(&d->commit_lock);
    quartet_status rc = may ? db_follow_up(d, &rows, &err) : QUARTET_OK;
    d->follow_after_ns = !may || (rc != QUARTET_OK && rc != QUARTET_SERIALIZATION) ? now + FOLLOW_UP_RETRY_NS : 0;
    if (rc != QUARTET_OK && rc != QUARTET_SERIALIZATION)
        log_line(d->env, LOG_WARN, "db", "ON DELETE and ON UPDATE could not follow up: %s", err.text);
}

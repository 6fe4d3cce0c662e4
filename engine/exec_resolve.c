/* exec_resolve.c - RESOLVE CONFLICT id USING LOSER | WINNER: the value that lost is written back, as a new write that comes after both.
 * Why an ordinary write: it replicates, is validated, and can be overridden or taken back like any other; that the conflict is settled is a row of a replicated
 *   table beside it, so that every node's quartet_conflicts tells so.
 * Not here: what a conflict is (apply_conflicts.c). */
#include <string.h>

#include "base/env.h"
#include "exec_write.h"
#include "txn_internal.h"

struct xresolve {
    struct xnode x;
    bool done;
    struct arena a;
};

/* The entry, all columns; texts and bytes in the arena. */
static quartet_status find_conflict(struct xresolve *x, int64_t id, struct value *row, bool *found, struct err *err)
{
    struct exec *e = x->x.run->e;
    const struct table_def *log = catalog_table_by_id(txn_catalog(e->t), SYS_CONFLICTS);
    uint32_t columns[CONFLICT_COLUMNS];
    for (uint32_t i = 0; i < CONFLICT_COLUMNS; i++)
        columns[i] = i;
    struct scan_want want = {.columns = columns, .column_count = CONFLICT_COLUMNS};
    table_scan *s = NULL;
    quartet_status rc = table_scan_open(e->t, log, NULL, NULL, &want, &s, err);
    *found = false;
    while (rc == QUARTET_OK && !*found) {
        struct batch b;
        rc = exec_check(e, err);
        if (rc == QUARTET_OK)
            rc = table_scan_next(s, 0, &b, err);
        if (rc != QUARTET_OK || b.n == 0)
            break;
        for (uint32_t r = 0; r < b.n && rc == QUARTET_OK && !*found; r++) {
            if (vec_get(&b.cols[CONFLICT_ID], batch_row(&b, r)).i != id)
                continue;
            *found = true;
            for (uint32_t i = 0; i < CONFLICT_COLUMNS && rc == QUARTET_OK; i++) {
                row[i] = vec_get(&b.cols[i], batch_row(&b, r));
                rc = value_copy(&x->a, &row[i]) ? QUARTET_OK : arena_fail(&x->a, err);
            }
        }
    }
    table_scan_close(s);
    return rc;
}

static int32_t column_by_id(const struct table_def *t, int64_t id)
{
    for (uint32_t i = 0; i < t->visible_count; i++)
        if (t->columns[i].id == id && t->columns[i].key_at < 0)
            return (int32_t)i;
    return -1;
}

static quartet_status write_back(struct xresolve *x, const struct value *conflict, struct err *err)
{
    struct exec *e = x->x.run->e;
    const struct table_def *t = catalog_table_by_id(txn_catalog(e->t), (tree_id)conflict[CONFLICT_TABLE_ID].i);
    struct slice name = conflict[CONFLICT_TABLE_NAME].s, column = conflict[CONFLICT_COLUMN_NAME].s;
    if (t == NULL || t->dropped)
        return err_set(err, QUARTET_ERROR, "table %.*s was dropped: there is nothing to write the value to", (int)name.n, (const char *)name.p);
    if (conflict[CONFLICT_COLUMN_ID].i < 0)
        return err_set(err, QUARTET_ERROR, "this row of table %s was quarantined by %.*s: UPDATE or DELETE it in quartet_quarantine if it still is, or resolve the conflict USING WINNER",
                       t->name, (int)column.n, (const char *)column.p);
    int32_t at = column_by_id(t, conflict[CONFLICT_COLUMN_ID].i);
    if (at < 0)
        return err_set(err, QUARTET_ERROR, "column %.*s of table %s was dropped: there is nothing to write the value to", (int)column.n,
                       (const char *)column.p, t->name);
    const struct column_def *c = &t->columns[at];
    struct value *old = arena_zalloc(&x->a, t->column_count + 1u, sizeof *old);
    bool found = false;
    if (old == NULL)
        return arena_fail(&x->a, err);
    quartet_status rc = table_get(e->t, t, conflict[CONFLICT_KEY].s, old, &x->a, &found, err);
    if (rc == QUARTET_OK && !found)
        return err_set(err, QUARTET_ERROR, "the row is not there any longer: INSERT it with the value, or resolve the conflict USING WINNER");
    struct table_write w = {.column = (uint32_t)at, .value = conflict[CONFLICT_LOSING_VALUE]};
    struct type_decl to = {.type = c->type, .precision = c->precision, .scale = c->scale, .is_boolean = c->is_boolean, .length = c->length};
    if (rc == QUARTET_OK && c->kind != ROW_LWW)
        return err_set(err, QUARTET_ERROR, "column %s of table %s merges in another way by now: write it with UPDATE", c->name, t->name);
    if (rc == QUARTET_OK && c->not_null && w.value.type == VALUE_NULL)
        return err_set(err, QUARTET_CONSTRAINT, "NOT NULL constraint failed: %s.%s", t->name, c->name);
    if (rc == QUARTET_OK)
        rc = types_convert(&to, c->name, &w.value, &x->a, err);
    if (rc == QUARTET_OK && !value_identical(&w.value, &old[at])) {
        rc = table_update(e->t, t, conflict[CONFLICT_KEY].s, old, &w, 1, &x->a, NULL, err);
        e->changes += rc == QUARTET_OK;
    }
    return rc;
}

static quartet_status mark(struct xresolve *x, const struct value *conflict, struct err *err)
{
    struct exec *e = x->x.run->e;
    const struct table_def *t = catalog_table_by_id(txn_catalog(e->t), SYS_RESOLVED);
    struct value row[RESOLVED_COLUMNS], old[RESOLVED_COLUMNS];
    struct buf key = {0};
    bool found = false;
    row[RESOLVED_LOSING_STAMP] = conflict[CONFLICT_LOSING_STAMP];
    row[RESOLVED_ID] = conflict[CONFLICT_ID];
    row[RESOLVED_AT] = (struct value){.type = VALUE_TIMESTAMP, .i = (int64_t)env_wall_ms(e->t->d->env) * 1000};
    quartet_status rc = table_key(t, row, &key, err);
    if (rc == QUARTET_OK)
        rc = table_get(e->t, t, slice_of(key.data, key.len), old, &x->a, &found, err);
    if (rc == QUARTET_OK && !found)
        rc = table_insert(e->t, t, row, &x->a, NULL, NULL, err);
    buf_deinit(&key);
    return rc;
}

static quartet_status resolve_open(struct xnode *x, struct err *err)
{
    (void)err; /* nothing can fail yet */
    ((struct xresolve *)x)->done = false;
    return QUARTET_OK;
}

static quartet_status resolve_next(struct xnode *node, struct err *err)
{
    struct xresolve *x = (struct xresolve *)node;
    const struct presolve *p = node->p->u.resolve;
    struct value id, conflict[CONFLICT_COLUMNS];
    struct type_decl integer = {.type = VALUE_INTEGER};
    bool found = false;
    node->out.n = 0;
    if (x->done)
        return QUARTET_OK;
    x->done = true;
    tmp_reset(node);
    quartet_status rc = expr_value(p->id, &node->ctx, NULL, 0, &id, err);
    if (rc == QUARTET_OK)
        rc = types_convert(&integer, NULL, &id, node->ctx.arena, err);
    if (rc == QUARTET_OK && id.type == VALUE_NULL)
        return err_set_at(err, QUARTET_ERROR, p->id->sql_offset, "RESOLVE CONFLICT takes an id of quartet_conflicts, not NULL");
    if (rc == QUARTET_OK)
        rc = find_conflict(x, id.i, conflict, &found, err);
    if (rc == QUARTET_OK && !found)
        return err_set_at(err, QUARTET_NOTFOUND, p->id->sql_offset, "no conflict %lld: SELECT id, * FROM quartet_conflicts tells those that this node has",
                          (long long)id.i);
    if (rc == QUARTET_OK && p->using_loser)
        rc = write_back(x, conflict, err);
    return rc == QUARTET_OK ? mark(x, conflict, err) : rc;
}

static void resolve_close(struct xnode *node)
{
    arena_free_all(&((struct xresolve *)node)->a);
}

const struct xkind xkind_resolve = {sizeof(struct xresolve), {resolve_open, resolve_next, resolve_close}, 0};

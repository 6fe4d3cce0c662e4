/* apply_conflicts.c - what concurrent writes overrode: rows of quartet_conflict_log, written beside the row that they are about.
 * "Concurrent" is decided by vectors, never by clocks: the writer that comes had not seen the version that stands here (and whoever wrote that one cannot have
 *   seen what comes, since a delta is applied after all that its writer had seen).
 * Why no vector is asked of the other side, and nothing is written where nothing clashes: a row that one node writes after the other costs a look into a vector.
 * Invariants: an entry is named by (table, key, column, losing version), so that each node gives it the same id, and a replay writes it over itself.
 * Not here: what merging does (crdt/row.c), RESOLVE CONFLICT (exec_resolve.c). */
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "apply_internal.h"
#include "base/log.h"
#include "base/mem.h"
#include "crdt/row_cell.h"
#include "types.h"

#define SWEEP_ROWS 256u /* let go in one transaction at most */

struct clash { /* a column whose present version the writer had not seen */
    uint32_t column; /* of the record */
    struct ver ver;
    struct value value;
};

static bool overrides(const struct table_def *t, uint32_t column)
{
    return t->rows.columns[column].kind == ROW_LWW; /* the other kinds lose nothing */
}

/* A life that the writer saw and that goes on. */
static bool reaches_any(const struct row *row, const struct row_writer *w)
{
    for (uint32_t i = 0; i < row->life_count; i++)
        if (!row->lives[i].ended && row_writer_saw(w, row->lives[i].birth))
            return true;
    return false;
}

static void note(struct applying *a, const struct row *row, uint32_t column, struct conflict_set *out)
{
    if (!overrides(a->t, column))
        return;
    const struct row_cell *cell = row_shown_cell(row, &a->t->rows, &a->d->chains, column);
    if (cell->ver.stamp == 0 || ver_eq(cell->ver, a->writer.ver) || row_writer_saw(&a->writer, cell->ver))
        return;
    out->clashes[out->count++] = (struct clash){.column = column, .ver = cell->ver, .value = cell->value};
}

quartet_status apply_conflicts_before(struct applying *a, const struct row *row, const struct row_op *op, struct conflict_set *out)
{
    const struct table_def *t = a->t;
    *out = (struct conflict_set){0};
    if (t->id < SYS_TREES_END || a->in.chain == a->d->own || row->life_count == 0)
        return QUARTET_OK; /* who writes here has seen what is here */
    out->looked = true;
    bool deletes = (op->flags & ROW_OP_DELETE) != 0, inserts = (op->flags & ROW_OP_INSERT) != 0;
    if (!deletes && !inserts && !reaches_any(row, &a->writer)) {
        out->to_dead_row = true;
        return QUARTET_OK;
    }
    if (!row_live(row))
        return QUARTET_OK;
    out->clashes = arena_alloc(&a->row, (t->rows.count + 1u) * sizeof *out->clashes);
    if (out->clashes == NULL)
        return arena_fail(&a->row, a->err);
    if (deletes)
        for (uint32_t i = 0; i < t->rows.count; i++)
            note(a, row, i, out);
    else
        for (uint32_t i = 0; i < op->write_count; i++)
            note(a, row, op->writes[i].column, out);
    return QUARTET_OK;
}

/* A key of the writer's residue class under a birth of another run of its slot that it had not seen: an explicit key may be so by chance, an assigned one must not. It cannot
 * be mended by merging, since both rows are one now; so people are told. */
void apply_conflicts_twice(struct applying *a, const struct row *row, struct slice key)
{
    const struct ver mine = a->writer.ver;
    struct chain_id me = ver_chain_id(&a->d->chains, mine);
    struct value v = VALUE_NULL_INIT;
    struct bytes_in in = bytes_in(key.p, key.n);
    if (!key_get(&in, &a->t->keys[0], &v, &a->row) || v.type != VALUE_INTEGER || v.i <= 0 || v.i % 4 != (me.slot + 1) % 4)
        return;
    for (uint32_t i = 0; i < row->life_count; i++) {
        const struct row_life *life = &row->lives[i];
        struct chain_id other = ver_chain_id(&a->d->chains, life->birth);
        if (life->ended || other.slot != me.slot || life->birth.chain == mine.chain || row_writer_saw(&a->writer, life->birth))
            continue;
        uint64_t count = atomic_fetch_add(&a->d->keys_twice, 1) + 1;
        if ((count & (count - 1)) == 0) /* the first, and ever fewer of many */
            log_line(a->d->env, LOG_ERROR, "db", "table %s: key %lld was given to two rows, by two runs of slot %u that did not know of each other (incarnations %016llx and %016llx); "
                     "%llu such keys so far: see OPERATIONS.md, \"One key for two rows\"", a->t->name, (long long)v.i, (unsigned)me.slot, (unsigned long long)other.incarnation,
                     (unsigned long long)me.incarnation, (unsigned long long)count);
    }
}

static const struct value *written(const struct row_op *op, uint32_t column)
{
    for (uint32_t i = 0; i < op->write_count; i++)
        if (op->writes[i].column == column)
            return &op->writes[i].value;
    return NULL;
}

uint64_t apply_conflict_id(tree_id table, uint32_t column_id, struct slice key, struct ver losing, const struct chain_table *chains)
{
    struct chain_id chain = ver_chain_id(chains, losing);
    uint8_t b[29];
    store_le64(b, table);
    store_le32(b + 8, column_id);
    store_le64(b + 12, losing.stamp);
    store_le64(b + 20, chain.incarnation);
    b[28] = chain.slot;
    return XXH3_64bits_withSeed(b, sizeof b, XXH3_64bits(key.p, key.n)) & INT64_MAX;
}

struct outcome {
    uint32_t column;
    struct ver losing;
    hlc_stamp winning; /* 0: not known */
    struct value lost, won;
    const char *rule;
};

static struct value stamp_value(hlc_stamp s)
{
    return s == 0 ? VALUE_NULL_INIT : value_int((int64_t)s);
}

static struct value slot_value(hlc_stamp s)
{
    return s == 0 ? VALUE_NULL_INIT : value_int(hlc_slot(s));
}

quartet_status apply_conflict_put(struct apply_ops *ops, const struct catalog *catalog, const struct conflict_entry *e, struct arena *a, struct buf *record,
                                  struct err *err)
{
    const struct table_def *log = catalog_table_by_id(catalog, SYS_CONFLICTS);
    struct value row[CONFLICT_COLUMNS], values[CONFLICT_COLUMNS];
    hlc_stamp later = e->winning > e->losing ? e->winning : e->losing;
    row[CONFLICT_LOSING_STAMP] = value_int((int64_t)e->losing);
    row[CONFLICT_ID] = value_int((int64_t)(e->id & INT64_MAX));
    row[CONFLICT_AT] = (struct value){.type = VALUE_TIMESTAMP, .i = (int64_t)hlc_ms(later) * 1000};
    row[CONFLICT_TABLE_ID] = value_int((int64_t)e->t->id);
    row[CONFLICT_COLUMN_ID] = value_int(e->column_id);
    row[CONFLICT_KEY] = (struct value){.type = VALUE_BLOB, .s = e->key};
    row[CONFLICT_TABLE_NAME] = value_text(e->t->name, strlen(e->t->name));
    row[CONFLICT_COLUMN_NAME] = value_text(e->column, strlen(e->column));
    row[CONFLICT_RULE] = value_text(e->rule, strlen(e->rule));
    row[CONFLICT_WINNING_VALUE] = e->won;
    row[CONFLICT_LOSING_VALUE] = e->lost;
    row[CONFLICT_WINNING_STAMP] = stamp_value(e->winning);
    row[CONFLICT_WINNING_NODE] = slot_value(e->winning);
    row[CONFLICT_LOSING_NODE] = slot_value(e->losing);
    quartet_status rc = table_key_text(e->t, e->key, a, &row[CONFLICT_KEY_TEXT], err);
    struct buf log_key = {0};
    if (rc == QUARTET_OK)
        rc = table_key(log, row, &log_key, err);
    for (uint32_t i = 0; i < log->rows.count; i++)
        values[i] = row[log->record_columns[i]];
    buf_clear(record);
    record_put_simple(record, e->by, values, log->rows.count);
    if (rc == QUARTET_OK && (record->failed || log_key.failed))
        rc = err_nomem(err);
    if (rc == QUARTET_OK)
        rc = ops_put_copy(ops, SYS_CONFLICTS, slice_of(log_key.data, log_key.len), slice_of(record->data, record->len), err);
    buf_deinit(&log_key);
    return rc;
}

static quartet_status put(struct applying *a, struct slice key, const struct outcome *o)
{
    const struct table_def *t = a->t;
    uint32_t column_id = t->record_ids[o->column];
    struct conflict_entry e = {.t = t, .key = key, .column_id = column_id, .column = t->columns[t->record_columns[o->column]].name, .rule = o->rule,
                               .losing = o->losing.stamp, .winning = o->winning, .lost = o->lost, .won = o->won, .by = a->writer.ver,
                               .id = apply_conflict_id(t->id, column_id, key, o->losing, &a->d->chains)};
    a->conflicts++;
    return apply_conflict_put(&a->ops, a->catalog, &e, &a->row, &a->record, a->err);
}

/* A write that found no life of those it saw: they were ended by somebody who had not seen it. */
static quartet_status put_lost_writes(struct applying *a, struct slice key, const struct row_op *op)
{
    struct outcome o = {.losing = a->writer.ver, .rule = "DELETE over UPDATE", .won = VALUE_NULL_INIT};
    quartet_status rc = apply_past_newest(a, key, &o.winning);
    for (uint32_t i = 0; i < op->write_count && rc == QUARTET_OK; i++) {
        o.column = op->writes[i].column;
        o.lost = op->writes[i].value;
        if (overrides(a->t, o.column))
            rc = put(a, key, &o);
    }
    return rc;
}

quartet_status apply_conflicts_after(struct applying *a, const struct row *row, struct slice key, const struct row_op *op, bool changed,
                                     const struct conflict_set *set)
{
    quartet_status rc = QUARTET_OK;
    if (!set->looked)
        return QUARTET_OK;
    if (set->to_dead_row)
        return changed ? QUARTET_OK : put_lost_writes(a, key, op);
    bool live = row_live(row);
    for (uint32_t i = 0; i < set->count && rc == QUARTET_OK; i++) {
        const struct clash *c = &set->clashes[i];
        const struct value *mine = written(op, c->column);
        struct ver shown = live ? row_shown_cell(row, &a->t->rows, &a->d->chains, c->column)->ver : (struct ver){0};
        struct outcome o = {.column = c->column, .losing = c->ver, .winning = a->writer.ver.stamp, .lost = c->value, .won = VALUE_NULL_INIT, .rule = "DELETE over UPDATE"};
        if (mine != NULL && value_identical(mine, &c->value))
            continue; /* nobody lost anything */
        if (live && ver_eq(shown, c->ver)) {
            if (mine == NULL)
                continue; /* the row lives on with it */
            o.losing = a->writer.ver;
            o.winning = c->ver.stamp;
            o.lost = *mine;
            o.won = c->value;
            o.rule = "latest write";
        } else if (mine != NULL) {
            o.won = *mine;
            o.rule = "latest write";
        }
        rc = put(a, key, &o);
    }
    return rc;
}

/* ---- letting go ---- */

/* How many there are: counted once, then kept. */
static quartet_status count_all(struct applying *a)
{
    struct kv_range all = {.hi_open = true};
    struct kv_want want = {.keys = true};
    kv_iter *it = NULL;
    uint64_t n = 0;
    quartet_status rc = kv_iter_open(a->snap, NULL, SYS_CONFLICTS, &all, &want, &it, a->err);
    while (rc == QUARTET_OK) {
        struct kv_rows rows;
        rc = kv_iter_next(it, 0, &rows, a->err);
        if (rc != QUARTET_OK || rows.n == 0)
            break;
        n += rows.n;
    }
    kv_iter_close(it);
    if (rc == QUARTET_OK) {
        a->d->conflicts_kept = n;
        a->d->conflicts_counted = true;
    }
    return rc;
}

quartet_status apply_conflicts_sweep(struct applying *a)
{
    if (a->conflicts == 0 && !a->d->conflicts_due)
        return QUARTET_OK;
    quartet_status rc = a->d->conflicts_counted ? QUARTET_OK : count_all(a);
    if (rc != QUARTET_OK)
        return rc;
    uint64_t now = env_wall_ms(a->d->env), kept = a->d->conflicts_kept + a->conflicts;
    hlc_stamp cut = now > CONFLICTS_KEPT_MS ? hlc_make(now - CONFLICTS_KEPT_MS, 0, 0) : 0;
    const struct table_def *log = catalog_table_by_id(a->catalog, SYS_CONFLICTS);
    struct kv_range all = {.hi_open = true};
    struct kv_want want = {.keys = true};
    kv_iter *it = NULL;
    struct kv_rows rows = {0};
    a->swept = 0;
    rc = kv_iter_open(a->snap, NULL, SYS_CONFLICTS, &all, &want, &it, a->err);
    if (rc == QUARTET_OK)
        rc = kv_iter_next(it, SWEEP_ROWS, &rows, a->err);
    for (uint32_t i = 0; i < rows.n && rc == QUARTET_OK; i++) {
        struct bytes_in in = bytes_in(rows.keys[i].p, rows.keys[i].n);
        struct value stamp;
        if (!key_get(&in, &log->keys[0], &stamp, &a->row))
            rc = apply_misfit(a, "a damaged key of a conflict");
        if (rc != QUARTET_OK || ((hlc_stamp)stamp.i >= cut && kept - a->swept <= CONFLICTS_MAX))
            break;
        rc = ops_put_copy(&a->ops, SYS_CONFLICTS, rows.keys[i], (struct slice){0}, a->err);
        a->swept++;
    }
    kv_iter_close(it);
    if (rc == QUARTET_OK)
        a->d->conflicts_due = a->swept == SWEEP_ROWS;
    return rc;
}

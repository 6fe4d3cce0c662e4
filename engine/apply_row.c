/* apply_row.c - merging one operation into one row: its record, index entries, hash and history.
 * Invariants: the hash of a table is always that of the rows applied; an index holds exactly the entries of its live rows.
 * Not here: where the row's operation comes from (apply.c), rows of system tables once they are merged (apply_system.c). */
#include <string.h>

#include "apply_internal.h"
#include "base/mem.h"
#include "base/plant.h"
#include "crdt/value_quick.h"
#include "derived.h"
#include "json.h"
#include "kind.h"

struct hash_change *apply_change_of(struct applying *a, tree_id id)
{
    for (size_t i = 0; i < a->change_count; i++)
        if (a->changes[i].state->id == id)
            return &a->changes[i];
    if (a->change_count == a->change_cap) {
        size_t cap = a->change_cap == 0 ? 8 : a->change_cap * 2;
        struct hash_change *grown = mem_realloc(a->changes, cap, sizeof *grown);
        if (grown == NULL) {
            (void)err_nomem(a->err); /* the caller returns it */
            return NULL;
        }
        a->changes = grown;
        a->change_cap = cap;
    }
    struct table_state *s = a->last_state != NULL && a->last_state->id == id ? a->last_state : db_table(a->d, id, a->err);
    if (s == NULL)
        return NULL;
    a->last_state = s; /* states stay where they are */
    a->changes[a->change_count] = (struct hash_change){.state = s};
    return &a->changes[a->change_count++];
}

static bool table_plain(const struct table_def *t)
{
    for (uint32_t i = 0; i < t->rows.count; i++)
        if (t->rows.columns[i].kind != ROW_LWW || (i > 0 && t->record_ids[i] <= t->record_ids[i - 1]))
            return false;
    return t->id >= SYS_TREES_END;
}

quartet_status apply_begin_table(struct applying *a, uint64_t table_id, const uint32_t *column_ids, uint32_t column_count)
{
    if (table_id < a->last_tree)
        return err_set(a->err, QUARTET_CORRUPT, "delta %llu: tables out of order", (unsigned long long)a->in.number);
    a->last_tree = table_id;
    if (table_id >= SYS_TREES_END) {
        quartet_status rc = apply_renew_catalog(a);
        if (rc != QUARTET_OK)
            return rc;
    } else if (table_id != SYS_OBJECTS && table_id != SYS_COLUMNS && table_id != SYS_SETTINGS && table_id != SYS_RESOLVED && table_id != SYS_CLOSINGS &&
               table_id != SYS_FORKS && table_id != SYS_SHARES && table_id != SYS_FOLDS) {
        return err_set(a->err, QUARTET_CORRUPT, "delta %llu writes table %llu, which is not replicated", (unsigned long long)a->in.number,
                       (unsigned long long)table_id);
    }
    a->t = catalog_table_by_id(a->catalog, table_id);
    a->map = NULL;
    if (a->t == NULL) /* dropped and reclaimed meanwhile: only a replay sees this */
        return a->d->recovering ? QUARTET_OK : apply_misfit(a, "a table that is not known");
    struct hash_change *c = apply_change_of(a, a->t->id);
    if (c == NULL)
        return QUARTET_NOMEM;
    a->at_table = (size_t)(c - a->changes);
    const struct table_def *t = a->t;
    a->values = arena_zalloc(&a->tables, t->column_count, sizeof *a->values);
    a->old_values = arena_zalloc(&a->tables, t->column_count, sizeof *a->old_values);
    a->plain = table_plain(t);
    apply_state_table(a);
    quartet_status claims = apply_claims_table(a);
    if (claims != QUARTET_OK)
        return claims;
    a->ends = arena_alloc(&a->tables, (t->rows.count + 1u) * sizeof *a->ends);
    if (a->values == NULL || a->old_values == NULL || a->ends == NULL)
        return arena_fail(&a->tables, a->err);
    if (column_count <= t->rows.count && memcmp(column_ids, t->record_ids, column_count * sizeof *column_ids) == 0)
        return QUARTET_OK;
    a->map = arena_zalloc(&a->tables, column_count + 1u, sizeof *a->map);
    if (a->map == NULL)
        return arena_fail(&a->tables, a->err);
    for (uint32_t i = 0; i < column_count; i++) {
        uint32_t k = 0;
        while (k < t->rows.count && t->record_ids[k] != column_ids[i])
            k++;
        if (k == t->rows.count)
            return apply_misfit(a, "a column that is not known");
        a->map[i] = k;
    }
    return QUARTET_OK;
}

static bool fits(const struct column_def *c, const struct value *v)
{
    return v->type == VALUE_NULL || c->type == VALUE_NULL || (v->type == c->type && (c->type != VALUE_DECIMAL || c->precision == 0 || v->scale == c->scale));
}

/* By one who does not know yet that the column is a SET: a value as it was declared. */
static bool fits_below(const struct column_def *c, const struct value *v)
{
    return c->over_lww && v->type == c->element && (v->type != VALUE_DECIMAL || v->scale == c->element_scale);
}

/* What is wrong with a write to a column of another kind; NULL: nothing. */
static const char *misfit(const struct column_def *c, const struct row_write *w, bool insert, struct arena *arena)
{
    const struct value *v = &w->value;
    struct slice *tokens;
    uint32_t n;
    struct err bad = ERR_INIT;
    if (c->kind == ROW_COUNTER)
        return v->type != VALUE_NULL && v->type != VALUE_INTEGER && v->type != VALUE_DECIMAL ? "a counter's value that does not fit" : NULL;
    if (c->kind != ROW_SET)
        return fits(c, v) ? NULL : "a value that does not fit its column";
    if (w->op != ROW_PUT)
        return v->type != VALUE_TEXT || !row_token_valid(v->s) || !json_valid(v->s) ? "an element of a SET that does not fit" : NULL;
    if (v->type == VALUE_NULL || fits_below(c, v))
        return NULL;
    if (!insert || v->type != VALUE_JSON || !json_valid(v->s) || row_tokens(v->s, arena, &tokens, &n, &bad) != QUARTET_OK)
        return "a SET that does not fit";
    return NULL;
}

/* What a member sends must fit the schema before any code relies on it. */
static quartet_status check_fit(struct applying *a, struct slice key, const struct row_op *op)
{
    const struct table_def *t = a->t;
    if (t->hidden_key ? key.n != HIDDEN_KEY_BYTES_DB : !key_check(key, t->keys, t->key_count, &a->row))
        return apply_misfit(a, "a key that does not fit");
    for (uint32_t i = 0; i < op->write_count; i++) {
        const struct column_def *c = &t->columns[t->record_columns[op->writes[i].column]];
        if (c->kind == ROW_LWW && fits(c, &op->writes[i].value))
            continue;
        const char *wrong = misfit(c, &op->writes[i], (op->flags & ROW_OP_INSERT) != 0, &a->row);
        if (wrong != NULL)
            return apply_misfit(a, wrong);
    }
    return QUARTET_OK;
}

static quartet_status decode_key_into(struct applying *a, struct slice key, struct value *values)
{
    struct bytes_in in = bytes_in(key.p, key.n);
    for (uint32_t i = 0; i < a->t->key_count; i++)
        if (!key_get(&in, &a->t->keys[i], &values[a->t->key_columns[i]], &a->row))
            return apply_misfit(a, "a damaged key");
    return QUARTET_OK;
}

static void count_hash(struct applying *a, const struct row *before, const struct row *after, struct slice key)
{
    const struct table_def *t = a->t;
    struct hash_change *c = &a->changes[a->at_table];
    if (before != NULL)
        state_hash_add(&c->sub, row_hash(before, &t->rows, t->record_ids, t->id, key, &a->d->chains, &a->hashed));
    if (after != NULL)
        state_hash_add(&c->add, row_hash(after, &t->rows, t->record_ids, t->id, key, &a->d->chains, &a->hashed));
}

/* An INSERT's writes, where only its values' bytes are there. */
static quartet_status make_writes(struct applying *a, struct row_op *op, const struct apply_values *values)
{
    if (op->writes != NULL || op->write_count == 0)
        return QUARTET_OK;
    QASSERT(values != NULL);
    struct row_write *writes = arena_alloc(&a->row, op->write_count * sizeof *writes);
    if (writes == NULL)
        return arena_fail(&a->row, a->err);
    struct bytes_in in = bytes_in(values->bytes, values->ends[op->write_count - 1]);
    for (uint32_t i = 0; i < op->write_count; i++) {
        writes[i] = (struct row_write){.column = i, .op = ROW_PUT};
        if (!value_decode_quick(&in, &writes[i].value))
            return err_set(a->err, QUARTET_INTERNAL, "damaged pending row of table %s", a->t->name);
    }
    op->writes = writes;
    return QUARTET_OK;
}

/* An INSERT's record and index entries; `shown`: op's values as the row shows them. */
static quartet_status put_inserted(struct applying *a, struct slice key, struct row_op *op, const struct apply_values *values, const struct value *shown)
{
    const struct table_def *t = a->t;
    struct slice record = slice_of(a->record.data, a->record.len);
    if (a->record.failed || a->hashed.failed)
        return err_nomem(a->err);
    if (t->id < SYS_TREES_END) {
        quartet_status rc = ops_put_copy(&a->ops, t->id, key, record, a->err);
        return rc == QUARTET_OK ? apply_system_changed(a, key, record, false, true) : rc;
    }
    bool noted = a->links_out || (a->links_in && a->d->broken_count > 0);
    if (t->index_count > 0 || noted || a->claims.any) {
        quartet_status rc = make_writes(a, op, values);
        if (rc == QUARTET_OK)
            rc = decode_key_into(a, key, a->values);
        for (uint32_t i = 0; rc == QUARTET_OK && i < t->rows.count; i++)
            a->values[t->record_columns[i]] = i >= op->write_count ? t->rows.columns[i].missing : shown != NULL ? shown[i] : op->writes[i].value;
        if (rc == QUARTET_OK && t->sets_below)
            rc = kind_show_sets(t, a->values, &a->row, a->err);
        if (rc == QUARTET_OK && t->derived_count > 0)
            rc = derived_fill(t, a->values, &a->row, a->err);
        if (rc == QUARTET_OK)
            rc = apply_entries(&a->ops, t, key, NULL, a->values, &a->entry, a->err);
        if (rc == QUARTET_OK && noted)
            rc = apply_state_note(a, t, key, NULL, a->values);
        if (rc == QUARTET_OK && a->claims.any)
            rc = apply_claims_row(a, key, NULL, a->values, false);
        if (rc != QUARTET_OK)
            return rc;
    }
    return ops_put_copy(&a->ops, t->id, key, record, a->err);
}

/* The same without counters: what the values' bytes are is all there is to know. */
static quartet_status insert_plain(struct applying *a, struct slice key, struct row_op *op, const struct apply_values *values)
{
    const struct table_def *t = a->t;
    struct apply_values own = {.ends = a->ends};
    if (values == NULL) {
        buf_clear(&a->encoded);
        for (uint32_t i = 0; i < op->write_count; i++) {
            value_encode_quick(&a->encoded, &op->writes[i].value);
            a->ends[i] = (uint32_t)a->encoded.len;
        }
        if (a->encoded.failed)
            return err_nomem(a->err);
        own.bytes = a->encoded.data;
        values = &own;
    }
    struct row_plain row = {.ver = a->writer.ver, .values = values->bytes, .ends = values->ends, .count = op->write_count};
    struct record_view view = {.flags = RECORD_LIVE | RECORD_SIMPLE, .ver = row.ver, .value_count = row.count,
                               .values = slice_of(row.values, row.count > 0 ? row.ends[row.count - 1] : 0)};
    state_hash_add(&a->changes[a->at_table].add, row_hash_plain(&row, t->record_ids, t->id, key, &a->d->chains, &a->hashed));
    buf_clear(&a->record);
    record_put(&a->record, &view);
    return put_inserted(a, key, op, values, NULL);
}

/* An INSERT where nothing was: no need to take a row apart. */
static quartet_status insert_simple(struct applying *a, struct slice key, struct row_op *op)
{
    const struct table_def *t = a->t;
    uint32_t n = t->rows.count;
    struct row_cell *cells = arena_alloc(&a->row, (n + 1u) * sizeof *cells);
    struct row_part *parts = arena_alloc(&a->row, (n + 1u) * sizeof *parts);
    struct value *shown = arena_alloc(&a->row, (n + 1u) * sizeof *shown);
    if (cells == NULL || parts == NULL || shown == NULL)
        return arena_fail(&a->row, a->err);
    for (uint32_t i = 0; i < n; i++) {
        cells[i] = (struct row_cell){.value = VALUE_NULL_INIT};
        if (i >= op->write_count)
            continue;
        cells[i].ver = a->writer.ver;
        shown[i] = op->writes[i].value;
        if (t->rows.columns[i].kind != ROW_COUNTER) {
            cells[i].value = shown[i];
            continue;
        }
        __int128 sum = row_counter_number(&t->rows.columns[i], &shown[i]);
        shown[i] = row_counter_value(&t->rows.columns[i], sum);
        parts[i] = (struct row_part){.chain = a->writer.ver.chain, .last = a->writer.ver.stamp, .sum = dec_make(sum)};
        if (sum != 0) {
            cells[i].parts = &parts[i];
            cells[i].part_count = 1;
        }
    }
    struct row_life life = {.birth = a->writer.ver, .cells = cells};
    struct row row = {.lives = &life, .life_count = 1};
    count_hash(a, NULL, &row, key);
    buf_clear(&a->record);
    record_put_simple(&a->record, a->writer.ver, shown, op->write_count);
    return put_inserted(a, key, op, NULL, shown);
}

static quartet_status show(struct applying *a, const struct row *row, struct slice key, struct value *out)
{
    const struct table_def *t = a->t;
    struct value *shown = arena_zalloc(&a->row, t->rows.count + 1u, sizeof *shown);
    if (shown == NULL)
        return arena_fail(&a->row, a->err);
    if (!row_show(row, &t->rows, &a->d->chains, &a->row, shown))
        return arena_fail(&a->row, a->err);
    for (uint32_t i = 0; i < t->rows.count; i++)
        out[t->record_columns[i]] = shown[i];
    quartet_status rc = decode_key_into(a, key, out);
    if (rc == QUARTET_OK && t->sets_below)
        rc = kind_show_sets(t, out, &a->row, a->err);
    return rc == QUARTET_OK && t->derived_count > 0 && !plant_is(PLANT_DERIVED_STALE) ? derived_fill(t, out, &a->row, a->err) : rc;
}
static quartet_status put_row(struct applying *a, const struct row *row, struct slice key, struct past_change *past)
{
    buf_clear(&a->record);
    quartet_status rc = row_encode(row, &a->t->rows, &a->d->chains, &a->record, a->err);
    if (rc == QUARTET_OK)
        rc = apply_past_after(a, row, key, past);
    if (rc == QUARTET_OK && (a->record.failed || a->hashed.failed || a->past.failed))
        rc = err_nomem(a->err);
    return rc == QUARTET_OK ? ops_put_row(&a->ops, a->t->id, key, slice_of(a->record.data, a->record.len), slice_of(a->past.data, plant_is(PLANT_PAST_LOST) ? 0 : a->past.len), a->err) : rc;
}

/* A row that is written anew gets rid of what folded chains left in it. Who added what to a bounded COUNTER stays told: it says who may take how much (share.c). */
static quartet_status fold_row(struct applying *a, struct row *row)
{
    const struct table_def *t = a->t;
    bool changed = false;
    if (t->id >= SYS_TREES_END && !row_fold_births(row, &a->d->chains, a->d->fold_sum, &a->row, &changed))
        return arena_fail(&a->row, a->err);
    for (uint32_t i = 0; i < row->life_count; i++)
        for (uint32_t k = 0; !row->lives[i].ended && k < t->rows.count; k++)
            if (row->lives[i].cells[k].part_count > 1 && !bounded_any(&t->columns[t->record_columns[k]].bound) &&
                !row_fold_cell(&row->lives[i].cells[k], &t->rows.columns[k], &a->d->chains, a->d->fold_sum, &a->row, &changed))
                return arena_fail(&a->row, a->err);
    return QUARTET_OK;
}

static quartet_status merge_row(struct applying *a, struct slice key, struct row_op *op)
{
    const struct table_def *t = a->t;
    db *d = a->d;
    struct row row;
    struct past_change past;
    struct conflict_set conflicts;
    bool changed, noted = a->links_out || a->links_in, shows = t->index_count > 0 || t->id < SYS_TREES_END || noted || a->claims.any;
    struct state_hash before = {0}, after;
    quartet_status rc = row_decode(slice_of(a->old.data, a->old.len), &t->rows, &a->row, &row, a->err);
    if (rc != QUARTET_OK)
        return rc;
    const struct row_life *first = row_first_life(&row);
    struct ver birth = first != NULL ? first->birth : (struct ver){0};
    bool was_live = first != NULL, was_hidden = a->old.len > 0 && (a->old.data[0] & RECORD_HIDDEN) != 0;
    if (was_live && shows)
        rc = show(a, &row, key, a->old_values);
    if (rc == QUARTET_OK && was_live)
        before = row_hash(&row, &t->rows, t->record_ids, t->id, key, &d->chains, &a->hashed);
    if (rc == QUARTET_OK && a->hashed.failed)
        rc = err_nomem(a->err);
    if (rc == QUARTET_OK)
        rc = apply_past_before(a, &row, key, op, &past);
    if (rc == QUARTET_OK)
        rc = apply_conflicts_before(a, &row, op, &conflicts);
    if (rc == QUARTET_OK)
        rc = row_apply(&row, &t->rows, op, &a->writer, &a->row, &changed, a->err);
    if (rc == QUARTET_OK)
        rc = apply_conflicts_after(a, &row, key, op, changed, &conflicts);
    if (rc == QUARTET_OK && changed && t->rowid_key && (op->flags & ROW_OP_INSERT) != 0 && !d->recovering)
        apply_conflicts_twice(a, &row, key);
    if (rc != QUARTET_OK || !changed)
        return rc;
    if (d->chains.fold_last > 0)
        rc = fold_row(a, &row);
    if (rc != QUARTET_OK)
        return rc;
    bool live = row_live(&row);
    after = row_hash(&row, &t->rows, t->record_ids, t->id, key, &d->chains, &a->hashed);
    if (!plant_is(PLANT_HASH_KEEPS_OLD))
        state_hash_add(&a->changes[a->at_table].sub, before);
    state_hash_add(&a->changes[a->at_table].add, after);
    rc = put_row(a, &row, key, &past);
    if (rc == QUARTET_OK && t->id < SYS_TREES_END)
        rc = apply_system_changed(a, key, slice_of(a->record.data, a->record.len), was_live, live);
    if (rc == QUARTET_OK && live && (t->index_count > 0 || noted || a->claims.any))
        rc = show(a, &row, key, a->values);
    if (rc == QUARTET_OK && t->index_count > 0 && (a->in.trusted || !plant_is(PLANT_INDEX_MISSES_PEERS)))
        rc = apply_entries(&a->ops, t, key, was_live ? a->old_values : NULL, live ? a->values : NULL, &a->entry, a->err);
    bool was_shown = a->old.len > 0 && (a->old.data[0] & RECORD_LIVE) != 0;
    if (rc == QUARTET_OK && noted)
        rc = apply_state_note(a, t, key, was_shown ? a->old_values : NULL, live ? a->values : NULL);
    if (rc == QUARTET_OK && a->links_in && was_shown)
        rc = apply_given_up(a, t, key, a->old_values, live ? a->values : NULL);
    if (rc == QUARTET_OK && was_hidden)
        rc = apply_claims_was_hidden(a, key, before);
    if (rc == QUARTET_OK && a->claims.any)
        rc = apply_claims_row(a, key, was_live ? a->old_values : NULL, live ? a->values : NULL, was_live && live && ver_eq(birth, row_first_life(&row)->birth));
    return rc;
}

quartet_status apply_one_row(struct applying *a, struct slice key, struct row_op *op, const struct apply_values *values)
{
    bool bare = a->plain && a->map == NULL && a->in.trusted; /* an INSERT over nothing needs no writes */
    quartet_status rc = bare ? QUARTET_OK : make_writes(a, op, values);
    for (uint32_t i = 0; rc == QUARTET_OK && a->map != NULL && i < op->write_count; i++)
        op->writes[i].column = a->map[op->writes[i].column];
    if (rc == QUARTET_OK && !a->in.trusted)
        rc = check_fit(a, key, op);
    if (rc != QUARTET_OK)
        return rc;
    if (a->d->marking.on && a->in.stamp > a->d->marking.stamp)
        mark_touch(a->d, a->t->id, key);
    buf_clear(&a->old);
    a->rows++;
    a->changes[a->at_table].rows++;
    if (!kv_top_above(&a->top, a->t->id, key)) {
        rc = kv_get(a->snap, NULL, a->t->id, key, &a->old, a->err);
        if (rc == QUARTET_OK)
            rc = make_writes(a, op, values);
        if (rc == QUARTET_OK)
            return merge_row(a, key, op);
        if (rc == QUARTET_NOTFOUND)
            rc = kv_top_missed(&a->top, a->snap, a->t->id, a->err);
        if (rc != QUARTET_OK)
            return rc;
    }
    if ((op->flags & ROW_OP_INSERT) == 0)
        return QUARTET_OK; /* the row was purged: what the writer saw of it has ended */
    if (a->map != NULL || a->t->rows.observes) {
        rc = make_writes(a, op, values);
        return rc == QUARTET_OK ? merge_row(a, key, op) : rc;
    }
    return a->plain ? insert_plain(a, key, op, values) : insert_simple(a, key, op);
}

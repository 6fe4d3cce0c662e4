/* table_write.c - INSERT, UPDATE and DELETE of one row into the transaction's own buffer.
 * Why a pending operation beside the visible values: scans read the values like any record's, and COMMIT writes the operation, net, whatever the
 *   statements before did to the row. Index entries are written alike, so that index scans and UNIQUE see them.
 * Invariants: all checks come before the first write of a call; what a call wrote before it failed is undone by the statement's rollback.
 * Not here: CHECK, NOT NULL, conversion (the executor), the delta (txn_commit.c). */
#include <string.h>

#include "base/mem.h"
#include "claim.h"
#include "derived.h"
#include "share.h"
#include "table_internal.h"
#include "types.h"

static struct slice buf_slice(const struct buf *b)
{
    return slice_of(b->data, b->len);
}

quartet_status table_key(const struct table_def *table, const struct value *values, struct buf *out, struct err *err)
{
    size_t at = out->len;
    for (uint32_t i = 0; i < table->key_count; i++) {
        const struct value *v = &values[table->key_columns[i]];
        const char *name = table->columns[table->key_columns[i]].name;
        if (v->type == VALUE_NULL)
            return err_set(err, QUARTET_CONSTRAINT, "NOT NULL constraint failed: %s.%s", table->name, name);
        if (!key_value_fits(&table->keys[i], v))
            return err_set(err, QUARTET_INTERNAL, "the value of key column %s.%s is not of its type", table->name, name);
        key_put(out, &table->keys[i], v);
    }
    if (out->failed)
        return err_nomem(err);
    if (out->len - at > KEY_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "the primary key of a row of table %s has %zu bytes, limit %u", table->name, out->len - at, KEY_BYTES_MAX);
    return QUARTET_OK;
}

/* Provisional: sorts behind every key of a committed row; COMMIT puts stamp and incarnation in. */
static quartet_status hidden_key(txn *t, struct buf *out, struct err *err)
{
    uint8_t raw[HIDDEN_KEY_BYTES];
    if (t->ordinal == UINT32_MAX)
        return err_set(err, QUARTET_LIMIT, "more than %u rows without a primary key in one transaction", UINT32_MAX);
    memset(raw, 0xff, sizeof raw);
    uint32_t n = t->ordinal++;
    for (int i = 0; i < 4; i++)
        raw[16 + i] = (uint8_t)(n >> (24 - 8 * i));
    buf_put(out, raw, sizeof raw);
    return out->failed ? err_nomem(err) : QUARTET_OK;
}

/* "; that row is quarantined: id = 7", where it is. */
static quartet_status tell_hidden(txn *x, const struct table_def *t, struct slice key, struct buf *text, struct err *err)
{
    struct arena a = {0};
    struct bytes_in in = bytes_in(key.p, key.n);
    bool hidden;
    quartet_status rc = claim_is_hidden(x, t, key, &hidden, err);
    if (rc == QUARTET_OK && hidden) {
        buf_str(text, "; that row is quarantined");
        for (uint32_t i = 0; i < t->key_count; i++) {
            struct value v;
            if (!key_get(&in, &t->keys[i], &v, &a))
                break;
            buf_printf(text, "%s%s = ", i > 0 ? ", " : ": ", t->columns[t->key_columns[i]].name);
            value_to_literal(&v, text);
        }
    }
    arena_free_all(&a);
    return rc;
}

/* "t.a, t.b: there is a row with (1, 'x')" */
static quartet_status unique_error(txn *x, const struct table_def *t, struct slice key, const uint32_t *columns, uint32_t n, const struct value *values,
                                   bool quiet, struct err *err)
{
    struct buf text = {0};
    if (quiet)
        return err_set(err, QUARTET_CONSTRAINT, "UNIQUE constraint failed");
    for (uint32_t i = 0; i < n; i++)
        buf_printf(&text, "%s%s.%s", i > 0 ? ", " : "", t->name, t->columns[columns[i]].name);
    buf_str(&text, " (there is a row with ");
    for (uint32_t i = 0; i < n; i++) {
        buf_str(&text, i > 0 ? ", " : "");
        value_to_literal(&values[columns[i]], &text);
    }
    quartet_status rc = tell_hidden(x, t, key, &text, err);
    buf_u8(&text, ')');
    if (rc == QUARTET_OK)
        rc = text.failed ? err_nomem(err)
                         : err_set(err, QUARTET_CONSTRAINT, "UNIQUE constraint failed: %.*s", (int)(text.len > 400 ? 400 : text.len),
                                              (const char *)text.data);
    buf_deinit(&text);
    return rc;
}

/* Does the row claim another value of the index than it did? The same again is no new claim, whoever else has one: a form that is saved unchanged. */
static quartet_status claims_anew(txn *t, const struct table_def *table, const struct index_def *ix, const struct value *old, const struct value *fresh,
                                  bool *anew, struct err *err)
{
    bool none;
    *anew = index_holds(ix, old) != index_holds(ix, fresh);
    for (uint32_t k = 0; k < ix->column_count && !*anew; k++)
        *anew = !value_identical(&old[ix->columns[k]], &fresh[ix->columns[k]]);
    if (!*anew)
        return QUARTET_OK;
    quartet_status rc = claim_value(table, ix, old, (struct slice){0}, &t->fold, &none, err); /* without case they may be the same all the same */
    if (rc != QUARTET_OK || none)
        return rc;
    rc = claim_value(table, ix, fresh, (struct slice){0}, &t->entry, &none, err);
    if (rc == QUARTET_OK && !none)
        *anew = !slice_eq(buf_slice(&t->fold), buf_slice(&t->entry));
    return rc;
}

/* UNIQUE of all indexes; `old` (NULL: none): what the row was before. */
static quartet_status check_unique(txn *t, const struct table_def *table, const struct value *old, const struct value *values, struct slice key,
                                   struct arena *a, struct conflict *conflict, struct err *err)
{
    for (uint32_t i = 0; i < table->index_count; i++) {
        const struct index_def *ix = &table->indexes[i];
        struct slice other;
        bool taken = false, anew = true;
        if (!ix->unique)
            continue;
        quartet_status rc = old != NULL ? claims_anew(t, table, ix, old, values, &anew, err) : QUARTET_OK;
        if (rc == QUARTET_OK && anew)
            rc = index_check_unique(t, table, ix, values, key, a, &other, &taken, err);
        if (rc != QUARTET_OK)
            return rc;
        if (!taken)
            continue;
        bool quiet = conflict != NULL && conflict->quiet;
        if (conflict != NULL)
            *conflict = (struct conflict){.key = other, .index = ix};
        return unique_error(t, table, other, ix->columns, ix->column_count, values, quiet, err);
    }
    return QUARTET_OK;
}

static quartet_status put_row(txn *t, const struct table_def *table, struct slice key, bool live, const struct value *values, struct err *err)
{
    struct buf *out = &t->fresh;
    buf_clear(out);
    buf_u8(out, live ? RECORD_LIVE : 0);
    buf_varint(out, t->meta.len);
    buf_put(out, t->meta.data, t->meta.len);
    if (live) {
        buf_varint(out, table->rows.count);
        value_encode_row(out, values, table->record_columns, table->rows.count);
    }
    if (out->failed || t->meta.failed)
        return err_nomem(err);
    return kv_own_put(t->writes, table->id, key, t->statement, buf_slice(out), err);
}

static quartet_status put_entry(txn *t, const struct table_def *table, const struct index_def *ix, const struct value *values, struct slice key,
                                bool put, struct err *err)
{
    if (!index_holds(ix, values))
        return QUARTET_OK;
    quartet_status rc = index_key(table, ix, values, key, &t->entry, err);
    if (rc != QUARTET_OK)
        return rc;
    return kv_own_put(t->writes, ix->id, buf_slice(&t->entry), t->statement, put ? slice_of("", 0) : (struct slice){0}, err);
}

/* The row with this key, if the transaction knows one: *prior are the flags of its pending operation. */
static quartet_status look(txn *t, const struct table_def *table, struct slice key, bool *live, uint8_t *prior, struct slice *record, bool *own,
                           struct err *err)
{
    bool found;
    *live = false;
    *prior = 0;
    quartet_status rc = txn_row(t, table->id, key, t->statement, record, own, &found, err);
    if (rc != QUARTET_OK || !found)
        return rc;
    struct record_view view;
    if (!record_view(*record, &view))
        return err_set(err, QUARTET_CORRUPT, "damaged record in table %s", table->name);
    *live = record_has_values(view.flags); /* a quarantined row holds its key, and may be deleted */
    if (*own && view.meta.n > 0)
        *prior = view.meta.p[0];
    return QUARTET_OK;
}

static quartet_status insert_key(txn *t, const struct table_def *table, struct value *values, struct arena *a, struct conflict *conflict, uint8_t *prior,
                                 struct err *err)
{
    bool live, own, assign = table->rowid_key && values[table->key_columns[0]].type == VALUE_NULL;
    struct slice record;
    *prior = 0;
    buf_clear(&t->key);
    if (table->hidden_key)
        return hidden_key(t, &t->key, err);
    for (;;) {
        quartet_status rc = QUARTET_OK;
        if (assign)
            rc = txn_assign_key(t, table, &values[table->key_columns[0]], err);
        buf_clear(&t->key);
        if (rc == QUARTET_OK)
            rc = table_key(table, values, &t->key, err);
        if (rc == QUARTET_OK)
            rc = look(t, table, buf_slice(&t->key), &live, prior, &record, &own, err);
        if (rc == QUARTET_OK && !live && table->rowid_key && !assign)
            txn_key_given(t, table, &values[table->key_columns[0]]);
        if (rc != QUARTET_OK || !live)
            return rc;
        if (!assign)
            break; /* taken */
    }
    quartet_status rc = txn_note_point(t, table->id, buf_slice(&t->key), err);
    if (rc != QUARTET_OK)
        return rc;
    bool quiet = conflict != NULL && conflict->quiet;
    if (conflict != NULL) {
        *conflict = (struct conflict){.key = slice_of(arena_dup(a, t->key.data, t->key.len), t->key.len)};
        if (conflict->key.p == NULL)
            return arena_fail(a, err);
    }
    return unique_error(t, table, slice_of(t->key.data, t->key.len), table->key_columns, table->key_count, values, quiet, err);
}

quartet_status table_insert(txn *t, const struct table_def *table, struct value *values, struct arena *a, struct conflict *conflict, struct slice *key,
                            struct err *err)
{
    uint8_t prior;
    t = txn_of(t, table);
    quartet_status rc = txn_writable(t, err);
    if (rc != QUARTET_OK)
        return rc;
    for (uint32_t i = 0; i < table->rows.count; i++) {
        struct value *v = &values[table->record_columns[i]];
        if (table->rows.columns[i].kind == ROW_COUNTER) /* a counter never reads as NULL, nor does a set */
            *v = row_counter_value(&table->rows.columns[i], row_counter_number(&table->rows.columns[i], v));
        else if (table->rows.columns[i].kind == ROW_SET && v->type == VALUE_NULL)
            *v = (struct value){.type = VALUE_JSON, .s = slice_of("[]", 2)};
    }
    if (table->bounded)
        rc = share_begin(table, values, err);
    if (rc == QUARTET_OK)
        rc = insert_key(t, table, values, a, conflict, &prior, err);
    if (rc == QUARTET_OK && table->derived_count > 0)
        rc = derived_fill(table, values, a, err); /* a key that was assigned may be in them */
    if (rc == QUARTET_OK && table->index_count > 0)
        rc = check_unique(t, table, NULL, values, buf_slice(&t->key), a, conflict, err);
    if (rc != QUARTET_OK)
        return rc;
    struct slice k = buf_slice(&t->key);
    buf_clear(&t->meta);
    buf_u8(&t->meta, (uint8_t)((prior & ROW_OP_DELETE) | ROW_OP_INSERT));
    rc = put_row(t, table, k, true, values, err);
    for (uint32_t i = 0; rc == QUARTET_OK && i < table->index_count; i++)
        rc = put_entry(t, table, &table->indexes[i], values, k, true, err);
    if (rc == QUARTET_OK && key != NULL) {
        *key = slice_of(arena_dup(a, k.p, k.n), k.n);
        if (key->p == NULL)
            rc = arena_fail(a, err);
    }
    return rc;
}

static quartet_status move_entries(txn *t, const struct table_def *table, const struct value *old, const struct value *fresh, const bool *touched,
                                   struct slice key, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < table->index_count && rc == QUARTET_OK; i++) {
        const struct index_def *ix = &table->indexes[i];
        bool moved = index_holds(ix, old) != index_holds(ix, fresh);
        for (uint32_t k = 0; k < ix->column_count && !moved; k++)
            moved = touched[ix->columns[k]] && !value_identical(&old[ix->columns[k]], &fresh[ix->columns[k]]);
        if (!moved)
            continue;
        rc = put_entry(t, table, ix, old, key, false, err);
        if (rc == QUARTET_OK)
            rc = put_entry(t, table, ix, fresh, key, true, err);
    }
    return rc;
}

quartet_status table_update(txn *t, const struct table_def *table, struct slice key, const struct value *old, const struct table_write *writes,
                            uint32_t write_count, struct arena *a, struct conflict *conflict, struct err *err)
{
    t = txn_of(t, table);
    arena_rewind(&t->scratch, (struct arena_mark){0});
    struct slice record;
    struct pending prior;
    bool own;
    quartet_status rc = table->bounded ? share_check(t, table, key, old, writes, write_count, err) : QUARTET_OK;
    if (rc == QUARTET_OK)
        rc = txn_writable(t, err);
    struct value *fresh = arena_dup(&t->scratch, old, table->column_count * sizeof *old);
    bool *touched = arena_zalloc(&t->scratch, table->column_count, sizeof *touched);
    if (rc == QUARTET_OK && (fresh == NULL || touched == NULL))
        rc = arena_fail(&t->scratch, err);
    if (rc == QUARTET_OK)
        rc = txn_own_row(t, table->id, key, t->statement, &record, &own, err);
    if (rc != QUARTET_OK)
        return rc;
    if (own && (record.p == NULL || !pending_read(record, &prior) || !prior.live))
        return err_set(err, QUARTET_INTERNAL, "table_update of a row of %s that is not there", table->name);
    for (uint32_t i = 0; i < write_count; i++)
        touched[writes[i].column] = true;
    rc = pending_update(table, own ? &prior : NULL, writes, write_count, fresh, &t->scratch, &t->meta, err);
    if (rc == QUARTET_OK && table->derived_count > 0)
        rc = derived_fill(table, fresh, &t->scratch, err);
    for (uint32_t i = 0; i < table->derived_count; i++)
        touched[table->derived[i].column] = true;
    if (rc == QUARTET_OK && table->index_count > 0)
        rc = check_unique(t, table, old, fresh, key, a, conflict, err);
    if (rc == QUARTET_OK)
        rc = put_row(t, table, key, true, fresh, err);
    if (rc == QUARTET_OK && table->index_count > 0)
        rc = move_entries(t, table, old, fresh, touched, key, err);
    return rc;
}

/* What the transaction knows of a row that goes: its pending operation's flags, and its values where indexes want them. */
static quartet_status look_at_gone(txn *t, const struct table_def *table, struct slice key, const struct value **old, bool *own, uint8_t *prior, struct err *err)
{
    bool live = true;
    struct slice record;
    *prior = 0;
    quartet_status rc = QUARTET_OK;
    if (*old != NULL)
        rc = txn_own_row(t, table->id, key, t->statement, &record, own, err);
    if (rc == QUARTET_OK && (*old == NULL || *own)) {
        *old = NULL;
        rc = look(t, table, key, &live, prior, &record, own, err);
    }
    if (rc != QUARTET_OK)
        return rc;
    if (!live)
        return err_set(err, QUARTET_INTERNAL, "table_delete of a row of %s that is not there", table->name);
    if (table->index_count == 0 || *old != NULL)
        return QUARTET_OK;
    struct value *values = arena_zalloc(&t->scratch, table->column_count, sizeof *values);
    *old = values;
    return values == NULL ? arena_fail(&t->scratch, err) : table_decode_hidden(table, key, record, values, &t->scratch, &live, err);
}

quartet_status table_delete(txn *t, const struct table_def *table, struct slice key, const struct value *old, struct err *err)
{
    t = txn_of(t, table);
    arena_rewind(&t->scratch, (struct arena_mark){0});
    bool own;
    uint8_t prior;
    quartet_status rc = txn_writable(t, err);
    if (rc == QUARTET_OK)
        rc = look_at_gone(t, table, key, &old, &own, &prior, err);
    for (uint32_t i = 0; rc == QUARTET_OK && i < table->index_count; i++)
        rc = put_entry(t, table, &table->indexes[i], old, key, false, err);
    if (rc != QUARTET_OK)
        return rc;
    /* A row that this transaction inserted over nothing leaves no operation behind. */
    buf_clear(&t->meta);
    buf_u8(&t->meta, own && prior == ROW_OP_INSERT ? 0 : ROW_OP_DELETE);
    return put_row(t, table, key, false, NULL, err);
}

/* writes.c - what a transaction wrote, as its delta says it, in words: tables, keys, columns, values. */
#include <string.h>

#include "crdt/key.h"
#include "engine/types.h"
#include "suite/suite.h"

const char *suite_value_text(struct arena *a, const struct value *v)
{
    struct buf b = {0};
    if (v->type == VALUE_NULL)
        buf_str(&b, "NULL");
    else if (v->type == VALUE_TEXT)
        buf_printf(&b, "'%.*s'", (int)(v->s.n > 60 ? 60 : v->s.n), (const char *)v->s.p);
    else if (v->type == VALUE_BLOB)
        buf_printf(&b, "%zu bytes", v->s.n);
    else
        value_to_text(v, &b);
    const char *s = b.failed ? NULL : arena_strndup(a, b.data != NULL ? (const char *)b.data : "", b.len);
    buf_deinit(&b);
    return s != NULL ? s : "?";
}

static const struct column_def *column_of(const struct table_def *t, uint32_t id)
{
    for (uint32_t i = 0; i < t->visible_count; i++)
        if (t->columns[i].id == id)
            return &t->columns[i];
    return NULL;
}

static void add_cell(struct row_change *row, struct cell_change c)
{
    if (c.column == NULL) /* out of memory: what is missing is shown as such */
        c.column = "?";
    row->cells[row->cell_count++] = c;
}

static void key_cells(struct arena *a, const struct table_def *t, struct slice key, struct row_change *row)
{
    struct bytes_in in = bytes_in(key.p, key.n);
    struct buf text = {0};
    for (uint32_t i = 0; i < t->key_count && !t->hidden_key; i++) {
        struct value v;
        if (!key_get(&in, &t->keys[i], &v, a))
            break;
        const char *shown = suite_value_text(a, &v);
        buf_printf(&text, "%s%s", i > 0 ? ", " : "", shown);
        add_cell(row, (struct cell_change){.column = arena_printf(a, "%s", t->columns[t->key_columns[i]].name), .value = shown, .key = true});
    }
    if (t->hidden_key)
        for (size_t i = 0; i < key.n; i++)
            buf_printf(&text, "%02x", key.p[i]);
    row->key = text.failed ? "?" : arena_strndup(a, text.data != NULL ? (const char *)text.data : "", text.len);
    buf_deinit(&text);
}

static bool take_rows(struct arena *a, struct delta_reader *d, const struct catalog *catalog, struct write_result *w, struct arena *scratch, struct err *err)
{
    const struct table_def *t = catalog_table_by_id(catalog, d->table_id);
    for (bool more = true; more;) {
        struct slice key;
        struct row_op op;
        if (delta_next_row(d, scratch, &key, &op, &more, err) != QUARTET_OK)
            return false;
        if (!more || t == NULL || t->is_system)
            continue;
        struct row_change *grown = arena_alloc(a, (w->row_count + 1) * sizeof *grown);
        if (grown == NULL)
            return false;
        if (w->row_count > 0)
            memcpy(grown, w->rows, w->row_count * sizeof *grown);
        w->rows = grown;
        struct row_change *row = &grown[w->row_count++];
        const char *name = arena_strndup(a, t->name, strlen(t->name));
        *row = (struct row_change){.table = name, .insert = (op.flags & ROW_OP_INSERT) != 0, .del = (op.flags & ROW_OP_DELETE) != 0};
        row->cells = arena_zalloc(a, t->key_count + op.write_count + 1, sizeof *row->cells);
        if (row->cells == NULL || name == NULL)
            return false;
        key_cells(a, t, key, row);
        for (uint32_t i = 0; i < op.write_count; i++) {
            const struct column_def *c = column_of(t, d->column_ids[op.writes[i].column]);
            if (c != NULL)
                add_cell(row, (struct cell_change){.column = arena_strndup(a, c->name, strlen(c->name)), .value = suite_value_text(a, &op.writes[i].value),
                                                   .add = op.writes[i].op == ROW_ADD && !row->insert});
        }
    }
    return true;
}

bool suite_take_batch(struct arena *a, const struct sim_batch *b, uint8_t slot, const struct catalog *catalog, struct write_result *w, struct err *err)
{
    struct batch_header h;
    struct slice payload, delta;
    struct chain_table chains = {0};
    struct arena scratch = {0};
    bool ok = batch_parse(slice_of(b->bytes, b->n), &h, &payload, err) == QUARTET_OK;
    struct bytes_in in = bytes_in(payload.p, payload.n);
    chain_no mine;
    ok = ok && chain_intern(&chains, h.chain, &mine, err) == QUARTET_OK;
    while (ok && h.chain.slot == slot && batch_next_delta(&in, &delta)) {
        struct delta_reader d;
        ok = delta_open(&d, delta, &chains, err) == QUARTET_OK;
        for (bool more = ok; ok && more;)
            ok = delta_next_table(&d, &scratch, &more, err) == QUARTET_OK && (!more || take_rows(a, &d, catalog, w, &scratch, err));
        delta_close(&d);
    }
    chain_table_deinit(&chains);
    arena_free_all(&scratch);
    return ok;
}

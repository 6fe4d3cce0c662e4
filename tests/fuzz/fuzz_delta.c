/* fuzz_delta.c - hostile deltas and batches: whatever is taken can be read to the end, applied and written again. */
#include "crdt/delta_sign.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define COLUMNS 11u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Some values are elements of a SET that was a plain column. */
static bool element(const struct value *v, struct arena *a, struct slice *token)
{
    (void)a;
    *token = v->type == VALUE_INTEGER ? slice_of("7", 1) : v->type == VALUE_TEXT ? slice_of("\"a\"", 3) : (struct slice){0};
    return true;
}

/* Apply an operation to an empty row and store that. */
static void apply(const struct delta_reader *d, const struct row_op *op, const struct chain_table *chains, bool updates_win, struct arena *a)
{
    struct row_column columns[COLUMNS];
    struct row_schema schema = {.columns = columns, .count = COLUMNS, .observes = true, .updates_win = updates_win};
    struct row_writer writer = {.ver = {.stamp = d->stamp}, .seen = &d->deps, .chains = chains};
    struct row row = {0}, back;
    struct buf out = {0};
    struct err err = ERR_INIT;
    bool changed;
    for (uint32_t i = 0; i < COLUMNS; i++)
        columns[i] = (struct row_column){.kind = (uint8_t)(i < 6 ? i : i - 6), .over_lww = i > 6, .missing = VALUE_NULL_INIT, .element = i == 10 ? element : NULL};
    if (row_apply(&row, &schema, op, &writer, a, &changed, &err) == QUARTET_OK && row.life_count > 0) {
        if (row_encode(&row, &schema, chains, &out, &err) != QUARTET_OK ||
            row_decode(slice_of(out.data, out.len), &schema, a, &back, &err) != QUARTET_OK)
            abort();
    }
    buf_deinit(&out);
}

static void read_delta(struct slice bytes)
{
    struct chain_table chains = {0};
    struct arena arena = {.limit_bytes = 64u << 20};
    struct delta_reader d;
    struct err err = ERR_INIT;
    chain_no self;
    bool more = true;
    struct chain_id id = {.slot = 0, .incarnation = 1};
    if (chain_intern(&chains, id, &self, &err) != QUARTET_OK)
        return;
    if (delta_open(&d, bytes, &chains, &err) == QUARTET_OK) {
        while (delta_next_table(&d, &arena, &more, &err) == QUARTET_OK && more) {
            struct arena_mark mark = arena_mark(&arena);
            struct slice key;
            struct row_op op;
            while (delta_next_row(&d, &arena, &key, &op, &more, &err) == QUARTET_OK && more) {
                apply(&d, &op, &chains, false, &arena);
                apply(&d, &op, &chains, true, &arena);
                arena_rewind(&arena, mark);
            }
        }
        delta_close(&d);
    }
    chain_table_deinit(&chains);
    arena_free_all(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct batch_header header;
    struct slice payload, delta;
    struct err err = ERR_INIT;
    read_delta(slice_of(data, size));
    if (batch_parse(slice_of(data, size), &header, &payload, &err) == QUARTET_OK) {
        struct bytes_in in = bytes_in(payload.p, payload.n);
        while (batch_next_delta(&in, &delta))
            read_delta(delta);
    }
    return 0;
}

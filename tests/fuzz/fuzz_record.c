/* fuzz_record.c - hostile records, values, keys and vectors: what decodes can be shown, hashed, written again and merged. */
#include "crdt/key.h"
#include "crdt/row.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define COLUMNS 11u
#define CHAINS 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Some values are elements of a SET that was a plain column. */
static bool element(const struct value *v, struct arena *a, struct slice *token)
{
    (void)a;
    *token = v->type == VALUE_INTEGER ? slice_of("7", 1) : v->type == VALUE_TEXT ? slice_of("\"a\"", 3) : (struct slice){0};
    return true;
}

static void read_record(struct slice bytes, bool updates_win, struct arena *a)
{
    struct row_column columns[COLUMNS];
    struct row_schema schema = {.columns = columns, .count = COLUMNS, .observes = true, .updates_win = updates_win};
    struct chain_id ids[CHAINS] = {{0, 1}, {1, 1}, {2, 7}, {0, 9}};
    struct chain_table chains = {.ids = ids, .count = CHAINS, .cap = CHAINS};
    uint32_t column_ids[COLUMNS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    struct row row, again;
    struct buf out = {0};
    struct err err = ERR_INIT;
    for (uint32_t i = 0; i < COLUMNS; i++)
        columns[i] = (struct row_column){.kind = (uint8_t)(i < 6 ? i : i - 6), .over_lww = i > 6, .missing = VALUE_NULL_INIT, .element = i == 10 ? element : NULL};
    if (row_decode(bytes, &schema, a, &row, &err) == QUARTET_OK && row.life_count > 0) {
        (void)row_hash(&row, &schema, column_ids, 1, slice_of("k", 1), &chains, &out);
        buf_clear(&out);
        if (row_encode(&row, &schema, &chains, &out, &err) != QUARTET_OK ||
            row_decode(slice_of(out.data, out.len), &schema, a, &again, &err) != QUARTET_OK)
            abort();
        (void)row_merge(&row, &again, &schema, &chains, a, &err); /* memory may run out */
    }
    buf_deinit(&out);
}

static void read_key(struct slice bytes, struct arena *a)
{
    static const struct key_column columns[] = {
        {.kind = KEY_ANY, .type = VALUE_NULL},
        {.kind = KEY_BYTES, .type = VALUE_TEXT, .desc = true},
        {.kind = KEY_REAL, .type = VALUE_REAL},
        {.kind = KEY_DECIMAL, .type = VALUE_DECIMAL, .scale = 2},
    };
    struct value v;
    (void)key_check(bytes, columns, 4, a);
    for (uint32_t i = 0; i < 4; i++) {
        struct bytes_in in = bytes_in(bytes.p, bytes.n), skip = in;
        bool got = key_get(&in, &columns[i], &v, a);
        if (got && (!key_skip(&skip, &columns[i]) || skip.left != in.left))
            abort();
    }
}

static void read_vector(struct slice bytes)
{
    struct chain_table chains = {0};
    struct vv v;
    struct err err = ERR_INIT;
    struct bytes_in in = bytes_in(bytes.p, bytes.n);
    if (vv_decode(&in, &v, &chains, &err) == QUARTET_OK)
        vv_deinit(&v);
    chain_table_deinit(&chains);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {.limit_bytes = 16u << 20};
    read_record(slice_of(data, size), false, &arena);
    read_record(slice_of(data, size), true, &arena);
    read_key(slice_of(data, size), &arena);
    read_vector(slice_of(data, size));
    arena_free_all(&arena);
    return 0;
}

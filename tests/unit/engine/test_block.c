/* test_block.c - blocks: every kind of row comes out bit by bit, columns read as rows do, damage is refused, forged bytes do no harm. */
#include "unit/cunit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/prng.h"
#include "engine/block.h"

const char *const unit_suite = "block";

#define ROWS_MAX 900u
#define COLUMNS 9u
#define TREE 77u

struct sample {
    uint32_t n;
    struct buf keys[ROWS_MAX], records[ROWS_MAX];
    struct block_row rows[ROWS_MAX];
    struct arena arena;
    struct buf bytes;
};

static struct value sample_value(struct prng *r, uint32_t column, bool wild)
{
    static const uint8_t text[] = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxyz";
    struct value v = VALUE_NULL_INIT;
    if (prng_chance(r, column % 2 == 0 ? 0.2 : 0))
        return v;
    switch (wild ? prng_below(r, COLUMNS + 2) : column) {
    case 0:
        return value_int((int64_t)prng_u64(r));
    case 1:
        return value_int(100000 + (int64_t)prng_below(r, 200));
    case 2:
        v.type = VALUE_REAL;
        v.r = prng_unit(r) - 0.5;
        return v;
    case 3:
        return value_text(text, prng_below(r, 80));
    case 4:
        v.type = VALUE_DECIMAL;
        v.scale = wild ? (uint8_t)prng_below(r, 5) : 2;
        v.dec = dec_make((__int128)(int64_t)prng_u64(r) * 1000);
        return v;
    case 5:
        v.type = VALUE_UUID;
        prng_fill(r, v.uuid, 16);
        return v;
    case 6:
        v.type = VALUE_BLOB;
        v.s = slice_of(text, prng_below(r, 20));
        return v;
    case 7:
        v.type = VALUE_TIMESTAMP;
        v.i = 1700000000000000 + (int64_t)prng_below(r, 60000);
        return v;
    case 8:
        return value_int(5); /* the same in all rows */
    default:
        v.type = VALUE_DATE;
        v.i = (int64_t)prng_below(r, 3) - 1;
        return v;
    }
}

static void sample_record(struct prng *r, struct buf *out, uint32_t kind)
{
    struct value values[COLUMNS];
    buf_clear(out);
    if (kind == 3 || (kind == 2 && prng_chance(r, 0.1)))
        return; /* index entries */
    if (kind == 2 && prng_chance(r, 0.1)) {
        buf_put(out, "\x3f no record", 11);
        return;
    }
    uint32_t count = kind == 2 ? (uint32_t)prng_below(r, COLUMNS + 1) : COLUMNS;
    for (uint32_t i = 0; i < count; i++)
        values[i] = sample_value(r, i, kind == 2 && prng_chance(r, 0.3));
    struct ver ver = {.stamp = kind == 0 ? 12345 : prng_u64(r) >> 2, .chain = (chain_no)(kind == 2 ? prng_below(r, 3) : 4)};
    if (kind != 2 || prng_chance(r, 0.7)) {
        record_put_simple(out, ver, values, count);
        return;
    }
    struct buf encoded = {0};
    struct record_view view = {.flags = prng_chance(r, 0.6) ? RECORD_LIVE : 0, .meta = slice_of("metametameta", prng_below(r, 12))};
    for (uint32_t i = 0; i < count && view.flags != 0; i++)
        value_encode(&encoded, &values[i]);
    view.value_count = view.flags != 0 ? count : 0;
    view.values = slice_of(encoded.data, encoded.len);
    record_put(out, &view);
    buf_deinit(&encoded);
}

/* kind 0: one version; 1: a version each; 2: everything; 3: index entries. */
static void sample_make(struct sample *s, struct prng *r, uint32_t kind, uint32_t n)
{
    struct err err = ERR_INIT;
    s->n = n;
    uint64_t number = prng_below(r, 1000000);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t be[8];
        number += 1 + prng_below(r, 40);
        store_be64(be, number);
        buf_clear(&s->keys[i]);
        buf_put(&s->keys[i], be, 8);
        if (kind == 2 && prng_chance(r, 0.3))
            buf_put(&s->keys[i], "tail of a key", prng_below(r, 13));
        sample_record(r, &s->records[i], kind);
        struct slice record = slice_of(s->records[i].data, s->records[i].len);
        CU_ASSERT_EQUAL_FATAL(block_row_from_record(&s->rows[i], slice_of(s->keys[i].data, s->keys[i].len), record, &s->arena, &err), QUARTET_OK);
    }
    buf_clear(&s->bytes);
    CU_ASSERT_EQUAL_FATAL(block_encode(TREE, s->rows, n, &s->bytes, &err), QUARTET_OK);
}

static void sample_free(struct sample *s)
{
    for (uint32_t i = 0; i < ROWS_MAX; i++) {
        buf_deinit(&s->keys[i]);
        buf_deinit(&s->records[i]);
    }
    buf_deinit(&s->bytes);
    arena_free_all(&s->arena);
    free(s);
}

static struct sample *sample_new(void)
{
    return calloc(1, sizeof(struct sample));
}

/* A vector as a scan has it: room for whole values. */
static void vec_make(struct vec *v)
{
    *v = (struct vec){.type = VALUE_NULL};
    v->null = malloc(BATCH_ROWS_MAX);
    v->p = malloc(BATCH_ROWS_MAX * sizeof(struct value));
}

static void vec_drop(struct vec *v)
{
    free(v->null);
    free(v->p);
}

static void check_rows(const struct sample *s, const struct block *b)
{
    struct err err = ERR_INIT;
    struct buf key = {0}, record = {0};
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t row;
        bool exact;
        buf_clear(&key);
        buf_clear(&record);
        CU_ASSERT_TRUE(block_key(b, i, &key));
        CU_ASSERT_TRUE(slice_eq(slice_of(key.data, key.len), s->rows[i].key));
        CU_ASSERT_EQUAL(block_record(b, i, &record, &err), QUARTET_OK);
        CU_ASSERT_TRUE(slice_eq(slice_of(record.data, record.len), slice_of(s->records[i].data, s->records[i].len)));
        CU_ASSERT_TRUE(block_find(b, s->rows[i].key, &row, &exact));
        CU_ASSERT_TRUE(exact && row == i);
        buf_u8(&key, 0); /* just above it */
        CU_ASSERT_TRUE(block_find(b, slice_of(key.data, key.len), &row, &exact));
        CU_ASSERT_TRUE(row == i + 1 && !exact);
    }
    buf_deinit(&key);
    buf_deinit(&record);
}

static void check_columns(const struct sample *s, const struct block *b, struct prng *r)
{
    struct err err = ERR_INIT;
    struct value missing = value_int(-3);
    for (uint16_t c = 0; c < COLUMNS + 1; c++) {
        struct vec v;
        vec_make(&v);
        uint32_t at = 0, from = (uint32_t)prng_below(r, s->n), n = (uint32_t)prng_below(r, s->n - from + 1);
        for (int part = 0; part < 3; part++) { /* appended to what is there already */
            CU_ASSERT_EQUAL(block_column(b, c, from, part == 1 ? 0 : n / 3, &v, at, &missing, &err), QUARTET_OK);
            for (uint32_t k = 0; k < (part == 1 ? 0 : n / 3); k++) {
                const struct block_row *row = &s->rows[from + k];
                struct value want = VALUE_NULL_INIT, got = vec_get(&v, at + k);
                if (block_class_live(row->class))
                    want = c < row->value_count ? row->values[c] : missing;
                CU_ASSERT_TRUE(value_identical(&want, &got));
            }
            at += part == 1 ? 0 : n / 3;
        }
        vec_drop(&v);
    }
}

/* One row's columns, in any order, are those of the whole columns. */
static void check_values(const struct sample *s, const struct block *b)
{
    static const uint16_t columns[] = {COLUMNS, 3, 1, 1, COLUMNS - 1};
    struct err err = ERR_INIT;
    struct value missing[5] = {value_int(-1), value_int(-2), value_int(-3), value_int(-4), value_int(-5)}, got[5];
    for (uint32_t i = 0; i < s->n; i++) {
        const struct block_row *row = &s->rows[i];
        bool live = false;
        quartet_status rc = block_values(b, i, columns, 5, missing, got, &live, &err);
        CU_ASSERT_EQUAL(rc, row->class == BLOCK_RAW ? QUARTET_CORRUPT : QUARTET_OK); /* what is no record has no columns */
        CU_ASSERT_EQUAL(live, block_class_live(row->class));
        for (uint32_t k = 0; live && rc == QUARTET_OK && k < 5; k++)
            CU_ASSERT_TRUE(value_identical(&got[k], columns[k] < row->value_count ? &row->values[columns[k]] : &missing[k]));
    }
}

static void test_block_rows_come_out_as_they_went_in(void)
{
    struct prng r;
    struct err err = ERR_INIT;
    prng_seed(&r, unit_seed(1));
    for (uint32_t run = 0; run < 40; run++) {
        struct sample *s = sample_new();
        sample_make(s, &r, run % 4, 1 + (uint32_t)prng_below(&r, run < 20 ? 80 : ROWS_MAX - 1));
        struct block b;
        CU_ASSERT_EQUAL_FATAL(block_open(&b, TREE, s->bytes.data, s->bytes.len, true, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(b.rows, s->n);
        check_rows(s, &b);
        check_columns(s, &b, &r);
        check_values(s, &b);
        /* And into another block. */
        struct block_row *again = calloc(s->n, sizeof *again);
        struct buf bytes = {0};
        for (uint32_t i = 0; i < s->n; i++)
            CU_ASSERT_EQUAL(block_row_get(&b, i, &again[i], &s->arena, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(block_encode(TREE, again, s->n, &bytes, &err), QUARTET_OK);
        CU_ASSERT_TRUE(bytes.len == s->bytes.len && memcmp(bytes.data, s->bytes.data, bytes.len) == 0);
        buf_deinit(&bytes);
        free(again);
        sample_free(s);
    }
}

static void test_block_index_entries_are_small(void)
{
    struct prng r;
    prng_seed(&r, unit_seed(2));
    struct sample *s = sample_new();
    sample_make(s, &r, 3, 800);
    CU_ASSERT_TRUE(s->bytes.len < 800 * 3);
    sample_free(s);
}

static void test_block_holds_a_row_of_megabytes(void)
{
    struct err err = ERR_INIT;
    struct sample *s = sample_new();
    size_t n = 5u << 20;
    uint8_t *text = malloc(n);
    memset(text, 'x', n);
    struct value values[2] = {value_text(text, n), value_int(1)};
    s->n = 1;
    buf_put(&s->keys[0], "key", 3);
    record_put_simple(&s->records[0], (struct ver){.stamp = 9, .chain = 1}, values, 2);
    CU_ASSERT_EQUAL(block_row_from_record(&s->rows[0], slice_of("key", 3), slice_of(s->records[0].data, s->records[0].len), &s->arena, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(block_encode(TREE, s->rows, 1, &s->bytes, &err), QUARTET_OK);
    struct block b;
    CU_ASSERT_EQUAL_FATAL(block_open(&b, TREE, s->bytes.data, s->bytes.len, true, &err), QUARTET_OK);
    check_rows(s, &b);
    free(text);
    sample_free(s);
}

static void test_block_refuses_a_change_of_any_byte(void)
{
    struct prng r;
    struct err err = ERR_INIT;
    prng_seed(&r, unit_seed(3));
    struct sample *s = sample_new();
    sample_make(s, &r, 2, 60);
    struct block b;
    for (size_t i = 0; i < s->bytes.len; i++) {
        uint8_t mask = (uint8_t)(1u << prng_below(&r, 8));
        s->bytes.data[i] ^= mask;
        CU_ASSERT_EQUAL(block_open(&b, TREE, s->bytes.data, s->bytes.len, true, &err), QUARTET_CORRUPT);
        s->bytes.data[i] ^= mask;
        CU_ASSERT_EQUAL(block_open(&b, TREE, s->bytes.data, i, true, &err), QUARTET_CORRUPT);
    }
    CU_ASSERT_EQUAL(block_open(&b, TREE + 1, s->bytes.data, s->bytes.len, true, &err), QUARTET_CORRUPT);
    CU_ASSERT_EQUAL(block_open(&b, TREE, s->bytes.data, s->bytes.len, true, &err), QUARTET_OK);
    sample_free(s);
}

/* Bytes that pass the checksum because somebody made them so: read everything; the sanitizers watch. */
static void touch_all(const uint8_t *p, size_t n)
{
    struct err err = ERR_INIT;
    struct block b;
    if (block_open(&b, TREE, p, n, false, &err) != QUARTET_OK)
        return;
    struct buf out = {0};
    struct arena a = {0};
    for (uint32_t i = 0; i < b.rows && i < 50; i++) {
        struct block_row row;
        (void)block_key(&b, i, &out);
        (void)block_record(&b, i, &out, &err);
        (void)block_row_get(&b, i, &row, &a, &err);
        struct value values[3];
        bool live;
        (void)block_values(&b, i, (const uint16_t[]){COLUMNS, 2, 0}, 3, NULL, values, &live, &err);
        out.len = 0;
    }
    uint32_t row;
    bool exact;
    (void)block_find(&b, slice_of("\0\0\0\0\0\1", 6), &row, &exact);
    (void)block_find(&b, slice_of("\0\0\0\0\0\7\xff\xff", 8), &row, &exact);
    struct vec v;
    vec_make(&v);
    for (uint16_t c = 0; c < COLUMNS; c++) {
        v.type = VALUE_NULL;
        (void)block_column(&b, c, 0, b.rows < 200 ? b.rows : 200, &v, 0, NULL, &err);
    }
    vec_drop(&v);
    buf_deinit(&out);
    arena_free_all(&a);
}

static void test_block_forged_bytes_do_no_harm(void)
{
    struct prng r;
    prng_seed(&r, unit_seed(4));
    struct sample *s = sample_new();
    for (uint32_t run = 0; run < 8; run++) {
        sample_make(s, &r, run % 4, 1 + (uint32_t)prng_below(&r, 50));
        uint8_t *copy = malloc(s->bytes.len); /* exactly as long, so that a byte too many is noticed */
        for (uint32_t i = 0; i < 3000; i++) {
            memcpy(copy, s->bytes.data, s->bytes.len);
            uint32_t changes = 1 + (uint32_t)prng_below(&r, 4);
            for (uint32_t k = 0; k < changes; k++) /* mostly in the header and the directory */
                copy[prng_below(&r, prng_chance(&r, 0.7) && s->bytes.len > 200 ? 200 : s->bytes.len)] = (uint8_t)prng_u64(&r);
            store_le32(copy + 8, (uint32_t)s->bytes.len);
            copy[16] = BLOCK_FORMAT;
            touch_all(copy, s->bytes.len);
        }
        free(copy);
    }
    CU_ASSERT_TRUE(s->n > 0);
    sample_free(s);
}

static void test_block_encode_survives_failed_allocations(void)
{
    struct prng r;
    prng_seed(&r, unit_seed(5));
    struct sample *s = sample_new();
    sample_make(s, &r, 2, 100);
    bool failed_once = false;
    for (uint64_t n = 1; n < 40; n++) {
        struct err err = ERR_INIT;
        struct buf out = {0};
        mem_fail_at(n, false);
        quartet_status rc = block_encode(TREE, s->rows, s->n, &out, &err);
        uint64_t hits = mem_fail_hits();
        mem_fail_at(0, false);
        CU_ASSERT_EQUAL(rc, hits > 0 ? QUARTET_NOMEM : QUARTET_OK);
        failed_once = failed_once || hits > 0;
        buf_deinit(&out);
    }
    CU_ASSERT_TRUE(failed_once);
    sample_free(s);
}

const struct unit_test unit_tests[] = {
    {"rows_come_out_as_they_went_in", test_block_rows_come_out_as_they_went_in},
    {"index_entries_are_small", test_block_index_entries_are_small},
    {"holds_a_row_of_megabytes", test_block_holds_a_row_of_megabytes},
    {"refuses_a_change_of_any_byte", test_block_refuses_a_change_of_any_byte},
    {"forged_bytes_do_no_harm", test_block_forged_bytes_do_no_harm},
    {"encode_survives_failed_allocations", test_block_encode_survives_failed_allocations},
    {NULL, NULL},
};

/* test_block.c - blocks: every kind of row comes out bit by bit, columns read as rows do, damage is refused, forged bytes do no harm. */
#include "unit/cunit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/prng.h"
#include "engine/block_format.h"

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
        record_set_hidden(out->data, out->len, kind == 2 && prng_chance(r, 0.2));
        return;
    }
    struct buf encoded = {0};
    struct record_view view = {.flags = prng_chance(r, 0.6) ? RECORD_LIVE : prng_chance(r, 0.5) ? RECORD_HIDDEN : 0,
                               .meta = slice_of("metametameta", prng_below(r, 12))};
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
    struct arena a = {0};
    for (uint16_t c = 0; c < COLUMNS + 1; c++) {
        struct vec v;
        vec_make(&v);
        uint32_t at = 0, from = (uint32_t)prng_below(r, s->n), n = (uint32_t)prng_below(r, s->n - from + 1);
        for (int part = 0; part < 3; part++) { /* appended to what is there already */
            CU_ASSERT_EQUAL(block_column(b, c, from, part == 1 ? 0 : n / 3, &v, at, &missing, &a, &err), QUARTET_OK);
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
    arena_free_all(&a);
}

/* One row's columns, in any order, are those of the whole columns. */
static void check_values(const struct sample *s, const struct block *b)
{
    static const uint16_t columns[] = {COLUMNS, 3, 1, 1, COLUMNS - 1};
    struct err err = ERR_INIT;
    struct value missing[5] = {value_int(-1), value_int(-2), value_int(-3), value_int(-4), value_int(-5)}, got[5];
    struct arena a = {0};
    for (uint32_t i = 0; i < s->n; i++) {
        const struct block_row *row = &s->rows[i];
        bool live = false;
        quartet_status rc = block_values(b, i, columns, 5, missing, got, &live, &a, &err);
        CU_ASSERT_EQUAL(rc, row->class == BLOCK_RAW ? QUARTET_CORRUPT : QUARTET_OK); /* what is no record has no columns */
        CU_ASSERT_EQUAL(live, block_class_live(row->class));
        for (uint32_t k = 0; live && rc == QUARTET_OK && k < 5; k++)
            CU_ASSERT_TRUE(value_identical(&got[k], columns[k] < row->value_count ? &row->values[columns[k]] : &missing[k]));
    }
    arena_free_all(&a);
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
        CU_ASSERT_EQUAL(block_rows_get(&b, 0, s->n / 2, again, &s->arena, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(block_rows_get(&b, s->n / 2, s->n - s->n / 2, again + s->n / 2, &s->arena, &err), QUARTET_OK);
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
        (void)block_rows_get(&b, i, 1, &row, &a, &err);
        struct value values[3];
        bool live;
        (void)block_values(&b, i, (const uint16_t[]){COLUMNS, 2, 0}, 3, NULL, values, &live, &a, &err);
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
        (void)block_column(&b, c, 0, b.rows < 200 ? b.rows : 200, &v, 0, NULL, &a, &err);
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

/* ---- encodings: each is chosen where it is the smallest, and exact ---- */

static uint8_t words[] = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi";

static struct value word(uint64_t i)
{
    static const uint8_t at[] = {0, 6, 11, 17, 23};
    return value_text(words + at[i % 5], i % 5 == 4 ? 7 : 5 - (i % 5 == 1));
}

static struct value text_of(struct prng *r, uint8_t *room, const char *before, uint32_t digits, const char *after)
{
    size_t n = strlen(before);
    memcpy(room, before, n);
    for (uint32_t i = 0; i < digits; i++)
        room[n++] = (uint8_t)("0123456789abcdefghijklmnopqrstuv"[prng_below(r, 32)]);
    memcpy(room + n, after, strlen(after));
    return value_text(room, n + strlen(after));
}

/* Row i of a column that `encoding` suits; variant counts the ways to it. `room` lasts as long as the value. */
static struct value suited(struct prng *r, uint32_t encoding, uint32_t variant, uint32_t i, uint8_t *room)
{
    static const double odd[] = {0.1, -0.0, 1e300, 5e-324, 1.0 / 3, 1e16, 9007199254740993.0, -123456.789};
    static const int64_t numbers[] = {7, -123456789012, 987654321987, 5000000000001, 44};
    struct value v = VALUE_NULL_INIT;
    switch (encoding) {
    case COLUMN_NONE:
        return v;
    case COLUMN_ONE:
        return variant == 0 ? value_int(-77) : value_text("the same", 8);
    case COLUMN_INT:
        if (variant == 0) { /* every width, both signs */
            uint64_t bits = prng_u64(r) >> (i % 3 == 0 ? 1 : 20);
            return value_int((int64_t)(prng_chance(r, 0.5) ? bits : ~bits));
        }
        if (variant == 1)
            return value_int(prng_below(r, 3) + 1000000);
        v.type = variant == 2 ? VALUE_DATE : VALUE_DECIMAL;
        v.scale = variant == 3 ? 4 : 0;
        if (variant == 2)
            v.i = 19000 + (int64_t)prng_below(r, 3000);
        else
            v.dec = dec_make((__int128)prng_below(r, 100000) - 5000);
        return v;
    case COLUMN_TIMES:
        v.type = variant == 0 ? VALUE_TIMESTAMP : VALUE_INTEGER;
        v.i = variant == 0 ? (int64_t)prng_below(r, 1000000) * 1000000 : (int64_t)prng_below(r, 1 << 24) << 37;
        return v;
    case COLUMN_TENTHS:
        v.type = VALUE_REAL;
        v.r = (double)((int64_t)prng_below(r, 2000000) - 1000000) / (variant == 0 ? 100.0 : 1000000.0);
        return v;
    case COLUMN_HALVES:
        v.type = VALUE_REAL;
        v.r = (double)((int64_t)prng_below(r, 60000) - 1000) * (variant == 0 ? 0.25 : 1.0);
        return v;
    case COLUMN_FIXED:
        v.type = variant == 0 ? VALUE_REAL : variant == 1 ? VALUE_UUID : VALUE_DECIMAL;
        if (variant == 0)
            v.r = prng_chance(r, 0.05) ? odd[prng_below(r, 8)] : prng_unit(r);
        else if (variant == 1)
            prng_fill(r, v.uuid, 16);
        else
            v.dec = dec_make((__int128)(int64_t)prng_u64(r) * 1000000007);
        return v;
    case COLUMN_BYTES:
        prng_fill(r, room, 40);
        v = value_text(room, variant == 0 ? prng_below(r, 40) : 8); /* bytes of any kind: no block looks into them */
        v.type = variant == 0 ? VALUE_BLOB : VALUE_JSON;
        return v;
    case COLUMN_TEMPLATE:
        return variant == 0 ? text_of(r, room, "number ", 6, " of many") : text_of(r, room, "", 3, "/2026-07-01T00:00:00Z");
    case COLUMN_AFFIX:
        return text_of(r, room, "https://example.org/things/", 1 + (uint32_t)prng_below(r, 9), variant == 0 ? ".html" : "");
    case COLUMN_DICT:
        return variant == 0 ? word(prng_u64(r) % 5) : value_int(numbers[prng_below(r, 5)]);
    case COLUMN_RUNS:
        return variant == 0 ? word(i / 80) : value_int((int64_t)(i / 100) * 0x123456789ABCD);
    default:
        return i % 2 == 0 ? value_int((int64_t)i) : word(i);
    }
}

static const uint8_t variants[COLUMN_ENCODINGS] = {1, 2, 4, 2, 2, 2, 3, 2, 2, 2, 2, 2, 1};

static void suited_make(struct sample *s, struct prng *r, uint32_t encoding, uint32_t variant, bool nulls)
{
    struct err err = ERR_INIT;
    uint8_t room[64];
    s->n = 300;
    for (uint32_t i = 0; i < s->n; i++) {
        struct value v[2] = {value_int((int64_t)i), suited(r, encoding, variant, i, room)};
        if (nulls && prng_chance(r, 0.3))
            v[1] = VALUE_NULL_INIT;
        uint8_t be[8];
        store_be64(be, 1000 + i);
        buf_clear(&s->keys[i]);
        buf_clear(&s->records[i]);
        buf_put(&s->keys[i], be, 8);
        record_put_simple(&s->records[i], (struct ver){.stamp = 5}, v, 2);
        CU_ASSERT_EQUAL_FATAL(block_row_from_record(&s->rows[i], slice_of(s->keys[i].data, 8),
                                                    slice_of(s->records[i].data, s->records[i].len), &s->arena, &err), QUARTET_OK);
    }
    buf_clear(&s->bytes);
    CU_ASSERT_EQUAL_FATAL(block_encode(TREE, s->rows, s->n, &s->bytes, &err), QUARTET_OK);
}

static void test_block_each_encoding_is_chosen_and_exact(void)
{
    struct prng r;
    struct err err = ERR_INIT;
    prng_seed(&r, unit_seed(6));
    uint32_t chosen[COLUMN_ENCODINGS] = {0};
    struct sample *s = sample_new();
    for (uint32_t run = 0; run < COLUMN_ENCODINGS * 8; run++) {
        uint32_t encoding = run / 8, variant = run / 2 % 4;
        bool nulls = run % 2 != 0;
        if (variant >= variants[encoding])
            continue;
        suited_make(s, &r, encoding, variant, nulls);
        struct block b;
        CU_ASSERT_EQUAL_FATAL(block_open(&b, TREE, s->bytes.data, s->bytes.len, true, &err), QUARTET_OK);
        uint8_t got = block_encoding(&b, 1);
        chosen[got]++;
        /* Where texts may be NULL, what they begin and end with is not looked for. */
        if (got != encoding && !(encoding == COLUMN_AFFIX && nulls))
            printf("encoding %u variant %u nulls %d: chosen is %u\n", encoding, variant, nulls, got);
        CU_ASSERT_TRUE(got == encoding || (encoding == COLUMN_AFFIX && nulls));
        check_rows(s, &b);
        check_columns(s, &b, &r);
        check_values(s, &b);
        uint8_t *copy = malloc(s->bytes.len); /* forged bytes, too: exactly as long, so that a byte too many is noticed */
        for (uint32_t i = 0; i < 300; i++) {
            memcpy(copy, s->bytes.data, s->bytes.len);
            for (uint64_t k = 1 + prng_below(&r, 3); k > 0; k--)
                copy[17 + prng_below(&r, prng_chance(&r, 0.8) && s->bytes.len > 150 ? 130 : s->bytes.len - 17)] = (uint8_t)prng_u64(&r);
            touch_all(copy, s->bytes.len);
        }
        free(copy);
    }
    for (uint32_t e = 0; e < COLUMN_ENCODINGS; e++)
        CU_ASSERT_TRUE(chosen[e] > 0);
    sample_free(s);
}

/* ---- keys ---- */

static void key_make(struct prng *r, uint32_t kind, uint64_t *number, struct buf *out)
{
    uint8_t be[8];
    buf_clear(out);
    *number += kind == 0 ? 3 : kind == 5 ? (UINT64_C(1) << 27) * (1 + prng_below(r, 3)) : 1 + prng_below(r, kind == 1 ? 5 : kind == 2 ? 1u << 30 : 300);
    store_be64(be, *number);
    if (kind == 3) /* an index entry: a tag, a number, another tag and number */
        buf_u8(out, 1);
    buf_put(out, be, 8);
    if (kind == 3) {
        buf_u8(out, 1);
        store_be64(be, prng_below(r, 70000));
        buf_put(out, be, 8);
    } else if (kind == 4) {
        buf_put(out, "of any length", prng_below(r, 14));
    }
}

/* Where a key would be, looked for one by one. */
static uint32_t find_slowly(const struct sample *s, struct slice key, bool *exact)
{
    uint32_t row = 0;
    while (row < s->n && slice_cmp(s->rows[row].key, key) < 0)
        row++;
    *exact = row < s->n && slice_eq(s->rows[row].key, key);
    return row;
}

static void test_block_finds_any_key_in_any_encoding(void)
{
    struct prng r;
    struct err err = ERR_INIT;
    prng_seed(&r, unit_seed(7));
    struct sample *s = sample_new();
    uint32_t encodings[3] = {0};
    for (uint32_t run = 0; run < 60; run++) {
        uint64_t number = run % 7 != 0 ? prng_u64(&r) >> 2 : run % 6 == 0 ? 0 - (uint64_t)3 : 0; /* also from 0 */
        s->n = 1 + (uint32_t)prng_below(&r, run % 5 == 0 ? 3 : 200);
        for (uint32_t i = 0; i < s->n; i++) {
            key_make(&r, run % 6, &number, &s->keys[i]);
            CU_ASSERT_EQUAL_FATAL(block_row_from_record(&s->rows[i], slice_of(s->keys[i].data, s->keys[i].len), slice_of("", 0), &s->arena, &err), QUARTET_OK);
        }
        buf_clear(&s->bytes);
        struct block b;
        CU_ASSERT_EQUAL_FATAL(block_encode(TREE, s->rows, s->n, &s->bytes, &err), QUARTET_OK);
        CU_ASSERT_EQUAL_FATAL(block_open(&b, TREE, s->bytes.data, s->bytes.len, true, &err), QUARTET_OK);
        encodings[b.key_encoding]++;
        for (uint32_t i = 0; i < 400; i++) {
            struct buf key = {0};
            const struct buf *near = &s->keys[prng_below(&r, s->n)];
            buf_put(&key, near->data, near->len - prng_below(&r, i % 4 == 0 ? near->len + 1 : 1));
            for (uint64_t k = prng_below(&r, 3); k > 0 && key.len > 0; k--)
                key.data[key.len - 1 - prng_below(&r, prng_chance(&r, 0.5) && key.len > 2 ? 2 : key.len)] += (uint8_t)(prng_below(&r, 3) - 1);
            if (i % 5 == 0)
                buf_u8(&key, (uint8_t)prng_below(&r, 2));
            uint32_t row;
            bool exact, want_exact;
            struct slice probe = slice_of(key.data != NULL ? key.data : (const uint8_t *)"", key.len);
            uint32_t want = find_slowly(s, probe, &want_exact);
            CU_ASSERT_TRUE(block_find(&b, probe, &row, &exact));
            CU_ASSERT_EQUAL(row, want);
            CU_ASSERT_EQUAL(exact, want_exact);
            buf_deinit(&key);
        }
    }
    CU_ASSERT_TRUE(encodings[KEYS_BYTES] > 0 && encodings[KEYS_INT] > 0 && encodings[KEYS_TEMPLATE] > 0);
    sample_free(s);
}

/* ---- metadata ---- */

/* A row of four integers; updated rows carry meta as row_encode makes it: one birth, one later version of two columns. */
static size_t bytes_of_rows(struct prng *r, bool updated, bool own_commits)
{
    struct err err = ERR_INIT;
    struct sample *s = sample_new();
    uint64_t stamp = UINT64_C(1785000000000) << 18;
    s->n = 200;
    for (uint32_t i = 0; i < s->n; i++) {
        uint8_t be[8];
        struct value v[4] = {value_int(7), value_int(7), value_int(7), value_int(7)};
        struct buf meta = {0}, values = {0};
        struct record_view view = {.flags = RECORD_LIVE | RECORD_SIMPLE, .ver = {.stamp = stamp, .chain = 2}, .value_count = 4};
        if (own_commits)
            view.ver.stamp += prng_below(r, 600000) << 18;
        for (uint32_t k = 0; k < 4; k++)
            value_encode(&values, &v[k]);
        view.values = slice_of(values.data, values.len);
        if (updated) {
            view.flags = RECORD_LIVE;
            buf_u8(&meta, 1);
            buf_u64(&meta, view.ver.stamp);
            buf_varint(&meta, (uint64_t)view.ver.chain * 2);
            buf_u8(&meta, 1);
            buf_varint(&meta, 2);
            buf_varint(&meta, (own_commits ? 1000000 + prng_below(r, 600000) : 1000000 + prng_below(r, 10) * 5000) << 19);
            buf_put(&meta, "\1\5", 2);
            view.meta = slice_of(meta.data, meta.len);
        }
        store_be64(be, i);
        buf_put(&s->keys[i], be, 8);
        record_put(&s->records[i], &view);
        CU_ASSERT_EQUAL_FATAL(block_row_from_record(&s->rows[i], slice_of(s->keys[i].data, 8),
                                                    slice_of(s->records[i].data, s->records[i].len), &s->arena, &err), QUARTET_OK);
        buf_deinit(&meta);
        buf_deinit(&values);
    }
    CU_ASSERT_EQUAL_FATAL(block_encode(TREE, s->rows, s->n, &s->bytes, &err), QUARTET_OK);
    struct block b;
    CU_ASSERT_EQUAL_FATAL(block_open(&b, TREE, s->bytes.data, s->bytes.len, true, &err), QUARTET_OK);
    check_rows(s, &b);
    size_t bytes = s->bytes.len;
    sample_free(s);
    return bytes;
}

static void test_block_metadata_is_small(void)
{
    struct prng r;
    prng_seed(&r, unit_seed(8));
    size_t plain = bytes_of_rows(&r, false, false);
    CU_ASSERT_TRUE(plain < 200); /* less than a byte a row, head included */
    CU_ASSERT_TRUE(bytes_of_rows(&r, false, true) < plain + 200 * 6); /* single commits of ten minutes */
    CU_ASSERT_TRUE(bytes_of_rows(&r, true, false) < plain + 200 * 2); /* updated by ten transactions */
    CU_ASSERT_TRUE(bytes_of_rows(&r, true, true) < plain + 200 * 13);
}

const struct unit_test unit_tests[] = {
    {"each_encoding_is_chosen_and_exact", test_block_each_encoding_is_chosen_and_exact},
    {"finds_any_key_in_any_encoding", test_block_finds_any_key_in_any_encoding},
    {"metadata_is_small", test_block_metadata_is_small},
    {"rows_come_out_as_they_went_in", test_block_rows_come_out_as_they_went_in},
    {"index_entries_are_small", test_block_index_entries_are_small},
    {"holds_a_row_of_megabytes", test_block_holds_a_row_of_megabytes},
    {"refuses_a_change_of_any_byte", test_block_refuses_a_change_of_any_byte},
    {"forged_bytes_do_no_harm", test_block_forged_bytes_do_no_harm},
    {"encode_survives_failed_allocations", test_block_encode_survives_failed_allocations},
    {NULL, NULL},
};

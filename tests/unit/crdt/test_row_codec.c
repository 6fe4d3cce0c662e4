/* test_row_codec.c - records: their size, their one form, and what damage does to them. */
#include "unit/cunit.h"

#include "base/mem.h"
#include "merge/history.h"
#include "unit/crdt/gen.h"

#include <stdio.h>
#include <string.h>

const char *const unit_suite = "row_codec";

#define COLUMNS 20u
static struct row_column columns[COLUMNS];
static const struct row_schema schema = {.columns = columns, .count = COLUMNS};
static struct chain_table chains;
static struct arena arena;

static void begin(void)
{
    struct err err = ERR_INIT;
    chain_no no;
    for (uint32_t i = 0; i < COLUMNS; i++)
        columns[i] = (struct row_column){.kind = ROW_LWW, .missing = value_int(-7)};
    columns[5] = (struct row_column){.kind = ROW_COUNTER, .missing = VALUE_NULL_INIT};
    for (uint64_t i = 1; i <= 3; i++)
        CU_ASSERT_FATAL(chain_intern(&chains, (struct chain_id){.slot = 0, .incarnation = i}, &no, &err) == QUARTET_OK);
}

static void end(void)
{
    chain_table_deinit(&chains);
    arena_free_all(&arena);
}

static void apply(struct row *row, struct ver ver, const struct vv *seen, uint8_t flags, struct row_write *writes, uint32_t count)
{
    struct err err = ERR_INIT;
    bool changed;
    struct row_op op = {.flags = flags, .writes = writes, .write_count = count};
    struct row_writer writer = {.ver = ver, .seen = seen, .chains = &chains};
    CU_ASSERT_FATAL(row_apply(row, &schema, &op, &writer, &arena, &changed, &err) == QUARTET_OK);
}

#define HOUR (3600000ull << 18)
static const struct ver BIRTH = {.stamp = 1700000000000ull << 18, .chain = 1};

/* A row with all columns 1, born at BIRTH. */
static struct row born(void)
{
    struct row row = {0};
    struct vv none = {0};
    struct row_write writes[COLUMNS];
    for (uint32_t i = 0; i < COLUMNS; i++)
        writes[i] = (struct row_write){.column = i, .value = value_int(1)};
    apply(&row, BIRTH, &none, ROW_OP_INSERT, writes, COLUMNS);
    return row;
}

static struct slice encode(const struct row *row, const struct row_schema *s)
{
    struct err err = ERR_INIT;
    struct buf out = {0};
    CU_ASSERT_FATAL(row_encode(row, s, &chains, &out, &err) == QUARTET_OK);
    struct slice bytes = slice_of(arena_dup(&arena, out.data, out.len), out.len);
    buf_deinit(&out);
    return bytes;
}

static void check_round_trip(const struct row *row)
{
    struct err err = ERR_INIT;
    struct row back;
    struct slice bytes = encode(row, &schema);
    CU_ASSERT_FATAL(row_decode(bytes, &schema, &arena, &back, &err) == QUARTET_OK);
    CU_ASSERT(slice_eq(encode(&back, &schema), bytes));
}

static void test_row_codec_simple_rows_cost_twelve_bytes(void)
{
    begin();
    struct row row = born();
    struct slice bytes = encode(&row, &schema);
    struct record_view view;
    struct buf fast = {0}, put = {0};
    struct value values[COLUMNS];
    CU_ASSERT(record_view(bytes, &view));
    CU_ASSERT(view.flags == (RECORD_LIVE | RECORD_SIMPLE) && ver_eq(view.ver, BIRTH) && view.value_count == COLUMNS);
    CU_ASSERT_EQUAL(bytes.n - view.values.n, 12); /* flags, stamp, chain, count */
    CU_ASSERT(row_show(&row, &schema, &chains, &arena, values));
    record_put_simple(&fast, BIRTH, values, COLUMNS);
    record_put(&put, &view);
    CU_ASSERT(slice_eq(slice_of(fast.data, fast.len), bytes));
    CU_ASSERT(slice_eq(slice_of(put.data, put.len), bytes));
    buf_deinit(&fast);
    buf_deinit(&put);
    check_round_trip(&row);
    end();
}

static void test_row_codec_updated_rows_stay_compact(void)
{
    begin();
    struct row row = born();
    struct vv seen = {.e = &(struct vv_entry){.chain = 1, .number = 1, .stamp = BIRTH.stamp}, .count = 1};
    struct record_view view;
    struct row_write writes[3] = {{.column = 2, .value = value_int(2)}, {.column = 19, .value = value_int(3)},
                                  {.column = 5, .op = ROW_ADD, .value = value_int(4)}};
    apply(&row, (struct ver){BIRTH.stamp + HOUR, 2}, &seen, 0, writes, 2);
    CU_ASSERT(record_view(encode(&row, &schema), &view));
    printf("two columns updated: %zu bytes of meta; ", view.meta.n);
    CU_ASSERT(view.meta.n <= 10 + 13); /* birth; version, bitmap of 20 columns */
    check_round_trip(&row);

    row = born();
    apply(&row, (struct ver){BIRTH.stamp + HOUR, 1}, &seen, 0, writes + 2, 1);
    CU_ASSERT(record_view(encode(&row, &schema), &view));
    printf("counter of one chain: %zu; ", view.meta.n);
    CU_ASSERT(view.meta.n <= 10 + 16);
    apply(&row, (struct ver){BIRTH.stamp + 2 * HOUR, 1}, &seen, 0, writes, 3);
    CU_ASSERT(record_view(encode(&row, &schema), &view));
    printf("both: %zu ", view.meta.n);
    CU_ASSERT(view.meta.n <= 10 + 20); /* the counter shares the columns' version */
    check_round_trip(&row);
    end();
}

static void test_row_codec_does_not_depend_on_later_columns(void)
{
    begin();
    struct row_schema old = {.columns = columns, .count = 6};
    struct err err = ERR_INIT;
    struct row row = {0}, back;
    struct vv none = {0};
    struct value shown;
    struct row_write writes[6];
    for (uint32_t i = 0; i < 6; i++)
        writes[i] = (struct row_write){.column = i, .value = value_int((int64_t)i)};
    apply(&row, BIRTH, &none, ROW_OP_INSERT, writes, 6);
    struct slice bytes = encode(&row, &schema);
    CU_ASSERT(slice_eq(bytes, encode(&row, &old)));
    CU_ASSERT_FATAL(row_decode(bytes, &schema, &arena, &back, &err) == QUARTET_OK);
    CU_ASSERT(row_show_column(&back, &schema, &chains, 10, &arena, &shown));
    CU_ASSERT(shown.type == VALUE_INTEGER && shown.i == -7);
    old.count = 5;
    CU_ASSERT(row_decode(bytes, &old, &arena, &back, &err) == QUARTET_CORRUPT);
    end();
}

static void test_row_codec_takes_more_versions_than_its_dictionary(void)
{
    begin();
    struct err err = ERR_INIT;
    struct row_column many[200];
    struct row_schema wide = {.columns = many, .count = 200};
    struct row row = {0}, back;
    struct vv none = {0};
    bool changed;
    for (uint32_t i = 0; i < 200; i++)
        many[i] = (struct row_column){.kind = i % 3 == 0 ? ROW_COUNTER : ROW_LWW, .missing = VALUE_NULL_INIT};
    struct row_write w = {.column = 0, .value = value_int(1)};
    struct row_op op = {.flags = ROW_OP_INSERT, .writes = &w, .write_count = 1};
    struct row_writer writer = {.ver = BIRTH, .seen = &none, .chains = &chains};
    CU_ASSERT_FATAL(row_apply(&row, &wide, &op, &writer, &arena, &changed, &err) == QUARTET_OK);
    for (uint32_t i = 0; i < 200; i++) {
        op.flags = 0;
        w = (struct row_write){.column = i, .op = i % 3 == 0 ? ROW_ADD : ROW_PUT, .value = value_int(i + 1)};
        writer.ver.stamp += 4;
        CU_ASSERT_FATAL(row_apply(&row, &wide, &op, &writer, &arena, &changed, &err) == QUARTET_OK);
    }
    struct slice bytes = encode(&row, &wide);
    CU_ASSERT_FATAL(row_decode(bytes, &wide, &arena, &back, &err) == QUARTET_OK);
    CU_ASSERT(slice_eq(encode(&back, &wide), bytes));
    for (uint32_t i = 0; i < 200; i++) {
        struct value v;
        CU_ASSERT(row_show_column(&back, &wide, &chains, i, &arena, &v));
        CU_ASSERT_FATAL(v.i == (i == 0 ? 2 : (int64_t)i + 1));
    }
    end();
}

/* The short way and the long one to the hash and the record of a row that one INSERT wrote. */
static void test_row_codec_plain_rows_hash_alike(void)
{
    begin();
    struct prng r;
    struct buf scratch = {0}, values = {0}, record = {0};
    struct err err = ERR_INIT;
    prng_seed(&r, unit_seed(21));
    for (uint32_t run = 0; run < 2000; run++) {
        enum { MANY = 12 };
        struct row_column plain[MANY];
        struct row_cell cells[MANY];
        struct value shown[MANY];
        static uint8_t room[MANY][GEN_ROOM_BYTES];
        uint32_t ids[MANY], ends[MANY], count = (uint32_t)prng_below(&r, MANY + 1), written = (uint32_t)prng_below(&r, count + 1);
        buf_clear(&values);
        for (uint32_t i = 0; i < count; i++) {
            plain[i] = (struct row_column){.kind = ROW_LWW, .missing = VALUE_NULL_INIT};
            ids[i] = (i > 0 ? ids[i - 1] : 0) + 1 + (uint32_t)prng_below(&r, prng_chance(&r, 0.5) ? 3 : 100000000);
            cells[i] = (struct row_cell){.value = VALUE_NULL_INIT};
            if (i >= written)
                continue;
            shown[i] = gen_value(&r, room[i]);
            cells[i] = (struct row_cell){.ver = BIRTH, .value = shown[i]};
            value_encode(&values, &shown[i]);
            ends[i] = (uint32_t)values.len;
        }
        uint8_t key[300] = {1};
        struct slice k = slice_of(key, prng_below(&r, sizeof key));
        struct row_life life = {.birth = BIRTH, .cells = cells};
        struct row row = {.lives = &life, .life_count = 1};
        struct row_schema some = {.columns = plain, .count = count};
        struct row_plain short_way = {.ver = BIRTH, .values = values.data, .ends = ends, .count = written};
        struct state_hash x = row_hash(&row, &some, ids, run, k, &chains, &scratch);
        struct state_hash y = row_hash_plain(&short_way, ids, run, k, &chains, &scratch);
        CU_ASSERT(x.lo == y.lo && x.hi == y.hi);
        struct record_view view = {.flags = RECORD_LIVE | RECORD_SIMPLE, .ver = BIRTH, .value_count = written, .values = slice_of(values.data, values.len)};
        buf_clear(&record);
        buf_clear(&scratch);
        record_put(&record, &view);
        record_put_simple(&scratch, BIRTH, shown, written);
        CU_ASSERT(slice_eq(slice_of(record.data, record.len), slice_of(scratch.data, scratch.len)));
        /* Hidden, a record tells the same row, and that readers skip it; shown again it is what it was. */
        record_set_hidden(record.data, record.len, true);
        CU_ASSERT(record_view(slice_of(record.data, record.len), &view) && view.flags == (RECORD_HIDDEN | RECORD_SIMPLE) && view.value_count == written);
        CU_ASSERT_EQUAL(row_decode(slice_of(record.data, record.len), &some, &arena, &row, &err), QUARTET_OK);
        CU_ASSERT(row_live(&row) && ver_eq(row_first_life(&row)->birth, BIRTH));
        buf_clear(&values);
        record_put(&values, &view);
        CU_ASSERT(slice_eq(slice_of(record.data, record.len), slice_of(values.data, values.len)));
        record_set_hidden(record.data, record.len, false);
        CU_ASSERT(slice_eq(slice_of(record.data, record.len), slice_of(scratch.data, scratch.len)));
    }
    buf_deinit(&scratch);
    buf_deinit(&values);
    buf_deinit(&record);
    end();
}

static void test_row_codec_hash_counts_what_is_logical(void)
{
    begin();
    struct buf scratch = {0};
    uint32_t ids[COLUMNS], swapped[COLUMNS];
    struct row row = born(), same = born();
    struct row_part zero = {.chain = 2, .last = BIRTH.stamp + 8}, one = {.chain = 1, .last = BIRTH.stamp, .sum = dec_make(1)};
    for (uint32_t i = 0; i < COLUMNS; i++)
        ids[i] = swapped[i] = i + 1;
    swapped[0] = 2;
    swapped[1] = 1;
    struct slice key = slice_of("k", 1);
    struct state_hash x = row_hash(&row, &schema, ids, 1, key, &chains, &scratch);
    struct row_part parts[2] = {one, zero}; /* what folding would leave or not */
    same.lives[0].cells[5].parts = parts;
    same.lives[0].cells[5].part_count = 2;
    struct state_hash y = row_hash(&same, &schema, ids, 1, key, &chains, &scratch);
    CU_ASSERT(x.lo == y.lo && x.hi == y.hi);
    y = row_hash(&row, &schema, swapped, 1, key, &chains, &scratch); /* columns 1 and 2 hold the same value */
    CU_ASSERT(x.lo == y.lo && x.hi == y.hi);
    y = row_hash(&row, &schema, ids, 2, key, &chains, &scratch);
    CU_ASSERT(x.lo != y.lo);
    y = row_hash(&row, &schema, ids, 1, slice_of("l", 1), &chains, &scratch);
    CU_ASSERT(x.lo != y.lo);
    same.lives[0].cells[3].value = value_int(2);
    y = row_hash(&same, &schema, ids, 1, key, &chains, &scratch);
    CU_ASSERT(x.lo != y.lo);
    struct state_hash sum = {.lo = UINT64_MAX - 1, .hi = 5}, was = sum;
    state_hash_add(&sum, x);
    state_hash_add(&sum, y);
    state_hash_sub(&sum, x);
    state_hash_sub(&sum, y);
    CU_ASSERT(sum.lo == was.lo && sum.hi == was.hi);
    buf_deinit(&scratch);
    end();
}

/* Records of random rows, cut and damaged. What still decodes can be shown, encoded and hashed. */
static void damage(struct prng *r, const struct history *h, struct slice bytes, const struct replica *p)
{
    uint8_t *copy = arena_dup(&arena, bytes.p, bytes.n);
    struct err err = ERR_INIT;
    struct buf out = {0}, scratch = {0};
    struct row row;
    struct value shown[HISTORY_COLUMNS];
    size_t n = prng_chance(r, 0.3) ? (size_t)prng_below(r, bytes.n) : bytes.n;
    CU_ASSERT_FATAL(copy != NULL);
    for (uint64_t i = prng_below(r, 4); i > 0 && n > 0; i--)
        copy[prng_below(r, n)] = (uint8_t)(prng_chance(r, 0.5) ? prng_u64(r) : prng_below(r, 2) * 255);
    struct arena limited = {.limit_bytes = 1u << 20};
    quartet_status rc = row_decode(slice_of(copy, n), &h->schema, &limited, &row, &err);
    CU_ASSERT_FATAL(rc == QUARTET_OK || rc == QUARTET_CORRUPT || rc == QUARTET_LIMIT);
    if (rc == QUARTET_OK && row.life_count > 0) {
        CU_ASSERT_FATAL(row_encode(&row, &h->schema, &p->chains, &out, &err) == QUARTET_OK);
        if (row_live(&row))
            CU_ASSERT(row_show(&row, &h->schema, &p->chains, &limited, shown));
        (void)row_hash(&row, &h->schema, h->column_ids, 1, slice_of("k", 1), &p->chains, &scratch);
    }
    arena_free_all(&limited);
    buf_deinit(&out);
    buf_deinit(&scratch);
}

static void test_row_codec_stands_damage(void)
{
    static struct history h;
    struct prng r;
    struct err err = ERR_INIT;
    bool changed;
    prng_seed(&r, unit_seed(31));
    for (int i = 0; i < 3000; i++) {
        struct replica p;
        struct slice bytes;
        struct row row;
        history_random(&h, &r, 3, 1 + (uint32_t)prng_below(&r, 9));
        CU_ASSERT_FATAL(replica_init(&p, &h, NULL));
        for (uint32_t k = 0; k < h.count; k++)
            CU_ASSERT_FATAL(replica_apply(&p, &h, &h.t[k], &arena, &changed, &err) == QUARTET_OK);
        CU_ASSERT_FATAL(replica_bytes(&p, &h, &arena, &bytes, &err) == QUARTET_OK);
        for (size_t n = 1; n < bytes.n; n++)
            CU_ASSERT_FATAL(row_decode(slice_of(bytes.p, n), &h.schema, &arena, &row, &err) == QUARTET_CORRUPT);
        for (int k = 0; k < 40 && bytes.n > 0; k++)
            damage(&r, &h, bytes, &p);
        replica_deinit(&p);
        arena_free_all(&arena);
    }
}

static void test_row_codec_refuses_hostile_counts(void)
{
    begin();
    struct err err = ERR_INIT;
    struct row row;
    struct arena small = {.limit_bytes = 100000};
    static const uint8_t lives[] = {0, 6, 0xff, 0xff, 0xff, 0xff, 0x0f, 0};
    static const uint8_t values[] = {3, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0x7f, 5};
    static const uint8_t meta[] = {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};
    CU_ASSERT(row_decode(slice_of(lives, sizeof lives), &schema, &small, &row, &err) == QUARTET_CORRUPT);
    CU_ASSERT(row_decode(slice_of(values, sizeof values), &schema, &small, &row, &err) == QUARTET_CORRUPT);
    CU_ASSERT(row_decode(slice_of(meta, sizeof meta), &schema, &small, &row, &err) == QUARTET_CORRUPT);
    CU_ASSERT(row_decode(slice_of(meta, 0), &schema, &small, &row, &err) == QUARTET_OK);
    CU_ASSERT_EQUAL(row.life_count, 0);
    arena_free_all(&small);
    end();
}

static void test_row_codec_survives_each_failed_allocation(void)
{
    begin();
    struct row row = born();
    bool done = false;
    for (uint64_t n = 1; !done && n < 100; n++) {
        struct err err = ERR_INIT;
        struct buf out = {0};
        mem_fail_at(n, true);
        quartet_status rc = row_encode(&row, &schema, &chains, &out, &err);
        done = mem_fail_hits() == 0;
        mem_fail_at(0, false);
        CU_ASSERT(rc == (done ? QUARTET_OK : QUARTET_NOMEM));
        buf_deinit(&out);
    }
    CU_ASSERT(done);
    end();
}

const struct unit_test unit_tests[] = {
    {"plain_rows_hash_alike", test_row_codec_plain_rows_hash_alike},
    {"test_row_codec_simple_rows_cost_twelve_bytes", test_row_codec_simple_rows_cost_twelve_bytes},
    {"test_row_codec_updated_rows_stay_compact", test_row_codec_updated_rows_stay_compact},
    {"test_row_codec_does_not_depend_on_later_columns", test_row_codec_does_not_depend_on_later_columns},
    {"test_row_codec_takes_more_versions_than_its_dictionary", test_row_codec_takes_more_versions_than_its_dictionary},
    {"test_row_codec_hash_counts_what_is_logical", test_row_codec_hash_counts_what_is_logical},
    {"test_row_codec_stands_damage", test_row_codec_stands_damage},
    {"test_row_codec_refuses_hostile_counts", test_row_codec_refuses_hostile_counts},
    {"test_row_codec_survives_each_failed_allocation", test_row_codec_survives_each_failed_allocation},
    {NULL, NULL},
};

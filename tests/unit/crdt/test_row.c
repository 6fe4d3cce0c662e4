/* test_row.c - what DESIGN.md says about particular histories of one row, each in every causal order of arrival. */
#include "unit/cunit.h"

#include "base/mem.h"
#include "merge/history.h"

#include <string.h>

const char *const unit_suite = "row";

enum { A, B, C }; /* writers */

static struct arena arena;
static struct history h;

static uint64_t seen_nothing[HISTORY_WRITERS_MAX];

static const uint64_t *seen(uint64_t a, uint64_t b, uint64_t c)
{
    static uint64_t numbers[HISTORY_WRITERS_MAX];
    numbers[A] = a;
    numbers[B] = b;
    numbers[C] = c;
    return numbers;
}

static struct value text(const char *s)
{
    return value_text(s, strlen(s));
}

static struct value decimal(int64_t n)
{
    return (struct value){.type = VALUE_DECIMAL, .scale = 2, .dec = dec_make(n)};
}

/* An INSERT of (v, 0, 0, n, d). */
static struct history_txn *insert(uint32_t writer, hlc_stamp stamp, const uint64_t *saw, uint8_t flags, const char *v, int64_t n)
{
    struct history_txn *t = history_add(&h, writer, stamp, saw, ROW_OP_INSERT | flags);
    history_write(t, 0, false, text(v));
    history_write(t, 1, false, value_int(0));
    history_write(t, 2, false, value_int(0));
    history_write(t, 3, false, value_int(n));
    history_write(t, 4, false, decimal(n * 100));
    return t;
}

struct want {
    bool live;
    const char *v; /* column 0 */
    int64_t n;     /* column 3 */
};

static void check_end(const struct replica *p, const struct want *want)
{
    struct value shown[HISTORY_COLUMNS], v = want->v != NULL ? text(want->v) : VALUE_NULL_INIT, n = value_int(want->n);
    CU_ASSERT_EQUAL(row_live(&p->row), want->live);
    if (!want->live || !row_live(&p->row))
        return;
    CU_ASSERT(row_show(&p->row, &h.schema, &p->chains, &arena, shown));
    CU_ASSERT(value_identical(&shown[0], &v));
    CU_ASSERT(value_identical(&shown[3], &n));
}

static void every_order(const struct replica *p, const struct want *want, int *orders)
{
    struct err err = ERR_INIT;
    bool any = false, changed;
    for (uint32_t i = 0; i < h.count; i++) {
        struct replica next = *p;
        if (!replica_ready(p, &h.t[i]))
            continue;
        any = true;
        CU_ASSERT_FATAL(replica_import(p, &h, p, &arena, &next.row, &err) == QUARTET_OK);
        CU_ASSERT_FATAL(replica_apply(&next, &h, &h.t[i], &arena, &changed, &err) == QUARTET_OK);
        every_order(&next, want, orders);
    }
    if (any)
        return;
    check_end(p, want);
    ++*orders;
}

static void expect(bool live, const char *v, int64_t n, int orders_min)
{
    struct want want = {.live = live, .v = v, .n = n};
    struct replica p;
    struct model m;
    struct value shown[HISTORY_COLUMNS];
    int orders = 0;
    CU_ASSERT_FATAL(replica_init(&p, &h, NULL));
    every_order(&p, &want, &orders);
    CU_ASSERT(orders >= orders_min);
    model_init(&m);
    CU_ASSERT(history_fill_model(&h, &m));
    CU_ASSERT_EQUAL(model_show(&m, HISTORY_TABLE, slice_of("k", 1), NULL, 0, &h.schema, &arena, shown, NULL), live);
    model_deinit(&m);
    replica_deinit(&p);
    arena_free_all(&arena);
}

static void test_row_delete_of_one_birth_shows_the_other_again(void)
{
    history_begin(&h, 3);
    insert(A, 40, seen_nothing, 0, "A", 1);
    insert(B, 80, seen_nothing, 0, "B", 1);
    history_add(&h, C, 120, seen(0, 1, 0), ROW_OP_DELETE);
    expect(true, "A", 1, 3);
}

static void test_row_delete_spares_an_insert_it_had_not_seen(void)
{
    history_begin(&h, 3);
    insert(A, 40, seen_nothing, 0, "A", 1);
    history_add(&h, A, 400, seen(1, 0, 0), ROW_OP_DELETE);
    insert(C, 44, seen_nothing, 0, "C", 2);
    expect(true, "C", 2, 3);
}

static void test_row_counters_of_concurrent_inserts_add(void)
{
    history_begin(&h, 2);
    insert(A, 40, seen_nothing, 0, "A", 1);
    insert(B, 41, seen_nothing, 0, "B", 1);
    expect(true, "B", 2, 2);
}

/* A and B insert, C sees both and adds 10: to the newer life, and once. */
static void test_row_addition_to_a_row_of_two_births_counts_once(void)
{
    history_begin(&h, 3);
    insert(A, 40, seen_nothing, 0, "A", 1);
    insert(B, 80, seen_nothing, 0, "B", 1);
    struct history_txn *t = history_add(&h, C, 120, seen(1, 1, 0), ROW_OP_ADD_TO);
    t->lives[0] = (struct row_birth){.chain = h.chains[B], .stamp = 80};
    t->op.lives = t->lives;
    t->model_op.lives = t->lives;
    t->op.life_count = t->model_op.life_count = 1;
    history_write(t, 3, true, value_int(10));
    expect(true, "B", 12, 2);
    history_add(&h, A, 160, seen(1, 0, 0), ROW_OP_DELETE); /* it knew its own birth only */
    expect(true, "B", 11, 2);
}

static void test_row_delete_wins_over_a_concurrent_update(void)
{
    history_begin(&h, 2);
    insert(A, 40, seen_nothing, 0, "A", 1);
    history_add(&h, A, 44, seen(1, 0, 0), ROW_OP_DELETE);
    history_write(history_add(&h, B, 8000, seen(1, 0, 0), 0), 0, false, text("later"));
    expect(false, NULL, 0, 2);
}

static void test_row_insert_after_delete_starts_anew(void)
{
    history_begin(&h, 2);
    insert(A, 40, seen_nothing, 0, "A", 5);
    history_write(history_add(&h, B, 80, seen(1, 0, 0), 0), 3, true, value_int(10));
    insert(A, 120, seen(1, 0, 0), ROW_OP_DELETE, "again", 1); /* a replacement */
    expect(true, "again", 1, 2);
}

static void test_row_counter_adds_all_increments(void)
{
    history_begin(&h, 2);
    insert(A, 40, seen_nothing, 0, "A", 0);
    history_write(history_add(&h, A, 80, seen(1, 0, 0), 0), 3, true, value_int(1));
    history_write(history_add(&h, B, 81, seen(1, 0, 0), 0), 3, true, value_int(1));
    history_write(history_add(&h, B, 85, seen(1, 0, 0), 0), 3, true, value_int(10));
    expect(true, "A", 12, 3);
}

static void test_row_newest_write_wins_by_column(void)
{
    history_begin(&h, 2);
    insert(A, 40, seen_nothing, 0, "A", 0);
    history_write(history_add(&h, A, 80, seen(1, 0, 0), 0), 0, false, text("old"));
    history_write(history_add(&h, B, 81, seen(1, 0, 0), 0), 0, false, text("new"));
    expect(true, "new", 0, 2);
}

static void test_row_unknown_columns_show_their_default(void)
{
    history_begin(&h, 1);
    struct history_txn *t = history_add(&h, A, 40, seen_nothing, ROW_OP_INSERT);
    history_write(t, 0, false, text("A"));
    history_write(history_add(&h, A, 44, seen(1, 0, 0), 0), 3, true, value_int(2));
    expect(true, "A", 7, 1); /* the counter's default is 5 */
}

static void test_row_replayed_insert_of_an_ended_birth_stays_ended(void)
{
    struct replica p;
    struct err err = ERR_INIT;
    bool changed;
    history_begin(&h, 2);
    insert(A, 40, seen_nothing, 0, "A", 1);
    insert(A, 80, seen(1, 0, 0), ROW_OP_DELETE, "B", 1);
    insert(A, 120, seen(2, 0, 0), ROW_OP_DELETE, "C", 1);
    history_add(&h, B, 160, seen(3, 0, 0), ROW_OP_DELETE);
    CU_ASSERT_FATAL(replica_init(&p, &h, NULL));
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t i = 0; i < h.count; i++) {
            CU_ASSERT_FATAL(replica_apply(&p, &h, &h.t[i], &arena, &changed, &err) == QUARTET_OK);
            CU_ASSERT_EQUAL(changed, round == 0);
        }
    CU_ASSERT(!row_live(&p.row));
    CU_ASSERT_EQUAL(p.row.life_count, 1); /* a dead row keeps one birth for each chain */
    replica_deinit(&p);
    arena_free_all(&arena);
}

static void test_row_apply_refuses_a_column_that_is_not_there(void)
{
    struct replica p;
    struct err err = ERR_INIT;
    bool changed;
    history_begin(&h, 1);
    history_write(history_add(&h, A, 40, seen_nothing, 0), HISTORY_COLUMNS, false, value_int(1));
    CU_ASSERT_FATAL(replica_init(&p, &h, NULL));
    CU_ASSERT(replica_apply(&p, &h, &h.t[0], &arena, &changed, &err) == QUARTET_INTERNAL);
    replica_deinit(&p);
    arena_free_all(&arena);
}

static void test_row_counters_saturate_and_take_wrong_values_for_nothing(void)
{
    struct row_column integer = {.kind = ROW_COUNTER}, money = {.kind = ROW_COUNTER, .scale = 2, .is_decimal = true};
    struct value big = value_int(INT64_MAX), word = text("12"), cents = decimal(1234), real = {.type = VALUE_REAL, .r = 2.5};
    struct value huge = {.type = VALUE_DECIMAL, .scale = 0, .dec = dec_make(value_pow10(38) - 1)};
    struct value shown = row_counter_value(&integer, (__int128)INT64_MAX + 1);
    CU_ASSERT(value_identical(&shown, &big));
    CU_ASSERT(row_counter_number(&money, &word) == 0);
    CU_ASSERT(row_counter_number(&money, &real) == 0);
    CU_ASSERT(row_counter_number(&integer, &cents) == 12);
    CU_ASSERT(row_counter_number(&money, &big) == (__int128)INT64_MAX * 100);
    CU_ASSERT(row_counter_number(&money, &huge) == value_pow10(38) - 1);
    shown = row_counter_value(&money, -value_pow10(38));
    CU_ASSERT(dec_get(shown.dec) == 1 - value_pow10(38));
}

static void test_row_survives_each_failed_allocation(void)
{
    bool done = false;
    history_begin(&h, 2);
    insert(A, 40, seen_nothing, 0, "A", 1);
    insert(B, 80, seen_nothing, 0, "B", 1);
    history_write(history_add(&h, B, 84, seen(1, 1, 0), 0), 3, true, value_int(1));
    for (size_t limit = 16; !done && limit < 100000; limit += 16) {
        struct replica p;
        struct arena small = {.limit_bytes = limit};
        struct err err = ERR_INIT;
        struct slice bytes;
        struct row copy;
        bool changed;
        quartet_status rc = QUARTET_OK;
        CU_ASSERT_FATAL(replica_init(&p, &h, NULL));
        for (uint32_t i = 0; i < h.count && rc == QUARTET_OK; i++)
            rc = replica_apply(&p, &h, &h.t[i], &small, &changed, &err);
        if (rc == QUARTET_OK)
            rc = replica_bytes(&p, &h, &small, &bytes, &err);
        if (rc == QUARTET_OK)
            rc = row_decode(bytes, &h.schema, &small, &copy, &err);
        if (rc == QUARTET_OK)
            rc = row_merge(&p.row, &copy, &h.schema, &p.chains, &small, &err);
        CU_ASSERT(rc == QUARTET_OK || rc == QUARTET_LIMIT);
        done = rc == QUARTET_OK;
        replica_deinit(&p);
        arena_free_all(&small);
    }
    CU_ASSERT(done);
}

const struct unit_test unit_tests[] = {
    {"test_row_delete_of_one_birth_shows_the_other_again", test_row_delete_of_one_birth_shows_the_other_again},
    {"test_row_delete_spares_an_insert_it_had_not_seen", test_row_delete_spares_an_insert_it_had_not_seen},
    {"test_row_counters_of_concurrent_inserts_add", test_row_counters_of_concurrent_inserts_add},
    {"test_row_addition_to_a_row_of_two_births_counts_once", test_row_addition_to_a_row_of_two_births_counts_once},
    {"test_row_delete_wins_over_a_concurrent_update", test_row_delete_wins_over_a_concurrent_update},
    {"test_row_insert_after_delete_starts_anew", test_row_insert_after_delete_starts_anew},
    {"test_row_counter_adds_all_increments", test_row_counter_adds_all_increments},
    {"test_row_newest_write_wins_by_column", test_row_newest_write_wins_by_column},
    {"test_row_unknown_columns_show_their_default", test_row_unknown_columns_show_their_default},
    {"test_row_replayed_insert_of_an_ended_birth_stays_ended", test_row_replayed_insert_of_an_ended_birth_stays_ended},
    {"test_row_apply_refuses_a_column_that_is_not_there", test_row_apply_refuses_a_column_that_is_not_there},
    {"test_row_counters_saturate_and_take_wrong_values_for_nothing", test_row_counters_saturate_and_take_wrong_values_for_nothing},
    {"test_row_survives_each_failed_allocation", test_row_survives_each_failed_allocation},
    {NULL, NULL},
};

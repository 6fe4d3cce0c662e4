/* test_row_merge.c - the laws of rows over random histories: every causal order of arrival, replays included, gives one state, the
 * naive model's; joining states is the same as applying their transactions.
 * QUARTET_CASES=N runs N random cases (default 50,000); QUARTET_SEED=S replays. */
#include "unit/cunit.h"

#include "crdt/row_cell.h"
#include "merge/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const unit_suite = "row_merge";

static struct arena arena;
static struct history history;
static uint64_t case_seed;

static uint64_t cases(uint64_t fallback)
{
    const char *text = getenv("QUARTET_CASES");
    return text != NULL ? strtoull(text, NULL, 0) : fallback;
}

static bool failed(const char *what)
{
    printf("\n  %s; replay with QUARTET_SEED=%llu QUARTET_CASES=1\n", what, (unsigned long long)case_seed);
    history_print(&history);
    return false;
}

/* Store the row and load it again; the bytes must be the same the second time. */
static bool round_trip(struct replica *p)
{
    struct err err = ERR_INIT;
    struct buf once = {0}, twice = {0};
    struct row row;
    if (p->row.life_count == 0)
        return true;
    bool ok = row_encode(&p->row, &history.schema, &p->chains, &once, &err) == QUARTET_OK;
    const uint8_t *bytes = arena_dup(&arena, once.data, once.len);
    ok = ok && row_decode(slice_of(bytes, once.len), &history.schema, &arena, &row, &err) == QUARTET_OK;
    ok = ok && row_encode(&row, &history.schema, &p->chains, &twice, &err) == QUARTET_OK;
    ok = ok && slice_eq(slice_of(once.data, once.len), slice_of(twice.data, twice.len));
    if (ok)
        p->row = row;
    if (!ok)
        printf("\n  %s", err.text);
    buf_deinit(&once);
    buf_deinit(&twice);
    return ok;
}

static bool apply(struct replica *p, const struct history_txn *t, bool replay, struct prng *r)
{
    struct err err = ERR_INIT;
    bool changed;
    if (replica_apply(p, &history, t, &arena, &changed, &err) != QUARTET_OK)
        return failed(err.text);
    if (replay && changed)
        return failed("a replay changed the row");
    return (prng_u64(r) & 1) != 0 || round_trip(p) || failed("a row does not survive its record");
}

/* Apply in random causal order all transactions up to `known`, with replays of earlier ones in between. */
static bool learn(struct replica *p, const uint64_t *known, struct prng *r)
{
    for (;;) {
        uint32_t ready[HISTORY_TXNS_MAX], n = 0, done = 0, known_txns[HISTORY_TXNS_MAX];
        for (uint32_t i = 0; i < history.count; i++) {
            const struct history_txn *t = &history.t[i];
            if (replica_knows(p, t))
                known_txns[done++] = i;
            else if (known[t->writer] >= t->number && replica_ready(p, t))
                ready[n++] = i;
        }
        if (done > 0 && prng_below(r, 4) == 0 && !apply(p, &history.t[known_txns[prng_below(r, done)]], true, r))
            return false;
        if (n == 0)
            return true;
        if (!apply(p, &history.t[ready[prng_below(r, n)]], false, r))
            return false;
    }
}

static bool same_siblings(const struct replica *p, const struct model *m, const struct model_seen *known, uint32_t column)
{
    struct value want[64], *got;
    uint32_t n, count = model_siblings(m, HISTORY_TABLE, slice_of("k", 1), known, history.writers, &history.schema, column, want, 64);
    if (!row_siblings(&p->row, &history.schema, &p->chains, column, &arena, &got, &n) || n != count)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!value_identical(&want[i], &got[i]))
            return false;
    return true;
}

/* Columns that merge together show one transaction's values. */
static bool group_is_one(const struct replica *p)
{
    const struct row_cell *first = row_shown_cell(&p->row, &history.schema, &p->chains, 0);
    for (uint32_t c = 1; c < HISTORY_TOGETHER && history.together; c++)
        if (!ver_eq(row_shown_cell(&p->row, &history.schema, &p->chains, c)->ver, first->ver))
            return false;
    return true;
}

static bool same_as_model(const struct replica *p, const struct model *m)
{
    struct model_seen known[HISTORY_WRITERS_MAX];
    struct value want[HISTORY_COLUMNS], got[HISTORY_COLUMNS];
    uint32_t births, lives = 0;
    for (uint32_t w = 0; w < history.writers; w++)
        known[w] = (struct model_seen){.chain = history.chains[w], .number = p->known[w]};
    bool live = model_show(m, HISTORY_TABLE, history.t[0].model_op.key, known, history.writers, &history.schema, &arena, want, &births);
    for (uint32_t l = 0; l < p->row.life_count; l++)
        lives += !p->row.lives[l].ended;
    if (live != row_live(&p->row) || lives != births)
        return failed("the model says otherwise about the row's lives");
    if (!live)
        return true;
    if (!group_is_one(p))
        return failed("columns that merge together show values of two writers");
    if (!row_show(&p->row, &history.schema, &p->chains, &arena, got))
        return failed("out of memory");
    for (uint32_t c = 0; c < history.schema.count; c++) {
        if (history.columns[c].element != NULL && !row_show_as_set(&history.columns[c], &got[c], &arena))
            return failed("out of memory");
        if (!value_identical(&want[c], &got[c])) {
            printf("\n  column %u", c);
            return failed("the model shows another value");
        }
        if (history.columns[c].kind == ROW_MULTIVALUE && !same_siblings(p, m, known, c))
            return failed("the model knows other values of a MULTIVALUE column");
    }
    return true;
}

static struct state_hash hash_of(const struct replica *p, struct buf *scratch)
{
    return row_hash(&p->row, &history.schema, history.column_ids, HISTORY_TABLE, slice_of("k", 1), &p->chains, scratch);
}

static bool same_state(const struct replica *a, const struct replica *b, struct buf *scratch)
{
    struct err err = ERR_INIT;
    struct slice x, y;
    if (replica_bytes(a, &history, &arena, &x, &err) != QUARTET_OK || replica_bytes(b, &history, &arena, &y, &err) != QUARTET_OK)
        return failed(err.text);
    if (!slice_eq(x, y))
        return failed("two replicas differ");
    struct state_hash i = hash_of(a, scratch), j = hash_of(b, scratch);
    return (i.lo == j.lo && i.hi == j.hi && (i.lo | i.hi) != 0) == row_live(&a->row) || failed("two hashes differ");
}

static bool merge_into(struct replica *p, const struct replica *from)
{
    struct err err = ERR_INIT;
    struct row theirs;
    if (replica_import(p, &history, from, &arena, &theirs, &err) != QUARTET_OK ||
        row_merge(&p->row, &theirs, &history.schema, &p->chains, &arena, &err) != QUARTET_OK)
        return failed(err.text);
    for (uint32_t w = 0; w < history.writers; w++)
        if (from->known[w] > p->known[w])
            p->known[w] = from->known[w];
    return true;
}

/* A copy that can be merged into. */
static bool copy(struct replica *to, const struct replica *from, struct prng *r)
{
    struct err err = ERR_INIT;
    memcpy(to->known, from->known, sizeof to->known);
    (void)r; /* its numbers were drawn when it was made */
    return replica_import(to, &history, from, &arena, &to->row, &err) == QUARTET_OK || failed(err.text);
}

enum { ALL_A, ALL_B, SOME_A, SOME_B, SOME_C, JOIN, OTHER, REPLICAS };

/* Joins of the states of two or three writers: commute, associate, are idempotent, and equal applying the union. */
static bool joins(struct replica *p, const struct model *m, struct prng *r, struct buf *scratch)
{
    for (uint32_t i = SOME_A; i <= SOME_C; i++)
        if (!learn(&p[i], history.known[prng_below(r, history.writers)], r) || !same_as_model(&p[i], m))
            return false;
    if (!copy(&p[JOIN], &p[SOME_A], r) || !merge_into(&p[JOIN], &p[SOME_B]) || !merge_into(&p[JOIN], &p[SOME_C]))
        return false;
    if (!copy(&p[OTHER], &p[SOME_C], r) || !merge_into(&p[OTHER], &p[SOME_B]) || !merge_into(&p[OTHER], &p[SOME_B]))
        return false;
    if (!merge_into(&p[OTHER], &p[SOME_A]) || !same_state(&p[JOIN], &p[OTHER], scratch))
        return false;
    if (!same_as_model(&p[JOIN], m) || !merge_into(&p[JOIN], &p[OTHER]) || !same_state(&p[JOIN], &p[OTHER], scratch))
        return false;
    /* After the join both go on as any replica would. */
    uint64_t all[HISTORY_WRITERS_MAX];
    memset(all, 0xff, sizeof all);
    return learn(&p[JOIN], all, r) && same_state(&p[JOIN], &p[ALL_A], scratch);
}

static bool run_case(uint64_t seed, struct buf *scratch)
{
    struct prng r;
    struct replica p[REPLICAS];
    struct model m;
    uint64_t all[HISTORY_WRITERS_MAX];
    bool ok = true;
    case_seed = seed;
    memset(all, 0xff, sizeof all);
    prng_seed(&r, seed);
    history_random(&history, &r, 2 + (uint32_t)prng_below(&r, 3), 1 + (uint32_t)prng_below(&r, 9));
    model_init(&m);
    ok = history_fill_model(&history, &m);
    for (uint32_t i = 0; i < REPLICAS; i++)
        ok = replica_init(&p[i], &history, &r) && ok;
    ok = ok && learn(&p[ALL_A], all, &r) && learn(&p[ALL_B], all, &r);
    ok = ok && same_state(&p[ALL_A], &p[ALL_B], scratch) && same_as_model(&p[ALL_A], &m);
    ok = ok && joins(p, &m, &r, scratch);
    for (uint32_t i = 0; i < REPLICAS; i++)
        replica_deinit(&p[i]);
    model_deinit(&m);
    return ok;
}

static void test_row_merge_random_histories(void)
{
    uint64_t seed = unit_seed(1), count = cases(20000);
    struct buf scratch = {0};
    bool ok = true;
    printf("seed %llu, %llu cases ", (unsigned long long)seed, (unsigned long long)count);
    for (uint64_t i = 0; i < count && ok; i++) {
        struct arena_mark mark = arena_mark(&arena);
        ok = run_case(seed + i, &scratch);
        arena_rewind(&arena, mark);
    }
    CU_ASSERT(ok);
    buf_deinit(&scratch);
    arena_free_all(&arena);
}

struct every { /* the walk through all causal orders */
    struct slice first;
    struct model *m;
    uint64_t orders;
};

static bool every_order(struct replica *p, struct every *e)
{
    struct err err = ERR_INIT;
    bool any = false, changed;
    for (uint32_t i = 0; i < history.count; i++) {
        if (!replica_ready(p, &history.t[i]))
            continue;
        struct replica next = *p;
        any = true;
        if (replica_import(p, &history, p, &arena, &next.row, &err) != QUARTET_OK ||
            replica_apply(&next, &history, &history.t[i], &arena, &changed, &err) != QUARTET_OK)
            return failed(err.text);
        if (!every_order(&next, e))
            return false;
    }
    if (any)
        return true;
    struct slice bytes;
    e->orders++;
    if (replica_bytes(p, &history, &arena, &bytes, &err) != QUARTET_OK)
        return failed(err.text);
    if (e->first.p == NULL)
        e->first = bytes;
    if (!slice_eq(e->first, bytes))
        return failed("two orders give two states");
    return same_as_model(p, e->m);
}

static void test_row_merge_all_orders_of_six(void)
{
    uint64_t seed = unit_seed(500000007), count = cases(20000) / 300;
    uint64_t orders = 0;
    bool ok = true;
    for (uint64_t i = 0; i < count && ok; i++) {
        struct arena_mark mark = arena_mark(&arena);
        struct prng r;
        struct replica p;
        struct model m;
        struct every e = {.m = &m};
        case_seed = seed + i;
        prng_seed(&r, case_seed);
        history_random(&history, &r, 2 + (uint32_t)prng_below(&r, 3), 6);
        model_init(&m);
        ok = history_fill_model(&history, &m) && replica_init(&p, &history, &r) && every_order(&p, &e);
        replica_deinit(&p);
        model_deinit(&m);
        arena_rewind(&arena, mark);
        orders += e.orders;
    }
    printf("%llu histories, %llu orders ", (unsigned long long)count, (unsigned long long)orders);
    CU_ASSERT(ok);
    arena_free_all(&arena);
}

const struct unit_test unit_tests[] = {
    {"test_row_merge_random_histories", test_row_merge_random_histories},
    {"test_row_merge_all_orders_of_six", test_row_merge_all_orders_of_six},
    {NULL, NULL},
};

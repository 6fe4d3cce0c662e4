/* test_row_fold.c - what folded chains left in a row as one sum: over random histories a replica that folds shows what the naive model shows, at every step, and has the hash of one that does
 * not; what folded chains wrote counts once, however often it is told again, and counts in states from before it had come.
 * QUARTET_CASES=N runs N random cases (default 8,000); QUARTET_SEED=S replays. */
#include "unit/cunit.h"

#include "base/plant.h"
#include "merge/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const unit_suite = "row_fold";

static struct arena arena;
static struct history history;
static uint64_t case_seed, folded_cells, folded_births;

static bool failed(const char *what)
{
    printf("\n  %s; replay with QUARTET_SEED=%llu QUARTET_CASES=1\n", what, (unsigned long long)case_seed);
    history_print(&history);
    return false;
}

/* Store the row and load it again. */
static bool round_trip(struct replica *p)
{
    struct err err = ERR_INIT;
    struct buf once = {0};
    struct row row;
    if (p->row.life_count == 0)
        return true;
    bool ok = row_encode(&p->row, &history.schema, &p->chains, &once, &err) == QUARTET_OK;
    const uint8_t *bytes = arena_dup(&arena, once.data, once.len);
    ok = ok && row_decode(slice_of(bytes, once.len), &history.schema, &arena, &row, &err) == QUARTET_OK;
    if (ok)
        p->row = row;
    buf_deinit(&once);
    return ok || failed(err.text);
}

static bool same_as_model(const struct replica *p, const struct model *m)
{
    struct model_seen known[HISTORY_WRITERS_MAX];
    struct value want[HISTORY_COLUMNS], got[HISTORY_COLUMNS];
    uint32_t births;
    for (uint32_t w = 0; w < history.writers; w++)
        known[w] = (struct model_seen){.chain = history.chains[w], .number = p->known[w]};
    bool live = model_show(m, HISTORY_TABLE, history.t[0].model_op.key, known, history.writers, &history.schema, &arena, want, &births);
    if (live != row_live(&p->row))
        return failed("the model says otherwise about the row's lives");
    if (live && !row_show(&p->row, &history.schema, &p->chains, &arena, got))
        return failed("out of memory");
    for (uint32_t c = 0; live && c < history.schema.count; c++) {
        if (history.columns[c].element != NULL && !row_show_as_set(&history.columns[c], &got[c], &arena))
            return failed("out of memory");
        if (!value_identical(&want[c], &got[c])) {
            printf("\n  column %u", c);
            return failed("the model shows another value");
        }
    }
    return true;
}

static struct state_hash hash_of(const struct replica *p, struct buf *scratch)
{
    return row_hash(&p->row, &history.schema, history.column_ids, HISTORY_TABLE, slice_of("k", 1), &p->chains, scratch);
}

/* Chains that are here as a whole may be folded; and the row may be written anew. */
static bool fold(struct replica *p, struct prng *r, struct buf *scratch)
{
    struct err err = ERR_INIT;
    uint32_t next = p->chains.fold_last + 1u;
    chain_no sum = 0;
    for (uint32_t w = 0; w < history.writers; w++) {
        uint64_t total = 0;
        for (uint32_t i = 0; i < history.count; i++)
            total += history.t[i].writer == w;
        if (total > 0 && p->known[w] == total && chain_fold_of(&p->chains, p->no[w]) == 0 && prng_chance(r, 0.5) &&
            chain_fold_set(&p->chains, p->no[w], next, &err) != QUARTET_OK)
            return failed(err.text);
    }
    if (p->chains.fold_last == 0 || prng_chance(r, 0.3))
        return true;
    if (chain_intern(&p->chains, (struct chain_id){.incarnation = CHAIN_SUMS + p->chains.fold_last}, &sum, &err) != QUARTET_OK)
        return failed(err.text);
    struct state_hash before = hash_of(p, scratch), after;
    uint32_t lives = p->row.life_count;
    bool births = false;
    if (!row_fold_births(&p->row, &p->chains, sum, &arena, &births))
        return failed("out of memory");
    folded_births += births;
    if (births != (p->row.life_count < lives))
        return failed("births were folded, and are as many as they were");
    for (uint32_t l = 0; l < p->row.life_count; l++)
        for (uint32_t c = 0; p->row.lives[l].cells != NULL && c < history.schema.count; c++) {
            bool changed = false;
            uint32_t had = p->row.lives[l].cells[c].part_count;
            if (!row_fold_cell(&p->row.lives[l].cells[c], &history.schema.columns[c], &p->chains, sum, &arena, &changed))
                return failed("out of memory");
            folded_cells += changed;
            if (changed != (p->row.lives[l].cells[c].part_count < had))
                return failed("a register was folded, and is as large as it was");
        }
    after = hash_of(p, scratch);
    return (before.lo == after.lo && before.hi == after.hi) || failed("folding changes the hash");
}

/* All that is not known yet, in random causal order, with what is known told again in between. */
static bool learn(struct replica *p, const struct model *m, bool folds, struct prng *r, struct buf *scratch)
{
    struct err err = ERR_INIT;
    for (;;) {
        uint32_t ready[HISTORY_TXNS_MAX], n = 0, done = 0, old[HISTORY_TXNS_MAX];
        bool changed;
        for (uint32_t i = 0; i < history.count; i++)
            if (replica_knows(p, &history.t[i]))
                old[done++] = i;
            else if (replica_ready(p, &history.t[i]))
                ready[n++] = i;
        for (uint32_t again = 0; done > 0 && again < 2; again++) {
            if (replica_apply(p, &history, &history.t[old[prng_below(r, done)]], &arena, &changed, &err) != QUARTET_OK)
                return failed(err.text);
            if (changed)
                return failed("what was told again changed the row");
        }
        if (n == 0)
            return true;
        if (replica_apply(p, &history, &history.t[ready[prng_below(r, n)]], &arena, &changed, &err) != QUARTET_OK)
            return failed(err.text);
        if (folds && !fold(p, r, scratch))
            return false;
        if ((prng_chance(r, 0.5) && !round_trip(p)) || !same_as_model(p, m))
            return false;
        if (folds && prng_chance(r, 0.2))
            return true; /* the rest later */
    }
}

static bool run_case(uint64_t seed, struct buf *scratch)
{
    struct prng r;
    struct replica plain, p;
    struct model m;
    case_seed = seed;
    prng_seed(&r, seed);
    history_random(&history, &r, 3 + (uint32_t)prng_below(&r, 2), 4 + (uint32_t)prng_below(&r, 8));
    model_init(&m);
    bool ok = history_fill_model(&history, &m);
    ok = replica_init(&plain, &history, &r) && ok;
    ok = replica_init(&p, &history, &r) && ok;
    ok = ok && learn(&plain, &m, false, &r, scratch) && learn(&p, &m, true, &r, scratch) && round_trip(&p);
    /* As the past is read: a state of before, folded or not, and what came after it, of chains that were folded meanwhile, too. */
    struct replica past = p;
    struct err err = ERR_INIT;
    struct buf bytes = {0};
    const uint8_t *kept = NULL;
    if (ok && p.row.life_count > 0) { /* as bytes: lists of parts change in place */
        ok = row_encode(&p.row, &history.schema, &p.chains, &bytes, &err) == QUARTET_OK;
        kept = arena_dup(&arena, bytes.data, bytes.len);
    }
    while (ok && memcmp(p.known, plain.known, sizeof p.known) != 0)
        ok = learn(&p, &m, true, &r, scratch);
    past.chains = p.chains;
    if (ok && kept != NULL)
        ok = row_decode(slice_of(kept, bytes.len), &history.schema, &arena, &past.row, &err) == QUARTET_OK || failed(err.text);
    buf_deinit(&bytes);
    ok = ok && learn(&past, &m, false, &r, scratch);
    if (ok) {
        struct state_hash a = hash_of(&plain, scratch), b = hash_of(&p, scratch), c = hash_of(&past, scratch);
        ok = (a.lo == b.lo && a.hi == b.hi && a.lo == c.lo && a.hi == c.hi) || failed("the hash differs from that of a replica that never folds");
    }
    replica_deinit(&plain);
    replica_deinit(&p); /* past shares its chains */
    model_deinit(&m);
    return ok;
}

static void test_row_fold_random_histories(void)
{
    const char *text = getenv("QUARTET_CASES");
    uint64_t seed = unit_seed(1), count = text != NULL ? strtoull(text, NULL, 0) : 8000;
    struct buf scratch = {0};
    bool ok = true;
#ifdef QUARTET_PLANTED_BUGS /* to see it fail */
    const char *name = getenv("PLANT");
    for (uint32_t p = 1; name != NULL && p < PLANT_COUNT; p++)
        if (strcmp(plant_name(p), name) == 0)
            plant_set((enum plant)p);
#endif
    for (uint64_t i = 0; i < count && ok; i++) {
        struct arena_mark mark = arena_mark(&arena);
        ok = run_case(seed + i, &scratch);
        arena_rewind(&arena, mark);
    }
    printf("%llu cases, %llu registers folded, births of %llu rows ", (unsigned long long)count, (unsigned long long)folded_cells, (unsigned long long)folded_births);
    CU_ASSERT(ok);
    CU_ASSERT(count < 100 || (folded_cells > 0 && folded_births > 0));
    buf_deinit(&scratch);
    arena_free_all(&arena);
}

const struct unit_test unit_tests[] = {
    {"test_row_fold_random_histories", test_row_fold_random_histories},
    {NULL, NULL},
};

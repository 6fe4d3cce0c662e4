/* test_fold.c - FOLD: nodes that start again and again, one of them from an old copy, write the same rows; chains are closed, then folded when every member has them. What shows, hashes and the past are
 * the same on all nodes, folded or not, and the records of rows that are written on stay small. */
#include "base/plant.h"
#include "cluster_help.h"
#include "dir_help.h"
#include "engine/db_snapshot.h"
#include "query_help.h"

#define NODES 3u
#define LIVES 10u
#define STAMPS_MAX 64u

struct world {
    struct cluster *c;
    struct prng r;
    uint64_t seed;
    char dir[NODES][64], old[64]; /* old: a copy of slot 2's from the beginning */
    int64_t sum;                  /* of all additions to row 1 */
    hlc_stamp stamps[STAMPS_MAX];
    uint32_t stamp_count;
};

static void open_slot(struct world *w, uint32_t slot)
{
    struct err err = ERR_INIT;
    struct db_options o = {.sync = LOG_SYNC_OFF};
    OK(db_open(env_posix(), w->dir[slot], &o, &w->c->d[slot], &err));
    OK(db_set_identity(w->c->d[slot], &w->c->id[slot], &err));
    db_set_peers(w->c->d[slot], (uint8_t)(7u & ~(1u << slot)));
}

/* Everybody gets everything, its own lost tail, too. */
static void exchange(struct world *w)
{
    struct cluster *c = w->c;
    struct err err = ERR_INIT;
    for (uint32_t i = 0; i < NODES; i++)
        cluster_seal(c, i);
    for (bool progress = true; progress;) {
        progress = false;
        for (uint32_t to = 0; to < NODES; to++)
            for (uint32_t b = 0; b < c->pool.count; b++) {
                enum deliver_result r;
                uint64_t need;
                OK(db_deliver(c->d[to], slice_of(c->pool.bytes[b], c->pool.n[b]), c->public_key[c->pool.slot[b]], &r, &need, &err));
                err_clear(&err); /* of a batch of its own running chain */
                progress |= r == DELIVER_APPLIED || r == DELIVER_HELD;
            }
    }
}

static void settle(struct world *w)
{
    for (int round = 0; round < 5; round++) {
        exchange(w);
        cluster_all_report(w->c);
        for (uint32_t i = 0; i < NODES; i++) {
            w->c->d[i]->fold_after_ns = 0;
            db_tick(w->c->d[i]);
        }
    }
    exchange(w);
}

static void write_some(struct world *w, uint32_t slot)
{
    db *d = w->c->d[slot];
    int64_t by = prng_between(&w->r, -5, 9);
    char sql[200];
    snprintf(sql, sizeof sql, "UPDATE t SET n = n + %lld WHERE id = 1", (long long)by);
    run_sql(d, sql);
    w->sum += by;
    snprintf(sql, sizeof sql, "UPDATE t SET s = set_%s(s, 'e%d'), m = 'of %u' WHERE id = %d", prng_chance(&w->r, 0.5) ? "add" : "remove", (int)prng_below(&w->r, 4), slot, 1 + (int)prng_below(&w->r, 2));
    run_sql(d, sql);
    if (prng_chance(&w->r, 0.3)) {
        run_sql(d, "INSERT INTO t (id, n, s, m) VALUES (3, 1, '[\"x\"]', 'born') ON CONFLICT (id) DO UPDATE SET n = n + 1");
    } else if (prng_chance(&w->r, 0.1)) {
        run_sql(d, "DELETE FROM t WHERE id = 3");
    }
    if (prng_chance(&w->r, 0.6)) {
        snprintf(sql, sizeof sql, "REPLACE INTO p VALUES (%d, 'of %u')", 1 + (int)prng_below(&w->r, 2), slot);
        run_sql(d, sql);
    }
    if (prng_chance(&w->r, 0.4))
        run_sql(d, "UPDATE p SET v = v || '.'");
    if (prng_chance(&w->r, 0.2))
        run_sql(d, "DELETE FROM p WHERE id = 2");
    if (w->stamp_count < STAMPS_MAX && prng_chance(&w->r, 0.3))
        w->stamps[w->stamp_count++] = txn_last_stamp(d);
}

/* What row 1 has beside its values. births: that have ended. */
static void count_parts(db *d, const char *table, uint32_t *parts, uint32_t *marks, uint32_t *births)
{
    struct err err = ERR_INIT;
    struct arena a = {0};
    struct buf record = {0};
    struct catalog *cat = db_catalog(d);
    const struct table_def *t = catalog_table(cat, table);
    struct value key = value_int(1);
    struct buf k = {0};
    struct row row;
    kv_snap *snap = NULL;
    *parts = *marks = *births = 0;
    OK(table_key(t, &key, &k, &err));
    OK(kv_snapshot_latest(d->store, &snap, &err));
    OK(kv_get(snap, NULL, t->id, slice_of(k.data, k.len), &record, &err));
    OK(row_decode(slice_of(record.data, record.len), &t->rows, &a, &row, &err));
    for (uint32_t i = 0; i < row.life_count; i++)
        *births += row.lives[i].ended;
    for (uint32_t c = 0; row_live(&row) && c < t->rows.count; c++) {
        const struct row_cell *cell = &row_first_life(&row)->cells[c];
        if (t->rows.columns[c].kind == ROW_COUNTER)
            *parts += cell->part_count;
        for (uint32_t i = 0; t->rows.columns[c].kind == ROW_SET && i < cell->part_count; i++)
            *marks += cell->items[i].value.type == 0;
    }
    kv_release(snap);
    buf_deinit(&record);
    buf_deinit(&k);
    catalog_unref(cat);
    arena_free_all(&a);
}

static const char *const tables[] = {"t", "p", "quartet_folds", NULL};

static void expect_alike(struct world *w)
{
    struct cluster *c = w->c;
    struct err err = ERR_INIT;
    char want[64], sql[200];
    snprintf(want, sizeof want, "%lld\n", (long long)w->sum);
    for (uint32_t i = 0; i < NODES; i++)
        expect_rows(c->d[i], "SELECT n FROM t WHERE id = 1", want);
    cluster_expect_equal(c, tables, w->seed);
    for (uint32_t s = 0; s < w->stamp_count; s++) { /* the past is told alike, whoever folded what meanwhile */
        struct buf first = {0};
        snprintf(sql, sizeof sql, "SELECT id, n, s, m FROM t AS OF STAMP %llu UNION ALL SELECT id, 0, '', v FROM p AS OF STAMP %llu ORDER BY 2, 1, 3, 4", (unsigned long long)w->stamps[s],
                 (unsigned long long)w->stamps[s]);
        for (uint32_t i = 0; i < NODES; i++) {
            struct buf rows = {0};
            OK(query_try(c->d[i], sql, NULL, i == 0 ? &first : &rows, &err));
            bool same = i == 0 || slice_eq(slice_of(first.data, first.len), slice_of(rows.data, rows.len));
            if (!same)
                printf("\nseed %llu, node %u, %s:\n%.*s\nnode 0:\n%.*s\n", (unsigned long long)w->seed, i, sql, (int)rows.len, (const char *)rows.data, (int)first.len, (const char *)first.data);
            CU_ASSERT(same);
            buf_deinit(&rows);
        }
        buf_deinit(&first);
    }
}

static void restart(struct world *w, uint32_t slot)
{
    help_close(w->c->d[slot]);
    open_slot(w, slot);
}

/* Slot 2 goes on with slot 0's state, and with the folds as that one counts them. */
static void take_snapshot(struct world *w)
{
    struct err err = ERR_INIT;
    struct buf stream = {0};
    struct db_snapshot_info info = {0};
    struct env *env = env_posix();
    db_donation *o = NULL;
    struct file *f = NULL;
    char part[128], scratch[128];
    snprintf(part, sizeof part, "%s/snapshot.part", w->dir[2]);
    snprintf(scratch, sizeof scratch, "%s/snapshot.check", w->dir[2]);
    OK(db_donate(w->c->d[0], &o, &err));
    for (bool last = false; !last;)
        OK(db_donation_read(o, 1u << 20, &stream, &last, &err));
    db_donation_free(o);
    OK(env->ops->open(env, part, FILE_WRITE, &f, &err));
    OK(env->ops->pwrite(f, stream.data, stream.len, 0, &err));
    OK(env->ops->sync(f, &err));
    env->ops->close(f);
    OK(db_snapshot_check(env, part, scratch, &info, &err));
    OK(db_snapshot_adopt(w->c->d[2], part, slice_of(info.vector.data, info.vector.len), (struct slice){0}, &err));
    db_snapshot_info_deinit(&info);
    buf_deinit(&stream);
    restart(w, 2);
    CU_ASSERT_EQUAL(w->c->d[2]->chains.fold_last, w->c->d[0]->chains.fold_last);
}

static void run_world(uint64_t seed)
{
    struct world w = {.c = cluster_new(NODES), .seed = seed};
    struct err err = ERR_INIT;
    uint32_t parts, marks, births;
    prng_seed(&w.r, seed);
    new_dir(w.old);
    for (uint32_t i = 0; i < NODES; i++) {
        new_dir(w.dir[i]);
        help_close(w.c->d[i]);
        open_slot(&w, i);
    }
    run_sql(w.c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER COUNTER DEFAULT 0, s TEXT SET, m TEXT MULTIVALUE)");
    run_sql(w.c->d[0], "INSERT INTO t VALUES (1, 0, '[]', 'a'), (2, 0, '[]', 'b')");
    run_sql(w.c->d[0], "CREATE TABLE p (id INTEGER PRIMARY KEY, v TEXT)");
    settle(&w);
    for (uint32_t life = 0; life < LIVES && CU_get_number_of_failures() == 0; life++) {
        for (int i = 0, n = 4 + (int)prng_below(&w.r, 8); i < n; i++) {
            write_some(&w, (uint32_t)prng_below(&w.r, NODES));
            if (prng_chance(&w.r, 0.3))
                exchange(&w);
        }
        if (prng_chance(&w.r, 0.7))
            settle(&w);
        if (life == 2) { /* what slot 2 has now comes back later */
            OK(db_sync_remote(w.c->d[2], &err));
            walk_dir(w.dir[2], w.old);
        }
        exchange(&w);
        if (life == 7) {
            help_close(w.c->d[2]);
            walk_dir(w.dir[2], NULL);
            memcpy(w.dir[2], w.old, sizeof w.old);
            new_dir(w.old);
            open_slot(&w, 2);
        }
        restart(&w, (uint32_t)prng_below(&w.r, NODES));
    }
    for (uint32_t i = 0; i < NODES; i++)
        write_some(&w, i);
    settle(&w);
    settle(&w);
    for (uint32_t i = 0; i < NODES; i++)
        write_some(&w, i); /* who writes a row folds it */
    run_sql(w.c->d[0], "REPLACE INTO p VALUES (1, 'last')");
    settle(&w);
    expect_alike(&w);
    for (uint32_t i = 0; i < NODES; i++) {
        db *d = w.c->d[i];
        uint32_t open = 0; /* chains that may have parts of their own */
        for (uint32_t k = 0; k < d->chains.count; k++)
            open += chain_fold_of(&d->chains, (chain_no)k) == 0 && vv_number(&d->applied, (chain_no)k) > 0;
        count_parts(d, "p", &parts, &marks, &births);
        if (births > open + 1)
            printf("\nseed %llu, node %u: %u births, though only %u chains are not folded\n", (unsigned long long)seed, i, births, open);
        CU_ASSERT(births <= open + 1);
        count_parts(d, "t", &parts, &marks, &births);
        CU_ASSERT(d->chains.fold_last > 0);
        if (parts > open + 1 || marks > open + 1)
            printf("\nseed %llu, node %u: %u parts, %u marks, though only %u chains are not folded\n", (unsigned long long)seed, i, parts, marks, open);
        CU_ASSERT(parts <= open + 1);
        CU_ASSERT(marks <= open + 1);
        CU_ASSERT(open <= 2 * NODES);
    }
    for (uint32_t i = 0; i < NODES; i++)
        restart(&w, i); /* as the log and the base tell it */
    settle(&w);
    expect_alike(&w);
    take_snapshot(&w);
    for (uint32_t i = 0; i < NODES; i++)
        write_some(&w, i);
    settle(&w);
    expect_alike(&w);
    if (CU_get_number_of_failures() > 0)
        printf("\nseed %llu\n", (unsigned long long)seed);
    cluster_free(w.c);
    for (uint32_t i = 0; i < NODES; i++)
        walk_dir(w.dir[i], NULL);
    walk_dir(w.old, NULL);
}

static void test_fold_of_chains_of_many_runs(void)
{
    uint64_t seed = unit_seed(1);
#ifdef QUARTET_PLANTED_BUGS /* to see it fail */
    const char *name = getenv("PLANT");
    for (uint32_t p = 1; name != NULL && p < PLANT_COUNT; p++)
        if (strcmp(plant_name(p), name) == 0)
            plant_set((enum plant)p);
#endif
    for (uint64_t i = 0; i < 4 && CU_get_number_of_failures() == 0; i++)
        run_world(seed + i);
}

const char *const unit_suite = "fold";
const struct unit_test unit_tests[] = {
    {"many runs", test_fold_of_chains_of_many_runs},
    {NULL, NULL},
};

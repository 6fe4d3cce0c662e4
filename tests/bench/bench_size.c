/* bench_size.c - what rows cost on disk, and what their number costs an INSERT.
 * bytes_per_row: the file as stat shows it, metadata of every row included, after the load of load_random and a close. SQLite's WAL is checkpointed
 *   by its close; Quartet's log is left out, since it is trimmed once the base holds what it says. bytes_per_row_updated: the same after ten
 *   rounds of updating rows by primary key, each round a tenth of the rows, chosen at random, in one transaction; with history_retention = 0, since SQLite
 *   keeps no old values. bytes_per_row_history: the same with the default, 72 hours of them, beside the same SQLite file.
 * meta_load, meta_commits: what of the base is about rows and not of them (births and versions of their registers: the columns about rows of each block, with their entries in
 *   the directory, and the codes of what each record is), after a load in one transaction, and after INSERTs that each were a commit.
 * growth: random INSERTs, 10,000 to a transaction, around `rows` rows and around ten times as many. In between the table is filled in
 *   order, which is fast. Each window adds `rows` rows, several times what the write buffer holds, so that flushes and checkpoints count. */
#include "bench.h"

#include "engine/block_format.h"
#include "engine/kv_base.h"
#include "engine/kv_past.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define ROUNDS 10
#define GROWTH_COMMIT_ROWS 10000
#define GROWTH_TIMES 10

static const char insert_sql[] = "INSERT INTO t (id, k, g, name, v) VALUES (?, ?, ?, ?, ?)";

static bool insert_row(bench_stmt *s, int64_t id)
{
    struct bench_row r;
    bench_make_row(id, &r);
    return bench_bind_int(s, 1, r.id) && bench_bind_int(s, 2, r.k) && bench_bind_int(s, 3, r.g) &&
           bench_bind_text(s, 4, r.name, r.name_bytes) && bench_bind_real(s, 5, r.v) && bench_run(s);
}

static bool make_table(bench_db *b)
{
    return bench_exec(b, "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, g INTEGER, name TEXT, v REAL)");
}

/* ---- bytes ---- */

static bool file_bytes(enum bench_side side, const char *path, double *bytes)
{
    char name[4300];
    struct stat st;
    snprintf(name, sizeof name, side == BENCH_QUARTET ? "%s/base.mdb" : "%s", path);
    if (stat(name, &st) != 0)
        return bench_fail(name, "cannot be looked at");
    *bytes = (double)st.st_size;
    return true;
}

static bool load(struct bench_ctx *c, bench_db *b)
{
    bench_stmt *s = NULL;
    bool ok = make_table(b) && bench_prepare(b, insert_sql, &s) && bench_exec(b, "BEGIN");
    for (int64_t i = 0; ok && i < c->rows; i++)
        ok = insert_row(s, c->shuffled[i]);
    bench_finalize(s);
    return ok && bench_exec(b, "COMMIT");
}

static bool update_round(struct bench_ctx *c, bench_db *b, uint64_t *state, int round)
{
    bench_stmt *s = NULL;
    bool ok = bench_prepare(b, "UPDATE t SET k = ?, v = ? WHERE id = ?", &s) && bench_exec(b, "BEGIN");
    for (int64_t i = 0; ok && i < c->rows / 10; i++) {
        struct bench_row r;
        bench_make_row(1 + (int64_t)(bench_random(state) % (uint64_t)c->rows), &r);
        ok = bench_bind_int(s, 1, r.k + round) && bench_bind_real(s, 2, r.v + round) && bench_bind_int(s, 3, r.id) && bench_run(s);
    }
    bench_finalize(s);
    return ok && bench_exec(b, "COMMIT");
}

static bool bytes(struct bench_ctx *c, enum bench_side side, int rounds, bool history, double *figure, uint64_t *check)
{
    char path[4200];
    bench_db *b = NULL;
    uint64_t state = 17;
    bench_path(c, side, path, sizeof path);
    bool ok = bench_shuffle(c) && bench_open(side, path, BENCH_NORMAL, &b);
    if (ok && side == BENCH_QUARTET && !history)
        ok = bench_exec(b, "SET history_retention = 0");
    ok = ok && load(c, b);
    for (int round = 1; ok && round <= rounds; round++)
        ok = update_round(c, b, &state, round);
    ok = ok && bench_query_hash(b, "SELECT count(*), sum(id), sum(k), sum(g), sum(v), min(name), max(name) FROM t", check);
    ok = bench_close(b) && ok && file_bytes(side, path, figure);
    *figure /= (double)c->rows;
    bench_remove(path);
    return ok;
}

static bool bytes_per_row(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    return bytes(c, side, 0, true, figure, check);
}

static bool bytes_per_row_updated(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    return bytes(c, side, ROUNDS, false, figure, check);
}

static bool bytes_per_row_history(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    return bytes(c, side, ROUNDS, true, figure, check);
}

/* Of an entry of the directory: where its payload begins; past the last one the block's end. */
static size_t payload_at(const struct block *b, uint32_t entry)
{
    return entry < b->about + b->cols ? load_le32(b->p + BLOCK_HEADER_BYTES + (size_t)entry * BLOCK_COLUMN_BYTES) : b->size;
}

static bool add_block(const struct base_cursor *at, double *meta, double *rows)
{
    struct err err = ERR_INIT;
    struct block b;
    if (block_open(&b, at->tree, at->block, at->block_bytes, true, &err) != QUARTET_OK)
        return bench_fail("a block", err.text);
    for (uint32_t i = 0; i < b.about; i++)
        *meta += (double)(BLOCK_COLUMN_BYTES + payload_at(&b, i + 1) - payload_at(&b, i));
    *meta += b.classes != NULL ? (double)((b.rows + 1) / 2) : 0;
    *rows += b.rows;
    return true;
}

/* Users' tables of a closed database; there is one, without indexes. */
static bool meta_of(const char *path, double *figure)
{
    struct err err = ERR_INIT;
    struct kv_base *base = NULL;
    struct base_read *read = NULL;
    struct base_cursor at = {.found = false};
    tree_id tree = KV_USER_TREES;
    bool found = false;
    double meta = 0, rows = 0;
    bool ok = kv_lmdb_open(env_posix(), path, &base, &err) == QUARTET_OK && base->ops->read_begin(base, &read, &err) == QUARTET_OK;
    bool open = ok && base->ops->cursor_open(read, &at, &err) == QUARTET_OK;
    ok = open && base->ops->next_tree(read, &tree, &found, &err) == QUARTET_OK && found;
    ok = ok && base->ops->seek(&at, tree, slice_of("", 0), &err) == QUARTET_OK;
    while (ok && at.found)
        ok = add_block(&at, &meta, &rows) && base->ops->next(&at, &err) == QUARTET_OK;
    if (open)
        base->ops->cursor_close(&at);
    if (base != NULL)
        base->ops->read_end(read);
    kv_base_unref(base);
    if (!ok || rows == 0)
        return bench_fail(path, err.text[0] != '\0' ? err.text : "there are no rows");
    *figure = meta / rows;
    return true;
}

static bool meta(struct bench_ctx *c, bool commits, double *figure)
{
    char path[4200];
    bench_db *b = NULL;
    bench_stmt *s = NULL;
    int64_t rows = commits ? c->rows / 10 : c->rows;
    bench_path(c, BENCH_QUARTET, path, sizeof path);
    bool ok = bench_shuffle(c) && bench_open(BENCH_QUARTET, path, BENCH_NORMAL, &b) && make_table(b) && bench_prepare(b, insert_sql, &s);
    ok = ok && (commits || bench_exec(b, "BEGIN"));
    for (int64_t i = 0; ok && i < rows; i++)
        ok = insert_row(s, c->shuffled[i]);
    ok = ok && (commits || bench_exec(b, "COMMIT"));
    bench_finalize(s);
    ok = bench_close(b) && ok && meta_of(path, figure);
    bench_remove(path);
    return ok;
}

static bool meta_load(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)side; /* there is no peer: SQLite keeps nothing of the kind */
    (void)check;
    return meta(c, false, figure);
}

static bool meta_commits(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)side; /* likewise */
    (void)check;
    return meta(c, true, figure);
}

/* ---- growth ---- */

struct growth {
    bench_db *b;
    bench_stmt *s;
    int64_t rows;   /* in the table */
    int64_t filled; /* of them in order: their ids are n << 27, those of the windows odd */
    uint64_t state;
};

static bool grow(struct growth *g, int64_t rows, bool random)
{
    bool ok = true;
    for (int64_t done = 0; ok && done < rows;) {
        ok = bench_exec(g->b, "BEGIN");
        for (int64_t k = 0; ok && k < GROWTH_COMMIT_ROWS && done < rows; k++, done++) {
            /* The random part spreads them over what is filled, the row's number makes them different. */
            int64_t id = ++g->filled << 27;
            if (random) {
                g->filled--;
                id = (int64_t)(bench_random(&g->state) % (uint64_t)g->filled) << 27 | (g->rows + done) << 1 | 1;
            }
            ok = insert_row(g->s, id);
        }
        ok = ok && bench_exec(g->b, "COMMIT");
    }
    g->rows += rows;
    return ok;
}

static bool window(struct growth *g, int64_t rows, double *rate)
{
    double started = bench_now();
    bool ok = grow(g, rows, true);
    *rate = (double)rows / (bench_now() - started);
    return ok;
}

static bool run_growth(struct bench_ctx *c, enum bench_side side, double *small, double *large, uint64_t *check)
{
    char path[4200];
    struct growth g = {.state = 5};
    bench_path(c, side, path, sizeof path);
    bool ok = bench_open(side, path, BENCH_NORMAL, &g.b) && make_table(g.b) && bench_prepare(g.b, insert_sql, &g.s);
    ok = ok && grow(&g, c->rows / 2, false) && window(&g, c->rows, small);
    ok = ok && grow(&g, c->rows * GROWTH_TIMES - c->rows / 2 - g.rows, false) && window(&g, c->rows, large);
    bench_finalize(g.s);
    ok = ok && bench_query_hash(g.b, "SELECT count(*), sum(k), sum(g), min(name), max(name) FROM t", check);
    ok = bench_close(g.b) && ok;
    bench_remove(path);
    return ok;
}

/* One run gives both figures: the rate at ten times the rows stands as Quartet's, that at once as the peer's. Whoever is asked first runs. */
static bool growth_of(struct bench_ctx *c, enum bench_side engine, enum bench_side asked, double *figure)
{
    static double rates[BENCH_SIDES];
    static bool kept;
    uint64_t check = 0; /* other engines do not see these rows */
    bool ok = kept || run_growth(c, engine, &rates[1], &rates[0], &check);
    kept = ok && !kept;
    *figure = rates[asked];
    return ok;
}

static bool growth(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)check; /* both figures are of one table */
    return growth_of(c, BENCH_QUARTET, side, figure);
}

static bool growth_sqlite(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)check; /* likewise */
    return growth_of(c, BENCH_SQLITE, side, figure);
}

const struct bench bench_size_list[] = {
    {"bytes_per_row", "bytes/row", true, false, bytes_per_row},
    {"bytes_per_row_updated", "bytes/row", true, false, bytes_per_row_updated},
    {"bytes_per_row_history", "bytes/row", true, false, bytes_per_row_history},
    {"meta_load", "bytes/row", true, true, meta_load},
    {"meta_commits", "bytes/row", true, true, meta_commits},
    {NULL, NULL, false, false, NULL},
};
const struct bench bench_growth_list[] = {
    {"growth", "rows/s at ten times --rows, beside Quartet's own at --rows", false, false, growth},
    {"growth_sqlite", "rows/s of SQLite at ten times --rows, beside its own at --rows", false, false, growth_sqlite},
    {NULL, NULL, false, false, NULL},
};

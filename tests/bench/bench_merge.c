/* bench_merge.c - remote deltas applied by one core, beside SQLite's upsert of the same rows in one transaction.
 * One database writes the rows in transactions of MERGE_TXN_ROWS and signs them as batches, which is not timed; a second member of the
 * same cluster then takes them as a node would: verified, logged, applied, synced. It goes below quartet.h, as only the node does. */
#include "bench.h"

#include <sched.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/db.h"
#include "parser/parse.h"

#define MERGE_TXN_ROWS 100

struct member {
    char path[4200];
    db *d;
    struct db_identity id;
    uint8_t public_key[32];
};

static bool told(const char *what, quartet_status rc, const struct err *err)
{
    return rc == QUARTET_OK || bench_fail(what, err->text);
}

static bool member_open(struct bench_ctx *c, struct member *m, uint8_t slot)
{
    struct err err = ERR_INIT;
    struct db_options options = {.sync = LOG_SYNC_NORMAL};
    bench_path(c, BENCH_QUARTET, m->path, sizeof m->path);
    m->id = (struct db_identity){.slot = slot, .member = true, .members_answered = true};
    memset(m->id.cluster.b, 42, sizeof m->id.cluster.b);
    if (crypto_sign_keypair(m->public_key, m->id.secret_key) != 0)
        return bench_fail("merge", "no key pair");
    return told(m->path, db_open(env_posix(), m->path, &options, &m->d, &err), &err) &&
           told("db_set_identity", db_set_identity(m->d, &m->id, &err), &err);
}

static bool member_close(struct member *m)
{
    struct err err = ERR_INIT;
    bool ok = m->d == NULL || told("db_close", db_close(m->d, &err), &err);
    if (m->path[0] != '\0')
        bench_remove(m->path);
    return ok;
}

/* ---- writing, below SQL: it is not timed, and the receiver sees no difference ---- */

static bool run_ddl(db *d, const char *sql)
{
    struct err err = ERR_INIT;
    struct arena a = {.limit_bytes = 1u << 20};
    struct ast_stmt *stmt = NULL;
    size_t consumed = 0;
    txn *t = NULL;
    bool ok = told(sql, parse_sql(&a, sql, strlen(sql), NULL, &stmt, &consumed, &err), &err) &&
              told("txn_begin", txn_begin(d, &t, &err), &err) && told("txn_statement_begin", txn_statement_begin(t, &err), &err);
    ok = ok && told(sql, ddl_run(t, stmt, &a, NULL, &err), &err);
    if (ok)
        ok = told("txn_commit", txn_commit(t, &err), &err);
    else
        txn_rollback(t);
    arena_free_all(&a);
    return ok;
}

static bool insert_parents(db *d)
{
    struct err err = ERR_INIT;
    struct arena a = {.limit_bytes = 1u << 20};
    txn *t = NULL;
    bool ok = told("txn_begin", txn_begin(d, &t, &err), &err);
    const struct table_def *table = ok ? catalog_table(txn_catalog(t), "p") : NULL;
    ok = ok && table != NULL && told("txn_statement_begin", txn_statement_begin(t, &err), &err);
    for (int64_t g = 0; ok && g < 100; g++) {
        struct value id = value_int(g);
        ok = told("table_insert", table_insert(t, table, &id, &a, NULL, NULL, &err), &err);
    }
    arena_free_all(&a);
    if (ok)
        return told("txn_commit", txn_commit(t, &err), &err);
    txn_rollback(t);
    return false;
}

/* With `constraints` each row claims a value that only it may have, in no order, and references one of a hundred others. */
static bool make_table(db *d, bool constraints)
{
    if (!constraints)
        return run_ddl(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, g INTEGER, name TEXT, v REAL)");
    return run_ddl(d, "CREATE TABLE p (id INTEGER PRIMARY KEY)") && insert_parents(d) &&
           run_ddl(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, g INTEGER REFERENCES p (id), name TEXT UNIQUE, v REAL)");
}

static bool insert_rows(txn *t, int64_t from, int64_t to)
{
    struct err err = ERR_INIT;
    struct arena a = {.limit_bytes = 1u << 24};
    const struct table_def *table = catalog_table(txn_catalog(t), "t");
    bool ok = table != NULL && told("txn_statement_begin", txn_statement_begin(t, &err), &err);
    for (int64_t i = from; ok && i <= to; i++) {
        struct bench_row r;
        bench_make_row(i, &r);
        struct value values[] = {value_int(r.id), value_int(r.k), value_int(r.g), value_text(r.name, r.name_bytes), {.type = VALUE_REAL, .r = r.v}};
        ok = told("table_insert", table_insert(t, table, values, &a, NULL, NULL, &err), &err);
    }
    arena_free_all(&a);
    return ok;
}

static bool write_rows(db *d, int64_t rows)
{
    struct err err = ERR_INIT;
    bool ok = true;
    for (int64_t from = 1; ok && from <= rows; from += MERGE_TXN_ROWS) {
        txn *t = NULL;
        int64_t to = from + MERGE_TXN_ROWS - 1 < rows ? from + MERGE_TXN_ROWS - 1 : rows;
        ok = told("txn_begin", txn_begin(d, &t, &err), &err);
        if (ok)
            txn_set_sync(t, LOG_SYNC_OFF);
        ok = ok && insert_rows(t, from, to);
        if (ok)
            ok = told("txn_commit", txn_commit(t, &err), &err);
        else
            txn_rollback(t);
    }
    return ok;
}

/* Batches one after the other, each with its length before it. */
static void keep_batch(void *arg, struct slice batch, const struct batch_header *h)
{
    (void)h; /* the receiver reads it from the bytes */
    struct buf *all = arg;
    buf_u32(all, (uint32_t)batch.n);
    buf_put(all, batch.p, batch.n);
}

static bool make_batches(struct bench_ctx *c, struct member *from, bool constraints, struct buf *batches)
{
    struct err err = ERR_INIT;
    bool ok = make_table(from->d, constraints) && write_rows(from->d, c->rows);
    size_t before;
    do {
        before = batches->len;
        ok = ok && told("db_seal", db_seal(from->d, keep_batch, batches, &err), &err);
    } while (ok && batches->len > before);
    return ok && told("batches", buf_check(batches, &err), &err);
}

static bool deliver_all(struct member *to, const struct buf *batches, const uint8_t *public_key)
{
    struct err err = ERR_INIT;
    struct bytes_in in = {.at = batches->data, .left = batches->len};
    while (in.left > 0) {
        uint32_t n = bytes_u32(&in);
        struct slice batch = {bytes_take(&in, n), n};
        enum deliver_result result = DELIVER_REFUSED;
        uint64_t need = 0;
        if (in.bad || !told("db_deliver", db_deliver(to->d, batch, public_key, &result, &need, &err), &err))
            return false;
        if (result != DELIVER_APPLIED)
            return bench_fail("db_deliver", err.text[0] != '\0' ? err.text : "a batch was not applied");
    }
    return told("db_sync_remote", db_sync_remote(to->d, &err), &err);
}

static bool same_hash(struct member *a, struct member *b)
{
    struct err err = ERR_INIT;
    struct state_hash ha, hb;
    struct buf at = {0};
    bool ok = told("hash", db_state_hash(a->d, &ha, &at, &err), &err) && told("hash", db_state_hash(b->d, &hb, &at, &err), &err);
    buf_deinit(&at);
    return ok && (memcmp(&ha, &hb, sizeof ha) == 0 || bench_fail("merge", "the two databases differ"));
}

/* Threads that start from here on stay on one core. */
static bool one_core(cpu_set_t *before)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof *before, before) != 0)
        return bench_fail("merge", "sched_getaffinity failed");
    for (size_t k = CPU_SETSIZE; k > 0; k--)
        if (CPU_ISSET(k - 1, before)) {
            CPU_SET(k - 1, &one);
            break;
        }
    return sched_setaffinity(0, sizeof one, &one) == 0 || bench_fail("merge", "sched_setaffinity failed");
}

static bool merge_quartet(struct bench_ctx *c, bool constraints, double *figure)
{
    struct member from = {.d = NULL}, to = {.d = NULL};
    struct buf batches = {0};
    cpu_set_t before;
    bool ok = sodium_init() >= 0 && member_open(c, &from, 0) && make_batches(c, &from, constraints, &batches);
    bool pinned = ok && one_core(&before);
    ok = pinned && member_open(c, &to, 1);
    double started = bench_now();
    ok = ok && deliver_all(&to, &batches, from.public_key);
    *figure = (double)c->rows / (bench_now() - started);
    ok = ok && same_hash(&from, &to);
    ok = member_close(&to) && ok;
    if (pinned && sched_setaffinity(0, sizeof before, &before) != 0)
        ok = false;
    ok = member_close(&from) && ok;
    buf_deinit(&batches);
    return ok;
}

static bool merge_sqlite(struct bench_ctx *c, bool constraints, double *figure)
{
    char path[4200];
    bench_db *b = NULL;
    bench_stmt *s = NULL;
    cpu_set_t before;
    bench_path(c, BENCH_SQLITE, path, sizeof path);
    bool pinned = one_core(&before);
    bool ok = pinned && bench_open(BENCH_SQLITE, path, BENCH_NORMAL, &b) &&
              bench_exec(b, constraints ? "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, g INTEGER, name TEXT UNIQUE, v REAL)"
                                        : "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, g INTEGER, name TEXT, v REAL)") &&
              (!constraints || bench_exec(b, "CREATE INDEX tg ON t (g)")) &&
              bench_prepare(b,
                            "INSERT INTO t (id, k, g, name, v) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                            " k = excluded.k, g = excluded.g, name = excluded.name, v = excluded.v",
                            &s);
    double started = bench_now();
    ok = ok && bench_exec(b, "BEGIN");
    for (int64_t i = 1; ok && i <= c->rows; i++) {
        struct bench_row r;
        bench_make_row(i, &r);
        ok = bench_bind_int(s, 1, r.id) && bench_bind_int(s, 2, r.k) && bench_bind_int(s, 3, r.g) &&
             bench_bind_text(s, 4, r.name, r.name_bytes) && bench_bind_real(s, 5, r.v) && bench_run(s);
    }
    ok = ok && bench_exec(b, "COMMIT");
    *figure = (double)c->rows / (bench_now() - started);
    bench_finalize(s);
    ok = bench_close(b) && ok;
    if (pinned && sched_setaffinity(0, sizeof before, &before) != 0)
        ok = false;
    bench_remove(path);
    return ok;
}

static bool merge(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)check; /* hashes are compared inside */
    return side == BENCH_QUARTET ? merge_quartet(c, false, figure) : merge_sqlite(c, false, figure);
}

static bool merge_constraints(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check)
{
    (void)check; /* likewise */
    return side == BENCH_QUARTET ? merge_quartet(c, true, figure) : merge_sqlite(c, true, figure);
}

const struct bench bench_merge_list[] = {
    {"merge", "rows/s", false, false, merge},
    {"merge_constraints", "rows/s", false, false, merge_constraints},
    {NULL, NULL, false, false, NULL},
};

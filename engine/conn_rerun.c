/* conn_rerun.c - a transaction of BEGIN ... COMMIT that was overtaken, run again before it is failed (DESIGN.md section 5).
 * Why: most such transactions would do the same again (a journal line, +1 on a counter), and "retry" sent to a client costs a round trip, and code that few
 *   clients have. So a connection notes what its transaction did: each statement's text and parameters, and a digest of every result that was given out
 *   (rows, affected counts, the last assigned key, errors). At COMMIT the statements run on a new snapshot; if every result comes out the same, nobody can
 *   tell the difference, and the new run is committed. Otherwise COMMIT fails with 40001. The last of several tries holds the commit lock, so that nothing can
 *   come between. now(), random() and uuid() give what they gave before; an assigned key that differs is a different result.
 * Limits: past CONN_RERUN_STATEMENTS_MAX or CONN_RERUN_BYTES_MAX nothing more is noted, and such a transaction is not run again. */
#include <string.h>

#include "base/mem.h"
#include "conn_internal.h"

#define CONN_RERUNS 10 /* the last one holds the commit lock */
#define CONN_RERUN_STATEMENTS_MAX 2000u
#define CONN_RERUN_BYTES_MAX (1u << 20)

struct rerun_entry {
    struct rerun_entry *next;
    const char *sql;
    size_t sql_len;
    struct value *params;
    uint32_t param_count;
    uint64_t rows, digest; /* given out */
    bool ended;            /* all its rows were given out */
    quartet_status rc;     /* how it ended, or how far it is */
    int64_t changes, last_insert_id;
};

void conn_rerun_clear(conn *c)
{
    arena_free_all(&c->rerun.arena);
    buf_clear(&c->rerun.randoms);
    c->rerun.first = c->rerun.last = NULL;
    c->rerun.count = 0;
    c->rerun.off = false;
}

struct rerun_entry *conn_rerun_note(conn_stmt *s)
{
    struct conn_rerun *log = &s->c->rerun;
    uint32_t params = params_count(&s->params);
    if (log->running || log->off)
        return NULL;
    struct rerun_entry *e = arena_zalloc(&log->arena, 1, sizeof *e);
    bool ok = e != NULL && log->count < CONN_RERUN_STATEMENTS_MAX && log->arena.used_bytes < CONN_RERUN_BYTES_MAX;
    if (ok) {
        e->sql = arena_strndup(&log->arena, s->sql, s->sql_len);
        e->sql_len = s->sql_len;
        e->params = arena_zalloc(&log->arena, params + 1u, sizeof *e->params);
        ok = e->sql != NULL && e->params != NULL;
    }
    for (uint32_t i = 0; ok && i < params; i++) {
        e->params[i] = s->params.values[i];
        ok = value_copy(&log->arena, &e->params[i]);
    }
    if (!ok) { /* too much to note, or no memory for it: such a transaction fails where others are run again */
        log->off = true;
        return NULL;
    }
    e->param_count = params;
    if (log->last != NULL)
        log->last->next = e;
    else
        log->first = e;
    log->last = e;
    log->count++;
    return e;
}

/* splitmix64's finish: one to one, so two values that differ never meet at once. */
static uint64_t digest_word(uint64_t h, uint64_t x)
{
    h = (h ^ x) + 0x9e3779b97f4a7c15u;
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
}

static uint64_t digest_value(uint64_t h, const struct value *v)
{
    uint64_t half[2];
    h = digest_word(h, v->type == VALUE_DECIMAL ? (uint64_t)v->scale << 8 | v->type : v->type);
    switch (v->type) {
    case VALUE_NULL:
        return h;
    case VALUE_TEXT:
    case VALUE_BLOB:
    case VALUE_JSON:
        return hash64(v->s.n > 0 ? v->s.p : (const uint8_t *)"", v->s.n, digest_word(h, v->s.n));
    case VALUE_DECIMAL:
        return digest_word(digest_word(h, v->dec.lo), (uint64_t)v->dec.hi);
    case VALUE_UUID:
        memcpy(half, v->uuid, sizeof half);
        return digest_word(digest_word(h, half[0]), half[1]);
    case VALUE_REAL:
        memcpy(half, &v->r, sizeof v->r);
        return digest_word(h, half[0]);
    default:
        return digest_word(h, (uint64_t)v->i);
    }
}

/* Take rows into an entry's digest. */
static void take_rows(struct rerun_entry *e, const struct batch *b, uint32_t columns, uint64_t at_most)
{
    for (uint32_t k = 0; k < b->n && e->rows < at_most; k++) {
        for (uint32_t c = 0; c < columns; c++) {
            struct value v = vec_get(&b->cols[c], batch_row(b, k));
            e->digest = digest_value(e->digest, &v);
        }
        e->rows++;
    }
}

void conn_rerun_rows(conn_stmt *s, const struct batch *b)
{
    if (s->noted == NULL)
        return;
    if (b->n == 0)
        s->noted->ended = true;
    else
        take_rows(s->noted, b, s->column_count, UINT64_MAX);
}

void conn_rerun_ended(conn_stmt *s, quartet_status rc)
{
    struct rerun_entry *e = s->noted;
    if (e == NULL)
        return;
    e->rc = rc;
    e->changes = s->c->changes;
    e->last_insert_id = s->c->last_insert_id;
    if (s->state != CONN_STREAMING) /* all rows of a statement that writes are its result, whether they are fetched or not */
        for (uint64_t i = 0; rc == QUARTET_OK && i < s->rows.count; i++) {
            for (uint32_t c = 0; c < s->rows.column_count; c++)
                e->digest = digest_value(e->digest, &s->rows.rows[i][c]);
            e->rows++;
        }
}

/* Run one noted statement again, as far as it was run. *same: everything given out came out the same. */
static quartet_status run_entry(conn *c, const struct rerun_entry *was, bool *same, struct err *err)
{
    struct rerun_entry now = {.next = NULL};
    conn_stmt *s = NULL;
    size_t consumed = 0;
    struct batch rows;
    quartet_status rc = conn_prepare(c, was->sql, was->sql_len, &s, &consumed, err);
    for (uint32_t i = 0; rc == QUARTET_OK && i < was->param_count; i++)
        rc = conn_bind(s, i + 1, &was->params[i], err);
    bool writes = rc == QUARTET_OK && !(s->p != NULL && !plan_writes(s->p));
    uint64_t wanted = writes || was->ended ? UINT64_MAX : was->rows;
    while (rc == QUARTET_OK && (now.rows < wanted || was->rows == 0)) {
        rc = conn_step(s, &rows, err);
        if (rc != QUARTET_OK || rows.n == 0) {
            now.ended = rc == QUARTET_OK;
            break;
        }
        take_rows(&now, &rows, s->column_count, wanted);
        if (now.rows >= wanted)
            break;
    }
    now.changes = c->changes;
    now.last_insert_id = c->last_insert_id;
    conn_finalize(s);
    if (rc == QUARTET_NOMEM || rc == QUARTET_IO || rc == QUARTET_FULL || rc == QUARTET_INTERRUPTED)
        return rc; /* no result of the statement, but a reason not to go on */
    *same = rc == was->rc && now.rows == was->rows && now.digest == was->digest &&
            (!writes || (now.changes == was->changes && now.last_insert_id == was->last_insert_id));
    err_clear(err);
    return QUARTET_OK;
}

/* All statements on a new transaction, which is c->t afterwards where all came out the same. */
static quartet_status run_all(conn *c, int64_t now_us, bool exclusive, bool *same, struct err *err)
{
    quartet_status rc = exclusive ? txn_begin_exclusive(c->d, &c->t, err) : txn_begin(c->d, &c->t, err);
    if (rc != QUARTET_OK)
        return rc;
    rc = conn_temp_begin(c, c->t, err);
    if (rc != QUARTET_OK) {
        txn_rollback(c->t);
        c->t = NULL;
        return rc;
    }
    txn_replay_inputs(c->t, now_us, &c->rerun.randoms);
    *same = true;
    c->rerun.running = true;
    for (const struct rerun_entry *e = c->rerun.first; rc == QUARTET_OK && *same && e != NULL; e = e->next)
        rc = run_entry(c, e, same, err);
    c->rerun.running = false;
    conn_end_txn(c);
    if (rc != QUARTET_OK || !*same) {
        txn_rollback(c->t);
        c->t = NULL;
    }
    return rc;
}

quartet_status conn_rerun(conn *c, int64_t now_us, hlc_stamp *stamp, struct err *err)
{
    struct err why = *err;
    int64_t changes = c->changes, last_insert_id = c->last_insert_id;
    quartet_status rc = QUARTET_SERIALIZATION;
    conn_share_wait(c); /* of all attempts together */
    for (int attempt = 1; attempt <= CONN_RERUNS && rc == QUARTET_SERIALIZATION && !c->rerun.off; attempt++) {
        bool same = false;
        rc = run_all(c, now_us, attempt == CONN_RERUNS, &same, err);
        if (rc == QUARTET_OK && !same) {
            rc = QUARTET_SERIALIZATION;
            break;
        }
        if (rc == QUARTET_OK) {
            txn *t = c->t;
            c->t = NULL;
            rc = conn_commit_txn(c, t, stamp, err);
        }
    }
    c->changes = changes;
    c->last_insert_id = last_insert_id;
    if (rc == QUARTET_SERIALIZATION)
        *err = why; /* the first reason: what was read has changed */
    return rc;
}

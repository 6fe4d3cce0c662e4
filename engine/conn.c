/* conn.c - a connection: what it is at, its token, its transaction's end.
 * Not here: its statements (conn_stmt.c) and how they run (conn_run.c), what session statements do (conn_session.c, conn_show.c). */
#include "conn_internal.h"

#include "base/mem.h"
#include "share.h"

/* ---- connections ---- */

quartet_status conn_open(db *d, conn **out, struct err *err)
{
    conn *c = mem_zalloc(1, sizeof *c);
    if (c == NULL)
        return err_nomem(err);
    c->d = d;
    c->settings = (struct conn_settings){.synchronous = d->options.sync, .consistency = CONN_LOCAL, .consistency_timeout_ms = 2000,
                                         .commit_acks_timeout_ms = 2000,
                                         .share_timeout_ms = SHARE_TIMEOUT_MS};
    *out = c;
    return QUARTET_OK;
}

void conn_close(conn *c)
{
    if (c == NULL)
        return;
    while (c->first != NULL)
        conn_finalize(c->first);
    txn_rollback(c->t);
    c->t = NULL;
    txn_rollback(c->rested);
    arena_free_all(&c->spare_text);
    arena_free_all(&c->spare_plan);
    arena_free_all(&c->spare_run);
    mem_free(c->spare_stmt);
    conn_end_txn(c);
    mem_free(c->savepoints);
    conn_rerun_clear(c);
    buf_deinit(&c->rerun.randoms);
    buf_deinit(&c->token);
    conn_temp_close(c);
    mem_free(c);
}

db *conn_db(conn *c)
{
    return c->d;
}

void conn_interrupt(conn *c)
{
    __atomic_store_n(&c->interrupted, 1, __ATOMIC_RELAXED);
}

void conn_on_progress(conn *c, uint32_t every, int (*progress)(void *arg), void *arg)
{
    c->progress = every > 0 ? progress : NULL;
    c->progress_arg = arg;
    c->progress_every = every;
}

void conn_on_notice(conn *c, void (*notice)(void *arg, const char *text), void *arg)
{
    c->notice = notice;
    c->notice_arg = arg;
}

void conn_say(conn *c, const char *text)
{
    if (c->notice != NULL)
        c->notice(c->notice_arg, text);
}

bool conn_in_transaction(const conn *c)
{
    return c->t != NULL;
}

int64_t conn_changes(const conn *c)
{
    return c->changes;
}

int64_t conn_last_insert_id(const conn *c)
{
    return c->last_insert_id;
}

hlc_stamp conn_last_commit(const conn *c)
{
    return c->last_commit;
}

struct conn_settings *conn_settings(conn *c)
{
    return &c->settings;
}

quartet_status conn_set_token(conn *c, struct slice encoded_vv, struct err *err)
{
    buf_clear(&c->token);
    buf_put(&c->token, encoded_vv.p, encoded_vv.n);
    return buf_check(&c->token, err);
}

quartet_status conn_token(conn *c, struct buf *out, struct err *err)
{
    return db_session_vector(c->d, out, err);
}

quartet_status conn_catalog(conn *c, struct catalog **out, struct err *err)
{
    txn *t = NULL;
    if (c->t != NULL || c->temp == NULL) {
        *out = c->t != NULL ? catalog_ref(c->t->catalog) : db_catalog(c->d);
        return QUARTET_OK;
    }
    quartet_status rc = txn_begin_read(c->d, NULL, &t, err);
    if (rc == QUARTET_OK)
        rc = conn_temp_begin(c, t, err);
    if (rc == QUARTET_OK)
        *out = catalog_ref(t->catalog);
    txn_rollback(t);
    return rc;
}

/* ---- commit ---- */

void conn_set_request(conn *c, uint64_t session, uint32_t request, bool gives_rows)
{
    c->request = (struct delta_request){.session = session, .request = request, .gave_rows = gives_rows};
}

quartet_status conn_commit_txn(conn *c, txn *t, hlc_stamp *stamp, struct err *err)
{
    txn_set_sync(t, c->settings.synchronous);
    c->request.affected = c->changes;
    c->request.last_insert_id = c->last_insert_id;
    txn_set_request(t, &c->request);
    return conn_txn_commit(t, stamp, err);
}

quartet_status conn_before_read(conn *c, struct err *err)
{
    const struct conn_node_hooks *hooks = db_node_hooks(c->d);
    if (hooks->before_read == NULL || c->settings.consistency == CONN_LOCAL)
        return QUARTET_OK;
    return hooks->before_read(hooks->ctx, c->settings.consistency, slice_of(c->token.data, c->token.len), c->settings.consistency_timeout_ms,
                              err);
}

/* The commit stands whatever peers say: a time-out is told as a notice, never as a failure. */
quartet_status conn_committed(conn *c, hlc_stamp stamp, struct err *err)
{
    (void)err; /* see above */
    if (stamp == 0)
        return QUARTET_OK;
    c->last_commit = stamp;
    const struct conn_node_hooks *hooks = db_node_hooks(c->d);
    if (c->settings.commit_acks == 0 || hooks->after_commit == NULL)
        return QUARTET_OK;
    struct err told = ERR_INIT;
    if (hooks->after_commit(hooks->ctx, stamp, c->settings.commit_acks, c->settings.commit_acks_timeout_ms, &told) != QUARTET_OK)
        conn_say(c, told.text);
    return QUARTET_OK;
}

void conn_cut_readers(conn *c)
{
    for (conn_stmt *s = c->first; s != NULL; s = s->next)
        if (s->state == CONN_STREAMING && s->own_txn == NULL) {
            conn_reset(s);
            s->state = CONN_CUT_OFF; /* whoever holds rows of it must learn that they are gone */
        }
}

void conn_end_txn(conn *c)
{
    conn_cut_readers(c);
    for (uint32_t i = 0; i < c->savepoint_count; i++)
        mem_free(c->savepoints[i].name);
    c->savepoint_count = 0;
    c->begun_by_savepoint = false;
}

quartet_status conn_commit(conn *c, struct err *err)
{
    hlc_stamp stamp = 0;
    txn *t = c->t;
    conn_end_txn(c); /* before the transaction goes: their scans read from it */
    c->t = NULL;
    int64_t now_us = txn_now_us(t);
    quartet_status rc = conn_commit_txn(c, t, &stamp, err);
    if (rc == QUARTET_SERIALIZATION)
        rc = conn_rerun(c, now_us, &stamp, err);
    conn_rerun_clear(c);
    return rc == QUARTET_OK ? conn_committed(c, stamp, err) : rc;
}

/* conn_session.c - statements about the session: BEGIN to ROLLBACK TO, SET, PRAGMA.
 * SAVEPOINT outside a transaction begins one, and the RELEASE of that savepoint commits it, as SQLite's users expect. */
#include "conn_internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

static quartet_status begin(conn *c, struct err *err)
{
    if (c->t != NULL)
        return err_set(err, QUARTET_ERROR, "a transaction is open already; COMMIT or ROLLBACK it, or use SAVEPOINT");
    quartet_status rc = conn_before_read(c, err);
    if (rc == QUARTET_OK)
        rc = txn_begin(c->d, &c->t, err);
    if (rc == QUARTET_OK)
        rc = conn_temp_begin(c, c->t, err);
    if (rc != QUARTET_OK) {
        txn_rollback(c->t);
        c->t = NULL;
    }
    conn_rerun_clear(c);
    if (rc == QUARTET_OK)
        txn_replay_inputs(c->t, txn_now_us(c->t), &c->rerun.randoms);
    return rc;
}

static quartet_status savepoint(conn *c, const char *name, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    bool began = c->t == NULL;
    if (began)
        rc = begin(c, err);
    if (rc != QUARTET_OK)
        return rc;
    char *copy = c->savepoint_count < CONN_SAVEPOINTS_MAX ? mem_strdup(name) : NULL;
    if (c->savepoint_count == CONN_SAVEPOINTS_MAX)
        return err_set(err, QUARTET_LIMIT, "more than %u savepoints in one transaction", CONN_SAVEPOINTS_MAX);
    if (copy != NULL && c->savepoint_count == c->savepoint_cap) {
        uint32_t cap = c->savepoint_cap == 0 ? 8 : c->savepoint_cap * 2;
        struct conn_savepoint *grown = mem_realloc(c->savepoints, cap, sizeof *grown);
        if (grown == NULL) {
            mem_free(copy);
            copy = NULL;
        } else {
            c->savepoints = grown;
            c->savepoint_cap = cap;
        }
    }
    if (copy == NULL) {
        if (began) {
            txn_rollback(c->t);
            c->t = NULL;
        }
        return err_nomem(err);
    }
    c->savepoints[c->savepoint_count++] = (struct conn_savepoint){.name = copy, .mark = txn_savepoint(c->t)};
    if (began)
        c->begun_by_savepoint = true;
    return QUARTET_OK;
}

/* The newest savepoint of the name, or -1. */
static int64_t find_savepoint(const conn *c, const char *name)
{
    for (uint32_t i = c->savepoint_count; i > 0; i--)
        if (strcasecmp(c->savepoints[i - 1].name, name) == 0)
            return i - 1;
    return -1;
}

static void forget_savepoints(conn *c, uint32_t keep)
{
    while (c->savepoint_count > keep)
        mem_free(c->savepoints[--c->savepoint_count].name);
}

static quartet_status release(conn *c, const char *name, struct err *err)
{
    int64_t at = find_savepoint(c, name);
    if (at < 0)
        return err_set(err, QUARTET_ERROR, "no such savepoint: %s", name);
    if (at == 0 && c->begun_by_savepoint)
        return conn_commit(c, err);
    forget_savepoints(c, (uint32_t)at);
    return QUARTET_OK;
}

static quartet_status rollback_to(conn *c, const char *name, struct err *err)
{
    int64_t at = find_savepoint(c, name);
    if (at < 0)
        return err_set(err, QUARTET_ERROR, "no such savepoint: %s", name);
    conn_cut_readers(c); /* one may stand on a row that goes */
    txn_rollback_to(c->t, c->savepoints[at].mark);
    forget_savepoints(c, (uint32_t)at + 1);
    return QUARTET_OK;
}

quartet_status conn_transaction(conn *c, const struct ast_transaction *a, struct err *err)
{
    switch ((enum ast_txn)a->action) {
    case AST_TXN_BEGIN:
        return begin(c, err);
    case AST_TXN_COMMIT:
        return c->t != NULL ? conn_commit(c, err) : err_set(err, QUARTET_ERROR, "cannot COMMIT: no transaction is open");
    case AST_TXN_ROLLBACK: {
        txn *t = c->t;
        if (t == NULL)
            return err_set(err, QUARTET_ERROR, "cannot ROLLBACK: no transaction is open");
        conn_end_txn(c);
        conn_rerun_clear(c);
        c->t = NULL;
        txn_rollback(t);
        return QUARTET_OK;
    }
    case AST_TXN_SAVEPOINT:
        return savepoint(c, a->savepoint.text, err);
    case AST_TXN_RELEASE:
        return release(c, a->savepoint.text, err);
    case AST_TXN_ROLLBACK_TO:
        return rollback_to(c, a->savepoint.text, err);
    }
    return err_set(err, QUARTET_INTERNAL, "an unknown transaction statement");
}

/* ---- SET ---- */

/* A setting's value as text: a word, a string or a number. */
quartet_status conn_setting_value(const struct ast_expr *e, char *out, size_t n, struct err *err)
{
    if (e != NULL && e->kind == AST_EXPR_STRING)
        snprintf(out, n, "%.*s", (int)(e->u.string.n < n ? e->u.string.n : n - 1), e->u.string.p);
    else if (e != NULL && (e->kind == AST_EXPR_INTEGER || e->kind == AST_EXPR_BOOL))
        snprintf(out, n, "%lld", (long long)e->u.integer);
    else if (e != NULL && e->kind == AST_EXPR_COLUMN)
        snprintf(out, n, "%s", e->u.column->name.text);
    else
        return err_set_at(err, QUARTET_ERROR, e != NULL ? (int64_t)e->offset : -1, "a setting takes a word, a string or a whole number");
    return QUARTET_OK;
}

struct choice {
    const char *word;
    int value;
};

static bool choose(const struct choice *choices, const char *word, int *out)
{
    for (; choices->word != NULL; choices++)
        if (strcasecmp(choices->word, word) == 0) {
            *out = choices->value;
            return true;
        }
    return false;
}

static const struct choice sync_choices[] = {{"full", LOG_SYNC_FULL},     {"normal", LOG_SYNC_NORMAL}, {"off", LOG_SYNC_OFF}, {"2", LOG_SYNC_FULL},
                                             {"1", LOG_SYNC_NORMAL},      {"0", LOG_SYNC_OFF},         {"extra", LOG_SYNC_FULL}, {"3", LOG_SYNC_FULL},
                                             {"default", LOG_SYNC_FULL},  {NULL, 0}};
static const struct choice consistency_choices[] = {{"local", CONN_LOCAL},          {"session", CONN_SESSION},      {"cluster", CONN_CLUSTER},
                                                    {"INSTANCE_RAW", CONN_LOCAL},   {"REGIONAL_RAW", CONN_CLUSTER}, {NULL, 0}};
static const struct choice switch_choices[] = {{"on", 1}, {"1", 1}, {"true", 1}, {"yes", 1}, {"off", 0}, {"0", 0}, {"false", 0}, {"no", 0}, {NULL, 0}};
static const struct choice acks_choices[] = {{"0", 0}, {"1", 1}, {"2", 2}, {"3", 3}, {"majority", CONN_ACKS_MAJORITY}, {"all", CONN_ACKS_ALL}, {NULL, 0}};

static bool parse_ms(const char *text, uint32_t *out)
{
    uint64_t v = 0;
    if (*text == '\0')
        return false;
    for (; *text >= '0' && *text <= '9' && v <= UINT32_MAX; text++)
        v = v * 10 + (uint64_t)(*text - '0');
    if (*text != '\0' || v > 86400000)
        return false;
    *out = (uint32_t)v;
    return true;
}

/* A whole number of bytes, at least 64 KiB. */
static bool parse_bytes(const char *text, uint64_t *out)
{
    uint64_t v = 0;
    if (*text == '\0')
        return false;
    for (; *text >= '0' && *text <= '9' && v <= UINT32_MAX * UINT64_C(1024); text++)
        v = v * 10 + (uint64_t)(*text - '0');
    if (*text != '\0' || v < CONN_LIMIT_BYTES_MIN || v > CONN_LIMIT_BYTES_MAX)
        return false;
    *out = v;
    return true;
}

/* What is not the session's but the store's, until it is closed. *known: it is one of those. */
static quartet_status set_limit(conn *c, const char *name, const char *text, int64_t offset, bool *known, struct err *err)
{
    struct kv_limits limits;
    uint64_t bytes = 0;
    bool buffer = strcasecmp(name, "buffer_bytes") == 0;
    *known = buffer || strcasecmp(name, "snapshot_bytes") == 0;
    if (!*known)
        return QUARTET_OK;
    if (c->is_client)
        return err_set_at(err, QUARTET_AUTH, offset, "%s is the node's, not a session's: start quartetd with --%s", name, buffer ? "buffer-bytes" : "snapshot-bytes");
    if (!parse_bytes(text, &bytes))
        return err_set_at(err, QUARTET_ERROR, offset, "%s takes a number of bytes from 65536 to 1099511627776, not '%s'", name, text);
    kv_limits(c->d->store, &limits);
    if (buffer)
        limits.buffer_bytes = bytes;
    else
        limits.snapshot_bytes = bytes;
    kv_set_limits(c->d->store, &limits);
    return QUARTET_OK;
}

/* Settings that drivers and scripts of other databases send at connect; nothing depends on them here. */
static bool is_harmless(const char *name)
{
    static const char *const names[] = {"names", "character_set_client", "character_set_results", "character_set_connection", "sql_mode",
                                        "autocommit", "net_write_timeout", "client_encoding", "standard_conforming_strings", "application_name",
                                        "unique_checks", NULL};
    for (size_t i = 0; names[i] != NULL; i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return false;
}

/* TIME ZONE, and what MySQL and PostgreSQL call it. The machine's own zone counts nowhere: that of a node is nothing to its clients. */
static bool is_zone(const char *name)
{
    return strcasecmp(name, "time_zone") == 0 || strcasecmp(name, "timezone") == 0 || strcasecmp(name, "time zone") == 0;
}

static quartet_status set_zone(conn *c, const char *text, int64_t offset, struct err *err)
{
    static const char *const utc[] = {"default", "local", "system"};
    const struct tz *zone;
    for (size_t i = 0; i < sizeof utc / sizeof *utc; i++)
        if (strcasecmp(utc[i], text) == 0)
            text = "UTC";
    quartet_status rc = tz_find(c->d->zones, slice_of(text, strlen(text)), &zone, err);
    if (rc != QUARTET_OK) {
        err->sql_offset = offset;
        return rc;
    }
    snprintf(c->settings.time_zone, sizeof c->settings.time_zone, "%s", tz_name(zone));
    return QUARTET_OK;
}

static quartet_status set_one(conn *c, const char *name, const char *text, int64_t offset, struct err *err)
{
    int value = 0;
    uint32_t number = 0;
    const char *expected;
    bool known = false;
    quartet_status rc = set_limit(c, name, text, offset, &known, err);
    if (known)
        return rc;
    if (is_zone(name))
        return set_zone(c, text, offset, err);
    if (strcasecmp(name, "synchronous") == 0) {
        expected = "'full', 'normal' or 'off'";
        if (choose(sync_choices, text, &value)) {
            c->settings.synchronous = (enum log_sync_mode)value;
            return QUARTET_OK;
        }
    } else if (strcasecmp(name, "consistency") == 0 || strcasecmp(name, CONN_AURORA_LEVEL) == 0) {
        expected = "'local', 'session' or 'cluster'";
        if (choose(consistency_choices, text, &value)) {
            c->settings.consistency = (enum conn_consistency)value;
            return QUARTET_OK;
        }
    } else if (strcasecmp(name, "foreign_keys") == 0 || strcasecmp(name, "foreign_key_checks") == 0) {
        expected = "on or off";
        if (choose(switch_choices, text, &value)) {
            c->settings.no_foreign_keys = value == 0;
            return QUARTET_OK;
        }
    } else if (strcasecmp(name, "history_retention") == 0) {
        return conn_set_retention(c, text, offset, err);
    } else if (strcasecmp(name, "commit_acks") == 0) {
        expected = "0, 1, 2, 3, 'majority' or 'all'";
        if (choose(acks_choices, text, &value)) {
            c->settings.commit_acks = value;
            return QUARTET_OK;
        }
    } else {
        uint32_t *ms = strcasecmp(name, "consistency_timeout") == 0   ? &c->settings.consistency_timeout_ms
                       : strcasecmp(name, "commit_acks_timeout") == 0 ? &c->settings.commit_acks_timeout_ms
                       : strcasecmp(name, "share_timeout") == 0       ? &c->settings.share_timeout_ms
                       : strcasecmp(name, "statement_timeout") == 0   ? &c->settings.statement_timeout_ms
                                                                      : NULL;
        expected = "milliseconds, at most a day";
        if (ms != NULL && parse_ms(text, &number)) {
            *ms = number;
            return QUARTET_OK;
        }
        if (strcasecmp(name, "memory_limit") == 0) {
            expected = "MiB, at least 1";
            if (parse_ms(text, &number) && number > 0) {
                c->settings.memory_bytes = (uint64_t)number << 20;
                return QUARTET_OK;
            }
        } else if (ms == NULL) {
            if (is_harmless(name))
                return QUARTET_OK;
            return err_set_at(err, QUARTET_ERROR, offset,
                              "no such setting: %s; there are synchronous, consistency, consistency_timeout, commit_acks, commit_acks_timeout, "
                              "share_timeout, statement_timeout, memory_limit, foreign_keys, time_zone, history_retention, buffer_bytes and snapshot_bytes",
                              name);
        }
    }
    return err_set_at(err, QUARTET_ERROR, offset, "%s takes %s, not '%s'", name, expected, text);
}

quartet_status conn_set(conn *c, const struct ast_settings *list, struct err *err)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct ast_setting *s = &list->item[i];
        char text[128];
        quartet_status rc = conn_setting_value(s->value, text, sizeof text, err);
        if (rc == QUARTET_OK)
            rc = set_one(c, s->name.name.text, text, (int64_t)s->name.name.offset, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

const char *conn_setting_text(const conn *c, const char *name, struct arena *a)
{
    static const char *const syncs[] = {"full", "normal", "off"};
    static const char *const levels[] = {"local", "session", "cluster"};
    if (is_zone(name))
        return c->settings.time_zone[0] == '\0' ? "UTC" : c->settings.time_zone;
    if (strcasecmp(name, "synchronous") == 0)
        return syncs[c->settings.synchronous];
    if (strcasecmp(name, "consistency") == 0 || strcasecmp(name, CONN_AURORA_LEVEL) == 0)
        return levels[c->settings.consistency];
    if (strcasecmp(name, "commit_acks") == 0)
        return c->settings.commit_acks == CONN_ACKS_ALL        ? "all"
               : c->settings.commit_acks == CONN_ACKS_MAJORITY ? "majority"
                                                               : arena_printf(a, "%d", c->settings.commit_acks);
    if (strcasecmp(name, "consistency_timeout") == 0)
        return arena_printf(a, "%u", c->settings.consistency_timeout_ms);
    if (strcasecmp(name, "commit_acks_timeout") == 0)
        return arena_printf(a, "%u", c->settings.commit_acks_timeout_ms);
    if (strcasecmp(name, "share_timeout") == 0)
        return arena_printf(a, "%u", c->settings.share_timeout_ms);
    if (strcasecmp(name, "statement_timeout") == 0)
        return arena_printf(a, "%u", c->settings.statement_timeout_ms);
    if (strcasecmp(name, "foreign_keys") == 0)
        return c->settings.no_foreign_keys ? "off" : "on";
    if (strcasecmp(name, "history_retention") == 0)
        return conn_retention_text(c, a);
    struct kv_limits limits;
    kv_limits(c->d->store, &limits);
    if (strcasecmp(name, "buffer_bytes") == 0)
        return arena_printf(a, "%zu", limits.buffer_bytes);
    if (strcasecmp(name, "snapshot_bytes") == 0)
        return arena_printf(a, "%llu", (unsigned long long)limits.snapshot_bytes);
    if (strcasecmp(name, "memory_limit") == 0)
        return arena_printf(a, "%llu", (unsigned long long)(c->settings.memory_bytes == 0 ? 1024 : c->settings.memory_bytes >> 20));
    return NULL;
}

/* PRAGMA is SQLite's: those that mean something here do it, all others are ignored, as SQLite ignores what it does not know. */
quartet_status conn_pragma(conn *c, const struct ast_setting *s, struct arena *a, struct conn_table *out, struct err *err)
{
    const char *name = s->name.name.text;
    char text[256];
    *out = (struct conn_table){0};
    if (s->value != NULL && conn_setting_value(s->value, text, sizeof text, err) != QUARTET_OK) {
        err_clear(err);
        return QUARTET_OK;
    }
    if ((strcasecmp(name, "synchronous") == 0 || strcasecmp(name, "foreign_keys") == 0) && s->value != NULL)
        return set_one(c, name, text, (int64_t)s->name.name.offset, err);
    if (strcasecmp(name, "table_info") == 0 && s->value != NULL)
        return conn_show_columns(c, text, a, out, err);
    return QUARTET_OK;
}

/* conn_history.c - SET history_retention: a setting of the whole database, written as a row of quartet_settings, so that it reaches every member.
 * Why not of the session: what one session lets go nobody can read any longer. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "conn_internal.h"
#include "datetime.h"
#include "system_table.h"

#define RETENTION_MS_MAX (100ull * 366 * 24 * 3600 * 1000)

static bool parse_retention(const char *text, uint64_t *ms)
{
    int64_t months, us;
    if (strcasecmp(text, "off") == 0 || strcmp(text, "0") == 0) {
        *ms = 0;
        return true;
    }
    if (!datetime_parse_interval(slice_of(text, strlen(text)), &months, &us) || months < 0 || us < 0 || (uint64_t)months > 1200)
        return false;
    *ms = (uint64_t)us / 1000 + (uint64_t)months * 30u * 24u * 3600u * 1000u;
    return *ms <= RETENTION_MS_MAX;
}

static quartet_status write_setting(txn *t, const char *value, struct err *err)
{
    const struct table_def *def = catalog_table_by_id(txn_catalog(t), SYS_SETTINGS);
    struct value row[2] = {value_text("history_retention", strlen("history_retention")), value_text(value, strlen(value))};
    quartet_status rc = txn_statement_begin(t, err);
    return rc == QUARTET_OK ? system_put(t, def, row, (const uint32_t[]){1}, 1, err) : rc;
}

quartet_status conn_set_retention(conn *c, const char *text, int64_t offset, struct err *err)
{
    char value[32];
    uint64_t ms;
    if (c->t != NULL)
        return err_set_at(err, QUARTET_ERROR, offset, "history_retention is of the whole database: set it outside of a transaction");
    if (!parse_retention(text, &ms))
        return err_set_at(err, QUARTET_ERROR, offset, "history_retention takes a length of time up to 100 years, as '72 hours' or '7 days', or 0, not '%s'",
                          text);
    snprintf(value, sizeof value, "%llu", (unsigned long long)ms);
    for (int attempt = 0;; attempt++) {
        txn *t = NULL;
        hlc_stamp stamp = 0;
        quartet_status rc = attempt < CONN_RETRIES ? txn_begin(c->d, &t, err) : txn_begin_exclusive(c->d, &t, err);
        if (rc != QUARTET_OK)
            return rc;
        rc = write_setting(t, value, err);
        if (rc != QUARTET_OK) {
            txn_rollback(t);
            return rc;
        }
        rc = conn_commit_txn(c, t, &stamp, err);
        if (rc != QUARTET_SERIALIZATION)
            return rc == QUARTET_OK ? conn_committed(c, stamp, err) : rc;
        err_clear(err);
    }
}

const char *conn_retention_text(const conn *c, struct arena *a)
{
    unsigned long long ms = db_history_ms(c->d);
    if (ms == 0)
        return "0";
    return ms % 3600000u == 0 ? arena_printf(a, "%llu hours", ms / 3600000u) : arena_printf(a, "%llu milliseconds", ms);
}

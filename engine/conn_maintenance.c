/* conn_maintenance.c - BACKUP TO and VACUUM: statements about the whole database's files; ANALYZE.
 * A client of a node names a directory of the node's machine: only below the one that the node's operator chose, and by a plain name, so that no client reaches any
 *   other file there.
 * Not here: what they do (backup.c, kv_copy.c). */
#include <ctype.h>
#include <string.h>

#include "backup.h"
#include "conn_internal.h"
#include "stats.h"

#define BACKUP_NAME_BYTES_MAX 100u

static const char *const backup_columns[] = {"directory", "bytes"};
static const char *const vacuum_columns[] = {"bytes_before", "bytes_after"};

void conn_maintenance_columns(const struct ast_stmt *tree, struct conn_table *out)
{
    *out = (struct conn_table){.column_count = 2, .columns = tree->kind == AST_STMT_BACKUP ? backup_columns : vacuum_columns};
}

void conn_backups_below(conn *c, const char *dir)
{
    c->is_client = true;
    c->backup_dir = dir;
}

/* The directory that BACKUP TO means. */
static quartet_status backup_path(conn *c, const char *name, char *out, size_t n, struct err *err)
{
    size_t len = strlen(name);
    if (!c->is_client) {
        if (len == 0 || len >= n)
            return err_set(err, QUARTET_LIMIT, "BACKUP TO: the directory's name has %zu bytes, 1 to %zu are possible", len, n - 1);
        memcpy(out, name, len + 1);
        return QUARTET_OK;
    }
    if (c->backup_dir == NULL)
        return err_set(err, QUARTET_AUTH, "BACKUP: this node takes none from clients; its operator allows it with quartetd --backup-dir DIR");
    bool plain = len > 0 && len <= BACKUP_NAME_BYTES_MAX && name[0] != '.';
    for (size_t i = 0; i < len; i++)
        plain = plain && (isalnum((unsigned char)name[i]) || name[i] == '-' || name[i] == '_' || name[i] == '.');
    if (!plain)
        return err_set(err, QUARTET_AUTH, "BACKUP TO: a client gives a plain name (letters, digits, '-', '_' and '.', at most %u), which is one in the node's "
                       "--backup-dir", BACKUP_NAME_BYTES_MAX);
    return path_join(out, n, c->backup_dir, name, err);
}

static quartet_status run_backup(conn *c, const struct ast_maintenance *m, struct value *values, struct arena *a, struct err *err)
{
    char name[DB_PATH_BYTES_MAX], path[DB_PATH_BYTES_MAX];
    uint64_t bytes;
    quartet_status rc = conn_setting_value(m->path, name, sizeof name, err);
    if (rc == QUARTET_OK)
        rc = backup_path(c, name, path, sizeof path, err);
    if (rc == QUARTET_OK)
        rc = db_backup(c->d, path, &bytes, err);
    if (rc != QUARTET_OK)
        return rc;
    const char *text = arena_strndup(a, path, strlen(path));
    if (text == NULL)
        return arena_fail(a, err);
    values[0] = value_text(text, strlen(text));
    values[1] = value_int((int64_t)bytes);
    return QUARTET_OK;
}

static quartet_status run_vacuum(conn *c, const struct ast_maintenance *m, struct value *values, struct err *err)
{
    uint64_t before, after;
    if (m->path != NULL)
        return err_set(err, QUARTET_ERROR, "VACUUM INTO: use BACKUP TO 'directory'");
    if (m->name.name.text != NULL && m->name.name.text[0] != '\0')
        return err_set(err, QUARTET_ERROR, "VACUUM takes no name: it writes the whole base anew");
    quartet_status rc = db_vacuum(c->d, &before, &after, err);
    if (rc == QUARTET_OK) {
        values[0] = value_int((int64_t)before);
        values[1] = value_int((int64_t)after);
    }
    return rc;
}

quartet_status conn_maintenance(conn *c, const struct ast_stmt *tree, struct arena *a, struct conn_table *out, struct err *err)
{
    struct value *values = arena_zalloc(a, 2, sizeof *values);
    if (values == NULL)
        return arena_fail(a, err);
    if (c->t != NULL)
        return err_set(err, QUARTET_ERROR, "%s is not for inside a transaction", ast_stmt_kind_name(tree->kind));
    conn_maintenance_columns(tree, out);
    out->row_count = 1;
    out->values = values;
    return tree->kind == AST_STMT_BACKUP ? run_backup(c, tree->u.maintenance, values, a, err) : run_vacuum(c, tree->u.maintenance, values, err);
}

quartet_status conn_analyze(conn *c, const struct ast_maintenance *m, struct err *err)
{
    struct catalog *catalog;
    const struct table_def *t;
    quartet_status rc = conn_catalog(c, &catalog, err);
    if (rc != QUARTET_OK)
        return rc;
    if (m->name.name.text != NULL) {
        t = catalog_named(catalog, m->name.name.text);
        rc = t != NULL && t->temporary ? QUARTET_OK : t == NULL ? err_set_at(err, QUARTET_ERROR, m->name.name.offset, "ANALYZE: no such table: %s", m->name.name.text)
                       : stats_analyze(c->d, t, err);
    }
    for (uint32_t i = 0; m->name.name.text == NULL && rc == QUARTET_OK && (t = catalog_table_at(catalog, i)) != NULL; i++)
        if (!t->is_system)
            rc = stats_analyze(c->d, t, err);
    catalog_unref(catalog);
    return rc;
}

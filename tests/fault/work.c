/* work.c - see work.h. */
#include "fault/work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/prng.h"
#include "engine/apply.h"
#include "engine/db_internal.h"
#include "engine/types.h"
#include "fault/disk.h"

static _Noreturn void give_up(const char *what, const char *text)
{
    fprintf(stderr, "work: %s: %s\n", what, text);
    exit(2);
}

/* ---- an open database ---- */

quartet_status work_open(struct work *w, struct err *err)
{
    w->d = NULL;
    w->c = NULL;
    quartet_status rc = db_open(w->env, w->path, &w->options, &w->d, err);
    if (rc == QUARTET_OK)
        rc = conn_open(w->d, &w->c, err);
    if (rc != QUARTET_OK && w->d != NULL) {
        struct err ignored = ERR_INIT;
        (void)db_close(w->d, &ignored); /* the first failure is told */
        w->d = NULL;
    }
    return rc;
}

quartet_status work_close(struct work *w, struct err *err)
{
    conn_close(w->c);
    quartet_status rc = db_close(w->d, err);
    w->c = NULL;
    w->d = NULL;
    return rc;
}

static void put_rows(const struct batch *b, struct buf *out)
{
    for (uint32_t r = 0; r < b->n; r++)
        for (uint32_t i = 0; i < b->col_count; i++) {
            struct value v = vec_get(&b->cols[i], r);
            value_to_literal(&v, out);
            buf_str(out, i + 1 < b->col_count ? "," : ";\n");
        }
}

static quartet_status run_one(conn_stmt *stmt, struct buf *rows, struct err *err)
{
    struct batch b;
    quartet_status rc;
    while ((rc = conn_step(stmt, &b, err)) == QUARTET_OK && b.n > 0)
        if (rows != NULL)
            put_rows(&b, rows);
    return rc;
}

quartet_status work_sql(struct work *w, const char *sql, struct buf *rows, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    size_t left = strlen(sql);
    while (rc == QUARTET_OK && left > 0) {
        conn_stmt *stmt = NULL;
        size_t consumed = 0;
        rc = conn_prepare(w->c, sql, left, &stmt, &consumed, err);
        if (rc == QUARTET_OK && stmt == NULL)
            break;
        if (rc == QUARTET_OK)
            rc = run_one(stmt, rows, err);
        conn_finalize(stmt);
        sql += consumed;
        left -= consumed;
    }
    return rc;
}

quartet_status work_dump(struct work *w, struct buf *out, struct err *err)
{
    struct catalog *c = db_catalog(w->d);
    quartet_status rc = QUARTET_OK;
    const struct table_def *t;
    for (uint32_t i = 0; rc == QUARTET_OK && (t = catalog_table_at(c, i)) != NULL; i++) {
        char sql[256];
        if (t->is_system)
            continue;
        buf_printf(out, "%s\n%s (", t->sql, t->name);
        for (uint32_t k = 0; k < t->column_count; k++)
            buf_printf(out, "%s ", t->columns[k].name);
        buf_str(out, ")");
        for (uint32_t k = 0; k < t->index_count; k++)
            buf_printf(out, " %s", t->indexes[k].name);
        buf_str(out, "\n");
        snprintf(sql, sizeof sql, "SELECT * FROM %s ORDER BY 1, 2", t->name);
        rc = work_sql(w, sql, out, err);
    }
    catalog_unref(c);
    return rc == QUARTET_OK ? buf_check(out, err) : rc;
}

/* Sums of hashes over the rows that a scan gives: two scans with the same rows in any order are equal. */
static quartet_status scan_sum(txn *t, const struct table_def *def, const struct index_def *ix, uint64_t *sum, uint64_t *rows, struct err *err)
{
    uint32_t columns[64];
    table_scan *s = NULL;
    struct batch b = {0};
    struct buf row = {0};
    *sum = *rows = 0;
    for (uint32_t i = 0; i < def->column_count; i++)
        columns[i] = i;
    struct scan_want want = {.columns = columns, .column_count = def->column_count};
    quartet_status rc = txn_statement_begin(t, err);
    if (rc == QUARTET_OK)
        rc = table_scan_open(t, def, ix, NULL, &want, &s, err);
    while (rc == QUARTET_OK && (rc = table_scan_next(s, 0, &b, err)) == QUARTET_OK && b.n > 0)
        for (uint32_t r = 0; r < b.n; r++) {
            uint64_t h = 14695981039346656037u;
            buf_clear(&row);
            for (uint32_t i = 0; i < def->column_count; i++) {
                struct value v = vec_get(&b.cols[i], r);
                value_encode(&row, &v);
            }
            for (size_t i = 0; i < row.len; i++)
                h = (h ^ row.data[i]) * 1099511628211u;
            *sum += h * (h >> 32 | 1);
            ++*rows;
        }
    table_scan_close(s);
    buf_deinit(&row);
    return rc;
}

static quartet_status compare_indexes(txn *t, char *why, size_t n, struct err *err)
{
    const struct table_def *def;
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; rc == QUARTET_OK && (def = catalog_table_at(txn_catalog(t), i)) != NULL; i++) {
        uint64_t sum, rows, index_sum, index_rows;
        rc = scan_sum(t, def, NULL, &sum, &rows, err);
        for (uint32_t k = 0; rc == QUARTET_OK && k < def->index_count; k++) {
            rc = scan_sum(t, def, &def->indexes[k], &index_sum, &index_rows, err);
            if (rc == QUARTET_OK && (sum != index_sum || rows != index_rows))
                snprintf(why, n, "index %s names %llu rows, table %s has %llu%s", def->indexes[k].name, (unsigned long long)index_rows, def->name,
                         (unsigned long long)rows, rows == index_rows ? ", others" : "");
        }
    }
    return rc;
}

bool work_consistent(struct work *w, char *why, size_t n)
{
    struct err err = ERR_INIT;
    struct state_hash before, after;
    txn *t = NULL;
    why[0] = '\0';
    quartet_status rc = txn_begin(w->d, &t, &err);
    if (rc == QUARTET_OK)
        rc = compare_indexes(t, why, n, &err);
    txn_rollback(t);
    if (rc == QUARTET_OK)
        rc = db_state_hash(w->d, &before, NULL, &err);
    if (rc == QUARTET_OK) {
        pthread_mutex_lock(&w->d->commit_lock);
        rc = apply_rebuild(w->d, &err);
        pthread_mutex_unlock(&w->d->commit_lock);
    }
    if (rc == QUARTET_OK)
        rc = db_state_hash(w->d, &after, NULL, &err);
    if (rc != QUARTET_OK)
        snprintf(why, n, "cannot be read: %s", err.text);
    else if (why[0] == '\0' && (before.lo != after.lo || before.hi != after.hi))
        snprintf(why, n, "the state hash is not that of the rows");
    return why[0] == '\0';
}

/* ---- scripts ---- */

struct drawing {
    struct script *s;
    struct prng prng;
    uint32_t next_a, next_audit, next_x, next_column;
    bool large;
    struct buf sql;
};

static uint32_t any(struct drawing *w, uint32_t n)
{
    return (uint32_t)prng_below(&w->prng, n);
}

static void put_text(struct drawing *w, uint32_t max)
{
    uint32_t n = any(w, w->large ? max * 8 : max);
    buf_str(&w->sql, "'");
    for (uint32_t i = 0; i < n; i++)
        buf_u8(&w->sql, (uint8_t)('a' + any(w, 26)));
    buf_str(&w->sql, "'");
}

static void put_audit(struct drawing *w, const char *what)
{
    buf_printf(&w->sql, "INSERT INTO audit VALUES (%u, '%s');", w->next_audit++, what);
}

static void put_rows_of_a(struct drawing *w, uint32_t rows)
{
    buf_str(&w->sql, "INSERT INTO a (id, name, pad) VALUES ");
    for (uint32_t i = 0; i < rows; i++) {
        /* Somewhere in between, but never twice. */
        buf_printf(&w->sql, "%s(%u, 'name %u', ", i > 0 ? ", " : "", w->next_a * 7919u % 100003u, any(w, 50));
        w->next_a++;
        put_text(w, 60);
        buf_str(&w->sql, ")");
    }
    buf_str(&w->sql, ";");
}

static void draw_transaction(struct drawing *w)
{
    buf_str(&w->sql, "BEGIN;");
    put_rows_of_a(w, 1 + any(w, w->large ? 12 : 4));
    buf_printf(&w->sql, "UPDATE a SET n = n + %u WHERE id < %u; UPDATE acc SET n = n - 5 WHERE id = %u; UPDATE acc SET n = n + 5 WHERE id = %u;", any(w, 9),
               any(w, 100003), any(w, 4), any(w, 4));
    put_audit(w, "new rows");
    buf_str(&w->sql, "COMMIT");
}

static void draw_savepoint(struct drawing *w)
{
    buf_printf(&w->sql, "BEGIN; INSERT INTO b (k, v) VALUES ('k%u', %u) ON CONFLICT (k) DO UPDATE SET v = v + 1; SAVEPOINT s;", any(w, 30), any(w, 1000));
    buf_printf(&w->sql, "DELETE FROM a WHERE id %% 5 = %u; UPDATE b SET v = 0; ROLLBACK TO s;", any(w, 5));
    put_audit(w, "savepoint");
    buf_printf(&w->sql, "SAVEPOINT t; DELETE FROM b WHERE k = 'k%u'; RELEASE t; COMMIT", any(w, 30));
}

static void draw_ddl(struct drawing *w)
{
    uint32_t last = w->next_x;
    switch (last == 0 ? 0 : any(w, 5)) {
    case 0:
    case 1:
        buf_printf(&w->sql, "BEGIN; CREATE TABLE x%u (id INTEGER PRIMARY KEY, t TEXT, v INTEGER); INSERT INTO x%u VALUES (1, 'one', 1), (2, 'two', 2);",
                   last, last);
        put_audit(w, "table");
        buf_str(&w->sql, "COMMIT");
        w->next_x++;
        break;
    case 2: buf_printf(&w->sql, "CREATE INDEX IF NOT EXISTS x_index_%u ON x%u (t)", last, last - 1); break;
    case 3: buf_printf(&w->sql, "ALTER TABLE b ADD COLUMN more%u INTEGER DEFAULT %u", w->next_column++, last); break;
    default:
        buf_printf(&w->sql, "BEGIN; DROP TABLE x%u;", last - 1);
        put_audit(w, "dropped");
        buf_printf(&w->sql, "CREATE TABLE x%u (id INTEGER PRIMARY KEY, t TEXT UNIQUE, v INTEGER COUNTER DEFAULT 3); INSERT INTO x%u (t) VALUES ('a'); COMMIT", last,
                   last);
        w->next_x++;
        break;
    }
}

static void draw_query(struct drawing *w)
{
    static const char *const queries[] = {
        "SELECT a.name, count(*), sum(a.n), max(length(a.pad)) FROM a GROUP BY a.name HAVING count(*) > 1 ORDER BY 2 DESC, 1",
        "SELECT a.id, b.k, acc.n FROM a JOIN b ON b.v % 7 = a.id % 7 LEFT JOIN acc ON acc.id = a.id % 5 ORDER BY a.id, b.k LIMIT 40",
        "SELECT id, name, row_number() OVER (PARTITION BY name ORDER BY id) FROM a ORDER BY name, id",
        "WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 20) SELECT i, (SELECT count(*) FROM a WHERE id % 20 = i) FROM r",
        "SELECT name FROM a WHERE name BETWEEN 'name 1' AND 'name 3' UNION SELECT k FROM b ORDER BY 1",
        "SELECT DISTINCT upper(substr(pad, 1, 2)), n IN (SELECT v FROM b) FROM a ORDER BY 1, 2",
    };
    buf_str(&w->sql, queries[any(w, 6)]);
}

static void draw_step(struct drawing *w)
{
    uint32_t kind = any(w, 12);
    switch (kind) {
    case 0:
    case 1:
    case 2: draw_transaction(w); break;
    case 3:
    case 4: draw_savepoint(w); break;
    case 5:
        buf_str(&w->sql, "UPDATE a SET pad = ");
        put_text(w, 100);
        buf_printf(&w->sql, " WHERE id %% 11 = %u", any(w, 11));
        break;
    case 6: buf_printf(&w->sql, "DELETE FROM a WHERE id %% 13 = %u", any(w, 13)); break;
    case 7: draw_ddl(w); break;
    case 8:
        buf_printf(&w->sql, "BEGIN; DELETE FROM audit WHERE seq %% 3 = 1; UPDATE acc SET n = 0; CREATE TABLE never%u (x); ROLLBACK", w->next_audit);
        break;
    case 9: buf_printf(&w->sql, "UPDATE a SET name = 'name %u' WHERE id BETWEEN %u AND 50000", any(w, 99), any(w, 50000)); break;
    case 10: put_rows_of_a(w, w->large ? 30 : 5); break;
    default: draw_query(w); break;
    }
}

static const char *const schema[] = {
    "CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER DEFAULT 0, pad TEXT)",
    "CREATE TABLE b (k TEXT PRIMARY KEY, v INTEGER)",
    "BEGIN; CREATE TABLE acc (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO acc VALUES (0, 100), (1, 100), (2, 100), (3, 100), (4, 100); COMMIT",
    "CREATE TABLE audit (seq INTEGER PRIMARY KEY, what TEXT)",
    "CREATE INDEX a_name ON a (name, pad)",
};
#define SCHEMA_STEPS (sizeof schema / sizeof *schema)

static void run_in_memory(struct script *s)
{
    struct work w = {.env = env_posix(), .options = {.in_memory = true}};
    struct err err = ERR_INIT;
    if (work_open(&w, &err) != QUARTET_OK)
        give_up("a database in memory", err.text);
    for (uint32_t i = 0; i < s->count; i++) {
        if (work_dump(&w, &s->state[i], &err) != QUARTET_OK || work_sql(&w, s->steps[i], &s->rows[i], &err) != QUARTET_OK) {
            fprintf(stderr, "step %u: %s\n", i, s->steps[i]);
            give_up("the script fails without faults", err.text);
        }
    }
    if (work_dump(&w, &s->state[s->count], &err) != QUARTET_OK || work_close(&w, &err) != QUARTET_OK)
        give_up("the end of the run in memory", err.text);
}

void script_make(struct script *s, uint64_t seed, uint32_t count, bool large)
{
    struct drawing w = {.s = s, .large = large, .next_a = 1};
    prng_seed(&w.prng, seed);
    *s = (struct script){.count = count < SCRIPT_STEPS_MAX ? count : SCRIPT_STEPS_MAX};
    for (uint32_t i = 0; i < s->count; i++) {
        buf_clear(&w.sql);
        if (i < SCHEMA_STEPS)
            buf_str(&w.sql, schema[i]);
        else
            draw_step(&w);
        buf_u8(&w.sql, 0);
        s->steps[i] = mem_strdup((const char *)w.sql.data);
        if (s->steps[i] == NULL)
            give_up("memory", "");
    }
    buf_deinit(&w.sql);
    run_in_memory(s);
}

void script_free(struct script *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        mem_free(s->steps[i]);
        buf_deinit(&s->rows[i]);
        buf_deinit(&s->state[i]);
    }
    buf_deinit(&s->state[s->count]);
}

static bool same(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

quartet_status script_step(const struct script *s, uint32_t i, struct work *w, struct err *err)
{
    struct buf rows = {0};
    quartet_status rc = work_sql(w, s->steps[i], &rows, err);
    if (rc == QUARTET_OK)
        rc = buf_check(&rows, err);
    if (rc == QUARTET_OK && !same(&rows, &s->rows[i]))
        rc = err_set(err, QUARTET_INTERNAL, "the rows are not those of the run without faults");
    if (rc != QUARTET_OK && conn_in_transaction(w->c)) {
        struct err ignored = ERR_INIT;
        quartet_status end = work_sql(w, "ROLLBACK", NULL, &ignored);
        if (end != QUARTET_OK && end != QUARTET_NOMEM) /* no memory, still: the caller does it when there is some */
            rc = err_set(err, QUARTET_INTERNAL, "ROLLBACK after an error fails: %s", ignored.text);
    }
    buf_deinit(&rows);
    return rc;
}

int script_state(const struct script *s, const struct buf *dump, uint32_t lo, uint32_t hi)
{
    for (uint32_t i = lo; i <= hi && i <= s->count; i++)
        if (same(dump, &s->state[i]))
            return (int)i;
    return -1;
}

void script_explain(const struct script *s, const struct buf *dump, uint32_t at)
{
    const struct buf *want = &s->state[at];
    size_t i = 0;
    while (i < want->len && i < dump->len && want->data[i] == dump->data[i])
        i++;
    size_t from = i > 60 ? i - 60 : 0;
    printf("  against the state before step %u, from byte %zu:\n    want ...%.*s\n    have ...%.*s\n", at, i,
           (int)(want->len - from < 160 ? want->len - from : 160), (const char *)want->data + from, (int)(dump->len - from < 160 ? dump->len - from : 160),
           (const char *)dump->data + from);
}

/* ---- directories ---- */

void work_dir_begin(char *out, size_t n, const char *name)
{
    const char *tmp = getenv("TMPDIR");
    if (access("/dev/shm", W_OK) == 0)
        tmp = "/dev/shm";
    snprintf(out, n, "%s/quartet-%s-XXXXXX", tmp != NULL ? tmp : "/tmp", name);
    if (mkdtemp(out) == NULL)
        give_up(out, strerror(errno));
}

void work_dir_end(const char *dir)
{
    disk_remove_tree(dir);
}

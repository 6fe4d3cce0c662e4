/* test_sql_random.c - random statements, valid or not, must never bring the engine down: each ends with rows or with an error that has a
 * text, never with "internal"; and whatever they did, every index agrees with its table.
 *
 * QUARTET_SEED= replays one seed, with QUARTET_RANDOM_TRACE=1 showing each statement; QUARTET_RANDOM_SECONDS= sets how long it goes on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "quartet.h"
#include "random_sql.h"

#define SECONDS_DEFAULT  6.0
#define STATEMENTS       250u /* of a seed */
#define KEPT             6u   /* prepared statements kept across whatever follows */
#define ROWS_MAX         3000u
#define REOPEN_EACH      5u /* one seed in so many is on disk, and opened again */

/* What once failed; each on a database of its own, several statements run in turn. */
static const char *const regressions[] = {
    /* A key column set to what it was. */
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); INSERT INTO t VALUES (1, 'x'); UPDATE t SET a = a, b = 'y' WHERE a = 1",
    /* A column that is added after the INSERT, in one transaction; and so many that the bitmap of an UPDATE grows. */
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); BEGIN; INSERT INTO t VALUES (1, 'x'); ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 5; "
    "COMMIT; SELECT c FROM t",
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c INT, d INT, e INT, f INT, g INT, h INT, i INTEGER COUNTER); "
    "INSERT INTO t(a) VALUES (1); BEGIN; UPDATE t SET b = 'x', i = i + 1; ALTER TABLE t ADD COLUMN j INTEGER; UPDATE t SET j = 2, i = i + 1; "
    "COMMIT; SELECT * FROM t",
    /* Windows over subqueries. */
    "SELECT lag(1, -9223372036854775808) OVER (), lead(1, -9223372036854775808) OVER (), lag(1, 9223372036854775807) OVER ()",
    "SELECT '' REGEXP '', translate('a', '', 'b'), replace('', '', '')",
    "SELECT count(*) OVER (RANGE 1 PRECEDING)",
    "SELECT rank() OVER (ORDER BY (SELECT 1)), sum(1) OVER (PARTITION BY EXISTS (SELECT 1))",
};

struct run {
    struct random_sql g;
    quartet_db *db[2];
    quartet_stmt *kept[KEPT];
    quartet_db *owner[KEPT];
    uint64_t seed, statements, errors, compared;
    unsigned failed;
    bool trace;
};

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(struct run *r, const char *what, const char *sql, const char *detail)
{
    r->failed++;
    printf("seed %llu: %s\n  %s\n  %s\n", (unsigned long long)r->seed, what, sql, detail);
}

static void check_status(struct run *r, quartet_db *db, int rc, const char *sql)
{
    if (rc == QUARTET_OK || rc == QUARTET_ROW || rc == QUARTET_DONE)
        return;
    r->errors++;
    const char *text = quartet_errmsg(db);
    if (r->trace)
        fprintf(stderr, "-- error %d: %s\n", rc, text != NULL ? text : "");
    if (text == NULL || text[0] == '\0' || quartet_sqlstate(db) == NULL || strlen(quartet_sqlstate(db)) != 5)
        fail(r, "an error without a text", sql, "");
    if (rc == QUARTET_INTERNAL || rc == QUARTET_CORRUPT || rc == QUARTET_IO || rc == QUARTET_NOTFOUND || rc == QUARTET_MISUSE)
        fail(r, "a status that no statement may have", sql, text != NULL ? text : "");
}

static void bind_some(struct run *r, quartet_db *db, quartet_stmt *s, const char *sql)
{
    static const int64_t whole[] = {0, 1, -1, 5, INT64_MAX, INT64_MIN};
    static const double real[] = {0.0, -0.0, 1.5, 1e308, -1e-308};
    int n = quartet_bind_count(s);
    for (int i = 1; i <= n + 1; i++) {
        int rc = QUARTET_OK;
        switch (random_pick(&r->g, 7)) {
        case 0:
        case 1:
            rc = quartet_bind_int64(s, i, whole[random_pick(&r->g, 6)]);
            break;
        case 2:
            rc = quartet_bind_double(s, i, random_pick(&r->g, 10) == 0 ? (double)(0.0F / 0.0F) : real[random_pick(&r->g, 5)]);
            break;
        case 3:
            rc = quartet_bind_text(s, i, "a\0b", (int64_t)random_pick(&r->g, 4));
            break;
        case 4:
            rc = quartet_bind_text(s, i, "\xff\xc3", (int64_t)random_pick(&r->g, 3));
            break;
        case 5:
            rc = quartet_bind_blob(s, i, "\x00\xff", (int64_t)random_pick(&r->g, 3));
            break;
        default:
            rc = quartet_bind_null(s, i);
            break;
        }
        if (i > n && rc != QUARTET_RANGE && rc != QUARTET_MISMATCH && rc != QUARTET_ERROR)
            fail(r, "a parameter that is not there was bound", sql, "");
        if (rc == QUARTET_INTERNAL)
            check_status(r, db, rc, sql);
    }
}

static void read_row(quartet_stmt *s)
{
    int n = quartet_column_count(s);
    for (int i = 0; i < n; i++) {
        /* What counts is that each can be asked: the values of random statements mean nothing. */
        (void)quartet_column_type(s, i);
        (void)quartet_column_int64(s, i);
        (void)quartet_column_double(s, i);
        const char *text = quartet_column_text(s, i);
        if (text != NULL)
            (void)strlen(text);
        (void)quartet_column_blob(s, i);
        (void)quartet_column_bytes(s, i);
        (void)quartet_column_name(s, i);
    }
}

/* Up to `rows` rows; true while there may be more. */
static bool step_some(struct run *r, quartet_db *db, quartet_stmt *s, uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++) {
        int rc = quartet_step(s);
        if (rc != QUARTET_ROW) {
            check_status(r, db, rc, "(a step)");
            return false;
        }
        read_row(s);
    }
    return true;
}

static void run_one(struct run *r, quartet_db *db, const char *sql)
{
    quartet_stmt *s = NULL;
    const char *tail = NULL;
    if (r->trace)
        fprintf(stderr, "%d: %s;\n", db == r->db[0] ? 0 : 1, sql);
    r->statements++;
    int rc = quartet_prepare(db, sql, -1, &s, &tail);
    check_status(r, db, rc, sql);
    if (s == NULL)
        return;
    unsigned before = r->failed;
    bind_some(r, db, s, sql);
    (void)step_some(r, db, s, ROWS_MAX); /* its errors are judged there */
    if (r->failed != before)
        printf("  in: %s\n", sql);
    for (int i = 0; i < quartet_column_count(s) + 1; i++) { /* also after an error, and one too many */
        (void)quartet_column_name(s, i);
        (void)quartet_column_decltype(s, i);
    }
    (void)quartet_finalize(s); /* tells the step's error again */
}

/* Statements that live on while tables change below them. */
static void run_kept(struct run *r, const char *sql, quartet_db *db)
{
    uint32_t k = random_pick(&r->g, KEPT);
    if (r->kept[k] != NULL && random_pick(&r->g, 4) != 0) {
        if (r->trace)
            fprintf(stderr, "%d: -- kept %u goes on\n", r->owner[k] == r->db[0] ? 0 : 1, k);
        if (!step_some(r, r->owner[k], r->kept[k], 1 + random_pick(&r->g, 5))) {
            for (int i = 0; i < quartet_column_count(r->kept[k]); i++) {
                (void)quartet_column_name(r->kept[k], i);
                (void)quartet_column_decltype(r->kept[k], i);
            }
            (void)quartet_reset(r->kept[k]); /* tells the step's error again */
            if (random_pick(&r->g, 2) == 0)
                bind_some(r, r->owner[k], r->kept[k], "(kept)");
        }
        return;
    }
    (void)quartet_finalize(r->kept[k]);
    r->kept[k] = NULL;
    if (r->trace)
        fprintf(stderr, "%d: -- kept %u is %s;\n", db == r->db[0] ? 0 : 1, k, sql);
    int rc = quartet_prepare(db, sql, -1, &r->kept[k], NULL);
    check_status(r, db, rc, sql);
    r->owner[k] = db;
    if (r->kept[k] != NULL)
        bind_some(r, db, r->kept[k], sql);
}

/* ---- what must hold ---- */

/* The only value of a query as a number; false where it failed. */
static bool ask(struct run *r, quartet_db *db, const char *sql, int64_t *value)
{
    quartet_stmt *s = NULL;
    int rc = quartet_prepare(db, sql, -1, &s, NULL);
    if (rc == QUARTET_OK)
        rc = quartet_step(s);
    bool ok = rc == QUARTET_ROW;
    if (ok)
        *value = quartet_column_int64(s, 0);
    check_status(r, db, rc, sql);
    (void)quartet_finalize(s); /* tells the step's error again */
    return ok;
}

static void same(struct run *r, quartet_db *db, const char *one, const char *other)
{
    int64_t a = 0, b = 0;
    char detail[64];
    if (!ask(r, db, one, &a) || !ask(r, db, other, &b))
        return;
    r->compared++;
    if (a != b) {
        (void)snprintf(detail, sizeof detail, "%lld against %lld", (long long)a, (long long)b);
        fail(r, "two ways to count differ", one, other);
        printf("  %s\n", detail);
    }
}

static void check_table(struct run *r, quartet_db *db, uint32_t table)
{
    char one[4096], other[4096];
    int64_t rows = 0;
    const struct random_table *t = &r->g.tables[table];
    (void)snprintf(one, sizeof one, "SELECT count(*) FROM t%u", table);
    if (t->column_count == 0 || !ask(r, db, one, &rows) || rows > 2000)
        return;
    for (uint32_t c = 0; c < t->column_count; c++) {
        (void)snprintf(one, sizeof one, "SELECT count(c%u) FROM t%u", c, table);
        (void)snprintf(other, sizeof other, "SELECT count(*) FROM (SELECT DISTINCT c%u AS v FROM t%u) d JOIN t%u ON t%u.c%u = d.v", c, table, table,
                       table, c);
        same(r, db, one, other);
        (void)snprintf(one, sizeof one, "SELECT count(*) FROM t%u", table);
        (void)snprintf(other, sizeof other, "SELECT count(*) FROM (SELECT * FROM t%u ORDER BY c%u DESC LIMIT 9999)", table, c);
        same(r, db, one, other);
    }
    for (uint32_t i = 0; i < 6; i++) {
        const char *condition = random_condition(&r->g, table);
        if (strlen(condition) > 2000)
            continue;
        (void)snprintf(one, sizeof one, "SELECT count(*) FROM t%u WHERE %s", table, condition);
        (void)snprintf(other, sizeof other, "SELECT count(*) FROM t%u WHERE (%s) IS TRUE", table, condition);
        same(r, db, one, other);
    }
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All rows of a table as sorted lines, appended to out: in any order they are the same table. */
static void dump_table(quartet_db *db, uint32_t table, struct buf *out)
{
    char sql[64];
    char *lines[ROWS_MAX];
    size_t n = 0;
    quartet_stmt *s = NULL;
    (void)snprintf(sql, sizeof sql, "SELECT * FROM t%u", table);
    if (quartet_prepare(db, sql, -1, &s, NULL) != QUARTET_OK)
        return;
    while (n < ROWS_MAX && quartet_step(s) == QUARTET_ROW) {
        struct buf line = {0};
        for (int i = 0; i < quartet_column_count(s); i++) {
            const char *text = quartet_column_text(s, i);
            buf_printf(&line, "%d:%s|", quartet_column_type(s, i), text != NULL ? text : "");
        }
        buf_u8(&line, 0);
        size_t size = 0;
        lines[n++] = (char *)buf_take(&line, &size);
    }
    qsort(lines, n, sizeof lines[0], compare_lines);
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "t%u %s\n", table, lines[i]);
        free(lines[i]);
    }
    (void)quartet_finalize(s); /* what failed here is missing from the dump */
}

static void dump(quartet_db *db, struct buf *out)
{
    for (uint32_t t = 0; t < RANDOM_TABLES; t++)
        dump_table(db, t, out);
    buf_u8(out, 0);
}

static void close_all(struct run *r)
{
    for (uint32_t k = 0; k < KEPT; k++) {
        (void)quartet_finalize(r->kept[k]); /* tells the step's error again */
        r->kept[k] = NULL;
    }
    for (int i = 0; i < 2; i++) {
        if (r->db[i] != NULL && quartet_close(r->db[i]) != QUARTET_OK)
            fail(r, "cannot close", "", "");
        r->db[i] = NULL;
    }
}

static bool open_all(struct run *r, const char *path)
{
    int count = strcmp(path, ":memory:") == 0 ? 1 : 2;
    for (int i = 0; i < count; i++) {
        if (quartet_open(path, &r->db[i]) != QUARTET_OK) {
            fail(r, "cannot open", path, quartet_errmsg(r->db[i]));
            return false;
        }
        run_one(r, r->db[i], "SET statement_timeout = 300");
        run_one(r, r->db[i], "SET memory_limit = 16");
        run_one(r, r->db[i], "SET synchronous = 'off'");
    }
    return true;
}

static void reopen_and_compare(struct run *r, const char *path)
{
    struct buf before = {0}, after = {0};
    for (int i = 0; i < 2; i++)
        run_one(r, r->db[i], "ROLLBACK");
    dump(r->db[0], &before);
    close_all(r);
    if (open_all(r, path)) {
        dump(r->db[0], &after);
        if (before.len != after.len || memcmp(before.data, after.data, before.len) != 0) {
            fail(r, "the tables differ after closing and opening", path, "");
            printf("--- before\n%s--- after\n%s", (const char *)before.data, (const char *)after.data);
        }
        for (uint32_t t = 0; t < RANDOM_TABLES; t++)
            check_table(r, r->db[0], t);
    }
    buf_deinit(&before);
    buf_deinit(&after);
}

/* What random DDL and ROLLBACK took away comes back, and what a table looks like now is learnt. */
static void restore_tables(struct run *r, quartet_db *db)
{
    char sql[32];
    for (uint32_t t = 0; t < RANDOM_TABLES; t++) {
        quartet_stmt *s = NULL;
        (void)snprintf(sql, sizeof sql, "SELECT * FROM t%u", t);
        for (int tries = 0; tries < 5 && quartet_prepare(db, sql, -1, &s, NULL) != QUARTET_OK; tries++)
            run_one(r, db, random_create(&r->g, t));
        uint32_t n = s != NULL ? (uint32_t)quartet_column_count(s) : 1;
        r->g.tables[t].column_count = n < RANDOM_COLUMNS ? n : RANDOM_COLUMNS;
        (void)quartet_finalize(s); /* it was not run */
    }
}

static void run_seed(struct run *r, uint64_t seed)
{
    char path[64] = ":memory:", command[96];
    bool disk = seed % REOPEN_EACH == 0;
    r->seed = seed;
    random_sql_init(&r->g, seed);
    if (disk) {
        (void)snprintf(path, sizeof path, "/tmp/quartet_random_XXXXXX");
        if (mkdtemp(path) == NULL) {
            fail(r, "no directory", path, "");
            return;
        }
    }
    if (open_all(r, path)) {
        for (uint32_t i = 0; i < STATEMENTS; i++) {
            if (i % 20 == 0)
                restore_tables(r, r->db[0]);
            quartet_db *db = r->db[disk ? random_pick(&r->g, 2) : 0];
            const char *sql = i < 20 ? random_write(&r->g) : random_statement(&r->g);
            if (random_pick(&r->g, 8) == 0)
                run_kept(r, sql, db);
            else
                run_one(r, db, sql);
            if (i % 60 == 59)
                check_table(r, db, random_pick(&r->g, RANDOM_TABLES));
        }
        for (uint32_t t = 0; t < RANDOM_TABLES; t++)
            check_table(r, r->db[0], t);
        if (disk)
            reopen_and_compare(r, path);
    }
    close_all(r);
    random_sql_deinit(&r->g);
    if (disk) {
        (void)snprintf(command, sizeof command, "rm -rf %s", path);
        if (system(command) != 0)
            fail(r, "cannot remove", path, "");
    }
}

/* Rows at hand live in the transaction: when it ends, the next step is an error, and the row that was shown is gone. */
static void check_cut_off(struct run *r)
{
    static const char *const ends[] = {"ROLLBACK", "COMMIT", "ROLLBACK TO s"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0] && open_all(r, ":memory:"); i++) {
        quartet_stmt *s = NULL;
        run_one(r, r->db[0], "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)");
        run_one(r, r->db[0], "BEGIN");
        run_one(r, r->db[0], "SAVEPOINT s");
        run_one(r, r->db[0], "INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z')");
        if (quartet_prepare(r->db[0], "SELECT * FROM t", -1, &s, NULL) != QUARTET_OK || quartet_step(s) != QUARTET_ROW)
            fail(r, "no row to stand on", ends[i], quartet_errmsg(r->db[0]));
        run_one(r, r->db[0], ends[i]);
        if (quartet_column_type(s, 1) != QUARTET_NULL || quartet_step(s) != QUARTET_ERROR)
            fail(r, "a query goes on after its transaction", ends[i], "");
        (void)quartet_finalize(s); /* tells the step's error again */
        close_all(r);
    }
}

/* A statement whose table went has no columns to tell of, and works again when the table does. */
static void check_dropped(struct run *r)
{
    quartet_stmt *s = NULL;
    if (!open_all(r, ":memory:"))
        return;
    run_one(r, r->db[0], "CREATE TABLE t(a INTEGER, b INTEGER)");
    if (quartet_prepare(r->db[0], "SELECT * FROM t", -1, &s, NULL) != QUARTET_OK)
        fail(r, "cannot prepare", "", quartet_errmsg(r->db[0]));
    run_one(r, r->db[0], "DROP TABLE t");
    if (quartet_step(s) != QUARTET_ERROR || quartet_column_name(s, 0) == NULL)
        fail(r, "the table is gone", "", "");
    run_one(r, r->db[0], "CREATE TABLE t(a INTEGER)");
    (void)quartet_reset(s); /* tells the step's error again */
    if (quartet_step(s) != QUARTET_DONE || quartet_column_count(s) != 1)
        fail(r, "the table is back", "", quartet_errmsg(r->db[0]));
    (void)quartet_finalize(s); /* it is done */
    close_all(r);
}

/* Bounds that are not of their key's type. */
static void check_bounds(struct run *r)
{
    if (!open_all(r, ":memory:"))
        return;
    run_one(r, r->db[0], "CREATE TABLE d(a DECIMAL(10,2) PRIMARY KEY)");
    run_one(r, r->db[0], "INSERT INTO d VALUES (1), (3)");
    run_one(r, r->db[0], "CREATE TABLE b(a BLOB PRIMARY KEY)");
    run_one(r, r->db[0], "INSERT INTO b VALUES (x'00'), (x'ff')");
    same(r, r->db[0], "SELECT count(*) FROM d WHERE a >= 2.555", "SELECT 1");
    same(r, r->db[0], "SELECT count(*) FROM d WHERE a <= 9223372036854775808", "SELECT 2");
    same(r, r->db[0], "SELECT count(*) FROM b WHERE a <= 'a'", "SELECT 0");
    close_all(r);
}

static void run_regressions(struct run *r)
{
    for (size_t i = 0; i < sizeof regressions / sizeof regressions[0]; i++) {
        const char *sql = regressions[i];
        if (!open_all(r, ":memory:"))
            return;
        while (sql != NULL && *sql != '\0') {
            quartet_stmt *s = NULL;
            const char *tail = NULL;
            int rc = quartet_prepare(r->db[0], sql, -1, &s, &tail);
            check_status(r, r->db[0], rc, sql);
            if (s != NULL)
                (void)step_some(r, r->db[0], s, ROWS_MAX); /* its errors are judged there */
            (void)quartet_finalize(s);                     /* tells the step's error again */
            sql = rc == QUARTET_OK ? tail : NULL;
        }
        close_all(r);
    }
}

int main(void)
{
    const char *seed_text = getenv("QUARTET_SEED"), *seconds_text = getenv("QUARTET_RANDOM_SECONDS");
    double seconds = seconds_text != NULL ? strtod(seconds_text, NULL) : SECONDS_DEFAULT, start = now_s();
    struct run r = {.trace = getenv("QUARTET_RANDOM_TRACE") != NULL};
    uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 0) : 1;
    uint64_t seeds = 0;
    random_sql_init(&r.g, seed);
    run_regressions(&r);
    check_dropped(&r);
    check_bounds(&r);
    check_cut_off(&r);
    do {
        /* Told before, since a crash tells nothing after. */
        printf("seed %llu\n", (unsigned long long)seed);
        (void)fflush(stdout); /* a lost line only makes a crash harder to replay */
        run_seed(&r, seed++);
        seeds++;
    } while ((seed_text == NULL || seconds_text != NULL) && now_s() - start < seconds && r.failed < 20);
    printf("%llu seeds, %llu statements, %llu errors, %llu counts compared, %u failures\n", (unsigned long long)seeds,
           (unsigned long long)r.statements, (unsigned long long)r.errors, (unsigned long long)r.compared, r.failed);
    return r.failed == 0 && r.compared > 0 ? 0 : 1;
}

/* test_expr_oracle.c - random expressions on random rows, answered by Quartet and by SQLite: type, value and truth must agree.
 * Left out where the two differ by decision (docs/SQL.md): integer overflow (an error here), REAL as text (shortest here, 15 digits there), and case
 * beyond ASCII. QUARTET_ORACLE_RUNS sets how many expressions; QUARTET_SEED replays; QUARTET_ORACLE_SQL runs that expression alone. */
#include "base/prng.h"
#include "unit/cunit.h"
#include "unit/engine/expr_sql.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>

#define ROWS 24u
#define RUNS_DEFAULT 4000u
#define DEPTH_MAX 4
#define SHOWN_MAX 12 /* differences printed */

static const struct test_column columns[] = {
    {"a", {.type = VALUE_INTEGER}, false}, {"b", {.type = VALUE_INTEGER}, false}, {"r", {.type = VALUE_REAL}, false}, {"t", {.type = VALUE_TEXT}, false},
    {"n", {.type = VALUE_TEXT}, true},     {"x", {.type = VALUE_NULL}, false},    {NULL, {.type = 0}, false},
};
#define COLUMN_COUNT 6u

struct gen {
    struct prng r;
    struct buf sql;
};

static uint32_t pick(struct gen *g, uint32_t n)
{
    return (uint32_t)prng_below(&g->r, n);
}

static void put(struct gen *g, const char *s)
{
    buf_str(&g->sql, s);
}

static void gen_leaf(struct gen *g)
{
    static const char *const names[] = {"a", "b", "r", "t", "n", "x"};
    static const char *const literals[] = {"0",     "1",      "-2",       "3",   "7",    "2.5",  "-0.25",   "'a'",  "'ABC'",      "'abc'", "'5'",
                                           "'-3x'", "'7.5'",  "''",       "NULL", "' 4 '", "1e2", "x'6162'", "TRUE", "'hello'",    "'%b%'", "'zz'"};
    if (pick(g, 3) > 0)
        put(g, names[pick(g, 6)]);
    else
        put(g, literals[pick(g, sizeof literals / sizeof *literals)]);
}

static void gen_expr(struct gen *g, int depth);

static void gen_binary(struct gen *g, int depth)
{
    static const char *const ops[] = {" + ",  " - ", " * ",  " / ",  " % ",    " || ",     " = ",  " <> ",  " < ", " <= ", " > ",
                                      " >= ", " IS ", " IS NOT ", " AND ", " OR ", " & ", " | ", " << ", " >> ", " = ", " < "};
    put(g, "(");
    gen_expr(g, depth - 1);
    const char *op = ops[pick(g, sizeof ops / sizeof *ops)];
    put(g, op);
    if (strcmp(op, " / ") == 0) /* quotients of few digits, as SQLite shows no more than 15 */
        put(g, pick(g, 2) == 0 ? "4" : pick(g, 2) == 0 ? "-2.0" : "8");
    else
        gen_expr(g, depth - 1);
    put(g, ")");
}

static void gen_call(struct gen *g, int depth)
{
    static const struct {
        const char *name;
        uint32_t args;
    } calls[] = {{"abs", 1},    {"length", 1}, {"upper", 1},  {"lower", 1},  {"substr", 2}, {"substr", 3}, {"coalesce", 2}, {"coalesce", 3}, {"nullif", 2},
                 {"ifnull", 2}, {"iif", 3},    {"max", 2},    {"min", 3},    {"typeof", 1}, {"round", 1},  {"trim", 1},     {"ltrim", 2},    {"rtrim", 2},
                 {"instr", 2},  {"hex", 1},    {"quote", 1},  {"unicode", 1}, {"sign", 1},  {"round", 2}};
    uint32_t k = pick(g, sizeof calls / sizeof *calls);
    put(g, calls[k].name);
    put(g, "(");
    for (uint32_t i = 0; i < calls[k].args; i++) {
        put(g, i > 0 ? ", " : "");
        gen_expr(g, depth - 1);
    }
    put(g, ")");
}

static void gen_case(struct gen *g, int depth)
{
    put(g, "CASE ");
    if (pick(g, 2) == 0)
        gen_expr(g, depth - 1);
    for (uint32_t k = 0; k <= pick(g, 3); k++) {
        put(g, " WHEN ");
        gen_expr(g, depth - 1);
        put(g, " THEN ");
        gen_expr(g, depth - 1);
    }
    if (pick(g, 2) == 0) {
        put(g, " ELSE ");
        gen_expr(g, depth - 1);
    }
    put(g, " END");
}

static void gen_special(struct gen *g, int depth)
{
    static const char *const types[] = {"INTEGER", "REAL", "TEXT"};
    bool negated = pick(g, 2) == 0;
    put(g, "(");
    switch (pick(g, 8)) {
    case 7: /* replace(x, '', y) is x with two faces in SQLite, so the pattern is fixed */
        put(g, "replace(");
        gen_expr(g, depth - 1);
        put(g, ", 'b', ");
        gen_expr(g, depth - 1);
        put(g, ")");
        break;
    case 0:
        gen_expr(g, depth - 1);
        put(g, negated ? " NOT BETWEEN " : " BETWEEN ");
        gen_expr(g, depth - 1);
        put(g, " AND ");
        gen_expr(g, depth - 1);
        break;
    case 1:
        gen_expr(g, depth - 1);
        put(g, negated ? " NOT IN (" : " IN (");
        for (uint32_t k = 0, n = 1 + pick(g, 3); k < n; k++) { /* x IS NOT (y IN ()) is SQLite's x IS NOT FALSE */
            put(g, k > 0 ? ", " : "");
            if (pick(g, 2) == 0)
                gen_leaf(g);
            else
                gen_expr(g, depth - 2);
        }
        put(g, ")");
        break;
    case 2:
        gen_expr(g, depth - 1);
        put(g, negated ? " NOT LIKE " : " LIKE ");
        put(g, pick(g, 2) == 0 ? "'%b%'" : pick(g, 2) == 0 ? "'a_c'" : "'%'"); /* a blob LIKE NULL is 0 in SQLite, NULL here */
        break;
    case 3:
        gen_expr(g, depth - 1);
        put(g, negated ? " NOT GLOB " : " GLOB ");
        put(g, pick(g, 2) == 0 ? "'*[a-c]*'" : "'?b*'");
        break;
    case 4:
        gen_expr(g, depth - 1);
        put(g, negated ? " IS NOT NULL" : " IS NULL");
        break;
    case 5:
        put(g, "CAST(");
        gen_expr(g, depth - 1);
        put(g, " AS ");
        put(g, types[pick(g, 3)]);
        put(g, ")");
        break;
    default:
        gen_expr(g, depth - 1);
        put(g, negated ? " = t COLLATE NOCASE" : " IS TRUE");
    }
    put(g, ")");
}

static void gen_unary(struct gen *g, int depth)
{
    static const char *const ops[] = {"- ", "+ ", "~ ", "NOT ", "NOT "};
    put(g, "(");
    put(g, ops[pick(g, 5)]);
    gen_expr(g, depth - 1);
    put(g, ")");
}

static void gen_expr(struct gen *g, int depth)
{
    uint32_t k = depth <= 0 ? 0 : pick(g, 12);
    if (k < 2)
        gen_leaf(g);
    else if (k < 7)
        gen_binary(g, depth);
    else if (k < 8)
        gen_unary(g, depth);
    else if (k < 9)
        gen_case(g, depth);
    else if (k < 10)
        gen_call(g, depth);
    else
        gen_special(g, depth);
}

/* ---- the rows, on both sides ---- */

static struct value cell(struct gen *g, uint32_t column)
{
    static const char *const words[] = {"", "a", "A", "b", "abc", "ABC", "aBc", "5", "-3", "7.5", "hello", "4 x", " 4", "zz", "0"};
    const char *word = words[pick(g, sizeof words / sizeof *words)];
    if (pick(g, 7) == 0)
        return VALUE_NULL_INIT;
    if (column < 2)
        return value_int(prng_between(&g->r, -8, 8));
    if (column == 2)
        return (struct value){.type = VALUE_REAL, .r = (double)prng_between(&g->r, -24, 24) / 4};
    if (column < 5)
        return value_text(word, strlen(word));
    return cell(g, pick(g, 5));
}

static void bind_value(sqlite3_stmt *s, int at, const struct value *v)
{
    if (v->type == VALUE_INTEGER)
        sqlite3_bind_int64(s, at, v->i);
    else if (v->type == VALUE_REAL)
        sqlite3_bind_double(s, at, v->r);
    else if (v->type == VALUE_TEXT)
        sqlite3_bind_text(s, at, (const char *)v->s.p, (int)v->s.n, SQLITE_STATIC);
    else
        sqlite3_bind_null(s, at);
}

static void make_rows(struct gen *g, struct batch *in, sqlite3 *db, struct arena *a)
{
    sqlite3_stmt *s = NULL;
    CU_ASSERT_EQUAL_FATAL(sqlite3_exec(db, "CREATE TABLE q(id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, r REAL, t TEXT, n TEXT COLLATE NOCASE, x)", NULL,
                                       NULL, NULL),
                          SQLITE_OK);
    CU_ASSERT_EQUAL_FATAL(sqlite3_prepare_v2(db, "INSERT INTO q(a, b, r, t, n, x) VALUES (?, ?, ?, ?, ?, ?)", -1, &s, NULL), SQLITE_OK);
    CU_ASSERT_FATAL(batch_init(in, COLUMN_COUNT, a));
    for (uint32_t c = 0; c < COLUMN_COUNT; c++)
        if (columns[c].type.type != VALUE_NULL)
            CU_ASSERT_FATAL(vec_init(&in->cols[c], columns[c].type.type, BATCH_ROWS_MAX, a));
    for (uint32_t k = 0; k < ROWS; k++) {
        for (uint32_t c = 0; c < COLUMN_COUNT; c++) {
            struct value v = cell(g, c);
            CU_ASSERT_FATAL(vec_set(&in->cols[c], k, &v, BATCH_ROWS_MAX, a));
            bind_value(s, (int)c + 1, &v);
        }
        CU_ASSERT_EQUAL_FATAL(sqlite3_step(s), SQLITE_DONE);
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
    in->n = ROWS;
}

static bool same_bytes(struct slice s, const void *p, int n)
{
    return s.n == (size_t)n && (n == 0 || memcmp(s.p, p, (size_t)n) == 0);
}

static bool same_value(const struct value *v, sqlite3_stmt *s)
{
    double d;
    switch (sqlite3_column_type(s, 0)) {
    case SQLITE_NULL:
        return v->type == VALUE_NULL;
    case SQLITE_INTEGER:
        return v->type == VALUE_INTEGER && v->i == sqlite3_column_int64(s, 0);
    case SQLITE_FLOAT:
        d = sqlite3_column_double(s, 0);
        return v->type == VALUE_REAL && (v->r == d || fabs(v->r - d) <= 1e-12 * fabs(d));
    case SQLITE_TEXT:
        if (v->type == VALUE_TEXT && v->s.n >= 15 && memchr(v->s.p, '.', v->s.n) != NULL) /* more digits of a REAL than SQLite shows */
            return true;
        return v->type == VALUE_TEXT && same_bytes(v->s, sqlite3_column_text(s, 0), sqlite3_column_bytes(s, 0));
    default:
        return v->type == VALUE_BLOB && same_bytes(v->s, sqlite3_column_blob(s, 0), sqlite3_column_bytes(s, 0));
    }
}

enum outcome { SAME, DIFFERENT, SKIPPED };

static void show(const char *sql, const char *what, const struct value *v, sqlite3_stmt *s, uint32_t row)
{
    struct buf b = {.limit_bytes = 4096};
    if (v != NULL)
        value_to_literal(v, &b);
    printf("\n    %s\n      row %u %s: quartet %.*s, sqlite %s (%d)\n", sql, row + 1, what, (int)b.len, b.data != NULL ? (const char *)b.data : "",
           s != NULL ? (const char *)sqlite3_column_text(s, 0) : "-", s != NULL ? sqlite3_column_type(s, 0) : 0);
    buf_deinit(&b);
}

/* The expression's values for all rows. *n rows could be compared before one side failed. */
static enum outcome compare_values(const char *sql, const struct vec *out, sqlite3 *db, bool loud)
{
    sqlite3_stmt *s = NULL;
    char *query = sqlite3_mprintf("SELECT %s FROM q ORDER BY id", sql);
    enum outcome result = sqlite3_prepare_v2(db, query, -1, &s, NULL) == SQLITE_OK ? SAME : SKIPPED;
    int rc = SQLITE_ROW;
    for (uint32_t row = 0; result == SAME && row < ROWS && (rc = sqlite3_step(s)) == SQLITE_ROW; row++) {
        struct value v = vec_get(out, row);
        if (same_value(&v, s))
            continue;
        result = DIFFERENT;
        if (loud)
            show(sql, "", &v, s, row);
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) /* an error there: integer overflow in abs(), say */
        result = SKIPPED;
    sqlite3_finalize(s);
    sqlite3_free(query);
    return result;
}

static enum outcome compare_filter(const char *sql, const uint16_t *sel, uint32_t n, sqlite3 *db, bool loud)
{
    sqlite3_stmt *s = NULL;
    char *query = sqlite3_mprintf("SELECT id FROM q WHERE %s ORDER BY id", sql);
    enum outcome result = sqlite3_prepare_v2(db, query, -1, &s, NULL) == SQLITE_OK ? SAME : SKIPPED;
    uint32_t k = 0;
    while (result == SAME && sqlite3_step(s) == SQLITE_ROW) {
        if (k >= n || sel[k] + 1 != sqlite3_column_int(s, 0))
            result = DIFFERENT;
        k++;
    }
    if (result == SAME && k != n)
        result = DIFFERENT;
    if (result == DIFFERENT && loud)
        show(sql, "filter", NULL, s, k);
    sqlite3_finalize(s);
    sqlite3_free(query);
    return result;
}

static enum outcome one(const char *sql, const struct batch *in, sqlite3 *db, struct arena *a, bool loud)
{
    struct err err = ERR_INIT;
    struct expr_ctx ctx = {.arena = a};
    struct vec out;
    uint16_t sel[BATCH_ROWS_MAX];
    uint32_t n;
    struct expr *e = expr_from_sql(a, columns, sql, &err);
    quartet_status rc = e != NULL ? expr_eval(e, &ctx, in, &out, &err) : err.code;
    if (rc != QUARTET_OK) {
        bool decided = rc == QUARTET_MISMATCH || rc == QUARTET_LIMIT || strncmp(err.text, "overflow", 8) == 0;
        if (!decided && loud)
            printf("\n    %s\n      %s\n", sql, err.text);
        return decided ? SKIPPED : DIFFERENT;
    }
    enum outcome result = compare_values(sql, &out, db, loud);
    if (result != SAME || expr_filter(e, &ctx, in, sel, &n, &err) != QUARTET_OK)
        return result;
    return compare_filter(sql, sel, n, db, loud);
}

static void test_same_answers_as_sqlite(void)
{
    uint64_t seed = unit_seed(20), runs = RUNS_DEFAULT;
    if (getenv("QUARTET_ORACLE_RUNS") != NULL)
        runs = strtoull(getenv("QUARTET_ORACLE_RUNS"), NULL, 10);
    struct gen g = {.sql = {.limit_bytes = 0}};
    struct arena a = {.limit_bytes = 0};
    struct batch in;
    sqlite3 *db = NULL;
    uint64_t different = 0, skipped = 0;
    prng_seed(&g.r, seed);
    CU_ASSERT_EQUAL_FATAL(sqlite3_open(":memory:", &db), SQLITE_OK);
    make_rows(&g, &in, db, &a);
    for (uint64_t k = 0; k < runs; k++) {
        struct arena_mark mark = arena_mark(&a);
        buf_clear(&g.sql);
        if (getenv("QUARTET_ORACLE_SQL") != NULL)
            put(&g, getenv("QUARTET_ORACLE_SQL"));
        else
            gen_expr(&g, 1 + (int)(k % DEPTH_MAX));
        buf_u8(&g.sql, '\0');
        CU_ASSERT_FATAL(!g.sql.failed);
        enum outcome result = one((const char *)g.sql.data, &in, db, &a, different < SHOWN_MAX);
        different += result == DIFFERENT;
        skipped += result == SKIPPED;
        arena_rewind(&a, mark);
    }
    if (different > 0)
        printf("\n    seed %llu: %llu of %llu differ (%llu skipped)\n", (unsigned long long)seed, (unsigned long long)different,
               (unsigned long long)runs, (unsigned long long)skipped);
    CU_ASSERT_EQUAL(different, 0);
    CU_ASSERT(skipped < runs / 4);
    sqlite3_close(db);
    buf_deinit(&g.sql);
    arena_free_all(&a);
}

const char *const unit_suite = "expr_oracle";
const struct unit_test unit_tests[] = {
    {"test_expr_oracle_same_answers_as_sqlite", test_same_answers_as_sqlite},
    {NULL, NULL},
};

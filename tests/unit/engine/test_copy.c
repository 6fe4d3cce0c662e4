/* test_copy.c - COPY: every value of every type comes back bit by bit through CSV and JSON lines; what is wrong is named with its place and
 * leaves nothing behind; hostile input never does more than fail. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "engine/api_internal.h"
#include "unit/cunit.h"

struct pipe { /* standard input and output of a COPY */
    char *data;
    size_t n, at, cap;
    size_t step; /* bytes given at once */
};

static int64_t pipe_read(void *arg, void *p, int64_t n)
{
    struct pipe *m = arg;
    size_t left = m->n - m->at, take = left < (size_t)n ? left : (size_t)n;
    if (m->step > 0 && take > m->step)
        take = m->step;
    if (take > 0)
        memcpy(p, m->data + m->at, take);
    m->at += take;
    return (int64_t)take;
}

static int pipe_write(void *arg, const void *p, int64_t n)
{
    struct pipe *m = arg;
    if (m->n + (size_t)n > m->cap) {
        m->cap = (m->n + (size_t)n) * 2;
        m->data = realloc(m->data, m->cap);
        CU_ASSERT_FATAL(m->data != NULL);
    }
    memcpy(m->data + m->n, p, (size_t)n);
    m->n += (size_t)n;
    return 0;
}

static quartet_db *open_with(struct pipe *m)
{
    quartet_db *q = NULL;
    struct quartet_copy_io io = {.size = sizeof io, .arg = m, .read = pipe_read, .write = pipe_write};
    CU_ASSERT_EQUAL_FATAL(quartet_open(":memory:", &q), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_on_copy(q, &io), QUARTET_OK);
    return q;
}

static void must(quartet_db *q, const char *sql)
{
    int rc = quartet_exec(q, sql, NULL, NULL, NULL);
    if (rc != QUARTET_OK)
        printf("\n    %s: %s\n", sql, quartet_errmsg(q));
    CU_ASSERT_EQUAL(rc, QUARTET_OK);
}

static int64_t ask(quartet_db *q, const char *sql)
{
    quartet_stmt *s = NULL;
    CU_ASSERT_EQUAL(quartet_prepare(q, sql, -1, &s, NULL), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_step(s), QUARTET_ROW);
    int64_t v = quartet_column_int64(s, 0);
    CU_ASSERT_EQUAL(quartet_finalize(s), QUARTET_OK);
    return v;
}

#define TABLE                                                                                                                        \
    "CREATE TABLE t (id INTEGER PRIMARY KEY, r REAL, tx TEXT, b BLOB, d DECIMAL(20,3), dt DATE, tm TIME, ts TIMESTAMP, u UUID, j JSON, " \
    "n INTEGER, any_1, any_2, bo BOOLEAN)"
#define COLUMNS 14

static struct value text_value(struct prng *r, char *room, size_t cap)
{
    static const char *const pieces[] = {"a", "\"", ",", "\n", "\r", "\r\n", "\\", "\\x", "\\.", "\xc3\xa4", "\xf0\x9f\x98\x80", "'", " ", ";", "\t", "NULL",
                                         "1", "-", ".", "e5", "Inf", "\xef\xbb\xbf", "\x01", "{", "}", "\\JSON:", "\\DATE:"};
    size_t n = 0;
    for (uint64_t k = prng_below(r, 7); k > 0; k--) {
        const char *p = pieces[prng_below(r, sizeof pieces / sizeof *pieces)];
        if (n + strlen(p) > cap)
            break;
        memcpy(room + n, p, strlen(p));
        n += strlen(p);
    }
    return value_text(room, n);
}

static double any_real(struct prng *r)
{
    static const double special[] = {0.0, -0.0, HUGE_VAL, -HUGE_VAL, 5e-324, 1.7976931348623157e308, 0.1, 1.0, -1e15, 1e16, 123456789.125};
    double d;
    uint64_t bits = prng_u64(r);
    if (prng_below(r, 3) == 0)
        return special[prng_below(r, sizeof special / sizeof *special)];
    memcpy(&d, &bits, sizeof d);
    return d == d ? d : 2.5;
}

static struct value any_value(struct prng *r, uint8_t type, char *room, size_t cap)
{
    static const char *const jsons[] = {"null", "\"x\"", "\"\\\\JSON:1\"", " {\"a\" : [1,\n 2.50]} ", "{}", "[1e400]", "true", "1.0", "\"\\u0041\\n\""};
    struct value v = {.type = type};
    switch (type) {
    case VALUE_REAL: v.r = any_real(r); break;
    case VALUE_TEXT: return text_value(r, room, cap);
    case VALUE_BLOB:
        v.s = slice_of(room, prng_below(r, 9));
        for (size_t i = 0; i < v.s.n; i++)
            room[i] = (char)prng_u64(r);
        break;
    case VALUE_DECIMAL:
        v.scale = 3;
        v.dec = dec_make((__int128)(int64_t)(prng_u64(r) % 100000000000000000ull) * (prng_below(r, 2) ? 1 : -1));
        break;
    case VALUE_DATE: v.i = (int64_t)prng_below(r, 3000000) - 700000; break;
    case VALUE_TIME: v.i = (int64_t)prng_below(r, 86400000000ull); break;
    case VALUE_TIMESTAMP: v.i = (int64_t)prng_below(r, 2534022ull * 100000) * 1000000 - (int64_t)prng_below(r, 1000000); break;
    case VALUE_UUID:
        for (size_t i = 0; i < 16; i++)
            v.uuid[i] = (uint8_t)prng_u64(r);
        break;
    case VALUE_JSON: {
        const char *p = jsons[prng_below(r, sizeof jsons / sizeof *jsons)];
        v.s = slice_of(p, strlen(p));
        break;
    }
    case VALUE_INTEGER: v.i = prng_below(r, 2) ? (int64_t)prng_u64(r) : (int64_t)prng_below(r, 10); break;
    default: v.type = VALUE_NULL; break;
    }
    return v;
}

static void fill(quartet_db *q, struct prng *r, int rows)
{
    static const uint8_t types[COLUMNS] = {VALUE_INTEGER, VALUE_REAL, VALUE_TEXT, VALUE_BLOB, VALUE_DECIMAL, VALUE_DATE, VALUE_TIME,
                                           VALUE_TIMESTAMP, VALUE_UUID, VALUE_JSON, VALUE_INTEGER, 0, 0, VALUE_NULL};
    struct err err = ERR_INIT;
    quartet_stmt *s = NULL;
    char room[256];
    CU_ASSERT_EQUAL_FATAL(quartet_prepare(q, "INSERT INTO t VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", -1, &s, NULL), QUARTET_OK);
    for (int i = 0; i < rows; i++) {
        for (uint32_t c = 0; c < COLUMNS; c++) {
            uint8_t type = types[c] != 0 ? types[c] : (uint8_t)(1 + prng_below(r, 11));
            struct value v = c > 0 && prng_below(r, 5) == 0 ? VALUE_NULL_INIT : any_value(r, type, room, sizeof room);
            if (c == 0)
                v = value_int(i + 1);
            if (c == COLUMNS - 1)
                v = value_int(i & 1);
            CU_ASSERT_EQUAL(conn_bind(s->local, c + 1, &v, &err), QUARTET_OK);
        }
        if (quartet_step(s) != QUARTET_DONE)
            printf("\n    %s\n", quartet_errmsg(q));
        CU_ASSERT_EQUAL(quartet_reset(s), QUARTET_OK);
    }
    CU_ASSERT_EQUAL(quartet_finalize(s), QUARTET_OK);
}

/* Are all cells of the two tables the same, in type and bits? */
static bool same(quartet_db *a, quartet_db *b)
{
    quartet_stmt *x = NULL, *y = NULL;
    bool good = true;
    CU_ASSERT_EQUAL_FATAL(quartet_prepare(a, "SELECT * FROM t ORDER BY id", -1, &x, NULL), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(quartet_prepare(b, "SELECT * FROM t ORDER BY id", -1, &y, NULL), QUARTET_OK);
    for (;;) {
        int p = quartet_step(x), o = quartet_step(y);
        good = good && p == o;
        if (p != QUARTET_ROW || o != QUARTET_ROW)
            break;
        for (int c = 0; c < quartet_column_count(x); c++) {
            struct value v = api_cell(x, c), w = api_cell(y, c);
            if (!value_identical(&v, &w)) {
                printf("\n    row %lld, column %s: %s, %s\n", (long long)quartet_column_int64(x, 0), quartet_column_name(x, c), quartet_column_text(x, c),
                       quartet_column_text(y, c));
                good = false;
            }
        }
    }
    CU_ASSERT_EQUAL(quartet_finalize(x), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_finalize(y), QUARTET_OK);
    return good;
}

static void test_round_trip(void)
{
    static const char *const options[] = {"(HEADER)", "(FORMAT json)", "(DELIMITER ';', NULL 'NULL')", "(DELIMITER '\\t', NULL '-')"};
    uint64_t seed = unit_seed(41);
    for (size_t k = 0; k < sizeof options / sizeof *options; k++) {
        struct pipe m = {0};
        struct prng r;
        char sql[128];
        prng_seed(&r, seed + k);
        quartet_db *a = open_with(&m), *b = open_with(&m);
        must(a, TABLE);
        must(b, TABLE);
        fill(a, &r, 700);
        snprintf(sql, sizeof sql, "COPY t TO STDOUT %s", options[k]);
        must(a, sql);
        CU_ASSERT_EQUAL(quartet_changes(a), 700);
        m.step = 1 + prng_below(&r, 5000);
        snprintf(sql, sizeof sql, "COPY t FROM STDIN %s", options[k]);
        must(b, sql);
        CU_ASSERT_EQUAL(quartet_changes(b), 700);
        bool equal = same(a, b);
        CU_ASSERT(equal);
        if (!equal)
            printf("\n    %s, seed %llu\n", options[k], (unsigned long long)(seed + k));
        CU_ASSERT_EQUAL(quartet_close(a), QUARTET_OK);
        CU_ASSERT_EQUAL(quartet_close(b), QUARTET_OK);
        free(m.data);
    }
}

/* One column: an empty line is a row of NULL. NULL and '' stay apart. */
static void test_null_and_empty(void)
{
    struct pipe m = {0};
    quartet_db *q = open_with(&m);
    must(q, "CREATE TABLE o (x TEXT); INSERT INTO o VALUES (NULL), (''), ('a')");
    must(q, "COPY o TO STDOUT");
    CU_ASSERT_EQUAL(m.n, 6);
    CU_ASSERT(m.n == 6 && memcmp(m.data, "\n\"\"\na\n", 6) == 0);
    must(q, "DELETE FROM o; COPY o FROM STDIN");
    CU_ASSERT_EQUAL(ask(q, "SELECT count(*) FROM o"), 3);
    CU_ASSERT_EQUAL(ask(q, "SELECT count(*) FROM o WHERE x = ''"), 1);
    CU_ASSERT_EQUAL(ask(q, "SELECT count(*) FROM o WHERE x IS NULL"), 1);
    CU_ASSERT_EQUAL(quartet_close(q), QUARTET_OK);
    free(m.data);
}

static void wrong(const char *options, const char *input, size_t n, const char *told)
{
    struct pipe m = {.data = malloc(n + 1), .n = n};
    char sql[256];
    CU_ASSERT_FATAL(m.data != NULL);
    memcpy(m.data, input, n);
    quartet_db *q = open_with(&m);
    must(q, "CREATE TABLE w (id INTEGER PRIMARY KEY, name TEXT, n INTEGER NOT NULL DEFAULT 7, b BLOB); INSERT INTO w VALUES (100, 'old', 0, NULL)");
    snprintf(sql, sizeof sql, "COPY w (id, name, n) FROM STDIN %s", options);
    for (int round = 0; round < 2; round++) { /* alone, and inside a transaction, which goes on */
        m.at = 0;
        if (round == 1)
            must(q, "BEGIN; INSERT INTO w VALUES (101, 'mine', 0, NULL)");
        CU_ASSERT_NOT_EQUAL(quartet_exec(q, sql, NULL, NULL, NULL), QUARTET_OK);
        if (strstr(quartet_errmsg(q), told) == NULL)
            printf("\n    told \"%s\", expected \"%s\"\n", quartet_errmsg(q), told);
        CU_ASSERT(strstr(quartet_errmsg(q), told) != NULL);
        if (round == 1)
            must(q, "COMMIT");
        CU_ASSERT_EQUAL(ask(q, "SELECT count(*) FROM w"), round + 1);
    }
    CU_ASSERT_EQUAL(quartet_close(q), QUARTET_OK);
    free(m.data);
}
#define WRONG(options, input, told) wrong(options, input, sizeof input - 1, told)

static void test_errors_name_the_place(void)
{
    WRONG("", "1,a,2\n2,b\n", "standard input, line 2: 2 fields, expected 3");
    WRONG("", "1,\"a\nb\",2\n2,b,x\n", "standard input, line 3: column n is INTEGER");
    WRONG("", "1,a,2\n1,b,2\n", "standard input, line 2: UNIQUE");
    WRONG("", "1,a,2\n2,b,\n3,c,4\n", "standard input, line 2: NOT NULL");
    WRONG("", "1,a,2\n2,\"b,3\n", "standard input, line 2: a quote that is never closed");
    WRONG("", "1,a\"b\",2\n", "line 1: field 2: a quote inside");
    WRONG("", "1,\"a\"b,2\n", "line 1: field 2: text after");
    WRONG("", "1,\xff,2\n", "line 1: field 2: not valid UTF-8");
    WRONG("(FORMAT json)", "{\"id\":1,\"n\":1}\n\n{\"id\":2,\"n\":}\n", "line 3: not a JSON object");
    WRONG("(FORMAT json)", "{\"id\":1,\"n\":1,\"zip\":2}\n", "line 1: the key \"zip\"");
    WRONG("(FORMAT json)", "{\"id\":1,\"n\":1,\"n\":2}\n", "line 1: the key \"n\" stands twice");
    WRONG("(BATCHES 5)", "", "COPY has no option BATCHES");
    WRONG("(DELIMITER 'ab')", "", "DELIMITER wants");
    WRONG("(NULL 'a,b')", "", "NULL wants");
}

static void test_batch(void)
{
    struct pipe m = {0};
    quartet_db *q = open_with(&m);
    must(q, "CREATE TABLE k (id INTEGER PRIMARY KEY)");
    CU_ASSERT_EQUAL(pipe_write(&m, "1\n2\n3\n4\n5\nx\n", 12), 0);
    CU_ASSERT_NOT_EQUAL(quartet_exec(q, "COPY k FROM STDIN (BATCH 2)", NULL, NULL, NULL), QUARTET_OK);
    CU_ASSERT(strstr(quartet_errmsg(q), "line 6: column id") != NULL && strstr(quartet_errmsg(q), "4 rows were committed") != NULL);
    CU_ASSERT_EQUAL(ask(q, "SELECT count(*) FROM k"), 4);
    CU_ASSERT_NOT_EQUAL(quartet_exec(q, "BEGIN; COPY k FROM STDIN (BATCH 2)", NULL, NULL, NULL), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_close(q), QUARTET_OK);
    free(m.data);
}

/* Damaged files of both formats: an error or rows, and a database that still answers. */
static void test_hostile_input(void)
{
    uint64_t seed = unit_seed(77);
    for (int k = 0; k < 2; k++) {
        struct pipe good = {0}, m = {0};
        struct prng r;
        prng_seed(&r, seed + (uint64_t)k);
        quartet_db *a = open_with(&good), *b = open_with(&m);
        must(a, TABLE);
        must(b, TABLE);
        fill(a, &r, 6);
        must(a, k == 0 ? "COPY t TO STDOUT (HEADER)" : "COPY t TO STDOUT (FORMAT json)");
        for (int i = 0; i < 1500; i++) {
            m.n = m.at = 0;
            CU_ASSERT_EQUAL(pipe_write(&m, good.data, (int64_t)good.n), 0);
            for (uint64_t n = 1 + prng_below(&r, 6); n > 0 && m.n > 0; n--) {
                size_t at = prng_below(&r, m.n);
                static const char bytes[] = "\",\n\r\\{}[]:x0\xff\xef\0 ";
                if (prng_below(&r, 4) == 0)
                    m.n = at;
                else
                    m.data[at] = bytes[prng_below(&r, sizeof bytes - 1)];
            }
            m.step = 1 + prng_below(&r, 200);
            int rc = quartet_exec(b, k == 0 ? "COPY t FROM STDIN (HEADER)" : "COPY t FROM STDIN (FORMAT json)", NULL, NULL, NULL);
            CU_ASSERT(rc != QUARTET_INTERNAL && rc != QUARTET_MISUSE);
            if (rc != QUARTET_OK)
                CU_ASSERT_EQUAL(ask(b, "SELECT count(*) FROM t"), 0);
            must(b, "DELETE FROM t");
        }
        CU_ASSERT_EQUAL(quartet_close(a), QUARTET_OK);
        CU_ASSERT_EQUAL(quartet_close(b), QUARTET_OK);
        free(good.data);
        free(m.data);
    }
}

static void test_no_streams_and_no_parameters(void)
{
    quartet_db *q = NULL;
    quartet_stmt *s = NULL;
    CU_ASSERT_EQUAL_FATAL(quartet_open(":memory:", &q), QUARTET_OK);
    must(q, "CREATE TABLE k (id INTEGER PRIMARY KEY)");
    CU_ASSERT_EQUAL(quartet_exec(q, "COPY k FROM STDIN", NULL, NULL, NULL), QUARTET_MISUSE);
    CU_ASSERT_EQUAL(quartet_exec(q, "COPY (SELECT ?) TO STDOUT", NULL, NULL, NULL), QUARTET_ERROR);
    CU_ASSERT_EQUAL(quartet_prepare(q, "/* x */ ;copy k TO STDOUT; SELECT 1", -1, &s, NULL), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_column_count(s), 0);
    CU_ASSERT_EQUAL(quartet_bind_count(s), 0);
    CU_ASSERT_EQUAL(quartet_bind_int64(s, 1, 1), QUARTET_MISUSE);
    CU_ASSERT_EQUAL(quartet_step(s), QUARTET_MISUSE);
    CU_ASSERT_EQUAL(quartet_finalize(s), QUARTET_MISUSE);
    CU_ASSERT_EQUAL(quartet_close(q), QUARTET_OK);
}

const char *const unit_suite = "copy";
const struct unit_test unit_tests[] = {
    {"test_copy_round_trip", test_round_trip},
    {"test_copy_null_and_empty", test_null_and_empty},
    {"test_copy_errors_name_the_place", test_errors_name_the_place},
    {"test_copy_batch", test_batch},
    {"test_copy_hostile_input", test_hostile_input},
    {"test_copy_no_streams_and_no_parameters", test_no_streams_and_no_parameters},
    {NULL, NULL},
};

/* test_sql_oracle.c - the same statements on Quartet and on SQLite, results compared: written ones,
 * then random ones from a seed.
 *
 * QUARTET_SEED= replays; QUARTET_ORACLE_QUERIES= sets how many random queries there are, QUARTET_ORACLE_TRACE=1 shows each statement. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include <sqlite3.h>

#include "base/prng.h"
#include "slt.h"

#define QUERIES_DEFAULT 6000u
#define ROUND_QUERIES   500u /* then new tables */
#define DEPTH_MAX       3
#define LARGE_ROWS      6000u
#define SQLITE_OMIT_JOINS 0x100 /* SQLite's OmitNoopJoin: with a LIMIT, 3.40 stops too early where it leaves a LEFT JOIN out */

static const char *const written[] = {
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b INTEGER, c TEXT, d REAL)",
    "CREATE TABLE u(a INTEGER, b INTEGER NOT NULL, c TEXT COLLATE NOCASE, UNIQUE(a, b))",
    "CREATE INDEX u_c ON u(c, b DESC)",
    "INSERT INTO t VALUES (1, 10, 'x', 1.5), (2, NULL, 'y', 2.5), (3, 10, NULL, NULL), (4, 20, "
    "'X', -1.0)",
    "INSERT INTO u(b, a, c) VALUES (1, 1, 'x'), (2, 1, 'Y'), (3, NULL, NULL), (3, NULL, 'z'), (5, "
    "4, 'X')",
    "SELECT * FROM t ORDER BY b, a",
    "SELECT * FROM t ORDER BY b DESC NULLS LAST, a DESC",
    "SELECT * FROM t ORDER BY c NULLS LAST",
    "SELECT b, count(*), count(b), sum(d), avg(d), min(c), max(c) FROM t GROUP BY b ORDER BY 1",
    "SELECT count(*), sum(a), min(a), max(c) FROM t WHERE a > 100",
    "SELECT a, max(d) FROM t",
    "SELECT b, a, min(d) FROM t GROUP BY b ORDER BY b",
    "SELECT b, count(*) FROM t WHERE a > 100 GROUP BY b",
    "SELECT sum(a) FROM t HAVING count(*) > 10",
    "SELECT sum(a) FROM t HAVING count(*) < 10",
    "SELECT DISTINCT b FROM t ORDER BY b",
    "SELECT count(DISTINCT b), count(DISTINCT c) FROM t",
    "SELECT t.a, u.b FROM t LEFT JOIN u ON t.a = u.a ORDER BY 1, 2",
    "SELECT t.a, u.b FROM t LEFT JOIN u ON t.a = u.a AND u.b > 1 ORDER BY 1, 2",
    "SELECT t.a, u.b FROM t LEFT JOIN u ON t.a = u.a WHERE u.b > 1 ORDER BY 1, 2",
    "SELECT t.a, u.b FROM t LEFT JOIN u ON t.a = u.a WHERE u.b IS NULL ORDER BY 1, 2",
    "SELECT t.a, u.b FROM t FULL JOIN u ON t.a = u.a ORDER BY 1, 2",
    "SELECT t.a, u.b FROM u RIGHT JOIN t ON t.a = u.a ORDER BY 1, 2",
    "SELECT * FROM t JOIN u USING (a) ORDER BY 1, 2, 3, 4",
    "SELECT a, b FROM t NATURAL JOIN u ORDER BY 1, 2",
    "SELECT count(*) FROM t, u",
    "SELECT u.c FROM u WHERE c = 'x' ORDER BY b",
    "SELECT upper(c), count(*) FROM u GROUP BY c ORDER BY 1",
    "SELECT c FROM t ORDER BY c COLLATE NOCASE, a",
    "SELECT a FROM t WHERE b IN (10, NULL)",
    "SELECT a FROM t WHERE b NOT IN (10, NULL)",
    "SELECT a FROM t WHERE b NOT IN (SELECT b FROM u) ORDER BY a",
    "SELECT a FROM t WHERE a NOT IN (SELECT a FROM u) ORDER BY a",
    "SELECT a FROM t WHERE a IN (SELECT a FROM u WHERE u.b > t.b - 10) ORDER BY a",
    "SELECT a, (SELECT sum(b) FROM u WHERE u.a = t.a) FROM t ORDER BY a",
    "SELECT a, EXISTS (SELECT 1 FROM u WHERE u.a = t.a AND u.b > 1) FROM t ORDER BY a",
    "SELECT (a, b) = (1, 10), (a, b) < (2, 0) FROM t ORDER BY a",
    "SELECT a FROM t WHERE (a, b) IN (SELECT a, b * 10 FROM u) ORDER BY a",
    "SELECT a FROM t LIMIT -1 OFFSET 2",
    "UPDATE t SET d = d FROM (SELECT a, b, c FROM u WHERE b = 1) AS x WHERE x.a = t.a RETURNING a, b, c", /* the written table's */
    "UPDATE t SET d = d FROM (SELECT a, b, c FROM u WHERE b = 1) AS x WHERE x.a = t.a RETURNING *",
    "SELECT 'X' AS c UNION SELECT c FROM u WHERE c = 'x' AND a = 4", /* the collation of the first that has one */
    "SELECT count(*) FROM (SELECT c FROM u UNION SELECT 'Z')",
    "SELECT count(*) FROM (SELECT 'Z' UNION SELECT c FROM u)",
    "SELECT count(*) FROM (SELECT c FROM u EXCEPT SELECT 'X')",
    "SELECT count(*) FROM (SELECT c FROM u INTERSECT SELECT 'y')",
    "SELECT count(*) FROM (SELECT c FROM t UNION SELECT c FROM u)",
    "SELECT printf('%!f|%!.3f|%!g|%!e', 0.5, 2, 3, 1e10), printf('%#x|%#o|%#X', 0, 0, 255), printf('100%'), printf('%d%', 5)",
    "SELECT 'x' LIKE 'x\\' ESCAPE '\\', '' LIKE '\\' ESCAPE '\\', 'a\\' LIKE 'a\\\\' ESCAPE '\\'",
    "SELECT a FROM t ORDER BY a LIMIT 2 OFFSET 1",
    "SELECT a FROM t ORDER BY d DESC LIMIT 1",
    "SELECT b FROM t UNION SELECT b FROM u ORDER BY 1",
    "SELECT b FROM t UNION ALL SELECT b FROM u ORDER BY 1",
    "SELECT a FROM t INTERSECT SELECT a FROM u ORDER BY 1",
    "SELECT a FROM t EXCEPT SELECT a FROM u ORDER BY 1",
    "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) ORDER BY 1",
    "WITH RECURSIVE f(n, x) AS (SELECT 1, 1 UNION ALL SELECT n + 1, x * (n + 1) FROM f WHERE n < "
    "10) SELECT * FROM f",
    "WITH RECURSIVE g(n) AS (SELECT 0 UNION SELECT (n + 3) % 7 FROM g) SELECT n FROM g ORDER BY 1",
    "WITH x AS (SELECT a, b FROM t), y AS (SELECT b FROM x WHERE a > 1) SELECT * FROM y, x ORDER "
    "BY 1, 2, 3",
    "SELECT a, row_number() OVER (ORDER BY d), rank() OVER (ORDER BY b), dense_rank() OVER (ORDER "
    "BY b) FROM t ORDER BY a",
    "SELECT a, sum(a) OVER (PARTITION BY b ORDER BY a), lag(a, 1, -1) OVER (ORDER BY a), "
    "last_value(a) OVER (ORDER BY a) FROM t ORDER BY a",
    "SELECT a, sum(a) OVER (ORDER BY a ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING), count(*) OVER "
    "(ORDER BY b GROUPS 1 PRECEDING) FROM t ORDER BY a",
    "SELECT a, total(a) OVER (ORDER BY a RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT "
    "ROW) FROM t ORDER BY a",
    "SELECT group_concat(c, '-') FILTER (WHERE a < 3) FROM t WHERE 0",
    "SELECT CASE b WHEN 10 THEN 'ten' WHEN 20 THEN 'twenty' END, COALESCE(9, avg(a)) / 4 FROM t "
    "GROUP BY b ORDER BY b",
    "SELECT a AS z FROM t WHERE z > 2 ORDER BY z DESC",
    "SELECT b + 1 AS k, count(*) FROM t GROUP BY k ORDER BY k",
    "INSERT INTO t(b) VALUES (77) RETURNING a, b, c",
    "INSERT INTO t VALUES (1, 0, 'again', 0) ON CONFLICT (a) DO UPDATE SET b = t.b + 1, c = "
    "excluded.c WHERE t.b < 100 RETURNING *",
    "INSERT INTO t VALUES (1, 0, 'no', 0) ON CONFLICT DO NOTHING",
    "INSERT OR IGNORE INTO t VALUES (2, 1, 'no', 0), (9, 9, 'nine', 9)",
    "INSERT OR REPLACE INTO u(a, b, c) VALUES (1, 1, 'replaced')",
    "REPLACE INTO t VALUES (3, 3, 'three', 3.0)",
    "INSERT INTO t SELECT a + 100, b, c, d FROM t",
    "UPDATE t SET b = b * 2, d = d + 1 WHERE a > 100 AND b IS NOT NULL",
    "UPDATE t SET a = a + 1000 WHERE a = 101",
    "UPDATE t SET c = u.c FROM u WHERE u.a = t.a AND u.b = 1",
    "UPDATE t SET (b, c) = (SELECT max(b), 'from' FROM u) WHERE a = 2",
    "DELETE FROM t WHERE a IN (SELECT a + 100 FROM t WHERE b > 50) RETURNING a",
    "SELECT * FROM t ORDER BY a",
    "SELECT * FROM u ORDER BY a, b, c",
    "SELECT a FROM t WHERE a = 2.0",
    "SELECT a FROM t WHERE a = 2.5",
    "SELECT a FROM t WHERE a > 2.5 ORDER BY a",
    "SELECT a FROM t WHERE a < '3' ORDER BY a",
    "SELECT a FROM t WHERE a BETWEEN 1.5 AND 3.5 ORDER BY a",
    "SELECT a FROM t WHERE a = NULL",
    "SELECT a FROM t WHERE a IN (1, 2.0, '3', 'x', NULL) ORDER BY a",
    "SELECT b FROM u WHERE c BETWEEN 'a' AND 'y' ORDER BY b",
    "SELECT a FROM t WHERE c > 'm' ORDER BY a",
    "CREATE INDEX t_part ON t(b) WHERE c IS NOT NULL AND a > 1",
    "CREATE INDEX t_expr ON t(lower(c), a + b DESC)",
    "SELECT a FROM t WHERE b = 10 AND c > 'a' AND a > 1 ORDER BY a",
    "SELECT a FROM t WHERE b >= 10 AND c IS NOT NULL AND a BETWEEN 2 AND 9 ORDER BY a",
    "SELECT a FROM t WHERE lower(c) = 'x' ORDER BY a",
    "SELECT a FROM t WHERE lower(c) = 'x' AND a + b > 11 ORDER BY a",
    "CREATE TABLE gen(a INTEGER PRIMARY KEY, b INTEGER, c INTEGER AS (b * 2) STORED, d TEXT AS (a || '-' || c) VIRTUAL)",
    "CREATE INDEX gen_c ON gen(c)",
    "CREATE UNIQUE INDEX gen_d ON gen(d) WHERE b > 1",
    "INSERT INTO gen VALUES (1, 10), (2, NULL), (3, 7)",
    "INSERT INTO gen(c) VALUES (1)",
    "UPDATE gen SET c = 1",
    "UPDATE gen SET b = b + 1 WHERE c > 15",
    "SELECT * FROM gen ORDER BY a",
    "SELECT a FROM gen WHERE c = 22",
    "SELECT x.a, gen.c, gen.d FROM (SELECT 1 AS a UNION ALL SELECT 9) x LEFT JOIN gen ON gen.a = x.a ORDER BY 1",
    "SELECT c, count(*) FROM gen GROUP BY c ORDER BY c",
    "DELETE FROM gen WHERE d = '1-22'",
    "SELECT d FROM gen ORDER BY d",
    "ALTER TABLE gen ADD COLUMN e INTEGER AS (coalesce(c, -1))",
    "SELECT * FROM gen ORDER BY e",
    "CREATE TABLE part(a INTEGER PRIMARY KEY, b TEXT, gone INTEGER)",
    "CREATE UNIQUE INDEX part_b ON part(lower(b)) WHERE gone IS NULL",
    "INSERT INTO part VALUES (1, 'X', NULL), (2, 'x', 1)",
    "INSERT INTO part VALUES (3, 'x', NULL)",
    "UPDATE part SET gone = NULL WHERE a = 2",
    "UPDATE part SET gone = a WHERE a = 1",
    "UPDATE part SET gone = NULL WHERE a = 2",
    "INSERT OR REPLACE INTO part VALUES (4, 'X', NULL)",
    "SELECT * FROM part ORDER BY a",
    "SELECT * FROM part WHERE lower(b) = 'x' AND gone IS NULL",
    "SELECT nonsense FROM t",
    "SELECT a FROM nowhere",
    "SELECT sum(sum(a)) FROM t",
    "SELECT a FROM t WHERE sum(a) > 1",
    "INSERT INTO u(a) VALUES (1)",
    "INSERT INTO t(a) VALUES (1)",
    "SELECT 1 UNION SELECT 1, 2",
    "SELECT a FROM t ORDER BY 7",
    "SELECT * FROM t JOIN u ON t.a = u.a WHERE a = 1",
};

struct pair {
    void *q, *s;
    uint64_t compared, failed, both_failed;
    bool random, trace;
};

static bool same_values(const struct slt_values *a, const struct slt_values *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(a->item[i], b->item[i]) != 0)
            return false;
    }
    return true;
}

static size_t row_columns;

static int compare_row(const void *a, const void *b)
{
    char *const *x = a, *const *y = b;
    for (size_t i = 0; i < row_columns; i++) {
        int c = strcmp(x[i], y[i]);
        if (c != 0)
            return c;
    }
    return 0;
}

static void sort_rows(struct slt_values *v, size_t columns)
{
    row_columns = columns;
    if (columns > 0 && v->count > 0)
        qsort(v->item, v->count / columns, columns * sizeof v->item[0], compare_row);
}

static void both(struct pair *p, const char *sql, bool ordered)
{
    struct slt_values q = {0}, s = {0};
    const char *qm, *sm;
    size_t qc, sc;
    if (p->trace)
        printf("%s;\n", sql);
    /* Of 7 and 7.0 any may be the min() or come first: only what they are worth is compared. */
    const char *types = p->random ? "NNNNNNNNNNNNNNNNNNNN" : "AAAAAAAAAAAAAAAAAAAA";
    bool qok = slt_quartet.query(p->q, sql, types, &q, &qc, &qm);
    bool sok = slt_sqlite.query(p->s, sql, types, &s, &sc, &sm);
    if (!ordered) {
        sort_rows(&q, qc);
        sort_rows(&s, sc);
    }
    p->compared++;
    p->both_failed += !qok && !sok;
    if (qok != sok || (qok && (qc != sc || !same_values(&q, &s)))) {
        if (p->failed++ < 10) {
            printf("%s\n  quartet: %zu values %s\n  sqlite:  %zu values %s\n", sql, q.count,
                   qok ? "" : qm, s.count, sok ? "" : sm);
            for (size_t i = 0; i < q.count && i < s.count; i++) {
                if (strcmp(q.item[i], s.item[i]) != 0) {
                    printf("  value %zu: %s, SQLite has %s\n", i + 1, q.item[i], s.item[i]);
                    break;
                }
            }
        }
    }
    slt_clear(&q);
    slt_clear(&s);
    free(q.item);
    free(s.item);
}

/* ---- random queries ---- */

struct gen {
    struct prng r;
    struct buf out;
    const char *alias[4]; /* tables in scope */
    uint32_t alias_count;
};

static uint32_t pick(struct gen *g, uint32_t n)
{
    return (uint32_t)prng_below(&g->r, n);
}

static void put(struct gen *g, const char *s)
{
    buf_str(&g->out, s);
}

static void number(struct gen *g, int depth);

static void column(struct gen *g, const char *letters)
{
    buf_printf(&g->out, "%s.%c", g->alias[pick(g, g->alias_count)],
               letters[pick(g, (uint32_t)strlen(letters))]);
}

static void condition(struct gen *g, int depth);

static void subquery(struct gen *g, const char *what, int depth)
{
    static const char *const tables[] = {"t1", "t2", "t3"};
    uint32_t kept = g->alias_count;
    buf_printf(&g->out, "(SELECT %s FROM %s AS s%d WHERE ", what, tables[pick(g, 3)], depth);
    char name[16];
    (void)snprintf(name, sizeof name, "s%d", depth);
    if (g->alias_count < 4)
        g->alias[g->alias_count++] = name;
    if (kept > 0 && pick(g, 2) == 0) /* what makes a join of it */
        buf_printf(&g->out, "s%d.%c = %s.%c AND ", depth, "abc"[pick(g, 3)], g->alias[pick(g, kept)], "abcd"[pick(g, 4)]);
    condition(g, depth - 2);
    g->alias_count = kept;
    put(g, ")");
}

static void number(struct gen *g, int depth)
{
    static const char *const ops[] = {" + ", " - ", " * "};
    switch (depth <= 0 ? pick(g, 3) : pick(g, 8)) {
    case 0:
        buf_printf(&g->out, "%d", (int)pick(g, 12) - 2);
        return;
    case 1:
    case 2:
        column(g, "abd");
        return;
    case 3:
    case 4:
        put(g, "(");
        number(g, depth - 1);
        put(g, ops[pick(g, 3)]);
        number(g, depth - 1);
        put(g, ")");
        return;
    case 5:
        put(g, "CASE WHEN ");
        condition(g, depth - 1);
        put(g, " THEN ");
        number(g, depth - 1);
        if (pick(g, 2) == 0) {
            put(g, " ELSE ");
            number(g, depth - 1);
        }
        put(g, " END");
        return;
    case 6:
        put(g, pick(g, 2) == 0 ? "COALESCE(" : "NULLIF(");
        number(g, depth - 1);
        put(g, ", ");
        number(g, depth - 1);
        put(g, ")");
        return;
    default:
        subquery(g, pick(g, 2) == 0 ? "count(*)" : "max(b)", depth);
    }
}

static void comparison(struct gen *g, int depth)
{
    static const char *const ops[] = {
        " = ", " <> ", " < ", " <= ", " > ", " >= ", " IS ", " IS NOT "};
    if (pick(g, 4) == 0) {
        column(g, "c");
        put(g, ops[pick(g, 8)]);
        buf_printf(&g->out, "'%c'", 'a' + (char)pick(g, 5));
        return;
    }
    number(g, depth - 1);
    put(g, ops[pick(g, 8)]);
    number(g, depth - 1);
}

static void condition(struct gen *g, int depth)
{
    switch (depth <= 0 ? pick(g, 3) : pick(g, 9)) {
    case 0:
        comparison(g, depth);
        return;
    case 1:
        column(g, "abcd");
        put(g, pick(g, 2) == 0 ? " IS NULL" : " IS NOT NULL");
        return;
    case 2:
        column(g, "abd");
        put(g, pick(g, 2) == 0 ? " BETWEEN " : " NOT BETWEEN ");
        buf_printf(&g->out, "%d AND %d", (int)pick(g, 8) - 2, (int)pick(g, 12));
        return;
    case 3:
    case 4:
        put(g, "(");
        condition(g, depth - 1);
        put(g, pick(g, 2) == 0 ? " AND " : " OR ");
        condition(g, depth - 1);
        put(g, ")");
        return;
    case 5:
        put(g, "NOT ");
        put(g, "(");
        condition(g, depth - 1);
        put(g, ")");
        return;
    case 6:
        column(g, "abd");
        put(g, pick(g, 2) == 0 ? " IN (" : " NOT IN (");
        buf_printf(&g->out, "%u, %u%s)", pick(g, 10), pick(g, 10), pick(g, 4) == 0 ? ", NULL" : "");
        return;
    case 7:
        column(g, "ab");
        put(g, pick(g, 2) == 0 ? " IN " : " NOT IN ");
        subquery(g, "a", depth);
        return;
    default:
        put(g, "EXISTS ");
        subquery(g, "1", depth);
    }
}

static void from(struct gen *g)
{
    static const char *const tables[] = {"t1", "t2", "t3"};
    static const char *const joins[] = {" JOIN ",       " LEFT JOIN ",  ", ",
                                        " JOIN ",       " CROSS JOIN ", " LEFT JOIN ",
                                        " RIGHT JOIN ", " FULL JOIN "};
    static const char *const names[] = {"x", "y", "z"};
    uint32_t n = 1 + pick(g, 3);
    put(g, " FROM ");
    for (uint32_t i = 0; i < n; i++) {
        uint32_t join = pick(g, 8);
        if (i > 0)
            put(g, joins[join]);
        buf_printf(&g->out, "%s AS %s", tables[pick(g, 3)], names[i]);
        g->alias[i] = names[i];
        g->alias_count = i + 1;
        if (i > 0 && join != 2 && join != 4) {
            buf_printf(&g->out, " ON %s.%c = %s.%c", names[pick(g, i)], "abcd"[pick(g, 4)],
                       names[i], "ab"[pick(g, 2)]);
            if (pick(g, 3) == 0) /* never a constant alone: SQLite 3.40 drops rows of FULL JOIN over
                                    a FROM that is known to be empty */
                buf_printf(&g->out, " AND %s.%c %s %d", names[pick(g, i + 1)], "abd"[pick(g, 3)],
                           pick(g, 2) == 0 ? ">" : "<", (int)pick(g, 8));
        }
    }
}

/* The FROM is written after the list, but decides what the list may name: made first, put second.
 */
static bool query(struct gen *g)
{
    struct buf source = {0};
    bool grouped = pick(g, 3) == 0, ordered = pick(g, 2) == 0;
    buf_clear(&g->out);
    from(g);
    if (pick(g, 5) > 0) {
        put(g, " WHERE ");
        condition(g, DEPTH_MAX);
    }
    struct buf list = g->out;
    g->out = source;
    put(g, pick(g, 5) == 0 ? "SELECT DISTINCT " : "SELECT ");
    uint32_t n = 1 + pick(g, 3);
    char key[16] = "";
    if (grouped) {
        static const char *const aggs[] = {"count(*)", "sum(",   "min(",
                                           "max(",     "count(", "count(DISTINCT "};
        (void)snprintf(key, sizeof key, "%s.%c", g->alias[0], "bc"[pick(g, 2)]); /* "x.b" */
        put(g, key);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t a = pick(g, 6);
            buf_printf(&g->out, ", %s", aggs[a]);
            if (a > 0) {
                number(g, 1);
                put(g, ")");
            }
        }
        n++;
    } else {
        for (uint32_t i = 0; i < n; i++) {
            if (i > 0)
                put(g, ", ");
            if (pick(g, 3) == 0)
                column(g, "abcd");
            else
                number(g, 2);
        }
    }
    buf_put(&g->out, list.data, list.len);
    buf_deinit(&list);
    if (grouped) {
        buf_printf(&g->out, " GROUP BY %s", key);
        if (pick(g, 3) == 0)
            put(g, " HAVING count(*) > 1");
    }
    if (ordered) {
        put(g, " ORDER BY ");
        for (uint32_t i = 0; i < n; i++)
            buf_printf(&g->out, "%s%u%s", i > 0 ? ", " : "", i + 1, pick(g, 3) == 0 ? " DESC" : "");
        if (pick(g, 2) == 0)
            buf_printf(&g->out, " LIMIT %u", pick(g, 20));
    }
    buf_u8(&g->out, 0);
    return ordered;
}

static void statement(struct pair *p, struct gen *g)
{
    buf_clear(&g->out);
    g->alias[0] = "t3";
    g->alias_count = 1;
    if (pick(g, 2) == 0) {
        put(g, "UPDATE t3 SET d = "); /* no subquery: SQLite's sees rows that the statement has changed already */
        number(g, 0);
        put(g, " WHERE ");
    } else {
        put(g, "DELETE FROM t3 WHERE ");
        buf_printf(&g->out, "a = %u AND ", pick(g, 40));
    }
    condition(g, 2);
    buf_u8(&g->out, 0);
    if (strstr((const char *)g->out.data + 12, "FROM t3") != NULL)
        return; /* neither here */
    both(p, (const char *)g->out.data, false);
    both(p, "SELECT * FROM t3", false);
}

static void row(struct gen *g, const char *table, uint32_t i)
{
    buf_clear(&g->out);
    buf_printf(&g->out, "INSERT INTO %s VALUES (%u, ", table, i);
    if (pick(g, 6) == 0)
        put(g, "NULL");
    else
        buf_printf(&g->out, "%u", pick(g, 10));
    if (pick(g, 6) == 0)
        put(g, ", NULL");
    else
        buf_printf(&g->out, ", '%c'", 'a' + (char)pick(g, 5));
    if (pick(g, 6) == 0)
        put(g, ", NULL)");
    else
        buf_printf(&g->out, ", %u.5)", pick(g, 8));
    buf_u8(&g->out, 0);
}

static bool open_both(struct pair *p)
{
    if (!slt_quartet.open(&p->q) || !slt_sqlite.open(&p->s))
        return false;
    return sqlite3_test_control(SQLITE_TESTCTRL_OPTIMIZATIONS, p->s, SQLITE_OMIT_JOINS) == SQLITE_OK; /* switched off */
}

static void close_both(struct pair *p)
{
    slt_quartet.close(p->q);
    slt_sqlite.close(p->s);
}

static void random_round(struct pair *p, struct gen *g)
{
    static const char *const tables[] = {"t1", "t2", "t3"};
    both(p, "CREATE TABLE t1(a INTEGER PRIMARY KEY, b INTEGER, c TEXT, d REAL)", true);
    both(p, "CREATE TABLE t2(a INTEGER, b INTEGER, c TEXT, d REAL)", true);
    both(p, "CREATE INDEX t2_b ON t2(b, a)", true);
    both(p, "CREATE INDEX t2_c ON t2(c)", true);
    both(p, "CREATE INDEX t2_p ON t2(a) WHERE b > 4", true);
    both(p, "CREATE INDEX t1_e ON t1(b + 1)", true);
    both(p, "CREATE INDEX t1_p ON t1(c) WHERE b IS NOT NULL", true);
    both(p, "CREATE TABLE t3(a INTEGER, b INTEGER, c TEXT, d REAL, PRIMARY KEY (c, a))", true);
    for (uint32_t t = 0; t < 3; t++) {
        uint32_t n = 5 + pick(g, 25);
        for (uint32_t i = 0; i < n; i++) {
            row(g, tables[t], i);
            if (t < 2 || strstr((const char *)g->out.data, "NULL") ==
                             NULL) /* SQLite takes NULL in a primary key, we do not */
                both(p, (const char *)g->out.data, true);
        }
    }
    for (uint32_t i = 0; i < ROUND_QUERIES; i++) {
        bool ordered = query(g);
        both(p, (const char *)g->out.data, ordered);
        if (i % 10 == 0)
            statement(p, g);
    }
}

/* A condition on one column of the large table that an index may answer. */
static void indexed(struct gen *g)
{
    static const char *const ops[] = {"=", "=", "=", "<", "<=", ">", ">="};
    char c = "abdc"[pick(g, 4)];
    uint32_t top = c == 'a' ? LARGE_ROWS : c == 'b' ? LARGE_ROWS / 10 : 60;
    if (pick(g, 12) == 0)
        buf_printf(&g->out, "(x.%c, x.%c) IN ((%u, %u), (%u, %u.0), (%u, NULL))", c == 'c' ? 'b' : c, c == 'a' ? 'b' : 'a', pick(g, 600), pick(g, 600), pick(g, 600), pick(g, 600), pick(g, 600));
    else if (pick(g, 12) == 0)
        buf_printf(&g->out, "x.%c IN (SELECT s.%c FROM t4 AS s WHERE s.a < %u)", c == 'c' ? 'a' : c, "ab"[pick(g, 2)], pick(g, 3) == 0 ? LARGE_ROWS : pick(g, 40));
    else if (pick(g, 12) == 0)
        buf_printf(&g->out, "x.c IN ('k%u', 'k%u') AND x.b %s %u", pick(g, 300), pick(g, 300), ops[pick(g, 7)], pick(g, 600));
    else if (pick(g, 12) == 0)
        buf_printf(&g->out, "(x.c, x.b) IN (SELECT s.c, s.b + %u FROM t4 AS s WHERE s.a < %u)", pick(g, 2), pick(g, 200));
    else if (c == 'c')
        buf_printf(&g->out, "x.c = 'k%u'", pick(g, 300));
    else if (pick(g, 4) == 0)
        buf_printf(&g->out, "x.%c IN (%u, %u.0, %u, NULL)", c, pick(g, top), pick(g, top), pick(g, top));
    else if (pick(g, 4) == 0)
        buf_printf(&g->out, "x.%c BETWEEN %u AND %u", c, pick(g, top), pick(g, top));
    else
        buf_printf(&g->out, "x.%c %s %u%s", c, ops[pick(g, 7)], pick(g, top), pick(g, 6) == 0 ? ".5" : "");
}

/* Sides of an OR, some of them with more to ask. */
static void any_of(struct gen *g)
{
    uint32_t n = 1 + pick(g, 4);
    put(g, "(");
    for (uint32_t i = 0; i < n; i++) {
        put(g, i > 0 ? " OR " : "");
        indexed(g);
        if (pick(g, 3) == 0) {
            put(g, " AND ");
            condition(g, 1);
        }
    }
    put(g, ")");
}

/* Joins by keys in whose order the tables lie; the names of t4's columns stay plain, so that the same ORDER BY does. */
static void joined(struct gen *g, uint32_t list)
{
    static const char *const lists[] = {"x.a, x.b, x.c, x.d, y", "x.a, x.b, z", "x.d, x.a, y, z", "count(*), sum(x.b), min(y), max(z)"};
    static const char *const ons[] = {"x.a = w.k", "x.a = w.k AND x.b > w.y", "x.a = w.k AND w.z <> x.c", "w.k = x.a AND w.y < 3000"};
    buf_printf(&g->out, "SELECT %s FROM t4 AS x %s t5 AS w ON %s WHERE ", lists[list], pick(g, 2) == 0 ? "JOIN" : "LEFT JOIN", ons[pick(g, 4)]);
}

/* Tables that are large enough for the planner to look at what is in them, and for ways to differ in cost. */
static void large_round(struct pair *p, struct gen *g, uint32_t queries)
{
    static const char *const orders[] = {"", " ORDER BY b, a", " ORDER BY b DESC, a DESC", " ORDER BY d, a", " ORDER BY c DESC, a", " ORDER BY a DESC"};
    static const char *const lists[] = {"a, b, c, d", "a, b", "d, a", "count(*), sum(b), min(c), max(d)"};
    both(p, "CREATE TABLE t4(a INTEGER PRIMARY KEY, b INTEGER, c TEXT, d REAL)", true);
    both(p, "CREATE INDEX t4_b ON t4(b)", true);
    both(p, "CREATE INDEX t4_c ON t4(c DESC, b)", true);
    both(p, "CREATE INDEX t4_d ON t4(d)", true);
    buf_clear(&g->out);
    buf_printf(&g->out,
               "INSERT INTO t4 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %u) SELECT i, CASE WHEN i %% 17 > 0 THEN i * 7 %% %u END, "
               "'k' || (i %% 300), CASE WHEN i %% 11 > 0 THEN (i * 13 %% 120) / 2.0 END FROM n%c",
               LARGE_ROWS, LARGE_ROWS / 10, 0);
    both(p, (const char *)g->out.data, true);
    both(p, "CREATE TABLE t5(k INTEGER, y INTEGER, z TEXT, PRIMARY KEY (k, y))", true);
    both(p, "INSERT INTO t5 SELECT CASE WHEN a < 3000 THEN a WHEN a < 4000 THEN 3500 ELSE a / 2 * 2 END, a, c FROM t4", true);
    for (uint32_t i = 0; i < queries; i++) {
        bool two = pick(g, 4) == 0; /* whose rows have ties in every order */
        uint32_t list = pick(g, 4), order = list == 3 || two ? 0 : pick(g, 6);
        g->alias[0] = "x";
        g->alias_count = 1;
        buf_clear(&g->out);
        if (i % 25 == 24)
            put(g, pick(g, 2) == 0 ? "DELETE FROM t4 AS x WHERE x.a % 5 = 1 AND " : "UPDATE t4 AS x SET b = b + 3, d = d - 1 WHERE ");
        else if (two)
            joined(g, list);
        else
            buf_printf(&g->out, "SELECT %s FROM t4 AS x WHERE ", lists[list]);
        any_of(g);
        if (pick(g, 3) == 0) {
            put(g, " AND ");
            any_of(g);
        }
        if (i % 25 != 24) {
            put(g, orders[order]);
            if (order > 0 && pick(g, 2) == 0)
                buf_printf(&g->out, " LIMIT %u OFFSET %u", pick(g, 20), pick(g, 5));
        }
        buf_u8(&g->out, 0);
        both(p, (const char *)g->out.data, order > 0);
    }
    for (uint32_t i = 1; i < 6; i++) { /* along an index, without any condition */
        buf_clear(&g->out);
        buf_printf(&g->out, "SELECT a, b, c, d FROM t4%s LIMIT %u OFFSET 3%c", orders[i], 1 + pick(g, 30), 0);
        both(p, (const char *)g->out.data, true);
    }
}

int main(void)
{
    const char *seed_text = getenv("QUARTET_SEED"), *count_text = getenv("QUARTET_ORACLE_QUERIES");
    uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 0) : 20260101;
    uint64_t count = count_text != NULL ? strtoull(count_text, NULL, 0) : QUERIES_DEFAULT;
    struct pair p = {.trace = getenv("QUARTET_ORACLE_TRACE") != NULL};
    struct gen g = {0};
    if (!open_both(&p))
        return 2;
    for (size_t i = 0; i < sizeof written / sizeof written[0]; i++)
        both(&p, written[i], true);
    close_both(&p);
    p.random = true;
    prng_seed(&g.r, seed);
    for (uint64_t done = 0; done < count && p.failed == 0; done += ROUND_QUERIES) {
        if (!open_both(&p))
            return 2;
        random_round(&p, &g);
        close_both(&p);
    }
    if (p.failed == 0) {
        if (!open_both(&p))
            return 2;
        large_round(&p, &g, (uint32_t)(count / 10));
        close_both(&p);
    }
    buf_deinit(&g.out);
    printf(
        "%llu statements compared with SQLite, %llu failed on both, %llu differences (seed %llu)\n",
        (unsigned long long)p.compared, (unsigned long long)p.both_failed,
        (unsigned long long)p.failed, (unsigned long long)seed);
    return p.failed == 0 ? 0 : 1;
}

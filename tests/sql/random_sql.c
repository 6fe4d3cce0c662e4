/* random_sql.c - random schemas and statements from a seed.
 *
 * Most of what it makes is valid, so that it reaches far into the engine; a share is of the wrong type, of the
 * wrong size or plain nonsense, since a node must answer that with an error too. */
#include "random_sql.h"

#include <string.h>

#define DEPTH_MAX 4

static const char *const types[] = {
    "INTEGER", "INTEGER", "TEXT", "TEXT",      "REAL", "DECIMAL(10,2)", "DECIMAL", "",
    "BLOB",    "BOOLEAN", "DATE", "TIMESTAMP", "TIME", "UUID",          "JSON",    "TEXT COLLATE NOCASE",
};

static const char *const literals[] = {
    "NULL", "NULL", "0", "1", "-1", "2", "3", "7", "10", "1.0", "2.5", "-0.0", "0.01", "1e300", "-1e-300", "9e999",
    "9223372036854775807", "-9223372036854775808", "9223372036854775808", "9007199254740993",
    "99999999999999999999999999999999999999", "123456789012345678901234567890123456789012345678901234567890",
    "0.00000000000000000000000000000000000001", "0x7fffffffffffffff", "''", "'a'", "'A'", "'b'", "'B'", "'x%'",
    "'%_'", "'12'", "'12 apples'", "'1e5'", "'straße'", "'STRASSE'", "'\xF0\x9F\x98\x80'", "x''", "x'00'", "x'ff00ff'",
    "x'41'", "TRUE", "FALSE", "'2026-01-31'", "'2026-02-28 12:34:56.789'", "'12:34:56'", "DATE '2024-02-29'",
    "TIMESTAMP '0000-01-01 00:00:00'", "TIMESTAMP '9999-12-31 23:59:59.999999'", 
    "'00112233-4455-6677-8899-aabbccddeeff'", "'{\"a\": [1, 2, {\"b\": null}]}'", "'[]'",
    "'[1,2,3]'", "'$.a[0]'", "'$.a[#-1]'", "'day'", "'month'", "'+1 month'", "'now'", "'%d-%s-%f'", "'('", "'[a-'",
    "'(a*)*b'", "'-'", "zeroblob(100)", "'1 day'", "'utf8'",
};

static const char *const scalars[] = {
    "abs", "sign", "round", "ceil", "floor", "trunc", "sqrt", "exp", "ln", "log", "power", "mod", "gcd", "lcm", "max",
    "min", "greatest", "least", "coalesce", "ifnull", "nullif", "iif", "nvl2", "length", "octet_length", "bit_length",
    "lower", "upper", "initcap", "trim", "ltrim", "rtrim", "substr", "left", "right", "lpad", "rpad", "repeat", "space",
    "reverse", "instr", "locate", "starts_with", "contains", "replace", "translate", "split_part", "concat", "concat_ws",
    "char", "unicode", "hex", "unhex", "quote", "zeroblob", "printf", "typeof", "like", "glob", "regexp", "likelihood",
    "date", "time", "datetime", "julianday", "unixepoch", "strftime", "date_format", "extract", "date_part", "year",
    "week", "dayofyear", "epoch", "date_trunc", "date_add", "date_sub", "datediff", "date_diff", "last_day", "make_date",
    "from_unixtime", "json", "json_valid", "json_extract", "json_array", "json_object", "json_type",
    "json_array_length", "json_quote", "json_set", "json_insert", "json_replace", "json_remove", "json_patch", "json_value",
    "json_query", "json_exists", "json_keys", "json_unquote", "json_length", "set_add", "set_remove", "set_has", "set_size", "siblings", "no_such_function",
};

static const char *const aggregates[] = {
    "count", "sum", "total", "avg", "min", "max", "any_value", "group_concat", "stddev", "var_pop", "median",
    "bool_and", "bit_or", "bit_xor", "json_group_array",
};

static const char *const binary[] = {
    "+", "-", "*", "/", "%", "DIV", "||", "<<", ">>", "&", "|", "=", "<>", "<", "<=", ">", ">=", "IS", "IS NOT",
    "<=>", "IS DISTINCT FROM", "AND", "OR", "XOR", "LIKE", "ILIKE", "GLOB", "REGEXP", "SIMILAR TO", "->", "->>",
    "NOT LIKE", "=", "<", ">",
};

#define COUNT(a) ((uint32_t)(sizeof(a) / sizeof(a)[0]))

uint32_t random_pick(struct random_sql *g, uint32_t n)
{
    return (uint32_t)prng_below(&g->r, n);
}

static bool one_in(struct random_sql *g, uint32_t n)
{
    return random_pick(g, n) == 0;
}

static void put(struct random_sql *g, const char *text)
{
    buf_str(&g->out, text);
}

static void start(struct random_sql *g)
{
    buf_clear(&g->out);
    g->scope = 0;
}

static const char *done(struct random_sql *g)
{
    buf_u8(&g->out, 0);
    QASSERT(!g->out.failed);
    return (const char *)g->out.data;
}

void random_sql_init(struct random_sql *g, uint64_t seed)
{
    memset(g, 0, sizeof *g);
    prng_seed(&g->r, seed);
    g->tables[RANDOM_TABLES].column_count = 1;
    g->tables[RANDOM_TABLES + 1].column_count = 3;
}

void random_sql_deinit(struct random_sql *g)
{
    buf_deinit(&g->out);
}

/* ---- expressions ---- */

static void expr(struct random_sql *g, uint32_t depth);
static void query(struct random_sql *g, uint32_t depth, uint32_t columns);
static void order_by(struct random_sql *g, uint32_t depth);

static void literal(struct random_sql *g)
{
    if (one_in(g, 3)) {
        buf_printf(&g->out, "%d", (int)random_pick(g, 20) - 3);
    } else if (!g->pure && one_in(g, 8)) {
        buf_printf(&g->out, "?%u", 1 + random_pick(g, 4));
    } else {
        const char *text = literals[random_pick(g, COUNT(literals))];
        put(g, g->pure && strcmp(text, "'now'") == 0 ? "'noon'" : text);
    }
}

static void column(struct random_sql *g)
{
    if (g->scope == 0) {
        literal(g);
        return;
    }
    uint32_t a = random_pick(g, g->scope);
    const struct random_table *t = &g->tables[g->in[a]];
    uint32_t c = one_in(g, 80) ? 9 : random_pick(g, t->column_count > 0 ? t->column_count : 1);
    if ((g->scope == 1 && one_in(g, 4)) || one_in(g, 60))
        buf_printf(&g->out, "c%u", c);
    else
        buf_printf(&g->out, "a%u.c%u", a, c);
}

static void call(struct random_sql *g, uint32_t depth)
{
    buf_printf(&g->out, "%s(", scalars[random_pick(g, COUNT(scalars))]);
    uint32_t n = one_in(g, 30) ? random_pick(g, 9) : 1 + random_pick(g, 3);
    for (uint32_t i = 0; i < n; i++) {
        put(g, i > 0 ? ", " : "");
        expr(g, depth);
    }
    put(g, ")");
}

static void frame_bound(struct random_sql *g)
{
    static const char *const bounds[] = {"UNBOUNDED PRECEDING", "CURRENT ROW", "UNBOUNDED FOLLOWING", "1 PRECEDING",
                                         "2 FOLLOWING", "9223372036854775807 PRECEDING", "9223372036854775807 FOLLOWING",
                                         "-1 PRECEDING", "1.5 FOLLOWING", "NULL PRECEDING", "'x' FOLLOWING",
                                         "INTERVAL '1 day' PRECEDING", "? FOLLOWING"};
    put(g, bounds[one_in(g, 3) ? random_pick(g, COUNT(bounds)) : random_pick(g, 5)]);
}

static void over(struct random_sql *g, uint32_t depth)
{
    static const char *const modes[] = {"ROWS", "RANGE", "GROUPS"};
    static const char *const excludes[] = {"", "", "", " EXCLUDE CURRENT ROW", " EXCLUDE GROUP", " EXCLUDE TIES"};
    put(g, " OVER (");
    if (one_in(g, 2)) {
        put(g, "PARTITION BY ");
        expr(g, depth + 2);
    }
    if (!one_in(g, 4))
        order_by(g, depth + 1);
    if (one_in(g, 2)) {
        buf_printf(&g->out, " %s BETWEEN ", modes[random_pick(g, 3)]);
        if (one_in(g, 2)) {
            put(g, one_in(g, 2) ? "1 PRECEDING" : "UNBOUNDED PRECEDING");
            put(g, one_in(g, 2) ? " AND CURRENT ROW" : " AND 2 FOLLOWING");
        } else {
            frame_bound(g);
            put(g, " AND ");
            frame_bound(g);
        }
        put(g, excludes[random_pick(g, COUNT(excludes))]);
    }
    put(g, ")");
}

static void window(struct random_sql *g, uint32_t depth)
{
    static const char *const ranks[] = {"row_number()", "rank()", "dense_rank()", "percent_rank()", "cume_dist()"};
    static const char *const others[] = {"ntile(", "lag(", "lead(", "first_value(", "last_value(", "nth_value("};
    uint32_t kind = random_pick(g, 3);
    if (kind == 0) {
        put(g, ranks[random_pick(g, COUNT(ranks))]);
    } else {
        uint32_t which = random_pick(g, COUNT(others));
        if (kind == 1)
            put(g, others[which]);
        else
            buf_printf(&g->out, "%s(", aggregates[random_pick(g, COUNT(aggregates))]);
        expr(g, depth + 1);
        if (kind == 1 && which != 0 && which != 3 && which != 4) {
            put(g, ", ");
            literal(g);
        }
        put(g, ")");
        if (kind == 1 && one_in(g, 8))
            put(g, " IGNORE NULLS");
    }
    over(g, depth);
}

static void aggregate(struct random_sql *g, uint32_t depth)
{
    if (one_in(g, 6)) {
        put(g, "count(*)");
    } else if (one_in(g, 12)) {
        put(g, "percentile_cont(0.5) WITHIN GROUP (ORDER BY ");
        expr(g, depth + 1);
        put(g, ")");
    } else {
        buf_printf(&g->out, "%s(%s", aggregates[random_pick(g, COUNT(aggregates))], one_in(g, 6) ? "DISTINCT " : "");
        expr(g, depth + 1);
        if (one_in(g, 8))
            order_by(g, depth + 2);
        put(g, ")");
    }
    if (one_in(g, 8)) {
        put(g, " FILTER (WHERE ");
        expr(g, depth + 2);
        put(g, ")");
    }
}

static void two(struct random_sql *g, uint32_t depth, const char *between)
{
    expr(g, depth);
    put(g, between);
    expr(g, depth);
}

static void in_list(struct random_sql *g, uint32_t depth)
{
    expr(g, depth);
    put(g, one_in(g, 3) ? " NOT IN (" : " IN (");
    if (depth < DEPTH_MAX && one_in(g, 3)) {
        query(g, depth + 1, one_in(g, 20) ? 2 : 1);
    } else {
        uint32_t n = random_pick(g, 6);
        for (uint32_t i = 0; i < n; i++) {
            put(g, i > 0 ? ", " : "");
            expr(g, depth + 1);
        }
    }
    put(g, ")");
}

static void subquery(struct random_sql *g, uint32_t depth)
{
    static const char *const quantified[] = {"= ANY", "< ALL", "<> SOME", ">= ANY", "<> ALL"};
    uint32_t kind = random_pick(g, 5);
    if (kind == 0) {
        put(g, "EXISTS ");
    } else if (kind == 1) {
        expr(g, depth + 1);
        buf_printf(&g->out, " %s ", quantified[random_pick(g, COUNT(quantified))]);
    } else if (kind == 2) {
        put(g, "(");
        two(g, depth + 1, ", ");
        put(g, one_in(g, 2) ? ") = " : ") IN ");
    }
    put(g, "(");
    query(g, depth + 1, kind == 2 ? 2 : 1);
    put(g, ")");
}

static void wrapped(struct random_sql *g, uint32_t depth)
{
    switch (random_pick(g, 11)) {
    case 0:
        put(g, "CASE WHEN ");
        two(g, depth, " THEN ");
        put(g, " ELSE ");
        expr(g, depth);
        put(g, " END");
        break;
    case 1:
        put(g, "CASE ");
        two(g, depth, " WHEN ");
        put(g, " THEN ");
        expr(g, depth);
        put(g, " END");
        break;
    case 2:
        put(g, "CAST(");
        expr(g, depth);
        buf_printf(&g->out, " AS %s)", one_in(g, 30) ? "DECIMAL(99,50)" : types[random_pick(g, COUNT(types) - 1)][0] != 0
                                                                             ? types[random_pick(g, 7)]
                                                                             : "INTEGER");
        break;
    case 3:
        expr(g, depth);
        put(g, one_in(g, 2) ? " BETWEEN " : " NOT BETWEEN ");
        two(g, depth, " AND ");
        break;
    case 4:
        in_list(g, depth);
        break;
    case 5:
        put(g, one_in(g, 2) ? "NOT " : one_in(g, 2) ? "- " : one_in(g, 2) ? "~ " : "+ ");
        expr(g, depth);
        break;
    case 6:
        expr(g, depth);
        put(g, one_in(g, 2) ? " IS NULL" : one_in(g, 2) ? " IS NOT NULL" : one_in(g, 2) ? " IS TRUE" : " IS NOT FALSE");
        break;
    case 7:
        expr(g, depth);
        put(g, " COLLATE NOCASE");
        break;
    case 8:
        put(g, "(");
        two(g, depth, ", ");
        put(g, one_in(g, 2) ? ") = (" : one_in(g, 2) ? ") < (" : ") IS (");
        two(g, depth, ", ");
        put(g, ")");
        break;
    case 9:
        expr(g, depth);
        put(g, " LIKE ");
        two(g, depth, " ESCAPE ");
        break;
    default:
        call(g, depth);
        break;
    }
}

/* Deep, long or huge: what meets the limits of parser, binder and evaluator. */
static void extreme(struct random_sql *g)
{
    uint32_t kind = random_pick(g, 6);
    uint32_t n = one_in(g, 4) ? 3000 : 200;
    const char *open = kind == 0 ? "(" : kind == 1 ? "- " : kind == 2 ? "abs(" : kind == 3 ? "NOT " : "";
    const char *middle = kind == 4 ? "1" : "1";
    for (uint32_t i = 0; i < n && kind < 4; i++)
        put(g, open);
    put(g, middle);
    for (uint32_t i = 0; i < n; i++)
        put(g, kind == 0 || kind == 2 ? ")" : kind == 4 ? " + 1" : kind == 5 ? "9" : "");
}

static void expr(struct random_sql *g, uint32_t depth)
{
    uint32_t kind = depth >= DEPTH_MAX ? random_pick(g, 8) : random_pick(g, 30);
    if (kind < 5) {
        column(g);
    } else if (kind < 9) {
        literal(g);
    } else if (kind < 18) {
        put(g, "(");
        expr(g, depth + 1);
        buf_printf(&g->out, " %s ", binary[random_pick(g, COUNT(binary))]);
        expr(g, depth + 1);
        put(g, ")");
    } else if (kind < 27) {
        put(g, "(");
        wrapped(g, depth + 1);
        put(g, ")");
    } else if (kind < 28 && one_in(g, 40)) {
        extreme(g);
    } else if (kind < 29 && !g->pure) {
        put(g, "(");
        subquery(g, depth + 1);
        put(g, ")");
    } else {
        call(g, depth + 1);
    }
}

/* ---- queries ---- */

static void order_by(struct random_sql *g, uint32_t depth)
{
    static const char *const tails[] = {"", " DESC", " NULLS LAST", " DESC NULLS FIRST", " COLLATE NOCASE DESC"};
    put(g, " ORDER BY ");
    uint32_t n = 1 + random_pick(g, 3);
    for (uint32_t i = 0; i < n; i++) {
        put(g, i > 0 ? ", " : "");
        if (one_in(g, 3))
            buf_printf(&g->out, "%u", 1 + random_pick(g, 3));
        else if (one_in(g, 3))
            expr(g, depth + 2);
        else
            column(g);
        put(g, tails[random_pick(g, COUNT(tails))]);
    }
}

static void limit(struct random_sql *g)
{
    static const char *const numbers[] = {"0", "1", "3", "10", "1", "5", "-1", "NULL", "9223372036854775807", "2.0", "'3'",
                                          "1.5", "'x'", "-9223372036854775808", "?2", "(SELECT 2)"};
    buf_printf(&g->out, " LIMIT %s", numbers[random_pick(g, COUNT(numbers))]);
    if (one_in(g, 2))
        buf_printf(&g->out, " OFFSET %s", numbers[random_pick(g, COUNT(numbers))]);
}

/* Puts a source and makes its alias known; the table of a source that is none is table 0. */
static void source(struct random_sql *g, uint32_t depth)
{
    uint32_t alias = g->scope < 4 ? g->scope : 3, table = random_pick(g, RANDOM_TABLES), outer[4];
    uint32_t kind = depth < 2 ? random_pick(g, 12) : 5;
    if (kind == 0) {
        bool lateral = one_in(g, 3);
        uint32_t scope = g->scope;
        memcpy(outer, g->in, sizeof outer);
        g->scope = lateral ? scope : 0;
        put(g, lateral ? "LATERAL (" : "(");
        query(g, depth + 2, 3);
        g->scope = scope;
        memcpy(g->in, outer, sizeof outer);
        table = RANDOM_TABLES + 1;
        buf_printf(&g->out, ") a%u(c0, c1, c2)", alias);
    } else if (kind == 1) {
        static const char *const steps[] = {"1", "3", "-1", "0", "9223372036854775807", "NULL", "'x'", "0.5"};
        table = RANDOM_TABLES;
        buf_printf(&g->out, "generate_series(%s, %s, %s) a%u(c0)", one_in(g, 6) ? "9223372036854775800" : "1",
                   one_in(g, 6) ? "9223372036854775807" : "20", steps[random_pick(g, one_in(g, 2) ? 8 : 2)], alias);
    } else if (kind == 2) {
        table = RANDOM_TABLES + 1;
        buf_printf(&g->out, "(VALUES (1, 'a', NULL), (2, NULL, 2.5), (NULL, 'b', x'00')) a%u(c0, c1, c2)", alias);
    } else {
        buf_printf(&g->out, "t%u a%u", table, alias);
    }
    g->in[alias] = table;
    g->scope = alias + 1;
}

static void from(struct random_sql *g, uint32_t depth)
{
    static const char *const joins[] = {" JOIN ", " LEFT JOIN ", " RIGHT JOIN ", " FULL JOIN ", ", ", " CROSS JOIN ",
                                        " NATURAL JOIN ", " LEFT JOIN "};
    put(g, " FROM ");
    source(g, depth);
    uint32_t n = depth == 0 ? random_pick(g, 3) : random_pick(g, 2);
    for (uint32_t i = 0; i < n && g->scope < 4; i++) {
        uint32_t kind = random_pick(g, COUNT(joins));
        put(g, joins[kind]);
        source(g, depth);
        if (kind < 4 || kind == 7) {
            if (one_in(g, 6)) {
                put(g, " USING (c0)");
            } else {
                put(g, " ON ");
                if (one_in(g, 3)) {
                    expr(g, depth + 1);
                } else {
                    column(g);
                    put(g, one_in(g, 4) ? " < " : " = ");
                    column(g);
                }
            }
        }
    }
}

static void select_list(struct random_sql *g, uint32_t depth, uint32_t columns, bool grouped)
{
    for (uint32_t i = 0; i < columns; i++) {
        put(g, i > 0 ? ", " : "");
        uint32_t kind = random_pick(g, 10);
        if (grouped && kind < 6)
            aggregate(g, depth + 1);
        else if (kind == 6 && depth < 2)
            window(g, depth + 1);
        else if (kind < 4)
            column(g);
        else
            expr(g, depth + 1);
    }
}

static void group_by(struct random_sql *g, uint32_t depth)
{
    static const char *const sets[] = {" GROUP BY ", " GROUP BY ROLLUP (", " GROUP BY CUBE (",
                                       " GROUP BY GROUPING SETS ((), "};
    uint32_t kind = one_in(g, 4) ? 1 + random_pick(g, 3) : 0;
    put(g, sets[kind]);
    if (one_in(g, 3))
        expr(g, depth + 2);
    else
        column(g);
    if (one_in(g, 3)) {
        put(g, ", ");
        column(g);
    }
    put(g, kind > 0 ? ")" : "");
    if (one_in(g, 3)) {
        put(g, " HAVING ");
        aggregate(g, depth + 1);
        put(g, " > 0");
    }
}

static void core(struct random_sql *g, uint32_t depth, uint32_t columns)
{
    static const char *const heads[] = {"SELECT ", "SELECT ", "SELECT ", "SELECT DISTINCT "};
    uint32_t outer = g->scope, mark_in[4];
    bool grouped = one_in(g, 4);
    struct buf sources = {0};
    memcpy(mark_in, g->in, sizeof mark_in);
    put(g, heads[random_pick(g, COUNT(heads))]);
    size_t at = g->out.len; /* the list comes first in the text, but what it can name is said by FROM */
    g->scope = 0;
    if (columns == 0 || !one_in(g, 12))
        from(g, depth);
    buf_put(&sources, g->out.data + at, g->out.len - at);
    g->out.len = at;
    if (columns == 0)
        put(g, "*");
    else
        select_list(g, depth, columns, grouped);
    buf_put(&g->out, sources.data, sources.len);
    buf_deinit(&sources);
    if (one_in(g, 2)) {
        put(g, " WHERE ");
        expr(g, depth + 1);
    }
    if (grouped && one_in(g, 2))
        group_by(g, depth);
    if (one_in(g, 30)) {
        put(g, " QUALIFY ");
        window(g, depth + 1);
        put(g, " = 1");
    }
    g->scope = outer;
    memcpy(g->in, mark_in, sizeof mark_in);
}

static void query(struct random_sql *g, uint32_t depth, uint32_t columns)
{
    static const char *const sets[] = {" UNION ", " UNION ALL ", " INTERSECT ", " EXCEPT ", " EXCEPT ALL "};
    uint32_t most = columns > 0 ? columns : 1;
    if (depth == 0 && one_in(g, 12)) {
        buf_printf(&g->out,
                   "WITH RECURSIVE w(c0, c1) AS (SELECT 1, %s UNION%s SELECT c0 + %u, %s FROM w WHERE c0 < %u) ",
                   literals[random_pick(g, 14)], one_in(g, 2) ? " ALL" : "", 1 + random_pick(g, 3),
                   one_in(g, 2) ? "c1" : "c0 || 'x'", 1 + random_pick(g, 40));
        if (one_in(g, 2)) {
            put(g, "SELECT a0.* FROM w a0 LEFT JOIN w a1 ON a0.c0 = a1.c0 + 1");
            return;
        }
    } else if (depth == 0 && one_in(g, 12)) {
        put(g, one_in(g, 2) ? "WITH v AS MATERIALIZED (" : "WITH v AS (");
        query(g, 1, 2);
        put(g, ") SELECT * FROM v JOIN v u ");
        put(g, one_in(g, 2) ? "ON 1" : "ON 1=1 LIMIT 3");
        return;
    }
    core(g, depth, columns);
    for (uint32_t i = 0; i < 2 && one_in(g, 8); i++) {
        put(g, sets[random_pick(g, COUNT(sets))]);
        core(g, depth, one_in(g, 30) ? columns + 1 : columns);
    }
    if (one_in(g, 3)) {
        uint32_t scope = g->scope;
        if (one_in(g, 3))
            order_by(g, depth + 1);
        else
            buf_printf(&g->out, " ORDER BY %u %s, %u", 1 + random_pick(g, most), one_in(g, 2) ? "DESC" : "", 1 + random_pick(g, most));
        g->scope = scope;
    }
    if (one_in(g, 5))
        limit(g);
}

const char *random_query(struct random_sql *g)
{
    start(g);
    query(g, 0, one_in(g, 6) ? 0 : 1 + random_pick(g, 4));
    return done(g);
}

const char *random_condition(struct random_sql *g, uint32_t table)
{
    static const char *const ops[] = {"=", "<", "<=", ">", ">=", "IS", "<>"};
    const struct random_table *t = &g->tables[table];
    start(g);
    g->pure = true;
    g->scope = 1;
    g->in[0] = table;
    uint32_t n = 1 + random_pick(g, 3);
    for (uint32_t i = 0; i < n; i++) {
        put(g, i > 0 ? " AND " : "");
        uint32_t c = random_pick(g, t->column_count);
        if (one_in(g, 4)) {
            expr(g, 2);
        } else if (one_in(g, 4)) {
            buf_printf(&g->out, "c%u IN (", c);
            literal(g);
            put(g, ", ");
            literal(g);
            put(g, ")");
        } else {
            buf_printf(&g->out, "c%u %s ", c, ops[random_pick(g, COUNT(ops))]);
            literal(g);
        }
    }
    g->pure = false;
    return done(g);
}

/* ---- schema ---- */

/* A value that a column of this type takes, nearly always. */
static void fitting(struct random_sql *g, const char *type)
{
    static const char *const texts[] = {"'a'", "'A'", "'b'", "'B'", "''", "'straße'", "'STRASSE'", "'x%'", "'%_'"};
    uint32_t n = random_pick(g, 60);
    if (one_in(g, 40))
        literal(g);
    else if (one_in(g, 12))
        put(g, "NULL");
    else if (strncmp(type, "TEXT", 4) == 0 && one_in(g, 2))
        put(g, texts[random_pick(g, COUNT(texts))]);
    else if (strcmp(type, "BLOB") == 0)
        buf_printf(&g->out, "x'%02x'", n);
    else if (strcmp(type, "BOOLEAN") == 0)
        buf_printf(&g->out, "%u", n & 1);
    else if (strcmp(type, "DATE") == 0)
        buf_printf(&g->out, "'2026-%02u-%02u'", 1 + n % 12, 1 + n % 28);
    else if (strcmp(type, "TIMESTAMP") == 0)
        buf_printf(&g->out, "'2026-01-01 10:00:%02u'", n);
    else if (strcmp(type, "TIME") == 0)
        buf_printf(&g->out, "'10:%02u:00'", n);
    else if (strcmp(type, "UUID") == 0)
        buf_printf(&g->out, "'00112233-4455-6677-8899-aabbccddee%02u'", n);
    else if (strcmp(type, "REAL") == 0)
        buf_printf(&g->out, "%u.%u", n, n % 4);
    else if (type[0] == '\0' && one_in(g, 2))
        literal(g);
    else
        buf_printf(&g->out, type[0] == 'T' ? "'%u'" : "%u", n);
}

static void column_def(struct random_sql *g, struct random_table *t, uint32_t c)
{
    static const char *const kinds[] = {" COUNTER", " MAXIMUM", " MULTIVALUE", " SET"};
    t->types[c] = types[random_pick(g, COUNT(types))];
    t->indexed[c] = false;
    buf_printf(&g->out, "c%u %s", c, t->types[c]);
    bool sums = strcmp(t->types[c], "INTEGER") == 0 || strcmp(t->types[c], "DECIMAL(10,2)") == 0;
    if (c >= t->key_count && sums && one_in(g, 4)) {
        put(g, " COUNTER");
        return;
    }
    if (c > 1 && c >= t->key_count && one_in(g, 15)) {
        put(g, one_in(g, 2) ? " AS (c0)" : " AS (nullif(c1, c0)) STORED");
        return;
    }
    if (one_in(g, 100))
        put(g, kinds[random_pick(g, COUNT(kinds))]);
    if (one_in(g, 8))
        put(g, " NOT NULL");
    if (one_in(g, 5)) {
        put(g, " DEFAULT (");
        fitting(g, t->types[c]);
        put(g, ")");
    }
    if (one_in(g, 12)) {
        put(g, " UNIQUE");
        t->indexed[c] = true;
    }
    if (one_in(g, 12)) {
        buf_printf(&g->out, " CHECK (c%u ", c);
        put(g, one_in(g, 2) ? ">= 0 OR 1)" : "IS NOT 77)");
    }
}

const char *random_create(struct random_sql *g, uint32_t table)
{
    struct random_table *t = &g->tables[table];
    start(g);
    t->column_count = 2 + random_pick(g, RANDOM_COLUMNS - 2);
    t->key_count = random_pick(g, 4);
    if (t->key_count > t->column_count)
        t->key_count = t->column_count;
    for (uint32_t c = 0; c < RANDOM_COLUMNS; c++)
        t->types[c] = "";
    buf_printf(&g->out, "CREATE TABLE t%u(", table);
    for (uint32_t c = 0; c < t->column_count; c++) {
        put(g, c > 0 ? ", " : "");
        if (c == 0 && t->key_count == 1 && one_in(g, 2)) {
            put(g, "c0 INTEGER PRIMARY KEY");
            t->types[0] = "INTEGER";
            t->key_count = 0;
        } else {
            column_def(g, t, c);
        }
    }
    t->indexed[0] = true;
    if (t->key_count > 0) {
        put(g, ", PRIMARY KEY (");
        for (uint32_t c = 0; c < t->key_count; c++)
            buf_printf(&g->out, "%sc%u%s", c > 0 ? ", " : "", c, one_in(g, 5) ? " DESC" : "");
        put(g, ")");
    }
    if (one_in(g, 4))
        buf_printf(&g->out, ", UNIQUE (c1, c0)");
    put(g, one_in(g, 50) ? ") UPDATES WIN" : ")");
    return done(g);
}

static const char *const of_rows[] = {"c0 > 1", "c0 IS NOT NULL", "c1 <> 'x' AND c0 < 50", "c1 IS NULL OR c0 = 3", "typeof(c1) = 'text'"};
static const char *const of_values[] = {"lower(c1)", "c0 + 1", "abs(c0) % 7", "c1 || c0", "coalesce(c1, c0)", "length(c1)"};

static void create_index(struct random_sql *g, uint32_t table)
{
    struct random_table *t = &g->tables[table];
    uint32_t n = 1 + random_pick(g, 3);
    buf_printf(&g->out, "CREATE %sINDEX i%u ON t%u(", one_in(g, 8) ? "UNIQUE " : "", g->next_index++ % 12, table);
    for (uint32_t i = 0; i < n; i++) {
        if (one_in(g, 6)) {
            buf_printf(&g->out, "%s%s%s", i > 0 ? ", " : "", of_values[random_pick(g, COUNT(of_values))], one_in(g, 3) ? " DESC" : "");
            continue;
        }
        uint32_t c = random_pick(g, t->column_count);
        t->indexed[c] |= i == 0;
        buf_printf(&g->out, "%sc%u%s%s", i > 0 ? ", " : "", c, one_in(g, 6) ? " COLLATE NOCASE" : "",
                   one_in(g, 3) ? " DESC" : "");
    }
    put(g, ")");
    if (one_in(g, 4))
        buf_printf(&g->out, " WHERE %s", of_rows[random_pick(g, COUNT(of_rows))]);
}

const char *random_ddl(struct random_sql *g)
{
    uint32_t table = random_pick(g, RANDOM_TABLES);
    struct random_table *t = &g->tables[table];
    uint32_t kind = random_pick(g, 12);
    start(g);
    if (kind < 5) {
        create_index(g, table);
    } else if (kind < 7) {
        buf_printf(&g->out, "DROP INDEX %si%u", one_in(g, 2) ? "IF EXISTS " : "", random_pick(g, 12));
    } else if (kind == 7 && t->column_count < RANDOM_COLUMNS) {
        buf_printf(&g->out, "ALTER TABLE t%u ADD COLUMN ", table);
        column_def(g, t, t->column_count);
        t->column_count++;
    } else if (kind == 8) {
        static const char *const changes[] = {"DROP COLUMN c1", "RENAME TO t9", "RENAME COLUMN c1 TO c5",
                                              "ALTER COLUMN c1 TYPE INTEGER", "ALTER COLUMN c1 SET NOT NULL",
                                              "ALTER COLUMN c1 SET DEFAULT 5", "ADD CHECK (c1 <> 88)",
                                              "ADD UNIQUE (c1)", "UPDATES WIN", "ALTER COLUMN c1 SET COUNTER"};
        buf_printf(&g->out, "ALTER TABLE t%u %s", table, changes[random_pick(g, COUNT(changes))]);
    } else if (kind == 9) {
        buf_printf(&g->out, "CREATE TABLE IF NOT EXISTS t%u AS SELECT * FROM t%u", table, random_pick(g, RANDOM_TABLES));
    } else if (kind == 10) {
        buf_printf(&g->out, "DROP TABLE %st%u", one_in(g, 2) ? "IF EXISTS " : "", table);
    } else {
        return random_create(g, table);
    }
    return done(g);
}

/* ---- writes ---- */

static void assigns(struct random_sql *g, const struct random_table *t)
{
    uint32_t n = 1 + random_pick(g, 2);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t c = random_pick(g, t->column_count);
        buf_printf(&g->out, "%sc%u = ", i > 0 ? ", " : "", c);
        if (one_in(g, 4))
            buf_printf(&g->out, "c%u + %u", c, random_pick(g, 5));
        else if (one_in(g, 8))
            put(g, "DEFAULT");
        else if (!one_in(g, 3))
            fitting(g, t->types[c]);
        else
            expr(g, 2);
    }
}

static void returning(struct random_sql *g)
{
    if (one_in(g, 5)) {
        put(g, " RETURNING *, ");
        expr(g, 2);
    }
}

static void insert(struct random_sql *g, uint32_t table)
{
    static const char *const heads[] = {"INSERT INTO", "INSERT INTO", "INSERT OR IGNORE INTO", "INSERT OR REPLACE INTO",
                                        "REPLACE INTO"};
    const struct random_table *t = &g->tables[table];
    bool few = one_in(g, 4);
    uint32_t columns = few ? 1 + random_pick(g, t->column_count) : t->column_count;
    buf_printf(&g->out, "%s t%u", heads[random_pick(g, COUNT(heads))], table);
    for (uint32_t c = 0; c < columns && few; c++)
        buf_printf(&g->out, "%sc%u%s", c > 0 ? ", " : "(", c, c + 1 == columns ? ")" : "");
    if (one_in(g, 8)) {
        put(g, " ");
        query(g, 1, columns);
        put(g, one_in(g, 2) ? " LIMIT 20" : "");
    } else if (one_in(g, 20)) {
        put(g, " DEFAULT VALUES");
    } else {
        uint32_t n = 1 + random_pick(g, 6);
        for (uint32_t i = 0; i < n; i++) {
            put(g, i > 0 ? ", (" : " VALUES (");
            for (uint32_t c = 0; c < columns; c++) {
                put(g, c > 0 ? ", " : "");
                if (one_in(g, 20))
                    put(g, "DEFAULT");
                else
                    fitting(g, t->types[c]);
            }
            put(g, ")");
        }
    }
    if (one_in(g, 5)) {
        put(g, one_in(g, 2) ? " ON CONFLICT DO NOTHING" : one_in(g, 2) ? " ON CONFLICT (c0) DO UPDATE SET "
                                                                       : " ON DUPLICATE KEY UPDATE ");
        if (g->out.data[g->out.len - 1] == ' ')
            assigns(g, t);
    }
    returning(g);
}

const char *random_write(struct random_sql *g)
{
    uint32_t table = random_pick(g, RANDOM_TABLES), kind = random_pick(g, 12);
    const struct random_table *t = &g->tables[table];
    start(g);
    if (t->column_count == 0)
        return random_create(g, table);
    if (kind < 7) {
        insert(g, table);
        return done(g);
    }
    g->scope = 1;
    g->in[0] = table;
    if (kind < 10) {
        buf_printf(&g->out, "UPDATE t%u a0 SET ", table);
        assigns(g, t);
        if (one_in(g, 6))
            buf_printf(&g->out, " FROM t%u a1", random_pick(g, RANDOM_TABLES));
    } else {
        buf_printf(&g->out, "DELETE FROM t%u a0", table);
    }
    if (!one_in(g, 20)) {
        buf_printf(&g->out, " WHERE ");
        if (one_in(g, 2))
            buf_printf(&g->out, "a0.c%u %s %u", random_pick(g, t->column_count), one_in(g, 2) ? "=" : "<", random_pick(g, 20));
        else
            expr(g, 1);
    }
    if (one_in(g, 10))
        put(g, " ORDER BY a0.c1 DESC LIMIT 3");
    returning(g);
    return done(g);
}

const char *random_statement(struct random_sql *g)
{
    static const char *const others[] = {
        "BEGIN", "BEGIN", "COMMIT", "COMMIT", "ROLLBACK", "SAVEPOINT s", "SAVEPOINT s2", "ROLLBACK TO s", "RELEASE s",
        "ROLLBACK TO s2", "RELEASE s2", "SHOW TABLES", "SHOW CREATE TABLE t1", "DESCRIBE t0", "PRAGMA table_info(t0)",
        "SELECT * FROM quartet_quarantine", "SELECT * FROM quartet_conflicts", "SELECT * FROM quartet_tables", "CHECKPOINT",
        "ANALYZE", "TRUNCATE TABLE t3", "SET memory_limit = 8", "SHOW memory_limit", "VACUUM", "SELECT * FROM t0 AS OF '2026-01-01'",
        "SELECT * FROM t0 AS OF STAMP 5", "BACKTRACK TABLE t0 TO '2026-01-01'", "CREATE VIEW v0 AS SELECT * FROM t0",
        "SELECT * FROM v0", "DROP VIEW v0", "SHOW INDEXES FROM t0", "INSERT INTO quartet_tables VALUES (1)", ";", "SELECT", "\xff",
    };
    uint32_t kind = random_pick(g, 100);
    if (kind < 45)
        return random_query(g);
    if (kind < 80)
        return random_write(g);
    if (kind < 87)
        return random_ddl(g);
    if (kind < 90) {
        char copy[2000];
        const char *sql = random_query(g);
        size_t n = strlen(sql);
        if (n >= sizeof copy)
            return sql;
        memcpy(copy, sql, n + 1);
        start(g);
        buf_printf(&g->out, "EXPLAIN %s", copy);
        return done(g);
    }
    return others[random_pick(g, COUNT(others))];
}

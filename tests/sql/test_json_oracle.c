/* test_json_oracle.c - JSON functions on Quartet and on SQLite: written ones, then random documents, paths and changes from a seed.
 *
 * QUARTET_SEED= replays; QUARTET_ORACLE_QUERIES= sets how many random queries there are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/prng.h"
#include "slt.h"

#define QUERIES_DEFAULT 4000u

static const char *const written[] = {
    "SELECT json_set('{\"a\":1}', '$.b.c', 2), json_set('{\"a\":1}', '$.b[0]', 2), json_set('{\"a\":1}', '$.b[1]', 2)",
    "SELECT json_set('[1]', '$[3]', 2), json_set('[1]', '$[#]', 2), json_set('[1]', '$[#-1]', 2), json_set('[1]', '$[#-2]', 2)",
    "SELECT json_insert('[1]', '$[#-2].x', 2), json_insert('{}', '$', 5), json_set('{}', NULL, 5)",
    "SELECT json_remove('{\"a\":1}', '$'), json_remove('{\"a\":1}', NULL), json_remove('{\"a\":1,\"b\":2}', '$.a', '$.b'), json_remove('[1, 2]')",
    "SELECT json_set('{}', '$.a')",
    "SELECT json_set('{}', 'a', 1)",
    "SELECT json_set('{', '$.a', 1)",
    "SELECT json_set('{}', '$.a', x'00')",
    "SELECT json_set(NULL, '$.a', 1), json_set('{\"a\":1}'), json_patch(NULL, '{}'), json_patch('{}', NULL)",
    "SELECT json_patch('{\"a\":1,\"b\":{\"c\":1}}', '{\"b\":{\"c\":null,\"d\":2},\"e\":{\"f\":null}}'), json_patch('5', '{\"a\":{\"b\":null}}')",
    "SELECT json_set('5', '$.a', 1), json_set('{\"a\":5}', '$.a.b', 1), json_replace('{\"a\":5}', '$.b', 1, '$.a', json('[1, 2]'))",
    "SELECT json_set('{\"a\":5}', '$.\"x y\".z', 't'), json_set('{\"a\":{\"b\":1}}', '$.a.c[#].d', 1), json_set('{\"a\":{}}', '$.a.c[0].d[0]', 1)",
    "SELECT json_extract(' {\"a\" : [ 1, \"x y\" ] }', '$.a'), ' [ 1 ] ' -> 0, ' [ [1, 2] ] ' ->> 0",
    "SELECT key, value, type, atom, id, parent, fullkey, path FROM json_each('{\"a\":1,\"b c\":[2,{\"x\":null}],\"d\":\"t\"}', '$.\"b c\"')",
    "SELECT * FROM json_each(NULL)",
    "SELECT * FROM json_each('[1', '$')",
    "SELECT * FROM json_each('[1]', 'x')",
    "SELECT * FROM json_each('[1]', NULL)",
    "SELECT a.key, b.value FROM json_each('{\"x\":[1,2],\"y\":[3]}') a, json_each(a.value) b",
    "SELECT a.column1, j.key, j.value FROM (VALUES ('[1,2]'), ('{\"a\":3}'), ('[]')) AS a LEFT JOIN json_each(a.column1) j ON 1 ORDER BY 1, 2",
    "SELECT (SELECT sum(j.value) FROM json_each(d.column1) j) FROM (VALUES ('[1,2]'), ('[5]')) AS d",
    "SELECT fullkey FROM json_each('{\"a1\":1,\"1a\":2,\"_b\":3,\"a_b\":4,\"\":5,\"\xc3\xa9\":6}')",
    "SELECT typeof(key), typeof(value), typeof(atom), json_each.key FROM json_each('[true,1.5,\"x\"]') WHERE json_each.key > 0",
    "WITH RECURSIVE d(n, doc) AS (VALUES (0, '1') UNION ALL SELECT n + 1, json_array(json(doc)) FROM d WHERE n < 60) "
    "SELECT count(*), max(id), max(parent), max(length(fullkey)) FROM d, json_tree(d.doc)",
    "SELECT count(*), sum(id), max(value) FROM json_tree((SELECT json_group_array(x) FROM (WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c "
    "WHERE x < 5000) SELECT x FROM c)))",
    "SELECT json_group_array(json(value)) FROM json_each('[[1],{\"a\":2}]')",
};

struct state {
    void *q, *s;
    uint64_t failed, both_failed;
};

static void both(struct state *st, const char *sql)
{
    struct slt_values q = {0}, s = {0};
    const char *qm, *sm, *types = "AAAAAAAAAAAAAAAA";
    size_t qc, sc;
    bool qok = slt_quartet.query(st->q, sql, types, &q, &qc, &qm), sok = slt_sqlite.query(st->s, sql, types, &s, &sc, &sm);
    bool same = qok == sok && (!qok || (qc == sc && q.count == s.count));
    for (size_t i = 0; same && qok && i < q.count; i++)
        same = strcmp(q.item[i], s.item[i]) == 0;
    st->both_failed += !qok && !sok;
    if (!same && st->failed++ < 10) {
        printf("%s\n  quartet: %zu values %s\n  sqlite:  %zu values %s\n", sql, q.count, qok ? "" : qm, s.count, sok ? "" : sm);
        for (size_t i = 0; i < q.count && i < s.count; i++)
            if (strcmp(q.item[i], s.item[i]) != 0) {
                printf("  value %zu: %s, SQLite has %s\n", i + 1, q.item[i], s.item[i]);
                break;
            }
    }
    slt_clear(&q);
    slt_clear(&s);
    free(q.item);
    free(s.item);
}

static const char *const names[] = {"a", "b", "c", "a b", "x1", "\\u00e9", "q\\\"q", ""};

static uint32_t pick(struct prng *r, uint32_t n)
{
    return (uint32_t)prng_below(r, n);
}

static void blank(struct prng *r, struct buf *b)
{
    static const char *const blanks[] = {" ", "\n", "\t ", "  "};
    if (pick(r, 8) == 0)
        buf_str(b, blanks[pick(r, 4)]);
}

static void document(struct prng *r, struct buf *b, int depth)
{
    static const char *const scalars[] = {"1", "-7", "2.5", "true", "false", "null", "\"t\"", "\"a b\"", "\"\\n\\\"\"", "\"\\u0041\"", "0", "\"[1]\""};
    uint32_t kind = depth <= 0 ? 2 : pick(r, 4), n = pick(r, 4);
    blank(r, b);
    if (kind >= 2) {
        buf_str(b, scalars[pick(r, 12)]);
        return;
    }
    bool object = kind == 0;
    uint32_t first = pick(r, 8);
    buf_u8(b, object ? '{' : '[');
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0)
            buf_u8(b, ',');
        blank(r, b);
        if (object)
            buf_printf(b, "\"%s\"", names[(first + i) % 8]);
        blank(r, b);
        if (object)
            buf_u8(b, ':');
        document(r, b, depth - 1);
        blank(r, b);
    }
    buf_u8(b, object ? '}' : ']');
}

/* Only names without escapes: SQLite compares others as they are written. */
static void path(struct prng *r, struct buf *b)
{
    static const char *const steps[] = {".a", ".b", ".c", ".x1", ".\"a b\"", ".\"a\"", "[0]", "[1]", "[2]", "[#-1]", "[#-2]", "[#]"};
    uint32_t n = pick(r, 4);
    buf_u8(b, '$');
    if (n == 0 && pick(r, 8) == 0)
        buf_str(b, pick(r, 2) == 0 ? "[" : "x"); /* behind steps that lead nowhere SQLite does not see it */
    for (; n > 0; n--)
        buf_str(b, steps[pick(r, 12)]);
}

static void random_query(struct prng *r, struct buf *b)
{
    static const char *const functions[] = {"json_set", "json_insert", "json_replace", "json_remove", "json_patch", "json_extract", "json_type",
                                            "json_array_length", "json_each", "json_tree", "json", "json_valid"};
    uint32_t f = pick(r, 12);
    buf_clear(b);
    bool rows = f == 8 || f == 9;
    buf_printf(b, rows ? "SELECT key, value, type, atom, id, parent, fullkey, path FROM %s('" : "SELECT %s('", functions[f]);
    document(r, b, 3);
    buf_u8(b, '\'');
    if (f < 3) {
        buf_str(b, ", '"); /* one change: of several SQLite makes each in the first document, here each sees what the last one left */
        path(r, b);
        bool whole = b->data[b->len - 1] == '$'; /* SQLite gives a text there as if it were JSON */
        buf_str(b, whole || pick(r, 2) == 0 ? "', json('" : "', ('");
        document(r, b, 1);
        buf_str(b, "')");
    } else if (f == 4) {
        buf_str(b, ", '");
        document(r, b, 3);
        buf_u8(b, '\'');
    } else if (f == 3 || f == 5 || ((f == 6 || f == 7 || f == 8) && pick(r, 2) == 0)) {
        for (uint32_t n = 1 + (f < 6 ? pick(r, 2) : 0); n > 0; n--) {
            buf_str(b, ", '");
            path(r, b);
            buf_u8(b, '\'');
        }
    }
    buf_u8(b, ')');
    buf_u8(b, 0);
}

int main(void)
{
    struct state st = {0};
    const char *seed_text = getenv("QUARTET_SEED"), *count_text = getenv("QUARTET_ORACLE_QUERIES");
    uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 0) : 20261123;
    uint32_t count = count_text != NULL ? (uint32_t)strtoul(count_text, NULL, 10) : QUERIES_DEFAULT;
    struct prng r;
    struct buf b = {.limit_bytes = 1 << 20};
    if (!slt_quartet.open(&st.q) || !slt_sqlite.open(&st.s)) {
        printf("cannot open the databases\n");
        return 1;
    }
    for (size_t i = 0; i < sizeof written / sizeof written[0]; i++)
        both(&st, written[i]);
    prng_seed(&r, seed);
    for (uint32_t i = 0; i < count && !b.failed; i++) {
        random_query(&r, &b);
        both(&st, (const char *)b.data);
    }
    printf("JSON: %zu written and %u random statements of seed %llu compared, %llu differ, %llu failed on both\n", sizeof written / sizeof written[0], count,
           (unsigned long long)seed, (unsigned long long)st.failed, (unsigned long long)st.both_failed);
    bool ok = st.failed == 0 && !b.failed;
    buf_deinit(&b);
    slt_quartet.close(st.q);
    slt_sqlite.close(st.s);
    return ok ? 0 : 1;
}

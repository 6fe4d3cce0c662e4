/* keyword.c - the words that mean something to the grammar.
 * Why a table per first letter: a lookup compares lengths first and seldom more than one word,
 * there is no hash to be kept in step by a generator, and a new keyword is one line. */
#include "parser/lex.h"

#include <string.h>

#include "sql.h"

#define KEYWORD_BYTES_MAX 17u

struct keyword {
    char text[KEYWORD_BYTES_MAX + 1];
    uint8_t n;
    short code;
};

#define K(word, code)                                                                              \
    {                                                                                              \
        word, sizeof word - 1, TK_##code                                                           \
    }
static const struct keyword keywords_a[] = {
    K("ABORT", ABORT),
    K("ACTION", ACTION),
    K("ADD", ADD),
    K("AFTER", AFTER),
    K("ALL", ALL),
    K("ALTER", ALTER),
    K("ALWAYS", ALWAYS),
    K("ANALYZE", ANALYZE),
    K("AND", AND),
    K("ANY", ANY),
    K("AS", AS),
    K("ASC", ASC),
    K("ATTACH", ATTACH),
    K("AUTOINCREMENT", AUTOINCR),
    K("AUTO_INCREMENT", AUTOINCR),
};
static const struct keyword keywords_b[] = {
    K("BACKTRACK", BACKTRACK), K("BACKUP", BACKUP), K("BEFORE", BEFORE), K("BEGIN", BEGIN),
    K("BETWEEN", BETWEEN),     K("BOTH", BOTH),     K("BY", BY),
};
static const struct keyword keywords_c[] = {
    K("CASCADE", CASCADE),
    K("CASE", CASE),
    K("CAST", CAST),
    K("CHARACTER", CHARACTER),
    K("CHARSET", CHARSET),
    K("CHECK", CHECK),
    K("COLLATE", COLLATE),
    K("COLUMN", COLUMN),
    K("COMMENT", COMMENT),
    K("COMMIT", COMMIT),
    K("CONCURRENTLY", CONCURRENTLY),
    K("CONFLICT", CONFLICT),
    K("CONSTRAINT", CONSTRAINT),
    K("COPY", COPY),
    K("COUNTER", COUNTER),
    K("CREATE", CREATE),
    K("CROSS", CROSS),
    K("CUBE", CUBE),
    K("CURRENT", CURRENT),
    K("CURRENT_DATE", CTIME),
    K("CURRENT_TIME", CTIME),
    K("CURRENT_TIMESTAMP", CTIME),
};
static const struct keyword keywords_d[] = {
    K("DATA", DATA),         K("DATABASE", DATABASE),
    K("DATE", DATE),         K("DATETIME", DATE),
    K("DEFAULT", DEFAULT),   K("DEFERRABLE", DEFERRABLE),
    K("DEFERRED", DEFERRED), K("DELETE", DELETE),
    K("DESC", DESC),         K("DESCRIBE", DESCRIBE),
    K("DETACH", DETACH),     K("DISTINCT", DISTINCT),
    K("DIV", DIV),           K("DO", DO),
    K("DROP", DROP),         K("DUPLICATE", DUPLICATE),
};
static const struct keyword keywords_e[] = {
    K("EACH", EACH),           K("ELSE", ELSE),     K("END", END),
    K("ESCAPE", ESCAPE),       K("EXCEPT", EXCEPT), K("EXCLUDE", EXCLUDE),
    K("EXCLUSIVE", EXCLUSIVE), K("EXISTS", EXISTS), K("EXPLAIN", EXPLAIN),
};
static const struct keyword keywords_f[] = {
    K("FAIL", FAIL),   K("FALSE", FALSE),         K("FETCH", FETCH), K("FILTER", FILTER),
    K("FIRST", FIRST), K("FOLLOWING", FOLLOWING), K("FOR", FOR),     K("FOREIGN", FOREIGN),
    K("FROM", FROM),   K("FULL", FULL),
};
static const struct keyword keywords_g[] = {
    K("GENERATED", GENERATED), K("GLOB", LIKE_KW),      K("GLOBAL", GLOBAL),
    K("GROUP", GROUP),         K("GROUPING", GROUPING), K("GROUPS", GROUPS),
};
static const struct keyword keywords_h[] = {
    K("HAVING", HAVING),
};
static const struct keyword keywords_i[] = {
    K("IDENTITY", IDENTITY),   K("IF", IF),
    K("IGNORE", IGNORE),       K("ILIKE", LIKE_KW),
    K("IMMEDIATE", IMMEDIATE), K("IN", IN),
    K("INDEX", INDEX),         K("INDEXED", INDEXED),
    K("INITIALLY", INITIALLY), K("INNER", INNER),
    K("INSERT", INSERT),       K("INSTEAD", INSTEAD),
    K("INTERSECT", INTERSECT), K("INTERVAL", INTERVAL),
    K("INTO", INTO),           K("IS", IS),
    K("ISNULL", ISNULL),
};
static const struct keyword keywords_j[] = {
    K("JOIN", JOIN),
    K("JSON", DATE),
};
static const struct keyword keywords_k[] = {
    K("KEEP", KEEP),
    K("KEY", KEY),
};
static const struct keyword keywords_l[] = {
    K("LAST", LAST),   K("LATERAL", LATERAL), K("LEADING", LEADING),
    K("LEFT", LEFT),   K("LIKE", LIKE),       K("LIMIT", LIMIT),
    K("LOCAL", LOCAL), K("LOCALTIME", CTIME), K("LOCALTIMESTAMP", CTIME),
    K("LOSE", LOSE),   K("LOSER", LOSER),     K("LWW", LWW),
};
static const struct keyword keywords_m[] = {
    K("MATCH", MATCH),           K("MATERIALIZED", MATERIALIZED), K("MAXIMUM", MAXIMUM),
    K("MERGE", MERGE),           K("MINIMUM", MINIMUM),           K("MOD", MOD),
    K("MULTIVALUE", MULTIVALUE),
};
static const struct keyword keywords_n[] = {
    K("NAMES", NAMES),     K("NATURAL", NATURAL), K("NEXT", NEXT), K("NO", NO),       K("NOT", NOT),
    K("NOTHING", NOTHING), K("NOTNULL", NOTNULL), K("NULL", NULL), K("NULLS", NULLS),
};
static const struct keyword keywords_o[] = {
    K("OF", OF),       K("OFFSET", OFFSET), K("ON", ON),       K("ONLY", ONLY), K("OR", OR),
    K("ORDER", ORDER), K("OTHERS", OTHERS), K("OUTER", OUTER), K("OVER", OVER),
};
static const struct keyword keywords_p[] = {
    K("PARENT", PARENT), K("PARTITION", PARTITION), K("PLAN", PLAN),
    K("PRAGMA", PRAGMA), K("PRECEDING", PRECEDING), K("PRIMARY", PRIMARY),
};
static const struct keyword keywords_q[] = {
    K("QUALIFY", QUALIFY),
    K("QUERY", QUERY),
};
static const struct keyword keywords_r[] = {
    K("RAISE", RAISE),
    K("RANGE", RANGE),
    K("READ", READ),
    K("RECURSIVE", RECURSIVE),
    K("REFERENCES", REFERENCES),
    K("REGEXP", LIKE_KW),
    K("REINDEX", REINDEX),
    K("RELEASE", RELEASE),
    K("RENAME", RENAME),
    K("REPLACE", REPLACE),
    K("RESOLVE", RESOLVE),
    K("RESPECT", RESPECT),
    K("RESTRICT", RESTRICT),
    K("RETURNING", RETURNING),
    K("RIGHT", RIGHT),
    K("RLIKE", LIKE_KW),
    K("ROLLBACK", ROLLBACK),
    K("ROLLUP", ROLLUP),
    K("ROW", ROW),
    K("ROWS", ROWS),
};
static const struct keyword keywords_s[] = {
    K("SAVEPOINT", SAVEPOINT),
    K("SCHEMA", SCHEMA),
    K("SELECT", SELECT),
    K("SESSION", SESSION),
    K("SET", SET),
    K("SETS", SETS),
    K("SHARE", SHARE),
    K("SHOW", SHOW),
    K("SIMILAR", SIMILAR),
    K("SOME", SOME),
    K("STAMP", STAMP),
    K("START", START),
    K("STDIN", STDIN),
    K("STDOUT", STDOUT),
    K("STORED", STORED),
    K("STRICT", STRICT),
    K("SYMMETRIC", SYMMETRIC),
};
static const struct keyword keywords_t[] = {
    K("TABLE", TABLE),
    K("TEMP", TEMP),
    K("TEMPORARY", TEMP),
    K("THEN", THEN),
    K("TIES", TIES),
    K("TIME", TIME),
    K("TIMESTAMP", DATE),
    K("TO", TO),
    K("TOGETHER", TOGETHER),
    K("TRAILING", TRAILING),
    K("TRANSACTION", TRANSACTION),
    K("TRIGGER", TRIGGER),
    K("TRUE", TRUE),
    K("TRUNCATE", TRUNCATE),
    K("TRY_CAST", TRYCAST),
    K("TYPE", TYPE),
};
static const struct keyword keywords_u[] = {
    K("UNBOUNDED", UNBOUNDED), K("UNION", UNION),     K("UNIQUE", UNIQUE), K("UNSIGNED", UNSIGNED),
    K("UPDATE", UPDATE),       K("UPDATES", UPDATES), K("USE", USE),       K("USING", USING),
    K("UUID", DATE),
};
static const struct keyword keywords_v[] = {
    K("VACUUM", VACUUM),
    K("VALUES", VALUES),
    K("VIEW", VIEW),
    K("VIRTUAL", VIRTUAL),
};
static const struct keyword keywords_w[] = {
    K("WHEN", WHEN),     K("WHERE", WHERE), K("WIN", WIN),       K("WINDOW", WINDOW),
    K("WINNER", WINNER), K("WITH", WITH),   K("WITHIN", WITHIN), K("WITHOUT", WITHOUT),
    K("WORK", WORK),     K("WRITE", WRITE),
};
static const struct keyword keywords_x[] = {
    K("XOR", XOR),
};
static const struct keyword keywords_z[] = {
    K("ZONE", ZONE),
};

#define L(letter)                                                                                  \
    {                                                                                              \
        keywords_##letter, sizeof keywords_##letter / sizeof keywords_##letter[0]                  \
    }
static const struct {
    const struct keyword *words;
    size_t count;
} letters[26] = {
    L(a), L(b), L(c), L(d), L(e), L(f), L(g), L(h), L(i), L(j), L(k), L(l),      L(m),
    L(n), L(o), L(p), L(q), L(r), L(s), L(t), L(u), L(v), L(w), L(x), {NULL, 0}, L(z),
};

int keyword_find(const char *p, size_t n)
{
    unsigned letter = ((unsigned)(unsigned char)p[0] | 0x20u) - 'a';
    if (n < 2 || n > KEYWORD_BYTES_MAX || letter >= 26)
        return TK_ID;
    char upper[KEYWORD_BYTES_MAX];
    bool folded = false;
    for (size_t i = 0; i < letters[letter].count; i++) {
        const struct keyword *k = &letters[letter].words[i];
        if (k->n != n)
            continue;
        if (!folded) {
            for (size_t j = 0; j < n; j++)
                upper[j] = (char)(p[j] >= 'a' && p[j] <= 'z' ? p[j] - 32 : p[j]);
            folded = true;
        }
        if (k->text[1] == upper[1] && k->text[n - 1] == upper[n - 1] &&
            memcmp(k->text, upper, n) == 0)
            return k->code;
    }
    return TK_ID;
}

bool keyword_is_known(const char *p, size_t n)
{
    return n > 0 && keyword_find(p, n) != TK_ID;
}

/* Codes that the lexer makes of a keyword by looking at its neighbours. */
static int plain_code(int code)
{
    switch (code) {
    case TK_OFFSETN:
        return TK_OFFSET;
    case TK_FORLOCK:
        return TK_FOR;
    case TK_ONCONF:
        return TK_ON;
    case TK_ONTIME:
        return TK_ON;
    case TK_WITHROLLUP:
        return TK_WITH;
    case TK_COMMENTS:
        return TK_COMMENT;
    case TK_MERGETOG:
        return TK_MERGE;
    case TK_INTERVALU:
        return TK_INTERVAL;
    default:
        return code;
    }
}

const char *keyword_text(int code)
{
    code = plain_code(code);
    for (size_t letter = 0; letter < 26; letter++)
        for (size_t i = 0; i < letters[letter].count; i++)
            if (letters[letter].words[i].code == code)
                return letters[letter].words[i].text;
    return NULL;
}

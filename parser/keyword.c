/* keyword.c - the words that mean something to the grammar.
 * Why a table per first letter, the shortest first: a lookup compares lengths first and seldom more
 * than one word, ends at the first longer one, there is no hash to be kept in step by a generator,
 * and a new keyword is one entry. */
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
    K("AS", AS), K("AT", ATZONE), K("ADD", ADD), K("ALL", ALL), K("AND", AND), K("ANY", ANY), K("ASC", ASC),
    K("ABORT", ABORT), K("AFTER", AFTER), K("ALTER", ALTER), K("ACTION", ACTION),
    K("ALWAYS", ALWAYS), K("ATTACH", ATTACH), K("ANALYZE", ANALYZE), K("AUTOINCREMENT", AUTOINCR),
    K("AUTO_INCREMENT", AUTOINCR),
};
static const struct keyword keywords_b[] = {
    K("BY", BY), K("BOTH", BOTH), K("BEGIN", BEGIN), K("BACKUP", BACKUP), K("BEFORE", BEFORE),
    K("BETWEEN", BETWEEN), K("BACKTRACK", BACKTRACK),
};
static const struct keyword keywords_c[] = {
    K("CASE", CASE), K("CAST", CAST), K("COPY", COPY), K("CUBE", CUBE), K("CHECK", CHECK),
    K("CROSS", CROSS), K("COLUMN", COLUMN), K("COMMIT", COMMIT), K("CREATE", CREATE),
    K("CASCADE", CASCADE), K("CHARSET", CHARSET), K("COLLATE", COLLATE), K("COMMENT", COMMENT),
    K("COUNTER", COUNTER), K("CURRENT", CURRENT), K("CONFLICT", CONFLICT),
    K("CHARACTER", CHARACTER), K("CONSTRAINT", CONSTRAINT), K("CONCURRENTLY", CONCURRENTLY),
    K("CURRENT_DATE", CTIME), K("CURRENT_TIME", CTIME), K("CURRENT_TIMESTAMP", CTIME),
};
static const struct keyword keywords_d[] = {
    K("DO", DO), K("DIV", DIV), K("DATA", DATA), K("DATE", DATE), K("DESC", DESC),
    K("DROP", DROP), K("DELETE", DELETE), K("DETACH", DETACH), K("DEFAULT", DEFAULT),
    K("DATABASE", DATABASE), K("DATETIME", DATE), K("DEFERRED", DEFERRED),
    K("DESCRIBE", DESCRIBE), K("DISTINCT", DISTINCT), K("DUPLICATE", DUPLICATE),
    K("DEFERRABLE", DEFERRABLE),
};
static const struct keyword keywords_e[] = {
    K("END", END), K("EACH", EACH), K("ELSE", ELSE), K("ESCAPE", ESCAPE), K("EXCEPT", EXCEPT),
    K("EXISTS", EXISTS), K("EXCLUDE", EXCLUDE), K("EXPLAIN", EXPLAIN), K("EXCLUSIVE", EXCLUSIVE),
};
static const struct keyword keywords_f[] = {
    K("FOR", FOR), K("FAIL", FAIL), K("FROM", FROM), K("FULL", FULL), K("FALSE", FALSE),
    K("FETCH", FETCH), K("FIRST", FIRST), K("FILTER", FILTER), K("FOREIGN", FOREIGN),
    K("FOLLOWING", FOLLOWING),
};
static const struct keyword keywords_g[] = {
    K("GLOB", LIKE_KW), K("GROUP", GROUP), K("GLOBAL", GLOBAL), K("GROUPS", GROUPS),
    K("GROUPING", GROUPING), K("GENERATED", GENERATED),
};
static const struct keyword keywords_h[] = {
    K("HAVING", HAVING),
};
static const struct keyword keywords_i[] = {
    K("IF", IF), K("IN", IN), K("IS", IS), K("INTO", INTO), K("ILIKE", LIKE_KW),
    K("INDEX", INDEX), K("INNER", INNER), K("IGNORE", IGNORE), K("INSERT", INSERT),
    K("ISNULL", ISNULL), K("INDEXED", INDEXED), K("INSTEAD", INSTEAD), K("IDENTITY", IDENTITY),
    K("INTERVAL", INTERVAL), K("IMMEDIATE", IMMEDIATE), K("INITIALLY", INITIALLY),
    K("INTERSECT", INTERSECT),
};
static const struct keyword keywords_j[] = {
    K("JOIN", JOIN), K("JSON", DATE),
};
static const struct keyword keywords_k[] = {
    K("KEY", KEY), K("KEEP", KEEP),
};
static const struct keyword keywords_l[] = {
    K("LWW", LWW), K("LAST", LAST), K("LEFT", LEFT), K("LIKE", LIKE), K("LOSE", LOSE),
    K("LIMIT", LIMIT), K("LOCAL", LOCAL), K("LOSER", LOSER), K("LATERAL", LATERAL),
    K("LEADING", LEADING), K("LOCALTIME", CTIME), K("LOCALTIMESTAMP", CTIME),
};
static const struct keyword keywords_m[] = {
    K("MOD", MOD), K("MATCH", MATCH), K("MERGE", MERGE), K("MAXIMUM", MAXIMUM),
    K("MINIMUM", MINIMUM), K("MULTIVALUE", MULTIVALUE), K("MATERIALIZED", MATERIALIZED),
};
static const struct keyword keywords_n[] = {
    K("NO", NO), K("NOT", NOT), K("NEXT", NEXT), K("NULL", NULL), K("NAMES", NAMES),
    K("NULLS", NULLS), K("NATURAL", NATURAL), K("NOTHING", NOTHING), K("NOTNULL", NOTNULL),
};
static const struct keyword keywords_o[] = {
    K("OF", OF), K("ON", ON), K("OR", OR), K("ONLY", ONLY), K("OVER", OVER), K("ORDER", ORDER),
    K("OUTER", OUTER), K("OFFSET", OFFSET), K("OTHERS", OTHERS),
};
static const struct keyword keywords_p[] = {
    K("PLAN", PLAN), K("PARENT", PARENT), K("PRAGMA", PRAGMA), K("PRIMARY", PRIMARY),
    K("PARTITION", PARTITION), K("PRECEDING", PRECEDING),
};
static const struct keyword keywords_q[] = {
    K("QUERY", QUERY), K("QUALIFY", QUALIFY),
};
static const struct keyword keywords_r[] = {
    K("ROW", ROW), K("READ", READ), K("ROWS", ROWS), K("RAISE", RAISE), K("RANGE", RANGE),
    K("RIGHT", RIGHT), K("RLIKE", LIKE_KW), K("REGEXP", LIKE_KW), K("RENAME", RENAME),
    K("ROLLUP", ROLLUP), K("REINDEX", REINDEX), K("RELEASE", RELEASE), K("REPLACE", REPLACE),
    K("RESOLVE", RESOLVE), K("RESPECT", RESPECT), K("RESTRICT", RESTRICT),
    K("ROLLBACK", ROLLBACK), K("RECURSIVE", RECURSIVE), K("RETURNING", RETURNING),
    K("REFERENCES", REFERENCES),
};
static const struct keyword keywords_s[] = {
    K("SET", SET), K("SETS", SETS), K("SHOW", SHOW), K("SOME", SOME), K("SHARE", SHARE),
    K("STAMP", STAMP), K("START", START), K("STDIN", STDIN), K("SCHEMA", SCHEMA),
    K("SELECT", SELECT), K("STDOUT", STDOUT), K("STORED", STORED), K("STRICT", STRICT),
    K("SESSION", SESSION), K("SIMILAR", SIMILAR), K("SAVEPOINT", SAVEPOINT),
    K("SYMMETRIC", SYMMETRIC),
};
static const struct keyword keywords_t[] = {
    K("TO", TO), K("TEMP", TEMP), K("THEN", THEN), K("TIES", TIES), K("TIME", TIME),
    K("TRUE", TRUE), K("TYPE", TYPE), K("TABLE", TABLE), K("TRIGGER", TRIGGER),
    K("TOGETHER", TOGETHER), K("TRAILING", TRAILING), K("TRUNCATE", TRUNCATE),
    K("TRY_CAST", TRYCAST), K("TEMPORARY", TEMP), K("TIMESTAMP", DATE),
    K("TRANSACTION", TRANSACTION),
};
static const struct keyword keywords_u[] = {
    K("USE", USE), K("UUID", DATE), K("UNION", UNION), K("USING", USING), K("UNIQUE", UNIQUE),
    K("UPDATE", UPDATE), K("UPDATES", UPDATES), K("UNSIGNED", UNSIGNED),
    K("UNBOUNDED", UNBOUNDED),
};
static const struct keyword keywords_v[] = {
    K("VIEW", VIEW), K("VACUUM", VACUUM), K("VALUES", VALUES), K("VIRTUAL", VIRTUAL),
};
static const struct keyword keywords_w[] = {
    K("WIN", WIN), K("WHEN", WHEN), K("WITH", WITH), K("WORK", WORK), K("WHERE", WHERE),
    K("WRITE", WRITE), K("WINDOW", WINDOW), K("WINNER", WINNER), K("WITHIN", WITHIN),
    K("WITHOUT", WITHOUT),
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
        if (k->n < n)
            continue;
        if (k->n > n)
            break;
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

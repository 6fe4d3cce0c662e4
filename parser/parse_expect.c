/* parse_expect.c - says what a syntax error's place wanted instead.
 * Why not the bare list of tokens: after an expression forty could follow. What helps is a near
 * miss of a keyword (FORM for FROM, even where it was read as an alias and the next word failed),
 * or a short list. */
#include <stdio.h>
#include <string.h>

#include "parser/ast_build.h"
#include "sql.h"

#define LISTED_MAX 5

/* In the order in which they are told; what is not here comes after, by code. */
static const short by_rank[] = {TK_FROM,  TK_INTO,  TK_SET,    TK_TABLE, TK_VALUES, TK_SELECT,
                                TK_BY,    TK_AS,    TK_ON,     TK_LP,    TK_RP,     TK_COMMA,
                                TK_EQ,    TK_WHERE, TK_THEN,   TK_WHEN,  TK_END,    TK_JOIN,
                                TK_GROUP, TK_ORDER, TK_HAVING, TK_LIMIT};

static const char *symbol(int code)
{
    switch (code) {
    case TK_LP:
        return "'('";
    case TK_RP:
        return "')'";
    case TK_COMMA:
        return "','";
    case TK_DOT:
        return "'.'";
    case TK_EQ:
        return "'='";
    case TK_SEMI:
        return "';'";
    case TK_STAR:
        return "'*'";
    case TK_STRING:
        return "a string";
    case TK_INTEGER:
        return "a number";
    default:
        return keyword_text(code);
    }
}

/* Operators are not told: where one may follow, all may. */
static bool is_operator(int code)
{
    switch (code) {
    case TK_OR:
    case TK_XOR:
    case TK_AND:
    case TK_NOT:
    case TK_IS:
    case TK_MATCH:
    case TK_LIKE:
    case TK_LIKE_KW:
    case TK_SIMILAR:
    case TK_BETWEEN:
    case TK_IN:
    case TK_ISNULL:
    case TK_NOTNULL:
    case TK_NE:
    case TK_EQ:
    case TK_NULLEQ:
    case TK_GT:
    case TK_LE:
    case TK_LT:
    case TK_GE:
    case TK_ESCAPE:
    case TK_BITAND:
    case TK_BITOR:
    case TK_LSHIFT:
    case TK_RSHIFT:
    case TK_PLUS:
    case TK_MINUS:
    case TK_STAR:
    case TK_SLASH:
    case TK_REM:
    case TK_DIV:
    case TK_MOD:
    case TK_CONCAT:
    case TK_PTR:
    case TK_PTR2:
    case TK_COLLATE:
    case TK_ATZONE:
    case TK_TYPECAST:
    case TK_DOT:
        return true;
    default:
        return false;
    }
}

/* Letters to add, drop, change or swap with the next, up to 3; words are short. */
static unsigned distance(const char *a, size_t n, const char *b, size_t m)
{
    unsigned rows[3][20];
    if (n >= 19 || m >= 19)
        return 3;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned same = (a[i - 1] & ~0x20) == (b[j - 1] & ~0x20) ? 0 : 1;
            unsigned best = last[j - 1] + same;
            best = last[j] + 1 < best ? last[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && (a[i - 1] & ~0x20) == (b[j - 2] & ~0x20) &&
                (a[i - 2] & ~0x20) == (b[j - 1] & ~0x20) && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[n % 3][m];
}

/* The keyword that may stand here and nearly is the word; NULL where none is. */
static const char *near_miss(const struct parse_expected *want, const char *word, size_t n)
{
    if (n < 3)
        return NULL;
    const char *best = NULL;
    unsigned best_distance = n >= 6 ? 3 : 2;
    for (int code = 1; code < PARSE_CODES_MAX; code++) {
        const char *text = want->code[code] ? keyword_text(code) : NULL;
        if (text == NULL || strlen(text) < 3)
            continue;
        unsigned d = distance(word, n, text, strlen(text));
        if (d < best_distance && d > 0) {
            best = text;
            best_distance = d;
        }
    }
    return best;
}

static bool is_plain_word(const char *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!((p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'z') && p[i] != '_')
            return false;
    return n > 0;
}

struct listing {
    const char *item[LISTED_MAX];
    int count;
    bool more;
};

static void list_add(struct listing *l, const char *text)
{
    if (text == NULL)
        return;
    for (int i = 0; i < l->count; i++)
        if (strcmp(l->item[i], text) == 0)
            return;
    if (l->count < LISTED_MAX)
        l->item[l->count++] = text;
    else
        l->more = true;
}

static void list_expected(const struct parse_expected *want, struct listing *l)
{
    bool starts_expression = want->code[TK_CASE];
    bool after_expression = want->code[TK_PLUS] && !starts_expression;
    if (starts_expression)
        list_add(l, "an expression");
    else if (want->code[TK_ID] && !after_expression)
        list_add(l, "a name");
    for (size_t i = 0; i < sizeof by_rank / sizeof by_rank[0]; i++) {
        int code = by_rank[i];
        bool told = starts_expression &&
                    (code == TK_LP || code == TK_SELECT || code == TK_VALUES || code == TK_TABLE);
        if (want->code[code] && !told && !(after_expression && is_operator(code)) &&
            !(code == TK_LP && after_expression))
            list_add(l, symbol(code));
    }
    for (int code = 1; code < PARSE_CODES_MAX && !starts_expression; code++)
        if (want->code[code] && code != TK_ID && !(code == TK_STRING && want->code[TK_ID]) &&
            !(after_expression && is_operator(code)))
            list_add(l, symbol(code));
    if (want->code[0] && !l->more)
        list_add(l, "the end of the statement");
}

/* The words the user reads for the token at `offset`. */
static void set_error(struct parse_ctx *cx, const char *p, uint32_t n, uint32_t offset,
                      const char *expected)
{
    cx->rc = err_set_at(cx->err, QUARTET_ERROR, offset, "syntax error near \"%.*s\"%s",
                        n > 60 ? 60 : (int)n, p, expected);
}

void parse_expect_explain(struct parse_ctx *cx, const struct parse_expected *here,
                          const struct parse_expected *before)
{
    char text[200];
    const char *prev = cx->lx.sql + cx->prev_at;
    uint32_t prev_n = cx->prev_end - cx->prev_at;
    const char *meant;
    if (cx->bad_code != 0 && is_plain_word(cx->tok.p, cx->tok.n) &&
        (meant = near_miss(here, cx->tok.p, cx->tok.n)) != NULL) {
        (void)snprintf(text, sizeof text, ": expected %s", meant); /* keywords are short */
        set_error(cx, cx->tok.p, cx->tok.n, cx->tok.offset, text);
        return;
    }
    if (before != NULL && cx->prev_code == TK_ID && is_plain_word(prev, prev_n) &&
        (meant = near_miss(before, prev, prev_n)) != NULL) {
        (void)snprintf(text, sizeof text, ": expected %s", meant); /* as above */
        set_error(cx, prev, prev_n, cx->prev_at, text);
        return;
    }
    struct listing l = {.count = 0};
    list_expected(here, &l);
    if (l.count == 0)
        return;
    size_t at = (size_t)snprintf(text, sizeof text, ": expected ");
    for (int i = 0; i < l.count && at < sizeof text; i++) {
        const char *glue = i == 0 ? "" : i + 1 == l.count && !l.more ? " or " : ", ";
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", glue, l.item[i]);
    }
    if (l.more && at < sizeof text)
        (void)snprintf(text + at, sizeof text - at,
                       " or other words"); /* cut where it does not fit */
    if (cx->bad_code == 0)
        cx->rc = err_set_at(cx->err, QUARTET_ERROR, cx->prev_end,
                            "syntax error: the statement ends too early%s", text);
    else
        set_error(cx, cx->tok.p, cx->tok.n, cx->tok.offset, text);
}

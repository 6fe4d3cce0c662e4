/* lex.c - SQL text to tokens.
 * Why by hand: it is on the path of every statement without prepare, and the dialects' quirks
 * (three kinds of quotes, '#' comments, words that are keywords only next to others) are few lines
 * here and many in a generator's language. Rules: names are letters, digits, '_', '$' and
 * everything past ASCII; text must be valid UTF-8 without NUL, comments too; a block comment that
 * is not closed ends with the text, as in SQLite; '#' starts a comment only where nothing but
 * blanks stand before it on its line. Not here: what a token means (ast_literal.c turns it into a
 * value). */
#include "parser/lex.h"

#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "sql.h"

enum { C_OTHER, C_BLANK, C_LETTER, C_DIGIT, C_DOLLAR, C_HIGH };

/* Class of each byte: names need it for every character. */
static const uint8_t char_class[256] = {
    ['\t'] = C_BLANK,         ['\n'] = C_BLANK, ['\v'] = C_BLANK,        ['\f'] = C_BLANK,
    ['\r'] = C_BLANK,         [' '] = C_BLANK,  ['0' ... '9'] = C_DIGIT, ['A' ... 'Z'] = C_LETTER,
    ['a' ... 'z'] = C_LETTER, ['_'] = C_LETTER, ['$'] = C_DOLLAR,        [0x80 ... 0xff] = C_HIGH,
};

static unsigned class_at(const struct lexer *lx, uint32_t at)
{
    return at < lx->n ? char_class[(uint8_t)lx->sql[at]] : C_OTHER;
}

static char char_at(const struct lexer *lx, uint32_t at)
{
    return at < lx->n ? lx->sql[at] : '\0';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

void lex_init(struct lexer *lx, const char *sql, size_t n)
{
    QASSERT(n < UINT32_MAX);
    memset(lx, 0, sizeof *lx);
    lx->sql = sql;
    lx->n = (uint32_t)n;
    if (n >= 3 && memcmp(sql, "\xef\xbb\xbf", 3) == 0)
        lx->at = 3;
}

static int illegal(struct lexer *lx, uint32_t at, const char *why)
{
    lx->error = why;
    lx->error_at = at;
    return TK_ILLEGAL;
}

/* The place of the first byte in from..to that is NUL or no UTF-8; `to` where all is well. */
static uint32_t first_bad_byte(const struct lexer *lx, uint32_t from, uint32_t to)
{
    const uint8_t *p = (const uint8_t *)lx->sql;
    if (memchr(p + from, 0, to - from) == NULL && utf8_valid(p + from, to - from))
        return to;
    while (from < to && p[from] != 0) { /* the slow way, only to name the place */
        uint32_t len = p[from] < 0x80 ? 1 : p[from] < 0xe0 ? 2 : p[from] < 0xf0 ? 3 : 4;
        if (len > to - from || !utf8_valid(p + from, len))
            break;
        from += len;
    }
    return from;
}

static int check_text(struct lexer *lx, uint32_t from, uint32_t to, int code)
{
    uint32_t bad = first_bad_byte(lx, from, to);
    if (bad == to)
        return code;
    return illegal(lx, bad,
                   lx->sql[bad] == '\0' ? "the SQL text holds a NUL byte"
                                        : "the SQL text is not valid UTF-8");
}

static bool hash_starts_line(const struct lexer *lx, uint32_t at)
{
    while (at > 0 && (lx->sql[at - 1] == ' ' || lx->sql[at - 1] == '\t'))
        at--;
    return at == 0 || lx->sql[at - 1] == '\n' || lx->sql[at - 1] == '\r' ||
           (at == 3 && memcmp(lx->sql, "\xef\xbb\xbf", 3) == 0);
}

static uint32_t line_end(const struct lexer *lx, uint32_t at)
{
    const char *nl = memchr(lx->sql + at, '\n', lx->n - at);
    return nl == NULL ? lx->n : (uint32_t)(nl - lx->sql);
}

static uint32_t block_comment_end(struct lexer *lx, uint32_t at)
{
    at += 2;
    while (at + 1 < lx->n && !(lx->sql[at] == '*' && lx->sql[at + 1] == '/'))
        at++;
    if (at + 1 < lx->n)
        return at + 2;
    lx->open = true;
    return lx->n;
}

/* Step over blanks and comments; 0, or TK_ILLEGAL where a comment holds no text. */
static int skip_blanks(struct lexer *lx)
{
    for (;;) {
        while (class_at(lx, lx->at) == C_BLANK)
            lx->at++;
        uint32_t from = lx->at, to;
        char c = char_at(lx, from), d = char_at(lx, from + 1);
        if ((c == '-' && d == '-') || (c == '#' && hash_starts_line(lx, from)))
            to = line_end(lx, from);
        else if (c == '/' && d == '*')
            to = block_comment_end(lx, from);
        else
            return 0;
        lx->at = to;
        if (check_text(lx, from, to, 0) != 0)
            return TK_ILLEGAL;
    }
}

/* A string or a quoted name from the quote at `from`; the closing quote is doubled to mean itself.
 */
static int lex_quoted(struct lexer *lx, uint32_t from, char close, int code)
{
    uint32_t at = from + 1;
    for (;;) {
        const char *q = memchr(lx->sql + at, close, lx->n - at);
        if (q == NULL) {
            lx->open = true;
            lx->at = lx->n;
            return illegal(lx, from,
                           close == '\'' ? "this string has no closing quote"
                                         : "this quoted name has no closing quote");
        }
        at = (uint32_t)(q - lx->sql) + 1;
        if (char_at(lx, at) != close || close == ']')
            break;
        at++;
    }
    lx->at = at;
    return check_text(lx, from, at, code);
}

static int lex_blob(struct lexer *lx)
{
    uint32_t from = lx->at, at = from + 2;
    while (is_hex(char_at(lx, at)))
        at++;
    if (char_at(lx, at) == '\'' && (at - from) % 2 == 0) {
        lx->at = at + 1;
        return TK_BLOB;
    }
    int code = lex_quoted(lx, from + 1, '\'', TK_BLOB);
    return code == TK_BLOB ? illegal(lx, at, "a blob x'..' is made of pairs of hexadecimal digits")
                           : code;
}

static int lex_number(struct lexer *lx)
{
    uint32_t at = lx->at;
    int code = TK_INTEGER;
    if (char_at(lx, at) == '0' && (char_at(lx, at + 1) | 0x20) == 'x' &&
        is_hex(char_at(lx, at + 2))) {
        for (at += 2; is_hex(char_at(lx, at)); at++)
            ;
    } else {
        while (is_digit(char_at(lx, at)))
            at++;
        if (char_at(lx, at) == '.') {
            code = TK_FLOAT;
            for (at++; is_digit(char_at(lx, at)); at++)
                ;
        }
        if ((char_at(lx, at) | 0x20) == 'e') {
            uint32_t exp = at + 1;
            if (char_at(lx, exp) == '+' || char_at(lx, exp) == '-')
                exp++;
            if (is_digit(char_at(lx, exp))) {
                code = TK_FLOAT;
                for (at = exp; is_digit(char_at(lx, at)); at++)
                    ;
            }
        }
    }
    uint32_t end = at;
    while (class_at(lx, end) >= C_LETTER)
        end++;
    lx->at = end;
    return end == at ? code
                     : illegal(lx, at, "a name cannot begin with a digit, and this is no number");
}

static int lex_word(struct lexer *lx)
{
    uint32_t from = lx->at, at = from;
    unsigned seen = 0;
    for (unsigned c; (c = class_at(lx, at)) >= C_LETTER; at++)
        seen |= c == C_HIGH;
    lx->at = at;
    if (seen)
        return check_text(lx, from, at, TK_ID);
    return keyword_find(lx->sql + from, at - from);
}

static int lex_param(struct lexer *lx)
{
    uint32_t from = lx->at, at = from + 1;
    if (lx->sql[from] == '?') {
        while (is_digit(char_at(lx, at)))
            at++;
        lx->at = at;
        return TK_PARAM;
    }
    while (class_at(lx, at) >= C_LETTER)
        at++;
    lx->at = at;
    if (at == from + 1)
        return illegal(lx, from, "a parameter needs a name here, as :name");
    return check_text(lx, from, at, TK_PARAM);
}

/* Take `n` bytes as the token `code`. */
static int take(struct lexer *lx, uint32_t n, int code)
{
    lx->at += n;
    return code;
}

static int lex_operator(struct lexer *lx)
{
    char c = lx->sql[lx->at], d = char_at(lx, lx->at + 1), e = char_at(lx, lx->at + 2);
    switch (c) {
    case ',':
        return take(lx, 1, TK_COMMA);
    case '(':
        return take(lx, 1, TK_LP);
    case ')':
        return take(lx, 1, TK_RP);
    case '.':
        return take(lx, 1, TK_DOT);
    case ';':
        return take(lx, 1, TK_SEMI);
    case '*':
        return take(lx, 1, TK_STAR);
    case '+':
        return take(lx, 1, TK_PLUS);
    case '/':
        return take(lx, 1, TK_SLASH);
    case '%':
        return take(lx, 1, TK_REM);
    case '&':
        return take(lx, 1, TK_BITAND);
    case '~':
        return take(lx, 1, TK_BITNOT);
    case '=':
        return d == '=' ? take(lx, 2, TK_EQ) : take(lx, 1, TK_EQ);
    case '|':
        return d == '|' ? take(lx, 2, TK_CONCAT) : take(lx, 1, TK_BITOR);
    case '!':
        return d == '=' ? take(lx, 2, TK_NE) : TK_ILLEGAL;
    case ':':
        return d == ':' ? take(lx, 2, TK_TYPECAST) : TK_ILLEGAL;
    case '-':
        if (d != '>')
            return take(lx, 1, TK_MINUS);
        return e == '>' ? take(lx, 3, TK_PTR2) : take(lx, 2, TK_PTR);
    case '<':
        if (d == '=' && e == '>')
            return take(lx, 3, TK_NULLEQ);
        return d == '='   ? take(lx, 2, TK_LE)
               : d == '>' ? take(lx, 2, TK_NE)
               : d == '<' ? take(lx, 2, TK_LSHIFT)
                          : take(lx, 1, TK_LT);
    case '>':
        return d == '='   ? take(lx, 2, TK_GE)
               : d == '>' ? take(lx, 2, TK_RSHIFT)
                          : take(lx, 1, TK_GT);
    default:
        return TK_ILLEGAL;
    }
}

static int lex_other(struct lexer *lx, char c)
{
    uint32_t from = lx->at;
    switch (c) {
    case '\'':
        return lex_quoted(lx, from, '\'', TK_STRING);
    case '"':
        return lex_quoted(lx, from, '"', TK_ID);
    case '`':
        return lex_quoted(lx, from, '`', TK_ID);
    case '[':
        return lex_quoted(lx, from, ']', TK_ID);
    case '.':
        if (is_digit(char_at(lx, from + 1)))
            return lex_number(lx);
        break;
    case ':':
        if (char_at(lx, from + 1) == ':')
            break;
        return lex_param(lx);
    case '?':
    case '@':
        return lex_param(lx);
    case '\0':
        lx->at++;
        return illegal(lx, from, "the SQL text holds a NUL byte");
    default:
        break;
    }
    int code = lex_operator(lx);
    if (code != TK_ILLEGAL)
        return code;
    lx->at++;
    return illegal(lx, from, "this character means nothing here");
}

/* A token by itself, whatever stands beside it. */
static int lex_raw(struct lexer *lx, struct token *out)
{
    int code = skip_blanks(lx);
    uint32_t from = lx->at;
    if (code == 0 && from < lx->n) {
        char c = lx->sql[from], d = char_at(lx, from + 1);
        switch (char_class[(uint8_t)c]) {
        case C_LETTER:
            if (d == '\'' && (c == 'x' || c == 'X')) {
                code = lex_blob(lx);
            } else if (d == '\'' && (c == 'n' || c == 'N')) { /* N'..': SQL Server's scripts */
                code = lex_quoted(lx, from + 1, '\'', TK_STRING);
                from++;
            } else {
                code = lex_word(lx);
            }
            break;
        case C_HIGH:
            code = lex_word(lx);
            break;
        case C_DIGIT:
            code = lex_number(lx);
            break;
        case C_DOLLAR:
            code = lex_param(lx);
            break;
        default:
            code = lex_other(lx, c);
            break;
        }
    }
    *out = (struct token){.p = lx->sql + from, .n = lx->at - from, .offset = from};
    return code;
}

/* The code of the k-th token after this place (from 1). */
static int peek(const struct lexer *lx, int k)
{
    struct lexer ahead = *lx;
    struct token t;
    int code = 0;
    while (k-- > 0)
        code = lex_raw(&ahead, &t);
    return code;
}

static bool may_be_name(int code)
{
    return code != 0 && code != TK_ILLEGAL && (code == TK_ID || keyword_text(code) != NULL);
}

/* Is the second token after this place a unit of time, as in INTERVAL '1' DAY? Otherwise it is an
 * alias. */
static bool peek_is_unit(const struct lexer *lx)
{
    static const char *const units[] = {"microsecond", "second", "minute",  "hour", "day",
                                        "week",        "month",  "quarter", "year"};
    struct lexer ahead = *lx;
    struct token t;
    lex_raw(&ahead, &t);
    if (lex_raw(&ahead, &t) != TK_ID)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t n = strlen(units[i]);
        bool plural = t.n == n + 1 && (t.p[n] | 0x20) == 's';
        if ((t.n == n || plural) && strncasecmp(t.p, units[i], n) == 0)
            return true;
    }
    return false;
}

int lex_next(struct lexer *lx, struct token *out)
{
    int code = lex_raw(lx, out);
    switch (code) {
    case TK_DATE: /* a type's name before a string is a literal; otherwise a name or a function */
        return peek(lx, 1) == TK_STRING ? TK_DATE : TK_ID;
    case TK_TIME:
        return peek(lx, 1) == TK_STRING ? TK_DATE : TK_TIME;
    case TK_INTERVAL: {
        int next = peek(lx, 1);
        if ((next == TK_STRING || next == TK_INTEGER) && peek_is_unit(lx))
            return TK_INTERVALU;
        return next == TK_STRING ? TK_INTERVAL : TK_ID;
    }
    case TK_WITH:
        return peek(lx, 1) == TK_ROLLUP ? TK_WITHROLLUP : TK_WITH;
    case TK_WINDOW:
        return may_be_name(peek(lx, 1)) && peek(lx, 2) == TK_AS ? TK_WINDOW : TK_ID;
    case TK_FETCH: {
        int next = peek(lx, 1);
        return next == TK_FIRST || next == TK_NEXT ? TK_FETCH : TK_ID;
    }
    case TK_OFFSET: { /* OFFSET without LIMIT could be read as an alias otherwise */
        int next = peek(lx, 1);
        return next == TK_INTEGER || next == TK_PARAM || next == TK_LP ? TK_OFFSETN : TK_OFFSET;
    }
    case TK_FOR: {
        int next = peek(lx, 1);
        return next == TK_UPDATE || next == TK_SHARE ? TK_FORLOCK : TK_FOR;
    }
    case TK_ON: { /* INSERT .. SELECT .. FROM a ON CONFLICT: not the ON of a join */
        int next = peek(lx, 1);
        if (next == TK_CONFLICT || next == TK_DUPLICATE)
            return TK_ONCONF;
        return next == TK_UPDATE && peek(lx, 2) == TK_CTIME ? TK_ONTIME : TK_ON;
    }
    case TK_GENERATED: {
        int next = peek(lx, 1);
        return next == TK_ALWAYS || next == TK_BY ? TK_GENERATED : TK_ID;
    }
    case TK_COMMENT: {
        int next = peek(lx, 1);
        return next == TK_STRING ? TK_COMMENTS : next == TK_ON ? TK_COMMENT : TK_ID;
    }
    case TK_ATZONE: {
        int next = peek(lx, 1);
        return (next == TK_TIME && peek(lx, 2) == TK_ZONE) || next == TK_LOCAL ? TK_ATZONE : TK_ID;
    }
    case TK_CHARACTER:
        return peek(lx, 1) == TK_SET ? TK_CHARACTER : TK_ID;
    case TK_MERGE:
        return peek(lx, 1) == TK_TOGETHER ? TK_MERGETOG : TK_MERGE;
    case TK_UPDATES: {
        int next = peek(lx, 1);
        return next == TK_WIN || next == TK_LOSE ? TK_UPDATES : TK_ID;
    }
    case TK_VALUES:
        return lx->values_is_function && peek(lx, 1) == TK_LP ? TK_ID : TK_VALUES;
    default:
        return code;
    }
}

enum { SPLIT_START, SPLIT_CREATE, SPLIT_PLAIN, SPLIT_TRIGGER_HEAD, SPLIT_BODY, SPLIT_BODY_START };

bool lex_split_feed(struct lex_split *s, int code)
{
    switch (s->phase) {
    case SPLIT_START:
        if (code == TK_CREATE)
            s->phase = SPLIT_CREATE;
        else if (code != TK_EXPLAIN && code != TK_ANALYZE && code != TK_MERGE && code != TK_QUERY &&
                 code != TK_PLAN)
            s->phase = SPLIT_PLAIN;
        return code == TK_SEMI;
    case SPLIT_CREATE:
        if (code == TK_TRIGGER)
            s->phase = SPLIT_TRIGGER_HEAD;
        else if (code != TK_TEMP && code != TK_OR && code != TK_REPLACE)
            s->phase = SPLIT_PLAIN;
        return code == TK_SEMI;
    case SPLIT_TRIGGER_HEAD:
        if (code == TK_BEGIN)
            s->phase = SPLIT_BODY_START;
        return code == TK_SEMI;
    case SPLIT_BODY:
        if (code == TK_SEMI)
            s->phase = SPLIT_BODY_START;
        return false;
    case SPLIT_BODY_START:
        if (code == TK_END)
            s->phase = SPLIT_PLAIN;
        else if (code != TK_SEMI)
            s->phase = SPLIT_BODY;
        return false;
    default:
        return code == TK_SEMI;
    }
}

/* ast_literal.c - constructors of literals and parameters: text to values.
 * Why numbers keep their text: the nearest double of 0.10 is not 0.10, and a DECIMAL column wants
 * what was written. Invariant: no number depends on the locale; strtod only ever sees digits and an
 * exponent. */
#include "parser/ast_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parser/parse.h"

struct ast_expr *ast_leaf(struct parse_ctx *cx, enum ast_expr_kind kind, struct token t)
{
    return ast_expr_new(cx, kind, t.offset, 0);
}

/* ---- numbers ---- */

#define DIGITS_EXACT 15 /* a whole number of so many digits is a double exactly, and so is 10^22   \
                         */
#define POWER_EXACT 22

/* The double nearest to `text`: digits, maybe a point, maybe an exponent. */
static double real_value(struct parse_ctx *cx, const char *text, size_t n)
{
    static const double powers[POWER_EXACT + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    char *digits = arena_alloc(cx->arena, n + 24);
    if (digits == NULL) {
        cx->rc = arena_fail(cx->arena, cx->err);
        return 0;
    }
    size_t k = 0, i = 0;
    long exponent = 0;
    bool point = false;
    for (; i < n && (text[i] | 0x20) != 'e'; i++) {
        if (text[i] == '.') {
            point = true;
            continue;
        }
        if (k > 0 || text[i] != '0')
            digits[k++] = text[i];
        exponent -= point;
    }
    if (i < n) {
        char copy[16] = {0}; /* beyond that it is 0 or infinite anyway */
        size_t len = n - i - 1;
        memcpy(copy, text + i + 1, len < sizeof copy - 1 ? len : sizeof copy - 1);
        long e = strtol(copy, NULL, 10);
        exponent += e > 1000000000L ? 1000000000L : e < -1000000000L ? -1000000000L : e;
    }
    digits[k] = '\0';
    if (k == 0)
        return 0;
    if (k <= DIGITS_EXACT && exponent >= -POWER_EXACT && exponent <= POWER_EXACT) {
        double d = (double)strtoll(digits, NULL, 10);
        return exponent < 0 ? d / powers[-exponent] : d * powers[exponent];
    }
    int written = snprintf(digits + k, 24, "e%ld", exponent);
    QASSERT(written > 0 && written < 24);
    return strtod(digits, NULL);
}

static struct ast_expr *real_literal(struct parse_ctx *cx, struct token t)
{
    struct ast_expr *e = ast_leaf(cx, AST_EXPR_REAL, t);
    e->u.real.text = ast_text(cx, t);
    if (cx->rc == QUARTET_OK)
        e->u.real.value = real_value(cx, t.p, t.n);
    return e;
}

static struct ast_expr *hex_literal(struct parse_ctx *cx, struct token t)
{
    struct ast_expr *e = ast_leaf(cx, AST_EXPR_INTEGER, t);
    uint64_t v = 0;
    for (uint32_t i = 2; i < t.n; i++) {
        if (v >> 60 != 0) {
            parse_ctx_fail(cx, QUARTET_ERROR, t.offset,
                           "hexadecimal literal too big: 16 digits are the most");
            return e;
        }
        unsigned c = (unsigned char)t.p[i];
        v = v << 4 | (c <= '9' ? c - '0' : (c | 0x20u) - 'a' + 10);
    }
    e->u.integer = (int64_t)v;
    return e;
}

struct ast_expr *ast_number(struct parse_ctx *cx, struct token t)
{
    if (t.n > 2 && t.p[0] == '0' && (t.p[1] | 0x20) == 'x')
        return hex_literal(cx, t);
    uint64_t v = 0;
    for (uint32_t i = 0; i < t.n; i++) {
        unsigned digit = (unsigned)(unsigned char)t.p[i] - '0';
        if (digit > 9 || v > ((uint64_t)INT64_MAX - digit) / 10)
            return real_literal(cx, t);
        v = v * 10 + digit;
    }
    struct ast_expr *e = ast_leaf(cx, AST_EXPR_INTEGER, t);
    e->u.integer = (int64_t)v;
    return e;
}

struct ast_expr *ast_one(struct parse_ctx *cx)
{
    struct ast_expr *e = ast_leaf(cx, AST_EXPR_INTEGER, cx->tok);
    e->u.integer = 1;
    return e;
}

struct ast_expr *ast_negative(struct parse_ctx *cx, struct ast_expr *e)
{
    if (cx->rc != QUARTET_OK || e->kind != AST_EXPR_REAL ||
        strcmp(e->u.real.text, "9223372036854775808") != 0)
        return NULL;
    struct ast_expr *min = ast_expr_new(cx, AST_EXPR_INTEGER, e->offset, 0);
    min->u.integer = INT64_MIN;
    return min;
}

/* ---- the others ---- */

struct ast_expr *ast_bool(struct parse_ctx *cx, struct token t, bool value)
{
    struct ast_expr *e = ast_leaf(cx, AST_EXPR_BOOL, t);
    e->u.integer = value;
    return e;
}

struct ast_expr *ast_string(struct parse_ctx *cx, struct token t)
{
    struct ast_expr *e = ast_leaf(cx, AST_EXPR_STRING, t);
    e->u.string.p = ast_unquote(cx, t, &e->u.string.n);
    return e;
}

struct ast_expr *ast_word(struct parse_ctx *cx, struct token t)
{
    return ast_string(cx, t);
}

static unsigned hex_digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

struct ast_expr *ast_blob(struct parse_ctx *cx, struct token t)
{
    struct ast_expr *e = ast_leaf(cx, AST_EXPR_BLOB, t);
    uint32_t n = (t.n - 3) / 2; /* x'..' */
    char *p = cx->rc == QUARTET_OK ? arena_alloc(cx->arena, n + 1u) : NULL;
    if (p == NULL) {
        if (cx->rc == QUARTET_OK)
            cx->rc = arena_fail(cx->arena, cx->err);
        return e;
    }
    for (uint32_t i = 0; i < n; i++)
        p[i] = (char)(hex_digit(t.p[2 + 2 * i]) << 4 | hex_digit(t.p[3 + 2 * i]));
    p[n] = '\0';
    e->u.string.p = p;
    e->u.string.n = n;
    return e;
}

struct ast_expr *ast_typed(struct parse_ctx *cx, struct token type, struct token text,
                           const struct token *unit)
{
    struct ast_expr *e = ast_leaf(cx, AST_EXPR_TYPED, type);
    const char *value = ast_text(cx, text);
    char *name = cx->rc == QUARTET_OK ? arena_strndup(cx->arena, type.p, type.n) : NULL;
    if (name != NULL && unit != NULL)
        value = arena_printf(cx->arena, "%s %.*s", value, (int)unit->n, unit->p);
    if (name == NULL || value == NULL) {
        if (cx->rc == QUARTET_OK)
            cx->rc = arena_fail(cx->arena, cx->err);
        return e;
    }
    for (char *c = name; *c != '\0'; c++)
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 32);
    e->u.typed.type = name;
    e->u.typed.text = value;
    return e;
}

/* ---- parameters: numbered as in SQLite ---- */

static uint32_t param_by_number(struct parse_ctx *cx, struct token t)
{
    uint32_t v = 0;
    for (uint32_t i = 1; i < t.n && v <= PARSE_PARAM_MAX; i++)
        v = v * 10 + (uint32_t)(t.p[i] - '0');
    if (v < 1 || v > PARSE_PARAM_MAX)
        parse_ctx_fail(cx, QUARTET_ERROR, t.offset, "parameters are numbered from ?1 to ?%u",
                       PARSE_PARAM_MAX);
    return v;
}

static uint32_t param_by_name(struct parse_ctx *cx, struct token t)
{
    for (uint32_t i = 0; i < cx->params.count; i++) {
        const char *name = cx->params.names[i];
        if (name != NULL && strlen(name) == t.n && memcmp(name, t.p, t.n) == 0)
            return i + 1;
    }
    return cx->params.count + 1;
}

/* Make room up to `number`. */
static bool params_reach(struct parse_ctx *cx, uint32_t number)
{
    while (cx->params.count < number) {
        const char **names =
            ast_grow(cx, cx->params.names, cx->params.count, &cx->params.cap, sizeof *names);
        if (names == NULL)
            return false;
        cx->params.names = names;
        names[cx->params.count++] = NULL;
    }
    return true;
}

struct ast_expr *ast_param(struct parse_ctx *cx, struct token t)
{
    struct ast_expr *e = ast_leaf(cx, AST_EXPR_PARAM, t);
    if (cx->rc != QUARTET_OK)
        return e;
    if (cx->is_expression) {
        parse_ctx_fail(cx, QUARTET_ERROR, t.offset,
                       "a parameter cannot stand here: the expression is stored");
        return e;
    }
    uint32_t number = t.p[0] != '?' ? param_by_name(cx, t)
                      : t.n == 1    ? cx->params.count + 1
                                    : param_by_number(cx, t);
    if (cx->rc == QUARTET_OK && number > PARSE_PARAM_MAX)
        parse_ctx_fail(cx, QUARTET_LIMIT, t.offset, "more than %u parameters", PARSE_PARAM_MAX);
    if (cx->rc != QUARTET_OK || !params_reach(cx, number))
        return e;
    if (t.p[0] != '?' && cx->params.names[number - 1] == NULL)
        cx->params.names[number - 1] = ast_text(cx, t);
    e->u.param = number;
    return e;
}

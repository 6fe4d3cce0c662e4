/* parse.c - drives the lexer and Lemon's parser over one statement, and turns what fails into an
 * error with a place. Why one statement at a time: a script of a million statements then needs the
 * memory of one, and what comes before a mistake has been run when it is met, as in every shell.
 * Why a failed statement is parsed a second time: only the states before the wrong token tell what
 * could have stood there, and keeping them for every token would cost all the right statements. */
#include "parser/parse.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "parser/ast_build.h"
#include "sql.h"

/* ---- what the grammar reports ---- */

void parse_ctx_fail(struct parse_ctx *cx, quartet_status code, uint32_t offset, const char *format,
                    ...)
{
    if (cx->rc != QUARTET_OK)
        return; /* the first failure is the cause */
    char text[ERR_TEXT_BYTES_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args); /* a text cut short is still one */
    va_end(args);
    cx->rc = err_set_at(cx->err, code, offset, "%s", text);
}

void parse_ctx_unexpected(struct parse_ctx *cx, int code)
{
    if (cx->rc != QUARTET_OK)
        return;
    cx->bad_code = code;
    if (code == 0)
        parse_ctx_fail(cx, QUARTET_ERROR, cx->prev_end,
                       "syntax error: the statement ends too early");
    else
        parse_ctx_fail(cx, QUARTET_ERROR, cx->tok.offset, "syntax error near \"%.*s\"",
                       cx->tok.n > 60 ? 60 : (int)cx->tok.n, cx->tok.p);
}

void parse_ctx_illegal(struct parse_ctx *cx)
{
    parse_ctx_fail(cx, QUARTET_ERROR, cx->lx.error_at, "%s", cx->lx.error);
}

void parse_ctx_too_deep(struct parse_ctx *cx)
{
    parse_ctx_fail(cx, QUARTET_LIMIT, cx->tok.offset,
                   "nested too deeply for the parser: max_expression_depth is %u", cx->max_depth);
}

void parse_ctx_done(struct parse_ctx *cx, struct ast_stmt *stmt, int explain)
{
    if (cx->rc != QUARTET_OK)
        return;
    stmt->explain = (uint8_t)explain;
    stmt->params = cx->params;
    stmt->offset = cx->begin;
    stmt->length = cx->prev_end - cx->begin;
    cx->stmt = stmt;
}

void parse_ctx_expression_done(struct parse_ctx *cx, struct ast_expr *expr)
{
    if (cx->rc == QUARTET_OK)
        cx->expression = expr;
}

/* ---- running it ---- */

static quartet_status ctx_init(struct parse_ctx *cx, struct arena *a, const char *sql, size_t n,
                               const struct parse_limits *limits, struct err *err)
{
    if (n > PARSE_SQL_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "SQL text of %zu bytes, limit %u", n,
                       PARSE_SQL_BYTES_MAX);
    memset(cx, 0, offsetof(struct parse_ctx, sink));
    cx->arena = a;
    cx->err = err;
    cx->max_depth = limits != NULL ? limits->max_expression_depth : 0;
    if (cx->max_depth == 0 || cx->max_depth > PARSE_EXPRESSION_DEPTH_MAX)
        cx->max_depth = PARSE_EXPRESSION_DEPTH_MAX;
    lex_init(&cx->lx, sql, n);
    return QUARTET_OK;
}

/* What could have stood at `at`? False where that cannot be told (no memory). */
static bool probe(const struct parse_ctx *failed, uint32_t at, struct parse_expected *want)
{
    struct parse_ctx cx;
    struct err scratch = ERR_INIT;
    struct parse_limits limits = {.max_expression_depth = failed->max_depth};
    if (ctx_init(&cx, failed->arena, failed->lx.sql, failed->lx.n, &limits, &scratch) != QUARTET_OK)
        return false;
    memset(want, 0, sizeof *want);
    cx.is_expression = failed->is_expression;
    cx.probe = want;
    cx.probe_at = at;
    struct arena_mark mark = arena_mark(failed->arena);
    sql_lemon_run(&cx, failed->is_expression ? TK_PARSE_EXPRESSION : 0);
    arena_rewind(failed->arena, mark);
    return cx.rc == QUARTET_OK;
}

static void explain_failure(struct parse_ctx *cx)
{
    if (cx->rc != QUARTET_ERROR || cx->bad_code < 0)
        return;
    struct parse_expected here, before;
    if (!probe(cx, cx->tok.offset, &here))
        return;
    bool has_before = cx->prev_code != 0 && probe(cx, cx->prev_at, &before);
    parse_expect_explain(cx, &here, has_before ? &before : NULL);
}

/* Step over the rest of a faulty statement. */
static void skip_statement(struct parse_ctx *cx)
{
    struct token t;
    while (!cx->ended) {
        int code = lex_next(&cx->lx, &t);
        if (code != TK_ILLEGAL)
            cx->ended = code == 0 || lex_split_feed(&cx->split, code);
        if (cx->lx.at >= cx->lx.n)
            break;
    }
}

quartet_status parse_sql(struct arena *a, const char *sql, size_t n,
                         const struct parse_limits *limits, struct ast_stmt **out, size_t *consumed,
                         struct err *err)
{
    struct parse_ctx cx;
    *out = NULL;
    *consumed = n;
    quartet_status rc = ctx_init(&cx, a, sql, n, limits, err);
    if (rc != QUARTET_OK)
        return rc;
    cx.bad_code = -1;
    sql_lemon_run(&cx, 0);
    if (cx.rc == QUARTET_OK) {
        *out = cx.stmt;
    } else {
        explain_failure(&cx);
        skip_statement(&cx);
    }
    *consumed = cx.lx.at;
    return cx.rc;
}

quartet_status parse_expression(struct arena *a, const char *sql, size_t n,
                                const struct parse_limits *limits, struct ast_expr **out,
                                struct err *err)
{
    struct parse_ctx cx;
    *out = NULL;
    quartet_status rc = ctx_init(&cx, a, sql, n, limits, err);
    if (rc != QUARTET_OK)
        return rc;
    cx.is_expression = true;
    cx.bad_code = -1;
    sql_lemon_run(&cx, TK_PARSE_EXPRESSION);
    if (cx.rc == QUARTET_OK && cx.tok.n > 0)
        parse_ctx_fail(&cx, QUARTET_ERROR, cx.tok.offset, "an expression ends without ';'");
    else
        explain_failure(&cx);
    if (cx.rc == QUARTET_OK)
        *out = cx.expression;
    return cx.rc;
}

bool parse_is_complete(const char *sql, size_t n)
{
    if (n > PARSE_SQL_BYTES_MAX)
        return true; /* parse_sql will say why not */
    struct lexer lx;
    struct lex_split split = {0};
    struct token t;
    bool complete = true;
    lex_init(&lx, sql, n);
    for (;;) {
        int code = lex_next(&lx, &t);
        if (lx.open)
            return false;
        if (code == 0)
            return complete;
        complete = code != TK_ILLEGAL && lex_split_feed(&split, code);
        if (complete)
            split = (struct lex_split){0};
    }
}

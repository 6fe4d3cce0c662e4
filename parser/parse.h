/* parse.h - SQL text to a tree (ast.h), one statement at a time, and the picture of an error for
 * people. */
#ifndef PARSER_PARSE_H
#define PARSER_PARSE_H

#include "base/buf.h"
#include "parser/ast.h"

#define PARSE_EXPRESSION_DEPTH_MAX                                                                 \
    1000u /* the default of max_expression_depth, and the most that may be asked for */
#define PARSE_SQL_BYTES_MAX 1000000000u /* one text; offsets are 32 bits */
#define PARSE_PARAM_MAX     32766u      /* ?N up to here, as in SQLite */

struct parse_limits {
    uint32_t max_expression_depth; /* 0: PARSE_EXPRESSION_DEPTH_MAX */
};

/* Parse the first statement of sql[0..n). `limits` may be NULL: the defaults. The text need not end
 * in NUL; the tree borrows nothing from it, all lies in `a`. QUARTET_OK: *out is the tree, or NULL
 * where only blanks, comments and ';' were left; *consumed bytes were read, its ';' included: call
 * again with sql + *consumed for the next. QUARTET_ERROR: wrong SQL, err->sql_offset is the byte
 * where; *consumed is then past the end of the faulty statement (its ';'), so that a shell may go
 * on. QUARTET_LIMIT: nested too deeply, too long, or past the arena's limit. QUARTET_NOMEM. */
quartet_status parse_sql(struct arena *a, const char *sql, size_t n,
                         const struct parse_limits *limits, struct ast_stmt **out, size_t *consumed,
                         struct err *err);

/* Parse a lone expression, as a stored CHECK or DEFAULT. The whole text must be one. Parameters are
 * refused. */
quartet_status parse_expression(struct arena *a, const char *sql, size_t n,
                                const struct parse_limits *limits, struct ast_expr **out,
                                struct err *err);

/* Does the text end with a complete statement (or hold nothing but blanks and comments)? False
 * inside a string, a quoted name, a block comment or a trigger's body, and where the last ';' is
 * missing: the shell then asks for another line. */
bool parse_is_complete(const char *sql, size_t n);

/* Append "line 3, column 14\n", the line, and a line with a caret under the byte at `offset`, both
 * ending in '\n'. Columns count characters; tabs are kept so that the caret stands right; a long
 * line is cut to a window round the caret. An offset outside of 0..n appends nothing. Failure is
 * sticky in `out`. */
void parse_error_render(const char *sql, size_t n, int64_t offset, struct buf *out);

/* ---- ast_print.c: a tree back to SQL that parses to an equal tree; names quoted where needed.
 * Failure is sticky in `out`. ---- */

void ast_print_stmt(const struct ast_stmt *stmt, struct buf *out); /* without ';' */
void ast_print_query(const struct ast_query *query, struct buf *out);
void ast_print_expr(const struct ast_expr *expr, struct buf *out);
void ast_print_column_def(const struct ast_column_def *column, struct buf *out);
void ast_print_constraint(const struct ast_constraint *constraint, struct buf *out);
void ast_print_type(const struct ast_type *type, struct buf *out);
void ast_print_name(
    const char *name,
    struct buf *out); /* quoted with "" unless it is a plain identifier and no keyword */

#endif

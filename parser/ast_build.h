/* ast_build.h - the state of one parse and the constructors that the grammar's actions call.
 * Private to parser/ and grammar/.
 *
 * Constructors never return NULL for a node: after a failure (cx->rc) they hand out cx->sink, so
 * that actions need no checks; nothing is read from it, since every constructor that reads its
 * arguments looks at cx->rc first. The tree is then dropped. */
#ifndef PARSER_AST_BUILD_H
#define PARSER_AST_BUILD_H

#include "parser/ast.h"
#include "parser/lex.h"

#define PARSE_CODES_MAX 320

struct parse_expected { /* which tokens could stand at a place, by code */
    bool code[PARSE_CODES_MAX];
};

struct ast_table_options {
    struct ast_options list;
    struct ast_constraints constraints; /* MERGE TOGETHER after the ')' */
    bool without_rowid, strict, updates_win;
};

struct parse_ctx {
    struct arena *arena;
    struct err *err;
    quartet_status rc;
    struct lexer lx;
    struct lex_split split;
    struct token tok;           /* the token being fed */
    uint32_t begin;             /* where the statement's first token stands */
    uint32_t prev_at, prev_end; /* the token before it */
    int prev_code;
    int bad_code; /* the token that could not be */
    uint32_t max_depth;
    bool is_expression;           /* parse_expression: no parameters */
    bool ended;                   /* the statement's last token has been read */
    struct parse_expected *probe; /* note what could stand at probe_at, then stop */
    uint32_t probe_at;
    struct ast_params params;
    struct ast_column_def *column;   /* the one whose attributes are being read */
    struct ast_name constraint_name; /* CONSTRAINT x of a column, for what follows */
    struct ast_table_options *options;
    struct ast_stmt *stmt;
    struct ast_expr *expression;
    _Alignas(16) unsigned char sink[1024];
};

/* ---- grammar/sql.y ---- */
void sql_lemon_run(struct parse_ctx *cx,
                   int first); /* `first`: a token to feed before the text, or 0 */

/* ---- parse.c ---- */
void parse_ctx_unexpected(struct parse_ctx *cx, int code);
void parse_ctx_illegal(struct parse_ctx *cx);
void parse_ctx_too_deep(struct parse_ctx *cx);
void parse_ctx_fail(struct parse_ctx *cx, quartet_status code, uint32_t offset, const char *format,
                    ...) __attribute__((format(printf, 4, 5)));
void parse_ctx_done(struct parse_ctx *cx, struct ast_stmt *stmt, int explain);
void parse_ctx_expression_done(struct parse_ctx *cx, struct ast_expr *expr);

/* ---- parse_expect.c ---- */
/* Rewrite cx->err, a syntax error at the token cx->tok, with what was expected. */
void parse_expect_explain(struct parse_ctx *cx, const struct parse_expected *here,
                          const struct parse_expected *before);

/* ---- ast.c: memory, names, lists ---- */
static inline uint32_t ast_max(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}
void *ast_alloc_failed(struct parse_ctx *cx, size_t bytes);
/* Zeroed; cx->sink after a failure. */
static inline void *ast_alloc(struct parse_ctx *cx, size_t bytes)
{
    void *p = cx->rc == QUARTET_OK ? arena_alloc(cx->arena, bytes) : NULL;
    return p != NULL ? memset(p, 0, bytes) : ast_alloc_failed(cx, bytes);
}
/* Room for one more item; NULL after a failure. */
void *ast_grow(struct parse_ctx *cx, void *items, uint32_t count, uint32_t *cap, size_t size);
uint16_t ast_height(struct parse_ctx *cx, uint32_t children,
                    uint32_t offset); /* children + 1, checked against the limit */
char *ast_unquote(struct parse_ctx *cx, struct token t,
                  uint32_t *len); /* of a string or a name; plain ones are copied */

struct ast_name ast_name(struct parse_ctx *cx, struct token t);
struct ast_name ast_no_name(void);
struct ast_qname *ast_qname(struct parse_ctx *cx, struct ast_name schema, struct ast_name name);
struct ast_names *ast_names_add(struct parse_ctx *cx, struct ast_names *list, struct ast_name name);
struct ast_qnames *ast_qnames_add(struct parse_ctx *cx, struct ast_qnames *list,
                                  struct ast_qname *name);
struct ast_exprs *ast_exprs_add(struct parse_ctx *cx, struct ast_exprs *list, struct ast_expr *e);
struct ast_orders *ast_orders_add(struct parse_ctx *cx, struct ast_orders *list,
                                  struct ast_order o);
struct ast_order ast_order(struct ast_expr *e, int dir, int nulls);
const char *ast_text(struct parse_ctx *cx, struct token t);
struct ast_options *ast_options_add(struct parse_ctx *cx, struct ast_options *list,
                                    struct ast_option *o);

struct ast_span {
    uint32_t next, prev_end;
};
struct ast_span ast_here(const struct parse_ctx *cx);

struct ast_type_args {
    uint8_t count;
    int32_t arg[2];
};
struct ast_type *ast_type_word(struct parse_ctx *cx, struct ast_type *type, struct ast_name word);
struct ast_type_args ast_type_args(struct parse_ctx *cx, int count, const struct ast_expr *a,
                                   const struct ast_expr *b);
struct ast_type *ast_type_finish(struct parse_ctx *cx, struct ast_type *type,
                                 struct ast_type_args args, const char *suffix);

/* ---- ast_literal.c ---- */
struct ast_expr *ast_leaf(struct parse_ctx *cx, enum ast_expr_kind kind, struct token t);
struct ast_expr *ast_number(struct parse_ctx *cx, struct token t);
struct ast_expr *ast_one(struct parse_ctx *cx);
struct ast_expr *ast_bool(struct parse_ctx *cx, struct token t, bool value);
struct ast_expr *ast_string(struct parse_ctx *cx, struct token t);
struct ast_expr *ast_word(struct parse_ctx *cx, struct token t); /* a bare word as a string */
struct ast_expr *ast_blob(struct parse_ctx *cx, struct token t);
struct ast_expr *ast_typed(struct parse_ctx *cx, struct token type, struct token text,
                           const struct token *unit);
struct ast_expr *ast_param(struct parse_ctx *cx, struct token t);
struct ast_expr *ast_negative(struct parse_ctx *cx,
                              struct ast_expr *e); /* the literal -9223372036854775808, or NULL */

/* ---- ast_expr.c ---- */
enum { AST_FUNCTION_PLAIN, AST_FUNCTION_STAR, AST_FUNCTION_DISTINCT };
struct ast_op_token {
    uint32_t offset;
    uint8_t op, flags;
};
struct ast_expr *ast_expr_new(struct parse_ctx *cx, enum ast_expr_kind kind, uint32_t offset,
                              uint32_t children);
uint32_t ast_exprs_height(const struct ast_exprs *list); /* NULL: 0 */
uint32_t ast_orders_height(const struct ast_orders *list);
struct ast_expr *ast_row(struct parse_ctx *cx, struct token t, struct ast_expr *first,
                         struct ast_exprs *rest);
struct ast_expr *ast_star(struct parse_ctx *cx, struct token t, const struct ast_qname *table);
struct ast_expr *ast_column_id(struct parse_ctx *cx, struct token t);
struct ast_expr *ast_column(struct parse_ctx *cx, struct ast_name schema, struct ast_name table,
                            struct ast_name name);
struct ast_expr *ast_column_full(struct parse_ctx *cx, struct ast_name schema,
                                 struct ast_name table, struct ast_name name);
struct ast_expr *ast_subquery(struct parse_ctx *cx, enum ast_expr_kind kind, struct ast_query *q,
                              const struct token *t);
struct ast_expr *ast_raise(struct parse_ctx *cx, struct token t, int action,
                           const struct token *message);
struct ast_expr *ast_and_or(struct parse_ctx *cx, enum ast_expr_kind kind, struct token t,
                            struct ast_expr *l, struct ast_expr *r);
struct ast_expr *ast_unary(struct parse_ctx *cx, enum ast_op op, struct token t,
                           struct ast_expr *e);
struct ast_expr *ast_binary(struct parse_ctx *cx, enum ast_op op, struct token t,
                            struct ast_expr *l, struct ast_expr *r);
struct ast_expr *ast_is(struct parse_ctx *cx, bool negated, struct token t, struct ast_expr *l,
                        struct ast_expr *r);
struct ast_expr *ast_collate(struct parse_ctx *cx, struct token t, struct ast_expr *e,
                             struct ast_name name);
struct ast_expr *ast_cast(struct parse_ctx *cx, struct token t, struct ast_expr *e,
                          struct ast_type *type, bool attempt);
struct ast_op_token ast_op_token(struct token t, unsigned op_or_flags);
struct ast_op_token ast_like_op(struct token t, bool negated);
struct ast_expr *ast_like(struct parse_ctx *cx, struct ast_op_token op, struct ast_expr *l,
                          struct ast_expr *pattern, struct ast_expr *escape);
struct ast_expr *ast_between(struct parse_ctx *cx, struct ast_op_token op, struct ast_expr *v,
                             struct ast_expr *lo, struct ast_expr *hi);
struct ast_expr *ast_in_list(struct parse_ctx *cx, struct ast_op_token op, struct ast_expr *l,
                             struct ast_exprs *list);
struct ast_expr *ast_in_query(struct parse_ctx *cx, struct ast_op_token op, struct ast_expr *l,
                              struct ast_query *q);
struct ast_expr *ast_in_table(struct parse_ctx *cx, struct ast_op_token op, struct ast_expr *l,
                              struct ast_from *table);
struct ast_expr *ast_quantified(struct parse_ctx *cx, struct ast_op_token op, struct ast_expr *l,
                                bool all, struct ast_query *q);
struct ast_case *ast_whens_add(struct parse_ctx *cx, struct ast_case *k, struct ast_expr *when,
                               struct ast_expr *then);
struct ast_expr *ast_case(struct parse_ctx *cx, struct token t, struct ast_expr *operand,
                          struct ast_case *whens, struct ast_expr *otherwise);

/* ---- ast_function.c ---- */
struct ast_bound_value {
    struct ast_expr *expr;
    uint8_t kind;
};
struct ast_frame_token {
    uint32_t offset;
    uint8_t mode;
};
struct ast_windows {
    struct ast_named_window *item;
    uint32_t count, cap;
};
struct ast_expr *ast_function(struct parse_ctx *cx, struct token name, struct ast_exprs *args,
                              int form);
struct ast_expr *ast_function_order(struct parse_ctx *cx, struct ast_expr *f,
                                    struct ast_orders *orders);
struct ast_expr *ast_function_from(struct parse_ctx *cx, struct token name, struct ast_expr *a,
                                   struct ast_expr *from, struct ast_expr *length);
struct ast_expr *ast_function_trim(struct parse_ctx *cx, struct token name, int side,
                                   struct ast_expr *chars, struct ast_expr *from);
struct ast_expr *ast_function_tail(struct parse_ctx *cx, struct ast_expr *f,
                                   struct ast_orders *within, struct ast_expr *filter, int nulls,
                                   struct ast_window *over);
struct ast_bound_value ast_bound(enum ast_bound kind, struct ast_expr *e);
struct ast_frame_token ast_frame_token(struct token t, enum ast_frame_mode mode);
struct ast_frame *ast_frame(struct parse_ctx *cx, struct ast_frame_token mode,
                            struct ast_bound_value start, struct ast_bound_value end, int exclude);
struct ast_window *ast_window(struct parse_ctx *cx, struct ast_name base,
                              struct ast_exprs *partition, struct ast_orders *orders,
                              struct ast_frame *frame);
struct ast_window *ast_window_reference(struct parse_ctx *cx, struct ast_name name);
struct ast_windows *ast_windows_add(struct parse_ctx *cx, struct ast_windows *list,
                                    struct ast_name name, struct ast_window *w);
uint32_t ast_window_height(const struct ast_window *w); /* NULL: 0 */

/* ---- ast_query.c ---- */
struct ast_set_token {
    uint32_t offset;
    uint8_t op;
};
struct ast_distinct {
    struct ast_exprs *on;
    bool distinct;
};
struct ast_join_on {
    struct ast_expr *on;
    struct ast_names *columns;
};
struct ast_hint {
    const char *indexed_by;
    bool not_indexed;
};
struct ast_as_of_value {
    struct ast_expr *expr;
    uint8_t kind;
};
struct ast_limit {
    struct ast_expr *count, *offset;
    bool with_ties;
};
enum { AST_JOIN_NATURAL = 64 }; /* added to enum ast_join by the grammar */

struct ast_query *ast_select(struct parse_ctx *cx, struct token t, struct ast_distinct distinct,
                             struct ast_results *results);
void ast_select_from(struct parse_ctx *cx, struct ast_query *q, struct ast_from_list *from,
                     struct ast_expr *where);
void ast_select_group(struct parse_ctx *cx, struct ast_query *q, struct ast_group_list *group,
                      struct ast_expr *having);
void ast_select_windows(struct parse_ctx *cx, struct ast_query *q, struct ast_windows *windows,
                        struct ast_expr *qualify);
struct ast_query *ast_select_table(struct parse_ctx *cx, struct token t, struct ast_qname *name);
struct ast_query *ast_values(struct parse_ctx *cx, struct token t, struct ast_rows *rows);
struct ast_rows *ast_rows_add(struct parse_ctx *cx, struct ast_rows *rows, struct ast_exprs *row);
struct ast_query *ast_query_tail(struct parse_ctx *cx, struct ast_query *q,
                                 struct ast_orders *orders, struct ast_limit *limit, int lock);
struct ast_query *
ast_query_wrap(struct parse_ctx *cx,
               struct ast_query *q); /* ready for another tail: a subquery where it has one */
struct ast_query *ast_query_with(struct parse_ctx *cx, struct ast_query *q, struct ast_with *with);
struct ast_query *ast_query_combine(struct parse_ctx *cx, struct ast_query *l,
                                    struct ast_set_token op, struct ast_query *r);
struct ast_set_token ast_set_token(struct token t, enum ast_set_op op);
struct ast_distinct ast_distinct(bool distinct, struct ast_exprs *on);
struct ast_result *ast_result(struct parse_ctx *cx, struct ast_expr *e, struct ast_name alias,
                              struct ast_span end);
struct ast_results *ast_results_add(struct parse_ctx *cx, struct ast_results *list,
                                    struct ast_result *r, struct ast_span start);
struct ast_limit *ast_limit(struct parse_ctx *cx, struct ast_expr *count, struct ast_expr *offset,
                            bool with_ties);
struct ast_with *ast_with_add(struct parse_ctx *cx, struct ast_with *with, struct ast_cte *cte);
struct ast_with *ast_with_recursive(struct parse_ctx *cx, struct ast_with *with);
struct ast_cte *ast_cte(struct parse_ctx *cx, struct ast_name name, struct ast_names *columns,
                        int materialized, struct ast_query *q);
struct ast_group *ast_group(struct parse_ctx *cx, enum ast_group_kind kind, struct ast_expr *e,
                            struct ast_group_list *nested);
struct ast_group_list *ast_groups_add(struct parse_ctx *cx, struct ast_group_list *list,
                                      struct ast_group *g);

/* ---- ast_from.c ---- */
struct ast_from *ast_from_table(struct parse_ctx *cx, struct ast_qname *name, struct ast_hint hint);
struct ast_from *ast_from_function(struct parse_ctx *cx, struct ast_qname *name,
                                   struct ast_exprs *args, bool lateral);
struct ast_from *ast_from_query(struct parse_ctx *cx, struct ast_query *q, bool lateral);
struct ast_from *ast_from_nested(struct parse_ctx *cx, struct token t, struct ast_from_list *list);
void ast_from_alias(struct parse_ctx *cx, struct ast_from *f, struct ast_name alias,
                    struct ast_names *columns);
void ast_from_as_of(struct parse_ctx *cx, struct ast_from *f, struct ast_as_of_value as_of);
struct ast_from_list *ast_from_add(struct parse_ctx *cx, struct ast_from_list *list,
                                   struct ast_from *f, enum ast_join join);
struct ast_from_list *ast_from_join(struct parse_ctx *cx, struct ast_from_list *list,
                                    struct ast_from *f, int join, struct ast_join_on on);
struct ast_join_on ast_join_on(struct ast_expr *on, struct ast_names *columns);
struct ast_hint ast_no_hint(void);
struct ast_hint ast_hint(struct ast_name indexed_by); /* absent: NOT INDEXED */
struct ast_as_of_value ast_as_of(enum ast_as_of kind, struct ast_expr *e);
uint32_t ast_from_height(const struct ast_from_list *list);

struct ast_expr *ast_at_zone(struct parse_ctx *cx, struct token t, struct ast_expr *value,
                             struct ast_expr *zone); /* zone NULL: AT LOCAL */
struct ast_name ast_zone_name(struct parse_ctx *cx, struct token t); /* of SET TIME ZONE */

/* ---- ast_write.c ---- */
struct ast_upserts {
    struct ast_upsert **item;
    uint32_t count, cap;
};
struct ast_stmt *ast_stmt(struct parse_ctx *cx, enum ast_stmt_kind kind, void *body);
struct ast_stmt *ast_insert(struct parse_ctx *cx, int conflict, struct ast_qname *table,
                            struct ast_name alias, struct ast_names *columns,
                            struct ast_query *source, struct ast_upserts *upserts);
struct ast_stmt *ast_insert_set(struct parse_ctx *cx, int conflict, struct ast_qname *table,
                                struct ast_name alias, struct token t, struct ast_assigns *set,
                                struct ast_upserts *upserts);
struct ast_stmt *ast_update(struct parse_ctx *cx, int conflict, struct ast_from *table,
                            struct ast_assigns *set);
struct ast_stmt *ast_delete(struct parse_ctx *cx, struct ast_from *table);
void ast_write_where(struct parse_ctx *cx, struct ast_stmt *s, struct ast_from_list *from,
                     struct ast_expr *where, struct ast_orders *orders, struct ast_limit *limit);
void ast_write_returning(struct parse_ctx *cx, struct ast_stmt *s, struct ast_results *returning);
struct ast_stmt *ast_write_with(struct parse_ctx *cx, struct ast_stmt *s, struct ast_with *with);
struct ast_upserts *ast_upserts_add(struct parse_ctx *cx, struct ast_upserts *list,
                                    struct ast_upsert *u);
struct ast_upsert *ast_upsert(struct parse_ctx *cx, struct ast_orders *target,
                              struct ast_expr *where);
struct ast_upsert *ast_upsert_update(struct parse_ctx *cx, struct ast_upsert *u,
                                     struct ast_assigns *set, struct ast_expr *where);
struct ast_upsert *ast_upsert_constraint(struct parse_ctx *cx, struct ast_name name);
struct ast_upsert *ast_upsert_duplicate(struct parse_ctx *cx, struct ast_assigns *set);
struct ast_assigns *ast_assigns_add(struct parse_ctx *cx, struct ast_assigns *list,
                                    struct ast_assign *a);
struct ast_assign *ast_assign(struct parse_ctx *cx, struct ast_name table,
                              struct ast_names *columns, struct ast_expr *value);

/* ---- ast_table.c ---- */
struct ast_as_query {
    struct ast_query *query;
    bool no_data;
};
struct ast_element {
    struct ast_column_def *column;
    struct ast_constraint *constraint;
};
struct ast_elements {
    struct ast_column_defs columns;
    struct ast_constraints constraints;
};
struct ast_stmt *ast_create_table(struct parse_ctx *cx, struct ast_qname *name, int temporary,
                                  int if_not_exists);
void ast_create_table_elements(struct parse_ctx *cx, struct ast_stmt *s, struct ast_elements *e,
                               struct ast_table_options *o);
void ast_create_table_as(struct parse_ctx *cx, struct ast_stmt *s, struct ast_as_query q);
void ast_create_table_like(struct parse_ctx *cx, struct ast_stmt *s, struct ast_qname *like);
struct ast_as_query ast_as_query(struct ast_query *q, bool no_data);
struct ast_element ast_element(struct ast_column_def *column, struct ast_constraint *constraint);
struct ast_elements *ast_elements_add(struct parse_ctx *cx, struct ast_elements *list,
                                      struct ast_element e);
struct ast_column_def *ast_column_start(struct parse_ctx *cx, struct ast_name name,
                                        struct ast_type *type);
void ast_column_finish(struct parse_ctx *cx);
void ast_constraint_name(struct parse_ctx *cx, struct ast_name name);
void ast_attr_default(struct parse_ctx *cx, struct ast_expr *e);
void ast_attr_null(struct parse_ctx *cx, int not_null, int conflict);
void ast_attr_key(struct parse_ctx *cx, enum ast_constraint_kind kind, struct token t, int dir,
                  int conflict);
void ast_attr_check(struct parse_ctx *cx, struct ast_constraint *check);
void ast_attr_references(struct parse_ctx *cx, struct ast_references *r);
void ast_attr_deferred(struct parse_ctx *cx, int deferred);
void ast_attr_collate(struct parse_ctx *cx, struct ast_name name);
void ast_attr_identity(struct parse_ctx *cx, struct token when);
void ast_attr_generated(struct parse_ctx *cx, struct ast_expr *e, int stored);
void ast_attr_autoincrement(struct parse_ctx *cx);
void ast_attr_comment(struct parse_ctx *cx, struct token t);
void ast_attr_kind(struct parse_ctx *cx, int kind);
void ast_attr_on_update(struct parse_ctx *cx, struct ast_expr *e);
struct ast_references *ast_references_new(struct parse_ctx *cx);
struct ast_references *ast_references(struct parse_ctx *cx, struct ast_qname *table,
                                      struct ast_names *columns, struct ast_references *r);
void ast_references_on(struct parse_ctx *cx, struct ast_references *r, bool is_delete, int action);
void ast_references_keep(struct parse_ctx *cx, struct ast_references *r);
void ast_references_match(struct parse_ctx *cx, struct ast_references *r, struct ast_name match);
struct ast_constraint *ast_key_constraint(struct parse_ctx *cx, enum ast_constraint_kind kind,
                                          struct token t, struct ast_orders *columns, int conflict,
                                          int autoincrement);
struct ast_constraint *ast_check(struct parse_ctx *cx, struct token t, struct ast_span start,
                                 struct ast_expr *e, struct ast_span end, int conflict);
struct ast_constraint *ast_foreign_key(struct parse_ctx *cx, struct token t,
                                       struct ast_names *columns, struct ast_references *r,
                                       int deferred);
struct ast_constraint *ast_merge_together(struct parse_ctx *cx, struct token t,
                                          struct ast_names *columns);
struct ast_constraint *ast_constraint_named(struct parse_ctx *cx, struct ast_constraint *c,
                                            struct ast_name name);
struct ast_table_options *ast_options_start(struct parse_ctx *cx);
void ast_option(struct parse_ctx *cx, struct token name, struct token value);
void ast_option_word(struct parse_ctx *cx, struct token first, struct token last);
void ast_option_constraint(struct parse_ctx *cx, struct ast_constraint *c);

/* ---- ast_schema.c ---- */
struct ast_event {
    struct ast_names *columns;
    uint8_t event;
};
struct ast_body {
    struct ast_stmt **item;
    uint32_t count, cap;
};
struct ast_stmt *ast_create_index(struct parse_ctx *cx, int unique, int if_not_exists,
                                  struct ast_qname *name, struct ast_qname *table);
void ast_create_index_columns(struct parse_ctx *cx, struct ast_stmt *s, struct ast_name method,
                              struct ast_orders *columns, struct ast_expr *where);
struct ast_stmt *ast_create_view(struct parse_ctx *cx, int temporary, int if_not_exists,
                                 int or_replace, struct ast_qname *name, struct ast_names *columns,
                                 struct ast_query *q);
struct ast_stmt *ast_create_trigger(struct parse_ctx *cx, int temporary, int if_not_exists,
                                    struct ast_qname *name, struct ast_qname *table);
void ast_create_trigger_when(struct parse_ctx *cx, struct ast_stmt *s, int time,
                             struct ast_event event, int for_each_row, struct ast_expr *when);
void ast_create_trigger_body(struct parse_ctx *cx, struct ast_stmt *s, struct ast_body *body);
struct ast_event ast_event(enum ast_trigger_event event, struct ast_names *columns);
struct ast_body *ast_body_add(struct parse_ctx *cx, struct ast_body *body, struct ast_stmt *s);
struct ast_stmt *ast_drop(struct parse_ctx *cx, int object, int if_exists, struct ast_qnames *names,
                          struct ast_qname *on_table, int behaviour);
struct ast_stmt *ast_alter(struct parse_ctx *cx, struct ast_qname *table, int if_exists,
                           struct ast_alter *actions);
struct ast_alter *ast_alter_add(struct parse_ctx *cx, struct ast_alter *list,
                                struct ast_alter_action *a);
struct ast_alter_action *ast_alter_column(struct parse_ctx *cx, struct ast_column_def *column,
                                          int if_not_exists);
struct ast_alter_action *ast_alter_constraint(struct parse_ctx *cx, struct ast_constraint *c);
struct ast_alter_action *ast_alter_drop(struct parse_ctx *cx, enum ast_alter_kind kind,
                                        struct ast_name name, int if_exists, int behaviour);
struct ast_alter_action *ast_alter_rename(struct parse_ctx *cx, enum ast_alter_kind kind,
                                          struct ast_name from, struct ast_name to);
struct ast_alter_action *ast_alter_default(struct parse_ctx *cx, struct ast_name name,
                                           struct ast_expr *e);
struct ast_alter_action *ast_alter_simple(struct parse_ctx *cx, enum ast_alter_kind kind,
                                          struct ast_name name, int detail);
struct ast_alter_action *ast_alter_type(struct parse_ctx *cx, struct ast_name name,
                                        struct ast_type *type);

/* ---- ast_command.c ---- */
struct ast_show_filter {
    struct ast_expr *like, *where;
};
struct ast_stmt *ast_transaction(struct parse_ctx *cx, enum ast_txn action, int mode, int access,
                                 struct ast_name savepoint);
struct ast_setting *ast_setting(struct parse_ctx *cx, struct ast_qname *name,
                                struct ast_expr *value, int scope);
struct ast_settings *ast_settings_add(struct parse_ctx *cx, struct ast_settings *list,
                                      struct ast_setting *s);
struct ast_expr *ast_setting_value(struct parse_ctx *cx, struct ast_expr *e);
struct ast_show_filter ast_show_filter(struct ast_expr *like, struct ast_expr *where);
struct ast_type *ast_show_word(struct parse_ctx *cx, struct ast_type *words, struct token word);
struct ast_stmt *ast_show(struct parse_ctx *cx, struct ast_type *words, struct ast_qname *name,
                          struct ast_qname *from, struct ast_show_filter filter);
struct ast_stmt *ast_show_create(struct parse_ctx *cx, struct token object, struct ast_qname *name);
struct ast_stmt *ast_describe(struct parse_ctx *cx, struct ast_qname *name);
struct ast_stmt *ast_maintenance(struct parse_ctx *cx, enum ast_stmt_kind kind,
                                 struct ast_qname *name, struct ast_expr *path);
struct ast_stmt *ast_backtrack(struct parse_ctx *cx, struct ast_qname *table,
                               struct ast_as_of_value to);
struct ast_stmt *ast_resolve(struct parse_ctx *cx, struct ast_expr *id, bool using_loser);
struct ast_stmt *ast_comment(struct parse_ctx *cx, int object, struct ast_qname *name,
                             const char *text);
struct ast_stmt *ast_comment_column(struct parse_ctx *cx, struct ast_qname *table,
                                    struct ast_name column, const char *text);
struct ast_stmt *ast_copy(struct parse_ctx *cx, struct ast_qname *table, struct ast_names *columns,
                          int is_from, const char *file, struct ast_options *o);
struct ast_stmt *ast_copy_query(struct parse_ctx *cx, struct ast_query *q, const char *file,
                                struct ast_options *o);
struct ast_option *ast_copy_option(struct parse_ctx *cx, struct token name,
                                   const struct token *value);
struct ast_stmt *ast_database(struct parse_ctx *cx, enum ast_stmt_kind kind, struct ast_name name,
                              struct ast_expr *file, int if_not_exists);

#endif

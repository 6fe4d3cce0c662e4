/* sql.y - the grammar of Quartet's SQL, for Lemon: SQLite's language and precedence, with what the standard and MySQL say differently
 * where both can be read. Actions only call ast_* (parser/ast_build.h); what they make lies in the statement's arena.
 *
 * Words are keywords only where they must be: those below %fallback ID are names wherever the grammar has no other use for them.
 * Beware: Lemon asks for the fallback before it takes a state's default reduction. So a word that may follow an alias, a type or
 * another optional name must not fall back to ID; lex_next() tells such words apart by their neighbours (OFFSETN, FORLOCK, ...).
 */
%name sql_lemon
%token_prefix TK_
%token_type {struct token}
%extra_context {struct parse_ctx *cx}
%stack_size 8000
%start_symbol input

%include {
#include "parser/ast_build.h"
#define YYNOERRORRECOVERY 1
#define YYPARSEFREENEVERNULL 1
#define YYMALLOCARGTYPE size_t
#define NDEBUG 1
}
%syntax_error { parse_ctx_unexpected(cx, yymajor); (void)yyminor; }
%stack_overflow { parse_ctx_too_deep(cx); }

%fallback ID
  ABORT ACTION AFTER ALWAYS ANALYZE ANY ASC ATTACH BACKTRACK BACKUP BEFORE BEGIN BOTH BY CASCADE CAST COLUMN COLUMNS
  COMMENT CONFLICT COPY COUNTER CTIME CUBE CURRENT DATABASE DATA DEFERRED DESC DESCRIBE DETACH DIV DO DUPLICATE EACH END EXCLUDE
  EXCLUSIVE EXPLAIN FAIL FALSE FILTER FIRST FOLLOWING FOR GROUPING GROUPS IDENTITY IF IGNORE
  IMMEDIATE INITIALLY INSTEAD KEEP KEY LAST LATERAL LEADING LIKE_KW LOSE LOSER LWW MATCH MATERIALIZED MAXIMUM MERGE MINIMUM MOD MULTIVALUE
  NAMES NEXT NO NOTHING NULLS OF OFFSET ONLY OTHERS OVER PARENT PARTITION PLAN PRAGMA PRECEDING QUERY RAISE RANGE READ RECURSIVE REINDEX
  RELEASE RENAME REPLACE RESOLVE RESPECT RESTRICT ROLLBACK ROLLUP ROW ROWS SAVEPOINT SCHEMA SESSION SETS SHARE SHOW SIMILAR SOME
  STAMP START STDIN STDOUT STORED STRICT SYMMETRIC TEMP TIES TIME TOGETHER TRAILING TRIGGER TRUE TRUNCATE TRYCAST TYPE UNBOUNDED 
  USE VACUUM VIEW VIRTUAL WIN WINNER WITHIN WITHOUT WORK WRITE XOR ZONE GLOBAL LOCAL CONCURRENTLY UNSIGNED CHARSET.

%nonassoc LOWEST.
%nonassoc RP.
%left OR.
%left XOR.
%left AND.
%right NOT.
%left IS MATCH LIKE LIKE_KW SIMILAR BETWEEN IN ISNULL NOTNULL NE EQ NULLEQ.
%left GT LE LT GE.
%right ESCAPE.
%left BITAND BITOR LSHIFT RSHIFT.
%left PLUS MINUS.
%left STAR SLASH REM DIV MOD.
%left CONCAT PTR PTR2.
%left COLLATE ATZONE.
%right BITNOT.
%left TYPECAST.

/* ---- statements ---- */

input ::= cmd(S). { parse_ctx_done(cx, S, AST_EXPLAIN_NONE); }
input ::= EXPLAIN xcmd(S). { parse_ctx_done(cx, S, AST_EXPLAIN_PLAN); }
input ::= EXPLAIN QUERY PLAN xcmd(S). { parse_ctx_done(cx, S, AST_EXPLAIN_PLAN); }
input ::= EXPLAIN ANALYZE xcmd(S). { parse_ctx_done(cx, S, AST_EXPLAIN_ANALYZE); }
input ::= EXPLAIN MERGE xcmd(S). { parse_ctx_done(cx, S, AST_EXPLAIN_MERGE); }
input ::= PARSE_EXPRESSION expr(E). { parse_ctx_expression_done(cx, E); }

%type cmd {struct ast_stmt *}
%type xcmd {struct ast_stmt *}
cmd(A) ::= xcmd(A).
cmd(A) ::= ANALYZE qname_opt(N). { A = ast_maintenance(cx, AST_STMT_ANALYZE, N, NULL); }

xcmd(A) ::= dml(A).
xcmd(A) ::= query(Q). { A = ast_stmt(cx, AST_STMT_SELECT, Q); }

%type dml {struct ast_stmt *}
dml(A) ::= write(A).
dml(A) ::= with(W) write(S). { A = ast_write_with(cx, S, W); }
%type write {struct ast_stmt *}

/* ---- names ---- */

%type nm {struct ast_name}
nm(A) ::= ID(T). { A = ast_name(cx, T); }
nm(A) ::= STRING(T). { A = ast_name(cx, T); }
%type nm_opt {struct ast_name}
nm_opt(A) ::= . { A = ast_no_name(); }
nm_opt(A) ::= nm(A).
%type ids {struct ast_name}
ids(A) ::= ID(T). { A = ast_name(cx, T); }
ids(A) ::= STRING(T). { A = ast_name(cx, T); }
%type qname {struct ast_qname *}
qname(A) ::= nm(N). { A = ast_qname(cx, ast_no_name(), N); }
qname(A) ::= nm(S) DOT nm(N). { A = ast_qname(cx, S, N); }
%type qname_opt {struct ast_qname *}
qname_opt(A) ::= . { A = NULL; }
qname_opt(A) ::= qname(A).
%type names {struct ast_names *}
names(A) ::= nm(N). { A = ast_names_add(cx, NULL, N); }
names(A) ::= names(L) COMMA nm(N). { A = ast_names_add(cx, L, N); }
%type names_opt {struct ast_names *}
names_opt(A) ::= . { A = NULL; }
names_opt(A) ::= LP names(L) RP. { A = L; }
%type qnames {struct ast_qnames *}
qnames(A) ::= qname(N). { A = ast_qnames_add(cx, NULL, N); }
qnames(A) ::= qnames(L) COMMA qname(N). { A = ast_qnames_add(cx, L, N); }

%type ifnotexists {int}
ifnotexists(A) ::= . { A = 0; }
ifnotexists(A) ::= IF NOT EXISTS. { A = 1; }
%type ifexists {int}
ifexists(A) ::= . { A = 0; }
ifexists(A) ::= IF EXISTS. { A = 1; }
%type temp {int}
temp(A) ::= . { A = 0; }
temp(A) ::= TEMP. { A = 1; }

/* Where the next token begins, and where the last one ended: the text of what stands between two of these. */
%type here {struct ast_span}
here(A) ::= . { A = ast_here(cx); }

/* ---- queries ---- */

%type query {struct ast_query *}
%type select_np {struct ast_query *}
%type select_p {struct ast_query *}
%type body {struct ast_query *}
%type core {struct ast_query *}
%type operand {struct ast_query *}
query(A) ::= select_np(A).
query(A) ::= select_p(A).
select_p(A) ::= LP select_np(Q) RP. { A = Q; }
select_p(A) ::= LP select_p(Q) RP. { A = Q; }
select_np(A) ::= body(B) orderby_opt(O) limit_opt(L) lock_opt(K). { A = ast_query_tail(cx, B, O, L, K); }
select_np(A) ::= select_p(B) orderby(O) limit_opt(L) lock_opt(K). { A = ast_query_tail(cx, ast_query_wrap(cx, B), O, L, K); }
select_np(A) ::= select_p(B) limit(L) lock_opt(K). { A = ast_query_tail(cx, ast_query_wrap(cx, B), NULL, L, K); }
select_np(A) ::= with(W) body(B) orderby_opt(O) limit_opt(L) lock_opt(K). { A = ast_query_with(cx, ast_query_tail(cx, B, O, L, K), W); }
select_np(A) ::= with(W) select_p(B) orderby_opt(O) limit_opt(L) lock_opt(K). {
  A = ast_query_with(cx, ast_query_tail(cx, ast_query_wrap(cx, B), O, L, K), W);
}
body(A) ::= core(A).
body(A) ::= body(L) setop(P) operand(R). { A = ast_query_combine(cx, L, P, R); }
body(A) ::= select_p(L) setop(P) operand(R). { A = ast_query_combine(cx, L, P, R); }
operand(A) ::= core(A).
operand(A) ::= select_p(A).

%type setop {struct ast_set_token}
setop(A) ::= UNION(T). { A = ast_set_token(T, AST_SET_UNION); }
setop(A) ::= UNION(T) DISTINCT. { A = ast_set_token(T, AST_SET_UNION); }
setop(A) ::= UNION(T) ALL. { A = ast_set_token(T, AST_SET_UNION_ALL); }
setop(A) ::= EXCEPT(T). { A = ast_set_token(T, AST_SET_EXCEPT); }
setop(A) ::= EXCEPT(T) DISTINCT. { A = ast_set_token(T, AST_SET_EXCEPT); }
setop(A) ::= EXCEPT(T) ALL. { A = ast_set_token(T, AST_SET_EXCEPT_ALL); }
setop(A) ::= INTERSECT(T). { A = ast_set_token(T, AST_SET_INTERSECT); }
setop(A) ::= INTERSECT(T) DISTINCT. { A = ast_set_token(T, AST_SET_INTERSECT); }
setop(A) ::= INTERSECT(T) ALL. { A = ast_set_token(T, AST_SET_INTERSECT_ALL); }

core(A) ::= SELECT(T) distinct(D) results(R) from_opt(F) where_opt(W) groupby_opt(G) having_opt(H) window_opt(N) qualify_opt(U). {
  A = ast_select(cx, T, D, R);
  ast_select_from(cx, A, F, W);
  ast_select_group(cx, A, G, H);
  ast_select_windows(cx, A, N, U);
}
core(A) ::= VALUES(T) rows(R). { A = ast_values(cx, T, R); }
core(A) ::= TABLE(T) qname(N). { A = ast_select_table(cx, T, N); }

%type rows {struct ast_rows *}
rows(A) ::= LP vexprs(L) RP. { A = ast_rows_add(cx, NULL, L); }
rows(A) ::= rows(R) COMMA LP vexprs(L) RP. { A = ast_rows_add(cx, R, L); }
%type vexprs {struct ast_exprs *}
vexprs(A) ::= vexpr(E). { A = ast_exprs_add(cx, NULL, E); }
vexprs(A) ::= vexprs(L) COMMA vexpr(E). { A = ast_exprs_add(cx, L, E); }
%type vexpr {struct ast_expr *}
vexpr(A) ::= expr(A).
vexpr(A) ::= DEFAULT(T). { A = ast_leaf(cx, AST_EXPR_DEFAULT, T); }

%type distinct {struct ast_distinct}
distinct(A) ::= . { A = ast_distinct(false, NULL); }
distinct(A) ::= ALL. { A = ast_distinct(false, NULL); }
distinct(A) ::= DISTINCT. { A = ast_distinct(true, NULL); }
distinct(A) ::= DISTINCT ON LP exprs(L) RP. { A = ast_distinct(true, L); }

%type results {struct ast_results *}
results(A) ::= here(P) result(R). { A = ast_results_add(cx, NULL, R, P); }
results(A) ::= results(L) COMMA here(P) result(R). { A = ast_results_add(cx, L, R, P); }
%type result {struct ast_result *}
result(A) ::= expr(E) here(P) alias_opt(N). { A = ast_result(cx, E, N, P); }
result(A) ::= STAR(T) here(P). { A = ast_result(cx, ast_star(cx, T, NULL), ast_no_name(), P); }
result(A) ::= nm(N) DOT STAR(T) here(P). { A = ast_result(cx, ast_star(cx, T, ast_qname(cx, ast_no_name(), N)), ast_no_name(), P); }
result(A) ::= nm(S) DOT nm(N) DOT STAR(T) here(P). { A = ast_result(cx, ast_star(cx, T, ast_qname(cx, S, N)), ast_no_name(), P); }

%type alias_opt {struct ast_name}
alias_opt(A) ::= . [LOWEST] { A = ast_no_name(); }
alias_opt(A) ::= AS nm(B). { A = B; }
alias_opt(A) ::= ids(A).

%type from_opt {struct ast_from_list *}
from_opt(A) ::= . { A = NULL; }
from_opt(A) ::= FROM from_list(B). { A = B; }
%type from_list {struct ast_from_list *}
from_list(A) ::= source(S). { A = ast_from_add(cx, NULL, S, AST_JOIN_FIRST); }
from_list(A) ::= from_list(L) COMMA source(S). { A = ast_from_add(cx, L, S, AST_JOIN_COMMA); }
from_list(A) ::= from_list(L) joinop(J) source(S) join_on(C). { A = ast_from_join(cx, L, S, J, C); }

%type joinop {int}
joinop(A) ::= JOIN. { A = AST_JOIN_INNER; }
joinop(A) ::= INNER JOIN. { A = AST_JOIN_INNER; }
joinop(A) ::= CROSS JOIN. { A = AST_JOIN_CROSS; }
joinop(A) ::= jointype(A) outer_opt JOIN.
joinop(A) ::= NATURAL JOIN. { A = AST_JOIN_INNER | AST_JOIN_NATURAL; }
joinop(A) ::= NATURAL INNER JOIN. { A = AST_JOIN_INNER | AST_JOIN_NATURAL; }
joinop(A) ::= NATURAL CROSS JOIN. { A = AST_JOIN_INNER | AST_JOIN_NATURAL; }
joinop(A) ::= NATURAL jointype(T) outer_opt JOIN. { A = T | AST_JOIN_NATURAL; }
%type jointype {int}
jointype(A) ::= LEFT. { A = AST_JOIN_LEFT; }
jointype(A) ::= RIGHT. { A = AST_JOIN_RIGHT; }
jointype(A) ::= FULL. { A = AST_JOIN_FULL; }
outer_opt ::= .
outer_opt ::= OUTER.
%type join_on {struct ast_join_on}
join_on(A) ::= . { A = ast_join_on(NULL, NULL); }
join_on(A) ::= ON expr(E). { A = ast_join_on(E, NULL); }
join_on(A) ::= USING LP names(L) RP. { A = ast_join_on(NULL, L); }

%type source {struct ast_from *}
source(A) ::= table_source(A).
source(A) ::= qname(N) LP exprs_opt(L) RP alias_opt(B) names_opt(C). { A = ast_from_function(cx, N, L, false); ast_from_alias(cx, A, B, C); }
source(A) ::= LATERAL qname(N) LP exprs_opt(L) RP alias_opt(B) names_opt(C). { A = ast_from_function(cx, N, L, true); ast_from_alias(cx, A, B, C); }
source(A) ::= select_p(Q) alias_opt(B) names_opt(C). { A = ast_from_query(cx, Q, false); ast_from_alias(cx, A, B, C); }
source(A) ::= LATERAL select_p(Q) alias_opt(B) names_opt(C). { A = ast_from_query(cx, Q, true); ast_from_alias(cx, A, B, C); }
source(A) ::= LP(T) from_list(L) RP alias_opt(B) names_opt(C). { A = ast_from_nested(cx, T, L); ast_from_alias(cx, A, B, C); }

%type table_source {struct ast_from *}
table_source(A) ::= qname(N) alias_opt(B) indexed_opt(I). { A = ast_from_table(cx, N, I); ast_from_alias(cx, A, B, NULL); }
table_source(A) ::= qname(N) alias(B) LP names(C) RP. { A = ast_from_table(cx, N, ast_no_hint()); ast_from_alias(cx, A, B, C); }
table_source(A) ::= qname(N) AS OF as_of(F) alias_opt(B). {
  A = ast_from_table(cx, N, ast_no_hint());
  ast_from_alias(cx, A, B, NULL);
  ast_from_as_of(cx, A, F);
}
%type alias {struct ast_name}
alias(A) ::= AS nm(B). { A = B; }
alias(A) ::= ids(A).
%type as_of {struct ast_as_of_value}
as_of(A) ::= expr(E). { A = ast_as_of(AST_AS_OF_TIME, E); }
as_of(A) ::= STAMP expr(E). { A = ast_as_of(AST_AS_OF_STAMP, E); }
%type indexed_opt {struct ast_hint}
indexed_opt(A) ::= . { A = ast_no_hint(); }
indexed_opt(A) ::= INDEXED BY nm(N). { A = ast_hint(N); }
indexed_opt(A) ::= NOT INDEXED. { A = ast_hint(ast_no_name()); }

%type where_opt {struct ast_expr *}
where_opt(A) ::= . { A = NULL; }
where_opt(A) ::= WHERE expr(B). { A = B; }
%type having_opt {struct ast_expr *}
having_opt(A) ::= . { A = NULL; }
having_opt(A) ::= HAVING expr(B). { A = B; }
%type qualify_opt {struct ast_expr *}
qualify_opt(A) ::= . { A = NULL; }
qualify_opt(A) ::= QUALIFY expr(B). { A = B; }

%type groupby_opt {struct ast_group_list *}
groupby_opt(A) ::= . { A = NULL; }
groupby_opt(A) ::= GROUP BY group_list(B). { A = B; }
groupby_opt(A) ::= GROUP BY group_list(L) WITHROLLUP ROLLUP. { A = ast_groups_add(cx, NULL, ast_group(cx, AST_GROUP_ROLLUP, NULL, L)); }
%type group_list {struct ast_group_list *}
group_list(A) ::= group(G). { A = ast_groups_add(cx, NULL, G); }
group_list(A) ::= group_list(L) COMMA group(G). { A = ast_groups_add(cx, L, G); }
%type group {struct ast_group *}
group(A) ::= expr(E). { A = ast_group(cx, AST_GROUP_EXPR, E, NULL); }
group(A) ::= LP RP. { A = ast_group(cx, AST_GROUP_EMPTY, NULL, NULL); }
group(A) ::= ROLLUP LP group_list(L) RP. { A = ast_group(cx, AST_GROUP_ROLLUP, NULL, L); }
group(A) ::= CUBE LP group_list(L) RP. { A = ast_group(cx, AST_GROUP_CUBE, NULL, L); }
group(A) ::= GROUPING SETS LP group_list(L) RP. { A = ast_group(cx, AST_GROUP_SETS, NULL, L); }

%type orderby_opt {struct ast_orders *}
orderby_opt(A) ::= . { A = NULL; }
orderby_opt(A) ::= orderby(A).
%type orderby {struct ast_orders *}
orderby(A) ::= ORDER BY orders(B). { A = B; }
%type orders {struct ast_orders *}
orders(A) ::= order(O). { A = ast_orders_add(cx, NULL, O); }
orders(A) ::= orders(L) COMMA order(O). { A = ast_orders_add(cx, L, O); }
%type order {struct ast_order}
order(A) ::= expr(E) sortdir(D) nulls_opt(N). { A = ast_order(E, D, N); }
%type sortdir {int}
sortdir(A) ::= . { A = AST_SORT_DEFAULT; }
sortdir(A) ::= ASC. { A = AST_SORT_ASC; }
sortdir(A) ::= DESC. { A = AST_SORT_DESC; }
%type nulls_opt {int}
nulls_opt(A) ::= . { A = AST_NULLS_DEFAULT; }
nulls_opt(A) ::= NULLS FIRST. { A = AST_NULLS_FIRST; }
nulls_opt(A) ::= NULLS LAST. { A = AST_NULLS_LAST; }

%type limit_opt {struct ast_limit *}
limit_opt(A) ::= . { A = NULL; }
limit_opt(A) ::= limit(A).
%type limit {struct ast_limit *}
limit(A) ::= LIMIT limit_count(N). { A = ast_limit(cx, N, NULL, false); }
limit(A) ::= LIMIT limit_count(N) offset expr(O). { A = ast_limit(cx, N, O, false); }
limit(A) ::= LIMIT expr(O) COMMA expr(N). { A = ast_limit(cx, N, O, false); }
limit(A) ::= OFFSETN expr(O) rows_opt. { A = ast_limit(cx, NULL, O, false); }
limit(A) ::= OFFSETN expr(O) rows_opt FETCH first count_opt(N) rows_opt ties(T). { A = ast_limit(cx, N, O, T != 0); }
limit(A) ::= FETCH first count_opt(N) rows_opt ties(T). { A = ast_limit(cx, N, NULL, T != 0); }
%type limit_count {struct ast_expr *}
limit_count(A) ::= expr(A).
limit_count(A) ::= ALL. { A = NULL; }
offset ::= OFFSET.
offset ::= OFFSETN.
first ::= FIRST.
first ::= NEXT.
rows_opt ::= .
rows_opt ::= ROW.
rows_opt ::= ROWS.
%type count_opt {struct ast_expr *}
count_opt(A) ::= . { A = ast_one(cx); }
count_opt(A) ::= number(A).
count_opt(A) ::= param(A).
count_opt(A) ::= LP expr(B) RP. { A = B; }
%type ties {int}
ties(A) ::= ONLY. { A = 0; }
ties(A) ::= WITH TIES. { A = 1; }
%type lock_opt {int}
lock_opt(A) ::= . { A = 0; }
lock_opt(A) ::= FORLOCK UPDATE. { A = 1; }
lock_opt(A) ::= FORLOCK SHARE. { A = 1; }

%type with {struct ast_with *}
with(A) ::= WITH ctes(B). { A = B; }
with(A) ::= WITH RECURSIVE ctes(L). { A = ast_with_recursive(cx, L); }
%type ctes {struct ast_with *}
ctes(A) ::= cte(C). { A = ast_with_add(cx, NULL, C); }
ctes(A) ::= ctes(L) COMMA cte(C). { A = ast_with_add(cx, L, C); }
%type cte {struct ast_cte *}
cte(A) ::= nm(N) names_opt(L) AS materialized(M) select_p(Q). { A = ast_cte(cx, N, L, M, Q); }
%type materialized {int}
materialized(A) ::= . { A = 0; }
materialized(A) ::= MATERIALIZED. { A = AST_CTE_MATERIALIZED; }
materialized(A) ::= NOT MATERIALIZED. { A = AST_CTE_NOT_MATERIALIZED; }

/* ---- windows ---- */

%type window_opt {struct ast_windows *}
window_opt(A) ::= . { A = NULL; }
window_opt(A) ::= WINDOW window_list(B). { A = B; }
%type window_list {struct ast_windows *}
window_list(A) ::= nm(N) AS LP window(W) RP. { A = ast_windows_add(cx, NULL, N, W); }
window_list(A) ::= window_list(L) COMMA nm(N) AS LP window(W) RP. { A = ast_windows_add(cx, L, N, W); }
%type window {struct ast_window *}
window(A) ::= frame_opt(F). { A = ast_window(cx, ast_no_name(), NULL, NULL, F); }
window(A) ::= ORDER BY orders(O) frame_opt(F). { A = ast_window(cx, ast_no_name(), NULL, O, F); }
window(A) ::= PARTITION BY exprs(P) orderby_opt(O) frame_opt(F). { A = ast_window(cx, ast_no_name(), P, O, F); }
window(A) ::= nm(N) frame_opt(F). { A = ast_window(cx, N, NULL, NULL, F); }
window(A) ::= nm(N) ORDER BY orders(O) frame_opt(F). { A = ast_window(cx, N, NULL, O, F); }
window(A) ::= nm(N) PARTITION BY exprs(P) orderby_opt(O) frame_opt(F). { A = ast_window(cx, N, P, O, F); }
%type frame_opt {struct ast_frame *}
frame_opt(A) ::= . { A = NULL; }
frame_opt(A) ::= frame_mode(M) bound(S) exclude_opt(X). { A = ast_frame(cx, M, S, ast_bound(AST_BOUND_CURRENT_ROW, NULL), X); }
frame_opt(A) ::= frame_mode(M) BETWEEN bound(S) AND bound(E) exclude_opt(X). { A = ast_frame(cx, M, S, E, X); }
%type frame_mode {struct ast_frame_token}
frame_mode(A) ::= ROWS(T). { A = ast_frame_token(T, AST_FRAME_ROWS); }
frame_mode(A) ::= RANGE(T). { A = ast_frame_token(T, AST_FRAME_RANGE); }
frame_mode(A) ::= GROUPS(T). { A = ast_frame_token(T, AST_FRAME_GROUPS); }
%type bound {struct ast_bound_value}
bound(A) ::= UNBOUNDED PRECEDING. { A = ast_bound(AST_BOUND_UNBOUNDED_PRECEDING, NULL); }
bound(A) ::= UNBOUNDED FOLLOWING. { A = ast_bound(AST_BOUND_UNBOUNDED_FOLLOWING, NULL); }
bound(A) ::= CURRENT ROW. { A = ast_bound(AST_BOUND_CURRENT_ROW, NULL); }
bound(A) ::= expr(E) PRECEDING. { A = ast_bound(AST_BOUND_PRECEDING, E); }
bound(A) ::= expr(E) FOLLOWING. { A = ast_bound(AST_BOUND_FOLLOWING, E); }
%type exclude_opt {int}
exclude_opt(A) ::= . { A = AST_EXCLUDE_NO_OTHERS; }
exclude_opt(A) ::= EXCLUDE NO OTHERS. { A = AST_EXCLUDE_NO_OTHERS; }
exclude_opt(A) ::= EXCLUDE CURRENT ROW. { A = AST_EXCLUDE_CURRENT_ROW; }
exclude_opt(A) ::= EXCLUDE GROUP. { A = AST_EXCLUDE_GROUP; }
exclude_opt(A) ::= EXCLUDE TIES. { A = AST_EXCLUDE_TIES; }

/* ---- expressions ---- */

%type expr {struct ast_expr *}
%type term {struct ast_expr *}
%type number {struct ast_expr *}
%type param {struct ast_expr *}
%type exprs {struct ast_exprs *}
%type exprs_opt {struct ast_exprs *}
exprs(A) ::= expr(E). { A = ast_exprs_add(cx, NULL, E); }
exprs(A) ::= exprs(L) COMMA expr(E). { A = ast_exprs_add(cx, L, E); }
exprs_opt(A) ::= . { A = NULL; }
exprs_opt(A) ::= exprs(A).

number(A) ::= INTEGER(T). { A = ast_number(cx, T); }
number(A) ::= FLOAT(T). { A = ast_number(cx, T); }
param(A) ::= PARAM(T). { A = ast_param(cx, T); }
term(A) ::= number(A).
term(A) ::= NULL(T). { A = ast_leaf(cx, AST_EXPR_NULL, T); }
term(A) ::= TRUE(T). { A = ast_bool(cx, T, true); }
term(A) ::= FALSE(T). { A = ast_bool(cx, T, false); }
term(A) ::= STRING(T). { A = ast_string(cx, T); }
term(A) ::= BLOB(T). { A = ast_blob(cx, T); }
term(A) ::= DATE(N) STRING(T). { A = ast_typed(cx, N, T, NULL); }
term(A) ::= INTERVAL(N) STRING(T). { A = ast_typed(cx, N, T, NULL); }
term(A) ::= INTERVALU(N) STRING(T) ID(U). { A = ast_typed(cx, N, T, &U); }
term(A) ::= INTERVALU(N) INTEGER(T) ID(U). { A = ast_typed(cx, N, T, &U); }
term(A) ::= CTIME(T). { A = ast_function(cx, T, NULL, AST_FUNCTION_PLAIN); }
term(A) ::= CTIME(T) LP exprs_opt(L) RP. { A = ast_function(cx, T, L, AST_FUNCTION_PLAIN); }

expr(A) ::= term(A).
expr(A) ::= param(A).
expr(A) ::= LP expr(E) RP. { A = E; }
expr(A) ::= LP(T) expr(E) COMMA exprs(L) RP. { A = ast_row(cx, T, E, L); }
expr(A) ::= select_p(Q). [LOWEST] { A = ast_subquery(cx, AST_EXPR_SUBQUERY, Q, NULL); }
expr(A) ::= ID(N). { A = ast_column_id(cx, N); }
expr(A) ::= nm(T) DOT nm(N). { A = ast_column(cx, ast_no_name(), T, N); }
expr(A) ::= nm(S) DOT nm(T) DOT nm(N). { A = ast_column_full(cx, S, T, N); }
expr(A) ::= EXISTS(T) select_p(Q). { A = ast_subquery(cx, AST_EXPR_EXISTS, Q, &T); }
expr(A) ::= RAISE(T) LP IGNORE RP. { A = ast_raise(cx, T, AST_RAISE_IGNORE, NULL); }
expr(A) ::= RAISE(T) LP raise(K) COMMA STRING(M) RP. { A = ast_raise(cx, T, K, &M); }
%type raise {int}
raise(A) ::= ROLLBACK. { A = AST_RAISE_ROLLBACK; }
raise(A) ::= ABORT. { A = AST_RAISE_ABORT; }
raise(A) ::= FAIL. { A = AST_RAISE_FAIL; }

expr(A) ::= expr(L) OR(T) expr(R). { A = ast_and_or(cx, AST_EXPR_OR, T, L, R); }
expr(A) ::= expr(L) AND(T) expr(R). { A = ast_and_or(cx, AST_EXPR_AND, T, L, R); }
expr(A) ::= expr(L) XOR(T) expr(R). { A = ast_binary(cx, AST_OP_XOR, T, L, R); }
expr(A) ::= NOT(T) expr(E). { A = ast_unary(cx, AST_OP_NOT, T, E); }
expr(A) ::= expr(L) EQ(T) expr(R). { A = ast_binary(cx, AST_OP_EQ, T, L, R); }
expr(A) ::= expr(L) NE(T) expr(R). { A = ast_binary(cx, AST_OP_NE, T, L, R); }
expr(A) ::= expr(L) NULLEQ(T) expr(R). { A = ast_is(cx, false, T, L, R); }
expr(A) ::= expr(L) IS(T) expr(R). { A = ast_is(cx, false, T, L, R); }
expr(A) ::= expr(L) IS(T) NOT expr(R). [IS] { A = ast_is(cx, true, T, L, R); }
expr(A) ::= expr(L) IS(T) DISTINCT FROM expr(R). [IS] { A = ast_binary(cx, AST_OP_IS_NOT, T, L, R); }
expr(A) ::= expr(L) IS(T) NOT DISTINCT FROM expr(R). [IS] { A = ast_binary(cx, AST_OP_IS, T, L, R); }
expr(A) ::= expr(E) ISNULL(T). { A = ast_unary(cx, AST_OP_IS_NULL, T, E); }
expr(A) ::= expr(E) NOTNULL(T). { A = ast_unary(cx, AST_OP_NOT_NULL, T, E); }
expr(A) ::= expr(E) NOT(T) NULL. { A = ast_unary(cx, AST_OP_NOT_NULL, T, E); }
expr(A) ::= expr(L) LT(T) expr(R). { A = ast_binary(cx, AST_OP_LT, T, L, R); }
expr(A) ::= expr(L) LE(T) expr(R). { A = ast_binary(cx, AST_OP_LE, T, L, R); }
expr(A) ::= expr(L) GT(T) expr(R). { A = ast_binary(cx, AST_OP_GT, T, L, R); }
expr(A) ::= expr(L) GE(T) expr(R). { A = ast_binary(cx, AST_OP_GE, T, L, R); }
expr(A) ::= expr(L) BITAND(T) expr(R). { A = ast_binary(cx, AST_OP_BITAND, T, L, R); }
expr(A) ::= expr(L) BITOR(T) expr(R). { A = ast_binary(cx, AST_OP_BITOR, T, L, R); }
expr(A) ::= expr(L) LSHIFT(T) expr(R). { A = ast_binary(cx, AST_OP_SHL, T, L, R); }
expr(A) ::= expr(L) RSHIFT(T) expr(R). { A = ast_binary(cx, AST_OP_SHR, T, L, R); }
expr(A) ::= expr(L) PLUS(T) expr(R). { A = ast_binary(cx, AST_OP_ADD, T, L, R); }
expr(A) ::= expr(L) MINUS(T) expr(R). { A = ast_binary(cx, AST_OP_SUB, T, L, R); }
expr(A) ::= expr(L) STAR(T) expr(R). { A = ast_binary(cx, AST_OP_MUL, T, L, R); }
expr(A) ::= expr(L) SLASH(T) expr(R). { A = ast_binary(cx, AST_OP_DIV, T, L, R); }
expr(A) ::= expr(L) REM(T) expr(R). { A = ast_binary(cx, AST_OP_MOD, T, L, R); }
expr(A) ::= expr(L) MOD(T) expr(R). { A = ast_binary(cx, AST_OP_MOD, T, L, R); }
expr(A) ::= expr(L) DIV(T) expr(R). { A = ast_binary(cx, AST_OP_IDIV, T, L, R); }
expr(A) ::= expr(L) CONCAT(T) expr(R). { A = ast_binary(cx, AST_OP_CONCAT, T, L, R); }
expr(A) ::= expr(L) PTR(T) expr(R). { A = ast_binary(cx, AST_OP_JSON_GET, T, L, R); }
expr(A) ::= expr(L) PTR2(T) expr(R). { A = ast_binary(cx, AST_OP_JSON_GET_TEXT, T, L, R); }
expr(A) ::= MINUS(T) expr(E). [BITNOT] { A = ast_unary(cx, AST_OP_NEG, T, E); }
expr(A) ::= PLUS(T) expr(E). [BITNOT] { A = ast_unary(cx, AST_OP_POS, T, E); }
expr(A) ::= BITNOT(T) expr(E). { A = ast_unary(cx, AST_OP_BITNOT, T, E); }
expr(A) ::= expr(E) ATZONE(T) TIME ZONE expr(Z). [COLLATE] { A = ast_at_zone(cx, T, E, Z); }
expr(A) ::= expr(E) ATZONE(T) LOCAL. [COLLATE] { A = ast_at_zone(cx, T, E, NULL); }
expr(A) ::= expr(E) COLLATE(T) ids(N). { A = ast_collate(cx, T, E, N); }
expr(A) ::= expr(E) TYPECAST(T) casttype(Y). { A = ast_cast(cx, T, E, Y, false); }
expr(A) ::= CAST(T) LP expr(E) AS type(Y) RP. { A = ast_cast(cx, T, E, Y, false); }
expr(A) ::= TRYCAST(T) LP expr(E) AS type(Y) RP. { A = ast_cast(cx, T, E, Y, true); }

%type likeop {struct ast_op_token}
likeop(A) ::= LIKE(T). { A = ast_like_op(T, false); }
likeop(A) ::= LIKE_KW(T). { A = ast_like_op(T, false); }
likeop(A) ::= MATCH(T). { A = ast_like_op(T, false); }
likeop(A) ::= SIMILAR(T) TO. { A = ast_like_op(T, false); }
likeop(A) ::= NOT LIKE(T). { A = ast_like_op(T, true); }
likeop(A) ::= NOT LIKE_KW(T). { A = ast_like_op(T, true); }
likeop(A) ::= NOT MATCH(T). { A = ast_like_op(T, true); }
likeop(A) ::= NOT SIMILAR(T) TO. { A = ast_like_op(T, true); }
expr(A) ::= expr(L) likeop(O) expr(R). [LIKE_KW] { A = ast_like(cx, O, L, R, NULL); }
expr(A) ::= expr(L) likeop(O) expr(R) ESCAPE expr(E). [LIKE_KW] { A = ast_like(cx, O, L, R, E); }

%type between {struct ast_op_token}
between(A) ::= BETWEEN(T). { A = ast_op_token(T, 0); }
between(A) ::= NOT BETWEEN(T). { A = ast_op_token(T, AST_NEGATED); }
between(A) ::= BETWEEN(T) SYMMETRIC. { A = ast_op_token(T, AST_SYMMETRIC); }
between(A) ::= NOT BETWEEN(T) SYMMETRIC. { A = ast_op_token(T, AST_NEGATED | AST_SYMMETRIC); }
expr(A) ::= expr(V) between(O) expr(L) AND expr(H). [BETWEEN] { A = ast_between(cx, O, V, L, H); }

%type in {struct ast_op_token}
in(A) ::= IN(T). { A = ast_op_token(T, 0); }
in(A) ::= NOT IN(T). { A = ast_op_token(T, AST_NEGATED); }
expr(A) ::= expr(L) in(O) LP exprs_opt(X) RP. [IN] { A = ast_in_list(cx, O, L, X); }
expr(A) ::= expr(L) in(O) select_p(Q). [IN] { A = ast_in_query(cx, O, L, Q); }
expr(A) ::= expr(L) in(O) qname(N). [IN] { A = ast_in_table(cx, O, L, ast_from_table(cx, N, ast_no_hint())); }
expr(A) ::= expr(L) in(O) qname(N) LP exprs_opt(X) RP. [IN] { A = ast_in_table(cx, O, L, ast_from_function(cx, N, X, false)); }

/* The comparison is spelt out in each rule: reduced to a symbol of its own first, ANY would fall back to a function's name. */
%type quantifier {int}
quantifier(A) ::= ANY. { A = 0; }
quantifier(A) ::= SOME. { A = 0; }
quantifier(A) ::= ALL. { A = 1; }
expr(A) ::= expr(L) EQ(T) quantifier(K) select_p(Q). { A = ast_quantified(cx, ast_op_token(T, AST_OP_EQ), L, K != 0, Q); }
expr(A) ::= expr(L) NE(T) quantifier(K) select_p(Q). { A = ast_quantified(cx, ast_op_token(T, AST_OP_NE), L, K != 0, Q); }
expr(A) ::= expr(L) LT(T) quantifier(K) select_p(Q). { A = ast_quantified(cx, ast_op_token(T, AST_OP_LT), L, K != 0, Q); }
expr(A) ::= expr(L) LE(T) quantifier(K) select_p(Q). { A = ast_quantified(cx, ast_op_token(T, AST_OP_LE), L, K != 0, Q); }
expr(A) ::= expr(L) GT(T) quantifier(K) select_p(Q). { A = ast_quantified(cx, ast_op_token(T, AST_OP_GT), L, K != 0, Q); }
expr(A) ::= expr(L) GE(T) quantifier(K) select_p(Q). { A = ast_quantified(cx, ast_op_token(T, AST_OP_GE), L, K != 0, Q); }

expr(A) ::= CASE(T) case_operand(O) whens(W) else_opt(E) END. { A = ast_case(cx, T, O, W, E); }
%type case_operand {struct ast_expr *}
case_operand(A) ::= . { A = NULL; }
case_operand(A) ::= expr(A).
%type whens {struct ast_case *}
whens(A) ::= WHEN expr(W) THEN expr(T). { A = ast_whens_add(cx, NULL, W, T); }
whens(A) ::= whens(L) WHEN expr(W) THEN expr(T). { A = ast_whens_add(cx, L, W, T); }
%type else_opt {struct ast_expr *}
else_opt(A) ::= . { A = NULL; }
else_opt(A) ::= ELSE expr(B). { A = B; }

/* Functions: plain, aggregate, window. */
%type fname {struct token}
fname(A) ::= ID(A).
fname(A) ::= LIKE(A).
fname(A) ::= LEFT(A).
fname(A) ::= RIGHT(A).
expr(A) ::= call(F) within_opt(W) filter_opt(X) nulls_mode(N) over_opt(O). { A = ast_function_tail(cx, F, W, X, N, O); }
%type call {struct ast_expr *}
call(A) ::= fname(N) LP STAR RP. { A = ast_function(cx, N, NULL, AST_FUNCTION_STAR); }
call(A) ::= fname(N) LP exprs_opt(L) RP. { A = ast_function(cx, N, L, AST_FUNCTION_PLAIN); }
call(A) ::= fname(N) LP exprs(L) ORDER BY orders(O) RP. { A = ast_function_order(cx, ast_function(cx, N, L, AST_FUNCTION_PLAIN), O); }
call(A) ::= fname(N) LP ALL exprs(L) RP. { A = ast_function(cx, N, L, AST_FUNCTION_PLAIN); }
call(A) ::= fname(N) LP DISTINCT exprs(L) RP. { A = ast_function(cx, N, L, AST_FUNCTION_DISTINCT); }
call(A) ::= fname(N) LP DISTINCT exprs(L) ORDER BY orders(O) RP. { A = ast_function_order(cx, ast_function(cx, N, L, AST_FUNCTION_DISTINCT), O); }
call(A) ::= fname(N) LP expr(X) FROM expr(Y) RP. { A = ast_function_from(cx, N, X, Y, NULL); }
call(A) ::= fname(N) LP expr(X) FROM expr(Y) FOR expr(Z) RP. { A = ast_function_from(cx, N, X, Y, Z); }
call(A) ::= fname(N) LP trim_side(S) FROM expr(Y) RP. { A = ast_function_trim(cx, N, S, NULL, Y); }
call(A) ::= fname(N) LP trim_side(S) expr(X) FROM expr(Y) RP. { A = ast_function_trim(cx, N, S, X, Y); }
%type trim_side {int}
trim_side(A) ::= BOTH. { A = 0; }
trim_side(A) ::= LEADING. { A = 1; }
trim_side(A) ::= TRAILING. { A = 2; }
%type within_opt {struct ast_orders *}
within_opt(A) ::= . { A = NULL; }
within_opt(A) ::= WITHIN GROUP LP ORDER BY orders(O) RP. { A = O; }
%type filter_opt {struct ast_expr *}
filter_opt(A) ::= . { A = NULL; }
filter_opt(A) ::= FILTER LP WHERE expr(E) RP. { A = E; }
%type nulls_mode {int}
nulls_mode(A) ::= . { A = 0; }
nulls_mode(A) ::= RESPECT NULLS. { A = AST_FUNCTION_RESPECT_NULLS; }
nulls_mode(A) ::= IGNORE NULLS. { A = AST_FUNCTION_IGNORE_NULLS; }
%type over_opt {struct ast_window *}
over_opt(A) ::= . { A = NULL; }
over_opt(A) ::= OVER LP window(W) RP. { A = W; }
over_opt(A) ::= OVER ID(N). { A = ast_window_reference(cx, ast_name(cx, N)); }

/* ---- types ---- */

%type type {struct ast_type *}
%type type_words {struct ast_type *}
%type type_opt {struct ast_type *}
%type casttype {struct ast_type *}
type_opt(A) ::= . { A = NULL; }
type_opt(A) ::= type(A).
type(A) ::= type_words(A).
type(A) ::= type_words(T) type_args(N) type_suffix(S). { A = ast_type_finish(cx, T, N, S); }
type_words(A) ::= ids(N). { A = ast_type_word(cx, NULL, N); }
type_words(A) ::= type_words(T) ids(N). { A = ast_type_word(cx, T, N); }
type_words(A) ::= type_words(T) WITH TIME ZONE. { A = ast_type_finish(cx, T, ast_type_args(cx, 0, NULL, NULL), "WITH TIME ZONE"); }
%type type_args {struct ast_type_args}
type_args(A) ::= LP signed(X) RP. { A = ast_type_args(cx, 1, X, NULL); }
type_args(A) ::= LP signed(X) COMMA signed(Y) RP. { A = ast_type_args(cx, 2, X, Y); }
%type type_suffix {const char *}
type_suffix(A) ::= . { A = NULL; }
type_suffix(A) ::= WITH TIME ZONE. { A = "WITH TIME ZONE"; }
type_suffix(A) ::= WITHOUT TIME ZONE. { A = "WITHOUT TIME ZONE"; }
type_suffix(A) ::= UNSIGNED. { A = "UNSIGNED"; }
casttype(A) ::= ID(N). { A = ast_type_word(cx, NULL, ast_name(cx, N)); }
casttype(A) ::= ID(N) type_args(X). { A = ast_type_finish(cx, ast_type_word(cx, NULL, ast_name(cx, N)), X, NULL); }
%type signed {struct ast_expr *}
signed(A) ::= number(A).
signed(A) ::= PLUS number(B). { A = B; }
signed(A) ::= MINUS(T) number(E). { A = ast_unary(cx, AST_OP_NEG, T, E); }

/* ---- writing ---- */

write(A) ::= insert_verb(V) INTO qname(N) insert_alias(B) insert_source(Q) upserts(U) returning_opt(R). {
  A = ast_insert(cx, V, N, B, NULL, Q, U);
  ast_write_returning(cx, A, R);
}
write(A) ::= insert_verb(V) INTO qname(N) insert_alias(B) LP names(C) RP insert_source(Q) upserts(U) returning_opt(R). {
  A = ast_insert(cx, V, N, B, C, Q, U);
  ast_write_returning(cx, A, R);
}
write(A) ::= insert_verb(V) INTO qname(N) insert_alias(B) SET(T) assigns(S) upserts(U) returning_opt(R). {
  A = ast_insert_set(cx, V, N, B, T, S, U);
  ast_write_returning(cx, A, R);
}
%type insert_source {struct ast_query *}
insert_source(A) ::= query(A).
insert_source(A) ::= DEFAULT VALUES. { A = NULL; }
%type insert_verb {int}
insert_verb(A) ::= INSERT or_conflict(B). { A = B; }
insert_verb(A) ::= INSERT IGNORE. { A = AST_CONFLICT_IGNORE; }
insert_verb(A) ::= REPLACE. { A = AST_CONFLICT_REPLACE; }
%type insert_alias {struct ast_name}
insert_alias(A) ::= . { A = ast_no_name(); }
insert_alias(A) ::= AS nm(B). { A = B; }
%type or_conflict {int}
or_conflict(A) ::= . { A = AST_CONFLICT_DEFAULT; }
or_conflict(A) ::= OR conflict(B). { A = B; }
%type conflict {int}
conflict(A) ::= ROLLBACK. { A = AST_CONFLICT_ROLLBACK; }
conflict(A) ::= ABORT. { A = AST_CONFLICT_ABORT; }
conflict(A) ::= FAIL. { A = AST_CONFLICT_FAIL; }
conflict(A) ::= IGNORE. { A = AST_CONFLICT_IGNORE; }
conflict(A) ::= REPLACE. { A = AST_CONFLICT_REPLACE; }
%type on_conflict {int}
on_conflict(A) ::= . { A = AST_CONFLICT_DEFAULT; }
on_conflict(A) ::= ONCONF CONFLICT conflict(B). { A = B; }

%type upserts {struct ast_upserts *}
upserts(A) ::= . { A = NULL; }
upserts(A) ::= upserts(L) upsert(U). { A = ast_upserts_add(cx, L, U); }
%type upsert {struct ast_upsert *}
upsert(A) ::= ONCONF CONFLICT DO NOTHING. { A = ast_upsert(cx, NULL, NULL); }
upsert(A) ::= ONCONF CONFLICT DO UPDATE SET assigns(S) where_opt(W). { A = ast_upsert_update(cx, ast_upsert(cx, NULL, NULL), S, W); }
upsert(A) ::= ONCONF CONFLICT LP orders(T) RP where_opt(C) DO NOTHING. { A = ast_upsert(cx, T, C); }
upsert(A) ::= ONCONF CONFLICT LP orders(T) RP where_opt(C) DO UPDATE SET assigns(S) where_opt(W). {
  A = ast_upsert_update(cx, ast_upsert(cx, T, C), S, W);
}
upsert(A) ::= ONCONF CONFLICT ON CONSTRAINT nm(N) DO NOTHING. { A = ast_upsert_constraint(cx, N); }
upsert(A) ::= ONCONF CONFLICT ON CONSTRAINT nm(N) DO UPDATE SET assigns(S) where_opt(W). {
  A = ast_upsert_update(cx, ast_upsert_constraint(cx, N), S, W);
}
upsert(A) ::= ONCONF DUPLICATE KEY duplicate_update assigns(S). { A = ast_upsert_duplicate(cx, S); }
duplicate_update ::= UPDATE.

%type assigns {struct ast_assigns *}
assigns(A) ::= assign(S). { A = ast_assigns_add(cx, NULL, S); }
assigns(A) ::= assigns(L) COMMA assign(S). { A = ast_assigns_add(cx, L, S); }
%type assign {struct ast_assign *}
assign(A) ::= nm(N) EQ vexpr(E). { A = ast_assign(cx, ast_no_name(), ast_names_add(cx, NULL, N), E); }
assign(A) ::= nm(T) DOT nm(N) EQ vexpr(E). { A = ast_assign(cx, T, ast_names_add(cx, NULL, N), E); }
assign(A) ::= LP names(L) RP EQ vexpr(E). { A = ast_assign(cx, ast_no_name(), L, E); }

%type returning_opt {struct ast_results *}
returning_opt(A) ::= . { A = NULL; }
returning_opt(A) ::= RETURNING results(B). { A = B; }

write(A) ::= UPDATE or_conflict(K) table_source(T) SET assigns(S) from_opt(F) where_opt(W) orderby_opt(O) limit_opt(L) returning_opt(R). {
  A = ast_update(cx, K, T, S);
  ast_write_where(cx, A, F, W, O, L);
  ast_write_returning(cx, A, R);
}
write(A) ::= DELETE FROM table_source(T) using_opt(F) where_opt(W) orderby_opt(O) limit_opt(L) returning_opt(R). {
  A = ast_delete(cx, T);
  ast_write_where(cx, A, F, W, O, L);
  ast_write_returning(cx, A, R);
}
%type using_opt {struct ast_from_list *}
using_opt(A) ::= . { A = NULL; }
using_opt(A) ::= USING from_list(B). { A = B; }

/* ---- schema ---- */

xcmd(A) ::= CREATE temp(P) TABLE ifnotexists(X) qname(N) LP elements(E) RP options_opt(O) create_as(Q). {
  A = ast_create_table(cx, N, P, X);
  ast_create_table_elements(cx, A, E, O);
  ast_create_table_as(cx, A, Q);
}
xcmd(A) ::= CREATE temp(P) TABLE ifnotexists(X) qname(N) AS query(Q) with_data(D). {
  A = ast_create_table(cx, N, P, X);
  ast_create_table_as(cx, A, ast_as_query(Q, D));
}
xcmd(A) ::= CREATE temp(P) TABLE ifnotexists(X) qname(N) LIKE qname(M). { A = ast_create_table(cx, N, P, X); ast_create_table_like(cx, A, M); }
xcmd(A) ::= CREATE temp(P) TABLE ifnotexists(X) qname(N) LP LIKE qname(M) RP. { A = ast_create_table(cx, N, P, X); ast_create_table_like(cx, A, M); }
%type create_as {struct ast_as_query}
create_as(A) ::= . { A = ast_as_query(NULL, false); }
create_as(A) ::= AS query(Q) with_data(D). { A = ast_as_query(Q, D); }
%type with_data {int}
with_data(A) ::= . { A = 0; }
with_data(A) ::= WITH DATA. { A = 0; }
with_data(A) ::= WITH NO DATA. { A = 1; }

%type elements {struct ast_elements *}
elements(A) ::= element(E). { A = ast_elements_add(cx, NULL, E); }
elements(A) ::= elements(L) COMMA element(E). { A = ast_elements_add(cx, L, E); }
%type element {struct ast_element}
element(A) ::= column_def(C). { A = ast_element(C, NULL); }
element(A) ::= table_constraint(C). { A = ast_element(NULL, C); }

%type column_def {struct ast_column_def *}
column_def(A) ::= column_start(A) column_attrs. { ast_column_finish(cx); }
%type column_start {struct ast_column_def *}
column_start(A) ::= nm(N) type_opt(T). { A = ast_column_start(cx, N, T); }
column_attrs ::= .
column_attrs ::= column_attrs column_attr.
column_attr ::= CONSTRAINT nm(N). { ast_constraint_name(cx, N); }
column_attr ::= DEFAULT default_value(E). { ast_attr_default(cx, E); }
column_attr ::= NULL on_conflict. { ast_attr_null(cx, 2, 0); }
column_attr ::= NOT NULL on_conflict(K). { ast_attr_null(cx, 1, K); }
column_attr ::= PRIMARY(T) KEY sortdir(D) on_conflict(K). { ast_attr_key(cx, AST_CONSTRAINT_PRIMARY_KEY, T, D, K); }
column_attr ::= UNIQUE(T) on_conflict(K). { ast_attr_key(cx, AST_CONSTRAINT_UNIQUE, T, 0, K); }
column_attr ::= UNIQUE(T) KEY on_conflict(K). { ast_attr_key(cx, AST_CONSTRAINT_UNIQUE, T, 0, K); }
column_attr ::= CHECK(T) LP here(P) expr(E) here(Q) RP on_conflict(K). { ast_attr_check(cx, ast_check(cx, T, P, E, Q, K)); }
column_attr ::= references(R). { ast_attr_references(cx, R); }
column_attr ::= deferred(D). { ast_attr_deferred(cx, D); }
column_attr ::= COLLATE ids(N). { ast_attr_collate(cx, N); }
column_attr ::= GENERATED ALWAYS(N) AS IDENTITY. { ast_attr_identity(cx, N); }
column_attr ::= GENERATED BY DEFAULT(N) AS IDENTITY. { ast_attr_identity(cx, N); }
column_attr ::= GENERATED ALWAYS AS LP expr(E) RP stored(S). { ast_attr_generated(cx, E, S); }
column_attr ::= AS LP expr(E) RP stored(S). { ast_attr_generated(cx, E, S); }
column_attr ::= AUTOINCR. { ast_attr_autoincrement(cx); }
column_attr ::= COMMENTS STRING(T). { ast_attr_comment(cx, T); }
column_attr ::= column_kind(K). { ast_attr_kind(cx, K); }
column_attr ::= ONTIME UPDATE term(E). { ast_attr_on_update(cx, E); }
column_attr ::= CHARACTER SET nm.
%type stored {int}
stored(A) ::= . { A = 0; }
stored(A) ::= STORED. { A = 1; }
stored(A) ::= VIRTUAL. { A = 0; }
%type autoinc {int}
autoinc(A) ::= . { A = 0; }
autoinc(A) ::= AUTOINCR. { A = 1; }
%type column_kind {int}
column_kind(A) ::= COUNTER. { A = AST_COLUMN_COUNTER; }
column_kind(A) ::= MAXIMUM. { A = AST_COLUMN_MAXIMUM; }
column_kind(A) ::= MINIMUM. { A = AST_COLUMN_MINIMUM; }
column_kind(A) ::= SET. { A = AST_COLUMN_SET; }
column_kind(A) ::= MULTIVALUE. { A = AST_COLUMN_MULTIVALUE; }
column_kind(A) ::= LWW. { A = AST_COLUMN_LWW; }

%type default_value {struct ast_expr *}
default_value(A) ::= term(A).
default_value(A) ::= LP expr(E) RP. { A = E; }
default_value(A) ::= PLUS term(E). { A = E; }
default_value(A) ::= MINUS(T) term(E). { A = ast_unary(cx, AST_OP_NEG, T, E); }
default_value(A) ::= ID(N). { A = ast_word(cx, N); }
default_value(A) ::= ID(N) LP exprs_opt(L) RP. { A = ast_function(cx, N, L, AST_FUNCTION_PLAIN); }

%type references {struct ast_references *}
references(A) ::= REFERENCES qname(N) names_opt(C) ref_args(X). { A = ast_references(cx, N, C, X); }
%type ref_args {struct ast_references *}
ref_args(A) ::= . { A = ast_references_new(cx); }
ref_args(A) ::= ref_args(A) ON DELETE fk_action(K). { ast_references_on(cx, A, true, K); }
ref_args(A) ::= ref_args(A) ON UPDATE fk_action(K). { ast_references_on(cx, A, false, K); }
ref_args(A) ::= ref_args(A) ON MERGE KEEP PARENT. { ast_references_keep(cx, A); }
ref_args(A) ::= ref_args(A) MATCH nm(N). { ast_references_match(cx, A, N); }
ref_args(A) ::= ref_args(A) MATCH FULL(T). { ast_references_match(cx, A, ast_name(cx, T)); }
%type fk_action {int}
fk_action(A) ::= SET NULL. { A = AST_FK_SET_NULL; }
fk_action(A) ::= SET DEFAULT. { A = AST_FK_SET_DEFAULT; }
fk_action(A) ::= CASCADE. { A = AST_FK_CASCADE; }
fk_action(A) ::= RESTRICT. { A = AST_FK_RESTRICT; }
fk_action(A) ::= NO ACTION. { A = AST_FK_NO_ACTION; }
%type deferred {int}
deferred(A) ::= NOT DEFERRABLE initially. { A = 3; }
deferred(A) ::= DEFERRABLE initially(I). { A = I; }
%type initially {int}
initially(A) ::= . { A = 1; }
initially(A) ::= INITIALLY DEFERRED. { A = 2; }
initially(A) ::= INITIALLY IMMEDIATE. { A = 1; }
%type deferred_opt {int}
deferred_opt(A) ::= . { A = 0; }
deferred_opt(A) ::= deferred(A).

%type table_constraint {struct ast_constraint *}
table_constraint(A) ::= CONSTRAINT nm(N) constraint(C). { A = ast_constraint_named(cx, C, N); }
table_constraint(A) ::= constraint(A).
%type constraint {struct ast_constraint *}
constraint(A) ::= PRIMARY(T) KEY LP orders(L) autoinc(I) RP on_conflict(K). { A = ast_key_constraint(cx, AST_CONSTRAINT_PRIMARY_KEY, T, L, K, I); }
constraint(A) ::= UNIQUE(T) LP orders(L) RP on_conflict(K). { A = ast_key_constraint(cx, AST_CONSTRAINT_UNIQUE, T, L, K, 0); }
constraint(A) ::= UNIQUE(T) key_or_index nm_opt(N) LP orders(L) RP. {
  A = ast_constraint_named(cx, ast_key_constraint(cx, AST_CONSTRAINT_UNIQUE, T, L, 0, 0), N);
}
constraint(A) ::= INDEX(T) nm_opt(N) LP orders(L) RP. {
  A = ast_constraint_named(cx, ast_key_constraint(cx, AST_CONSTRAINT_INDEX, T, L, 0, 0), N);
}
constraint(A) ::= CHECK(T) LP here(P) expr(E) here(Q) RP on_conflict(K). { A = ast_check(cx, T, P, E, Q, K); }
constraint(A) ::= FOREIGN(T) KEY nm_opt(N) LP names(C) RP references(R) deferred_opt(D). {
  A = ast_constraint_named(cx, ast_foreign_key(cx, T, C, R, D), N);
}
constraint(A) ::= MERGETOG(T) TOGETHER LP names(L) RP. { A = ast_merge_together(cx, T, L); }
key_or_index ::= KEY.
key_or_index ::= INDEX.

%type options_opt {struct ast_table_options *}
options_opt(A) ::= . { A = NULL; }
options_opt(A) ::= options(A).
%type options {struct ast_table_options *}
options(A) ::= options_new(A) option.
options(A) ::= options(A) comma_opt option.
%type options_new {struct ast_table_options *}
options_new(A) ::= . { A = ast_options_start(cx); }
comma_opt ::= .
comma_opt ::= COMMA.
option ::= WITHOUT(T) ID(N). { ast_option_word(cx, T, N); }
option ::= STRICT(T). { ast_option_word(cx, T, T); }
option ::= UPDATES(T) WIN. { ast_option_word(cx, T, T); }
option ::= MERGETOG(T) TOGETHER LP names(L) RP. { ast_option_constraint(cx, ast_merge_together(cx, T, L)); }
option ::= option_name(N) EQ option_value(V). { ast_option(cx, N, V); }
option ::= COMMENTS(N) STRING(V). { ast_option(cx, N, V); }
option ::= charset(N) eq_opt option_value(V). { ast_option(cx, N, V); }
eq_opt ::= .
eq_opt ::= EQ.
%type option_name {struct token}
option_name(A) ::= ID(A).
option_name(A) ::= DEFAULT ID(B). { A = B; }
option_name(A) ::= AUTOINCR(A).
%type charset {struct token}
charset(A) ::= CHARSET(A).
charset(A) ::= DEFAULT CHARSET(B). { A = B; }
charset(A) ::= CHARACTER(A) SET.
charset(A) ::= DEFAULT CHARACTER(B) SET. { A = B; }
charset(A) ::= COLLATE(A).
charset(A) ::= DEFAULT COLLATE(B). { A = B; }
%type option_value {struct token}
option_value(A) ::= ID(A).
option_value(A) ::= STRING(A).
option_value(A) ::= INTEGER(A).
option_value(A) ::= DEFAULT(A).

xcmd(A) ::= CREATE unique_opt(U) INDEX concurrently ifnotexists(X) qname_opt(N) ON qname(T) index_method(M) LP orders(L) RP where_opt(W). {
  A = ast_create_index(cx, U, X, N, T);
  ast_create_index_columns(cx, A, M, L, W);
}
%type unique_opt {int}
unique_opt(A) ::= . { A = 0; }
unique_opt(A) ::= UNIQUE. { A = 1; }
concurrently ::= .
concurrently ::= CONCURRENTLY.
%type index_method {struct ast_name}
index_method(A) ::= . { A = ast_no_name(); }
index_method(A) ::= USING nm(B). { A = B; }

xcmd(A) ::= CREATE temp(P) VIEW ifnotexists(X) qname(N) names_opt(C) AS query(Q). { A = ast_create_view(cx, P, X, 0, N, C, Q); }
xcmd(A) ::= CREATE OR REPLACE temp(P) VIEW qname(N) names_opt(C) AS query(Q). { A = ast_create_view(cx, P, 0, 1, N, C, Q); }

xcmd(A) ::= CREATE temp(P) TRIGGER ifnotexists(X) qname(N) trigger_time(M) trigger_event(E) ON qname(T) for_each(F) trigger_when(W) BEGIN trigger_body(B) END. {
  A = ast_create_trigger(cx, P, X, N, T);
  ast_create_trigger_when(cx, A, M, E, F, W);
  ast_create_trigger_body(cx, A, B);
}
%type trigger_time {int}
trigger_time(A) ::= . { A = AST_TRIGGER_BEFORE_OR_DEFAULT; }
trigger_time(A) ::= BEFORE. { A = AST_TRIGGER_BEFORE; }
trigger_time(A) ::= AFTER. { A = AST_TRIGGER_AFTER; }
trigger_time(A) ::= INSTEAD OF. { A = AST_TRIGGER_INSTEAD_OF; }
%type trigger_event {struct ast_event}
trigger_event(A) ::= INSERT. { A = ast_event(AST_TRIGGER_INSERT, NULL); }
trigger_event(A) ::= DELETE. { A = ast_event(AST_TRIGGER_DELETE, NULL); }
trigger_event(A) ::= UPDATE. { A = ast_event(AST_TRIGGER_UPDATE, NULL); }
trigger_event(A) ::= UPDATE OF names(L). { A = ast_event(AST_TRIGGER_UPDATE, L); }
%type for_each {int}
for_each(A) ::= . { A = 0; }
for_each(A) ::= FOR EACH ROW. { A = 1; }
%type trigger_when {struct ast_expr *}
trigger_when(A) ::= . { A = NULL; }
trigger_when(A) ::= WHEN expr(B). { A = B; }
%type trigger_body {struct ast_body *}
trigger_body(A) ::= trigger_stmt(S) SEMI. { A = ast_body_add(cx, NULL, S); }
trigger_body(A) ::= trigger_body(L) trigger_stmt(S) SEMI. { A = ast_body_add(cx, L, S); }
%type trigger_stmt {struct ast_stmt *}
trigger_stmt(A) ::= dml(A).
trigger_stmt(A) ::= query(Q). { A = ast_stmt(cx, AST_STMT_SELECT, Q); }

xcmd(A) ::= DROP temp drop_object(O) ifexists(X) qnames(L) drop_on(T) behaviour(B). { A = ast_drop(cx, O, X, L, T, B); }
%type drop_object {int}
drop_object(A) ::= TABLE. { A = AST_OBJECT_TABLE; }
drop_object(A) ::= INDEX. { A = AST_OBJECT_INDEX; }
drop_object(A) ::= VIEW. { A = AST_OBJECT_VIEW; }
drop_object(A) ::= TRIGGER. { A = AST_OBJECT_TRIGGER; }
drop_object(A) ::= DATABASE. { A = AST_OBJECT_DATABASE; }
drop_object(A) ::= SCHEMA. { A = AST_OBJECT_DATABASE; }
%type drop_on {struct ast_qname *}
drop_on(A) ::= . { A = NULL; }
drop_on(A) ::= ON qname(B). { A = B; }
%type behaviour {int}
behaviour(A) ::= . { A = 0; }
behaviour(A) ::= RESTRICT. { A = 1; }
behaviour(A) ::= CASCADE. { A = 2; }

xcmd(A) ::= ALTER TABLE ifexists(X) qname(N) alter_actions(L). { A = ast_alter(cx, N, X, L); }
%type alter_actions {struct ast_alter *}
alter_actions(A) ::= alter_action(C). { A = ast_alter_add(cx, NULL, C); }
alter_actions(A) ::= alter_actions(L) COMMA alter_action(C). { A = ast_alter_add(cx, L, C); }
%type alter_action {struct ast_alter_action *}
alter_action(A) ::= ADD column_opt ifnotexists(X) column_def(C). { A = ast_alter_column(cx, C, X); }
alter_action(A) ::= ADD table_constraint(C). { A = ast_alter_constraint(cx, C); }
alter_action(A) ::= DROP column_opt ifexists(X) nm(N) behaviour(B). { A = ast_alter_drop(cx, AST_ALTER_DROP_COLUMN, N, X, B); }
alter_action(A) ::= DROP CONSTRAINT ifexists(X) nm(N) behaviour(B). { A = ast_alter_drop(cx, AST_ALTER_DROP_CONSTRAINT, N, X, B); }
alter_action(A) ::= DROP FOREIGN KEY nm(N). { A = ast_alter_drop(cx, AST_ALTER_DROP_CONSTRAINT, N, 0, 0); }
alter_action(A) ::= RENAME TO nm(N). { A = ast_alter_rename(cx, AST_ALTER_RENAME_TABLE, ast_no_name(), N); }
alter_action(A) ::= RENAME column_opt nm(O) TO nm(N). { A = ast_alter_rename(cx, AST_ALTER_RENAME_COLUMN, O, N); }
alter_action(A) ::= ALTER column_opt nm(N) SET DEFAULT default_value(E). { A = ast_alter_default(cx, N, E); }
alter_action(A) ::= ALTER column_opt nm(N) DROP DEFAULT. { A = ast_alter_simple(cx, AST_ALTER_DROP_DEFAULT, N, 0); }
alter_action(A) ::= ALTER column_opt nm(N) SET NOT NULL. { A = ast_alter_simple(cx, AST_ALTER_SET_NOT_NULL, N, 0); }
alter_action(A) ::= ALTER column_opt nm(N) DROP NOT NULL. { A = ast_alter_simple(cx, AST_ALTER_DROP_NOT_NULL, N, 0); }
alter_action(A) ::= ALTER column_opt nm(N) SET column_kind(K). { A = ast_alter_simple(cx, AST_ALTER_SET_KIND, N, K); }
alter_action(A) ::= ALTER column_opt nm(N) TYPE type(T). { A = ast_alter_type(cx, N, T); }
alter_action(A) ::= ALTER column_opt nm(N) SET DATA TYPE type(T). { A = ast_alter_type(cx, N, T); }
alter_action(A) ::= UPDATES WIN. { A = ast_alter_simple(cx, AST_ALTER_UPDATES_WIN, ast_no_name(), 1); }
alter_action(A) ::= UPDATES LOSE. { A = ast_alter_simple(cx, AST_ALTER_UPDATES_WIN, ast_no_name(), 0); }
column_opt ::= .
column_opt ::= COLUMN.

/* ---- transactions, settings, upkeep ---- */

xcmd(A) ::= BEGIN begin_mode(M) txn_opt access(R). { A = ast_transaction(cx, AST_TXN_BEGIN, M, R, ast_no_name()); }
xcmd(A) ::= START TRANSACTION access(R). { A = ast_transaction(cx, AST_TXN_BEGIN, 0, R, ast_no_name()); }
xcmd(A) ::= COMMIT txn_opt. { A = ast_transaction(cx, AST_TXN_COMMIT, 0, 0, ast_no_name()); }
xcmd(A) ::= END txn_opt. { A = ast_transaction(cx, AST_TXN_COMMIT, 0, 0, ast_no_name()); }
xcmd(A) ::= ROLLBACK txn_opt. { A = ast_transaction(cx, AST_TXN_ROLLBACK, 0, 0, ast_no_name()); }
xcmd(A) ::= ROLLBACK txn_opt TO savepoint_opt nm(N). { A = ast_transaction(cx, AST_TXN_ROLLBACK_TO, 0, 0, N); }
xcmd(A) ::= SAVEPOINT nm(N). { A = ast_transaction(cx, AST_TXN_SAVEPOINT, 0, 0, N); }
xcmd(A) ::= RELEASE savepoint_opt nm(N). { A = ast_transaction(cx, AST_TXN_RELEASE, 0, 0, N); }
%type begin_mode {int}
begin_mode(A) ::= . { A = 0; }
begin_mode(A) ::= DEFERRED. { A = 1; }
begin_mode(A) ::= IMMEDIATE. { A = 2; }
begin_mode(A) ::= EXCLUSIVE. { A = 3; }
%type access {int}
access(A) ::= . { A = 0; }
access(A) ::= READ ONLY. { A = 1; }
access(A) ::= READ WRITE. { A = 2; }
txn_opt ::= .
txn_opt ::= TRANSACTION.
txn_opt ::= WORK.
savepoint_opt ::= .
savepoint_opt ::= SAVEPOINT.

xcmd(A) ::= SET settings(L). { A = ast_stmt(cx, AST_STMT_SET, L); }
xcmd(A) ::= SET scope(P) TIME(T) ZONE setting_value(V). { A = ast_stmt(cx, AST_STMT_SET, ast_settings_add(cx, NULL, ast_setting(cx, ast_qname(cx, ast_no_name(), ast_zone_name(cx, T)), V, P))); }
xcmd(A) ::= SET NAMES(T) setting_value(V). { A = ast_stmt(cx, AST_STMT_SET, ast_settings_add(cx, NULL, ast_setting(cx, ast_qname(cx, ast_no_name(), ast_name(cx, T)), V, 0))); }
%type settings {struct ast_settings *}
settings(A) ::= setting(S). { A = ast_settings_add(cx, NULL, S); }
settings(A) ::= settings(L) COMMA setting(S). { A = ast_settings_add(cx, L, S); }
%type setting {struct ast_setting *}
setting(A) ::= scope(P) qname(N) eq_or_to setting_value(V). { A = ast_setting(cx, N, V, P); }
%type scope {int}
scope(A) ::= . { A = 0; }
scope(A) ::= SESSION. { A = 1; }
scope(A) ::= GLOBAL. { A = 2; }
scope(A) ::= LOCAL. { A = 3; }
eq_or_to ::= EQ.
eq_or_to ::= TO.
%type setting_value {struct ast_expr *}
setting_value(A) ::= expr(E). { A = ast_setting_value(cx, E); }
setting_value(A) ::= setting_word(T). { A = ast_word(cx, T); }
%type setting_word {struct token}
setting_word(A) ::= ON(A).
setting_word(A) ::= DELETE(A).
setting_word(A) ::= DEFAULT(A).
setting_word(A) ::= FULL(A).
setting_word(A) ::= ALL(A).
xcmd(A) ::= PRAGMA qname(N). { A = ast_stmt(cx, AST_STMT_PRAGMA, ast_setting(cx, N, NULL, 0)); }
xcmd(A) ::= PRAGMA qname(N) EQ setting_value(V). { A = ast_stmt(cx, AST_STMT_PRAGMA, ast_setting(cx, N, V, 0)); }
xcmd(A) ::= PRAGMA qname(N) LP setting_value(V) RP. { A = ast_stmt(cx, AST_STMT_PRAGMA, ast_setting(cx, N, V, 0)); }

xcmd(A) ::= SHOW show_words(W) show_filter(F). { A = ast_show(cx, W, NULL, NULL, F); }
xcmd(A) ::= SHOW show_words(W) from_in qname(N) show_filter(F). { A = ast_show(cx, W, N, NULL, F); }
xcmd(A) ::= SHOW show_words(W) from_in qname(N) from_in qname(M) show_filter(F). { A = ast_show(cx, W, N, M, F); }
xcmd(A) ::= SHOW CREATE show_object(O) qname(N). { A = ast_show_create(cx, O, N); }
xcmd(A) ::= describe qname(N). { A = ast_describe(cx, N); }
describe ::= DESCRIBE.
describe ::= DESC.
%type show_object {struct token}
show_object(A) ::= TABLE(A).
show_object(A) ::= VIEW(A).
show_object(A) ::= INDEX(A).
show_object(A) ::= TRIGGER(A).
show_object(A) ::= DATABASE(A).
%type show_words {struct ast_type *}
show_words(A) ::= show_word(T). { A = ast_show_word(cx, NULL, T); }
show_words(A) ::= show_words(W) show_word(T). { A = ast_show_word(cx, W, T); }
%type show_word {struct token}
show_word(A) ::= ID(A).
show_word(A) ::= FULL(A).
show_word(A) ::= INDEX(A).
show_word(A) ::= TABLE(A).
show_word(A) ::= ALL(A).
from_in ::= FROM.
from_in ::= IN.
%type show_filter {struct ast_show_filter}
show_filter(A) ::= . { A = ast_show_filter(NULL, NULL); }
show_filter(A) ::= LIKE expr(E). { A = ast_show_filter(E, NULL); }
show_filter(A) ::= WHERE expr(E). { A = ast_show_filter(NULL, E); }

xcmd(A) ::= TRUNCATE qname(N). { A = ast_maintenance(cx, AST_STMT_TRUNCATE, N, NULL); }
xcmd(A) ::= TRUNCATE TABLE qname(N). { A = ast_maintenance(cx, AST_STMT_TRUNCATE, N, NULL); }
xcmd(A) ::= VACUUM qname_opt(N). { A = ast_maintenance(cx, AST_STMT_VACUUM, N, NULL); }
xcmd(A) ::= VACUUM qname_opt(N) INTO expr(E). { A = ast_maintenance(cx, AST_STMT_VACUUM, N, E); }
xcmd(A) ::= REINDEX qname_opt(N). { A = ast_maintenance(cx, AST_STMT_REINDEX, N, NULL); }
xcmd(A) ::= BACKUP TO expr(E). { A = ast_maintenance(cx, AST_STMT_BACKUP, NULL, E); }
xcmd(A) ::= BACKUP DATABASE TO expr(E). { A = ast_maintenance(cx, AST_STMT_BACKUP, NULL, E); }
xcmd(A) ::= BACKTRACK DATABASE TO as_of(V). { A = ast_backtrack(cx, NULL, V); }
xcmd(A) ::= BACKTRACK TABLE qname(N) TO as_of(V). { A = ast_backtrack(cx, N, V); }
xcmd(A) ::= RESOLVE CONFLICT expr(E) USING LOSER. { A = ast_resolve(cx, E, true); }
xcmd(A) ::= RESOLVE CONFLICT expr(E) USING WINNER. { A = ast_resolve(cx, E, false); }

xcmd(A) ::= COMMENT ON comment_object(O) qname(N) IS comment_text(T). { A = ast_comment(cx, O, N, T); }
xcmd(A) ::= COMMENT ON COLUMN nm(T) DOT nm(C) IS comment_text(X). { A = ast_comment_column(cx, ast_qname(cx, ast_no_name(), T), C, X); }
xcmd(A) ::= COMMENT ON COLUMN nm(S) DOT nm(T) DOT nm(C) IS comment_text(X). { A = ast_comment_column(cx, ast_qname(cx, S, T), C, X); }
%type comment_object {int}
comment_object(A) ::= TABLE. { A = AST_OBJECT_TABLE; }
comment_object(A) ::= INDEX. { A = AST_OBJECT_INDEX; }
comment_object(A) ::= VIEW. { A = AST_OBJECT_VIEW; }
comment_object(A) ::= TRIGGER. { A = AST_OBJECT_TRIGGER; }
comment_object(A) ::= DATABASE. { A = AST_OBJECT_DATABASE; }
%type comment_text {const char *}
comment_text(A) ::= STRING(T). { A = ast_text(cx, T); }
comment_text(A) ::= NULL. { A = NULL; }

xcmd(A) ::= COPY qname(N) names_opt(C) copy_way(W) copy_file(F) copy_options(O). { A = ast_copy(cx, N, C, W, F, O); }
xcmd(A) ::= COPY select_p(Q) TO copy_file(F) copy_options(O). { A = ast_copy_query(cx, Q, F, O); }
%type copy_way {int}
copy_way(A) ::= FROM. { A = 1; }
copy_way(A) ::= TO. { A = 0; }
%type copy_file {const char *}
copy_file(A) ::= STRING(T). { A = ast_text(cx, T); }
copy_file(A) ::= STDIN. { A = NULL; }
copy_file(A) ::= STDOUT. { A = NULL; }
%type copy_options {struct ast_options *}
copy_options(A) ::= . { A = NULL; }
copy_options(A) ::= with_opt LP copy_list(L) RP. { A = L; }
with_opt ::= .
with_opt ::= WITH.
%type copy_list {struct ast_options *}
copy_list(A) ::= copy_option(O). { A = ast_options_add(cx, NULL, O); }
copy_list(A) ::= copy_list(L) COMMA copy_option(O). { A = ast_options_add(cx, L, O); }
%type copy_option {struct ast_option *}
copy_option(A) ::= copy_name(N). { A = ast_copy_option(cx, N, NULL); }
copy_option(A) ::= copy_name(N) copy_value(V). { A = ast_copy_option(cx, N, &V); }
copy_option(A) ::= copy_name(N) EQ copy_value(V). { A = ast_copy_option(cx, N, &V); }
%type copy_name {struct token}
copy_name(A) ::= ID(A).
copy_name(A) ::= NULL(A).
copy_name(A) ::= ESCAPE(A).
%type copy_value {struct token}
copy_value(A) ::= option_value(A).
copy_value(A) ::= ON(A).

xcmd(A) ::= USE nm(N). { A = ast_database(cx, AST_STMT_USE, N, NULL, 0); }
xcmd(A) ::= ATTACH database_opt expr(E) AS nm(N). { A = ast_database(cx, AST_STMT_ATTACH, N, E, 0); }
xcmd(A) ::= DETACH database_opt nm(N). { A = ast_database(cx, AST_STMT_DETACH, N, NULL, 0); }
xcmd(A) ::= CREATE DATABASE ifnotexists(X) nm(N). { A = ast_database(cx, AST_STMT_CREATE_DATABASE, N, NULL, X); }
xcmd(A) ::= CREATE SCHEMA ifnotexists(X) nm(N). { A = ast_database(cx, AST_STMT_CREATE_DATABASE, N, NULL, X); }
database_opt ::= .
database_opt ::= DATABASE.

/* Never made by the grammar: the lexer's word for text that is no token. */
%token ILLEGAL.

%code {
/* The parser's states, looked into from here only: which tokens could come next. Lemon's own lookup, without the fallback. */
static YYACTIONTYPE action_of(YYCODETYPE token, YYACTIONTYPE state)
{
    if (state > YY_MAX_SHIFT)
        return state; /* a reduction that waits for any token */
    int i = yy_shift_ofst[state] + token;
    if (i >= 0 && i < (int)(sizeof yy_lookahead / sizeof yy_lookahead[0]) && yy_lookahead[i] == token)
        return yy_action[i];
    return yy_default[state];
}

static bool accepts(const yyParser *p, YYCODETYPE token)
{
    YYACTIONTYPE above[32]; /* states pushed by the reductions tried here, over the first `base` of the real stack */
    int pushed = 0;
    int base = (int)(p->yytos - p->yystack) + 1;
    for (int steps = 0; steps < 10000; steps++) {
        YYACTIONTYPE state = pushed > 0 ? above[pushed - 1] : p->yystack[base - 1].stateno;
        YYACTIONTYPE act = action_of(token, state);
        if (act <= YY_MAX_SHIFTREDUCE || act == YY_ACCEPT_ACTION)
            return true;
        if (act < YY_MIN_REDUCE)
            return false;
        int rule = act - YY_MIN_REDUCE;
        for (int pops = -yyRuleInfoNRhs[rule]; pops > 0; pops--) {
            if (pushed > 0)
                pushed--;
            else
                base--;
        }
        if (pushed == (int)(sizeof above / sizeof above[0]) || base < 1)
            return false;
        state = pushed > 0 ? above[pushed - 1] : p->yystack[base - 1].stateno;
        above[pushed++] = yy_find_reduce_action(state, yyRuleInfoLhs[rule]);
    }
    return false;
}

static void note_expected(const yyParser *p, struct parse_expected *want)
{
    if (want == NULL)
        return;
    for (int code = 0; code < PARSE_CODES_MAX && code < YYNTOKEN; code++)
        want->code[code] = accepts(p, (YYCODETYPE)code);
}

void sql_lemon_run(struct parse_ctx *cx, int first)
{
    yyParser parser;
    sql_lemonInit(&parser, cx);
    bool begun = false;
    if (first != 0)
        sql_lemon(&parser, first, cx->tok);
    while (cx->rc == QUARTET_OK) {
        int code = lex_next(&cx->lx, &cx->tok);
        if (code == TK_ILLEGAL) {
            parse_ctx_illegal(cx);
            break;
        }
        bool last = code == 0 || lex_split_feed(&cx->split, code);
        if (last && !begun && first == 0) {
            if (code == 0)
                break;
            cx->split = (struct lex_split){0};
            continue; /* an empty statement */
        }
        if (!begun) {
            cx->begin = cx->prev_end = cx->tok.offset;
            begun = true;
        }
        cx->ended = last;
        if (code == TK_DUPLICATE)
            cx->lx.values_is_function = true;
        if (cx->probe_at == cx->tok.offset && cx->probe != NULL) {
            note_expected(&parser, cx->probe);
            break;
        }
        sql_lemon(&parser, last ? 0 : code, cx->tok);
        if (last)
            break;
        if (cx->rc != QUARTET_OK)
            break;
        cx->prev_at = cx->tok.offset;
        cx->prev_code = code;
        cx->prev_end = cx->tok.offset + cx->tok.n;
    }
    sql_lemonFinalize(&parser);
}
}

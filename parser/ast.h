/* ast.h - the tree of one SQL statement: tagged nodes in the statement's arena, nothing to free one by one.
 *
 * Rules that every reader may rely on:
 * - Names are NUL-terminated UTF-8, unquoted and unescaped, in the case the user wrote; compare them without case (ASCII).
 *   An absent name has text == NULL. `offset` is the byte offset in the text given to parse_sql, for error carets.
 * - Every expression, query and FROM source carries its height; heights never pass parse_limits.max_expression_depth, so a
 *   recursive walk over a tree (subqueries included) is bounded. Wide things (AND, OR, IN lists, FROM, UNION) are arrays.
 * - Lists have count 0 and item NULL where empty. Optional pointers are NULL where absent.
 * - The tree is plain syntax: nothing is resolved, typed or folded, except that the sign of a number literal is part of it
 *   where the number alone would not fit (-9223372036854775808). Where SQL has two spellings the tree has one (see ast_print.c).
 */
#ifndef PARSER_AST_H
#define PARSER_AST_H

#include "base/arena.h"

struct ast_expr;
struct ast_query;
struct ast_from;
struct ast_stmt;

/* ---- small parts ---- */

struct ast_name {
    const char *text; /* NULL: absent */
    uint32_t len;
    uint32_t offset;
};

struct ast_qname { /* [schema.]name */
    struct ast_name schema;
    struct ast_name name;
};

struct ast_names {
    struct ast_name *item;
    uint32_t count, cap;
};

struct ast_qnames {
    struct ast_qname *item;
    uint32_t count, cap;
};

struct ast_exprs {
    struct ast_expr **item;
    uint32_t count, cap;
};

/* A declared type: its words joined by one blank ("DOUBLE PRECISION", "NVARCHAR"), unknown words allowed, then numbers.
 * TIMESTAMP(3) WITH TIME ZONE has the words "TIMESTAMP WITH TIME ZONE". text == NULL: no type. */
struct ast_type {
    const char *text;
    uint32_t offset;
    uint8_t arg_count; /* 0, 1, 2 */
    int32_t arg[2];    /* may be negative, as NUMERIC(5,-2) */
};

enum ast_sort_dir { AST_SORT_DEFAULT, AST_SORT_ASC, AST_SORT_DESC };
enum ast_nulls { AST_NULLS_DEFAULT, AST_NULLS_FIRST, AST_NULLS_LAST };

struct ast_order { /* of ORDER BY, of an index (expr is a plain column or an expression) */
    struct ast_expr *expr;
    uint8_t dir;   /* enum ast_sort_dir */
    uint8_t nulls; /* enum ast_nulls */
};

struct ast_orders {
    struct ast_order *item;
    uint32_t count, cap;
};

/* ---- expressions ---- */

#define AST_EXPR_KINDS(X)                                                                                      \
    X(NULL)       /* NULL */                                                                                   \
    X(INTEGER)    /* u.integer: fits int64; hex literals too (0xffffffffffffffff is -1, as in SQLite) */       \
    X(REAL)       /* u.real: the nearest double, and the text for exact DECIMAL; also integers over int64 */   \
    X(STRING)     /* u.string: '...' unescaped */                                                              \
    X(BLOB)       /* u.string: bytes of x'..' */                                                               \
    X(BOOL)       /* u.integer 1 or 0: TRUE, FALSE */                                                          \
    X(TYPED)      /* u.typed: DATE '..', TIME '..', TIMESTAMP '..', INTERVAL '..' and the like */              \
    X(PARAM)      /* u.param: number from 1; its name is in stmt->params */                                    \
    X(COLUMN)     /* u.column: [[schema.]table.]name */                                                        \
    X(STAR)       /* u.column: * or [schema.]t.*; only in result lists and RETURNING */                        \
    X(UNARY)      /* u.binary: op, left */                                                                     \
    X(BINARY)     /* u.binary: op, left, right */                                                              \
    X(AND)        /* u.list: two or more; no item is an AND */                                                 \
    X(OR)         /* u.list: two or more; no item is an OR */                                                  \
    X(LIKE)       /* u.like: LIKE, GLOB, REGEXP, MATCH, ILIKE, SIMILAR by op; negated */                       \
    X(BETWEEN)    /* u.between; negated */                                                                     \
    X(IN_LIST)    /* u.in: left, list (may be empty); negated */                                               \
    X(IN_QUERY)   /* u.in: left, query; negated */                                                             \
    X(IN_TABLE)   /* u.in: left, table (SQLite: x IN tablename, or a table function); negated */               \
    X(QUANTIFIED) /* u.in: left, op (a comparison), all or any, query */                                       \
    X(EXISTS)     /* u.query */                                                                                \
    X(SUBQUERY)   /* u.query: scalar, or a row where a row is compared */                                      \
    X(ROW)        /* u.list: (a, b, ...), two or more, or ROW(a) */                                            \
    X(CASE)       /* u.kase */                                                                                 \
    X(CAST)       /* u.cast: CAST(x AS t) and x::t; TRY_CAST sets try_cast */                                  \
    X(COLLATE)    /* u.collate */                                                                              \
    X(FUNCTION)   /* u.function; aggregates and windows too */                                                 \
    X(DEFAULT)    /* DEFAULT, in VALUES of an INSERT and in SET col = DEFAULT */                               \
    X(RAISE)      /* u.raise: RAISE(...) in a trigger */

enum ast_expr_kind {
#define X(name) AST_EXPR_##name,
    AST_EXPR_KINDS(X)
#undef X
        AST_EXPR_KIND_COUNT
};

#define AST_OPS(X)                                                                        \
    X(NONE, "")                                                                           \
    X(NEG, "-") X(POS, "+") X(BITNOT, "~") X(NOT, "NOT")             /* unary */           \
    X(IS_NULL, "ISNULL") X(NOT_NULL, "NOTNULL")                      /* unary, postfix */  \
    X(IS_TRUE, "IS TRUE") X(IS_NOT_TRUE, "IS NOT TRUE")              /* unary, postfix */  \
    X(IS_FALSE, "IS FALSE") X(IS_NOT_FALSE, "IS NOT FALSE")          /* unary, postfix */  \
    X(CONCAT, "||") X(JSON_GET, "->") X(JSON_GET_TEXT, "->>")                             \
    X(MUL, "*") X(DIV, "/") X(MOD, "%") X(ADD, "+") X(SUB, "-")                           \
    X(IDIV, "DIV") /* MySQL's integer division */                                         \
    X(SHL, "<<") X(SHR, ">>") X(BITAND, "&") X(BITOR, "|")                                \
    X(LT, "<") X(LE, "<=") X(GT, ">") X(GE, ">=") X(EQ, "=") X(NE, "<>")                  \
    X(IS, "IS NOT DISTINCT FROM") /* a IS b, a IS NOT DISTINCT FROM b, a <=> b */         \
    X(IS_NOT, "IS DISTINCT FROM") /* a IS NOT b, a IS DISTINCT FROM b */                  \
    X(XOR, "XOR")                                                                         \
    X(LIKE, "LIKE") X(GLOB, "GLOB") X(REGEXP, "REGEXP") X(MATCH, "MATCH") X(ILIKE, "ILIKE") X(SIMILAR, "SIMILAR TO")

enum ast_op {
#define X(name, text) AST_OP_##name,
    AST_OPS(X)
#undef X
        AST_OP_COUNT
};

struct ast_frame; /* of a window, below */

struct ast_window { /* a definition, or a reference to a named one */
    struct ast_name base;      /* OVER w: is_reference; OVER (w ORDER BY ..): extends it */
    bool is_reference;
    struct ast_exprs partition_by;
    struct ast_orders order_by;
    struct ast_frame *frame;   /* NULL: the default, RANGE UNBOUNDED PRECEDING to CURRENT ROW */
};

enum ast_frame_mode { AST_FRAME_ROWS, AST_FRAME_RANGE, AST_FRAME_GROUPS };
enum ast_bound { AST_BOUND_UNBOUNDED_PRECEDING, AST_BOUND_PRECEDING, AST_BOUND_CURRENT_ROW, AST_BOUND_FOLLOWING,
                 AST_BOUND_UNBOUNDED_FOLLOWING };
enum ast_exclude { AST_EXCLUDE_NO_OTHERS, AST_EXCLUDE_CURRENT_ROW, AST_EXCLUDE_GROUP, AST_EXCLUDE_TIES };

struct ast_frame {
    uint8_t mode, start, end, exclude;   /* the four enums above */
    struct ast_expr *start_expr, *end_expr; /* only for PRECEDING and FOLLOWING with a number */
};

struct ast_function {
    struct ast_name schema;     /* nearly always absent */
    struct ast_name name;
    struct ast_exprs args;
    bool star;                  /* count(*) */
    bool distinct;
    bool within_group;          /* order_by came as WITHIN GROUP (ORDER BY ..) */
    uint8_t nulls;              /* 0, AST_FUNCTION_RESPECT_NULLS, AST_FUNCTION_IGNORE_NULLS */
    struct ast_orders order_by; /* group_concat(x ORDER BY y) */
    struct ast_expr *filter;    /* FILTER (WHERE ..) */
    struct ast_window *over;    /* NULL: no window function */
};
enum { AST_FUNCTION_RESPECT_NULLS = 1, AST_FUNCTION_IGNORE_NULLS = 2 };

struct ast_when {
    struct ast_expr *when, *then;
};

struct ast_case {
    struct ast_expr *operand;  /* NULL: CASE WHEN cond .. */
    struct ast_when *when;
    uint32_t when_count, when_cap;
    struct ast_expr *otherwise; /* NULL: no ELSE */
};

struct ast_in {
    struct ast_expr *left;
    struct ast_exprs list;
    struct ast_query *query;
    struct ast_from *table;
    uint8_t op;  /* QUANTIFIED: enum ast_op */
    bool all;    /* QUANTIFIED: ALL, otherwise ANY (SOME) */
};

struct ast_like {
    struct ast_expr *left, *pattern, *escape; /* escape may be NULL */
};

struct ast_between {
    struct ast_expr *value, *low, *high;
};

struct ast_column { /* of AST_EXPR_COLUMN and AST_EXPR_STAR (name.text NULL there) */
    struct ast_name schema, table, name;
};

enum ast_raise { AST_RAISE_IGNORE, AST_RAISE_ROLLBACK, AST_RAISE_ABORT, AST_RAISE_FAIL };

#define AST_NEGATED 1u    /* NOT LIKE, NOT BETWEEN, NOT IN */
#define AST_DOUBLE_QUOTED 2u /* a column written "so": SQLite and MySQL users may mean a string where no such column exists */
#define AST_TRY_CAST 4u
#define AST_SYMMETRIC 8u  /* BETWEEN SYMMETRIC */

struct ast_expr {
    uint8_t kind;     /* enum ast_expr_kind */
    uint8_t op;       /* enum ast_op, for UNARY, BINARY, LIKE */
    uint8_t flags;    /* AST_NEGATED and so on */
    uint16_t height;  /* 1 for a leaf */
    uint32_t offset;  /* where the caret goes: the operator of a binary node, otherwise the first byte */
    union {
        int64_t integer;
        struct {
            double value;
            const char *text; /* as written: digits, point, exponent; a leading '-' only where folded in */
        } real;
        struct {
            const char *p; /* NUL-terminated; a string holds no NUL inside, a blob may */
            uint32_t n;
        } string;
        struct {
            const char *type; /* upper case: "DATE", "TIMESTAMP", ... */
            const char *text;
        } typed;
        uint32_t param;
        struct ast_column *column;
        struct {
            struct ast_expr *left, *right; /* UNARY: right is NULL */
        } binary;
        struct ast_exprs list;
        struct ast_like *like;
        struct ast_between *between;
        struct ast_in *in;
        struct ast_query *query;
        struct ast_case *kase;
        struct {
            struct ast_expr *value;
            struct ast_type *type;
        } cast;
        struct {
            struct ast_expr *value;
            const char *name;
        } collate;
        struct ast_function *function;
        struct {
            uint8_t action; /* enum ast_raise */
            const char *message;
        } raise;
    } u;
};

/* ---- queries ---- */

struct ast_result { /* one item of a SELECT list or of RETURNING */
    struct ast_expr *expr;   /* may be AST_EXPR_STAR */
    struct ast_name alias;
    uint32_t offset, length; /* the expression's text in the SQL: names the column where there is no alias */
};

struct ast_results {
    struct ast_result *item;
    uint32_t count, cap;
};

enum ast_join {
    AST_JOIN_FIRST, /* the first of a FROM list: joined to nothing */
    AST_JOIN_COMMA, AST_JOIN_CROSS, AST_JOIN_INNER, AST_JOIN_LEFT, AST_JOIN_RIGHT, AST_JOIN_FULL
};
enum ast_from_kind { AST_FROM_TABLE, AST_FROM_QUERY, AST_FROM_FUNCTION, AST_FROM_JOIN };
enum ast_as_of { AST_AS_OF_NONE, AST_AS_OF_TIME, AST_AS_OF_STAMP };

/* One source of a FROM list. Lists are flat and associate to the left, as in SQLite: item k is joined to all before it.
 * An ON may name any source at its left, those before a comma too. Parentheses make an AST_FROM_JOIN. */
struct ast_from {
    uint8_t kind;    /* enum ast_from_kind */
    uint8_t join;    /* enum ast_join: how it is joined to what is at its left */
    bool natural;
    bool lateral;
    uint8_t as_of;   /* enum ast_as_of; TABLE only */
    uint16_t height;
    uint32_t offset;
    struct ast_qname name;          /* TABLE, FUNCTION */
    struct ast_exprs args;          /* FUNCTION */
    struct ast_query *query;        /* QUERY */
    struct ast_from_list *nested;   /* JOIN */
    struct ast_expr *as_of_expr;
    struct ast_name alias;
    struct ast_names column_aliases; /* t(a, b) */
    struct ast_name indexed_by;      /* a hint; ignored */
    bool not_indexed;
    struct ast_expr *on;
    struct ast_names using_columns;
};

struct ast_from_list {
    struct ast_from **item;
    uint32_t count, cap;
};

enum ast_group_kind { AST_GROUP_EXPR, AST_GROUP_ROLLUP, AST_GROUP_CUBE, AST_GROUP_SETS, AST_GROUP_EMPTY };

/* One item of GROUP BY: an expression (or a row: (a, b)), (), ROLLUP (..), CUBE (..) or GROUPING SETS (..). */
struct ast_group {
    uint8_t kind; /* enum ast_group_kind */
    uint16_t height;
    struct ast_expr *expr;            /* EXPR */
    struct ast_group_list *nested;    /* ROLLUP, CUBE, SETS */
};

struct ast_group_list {
    struct ast_group **item;
    uint32_t count, cap;
};

struct ast_named_window {
    struct ast_name name;
    struct ast_window *window;
};

struct ast_cte {
    struct ast_name name;
    struct ast_names columns;
    uint8_t materialized; /* 0: not said, AST_CTE_MATERIALIZED, AST_CTE_NOT_MATERIALIZED */
    struct ast_query *query;
};
enum { AST_CTE_MATERIALIZED = 1, AST_CTE_NOT_MATERIALIZED = 2 };

struct ast_with {
    bool recursive;
    struct ast_cte *item;
    uint32_t count, cap;
};

struct ast_rows { /* VALUES (..), (..) */
    struct ast_exprs *item;
    uint32_t count, cap;
};

enum ast_query_kind { AST_QUERY_SELECT, AST_QUERY_VALUES, AST_QUERY_COMPOUND };
enum ast_set_op { AST_SET_FIRST, AST_SET_UNION, AST_SET_UNION_ALL, AST_SET_INTERSECT, AST_SET_INTERSECT_ALL,
                  AST_SET_EXCEPT, AST_SET_EXCEPT_ALL };

struct ast_select { /* TABLE t is SELECT * FROM t */
    bool distinct;
    struct ast_exprs distinct_on; /* DISTINCT ON (..) */
    struct ast_results results;
    struct ast_from_list from;    /* count 0: no FROM */
    struct ast_expr *where;
    struct ast_group_list group_by;
    struct ast_expr *having;
    struct ast_named_window *window;
    uint32_t window_count, window_cap;
    struct ast_expr *qualify;
};

struct ast_set_part {
    uint8_t op; /* enum ast_set_op: how it is combined with the result of all before it (left to right, as SQLite) */
    struct ast_query *query; /* a SELECT or VALUES; in parentheses it may have its own WITH, ORDER BY, LIMIT or be a COMPOUND */
};

struct ast_query {
    uint8_t kind;    /* enum ast_query_kind */
    bool with_ties;  /* FETCH FIRST n ROWS WITH TIES */
    bool for_update; /* FOR UPDATE, FOR SHARE: accepted for MySQL's users; every transaction is serializable here anyway */
    uint16_t height;
    uint32_t offset;
    struct ast_with *with;
    struct ast_select *select;  /* SELECT */
    struct ast_rows values;     /* VALUES */
    struct ast_set_part *part;  /* COMPOUND: two or more */
    uint32_t part_count, part_cap;
    struct ast_orders order_by;
    struct ast_expr *limit, *limit_offset;
};

/* ---- writing ---- */

enum ast_conflict { AST_CONFLICT_DEFAULT, AST_CONFLICT_ROLLBACK, AST_CONFLICT_ABORT, AST_CONFLICT_FAIL, AST_CONFLICT_IGNORE,
                    AST_CONFLICT_REPLACE };

struct ast_assign { /* a = x; (a, b) = (x, y) or (a, b) = (SELECT ..) */
    struct ast_names columns; /* one, or several for the row form */
    struct ast_name table;    /* SET t.a = x (MySQL); nearly always absent */
    struct ast_expr *value;
};

struct ast_assigns {
    struct ast_assign *item;
    uint32_t count, cap;
};

struct ast_upsert { /* ON CONFLICT [(target) [WHERE ..]] DO NOTHING | UPDATE SET .. [WHERE ..] */
    struct ast_orders target;
    struct ast_expr *target_where;
    struct ast_name constraint; /* ON CONFLICT ON CONSTRAINT name */
    bool do_update;
    bool duplicate_key;         /* MySQL's ON DUPLICATE KEY UPDATE: any unique key; VALUES(col) is the new value */
    struct ast_assigns set;
    struct ast_expr *where;
};

struct ast_insert {
    struct ast_with *with;
    uint8_t conflict;           /* enum ast_conflict: INSERT OR x; REPLACE INTO is AST_CONFLICT_REPLACE; INSERT IGNORE likewise */
    struct ast_qname table;
    struct ast_name alias;
    struct ast_names columns;
    struct ast_query *source;   /* NULL: DEFAULT VALUES. VALUES may hold AST_EXPR_DEFAULT */
    struct ast_upsert **upsert; /* in order */
    uint32_t upsert_count, upsert_cap;
    struct ast_results returning;
};

struct ast_update {
    struct ast_with *with;
    uint8_t conflict;
    struct ast_from *table;     /* a TABLE, maybe with alias */
    struct ast_assigns set;
    struct ast_from_list from;
    struct ast_expr *where;
    struct ast_orders order_by;
    struct ast_expr *limit, *limit_offset;
    struct ast_results returning;
};

struct ast_delete {
    struct ast_with *with;
    struct ast_from *table;
    struct ast_from_list using_from;
    struct ast_expr *where;
    struct ast_orders order_by;
    struct ast_expr *limit, *limit_offset;
    struct ast_results returning;
};

/* ---- schema ---- */

#define AST_COLUMN_KINDS(X) X(LWW, "") X(COUNTER, "COUNTER") X(MAXIMUM, "MAXIMUM") X(MINIMUM, "MINIMUM") X(SET, "SET") X(MULTIVALUE, "MULTIVALUE")
enum ast_column_kind {
#define X(name, text) AST_COLUMN_##name,
    AST_COLUMN_KINDS(X)
#undef X
        AST_COLUMN_KIND_COUNT
};

enum ast_fk_action { AST_FK_DEFAULT, AST_FK_NO_ACTION, AST_FK_RESTRICT, AST_FK_CASCADE, AST_FK_SET_NULL, AST_FK_SET_DEFAULT };

struct ast_references {
    struct ast_qname table;
    struct ast_names columns;  /* empty: the primary key */
    uint8_t on_delete, on_update; /* enum ast_fk_action */
    bool keep_parent;          /* ON MERGE KEEP PARENT */
    uint8_t deferred;          /* 0: not said, 1: DEFERRABLE [INITIALLY IMMEDIATE], 2: .. INITIALLY DEFERRED, 3: NOT DEFERRABLE */
    struct ast_name match;     /* MATCH FULL; ignored */
};

enum ast_constraint_kind {
    AST_CONSTRAINT_PRIMARY_KEY,
    AST_CONSTRAINT_UNIQUE,
    AST_CONSTRAINT_CHECK,
    AST_CONSTRAINT_FOREIGN_KEY,     /* REFERENCES of a column: columns is empty */
    AST_CONSTRAINT_MERGE_TOGETHER,  /* table only */
    AST_CONSTRAINT_INDEX            /* MySQL's INDEX|KEY name (cols) inside CREATE TABLE */
};

struct ast_constraint { /* of a table (columns listed), or of a column (columns is empty: it is that one) */
    uint8_t kind;     /* enum ast_constraint_kind */
    uint8_t conflict; /* ON CONFLICT x, as in SQLite */
    uint32_t offset;
    struct ast_name name;
    struct ast_orders columns;   /* PRIMARY KEY, UNIQUE, INDEX, MERGE TOGETHER: expressions that are plain columns, maybe DESC */
    struct ast_names fk_columns; /* FOREIGN KEY of a table */
    struct ast_references *references;
    struct ast_expr *check;
    uint32_t check_offset, check_length; /* its text */
    bool autoincrement;          /* of a table's PRIMARY KEY (x AUTOINCREMENT); a column has its own flag */
    uint8_t key_dir;             /* enum ast_sort_dir: x INTEGER PRIMARY KEY DESC */
};

struct ast_constraints {
    struct ast_constraint **item;
    uint32_t count, cap;
};

struct ast_column_def {
    struct ast_name name;
    struct ast_type type;
    uint8_t column_kind;   /* enum ast_column_kind */
    uint8_t not_null;      /* 0: not said, 1: NOT NULL, 2: NULL */
    uint8_t not_null_conflict;
    bool autoincrement;    /* AUTOINCREMENT, AUTO_INCREMENT */
    bool stored;           /* generated: STORED, otherwise VIRTUAL */
    struct ast_expr *default_value;
    struct ast_expr *on_update;  /* MySQL's ON UPDATE CURRENT_TIMESTAMP */
    struct ast_expr *generated;  /* GENERATED ALWAYS AS (expr) */
    struct ast_name identity;    /* GENERATED ALWAYS|BY DEFAULT AS IDENTITY: "ALWAYS" or "DEFAULT" */
    struct ast_name collate;
    struct ast_name comment;     /* MySQL's COMMENT 'text' */
    struct ast_constraints constraints; /* PRIMARY KEY, UNIQUE, CHECK, REFERENCES */
};

struct ast_column_defs {
    struct ast_column_def **item;
    uint32_t count, cap;
};

struct ast_option { /* ENGINE=InnoDB; value is NULL for a bare word as STRICT or WITHOUT ROWID */
    struct ast_name name; /* words joined by one blank, upper case: "DEFAULT CHARSET" */
    const char *value;
};

struct ast_options {
    struct ast_option *item;
    uint32_t count, cap;
};

struct ast_create_table {
    bool temporary, if_not_exists, without_rowid, strict, updates_win;
    struct ast_qname name;
    struct ast_column_defs columns;
    struct ast_constraints constraints;
    struct ast_options options;   /* MySQL's and others, to be accepted and mostly ignored */
    struct ast_qname like;        /* CREATE TABLE a LIKE b, CREATE TABLE a (LIKE b) */
    struct ast_query *as;         /* CREATE TABLE a AS q; CREATE TABLE a (x, y TEXT) AS q has columns too */
    bool no_data;                 /* AS .. WITH NO DATA */
};

struct ast_create_index {
    bool unique, if_not_exists;
    struct ast_qname name;      /* name.text may be NULL: name it for the user */
    struct ast_qname table;
    struct ast_orders columns;
    struct ast_expr *where;
    struct ast_name method;     /* USING btree; ignored */
};

struct ast_create_view {
    bool temporary, if_not_exists, or_replace;
    struct ast_qname name;
    struct ast_names columns;
    struct ast_query *query;
};

enum ast_trigger_time { AST_TRIGGER_BEFORE_OR_DEFAULT, AST_TRIGGER_BEFORE, AST_TRIGGER_AFTER, AST_TRIGGER_INSTEAD_OF };
enum ast_trigger_event { AST_TRIGGER_INSERT, AST_TRIGGER_UPDATE, AST_TRIGGER_DELETE };

struct ast_create_trigger {
    bool temporary, if_not_exists, for_each_row;
    struct ast_qname name;
    uint8_t time;   /* enum ast_trigger_time; the default is BEFORE, as in SQLite */
    uint8_t event;  /* enum ast_trigger_event */
    struct ast_names update_of;
    struct ast_qname table;
    struct ast_expr *when;
    struct ast_stmt **body; /* INSERT, UPDATE, DELETE, SELECT */
    uint32_t body_count, body_cap;
};

enum ast_object { AST_OBJECT_TABLE, AST_OBJECT_INDEX, AST_OBJECT_VIEW, AST_OBJECT_TRIGGER, AST_OBJECT_COLUMN, AST_OBJECT_DATABASE };

struct ast_drop {
    uint8_t object; /* enum ast_object */
    bool if_exists;
    uint8_t behaviour; /* 0: not said, 1: RESTRICT, 2: CASCADE */
    struct ast_qnames names;
    struct ast_qname on_table; /* MySQL's DROP INDEX i ON t */
};

enum ast_alter_kind {
    AST_ALTER_ADD_COLUMN, AST_ALTER_DROP_COLUMN, AST_ALTER_RENAME_COLUMN, AST_ALTER_RENAME_TABLE, AST_ALTER_ADD_CONSTRAINT,
    AST_ALTER_DROP_CONSTRAINT, AST_ALTER_SET_DEFAULT, AST_ALTER_DROP_DEFAULT, AST_ALTER_SET_NOT_NULL, AST_ALTER_DROP_NOT_NULL,
    AST_ALTER_SET_TYPE, AST_ALTER_SET_KIND, AST_ALTER_UPDATES_WIN
};

struct ast_alter_action {
    uint8_t kind; /* enum ast_alter_kind */
    bool if_exists, if_not_exists, enable; /* enable: UPDATES WIN on; otherwise UPDATES LOSE */
    uint8_t column_kind;         /* SET_KIND: enum ast_column_kind */
    uint8_t behaviour;           /* drops: as in struct ast_drop */
    struct ast_name name;        /* the column or constraint */
    struct ast_name new_name;    /* renames */
    struct ast_column_def *column;
    struct ast_constraint *constraint;
    struct ast_type type;
    struct ast_expr *value;      /* SET DEFAULT */
};

struct ast_alter {
    bool if_exists;
    struct ast_qname table;
    struct ast_alter_action *action;
    uint32_t action_count, action_cap;
};

/* ---- the rest ---- */

enum ast_txn { AST_TXN_BEGIN, AST_TXN_COMMIT, AST_TXN_ROLLBACK, AST_TXN_SAVEPOINT, AST_TXN_RELEASE, AST_TXN_ROLLBACK_TO };
struct ast_transaction {
    uint8_t action; /* enum ast_txn */
    uint8_t mode;   /* BEGIN: 0, 1 DEFERRED, 2 IMMEDIATE, 3 EXCLUSIVE */
    uint8_t access; /* BEGIN: 0, 1 READ ONLY, 2 READ WRITE */
    struct ast_name savepoint;
};

struct ast_setting { /* SET name = value; SET name TO value; PRAGMA name = value; PRAGMA name(value); SHOW name */
    struct ast_qname name;     /* schema: PRAGMA schema.name */
    uint8_t scope;             /* SET: 0, 1 SESSION, 2 GLOBAL, 3 LOCAL */
    struct ast_expr *value;    /* NULL: ask. A bare word (on, wal, default) is a STRING */
};

struct ast_settings {
    struct ast_setting *item;
    uint32_t count, cap;
};

struct ast_show {
    const char *what;        /* the words in upper case, joined by one blank: "TABLES", "CREATE TABLE", "CLUSTER", "COLUMNS" */
    bool full;               /* SHOW FULL .., SHOW EXTENDED .. */
    struct ast_qname name;   /* SHOW CREATE TABLE t; SHOW COLUMNS FROM t; DESCRIBE t */
    struct ast_name from;    /* a second FROM db */
    struct ast_expr *like;
    struct ast_expr *where;
};

struct ast_maintenance { /* VACUUM, ANALYZE, REINDEX, TRUNCATE: of all, or of one; BACKUP, VACUUM INTO: with a path */
    struct ast_qname name;
    struct ast_expr *path;
};

struct ast_backtrack {
    struct ast_qname table; /* name.text NULL: the database */
    uint8_t to;             /* enum ast_as_of */
    struct ast_expr *value;
};

struct ast_copy {
    struct ast_qname table;
    struct ast_names columns;
    struct ast_query *query; /* COPY (SELECT ..) TO */
    bool is_from;
    const char *file;        /* NULL: STDIN or STDOUT */
    struct ast_options options; /* WITH (FORMAT csv, HEADER) */
};

struct ast_comment {
    uint8_t object;         /* enum ast_object */
    struct ast_qname name;  /* of the object; of a column: table and column stand in `name` and `column` */
    struct ast_name column;
    const char *text;       /* NULL: IS NULL, no comment */
};

struct ast_resolve {
    struct ast_expr *id;
    bool using_loser;       /* USING LOSER; otherwise USING WINNER, which only marks it as seen */
};

struct ast_database { /* USE name, ATTACH expr AS name, DETACH name, CREATE DATABASE name */
    struct ast_name name;
    struct ast_expr *file;
    bool if_not_exists;
};

#define AST_STMT_KINDS(X)                                                                                     \
    X(SELECT, query, struct ast_query) /* SELECT, VALUES, WITH .. SELECT, TABLE t */                          \
    X(INSERT, insert, struct ast_insert)                                                                      \
    X(UPDATE, update, struct ast_update)                                                                      \
    X(DELETE, del, struct ast_delete)                                                                         \
    X(CREATE_TABLE, create_table, struct ast_create_table)                                                    \
    X(CREATE_INDEX, create_index, struct ast_create_index)                                                    \
    X(CREATE_VIEW, create_view, struct ast_create_view)                                                       \
    X(CREATE_TRIGGER, create_trigger, struct ast_create_trigger)                                              \
    X(DROP, drop, struct ast_drop)                                                                            \
    X(ALTER_TABLE, alter, struct ast_alter)                                                                   \
    X(TRANSACTION, transaction, struct ast_transaction) /* BEGIN .. RELEASE */                                \
    X(SET, settings, struct ast_settings)                                                                     \
    X(PRAGMA, setting, struct ast_setting)                                                                    \
    X(SHOW, show, struct ast_show)                                                                            \
    X(TRUNCATE, maintenance, struct ast_maintenance)                                                          \
    X(VACUUM, maintenance, struct ast_maintenance)                                                            \
    X(ANALYZE, maintenance, struct ast_maintenance)                                                           \
    X(REINDEX, maintenance, struct ast_maintenance)                                                           \
    X(BACKUP, maintenance, struct ast_maintenance)                                                            \
    X(BACKTRACK, backtrack, struct ast_backtrack)                                                             \
    X(COPY, copy, struct ast_copy)                                                                            \
    X(COMMENT, comment, struct ast_comment)                                                                   \
    X(RESOLVE, resolve, struct ast_resolve)                                                                   \
    X(USE, database, struct ast_database)                                                                     \
    X(ATTACH, database, struct ast_database)                                                                  \
    X(DETACH, database, struct ast_database)                                                                  \
    X(CREATE_DATABASE, database, struct ast_database)

enum ast_stmt_kind {
#define X(name, member, type) AST_STMT_##name,
    AST_STMT_KINDS(X)
#undef X
        AST_STMT_KIND_COUNT
};

enum ast_explain { AST_EXPLAIN_NONE, AST_EXPLAIN_PLAN, AST_EXPLAIN_ANALYZE, AST_EXPLAIN_MERGE };

struct ast_params { /* numbers 1 to count; names[number - 1] is ":name" with its first character, or NULL for ? and ?N */
    uint32_t count, cap;
    const char **names;
};

struct ast_stmt {
    uint8_t kind;      /* enum ast_stmt_kind */
    uint8_t explain;   /* enum ast_explain: EXPLAIN of this statement */
    uint32_t offset, length; /* its text in the SQL, without the ';' */
    struct ast_params params;
    union {
        void *any;
        struct ast_query *query;
        struct ast_insert *insert;
        struct ast_update *update;
        struct ast_delete *del;
        struct ast_create_table *create_table;
        struct ast_create_index *create_index;
        struct ast_create_view *create_view;
        struct ast_create_trigger *create_trigger;
        struct ast_drop *drop;
        struct ast_alter *alter;
        struct ast_transaction *transaction;
        struct ast_settings *settings;
        struct ast_setting *setting;
        struct ast_show *show;
        struct ast_maintenance *maintenance;
        struct ast_backtrack *backtrack;
        struct ast_copy *copy;
        struct ast_comment *comment;
        struct ast_resolve *resolve;
        struct ast_database *database;
    } u;
};

const char *ast_expr_kind_name(enum ast_expr_kind kind); /* "IN_LIST"; for messages and dumps */
const char *ast_stmt_kind_name(enum ast_stmt_kind kind); /* "CREATE TABLE" */
const char *ast_op_text(enum ast_op op);                 /* "<=" */

#endif

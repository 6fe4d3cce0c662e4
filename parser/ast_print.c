/* ast_print.c - names, literals and expressions back to SQL.
 * Why: the catalog stores what it printed, so that views, checks and defaults survive as text that
 * any version can read again. Invariant: what is printed parses to an equal tree. Parentheses stand
 * where the grammar's precedence needs them and nowhere else; what could be taken for a keyword is
 * quoted. */
#include "parser/ast_print.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "parser/lex.h"

/* ---- names and texts ---- */

/* Keywords that are everyday names and safe as such wherever a printed name stands. */
static bool is_everyday(const char *s)
{
    static const char *const words[] = {"action", "at", "comment", "counter", "data", "date", "first",
                                        "key",    "last",    "start",   "time", "type"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(s, words[i]) == 0)
            return true;
    return false;
}

static bool is_plain(const char *s)
{
    for (const char *c = s; *c != '\0'; c++) {
        bool letter = ((*c | 0x20) >= 'a' && (*c | 0x20) <= 'z') || *c == '_' || (*c & 0x80) != 0;
        if (!letter && (c == s || !((*c >= '0' && *c <= '9') || *c == '$')))
            return false;
    }
    return *s != '\0';
}

static void put_quoted(struct buf *out, const char *s, char quote)
{
    buf_u8(out, (uint8_t)quote);
    for (; *s != '\0'; s++) {
        if (*s == quote)
            buf_u8(out, (uint8_t)quote);
        buf_u8(out, (uint8_t)*s);
    }
    buf_u8(out, (uint8_t)quote);
}

void ast_print_name(const char *name, struct buf *out)
{
    if (is_plain(name) && (!keyword_is_known(name, strlen(name)) || is_everyday(name)))
        buf_str(out, name);
    else
        put_quoted(out, name, '"');
}

void print_name(struct printer *p, const struct ast_name *name)
{
    ast_print_name(name->text, p->out);
}

void print_qname(struct printer *p, const struct ast_qname *name)
{
    if (name->schema.text != NULL) {
        print_name(p, &name->schema);
        buf_str(p->out, ".");
    }
    print_name(p, &name->name);
}

void print_names(struct printer *p, const struct ast_names *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        buf_str(p->out, i > 0 ? ", " : "");
        print_name(p, &list->item[i]);
    }
}

void print_string(struct printer *p, const char *s)
{
    put_quoted(p->out, s, '\'');
}

/* A function's name: words that only mean something elsewhere need no quotes before a '('. */
static void print_function_name(struct printer *p, const char *name)
{
    static const char *const words[] = {"date", "time",    "datetime", "json",   "glob",
                                        "like", "replace", "left",     "right",  "if",
                                        "mod",  "char",    "match",    "regexp", "uuid"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(name, words[i]) == 0) {
            buf_str(p->out, name);
            return;
        }
    }
    ast_print_name(name, p->out);
}

/* ---- types ---- */

/* May this word of a type stand without quotes? Keywords only where the grammar has no other use
 * for them in a type. */
static bool is_type_word(const char *word, size_t n)
{
    static const char *const words[] = {"date", "time",     "timestamp", "datetime", "json",
                                        "uuid", "interval", "character", "unsigned"};
    for (size_t i = 0; i < n; i++) {
        char c = word[i];
        bool letter = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || (c & 0x80) != 0;
        if (!letter && (i == 0 || !(c >= '0' && c <= '9')))
            return false;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strlen(words[i]) == n && strncasecmp(words[i], word, n) == 0)
            return true;
    return n > 0 && !keyword_is_known(word, n);
}

static bool is_type_plain(const char *text, size_t n)
{
    for (size_t at = 0; at <= n;) {
        size_t end = at;
        while (end < n && text[end] != ' ')
            end++;
        if (!is_type_word(text + at, end - at))
            return false;
        at = end + 1;
    }
    return true;
}

void print_type(struct printer *p, const struct ast_type *type)
{
    static const char *const suffixes[] = {" WITH TIME ZONE", " WITHOUT TIME ZONE", " UNSIGNED"};
    size_t n = strlen(type->text), head = n;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        size_t m = strlen(suffixes[i]);
        if (n > m && strcasecmp(type->text + n - m, suffixes[i]) == 0)
            head = n - m;
    }
    if (is_type_plain(type->text, head)) {
        buf_put(p->out, type->text, head);
    } else { /* one quoted name of several words is the same type */
        buf_u8(p->out, '"');
        for (size_t i = 0; i < head; i++)
            buf_put(p->out, type->text[i] == '"' ? "\"\"" : &type->text[i],
                    type->text[i] == '"' ? 2 : 1);
        buf_u8(p->out, '"');
    }
    if (type->arg_count == 1)
        buf_printf(p->out, "(%d)", type->arg[0]);
    else if (type->arg_count == 2)
        buf_printf(p->out, "(%d, %d)", type->arg[0], type->arg[1]);
    buf_str(p->out, type->text + head);
}

/* ---- precedence, as in grammar/sql.y ---- */

enum {
    P_ANY,
    P_OR,
    P_XOR,
    P_AND,
    P_NOT,
    P_EQ,
    P_LT,
    P_ESCAPE,
    P_BITS,
    P_ADD,
    P_MUL,
    P_CONCAT,
    P_COLLATE,
    P_UNARY,
    P_PRIMARY
};

static int op_precedence(enum ast_op op)
{
    switch (op) {
    case AST_OP_XOR:
        return P_XOR;
    case AST_OP_NOT:
        return P_NOT;
    case AST_OP_LT:
    case AST_OP_LE:
    case AST_OP_GT:
    case AST_OP_GE:
        return P_LT;
    case AST_OP_SHL:
    case AST_OP_SHR:
    case AST_OP_BITAND:
    case AST_OP_BITOR:
        return P_BITS;
    case AST_OP_ADD:
    case AST_OP_SUB:
        return P_ADD;
    case AST_OP_MUL:
    case AST_OP_DIV:
    case AST_OP_MOD:
    case AST_OP_IDIV:
        return P_MUL;
    case AST_OP_CONCAT:
    case AST_OP_JSON_GET:
    case AST_OP_JSON_GET_TEXT:
        return P_CONCAT;
    case AST_OP_NEG:
    case AST_OP_POS:
    case AST_OP_BITNOT:
        return P_UNARY;
    default:
        return P_EQ;
    }
}

static int precedence(const struct ast_expr *e)
{
    switch (e->kind) {
    case AST_EXPR_OR:
        return P_OR;
    case AST_EXPR_AND:
        return P_AND;
    case AST_EXPR_UNARY:
    case AST_EXPR_BINARY:
        return op_precedence((enum ast_op)e->op);
    case AST_EXPR_LIKE:
    case AST_EXPR_BETWEEN:
    case AST_EXPR_IN_LIST:
    case AST_EXPR_IN_QUERY:
    case AST_EXPR_IN_TABLE:
        return P_EQ;
    case AST_EXPR_QUANTIFIED:
        return P_EQ;
    case AST_EXPR_COLLATE:
        return P_COLLATE;
    case AST_EXPR_INTEGER:
        return e->u.integer < 0 ? P_UNARY : P_PRIMARY;
    default:
        return P_PRIMARY;
    }
}

/* Print e where only what binds at least as `min` may stand bare. */
static void print_at(struct printer *p, const struct ast_expr *e, int min)
{
    bool bare = precedence(e) >= min;
    buf_str(p->out, bare ? "" : "(");
    print_expr(p, e);
    buf_str(p->out, bare ? "" : ")");
}

/* ---- expressions ---- */

void print_exprs(struct printer *p, const struct ast_exprs *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        buf_str(p->out, i > 0 ? ", " : "");
        print_expr(p, list->item[i]);
    }
}

void print_orders(struct printer *p, const struct ast_orders *list)
{
    static const char *const dirs[] = {"", " ASC", " DESC"};
    static const char *const nulls[] = {"", " NULLS FIRST", " NULLS LAST"};
    for (uint32_t i = 0; i < list->count; i++) {
        buf_str(p->out, i > 0 ? ", " : "");
        print_expr(p, list->item[i].expr);
        buf_str(p->out, dirs[list->item[i].dir]);
        buf_str(p->out, nulls[list->item[i].nulls]);
    }
}

static void print_param(struct printer *p, uint32_t number)
{
    const char *name =
        p->params != NULL && number <= p->params->count ? p->params->names[number - 1] : NULL;
    if (name != NULL)
        buf_str(p->out, name);
    else
        buf_printf(p->out, "?%" PRIu32, number);
}

static void print_blob(struct printer *p, const struct ast_expr *e)
{
    buf_str(p->out, "x'");
    for (uint32_t i = 0; i < e->u.string.n; i++)
        buf_printf(p->out, "%02x", (unsigned)(unsigned char)e->u.string.p[i]);
    buf_str(p->out, "'");
}

static void print_column(struct printer *p, const struct ast_expr *e)
{
    const struct ast_column *c = e->u.column;
    if (c->schema.text != NULL) {
        print_name(p, &c->schema);
        buf_str(p->out, ".");
    }
    if (c->table.text != NULL) {
        print_name(p, &c->table);
        buf_str(p->out, ".");
    }
    if (e->kind == AST_EXPR_STAR)
        buf_str(p->out, "*");
    else if ((e->flags & AST_DOUBLE_QUOTED) != 0)
        put_quoted(p->out, c->name.text, '"');
    else
        print_name(p, &c->name);
}

static void print_unary(struct printer *p, const struct ast_expr *e)
{
    const struct ast_expr *operand = e->u.binary.left;
    switch (e->op) {
    case AST_OP_IS_NULL:
    case AST_OP_NOT_NULL:
        print_at(p, operand, P_EQ);
        buf_str(p->out, e->op == AST_OP_IS_NULL ? " IS NULL" : " IS NOT NULL");
        return;
    case AST_OP_IS_TRUE:
    case AST_OP_IS_NOT_TRUE:
    case AST_OP_IS_FALSE:
    case AST_OP_IS_NOT_FALSE:
        print_at(p, operand, P_EQ);
        buf_printf(p->out, " %s", ast_op_text((enum ast_op)e->op));
        return;
    case AST_OP_NOT:
        buf_str(p->out, "NOT ");
        print_at(p, operand, P_NOT);
        return;
    default: /* "--" would begin a comment: a signed operand goes into parentheses; so does a number
                that the sign would join */
        buf_str(p->out, ast_op_text((enum ast_op)e->op));
        print_at(p, operand, P_PRIMARY);
        return;
    }
}

static void print_binary(struct printer *p, const struct ast_expr *e)
{
    int own = op_precedence((enum ast_op)e->op);
    print_at(p, e->u.binary.left, own);
    buf_printf(p->out, " %s ", ast_op_text((enum ast_op)e->op));
    print_at(p, e->u.binary.right, own + 1);
}

static void print_chain(struct printer *p, const struct ast_expr *e, const char *glue, int own)
{
    for (uint32_t i = 0; i < e->u.list.count; i++) {
        buf_str(p->out, i > 0 ? glue : "");
        print_at(p, e->u.list.item[i], own + 1);
    }
}

static void print_like(struct printer *p, const struct ast_expr *e)
{
    print_at(p, e->u.like->left, P_EQ);
    buf_printf(p->out, "%s %s ", (e->flags & AST_NEGATED) != 0 ? " NOT" : "",
               ast_op_text((enum ast_op)e->op));
    print_at(p, e->u.like->pattern, P_BITS);
    if (e->u.like->escape == NULL)
        return;
    buf_str(p->out, " ESCAPE ");
    print_at(p, e->u.like->escape, P_BITS);
}

static void print_between(struct printer *p, const struct ast_expr *e)
{
    print_at(p, e->u.between->value, P_EQ);
    buf_str(p->out, (e->flags & AST_NEGATED) != 0 ? " NOT BETWEEN " : " BETWEEN ");
    buf_str(p->out, (e->flags & AST_SYMMETRIC) != 0 ? "SYMMETRIC " : "");
    print_at(p, e->u.between->low, P_LT);
    buf_str(p->out, " AND ");
    print_at(p, e->u.between->high, P_LT);
}

static void print_in(struct printer *p, const struct ast_expr *e)
{
    const struct ast_in *in = e->u.in;
    if (e->kind == AST_EXPR_QUANTIFIED) {
        print_at(p, in->left, op_precedence((enum ast_op)in->op));
        buf_printf(p->out, " %s %s (", ast_op_text((enum ast_op)in->op), in->all ? "ALL" : "ANY");
        print_query(p, in->query);
        buf_str(p->out, ")");
        return;
    }
    print_at(p, in->left, P_EQ);
    buf_str(p->out, (e->flags & AST_NEGATED) != 0 ? " NOT IN " : " IN ");
    if (e->kind == AST_EXPR_IN_TABLE) {
        print_from_item(p, in->table);
        return;
    }
    buf_str(p->out, "(");
    if (e->kind == AST_EXPR_IN_QUERY) {
        print_query(p, in->query);
    } else {
        print_exprs(p, &in->list);
    }
    buf_str(p->out, ")");
}

static void print_case(struct printer *p, const struct ast_case *k)
{
    buf_str(p->out, "CASE");
    if (k->operand != NULL) {
        buf_str(p->out, " ");
        print_expr(p, k->operand);
    }
    for (uint32_t i = 0; i < k->when_count; i++) {
        buf_str(p->out, " WHEN ");
        print_expr(p, k->when[i].when);
        buf_str(p->out, " THEN ");
        print_expr(p, k->when[i].then);
    }
    if (k->otherwise != NULL) {
        buf_str(p->out, " ELSE ");
        print_expr(p, k->otherwise);
    }
    buf_str(p->out, " END");
}

static bool is_clock(const struct ast_function *f)
{
    static const char *const words[] = {"current_date", "current_time", "current_timestamp",
                                        "localtime", "localtimestamp"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(f->name.text, words[i]) == 0)
            return true;
    return false;
}

static void print_function(struct printer *p, const struct ast_function *f)
{
    if (is_clock(f)) {
        buf_str(p->out, f->name.text);
        if (f->args.count == 0)
            return;
    } else {
        print_function_name(p, f->name.text);
    }
    buf_str(p->out, f->star ? "(*" : f->distinct ? "(DISTINCT " : "(");
    print_exprs(p, &f->args);
    if (f->order_by.count > 0 && !f->within_group) {
        buf_str(p->out, " ORDER BY ");
        print_orders(p, &f->order_by);
    }
    buf_str(p->out, ")");
    if (f->within_group) {
        buf_str(p->out, " WITHIN GROUP (ORDER BY ");
        print_orders(p, &f->order_by);
        buf_str(p->out, ")");
    }
    if (f->filter != NULL) {
        buf_str(p->out, " FILTER (WHERE ");
        print_expr(p, f->filter);
        buf_str(p->out, ")");
    }
    buf_str(p->out, f->nulls == AST_FUNCTION_RESPECT_NULLS  ? " RESPECT NULLS"
                    : f->nulls == AST_FUNCTION_IGNORE_NULLS ? " IGNORE NULLS"
                                                            : "");
    if (f->over == NULL)
        return;
    buf_str(p->out, " OVER ");
    if (f->over->is_reference) {
        print_name(p, &f->over->base);
        return;
    }
    buf_str(p->out, "(");
    print_window(p, f->over);
    buf_str(p->out, ")");
}

static void print_query_form(struct printer *p, const char *before, const struct ast_query *q)
{
    buf_str(p->out, before);
    print_query(p, q);
    buf_str(p->out, ")");
}

static void print_raise(struct printer *p, const struct ast_expr *e)
{
    static const char *const actions[] = {"IGNORE", "ROLLBACK", "ABORT", "FAIL"};
    buf_printf(p->out, "RAISE(%s", actions[e->u.raise.action]);
    if (e->u.raise.message != NULL) {
        buf_str(p->out, ", ");
        print_string(p, e->u.raise.message);
    }
    buf_str(p->out, ")");
}

static void print_cast(struct printer *p, const struct ast_expr *e)
{
    buf_str(p->out, (e->flags & AST_TRY_CAST) != 0 ? "TRY_CAST(" : "CAST(");
    print_expr(p, e->u.cast.value);
    buf_str(p->out, " AS ");
    print_type(p, e->u.cast.type);
    buf_str(p->out, ")");
}

void print_expr(struct printer *p, const struct ast_expr *e)
{
    struct buf *out = p->out;
    switch ((enum ast_expr_kind)e->kind) {
    case AST_EXPR_NULL:
        buf_str(out, "NULL");
        break;
    case AST_EXPR_INTEGER:
        buf_printf(out, "%" PRId64, e->u.integer);
        break;
    case AST_EXPR_REAL:
        buf_str(out, e->u.real.text);
        break;
    case AST_EXPR_STRING:
        print_string(p, e->u.string.p);
        break;
    case AST_EXPR_BLOB:
        print_blob(p, e);
        break;
    case AST_EXPR_BOOL:
        buf_str(out, e->u.integer != 0 ? "TRUE" : "FALSE");
        break;
    case AST_EXPR_TYPED:
        buf_printf(out, "%s ", e->u.typed.type);
        print_string(p, e->u.typed.text);
        break;
    case AST_EXPR_PARAM:
        print_param(p, e->u.param);
        break;
    case AST_EXPR_COLUMN:
    case AST_EXPR_STAR:
        print_column(p, e);
        break;
    case AST_EXPR_UNARY:
        print_unary(p, e);
        break;
    case AST_EXPR_BINARY:
        print_binary(p, e);
        break;
    case AST_EXPR_AND:
        print_chain(p, e, " AND ", P_AND);
        break;
    case AST_EXPR_OR:
        print_chain(p, e, " OR ", P_OR);
        break;
    case AST_EXPR_LIKE:
        print_like(p, e);
        break;
    case AST_EXPR_BETWEEN:
        print_between(p, e);
        break;
    case AST_EXPR_IN_LIST:
    case AST_EXPR_IN_QUERY:
    case AST_EXPR_IN_TABLE:
    case AST_EXPR_QUANTIFIED:
        print_in(p, e);
        break;
    case AST_EXPR_EXISTS:
        print_query_form(p, "EXISTS (", e->u.query);
        break;
    case AST_EXPR_SUBQUERY:
        print_query_form(p, "(", e->u.query);
        break;
    case AST_EXPR_ROW:
        buf_str(out, "(");
        print_exprs(p, &e->u.list);
        buf_str(out, ")");
        break;
    case AST_EXPR_CASE:
        print_case(p, e->u.kase);
        break;
    case AST_EXPR_CAST:
        print_cast(p, e);
        break;
    case AST_EXPR_COLLATE:
        print_at(p, e->u.collate.value, P_COLLATE);
        buf_str(out, " COLLATE ");
        ast_print_name(e->u.collate.name, out);
        break;
    case AST_EXPR_FUNCTION:
        print_function(p, e->u.function);
        break;
    case AST_EXPR_DEFAULT:
        buf_str(out, "DEFAULT");
        break;
    case AST_EXPR_RAISE:
        print_raise(p, e);
        break;
    case AST_EXPR_KIND_COUNT:
        break;
    }
}

void ast_print_expr(const struct ast_expr *expr, struct buf *out)
{
    struct printer p = {.out = out, .params = NULL};
    print_expr(&p, expr);
}

void ast_print_type(const struct ast_type *type, struct buf *out)
{
    struct printer p = {.out = out, .params = NULL};
    print_type(&p, type);
}

/* expr_build.c - making bound expressions: leaves and operators, with affinity, collation and static types, constants folded on the way.
 * Why here and not in the binder: which side of 'a = b' is converted, and that NOT (a < b) is a >= b, is meaning, not naming.
 * Not here: AND, OR, IN, CASE and calls (expr_build_nary.c). */
#include "expr_build.h"

#include "decimal.h"

#include <string.h>

quartet_status build_node(struct arena *a, enum expr_op op, struct expr *const *args, uint32_t n, int64_t sql_offset, struct expr **out,
                          struct err *err)
{
    struct expr *e = arena_zalloc(a, 1, sizeof *e);
    if (e == NULL)
        return arena_fail(a, err);
    e->op = (uint8_t)op;
    e->sql_offset = sql_offset;
    e->arg_count = n;
    if (n > 0) {
        e->args = arena_dup(a, args, n * sizeof *args);
        if (e->args == NULL)
            return arena_fail(a, err);
    }
    *out = e;
    return QUARTET_OK;
}

static bool is_foldable(const struct expr *e)
{
    if (e->op <= EXPR_PARAM || e->op >= EXPR_SUBQUERY)
        return false;
    if (e->op == EXPR_CALL && ((e->u.func->flags & FUNC_DETERMINISTIC) == 0 || e->u.func->scalar == NULL))
        return false;
    for (uint32_t k = 0; k < e->arg_count; k++)
        if (e->args[k]->op != EXPR_CONST)
            return false;
    return true;
}

quartet_status build_fold(struct arena *a, struct expr *e, struct expr **out, struct err *err)
{
    *out = e;
    if (!is_foldable(e))
        return QUARTET_OK;
    struct expr_ctx ctx = {.arena = a};
    struct err failed = ERR_INIT;
    struct value v;
    quartet_status rc = expr_value(e, &ctx, NULL, 0, &v, &failed);
    if (rc == QUARTET_NOMEM)
        return err_nomem(err);
    if (rc != QUARTET_OK) /* it fails again when it runs, if it runs */
        return QUARTET_OK;
    struct expr *c = NULL;
    rc = build_node(a, EXPR_CONST, NULL, 0, e->sql_offset, &c, err);
    if (rc != QUARTET_OK)
        return rc;
    c->u.value = v;
    c->type = v.type == VALUE_NULL ? 0 : v.type;
    c->scale = v.type == VALUE_DECIMAL ? v.scale : 0;
    c->affinity = e->affinity;
    c->flags = e->flags & BUILD_COLLATION;
    c->is_boolean = e->is_boolean;
    *out = c;
    return QUARTET_OK;
}

quartet_status expr_const(struct arena *a, const struct value *v, struct expr **out, struct err *err)
{
    struct value copy = *v;
    if (!value_copy(a, &copy))
        return arena_fail(a, err);
    quartet_status rc = build_node(a, EXPR_CONST, NULL, 0, -1, out, err);
    if (rc != QUARTET_OK)
        return rc;
    (*out)->u.value = copy;
    (*out)->type = v->type == VALUE_NULL ? 0 : v->type;
    (*out)->scale = v->type == VALUE_DECIMAL ? v->scale : 0;
    return QUARTET_OK;
}

quartet_status expr_const_real(struct arena *a, double r, const char *text, struct expr **out, struct err *err)
{
    struct value v = {.type = VALUE_REAL, .r = r};
    quartet_status rc = expr_const(a, &v, out, err);
    if (rc != QUARTET_OK || text == NULL)
        return rc;
    (*out)->literal = arena_strndup(a, text, strlen(text));
    return (*out)->literal != NULL ? QUARTET_OK : arena_fail(a, err);
}

static void of_declared(struct expr *e, const struct type_decl *type, bool nocase)
{
    e->type = type->type == VALUE_NULL ? 0 : type->type;
    e->affinity = e->type != 0 ? e->type : VALUE_BLOB; /* a column without a type leaves texts beside it alone, as in SQLite */
    e->scale = type->scale;
    e->is_boolean = type->is_boolean;
    e->flags = (uint8_t)(EXPR_OF_COLUMN | (nocase ? EXPR_NOCASE_VALUE : 0));
}

quartet_status expr_column(struct arena *a, uint32_t column, const struct type_decl *type, bool nocase, struct expr **out, struct err *err)
{
    quartet_status rc = build_node(a, EXPR_COLUMN, NULL, 0, -1, out, err);
    if (rc != QUARTET_OK)
        return rc;
    of_declared(*out, type, nocase);
    (*out)->u.column = column;
    return QUARTET_OK;
}

quartet_status expr_outer(struct arena *a, uint32_t level, uint32_t column, const struct type_decl *type, bool nocase, struct expr **out,
                          struct err *err)
{
    quartet_status rc = build_node(a, EXPR_OUTER, NULL, 0, -1, out, err);
    if (rc != QUARTET_OK)
        return rc;
    of_declared(*out, type, nocase);
    (*out)->u.outer.level = level;
    (*out)->u.outer.column = column;
    return QUARTET_OK;
}

quartet_status expr_param(struct arena *a, uint32_t number, struct expr **out, struct err *err)
{
    quartet_status rc = build_node(a, EXPR_PARAM, NULL, 0, -1, out, err);
    if (rc == QUARTET_OK)
        (*out)->u.param = number;
    return rc;
}

/* ---- meeting of two sides ---- */

quartet_status build_exact(struct arena *a, struct expr **e, const struct expr *other, struct err *err)
{
    struct decimal d;
    const struct expr *c = *e;
    if (other->type != VALUE_DECIMAL || c->op != EXPR_CONST || c->u.value.type != VALUE_REAL)
        return QUARTET_OK;
    bool ok = c->literal != NULL ? decimal_parse(c->literal, strlen(c->literal), &d) : decimal_from_double(c->u.value.r, &d);
    if (!ok)
        return QUARTET_OK;
    struct value v = decimal_value(d);
    struct expr *made;
    quartet_status rc = expr_const(a, &v, &made, err);
    if (rc != QUARTET_OK)
        return rc;
    made->sql_offset = c->sql_offset;
    *e = made;
    return QUARTET_OK;
}

/* Does a value of this static type come out of types_affinity(to) as it went in? */
static bool needs_no_affinity(uint8_t type, uint8_t to)
{
    switch (to) {
    case 0:
        return true;
    case VALUE_INTEGER:
    case VALUE_REAL:
        return type != 0 && type != VALUE_TEXT;
    case VALUE_DECIMAL:
        return type == VALUE_DECIMAL || type == VALUE_INTEGER;
    default:
        return type == to;
    }
}

quartet_status build_affinity(struct arena *a, struct expr **e, uint8_t to, struct err *err)
{
    if (needs_no_affinity((*e)->type, to))
        return QUARTET_OK;
    struct expr *made = NULL, *inner = *e;
    quartet_status rc = build_node(a, EXPR_AFFINITY, &inner, 1, inner->sql_offset, &made, err);
    if (rc != QUARTET_OK)
        return rc;
    made->u.affinity_to = to;
    made->affinity = inner->affinity;
    made->flags = inner->flags & BUILD_COLLATION;
    return build_fold(a, made, e, err);
}

quartet_status build_compare_sides(struct arena *a, struct expr **left, struct expr **right, struct err *err)
{
    uint8_t left_to, right_to;
    quartet_status rc = build_exact(a, left, *right, err);
    if (rc == QUARTET_OK)
        rc = build_exact(a, right, *left, err);
    if (rc != QUARTET_OK)
        return rc;
    types_compare_affinity((*left)->affinity, (*right)->affinity, &left_to, &right_to);
    rc = build_affinity(a, left, left_to, err);
    return rc == QUARTET_OK ? build_affinity(a, right, right_to, err) : rc;
}

uint8_t build_collation(const struct expr *left, const struct expr *right)
{
    const struct expr *from = right;
    if ((left->flags & EXPR_COLLATED) != 0)
        from = left;
    else if ((right->flags & EXPR_COLLATED) == 0 && (left->flags & EXPR_OF_COLUMN) != 0)
        from = left;
    return (from->flags & EXPR_NOCASE_VALUE) != 0 ? EXPR_NOCASE : 0;
}

bool build_is_cheap(const struct expr *e)
{
    return e->op == EXPR_CONST || e->op == EXPR_COLUMN || e->op == EXPR_OUTER || e->op == EXPR_PARAM;
}

bool build_is_compare(uint8_t op)
{
    return op >= EXPR_EQ && op <= EXPR_IS_NOT;
}

/* ---- operators ---- */

static uint8_t arith_type(const struct expr *x, const struct expr *y, struct expr *e)
{
    bool numbers = (x->type == VALUE_INTEGER || x->type == VALUE_REAL || x->type == VALUE_DECIMAL) &&
                   (y->type == VALUE_INTEGER || y->type == VALUE_REAL || y->type == VALUE_DECIMAL);
    if (!numbers)
        return 0;
    if (x->type == VALUE_REAL || y->type == VALUE_REAL)
        return e->op == EXPR_IDIV ? VALUE_INTEGER : VALUE_REAL;
    return (x->type == VALUE_DECIMAL || y->type == VALUE_DECIMAL) && e->op != EXPR_IDIV ? VALUE_DECIMAL : VALUE_INTEGER;
}

static void type_binary(struct expr *e)
{
    const struct expr *x = e->args[0], *y = e->args[1];
    switch (e->op) {
    case EXPR_ADD:
    case EXPR_SUB:
    case EXPR_MUL:
    case EXPR_DIV:
    case EXPR_MOD:
    case EXPR_IDIV:
        e->type = arith_type(x, y, e);
        break;
    case EXPR_CONCAT:
        e->type = x->type != 0 && x->type != VALUE_BLOB && y->type != 0 && y->type != VALUE_BLOB ? VALUE_TEXT : 0;
        break;
    case EXPR_BITAND:
    case EXPR_BITOR:
    case EXPR_SHL:
    case EXPR_SHR:
        e->type = VALUE_INTEGER;
        break;
    case EXPR_JSON_GET:
        e->type = VALUE_JSON;
        break;
    case EXPR_JSON_GET_TEXT:
        e->type = 0;
        break;
    default:
        e->type = VALUE_INTEGER;
        e->is_boolean = true;
    }
}

quartet_status expr_binary(struct arena *a, enum expr_op op, struct expr *left, struct expr *right, int64_t sql_offset, struct expr **out,
                           struct err *err)
{
    quartet_status rc = QUARTET_OK;
    uint8_t flags = 0;
    if (build_is_compare((uint8_t)op)) {
        flags = build_collation(left, right);
        rc = build_compare_sides(a, &left, &right, err);
    } else if (op >= EXPR_ADD && op <= EXPR_IDIV) {
        rc = build_exact(a, &left, right, err);
        if (rc == QUARTET_OK)
            rc = build_exact(a, &right, left, err);
    }
    struct expr *sides[2] = {left, right}, *e = NULL;
    if (rc == QUARTET_OK)
        rc = build_node(a, op, sides, 2, sql_offset, &e, err);
    if (rc != QUARTET_OK)
        return rc;
    e->flags = flags;
    type_binary(e);
    return build_fold(a, e, out, err);
}

static bool takes_negation(uint8_t op)
{
    switch (op) {
    case EXPR_LIKE:
    case EXPR_ILIKE:
    case EXPR_GLOB:
    case EXPR_REGEXP:
    case EXPR_SIMILAR:
    case EXPR_BETWEEN:
    case EXPR_IN:
    case EXPR_EXISTS:
    case EXPR_IN_QUERY:
    case EXPR_IS_TRUE:
    case EXPR_IS_FALSE:
        return true;
    default:
        return false;
    }
}

static quartet_status copy_node(struct arena *a, const struct expr *x, struct expr **out, struct err *err)
{
    *out = arena_dup(a, x, sizeof *x);
    return *out != NULL ? QUARTET_OK : arena_fail(a, err);
}

quartet_status build_plain(struct arena *a, struct expr *x, struct expr **out, struct err *err)
{
    *out = x;
    if (x->affinity == 0 && (x->flags & BUILD_COLLATION) == 0)
        return QUARTET_OK;
    quartet_status rc = copy_node(a, x, out, err);
    if (rc == QUARTET_OK) {
        (*out)->affinity = 0;
        (*out)->flags = (uint8_t)(x->flags & ~BUILD_COLLATION);
    }
    return rc;
}

/* NOT moved inwards as far as it goes, which leaves comparisons that an index can serve. *done false: it cannot be moved. */
static quartet_status build_not(struct arena *a, struct expr *x, int64_t sql_offset, struct expr **out, bool *done, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    *done = true;
    if (ops_inverse(x->op) != EXPR_NOT || takes_negation(x->op)) {
        rc = copy_node(a, x, out, err);
        if (rc != QUARTET_OK)
            return rc;
        if (takes_negation(x->op))
            (*out)->flags ^= EXPR_NEGATED;
        else
            (*out)->op = (uint8_t)ops_inverse(x->op);
        return QUARTET_OK;
    }
    if (x->op == EXPR_AND || x->op == EXPR_OR) {
        struct expr **args = arena_zalloc(a, x->arg_count, sizeof(struct expr *));
        if (args == NULL)
            return arena_fail(a, err);
        for (uint32_t k = 0; k < x->arg_count && rc == QUARTET_OK; k++)
            rc = expr_unary(a, EXPR_NOT, x->args[k], sql_offset, &args[k], err);
        return rc == QUARTET_OK ? expr_nary(a, x->op == EXPR_AND ? EXPR_OR : EXPR_AND, 0, args, x->arg_count, sql_offset, out, err) : rc;
    }
    *done = false;
    return QUARTET_OK;
}

quartet_status expr_unary(struct arena *a, enum expr_op op, struct expr *x, int64_t sql_offset, struct expr **out, struct err *err)
{
    struct expr *e = NULL;
    bool done = false;
    quartet_status rc = op == EXPR_NOT ? build_not(a, x, sql_offset, out, &done, err) : QUARTET_OK;
    if (rc != QUARTET_OK || done)
        return rc;
    rc = build_node(a, op, &x, 1, sql_offset, &e, err);
    if (rc != QUARTET_OK)
        return rc;
    switch (op) {
    case EXPR_NEG:
        e->type = x->type == VALUE_INTEGER || x->type == VALUE_REAL || x->type == VALUE_DECIMAL ? x->type : 0;
        e->scale = x->scale;
        break;
    case EXPR_POS:
        e->type = x->type; /* but no affinity: +x is the usual way to be rid of it */
        e->flags = x->flags & BUILD_COLLATION;
        e->scale = x->scale;
        break;
    case EXPR_BITNOT:
        e->type = VALUE_INTEGER;
        break;
    default:
        e->type = VALUE_INTEGER;
        e->is_boolean = true;
    }
    if (op == EXPR_NEG && x->op == EXPR_CONST && x->literal != NULL && x->literal[0] != '-') { /* -0.10 stays the exact -0.10 */
        const char *text = arena_printf(a, "-%s", x->literal);
        return text != NULL ? expr_const_real(a, -x->u.value.r, text, out, err) : arena_fail(a, err);
    }
    return build_fold(a, e, out, err);
}

quartet_status expr_cast(struct arena *a, struct expr *x, const struct type_decl *to, uint8_t flags, int64_t sql_offset, struct expr **out, struct err *err)
{
    struct expr *e = NULL, wanted = {.type = to->type};
    quartet_status rc = build_exact(a, &x, &wanted, err);
    if (rc == QUARTET_OK)
        rc = build_node(a, EXPR_CAST, &x, 1, sql_offset, &e, err);
    if (rc != QUARTET_OK)
        return rc;
    e->u.cast.type = *to;
    e->type = to->type == VALUE_NULL ? 0 : to->type;
    e->scale = to->scale;
    e->affinity = e->type;
    e->is_boolean = to->is_boolean;
    e->flags = (uint8_t)((x->flags & BUILD_COLLATION) | flags);
    return build_fold(a, e, out, err);
}

quartet_status expr_convert(struct arena *a, struct expr *x, const struct type_decl *to, const char *column, struct expr **out, struct err *err)
{
    struct expr *e = NULL, wanted = {.type = to->type};
    bool fits = x->type == to->type && !to->is_boolean && x->type != VALUE_DECIMAL && x->type != VALUE_TEXT && x->type != VALUE_REAL;
    if (fits || (x->op == EXPR_CONST && x->u.value.type == VALUE_NULL)) {
        *out = x;
        return QUARTET_OK;
    }
    quartet_status rc = build_exact(a, &x, &wanted, err);
    if (rc == QUARTET_OK)
        rc = build_node(a, EXPR_CONVERT, &x, 1, x->sql_offset, &e, err);
    if (rc != QUARTET_OK)
        return rc;
    e->u.cast.type = *to;
    e->u.cast.column = column;
    e->type = to->type == VALUE_NULL ? 0 : to->type;
    e->scale = to->scale;
    e->is_boolean = to->is_boolean;
    return build_fold(a, e, out, err);
}

quartet_status expr_collate(struct arena *a, struct expr *x, const char *name, int64_t sql_offset, struct expr **out, struct err *err)
{
    bool nocase = strcasecmp(name, "NOCASE") == 0;
    if (!nocase && strcasecmp(name, "BINARY") != 0)
        return err_set_at(err, QUARTET_ERROR, sql_offset, "no such collation: %s (there are BINARY and NOCASE)", name);
    quartet_status rc = copy_node(a, x, out, err);
    if (rc != QUARTET_OK)
        return rc;
    (*out)->flags = (uint8_t)((x->flags & ~EXPR_NOCASE_VALUE) | EXPR_COLLATED | (nocase ? EXPR_NOCASE_VALUE : 0));
    return QUARTET_OK;
}

quartet_status expr_subquery(struct arena *a, enum expr_op op, uint8_t flags, void *subquery, struct expr *const *left, uint32_t n, int64_t sql_offset,
                             struct expr **out, struct err *err)
{
    quartet_status rc = build_node(a, op, left, n, sql_offset, out, err);
    if (rc != QUARTET_OK)
        return rc;
    (*out)->flags = flags;
    (*out)->u.subquery = subquery;
    if (op != EXPR_SUBQUERY) {
        (*out)->type = VALUE_INTEGER;
        (*out)->is_boolean = true;
    }
    return QUARTET_OK;
}

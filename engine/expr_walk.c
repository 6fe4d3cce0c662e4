/* expr_walk.c - looking at bound expressions: walking, comparing, copying, printing. For the planner and EXPLAIN. */
#include "expr_build.h"

#include <string.h>

bool expr_is_const(const struct expr *e)
{
    return e->op == EXPR_CONST;
}

bool expr_walk(const struct expr *e, bool (*visit)(void *arg, const struct expr *e), void *arg)
{
    if (!visit(arg, e))
        return false;
    for (uint32_t k = 0; k < e->arg_count; k++)
        if (!expr_walk(e->args[k], visit, arg))
            return false;
    return true;
}

static bool is_volatile(const struct expr *e)
{
    return e->op == EXPR_CALL && (e->u.func->flags & (FUNC_DETERMINISTIC | FUNC_STABLE)) == 0;
}

static bool is_subquery(const struct expr *e)
{
    return e->op == EXPR_SUBQUERY || e->op == EXPR_EXISTS || e->op == EXPR_IN_QUERY;
}

static bool visit_invariant(void *arg, const struct expr *e)
{
    (void)arg;
    return e->op != EXPR_COLUMN && !is_volatile(e) && !(is_subquery(e) && (e->flags & EXPR_CORRELATED) != 0);
}

bool expr_is_invariant(const struct expr *e)
{
    return expr_walk(e, visit_invariant, NULL);
}

static bool same_type(const struct type_decl *a, const struct type_decl *b)
{
    return a->type == b->type && a->precision == b->precision && a->scale == b->scale && a->is_boolean == b->is_boolean && a->length == b->length;
}

bool expr_equal(const struct expr *a, const struct expr *b)
{
    return expr_equal_from(a, b, 0);
}

bool expr_equal_from(const struct expr *a, const struct expr *b, uint32_t first)
{
    uint8_t flags = (uint8_t)(EXPR_NEGATED | EXPR_NOCASE | (a->op == EXPR_CAST ? EXPR_TRY : 0));
    if (a->op != b->op || (a->flags & flags) != (b->flags & flags) || a->arg_count != b->arg_count || is_volatile(a) || is_subquery(a))
        return false;
    switch (a->op) {
    case EXPR_CONST:
        if (!value_identical(&a->u.value, &b->u.value))
            return false;
        break;
    case EXPR_COLUMN:
        if (a->u.column + first != b->u.column)
            return false;
        break;
    case EXPR_OUTER:
        if (a->u.outer.level != b->u.outer.level || a->u.outer.column != b->u.outer.column)
            return false;
        break;
    case EXPR_PARAM:
        if (a->u.param != b->u.param)
            return false;
        break;
    case EXPR_AFFINITY:
        if (a->u.affinity_to != b->u.affinity_to)
            return false;
        break;
    case EXPR_CAST:
    case EXPR_CONVERT:
        if (!same_type(&a->u.cast.type, &b->u.cast.type))
            return false;
        break;
    case EXPR_CALL:
        if (a->u.func != b->u.func)
            return false;
        break;
    default:
        break;
    }
    for (uint32_t k = 0; k < a->arg_count; k++)
        if (!expr_equal_from(a->args[k], b->args[k], first))
            return false;
    return true;
}

quartet_status expr_copy(struct arena *a, const struct expr *e, struct expr *(*map)(void *arg, const struct expr *e), void *arg, struct expr **out,
                         struct err *err)
{
    struct expr *mapped = map != NULL ? map(arg, e) : NULL;
    if (mapped != NULL) {
        *out = mapped;
        return QUARTET_OK;
    }
    struct expr *copy = arena_dup(a, e, sizeof *e);
    if (copy == NULL)
        return arena_fail(a, err);
    if (e->arg_count > 0) {
        copy->args = arena_zalloc(a, e->arg_count, sizeof(struct expr *));
        if (copy->args == NULL)
            return arena_fail(a, err);
    }
    for (uint32_t k = 0; k < e->arg_count; k++) {
        quartet_status rc = expr_copy(a, e->args[k], map, arg, &copy->args[k], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    *out = copy;
    return QUARTET_OK;
}

/* ---- printing ---- */

struct printer {
    const char *(*column_name)(void *arg, uint32_t column);
    void *arg;
    struct buf *out;
};

static const char *sign_of(uint8_t op)
{
    static const struct {
        uint8_t op;
        const char *sign;
    } signs[] = {
        {EXPR_NEG, "-"}, {EXPR_POS, "+"}, {EXPR_BITNOT, "~"}, {EXPR_NOT, "NOT "}, {EXPR_IS_NULL, " IS NULL"}, {EXPR_NOT_NULL, " IS NOT NULL"},
        {EXPR_ADD, " + "}, {EXPR_SUB, " - "}, {EXPR_MUL, " * "}, {EXPR_DIV, " / "}, {EXPR_MOD, " % "}, {EXPR_IDIV, " DIV "},
        {EXPR_CONCAT, " || "}, {EXPR_BITAND, " & "}, {EXPR_BITOR, " | "}, {EXPR_SHL, " << "}, {EXPR_SHR, " >> "}, {EXPR_JSON_GET, " -> "},
        {EXPR_JSON_GET_TEXT, " ->> "}, {EXPR_EQ, " = "}, {EXPR_NE, " <> "}, {EXPR_LT, " < "}, {EXPR_LE, " <= "}, {EXPR_GT, " > "},
        {EXPR_GE, " >= "}, {EXPR_IS, " IS NOT DISTINCT FROM "}, {EXPR_IS_NOT, " IS DISTINCT FROM "}, {EXPR_XOR, " XOR "}, {EXPR_LIKE, " LIKE "},
        {EXPR_ILIKE, " ILIKE "}, {EXPR_GLOB, " GLOB "}, {EXPR_REGEXP, " REGEXP "}, {EXPR_SIMILAR, " SIMILAR TO "}, {EXPR_AND, " AND "},
        {EXPR_OR, " OR "},
    };
    for (size_t k = 0; k < sizeof signs / sizeof *signs; k++)
        if (signs[k].op == op)
            return signs[k].sign;
    return " ? ";
}

static void print(struct printer *p, const struct expr *e);

static void print_list(struct printer *p, const struct expr *e, uint32_t from, const char *between)
{
    for (uint32_t k = from; k < e->arg_count; k++) {
        if (k > from)
            buf_str(p->out, between);
        print(p, e->args[k]);
    }
}

static void print_case(struct printer *p, const struct expr *e)
{
    uint32_t k = e->op == EXPR_CASE_OF;
    buf_str(p->out, "CASE");
    if (k == 1) {
        buf_str(p->out, " ");
        print(p, e->args[0]);
    }
    for (; k + 1 < e->arg_count; k += 2) {
        buf_str(p->out, " WHEN ");
        print(p, e->args[k]);
        buf_str(p->out, " THEN ");
        print(p, e->args[k + 1]);
    }
    if (k < e->arg_count) {
        buf_str(p->out, " ELSE ");
        print(p, e->args[k]);
    }
    buf_str(p->out, " END");
}

static void print_leaf(struct printer *p, const struct expr *e)
{
    const char *name = e->op == EXPR_COLUMN && p->column_name != NULL ? p->column_name(p->arg, e->u.column) : NULL;
    if (e->op == EXPR_CONST)
        value_to_literal(&e->u.value, p->out);
    else if (e->op == EXPR_PARAM)
        buf_printf(p->out, "?%u", e->u.param);
    else if (e->op == EXPR_OUTER)
        buf_printf(p->out, "outer%u.#%u", e->u.outer.level, e->u.outer.column);
    else if (name != NULL)
        buf_str(p->out, name);
    else
        buf_printf(p->out, "#%u", e->u.column);
}

static void print_call(struct printer *p, const struct expr *e, const char *name)
{
    buf_str(p->out, name);
    buf_str(p->out, "(");
    print_list(p, e, 0, ", ");
    buf_str(p->out, ")");
}

static void print(struct printer *p, const struct expr *e)
{
    bool negated = (e->flags & EXPR_NEGATED) != 0;
    switch (e->op) {
    case EXPR_CONST:
    case EXPR_COLUMN:
    case EXPR_OUTER:
    case EXPR_PARAM:
        print_leaf(p, e);
        return;
    case EXPR_AFFINITY: /* of no interest to people */
    case EXPR_CONVERT:
        print(p, e->args[0]);
        return;
    case EXPR_CAST:
        buf_str(p->out, (e->flags & EXPR_TRY) != 0 ? "TRY_CAST(" : "CAST(");
        print(p, e->args[0]);
        buf_printf(p->out, " AS %s)", types_name(e->u.cast.type.type));
        return;
    case EXPR_CASE:
    case EXPR_CASE_OF:
        print_case(p, e);
        return;
    case EXPR_COALESCE:
    case EXPR_NULLIF:
    case EXPR_CALL:
        print_call(p, e, e->op == EXPR_COALESCE ? "coalesce" : e->op == EXPR_NULLIF ? "nullif" : e->u.func->name);
        return;
    case EXPR_IN:
        print(p, e->args[0]);
        buf_str(p->out, negated ? " NOT IN (" : " IN (");
        print_list(p, e, 1, ", ");
        buf_str(p->out, ")");
        return;
    case EXPR_BETWEEN:
        print(p, e->args[0]);
        buf_str(p->out, negated ? " NOT BETWEEN " : " BETWEEN ");
        print_list(p, e, 1, " AND ");
        return;
    case EXPR_SUBQUERY:
        buf_str(p->out, "(subquery)");
        return;
    case EXPR_EXISTS:
    case EXPR_IN_QUERY:
        print_list(p, e, 0, ", ");
        buf_str(p->out, e->op == EXPR_EXISTS ? (negated ? "NOT EXISTS (subquery)" : "EXISTS (subquery)")
                                             : (negated ? " NOT IN (subquery)" : " IN (subquery)"));
        return;
    case EXPR_IS_TRUE:
    case EXPR_IS_FALSE:
        print(p, e->args[0]);
        buf_printf(p->out, " IS %s%s", negated ? "NOT " : "", e->op == EXPR_IS_TRUE ? "TRUE" : "FALSE");
        return;
    case EXPR_IS_NULL:
    case EXPR_NOT_NULL:
        print(p, e->args[0]);
        buf_str(p->out, sign_of(e->op));
        return;
    default:
        break;
    }
    buf_str(p->out, e->arg_count == 1 ? sign_of(e->op) : "(");
    if (negated)
        buf_str(p->out, "NOT ");
    print_list(p, e, 0, sign_of(e->op));
    buf_str(p->out, e->arg_count == 1 ? "" : ")");
}

void expr_print(const struct expr *e, const char *(*column_name)(void *arg, uint32_t column), void *arg, struct buf *out)
{
    struct printer p = {column_name, arg, out};
    print(&p, e);
}


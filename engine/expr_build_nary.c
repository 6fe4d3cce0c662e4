/* expr_build_nary.c - making expressions of many parts: AND, OR, BETWEEN, IN, CASE, COALESCE, LIKE, and calls.
 * Why so much is rewritten here: planner and executor then meet few forms. BETWEEN becomes two comparisons, CASE x WHEN conditions, IN of one item =, so
 *   that each can use an index or a vector loop. */
#include "expr_build.h"

#include "like.h"

#include <string.h>

static quartet_status const_int(struct arena *a, int64_t i, int64_t sql_offset, struct expr **out, struct err *err)
{
    struct value v = value_int(i);
    quartet_status rc = expr_const(a, &v, out, err);
    if (rc == QUARTET_OK) {
        (*out)->sql_offset = sql_offset;
        (*out)->is_boolean = true;
    }
    return rc;
}

static int const_truth(const struct expr *e) /* -2: no constant */
{
    return e->op == EXPR_CONST ? types_truth(&e->u.value) : -2;
}

static quartet_status build_logic(struct arena *a, enum expr_op op, struct expr *const *args, uint32_t n, int64_t sql_offset, struct expr **out,
                                  struct err *err)
{
    int decided = op == EXPR_OR;
    uint32_t count = 0, at = 0;
    for (uint32_t k = 0; k < n; k++)
        count += args[k]->op == op ? args[k]->arg_count : 1;
    struct expr **flat = arena_zalloc(a, count > 0 ? count : 1, sizeof(struct expr *));
    if (flat == NULL)
        return arena_fail(a, err);
    for (uint32_t k = 0; k < n; k++) {
        bool nested = args[k]->op == op;
        for (uint32_t j = 0; j < (nested ? args[k]->arg_count : 1); j++) {
            struct expr *x = nested ? args[k]->args[j] : args[k];
            int t = const_truth(x);
            if (t == decided)
                return const_int(a, decided, sql_offset, out, err);
            if (t != !decided)
                flat[at++] = x;
        }
    }
    if (at == 0)
        return const_int(a, !decided, sql_offset, out, err);
    if (at == 1 && flat[0]->is_boolean && flat[0]->op != EXPR_COLUMN && flat[0]->op != EXPR_OUTER) {
        *out = flat[0];
        return QUARTET_OK;
    }
    struct expr *e;
    quartet_status rc = build_node(a, op, flat, at, sql_offset, &e, err);
    if (rc != QUARTET_OK)
        return rc;
    e->type = VALUE_INTEGER;
    e->is_boolean = true;
    return build_fold(a, e, out, err);
}

/* Does a comparison with `other` change x itself? Then x cannot be computed once for several comparisons. */
static bool changes_left(const struct expr *x, const struct expr *other)
{
    uint8_t left_to, right_to;
    types_compare_affinity(x->affinity, other->affinity, &left_to, &right_to);
    return left_to != 0 || (other->type == VALUE_DECIMAL && x->op == EXPR_CONST);
}

static quartet_status build_between(struct arena *a, uint8_t flags, struct expr *const *args, int64_t sql_offset, struct expr **out, struct err *err)
{
    bool negated = (flags & EXPR_NEGATED) != 0;
    struct expr *parts[2], *e, *x = args[0], *low = args[1], *high = args[2];
    quartet_status rc = QUARTET_OK;
    if (build_is_cheap(x) || changes_left(x, low) || changes_left(x, high) || build_collation(x, low) != build_collation(x, high)) {
        rc = expr_binary(a, negated ? EXPR_LT : EXPR_GE, x, low, sql_offset, &parts[0], err);
        if (rc == QUARTET_OK)
            rc = expr_binary(a, negated ? EXPR_GT : EXPR_LE, x, high, sql_offset, &parts[1], err);
        return rc == QUARTET_OK ? build_logic(a, negated ? EXPR_OR : EXPR_AND, parts, 2, sql_offset, out, err) : rc;
    }
    uint8_t nocase = build_collation(x, low);
    rc = build_compare_sides(a, &x, &low, err);
    if (rc == QUARTET_OK)
        rc = build_compare_sides(a, &x, &high, err);
    struct expr *all[3] = {x, low, high};
    if (rc == QUARTET_OK)
        rc = build_node(a, EXPR_BETWEEN, all, 3, sql_offset, &e, err);
    if (rc != QUARTET_OK)
        return rc;
    e->flags = flags | nocase;
    e->type = VALUE_INTEGER;
    e->is_boolean = true;
    return build_fold(a, e, out, err);
}

static quartet_status build_in(struct arena *a, uint8_t flags, struct expr *const *args, uint32_t n, int64_t sql_offset, struct expr **out,
                               struct err *err)
{
    struct expr *e;
    quartet_status rc = QUARTET_OK;
    if (n == 1)
        return const_int(a, (flags & EXPR_NEGATED) != 0, sql_offset, out, err);
    if (n == 2 && (args[1]->op == EXPR_CONST || args[1]->op == EXPR_PARAM)) {
        rc = build_plain(a, args[1], &e, err);
        return rc == QUARTET_OK ? expr_binary(a, (flags & EXPR_NEGATED) != 0 ? EXPR_NE : EXPR_EQ, args[0], e, sql_offset, out, err) : rc;
    }
    rc = build_node(a, EXPR_IN, args, n, sql_offset, &e, err);
    if (rc != QUARTET_OK)
        return rc;
    uint8_t left_to, right_to;
    bool constant = true;
    types_compare_affinity(args[0]->affinity, 0, &left_to, &right_to);
    for (uint32_t k = 1; k < n && rc == QUARTET_OK; k++) {
        rc = build_exact(a, &e->args[k], args[0], err);
        if (rc == QUARTET_OK)
            rc = build_affinity(a, &e->args[k], right_to, err);
        constant = constant && e->args[k]->op == EXPR_CONST;
    }
    e->flags = (uint8_t)(flags | ((args[0]->flags & EXPR_NOCASE_VALUE) != 0 ? EXPR_NOCASE : 0)); /* affinity and collation are the left side's */
    e->type = VALUE_INTEGER;
    e->is_boolean = true;
    if (rc == QUARTET_OK && constant) {
        struct in_set *set;
        rc = in_set_new(a, e->args + 1, n - 1, (e->flags & EXPR_NOCASE) != 0, &set, err);
        if (rc == QUARTET_OK)
            e->u.set = set;
    }
    return rc == QUARTET_OK ? build_fold(a, e, out, err) : rc;
}

/* The static type that all results share, else 0. `from`, `step`: which arguments are results; a last odd one is ELSE. */
static void common_type(struct expr *e, uint32_t from, uint32_t step)
{
    bool first = true;
    for (uint32_t k = from; k < e->arg_count; k += step) {
        const struct expr *x = e->args[k];
        if (x->op == EXPR_CONST && x->u.value.type == VALUE_NULL)
            continue;
        if (first) {
            e->type = x->type;
            e->scale = x->scale;
            e->is_boolean = x->is_boolean;
        }
        e->type = e->type == x->type ? e->type : 0;
        e->is_boolean = e->is_boolean && x->is_boolean;
        first = false;
    }
}

/* CASE of conditions: those that are never true go, one that is always true ends it. */
static quartet_status build_case(struct arena *a, struct expr *const *args, uint32_t n, int64_t sql_offset, struct expr **out, struct err *err)
{
    uint32_t at = 0, k = 0;
    struct expr *otherwise = n % 2 == 1 ? args[n - 1] : NULL;
    struct expr **kept = arena_zalloc(a, n + 1, sizeof(struct expr *));
    if (kept == NULL)
        return arena_fail(a, err);
    for (; k + 1 < n; k += 2) {
        int t = const_truth(args[k]);
        if (t == 1) {
            otherwise = args[k + 1];
            break;
        }
        if (t == -2) {
            kept[at++] = args[k];
            kept[at++] = args[k + 1];
        }
    }
    if (at == 0) {
        struct value null = VALUE_NULL_INIT;
        return otherwise != NULL ? build_plain(a, otherwise, out, err) : expr_const(a, &null, out, err);
    }
    if (otherwise != NULL)
        kept[at++] = otherwise;
    quartet_status rc = build_node(a, EXPR_CASE, kept, at, sql_offset, out, err);
    if (rc != QUARTET_OK)
        return rc;
    common_type(*out, 1, 2);
    (*out)->is_boolean = (*out)->is_boolean && (otherwise == NULL || otherwise->is_boolean);
    if (otherwise != NULL && (*out)->type != otherwise->type && !(otherwise->op == EXPR_CONST && otherwise->u.value.type == VALUE_NULL))
        (*out)->type = 0;
    return QUARTET_OK;
}

static quartet_status build_case_of(struct arena *a, struct expr *const *args, uint32_t n, int64_t sql_offset, struct expr **out, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    bool once = !build_is_cheap(args[0]);
    for (uint32_t k = 1; k + 1 < n; k += 2)
        once = once && !changes_left(args[0], args[k]) && build_collation(args[0], args[k]) == build_collation(args[0], args[1]);
    if (once) {
        rc = build_node(a, EXPR_CASE_OF, args, n, sql_offset, out, err);
        if (rc == QUARTET_OK && n > 1)
            (*out)->flags = build_collation(args[0], args[1]);
        for (uint32_t k = 1; k + 1 < n && rc == QUARTET_OK; k += 2) {
            struct expr *x = args[0];
            rc = build_compare_sides(a, &x, &(*out)->args[k], err);
        }
        return rc;
    }
    struct expr **conditions = arena_dup(a, args + 1, (n - 1) * sizeof *args);
    if (conditions == NULL)
        return arena_fail(a, err);
    for (uint32_t k = 0; k + 1 < n - 1 && rc == QUARTET_OK; k += 2)
        rc = expr_binary(a, EXPR_EQ, args[0], args[k + 1], sql_offset, &conditions[k], err);
    return rc == QUARTET_OK ? build_case(a, conditions, n - 1, sql_offset, out, err) : rc;
}

static quartet_status build_coalesce(struct arena *a, struct expr *const *args, uint32_t n, int64_t sql_offset, struct expr **out, struct err *err)
{
    uint32_t at = 0;
    struct value null = VALUE_NULL_INIT;
    struct expr **kept = arena_zalloc(a, n > 0 ? n : 1, sizeof(struct expr *));
    if (kept == NULL)
        return arena_fail(a, err);
    for (uint32_t k = 0; k < n; k++) {
        bool is_const = args[k]->op == EXPR_CONST, is_null = is_const && args[k]->u.value.type == VALUE_NULL;
        if (!is_null)
            kept[at++] = args[k];
        if (is_const && !is_null)
            break;
    }
    if (at == 0)
        return expr_const(a, &null, out, err);
    if (at == 1)
        return build_plain(a, kept[0], out, err);
    quartet_status rc = build_node(a, EXPR_COALESCE, kept, at, sql_offset, out, err);
    if (rc == QUARTET_OK)
        common_type(*out, 0, 1);
    return rc;
}

static quartet_status build_like(struct arena *a, enum expr_op op, uint8_t flags, struct expr *const *args, uint32_t n, int64_t sql_offset,
                                 struct expr **out, struct err *err)
{
    struct expr *e;
    quartet_status rc = build_node(a, op, args, n, sql_offset, &e, err);
    if (rc != QUARTET_OK)
        return rc;
    e->flags = flags;
    e->type = VALUE_INTEGER;
    e->is_boolean = true;
    bool fixed = args[1]->op == EXPR_CONST && args[1]->u.value.type != VALUE_NULL;
    if (n > 2)
        fixed = fixed && args[2]->op == EXPR_CONST && args[2]->u.value.type != VALUE_NULL;
    if (fixed) {
        struct value parts[2] = {args[1]->u.value, n > 2 ? args[2]->u.value : VALUE_NULL_INIT};
        struct like_pattern *made = NULL;
        struct err failed = ERR_INIT;
        rc = ops_like_compile(e, parts, a, &made, &failed);
        if (rc == QUARTET_NOMEM)
            return err_nomem(err);
        e->u.pattern = rc == QUARTET_OK ? made : NULL; /* a wrong pattern fails when it runs */
    }
    return build_fold(a, e, out, err);
}

quartet_status expr_nary(struct arena *a, enum expr_op op, uint8_t flags, struct expr *const *args, uint32_t n, int64_t sql_offset, struct expr **out,
                         struct err *err)
{
    switch (op) {
    case EXPR_AND:
    case EXPR_OR:
        return build_logic(a, op, args, n, sql_offset, out, err);
    case EXPR_BETWEEN:
        QASSERT(n == 3);
        return build_between(a, flags, args, sql_offset, out, err);
    case EXPR_IN:
        QASSERT(n >= 1);
        return build_in(a, flags, args, n, sql_offset, out, err);
    case EXPR_CASE:
        return build_case(a, args, n, sql_offset, out, err);
    case EXPR_CASE_OF:
        QASSERT(n >= 1);
        return build_case_of(a, args, n, sql_offset, out, err);
    case EXPR_COALESCE:
        return build_coalesce(a, args, n, sql_offset, out, err);
    case EXPR_LIKE:
    case EXPR_ILIKE:
    case EXPR_GLOB:
    case EXPR_REGEXP:
    case EXPR_SIMILAR:
        QASSERT(n == 2 || n == 3);
        return build_like(a, op, flags, args, n, sql_offset, out, err);
    case EXPR_NULLIF: {
        struct expr *e;
        QASSERT(n == 2);
        quartet_status rc = build_node(a, op, args, 2, sql_offset, &e, err);
        if (rc != QUARTET_OK)
            return rc;
        e->flags = build_collation(args[0], args[1]);
        e->type = args[0]->type;
        e->scale = args[0]->scale;
        e->is_boolean = args[0]->is_boolean;
        return build_fold(a, e, out, err);
    }
    default:
        QASSERT(n == 1 || n == 2);
        return n == 1 ? expr_unary(a, op, args[0], sql_offset, out, err) : expr_binary(a, op, args[0], args[1], sql_offset, out, err);
    }
}

/* Functions that are other nodes in truth; func->code says which. */
static quartet_status build_lowered(struct arena *a, const struct func *f, struct expr *const *args, uint32_t n, int64_t sql_offset,
                                    struct expr **out, struct err *err)
{
    struct expr *swapped[3] = {NULL, NULL, NULL};
    switch (f->code) {
    case EXPR_POS: /* likely(x), unlikely(x), likelihood(x, p) */
        return build_plain(a, args[0], out, err);
    case EXPR_LIKE:
    case EXPR_GLOB:
    case EXPR_REGEXP: /* like(pattern, value) is value LIKE pattern */
        swapped[0] = args[1];
        swapped[1] = args[0];
        swapped[2] = n > 2 ? args[2] : NULL;
        return expr_nary(a, f->code, 0, swapped, n, sql_offset, out, err);
    case EXPR_NOT_NULL: /* nvl2(x, if not null, if null) */
        swapped[1] = args[1];
        swapped[2] = args[2];
        {
            quartet_status rc = expr_unary(a, EXPR_NOT_NULL, args[0], sql_offset, &swapped[0], err);
            return rc == QUARTET_OK ? expr_nary(a, EXPR_CASE, 0, swapped, 3, sql_offset, out, err) : rc;
        }
    default:
        return expr_nary(a, f->code, 0, args, n, sql_offset, out, err);
    }
}

quartet_status expr_call(struct arena *a, const struct func *f, struct expr *const *args, uint32_t n, int64_t sql_offset, struct expr **out,
                         struct err *err)
{
    struct expr *e;
    if ((f->flags & FUNC_LOWERED) != 0)
        return build_lowered(a, f, args, n, sql_offset, out, err);
    QASSERT(f->scalar != NULL);
    quartet_status rc = build_node(a, EXPR_CALL, args, n, sql_offset, &e, err);
    if (rc != QUARTET_OK)
        return rc;
    e->u.func = f;
    e->type = f->type;
    for (uint32_t k = n; k-- > 0;) /* the first that has a collation gives it */
        if ((args[k]->flags & (EXPR_COLLATED | EXPR_OF_COLUMN)) != 0)
            e->flags = (args[k]->flags & EXPR_NOCASE_VALUE) != 0 ? EXPR_NOCASE : 0;
    return build_fold(a, e, out, err);
}

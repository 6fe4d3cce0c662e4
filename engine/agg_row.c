/* agg_row.c - one value into a group, and what comes out of it: the meaning of every aggregate.
 * SUM and AVG are exact over integers and decimals (128 bits), and over doubles they sum in the order of the rows with the rounding error carried along, so
 * that the answer does not depend on how rows were cut into batches: four nodes with the same rows give the same digits. */
#include "agg_impl.h"

#include "collate.h"
#include "decimal.h"
#include "func_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool agg_sum_exact(struct sum_state *s, __int128 v, uint8_t scale)
{
    struct decimal a = {s->exact, s->scale}, b = {v, scale}, r;
    if (s->scale == scale) {
        s->overflow = s->overflow || __builtin_add_overflow(s->exact, v, &s->exact);
        return !s->overflow;
    }
    if (!decimal_add(a, b, &r)) {
        s->overflow = true;
        return false;
    }
    s->exact = r.v;
    s->scale = r.scale;
    return true;
}

static void step_sum(struct sum_state *s, const struct value *v)
{
    struct value number;
    if ((v->type == VALUE_TEXT && !types_number_from_text(v->s, true, &number)) || v->type == VALUE_BLOB) {
        double r = 0;
        (void)types_to_double(v, &r); /* not NULL; a text that is no number makes the sum REAL, as in SQLite */
        number = (struct value){.type = VALUE_REAL, .r = r};
    } else if (v->type != VALUE_TEXT) {
        types_to_number(v, &number);
    }
    s->count++;
    if (number.type == VALUE_REAL) {
        s->seen |= SEEN_REAL;
        sum_real(s, number.r);
    } else if (number.type == VALUE_DECIMAL) {
        s->seen |= SEEN_DECIMAL;
        (void)agg_sum_exact(s, dec_get(number.dec), number.scale); /* overflow is told at the end */
    } else {
        s->seen |= SEEN_INT;
        (void)agg_sum_exact(s, number.i, 0);
    }
}

quartet_status agg_step_extreme(agg *g, struct extreme_state *s, const struct value *v, struct err *err)
{
    bool is_bytes = v->type == VALUE_TEXT || v->type == VALUE_BLOB || v->type == VALUE_JSON;
    if (s->best.type != VALUE_NULL) {
        if (g->kind == AGG_ANY_VALUE)
            return QUARTET_OK;
        int c = types_compare(v, &s->best, g->spec.nocase);
        if (g->kind == AGG_MIN ? c >= 0 : c <= 0)
            return QUARTET_OK;
    }
    if (!is_bytes) {
        s->best = *v;
        return QUARTET_OK;
    }
    if (v->s.n > s->cap || s->room == NULL) {
        size_t cap = v->s.n < 16 ? 16 : v->s.n + v->s.n / 2;
        s->room = arena_alloc(g->arena, cap);
        s->cap = s->room != NULL ? cap : 0;
        if (s->room == NULL) {
            s->best = VALUE_NULL_INIT;
            return arena_fail(g->arena, err);
        }
    }
    if (v->s.n > 0)
        memcpy(s->room, v->s.p, v->s.n);
    s->best = (struct value){.type = v->type, .s = {s->room, v->s.n}};
    return QUARTET_OK;
}

static quartet_status append(agg *g, struct text_state *s, const void *p, size_t n, struct err *err)
{
    if (s->n + n > TYPES_VALUE_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "%s() would give more than %u bytes", g->spec.func->name, TYPES_VALUE_BYTES_MAX);
    if (s->n + n > s->cap) {
        size_t cap = s->cap * 2 > s->n + n ? s->cap * 2 : s->n + n + 32;
        uint8_t *room = arena_alloc(g->arena, cap);
        if (room == NULL)
            return arena_fail(g->arena, err);
        if (s->n > 0)
            memcpy(room, s->p, s->n);
        s->p = room;
        s->cap = cap;
    }
    if (n > 0)
        memcpy(s->p + s->n, p, n);
    s->n += n;
    return QUARTET_OK;
}

static quartet_status append_value(agg *g, struct text_state *s, const struct value *v, struct err *err)
{
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    value_to_text(v, &b);
    quartet_status rc = buf_check(&b, err);
    if (rc == QUARTET_OK)
        rc = append(g, s, b.data, b.len, err);
    buf_deinit(&b);
    return rc;
}

static quartet_status step_concat(agg *g, struct text_state *s, const struct value *args, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    struct value comma = value_text(",", 1);
    const struct value *separator = g->spec.arg_count > 1 ? &args[1] : &comma;
    if (s->count++ > 0 && separator->type != VALUE_NULL)
        rc = append_value(g, s, separator, err);
    return rc == QUARTET_OK ? append_value(g, s, &args[0], err) : rc;
}

static quartet_status step_json(agg *g, struct text_state *s, const struct value *args, struct err *err)
{
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    bool object = g->kind == AGG_JSON_OBJECT;
    quartet_status rc = QUARTET_OK;
    if (object && args[0].type == VALUE_NULL)
        rc = err_set(err, QUARTET_ERROR, "json_group_object() names must be text");
    if (s->count++ > 0)
        buf_u8(&b, ',');
    if (object) {
        struct buf name = {.limit_bytes = TYPES_VALUE_BYTES_MAX};
        value_to_text(&args[0], &name);
        json_put_string(&b, slice_of(name.data, name.len));
        b.failed = b.failed || name.failed;
        buf_deinit(&name);
        buf_u8(&b, ':');
    }
    if (rc == QUARTET_OK)
        rc = func_json_put(&b, &args[object], err);
    if (rc == QUARTET_OK)
        rc = buf_check(&b, err);
    if (rc == QUARTET_OK)
        rc = append(g, s, b.data, b.len, err);
    buf_deinit(&b);
    return rc;
}

static void step_moment(struct moment_state *s, const struct value *v)
{
    double x = 0;
    (void)types_to_double(v, &x); /* not NULL */
    s->count++;
    double delta = x - s->mean;
    s->mean += delta / (double)s->count;
    s->m2 += delta * (x - s->mean);
}

static quartet_status step_list(agg *g, struct list_state *s, const struct value *args, struct err *err)
{
    struct value v = args[0];
    if (s->count == s->cap) {
        uint32_t cap = s->cap == 0 ? 16 : s->cap * 2;
        struct value *items = arena_alloc(g->arena, cap * sizeof *items);
        if (items == NULL)
            return arena_fail(g->arena, err);
        if (s->count > 0)
            memcpy(items, s->items, s->count * sizeof *items);
        s->items = items;
        s->cap = cap;
    }
    if (g->kind != AGG_MEDIAN)
        (void)types_to_double(&args[1], &s->fraction); /* NULL leaves 0 */
    else
        s->fraction = 0.5;
    if (g->kind == AGG_PERCENTILE_DISC ? !value_copy(g->arena, &v) : (types_to_number(&args[0], &v), false))
        return arena_fail(g->arena, err);
    s->items[s->count++] = v;
    return QUARTET_OK;
}

static void step_bits(uint8_t kind, struct bits_state *s, const struct value *v)
{
    int64_t i = 0;
    if (kind == AGG_BOOL_AND || kind == AGG_BOOL_OR)
        i = types_truth(v) == 1;
    else
        (void)types_to_int64(v, &i); /* not NULL */
    if (!s->any)
        s->i = i;
    else if (kind == AGG_BOOL_AND || kind == AGG_BIT_AND)
        s->i &= i;
    else if (kind == AGG_BIT_XOR)
        s->i ^= i;
    else
        s->i |= i;
    s->any = true;
}

quartet_status agg_step(agg *g, uint32_t group, const struct value *args, struct err *err)
{
    void *s = agg_state(g, group);
    switch (g->kind) {
    case AGG_COUNT_STAR:
    case AGG_COUNT:
        ((struct bits_state *)s)->i++;
        return QUARTET_OK;
    case AGG_SUM:
    case AGG_TOTAL:
    case AGG_AVG:
        step_sum(s, &args[0]);
        return QUARTET_OK;
    case AGG_MIN:
    case AGG_MAX:
    case AGG_ANY_VALUE:
        return agg_step_extreme(g, s, &args[0], err);
    case AGG_GROUP_CONCAT:
        return step_concat(g, s, args, err);
    case AGG_JSON_ARRAY:
    case AGG_JSON_OBJECT:
        return step_json(g, s, args, err);
    case AGG_STDDEV_POP:
    case AGG_STDDEV_SAMP:
    case AGG_VAR_POP:
    case AGG_VAR_SAMP:
        step_moment(s, &args[0]);
        return QUARTET_OK;
    case AGG_MEDIAN:
    case AGG_PERCENTILE_CONT:
    case AGG_PERCENTILE_DISC:
        return step_list(g, s, args, err);
    default:
        step_bits(g->kind, s, &args[0]);
        return QUARTET_OK;
    }
}

/* ---- results ---- */

static double sum_as_double(const struct sum_state *s)
{
    double real = isfinite(s->real) ? s->real + s->carry : s->real; /* infinities have no rounding error */
    if ((s->seen & (SEEN_INT | SEEN_DECIMAL)) == 0)
        return real;
    double exact = decimal_fits(s->exact) ? decimal_to_double((struct decimal){s->exact, s->scale}) : (double)s->exact;
    return (s->seen & SEEN_REAL) != 0 ? real + exact : exact;
}

static quartet_status final_sum(const agg *g, const struct sum_state *s, struct value *out, struct err *err)
{
    bool real = g->kind != AGG_SUM || (s->seen & SEEN_REAL) != 0;
    *out = VALUE_NULL_INIT;
    if (s->count == 0 && g->kind != AGG_TOTAL)
        return QUARTET_OK;
    bool decimal = (s->seen & SEEN_DECIMAL) != 0;
    bool fits = decimal ? decimal_fits(s->exact) : s->exact >= INT64_MIN && s->exact <= INT64_MAX;
    if (s->overflow || (!real && !fits))
        return err_set_at(err, QUARTET_ERROR, g->spec.sql_offset, "overflow: %s() does not fit a %s", g->spec.func->name,
                          decimal ? "DECIMAL of 38 digits" : "64-bit integer");
    if (!real) {
        *out = decimal ? decimal_value((struct decimal){s->exact, s->scale}) : value_int((int64_t)s->exact);
        return QUARTET_OK;
    }
    double r = sum_as_double(s);
    if (g->kind == AGG_AVG)
        r /= (double)s->count;
    if (!isnan(r))
        *out = (struct value){.type = VALUE_REAL, .r = r};
    return QUARTET_OK;
}

static struct value final_moment(uint8_t kind, const struct moment_state *s)
{
    bool sample = kind == AGG_STDDEV_SAMP || kind == AGG_VAR_SAMP;
    if (s->count == 0 || (sample && s->count < 2))
        return VALUE_NULL_INIT;
    double variance = s->m2 / (double)(sample ? s->count - 1 : s->count);
    double r = kind == AGG_STDDEV_POP || kind == AGG_STDDEV_SAMP ? sqrt(variance) : variance;
    return isnan(r) ? VALUE_NULL_INIT : (struct value){.type = VALUE_REAL, .r = r};
}

static int compare_items(const void *a, const void *b)
{
    return value_cmp(a, b);
}

static struct value final_list(uint8_t kind, struct list_state *s)
{
    if (s->count == 0 || !(s->fraction >= 0 && s->fraction <= 1))
        return VALUE_NULL_INIT;
    qsort(s->items, s->count, sizeof *s->items, compare_items); /* their order in the state means nothing */
    double place = s->fraction * (double)(s->count - 1);
    if (kind == AGG_PERCENTILE_DISC) {
        double at = ceil(s->fraction * (double)s->count) - 1;
        return s->items[at < 0 ? 0 : (uint32_t)at];
    }
    uint32_t low = (uint32_t)place;
    double a = 0, b = 0;
    (void)types_to_double(&s->items[low], &a); /* items are not NULL */
    (void)types_to_double(&s->items[low + 1 < s->count ? low + 1 : low], &b);
    return (struct value){.type = VALUE_REAL, .r = a + (b - a) * (place - (double)low)};
}

static quartet_status final_text(const agg *g, const struct text_state *s, struct arena *a, struct value *out, struct err *err)
{
    bool json = g->kind != AGG_GROUP_CONCAT, object = g->kind == AGG_JSON_OBJECT;
    *out = VALUE_NULL_INIT;
    if (!json) {
        if (s->count == 0)
            return QUARTET_OK;
        if (!utf8_valid(s->p, s->n)) { /* blobs were among them */
            *out = (struct value){.type = VALUE_BLOB, .s = {s->p, s->n}};
            return QUARTET_OK;
        }
        *out = value_text(s->p, s->n);
        return value_copy(a, out) ? QUARTET_OK : arena_fail(a, err); /* the state may grow in place */
    }
    uint8_t *p = arena_alloc(a, s->n + 2);
    if (p == NULL)
        return arena_fail(a, err);
    p[0] = object ? '{' : '[';
    if (s->n > 0)
        memcpy(p + 1, s->p, s->n);
    p[s->n + 1] = object ? '}' : ']';
    *out = (struct value){.type = VALUE_JSON, .s = {p, s->n + 2}};
    return QUARTET_OK;
}

quartet_status agg_final(agg *g, uint32_t group, struct arena *a, struct value *out, struct err *err)
{
    QASSERT(group < g->count);
    void *s = agg_state(g, group);
    switch (g->kind) {
    case AGG_COUNT_STAR:
    case AGG_COUNT:
        *out = value_int(((struct bits_state *)s)->i);
        return QUARTET_OK;
    case AGG_SUM:
    case AGG_TOTAL:
    case AGG_AVG:
        return final_sum(g, s, out, err);
    case AGG_MIN:
    case AGG_MAX:
    case AGG_ANY_VALUE:
        *out = ((struct extreme_state *)s)->best;
        return value_copy(a, out) ? QUARTET_OK : arena_fail(a, err);
    case AGG_GROUP_CONCAT:
    case AGG_JSON_ARRAY:
    case AGG_JSON_OBJECT:
        return final_text(g, s, a, out, err);
    case AGG_STDDEV_POP:
    case AGG_STDDEV_SAMP:
    case AGG_VAR_POP:
    case AGG_VAR_SAMP:
        *out = final_moment(g->kind, s);
        return QUARTET_OK;
    case AGG_MEDIAN:
    case AGG_PERCENTILE_CONT:
    case AGG_PERCENTILE_DISC:
        *out = final_list(g->kind, s);
        return QUARTET_OK;
    default:
        *out = ((struct bits_state *)s)->any ? value_int(((struct bits_state *)s)->i) : VALUE_NULL_INIT;
        return QUARTET_OK;
    }
}

/* ---- merging two groups ---- */

static void merge_moment(struct moment_state *to, const struct moment_state *from)
{
    int64_t n = to->count + from->count;
    if (from->count == 0)
        return;
    double delta = from->mean - to->mean;
    to->m2 += from->m2 + delta * delta * (double)to->count * (double)from->count / (double)n;
    to->mean += delta * (double)from->count / (double)n;
    to->count = n;
}

static void merge_sum(struct sum_state *to, const struct sum_state *from)
{
    to->count += from->count;
    to->seen |= from->seen;
    to->overflow = to->overflow || from->overflow;
    (void)agg_sum_exact(to, from->exact, from->scale); /* overflow is told at the end */
    if ((from->seen & SEEN_REAL) != 0) {
        sum_real(to, from->real);
        to->carry += from->carry;
    }
}

static quartet_status merge_text(agg *g, struct text_state *to, const struct text_state *from, struct err *err)
{
    if (from->count == 0)
        return QUARTET_OK;
    if (g->kind == AGG_GROUP_CONCAT && g->spec.arg_count > 1)
        return err_set(err, QUARTET_MISUSE, "group_concat with a separator cannot be merged");
    quartet_status rc = to->count > 0 ? append(g, to, ",", 1, err) : QUARTET_OK;
    to->count += from->count;
    return rc == QUARTET_OK ? append(g, to, from->p, from->n, err) : rc;
}

quartet_status agg_merge(agg *g, uint32_t group, const agg *from, uint32_t from_group, struct err *err)
{
    QASSERT(group < g->count);
    QASSERT(from_group < from->count);
    if (g->spec.distinct)
        return err_set(err, QUARTET_MISUSE, "DISTINCT aggregates cannot be merged");
    void *to = agg_state(g, group);
    const void *other = agg_state(from, from_group);
    const struct bits_state *bits = other;
    switch (g->kind) {
    case AGG_COUNT_STAR:
    case AGG_COUNT:
        ((struct bits_state *)to)->i += bits->i;
        return QUARTET_OK;
    case AGG_SUM:
    case AGG_TOTAL:
    case AGG_AVG:
        merge_sum(to, other);
        return QUARTET_OK;
    case AGG_MIN:
    case AGG_MAX:
    case AGG_ANY_VALUE: {
        const struct extreme_state *e = other;
        return e->best.type == VALUE_NULL ? QUARTET_OK : agg_step_extreme(g, to, &e->best, err);
    }
    case AGG_GROUP_CONCAT:
    case AGG_JSON_ARRAY:
    case AGG_JSON_OBJECT:
        return merge_text(g, to, other, err);
    case AGG_STDDEV_POP:
    case AGG_STDDEV_SAMP:
    case AGG_VAR_POP:
    case AGG_VAR_SAMP:
        merge_moment(to, other);
        return QUARTET_OK;
    case AGG_MEDIAN:
    case AGG_PERCENTILE_CONT:
    case AGG_PERCENTILE_DISC: {
        const struct list_state *l = other;
        quartet_status rc = QUARTET_OK;
        for (uint32_t k = 0; k < l->count && rc == QUARTET_OK; k++) {
            struct value args[2] = {l->items[k], {.type = VALUE_REAL, .r = l->fraction}};
            rc = step_list(g, to, args, err);
        }
        return rc;
    }
    default: {
        struct value v = value_int(bits->i);
        if (bits->any)
            step_bits(g->kind, to, &v);
        return QUARTET_OK;
    }
    }
}

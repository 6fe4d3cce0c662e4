/* table_bound.c - from bounds on values to a range of encoded keys.
 * Why NULL is left out where an interval is asked for: no comparison is true for NULL, and the caller would drop those rows anyway.
 * Not here: which bounds to use (the planner). */
#include "table_internal.h"

bool key_value_fits(const struct key_column *k, const struct value *v)
{
    if (v->type == VALUE_NULL || k->kind == KEY_ANY)
        return true;
    if (v->type != k->type)
        return false;
    return k->kind != KEY_DECIMAL || v->scale == k->scale;
}

static quartet_status put(struct scan_keys *s, uint32_t at, const struct value *v, struct buf *out, struct buf *fold, struct err *err)
{
    if (at >= s->count || !key_value_fits(&s->keys[at], v))
        return err_set(err, QUARTET_INTERNAL, "a bound does not fit the key of table %s", s->table->name);
    if (s->index != NULL)
        index_put_column(s->table, s->index, at, v, out, fold);
    else
        key_put(out, &s->keys[at], v);
    return QUARTET_OK;
}

quartet_status bound_range(struct scan_keys *s, const struct key_bound *bound, struct key_span *out, struct err *err)
{
    static const struct value null = {.type = VALUE_NULL};
    buf_clear(&out->lo);
    buf_clear(&out->hi);
    out->hi_open = false;
    uint32_t n = bound == NULL ? 0 : bound->prefix_count;
    for (uint32_t i = 0; i < n; i++) {
        quartet_status rc = put(s, i, &bound->prefix[i], &out->lo, &out->fold, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    if (out->point)
        return out->lo.failed ? err_nomem(err) : QUARTET_OK;
    buf_put(&out->hi, out->lo.data, out->lo.len);
    if (bound == NULL || (bound->lo == NULL && bound->hi == NULL)) {
        out->hi_open = !key_prefix_end(&out->hi);
        return out->lo.failed || out->hi.failed ? err_nomem(err) : QUARTET_OK;
    }
    bool desc = s->keys[n].desc;
    const struct value *first = desc ? bound->hi : bound->lo, *last = desc ? bound->lo : bound->hi;
    bool first_open = desc ? bound->hi_open : bound->lo_open, last_open = desc ? bound->lo_open : bound->hi_open;
    if (first == NULL && !desc) { /* NULLs come first */
        first = &null;
        first_open = true;
    }
    if (last == NULL && desc) { /* NULLs come last */
        last = &null;
        last_open = true;
    }
    quartet_status rc = first == NULL ? QUARTET_OK : put(s, n, first, &out->lo, &out->fold, err);
    if (rc == QUARTET_OK && first != NULL && first_open && !key_prefix_end(&out->lo))
        rc = out->lo.failed ? err_nomem(err) : err_set(err, QUARTET_INTERNAL, "a key of table %s has no successor", s->table->name);
    if (rc == QUARTET_OK && last != NULL)
        rc = put(s, n, last, &out->hi, &out->fold, err);
    if (rc != QUARTET_OK)
        return rc;
    if (last == NULL || !last_open)
        out->hi_open = !key_prefix_end(&out->hi);
    return out->lo.failed || out->hi.failed ? err_nomem(err) : QUARTET_OK;
}

void key_span_deinit(struct key_span *s)
{
    buf_deinit(&s->lo);
    buf_deinit(&s->hi);
    buf_deinit(&s->fold);
}

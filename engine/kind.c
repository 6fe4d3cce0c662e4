/* kind.c - kinds of column as SQL sees them.
 * Why a SET reads as a JSON array: every client can read one, and two nodes with the same elements show the same bytes (sorted, without blanks, each once).
 * Why elements are texts from here on: their bytes are made once, at the origin, so no two nodes can take them for different ones.
 * Not here: merging (crdt/row_cell.c), SQL's functions over sets (func_set.c). */
#include "kind.h"

#include <stdlib.h>
#include <string.h>

#include "crdt/row_cell.h"
#include "json.h"
#include "types.h"

static const struct {
    const char *name, *merges;
} kinds[] = {
    [ROW_LWW] = {"plain", "last writer wins"}, [ROW_COUNTER] = {"COUNTER", "counter"},         [ROW_MAXIMUM] = {"MAXIMUM", "largest value"},
    [ROW_MINIMUM] = {"MINIMUM", "smallest value"}, [ROW_SET] = {"SET", "set of elements"}, [ROW_MULTIVALUE] = {"MULTIVALUE", "all concurrent values"},
};

const char *kind_name(uint8_t kind)
{
    QASSERT(kind < sizeof kinds / sizeof *kinds);
    return kinds[kind].name;
}

const char *kind_merges(uint8_t kind)
{
    QASSERT(kind < sizeof kinds / sizeof *kinds);
    return kinds[kind].merges;
}

const char *kind_column_merges(const struct column_def *c)
{
    return c->key_at >= 0 ? "key" : c->derived ? KIND_COMPUTED : kind_merges(c->kind);
}

/* ---- which types may have which ---- */

static quartet_status declare_counter(const struct column_def *c, struct err *err)
{
    if (c->type == VALUE_REAL)
        return err_set(err, QUARTET_ERROR, "column %s: a COUNTER cannot be REAL, since its sum would depend on the order of additions; use DECIMAL(p, s)", c->name);
    if (c->is_boolean || (c->type != VALUE_INTEGER && !(c->type == VALUE_DECIMAL && c->precision > 0)))
        return err_set(err, QUARTET_ERROR, "column %s: a COUNTER must be INTEGER or DECIMAL(p, s)", c->name);
    return QUARTET_OK;
}

static quartet_status declare_extreme(const struct column_def *c, uint8_t kind, struct err *err)
{
    if (c->type == VALUE_NULL)
        return err_set(err, QUARTET_ERROR, "column %s: a %s needs a type", c->name, kind_name(kind));
    if (c->type == VALUE_JSON)
        return err_set(err, QUARTET_ERROR, "column %s: a %s cannot be JSON, which has no order", c->name, kind_name(kind));
    if (c->nocase)
        return err_set(err, QUARTET_ERROR, "column %s: a %s compares bytes; NOCASE would make two values the largest at once", c->name, kind_name(kind));
    return QUARTET_OK;
}

static quartet_status declare_set(struct column_def *c, struct err *err)
{
    bool fits = !c->is_boolean && !c->nocase;
    switch (c->type) {
    case VALUE_INTEGER: case VALUE_TEXT: case VALUE_DATE: case VALUE_TIME: case VALUE_TIMESTAMP: case VALUE_UUID: break;
    case VALUE_DECIMAL: fits &= c->precision > 0; break;
    default: fits = false;
    }
    if (!fits)
        return err_set(err, QUARTET_ERROR, "column %s: a SET is of INTEGER, DECIMAL(p, s), TEXT, DATE, TIME, TIMESTAMP or UUID%s", c->name,
                       c->nocase ? ", without NOCASE" : "");
    c->element = c->type;
    c->element_precision = c->precision;
    c->element_scale = c->scale;
    c->type = VALUE_JSON;
    c->precision = c->scale = 0;
    return QUARTET_OK;
}

quartet_status kind_declare(struct column_def *c, uint8_t kind, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    switch (kind) {
    case ROW_COUNTER: rc = declare_counter(c, err); break;
    case ROW_MAXIMUM: case ROW_MINIMUM: rc = declare_extreme(c, kind, err); break;
    case ROW_SET: rc = declare_set(c, err); break;
    default: break;
    }
    if (rc == QUARTET_OK)
        c->kind = kind;
    return rc;
}

/* ---- tokens ---- */

quartet_status kind_token(const struct value *v, struct arena *a, struct slice *token, struct err *err)
{
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    bool number = v->type == VALUE_INTEGER || v->type == VALUE_DECIMAL || v->type == VALUE_REAL;
    *token = (struct slice){0};
    if (v->type == VALUE_NULL)
        return QUARTET_OK;
    if (v->type == VALUE_BLOB || v->type == VALUE_JSON)
        return err_set(err, QUARTET_ERROR, "an element of a set cannot be %s", types_name(v->type));
    if (number) {
        value_to_text(v, &b);
    } else {
        struct buf text = {.limit_bytes = TYPES_VALUE_BYTES_MAX};
        value_to_text(v, &text);
        b.failed |= text.failed;
        json_put_string(&b, slice_of(text.data, text.len));
        buf_deinit(&text);
    }
    quartet_status rc = buf_check(&b, err);
    void *copy = rc == QUARTET_OK ? arena_dup(a, b.data, b.len) : NULL;
    if (rc == QUARTET_OK && copy == NULL)
        rc = arena_fail(a, err);
    *token = slice_of(copy, b.len);
    buf_deinit(&b);
    if (rc == QUARTET_OK && !row_token_valid(*token))
        rc = err_set(err, QUARTET_ERROR, "an element of a set cannot be the REAL %.*s: a number there is written in digits", (int)token->n, (const char *)token->p);
    return rc;
}

bool kind_element(const struct value *v, struct arena *a, struct slice *token)
{
    struct err none = ERR_INIT;
    *token = (struct slice){0};
    if (v->type == VALUE_BLOB || v->type == VALUE_JSON || v->type == VALUE_REAL)
        return true; /* no column of these becomes a SET */
    quartet_status rc = kind_token(v, a, token, &none);
    if (rc != QUARTET_OK)
        *token = (struct slice){0};
    return rc == QUARTET_OK || rc == QUARTET_ERROR;
}

quartet_status kind_show_sets(const struct table_def *t, struct value *values, struct arena *a, struct err *err)
{
    for (uint32_t i = 0; t->sets_below && i < t->rows.count; i++)
        if (t->rows.columns[i].element != NULL && !row_show_as_set(&t->rows.columns[i], &values[t->record_columns[i]], a))
            return arena_fail(a, err);
    return QUARTET_OK;
}

/* A JSON scalar as an SQL value. */
static quartet_status scalar_value(struct slice node, struct arena *a, struct value *out, struct err *err)
{
    struct slice text;
    switch (json_type_of(node)) {
    case JSON_INTEGER: case JSON_REAL: {
        struct type_decl exact = {.type = VALUE_DECIMAL};
        if (types_number_from_text(node, true, out) && out->type == VALUE_INTEGER)
            return QUARTET_OK;
        *out = (struct value){.type = VALUE_TEXT, .s = node}; /* a decimal, exactly as written, where it is one */
        if (types_convert(&exact, NULL, out, a, err) != QUARTET_OK) {
            err_clear(err);
            (void)types_number_from_text(node, true, out); /* json_valid: it is a number */
        }
        return QUARTET_OK;
    }
    case JSON_TEXT:
        if (!json_unquote(node, a, &text))
            return arena_fail(a, err);
        *out = (struct value){.type = VALUE_TEXT, .s = text};
        return QUARTET_OK;
    default:
        return err_set(err, QUARTET_ERROR, "a set holds numbers and strings, not %s", json_type_name(json_type_of(node)));
    }
}

static int token_order(const void *x, const void *y)
{
    return row_token_cmp(*(const struct slice *)x, *(const struct slice *)y);
}

/* The array's elements as tokens, in order, each once; `element` (may be NULL) is what each is converted to. */
static quartet_status read_tokens(const struct value *v, const struct type_decl *element, const char *column, struct arena *a, struct slice **tokens,
                                  uint32_t *count, struct err *err)
{
    struct slice doc, node, key;
    size_t at = 0;
    uint32_t n = 0;
    *count = 0;
    quartet_status rc = types_text(v, a, &doc, err);
    if (rc != QUARTET_OK)
        return rc;
    bool array = v->type == VALUE_JSON || json_valid(doc);
    doc = array ? json_trim(doc) : doc;
    if (!array || json_type_of(doc) != JSON_ARRAY)
        return err_set(err, QUARTET_ERROR, "a set is a JSON array, such as '[\"a\",\"b\"]', not %.*s", (int)(doc.n > 60 ? 60 : doc.n), (const char *)doc.p);
    *tokens = arena_alloc(a, (json_length(doc) + 1u) * sizeof **tokens);
    if (*tokens == NULL)
        return arena_fail(a, err);
    while (rc == QUARTET_OK && json_next(doc, &at, &key, &node)) {
        struct value one;
        rc = scalar_value(node, a, &one, err);
        if (rc == QUARTET_OK && element != NULL)
            rc = types_convert(element, column, &one, a, err);
        if (rc == QUARTET_OK)
            rc = kind_token(&one, a, &(*tokens)[n++], err);
    }
    if (rc != QUARTET_OK)
        return rc;
    qsort(*tokens, n, sizeof **tokens, token_order);
    for (uint32_t i = 0; i < n; i++)
        if (*count == 0 || row_token_cmp((*tokens)[*count - 1], (*tokens)[i]) != 0)
            (*tokens)[(*count)++] = (*tokens)[i];
    return QUARTET_OK;
}

quartet_status kind_set_tokens(const struct value *v, struct arena *a, struct slice **tokens, uint32_t *count, struct err *err)
{
    return read_tokens(v, NULL, NULL, a, tokens, count, err);
}

static quartet_status join(const struct slice *tokens, uint32_t count, struct arena *a, struct value *out, struct err *err)
{
    if (!row_tokens_join(tokens, count, a, out))
        return arena_fail(a, err);
    if (out->s.n > TYPES_VALUE_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "a set of %zu bytes, limit %u", out->s.n, TYPES_VALUE_BYTES_MAX);
    return QUARTET_OK;
}

static struct type_decl element_of(const struct column_def *c)
{
    return (struct type_decl){.type = c->element, .precision = c->element_precision, .scale = c->element_scale};
}

quartet_status kind_set_value(const struct column_def *c, struct value *v, struct arena *a, struct err *err)
{
    struct slice *tokens = NULL;
    uint32_t count = 0;
    struct type_decl element = element_of(c);
    quartet_status rc = v->type == VALUE_NULL ? QUARTET_OK : read_tokens(v, &element, c->name, a, &tokens, &count, err);
    if (rc == QUARTET_ERROR) {
        err->code = QUARTET_MISMATCH;
        err_prefix(err, c->name);
        return QUARTET_MISMATCH;
    }
    return rc == QUARTET_OK ? join(tokens, count, a, v, err) : rc;
}

/* Without what changes no number: 1.50 as 1.5, -0.0 as 0. */
static struct slice plain_number(struct slice s, bool *negative)
{
    *negative = s.n > 0 && s.p[0] == '-';
    if (*negative)
        s = slice_of(s.p + 1, s.n - 1);
    if (memchr(s.p, '.', s.n) != NULL) {
        while (s.n > 0 && s.p[s.n - 1] == '0')
            s.n--;
        s.n -= s.n > 0 && s.p[s.n - 1] == '.';
    }
    if (s.n == 0 || (s.n == 1 && s.p[0] == '0'))
        *negative = false;
    return s;
}

bool kind_token_equal(struct slice a, struct slice b)
{
    bool x, y;
    if (a.n == 0 || b.n == 0 || a.p[0] == '"' || b.p[0] == '"')
        return slice_eq(a, b);
    struct slice p = plain_number(a, &x), q = plain_number(b, &y);
    return x == y && slice_eq(p, q);
}

/* ---- changes ---- */

void kind_change_put(struct buf *out, uint8_t op, const struct value *v)
{
    buf_u8(out, op);
    value_encode(out, v);
}

static quartet_status damaged(struct err *err)
{
    return err_set(err, QUARTET_INTERNAL, "damaged changes of a SET");
}

quartet_status kind_changes_convert(const struct column_def *c, struct value *v, struct arena *a, struct err *err)
{
    struct bytes_in in = bytes_in(v->s.p, v->s.n);
    struct buf out = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    struct type_decl element = element_of(c);
    quartet_status rc = QUARTET_OK;
    while (rc == QUARTET_OK && in.left > 0) {
        struct value one, token = {.type = VALUE_TEXT};
        uint8_t op = bytes_u8(&in);
        if (!value_decode(&in, &one))
            rc = damaged(err);
        if (rc == QUARTET_OK)
            rc = types_convert(&element, c->name, &one, a, err);
        if (rc == QUARTET_OK)
            rc = kind_token(&one, a, &token.s, err);
        if (rc == QUARTET_OK && token.s.n > 0) /* NULL is no element */
            kind_change_put(&out, op, &token);
    }
    if (rc == QUARTET_OK)
        rc = buf_check(&out, err);
    if (rc == QUARTET_OK) {
        *v = (struct value){.type = VALUE_BLOB, .s = slice_of(arena_dup(a, out.data, out.len), out.len)};
        rc = v->s.p == NULL ? arena_fail(a, err) : QUARTET_OK;
    }
    buf_deinit(&out);
    return rc;
}

quartet_status kind_changes(struct slice blob, struct arena *a, struct kind_change **out, uint32_t *count, struct err *err)
{
    struct bytes_in in = bytes_in(blob.p, blob.n);
    *count = 0;
    *out = arena_alloc(a, (blob.n / 2 + 1) * sizeof **out);
    if (*out == NULL)
        return arena_fail(a, err);
    while (in.left > 0) {
        struct value token;
        uint8_t op = bytes_u8(&in);
        if (!value_decode(&in, &token) || token.type != VALUE_TEXT)
            return damaged(err);
        (*out)[(*count)++] = (struct kind_change){.op = op, .token = token.s};
    }
    return QUARTET_OK;
}

quartet_status kind_difference(const struct value *from, const struct value *to, struct arena *a, struct kind_change **out, uint32_t *count, struct err *err)
{
    struct slice *x = NULL, *y = NULL;
    uint32_t n = 0, m = 0;
    *count = 0;
    quartet_status rc = from->type == VALUE_NULL ? QUARTET_OK : row_tokens(from->s, a, &x, &n, err);
    if (rc == QUARTET_OK && to->type != VALUE_NULL)
        rc = row_tokens(to->s, a, &y, &m, err);
    if (rc != QUARTET_OK)
        return rc;
    *out = arena_alloc(a, (n + m + 1u) * sizeof **out);
    if (*out == NULL)
        return arena_fail(a, err);
    for (uint32_t i = 0, k = 0; i < n || k < m;) {
        int c = i == n ? 1 : k == m ? -1 : row_token_cmp(x[i], y[k]);
        if (c != 0)
            (*out)[(*count)++] = (struct kind_change){.op = c < 0 ? ROW_CUT : ROW_ADD, .token = c < 0 ? x[i] : y[k]};
        i += c <= 0;
        k += c >= 0;
    }
    return QUARTET_OK;
}

quartet_status kind_changed(const struct value *from, const struct kind_change *changes, uint32_t count, struct arena *a, struct value *out, struct err *err)
{
    struct slice *old = NULL;
    uint32_t n = 0;
    quartet_status rc = from->type == VALUE_NULL ? QUARTET_OK : row_tokens(from->s, a, &old, &n, err);
    if (rc != QUARTET_OK)
        return rc;
    struct slice *tokens = arena_alloc(a, (n + count + 1u) * sizeof *tokens);
    if (tokens == NULL)
        return arena_fail(a, err);
    if (n > 0)
        memcpy(tokens, old, n * sizeof *tokens);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t lo = 0, hi = n;
        while (lo < hi) {
            uint32_t mid = lo + (hi - lo) / 2;
            if (row_token_cmp(tokens[mid], changes[i].token) < 0)
                lo = mid + 1;
            else
                hi = mid;
        }
        bool there = lo < n && row_token_cmp(tokens[lo], changes[i].token) == 0;
        if (changes[i].op == ROW_ADD && !there) {
            memmove(tokens + lo + 1, tokens + lo, (n - lo) * sizeof *tokens);
            tokens[lo] = changes[i].token;
            n++;
        } else if (changes[i].op == ROW_CUT && there) {
            memmove(tokens + lo, tokens + lo + 1, (n - lo - 1) * sizeof *tokens);
            n--;
        }
    }
    return join(tokens, n, a, out, err);
}

const struct value *kind_extreme(uint8_t kind, const struct value *x, const struct value *y)
{
    if (x->type == VALUE_NULL || y->type == VALUE_NULL)
        return x->type == VALUE_NULL ? y : x;
    int c = value_cmp(y, x);
    return kind == ROW_MAXIMUM ? (c > 0 ? y : x) : c < 0 ? y : x;
}

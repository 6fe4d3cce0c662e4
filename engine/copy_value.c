/* copy_value.c - COPY's fields as values and back, so that each value of each type comes back bit by bit.
 * Forms: BLOB is \x and hexadecimal digits. A REAL without bounds is Inf or -Inf. In a column without a type, and only there, a field says its type:
 *   a number stands bare, a TEXT in quotes, anything else as \TYPE:text, a backslash at the beginning of a TEXT is doubled. A JSON value that could be taken for
 *   something else in a line of JSON is the string "\JSON:text".
 * Not here: what a column takes (types_convert). */
#include <math.h>
#include <string.h>

#include "copy.h"
#include "json.h"

static const char hex_digits[] = "0123456789abcdef";

static int nibble(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static quartet_status blob_of(const struct copy_column *c, struct slice t, struct value *out, struct arena *a, struct err *err)
{
    bool good = t.n >= 2 && t.p[0] == '\\' && t.p[1] == 'x' && t.n % 2 == 0;
    size_t n = good ? (t.n - 2) / 2 : 0;
    uint8_t *bytes = arena_alloc(a, n + 1);
    if (bytes == NULL)
        return arena_fail(a, err);
    for (size_t i = 0; good && i < n; i++) {
        int hi = nibble(t.p[2 + 2 * i]), lo = nibble(t.p[3 + 2 * i]);
        good = hi >= 0 && lo >= 0;
        bytes[i] = (uint8_t)(good ? hi * 16 + lo : 0);
    }
    if (!good)
        return err_set(err, QUARTET_MISMATCH, "column %s: a BLOB is written as \\x and pairs of hexadecimal digits, not '%.*s'", c->name,
                       (int)(t.n < 40 ? t.n : 40), (const char *)t.p);
    *out = (struct value){.type = VALUE_BLOB, .s = slice_of(bytes, n)};
    return QUARTET_OK;
}

/* The REALs that no other reader of numbers gives back: without bounds, and zero with a sign. */
static bool special_real(struct slice t, struct value *out)
{
    if (t.n == 4 && memcmp(t.p, "-0.0", 4) == 0) {
        *out = (struct value){.type = VALUE_REAL, .r = -0.0};
        return true;
    }
    bool minus = t.n > 0 && t.p[0] == '-';
    if (t.n != 3u + minus || memcmp(t.p + minus, "Inf", 3) != 0)
        return false;
    *out = (struct value){.type = VALUE_REAL, .r = minus ? -HUGE_VAL : HUGE_VAL};
    return true;
}

/* The text of a field, as a value that the column takes. */
static quartet_status typed_of(const struct copy_column *c, const struct type_decl *type, struct slice t, struct value *out, struct arena *a, struct err *err)
{
    if (type->type == VALUE_BLOB)
        return blob_of(c, t, out, a, err);
    if (type->type == VALUE_REAL && special_real(t, out))
        return QUARTET_OK;
    *out = value_text(t.p, t.n);
    if (type->type == VALUE_TEXT && t.n <= TYPES_VALUE_BYTES_MAX)
        return QUARTET_OK;
    return types_convert(type, c->name, out, a, err);
}

/* A text of a column without a type. */
static quartet_status tagged_of(const struct copy_column *c, struct slice t, bool bare, struct value *out, struct arena *a, struct err *err)
{
    static const uint8_t tags[] = {VALUE_REAL, VALUE_DECIMAL, VALUE_DATE, VALUE_TIME, VALUE_TIMESTAMP, VALUE_UUID, VALUE_JSON};
    if (bare && slice_eq(t, slice_of("-0.0", 4)) && special_real(t, out))
        return QUARTET_OK;
    if (t.n == 0 || t.p[0] != '\\') {
        struct value v;
        *out = value_text(t.p, t.n);
        if (bare && t.n > 0 && strchr("+-.0123456789", t.p[0]) != NULL && t.p[t.n - 1] > ' ' && types_number_from_text(t, true, &v))
            *out = v;
        return t.n > TYPES_VALUE_BYTES_MAX ? err_set(err, QUARTET_LIMIT, "column %s: a text of %zu bytes, limit %u", c->name, t.n, TYPES_VALUE_BYTES_MAX)
                                           : QUARTET_OK;
    }
    if (t.n > 1 && t.p[1] == '\\') {
        *out = value_text(t.p + 1, t.n - 1);
        return QUARTET_OK;
    }
    if (t.n > 1 && t.p[1] == 'x')
        return blob_of(c, t, out, a, err);
    for (size_t i = 0; i < sizeof tags; i++) {
        const char *name = types_name(tags[i]);
        size_t n = strlen(name);
        struct type_decl type = {.type = tags[i]};
        if (t.n > n + 1 && memcmp(t.p + 1, name, n) == 0 && t.p[n + 1] == ':')
            return typed_of(c, &type, slice_of(t.p + n + 2, t.n - n - 2), out, a, err);
    }
    return err_set(err, QUARTET_MISMATCH, "column %s: has no type, so a field says its own: after a backslash x, a type's name and a colon, or another backslash",
                   c->name);
}

quartet_status copy_value_of_csv(const struct copy_column *c, const struct copy_field *f, const char *null_text, struct value *out, struct arena *a,
                                 struct err *err)
{
    if (!f->quoted && slice_eq(f->text, slice_of(null_text, strlen(null_text)))) {
        *out = VALUE_NULL_INIT;
        return QUARTET_OK;
    }
    return c->untyped ? tagged_of(c, f->text, !f->quoted, out, a, err) : typed_of(c, &c->type, f->text, out, a, err);
}

quartet_status copy_value_of_json(const struct copy_column *c, struct slice node, struct value *out, struct arena *a, struct err *err)
{
    static const char json_tag[] = "\\JSON:";
    const size_t tag_bytes = sizeof json_tag - 1;
    enum json_type kind = json_type_of(node);
    struct slice t = node;
    *out = VALUE_NULL_INIT;
    if (kind == JSON_NULL)
        return QUARTET_OK;
    if (kind == JSON_TEXT && !json_unquote(node, a, &t))
        return arena_fail(a, err);
    if (c->untyped && kind == JSON_TEXT)
        return tagged_of(c, t, false, out, a, err);
    if (c->untyped ? kind == JSON_ARRAY || kind == JSON_OBJECT : c->type.type == VALUE_JSON) {
        struct type_decl type = {.type = VALUE_JSON};
        bool tagged = kind == JSON_TEXT && t.n > tag_bytes && memcmp(t.p, json_tag, tag_bytes) == 0;
        return typed_of(c, &type, tagged ? slice_of(t.p + tag_bytes, t.n - tag_bytes) : node, out, a, err);
    }
    if ((kind == JSON_TRUE || kind == JSON_FALSE) && c->type.type != VALUE_TEXT) {
        *out = value_int(kind == JSON_TRUE);
        return c->untyped ? QUARTET_OK : types_convert(&c->type, c->name, out, a, err);
    }
    return c->untyped ? tagged_of(c, t, true, out, a, err) : typed_of(c, &c->type, t, out, a, err);
}

/* The text of a value in the forms above; what of it must be quoted in CSV is left to the caller. */
static void put_text(struct buf *out, const struct value *v, bool untyped)
{
    if (v->type == VALUE_BLOB) {
        buf_str(out, "\\x");
        uint8_t *room = buf_reserve(out, v->s.n * 2);
        for (size_t i = 0; room != NULL && i < v->s.n; i++) {
            room[2 * i] = (uint8_t)hex_digits[v->s.p[i] >> 4];
            room[2 * i + 1] = (uint8_t)hex_digits[v->s.p[i] & 15];
        }
        out->len += room != NULL ? v->s.n * 2 : 0;
        return;
    }
    bool plain = v->type == VALUE_TEXT || v->type == VALUE_INTEGER || (v->type == VALUE_REAL && isfinite(v->r));
    if (untyped && v->type == VALUE_TEXT && v->s.n > 0 && v->s.p[0] == '\\')
        buf_u8(out, '\\');
    if (untyped && !plain)
        buf_printf(out, "\\%s:", types_name(v->type));
    if (v->type == VALUE_REAL && v->r == 0 && signbit(v->r))
        buf_str(out, "-0.0");
    else
        value_to_text(v, out);
}

static bool needs_quotes(const uint8_t *p, size_t n, char delimiter, const char *null_text)
{
    if (n == 0 || p[0] == 0xef || (n == strlen(null_text) && memcmp(p, null_text, n) == 0))
        return true;
    for (size_t i = 0; i < n; i++)
        if (p[i] == '"' || p[i] == (uint8_t)delimiter || p[i] == '\n' || p[i] == '\r')
            return true;
    return false;
}

void copy_put_csv(struct buf *out, const struct value *v, bool untyped, char delimiter, const char *null_text)
{
    if (v->type == VALUE_NULL) {
        buf_str(out, null_text);
        return;
    }
    size_t start = out->len;
    put_text(out, v, untyped);
    if (out->failed)
        return;
    size_t n = out->len - start, quotes = 0;
    if (!(untyped && v->type == VALUE_TEXT) && !needs_quotes(out->data + start, n, delimiter, null_text))
        return;
    for (size_t i = start; i < out->len; i++)
        quotes += out->data[i] == '"';
    if (buf_reserve(out, quotes + 2) == NULL)
        return;
    uint8_t *p = out->data + start, *to = p + n + quotes + 2;
    *--to = '"';
    for (size_t i = n; i-- > 0;) {
        *--to = p[i];
        if (p[i] == '"')
            *--to = '"';
    }
    *--to = '"';
    QASSERT(to == p);
    out->len += quotes + 2;
}

/* Could the text of a JSON value, put into a line as it is, be read back as it was? */
static bool json_stands(struct slice s)
{
    struct slice node = json_trim(s);
    return node.n == s.n && memchr(s.p, '\n', s.n) == NULL && memchr(s.p, '\r', s.n) == NULL && json_type_of(node) != JSON_NULL &&
           !(json_type_of(node) == JSON_TEXT && s.n > 1 && s.p[1] == '\\');
}

void copy_put_json(struct buf *out, const struct value *v, bool untyped)
{
    struct buf text = {0};
    switch (v->type) {
    case VALUE_NULL:
        buf_str(out, "null");
        return;
    case VALUE_INTEGER:
        value_to_text(v, out);
        return;
    case VALUE_REAL:
        if (isfinite(v->r)) {
            put_text(out, v, false);
            return;
        }
        break;
    case VALUE_DECIMAL:
        if (!untyped) {
            value_to_text(v, out);
            return;
        }
        break;
    case VALUE_JSON:
        if (!untyped && json_stands(v->s)) {
            buf_put(out, v->s.p, v->s.n);
            return;
        }
        untyped = true; /* with its tag */
        break;
    default:
        break;
    }
    put_text(&text, v, untyped);
    if (text.failed)
        out->failed = true;
    else
        json_put_string(out, slice_of(text.data != NULL ? text.data : (const uint8_t *)"", text.len));
    buf_deinit(&text);
}

/* value_text.c - every value as the text that people see, and as the literal that reads back as it. */
#include "datetime.h"
#include "decimal.h"

#include <math.h>
#include <string.h>

static const char hex_lower[] = "0123456789abcdef";
static const char hex_upper[] = "0123456789ABCDEF";

static size_t format_uuid(const uint8_t uuid[16], char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[n++] = '-';
        out[n++] = hex_lower[uuid[i] >> 4];
        out[n++] = hex_lower[uuid[i] & 15];
    }
    return n;
}

/* Types whose text is short; 0 for the others. */
static size_t format_short_type(const struct value *v, char out[TYPES_NUMBER_TEXT_BYTES])
{
    switch (v->type) {
    case VALUE_INTEGER:
        return types_format_int(v->i, out);
    case VALUE_REAL:
        return types_format_real(v->r, out);
    case VALUE_DECIMAL:
        return decimal_format(decimal_of(v), out);
    case VALUE_DATE:
        return datetime_format_date(v->i, out);
    case VALUE_TIME:
        return datetime_format_time(v->i, out);
    case VALUE_TIMESTAMP:
        return datetime_format_timestamp(v->i, out);
    case VALUE_UUID:
        return format_uuid(v->uuid, out);
    default:
        return 0;
    }
}

void value_to_text(const struct value *v, struct buf *out)
{
    char text[TYPES_NUMBER_TEXT_BYTES];
    if (v->type == VALUE_TEXT || v->type == VALUE_BLOB || v->type == VALUE_JSON)
        buf_put(out, v->s.p, v->s.n);
    else if (v->type != VALUE_NULL)
        buf_put(out, text, format_short_type(v, text));
}

quartet_status types_text(const struct value *v, struct arena *a, struct slice *out, struct err *err)
{
    char text[TYPES_NUMBER_TEXT_BYTES];
    *out = slice_of("", 0);
    if (v->type == VALUE_NULL)
        return QUARTET_OK;
    if (v->type == VALUE_TEXT || v->type == VALUE_BLOB || v->type == VALUE_JSON) {
        *out = v->s;
        return QUARTET_OK;
    }
    size_t n = format_short_type(v, text);
    void *copy = arena_dup(a, text, n);
    if (copy == NULL)
        return arena_fail(a, err);
    *out = slice_of(copy, n);
    return QUARTET_OK;
}

static void put_quoted(struct slice s, struct buf *out)
{
    buf_u8(out, '\'');
    for (size_t i = 0, from = 0; i <= s.n; i++) {
        if (i < s.n && s.p[i] != '\'')
            continue;
        buf_put(out, s.p + from, i - from);
        if (i < s.n)
            buf_str(out, "''");
        from = i + 1;
    }
    buf_u8(out, '\'');
}

void value_to_literal(const struct value *v, struct buf *out)
{
    char text[TYPES_NUMBER_TEXT_BYTES];
    switch (v->type) {
    case VALUE_NULL:
        buf_str(out, "NULL");
        return;
    case VALUE_REAL:
        if (isinf(v->r)) {
            buf_str(out, v->r < 0 ? "-9.0e+999" : "9.0e+999");
            return;
        }
        value_to_text(v, out);
        return;
    case VALUE_INTEGER:
    case VALUE_DECIMAL:
        value_to_text(v, out);
        return;
    case VALUE_BLOB:
        buf_str(out, "X'");
        for (size_t i = 0; i < v->s.n; i++) {
            buf_u8(out, (uint8_t)hex_upper[v->s.p[i] >> 4]);
            buf_u8(out, (uint8_t)hex_upper[v->s.p[i] & 15]);
        }
        buf_u8(out, '\'');
        return;
    case VALUE_TEXT:
    case VALUE_JSON:
        put_quoted(v->s, out);
        return;
    default:
        put_quoted(slice_of(text, format_short_type(v, text)), out);
    }
}

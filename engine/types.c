/* types.c - declared types by all their names, and strict conversion into them.
 * Why strict: a value that was stored must come back; silent loss on one of four nodes is found too late.
 * Not here: CAST and comparison (types_cast.c), texts (value_text.c, number_text.c). */
#include "types.h"

#include "datetime.h"
#include "decimal.h"
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_BYTES_MAX 60 /* of a value in an error */

static const struct {
    const char *name;
    uint8_t type;
} names[] = {
    {"INT", VALUE_INTEGER}, {"INTEGER", VALUE_INTEGER}, {"BIGINT", VALUE_INTEGER}, {"YEAR", VALUE_INTEGER}, {"SERIAL", VALUE_INTEGER},
    {"BIGSERIAL", VALUE_INTEGER}, {"SMALLSERIAL", VALUE_INTEGER}, {"LONG", VALUE_INTEGER}, {"BIT", VALUE_INTEGER},
    {"REAL", VALUE_REAL}, {"FLOAT", VALUE_REAL}, {"DOUBLE", VALUE_REAL},
    {"TEXT", VALUE_TEXT}, {"STRING", VALUE_TEXT}, {"CHARACTER", VALUE_TEXT}, {"ENUM", VALUE_TEXT}, {"NAME", VALUE_TEXT},
    {"BLOB", VALUE_BLOB}, {"BINARY", VALUE_BLOB}, {"VARBINARY", VALUE_BLOB}, {"BYTEA", VALUE_BLOB}, {"IMAGE", VALUE_BLOB}, {"RAW", VALUE_BLOB},
    {"BINARY VARYING", VALUE_BLOB}, {"BINARY LARGE OBJECT", VALUE_BLOB},
    {"NUMERIC", VALUE_DECIMAL}, {"DECIMAL", VALUE_DECIMAL}, {"DEC", VALUE_DECIMAL}, {"FIXED", VALUE_DECIMAL}, {"NUMBER", VALUE_DECIMAL},
    {"MONEY", VALUE_DECIMAL}, {"SMALLMONEY", VALUE_DECIMAL},
    {"DATE", VALUE_DATE}, {"TIME", VALUE_TIME}, {"TIME WITHOUT TIME ZONE", VALUE_TIME},
    {"TIMESTAMP", VALUE_TIMESTAMP}, {"DATETIME", VALUE_TIMESTAMP}, {"DATETIME2", VALUE_TIMESTAMP}, {"SMALLDATETIME", VALUE_TIMESTAMP},
    {"TIMESTAMPTZ", VALUE_TIMESTAMP}, {"TIMESTAMP WITH TIME ZONE", VALUE_TIMESTAMP}, {"TIMESTAMP WITHOUT TIME ZONE", VALUE_TIMESTAMP},
    {"TIMESTAMP WITH LOCAL TIME ZONE", VALUE_TIMESTAMP},
    {"UUID", VALUE_UUID}, {"UNIQUEIDENTIFIER", VALUE_UUID}, {"GUID", VALUE_UUID},
    {"JSON", VALUE_JSON}, {"JSONB", VALUE_JSON},
    {"ANY", VALUE_NULL}, {"VARIANT", VALUE_NULL},
};

static bool contains(const char *name, const char *part)
{
    return strcasestr(name, part) != NULL;
}

/* SQLite's rules for names that nobody declared. */
static uint8_t by_affinity(const char *name)
{
    if (contains(name, "INT"))
        return VALUE_INTEGER;
    if (contains(name, "CHAR") || contains(name, "CLOB") || contains(name, "TEXT"))
        return VALUE_TEXT;
    if (contains(name, "BLOB"))
        return VALUE_BLOB;
    if (contains(name, "REAL") || contains(name, "FLOA") || contains(name, "DOUB"))
        return VALUE_REAL;
    return VALUE_NULL;
}

static quartet_status decimal_args(const char *name, uint8_t arg_count, const int32_t *args, struct type_decl *out, struct err *err)
{
    if (arg_count == 0) {
        if (contains(name, "MONEY")) {
            out->precision = 19;
            out->scale = 4;
        }
        return QUARTET_OK;
    }
    int32_t scale = arg_count > 1 ? args[1] : 0;
    if (args[0] < 1 || args[0] > (int32_t)TYPES_DECIMAL_DIGITS_MAX || scale < 0 || scale > args[0])
        return err_set(err, QUARTET_ERROR, "%s(%d,%d): precision must be 1 to %u and scale 0 to the precision", name, args[0], scale,
                       TYPES_DECIMAL_DIGITS_MAX);
    out->precision = (uint8_t)args[0];
    out->scale = (uint8_t)scale;
    return QUARTET_OK;
}

quartet_status types_from_name(const char *name, uint8_t arg_count, const int32_t *args, struct type_decl *out, struct err *err)
{
    *out = (struct type_decl){.type = VALUE_NULL};
    if (name == NULL || name[0] == '\0')
        return QUARTET_OK;
    if (strcasecmp(name, "BOOL") == 0 || strcasecmp(name, "BOOLEAN") == 0 || strcasecmp(name, "LOGICAL") == 0) {
        out->type = VALUE_INTEGER;
        out->is_boolean = true;
        return QUARTET_OK;
    }
    size_t at = 0;
    size_t count = sizeof names / sizeof *names;
    while (at < count && strcasecmp(names[at].name, name) != 0)
        at++;
    out->type = at < count ? names[at].type : by_affinity(name);
    if (out->type == VALUE_DECIMAL)
        return decimal_args(name, arg_count, args, out, err);
    if (arg_count > 0 && args[0] > 0 && (out->type == VALUE_TEXT || out->type == VALUE_BLOB))
        out->length = (uint32_t)args[0];
    return QUARTET_OK;
}

const char *types_name(uint8_t value_type)
{
    static const char *const by_type[] = {"ANY", "INTEGER", "REAL", "TEXT", "BLOB", "NULL", "DECIMAL", "DATE", "TIME", "TIMESTAMP", "UUID", "JSON"};
    return value_type < sizeof by_type / sizeof *by_type ? by_type[value_type] : "ANY";
}

/* ---- strict conversion: each gives false where it would lose something ---- */

static bool text_is(struct slice s, const char *word)
{
    return s.n == strlen(word) && strncasecmp((const char *)s.p, word, s.n) == 0;
}

static bool to_integer(const struct type_decl *to, struct value *v)
{
    struct value number = *v;
    if (v->type == VALUE_TEXT) {
        if (to->is_boolean && (text_is(v->s, "true") || text_is(v->s, "false")))
            number = value_int(text_is(v->s, "true"));
        else if (!types_number_from_text(v->s, true, &number))
            return false;
    }
    if (number.type == VALUE_REAL) {
        if (!(number.r >= -9223372036854775808.0 && number.r < 9223372036854775808.0) || (double)(int64_t)number.r != number.r)
            return false;
        number = value_int((int64_t)number.r);
    }
    if (number.type == VALUE_DECIMAL) {
        struct decimal d = decimal_trim(decimal_of(&number));
        if (d.scale > 0 || d.v > INT64_MAX || d.v < INT64_MIN)
            return false;
        number = value_int((int64_t)d.v);
    }
    if (number.type != VALUE_INTEGER || (to->is_boolean && number.i != 0 && number.i != 1))
        return false;
    *v = number;
    return true;
}

static bool to_real(struct value *v)
{
    struct value number = *v;
    double r = 0;
    if (v->type == VALUE_TEXT && !types_number_from_text(v->s, true, &number))
        return false;
    if (number.type == VALUE_INTEGER) {
        r = (double)number.i;
        if (r >= 9223372036854775808.0 || (int64_t)r != number.i)
            return false;
    } else if (number.type == VALUE_DECIMAL) {
        struct decimal d = decimal_trim(decimal_of(&number)), back;
        r = decimal_to_double(d);
        if (!decimal_from_double(r, &back) || back.v != d.v || back.scale != d.scale)
            return false;
    } else if (number.type == VALUE_REAL) {
        r = number.r;
    } else {
        return false;
    }
    *v = isnan(r) ? VALUE_NULL_INIT : (struct value){.type = VALUE_REAL, .r = r};
    return true;
}

static struct slice trim_blanks(struct slice s)
{
    while (s.n > 0 && (*s.p == ' ' || (*s.p >= '\t' && *s.p <= '\r'))) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || (s.p[s.n - 1] >= '\t' && s.p[s.n - 1] <= '\r')))
        s.n--;
    return s;
}

static bool to_decimal(const struct type_decl *to, struct value *v)
{
    struct decimal d;
    bool exact = true;
    if (v->type == VALUE_TEXT) {
        struct slice s = trim_blanks(v->s);
        if (!decimal_parse((const char *)s.p, s.n, &d))
            return false;
    } else if (v->type == VALUE_REAL) {
        if (!decimal_from_double(v->r, &d))
            return false;
    } else if (v->type == VALUE_INTEGER || v->type == VALUE_DECIMAL) {
        d = decimal_of(v);
    } else {
        return false;
    }
    if (to->precision != 0) {
        __int128 limit = decimal_pow10(to->precision);
        if (!decimal_rescale(d, to->scale, &d, &exact) || !exact || d.v >= limit || d.v <= -limit)
            return false;
    }
    *v = decimal_value(d);
    return true;
}

static bool to_text(struct value *v, struct arena *a, quartet_status *rc, struct err *err)
{
    if (v->type == VALUE_TEXT || v->type == VALUE_BLOB || v->type == VALUE_JSON) {
        v->type = VALUE_TEXT;
        return true;
    }
    struct slice s;
    *rc = types_text(v, a, &s, err);
    if (*rc == QUARTET_OK)
        *v = value_text(s.p, s.n);
    return true;
}

/* DATE, TIME and TIMESTAMP from text and from each other. */
static bool to_time_type(uint8_t type, struct value *v)
{
    int64_t us;
    bool cut = false;
    enum datetime_form form = DATETIME_NONE;
    if (v->type == VALUE_TEXT) {
        form = datetime_parse(v->s, false, &us, &cut);
    } else if (v->type == VALUE_DATE) {
        form = DATETIME_DATE;
        us = v->i * DATETIME_DAY_US;
    } else if (v->type == VALUE_TIMESTAMP) {
        form = DATETIME_BOTH;
        us = v->i;
    }
    if (form == DATETIME_NONE || cut || (form == DATETIME_TIME) != (type == VALUE_TIME))
        return false;
    if (type == VALUE_DATE) {
        if (us % DATETIME_DAY_US != 0)
            return false;
        us /= DATETIME_DAY_US;
    }
    *v = (struct value){.type = type, .i = us};
    return true;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 32 hex digits; hyphens between any bytes and braces around are allowed. */
static bool to_uuid(struct value *v)
{
    struct value out = {.type = VALUE_UUID};
    if (v->type == VALUE_BLOB && v->s.n == 16) {
        memcpy(out.uuid, v->s.p, 16);
        *v = out;
        return true;
    }
    if (v->type != VALUE_TEXT)
        return false;
    struct slice s = trim_blanks(v->s);
    if (s.n >= 2 && s.p[0] == '{' && s.p[s.n - 1] == '}')
        s = slice_of(s.p + 1, s.n - 2);
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        if (s.p[i] == '-' && n > 0 && n < 16) {
            i++;
            continue;
        }
        int hi = i + 1 < s.n ? hex_digit(s.p[i]) : -1, lo = i + 1 < s.n ? hex_digit(s.p[i + 1]) : -1;
        if (hi < 0 || lo < 0 || n == 16)
            return false;
        out.uuid[n++] = (uint8_t)(hi * 16 + lo);
        i += 2;
    }
    if (n != 16)
        return false;
    *v = out;
    return true;
}

static bool to_json(struct value *v, struct arena *a, quartet_status *rc, struct err *err)
{
    if (v->type == VALUE_TEXT) {
        if (!json_valid(v->s))
            return false;
        v->type = VALUE_JSON;
        return true;
    }
    if (v->type != VALUE_INTEGER && v->type != VALUE_DECIMAL && (v->type != VALUE_REAL || isinf(v->r)))
        return false;
    (void)to_text(v, a, rc, err); /* its status is in *rc */
    if (*rc == QUARTET_OK)
        v->type = VALUE_JSON;
    return true;
}

static quartet_status mismatch(const struct type_decl *to, const char *column, const struct value *v, struct err *err)
{
    char type[64], shown[TYPES_NUMBER_TEXT_BYTES + 8] = "";
    if (to->type == VALUE_DECIMAL && to->precision != 0)
        (void)snprintf(type, sizeof type, "DECIMAL(%u,%u)", to->precision, to->scale);
    else
        (void)snprintf(type, sizeof type, "%s", to->is_boolean ? "BOOLEAN" : types_name(to->type));
    if (v->type == VALUE_BLOB) {
        (void)snprintf(shown, sizeof shown, "of %zu bytes", v->s.n);
    } else {
        struct buf b = {.data = (uint8_t *)shown, .cap = sizeof shown, .limit_bytes = sizeof shown};
        struct value cut = *v;
        bool is_text = v->type == VALUE_TEXT || v->type == VALUE_JSON;
        if (is_text && cut.s.n > SHOWN_BYTES_MAX)
            for (cut.s.n = SHOWN_BYTES_MAX; cut.s.n > 0 && (cut.s.p[cut.s.n] & 0xc0) == 0x80; cut.s.n--)
                ;
        buf_str(&b, is_text ? "'" : "");
        value_to_text(&cut, &b);
        buf_str(&b, is_text && cut.s.n < v->s.n ? "..." : is_text ? "'" : "");
        shown[sizeof shown - 1] = '\0';
    }
    if (column != NULL)
        return err_set(err, QUARTET_MISMATCH, "column %s is %s and cannot take the %s %s without loss", column, type, types_name(v->type), shown);
    return err_set(err, QUARTET_MISMATCH, "cannot make %s of the %s %s", type, types_name(v->type), shown);
}

quartet_status types_mismatch(const struct type_decl *to, const struct value *v, struct err *err)
{
    return mismatch(to, NULL, v, err);
}

static bool already(const struct type_decl *to, const struct value *v)
{
    if (v->type != to->type || to->is_boolean)
        return false;
    if (v->type == VALUE_DECIMAL)
        return to->precision == 0;
    return v->type != VALUE_REAL && v->type != VALUE_TEXT;
}

quartet_status types_convert(const struct type_decl *to, const char *column, struct value *v, struct arena *a, struct err *err)
{
    if (v->type == VALUE_NULL || already(to, v))
        return QUARTET_OK;
    struct value new = *v;
    quartet_status rc = QUARTET_OK;
    bool ok = false;
    switch (to->type) {
    case VALUE_INTEGER:
        ok = to_integer(to, &new);
        break;
    case VALUE_REAL:
        ok = to_real(&new);
        break;
    case VALUE_DECIMAL:
        ok = to_decimal(to, &new);
        break;
    case VALUE_TEXT:
        ok = to_text(&new, a, &rc, err);
        break;
    case VALUE_BLOB:
        ok = new.type == VALUE_TEXT || new.type == VALUE_BLOB;
        new.type = ok ? VALUE_BLOB : new.type;
        break;
    case VALUE_DATE:
    case VALUE_TIME:
    case VALUE_TIMESTAMP:
        ok = to_time_type(to->type, &new);
        break;
    case VALUE_UUID:
        ok = to_uuid(&new);
        break;
    case VALUE_JSON:
        ok = to_json(&new, a, &rc, err);
        break;
    default:
        ok = true;
        if (new.type == VALUE_REAL && isnan(new.r))
            new = VALUE_NULL_INIT;
    }
    if (rc != QUARTET_OK)
        return rc;
    if (ok && (new.type == VALUE_TEXT || new.type == VALUE_BLOB || new.type == VALUE_JSON) && new.s.n > TYPES_VALUE_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "a value of %zu bytes: the limit is %u", new.s.n, TYPES_VALUE_BYTES_MAX);
    if (!ok || (new.type == VALUE_TEXT && !utf8_valid(new.s.p, new.s.n)))
        return mismatch(to, column, v, err);
    *v = new;
    return QUARTET_OK;
}

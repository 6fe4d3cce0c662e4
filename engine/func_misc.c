/* func_misc.c - what is left: choices (lowered to CASE and COALESCE), typeof, uuid, printf, and the table of aggregates. */
#include "func_impl.h"

#include "agg.h"
#include "include/quartet.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static quartet_status f_typeof(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)call;
    (void)n;
    (void)err;
    static const char *const names[] = {"any", "integer", "real", "text", "blob", "null", "decimal", "date", "time", "timestamp", "uuid", "json"};
    const char *name = names[args[0].type < sizeof names / sizeof *names ? args[0].type : 0];
    return func_slice(out, slice_of(name, strlen(name)));
}

/* Version 7: 48 bits of Unix milliseconds, then random ones, so that new keys sort last. */
static quartet_status f_uuid(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)args;
    (void)n;
    struct value v = {.type = VALUE_UUID};
    int64_t us = 0;
    quartet_status rc = func_random_bytes(call, v.uuid, sizeof v.uuid, err);
    if (rc == QUARTET_OK)
        rc = func_now(call, &us, err);
    if (rc != QUARTET_OK)
        return rc;
    uint64_t ms = us > 0 ? (uint64_t)us / 1000 : 0;
    for (int k = 0; k < 6; k++)
        v.uuid[k] = (uint8_t)(ms >> (40 - 8 * k));
    v.uuid[6] = (uint8_t)(0x70 | (v.uuid[6] & 0x0f));
    v.uuid[8] = (uint8_t)(0x80 | (v.uuid[8] & 0x3f));
    *out = v;
    return QUARTET_OK;
}

/* code 1: the newest stable one. */
static quartet_status f_stamp(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    const struct expr_host *host = call->ctx->host;
    (void)args;
    (void)n;
    if (host == NULL || host->stamp == NULL)
        return err_set(err, QUARTET_ERROR, "%s() cannot stand here: it needs a database", call->func->name);
    return func_int(out, host->stamp(call->ctx->host_arg, call->func->code != 0));
}

static quartet_status f_version(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)call;
    (void)args;
    (void)n;
    (void)err;
    *out = value_text(QUARTET_VERSION, strlen(QUARTET_VERSION));
    return QUARTET_OK;
}

/* ---- printf ---- */

struct spec {
    bool left, plus, blank, zero, comma, alternate, exact, has_precision;
    int width, precision;
    char letter;
};

static int read_int(struct slice f, size_t *i)
{
    int v = 0;
    for (; *i < f.n && f.p[*i] >= '0' && f.p[*i] <= '9'; (*i)++)
        if (v < 1000000)
            v = v * 10 + (f.p[*i] - '0');
    return v;
}

static void read_spec(struct slice f, size_t *i, struct spec *s, const struct value *args, uint32_t n, uint32_t *next)
{
    *s = (struct spec){.left = false};
    for (; *i < f.n; (*i)++) {
        uint8_t c = f.p[*i];
        s->left = s->left || c == '-';
        s->plus = s->plus || c == '+';
        s->blank = s->blank || c == ' ';
        s->zero = s->zero || c == '0';
        s->comma = s->comma || c == ',';
        s->alternate = s->alternate || c == '#';
        s->exact = s->exact || c == '!';
        if (c != '-' && c != '+' && c != ' ' && c != '0' && c != ',' && c != '#' && c != '!')
            break;
    }
    for (int part = 0; part < 2; part++) {
        int v;
        if (part == 1 && (*i >= f.n || f.p[*i] != '.'))
            break;
        *i += part == 1;
        if (*i < f.n && f.p[*i] == '*') {
            int64_t given = *next < n ? func_arg_int(&args[(*next)++]) : 0;
            v = given > 1000000 ? 1000000 : given < -1000000 ? -1000000 : (int)given;
            (*i)++;
        } else {
            v = read_int(f, i);
        }
        if (part == 0) {
            s->left = s->left || v < 0;
            s->width = v < 0 ? -v : v;
        } else {
            s->precision = v < 0 ? -v : v;
            s->has_precision = true;
        }
    }
    while (*i < f.n && (f.p[*i] == 'l' || f.p[*i] == 'h'))
        (*i)++;
    s->letter = *i < f.n ? (char)f.p[(*i)++] : '\0';
}

/* Text, filled up to the width. `sign_bytes`: a sign that zeros go behind. */
static void put_padded(struct buf *b, const struct spec *s, struct slice text, bool number)
{
    int64_t chars = func_char_count(text), fill = s->width > chars ? s->width - chars : 0;
    bool zeros = number && s->zero && !s->left;
    size_t sign = zeros && text.n > 0 && (text.p[0] == '-' || text.p[0] == '+' || text.p[0] == ' ');
    buf_put(b, text.p, sign);
    for (int64_t k = 0; k < fill && !s->left && !b->failed; k++)
        buf_u8(b, zeros ? '0' : ' ');
    buf_put(b, text.p + sign, text.n - sign);
    for (int64_t k = 0; k < fill && s->left && !b->failed; k++)
        buf_u8(b, ' ');
}

static size_t put_commas(char *text, size_t n, size_t cap) /* in place, from the right */
{
    size_t start = text[0] == '-' || text[0] == '+' || text[0] == ' ', digits = start;
    while (digits < n && text[digits] >= '0' && text[digits] <= '9')
        digits++;
    for (size_t at = digits; at > start + 3 && n + 1 < cap;) {
        at -= 3;
        memmove(text + at + 1, text + at, n - at);
        text[at] = ',';
        n++;
    }
    return n;
}

static void put_integer(struct buf *b, const struct spec *s, int64_t v)
{
    char text[96] = "";
    size_t n;
    switch (s->letter) {
    case 'x':
        n = (size_t)snprintf(text, sizeof text, s->alternate && v != 0 ? "0x%llx" : "%llx", (unsigned long long)v);
        break;
    case 'X':
        n = (size_t)snprintf(text, sizeof text, s->alternate && v != 0 ? "0X%llX" : "%llX", (unsigned long long)v);
        break;
    case 'o':
        n = (size_t)snprintf(text, sizeof text, s->alternate && v != 0 ? "0%llo" : "%llo", (unsigned long long)v);
        break;
    case 'u':
        n = (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)v);
        break;
    default:
        n = (size_t)snprintf(text, sizeof text, s->plus ? "%+lld" : s->blank ? "% lld" : "%lld", (long long)v);
    }
    if (s->comma)
        n = put_commas(text, n, sizeof text);
    put_padded(b, s, slice_of(text, n), true);
}

#define PRINTF_PRECISION_MAX 100

/* The flag '!': no zeros at the end, but one digit behind the point. */
static size_t cut_zeros(char *text, size_t n, size_t cap)
{
    size_t mantissa = strcspn(text, "eE"), keep = mantissa;
    char *point = memchr(text, '.', mantissa);
    if (point == NULL && n + 2 < cap) {
        memmove(text + mantissa + 2, text + mantissa, n - mantissa + 1);
        memcpy(text + mantissa, ".0", 2);
        return n + 2;
    }
    while (point != NULL && keep > (size_t)(point - text) + 2 && text[keep - 1] == '0')
        keep--;
    memmove(text + keep, text + mantissa, n - mantissa + 1);
    return n - (mantissa - keep);
}

/* e, f, g: by libc, its decimal point (whatever the locale's) put right. */
static void put_real(struct buf *b, const struct spec *s, double r)
{
    char text[512] = "";
    int precision = s->has_precision ? (s->precision > PRINTF_PRECISION_MAX ? PRINTF_PRECISION_MAX : s->precision) : 6;
    const char *sign = signbit(r) && r != 0 ? "-" : s->plus ? "+" : s->blank ? " " : "";
    double x = fabs(r);
    int n;
    if (isnan(r) || isinf(r)) {
        n = snprintf(text, sizeof text, "%s%s", isnan(r) ? "" : sign, isnan(r) ? "NaN" : "Inf");
    } else {
        switch (s->letter) {
        case 'e':
            n = snprintf(text, sizeof text, "%s%.*e", sign, precision, x);
            break;
        case 'E':
            n = snprintf(text, sizeof text, "%s%.*E", sign, precision, x);
            break;
        case 'g':
            n = snprintf(text, sizeof text, "%s%.*g", sign, precision, x);
            break;
        case 'G':
            n = snprintf(text, sizeof text, "%s%.*G", sign, precision, x);
            break;
        default:
            n = snprintf(text, sizeof text, "%s%.*f", sign, precision, x);
        }
    }
    size_t len = n > 0 ? ((size_t)n < sizeof text ? (size_t)n : sizeof text - 1) : 0;
    for (size_t k = 0; k < len; k++)
        if ((uint8_t)text[k] == ',')
            text[k] = '.';
    if (s->exact && !isinf(r) && !isnan(r))
        len = cut_zeros(text, len, sizeof text);
    if (s->comma)
        len = put_commas(text, len, sizeof text);
    put_padded(b, s, slice_of(text, len), !isinf(r) && !isnan(r));
}

static void put_quoted(struct buf *b, const struct spec *s, struct slice text, uint8_t quote, bool outer)
{
    struct buf inner = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    if (outer)
        buf_u8(&inner, quote);
    for (size_t k = 0; k < text.n; k++) {
        if (text.p[k] == quote)
            buf_u8(&inner, quote);
        buf_u8(&inner, text.p[k]);
    }
    if (outer)
        buf_u8(&inner, quote);
    b->failed = b->failed || inner.failed;
    put_padded(b, s, slice_of(inner.data, inner.len), false);
    buf_deinit(&inner);
}

static quartet_status put_text(const struct func_call *call, struct buf *b, const struct spec *s, const struct value *v, struct err *err)
{
    struct slice text;
    quartet_status rc = func_arg(call, v, &text, err);
    if (rc != QUARTET_OK)
        return rc;
    if (s->letter == 'c')
        text.n = func_char_offset(text, 1);
    else if (s->has_precision)
        text.n = func_char_offset(text, (uint64_t)s->precision);
    switch (s->letter) {
    case 'q':
        put_quoted(b, s, v->type == VALUE_NULL ? slice_of("(NULL)", 6) : text, '\'', false);
        break;
    case 'Q':
        if (v->type == VALUE_NULL)
            put_padded(b, s, slice_of("NULL", 4), false);
        else
            put_quoted(b, s, text, '\'', true);
        break;
    case 'w':
        put_quoted(b, s, v->type == VALUE_NULL ? slice_of("(NULL)", 6) : text, '"', false);
        break;
    default:
        put_padded(b, s, text, false);
    }
    return QUARTET_OK;
}

static quartet_status f_printf(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct slice f;
    struct buf b = {.limit_bytes = 2 * TYPES_VALUE_BYTES_MAX};
    uint32_t next = 1;
    static const struct value null = {.type = VALUE_NULL};
    if (args[0].type == VALUE_NULL)
        return func_null(out);
    quartet_status rc = func_arg(call, &args[0], &f, err);
    for (size_t i = 0; rc == QUARTET_OK && i < f.n;) {
        struct spec s;
        if (f.p[i] != '%') {
            buf_u8(&b, f.p[i++]);
            continue;
        }
        i++;
        if (i == f.n) {
            buf_u8(&b, '%'); /* the last character means itself */
            break;
        }
        read_spec(f, &i, &s, args, n, &next);
        if (s.letter == '%') {
            buf_u8(&b, '%');
            continue;
        }
        if (s.letter == '\0' || strchr("diuxXoeEfgGscqQwz", s.letter) == NULL)
            break; /* as SQLite: the rest is dropped */
        const struct value *v = next < n ? &args[next] : &null;
        next++;
        if (strchr("diuxXo", s.letter) != NULL)
            put_integer(&b, &s, func_arg_int(v));
        else if (strchr("eEfgG", s.letter) != NULL)
            put_real(&b, &s, func_arg_real(v));
        else
            rc = put_text(call, &b, &s, v, err);
    }
    if (rc != QUARTET_OK) {
        buf_deinit(&b);
        return rc;
    }
    return func_take(call, &b, out, err);
}

static quartet_status f_raise(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    const struct expr_host *host = call->ctx->host;
    (void)n; /* two, says the binder */
    *out = VALUE_NULL_INIT;
    if (host == NULL || host->raise == NULL)
        return err_set(err, QUARTET_ERROR, "RAISE() stands only in a trigger");
    return host->raise(call->ctx->host_arg, (int)args[0].i, args[1].s, err);
}
const struct func func_raise = {"raise", 2, 2, 0, 0, 0, f_raise};

#define LOWERED(name, min, max, code) {name, min, max, FUNC_DETERMINISTIC | FUNC_LOWERED, 0, code, NULL}
#define AGGREGATE(name, min, max, type, code) {name, min, max, FUNC_DETERMINISTIC | FUNC_AGGREGATE, type, code, NULL}

const struct func func_misc_table[] = {
    LOWERED("coalesce", 1, -1, EXPR_COALESCE),
    LOWERED("ifnull", 2, 2, EXPR_COALESCE),
    LOWERED("nvl", 2, 2, EXPR_COALESCE),
    LOWERED("nvl2", 3, 3, EXPR_NOT_NULL),
    LOWERED("nullif", 2, 2, EXPR_NULLIF),
    LOWERED("iif", 2, 3, EXPR_CASE),
    LOWERED("if", 2, 3, EXPR_CASE),
    LOWERED("isnull", 1, 1, EXPR_IS_NULL),
    LOWERED("like", 2, 3, EXPR_LIKE),
    LOWERED("glob", 2, 2, EXPR_GLOB),
    LOWERED("regexp", 2, 2, EXPR_REGEXP),
    LOWERED("likely", 1, 1, EXPR_POS),
    LOWERED("unlikely", 1, 1, EXPR_POS),
    LOWERED("likelihood", 2, 2, EXPR_POS),
    {"typeof", 1, 1, FUNC_DETERMINISTIC, VALUE_TEXT, 0, f_typeof},
    {"uuid", 0, 0, 0, VALUE_UUID, 0, f_uuid},
    {"gen_random_uuid", 0, 0, 0, VALUE_UUID, 0, f_uuid},
    {"quartet_stamp", 0, 0, FUNC_STABLE, VALUE_INTEGER, 0, f_stamp},
    {"quartet_stable_stamp", 0, 0, FUNC_STABLE, VALUE_INTEGER, 1, f_stamp},
    {"version", 0, 0, FUNC_STABLE, VALUE_TEXT, 0, f_version},
    {"printf", 1, -1, FUNC_DETERMINISTIC, VALUE_TEXT, 0, f_printf},
    {"format", 1, -1, FUNC_DETERMINISTIC, VALUE_TEXT, 0, f_printf},
    {NULL, 0, 0, 0, 0, 0, NULL},
};

const struct func func_agg_table[] = {
    AGGREGATE("count", 0, 0, VALUE_INTEGER, AGG_COUNT_STAR),
    AGGREGATE("count", 1, 1, VALUE_INTEGER, AGG_COUNT),
    AGGREGATE("sum", 1, 1, 0, AGG_SUM),
    AGGREGATE("total", 1, 1, VALUE_REAL, AGG_TOTAL),
    AGGREGATE("avg", 1, 1, VALUE_REAL, AGG_AVG),
    AGGREGATE("mean", 1, 1, VALUE_REAL, AGG_AVG),
    AGGREGATE("min", 1, 1, 0, AGG_MIN),
    AGGREGATE("max", 1, 1, 0, AGG_MAX),
    AGGREGATE("group_concat", 1, 2, VALUE_TEXT, AGG_GROUP_CONCAT),
    AGGREGATE("string_agg", 2, 2, VALUE_TEXT, AGG_GROUP_CONCAT),
    AGGREGATE("stddev", 1, 1, VALUE_REAL, AGG_STDDEV_SAMP),
    AGGREGATE("stddev_samp", 1, 1, VALUE_REAL, AGG_STDDEV_SAMP),
    AGGREGATE("stddev_pop", 1, 1, VALUE_REAL, AGG_STDDEV_POP),
    AGGREGATE("variance", 1, 1, VALUE_REAL, AGG_VAR_SAMP),
    AGGREGATE("var_samp", 1, 1, VALUE_REAL, AGG_VAR_SAMP),
    AGGREGATE("var_pop", 1, 1, VALUE_REAL, AGG_VAR_POP),
    AGGREGATE("median", 1, 1, VALUE_REAL, AGG_MEDIAN),
    AGGREGATE("percentile_cont", 2, 2, VALUE_REAL, AGG_PERCENTILE_CONT),
    AGGREGATE("quantile_cont", 2, 2, VALUE_REAL, AGG_PERCENTILE_CONT),
    AGGREGATE("percentile_disc", 2, 2, 0, AGG_PERCENTILE_DISC),
    AGGREGATE("bool_and", 1, 1, VALUE_INTEGER, AGG_BOOL_AND),
    AGGREGATE("every", 1, 1, VALUE_INTEGER, AGG_BOOL_AND),
    AGGREGATE("bool_or", 1, 1, VALUE_INTEGER, AGG_BOOL_OR),
    AGGREGATE("bit_and", 1, 1, VALUE_INTEGER, AGG_BIT_AND),
    AGGREGATE("bit_or", 1, 1, VALUE_INTEGER, AGG_BIT_OR),
    AGGREGATE("bit_xor", 1, 1, VALUE_INTEGER, AGG_BIT_XOR),
    AGGREGATE("any_value", 1, 1, 0, AGG_ANY_VALUE),
    AGGREGATE("json_group_array", 1, 1, VALUE_JSON, AGG_JSON_ARRAY),
    AGGREGATE("json_arrayagg", 1, 1, VALUE_JSON, AGG_JSON_ARRAY),
    AGGREGATE("json_group_object", 2, 2, VALUE_JSON, AGG_JSON_OBJECT),
    AGGREGATE("json_objectagg", 2, 2, VALUE_JSON, AGG_JSON_OBJECT),
    {NULL, 0, 0, 0, 0, 0, NULL},
};

/* api_value.c - values into statements and out of them: quartet_bind_*, quartet_column_*. Every getter is defined for every type. */
#include "api_internal.h"

#include <string.h>

#include "base/mem.h"
#include "types.h"

/* ---- parameters ---- */

static int bind_value(quartet_stmt *s, int index, const struct value *v)
{
    struct err err;
    err_clear(&err);
    if (s == NULL)
        return QUARTET_MISUSE;
    int checked = api_check(s->db);
    if (checked != QUARTET_OK)
        return checked;
    if (s->copy != NULL)
        return api_misuse(s->db, "COPY takes no parameters");
    uint32_t number = index > 0 ? (uint32_t)index : 0;
    quartet_status rc = s->local != NULL ? conn_bind(s->local, number, v, &err) : remote_bind(s->far, number, v, &err);
    return rc == QUARTET_OK ? QUARTET_OK : api_fail(s->db, &err, NULL, 0);
}

/* Most of what is bound is a number for a statement of this process: then there is nothing to do but to put it down. NULL: bind_value does it, or says what is wrong. */
static inline struct value *place_of(quartet_stmt *s, int index)
{
    return s != NULL && s->local != NULL && api_check(s->db) == QUARTET_OK ? conn_param_place(s->local, (uint32_t)index) : NULL;
}

int quartet_bind_int64(quartet_stmt *s, int index, int64_t value)
{
    struct value v = value_int(value), *to = place_of(s, index);
    if (to == NULL)
        return bind_value(s, index, &v);
    *to = v;
    return QUARTET_OK;
}

int quartet_bind_double(quartet_stmt *s, int index, double value)
{
    struct value v = {.type = VALUE_REAL, .r = value}, *to = place_of(s, index);
    if (value != value) /* NaN is no value in SQL */
        v = VALUE_NULL_INIT;
    if (to == NULL)
        return bind_value(s, index, &v);
    *to = v;
    return QUARTET_OK;
}

int quartet_bind_null(quartet_stmt *s, int index)
{
    struct value v = VALUE_NULL_INIT;
    return bind_value(s, index, &v);
}

static int bind_bytes(quartet_stmt *s, int index, const void *p, size_t n, uint8_t type)
{
    struct err err;
    err_clear(&err);
    if (s == NULL)
        return QUARTET_MISUSE;
    if (p == NULL)
        return quartet_bind_null(s, index);
    if (n > QUARTET_VALUE_BYTES_MAX) {
        err_set(&err, QUARTET_LIMIT, "parameter %d has %zu bytes, limit %u", index, n, QUARTET_VALUE_BYTES_MAX);
        return api_fail(s->db, &err, NULL, 0);
    }
    if (type == VALUE_TEXT && !utf8_valid(p, n)) {
        err_set(&err, QUARTET_MISMATCH, "parameter %d is not valid UTF-8; bind it as a blob", index);
        return api_fail(s->db, &err, NULL, 0);
    }
    struct value v = {.type = type, .s = slice_of(p, n)};
    return bind_value(s, index, &v);
}

int quartet_bind_text(quartet_stmt *s, int index, const char *text, int64_t n)
{
    return bind_bytes(s, index, text, text == NULL ? 0 : n < 0 ? strlen(text) : (size_t)n, VALUE_TEXT);
}

int quartet_bind_blob(quartet_stmt *s, int index, const void *data, int64_t n)
{
    if (data != NULL && n < 0)
        return s == NULL ? QUARTET_MISUSE : api_misuse(s->db, "a blob's length is negative");
    return bind_bytes(s, index, data, data == NULL ? 0 : (size_t)n, VALUE_BLOB);
}

int quartet_bind_count(quartet_stmt *s)
{
    if (s == NULL || s->copy != NULL)
        return 0;
    return (int)(s->local != NULL ? conn_param_count(s->local) : remote_param_count(s->far));
}

int quartet_bind_index(quartet_stmt *s, const char *name)
{
    for (int i = 1; name != NULL && i <= quartet_bind_count(s); i++) {
        const char *own = s->local != NULL ? conn_param_name(s->local, (uint32_t)i) : remote_param_name(s->far, (uint32_t)i);
        if (own != NULL && strcmp(own, name) == 0)
            return i;
    }
    return 0;
}

int quartet_clear_bindings(quartet_stmt *s)
{
    if (s == NULL)
        return QUARTET_MISUSE;
    if (s->local != NULL)
        conn_clear_bindings(s->local);
    else if (s->far != NULL)
        remote_clear_bindings(s->far);
    return QUARTET_OK;
}

int quartet_bind_copy(quartet_stmt *to, quartet_stmt *from)
{
    if (to == NULL || from == NULL)
        return QUARTET_MISUSE;
    if (to->db != from->db)
        return api_misuse(to->db, "bindings are copied within one connection only");
    for (int i = 1, rc; i <= quartet_bind_count(to); i++) {
        if (from->copy != NULL)
            return api_misuse(to->db, "COPY has no parameters");
        const struct value *v = from->local != NULL ? conn_param(from->local, (uint32_t)i) : remote_param(from->far, (uint32_t)i);
        if (v == NULL)
            return api_misuse(to->db, "the other statement has fewer parameters");
        if ((rc = bind_value(to, i, v)) != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

/* ---- columns ---- */

int quartet_column_count(quartet_stmt *s)
{
    struct err err = ERR_INIT;
    if (s == NULL || api_check(s->db) != QUARTET_OK || s->copy != NULL)
        return 0;
    if (s->local != NULL)
        return (int)conn_column_count(s->local);
    quartet_status rc = remote_describe(s->far, &err);
    if (rc != QUARTET_OK) {
        (void)api_fail(s->db, &err, NULL, 0); /* the next step fails in the same way and says it again */
        return 0;
    }
    return (int)remote_column_count(s->far);
}

const char *quartet_column_name(quartet_stmt *s, int column)
{
    if (column < 0 || column >= quartet_column_count(s))
        return "";
    const char *name = s->local != NULL ? conn_column(s->local, (uint32_t)column)->name : remote_column_name(s->far, (uint32_t)column);
    return name != NULL ? name : "";
}

const char *quartet_column_decltype(quartet_stmt *s, int column)
{
    if (column < 0 || column >= quartet_column_count(s))
        return NULL;
    return s->local != NULL ? conn_column(s->local, (uint32_t)column)->declared : remote_column_decltype(s->far, (uint32_t)column);
}

struct value api_cell(quartet_stmt *s, int column)
{
    if (s == NULL || column < 0 || !s->has_row || (s->local != NULL && conn_is_cut_off(s->local)))
        return VALUE_NULL_INIT;
    if (s->far != NULL)
        return (uint32_t)column < remote_column_count(s->far) ? s->row[column] : VALUE_NULL_INIT;
    if ((uint32_t)column >= s->rows.col_count)
        return VALUE_NULL_INIT;
    return vec_get(&s->rows.cols[column], batch_row(&s->rows, s->at - 1));
}

int quartet_column_type(quartet_stmt *s, int column)
{
    return api_cell(s, column).type;
}

int64_t quartet_column_int64(quartet_stmt *s, int column)
{
    struct value v = api_cell(s, column);
    int64_t i = 0;
    return v.type == VALUE_INTEGER ? v.i : types_to_int64(&v, &i) ? i : 0;
}

double quartet_column_double(quartet_stmt *s, int column)
{
    struct value v = api_cell(s, column);
    double r = 0;
    return v.type == VALUE_REAL ? v.r : types_to_double(&v, &r) ? r : 0;
}

/* The cell's text, kept with the statement until the next step; one buffer per column. */
static struct buf *cell_text(quartet_stmt *s, int column, const struct value *v)
{
    if ((uint32_t)column >= s->text_count) {
        uint32_t count = (uint32_t)quartet_column_count(s);
        if ((uint32_t)column >= count)
            return NULL;
        struct buf *grown = mem_realloc(s->texts, count, sizeof *grown);
        if (grown == NULL)
            return NULL;
        memset(grown + s->text_count, 0, (count - s->text_count) * sizeof *grown);
        s->texts = grown;
        s->text_count = count;
    }
    struct buf *b = &s->texts[column];
    if (b->len == 0) {
        value_to_text(v, b);
        buf_u8(b, 0);
    }
    return b->failed ? NULL : b;
}

const char *quartet_column_text(quartet_stmt *s, int column)
{
    struct value v = api_cell(s, column);
    struct buf *b = v.type == VALUE_NULL ? NULL : cell_text(s, column, &v);
    return b != NULL ? (const char *)b->data : NULL;
}

const void *quartet_column_blob(quartet_stmt *s, int column)
{
    struct value v = api_cell(s, column);
    if (v.type == VALUE_NULL)
        return NULL;
    if (v.type == VALUE_TEXT || v.type == VALUE_BLOB || v.type == VALUE_JSON)
        return v.s.n > 0 ? v.s.p : (const void *)"";
    return quartet_column_text(s, column);
}

int64_t quartet_column_bytes(quartet_stmt *s, int column)
{
    struct value v = api_cell(s, column);
    if (v.type == VALUE_NULL)
        return 0;
    if (v.type == VALUE_TEXT || v.type == VALUE_BLOB || v.type == VALUE_JSON)
        return (int64_t)v.s.n;
    struct buf *b = cell_text(s, column, &v);
    return b != NULL ? (int64_t)b->len - 1 : 0;
}

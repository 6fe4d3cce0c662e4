/* func_compat.c - functions that statements written for SQLite and MySQL ask for: what the session did last, and texts as lists. */
#include <string.h>

#include "func_impl.h"

/* changes(), last_insert_rowid(): of the statement before this one. */
static quartet_status f_session(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    const struct expr_host *host = call->ctx->host;
    (void)args;
    (void)n;
    if (host == NULL || host->session == NULL)
        return err_set(err, QUARTET_ERROR, "%s() cannot stand here: it asks for the session", call->func->name);
    return func_int(out, host->session(call->ctx->host_arg, call->func->code == 1));
}

static quartet_status f_soundex(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    static const char codes[] = "01230120022455012623010202"; /* of a to z */
    struct slice s = {0};
    uint8_t *p;
    size_t at = 0, filled = 0;
    char last = 0;
    (void)n;
    quartet_status rc = args[0].type == VALUE_NULL ? QUARTET_OK : func_arg(call, &args[0], &s, err);
    if (rc == QUARTET_OK)
        rc = func_room(call, 4, &p, err);
    if (rc != QUARTET_OK)
        return rc;
    memcpy(p, "?000", 4); /* as SQLite says of what has no letter */
    for (; at < s.n && filled < 4; at++) {
        uint8_t lower = s.p[at] | 0x20;
        bool letter = lower >= 'a' && lower <= 'z';
        char code = letter ? codes[lower - 'a'] : '0';
        if (!letter && filled == 0)
            continue;
        if (filled == 0)
            p[filled++] = (uint8_t)(lower - 0x20);
        else if (code != '0' && code != last)
            p[filled++] = (uint8_t)code;
        last = code;
    }
    return func_slice(out, slice_of(p, 4));
}

static int compare_texts(struct slice a, struct slice b)
{
    int c = memcmp(a.n > 0 ? a.p : (const uint8_t *)"", b.n > 0 ? b.p : (const uint8_t *)"", a.n < b.n ? a.n : b.n);
    return c != 0 ? (c > 0) - (c < 0) : (a.n > b.n) - (a.n < b.n);
}

static quartet_status f_strcmp(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct slice a, b;
    (void)n;
    quartet_status rc = func_arg2(call, args, &a, &b, err);
    return rc == QUARTET_OK ? func_int(out, compare_texts(a, b)) : rc;
}

/* find_in_set(x, 'a,b,c'): which of them, from 1; 0: none. */
static quartet_status f_find_in_set(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct slice x, list;
    int64_t at = 1;
    (void)n;
    quartet_status rc = func_arg2(call, args, &x, &list, err);
    if (rc != QUARTET_OK)
        return rc;
    for (size_t i = 0, from = 0; i <= list.n && list.n > 0; i++) {
        if (i < list.n && list.p[i] != ',')
            continue;
        if (compare_texts(x, slice_of(list.p + from, i - from)) == 0)
            return func_int(out, at);
        from = i + 1;
        at++;
    }
    return func_int(out, 0);
}

/* field(x, a, b, ...): which of them equals x, from 1; 0: none, and so where x is NULL. */
static quartet_status f_field(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct slice x, other;
    quartet_status rc = QUARTET_OK;
    if (args[0].type == VALUE_NULL)
        return func_int(out, 0);
    rc = func_arg(call, &args[0], &x, err);
    for (uint32_t i = 1; i < n && rc == QUARTET_OK; i++) {
        if (args[i].type == VALUE_NULL)
            continue;
        rc = func_arg(call, &args[i], &other, err);
        if (rc == QUARTET_OK && compare_texts(x, other) == 0)
            return func_int(out, i);
    }
    return rc == QUARTET_OK ? func_int(out, 0) : rc;
}

/* elt(n, a, b, ...): the n-th; NULL: there is none. */
static quartet_status f_elt(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    (void)call;
    (void)err;
    int64_t at = args[0].type == VALUE_NULL ? 0 : func_arg_int(&args[0]);
    *out = at >= 1 && at < (int64_t)n ? args[at] : VALUE_NULL_INIT;
    return QUARTET_OK;
}

/* substring_index('a.b.c', '.', 2): what stands before the second '.'; -2: behind the second from the end. */
static quartet_status f_substring_index(const struct func_call *call, const struct value *args, uint32_t n, struct value *out, struct err *err)
{
    struct slice s, by;
    (void)n;
    quartet_status rc = func_arg2(call, args, &s, &by, err);
    int64_t count = func_arg_int(&args[2]), seen = 0;
    if (rc != QUARTET_OK)
        return rc;
    if (count == 0 || by.n == 0)
        return func_slice(out, slice_of(s.p, 0));
    if (count > 0) {
        for (size_t i = 0; i + by.n <= s.n; i++)
            if (memcmp(s.p + i, by.p, by.n) == 0) {
                if (++seen == count)
                    return func_slice(out, slice_of(s.p, i));
                i += by.n - 1;
            }
        return func_slice(out, s);
    }
    for (size_t end = s.n; end >= by.n; end--)
        if (memcmp(s.p + end - by.n, by.p, by.n) == 0) {
            if (--seen == count)
                return func_slice(out, slice_of(s.p + end, s.n - end));
            end -= by.n - 1;
        }
    return func_slice(out, s);
}

const struct func func_compat_table[] = {
    {"changes", 0, 0, 0, VALUE_INTEGER, 0, f_session},
    {"row_count", 0, 0, 0, VALUE_INTEGER, 0, f_session},
    {"last_insert_rowid", 0, 0, 0, VALUE_INTEGER, 1, f_session},
    {"last_insert_id", 0, 0, 0, VALUE_INTEGER, 1, f_session},
    {"soundex", 1, 1, FUNC_DETERMINISTIC, VALUE_TEXT, 0, f_soundex},
    {"strcmp", 2, 2, FUNC_PURE, VALUE_INTEGER, 0, f_strcmp},
    {"find_in_set", 2, 2, FUNC_PURE, VALUE_INTEGER, 0, f_find_in_set},
    {"field", 2, -1, FUNC_DETERMINISTIC, VALUE_INTEGER, 0, f_field},
    {"elt", 2, -1, FUNC_DETERMINISTIC, 0, 0, f_elt},
    {"substring_index", 3, 3, FUNC_PURE, VALUE_TEXT, 0, f_substring_index},
    {NULL, 0, 0, 0, 0, 0, NULL},
};

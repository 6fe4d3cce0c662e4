/* like.c - LIKE and GLOB by a matcher of our own, REGEXP and SIMILAR TO through PCRE2.
 * How: a pattern becomes code points with marks between them. As every wildcard but "many" takes exactly one character, it is enough to come back to the
 *   last "many" on failure: time is at most text times pattern, never exponential. 'abc%', '%abc' and '%abc%' in ASCII take a path by bytes.
 * PCRE2 allocates from the pattern's arena, so that nothing has to be freed. */
#include "like.h"

#include "collate.h"

#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { MARK_MANY = 0x80000000u, MARK_ONE, MARK_SET, MARK_NOT_SET }; /* a set is followed by the count of ranges, then pairs */

#define REGEXP_HEAP_KIB_MAX 16384u

struct like_pattern {
    uint8_t kind;      /* enum like_kind */
    bool simple;       /* bytes only: [%]literal[%] */
    bool open_start, open_end;
    uint32_t count;
    const uint32_t *code; /* folded where case does not matter */
    struct slice literal; /* simple: its bytes, in lower case for LIKE */
    pcre2_code *regexp;
    uint32_t options; /* of PCRE2, beside those of all */
    pcre2_match_data *match_data;
    pcre2_match_context *match_context;
};

static uint32_t fold_ascii(uint32_t c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* ---- compiling LIKE and GLOB ---- */

struct compiler {
    struct slice pattern;
    uint32_t *code;
    uint32_t count;
};

static void put(struct compiler *c, uint32_t code)
{
    if (code == MARK_MANY && c->count > 0 && c->code[c->count - 1] == MARK_MANY)
        return;
    c->code[c->count++] = code;
}

static void compile_like(struct compiler *c, uint32_t escape, bool has_escape)
{
    for (size_t i = 0; i < c->pattern.n;) {
        uint32_t code;
        i += collate_char(c->pattern.p + i, c->pattern.n - i, &code);
        if (has_escape && code == escape) {
            if (i == c->pattern.n) { /* a lone escape at the end: no match at all, as in SQLite */
                put(c, MARK_SET);
                c->code[c->count++] = 0;
                break;
            }
            i += collate_char(c->pattern.p + i, c->pattern.n - i, &code);
            put(c, fold_ascii(code));
        } else {
            put(c, code == '%' ? MARK_MANY : code == '_' ? MARK_ONE : fold_ascii(code));
        }
    }
}

/* [a-z], [^a-z], a ']' that comes first is part of the set. False: it has no end, so '[' is an ordinary character that nothing matches. */
static bool compile_set(struct compiler *c, size_t *at)
{
    size_t i = *at, n = c->pattern.n;
    const uint8_t *p = c->pattern.p;
    bool negated = i < n && p[i] == '^';
    i += negated;
    uint32_t start = c->count;
    put(c, negated ? MARK_NOT_SET : MARK_SET);
    c->code[c->count++] = 0;
    for (bool first = true; i < n && (first || p[i] != ']'); first = false) {
        uint32_t lo, hi;
        i += collate_char(p + i, n - i, &lo);
        hi = lo;
        if (i + 1 < n && p[i] == '-' && p[i + 1] != ']') {
            i++;
            i += collate_char(p + i, n - i, &hi);
        }
        c->code[c->count++] = lo;
        c->code[c->count++] = hi;
        c->code[start + 1]++;
    }
    *at = i + 1;
    return i < n;
}

static void compile_glob(struct compiler *c)
{
    for (size_t i = 0; i < c->pattern.n;) {
        uint32_t code;
        i += collate_char(c->pattern.p + i, c->pattern.n - i, &code);
        if (code == '[') {
            if (!compile_set(c, &i)) {
                put(c, MARK_SET); /* an empty set: no match at all, as in SQLite */
                c->code[c->count++] = 0;
                return;
            }
        } else {
            put(c, code == '*' ? MARK_MANY : code == '?' ? MARK_ONE : code);
        }
    }
}

/* Recognise [%]ascii literal[%]. */
static quartet_status find_simple(struct like_pattern *p, struct arena *a, struct err *err)
{
    uint32_t from = 0, to = p->count;
    if (p->kind == LIKE_ILIKE)
        return QUARTET_OK;
    if (from < to && p->code[from] == MARK_MANY) {
        p->open_start = true;
        from++;
    }
    if (from < to && p->code[to - 1] == MARK_MANY) {
        p->open_end = true;
        to--;
    }
    for (uint32_t k = from; k < to; k++)
        if (p->code[k] >= 0x80)
            return QUARTET_OK;
    uint8_t *literal = arena_alloc(a, to - from);
    if (literal == NULL)
        return arena_fail(a, err);
    for (uint32_t k = from; k < to; k++)
        literal[k - from] = (uint8_t)p->code[k];
    p->literal = slice_of(literal, to - from);
    if (p->count == 1 && p->open_start) /* '%' alone */
        p->open_end = true;
    p->simple = true;
    return QUARTET_OK;
}

static quartet_status compile_wildcards(struct like_pattern *p, struct slice pattern, struct slice escape, struct arena *a, struct err *err)
{
    uint32_t escape_code = 0;
    if (escape.p != NULL && (escape.n == 0 || collate_char(escape.p, escape.n, &escape_code) != escape.n))
        return err_set(err, QUARTET_ERROR, "ESCAPE must be a single character");
    if (p->kind == LIKE_ILIKE && !collate_fold(pattern, a, &pattern))
        return arena_fail(a, err);
    struct compiler c = {.pattern = pattern, .code = arena_zalloc(a, pattern.n * 2 + 4, sizeof *c.code)};
    if (c.code == NULL)
        return arena_fail(a, err);
    if (p->kind == LIKE_GLOB)
        compile_glob(&c);
    else
        compile_like(&c, p->kind == LIKE_ILIKE ? fold_ascii(escape_code) : escape_code, escape.p != NULL);
    p->code = c.code;
    p->count = c.count;
    return find_simple(p, a, err);
}

/* ---- matching ---- */

static bool set_has(const uint32_t *set, uint32_t c)
{
    bool in = false;
    for (uint32_t k = 0; k < set[1]; k++)
        in = in || (c >= set[2 + 2 * k] && c <= set[3 + 2 * k]);
    return in == (set[0] == MARK_SET);
}

static bool match_codes(const struct like_pattern *p, struct slice text)
{
    const uint32_t *code = p->code, *end = p->code + p->count;
    const uint32_t *back_code = NULL;
    size_t i = 0, back = 0;
    bool fold = p->kind != LIKE_GLOB;
    for (;;) {
        if (code < end && *code == MARK_MANY) {
            back_code = ++code;
            back = i;
            continue;
        }
        if (i == text.n) {
            if (code == end)
                return true;
            return false; /* what is left needs a character, and going back leaves even less text */
        }
        uint32_t c;
        uint32_t len = collate_char(text.p + i, text.n - i, &c);
        if (code < end) {
            bool is_set = *code == MARK_SET || *code == MARK_NOT_SET;
            bool ok = *code == MARK_ONE || (is_set ? set_has(code, c) : *code == (fold ? fold_ascii(c) : c));
            if (ok) {
                i += len;
                code += is_set ? 2 + 2 * code[1] : 1;
                continue;
            }
        }
        if (back_code == NULL)
            return false;
        back += collate_char(text.p + back, text.n - back, &c);
        i = back;
        code = back_code;
    }
}

static uint8_t fold_byte(uint8_t c)
{
    return (uint8_t)(c + ((uint8_t)(c - 'A') < 26 ? 32 : 0));
}

static bool same_bytes(const uint8_t *text, struct slice literal, bool fold)
{
    if (!fold)
        return literal.n == 0 || memcmp(text, literal.p, literal.n) == 0;
    for (size_t i = 0; i < literal.n; i++)
        if (fold_byte(text[i]) != literal.p[i])
            return false;
    return true;
}

static bool match_simple(const struct like_pattern *p, struct slice text)
{
    struct slice literal = p->literal;
    bool fold = p->kind == LIKE_LIKE;
    if (text.n < literal.n)
        return false;
    size_t spare = text.n - literal.n;
    if (!p->open_start)
        return (p->open_end || spare == 0) && same_bytes(text.p, literal, fold);
    if (!p->open_end)
        return same_bytes(text.p + spare, literal, fold);
    if (literal.n == 0)
        return true;
    if (!fold)
        return memmem(text.p, text.n, literal.p, literal.n) != NULL;
    for (size_t i = 0; i <= spare; i++)
        if (fold_byte(text.p[i]) == literal.p[0] && same_bytes(text.p + i, literal, true))
            return true;
    return false;
}

/* ---- regular expressions ---- */

static void *regexp_alloc(size_t bytes, void *arena)
{
    return arena_alloc(arena, bytes);
}

static void regexp_free(void *p, void *arena)
{
    (void)p; /* goes with the arena */
    (void)arena;
}

/* SIMILAR TO: % and _ beside | * + ? {} () [], of which all else is literal. */
static quartet_status similar_to_regexp(struct slice pattern, struct slice escape, struct arena *a, struct slice *out, struct err *err)
{
    uint8_t *text = arena_alloc(a, pattern.n * 2 + 16);
    if (text == NULL)
        return arena_fail(a, err);
    size_t n = 0;
    uint8_t escape_char = escape.p == NULL ? '\\' : escape.n == 1 ? escape.p[0] : 0;
    memcpy(text, "^(?:", 4);
    n = 4;
    for (size_t i = 0; i < pattern.n; i++) {
        uint8_t c = pattern.p[i];
        if (c == escape_char && escape_char != 0 && i + 1 < pattern.n) {
            text[n++] = '\\';
            text[n++] = pattern.p[++i];
        } else if (c == '%') {
            text[n++] = '.';
            text[n++] = '*';
        } else if (c == '_') {
            text[n++] = '.';
        } else {
            if (c == '.' || c == '^' || c == '$' || c == '\\')
                text[n++] = '\\';
            text[n++] = c;
        }
    }
    memcpy(text + n, ")\\z", 3);
    *out = slice_of(text, n + 3);
    return QUARTET_OK;
}

static quartet_status compile_regexp(struct like_pattern *p, struct slice pattern, struct arena *a, struct err *err)
{
    pcre2_general_context *general = pcre2_general_context_create(regexp_alloc, regexp_free, a);
    pcre2_compile_context *compile = general != NULL ? pcre2_compile_context_create(general) : NULL;
    if (compile == NULL)
        return arena_fail(a, err);
    int code;
    PCRE2_SIZE at;
    uint32_t options = PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | p->options | (p->kind == LIKE_SIMILAR ? PCRE2_DOTALL : 0);
    p->regexp = pcre2_compile(pattern.n > 0 ? pattern.p : (const uint8_t *)"", pattern.n, options, &code, &at, compile);
    if (p->regexp == NULL) {
        uint8_t text[160] = "";
        if (code == PCRE2_ERROR_HEAP_FAILED)
            return arena_fail(a, err);
        (void)pcre2_get_error_message(code, text, sizeof text); /* cut where it is longer */
        return err_set(err, QUARTET_ERROR, "regular expression: %s, at byte %zu", (const char *)text, (size_t)at);
    }
    p->match_data = pcre2_match_data_create_from_pattern(p->regexp, general);
    p->match_context = pcre2_match_context_create(general);
    if (p->match_data == NULL || p->match_context == NULL)
        return arena_fail(a, err);
    (void)pcre2_set_match_limit(p->match_context, LIKE_REGEXP_STEPS_MAX); /* these three cannot fail */
    (void)pcre2_set_depth_limit(p->match_context, LIKE_REGEXP_STEPS_MAX);
    (void)pcre2_set_heap_limit(p->match_context, REGEXP_HEAP_KIB_MAX);
    return QUARTET_OK;
}

/* A negative answer of pcre2_match: no match, or an error. */
static quartet_status match_status(int rc, struct err *err)
{
    if (rc == PCRE2_ERROR_NOMEMORY)
        return err_nomem(err);
    if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT || rc == PCRE2_ERROR_HEAPLIMIT)
        return err_set(err, QUARTET_LIMIT, "the regular expression needs more than %u steps", LIKE_REGEXP_STEPS_MAX);
    return QUARTET_OK; /* bytes that are no UTF-8 match nothing */
}

static quartet_status match_regexp(const struct like_pattern *p, struct slice text, bool *match, struct err *err)
{
    int rc = pcre2_match(p->regexp, text.p, text.n, 0, 0, p->match_data, p->match_context);
    *match = rc >= 0;
    return rc >= 0 ? QUARTET_OK : match_status(rc, err);
}

quartet_status like_regexp(struct slice pattern, struct slice flags, struct arena *a, struct like_pattern **out, struct err *err)
{
    struct like_pattern *p = arena_zalloc(a, 1, sizeof *p);
    if (pattern.n > LIKE_PATTERN_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "a pattern of %zu bytes: the limit is %u", pattern.n, LIKE_PATTERN_BYTES_MAX);
    if (p == NULL)
        return arena_fail(a, err);
    p->kind = LIKE_REGEXP;
    for (size_t i = 0; i < flags.n; i++) {
        switch (flags.p[i]) {
        case 'c':
            p->options &= ~(uint32_t)PCRE2_CASELESS;
            break;
        case 'i':
            p->options |= PCRE2_CASELESS;
            break;
        case 'm':
            p->options |= PCRE2_MULTILINE;
            break;
        case 'n':
        case 's':
            p->options |= PCRE2_DOTALL;
            break;
        default:
            return err_set(err, QUARTET_ERROR, "flags of a regular expression are c, i, m, n and s, not '%.*s'", (int)(flags.n > 20 ? 20 : flags.n), (const char *)flags.p);
        }
    }
    quartet_status rc = compile_regexp(p, pattern, a, err);
    if (rc == QUARTET_OK)
        *out = p;
    return rc;
}

quartet_status like_find(const struct like_pattern *p, struct slice text, size_t from, struct like_span *spans, uint32_t *count, struct err *err)
{
    QASSERT(p->regexp != NULL);
    *count = 0;
    if (from > text.n)
        return QUARTET_OK;
    int rc = pcre2_match(p->regexp, text.n > 0 ? text.p : (const uint8_t *)"", text.n, from, 0, p->match_data, p->match_context);
    if (rc < 0)
        return match_status(rc, err);
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(p->match_data);
    uint32_t groups = pcre2_get_ovector_count(p->match_data);
    for (; *count < groups && *count < LIKE_SPANS_MAX; (*count)++) {
        bool set = *count < (uint32_t)rc && at[2 * *count] != PCRE2_UNSET;
        spans[*count] = (struct like_span){.from = set ? at[2 * *count] : SIZE_MAX, .to = set ? at[2 * *count + 1] : SIZE_MAX};
    }
    return QUARTET_OK;
}

quartet_status like_compile(enum like_kind kind, struct slice pattern, struct slice escape, struct arena *a, struct like_pattern **out,
                            struct err *err)
{
    if (pattern.n > LIKE_PATTERN_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "a pattern of %zu bytes: the limit is %u", pattern.n, LIKE_PATTERN_BYTES_MAX);
    struct like_pattern *p = arena_zalloc(a, 1, sizeof *p);
    if (p == NULL)
        return arena_fail(a, err);
    p->kind = (uint8_t)kind;
    quartet_status rc = QUARTET_OK;
    if (kind == LIKE_SIMILAR)
        rc = similar_to_regexp(pattern, escape, a, &pattern, err);
    if (rc == QUARTET_OK)
        rc = kind == LIKE_REGEXP || kind == LIKE_SIMILAR ? compile_regexp(p, pattern, a, err) : compile_wildcards(p, pattern, escape, a, err);
    if (rc == QUARTET_OK)
        *out = p;
    return rc;
}

quartet_status like_match(const struct like_pattern *p, struct slice text, bool *match, struct err *err)
{
    if (p->regexp != NULL)
        return match_regexp(p, text, match, err);
    if (p->simple) {
        *match = match_simple(p, text);
        return QUARTET_OK;
    }
    if (p->kind == LIKE_ILIKE) { /* folding may lengthen a text, so it is done before */
        struct arena fold = {.limit_bytes = 0};
        struct slice folded;
        bool ok = collate_fold(text, &fold, &folded);
        *match = ok && match_codes(p, folded);
        arena_free_all(&fold);
        return ok ? QUARTET_OK : err_nomem(err);
    }
    *match = match_codes(p, text);
    return QUARTET_OK;
}

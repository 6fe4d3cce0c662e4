/* json.c - JSON text: checked once, then walked in place.
 * Why no tree: values are stored as text and mostly asked for one member; a walk allocates nothing. Depth is bounded, so recursion is too. */
#include "json.h"

#include <string.h>
#include <utf8proc.h>

struct scan {
    const uint8_t *p, *end;
};

static void skip_blanks(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
}

static bool digit(const struct scan *s)
{
    return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static bool take(struct scan *s, char c)
{
    if (s->p >= s->end || *s->p != (uint8_t)c)
        return false;
    s->p++;
    return true;
}

static bool take_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return false;
    s->p += n;
    return true;
}

static bool hex4(const uint8_t *p)
{
    for (int k = 0; k < 4; k++) {
        uint8_t c = p[k] | 32;
        if (!((p[k] >= '0' && p[k] <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

static bool take_string(struct scan *s)
{
    if (!take(s, '"'))
        return false;
    while (s->p < s->end && *s->p != '"') {
        if (*s->p < 0x20)
            return false;
        if (*s->p++ != '\\')
            continue;
        if (s->p >= s->end)
            return false;
        uint8_t c = *s->p++;
        if (c == 'u') {
            if (s->end - s->p < 4 || !hex4(s->p))
                return false;
            s->p += 4;
        } else if (strchr("\"\\/bfnrt", c) == NULL || c == 0) {
            return false;
        }
    }
    return take(s, '"');
}

static bool take_number(struct scan *s)
{
    (void)take(s, '-'); /* optional */
    if (!digit(s))
        return false;
    if (!take(s, '0'))
        while (digit(s))
            s->p++;
    if (take(s, '.')) {
        if (!digit(s))
            return false;
        while (digit(s))
            s->p++;
    }
    if (take(s, 'e') || take(s, 'E')) {
        if (!take(s, '+'))
            (void)take(s, '-'); /* optional */
        if (!digit(s))
            return false;
        while (digit(s))
            s->p++;
    }
    return true;
}

static bool take_value(struct scan *s, uint32_t depth);

static bool take_members(struct scan *s, bool object, uint32_t depth)
{
    char close = object ? '}' : ']';
    s->p++;
    skip_blanks(s);
    if (take(s, close))
        return true;
    do {
        skip_blanks(s);
        if (object) {
            if (!take_string(s))
                return false;
            skip_blanks(s);
            if (!take(s, ':'))
                return false;
        }
        if (!take_value(s, depth + 1))
            return false;
        skip_blanks(s);
    } while (take(s, ','));
    return take(s, close);
}

static bool take_value(struct scan *s, uint32_t depth)
{
    skip_blanks(s);
    if (s->p >= s->end || depth > JSON_DEPTH_MAX)
        return false;
    switch (*s->p) {
    case '{':
        return take_members(s, true, depth);
    case '[':
        return take_members(s, false, depth);
    case '"':
        return take_string(s);
    case 't':
        return take_word(s, "true");
    case 'f':
        return take_word(s, "false");
    case 'n':
        return take_word(s, "null");
    default:
        return take_number(s);
    }
}

bool json_valid(struct slice text)
{
    struct scan s = {text.p, text.p + text.n};
    if (!take_value(&s, 1))
        return false;
    skip_blanks(&s);
    return s.p == s.end && utf8_valid(text.p, text.n);
}

struct slice json_trim(struct slice text)
{
    struct scan s = {text.p, text.p + text.n};
    skip_blanks(&s);
    while (s.end > s.p && (s.end[-1] == ' ' || s.end[-1] == '\t' || s.end[-1] == '\n' || s.end[-1] == '\r'))
        s.end--;
    return slice_of(s.p, (size_t)(s.end - s.p));
}

enum json_type json_type_of(struct slice node)
{
    switch (node.n > 0 ? node.p[0] : 'n') {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_TEXT;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        for (size_t i = 0; i < node.n; i++)
            if (node.p[i] == '.' || node.p[i] == 'e' || node.p[i] == 'E')
                return JSON_REAL;
        return JSON_INTEGER;
    }
}

const char *json_type_name(enum json_type t)
{
    static const char *const names[] = {"null", "true", "false", "integer", "real", "text", "array", "object"};
    return names[t];
}

bool json_next(struct slice node, size_t *at, struct slice *key, struct slice *value)
{
    struct scan s = {node.p + (*at == 0 ? 1 : *at), node.p + node.n};
    bool object = node.p[0] == '{';
    *key = (struct slice){NULL, 0};
    skip_blanks(&s);
    if (*at != 0 && !take(&s, ','))
        return false;
    skip_blanks(&s);
    const uint8_t *start = s.p;
    if (object) {
        if (!take_string(&s))
            return false;
        *key = slice_of(start, (size_t)(s.p - start));
        skip_blanks(&s);
        (void)take(&s, ':'); /* valid text has it */
        skip_blanks(&s);
        start = s.p;
    }
    if (!take_value(&s, 1))
        return false;
    *value = slice_of(start, (size_t)(s.p - start));
    *at = (size_t)(s.p - node.p);
    return true;
}

uint32_t json_length(struct slice node)
{
    struct slice key, value;
    uint32_t n = 0;
    for (size_t at = 0; json_next(node, &at, &key, &value);)
        n++;
    return n;
}

static uint32_t hex_code(const uint8_t *p)
{
    uint32_t v = 0;
    for (int k = 0; k < 4; k++) {
        uint8_t c = p[k] | 32;
        v = v * 16 + (uint32_t)(p[k] <= '9' ? p[k] - '0' : c - 'a' + 10);
    }
    return v;
}

/* \uXXXX, with its other half where it is the first of a pair; a lone half becomes U+FFFD. Returns the bytes read. */
static size_t unescape_code(const uint8_t *p, size_t left, uint32_t *code)
{
    *code = hex_code(p + 1);
    if (*code < 0xd800 || *code > 0xdfff)
        return 5;
    uint32_t low = *code < 0xdc00 && left >= 11 && p[5] == '\\' && p[6] == 'u' ? hex_code(p + 7) : 0;
    if (low >= 0xdc00 && low <= 0xdfff) {
        *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
        return 11;
    }
    *code = 0xfffd;
    return 5;
}

bool json_unquote(struct slice node, struct arena *a, struct slice *out)
{
    struct slice s = slice_of(node.p + 1, node.n - 2);
    *out = s;
    if (s.n == 0 || memchr(s.p, '\\', s.n) == NULL)
        return true;
    uint8_t *copy = arena_alloc(a, s.n);
    if (copy == NULL)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        if (s.p[i] != '\\') {
            copy[n++] = s.p[i++];
            continue;
        }
        static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
        const char *special = strchr(from, s.p[i + 1]);
        if (s.p[i + 1] == 'u') {
            uint32_t code;
            i += 1 + unescape_code(s.p + i + 1, s.n - i - 1, &code);
            n += (size_t)utf8proc_encode_char((utf8proc_int32_t)code, copy + n);
        } else {
            copy[n++] = special != NULL ? (uint8_t)to[special - from] : s.p[i + 1];
            i += 2;
        }
    }
    *out = slice_of(copy, n);
    return true;
}

/* ---- paths ---- */

static bool step_member(struct scan *s, struct json_step *out)
{
    const uint8_t *start = s->p;
    if (s->p < s->end && *s->p == '"') {
        if (!take_string(s))
            return false;
    } else {
        while (s->p < s->end && *s->p != '.' && *s->p != '[')
            s->p++;
    }
    out->name = slice_of(start, (size_t)(s->p - start));
    return s->p > start;
}

/* n], #] or #-n] */
static bool step_element(struct scan *s, struct json_step *out)
{
    out->element = true;
    out->from_end = take(s, '#');
    if (out->from_end && take(s, ']'))
        return true;
    if ((out->from_end && !take(s, '-')) || !digit(s))
        return false;
    for (; digit(s); s->p++)
        if (out->index < 100000000)
            out->index = out->index * 10 + (uint64_t)(*s->p - '0');
    return take(s, ']');
}

int json_path_next(struct slice path, size_t *at, struct json_step *out)
{
    struct scan s = {path.p + *at, path.p + path.n};
    if (*at == 0 && !take(&s, '$'))
        return -1;
    *out = (struct json_step){.element = false};
    if (s.p == s.end) {
        *at = path.n;
        return 0;
    }
    bool ok = take(&s, '.') ? step_member(&s, out) : take(&s, '[') && step_element(&s, out);
    *at = (size_t)(s.p - path.p);
    return ok ? 1 : -1;
}

bool json_path_valid(struct slice path)
{
    struct json_step step;
    int r = 1;
    for (size_t at = 0; r == 1;)
        r = json_path_next(path, &at, &step);
    return r == 0;
}

static bool has_escape(struct slice s)
{
    return memchr(s.p, '\\', s.n) != NULL;
}

bool json_step_names(const struct json_step *step, struct slice key)
{
    bool quoted = step->name.n > 1 && step->name.p[0] == '"';
    struct slice inner = slice_of(key.p + 1, key.n - 2);
    struct slice name = quoted ? slice_of(step->name.p + 1, step->name.n - 2) : step->name;
    if (!has_escape(inner) && !(quoted && has_escape(name)))
        return slice_eq(inner, name);
    struct arena a = {.limit_bytes = 0};
    bool same = json_unquote(key, &a, &inner) && (!quoted || json_unquote(step->name, &a, &name)) && slice_eq(inner, name);
    arena_free_all(&a);
    return same;
}

static bool follow(struct slice *node, const struct json_step *step)
{
    struct slice key, value;
    uint64_t k = 0, wanted = step->index;
    if (json_type_of(*node) != (step->element ? JSON_ARRAY : JSON_OBJECT))
        return false;
    if (step->from_end) {
        uint32_t length = json_length(*node);
        if (step->index > length)
            return false;
        wanted = length - step->index;
    }
    for (size_t at = 0; json_next(*node, &at, &key, &value); k++)
        if (step->element ? k == wanted : json_step_names(step, key)) {
            *node = value;
            return true;
        }
    return false;
}

int json_path(struct slice root, struct slice path, struct slice *out)
{
    struct json_step step;
    int found = 1, r;
    *out = json_trim(root);
    for (size_t at = 0; (r = json_path_next(path, &at, &step)) == 1;)
        if (found == 1 && !follow(out, &step))
            found = 0; /* go on: the rest of the path must be well-formed all the same */
    return r < 0 ? -1 : found;
}

/* ---- writing ---- */

void json_put_string(struct buf *out, struct slice text)
{
    buf_u8(out, '"');
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        static const char from[] = "\b\f\n\r\t\"\\", to[] = "bfnrt\"\\";
        const char *special = c != 0 ? strchr(from, c) : NULL;
        if (special != NULL) {
            buf_u8(out, '\\');
            buf_u8(out, (uint8_t)to[special - from]);
        } else if (c < 0x20) {
            buf_printf(out, "\\u%04x", c);
        } else {
            buf_u8(out, c);
        }
    }
    buf_u8(out, '"');
}

void json_minify(struct buf *out, struct slice node)
{
    struct scan s = {node.p, node.p + node.n};
    while (s.p < s.end) {
        skip_blanks(&s);
        const uint8_t *start = s.p;
        if (s.p < s.end && *s.p == '"')
            (void)take_string(&s); /* valid text */
        else if (s.p < s.end)
            s.p++;
        buf_put(out, start, (size_t)(s.p - start));
    }
}

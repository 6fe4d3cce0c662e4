/* collate.c - case folding through utf8proc, without its allocating interface, so that memory stays in the arena.
 * Invariant: folded texts compare by bytes as the originals do under NOCASE, since UTF-8 sorts as its code points do. */
#include "collate.h"

#include <string.h>
#include <utf8proc.h>

#define SHARP_S 0xdfu
#define FOLD_MAX 8 /* code points that one may fold into; Unicode needs 3 */

uint32_t collate_char(const uint8_t *p, size_t n, uint32_t *code)
{
    QASSERT(n > 0);
    if (p[0] < 0x80) {
        *code = p[0];
        return 1;
    }
    utf8proc_int32_t c;
    utf8proc_ssize_t len = utf8proc_iterate(p, n > 4 ? 4 : (utf8proc_ssize_t)n, &c);
    if (len <= 0) {
        *code = p[0];
        return 1;
    }
    *code = (uint32_t)c;
    return (uint32_t)len;
}

/* Reads folded code points one by one. */
struct folder {
    const uint8_t *p, *end;
    utf8proc_int32_t waiting[FOLD_MAX];
    uint32_t at, count;
};

static int64_t fold_next(struct folder *f)
{
    if (f->at < f->count)
        return f->waiting[f->at++];
    if (f->p == f->end)
        return -1;
    uint32_t code;
    f->p += collate_char(f->p, (size_t)(f->end - f->p), &code);
    if (code < 0x80)
        return code >= 'A' && code <= 'Z' ? code + 32 : code;
    int boundary = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)code, f->waiting, FOLD_MAX, UTF8PROC_CASEFOLD, &boundary);
    if (n <= 0 || n > FOLD_MAX)
        return code;
    f->count = (uint32_t)n;
    f->at = 1;
    return f->waiting[0];
}

int collate_nocase_cmp(struct slice a, struct slice b)
{
    struct folder fa = {.p = a.p, .end = a.p + a.n}, fb = {.p = b.p, .end = b.p + b.n};
    for (;;) {
        int64_t ca = fold_next(&fa), cb = fold_next(&fb);
        if (ca != cb)
            return ca < cb ? -1 : 1;
        if (ca < 0)
            return 0;
    }
}

static bool ascii_only(struct slice s)
{
    uint8_t any = 0;
    for (size_t i = 0; i < s.n; i++)
        any |= s.p[i];
    return any < 0x80;
}

/* ASCII letters from `first` (A or a) change case; s itself where there are none. */
static bool ascii_case(struct slice s, uint8_t first, struct arena *a, struct slice *out)
{
    size_t i = 0;
    while (i < s.n && (uint8_t)(s.p[i] - first) >= 26)
        i++;
    *out = s;
    if (i == s.n)
        return true;
    uint8_t *copy = arena_alloc(a, s.n);
    if (copy == NULL)
        return false;
    memcpy(copy, s.p, i);
    for (; i < s.n; i++)
        copy[i] = (uint8_t)(s.p[i] - first) < 26 ? s.p[i] ^ 0x20 : s.p[i];
    out->p = copy;
    return true;
}

bool collate_fold(struct slice s, struct arena *a, struct slice *out)
{
    if (ascii_only(s))
        return ascii_case(s, 'A', a, out);
    size_t cap = 4;
    struct folder count = {.p = s.p, .end = s.p + s.n};
    for (int64_t c; (c = fold_next(&count)) >= 0;)
        cap += c < 0x80 ? 1 : 4;
    uint8_t *copy = arena_alloc(a, cap);
    if (copy == NULL)
        return false;
    size_t n = 0;
    struct folder f = {.p = s.p, .end = s.p + s.n};
    for (int64_t c; (c = fold_next(&f)) >= 0;)
        n += (size_t)utf8proc_encode_char((utf8proc_int32_t)c, copy + n);
    *out = slice_of(copy, n);
    return true;
}

bool collate_case(struct slice s, bool upper, struct arena *a, struct slice *out)
{
    if (ascii_only(s))
        return ascii_case(s, upper ? 'a' : 'A', a, out);
    if (s.n > SIZE_MAX / 4)
        return false;
    uint8_t *copy = arena_alloc(a, s.n * 4);
    if (copy == NULL)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        uint32_t code;
        uint32_t len = collate_char(s.p + i, s.n - i, &code);
        if (len == 1 && code >= 0x80) { /* no UTF-8: kept as it is */
            copy[n++] = s.p[i];
        } else {
            utf8proc_int32_t c = (utf8proc_int32_t)code;
            if (code != SHARP_S) /* its capital form is a rarity that no other database gives */
                c = upper ? utf8proc_toupper(c) : utf8proc_tolower(c);
            n += (size_t)utf8proc_encode_char(c, copy + n);
        }
        i += len;
    }
    *out = slice_of(copy, n);
    return true;
}

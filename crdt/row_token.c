/* row_token.c - the elements of a SET: JSON scalars as texts, their order, and the array that a SET reads as.
 * Why texts: an element's bytes are fixed by its origin, so equality, order and what shows are the same on every node, and records need no second form of it.
 * Invariants: the order is total over any bytes at all, since they may come from a peer.
 * Not here: which values make which texts (engine). */
#include "row_cell.h"

#include <string.h>

struct number { /* a token's parts, if it begins as a number does */
    bool is_number, negative;
    struct slice whole, rest;
};

static struct number number_of(struct slice t)
{
    struct number n = {0};
    size_t at = 0;
    if (t.n == 0 || t.p[0] == '"')
        return n;
    n.is_number = true;
    n.negative = t.p[0] == '-';
    at = n.negative;
    size_t from = at;
    while (at < t.n && t.p[at] >= '0' && t.p[at] <= '9')
        at++;
    n.whole = slice_of(t.p + from, at - from);
    n.rest = slice_of(t.p + at, t.n - at);
    return n;
}

static int number_cmp(const struct number *a, const struct number *b)
{
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    int c = a->whole.n != b->whole.n ? (a->whole.n < b->whole.n ? -1 : 1) : slice_cmp(a->whole, b->whole);
    if (c == 0)
        c = slice_cmp(a->rest, b->rest);
    return a->negative ? -c : c;
}

int row_token_cmp(struct slice a, struct slice b)
{
    struct number x = number_of(a), y = number_of(b);
    if (x.is_number != y.is_number)
        return x.is_number ? -1 : 1;
    int c = 0;
    if (x.is_number)
        c = number_cmp(&x, &y);
    else if (a.n > 1 && b.n > 1) /* strings, without the quote that ends them */
        c = slice_cmp(slice_of(a.p, a.n - 1), slice_of(b.p, b.n - 1));
    return c != 0 ? c : slice_cmp(a, b);
}

/* The bytes of the token at the beginning; 0: none. */
static size_t token_length(const uint8_t *p, size_t n)
{
    size_t i = 1;
    if (n == 0)
        return 0;
    if (p[0] != '"') {
        for (i = 0; i < n && (p[i] == '-' || p[i] == '+' || p[i] == '.' || (p[i] >= '0' && p[i] <= '9'));)
            i++;
        return i;
    }
    while (i < n && p[i] != '"')
        i += p[i] == '\\' ? 2 : 1;
    return i < n ? i + 1 : 0;
}

bool row_token_valid(struct slice token)
{
    return token.n > 0 && token_length(token.p, token.n) == token.n;
}

quartet_status row_tokens(struct slice json, struct arena *a, struct slice **out, uint32_t *count, struct err *err)
{
    size_t commas = 0;
    *count = 0;
    for (size_t i = 0; i < json.n; i++)
        commas += json.p[i] == ',';
    *out = arena_alloc(a, (commas + 1) * sizeof **out);
    if (*out == NULL)
        return arena_fail(a, err);
    bool ok = json.n >= 2 && json.p[0] == '[' && json.p[json.n - 1] == ']';
    for (size_t at = 1; ok && at + 1 < json.n;) {
        size_t n = token_length(json.p + at, json.n - 1 - at);
        uint32_t i = (*count)++;
        (*out)[i] = slice_of(json.p + at, n);
        at += n;
        ok = n > 0 && (i == 0 || row_token_cmp((*out)[i - 1], (*out)[i]) < 0);
        if (ok && at + 1 < json.n)
            ok = json.p[at++] == ',' && at + 1 < json.n;
    }
    return ok ? QUARTET_OK : err_set(err, QUARTET_CORRUPT, "the elements of a SET are damaged");
}

bool row_tokens_join(const struct slice *tokens, uint32_t count, struct arena *a, struct value *out)
{
    size_t n = 2;
    for (uint32_t i = 0; i < count; i++)
        n += tokens[i].n + (i > 0);
    uint8_t *text = arena_alloc(a, n), *to = text;
    if (text == NULL)
        return false;
    *to++ = '[';
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            *to++ = ',';
        memcpy(to, tokens[i].p, tokens[i].n);
        to += tokens[i].n;
    }
    *to = ']';
    *out = (struct value){.type = VALUE_JSON, .s = {text, n}};
    return true;
}

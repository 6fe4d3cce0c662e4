/* block_keys.c - the keys of many rows of a block at once: as bytes, or columns of them as numbers.
 * Why by column: what varies in a key are a few bytes, at the same places in all of a block, so that a scan writes these and nothing else. */
#include "block_keys.h"

#define SHORT_KEY_BYTES 32u /* most keys of numbers */

/* Short keys of one length, which a scan whose rows' keys are looked at builds all of: what all have in common first, then what varies, byte by byte. */
static void keys_build_short(const struct block *b, const struct keys *k, uint32_t from, uint32_t n, bool reverse, uint8_t *to)
{
    uint8_t common[SHORT_KEY_BYTES] = {0};
    const uint32_t all = b->prefix_len + b->suffix_len;
    const bool number = b->key_encoding == KEYS_INT;
    if (b->prefix_len > 0)
        memcpy(common, b->prefix, b->prefix_len);
    if (!number && b->suffix_len > 0)
        memcpy(common + b->prefix_len, k->template.text, b->suffix_len);
    for (uint32_t i = 0; i < n; i++) { /* what is too much the next row overwrites */
        uint8_t *key = to + (size_t)i * all;
        memcpy(key, common, sizeof common);
        if (number && b->suffix_len > 0)
            store_be64(key + b->prefix_len, number_of(b, k, reverse ? from + n - 1 - i : from + i) << (64 - 8 * b->suffix_len));
    }
    const uint8_t *cells = k->cells;
    for (uint32_t s = 0; !number && s < k->template.count; s++) {
        uint32_t at = load_le16(k->template.segments + (size_t)s * 4), len = load_le16(k->template.segments + (size_t)s * 4 + 2);
        for (uint32_t j = 0; j < len; j++, cells++)
            for (uint32_t i = 0; i < n; i++)
                to[(size_t)i * all + b->prefix_len + at + j] = cells[(size_t)(reverse ? from + n - 1 - i : from + i) * k->template.varying];
    }
}

bool block_keys(const struct block *b, uint32_t from, uint32_t n, bool reverse, struct buf *out, uint32_t *ends)
{
    QASSERT(n <= b->rows && from <= b->rows - n);
    struct keys k;
    size_t suffix;
    if (!keys_open(b, &k))
        return false;
    uint32_t all = b->prefix_len + b->suffix_len;
    if (n > 1 && b->key_encoding != KEYS_BYTES && all <= SHORT_KEY_BYTES) {
        uint8_t *to = buf_reserve(out, (size_t)n * all + SHORT_KEY_BYTES);
        if (to != NULL) /* else the failure stays in `out` */
            keys_build_short(b, &k, from, n, reverse, to);
        out->len += to != NULL ? (size_t)n * all : 0;
        for (uint32_t i = 0; i < n; i++)
            ends[i] = (uint32_t)(out->len - (size_t)(n - 1 - i) * all);
        return true;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = reverse ? from + n - 1 - i : from + i;
        if (!suffix_bytes(b, &k, row, &suffix))
            return false;
        uint8_t *to = buf_reserve(out, b->prefix_len + suffix);
        if (to != NULL) { /* else the failure stays in `out` */
            key_build(b, &k, row, suffix, to);
            out->len += b->prefix_len + suffix;
        }
        ends[i] = (uint32_t)out->len;
    }
    return true;
}

bool block_key(const struct block *b, uint32_t row, struct buf *out)
{
    uint32_t end;
    return block_keys(b, row, 1, false, out, &end);
}

#define INT_KEY_BYTES 9u /* a mark, then eight bytes big-endian with the sign flipped */

static bool int_key(const uint8_t key[INT_KEY_BYTES], int64_t *out)
{
    *out = (int64_t)(load_be64(key + 1) ^ 1ull << 63);
    return key[0] == 1;
}

/* Keys with a template: the number's bytes that all have in common, and over them those that vary. */
static bool template_ints(const struct block *b, const struct keys *k, uint32_t from, uint32_t n, uint32_t at, int64_t *out)
{
    uint8_t common[BLOCK_INT_KEYS_MAX * INT_KEY_BYTES];
    const struct template *t = &k->template;
    const uint8_t *cells = k->cells + (size_t)from * t->varying;
    int64_t base;
    if (b->prefix_len > 0)
        memcpy(common, b->prefix, b->prefix_len);
    memcpy(common + b->prefix_len, t->text, b->suffix_len);
    for (int pass = 0; pass < 2; pass++) {
        const uint8_t *cell = cells;
        for (uint32_t s = 0; s < t->count; s++) {
            uint32_t first = b->prefix_len + load_le16(t->segments + (size_t)s * 4), len = load_le16(t->segments + (size_t)s * 4 + 2);
            for (uint32_t p = first; p < first + len; p++, cell++) {
                if (p < at || p >= at + INT_KEY_BYTES)
                    continue;
                if (p == at)
                    return false; /* a mark that is not always the same */
                if (pass == 0) {
                    common[p] = 0;
                    continue;
                }
                const uint8_t *from_cell = cell;
                const uint32_t shift = 8 * (at + INT_KEY_BYTES - 1 - p);
                for (uint32_t i = 0; i < n; i++, from_cell += t->varying)
                    out[i] = (int64_t)((uint64_t)out[i] ^ (uint64_t)*from_cell << shift);
            }
        }
        if (pass == 0 && !int_key(common + at, &base))
            return false;
        for (uint32_t i = 0; pass == 0 && i < n; i++)
            out[i] = base;
    }
    return true;
}

bool block_int_keys(const struct block *b, uint32_t from, uint32_t n, uint32_t column, uint32_t columns, int64_t *out)
{
    struct keys k;
    uint8_t key[BLOCK_INT_KEYS_MAX * INT_KEY_BYTES];
    const uint32_t bytes = columns * INT_KEY_BYTES, at = column * INT_KEY_BYTES;
    QASSERT(from + n <= b->rows && column < columns && columns <= BLOCK_INT_KEYS_MAX);
    if (!keys_open(b, &k))
        return false;
    if (b->key_encoding == KEYS_TEMPLATE && b->prefix_len + b->suffix_len == bytes)
        return template_ints(b, &k, from, n, at, out);
    if (b->key_encoding != KEYS_INT || b->prefix_len + b->suffix_len != bytes || columns > 1) {
        for (uint32_t i = 0; i < n; i++) {
            size_t suffix;
            if (!suffix_bytes(b, &k, from + i, &suffix) || b->prefix_len + suffix != bytes)
                return false;
            key_build(b, &k, from + i, suffix, key);
            if (!int_key(key + at, &out[i]))
                return false;
        }
        return true;
    }
    memset(key, 0, sizeof key); /* what all have in common, and below it the numbers */
    memcpy(key, b->prefix, b->prefix_len);
    uint64_t mask = UINT64_MAX >> (64 - 8 * (b->suffix_len > 0 ? b->suffix_len : 1)), first = k.first, factor = k.factor;
    int64_t common;
    if (!int_key(key, &common))
        return false;
    if (b->suffix_len == 0)
        mask = 0;
    if (b->key_width == 0) {
        for (uint32_t i = 0; i < n; i++)
            out[i] = (int64_t)((uint64_t)common ^ ((first + (from + i) * factor) & mask));
    } else {
        for (uint32_t i = 0; i < n; i++)
            out[i] = (int64_t)((uint64_t)common ^ ((first + cell_get(k.cells, b->key_width, from + i) * factor) & mask));
    }
    return true;
}

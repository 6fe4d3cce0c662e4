/* block_keys.h - the keys of a block, one at a time; inside block_read.c and block_keys.c. */
#ifndef ENGINE_BLOCK_KEYS_H
#define ENGINE_BLOCK_KEYS_H

#include <string.h>

#include "block_format.h"

/* The keys' parts, for reading several: checked when the block was opened. */
struct keys {
    uint64_t first, factor;
    const uint8_t *cells;
    size_t bytes; /* BYTES: from cells on */
    struct template template;
    struct offsets offsets;
};

static inline bool keys_open(const struct block *b, struct keys *k)
{
    struct bytes_in in = {.at = b->keys, .left = b->key_bytes};
    if (b->key_encoding == KEYS_INT) {
        k->first = load_le64(b->keys);
        k->factor = load_le64(b->keys + 8);
        k->cells = b->keys + 16;
        return true;
    }
    bool good = b->key_encoding == KEYS_TEMPLATE ? template_open(&k->template, &in, b->suffix_len) : offsets_open(&k->offsets, &in, b->rows);
    k->cells = in.at;
    k->bytes = in.left;
    return good;
}

static inline uint64_t number_of(const struct block *b, const struct keys *k, uint32_t row)
{
    return k->first + (b->key_width == 0 ? row : cell_get(k->cells, b->key_width, row)) * k->factor;
}

static inline bool suffix_bytes(const struct block *b, const struct keys *k, uint32_t row, size_t *n)
{
    struct slice s = {.n = b->suffix_len};
    bool good = b->key_encoding != KEYS_BYTES || offsets_piece(&k->offsets, k->cells, k->bytes, row, &s);
    *n = s.n;
    return good;
}

/* The key of suffix_bytes' length into `to`. */
static inline void key_build(const struct block *b, const struct keys *k, uint32_t row, size_t suffix, uint8_t *to)
{
    if (b->prefix_len > 0)
        memcpy(to, b->prefix, b->prefix_len);
    to += b->prefix_len;
    if (b->key_encoding == KEYS_INT) {
        uint64_t v = number_of(b, k, row);
        for (uint32_t i = b->suffix_len; i > 0; i--, v >>= 8)
            to[i - 1] = (uint8_t)v;
    } else if (b->key_encoding == KEYS_TEMPLATE) {
        template_fill(&k->template, k->cells + (size_t)row * k->template.varying, to);
    } else if (suffix > 0) {
        memcpy(to, k->cells + offsets_get(&k->offsets, row), suffix);
    }
}

#endif

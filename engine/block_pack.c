/* block_pack.c - one column of a block: which encoding is the smallest, and its bytes.
 * Why these: each keeps the way from a row's number to its value short (no value is needed to know the next), so that one row is read without its
 *   neighbours, and each is filled into a vector by a loop without a branch per row. Widths of whole bytes above 4 bits: packing to the bit would
 *   save a third of a byte on average and costs a scan twice the time.
 * Why texts are built anew only where that saves a fifth: a text that stands in the block as it is costs a scan no copy.
 * Invariants: equal columns give equal bytes; a REAL is stored scaled only where every value comes back bit by bit.
 * Not here: reading (block_unpack.c), keys and the rest of a block (block.c). */
#include <math.h>

#include "block_format.h"

#define DICT_SLOTS 512u
#define DICT_TRY_ROWS 8u    /* below, it cannot pay */
#define RUN_BYTES 5u        /* an end and a place in the offsets */
#define EXACT_MAX 9007199254740992.0 /* 2^53 */

const double block_pow10[COLUMN_SCALE_MAX + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7, 1e8,
                                                  1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16};

/* What a column is like, and the best way to store it so far. */
struct survey {
    const struct value *first;
    bool has_null, uniform, equal;
    uint32_t runs;
    uint64_t bytes;             /* of TEXT, BLOB, JSON */
    size_t shortest, longest;   /* likewise */
    int64_t min, max;           /* of ints */
    uint8_t encoding, width, scale;
    uint64_t factor;
    size_t cost;
};

static void take(struct survey *s, uint8_t encoding, uint8_t width, size_t cost)
{
    s->encoding = encoding;
    s->width = width;
    s->cost = cost;
}

void pack_cells(struct buf *out, const uint64_t *cells, uint32_t n, uint8_t width)
{
    size_t bytes = cells_bytes(n, width);
    uint8_t *to = buf_reserve(out, bytes + 8); /* cells are written eight bytes at a time */
    if (to == NULL)
        return;
    if (width < 8) {
        memset(to, 0, bytes);
        for (uint32_t i = 0; i < n; i++)
            to[(size_t)i * width / 8] |= (uint8_t)(cells[i] << ((size_t)i * width % 8));
    } else {
        for (uint32_t i = 0; i < n; i++)
            store_le64(to + (size_t)i * (width / 8u), cells[i]);
    }
    out->len += bytes;
}

void pack_offsets(struct buf *out, const uint32_t *places, uint32_t count)
{
    uint64_t slope = count > 0 ? ((uint64_t)places[count] << 8) / count : 0;
    if (slope > UINT32_MAX)
        slope = 0;
    int64_t low = 0, high = 0;
    for (uint32_t i = 0; i <= count; i++) {
        int64_t rest = (int64_t)places[i] - (int64_t)((i * slope) >> 8);
        low = rest < low ? rest : low;
        high = rest > high ? rest : high;
    }
    uint8_t width = high == low ? 0 : cell_width((uint64_t)(high - low));
    buf_u8(out, width);
    buf_u32(out, (uint32_t)slope);
    buf_u32(out, (uint32_t)(int32_t)low);
    size_t bytes = cells_bytes((size_t)count + 1, width);
    uint8_t *to = buf_reserve(out, bytes + 8);
    if (to == NULL)
        return;
    if (width > 0 && width < 8)
        memset(to, 0, bytes);
    for (uint32_t i = 0; i <= count && width > 0; i++) {
        uint64_t cell = (uint64_t)((int64_t)places[i] - (int64_t)((i * slope) >> 8) - low);
        if (width < 8)
            to[(size_t)i * width / 8] |= (uint8_t)(cell << ((size_t)i * width % 8));
        else
            store_le64(to + (size_t)i * (width / 8u), cell);
    }
    out->len += bytes;
}

/* ---- templates ---- */

bool pack_template_find(struct pack_template *t, const uint8_t *diff, uint32_t bytes)
{
    *t = (struct pack_template){.bytes = bytes};
    for (uint32_t i = 0; i < bytes; i++) {
        if (diff[i] == 0)
            continue;
        if (t->count == TEMPLATE_SEGMENTS_MAX)
            return false;
        uint32_t end = i + 1;
        while (end < bytes && diff[end] != 0)
            end++;
        t->at[t->count] = (uint16_t)i;
        t->length[t->count++] = (uint16_t)(end - i);
        t->varying += end - i;
        i = end;
    }
    return true;
}

void pack_template_head(struct buf *out, const struct pack_template *t, const uint8_t *first)
{
    buf_u8(out, (uint8_t)t->count);
    for (uint32_t s = 0; s < t->count; s++) {
        buf_u16(out, t->at[s]);
        buf_u16(out, t->length[s]);
    }
    size_t at = out->len;
    buf_put(out, first, t->bytes);
    for (uint32_t s = 0; s < t->count && !out->failed; s++) /* not read: the same in whatever order the rows came */
        memset(out->data + at + t->at[s], 0, t->length[s]);
}

void pack_template_cell(struct buf *out, const struct pack_template *t, const uint8_t *text)
{
    uint8_t *to = buf_reserve(out, t->varying);
    if (to == NULL)
        return;
    for (uint32_t s = 0; s < t->count; s++) {
        memcpy(to, text + t->at[s], t->length[s]);
        to += t->length[s];
    }
    out->len += t->varying;
}

/* ---- survey ---- */

static struct survey survey_cells(const struct pack *p)
{
    struct survey s = {.uniform = true, .equal = true};
    const struct value *last = NULL;
    for (uint32_t r = 0; r < p->n; r++) {
        const struct value *v = &p->cells[r];
        if (p->nulls[r] != 0) {
            s.has_null = true;
            continue;
        }
        if (last == NULL) {
            s.first = v;
            s.runs = 1;
            s.shortest = SIZE_MAX;
        } else if (v->type != last->type || (v->type == VALUE_DECIMAL && v->scale != last->scale)) {
            s.uniform = s.equal = false;
            return s;
        } else if (!value_identical(v, last)) {
            s.equal = false;
            s.runs++;
        }
        last = v;
        if (block_type_is_bytes(v->type)) {
            s.bytes += v->s.n;
            s.shortest = v->s.n < s.shortest ? v->s.n : s.shortest;
            s.longest = v->s.n > s.longest ? v->s.n : s.longest;
        }
    }
    return s;
}

/* A NULL's cell takes the value before it, so that it adds nothing that others do not have. */
static void fill_nulls(struct pack *p, const struct survey *s)
{
    const struct value *last = s->first;
    for (uint32_t r = 0; r < p->n; r++) {
        if (p->nulls[r] != 0)
            p->cells[r] = *last;
        last = &p->cells[r];
    }
}

/* ---- integers, and what can be written as some ---- */

static void range_of_ints(const struct pack *p, struct survey *s)
{
    s->min = s->max = p->ints[0];
    for (uint32_t r = 1; r < p->n; r++) {
        s->min = p->ints[r] < s->min ? p->ints[r] : s->min;
        s->max = p->ints[r] > s->max ? p->ints[r] : s->max;
    }
}

static bool decimals_fit(const struct pack *p)
{
    for (uint32_t r = 0; r < p->n; r++) {
        struct dec128 d = p->cells[r].dec;
        p->ints[r] = (int64_t)d.lo;
        if (d.hi != p->ints[r] >> 63)
            return false;
    }
    return true;
}

static uint64_t factor_of(const struct pack *p, int64_t min)
{
    uint64_t g = 0;
    for (uint32_t r = 0; r < p->n && g != 1; r++) {
        uint64_t a = (uint64_t)p->ints[r] - (uint64_t)min;
        while (a != 0) {
            uint64_t rest = g % a;
            g = a;
            a = rest;
        }
    }
    return g;
}

static void consider_ints(const struct pack *p, struct survey *s)
{
    range_of_ints(p, s);
    uint64_t span = (uint64_t)s->max - (uint64_t)s->min;
    uint8_t width = cell_width(span);
    s->factor = 1;
    take(s, COLUMN_INT, width, 8 + cells_bytes(p->n, width));
    if (width <= 8 || s->runs <= 2)
        return;
    uint64_t factor = factor_of(p, s->min);
    width = factor > 1 ? cell_width(span / factor) : width;
    if (factor > 1 && 16 + cells_bytes(p->n, width) < s->cost) {
        s->factor = factor;
        take(s, COLUMN_TIMES, width, 16 + cells_bytes(p->n, width));
    }
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* All values as numbers over one power of 10 (or of 2) into p->ints. */
static bool scale_reals(const struct pack *p, bool tens, uint8_t *scale)
{
    uint8_t k = 0;
    for (uint32_t r = 0; r < p->n; r++) {
        double v = p->cells[r].r;
        for (;; k++) {
            if (k > COLUMN_SCALE_MAX)
                return false;
            double m = tens ? v * block_pow10[k] : v * (double)(1u << k);
            if (!(fabs(m) < EXACT_MAX))
                return false;
            int64_t whole = (int64_t)(m + (m < 0 ? -0.5 : 0.5));
            if (same_bits(tens ? block_tenths(whole, k) : block_halves(whole, k), v))
                break;
        }
    }
    for (uint32_t r = 0; r < p->n; r++) { /* the last scale for all */
        double m = tens ? p->cells[r].r * block_pow10[k] : p->cells[r].r * (double)(1u << k);
        if (!(fabs(m) < EXACT_MAX))
            return false;
        p->ints[r] = (int64_t)(m + (m < 0 ? -0.5 : 0.5));
        if (!same_bits(tens ? block_tenths(p->ints[r], k) : block_halves(p->ints[r], k), p->cells[r].r))
            return false;
    }
    *scale = k;
    return true;
}

static void consider_reals(const struct pack *p, struct survey *s)
{
    bool redo = false; /* p->ints are of the choice that lost */
    for (int tens = 1; tens >= 0; tens--) {
        uint8_t scale;
        if (!scale_reals(p, tens != 0, &scale))
            continue;
        struct survey of = *s;
        range_of_ints(p, &of);
        uint8_t width = cell_width((uint64_t)of.max - (uint64_t)of.min);
        size_t cost = 8 + cells_bytes(p->n, width);
        redo = s->encoding == COLUMN_TENTHS && cost > s->cost;
        if (cost > s->cost)
            continue;
        of.scale = scale;
        take(&of, tens != 0 ? COLUMN_TENTHS : COLUMN_HALVES, width, cost);
        *s = of;
    }
    if (redo) {
        bool again = scale_reals(p, true, &s->scale);
        QASSERT(again);
    }
}

static void consider_fixed(const struct pack *p, struct survey *s)
{
    uint8_t type = s->first->type;
    take(s, COLUMN_FIXED, 0, (size_t)p->n * (type == VALUE_REAL ? 8 : 16));
    if (type == VALUE_REAL)
        consider_reals(p, s);
    else if (type == VALUE_DECIMAL && decimals_fit(p))
        consider_ints(p, s);
}

/* ---- texts ---- */

/* Where texts of one length differ; false: not worth it, or too long. */
static bool template_of(const struct pack *p, const struct survey *s, struct pack_template *t)
{
    uint8_t diff[PACK_TEMPLATE_MAX];
    size_t n = s->longest;
    if (s->shortest != n || n < 4 || n > PACK_TEMPLATE_MAX)
        return false;
    memset(diff, 0, n);
    const uint8_t *first = p->cells[0].s.p;
    for (uint32_t r = 1; r < p->n; r++) {
        const uint8_t *text = p->cells[r].s.p;
        for (size_t i = 0; i < n; i++)
            diff[i] |= (uint8_t)(first[i] ^ text[i]);
    }
    return pack_template_find(t, diff, (uint32_t)n);
}

/* What all texts begin and end with. */
static void affix_of(const struct pack *p, const struct survey *s, size_t *prefix, size_t *suffix)
{
    struct slice first = p->cells[0].s;
    size_t a = s->shortest < UINT16_MAX ? s->shortest : UINT16_MAX, z = a;
    for (uint32_t r = 1; r < p->n && (a > 0 || z > 0); r++) {
        struct slice t = p->cells[r].s;
        size_t i = 0;
        while (i < a && first.p[i] == t.p[i])
            i++;
        a = i;
        i = 0;
        while (i < z && first.p[first.n - 1 - i] == t.p[t.n - 1 - i])
            i++;
        z = i;
    }
    *prefix = a;
    *suffix = a + z > s->shortest ? s->shortest - a : z;
}

static size_t offsets_cost(const struct pack *p, const struct survey *s)
{
    return OFFSETS_HEAD_BYTES + (s->longest == s->shortest && !s->has_null ? 0 : p->n);
}

static void consider_texts(const struct pack *p, struct survey *s)
{
    struct pack_template t;
    size_t prefix, suffix, plain = offsets_cost(p, s) + s->bytes;
    take(s, COLUMN_BYTES, 0, plain);
    if (template_of(p, s, &t)) {
        size_t cost = 3 + t.count * 4 + t.bytes + (size_t)p->n * t.varying;
        if (cost < plain * 4 / 5)
            take(s, COLUMN_TEMPLATE, 0, cost);
        return;
    }
    affix_of(p, s, &prefix, &suffix);
    size_t cost = 4 + offsets_cost(p, s) + s->bytes - (prefix + suffix) * (p->n - 1);
    if (!s->has_null && cost < plain * 4 / 5)
        take(s, COLUMN_AFFIX, 0, cost);
}

/* ---- dictionaries and runs ---- */

struct dict {
    uint32_t count;
    uint32_t rows[COLUMN_DICT_MAX]; /* where each value stands first */
};

static size_t encoded_bytes(const struct value *v)
{
    if (block_type_is_bytes(v->type))
        return v->s.n + (v->s.n < 64 && v->type == VALUE_TEXT ? 1u : 2u);
    if (v->type == VALUE_REAL || v->type == VALUE_UUID)
        return v->type == VALUE_REAL ? 9 : 17;
    uint64_t bits = (uint64_t)(v->i < 0 ? ~v->i : v->i) * 2;
    return (size_t)1 + cell_width(bits) / 8u;
}

static uint32_t hash_of(const struct value *v)
{
    uint64_t h = 0;
    if (block_type_is_bytes(v->type)) {
        size_t n = v->s.n < 8 ? v->s.n : 8;
        uint64_t tail = 0;
        if (n > 0) {
            memcpy(&h, v->s.p, n);
            memcpy(&tail, v->s.p + v->s.n - n, n);
        }
        h ^= tail * 0x9E3779B97F4A7C15u + v->s.n; /* host's byte order: it decides nothing that is stored */
    } else if (v->type == VALUE_UUID || v->type == VALUE_DECIMAL) {
        h = v->dec.lo ^ (uint64_t)v->dec.hi * 0x9E3779B97F4A7C15u;
    } else {
        h = (uint64_t)v->i;
    }
    return (uint32_t)((h ^ h >> 32) * 0xD6E8FEB86659FD93u >> 55);
}

/* Number the distinct values; false: more than `max`. */
static bool dict_of(const struct pack *p, uint32_t max, struct dict *d)
{
    uint16_t slots[DICT_SLOTS] = {0}; /* number + 1 */
    d->count = 0;
    for (uint32_t r = 0; r < p->n; r++) {
        const struct value *v = &p->cells[r];
        uint32_t at = hash_of(v) % DICT_SLOTS;
        while (slots[at] != 0 && !value_identical(&p->cells[d->rows[slots[at] - 1u]], v))
            at = (at + 1) % DICT_SLOTS;
        if (slots[at] == 0) {
            if (d->count == max)
                return false;
            d->rows[d->count] = r;
            slots[at] = (uint16_t)++d->count;
        }
        p->index[r] = (uint8_t)(slots[at] - 1u);
    }
    return true;
}

/* A dictionary must save a tenth. */
static void consider_dict(const struct pack *p, struct survey *s, struct dict *d)
{
    if (p->n < DICT_TRY_ROWS || (s->width > 0 && s->width <= 8))
        return; /* small integers are as good as a dictionary's cells */
    size_t each = encoded_bytes(s->first), least = (p->n + 7) / 8 + OFFSETS_HEAD_BYTES;
    size_t max = s->cost > least ? (s->cost - least) / (each > 1 ? each : 1) + 1 : 0;
    max = max < p->n / 2 + 1 ? max : p->n / 2 + 1;
    if (max < 2 || !dict_of(p, (uint32_t)(max < COLUMN_DICT_MAX ? max : COLUMN_DICT_MAX), d))
        return;
    uint8_t width = cell_width(d->count > 1 ? d->count - 1 : 1);
    size_t cost = 2 + OFFSETS_HEAD_BYTES + cells_bytes(p->n, width);
    for (uint32_t i = 0; i < d->count; i++)
        cost += encoded_bytes(&p->cells[d->rows[i]]) + 1;
    if (cost >= s->cost * 9 / 10)
        return;
    take(s, COLUMN_DICT, width, cost);
}

static void consider_runs(const struct pack *p, struct survey *s)
{
    if (s->runs > p->n / 4 || s->runs > UINT16_MAX)
        return;
    size_t cost = 2 + OFFSETS_HEAD_BYTES + s->runs * (RUN_BYTES + encoded_bytes(s->first));
    if (cost < s->cost * 9 / 10)
        take(s, COLUMN_RUNS, 0, cost);
}

/* ---- writing ---- */

static void put_nulls(const struct pack *p)
{
    for (uint32_t r = 0; r < p->n; r += 8) {
        uint8_t bits = 0;
        for (uint32_t k = 0; k < 8 && r + k < p->n; k++)
            bits |= (uint8_t)(p->nulls[r + k] << k);
        buf_u8(p->out, bits);
    }
}

static void put_ints(const struct pack *p, const struct survey *s)
{
    buf_u64(p->out, (uint64_t)s->min);
    if (s->encoding == COLUMN_TIMES)
        buf_u64(p->out, s->factor);
    uint64_t *cells = (uint64_t *)(void *)p->ints; /* the signed and the unsigned of one width may share memory */
    for (uint32_t r = 0; r < p->n; r++)
        cells[r] = (uint64_t)p->ints[r] - (uint64_t)s->min;
    for (uint32_t r = 0; r < p->n && s->encoding == COLUMN_TIMES; r++)
        cells[r] /= s->factor;
    pack_cells(p->out, cells, p->n, s->width);
}

static void put_fixed(const struct pack *p, uint8_t type)
{
    static const uint8_t zero[16];
    for (uint32_t r = 0; r < p->n; r++) {
        const struct value *v = &p->cells[r];
        if (p->nulls[r] != 0) {
            buf_put(p->out, zero, type == VALUE_REAL ? 8 : 16);
        } else if (type == VALUE_REAL) {
            uint64_t bits;
            memcpy(&bits, &v->r, 8);
            buf_u64(p->out, bits);
        } else if (type == VALUE_DECIMAL) {
            buf_u64(p->out, v->dec.lo);
            buf_u64(p->out, (uint64_t)v->dec.hi);
        } else {
            buf_put(p->out, v->uuid, 16);
        }
    }
}

/* Texts less `prefix` and `suffix` bytes each; those of NULLs are left out. Places are counted in the scratch for integers. */
static void put_texts(const struct pack *p, size_t prefix, size_t suffix)
{
    uint32_t *places = (uint32_t *)(void *)p->ints;
    uint32_t at = 0;
    for (uint32_t r = 0; r < p->n; r++) {
        places[r] = at;
        at += p->nulls[r] != 0 ? 0 : (uint32_t)(p->cells[r].s.n - prefix - suffix);
    }
    places[p->n] = at;
    pack_offsets(p->out, places, p->n);
    uint8_t *to = buf_reserve(p->out, at);
    for (uint32_t r = 0; r < p->n && to != NULL; r++) {
        size_t n = places[r + 1] - places[r];
        if (n > 0)
            memcpy(to + places[r], p->cells[r].s.p + prefix, n);
    }
    p->out->len += to != NULL ? at : 0;
}

static void put_template(const struct pack *p, const struct survey *s)
{
    struct pack_template t;
    bool again = template_of(p, s, &t);
    QASSERT(again);
    buf_u16(p->out, (uint16_t)t.bytes);
    pack_template_head(p->out, &t, p->cells[0].s.p);
    for (uint32_t r = 0; r < p->n; r++)
        pack_template_cell(p->out, &t, p->cells[r].s.p);
}

static void put_affix(const struct pack *p, const struct survey *s)
{
    size_t prefix, suffix;
    struct slice first = p->cells[0].s;
    affix_of(p, s, &prefix, &suffix);
    buf_u16(p->out, (uint16_t)prefix);
    buf_u16(p->out, (uint16_t)suffix);
    buf_put(p->out, first.p, prefix);
    buf_put(p->out, first.p + first.n - suffix, suffix);
    put_texts(p, prefix, suffix);
}

/* Encoded values behind their offsets: row rows[i] of count (NULL: every row, nothing for NULLs). */
static void put_values(const struct pack *p, const uint32_t *rows, uint32_t count)
{
    uint32_t *places = (uint32_t *)(void *)p->ints;
    struct buf bytes = {0};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t r = rows != NULL ? rows[i] : i;
        places[i] = (uint32_t)bytes.len;
        if (rows != NULL || p->nulls[r] == 0)
            value_encode(&bytes, &p->cells[r]);
    }
    places[count] = (uint32_t)bytes.len;
    pack_offsets(p->out, places, count);
    buf_put(p->out, bytes.data, bytes.len);
    p->out->failed = p->out->failed || bytes.failed;
    buf_deinit(&bytes);
}

static void put_dict(const struct pack *p, const struct survey *s, const struct dict *d)
{
    buf_u16(p->out, (uint16_t)d->count);
    put_values(p, d->rows, d->count);
    uint64_t *cells = (uint64_t *)(void *)p->ints;
    for (uint32_t r = 0; r < p->n; r++)
        cells[r] = p->index[r];
    pack_cells(p->out, cells, p->n, s->width);
}

static void put_runs(const struct pack *p, const struct survey *s)
{
    uint32_t *rows = (uint32_t *)(void *)p->ints + p->n + 1; /* the upper half of the scratch; put_values takes the lower */
    uint32_t count = 0;
    for (uint32_t r = 0; r < p->n; r++)
        if (r == 0 || !value_identical(&p->cells[r], &p->cells[r - 1]))
            rows[count++] = r;
    QASSERT(count == s->runs);
    buf_u16(p->out, (uint16_t)count);
    put_values(p, rows, count);
    for (uint32_t i = 1; i <= count; i++)
        buf_u32(p->out, i < count ? rows[i] : p->n);
}

static void put_payload(const struct pack *p, const struct survey *s, const struct dict *d)
{
    switch (s->encoding) {
    case COLUMN_ONE:
        value_encode(p->out, s->first);
        return;
    case COLUMN_INT:
    case COLUMN_TIMES:
    case COLUMN_TENTHS:
    case COLUMN_HALVES:
        put_ints(p, s);
        return;
    case COLUMN_FIXED:
        put_fixed(p, s->first->type);
        return;
    case COLUMN_BYTES:
        put_texts(p, 0, 0);
        return;
    case COLUMN_TEMPLATE:
        put_template(p, s);
        return;
    case COLUMN_AFFIX:
        put_affix(p, s);
        return;
    case COLUMN_DICT:
        put_dict(p, s, d);
        return;
    case COLUMN_RUNS:
        put_runs(p, s);
        return;
    case COLUMN_MIXED:
        put_values(p, NULL, p->n);
        return;
    default:
        return;
    }
}

/* Choose; *d is filled where it is a dictionary. */
static void choose(struct pack *p, struct survey *s, struct dict *d)
{
    if (s->first == NULL) {
        take(s, COLUMN_NONE, 0, 0);
        return;
    }
    if (!s->uniform) {
        s->has_null = true; /* the bitmap stands there always: an empty piece would be no value */
        take(s, COLUMN_MIXED, 0, 0);
        return;
    }
    if (s->equal) {
        take(s, COLUMN_ONE, 0, 0);
        return;
    }
    if (s->has_null)
        fill_nulls(p, s);
    uint8_t type = s->first->type;
    if (block_type_is_bytes(type)) {
        consider_texts(p, s);
    } else if (block_type_is_int(type)) {
        for (uint32_t r = 0; r < p->n; r++)
            p->ints[r] = p->cells[r].i;
        consider_ints(p, s);
    } else {
        consider_fixed(p, s);
    }
    consider_dict(p, s, d);
    consider_runs(p, s);
}

void pack_column(struct pack *p, size_t directory)
{
    struct dict d;
    struct survey s = survey_cells(p);
    size_t begins = p->out->len - p->start;
    choose(p, &s, &d);
    bool nulls = s.has_null && s.encoding != COLUMN_NONE;
    if (nulls)
        put_nulls(p);
    put_payload(p, &s, &d);
    if (p->out->failed)
        return;
    uint8_t type = s.first == NULL || !s.uniform ? VEC_MIXED : s.first->type;
    uint8_t *dir = p->out->data + p->start + directory;
    store_le32(dir, (uint32_t)begins);
    dir[4] = s.encoding;
    dir[5] = type;
    dir[6] = type == VALUE_DECIMAL ? s.first->scale : s.encoding == COLUMN_TENTHS || s.encoding == COLUMN_HALVES ? s.scale : 0;
    dir[7] = (uint8_t)(s.width | (nulls ? COLUMN_HAS_NULL : 0));
}

/* row_decode.c - a record's bytes as a row (docs/STORAGE.md, "Records").
 * Why: the other half of row_encode.c, and the one that must stand damage: records come from disk and, in snapshots, from peers.
 * Invariants: a damaged record decodes to an error or to some row, and is never read outside; what is decoded is bounded by
 *   the bytes that are there, times the table's columns for each life. */
#include "row_codec.h"

__int128 sum_get(struct bytes_in *in)
{
    unsigned __int128 v = 0;
    for (uint32_t shift = 0; shift < 128; shift += 7) {
        uint8_t b = bytes_u8(in);
        v |= (unsigned __int128)(b & 0x7f) << shift;
        if (b < 0x80) {
            if (shift == 126 && b > 3)
                in->bad = true;
            return (__int128)(v >> 1) ^ -(__int128)(v & 1);
        }
    }
    in->bad = true;
    return 0;
}

bool record_view(struct slice record, struct record_view *out)
{
    struct bytes_in in = bytes_in(record.p, record.n);
    *out = (struct record_view){.flags = bytes_u8(&in)};
    uint8_t shown = out->flags & (RECORD_LIVE | RECORD_HIDDEN);
    if (out->flags > (RECORD_HIDDEN | RECORD_SIMPLE) || shown == (RECORD_LIVE | RECORD_HIDDEN) || (shown == 0 && out->flags != 0))
        return false;
    if ((out->flags & RECORD_SIMPLE) != 0) {
        out->ver.stamp = bytes_u64(&in);
        out->ver.chain = bytes_u16(&in);
        in.bad = in.bad || out->ver.stamp == 0;
    } else {
        out->meta = bytes_slice(&in);
    }
    if (record_has_values(out->flags)) {
        out->value_count = bytes_count(&in, 1);
        out->values = slice_of(in.at, in.left);
    } else if (in.left != 0) {
        return false;
    }
    return !in.bad;
}

struct decoder {
    const struct row_schema *schema;
    struct arena *arena;
    struct bytes_in meta;
    struct slice values;
    uint32_t count;
    uint64_t base;
    struct ver dict[DICT_MAX];
    uint32_t dict_count;
    bool several;
    bool nomem;
};

struct row_cell *cells_new(struct arena *a, uint32_t count)
{
    struct row_cell *cells = arena_alloc(a, (size_t)count * sizeof *cells); /* at most ROW_COLUMNS_MAX */
    for (uint32_t i = 0; cells != NULL && i < count; i++)
        cells[i] = (struct row_cell){.value = VALUE_NULL_INIT};
    return cells;
}

static struct row_part *new_parts(struct decoder *d, struct row_cell *cell, uint32_t count)
{
    cell->parts = arena_zalloc(d->arena, count, sizeof *cell->parts);
    cell->part_count = cell->parts != NULL ? count : 0;
    d->nomem = d->nomem || cell->parts == NULL;
    return cell->parts;
}

/* A COUNTER as its INSERT left it: the value is the birth's part. */
static bool untouched_counter(struct decoder *d, const struct row_column *column, struct row_life *life, struct row_cell *cell,
                              const struct value *v)
{
    __int128 n = row_counter_number(column, v);
    cell->ver = life->birth;
    cell->value = VALUE_NULL_INIT;
    if (n == 0)
        return true;
    struct row_part *part = new_parts(d, cell, 1);
    if (part == NULL)
        return false;
    *part = (struct row_part){.chain = life->birth.chain, .last = life->birth.stamp, .sum = dec_make(n)};
    return true;
}

/* Is it the value below a SET that shows? Elements show as an array. */
static bool shows_below(const struct row_column *column, const struct value *shown)
{
    return column->over_lww && shown->type != VALUE_JSON;
}

/* A SET as its INSERT left it: the elements that show are all the birth's. */
static void untouched_set(struct decoder *d, const struct row_life *life, struct row_cell *cell, const struct value *shown)
{
    struct slice *tokens = NULL;
    uint32_t n = 0;
    struct err bad = ERR_INIT;
    quartet_status rc = shown->type != VALUE_JSON ? QUARTET_CORRUPT : row_tokens(shown->s, d->arena, &tokens, &n, &bad);
    cell->value = VALUE_NULL_INIT;
    cell->items = rc == QUARTET_OK ? arena_alloc(d->arena, (n + 1u) * sizeof *cell->items) : NULL;
    d->nomem |= rc == QUARTET_NOMEM || rc == QUARTET_LIMIT || (rc == QUARTET_OK && cell->items == NULL);
    d->meta.bad |= rc == QUARTET_CORRUPT;
    for (uint32_t i = 0; cell->items != NULL && i < n; i++)
        cell->items[cell->part_count++] = (struct row_item){.ver = life->birth, .value = {.type = VALUE_TEXT, .s = tokens[i]}};
}

static struct ver get_ver(struct decoder *d)
{
    uint64_t chain = bytes_varint(&d->meta);
    struct ver ver = {.stamp = d->base + (uint64_t)unzigzag(bytes_varint(&d->meta)), .chain = (chain_no)chain};
    if (chain > CHAINS_MAX || ver.stamp == 0)
        d->meta.bad = true;
    return ver;
}

static struct ver ver_of_code(struct decoder *d, const struct row_life *life, uint64_t code)
{
    if (code == CODE_BIRTH)
        return life->birth;
    if (code == CODE_NEVER || code > CODE_OTHER + d->dict_count) {
        d->meta.bad = true;
        return life->birth;
    }
    return code == CODE_OTHER + d->dict_count ? get_ver(d) : d->dict[code - CODE_OTHER];
}

static void get_parts(struct decoder *d, const struct row_life *life, struct row_cell *cell, const struct row_column *column,
                      const struct value *shown)
{
    uint64_t head = bytes_varint(&d->meta);
    uint64_t count = head >> 2;
    bool derived = (head & 1) != 0;
    if (count == 0 || count > d->meta.left || count > CHAINS_MAX || (derived && d->several)) {
        d->meta.bad = true;
        return;
    }
    struct row_part *parts = new_parts(d, cell, (uint32_t)count);
    if (parts == NULL)
        return;
    cell->ver = (head & 2) != 0 ? life->birth : (struct ver){0};
    for (uint32_t p = 0; p < count && !d->meta.bad; p++) {
        struct ver ver = ver_of_code(d, life, bytes_varint(&d->meta));
        parts[p] = (struct row_part){.chain = ver.chain, .last = ver.stamp};
        if (!derived || p + 1 < count)
            parts[p].sum = dec_make(sum_get(&d->meta));
    }
    if (derived) {
        __int128 rest = row_counter_number(column, shown);
        rest = (__int128)((unsigned __int128)rest - (unsigned __int128)row_counter_sum(column, cell));
        parts[count - 1].sum = dec_make(rest);
    }
}

static void fill_counter(struct decoder *d, struct row_life *life, uint32_t column, uint32_t code, const struct value *shown)
{
    struct row_cell *cell = &life->cells[column];
    const struct row_column *c = &d->schema->columns[column];
    struct value zero = value_int(0);
    if (d->several && (code & 1) != 0)
        d->meta.bad = true;
    switch (code >> d->several) {
    case CODE_BIRTH:
        (void)untouched_counter(d, c, life, cell, d->several ? &zero : shown); /* d->nomem tells */
        return;
    case CODE_NEVER:
        return;
    case CODE_OTHER:
        get_parts(d, life, cell, c, shown);
        return;
    default:
        d->meta.bad = true;
    }
}

static void fill_cell(struct decoder *d, struct row_life *life, uint32_t column, uint32_t code, const struct value *shown)
{
    struct row_cell *cell = &life->cells[column];
    bool is_lost = d->several && (code & 1) != 0;
    code >>= d->several;
    if (d->meta.bad)
        return;
    if (code == CODE_NEVER) {
        d->meta.bad = d->meta.bad || is_lost;
        return;
    }
    cell->ver = ver_of_code(d, life, code);
    if (d->schema->columns[column].kind == ROW_SET && !shows_below(&d->schema->columns[column], shown)) {
        d->meta.bad = d->meta.bad || code != CODE_BIRTH || d->several;
        untouched_set(d, life, cell, shown);
    } else if (!is_lost)
        cell->value = *shown;
    else if (!value_decode(&d->meta, &cell->value) || (d->schema->columns[column].kind == ROW_SET && cell->value.type == VALUE_JSON)) {
        cell->value = VALUE_NULL_INIT;
        d->meta.bad = true;
    }
}

static void get_codes(struct decoder *d, struct row_life *life)
{
    uint8_t mode = bytes_u8(&d->meta);
    if (mode > MAP_CODES)
        d->meta.bad = true;
    if (mode == MAP_NONE || d->meta.bad)
        return;
    const uint8_t *map = bytes_take(&d->meta, (d->count + 7u) / 8u);
    for (uint32_t i = 0; map != NULL && i < d->count; i++) {
        if ((map[i / 8] >> (i % 8) & 1) == 0)
            continue;
        uint64_t code = mode == MAP_PLAIN ? (uint64_t)CODE_OTHER << d->several : bytes_varint(&d->meta);
        if (code > 2 * (CODE_OTHER + DICT_MAX) + 1)
            d->meta.bad = true;
        life->cells[i].part_count = (uint32_t)code; /* kept there until the extras are read */
    }
}

static void get_life(struct decoder *d, struct row_life *life)
{
    struct bytes_in values = bytes_in(d->values.p, d->values.n);
    life->cells = cells_new(d->arena, d->schema->count);
    if (life->cells == NULL) {
        d->nomem = true;
        return;
    }
    get_codes(d, life);
    for (uint32_t i = 0; i < d->count && !d->meta.bad; i++) {
        struct value shown;
        uint32_t code = life->cells[i].part_count;
        life->cells[i].part_count = 0;
        if (!value_decode(&values, &shown))
            d->meta.bad = true;
        else if (codes_as_counter(d->schema, i))
            fill_counter(d, life, i, code, &shown);
        else
            fill_cell(d, life, i, code, &shown);
    }
    d->meta.bad = d->meta.bad || values.left != 0;
}

static bool same_birth_before(const struct row *row, uint32_t l)
{
    for (uint32_t i = l; i-- > 0 && row->lives[i].birth.stamp == row->lives[l].birth.stamp;)
        if (row->lives[i].birth.chain == row->lives[l].birth.chain)
            return true;
    return false;
}

/* The births. Returns how many lives have not ended; d->meta.bad or d->nomem on failure. */
static uint32_t get_births(struct decoder *d, struct row *row)
{
    uint32_t unended = 0, count = bytes_count(&d->meta, 2);
    uint64_t stamp = 0;
    row->lives = arena_zalloc(d->arena, count, sizeof *row->lives);
    if (row->lives == NULL) {
        d->nomem = true;
        return 0;
    }
    row->life_count = count;
    for (uint32_t l = 0; l < count && !d->meta.bad; l++) {
        uint64_t step = l == 0 ? bytes_u64(&d->meta) : bytes_varint(&d->meta);
        uint64_t chain = bytes_varint(&d->meta);
        struct row_life *life = &row->lives[l];
        life->birth = (struct ver){.stamp = stamp + step, .chain = (chain_no)(chain >> 1)};
        life->ended = (chain & 1) != 0;
        if (chain >> 1 > CHAINS_MAX || step > UINT64_MAX - stamp || life->birth.stamp == 0 || same_birth_before(row, l))
            d->meta.bad = true;
        stamp = life->birth.stamp;
        if (!life->ended && unended++ == 0)
            d->base = stamp;
    }
    return unended;
}

static quartet_status decode_meta(const struct record_view *view, const struct row_schema *schema, struct arena *a, struct row *out,
                                  struct err *err)
{
    struct decoder d = {.schema = schema, .arena = a, .meta = bytes_in(view->meta.p, view->meta.n),
                        .values = view->values, .count = view->value_count};
    if (d.meta.left > 0 && *d.meta.at == WHOLE_MARK) {
        (void)bytes_u8(&d.meta); /* the mark */
        return whole_get(&d.meta, view, schema, a, out, err);
    }
    uint32_t unended = get_births(&d, out);
    bool live = record_has_values(view->flags);
    if (out->life_count == 0 || live != (unended > 0))
        d.meta.bad = true;
    d.several = unended > 1;
    if (live) {
        d.dict_count = bytes_count(&d.meta, 2);
        if (d.dict_count > DICT_MAX)
            d.meta.bad = true;
        for (uint32_t i = 0; i < d.dict_count && !d.meta.bad; i++)
            d.dict[i] = get_ver(&d);
    }
    for (uint32_t l = 0; l < out->life_count && !d.meta.bad && !d.nomem; l++)
        if (!out->lives[l].ended)
            get_life(&d, &out->lives[l]);
    if (d.nomem)
        return arena_fail(a, err);
    if (d.meta.bad || d.meta.left != 0)
        return err_set(err, QUARTET_CORRUPT, "a row's record is damaged");
    return QUARTET_OK;
}

static quartet_status decode_simple(const struct record_view *view, const struct row_schema *schema, struct arena *a, struct row *out,
                                    struct err *err)
{
    struct decoder d = {.schema = schema, .arena = a};
    struct bytes_in values = bytes_in(view->values.p, view->values.n);
    struct row_life *life = arena_alloc(a, sizeof *life);
    struct row_cell *cells = cells_new(a, schema->count);
    if (life == NULL || cells == NULL)
        return arena_fail(a, err);
    *life = (struct row_life){.birth = view->ver, .cells = cells};
    *out = (struct row){.lives = life, .life_count = 1};
    for (uint32_t i = 0; i < view->value_count; i++) {
        if (!value_decode(&values, &cells[i].value))
            break;
        if (codes_as_counter(schema, i)) {
            struct value v = cells[i].value;
            if (!untouched_counter(&d, &schema->columns[i], life, &cells[i], &v))
                return arena_fail(a, err);
        } else {
            cells[i].ver = view->ver;
            if (schema->columns[i].kind == ROW_SET && !shows_below(&schema->columns[i], &cells[i].value)) {
                struct value v = cells[i].value;
                untouched_set(&d, life, &cells[i], &v);
            }
        }
    }
    if (d.nomem)
        return arena_fail(a, err);
    if (d.meta.bad || values.bad || values.left != 0)
        return err_set(err, QUARTET_CORRUPT, "a row's values are damaged");
    return QUARTET_OK;
}

quartet_status row_decode(struct slice record, const struct row_schema *schema, struct arena *a, struct row *out, struct err *err)
{
    struct record_view view;
    *out = (struct row){0};
    if (record.n == 0)
        return QUARTET_OK;
    if (!record_view(record, &view))
        return err_set(err, QUARTET_CORRUPT, "a row's record is damaged");
    if (view.value_count > schema->count)
        return err_set(err, QUARTET_CORRUPT, "a row has %u values, its table %u columns", view.value_count, schema->count);
    if ((view.flags & RECORD_SIMPLE) != 0)
        return decode_simple(&view, schema, a, out, err);
    return decode_meta(&view, schema, a, out, err);
}

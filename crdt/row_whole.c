/* row_whole.c - meta that writes every register out (docs/STORAGE.md, "Meta, written out"): for SETs and MULTIVALUE columns that were written after the INSERT, for registers
 *   that began anew or lie over a plain one, and for rows that were updated where updates win.
 * Why a second form: the codes of the first tell what nearly all rows need in a byte or two; what these need has lists, which would make the first form
 *   larger for rows that have none.
 * Invariants: as row_encode.c and row_decode.c. What shows is not written again: a value, or an element of a SET, is named by its place there.
 * Not here: which rows need it is asked of each cell (whole_needed). */
#include "row_codec.h"

#include <string.h>

enum { HEAD_WRITTEN = 1, HEAD_BIRTH = 2, HEAD_VALUE_SHIFT = 2, HEAD_LIST = 16, HEAD_MAX = 31 };
enum { VALUE_IS_NULL = 0, VALUE_IS_SHOWN = 1, VALUE_FOLLOWS = 2 };
enum { ITEM_MARK = 0, ITEM_FOLLOWS = 1, ITEM_SHOWN = 2 }; /* + place */

static bool cell_needs(const struct row_column *column, const struct row_life *life, const struct row_cell *cell, bool several)
{
    if (column->kind == ROW_SET && column->over_lww)
        return cell->part_count > 0 && (several || cell->value.type != VALUE_NULL || !ver_eq(cell->ver, life->birth) || !set_untouched(life, cell));
    if (column->kind == ROW_SET)
        return !set_untouched(life, cell) || (several && (cell->ver.stamp != 0));
    return cell->part_count > 0 && (column->kind != ROW_COUNTER || column->over_lww);
}

bool whole_needed(const struct row *row, const struct row_schema *schema)
{
    uint32_t unended = 0;
    if (!schema->observes)
        return false;
    for (uint32_t l = 0; l < row->life_count; l++)
        unended += !row->lives[l].ended;
    for (uint32_t l = 0; l < row->life_count; l++) {
        const struct row_life *life = &row->lives[l];
        if (life->write_count > 0 || (life->ended && life->cells != NULL))
            return true;
        for (uint32_t i = 0; i < schema->count && life->cells != NULL; i++)
            if (cell_needs(&schema->columns[i], life, &life->cells[i], unended > 1))
                return true;
    }
    return false;
}

/* ---- writing ---- */

struct put {
    const struct row_schema *schema;
    const struct value *shown;
    uint32_t shown_count; /* that the record has */
    struct arena *arena;
    struct buf *out;
    uint64_t base;
    uint32_t count;
    struct err *err;
};

static void put_ver(const struct put *p, struct ver ver)
{
    buf_varint(p->out, ver.chain);
    buf_varint(p->out, zigzag((int64_t)(ver.stamp - p->base)));
}

static void put_seen(const struct put *p, const struct row_part *parts, uint32_t count)
{
    buf_varint(p->out, count);
    for (uint32_t i = 0; i < count; i++)
        put_ver(p, (struct ver){.stamp = parts[i].last, .chain = parts[i].chain});
}

static quartet_status put_items(const struct put *p, const struct row_cell *cell, uint32_t column)
{
    struct slice *tokens = NULL;
    uint32_t n = 0, at = 0;
    quartet_status rc = QUARTET_OK;
    if (p->schema->columns[column].kind == ROW_SET && column < p->shown_count && p->shown[column].type == VALUE_JSON) /* or a value below that shows as it is */
        rc = row_tokens(p->shown[column].s, p->arena, &tokens, &n, p->err);
    buf_varint(p->out, cell->part_count);
    for (uint32_t i = 0; i < cell->part_count && rc == QUARTET_OK; i++) {
        const struct row_item *item = &cell->items[i];
        if (item_is_mark(item)) {
            buf_varint(p->out, ITEM_MARK);
        } else if (item->value.type == VALUE_NULL) {
            buf_varint(p->out, ITEM_FOLLOWS);
            value_encode(p->out, &item->value);
        } else {
            while (at < n && row_token_cmp(tokens[at], item->value.s) < 0)
                at++; /* both are in order */
            bool there = at < n && slice_eq(tokens[at], item->value.s);
            buf_varint(p->out, there ? ITEM_SHOWN + at : ITEM_FOLLOWS);
            if (!there)
                value_encode(p->out, &item->value);
        }
        put_ver(p, item->ver);
    }
    return rc;
}

static quartet_status put_cell(const struct put *p, const struct row_life *life, uint32_t column)
{
    const struct row_cell *cell = &life->cells[column];
    const struct row_column *c = &p->schema->columns[column];
    bool written = cell->ver.stamp != 0, birth = written && ver_eq(cell->ver, life->birth);
    uint32_t mode = cell->value.type == VALUE_NULL ? VALUE_IS_NULL : VALUE_FOLLOWS;
    if (mode == VALUE_FOLLOWS && column < p->shown_count && value_identical(&cell->value, &p->shown[column]))
        mode = VALUE_IS_SHOWN;
    buf_varint(p->out, (written ? HEAD_WRITTEN : 0u) | (birth ? HEAD_BIRTH : 0u) | mode << HEAD_VALUE_SHIFT | (cell->part_count > 0 ? HEAD_LIST : 0u));
    if (written && !birth)
        put_ver(p, cell->ver);
    if (mode == VALUE_FOLLOWS)
        value_encode(p->out, &cell->value);
    if (cell->part_count == 0)
        return QUARTET_OK;
    if (cell_has_items(c))
        return put_items(p, cell, column);
    buf_varint(p->out, cell->part_count);
    for (uint32_t i = 0; i < cell->part_count; i++) {
        put_ver(p, (struct ver){.stamp = cell->parts[i].last, .chain = cell->parts[i].chain});
        sum_put(p->out, dec_get(cell->parts[i].sum));
    }
    return QUARTET_OK;
}

/* Are there writes or DELETEs to be told? */
static bool counted(const struct row_life *life)
{
    return life->cells != NULL && (life->write_count > 0 || life->delete_count > 0);
}

static quartet_status put_life(const struct put *p, const struct row_life *life)
{
    quartet_status rc = QUARTET_OK;
    if (counted(life)) {
        put_seen(p, life->writes, life->write_count);
        buf_varint(p->out, life->delete_count);
        for (uint32_t i = 0; i < life->delete_count; i++) {
            put_ver(p, life->deletes[i].ver);
            put_seen(p, life->deletes[i].seen, life->deletes[i].seen_count);
        }
    }
    for (uint32_t i = 0; i < p->count && rc == QUARTET_OK; i++)
        rc = put_cell(p, life, i);
    return rc;
}

quartet_status whole_put(const struct row *row, const struct row_schema *schema, const struct value *shown, uint32_t shown_count, struct arena *a,
                         struct buf *out, struct err *err)
{
    struct put p = {.schema = schema, .shown = shown, .shown_count = shown_count, .arena = a, .out = out, .base = row->lives[0].birth.stamp, .err = err};
    quartet_status rc = QUARTET_OK;
    uint64_t last = 0;
    buf_u8(out, WHOLE_MARK);
    buf_varint(out, row->life_count);
    for (uint32_t l = 0; l < row->life_count; l++) {
        const struct row_life *life = &row->lives[l];
        if (l == 0)
            buf_u64(out, life->birth.stamp);
        else
            buf_varint(out, life->birth.stamp - last);
        last = life->birth.stamp;
        buf_varint(out, (uint64_t)life->birth.chain << 2 | (uint64_t)counted(life) << 1 | life->ended);
        for (uint32_t i = p.count; i < schema->count && life->cells != NULL; i++)
            if (life->cells[i].ver.stamp != 0 || life->cells[i].part_count > 0)
                p.count = i + 1;
    }
    buf_varint(out, p.count);
    for (uint32_t l = 0; l < row->life_count && rc == QUARTET_OK; l++)
        if (row->lives[l].cells != NULL)
            rc = put_life(&p, &row->lives[l]);
    return rc;
}

/* ---- reading ---- */

struct get {
    struct bytes_in *in;
    const struct row_schema *schema;
    const struct value *shown; /* NULL: not live */
    uint32_t shown_count, count;
    struct arena *arena;
    uint64_t base;
    bool nomem;
};

static void *room(struct get *g, uint32_t count, size_t size)
{
    void *p = arena_zalloc(g->arena, count + 1u, size);
    g->nomem |= p == NULL;
    return p;
}

static struct ver get_ver(struct get *g)
{
    uint64_t chain = bytes_varint(g->in);
    struct ver ver = {.stamp = g->base + (uint64_t)unzigzag(bytes_varint(g->in)), .chain = (chain_no)chain};
    if (chain > CHAINS_MAX || ver.stamp == 0)
        g->in->bad = true;
    return ver;
}

static struct row_part *get_seen(struct get *g, uint32_t *count)
{
    *count = bytes_count(g->in, 2);
    struct row_part *parts = room(g, *count, sizeof *parts);
    for (uint32_t i = 0; parts != NULL && i < *count; i++) {
        struct ver ver = get_ver(g);
        parts[i] = (struct row_part){.chain = ver.chain, .last = ver.stamp};
    }
    return parts;
}

/* Do the items stand as cells hold them? By version is not looked at: it takes the chains' identities. */
static bool items_fit(const struct row_column *c, const struct row_cell *cell)
{
    bool extreme = c->kind == ROW_MAXIMUM || c->kind == ROW_MINIMUM;
    for (uint32_t i = 0; i < cell->part_count; i++) {
        const struct row_item *item = &cell->items[i], *before = i > 0 ? item - 1 : NULL;
        bool mark = item_is_mark(item);
        if ((mark && before != NULL && (extreme || !item_is_mark(before))) || (extreme && !mark && (!c->over_lww || (before != NULL && !item_is_mark(before)))))
            return false;
        if (c->kind != ROW_SET || mark)
            continue;
        if (c->over_lww && item->value.type == VALUE_NULL && (before == NULL || item_is_mark(before)) && ver_eq(item->ver, cell->ver))
            continue;
        if (before != NULL && before->value.type == VALUE_NULL)
            before = NULL;
        if (item->value.type != VALUE_TEXT || !row_token_valid(item->value.s) ||
            (before != NULL && !item_is_mark(before) && row_token_cmp(before->value.s, item->value.s) > 0))
            return false;
    }
    return true;
}

static void get_items(struct get *g, struct row_cell *cell, uint32_t column)
{
    uint8_t kind = g->schema->columns[column].kind;
    struct slice *tokens = NULL;
    struct err bad = ERR_INIT;
    uint32_t n = 0, count = bytes_count(g->in, 3);
    if (kind == ROW_SET && column < g->shown_count && (g->shown[column].type == VALUE_JSON || !g->schema->columns[column].over_lww)) {
        quartet_status rc = g->shown[column].type != VALUE_JSON ? QUARTET_CORRUPT : row_tokens(g->shown[column].s, g->arena, &tokens, &n, &bad);
        g->in->bad |= rc == QUARTET_CORRUPT;
        g->nomem |= rc != QUARTET_OK && rc != QUARTET_CORRUPT;
    }
    cell->items = room(g, count, sizeof *cell->items);
    for (uint32_t i = 0; i < count && !g->nomem && !g->in->bad; i++) {
        struct row_item *item = &cell->items[i];
        uint64_t code = bytes_varint(g->in);
        if (code >= ITEM_SHOWN && code - ITEM_SHOWN < n)
            item->value = (struct value){.type = VALUE_TEXT, .s = tokens[code - ITEM_SHOWN]};
        else if (code >= ITEM_SHOWN || (code == ITEM_FOLLOWS && !value_decode(g->in, &item->value)))
            g->in->bad = true;
        item->ver = get_ver(g);
    }
    cell->part_count = g->nomem || g->in->bad ? 0 : count;
    if (!items_fit(&g->schema->columns[column], cell))
        g->in->bad = true;
}

static void get_parts(struct get *g, struct row_cell *cell)
{
    uint32_t count = bytes_count(g->in, 3);
    cell->parts = room(g, count, sizeof *cell->parts);
    for (uint32_t i = 0; i < count && !g->nomem && !g->in->bad; i++) {
        struct ver ver = get_ver(g);
        cell->parts[i] = (struct row_part){.chain = ver.chain, .last = ver.stamp, .sum = dec_make(sum_get(g->in))};
    }
    cell->part_count = g->nomem ? 0 : count;
}

static void get_cell(struct get *g, const struct row_life *life, uint32_t column)
{
    struct row_cell *cell = &life->cells[column];
    const struct row_column *c = &g->schema->columns[column];
    uint64_t head = bytes_varint(g->in);
    uint32_t mode = head >> HEAD_VALUE_SHIFT & 3;
    bool written = (head & HEAD_WRITTEN) != 0, birth = (head & HEAD_BIRTH) != 0;
    if (head > HEAD_MAX || mode > VALUE_FOLLOWS || (birth && !written) || (mode == VALUE_IS_SHOWN && column >= g->shown_count) ||
        ((head & HEAD_LIST) != 0 && c->kind == ROW_LWW))
        g->in->bad = true;
    if (g->in->bad)
        return;
    if (written)
        cell->ver = birth ? life->birth : get_ver(g);
    if (mode == VALUE_IS_SHOWN)
        cell->value = g->shown[column];
    else if (mode == VALUE_FOLLOWS && !value_decode(g->in, &cell->value))
        cell->value = VALUE_NULL_INIT;
    if (c->kind == ROW_SET && cell->value.type == VALUE_JSON) /* elements stand in the list */
        g->in->bad = true;
    if ((head & HEAD_LIST) == 0)
        return;
    if (cell_has_items(c))
        get_items(g, cell, column);
    else
        get_parts(g, cell);
}

static void get_life(struct get *g, struct row_life *life, bool counts)
{
    life->cells = cells_new(g->arena, g->schema->count);
    if (life->cells == NULL) {
        g->nomem = true;
        return;
    }
    if (counts) {
        life->writes = get_seen(g, &life->write_count);
        uint32_t count = bytes_count(g->in, 3);
        life->deletes = room(g, count, sizeof *life->deletes);
        for (uint32_t i = 0; i < count && !g->nomem && !g->in->bad; i++) {
            struct row_delete *d = &life->deletes[life->delete_count++];
            d->ver = get_ver(g);
            d->seen = get_seen(g, &d->seen_count);
        }
        if (life->ended != (life->delete_count > 0) || (life->write_count == 0 && life->delete_count == 0) || !g->schema->updates_win)
            g->in->bad = true;
    }
    for (uint32_t i = 0; i < g->count && !g->nomem && !g->in->bad; i++)
        get_cell(g, life, i);
}

static uint32_t get_births(struct get *g, struct row *row, bool **counts)
{
    uint32_t unended = 0;
    uint64_t stamp = 0;
    row->life_count = bytes_count(g->in, 2);
    row->lives = room(g, row->life_count, sizeof *row->lives);
    *counts = room(g, row->life_count, sizeof **counts);
    for (uint32_t l = 0; l < row->life_count && !g->nomem && !g->in->bad; l++) {
        uint64_t step = l == 0 ? bytes_u64(g->in) : bytes_varint(g->in), chain = bytes_varint(g->in);
        struct row_life *life = &row->lives[l];
        life->birth = (struct ver){.stamp = stamp + step, .chain = (chain_no)(chain >> 2)};
        life->ended = (chain & 1) != 0;
        (*counts)[l] = (chain & 2) != 0;
        if (chain >> 2 > CHAINS_MAX || step > UINT64_MAX - stamp || life->birth.stamp == 0 || (l > 0 && ver_eq(life->birth, row->lives[l - 1].birth)))
            g->in->bad = true;
        stamp = life->birth.stamp;
        unended += !life->ended;
    }
    g->base = row->life_count > 0 && !g->nomem ? row->lives[0].birth.stamp : 0;
    return unended;
}

static quartet_status damaged(struct err *err)
{
    return err_set(err, QUARTET_CORRUPT, "a row's record is damaged");
}

quartet_status whole_get(struct bytes_in *meta, const struct record_view *view, const struct row_schema *schema, struct arena *a, struct row *out,
                         struct err *err)
{
    struct get g = {.in = meta, .schema = schema, .arena = a};
    struct bytes_in values = bytes_in(view->values.p, view->values.n);
    bool live = record_has_values(view->flags);
    struct value *shown = room(&g, live ? view->value_count : 0, sizeof *shown);
    for (uint32_t i = 0; shown != NULL && live && i < view->value_count; i++)
        if (!value_decode(&values, &shown[i]))
            return damaged(err);
    if (live) {
        g.shown = shown;
        g.shown_count = view->value_count;
    }
    bool *counts = NULL;
    uint32_t unended = g.nomem ? 0 : get_births(&g, out, &counts);
    uint64_t count = bytes_varint(meta);
    if (out->life_count == 0 || count > schema->count || live != (unended > 0) || (live && values.left != 0))
        meta->bad = true;
    g.count = meta->bad ? 0 : (uint32_t)count;
    for (uint32_t l = 0; l < out->life_count && !meta->bad && !g.nomem; l++)
        if (!out->lives[l].ended || counts[l])
            get_life(&g, &out->lives[l], counts[l]);
    if (g.nomem)
        return arena_fail(a, err);
    return meta->bad || meta->left != 0 ? damaged(err) : QUARTET_OK;
}

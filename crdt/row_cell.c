/* row_cell.c - registers: one section for each kind of column (DESIGN.md section 3).
 * Why "what its writer saw" and not stamps decides in a SET and a MULTIVALUE: a value may go only if whoever replaced it knew of it. The versions of what is there
 *   and the writer's vector are all that this takes; marks tell what went from what never was, so that replays and joins bring nothing back.
 * Why a MAXIMUM that began anew counts writes by what they saw, too: a value that was written without knowing of the new beginning belongs to the old register,
 *   whatever the clocks say.
 * Why a SET over a plain register keeps the base below as a value, and beside it whether that was taken away: who does not know of the SET goes on to write values, of which
 *   the last one counts. A removal takes away the value that its writer saw, by its version; one written later, or elsewhere meanwhile, is an element again.
 * Invariants: lists are in item_cmp's order, without duplicates, and never changed in place; equal states are equal bytes.
 * Not here: which lives a write is for (row.c), the record's bytes (row_encode.c, row_whole.c). */
#include "row_cell.h"

#include <stdlib.h>
#include <string.h>

#include "base/plant.h"

/* ---- numbers: COUNTER ---- */

static __int128 dec_limit(void)
{
    return value_pow10(VALUE_SCALE_MAX) - 1;
}

static __int128 clamp(__int128 v, __int128 lo, __int128 hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static __int128 add_wrap(__int128 a, __int128 b)
{
    return (__int128)((unsigned __int128)a + (unsigned __int128)b); /* wrapping keeps the order of additions irrelevant */
}

__int128 row_counter_number(const struct row_column *column, const struct value *v)
{
    __int128 n = v->type == VALUE_INTEGER ? v->i : v->type == VALUE_DECIMAL ? dec_get(v->dec) : 0;
    uint32_t from = v->type == VALUE_DECIMAL ? v->scale : 0;
    uint32_t to = column->scale;
    if (from > to)
        return n / value_pow10(from - to);
    if (from == to || n == 0)
        return n;
    __int128 by = value_pow10(to - from), limit = dec_limit();
    return n > limit / by ? limit : n < -(limit / by) ? -limit : n * by;
}

struct value row_counter_value(const struct row_column *column, __int128 sum)
{
    if (!column->is_decimal)
        return value_int((int64_t)clamp(sum, INT64_MIN, INT64_MAX));
    return (struct value){
        .type = VALUE_DECIMAL, .scale = column->scale, .dec = dec_make(clamp(sum, -dec_limit(), dec_limit()))};
}

__int128 row_counter_sum(const struct row_column *column, const struct row_cell *cell)
{
    __int128 sum = cell->ver.stamp == 0 && !column->over_lww ? row_counter_number(column, &column->missing) : 0;
    for (uint32_t i = 0; i < cell->part_count; i++)
        sum = add_wrap(sum, dec_get(cell->parts[i].sum));
    return sum;
}

/* Set one chain's part to what `part` says; where it has one already and `add`, to the sum. Parts are sorted by chain identity. */
static bool put_part(struct row_cell *cell, const struct chain_table *chains, struct row_part part, bool add, struct arena *a)
{
    uint32_t i = 0;
    while (i < cell->part_count && chain_no_cmp(chains, cell->parts[i].chain, part.chain) < 0)
        i++;
    if (i < cell->part_count && cell->parts[i].chain == part.chain) {
        if (add)
            part.sum = dec_make(add_wrap(dec_get(cell->parts[i].sum), dec_get(part.sum)));
        cell->parts[i] = part;
        return true;
    }
    struct row_part *parts = arena_zalloc(a, cell->part_count + 1u, sizeof *parts);
    if (parts == NULL)
        return false;
    if (cell->part_count > 0) {
        memcpy(parts, cell->parts, i * sizeof *parts);
        memcpy(parts + i + 1, cell->parts + i, (cell->part_count - i) * sizeof *parts);
    }
    parts[i] = part;
    cell->parts = parts;
    cell->part_count++;
    return true;
}

static const struct row_part *find_part(const struct row_cell *cell, chain_no chain)
{
    for (uint32_t i = 0; i < cell->part_count; i++)
        if (cell->parts[i].chain == chain)
            return &cell->parts[i];
    return NULL;
}

/* Folded chains write no more, but what they wrote is told again where the past is read: what a sum holds already counts once. */
static bool in_sum(const struct row_cell *cell, const struct chain_table *chains, chain_no chain)
{
    uint32_t fold = chain_fold_of(chains, chain);
    for (uint32_t i = 0; fold > 0 && i < cell->part_count; i++)
        if (chain_is_sum(chains, cell->parts[i].chain) && chain_fold_of(chains, cell->parts[i].chain) >= fold)
            return true;
    return false;
}

/* All that folded chains added as one part. False: out of memory. */
static bool counter_fold(struct row_cell *cell, const struct chain_table *chains, chain_no sum, struct arena *a, bool *changed)
{
    struct row_part all = {.chain = sum};
    uint32_t folded = 0, kept = 0;
    for (uint32_t i = 0; i < cell->part_count; i++)
        folded += chain_fold_of(chains, cell->parts[i].chain) > 0;
    if (folded < 2)
        return true; /* nothing is gained */
    struct row_part *parts = arena_alloc(a, cell->part_count * sizeof *parts); /* never in place: rows share lists */
    if (parts == NULL)
        return false;
    for (uint32_t i = 0; i < cell->part_count; i++) {
        const struct row_part *p = &cell->parts[i];
        if (chain_fold_of(chains, p->chain) == 0) {
            parts[kept++] = *p;
            continue;
        }
        all.sum = dec_make(add_wrap(dec_get(all.sum), dec_get(p->sum)));
        all.last = p->last > all.last ? p->last : all.last;
    }
    cell->parts = parts;
    cell->part_count = kept;
    *changed = true;
    return put_part(cell, chains, all, false, a);
}

static bool counter_add(struct row_cell *cell, const struct row_column *column, const struct row_write *write, const struct row_writer *w,
                        struct arena *a, bool *changed)
{
    const struct row_part *mine = find_part(cell, w->ver.chain);
    struct row_part part = {.chain = w->ver.chain, .last = w->ver.stamp};
    part.sum = dec_make(row_counter_number(column, &write->value));
    if (dec_get(part.sum) == 0 || (mine != NULL && w->ver.stamp <= mine->last) || (in_sum(cell, w->chains, w->ver.chain) && !plant_is(PLANT_FOLD_FORGOTTEN)))
        return true; /* nothing, or already in the sum */
    if (!put_part(cell, w->chains, part, !plant_is(PLANT_COUNTER_REPLACES), a))
        return false;
    *changed = true;
    return true;
}

static bool counter_join(struct row_cell *into, const struct row_cell *other, const struct chain_table *chains, struct arena *a)
{
    for (uint32_t i = 0; i < other->part_count; i++) {
        const struct row_part *mine = find_part(into, other->parts[i].chain);
        if ((mine == NULL || mine->last < other->parts[i].last) && !put_part(into, chains, other->parts[i], false, a))
            return false;
    }
    return true;
}

/* ---- lists of items ---- */

int item_cmp(const struct chain_table *chains, uint8_t kind, const struct row_item *a, const struct row_item *b)
{
    if (item_is_mark(a) != item_is_mark(b))
        return item_is_mark(a) ? -1 : 1;
    if (item_is_mark(a))
        return chain_no_cmp(chains, a->ver.chain, b->ver.chain);
    int c = kind == ROW_SET ? row_token_cmp(a->value.s, b->value.s) : 0;
    return c != 0 ? c : ver_cmp(chains, a->ver, b->ver);
}

struct items {
    struct row_item *item;
    uint32_t count;
    bool base_cut; /* SET over_lww: the value below was taken away */
    struct row_part *top; /* of each chain the newest addition that was ever here; `sum` unused */
    uint32_t top_count;
};

/* Does the mark of folded chains stand for this one, too? */
static bool in_mark(const struct items *s, const struct chain_table *chains, chain_no chain)
{
    uint32_t fold = chain_fold_of(chains, chain);
    for (uint32_t i = 0; fold > 0 && i < s->top_count; i++)
        if (s->top[i].chain != chain && chain_is_sum(chains, s->top[i].chain) && chain_fold_of(chains, s->top[i].chain) >= fold)
            return true;
    return false;
}

static hlc_stamp top_of(const struct items *s, const struct chain_table *chains, chain_no chain)
{
    hlc_stamp top = 0;
    for (uint32_t i = 0; i < s->top_count && top == 0; i++)
        top = s->top[i].chain == chain ? s->top[i].last : 0;
    return in_mark(s, chains, chain) && !plant_is(PLANT_FOLD_FORGOTTEN) ? UINT64_MAX : top;
}

bool cell_base_cut(const struct row_cell *cell)
{
    uint32_t i = 0;
    while (i < cell->part_count && item_is_mark(&cell->items[i]))
        i++;
    return i < cell->part_count && cell->items[i].value.type == VALUE_NULL && ver_eq(cell->items[i].ver, cell->ver);
}

static void raise_top(struct items *s, struct ver ver)
{
    for (uint32_t i = 0; i < s->top_count; i++)
        if (s->top[i].chain == ver.chain) {
            s->top[i].last = ver.stamp > s->top[i].last ? ver.stamp : s->top[i].last;
            return;
        }
    s->top[s->top_count++] = (struct row_part){.chain = ver.chain, .last = ver.stamp};
}

/* A cell's items without marks, with room for `more`; of a MULTIVALUE with the one that shows. Chains are few; a top for each item would do. */
static bool open_items(const struct row_cell *cell, const struct row_column *column, struct ver birth, uint32_t more, struct arena *a, struct items *s)
{
    uint32_t cap = cell->part_count + more + 2;
    *s = (struct items){.item = arena_alloc(a, cap * sizeof *s->item), .top = arena_alloc(a, cap * sizeof *s->top)};
    if (s->item == NULL || s->top == NULL)
        return false;
    raise_top(s, birth); /* the INSERT's own additions need no mark: whoever has this life has them */
    s->base_cut = column->kind == ROW_SET && cell_base_cut(cell);
    for (uint32_t i = 0; i < cell->part_count; i++) {
        if (column->kind == ROW_SET && cell->items[i].value.type == VALUE_NULL)
            continue; /* says so */
        raise_top(s, cell->items[i].ver);
        if (!item_is_mark(&cell->items[i]))
            s->item[s->count++] = cell->items[i];
    }
    if (column->kind == ROW_MULTIVALUE && !column->over_lww && cell->ver.stamp != 0) { /* the newest */
        raise_top(s, cell->ver);
        s->item[s->count++] = (struct row_item){.ver = cell->ver, .value = cell->value};
    }
    return true;
}

/* The way back: marks where they are needed. s->item is in order. */
static bool close_items(struct row_cell *cell, const struct row_column *column, struct ver birth, const struct chain_table *chains, const struct items *s,
                        struct arena *a)
{
    uint32_t marks = 0, count = s->count;
    struct row_item *out = arena_alloc(a, (s->count + s->top_count + 1u) * sizeof *out);
    if (out == NULL)
        return false;
    for (uint32_t i = 0; i < s->top_count; i++) {
        struct row_item mark = {.ver = {.stamp = s->top[i].last, .chain = s->top[i].chain}};
        bool needed = !ver_eq(mark.ver, birth) && !in_mark(s, chains, mark.ver.chain);
        for (uint32_t k = 0; k < s->count && needed; k++)
            needed = !ver_eq(s->item[k].ver, mark.ver);
        if (!needed)
            continue;
        uint32_t at = marks++;
        for (; at > 0 && item_cmp(chains, column->kind, &out[at - 1], &mark) > 0; at--)
            out[at] = out[at - 1];
        out[at] = mark;
    }
    if (s->base_cut)
        out[marks++] = (struct row_item){.ver = cell->ver, .value = VALUE_NULL_INIT};
    if (column->kind == ROW_MULTIVALUE && !column->over_lww && count > 0) {
        cell->ver = s->item[--count].ver; /* by version: the last is the newest */
        cell->value = s->item[count].value;
    }
    if (count > 0)
        memcpy(out + marks, s->item, count * sizeof *out);
    cell->items = out;
    cell->part_count = marks + count;
    return true;
}

static bool items_join(struct row_cell *into, const struct row_cell *other, const struct row_column *column, struct ver birth,
                       const struct chain_table *chains, struct arena *a)
{
    struct items x, y, s;
    if (!open_items(into, column, birth, 0, a, &x) || !open_items(other, column, birth, 0, a, &y))
        return false;
    s = (struct items){.item = arena_alloc(a, (x.count + y.count) * sizeof *s.item), .top = arena_alloc(a, (x.top_count + y.top_count) * sizeof *s.top)};
    if (s.item == NULL || s.top == NULL)
        return false;
    s.base_cut = x.base_cut || (y.base_cut && ver_eq(other->ver, into->ver)); /* the newer base is there already */
    for (uint32_t i = 0; i < x.top_count; i++)
        raise_top(&s, (struct ver){.stamp = x.top[i].last, .chain = x.top[i].chain});
    for (uint32_t i = 0; i < y.top_count; i++)
        raise_top(&s, (struct ver){.stamp = y.top[i].last, .chain = y.top[i].chain});
    for (uint32_t i = 0, k = 0; i < x.count || k < y.count;) {
        int c = i == x.count ? 1 : k == y.count ? -1 : item_cmp(chains, column->kind, &x.item[i], &y.item[k]);
        const struct row_item *one = c <= 0 ? &x.item[i] : &y.item[k];
        /* What only one side has was taken away on the other, if that had it. */
        if (c == 0 || one->ver.stamp > top_of(c < 0 ? &y : &x, chains, one->ver.chain))
            s.item[s.count++] = *one;
        i += c <= 0;
        k += c >= 0;
    }
    return close_items(into, column, birth, chains, &s, a);
}

/* The marks of all folded chains as one. False: out of memory. */
static bool items_fold(struct row_cell *cell, const struct row_column *column, const struct chain_table *chains, chain_no sum, struct arena *a, bool *changed)
{
    struct row_item all = {.ver = {.chain = sum}};
    uint32_t folded = 0, n = 0;
    for (uint32_t i = 0; i < cell->part_count; i++)
        folded += item_is_mark(&cell->items[i]) && chain_fold_of(chains, cell->items[i].ver.chain) > 0;
    if (folded < 2)
        return true;
    struct row_item *items = arena_alloc(a, cell->part_count * sizeof *items);
    if (items == NULL)
        return false;
    for (uint32_t i = 0; i < cell->part_count; i++) {
        const struct row_item *item = &cell->items[i];
        if (!item_is_mark(item) || chain_fold_of(chains, item->ver.chain) == 0)
            items[n++] = *item;
        else if (item->ver.stamp > all.ver.stamp)
            all.ver.stamp = item->ver.stamp;
    }
    uint32_t at = n++;
    for (; at > 0 && item_cmp(chains, column->kind, &items[at - 1], &all) > 0; at--)
        items[at] = items[at - 1];
    items[at] = all;
    cell->items = items;
    cell->part_count = n;
    *changed = true;
    return true;
}

bool row_fold_cell(struct row_cell *cell, const struct row_column *column, const struct chain_table *chains, chain_no sum, struct arena *a, bool *changed)
{
    if (column->kind == ROW_COUNTER)
        return counter_fold(cell, chains, sum, a, changed);
    if (column->kind == ROW_SET || column->kind == ROW_MULTIVALUE)
        return items_fold(cell, column, chains, sum, a, changed);
    return true;
}

/* ---- SET ---- */

static int write_cmp(const void *x, const void *y)
{
    const struct row_write *a = *(const struct row_write *const *)x, *b = *(const struct row_write *const *)y;
    int c = row_token_cmp(a->value.s, b->value.s);
    return c != 0 ? c : a < b ? -1 : a > b; /* one array: the first named stays the first */
}

/* The operation's elements in order, each once. NULL: out of memory. */
static const struct row_write **set_writes(const struct row_write *writes, uint32_t count, struct arena *a, uint32_t *out)
{
    const struct row_write **list = arena_alloc(a, (count + 1u) * sizeof *list);
    uint32_t n = 0;
    *out = 0;
    for (uint32_t i = 0; list != NULL && i < count; i++)
        if ((writes[i].op == ROW_ADD || writes[i].op == ROW_CUT) && writes[i].value.type == VALUE_TEXT)
            list[n++] = &writes[i];
    if (n > 1)
        qsort(list, n, sizeof *list, write_cmp);
    for (uint32_t i = 0; i < n; i++)
        if (*out == 0 || row_token_cmp(list[*out - 1]->value.s, list[i]->value.s) != 0)
            list[(*out)++] = list[i];
    return list;
}

/* Does one of these take the value below away? */
static bool cuts_base(const struct row_cell *cell, const struct row_column *column, const struct row_write **list, uint32_t n, const struct row_writer *w,
                      struct arena *a, bool *nomem)
{
    struct slice token = {0};
    if (!column->over_lww || cell->ver.stamp == 0 || (!row_writer_saw(w, cell->ver) && !plant_is(PLANT_SET_CUT_ENDS_UNSEEN)))
        return false;
    *nomem = !column->element(&cell->value, a, &token);
    for (uint32_t i = 0; i < n && token.n > 0; i++)
        if (list[i]->op == ROW_CUT && row_token_cmp(list[i]->value.s, token) == 0)
            return true;
    return false;
}

static bool set_write(struct row_cell *cell, const struct row_column *column, struct ver birth, const struct row_write *writes, uint32_t count,
                      const struct row_writer *w, struct arena *a, bool *changed)
{
    struct items old, s;
    uint32_t n;
    const struct row_write **list = set_writes(writes, count, a, &n);
    if (list == NULL || !open_items(cell, column, birth, 0, a, &old))
        return false;
    bool replay = w->ver.stamp <= top_of(&old, w->chains, w->ver.chain); /* its additions were here before */
    bool nomem = false, cut = old.base_cut || cuts_base(cell, column, list, n, w, a, &nomem), differs = cut != old.base_cut;
    s = (struct items){.item = arena_alloc(a, (old.count + n) * sizeof *s.item), .top = arena_alloc(a, (old.top_count + 1u) * sizeof *s.top),
                       .top_count = old.top_count, .base_cut = cut};
    if (s.item == NULL || s.top == NULL || nomem)
        return false;
    if (old.top_count > 0)
        memcpy(s.top, old.top, old.top_count * sizeof *s.top);
    for (uint32_t i = 0, k = 0; i < old.count || k < n;) {
        int c = k == n ? -1 : i == old.count ? 1 : row_token_cmp(old.item[i].value.s, list[k]->value.s);
        if (c < 0) {
            s.item[s.count++] = old.item[i++];
            continue;
        }
        uint32_t from = s.count;
        const struct row_write *write = list[k++];
        for (; i < old.count && row_token_cmp(old.item[i].value.s, write->value.s) == 0; i++) {
            bool sees = row_writer_saw(w, old.item[i].ver) || (plant_is(PLANT_SET_CUT_ENDS_UNSEEN) && write->op == ROW_CUT);
            differs |= sees;
            if (!sees)
                s.item[s.count++] = old.item[i];
        }
        if (write->op != ROW_ADD || replay)
            continue;
        struct row_item fresh = {.ver = w->ver, .value = write->value};
        uint32_t at = s.count++; /* among the same element's, by version */
        for (; at > from && ver_cmp(w->chains, s.item[at - 1].ver, fresh.ver) > 0; at--)
            s.item[at] = s.item[at - 1];
        s.item[at] = fresh;
        raise_top(&s, w->ver);
        differs = true;
    }
    if (!differs)
        return true;
    *changed = true;
    return close_items(cell, column, birth, w->chains, &s, a);
}

static bool set_begin(struct row_cell *cell, const struct row_write *write, const struct row_writer *w, struct arena *a)
{
    struct slice *tokens;
    uint32_t n;
    struct err bad = ERR_INIT;
    if (write->value.type != VALUE_JSON)
        return true; /* empty */
    quartet_status rc = row_tokens(write->value.s, a, &tokens, &n, &bad);
    if (rc != QUARTET_OK)
        return rc == QUARTET_CORRUPT; /* what is no set begins empty, alike everywhere */
    cell->items = arena_alloc(a, (n + 1u) * sizeof *cell->items);
    if (cell->items == NULL)
        return false;
    for (uint32_t i = 0; i < n; i++)
        cell->items[i] = (struct row_item){.ver = w->ver, .value = {.type = VALUE_TEXT, .s = tokens[i]}};
    cell->part_count = n;
    return true;
}

/* ---- MULTIVALUE ---- */

static bool multi_write(struct row_cell *cell, const struct row_column *column, struct ver birth, const struct row_write *write,
                        const struct row_writer *w, struct arena *a, bool *changed)
{
    struct items s;
    if (!open_items(cell, column, birth, 1, a, &s))
        return false;
    if (w->ver.stamp <= top_of(&s, w->chains, w->ver.chain))
        return true;
    uint32_t count = 0;
    for (uint32_t i = 0; i < s.count; i++)
        if (!row_writer_saw(w, s.item[i].ver) && !plant_is(PLANT_MULTI_KEEPS_ONE))
            s.item[count++] = s.item[i];
    uint32_t at = count++;
    for (; at > 0 && ver_cmp(w->chains, s.item[at - 1].ver, w->ver) > 0; at--)
        s.item[at] = s.item[at - 1];
    s.item[at] = (struct row_item){.ver = w->ver, .value = write->value};
    s.count = count;
    raise_top(&s, w->ver);
    *changed = true;
    return close_items(cell, column, birth, w->chains, &s, a);
}

/* ---- MAXIMUM, MINIMUM ---- */

bool cell_beats(const struct row_column *column, const struct chain_table *chains, const struct value *v, struct ver ver, const struct value *than,
                struct ver than_ver)
{
    bool none = v->type == VALUE_NULL, than_none = than->type == VALUE_NULL;
    if (none != than_none)
        return than_none;
    int c = none ? 0 : value_cmp(v, than);
    if (plant_is(PLANT_MAXIMUM_BY_STAMP))
        c = ver_cmp(chains, ver, than_ver);
    if (c != 0)
        return column->kind == ROW_MAXIMUM ? c > 0 : c < 0;
    return than_ver.stamp != 0 && (ver.stamp == 0 || ver_cmp(chains, ver, than_ver) < 0);
}

bool cell_began_anew(const struct row_cell *cell)
{
    return cell->part_count > 0 && item_is_mark(&cell->items[0]);
}

const struct row_item *cell_top(const struct row_cell *cell)
{
    uint32_t last = cell->part_count;
    return last > 0 && !item_is_mark(&cell->items[last - 1]) ? &cell->items[last - 1] : NULL;
}

/* What holds now, the default of an added column included. False: nothing above the base yet. */
static bool extreme_get(const struct row_cell *cell, const struct row_column *column, struct row_item *out)
{
    if (column->over_lww) {
        const struct row_item *top = cell_top(cell);
        *out = top != NULL ? *top : (struct row_item){.value = VALUE_NULL_INIT};
        return top != NULL;
    }
    *out = (struct row_item){.ver = cell->ver, .value = cell->ver.stamp != 0 ? cell->value : column->missing};
    return true;
}

static bool extreme_put(struct row_cell *cell, const struct row_column *column, const struct row_item *holds, const struct row_item *mark, struct arena *a)
{
    struct row_item *items = arena_alloc(a, 2 * sizeof *items);
    uint32_t n = 0;
    if (items == NULL)
        return false;
    if (mark != NULL)
        items[n++] = *mark;
    if (column->over_lww) {
        items[n++] = *holds;
    } else {
        cell->ver = holds->ver;
        cell->value = holds->value;
    }
    cell->items = items;
    cell->part_count = n;
    return true;
}

static bool extreme_write(struct row_cell *cell, const struct row_column *column, const struct row_write *write, const struct row_writer *w,
                          struct arena *a, bool *changed)
{
    struct row_item mark = {.ver = {0}}, holds, fresh = {.ver = w->ver, .value = write->value};
    bool anew = cell_began_anew(cell);
    if (anew)
        mark = cell->items[0];
    if (write->op == ROW_CUT) {
        if (anew && ver_cmp(w->chains, w->ver, mark.ver) <= 0)
            return true;
        mark = (struct row_item){.ver = w->ver};
        *changed = true;
        return extreme_put(cell, column, &fresh, &mark, a);
    }
    if (anew && !row_writer_saw(w, mark.ver))
        return true; /* it was for the register as it was before */
    if (extreme_get(cell, column, &holds) && !cell_beats(column, w->chains, &write->value, w->ver, &holds.value, holds.ver))
        return true;
    if (write->value.type == VALUE_NULL)
        return true;
    *changed = true;
    return extreme_put(cell, column, &fresh, anew ? &mark : NULL, a);
}

static bool extreme_join(struct row_cell *into, const struct row_cell *other, const struct row_column *column, const struct chain_table *chains,
                         struct arena *a)
{
    bool anew = cell_began_anew(into), theirs_anew = cell_began_anew(other);
    int c = anew && theirs_anew ? ver_cmp(chains, other->items[0].ver, into->items[0].ver) : (int)theirs_anew - (int)anew;
    struct row_item holds, theirs;
    bool has = extreme_get(into, column, &holds), has_theirs = extreme_get(other, column, &theirs);
    if (c < 0 || !has_theirs)
        return true;
    if (c == 0 && has && !cell_beats(column, chains, &theirs.value, theirs.ver, &holds.value, holds.ver))
        return true;
    return extreme_put(into, column, &theirs, theirs_anew ? &other->items[0] : NULL, a);
}

/* ---- all kinds ---- */

bool cell_begin(struct row_cell *cell, const struct row_column *column, const struct row_write *write, const struct row_writer *w, struct arena *a)
{
    cell->ver = w->ver;
    if (column->kind == ROW_SET && (!column->over_lww || write->value.type == VALUE_JSON))
        return set_begin(cell, write, w, a);
    if (column->kind != ROW_COUNTER || column->over_lww) {
        cell->value = write->value;
        return true;
    }
    struct row_part part = {.chain = w->ver.chain, .last = w->ver.stamp};
    part.sum = dec_make(row_counter_number(column, &write->value));
    return dec_get(part.sum) == 0 || plant_is(PLANT_FIRST_VALUE_LOST) || put_part(cell, w->chains, part, false, a);
}

static void lww_write(struct row_cell *cell, const struct row_write *write, const struct row_writer *w, bool *changed)
{
    if (plant_is(PLANT_LOCAL_ORDER) ? w->ver.chain < cell->ver.chain : ver_cmp(w->chains, w->ver, cell->ver) <= 0 && !plant_is(PLANT_ARRIVAL_WINS))
        return;
    cell->ver = w->ver;
    cell->value = write->value;
    *changed = true;
}

/* The value below a SET. That an older one was taken away is of no use any more. */
static bool base_write(struct row_cell *cell, const struct row_write *write, const struct row_writer *w, struct arena *a, bool *changed)
{
    struct row_write plain = *write;
    bool took = false;
    if (plain.value.type == VALUE_JSON)
        plain.value = VALUE_NULL_INIT; /* no value of a plain column that can become a SET */
    lww_write(cell, &plain, w, &took);
    *changed |= took;
    if (!took || cell->part_count == 0)
        return true;
    struct row_item *items = arena_alloc(a, cell->part_count * sizeof *items);
    uint32_t n = 0;
    for (uint32_t i = 0; items != NULL && i < cell->part_count; i++)
        if (cell->items[i].value.type != VALUE_NULL)
            items[n++] = cell->items[i];
    cell->items = items;
    cell->part_count = n;
    return items != NULL;
}

bool cell_write(struct row_cell *cell, const struct row_column *column, struct ver birth, const struct row_write *writes, uint32_t count, bool adds,
                const struct row_writer *w, struct arena *a, bool *changed)
{
    uint8_t op = writes[0].op;
    if (plant_is(PLANT_NULL_IGNORED) && writes[0].value.type == VALUE_NULL)
        return true;
    if (op == ROW_PUT) {
        if (column->kind == ROW_SET && column->over_lww)
            return base_write(cell, &writes[0], w, a, changed);
        if (column->kind == ROW_LWW || column->over_lww)
            lww_write(cell, &writes[0], w, changed);
        else if (column->kind == ROW_SET && count > 1)
            return set_write(cell, column, birth, writes, count, w, a, changed); /* a PUT among them does nothing */
        return true;
    }
    switch (column->kind) {
    case ROW_COUNTER:
        return op != ROW_ADD || !adds || counter_add(cell, column, &writes[0], w, a, changed);
    case ROW_MAXIMUM:
    case ROW_MINIMUM:
        return extreme_write(cell, column, &writes[0], w, a, changed);
    case ROW_SET:
        return set_write(cell, column, birth, writes, count, w, a, changed);
    case ROW_MULTIVALUE:
        return op != ROW_ADD || multi_write(cell, column, birth, &writes[0], w, a, changed);
    default:
        return true; /* made for another kind of column: the same nothing on every node */
    }
}

bool cell_join(struct row_cell *into, const struct row_cell *other, const struct row_column *column, struct ver birth, const struct chain_table *chains,
               struct arena *a)
{
    bool own = column->kind == ROW_MAXIMUM || column->kind == ROW_MINIMUM || column->kind == ROW_MULTIVALUE; /* they join ver and value themselves */
    if ((!own || column->over_lww) && ver_cmp(chains, other->ver, into->ver) > 0) {
        into->ver = other->ver;
        into->value = other->value;
    }
    switch (column->kind) {
    case ROW_COUNTER:
        return counter_join(into, other, chains, a);
    case ROW_MAXIMUM:
    case ROW_MINIMUM:
        return extreme_join(into, other, column, chains, a);
    case ROW_SET:
    case ROW_MULTIVALUE:
        return items_join(into, other, column, birth, chains, a);
    default:
        return true;
    }
}

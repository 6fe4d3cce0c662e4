/* row_show.c - what a row shows: its unended lives together, by the kind of each column.
 * Invariant: a column that is over_lww and was not written since shows what a plain one would, since records keep what showed then.
 * Not here: how registers came to be so (row_cell.c). */
#include "row_cell.h"

#include <stdlib.h>
#include <string.h>

#include "base/plant.h"

const struct row_cell *row_shown_cell(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, uint32_t column)
{
    const struct row_column *c = &schema->columns[column];
    bool extreme = (c->kind == ROW_MAXIMUM || c->kind == ROW_MINIMUM) && !c->over_lww;
    const struct row_cell *shown = NULL;
    for (uint32_t i = 0; i < row->life_count; i++) {
        const struct row_cell *cell = row->lives[i].ended ? NULL : &row->lives[i].cells[column];
        if (cell == NULL)
            continue;
        bool better = shown == NULL;
        if (!better && extreme)
            better = cell_beats(c, chains, cell->ver.stamp != 0 ? &cell->value : &c->missing, cell->ver,
                                shown->ver.stamp != 0 ? &shown->value : &c->missing, shown->ver);
        else if (!better)
            better = !plant_is(PLANT_SHOWS_OLDEST) && ver_cmp(chains, cell->ver, shown->ver) > 0;
        if (better)
            shown = cell;
    }
    QASSERT(shown != NULL);
    return shown;
}

/* The plain register below, or all there is of a plain column. */
static struct value base_value(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, uint32_t column)
{
    const struct row_cell *cell = row_shown_cell(row, schema, chains, column);
    return cell->ver.stamp != 0 ? cell->value : schema->columns[column].missing;
}

static struct value show_counter(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, uint32_t column)
{
    const struct row_column *c = &schema->columns[column];
    unsigned __int128 sum = 0; /* wraps, as sums of parts do */
    bool touched = !c->over_lww;
    for (uint32_t i = 0; i < row->life_count; i++) {
        const struct row_life *life = &row->lives[i];
        if (life->ended)
            continue;
        sum += (unsigned __int128)row_counter_sum(c, &life->cells[column]);
        touched |= life->cells[column].part_count > 0;
    }
    if (!c->over_lww)
        return row_counter_value(c, (__int128)sum);
    struct value base = base_value(row, schema, chains, column);
    return touched ? row_counter_value(c, (__int128)(sum + (unsigned __int128)row_counter_number(c, &base))) : base;
}

/* over_lww: the base value of the lives whose register did not begin anew, unless one above it beats it. */
static struct value show_extreme(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, uint32_t column)
{
    const struct row_column *c = &schema->columns[column];
    const struct row_cell *base = NULL;
    for (uint32_t i = 0; i < row->life_count; i++) {
        const struct row_cell *cell = row->lives[i].ended ? NULL : &row->lives[i].cells[column];
        if (cell != NULL && !cell_began_anew(cell) && (base == NULL || ver_cmp(chains, cell->ver, base->ver) > 0))
            base = cell;
    }
    struct row_item best = {.value = base == NULL ? VALUE_NULL_INIT : base->ver.stamp != 0 ? base->value : c->missing};
    for (uint32_t i = 0; i < row->life_count; i++) {
        const struct row_item *top = row->lives[i].ended ? NULL : cell_top(&row->lives[i].cells[column]);
        if (top != NULL && cell_beats(c, chains, &top->value, top->ver, &best.value, best.ver))
            best = *top;
    }
    return best.value;
}

static int token_order(const void *x, const void *y)
{
    return row_token_cmp(*(const struct slice *)x, *(const struct slice *)y);
}

/* The value below, where it is there still; NULL: none. Its write went to each of several lives, to some of which its removal need not have come. */
static struct value base_element(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, uint32_t column)
{
    const struct row_cell *shown = row_shown_cell(row, schema, chains, column);
    for (uint32_t i = 0; i < row->life_count; i++) {
        const struct row_cell *cell = row->lives[i].ended ? NULL : &row->lives[i].cells[column];
        if (cell != NULL && ver_eq(cell->ver, shown->ver) && !cell_base_cut(cell))
            return cell->value;
    }
    return VALUE_NULL_INIT;
}

bool row_show_as_set(const struct row_column *column, struct value *v, struct arena *a)
{
    struct slice token = {0};
    if (v->type == VALUE_JSON)
        return true;
    return column->element(v, a, &token) && row_tokens_join(&token, token.n > 0, a, v);
}

static bool show_set(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, uint32_t column, struct arena *a, struct value *out)
{
    uint32_t n = 0, count = 0, lives = 0;
    struct slice base = {0};
    for (uint32_t i = 0; i < row->life_count; i++)
        n += row->lives[i].ended ? 0 : row->lives[i].cells[column].part_count;
    if (schema->columns[column].over_lww) {
        if (n == 0) {
            *out = base_value(row, schema, chains, column);
            return true;
        }
        struct value below = base_element(row, schema, chains, column);
        if (!schema->columns[column].element(&below, a, &base))
            return false;
    }
    struct slice *tokens = arena_alloc(a, (n + 1u) * sizeof *tokens);
    if (tokens == NULL)
        return false;
    if (base.n > 0)
        tokens[count++] = base;
    for (uint32_t i = 0; i < row->life_count; i++) {
        const struct row_life *life = &row->lives[i];
        lives += !life->ended;
        for (uint32_t k = 0; !life->ended && k < life->cells[column].part_count; k++)
            if (life->cells[column].items[k].value.type == VALUE_TEXT)
                tokens[count++] = life->cells[column].items[k].value.s;
    }
    if (lives > 1 || base.n > 0)
        qsort(tokens, count, sizeof *tokens, token_order); /* one life's are in order */
    n = count;
    count = 0;
    for (uint32_t i = 0; i < n; i++)
        if (count == 0 || row_token_cmp(tokens[count - 1], tokens[i]) != 0)
            tokens[count++] = tokens[i];
    return row_tokens_join(tokens, count, a, out);
}

/* ---- MULTIVALUE ---- */

static void add_sibling(struct row_item *list, uint32_t *count, const struct row_item *one, const struct chain_table *chains)
{
    uint32_t at = *count;
    for (; at > 0 && ver_cmp(chains, list[at - 1].ver, one->ver) < 0; at--)
        ;
    if (at > 0 && ver_eq(list[at - 1].ver, one->ver))
        return; /* one write, to several lives */
    memmove(list + at + 1, list + at, (*count - at) * sizeof *list);
    list[at] = *one;
    ++*count;
}

/* The newest first. A value below (over_lww) counts while nothing newer was written above it. NULL: out of memory. */
static struct row_item *siblings(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, uint32_t column, struct arena *a,
                                 uint32_t *count)
{
    const struct row_column *c = &schema->columns[column];
    uint32_t n = 1;
    for (uint32_t i = 0; i < row->life_count; i++)
        n += row->lives[i].ended ? 0 : row->lives[i].cells[column].part_count + 1;
    struct row_item *list = arena_alloc(a, n * sizeof *list);
    *count = 0;
    for (uint32_t i = 0; list != NULL && i < row->life_count; i++) {
        const struct row_cell *cell = row->lives[i].ended ? NULL : &row->lives[i].cells[column];
        if (cell == NULL)
            continue;
        const struct row_item *newest = NULL;
        for (uint32_t k = 0; k < cell->part_count; k++) {
            if (item_is_mark(&cell->items[k]))
                continue;
            add_sibling(list, count, &cell->items[k], chains);
            newest = &cell->items[k]; /* by version */
        }
        struct row_item base = {.ver = cell->ver, .value = cell->ver.stamp != 0 ? cell->value : c->missing};
        if (!c->over_lww || newest == NULL || ver_cmp(chains, base.ver, newest->ver) > 0)
            add_sibling(list, count, &base, chains);
    }
    return list;
}

bool row_siblings(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, uint32_t column, struct arena *a,
                  struct value **out, uint32_t *count)
{
    struct row_item *list = siblings(row, schema, chains, column, a, count);
    *out = list == NULL ? NULL : arena_alloc(a, (*count + 1u) * sizeof **out);
    for (uint32_t i = 0; *out != NULL && i < *count; i++)
        (*out)[i] = list[i].value;
    return *out != NULL;
}

bool row_show_column(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, uint32_t column, struct arena *a,
                     struct value *out)
{
    const struct row_column *c = &schema->columns[column];
    uint32_t n;
    QASSERT(column < schema->count);
    switch (c->kind) {
    case ROW_COUNTER:
        *out = show_counter(row, schema, chains, column);
        return true;
    case ROW_SET:
        return show_set(row, schema, chains, column, a, out);
    case ROW_MAXIMUM:
    case ROW_MINIMUM:
        *out = c->over_lww ? show_extreme(row, schema, chains, column) : base_value(row, schema, chains, column);
        return true;
    case ROW_MULTIVALUE:
        if (c->over_lww) {
            const struct row_item *list = siblings(row, schema, chains, column, a, &n);
            if (list != NULL)
                *out = list[0].value;
            return list != NULL;
        }
        break; /* each life's newest stands where a plain column's value does */
    default:
        break;
    }
    *out = base_value(row, schema, chains, column);
    return true;
}

bool row_show(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, struct arena *a, struct value *out)
{
    for (uint32_t i = 0; i < schema->count; i++)
        if (!row_show_column(row, schema, chains, i, a, &out[i]))
            return false;
    return true;
}

/* row.c - how rows merge: lives that INSERTs begin and DELETEs end, and one register per column in each life.
 * Why lives: a DELETE must win over what its writer saw, whatever the clocks say, and never over an INSERT that it had not
 *   seen. So a write goes to the lives its writer saw, each life keeps its own newest write, and when one life ends the others
 *   show what was written to them. A register per row instead would lose the loser's value for good.
 * Invariants: lives are sorted by birth. An ended life keeps its birth only, and of each chain only the newest one is kept: a
 *   chain's INSERTs arrive in order, so a birth that is older than a known one of its chain and is not listed has ended. That
 *   is what makes replays harmless, and a row that is deleted and inserted a thousand times stays as small as one.
 *   No operation depends on what it finds but by comparing versions, so any causal order of arrival gives the same row.
 * Not here: the record's bytes (row_encode.c), the hash (row_hash.c), who is quarantined (engine). */
#include "row.h"

#include <string.h>

#include "base/plant.h"

static bool is_counter(const struct row_schema *schema, uint32_t column)
{
    return schema->columns[column].kind == ROW_COUNTER;
}

bool row_writer_saw(const struct row_writer *w, struct ver birth)
{
    if (birth.chain == w->ver.chain)
        return birth.stamp < w->ver.stamp; /* its own chain it always saw, but not what it makes itself */
    return vv_saw(w->seen, birth);
}

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
    __int128 sum = cell->ver.stamp == 0 ? row_counter_number(column, &column->missing) : 0;
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

/* Drop ended lives that a newer one of the same chain speaks for. */
static void tidy(struct row *row)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < row->life_count; i++) {
        bool needed = !row->lives[i].ended;
        if (!needed) {
            uint32_t j = i + 1; /* lives are sorted, so a newer one comes later */
            while (j < row->life_count && row->lives[j].birth.chain != row->lives[i].birth.chain)
                j++;
            needed = j == row->life_count;
        }
        if (needed)
            row->lives[kept++] = row->lives[i];
    }
    row->life_count = kept;
}

static void end_life(struct row_life *life)
{
    life->ended = true;
    life->cells = NULL;
}

/* Was this birth known to the one who holds this row? A newer birth of its chain tells so too. */
static bool knows_birth(const struct row *row, struct ver birth)
{
    for (uint32_t i = 0; i < row->life_count; i++)
        if (row->lives[i].birth.chain == birth.chain && row->lives[i].birth.stamp >= birth.stamp)
            return true;
    return false;
}

/* Room for one more life, at its place. */
static struct row_life *add_life(struct row *row, struct ver birth, const struct chain_table *chains, struct arena *a)
{
    uint32_t i = 0;
    while (i < row->life_count && ver_cmp(chains, row->lives[i].birth, birth) < 0)
        i++;
    struct row_life *lives = arena_zalloc(a, row->life_count + 1u, sizeof *lives);
    if (lives == NULL)
        return NULL;
    if (row->life_count > 0) {
        memcpy(lives, row->lives, i * sizeof *lives);
        memcpy(lives + i + 1, row->lives + i, (row->life_count - i) * sizeof *lives);
    }
    row->lives = lives;
    row->life_count++;
    return &lives[i];
}

static quartet_status give_birth(struct row *row, const struct row_schema *schema, const struct row_op *op,
                                 const struct row_writer *w, struct arena *a, bool *changed, struct err *err)
{
    if (knows_birth(row, w->ver))
        return QUARTET_OK; /* a replay: nothing to do, above all no second life for a dead row */
    struct row_life *life = add_life(row, w->ver, w->chains, a);
    struct row_cell *cells = arena_zalloc(a, schema->count, sizeof *cells);
    if (life == NULL || cells == NULL)
        return arena_fail(a, err);
    *life = (struct row_life){.birth = w->ver, .cells = cells};
    for (uint32_t i = 0; i < schema->count; i++)
        cells[i].value = VALUE_NULL_INIT;
    for (uint32_t i = 0; i < op->write_count; i++) {
        const struct row_write *write = &op->writes[i];
        struct row_cell *cell = &cells[write->column];
        if (cell->ver.stamp != 0)
            continue;
        cell->ver = w->ver;
        if (!is_counter(schema, write->column)) {
            cell->value = write->value;
            continue;
        }
        struct row_part part = {.chain = w->ver.chain, .last = w->ver.stamp};
        part.sum = dec_make(row_counter_number(&schema->columns[write->column], &write->value));
        if (dec_get(part.sum) != 0 && !plant_is(PLANT_FIRST_VALUE_LOST) && !put_part(cell, w->chains, part, false, a))
            return arena_fail(a, err);
    }
    *changed = true;
    tidy(row);
    return QUARTET_OK;
}

/* Whether additions are for this life. */
static bool adds_to(const struct row_life *life, const struct row_op *op, const struct row_writer *w)
{
    return (op->flags & ROW_OP_ADD_TO) == 0 || plant_is(PLANT_ADDS_TO_ALL) ||
           (life->birth.stamp == op->life_stamp && chain_id_cmp(chain_id_of(w->chains, life->birth.chain), op->life_chain) == 0);
}

static quartet_status write_life(struct row_life *life, const struct row_schema *schema, const struct row_op *op,
                                 const struct row_writer *w, struct arena *a, bool *changed, struct err *err)
{
    bool takes_adds = adds_to(life, op, w);
    for (uint32_t i = 0; i < op->write_count; i++) {
        const struct row_write *write = &op->writes[i];
        if (plant_is(PLANT_NULL_IGNORED) && write->value.type == VALUE_NULL)
            continue;
        struct row_cell *cell = &life->cells[write->column];
        if (write->add != is_counter(schema, write->column) || (write->add && !takes_adds))
            continue; /* for another life, or made for another kind of column: the same nothing on every node */
        if (!write->add) {
            if (plant_is(PLANT_LOCAL_ORDER) ? w->ver.chain < cell->ver.chain : ver_cmp(w->chains, w->ver, cell->ver) <= 0 && !plant_is(PLANT_ARRIVAL_WINS))
                continue;
            cell->ver = w->ver;
            cell->value = write->value;
            *changed = true;
            continue;
        }
        const struct row_part *mine = find_part(cell, w->ver.chain);
        struct row_part part = {.chain = w->ver.chain, .last = w->ver.stamp};
        part.sum = dec_make(row_counter_number(&schema->columns[write->column], &write->value));
        if (dec_get(part.sum) == 0 || (mine != NULL && w->ver.stamp <= mine->last))
            continue; /* nothing, or already in the sum */
        if (!put_part(cell, w->chains, part, !plant_is(PLANT_COUNTER_REPLACES), a))
            return arena_fail(a, err);
        *changed = true;
    }
    return QUARTET_OK;
}

quartet_status row_apply(struct row *row, const struct row_schema *schema, const struct row_op *op, const struct row_writer *writer,
                         struct arena *a, bool *changed, struct err *err)
{
    *changed = false;
    QASSERT(writer->ver.stamp != 0);
    for (uint32_t i = 0; i < op->write_count; i++)
        if (op->writes[i].column >= schema->count)
            return err_set(err, QUARTET_INTERNAL, "a write to column %u of %u", op->writes[i].column, schema->count);
    if ((op->flags & ROW_OP_DELETE) != 0) {
        for (uint32_t i = 0; i < row->life_count; i++)
            if (!row->lives[i].ended && (row_writer_saw(writer, row->lives[i].birth) || plant_is(PLANT_DELETE_ENDS_UNSEEN))) {
                end_life(&row->lives[i]);
                *changed = true;
                if (plant_is(PLANT_DELETE_ENDS_ONE))
                    break;
            }
        if (*changed)
            tidy(row);
    }
    if ((op->flags & ROW_OP_INSERT) != 0)
        return give_birth(row, schema, op, writer, a, changed, err);
    for (uint32_t i = 0; i < row->life_count; i++) {
        struct row_life *life = &row->lives[i];
        if (life->ended || (!row_writer_saw(writer, life->birth) && !plant_is(PLANT_WRITES_UNSEEN)))
            continue;
        quartet_status rc = write_life(life, schema, op, writer, a, changed, err);
        if (rc != QUARTET_OK || plant_is(PLANT_WRITES_ONE_LIFE))
            return rc;
    }
    return QUARTET_OK;
}

static bool merge_parts(struct row_cell *into, const struct row_cell *other, const struct chain_table *chains, struct arena *a)
{
    for (uint32_t i = 0; i < other->part_count; i++) {
        const struct row_part *mine = find_part(into, other->parts[i].chain);
        if ((mine == NULL || mine->last < other->parts[i].last) && !put_part(into, chains, other->parts[i], false, a))
            return false;
    }
    return true;
}

static bool merge_cells(struct row_life *into, const struct row_life *other, const struct row_schema *schema,
                        const struct chain_table *chains, struct arena *a)
{
    for (uint32_t i = 0; i < schema->count; i++) {
        struct row_cell *mine = &into->cells[i];
        const struct row_cell *theirs = &other->cells[i];
        if (ver_cmp(chains, theirs->ver, mine->ver) > 0) {
            mine->ver = theirs->ver;
            mine->value = theirs->value;
        }
        if (is_counter(schema, i) && !merge_parts(mine, theirs, chains, a))
            return false;
    }
    return true;
}

/* A copy that can be written to without touching the original; the bytes of values are shared. */
static bool copy_life(struct row_life *to, const struct row_life *from, const struct row_schema *schema, struct arena *a)
{
    *to = *from;
    if (from->ended)
        return true;
    to->cells = arena_zalloc(a, schema->count, sizeof *to->cells);
    if (to->cells == NULL)
        return false;
    for (uint32_t i = 0; i < schema->count; i++) {
        to->cells[i] = from->cells[i];
        if (from->cells[i].part_count == 0)
            continue;
        to->cells[i].parts = arena_dup(a, from->cells[i].parts, from->cells[i].part_count * sizeof *from->cells[i].parts);
        if (to->cells[i].parts == NULL)
            return false;
    }
    return true;
}

static struct row_life *find_life(const struct row *row, struct ver birth)
{
    for (uint32_t i = 0; i < row->life_count; i++)
        if (ver_eq(row->lives[i].birth, birth))
            return &row->lives[i];
    return NULL;
}

quartet_status row_merge(struct row *into, const struct row *other, const struct row_schema *schema, const struct chain_table *chains,
                         struct arena *a, struct err *err)
{
    /* First what the other side saw end: lives it lists as ended, or knew and no longer lists. */
    for (uint32_t i = 0; i < into->life_count; i++) {
        struct row_life *mine = &into->lives[i];
        const struct row_life *theirs = find_life(other, mine->birth);
        if (theirs == NULL ? knows_birth(other, mine->birth) : theirs->ended)
            end_life(mine);
    }
    for (uint32_t i = 0; i < other->life_count; i++) {
        const struct row_life *theirs = &other->lives[i];
        struct row_life *mine = find_life(into, theirs->birth);
        if (mine != NULL) {
            if (!mine->ended && !merge_cells(mine, theirs, schema, chains, a))
                return arena_fail(a, err);
            continue;
        }
        if (knows_birth(into, theirs->birth))
            continue; /* it has ended here */
        mine = add_life(into, theirs->birth, chains, a);
        if (mine == NULL || !copy_life(mine, theirs, schema, a))
            return arena_fail(a, err);
    }
    tidy(into);
    return QUARTET_OK;
}

const struct row_life *row_first_life(const struct row *row)
{
    for (uint32_t i = 0; i < row->life_count; i++)
        if (!row->lives[i].ended)
            return &row->lives[i]; /* they are sorted by birth */
    return NULL;
}

bool row_live(const struct row *row)
{
    return row_first_life(row) != NULL;
}

const struct row_cell *row_shown_cell(const struct row *row, const struct chain_table *chains, uint32_t column)
{
    const struct row_cell *newest = NULL;
    for (uint32_t i = 0; i < row->life_count; i++) {
        const struct row_life *life = &row->lives[i];
        if (!life->ended && (newest == NULL || (!plant_is(PLANT_SHOWS_OLDEST) && ver_cmp(chains, life->cells[column].ver, newest->ver) > 0)))
            newest = &life->cells[column];
    }
    QASSERT(newest != NULL);
    return newest;
}

struct value row_show_column(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, uint32_t column)
{
    const struct row_column *c = &schema->columns[column];
    QASSERT(column < schema->count);
    if (c->kind != ROW_COUNTER) {
        const struct row_cell *cell = row_shown_cell(row, chains, column);
        return cell->ver.stamp != 0 ? cell->value : c->missing;
    }
    __int128 sum = 0;
    for (uint32_t i = 0; i < row->life_count; i++)
        if (!row->lives[i].ended)
            sum = add_wrap(sum, row_counter_sum(c, &row->lives[i].cells[column]));
    return row_counter_value(c, sum);
}

void row_show(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, struct value *out)
{
    for (uint32_t i = 0; i < schema->count; i++)
        out[i] = row_show_column(row, schema, chains, i);
}

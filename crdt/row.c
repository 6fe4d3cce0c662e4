/* row.c - how rows merge: lives that INSERTs begin and DELETEs end; what one life takes of an operation.
 * Why lives: a DELETE must win over what its writer saw, whatever the clocks say, and never over an INSERT that it had not
 *   seen. So a write goes to the lives its writer saw, each life keeps its own newest write, and when one life ends the others
 *   show what was written to them. A register per row instead would lose the loser's value for good.
 * Invariants: lives are sorted by birth. An ended life keeps its birth only, and of each chain only the newest one is kept: a
 *   chain's INSERTs arrive in order, so a birth that is older than a known one of its chain and is not listed has ended. That
 *   is what makes replays harmless, and a row that is deleted and inserted a thousand times stays as small as one.
 *   No operation depends on what it finds but by comparing versions, so any causal order of arrival gives the same row.
 * Where updates win (the table's option) a DELETE ends a life only while it had seen every write to it, so writes and DELETEs are kept, each DELETE is judged by itself,
 *   and an ended life keeps its registers. Which lives a writer took to be there cannot be told from vectors then, so operations name them.
 *   The option can be switched: so each operation says whether its writer had it on (ROW_OP_WIN). One that does not is as in any table: its DELETE ends what it saw for
 *   good, whoever wrote to it, and its writes hold off no DELETE. That depends on nothing but the operation, so no order of arrival of the switch matters.
 * Not here: registers (row_cell.c), what a row shows (row_show.c), the record's bytes (row_encode.c), the hash (row_hash.c), who is quarantined (engine). */
#include "row_cell.h"

#include <string.h>

#include "base/plant.h"

bool row_writer_saw(const struct row_writer *w, struct ver birth)
{
    if (birth.chain == w->ver.chain)
        return birth.stamp < w->ver.stamp; /* its own chain it always saw, but not what it makes itself */
    return vv_saw(w->seen, birth);
}

/* Drop ended lives that a newer one of the same chain speaks for; not those that a late write may bring back. */
static void tidy(struct row *row)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < row->life_count; i++) {
        bool needed = !row->lives[i].ended || row->lives[i].cells != NULL;
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

/* For good: nothing brings it back. */
static void end_life(struct row_life *life)
{
    *life = (struct row_life){.birth = life->birth, .ended = true};
}

static bool ended_for_good(const struct row_life *life)
{
    return life->ended && life->cells == NULL;
}

/* Was this birth known to the one who holds this row? A newer birth of its chain tells so too; and of a folded chain what stands for all its births that ended. */
static bool knows_birth(const struct row *row, struct ver birth, const struct chain_table *chains)
{
    uint32_t fold = plant_is(PLANT_FOLD_FORGOTTEN) ? 0 : chain_fold_of(chains, birth.chain);
    for (uint32_t i = 0; i < row->life_count; i++) {
        struct ver other = row->lives[i].birth;
        if (other.chain == birth.chain ? other.stamp >= birth.stamp : fold > 0 && chain_is_sum(chains, other.chain) && chain_fold_of(chains, other.chain) >= fold)
            return true;
    }
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
    if (knows_birth(row, w->ver, w->chains))
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
        if (cell->ver.stamp == 0 && !cell_begin(cell, &schema->columns[write->column], write, w, a))
            return arena_fail(a, err);
    }
    *changed = true;
    tidy(row);
    return QUARTET_OK;
}

static bool is_life(const struct row_life *life, const struct row_birth *birth, const struct chain_table *chains)
{
    return ver_is(chains, life->birth, birth->stamp, birth->chain);
}

/* Is the operation for this life, as far as it names lives; and are its additions? */
static bool takes_writes(const struct row_life *life, const struct row_op *op, const struct row_writer *w, bool *adds)
{
    bool named = op->life_count == 0 || (op->flags & ROW_OP_LIVES) == 0;
    for (uint32_t i = 0; i < op->life_count && !named; i++)
        named = is_life(life, &op->lives[i], w->chains);
    *adds = op->life_count == 0 || plant_is(PLANT_ADDS_TO_ALL) || is_life(life, &op->lives[op->life_count - 1], w->chains);
    return named;
}

static hlc_stamp part_last(const struct row_part *parts, uint32_t count, chain_no chain)
{
    for (uint32_t i = 0; i < count; i++)
        if (parts[i].chain == chain)
            return parts[i].last;
    return 0;
}

/* Raise a chain's entry in a list that is sorted by chain identity. */
static bool raise_part(struct row_part **parts, uint32_t *count, struct row_part part, const struct chain_table *chains, struct arena *a)
{
    uint32_t at = 0;
    while (at < *count && chain_no_cmp(chains, (*parts)[at].chain, part.chain) < 0)
        at++;
    bool there = at < *count && (*parts)[at].chain == part.chain;
    if (there && (*parts)[at].last >= part.last)
        return true;
    struct row_part *list = arena_zalloc(a, *count + 1u, sizeof *list); /* never in place: rows share lists */
    if (list == NULL)
        return false;
    if (*count > 0) {
        memcpy(list, *parts, at * sizeof *list);
        memcpy(list + at + !there, *parts + at, (*count - at) * sizeof *list);
    }
    list[at] = part;
    *parts = list;
    *count += !there;
    return true;
}

/* ---- where updates win ---- */

static bool delete_saw_all(const struct row_delete *d, const struct row_life *life)
{
    for (uint32_t i = 0; i < life->write_count; i++)
        if (part_last(d->seen, d->seen_count, life->writes[i].chain) < life->writes[i].last)
            return false;
    return true;
}

/* Had the writer of `a` seen all that `b`'s had? */
static bool delete_covers(const struct row_delete *a, const struct row_delete *b)
{
    for (uint32_t i = 0; i < b->seen_count; i++)
        if (part_last(a->seen, a->seen_count, b->seen[i].chain) < b->seen[i].last)
            return false;
    return true;
}

/* Only DELETEs that saw every write end the life; of those, one that had seen less than another adds nothing. `fresh` (NULL: none) is one more. */
static bool judge(struct row_life *life, const struct row_delete *fresh, const struct chain_table *chains, struct arena *a)
{
    struct row_delete *list = arena_alloc(a, (life->delete_count + 1u) * sizeof *list);
    uint32_t n = 0, count = 0;
    if (list == NULL)
        return false;
    for (uint32_t i = 0; i < life->delete_count; i++)
        list[n++] = life->deletes[i];
    if (fresh != NULL) {
        uint32_t at = n++;
        for (; at > 0 && ver_cmp(chains, list[at - 1].ver, fresh->ver) > 0; at--)
            list[at] = list[at - 1];
        list[at] = *fresh;
    }
    struct row_delete *kept = arena_alloc(a, (n + 1u) * sizeof *kept);
    if (kept == NULL)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        bool needed = delete_saw_all(&list[i], life);
        for (uint32_t k = 0; k < n && needed; k++) /* of two that saw the same the first stays */
            needed = k == i || !delete_covers(&list[k], &list[i]) || (delete_covers(&list[i], &list[k]) && i < k);
        if (needed)
            kept[count++] = list[i];
    }
    life->deletes = kept;
    life->delete_count = count;
    life->ended = count > 0;
    return true;
}

static bool judge_delete(struct row_life *life, const struct row_writer *w, struct arena *a, bool *changed)
{
    struct row_part *seen = NULL;
    struct row_delete d = {.ver = w->ver};
    bool was = life->ended;
    for (uint32_t i = 0; i < life->delete_count; i++)
        if (ver_eq(life->deletes[i].ver, w->ver))
            return true;
    for (uint32_t i = 0; i < w->seen->count; i++)
        if (w->seen->e[i].chain != w->ver.chain &&
            !raise_part(&seen, &d.seen_count, (struct row_part){.chain = w->seen->e[i].chain, .last = w->seen->e[i].stamp}, w->chains, a))
            return false;
    if (!raise_part(&seen, &d.seen_count, (struct row_part){.chain = w->ver.chain, .last = w->ver.stamp}, w->chains, a))
        return false;
    d.seen = seen;
    if (!delete_saw_all(&d, life))
        return true; /* it can never end this life */
    if (!judge(life, &d, w->chains, a))
        return false;
    for (uint32_t i = 0; i < life->delete_count; i++)
        *changed |= ver_eq(life->deletes[i].ver, w->ver);
    *changed |= was != life->ended;
    return true;
}

/* A write counts against DELETEs that had not seen it, whatever becomes of its values. */
static bool note_write(struct row_life *life, const struct row_writer *w, bool took, struct arena *a, bool *changed)
{
    if (plant_is(PLANT_UPDATE_FORGOTTEN) && !took)
        return true;
    if (part_last(life->writes, life->write_count, w->ver.chain) >= w->ver.stamp)
        return true;
    *changed = true;
    return raise_part(&life->writes, &life->write_count, (struct row_part){.chain = w->ver.chain, .last = w->ver.stamp}, w->chains, a) &&
           judge(life, NULL, w->chains, a);
}

/* ---- one operation ---- */

/* Is it one by a writer to whom updates win in this table? A node that did not know of the switch yet, or knew that it was taken back, writes and deletes as everywhere else. */
static bool op_wins(const struct row_schema *schema, const struct row_op *op)
{
    return schema->updates_win && ((op->flags & ROW_OP_WIN) != 0 || plant_is(PLANT_SWITCH_IGNORED));
}

static quartet_status write_life(struct row_life *life, const struct row_schema *schema, const struct row_op *op,
                                 const struct row_writer *w, struct arena *a, bool *changed, struct err *err)
{
    bool adds, took = false, ok = true;
    if (!takes_writes(life, op, w, &adds))
        return QUARTET_OK;
    for (uint32_t i = 0, n; i < op->write_count && ok; i += n) {
        uint32_t column = op->writes[i].column;
        n = 1;
        while (schema->columns[column].kind == ROW_SET && i + n < op->write_count && op->writes[i + n].column == column)
            n++;
        ok = cell_write(&life->cells[column], &schema->columns[column], life->birth, &op->writes[i], n, adds, w, a, &took);
    }
    *changed |= took;
    if (ok && op_wins(schema, op) && (op->write_count > 0 || !plant_is(PLANT_KEEP_IGNORED)))
        ok = note_write(life, w, took, a, changed);
    return ok ? QUARTET_OK : arena_fail(a, err);
}

static bool end_lives(struct row *row, bool wins, const struct row_writer *w, struct arena *a, bool *changed)
{
    for (uint32_t i = 0; i < row->life_count; i++) {
        struct row_life *life = &row->lives[i];
        if (ended_for_good(life) || (!row_writer_saw(w, life->birth) && !plant_is(PLANT_DELETE_ENDS_UNSEEN)))
            continue;
        if (wins) {
            if (!judge_delete(life, w, a, changed))
                return false;
        } else {
            end_life(life);
            *changed = true;
            if (plant_is(PLANT_DELETE_ENDS_ONE))
                break;
        }
    }
    if (*changed)
        tidy(row);
    return true;
}

quartet_status row_apply(struct row *row, const struct row_schema *schema, const struct row_op *op, const struct row_writer *writer,
                         struct arena *a, bool *changed, struct err *err)
{
    *changed = false;
    QASSERT(writer->ver.stamp != 0);
    for (uint32_t i = 0; i < op->write_count; i++)
        if (op->writes[i].column >= schema->count)
            return err_set(err, QUARTET_INTERNAL, "a write to column %u of %u", op->writes[i].column, schema->count);
    if ((op->flags & ROW_OP_DELETE) != 0 && !end_lives(row, op_wins(schema, op), writer, a, changed))
        return arena_fail(a, err);
    if ((op->flags & ROW_OP_INSERT) != 0)
        return give_birth(row, schema, op, writer, a, changed, err);
    for (uint32_t i = 0; i < row->life_count; i++) {
        struct row_life *life = &row->lives[i];
        /* Where updates win, writes that come with the DELETE of what its writer saw reach nothing either; and an ended life may come back. */
        if (ended_for_good(life) || (op->flags & ROW_OP_DELETE) != 0 || (!row_writer_saw(writer, life->birth) && !plant_is(PLANT_WRITES_UNSEEN)))
            continue;
        QASSERT(life->cells != NULL);
        quartet_status rc = write_life(life, schema, op, writer, a, changed, err);
        if (rc != QUARTET_OK || plant_is(PLANT_WRITES_ONE_LIFE))
            return rc;
    }
    return QUARTET_OK;
}

/* ---- joins ---- */

static bool join_cells(struct row_life *into, const struct row_life *other, const struct row_schema *schema,
                       const struct chain_table *chains, struct arena *a)
{
    for (uint32_t i = 0; i < schema->count; i++)
        if (!cell_join(&into->cells[i], &other->cells[i], &schema->columns[i], into->birth, chains, a))
            return false;
    if (!schema->updates_win)
        return true;
    for (uint32_t i = 0; i < other->write_count; i++)
        if (!raise_part(&into->writes, &into->write_count, other->writes[i], chains, a))
            return false;
    for (uint32_t i = 0; i < other->delete_count; i++) {
        bool there = false;
        for (uint32_t k = 0; k < into->delete_count; k++)
            there |= ver_eq(into->deletes[k].ver, other->deletes[i].ver);
        if (!there && !judge(into, &other->deletes[i], chains, a))
            return false;
    }
    return judge(into, NULL, chains, a);
}

/* A copy that can be written to without touching the original; the bytes of values are shared. */
static bool copy_life(struct row_life *to, const struct row_life *from, const struct row_schema *schema, struct arena *a)
{
    *to = *from;
    if (from->cells == NULL)
        return true;
    to->cells = arena_zalloc(a, schema->count, sizeof *to->cells);
    if (to->cells == NULL)
        return false;
    for (uint32_t i = 0; i < schema->count; i++) {
        to->cells[i] = from->cells[i];
        if (from->cells[i].part_count == 0 || schema->columns[i].kind != ROW_COUNTER)
            continue; /* lists of items are never changed in place */
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
        if (theirs == NULL ? knows_birth(other, mine->birth, chains) : ended_for_good(theirs))
            end_life(mine);
    }
    for (uint32_t i = 0; i < other->life_count; i++) {
        const struct row_life *theirs = &other->lives[i];
        struct row_life *mine = find_life(into, theirs->birth);
        if (mine != NULL) {
            if (mine->cells != NULL && theirs->cells != NULL && !join_cells(mine, theirs, schema, chains, a))
                return arena_fail(a, err);
            continue;
        }
        if (knows_birth(into, theirs->birth, chains))
            continue; /* it has ended here */
        mine = add_life(into, theirs->birth, chains, a);
        if (mine == NULL || !copy_life(mine, theirs, schema, a))
            return arena_fail(a, err);
    }
    tidy(into);
    return QUARTET_OK;
}

bool row_fold_births(struct row *row, const struct chain_table *chains, chain_no sum, struct arena *a, bool *changed)
{
    struct row_life all = {.birth = {.chain = sum}, .ended = true};
    uint32_t folded = 0, kept = 0;
    for (uint32_t i = 0; i < row->life_count; i++)
        folded += ended_for_good(&row->lives[i]) && chain_fold_of(chains, row->lives[i].birth.chain) > 0;
    if (folded < 2)
        return true; /* nothing is gained */
    struct row_life *lives = arena_alloc(a, row->life_count * sizeof *lives);
    if (lives == NULL)
        return false;
    for (uint32_t i = 0; i < row->life_count; i++) {
        const struct row_life *life = &row->lives[i];
        if (!ended_for_good(life) || chain_fold_of(chains, life->birth.chain) == 0)
            lives[kept++] = *life;
        else if (life->birth.stamp > all.birth.stamp)
            all.birth.stamp = life->birth.stamp;
    }
    uint32_t at = kept++;
    for (; at > 0 && ver_cmp(chains, lives[at - 1].birth, all.birth) > 0; at--)
        lives[at] = lives[at - 1];
    lives[at] = all;
    row->lives = lives;
    row->life_count = kept;
    *changed = true;
    return true;
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

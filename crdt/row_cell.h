/* row_cell.h - one register: how each kind of column begins, takes a write, joins and shows. For row*.c and history. */
#ifndef CRDT_ROW_CELL_H
#define CRDT_ROW_CELL_H

#include "row.h"

/* A cell as its INSERT makes it; the cell is empty before. False: out of memory. */
bool cell_begin(struct row_cell *cell, const struct row_column *column, const struct row_write *write, const struct row_writer *w, struct arena *a);
/* `count` writes to the same column of one operation, more than one only in a SET; `adds`: the operation's additions are for this life. */
bool cell_write(struct row_cell *cell, const struct row_column *column, struct ver birth, const struct row_write *writes, uint32_t count, bool adds,
                const struct row_writer *w, struct arena *a, bool *changed);
bool cell_join(struct row_cell *into, const struct row_cell *other, const struct row_column *column, struct ver birth, const struct chain_table *chains,
               struct arena *a);

static inline bool cell_has_items(const struct row_column *column)
{
    return column->kind >= ROW_MAXIMUM;
}
static inline bool item_is_mark(const struct row_item *i)
{
    return i->value.type == 0;
}
int item_cmp(const struct chain_table *chains, uint8_t kind, const struct row_item *a, const struct row_item *b); /* the order in which they stand */
/* Does a value written at `ver` take the place of one that a MAXIMUM or MINIMUM holds? */
bool cell_beats(const struct row_column *column, const struct chain_table *chains, const struct value *v, struct ver ver, const struct value *than,
                struct ver than_ver);
/* over_lww: the value that a MAXIMUM or MINIMUM holds above its base; NULL: none. */
const struct row_item *cell_top(const struct row_cell *cell);
bool cell_began_anew(const struct row_cell *cell);
/* SET over_lww: was the value below taken away? */
bool cell_base_cut(const struct row_cell *cell);

/* The cell whose value a plain, MAXIMUM, MINIMUM or MULTIVALUE column shows; over_lww: whose base value counts. Only for a live row. */
const struct row_cell *row_shown_cell(const struct row *row, const struct row_schema *schema, const struct chain_table *chains, uint32_t column);
/* "[", tokens, "]", in the arena. */
bool row_tokens_join(const struct slice *tokens, uint32_t count, struct arena *a, struct value *out);

#endif

/* row_codec.h - what row_encode.c and row_decode.c share: the codes of a record's meta (docs/STORAGE.md, "Records"). */
#ifndef CRDT_ROW_CODEC_H
#define CRDT_ROW_CODEC_H

#include "row_cell.h"

#define DICT_MAX 64u /* versions named once per record; further ones are written out where they stand */

/* What a column's code says. In rows with more than one unended life an LWW code is doubled, plus 1 where the life's value is
 * not the one that shows and follows among the extras. */
enum code {
    CODE_BIRTH = 0, /* the birth's version; a COUNTER: set by the INSERT, to what shows (several lives: to 0) */
    CODE_NEVER = 1, /* never written */
    CODE_OTHER = 2  /* + index of the version, the one past the last: written out among the extras. COUNTER: parts follow */
};
enum map_mode { MAP_NONE = 0, MAP_PLAIN = 1, MAP_CODES = 2 };

/* Which columns have a COUNTER's codes. Any other that is told by codes at all has an LWW column's. */
static inline bool codes_as_counter(const struct row_schema *schema, uint32_t column)
{
    return schema->columns[column].kind == ROW_COUNTER && !schema->columns[column].over_lww;
}

static inline uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}
static inline int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}
void sum_put(struct buf *out, __int128 sum); /* row_encode.c */
__int128 sum_get(struct bytes_in *in);       /* row_decode.c */
struct row_cell *cells_new(struct arena *a, uint32_t count); /* row_decode.c: empty ones; NULL: out of memory */
/* Is a SET as its INSERT made it, or never written? Then what shows tells all of it, where one life is unended. */
bool set_untouched(const struct row_life *life, const struct row_cell *cell);

/* row_whole.c: meta in the other form, in which every register is written out; for what codes cannot tell. */
#define WHOLE_MARK 0u /* where the number of lives would stand */
bool whole_needed(const struct row *row, const struct row_schema *schema); /* of a row */
/* Appends all of meta. shown: the visible values that the record has, shown_count of them; none where the row is not live. */
quartet_status whole_put(const struct row *row, const struct row_schema *schema, const struct value *shown, uint32_t shown_count, struct arena *a,
                         struct buf *out, struct err *err);
/* Meta behind the mark; nothing is left of it afterwards. */
quartet_status whole_get(struct bytes_in *meta, const struct record_view *view, const struct row_schema *schema, struct arena *a, struct row *out,
                         struct err *err);

#endif

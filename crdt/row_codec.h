/* row_codec.h - what row_encode.c and row_decode.c share: the codes of a record's meta (docs/STORAGE.md, "Records"). */
#ifndef CRDT_ROW_CODEC_H
#define CRDT_ROW_CODEC_H

#include "row.h"

#define DICT_MAX 64u /* versions named once per record; further ones are written out where they stand */

/* What a column's code says. In rows with more than one unended life an LWW code is doubled, plus 1 where the life's value is
 * not the one that shows and follows among the extras. */
enum code {
    CODE_BIRTH = 0, /* the birth's version; a COUNTER: set by the INSERT, to what shows (several lives: to 0) */
    CODE_NEVER = 1, /* never written */
    CODE_OTHER = 2  /* + index of the version, the one past the last: written out among the extras. COUNTER: parts follow */
};
enum map_mode { MAP_NONE = 0, MAP_PLAIN = 1, MAP_CODES = 2 };

#endif

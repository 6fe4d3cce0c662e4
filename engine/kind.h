/* kind.h - kinds of column as SQL sees them: their names, which types may have which, and the elements of a SET. How registers merge is in crdt/row.h. */
#ifndef ENGINE_KIND_H
#define ENGINE_KIND_H

#include "catalog.h"

const char *kind_name(uint8_t kind);   /* enum row_kind: "COUNTER"; "plain" */
const char *kind_merges(uint8_t kind); /* for people: "largest value" */
#define KIND_COMPUTED "computed"
const char *kind_column_merges(const struct column_def *c); /* the same of a column: also "key", or KIND_COMPUTED */
/* May a column be of this kind? c->type and what goes with it are as declared. QUARTET_ERROR says why not. A SET's column becomes JSON here, with its elements' type
 * beside it. */
quartet_status kind_declare(struct column_def *c, uint8_t kind, struct err *err);

/* ---- SET: an element is the text of a JSON scalar, its token ---- */

struct kind_change {
    uint8_t op;         /* ROW_ADD, ROW_CUT */
    struct slice token;
};
/* What is to be the value of a SET column: a JSON array, or its text, of what converts to the elements' type; NULL is the empty set. *v becomes the array as it reads.
 * New bytes are in the arena. QUARTET_MISMATCH names the column. */
quartet_status kind_set_value(const struct column_def *c, struct value *v, struct arena *a, struct err *err);
/* The same without a column: numbers and strings. For SQL's functions. QUARTET_ERROR. */
quartet_status kind_set_tokens(const struct value *v, struct arena *a, struct slice **tokens, uint32_t *count, struct err *err);
/* One value as a token; NULL has none (token->n 0). */
quartet_status kind_token(const struct value *v, struct arena *a, struct slice *token, struct err *err);
bool kind_token_equal(struct slice a, struct slice b); /* 1.50 is 1.5 */
bool kind_element(const struct value *v, struct arena *a, struct slice *token); /* row_element_fn */
/* Rows that were not written since ALTER TABLE made a SET of a column show its plain value in their records: make it the set that it is. By column of the table. */
quartet_status kind_show_sets(const struct table_def *t, struct value *values, struct arena *a, struct err *err);

/* Changes as a BLOB: set_add(set_remove(tags, 'a'), 'b') in UPDATE is made into one (func_set_changes), values still as they were given; kind_changes_convert makes
 * them the column's elements, kind_changes reads such a BLOB. */
void kind_change_put(struct buf *out, uint8_t op, const struct value *v);
quartet_status kind_changes_convert(const struct column_def *c, struct value *v, struct arena *a, struct err *err);
quartet_status kind_changes(struct slice blob, struct arena *a, struct kind_change **out, uint32_t *count, struct err *err);
/* What makes `to` of `from`; both as they read. */
quartet_status kind_difference(const struct value *from, const struct value *to, struct arena *a, struct kind_change **out, uint32_t *count, struct err *err);
/* A SET as it reads after changes, the later ones over the earlier. */
quartet_status kind_changed(const struct value *from, const struct kind_change *changes, uint32_t count, struct arena *a, struct value *out, struct err *err);

/* MAXIMUM, MINIMUM: which of two values holds? */
const struct value *kind_extreme(uint8_t kind, const struct value *x, const struct value *y);

#endif

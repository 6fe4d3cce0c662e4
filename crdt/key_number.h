/* key_number.h - numbers of columns without a type, keyed by exact value whatever their type; used by key.c only. */
#ifndef CRDT_KEY_NUMBER_H
#define CRDT_KEY_NUMBER_H

#include "value.h"

/* Append an INTEGER, REAL or DECIMAL, normalised: the INTEGER that equals it, else the REAL that does, else the DECIMAL of
 * least scale. So equal numbers have equal keys. */
void key_number_put(struct buf *out, const struct value *v);
/* Read back what follows the mark, which the caller has taken. False and in->bad on damage. */
bool key_number_get(struct bytes_in *in, bool inverted, uint8_t mark, struct value *v);

#endif

/* collate.h - NOCASE: comparing and folding text without regard to case, for all of Unicode, with a fast path for ASCII. */
#ifndef ENGINE_COLLATE_H
#define ENGINE_COLLATE_H

#include "base/arena.h"
#include "base/bytes.h"

int collate_nocase_cmp(struct slice a, struct slice b);
/* Folded text: s itself where folding changes nothing, else in the arena. false: out of memory. Equal under NOCASE = equal folded bytes. */
bool collate_fold(struct slice s, struct arena *a, struct slice *out);
/* Upper or lower case of all of Unicode, likewise. */
bool collate_case(struct slice s, bool upper, struct arena *a, struct slice *out);
/* One character from p (n > 0 bytes left); a byte that is no UTF-8 counts as a character of its own. Returns its length in bytes. */
uint32_t collate_char(const uint8_t *p, size_t n, uint32_t *code);

#endif

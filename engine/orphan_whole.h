/* orphan_whole.h - references that are known to be whole: their key is given by a row in sight that is no orphan. For apply_orphans.c only; holder of the commit lock.
 *
 * A bounded memory that may forget anything at any time, and must forget everything when any key may have stopped being given. */
#ifndef ENGINE_ORPHAN_WHOLE_H
#define ENGINE_ORPHAN_WHOLE_H

#include "base/buf.h"
#include "catalog.h"

#define ORPHAN_WHOLE_NAME_BYTES_MAX 55u /* longer ones are looked up each time */

struct orphan_whole;
void orphan_whole_free(struct orphan_whole *w); /* NULL is allowed */
/* The reference of a row by its link (`place`: its position among the child's), into *name. False: it cannot be remembered, being NULL or long. Equal names, of one catalog, mean one key. */
bool orphan_whole_name(const struct fk_link *l, uint32_t place, const struct value *values, struct buf *name);
bool orphan_whole_has(const struct orphan_whole *w, struct slice name); /* w NULL: nothing is known */
/* *w is made where there is none. Without memory nothing is learnt. */
void orphan_whole_learn(struct orphan_whole **w, struct slice name);
void orphan_whole_forget(struct orphan_whole *w); /* all; NULL is allowed */

#endif

/* exec_write.h - the operators that write: one object for INSERT, UPDATE and DELETE (exec_write.c,
 * exec_insert.c). */
#ifndef ENGINE_EXEC_WRITE_H
#define ENGINE_EXEC_WRITE_H

#include <stdio.h>

#include "exec_internal.h"

struct xeffect_stmt { /* a statement that an effect runs; made when it is first needed */
    struct arena a;
    plan *p; /* NULL: not made */
};
struct xpending { /* a foreign key that did not hold when it was looked at: it must at the end */
    const struct peffect_key *key;
    uint8_t event;
    bool of_parent; /* the parent's row went */
    struct value *values;
    struct xpending *next;
};

struct xwrite {
    struct xnode x;
    bool done;
    bool effects_wrote; /* so a row of the input may have changed or gone since it was read */
    struct xeffect_stmt *effect_stmts[3]; /* by event, as pwrite.effects */
    struct value *effect_params;
    struct xpending *pending;
    struct arena pending_arena;
    uint64_t row;         /* number of the input row, for errors */
    struct arena scratch; /* values of the row in hand */
    struct value
        *values; /* the row as it is to be; behind it what RETURNING or ON CONFLICT sees too */
    struct value *old; /* as it was */
    struct value *adds;
    struct table_write *writes;
    bool asks_not_null; /* some column does */
    struct vec *row_cols; /* values, as a batch of one row */
    uint8_t *row_null;
    struct rows returned;
    struct vec *ret_cols;
    struct value *ret_values;
    uint8_t ret_null;
    struct keyset seen; /* keys of rows that were written */
    struct buf key;
    uint32_t at;
};
typedef quartet_status write_row_fn(struct xwrite *w, const struct batch *in, uint32_t row,
                                    struct err *err);

quartet_status write_open(struct xnode *x, struct err *err);
void write_close(struct xnode *x);
struct batch write_row_batch(struct xwrite *w, uint32_t n);
quartet_status write_convert(struct xwrite *w, uint32_t column, struct value *v,
                             struct err *err);                 /* to the column's type */
/* Also computes the derived columns of the row. */
quartet_status write_check(struct xwrite *w, struct err *err); /* NOT NULL and CHECK of w->values */
quartet_status write_return(struct xwrite *w, struct err *err); /* a row of RETURNING */
/* Set a column of w->values from w->old; *out is the write. */
quartet_status write_set(struct xwrite *w, const struct pset_column *set, struct value v,
                         struct table_write *out, struct err *err);
quartet_status write_evict(struct xwrite *w, const struct conflict *c, struct err *err);

/* exec_effect.c. What a row sets off before and after it is written; old or fresh is NULL where there is
 * none. *skip: a trigger said RAISE(IGNORE), the row stays as it is. */
quartet_status effects_before(struct xwrite *w, uint8_t event, const struct value *old,
                              const struct value *fresh, bool *skip, struct err *err);
quartet_status effects_after(struct xwrite *w, uint8_t event, const struct value *old,
                             const struct value *fresh, struct err *err);
quartet_status effects_end(struct xwrite *w, struct err *err); /* of the statement */
void effects_close(struct xwrite *w);

quartet_status write_all(struct xwrite *w, write_row_fn *each, struct err *err);
quartet_status write_emit(struct xwrite *w, struct err *err);

#endif

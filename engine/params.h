/* params.h - the parameters of one prepared statement and what is bound to them: the same for a local and a remote statement. */
#ifndef ENGINE_PARAMS_H
#define ENGINE_PARAMS_H

#include "crdt/value.h"
#include "parser/ast.h"

struct params {
    const struct ast_params *declared; /* the statement's, in its arena; NULL before params_init */
    struct value *values;              /* bytes of texts are in `bytes` */
    struct buf *bytes;
};

/* All NULL. Memory from the arena, which must outlive it; false: out of memory. */
bool params_init(struct params *p, const struct ast_params *declared, struct arena *a);
void params_deinit(struct params *p); /* also of one all zeros */
uint32_t params_count(const struct params *p);
const char *params_name(const struct params *p, uint32_t number);           /* ":name" or NULL; numbers from 1 */
const struct value *params_get(const struct params *p, uint32_t number);    /* NULL: no such parameter */
/* Where a value without bytes of its own may be put instead of params_bind; NULL: no such parameter. */
static inline struct value *params_place(struct params *p, uint32_t number)
{
    return p->declared != NULL && number - 1u < p->declared->count ? &p->values[number - 1u] : NULL;
}
/* Bytes are copied. QUARTET_RANGE: no such parameter. */
quartet_status params_bind(struct params *p, uint32_t number, const struct value *v, struct err *err);
void params_clear(struct params *p); /* all NULL again */

#endif

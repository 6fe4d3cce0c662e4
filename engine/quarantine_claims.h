/* quarantine_claims.h - rows that break a constraint of their own table, with what they break; for quarantine.c. */
#ifndef ENGINE_QUARANTINE_CLAIMS_H
#define ENGINE_QUARANTINE_CLAIMS_H

#include "claim.h"

struct quarantine_claim { /* valid until the next call */
    const struct table_def *table;
    struct slice key;
    const struct value *values;
    struct claim_reason why;
};
typedef struct quarantine_claims quarantine_claims;
quartet_status quarantine_claims_open(txn *t, quarantine_claims **out, struct err *err);
/* Rows that the transaction itself wrote are left out: what they break is known with the COMMIT. */
quartet_status quarantine_claims_next(quarantine_claims *q, struct quarantine_claim *out, bool *found, struct err *err);
void quarantine_claims_close(quarantine_claims *q); /* NULL is allowed */
/* "BOUND", the constraint's name or else its text, and what about the row breaks it, appended. */
const char *quarantine_claim_reason(const struct quarantine_claim *c);
void quarantine_claim_name(const struct quarantine_claim *c, struct buf *out);
quartet_status quarantine_claim_detail(const struct quarantine_claim *c, struct arena *a, struct buf *out, struct err *err);

#endif

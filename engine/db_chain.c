/* db_chain.c - the lists that belong to one chain: what of an own one is not signed yet, and chunks of a transaction that is not whole.
 * Not here: what goes into them (db_take.c, db_seal.c, db_recover.c), where its batches stand in the log (db_batches.c). */
#include <string.h>

#include "base/mem.h"
#include "db_internal.h"

quartet_status chain_add_local(struct chain_state *s, struct local_delta x, struct err *err)
{
    if (s->local_start + s->local_count == s->local_cap) {
        if (s->local_start > s->local_count) {
            memmove(s->local, s->local + s->local_start, s->local_count * sizeof *s->local);
            s->local_start = 0;
        } else {
            size_t cap = s->local_cap == 0 ? 16 : s->local_cap * 2;
            struct local_delta *grown = mem_realloc(s->local, cap, sizeof *grown);
            if (grown == NULL)
                return err_nomem(err);
            s->local = grown;
            s->local_cap = cap;
        }
    }
    s->local[s->local_start + s->local_count++] = x;
    s->received = x.number;
    return QUARTET_OK;
}

void chain_drop_local(struct chain_state *s, uint64_t through)
{
    while (s->local_count > 0 && s->local[s->local_start].number <= through) {
        s->local_start++;
        s->local_count--;
    }
    if (s->local_count == 0)
        s->local_start = 0;
}

void chain_drop_again(struct chain_state *s, uint64_t from)
{
    while (s->local_count > 0 && s->local[s->local_start + s->local_count - 1].number >= from)
        s->local_count--;
}

void chunk_run_free(struct chunk_run *c)
{
    kv_run_writer_free(c->kept);
    kv_run_free(c->whole);
    vv_deinit(&c->seen);
    *c = (struct chunk_run){0};
}

/* Its first chunk said what its writer had seen; nothing that follows was made with that. */
void chain_drop_unfinished(struct chain_state *s)
{
    while (s->local_count > 0 && s->local[s->local_start + s->local_count - 1].more)
        s->local_count--;
    if (s->chunks.open) {
        struct vv swap = s->seen;
        s->seen = s->chunks.seen;
        s->chunks.seen = swap;
    }
    chunk_run_free(&s->chunks);
}

uint64_t chain_next(const db *d, chain_no chain)
{
    if (chain < d->state_count && d->state[chain] != NULL && d->state[chain]->chunks.open)
        return d->state[chain]->chunks.next;
    return vv_number(&d->applied, chain) + 1;
}

void chain_state_free(struct chain_state *s)
{
    if (s == NULL)
        return;
    vv_deinit(&s->seen);
    mem_free(s->batches);
    mem_free(s->local);
    chunk_run_free(&s->chunks);
    mem_free(s);
}

/* db_batches.c - where the sealed batches of each chain stand in the log, for peers that ask for them and for what is compared with them.
 * Why not one place for each: a log of 4 GiB may hold nine million small batches, and what is known of them is in every checkpoint. The newest batches of a chain have a place
 *   each; older ones are known as runs of neighbours, by the place of the first. Which one is meant is found by reading the log from there on: each batch names the
 *   hash of the one before, so what follows is never mistaken, forks and all that stands between included.
 * Invariants: entries of a chain ascend by number and place. The batches of a run follow each other without a gap, are all of one kind, and the last of them begins less than
 *   index_run_bytes behind the first; so a chain has at most one run for each so many bytes of the log that is kept, and twice index_exact places beside them.
 * Not here: what is read there (db_replicate.c), which segments of the log go (db_trim.c). */
#include <string.h>

#include "base/mem.h"
#include "db_fork.h"

#define INDEX_EXACT 1024u          /* newest batches of a chain that keep places of their own; up to twice as many do */
#define INDEX_RUN_BYTES (256u << 10)
#define RUN_DELTAS_MAX (1u << 30)  /* a checkpoint has two more bits beside them */

struct batch_record {
    bool is_batch; /* of the kind that is looked for; else only `end` counts */
    struct batch_header h;
    log_pos low, end;
};

/* ---- the index; under commit_lock ---- */

static bool joins(const struct batch_at *run, const struct batch_at *b, uint64_t run_bytes)
{
    return b->first == run->first + run->count && b->is_seal == run->is_seal && !b->run && b->at > run->at && b->at - run->at < run_bytes &&
           b->count < RUN_DELTAS_MAX - run->count;
}

/* All but the newest become runs. */
static void thin(const db *d, struct chain_state *s, size_t exact)
{
    uint64_t run_bytes = d->options.index_run_bytes != 0 ? d->options.index_run_bytes : INDEX_RUN_BYTES;
    size_t n = s->run_count, at = n, end = s->batch_count - exact;
    for (; at < end; at++) {
        struct batch_at b = s->batches[at];
        if (n > 0 && joins(&s->batches[n - 1], &b, run_bytes)) {
            s->batches[n - 1].count += b.count;
            s->batches[n - 1].run = true;
        } else {
            s->batches[n++] = b;
        }
    }
    memmove(s->batches + n, s->batches + end, exact * sizeof *s->batches);
    s->batch_count = n + exact;
    s->run_count = n;
}

quartet_status chain_add_batch(const db *d, struct chain_state *s, struct batch_at at, struct err *err)
{
    size_t exact = d->options.index_exact != 0 ? d->options.index_exact : INDEX_EXACT;
    const struct batch_at *last = s->batch_count > 0 ? &s->batches[s->batch_count - 1] : NULL;
    if (last != NULL && (at.first <= last->first || (last->run && at.first < last->first + last->count)))
        return QUARTET_OK; /* replayed twice */
    if (s->batch_count - s->run_count >= 2 * exact)
        thin(d, s, exact);
    if (s->batch_count == s->batch_cap) {
        size_t cap = s->batch_cap == 0 ? 16 : s->batch_cap * 2;
        struct batch_at *grown = mem_realloc(s->batches, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(err);
        s->batches = grown;
        s->batch_cap = cap;
    }
    s->batches[s->batch_count++] = at;
    return QUARTET_OK;
}

void chain_forget_batches(struct chain_state *s, size_t n)
{
    QASSERT(n <= s->batch_count);
    s->batch_count -= n;
    s->run_count -= n < s->run_count ? n : s->run_count;
    memmove(s->batches, s->batches + n, s->batch_count * sizeof *s->batches);
}

struct batch_at *chain_entry(struct chain_state *s, uint64_t number)
{
    size_t lo = 0, hi = s == NULL ? 0 : s->batch_count;
    if (hi > 0 && s->batches[hi - 1].first <= number)
        lo = hi - 1; /* nearly always it is the last */
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->batches[mid].first + s->batches[mid].count <= number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return s == NULL || lo == s->batch_count || s->batches[lo].first > number ? NULL : &s->batches[lo];
}

/* ---- within a run; any thread ---- */

static quartet_status read_record(db *d, log_pos at, bool is_seal, struct buf *bytes, struct batch_record *out, struct err *err)
{
    enum log_type type;
    buf_clear(bytes);
    quartet_status rc = commit_log_read(d->log, at, &type, bytes, &out->end, err);
    size_t from = is_seal ? DB_SEAL_HEAD_BYTES : 0;
    out->is_batch = rc == QUARTET_OK && type == (is_seal ? LOG_SEAL : LOG_REMOTE) && bytes->len >= from + BATCH_SIGNED_BYTES + 8; /* neither is without a delta */
    if (!out->is_batch)
        return rc;
    out->low = is_seal ? load_le64(bytes->data + from + BATCH_SIGNED_BYTES) : at;
    return batch_parse_header(slice_of(bytes->data + from, BATCH_SIGNED_BYTES), &out->h, err);
}

static bool follows(const struct batch_header *h, const struct batch_header *next)
{
    return chain_id_cmp(h->chain, next->chain) == 0 && next->first == h->first + h->count && memcmp(next->prev, h->hash, sizeof h->hash) == 0;
}

quartet_status db_locate_batch(db *d, struct batch_at *b, uint64_t number, struct err *err)
{
    struct buf bytes = {0};
    struct batch_record r;
    QASSERT(number >= b->first && number - b->first < b->count);
    if (!b->run)
        return QUARTET_OK;
    log_pos at = b->at;
    quartet_status rc = read_record(d, at, b->is_seal, &bytes, &r, err);
    if (rc == QUARTET_OK && (!r.is_batch || r.h.first != b->first))
        rc = err_set(err, QUARTET_CORRUPT, "log: another record where a batch should stand");
    while (rc == QUARTET_OK && r.h.first + r.h.count <= number) {
        struct batch_record next = {.end = r.end};
        do {
            at = next.end;
            rc = read_record(d, at, b->is_seal, &bytes, &next, err);
        } while (rc == QUARTET_OK && !(next.is_batch && follows(&r.h, &next.h)));
        r = next;
    }
    buf_deinit(&bytes);
    if (rc == QUARTET_OK)
        *b = (struct batch_at){.first = r.h.first, .count = r.h.count, .is_seal = b->is_seal, .at = at, .head = load_le64(r.h.hash), .low = r.low};
    return rc;
}

bool db_find_batch(db *d, chain_no no, uint64_t number, struct batch_at *out)
{
    struct err ignored = ERR_INIT; /* what cannot be read is as what the log no longer holds: nothing is decided by it */
    const struct batch_at *b = no < d->state_count ? chain_entry(d->state[no], number) : NULL;
    if (b == NULL)
        return false;
    *out = *b;
    return db_locate_batch(d, out, number, &ignored) == QUARTET_OK;
}

/* db_take.c - taking deltas of a chain in their order: apply them, keep the chunks of an unfinished transaction, or let them wait for what they depend on.
 * Why delta by delta and not batch by batch: a batch may hold a delta that depends on another chain's, which in turn depends on an earlier delta of the same
 *   batch; waiting for the whole would wait for ever.
 * Invariants: of one chain deltas are taken in order; a delta is applied after all that its writer had applied. A batch is logged before its first delta is
 *   applied; the log's order is thus an order of causes.
 * Not here: signatures (db_replicate.c), merging (apply.c). */
#include <string.h>

#include "base/plant.h"
#include "apply.h"
#include "db_fork.h"
#include "base/log.h"
#include "base/mem.h"

/* What is wrong with a delta at this place of its chain, or NULL. */
static const char *wrong_place(const db *d, chain_no chain, const struct chain_state *s, const struct delta_reader *r)
{
    bool run = s->chunks.open, continues = (r->flags & DELTA_CONTINUES) != 0;
    if (r->number != chain_next(d, chain))
        return "its number is not the next";
    if (run != continues)
        return run ? "a transaction's chunks are interrupted" : "a chunk without a beginning";
    if (continues ? r->stamp != s->last_stamp : r->stamp <= s->last_stamp)
        return "its stamp does not follow the one before";
    if (hlc_slot(r->stamp) != d->chains.ids[chain].slot)
        return "its stamp names another slot";
    return NULL;
}

static quartet_status chunks_begin(db *d, struct chain_state *s, uint64_t number, log_pos at, struct err *err)
{
    struct chunk_run c = {.open = true, .first = number, .next = number, .at = at};
    struct kv_run_place place = db_run_place(d);
    quartet_status rc = vv_copy(&c.seen, &s->seen, err);
    if (rc == QUARTET_OK)
        rc = kv_run_writer_new(&place, &c.kept, err);
    if (rc != QUARTET_OK) {
        chunk_run_free(&c);
        return rc;
    }
    s->chunks = c;
    return QUARTET_OK;
}

static quartet_status keep_chunk(db *d, struct chain_state *s, const struct delta_reader *r, struct slice bytes, struct err *err)
{
    uint8_t key[8];
    if (kv_run_writer_bytes(s->chunks.kept) + bytes.n > DB_CHUNK_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "a transaction of more than %llu bytes", (unsigned long long)DB_CHUNK_BYTES_MAX);
    store_be64(key, r->number);
    quartet_status rc = kv_run_put(s->chunks.kept, 0, slice_of(key, sizeof key), 0, bytes, err);
    if (rc == QUARTET_OK)
        s->chunks.next = r->number + 1;
    else
        db_break(d); /* what came of it is lost: opening again takes it from the log */
    return rc;
}

static quartet_status feed_chunks(struct applying *a, const kv_run *kept, struct err *err)
{
    struct kv_run_cursor c = {0};
    quartet_status rc = kv_run_seek(&c, kept, &(struct kv_sight){.through = UINT64_MAX}, 0, slice_of("", 0), err);
    while (rc == QUARTET_OK && c.valid) {
        rc = apply_feed(a, c.record, err);
        if (rc == QUARTET_OK)
            rc = kv_run_next(&c, err);
    }
    kv_run_cursor_deinit(&c);
    return rc;
}

/* The chunks kept so far and this last one. */
static quartet_status apply_run(db *d, chain_no chain, struct delta_reader *r, log_pos end, bool trusted, struct err *err)
{
    struct chain_state *s = d->state[chain];
    struct applying *a = NULL;
    apply_no no;
    uint64_t rows = atomic_load(&d->rows_written);
    struct apply_in in = {.chain = chain, .number = s->chunks.open ? s->chunks.first : r->number, .stamp = r->stamp, .trusted = trusted};
    quartet_status rc = QUARTET_OK;
    if (s->chunks.open && s->chunks.whole == NULL) {
        rc = kv_run_finish(s->chunks.kept, 0, &s->chunks.whole, err);
        s->chunks.kept = NULL;
        if (rc != QUARTET_OK)
            db_break(d); /* as above */
    }
    if (rc == QUARTET_OK)
        rc = apply_begin(d, &in, &a, err);
    if (rc == QUARTET_OK && s->chunks.open)
        rc = feed_chunks(a, s->chunks.whole, err);
    if (rc == QUARTET_OK)
        rc = apply_feed_open(a, r, err);
    if (rc == QUARTET_OK)
        rc = apply_end(a, r->number, end, &no, err);
    else
        apply_abort(a);
    if (rc != QUARTET_OK)
        return rc;
    chunk_run_free(&s->chunks);
    if (!trusted) {
        atomic_fetch_add(&d->remote_deltas, 1);
        atomic_fetch_add(&d->remote_rows, atomic_load(&d->rows_written) - rows);
    }
    rc = db_pending_add(d, no, end, true, err);
    if (rc == QUARTET_OK)
        db_publish(d);
    return rc;
}

/* Somebody who wrote on top of it has it: so it is not beyond what all agree on, even if this node has agreed to less. */
static void vouch(db *d, const struct vv *deps)
{
    fork_need(d, deps);
    for (uint32_t i = 0; i < deps->count; i++) {
        struct chain_state *s = deps->e[i].chain < d->state_count ? d->state[deps->e[i].chain] : NULL;
        uint64_t end;
        struct err ignored = ERR_INIT; /* without memory it is vouched for when it is asked again */
        if (s == NULL && db_chain_ends(d, deps->e[i].chain, &end)) /* nothing of it came, and this node has said so */
            s = db_chain(d, deps->e[i].chain, &ignored);
        if (s != NULL && !deps->e[i].astray && deps->e[i].number > s->vouched)
            s->vouched = deps->e[i].number;
    }
}

quartet_status take_delta(db *d, chain_no chain, struct slice bytes, log_pos at, log_pos end, bool trusted, enum take_result *result, struct err *err)
{
    struct delta_reader r;
    struct chain_state *s = db_chain(d, chain, err);
    if (s == NULL)
        return QUARTET_NOMEM;
    *result = TAKE_BAD;
    quartet_status rc = delta_open(&r, bytes, &d->chains, err);
    if (rc != QUARTET_OK)
        return rc == QUARTET_NOMEM ? rc : QUARTET_OK;
    rc = fork_resolve(d, &r.deps, false, err);
    if (rc != QUARTET_OK) {
        delta_close(&r);
        return rc;
    }
    const char *wrong = wrong_place(d, chain, s, &r);
    if (wrong != NULL) {
        err_set(err, QUARTET_CORRUPT, "delta %llu: %s", (unsigned long long)r.number, wrong);
    } else if (!vv_covers(&d->applied, &r.deps) && !plant_is(PLANT_NO_DEPENDENCY_WAIT)) {
        *result = TAKE_WAITS;
        vouch(d, &r.deps);
    } else if (!d->recovering && hlc_observe(&d->clock, db_members_wall_ms(d), r.stamp, err) != QUARTET_OK) {
        err_clear(err);
        *result = TAKE_WAITS; /* from the future: until its time has come */
    } else {
        if (d->recovering && !plant_is(PLANT_CLOCK_FORGOTTEN) && (r.stamp & ~(hlc_stamp)3) > d->clock.last)
            d->clock.last = r.stamp & ~(hlc_stamp)3;
        bool more = (r.flags & DELTA_MORE) != 0;
        rc = more && !s->chunks.open ? chunks_begin(d, s, r.number, at, err) : QUARTET_OK;
        if (rc == QUARTET_OK && r.number % FORK_SEEN_EVERY == 1 && (r.flags & DELTA_CONTINUES) == 0) {
            s->seen.count = 0; /* this one says it whole */
            rc = fork_seen_origin(d, chain, &s->seen, err);
        }
        if (rc == QUARTET_OK && !plant_is(PLANT_SEEN_FORGOTTEN))
            rc = vv_merge(&s->seen, &r.deps, err);
        if (rc == QUARTET_OK)
            rc = more ? keep_chunk(d, s, &r, bytes, err) : apply_run(d, chain, &r, end, trusted, err);
        if (rc == QUARTET_OK) {
            s->last_stamp = r.stamp;
            *result = TAKE_DONE;
        }
        if (rc == QUARTET_CORRUPT || rc == QUARTET_LIMIT)
            rc = QUARTET_OK; /* the delta's fault: BAD */
    }
    delta_close(&r);
    return rc;
}

/* Write a batch to the log, once, before any of it takes effect. */
static quartet_status log_batch(db *d, struct held_batch *b, struct err *err)
{
    if (b->logged)
        return QUARTET_OK;
    struct chain_state *s = d->state[b->chain];
    log_pos at = 0;
    bool named = false;
    quartet_status rc = db_raise_level(d, db_payload_level(slice_of(b->bytes + b->n - b->header.payload_bytes, b->header.payload_bytes)), err);
    if (rc != QUARTET_OK)
        return rc; /* nothing has happened */
    rc = fork_log_batch(d, b, &b->at, &named, err);
    if (rc == QUARTET_OK)
        rc = db_log(d, LOG_REMOTE, slice_of(b->bytes, b->n), &at, &b->end, err);
    if (rc != QUARTET_OK)
        return rc; /* where the disk is full it is pulled again */
    if (!named)
        b->at = at; /* otherwise replay begins with the record that says to which chain it belongs */
    rc = chain_add_batch(d, s, (struct batch_at){.first = b->first, .count = b->header.count, .head = load_le64(b->header.hash), .at = at, .low = b->at}, err);
    if (rc != QUARTET_OK) {
        db_break(d);
        return rc;
    }
    b->logged = true;
    s->head_number = b->last;
    s->head_stamp = b->header.last_stamp;
    memcpy(s->head, b->header.hash, sizeof s->head);
    return QUARTET_OK;
}

/* Would this delta be taken now? Asked before the batch is logged, so that a batch is logged only when something of it takes effect. */
static bool may_take(db *d, struct slice bytes)
{
    struct delta_reader r;
    struct err ignored = ERR_INIT;
    struct hlc clock = d->clock;
    if (delta_open(&r, bytes, &d->chains, &ignored) != QUARTET_OK)
        return true; /* take_delta says what is wrong */
    if (fork_resolve(d, &r.deps, false, &ignored) != QUARTET_OK) {
        delta_close(&r);
        return true; /* likewise */
    }
    vouch(d, &r.deps);
    bool may = (vv_covers(&d->applied, &r.deps) || plant_is(PLANT_NO_DEPENDENCY_WAIT)) && hlc_observe(&clock, db_members_wall_ms(d), r.stamp, &ignored) == QUARTET_OK;
    delta_close(&r);
    return may;
}

quartet_status take_batch(db *d, struct held_batch *b, bool *rest, bool *bad, struct err *err)
{
    struct slice payload = slice_of(b->bytes + b->n - b->header.payload_bytes, b->header.payload_bytes);
    quartet_status rc = QUARTET_OK;
    *bad = false;
    *rest = false;
    d->taking = b;
    while (rc == QUARTET_OK && b->next_number <= b->last) {
        struct bytes_in in = bytes_in(payload.p + b->next_at, payload.n - b->next_at);
        struct slice delta;
        enum take_result result;
        if (!batch_next_delta(&in, &delta)) {
            err_set(err, QUARTET_CORRUPT, "batch: its payload ends early");
            *bad = true;
            break;
        }
        uint64_t next = chain_next(d, b->chain);
        if (b->next_number >= next) {
            *rest = b->next_number > next || (!b->logged && fork_blocks(d, b->header.chain.slot, b->first)) || (!b->logged && !may_take(d, delta));
            if (*rest)
                break;
            rc = log_batch(d, b, err);
            if (rc == QUARTET_OK)
                rc = take_delta(d, b->chain, delta, b->at, b->end, false, &result, err);
            if (rc != QUARTET_OK)
                break;
            *bad = result == TAKE_BAD;
            *rest = result == TAKE_WAITS;
            if (result != TAKE_DONE)
                break;
        } else if (!b->logged && b->last > d->state[b->chain]->head_number) { /* a snapshot brought it unsigned, or in part: whoever wrote on top of it names this batch */
            rc = log_batch(d, b, err);
            if (rc != QUARTET_OK)
                break;
            if (vv_number(&d->applied, b->chain) <= b->last)
                vv_set_head(&d->applied, b->chain, load_le64(b->header.hash));
        } /* otherwise it is here already: a replay */
        b->next_number++;
        b->next_at = payload.n - in.left;
    }
    d->taking = NULL;
    return rc;
}

struct held_batch *held_new(chain_no chain, const struct batch_header *h, struct slice bytes, struct err *err)
{
    struct held_batch *b = mem_alloc(sizeof *b + bytes.n);
    if (b == NULL) {
        (void)err_nomem(err); /* NULL says it */
        return NULL;
    }
    *b = (struct held_batch){.chain = chain, .first = h->first, .last = h->first + h->count - 1, .next_number = h->first, .header = *h, .n = bytes.n};
    memcpy(b->bytes, bytes.p, bytes.n);
    return b;
}

void held_add(db *d, struct held_batch *b)
{
    struct chain_state *s = d->state[b->chain];
    struct held_batch **at = s->held_last != NULL && s->held_last->first <= b->first ? &s->held_last->next : &s->held;
    while (*at != NULL && (*at)->first <= b->first) /* they come in order; this is for who does not */
        at = &(*at)->next;
    b->next = *at;
    *at = b;
    if (b->next == NULL)
        s->held_last = b;
    d->held_bytes += b->n;
    d->held_count++;
}

void held_free_all(db *d)
{
    for (uint32_t i = 0; i < d->state_count; i++)
        while (d->state[i] != NULL && d->state[i]->held != NULL)
            held_drop(d, d->state[i], &d->state[i]->held);
}

void held_drop(db *d, struct chain_state *s, struct held_batch **at)
{
    struct held_batch *b = *at;
    *at = b->next;
    if (b == s->held_last) { /* seldom but where it was the only one: who drops the last of several walks anyway */
        s->held_last = s->held;
        while (s->held_last != NULL && s->held_last->next != NULL)
            s->held_last = s->held_last->next;
    }
    d->held_bytes -= b->n;
    d->held_count--;
    mem_free(b);
}

/* What of this chain waits and may be taken now, in its order. */
static quartet_status take_held_of(db *d, struct chain_state *s, bool *progress, struct err *err)
{
    while (s->held != NULL) {
        struct held_batch *b = s->held;
        uint64_t before = b->next_number;
        bool rest, bad;
        quartet_status rc = take_batch(d, b, &rest, &bad, err);
        *progress |= b->next_number != before;
        if (rc != QUARTET_OK || (rest && !bad))
            return rc;
        if (bad) {
            s->poisoned = true;
            log_line(d->env, LOG_ERROR, "db", "slot %u: a signed batch cannot be applied, nothing more is taken from this chain: %s",
                     d->chains.ids[b->chain].slot, err->text);
            err_clear(err);
        }
        held_drop(d, s, &s->held);
    }
    return QUARTET_OK;
}

/* Again and again over all chains of which something waits, until a round brings nothing. Of each only the first batch is looked at: after an absence tens of thousands wait, and a look
 * at each of them for each that came was most of the time of catching up. */
quartet_status take_held(db *d, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (bool progress = true; progress && rc == QUARTET_OK;) {
        progress = false;
        for (uint32_t i = 0; i < d->state_count && d->held_count > 0 && rc == QUARTET_OK; i++)
            if (d->state[i] != NULL)
                rc = take_held_of(d, d->state[i], &progress, err);
    }
    if (d->held_count == 0)
        fork_needs_end(d); /* nobody waits for anything */
    return rc;
}

/* db_fork.c - a member that signs two histories, one for some of us and another for others: its key was stolen, its disk was cloned under it, or it lies.
 * How: from the first delta that differs its chain is as many chains as there are branches, named by the hash of their first batches; what they have in common stays
 *   the chain that it was. A node keeps what it had under the number that it has (chain.h), so nothing stored is written anew; a branch that it had not is a new chain
 *   whose writer begins with what was common.
 * Why every branch that an honest member took is taken by all: that member's transactions stand on it. From the moment a node knows, it takes nothing more of the
 *   slot, whatever its incarnation, but what a delta of somebody else needs that waits here; each member says by a row of quartet_forks what it had taken, so that
 *   there is such a delta (db_fork_rows.c).
 * How it is found: gossip compares heads, and pulls where they differ at one number (net/gossip_pull.c); a batch that does not follow ours makes us ask for
 *   earlier ones, until one comes that follows the same batch as another that is here. A delta that depends on a branch that is not here waits.
 * Invariants: two batches of one chain and first number are never taken under one number of a chain. Which deltas a writer had seen is the same on every node: of a
 *   branch it is derived from the log anew (seen_before), and a delta in FORK_SEEN_EVERY says it whole, so that this takes short reading.
 * Not here: signatures and gossip; what follows from a closed chain (db_close.c). */
#include "db_fork.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/plant.h"

#define LOOK_BACK 64u /* batches: what a head that was told early may be behind */

static struct chain_state *state_of(const db *d, chain_no no)
{
    return no < d->state_count ? d->state[no] : NULL;
}

static const struct chain_fork *origin_of(const db *d, chain_no no)
{
    for (uint32_t i = 0; i < d->chains.fork_count; i++)
        if (d->chains.forks[i].as == no && d->chains.forks[i].chain != no)
            return &d->chains.forks[i];
    return NULL;
}

static bool same_family(const db *d, chain_no a, chain_no b)
{
    return a == b || (d->chains.fork_count > 0 && chain_root(&d->chains, a) == chain_root(&d->chains, b));
}

bool fork_frozen(const db *d, uint8_t slot)
{
    for (uint32_t i = 0; i < d->forks.count; i++)
        if (!d->forks.points[i].former && chain_id_of(&d->chains, d->forks.points[i].root).slot == slot)
            return !plant_is(PLANT_FORK_NOT_FROZEN);
    return false;
}

bool fork_blocks(const db *d, uint8_t slot, uint64_t first)
{
    return slot < SLOTS_MAX && fork_frozen(d, slot) && first > d->forks.need[slot];
}

void fork_need(db *d, const struct vv *deps)
{
    for (uint32_t i = 0; i < deps->count; i++) {
        const struct vv_entry *e = &deps->e[i];
        uint8_t slot = chain_id_of(&d->chains, e->chain).slot;
        if (slot < SLOTS_MAX && (e->astray || e->number > vv_number(&d->applied, e->chain)) && e->number > d->forks.need[slot])
            d->forks.need[slot] = e->number;
        if (slot < SLOTS_MAX && e->astray && e->number > d->forks.need_astray[slot])
            d->forks.need_astray[slot] = e->number;
        struct err ignored = ERR_INIT; /* without memory it is needed when the delta is looked at again */
        if (!e->astray && e->number > vv_number(&d->applied, e->chain))
            (void)vv_raise(&d->forks.needs, *e, &ignored);
    }
}

bool fork_needs(const db *d, const struct batch_header *h)
{
    chain_no no;
    if (h->first <= d->forks.need_astray[h->chain.slot]) /* which branch is meant is known once it is here, not before */
        return true;
    for (uint32_t i = 0; i < d->chains.fork_count; i++)
        if (chain_id_of(&d->chains, d->chains.forks[i].chain).slot == h->chain.slot)
            return h->first <= d->forks.need[h->chain.slot];
    if (!chain_find(&d->chains, h->chain, &no))
        return false;
    uint64_t needed = vv_number(&d->forks.needs, no);
    bool known = needed > 0 || vv_number(&d->applied, no) > 0;
    for (uint32_t i = 0; i < d->forks.needs.count && known; i++) { /* what nothing is here of may be a branch of this chain, whose fork is not known yet */
        const struct vv_entry *e = &d->forks.needs.e[i];
        if (chain_id_of(&d->chains, e->chain).slot == h->chain.slot && vv_number(&d->applied, e->chain) == 0 && e->number > needed)
            needed = e->number;
    }
    return h->first <= needed;
}

void fork_needs_end(db *d)
{
    memset(d->forks.need, 0, sizeof d->forks.need);
    memset(d->forks.need_astray, 0, sizeof d->forks.need_astray);
    vv_deinit(&d->forks.needs);
    d->forks.needs = (struct vv){0};
}

void fork_part(const db *d, struct chain_id name, chain_no no, uint64_t *first, uint64_t *end)
{
    *first = 1;
    *end = UINT64_MAX;
    const struct chain_fork *origin = origin_of(d, no);
    if (origin != NULL)
        *first = origin->first;
    bool base = chain_id_cmp(name, chain_id_of(&d->chains, no)) == 0;
    for (uint32_t i = 0; i < d->chains.fork_count && !base; i++)
        if (d->chains.forks[i].as == no && d->chains.forks[i].branch == name.incarnation)
            *first = d->chains.forks[i].first;
    for (uint32_t i = 0; i < d->chains.fork_count; i++) {
        const struct chain_fork *f = &d->chains.forks[i];
        if (f->chain == no && f->as == no && (base ? f->first >= *first : f->first > *first) && f->first < *end)
            *end = f->first;
    }
}

/* ---- what is here ---- */

/* First 8 bytes of the hash of a batch; 0: it cannot be read. */
static uint64_t head_of(db *d, chain_no no, struct batch_at *b)
{
    uint8_t raw[BATCH_SIGNED_BYTES];
    struct batch_header h;
    struct err ignored = ERR_INIT; /* then nothing is decided by it */
    bool found = false;
    if (b->head != 0 || db_read_header(d, no, b->first, raw, &h, &found, &ignored) != QUARTET_OK || !found)
        return b->head;
    b->head = load_le64(h.hash);
    struct batch_at *entry = chain_entry(d->state[no], b->first);
    if (entry != NULL && !entry->run)
        entry->head = b->head; /* not read again */
    return b->head;
}

static const struct held_batch *held_at(const db *d, chain_no no, uint64_t first)
{
    const struct chain_state *s = no < d->state_count ? d->state[no] : NULL;
    if (s == NULL || s->held_last == NULL || s->held_last->first < first)
        return NULL;
    for (const struct held_batch *b = s->held; b != NULL && b->first <= first; b = b->next)
        if (!b->logged && b->first == first)
            return b;
    return NULL;
}

/* Header and signature of this chain's batch that begins with `first`. */
static bool header_at(db *d, chain_no no, uint64_t first, uint8_t raw[BATCH_SIGNED_BYTES], struct batch_header *out)
{
    struct err ignored = ERR_INIT;
    const struct held_batch *held = held_at(d, no, first);
    bool found = held != NULL;
    if (held != NULL) {
        memcpy(raw, held->bytes, BATCH_SIGNED_BYTES);
        *out = held->header;
    } else if (db_read_header(d, no, first, raw, out, &found, &ignored) != QUARTET_OK) {
        found = false;
    }
    return found && out->first == first;
}

/* Is it here already, or what nobody can compare it with any more? */
static bool is_here(db *d, chain_no no, const struct batch_header *h)
{
    struct chain_state *s = state_of(d, no);
    struct batch_at b;
    if (s == NULL || h->first + h->count - 1 > s->received)
        return false;
    const struct held_batch *held = held_at(d, no, h->first);
    if (held != NULL)
        return memcmp(held->header.hash, h->hash, sizeof h->hash) == 0;
    if (!db_find_batch(d, no, h->first, &b)) {
        const struct chain_fork *origin = origin_of(d, no);
        return origin == NULL || h->first >= origin->first;
    }
    uint64_t head = head_of(d, no, &b);
    return head == 0 || plant_is(PLANT_FORK_UNSEEN) || (b.first == h->first && head == load_le64(h->hash));
}

/* ---- where does a batch belong? ---- */

static bool ends_before(db *d, chain_no no, const struct batch_header *h, struct fork_place *p, struct err *err)
{
    uint64_t end, at;
    struct chain_id successor;
    if (!db_chain_ends(d, no, &end) || h->first <= end) /* what such a batch holds beyond the end is void (db_void.c) */
        return false;
    p->result = DELIVER_LATER; /* it may be asked for before the one who has it knows of the close: nobody's fault */
    if (db_chain_closed(d, no, &at, &successor))
        err_set(err, QUARTET_AUTH, "a batch from %llu on of a chain that was closed at %llu: its slot was taken over since", (unsigned long long)h->first,
                (unsigned long long)end);
    return true;
}

static bool goes_on(const struct chain_state *s, const struct batch_header *h)
{
    uint64_t received = s == NULL ? 0 : s->received;
    if (h->first != received + 1)
        return h->first > received + 1 && plant_is(PLANT_GAP_TAKEN);
    return h->first == 1 || memcmp(h->prev, s->received_hash, sizeof h->prev) == 0;
}

/* Is it the one with which this chain goes on? A branch has its name before its first batch is on disk: that may be lost in a crash, or wait, and then no other takes its place. */
static bool belongs(const db *d, chain_no no, const struct batch_header *h)
{
    for (uint32_t i = 0; i < d->chains.fork_count; i++) {
        const struct chain_fork *f = &d->chains.forks[i];
        bool named = f->branch == (load_le64(h->hash) | CHAIN_BRANCH_BIT);
        if (f->first == h->first && (f->as == no ? !named : named && same_family(d, f->as, no)))
            return false;
    }
    return true;
}

/* It does not follow what is here. Is this where the ways part? If not, earlier ones are asked for, more each time. */
static void look_for_fork(db *d, const struct batch_header *h, chain_no root, struct fork_place *p, struct err *err)
{
    uint8_t raw[BATCH_SIGNED_BYTES];
    struct batch_header ours;
    for (uint32_t i = 0; i < d->state_count; i++)
        if (d->state[i] != NULL && same_family(d, (chain_no)i, root) && header_at(d, (chain_no)i, h->first, raw, &ours) &&
            (h->first == 1 || memcmp(ours.prev, h->prev, sizeof ours.prev) == 0)) {
            p->chain = (chain_no)i;
            p->fork = true;
            p->result = DELIVER_APPLIED;
            return;
        }
    struct chain_state *s = d->state[root];
    size_t at = 0;
    while (at < s->batch_count && s->batches[at].first < h->first)
        at++; /* the one before is at at - 1 */
    s->back = s->back == 0 ? 1 : s->back * 2;
    if (at > 0) {
        p->need = s->batches[at > s->back ? at - s->back : 0].first;
        p->result = DELIVER_GAP;
        return;
    }
    p->result = DELIVER_REFUSED;
    err_set(err, QUARTET_AUTH, "batch %llu of slot %u does not follow what is here, and the log no longer holds where it departs: a forged or cloned node",
            (unsigned long long)h->first, (unsigned)h->chain.slot);
}

struct fork_place fork_place(db *d, const struct batch_header *h, struct err *err)
{
    struct fork_place p = {.result = DELIVER_APPLIED};
    chain_no root;
    bool forked = d->chains.fork_count > 0;
    if (!chain_find(&d->chains, h->chain, &root) || state_of(d, root) == NULL) {
        p.fresh = true;
        if (fork_blocks(d, h->chain.slot, h->first)) {
            p.result = DELIVER_LATER;
        } else if (h->first > 1 && !plant_is(PLANT_GAP_TAKEN)) {
            p.result = DELIVER_GAP;
            p.need = 1;
        }
        return p;
    }
    uint64_t top = 0;
    struct chain_state *s = d->state[root];
    if (s->poisoned) {
        err_set(err, QUARTET_CORRUPT, "this chain holds a damaged delta: nothing more is taken from it");
        p.result = DELIVER_REFUSED;
        return p;
    }
    for (uint32_t i = forked ? 0 : root; i < d->state_count && (forked || i == root); i++)
        if (d->state[i] != NULL && same_family(d, (chain_no)i, root)) {
            p.chain = (chain_no)i;
            p.result = DELIVER_DUPLICATE;
            if (is_here(d, (chain_no)i, h))
                return p;
            top = d->state[i]->received > top ? d->state[i]->received : top;
        }
    if (fork_blocks(d, h->chain.slot, h->first)) {
        p.result = DELIVER_LATER;
        return p;
    }
    if (!fork_frozen(d, h->chain.slot) && ends_before(d, root, h, &p, err))
        return p;
    for (uint32_t i = forked ? 0 : root; i < d->state_count && (forked || i == root); i++)
        if (d->state[i] != NULL && same_family(d, (chain_no)i, root) && goes_on(d->state[i], h) && belongs(d, (chain_no)i, h)) {
            p.chain = (chain_no)i;
            p.result = DELIVER_APPLIED;
            bool running = d->own_started && d->identity.member && p.chain == d->own;
            if (running) {
                p.result = DELIVER_REFUSED;
                err_set(err, QUARTET_AUTH, "a batch of this node's own running chain that it did not write: its key is used elsewhere");
            }
            return p;
        }
    for (uint32_t i = 0; i < d->state_count && forked; i++)
        if (d->state[i] != NULL && same_family(d, (chain_no)i, root) && goes_on(d->state[i], h)) { /* beside one that is known by its name alone */
            p.chain = (chain_no)i;
            p.result = DELIVER_APPLIED;
            p.fork = true;
            return p;
        }
    if (h->first > top + 1) {
        p.result = DELIVER_GAP;
        p.need = s->received + 1;
        return p;
    }
    look_for_fork(d, h, root, &p, err);
    return p;
}

/* ---- a branch ---- */

static quartet_status write_meta(db *d, const struct buf *b, log_pos *at, struct err *err)
{
    log_pos end;
    quartet_status rc = buf_check(b, err);
    return rc == QUARTET_OK ? db_log(d, LOG_META, slice_of(b->data, b->len), at, &end, err) : rc;
}

static quartet_status add_branch(db *d, const struct chain_fork *f, const struct chain_state *s, struct err *err)
{
    struct buf b = {0};
    log_pos at;
    struct chain_id id = chain_id_of(&d->chains, f->chain);
    quartet_status rc = chain_fork_add(&d->chains, *f, err);
    buf_u8(&b, FORK_META_BRANCH);
    buf_u8(&b, id.slot);
    buf_u64(&b, id.incarnation);
    buf_u64(&b, f->first);
    buf_u64(&b, f->after);
    buf_u64(&b, f->head);
    buf_u64(&b, f->branch);
    buf_u8(&b, f->as == f->chain);
    if (f->as != f->chain) {
        buf_put(&b, s->head, sizeof s->head);
        vv_encode(&b, &s->seen, &d->chains);
    }
    if (rc == QUARTET_OK)
        rc = write_meta(d, &b, &at, err);
    if (rc != QUARTET_OK)
        db_break(d); /* the branch is there, and the log does not know of it */
    buf_deinit(&b);
    return rc;
}

/* Is what comes before still to be logged? Then the branch begins when it is (fork_log_batch). */
static bool waits_before(const db *d, chain_no no, uint64_t first)
{
    for (const struct chain_fork *origin = origin_of(d, no); origin != NULL && first <= origin->first; origin = origin_of(d, no))
        no = origin->chain;
    const struct chain_state *s = no < d->state_count ? d->state[no] : NULL;
    for (const struct held_batch *b = s != NULL ? s->held : NULL; b != NULL; b = b->next)
        if (!b->logged && b->last + 1 == first)
            return true;
    return false;
}

/* The stamp and head of what comes before a batch of this chain. */
static bool before(db *d, chain_no no, uint64_t first, hlc_stamp *stamp, uint64_t *head)
{
    uint8_t raw[BATCH_SIGNED_BYTES];
    struct batch_header h;
    struct err ignored = ERR_INIT;
    bool found = false;
    *stamp = 0;
    *head = 0;
    if (first == 1)
        return true;
    const struct chain_fork *origin = origin_of(d, no);
    while (origin != NULL && first <= origin->first) {
        no = origin->chain;
        origin = origin_of(d, no);
    }
    if (db_read_header(d, no, first - 1, raw, &h, &found, &ignored) != QUARTET_OK || !found || h.first + h.count != first)
        return false;
    *stamp = h.last_stamp;
    *head = load_le64(h.hash);
    return true;
}

/* From here on this chain is what is called so. */
static quartet_status split(db *d, chain_no no, const struct batch_header *h, struct err *err)
{
    struct chain_fork f = {.chain = no, .as = no, .first = h->first, .branch = load_le64(h->hash) | CHAIN_BRANCH_BIT};
    for (uint32_t i = 0; i < d->chains.fork_count; i++)
        if (d->chains.forks[i].as == no && d->chains.forks[i].first == f.first)
            return QUARTET_OK;
    if (waits_before(d, no, f.first))
        return QUARTET_OK;
    if (!before(d, no, f.first, &f.after, &f.head))
        return err_set(err, QUARTET_TOO_OLD, "the log no longer holds what comes before delta %llu of slot %u, where its history forks", (unsigned long long)f.first,
                       (unsigned)h->chain.slot);
    chain_no heard;
    if (chain_find(&d->chains, (struct chain_id){.slot = h->chain.slot, .incarnation = f.branch}, &heard) && state_of(d, heard) != NULL &&
        state_of(d, no) != NULL && d->state[heard]->vouched > d->state[no]->vouched)
        d->state[no]->vouched = d->state[heard]->vouched;
    return add_branch(d, &f, NULL, err);
}

/* Whatever branch a node has it names alike. */
quartet_status fork_split_all(db *d, const struct fork_point *p, struct err *err)
{
    uint8_t raw[BATCH_SIGNED_BYTES];
    struct batch_header h;
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < d->state_count && rc == QUARTET_OK; i++)
        if (d->state[i] != NULL && same_family(d, (chain_no)i, p->root) && header_at(d, (chain_no)i, p->first, raw, &h) &&
            (p->first == 1 || memcmp(h.prev, p->prev, sizeof h.prev) == 0))
            rc = split(d, (chain_no)i, &h, err);
    return rc;
}

static quartet_status merge_seen(db *d, struct slice batch, const struct batch_header *h, uint64_t from, uint64_t through, struct vv *out, bool *inside, struct err *err)
{
    struct bytes_in in = bytes_in(batch.p + BATCH_SIGNED_BYTES, batch.n - BATCH_SIGNED_BYTES);
    struct slice bytes;
    quartet_status rc = QUARTET_OK;
    for (uint64_t n = h->first; rc == QUARTET_OK && n <= through && batch_next_delta(&in, &bytes); n++) {
        struct delta_reader r;
        if (n < from)
            continue;
        rc = delta_open(&r, bytes, &d->chains, err);
        if (rc != QUARTET_OK)
            break;
        if (n == from && (r.flags & DELTA_CONTINUES) != 0)
            *inside = true;
        if (n % FORK_SEEN_EVERY == 1 && (r.flags & DELTA_CONTINUES) == 0)
            out->count = 0;
        rc = fork_resolve(d, &r.deps, false, err);
        if (rc == QUARTET_OK)
            rc = vv_merge(out, &r.deps, err);
        delta_close(&r);
    }
    return rc;
}

/* What the chain's writer had seen at delta `through`. */
static quartet_status seen_before(db *d, chain_no no, uint64_t through, struct vv *out, struct err *err)
{
    struct buf bytes = {0};
    quartet_status rc = QUARTET_OK;
    uint64_t from = through == 0 ? 1 : (through - 1) / FORK_SEEN_EVERY * FORK_SEEN_EVERY + 1;
    for (bool inside = true; inside && rc == QUARTET_OK; from -= inside ? FORK_SEEN_EVERY : 0) {
        inside = false;
        out->count = 0;
        for (uint64_t n = from; n <= through && rc == QUARTET_OK;) {
            chain_no at = no;
            const struct chain_fork *origin = origin_of(d, at);
            for (; origin != NULL && n < origin->first; origin = origin_of(d, at))
                at = origin->chain;
            struct batch_at b;
            struct batch_header h;
            struct slice payload;
            if (state_of(d, at) == NULL || !db_find_batch(d, at, n, &b)) {
                rc = err_set(err, QUARTET_TOO_OLD, "the log no longer holds delta %llu of slot %u, which is needed to tell its two histories apart", (unsigned long long)n,
                             (unsigned)chain_id_of(&d->chains, no).slot);
                break;
            }
            buf_clear(&bytes);
            rc = db_read_batch(d, &b, &bytes, err);
            if (rc == QUARTET_OK)
                rc = batch_parse(slice_of(bytes.data, bytes.len), &h, &payload, err);
            if (rc == QUARTET_OK)
                rc = merge_seen(d, slice_of(bytes.data, bytes.len), &h, from, through, out, &inside, err);
            n = rc == QUARTET_OK ? h.first + h.count : n;
        }
        inside = inside && from > FORK_SEEN_EVERY;
    }
    buf_deinit(&bytes);
    return rc;
}

quartet_status fork_seen_origin(db *d, chain_no no, struct vv *seen, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (const struct chain_fork *f = d->chains.fork_count == 0 ? NULL : origin_of(d, no); f != NULL && rc == QUARTET_OK; f = origin_of(d, f->chain))
        if (f->first > 1)
            rc = vv_raise(seen, (struct vv_entry){.chain = f->chain, .number = f->first - 1, .stamp = f->after, .head = f->head}, err);
    return rc;
}

/* A chain for a branch that begins with this batch, beside `beside`'s. */
static quartet_status new_branch(db *d, const struct batch_header *h, chain_no beside, chain_no *out, struct err *err)
{
    struct chain_id id = {.slot = h->chain.slot, .incarnation = load_le64(h->hash) | CHAIN_BRANCH_BIT};
    struct chain_fork f = {.chain = beside, .first = h->first, .branch = id.incarnation};
    const struct chain_fork *origin = origin_of(d, beside);
    while (origin != NULL && h->first <= origin->first) { /* it follows what that one follows */
        f.chain = origin->chain;
        origin = origin_of(d, f.chain);
    }
    struct vv seen = {0};
    quartet_status rc = chain_intern(&d->chains, id, &f.as, err);
    struct chain_state *s = rc == QUARTET_OK ? db_chain(d, f.as, err) : NULL;
    if (s == NULL)
        return rc != QUARTET_OK ? rc : QUARTET_NOMEM;
    if (!before(d, beside, f.first, &f.after, &f.head))
        return err_set(err, QUARTET_TOO_OLD, "the log no longer holds what comes before delta %llu of slot %u, where its history forks", (unsigned long long)f.first,
                       (unsigned)id.slot);
    rc = plant_is(PLANT_FORK_SEEN_LOST) ? QUARTET_OK : seen_before(d, f.chain, f.first - 1, &seen, err);
    if (rc == QUARTET_OK) {
        vv_deinit(&s->seen);
        s->seen = seen;
        seen = (struct vv){0};
        s->received = s->head_number = f.first - 1;
        s->head_stamp = s->last_stamp = f.after;
        memcpy(s->head, h->prev, sizeof s->head);
        memcpy(s->received_hash, h->prev, sizeof s->received_hash);
        rc = add_branch(d, &f, s, err);
    }
    if (rc == QUARTET_OK)
        rc = fork_seen_origin(d, f.as, &s->seen, err);
    if (rc == QUARTET_OK && f.first > 1)
        rc = vv_raise(&d->applied, (struct vv_entry){.chain = f.as, .number = f.first - 1, .stamp = f.after, .head = f.head}, err);
    vv_deinit(&seen);
    *out = f.as;
    return rc;
}

/* What is known of two batches of which this may be one. */
static const struct fork_point *find_point(const db *d, chain_no root, const struct batch_header *h)
{
    for (uint32_t i = 0; i < d->forks.count; i++) {
        const struct fork_point *p = &d->forks.points[i];
        if (p->root == root && p->first == h->first && (h->first == 1 || memcmp(p->prev, h->prev, sizeof h->prev) == 0))
            return p;
    }
    return NULL;
}

quartet_status fork_point_add(db *d, chain_no root, const struct batch_header *h, const uint8_t a[BATCH_SIGNED_BYTES], const uint8_t b[BATCH_SIGNED_BYTES], bool write,
                              struct err *err)
{
    struct db_forks *f = &d->forks;
    if (find_point(d, root, h) != NULL)
        return QUARTET_OK;
    struct fork_point *grown = mem_realloc(f->points, f->count + 1u, sizeof *grown);
    if (grown == NULL)
        return err_nomem(err);
    f->points = grown;
    struct fork_point *p = &grown[f->count];
    *p = (struct fork_point){.root = root, .first = h->first};
    memcpy(p->prev, h->prev, sizeof p->prev);
    memcpy(p->signed_by_it[0], a, BATCH_SIGNED_BYTES);
    memcpy(p->signed_by_it[1], b, BATCH_SIGNED_BYTES);
    struct chain_id id = chain_id_of(&d->chains, root);
    quartet_status rc = QUARTET_OK;
    if (write) {
        struct buf m = {0};
        log_pos at;
        buf_u8(&m, FORK_META_POINT);
        buf_u8(&m, id.slot);
        buf_u64(&m, id.incarnation);
        buf_put(&m, a, BATCH_SIGNED_BYTES);
        buf_put(&m, b, BATCH_SIGNED_BYTES);
        rc = write_meta(d, &m, &at, err);
        buf_deinit(&m);
    }
    if (rc != QUARTET_OK)
        return rc;
    f->count++;
    log_line(d->env, LOG_ERROR, "db", "slot %u has signed two histories (incarnation %016llx, from delta %llu on): it is frozen, nothing more is taken from it. Its key is in other "
             "hands, or its disk was copied while it ran: see OPERATIONS.md, \"A frozen slot\"", (unsigned)id.slot, (unsigned long long)id.incarnation,
             (unsigned long long)h->first);
    if (id.slot == d->identity.slot && d->identity.member && !d->recovering)
        d->fenced = d->frozen = true;
    return d->recovering ? QUARTET_OK : fork_split_all(d, p, err);
}

quartet_status fork_found(db *d, const struct batch_header *h, struct slice bytes, chain_no beside, chain_no *branch, bool *take, struct err *err)
{
    uint8_t ours[BATCH_SIGNED_BYTES];
    struct batch_header o;
    chain_no root = chain_root(&d->chains, beside);
    bool known = find_point(d, root, h) != NULL, compared = header_at(d, beside, h->first, ours, &o);
    *take = false;
    if (!known && !compared)
        return err_set(err, QUARTET_INTERNAL, "a fork without a batch to compare it with");
    d->state[root]->back = 0;
    quartet_status rc = compared ? fork_point_add(d, root, h, ours, bytes.p, true, err) : QUARTET_OK;
    if (rc != QUARTET_OK || fork_blocks(d, h->chain.slot, h->first) || waits_before(d, beside, h->first))
        return rc;
    rc = new_branch(d, h, beside, branch, err);
    *take = rc == QUARTET_OK;
    return rc;
}

quartet_status fork_log_batch(db *d, const struct held_batch *b, log_pos *at, bool *logged, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    *logged = false;
    for (uint32_t i = 0; i < d->forks.count && rc == QUARTET_OK; i++) {
        const struct fork_point *p = &d->forks.points[i];
        if (p->first == b->first && same_family(d, p->root, b->chain) && origin_of(d, b->chain) == NULL && (p->first == 1 || memcmp(p->prev, b->header.prev, sizeof p->prev) == 0))
            rc = split(d, b->chain, &b->header, err);
    }
    struct chain_id id = chain_id_of(&d->chains, b->chain);
    if (rc != QUARTET_OK || chain_id_cmp(id, b->header.chain) == 0)
        return rc;
    struct buf m = {0};
    buf_u8(&m, FORK_META_NEXT);
    buf_u8(&m, id.slot);
    buf_u64(&m, id.incarnation);
    buf_u64(&m, load_le64(b->header.hash));
    rc = write_meta(d, &m, at, err);
    buf_deinit(&m);
    *logged = rc == QUARTET_OK;
    return rc;
}

/* ---- whom does a vector mean? ---- */

enum match { NO, UNKNOWN, MAYBE, YES };

static enum match matches(db *d, chain_no no, const struct vv_entry *e)
{
    struct chain_state *s = state_of(d, no);
    struct batch_at b;
    if (s == NULL || e->head == 0)
        return UNKNOWN;
    if (d->own_started && no == d->own && e->number > s->head_number)
        return NO; /* nobody can have what this node has not signed yet */
    const struct chain_fork *origin = origin_of(d, no);
    if (origin != NULL && e->number < origin->first)
        return UNKNOWN;
    if (e->number == s->head_number && e->head == load_le64(s->head))
        return YES; /* also where the log no longer holds it */
    if (!db_find_batch(d, no, e->number, &b))
        return UNKNOWN;
    for (uint32_t i = 0; i < LOOK_BACK; i++) {
        uint64_t head = head_of(d, no, &b);
        if (head == 0)
            return UNKNOWN;
        if (head == e->head)
            return i == 0 ? YES : MAYBE;
        if (!db_find_batch(d, no, b.first - 1, &b))
            return UNKNOWN;
    }
    return NO;
}

static enum match find_branch(db *d, struct vv_entry *e)
{
    enum match best = matches(d, e->chain, e);
    if (best == UNKNOWN && e->head != 0) { /* it is compared with all that there is, back to the start of the log */
        struct chain_state *s = state_of(d, e->chain);
        struct batch_at b;
        if (s != NULL && db_find_batch(d, e->chain, e->number, &b) && s->batches[0].first == 1 && head_of(d, e->chain, &b) != 0)
            best = NO;
    }
    struct chain_id id = chain_id_of(&d->chains, e->chain);
    bool unknown = (id.incarnation & CHAIN_BRANCH_BIT) != 0 && chain_root(&d->chains, e->chain) == e->chain; /* it may be what is here, under its name of before */
    if (best == YES || (d->chains.fork_count == 0 && !unknown))
        return best;
    for (uint32_t i = 0; i < d->state_count; i++)
        if (d->state[i] != NULL && (chain_no)i != e->chain && (same_family(d, (chain_no)i, e->chain) || (unknown && chain_id_of(&d->chains, (chain_no)i).slot == id.slot)) &&
            matches(d, (chain_no)i, e) == YES) {
            e->chain = (chain_no)i;
            return YES;
        }
    return best;
}

/* The log is an order of causes: what stands there was resolved when it was taken. It must be again only where there is a choice. */
static bool has_choice(const db *d, const struct vv *v)
{
    bool any = d->chains.fork_count > 0;
    for (uint32_t i = 0; i < v->count && !any; i++)
        any = (chain_id_of(&d->chains, v->e[i].chain).incarnation & CHAIN_BRANCH_BIT) != 0;
    return any;
}

quartet_status fork_resolve(db *d, struct vv *v, bool clip, struct err *err)
{
    bool changed = d->chains.fork_count > 0 && v->count > 0; /* the vector is made anew: in its order */
    struct vv out = {0};
    if (plant_is(PLANT_FORK_HEADS_IGNORED) || (d->recovering && !has_choice(d, v)))
        return QUARTET_OK;
    for (uint32_t i = 0; i < v->count; i++) {
        chain_no was = v->e[i].chain;
        v->e[i].astray = find_branch(d, &v->e[i]) == NO;
        changed = changed || v->e[i].astray || v->e[i].chain != was;
    }
    if (!changed)
        return QUARTET_OK;
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < v->count && rc == QUARTET_OK; i++) {
        if (v->e[i].astray && clip)
            continue;
        bool lost = v->e[i].astray;
        const struct vv_entry *had = vv_find(&out, v->e[i].chain);
        lost = lost || (had != NULL && had->astray);
        rc = vv_raise(&out, v->e[i], err);
        for (uint32_t k = 0; k < out.count && rc == QUARTET_OK; k++)
            if (out.e[k].chain == v->e[i].chain)
                out.e[k].astray = lost;
        if (rc == QUARTET_OK && !v->e[i].astray)
            rc = fork_seen_origin(d, v->e[i].chain, &out, err);
    }
    if (rc != QUARTET_OK) {
        vv_deinit(&out);
        return rc;
    }
    vv_deinit(v);
    *v = out;
    return QUARTET_OK;
}

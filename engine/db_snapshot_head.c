/* db_snapshot_head.c - the checkpoint in a snapshot: taken apart, made nobody's, and made a new owner's (format: the top of db_checkpoint.c).
 * Why it is cut and pasted as bytes and not read into a database and written anew: what it holds of chains counts them by the donor's own numbers, as do all records of its base, and these
 *   stay as they are. db_checkpoint_read looks at it again when the result is opened.
 * Not here: the stream (db_snapshot.c). */
#include <string.h>

#include "db_fork.h"
#include "db_snapshot_internal.h"

#define VECTOR_ENTRY_BYTES 26u
#define TABLE_BYTES 48u
#define FORK_BYTES 36u

void checkpoint_skip_vector(struct bytes_in *in)
{
    uint32_t n = bytes_count(in, VECTOR_ENTRY_BYTES);
    (void)bytes_take(in, (size_t)n * VECTOR_ENTRY_BYTES); /* `bad` tells */
}

static void look_at_forks(struct bytes_in *in)
{
    uint32_t n = bytes_count(in, FORK_BYTES);
    (void)bytes_take(in, (size_t)n * FORK_BYTES);
    n = bytes_count(in, 2 + 2 * BATCH_SIGNED_BYTES);
    (void)bytes_take(in, (size_t)n * (2 + 2 * BATCH_SIGNED_BYTES));
}

quartet_status checkpoint_look(struct slice blob, struct checkpoint_view *v, struct err *err)
{
    *v = (struct checkpoint_view){.blob = blob, .trailer_at = blob.n};
    if (blob.n < CHECKPOINT_HEAD_BYTES || blob.p[0] != CHECKPOINT_VERSION)
        return err_set(err, QUARTET_CORRUPT, "a snapshot's checkpoint: its head, or another version's");
    v->flags = blob.p[1];
    if ((v->flags & CHECKPOINT_TRAILER) != 0) {
        uint32_t n = load_le32(blob.p + blob.n - 4);
        if (n < 9 || n > blob.n - 4 - CHECKPOINT_HEAD_BYTES)
            return err_set(err, QUARTET_CORRUPT, "a snapshot's checkpoint: its trailer");
        v->trailer_at = blob.n - 4 - n;
    }
    struct bytes_in in = bytes_in(blob.p + CHECKPOINT_HEAD_BYTES, v->trailer_at - CHECKPOINT_HEAD_BYTES);
    v->chains = bytes_count(&in, 9);
    (void)bytes_take(&in, (size_t)v->chains * 9);
    v->applied_at = v->trailer_at - in.left;
    checkpoint_skip_vector(&in);
    if ((v->flags & CHECKPOINT_FORKS) != 0)
        look_at_forks(&in);
    if ((v->flags & CHECKPOINT_FOLDS) != 0) {
        uint32_t folds = bytes_count(&in, 6);
        (void)bytes_take(&in, (size_t)folds * 6);
    }
    v->states_at = v->trailer_at - in.left;
    for (uint32_t i = 0; i < v->chains && !in.bad; i++) {
        checkpoint_skip_vector(&in);
        (void)bytes_take(&in, CHECKPOINT_HEAD_OF_CHAIN_BYTES);
    }
    v->states_end = v->trailer_at - in.left;
    uint32_t n = bytes_count(&in, TABLE_BYTES);
    for (uint32_t i = 0; i < n; i++) {
        (void)bytes_u64(&in); /* the table */
        struct state_hash h = {.lo = bytes_u64(&in)};
        h.hi = bytes_u64(&in);
        state_hash_add(&v->hash, h);
        (void)bytes_take(&in, 24); /* what of it is out of sight */
    }
    (void)bytes_u64(&in); /* how far history goes */
    v->body_end = v->trailer_at - in.left;
    return in.bad ? err_set(err, QUARTET_CORRUPT, "a snapshot's checkpoint is cut short") : QUARTET_OK;
}

struct vv_entry checkpoint_applied(const struct checkpoint_view *v, uint32_t chain)
{
    struct bytes_in in = bytes_in(v->blob.p + v->applied_at, v->blob.n - v->applied_at);
    uint32_t n = bytes_count(&in, VECTOR_ENTRY_BYTES);
    for (uint32_t i = 0; i < n; i++) {
        struct vv_entry e = {.chain = bytes_u16(&in)};
        e.number = bytes_u64(&in);
        e.stamp = bytes_u64(&in);
        e.head = bytes_u64(&in);
        if (e.chain == chain && !in.bad)
            return e;
    }
    return (struct vv_entry){0};
}

quartet_status checkpoint_neutral(struct buf *blob, struct err *err)
{
    struct checkpoint_view v;
    quartet_status rc = checkpoint_look(slice_of(blob->data, blob->len), &v, err);
    if (rc != QUARTET_OK)
        return rc;
    memmove(blob->data + v.body_end, blob->data + v.trailer_at, blob->len - v.trailer_at);
    blob->len -= v.trailer_at - v.body_end;
    blob->data[1] = (uint8_t)((v.flags & (CHECKPOINT_TRAILER | CHECKPOINT_FORKS | CHECKPOINT_FOLDS)) | CHECKPOINT_REBUILD);
    memset(blob->data + 2, 0, 33); /* cluster and slot */
    memset(blob->data + CHECKPOINT_AT, 0, 8);
    return blob->len <= SNAPSHOT_CHECKPOINT_BYTES_MAX ? QUARTET_OK : err_set(err, QUARTET_LIMIT, "a checkpoint of %zu bytes, limit %u", blob->len, SNAPSHOT_CHECKPOINT_BYTES_MAX);
}

/* What comes before the trailer, after a look whether it is such a one: nothing in it may claim to be more. */
static quartet_status put_body(struct slice neutral, struct checkpoint_view *v, struct buf *out, struct err *err)
{
    quartet_status rc = checkpoint_look(neutral, v, err);
    if (rc == QUARTET_OK && ((v->flags & (CHECKPOINT_IDENTITY | CHECKPOINT_RESTORED)) != 0 || v->body_end != v->trailer_at))
        rc = err_set(err, QUARTET_CORRUPT, "a snapshot's checkpoint has parts that are the donor's own");
    if (rc != QUARTET_OK)
        return rc;
    buf_put(out, neutral.p, v->body_end);
    rc = buf_check(out, err);
    if (rc == QUARTET_OK)
        out->data[out->len - v->body_end + 1] |= CHECKPOINT_REBUILD;
    return rc;
}

quartet_status checkpoint_alone(struct env *env, struct slice neutral, struct buf *out, struct err *err)
{
    struct checkpoint_view v;
    uint64_t incarnation = 0;
    size_t start = out->len;
    quartet_status rc = put_body(neutral, &v, out, err);
    while (rc == QUARTET_OK && (incarnation <= 1 || incarnation >= CHAIN_SUMS)) {
        rc = env->ops->random(env, &incarnation, sizeof incarnation, err);
        incarnation &= ~CHAIN_BRANCH_BIT;
    }
    if (rc != QUARTET_OK)
        return rc;
    out->data[start + 1] |= CHECKPOINT_RESTORED;
    buf_u64(out, incarnation);
    buf_put(out, neutral.p + v.trailer_at, neutral.n - v.trailer_at);
    return buf_check(out, err);
}

/* What was stamped here, or is applied there, is stamped no more. What else the donor says of time counts nothing: it could be years ahead. */
static hlc_stamp clock_of(const struct checkpoint_view *v, hlc_stamp own)
{
    struct bytes_in in = bytes_in(v->blob.p + v->applied_at, v->blob.n - v->applied_at);
    uint32_t n = bytes_count(&in, VECTOR_ENTRY_BYTES);
    for (uint32_t i = 0; i < n; i++) {
        (void)bytes_take(&in, 10); /* chain and number */
        hlc_stamp stamp = bytes_u64(&in);
        (void)bytes_u64(&in); /* head */
        own = !in.bad && stamp > own ? stamp : own;
    }
    return own;
}

quartet_status checkpoint_of_member(const db *d, struct slice neutral, log_pos pos, struct buf *out, struct err *err)
{
    struct checkpoint_view v;
    size_t start = out->len;
    QASSERT(d->has_identity);
    quartet_status rc = put_body(neutral, &v, out, err);
    if (rc != QUARTET_OK)
        return rc;
    uint8_t *p = out->data + start;
    p[1] |= CHECKPOINT_IDENTITY;
    memcpy(p + 2, d->identity.cluster.b, sizeof d->identity.cluster.b);
    p[2 + sizeof d->identity.cluster.b] = d->identity.slot;
    store_le64(p + CHECKPOINT_AT - 8, clock_of(&v, d->clock.last));
    store_le64(p + CHECKPOINT_AT, pos);
    /* The index of a log that holds nothing below this position; its last header links what is signed next. */
    size_t index = out->len;
    buf_u8(out, 0);
    buf_u16(out, 0);
    buf_put(out, d->own_head, sizeof d->own_head);
    for (uint32_t i = 0; i < v.chains; i++) {
        buf_u8(out, 0); /* not poisoned */
        buf_varint(out, 0);
        buf_varint(out, 0);
    }
    buf_u64(out, out->len - index);
    buf_put(out, neutral.p + v.trailer_at, neutral.n - v.trailer_at);
    return buf_check(out, err);
}

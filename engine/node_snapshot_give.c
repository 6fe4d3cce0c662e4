/* node_snapshot_give.c - the donor's side: pieces of one stream, on demand, at a bounded rate, one receiver at a time.
 * Why on demand and in a window: the receiver's disk and link set the pace, and a receiver that is gone costs nothing but the pages that the stream holds, for NODE_SNAPSHOT_KEPT_MS.
 * Why signed: each piece names the one before it, so a stream that turns out to be a lie is one that only this node can have given.
 * Not here: what is in a stream (db_donate.c). */
#include <string.h>

#include <sodium.h>

#include "base/log.h"
#include "node_snapshot_internal.h"

static void put_no(struct buf *replies, uint64_t stream, const char *why)
{
    size_t begun = snapshot_reply_begin(replies, SNAPSHOT_NO);
    size_t n = strlen(why);
    buf_u64(replies, stream);
    buf_put(replies, why, n < 200 ? n : 200);
    snapshot_reply_end(replies, begun);
}

void snapshot_give_end(struct node_snapshot *n)
{
    db_donation_free(n->give.open);
    for (uint32_t i = 0; i < NODE_SNAPSHOT_WINDOW; i++)
        buf_deinit(&n->give.kept[i]);
    n->give = (struct snapshot_giving){0};
}

/* The next piece, into its place of the window. */
static quartet_status make_piece(struct node_gossip *g, struct err *err)
{
    struct snapshot_giving *s = &g->snapshot->give;
    struct buf *out = &s->kept[s->made % NODE_SNAPSHOT_WINDOW], bytes = {0};
    uint8_t before[SNAPSHOT_HASH_BYTES], signature[SNAPSHOT_SIGNATURE_BYTES];
    quartet_status rc = db_donation_read(s->open, NODE_SNAPSHOT_PIECE_BYTES, &bytes, &s->ended, err);
    if (rc == QUARTET_OK) {
        memcpy(before, s->hash, sizeof before);
        snapshot_piece_hash(g, g->identity.slot, s->stream, s->made, s->ended, before, slice_of(bytes.data, bytes.len), s->hash);
        (void)crypto_sign_detached(signature, NULL, s->hash, sizeof s->hash, g->identity.secret_key); /* cannot fail */
        buf_clear(out);
        buf_u64(out, s->stream);
        buf_u64(out, s->made);
        buf_u8(out, s->ended);
        buf_put(out, before, sizeof before);
        buf_u32(out, (uint32_t)bytes.len);
        buf_put(out, bytes.data, bytes.len);
        buf_put(out, signature, sizeof signature);
        rc = buf_check(out, err);
    }
    s->made++;
    g->snapshot->counters.given += rc == QUARTET_OK && s->ended;
    buf_deinit(&bytes);
    return rc;
}

static void send_kept(struct snapshot_giving *s, uint64_t piece, struct buf *replies)
{
    const struct buf *kept = &s->kept[piece % NODE_SNAPSHOT_WINDOW];
    size_t begun = snapshot_reply_begin(replies, SNAPSHOT_PIECE);
    buf_put(replies, kept->data, kept->len);
    snapshot_reply_end(replies, begun);
    s->budget = s->budget > kept->len ? s->budget - kept->len : 0;
}

/* What was asked for and not made yet, as far as this tick's budget goes. */
static void go_on(struct node_gossip *g, struct buf *replies)
{
    struct snapshot_giving *s = &g->snapshot->give;
    struct err err = ERR_INIT;
    while (s->made < s->asked && !s->ended && s->budget > 0) {
        uint64_t stream = s->stream;
        if (make_piece(g, &err) != QUARTET_OK) {
            log_line(g->env, LOG_ERROR, "gossip", "the snapshot for node %u ends: %s", (unsigned)s->to, err.text);
            snapshot_give_end(g->snapshot);
            put_no(replies, stream, "it cannot be read");
            return;
        }
        send_kept(s, s->made - 1, replies);
    }
}

void snapshot_give_ask(struct node_gossip *g, uint8_t slot, struct bytes_in *in, struct buf *replies)
{
    struct snapshot_giving *s = &g->snapshot->give;
    uint64_t stream = bytes_u64(in), from = bytes_u64(in);
    uint8_t count = bytes_u8(in);
    if (in->bad || in->left > 0 || count == 0 || count > NODE_SNAPSHOT_WINDOW || from > UINT64_MAX - count)
        return;
    if (stream == 0 || (from > 0 && (s->open == NULL || s->to != slot || s->stream != stream))) {
        put_no(replies, stream, "that stream is no longer there");
        return;
    }
    struct err why = ERR_INIT;
    bool others = (s->open != NULL || s->wanted || s->making) && s->to != slot;
    if (!others && (s->open == NULL || s->stream != stream) && db_health(g->d, &why) != QUARTET_OK) {
        put_no(replies, stream, why.text);
        return;
    }
    if (!others && !s->making && s->stream != stream) { /* it begins, or begins again */
        snapshot_give_end(g->snapshot);
        s->wanted = true;
        s->to = slot;
        s->stream = stream;
    }
    if (others || s->open == NULL) {
        snapshot_reply_end(replies, snapshot_reply_begin(replies, SNAPSHOT_WAIT));
        return;
    }
    if (from + NODE_SNAPSHOT_WINDOW < s->made) {
        put_no(replies, stream, "that piece is no longer there");
        return;
    }
    s->heard_ms = snapshot_now_ms(g);
    for (uint64_t piece = from; piece < from + count && piece < s->made; piece++) /* it was lost on the way */
        send_kept(s, piece, replies);
    s->asked = from + count;
    go_on(g, replies);
}

void snapshot_give_tick(struct node_gossip *g, uint8_t slot, struct buf *replies)
{
    struct snapshot_giving *s = &g->snapshot->give;
    if (s->open == NULL || s->to != slot)
        return;
    s->budget = NODE_SNAPSHOT_TICK_BYTES;
    go_on(g, replies);
}

void snapshot_give_work(struct node_gossip *g)
{
    struct node_snapshot *n = g->snapshot;
    struct snapshot_giving *s = &n->give;
    struct err err = ERR_INIT;
    if (s->open != NULL && snapshot_now_ms(g) - s->heard_ms > NODE_SNAPSHOT_KEPT_MS)
        snapshot_give_end(n);
    if (!s->wanted || s->open != NULL)
        return;
    s->wanted = false;
    s->making = true;
    pthread_mutex_unlock(&n->lock);
    db_donation *made = NULL;
    quartet_status rc = db_donate(g->d, &made, &err);
    pthread_mutex_lock(&n->lock);
    s->making = false;
    if (rc != QUARTET_OK) { /* it asks again */
        log_line(g->env, LOG_WARN, "gossip", "no snapshot for node %u now: %s", (unsigned)s->to, err.text);
        snapshot_give_end(n);
        return;
    }
    s->open = made;
    s->heard_ms = snapshot_now_ms(g);
    s->budget = NODE_SNAPSHOT_TICK_BYTES;
    log_line(g->env, LOG_INFO, "gossip", "node %u, which is too far behind for the log, gets a snapshot", (unsigned)s->to);
}

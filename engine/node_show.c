/* node_show.c - SHOW CLUSTER: each member as this node sees it, its own line among them.
 * Lag is counted against what this node has applied; hashes are compared only where vectors are equal, since only then they must be. */
#include "node_internal.h"
#include "node_alarm.h"
#include "node_snapshot.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS 9u
#define ASK_MS 100u /* for the members' answers; who is silent is shown as it was */

void node_vector_text(struct buf *out, const struct idvec *v)
{
    for (uint32_t i = 0; i < v->count; i++)
        buf_printf(out, "%s%u/%04llx:%llu", i > 0 ? " " : "", (unsigned)v->e[i].chain.slot,
                   (unsigned long long)(v->e[i].chain.incarnation >> 48), (unsigned long long)v->e[i].number);
}

struct node_lag node_lag_of(const struct idvec *ours, const struct idvec *theirs)
{
    struct node_lag lag = {0};
    for (uint32_t i = 0; i < ours->count; i++) {
        const struct idvec_entry *e = idvec_find(theirs, ours->e[i].chain);
        uint64_t number = e != NULL ? e->number : 0;
        if (number >= ours->e[i].number)
            continue;
        lag.deltas += ours->e[i].number - number;
        uint64_t from = e != NULL ? hlc_ms(e->stamp) : hlc_ms(ours->e[i].stamp);
        uint64_t ms = hlc_ms(ours->e[i].stamp) - from;
        lag.ms = ms > lag.ms ? ms : lag.ms;
    }
    return lag;
}

static quartet_status text_value(struct arena *a, struct buf *text, struct value *out, struct err *err)
{
    quartet_status rc = buf_check(text, err);
    void *copy = rc == QUARTET_OK ? arena_dup(a, text->data, text->len) : NULL;
    if (rc == QUARTET_OK && copy == NULL)
        rc = arena_fail(a, err);
    if (rc == QUARTET_OK)
        *out = value_text(copy, text->len);
    buf_clear(text);
    return rc;
}

/* Without what goes with it where the state is not confirmed. */
static size_t hash_of(const struct gossip_status *s)
{
    return s->hash_bytes == NODE_SNAPSHOT_UNCONFIRMED_BYTES ? s->hash_bytes - 1u : s->hash_bytes;
}

static void hash_text(struct buf *out, const uint8_t *hash, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%02x", hash[i]);
}

static const char *state_text(const struct server_peer_view *p, const struct gossip_status *told)
{
    static const char *const states[] = {"starting", "catching up", "ready", "fenced", "leaving", "too old"};
    if (!p->self && !p->gossip.connected)
        return "unreachable";
    uint8_t state = told->state;
    return state < sizeof states / sizeof *states ? states[state] : "unknown";
}

/* `s`: what the member last said of itself. */
static quartet_status one_line(const struct server_peer_view *p, const char *state, const struct gossip_status *s, const struct gossip_status *own,
                               struct arena *a, struct value *row, struct err *err)
{
    struct buf text = {0};
    bool known = s->wall_us > 0;
    for (uint32_t c = 0; c < COLUMNS; c++)
        row[c] = VALUE_NULL_INIT;
    row[0] = value_int(p->slot);
    buf_str(&text, p->address);
    quartet_status rc = text_value(a, &text, &row[1], err);
    buf_str(&text, state);
    if (rc == QUARTET_OK)
        rc = text_value(a, &text, &row[2], err);
    if (rc == QUARTET_OK && known) {
        struct node_lag lag = node_lag_of(&own->applied, &s->applied);
        node_vector_text(&text, &s->applied);
        rc = text_value(a, &text, &row[3], err);
        row[4] = value_int((int64_t)lag.deltas);
        row[5] = value_int((int64_t)lag.ms);
        row[6] = value_int(p->self ? 0 : p->gossip.skew_us / 1000);
        hash_text(&text, s->hash, hash_of(s));
        if (rc == QUARTET_OK)
            rc = text_value(a, &text, &row[7], err);
        if (rc == QUARTET_OK && idvec_equal(&s->applied, &own->applied)) {
            bool equal = hash_of(s) == hash_of(own) && memcmp(s->hash, own->hash, hash_of(s)) == 0;
            buf_str(&text, equal ? "yes" : "NO: DIVERGED");
            rc = text_value(a, &text, &row[8], err);
        }
    }
    buf_deinit(&text);
    return rc;
}

static quartet_status show_member(struct node *n, const struct server_peer_view *p, const struct gossip_status *own, struct arena *a,
                                  struct value *row, struct err *err)
{
    struct gossip_status told = {0};
    struct buf state = {0}, more = {0};
    if (p->self)
        node_snapshot_text(&n->gossip, &more);
    pthread_mutex_lock(&n->lock);
    quartet_status rc = gossip_status_copy(&told, p->self ? own : &n->peer_status[p->slot], err);
    pthread_mutex_unlock(&n->lock);
    buf_printf(&state, "%s%s", db_slot_frozen(n->d, p->slot) ? "frozen: signed two histories" : state_text(p, &told), p->self ? " (this node)" : "");
    const struct member_node *listed = member_find_slot(&n->identity.doc, p->slot);
    if (listed != NULL)
        buf_printf(&state, "%s%s", (listed->flags & MEMBER_DRAINED) != 0 ? "; drained" : "", (listed->flags & MEMBER_STANDBY) != 0 ? "; standby" : "");
    if (more.len > 0)
        buf_printf(&state, "; %.*s", (int)more.len, (const char *)more.data);
    buf_u8(&state, 0);
    if (rc == QUARTET_OK)
        rc = more.failed ? err_nomem(err) : buf_check(&state, err);
    if (rc == QUARTET_OK)
        rc = one_line(p, (const char *)state.data, &told, own, a, row, err);
    buf_clear(&more);
    if (!p->self)
        node_alarm_text(&n->gossip, p->slot, &more);
    if (rc == QUARTET_OK && more.len > 0) {
        buf_clear(&state);
        buf_printf(&state, "NO: DIVERGED in %.*s", (int)more.len, (const char *)more.data);
        rc = text_value(a, &state, &row[8], err);
    }
    gossip_status_deinit(&told);
    buf_deinit(&state);
    buf_deinit(&more);
    return rc;
}

static quartet_status show_cluster(struct node *n, struct arena *a, struct conn_table *out, struct err *err)
{
    static const char *const columns[COLUMNS] = {"slot", "address", "state", "vector", "lag_deltas", "lag_ms", "clock_skew_ms", "state_hash", "equal"};
    struct server_view view;
    struct gossip_status own = {0};
    struct gossip_host host;
    node_gossip_host(&n->gossip, &host);
    node_ask_peers(n, ASK_MS);
    quartet_status rc = host.status(host.ctx, &own, err);
    if (rc != QUARTET_OK)
        return rc;
    rc = server_view(n->server, &view, err);
    if (rc == QUARTET_OK) {
        struct value *values = arena_zalloc(a, (size_t)view.count * COLUMNS, sizeof *values);
        if (values == NULL)
            rc = arena_fail(a, err);
        for (uint32_t i = 0; rc == QUARTET_OK && i < view.count; i++)
            rc = show_member(n, &view.peers[i], &own, a, values + (size_t)i * COLUMNS, err);
        *out = (struct conn_table){.column_count = COLUMNS, .columns = columns, .row_count = view.count, .values = values};
        server_view_deinit(&view);
    }
    gossip_status_deinit(&own);
    return rc;
}

static quartet_status show(void *ctx, const char *what, struct arena *a, struct conn_table *out, bool *known, struct err *err)
{
    struct node *n = ctx;
    bool peers = strcmp(what, "PEERS") == 0;
    *known = peers || strcmp(what, "CLUSTER") == 0;
    return peers ? node_show_peers(n, a, out, err) : *known ? show_cluster(n, a, out, err) : QUARTET_OK;
}

typedef quartet_status each_line(void *arg, const char *name, const struct value *value, struct err *err);

static quartet_status status_lines(void *ctx, each_line *each, void *arg, struct err *err)
{
    struct node *n = ctx;
    struct node_alarm_figures f = node_alarm_figures(&n->gossip);
    struct buf names = {0};
    struct server_view view;
    node_alarm_text(&n->gossip, node_slot(n), &names);
    quartet_status rc = buf_check(&names, err);
    if (rc == QUARTET_OK)
        rc = server_view(n->server, &view, err);
    if (rc != QUARTET_OK) {
        buf_deinit(&names);
        return rc;
    }
    const struct {
        const char *name;
        struct value v;
    } lines[] = {{"diverged", value_text((const char *)names.data, names.len)}, {"diverged_tables", value_int(f.tables)},
                 {"hash_comparisons", value_int((int64_t)f.compared)},        {"hash_differences", value_int((int64_t)f.differing)},
                 {"hash_rounds", value_int((int64_t)f.rounds)},               {"hash_rounds_skipped", value_int((int64_t)f.skipped)},
                 {"compressed_messages", value_int((int64_t)view.zip.messages)}, {"compressed_bytes_before", value_int((int64_t)view.zip.bytes_before)},
                 {"compressed_bytes_after", value_int((int64_t)view.zip.bytes_after)}};
    for (size_t i = 0; rc == QUARTET_OK && i < sizeof lines / sizeof *lines; i++)
        rc = each(arg, lines[i].name, &lines[i].v, err);
    server_view_deinit(&view);
    buf_deinit(&names);
    return rc;
}

void node_hooks(struct node *n, struct conn_node_hooks *out)
{
    *out = (struct conn_node_hooks){.ctx = n, .show = show, .status = status_lines, .before_read = node_before_read, .after_commit = node_after_commit,
                                    .wait_news = node_wait_news};
}

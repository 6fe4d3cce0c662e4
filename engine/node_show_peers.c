/* node_show_peers.c - SHOW PEERS: this node's links with the other members. What the members hold is SHOW CLUSTER's (node_show.c). */
#include "node_internal.h"

#include <string.h>


static const char *const columns[] = {"slot", "address", "link", "up_ms", "heard_ms_ago", "rtt_us", "queue_bytes", "level", "speaks", "faults", "slow", "lag_bytes", "note"};
#define COLUMNS (sizeof columns / sizeof *columns)

static quartet_status put_text(struct arena *a, const char *text, struct value *out, struct err *err)
{
    size_t n = strlen(text);
    char *copy = arena_strndup(a, text, n);
    if (copy == NULL)
        return arena_fail(a, err);
    *out = value_text(copy, n);
    return QUARTET_OK;
}

static quartet_status one_line(struct node *n, const struct server_peer_view *p, struct arena *a, struct value *row, struct err *err)
{
    const struct gossip_peer_view *g = &p->gossip;
    struct buf speaks = {0};
    uint64_t lag;
    bool up = g->connected && g->level != 0, refused = g->refused[0] != '\0';
    for (size_t c = 0; c < COLUMNS; c++)
        row[c] = VALUE_NULL_INIT;
    row[0] = value_int(p->slot);
    if (up) {
        row[3] = value_int((int64_t)p->connected_ms);
        row[5] = value_int((int64_t)g->rtt_us);
        row[6] = value_int((int64_t)g->queued_bytes);
        row[7] = value_int(g->level);
    }
    if (p->heard_ms_ago != UINT64_MAX)
        row[4] = value_int((int64_t)p->heard_ms_ago);
    row[9] = value_int((int64_t)p->faults);
    row[10] = value_int(p->slow);
    if (db_peer_lag_bytes(n->d, p->slot, &lag))
        row[11] = value_int((int64_t)lag);
    quartet_status rc = put_text(a, p->address, &row[1], err);
    if (rc == QUARTET_OK)
        rc = put_text(a, up ? "up" : refused ? "refused" : "down", &row[2], err);
    if (rc == QUARTET_OK && g->level_max != 0) {
        buf_printf(&speaks, "%u to %u", g->level_min, g->level_max);
        buf_u8(&speaks, 0);
        rc = buf_check(&speaks, err);
        if (rc == QUARTET_OK)
            rc = put_text(a, (const char *)speaks.data, &row[8], err);
    }
    if (rc == QUARTET_OK && refused)
        rc = put_text(a, g->refused, &row[12], err);
    buf_deinit(&speaks);
    return rc;
}

quartet_status node_show_peers(struct node *n, struct arena *a, struct conn_table *out, struct err *err)
{
    struct server_view view;
    quartet_status rc = server_view(n->server, &view, err);
    if (rc != QUARTET_OK)
        return rc;
    struct value *values = arena_zalloc(a, (size_t)view.count * COLUMNS, sizeof *values);
    uint32_t rows = 0;
    if (values == NULL)
        rc = arena_fail(a, err);
    for (uint32_t i = 0; rc == QUARTET_OK && i < view.count; i++)
        if (!view.peers[i].self)
            rc = one_line(n, &view.peers[i], a, values + (size_t)rows++ * COLUMNS, err);
    *out = (struct conn_table){.column_count = COLUMNS, .columns = columns, .row_count = rows, .values = values};
    server_view_deinit(&view);
    return rc;
}

/* node_http.c - /healthz, /readyz and /metrics: what a load balancer and Prometheus ask of a node. Plain HTTP, nothing secret.
 * healthz: the process lives and its store takes writes. readyz: it is also not far behind its peers. Metrics: text format 0.0.4. */
#include "node_alarm.h"
#include "node_internal.h"

#include <string.h>


static void put_metric(struct buf *out, const char *name, const char *kind, const char *help, double value)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, kind, name, value);
}

static void put_head(struct buf *out, const char *name, const char *kind, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void put_latency(struct buf *out, const struct db_stats *s)
{
    uint64_t sum = 0;
    put_head(out, "quartet_commit_seconds", "histogram", "commits with synchronous = full, from COMMIT to the disk");
    for (uint32_t i = 0; i < DB_COMMIT_BUCKETS; i++) {
        sum += s->commit_buckets[i];
        if (i + 1 < DB_COMMIT_BUCKETS)
            buf_printf(out, "quartet_commit_seconds_bucket{le=\"%g\"} %llu\n", (double)DB_COMMIT_BOUNDS_US[i] / 1e6, (unsigned long long)sum);
    }
    buf_printf(out, "quartet_commit_seconds_bucket{le=\"+Inf\"} %llu\nquartet_commit_seconds_sum %.6f\nquartet_commit_seconds_count %llu\n", (unsigned long long)sum,
               (double)s->commit_us / 1e6, (unsigned long long)sum);
}

/* How far each peer is behind this node, as it last said; and when its tables were last compared with ours. */
static void put_lag(struct node *n, struct buf *out, const struct server_view *view, const struct node_alarm_figures *alarm)
{
    struct err err = ERR_INIT;
    struct idvec ours = {0};
    struct buf applied = {0};
    uint64_t now_ms = n->env->ops->mono_ns(n->env) / 1000000u;
    bool known = db_vectors(n->d, &applied, NULL, &err) == QUARTET_OK;
    struct bytes_in in = bytes_in(applied.data, applied.len);
    known = known && idvec_decode(&in, &ours, &err) == QUARTET_OK;
    for (int what = 0; what < 3; what++) {
        static const char *const names[] = {"quartet_peer_lag_deltas", "quartet_peer_lag_seconds", "quartet_peer_compared_seconds_ago"};
        static const char *const help[] = {"transactions of ours that the peer has not applied", "the same by their stamps", "since its tables were compared with ours"};
        put_head(out, names[what], "gauge", help[what]);
        for (uint32_t i = 0; known && i < view->count; i++) {
            const struct server_peer_view *p = &view->peers[i];
            if (p->self || p->gossip.status_at_us == 0 || (what == 2 && alarm->compared_ms[p->slot] == 0))
                continue;
            struct node_lag lag = node_lag_of(&ours, &p->gossip.status.applied);
            double value = what == 0 ? (double)lag.deltas : what == 1 ? (double)lag.ms / 1e3 : (double)(now_ms - alarm->compared_ms[p->slot]) / 1e3;
            buf_printf(out, "%s{slot=\"%u\"} %.9g\n", names[what], (unsigned)p->slot, value);
        }
    }
    idvec_deinit(&ours);
    buf_deinit(&applied);
}

/* What a peer that is away has to take at most. */
static void put_lag_bytes(struct node *n, struct buf *out, const struct server_view *view)
{
    put_head(out, "quartet_peer_lag_bytes", "gauge", "of this node's log, from the first batch on that the peer has not on its disk");
    for (uint32_t i = 0; i < view->count; i++) {
        uint64_t bytes;
        if (!view->peers[i].self && db_peer_lag_bytes(n->d, view->peers[i].slot, &bytes))
            buf_printf(out, "quartet_peer_lag_bytes{slot=\"%u\"} %llu\n", (unsigned)view->peers[i].slot, (unsigned long long)bytes);
    }
}

static void put_peers(struct buf *out, const struct server_view *view)
{
    static const struct {
        const char *name, *help;
    } peer_metrics[] = {
        {"quartet_peer_connected", "1 while there is a link to the peer"},
        {"quartet_peer_rtt_seconds", "smoothed round-trip time"},
        {"quartet_peer_clock_skew_seconds", "the peer's clock less ours"},
        {"quartet_peer_queue_bytes", "waiting to be sent to the peer"},
        {"quartet_peer_faults_total", "links closed for invalid bytes"},
        {"quartet_peer_slow", "1 while the link is so slow that messages are compressed"},
    };
    for (size_t m = 0; m < sizeof peer_metrics / sizeof *peer_metrics; m++) {
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", peer_metrics[m].name, peer_metrics[m].help, peer_metrics[m].name,
                   m == 4 ? "counter" : "gauge");
        for (uint32_t i = 0; i < view->count; i++) {
            const struct server_peer_view *p = &view->peers[i];
            const double values[] = {p->gossip.connected, (double)p->gossip.rtt_us / 1e6, (double)p->gossip.skew_us / 1e6,
                                     (double)p->gossip.queued_bytes, (double)p->faults, p->slow};
            if (!p->self)
                buf_printf(out, "%s{slot=\"%u\"} %.9g\n", peer_metrics[m].name, (unsigned)p->slot, values[m]);
        }
    }
}

static void put_metrics(struct node *n, struct buf *out)
{
    struct db_stats s;
    struct server_view view;
    struct err err = ERR_INIT;
    db_stats(n->d, &s);
    put_metric(out, "quartet_commits_total", "counter", "transactions committed on this node", (double)s.commits);
    put_metric(out, "quartet_rows_written_total", "counter", "rows written by transactions of this node", (double)s.rows_written);
    put_metric(out, "quartet_remote_deltas_total", "counter", "deltas of other nodes applied", (double)s.remote_deltas);
    put_metric(out, "quartet_remote_rows_total", "counter", "rows merged from other nodes", (double)s.remote_rows);
    put_metric(out, "quartet_keys_assigned_twice_total", "counter", "keys that two runs of one slot gave to two rows", (double)s.keys_twice);
    put_metric(out, "quartet_held_batches", "gauge", "batches that wait for what they depend on", (double)s.held_batches);
    put_metric(out, "quartet_log_bytes", "gauge", "commit log on disk", (double)s.log_bytes);
    put_metric(out, "quartet_buffer_bytes", "gauge", "write buffer in memory", (double)s.kv.buffer_bytes);
    put_metric(out, "quartet_frozen_bytes", "gauge", "frozen buffers on their way to the base", (double)s.kv.frozen_bytes);
    put_metric(out, "quartet_base_bytes", "gauge", "base on disk", (double)s.kv.base_bytes);
    put_metric(out, "quartet_flushes_total", "counter", "buffers flushed into the base", (double)s.kv.flushes);
    put_metric(out, "quartet_snapshots", "gauge", "snapshots held", (double)s.kv.snapshots);
    put_metric(out, "quartet_oldest_snapshot_seconds", "gauge", "how long the oldest snapshot has been held", (double)s.kv.oldest_snapshot_ns / 1e9);
    put_metric(out, "quartet_pinned_bytes", "gauge", "flushed buffers kept for snapshots", (double)s.kv.pinned_bytes);
    put_metric(out, "quartet_pinned_base_bytes", "gauge", "of the base kept for snapshots", (double)s.kv.pinned_base_bytes);
    put_metric(out, "quartet_snapshots_too_old_total", "counter", "snapshots that pinned too much", (double)s.kv.too_old);
    put_metric(out, "quartet_left_behind", "gauge", "1 where no member's log holds what this node lacks: it takes no writes", db_is_behind(n->d));
    put_latency(out, &s);
    put_metric(out, "quartet_log_syncs_total", "counter", "fdatasync calls of the log", (double)s.syncs);
    put_metric(out, "quartet_log_sync_seconds_total", "counter", "time that they took", (double)s.sync_ns / 1e9);
    put_metric(out, "quartet_conflicts", "gauge", "rows of quartet_conflicts", (double)s.conflicts);
    put_metric(out, "quartet_applied_total", "counter", "transactions applied, own and others'", (double)s.apply_no);
    struct node_alarm_figures alarm = node_alarm_figures(&n->gossip);
    put_metric(out, "quartet_diverged_tables", "gauge", "tables that differ from those of a member that knows the same transactions", alarm.tables);
    put_metric(out, "quartet_hash_comparisons_total", "counter", "comparisons of all tables with a member", (double)alarm.compared);
    put_metric(out, "quartet_hash_rounds_skipped_total", "counter", "rounds of comparisons that were not possible", (double)alarm.skipped);
    if (server_view(n->server, &view, &err) != QUARTET_OK)
        return; /* out of memory: the figures above are still true */
    put_metric(out, "quartet_sessions", "gauge", "client sessions", view.sessions);
    put_metric(out, "quartet_handshakes_refused_total", "counter", "connections refused", (double)view.refused_total);
    put_metric(out, "quartet_batches_refused_total", "counter", "batches refused", (double)view.counters.batches_refused);
    put_metric(out, "quartet_batches_pushed_total", "counter", "batches pushed to peers", (double)view.counters.batches_pushed);
    put_metric(out, "quartet_pulls_sent_total", "counter", "requests for missing batches", (double)view.counters.pulls_sent);
    put_metric(out, "quartet_gossip_bytes_in_total", "counter", "received from peers", (double)view.counters.bytes_in);
    put_metric(out, "quartet_gossip_bytes_out_total", "counter", "sent to peers", (double)view.counters.bytes_out);
    put_metric(out, "quartet_pushes_dropped_total", "counter", "batches that a slow peer pulls later", (double)view.counters.pushes_dropped);
    put_metric(out, "quartet_compressed_messages_total", "counter", "messages that were compressed for slow links", (double)view.zip.messages);
    put_metric(out, "quartet_compressed_bytes_before_total", "counter", "their bytes before", (double)view.zip.bytes_before);
    put_metric(out, "quartet_compressed_bytes_after_total", "counter", "their bytes after", (double)view.zip.bytes_after);
    put_peers(out, &view);
    put_lag_bytes(n, out, &view);
    put_lag(n, out, &view, &alarm);
    server_view_deinit(&view);
}

void node_http(void *ctx, const struct http_request *request, struct http_reply *reply)
{
    struct node *n = ctx;
    struct err err = ERR_INIT;
    reply->status = 200;
    reply->content_type = "text/plain; charset=utf-8";
    if (strcmp(request->path, "/healthz") == 0) {
        if (db_health(n->d, &err) != QUARTET_OK)
            reply->status = 503;
        buf_printf(&reply->body, "%s\n", reply->status == 200 ? "ok" : err.text);
    } else if (strcmp(request->path, "/readyz") == 0) {
        const struct member_node *self = member_find_slot(&n->identity.doc, node_slot(n));
        bool drained = self != NULL && (self->flags & MEMBER_DRAINED) != 0;
        bool ready = db_health(n->d, &err) == QUARTET_OK && !drained && node_state(n) == GOSSIP_STATE_READY;
        reply->status = ready ? 200 : 503;
        buf_printf(&reply->body, "%s\n", ready ? "ready" : err.code != QUARTET_OK ? err.text : drained ? "drained" : "catching up");
    } else if (strcmp(request->path, "/metrics") == 0) {
        reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
        put_metrics(n, &reply->body);
    } else {
        reply->status = 404;
        buf_str(&reply->body, "there are /healthz, /readyz and /metrics\n");
    }
}

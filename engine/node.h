/* node.h - a cluster node: the wiring of an open database (db.h) with the network (net/server.h). The only place that knows both.
 *
 * node_gossip.c answers gossip's questions from the database, and is used by the simulator too; node_session.c gives clients their
 * connections; node_show.c and node_http.c tell what is going on; node_files.c makes and reads keys and membership. */
#ifndef ENGINE_NODE_H
#define ENGINE_NODE_H

#include "conn.h"
#include "db.h"
#include "net/gossip.h"
#include "net/member.h"

typedef struct node node;
struct quartet_cluster_change; /* quartet.h */

/* Make `d` a member, with the keys in `keys_dir` (node.key, member.qm). Starts threads and binds ports. QUARTET_MISUSE, QUARTET_NET, QUARTET_AUTH,
 * QUARTET_CANTOPEN say what is wrong. Clients' backups go below backup_dir (copied; NULL: they are refused). poll_us: as in net/server.h. `d` is borrowed and must outlive the node. */
quartet_status node_start(db *d, const char *keys_dir, const char *backup_dir, uint32_t poll_us, node **out, struct err *err);
void node_stop(node *n); /* NULL is allowed. Client sessions end; what was committed stays to be gossiped at the next start */
bool node_wants_reopen(node *n); /* a snapshot waits: stop the node, close the database, open and start both again. Any thread */
uint8_t node_slot(const node *n);
const char *node_address(const node *n);

/* ---- the gossip host over a database, without sockets or threads: for the node and for the simulator ---- */

#define NODE_LOST_MAX 8u
struct node_lost { /* deltas from `from` on of a chain, which this node lacks and somebody's log no longer holds */
    struct chain_id chain;
    uint64_t from;
    uint8_t gone, lacks; /* bits by slot: members that had them and no longer do; that never had them, as they told last */
};
struct node_peer_clock {
    bool known, apart; /* apart: told in the log */
    int64_t latest_us; /* it is no further ahead of ours than this */
};
struct node_gossip {
    db *d;
    struct env *env;
    struct member_doc doc;          /* who may sign; owned */
    struct db_identity identity;
    uint8_t answered;               /* a bit for each slot that has told what it knows of ours */
    bool renewing;                  /* a newer membership is known and holds from the next start (node_gossip_renewing); any thread */
    bool unsynced;                  /* batches were taken since the last node_gossip_sync */
    uint64_t delivered, refused, faults;
    uint64_t came;                  /* so often did what no log held come after all */
    struct node_lost lost[NODE_LOST_MAX];
    uint32_t lost_count;
    struct node_snapshot *snapshot; /* node_snapshot.h; owned */
    struct node_peer_clock clocks[SLOTS_MAX]; /* node_clock.c */
    struct node_alarm *alarm;       /* node_alarm.h; owned */
    void *news_ctx;
    /* Called after a batch was taken (`unsynced`: the first since those that came before were made durable), and with what peers tell; on gossip's thread; may be NULL. */
    void (*news)(void *ctx, bool unsynced);
    void (*told_disk)(void *ctx, uint8_t slot, const struct idvec *disk);
    void (*told_status)(void *ctx, uint8_t slot, const struct gossip_status *status);
};
/* Copies doc; sets the database's identity from `key`. */
quartet_status node_gossip_init(struct node_gossip *g, db *d, const struct member_doc *doc, const struct member_key *key, struct err *err);
void node_gossip_deinit(struct node_gossip *g);
/* A newer membership came, with which this node starts anew at once: what nobody of the present one has signed may be of somebody in that, and is asked for again then. Any thread. */
void node_gossip_renewing(struct node_gossip *g);
/* Fill the table that gossip calls; ctx is g. */
void node_gossip_host(struct node_gossip *g, struct gossip_host *out);

/* node_behind.c: a peer's log no longer holds delta `from` of a chain; what a peer said of itself. */
void node_behind_gone(struct node_gossip *g, uint8_t slot, struct chain_id chain, uint64_t from);
void node_behind_came(struct node_gossip *g); /* a batch: perhaps what was missing */
void node_behind_status(struct node_gossip *g, uint8_t slot, const struct gossip_status *s);

/* node_clock.c: a peer's clock lies within error_us of skew_us of ours; the link is gone. */
void node_clock_heard(struct node_gossip *g, uint8_t slot, int64_t skew_us, uint64_t error_us);
void node_clock_gone(struct node_gossip *g, uint8_t slot);

/* ---- files ---- */

#define NODE_PATH_BYTES_MAX 4096u
#define NODE_ROOT_KEY "root.key"
#define NODE_ROOT_KEY_NEXT "root.key.next" /* for the moment of changing it */
#define NODE_ADMIN_URL "admin.url"
#define NODE_KEY_FILE "node.key"
#define NODE_KEY_NEXT "node.key.next" /* takes the place of node.key once the membership names it */
#define NODE_MEMBER_FILE "member.qm"
#define NODE_ADMITTED_FILE "admitted.qm" /* the newest document with nodes that joined by a token: what an operator copies to member.qm may not know of them yet */
#define NODE_KEY_JOINING "node.key.joining" /* of a node that is about to join by a token */

/* quartet_cluster_init's work: dir/0 ... with keys/node.key and keys/member.qm each, dir/root.key, dir/admin.key, dir/admin.url. Nothing is overwritten. */
quartet_status node_cluster_init(struct env *env, const char *dir, uint32_t nodes, const char *const *addresses, const char *const *http,
                                 struct err *err);
/* dir/SLOT/keys with its key and the document, both new. */
quartet_status node_write_keys(struct env *env, const char *dir, const struct member_key *key, const struct buf *doc, struct err *err);
/* node_members.c: quartet_cluster_change's work. */
quartet_status node_cluster_change(struct env *env, const char *dir, const struct quartet_cluster_change *what, int *slot, uint64_t *epoch, struct err *err);
/* node_join.c: quartet_cluster_token's and quartet_cluster_join's work. */
quartet_status node_cluster_token(struct env *env, const char *dir, int sponsor, uint64_t seconds, struct buf *token, int *slot, uint64_t *epoch, struct err *err);
quartet_status node_cluster_join(struct env *env, const char *token, const char *dir, const char *address, const char *http, int *slot, struct err *err);
struct node_identity {
    struct member_key key;
    struct member_doc doc;
    struct buf doc_bytes; /* as signed */
};
quartet_status node_identity_read(struct env *env, const char *keys_dir, struct node_identity *out, struct err *err);
/* Make this document the one that the next start finds. On disk when it returns. */
quartet_status node_membership_keep(struct env *env, const char *keys_dir, struct slice doc_bytes, struct err *err);
void node_identity_deinit(struct node_identity *id); /* wipes the key */
/* Does keys_dir hold a next key that this document names for the slot? Then the node's next start has it. */
bool node_has_next_key(struct env *env, const char *keys_dir, const struct member_doc *doc, uint8_t slot);

#endif

/* test_node_snapshot.c - three nodes' gossip in one thread, without sockets: one was away until the others' logs were cut. It takes a snapshot that another member confirms; it takes none
 * that another member contradicts, whoever is asked; an unconfirmed one raises the alarm as soon as another member is heard; a donor that falls silent is left for another one. What went with disks holds nobody back for good, neither who waits
 * for a snapshot nor who waits for the rest of a history. */
#include "cluster_help.h"
#include "engine/apply.h"
#include "engine/db_fork.h"
#include "engine/db_snapshot.h"
#include "engine/node_alarm.h"
#include "engine/node_snapshot.h"
#include "fault/fault_env.h"
#include "net/gossip.h"
#include "query_help.h"

#define NODES 3u
#define AWAY 2u
#define TICK_US 50000u

struct member {
    struct fault_env f;
    db *d;
    struct node_gossip host;
    gossip *g;
    struct member_key key;
    bool cut;      /* from everybody */
    uint64_t lines; /* of its log that say "DIVERGED" or "one of the two is wrong" */
    bool named;     /* one of them names node 0's snapshot, and node 1 */
};
struct net {
    struct member m[NODES];
    struct member_doc doc;
    uint64_t now_us;
    bool silent[NODES]; /* what it says about snapshots is lost */
};

static void count_line(void *arg, int level, const char *component, const char *line)
{
    struct member *m = arg;
    (void)level;
    (void)component;
    m->lines += strstr(line, "one of the two is wrong") != NULL;
    m->named |= strstr(line, "came as a snapshot of node 0, and node 1 has another one as of a stamp") != NULL;
}

static void start(struct net *n, uint32_t k)
{
    struct err err = ERR_INIT;
    struct member *m = &n->m[k];
    struct db_options o = {.base_in_memory = true};
    struct gossip_host host;
    OK(db_open(&m->f.env, "/db", &o, &m->d, &err));
    OK(node_gossip_init(&m->host, m->d, &n->doc, &m->key, &err));
    node_gossip_host(&m->host, &host);
    OK(gossip_new((uint8_t)k, 7 + k, &host, &m->g, &err));
}

static void stop(struct net *n, uint32_t k)
{
    struct member *m = &n->m[k];
    gossip_free(m->g);
    node_gossip_deinit(&m->host);
    help_close(m->d);
    m->g = NULL;
    m->d = NULL;
    for (uint32_t i = 0; i < NODES; i++)
        if (i != k && n->m[i].g != NULL)
            gossip_disconnect(n->m[i].g, (uint8_t)k, n->now_us);
}

static void begin(struct net *n)
{
    static const char *const clients[] = {"test"};
    static const char *const addresses[NODES] = {"a:1", "b:1", "c:1"};
    struct member_plan wanted = {.node_count = NODES, .client_count = 1, .client_names = clients};
    struct member_keys keys = {0};
    struct err err = ERR_INIT;
    *n = (struct net){.now_us = 1000000};
    for (uint32_t k = 0; k < NODES; k++) {
        wanted.address[k] = addresses[k];
        wanted.http[k] = "";
    }
    OK(member_init(env_posix(), &wanted, &n->doc, &keys, &err));
    for (uint32_t k = 0; k < NODES; k++) {
        n->m[k].key = keys.nodes[k];
        fault_env_init(&n->m[k].f, 5 + k);
        n->m[k].f.wall_us = 1800000000000000u;
        n->m[k].f.on_log = count_line;
        n->m[k].f.on_log_arg = &n->m[k];
        start(n, k);
    }
    member_keys_deinit(&keys);
}

static void end(struct net *n)
{
    for (uint32_t k = 0; k < NODES; k++) {
        stop(n, k);
        fault_env_deinit(&n->m[k].f);
    }
    member_doc_deinit(&n->doc);
}

static bool linked(const struct net *n, uint32_t a, uint32_t b)
{
    return a != b && !n->m[a].cut && !n->m[b].cut && n->m[a].g != NULL && n->m[b].g != NULL;
}

static void links(struct net *n)
{
    struct err err = ERR_INIT;
    for (uint8_t a = 0; a < NODES; a++)
        for (uint8_t b = 0; b < NODES; b++) {
            struct gossip_peer_view v;
            if (a == b || n->m[a].g == NULL)
                continue;
            OK(gossip_peer(n->m[a].g, b, &v, &err));
            gossip_status_deinit(&v.status);
            if (linked(n, a, b) && !v.connected)
                OK(gossip_connect(n->m[a].g, b, n->now_us, &err));
            else if (!linked(n, a, b) && v.connected)
                gossip_disconnect(n->m[a].g, b, n->now_us);
        }
}

static void pump(struct net *n)
{
    struct err err = ERR_INIT;
    struct slice message;
    for (bool any = true; any;) {
        any = false;
        for (uint8_t a = 0; a < NODES; a++)
            for (uint8_t b = 0; b < NODES; b++)
                while (linked(n, a, b) && gossip_peek(n->m[a].g, b, &message)) {
                    bool lost = n->silent[a] && message.n > 2 && message.p[1] == 10;
                    any = true;
                    if (!lost)
                        OK(gossip_input(n->m[b].g, a, message, n->now_us, &err));
                    gossip_pop(n->m[a].g, b);
                }
    }
}

static void push(void *arg, struct slice batch, const struct batch_header *h)
{
    struct err err = ERR_INIT;
    (void)h;
    OK(gossip_local_batch(arg, batch, 1, &err));
}

/* 50 ms of everybody's life. */
static void tick(struct net *n)
{
    struct err err = ERR_INIT;
    n->now_us += TICK_US;
    links(n);
    for (uint32_t k = 0; k < NODES; k++) {
        struct member *m = &n->m[k];
        if (m->g == NULL)
            continue;
        m->f.mono_ns = n->now_us * 1000;
        m->f.wall_us = 1800000000000000u + n->now_us;
        db_tick(m->d);
        OK(db_seal(m->d, push, m->g, &err));
        OK(db_sync_remote(m->d, &err));
        node_snapshot_work(&m->host);
        (void)node_alarm_work(&m->host);
        OK(gossip_disk_moved(m->g, n->now_us, &err));
        OK(gossip_tick(m->g, n->now_us, &err));
    }
    pump(n);
}

static void ticks(struct net *n, uint32_t seconds)
{
    for (uint32_t i = 0; i < seconds * 20; i++)
        tick(n);
}

static bool until_taken(struct net *n, uint32_t k, uint32_t seconds)
{
    for (uint32_t i = 0; i < seconds * 20; i++) {
        tick(n);
        if (node_snapshot_is_adopted(&n->m[k].host))
            return true;
    }
    return false;
}

static bool until_adopted(struct net *n, uint32_t seconds)
{
    return until_taken(n, AWAY, seconds);
}

static void reopen_node(struct net *n, uint32_t k)
{
    stop(n, k);
    start(n, k);
}

static void reopen(struct net *n)
{
    reopen_node(n, AWAY);
}

static struct state_hash hash_of(struct net *n, uint32_t k)
{
    struct err err = ERR_INIT;
    struct state_hash h;
    OK(db_state_hash(n->m[k].d, &h, NULL, &err));
    return h;
}

static bool equal(struct net *n, uint32_t a, uint32_t b)
{
    struct state_hash x = hash_of(n, a), y = hash_of(n, b);
    return x.lo == y.lo && x.hi == y.hi;
}

static void cut_logs(struct net *n)
{
    for (uint32_t k = 0; k < AWAY; k++) {
        pthread_mutex_lock(&n->m[k].d->commit_lock);
        db_trim_index(n->m[k].d, commit_log_end(n->m[k].d->log));
        pthread_mutex_unlock(&n->m[k].d->commit_lock);
    }
}

/* Node 2 is away while the others write and their logs go; it has written what they have not heard of. */
static void leave_behind(struct net *n)
{
    run_sql(n->m[0].d, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    run_sql(n->m[0].d, "INSERT INTO t VALUES (1, 'honest'), (2, 'b')");
    ticks(n, 3);
    CU_ASSERT_FATAL(equal(n, 0, 1) && equal(n, 0, AWAY));
    n->m[AWAY].cut = true;
    run_sql(n->m[AWAY].d, "INSERT INTO t VALUES (3, 'away')");
    run_sql(n->m[0].d, "INSERT INTO t VALUES (4, 'late')");
    run_sql(n->m[1].d, "UPDATE t SET v = 'later' WHERE id = 2");
    ticks(n, 3);
    cut_logs(n);
}

/* Row 1 is another one in this node's store, and so is its hash. */
static void tamper(struct net *n, uint32_t k)
{
    struct err err = ERR_INIT;
    db *d = n->m[k].d;
    struct catalog *catalog = db_catalog(d);
    const struct table_def *t = catalog_table(catalog, "t");
    struct buf key = {0}, record = {0};
    kv_snap *snap = NULL;
    help_key(t, 1, &key);
    OK(kv_snapshot_latest(d->store, &snap, &err));
    OK(kv_get(snap, NULL, t->id, slice_of(key.data, key.len), &record, &err));
    kv_release(snap);
    uint8_t *at = memmem(record.data, record.len, "honest", 6);
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    memcpy(at, "lyings", 6);
    struct kv_op op = {.tree = t->id, .key = slice_of(key.data, key.len), .record = slice_of(record.data, record.len)};
    pthread_mutex_lock(&d->commit_lock);
    OK(kv_apply(d->store, &op, 1, ++d->applied_no, &err));
    kv_publish(d->store, d->applied_no);
    OK(apply_rebuild(d, &err));
    pthread_mutex_unlock(&d->commit_lock);
    buf_deinit(&key);
    buf_deinit(&record);
    catalog_unref(catalog);
}

static void test_node_snapshot_is_confirmed(void)
{
    struct net n;
    begin(&n);
    leave_behind(&n);
    n.m[AWAY].cut = false;
    CU_ASSERT_FATAL(until_adopted(&n, 30));
    struct node_snapshot_counters c = node_snapshot_counters(&n.m[AWAY].host);
    CU_ASSERT(c.taken == 1 && c.confirmed == 1 && c.contradicted == 0 && c.refused == 0);
    reopen(&n);
    ticks(&n, 5);
    CU_ASSERT(equal(&n, 0, 1) && equal(&n, 0, AWAY));
    expect_rows(n.m[AWAY].d, "SELECT id, v FROM t ORDER BY id", "1|honest\n2|later\n3|away\n4|late\n");
    run_sql(n.m[AWAY].d, "INSERT INTO t VALUES (5, 'again')");
    ticks(&n, 3);
    expect_rows(n.m[0].d, "SELECT v FROM t WHERE id = 5", "again\n");
    CU_ASSERT_EQUAL(n.m[AWAY].lines, 0);
    end(&n);
}

/* Whoever is asked, the other one tells another state: none is taken, and the log names both. */
static void test_node_snapshot_contradicted_is_not_taken(void)
{
    struct net n;
    begin(&n);
    leave_behind(&n);
    tamper(&n, 0);
    CU_ASSERT(!equal(&n, 0, 1));
    n.m[AWAY].cut = false;
    CU_ASSERT(!until_adopted(&n, 100));
    struct node_snapshot_counters c = node_snapshot_counters(&n.m[AWAY].host);
    CU_ASSERT(c.taken == 0 && c.contradicted >= 2);
    CU_ASSERT(n.m[AWAY].lines >= 2);
    CU_ASSERT(db_is_behind(n.m[AWAY].d));
    expect_rows(n.m[AWAY].d, "SELECT id, v FROM t ORDER BY id", "1|honest\n2|b\n3|away\n");
    end(&n);
}

/* Node 2 takes the snapshot of node 0 while nobody can confirm it; node 1 stays away. */
static void take_unconfirmed(struct net *n, bool lie)
{
    begin(n);
    leave_behind(n);
    if (lie)
        tamper(n, 0);
    n->silent[0] = n->silent[1] = true; /* they give none until later */
    n->m[AWAY].cut = false;
    ticks(n, 2); /* both have told that their logs are cut */
    CU_ASSERT(db_is_behind(n->m[AWAY].d));
    n->m[1].cut = true;
    ticks(n, NODE_SNAPSHOT_PATIENCE_MS / 1000 + 5); /* what node 1 said of its state while the first try went on is forgotten with that */
    n->silent[0] = n->silent[1] = false;
    CU_ASSERT_FATAL(until_adopted(n, 100));
    CU_ASSERT_EQUAL(node_snapshot_counters(&n->m[AWAY].host).confirmed, 0);
    reopen(n);
    ticks(n, 5);
    CU_ASSERT_EQUAL(n->m[AWAY].lines, 0);
    CU_ASSERT_EQUAL(node_snapshot_unconfirmed(&n->m[AWAY].host), 1);
}

/* All write without a pause, so that no two vectors meet when they are told. */
static void ticks_under_load(struct net *n, uint32_t seconds)
{
    for (uint32_t i = 0; i < seconds * 20; i++) {
        for (uint32_t k = 0; k < NODES; k++) {
            char sql[96];
            (void)snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%u, 'load')", 1000 + 4 * i + k);
            run_sql(n->m[k].d, sql);
        }
        tick(n);
    }
}

/* The donor altered one value that was written long before, and its hash with it. Nobody ever stands still: the hashes as of a stamp tell of it, and the log names donor and witness. */
static void test_node_snapshot_lie_shows_under_load(void)
{
    struct net n;
    take_unconfirmed(&n, true);
    expect_rows(n.m[AWAY].d, "SELECT v FROM t WHERE id = 1", "lyings\n");
    n.m[1].cut = false;
    ticks_under_load(&n, 15);
    struct node_snapshot_counters c = node_snapshot_counters(&n.m[AWAY].host);
    CU_ASSERT(c.contradicted >= 1 && c.as_of == c.contradicted && c.confirmed == 0);
    CU_ASSERT(n.m[AWAY].named);
    CU_ASSERT_EQUAL(node_snapshot_unconfirmed(&n.m[AWAY].host), 1);
    end(&n);
}

static void test_node_snapshot_is_confirmed_under_load(void)
{
    struct net n;
    take_unconfirmed(&n, false);
    n.m[1].cut = false;
    ticks_under_load(&n, 15);
    struct node_snapshot_counters c = node_snapshot_counters(&n.m[AWAY].host);
    CU_ASSERT(c.confirmed == 1 && c.as_of == 1 && c.contradicted == 0);
    CU_ASSERT_EQUAL(node_snapshot_unconfirmed(&n.m[AWAY].host), 0);
    reopen(&n);
    CU_ASSERT_EQUAL(node_snapshot_unconfirmed(&n.m[AWAY].host), 0); /* for good */
    CU_ASSERT_EQUAL(n.m[AWAY].lines, 0);
    end(&n);
}

/* Two hold the same lie, one of them because it took the other's snapshot: neither makes the third believe the other. */
static void test_node_snapshot_unconfirmed_vouches_for_nobody(void)
{
    struct net n;
    take_unconfirmed(&n, true);
    run_sql(n.m[0].d, "INSERT INTO t VALUES (6, 'more')");
    ticks(&n, 3);
    CU_ASSERT_FATAL(equal(&n, 0, AWAY));
    for (uint32_t k = 0; k < NODES; k += AWAY) {
        pthread_mutex_lock(&n.m[k].d->commit_lock);
        db_trim_index(n.m[k].d, commit_log_end(n.m[k].d->log));
        pthread_mutex_unlock(&n.m[k].d->commit_lock);
    }
    n.m[1].cut = false;
    CU_ASSERT_FATAL(until_taken(&n, 1, 100));
    struct node_snapshot_counters c = node_snapshot_counters(&n.m[1].host);
    CU_ASSERT(c.taken == 1 && c.confirmed == 0);
    reopen_node(&n, 1);
    ticks(&n, 30);
    CU_ASSERT_EQUAL(node_snapshot_counters(&n.m[1].host).confirmed, 0);
    CU_ASSERT_EQUAL(node_snapshot_counters(&n.m[AWAY].host).confirmed, 0);
    CU_ASSERT((node_snapshot_unconfirmed(&n.m[1].host) & 1) != 0);
    end(&n);
}

/* Nobody can confirm in time: it is taken, and the other member's state tells of the lie when it is heard. */
static void test_node_snapshot_lie_shows_later(void)
{
    struct net n;
    take_unconfirmed(&n, true);
    struct buf text = {0};
    node_snapshot_text(&n.m[AWAY].host, &text);
    buf_u8(&text, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr((const char *)text.data, "not confirmed"));
    buf_deinit(&text);
    n.m[1].cut = false;
    ticks(&n, 10);
    CU_ASSERT(n.m[AWAY].lines >= 1);
    CU_ASSERT(node_snapshot_counters(&n.m[AWAY].host).contradicted >= 1);
    end(&n);
}

static void test_node_snapshot_silent_donor_is_left(void)
{
    struct net n;
    begin(&n);
    leave_behind(&n);
    n.silent[0] = true;
    n.m[AWAY].cut = false;
    CU_ASSERT_FATAL(until_adopted(&n, 100));
    reopen(&n);
    ticks(&n, 5);
    CU_ASSERT(equal(&n, 0, AWAY) && equal(&n, 1, AWAY));
    end(&n);
}

/* Node 2 hears of node 1 that its log no longer holds what node 1 alone had; then node 1 goes on with an empty disk. Nobody has it any longer, so it holds back nobody: the one
 * that has the rest gives it to both. */
static void test_node_snapshot_what_nobody_has_is_not_asked_of_a_donor(void)
{
    struct net n;
    begin(&n);
    leave_behind(&n);
    n.m[0].cut = true;
    stop(&n, 1);
    start(&n, 1); /* what it writes from here on is a chain of its own */
    run_sql(n.m[1].d, "INSERT INTO t VALUES (5, 'alone')");
    ticks(&n, 1);
    cut_logs(&n);
    n.m[AWAY].cut = false;
    ticks(&n, 2);
    CU_ASSERT_EQUAL_FATAL(n.m[AWAY].host.lost_count, 3); /* of both of node 1's chains, and of node 0's */
    stop(&n, 1);
    fault_env_erase(&n.m[1].f);
    start(&n, 1);
    n.m[0].cut = false;
    CU_ASSERT_FATAL(until_adopted(&n, 60));
    reopen(&n);
    CU_ASSERT_FATAL(until_taken(&n, 1, 60));
    stop(&n, 1);
    start(&n, 1);
    ticks(&n, 5);
    CU_ASSERT(equal(&n, 0, 1) && equal(&n, 0, AWAY));
    expect_rows(n.m[AWAY].d, "SELECT id, v FROM t ORDER BY id", "1|honest\n2|later\n3|away\n4|late\n");
    end(&n);
}

/* Node 2 has what node 1 wrote on top of node 0's last transaction, and not that one; then both of them go on with empty disks. Each new run has to hear what node 2 knows of its slot, and
 * node 2 cannot wait for ever for what nobody has: the chains are closed without it. */
static void test_node_snapshot_what_waits_in_vain_holds_nobody_back(void)
{
    struct net n;
    struct err err = ERR_INIT;
    struct buf bytes = {0};
    uint32_t count = 0;
    enum deliver_result result;
    uint64_t need;
    begin(&n);
    run_sql(n.m[0].d, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    run_sql(n.m[1].d, "CREATE TABLE u (id INTEGER PRIMARY KEY)");
    ticks(&n, 3);
    CU_ASSERT_FATAL(equal(&n, 0, 1) && equal(&n, 0, AWAY));
    n.m[AWAY].cut = true;
    run_sql(n.m[0].d, "INSERT INTO t VALUES (1, 'lost')");
    ticks(&n, 2);
    struct chain_id chain = chain_id_of(&n.m[1].d->chains, n.m[1].d->own);
    uint64_t from = vv_number(&n.m[1].d->applied, n.m[1].d->own) + 1;
    run_sql(n.m[1].d, "INSERT INTO t VALUES (2, 'on top')");
    ticks(&n, 1);
    OK(db_read_batches(n.m[1].d, chain, from, 1, &bytes, &count, &err));
    CU_ASSERT_FATAL(bytes.len > 4);
    OK(db_deliver(n.m[AWAY].d, slice_of(bytes.data + 4, load_le32(bytes.data)), member_find_slot(&n.doc, 1)->public_key, &result, &need, &err));
    CU_ASSERT_EQUAL_FATAL(result, DELIVER_HELD);
    CU_ASSERT(db_is_catching_up(n.m[AWAY].d)); /* somebody may have it */
    for (uint32_t k = 0; k < AWAY; k++) {
        stop(&n, k);
        fault_env_erase(&n.m[k].f);
    }
    start(&n, 0);
    start(&n, 1);
    n.m[AWAY].cut = false;
    ticks(&n, 15);
    for (uint32_t k = 0; k < NODES; k++) {
        CU_ASSERT(n.m[k].d->identity.members_answered);
        CU_ASSERT(!db_is_catching_up(n.m[k].d));
        CU_ASSERT(equal(&n, 0, k));
        uint64_t number = 0;
        struct chain_id next;
        chain_no no;
        CU_ASSERT_FATAL(chain_find(&n.m[k].d->chains, chain, &no));
        CU_ASSERT(db_chain_closed(n.m[k].d, no, &number, &next));
        CU_ASSERT_EQUAL(number, from - 1);
    }
    run_sql(n.m[1].d, "INSERT INTO t VALUES (3, 'again')");
    ticks(&n, 2);
    expect_rows(n.m[AWAY].d, "SELECT id, v FROM t ORDER BY id", "3|again\n");
    buf_deinit(&bytes);
    end(&n);
}

const char *const unit_suite = "node_snapshot";
const struct unit_test unit_tests[] = {
    {"is confirmed", test_node_snapshot_is_confirmed},
    {"contradicted is not taken", test_node_snapshot_contradicted_is_not_taken},
    {"lie shows later", test_node_snapshot_lie_shows_later},
    {"lie shows under load", test_node_snapshot_lie_shows_under_load},
    {"is confirmed under load", test_node_snapshot_is_confirmed_under_load},
    {"unconfirmed vouches for nobody", test_node_snapshot_unconfirmed_vouches_for_nobody},
    {"silent donor is left", test_node_snapshot_silent_donor_is_left},
    {"what nobody has is not asked of a donor", test_node_snapshot_what_nobody_has_is_not_asked_of_a_donor},
    {"what waits in vain holds nobody back", test_node_snapshot_what_waits_in_vain_holds_nobody_back},
    {NULL, NULL},
};

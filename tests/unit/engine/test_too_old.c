/* test_too_old.c - a member that comes back from an old copy of its directory, where rows are live that all others have purged: it catches up from the logs, in any order, and
 * nothing comes alive; or the logs no longer hold what it lacks, and it takes no writes and says why. */
#include "cluster_help.h"
#include "engine/node.h"
#include "fault/fault_env.h"

#define TABLE "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER)"

static const char *const tables[] = {"t", NULL};

static void retention_none(db *d)
{
    pthread_mutex_lock(&d->commit_lock);
    db_history_set(d, 0);
    pthread_mutex_unlock(&d->commit_lock);
}

static void sweep(db *d)
{
    struct err err = ERR_INIT;
    pthread_mutex_lock(&d->commit_lock);
    db_publish(d);
    OK(kv_flush(d->store, &err));
    pthread_mutex_unlock(&d->commit_lock);
    OK(db_sweep(d, &err));
}

/* Rows of t in the store, live or not. */
static uint64_t entries(db *d)
{
    struct err err = ERR_INIT;
    kv_snap *snap = NULL;
    kv_iter *it = NULL;
    struct kv_range all = {.hi_open = true};
    struct kv_want want = {.keys = true, .records = true, .dead = true};
    struct kv_rows rows;
    uint64_t n = 0;
    struct catalog *catalog = db_catalog(d);
    OK(kv_snapshot_latest(d->store, &snap, &err));
    OK(kv_iter_open(snap, NULL, catalog_table(catalog, "t")->id, &all, &want, &it, &err));
    do {
        OK(kv_iter_next(it, 0, &rows, &err));
        n += rows.n;
    } while (rows.n > 0);
    kv_iter_close(it);
    kv_release(snap);
    catalog_unref(catalog);
    return n;
}

enum act { ACT_NONE, ACT_UPDATE, ACT_ADD, ACT_DELETE, ACT_INSERT_AGAIN, ACTS };

/* What a client of the old copy does with row 1, which is live there. */
static quartet_status act_on(db *d, enum act act, struct err *why)
{
    struct err err = ERR_INIT;
    txn *t = NULL;
    OK(txn_begin(d, &t, &err));
    if (act == ACT_UPDATE)
        OK(help_update(t, "t", 1, "name", false, "from the past", &err));
    if (act == ACT_ADD)
        OK(help_update(t, "t", 1, "n", true, "7", &err));
    if (act == ACT_DELETE || act == ACT_INSERT_AGAIN)
        OK(help_delete(t, "t", 1, &err));
    if (act == ACT_INSERT_AGAIN)
        OK(help_insert(t, "t", ROW("1", "again", "3"), &err));
    return txn_commit(t, why);
}

static void put(db *d, int id)
{
    char text[8];
    snprintf(text, sizeof text, "%d", id);
    help_put(d, "t", ROW(text, "first", "1"));
}

static void drop(db *d, int id)
{
    struct err err = ERR_INIT;
    txn *t = NULL;
    OK(txn_begin(d, &t, &err));
    OK(help_delete(t, "t", id, &err));
    OK(txn_commit(t, &err));
}

/* ---- the logs hold all ---- */

struct returning {
    struct cluster *c;
    bool updates_win;
    uint32_t last;              /* the one that comes back */
    struct fault_env env[2];    /* its disk, and the copy */
    uint32_t first;             /* of the batches that the copy lacks */
};

static db *open_last(struct returning *x, struct fault_env *f)
{
    struct err err = ERR_INIT;
    struct db_options o = {.base_in_memory = true};
    db *d = NULL;
    f->wall_us = env_wall_ms(env_posix()) * 1000;
    OK(db_open(&f->env, "/db", &o, &d, &err));
    OK(db_set_identity(d, &x->c->id[x->last], &err));
    return d;
}

static void report_all(struct cluster *c)
{
    struct err err = ERR_INIT;
    for (uint32_t from = 0; from < c->count; from++)
        for (uint32_t to = 0; to < c->count; to++) {
            struct buf applied = {0};
            if (from == to)
                continue;
            db_set_peers(c->d[to], (uint8_t)(((1u << c->count) - 1) & ~(1u << to)));
            OK(db_vectors(c->d[from], &applied, NULL, &err));
            OK(db_peer_applied(c->d[to], (uint8_t)from, db_incarnation(c->d[from]), slice_of(applied.data, applied.len), &err));
            buf_deinit(&applied);
        }
}

/* History goes up to the stamp of what came last. */
static void newest(struct cluster *c, struct prng *r)
{
    struct err err = ERR_INIT;
    txn *t = NULL;
    OK(txn_begin(c->d[0], &t, &err));
    OK(help_update(t, "t", 4, "name", false, "newest", &err));
    OK(txn_commit(t, &err));
    cluster_exchange(c, r);
}

/* Rows 1 to 5; then a copy of the last member's disk; then 1, 2, 3 and 5 end, by different members, and are purged by all others. */
static void prepare(struct returning *x, uint32_t count, struct prng *r)
{
    struct err err = ERR_INIT;
    struct cluster *c = x->c = cluster_new(count);
    x->last = count - 1;
    help_close(c->d[x->last]);
    for (uint32_t i = 0; i < 2; i++)
        fault_env_init(&x->env[i], 11 + i);
    c->d[x->last] = open_last(x, &x->env[0]);
    help_ddl(c->d[0], x->updates_win ? TABLE " UPDATES WIN" : TABLE);
    for (int id = 1; id <= 4; id++)
        put(c->d[0], id);
    cluster_exchange(c, r);
    put(c->d[x->last], 5);
    cluster_exchange(c, r);
    OK(db_sync_remote(c->d[x->last], &err));
    OK(fault_env_copy_files(&x->env[1], &x->env[0], &err));
    x->first = c->pool.count;
    drop(c->d[0], 1);
    cluster_exchange(c, r);
    drop(c->d[0], 2);
    cluster_seal(c, 0);
    drop(c->d[count > 2 ? 1 : 0], 3);
    drop(c->d[x->last], 5);
    cluster_exchange(c, r);
    newest(c, r);
    report_all(c);
    for (uint32_t i = 0; i < x->last; i++) {
        retention_none(c->d[i]);
        sweep(c->d[i]);
        CU_ASSERT_EQUAL(entries(c->d[i]), x->updates_win ? 5 : 1);
    }
    help_close(c->d[x->last]);
    c->d[x->last] = open_last(x, &x->env[1]);
    CU_ASSERT_EQUAL(entries(c->d[x->last]), 5);
}

/* All that the copy lacks, in one order, again and again until nothing is missing. */
static void catch_up(struct returning *x, const uint32_t *order, uint32_t n)
{
    for (bool missing = true; missing;) {
        missing = false;
        for (uint32_t i = 0; i < n; i++)
            missing |= cluster_give(x->c, x->last, x->first + order[i]) == DELIVER_GAP;
    }
}

static void give_others(struct returning *x, uint32_t from)
{
    for (uint32_t to = 0; to < x->last; to++)
        for (uint32_t i = from; i < x->c->pool.count; i++)
            (void)cluster_give(x->c, to, i);
}

static void one_return(uint32_t count, enum act act, uint32_t how, const uint32_t *order, uint32_t n, uint64_t seed)
{
    struct err err = ERR_INIT;
    struct prng r;
    struct returning x = {.updates_win = how / 2 % 3 == 0};
    bool heard_first = how % 2 == 0;
    prng_seed(&r, seed);
    prepare(&x, count, &r);
    CU_ASSERT_EQUAL_FATAL(x.c->pool.count - x.first, n);
    OK(act_on(x.c->d[x.last], act, &err));
    uint32_t mine = x.c->pool.count;
    cluster_seal(x.c, x.last);
    if (heard_first)
        give_others(&x, mine);
    catch_up(&x, order, n);
    give_others(&x, mine);
    cluster_exchange(x.c, &r);
    cluster_expect_equal(x.c, tables, seed);
    newest(x.c, &r);
    report_all(x.c);
    retention_none(x.c->d[x.last]);
    for (uint32_t i = 0; i < count; i++) {
        sweep(x.c->d[i]);
        CU_ASSERT_EQUAL(entries(x.c->d[i]), x.updates_win ? 5 : act == ACT_INSERT_AGAIN ? 2 : 1);
    }
    cluster_expect_equal(x.c, tables, seed);
    cluster_free(x.c);
    for (uint32_t i = 0; i < 2; i++)
        fault_env_deinit(&x.env[i]);
}

/* The k-th order of n things. */
static void permutation(uint32_t k, uint32_t n, uint32_t *out)
{
    uint32_t left[8];
    for (uint32_t i = 0; i < n; i++)
        left[i] = i;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = k % (n - i);
        k /= n - i;
        out[i] = left[at];
        memmove(left + at, left + at + 1, (n - i - at - 1) * sizeof *left);
    }
}

static void test_too_old_catches_up_in_any_order(void)
{
    for (uint32_t count = 2; count <= 4; count++)
        for (uint32_t k = 0; k < 120; k++) { /* all orders; which act meets which changes with the seed */
            uint32_t order[5];
            uint64_t seed = unit_seed(100) + k;
            permutation(k, 5, order);
            enum act act = (enum act)((seed + count) % ACTS);
            one_return(count, act, (uint32_t)(seed / ACTS) + count, order, 5, seed);
            if (CU_get_number_of_failures() > 0) {
                printf("\n%u members, act %d, order %u, seed %llu\n", count, (int)act, k, (unsigned long long)seed);
                return;
            }
        }
}

/* ---- they do not ---- */

struct pumped { /* members that talk */
    struct cluster *c;
    struct member_doc doc;
    struct member_keys keys;
    struct node_gossip host[4];
    gossip *g[4];
    bool up[4], linked[4][4];
    uint8_t told[4]; /* by slot: the state that it told last */
    uint64_t now_us;
};

static void told_status(void *ctx, uint8_t slot, const struct gossip_status *s)
{
    ((struct pumped *)ctx)->told[slot] = s->state;
}

static void start(struct pumped *p, uint32_t i, db *d)
{
    struct err err = ERR_INIT;
    struct gossip_host host;
    p->c->d[i] = d;
    OK(node_gossip_init(&p->host[i], d, &p->doc, &p->keys.nodes[i], &err));
    p->host[i].news_ctx = p;
    p->host[i].told_status = told_status;
    node_gossip_host(&p->host[i], &host);
    OK(gossip_new((uint8_t)i, i + 1, &host, &p->g[i], &err));
    p->up[i] = true;
}

static void stop(struct pumped *p, uint32_t i)
{
    struct err err = ERR_INIT;
    gossip_free(p->g[i]);
    p->g[i] = NULL;
    node_gossip_deinit(&p->host[i]);
    OK(db_close(p->c->d[i], &err));
    p->c->d[i] = NULL;
    p->up[i] = false;
    for (uint32_t k = 0; k < p->c->count; k++) {
        if (p->linked[k][i])
            gossip_disconnect(p->g[k], (uint8_t)i, p->now_us);
        p->linked[i][k] = p->linked[k][i] = false;
    }
}

static void connect_both(struct pumped *p, uint32_t a, uint32_t b)
{
    struct err err = ERR_INIT;
    OK(gossip_connect(p->g[a], (uint8_t)b, p->now_us, &err));
    OK(gossip_connect(p->g[b], (uint8_t)a, p->now_us, &err));
    p->linked[a][b] = p->linked[b][a] = true;
}

static void push_batch(void *arg, struct slice batch, const struct batch_header *h)
{
    struct pumped *p = arg;
    struct err err = ERR_INIT;
    pool_add(&p->c->pool, batch, h);
    OK(gossip_local_batch(p->g[h->chain.slot], batch, p->now_us, &err));
}

static void messages(struct pumped *p)
{
    struct err err = ERR_INIT;
    struct slice m;
    for (bool any = true; any;) {
        any = false;
        for (uint32_t a = 0; a < p->c->count; a++)
            for (uint32_t b = 0; b < p->c->count; b++)
                while (p->linked[a][b] && gossip_peek(p->g[a], (uint8_t)b, &m)) {
                    struct buf copy = {0};
                    buf_put(&copy, m.p, m.n);
                    gossip_pop(p->g[a], (uint8_t)b);
                    OK(gossip_input(p->g[b], (uint8_t)a, slice_of(copy.data, copy.len), p->now_us, &err));
                    buf_deinit(&copy);
                    any = true;
                }
    }
}

static void pump(struct pumped *p, uint32_t ms)
{
    struct err err = ERR_INIT;
    for (uint32_t t = 0; t < ms; t += 50) {
        p->now_us += 50000;
        for (uint32_t i = 0; i < p->c->count; i++) {
            if (!p->up[i])
                continue;
            OK(db_seal(p->c->d[i], push_batch, p, &err));
            OK(db_sync_remote(p->c->d[i], &err));
            OK(gossip_disk_moved(p->g[i], p->now_us, &err));
            OK(gossip_tick(p->g[i], p->now_us, &err));
        }
        messages(p);
    }
}

static struct pumped *pumped_new(uint32_t count)
{
    static const char *const clients[] = {"test"};
    static const char *const addresses[] = {"a:1", "b:1", "c:1", "d:1"};
    struct member_plan wanted = {.node_count = count, .client_count = 1, .client_names = clients};
    struct err err = ERR_INIT;
    struct pumped *p = calloc(1, sizeof *p);
    p->now_us = 1000000;
    p->c = calloc(1, sizeof *p->c);
    p->c->count = count;
    for (uint32_t i = 0; i < count; i++) {
        wanted.address[i] = addresses[i];
        wanted.http[i] = "";
    }
    OK(member_init(env_posix(), &wanted, &p->doc, &p->keys, &err));
    return p;
}

static void pumped_free(struct pumped *p)
{
    for (uint32_t i = 0; i < p->c->count; i++)
        if (p->up[i])
            stop(p, i);
    for (uint32_t i = 0; i < p->c->pool.count; i++)
        free(p->c->pool.bytes[i]);
    member_keys_deinit(&p->keys);
    member_doc_deinit(&p->doc);
    free(p->c);
    free(p);
}

/* Let go of all of the log that may go at all. */
static void cut_log(db *d)
{
    struct err err = ERR_INIT;
    OK(db_set_retention(d, 1, NULL, &err));
    sweep(d);
    db_trim(d);
}

static db *open_copy(struct fault_env *f)
{
    struct err err = ERR_INIT;
    struct db_options o = {.base_in_memory = true};
    db *d = NULL;
    f->wall_us = env_wall_ms(env_posix()) * 1000;
    OK(db_open(&f->env, "/db", &o, &d, &err));
    return d;
}

static void expect_refusal(db *d)
{
    struct err err = ERR_INIT, health = ERR_INIT;
    struct buf rows = {0};
    txn *t = NULL;
    CU_ASSERT(db_is_behind(d));
    CU_ASSERT_EQUAL(act_on(d, ACT_UPDATE, &err), QUARTET_READONLY);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "no member's log holds"));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "A node that was left behind"));
    CU_ASSERT_EQUAL(db_health(d, &health), QUARTET_READONLY);
    err_clear(&err);
    OK(txn_begin(d, &t, &err));
    help_dump(t, "t", NULL, &rows); /* it can be read */
    CU_ASSERT(rows.len > 0);
    txn_rollback(t);
    buf_deinit(&rows);
}

/* What no log holds any longer comes after all, from an archive. */
static void bring_back(struct pumped *p, uint32_t to)
{
    struct err err = ERR_INIT;
    for (uint32_t i = 0; i < p->c->pool.count; i++) {
        struct gossip_host host;
        struct gossip_need need;
        node_gossip_host(&p->host[to], &host);
        enum gossip_verdict v = host.deliver(host.ctx, slice_of(p->c->pool.bytes[i], p->c->pool.n[i]), 0, &need, &err);
        CU_ASSERT(v == GOSSIP_ACCEPTED || v == GOSSIP_DUPLICATE);
    }
    pump(p, 1500);
    CU_ASSERT(!db_is_behind(p->c->d[to]));
    put(p->c->d[to], 9);
    pump(p, 1500);
    cluster_expect_equal(p->c, tables, 0);
}

enum rest { ALL_CUT, ONE_HAS_ALL, ONE_LACKS_TOO, RESTS };

/* What the copy, which has row 1 alive, hears from the others, one after another in this order. */
static void one_left_behind(uint32_t count, enum rest rest, const uint32_t *order)
{
    struct err err = ERR_INIT;
    struct pumped *p = pumped_new(count);
    struct fault_env env[2], other;
    uint32_t last = count - 1, special = last - 1;
    for (uint32_t i = 0; i < 2; i++)
        fault_env_init(&env[i], 21 + i);
    fault_env_init(&other, 23);
    for (uint32_t i = 0; i < last; i++)
        start(p, i, i == special && rest == ONE_LACKS_TOO ? open_copy(&other) : help_memory());
    start(p, last, open_copy(&env[0]));
    for (uint32_t a = 0; a < count; a++)
        for (uint32_t b = 0; b < a; b++)
            connect_both(p, a, b);
    help_ddl(p->c->d[0], TABLE);
    put(p->c->d[0], 1);
    put(p->c->d[0], 2);
    pump(p, 1500);
    OK(fault_env_copy_files(&env[1], &env[0], &err));
    if (rest == ONE_LACKS_TOO)
        stop(p, special); /* away from here on */
    drop(p->c->d[0], 1);
    pump(p, 1500);
    put(p->c->d[0], 3);
    pump(p, 1500);
    stop(p, last);
    for (uint32_t i = 0; i < last; i++)
        if (p->up[i] && !(rest == ONE_HAS_ALL && i == special)) {
            retention_none(p->c->d[i]);
            cut_log(p->c->d[i]);
        }
    if (rest == ONE_LACKS_TOO) {
        fault_env_restart(&other, true);
        start(p, special, open_copy(&other));
    }
    start(p, last, open_copy(&env[1]));
    OK(act_on(p->c->d[last], ACT_UPDATE, &err)); /* before it knows */
    for (uint32_t i = 0; i < last; i++) {
        CU_ASSERT(!db_is_behind(p->c->d[last])); /* the next one may have what it lacks */
        connect_both(p, last, order[i]);
        pump(p, 2500);
    }
    if (rest == ONE_HAS_ALL) {
        CU_ASSERT(!db_is_behind(p->c->d[last]));
        OK(act_on(p->c->d[0], ACT_NONE, &err));
        pump(p, 1500);
        cluster_expect_equal(p->c, tables, 0);
    } else {
        expect_refusal(p->c->d[last]);
        CU_ASSERT_EQUAL(p->told[last], GOSSIP_STATE_TOO_OLD);
        CU_ASSERT_EQUAL(p->told[0] == GOSSIP_STATE_READY, true);
        for (uint32_t i = 0; i < last; i++) /* its UPDATE of the row that was purged made nothing come alive */
            if (!(rest == ONE_LACKS_TOO && i == special)) {
                struct buf rows = {0};
                txn *t = NULL;
                OK(txn_begin(p->c->d[i], &t, &err));
                help_dump(t, "t", NULL, &rows);
                txn_rollback(t);
                CU_ASSERT_PTR_NULL(memmem(rows.data, rows.len, "from the past", 13));
                buf_deinit(&rows);
            }
        if (rest == ALL_CUT)
            bring_back(p, last);
    }
    pumped_free(p);
    for (uint32_t i = 0; i < 2; i++)
        fault_env_deinit(&env[i]);
    fault_env_deinit(&other);
}

static void test_too_old_is_told_and_takes_no_writes(void)
{
    static const uint32_t orders[] = {0, 0, 1, 2, 6};
    for (uint32_t count = 2; count <= 4; count++)
        for (uint32_t rest = ALL_CUT; rest < RESTS; rest++) {
            if (count == 2 && rest == ONE_LACKS_TOO)
                continue; /* there must be one that knows */
            for (uint32_t k = 0; k < orders[count]; k++) {
                uint32_t order[4];
                permutation(k, count - 1, order);
                one_left_behind(count, (enum rest)rest, order);
                if (CU_get_number_of_failures() > 0) {
                    printf("\n%u members, rest %u, order %u\n", count, rest, k);
                    return;
                }
            }
        }
}

const char *const unit_suite = "too_old";
const struct unit_test unit_tests[] = {
    {"catches up in any order", test_too_old_catches_up_in_any_order},
    {"is told and takes no writes", test_too_old_is_told_and_takes_no_writes},
    {NULL, NULL},
};

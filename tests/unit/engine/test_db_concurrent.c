/* test_db_concurrent.c - several threads on one database: serializable, nothing lost, nothing torn; a member that commits, signs and takes batches at once.
 *   Meant for ThreadSanitizer as much as for its assertions. */
#include <pthread.h>
#include <stdatomic.h>

#include "cluster_help.h"

#define ACCOUNTS 8
#define THREADS 4

struct shared {
    db *d;
    int rounds;
    atomic_int conflicts, committed, bad, running;
};

static int64_t balance(const struct table_def *def, txn *t, int64_t id, struct err *err)
{
    struct value v[4];
    struct arena a = {0};
    struct buf key = {0};
    bool found = false;
    struct slice k = help_key(def, id, &key);
    int64_t n = table_get(t, def, k, v, &a, &found, err) == QUARTET_OK && found ? v[1].i : INT64_MIN;
    arena_free_all(&a);
    buf_deinit(&key);
    return n;
}

/* Assertions of CUnit are not for threads: what is wrong is counted. */
static void *transfer(void *arg)
{
    struct shared *s = arg;
    struct prng r;
    prng_seed(&r, (uint64_t)(uintptr_t)&r);
    for (int i = 0; i < s->rounds; i++) {
        struct err err = ERR_INIT;
        txn *t = NULL;
        char text[32];
        int64_t from = (int64_t)prng_below(&r, ACCOUNTS), to = (from + 1) % ACCOUNTS, amount = prng_between(&r, 1, 5);
        if (txn_begin(s->d, &t, &err) != QUARTET_OK) {
            atomic_fetch_add(&s->bad, 1);
            continue;
        }
        const struct table_def *def = catalog_table(txn_catalog(t), "acc");
        int64_t a = balance(def, t, from, &err), b = balance(def, t, to, &err);
        quartet_status rc = a == INT64_MIN || b == INT64_MIN ? QUARTET_INTERNAL : QUARTET_OK;
        snprintf(text, sizeof text, "%lld", (long long)(a - amount));
        if (rc == QUARTET_OK)
            rc = help_update(t, "acc", from, "n", false, text, &err);
        snprintf(text, sizeof text, "%lld", (long long)(b + amount));
        if (rc == QUARTET_OK)
            rc = help_update(t, "acc", to, "n", false, text, &err);
        if (rc == QUARTET_OK)
            rc = help_insert(t, "log", (const char *const[]){NULL, text}, &err);
        if (rc != QUARTET_OK) {
            txn_rollback(t);
            atomic_fetch_add(&s->bad, 1);
            continue;
        }
        rc = txn_commit(t, &err);
        atomic_fetch_add(rc == QUARTET_OK ? &s->committed : rc == QUARTET_SERIALIZATION ? &s->conflicts : &s->bad, 1);
    }
    atomic_fetch_sub(&s->running, 1);
    return NULL;
}

static void *watch(void *arg)
{
    struct shared *s = arg;
    while (atomic_load(&s->running) > 0) {
        struct err err = ERR_INIT;
        txn *t = NULL;
        int64_t sum = 0;
        if (txn_begin(s->d, &t, &err) != QUARTET_OK || txn_statement_begin(t, &err) != QUARTET_OK) {
            atomic_fetch_add(&s->bad, 1);
            break;
        }
        const struct table_def *def = catalog_table(txn_catalog(t), "acc");
        uint32_t column = 1;
        struct scan_want want = {.columns = &column, .column_count = 1};
        table_scan *scan = NULL;
        struct batch b = {0};
        if (table_scan_open(t, def, NULL, NULL, &want, &scan, &err) == QUARTET_OK && table_scan_next(scan, 0, &b, &err) == QUARTET_OK)
            for (uint32_t r = 0; r < b.n; r++)
                sum += vec_get(&b.cols[0], r).i;
        table_scan_close(scan);
        txn_rollback(t);
        if (sum != ACCOUNTS * 100)
            atomic_fetch_add(&s->bad, 1);
    }
    return NULL;
}

static void *define(void *arg)
{
    struct shared *s = arg;
    while (atomic_load(&s->running) > 0) {
        struct err err = ERR_INIT;
        if (help_try_ddl(s->d, "CREATE TABLE other (x INTEGER)", &err) == QUARTET_OK)
            (void)help_try_ddl(s->d, "DROP TABLE other", &err); /* may lose a race, too */
    }
    return NULL;
}

static void start(pthread_t *t, void *(*run)(void *), void *arg)
{
    CU_ASSERT_EQUAL_FATAL(pthread_create(t, NULL, run, arg), 0);
}

static void test_concurrent_transfers_keep_the_sum(void)
{
    struct err err = ERR_INIT;
    struct db_options o = {.in_memory = true, .buffer_bytes = 64 << 10}; /* flushes under way */
    struct shared s = {.rounds = getenv("QUARTET_LONG") != NULL ? 20000 : 300, .running = THREADS};
    pthread_t threads[THREADS], watcher, definer;
    char id[8];
    OK(db_open(env_posix(), NULL, &o, &s.d, &err));
    help_ddl(s.d, "CREATE TABLE acc (id INTEGER PRIMARY KEY, n INTEGER)");
    help_ddl(s.d, "CREATE TABLE log (id INTEGER PRIMARY KEY, what TEXT)");
    for (int i = 0; i < ACCOUNTS; i++) {
        snprintf(id, sizeof id, "%d", i);
        help_put(s.d, "acc", ROW(id, "100"));
    }
    for (int i = 0; i < THREADS; i++)
        start(&threads[i], transfer, &s);
    start(&watcher, watch, &s);
    start(&definer, define, &s);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(watcher, NULL);
    pthread_join(definer, NULL);
    CU_ASSERT_EQUAL(atomic_load(&s.bad), 0);
    CU_ASSERT(atomic_load(&s.committed) > 0);
    CU_ASSERT_EQUAL(atomic_load(&s.committed) + atomic_load(&s.conflicts), THREADS * s.rounds);
    txn *t = NULL;
    struct buf out = {0};
    int rows = 0;
    OK(txn_begin(s.d, &t, &err));
    help_dump(t, "log", NULL, &out);
    for (size_t i = 0; i < out.len; i++)
        rows += out.data[i] == ';';
    CU_ASSERT_EQUAL(rows, atomic_load(&s.committed)); /* each exactly once */
    buf_deinit(&out);
    txn_rollback(t);
    help_close(s.d);
}

struct member {
    struct cluster *c;
    uint32_t slot;
    atomic_int *running, *bad;
    pthread_mutex_t *pool_lock;
};

static void *write_member(void *arg)
{
    struct member *m = arg;
    for (int i = 0; i < 60; i++) {
        struct err err = ERR_INIT;
        txn *t = NULL;
        quartet_status rc = txn_begin(m->c->d[m->slot], &t, &err);
        if (rc == QUARTET_OK)
            rc = help_update(t, "t", 1, "n", true, "1", &err);
        if (rc == QUARTET_OK)
            rc = txn_commit(t, &err);
        else
            txn_rollback(t);
        if (rc == QUARTET_SERIALIZATION)
            i--; /* a peer's addition came between: again */
        else if (rc != QUARTET_OK)
            atomic_fetch_add(m->bad, 1);
    }
    atomic_fetch_sub(m->running, 1);
    return NULL;
}

/* What a node's worker does: sign, give to the other, take, sync. */
static void *exchange_member(void *arg)
{
    struct member *m = arg;
    uint32_t next = 0;
    for (bool last = false; !last;) {
        struct err err = ERR_INIT;
        last = atomic_load(m->running) == 0;
        pthread_mutex_lock(m->pool_lock);
        if (db_seal(m->c->d[m->slot], pool_add, &m->c->pool, &err) != QUARTET_OK)
            atomic_fetch_add(m->bad, 1);
        uint32_t count = m->c->pool.count;
        pthread_mutex_unlock(m->pool_lock);
        for (; next < count; next++) {
            enum deliver_result got;
            uint64_t need;
            pthread_mutex_lock(m->pool_lock);
            struct slice batch = slice_of(m->c->pool.bytes[next], m->c->pool.n[next]);
            uint8_t slot = m->c->pool.slot[next];
            pthread_mutex_unlock(m->pool_lock);
            if (slot != m->slot && (db_deliver(m->c->d[m->slot], batch, m->c->public_key[slot], &got, &need, &err) != QUARTET_OK || got == DELIVER_REFUSED))
                atomic_fetch_add(m->bad, 1);
        }
        if (db_sync_remote(m->c->d[m->slot], &err) != QUARTET_OK)
            atomic_fetch_add(m->bad, 1);
    }
    return NULL;
}

static void test_concurrent_members_exchange_while_they_write(void)
{
    struct prng r;
    prng_seed(&r, 1);
    struct cluster *c = cluster_new(2);
    atomic_int running = 4, bad = 0;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct member m[2];
    pthread_t writers[4], workers[2];
    help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER COUNTER)");
    help_put(c->d[0], "t", ROW("1", "a", "0"));
    cluster_exchange(c, &r);
    for (uint32_t i = 0; i < 2; i++)
        m[i] = (struct member){.c = c, .slot = i, .running = &running, .bad = &bad, .pool_lock = &lock};
    for (uint32_t i = 0; i < 4; i++)
        start(&writers[i], write_member, &m[i % 2]);
    for (uint32_t i = 0; i < 2; i++)
        start(&workers[i], exchange_member, &m[i]);
    for (uint32_t i = 0; i < 4; i++)
        pthread_join(writers[i], NULL);
    for (uint32_t i = 0; i < 2; i++)
        pthread_join(workers[i], NULL);
    CU_ASSERT_EQUAL(atomic_load(&bad), 0);
    cluster_exchange(c, &r);
    static const char *const tables[] = {"t", NULL};
    cluster_expect_equal(c, tables, 1);
    EXPECT(c->d[0], "t", "1,'a',240;");
    cluster_free(c);
}

const char *const unit_suite = "db_concurrent";
const struct unit_test unit_tests[] = {
    {"transfers", test_concurrent_transfers_keep_the_sum},
    {"members", test_concurrent_members_exchange_while_they_write},
    {NULL, NULL},
};

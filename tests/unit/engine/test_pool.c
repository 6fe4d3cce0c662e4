/* test_pool.c - a pool of connections: never more than its bound, whoever takes and gives at once; who waits gets the next one or is told that there was none; what is lent stands. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "include/quartet.h"
#include "shell/free_port.h"
#include "unit/cunit.h"

#define NODES 2
#define THREADS 8
#define ROUNDS 25
#define MAX 3u

static struct {
    char top[64], url[4096];
    quartet_db *local[NODES];
    quartet_node *node[NODES];
} t;

static void begin(void)
{
    char address[NODES][64], path[128];
    const char *addresses[NODES];
    struct quartet_node_config config = {.size = sizeof config};
    snprintf(t.top, sizeof t.top, "/tmp/quartet-test-pool-XXXXXX");
    CU_ASSERT_FATAL(mkdtemp(t.top) != NULL);
    for (int i = 0; i < NODES; i++) {
        snprintf(address[i], sizeof address[i], "127.0.0.1:%u", free_port());
        addresses[i] = address[i];
    }
    CU_ASSERT_EQUAL_FATAL(quartet_cluster_init(t.top, NODES, addresses, NULL, NULL), QUARTET_OK);
    for (int i = 0; i < NODES; i++) {
        snprintf(path, sizeof path, "%s/%d", t.top, i);
        CU_ASSERT_EQUAL_FATAL(quartet_open(path, &t.local[i]), QUARTET_OK);
        CU_ASSERT_EQUAL_FATAL(quartet_node_start(t.local[i], &config, &t.node[i]), QUARTET_OK);
    }
    snprintf(path, sizeof path, "%s/admin.url", t.top);
    FILE *f = fopen(path, "r");
    CU_ASSERT_FATAL(f != NULL && fgets(t.url, sizeof t.url, f) != NULL);
    fclose(f);
    t.url[strcspn(t.url, "\r\n")] = '\0';
}

static void end(void)
{
    char command[128];
    for (int i = 0; i < NODES; i++) {
        if (t.node[i] != NULL)
            CU_ASSERT_EQUAL(quartet_node_stop(t.node[i]), QUARTET_OK);
        CU_ASSERT_EQUAL(quartet_close(t.local[i]), QUARTET_OK);
        t.node[i] = NULL;
    }
    snprintf(command, sizeof command, "rm -r %s", t.top);
    CU_ASSERT_EQUAL(system(command), 0);
}

static quartet_pool *pool_of(uint32_t max, int wait_ms, int check_idle_ms)
{
    quartet_pool *p = NULL;
    struct quartet_pool_config config = {.size = sizeof config, .max = max, .wait_ms = wait_ms, .check_idle_ms = check_idle_ms};
    CU_ASSERT_EQUAL_FATAL(quartet_pool_open(t.url, &config, &p), QUARTET_OK);
    return p;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int take_text(void *arg, int columns, char **values, char **names)
{
    (void)columns, (void)names;
    snprintf(arg, 64, "%s", values[0] != NULL ? values[0] : "NULL");
    return 0;
}

static void expect(quartet_db *db, const char *sql, const char *want)
{
    char got[64] = "";
    CU_ASSERT_EQUAL(quartet_exec(db, sql, take_text, got, NULL), QUARTET_OK);
    CU_ASSERT_STRING_EQUAL(got, want);
}

static void expect_stats(quartet_pool *p, uint32_t open, uint32_t idle)
{
    uint32_t o = 0, i = 0;
    quartet_pool_stats(p, &o, &i);
    CU_ASSERT_EQUAL(o, open);
    CU_ASSERT_EQUAL(i, idle);
}

static void test_bound_and_waiting(void)
{
    begin();
    quartet_pool *p = pool_of(2, 150, 0);
    quartet_db *a = NULL, *b = NULL, *c = NULL;
    CU_ASSERT_EQUAL(quartet_pool_take(p, &a), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_pool_take(p, &b), QUARTET_OK);
    expect_stats(p, 2, 0);
    double from = now_s();
    CU_ASSERT_EQUAL(quartet_pool_take(p, &c), QUARTET_BUSY);
    CU_ASSERT(now_s() - from >= 0.149);
    CU_ASSERT_PTR_NULL(c);
    CU_ASSERT_EQUAL(quartet_pool_close(p), QUARTET_BUSY);

    CU_ASSERT_EQUAL(quartet_exec(a, "CREATE TABLE t (id INTEGER PRIMARY KEY); BEGIN; INSERT INTO t VALUES (1)", NULL, NULL, NULL), QUARTET_OK);
    quartet_pool_give(p, a); /* rolls back */
    CU_ASSERT_EQUAL(quartet_pool_take(p, &c), QUARTET_OK);
    CU_ASSERT_PTR_EQUAL(c, a);
    CU_ASSERT_EQUAL(quartet_in_transaction(c), 0);
    expect(c, "SELECT count(*) FROM t", "0");

    quartet_stmt *left = NULL; /* who leaves a statement behind gets no connection like it again */
    CU_ASSERT_EQUAL(quartet_prepare(c, "SELECT 1", -1, &left, NULL), QUARTET_OK);
    quartet_pool_give(p, c);
    expect_stats(p, 1, 0);
    quartet_pool_give(p, b);
    expect_stats(p, 1, 1);
    quartet_pool_give(p, NULL);
    CU_ASSERT_EQUAL(quartet_pool_close(p), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_pool_close(NULL), QUARTET_OK);
    struct quartet_pool_config bad = {.size = sizeof bad, .max = QUARTET_POOL_MAX + 1};
    CU_ASSERT_EQUAL(quartet_pool_open(t.url, &bad, &p), QUARTET_MISUSE);
    bad.max = 0;
    CU_ASSERT_EQUAL(quartet_pool_open(t.url, &bad, &p), QUARTET_MISUSE);
    end();
}

struct crowd {
    quartet_pool *pool;
    atomic_int lent, most, failed;
};

static void *take_and_give(void *arg)
{
    struct crowd *w = arg;
    for (int i = 0; i < ROUNDS; i++) {
        quartet_db *db = NULL;
        if (quartet_pool_take(w->pool, &db) != QUARTET_OK) {
            w->failed++;
            continue;
        }
        int lent = atomic_fetch_add(&w->lent, 1) + 1, most = w->most;
        while (lent > most && !atomic_compare_exchange_weak(&w->most, &most, lent))
            continue;
        w->failed += quartet_exec(db, "UPDATE n SET v = v + 1 WHERE id = 1", NULL, NULL, NULL) != QUARTET_OK;
        atomic_fetch_sub(&w->lent, 1);
        quartet_pool_give(w->pool, db);
    }
    return NULL;
}

static void test_many_threads(void)
{
    begin();
    quartet_pool *p = pool_of(MAX, 20000, 0);
    struct crowd w = {.pool = p};
    pthread_t threads[THREADS];
    quartet_db *db = NULL;
    char want[32];
    CU_ASSERT_EQUAL(quartet_pool_take(p, &db), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_exec(db, "CREATE TABLE n (id INTEGER PRIMARY KEY, v INTEGER COUNTER DEFAULT 0); INSERT INTO n (id) VALUES (1)", NULL, NULL, NULL), QUARTET_OK);
    quartet_pool_give(p, db);
    for (int i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, take_and_give, &w), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(w.failed, 0);
    CU_ASSERT(w.most <= (int)MAX);
    snprintf(want, sizeof want, "%d", THREADS * ROUNDS);
    CU_ASSERT_EQUAL(quartet_pool_take(p, &db), QUARTET_OK);
    expect(db, "SELECT v FROM n", want); /* all were with one node */
    quartet_pool_give(p, db);
    CU_ASSERT_EQUAL(quartet_pool_close(p), QUARTET_OK);
    end();
}

/* What lay while its node went is mended before it is lent; where nobody is there the error says so, and the place is free again. */
static void test_what_is_lent_stands(void)
{
    begin();
    quartet_pool *p = pool_of(2, 100, 1);
    quartet_db *a = NULL, *b = NULL;
    CU_ASSERT_EQUAL(quartet_pool_take(p, &a), QUARTET_OK);
    CU_ASSERT_EQUAL(quartet_pool_take(p, &b), QUARTET_OK);
    CU_ASSERT(strncmp(quartet_where(a), "node 0", 6) == 0);
    quartet_pool_give(p, b);
    quartet_pool_give(p, a);
    CU_ASSERT_EQUAL(quartet_node_stop(t.node[0]), QUARTET_OK);
    t.node[0] = NULL;
    (void)poll(NULL, 0, 5); /* longer than they may lie unasked */
    CU_ASSERT_EQUAL(quartet_pool_take(p, &a), QUARTET_OK);
    CU_ASSERT(strncmp(quartet_where(a), "node 1", 6) == 0);
    expect(a, "SELECT 1", "1");
    quartet_pool_give(p, a);
    CU_ASSERT_EQUAL(quartet_pool_close(p), QUARTET_OK);

    struct quartet_pool_config config = {.size = sizeof config, .max = 1, .wait_ms = 100};
    CU_ASSERT_EQUAL(quartet_pool_open("quartet://127.0.0.1:1/?cluster=zz", &config, &p), QUARTET_OK);
    for (int i = 0; i < 3; i++) { /* with max 1: a place that was not freed would show */
        CU_ASSERT_EQUAL(quartet_pool_take(p, &a), QUARTET_MISUSE);
        CU_ASSERT(a != NULL && strstr(quartet_errmsg(a), "cluster") != NULL);
        quartet_pool_give(p, a);
    }
    expect_stats(p, 0, 0);
    CU_ASSERT_EQUAL(quartet_pool_close(p), QUARTET_OK);
    end();
}

static int second_first(void *arg, const struct quartet_route_node *nodes, int count, int *order)
{
    int *calls = arg;
    (*calls)++;
    for (int i = 0; i < count; i++)
        if (nodes[i].slot == 1 && nodes[i].ready && nodes[i].answer_us >= 0 && nodes[i].behind == 0) {
            order[0] = i;
            return 1;
        }
    return 0;
}

static void test_route_of_ones_own(void)
{
    begin();
    int calls = 0;
    quartet_db *db = NULL;
    struct quartet_open_options options = {.size = sizeof options, .route = second_first, .route_arg = &calls};
    double until = now_s() + 10;
    do { /* the nodes may just have begun */
        CU_ASSERT_EQUAL(quartet_close(db), QUARTET_OK);
        CU_ASSERT_EQUAL_FATAL(quartet_open_with(t.url, &options, &db), QUARTET_OK);
    } while (strncmp(quartet_where(db), "node 1", 6) != 0 && now_s() < until);
    CU_ASSERT(strncmp(quartet_where(db), "node 1", 6) == 0 && calls > 0);
    CU_ASSERT_EQUAL(quartet_close(db), QUARTET_OK);
    options.size = 1;
    CU_ASSERT_EQUAL(quartet_open_with(t.url, &options, &db), QUARTET_MISUSE);
    CU_ASSERT_EQUAL(quartet_close(db), QUARTET_OK);
    end();
}

const char *const unit_suite = "pool";
const struct unit_test unit_tests[] = {
    {"bound and waiting", test_bound_and_waiting},
    {"many threads", test_many_threads},
    {"what is lent stands", test_what_is_lent_stands},
    {"route of one's own", test_route_of_ones_own},
    {NULL, NULL},
};

/* demo_check.c - what the demonstration proves, held against what the writers were told: no acknowledged write is missing on any
 * node, no half transaction, every counter right, all vectors, hashes and answers equal. */
#include "demo.h"

#include <stdlib.h>
#include <string.h>

void demo_print_states(struct demo *d)
{
    char state[CLUSTER_STATE_MAX];
    fprintf(stderr, "what each node knows:\n");
    for (int k = 0; k < CLUSTER_NODES; k++) {
        (void)cluster_node_state(&d->cluster, k, state, sizeof state); /* it says why not */
        fprintf(stderr, "  node %d: %s\n", k, state);
    }
    cluster_print_logs(&d->cluster, 8);
}

static bool wait_equal(struct demo *d, char state[CLUSTER_NODES][CLUSTER_STATE_MAX])
{
    double started = now_seconds();
    bool equal = false;
    while (!equal && now_seconds() < d->deadline && !d->interrupted)
        equal = cluster_wait_equal(&d->cluster, (1u << CLUSTER_NODES) - 1, 500, state);
    if (equal)
        printf("  all four nodes show the same vector and state hash %.2f s after the last write\n", now_seconds() - started);
    else
        fprintf(stderr, "the nodes do not agree\n");
    return equal;
}

struct tally {
    struct demo *d;
    uint8_t *seen[CLUSTER_NODES];
    uint64_t strange;
};

static void mark(struct tally *t, int64_t writer, int64_t n)
{
    if (writer < 0 || writer >= CLUSTER_NODES || n < 0 || n >= (int64_t)DEMO_WRITES_MAX || t->d->writers[writer].told[n] == 0)
        t->strange++; /* a row that nobody wrote, or whose transaction was refused */
    else
        t->seen[writer][n] = 1;
}

static bool read_marks(struct tally *t, quartet_db *db, const char *sql, bool inserts)
{
    quartet_stmt *stmt = NULL;
    int rc = quartet_prepare(db, sql, -1, &stmt, NULL);
    while (rc == QUARTET_OK && (rc = quartet_step(stmt)) == QUARTET_ROW) {
        int64_t a = quartet_column_int64(stmt, 0);
        if (inserts)
            mark(t, a / DEMO_NEW_CITY - 1, a % DEMO_NEW_CITY);
        else
            mark(t, a, quartet_column_int64(stmt, 1));
        rc = QUARTET_OK;
    }
    (void)quartet_finalize(stmt); /* repeats rc */
    return rc == QUARTET_DONE;
}

static bool check_node(struct demo *d, int slot)
{
    struct tally t = {.d = d};
    quartet_db *db = NULL;
    bool ok = true;
    for (int k = 0; k < CLUSTER_NODES; k++)
        ok = (t.seen[k] = calloc(DEMO_WRITES_MAX, 1)) != NULL && ok;
    char sql[256], text[256];
    snprintf(sql, sizeof sql, "SELECT id FROM cities WHERE id >= %d", DEMO_NEW_CITY);
    ok = ok && quartet_open(d->cluster.node_url[slot], &db) == QUARTET_OK &&
         read_marks(&t, db, "SELECT writer, n FROM journal", false) && read_marks(&t, db, sql, true);
    if (!ok)
        fprintf(stderr, "  node %d cannot be read: %s\n", slot, db != NULL ? quartet_errmsg(db) : "out of memory");
    (void)quartet_close(db); /* only read */
    uint64_t lost = 0, kept = 0;
    for (int k = 0; ok && k < CLUSTER_NODES; k++)
        for (uint64_t n = 0; n < d->writers[k].next; n++) {
            lost += d->writers[k].told[n] == 1 && !t.seen[k][n];
            kept += t.seen[k][n];
        }
    for (int k = 0; k < CLUSTER_NODES; k++)
        free(t.seen[k]);
    snprintf(sql, sizeof sql,
             "SELECT (SELECT count(*) FROM cities WHERE id < %d), (SELECT sum(visits) FROM cities) - (SELECT count(*) FROM journal)",
             DEMO_NEW_CITY);
    char expected[64];
    snprintf(expected, sizeof expected, "%lld|0", (long long)d->cities);
    bool sums = ok && cluster_ask(d->cluster.node_url[slot], sql, text, sizeof text) && strcmp(text, expected) == 0;
    if (ok && (!sums || lost > 0 || t.strange > 0))
        fprintf(stderr, "  node %d: %llu acknowledged writes missing, %llu rows nobody wrote, loaded rows and counters: %s (expected %s)\n", slot,
                (unsigned long long)lost, (unsigned long long)t.strange, text, expected);
    if (ok && sums && lost == 0 && t.strange == 0)
        printf("  node %d: %lld loaded rows, %llu writes of the four writers, none lost, counters exact\n", slot, (long long)d->cities,
               (unsigned long long)kept);
    return ok && sums && lost == 0 && t.strange == 0;
}

static bool check_answers(struct demo *d)
{
    static const char *const queries[] = {
        "SELECT country, count(*) AS towns, sum(visits) AS visits FROM cities GROUP BY country ORDER BY towns DESC, country LIMIT 5",
        "SELECT count(*), sum(visits), min(id), max(id), count(DISTINCT country) FROM cities",
        "SELECT id, name, visits FROM cities ORDER BY visits DESC, id LIMIT 10",
    };
    static char first[16384], other[16384]; /* one caller, one thread; too large for the stack */
    for (size_t q = 0; q < sizeof queries / sizeof *queries; q++)
        for (int k = 0; k < CLUSTER_NODES; k++) {
            char *out = k == 0 ? first : other;
            if (!cluster_ask(d->cluster.node_url[k], queries[q], out, sizeof first) || strcmp(out, first) != 0) {
                fprintf(stderr, "  node %d answers otherwise to: %s\n%s\n  node 0:\n%s\n", k, queries[q], out, first);
                return false;
            }
        }
    printf("  the same answers on all four nodes; towns and visits by country:\n");
    if (cluster_ask(d->cluster.node_url[3], queries[0], first, sizeof first))
        for (char *line = strtok(first, "\n"); line != NULL; line = strtok(NULL, "\n"))
            printf("      %s\n", line);
    return true;
}

bool demo_check(struct demo *d)
{
    static char state[CLUSTER_NODES][CLUSTER_STATE_MAX]; /* one caller, one thread */
    printf("checking\n");
    bool ok = wait_equal(d, state);
    if (!ok)
        return false;
    for (int k = 0; k < CLUSTER_NODES; k++)
        ok = check_node(d, k) && ok;
    ok = check_answers(d) && ok;
    for (int k = 0; k < CLUSTER_NODES; k++)
        if (d->writers[k].refused > 0) {
            fprintf(stderr, "  writer %d: %llu writes refused, last: %s\n", k, (unsigned long long)d->writers[k].refused, d->writers[k].last_error);
            ok = false;
        }
    printf("  node 0: %s\n", state[0]);
    return ok;
}

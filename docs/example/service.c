/* service.c - a service that embeds a node: it counts visits to pages, on one to four nodes that all take writes at all times.
 *
 *   service init DIR NODES PORT    once: keys and membership of a cluster on this machine, ports from PORT on
 *   service run DIR/SLOT           each member: answers "hit PAGE", "top", "cluster" and "quit" on standard input
 *
 * Build: cc -o service service.c $(pkg-config --cflags --libs quartet)
 * The counter is of type COUNTER, so hits on different nodes at the same time add up instead of overwriting one another. */
#include <quartet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int init(const char *dir, int nodes, int port)
{
    char address[4][32], http[4][32];
    const char *addresses[4], *https[4];
    char *error = NULL;
    if (nodes < 1 || nodes > 4 || port < 1 || port > 65000)
        return fprintf(stderr, "1 to 4 nodes, a port from 1 to 65000\n"), 64;
    for (int k = 0; k < nodes; k++) {
        snprintf(address[k], sizeof address[k], "127.0.0.1:%d", port + k);
        snprintf(http[k], sizeof http[k], "127.0.0.1:%d", port + 4 + k); /* /healthz, /readyz, /metrics */
        addresses[k] = address[k];
        https[k] = http[k];
    }
    if (quartet_cluster_init(dir, nodes, addresses, https, &error) != QUARTET_OK) {
        fprintf(stderr, "init: %s\n", error != NULL ? error : "out of memory");
        quartet_free(error);
        return 1;
    }
    printf("keys of %d nodes are in %s\n", nodes, dir);
    return 0;
}

static int print_row(void *arg, int columns, char **values, char **names)
{
    (void)arg;
    (void)names;
    for (int i = 0; i < columns; i++)
        printf("%s%s", i > 0 ? " " : "", values[i] != NULL ? values[i] : "-");
    putchar('\n');
    return 0; /* anything else would stop the query */
}

/* One transaction. Another node may have made the page's row at the same time: both rows are one, and both hits count. */
static int hit(quartet_db *db, quartet_stmt *stmt, const char *page)
{
    int rc = quartet_bind_text(stmt, 1, page, -1);
    while (rc == QUARTET_OK && (rc = quartet_step(stmt)) == QUARTET_ROW)
        rc = QUARTET_OK;
    quartet_reset(stmt); /* its error is the step's, which is returned */
    return rc == QUARTET_DONE ? printf("ok %s\n", page), QUARTET_OK : quartet_errcode(db);
}

static int answer(quartet_db *db, quartet_stmt *hit_stmt)
{
    char line[512];
    while (fgets(line, sizeof line, stdin) != NULL) {
        int rc = QUARTET_OK;
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "quit") == 0)
            break;
        if (strncmp(line, "hit ", 4) == 0)
            rc = hit(db, hit_stmt, line + 4);
        else if (strcmp(line, "top") == 0)
            rc = quartet_exec(db, "SELECT hits, page FROM pages ORDER BY hits DESC, page LIMIT 10", print_row, NULL, NULL);
        else if (strcmp(line, "cluster") == 0)
            rc = quartet_exec(db, "SHOW CLUSTER", print_row, NULL, NULL);
        else
            printf("hit PAGE, top, cluster or quit\n");
        if (rc != QUARTET_OK)
            printf("error %d: %s\n", rc, quartet_errmsg(db));
        printf(".\n"); /* the end of an answer */
        fflush(stdout);
    }
    return 0;
}

static int run(const char *dir)
{
    quartet_db *db = NULL;
    quartet_node *node = NULL;
    quartet_stmt *stmt = NULL;
    struct quartet_node_config config = {.size = sizeof config};
    int status = 1;
    if (quartet_open(dir, &db) == QUARTET_OK && quartet_node_start(db, &config, &node) == QUARTET_OK &&
        quartet_exec(db, "CREATE TABLE IF NOT EXISTS pages (page TEXT PRIMARY KEY, hits INTEGER COUNTER DEFAULT 0)", NULL, NULL, NULL) == QUARTET_OK &&
        quartet_prepare(db, "INSERT INTO pages (page, hits) VALUES (?, 1) ON CONFLICT (page) DO UPDATE SET hits = hits + 1", -1, &stmt,
                        NULL) == QUARTET_OK) {
        printf("ready %s\n", quartet_where(db));
        fflush(stdout);
        status = answer(db, stmt);
    } else {
        fprintf(stderr, "%s: %s\n", dir, db != NULL ? quartet_errmsg(db) : "out of memory");
    }
    quartet_finalize(stmt);
    if (quartet_node_stop(node) != QUARTET_OK || quartet_close(db) != QUARTET_OK)
        status = 1;
    return status;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "init") == 0)
        return init(argv[2], (int)strtol(argv[3], NULL, 10), (int)strtol(argv[4], NULL, 10));
    if (argc == 3 && strcmp(argv[1], "run") == 0)
        return run(argv[2]);
    fprintf(stderr, "usage: service init DIR NODES PORT | service run DIR/SLOT\n");
    return 64;
}

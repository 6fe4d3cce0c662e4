/* quartetd.c - the program of a node: makes a cluster's keys (init), and runs one member of it until it is told to stop.
 * Everything it does goes through quartet.h: a service can embed a node in the same way. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "doctor.h"
#include "members.h"
#include "notify.h"
#include "quartet.h"
#include "route.h"

#define EXIT_USAGE 64
#define NODES_MAX 4
#define LOG_BYTES_LEAST (64L << 20) /* four segments */

static void usage(FILE *out)
{
    fputs("usage: quartetd init --dir DIR [--nodes N] [--host HOST]... [--port PORT] [--http-port PORT]\n"
          "           makes DIR/0 ... DIR/N-1 (key and membership of each node), DIR/root.key and DIR/admin.url;\n"
          "           N is 1 to 4 (4). One --host for all nodes on one machine (127.0.0.1), then node K uses PORT + K (7401)\n"
          "           and HTTP port + K (7501); or one --host per node, then all use the same ports.\n"
          "       quartetd member DIR CHANGE\n"
          "           one more node, another address, clients: a new membership, signed with DIR/root.key (`quartetd member` lists the changes).\n"
          "           A running node that is given it (keys/member.qm, then SIGHUP) starts anew with it and passes it on.\n"
          "       quartetd token DIR [--at SLOT] [--minutes N]\n"
          "           prints a token by which one more node joins, signed with DIR/root.key; quartetd join TOKEN --dir DIR --listen HOST:PORT uses it.\n"
          "       quartetd status [URL]\n"
          "           a line for each node of the cluster; exit status 0 if all are well. URL: of admin.url, or QUARTET_URL.\n"
          "       quartetd route --listen HOST:PORT [URL]\n"
          "           one address for clients that know only one: passes each connection on to a node that is well.\n"
          "       quartetd doctor [--dir DIR/SLOT] [URL]\n"
          "           looks at nodes, links, clocks, versions and hashes, and with --dir at this machine's disk, keys and limits; says what to do.\n"
          "       quartetd --dir DIR/SLOT [--backup-dir DIR] [--buffer-bytes N] [--snapshot-bytes N]\n"
          "                [--log-bytes-min N] [--log-bytes-max N] [--log-archive DIR] [--log-format text|json]\n"
          "                [--log-level debug|info|warn|error] [--poll-us N] [--die-with-parent]\n"
          "           runs the node until SIGINT or SIGTERM. With --backup-dir clients may say BACKUP TO 'NAME', which makes\n"
          "           DIR/NAME on this machine; without it they may not. --buffer-bytes (67108864): of the write buffer in memory;\n"
          "           --snapshot-bytes (4294967296): what open transactions may hold before the oldest one fails. The log is kept\n"
          "           until all members have it, at least --log-bytes-min of it (1073741824) and at most --log-bytes-max\n"
          "           (4294967296); with --log-archive segments that go are moved into that directory.\n"
          "           --poll-us (50, at most 1000): a thread that was answered fast of late looks so many microseconds whether\n"
          "           something comes before it sleeps, unless others want the processor; 0: never.\n",
          out);
}

struct init_options {
    const char *dir;
    const char *hosts[NODES_MAX];
    long host_count, nodes, port, http_port;
};

static bool parse_number(const char *text, long lo, long hi, long *out)
{
    char *end;
    errno = 0;
    long v = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || v < lo || v > hi)
        return false;
    *out = v;
    return true;
}

/* 0 or the exit status. */
static int parse_init(int argc, char **argv, struct init_options *o)
{
    for (int i = 2; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool ok = value != NULL;
        if (ok && strcmp(argv[i], "--dir") == 0)
            o->dir = value;
        else if (ok && strcmp(argv[i], "--nodes") == 0)
            ok = parse_number(value, 1, NODES_MAX, &o->nodes);
        else if (ok && strcmp(argv[i], "--port") == 0)
            ok = parse_number(value, 1, 65535 - NODES_MAX, &o->port);
        else if (ok && strcmp(argv[i], "--http-port") == 0)
            ok = parse_number(value, 1, 65535 - NODES_MAX, &o->http_port);
        else if (ok && strcmp(argv[i], "--host") == 0 && o->host_count < NODES_MAX)
            o->hosts[o->host_count++] = value;
        else
            ok = false;
        if (!ok) {
            fprintf(stderr, "quartetd init: wrong or incomplete option: %s\n", argv[i]);
            usage(stderr);
            return EXIT_USAGE;
        }
    }
    if (o->dir == NULL || (o->host_count > 1 && o->host_count != o->nodes)) {
        fprintf(stderr, "quartetd init: %s\n", o->dir == NULL ? "--dir is missing" : "give one --host, or one for each node");
        return EXIT_USAGE;
    }
    return 0;
}

static int run_init(int argc, char **argv)
{
    struct init_options o = {.nodes = 4, .port = 7401, .http_port = 7501};
    int status = parse_init(argc, argv, &o);
    if (status != 0)
        return status;
    char text[2 * NODES_MAX][300];
    const char *addresses[NODES_MAX], *https[NODES_MAX];
    for (long k = 0; k < o.nodes; k++) {
        const char *host = o.host_count == 0 ? "127.0.0.1" : o.hosts[o.host_count == 1 ? 0 : k];
        long step = o.host_count > 1 ? 0 : k;
        snprintf(text[2 * k], sizeof text[0], "%.250s:%ld", host, o.port + step);
        snprintf(text[2 * k + 1], sizeof text[0], "%.250s:%ld", host, o.http_port + step);
        addresses[k] = text[2 * k];
        https[k] = text[2 * k + 1];
    }
    char *error = NULL;
    if (quartet_cluster_init(o.dir, (int)o.nodes, addresses, https, &error) != QUARTET_OK) {
        fprintf(stderr, "quartetd init: %s\n", error != NULL ? error : "out of memory");
        quartet_free(error);
        return 1;
    }
    printf("made a cluster of %ld nodes in %s\n", o.nodes, o.dir);
    for (long k = 0; k < o.nodes; k++)
        printf("  node %ld: %s (HTTP %s): quartetd --dir %s/%ld\n", k, addresses[k], https[k], o.dir, k);
    printf("  clients: quartet \"$(cat %s/admin.url)\"\n", o.dir);
    printf("  keep %s/root.key offline: who has it decides who is a member\n", o.dir);
    return 0;
}

/* How run_node's wait ended. */
enum { ENDED, FAILED, REOPEN };

/* Wait for a signal to end, without a handler that could miss one, or until the node has taken another member's state. */
static int wait_for_end(const sigset_t *set, quartet_db *db, quartet_node *node)
{
    const struct timespec look = {.tv_nsec = 100000000};
    while (!quartet_node_wants_reopen(node)) {
        /* It takes the lock that every commit takes: where that hangs nothing is told, and systemd starts the node anew. A full disk or a failed sync are no reason. */
        if (notify_is_due() && quartet_exec(db, "SHOW STATUS", NULL, NULL, NULL) == QUARTET_OK)
            notify_tell("WATCHDOG=1");
        int sig = sigtimedwait(set, NULL, &look);
        if (sig == SIGINT || sig == SIGTERM)
            return ENDED;
        if (sig == SIGHUP) /* keys/member.qm is new */
            return REOPEN;
        if (sig < 0 && errno != EAGAIN && errno != EINTR) {
            fprintf(stderr, "quartetd: sigtimedwait: %s\n", strerror(errno));
            return FAILED;
        }
    }
    return REOPEN;
}

struct limit_options { /* NULL: the default */
    const char *buffer_bytes, *snapshot_bytes;
};

static bool set_limits(quartet_db *db, const struct limit_options *o)
{
    const struct {
        const char *name, *value;
    } limits[] = {{"buffer_bytes", o->buffer_bytes}, {"snapshot_bytes", o->snapshot_bytes}};
    bool ok = true;
    for (size_t i = 0; i < sizeof limits / sizeof *limits && ok; i++) {
        char sql[100];
        long number;
        if (limits[i].value == NULL)
            continue;
        ok = parse_number(limits[i].value, 0, LONG_MAX, &number);
        snprintf(sql, sizeof sql, "SET %s = %ld", limits[i].name, ok ? number : 0);
        if (!ok)
            fprintf(stderr, "quartetd: %s takes a number of bytes, not '%s'\n", limits[i].name, limits[i].value);
        else if (!(ok = quartet_exec(db, sql, NULL, NULL, NULL) == QUARTET_OK))
            fprintf(stderr, "quartetd: %s\n", quartet_errmsg(db));
    }
    return ok;
}

/* From opening to closing. */
static int run_once(const char *dir, const struct quartet_node_config *config, const struct limit_options *limits, const sigset_t *set, bool *told)
{
    quartet_db *db = NULL;
    quartet_node *node = NULL;
    int how = FAILED;
    if (quartet_open(dir, &db) != QUARTET_OK) {
        fprintf(stderr, "quartetd: %s\n", db != NULL ? quartet_errmsg(db) : "out of memory");
        goto done;
    }
    if (!set_limits(db, limits))
        goto done;
    if (quartet_node_start(db, config, &node) != QUARTET_OK) {
        fprintf(stderr, "quartetd: %s\n", quartet_errmsg(db));
        goto done;
    }
    if (!*told) /* once: whoever started this process waits for it */
        printf("ready %s\n", quartet_where(db));
    *told = true;
    fflush(stdout);
    notify_tell("READY=1\nSTATUS=serves");
    how = wait_for_end(set, db, node);
    notify_tell(how == REOPEN ? "STATUS=starts anew with another membership or state" : "STOPPING=1");
done:
    if (quartet_node_stop(node) != QUARTET_OK || quartet_close(db) != QUARTET_OK) {
        fprintf(stderr, "quartetd: the node did not stop cleanly; the log brings everything back at the next start\n");
        how = FAILED;
    }
    return how;
}

static int run_node(const char *dir, const struct quartet_node_config *config, const struct limit_options *limits)
{
    sigset_t set;
    bool told = false;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGPIPE); /* a closed link is an error that the writer sees */
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) { /* before any thread starts: all inherit it */
        fprintf(stderr, "quartetd: sigprocmask: %s\n", strerror(errno));
        return 1;
    }
    int how;
    while ((how = run_once(dir, config, limits, &set, &told)) == REOPEN)
        ;
    return how == ENDED ? 0 : 1;
}

static int parse_level(const char *text)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    for (int i = 0; i < 4; i++)
        if (strcmp(text, levels[i]) == 0)
            return i;
    return -1;
}

int main(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "init") == 0)
        return run_init(argc, argv);
    if (argc >= 2 && strcmp(argv[1], "member") == 0)
        return members_run(argc - 2, argv + 2);
    if (argc >= 2 && strcmp(argv[1], "token") == 0)
        return token_run(argc - 2, argv + 2);
    if (argc >= 2 && strcmp(argv[1], "join") == 0)
        return join_run(argc - 2, argv + 2);
    if (argc >= 2 && strcmp(argv[1], "status") == 0)
        return status_run(argc - 2, argv + 2);
    if (argc >= 2 && strcmp(argv[1], "route") == 0)
        return route_run(argc - 2, argv + 2);
    if (argc >= 2 && strcmp(argv[1], "doctor") == 0)
        return doctor_run(argc - 2, argv + 2);
    const char *dir = NULL;
    struct quartet_node_config config = {.size = sizeof config};
    struct limit_options limits = {0};
    long bytes = 0;
    int level = 1, json = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--backup-dir") == 0 && i + 1 < argc) {
            config.backups = argv[++i];
        } else if (strcmp(argv[i], "--buffer-bytes") == 0 && i + 1 < argc) {
            limits.buffer_bytes = argv[++i];
        } else if (strcmp(argv[i], "--snapshot-bytes") == 0 && i + 1 < argc) {
            limits.snapshot_bytes = argv[++i];
        } else if (strcmp(argv[i], "--log-archive") == 0 && i + 1 < argc) {
            config.log_archive = argv[++i];
        } else if (strcmp(argv[i], "--log-bytes-max") == 0 && i + 1 < argc && parse_number(argv[i + 1], LOG_BYTES_LEAST, LONG_MAX, &bytes)) {
            config.log_bytes_max = (uint64_t)bytes;
            i++;
        } else if (strcmp(argv[i], "--log-bytes-min") == 0 && i + 1 < argc && parse_number(argv[i + 1], 1, LONG_MAX, &bytes)) {
            config.log_bytes_min = (uint64_t)bytes;
            i++;
        } else if (strcmp(argv[i], "--poll-us") == 0 && i + 1 < argc && parse_number(argv[i + 1], 0, 1000, &bytes)) {
            config.poll_us = bytes == 0 ? -1 : (int32_t)bytes;
            i++;
        } else if (strcmp(argv[i], "--dir") == 0 && i + 1 < argc) {
            dir = argv[++i];
        } else if (strcmp(argv[i], "--log-format") == 0 && i + 1 < argc && (strcmp(argv[i + 1], "text") == 0 || strcmp(argv[i + 1], "json") == 0)) {
            json = argv[++i][0] == 'j';
        } else if (strcmp(argv[i], "--log-level") == 0 && i + 1 < argc && (level = parse_level(argv[i + 1])) >= 0) {
            i++;
        } else if (strcmp(argv[i], "--die-with-parent") == 0) {
            /* Test clusters must not outlive who started them, even where that was killed. */
            if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) {
                fprintf(stderr, "quartetd: prctl: %s\n", strerror(errno));
                return 1;
            }
        } else if (strcmp(argv[i], "--version") == 0) {
            printf("quartetd %s\n", quartet_version());
            return 0;
        } else {
            usage(strcmp(argv[i], "--help") == 0 ? stdout : stderr);
            return strcmp(argv[i], "--help") == 0 ? 0 : EXIT_USAGE;
        }
    }
    if (dir == NULL) {
        usage(stderr);
        return EXIT_USAGE;
    }
    quartet_log(level, json);
    notify_begin();
    return run_node(dir, &config, &limits);
}

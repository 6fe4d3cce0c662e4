/* matrix_fault.c - the faults of the matrix: what comes and goes while clients write. See matrix.h. */
#include "netns/matrix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define DISK_BYTES (1ull << 30)      /* at most: a tmpfs takes what is in it */
#define ROOM_BYTES (64u << 10)       /* what a full disk has left */
#define BALLAST_BYTES 200000         /* of a row that fills it */
#define BALLAST_ROWS 120
#define DISK_DEADLINE_S 20

static const struct wire well = {0}, broken = {.cut = true};

static void heal(struct cell *x)
{
    for (int a = 0; x->wires != NULL && a < WIRES_CLIENTS; a++)
        for (int b = 0; b < WIRES_CLIENTS; b++)
            wires_set(x->wires, a, b, &well);
}

static void cut(struct cell *x, int a, int b)
{
    wires_set(x->wires, a, b, &broken);
    wires_set(x->wires, b, a, &broken);
}

static int draw_node(struct cell *x)
{
    return (int)(proc_random(&x->p) % CLUSTER_NODES);
}

/* One node, at times two. */
static void draw_victims(struct cell *x)
{
    x->victims = 1u << draw_node(x);
    if (proc_random(&x->p) % 3 == 0)
        x->victims |= 1u << draw_node(x);
}

static void signal_victims(struct cell *x, int sig)
{
    for (int k = 0; k < CLUSTER_NODES; k++)
        if ((x->victims >> k & 1) != 0)
            proc_signal(&x->p, k, sig);
}

static void kill_on(struct cell *x)
{
    draw_victims(x);
    signal_victims(x, SIGKILL);
}

static void kill_off(struct cell *x)
{
    for (int k = 0; k < CLUSTER_NODES; k++)
        if ((x->victims >> k & 1) != 0)
            (void)proc_start(&x->p, k); /* a failure is counted */
    x->victims = 0;
}

static void pause_on(struct cell *x)
{
    draw_victims(x);
    signal_victims(x, SIGSTOP);
}

static void pause_off(struct cell *x)
{
    signal_victims(x, SIGCONT);
    x->victims = 0;
}

/* Two, three or four parts: each node draws its own. */
static void parts_on(struct cell *x)
{
    uint64_t part[CLUSTER_NODES], parts = 2 + proc_random(&x->p) % 3;
    part[0] = 0;
    part[1] = 1;
    part[2] = proc_random(&x->p) % parts;
    part[3] = parts - 1;
    int turn = draw_node(x);
    for (int a = 0; a < CLUSTER_NODES; a++)
        for (int b = a + 1; b < CLUSTER_NODES; b++)
            if (part[(a + turn) % CLUSTER_NODES] != part[(b + turn) % CLUSTER_NODES])
                cut(x, a, b);
}

static void one_way_on(struct cell *x) /* every direction with even chances; one at least */
{
    int from = draw_node(x), to = (from + 1 + (int)(proc_random(&x->p) % 3)) % CLUSTER_NODES;
    wires_set(x->wires, from, to, &broken);
    for (int a = 0; a < CLUSTER_NODES; a++)
        for (int b = 0; b < CLUSTER_NODES; b++)
            if (a != b && proc_random(&x->p) % 2 == 0)
                wires_set(x->wires, a, b, &broken);
}

static void slow_on(struct cell *x)
{
    wires_between_nodes(x->wires, &(struct wire){.delay_ms = 10 + (double)(proc_random(&x->p) % 90), .jitter_ms = 20, .loss = 0.05, .bytes_per_s = 500000});
}

/* ---- clocks ---- */

static const char *const faketime = "/usr/lib/" TEST_ARCHITECTURE "/faketime/libfaketime.so.1";

static bool set_clock(struct cell *x, int slot, const char *offset)
{
    char path[320], next[340];
    snprintf(path, sizeof path, "%s/clock.%d", x->p.dir, slot);
    snprintf(next, sizeof next, "%s.new", path);
    FILE *f = fopen(next, "w");
    bool ok = f != NULL && fprintf(f, "%s\n", offset) > 0;
    if (f != NULL)
        ok = fclose(f) == 0 && ok;
    ok = ok && rename(next, path) == 0;
    if (!ok)
        proc_fail(&x->p, "%s: %s", path, strerror(errno));
    return ok;
}

static bool clock_begin(struct cell *x)
{
    if (access(faketime, R_OK) != 0) {
        snprintf(x->why, sizeof x->why, "no libfaketime here");
        return false;
    }
    x->clock = draw_node(x);
    return set_clock(x, x->clock, "+0");
}

static void clock_on(struct cell *x)
{
    static const char *const offsets[] = {"-3600", "+3", "-2", "+7", "+0.2"};
    x->victims = 1u << x->clock;
    x->p.down[x->clock] = true; /* who is ahead commits nothing */
    set_clock(x, x->clock, offsets[proc_random(&x->p) % (sizeof offsets / sizeof *offsets)]);
}

static void clock_off(struct cell *x)
{
    set_clock(x, x->clock, "+0");
    x->p.disturbed[x->clock] = now_seconds();
    x->p.down[x->clock] = false;
    x->victims = 0;
}

void matrix_enter(const void *cell, int slot)
{
    const struct cell *x = cell;
    char path[320];
    if (x->wires != NULL && !wires_enter(x->wires, slot))
        _exit(126);
    snprintf(path, sizeof path, "%s/clock.%d", x->p.dir, slot);
    if (x->clock == slot && (setenv("LD_PRELOAD", faketime, 1) != 0 || setenv("FAKETIME_TIMESTAMP_FILE", path, 1) != 0 || setenv("FAKETIME_CACHE_DURATION", "1", 1) != 0 ||
                      setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1", 1) != 0))
        _exit(126);
}

/* ---- a disk that fills up ---- */

static bool copy_file(const char *from, const char *to)
{
    char bytes[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ssize_t n = in >= 0 && out >= 0 ? read(in, bytes, sizeof bytes) : -1; /* keys and membership are smaller */
    bool ok = n > 0 && n < (ssize_t)sizeof bytes && write(out, bytes, (size_t)n) == n;
    if (in >= 0)
        close(in); /* it was only read */
    return (out < 0 || close(out) == 0) && ok;
}

static bool copy_keys(const char *from, const char *to)
{
    char a[600], b[600];
    DIR *d = opendir(from);
    bool ok = d != NULL && mkdir(to, 0700) == 0;
    for (struct dirent *e; ok && (e = readdir(d)) != NULL;) {
        snprintf(a, sizeof a, "%s/%.200s", from, e->d_name);
        snprintf(b, sizeof b, "%s/%.200s", to, e->d_name);
        ok = e->d_name[0] == '.' || copy_file(a, b);
    }
    if (d != NULL)
        closedir(d); /* it was only read */
    return ok;
}

static bool resize_disk(struct cell *x, unsigned flags, unsigned long long bytes)
{
    char path[320], size[64];
    snprintf(path, sizeof path, "%s/%d", x->p.dir, x->disk);
    snprintf(size, sizeof size, "size=%llu,mode=700", bytes);
    return mount("none", path, "tmpfs", flags, size) == 0;
}

/* One node's directory becomes a file system of its own. */
static bool disk_begin(struct cell *x)
{
    char path[300], old[320], keys[340];
    int k = draw_node(x);
    static bool apart; /* the mounts of this process are its own; one thread calls */
    if (!apart && (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)) {
        snprintf(x->why, sizeof x->why, "no file system may be mounted: %s", strerror(errno));
        return false;
    }
    apart = true;
    x->disk = k;
    snprintf(path, sizeof path, "%s/%d", x->p.dir, k);
    snprintf(old, sizeof old, "%s.keys", path);
    bool ok = rename(path, old) == 0 && mkdir(path, 0700) == 0 && resize_disk(x, 0, DISK_BYTES);
    if (ok) {
        snprintf(keys, sizeof keys, "%s.keys/keys", path);
        snprintf(old, sizeof old, "%s/keys", path);
        ok = copy_keys(keys, old);
    } else {
        x->disk = -1;
    }
    if (!ok)
        snprintf(x->why, sizeof x->why, "no disk that fills up: %s", strerror(errno));
    return ok;
}

/* From now on it has room for a few pages; then rows are written to the node until it refuses one. */
static void disk_on(struct cell *x)
{
    char path[320], sql[128], text[512] = "";
    struct statvfs v;
    bool full = false, refused = false;
    snprintf(path, sizeof path, "%s/%d", x->p.dir, x->disk);
    x->victims = 1u << x->disk;
    x->p.down[x->disk] = true;
    double until = now_seconds() + DISK_DEADLINE_S;
    while (!full && now_seconds() < until)
        full = statvfs(path, &v) == 0 && resize_disk(x, MS_REMOUNT, (v.f_blocks - v.f_bfree) * v.f_frsize + ROOM_BYTES); /* it may have grown in between */
    snprintf(sql, sizeof sql, "INSERT INTO ballast (v) VALUES (randomblob(%d))", BALLAST_BYTES);
    for (int i = 0; full && !refused && i < BALLAST_ROWS; i++)
        refused = !cluster_ask(x->p.cluster.node_url[x->disk], sql, text, sizeof text);
    if (!refused)
        matrix_found(x, "node %d, whose disk is full, took %d rows of %d bytes", x->disk, BALLAST_ROWS, BALLAST_BYTES);
    else if (strstr(text, "full") == NULL && strstr(text, "space") == NULL)
        matrix_found(x, "node %d, whose disk is full, does not say so: %s", x->disk, text);
}

/* Room again: the same process writes again. */
static void disk_off(struct cell *x)
{
    char text[512] = "";
    bool ok = resize_disk(x, MS_REMOUNT, DISK_BYTES), writes = false;
    if (!ok)
        proc_fail(&x->p, "the file system of node %d does not grow: %s", x->disk, strerror(errno));
    for (double until = now_seconds() + DISK_DEADLINE_S; !writes && now_seconds() < until; pause_ms(20))
        writes = cluster_ask(x->p.cluster.node_url[x->disk], "INSERT INTO ballast (v) VALUES (x'00')", text, sizeof text);
    if (!writes)
        matrix_found(x, "node %d has room on its disk again, and takes no write: %s", x->disk, text);
    x->p.disturbed[x->disk] = now_seconds();
    x->p.down[x->disk] = false;
    x->victims = 0;
}

static void disk_end(struct cell *x)
{
    char path[320];
    snprintf(path, sizeof path, "%s/%d", x->p.dir, x->disk);
    if (x->disk >= 0 && umount2(path, MNT_DETACH) != 0)
        proc_fail(&x->p, "%s: %s", path, strerror(errno));
    x->disk = -1;
}

static void nothing(struct cell *x)
{
    (void)x; /* for comparison */
}

/* ---- the table ---- */

#define LINK_FAILS (MATRIX_STATUS(QUARTET_NET) | MATRIX_STATUS(QUARTET_UNKNOWN_OUTCOME) | MATRIX_STATUS(QUARTET_UNAVAILABLE))

const struct fault matrix_faults[] = {
    {"kill", "SIGKILL to one node or two, started again", NULL, kill_on, kill_off, NULL, false, LINK_FAILS, 20},
    {"pause", "SIGSTOP of one node or two", NULL, pause_on, pause_off, NULL, false, LINK_FAILS, 20},
    {"parts", "the network in two, three or four parts", NULL, parts_on, heal, NULL, true, 0, 20},
    {"oneway", "half of all directions between nodes cut", NULL, one_way_on, heal, NULL, true, 0, 20},
    {"slow", "10 to 120 ms, 5 % lost, 4 Mbit/s between nodes", NULL, slow_on, heal, NULL, true, 0, 30},
    {"clock", "a node's clock jumps, an hour back or up to 7 s ahead", clock_begin, clock_on, clock_off, NULL, false, MATRIX_STATUS(QUARTET_READONLY), 40},
    {"disk", "a node's disk is full until it has room again", disk_begin, disk_on, disk_off, disk_end, false, MATRIX_STATUS(QUARTET_FULL), 30},
    {"none", "nothing, for comparison; only if named", NULL, nothing, nothing, NULL, false, 0, 20},
    {NULL, NULL, NULL, NULL, NULL, NULL, false, 0, 0}};

/* test_full.c - a small file system fills up under an open database, again and again: within commits, growth of the log, flushes, large transactions, BACKUP, close
 * and open. What does not fit is refused as QUARTET_FULL and leaves nothing behind, reads go on, and once there is room the same handle writes again.
 *   fault-full [--seed N] [--rounds N]
 * Needs the right to mount a tmpfs in a namespace of its own; without it the test is skipped (77), which CI takes for a failure. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/prng.h"
#include "fault/disk.h"
#include "fault/work.h"

#define DISK "48m"
#define WAIT_S 20
#define ROWS_MAX 60

struct run {
    struct prng prng;
    struct work w;
    char dir[512], filler[600], backup[600];
    uint64_t transactions; /* acknowledged: 1 ... this */
    uint64_t refused_commits, refused_backups, refused_opens, refused_closes;
    int failures;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(struct run *r, const char *what, const char *text)
{
    printf("FAILED: after transaction %llu: %s: %s\n", (unsigned long long)r->transactions, what, text);
    r->failures++;
}

static bool mount_small(const char *dir)
{
    uid_t uid = getuid();
    if (unshare(CLONE_NEWNS) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
            return false;
        char map[64];
        int fd = open("/proc/self/uid_map", O_WRONLY), n = snprintf(map, sizeof map, "0 %u 1", (unsigned)uid);
        if (fd < 0 || write(fd, map, (size_t)n) != n)
            return false;
        close(fd);
    }
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("none", dir, "tmpfs", 0, "size=" DISK) == 0;
}

/* Leave so many bytes free. */
static void fill_up(struct run *r, uint64_t leave)
{
    static char zeros[1 << 16];
    struct statvfs s;
    int fd = open(r->filler, O_WRONLY | O_CREAT | O_APPEND, 0600);
    while (fd >= 0 && statvfs(r->dir, &s) == 0 && (uint64_t)s.f_bavail * s.f_frsize > leave) {
        uint64_t n = (uint64_t)s.f_bavail * s.f_frsize - leave;
        if (write(fd, zeros, n < sizeof zeros ? (size_t)n : sizeof zeros) <= 0)
            break;
    }
    close(fd);
}

static void make_room(struct run *r)
{
    (void)unlink(r->filler);
    disk_remove_tree(r->backup);
}

/* The statements of transaction n: a few rows, large ones, many, or a deletion of what was written long ago. */
static void draw(uint64_t n, struct buf *sql)
{
    struct prng p;
    prng_seed(&p, n);
    uint64_t rows = 1 + prng_below(&p, n % 7 == 0 ? ROWS_MAX : 3), bytes = prng_below(&p, n % 7 == 0 ? 40000 : 4000);
    buf_printf(sql, "BEGIN; DELETE FROM f WHERE n < %lld;", (long long)n - 12);
    for (uint64_t k = 0; k < rows; k++) {
        buf_printf(sql, "INSERT INTO f VALUES (%llu, %llu, '", (unsigned long long)n, (unsigned long long)k);
        for (uint64_t i = 0; i < bytes; i++)
            buf_u8(sql, (uint8_t)('a' + prng_below(&p, 26))); /* nothing to compress */
        buf_str(sql, "');");
    }
    buf_printf(sql, "INSERT INTO done VALUES (%llu, %llu, %llu); COMMIT", (unsigned long long)n, (unsigned long long)rows, (unsigned long long)(rows * bytes));
    buf_u8(sql, 0);
}

/* Is everything there that was acknowledged, and nothing else? */
static void check(struct run *r, const char *when)
{
    struct err err = ERR_INIT;
    struct buf out = {0};
    char want[100];
    snprintf(want, sizeof want, "%llu,%llu,0;\n", (unsigned long long)r->transactions, (unsigned long long)r->transactions);
    quartet_status rc = work_sql(&r->w, "SELECT count(*), coalesce(max(n), 0), (SELECT count(*) FROM done AS d WHERE d.n >= (SELECT max(n) FROM done) - 12 AND "
                                        "(d.rows <> (SELECT count(*) FROM f WHERE f.n = d.n) OR d.bytes <> (SELECT sum(length(v)) FROM f WHERE f.n = d.n))) FROM done",
                                 &out, &err);
    buf_u8(&out, 0);
    if (rc != QUARTET_OK)
        fail(r, when, err.text);
    else if (strcmp((const char *)out.data, want) != 0)
        fail(r, when, (const char *)out.data);
    buf_deinit(&out);
}

static quartet_status transaction(struct run *r, struct err *err)
{
    struct buf sql = {0};
    struct err ignored = ERR_INIT;
    draw(r->transactions + 1, &sql);
    quartet_status rc = work_sql(&r->w, (const char *)sql.data, NULL, err);
    buf_deinit(&sql);
    if (rc == QUARTET_OK)
        r->transactions++;
    else if (conn_in_transaction(r->w.c) && work_sql(&r->w, "ROLLBACK", NULL, &ignored) != QUARTET_OK)
        fail(r, "ROLLBACK", ignored.text);
    return rc;
}

static void expect_full(struct run *r, quartet_status rc, const struct err *err, const char *what, uint64_t *count)
{
    ++*count;
    if (rc != QUARTET_FULL)
        fail(r, what, err->text);
}

static void reopen(struct run *r)
{
    struct err err = ERR_INIT;
    quartet_status rc = work_close(&r->w, &err);
    if (rc != QUARTET_OK)
        expect_full(r, rc, &err, "close", &r->refused_closes);
    err = ERR_INIT;
    rc = work_open(&r->w, &err);
    if (rc == QUARTET_OK)
        return;
    expect_full(r, rc, &err, "open", &r->refused_opens);
    make_room(r);
    err = ERR_INIT;
    if (work_open(&r->w, &err) != QUARTET_OK)
        fail(r, "open when there is room", err.text);
}

static void backup(struct run *r)
{
    struct err err = ERR_INIT;
    char sql[700];
    snprintf(sql, sizeof sql, "BACKUP TO '%s'", r->backup);
    disk_remove_tree(r->backup);
    quartet_status rc = work_sql(&r->w, sql, NULL, &err);
    if (rc != QUARTET_OK)
        expect_full(r, rc, &err, "BACKUP", &r->refused_backups);
}

/* From room to no room and back. */
static void round_trip(struct run *r)
{
    struct err err = ERR_INIT;
    fill_up(r, prng_below(&r->prng, 3) * prng_below(&r->prng, 1 << 20));
    quartet_status rc = QUARTET_OK;
    for (int i = 0; i < 60 && rc == QUARTET_OK; i++) {
        if (prng_chance(&r->prng, 0.05))
            backup(r);
        if (prng_chance(&r->prng, 0.05))
            reopen(r);
        if (r->failures > 0)
            return;
        err = ERR_INIT;
        rc = transaction(r, &err);
        db_tick(r->w.d);
    }
    if (rc != QUARTET_OK)
        expect_full(r, rc, &err, "a transaction", &r->refused_commits);
    check(r, "while the disk is full");
    if (prng_chance(&r->prng, 0.3))
        reopen(r);
    make_room(r);
    rc = QUARTET_FULL;
    for (double end = now() + WAIT_S; rc == QUARTET_FULL && now() < end && r->failures == 0;) {
        err = ERR_INIT;
        rc = transaction(r, &err);
        if (rc == QUARTET_FULL)
            poll(NULL, 0, 10);
    }
    if (rc != QUARTET_OK && r->failures == 0)
        fail(r, "when there is room again", err.text);
    check(r, "when there is room again");
}

int main(int argc, char **argv)
{
    static struct run r;
    const char *given = getenv("QUARTET_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : 1, rounds = 12;
    for (int i = 1; i + 1 < argc; i += 2)
        *(strcmp(argv[i], "--rounds") == 0 ? &rounds : &seed) = strtoull(argv[i + 1], NULL, 10);
    static const size_t buffers[] = {32 << 10, 256 << 10, 0};
    prng_seed(&r.prng, seed);
    env_posix_set_log(4, false);
    work_dir_begin(r.dir, sizeof r.dir, "full");
    if (!mount_small(r.dir)) {
        printf("full: no tmpfs may be mounted here\n");
        (void)rmdir(r.dir);
        return 77;
    }
    r.w = (struct work){.env = env_posix(), .options = {.buffer_bytes = buffers[prng_below(&r.prng, 3)]}};
    r.w.options.slice_pages = prng_chance(&r.prng, 0.5) ? 4 + (uint32_t)prng_below(&r.prng, 60) : 0; /* flushes of many slices */
    snprintf(r.w.path, sizeof r.w.path, "%.490s/db", r.dir);
    snprintf(r.filler, sizeof r.filler, "%s/filler", r.dir);
    snprintf(r.backup, sizeof r.backup, "%s/backup", r.dir);
    struct err err = ERR_INIT;
    char why[600];
    if (work_open(&r.w, &err) != QUARTET_OK ||
        work_sql(&r.w, "SET history_retention = 0; CREATE TABLE f (n INTEGER, k INTEGER, v TEXT, PRIMARY KEY (n, k)); CREATE TABLE done (n INTEGER PRIMARY KEY, rows INTEGER, bytes INTEGER)", NULL,
                 &err) != QUARTET_OK)
        fail(&r, "the tables", err.text);
    for (uint64_t k = 0; k < rounds && r.failures == 0; k++)
        round_trip(&r);
    if (r.failures == 0)
        reopen(&r);
    if (r.failures == 0) {
        check(&r, "at the end");
        if (!work_consistent(&r.w, why, sizeof why))
            fail(&r, "at the end", why);
        err = ERR_INIT;
        if (work_close(&r.w, &err) != QUARTET_OK)
            fail(&r, "the last close", err.text);
    }
    if (r.failures > 0)
        printf("  seed %llu, buffer %zu\n", (unsigned long long)seed, r.w.options.buffer_bytes);
    else
        printf("full: %llu rounds, %llu transactions; refused and told: %llu commits, %llu backups, %llu opens, %llu closes; all went on when there was room\n",
               (unsigned long long)rounds, (unsigned long long)r.transactions, (unsigned long long)r.refused_commits, (unsigned long long)r.refused_backups,
               (unsigned long long)r.refused_opens, (unsigned long long)r.refused_closes);
    (void)umount2(r.dir, MNT_DETACH);
    (void)rmdir(r.dir);
    return r.failures > 0;
}

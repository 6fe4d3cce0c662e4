/* test_env_posix.c - the real environment: files, locks, directories, clocks, random bytes, log lines. Each test works in a
 * directory of its own under TMPDIR and removes it. */
#include "unit/cunit.h"

#include "base/env.h"
#include "base/log.h"
#include "base/mem.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
    struct env *env;
    const struct env_ops *ops;
    struct err err;
    char dir[PATH_MAX];
    char path[PATH_MAX];
};

static const char *place_path(struct place *at, const char *name)
{
    CU_ASSERT_EQUAL_FATAL(path_join(at->path, sizeof at->path, at->dir, name, &at->err), QUARTET_OK);
    return at->path;
}

static struct place place_open(void)
{
    struct place at = {.env = env_posix(), .err = ERR_INIT};
    const char *tmp = getenv("TMPDIR");
    at.ops = at.env->ops;
    (void)snprintf(at.dir, sizeof at.dir, "%s/quartet-test-XXXXXX", tmp != NULL ? tmp : "/tmp"); /* mkdtemp fails if cut */
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(at.dir));
    return at;
}

static quartet_status remove_entry(void *arg, const char *name, struct err *err)
{
    struct place *at = arg;
    return at->ops->unlink(at->env, place_path(at, name), err);
}

static void place_close(struct place *at)
{
    CU_ASSERT_EQUAL(at->ops->list(at->env, at->dir, remove_entry, at, &at->err), QUARTET_OK);
    CU_ASSERT_EQUAL(rmdir(at->dir), 0);
}

static struct file *must_open(struct place *at, const char *name, enum file_mode mode)
{
    struct file *f = NULL;
    CU_ASSERT_EQUAL(at->ops->open(at->env, place_path(at, name), mode, &f, &at->err), QUARTET_OK);
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    return f;
}

static void test_env_file_reads_what_was_written(void)
{
    struct place at = place_open();
    struct file *f = must_open(&at, "data", FILE_WRITE);
    char read[32];
    size_t got = 99;
    uint64_t size = 99;
    CU_ASSERT_EQUAL(at.ops->pwrite(f, "hello", 5, 3, &at.err), QUARTET_OK);
    CU_ASSERT_EQUAL(at.ops->sync(f, &at.err), QUARTET_OK);
    CU_ASSERT_EQUAL(at.ops->size(f, &size, &at.err), QUARTET_OK);
    CU_ASSERT_EQUAL(size, 8);
    CU_ASSERT_EQUAL(at.ops->pread(f, read, sizeof read, 0, &got, &at.err), QUARTET_OK);
    CU_ASSERT_EQUAL(got, 8);
    CU_ASSERT_EQUAL(memcmp(read, "\0\0\0hello", 8), 0);
    CU_ASSERT_EQUAL(at.ops->pread(f, read, 4, 100, &got, &at.err), QUARTET_OK);
    CU_ASSERT_EQUAL(got, 0);
    CU_ASSERT_EQUAL(at.ops->truncate(f, 4, &at.err), QUARTET_OK);
    CU_ASSERT_EQUAL(at.ops->pread(f, read, sizeof read, 0, &got, &at.err), QUARTET_OK);
    CU_ASSERT_EQUAL(got, 4);
    at.ops->close(f);
    f = must_open(&at, "data", FILE_WRITE); /* opening again empties nothing */
    CU_ASSERT_EQUAL(at.ops->size(f, &size, &at.err), QUARTET_OK);
    CU_ASSERT_EQUAL(size, 4);
    at.ops->close(f);
    struct stat st;
    CU_ASSERT_EQUAL(stat(place_path(&at, "data"), &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
    place_close(&at);
}

/* Stores, through a mapping where it can be, and writes see each other; a store where the file has only just grown, or past its end, is a write. */
static void test_env_store_is_a_write(void)
{
    struct place at = place_open();
    struct file *f = must_open(&at, "data", FILE_WRITE);
    enum { SIZE = 3 << 20, STEP = 70001 };
    uint8_t *want = calloc(1, SIZE + STEP), *got = malloc(SIZE + STEP);
    CU_ASSERT_TRUE_FATAL(want != NULL && got != NULL);
    uint64_t filled = 0, size = 0;
    size_t n = 0;
    for (uint64_t to = 0; to + 5000 < SIZE; to += 777) {
        while (filled < to + 2 * STEP && filled < SIZE) { /* the file grows ahead, in parts that are no whole pages */
            uint64_t part = SIZE - filled < STEP ? SIZE - filled : STEP;
            CU_ASSERT_EQUAL_FATAL(at.ops->pwrite(f, want + filled, part, filled, &at.err), QUARTET_OK);
            filled += part;
        }
        for (uint64_t i = to; i < to + 400; i++)
            want[i] = (uint8_t)(to * 3 + i);
        CU_ASSERT_EQUAL_FATAL(at.ops->store(f, want + to, 400, to, &at.err), QUARTET_OK);
        if (to % 5 == 0) {
            want[to + 300] = 9;
            CU_ASSERT_EQUAL_FATAL(at.ops->pwrite(f, want + to + 300, 1, to + 300, &at.err), QUARTET_OK);
        }
        CU_ASSERT_EQUAL_FATAL(at.ops->pread(f, got, 400, to, &n, &at.err), QUARTET_OK);
        CU_ASSERT_TRUE(n == 400 && memcmp(got, want + to, 400) == 0);
    }
    memset(want + SIZE - 100, 7, STEP + 100);
    CU_ASSERT_EQUAL(at.ops->store(f, want + SIZE - 100, STEP + 100, SIZE - 100, &at.err), QUARTET_OK);
    CU_ASSERT_EQUAL(at.ops->sync(f, &at.err), QUARTET_OK);
    CU_ASSERT_EQUAL(at.ops->size(f, &size, &at.err), QUARTET_OK);
    CU_ASSERT_EQUAL(size, SIZE + STEP);
    at.ops->close(f);
    f = must_open(&at, "data", FILE_READ);
    CU_ASSERT_EQUAL(at.ops->pread(f, got, SIZE + STEP, 0, &n, &at.err), QUARTET_OK);
    CU_ASSERT_TRUE(n == SIZE + STEP && memcmp(got, want, SIZE + STEP) == 0);
    at.ops->close(f);
    free(want);
    free(got);
    place_close(&at);
}

static void test_env_open_tells_what_is_wrong(void)
{
    struct place at = place_open();
    struct file *f = NULL;
    CU_ASSERT_EQUAL(at.ops->open(at.env, place_path(&at, "none"), FILE_READ, &f, &at.err), QUARTET_NOTFOUND);
    CU_ASSERT_EQUAL(at.err.code, QUARTET_NOTFOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(at.err.text, "none"));
    CU_ASSERT_EQUAL(at.ops->open(at.env, place_path(&at, "none/x"), FILE_WRITE, &f, &at.err), QUARTET_CANTOPEN);
    CU_ASSERT_EQUAL(at.ops->open(at.env, at.dir, FILE_WRITE, &f, &at.err), QUARTET_CANTOPEN);
    struct file *made = must_open(&at, "new", FILE_CREATE_NEW);
    CU_ASSERT_EQUAL(at.ops->open(at.env, place_path(&at, "new"), FILE_CREATE_NEW, &f, &at.err), QUARTET_CANTOPEN);
    CU_ASSERT_PTR_NULL(f);
    at.ops->close(made);
    at.ops->close(NULL);
    f = must_open(&at, "new", FILE_READ);
    CU_ASSERT_EQUAL(at.ops->pwrite(f, "x", 1, 0, &at.err), QUARTET_IO);
    at.ops->close(f);
    place_close(&at);
}

static void test_env_full_disk_is_told_apart(void)
{
    struct place at = place_open();
    struct file *f = NULL;
    if (at.ops->open(at.env, "/dev/full", FILE_WRITE, &f, &at.err) == QUARTET_OK)
        CU_ASSERT_EQUAL(at.ops->pwrite(f, "x", 1, 0, &at.err), QUARTET_FULL);
    at.ops->close(f);
    place_close(&at);
}

static void test_env_offsets_past_the_end_of_the_world(void)
{
    struct place at = place_open();
    struct file *f = must_open(&at, "data", FILE_WRITE);
    char byte = 'x';
    size_t got = 0;
    CU_ASSERT_EQUAL(at.ops->pread(f, &byte, 1, UINT64_MAX, &got, &at.err), QUARTET_RANGE);
    CU_ASSERT_EQUAL(at.ops->pwrite(f, &byte, 1, (uint64_t)INT64_MAX, &at.err), QUARTET_RANGE);
    CU_ASSERT_EQUAL(at.ops->truncate(f, UINT64_MAX, &at.err), QUARTET_RANGE);
    at.ops->close(f);
    place_close(&at);
}

static void test_env_lock_names_its_holder(void)
{
    struct place at = place_open();
    struct file *first = must_open(&at, "lock", FILE_WRITE);
    struct file *second = must_open(&at, "lock", FILE_WRITE);
    int64_t holder = -1;
    CU_ASSERT_EQUAL(at.ops->pwrite(first, "999999999999 a stale and longer text", 36, 0, &at.err), QUARTET_OK);
    CU_ASSERT_EQUAL(at.ops->lock(first, &holder, &at.err), QUARTET_OK);
    CU_ASSERT_EQUAL(holder, 0);
    CU_ASSERT_EQUAL(at.ops->lock(second, &holder, &at.err), QUARTET_BUSY); /* within one process, too */
    CU_ASSERT_EQUAL(holder, getpid());
    CU_ASSERT_PTR_NOT_NULL(strstr(at.err.text, "in use by process"));
    at.ops->close(first);
    CU_ASSERT_EQUAL(at.ops->lock(second, &holder, &at.err), QUARTET_OK);
    at.ops->close(second);
    place_close(&at);
}

/* A child takes the lock, says so, and waits; its death frees the lock. */
static void test_env_lock_ends_with_its_process(void)
{
    struct place at = place_open();
    int64_t holder = -1;
    int told[2];
    char byte;
    CU_ASSERT_EQUAL_FATAL(pipe(told), 0);
    (void)place_path(&at, "lock"); /* sets at.path, for both */
    pid_t child = fork();
    if (child == 0) {
        struct file *f = NULL;
        bool ok = at.ops->open(at.env, at.path, FILE_WRITE, &f, &at.err) == QUARTET_OK &&
                  at.ops->lock(f, &holder, &at.err) == QUARTET_OK;
        if (write(told[1], ok ? "y" : "n", 1) == 1)
            (void)pause(); /* until it is killed */
        _exit(1);
    }
    CU_ASSERT_FATAL(child > 0);
    CU_ASSERT_EQUAL(read(told[0], &byte, 1), 1);
    CU_ASSERT_EQUAL(byte, 'y');
    struct file *f = must_open(&at, "lock", FILE_WRITE);
    CU_ASSERT_EQUAL(at.ops->lock(f, &holder, &at.err), QUARTET_BUSY);
    CU_ASSERT_EQUAL(holder, child);
    CU_ASSERT_EQUAL(kill(child, SIGKILL), 0);
    CU_ASSERT_EQUAL(waitpid(child, NULL, 0), child);
    CU_ASSERT_EQUAL(at.ops->lock(f, &holder, &at.err), QUARTET_OK);
    at.ops->close(f);
    CU_ASSERT_EQUAL(close(told[0]), 0);
    CU_ASSERT_EQUAL(close(told[1]), 0);
    place_close(&at);
}

static void test_env_directories(void)
{
    struct place at = place_open();
    CU_ASSERT_EQUAL(at.ops->mkdir(at.env, place_path(&at, "sub"), &at.err), QUARTET_OK);
    CU_ASSERT_EQUAL(at.ops->mkdir(at.env, place_path(&at, "sub"), &at.err), QUARTET_OK);
    CU_ASSERT_EQUAL(at.ops->mkdir(at.env, place_path(&at, "a/b"), &at.err), QUARTET_CANTOPEN);
    CU_ASSERT_TRUE(at.ops->exists(at.env, place_path(&at, "sub")));
    CU_ASSERT_EQUAL(at.ops->sync_dir(at.env, at.dir, &at.err), QUARTET_OK);
    CU_ASSERT_EQUAL(at.ops->unlink(at.env, place_path(&at, "none"), &at.err), QUARTET_NOTFOUND);
    CU_ASSERT_EQUAL(at.ops->rename(at.env, place_path(&at, "none"), at.dir, &at.err), QUARTET_CANTOPEN);
    CU_ASSERT_EQUAL(rmdir(place_path(&at, "sub")), 0);
    CU_ASSERT_FALSE(at.ops->exists(at.env, place_path(&at, "sub")));
    struct file *f = must_open(&at, "file", FILE_WRITE);
    at.ops->close(f);
    CU_ASSERT_EQUAL(at.ops->mkdir(at.env, place_path(&at, "file"), &at.err), QUARTET_CANTOPEN);
    CU_ASSERT_EQUAL(at.ops->sync_dir(at.env, place_path(&at, "none"), &at.err), QUARTET_CANTOPEN);
    place_close(&at);
}

struct seen {
    char names[200];
    size_t stop_after;
    size_t count;
};

static quartet_status see(void *arg, const char *name, struct err *err)
{
    struct seen *seen = arg;
    size_t len = strlen(seen->names);
    (void)snprintf(seen->names + len, sizeof seen->names - len, "%s ", name); /* compared as a whole below */
    if (++seen->count == seen->stop_after)
        return err_set(err, QUARTET_INTERRUPTED, "enough");
    return QUARTET_OK;
}

static void test_env_list_is_sorted_and_stops(void)
{
    static const char *const NAMES[] = {"b", "a", "10", "9", "B", ".hidden"};
    struct place at = place_open();
    for (size_t i = 0; i < 6; i++)
        at.ops->close(must_open(&at, NAMES[i], FILE_CREATE_NEW));
    struct seen all = {0};
    CU_ASSERT_EQUAL(at.ops->list(at.env, at.dir, see, &all, &at.err), QUARTET_OK);
    CU_ASSERT_STRING_EQUAL(all.names, ".hidden 10 9 B a b ");
    struct seen two = {.stop_after = 2};
    CU_ASSERT_EQUAL(at.ops->list(at.env, at.dir, see, &two, &at.err), QUARTET_INTERRUPTED);
    CU_ASSERT_STRING_EQUAL(two.names, ".hidden 10 ");
    CU_ASSERT_EQUAL(at.ops->list(at.env, place_path(&at, "none"), see, &two, &at.err), QUARTET_CANTOPEN);
    for (uint64_t n = 1; n <= 3; n++) {
        mem_fail_at(n, false);
        CU_ASSERT_EQUAL(at.ops->list(at.env, at.dir, see, &two, &at.err), QUARTET_NOMEM);
    }
    mem_fail_at(0, false);
    place_close(&at);
}

static void test_env_clocks_and_random(void)
{
    struct place at = place_open();
    uint64_t wall = env_wall_ms(at.env);
    CU_ASSERT(wall > UINT64_C(1577836800000)); /* after 2020 */
    uint64_t last = at.ops->mono_ns(at.env);
    for (int i = 0; i < 1000; i++) {
        uint64_t now = at.ops->mono_ns(at.env);
        CU_ASSERT(now >= last);
        last = now;
    }
    uint8_t a[32] = {0};
    uint8_t b[32] = {0};
    CU_ASSERT_EQUAL(at.ops->random(at.env, a, sizeof a, &at.err), QUARTET_OK);
    CU_ASSERT_EQUAL(at.ops->random(at.env, b, sizeof b, &at.err), QUARTET_OK);
    CU_ASSERT_NOT_EQUAL(memcmp(a, b, sizeof a), 0);
    place_close(&at);
}

/* What goes to stderr while `json` is set, with one line below the level and one at it. */
static void capture_log(struct place *at, bool json, char *out, size_t n)
{
    int saved = dup(STDERR_FILENO);
    int fd = open(place_path(at, "stderr"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    CU_ASSERT_FATAL(saved >= 0 && fd >= 0);
    CU_ASSERT_EQUAL(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    env_posix_set_log(LOG_INFO, json);
    log_line(at->env, LOG_DEBUG, "net", "below the level");
    log_line(at->env, LOG_ERROR, "net", "a \"quoted\" \\ line\n");
    env_posix_set_log(LOG_INFO, false);
    CU_ASSERT_EQUAL(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    ssize_t got = pread(fd, out, n - 1, 0);
    CU_ASSERT_FATAL(got >= 0);
    out[got] = '\0';
    CU_ASSERT_EQUAL(close(fd), 0);
    CU_ASSERT_EQUAL(close(saved), 0);
}

static void test_env_log_lines(void)
{
    static const char TEXT[] = "Z ERROR net: a \"quoted\" \\ line\\x0A\n";
    static const char JSON[] =
        "Z\",\"level\":\"ERROR\",\"component\":\"net\",\"text\":\"a \\\"quoted\\\" \\\\ line\\\\x0A\"}\n";
    struct place at = place_open();
    char out[4096];
    capture_log(&at, false, out, sizeof out);
    CU_ASSERT_EQUAL_FATAL(strlen(out), strlen("2026-01-01T00:00:00.123") + strlen(TEXT));
    CU_ASSERT_STRING_EQUAL(out + strlen("2026-01-01T00:00:00.123"), TEXT);
    CU_ASSERT(out[4] == '-' && out[7] == '-' && out[10] == 'T' && out[13] == ':' && out[16] == ':' && out[19] == '.');
    capture_log(&at, true, out, sizeof out);
    CU_ASSERT_EQUAL(strncmp(out, "{\"time\":\"20", 11), 0);
    CU_ASSERT_EQUAL_FATAL(strlen(out), strlen("{\"time\":\"2026-01-01T00:00:00.123") + strlen(JSON));
    CU_ASSERT_STRING_EQUAL(out + strlen("{\"time\":\"2026-01-01T00:00:00.123"), JSON);
    place_close(&at);
}

const char *const unit_suite = "env_posix";
const struct unit_test unit_tests[] = {
    {"file_reads_what_was_written", test_env_file_reads_what_was_written},
    {"store_is_a_write", test_env_store_is_a_write},
    {"open_tells_what_is_wrong", test_env_open_tells_what_is_wrong},
    {"full_disk_is_told_apart", test_env_full_disk_is_told_apart},
    {"offsets_past_the_end_of_the_world", test_env_offsets_past_the_end_of_the_world},
    {"lock_names_its_holder", test_env_lock_names_its_holder},
    {"lock_ends_with_its_process", test_env_lock_ends_with_its_process},
    {"directories", test_env_directories},
    {"list_is_sorted_and_stops", test_env_list_is_sorted_and_stops},
    {"clocks_and_random", test_env_clocks_and_random},
    {"log_lines", test_env_log_lines},
    {NULL, NULL},
};

/* test_env.c - whole files and paths, over the real environment and over one that fails at the Nth call. */
#include "unit/cunit.h"

#include "base/env.h"
#include "base/mem.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void test_env_path_join(void)
{
    struct err err = ERR_INIT;
    char out[10];
    CU_ASSERT_EQUAL(path_join(out, sizeof out, "dir", "name", &err), QUARTET_OK);
    CU_ASSERT_STRING_EQUAL(out, "dir/name");
    CU_ASSERT_EQUAL(path_join(out, sizeof out, "dir/", "name", &err), QUARTET_OK);
    CU_ASSERT_STRING_EQUAL(out, "dir/name");
    CU_ASSERT_EQUAL(path_join(out, sizeof out, "/", "n", &err), QUARTET_OK);
    CU_ASSERT_STRING_EQUAL(out, "/n");
    CU_ASSERT_EQUAL(path_join(out, sizeof out, "dir", "names", &err), QUARTET_OK); /* nine bytes and the NUL */
    CU_ASSERT_EQUAL(path_join(out, sizeof out, "dir", "names6", &err), QUARTET_LIMIT);
}

/* The real environment, but the call number `fail_at` fails. After a crash point every later call fails too. */
struct faulty {
    const struct env_ops *real;
    unsigned calls;
    unsigned fail_at;
    bool crashed;
};

static struct faulty faulty;

static bool strikes(struct err *err)
{
    if (faulty.crashed || ++faulty.calls == faulty.fail_at) {
        faulty.crashed = true;
        err_set(err, QUARTET_IO, "struck at call %u", faulty.calls);
        return true;
    }
    return false;
}

static quartet_status faulty_open(struct env *env, const char *path, enum file_mode mode, struct file **out, struct err *err)
{
    return strikes(err) ? QUARTET_IO : faulty.real->open(env, path, mode, out, err);
}

static quartet_status faulty_pwrite(struct file *f, const void *p, size_t n, uint64_t offset, struct err *err)
{
    if (!strikes(err))
        return faulty.real->pwrite(f, p, n, offset, err);
    struct err ignored = ERR_INIT; /* half of it reaches the file */
    (void)faulty.real->pwrite(f, p, n / 2, offset, &ignored);
    return QUARTET_IO;
}

static quartet_status faulty_sync(struct file *f, struct err *err)
{
    return strikes(err) ? QUARTET_IO : faulty.real->sync(f, err);
}

static quartet_status faulty_rename(struct env *env, const char *from, const char *to, struct err *err)
{
    return strikes(err) ? QUARTET_IO : faulty.real->rename(env, from, to, err);
}

static quartet_status faulty_unlink(struct env *env, const char *path, struct err *err)
{
    return strikes(err) ? QUARTET_IO : faulty.real->unlink(env, path, err);
}

static quartet_status faulty_sync_dir(struct env *env, const char *path, struct err *err)
{
    return strikes(err) ? QUARTET_IO : faulty.real->sync_dir(env, path, err);
}

static void test_env_write_file_is_old_or_new_after_a_crash_anywhere(void)
{
    struct env *real = env_posix();
    struct env_ops ops = *real->ops;
    ops.open = faulty_open;
    ops.pwrite = faulty_pwrite;
    ops.sync = faulty_sync;
    ops.rename = faulty_rename;
    ops.unlink = faulty_unlink;
    ops.sync_dir = faulty_sync_dir;
    struct env env = *real;
    env.ops = &ops;
    faulty = (struct faulty){.real = real->ops};

    struct err err = ERR_INIT;
    char dir[] = "/tmp/quartet-test-XXXXXX";
    char path[PATH_MAX];
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    CU_ASSERT_EQUAL_FATAL(path_join(path, sizeof path, dir, "keys", &err), QUARTET_OK);
    CU_ASSERT_EQUAL(env_write_file(real, path, "the old text", 12, &err), QUARTET_OK);
    unsigned n = 0;
    quartet_status rc;
    do {
        faulty.calls = 0;
        faulty.fail_at = ++n;
        faulty.crashed = false;
        rc = env_write_file(&env, path, "the new and longer text", 23, &err);
        CU_ASSERT_EQUAL(rc, faulty.crashed ? QUARTET_IO : QUARTET_OK);
        if (rc != QUARTET_OK)
            CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "struck")); /* cleaning up does not hide the first error */
        uint8_t *data = NULL;
        size_t size = 0;
        CU_ASSERT_EQUAL(env_read_file(real, path, 100, &data, &size, &err), QUARTET_OK);
        CU_ASSERT_PTR_NOT_NULL_FATAL(data);
        bool is_old = size == 12 && memcmp(data, "the old text", 12) == 0;
        bool is_new = size == 23 && memcmp(data, "the new and longer text", 23) == 0;
        CU_ASSERT_TRUE(is_old || is_new);
        CU_ASSERT_TRUE(is_new || rc != QUARTET_OK);
        CU_ASSERT_EQUAL(data[size], 0);
        mem_free(data);
        CU_ASSERT_EQUAL(env_write_file(real, path, "the old text", 12, &err), QUARTET_OK);
    } while (rc != QUARTET_OK && n < 100);
    CU_ASSERT_EQUAL(n, 7); /* unlink, open, pwrite, sync, rename, sync_dir, and the one that succeeds */
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(rmdir(dir), 0); /* nothing else was left behind */
}

static void test_env_read_file_at_and_past_its_limit(void)
{
    struct env *env = env_posix();
    struct err err = ERR_INIT;
    char dir[] = "/tmp/quartet-test-XXXXXX";
    char path[PATH_MAX];
    uint8_t *data = NULL;
    size_t n = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    CU_ASSERT_EQUAL_FATAL(path_join(path, sizeof path, dir, "f", &err), QUARTET_OK);
    CU_ASSERT_EQUAL(env_read_file(env, path, 10, &data, &n, &err), QUARTET_NOTFOUND);
    CU_ASSERT_EQUAL(env_write_file(env, path, "0123456789", 10, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(env_read_file(env, path, 9, &data, &n, &err), QUARTET_LIMIT);
    CU_ASSERT_PTR_NULL(data);
    mem_fail_at(2, false); /* the first is the open file itself */
    CU_ASSERT_EQUAL(env_read_file(env, path, 10, &data, &n, &err), QUARTET_NOMEM);
    mem_fail_at(0, false);
    CU_ASSERT_EQUAL(env_read_file(env, path, 10, &data, &n, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(n, 10);
    mem_free(data);
    CU_ASSERT_EQUAL(env_write_file(env, path, NULL, 0, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(env_read_file(env, path, 0, &data, &n, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(n, 0);
    mem_free(data);
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static void test_env_write_file_in_the_working_directory(void)
{
    struct env *env = env_posix();
    struct err err = ERR_INIT;
    char dir[] = "/tmp/quartet-test-XXXXXX";
    char before[PATH_MAX];
    CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(before, sizeof before));
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    CU_ASSERT_EQUAL_FATAL(chdir(dir), 0);
    CU_ASSERT_EQUAL(env_write_file(env, "plain", "x", 1, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(unlink("plain"), 0);
    CU_ASSERT_EQUAL(chdir(before), 0);
    CU_ASSERT_EQUAL(rmdir(dir), 0);
    char path[PATH_MAX + 100];
    memset(path, 'a', sizeof path);
    path[PATH_MAX - 4] = '\0'; /* one past what leaves room for the suffix */
    CU_ASSERT_EQUAL(env_write_file(env, path, "x", 1, &err), QUARTET_LIMIT);
}

const char *const unit_suite = "env";
const struct unit_test unit_tests[] = {
    {"path_join", test_env_path_join},
    {"write_file_is_old_or_new_after_a_crash_anywhere", test_env_write_file_is_old_or_new_after_a_crash_anywhere},
    {"read_file_at_and_past_its_limit", test_env_read_file_at_and_past_its_limit},
    {"write_file_in_the_working_directory", test_env_write_file_in_the_working_directory},
    {NULL, NULL},
};

/* test_node_files.c - the files of a new cluster: what is made is on disk before admin.url says that all of it is there. */
#include "unit/cunit.h"

#include <stdio.h>
#include <string.h>

#include "engine/node.h"
#include "fault/fault_env.h"

#define DIRS_MAX 16

/* Directories that were made, and whether what holds them was synced since. */
static struct {
    const struct env_ops *real;
    char path[DIRS_MAX][64];
    bool synced[DIRS_MAX];
    int count;
    int unsynced_at_url; /* when admin.url got its name; -1: it did not */
} made;

static quartet_status noted_mkdir(struct env *env, const char *path, struct err *err)
{
    CU_ASSERT_FATAL(made.count < DIRS_MAX);
    (void)snprintf(made.path[made.count], sizeof made.path[0], "%s", path);
    made.synced[made.count++] = false;
    return made.real->mkdir(env, path, err);
}

static quartet_status noted_sync_dir(struct env *env, const char *path, struct err *err)
{
    quartet_status rc = made.real->sync_dir(env, path, err);
    for (int i = 0; i < made.count && rc == QUARTET_OK; i++) {
        size_t n = (size_t)(strrchr(made.path[i], '/') - made.path[i]);
        if (n == 0)
            n = 1; /* "/" */
        made.synced[i] = made.synced[i] || (strlen(path) == n && memcmp(path, made.path[i], n) == 0);
    }
    return rc;
}

static quartet_status noted_rename(struct env *env, const char *from, const char *to, struct err *err)
{
    if (strcmp(strrchr(to, '/') + 1, NODE_ADMIN_URL) == 0) {
        made.unsynced_at_url = 0;
        for (int i = 0; i < made.count; i++)
            if (!made.synced[i]) {
                printf("%s is not on disk\n", made.path[i]);
                made.unsynced_at_url++;
            }
    }
    return made.real->rename(env, from, to, err);
}

static void test_node_files_directories_are_synced(void)
{
    static const char *const addresses[] = {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"};
    struct fault_env f;
    struct err err = ERR_INIT;
    fault_env_init(&f, 1);
    struct env_ops ops = *f.env.ops;
    ops.mkdir = noted_mkdir;
    ops.sync_dir = noted_sync_dir;
    ops.rename = noted_rename;
    memset(&made, 0, sizeof made);
    made.real = f.env.ops;
    made.unsynced_at_url = -1;
    f.env.ops = &ops;
    CU_ASSERT_EQUAL(node_cluster_init(&f.env, "/c", 3, addresses, NULL, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(made.count, 7); /* the cluster's, and two for each node */
    CU_ASSERT_EQUAL(made.unsynced_at_url, 0);
    f.env.ops = made.real;
    fault_env_deinit(&f);
}

const char *const unit_suite = "node_files";
const struct unit_test unit_tests[] = {
    {"directories are synced", test_node_files_directories_are_synced},
    {NULL, NULL},
};

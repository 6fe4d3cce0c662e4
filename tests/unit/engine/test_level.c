/* test_level.c - the level of operations in use: on disk before it is used, remembered, and what is newer than this build left alone. */
#include "unit/cunit.h"

#include "base/level.h"
#include "unit/engine/cluster_help.h"

static struct fault_env made;

static quartet_status open_at(const char *path, db **out, struct err *err)
{
    struct db_options o = {.base_in_memory = true};
    *err = ERR_INIT;
    return db_open(&made.env, path, &o, out, err);
}

static void put_file(const char *text)
{
    struct err err = ERR_INIT;
    OK(env_write_file(&made.env, "d/level", text, strlen(text), &err));
}

static void test_level_is_remembered_and_newer_ones_are_refused(void)
{
    static const char *const damaged[] = {"", "quartet level \n", "quartet level 0\n", "quartet level 1", "quartet level 1x\n", "quartet level 251\n", "quartet level 9999\n", "quartet"};
    db *d = NULL;
    struct err err;
    fault_env_init(&made, 1);
    OK(open_at("d", &d, &err));
    CU_ASSERT_EQUAL(db_level(d), LEVEL_FIRST);
    CU_ASSERT(!made.env.ops->exists(&made.env, "d/level")); /* the first level needs no file */
    help_close(d);
    put_file("quartet level 1\n");
    OK(open_at("d", &d, &err));
    CU_ASSERT_EQUAL(db_level(d), 1);
    OK(db_raise_level(d, 1, &err));
    help_close(d);
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        put_file(damaged[i]);
        CU_ASSERT_EQUAL(open_at("d", &d, &err), QUARTET_CORRUPT);
    }
    put_file("quartet level 250\n");
    CU_ASSERT_EQUAL(open_at("d", &d, &err), QUARTET_CANTOPEN);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "d holds operations of level 250"));
    fault_env_deinit(&made);
}

/* A batch, rightly signed, whose first delta says that it is of a version that this build does not know: nothing of it is kept, and the node goes on as before. */
static void test_level_deltas_of_a_newer_version_wait_for_the_upgrade(void)
{
    struct cluster *c = cluster_new(2);
    struct err err = ERR_INIT;
    help_ddl(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    cluster_seal(c, 0);
    CU_ASSERT_FATAL(c->pool.count > 0);
    struct batch_header h;
    struct slice payload;
    uint8_t *bytes = c->pool.bytes[0];
    size_t n = c->pool.n[0];
    OK(batch_parse(slice_of(bytes, n), &h, &payload, &err));
    uint8_t *changed = malloc(n);
    memcpy(changed, bytes, n);
    uint8_t *version = changed + (payload.p - bytes) + 5; /* behind the delta's length and its array's head */
    CU_ASSERT_EQUAL_FATAL(*version, DELTA_VERSION);
    *version = DELTA_VERSION_NEXT;
    crypto_generichash(changed + 96, 32, changed + BATCH_SIGNED_BYTES, n - BATCH_SIGNED_BYTES, NULL, 0);
    CU_ASSERT_EQUAL(crypto_sign_detached(changed + 136, NULL, changed, 136, c->id[0].secret_key), 0);
    enum deliver_result result;
    uint64_t need;
    OK(db_deliver(c->d[1], slice_of(changed, n), c->public_key[0], &result, &need, &err));
    CU_ASSERT_EQUAL(result, LEVEL_MAX >= LEVEL_NEXT ? DELIVER_REFUSED : DELIVER_LATER);
    CU_ASSERT(db_lacks(c->d[1], h.chain, h.first));
    OK(db_deliver(c->d[1], slice_of(bytes, n), c->public_key[0], &result, &need, &err));
    CU_ASSERT_EQUAL(result, DELIVER_APPLIED);
    free(changed);
    cluster_free(c);
}

const char *const unit_suite = "level";
const struct unit_test unit_tests[] = {
    {"it is remembered, and newer ones are refused", test_level_is_remembered_and_newer_ones_are_refused},
    {"deltas of a newer version wait for the upgrade", test_level_deltas_of_a_newer_version_wait_for_the_upgrade},
    {NULL, NULL},
};

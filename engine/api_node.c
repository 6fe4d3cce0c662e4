/* api_node.c - a cluster node inside a service: quartet_cluster_init, quartet_node_start, quartet_node_stop. */
#include <sodium.h>
#include <string.h>

#include "api_internal.h"
#include "base/mem.h"
#include "base/spin.h"

#define TOKEN_SECONDS_MAX (30u * 24 * 3600)

struct quartet_node {
    quartet_db *db;
    node *n;
};

void quartet_log(int level, int json)
{
    env_posix_set_log(level < 0 ? 0 : level, json != 0);
}

int quartet_cluster_init(const char *dir, int nodes, const char *const *addresses, const char *const *http, char **errmsg)
{
    struct err err = ERR_INIT;
    quartet_status rc;
    if (errmsg != NULL)
        *errmsg = NULL;
    if (dir == NULL || addresses == NULL || nodes < 1)
        rc = err_set(&err, QUARTET_MISUSE, "quartet_cluster_init: a directory, the number of nodes (1 to 4) and their addresses are needed");
    else if (sodium_init() < 0)
        rc = err_set(&err, QUARTET_INTERNAL, "libsodium cannot be started");
    else
        rc = node_cluster_init(env_posix(), dir, (uint32_t)nodes, addresses, http, &err);
    if (rc != QUARTET_OK && errmsg != NULL)
        *errmsg = mem_strdup(err.text);
    return (int)rc;
}

int quartet_cluster_change(const char *dir, const struct quartet_cluster_change *change, int *slot, uint64_t *epoch, char **errmsg)
{
    struct err err = ERR_INIT;
    struct quartet_cluster_change full = {.size = sizeof full};
    quartet_status rc;
    int at = 0;
    uint64_t made = 0;
    if (errmsg != NULL)
        *errmsg = NULL;
    if (change != NULL)
        memcpy(&full, change, change->size < sizeof full ? change->size : sizeof full);
    if (dir == NULL || change == NULL)
        rc = err_set(&err, QUARTET_MISUSE, "quartet_cluster_change: the directory with root.key and what to change are needed");
    else if (sodium_init() < 0)
        rc = err_set(&err, QUARTET_INTERNAL, "libsodium cannot be started");
    else
        rc = node_cluster_change(env_posix(), dir, &full, &at, &made, &err);
    if (slot != NULL)
        *slot = at;
    if (epoch != NULL)
        *epoch = made;
    if (rc != QUARTET_OK && errmsg != NULL)
        *errmsg = mem_strdup(err.text);
    return (int)rc;
}

/* Both: what comes out of it, or the text of what went wrong. */
static int answer(quartet_status rc, const struct err *err, char **errmsg)
{
    if (rc != QUARTET_OK && errmsg != NULL)
        *errmsg = mem_strdup(err->text);
    return (int)rc;
}

int quartet_cluster_token(const char *dir, int sponsor, uint64_t seconds, char **token, int *slot, uint64_t *epoch, char **errmsg)
{
    struct err err = ERR_INIT;
    struct buf text = {0};
    int at = 0;
    uint64_t made = 0;
    quartet_status rc = QUARTET_OK;
    if (errmsg != NULL)
        *errmsg = NULL;
    if (dir == NULL || token == NULL || sponsor < -1 || sponsor > 3 || seconds == 0 || seconds > TOKEN_SECONDS_MAX)
        rc = err_set(&err, QUARTET_MISUSE, "quartet_cluster_token: the directory with root.key, a slot, and 1 to %u seconds are needed", TOKEN_SECONDS_MAX);
    else if (sodium_init() < 0)
        rc = err_set(&err, QUARTET_INTERNAL, "libsodium cannot be started");
    else
        rc = node_cluster_token(env_posix(), dir, sponsor, seconds, &text, &at, &made, &err);
    buf_u8(&text, 0);
    if (rc == QUARTET_OK)
        rc = buf_check(&text, &err);
    if (rc == QUARTET_OK && (*token = mem_strdup((const char *)text.data)) == NULL)
        rc = err_nomem(&err);
    if (slot != NULL)
        *slot = at;
    if (epoch != NULL)
        *epoch = made;
    if (text.data != NULL)
        sodium_memzero(text.data, text.len);
    buf_deinit(&text);
    return answer(rc, &err, errmsg);
}

int quartet_cluster_join(const char *token, const char *dir, const char *address, const char *http, int *slot, char **errmsg)
{
    struct err err = ERR_INIT;
    int at = 0;
    quartet_status rc = QUARTET_OK;
    if (errmsg != NULL)
        *errmsg = NULL;
    if (token == NULL || dir == NULL || address == NULL)
        rc = err_set(&err, QUARTET_MISUSE, "quartet_cluster_join: a token, a directory and the node's address are needed");
    else if (sodium_init() < 0)
        rc = err_set(&err, QUARTET_INTERNAL, "libsodium cannot be started");
    else
        rc = node_cluster_join(env_posix(), token, dir, address, http, &at, &err);
    if (slot != NULL)
        *slot = at;
    return answer(rc, &err, errmsg);
}

#define NODE_LOG_BYTES_MIN (UINT64_C(1) << 30) /* past it an empty node, or one put back to an old copy, needs a snapshot, which is as large as the base */

static quartet_status start(quartet_db *q, const struct quartet_node_config *config, struct quartet_node *out, struct err *err)
{
    const char *keys = config->keys;
    char path[NODE_PATH_BYTES_MAX];
    const char *dir = api_shared_path(q->shared);
    if (dir[0] == '\0')
        return err_set(err, QUARTET_MISUSE, "a database in memory cannot be a member: what it acknowledges must be on disk");
    if (api_shared_node(q->shared) != NULL)
        return err_set(err, QUARTET_MISUSE, "this database is served by a node already");
    quartet_status rc = keys == NULL ? path_join(path, sizeof path, dir, "keys", err) : QUARTET_OK;
    if (rc == QUARTET_OK)
        db_set_log_floor(conn_db(q->local), config->log_bytes_min > 0 ? config->log_bytes_min : NODE_LOG_BYTES_MIN);
    if (rc == QUARTET_OK)
        rc = db_set_retention(conn_db(q->local), config->log_bytes_max, config->log_archive, err);
    if (rc == QUARTET_OK)
        rc = node_start(conn_db(q->local), keys == NULL ? path : keys, config->backups,
                        config->poll_us == 0 ? SPIN_US_DEFAULT : config->poll_us < 0 ? 0 : (uint32_t)config->poll_us, &out->n, err);
    if (rc == QUARTET_OK && !api_shared_set_node(q->shared, out->n)) {
        node_stop(out->n);
        rc = err_set(err, QUARTET_MISUSE, "this database is served by a node already");
    }
    return rc;
}

int quartet_node_start(quartet_db *q, const struct quartet_node_config *config, quartet_node **out)
{
    struct err err = ERR_INIT;
    if (q == NULL || out == NULL)
        return QUARTET_MISUSE;
    *out = NULL;
    int checked = api_check(q);
    if (checked != QUARTET_OK)
        return checked;
    if (q->local == NULL)
        return api_misuse(q, "a node is started on an embedded database, not on a URL");
    /* A caller compiled with an older header gives a smaller struct: what it does not know stays at its default. */
    struct quartet_node_config full = {.size = sizeof full};
    if (config != NULL)
        memcpy(&full, config, config->size < sizeof full ? config->size : sizeof full);
    struct quartet_node *n = mem_zalloc(1, sizeof *n);
    if (n == NULL) {
        err_nomem(&err);
        return api_fail(q, &err, NULL, 0);
    }
    n->db = q;
    quartet_status rc = start(q, &full, n, &err);
    if (rc != QUARTET_OK) {
        mem_free(n);
        return api_fail(q, &err, NULL, 0);
    }
    *out = n;
    return QUARTET_OK;
}

int quartet_node_wants_reopen(quartet_node *n)
{
    return n != NULL && node_wants_reopen(n->n);
}

int quartet_node_stop(quartet_node *n)
{
    if (n == NULL)
        return QUARTET_OK;
    api_shared_set_node(n->db->shared, NULL);
    node_stop(n->n);
    mem_free(n);
    return QUARTET_OK;
}

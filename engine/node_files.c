/* node_files.c - keys and membership as files: made once for a whole cluster, read by each node at its start.
 * Keys lie in a folder of their own (keys/), so that what copies a database's data does not copy who it is. */
#include "node.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/url.h"

static quartet_status join(char *out, const char *dir, const char *name, struct err *err)
{
    return path_join(out, NODE_PATH_BYTES_MAX, dir, name, err);
}

static quartet_status write_new(struct env *env, const char *dir, const char *name, const struct buf *bytes, struct err *err)
{
    char path[NODE_PATH_BYTES_MAX];
    quartet_status rc = join(path, dir, name, err);
    if (rc == QUARTET_OK && env->ops->exists(env, path))
        rc = err_set(err, QUARTET_CANTOPEN, "%s exists already; choose another directory", path);
    if (rc == QUARTET_OK)
        rc = buf_check(bytes, err);
    return rc == QUARTET_OK ? env_write_file(env, path, bytes->data, bytes->len, err) : rc;
}

static quartet_status write_key(struct env *env, const char *dir, const char *name, const struct member_key *key, struct err *err)
{
    struct buf bytes = {0};
    quartet_status rc = member_key_encode(key, &bytes, err);
    if (rc == QUARTET_OK)
        rc = write_new(env, dir, name, &bytes, err);
    if (bytes.data != NULL)
        memset(bytes.data, 0, bytes.len);
    buf_deinit(&bytes);
    return rc;
}

quartet_status node_write_keys(struct env *env, const char *dir, const struct member_key *key, const struct buf *doc, struct err *err)
{
    char slot[8], node_dir[NODE_PATH_BYTES_MAX], keys_dir[NODE_PATH_BYTES_MAX];
    snprintf(slot, sizeof slot, "%u", (unsigned)key->slot);
    quartet_status rc = join(node_dir, dir, slot, err);
    if (rc == QUARTET_OK)
        rc = join(keys_dir, node_dir, "keys", err);
    if (rc == QUARTET_OK)
        rc = env->ops->mkdir(env, node_dir, err);
    if (rc == QUARTET_OK)
        rc = env->ops->mkdir(env, keys_dir, err);
    if (rc == QUARTET_OK) /* its own entry: the files' are synced as they are written, and node_dir's with those of dir */
        rc = env_sync_parent(env, keys_dir, err);
    if (rc == QUARTET_OK)
        rc = write_key(env, keys_dir, NODE_KEY_FILE, key, err);
    return rc == QUARTET_OK ? write_new(env, keys_dir, NODE_MEMBER_FILE, doc, err) : rc;
}

static quartet_status write_cluster(struct env *env, const char *dir, const struct member_doc *doc, const struct member_keys *keys, struct err *err)
{
    struct buf doc_bytes = {0}, url = {0};
    quartet_status rc = member_doc_encode(doc, keys->root.seed, &doc_bytes, err);
    if (rc == QUARTET_OK)
        rc = env->ops->mkdir(env, dir, err);
    if (rc == QUARTET_OK)
        rc = env_sync_parent(env, dir, err);
    if (rc == QUARTET_OK)
        rc = write_key(env, dir, NODE_ROOT_KEY, &keys->root, err);
    for (uint32_t k = 0; rc == QUARTET_OK && k < doc->node_count; k++)
        rc = node_write_keys(env, dir, &keys->nodes[k], &doc_bytes, err);
    if (rc == QUARTET_OK)
        rc = write_new(env, dir, NODE_MEMBER_FILE, &doc_bytes, err);
    if (rc == QUARTET_OK)
        rc = write_key(env, dir, "admin.key", &keys->clients[0], err);
    url_write(&url, doc, &keys->clients[0]);
    buf_str(&url, "\n");
    if (rc == QUARTET_OK) /* last: who finds it finds a whole cluster */
        rc = write_new(env, dir, NODE_ADMIN_URL, &url, err);
    if (url.data != NULL)
        memset(url.data, 0, url.len);
    buf_deinit(&url);
    buf_deinit(&doc_bytes);
    return rc;
}

quartet_status node_cluster_init(struct env *env, const char *dir, uint32_t nodes, const char *const *addresses, const char *const *http,
                                 struct err *err)
{
    static const char *const clients[] = {"admin"};
    if (nodes == 0 || nodes > SLOTS_MAX)
        return err_set(err, QUARTET_LIMIT, "a cluster has 1 to %u nodes, not %u", SLOTS_MAX, nodes);
    struct member_plan wanted = {.node_count = nodes, .client_count = 1, .client_names = clients};
    for (uint32_t k = 0; k < nodes; k++) {
        wanted.address[k] = addresses[k];
        wanted.http[k] = http != NULL && http[k] != NULL ? http[k] : "";
    }
    struct member_doc doc = {0};
    struct member_keys keys = {0};
    quartet_status rc = member_init(env, &wanted, &doc, &keys, err);
    if (rc == QUARTET_OK)
        rc = write_cluster(env, dir, &doc, &keys, err);
    member_keys_deinit(&keys);
    member_doc_deinit(&doc);
    return rc;
}

static quartet_status read_node_key(struct env *env, const char *path, struct member_key *out, struct err *err)
{
    uint8_t *bytes = NULL;
    size_t n = 0;
    quartet_status rc = member_key_check_rights(path, err);
    if (rc == QUARTET_OK)
        rc = env_read_file(env, path, MEMBER_KEY_FILE_BYTES_MAX, &bytes, &n, err);
    if (rc == QUARTET_OK)
        rc = member_key_decode(slice_of(bytes, n), out, err);
    if (rc == QUARTET_OK && out->kind != MEMBER_KEY_NODE)
        rc = err_set(err, QUARTET_AUTH, "this is not a node's key");
    if (bytes != NULL)
        memset(bytes, 0, n);
    mem_free(bytes);
    return rc;
}

bool node_has_next_key(struct env *env, const char *keys_dir, const struct member_doc *doc, uint8_t slot)
{
    char path[NODE_PATH_BYTES_MAX];
    uint8_t secret[64], public_key[32];
    struct member_key key = {0};
    struct err err = ERR_INIT;
    const struct member_node *named = member_find_slot(doc, slot);
    if (named == NULL || join(path, keys_dir, NODE_KEY_NEXT, &err) != QUARTET_OK || !env->ops->exists(env, path))
        return false;
    bool fits = false;
    if (read_node_key(env, path, &key, &err) == QUARTET_OK) {
        member_key_expand(&key, secret, public_key);
        fits = key.slot == slot && memcmp(public_key, named->public_key, sizeof public_key) == 0;
        memset(secret, 0, sizeof secret);
    } else {
        log_line(env, LOG_ERROR, "node", "%s cannot be used: %s", path, err.text);
    }
    member_key_wipe(&key);
    return fits;
}

/* The next key is the key from now on; the old one is gone. */
static quartet_status take_next_key(struct env *env, const char *keys_dir, struct member_key *key, struct err *err)
{
    char from[NODE_PATH_BYTES_MAX], to[NODE_PATH_BYTES_MAX];
    quartet_status rc = join(from, keys_dir, NODE_KEY_NEXT, err);
    if (rc == QUARTET_OK)
        rc = join(to, keys_dir, NODE_KEY_FILE, err);
    if (rc == QUARTET_OK)
        rc = read_node_key(env, from, key, err);
    if (rc == QUARTET_OK)
        rc = env->ops->rename(env, from, to, err);
    if (rc == QUARTET_OK)
        rc = env_sync_parent(env, to, err);
    if (rc == QUARTET_OK)
        log_line(env, LOG_INFO, "node", "slot %u has its new key from now on", (unsigned)key->slot);
    return rc;
}

quartet_status node_membership_keep(struct env *env, const char *keys_dir, struct slice doc_bytes, struct err *err)
{
    char path[NODE_PATH_BYTES_MAX];
    struct member_doc doc = {0};
    quartet_status rc = member_doc_decode(doc_bytes, NULL, &doc, err);
    bool admits = doc.admission_count > 0;
    member_doc_deinit(&doc);
    if (rc == QUARTET_OK && admits) /* first, so that it is never known of one who came and forgotten again */
        rc = join(path, keys_dir, NODE_ADMITTED_FILE, err);
    if (rc == QUARTET_OK && admits)
        rc = env_write_file(env, path, doc_bytes.p, doc_bytes.n, err);
    if (rc == QUARTET_OK)
        rc = join(path, keys_dir, NODE_MEMBER_FILE, err);
    return rc == QUARTET_OK ? env_write_file(env, path, doc_bytes.p, doc_bytes.n, err) : rc;
}

static quartet_status read_file(struct env *env, const char *dir, const char *name, struct buf *out, struct err *err)
{
    char path[NODE_PATH_BYTES_MAX];
    uint8_t *bytes = NULL;
    size_t n = 0;
    quartet_status rc = join(path, dir, name, err);
    if (rc == QUARTET_OK)
        rc = env_read_file(env, path, MEMBER_DOC_BYTES_MAX, &bytes, &n, err);
    if (rc == QUARTET_OK) {
        buf_put(out, bytes, n);
        rc = buf_check(out, err);
    }
    mem_free(bytes);
    return rc;
}

/* keys/member.qm, with what this node knows of who was admitted by a token. Where an operator's document forgets one of those, what was known before holds. */
static quartet_status read_membership(struct env *env, const char *keys_dir, const struct cluster_id *cluster, struct buf *out, struct err *err)
{
    char path[NODE_PATH_BYTES_MAX];
    struct buf given = {0}, admitted = {0};
    struct member_doc checked = {0};
    quartet_status rc = read_file(env, keys_dir, NODE_MEMBER_FILE, &given, err);
    if (rc == QUARTET_OK)
        rc = member_doc_decode(slice_of(given.data, given.len), cluster, &checked, err);
    member_doc_deinit(&checked);
    if (rc == QUARTET_OK)
        rc = join(path, keys_dir, NODE_ADMITTED_FILE, err);
    bool is = rc == QUARTET_OK && env->ops->exists(env, path);
    if (is)
        rc = read_file(env, keys_dir, NODE_ADMITTED_FILE, &admitted, err);
    if (rc == QUARTET_OK && is) {
        rc = member_doc_merge(slice_of(admitted.data, admitted.len), slice_of(given.data, given.len), cluster, out, err);
        if (rc == QUARTET_MISUSE || rc == QUARTET_AUTH) {
            log_line(env, LOG_ERROR, "node", "%s/" NODE_MEMBER_FILE " is not taken: %s", keys_dir, err->text);
            err_clear(err);
            buf_clear(out);
            buf_put(out, admitted.data, admitted.len);
            rc = buf_check(out, err);
        }
    } else if (rc == QUARTET_OK) {
        buf_put(out, given.data, given.len);
        rc = buf_check(out, err);
    }
    buf_deinit(&given);
    buf_deinit(&admitted);
    return rc;
}

quartet_status node_identity_read(struct env *env, const char *keys_dir, struct node_identity *out, struct err *err)
{
    char path[NODE_PATH_BYTES_MAX];
    *out = (struct node_identity){.doc_bytes = {0}};
    quartet_status rc = join(path, keys_dir, NODE_KEY_FILE, err);
    if (rc == QUARTET_OK)
        rc = read_node_key(env, path, &out->key, err);
    if (rc == QUARTET_OK)
        rc = join(path, keys_dir, NODE_MEMBER_FILE, err);
    if (rc == QUARTET_OK)
        rc = read_membership(env, keys_dir, &out->key.cluster, &out->doc_bytes, err);
    if (rc == QUARTET_OK)
        rc = member_doc_decode(slice_of(out->doc_bytes.data, out->doc_bytes.len), &out->key.cluster, &out->doc, err);
    if (rc == QUARTET_OK && node_has_next_key(env, keys_dir, &out->doc, out->key.slot))
        rc = take_next_key(env, keys_dir, &out->key, err);
    if (rc != QUARTET_OK) {
        err_prefix(err, path);
        node_identity_deinit(out);
    }
    return rc;
}

void node_identity_deinit(struct node_identity *id)
{
    member_key_wipe(&id->key);
    member_doc_deinit(&id->doc);
    buf_deinit(&id->doc_bytes);
}

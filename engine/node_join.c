/* node_join.c - a node's directory made by a token (net/member_join.c). The other end, the sponsor's, is in node.c.
 * The new node's key is on disk before the token is shown: where the answer is lost on its way, the same directory asks again and is answered again; any other directory is refused. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "net/join.h"
#include "node.h"

#define ANSWER_MS 5000u

struct joining {
    struct env *env;
    struct member_token token;
    struct member_key key;
    uint8_t public_key[MEMBER_KEY_BYTES];
    char keys_dir[NODE_PATH_BYTES_MAX], joining[NODE_PATH_BYTES_MAX], node_key[NODE_PATH_BYTES_MAX];
};

static quartet_status write_key(struct joining *j, const char *path, struct err *err)
{
    struct buf bytes = {0};
    quartet_status rc = member_key_encode(&j->key, &bytes, err);
    if (rc == QUARTET_OK)
        rc = env_write_file(j->env, path, bytes.data, bytes.len, err);
    if (bytes.data != NULL)
        memset(bytes.data, 0, bytes.len);
    buf_deinit(&bytes);
    return rc;
}

static quartet_status read_key(struct joining *j, struct err *err)
{
    uint8_t *bytes = NULL;
    size_t n = 0;
    quartet_status rc = member_key_check_rights(j->joining, err);
    if (rc == QUARTET_OK)
        rc = env_read_file(j->env, j->joining, MEMBER_KEY_FILE_BYTES_MAX, &bytes, &n, err);
    if (rc == QUARTET_OK)
        rc = member_key_decode(slice_of(bytes, n), &j->key, err);
    if (rc == QUARTET_OK && (j->key.slot != j->token.slot || memcmp(j->key.cluster.b, j->token.cluster.b, sizeof j->key.cluster.b) != 0))
        rc = err_set(err, QUARTET_AUTH, "%s was made for another token: choose another directory", j->joining);
    if (bytes != NULL)
        memset(bytes, 0, n);
    mem_free(bytes);
    return rc;
}

/* The directory, and a key in it that nobody knows yet; that of the last try where there was one. */
static quartet_status make_key(struct joining *j, const char *dir, struct err *err)
{
    uint8_t secret[64];
    const struct env_ops *ops = j->env->ops;
    quartet_status rc = path_join(j->keys_dir, sizeof j->keys_dir, dir, "keys", err);
    if (rc == QUARTET_OK)
        rc = path_join(j->joining, sizeof j->joining, j->keys_dir, NODE_KEY_JOINING, err);
    if (rc == QUARTET_OK)
        rc = path_join(j->node_key, sizeof j->node_key, j->keys_dir, NODE_KEY_FILE, err);
    if (rc == QUARTET_OK && ops->exists(j->env, j->node_key))
        rc = err_set(err, QUARTET_CANTOPEN, "%s exists already: a node's directory is made once; choose another", j->node_key);
    if (rc == QUARTET_OK && ops->exists(j->env, j->joining)) {
        rc = read_key(j, err);
    } else if (rc == QUARTET_OK) {
        j->key = (struct member_key){.kind = MEMBER_KEY_NODE, .slot = j->token.slot, .cluster = j->token.cluster};
        rc = ops->random(j->env, j->key.seed, sizeof j->key.seed, err);
        if (rc == QUARTET_OK)
            rc = ops->mkdir(j->env, dir, err);
        if (rc == QUARTET_OK)
            rc = ops->mkdir(j->env, j->keys_dir, err);
        if (rc == QUARTET_OK)
            rc = env_sync_parent(j->env, dir, err);
        if (rc == QUARTET_OK)
            rc = env_sync_parent(j->env, j->keys_dir, err);
        if (rc == QUARTET_OK)
            rc = write_key(j, j->joining, err);
    }
    if (rc == QUARTET_OK)
        member_key_expand(&j->key, secret, j->public_key);
    memset(secret, 0, sizeof secret);
    return rc;
}

quartet_status node_cluster_join(struct env *env, const char *token, const char *dir, const char *address, const char *http, int *slot, struct err *err)
{
    struct joining j = {.env = env};
    struct member_admission request;
    struct buf doc = {0};
    quartet_status rc = member_token_parse(token, &j.token, err);
    if (rc == QUARTET_OK && env->ops->wall_us(env) / 1000u > j.token.expires_ms)
        rc = err_set(err, QUARTET_AUTH, "the token has expired: ask for another one (`quartetd token`)");
    if (rc == QUARTET_OK)
        rc = make_key(&j, dir, err);
    if (rc == QUARTET_OK)
        rc = member_ask_admission(&j.token, j.public_key, address, http, &request, err);
    if (rc == QUARTET_OK)
        rc = join_ask(env, &j.token, &request, ANSWER_MS, &doc, j.key.gate, err);
    if (rc == QUARTET_NET) {
        char why[ERR_TEXT_BYTES_MAX];
        snprintf(why, sizeof why, "%.300s", err->text);
        (void)err_set(err, rc, "%s. Does node %u run, was it given the member.qm that was made with the token, and is it still to be used? To who does not know the token nobody says a word", why,
                      (unsigned)j.token.sponsor);
    }
    if (rc == QUARTET_OK)
        rc = node_membership_keep(env, j.keys_dir, slice_of(doc.data, doc.len), err);
    if (rc == QUARTET_OK) /* last: who finds it finds a whole node */
        rc = write_key(&j, j.node_key, err);
    if (rc == QUARTET_OK)
        rc = env->ops->unlink(env, j.joining, err);
    *slot = j.token.slot;
    member_key_wipe(&j.key);
    memset(&j.token, 0, sizeof j.token);
    buf_deinit(&doc);
    return rc;
}

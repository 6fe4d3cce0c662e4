/* node_members.c - changing who belongs to a cluster: a new membership document, signed with the root key, in the directory that `quartetd init` made. Nothing here talks to a
 * node: the document is given to any running one, and they pass it on (net/server_peer.c). */
#include "node.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "include/quartet.h"
#include "net/url.h"

struct change { /* all that the directory holds */
    struct env *env;
    const char *dir;
    struct member_key root, admin;
    struct member_doc doc;
    struct buf bytes; /* as it was found, with the nodes that joined by tokens */
};

static quartet_status read_key(struct env *env, const char *dir, const char *name, enum member_key_kind kind, struct member_key *out, struct err *err)
{
    char path[NODE_PATH_BYTES_MAX];
    uint8_t *bytes = NULL;
    size_t n = 0;
    quartet_status rc = path_join(path, sizeof path, dir, name, err);
    if (rc == QUARTET_OK)
        rc = member_key_check_rights(path, err);
    if (rc == QUARTET_OK)
        rc = env_read_file(env, path, MEMBER_KEY_FILE_BYTES_MAX, &bytes, &n, err);
    if (rc == QUARTET_OK)
        rc = member_key_decode(slice_of(bytes, n), out, err);
    if (rc == QUARTET_OK && out->kind != kind)
        rc = err_set(err, QUARTET_AUTH, "%s is not the kind of key that its name says", path);
    if (bytes != NULL)
        memset(bytes, 0, n);
    mem_free(bytes);
    return rc;
}

/* Adds what the document of that file knows. A file that is not there is none. */
static quartet_status take_newer(struct change *c, const char *path, struct err *err)
{
    uint8_t *bytes = NULL;
    size_t n = 0;
    struct member_doc doc = {0};
    struct buf merged = {0};
    if (!c->env->ops->exists(c->env, path))
        return QUARTET_OK;
    quartet_status rc = env_read_file(c->env, path, MEMBER_DOC_BYTES_MAX, &bytes, &n, err);
    if (rc == QUARTET_OK && c->bytes.len == 0)
        buf_put(&merged, bytes, n);
    else if (rc == QUARTET_OK)
        rc = member_doc_merge(slice_of(c->bytes.data, c->bytes.len), slice_of(bytes, n), &c->root.cluster, &merged, err);
    if (rc == QUARTET_OK)
        rc = buf_check(&merged, err);
    if (rc == QUARTET_OK)
        rc = member_doc_decode(slice_of(merged.data, merged.len), &c->root.cluster, &doc, err);
    if (rc == QUARTET_OK) {
        struct member_doc old = c->doc;
        struct buf old_bytes = c->bytes;
        c->doc = doc;
        c->bytes = merged;
        doc = old;
        merged = old_bytes;
    } else {
        err_prefix(err, path);
    }
    member_doc_deinit(&doc);
    buf_deinit(&merged);
    mem_free(bytes);
    return rc;
}

static bool is_root(const struct member_key *k, const struct member_doc *doc)
{
    uint8_t secret[64], public_key[MEMBER_KEY_BYTES];
    member_key_expand(k, secret, public_key);
    memset(secret, 0, sizeof secret);
    return memcmp(public_key, member_root_key(doc), sizeof public_key) == 0;
}

/* A change of the root key that did not come to its end: the document is there, signed by the next key. */
static quartet_status take_next_root(struct change *c, struct err *err)
{
    char from[NODE_PATH_BYTES_MAX], to[NODE_PATH_BYTES_MAX];
    struct member_key next = {0};
    if (is_root(&c->root, &c->doc))
        return QUARTET_OK;
    quartet_status rc = path_join(from, sizeof from, c->dir, NODE_ROOT_KEY_NEXT, err);
    if (rc == QUARTET_OK)
        rc = path_join(to, sizeof to, c->dir, NODE_ROOT_KEY, err);
    if (rc == QUARTET_OK && !c->env->ops->exists(c->env, from))
        return err_set(err, QUARTET_AUTH, "%s is not the key that signs this cluster's membership now: it was replaced by another one", to);
    if (rc == QUARTET_OK)
        rc = read_key(c->env, c->dir, NODE_ROOT_KEY_NEXT, MEMBER_KEY_ROOT, &next, err);
    if (rc == QUARTET_OK && !is_root(&next, &c->doc))
        rc = err_set(err, QUARTET_AUTH, "neither %s nor %s is the key that signs this cluster's membership now", to, from);
    if (rc == QUARTET_OK)
        rc = c->env->ops->rename(c->env, from, to, err);
    if (rc == QUARTET_OK)
        rc = env_sync_parent(c->env, to, err);
    if (rc == QUARTET_OK)
        c->root = next;
    member_key_wipe(&next);
    return rc;
}

/* The newest document: that of the directory itself, or of a node's directory in it. */
static quartet_status read_all(struct change *c, struct err *err)
{
    char path[NODE_PATH_BYTES_MAX], name[32];
    quartet_status rc = read_key(c->env, c->dir, NODE_ROOT_KEY, MEMBER_KEY_ROOT, &c->root, err);
    if (rc == QUARTET_OK)
        rc = read_key(c->env, c->dir, "admin.key", MEMBER_KEY_CLIENT, &c->admin, err);
    if (rc == QUARTET_OK)
        rc = path_join(path, sizeof path, c->dir, NODE_MEMBER_FILE, err);
    if (rc == QUARTET_OK)
        rc = take_newer(c, path, err);
    for (int slot = 0; rc == QUARTET_OK && slot < (int)SLOTS_MAX; slot++) {
        snprintf(name, sizeof name, "%d/keys/" NODE_MEMBER_FILE, slot);
        rc = path_join(path, sizeof path, c->dir, name, err);
        if (rc == QUARTET_OK)
            rc = take_newer(c, path, err);
    }
    if (rc == QUARTET_OK && c->doc.epoch == 0)
        rc = err_set(err, QUARTET_NOTFOUND, "%s holds no " NODE_MEMBER_FILE ": copy it there from any node's keys", c->dir);
    return rc == QUARTET_OK ? take_next_root(c, err) : rc;
}

static void change_end(struct change *c)
{
    member_key_wipe(&c->root);
    member_key_wipe(&c->admin);
    member_doc_deinit(&c->doc);
    buf_deinit(&c->bytes);
}

static struct member_node *node_of(struct member_doc *doc, int slot)
{
    for (uint32_t i = 0; i < doc->node_count; i++)
        if (doc->nodes[i].slot == slot)
            return &doc->nodes[i];
    return NULL;
}

static quartet_status write_text(struct change *c, const char *name, const char *end, const struct buf *bytes, struct err *err)
{
    char path[NODE_PATH_BYTES_MAX], file[MEMBER_NAME_BYTES_MAX + 8];
    snprintf(file, sizeof file, "%s%s", name, end);
    quartet_status rc = buf_check(bytes, err);
    if (rc == QUARTET_OK)
        rc = path_join(path, sizeof path, c->dir, file, err);
    return rc == QUARTET_OK ? env_write_file(c->env, path, bytes->data, bytes->len, err) : rc;
}

static quartet_status write_client(struct change *c, const struct member_key *key, struct err *err)
{
    struct buf bytes = {0}, url = {0};
    quartet_status rc = member_key_encode(key, &bytes, err);
    if (rc == QUARTET_OK)
        rc = write_text(c, key->name, ".key", &bytes, err);
    url_write(&url, &c->doc, key);
    buf_str(&url, "\n");
    if (rc == QUARTET_OK)
        rc = write_text(c, key->name, ".url", &url, err);
    if (bytes.data != NULL)
        memset(bytes.data, 0, bytes.len);
    if (url.data != NULL)
        memset(url.data, 0, url.len);
    buf_deinit(&bytes);
    buf_deinit(&url);
    return rc;
}

/* A node's new key: for keys/node.key.next of its directory, wherever that is. */
static quartet_status write_renewed(struct change *c, const struct member_key *key, struct err *err)
{
    char name[32];
    struct buf bytes = {0};
    snprintf(name, sizeof name, "node-%u", (unsigned)key->slot);
    quartet_status rc = member_key_encode(key, &bytes, err);
    if (rc == QUARTET_OK)
        rc = write_text(c, name, ".key", &bytes, err);
    if (bytes.data != NULL)
        memset(bytes.data, 0, bytes.len);
    buf_deinit(&bytes);
    return rc;
}

static quartet_status write_root(struct change *c, const struct member_key *key, struct err *err)
{
    struct buf bytes = {0};
    quartet_status rc = member_key_encode(key, &bytes, err);
    if (rc == QUARTET_OK)
        rc = write_text(c, NODE_ROOT_KEY_NEXT, "", &bytes, err);
    if (bytes.data != NULL)
        memset(bytes.data, 0, bytes.len);
    buf_deinit(&bytes);
    return rc;
}

/* First what the new one needs, last the document: who finds it finds all of it. */
static quartet_status write_all(struct change *c, const struct member_key *made, bool renewed, struct err *err)
{
    struct buf doc = {0};
    c->doc.epoch++;
    quartet_status rc = member_doc_encode(&c->doc, made->kind == MEMBER_KEY_ROOT ? made->seed : c->root.seed, &doc, err);
    if (rc == QUARTET_OK && made->kind == MEMBER_KEY_ROOT) /* it signs this document; the one before goes when that is there */
        rc = write_root(c, made, err);
    else if (rc == QUARTET_OK && made->kind == MEMBER_KEY_NODE && renewed)
        rc = write_renewed(c, made, err);
    else if (rc == QUARTET_OK && made->kind == MEMBER_KEY_NODE)
        rc = node_write_keys(c->env, c->dir, made, &doc, err);
    if (rc == QUARTET_OK && made->kind == MEMBER_KEY_CLIENT)
        rc = write_client(c, made, err);
    if (rc == QUARTET_OK)
        rc = write_client(c, &c->admin, err); /* its URL names the nodes */
    if (rc == QUARTET_OK)
        rc = write_text(c, NODE_MEMBER_FILE, "", &doc, err);
    buf_deinit(&doc);
    return rc == QUARTET_OK && made->kind == MEMBER_KEY_ROOT ? take_next_root(c, err) : rc;
}

static quartet_status set_flag(struct member_node *n, uint32_t flag, const char *to, struct err *err)
{
    if (to == NULL || (strcmp(to, "on") != 0 && strcmp(to, "off") != 0))
        return err_set(err, QUARTET_MISUSE, "it is on or off, not %s", to != NULL ? to : "nothing");
    n->flags = strcmp(to, "on") == 0 ? n->flags | flag : n->flags & ~flag;
    return QUARTET_OK;
}

quartet_status node_cluster_change(struct env *env, const char *dir, const struct quartet_cluster_change *what, int *slot, uint64_t *epoch, struct err *err)
{
    struct change c = {.env = env, .dir = dir};
    struct member_key made = {0};
    struct member_node *n = NULL;
    quartet_status rc = read_all(&c, err);
    *slot = what->slot;
    if (rc == QUARTET_OK && what->what != QUARTET_ADD_NODE && what->what != QUARTET_ADD_CLIENT && what->what != QUARTET_REMOVE_CLIENT && what->what != QUARTET_NEW_ROOT_KEY && (n = node_of(&c.doc, what->slot)) == NULL)
        rc = err_set(err, QUARTET_NOTFOUND, "there is no node %d", what->slot);
    if (rc == QUARTET_OK)
        switch (what->what) {
        case QUARTET_ADD_NODE:
            rc = member_add_node(env, &c.doc, c.admin.gate, what->address, what->http, &made, err);
            *slot = made.slot;
            break;
        case QUARTET_NEW_ROOT_KEY:
            rc = member_new_root(env, &c.doc, &c.root, &made, err);
            break;
        case QUARTET_EVICT_NODE:
            rc = member_evict(&c.doc, n->slot, c.doc.epoch + 1, err);
            break;
        case QUARTET_SET_DRAINED:
        case QUARTET_SET_STANDBY:
            rc = set_flag(n, what->what == QUARTET_SET_DRAINED ? MEMBER_DRAINED : MEMBER_STANDBY, what->name, err);
            break;
        case QUARTET_NEW_NODE_KEY:
            rc = member_new_key(env, &c.doc, c.admin.gate, n->slot, c.doc.epoch + 1, &made, err);
            break;
        case QUARTET_SET_ADDRESS:
            rc = member_set_address(n, what->address, what->http, err);
            break;
        case QUARTET_SET_ZONE:
            rc = member_set_zone(n, what->name != NULL ? what->name : "", err);
            break;
        case QUARTET_ADD_CLIENT:
            rc = member_add_client(env, &c.doc, c.admin.gate, what->name != NULL ? what->name : "", &made, err);
            break;
        case QUARTET_REMOVE_CLIENT:
            if (what->name != NULL && strcmp(what->name, c.admin.name) == 0)
                rc = err_set(err, QUARTET_MISUSE, "%s holds the cluster's gate secret for later changes, and stays", what->name);
            else if (what->name == NULL || !member_remove_client(&c.doc, what->name))
                rc = err_set(err, QUARTET_NOTFOUND, "there is no client %s", what->name != NULL ? what->name : "without a name");
            break;
        default:
            rc = err_set(err, QUARTET_MISUSE, "no such change of a cluster: %d", what->what);
        }
    if (rc == QUARTET_OK)
        rc = write_all(&c, &made, what->what == QUARTET_NEW_NODE_KEY, err);
    *epoch = c.doc.epoch;
    member_key_wipe(&made);
    change_end(&c);
    return rc;
}

quartet_status node_cluster_token(struct env *env, const char *dir, int sponsor, uint64_t seconds, struct buf *token, int *slot, uint64_t *epoch, struct err *err)
{
    struct change c = {.env = env, .dir = dir};
    struct member_token t = {.slot = 0};
    struct member_key none = {0};
    quartet_status rc = read_all(&c, err);
    int by = sponsor < 0 && rc == QUARTET_OK ? c.doc.nodes[0].slot : sponsor;
    if (rc == QUARTET_OK)
        rc = member_invite(env, &c.doc, (uint8_t)by, env->ops->wall_us(env) / 1000u + seconds * 1000u, &t, err);
    if (rc == QUARTET_OK)
        rc = write_all(&c, &none, false, err);
    if (rc == QUARTET_OK) /* after that: a token that nobody knows of is of no use */
        rc = member_token_write(&t, token, err);
    *slot = t.slot;
    *epoch = c.doc.epoch;
    memset(&t, 0, sizeof t);
    change_end(&c);
    return rc;
}

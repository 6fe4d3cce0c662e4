/* member.c - the membership document: encoding, decoding with bounds, signature, and making a new
 * cluster.
 *
 * Why the cluster's id is a hash of root key and salt: a client that knows the id (32 bytes in a
 * URL) can check any document without knowing the root key, and two clusters with one root key are
 * still two. The document holds no secret. */
#include "member_internal.h"

#include <sodium.h>
#include <string.h>

#include "base/mem.h"

#define DOC_VERSION      3u
#define SIGNATURE_BYTES  64u
#define ADMISSIONS_BYTES (4u << 10) /* room for those that follow the root's part */
#define NODE_BYTES_MIN   (1u + MEMBER_KEY_BYTES + 4u + 3u)
#define CLIENT_BYTES_MIN (1u + MEMBER_KEY_BYTES + 4u)
#define FORMER_BYTES     (1u + MEMBER_KEY_BYTES + 8u)
static const uint8_t doc_magic[4] = {'Q', 'R', 'T', 'M'};

void member_doc_deinit(struct member_doc *d)
{
    mem_free(d->clients);
    d->clients = NULL;
    d->client_count = 0;
}

quartet_status member_doc_copy(struct member_doc *to, const struct member_doc *from,
                               struct err *err)
{
    struct member_doc copy = *from;
    copy.clients = mem_dup(from->clients, from->client_count * sizeof *from->clients);
    if (copy.clients == NULL)
        return err_nomem(err);
    *to = copy;
    return QUARTET_OK;
}

const struct member_node *member_find_slot(const struct member_doc *d, uint8_t slot)
{
    for (uint32_t i = 0; i < d->node_count; i++)
        if (d->nodes[i].slot == slot)
            return &d->nodes[i];
    return NULL;
}

const struct member_node *member_find_node(const struct member_doc *d, const uint8_t *public_key)
{
    for (uint32_t i = 0; i < d->node_count; i++)
        if (memcmp(d->nodes[i].public_key, public_key, MEMBER_KEY_BYTES) == 0)
            return &d->nodes[i];
    return NULL;
}

const struct member_former *member_find_former(const struct member_doc *d, const uint8_t *public_key)
{
    for (uint32_t i = 0; i < d->former_count; i++)
        if (memcmp(d->former[i].public_key, public_key, MEMBER_KEY_BYTES) == 0)
            return &d->former[i];
    return NULL;
}

bool member_has_key(const struct member_doc *d, const uint8_t *public_key)
{
    return member_find_node(d, public_key) != NULL || member_find_former(d, public_key) != NULL;
}

const struct member_client *member_find_client(const struct member_doc *d,
                                               const uint8_t *public_key)
{
    for (uint32_t i = 0; i < d->client_count; i++)
        if (memcmp(d->clients[i].public_key, public_key, MEMBER_KEY_BYTES) == 0)
            return &d->clients[i];
    return NULL;
}

static void cluster_id_of(const uint8_t *root_key, const uint8_t *salt, struct cluster_id *out)
{
    static const char label[] = "quartet cluster";
    crypto_generichash_state s;
    (void)crypto_generichash_init(&s, NULL, 0, sizeof out->b);
    (void)crypto_generichash_update(&s, (const uint8_t *)label, sizeof label);
    (void)crypto_generichash_update(&s, root_key, MEMBER_KEY_BYTES);
    (void)crypto_generichash_update(&s, salt, 32);
    (void)crypto_generichash_final(&s, out->b, sizeof out->b);
}

static void signed_hash(struct slice body, uint8_t *out)
{
    static const char label[] = "quartet membership 1";
    crypto_generichash_state s;
    (void)crypto_generichash_init(&s, NULL, 0, 32);
    (void)crypto_generichash_update(&s, (const uint8_t *)label, sizeof label);
    (void)crypto_generichash_update(&s, body.p, body.n);
    (void)crypto_generichash_final(&s, out, 32);
}

/* Printable ASCII without blanks: an address, which is also printed. */
bool member_address_ok(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] <= ' ' || s[i] > '~')
            return false;
    return true;
}

static bool name_ok(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)s[i] < ' ' || s[i] == 0x7f)
            return false;
    return utf8_valid((const uint8_t *)s, n);
}

void member_put_text(struct buf *out, const char *s)
{
    buf_varint(out, strlen(s));
    buf_str(out, s);
}

void member_get_text(struct bytes_in *in, char *out, size_t out_bytes,
                     bool (*ok)(const char *s, size_t n))
{
    struct slice s = bytes_slice(in);
    if (in->bad || s.n >= out_bytes || !ok((const char *)s.p, s.n)) {
        in->bad = true;
        s = slice_of("", 0);
    }
    memcpy(out, s.p, s.n);
    memset(out + s.n, 0, out_bytes - s.n);
}

quartet_status member_doc_encode(const struct member_doc *d, const uint8_t *root_seed,
                                 struct buf *out, struct err *err)
{
    QASSERT(d->node_count >= 1 && d->node_count <= SLOTS_MAX &&
            d->client_count <= MEMBER_CLIENTS_MAX && d->former_count <= MEMBER_FORMER_MAX);
    size_t start = out->len;
    buf_put(out, doc_magic, sizeof doc_magic);
    buf_u8(out, DOC_VERSION);
    buf_u64(out, d->epoch);
    buf_put(out, d->cluster.b, sizeof d->cluster.b);
    buf_put(out, d->root_key, sizeof d->root_key);
    buf_put(out, d->salt, sizeof d->salt);
    member_put_roots(out, d);
    buf_varint(out, d->node_count);
    for (uint32_t i = 0; i < d->node_count; i++) {
        const struct member_node *n = &d->nodes[i];
        buf_u8(out, n->slot);
        buf_put(out, n->public_key, sizeof n->public_key);
        buf_u32(out, n->flags);
        member_put_text(out, n->address);
        member_put_text(out, n->http);
        member_put_text(out, n->zone);
    }
    buf_varint(out, d->client_count);
    for (uint32_t i = 0; i < d->client_count; i++) {
        member_put_text(out, d->clients[i].name);
        buf_put(out, d->clients[i].public_key, MEMBER_KEY_BYTES);
        buf_u32(out, d->clients[i].flags);
    }
    buf_varint(out, d->former_count);
    for (uint32_t i = 0; i < d->former_count; i++) {
        buf_u8(out, d->former[i].slot);
        buf_put(out, d->former[i].public_key, MEMBER_KEY_BYTES);
        buf_u64(out, d->former[i].epoch);
    }
    member_put_invites(out, d);
    quartet_status rc = buf_check(out, err);
    if (rc != QUARTET_OK)
        return rc;
    if (out->len - start + SIGNATURE_BYTES > MEMBER_DOC_BYTES_MAX - ADMISSIONS_BYTES)
        return err_set(err, QUARTET_LIMIT, "membership document of more than %u bytes",
                       MEMBER_DOC_BYTES_MAX - ADMISSIONS_BYTES);
    uint8_t hash[32], secret[64], root[32], signature[SIGNATURE_BYTES];
    signed_hash(slice_of(out->data + start, out->len - start), hash);
    (void)crypto_sign_seed_keypair(root, secret, root_seed);
    bool ours = memcmp(root, member_root_key(d), sizeof root) == 0;
    (void)crypto_sign_detached(signature, NULL, hash, sizeof hash, secret);
    sodium_memzero(secret, sizeof secret);
    if (!ours)
        return err_set(err, QUARTET_AUTH, "the root key is not the one of this cluster");
    buf_put(out, signature, sizeof signature);
    buf_varint(out, 0); /* admissions */
    return buf_check(out, err);
}

static void get_nodes(struct bytes_in *in, struct member_doc *d)
{
    d->node_count = bytes_count(in, NODE_BYTES_MIN);
    if (d->node_count < 1 || d->node_count > SLOTS_MAX) {
        in->bad = true;
        d->node_count = 0;
    }
    for (uint32_t i = 0; i < d->node_count && !in->bad; i++) {
        struct member_node *n = &d->nodes[i];
        n->slot = bytes_u8(in);
        const uint8_t *key = bytes_take(in, MEMBER_KEY_BYTES);
        if (key != NULL)
            memcpy(n->public_key, key, MEMBER_KEY_BYTES);
        n->flags = bytes_u32(in);
        member_get_text(in, n->address, sizeof n->address, member_address_ok);
        member_get_text(in, n->http, sizeof n->http, member_address_ok);
        member_get_text(in, n->zone, sizeof n->zone, name_ok);
        if (n->slot >= SLOTS_MAX || (i > 0 && n->slot <= d->nodes[i - 1].slot) ||
            n->address[0] == '\0')
            in->bad = true;
    }
}

static quartet_status get_clients(struct bytes_in *in, struct member_doc *d, struct err *err)
{
    uint32_t count = bytes_count(in, CLIENT_BYTES_MIN);
    if (in->bad || count > MEMBER_CLIENTS_MAX) {
        in->bad = true;
        return QUARTET_OK; /* the caller looks at in->bad */
    }
    d->clients = mem_zalloc(count, sizeof *d->clients);
    if (d->clients == NULL)
        return err_nomem(err);
    d->client_count = count;
    for (uint32_t i = 0; i < count && !in->bad; i++) {
        struct member_client *c = &d->clients[i];
        member_get_text(in, c->name, sizeof c->name, name_ok);
        const uint8_t *key = bytes_take(in, MEMBER_KEY_BYTES);
        if (key != NULL)
            memcpy(c->public_key, key, MEMBER_KEY_BYTES);
        c->flags = bytes_u32(in);
    }
    return QUARTET_OK;
}

static void get_former(struct bytes_in *in, struct member_doc *d)
{
    uint32_t count = bytes_count(in, FORMER_BYTES);
    if (in->bad || count > MEMBER_FORMER_MAX) {
        in->bad = true;
        return;
    }
    for (uint32_t i = 0; i < count && !in->bad; i++) {
        struct member_former *f = &d->former[i];
        f->slot = bytes_u8(in);
        const uint8_t *key = bytes_take(in, MEMBER_KEY_BYTES);
        if (key != NULL)
            memcpy(f->public_key, key, MEMBER_KEY_BYTES);
        f->epoch = bytes_u64(in);
        if (f->slot >= SLOTS_MAX || f->epoch > d->epoch || (key != NULL && member_find_node(d, key) != NULL))
            in->bad = true;
    }
    d->former_count = count;
}

/* All that the root signs; `in` is left behind it. */
static quartet_status decode_body(struct bytes_in *in, struct member_doc *d, struct err *err)
{
    const uint8_t *magic = bytes_take(in, sizeof doc_magic);
    if (magic == NULL || memcmp(magic, doc_magic, sizeof doc_magic) != 0)
        return err_set(err, QUARTET_CORRUPT, "not a membership document");
    uint8_t version = bytes_u8(in);
    if (!in->bad && version != DOC_VERSION)
        return err_set(err, QUARTET_CORRUPT, "membership document of version %u, this is %u",
                       version, DOC_VERSION);
    d->epoch = bytes_u64(in);
    const uint8_t *cluster = bytes_take(in, sizeof d->cluster.b);
    const uint8_t *root = bytes_take(in, sizeof d->root_key);
    const uint8_t *salt = bytes_take(in, sizeof d->salt);
    if (in->bad)
        return err_set(err, QUARTET_CORRUPT, "the membership document is cut off");
    memcpy(d->cluster.b, cluster, sizeof d->cluster.b);
    memcpy(d->root_key, root, sizeof d->root_key);
    memcpy(d->salt, salt, sizeof d->salt);
    member_get_roots(in, d);
    get_nodes(in, d);
    quartet_status rc = get_clients(in, d, err);
    if (rc == QUARTET_OK)
        get_former(in, d);
    if (rc == QUARTET_OK)
        member_get_invites(in, d);
    if (rc == QUARTET_OK && in->bad)
        rc = err_set(err, QUARTET_CORRUPT, "malformed membership document");
    return rc;
}

quartet_status member_doc_decode(struct slice bytes, const struct cluster_id *cluster,
                                 struct member_doc *out, struct err *err)
{
    if (sodium_init() < 0)
        return err_set(err, QUARTET_INTERNAL, "libsodium does not start");
    if (bytes.n > MEMBER_DOC_BYTES_MAX || bytes.n < SIGNATURE_BYTES)
        return err_set(err, QUARTET_CORRUPT, "membership document of %zu bytes", bytes.n);
    struct bytes_in in = bytes_in(bytes.p, bytes.n);
    struct member_doc d = {0};
    quartet_status rc = decode_body(&in, &d, err);
    struct slice body = slice_of(bytes.p, bytes.n - in.left);
    const uint8_t *signature = bytes_take(&in, SIGNATURE_BYTES);
    if (rc == QUARTET_OK && signature == NULL)
        rc = err_set(err, QUARTET_CORRUPT, "the membership document is cut off");
    if (rc == QUARTET_OK) {
        struct cluster_id id;
        cluster_id_of(d.root_key, d.salt, &id);
        if (memcmp(id.b, d.cluster.b, sizeof id.b) != 0)
            rc = err_set(err, QUARTET_AUTH,
                         "the membership document's cluster id does not fit its root key");
        else if (cluster != NULL && memcmp(id.b, cluster->b, sizeof id.b) != 0)
            rc = err_set(err, QUARTET_AUTH, "the membership document is of another cluster");
    }
    if (rc == QUARTET_OK)
        rc = member_check_roots(&d, err);
    if (rc == QUARTET_OK) {
        uint8_t hash[32];
        signed_hash(body, hash);
        if (crypto_sign_verify_detached(signature, hash, sizeof hash, member_root_key(&d)) != 0)
            rc = err_set(err, QUARTET_AUTH, "the membership document's signature is wrong");
    }
    d.root_bytes = body.n + SIGNATURE_BYTES;
    if (rc == QUARTET_OK)
        rc = member_get_admissions(&in, &d, err);
    if (rc == QUARTET_OK && in.left != 0)
        rc = err_set(err, QUARTET_CORRUPT, "bytes after the membership document");
    if (rc != QUARTET_OK) {
        member_doc_deinit(&d);
        return rc;
    }
    *out = d;
    return QUARTET_OK;
}

static quartet_status copy_text(char *to, size_t to_bytes, const char *from,
                                bool (*ok)(const char *s, size_t n), const char *what,
                                struct err *err)
{
    size_t n = strlen(from);
    if (n >= to_bytes)
        return err_set(err, QUARTET_LIMIT, "%s of %zu bytes, limit %zu", what, n, to_bytes - 1);
    if (!ok(from, n))
        return err_set(err, QUARTET_MISUSE, "%s holds blanks or control characters", what);
    memcpy(to, from, n + 1);
    return QUARTET_OK;
}

static quartet_status make_key(struct env *env, enum member_key_kind kind, struct member_key *k,
                               struct err *err)
{
    memset(k, 0, sizeof *k);
    k->kind = kind;
    return env->ops->random(env, k->seed, sizeof k->seed, err);
}

static void finish_key(struct member_key *k, const struct member_doc *doc, const uint8_t *gate, uint8_t *public_key)
{
    uint8_t secret[64];
    member_key_expand(k, secret, public_key);
    sodium_memzero(secret, sizeof secret);
    k->cluster = doc->cluster;
    memcpy(k->gate, gate, sizeof k->gate);
}

quartet_status member_set_address(struct member_node *n, const char *address, const char *http, struct err *err)
{
    if (address == NULL || address[0] == '\0')
        return err_set(err, QUARTET_MISUSE, "node %u has no address", (unsigned)n->slot);
    quartet_status rc = copy_text(n->address, sizeof n->address, address, member_address_ok, "address", err);
    if (rc == QUARTET_OK && http != NULL)
        rc = copy_text(n->http, sizeof n->http, http, member_address_ok, "HTTP address", err);
    return rc;
}

quartet_status member_set_zone(struct member_node *n, const char *zone, struct err *err)
{
    return copy_text(n->zone, sizeof n->zone, zone, name_ok, "zone", err);
}

quartet_status member_add_node(struct env *env, struct member_doc *doc, const uint8_t *gate, const char *address, const char *http,
                               struct member_key *key, struct err *err)
{
    uint32_t at = 0, taken = 0, slot = 0; /* the lowest slot that is free, also of invitations */
    for (uint32_t i = 0; i < doc->node_count; i++)
        taken |= 1u << doc->nodes[i].slot;
    for (uint32_t i = 0; i < doc->invite_count; i++)
        taken |= 1u << doc->invites[i].slot;
    while (slot < SLOTS_MAX && (taken >> slot & 1u) != 0)
        slot++;
    if (slot == SLOTS_MAX)
        return err_set(err, QUARTET_LIMIT, "a cluster has at most %u nodes, and this one has them%s", SLOTS_MAX, doc->node_count < SLOTS_MAX ? ", or tokens for them" : "");
    while (at < doc->node_count && doc->nodes[at].slot < slot)
        at++;
    struct member_node n = {.slot = (uint8_t)slot};
    quartet_status rc = member_set_address(&n, address, http, err);
    if (rc == QUARTET_OK)
        rc = make_key(env, MEMBER_KEY_NODE, key, err);
    if (rc != QUARTET_OK)
        return rc;
    key->slot = n.slot;
    finish_key(key, doc, gate, n.public_key);
    memmove(&doc->nodes[at + 1], &doc->nodes[at], (doc->node_count - at) * sizeof doc->nodes[0]);
    doc->nodes[at] = n;
    doc->node_count++;
    return QUARTET_OK;
}

quartet_status member_evict(struct member_doc *doc, uint8_t slot, uint64_t epoch, struct err *err)
{
    uint32_t at = 0;
    while (at < doc->node_count && doc->nodes[at].slot != slot)
        at++;
    if (at == doc->node_count)
        return err_set(err, QUARTET_NOTFOUND, "there is no node %u", (unsigned)slot);
    if (doc->node_count == 1)
        return err_set(err, QUARTET_MISUSE, "node %u is the only one, and stays", (unsigned)slot);
    if (doc->former_count >= MEMBER_FORMER_MAX)
        return err_set(err, QUARTET_LIMIT, "%u nodes were evicted already, the most that a cluster remembers", MEMBER_FORMER_MAX);
    struct member_former *f = &doc->former[doc->former_count++];
    *f = (struct member_former){.slot = slot, .epoch = epoch};
    memcpy(f->public_key, doc->nodes[at].public_key, sizeof f->public_key);
    member_drop_invites(doc, slot);
    doc->node_count--;
    memmove(&doc->nodes[at], &doc->nodes[at + 1], (doc->node_count - at) * sizeof doc->nodes[0]);
    return QUARTET_OK;
}

quartet_status member_new_key(struct env *env, struct member_doc *doc, const uint8_t *gate, uint8_t slot, uint64_t epoch, struct member_key *key, struct err *err)
{
    uint32_t at = 0;
    while (at < doc->node_count && doc->nodes[at].slot != slot)
        at++;
    if (at == doc->node_count)
        return err_set(err, QUARTET_NOTFOUND, "there is no node %u", (unsigned)slot);
    if (doc->former_count >= MEMBER_FORMER_MAX)
        return err_set(err, QUARTET_LIMIT, "%u keys were taken out of use already, the most that a cluster remembers", MEMBER_FORMER_MAX);
    quartet_status rc = make_key(env, MEMBER_KEY_NODE, key, err);
    if (rc != QUARTET_OK)
        return rc;
    struct member_former *f = &doc->former[doc->former_count++];
    *f = (struct member_former){.slot = slot, .epoch = epoch};
    memcpy(f->public_key, doc->nodes[at].public_key, sizeof f->public_key);
    member_drop_invites(doc, slot); /* an admission is signed by the key that its sponsor has now */
    key->slot = slot;
    finish_key(key, doc, gate, doc->nodes[at].public_key);
    return QUARTET_OK;
}

quartet_status member_add_client(struct env *env, struct member_doc *doc, const uint8_t *gate, const char *name, struct member_key *key, struct err *err)
{
    for (uint32_t i = 0; i < doc->client_count; i++)
        if (strcmp(doc->clients[i].name, name) == 0)
            return err_set(err, QUARTET_MISUSE, "there is a client %s already", name);
    if (doc->client_count >= MEMBER_CLIENTS_MAX)
        return err_set(err, QUARTET_LIMIT, "there are %u clients, the most there can be", MEMBER_CLIENTS_MAX);
    struct member_client *more = mem_realloc(doc->clients, doc->client_count + 1u, sizeof *more);
    if (more == NULL)
        return err_nomem(err);
    doc->clients = more;
    quartet_status rc = make_key(env, MEMBER_KEY_CLIENT, key, err);
    if (rc == QUARTET_OK && name[0] == '\0')
        rc = err_set(err, QUARTET_MISUSE, "a client needs a name");
    if (rc == QUARTET_OK)
        rc = copy_text(key->name, sizeof key->name, name, name_ok, "client name", err);
    if (rc != QUARTET_OK)
        return rc;
    struct member_client *c = &doc->clients[doc->client_count++];
    *c = (struct member_client){.flags = 0};
    memcpy(c->name, key->name, sizeof c->name);
    finish_key(key, doc, gate, c->public_key);
    return QUARTET_OK;
}

bool member_remove_client(struct member_doc *doc, const char *name)
{
    for (uint32_t i = 0; i < doc->client_count; i++)
        if (strcmp(doc->clients[i].name, name) == 0) {
            doc->client_count--;
            memmove(&doc->clients[i], &doc->clients[i + 1], (doc->client_count - i) * sizeof doc->clients[0]);
            return true;
        }
    return false;
}

static quartet_status init_nodes(struct env *env, const struct member_plan *plan,
                                 const uint8_t *gate, struct member_doc *doc,
                                 struct member_keys *keys, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < plan->node_count && rc == QUARTET_OK; i++)
        rc = member_add_node(env, doc, gate, plan->address[i], plan->http[i], &keys->nodes[i], err);
    return rc;
}

static quartet_status init_clients(struct env *env, const struct member_plan *plan,
                                   const uint8_t *gate, struct member_doc *doc,
                                   struct member_keys *keys, struct err *err)
{
    keys->clients = mem_zalloc(plan->client_count, sizeof *keys->clients);
    if (keys->clients == NULL)
        return err_nomem(err);
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < plan->client_count && rc == QUARTET_OK; i++) {
        rc = member_add_client(env, doc, gate, plan->client_names[i], &keys->clients[i], err);
        keys->client_count = i + 1;
    }
    return rc;
}

quartet_status member_init(struct env *env, const struct member_plan *plan, struct member_doc *doc,
                           struct member_keys *keys, struct err *err)
{
    if (sodium_init() < 0)
        return err_set(err, QUARTET_INTERNAL, "libsodium does not start");
    if (plan->node_count < 1 || plan->node_count > SLOTS_MAX)
        return err_set(err, QUARTET_LIMIT, "a cluster has 1 to %u nodes, not %u", SLOTS_MAX,
                       plan->node_count);
    if (plan->client_count > MEMBER_CLIENTS_MAX)
        return err_set(err, QUARTET_LIMIT, "%u clients, limit %u", plan->client_count,
                       MEMBER_CLIENTS_MAX);
    struct member_doc d = {.epoch = 1};
    struct member_keys k = {0};
    uint8_t gate[32], secret[64];
    quartet_status rc = make_key(env, MEMBER_KEY_ROOT, &k.root, err);
    if (rc == QUARTET_OK)
        rc = env->ops->random(env, d.salt, sizeof d.salt, err);
    if (rc == QUARTET_OK)
        rc = env->ops->random(env, gate, sizeof gate, err);
    if (rc == QUARTET_OK) {
        member_key_expand(&k.root, secret, d.root_key);
        sodium_memzero(secret, sizeof secret);
        cluster_id_of(d.root_key, d.salt, &d.cluster);
        k.root.cluster = d.cluster;
        rc = init_nodes(env, plan, gate, &d, &k, err);
    }
    if (rc == QUARTET_OK)
        rc = init_clients(env, plan, gate, &d, &k, err);
    sodium_memzero(gate, sizeof gate);
    if (rc != QUARTET_OK) {
        member_doc_deinit(&d);
        member_keys_deinit(&k);
        return rc;
    }
    *doc = d;
    *keys = k;
    return QUARTET_OK;
}

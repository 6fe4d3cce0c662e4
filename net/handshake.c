/* handshake.c - SIGMA over fresh X25519 keys, with a gate in front (Krawczyk 2003; the gate is
 * WireGuard's first MAC).
 *
 * Why not Noise IK: nodes then need a second, static X25519 key in the membership document, and the
 * responder does a curve operation before it knows that the caller belongs to the cluster. Here a
 * stranger costs one BLAKE2b and gets no byte. Invariants: nothing is sent before the gate MAC
 * holds; every key is derived from the ephemeral secret, the gate secret and the whole transcript;
 * a signature covers a label that names the side, so none can be used in the other direction. Not
 * here: deadlines and the number of strangers (server.c, client_link.c). */
#include "handshake.h"

#include <sodium.h>
#include <string.h>

#include "base/mem.h"

#define MAC_BYTES         32u
#define HASH_BYTES        32u
#define SIGNATURE_BYTES   64u
#define MAC_AT            (HANDSHAKE_FIRST_BYTES - MAC_BYTES)
#define AEAD_BYTES        crypto_aead_xchacha20poly1305_ietf_ABYTES
#define REFUSAL_BYTES_MAX 200u
static const uint8_t magic[4] = {'Q', 'R', 'T', 'N'};

enum step { WAIT_FIRST, WAIT_SECOND, WAIT_THIRD, WAIT_FOURTH, FINISHED, FAILED };
enum derived_key { KEY_SECOND = 1, KEY_THIRD, KEY_FOURTH, KEY_TO_RESPONDER, KEY_TO_INITIATOR };

struct handshake {
    const struct handshake_config *config;
    enum step step;
    uint8_t secret_key[64], public_key[32]; /* ours, Ed25519 */
    uint8_t ephemeral_secret[32], ephemeral[32];
    uint8_t hash[HASH_BYTES]; /* of the transcript so far */
    uint8_t master[32];
    channel *channel;
    uint8_t gate[32]; /* the cluster's gate secret; between a joiner and its sponsor the token's */
    struct handshake_peer peer;
    struct buf doc; /* client: the node's document; of a node that was evicted: the document that says so */
    uint64_t evicted_epoch; /* 0: it was not */
    uint8_t invite_key[MEMBER_KEY_BYTES]; /* responder, of a joiner: the token that its gate is of */
};

static void hash_more(uint8_t *hash, const void *p, size_t n)
{
    crypto_generichash_state s;
    (void)crypto_generichash_init(&s, NULL, 0, HASH_BYTES);
    (void)crypto_generichash_update(&s, hash, HASH_BYTES);
    (void)crypto_generichash_update(&s, p, n);
    (void)crypto_generichash_final(&s, hash, HASH_BYTES);
}

static void hash_start(handshake *h, const uint8_t *first)
{
    static const char label[] = "quartet handshake 1";
    crypto_generichash_state s;
    (void)crypto_generichash_init(&s, NULL, 0, HASH_BYTES);
    (void)crypto_generichash_update(&s, (const uint8_t *)label, sizeof label);
    (void)crypto_generichash_update(&s, h->config->cluster.b, sizeof h->config->cluster.b);
    (void)crypto_generichash_update(&s, first, HANDSHAKE_FIRST_BYTES);
    (void)crypto_generichash_final(&s, h->hash, HASH_BYTES);
}

static void gate_mac(const struct handshake_config *config, const uint8_t *gate, const uint8_t *first, uint8_t *mac)
{
    static const char label[] = "quartet gate 1";
    uint8_t key[32];
    crypto_generichash_state s;
    (void)crypto_generichash_init(&s, gate, 32, sizeof key);
    (void)crypto_generichash_update(&s, (const uint8_t *)label, sizeof label);
    (void)crypto_generichash_update(&s, config->cluster.b, sizeof config->cluster.b);
    (void)crypto_generichash_final(&s, key, sizeof key);
    (void)crypto_generichash(mac, MAC_BYTES, first, MAC_AT, key, sizeof key);
    sodium_memzero(key, sizeof key);
}

/* The master key: ephemeral secret, gate secret, transcript. */
static quartet_status derive_master(handshake *h, const uint8_t *other, struct err *err)
{
    uint8_t shared[32];
    if (crypto_scalarmult_curve25519(shared, h->ephemeral_secret, other) != 0)
        return err_set(err, QUARTET_AUTH, "a weak ephemeral key");
    crypto_generichash_state s;
    (void)crypto_generichash_init(&s, h->gate, sizeof h->gate,
                                  sizeof h->master);
    (void)crypto_generichash_update(&s, shared, sizeof shared);
    (void)crypto_generichash_update(&s, h->hash, HASH_BYTES);
    (void)crypto_generichash_final(&s, h->master, sizeof h->master);
    sodium_memzero(shared, sizeof shared);
    sodium_memzero(h->ephemeral_secret, sizeof h->ephemeral_secret);
    return QUARTET_OK;
}

static void derive_key(const handshake *h, enum derived_key which, uint8_t *key)
{
    (void)crypto_kdf_derive_from_key(key, 32, which, "qrt-hand", h->master);
}

/* Encrypt with a key that is used once; the transcript is authenticated along. */
static quartet_status seal(const handshake *h, enum derived_key which, const struct buf *plain,
                           struct buf *out, struct err *err)
{
    static const uint8_t nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];
    uint8_t *to = buf_reserve(out, plain->len + AEAD_BYTES);
    if (plain->failed || to == NULL)
        return err_nomem(err);
    uint8_t key[32];
    derive_key(h, which, key);
    unsigned long long n = 0;
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(to, &n, plain->data, plain->len, h->hash,
                                                     HASH_BYTES, NULL, nonce, key);
    sodium_memzero(key, sizeof key);
    out->len += plain->len + AEAD_BYTES;
    return QUARTET_OK;
}

static quartet_status unseal(const handshake *h, enum derived_key which, struct slice in,
                             struct buf *plain, struct err *err)
{
    static const uint8_t nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];
    if (in.n < AEAD_BYTES)
        return err_set(err, QUARTET_CORRUPT, "handshake message of %zu bytes is too short", in.n);
    uint8_t *to = buf_reserve(plain, in.n);
    if (to == NULL)
        return err_nomem(err);
    uint8_t key[32];
    derive_key(h, which, key);
    unsigned long long n = 0;
    int bad = crypto_aead_xchacha20poly1305_ietf_decrypt(to, &n, NULL, in.p, in.n, h->hash,
                                                         HASH_BYTES, nonce, key);
    sodium_memzero(key, sizeof key);
    if (bad != 0)
        return err_set(err, QUARTET_AUTH,
                       "a handshake message fails its authentication (altered, replayed or another "
                       "gate secret)");
    plain->len = (size_t)n;
    return QUARTET_OK;
}

/* What is signed: a label that names the side, the transcript, and the fields of the identity
 * before the signature. */
static void signed_hash(const handshake *h, bool by_initiator, struct slice fields, uint8_t *out)
{
    const char *label = by_initiator ? "quartet initiator 1" : "quartet responder 1";
    crypto_generichash_state s;
    (void)crypto_generichash_init(&s, NULL, 0, HASH_BYTES);
    (void)crypto_generichash_update(&s, (const uint8_t *)label, strlen(label) + 1);
    (void)crypto_generichash_update(&s, h->hash, HASH_BYTES);
    (void)crypto_generichash_update(&s, fields.p, fields.n);
    (void)crypto_generichash_final(&s, out, HASH_BYTES);
}

/* Identity: version, role, slot, 0, instance, epoch, public key, stream header; then the signature.
 */
static void put_identity(const handshake *h, bool by_initiator, const uint8_t *stream_header,
                         struct buf *out)
{
    const struct handshake_config *config = h->config;
    buf_u8(out, HANDSHAKE_VERSION);
    buf_u8(out, (uint8_t)(by_initiator ? config->role : NET_ROLE_PEER));
    buf_u8(out, config->key->slot);
    buf_u8(out, 0);
    buf_u64(out, config->instance);
    buf_u64(out, config->doc != NULL ? member_version(config->doc) : 0);
    buf_put(out, h->public_key, sizeof h->public_key);
    buf_put(out, stream_header, CHANNEL_HEADER_BYTES);
    uint8_t hash[HASH_BYTES], signature[SIGNATURE_BYTES];
    signed_hash(h, by_initiator, slice_of(out->data, out->len), hash);
    (void)crypto_sign_detached(signature, NULL, hash, sizeof hash, h->secret_key);
    buf_put(out, signature, sizeof signature);
}

static quartet_status get_identity(handshake *h, bool by_initiator, struct bytes_in *in,
                                   const uint8_t **stream_header, struct err *err)
{
    const uint8_t *start = in->at;
    uint8_t version = bytes_u8(in), role = bytes_u8(in), slot = bytes_u8(in);
    (void)bytes_u8(in); /* reserved; covered by the signature */
    h->peer.instance = bytes_u64(in);
    h->peer.epoch = bytes_u64(in);
    const uint8_t *key = bytes_take(in, MEMBER_KEY_BYTES);
    *stream_header = bytes_take(in, CHANNEL_HEADER_BYTES);
    size_t signed_bytes = (size_t)(in->at - start);
    const uint8_t *signature = bytes_take(in, SIGNATURE_BYTES);
    if (in->bad)
        return err_set(err, QUARTET_CORRUPT, "a handshake identity is cut off");
    if (version != HANDSHAKE_VERSION)
        return err_set(err, QUARTET_AUTH, "handshake version %u, this is %u", version,
                       HANDSHAKE_VERSION);
    uint8_t expected = by_initiator ? (uint8_t)h->peer.role : (uint8_t)NET_ROLE_PEER;
    if (role != expected)
        return err_set(err, QUARTET_AUTH, "role %u where %u was announced", role, expected);
    uint8_t hash[HASH_BYTES];
    signed_hash(h, by_initiator, slice_of(start, signed_bytes), hash);
    if (crypto_sign_verify_detached(signature, hash, sizeof hash, key) != 0)
        return err_set(err, QUARTET_AUTH, "a wrong signature of the handshake");
    memcpy(h->peer.public_key, key, MEMBER_KEY_BYTES);
    h->peer.slot = slot;
    return QUARTET_OK;
}

/* Is the node of this key and slot in the document? */
static quartet_status check_node(handshake *h, const struct member_doc *doc, struct err *err)
{
    const struct member_node *n = member_find_node(doc, h->peer.public_key);
    if (n == NULL)
        return err_set(err, QUARTET_AUTH, "an unknown node key (it says slot %u)", h->peer.slot);
    if (n->slot != h->peer.slot)
        return err_set(err, QUARTET_AUTH, "the key of slot %u, which says it is slot %u", n->slot,
                       h->peer.slot);
    if (memcmp(h->peer.public_key, h->public_key, MEMBER_KEY_BYTES) == 0)
        return err_set(err, QUARTET_AUTH,
                       "this node's own key (slot %u): a copy of it, or its own address", n->slot);
    return QUARTET_OK;
}

static quartet_status check_initiator(handshake *h, struct err *err)
{
    if (h->peer.role == NET_ROLE_PEER)
        return check_node(h, h->config->doc, err);
    if (h->peer.role == NET_ROLE_JOINER) /* the gate was that of this token's invitation */
        return memcmp(h->peer.public_key, h->invite_key, MEMBER_KEY_BYTES) == 0 ? QUARTET_OK : err_set(err, QUARTET_AUTH, "a key that is not its token's");
    const struct member_client *c = member_find_client(h->config->doc, h->peer.public_key);
    if (c == NULL)
        return err_set(err, QUARTET_AUTH, "an unknown client key");
    memcpy(h->peer.name, c->name, sizeof h->peer.name);
    return QUARTET_OK;
}

static quartet_status check_responder(handshake *h, struct bytes_in *in, struct err *err)
{
    struct slice doc_bytes = bytes_slice(in);
    if (in->bad || in->left != 0)
        return err_set(err, QUARTET_CORRUPT, "a malformed answer to the handshake");
    quartet_status rc = QUARTET_OK;
    if (h->config->doc != NULL) {
        rc = check_node(h, h->config->doc, err);
    } else {
        struct member_doc doc = {0};
        rc = member_doc_decode(doc_bytes, &h->config->cluster, &doc, err);
        if (rc == QUARTET_OK)
            rc = check_node(h, &doc, err);
        if (rc == QUARTET_OK) {
            h->peer.epoch = doc.epoch; /* the one that is signed */
            buf_put(&h->doc, doc_bytes.p, doc_bytes.n);
            rc = buf_check(&h->doc, err);
            h->peer.doc_bytes = slice_of(h->doc.data, h->doc.len);
        }
        member_doc_deinit(&doc);
    }
    if (rc == QUARTET_OK && h->config->expect_slot >= 0 && h->config->expect_slot != h->peer.slot)
        rc = err_set(err, QUARTET_AUTH, "slot %u answers at the address of slot %d", h->peer.slot,
                     h->config->expect_slot);
    return rc;
}

static quartet_status begin(const struct handshake_config *config, handshake **out, struct err *err)
{
    QASSERT(config->env != NULL && config->key != NULL);
    if (sodium_init() < 0)
        return err_set(err, QUARTET_INTERNAL, "libsodium does not start");
    handshake *h = mem_zalloc(1, sizeof *h);
    if (h == NULL)
        return err_nomem(err);
    h->config = config;
    member_key_expand(config->key, h->secret_key, h->public_key);
    memcpy(h->gate, config->key->gate, sizeof h->gate);
    quartet_status rc =
        config->env->ops->random(config->env, h->ephemeral_secret, sizeof h->ephemeral_secret, err);
    if (rc == QUARTET_OK &&
        crypto_scalarmult_curve25519_base(h->ephemeral, h->ephemeral_secret) != 0)
        rc = err_set(err, QUARTET_INTERNAL, "no ephemeral key");
    if (rc != QUARTET_OK) {
        handshake_free(h);
        return rc;
    }
    *out = h;
    return QUARTET_OK;
}

quartet_status handshake_dial(const struct handshake_config *config, handshake **out_handshake,
                              struct buf *out, struct err *err)
{
    handshake *h = NULL;
    quartet_status rc = begin(config, &h, err);
    if (rc != QUARTET_OK)
        return rc;
    QASSERT(h != NULL);
    uint8_t first[HANDSHAKE_FIRST_BYTES] = {0};
    memcpy(first, magic, sizeof magic);
    first[4] = HANDSHAKE_VERSION;
    first[5] = (uint8_t)config->role;
    memcpy(first + 8, h->ephemeral, sizeof h->ephemeral);
    gate_mac(config, h->gate, first, first + MAC_AT);
    hash_start(h, first);
    h->step = WAIT_SECOND;
    frame_put(out, first, sizeof first);
    rc = buf_check(out, err);
    if (rc != QUARTET_OK) {
        handshake_free(h);
        return rc;
    }
    *out_handshake = h;
    return QUARTET_OK;
}

quartet_status handshake_answer(const struct handshake_config *config, handshake **out_handshake,
                                struct err *err)
{
    QASSERT(config->doc != NULL && config->key->kind == MEMBER_KEY_NODE);
    return begin(config, out_handshake, err); /* step is WAIT_FIRST */
}

void handshake_free(handshake *h)
{
    if (h == NULL)
        return;
    channel_free(h->channel);
    buf_deinit(&h->doc);
    sodium_memzero(h, sizeof *h);
    mem_free(h);
}

static bool seen_before(struct handshake_seen *seen, const uint8_t *mac)
{
    for (uint32_t i = 0; i < seen->count; i++)
        if (memcmp(seen->mac[i], mac, sizeof seen->mac[i]) == 0)
            return true;
    memcpy(seen->mac[seen->next], mac, sizeof seen->mac[0]);
    seen->next = (seen->next + 1) % HANDSHAKE_SEEN_MAX;
    if (seen->count < HANDSHAKE_SEEN_MAX)
        seen->count++;
    return false;
}

/* Keys for both directions; the header of our sending one. */
static quartet_status make_channel(handshake *h, bool initiator, uint8_t *header, struct err *err)
{
    uint8_t to_responder[32], to_initiator[32];
    derive_key(h, KEY_TO_RESPONDER, to_responder);
    derive_key(h, KEY_TO_INITIATOR, to_initiator);
    quartet_status rc = initiator
                            ? channel_new(to_responder, to_initiator, header, &h->channel, err)
                            : channel_new(to_initiator, to_responder, header, &h->channel, err);
    sodium_memzero(to_responder, sizeof to_responder);
    sodium_memzero(to_initiator, sizeof to_initiator);
    return rc;
}

/* Is it a joiner at one of our invitations that has not expired? Then its gate is the token's. */
static bool pass_invite(handshake *h, const uint8_t *first)
{
    const struct handshake_config *config = h->config;
    uint64_t now_ms = config->env->ops->wall_us(config->env) / 1000u;
    for (uint32_t i = 0; i < config->doc->invite_count; i++) {
        const struct member_invite *v = &config->doc->invites[i];
        uint8_t gate[32], mac[MAC_BYTES];
        if (v->sponsor != config->key->slot || now_ms > v->expires_ms)
            continue;
        member_invite_gate(&config->cluster, v->token_key, gate);
        gate_mac(config, gate, first, mac);
        if (sodium_memcmp(mac, first + MAC_AT, MAC_BYTES) == 0) {
            memcpy(h->gate, gate, sizeof h->gate);
            memcpy(h->invite_key, v->token_key, sizeof h->invite_key);
            return true;
        }
    }
    return false;
}

/* Responder: the gate, then our identity. */
static quartet_status take_first(handshake *h, struct slice m, struct buf *out, struct err *err)
{
    const struct handshake_config *config = h->config;
    if (m.n != HANDSHAKE_FIRST_BYTES || memcmp(m.p, magic, sizeof magic) != 0)
        return err_set(err, QUARTET_AUTH, "not our protocol");
    uint8_t mac[MAC_BYTES];
    bool joins = m.p[5] == NET_ROLE_JOINER;
    gate_mac(config, h->gate, m.p, mac);
    if (joins ? !pass_invite(h, m.p) : sodium_memcmp(mac, m.p + MAC_AT, MAC_BYTES) != 0)
        return err_set(err, QUARTET_AUTH, "a stranger: wrong gate secret or another cluster");
    if (m.p[4] != HANDSHAKE_VERSION || m.p[6] != 0 || m.p[7] != 0)
        return err_set(err, QUARTET_AUTH, "handshake version %u, this is %u", m.p[4],
                       HANDSHAKE_VERSION);
    if (m.p[5] != NET_ROLE_PEER && m.p[5] != NET_ROLE_CLIENT && !joins)
        return err_set(err, QUARTET_AUTH, "unknown role %u", m.p[5]);
    if (config->seen != NULL && seen_before(config->seen, m.p + MAC_AT))
        return err_set(err, QUARTET_AUTH, "a replayed first message");
    h->peer.role = (enum net_role)m.p[5];
    hash_start(h, m.p);
    hash_more(h->hash, h->ephemeral, sizeof h->ephemeral);
    quartet_status rc = derive_master(h, m.p + 8, err);
    uint8_t header[CHANNEL_HEADER_BYTES];
    if (rc == QUARTET_OK)
        rc = make_channel(h, false, header, err);
    if (rc != QUARTET_OK)
        return rc;
    struct buf plain = {0}, body = {0};
    put_identity(h, false, header, &plain);
    struct slice doc = h->peer.role != NET_ROLE_PEER ? config->doc_bytes : slice_of("", 0);
    buf_varint(&plain, doc.n);
    buf_put(&plain, doc.p, doc.n);
    buf_put(&body, h->ephemeral, sizeof h->ephemeral);
    rc = seal(h, KEY_SECOND, &plain, &body, err);
    if (rc == QUARTET_OK) {
        frame_put(out, body.data, body.len);
        rc = buf_check(out, err);
        hash_more(h->hash, body.data, body.len);
        h->step = WAIT_THIRD;
    }
    buf_deinit(&plain);
    buf_deinit(&body);
    return rc;
}

/* Initiator: who answers; then our identity. */
static quartet_status take_second(handshake *h, struct slice m, struct buf *out, struct err *err)
{
    if (m.n < 32)
        return err_set(err, QUARTET_CORRUPT, "handshake message of %zu bytes is too short", m.n);
    hash_more(h->hash, m.p, 32);
    struct buf plain = {0}, mine = {0}, body = {0};
    uint8_t header[CHANNEL_HEADER_BYTES];
    const uint8_t *their_header = NULL;
    quartet_status rc = derive_master(h, m.p, err);
    if (rc == QUARTET_OK)
        rc = unseal(h, KEY_SECOND, slice_of(m.p + 32, m.n - 32), &plain, err);
    struct bytes_in in = bytes_in(plain.data, plain.len);
    h->peer.role = NET_ROLE_PEER;
    if (rc == QUARTET_OK)
        rc = get_identity(h, false, &in, &their_header, err);
    if (rc == QUARTET_OK)
        rc = check_responder(h, &in, err);
    if (rc == QUARTET_OK)
        rc = make_channel(h, true, header, err);
    if (rc == QUARTET_OK)
        rc = channel_accept(h->channel, their_header, err);
    if (rc == QUARTET_OK) {
        hash_more(h->hash, m.p, m.n);
        put_identity(h, true, header, &mine);
        rc = seal(h, KEY_THIRD, &mine, &body, err);
    }
    if (rc == QUARTET_OK) {
        frame_put(out, body.data, body.len);
        rc = buf_check(out, err);
        hash_more(h->hash, body.data, body.len);
        h->step = WAIT_FOURTH;
    }
    buf_deinit(&plain);
    buf_deinit(&mine);
    buf_deinit(&body);
    return rc;
}

/* Responder: who calls; welcome, or the reason why not (it has passed the gate, so it may know). */
static quartet_status take_third(handshake *h, struct slice m, struct buf *out, struct err *err)
{
    struct buf plain = {0}, mine = {0}, body = {0};
    const uint8_t *their_header = NULL;
    quartet_status rc = unseal(h, KEY_THIRD, m, &plain, err);
    if (rc != QUARTET_OK)
        goto done;
    struct bytes_in in = bytes_in(plain.data, plain.len);
    rc = get_identity(h, true, &in, &their_header, err);
    if (rc == QUARTET_OK && in.left != 0)
        rc = err_set(err, QUARTET_CORRUPT, "bytes after the handshake identity");
    if (rc == QUARTET_OK)
        rc = check_initiator(h, err);
    if (rc == QUARTET_OK)
        rc = channel_accept(h->channel, their_header, err);
    hash_more(h->hash, m.p, m.n);
    const struct member_former *former = member_find_former(h->config->doc, h->peer.public_key);
    bool evicted = rc == QUARTET_AUTH && h->peer.role == NET_ROLE_PEER && former != NULL;
    buf_u8(&mine, evicted ? 2 : rc == QUARTET_OK ? 0 : 1);
    if (evicted) { /* it believes nobody but the root key */
        (void)err_set(err, QUARTET_AUTH, "slot %u as it was until membership %llu evicted it: it is refused", (unsigned)former->slot, (unsigned long long)former->epoch);
        buf_put(&mine, h->config->doc_bytes.p, h->config->doc_bytes.n);
    } else if (rc != QUARTET_OK) {
        buf_put(&mine, err->text, strnlen(err->text, REFUSAL_BYTES_MAX));
    }
    struct err ignored = ERR_INIT; /* a refusal that cannot be sent changes nothing */
    quartet_status sent = seal(h, KEY_FOURTH, &mine, &body, rc == QUARTET_OK ? err : &ignored);
    if (sent == QUARTET_OK)
        frame_put(out, body.data, body.len);
    if (rc == QUARTET_OK)
        rc = sent != QUARTET_OK ? sent : buf_check(out, err);
    if (rc == QUARTET_OK)
        h->step = FINISHED;
done:
    buf_deinit(&plain);
    buf_deinit(&mine);
    buf_deinit(&body);
    return rc;
}

/* We are told that we are no member any more. Always an error; the proof is kept where it is one. */
static quartet_status take_eviction(handshake *h, struct slice doc_bytes, struct err *err)
{
    struct member_doc doc = {0};
    if (h->config->doc == NULL)
        return err_set(err, QUARTET_CORRUPT, "a malformed end of the handshake");
    quartet_status rc = member_doc_decode(doc_bytes, &h->config->cluster, &doc, err);
    if (rc == QUARTET_OK && (!member_version_has_news(member_version(&doc), member_version(h->config->doc)) || member_find_former(&doc, h->public_key) == NULL))
        rc = err_set(err, QUARTET_AUTH, "slot %u says that this node was evicted, and shows a membership that does not say so", h->peer.slot);
    if (rc == QUARTET_OK) {
        buf_clear(&h->doc);
        buf_put(&h->doc, doc_bytes.p, doc_bytes.n);
        rc = buf_check(&h->doc, err);
    }
    if (rc == QUARTET_OK) {
        h->evicted_epoch = doc.epoch; /* of the root, for people */
        rc = err_set(err, QUARTET_AUTH, "slot %u refuses: this node was evicted from the cluster by membership %llu", h->peer.slot,
                     (unsigned long long)member_find_former(&doc, h->public_key)->epoch);
    }
    member_doc_deinit(&doc);
    return rc;
}

bool handshake_evicted(const handshake *h, struct slice *doc_bytes, uint64_t *epoch)
{
    *doc_bytes = slice_of(h->doc.data, h->doc.len);
    *epoch = h->evicted_epoch;
    return h->evicted_epoch != 0;
}

static quartet_status take_fourth(handshake *h, struct slice m, struct err *err)
{
    struct buf plain = {0};
    quartet_status rc = unseal(h, KEY_FOURTH, m, &plain, err);
    if (rc == QUARTET_OK && plain.len > 1 && plain.data[0] == 2)
        rc = take_eviction(h, slice_of(plain.data + 1, plain.len - 1), err);
    if (rc == QUARTET_OK &&
        (plain.len == 0 || plain.data[0] > 1 || (plain.data[0] == 0 && plain.len != 1)))
        rc = err_set(err, QUARTET_CORRUPT, "a malformed end of the handshake");
    if (rc == QUARTET_OK && plain.data[0] == 1) {
        bool text = utf8_valid(plain.data + 1, plain.len - 1);
        rc = err_set(err, QUARTET_AUTH, "slot %u refuses: %.*s", h->peer.slot,
                     text ? (int)(plain.len - 1) : 0, (const char *)plain.data + 1);
    }
    if (rc == QUARTET_OK)
        h->step = FINISHED;
    buf_deinit(&plain);
    return rc;
}

quartet_status handshake_input(handshake *h, struct slice message, struct buf *out, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    switch (h->step) {
    case WAIT_FIRST:
        rc = take_first(h, message, out, err);
        break;
    case WAIT_SECOND:
        rc = take_second(h, message, out, err);
        break;
    case WAIT_THIRD:
        rc = take_third(h, message, out, err);
        break;
    case WAIT_FOURTH:
        rc = take_fourth(h, message, err);
        break;
    case FINISHED:
    case FAILED:
        rc = err_set(err, QUARTET_CORRUPT, "a handshake message too many");
        break;
    }
    if (rc != QUARTET_OK)
        h->step = FAILED;
    return rc;
}

bool handshake_done(const handshake *h)
{
    return h->step == FINISHED;
}

const struct handshake_peer *handshake_peer(const handshake *h)
{
    QASSERT(h->step == FINISHED);
    return &h->peer;
}

channel *handshake_take_channel(handshake *h)
{
    QASSERT(h->step == FINISHED && h->channel != NULL);
    channel *c = h->channel;
    h->channel = NULL;
    return c;
}

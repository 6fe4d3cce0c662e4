/* member_join.c - joining by a token: invitations, which the root signs, and admissions, which it does not.
 *
 * `quartetd token` makes a key pair, the token's, and a document with an invitation: whoever shows the token's seed to the sponsor, a member that the invitation names, before it
 * expires may become the node of this slot. The new node makes its own key, which nobody else ever has. What makes it a member is an *admission*: its key and addresses, signed by the
 * token's key (so the sponsor alone can admit nobody) and, with the time, by the sponsor's node key (so who has the token alone can admit nobody). It follows the root's
 * signature in the document's bytes, and every member checks it against the invitation.
 * Why one sponsor: he writes the admission down before he answers, so one token admits one node, on whichever side of a split others are; nobody has to agree with anybody.
 * The next document that the root signs lists the node as any other. A document that neither does that, nor evicts it, nor still has the invitation forgets a member; it is refused.
 * Not here: the conversation (server_join.c, client_join.c), files (engine/node_join.c). */
#include <sodium.h>
#include <string.h>

#include "member_internal.h"

#define INVITE_BYTES        (2u + MEMBER_KEY_BYTES + 8u)
#define ADMISSION_BYTES_MIN (2u * MEMBER_KEY_BYTES + 2u + 8u + 128u)
static const char token_head[] = "quartet-token-1:";

static void hash_text(crypto_generichash_state *s, const char *text)
{
    (void)crypto_generichash_update(s, (const uint8_t *)text, strlen(text) + 1);
}

/* Signed by the token's key, and, with the time, by the sponsor's. */
static void signed_hash(const struct cluster_id *cluster, uint8_t slot, const struct member_admission *a, bool by_sponsor, uint8_t *out)
{
    uint8_t at[8];
    crypto_generichash_state s;
    store_le64(at, a->at_ms);
    (void)crypto_generichash_init(&s, NULL, 0, 32);
    hash_text(&s, by_sponsor ? "quartet admission 1" : "quartet join 1");
    (void)crypto_generichash_update(&s, cluster->b, sizeof cluster->b);
    (void)crypto_generichash_update(&s, &slot, 1);
    (void)crypto_generichash_update(&s, a->token_key, sizeof a->token_key);
    (void)crypto_generichash_update(&s, a->public_key, sizeof a->public_key);
    hash_text(&s, a->address);
    hash_text(&s, a->http);
    if (by_sponsor)
        (void)crypto_generichash_update(&s, at, sizeof at);
    (void)crypto_generichash_final(&s, out, 32);
}

void member_invite_gate(const struct cluster_id *cluster, const uint8_t *token_key, uint8_t *gate)
{
    crypto_generichash_state s;
    (void)crypto_generichash_init(&s, NULL, 0, 32);
    hash_text(&s, "quartet token gate 1");
    (void)crypto_generichash_update(&s, cluster->b, sizeof cluster->b);
    (void)crypto_generichash_update(&s, token_key, MEMBER_KEY_BYTES);
    (void)crypto_generichash_final(&s, gate, 32);
}

const struct member_invite *member_find_invite(const struct member_doc *d, const uint8_t *token_key)
{
    for (uint32_t i = 0; i < d->invite_count; i++)
        if (memcmp(d->invites[i].token_key, token_key, MEMBER_KEY_BYTES) == 0)
            return &d->invites[i];
    return NULL;
}

const struct member_admission *member_find_admission(const struct member_doc *d, const uint8_t *token_key)
{
    for (uint32_t i = 0; i < d->admission_count; i++)
        if (memcmp(d->admissions[i].token_key, token_key, MEMBER_KEY_BYTES) == 0)
            return &d->admissions[i];
    return NULL;
}

uint64_t member_version(const struct member_doc *d)
{
    uint64_t v = d->epoch << SLOTS_MAX;
    for (uint32_t i = 0; i < d->admission_count; i++)
        v |= 1u << member_find_invite(d, d->admissions[i].token_key)->slot;
    return v;
}

bool member_version_has_news(uint64_t theirs, uint64_t ours)
{
    return theirs >> SLOTS_MAX != ours >> SLOTS_MAX ? theirs > ours : (theirs & ~ours) != 0;
}

/* ---- in a document ---- */

void member_put_invites(struct buf *out, const struct member_doc *d)
{
    uint32_t open = 0;
    for (uint32_t i = 0; i < d->invite_count; i++)
        open += member_find_admission(d, d->invites[i].token_key) == NULL;
    buf_varint(out, open);
    for (uint32_t i = 0; i < d->invite_count; i++) {
        const struct member_invite *v = &d->invites[i];
        if (member_find_admission(d, v->token_key) != NULL)
            continue; /* its node is listed as any other from now on */
        buf_u8(out, v->slot);
        buf_u8(out, v->sponsor);
        buf_put(out, v->token_key, sizeof v->token_key);
        buf_u64(out, v->expires_ms);
    }
}

void member_get_invites(struct bytes_in *in, struct member_doc *d)
{
    uint32_t count = bytes_count(in, INVITE_BYTES), taken = 0;
    if (in->bad || count > SLOTS_MAX) {
        in->bad = true;
        return;
    }
    for (uint32_t i = 0; i < d->node_count; i++)
        taken |= 1u << d->nodes[i].slot;
    for (uint32_t i = 0; i < count && !in->bad; i++) {
        struct member_invite *v = &d->invites[i];
        v->slot = bytes_u8(in);
        v->sponsor = bytes_u8(in);
        const uint8_t *key = bytes_take(in, MEMBER_KEY_BYTES);
        if (key != NULL)
            memcpy(v->token_key, key, MEMBER_KEY_BYTES);
        v->expires_ms = bytes_u64(in);
        if (v->slot >= SLOTS_MAX || (taken >> v->slot & 1u) != 0 || member_find_slot(d, v->sponsor) == NULL)
            in->bad = true;
        else
            taken |= 1u << v->slot;
    }
    d->invite_count = count;
}

static void put_admission(struct buf *out, const struct member_admission *a)
{
    buf_put(out, a->token_key, sizeof a->token_key);
    buf_put(out, a->public_key, sizeof a->public_key);
    member_put_text(out, a->address);
    member_put_text(out, a->http);
    buf_u64(out, a->at_ms);
    buf_put(out, a->by_token, sizeof a->by_token);
    buf_put(out, a->by_sponsor, sizeof a->by_sponsor);
}

static bool get_admission(struct bytes_in *in, struct member_admission *a)
{
    const uint8_t *token = bytes_take(in, MEMBER_KEY_BYTES), *key = bytes_take(in, MEMBER_KEY_BYTES);
    *a = (struct member_admission){.at_ms = 0};
    member_get_text(in, a->address, sizeof a->address, member_address_ok);
    member_get_text(in, a->http, sizeof a->http, member_address_ok);
    a->at_ms = bytes_u64(in);
    const uint8_t *by_token = bytes_take(in, sizeof a->by_token), *by_sponsor = bytes_take(in, sizeof a->by_sponsor);
    if (in->bad || a->address[0] == '\0')
        return false;
    memcpy(a->token_key, token, MEMBER_KEY_BYTES);
    memcpy(a->public_key, key, MEMBER_KEY_BYTES);
    memcpy(a->by_token, by_token, sizeof a->by_token);
    memcpy(a->by_sponsor, by_sponsor, sizeof a->by_sponsor);
    return true;
}

/* All that can be seen without the sponsor's signature. */
static quartet_status check_request(const struct member_doc *d, const struct member_admission *a, struct err *err)
{
    const struct member_invite *v = member_find_invite(d, a->token_key);
    uint8_t hash[32];
    if (v == NULL)
        return err_set(err, QUARTET_AUTH, "no invitation of this membership fits the token: it was withdrawn, or its node was admitted");
    if (a->at_ms > v->expires_ms)
        return err_set(err, QUARTET_AUTH, "the token for slot %u has expired", (unsigned)v->slot);
    if (member_has_key(d, a->public_key))
        return err_set(err, QUARTET_AUTH, "the key of the new node for slot %u is another node's", (unsigned)v->slot);
    signed_hash(&d->cluster, v->slot, a, false, hash);
    if (crypto_sign_verify_detached(a->by_token, hash, sizeof hash, a->token_key) != 0)
        return err_set(err, QUARTET_AUTH, "the new node for slot %u is not signed by its token", (unsigned)v->slot);
    return QUARTET_OK;
}

static void list_node(struct member_doc *d, uint8_t slot, const struct member_admission *a)
{
    uint32_t at = 0;
    QASSERT(d->node_count < SLOTS_MAX);
    while (at < d->node_count && d->nodes[at].slot < slot)
        at++;
    memmove(&d->nodes[at + 1], &d->nodes[at], (d->node_count - at) * sizeof d->nodes[0]);
    struct member_node *n = &d->nodes[at];
    *n = (struct member_node){.slot = slot};
    memcpy(n->public_key, a->public_key, sizeof n->public_key);
    memcpy(n->address, a->address, sizeof n->address);
    memcpy(n->http, a->http, sizeof n->http);
    d->node_count++;
}

static quartet_status take_admission(struct member_doc *d, const struct member_admission *a, struct err *err)
{
    uint8_t hash[32];
    if (member_find_admission(d, a->token_key) != NULL)
        return err_set(err, QUARTET_AUTH, "two nodes are admitted by one token");
    quartet_status rc = check_request(d, a, err);
    if (rc != QUARTET_OK)
        return rc;
    const struct member_invite *v = member_find_invite(d, a->token_key);
    signed_hash(&d->cluster, v->slot, a, true, hash);
    /* A sponsor is a node that the root lists (member_get_invites). */
    if (crypto_sign_verify_detached(a->by_sponsor, hash, sizeof hash, member_find_slot(d, v->sponsor)->public_key) != 0)
        return err_set(err, QUARTET_AUTH, "the new node for slot %u is not signed by its sponsor", (unsigned)v->slot);
    d->admissions[d->admission_count++] = *a;
    list_node(d, v->slot, a);
    return QUARTET_OK;
}

quartet_status member_get_admissions(struct bytes_in *in, struct member_doc *d, struct err *err)
{
    uint32_t count = bytes_count(in, ADMISSION_BYTES_MIN);
    quartet_status rc = QUARTET_OK;
    if (in->bad || count > d->invite_count)
        return err_set(err, QUARTET_CORRUPT, "malformed admissions behind the membership document");
    for (uint32_t i = 0; rc == QUARTET_OK && i < count; i++) {
        struct member_admission a;
        rc = get_admission(in, &a) ? take_admission(d, &a, err) : err_set(err, QUARTET_CORRUPT, "malformed admissions behind the membership document");
    }
    return rc;
}

/* The root's part of a document, and these admissions. */
static quartet_status put_whole(struct slice root_part, const struct member_admission *const *admissions, uint32_t count, struct buf *out, struct err *err)
{
    buf_put(out, root_part.p, root_part.n);
    buf_varint(out, count);
    for (uint32_t i = 0; i < count; i++)
        put_admission(out, admissions[i]);
    return buf_check(out, err);
}

/* ---- making and using a token ---- */

static void drop_invite(struct member_doc *d, uint32_t at)
{
    d->invite_count--;
    memmove(&d->invites[at], &d->invites[at + 1], (d->invite_count - at) * sizeof d->invites[0]);
}

void member_drop_invites(struct member_doc *d, uint8_t sponsor)
{
    for (uint32_t i = d->invite_count; i-- > 0;)
        if (d->invites[i].sponsor == sponsor && member_find_admission(d, d->invites[i].token_key) == NULL)
            drop_invite(d, i);
}

quartet_status member_invite(struct env *env, struct member_doc *doc, uint8_t sponsor, uint64_t expires_ms, struct member_token *token, struct err *err)
{
    uint64_t now_ms = env->ops->wall_us(env) / 1000u;
    uint32_t taken = 0, slot = 0;
    const struct member_node *by = member_find_slot(doc, sponsor);
    if (by == NULL)
        return err_set(err, QUARTET_NOTFOUND, "there is no node %u that could let another one in", (unsigned)sponsor);
    if (expires_ms <= now_ms)
        return err_set(err, QUARTET_MISUSE, "the token would have expired when it is made");
    for (uint32_t i = doc->invite_count; i-- > 0;) /* where somebody came by it all the same, and only the members know yet, they refuse the new document */
        if (doc->invites[i].expires_ms < now_ms && member_find_admission(doc, doc->invites[i].token_key) == NULL)
            drop_invite(doc, i);
    for (uint32_t i = 0; i < doc->node_count; i++)
        taken |= 1u << doc->nodes[i].slot;
    for (uint32_t i = 0; i < doc->invite_count; i++)
        taken |= 1u << doc->invites[i].slot;
    while (slot < SLOTS_MAX && (taken >> slot & 1u) != 0)
        slot++;
    if (slot == SLOTS_MAX)
        return err_set(err, QUARTET_LIMIT, "a cluster has at most %u nodes, and this one has them, or tokens for them that have not expired", SLOTS_MAX);
    struct member_token t = {.cluster = doc->cluster, .slot = (uint8_t)slot, .sponsor = sponsor, .expires_ms = expires_ms};
    struct member_key key = {.kind = MEMBER_KEY_CLIENT};
    uint8_t secret[64];
    quartet_status rc = env->ops->random(env, t.seed, sizeof t.seed, err);
    if (rc != QUARTET_OK)
        return rc;
    memcpy(t.address, by->address, sizeof t.address);
    struct member_invite *v = &doc->invites[doc->invite_count++];
    *v = (struct member_invite){.slot = t.slot, .sponsor = sponsor, .expires_ms = expires_ms};
    memcpy(key.seed, t.seed, sizeof key.seed);
    member_key_expand(&key, secret, v->token_key);
    sodium_memzero(secret, sizeof secret);
    member_key_wipe(&key);
    *token = t;
    return QUARTET_OK;
}

quartet_status member_token_write(const struct member_token *t, struct buf *out, struct err *err)
{
    struct buf bytes = {0};
    uint8_t check[16];
    buf_put(&bytes, t->cluster.b, sizeof t->cluster.b);
    buf_u8(&bytes, t->slot);
    buf_u8(&bytes, t->sponsor);
    buf_u64(&bytes, t->expires_ms);
    buf_put(&bytes, t->seed, sizeof t->seed);
    member_put_text(&bytes, t->address);
    quartet_status rc = buf_check(&bytes, err);
    if (rc == QUARTET_OK) {
        (void)crypto_generichash(check, sizeof check, bytes.data, bytes.len, NULL, 0);
        buf_put(&bytes, check, 4);
        rc = buf_check(&bytes, err);
    }
    if (rc == QUARTET_OK) {
        size_t n = sodium_base64_encoded_len(bytes.len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        buf_str(out, token_head);
        uint8_t *to = buf_reserve(out, n);
        if (to != NULL) {
            (void)sodium_bin2base64((char *)to, n, bytes.data, bytes.len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
            out->len += n - 1; /* without its NUL */
        }
        rc = buf_check(out, err);
    }
    if (bytes.data != NULL)
        sodium_memzero(bytes.data, bytes.len);
    buf_deinit(&bytes);
    return rc;
}

quartet_status member_token_parse(const char *text, struct member_token *out, struct err *err)
{
    uint8_t bytes[MEMBER_TOKEN_BYTES_MAX], check[16];
    size_t n = 0, head = sizeof token_head - 1;
    struct member_token t = {.slot = 0};
    bool ok = strncmp(text, token_head, head) == 0 &&
              sodium_base642bin(bytes, sizeof bytes, text + head, strlen(text + head), NULL, &n, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 && n > 4;
    if (ok) {
        (void)crypto_generichash(check, sizeof check, bytes, n - 4, NULL, 0);
        ok = memcmp(check, bytes + n - 4, 4) == 0;
    }
    if (ok) {
        struct bytes_in in = bytes_in(bytes, n - 4);
        const uint8_t *cluster = bytes_take(&in, sizeof t.cluster.b);
        t.slot = bytes_u8(&in);
        t.sponsor = bytes_u8(&in);
        t.expires_ms = bytes_u64(&in);
        const uint8_t *seed = bytes_take(&in, sizeof t.seed);
        member_get_text(&in, t.address, sizeof t.address, member_address_ok);
        ok = !in.bad && in.left == 0 && t.slot < SLOTS_MAX && t.sponsor < SLOTS_MAX && t.slot != t.sponsor;
        if (ok) {
            memcpy(t.cluster.b, cluster, sizeof t.cluster.b);
            memcpy(t.seed, seed, sizeof t.seed);
        }
    }
    sodium_memzero(bytes, sizeof bytes);
    if (!ok)
        return err_set(err, QUARTET_MISUSE, "this is no token, or a part of one is missing: it begins with %s", token_head);
    *out = t;
    sodium_memzero(&t, sizeof t);
    return QUARTET_OK;
}

void member_token_key(const struct member_token *t, struct member_key *out)
{
    uint8_t secret[64], public_key[MEMBER_KEY_BYTES];
    *out = (struct member_key){.kind = MEMBER_KEY_CLIENT, .cluster = t->cluster};
    memcpy(out->seed, t->seed, sizeof out->seed);
    member_key_expand(out, secret, public_key);
    sodium_memzero(secret, sizeof secret);
    member_invite_gate(&t->cluster, public_key, out->gate);
}

quartet_status member_ask_admission(const struct member_token *t, const uint8_t *public_key, const char *address, const char *http, struct member_admission *out, struct err *err)
{
    struct member_admission a = {.at_ms = 0};
    struct member_node n = {.slot = t->slot};
    struct member_key key;
    uint8_t secret[64], hash[32];
    quartet_status rc = member_set_address(&n, address, http, err);
    if (rc != QUARTET_OK)
        return rc;
    memcpy(a.address, n.address, sizeof a.address);
    memcpy(a.http, n.http, sizeof a.http);
    memcpy(a.public_key, public_key, sizeof a.public_key);
    member_token_key(t, &key);
    member_key_expand(&key, secret, a.token_key);
    signed_hash(&t->cluster, t->slot, &a, false, hash);
    (void)crypto_sign_detached(a.by_token, NULL, hash, sizeof hash, secret);
    sodium_memzero(secret, sizeof secret);
    member_key_wipe(&key);
    *out = a;
    return QUARTET_OK;
}

quartet_status member_admit(struct slice doc_bytes, const struct member_key *sponsor, uint64_t now_ms, const struct member_admission *request, struct buf *out, struct err *err)
{
    struct member_doc d = {0};
    struct member_admission a = *request;
    const struct member_admission *all[SLOTS_MAX];
    a.at_ms = now_ms;
    quartet_status rc = member_doc_decode(doc_bytes, &sponsor->cluster, &d, err);
    if (rc != QUARTET_OK)
        return rc;
    const struct member_admission *earlier = member_find_admission(&d, a.token_key);
    const struct member_invite *v = member_find_invite(&d, a.token_key);
    bool again = earlier != NULL && memcmp(earlier->public_key, a.public_key, sizeof a.public_key) == 0;
    if (v != NULL && v->sponsor != sponsor->slot)
        rc = err_set(err, QUARTET_AUTH, "the token for slot %u is to be shown to node %u", (unsigned)v->slot, (unsigned)v->sponsor);
    else if (earlier != NULL && !again)
        rc = err_set(err, QUARTET_AUTH, "the token for slot %u was used: it let in the node at %s", (unsigned)v->slot, earlier->address);
    else if (!again)
        rc = check_request(&d, &a, err);
    if (rc == QUARTET_OK && again) { /* our answer was lost on its way */
        buf_put(out, doc_bytes.p, doc_bytes.n);
        rc = buf_check(out, err);
    } else if (rc == QUARTET_OK) {
        uint8_t secret[64], public_key[MEMBER_KEY_BYTES], hash[32];
        member_key_expand(sponsor, secret, public_key);
        signed_hash(&d.cluster, v->slot, &a, true, hash);
        (void)crypto_sign_detached(a.by_sponsor, NULL, hash, sizeof hash, secret);
        sodium_memzero(secret, sizeof secret);
        uint32_t count = 0;
        for (; count < d.admission_count; count++)
            all[count] = &d.admissions[count];
        all[count++] = &a;
        rc = put_whole(slice_of(doc_bytes.p, d.root_bytes), all, count, out, err);
    }
    member_doc_deinit(&d);
    return rc;
}

quartet_status member_doc_merge(struct slice ours, struct slice theirs, const struct cluster_id *cluster, struct buf *out, struct err *err)
{
    struct member_doc a = {0}, b = {0};
    const struct member_admission *all[2 * SLOTS_MAX];
    uint32_t count = 0;
    quartet_status rc = member_doc_decode(ours, cluster, &a, err);
    if (rc == QUARTET_OK)
        rc = member_doc_decode(theirs, cluster, &b, err);
    bool newer = b.epoch > a.epoch; /* of one number there are no two: the root signs each once */
    const struct member_doc *base = newer ? &b : &a, *other = newer ? &a : &b;
    if (rc == QUARTET_OK && newer && !member_roots_follow(&b, &a))
        rc = err_set(err, QUARTET_AUTH, "membership %llu is signed by a root key that was replaced", (unsigned long long)b.epoch);
    for (uint32_t i = 0; rc == QUARTET_OK && i < base->admission_count; i++)
        all[count++] = &base->admissions[i];
    for (uint32_t i = 0; rc == QUARTET_OK && i < other->admission_count; i++) {
        const struct member_admission *x = &other->admissions[i];
        const struct member_admission *same = member_find_admission(base, x->token_key);
        if (same != NULL && memcmp(same->public_key, x->public_key, sizeof x->public_key) != 0)
            rc = err_set(err, QUARTET_AUTH, "the sponsor let in two nodes by one token, at %s and at %s: evict it", same->address, x->address);
        else if (same == NULL && member_find_invite(base, x->token_key) != NULL)
            all[count++] = x;
        else if (same == NULL && !member_has_key(base, x->public_key) && newer)
            rc = err_set(err, QUARTET_MISUSE, "membership %llu forgets the node at %s, which joined by a token: make it anew, beside a copy of any node's keys/member.qm",
                         (unsigned long long)b.epoch, x->address);
    }
    QASSERT(count <= 2 * SLOTS_MAX);
    if (rc == QUARTET_OK)
        rc = put_whole(slice_of(newer ? theirs.p : ours.p, base->root_bytes), all, count, out, err);
    member_doc_deinit(&a);
    member_doc_deinit(&b);
    return rc;
}

/* member_root.c - the root key and its successors.
 * Why a chain in each document: the cluster's id is a hash of the first root key, and stays; whoever knows the id follows the chain from that key to the one that signs now, however
 *   long he was away. A document whose chain does not begin with the one that is known is refused (member_doc_merge), so a key that was replaced signs nothing for who has heard of that.
 *   Who has not heard of it cannot tell: a node that only knew the first key, and meets nobody but a thief who has that one and the gate secret, believes him.
 * Not here: what the root signs (member.c). */
#include <sodium.h>
#include <string.h>

#include "member_internal.h"

#define ROOT_BYTES (MEMBER_KEY_BYTES + 64u)

const uint8_t *member_root_key(const struct member_doc *d)
{
    return d->root_count == 0 ? d->root_key : d->roots[d->root_count - 1].public_key;
}

static void signed_hash(const struct member_doc *d, uint32_t index, const uint8_t *public_key, uint8_t *out)
{
    static const char label[] = "quartet root 1";
    uint8_t number = (uint8_t)index;
    crypto_generichash_state s;
    (void)crypto_generichash_init(&s, NULL, 0, 32);
    (void)crypto_generichash_update(&s, (const uint8_t *)label, sizeof label);
    (void)crypto_generichash_update(&s, d->cluster.b, sizeof d->cluster.b);
    (void)crypto_generichash_update(&s, &number, 1);
    (void)crypto_generichash_update(&s, public_key, MEMBER_KEY_BYTES);
    (void)crypto_generichash_final(&s, out, 32);
}

void member_put_roots(struct buf *out, const struct member_doc *d)
{
    buf_varint(out, d->root_count);
    for (uint32_t i = 0; i < d->root_count; i++) {
        buf_put(out, d->roots[i].public_key, sizeof d->roots[i].public_key);
        buf_put(out, d->roots[i].signature, sizeof d->roots[i].signature);
    }
}

void member_get_roots(struct bytes_in *in, struct member_doc *d)
{
    uint32_t count = bytes_count(in, ROOT_BYTES);
    if (in->bad || count > MEMBER_ROOTS_MAX) {
        in->bad = true;
        return;
    }
    for (uint32_t i = 0; i < count && !in->bad; i++) {
        const uint8_t *key = bytes_take(in, MEMBER_KEY_BYTES), *signature = bytes_take(in, sizeof d->roots[i].signature);
        if (key == NULL || signature == NULL)
            return; /* in->bad */
        memcpy(d->roots[i].public_key, key, MEMBER_KEY_BYTES);
        memcpy(d->roots[i].signature, signature, sizeof d->roots[i].signature);
    }
    d->root_count = count;
}

quartet_status member_check_roots(const struct member_doc *d, struct err *err)
{
    const uint8_t *by = d->root_key;
    for (uint32_t i = 0; i < d->root_count; i++) {
        uint8_t hash[32];
        signed_hash(d, i, d->roots[i].public_key, hash);
        if (crypto_sign_verify_detached(d->roots[i].signature, hash, sizeof hash, by) != 0)
            return err_set(err, QUARTET_AUTH, "root key %u of the membership document is not signed by the one before it", i + 2);
        by = d->roots[i].public_key;
    }
    return QUARTET_OK;
}

bool member_roots_follow(const struct member_doc *d, const struct member_doc *earlier)
{
    return d->root_count >= earlier->root_count && memcmp(d->roots, earlier->roots, earlier->root_count * sizeof d->roots[0]) == 0;
}

quartet_status member_new_root(struct env *env, struct member_doc *doc, const struct member_key *root, struct member_key *fresh, struct err *err)
{
    uint8_t secret[64], public_key[MEMBER_KEY_BYTES], hash[32];
    if (doc->root_count >= MEMBER_ROOTS_MAX)
        return err_set(err, QUARTET_LIMIT, "the root key was replaced %u times, the most that a document remembers", MEMBER_ROOTS_MAX);
    struct member_root *r = &doc->roots[doc->root_count];
    struct member_key k = *root;
    quartet_status rc = env->ops->random(env, k.seed, sizeof k.seed, err);
    if (rc != QUARTET_OK)
        return rc;
    member_key_expand(&k, secret, r->public_key);
    signed_hash(doc, doc->root_count, r->public_key, hash);
    member_key_expand(root, secret, public_key);
    bool ours = memcmp(public_key, member_root_key(doc), sizeof public_key) == 0;
    (void)crypto_sign_detached(r->signature, NULL, hash, sizeof hash, secret);
    sodium_memzero(secret, sizeof secret);
    if (ours) {
        doc->root_count++;
        *fresh = k;
    }
    member_key_wipe(&k);
    return ours ? QUARTET_OK : err_set(err, QUARTET_AUTH, "the root key is not the one of this cluster");
}

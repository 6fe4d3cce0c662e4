/* member.h - who belongs to the cluster: the membership document, signed by the cluster's root key,
 * and the key files.
 *
 * Pure: bytes in, bytes out; the caller reads and writes files. The document is public; the gate
 * secret and all seeds are in key files (mode 0600). A client that knows only the cluster's id can
 * trust a document: the id is a hash of root key and salt. */
#ifndef NET_MEMBER_H
#define NET_MEMBER_H

#include "base/env.h"
#include "crdt/delta_sign.h"

#define MEMBER_KEY_BYTES          32u
#define MEMBER_ADDRESS_BYTES_MAX  128u /* "host:port" with its NUL */
#define MEMBER_NAME_BYTES_MAX     64u  /* with its NUL */
#define MEMBER_CLIENTS_MAX        256u
#define MEMBER_FORMER_MAX         64u /* evictions that a document remembers */
#define MEMBER_ROOTS_MAX          16u /* root keys after the first */
#define MEMBER_DOC_BYTES_MAX      (48u << 10)
#define MEMBER_TOKEN_BYTES_MAX    256u
#define MEMBER_KEY_FILE_BYTES_MAX 1024u

/* Flags of a node; unknown ones are kept as they are. It replicates as always; what differs is whom clients choose. */
#define MEMBER_DRAINED 1u /* clients keep away while another node answers; /readyz says no */
#define MEMBER_STANDBY 2u /* clients come only where no other node answers */

struct member_node {
    uint8_t slot;                           /* 0 to 3 */
    uint8_t public_key[MEMBER_KEY_BYTES];   /* Ed25519 */
    uint32_t flags;                         /* MEMBER_DRAINED, MEMBER_STANDBY */
    char address[MEMBER_ADDRESS_BYTES_MAX]; /* native protocol, peers and clients */
    char http[MEMBER_ADDRESS_BYTES_MAX];    /* may be empty */
    char zone[MEMBER_NAME_BYTES_MAX];       /* may be empty */
};

struct member_former { /* was evicted: what others had taken of it before stays, and its signatures are needed for that */
    uint8_t slot;
    uint8_t public_key[MEMBER_KEY_BYTES];
    uint64_t epoch; /* of the document that evicted it */
};

struct member_root { /* a root key that took the place of the one before */
    uint8_t public_key[MEMBER_KEY_BYTES];
    uint8_t signature[64]; /* by the one before */
};

struct member_invite { /* who has the token's seed may become the node of this slot, once: member_join.c */
    uint8_t slot, sponsor; /* the member that lets it in */
    uint8_t token_key[MEMBER_KEY_BYTES];
    uint64_t expires_ms; /* by the sponsor's clock */
};

struct member_admission { /* the node that came by an invitation */
    uint8_t token_key[MEMBER_KEY_BYTES], public_key[MEMBER_KEY_BYTES];
    char address[MEMBER_ADDRESS_BYTES_MAX], http[MEMBER_ADDRESS_BYTES_MAX];
    uint64_t at_ms; /* the sponsor's clock */
    uint8_t by_token[64], by_sponsor[64];
};

struct member_token { /* what `quartetd token` gives to the new node. Wipe it */
    struct cluster_id cluster;
    uint8_t slot, sponsor;
    uint64_t expires_ms;
    uint8_t seed[32];
    char address[MEMBER_ADDRESS_BYTES_MAX]; /* the sponsor's */
};

struct member_client {
    char name[MEMBER_NAME_BYTES_MAX];
    uint8_t public_key[MEMBER_KEY_BYTES];
    uint32_t flags;
};

struct member_doc {
    struct cluster_id cluster; /* BLAKE2b-256("quartet cluster", root key, salt) */
    uint64_t epoch;            /* grows with every change; the higher one holds */
    uint8_t root_key[MEMBER_KEY_BYTES]; /* the first; member_root_key: the one that signs now */
    struct member_root roots[MEMBER_ROOTS_MAX];
    uint32_t root_count;
    uint8_t salt[32];
    struct member_node nodes[SLOTS_MAX]; /* by slot, ascending; admitted ones, too */
    uint32_t node_count;
    struct member_client *clients; /* owned */
    uint32_t client_count;
    struct member_former former[MEMBER_FORMER_MAX]; /* oldest first */
    uint32_t former_count;
    struct member_invite invites[SLOTS_MAX]; /* used ones, too, as long as there is an admission */
    uint32_t invite_count;
    struct member_admission admissions[SLOTS_MAX]; /* not signed by the root */
    uint32_t admission_count;
    size_t root_bytes; /* of a decoded one: how many of its bytes the root's part has */
};

enum member_key_kind { MEMBER_KEY_NODE = 1, MEMBER_KEY_CLIENT = 2, MEMBER_KEY_ROOT = 3 };

/* What a key file holds. Wipe with member_key_wipe. */
struct member_key {
    enum member_key_kind kind;
    uint8_t slot;                     /* of a node; else 0 */
    char name[MEMBER_NAME_BYTES_MAX]; /* of a client; else empty */
    struct cluster_id cluster;
    uint8_t seed[32]; /* Ed25519 */
    uint8_t gate[32]; /* the cluster's gate secret; zeros in a root key file */
};

void member_doc_deinit(struct member_doc *d);
quartet_status member_doc_copy(struct member_doc *to, const struct member_doc *from,
                               struct err *err);
const struct member_node *member_find_slot(const struct member_doc *d,
                                           uint8_t slot); /* NULL where absent */
const struct member_node *member_find_node(const struct member_doc *d, const uint8_t *public_key);
const struct member_former *member_find_former(const struct member_doc *d, const uint8_t *public_key);
const struct member_client *member_find_client(const struct member_doc *d,
                                               const uint8_t *public_key);

/* The document's bytes with the root key's signature, appended to `out`. root_seed: 32 bytes, of
 * member_root_key. Nodes that were admitted by a token are listed as any other from then on. */
quartet_status member_doc_encode(const struct member_doc *d, const uint8_t *root_seed,
                                 struct buf *out, struct err *err);
/* Bounds, structure, that the id fits root key and salt, and the signature. `cluster`: the id it
 * must have, or NULL. QUARTET_CORRUPT, QUARTET_AUTH. *out is the caller's (member_doc_deinit). */
quartet_status member_doc_decode(struct slice bytes, const struct cluster_id *cluster,
                                 struct member_doc *out, struct err *err);

/* Which of two documents has news: by the root's number; of one number, by who was admitted since. To be compared by the second function alone. */
uint64_t member_version(const struct member_doc *d);
bool member_version_has_news(uint64_t theirs, uint64_t ours);
/* The newer of both with all admissions of either, appended to `out`. QUARTET_AUTH: theirs is signed by a root key that was replaced. QUARTET_MISUSE: it forgets a node that was admitted. */
quartet_status member_doc_merge(struct slice ours, struct slice theirs, const struct cluster_id *cluster, struct buf *out, struct err *err);

const uint8_t *member_root_key(const struct member_doc *d);
bool member_roots_follow(const struct member_doc *d, const struct member_doc *earlier); /* no other root keys than those of `earlier`, but for later ones */
/* The document is to be signed by *fresh from now on. QUARTET_AUTH: `root` is not the present key. QUARTET_LIMIT: past MEMBER_ROOTS_MAX. */
quartet_status member_new_root(struct env *env, struct member_doc *doc, const struct member_key *root, struct member_key *fresh, struct err *err);

/* Tokens. An invitation for the lowest free slot; invitations that have expired go. QUARTET_LIMIT: no slot is free. */
quartet_status member_invite(struct env *env, struct member_doc *doc, uint8_t sponsor, uint64_t expires_ms, struct member_token *token, struct err *err);
void member_drop_invites(struct member_doc *d, uint8_t sponsor); /* those of this sponsor that were not used */
quartet_status member_token_write(const struct member_token *t, struct buf *out, struct err *err); /* as text */
quartet_status member_token_parse(const char *text, struct member_token *out, struct err *err);   /* QUARTET_MISUSE */
void member_token_key(const struct member_token *t, struct member_key *out); /* for the handshake: its seed, and a gate of its own */
void member_invite_gate(const struct cluster_id *cluster, const uint8_t *token_key, uint8_t *gate); /* that gate, 32 bytes */
const struct member_invite *member_find_invite(const struct member_doc *d, const uint8_t *token_key);
const struct member_admission *member_find_admission(const struct member_doc *d, const uint8_t *token_key);
/* The new node's request, signed by its token. */
quartet_status member_ask_admission(const struct member_token *t, const uint8_t *public_key, const char *address, const char *http, struct member_admission *out, struct err *err);
/* The sponsor's answer: the document with the admission, appended to `out`; the same document where this node was admitted before. QUARTET_AUTH: not by this token, not now, not again. */
quartet_status member_admit(struct slice doc_bytes, const struct member_key *sponsor, uint64_t now_ms, const struct member_admission *request, struct buf *out, struct err *err);

quartet_status member_key_encode(const struct member_key *k, struct buf *out,
                                 struct err *err); /* a small text, see docs/WIRE.md */
quartet_status member_key_decode(struct slice bytes, struct member_key *out, struct err *err);
void member_key_wipe(struct member_key *k);
/* Refuse a key file that others may read (QUARTET_AUTH). Looks at the real file system. */
quartet_status member_key_check_rights(const char *path, struct err *err);
/* For libsodium: 64 bytes of secret key, 32 of public key, from the seed. */
void member_key_expand(const struct member_key *k, uint8_t *secret64, uint8_t *public32);

/* Make a cluster. In: plan->nodes' slots 0 to node_count - 1 with addresses, client names. Out: the
 * document (without signature: encode it), a key for each node and each client, and the root key.
 * Randomness comes from `env`. */
struct member_plan {
    uint32_t node_count;
    const char *address[SLOTS_MAX];
    const char *http[SLOTS_MAX];
    uint32_t client_count;
    const char *const *client_names;
};
struct member_keys {
    struct member_key root;
    struct member_key nodes[SLOTS_MAX];
    struct member_key *clients; /* owned; client_count of them */
    uint32_t client_count;
};
quartet_status member_init(struct env *env, const struct member_plan *plan, struct member_doc *doc,
                           struct member_keys *keys, struct err *err);
void member_keys_deinit(struct member_keys *keys); /* wipes */

/* Changes of a document that is to be signed anew, with a higher epoch. The new node gets the lowest free slot; *key is filled in. QUARTET_LIMIT: there are four. */
quartet_status member_add_node(struct env *env, struct member_doc *doc, const uint8_t *gate, const char *address, const char *http,
                               struct member_key *key, struct err *err);
/* The node is no member any more; a new one may get its slot. QUARTET_NOTFOUND: there is none. QUARTET_MISUSE: it is the last. QUARTET_LIMIT: past MEMBER_FORMER_MAX. */
quartet_status member_evict(struct member_doc *doc, uint8_t slot, uint64_t epoch, struct err *err);
/* The node in this slot gets another key, *key; the old one is a former node's from now on. QUARTET_NOTFOUND, QUARTET_LIMIT: as member_evict. */
quartet_status member_new_key(struct env *env, struct member_doc *doc, const uint8_t *gate, uint8_t slot, uint64_t epoch, struct member_key *key, struct err *err);
quartet_status member_set_address(struct member_node *n, const char *address, const char *http, struct err *err); /* http NULL: stays */
quartet_status member_set_zone(struct member_node *n, const char *zone, struct err *err);
/* QUARTET_MISUSE: the name is taken, empty or not a name. */
quartet_status member_add_client(struct env *env, struct member_doc *doc, const uint8_t *gate, const char *name, struct member_key *key, struct err *err);
bool member_remove_client(struct member_doc *doc, const char *name); /* false: there is none */

#endif

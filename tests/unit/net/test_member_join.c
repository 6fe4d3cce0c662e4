/* test_member_join.c - tokens, admissions and successors of the root key: what lets a node in, and all that does not. */
#include "unit/cunit.h"

#include "net/join.h"
#include "unit/net/toy.h"

#define NOW_MS 1800000000000u

/* A cluster of two with an invitation of node 1, and what a new node has made of the token. */
struct scene {
    struct toy_cluster c;
    struct toy_env env;
    struct member_token token;
    struct member_key joining;
    uint8_t public_key[MEMBER_KEY_BYTES];
    struct member_admission request;
    struct buf doc; /* with the invitation */
};

static struct slice bytes_of(const struct buf *b)
{
    return slice_of(b->data, b->len);
}

static void sign(struct scene *s, struct buf *out)
{
    struct err err = ERR_INIT;
    buf_clear(out);
    CU_ASSERT_EQUAL_FATAL(member_doc_encode(&s->c.doc, s->c.keys.root.seed, out, &err), QUARTET_OK);
}

static void new_key(struct scene *s, uint8_t with, struct member_key *k, uint8_t *public_key)
{
    uint8_t secret[64];
    *k = (struct member_key){.kind = MEMBER_KEY_NODE, .slot = 2, .cluster = s->c.doc.cluster, .seed = {with, 77}};
    member_key_expand(k, secret, public_key);
}

static struct scene *scene_new(void)
{
    struct scene *s = mem_zalloc(1, sizeof *s);
    struct err err = ERR_INIT;
    toy_env_init(&s->env, 5);
    s->env.now_us = (uint64_t)NOW_MS * 1000u;
    toy_cluster_init(&s->c, 2, NULL, 5);
    s->c.doc.epoch = 2;
    uint64_t now = s->env.env.ops->wall_us(&s->env.env) / 1000u;
    CU_ASSERT_EQUAL_FATAL(member_invite(&s->env.env, &s->c.doc, 1, now + 60000, &s->token, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(s->token.slot, 2);
    sign(s, &s->doc);
    new_key(s, 1, &s->joining, s->public_key);
    CU_ASSERT_EQUAL_FATAL(member_ask_admission(&s->token, s->public_key, "new:1", "new:2", &s->request, &err), QUARTET_OK);
    return s;
}

static void scene_free(struct scene *s)
{
    buf_deinit(&s->doc);
    toy_cluster_deinit(&s->c);
    mem_free(s);
}

static uint64_t now_ms(struct scene *s)
{
    return s->env.env.ops->wall_us(&s->env.env) / 1000u;
}

/* The sponsor's answer at that time. */
static quartet_status admit(struct scene *s, const struct buf *doc, uint8_t sponsor, uint64_t at_ms, const struct member_admission *request, struct buf *out, struct err *err)
{
    *err = (struct err)ERR_INIT;
    buf_clear(out);
    return member_admit(bytes_of(doc), &s->c.keys.nodes[sponsor], at_ms, request, out, err);
}

static void test_a_token_lets_in_one_node(void)
{
    struct scene *s = scene_new();
    struct buf text = {0}, with = {0}, again = {0};
    struct member_token read;
    struct member_doc d = {0};
    struct err err = ERR_INIT;
    CU_ASSERT_EQUAL(member_token_write(&s->token, &text, &err), QUARTET_OK);
    buf_u8(&text, 0);
    CU_ASSERT_EQUAL_FATAL(member_token_parse((const char *)text.data, &read, &err), QUARTET_OK);
    CU_ASSERT(memcmp(read.seed, s->token.seed, sizeof read.seed) == 0 && read.slot == 2 && read.sponsor == 1 && read.expires_ms == s->token.expires_ms);
    CU_ASSERT_STRING_EQUAL(read.address, s->token.address);
    CU_ASSERT_EQUAL_FATAL(admit(s, &s->doc, 1, now_ms(s), &s->request, &with, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(member_doc_decode(bytes_of(&with), &s->c.doc.cluster, &d, &err), QUARTET_OK);
    const struct member_node *n = member_find_slot(&d, 2);
    CU_ASSERT_FATAL(n != NULL && d.node_count == 3);
    CU_ASSERT(memcmp(n->public_key, s->public_key, sizeof n->public_key) == 0);
    CU_ASSERT_STRING_EQUAL(n->address, "new:1");
    CU_ASSERT_STRING_EQUAL(n->http, "new:2");
    CU_ASSERT(member_version_has_news(member_version(&d), member_version(&s->c.doc)) && !member_version_has_news(member_version(&s->c.doc), member_version(&d)));
    /* The answer was lost: the same node is answered alike, another one is not. */
    CU_ASSERT_EQUAL(admit(s, &with, 1, now_ms(s) + 1000, &s->request, &again, &err), QUARTET_OK);
    CU_ASSERT(slice_eq(bytes_of(&with), bytes_of(&again)));
    struct member_key other;
    struct member_admission second;
    uint8_t key[MEMBER_KEY_BYTES];
    new_key(s, 2, &other, key);
    CU_ASSERT_EQUAL(member_ask_admission(&s->token, key, "thief:1", NULL, &second, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(admit(s, &with, 1, now_ms(s), &second, &again, &err), QUARTET_AUTH);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "was used: it let in the node at new:1"));
    /* The next document of the root lists it as any other, and the token means nothing any more. */
    d.epoch++;
    buf_clear(&again);
    CU_ASSERT_EQUAL(member_doc_encode(&d, s->c.keys.root.seed, &again, &err), QUARTET_OK);
    member_doc_deinit(&d);
    CU_ASSERT_EQUAL_FATAL(member_doc_decode(bytes_of(&again), NULL, &d, &err), QUARTET_OK);
    CU_ASSERT(d.node_count == 3 && d.invite_count == 0 && d.admission_count == 0);
    buf_clear(&with);
    CU_ASSERT_EQUAL(admit(s, &again, 1, now_ms(s), &second, &with, &err), QUARTET_AUTH);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "no invitation of this membership fits the token"));
    member_doc_deinit(&d);
    buf_deinit(&text);
    buf_deinit(&with);
    buf_deinit(&again);
    scene_free(s);
}

static void test_who_is_not_let_in(void)
{
    struct scene *s = scene_new();
    struct buf out = {0};
    struct err err = ERR_INIT;
    struct member_admission r = s->request;
    CU_ASSERT_EQUAL(admit(s, &s->doc, 0, now_ms(s), &r, &out, &err), QUARTET_AUTH); /* it is for node 1 to do */
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "to be shown to node 1"));
    CU_ASSERT_EQUAL(admit(s, &s->doc, 1, s->token.expires_ms + 1, &r, &out, &err), QUARTET_AUTH);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "has expired"));
    CU_ASSERT_EQUAL(admit(s, &s->doc, 1, s->token.expires_ms, &r, &out, &err), QUARTET_OK);
    r.by_token[3] ^= 1;
    CU_ASSERT_EQUAL(admit(s, &s->doc, 1, now_ms(s), &r, &out, &err), QUARTET_AUTH);
    r = s->request;
    r.address[0] = 'm'; /* somebody on the way would have it called elsewhere */
    CU_ASSERT_EQUAL(admit(s, &s->doc, 1, now_ms(s), &r, &out, &err), QUARTET_AUTH);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "not signed by its token"));
    /* With the key of a node that there is. */
    CU_ASSERT_EQUAL(member_ask_admission(&s->token, s->c.doc.nodes[0].public_key, "new:1", NULL, &r, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(admit(s, &s->doc, 1, now_ms(s), &r, &out, &err), QUARTET_AUTH);
    /* By another cluster's token. */
    struct scene *other = mem_zalloc(1, sizeof *other);
    toy_env_init(&other->env, 6);
    toy_cluster_init(&other->c, 2, NULL, 6);
    CU_ASSERT_EQUAL(member_invite(&other->env.env, &other->c.doc, 1, now_ms(other) + 60000, &other->token, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(member_ask_admission(&other->token, s->public_key, "new:1", NULL, &r, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(admit(s, &s->doc, 1, now_ms(s), &r, &out, &err), QUARTET_AUTH);
    /* A fifth node. */
    struct member_token more;
    CU_ASSERT_EQUAL(member_invite(&s->env.env, &s->c.doc, 0, now_ms(s) + 1000, &more, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(more.slot, 3);
    CU_ASSERT_EQUAL(member_invite(&s->env.env, &s->c.doc, 0, now_ms(s) + 1000, &more, &err), QUARTET_LIMIT);
    CU_ASSERT_EQUAL(member_add_node(&s->env.env, &s->c.doc, s->joining.gate, "x:1", NULL, &s->joining, &err), QUARTET_LIMIT);
    CU_ASSERT_EQUAL(member_invite(&s->env.env, &s->c.doc, 2, now_ms(s) + 1000, &more, &err), QUARTET_NOTFOUND);
    CU_ASSERT_EQUAL(member_invite(&s->env.env, &s->c.doc, 0, now_ms(s), &more, &err), QUARTET_MISUSE);
    scene_free(other);
    buf_deinit(&out);
    scene_free(s);
}

/* Whatever of an admission is changed, and whoever else signs it: the document is refused. */
static void test_forged_admissions_are_refused(void)
{
    struct scene *s = scene_new();
    struct buf with = {0}, forged = {0};
    struct member_doc d = {0};
    struct err err = ERR_INIT;
    CU_ASSERT_EQUAL_FATAL(admit(s, &s->doc, 1, now_ms(s), &s->request, &with, &err), QUARTET_OK);
    CU_ASSERT(with.len > s->doc.len);
    for (size_t bit = (s->doc.len - 1) * 8; bit < with.len * 8; bit++) {
        uint8_t *copy = mem_dup(with.data, with.len);
        copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        CU_ASSERT_NOT_EQUAL(member_doc_decode(slice_of(copy, with.len), NULL, &d, &err), QUARTET_OK);
        mem_free(copy);
    }
    for (size_t n = 0; n < with.len; n++) {
        uint8_t *copy = mem_dup(with.data, n);
        CU_ASSERT_NOT_EQUAL(member_doc_decode(slice_of(copy, n), NULL, &d, &err), QUARTET_OK);
        mem_free(copy);
    }
    /* Node 0 signs in the place of node 1. */
    struct member_key as_one = s->c.keys.nodes[0];
    as_one.slot = 1;
    CU_ASSERT_EQUAL(member_admit(bytes_of(&s->doc), &as_one, now_ms(s), &s->request, &forged, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(member_doc_decode(bytes_of(&forged), NULL, &d, &err), QUARTET_AUTH);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "not signed by its sponsor"));
    /* One invitation, the same admission twice. */
    buf_clear(&forged);
    buf_put(&forged, with.data, with.len);
    buf_put(&forged, with.data + s->doc.len, with.len - s->doc.len);
    forged.data[s->doc.len - 1] = 2;
    CU_ASSERT_NOT_EQUAL(member_doc_decode(bytes_of(&forged), NULL, &d, &err), QUARTET_OK);
    buf_deinit(&with);
    buf_deinit(&forged);
    scene_free(s);
}

static void test_documents_are_merged(void)
{
    struct scene *s = scene_new();
    struct buf with = {0}, newer = {0}, out = {0}, third = {0};
    struct member_doc d = {0};
    struct err err = ERR_INIT;
    const struct cluster_id *id = &s->c.doc.cluster;
    CU_ASSERT_EQUAL_FATAL(admit(s, &s->doc, 1, now_ms(s), &s->request, &with, &err), QUARTET_OK);
    /* The same number: who was admitted comes to all. */
    for (int turn = 0; turn < 2; turn++) {
        buf_clear(&out);
        CU_ASSERT_EQUAL(member_doc_merge(bytes_of(turn == 0 ? &with : &s->doc), bytes_of(turn == 0 ? &s->doc : &with), id, &out, &err), QUARTET_OK);
        CU_ASSERT(slice_eq(bytes_of(&out), bytes_of(&with)));
    }
    /* A newer one that still has the invitation: likewise. */
    s->c.doc.epoch = 3;
    sign(s, &newer);
    buf_clear(&out);
    CU_ASSERT_EQUAL(member_doc_merge(bytes_of(&with), bytes_of(&newer), id, &out, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(member_doc_decode(bytes_of(&out), id, &d, &err), QUARTET_OK);
    CU_ASSERT(d.epoch == 3 && d.node_count == 3 && d.admission_count == 1);
    member_doc_deinit(&d);
    /* One that has it no more and does not list the node forgets it. */
    struct member_invite invite = s->c.doc.invites[0];
    s->c.doc.invite_count = 0;
    sign(s, &newer);
    buf_clear(&out);
    CU_ASSERT_EQUAL(member_doc_merge(bytes_of(&with), bytes_of(&newer), id, &out, &err), QUARTET_MISUSE);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "forgets the node at new:1"));
    /* One that evicts it does not. */
    struct member_former f = {.slot = 2, .epoch = 3};
    memcpy(f.public_key, s->public_key, sizeof f.public_key);
    s->c.doc.former[s->c.doc.former_count++] = f;
    sign(s, &newer);
    buf_clear(&out);
    CU_ASSERT_EQUAL(member_doc_merge(bytes_of(&with), bytes_of(&newer), id, &out, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(member_doc_decode(bytes_of(&out), id, &d, &err), QUARTET_OK);
    CU_ASSERT(d.node_count == 2 && d.former_count == 1 && d.admission_count == 0);
    member_doc_deinit(&d);
    /* An older one changes nothing. */
    buf_clear(&out);
    CU_ASSERT_EQUAL(member_doc_merge(bytes_of(&newer), bytes_of(&with), id, &out, &err), QUARTET_OK);
    CU_ASSERT(slice_eq(bytes_of(&out), bytes_of(&newer)));
    /* A sponsor that lies has let in two by one token: everybody who sees both says so. */
    s->c.doc.epoch = 2;
    s->c.doc.former_count = 0;
    s->c.doc.invites[0] = invite;
    s->c.doc.invite_count = 1;
    struct member_key other;
    struct member_admission second;
    uint8_t key[MEMBER_KEY_BYTES];
    new_key(s, 9, &other, key);
    CU_ASSERT_EQUAL(member_ask_admission(&s->token, key, "two:1", NULL, &second, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(admit(s, &s->doc, 1, now_ms(s), &second, &third, &err), QUARTET_OK);
    buf_clear(&out);
    CU_ASSERT_EQUAL(member_doc_merge(bytes_of(&with), bytes_of(&third), id, &out, &err), QUARTET_AUTH);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "let in two nodes by one token"));
    buf_deinit(&with);
    buf_deinit(&newer);
    buf_deinit(&out);
    buf_deinit(&third);
    scene_free(s);
}

/* A sponsor's key that is replaced, or a sponsor that is evicted, takes its open invitations along. */
static void test_invitations_go_with_their_sponsor(void)
{
    struct scene *s = scene_new();
    struct member_key key;
    struct err err = ERR_INIT;
    uint8_t gate[32] = {1};
    CU_ASSERT_EQUAL(s->c.doc.invite_count, 1);
    CU_ASSERT_EQUAL(member_new_key(&s->env.env, &s->c.doc, gate, 0, 3, &key, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(s->c.doc.invite_count, 1);
    CU_ASSERT_EQUAL(member_new_key(&s->env.env, &s->c.doc, gate, 1, 3, &key, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(s->c.doc.invite_count, 0);
    CU_ASSERT_EQUAL(member_invite(&s->env.env, &s->c.doc, 1, now_ms(s) + 1000, &s->token, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(member_evict(&s->c.doc, 1, 4, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(s->c.doc.invite_count, 0);
    CU_ASSERT_EQUAL(member_invite(&s->env.env, &s->c.doc, 0, now_ms(s) + 1000, &s->token, &err), QUARTET_OK);
    s->env.now_us += 10000000; /* and those that have expired go with the next one */
    CU_ASSERT_EQUAL(member_invite(&s->env.env, &s->c.doc, 0, now_ms(s) + 1000, &s->token, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(s->c.doc.invite_count, 1);
    scene_free(s);
}

static void test_requests_and_tokens_are_checked(void)
{
    struct scene *s = scene_new();
    struct buf text = {0}, message = {0};
    struct member_token t;
    struct member_admission a;
    struct err err = ERR_INIT;
    CU_ASSERT_EQUAL(member_token_write(&s->token, &text, &err), QUARTET_OK);
    for (size_t n = 0; n < text.len; n++) {
        char *copy = mem_zalloc(1, n + 1);
        memcpy(copy, text.data, n);
        CU_ASSERT_EQUAL(member_token_parse(copy, &t, &err), QUARTET_MISUSE);
        mem_free(copy);
    }
    char *long_one = mem_zalloc(1, 100000);
    memset(long_one, 'A', 99999);
    memcpy(long_one, text.data, 16);
    CU_ASSERT_EQUAL(member_token_parse(long_one, &t, &err), QUARTET_MISUSE);
    mem_free(long_one);
    join_put_request(&message, &s->request);
    CU_ASSERT_EQUAL(join_get_request(bytes_of(&message), s->request.token_key, &a, &err), QUARTET_OK);
    CU_ASSERT(memcmp(&a, &s->request, sizeof a) == 0);
    for (size_t n = 0; n < message.len; n++) {
        uint8_t *copy = mem_dup(message.data, n);
        CU_ASSERT_EQUAL(join_get_request(slice_of(copy, n), s->request.token_key, &a, &err), QUARTET_CORRUPT);
        mem_free(copy);
    }
    struct prng r;
    prng_seed(&r, unit_seed(1));
    for (int i = 0; i < 20000; i++) {
        uint8_t *copy = mem_dup(message.data, message.len);
        copy[prng_below(&r, message.len)] = (uint8_t)prng_u64(&r);
        copy[prng_below(&r, message.len)] = (uint8_t)prng_u64(&r);
        (void)join_get_request(slice_of(copy, message.len), s->request.token_key, &a, &err); /* it reads nothing that is not there */
        mem_free(copy);
    }
    buf_deinit(&text);
    buf_deinit(&message);
    scene_free(s);
}

static void test_the_root_key_is_replaced(void)
{
    struct scene *s = scene_new();
    struct buf one = {0}, two = {0}, stale = {0}, out = {0};
    struct member_key fresh, newest, wrong;
    struct member_doc d = {0};
    struct err err = ERR_INIT;
    struct cluster_id id = s->c.doc.cluster;
    struct member_doc before = s->c.doc;
    CU_ASSERT_EQUAL(member_new_root(&s->env.env, &s->c.doc, &s->c.keys.nodes[0], &wrong, &err), QUARTET_AUTH); /* not the root's */
    CU_ASSERT_EQUAL(s->c.doc.root_count, 0);
    CU_ASSERT_EQUAL_FATAL(member_new_root(&s->env.env, &s->c.doc, &s->c.keys.root, &fresh, &err), QUARTET_OK);
    s->c.doc.epoch = 3;
    CU_ASSERT_EQUAL(member_doc_encode(&s->c.doc, s->c.keys.root.seed, &out, &err), QUARTET_AUTH); /* the old one signs nothing any more */
    buf_clear(&out);
    CU_ASSERT_EQUAL_FATAL(member_doc_encode(&s->c.doc, fresh.seed, &one, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(member_new_root(&s->env.env, &s->c.doc, &fresh, &newest, &err), QUARTET_OK);
    s->c.doc.epoch = 4;
    CU_ASSERT_EQUAL_FATAL(member_doc_encode(&s->c.doc, newest.seed, &two, &err), QUARTET_OK);
    /* Who was away since the beginning follows both steps at once, and the cluster keeps its id. */
    CU_ASSERT_EQUAL_FATAL(member_doc_decode(bytes_of(&two), &id, &d, &err), QUARTET_OK);
    CU_ASSERT(d.root_count == 2 && d.epoch == 4);
    member_doc_deinit(&d);
    CU_ASSERT_EQUAL(member_doc_merge(bytes_of(&s->doc), bytes_of(&two), &id, &out, &err), QUARTET_OK);
    CU_ASSERT(slice_eq(bytes_of(&out), bytes_of(&two)));
    /* What a thief signs with the first key, or the second, is refused by who knows a later one. */
    before.epoch = 99;
    CU_ASSERT_EQUAL(member_doc_encode(&before, s->c.keys.root.seed, &stale, &err), QUARTET_OK);
    buf_clear(&out);
    CU_ASSERT_EQUAL(member_doc_merge(bytes_of(&two), bytes_of(&stale), &id, &out, &err), QUARTET_AUTH);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "signed by a root key that was replaced"));
    struct member_doc aside = s->c.doc; /* another successor of the first key */
    aside.root_count = 0;
    aside.epoch = 100;
    CU_ASSERT_EQUAL(member_new_root(&s->env.env, &aside, &s->c.keys.root, &wrong, &err), QUARTET_OK);
    buf_clear(&stale);
    CU_ASSERT_EQUAL(member_doc_encode(&aside, wrong.seed, &stale, &err), QUARTET_OK);
    buf_clear(&out);
    CU_ASSERT_EQUAL(member_doc_merge(bytes_of(&two), bytes_of(&stale), &id, &out, &err), QUARTET_AUTH);
    /* A chain with a link that is not signed. */
    for (size_t bit = 109 * 8; bit < (109 + 2 * 96 + 1) * 8; bit++) {
        uint8_t *copy = mem_dup(two.data, two.len);
        copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        CU_ASSERT_NOT_EQUAL(member_doc_decode(slice_of(copy, two.len), &id, &d, &err), QUARTET_OK);
        mem_free(copy);
    }
    struct member_key last = newest, next;
    while (s->c.doc.root_count < MEMBER_ROOTS_MAX) {
        CU_ASSERT_EQUAL_FATAL(member_new_root(&s->env.env, &s->c.doc, &last, &next, &err), QUARTET_OK);
        last = next;
    }
    CU_ASSERT_EQUAL(member_new_root(&s->env.env, &s->c.doc, &last, &next, &err), QUARTET_LIMIT);
    buf_deinit(&one);
    buf_deinit(&two);
    buf_deinit(&stale);
    buf_deinit(&out);
    scene_free(s);
}

const char *const unit_suite = "member_join";
const struct unit_test unit_tests[] = {
    {"a token lets in one node", test_a_token_lets_in_one_node},
    {"who is not let in", test_who_is_not_let_in},
    {"forged admissions are refused", test_forged_admissions_are_refused},
    {"documents are merged", test_documents_are_merged},
    {"invitations go with their sponsor", test_invitations_go_with_their_sponsor},
    {"requests and tokens are checked", test_requests_and_tokens_are_checked},
    {"the root key is replaced", test_the_root_key_is_replaced},
    {NULL, NULL},
};

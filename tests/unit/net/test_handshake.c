/* test_handshake.c - the handshake as two state machines on byte buffers: good ones, and every way
 * to be refused. */
#include "unit/cunit.h"

#include "net/handshake.h"
#include "unit/net/toy.h"

struct pair {
    struct toy_env env;
    struct toy_cluster cluster;
    struct handshake_seen seen;
    struct handshake_config dial, answer;
    handshake *initiator, *responder;
    struct frame_in to_responder, to_initiator;
    struct buf wire;
};

static struct pair *pair_new(uint64_t seed)
{
    struct pair *p = mem_zalloc(1, sizeof *p);
    toy_env_init(&p->env, seed);
    toy_cluster_init(&p->cluster, 4, NULL, seed);
    p->answer = (struct handshake_config){
        .env = &p->env.env,
        .role = NET_ROLE_PEER,
        .cluster = p->cluster.doc.cluster,
        .key = &p->cluster.keys.nodes[1],
        .instance = 22,
        .doc = &p->cluster.doc,
        .doc_bytes = slice_of(p->cluster.doc_bytes.data, p->cluster.doc_bytes.len),
        .expect_slot = -1,
        .seen = &p->seen};
    p->dial = p->answer;
    p->dial.key = &p->cluster.keys.nodes[0];
    p->dial.instance = 11;
    return p;
}

static void pair_as_client(struct pair *p)
{
    p->dial.role = NET_ROLE_CLIENT;
    p->dial.key = &p->cluster.keys.clients[0];
    p->dial.doc = NULL;
}

static void pair_reset(struct pair *p)
{
    handshake_free(p->initiator);
    handshake_free(p->responder);
    p->initiator = p->responder = NULL;
    frame_in_deinit(&p->to_responder);
    frame_in_deinit(&p->to_initiator);
    buf_deinit(&p->wire);
}

static void pair_free(struct pair *p)
{
    pair_reset(p);
    toy_cluster_deinit(&p->cluster);
    mem_free(p);
}

/* How a message is changed on its way: number 1 to 4; *n may shrink. */
typedef void tamper(void *arg, int number, uint8_t *p, size_t *n);

/* Pass the one frame in p->wire to a side; QUARTET_OK also where nothing was there. */
static quartet_status pass(struct pair *p, handshake *to, int number, tamper *how, void *arg,
                           struct err *err)
{
    struct buf out = {0};
    struct frame_in in = {0};
    struct slice body;
    quartet_status rc = QUARTET_OK;
    CU_ASSERT_EQUAL(frame_feed(&in, p->wire.data, p->wire.len, err), QUARTET_OK);
    CU_ASSERT(frame_next(&in, &body, &rc, err));
    uint8_t *copy = mem_dup(body.p, body.n); /* exactly as large: a read past the end is seen */
    size_t n = body.n;
    if (how != NULL)
        how(arg, number, copy, &n);
    uint8_t *exact = mem_dup(copy, n);
    rc = handshake_input(to, slice_of(exact, n), &out, err);
    mem_free(copy);
    mem_free(exact);
    frame_in_deinit(&in);
    buf_deinit(&p->wire);
    p->wire = out;
    return rc;
}

/* The whole handshake; the first failure of either side. */
static quartet_status shake(struct pair *p, tamper *how, void *arg, struct err *err)
{
    pair_reset(p);
    err_clear(err);
    quartet_status rc = handshake_dial(&p->dial, &p->initiator, &p->wire, err);
    if (rc == QUARTET_OK)
        rc = handshake_answer(&p->answer, &p->responder, err);
    if (rc == QUARTET_OK)
        rc = pass(p, p->responder, 1, how, arg, err);
    if (rc == QUARTET_OK)
        rc = pass(p, p->initiator, 2, how, arg, err);
    if (rc == QUARTET_OK)
        rc = pass(p, p->responder, 3, how, arg, err);
    if (rc == QUARTET_OK)
        rc = pass(p, p->initiator, 4, how, arg, err);
    return rc;
}

static void exchange(channel *from, channel *to, size_t n, struct prng *prng)
{
    struct buf out = {0};
    struct err err = ERR_INIT;
    uint8_t *p = mem_alloc(n);
    prng_fill(prng, p, n);
    CU_ASSERT_EQUAL(channel_seal(from, slice_of(p, n), &out, &err), QUARTET_OK);
    struct frame_in in = {0};
    struct slice body, message = {0};
    quartet_status rc = QUARTET_OK;
    bool complete = false, ended = false;
    CU_ASSERT_EQUAL(frame_feed(&in, out.data, out.len, &err), QUARTET_OK);
    while (!complete && frame_next(&in, &body, &rc, &err))
        CU_ASSERT_EQUAL_FATAL(channel_open(to, body, &complete, &message, &ended, &err),
                              QUARTET_OK);
    CU_ASSERT(complete && slice_eq(message, slice_of(p, n)));
    frame_in_deinit(&in);
    buf_deinit(&out);
    mem_free(p);
}

static void test_peers_meet_and_talk(void)
{
    struct pair *p = pair_new(1);
    struct err err = ERR_INIT;
    CU_ASSERT_EQUAL_FATAL(shake(p, NULL, NULL, &err), QUARTET_OK);
    CU_ASSERT(handshake_done(p->initiator) && handshake_done(p->responder));
    const struct handshake_peer *a = handshake_peer(p->initiator),
                                *b = handshake_peer(p->responder);
    CU_ASSERT(a->role == NET_ROLE_PEER && a->slot == 1 && a->instance == 22 && a->epoch == member_version(&p->cluster.doc));
    CU_ASSERT(b->role == NET_ROLE_PEER && b->slot == 0 && b->instance == 11);
    channel *ca = handshake_take_channel(p->initiator), *cb = handshake_take_channel(p->responder);
    static const size_t sizes[] = {
        0,       1, 100, NET_FRAME_BYTES_MAX - 17, NET_FRAME_BYTES_MAX - 16, NET_FRAME_BYTES_MAX,
        3u << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        exchange(ca, cb, sizes[i], &p->env.prng);
        exchange(cb, ca, sizes[i], &p->env.prng);
    }
    channel_free(ca);
    channel_free(cb);
    pair_free(p);
}

static void test_client_learns_the_verified_document(void)
{
    struct pair *p = pair_new(2);
    struct err err = ERR_INIT;
    pair_as_client(p);
    CU_ASSERT_EQUAL_FATAL(shake(p, NULL, NULL, &err), QUARTET_OK);
    CU_ASSERT_STRING_EQUAL(handshake_peer(p->responder)->name, "alice");
    CU_ASSERT_EQUAL(handshake_peer(p->responder)->role, NET_ROLE_CLIENT);
    CU_ASSERT(slice_eq(handshake_peer(p->initiator)->doc_bytes,
                       slice_of(p->cluster.doc_bytes.data, p->cluster.doc_bytes.len)));
    pair_free(p);
}

static void expect_refused(struct pair *p, const char *text)
{
    struct err err = ERR_INIT;
    quartet_status rc = shake(p, NULL, NULL, &err);
    CU_ASSERT_EQUAL(rc, QUARTET_AUTH);
    if (strstr(err.text, text) == NULL)
        printf("'%s' instead of '%s'\n", err.text, text);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, text));
}

static void test_strangers_get_no_byte(void)
{
    struct pair *p = pair_new(3);
    struct toy_cluster other;
    toy_cluster_init(&other, 4, NULL, 99);
    p->dial.key = &other.keys.nodes[0]; /* another gate secret */
    expect_refused(p, "a stranger");
    CU_ASSERT_EQUAL(p->wire.len, 0);
    struct member_key right_gate = p->cluster.keys.nodes[0];
    p->dial.key = &right_gate;
    p->dial.cluster = other.doc.cluster; /* another cluster with the same gate */
    expect_refused(p, "a stranger");
    CU_ASSERT_EQUAL(p->wire.len, 0);
    toy_cluster_deinit(&other);
    pair_free(p);
}

static void test_unknown_keys_and_wrong_slots(void)
{
    struct pair *p = pair_new(4);
    struct err err = ERR_INIT;
    struct member_key key = p->cluster.keys.nodes[0];
    key.seed[5] ^= 1;
    p->dial.key = &key;
    expect_refused(p, "an unknown node key");
    CU_ASSERT(p->wire.len > 0); /* it passed the gate, so it may know why */
    key = p->cluster.keys.nodes[0];
    key.slot = 2;
    expect_refused(p, "the key of slot 0, which says it is slot 2");
    p->dial.key = &p->cluster.keys.nodes[1];
    expect_refused(p, "this node's own key");
    p->dial.key = &p->cluster.keys.nodes[0];
    p->dial.expect_slot = 3;
    expect_refused(p, "slot 1 answers at the address of slot 3");
    p->dial.expect_slot = -1;

    pair_as_client(p);
    p->dial.key = &p->cluster.keys.nodes[0]; /* a node's key is no client's */
    expect_refused(p, "an unknown client key");
    (void)pass(p, p->initiator, 4, NULL, NULL, &err);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "slot 1 refuses: an unknown client key"));
    pair_free(p);
}

/* Who was evicted is shown the document that says so, and believes no other. */
static void test_an_evicted_node_is_told(void)
{
    struct pair *p = pair_new(12);
    struct err err = ERR_INIT;
    struct member_doc newer = {0};
    struct buf bytes = {0};
    struct slice shown;
    uint64_t epoch = 0;
    CU_ASSERT_EQUAL_FATAL(member_doc_copy(&newer, &p->cluster.doc, &err), QUARTET_OK);
    newer.epoch++;
    CU_ASSERT_EQUAL(member_evict(&newer, 0, newer.epoch, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(member_doc_encode(&newer, p->cluster.keys.root.seed, &bytes, &err), QUARTET_OK);
    p->answer.doc = &newer;
    p->answer.doc_bytes = slice_of(bytes.data, bytes.len);
    expect_refused(p, "it is refused");
    CU_ASSERT(pass(p, p->initiator, 4, NULL, NULL, &err) == QUARTET_AUTH);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "evicted from the cluster by membership 2"));
    CU_ASSERT(handshake_evicted(p->initiator, &shown, &epoch));
    CU_ASSERT(epoch == 2 && slice_eq(shown, slice_of(bytes.data, bytes.len)));
    pair_reset(p);
    p->answer.doc_bytes = slice_of(p->cluster.doc_bytes.data, p->cluster.doc_bytes.len); /* it lies: this one says nothing of the kind */
    expect_refused(p, "it is refused");
    err_clear(&err);
    CU_ASSERT(pass(p, p->initiator, 4, NULL, NULL, &err) == QUARTET_AUTH);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "does not say so"));
    CU_ASSERT(!handshake_evicted(p->initiator, &shown, &epoch));
    buf_deinit(&bytes);
    member_doc_deinit(&newer);
    pair_free(p);
}

/* A node that a client meets must be in a document signed by the cluster's root key. */
static void test_client_refuses_a_node_of_no_document(void)
{
    struct pair *p = pair_new(5);
    pair_as_client(p);
    struct member_key thief = p->cluster.keys.nodes[1];
    thief.seed[0] ^= 1;
    p->answer.key =
        &thief; /* another client knows the gate secret, too: that does not make it a node */
    expect_refused(p, "an unknown node key");
    p->answer.key = &p->cluster.keys.nodes[1];
    p->cluster.doc_bytes.data[50] ^= 1;
    struct err err = ERR_INIT;
    CU_ASSERT(shake(p, NULL, NULL, &err) != QUARTET_OK);
    p->answer.doc_bytes.n--;
    CU_ASSERT(shake(p, NULL, NULL, &err) != QUARTET_OK);
    pair_free(p);
}

static void test_replays(void)
{
    struct pair *p = pair_new(6);
    struct err err = ERR_INIT;
    /* Record a good handshake's first and third message. */
    CU_ASSERT_EQUAL(handshake_dial(&p->dial, &p->initiator, &p->wire, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(handshake_answer(&p->answer, &p->responder, &err), QUARTET_OK);
    uint8_t first[HANDSHAKE_FIRST_BYTES], third[HANDSHAKE_REQUEST_BYTES_MAX];
    memcpy(first, p->wire.data + 4, sizeof first);
    CU_ASSERT_EQUAL(pass(p, p->responder, 1, NULL, NULL, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(pass(p, p->initiator, 2, NULL, NULL, &err), QUARTET_OK);
    size_t third_n = p->wire.len - 4;
    CU_ASSERT_FATAL(third_n <= sizeof third);
    memcpy(third, p->wire.data + 4, third_n);
    CU_ASSERT_EQUAL(pass(p, p->responder, 3, NULL, NULL, &err), QUARTET_OK);

    handshake *again = NULL;
    struct buf out = {0};
    CU_ASSERT_EQUAL(handshake_answer(&p->answer, &again, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(handshake_input(again, slice_of(first, sizeof first), &out, &err),
                    QUARTET_AUTH);
    CU_ASSERT_STRING_EQUAL(err.text, "a replayed first message");
    CU_ASSERT_EQUAL(out.len, 0);
    handshake_free(again);
    /* A responder that has forgotten the first message is still safe: its key is new. */
    p->answer.seen = NULL;
    CU_ASSERT_EQUAL(handshake_answer(&p->answer, &again, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(handshake_input(again, slice_of(first, sizeof first), &out, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(handshake_input(again, slice_of(third, third_n), &out, &err), QUARTET_AUTH);
    CU_ASSERT(!handshake_done(again));
    handshake_free(again);
    buf_deinit(&out);
    pair_free(p);
}

struct damage {
    int number;
    size_t cut_to;   /* SIZE_MAX: not */
    size_t flip_bit; /* SIZE_MAX: not */
    size_t seen_bytes;
};
static void damage(void *arg, int number, uint8_t *p, size_t *n)
{
    struct damage *d = arg;
    if (number != d->number)
        return;
    d->seen_bytes = *n;
    if (d->cut_to < *n)
        *n = d->cut_to;
    if (d->flip_bit / 8 < *n)
        p[d->flip_bit / 8] ^= (uint8_t)(1u << (d->flip_bit % 8));
}

static void test_every_truncation_and_every_bit_flip_is_refused(void)
{
    struct pair *p = pair_new(7);
    struct err err = ERR_INIT;
    uint32_t done = 0;
    p->answer.seen = NULL;
    for (int number = 1; number <= 4; number++) {
        struct damage d = {.number = number, .cut_to = SIZE_MAX, .flip_bit = SIZE_MAX};
        CU_ASSERT_EQUAL(shake(p, damage, &d, &err), QUARTET_OK);
        size_t n = d.seen_bytes;
        for (size_t cut = 0; cut < n; cut++) {
            d = (struct damage){.number = number, .cut_to = cut, .flip_bit = SIZE_MAX};
            CU_ASSERT(shake(p, damage, &d, &err) != QUARTET_OK);
            done++;
        }
        for (size_t bit = 0; bit < n * 8; bit += 1 + (number > 1 ? bit % 5 : 0)) {
            d = (struct damage){.number = number, .cut_to = SIZE_MAX, .flip_bit = bit};
            CU_ASSERT(shake(p, damage, &d, &err) != QUARTET_OK);
            done++;
        }
    }
    CU_ASSERT(done > 1500);
    pair_free(p);
}

static void test_version_and_role_are_bound(void)
{
    struct pair *p = pair_new(8);
    struct err err = ERR_INIT;
    for (size_t byte = 4; byte < 8; byte++) { /* version, role, reserved: covered by the gate MAC */
        struct damage d = {.number = 1, .cut_to = SIZE_MAX, .flip_bit = byte * 8};
        CU_ASSERT_EQUAL(shake(p, damage, &d, &err), QUARTET_AUTH);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "a stranger"));
    }
    pair_free(p);
}

static void test_channel_notices_repeats_and_reordering(void)
{
    struct pair *p = pair_new(9);
    struct err err = ERR_INIT;
    CU_ASSERT_EQUAL_FATAL(shake(p, NULL, NULL, &err), QUARTET_OK);
    channel *a = handshake_take_channel(p->initiator), *b = handshake_take_channel(p->responder);
    struct buf one = {0}, two = {0};
    struct slice message;
    bool complete = false, ended = false;
    CU_ASSERT_EQUAL(channel_seal(a, slice_of("one", 3), &one, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(channel_seal(a, slice_of("two", 3), &two, &err), QUARTET_OK);
    struct slice f1 = slice_of(one.data + 4, one.len - 4), f2 = slice_of(two.data + 4, two.len - 4);
    CU_ASSERT_EQUAL(channel_open(b, f1, &complete, &message, &ended, &err), QUARTET_OK);
    CU_ASSERT(complete && message.n == 3);
    CU_ASSERT_EQUAL(channel_open(b, f1, &complete, &message, &ended, &err),
                    QUARTET_CORRUPT); /* again */
    CU_ASSERT_EQUAL(channel_open(b, f2, &complete, &message, &ended, &err), QUARTET_OK);
    buf_clear(&one);
    CU_ASSERT_EQUAL(channel_seal_end(a, &one, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(
        channel_open(b, slice_of(one.data + 4, one.len - 4), &complete, &message, &ended, &err),
        QUARTET_OK);
    CU_ASSERT(ended && !complete);
    channel_free(a);
    channel_free(b);
    buf_deinit(&one);
    buf_deinit(&two);
    pair_free(p);
}

static void test_channel_limits(void)
{
    struct pair *p = pair_new(10);
    struct err err = ERR_INIT;
    CU_ASSERT_EQUAL_FATAL(shake(p, NULL, NULL, &err), QUARTET_OK);
    channel *a = handshake_take_channel(p->initiator), *b = handshake_take_channel(p->responder);
    channel_set_limit(b, 1000);
    exchange(a, b, 1000, &p->env.prng);
    struct buf out = {0};
    struct slice message;
    bool complete = false, ended = false;
    uint8_t bytes[1001] = {0};
    CU_ASSERT_EQUAL(channel_seal(a, slice_of(bytes, 1001), &out, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(
        channel_open(b, slice_of(out.data + 4, out.len - 4), &complete, &message, &ended, &err),
        QUARTET_LIMIT);
    CU_ASSERT_EQUAL(channel_open(b, slice_of(out.data, 16), &complete, &message, &ended, &err),
                    QUARTET_CORRUPT);
    channel_free(a);
    channel_free(b);
    buf_deinit(&out);
    pair_free(p);
}

static void test_allocation_failures(void)
{
    struct pair *p = pair_new(11);
    struct err err = ERR_INIT;
    pair_as_client(p);
    p->answer.seen = NULL;
    for (uint64_t n = 1; n < 500; n++) {
        pair_reset(p);
        mem_fail_at(n, false);
        /* Not through shake(): its own allocations must not fail. */
        quartet_status rc = handshake_dial(&p->dial, &p->initiator, &p->wire, &err);
        struct buf out = {0};
        if (rc == QUARTET_OK)
            rc = handshake_answer(&p->answer, &p->responder, &err);
        if (rc == QUARTET_OK)
            rc = handshake_input(p->responder, slice_of(p->wire.data + 4, p->wire.len - 4), &out,
                                 &err);
        if (rc == QUARTET_OK) {
            buf_clear(&p->wire);
            rc = handshake_input(p->initiator, slice_of(out.data + 4, out.len - 4), &p->wire, &err);
        }
        uint64_t hits = mem_fail_hits();
        mem_fail_at(0, false);
        buf_deinit(&out);
        CU_ASSERT_EQUAL(rc, hits > 0 ? QUARTET_NOMEM : QUARTET_OK);
        if (hits == 0)
            break;
        CU_ASSERT(n < 499);
    }
    pair_free(p);
}

/* With a token: its sponsor answers until it expires, whoever else it is shown to says nothing, and it opens nothing but this. */
static void test_joiners_are_known_by_their_token(void)
{
    struct pair *p = pair_new(21);
    struct err err = ERR_INIT;
    struct member_doc doc = {0};
    struct member_token token;
    struct member_key key, changed;
    struct buf bytes = {0};
    CU_ASSERT_EQUAL_FATAL(member_doc_copy(&doc, &p->cluster.doc, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(member_evict(&doc, 3, 2, &err), QUARTET_OK);
    doc.epoch = 2;
    CU_ASSERT_EQUAL_FATAL(member_invite(&p->env.env, &doc, 1, p->env.env.ops->wall_us(&p->env.env) / 1000u + 1000, &token, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(member_doc_encode(&doc, p->cluster.keys.root.seed, &bytes, &err), QUARTET_OK);
    member_token_key(&token, &key);
    p->answer.doc = &doc;
    p->answer.doc_bytes = slice_of(bytes.data, bytes.len);
    p->dial.role = NET_ROLE_JOINER;
    p->dial.key = &key;
    p->dial.doc = NULL;
    p->dial.expect_slot = 1;
    CU_ASSERT_EQUAL_FATAL(shake(p, NULL, NULL, &err), QUARTET_OK);
    const struct handshake_peer *who = handshake_peer(p->responder);
    CU_ASSERT(who->role == NET_ROLE_JOINER && memcmp(who->public_key, doc.invites[0].token_key, MEMBER_KEY_BYTES) == 0);
    CU_ASSERT(slice_eq(handshake_peer(p->initiator)->doc_bytes, p->answer.doc_bytes));
    changed = key;
    changed.seed[0] ^= 1; /* who knows the invitation, which is in the document, has the gate and not the seed */
    p->dial.key = &changed;
    expect_refused(p, "a key that is not its token's");
    p->dial.key = &key;
    static const enum net_role others[] = {NET_ROLE_CLIENT, NET_ROLE_PEER};
    for (int i = 0; i < 2; i++) {
        p->dial.role = others[i];
        p->dial.doc = i == 1 ? &doc : NULL;
        expect_refused(p, "a stranger");
        CU_ASSERT_EQUAL(p->wire.len, 0);
    }
    p->dial.role = NET_ROLE_JOINER;
    p->dial.doc = NULL;
    p->dial.key = &p->cluster.keys.clients[0]; /* the cluster's gate is not the token's */
    expect_refused(p, "a stranger");
    p->dial.key = &key;
    p->answer.key = &p->cluster.keys.nodes[2]; /* another member */
    p->dial.expect_slot = -1;
    expect_refused(p, "a stranger");
    CU_ASSERT_EQUAL(p->wire.len, 0);
    p->answer.key = &p->cluster.keys.nodes[1];
    p->env.now_us += 1001000;
    expect_refused(p, "a stranger"); /* it has expired */
    CU_ASSERT_EQUAL(p->wire.len, 0);
    buf_deinit(&bytes);
    member_doc_deinit(&doc);
    pair_free(p);
}

const char *const unit_suite = "handshake";
const struct unit_test unit_tests[] = {
    {"peers meet and talk", test_peers_meet_and_talk},
    {"a client learns the verified document", test_client_learns_the_verified_document},
    {"strangers get no byte", test_strangers_get_no_byte},
    {"unknown keys and wrong slots", test_unknown_keys_and_wrong_slots},
    {"evicted", test_an_evicted_node_is_told},
    {"a client refuses a node of no document", test_client_refuses_a_node_of_no_document},
    {"replays", test_replays},
    {"every truncation and every bit flip is refused",
     test_every_truncation_and_every_bit_flip_is_refused},
    {"version and role are bound", test_version_and_role_are_bound},
    {"channel notices repeats and reordering", test_channel_notices_repeats_and_reordering},
    {"channel limits", test_channel_limits},
    {"allocation failures", test_allocation_failures},
    {"joiners are known by their token", test_joiners_are_known_by_their_token},
    {NULL, NULL},
};

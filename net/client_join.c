/* client_join.c - joining by a token: the new node's side. See join.h. */
#include "client_internal.h"

#include <string.h>

#include "join.h"
#include "url.h"
#include "wire.h"

static quartet_status take_answer(const struct member_token *t, const struct member_admission *request, struct slice message, struct buf *doc_bytes, uint8_t *gate, struct err *err)
{
    struct bytes_in in = bytes_in(message.p, message.n);
    uint32_t fields = wire_array(&in);
    uint64_t kind = wire_u64(&in);
    if (!in.bad && fields == 2 && kind == JOIN_REFUSED) {
        struct slice why = wire_str(&in, ERR_TEXT_BYTES_MAX);
        return err_set(err, QUARTET_AUTH, "node %u refuses: %.*s", (unsigned)t->sponsor, in.bad ? 0 : (int)why.n, (const char *)why.p);
    }
    struct slice doc = wire_bin(&in, MEMBER_DOC_BYTES_MAX), secret = wire_bin(&in, 32);
    if (in.bad || in.left != 0 || fields != 3 || kind != JOIN_ADMITTED || secret.n != 32)
        return err_set(err, QUARTET_CORRUPT, "a malformed answer of node %u", (unsigned)t->sponsor);
    struct member_doc d = {0};
    quartet_status rc = member_doc_decode(doc, &t->cluster, &d, err);
    const struct member_node *self = rc == QUARTET_OK ? member_find_slot(&d, t->slot) : NULL;
    if (rc == QUARTET_OK && (self == NULL || memcmp(self->public_key, request->public_key, sizeof self->public_key) != 0))
        rc = err_set(err, QUARTET_AUTH, "node %u answers with a membership in which this node is not", (unsigned)t->sponsor);
    member_doc_deinit(&d);
    if (rc != QUARTET_OK)
        return rc;
    memcpy(gate, secret.p, secret.n);
    buf_put(doc_bytes, doc.p, doc.n);
    return buf_check(doc_bytes, err);
}

quartet_status join_ask(struct env *env, const struct member_token *t, const struct member_admission *request, uint32_t timeout_ms, struct buf *doc_bytes, uint8_t *gate, struct err *err)
{
    struct client_link l;
    struct buf doc = {0}, out = {0};
    struct member_key key;
    char host[MEMBER_ADDRESS_BYTES_MAX];
    uint16_t port = 0;
    uint64_t deadline = client_now_ms(env) + timeout_ms;
    member_token_key(t, &key);
    struct handshake_config config = {.env = env, .role = NET_ROLE_JOINER, .cluster = t->cluster, .key = &key, .expect_slot = t->sponsor};
    client_link_init(&l);
    quartet_status rc = url_split_address(t->address, host, sizeof host, &port, err);
    if (rc == QUARTET_OK)
        rc = client_link_open(&l, &config, host, port, timeout_ms, &doc, err);
    join_put_request(&out, request);
    if (rc == QUARTET_OK)
        rc = buf_check(&out, err);
    if (rc == QUARTET_OK)
        rc = client_link_send(&l, env, slice_of(out.data, out.len), err);
    struct slice message = {0};
    if (rc == QUARTET_OK)
        rc = client_link_receive_quietly(&l, env, deadline, &message, err);
    if (rc == QUARTET_OK)
        rc = take_answer(t, request, message, doc_bytes, gate, err);
    else if (rc == QUARTET_NET)
        err_prefix(err, t->address);
    client_link_close(&l, rc == QUARTET_OK);
    member_key_wipe(&key);
    buf_deinit(&doc);
    buf_deinit(&out);
    return rc;
}

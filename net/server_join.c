/* server_join.c - a node that joins by a token: the sponsor's side of the conversation, and its messages.
 * By now the caller has proved that it has the seed of an invitation of ours. What it is given, the gate secret and the membership, goes through the channel that only it can read. */
#include <string.h>

#include "join.h"
#include "server_internal.h"
#include "wire.h"

#define REQUEST_FIELDS 6u

void join_put_request(struct buf *out, const struct member_admission *a)
{
    wire_put_array(out, REQUEST_FIELDS);
    wire_put_u64(out, JOIN_REQUEST);
    wire_put_u64(out, JOIN_VERSION);
    wire_put_bin(out, slice_of(a->public_key, sizeof a->public_key));
    wire_put_cstr(out, a->address);
    wire_put_cstr(out, a->http);
    wire_put_bin(out, slice_of(a->by_token, sizeof a->by_token));
}

quartet_status join_get_request(struct slice message, const uint8_t *token_key, struct member_admission *out, struct err *err)
{
    struct bytes_in in = bytes_in(message.p, message.n);
    struct member_admission a = {.at_ms = 0};
    wire_array_of(&in, REQUEST_FIELDS);
    uint64_t kind = wire_u64(&in), version = wire_u64(&in);
    struct slice key = wire_bin(&in, sizeof a.public_key), address = wire_str(&in, sizeof a.address - 1), http = wire_str(&in, sizeof a.http - 1);
    struct slice signature = wire_bin(&in, sizeof a.by_token);
    if (in.bad || in.left != 0 || kind != JOIN_REQUEST || key.n != sizeof a.public_key || signature.n != sizeof a.by_token || memchr(address.p, 0, address.n) != NULL ||
        memchr(http.p, 0, http.n) != NULL)
        return err_set(err, QUARTET_CORRUPT, "a malformed request to join");
    if (version != JOIN_VERSION)
        return err_set(err, QUARTET_AUTH, "a request to join of version %llu, this node knows %u", (unsigned long long)version, JOIN_VERSION);
    memcpy(a.token_key, token_key, sizeof a.token_key);
    memcpy(a.public_key, key.p, sizeof a.public_key);
    memcpy(a.address, address.p, address.n);
    memcpy(a.http, http.p, http.n);
    memcpy(a.by_token, signature.p, sizeof a.by_token);
    *out = a;
    return QUARTET_OK;
}

void server_join_message(struct link *l, struct slice message)
{
    server *s = l->server;
    struct member_admission request;
    struct buf doc = {0}, out = {0};
    struct err err = ERR_INIT;
    if (l->ending_ms != 0)
        return; /* it has had its answer */
    quartet_status rc = join_get_request(message, l->who.public_key, &request, &err);
    if (rc == QUARTET_OK && s->host.admit == NULL)
        rc = err_set(&err, QUARTET_AUTH, "this node admits nobody");
    if (rc == QUARTET_OK)
        rc = s->host.admit(s->host.ctx, &request, &doc, &err);
    if (rc == QUARTET_OK) {
        wire_put_array(&out, 3);
        wire_put_u64(&out, JOIN_ADMITTED);
        wire_put_bin(&out, slice_of(doc.data, doc.len));
        wire_put_bin(&out, slice_of(s->config.key->gate, sizeof s->config.key->gate));
        log_line(s->env, LOG_INFO, "net", "a node at %s has joined by a token, called from %s", request.address, l->from);
    } else {
        wire_put_array(&out, 2);
        wire_put_u64(&out, JOIN_REFUSED);
        wire_put_cstr(&out, err.text);
        log_line(s->env, LOG_WARN, "net", "refused %s, which has a token: %s", l->from, err.text);
    }
    l->ending_ms = server_now_ms(s);
    if (out.failed)
        server_link_close(l, "out of memory");
    else
        server_link_send(l, slice_of(out.data, out.len));
    if (out.data != NULL)
        memset(out.data, 0, out.len);
    buf_deinit(&out);
    buf_deinit(&doc);
}

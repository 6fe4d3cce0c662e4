/* fuzz_session.c - hostile bytes as messages of the client protocol, as an HTTP request and as a
 * URL: refused or read whole, within bounds.
 *
 * What was read as a request is written again and must read the same. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "net/http.h"
#include "net/session_wire.h"
#include "net/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_request(struct bytes_in *in, uint8_t kind, uint32_t id)
{
    struct session_request r, again;
    struct err err = ERR_INIT;
    if (session_get_request(in, kind, id, &r, &err) != QUARTET_OK)
        return;
    struct buf out = {0};
    session_put_request(&out, &r);
    struct bytes_in back;
    if (buf_check(&out, &err) == QUARTET_OK) {
        quartet_status rc =
            session_open_message(slice_of(out.data, out.len), &back, &kind, &id, &err);
        QASSERT(rc == QUARTET_OK);
        rc = session_get_request(&back, kind, id, &again, &err);
        QASSERT(rc == QUARTET_OK && slice_eq(again.sql, r.sql) &&
                slice_eq(again.params, r.params) && again.statement == r.statement);
    }
    buf_deinit(&out);
}

static void check_message(struct slice m)
{
    struct bytes_in in;
    uint8_t kind = 0, slot = 0, state = 0;
    uint32_t id = 0, count = 0;
    struct err err = ERR_INIT;
    if (session_open_message(m, &in, &kind, &id, &err) != QUARTET_OK)
        return;
    struct arena a = {.limit_bytes = 4u << 20};
    union {
        struct session_login login;
        struct session_welcome welcome;
        struct session_result result;
        struct session_error error;
        struct session_node nodes[SLOTS_MAX];
        struct session_name name;
        struct session_ruling ruling;
    } u;
    switch (kind) { /* either answer will do: what counts is that memory stays in bounds */
    case SESSION_LOGIN:
        (void)session_get_login(&in, &u.login, &err);
        break;
    case SESSION_WELCOME:
        (void)session_get_welcome(&in, &u.welcome, &err);
        break;
    case SESSION_PREPARED:
    case SESSION_RESULT:
        (void)session_get_result(&in, &a, &u.result, &err);
        QASSERT(a.used_bytes <= 64 * m.n + 4096); /* memory in proportion to what came */
        break;
    case SESSION_ERROR:
        (void)session_get_error(&in, &u.error, &err);
        break;
    case SESSION_PONG:
        (void)session_get_pong(&in, &slot, &state, &err);
        break;
    case SESSION_NODES_ARE:
        (void)session_get_nodes(&in, u.nodes, &count, &err);
        break;
    case SESSION_ASK:
        (void)session_get_ask(&in, &u.name, &err);
        break;
    case SESSION_RULING:
        (void)session_get_ruling(&in, &u.ruling, &err);
        break;
    case SESSION_CANCEL:
    case SESSION_PING:
    case SESSION_NODES:
    case SESSION_BYE:
        QASSERT(in.left == 0);
        break;
    default:
        check_request(&in, kind, id);
        break;
    }
    arena_free_all(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct slice noise = slice_of(data + 1, size - 1);
    if (data[0] % 8 == 0) {
        struct http_request r;
        if (http_parse_request(noise, &r) == HTTP_READY)
            QASSERT(strlen(r.path) < sizeof r.path && r.path[0] == '/');
    } else if (data[0] % 8 == 1 && noise.n < URL_BYTES_MAX) {
        char text[URL_BYTES_MAX + 16] = "quartet://";
        struct url u;
        struct err err = ERR_INIT;
        memcpy(text + 10, noise.p, noise.n);
        if (url_parse(text, &u, &err) == QUARTET_OK)
            QASSERT(u.host_count >= 1 && u.host_count <= SLOTS_MAX);
    } else {
        check_message(noise);
    }
    return 0;
}

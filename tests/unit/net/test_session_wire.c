/* test_session_wire.c - the client protocol's messages, msgpack items, and HTTP's request line:
 * round trips, truncation, noise. */
#include "unit/cunit.h"

#include <string.h>

#include "base/mem.h"
#include "base/prng.h"
#include "net/http.h"
#include "net/session_wire.h"

/* Decode any message with the function of its kind; the arena is the caller's. */
static quartet_status decode(struct slice m, struct arena *a)
{
    struct bytes_in in;
    uint8_t kind = 0, slot = 0, state = 0;
    uint32_t id = 0, count = 0;
    struct err err = ERR_INIT;
    union {
        struct session_login login;
        struct session_request request;
        struct session_welcome welcome;
        struct session_result result;
        struct session_error error;
        struct session_node nodes[SLOTS_MAX];
        struct session_name name;
        struct session_ruling ruling;
    } u;
    quartet_status rc = session_open_message(m, &in, &kind, &id, &err);
    if (rc != QUARTET_OK)
        return rc;
    switch (kind) {
    case SESSION_LOGIN:
        return session_get_login(&in, &u.login, &err);
    case SESSION_WELCOME:
        return session_get_welcome(&in, &u.welcome, &err);
    case SESSION_PREPARED:
    case SESSION_RESULT:
        return session_get_result(&in, a, &u.result, &err);
    case SESSION_ERROR:
        return session_get_error(&in, &u.error, &err);
    case SESSION_PONG:
        return session_get_pong(&in, &slot, &state, &err);
    case SESSION_NODES_ARE:
        return session_get_nodes(&in, u.nodes, &count, &err);
    case SESSION_ASK:
        return session_get_ask(&in, &u.name, &err);
    case SESSION_RULING:
        return session_get_ruling(&in, &u.ruling, &err);
    case SESSION_CANCEL:
    case SESSION_PING:
    case SESSION_NODES:
    case SESSION_BYE:
        return QUARTET_OK;
    default:
        return session_get_request(&in, kind, id, &u.request, &err);
    }
}

#define EXAMPLES 10
static void make_examples(struct buf *out)
{
    struct buf values = {0};
    struct value v[] = {
        value_int(-5), value_text("abc", 3), VALUE_NULL_INIT, {.type = VALUE_REAL, .r = 1.5}};
    for (size_t i = 0; i < 4; i++)
        value_encode(&values, &v[i]);
    struct slice rows = slice_of(values.data, values.len);
    struct session_login login = {.version = 1,
                                  .user = slice_of("u", 1),
                                  .application = slice_of("app", 3),
                                  .token = slice_of("tok", 3),
                                  .setting_count = 1,
                                  .settings = {{slice_of("n", 1), slice_of("v", 1)}}};
    session_put_login(&out[0], 1, &login);
    struct session_request r = {.kind = SESSION_EXECUTE,
                                .id = 2,
                                .statement = 9,
                                .sql = slice_of("SELECT 1", 8),
                                .params = rows,
                                .param_count = 4,
                                .max_rows = 100};
    session_put_request(&out[1], &r);
    session_put_simple(&out[2], SESSION_PING, 7);
    struct session_welcome w = {
        .slot = 3, .state = 2, .server_version = slice_of("0.1", 3), .token = slice_of("t", 1), .incarnation = 99, .session = 4};
    session_put_welcome(&out[3], 1, &w);
    struct session_column columns[2] = {{slice_of("a", 1), slice_of("INTEGER", 7), 1},
                                        {slice_of("b", 1), slice_of("", 0), 0}};
    struct slice names[1] = {slice_of(":x", 2)};
    struct session_result result = {.flags = SESSION_DONE,
                                    .param_count = 1,
                                    .consumed_bytes = 8,
                                    .column_count = 2,
                                    .has_columns = true,
                                    .columns = columns,
                                    .param_names = names,
                                    .row_count = 2,
                                    .rows = rows,
                                    .affected = -1,
                                    .last_insert_id = 5,
                                    .warning_count = 1,
                                    .warnings = {slice_of("w", 1)},
                                    .token = slice_of("t", 1)};
    session_put_result(&out[4], SESSION_RESULT, 3, &result);
    struct session_error e = {.code = QUARTET_BUSY, .sql_offset = -1, .text = slice_of("busy", 4)};
    session_put_error(&out[5], 4, &e);
    session_put_pong(&out[6], 5, 2, 1);
    struct session_node nodes[2] = {{0, 1, slice_of("a:1", 3), slice_of("", 0)},
                                    {3, 0, slice_of("b:1", 3), slice_of("b:2", 3)}};
    session_put_nodes(&out[7], 6, nodes, 2);
    struct session_name name = {.slot = 3, .incarnation = 1ull << 62, .session = 70000, .request = UINT32_MAX};
    session_put_ask(&out[8], 7, &name);
    struct session_ruling ruling = {.verdict = SESSION_COMMITTED, .gave_rows = true, .stamp = 1ull << 63, .affected = -2, .last_insert_id = 5, .token = slice_of("t", 1), .text = slice_of("why", 3)};
    session_put_ruling(&out[9], 8, &ruling);
    buf_deinit(&values);
}

static void test_messages_round_trip(void)
{
    struct buf m[EXAMPLES] = {{0}};
    struct arena a = {0};
    struct err err = ERR_INIT;
    struct bytes_in in;
    uint8_t kind = 0;
    uint32_t id = 0;
    make_examples(m);
    for (int i = 0; i < EXAMPLES; i++)
        CU_ASSERT_EQUAL(decode(slice_of(m[i].data, m[i].len), &a), QUARTET_OK);
    struct session_result r;
    CU_ASSERT_EQUAL(session_open_message(slice_of(m[4].data, m[4].len), &in, &kind, &id, &err),
                    QUARTET_OK);
    CU_ASSERT(kind == SESSION_RESULT && id == 3);
    CU_ASSERT_EQUAL_FATAL(session_get_result(&in, &a, &r, &err), QUARTET_OK);
    CU_ASSERT(r.affected == -1 && r.last_insert_id == 5 && r.row_count == 2 &&
              r.column_count == 2 && r.has_columns);
    CU_ASSERT(slice_eq(r.columns[0].declared, slice_of("INTEGER", 7)) &&
              slice_eq(r.param_names[0], slice_of(":x", 2)));
    CU_ASSERT(slice_eq(r.warnings[0], slice_of("w", 1)) && r.warning_count == 1);
    for (int i = 0; i < EXAMPLES; i++)
        buf_deinit(&m[i]);
    arena_free_all(&a);
}

static void test_every_truncation_is_refused(void)
{
    struct buf m[EXAMPLES] = {{0}};
    struct arena a = {0};
    make_examples(m);
    for (int i = 0; i < EXAMPLES; i++) {
        for (size_t n = 0; n < m[i].len; n++) {
            uint8_t *copy = mem_dup(m[i].data, n);
            CU_ASSERT_EQUAL(decode(slice_of(copy, n), &a), QUARTET_CORRUPT);
            mem_free(copy);
        }
        buf_u8(&m[i], 0); /* and a byte too many */
        CU_ASSERT_EQUAL(decode(slice_of(m[i].data, m[i].len), &a), QUARTET_CORRUPT);
        buf_deinit(&m[i]);
    }
    arena_free_all(&a);
}

static void test_noise_and_bombs_take_no_memory(void)
{
    struct prng prng;
    struct buf m[EXAMPLES] = {{0}};
    uint64_t seed = unit_seed(3);
    prng_seed(&prng, seed);
    make_examples(m);
    for (int i = 0; i < 50000; i++) {
        struct arena a = {.limit_bytes = 1u << 20};
        struct buf *from = &m[prng_below(&prng, EXAMPLES)];
        uint8_t *copy = mem_dup(from->data, from->len);
        for (uint64_t k = 1 + prng_below(&prng, 3); k > 0; k--)
            copy[prng_below(&prng, from->len)] = (uint8_t)prng_u64(&prng);
        (void)decode(slice_of(copy, from->len), &a);
        CU_ASSERT(!a.over_limit);
        mem_free(copy);
        arena_free_all(&a);
    }
    static const uint8_t bomb[] = {0xdd, 0x0f, 0xff, 0xff, 0xff};
    struct bytes_in in = bytes_in(bomb, sizeof bomb);
    CU_ASSERT_EQUAL(wire_array(&in), 0);
    CU_ASSERT(in.bad);
    for (int i = 0; i < EXAMPLES; i++)
        buf_deinit(&m[i]);
}

static void test_items(void)
{
    static const int64_t numbers[] = {
        0,         1,        -1,     127,       128,       -32,
        -33,       255,      256,    -128,      -129,      65535,
        65536,     -32768,   -32769, INT32_MAX, INT32_MIN, (int64_t)UINT32_MAX,
        INT64_MAX, INT64_MIN};
    struct buf b = {0};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        wire_put_i64(&b, numbers[i]);
    wire_put_u64(&b, UINT64_MAX);
    wire_put_bool(&b, true);
    struct bytes_in in = bytes_in(b.data, b.len);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        CU_ASSERT_EQUAL(wire_i64(&in), numbers[i]);
    CU_ASSERT_EQUAL(wire_u64(&in), UINT64_MAX);
    CU_ASSERT(wire_bool(&in) && !in.bad && in.left == 0);
    buf_clear(&b);
    wire_put_u64(&b, UINT64_MAX); /* past what a signed number holds */
    in = bytes_in(b.data, b.len);
    (void)wire_i64(&in);
    CU_ASSERT(in.bad);
    buf_clear(&b);
    wire_put_str(&b, slice_of("\xff", 1));
    in = bytes_in(b.data, b.len);
    (void)wire_str(&in, 10);
    CU_ASSERT(in.bad); /* not UTF-8 */
    buf_clear(&b);
    wire_put_bin(&b, slice_of("0123456789", 10));
    in = bytes_in(b.data, b.len);
    CU_ASSERT_EQUAL(wire_bin(&in, 10).n, 10);
    in = bytes_in(b.data, b.len);
    (void)wire_bin(&in, 9);
    CU_ASSERT(in.bad); /* one past its limit */
    buf_deinit(&b);
}

static enum http_parse http(const char *text, struct http_request *r)
{
    return http_parse_request(slice_of(text, strlen(text)), r);
}

static void test_http_requests(void)
{
    struct http_request r;
    static const char good[] = "GET /metrics?a=b HTTP/1.1\r\nHost: x\r\n\r\n";
    CU_ASSERT_EQUAL(http(good, &r), HTTP_READY);
    CU_ASSERT(strcmp(r.path, "/metrics") == 0 && strcmp(r.query, "a=b") == 0);
    for (size_t n = 0; n < sizeof good - 1; n++)
        CU_ASSERT_EQUAL(http_parse_request(slice_of(good, n), &r), HTTP_MORE);
    CU_ASSERT_EQUAL(http("GET / HTTP/1.0\n\n", &r), HTTP_READY);
    static const struct {
        const char *text;
        int status;
    } bad[] = {{"POST / HTTP/1.1\r\n\r\n", 405},    {"\x16\x03\x01", 400},
               {"GET x HTTP/1.1\r\n\r\n", 400},     {"GET / HTTP/2.0\r\n\r\n", 400},
               {"GET /\x01 HTTP/1.1\r\n\r\n", 400}, {"GET /\r\n\r\n", 400},
               {"GET  HTTP/1.1\r\n\r\n", 400},      {"GET / HTTP/1.12\r\n\r\n", 400}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_EQUAL(http(bad[i].text, &r), HTTP_BAD);
        CU_ASSERT_EQUAL(r.refuse_status, bad[i].status);
    }
    char *big = mem_alloc(HTTP_REQUEST_BYTES_MAX + 1);
    memset(big, 'a', HTTP_REQUEST_BYTES_MAX);
    big[HTTP_REQUEST_BYTES_MAX] = '\0';
    memcpy(big, "GET /", 5);
    CU_ASSERT(http(big, &r) == HTTP_BAD && r.refuse_status == 431);
    memcpy(big + 5 + HTTP_PATH_BYTES_MAX, " HTTP/1.1\r\n\r\n", 14);
    CU_ASSERT(http(big, &r) == HTTP_BAD && r.refuse_status == 414);
    mem_free(big);
}

const char *const unit_suite = "session wire";
const struct unit_test unit_tests[] = {
    {"messages round trip", test_messages_round_trip},
    {"every truncation is refused", test_every_truncation_is_refused},
    {"noise and bombs take no memory", test_noise_and_bombs_take_no_memory},
    {"items", test_items},
    {"http requests", test_http_requests},
    {NULL, NULL},
};

/* test_url.c - quartet:// URLs, good and bad. */
#include "unit/cunit.h"

#include "net/url.h"
#include "unit/net/toy.h"

#define HEX  "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"
#define KEYS "cluster=" HEX "&key=" HEX "&gate=" HEX

static quartet_status parse(const char *text, struct url *u, struct err *err)
{
    err_clear(err);
    return url_parse(text, u, err);
}

static void test_full_url(void)
{
    struct url u;
    struct err err = ERR_INIT;
    CU_ASSERT_EQUAL_FATAL(
        parse("quartet://al%20ice@a:7401,b,[::1]:9,127.0.0.1:65535/?" KEYS
              "&consistency=clus%74er&commit_acks=1&route=random&connect_timeout=100&timeout=2000&poll_us=7",
              &u, &err),
        QUARTET_OK);
    CU_ASSERT_STRING_EQUAL(u.user, "al ice");
    CU_ASSERT_EQUAL(u.host_count, 4);
    CU_ASSERT(strcmp(u.hosts[0].host, "a") == 0 && u.hosts[0].port == 7401);
    CU_ASSERT(strcmp(u.hosts[1].host, "b") == 0 && u.hosts[1].port == URL_PORT_DEFAULT);
    CU_ASSERT(strcmp(u.hosts[2].host, "::1") == 0 && u.hosts[2].port == 9);
    CU_ASSERT_EQUAL(u.hosts[3].port, 65535);
    CU_ASSERT(u.key.seed[31] == 0x1f && u.key.cluster.b[1] == 1 && u.key.gate[16] == 0x10);
    CU_ASSERT(u.setting_count == 2 && strcmp(u.settings[0].value, "cluster") == 0 &&
              strcmp(u.settings[1].name, "commit_acks") == 0);
    CU_ASSERT(u.route == URL_ROUTE_RANDOM && u.connect_timeout_ms == 100 && u.timeout_ms == 2000 && u.poll_us == 7);
    CU_ASSERT_EQUAL(parse("quartet://a?keyfile=%2Ftmp%2Fk", &u, &err), QUARTET_OK);
    CU_ASSERT_STRING_EQUAL(u.keyfile, "/tmp/k");
    CU_ASSERT(u.route == URL_ROUTE_ORDERED && u.connect_timeout_ms == 250 && u.timeout_ms == 10000 && u.poll_us == 50);
}

static void test_mistakes_are_named(void)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"mysql://a?" KEYS, "begin with"},
        {"quartet://a", "are needed"},
        {"quartet://a?cluster=" HEX "&key=" HEX, "are needed"},
        {"quartet://a?keyfile=x&key=" HEX, "either"},
        {"quartet://?" KEYS, "host is missing"},
        {"quartet://a,?" KEYS, "host is missing"},
        {"quartet://a,b,c,d,e?" KEYS, "more than 4 hosts"},
        {"quartet://a:0?" KEYS, "port 0"},
        {"quartet://a:65536?" KEYS, "port must be"},
        {"quartet://a:1x?" KEYS, "port must be"},
        {"quartet://[::1?" KEYS, "host is missing"},
        {"quartet://a/db?" KEYS, "a path"},
        {"quartet://a?" KEYS "&route=fastest", "route must be"},
        {"quartet://a?" KEYS "&timeout=0", "timeout must be"},
        {"quartet://a?" KEYS "&timeout=1e3", "timeout must be"},
        {"quartet://a?" KEYS "&x", "name=value"},
        {"quartet://a?" KEYS "&x=%4", "broken"},
        {"quartet://a?" KEYS "&x=%zz", "broken"},
        {"quartet://a?" KEYS "&x=%00", "control character"},
        {"quartet://a?" KEYS "&x=%ff", "not UTF-8"},
        {"quartet://a?key=00&cluster=" HEX "&gate=" HEX, "64 hex digits"},
        {"quartet://a?key=" HEX "0&cluster=" HEX "&gate=" HEX, "64 hex digits"},
    };
    struct url u;
    struct err err = ERR_INIT;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_EQUAL(parse(bad[i].text, &u, &err), QUARTET_MISUSE);
        if (strstr(err.text, bad[i].says) == NULL)
            printf("%s: %s\n", bad[i].text, err.text);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, bad[i].says));
        CU_ASSERT_PTR_NULL(strstr(err.text, HEX)); /* no secret in a message */
    }
}

static void test_written_url_is_read_back(void)
{
    struct toy_cluster c;
    struct url u;
    struct err err = ERR_INIT;
    static const char *const addresses[] = {"127.0.0.1:7401", "[::1]:7402"};
    toy_cluster_init(&c, 2, addresses, 1);
    struct buf text = {0};
    url_write(&text, &c.doc, &c.keys.clients[0]);
    buf_u8(&text, 0);
    CU_ASSERT_EQUAL_FATAL(parse((const char *)text.data, &u, &err), QUARTET_OK);
    CU_ASSERT_STRING_EQUAL(u.user, "alice");
    CU_ASSERT(u.host_count == 2 && u.hosts[1].port == 7402);
    CU_ASSERT(memcmp(u.key.seed, c.keys.clients[0].seed, 32) == 0 &&
              memcmp(u.key.gate, c.keys.clients[0].gate, 32) == 0);
    buf_deinit(&text);
    toy_cluster_deinit(&c);
}

const char *const unit_suite = "url";
const struct unit_test unit_tests[] = {
    {"full url", test_full_url},
    {"mistakes are named", test_mistakes_are_named},
    {"written url is read back", test_written_url_is_read_back},
    {NULL, NULL},
};

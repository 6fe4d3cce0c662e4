/* url.c - parsing quartet:// URLs; strict, so that a mistyped parameter is an error and not a
 * silent default. */
#include "url.h"

#include <sodium.h>
#include <string.h>

#include "base/spin.h"

#define SCHEME                     "quartet://"
#define CONNECT_TIMEOUT_MS_DEFAULT 250u
#define TIMEOUT_MS_DEFAULT         10000u
#define TIMEOUT_MS_MAX             600000u

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Percent-decode into `out`; no control characters, valid UTF-8. */
static quartet_status decode(const char *p, size_t n, char *out, size_t out_bytes, const char *what,
                             struct err *err)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        char c = p[i];
        if (c == '%') {
            int hi = i + 2 < n ? hex_digit(p[i + 1]) : -1,
                lo = i + 2 < n ? hex_digit(p[i + 2]) : -1;
            if (hi < 0 || lo < 0)
                return err_set(err, QUARTET_MISUSE, "URL: a broken %%-sequence in the %s", what);
            c = (char)(hi * 16 + lo);
            i += 2;
        }
        if ((uint8_t)c < ' ' || c == 0x7f)
            return err_set(err, QUARTET_MISUSE, "URL: a control character in the %s", what);
        if (at + 1 >= out_bytes)
            return err_set(err, QUARTET_MISUSE, "URL: the %s is longer than %zu bytes", what,
                           out_bytes - 1);
        out[at++] = c;
    }
    out[at] = '\0';
    if (!utf8_valid((const uint8_t *)out, at))
        return err_set(err, QUARTET_MISUSE, "URL: the %s is not UTF-8", what);
    return QUARTET_OK;
}

static bool parse_u32(const char *s, uint32_t max, uint32_t *out)
{
    uint64_t v = 0;
    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '9')
            return false;
        v = v * 10 + (uint64_t)(*s - '0');
        if (v > max)
            return false;
    }
    *out = (uint32_t)v;
    return true;
}

quartet_status url_split_address(const char *text, char *host, size_t host_bytes, uint16_t *port,
                                 struct err *err)
{
    const char *name = text, *end = NULL, *rest = NULL;
    if (text[0] == '[') {
        name = text + 1;
        end = strchr(name, ']');
        rest = end != NULL ? end + 1 : NULL;
    } else {
        end = strrchr(text, ':');
        end = end != NULL ? end : text + strlen(text);
        rest = end;
    }
    if (end == NULL || end == name)
        return err_set(err, QUARTET_MISUSE, "address '%s': a host is missing", text);
    uint32_t number = URL_PORT_DEFAULT;
    if (rest[0] != '\0' && (rest[0] != ':' || !parse_u32(rest + 1, 65535, &number)))
        return err_set(err, QUARTET_MISUSE, "address '%s': the port must be a number up to 65535",
                       text);
    size_t n = (size_t)(end - name);
    if (n >= host_bytes)
        return err_set(err, QUARTET_MISUSE, "address '%s': the host is too long", text);
    memcpy(host, name, n);
    host[n] = '\0';
    *port = (uint16_t)number;
    return QUARTET_OK;
}

static quartet_status parse_hosts(const char *p, size_t n, struct url *out, struct err *err)
{
    const char *end = p + n;
    while (true) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma != NULL ? comma : end;
        if (out->host_count == SLOTS_MAX)
            return err_set(err, QUARTET_MISUSE, "URL: more than %u hosts", SLOTS_MAX);
        struct url_host *h = &out->hosts[out->host_count];
        char text[MEMBER_ADDRESS_BYTES_MAX + 8];
        quartet_status rc = decode(p, (size_t)(stop - p), text, sizeof text, "host", err);
        if (rc == QUARTET_OK)
            rc = url_split_address(text, h->host, sizeof h->host, &h->port, err);
        if (rc != QUARTET_OK)
            return rc;
        if (h->port == 0)
            return err_set(err, QUARTET_MISUSE, "URL: port 0");
        out->host_count++;
        if (comma == NULL)
            return QUARTET_OK;
        p = comma + 1;
    }
}

static quartet_status parse_hex(const char *name, const char *value, uint8_t *out, bool *seen,
                                struct err *err)
{
    size_t got = 0;
    if (strlen(value) != 64 || sodium_hex2bin(out, 32, value, 64, NULL, &got, NULL) != 0 ||
        got != 32)
        return err_set(err, QUARTET_MISUSE, "URL: %s must be 64 hex digits", name);
    *seen = true;
    return QUARTET_OK;
}

struct seen {
    bool cluster, key, gate;
};

static quartet_status take_param(struct url *out, struct seen *seen, const char *name,
                                 const char *value, struct err *err)
{
    if (strcmp(name, "cluster") == 0)
        return parse_hex(name, value, out->key.cluster.b, &seen->cluster, err);
    if (strcmp(name, "key") == 0)
        return parse_hex(name, value, out->key.seed, &seen->key, err);
    if (strcmp(name, "gate") == 0)
        return parse_hex(name, value, out->key.gate, &seen->gate, err);
    if (strcmp(name, "keyfile") == 0) {
        if (strlen(value) >= sizeof out->keyfile)
            return err_set(err, QUARTET_MISUSE, "URL: keyfile is too long");
        memcpy(out->keyfile, value, strlen(value) + 1);
        return QUARTET_OK;
    }
    if (strcmp(name, "connect_timeout") == 0 || strcmp(name, "timeout") == 0) {
        uint32_t *to = name[0] == 'c' ? &out->connect_timeout_ms : &out->timeout_ms;
        if (!parse_u32(value, TIMEOUT_MS_MAX, to) || *to == 0)
            return err_set(err, QUARTET_MISUSE, "URL: %s must be 1 to %u milliseconds", name,
                           TIMEOUT_MS_MAX);
        return QUARTET_OK;
    }
    if (strcmp(name, "outcome_timeout") == 0) {
        if (!parse_u32(value, TIMEOUT_MS_MAX, &out->outcome_timeout_ms))
            return err_set(err, QUARTET_MISUSE, "URL: %s must be at most %u milliseconds", name,
                           TIMEOUT_MS_MAX);
        return QUARTET_OK;
    }
    if (strcmp(name, "poll_us") == 0) {
        if (!parse_u32(value, SPIN_US_MAX, &out->poll_us))
            return err_set(err, QUARTET_MISUSE, "URL: poll_us must be at most %u microseconds", SPIN_US_MAX);
        return QUARTET_OK;
    }
    if (strcmp(name, "route") == 0) {
        static const char *const routes[] = {"ordered", "random", "roundrobin", "nearest", "leastlag"}; /* enum url_route */
        for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
            if (strcmp(value, routes[i]) == 0) {
                out->route = (enum url_route)i;
                return QUARTET_OK;
            }
        return err_set(err, QUARTET_MISUSE, "URL: route must be ordered, random, roundrobin, nearest or leastlag");
    }
    if (out->setting_count == URL_SETTINGS_MAX)
        return err_set(err, QUARTET_MISUSE, "URL: more than %u settings", URL_SETTINGS_MAX);
    if (strlen(name) >= sizeof out->settings[0].name ||
        strlen(value) >= sizeof out->settings[0].value)
        return err_set(err, QUARTET_MISUSE, "URL: a setting is too long");
    memcpy(out->settings[out->setting_count].name, name, strlen(name) + 1);
    memcpy(out->settings[out->setting_count].value, value, strlen(value) + 1);
    out->setting_count++;
    return QUARTET_OK;
}

static quartet_status parse_params(const char *p, struct url *out, struct seen *seen,
                                   struct err *err)
{
    while (*p != '\0') {
        size_t n = strcspn(p, "&");
        const char *equals = memchr(p, '=', n);
        char name[64], value[1024];
        if (equals == NULL || equals == p)
            return err_set(err, QUARTET_MISUSE, "URL: a parameter must be name=value");
        quartet_status rc =
            decode(p, (size_t)(equals - p), name, sizeof name, "parameter's name", err);
        if (rc == QUARTET_OK)
            rc = decode(equals + 1, n - (size_t)(equals - p) - 1, value, sizeof value, name, err);
        if (rc == QUARTET_OK)
            rc = take_param(out, seen, name, value, err);
        sodium_memzero(value, sizeof value);
        if (rc != QUARTET_OK)
            return rc;
        p += n;
        if (*p == '&')
            p++;
    }
    return QUARTET_OK;
}

static quartet_status parse(const char *text, struct url *out, struct err *err)
{
    if (strlen(text) > URL_BYTES_MAX)
        return err_set(err, QUARTET_MISUSE, "URL: longer than %u bytes", URL_BYTES_MAX);
    if (strncmp(text, SCHEME, strlen(SCHEME)) != 0)
        return err_set(err, QUARTET_MISUSE, "URL: it must begin with " SCHEME);
    const char *p = text + strlen(SCHEME);
    size_t authority = strcspn(p, "/?");
    const char *at = memchr(p, '@', authority);
    quartet_status rc = QUARTET_OK;
    if (at != NULL) {
        rc = decode(p, (size_t)(at - p), out->user, sizeof out->user, "user", err);
        authority -= (size_t)(at - p) + 1;
        p = at + 1;
    }
    if (rc == QUARTET_OK)
        rc = parse_hosts(p, authority, out, err);
    if (rc != QUARTET_OK)
        return rc;
    p += authority;
    if (*p == '/')
        p++;
    if (*p != '\0' && *p != '?')
        return err_set(err, QUARTET_MISUSE, "URL: a path after the hosts; parameters begin with ?");
    struct seen seen = {0};
    rc = *p == '?' ? parse_params(p + 1, out, &seen, err) : QUARTET_OK;
    if (rc != QUARTET_OK)
        return rc;
    if (out->keyfile[0] == '\0' && !(seen.cluster && seen.key && seen.gate))
        return err_set(err, QUARTET_MISUSE, "URL: cluster, key and gate are needed, or keyfile");
    if (out->keyfile[0] != '\0' && (seen.cluster || seen.key || seen.gate))
        return err_set(err, QUARTET_MISUSE, "URL: either keyfile, or cluster, key and gate");
    return QUARTET_OK;
}

quartet_status url_parse(const char *text, struct url *out, struct err *err)
{
    memset(out, 0, sizeof *out);
    out->key.kind = MEMBER_KEY_CLIENT;
    out->connect_timeout_ms = CONNECT_TIMEOUT_MS_DEFAULT;
    out->timeout_ms = TIMEOUT_MS_DEFAULT;
    out->poll_us = SPIN_US_DEFAULT;
    quartet_status rc = parse(text, out, err);
    if (rc != QUARTET_OK)
        url_wipe(out);
    return rc;
}

void url_wipe(struct url *u)
{
    sodium_memzero(u, sizeof *u);
}

static void put_hex(struct buf *out, const char *label, const uint8_t *p)
{
    char hex[65];
    (void)sodium_bin2hex(hex, sizeof hex, p, 32);
    buf_printf(out, "%s%s", label, hex);
    sodium_memzero(hex, sizeof hex);
}

static void put_escaped(struct buf *out, const char *s)
{
    for (; *s != '\0'; s++) {
        bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
                     (*s >= '0' && *s <= '9') || strchr("-._~", *s) != NULL;
        if (plain)
            buf_u8(out, (uint8_t)*s);
        else
            buf_printf(out, "%%%02X", (unsigned)(uint8_t)*s);
    }
}

void url_write(struct buf *out, const struct member_doc *doc, const struct member_key *client)
{
    QASSERT(client->kind == MEMBER_KEY_CLIENT);
    buf_str(out, SCHEME);
    put_escaped(out, client->name);
    buf_u8(out, '@');
    for (uint32_t i = 0; i < doc->node_count; i++) {
        if (i > 0)
            buf_u8(out, ',');
        buf_str(out, doc->nodes[i].address);
    }
    put_hex(out, "/?cluster=", client->cluster.b);
    put_hex(out, "&key=", client->seed);
    put_hex(out, "&gate=", client->gate);
}

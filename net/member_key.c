/* member_key.c - key files: a few lines of text, so that a person can see what a file is for
 * without a tool.
 *
 *   quartet key 1
 *   kind node            (node, client or root)
 *   slot 0               (of a node)
 *   name alice           (of a client)
 *   cluster HEX64
 *   seed HEX64
 *   gate HEX64           (not in a root key)
 *   check HEX16          (BLAKE2b-64 of all lines before)
 */
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "member.h"

static const char first_line[] = "quartet key 1\n";
static const char *const kind_names[] = {"", "node", "client", "root"};

static void put_hex(struct buf *out, const char *label, const uint8_t *p, size_t n)
{
    buf_str(out, label);
    buf_u8(out, ' ');
    for (size_t i = 0; i < n; i++) {
        static const char digits[] = "0123456789abcdef";
        buf_u8(out, (uint8_t)digits[p[i] >> 4]);
        buf_u8(out, (uint8_t)digits[p[i] & 15]);
    }
    buf_u8(out, '\n');
}

quartet_status member_key_encode(const struct member_key *k, struct buf *out, struct err *err)
{
    QASSERT(k->kind >= MEMBER_KEY_NODE && k->kind <= MEMBER_KEY_ROOT);
    size_t start = out->len;
    buf_str(out, first_line);
    buf_printf(out, "kind %s\n", kind_names[k->kind]);
    if (k->kind == MEMBER_KEY_NODE)
        buf_printf(out, "slot %u\n", k->slot);
    if (k->kind == MEMBER_KEY_CLIENT)
        buf_printf(out, "name %s\n", k->name);
    put_hex(out, "cluster", k->cluster.b, sizeof k->cluster.b);
    put_hex(out, "seed", k->seed, sizeof k->seed);
    if (k->kind != MEMBER_KEY_ROOT)
        put_hex(out, "gate", k->gate, sizeof k->gate);
    if (out->failed)
        return buf_check(out, err);
    uint8_t check[16];
    (void)crypto_generichash(check, sizeof check, out->data + start, out->len - start, NULL, 0);
    put_hex(out, "check", check, 8);
    return buf_check(out, err);
}

/* The value of the next line, which must be "label value\n". */
static bool take_line(struct slice *text, const char *label, struct slice *value)
{
    size_t n = strlen(label);
    const uint8_t *end = memchr(text->p, '\n', text->n);
    if (end == NULL || (size_t)(end - text->p) < n + 1 || memcmp(text->p, label, n) != 0 ||
        text->p[n] != ' ')
        return false;
    *value = slice_of(text->p + n + 1, (size_t)(end - text->p) - n - 1);
    size_t taken = (size_t)(end - text->p) + 1;
    *text = slice_of(end + 1, text->n - taken);
    return true;
}

static bool take_hex(struct slice *text, const char *label, uint8_t *out, size_t n)
{
    struct slice value;
    if (!take_line(text, label, &value) || value.n != n * 2)
        return false;
    size_t got = 0;
    return sodium_hex2bin(out, n, (const char *)value.p, value.n, NULL, &got, NULL) == 0 &&
           got == n;
}

static bool take_kind(struct slice *text, struct member_key *k)
{
    struct slice value;
    if (!take_line(text, "kind", &value))
        return false;
    for (int i = MEMBER_KEY_NODE; i <= MEMBER_KEY_ROOT; i++)
        if (slice_eq(value, slice_of(kind_names[i], strlen(kind_names[i]))))
            k->kind = (enum member_key_kind)i;
    if (k->kind == MEMBER_KEY_NODE) {
        if (!take_line(text, "slot", &value) || value.n != 1 || value.p[0] < '0' ||
            value.p[0] >= '0' + (int)SLOTS_MAX)
            return false;
        k->slot = (uint8_t)(value.p[0] - '0');
    } else if (k->kind == MEMBER_KEY_CLIENT) {
        if (!take_line(text, "name", &value) || value.n >= sizeof k->name ||
            memchr(value.p, 0, value.n) != NULL)
            return false;
        memcpy(k->name, value.p, value.n);
    }
    return k->kind != 0;
}

static bool parse(struct slice all, struct member_key *k)
{
    struct slice text = all;
    size_t n = sizeof first_line - 1;
    if (text.n < n || memcmp(text.p, first_line, n) != 0)
        return false;
    text = slice_of(text.p + n, text.n - n);
    if (!take_kind(&text, k) || !take_hex(&text, "cluster", k->cluster.b, sizeof k->cluster.b) ||
        !take_hex(&text, "seed", k->seed, sizeof k->seed))
        return false;
    if (k->kind != MEMBER_KEY_ROOT && !take_hex(&text, "gate", k->gate, sizeof k->gate))
        return false;
    uint8_t check[16], told[8];
    (void)crypto_generichash(check, sizeof check, all.p, (size_t)(text.p - all.p), NULL, 0);
    return take_hex(&text, "check", told, sizeof told) && memcmp(told, check, sizeof told) == 0 &&
           text.n == 0;
}

quartet_status member_key_decode(struct slice bytes, struct member_key *out, struct err *err)
{
    struct member_key k = {0};
    if (bytes.n > MEMBER_KEY_FILE_BYTES_MAX || !parse(bytes, &k)) {
        member_key_wipe(&k);
        return err_set(err, QUARTET_CORRUPT, "not a valid key file");
    }
    *out = k;
    member_key_wipe(&k);
    return QUARTET_OK;
}

void member_key_wipe(struct member_key *k)
{
    sodium_memzero(k, sizeof *k);
}

void member_key_expand(const struct member_key *k, uint8_t *secret64, uint8_t *public32)
{
    (void)crypto_sign_seed_keypair(public32, secret64, k->seed);
}

void member_keys_deinit(struct member_keys *keys)
{
    if (keys->clients != NULL)
        sodium_memzero(keys->clients, keys->client_count * sizeof *keys->clients);
    mem_free(keys->clients);
    sodium_memzero(keys, sizeof *keys);
}

quartet_status member_key_check_rights(const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return err_set(err, errno == ENOENT ? QUARTET_CANTOPEN : QUARTET_IO, "%s: %s", path,
                       strerror(errno));
    if ((st.st_mode & 077u) != 0)
        return err_set(err, QUARTET_AUTH, "%s may be read by others (mode %03o): chmod 600 it",
                       path, (unsigned)(st.st_mode & 0777u));
    return QUARTET_OK;
}

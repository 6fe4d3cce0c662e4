/* sim_sign.c - a cheap signature for simulated batches. The linker puts these in the place of libsodium's two calls (--wrap), in this program only, so that the
 * object files of production stay as they are; nine of ten seeds use it, the others sign with Ed25519.
 * It keeps what matters here: a signature fits one message and one key, and a changed bit is found. It is no secret: anybody can make one. */
#include <sodium.h>
#include <string.h>

#include "sim/sim.h"

int __real_crypto_sign_detached(unsigned char *sig, unsigned long long *n, const unsigned char *m, unsigned long long bytes, const unsigned char *secret);
int __real_crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *m, unsigned long long bytes, const unsigned char *key);
int __wrap_crypto_sign_detached(unsigned char *sig, unsigned long long *n, const unsigned char *m, unsigned long long bytes, const unsigned char *secret);
int __wrap_crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *m, unsigned long long bytes, const unsigned char *key);

static bool cheap; /* the calls have no room for a context; one thread runs one cluster at a time */

void sim_sign_cheaply(bool yes)
{
    cheap = yes;
}

int __wrap_crypto_sign_detached(unsigned char *sig, unsigned long long *n, const unsigned char *m, unsigned long long bytes, const unsigned char *secret)
{
    if (!cheap)
        return __real_crypto_sign_detached(sig, n, m, bytes, secret);
    if (n != NULL)
        *n = crypto_sign_BYTES;
    /* libsodium keeps the public key in the secret one's second half */
    return crypto_generichash(sig, crypto_sign_BYTES, m, bytes, secret + crypto_sign_SEEDBYTES, crypto_sign_PUBLICKEYBYTES);
}

int __wrap_crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *m, unsigned long long bytes, const unsigned char *key)
{
    unsigned char expected[crypto_sign_BYTES];
    if (!cheap)
        return __real_crypto_sign_verify_detached(sig, m, bytes, key);
    if (crypto_generichash(expected, sizeof expected, m, bytes, key, crypto_sign_PUBLICKEYBYTES) != 0)
        return -1;
    return memcmp(expected, sig, sizeof expected) == 0 ? 0 : -1;
}

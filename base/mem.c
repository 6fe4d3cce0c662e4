/* mem.c - heap allocation with checked products and failures on request.
 * Why: an allocation that fails is the rarest branch of a program and the least tested one; a test that fails the first,
 *   second, third ... allocation walks through all of them.
 * The counters are per thread: a test's thread arms its own failures and meets no other's. They are off unless armed. */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct mem_fault {
    uint64_t countdown; /* 0: off; 1: the next allocation fails */
    uint64_t hits;
    bool persistent;
};

static _Thread_local struct mem_fault fault;

static bool fault_strikes(void)
{
    if (fault.countdown == 0)
        return false;
    if (fault.countdown > 1) {
        fault.countdown--;
        return false;
    }
    if (!fault.persistent)
        fault.countdown = 0;
    fault.hits++;
    return true;
}

void mem_fail_at(uint64_t n, bool persistent)
{
    fault = (struct mem_fault){.countdown = n, .persistent = persistent};
}

uint64_t mem_fail_hits(void)
{
    return fault.hits;
}

bool mem_mul(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

void *mem_alloc(size_t bytes)
{
    return fault_strikes() ? NULL : malloc(bytes != 0 ? bytes : 1u);
}

void *mem_zalloc(size_t count, size_t size)
{
    size_t bytes;
    if (!mem_mul(count, size, &bytes) || fault_strikes())
        return NULL;
    return calloc(1, bytes != 0 ? bytes : 1u);
}

void *mem_realloc(void *p, size_t count, size_t size)
{
    size_t bytes;
    if (!mem_mul(count, size, &bytes) || fault_strikes())
        return NULL;
    return realloc(p, bytes != 0 ? bytes : 1u);
}

void *mem_dup(const void *p, size_t bytes)
{
    void *copy = mem_alloc(bytes);
    if (copy != NULL && bytes != 0)
        memcpy(copy, p, bytes);
    return copy;
}

char *mem_strdup(const char *s)
{
    return mem_dup(s, strlen(s) + 1u);
}

void mem_free(void *p)
{
    free(p);
}

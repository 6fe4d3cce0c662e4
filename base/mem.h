/* mem.h - heap allocation that checks products and can be made to fail in tests.
 *
 * Everything that owns heap goes through these, so that a test can fail the Nth allocation (mem_fail_at). Zero bytes give a
 * valid pointer. All return NULL on failure; nothing here prints or aborts. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

void *mem_alloc(size_t bytes);
void *mem_zalloc(size_t count, size_t size);              /* zeroed; checks count * size */
void *mem_realloc(void *p, size_t count, size_t size);    /* p may be NULL; on NULL p is untouched */
void *mem_dup(const void *p, size_t bytes);
char *mem_strdup(const char *s);
void mem_free(void *p);                                   /* NULL is allowed */
bool mem_mul(size_t a, size_t b, size_t *product);        /* false where a * b does not fit */

/* Tests: let the allocation number `n` from now (1 = the next) of this thread fail, once or from then on; 0 turns it off.
 * mem_fail_hits tells how often it struck since the last mem_fail_at. */
void mem_fail_at(uint64_t n, bool persistent);
uint64_t mem_fail_hits(void);

#endif

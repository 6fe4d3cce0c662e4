/* arena.h - a bump allocator: one per statement; tree, plan and temporaries are released by one call.
 *
 * Allocations are aligned to 16 bytes and live until arena_free_all or arena_rewind past them. Not thread-safe.
 * NULL means out of memory or past limit_bytes; arena_fail turns that into the right error. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "status.h"

#include <string.h>

#define ARENA_ALIGN_BYTES 16u

struct arena_chunk { /* of arena.c; here only for what is compiled into every caller */
    _Alignas(ARENA_ALIGN_BYTES) struct arena_chunk *older;
    struct arena_chunk *spare;
    size_t cap;
    size_t at;
};

struct arena {
    size_t limit_bytes; /* 0: no limit */
    size_t used_bytes;  /* handed out, chunks' waste included */
    struct arena_chunk *chunks;
    bool over_limit;    /* the last failure was the limit's, not the system's */
};

struct arena_mark {
    struct arena_chunk *chunk;
    size_t at;
    size_t used_bytes;
};

void *arena_alloc_slow(struct arena *a, size_t bytes); /* of arena_alloc: a new chunk, or what went wrong */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONS 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONS 1
#endif

/* A statement that runs once makes a hundred small objects: what they cost is a good part of it, so this is compiled into the callers. */
static inline void *arena_alloc(struct arena *a, size_t bytes)
{
#ifndef ARENA_POISONS
    struct arena_chunk *c = a->chunks;
    size_t need = (bytes + ARENA_ALIGN_BYTES - 1u) & ~(size_t)(ARENA_ALIGN_BYTES - 1u);
    /* need - 1: of no bytes (or of so many that the sum wrapped) it is the largest number. Without a limit limit_bytes - 1 is that, too. */
    if (c != NULL && need - 1u < c->cap - c->at && a->used_bytes + need - 1u <= a->limit_bytes - 1u) {
        void *p = (uint8_t *)c + sizeof *c + c->at;
        c->at += need;
        a->used_bytes += need;
        return p;
    }
#endif
    return arena_alloc_slow(a, bytes);
}

/* Zeroed; checks count * size. */
static inline void *arena_zalloc(struct arena *a, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return arena_alloc_slow(a, SIZE_MAX); /* NULL, and the reason is set */
    void *p = arena_alloc(a, bytes);
    return p != NULL ? memset(p, 0, bytes) : NULL;
}
void *arena_dup(struct arena *a, const void *p, size_t bytes);
char *arena_strndup(struct arena *a, const char *s, size_t n);  /* adds a NUL */
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark mark); /* releases all that came after; keeps one chunk to reuse */
/* As arena_rewind to the beginning, for arenas that are mostly empty as it is. */
static inline void arena_reset(struct arena *a)
{
    if (a->used_bytes != 0)
        arena_rewind(a, (struct arena_mark){0});
}
/* Empty the arena; where it kept little and `spare` has nothing, its memory goes there, to be used again: *to = *spare; *spare = (struct arena){0}. */
void arena_give(struct arena *a, struct arena *spare);
void arena_recycle(struct arena *a, size_t keep_bytes);      /* releases all; keeps a chunk of at most that for the next use */
void arena_free_all(struct arena *a);                       /* the arena may be used again */
quartet_status arena_fail(const struct arena *a, struct err *err); /* QUARTET_NOMEM or QUARTET_LIMIT */

#endif

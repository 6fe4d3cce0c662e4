/* arena.c - a bump allocator over a chain of chunks.
 * Why: a statement makes thousands of small objects of one lifetime. Freeing them one by one is slow, and every error
 *   path could forget one.
 * Invariants: `chunks` is the newest chunk and links to older ones; only the newest is allocated from; used_bytes never
 *   passes limit_bytes. A chunk may hold one spare, newer than itself and unused: without it, a loop of mark, allocate,
 *   rewind whose mark lies near a chunk's end would call malloc and free each time round.
 * Under AddressSanitizer all that is not handed out is poisoned, so use after rewind is found as use after free is. */
#include "base/arena.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#ifdef ARENA_POISONS
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define ARENA_CHUNK_BYTES_MIN 4064u /* with its header and malloc's, one page */
#define ARENA_CHUNK_BYTES_MAX (1024u * 1024u)
#define ARENA_SPARE_BYTES_MAX (128u * 1024u) /* more than that is not kept for the next one */

static uint8_t *chunk_data(struct arena_chunk *c)
{
    return (uint8_t *)c + sizeof *c;
}

static void chunk_free(struct arena_chunk *c)
{
    if (c == NULL)
        return;
    if (c->spare != NULL) {
        ASAN_UNPOISON_MEMORY_REGION(chunk_data(c->spare), c->spare->cap);
        mem_free(c->spare); /* a spare has no spare of its own */
    }
    ASAN_UNPOISON_MEMORY_REGION(chunk_data(c), c->cap);
    mem_free(c);
}

static void chunk_empty(struct arena_chunk *c)
{
    chunk_free(c->spare);
    c->spare = NULL;
    c->older = NULL;
    c->at = 0;
    ASAN_POISON_MEMORY_REGION(chunk_data(c), c->cap);
}

static struct arena_chunk *chunk_new(size_t cap)
{
    struct arena_chunk *c = mem_alloc(sizeof *c + cap);
    if (c == NULL)
        return NULL;
    *c = (struct arena_chunk){.cap = cap};
    ASAN_POISON_MEMORY_REGION(chunk_data(c), cap);
    return c;
}

/* How large the next chunk should be: doubling, but not far past what the limit still allows. */
static size_t chunk_size_next(const struct arena *a, size_t need, size_t left)
{
    size_t cap = ARENA_CHUNK_BYTES_MIN;
    if (a->chunks != NULL && a->chunks->cap >= ARENA_CHUNK_BYTES_MAX / 2u)
        cap = ARENA_CHUNK_BYTES_MAX;
    else if (a->chunks != NULL)
        cap = a->chunks->cap * 2u;
    if (a->limit_bytes != 0 && cap > left)
        cap = left;
    return cap > need ? cap : need;
}

/* A chunk with room for `need` bytes becomes the newest. `waste` bytes at the end of the present one stay unused. */
static bool arena_grow(struct arena *a, size_t need, size_t waste)
{
    struct arena_chunk *c = NULL;
    if (a->chunks != NULL && a->chunks->spare != NULL) {
        c = a->chunks->spare;
        a->chunks->spare = NULL;
        if (c->cap < need) {
            chunk_free(c);
            c = NULL;
        }
    }
    if (c == NULL) {
        size_t left = a->limit_bytes != 0 ? a->limit_bytes - a->used_bytes - waste : 0;
        c = chunk_new(chunk_size_next(a, need, left));
        if (c == NULL)
            return false;
    }
    if (a->chunks != NULL)
        a->chunks->at = a->chunks->cap;
    c->older = a->chunks;
    a->chunks = c;
    a->used_bytes += waste;
    return true;
}

void *arena_alloc_slow(struct arena *a, size_t bytes)
{
    size_t need = bytes != 0 ? bytes : 1u;
    if (need > SIZE_MAX / 2u) {
        a->over_limit = a->limit_bytes != 0;
        return NULL;
    }
    need = (need + ARENA_ALIGN_BYTES - 1u) & ~(size_t)(ARENA_ALIGN_BYTES - 1u);

    size_t room = a->chunks != NULL ? a->chunks->cap - a->chunks->at : 0;
    size_t waste = need > room ? room : 0;
    if (a->limit_bytes != 0) {
        QASSERT(a->used_bytes <= a->limit_bytes);
        size_t left = a->limit_bytes - a->used_bytes;
        if (waste > left || need > left - waste) {
            a->over_limit = true;
            return NULL;
        }
    }
    if (need > room && !arena_grow(a, need, waste)) {
        a->over_limit = false;
        return NULL;
    }
    struct arena_chunk *c = a->chunks;
    QASSERT(c != NULL);
    uint8_t *p = chunk_data(c) + c->at;
    c->at += need;
    a->used_bytes += need;
    ASAN_UNPOISON_MEMORY_REGION(p, bytes != 0 ? bytes : 1u);
    return p;
}

void *arena_dup(struct arena *a, const void *p, size_t bytes)
{
    void *copy = arena_alloc(a, bytes);
    if (copy != NULL && bytes != 0)
        memcpy(copy, p, bytes);
    return copy;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    QASSERT(n < SIZE_MAX);
    char *copy = arena_alloc(a, n + 1u);
    if (copy == NULL)
        return NULL;
    if (n != 0)
        memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (wanted < 0)
        return NULL;
    size_t bytes = (size_t)wanted + 1u;
    char *text = arena_alloc(a, bytes);
    if (text == NULL)
        return NULL;
    va_start(args, format);
    int written = vsnprintf(text, bytes, format, args);
    va_end(args);
    QASSERT(written == wanted);
    return text;
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){
        .chunk = a->chunks,
        .at = a->chunks != NULL ? a->chunks->at : 0,
        .used_bytes = a->used_bytes,
    };
}

void arena_rewind(struct arena *a, struct arena_mark mark)
{
    struct arena_chunk *kept = NULL; /* of the chunks above the mark, the largest */
    while (a->chunks != mark.chunk) {
        struct arena_chunk *c = a->chunks;
        QASSERT(c != NULL); /* the mark is of this arena, and not older than another rewind */
        a->chunks = c->older;
        if (kept == NULL || c->cap > kept->cap) {
            chunk_free(kept);
            kept = c;
        } else {
            chunk_free(c);
        }
    }
    a->used_bytes = mark.used_bytes;
    if (kept != NULL)
        chunk_empty(kept);
    if (mark.chunk == NULL) {
        a->chunks = kept;
        return;
    }
    QASSERT(mark.at <= mark.chunk->cap);
    mark.chunk->at = mark.at;
    ASAN_POISON_MEMORY_REGION(chunk_data(mark.chunk) + mark.at, mark.chunk->cap - mark.at);
    if (kept != NULL) {
        chunk_free(mark.chunk->spare);
        mark.chunk->spare = kept;
    }
}

void arena_give(struct arena *a, struct arena *spare)
{
    arena_rewind(a, (struct arena_mark){0}); /* the largest chunk stays */
    if (spare->chunks == NULL && a->chunks != NULL && a->chunks->cap <= ARENA_SPARE_BYTES_MAX) {
        spare->chunks = a->chunks;
        a->chunks = NULL;
    }
    arena_free_all(a);
}

void arena_free_all(struct arena *a)
{
    while (a->chunks != NULL) {
        struct arena_chunk *older = a->chunks->older;
        chunk_free(a->chunks);
        a->chunks = older;
    }
    a->used_bytes = 0;
    a->over_limit = false;
}

void arena_recycle(struct arena *a, size_t keep_bytes)
{
    arena_rewind(a, (struct arena_mark){0});
    a->over_limit = false;
    if (a->chunks != NULL && a->chunks->cap > keep_bytes)
        arena_free_all(a);
}

quartet_status arena_fail(const struct arena *a, struct err *err)
{
    if (!a->over_limit)
        return err_nomem(err);
    return err_set(err, QUARTET_LIMIT, "needs more than %zu bytes of memory, the limit for one statement",
                   a->limit_bytes);
}

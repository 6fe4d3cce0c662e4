/* lmdb_check.c - see lmdb_check.h. The layout is that of LMDB 0.9 on 64-bit little-endian machines (mdb.c, struct MDB_page, MDB_node, MDB_meta).
 * Why by reading and not by LMDB's functions: those follow damaged pages out of the map; and a file that was cut short ends a process that looks at it in a map.
 * Invariants: no page is used twice, by trees or the list of free pages; keys rise within a page and stay within what the page above says; the counts that
 *   LMDB keeps are the true ones. Together with the sum: an entry that is not the one that was written is noticed.
 * Not here: the blocks (block.c), which are looked at when they are read. */
#include "lmdb_check.h"

#include <string.h>
#include <xxhash.h>

#include "base/mem.h"

#define PAGE 4096u
#define HEADER 16u
#define NODE 8u
#define NODE_MAX (((PAGE - HEADER) / 2 & ~1u) - 2u) /* me_nodemax: an entry above it has its value apart */
#define DEPTH_MAX 32u
#define NO_PAGE UINT64_MAX
#define META_BYTES 136u

enum { P_BRANCH = 1, P_LEAF = 2, P_OVERFLOW = 4 };
enum { F_BIGDATA = 1 };

struct tree {
    bool free_list; /* keys are numbers, values lists of pages */
    uint16_t depth;
    uint64_t branches, leaves, apart, entries, root;
    uint64_t seen_branches, seen_leaves, seen_apart, seen_entries;
};
struct checking {
    struct env *env;
    struct file *file;
    const char *path;
    uint64_t pages, last_page;
    uint8_t *used; /* a bit for each page */
    struct slice sum_key;
    struct lmdb_sum sum;
    uint8_t stored[LMDB_SUM_BYTES];
    bool has_stored;
    struct err *err;
};
struct span { /* keys of a page: from lo on, below hi */
    struct slice lo, hi;
    bool has_hi;
};

bool lmdb_is_apart(size_t key_bytes, size_t value_bytes)
{
    return NODE + key_bytes + value_bytes > NODE_MAX;
}

uint64_t lmdb_entry_hash(struct slice key, struct slice value, uint64_t page)
{
    bool apart = lmdb_is_apart(key.n, value.n);
    uint64_t seed = apart ? XXH3_64bits(&page, sizeof page) ^ value.n : XXH3_64bits(value.p, value.n);
    return XXH3_64bits_withSeed(key.p, key.n, seed);
}

void lmdb_sum_encode(const struct lmdb_sum *s, uint8_t out[LMDB_SUM_BYTES])
{
    store_le64(out, s->sum);
    store_le64(out + 8, s->entries);
    store_le64(out + 16, XXH3_64bits(out, 16));
}

/* Pages that n bytes need, their header included. */
static uint64_t pages_of(uint64_t n)
{
    return (HEADER - 1 + n) / PAGE + 1;
}

bool lmdb_apart_good(const void *value, size_t value_bytes, uint64_t *page)
{
    const uint8_t *head = (const uint8_t *)value - HEADER;
    *page = load_le64(head);
    return (load_le16(head + 10) & ~0x10u) == P_OVERFLOW && load_le32(head + 12) == pages_of(value_bytes); /* 0x10: not written yet */
}

static quartet_status damaged(const struct checking *c, uint64_t page, const char *what)
{
    return err_set(c->err, QUARTET_CORRUPT, "%.400s, offset %llu: damaged page of the base: %s", c->path, (unsigned long long)(page * PAGE), what);
}

static quartet_status read_page(struct checking *c, uint64_t page, uint8_t *out)
{
    size_t got = 0;
    quartet_status rc = c->env->ops->pread(c->file, out, PAGE, page * PAGE, &got, c->err);
    return rc == QUARTET_OK && got != PAGE ? damaged(c, page, "the file is cut short") : rc;
}

/* Pages from `page` on belong to somebody: each to one only. */
static quartet_status take(struct checking *c, uint64_t page, uint64_t n, bool must_exist)
{
    if (page < 2 || page > c->last_page || n > c->last_page - page + 1)
        return damaged(c, page <= c->last_page ? page : 0, "a page number past the end");
    if (must_exist && page + n > c->pages)
        return damaged(c, page, "the file is cut short");
    for (uint64_t i = page; i < page + n; i++) {
        if ((c->used[i / 8] >> (i % 8) & 1) != 0)
            return damaged(c, i, "it is used twice");
        c->used[i / 8] |= (uint8_t)(1u << (i % 8));
    }
    return QUARTET_OK;
}

/* ---- the list of free pages ---- */

static quartet_status take_free(struct checking *c, uint64_t page, const uint8_t *list, size_t n)
{
    uint64_t count = n >= 8 ? load_le64(list) : 0;
    if (n % 8 != 0 || n < 8 || count > n / 8 - 1)
        return damaged(c, page, "a list of free pages");
    for (uint64_t i = 1; i <= count; i++) {
        quartet_status rc = take(c, load_le64(list + i * 8), 1, false);
        if (rc != QUARTET_OK)
            return rc;
    }
    return QUARTET_OK;
}

static quartet_status take_free_apart(struct checking *c, uint64_t page, size_t n)
{
    size_t got = 0;
    uint8_t *bytes = mem_alloc(n + HEADER);
    if (bytes == NULL)
        return err_nomem(c->err);
    uint64_t self;
    quartet_status rc = c->env->ops->pread(c->file, bytes, n + HEADER, page * PAGE, &got, c->err);
    if (rc == QUARTET_OK && (got != n + HEADER || !lmdb_apart_good(bytes + HEADER, n, &self) || self != page))
        rc = damaged(c, page, "a list of free pages");
    if (rc == QUARTET_OK)
        rc = take_free(c, page, bytes + HEADER, n);
    mem_free(bytes);
    return rc;
}

/* ---- trees ---- */

struct node {
    struct slice key;
    uint16_t flags;
    uint64_t child; /* of a branch */
    size_t value_bytes;
    const uint8_t *value; /* in the page; where it lies apart, 8 bytes number of its first page */
};

static bool node_at(const uint8_t *p, uint32_t i, uint32_t upper, bool leaf, struct node *out)
{
    uint32_t at = load_le16(p + HEADER + 2 * i);
    if (at < upper || at % 2 != 0 || at + NODE > PAGE)
        return false;
    const uint8_t *n = p + at;
    uint32_t key_bytes = load_le16(n + 6), left = PAGE - at - NODE;
    out->flags = load_le16(n + 4);
    out->child = (uint64_t)load_le16(n) | (uint64_t)load_le16(n + 2) << 16 | (uint64_t)out->flags << 32;
    if (key_bytes > left)
        return false;
    out->key = slice_of(n + NODE, key_bytes);
    out->value = n + NODE + key_bytes;
    out->value_bytes = leaf ? load_le32(n) : 0;
    if (!leaf)
        return true;
    bool apart = lmdb_is_apart(key_bytes, out->value_bytes);
    return out->flags == (apart ? F_BIGDATA : 0) && left - key_bytes >= (apart ? 8 : out->value_bytes);
}

static int key_order(const struct tree *t, struct slice a, struct slice b)
{
    if (!t->free_list)
        return slice_cmp(a, b);
    uint64_t x = a.n == 8 ? load_le64(a.p) : 0, y = b.n == 8 ? load_le64(b.p) : 0;
    return x < y ? -1 : x > y;
}

static bool in_span(const struct tree *t, const struct span *s, struct slice key)
{
    if (t->free_list && key.n != 8)
        return false;
    return (s->lo.p == NULL || key_order(t, key, s->lo) >= 0) && (!s->has_hi || key_order(t, key, s->hi) < 0);
}

static quartet_status check_entry(struct checking *c, struct tree *t, uint64_t page, const struct node *n)
{
    bool apart = (n->flags & F_BIGDATA) != 0;
    uint64_t at = apart ? load_le64(n->value) : 0;
    quartet_status rc = QUARTET_OK;
    t->seen_entries++;
    if (apart) {
        t->seen_apart += pages_of(n->value_bytes);
        rc = take(c, at, pages_of(n->value_bytes), true);
    }
    if (rc != QUARTET_OK || t->free_list)
        return rc != QUARTET_OK ? rc : apart ? take_free_apart(c, at, n->value_bytes) : take_free(c, page, n->value, n->value_bytes);
    if (slice_eq(n->key, c->sum_key)) {
        if (n->value_bytes != LMDB_SUM_BYTES)
            return damaged(c, page, "the sum of its entries");
        memcpy(c->stored, n->value, LMDB_SUM_BYTES);
        c->has_stored = true;
        return QUARTET_OK;
    }
    c->sum.entries++;
    c->sum.sum += lmdb_entry_hash(n->key, slice_of(n->value, n->value_bytes), at);
    return QUARTET_OK;
}

/* One page and all below it. */
static quartet_status check_page(struct checking *c, struct tree *t, uint64_t page, uint32_t level, const struct span *span)
{
    quartet_status rc = take(c, page, 1, true);
    uint8_t *p = rc == QUARTET_OK ? mem_alloc(PAGE) : NULL;
    if (rc == QUARTET_OK && p == NULL)
        rc = err_nomem(c->err);
    if (rc == QUARTET_OK)
        rc = read_page(c, page, p);
    if (rc != QUARTET_OK)
        goto done;
    bool leaf = level + 1 == t->depth;
    uint32_t lower = load_le16(p + 12), upper = load_le16(p + 14), count = (lower - HEADER) / 2;
    *(leaf ? &t->seen_leaves : &t->seen_branches) += 1;
    if (load_le64(p) != page || load_le16(p + 8) != 0 || load_le16(p + 10) != (leaf ? P_LEAF : P_BRANCH) || lower < HEADER || lower % 2 != 0 || lower > upper ||
        upper > PAGE || count < (leaf ? 1u : 2u)) {
        rc = damaged(c, page, "its header");
        goto done;
    }
    struct node n, next;
    struct slice before = {0};
    for (uint32_t i = 0; rc == QUARTET_OK && i < count; i++) {
        bool first_of_branch = !leaf && i == 0; /* whose key says nothing */
        if (!node_at(p, i, upper, leaf, &n) || (!first_of_branch && (!in_span(t, span, n.key) || (before.p != NULL && key_order(t, before, n.key) >= 0)))) {
            rc = damaged(c, page, "an entry");
        } else if (leaf) {
            rc = check_entry(c, t, page, &n);
        } else {
            struct span inner = {.lo = first_of_branch ? span->lo : n.key, .hi = span->hi, .has_hi = span->has_hi};
            if (i + 1 < count && node_at(p, i + 1, upper, false, &next)) {
                inner.hi = next.key;
                inner.has_hi = true;
            }
            rc = check_page(c, t, n.child, level + 1, &inner);
        }
        before = first_of_branch ? before : n.key;
    }
done:
    mem_free(p);
    return rc;
}

static quartet_status check_tree(struct checking *c, struct tree *t)
{
    struct span all = {0};
    if (t->depth > DEPTH_MAX || (t->depth == 0) != (t->root == NO_PAGE))
        return damaged(c, 0, "the root of a tree");
    quartet_status rc = t->depth > 0 ? check_page(c, t, t->root, 0, &all) : QUARTET_OK;
    if (rc == QUARTET_OK && (t->seen_entries != t->entries || t->seen_branches != t->branches || t->seen_leaves != t->leaves || t->seen_apart != t->apart))
        rc = damaged(c, 0, "the counts of a tree");
    return rc;
}

/* ---- the file ---- */

static struct tree tree_of(const uint8_t *db, bool free_list)
{
    return (struct tree){.free_list = free_list, .depth = load_le16(db + 6), .branches = load_le64(db + 8), .leaves = load_le64(db + 16),
                         .apart = load_le64(db + 24), .entries = load_le64(db + 32), .root = load_le64(db + 40)};
}

/* The newer of the two meta pages, as LMDB chooses. */
static quartet_status read_meta(struct checking *c, uint8_t out[META_BYTES])
{
    uint8_t page[2][PAGE];
    for (uint64_t k = 0; k < 2; k++) {
        quartet_status rc = read_page(c, k, page[k]);
        if (rc != QUARTET_OK)
            return rc;
        const uint8_t *m = page[k] + HEADER;
        if (load_le64(page[k]) != k || load_le16(page[k] + 10) != 8 || load_le32(m) != 0xBEEFC0DEu || load_le32(m + 4) != 1)
            return damaged(c, k, "its header");
        if (load_le32(m + 24) != PAGE)
            return err_set(c->err, QUARTET_CANTOPEN, "%.400s: made with pages of %u bytes, this program reads %u", c->path, load_le32(m + 24), PAGE);
        if ((load_le16(m + 28) & ~0x4000u) != 8 || load_le16(m + 76) != 0) /* number keys; no flags. 0x4000: made as a plain file */
            return damaged(c, k, "its flags");
    }
    memcpy(out, page[load_le64(page[0] + HEADER + 128) < load_le64(page[1] + HEADER + 128)] + HEADER, META_BYTES);
    return QUARTET_OK;
}

static quartet_status check_file(struct checking *c)
{
    uint8_t meta[META_BYTES], want[LMDB_SUM_BYTES];
    quartet_status rc = read_meta(c, meta);
    if (rc != QUARTET_OK)
        return rc;
    c->last_page = load_le64(meta + 120);
    /* Pages that were taken and given back in one transaction were never written: the file may end before the last page. But not by much. */
    if (c->last_page < 1 || c->last_page > c->pages + (1u << 20))
        return damaged(c, 0, "a page number past the end");
    c->used = mem_zalloc(c->last_page / 8 + 1, 1);
    if (c->used == NULL)
        return err_nomem(c->err);
    struct tree main = tree_of(meta + 72, false), free_pages = tree_of(meta + 24, true);
    rc = check_tree(c, &main);
    if (rc == QUARTET_OK)
        rc = check_tree(c, &free_pages);
    lmdb_sum_encode(&c->sum, want);
    if (rc == QUARTET_OK && c->has_stored && memcmp(c->stored, want, sizeof want) != 0)
        rc = damaged(c, 0, "the entries are not those that were written");
    mem_free(c->used);
    return rc;
}

quartet_status lmdb_check(struct env *env, const char *path, struct slice sum_key, struct lmdb_sum *out, bool *has_sum, struct err *err)
{
    struct checking c = {.env = env, .path = path, .sum_key = sum_key, .err = err};
    uint64_t bytes = 0;
    quartet_status rc = env->ops->open(env, path, FILE_READ, &c.file, err);
    if (rc == QUARTET_OK)
        rc = env->ops->size(c.file, &bytes, err);
    c.pages = bytes / PAGE;
    if (rc == QUARTET_OK)
        rc = check_file(&c);
    env->ops->close(c.file);
    *out = c.sum;
    *has_sum = c.has_stored;
    return rc;
}

/* verify_base.c - base.mdb page by page, without LMDB: a damaged page would make LMDB read outside of its file.
 * What is checked: the meta pages; every page of the tree and of the list of free pages: its number, kind, node places and sizes; that no page is used twice; that keys ascend
 *   within and between pages; the counts that LMDB keeps; each block's checksum and structure; that a block's keys ascend and lie between its separator and the next.
 * Layout (LMDB 0.9, data version 1, little-endian 64 bit): a page begins with u64 number, u16, u16 flags, u16 lower, u16 upper (of an overflow page: u32 pages); then u16 places
 *   of nodes. A node: u16 lo, u16 hi, u16 flags, u16 key bytes, key, data. In a branch lo, hi and flags are the child's number.
 * Not here: what rows say (verify_rows.c). */
#include <string.h>

#include "base/mem.h"
#include "block.h"
#include "kv_base.h"
#include "verify.h"

#define FILE_NAME "base.mdb"
#define PAGE_HEAD 16u
#define NODE_HEAD 8u
#define META_BYTES 152u
#define MAGIC 0xBEEFC0DEu
#define DEPTH_MAX 32u
#define PAGE_BYTES_MAX 65536u
enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4, PAGE_META = 8, NODE_BIG = 1 };
#define OWN_TREE UINT64_MAX
#define NO_PAGE UINT64_MAX

struct tree_info { /* MDB_db */
    uint16_t depth;
    uint64_t branches, leaves, overflows, entries, root;
};
struct walk {
    struct verify *v;
    struct file *f;
    uint32_t page_bytes;
    uint64_t last_page, file_bytes, txn;
    uint8_t *used; /* a bit for each page */
    bool free_list;
    struct tree_info seen;
    struct buf last_key;  /* of the leaves so far */
    bool has_key;
    tree_id tree;         /* of the block before */
    struct buf last_row;  /* its last key */
    bool has_row;
    struct buf block, scratch;
    struct err *err;
};

static struct slice none(void)
{
    return (struct slice){0};
}

static void bad_page(struct walk *w, uint64_t page, const char *what)
{
    w->v->damaged_pages = true;
    verify_add(w->v, FILE_NAME, (int64_t)(page * w->page_bytes), 0, none(), "page %llu: %s", (unsigned long long)page, what);
}

static quartet_status read_at(struct walk *w, uint64_t offset, void *p, size_t n, bool *whole)
{
    size_t got = 0;
    quartet_status rc = w->v->env->ops->pread(w->f, p, n, offset, &got, w->err);
    *whole = got == n;
    return rc;
}

/* Mark n pages as used. False: one of them is none of the file's, or used already. */
static bool use(struct walk *w, uint64_t page, uint64_t n)
{
    if (page < 2 || n == 0 || page > w->last_page || n > w->last_page - page + 1)
        return false;
    for (uint64_t i = page; i < page + n; i++) {
        if ((w->used[i / 8] & 1u << (i % 8)) != 0)
            return false;
        w->used[i / 8] = (uint8_t)(w->used[i / 8] | 1u << (i % 8));
    }
    return true;
}

/* ---- blocks ---- */

static quartet_status check_keys(struct walk *w, const struct block *b, tree_id tree, struct slice separator, uint64_t offset)
{
    struct buf *key = &w->scratch;
    if (w->tree != tree)
        w->has_row = false;
    w->tree = tree;
    for (uint32_t r = 0; r < b->rows; r++) {
        buf_clear(key);
        if (!block_key(b, r, key)) {
            verify_add(w->v, FILE_NAME, (int64_t)offset, tree, none(), "a key of the block cannot be read");
            return QUARTET_OK;
        }
        if (key->failed)
            return err_nomem(w->err);
        struct slice k = slice_of(key->data, key->len);
        if (r == 0 && slice_cmp(k, separator) < 0)
            verify_add(w->v, FILE_NAME, (int64_t)offset, tree, k, "the block's first key is below its separator");
        if (r == 0 && w->has_row && slice_cmp(slice_of(w->last_row.data, w->last_row.len), separator) >= 0)
            verify_add(w->v, FILE_NAME, (int64_t)offset, tree, slice_of(w->last_row.data, w->last_row.len),
                       "the last key of the block before is not below this block's separator");
        if (w->has_row && slice_cmp(slice_of(w->last_row.data, w->last_row.len), k) >= 0)
            verify_add(w->v, FILE_NAME, (int64_t)offset, tree, k, "keys do not ascend");
        buf_clear(&w->last_row);
        buf_put(&w->last_row, k.p, k.n);
        if (w->last_row.failed)
            return err_nomem(w->err);
        w->has_row = true;
    }
    return QUARTET_OK;
}

static quartet_status check_block(struct walk *w, struct slice key, struct slice data, uint64_t offset)
{
    struct block b;
    struct err why = ERR_INIT;
    tree_id tree = load_be64(key.p);
    struct slice separator = slice_of(key.p + 8, key.n - 8);
    if (tree == OWN_TREE)
        return QUARTET_OK;
    w->v->blocks++;
    if (block_open(&b, tree, data.p, data.n, true, &why) != QUARTET_OK) {
        verify_add(w->v, FILE_NAME, (int64_t)offset, tree, separator, "%.250s", why.text);
        w->has_row = false;
        return QUARTET_OK;
    }
    return check_keys(w, &b, tree, separator, offset);
}

/* ---- nodes and pages ---- */

/* The value of a leaf's node: in the page, or in overflow pages. */
static quartet_status leaf_value(struct walk *w, uint64_t page, const uint8_t *p, const uint8_t *node, struct slice *out, uint64_t *offset, bool *good)
{
    uint16_t key_bytes = load_le16(node + 6);
    const uint8_t *at = node + NODE_HEAD + key_bytes;
    size_t n = (size_t)load_le16(node) | (size_t)load_le16(node + 2) << 16, left = w->page_bytes - (size_t)(at - p);
    *good = false;
    if ((load_le16(node + 4) & NODE_BIG) == 0) {
        *good = n <= left;
        *out = slice_of(at, n);
        *offset = page * w->page_bytes + (uint64_t)(at - p);
        if (!*good)
            bad_page(w, page, "a value goes past its end");
        return QUARTET_OK;
    }
    if (left < 8) {
        bad_page(w, page, "a node goes past its end");
        return QUARTET_OK;
    }
    uint64_t first = load_le64(at), pages = (PAGE_HEAD - 1 + n) / w->page_bytes + 1;
    if (!use(w, first, pages)) {
        bad_page(w, page, "a value stands on pages that are not in the file, or used twice");
        return QUARTET_OK;
    }
    w->seen.overflows += pages;
    buf_clear(&w->block);
    uint8_t *room = buf_reserve(&w->block, pages * w->page_bytes);
    if (room == NULL)
        return err_nomem(w->err);
    bool whole;
    quartet_status rc = read_at(w, first * w->page_bytes, room, (size_t)(pages * w->page_bytes), &whole);
    if (rc != QUARTET_OK)
        return rc;
    *good = whole && load_le64(room) == first && (load_le16(room + 10) & PAGE_OVERFLOW) != 0 && load_le32(room + 12) == pages;
    if (!*good)
        bad_page(w, first, "not the head of overflow pages of this length");
    *out = slice_of(room + PAGE_HEAD, n);
    *offset = first * w->page_bytes + PAGE_HEAD;
    return QUARTET_OK;
}

/* The free list's value: a count, then page numbers, each once in the file. */
static void check_free(struct walk *w, uint64_t page, struct slice data)
{
    uint64_t n = data.n >= 8 ? load_le64(data.p) : UINT64_MAX;
    if (n > data.n / 8 - 1) {
        bad_page(w, page, "a damaged list of free pages");
        return;
    }
    for (uint64_t i = 0; i < n; i++)
        if (!use(w, load_le64(data.p + 8 + 8 * i), 1)) {
            bad_page(w, page, "a free page that is not in the file, or in use");
            return;
        }
}

static quartet_status check_leaf_node(struct walk *w, uint64_t page, const uint8_t *p, const uint8_t *node)
{
    struct slice key = slice_of(node + NODE_HEAD, load_le16(node + 6)), data;
    uint64_t offset;
    bool good;
    quartet_status rc = leaf_value(w, page, p, node, &data, &offset, &good);
    w->seen.entries++;
    if (rc != QUARTET_OK || !good)
        return rc;
    if (w->free_list) {
        check_free(w, page, data);
        return QUARTET_OK;
    }
    if (key.n < 8 || key.n > 8 + BASE_SEPARATOR_BYTES_MAX) {
        bad_page(w, page, "a key of a length that none has");
        return QUARTET_OK;
    }
    if (w->has_key && slice_cmp(slice_of(w->last_key.data, w->last_key.len), key) >= 0)
        bad_page(w, page, "separators do not ascend");
    buf_clear(&w->last_key);
    buf_put(&w->last_key, key.p, key.n);
    w->has_key = true;
    rc = buf_check(&w->last_key, w->err);
    return rc == QUARTET_OK ? check_block(w, key, data, offset) : rc;
}

/* Places of nodes: *count of them; false: some lie outside. */
static bool nodes_good(const struct walk *w, const uint8_t *p, uint16_t kind, uint32_t *count)
{
    uint16_t lower = load_le16(p + 12), upper = load_le16(p + 14);
    if (lower < PAGE_HEAD || lower > upper || upper > w->page_bytes || lower % 2 != 0)
        return false;
    *count = (lower - PAGE_HEAD) / 2;
    for (uint32_t i = 0; i < *count; i++) {
        uint32_t at = load_le16(p + PAGE_HEAD + 2 * i);
        if (at < upper || at + NODE_HEAD > w->page_bytes || at + NODE_HEAD + load_le16(p + at + 6) > w->page_bytes)
            return false;
        if (kind == PAGE_LEAF && (load_le16(p + at + 4) & ~NODE_BIG) != 0)
            return false;
    }
    return *count > 0;
}

/* A branch's key says where its child begins. */
static void check_branch_key(struct walk *w, uint64_t page, const uint8_t *node, uint32_t i)
{
    struct slice key = slice_of(node + NODE_HEAD, load_le16(node + 6));
    if (i > 0 && !w->free_list && w->has_key && slice_cmp(slice_of(w->last_key.data, w->last_key.len), key) >= 0)
        bad_page(w, page, "a branch's key is not above the keys before it");
}

static quartet_status walk_page(struct walk *w, uint64_t page, uint32_t depth, uint32_t levels)
{
    bool whole;
    uint32_t count = 0;
    if (depth >= levels || !use(w, page, 1)) {
        bad_page(w, page, depth >= levels ? "deeper than the tree is" : "not in the file, or used twice");
        return QUARTET_OK;
    }
    uint8_t *p = mem_alloc(w->page_bytes);
    if (p == NULL)
        return err_nomem(w->err);
    quartet_status rc = read_at(w, page * w->page_bytes, p, w->page_bytes, &whole);
    uint16_t kind = rc == QUARTET_OK ? load_le16(p + 10) & (PAGE_BRANCH | PAGE_LEAF | PAGE_OVERFLOW | PAGE_META) : 0;
    bool leaf = depth + 1 == levels;
    w->v->pages++;
    if (rc == QUARTET_OK && (!whole || load_le64(p) != page || kind != (leaf ? PAGE_LEAF : PAGE_BRANCH) || !nodes_good(w, p, kind, &count))) {
        bad_page(w, page, !whole ? "past the end of the file" : load_le64(p) != page ? "says that it is another page" : "a damaged head");
        count = 0;
    }
    *(leaf ? &w->seen.leaves : &w->seen.branches) += 1;
    for (uint32_t i = 0; rc == QUARTET_OK && i < count; i++) {
        const uint8_t *node = p + load_le16(p + PAGE_HEAD + 2 * i);
        if (leaf) {
            rc = check_leaf_node(w, page, p, node);
            continue;
        }
        check_branch_key(w, page, node, i);
        rc = walk_page(w, (uint64_t)load_le16(node) | (uint64_t)load_le16(node + 2) << 16 | (uint64_t)load_le16(node + 4) << 32, depth + 1, levels);
    }
    mem_free(p);
    return rc;
}

static struct tree_info tree_info(const uint8_t *p)
{
    return (struct tree_info){.depth = load_le16(p + 6), .branches = load_le64(p + 8), .leaves = load_le64(p + 16), .overflows = load_le64(p + 24),
                              .entries = load_le64(p + 32), .root = load_le64(p + 40)};
}

static quartet_status walk_tree(struct walk *w, const struct tree_info *t, bool free_list)
{
    w->free_list = free_list;
    w->seen = (struct tree_info){0};
    w->has_key = false;
    if (t->root == NO_PAGE)
        return QUARTET_OK;
    if (t->depth == 0 || t->depth > DEPTH_MAX) {
        bad_page(w, 0, "a tree of a depth that none has");
        return QUARTET_OK;
    }
    quartet_status rc = walk_page(w, t->root, 0, t->depth);
    if (rc == QUARTET_OK && !w->v->damaged_pages &&
        (w->seen.branches != t->branches || w->seen.leaves != t->leaves || w->seen.overflows != t->overflows || w->seen.entries != t->entries))
        bad_page(w, w->txn & 1, "its counts of pages and entries are not those of the tree");
    return rc;
}

/* ---- meta pages ---- */

static bool meta_good(const uint8_t *p)
{
    return (load_le16(p + 10) & PAGE_META) != 0 && load_le32(p + 16) == MAGIC && load_le32(p + 20) == 1;
}

static quartet_status read_metas(struct walk *w, struct tree_info *free_tree, struct tree_info *main_tree, bool *good)
{
    uint8_t metas[2][META_BYTES];
    bool whole;
    *good = false;
    quartet_status rc = read_at(w, 0, metas[0], META_BYTES, &whole);
    if (rc != QUARTET_OK)
        return rc;
    w->page_bytes = whole ? load_le32(metas[0] + 40) : 0;
    if (!whole || !meta_good(metas[0]) || w->page_bytes < 512 || w->page_bytes > PAGE_BYTES_MAX || (w->page_bytes & (w->page_bytes - 1)) != 0) {
        bad_page(w, 0, "not the first page of a base");
        return QUARTET_OK;
    }
    rc = read_at(w, w->page_bytes, metas[1], META_BYTES, &whole);
    if (rc != QUARTET_OK)
        return rc;
    if (!whole || !meta_good(metas[1]) || load_le32(metas[1] + 40) != w->page_bytes) {
        bad_page(w, 1, "a damaged meta page");
        return QUARTET_OK;
    }
    const uint8_t *m = load_le64(metas[0] + 144) > load_le64(metas[1] + 144) ? metas[0] : metas[1];
    w->txn = load_le64(m + 144);
    w->last_page = load_le64(m + 136);
    *free_tree = tree_info(m + 40);
    *main_tree = tree_info(m + 88);
    *good = w->last_page < w->file_bytes / w->page_bytes;
    if (!*good)
        bad_page(w, m == metas[1], "the file is shorter than it says");
    return QUARTET_OK;
}

quartet_status verify_base(struct verify *v, struct err *err)
{
    struct walk w = {.v = v, .err = err, .page_bytes = 4096};
    struct tree_info free_tree, main_tree;
    char path[4200];
    bool good = false;
    quartet_status rc = path_join(path, sizeof path, v->dir, FILE_NAME, err);
    if (rc == QUARTET_OK)
        rc = v->env->ops->open(v->env, path, FILE_READ, &w.f, err);
    if (rc == QUARTET_OK)
        rc = v->env->ops->size(w.f, &w.file_bytes, err);
    if (rc == QUARTET_OK)
        rc = read_metas(&w, &free_tree, &main_tree, &good);
    if (rc == QUARTET_OK && good && (w.used = mem_zalloc(w.last_page / 8 + 1, 1)) == NULL)
        rc = err_nomem(err);
    if (rc == QUARTET_OK && good)
        rc = walk_tree(&w, &main_tree, false);
    if (rc == QUARTET_OK && good)
        rc = walk_tree(&w, &free_tree, true);
    v->env->ops->close(w.f);
    mem_free(w.used);
    buf_deinit(&w.last_key);
    buf_deinit(&w.last_row);
    buf_deinit(&w.block);
    buf_deinit(&w.scratch);
    return rc;
}

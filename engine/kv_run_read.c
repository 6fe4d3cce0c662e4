/* kv_run_read.c - reading a sorted run: one page at hand for each reader, found through the index in memory.
 * Why a page a reader and no cache: the system caches the file; what it costs is a copy of 16 KiB and its checksum, and filters, each of a
 *   stretch of pages, spare it for keys that are not there.
 * Invariants: neighbouring pages are compared by the index's keys, which stay, never by keys of a page that is no longer at hand. */
#include <string.h>
#include <xxhash.h>

#include "base/mem.h"
#include "kv_run_internal.h"

struct entry {
    apply_no version;
    struct slice key, record;
};

static bool sees(const struct kv_sight *s, apply_no version)
{
    if (version > s->through)
        return false;
    for (uint32_t i = s->gone_count; i-- > 0;)
        if (version > s->gone[i].after && version <= s->gone[i].last)
            return false;
    return true;
}

static quartet_status damaged(const struct kv_run *r, uint32_t index, struct err *err)
{
    return err_set(err, QUARTET_CORRUPT, "the temporary file of a large transaction is damaged at byte %llu", (unsigned long long)r->pages[index].at);
}

static quartet_status page_load(struct kv_run_page *h, const struct kv_run *r, uint32_t index, struct err *err)
{
    if (h->p != NULL && h->run == r && h->index == index)
        return QUARTET_OK;
    const struct run_page *p = &r->pages[index];
    h->p = NULL;
    if (p->p == NULL) {
        size_t got = 0;
        if (h->own_cap < p->bytes) {
            mem_free(h->own);
            h->own_cap = p->bytes < 2 * RUN_PAGE_BYTES ? 2 * RUN_PAGE_BYTES : p->bytes;
            h->own = mem_alloc(h->own_cap);
            if (h->own == NULL) {
                h->own_cap = 0;
                return err_nomem(err);
            }
        }
        quartet_status rc = r->env->ops->pread(r->file, h->own, p->bytes, p->at, &got, err);
        if (rc != QUARTET_OK)
            return rc;
        if (got != p->bytes || load_le64(h->own) != XXH3_64bits_withSeed(h->own + 8, p->bytes - 8, p->tree) || load_le32(h->own + 8) != p->bytes ||
            load_le32(h->own + 12) != p->count || (uint64_t)p->count * 4 + RUN_HEAD_BYTES > p->bytes)
            return damaged(r, index, err);
        h->p = h->own;
    } else {
        h->p = p->p;
    }
    h->run = r;
    h->index = index;
    h->count = p->count;
    h->bytes = p->bytes;
    return QUARTET_OK;
}

void kv_run_page_rest(struct kv_run_page *page)
{
    page->p = NULL;
}

void kv_run_page_deinit(struct kv_run_page *page)
{
    mem_free(page->own);
    *page = (struct kv_run_page){0};
}

/* false: the bytes make no sense, which a checksum that fits leaves to our own mistakes. */
static bool entry_at(const struct kv_run_page *h, uint32_t i, struct entry *e)
{
    const uint8_t *offsets = h->p + h->bytes - (size_t)h->count * 4;
    uint32_t at = load_le32(offsets + (size_t)i * 4);
    if (at > h->bytes - (size_t)h->count * 4)
        return false;
    struct bytes_in in = bytes_in(h->p + at, h->bytes - (size_t)h->count * 4 - at);
    e->version = bytes_varint(&in) + h->run->shift;
    uint64_t key_len = bytes_varint(&in), record_len = bytes_varint(&in);
    e->key = slice_of(bytes_take(&in, key_len), key_len);
    e->record = (struct slice){0};
    if (record_len > 0)
        e->record = slice_of(bytes_take(&in, record_len - 1), record_len - 1);
    return !in.bad;
}

static const struct run_tree *tree_find(const struct kv_run *r, tree_id tree)
{
    uint32_t lo = 0, hi = r->tree_count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (r->trees[mid].tree < tree)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < r->tree_count ? &r->trees[lo] : NULL; /* the first at or after it */
}

/* Does the page's first entry stand before (key, version) of the same tree? */
static bool page_before(const struct kv_run *r, const struct run_page *p, uint64_t word, struct slice key, apply_no version)
{
    if (p->word != word)
        return p->word < word;
    int c = slice_cmp(slice_of(p->key, p->key_len), key);
    return c < 0 || (c == 0 && p->version + r->shift > version);
}

/* The first entry of the tree at or after (key, version): page and entry; *page is t->end where there is none. */
static quartet_status locate(const struct kv_run *r, struct kv_run_page *h, const struct run_tree *t, struct slice key, apply_no version, uint32_t *page,
                             uint32_t *at, struct err *err)
{
    uint64_t word = run_word(key);
    uint32_t lo = t->first, hi = t->end;
    while (lo < hi) { /* the first page that does not begin before it */
        uint32_t mid = lo + (hi - lo) / 2;
        if (page_before(r, &r->pages[mid], word, key, version))
            lo = mid + 1;
        else
            hi = mid;
    }
    *page = lo;
    *at = 0;
    if (lo == t->first)
        return QUARTET_OK;
    quartet_status rc = page_load(h, r, lo - 1, err);
    if (rc != QUARTET_OK)
        return rc;
    uint32_t a = 1, z = h->count; /* the first one stands before */
    while (a < z) {
        uint32_t mid = a + (z - a) / 2;
        struct entry e;
        if (!entry_at(h, mid, &e))
            return damaged(r, lo - 1, err);
        int c = slice_cmp(e.key, key);
        if (c < 0 || (c == 0 && e.version > version))
            a = mid + 1;
        else
            z = mid;
    }
    if (a < h->count) {
        *page = lo - 1;
        *at = a;
    }
    return QUARTET_OK;
}

/* The section that has the key if any has it. A key's versions may go on over several: then the last of them has it, too. */
static const struct run_section *section_of(const struct run_tree *t, const struct kv_run_probe *p)
{
    uint32_t lo = 1, hi = t->section_count;
    while (lo < hi) { /* of those after the first, the first that begins after the key */
        uint32_t mid = lo + (hi - lo) / 2;
        const struct run_section *s = &t->sections[mid];
        if (s->word < p->word || (s->word == p->word && slice_cmp(slice_of(s->key, s->key_len), p->key) <= 0))
            lo = mid + 1;
        else
            hi = mid;
    }
    return &t->sections[lo - 1];
}

/* false: no page has an entry of the key. */
static bool may_have(const struct run_tree *t, const struct kv_run_probe *p)
{
    const uint32_t *block = run_filter_block(section_of(t, p), p->hash);
    uint32_t lacks = 0;
    for (uint32_t k = 0; k < RUN_FILTER_LANES; k++)
        lacks |= ~block[k] & run_filter_bit(p->hash, k);
    return lacks == 0 && slice_cmp(p->key, t->last) <= 0;
}

void kv_run_ahead(const kv_run *r, const struct kv_run_probe *probe)
{
    const struct run_tree *t = tree_find(r, probe->tree);
    if (t != NULL && t->tree == probe->tree && t->section_count == 1) /* of several the search costs what it spares */
        __builtin_prefetch(run_filter_block(t->sections, probe->hash));
}

struct kv_run_probe kv_run_probe_of(tree_id tree, struct slice key)
{
    return (struct kv_run_probe){.tree = tree, .key = key, .word = run_word(key), .hash = run_key_hash(tree, key)};
}

quartet_status kv_run_get(const kv_run *r, struct kv_run_page *page, const struct kv_run_probe *probe, const struct kv_sight *sight, struct slice *record,
                          apply_no *version, bool *found, struct err *err)
{
    const struct run_tree *t = tree_find(r, probe->tree);
    *found = false;
    if (t == NULL || t->tree != probe->tree || !may_have(t, probe))
        return QUARTET_OK;
    uint32_t index, at;
    quartet_status rc = locate(r, page, t, probe->key, sight->through, &index, &at, err);
    while (rc == QUARTET_OK && index < t->end) {
        struct entry e;
        rc = page_load(page, r, index, err);
        if (rc != QUARTET_OK)
            break;
        if (!entry_at(page, at, &e))
            return damaged(r, index, err);
        if (!slice_eq(e.key, probe->key))
            break;
        if (sees(sight, e.version)) {
            *record = e.record;
            *version = e.version;
            *found = true;
            break;
        }
        if (++at == page->count) {
            index++;
            at = 0;
        }
    }
    return rc;
}

/* ---- the cursor ---- */

void kv_run_cursor_deinit(struct kv_run_cursor *c)
{
    kv_run_page_deinit(&c->page);
    *c = (struct kv_run_cursor){0};
}

/* Stand on an entry, seen or not. */
static quartet_status stand(struct kv_run_cursor *c, uint32_t index, uint32_t at, struct err *err)
{
    struct entry e;
    c->valid = false;
    quartet_status rc = page_load(&c->page, c->run, index, err);
    if (rc != QUARTET_OK)
        return rc;
    if (!entry_at(&c->page, at, &e))
        return damaged(c->run, index, err);
    c->entry = at;
    c->tree = c->run->pages[index].tree;
    c->key = e.key;
    c->record = e.record;
    c->version = e.version;
    c->valid = true;
    return QUARTET_OK;
}

/* One entry on; *same: of the same key. At the end: not valid. */
static quartet_status step(struct kv_run_cursor *c, bool *same, struct err *err)
{
    uint32_t index = c->page.index;
    struct slice key = c->key;
    *same = false;
    if (c->entry + 1 < c->page.count) {
        quartet_status rc = stand(c, index, c->entry + 1, err);
        *same = rc == QUARTET_OK && slice_eq(key, c->key);
        return rc;
    }
    if (index + 1 == c->run->page_count) {
        c->valid = false;
        return QUARTET_OK;
    }
    const struct run_page *next = &c->run->pages[index + 1];
    *same = next->tree == c->tree && slice_eq(key, slice_of(next->key, next->key_len));
    return stand(c, index + 1, 0, err);
}

static quartet_status step_back(struct kv_run_cursor *c, bool *same, struct err *err)
{
    uint32_t index = c->page.index;
    tree_id tree = c->tree;
    struct slice key = c->key;
    *same = false;
    if (c->entry == 0 && index == 0) {
        c->valid = false;
        return QUARTET_OK;
    }
    quartet_status rc;
    if (c->entry > 0) {
        rc = stand(c, index, c->entry - 1, err);
    } else {
        key = slice_of(c->run->pages[index].key, c->run->pages[index].key_len);
        rc = stand(c, index - 1, c->run->pages[index - 1].count - 1, err);
    }
    *same = rc == QUARTET_OK && c->tree == tree && slice_eq(key, c->key);
    return rc;
}

/* From the newest version of some key on: the first entry in sight. */
static quartet_status settle(struct kv_run_cursor *c, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    bool same;
    while (rc == QUARTET_OK && c->valid && !sees(&c->sight, c->version))
        rc = step(c, &same, err);
    return rc;
}

/* From the oldest version of some key back: the newest in sight of the first key that has one. */
static quartet_status settle_back(struct kv_run_cursor *c, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    while (rc == QUARTET_OK && c->valid) {
        bool any = false, same = true;
        uint32_t index = 0, at = 0;
        while (rc == QUARTET_OK && c->valid && same) {
            if (sees(&c->sight, c->version)) {
                any = true;
                index = c->page.index;
                at = c->entry;
            }
            rc = step_back(c, &same, err);
        }
        if (rc == QUARTET_OK && any)
            return stand(c, index, at, err);
    }
    return rc;
}

static void cursor_start(struct kv_run_cursor *c, const struct kv_run *r, const struct kv_sight *sight)
{
    c->run = r;
    c->sight = *sight;
    c->valid = false;
}

quartet_status kv_run_seek(struct kv_run_cursor *c, const kv_run *r, const struct kv_sight *sight, tree_id tree, struct slice key, struct err *err)
{
    cursor_start(c, r, sight);
    const struct run_tree *t = tree_find(r, tree);
    if (t == NULL)
        return QUARTET_OK;
    uint32_t index = t->first, at = 0;
    quartet_status rc = t->tree == tree ? locate(r, &c->page, t, key, sight->through, &index, &at, err) : QUARTET_OK;
    if (rc != QUARTET_OK || index == r->page_count)
        return rc;
    rc = stand(c, index, at, err);
    return rc == QUARTET_OK ? settle(c, err) : rc;
}

quartet_status kv_run_seek_before(struct kv_run_cursor *c, const kv_run *r, const struct kv_sight *sight, tree_id tree, struct slice key, struct err *err)
{
    cursor_start(c, r, sight);
    const struct run_tree *t = tree_find(r, tree);
    if (t == NULL)
        return kv_run_seek_last(c, r, sight, err);
    uint32_t index = t->first, at = 0;
    quartet_status rc = t->tree == tree ? locate(r, &c->page, t, key, UINT64_MAX, &index, &at, err) : QUARTET_OK;
    if (rc != QUARTET_OK || (index == 0 && at == 0))
        return rc;
    rc = at > 0 ? stand(c, index, at - 1, err) : stand(c, index - 1, r->pages[index - 1].count - 1, err);
    return rc == QUARTET_OK ? settle_back(c, err) : rc;
}

quartet_status kv_run_seek_last(struct kv_run_cursor *c, const kv_run *r, const struct kv_sight *sight, struct err *err)
{
    cursor_start(c, r, sight);
    if (r->page_count == 0)
        return QUARTET_OK;
    quartet_status rc = stand(c, r->page_count - 1, r->pages[r->page_count - 1].count - 1, err);
    return rc == QUARTET_OK ? settle_back(c, err) : rc;
}

quartet_status kv_run_next(struct kv_run_cursor *c, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    bool same = true;
    while (rc == QUARTET_OK && c->valid && same) {
        rc = step(c, &same, err);
        same = same && !c->sight.every;
    }
    return rc == QUARTET_OK ? settle(c, err) : rc;
}

quartet_status kv_run_prev(struct kv_run_cursor *c, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    bool same = true;
    while (rc == QUARTET_OK && c->valid && same)
        rc = step_back(c, &same, err);
    return rc == QUARTET_OK ? settle_back(c, err) : rc;
}

uint64_t kv_run_entries(const kv_run *r)
{
    return r->entries;
}

uint64_t kv_run_bytes(const kv_run *r)
{
    return r->bytes;
}

uint64_t kv_run_memory_bytes(const kv_run *r)
{
    return r->memory_bytes;
}

bool kv_run_tree_changed(const kv_run *r, tree_id tree, apply_no since)
{
    const struct run_tree *t = tree_find(r, tree);
    return t != NULL && t->tree == tree && t->newest + r->shift > since;
}

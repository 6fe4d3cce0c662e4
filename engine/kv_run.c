/* kv_run.c - writing a sorted run: pages closed one after the other, kept in memory or streamed to a file, unlinked unless it was given a name.
 * Why: entries that come in order need no tree to be found again; a page costs a copy of its bytes, the index one entry a page. A skip list costs ten times that.
 * Why lanes: a transaction writes several trees at once, each in its order; every tree has an open page of its own, and the index is put in order at the end.
 * Invariants: within a tree pages are closed in order. A file that was given no name has none before its first byte is written.
 * Not here: reading (kv_run_read.c), entries in no order (kv_sort.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/mem.h"
#include "kv_run_internal.h"

#define OUT_BYTES (256u << 10) /* written to the file at once */

struct lane {
    tree_id tree;
    struct buf page;     /* open; empty: none */
    struct buf offsets;  /* u32 each */
    struct buf hashes;   /* u64 each, of the open section, for its filter */
    struct run_section *sections;
    uint32_t section_count, section_cap;
    bool section_open;   /* of the last one: its filter is still to be made */
    struct buf last;     /* key of the last entry put */
    apply_no last_version, newest;
    bool any, closed;    /* has entries; has closed pages */
};
struct kv_run_writer {
    struct kv_run_place place;
    struct kv_run *run;
    struct lane *lanes;
    uint32_t lane_count, lane_cap, at; /* at: the lane used last */
    struct buf out;                    /* of the file */
    uint64_t out_at;
    bool failed;
};

uint64_t run_word(struct slice key)
{
    if (key.n >= 8)
        return load_be64(key.p);
    uint8_t pad[8] = {0};
    if (key.n > 0)
        memcpy(pad, key.p, key.n);
    return load_be64(pad);
}

uint64_t run_key_hash(tree_id tree, struct slice key)
{
    return XXH3_64bits_withSeed(key.p, key.n, tree);
}

/* A file that nobody else can open and no crash leaves behind; or one with a name. */
static quartet_status file_make(struct kv_run_writer *w, struct err *err)
{
    struct env *env = w->place.env;
    uint64_t number;
    char name[32], path[4096];
    quartet_status rc = w->place.name == NULL ? env->ops->random(env, &number, sizeof number, err) : QUARTET_OK;
    if (rc != QUARTET_OK)
        return rc;
    if (w->place.name == NULL)
        snprintf(name, sizeof name, KV_RUN_FILE_PREFIX "%016llx", (unsigned long long)number);
    rc = path_join(path, sizeof path, w->place.dir, w->place.name != NULL ? w->place.name : name, err);
    if (rc == QUARTET_OK)
        rc = env->ops->open(env, path, FILE_CREATE_NEW, &w->run->file, err);
    return rc == QUARTET_OK && w->place.name == NULL ? env->ops->unlink(env, path, err) : rc;
}

static kv_run_writer *writer_new(const struct kv_run_place *place)
{
    struct kv_run_writer *w = mem_zalloc(1, sizeof *w);
    if (w != NULL)
        w->run = mem_zalloc(1, sizeof *w->run);
    if (w == NULL || w->run == NULL) {
        mem_free(w);
        return NULL;
    }
    w->place = *place;
    w->run->env = place->env;
    return w;
}

quartet_status kv_run_writer_new(const struct kv_run_place *place, kv_run_writer **out, struct err *err)
{
    struct kv_run_writer *w = writer_new(place);
    if (w == NULL)
        return err_nomem(err);
    quartet_status rc = place->name != NULL ? file_make(w, err) : QUARTET_OK;
    if (rc != QUARTET_OK) {
        kv_run_writer_free(w);
        return rc;
    }
    *out = w;
    return QUARTET_OK;
}

static quartet_status out_flush(struct kv_run_writer *w, struct err *err)
{
    quartet_status rc = buf_check(&w->out, err);
    if (rc == QUARTET_OK && w->out.len > 0)
        rc = w->place.env->ops->pwrite(w->run->file, w->out.data, w->out.len, w->out_at, err);
    if (rc == QUARTET_OK)
        w->out_at += w->out.len;
    buf_clear(&w->out);
    return rc;
}

/* Append a page's bytes to the file. */
static quartet_status page_out(struct kv_run_writer *w, struct run_page *p, uint8_t *bytes, struct err *err)
{
    store_le64(bytes, XXH3_64bits_withSeed(bytes + 8, p->bytes - 8, p->tree));
    p->at = w->out_at + w->out.len;
    buf_put(&w->out, bytes, p->bytes);
    return w->out.len >= OUT_BYTES || w->out.failed ? out_flush(w, err) : QUARTET_OK;
}

/* What is in memory goes to the file, unless it is to stay, and all that follows. */
static quartet_status spill(struct kv_run_writer *w, struct err *err)
{
    struct kv_run *r = w->run;
    quartet_status rc = file_make(w, err);
    for (uint32_t i = 0; i < r->page_count && rc == QUARTET_OK && !w->place.stay; i++) {
        rc = page_out(w, &r->pages[i], r->pages[i].p, err);
        mem_free(r->pages[i].p);
        r->pages[i].p = NULL;
        r->memory_bytes -= r->pages[i].bytes;
    }
    return rc;
}

/* The page that was closed last begins a section. */
static quartet_status section_begin(struct lane *l, const struct run_page *p, struct err *err)
{
    if (l->section_count == l->section_cap) {
        uint32_t cap = l->section_cap == 0 ? 4 : l->section_cap * 2;
        struct run_section *grown = mem_realloc(l->sections, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(err);
        l->sections = grown;
        l->section_cap = cap;
    }
    l->sections[l->section_count++] = (struct run_section){.word = p->word, .key = p->key, .key_len = p->key_len};
    l->section_open = true;
    return QUARTET_OK;
}

static quartet_status section_close(struct kv_run *r, struct lane *l, struct err *err)
{
    struct run_section *s = &l->sections[l->section_count - 1];
    size_t count = l->hashes.len / 8;
    s->blocks = (uint32_t)(count * RUN_FILTER_BITS / (32u * RUN_FILTER_LANES) + 1);
    s->filter = arena_zalloc(&r->keys, (size_t)s->blocks * RUN_FILTER_LANES, sizeof *s->filter);
    if (s->filter == NULL)
        return arena_fail(&r->keys, err);
    for (size_t i = 0; i < count; i++) {
        uint64_t h = load_le64(l->hashes.data + i * 8);
        uint32_t *block = run_filter_block(s, h);
        for (uint32_t k = 0; k < RUN_FILTER_LANES; k++)
            block[k] |= run_filter_bit(h, k);
    }
    buf_clear(&l->hashes);
    l->section_open = false;
    return QUARTET_OK;
}

/* A page was closed, its hashes are the last ones: it goes on with the section that is open, or begins one, and closes it once that is large enough. */
static quartet_status section_page(struct kv_run *r, struct lane *l, const struct run_page *p, struct err *err)
{
    quartet_status rc = l->section_open ? QUARTET_OK : section_begin(l, p, err);
    return rc == QUARTET_OK && l->hashes.len >= 8u * RUN_SECTION_ENTRIES ? section_close(r, l, err) : rc;
}

/* Begin an entry of the index with the page's first key. */
static quartet_status index_add(struct kv_run *r, tree_id tree, struct slice key, apply_no version, struct err *err)
{
    if (r->page_count == r->page_cap) {
        if (r->page_cap >= UINT32_MAX / 2)
            return err_set(err, QUARTET_LIMIT, "a run of more than %u pages", r->page_cap);
        uint32_t cap = r->page_cap == 0 ? 16 : r->page_cap * 2;
        struct run_page *grown = mem_realloc(r->pages, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(err);
        r->pages = grown;
        r->page_cap = cap;
    }
    const uint8_t *copy = arena_dup(&r->keys, key.p, key.n);
    if (copy == NULL)
        return arena_fail(&r->keys, err);
    r->pages[r->page_count] = (struct run_page){.tree = tree, .word = run_word(key), .key = copy, .key_len = (uint32_t)key.n, .version = version};
    return QUARTET_OK;
}

struct entry_view {
    apply_no version;
    struct slice key, record;
};

static struct entry_view entry_at(const struct lane *l, size_t i)
{
    size_t at = load_le32(l->offsets.data + i * 4);
    struct bytes_in in = bytes_in(l->page.data + at, l->page.len - at);
    struct entry_view e = {.version = bytes_varint(&in)};
    e.key.n = bytes_varint(&in);
    uint64_t record = bytes_varint(&in);
    e.key.p = bytes_take(&in, e.key.n);
    if (record > 0)
        e.record = slice_of(bytes_take(&in, record - 1), record - 1);
    return e;
}

static quartet_status page_close(struct kv_run_writer *w, struct lane *l, struct err *err)
{
    struct kv_run *r = w->run;
    if (l->page.len == 0)
        return QUARTET_OK;
    uint32_t count = (uint32_t)(l->offsets.len / 4);
    buf_put(&l->page, l->offsets.data, l->offsets.len);
    if (l->page.failed || l->offsets.failed || l->hashes.failed)
        return err_nomem(err);
    QASSERT(l->page.len <= UINT32_MAX);
    struct entry_view first = entry_at(l, 0);
    quartet_status rc = index_add(r, l->tree, first.key, first.version, err);
    if (rc != QUARTET_OK)
        return rc;
    struct run_page *p = &r->pages[r->page_count];
    p->count = count;
    p->bytes = (uint32_t)l->page.len;
    store_le64(l->page.data, 0);
    store_le32(l->page.data + 8, p->bytes);
    store_le32(l->page.data + 12, count);
    store_le64(l->page.data + 16, l->tree);
    rc = section_page(r, l, p, err);
    if (rc == QUARTET_OK && r->file == NULL) {
        p->p = mem_dup(l->page.data, l->page.len);
        if (p->p == NULL)
            rc = err_nomem(err);
        r->memory_bytes += p->bytes;
    } else if (rc == QUARTET_OK) {
        rc = page_out(w, p, l->page.data, err);
    }
    if (rc != QUARTET_OK)
        return rc;
    r->page_count++;
    l->closed = true;
    r->bytes += p->bytes;
    buf_clear(&l->page);
    buf_clear(&l->offsets);
    return r->file == NULL && w->place.dir != NULL && r->memory_bytes > w->place.memory_bytes ? spill(w, err) : QUARTET_OK;
}

static struct lane *lane_of(struct kv_run_writer *w, tree_id tree, struct err *err)
{
    if (w->at < w->lane_count && w->lanes[w->at].tree == tree)
        return &w->lanes[w->at];
    for (w->at = 0; w->at < w->lane_count; w->at++)
        if (w->lanes[w->at].tree == tree)
            return &w->lanes[w->at];
    if (w->lane_count == w->lane_cap) {
        uint32_t cap = w->lane_cap == 0 ? 4 : w->lane_cap * 2;
        struct lane *grown = mem_realloc(w->lanes, cap, sizeof *grown);
        if (grown == NULL) {
            (void)err_nomem(err); /* NULL says it */
            return NULL;
        }
        w->lanes = grown;
        w->lane_cap = cap;
    }
    w->lanes[w->lane_count] = (struct lane){.tree = tree};
    return &w->lanes[w->lane_count++];
}

static void lane_append(struct lane *l, struct slice key, apply_no version, struct slice record)
{
    if (l->page.len == 0) {
        uint8_t head[RUN_HEAD_BYTES] = {0};
        buf_put(&l->page, head, sizeof head);
    }
    buf_u32(&l->offsets, (uint32_t)l->page.len);
    buf_u64(&l->hashes, run_key_hash(l->tree, key));
    uint8_t *p = buf_reserve(&l->page, 30 + key.n + record.n);
    if (p == NULL)
        return;
    buf_varint(&l->page, version);
    buf_varint(&l->page, key.n);
    buf_varint(&l->page, record.p == NULL ? 0 : (uint64_t)record.n + 1);
    buf_put(&l->page, key.p, key.n);
    buf_put(&l->page, record.p, record.n);
    buf_clear(&l->last);
    buf_put(&l->last, key.p, key.n);
}

quartet_status kv_run_put(kv_run_writer *w, tree_id tree, struct slice key, apply_no version, struct slice record, struct err *err)
{
    if (key.n > KV_KEY_BYTES_MAX || record.n > KV_RECORD_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "a key of %zu bytes with a record of %zu bytes is too large", key.n, record.n);
    if (w->failed)
        return err_set(err, QUARTET_MISUSE, "a run that could not be written goes no further");
    struct lane *l = lane_of(w, tree, err);
    if (l == NULL)
        return QUARTET_NOMEM;
    if (l->any) {
        int c = slice_cmp(slice_of(l->last.data != NULL ? l->last.data : (const uint8_t *)"", l->last.len), key);
        if (c > 0 || (c == 0 && l->last_version <= version))
            return err_set(err, QUARTET_MISUSE, "entries of a run out of order");
    }
    quartet_status rc = QUARTET_OK;
    if (l->page.len + key.n + record.n > RUN_PAGE_BYTES) /* a large one does not share */
        rc = page_close(w, l, err);
    if (rc == QUARTET_OK) {
        lane_append(l, key, version, record);
        if (l->page.failed || l->offsets.failed || l->hashes.failed || l->last.failed)
            rc = err_nomem(err);
    }
    if (rc == QUARTET_OK && l->page.len >= RUN_PAGE_BYTES)
        rc = page_close(w, l, err);
    if (rc != QUARTET_OK) {
        w->failed = true;
        return rc;
    }
    l->any = true;
    l->last_version = version;
    l->newest = version > l->newest ? version : l->newest;
    w->run->entries++;
    return QUARTET_OK;
}

quartet_status kv_run_take_back(kv_run_writer *w, tree_id tree,
                                quartet_status (*each)(void *arg, tree_id tree, struct slice key, struct slice record, struct err *err), void *arg,
                                bool *taken, struct err *err)
{
    struct lane *l = lane_of(w, tree, err);
    quartet_status rc = l != NULL ? QUARTET_OK : QUARTET_NOMEM;
    *taken = l != NULL && !l->closed;
    if (!*taken)
        return rc;
    size_t n = l->offsets.len / 4;
    for (size_t i = 0; i < n && rc == QUARTET_OK; i++) {
        struct entry_view e = entry_at(l, i);
        rc = each(arg, tree, e.key, e.record, err);
    }
    w->run->entries -= n;
    buf_clear(&l->page);
    buf_clear(&l->offsets);
    buf_clear(&l->hashes);
    l->any = false;
    return rc;
}

uint64_t kv_run_writer_bytes(const kv_run_writer *w)
{
    return w->run->bytes;
}

static int page_cmp(const void *x, const void *y)
{
    const struct run_page *a = x, *b = y;
    if (a->tree != b->tree)
        return a->tree < b->tree ? -1 : 1;
    int c = slice_cmp(slice_of(a->key, a->key_len), slice_of(b->key, b->key_len));
    return c != 0 ? c : a->version > b->version ? -1 : a->version < b->version;
}

static quartet_status trees_make(struct kv_run_writer *w, struct err *err)
{
    struct kv_run *r = w->run;
    r->trees = mem_zalloc(w->lane_count + 1u, sizeof *r->trees);
    if (r->trees == NULL)
        return err_nomem(err);
    for (uint32_t i = 0; i < r->page_count; i++) {
        if (r->tree_count == 0 || r->trees[r->tree_count - 1].tree != r->pages[i].tree)
            r->trees[r->tree_count++] = (struct run_tree){.tree = r->pages[i].tree, .first = i};
        r->trees[r->tree_count - 1].end = i + 1;
    }
    for (uint32_t i = 0; i < r->tree_count; i++) {
        struct run_tree *t = &r->trees[i];
        struct lane *l = lane_of(w, t->tree, err);
        QASSERT(l != NULL);
        const void *copy = arena_dup(&r->keys, l->last.data, l->last.len);
        if (copy == NULL)
            return arena_fail(&r->keys, err);
        t->last = slice_of(copy, l->last.len);
        t->newest = l->newest;
        t->sections = l->sections;
        t->section_count = l->section_count;
        l->sections = NULL;
    }
    return QUARTET_OK;
}

quartet_status kv_run_finish(kv_run_writer *w, apply_no shift, kv_run **out, struct err *err)
{
    struct kv_run *r = w->run;
    quartet_status rc = w->failed ? err_set(err, QUARTET_MISUSE, "a run that could not be written goes no further") : QUARTET_OK;
    for (uint32_t i = 0; i < w->lane_count && rc == QUARTET_OK; i++) {
        rc = page_close(w, &w->lanes[i], err);
        if (rc == QUARTET_OK && w->lanes[i].section_open)
            rc = section_close(r, &w->lanes[i], err);
    }
    if (rc == QUARTET_OK && r->file != NULL)
        rc = out_flush(w, err);
    if (rc == QUARTET_OK) {
        if (r->page_count > 1)
            qsort(r->pages, r->page_count, sizeof *r->pages, page_cmp);
        rc = trees_make(w, err);
    }
    if (rc == QUARTET_OK) {
        r->shift = shift;
        r->memory_bytes += r->keys.used_bytes + (uint64_t)r->page_cap * sizeof *r->pages;
        *out = r;
        w->run = NULL;
    }
    kv_run_writer_free(w);
    return rc;
}

quartet_status kv_run_keep(kv_run *r, struct slice tail, struct err *err)
{
    QASSERT(r->file != NULL);
    quartet_status rc = r->env->ops->pwrite(r->file, tail.p, tail.n, r->bytes, err);
    return rc == QUARTET_OK ? r->env->ops->sync(r->file, err) : rc;
}

/* ---- a run with a name again ---- */

/* The page's entries, all of which must lie in it: hashes of their keys for the filter, the last key and the newest version for its tree. */
static bool page_entries(struct lane *l, uint32_t count)
{
    size_t end = l->page.len - (size_t)count * 4;
    buf_put(&l->offsets, l->page.data + end, (size_t)count * 4);
    l->page.len = end; /* as while it was written */
    for (uint32_t i = 0; i < count && !l->offsets.failed; i++) {
        size_t at = load_le32(l->offsets.data + (size_t)i * 4);
        if (at < RUN_HEAD_BYTES || at > end)
            return false;
        struct bytes_in in = bytes_in(l->page.data + at, end - at);
        apply_no version = bytes_varint(&in);
        uint64_t key = bytes_varint(&in), record = bytes_varint(&in);
        const uint8_t *p = bytes_take(&in, key);
        (void)bytes_take(&in, record > 0 ? record - 1 : 0); /* in.bad tells */
        if (in.bad || key > KV_KEY_BYTES_MAX || record > (uint64_t)KV_RECORD_BYTES_MAX + 1)
            return false;
        buf_u64(&l->hashes, run_key_hash(l->tree, slice_of(p, key)));
        buf_clear(&l->last);
        buf_put(&l->last, p, key);
        l->newest = version > l->newest ? version : l->newest;
    }
    return true;
}

/* The page at w->out_at into the index. */
static quartet_status page_in(struct kv_run_writer *w, uint64_t left, struct err *err)
{
    struct kv_run *r = w->run;
    uint8_t head[RUN_HEAD_BYTES];
    size_t got = 0;
    quartet_status rc = r->env->ops->pread(r->file, head, sizeof head, w->out_at, &got, err);
    if (rc != QUARTET_OK)
        return rc;
    uint32_t bytes = load_le32(head + 8), count = load_le32(head + 12);
    if (got != sizeof head || bytes > left || bytes > KV_RUN_PAGE_BYTES_MAX || count == 0 || bytes < sizeof head || count > (bytes - sizeof head) / 4)
        return err_set(err, QUARTET_CORRUPT, "damaged page at byte %llu", (unsigned long long)w->out_at);
    struct lane *l = lane_of(w, load_le64(head + 16), err);
    if (l == NULL)
        return QUARTET_NOMEM;
    buf_clear(&l->page);
    buf_clear(&l->offsets);
    if (buf_reserve(&l->page, bytes) == NULL)
        return err_nomem(err);
    rc = r->env->ops->pread(r->file, l->page.data, bytes, w->out_at, &got, err);
    l->page.len = bytes;
    if (rc == QUARTET_OK && (got != bytes || load_le64(l->page.data) != XXH3_64bits_withSeed(l->page.data + 8, bytes - 8, l->tree) || !page_entries(l, count)))
        rc = err_set(err, QUARTET_CORRUPT, "damaged page at byte %llu", (unsigned long long)w->out_at);
    if (rc == QUARTET_OK && (l->offsets.failed || l->hashes.failed || l->last.failed))
        rc = err_nomem(err);
    if (rc != QUARTET_OK)
        return rc;
    struct entry_view first = entry_at(l, 0);
    rc = index_add(r, l->tree, first.key, first.version, err);
    if (rc != QUARTET_OK)
        return rc;
    struct run_page *p = &r->pages[r->page_count];
    p->count = count;
    p->bytes = bytes;
    p->at = w->out_at;
    rc = section_page(r, l, p, err);
    buf_clear(&l->page);
    r->page_count += rc == QUARTET_OK;
    r->entries += count;
    r->bytes += bytes;
    w->out_at += bytes;
    return rc;
}

quartet_status kv_run_open(const struct kv_run_place *place, uint64_t bytes, kv_run **out, struct err *err)
{
    char path[4096];
    struct kv_run_writer *w = writer_new(place);
    if (w == NULL)
        return err_nomem(err);
    quartet_status rc = path_join(path, sizeof path, place->dir, place->name, err);
    if (rc == QUARTET_OK)
        rc = place->env->ops->open(place->env, path, FILE_READ, &w->run->file, err);
    while (rc == QUARTET_OK && w->out_at < bytes)
        rc = page_in(w, bytes - w->out_at, err);
    if (rc == QUARTET_CORRUPT)
        err_prefix(err, path);
    if (rc == QUARTET_OK) /* no page is open any longer, so it writes nothing and closes sections */
        return kv_run_finish(w, 0, out, err);
    kv_run_writer_free(w);
    return rc;
}

void kv_run_writer_free(kv_run_writer *w)
{
    if (w == NULL)
        return;
    for (uint32_t i = 0; i < w->lane_count; i++) {
        buf_deinit(&w->lanes[i].page);
        buf_deinit(&w->lanes[i].offsets);
        buf_deinit(&w->lanes[i].hashes);
        buf_deinit(&w->lanes[i].last);
        mem_free(w->lanes[i].sections);
    }
    mem_free(w->lanes);
    buf_deinit(&w->out);
    kv_run_free(w->run);
    mem_free(w);
}

void kv_run_free(kv_run *r)
{
    if (r == NULL)
        return;
    for (uint32_t i = 0; i < r->page_count; i++)
        mem_free(r->pages[i].p);
    if (r->file != NULL)
        r->env->ops->close(r->file);
    for (uint32_t i = 0; i < r->tree_count; i++)
        mem_free(r->trees[i].sections);
    mem_free(r->pages);
    mem_free(r->trees);
    arena_free_all(&r->keys);
    mem_free(r);
}

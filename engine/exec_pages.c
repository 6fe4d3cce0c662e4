/* exec_pages.c - rows by their number.
 * Why not one run of a spill (exec_spill.c): that is read once, in order; a frame looks back and forth. Why the first pages stay in memory: most partitions and
 * most ranges of duplicates are small, and then there is no file at all. A page is closed at 256 rows or 64 KiB, so a row is found by two searches. */
#include "exec_pages.h"

#include "base/bytes.h"
#include "base/env.h"
#include "base/mem.h"
#include "db_internal.h"
#include "exec_spill.h"

#define PAGE_ROWS  256u
#define PAGE_BYTES (64u << 10)

struct page {
    uint8_t *data; /* NULL: in the file, at `offset` */
    uint64_t offset;
    size_t bytes;
    uint32_t first, rows;
};
struct at_hand {
    uint32_t page; /* + 1; 0: none */
    uint64_t used; /* when it was asked last */
    uint8_t *read; /* of a page that is in the file */
    size_t read_cap;
    struct value *values;
    size_t value_cap;
    uint32_t starts[PAGE_ROWS + 1];
};
struct pages {
    struct env *env;
    const char *dir;
    uint32_t col_count, count;
    size_t memory_bytes, in_memory;
    struct page *list;
    uint32_t page_count, page_cap;
    struct buf making; /* the last page, not closed */
    uint32_t making_rows;
    struct file *file;
    uint64_t file_bytes, clock;
    struct at_hand hands[PAGES_AT_HAND];
    uint32_t last; /* the hand that was asked last */
};

quartet_status pages_new(const struct exec *e, uint32_t col_count, size_t memory_bytes, struct pages **out, struct err *err)
{
    db *d = txn_db(e->t);
    struct pages *p = mem_zalloc(1, sizeof *p);
    if (p == NULL)
        return err_nomem(err);
    p->env = db_env(d);
    p->dir = db_temp_dir(d);
    p->col_count = col_count;
    p->memory_bytes = memory_bytes;
    *out = p;
    return QUARTET_OK;
}

void pages_reset(struct pages *p)
{
    for (uint32_t i = 0; i < p->page_count; i++)
        mem_free(p->list[i].data);
    for (uint32_t i = 0; i < PAGES_AT_HAND; i++)
        p->hands[i].page = 0;
    p->env->ops->close(p->file); /* another one is made where it is needed: its blocks go at once */
    p->file = NULL;
    p->file_bytes = 0;
    p->in_memory = 0;
    p->page_count = p->count = p->making_rows = 0;
    buf_clear(&p->making);
}

void pages_free(struct pages *p)
{
    if (p == NULL)
        return;
    pages_reset(p);
    for (uint32_t i = 0; i < PAGES_AT_HAND; i++) {
        mem_free(p->hands[i].read);
        mem_free(p->hands[i].values);
    }
    buf_deinit(&p->making);
    mem_free(p->list);
    mem_free(p);
}

uint32_t pages_count(const struct pages *p)
{
    return p->count;
}

/* ---- writing ---- */

static quartet_status page_to_file(struct pages *p, struct page *page, struct err *err)
{
    quartet_status rc = p->file != NULL ? QUARTET_OK : spill_file(p->env, p->dir, &p->file, err);
    page->offset = p->file_bytes;
    if (rc == QUARTET_OK)
        rc = p->env->ops->pwrite(p->file, p->making.data, p->making.len, p->file_bytes, err);
    if (rc != QUARTET_OK)
        err_prefix(err, "rows that memory_limit keeps out of memory");
    p->file_bytes += p->making.len;
    return rc;
}

static quartet_status page_close(struct pages *p, struct err *err)
{
    if (p->page_count == p->page_cap) {
        uint32_t cap = p->page_cap == 0 ? 16 : p->page_cap * 2;
        struct page *grown = mem_realloc(p->list, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(err);
        p->list = grown;
        p->page_cap = cap;
    }
    struct page page = {.bytes = p->making.len, .first = p->count - p->making_rows, .rows = p->making_rows};
    quartet_status rc = QUARTET_OK;
    if (p->dir != NULL && p->in_memory + page.bytes > p->memory_bytes) {
        rc = page_to_file(p, &page, err);
    } else {
        page.data = mem_alloc(page.bytes > 0 ? page.bytes : 1);
        if (page.data == NULL)
            return err_nomem(err);
        if (page.bytes > 0)
            memcpy(page.data, p->making.data, page.bytes);
        p->in_memory += page.bytes;
    }
    if (rc != QUARTET_OK)
        return rc;
    p->list[p->page_count++] = page;
    p->making_rows = 0;
    buf_clear(&p->making);
    return QUARTET_OK;
}

quartet_status pages_put(struct pages *p, struct slice row, struct err *err)
{
    if (p->count >= ROWS_NONE - 1 || row.n > UINT32_MAX / 2)
        return err_set(err, QUARTET_LIMIT, "more than %u rows, or one of more than %u bytes, in one partition or range of equal keys", ROWS_NONE - 1, UINT32_MAX / 2);
    buf_u32(&p->making, (uint32_t)row.n);
    buf_put(&p->making, row.p, row.n);
    quartet_status rc = buf_check(&p->making, err);
    if (rc != QUARTET_OK)
        return rc;
    p->count++;
    p->making_rows++;
    return p->making_rows == PAGE_ROWS || p->making.len >= PAGE_BYTES ? page_close(p, err) : QUARTET_OK;
}

/* ---- reading ---- */

static quartet_status damaged(struct err *err)
{
    return err_set(err, QUARTET_IO, "a file of rows is damaged");
}

static quartet_status decode(struct pages *p, struct at_hand *h, const struct page *page, const uint8_t *data, struct err *err)
{
    size_t need = (size_t)page->rows * p->col_count;
    if (need > h->value_cap || h->values == NULL) {
        mem_free(h->values);
        h->values = mem_alloc((need > 0 ? need : 1) * sizeof *h->values);
        h->value_cap = h->values != NULL ? need : 0;
        if (h->values == NULL)
            return err_nomem(err);
    }
    struct bytes_in in = bytes_in(data, page->bytes);
    for (uint32_t r = 0; r < page->rows; r++) {
        uint32_t n = bytes_u32(&in);
        h->starts[r] = (uint32_t)(page->bytes - in.left);
        const uint8_t *row = bytes_take(&in, n);
        if (row == NULL && n > 0)
            return damaged(err);
        struct bytes_in cells = bytes_in(row, n);
        for (uint32_t c = 0; c < p->col_count; c++)
            if (!value_decode(&cells, &h->values[(size_t)r * p->col_count + c]))
                return damaged(err);
    }
    h->starts[page->rows] = (uint32_t)page->bytes + 4u; /* as if there were one more */
    return in.bad ? damaged(err) : QUARTET_OK;
}

static quartet_status hand_fill(struct pages *p, struct at_hand *h, uint32_t at, struct err *err)
{
    const struct page *page = &p->list[at];
    const uint8_t *data = page->data;
    h->page = 0;
    if (data == NULL) {
        size_t got;
        if (page->bytes > h->read_cap) {
            mem_free(h->read);
            h->read = mem_alloc(page->bytes);
            h->read_cap = h->read != NULL ? page->bytes : 0;
            if (h->read == NULL)
                return err_nomem(err);
        }
        quartet_status rc = p->env->ops->pread(p->file, h->read, page->bytes, page->offset, &got, err);
        if (rc == QUARTET_OK && got < page->bytes)
            rc = err_set(err, QUARTET_IO, "a file of rows ends too early");
        if (rc != QUARTET_OK)
            return rc;
        data = h->read;
    }
    quartet_status rc = decode(p, h, page, data, err);
    if (rc == QUARTET_OK)
        h->page = at + 1;
    return rc;
}

static uint32_t page_of(const struct pages *p, uint32_t number)
{
    uint32_t lo = 0, hi = p->page_count - 1;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo + 1) / 2;
        if (p->list[mid].first <= number)
            lo = mid;
        else
            hi = mid - 1;
    }
    return lo;
}

static quartet_status find_hand(struct pages *p, uint32_t number, struct err *err)
{
    uint32_t at = page_of(p, number), oldest = 0;
    for (uint32_t i = 0; i < PAGES_AT_HAND; i++) {
        if (p->hands[i].page == at + 1) {
            p->last = i;
            return QUARTET_OK;
        }
        if (p->hands[i].page == 0 || (p->hands[oldest].page != 0 && p->hands[i].used < p->hands[oldest].used))
            oldest = i;
    }
    p->last = oldest;
    return hand_fill(p, &p->hands[oldest], at, err);
}

quartet_status pages_row(struct pages *p, uint32_t number, const struct value **values, struct slice *row, struct err *err)
{
    QASSERT(number < p->count);
    quartet_status rc = p->making_rows > 0 ? page_close(p, err) : QUARTET_OK;
    struct at_hand *h = &p->hands[p->last];
    if (rc == QUARTET_OK && (h->page == 0 || number - p->list[h->page - 1].first >= p->list[h->page - 1].rows)) {
        rc = find_hand(p, number, err);
        h = &p->hands[p->last];
    }
    if (rc != QUARTET_OK)
        return rc;
    const struct page *page = &p->list[h->page - 1];
    uint32_t at = number - page->first;
    h->used = ++p->clock;
    *values = h->values + (size_t)at * p->col_count;
    *row = slice_of((page->data != NULL ? page->data : h->read) + h->starts[at], h->starts[at + 1] - 4u - h->starts[at]);
    return QUARTET_OK;
}

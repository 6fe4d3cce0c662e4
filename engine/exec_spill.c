/* exec_spill.c - sorted runs of rows on disk.
 * Why a file for each run: what was merged is given back at once, and a merge never needs more than the rows once more. Why levels: a run is written again
 * only when eight of its size have come together, so a row is written about log8(runs) times.
 * Format of a row: u32 bytes behind the key's rest, u32 bytes of that rest, two words of the key, the rest, the row. Nobody but the statement that wrote it
 * reads it; what cannot be is still told from what can, since a disk may give back anything. */
#include "exec_spill.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/env.h"
#include "base/mem.h"

#define ROW_HEAD_BYTES 24u
#define RUNS_MAX       128u

struct run {
    struct file *file;
    uint64_t bytes;
    uint32_t level;
};
struct reader {
    struct run run;
    uint8_t *data; /* of the file from `from` on */
    size_t cap, have;
    uint64_t from;
    size_t at; /* the present row's place in data */
    bool ended;
    struct spill_key key;
    struct slice row;
};
struct spill {
    struct env *env;
    const char *dir;
    struct run runs[RUNS_MAX]; /* oldest first */
    uint32_t count;
    struct run making;
    struct buf out;
    struct reader readers[SPILL_FAN_IN];
    uint32_t reader_count;
    struct reader *last; /* whose row was given out */
};

int spill_key_cmp(const struct spill_key *a, const struct spill_key *b)
{
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    if (a->second != b->second)
        return a->second < b->second ? -1 : 1;
    uint32_t n = a->rest_bytes < b->rest_bytes ? a->rest_bytes : b->rest_bytes;
    int c = n > 0 ? memcmp(a->rest, b->rest, n) : 0;
    return c != 0 ? c : a->rest_bytes < b->rest_bytes ? -1 : a->rest_bytes > b->rest_bytes;
}

quartet_status spill_new(struct env *env, const char *dir, spill **out, struct err *err)
{
    QASSERT(dir != NULL);
    struct spill *s = mem_zalloc(1, sizeof *s);
    if (s == NULL)
        return err_nomem(err);
    s->env = env;
    s->dir = dir;
    *out = s;
    return QUARTET_OK;
}

static void reader_close(struct spill *s, struct reader *r)
{
    s->env->ops->close(r->run.file);
    mem_free(r->data);
    memset(r, 0, sizeof *r);
}

void spill_free(spill *s)
{
    if (s == NULL)
        return;
    for (uint32_t i = 0; i < s->count; i++)
        s->env->ops->close(s->runs[i].file);
    for (uint32_t i = 0; i < s->reader_count; i++)
        reader_close(s, &s->readers[i]);
    s->env->ops->close(s->making.file);
    buf_deinit(&s->out);
    mem_free(s);
}

uint32_t spill_runs(const spill *s)
{
    return s->count;
}

/* ---- writing ---- */

quartet_status spill_file(struct env *env, const char *dir, struct file **out, struct err *err)
{
    uint64_t number;
    char name[32], path[4096];
    quartet_status rc = env->ops->random(env, &number, sizeof number, err);
    (void)snprintf(name, sizeof name, KV_RUN_FILE_PREFIX "%016llx", (unsigned long long)number); /* it fits */
    if (rc == QUARTET_OK)
        rc = path_join(path, sizeof path, dir, name, err);
    if (rc == QUARTET_OK)
        rc = env->ops->open(env, path, FILE_CREATE_NEW, out, err);
    return rc == QUARTET_OK ? env->ops->unlink(env, path, err) : rc;
}

static quartet_status run_begin(struct spill *s, uint32_t level, struct err *err)
{
    QASSERT(s->making.file == NULL);
    s->making = (struct run){.level = level};
    return spill_file(s->env, s->dir, &s->making.file, err);
}

static quartet_status out_flush(struct spill *s, struct err *err)
{
    quartet_status rc = buf_check(&s->out, err);
    if (rc == QUARTET_OK && s->out.len > 0)
        rc = s->env->ops->pwrite(s->making.file, s->out.data, s->out.len, s->making.bytes, err);
    if (rc != QUARTET_OK) {
        err_prefix(err, "rows that memory_limit keeps out of memory");
        return rc;
    }
    s->making.bytes += s->out.len;
    buf_clear(&s->out);
    return QUARTET_OK;
}

quartet_status spill_run_put(spill *s, const struct spill_key *key, struct slice row, struct err *err)
{
    if (row.n > UINT32_MAX - ROW_HEAD_BYTES)
        return err_set(err, QUARTET_LIMIT, "a row of %zu bytes is too large to be sorted", row.n);
    buf_u32(&s->out, (uint32_t)row.n);
    buf_u32(&s->out, key->rest_bytes);
    buf_u64(&s->out, key->first);
    buf_u64(&s->out, key->second);
    buf_put(&s->out, key->rest, key->rest_bytes);
    buf_put(&s->out, row.p, row.n);
    return s->out.failed || s->out.len >= SPILL_BUFFER_BYTES ? out_flush(s, err) : QUARTET_OK;
}

static quartet_status run_end(struct spill *s, struct err *err)
{
    quartet_status rc = out_flush(s, err);
    if (rc != QUARTET_OK)
        return rc;
    QASSERT(s->count < RUNS_MAX);
    s->runs[s->count++] = s->making;
    s->making = (struct run){0};
    return QUARTET_OK;
}

/* ---- reading ---- */

/* At least `n` bytes from the present row on, where the file has them. */
static quartet_status reader_fill(struct spill *s, struct reader *r, size_t n, struct err *err)
{
    size_t left = r->have - r->at, got;
    if (left >= n)
        return QUARTET_OK;
    if (r->at > 0)
        memmove(r->data, r->data + r->at, left);
    r->from += r->at;
    r->have = left;
    r->at = 0;
    if (n > r->cap) {
        uint8_t *grown = mem_realloc(r->data, n, 1);
        if (grown == NULL)
            return err_nomem(err);
        r->data = grown;
        r->cap = n;
    }
    uint64_t rest = r->run.bytes - (r->from + left);
    size_t want = rest < r->cap - left ? (size_t)rest : r->cap - left;
    quartet_status rc = s->env->ops->pread(r->run.file, r->data + left, want, r->from + left, &got, err);
    if (rc == QUARTET_OK && (got < want || left + got < n))
        rc = err_set(err, QUARTET_IO, "a file of sorted rows ends too early");
    r->have = left + got;
    return rc;
}

static quartet_status reader_row(struct spill *s, struct reader *r, struct err *err)
{
    r->ended = r->from + r->at >= r->run.bytes;
    if (r->ended)
        return QUARTET_OK;
    quartet_status rc = reader_fill(s, r, ROW_HEAD_BYTES, err);
    if (rc != QUARTET_OK)
        return rc;
    const uint8_t *p = r->data + r->at;
    uint64_t row = load_le32(p), rest = load_le32(p + 4), all = ROW_HEAD_BYTES + row + rest;
    if (all > r->run.bytes - (r->from + r->at))
        return err_set(err, QUARTET_IO, "a file of sorted rows is damaged");
    rc = reader_fill(s, r, (size_t)all, err);
    if (rc != QUARTET_OK)
        return rc;
    p = r->data + r->at;
    r->key = (struct spill_key){.first = load_le64(p + 8), .second = load_le64(p + 16), .rest = p + ROW_HEAD_BYTES, .rest_bytes = (uint32_t)rest};
    r->row = slice_of(p + ROW_HEAD_BYTES + rest, row);
    return QUARTET_OK;
}

/* The newest `n` runs move to readers. */
static quartet_status readers_open(struct spill *s, uint32_t n, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    QASSERT(n <= SPILL_FAN_IN && n <= s->count && s->reader_count == 0);
    s->count -= n;
    for (uint32_t i = 0; i < n; i++)
        s->readers[i] = (struct reader){.run = s->runs[s->count + i]};
    s->reader_count = n;
    for (uint32_t i = 0; i < n && rc == QUARTET_OK; i++) {
        struct reader *r = &s->readers[i];
        r->data = mem_alloc(SPILL_BUFFER_BYTES);
        r->cap = SPILL_BUFFER_BYTES;
        rc = r->data == NULL ? err_nomem(err) : reader_row(s, r, err);
    }
    s->last = NULL;
    return rc;
}

/* The reader with the next row; NULL: the end. Of equal keys the older run's. */
static quartet_status readers_next(struct spill *s, struct reader **out, struct err *err)
{
    struct reader *r = s->last;
    *out = NULL;
    if (r != NULL) {
        r->at = (size_t)(r->row.p + r->row.n - r->data);
        quartet_status rc = reader_row(s, r, err);
        if (rc != QUARTET_OK)
            return rc;
    }
    for (uint32_t i = 0; i < s->reader_count; i++) {
        r = &s->readers[i];
        if (!r->ended && (*out == NULL || spill_key_cmp(&r->key, &(*out)->key) < 0))
            *out = r;
    }
    s->last = *out;
    return QUARTET_OK;
}

/* The newest `n` runs become one. */
static quartet_status merge(struct spill *s, uint32_t n, struct err *err)
{
    uint32_t level = s->runs[s->count - n].level + 1;
    quartet_status rc = readers_open(s, n, err);
    if (rc == QUARTET_OK)
        rc = run_begin(s, level, err);
    while (rc == QUARTET_OK) {
        struct reader *r;
        rc = readers_next(s, &r, err);
        if (rc != QUARTET_OK || r == NULL)
            break;
        rc = spill_run_put(s, &r->key, r->row, err);
    }
    for (uint32_t i = 0; i < s->reader_count; i++)
        reader_close(s, &s->readers[i]);
    s->reader_count = 0;
    s->last = NULL;
    return rc == QUARTET_OK ? run_end(s, err) : rc;
}

quartet_status spill_run_begin(spill *s, struct err *err)
{
    return run_begin(s, 0, err);
}

quartet_status spill_run_end(spill *s, struct err *err)
{
    quartet_status rc = run_end(s, err);
    while (rc == QUARTET_OK && s->count >= SPILL_FAN_IN && s->runs[s->count - SPILL_FAN_IN].level == s->runs[s->count - 1].level)
        rc = merge(s, SPILL_FAN_IN, err);
    return rc;
}

quartet_status spill_read(spill *s, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    while (rc == QUARTET_OK && s->count > SPILL_FAN_IN) /* the newest are the smallest */
        rc = merge(s, s->count - SPILL_FAN_IN + 1 < SPILL_FAN_IN ? s->count - SPILL_FAN_IN + 1 : SPILL_FAN_IN, err);
    return rc == QUARTET_OK ? readers_open(s, s->count, err) : rc;
}

quartet_status spill_next(spill *s, struct slice *row, struct err *err)
{
    struct reader *r;
    *row = slice_of(NULL, 0);
    quartet_status rc = readers_next(s, &r, err);
    if (rc == QUARTET_OK && r != NULL)
        *row = r->row;
    return rc;
}

quartet_status spill_row_put(struct slice row, struct batch *out, uint32_t cap, struct arena *a, struct err *err)
{
    struct bytes_in in = bytes_in(row.p, row.n);
    for (uint32_t c = 0; c < out->col_count; c++) {
        struct vec *v = &out->cols[c];
        struct value x;
        if (!value_decode(&in, &x))
            return err_set(err, QUARTET_IO, "a file of rows is damaged");
        if (out->n == 0 && !vec_init(v, x.type, cap, a))
            return arena_fail(a, err);
        if (out->n == 0 && x.type == VALUE_DECIMAL)
            v->scale = x.scale;
        if (!value_copy(a, &x) || !vec_set(v, out->n, &x, cap, a))
            return arena_fail(a, err);
    }
    out->n++;
    return QUARTET_OK;
}

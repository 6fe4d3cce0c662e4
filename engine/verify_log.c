/* verify_log.c - the log: every record's checksum, and what records say: batches link to the ones before, payloads fit their hashes, signatures their slots' keys.
 * Not here: what deltas mean (the base is checked for itself: verify_rows.c). */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "db_internal.h"
#include "verify.h"

struct link { /* a chain, as far as it was seen */
    struct chain_id id;
    uint64_t last;
    uint8_t hash[32];
};
struct walk {
    struct verify *v;
    commit_log *log;
    struct link *links;
    size_t count, cap;
    uint64_t local; /* the last local delta's number */
    struct buf batch, one;
    struct err *err;
};

static void finding(struct walk *w, log_pos at, const char *what)
{
    char file[64];
    snprintf(file, sizeof file, "log/%08llu", (unsigned long long)(at / LOG_SEGMENT_BYTES));
    verify_add(w->v, file, (int64_t)(at % LOG_SEGMENT_BYTES), 0, (struct slice){0}, "%.250s", what);
}

static struct link *link_of(struct walk *w, struct chain_id id)
{
    for (size_t i = 0; i < w->count; i++)
        if (chain_id_cmp(w->links[i].id, id) == 0)
            return &w->links[i];
    if (w->count == w->cap) {
        size_t cap = w->cap == 0 ? 8 : w->cap * 2;
        struct link *grown = mem_realloc(w->links, cap, sizeof *grown);
        if (grown == NULL)
            return NULL;
        w->links = grown;
        w->cap = cap;
    }
    w->links[w->count] = (struct link){.id = id};
    return &w->links[w->count++];
}

static quartet_status check_batch(struct walk *w, log_pos at, struct slice bytes)
{
    struct batch_header h;
    struct slice payload;
    struct err why = ERR_INIT;
    char text[256];
    if (batch_parse(bytes, &h, &payload, &why) != QUARTET_OK) {
        finding(w, at, why.text);
        return QUARTET_OK;
    }
    struct link *l = link_of(w, h.chain);
    if (l == NULL)
        return err_nomem(w->err);
    w->v->batches++;
    if (l->last != 0 && h.first > l->last + 1) {
        snprintf(text, sizeof text, "slot %u: batches %llu to %llu are missing", h.chain.slot, (unsigned long long)l->last + 1, (unsigned long long)h.first - 1);
        finding(w, at, text);
    } else if (l->last != 0 && h.first == l->last + 1 && memcmp(h.prev, l->hash, sizeof l->hash) != 0) {
        snprintf(text, sizeof text, "slot %u: batch %llu does not link to the one before it", h.chain.slot, (unsigned long long)h.first);
        finding(w, at, text);
    }
    if (h.first + h.count - 1 > l->last) {
        l->last = h.first + h.count - 1;
        memcpy(l->hash, h.hash, sizeof l->hash);
    }
    bool known = false, fits = false;
    for (uint32_t i = 0; w->v->keys != NULL && i < w->v->keys->count && !fits; i++) {
        const struct verify_key *k = &w->v->keys->of[i];
        if (k->slot != h.chain.slot)
            continue;
        known = true;
        err_clear(&why);
        fits = batch_verify(bytes, &h, payload, &w->v->keys->cluster, k->key, &why) == QUARTET_OK;
    }
    w->v->signatures += known;
    if (known && !fits) {
        snprintf(text, sizeof text, "slot %u, batch %llu: %.180s", h.chain.slot, (unsigned long long)h.first, why.text);
        finding(w, at, text);
    }
    return QUARTET_OK;
}

/* Header and signature stand in this record, the deltas in earlier ones. */
static quartet_status check_seal(struct walk *w, const struct log_record *r)
{
    const uint32_t head = DB_SEAL_HEAD_BYTES + BATCH_HEADER_BYTES + BATCH_SIGNATURE_BYTES;
    uint64_t count = r->payload.n >= head ? load_le32(r->payload.p + 17) : 0;
    if (count == 0 || r->payload.n != head + 8 * count) {
        finding(w, r->at, "a record of a signature of a wrong length");
        return QUARTET_OK;
    }
    struct buf positions = {0};
    buf_put(&positions, r->payload.p + head, 8 * count); /* reading other records may move what this one points to */
    buf_clear(&w->batch);
    buf_put(&w->batch, r->payload.p + DB_SEAL_HEAD_BYTES, BATCH_HEADER_BYTES + BATCH_SIGNATURE_BYTES);
    bool good = !positions.failed;
    if (good && load_le64(positions.data) < commit_log_start(w->log)) { /* it began in what went, as it may: the seal alone is left */
        buf_deinit(&positions);
        return QUARTET_OK;
    }
    for (uint64_t i = 0; i < count && good; i++) {
        enum log_type type;
        log_pos end;
        struct err why = ERR_INIT;
        buf_clear(&w->one);
        quartet_status rc = commit_log_read(w->log, load_le64(positions.data + 8 * i), &type, &w->one, &end, &why);
        good = rc == QUARTET_OK && type == LOG_LOCAL && w->one.len >= DB_LOCAL_HEAD_BYTES;
        if (!good) {
            finding(w, r->at, "a signature over a delta that is not where it says");
            break;
        }
        buf_u32(&w->batch, (uint32_t)(w->one.len - DB_LOCAL_HEAD_BYTES));
        buf_put(&w->batch, w->one.data + DB_LOCAL_HEAD_BYTES, w->one.len - DB_LOCAL_HEAD_BYTES);
    }
    buf_deinit(&positions);
    quartet_status rc = buf_check(&w->batch, w->err);
    return rc == QUARTET_OK && good ? check_batch(w, r->at, slice_of(w->batch.data, w->batch.len)) : rc;
}

static quartet_status check_record(void *arg, const struct log_record *r, struct err *err)
{
    struct walk *w = arg;
    char text[128];
    (void)err; /* w->err is the same */
    w->v->records++;
    switch (r->type) {
    case LOG_REMOTE:
        return check_batch(w, r->at, r->payload);
    case LOG_SEAL:
        return check_seal(w, r);
    case LOG_META:
        if (r->payload.n > 0 && r->payload.p[0] == 1)
            w->local = 0; /* a new incarnation counts from 1 */
        return QUARTET_OK;
    case LOG_LOCAL: {
        uint64_t number = r->payload.n >= DB_LOCAL_HEAD_BYTES ? load_le64(r->payload.p) : 0;
        if (number == 0 || (w->local != 0 && number > w->local + 1)) {
            snprintf(text, sizeof text, "delta %llu stands behind delta %llu", (unsigned long long)number, (unsigned long long)w->local);
            finding(w, r->at, text);
        }
        w->local = number;
        return QUARTET_OK;
    }
    }
    return QUARTET_OK;
}

/* "DIR/log/00000001, offset 4711: what" of the log's own messages, taken apart. */
static void told(struct verify *v, const char *text)
{
    char file[64] = "log";
    long long offset = -1;
    const char *at = strstr(text, "/log/"), *what = text;
    if (at != NULL && sscanf(at + 5, "%20[0-9], offset %lld", file + 4, &offset) == 2) {
        file[3] = '/';
        what = strchr(at + 5, ':') != NULL ? strchr(at + 5, ':') + 2 : text;
    }
    verify_add(v, file, offset, 0, (struct slice){0}, "%.250s", what);
}

quartet_status verify_log(struct verify *v, struct err *err)
{
    char path[4200];
    struct walk w = {.v = v, .err = err};
    bool damaged = false;
    quartet_status rc = path_join(path, sizeof path, v->dir, "log", err);
    if (rc != QUARTET_OK || !v->env->ops->exists(v->env, path))
        return rc; /* a backup, or what was restored of one and never opened */
    rc = commit_log_open(v->env, v->dir, false, &w.log, err);
    if (rc == QUARTET_OK)
        rc = commit_log_scan(w.log, check_record, &w, &damaged, err);
    if (rc == QUARTET_CORRUPT || damaged) {
        told(v, err->text);
        err_clear(err);
        rc = QUARTET_OK;
    }
    commit_log_close(w.log);
    mem_free(w.links);
    buf_deinit(&w.batch);
    buf_deinit(&w.one);
    return rc;
}

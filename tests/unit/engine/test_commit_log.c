/* test_commit_log.c - the log on a disk that crashes, fills up, fails and rots; group commit from several threads. */
#include "unit/cunit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/commit_log.h"
#include "fault/fault_env.h"

const char *const unit_suite = "commit_log";

#define RECORDS_MAX 4000u

/* What was appended: a record is told by its number, which stands in its payload, and made again from it. */
struct written {
    uint32_t size, salt;
    log_pos at, end;
};
struct book {
    struct written w[RECORDS_MAX];
    uint32_t count;
    uint32_t acknowledged; /* the first so many were synced */
    uint32_t seen;         /* replay */
    bool wrong;
    uint8_t *scratch;
};

static void payload_make(uint32_t number, uint32_t salt, uint32_t size, uint8_t *out)
{
    for (uint32_t i = 0; i < size; i++)
        out[i] = (uint8_t)(number * 31 + salt * 7 + i * (i >> 8));
}

static quartet_status book_each(void *arg, const struct log_record *r, struct err *err)
{
    struct book *b = arg;
    (void)err;
    if (b->seen >= b->count) {
        b->wrong = true;
        return QUARTET_OK;
    }
    const struct written *w = &b->w[b->seen];
    payload_make(b->seen, w->salt, w->size, b->scratch);
    if (r->payload.n != w->size || r->at != w->at || r->end != w->end || memcmp(r->payload.p, b->scratch, w->size) != 0 ||
        r->type != (enum log_type)(1 + b->seen % 4))
        b->wrong = true;
    b->seen++;
    return QUARTET_OK;
}

static quartet_status book_append(struct book *b, commit_log *log, uint32_t size, uint32_t salt, struct err *err)
{
    struct written *w = &b->w[b->count];
    *w = (struct written){.size = size, .salt = salt};
    payload_make(b->count, salt, size, b->scratch);
    uint32_t half = size / 3;
    struct slice parts[2] = {slice_of(b->scratch, half), slice_of(b->scratch + half, size - half)};
    quartet_status rc = commit_log_append(log, (enum log_type)(1 + b->count % 4), parts, 2, &w->at, &w->end, err);
    if (rc == QUARTET_OK)
        b->count++;
    return rc;
}

static struct book *book_new(void)
{
    struct book *b = calloc(1, sizeof *b);
    b->scratch = malloc(LOG_RECORD_BYTES_MAX + 1);
    return b;
}

static void book_free(struct book *b)
{
    free(b->scratch);
    free(b);
}

static quartet_status reopen(struct fault_env *f, struct book *b, commit_log **log, struct err *err)
{
    b->seen = 0;
    quartet_status rc = commit_log_open(&f->env, "/d", false, log, err);
    if (rc != QUARTET_OK)
        return rc;
    rc = commit_log_replay(*log, 0, book_each, b, err);
    if (rc != QUARTET_OK) {
        commit_log_close(*log);
        *log = NULL;
    }
    return rc;
}

static uint32_t random_size(struct prng *r)
{
    uint64_t dice = prng_below(r, 100);
    return (uint32_t)(dice < 70 ? prng_below(r, 300) : dice < 97 ? prng_below(r, 9000) : prng_below(r, 300000));
}

static void test_commit_log_gives_back_what_was_appended(void)
{
    struct fault_env f;
    struct err err = ERR_INIT;
    struct prng r;
    struct book *b = book_new();
    struct buf got = {0};
    commit_log *log = NULL;
    prng_seed(&r, unit_seed(1));
    fault_env_init(&f, unit_seed(1));
    CU_ASSERT_EQUAL_FATAL(reopen(&f, b, &log, &err), QUARTET_OK);
    for (uint32_t i = 0; i < 1500; i++) {
        uint32_t size = i == 700 ? LOG_RECORD_BYTES_MAX : random_size(&r); /* the largest spans segments */
        CU_ASSERT_EQUAL_FATAL(book_append(b, log, size, i, &err), QUARTET_OK);
        enum log_sync_mode mode = (enum log_sync_mode)prng_below(&r, 3);
        CU_ASSERT_EQUAL(commit_log_sync(log, b->w[i].end, mode, &err), QUARTET_OK);
        if (mode == LOG_SYNC_FULL)
            CU_ASSERT_TRUE(commit_log_synced(log) >= b->w[i].end);
        uint32_t k = (uint32_t)prng_below(&r, b->count);
        enum log_type type;
        log_pos end;
        buf_clear(&got);
        CU_ASSERT_EQUAL(commit_log_read(log, b->w[k].at, &type, &got, &end, &err), QUARTET_OK);
        payload_make(k, b->w[k].salt, b->w[k].size, b->scratch);
        CU_ASSERT_TRUE(got.len == b->w[k].size && (got.len == 0 || memcmp(got.data, b->scratch, got.len) == 0));
        CU_ASSERT_EQUAL(end, b->w[k].end);
        CU_ASSERT_EQUAL(type, 1 + k % 4);
    }
    struct slice large = slice_of(b->scratch, LOG_RECORD_BYTES_MAX + 1u);
    log_pos at, end;
    CU_ASSERT_EQUAL(commit_log_append(log, LOG_LOCAL, &large, 1, &at, &end, &err), QUARTET_LIMIT);
    commit_log_close(log);
    CU_ASSERT_EQUAL_FATAL(reopen(&f, b, &log, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(b->seen, b->count);
    CU_ASSERT_FALSE(b->wrong);
    commit_log_close(log);
    fault_env_deinit(&f);
    buf_deinit(&got);
    book_free(b);
}

/* One life of the log: appends, some synced, until the power goes or the steps are over. */
static void live(struct fault_env *f, struct book *b, commit_log *log, struct prng *r, uint32_t steps)
{
    struct err err = ERR_INIT;
    for (uint32_t i = 0; i < steps && b->count < RECORDS_MAX; i++) {
        if (book_append(b, log, random_size(r), (uint32_t)prng_u64(r), &err) != QUARTET_OK)
            break;
        if (!prng_chance(r, 0.4))
            continue;
        enum log_sync_mode mode = prng_chance(r, 0.5) ? LOG_SYNC_FULL : LOG_SYNC_NORMAL;
        uint32_t upto = b->count;
        quartet_status rc = commit_log_sync(log, b->w[upto - 1].end, mode, &err);
        if (rc != QUARTET_OK)
            break;
        if (mode == LOG_SYNC_FULL)
            b->acknowledged = upto;
    }
    (void)f;
}

static void test_commit_log_crashes_lose_nothing_acknowledged(void)
{
    uint64_t seed = unit_seed(100), runs = getenv("QUARTET_LONG") != NULL ? 2000 : 60;
    struct book *b = book_new();
    for (uint64_t run = 0; run < runs && CU_get_number_of_failures() == 0; run++) {
        struct fault_env f;
        struct err err = ERR_INIT;
        struct prng r;
        prng_seed(&r, seed + run);
        fault_env_init(&f, seed + run);
        b->count = b->acknowledged = 0;
        b->wrong = false;
        for (uint32_t life = 0; life < 6; life++) {
            commit_log *log = NULL;
            quartet_status rc = reopen(&f, b, &log, &err);
            if (rc != QUARTET_OK)
                fprintf(stderr, "run %llu life %u: %s\n", (unsigned long long)run, life, err.text);
            CU_ASSERT_EQUAL_FATAL(rc, QUARTET_OK);
            CU_ASSERT_FALSE(b->wrong);
            CU_ASSERT_TRUE(b->seen >= b->acknowledged);
            if (b->wrong || b->seen < b->acknowledged)
                fprintf(stderr, "run %llu life %u: %u of %u acknowledged, wrong %d\n", (unsigned long long)run, life, b->seen, b->acknowledged, b->wrong);
            b->count = b->seen; /* the torn tail is gone, and must stay so */
            b->acknowledged = b->seen;
            if (prng_chance(&r, 0.7))
                f.crash_at_write = f.writes + f.syncs + 1 + prng_below(&r, 400);
            live(&f, b, log, &r, 1 + (uint32_t)prng_below(&r, 200));
            if (prng_chance(&r, 0.5))
                fault_env_die(&f);
            commit_log_close(log);
            fault_env_restart(&f, prng_chance(&r, 0.2));
        }
        fault_env_deinit(&f);
    }
    book_free(b);
}

/* A log of a few records, all synced one by one, then left. */
static void small_log(struct fault_env *f, struct book *b, uint32_t n, uint32_t size)
{
    struct err err = ERR_INIT;
    commit_log *log = NULL;
    CU_ASSERT_EQUAL_FATAL(reopen(f, b, &log, &err), QUARTET_OK);
    for (uint32_t i = 0; i < n; i++) {
        CU_ASSERT_EQUAL_FATAL(book_append(b, log, size + i, i, &err), QUARTET_OK);
        CU_ASSERT_EQUAL_FATAL(commit_log_sync(log, b->w[b->count - 1].end, LOG_SYNC_FULL, &err), QUARTET_OK);
    }
    commit_log_close(log);
}

static void test_commit_log_every_cut_of_the_tail_leaves_a_prefix(void)
{
    struct fault_env f, g;
    struct err err = ERR_INIT;
    struct book *b = book_new();
    fault_env_init(&f, 1);
    small_log(&f, b, 12, 20);
    uint64_t first = b->w[8].at % LOG_SEGMENT_BYTES, last = b->w[11].end % LOG_SEGMENT_BYTES;
    for (uint64_t cut = first; cut <= last; cut++) {
        fault_env_init(&g, 2);
        CU_ASSERT_EQUAL_FATAL(fault_env_copy_files(&g, &f, &err), QUARTET_OK);
        struct file *h;
        CU_ASSERT_EQUAL_FATAL(g.env.ops->open(&g.env, "/d/log/00000001", FILE_WRITE, &h, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(g.env.ops->truncate(h, cut, &err), QUARTET_OK);
        g.env.ops->close(h);
        commit_log *log = NULL;
        CU_ASSERT_EQUAL_FATAL(reopen(&g, b, &log, &err), QUARTET_OK);
        uint32_t whole = 8;
        while (whole < 12 && b->w[whole].end % LOG_SEGMENT_BYTES <= cut)
            whole++;
        CU_ASSERT_EQUAL(b->seen, whole);
        CU_ASSERT_FALSE(b->wrong);
        /* And it goes on from there. */
        uint32_t count = b->count;
        b->count = whole;
        struct written kept = b->w[whole < 12 ? whole : 0];
        CU_ASSERT_EQUAL(book_append(b, log, 33, 99, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(commit_log_sync(log, b->w[whole].end, LOG_SYNC_FULL, &err), QUARTET_OK);
        commit_log_close(log);
        CU_ASSERT_EQUAL_FATAL(reopen(&g, b, &log, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(b->seen, whole + 1);
        CU_ASSERT_FALSE(b->wrong);
        commit_log_close(log);
        b->count = count;
        if (whole < 12)
            b->w[whole] = kept;
        fault_env_deinit(&g);
    }
    fault_env_deinit(&f);
    book_free(b);
}

static void test_commit_log_tells_damage_below_a_mark(void)
{
    struct fault_env f;
    struct err err = ERR_INIT;
    struct book *b = book_new();
    fault_env_init(&f, 1);
    small_log(&f, b, 20, 30);
    /* The last record's mark says that the eighteen before its predecessor's end were on disk. */
    uint64_t from = b->w[0].at % LOG_SEGMENT_BYTES, upto = b->w[18].end % LOG_SEGMENT_BYTES, last = b->w[19].end % LOG_SEGMENT_BYTES;
    for (uint64_t at = from; at < last; at++) {
        uint8_t mask = (uint8_t)(1u << (at % 8));
        CU_ASSERT_TRUE_FATAL(fault_env_flip(&f, "/d/log/00000001", at, mask));
        commit_log *log = NULL;
        quartet_status rc = reopen(&f, b, &log, &err);
        if (at < upto) {
            CU_ASSERT_EQUAL(rc, QUARTET_CORRUPT);
            CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/d/log/00000001, offset "));
        } else {
            CU_ASSERT_EQUAL(rc, QUARTET_OK);
            CU_ASSERT_EQUAL(b->seen, 19);
        }
        CU_ASSERT_FALSE(b->wrong);
        commit_log_close(log);
        CU_ASSERT_TRUE(fault_env_flip(&f, "/d/log/00000001", at, mask));
    }
    for (uint64_t at = 0; at < 64; at++) { /* the header */
        CU_ASSERT_TRUE_FATAL(fault_env_flip(&f, "/d/log/00000001", at, 4));
        commit_log *log = NULL;
        CU_ASSERT_EQUAL(reopen(&f, b, &log, &err), QUARTET_CORRUPT);
        commit_log_close(log);
        CU_ASSERT_TRUE(fault_env_flip(&f, "/d/log/00000001", at, 4));
    }
    fault_env_deinit(&f);
    book_free(b);
}

static void test_commit_log_read_tells_damage(void)
{
    struct fault_env f;
    struct err err = ERR_INIT;
    struct book *b = book_new();
    struct buf out = {0};
    commit_log *log = NULL;
    fault_env_init(&f, 1);
    CU_ASSERT_EQUAL_FATAL(reopen(&f, b, &log, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(book_append(b, log, 500, 1, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(commit_log_sync(log, b->w[0].end, LOG_SYNC_FULL, &err), QUARTET_OK);
    enum log_type type;
    log_pos end;
    for (uint64_t at = b->w[0].at % LOG_SEGMENT_BYTES; at < b->w[0].end % LOG_SEGMENT_BYTES; at++) {
        fault_env_flip(&f, "/d/log/00000001", at, 0x10);
        CU_ASSERT_EQUAL(commit_log_read(log, b->w[0].at, &type, &out, &end, &err), QUARTET_CORRUPT);
        fault_env_flip(&f, "/d/log/00000001", at, 0x10);
    }
    CU_ASSERT_EQUAL(out.len, 0);
    CU_ASSERT_EQUAL(commit_log_read(log, b->w[0].end, &type, &out, &end, &err), QUARTET_NOTFOUND);
    commit_log_close(log);
    buf_deinit(&out);
    fault_env_deinit(&f);
    book_free(b);
}

static void test_commit_log_failed_writes_and_syncs_break_it(void)
{
    for (uint32_t n = 1; n < 12; n++) {
        struct fault_env f;
        struct err err = ERR_INIT;
        struct book *b = book_new();
        commit_log *log = NULL;
        fault_env_init(&f, n);
        CU_ASSERT_EQUAL_FATAL(reopen(&f, b, &log, &err), QUARTET_OK);
        CU_ASSERT_EQUAL_FATAL(book_append(b, log, 10, 1, &err), QUARTET_OK);
        CU_ASSERT_EQUAL_FATAL(commit_log_sync(log, b->w[0].end, LOG_SYNC_FULL, &err), QUARTET_OK);
        *(n % 2 == 0 ? &f.fail_sync_at : &f.fail_write_at) = (n + 1) / 2;
        uint32_t acknowledged = 1;
        quartet_status rc = QUARTET_OK;
        while (rc == QUARTET_OK && b->count < 40) {
            rc = book_append(b, log, 40, b->count, &err);
            if (rc == QUARTET_OK)
                rc = commit_log_sync(log, b->w[b->count - 1].end, LOG_SYNC_FULL, &err);
            if (rc == QUARTET_OK)
                acknowledged = b->count;
        }
        CU_ASSERT_EQUAL(rc, QUARTET_IO);
        CU_ASSERT_EQUAL(f.fail_sync_at + f.fail_write_at, 0);
        /* The disk is well again, the log stays broken. */
        CU_ASSERT_EQUAL(book_append(b, log, 40, b->count, &err), QUARTET_IO);
        CU_ASSERT_EQUAL(commit_log_sync(log, b->w[b->count - 1].end, LOG_SYNC_FULL, &err), QUARTET_IO);
        CU_ASSERT_EQUAL(commit_log_sync(log, b->w[0].end, LOG_SYNC_FULL, &err), QUARTET_OK);
        commit_log_close(log);
        fault_env_restart(&f, n % 3 == 0);
        CU_ASSERT_EQUAL_FATAL(reopen(&f, b, &log, &err), QUARTET_OK);
        CU_ASSERT_TRUE(b->seen >= acknowledged);
        CU_ASSERT_FALSE(b->wrong);
        commit_log_close(log);
        fault_env_deinit(&f);
        book_free(b);
    }
}

/* The sync of zeros ahead is one of the file that holds the newest records: where it fails they may be gone, and a later sync would say nothing of it. */
static void test_commit_log_failed_sync_of_zeros_breaks_it(void)
{
    struct fault_env f;
    struct err err = ERR_INIT;
    struct book *b = book_new();
    commit_log *log = NULL;
    fault_env_init(&f, 77);
    CU_ASSERT_EQUAL_FATAL(reopen(&f, b, &log, &err), QUARTET_OK);
    quartet_status rc = book_append(b, log, 10, 1, &err);
    CU_ASSERT_EQUAL_FATAL(rc, QUARTET_OK);
    f.fail_sync_at = 1;
    for (uint32_t i = 0; rc == QUARTET_OK && i < 200; i++) { /* no other sync is asked for */
        rc = book_append(b, log, 60000, b->count, &err);
        if (rc == QUARTET_OK)
            rc = commit_log_sync(log, b->w[b->count - 1].end, LOG_SYNC_NORMAL, &err);
    }
    CU_ASSERT_EQUAL(rc, QUARTET_IO);
    CU_ASSERT_EQUAL(f.fail_sync_at, 0);
    err_clear(&err);
    CU_ASSERT_EQUAL(book_append(b, log, 40, b->count, &err), QUARTET_IO);
    CU_ASSERT(strstr(err.text, "the log is broken") != NULL);
    commit_log_close(log);
    fault_env_deinit(&f);
    book_free(b);
}

static void test_commit_log_full_disk_refuses_and_recovers(void)
{
    struct fault_env f;
    struct err err = ERR_INIT;
    struct book *b = book_new();
    commit_log *log = NULL;
    fault_env_init(&f, 1);
    f.disk_bytes = 3u << 20;
    CU_ASSERT_EQUAL_FATAL(reopen(&f, b, &log, &err), QUARTET_OK);
    quartet_status rc;
    while ((rc = book_append(b, log, 50000, b->count, &err)) == QUARTET_OK && b->count < 200)
        CU_ASSERT_EQUAL(commit_log_sync(log, b->w[b->count - 1].end, LOG_SYNC_FULL, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(rc, QUARTET_FULL);
    uint32_t count = b->count;
    CU_ASSERT_TRUE(count > 20);
    CU_ASSERT_EQUAL(book_append(b, log, 50000, count, &err), QUARTET_FULL);
    CU_ASSERT_EQUAL(b->count, count);
    f.disk_bytes = 0;
    CU_ASSERT_EQUAL(book_append(b, log, 50000, count, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(commit_log_sync(log, b->w[count].end, LOG_SYNC_FULL, &err), QUARTET_OK);
    commit_log_close(log);
    CU_ASSERT_EQUAL_FATAL(reopen(&f, b, &log, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(b->seen, count + 1);
    CU_ASSERT_FALSE(b->wrong);
    commit_log_close(log);
    fault_env_deinit(&f);
    book_free(b);
}

static quartet_status count_each(void *arg, const struct log_record *r, struct err *err)
{
    (void)err;
    struct book *b = arg;
    while (b->seen < b->count && b->w[b->seen].at < r->at)
        b->seen++;
    return book_each(arg, r, err);
}

static void test_commit_log_trim_recycles_segments(void)
{
    struct fault_env f;
    struct err err = ERR_INIT;
    struct book *b = book_new();
    struct buf out = {0};
    commit_log *log = NULL;
    fault_env_init(&f, 1);
    CU_ASSERT_EQUAL_FATAL(reopen(&f, b, &log, &err), QUARTET_OK);
    for (uint32_t i = 0; i < 300; i++) { /* 90 MB through three files or so */
        CU_ASSERT_EQUAL_FATAL(book_append(b, log, 300000 + i, i, &err), QUARTET_OK);
        CU_ASSERT_EQUAL_FATAL(commit_log_sync(log, b->w[i].end, LOG_SYNC_FULL, &err), QUARTET_OK);
        if (i >= 50)
            CU_ASSERT_EQUAL(commit_log_trim(log, b->w[i - 50].at, &err), QUARTET_OK);
    }
    CU_ASSERT_TRUE(commit_log_bytes(log) <= 3u * LOG_SEGMENT_BYTES);
    enum log_type type;
    log_pos end;
    CU_ASSERT_EQUAL(commit_log_read(log, b->w[0].at, &type, &out, &end, &err), QUARTET_NOTFOUND);
    CU_ASSERT_EQUAL(commit_log_read(log, b->w[260].at, &type, &out, &end, &err), QUARTET_OK);
    commit_log_close(log);
    b->seen = 0;
    CU_ASSERT_EQUAL_FATAL(commit_log_open(&f.env, "/d", false, &log, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(commit_log_replay(log, 0, count_each, b, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(b->seen, 300);
    CU_ASSERT_FALSE(b->wrong);
    commit_log_close(log);
    b->seen = 280; /* from a checkpoint's position */
    CU_ASSERT_EQUAL_FATAL(commit_log_open(&f.env, "/d", false, &log, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(commit_log_replay(log, b->w[280].at, book_each, b, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(b->seen, 300);
    CU_ASSERT_FALSE(b->wrong);
    commit_log_close(log);
    CU_ASSERT_EQUAL_FATAL(commit_log_open(&f.env, "/d", false, &log, &err), QUARTET_OK);
    CU_ASSERT_EQUAL(commit_log_replay(log, b->w[0].at, book_each, b, &err), QUARTET_CORRUPT);
    commit_log_close(log);
    buf_deinit(&out);
    fault_env_deinit(&f);
    book_free(b);
}

static void test_commit_log_missing_segment_is_damage(void)
{
    struct fault_env f;
    struct err err = ERR_INIT;
    struct book *b = book_new();
    commit_log *log = NULL;
    fault_env_init(&f, 1);
    CU_ASSERT_EQUAL_FATAL(reopen(&f, b, &log, &err), QUARTET_OK);
    for (uint32_t i = 0; i < 9; i++) {
        CU_ASSERT_EQUAL_FATAL(book_append(b, log, 5000000, i, &err), QUARTET_OK);
        CU_ASSERT_EQUAL_FATAL(commit_log_sync(log, b->w[i].end, LOG_SYNC_FULL, &err), QUARTET_OK);
    }
    commit_log_close(log);
    CU_ASSERT_EQUAL(f.env.ops->unlink(&f.env, "/d/log/00000002", &err), QUARTET_OK);
    CU_ASSERT_EQUAL(reopen(&f, b, &log, &err), QUARTET_CORRUPT);
    fault_env_deinit(&f);
    book_free(b);
}

struct worker {
    commit_log *log;
    pthread_mutex_t *order;
    uint32_t number, commits;
    bool failed;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    struct err err = ERR_INIT;
    for (uint32_t i = 0; i < w->commits; i++) {
        uint8_t text[8];
        store_le32(text, w->number);
        store_le32(text + 4, i);
        struct slice part = slice_of(text, 8);
        log_pos at, end;
        pthread_mutex_lock(w->order);
        quartet_status rc = commit_log_append(w->log, LOG_LOCAL, &part, 1, &at, &end, &err);
        pthread_mutex_unlock(w->order);
        if (rc == QUARTET_OK)
            rc = commit_log_sync(w->log, end, i % 5 == 0 ? LOG_SYNC_NORMAL : LOG_SYNC_FULL, &err);
        struct buf back = {0};
        enum log_type type;
        if (rc == QUARTET_OK && i % 16 == 0)
            rc = commit_log_read(w->log, at, &type, &back, &end, &err);
        w->failed = w->failed || rc != QUARTET_OK || (back.len != 0 && memcmp(back.data, text, 8) != 0);
        buf_deinit(&back);
    }
    return NULL;
}

struct tally {
    uint32_t next[8];
    bool wrong;
};

static quartet_status tally_each(void *arg, const struct log_record *r, struct err *err)
{
    struct tally *t = arg;
    (void)err;
    uint32_t who = load_le32(r->payload.p);
    t->wrong = t->wrong || r->payload.n != 8 || who >= 8 || load_le32(r->payload.p + 4) != t->next[who];
    t->next[who % 8]++;
    return QUARTET_OK;
}

static void test_commit_log_threads_share_syncs(void)
{
    struct fault_env f;
    struct err err = ERR_INIT;
    struct tally tally = {0};
    commit_log *log = NULL;
    pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
    pthread_t threads[8];
    struct worker workers[8];
    fault_env_init(&f, 1);
    f.env.threads = true;
    CU_ASSERT_EQUAL_FATAL(commit_log_open(&f.env, "/d", false, &log, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(commit_log_replay(log, 0, tally_each, &tally, &err), QUARTET_OK);
    for (uint32_t i = 0; i < 8; i++) {
        workers[i] = (struct worker){.log = log, .order = &order, .number = i, .commits = 500};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        CU_ASSERT_FALSE(workers[i].failed);
    }
    commit_log_close(log);
    CU_ASSERT_EQUAL_FATAL(commit_log_open(&f.env, "/d", false, &log, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(commit_log_replay(log, 0, tally_each, &tally, &err), QUARTET_OK);
    CU_ASSERT_FALSE(tally.wrong);
    for (uint32_t i = 0; i < 8; i++)
        CU_ASSERT_EQUAL(tally.next[i], 500);
    commit_log_close(log);
    fault_env_deinit(&f);
}

/* Whoever waits when a sync fails is told so, and nobody sleeps on. */
static void test_commit_log_threads_all_learn_of_a_failed_sync(void)
{
    for (uint32_t n = 1; n <= 6; n++) {
        struct fault_env f;
        struct err err = ERR_INIT;
        struct tally tally = {0};
        commit_log *log = NULL;
        pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
        pthread_t threads[8];
        struct worker workers[8];
        fault_env_init(&f, n);
        f.env.threads = true;
        CU_ASSERT_EQUAL_FATAL(commit_log_open(&f.env, "/d", false, &log, &err), QUARTET_OK);
        CU_ASSERT_EQUAL_FATAL(commit_log_replay(log, 0, tally_each, &tally, &err), QUARTET_OK);
        f.fail_sync_at = 20 * n;
        for (uint32_t i = 0; i < 8; i++) {
            workers[i] = (struct worker){.log = log, .order = &order, .number = i, .commits = 200};
            CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
        }
        uint32_t failed = 0;
        for (uint32_t i = 0; i < 8; i++) {
            pthread_join(threads[i], NULL);
            failed += workers[i].failed;
        }
        CU_ASSERT_EQUAL(f.fail_sync_at, 0);
        CU_ASSERT_EQUAL(failed, 8);
        commit_log_close(log);
        fault_env_deinit(&f);
    }
}

/* A disk whose syncs seem to take long: who looks at the clock right after one finds it far ahead. */
#define SLOW_SYNC_NS 300000000u
static atomic_uint_fast64_t slow_syncs;
static const struct env_ops *slow_under;
static _Thread_local bool slow_synced;
static pthread_barrier_t slow_start; /* else the first would be done before the last is there */

static uint64_t slow_mono_ns(struct env *env)
{
    (void)env; /* the table's signature */
    uint64_t now = env_posix()->ops->mono_ns(env_posix()) + (slow_synced ? SLOW_SYNC_NS : 0);
    slow_synced = false;
    return now;
}

static quartet_status slow_sync(struct file *file, struct err *err)
{
    sched_yield(); /* so that others come meanwhile */
    atomic_fetch_add(&slow_syncs, 1u);
    slow_synced = true;
    return slow_under->sync(file, err);
}

static void *commit_full(void *arg)
{
    struct worker *w = arg;
    struct err err = ERR_INIT;
    (void)pthread_barrier_wait(&slow_start); /* tells one of them that it is the one */
    for (uint32_t i = 0; i < w->commits && !w->failed; i++) {
        uint8_t text[8];
        store_le32(text, w->number);
        store_le32(text + 4, i);
        struct slice part = slice_of(text, 8);
        log_pos at, end;
        pthread_mutex_lock(w->order);
        quartet_status rc = commit_log_append(w->log, LOG_LOCAL, &part, 1, &at, &end, &err);
        pthread_mutex_unlock(w->order);
        if (rc == QUARTET_OK)
            rc = commit_log_sync(w->log, end, LOG_SYNC_FULL, &err);
        w->failed = rc != QUARTET_OK || commit_log_synced(w->log) < end;
    }
    return NULL;
}

/* Eight sessions commit 200 times each: how many syncs did that take? */
static uint64_t syncs_of_eight(void)
{
    struct fault_env f;
    struct err err = ERR_INIT;
    struct tally tally = {0};
    commit_log *log = NULL;
    pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
    pthread_t threads[8];
    struct worker workers[8];
    fault_env_init(&f, 1);
    f.env.threads = true;
    struct env_ops slow = *f.env.ops;
    slow_under = f.env.ops;
    slow.mono_ns = slow_mono_ns;
    slow.sync = slow_sync;
    f.env.ops = &slow;
    CU_ASSERT_EQUAL_FATAL(commit_log_open(&f.env, "/d", false, &log, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(commit_log_replay(log, 0, tally_each, &tally, &err), QUARTET_OK);
    slow_syncs = 0;
    CU_ASSERT_EQUAL_FATAL(pthread_barrier_init(&slow_start, NULL, 8), 0);
    for (uint32_t i = 0; i < 8; i++) {
        workers[i] = (struct worker){.log = log, .order = &order, .number = i, .commits = 200};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, commit_full, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        CU_ASSERT_FALSE(workers[i].failed);
    }
    pthread_barrier_destroy(&slow_start);
    commit_log_close(log);
    fault_env_deinit(&f);
    return slow_syncs;
}

/* Who was let go by one sync is back before the next begins: else two halves of the sessions would take turns, each waiting for two syncs a commit. A thread that
 * the system lets wait for long makes the others give up on it for a while, so not every try need show it. */
static void test_commit_log_a_round_waits_for_those_of_the_last(void)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 6 && least >= 300; i++) {
        uint64_t n = syncs_of_eight();
        least = n < least ? n : least;
    }
    CU_ASSERT_TRUE(least < 300);
}

/* What each level promises: FULL survives the loss of power, NORMAL the end of the process, OFF nothing but a close. */
static void test_commit_log_levels_keep_what_they_promise(void)
{
    struct prng r;
    prng_seed(&r, unit_seed(5));
    uint32_t lost_power = 0, lost_kill = 0;
    for (uint32_t n = 0; n < 120; n++) {
        struct fault_env f;
        struct err err = ERR_INIT;
        struct book *b = book_new();
        commit_log *log = NULL;
        fault_env_init(&f, n + unit_seed(5));
        CU_ASSERT_EQUAL_FATAL(reopen(&f, b, &log, &err), QUARTET_OK);
        uint32_t full = 0, normal = 0, count = 1 + (uint32_t)prng_below(&r, 200);
        for (uint32_t i = 0; i < count; i++) {
            enum log_sync_mode mode = (enum log_sync_mode)(prng_below(&r, 40) == 0 ? LOG_SYNC_FULL : prng_below(&r, 4) == 0 ? LOG_SYNC_NORMAL : LOG_SYNC_OFF);
            CU_ASSERT_EQUAL_FATAL(book_append(b, log, random_size(&r) / 16, i, &err), QUARTET_OK);
            CU_ASSERT_EQUAL_FATAL(commit_log_sync(log, b->w[i].end, mode, &err), QUARTET_OK);
            if (mode != LOG_SYNC_OFF)
                normal = b->count;
            if (mode == LOG_SYNC_FULL)
                full = b->count;
        }
        bool killed = n % 2 == 0; /* else the power went */
        fault_env_die(&f);
        commit_log_close(log);
        fault_env_restart(&f, killed);
        CU_ASSERT_EQUAL_FATAL(reopen(&f, b, &log, &err), QUARTET_OK);
        CU_ASSERT_FALSE(b->wrong);
        CU_ASSERT_TRUE(b->seen >= (killed ? normal : full));
        lost_kill += killed && b->seen < b->count;
        lost_power += !killed && b->seen < normal;
        commit_log_close(log);
        fault_env_deinit(&f);
        book_free(b);
    }
    CU_ASSERT_TRUE(lost_kill > 0 && lost_power > 0); /* otherwise this test would show nothing */
}

static void test_commit_log_survives_failed_allocations(void)
{
    for (uint64_t n = 1; n < 60; n++) {
        struct fault_env f;
        struct err err = ERR_INIT;
        struct book *b = book_new();
        commit_log *log = NULL;
        fault_env_init(&f, 1);
        small_log(&f, b, 3, 30);
        uint32_t acknowledged = b->count;
        mem_fail_at(n, false);
        quartet_status rc = reopen(&f, b, &log, &err);
        if (rc == QUARTET_OK) {
            rc = book_append(b, log, 3000, 1, &err);
            if (rc == QUARTET_OK)
                rc = commit_log_sync(log, b->w[b->count - 1].end, LOG_SYNC_FULL, &err);
        }
        uint64_t hits = mem_fail_hits();
        mem_fail_at(0, false);
        if (hits == 0)
            CU_ASSERT_EQUAL(rc, QUARTET_OK);
        commit_log_close(log);
        b->wrong = false;
        CU_ASSERT_EQUAL_FATAL(reopen(&f, b, &log, &err), QUARTET_OK);
        CU_ASSERT_TRUE(b->seen >= acknowledged && (rc != QUARTET_OK || b->seen == b->count));
        CU_ASSERT_FALSE(b->wrong);
        commit_log_close(log);
        fault_env_deinit(&f);
        book_free(b);
    }
}

static void test_commit_log_memory_mode(void)
{
    struct err err = ERR_INIT;
    struct book *b = book_new();
    struct buf out = {0};
    commit_log *log = NULL;
    CU_ASSERT_EQUAL_FATAL(commit_log_open(env_posix(), NULL, true, &log, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(commit_log_replay(log, 0, book_each, b, &err), QUARTET_OK);
    for (uint32_t i = 0; i < 300; i++) {
        CU_ASSERT_EQUAL_FATAL(book_append(b, log, i * 37, i, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(commit_log_sync(log, b->w[i].end, LOG_SYNC_FULL, &err), QUARTET_OK);
        CU_ASSERT_EQUAL(commit_log_synced(log), b->w[i].end);
    }
    CU_ASSERT_EQUAL(commit_log_trim(log, b->w[250].at, &err), QUARTET_OK);
    enum log_type type;
    log_pos end;
    CU_ASSERT_EQUAL(commit_log_read(log, b->w[1].at, &type, &out, &end, &err), QUARTET_NOTFOUND);
    CU_ASSERT_EQUAL(commit_log_read(log, b->w[250].at, &type, &out, &end, &err), QUARTET_OK);
    payload_make(250, 250, 250 * 37, b->scratch);
    CU_ASSERT_TRUE(out.len == 250 * 37 && memcmp(out.data, b->scratch, out.len) == 0);
    CU_ASSERT_EQUAL(end, b->w[250].end);
    commit_log_close(log);
    buf_deinit(&out);
    book_free(b);
}

const struct unit_test unit_tests[] = {
    {"gives_back_what_was_appended", test_commit_log_gives_back_what_was_appended},
    {"crashes_lose_nothing_acknowledged", test_commit_log_crashes_lose_nothing_acknowledged},
    {"every_cut_of_the_tail_leaves_a_prefix", test_commit_log_every_cut_of_the_tail_leaves_a_prefix},
    {"tells_damage_below_a_mark", test_commit_log_tells_damage_below_a_mark},
    {"read_tells_damage", test_commit_log_read_tells_damage},
    {"failed_writes_and_syncs_break_it", test_commit_log_failed_writes_and_syncs_break_it},
    {"failed_sync_of_zeros_breaks_it", test_commit_log_failed_sync_of_zeros_breaks_it},
    {"full_disk_refuses_and_recovers", test_commit_log_full_disk_refuses_and_recovers},
    {"trim_recycles_segments", test_commit_log_trim_recycles_segments},
    {"missing_segment_is_damage", test_commit_log_missing_segment_is_damage},
    {"threads_share_syncs", test_commit_log_threads_share_syncs},
    {"a_round_waits_for_those_of_the_last", test_commit_log_a_round_waits_for_those_of_the_last},
    {"threads_all_learn_of_a_failed_sync", test_commit_log_threads_all_learn_of_a_failed_sync},
    {"levels_keep_what_they_promise", test_commit_log_levels_keep_what_they_promise},
    {"survives_failed_allocations", test_commit_log_survives_failed_allocations},
    {"memory_mode", test_commit_log_memory_mode},
    {NULL, NULL},
};

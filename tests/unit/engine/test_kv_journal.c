/* test_kv_journal.c - a flush that is cut between two of its slices, after each of them: the next open shows the state that the flush was to bring about, history
 * and all, and finishes it. */
#include "dir_help.h"

#include <string.h>

#include "base/prng.h"
#include "engine/kv_base.h"
#include "engine/kv_journal.h"
#include "engine/kv_past.h"

const char *const unit_suite = "kv_journal";

#define TREE 300u
#define INDEX 301u
#define ROWS 24000u
#define LAYERS 3u

struct layers { /* newest first: a buffer, a run, a buffer */
    kv_buffer *newest, *oldest;
    kv_run *run;
};
struct cut {
    const char *dir;
    struct layers *l;
    int slices; /* to go before it stops; below 0: all */
    struct kv_journal journal;
};

static void key_of(struct buf *out, uint32_t row)
{
    uint8_t be[8];
    store_be64(be, row);
    buf_clear(out);
    buf_put(out, be, sizeof be);
}

/* Bytes that do not compress, so that there are several slices; `tag` says who wrote it. */
static struct slice record_of(struct prng *r, struct buf *out, uint8_t tag)
{
    struct buf text = {0};
    buf_clear(out);
    for (int i = 0; i < 14; i++)
        buf_u64(&text, prng_u64(r));
    struct value v[2] = {value_int(tag), {.type = VALUE_BLOB, .s = slice_of(text.data, text.len)}};
    record_put_simple(out, (struct ver){.stamp = 1000}, v, 2);
    buf_deinit(&text);
    return slice_of(out->data, out->len);
}

/* One entry of every kind that a layer may hold, all over the tree. */
static void fill_buffer(kv_buffer *b, struct prng *r, uint8_t tag, uint64_t stamp)
{
    struct buf key = {0}, record = {0}, past = {0}, entry = {0};
    struct err err = ERR_INIT;
    for (uint32_t i = 0; i < ROWS / 3; i++) {
        uint32_t row = (uint32_t)prng_below(r, ROWS);
        key_of(&key, row);
        struct slice k = slice_of(key.data, key.len);
        bool gone = prng_chance(r, 0.1);
        buf_clear(&past);
        if (!gone && prng_chance(r, 0.7))
            kv_past_put(&past, stamp + prng_below(r, 4), record_of(r, &record, tag));
        struct slice rec = gone ? (struct slice){0} : record_of(r, &record, tag);
        OK(kv_buffer_put_past(b, TREE, k, i + 1, rec, slice_of(past.data, past.len), &err));
        OK(kv_buffer_put(b, INDEX, k, i + 1, gone ? rec : slice_of("", 0), &err));
        if (prng_chance(r, 0.1)) {
            buf_clear(&entry);
            kv_past_key(&entry, k, KV_PAST_LATE, stamp + 2, 1);
            OK(kv_buffer_put(b, kv_past_tree(TREE), slice_of(entry.data, entry.len), i + 1, record_of(r, &record, tag), &err));
        }
    }
    buf_deinit(&key);
    buf_deinit(&record);
    buf_deinit(&past);
    buf_deinit(&entry);
}

static void fill_run(kv_run **out, struct prng *r, uint8_t tag, uint64_t stamp)
{
    struct buf key = {0}, record = {0}, entry = {0};
    struct err err = ERR_INIT;
    kv_run_writer *w = NULL;
    OK(kv_run_writer_new(&(struct kv_run_place){.env = env_posix()}, &w, &err));
    for (uint32_t row = 0; row < ROWS; row += 1 + (uint32_t)prng_below(r, 6)) {
        key_of(&key, row);
        struct slice k = slice_of(key.data, key.len);
        OK(kv_run_put(w, TREE, k, 1, record_of(r, &record, tag), &err));
        OK(kv_run_put(w, INDEX, k, 1, slice_of("", 0), &err));
        buf_clear(&entry);
        kv_past_key(&entry, k, KV_PAST_BEFORE, stamp, 0);
        OK(kv_run_put(w, kv_past_tree(TREE), slice_of(entry.data, entry.len), 1, record_of(r, &record, tag), &err));
    }
    OK(kv_run_finish(w, 0, out, &err));
    buf_deinit(&key);
    buf_deinit(&record);
    buf_deinit(&entry);
}

static void make_base(const char *dir, struct prng *r)
{
    struct kv_options options = {0};
    struct buf stored = {0}, key = {0}, record = {0};
    struct err err = ERR_INIT;
    kv *s = NULL;
    kv_bulk *b = NULL;
    OK(kv_open(env_posix(), dir, &options, NULL, &s, &stored, &err));
    OK(kv_bulk_begin(s, &b, &err));
    for (uint32_t row = 0; row < ROWS; row += 2) {
        key_of(&key, row);
        OK(kv_bulk_put(b, TREE, slice_of(key.data, key.len), record_of(r, &record, 0), &err));
    }
    OK(kv_bulk_commit(b, 1, &err));
    kv_publish(s, 1);
    OK(kv_flush(s, &err));
    kv_close(s);
    buf_deinit(&stored);
    buf_deinit(&key);
    buf_deinit(&record);
}

static void walks_of(struct layers *l, struct kv_walk *walks)
{
    memset(walks, 0, LAYERS * sizeof *walks);
    kv_walk_set_buffer(&walks[0], l->newest, UINT64_MAX, false);
    kv_walk_set_run(&walks[1], l->run, &(struct kv_sight){.through = UINT64_MAX});
    kv_walk_set_buffer(&walks[2], l->oldest, UINT64_MAX, false);
}

static void walks_end(struct kv_walk *walks)
{
    for (uint32_t i = 0; i < LAYERS; i++)
        kv_walk_deinit(&walks[i]);
}

static const uint8_t after[] = {KV_FLUSH_WHOLE, 'a', 'f', 't', 'e', 'r'};

static quartet_status journal(void *arg, struct buf *mark, struct err *err)
{
    struct cut *c = arg;
    struct kv_walk walks[2 * LAYERS];
    walks_of(c->l, walks);
    walks_of(c->l, walks + LAYERS);
    struct kv_journal_of of = {.walks = walks, .again = walks + LAYERS, .count = LAYERS, .past_from = 3, .checkpoint = slice_of(after, sizeof after)};
    quartet_status rc = kv_journal_write(env_posix(), c->dir, &of, &c->journal, err);
    walks_end(walks);
    walks_end(walks + LAYERS);
    kv_journal_mark(&c->journal, mark);
    return rc;
}

static bool stop(void *arg)
{
    return ((struct cut *)arg)->slices-- == 0;
}

/* Merge the layers; false: it ended before it was stopped. */
static bool merge(struct cut *c)
{
    struct kv_walk walks[LAYERS];
    struct kv_base *base = NULL;
    struct err err = ERR_INIT;
    OK(kv_lmdb_open(env_posix(), c->dir, &base, &err));
    walks_of(c->l, walks);
    struct kv_merge_how how = {.checkpoint = slice_of(after, sizeof after), .torn = journal, .stop = stop, .arg = c, .past_from = 3};
    quartet_status rc = kv_merge_layers(base, walks, LAYERS, &how, &err);
    CU_ASSERT(rc == QUARTET_OK || rc == QUARTET_INTERRUPTED);
    walks_end(walks);
    kv_base_unref(base);
    return rc == QUARTET_INTERRUPTED;
}

static void put_slice(struct buf *out, struct slice s)
{
    buf_varint(out, s.n);
    buf_put(out, s.p, s.n);
}

static void dump_tree(kv_snap *snap, tree_id tree, struct buf *out)
{
    struct kv_want want = {.keys = true, .records = true, .dead = true};
    struct kv_range all = {.hi_open = true};
    struct kv_rows rows;
    struct err err = ERR_INIT;
    kv_iter *it = NULL;
    OK(kv_iter_open(snap, NULL, tree, &all, &want, &it, &err));
    for (;;) {
        OK(kv_iter_next(it, 0, &rows, &err));
        if (rows.n == 0)
            break;
        for (uint32_t i = 0; i < rows.n; i++) {
            put_slice(out, rows.keys[i]);
            put_slice(out, rows.records[i]);
        }
    }
    kv_iter_close(it);
}

/* All that the directory holds, its checkpoint too; with `flush` once everything is in the base. */
static void dump(const char *dir, bool flush, bool *torn, struct buf *out)
{
    static const tree_id trees[] = {TREE, INDEX, (tree_id)TREE | KV_PAST_TREE};
    struct kv_options options = {0};
    struct env env = *env_posix();
    struct err err = ERR_INIT;
    kv *s = NULL;
    kv_snap *snap = NULL;
    uint64_t flushed = 0;
    env.threads = flush;
    buf_clear(out);
    OK(kv_open(&env, dir, &options, NULL, &s, out, &err));
    *torn = kv_torn(s);
    if (*torn && flush) /* by the flusher, from the journal */
        OK(kv_wait_flushed(s, flushed + 1, &err));
    OK(kv_snapshot(s, 0, &snap, &err));
    for (size_t i = 0; i < 3; i++)
        dump_tree(snap, trees[i], out);
    kv_release(snap);
    kv_close(s);
}

static size_t count_journals(const char *dir)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += strncmp(e->d_name, KV_JOURNAL_PREFIX, strlen(KV_JOURNAL_PREFIX)) == 0;
    closedir(d);
    return n;
}

static void begin(uint64_t seed, char base[64], struct layers *l)
{
    struct prng r;
    env_posix_set_log(4, false); /* that a flush was cut is what this is about */
    prng_seed(&r, seed);
    new_dir(base);
    make_base(base, &r);
    *l = (struct layers){.newest = kv_buffer_new(), .oldest = kv_buffer_new()};
    fill_buffer(l->oldest, &r, 1, 2); /* some below what is kept */
    fill_run(&l->run, &r, 2, 5);
    fill_buffer(l->newest, &r, 3, 6);
}

static void end(char base[64], struct layers *l)
{
    kv_buffer_free(l->newest);
    kv_buffer_free(l->oldest);
    kv_run_free(l->run);
    walk_dir(base, NULL);
}

static void test_kv_journal_finishes_what_was_cut_after_any_slice(void)
{
    char base[64], dir[64];
    struct layers l;
    struct buf want = {0}, got = {0};
    bool torn;
    begin(unit_seed(1), base, &l);
    new_dir(dir);
    walk_dir(base, dir);
    CU_ASSERT_FALSE(merge(&(struct cut){.dir = dir, .l = &l, .slices = -1}));
    dump(dir, false, &torn, &want);
    CU_ASSERT_FALSE(torn);
    CU_ASSERT_EQUAL(count_journals(dir), 0); /* opening removes those that nobody needs */
    walk_dir(dir, NULL);
    int slices = 1;
    for (bool cut = true; cut && CU_get_number_of_failures() == 0; slices++) {
        new_dir(dir);
        walk_dir(base, dir);
        cut = merge(&(struct cut){.dir = dir, .l = &l, .slices = slices});
        for (int again = 0; again < 3; again++) { /* opened and closed as it is; then finished; then whole */
            dump(dir, again == 1, &torn, &got);
            CU_ASSERT_EQUAL(torn, cut && again < 2);
            CU_ASSERT_EQUAL(count_journals(dir), cut && again == 0);
            CU_ASSERT(slice_eq(slice_of(got.data, got.len), slice_of(want.data, want.len)));
        }
        walk_dir(dir, NULL);
    }
    CU_ASSERT(slices > 5);
    end(base, &l);
    buf_deinit(&want);
    buf_deinit(&got);
}

/* A newer transaction made an entry of history whole: that counts, though the older one lies beside its row. */
static void test_kv_journal_newer_run_tells_the_past(void)
{
    struct layers l = {.newest = kv_buffer_new(), .oldest = kv_buffer_new()};
    struct prng r;
    struct buf key = {0}, entry = {0}, partial = {0}, whole = {0}, past = {0}, got = {0}, stored = {0};
    struct err err = ERR_INIT;
    struct kv_options options = {0};
    char dir[64];
    kv_run_writer *w = NULL;
    kv *s = NULL;
    kv_snap *snap = NULL;
    prng_seed(&r, 1);
    new_dir(dir);
    key_of(&key, 7);
    struct slice k = slice_of(key.data, key.len);
    kv_past_put(&past, 9, record_of(&r, &partial, 1));
    OK(kv_buffer_put_past(l.oldest, TREE, k, 1, record_of(&r, &got, 1), slice_of(past.data, past.len), &err));
    OK(kv_run_writer_new(&(struct kv_run_place){.env = env_posix()}, &w, &err));
    OK(kv_run_put(w, TREE, k, 2, record_of(&r, &got, 2), &err));
    kv_past_key(&entry, k, KV_PAST_BEFORE, 9, 0);
    OK(kv_run_put(w, kv_past_tree(TREE), slice_of(entry.data, entry.len), 2, record_of(&r, &whole, 2), &err));
    OK(kv_run_finish(w, 0, &l.run, &err));
    CU_ASSERT_FALSE(merge(&(struct cut){.dir = dir, .l = &l, .slices = -1}));
    OK(kv_open(env_posix(), dir, &options, NULL, &s, &stored, &err));
    OK(kv_snapshot(s, 0, &snap, &err));
    buf_clear(&got);
    OK(kv_get(snap, NULL, kv_past_tree(TREE), slice_of(entry.data, entry.len), &got, &err));
    CU_ASSERT(slice_eq(slice_of(got.data, got.len), slice_of(whole.data, whole.len)));
    kv_release(snap);
    kv_close(s);
    end(dir, &l);
    struct buf *all[] = {&key, &entry, &partial, &whole, &past, &got, &stored};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buf_deinit(all[i]);
}

static quartet_status open_again(const char *dir, struct err *err)
{
    struct kv_options options = {0};
    struct buf stored = {0};
    struct env env = *env_posix();
    kv *s = NULL;
    env.threads = false;
    *err = ERR_INIT;
    quartet_status rc = kv_open(&env, dir, &options, NULL, &s, &stored, err);
    kv_close(s);
    buf_deinit(&stored);
    return rc;
}

static void test_kv_journal_damage_is_told(void)
{
    char base[64], dir[64], path[512], name[64];
    struct layers l;
    struct err err = ERR_INIT;
    struct prng r;
    struct stat st;
    begin(unit_seed(2), base, &l);
    new_dir(dir);
    walk_dir(base, dir);
    struct cut c = {.dir = dir, .l = &l, .slices = 2};
    CU_ASSERT_FATAL(merge(&c));
    snprintf(name, sizeof name, KV_JOURNAL_PREFIX "%016llx", (unsigned long long)c.journal.id);
    path_of(path, sizeof path, dir, name);
    CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
    prng_seed(&r, unit_seed(3));
    for (int i = 0; i < 40; i++) {
        long at = i < 4 ? (long)st.st_size - 1 - i * 9 : i < 28 ? i - 4 : (long)prng_below(&r, (uint64_t)st.st_size);
        FILE *f = fopen(path, "r+b");
        CU_ASSERT_PTR_NOT_NULL_FATAL(f);
        int bit = 1 << prng_below(&r, 8);
        fseek(f, at, SEEK_SET);
        int byte = fgetc(f);
        fseek(f, at, SEEK_SET);
        fputc(byte ^ bit, f);
        fflush(f);
        quartet_status rc = open_again(dir, &err);
        if (rc != QUARTET_CORRUPT || strstr(err.text, name) == NULL)
            printf("\nbyte %ld: %s\n", at, err.text);
        CU_ASSERT_EQUAL(rc, QUARTET_CORRUPT);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, name));
        fseek(f, at, SEEK_SET);
        fputc(byte, f);
        fclose(f);
    }
    OK(open_again(dir, &err));
    CU_ASSERT_EQUAL(truncate(path, st.st_size - 1), 0);
    CU_ASSERT_EQUAL(open_again(dir, &err), QUARTET_CORRUPT);
    CU_ASSERT_EQUAL(truncate(path, st.st_size / 2), 0);
    CU_ASSERT_EQUAL(open_again(dir, &err), QUARTET_CORRUPT);
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(open_again(dir, &err), QUARTET_CORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, name));
    walk_dir(dir, NULL);
    end(base, &l);
}

static void test_kv_journal_left_over_files_go(void)
{
    static const char *const names[] = {"flush-0123456789abcdef", "run-0123456789abcdef"};
    char dir[64], path[512];
    struct err err = ERR_INIT;
    new_dir(dir);
    for (size_t i = 0; i < 2; i++) {
        path_of(path, sizeof path, dir, names[i]);
        FILE *f = fopen(path, "wb");
        CU_ASSERT_PTR_NOT_NULL_FATAL(f);
        fclose(f);
    }
    OK(open_again(dir, &err));
    for (size_t i = 0; i < 2; i++) {
        path_of(path, sizeof path, dir, names[i]);
        CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
    }
    walk_dir(dir, NULL);
}

const struct unit_test unit_tests[] = {
    {"finishes what was cut after any slice", test_kv_journal_finishes_what_was_cut_after_any_slice},
    {"a newer run tells the past", test_kv_journal_newer_run_tells_the_past},
    {"damage is told", test_kv_journal_damage_is_told},
    {"left-over files go", test_kv_journal_left_over_files_go},
    {NULL, NULL},
};

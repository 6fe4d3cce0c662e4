/* test_delta.c - deltas: what is written is read, and what is damaged is refused before anything is taken over. */
#include "unit/cunit.h"

#include "base/mem.h"
#include "crdt/delta_codec.h"
#include "unit/crdt/gen.h"

#include <msgpack/pack.h>
#include <stdio.h>

const char *const unit_suite = "delta";

#define ROWS_MAX 40u
#define COLUMNS_MAX 6u
#define LIVES_MAX 3u

struct sample_row {
    uint64_t table;
    uint8_t key[12];
    size_t key_len;
    struct row_op op;
    struct row_write writes[COLUMNS_MAX];
    struct row_birth lives[LIVES_MAX];
    uint8_t room[COLUMNS_MAX][GEN_ROOM_BYTES];
};
static struct sample_row rows[ROWS_MAX]; /* static: one large sample at a time */
static uint32_t row_count;
static const uint32_t COLUMN_IDS[COLUMNS_MAX] = {7, 1, 300, UINT32_MAX, 2, 9};

static struct delta_request whose; /* of the delta made last */

static void random_row(struct prng *r, struct sample_row *s, uint64_t table, uint32_t index)
{
    *s = (struct sample_row){.table = table, .key_len = 5 + (size_t)prng_below(r, 7)};
    s->key[3] = (uint8_t)index; /* ascending */
    s->op.flags = prng_chance(r, 0.2) ? ROW_OP_LIVES : (uint8_t)prng_below(r, 5);
    bool lives = s->op.flags == ROW_OP_LIVES;
    if (s->op.flags != ROW_OP_INSERT && s->op.flags != ROW_OP_ADD_TO && prng_chance(r, 0.3))
        s->op.flags |= ROW_OP_WIN;
    s->op.lives = s->lives;
    s->op.life_count = lives ? 1 + (uint32_t)prng_below(r, LIVES_MAX) : s->op.flags == ROW_OP_ADD_TO;
    for (uint32_t i = 0; i < s->op.life_count; i++) {
        s->lives[i].stamp = prng_u64(r) | 1;
        s->lives[i].chain = (struct chain_id){.slot = (uint8_t)prng_below(r, SLOTS_MAX), .incarnation = prng_u64(r) | 1};
    }
    bool insert = (s->op.flags & ROW_OP_INSERT) != 0;
    s->op.write_count = insert ? COLUMNS_MAX : (uint32_t)prng_below(r, COLUMNS_MAX + 1);
    s->op.writes = s->writes;
    for (uint32_t i = 0; i < s->op.write_count; i++)
        s->writes[i] = (struct row_write){
            .column = i, .op = insert ? ROW_PUT : (uint8_t)prng_below(r, ROW_WRITE_OPS), .value = gen_value(r, s->room[i])};
}

/* A delta of random rows in up to three tables; `out` holds its bytes. */
static void random_delta(struct prng *r, struct chain_table *chains, struct buf *out)
{
    struct err err = ERR_INIT;
    struct vv deps = {0};
    struct delta_writer w;
    uint32_t tables = (uint32_t)prng_below(r, 4);
    chain_no no = 0;
    row_count = 0;
    for (uint32_t i = 0; i < 3; i++) {
        struct chain_id id = {.slot = (uint8_t)i, .incarnation = 77 + i};
        CU_ASSERT_FATAL(chain_intern(chains, id, &no, &err) == QUARTET_OK);
        struct vv_entry e = {.chain = no, .number = prng_u64(r) >> 1 | 1, .stamp = prng_u64(r) | 1, .head = prng_u64(r)};
        CU_ASSERT_FATAL(vv_raise(&deps, e, &err) == QUARTET_OK);
    }
    struct delta_head head = {.number = 12345, .stamp = 1ull << 60, .flags = (uint8_t)prng_below(r, 4), .deps = &deps};
    whose = (struct delta_request){0};
    if ((head.flags & DELTA_MORE) == 0 && prng_chance(r, 0.5)) {
        whose = (struct delta_request){.session = 1 + (prng_u64(r) >> (1 + prng_below(r, 60))), .request = (uint32_t)(prng_u64(r) >> (32 + prng_below(r, 32))),
                                       .gave_rows = prng_chance(r, 0.5), .affected = (int64_t)prng_u64(r) >> prng_below(r, 64), .last_insert_id = (int64_t)prng_u64(r)};
        whose.session &= INT64_MAX;
        whose.session += whose.session == 0;
        head.request = &whose;
        head.flags |= DELTA_REQUEST;
    }
    delta_begin(&w, out, chains, &head);
    for (uint32_t t = 0; t < tables; t++) {
        delta_table(&w, 100 + t, COLUMN_IDS, COLUMNS_MAX);
        uint32_t n = (uint32_t)prng_below(r, 12);
        for (uint32_t i = 0; i < n; i++) {
            struct sample_row *s = &rows[row_count++];
            random_row(r, s, 100 + t, i);
            delta_row(&w, slice_of(s->key, s->key_len), &s->op);
        }
    }
    delta_end(&w);
    CU_ASSERT_FATAL(!out->failed);
    vv_deinit(&deps);
}

static bool same_row(const struct sample_row *s, uint64_t table, struct slice key, const struct row_op *op)
{
    if (s->table != table || !slice_eq(key, slice_of(s->key, s->key_len)) || op->flags != s->op.flags ||
        op->life_count != s->op.life_count || op->write_count != s->op.write_count)
        return false;
    for (uint32_t i = 0; i < op->life_count; i++)
        if (op->lives[i].stamp != s->lives[i].stamp || chain_id_cmp(op->lives[i].chain, s->lives[i].chain) != 0)
            return false;
    for (uint32_t i = 0; i < op->write_count; i++)
        if (op->writes[i].column != s->writes[i].column || op->writes[i].op != s->writes[i].op ||
            !value_identical(&op->writes[i].value, &s->writes[i].value))
            return false;
    return true;
}

/* Read all; every `skip`th table's rows are left out (0: none). How many rows were as written; UINT32_MAX on failure. */
static uint32_t read_all(struct delta_reader *d, uint32_t skip, struct arena *a)
{
    struct err err = ERR_INIT;
    uint32_t at = 0, same = 0, table = 0;
    for (bool more = true;;) {
        struct slice key;
        struct row_op op;
        if (delta_next_table(d, a, &more, &err) != QUARTET_OK)
            return UINT32_MAX;
        if (!more)
            return same;
        table++;
        if (d->column_count != COLUMNS_MAX || memcmp(d->column_ids, COLUMN_IDS, sizeof COLUMN_IDS) != 0)
            return UINT32_MAX;
        while (at < row_count && rows[at].table < d->table_id)
            at++;
        if (skip != 0 && table % skip == 0)
            continue;
        while (delta_next_row(d, a, &key, &op, &more, &err) == QUARTET_OK && more)
            same += at < row_count && same_row(&rows[at++], d->table_id, key, &op);
    }
}

static void test_delta_round_trips(void)
{
    struct prng r;
    struct arena a = {0};
    struct err err = ERR_INIT;
    prng_seed(&r, unit_seed(41));
    for (int i = 0; i < 5000; i++) {
        struct chain_table chains = {0}, theirs = {0};
        struct buf out = {0};
        struct delta_reader d;
        random_delta(&r, &chains, &out);
        CU_ASSERT_FATAL(delta_open(&d, slice_of(out.data, out.len), &theirs, &err) == QUARTET_OK);
        CU_ASSERT_FATAL(d.number == 12345 && d.stamp == 1ull << 60 && d.deps.count == 3);
        CU_ASSERT_FATAL(((d.flags & DELTA_REQUEST) != 0) == (whose.session > 0) && d.request.session == whose.session && d.request.request == whose.request &&
                        d.request.gave_rows == whose.gave_rows && d.request.affected == whose.affected && d.request.last_insert_id == whose.last_insert_id);
        CU_ASSERT_FATAL(read_all(&d, 0, &a) == row_count);
        delta_close(&d);
        CU_ASSERT_FATAL(delta_open(&d, slice_of(out.data, out.len), &theirs, &err) == QUARTET_OK);
        CU_ASSERT_FATAL(read_all(&d, 2, &a) != UINT32_MAX);
        delta_close(&d);
        buf_deinit(&out);
        chain_table_deinit(&chains);
        chain_table_deinit(&theirs);
        arena_free_all(&a);
    }
}

static void test_delta_open_refuses_truncation_at_each_length(void)
{
    struct prng r;
    struct chain_table chains = {0};
    struct err err = ERR_INIT;
    prng_seed(&r, unit_seed(42));
    for (int i = 0; i < 30; i++) {
        struct buf out = {0};
        struct delta_reader d;
        random_delta(&r, &chains, &out);
        for (size_t n = 0; n < out.len; n++)
            CU_ASSERT_FATAL(delta_open(&d, slice_of(out.data, n), &chains, &err) == QUARTET_CORRUPT);
        buf_u8(&out, 0);
        CU_ASSERT_FATAL(delta_open(&d, slice_of(out.data, out.len), &chains, &err) == QUARTET_CORRUPT);
        buf_deinit(&out);
    }
    chain_table_deinit(&chains);
}

/* Whatever delta_open takes can be read to the end. */
static void test_delta_open_stands_damage(void)
{
    struct prng r;
    struct chain_table chains = {0};
    struct arena a = {0};
    struct err err = ERR_INIT;
    int taken = 0;
    prng_seed(&r, unit_seed(43));
    for (int i = 0; i < 2000; i++) {
        struct buf out = {0};
        random_delta(&r, &chains, &out);
        for (int k = 0; k < 30; k++) {
            struct delta_reader d;
            size_t at = (size_t)prng_below(&r, out.len);
            uint8_t was = out.data[at];
            out.data[at] = (uint8_t)(prng_chance(&r, 0.5) ? prng_u64(&r) : was ^ 1u << prng_below(&r, 8));
            quartet_status rc = delta_open(&d, slice_of(out.data, out.len), &chains, &err);
            CU_ASSERT_FATAL(rc == QUARTET_OK || rc == QUARTET_CORRUPT);
            if (rc == QUARTET_OK) {
                (void)read_all(&d, 0, &a);
                taken++;
                delta_close(&d);
            }
            out.data[at] = was;
            arena_free_all(&a);
        }
        buf_deinit(&out);
    }
    CU_ASSERT(taken > 100);
    chain_table_deinit(&chains);
}

static void check_refused(const char *what, const uint8_t *p, size_t n)
{
    struct chain_table chains = {0};
    struct err err = ERR_INIT;
    struct delta_reader d;
    quartet_status rc = delta_open(&d, slice_of(p, n), &chains, &err);
    if (rc != QUARTET_CORRUPT)
        printf("taken: %s\n", what);
    CU_ASSERT(rc == QUARTET_CORRUPT);
    CU_ASSERT_EQUAL(chains.count, 0);
    chain_table_deinit(&chains);
}
#define REFUSED(what, ...) check_refused(what, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void test_delta_open_refuses_hostile_bytes(void)
{
    REFUSED("huge array", 0xdd, 0xff, 0xff, 0xff, 0xff);
    REFUSED("another version", 0x96, 3, 1, 1, 0, 0x90, 0x90);
    REFUSED("number 0", 0x96, 4, 0, 1, 0, 0x90, 0x90);
    REFUSED("stamp 0", 0x96, 4, 1, 0, 0, 0x90, 0x90);
    REFUSED("flags", 0x96, 4, 1, 1, 8, 0x90, 0x90);
    REFUSED("a request that is not there", 0x96, 4, 1, 1, 4, 0x90, 0x90);
    REFUSED("a request that the flags do not tell of", 0x97, 4, 1, 1, 0, 0x90, 0x90, 0x95, 1, 1, 0, 1, 0);
    REFUSED("a request before the last chunk", 0x97, 4, 1, 1, 5, 0x90, 0x90, 0x95, 1, 1, 0, 1, 0);
    REFUSED("session 0", 0x97, 4, 1, 1, 4, 0x90, 0x90, 0x95, 0, 1, 0, 1, 0);
    REFUSED("a request of more than 32 bits", 0x97, 4, 1, 1, 4, 0x90, 0x90, 0x95, 1, 0xcf, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0);
    REFUSED("rows neither given nor not", 0x97, 4, 1, 1, 4, 0x90, 0x90, 0x95, 1, 1, 2, 1, 0);
    REFUSED("a count that is text", 0x97, 4, 1, 1, 4, 0x90, 0x90, 0x95, 1, 1, 0, 0xa1, 0x61, 0);
    REFUSED("many deps", 0x96, 4, 1, 1, 0, 0xdd, 0x7f, 0xff, 0xff, 0xff);
    REFUSED("slot 4", 0x96, 4, 1, 1, 0, 0x91, 0x95, 4, 1, 1, 1, 0, 0x90);
    REFUSED("no incarnation", 0x96, 4, 1, 1, 0, 0x91, 0x95, 0, 0, 1, 1, 0, 0x90);
    REFUSED("many tables", 0x96, 4, 1, 1, 0, 0x90, 0xdd, 0, 0, 0, 9);
    REFUSED("many rows", 0x96, 4, 1, 1, 0, 0x90, 0x91, 0x93, 5, 0x90, 0xdd, 0xff, 0xff, 0xff, 0xff);
    REFUSED("column past the list", 0x96, 4, 1, 1, 0, 0x90, 0x91, 0x93, 5, 0x91, 7, 0x91, 0x94, 0xc4, 0, 0, 4, 1);
    REFUSED("an unknown kind of write", 0x96, 4, 1, 1, 0, 0x90, 0x91, 0x93, 5, 0x91, 7, 0x91, 0x94, 0xc4, 0, 0, 3, 1);
    REFUSED("no lives", 0x96, 4, 1, 1, 0, 0x90, 0x91, 0x93, 5, 0x91, 7, 0x91, 0x95, 0xc4, 0, 8, 0, 0, 1);
    REFUSED("more lives than fields", 0x96, 4, 1, 1, 0, 0x90, 0x91, 0x93, 5, 0x91, 7, 0x91, 0x96, 0xc4, 0, 8, 2, 1, 0, 1);
    REFUSED("lives and an INSERT", 0x96, 4, 1, 1, 0, 0x90, 0x91, 0x93, 5, 0x91, 7, 0x91, 0x97, 0xc4, 0, 10, 1, 1, 0, 1, 1);
    REFUSED("an INSERT that wins", 0x96, 4, 1, 1, 0, 0x90, 0x91, 0x93, 5, 0x91, 7, 0x91, 0x93, 0xc4, 0, 18, 1);
    REFUSED("more flags than there are", 0x96, 4, 1, 1, 0, 0x90, 0x91, 0x93, 5, 0x91, 7, 0x91, 0x92, 0xc4, 0, 32);
    REFUSED("INSERT without its column", 0x96, 4, 1, 1, 0, 0x90, 0x91, 0x93, 5, 0x91, 7, 0x91, 0x92, 0xc4, 0, 2);
    REFUSED("a write without a value", 0x96, 4, 1, 1, 0, 0x90, 0x91, 0x93, 5, 0x91, 7, 0x91, 0x93, 0xc4, 0, 0, 0);
    REFUSED("text that is no UTF-8", 0x96, 4, 1, 1, 0, 0x90, 0x91, 0x93, 5, 0x91, 7, 0x91, 0x93, 0xc4, 0, 2, 0xa1, 0xff);
    REFUSED("NaN", 0x96, 4, 1, 1, 0, 0x90, 0x91, 0x93, 5, 0x91, 7, 0x91, 0x93, 0xc4, 0, 2, 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0);
    REFUSED("float 32", 0x96, 4, 1, 1, 0, 0x90, 0x91, 0x93, 5, 0x91, 7, 0x91, 0x93, 0xc4, 0, 2, 0xca, 0, 0, 0, 0);
    REFUSED("a map", 0x96, 4, 1, 1, 0, 0x90, 0x91, 0x93, 5, 0x91, 7, 0x91, 0x93, 0xc4, 0, 2, 0x80);
    REFUSED("2^63", 0x96, 4, 1, 1, 0, 0x90, 0x91, 0x93, 5, 0x91, 7, 0x91, 0x93, 0xc4, 0, 2, 0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0);
    REFUSED("equal keys", 0x96, 4, 1, 1, 0, 0x90, 0x91, 0x93, 5, 0x90, 0x92, 0x92, 0xc4, 1, 5, 0, 0x92, 0xc4, 1, 5, 0);
    REFUSED("scale 39", 0x96, 4, 1, 1, 0, 0x90, 0x91, 0x93, 5, 0x91, 7, 0x91, 0x93, 0xc4, 0, 2, 0xd5, 6, 39, 1);
    REFUSED("huge text", 0x96, 4, 1, 1, 0, 0x90, 0x91, 0x93, 5, 0x91, 7, 0x91, 0x93, 0xc4, 0, 2, 0xdb, 0xff, 0xff, 0xff, 0xff);
}

static void test_delta_open_takes_the_smallest(void)
{
    static const uint8_t bytes[] = {0x96, 4, 1, 1, 0, 0x90, 0x90};
    struct chain_table chains = {0};
    struct err err = ERR_INIT;
    struct delta_reader d;
    bool more = true;
    struct arena a = {0};
    CU_ASSERT_FATAL(delta_open(&d, slice_of(bytes, sizeof bytes), &chains, &err) == QUARTET_OK);
    CU_ASSERT(delta_next_table(&d, &a, &more, &err) == QUARTET_OK && !more);
    delta_close(&d);
}

static void test_delta_refuses_keys_past_the_limit(void)
{
    for (size_t extra = 0; extra < 2; extra++) {
        struct chain_table chains = {0};
        struct buf out = {0};
        struct delta_writer w;
        struct delta_reader d;
        struct err err = ERR_INIT;
        struct delta_head head = {.number = 1, .stamp = 1};
        struct row_op op = {.flags = ROW_OP_DELETE};
        static uint8_t key[DELTA_KEY_BYTES_MAX + 1];
        delta_begin(&w, &out, &chains, &head);
        delta_table(&w, 1, NULL, 0);
        delta_row(&w, slice_of(key, DELTA_KEY_BYTES_MAX + extra), &op);
        delta_end(&w);
        quartet_status rc = delta_open(&d, slice_of(out.data, out.len), &chains, &err);
        CU_ASSERT(rc == (extra == 0 ? QUARTET_OK : QUARTET_CORRUPT));
        if (rc == QUARTET_OK)
            delta_close(&d);
        buf_deinit(&out);
    }
}

static void test_delta_survives_each_failed_allocation(void)
{
    struct prng r;
    bool done = false;
    prng_seed(&r, unit_seed(44));
    struct chain_table chains = {0};
    struct buf out = {0};
    do {
        buf_clear(&out);
        random_delta(&r, &chains, &out);
    } while (row_count < 5);
    for (uint64_t n = 1; !done && n < 100; n++) {
        struct chain_table theirs = {0};
        struct arena a = {0};
        struct err err = ERR_INIT;
        struct delta_reader d;
        mem_fail_at(n, true);
        quartet_status rc = delta_open(&d, slice_of(out.data, out.len), &theirs, &err);
        uint32_t same = rc == QUARTET_OK ? read_all(&d, 0, &a) : 0;
        done = mem_fail_hits() == 0;
        mem_fail_at(0, false);
        if (done)
            CU_ASSERT_EQUAL(same, row_count);
        CU_ASSERT(rc == QUARTET_OK || rc == QUARTET_NOMEM);
        if (rc == QUARTET_OK)
            delta_close(&d);
        chain_table_deinit(&theirs);
        arena_free_all(&a);
    }
    CU_ASSERT(done);
    buf_deinit(&out);
    chain_table_deinit(&chains);
}

static int append(void *data, const char *p, size_t n)
{
    buf_put(data, p, n);
    return 0;
}

static void pack_ext(msgpack_packer *pk, uint8_t type, const void *p, size_t n)
{
    msgpack_pack_ext_with_body(pk, p, n, (int8_t)type);
}

static void pack_value(msgpack_packer *pk, const struct value *v)
{
    uint8_t raw[17];
    switch (v->type) {
    case VALUE_INTEGER:
        msgpack_pack_int64(pk, v->i);
        return;
    case VALUE_REAL:
        msgpack_pack_double(pk, v->r);
        return;
    case VALUE_TEXT:
        msgpack_pack_str_with_body(pk, v->s.p, v->s.n);
        return;
    case VALUE_BLOB:
        msgpack_pack_bin_with_body(pk, v->s.p, v->s.n);
        return;
    case VALUE_JSON:
        pack_ext(pk, v->type, v->s.p, v->s.n);
        return;
    case VALUE_UUID:
        pack_ext(pk, v->type, v->uuid, sizeof v->uuid);
        return;
    case VALUE_DECIMAL:
        raw[0] = v->scale;
        pack_ext(pk, v->type, raw, 1 + value_dec_bytes(v->dec, raw + 1));
        return;
    case VALUE_NULL:
        msgpack_pack_nil(pk);
        return;
    default:
        store_be64(raw, (uint64_t)v->i);
        pack_ext(pk, v->type, raw, 8);
    }
}

static void test_delta_packs_as_msgpack_does(void)
{
    static const size_t lengths[] = {0, 1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 32, 255, 256, 65535, 65536};
    static uint8_t bytes[65536];
    struct prng r;
    struct buf mine = {0}, theirs = {0};
    msgpack_packer pk;
    msgpack_packer_init(&pk, &theirs, append);
    prng_seed(&r, unit_seed(45));
    for (uint32_t i = 0; i < 20000; i++) {
        uint8_t room[GEN_ROOM_BYTES];
        struct value v = gen_value(&r, room);
        uint64_t n = prng_u64(&r) >> prng_below(&r, 64);
        mp_put_value(&mine, &v);
        pack_value(&pk, &v);
        mp_put_uint(&mine, n);
        msgpack_pack_uint64(&pk, n);
        mp_put_array(&mine, (uint32_t)n);
        msgpack_pack_array(&pk, (uint32_t)n);
    }
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        static const uint8_t types[] = {VALUE_TEXT, VALUE_BLOB, VALUE_JSON};
        for (size_t k = 0; k < 3; k++) {
            struct value v = {.type = types[k], .s = slice_of(bytes, lengths[i])};
            mp_put_value(&mine, &v);
            pack_value(&pk, &v);
        }
    }
    CU_ASSERT(!mine.failed && mine.len == theirs.len && memcmp(mine.data, theirs.data, mine.len) == 0);
    buf_deinit(&mine);
    buf_deinit(&theirs);
}

/* The other way to write an INSERT. */
static void test_delta_insert_writes_what_delta_row_does(void)
{
    struct prng r;
    struct buf one = {0}, two = {0}, values = {0};
    struct chain_table chains = {0};
    struct delta_head head = {.number = 7, .stamp = 9};
    struct delta_writer a, b;
    static uint8_t room[COLUMNS_MAX][GEN_ROOM_BYTES];
    int bad = 0;
    prng_seed(&r, unit_seed(46));
    delta_begin(&a, &one, &chains, &head);
    delta_begin(&b, &two, &chains, &head);
    delta_table(&a, 20, COLUMN_IDS, COLUMNS_MAX);
    delta_table(&b, 20, COLUMN_IDS, COLUMNS_MAX);
    for (uint32_t i = 0; i < 20000; i++) {
        struct row_write writes[COLUMNS_MAX];
        struct row_op op = {.flags = ROW_OP_INSERT, .writes = writes, .write_count = COLUMNS_MAX};
        uint32_t ends[COLUMNS_MAX], want[COLUMNS_MAX];
        uint8_t key[4];
        store_le32(key, i);
        buf_clear(&values);
        for (uint32_t c = 0; c < COLUMNS_MAX; c++) {
            writes[c] = (struct row_write){.column = c, .op = ROW_PUT, .value = gen_value(&r, room[c])};
            value_encode(&values, &writes[c].value);
            want[c] = (uint32_t)values.len;
        }
        delta_row(&a, slice_of(key, sizeof key), &op);
        bad += !delta_insert(&b, slice_of(key, sizeof key), slice_of(values.data, values.len), ends) || memcmp(ends, want, sizeof ends) != 0;
    }
    delta_end(&a);
    delta_end(&b);
    CU_ASSERT_EQUAL(bad, 0);
    CU_ASSERT(!one.failed && one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
    uint32_t ends[COLUMNS_MAX];
    buf_clear(&two);
    delta_begin(&b, &two, &chains, &head);
    delta_table(&b, 20, COLUMN_IDS, COLUMNS_MAX);
    CU_ASSERT_FALSE(delta_insert(&b, slice_of("k", 1), slice_of(values.data, values.len - 1), ends)); /* cut short */
    buf_u8(&values, 0x60);
    CU_ASSERT_FALSE(delta_insert(&b, slice_of("k", 1), slice_of(values.data, values.len), ends)); /* one more than there are columns */
    buf_deinit(&one);
    buf_deinit(&two);
    buf_deinit(&values);
}

const struct unit_test unit_tests[] = {
    {"test_delta_insert_writes_what_delta_row_does", test_delta_insert_writes_what_delta_row_does},
    {"test_delta_packs_as_msgpack_does", test_delta_packs_as_msgpack_does},
    {"test_delta_round_trips", test_delta_round_trips},
    {"test_delta_open_refuses_truncation_at_each_length", test_delta_open_refuses_truncation_at_each_length},
    {"test_delta_open_stands_damage", test_delta_open_stands_damage},
    {"test_delta_open_refuses_hostile_bytes", test_delta_open_refuses_hostile_bytes},
    {"test_delta_open_takes_the_smallest", test_delta_open_takes_the_smallest},
    {"test_delta_refuses_keys_past_the_limit", test_delta_refuses_keys_past_the_limit},
    {"test_delta_survives_each_failed_allocation", test_delta_survives_each_failed_allocation},
    {NULL, NULL},
};

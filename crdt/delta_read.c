/* delta_read.c - reading a delta's bytes (docs/WIRE.md, "Deltas and batches").
 * Why two walks: the bytes come from a peer. The first walk checks all of them and takes no memory but the vector's; after it
 *   the delta is applied without a way to fail halfway for the bytes' sake. The second walk gives out row after row.
 * Not here: chain link, signature (delta_sign.c), whether a key or a value fits its table (engine). */
#include "delta_codec.h"

static quartet_status damaged(struct err *err, struct slice bytes, const struct bytes_in *in, const char *what)
{
    return err_set(err, QUARTET_CORRUPT, "delta: %s, about byte %zu of %zu", what, bytes.n - in->left, bytes.n);
}

/* One entry of the vector. False: damage. */
static bool read_dep(struct bytes_in *in, struct chain_id *id, struct vv_entry *e)
{
    if (mp_array(in) != DELTA_DEP_FIELDS)
        return false;
    uint64_t slot = mp_uint(in);
    *id = (struct chain_id){.slot = (uint8_t)slot, .incarnation = mp_uint(in)};
    *e = (struct vv_entry){.number = mp_uint(in)};
    e->stamp = mp_uint(in);
    e->head = mp_uint(in);
    return !in->bad && slot < SLOTS_MAX && id->incarnation != 0 && !chain_id_is_sum(*id) && e->number != 0 && e->stamp != 0;
}

/* What each operation's code has added at this level. */
static uint8_t op_more_of(uint32_t level)
{
    return level >= LEVEL_NEXT ? DELTA_OP_NEXT : 0;
}

/* Key, flags and writes of one row. What is wrong, or NULL. */
static const char *check_row(struct bytes_in *in, uint32_t column_count, uint8_t op_more, struct slice *key)
{
    uint32_t fields = mp_array(in);
    struct slice last = *key;
    *key = mp_bin(in);
    uint64_t flags = mp_uint(in);
    if ((flags & op_more) != op_more)
        return "an operation of another level";
    flags &= ~(uint64_t)op_more;
    bool wins = (flags & ROW_OP_WIN) != 0;
    uint64_t other = flags & ~(uint64_t)ROW_OP_WIN, lives = other == ROW_OP_ADD_TO, head = DELTA_ROW_FIELDS;
    if (other == ROW_OP_LIVES) {
        lives = mp_uint(in);
        head++;
    }
    if (in->bad || fields < head || other > ROW_OP_LIVES || (other > ROW_OP_ADD_TO) != (other == ROW_OP_LIVES) || (other == ROW_OP_LIVES && lives == 0) ||
        (wins && (other == ROW_OP_INSERT || other == ROW_OP_ADD_TO)) ||
        lives > (fields - head) / DELTA_LIFE_FIELDS)
        return "a row's head";
    head += lives * DELTA_LIFE_FIELDS;
    for (uint64_t i = 0; i < lives; i++) {
        uint64_t stamp = mp_uint(in), slot = mp_uint(in), incarnation = mp_uint(in);
        if (in->bad || stamp == 0 || slot >= SLOTS_MAX || incarnation == 0)
            return "a life's name";
    }
    if (key->n > DELTA_KEY_BYTES_MAX)
        return "a key's length";
    if (last.p != NULL && slice_cmp(last, *key) >= 0)
        return "keys out of order";
    uint32_t items = fields - (uint32_t)head;
    bool insert = (flags & ROW_OP_INSERT) != 0;
    if (insert ? items != column_count : items % 2 != 0)
        return "a row's count of writes";
    for (uint32_t i = 0; i < items; i++) {
        struct value v;
        uint64_t column = insert ? 0 : mp_uint(in);
        if (!insert && (column >> 2 >= column_count || (column & 3) >= ROW_WRITE_OPS || ++i == items))
            return "a column";
        if (!mp_value(in, &v, true))
            return "a value";
    }
    return NULL;
}

static const char *check_table(struct bytes_in *in, uint8_t op_more)
{
    struct slice key = {0};
    if (mp_array(in) != DELTA_TABLE_FIELDS)
        return "a table's head";
    (void)mp_uint(in); /* its identifier: any number */
    uint32_t columns = mp_array(in);
    if (columns > ROW_COLUMNS_MAX)
        return "too many columns";
    for (uint32_t i = 0; i < columns; i++)
        if (mp_uint(in) > UINT32_MAX)
            return "a column's identifier";
    uint32_t rows = mp_array(in);
    if (in->bad)
        return "a table's head";
    for (uint32_t i = 0; i < rows; i++) {
        const char *wrong = check_row(in, columns, op_more, &key);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

static bool read_request(struct bytes_in *in, struct delta_request *q)
{
    struct value affected = {0}, last = {0};
    if (mp_array(in) != DELTA_REQUEST_FIELDS)
        return false;
    uint64_t session = mp_uint(in), request = mp_uint(in), rows = mp_uint(in);
    if (in->bad || session == 0 || session > INT64_MAX || request > UINT32_MAX || rows > 1 || !mp_value(in, &affected, true) || !mp_value(in, &last, true) ||
        affected.type != VALUE_INTEGER || last.type != VALUE_INTEGER)
        return false;
    *q = (struct delta_request){.session = session, .request = (uint32_t)request, .gave_rows = rows == 1, .affected = affected.i, .last_insert_id = last.i};
    return true;
}

/* All but the vector's meaning. What is wrong, or NULL; `in` is left where that was. */
static const char *check_all(struct bytes_in *in, struct delta_reader *r)
{
    uint32_t fields = mp_array(in);
    if (fields != DELTA_FIELDS && fields != DELTA_FIELDS + 1)
        return "not a delta";
    uint64_t version = mp_uint(in);
    r->level = LEVEL_MAX >= LEVEL_NEXT && version == DELTA_VERSION_NEXT ? LEVEL_NEXT : LEVEL_FIRST;
    if (in->bad || (version != DELTA_VERSION && r->level == LEVEL_FIRST))
        return version > DELTA_VERSION ? "a version that is newer than this build of Quartet" : "an unknown version";
    r->number = mp_uint(in);
    r->stamp = mp_uint(in);
    uint64_t flags = mp_uint(in);
    if (in->bad || r->number == 0 || r->stamp == 0 || flags > (DELTA_MORE | DELTA_CONTINUES | DELTA_REQUEST) ||
        ((flags & DELTA_REQUEST) != 0) != (fields > DELTA_FIELDS) || (flags & (DELTA_MORE | DELTA_REQUEST)) == (DELTA_MORE | DELTA_REQUEST))
        return "its head";
    r->flags = (uint8_t)flags;
    uint32_t deps = mp_array(in);
    if (deps > CHAINS_MAX)
        return "too many chains";
    for (uint32_t i = 0; i < deps; i++) {
        struct chain_id id;
        struct vv_entry e;
        if (!read_dep(in, &id, &e))
            return "its vector";
    }
    uint32_t tables = mp_array(in);
    for (uint32_t i = 0; i < tables; i++) {
        const char *wrong = check_table(in, op_more_of(r->level));
        if (wrong != NULL)
            return wrong;
    }
    if (fields > DELTA_FIELDS && !read_request(in, &r->request))
        return "whose request it was";
    if (in->bad || in->left != 0)
        return "cut short or too long";
    return NULL;
}

static quartet_status read_deps(struct delta_reader *r, struct chain_table *chains, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t left = mp_array(&r->in); left > 0 && rc == QUARTET_OK; left--) {
        struct chain_id id;
        struct vv_entry e;
        bool ok = read_dep(&r->in, &id, &e);
        QASSERT(ok); /* checked before */
        rc = chain_intern(chains, id, &e.chain, err);
        if (rc == QUARTET_OK)
            rc = vv_raise(&r->deps, e, err);
    }
    return rc;
}

uint32_t delta_level(struct slice bytes)
{
    struct bytes_in in = bytes_in(bytes.p, bytes.n);
    uint32_t fields = mp_array(&in);
    uint64_t version = mp_uint(&in);
    if (in.bad || fields == 0 || version <= DELTA_VERSION)
        return LEVEL_FIRST; /* delta_open says what is wrong */
    return LEVEL_MAX >= LEVEL_NEXT && version == DELTA_VERSION_NEXT ? LEVEL_NEXT : UINT32_MAX;
}

quartet_status delta_open(struct delta_reader *r, struct slice bytes, struct chain_table *chains, struct err *err)
{
    *r = (struct delta_reader){0};
    struct bytes_in in = bytes_in(bytes.p, bytes.n);
    if (bytes.n > DELTA_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "delta: %zu bytes, limit %u", bytes.n, DELTA_BYTES_MAX);
    const char *wrong = check_all(&in, r);
    if (wrong != NULL)
        return damaged(err, bytes, &in, wrong);
    r->in = bytes_in(bytes.p, bytes.n);
    (void)mp_array(&r->in); /* the head was read above */
    for (uint32_t i = 0; i < 4; i++)
        (void)mp_uint(&r->in); /* likewise */
    quartet_status rc = read_deps(r, chains, err);
    if (rc != QUARTET_OK) {
        vv_deinit(&r->deps);
        return rc;
    }
    r->tables_left = mp_array(&r->in);
    return QUARTET_OK;
}

/* a NULL: the lives are skipped. False: out of memory. */
static bool read_row(struct delta_reader *r, struct arena *a, struct slice *key, struct row_op *op)
{
    uint32_t items = mp_array(&r->in) - DELTA_ROW_FIELDS;
    *key = mp_bin(&r->in);
    *op = (struct row_op){.flags = (uint8_t)(mp_uint(&r->in) & ~(uint64_t)op_more_of(r->level))};
    op->life_count = op->flags == ROW_OP_ADD_TO;
    if ((op->flags & ROW_OP_LIVES) != 0) {
        op->life_count = (uint32_t)mp_uint(&r->in);
        items--;
    }
    if (op->life_count > 0 && a != NULL) {
        op->lives = arena_zalloc(a, op->life_count, sizeof *op->lives);
        if (op->lives == NULL)
            return false;
    }
    items -= DELTA_LIFE_FIELDS * op->life_count;
    for (uint32_t i = 0; i < op->life_count; i++) {
        struct row_birth birth = {.stamp = mp_uint(&r->in)};
        birth.chain.slot = (uint8_t)mp_uint(&r->in);
        birth.chain.incarnation = mp_uint(&r->in);
        if (op->lives != NULL)
            op->lives[i] = birth;
    }
    op->write_count = (op->flags & ROW_OP_INSERT) != 0 ? items : items / 2;
    r->rows_left--;
    return true;
}

quartet_status delta_next_table(struct delta_reader *r, struct arena *a, bool *more, struct err *err)
{
    for (; r->rows_left > 0;) { /* rows that the caller left out */
        struct slice key;
        struct row_op op;
        (void)read_row(r, NULL, &key, &op); /* takes no memory */
        bool insert = (op.flags & ROW_OP_INSERT) != 0;
        for (uint32_t i = 0; i < op.write_count; i++) {
            struct value v;
            if (!insert)
                (void)mp_uint(&r->in);   /* skipped */
            (void)mp_value(&r->in, &v, false); /* likewise */
        }
    }
    *more = r->tables_left > 0;
    if (!*more)
        return QUARTET_OK;
    r->tables_left--;
    (void)mp_array(&r->in); /* its three fields */
    r->table_id = mp_uint(&r->in);
    r->column_count = mp_array(&r->in);
    r->column_ids = arena_zalloc(a, r->column_count, sizeof *r->column_ids);
    if (r->column_ids == NULL)
        return arena_fail(a, err);
    for (uint32_t i = 0; i < r->column_count; i++)
        r->column_ids[i] = (uint32_t)mp_uint(&r->in);
    r->rows_left = mp_array(&r->in);
    QASSERT(!r->in.bad);
    return QUARTET_OK;
}

quartet_status delta_next_row(struct delta_reader *r, struct arena *a, struct slice *key, struct row_op *op, bool *more,
                              struct err *err)
{
    *more = r->rows_left > 0;
    if (!*more)
        return QUARTET_OK;
    if (!read_row(r, a, key, op))
        return arena_fail(a, err);
    bool insert = (op->flags & ROW_OP_INSERT) != 0;
    op->writes = arena_alloc(a, (size_t)op->write_count * sizeof *op->writes);
    if (op->writes == NULL)
        return arena_fail(a, err);
    for (uint32_t i = 0; i < op->write_count; i++) {
        struct row_write *write = &op->writes[i];
        uint64_t column = insert ? (uint64_t)i << 2 : mp_uint(&r->in);
        write->column = (uint32_t)(column >> 2);
        write->op = (uint8_t)(column & 3);
        (void)mp_value(&r->in, &write->value, false); /* checked by delta_open */
    }
    QASSERT(!r->in.bad);
    return QUARTET_OK;
}

void delta_close(struct delta_reader *r)
{
    vv_deinit(&r->deps);
}

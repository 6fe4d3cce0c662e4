/* history.c - random histories of one row and replicas that learn them (history.h).
 * Why stamps are drawn so: each is above all that its writer saw, as the clock guarantees, but barely; two runs of one slot make
 *   equal stamps now and then, as a cloned node would. */
#include "merge/history.h"

#include <stdio.h>
#include <string.h>

static const uint8_t KEY[] = "k";

void history_begin(struct history *h, uint32_t writers)
{
    memset(h, 0, sizeof *h);
    h->writers = writers;
    for (uint32_t w = 0; w < writers; w++)
        h->chains[w] = (struct chain_id){.slot = (uint8_t)w, .incarnation = 100 + w};
    for (uint32_t c = 0; c < HISTORY_COLUMNS; c++) {
        h->columns[c] = (struct row_column){.kind = ROW_LWW, .missing = VALUE_NULL_INIT};
        h->column_ids[c] = 10 + c;
    }
    h->columns[1].missing = value_int(4711);
    h->columns[3] = (struct row_column){.kind = ROW_COUNTER, .missing = value_int(5)};
    h->columns[4] = (struct row_column){
        .kind = ROW_COUNTER, .scale = 2, .is_decimal = true, .missing = VALUE_NULL_INIT};
    h->schema = (struct row_schema){.columns = h->columns, .count = HISTORY_COLUMNS};
}

struct history_txn *history_add(struct history *h, uint32_t writer, hlc_stamp stamp, const uint64_t *seen, uint8_t flags)
{
    QASSERT(h->count < HISTORY_TXNS_MAX);
    struct history_txn *t = &h->t[h->count++];
    *t = (struct history_txn){.writer = writer, .stamp = stamp, .number = h->known[writer][writer] + 1};
    h->known[writer][writer]++;
    for (uint32_t w = 0; w < h->writers; w++) {
        t->seen[w] = w == writer ? t->number - 1 : seen[w];
        if (t->seen[w] > h->known[writer][w])
            h->known[writer][w] = t->seen[w];
        t->model_seen[w] = (struct model_seen){.chain = h->chains[w], .number = t->seen[w]};
    }
    t->op = (struct row_op){.flags = flags, .writes = t->writes};
    t->model_op = (struct model_op){.table = HISTORY_TABLE, .key = slice_of(KEY, 1), .flags = flags, .writes = t->writes};
    t->model_txn = (struct model_txn){.chain = h->chains[writer], .number = t->number, .stamp = stamp, .seen = t->model_seen,
                                      .seen_count = h->writers, .ops = &t->model_op, .op_count = 1};
    return t;
}

void history_write(struct history_txn *t, uint32_t column, bool add, struct value v)
{
    QASSERT(t->op.write_count < HISTORY_COLUMNS);
    t->writes[t->op.write_count++] = (struct row_write){.column = column, .add = add, .value = v};
    t->model_op.write_count = t->op.write_count;
}

static struct value random_value(struct prng *r, const struct row_column *c)
{
    if (c->kind == ROW_COUNTER && c->is_decimal)
        return (struct value){.type = VALUE_DECIMAL, .scale = c->scale, .dec = dec_make(prng_between(r, -3, 3))};
    if (c->kind == ROW_COUNTER)
        return value_int(prng_chance(r, 0.05) ? prng_between(r, -(1ll << 60), 1ll << 60) : prng_between(r, -2, 2));
    switch (prng_below(r, 8)) {
    case 0:
        return VALUE_NULL_INIT;
    case 1:
        return (struct value){.type = VALUE_REAL, .r = -0.0};
    case 2:
        return value_text("the same text", 13);
    case 3:
        return value_text("short and long", (size_t)prng_below(r, 15));
    default:
        return value_int(prng_between(r, -1000, 1000));
    }
}

static void random_writes(const struct history *h, struct history_txn *t, struct prng *r)
{
    bool insert = (t->op.flags & ROW_OP_INSERT) != 0;
    double share = insert ? 1.0 : 0.4; /* an INSERT names all columns that its writer knows: here sometimes not all */
    if (insert && prng_chance(r, 0.2))
        share = 0.7;
    for (uint32_t c = 0; c < HISTORY_COLUMNS; c++) {
        if (!prng_chance(r, share))
            continue;
        bool add = h->columns[c].kind == ROW_COUNTER && !insert;
        if (prng_chance(r, 0.02))
            add = !add; /* of another kind: must do nothing */
        history_write(t, c, add, random_value(r, &h->columns[c]));
    }
}

/* Additions to one of the births that the writer saw: the newest unended one in SQL's use, any of them here. */
static void name_life(const struct history *h, struct history_txn *t, struct prng *r)
{
    uint32_t at = h->count > 0 ? (uint32_t)prng_below(r, h->count) : 0;
    for (uint32_t i = 0; i < h->count; i++) {
        const struct history_txn *birth = &h->t[(at + i) % h->count];
        if (birth == t || (birth->op.flags & ROW_OP_INSERT) == 0)
            continue;
        if (t->seen[birth->writer] < birth->number && !prng_chance(r, 0.02)) /* one that it did not see takes nothing */
            continue;
        t->op.flags = t->model_op.flags = ROW_OP_ADD_TO;
        t->op.life_chain = t->model_op.life_chain = h->chains[birth->writer];
        t->op.life_stamp = t->model_op.life_stamp = birth->model_txn.stamp;
        return;
    }
}

static const struct history_txn *find_txn(const struct history *h, uint32_t writer, uint64_t number)
{
    for (uint32_t i = 0; i < h->count; i++)
        if (h->t[i].writer == writer && h->t[i].number == number)
            return &h->t[i];
    return NULL;
}

static bool writer_knows(const struct history *h, uint32_t writer, const struct history_txn *t)
{
    return h->known[writer][t->writer] >= t->number;
}

/* Is the row live to this writer? */
static bool live_to(const struct history *h, uint32_t writer)
{
    for (uint32_t i = 0; i < h->count; i++) {
        const struct history_txn *birth = &h->t[i];
        bool ended = (birth->op.flags & ROW_OP_INSERT) == 0 || !writer_knows(h, writer, birth);
        for (uint32_t k = 0; k < h->count && !ended; k++)
            ended = (h->t[k].op.flags & ROW_OP_DELETE) != 0 && writer_knows(h, writer, &h->t[k]) &&
                    h->t[k].seen[birth->writer] >= birth->number;
        if (!ended)
            return true;
    }
    return false;
}

static uint8_t random_flags(const struct history *h, uint32_t writer, struct prng *r)
{
    uint64_t dice = prng_below(r, 100);
    if (!live_to(h, writer))
        return dice < 90 ? ROW_OP_INSERT : dice < 95 ? ROW_OP_DELETE : 0;
    if (dice < 60)
        return 0;
    if (dice < 80)
        return ROW_OP_DELETE;
    return dice < 94 ? ROW_OP_DELETE | ROW_OP_INSERT : ROW_OP_INSERT; /* the last is nothing that SQL does */
}

/* Learn all that another writer knows, or one transaction with all that it depends on. */
static void exchange(struct history *h, uint32_t writer, struct prng *r)
{
    uint32_t other = (uint32_t)prng_below(r, h->writers);
    const uint64_t *from = h->known[other];
    if (h->count > 0 && prng_chance(r, 0.5)) {
        const struct history_txn *t = &h->t[prng_below(r, h->count)];
        from = t->seen;
        if (t->number > h->known[writer][t->writer])
            h->known[writer][t->writer] = t->number;
    }
    for (uint32_t w = 0; w < h->writers; w++)
        if (from[w] > h->known[writer][w])
            h->known[writer][w] = from[w];
}

static hlc_stamp random_stamp(const struct history *h, uint32_t writer, struct prng *r)
{
    hlc_stamp top = 0;
    for (uint32_t w = 0; w < h->writers; w++) {
        const struct history_txn *last = find_txn(h, w, h->known[writer][w]);
        if (last != NULL && last->stamp > top)
            top = last->stamp;
    }
    return ((top >> 2) + 1 + prng_below(r, 3)) << 2 | h->chains[writer].slot;
}

void history_random(struct history *h, struct prng *r, uint32_t writers, uint32_t count)
{
    history_begin(h, writers);
    for (uint32_t w = 0; w < writers; w++) {
        h->chains[w].slot = (uint8_t)prng_below(r, prng_chance(r, 0.3) ? 1 : SLOTS_MAX);
        h->chains[w].incarnation = prng_u64(r) | 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t writer = (uint32_t)prng_below(r, writers);
        if (prng_chance(r, 0.5))
            exchange(h, writer, r);
        hlc_stamp stamp = random_stamp(h, writer, r);
        uint64_t seen[HISTORY_WRITERS_MAX];
        memcpy(seen, h->known[writer], sizeof seen);
        struct history_txn *t = history_add(h, writer, stamp, seen, random_flags(h, writer, r));
        if ((t->op.flags & ROW_OP_INSERT) != 0 || (t->op.flags & ROW_OP_DELETE) == 0 || prng_chance(r, 0.1))
            random_writes(h, t, r);
        if (t->op.flags == 0 && prng_chance(r, 0.5))
            name_life(h, t, r);
    }
}

void history_print(const struct history *h)
{
    for (uint32_t i = 0; i < h->count; i++) {
        const struct history_txn *t = &h->t[i];
        printf("  writer %u number %llu stamp %llu flags %u seen", t->writer, (unsigned long long)t->number,
               (unsigned long long)t->stamp, t->op.flags);
        for (uint32_t w = 0; w < h->writers; w++)
            printf(" %llu", (unsigned long long)t->seen[w]);
        for (uint32_t k = 0; k < t->op.write_count; k++)
            printf(" %s%u:%d/%lld", t->writes[k].add ? "+" : "", t->writes[k].column, t->writes[k].value.type,
                   (long long)t->writes[k].value.i);
        printf("\n");
    }
}

bool history_fill_model(const struct history *h, struct model *m)
{
    struct err err = ERR_INIT;
    for (uint32_t i = 0; i < h->count; i++)
        if (model_add(m, &h->t[i].model_txn, &err) != QUARTET_OK)
            return false;
    return true;
}

bool replica_init(struct replica *p, const struct history *h, struct prng *r)
{
    uint32_t order[HISTORY_WRITERS_MAX] = {0, 1, 2, 3};
    struct err err = ERR_INIT;
    *p = (struct replica){0};
    for (uint32_t i = h->writers; r != NULL && i > 1; i--) {
        uint32_t k = (uint32_t)prng_below(r, i), x = order[i - 1];
        order[i - 1] = order[k];
        order[k] = x;
    }
    for (uint32_t i = 0; i < h->writers; i++)
        if (chain_intern(&p->chains, h->chains[order[i]], &p->no[order[i]], &err) != QUARTET_OK)
            return false;
    return true;
}

void replica_deinit(struct replica *p)
{
    chain_table_deinit(&p->chains);
}

bool replica_knows(const struct replica *p, const struct history_txn *t)
{
    return p->known[t->writer] >= t->number;
}

bool replica_ready(const struct replica *p, const struct history_txn *t)
{
    if (p->known[t->writer] != t->number - 1)
        return false;
    for (uint32_t w = 0; w < HISTORY_WRITERS_MAX; w++)
        if (p->known[w] < t->seen[w])
            return false;
    return true;
}

quartet_status replica_apply(struct replica *p, const struct history *h, const struct history_txn *t, struct arena *a, bool *changed,
                             struct err *err)
{
    struct vv_entry entries[HISTORY_WRITERS_MAX];
    struct vv seen = {.e = entries};
    for (chain_no no = 0; no < h->writers; no++)
        for (uint32_t w = 0; w < h->writers; w++)
            if (p->no[w] == no && t->seen[w] > 0)
                entries[seen.count++] = (struct vv_entry){
                    .chain = no, .number = t->seen[w], .stamp = find_txn(h, w, t->seen[w])->stamp};
    struct row_writer writer = {
        .ver = {.stamp = t->stamp, .chain = p->no[t->writer]}, .seen = &seen, .chains = &p->chains};
    quartet_status rc = row_apply(&p->row, &h->schema, &t->op, &writer, a, changed, err);
    if (t->number > p->known[t->writer])
        p->known[t->writer] = t->number;
    return rc;
}

static chain_no renumber(const struct replica *from, const struct replica *to, chain_no no)
{
    for (uint32_t w = 0; w < HISTORY_WRITERS_MAX; w++)
        if (w < from->chains.count && from->no[w] == no)
            return to == NULL ? (chain_no)w : to->no[w];
    return 0;
}

/* A deep copy with chains renumbered as `to` has them (NULL: the writers' order). */
static quartet_status copy_row(const struct history *h, const struct replica *from, const struct replica *to, struct arena *a, struct row *out,
                               struct err *err)
{
    const struct row *row = &from->row;
    *out = (struct row){.lives = arena_dup(a, row->lives, row->life_count * sizeof *row->lives), .life_count = row->life_count};
    if (out->lives == NULL)
        return arena_fail(a, err);
    for (uint32_t l = 0; l < row->life_count; l++) {
        struct row_life *life = &out->lives[l];
        life->birth.chain = renumber(from, to, life->birth.chain);
        if (life->ended)
            continue;
        life->cells = arena_dup(a, life->cells, h->schema.count * sizeof *life->cells);
        for (uint32_t c = 0; life->cells != NULL && c < h->schema.count; c++) {
            struct row_cell *cell = &life->cells[c];
            if (cell->ver.stamp != 0)
                cell->ver.chain = renumber(from, to, cell->ver.chain);
            cell->parts = arena_dup(a, cell->parts, cell->part_count * sizeof *cell->parts);
            if (cell->parts == NULL)
                return arena_fail(a, err);
            for (uint32_t i = 0; i < cell->part_count; i++)
                cell->parts[i].chain = renumber(from, to, cell->parts[i].chain);
        }
        if (life->cells == NULL)
            return arena_fail(a, err);
    }
    return QUARTET_OK;
}

quartet_status replica_import(const struct replica *p, const struct history *h, const struct replica *from, struct arena *a, struct row *out,
                              struct err *err)
{
    return copy_row(h, from, p, a, out, err);
}

quartet_status replica_bytes(const struct replica *p, const struct history *h, struct arena *a, struct slice *out, struct err *err)
{
    struct row row;
    struct chain_id ids[HISTORY_WRITERS_MAX];
    struct chain_table chains = {.ids = ids, .count = h->writers, .cap = HISTORY_WRITERS_MAX};
    struct buf bytes = {0};
    memcpy(ids, h->chains, sizeof ids);
    *out = (struct slice){0};
    if (p->row.life_count == 0)
        return QUARTET_OK;
    quartet_status rc = copy_row(h, p, NULL, a, &row, err);
    if (rc == QUARTET_OK)
        rc = row_encode(&row, &h->schema, &chains, &bytes, err);
    if (rc == QUARTET_OK) {
        *out = slice_of(arena_dup(a, bytes.data, bytes.len), bytes.len);
        if (out->p == NULL)
            rc = arena_fail(a, err);
    }
    buf_deinit(&bytes);
    return rc;
}

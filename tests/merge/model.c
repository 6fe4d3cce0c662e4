/* model.c - the naive model: births, deletes, for each birth the newest write whose writer saw it, counters summed.
 * Why: a merge that is tested against itself can be wrong the same way everywhere. This is the definition, computed from
 *   scratch for each question; nothing is kept up to date, so nothing can go stale. */
#include "merge/model.h"

#include "base/mem.h"

#include <string.h>

struct model_ref {
    const struct model_txn *txn;
    const struct model_op *op;
};

void model_init(struct model *m)
{
    *m = (struct model){0};
    map_init(&m->index, 1);
}

void model_deinit(struct model *m)
{
    for (size_t i = 0; i < m->key_count; i++) {
        mem_free(m->keys[i]->refs);
        mem_free(m->keys[i]);
    }
    mem_free(m->keys);
    map_deinit(&m->index);
    *m = (struct model){0};
}

static void index_key(struct buf *out, uint64_t table, struct slice key)
{
    buf_clear(out);
    buf_u64(out, table);
    buf_put(out, key.p, key.n);
}

static quartet_status add_key(struct model *m, const struct buf *name, const struct model_op *op, struct model_key **out, struct err *err)
{
    if (m->key_count == m->key_cap) {
        size_t cap = m->key_cap == 0 ? 16 : m->key_cap * 2;
        struct model_key **keys = mem_realloc(m->keys, cap, sizeof *keys);
        if (keys == NULL)
            return err_nomem(err);
        m->keys = keys;
        m->key_cap = cap;
    }
    struct model_key *k = mem_zalloc(1, sizeof *k);
    if (k == NULL)
        return err_nomem(err);
    k->table = op->table;
    k->key = op->key;
    quartet_status rc = map_put(&m->index, name->data, name->len, k, err);
    if (rc != QUARTET_OK) {
        mem_free(k);
        return rc;
    }
    m->keys[m->key_count++] = k;
    *out = k;
    return QUARTET_OK;
}

static quartet_status add_op(struct model *m, const struct model_txn *txn, const struct model_op *op, struct buf *name, struct err *err)
{
    index_key(name, op->table, op->key);
    quartet_status rc = buf_check(name, err);
    if (rc != QUARTET_OK)
        return rc;
    struct model_key *k = map_get(&m->index, name->data, name->len);
    if (k == NULL)
        rc = add_key(m, name, op, &k, err);
    if (rc != QUARTET_OK)
        return rc;
    if (k->count == k->cap) {
        uint32_t cap = k->cap == 0 ? 8 : k->cap * 2;
        struct model_ref *refs = mem_realloc(k->refs, cap, sizeof *refs);
        if (refs == NULL)
            return err_nomem(err);
        k->refs = refs;
        k->cap = cap;
    }
    k->refs[k->count++] = (struct model_ref){.txn = txn, .op = op};
    return QUARTET_OK;
}

quartet_status model_add(struct model *m, const struct model_txn *txn, struct err *err)
{
    struct buf name = {0};
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < txn->op_count && rc == QUARTET_OK; i++)
        rc = add_op(m, txn, &txn->ops[i], &name, err);
    buf_deinit(&name);
    return rc;
}

static bool same_chain(struct chain_id a, struct chain_id b)
{
    return a.slot == b.slot && a.incarnation == b.incarnation;
}

static uint64_t seen_number(const struct model_seen *seen, uint32_t count, struct chain_id chain)
{
    for (uint32_t i = 0; i < count; i++)
        if (same_chain(seen[i].chain, chain))
            return seen[i].number;
    return 0;
}

/* Had `b` seen transaction `a` when it committed? */
static bool saw(const struct model_txn *b, const struct model_txn *a)
{
    if (same_chain(a->chain, b->chain))
        return a->number < b->number;
    return seen_number(b->seen, b->seen_count, a->chain) >= a->number;
}

/* One question: a row as one who knows these transactions sees it. */
struct view {
    const struct model_key *key;
    const struct model_seen *known; /* NULL: all */
    uint32_t known_count;
};

static bool is_known(const struct view *v, const struct model_txn *t)
{
    return v->known == NULL || seen_number(v->known, v->known_count, t->chain) >= t->number;
}

/* A known INSERT that no known DELETE had seen. */
static bool is_unended_birth(const struct view *v, const struct model_ref *birth)
{
    if ((birth->op->flags & ROW_OP_INSERT) == 0 || !is_known(v, birth->txn))
        return false;
    for (uint32_t i = 0; i < v->key->count; i++) {
        const struct model_ref *other = &v->key->refs[i];
        if ((other->op->flags & ROW_OP_DELETE) != 0 && is_known(v, other->txn) && saw(other->txn, birth->txn))
            return false;
    }
    return true;
}

static const struct row_write *write_of(const struct model_op *op, uint32_t column)
{
    for (uint32_t i = 0; i < op->write_count; i++)
        if (op->writes[i].column == column)
            return &op->writes[i];
    return NULL;
}

/* A write to this birth: the INSERT's own, or a later transaction's that saw the birth. */
static const struct row_write *write_to(const struct view *v, const struct model_ref *birth, const struct model_ref *writer, uint32_t column)
{
    if (writer != birth &&
        ((writer->op->flags & ROW_OP_INSERT) != 0 || !is_known(v, writer->txn) || !saw(writer->txn, birth->txn)))
        return NULL;
    const struct row_write *write = write_of(writer->op, column);
    bool elsewhere = (writer->op->flags & ROW_OP_ADD_TO) != 0 &&
                     (writer->op->life_stamp != birth->txn->stamp || writer->op->life_chain.slot != birth->txn->chain.slot ||
                      writer->op->life_chain.incarnation != birth->txn->chain.incarnation);
    return write != NULL && write->add && elsewhere ? NULL : write;
}

static bool newer(const struct model_txn *a, const struct model_txn *b)
{
    if (a->stamp != b->stamp)
        return a->stamp > b->stamp;
    if (a->chain.incarnation != b->chain.incarnation)
        return a->chain.incarnation > b->chain.incarnation;
    return a->chain.slot > b->chain.slot;
}

static struct value show_newest(const struct view *v, const struct row_column *c, uint32_t column)
{
    const struct model_txn *newest = NULL;
    struct value shown = c->missing;
    for (uint32_t b = 0; b < v->key->count; b++) {
        const struct model_ref *birth = &v->key->refs[b];
        if (!is_unended_birth(v, birth))
            continue;
        for (uint32_t w = 0; w < v->key->count; w++) {
            const struct model_ref *writer = &v->key->refs[w];
            const struct row_write *write = write_to(v, birth, writer, column);
            bool set = write != NULL && (!write->add || writer == birth);
            if (set && (newest == NULL || newer(writer->txn, newest))) {
                newest = writer->txn;
                shown = write->value;
            }
        }
    }
    return shown;
}

static __int128 number_of(const struct value *v)
{
    return v->type == VALUE_INTEGER ? v->i : v->type == VALUE_DECIMAL ? dec_get(v->dec) : 0;
}

/* The model knows counters whose values have the column's own type and scale, and sums that fit. */
static struct value show_sum(const struct view *v, const struct row_column *c, uint32_t column)
{
    __int128 sum = 0;
    for (uint32_t b = 0; b < v->key->count; b++) {
        const struct model_ref *birth = &v->key->refs[b];
        if (!is_unended_birth(v, birth))
            continue;
        if (write_of(birth->op, column) == NULL)
            sum += number_of(&c->missing);
        for (uint32_t w = 0; w < v->key->count; w++) {
            const struct model_ref *writer = &v->key->refs[w];
            const struct row_write *write = write_to(v, birth, writer, column);
            if (write != NULL && (write->add || writer == birth))
                sum += number_of(&write->value);
        }
    }
    if (c->is_decimal)
        return (struct value){.type = VALUE_DECIMAL, .scale = c->scale, .dec = dec_make(sum)};
    return value_int((int64_t)sum);
}

bool model_show(const struct model *m, uint64_t table, struct slice key, const struct model_seen *known, uint32_t known_count,
                const struct row_schema *schema, struct value *out, uint32_t *births)
{
    struct buf name = {0};
    uint32_t unended = 0;
    index_key(&name, table, key);
    QASSERT(!name.failed);
    struct view v = {.key = map_get(&m->index, name.data, name.len), .known = known, .known_count = known_count};
    buf_deinit(&name);
    for (uint32_t i = 0; v.key != NULL && i < v.key->count; i++)
        unended += is_unended_birth(&v, &v.key->refs[i]);
    if (births != NULL)
        *births = unended;
    if (unended == 0)
        return false;
    for (uint32_t i = 0; i < schema->count; i++)
        out[i] = schema->columns[i].kind == ROW_COUNTER ? show_sum(&v, &schema->columns[i], i)
                                                        : show_newest(&v, &schema->columns[i], i);
    return true;
}

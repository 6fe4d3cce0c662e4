/* model.c - the naive model: births, deletes, for each birth the newest write whose writer saw it, counters summed, and each other kind by its definition.
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
    bool updates_win;
    struct arena *arena; /* of what shows; NULL where nothing is shown */
};

static bool is_known(const struct view *v, const struct model_txn *t)
{
    return v->known == NULL || seen_number(v->known, v->known_count, t->chain) >= t->number;
}

bool model_births_known(const struct model_key *k, const struct model_seen *known, uint32_t known_count)
{
    struct view v = {.key = k, .known = known, .known_count = known_count};
    QASSERT(known != NULL);
    for (uint32_t i = 0; i < k->count; i++)
        if ((k->refs[i].op->flags & ROW_OP_INSERT) != 0 && !is_known(&v, k->refs[i].txn))
            return false;
    return true;
}

static bool is_named(const struct row_birth *life, const struct model_txn *birth)
{
    return life->stamp == birth->stamp && same_chain(life->chain, birth->chain);
}

/* Did this later operation write to this birth? */
static bool reaches(const struct view *v, const struct model_ref *birth, const struct model_ref *writer)
{
    const struct model_op *op = writer->op;
    if ((op->flags & (ROW_OP_INSERT | ROW_OP_DELETE)) != 0 || !is_known(v, writer->txn) || !saw(writer->txn, birth->txn))
        return false;
    bool named = (op->flags & ROW_OP_LIVES) == 0;
    for (uint32_t i = 0; i < op->life_count && !named; i++)
        named = is_named(&op->lives[i], birth->txn);
    return named;
}

/* Additions go to the last birth that is named, if any is. */
static bool adds_to(const struct model_ref *birth, const struct model_ref *writer)
{
    const struct model_op *op = writer->op;
    return op->life_count == 0 || is_named(&op->lives[op->life_count - 1], birth->txn);
}

/* A DELETE whose writer knew that updates win ends the birth if it saw every write to it of such writers, too. Else seeing the birth is enough. */
static bool ends(const struct view *v, const struct model_ref *birth, const struct model_ref *del)
{
    if ((del->op->flags & ROW_OP_DELETE) == 0 || !is_known(v, del->txn) || !saw(del->txn, birth->txn))
        return false;
    bool wins = v->updates_win && (del->op->flags & ROW_OP_WIN) != 0;
    for (uint32_t i = 0; wins && i < v->key->count; i++)
        if ((v->key->refs[i].op->flags & ROW_OP_WIN) != 0 && reaches(v, birth, &v->key->refs[i]) && !saw(del->txn, v->key->refs[i].txn))
            return false;
    return true;
}

static bool is_unended_birth(const struct view *v, const struct model_ref *birth)
{
    if ((birth->op->flags & ROW_OP_INSERT) == 0 || !is_known(v, birth->txn))
        return false;
    for (uint32_t i = 0; i < v->key->count; i++)
        if (ends(v, birth, &v->key->refs[i]))
            return false;
    return true;
}

static const struct row_write *write_of(const struct model_op *op, uint32_t column)
{
    for (uint32_t i = 0; i < op->write_count; i++)
        if (op->writes[i].column == column)
            return &op->writes[i];
    return NULL;
}

static bool newer(const struct model_txn *a, const struct model_txn *b)
{
    if (a->stamp != b->stamp)
        return a->stamp > b->stamp;
    if (a->chain.incarnation != b->chain.incarnation)
        return a->chain.incarnation > b->chain.incarnation;
    return a->chain.slot > b->chain.slot;
}

/* A value and who wrote it; NULL: the default of an added column, older than all. */
struct found {
    const struct model_txn *txn;
    struct value value;
};

static bool found_newer(const struct found *a, const struct found *b)
{
    return a->txn != NULL && (b->txn == NULL || newer(a->txn, b->txn));
}

static struct found begun_with(const struct model_ref *birth, const struct row_column *c, uint32_t column)
{
    const struct row_write *write = write_of(birth->op, column);
    return write != NULL ? (struct found){birth->txn, write->value} : (struct found){NULL, c->missing};
}

/* The next write of this kind to the birth's column, by somebody else, from refs[*at] on. */
static const struct row_write *next_write(const struct view *v, const struct model_ref *birth, uint32_t column, uint8_t op, uint32_t *at,
                                          const struct model_ref **writer)
{
    while (*at < v->key->count) {
        *writer = &v->key->refs[(*at)++];
        const struct row_write *write = *writer != birth && reaches(v, birth, *writer) ? write_of((*writer)->op, column) : NULL;
        if (write != NULL && write->op == op)
            return write;
    }
    return NULL;
}

/* ---- plain columns: the newest of what was put; below other kinds the same ---- */

static struct found newest_put(const struct view *v, const struct model_ref *birth, const struct row_column *c, uint32_t column)
{
    struct found best = begun_with(birth, c, column);
    const struct model_ref *writer;
    const struct row_write *write;
    for (uint32_t at = 0; (write = next_write(v, birth, column, ROW_PUT, &at, &writer)) != NULL;) {
        struct found other = {writer->txn, write->value};
        if (found_newer(&other, &best))
            best = other;
    }
    return best;
}

static struct value show_newest(const struct view *v, const struct row_column *c, uint32_t column)
{
    struct found best = {NULL, c->missing};
    for (uint32_t b = 0; b < v->key->count; b++) {
        if (!is_unended_birth(v, &v->key->refs[b]))
            continue;
        struct found other = newest_put(v, &v->key->refs[b], c, column);
        if (found_newer(&other, &best))
            best = other;
    }
    return best.value;
}

/* ---- COUNTER ---- */

static __int128 number_of(const struct value *v)
{
    return v->type == VALUE_INTEGER ? v->i : v->type == VALUE_DECIMAL ? dec_get(v->dec) : 0;
}

/* The model knows counters whose values have the column's own type and scale, and sums that fit. */
static struct value show_sum(const struct view *v, const struct row_column *c, uint32_t column)
{
    __int128 sum = 0;
    bool touched = false;
    struct value base = show_newest(v, c, column);
    for (uint32_t b = 0; b < v->key->count; b++) {
        const struct model_ref *birth = &v->key->refs[b], *writer;
        const struct row_write *write;
        if (!is_unended_birth(v, birth))
            continue;
        struct found first = begun_with(birth, c, column);
        if (!c->over_lww)
            sum += number_of(&first.value);
        for (uint32_t at = 0; (write = next_write(v, birth, column, ROW_ADD, &at, &writer)) != NULL;) {
            __int128 by = adds_to(birth, writer) ? number_of(&write->value) : 0;
            sum += by;
            touched |= by != 0;
        }
    }
    if (c->over_lww && !touched)
        return base;
    if (c->over_lww)
        sum += number_of(&base);
    if (c->is_decimal)
        return (struct value){.type = VALUE_DECIMAL, .scale = c->scale, .dec = dec_make(sum)};
    return value_int((int64_t)sum);
}

/* ---- MAXIMUM, MINIMUM: the largest value that was written since the register last began anew, by who knew of that ---- */

static void take_extreme(const struct row_column *c, struct found *best, const struct found *other)
{
    if (other->value.type == VALUE_NULL)
        return;
    int order = best->value.type == VALUE_NULL ? 1 : value_cmp(&other->value, &best->value);
    if (best->value.type != VALUE_NULL && c->kind == ROW_MINIMUM)
        order = -order;
    if (order > 0 || (order == 0 && found_newer(best, other)))
        *best = *other;
}

static struct value show_extreme(const struct view *v, const struct row_column *c, uint32_t column)
{
    struct found best = {NULL, VALUE_NULL_INIT}, base = {NULL, VALUE_NULL_INIT};
    bool has_base = false;
    for (uint32_t b = 0; b < v->key->count; b++) {
        const struct model_ref *birth = &v->key->refs[b], *writer, *anew = NULL;
        const struct row_write *write;
        if (!is_unended_birth(v, birth))
            continue;
        for (uint32_t at = 0; (write = next_write(v, birth, column, ROW_CUT, &at, &writer)) != NULL;)
            if (anew == NULL || newer(writer->txn, anew->txn))
                anew = writer;
        struct found first = c->over_lww ? newest_put(v, birth, c, column) : begun_with(birth, c, column);
        if (anew != NULL) {
            first = (struct found){anew->txn, write_of(anew->op, column)->value};
            take_extreme(c, &best, &first);
        } else if (!c->over_lww) {
            take_extreme(c, &best, &first);
        } else if (!has_base || found_newer(&first, &base)) {
            base = first;
            has_base = true;
        }
        for (uint32_t at = 0; (write = next_write(v, birth, column, ROW_ADD, &at, &writer)) != NULL;) {
            struct found one = {writer->txn, write->value};
            if (anew == NULL || saw(writer->txn, anew->txn))
                take_extreme(c, &best, &one);
        }
    }
    base.txn = NULL; /* where a value above it is as large, the one below shows */
    if (has_base)
        take_extreme(c, &best, &base);
    return best.value;
}

/* ---- SET: an element is there if somebody added it and nobody who had seen that removed it ---- */

static bool was_cut(const struct view *v, const struct model_ref *birth, uint32_t column, struct slice token, const struct model_txn *added)
{
    for (uint32_t i = 0; i < v->key->count; i++) {
        const struct model_ref *writer = &v->key->refs[i];
        for (uint32_t k = 0; reaches(v, birth, writer) && k < writer->op->write_count; k++) {
            const struct row_write *write = &writer->op->writes[k];
            if (write->column == column && write->op == ROW_CUT && slice_eq(write->value.s, token) && saw(writer->txn, added))
                return true;
        }
    }
    return false;
}

static void add_token(struct slice *list, uint32_t *count, struct slice token)
{
    uint32_t at = 0;
    while (at < *count && row_token_cmp(list[at], token) < 0)
        at++;
    if (at < *count && slice_eq(list[at], token))
        return;
    memmove(list + at + 1, list + at, (*count - at) * sizeof *list);
    list[at] = token;
    ++*count;
}

/* The plain value below a SET: the newest, as an element, if there is a birth that it is for and from which nobody who had seen it removed it. */
static struct slice element_below(const struct view *v, const struct row_column *c, uint32_t column)
{
    struct found newest = {NULL, VALUE_NULL_INIT};
    struct slice token = {0};
    for (uint32_t b = 0; b < v->key->count; b++) {
        struct found one = newest_put(v, &v->key->refs[b], c, column);
        if (is_unended_birth(v, &v->key->refs[b]) && found_newer(&one, &newest))
            newest = one;
    }
    bool ok = c->element(&newest.value, v->arena, &token);
    QASSERT(ok);
    for (uint32_t b = 0; b < v->key->count && token.n > 0; b++) {
        const struct model_ref *birth = &v->key->refs[b];
        if (is_unended_birth(v, birth) && newest_put(v, birth, c, column).txn == newest.txn && !was_cut(v, birth, column, token, newest.txn))
            return token;
    }
    return (struct slice){0};
}

static struct value show_set(const struct view *v, const struct row_column *c, uint32_t column)
{
    struct slice list[256];
    uint32_t count = 0;
    struct err err = ERR_INIT;
    struct slice below = c->over_lww ? element_below(v, c, column) : (struct slice){0};
    if (below.n > 0)
        add_token(list, &count, below);
    for (uint32_t b = 0; b < v->key->count; b++) {
        const struct model_ref *birth = &v->key->refs[b];
        if (!is_unended_birth(v, birth))
            continue;
        const struct row_write *first = write_of(birth->op, column);
        struct slice *tokens = NULL;
        uint32_t n = 0;
        if (first != NULL && first->value.type == VALUE_JSON && row_tokens(first->value.s, v->arena, &tokens, &n, &err) != QUARTET_OK)
            n = 0;
        for (uint32_t i = 0; i < n; i++)
            if (!was_cut(v, birth, column, tokens[i], birth->txn))
                add_token(list, &count, tokens[i]);
        for (uint32_t i = 0; i < v->key->count; i++) {
            const struct model_ref *writer = &v->key->refs[i];
            for (uint32_t k = 0; reaches(v, birth, writer) && k < writer->op->write_count; k++) {
                const struct row_write *write = &writer->op->writes[k];
                if (write->column == column && write->op == ROW_ADD && !was_cut(v, birth, column, write->value.s, writer->txn))
                    add_token(list, &count, write->value.s);
            }
            QASSERT(count < 200);
        }
    }
    struct buf text = {0};
    buf_u8(&text, '[');
    for (uint32_t i = 0; i < count; i++) {
        buf_str(&text, i > 0 ? "," : "");
        buf_put(&text, list[i].p, list[i].n);
    }
    buf_u8(&text, ']');
    struct value out = {.type = VALUE_JSON, .s = {arena_dup(v->arena, text.data, text.len), text.len}};
    buf_deinit(&text);
    return out;
}

/* ---- MULTIVALUE: what was written and not replaced by one who had seen it ---- */

static void add_found(struct found *list, uint32_t *count, struct found one)
{
    uint32_t at = 0;
    while (at < *count && found_newer(&list[at], &one))
        at++;
    if (at < *count && list[at].txn == one.txn)
        return;
    QASSERT(*count < 255);
    memmove(list + at + 1, list + at, (*count - at) * sizeof *list);
    list[at] = one;
    ++*count;
}

static uint32_t siblings(const struct view *v, const struct row_column *c, uint32_t column, struct found *list)
{
    uint32_t count = 0;
    for (uint32_t b = 0; b < v->key->count; b++) {
        const struct model_ref *birth = &v->key->refs[b], *writer, *other;
        const struct row_write *write;
        struct found newest = {NULL, VALUE_NULL_INIT};
        bool any = false;
        if (!is_unended_birth(v, birth))
            continue;
        for (uint32_t at = 0; (write = next_write(v, birth, column, ROW_ADD, &at, &writer)) != NULL;) {
            struct found one = {writer->txn, write->value};
            bool replaced = false;
            for (uint32_t k = 0; next_write(v, birth, column, ROW_ADD, &k, &other) != NULL;)
                replaced |= saw(other->txn, writer->txn);
            if (replaced)
                continue;
            add_found(list, &count, one);
            newest = !any || found_newer(&one, &newest) ? one : newest;
            any = true;
        }
        struct found base = newest_put(v, birth, c, column);
        if (!c->over_lww)
            base = begun_with(birth, c, column);
        if (!any || (c->over_lww && found_newer(&base, &newest)))
            add_found(list, &count, base);
    }
    return count;
}

static struct value show_column(const struct view *v, const struct row_column *c, uint32_t column)
{
    struct found list[256];
    switch (c->kind) {
    case ROW_COUNTER:
        return show_sum(v, c, column);
    case ROW_MAXIMUM:
    case ROW_MINIMUM:
        return show_extreme(v, c, column);
    case ROW_SET:
        return show_set(v, c, column);
    case ROW_MULTIVALUE:
        (void)siblings(v, c, column, list); /* a live row has one at least */
        return list[0].value;
    default:
        return show_newest(v, c, column);
    }
}

static struct view view_of(const struct model *m, uint64_t table, struct slice key, const struct model_seen *known, uint32_t known_count)
{
    struct buf name = {0};
    index_key(&name, table, key);
    QASSERT(!name.failed);
    struct view v = {.key = map_get(&m->index, name.data, name.len), .known = known, .known_count = known_count};
    buf_deinit(&name);
    return v;
}

bool model_show(const struct model *m, uint64_t table, struct slice key, const struct model_seen *known, uint32_t known_count,
                const struct row_schema *schema, struct arena *a, struct value *out, uint32_t *births)
{
    uint32_t unended = 0;
    struct view v = view_of(m, table, key, known, known_count);
    v.updates_win = schema->updates_win;
    v.arena = a;
    for (uint32_t i = 0; v.key != NULL && i < v.key->count; i++)
        unended += is_unended_birth(&v, &v.key->refs[i]);
    if (births != NULL)
        *births = unended;
    if (unended == 0)
        return false;
    for (uint32_t i = 0; i < schema->count; i++)
        out[i] = show_column(&v, &schema->columns[i], i);
    return true;
}

uint32_t model_siblings(const struct model *m, uint64_t table, struct slice key, const struct model_seen *known, uint32_t known_count,
                        const struct row_schema *schema, uint32_t column, struct value *out, uint32_t max)
{
    struct found list[256];
    struct view v = view_of(m, table, key, known, known_count);
    v.updates_win = schema->updates_win;
    uint32_t n = v.key == NULL ? 0 : siblings(&v, &schema->columns[column], column, list);
    for (uint32_t i = 0; i < n && i < max; i++)
        out[i] = list[i].value;
    return n;
}

bool model_unended(const struct model *m, uint64_t table, struct slice key, const struct model_seen *known, uint32_t known_count, bool updates_win,
                   const struct model_txn *birth)
{
    struct view v = view_of(m, table, key, known, known_count);
    v.updates_win = updates_win;
    for (uint32_t i = 0; v.key != NULL && i < v.key->count; i++)
        if (v.key->refs[i].txn == birth)
            return is_unended_birth(&v, &v.key->refs[i]);
    return false;
}

/* history.c - random histories of one row and replicas that learn them (history.h).
 * Why stamps are drawn so: each is above all that its writer saw, as the clock guarantees, but barely; two runs of one slot make
 *   equal stamps now and then, as a cloned node would. */
#include "merge/history.h"

#include <stdio.h>
#include <string.h>

#include "crdt/row_cell.h"

static const uint8_t KEY[] = "k";

/* As SQL's: numbers in digits, texts quoted. */
static bool element(const struct value *v, struct arena *a, struct slice *token)
{
    struct buf text = {0};
    *token = (struct slice){0};
    if (v->type != VALUE_INTEGER && v->type != VALUE_TEXT)
        return true;
    if (v->type == VALUE_INTEGER)
        buf_printf(&text, "%lld", (long long)v->i);
    buf_str(&text, v->type == VALUE_TEXT ? "\"" : "");
    for (size_t i = 0; v->type == VALUE_TEXT && i < v->s.n; i++) {
        buf_str(&text, v->s.p[i] == '"' ? "\\" : "");
        buf_u8(&text, v->s.p[i]);
    }
    buf_str(&text, v->type == VALUE_TEXT ? "\"" : "");
    *token = slice_of(arena_dup(a, text.data, text.len), text.len);
    bool ok = !text.failed && token->p != NULL;
    buf_deinit(&text);
    return ok;
}

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
    static const uint8_t kinds[] = {ROW_MAXIMUM, ROW_MINIMUM, ROW_SET, ROW_MULTIVALUE, ROW_MULTIVALUE, ROW_COUNTER, ROW_MAXIMUM, ROW_MINIMUM, ROW_MULTIVALUE, ROW_SET, ROW_SET};
    for (uint32_t c = HISTORY_PLAIN_COLUMNS; c < HISTORY_COLUMNS; c++)
        h->columns[c] = (struct row_column){.kind = kinds[c - HISTORY_PLAIN_COLUMNS], .over_lww = c >= 10 && c != 14, .missing = VALUE_NULL_INIT};
    h->columns[15].element = element;
    h->columns[5].missing = value_int(3);
    h->columns[7].missing = h->columns[14].missing = (struct value){.type = VALUE_JSON, .s = slice_of("[]", 2)};
    h->columns[9].missing = h->columns[12].missing = value_int(2);
    h->schema = (struct row_schema){.columns = h->columns, .count = HISTORY_COLUMNS, .observes = true};
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

void history_write(struct history_txn *t, uint32_t column, uint8_t op, struct value v)
{
    QASSERT(t->op.write_count < HISTORY_WRITES_MAX);
    t->writes[t->op.write_count++] = (struct row_write){.column = column, .op = op, .value = v};
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
        return c->kind == ROW_LWW ? value_int(prng_between(r, -1000, 1000)) : value_int(prng_between(r, -3, 5));
    }
}

static const char *const tokens[] = {"-12", "-3", "0", "7", "10", "12.50", "\"\"", "\"a\"", "\"a!\"", "\"ab\"", "\"b\\\"c\""};
#define TOKENS (sizeof tokens / sizeof *tokens)

static struct value random_token(struct prng *r)
{
    const char *t = tokens[prng_below(r, TOKENS)];
    return value_text(t, strlen(t));
}

/* A SET as an INSERT gives it: texts that live as long as the program. */
static struct value random_set(struct prng *r)
{
    static const char *const sets[] = {"[]", "[7]", "[\"a\",\"ab\"]", "[-12,-3,0,7,10,12.50]", "[0,\"a\",\"a!\",\"b\\\"c\"]"};
    const char *t = sets[prng_below(r, sizeof sets / sizeof *sets)];
    if (prng_chance(r, 0.05))
        return prng_chance(r, 0.5) ? VALUE_NULL_INIT : (struct value){.type = VALUE_JSON, .s = slice_of("[7,7]", 5)}; /* no set: begins empty */
    return (struct value){.type = VALUE_JSON, .s = {(const uint8_t *)t, strlen(t)}};
}

/* What stands below a SET that was a plain column: mostly what elements are, too. */
static struct value random_below(struct prng *r)
{
    static const char *const texts[] = {"", "a", "a!", "ab", "b\"c"};
    static const int64_t numbers[] = {-12, -3, 0, 7, 10};
    switch (prng_below(r, 5)) {
    case 0:
        return prng_chance(r, 0.3) ? random_set(r) : VALUE_NULL_INIT;
    case 1: case 2:
        return value_int(numbers[prng_below(r, 5)]);
    default: {
        const char *t = texts[prng_below(r, 5)];
        return value_text(t, strlen(t));
    }
    }
}

static uint8_t random_write_op(const struct row_column *c, bool insert, struct prng *r)
{
    if (prng_chance(r, 0.02))
        return (uint8_t)prng_below(r, ROW_WRITE_OPS); /* maybe of another kind: must do nothing */
    if (insert || c->kind == ROW_LWW || (c->over_lww && prng_chance(r, 0.4)))
        return ROW_PUT;
    bool cuts = c->kind == ROW_SET ? prng_chance(r, 0.4) : (c->kind == ROW_MAXIMUM || c->kind == ROW_MINIMUM) && prng_chance(r, 0.15);
    return cuts ? ROW_CUT : ROW_ADD;
}

static void random_elements(struct history_txn *t, uint32_t column, struct prng *r)
{
    uint32_t first = t->op.write_count, n = 1 + (uint32_t)prng_below(r, 3);
    for (uint32_t i = 0; i < n; i++) {
        struct value v = random_token(r);
        bool again = false;
        for (uint32_t k = first; k < t->op.write_count; k++)
            again |= slice_eq(t->writes[k].value.s, v.s);
        if (!again)
            history_write(t, column, prng_chance(r, 0.4) ? ROW_CUT : ROW_ADD, v);
    }
}

static void random_writes(const struct history *h, struct history_txn *t, struct prng *r)
{
    bool insert = (t->op.flags & ROW_OP_INSERT) != 0;
    double share = insert ? 1.0 : h->schema.count > HISTORY_PLAIN_COLUMNS ? 0.25 : 0.4; /* an INSERT names all columns that its writer knows: here sometimes not all */
    if (insert && prng_chance(r, 0.2))
        share = 0.7;
    bool group = h->together && prng_chance(r, share);
    for (uint32_t c = 0; c < HISTORY_TOGETHER && group; c++)
        history_write(t, c, ROW_PUT, random_value(r, &h->columns[c]));
    for (uint32_t c = h->together ? HISTORY_TOGETHER : 0; c < h->schema.count; c++) {
        if (!prng_chance(r, share))
            continue;
        if (h->columns[c].kind == ROW_SET && h->columns[c].over_lww && prng_chance(r, insert ? 0.7 : 0.4))
            history_write(t, c, ROW_PUT, random_below(r));
        else if (h->columns[c].kind == ROW_SET && !insert)
            random_elements(t, c, r);
        else
            history_write(t, c, random_write_op(&h->columns[c], insert, r), h->columns[c].kind == ROW_SET ? random_set(r) : random_value(r, &h->columns[c]));
    }
}

static void name(struct history *h, struct history_txn *t, const struct history_txn *birth)
{
    uint32_t at = t->op.life_count++;
    struct row_birth life = {.chain = h->chains[birth->writer], .stamp = birth->model_txn.stamp};
    for (; at > 0 && (t->lives[at - 1].stamp > life.stamp ||
                      (t->lives[at - 1].stamp == life.stamp && chain_id_cmp(t->lives[at - 1].chain, life.chain) > 0)); at--)
        t->lives[at] = t->lives[at - 1]; /* by version */
    t->lives[at] = life;
    t->op.lives = t->lives;
    t->model_op.lives = t->lives;
    t->model_op.life_count = t->op.life_count;
}

/* Additions to one of the births that the writer saw: the newest unended one in SQL's use, any of them here. */
static void name_life(struct history *h, struct history_txn *t, struct prng *r)
{
    uint32_t at = h->count > 0 ? (uint32_t)prng_below(r, h->count) : 0;
    for (uint32_t i = 0; i < h->count; i++) {
        const struct history_txn *birth = &h->t[(at + i) % h->count];
        if (birth == t || (birth->op.flags & ROW_OP_INSERT) == 0)
            continue;
        if (t->seen[birth->writer] < birth->number && !prng_chance(r, 0.02)) /* one that it did not see takes nothing */
            continue;
        t->op.flags = t->model_op.flags = ROW_OP_ADD_TO;
        name(h, t, birth);
        return;
    }
}

static bool unended_to(const struct history *h, const struct model *m, uint32_t writer, const struct history_txn *birth)
{
    struct model_seen known[HISTORY_WRITERS_MAX];
    for (uint32_t w = 0; w < h->writers; w++)
        known[w] = (struct model_seen){.chain = h->chains[w], .number = h->known[writer][w]};
    return (birth->op.flags & ROW_OP_INSERT) != 0 && h->known[writer][birth->writer] >= birth->number &&
           model_unended(m, HISTORY_TABLE, slice_of(KEY, 1), known, h->writers, h->schema.updates_win, &birth->model_txn);
}

/* Where updates win, a writer that knows several births names those which are not ended to it. */
static void name_lives(struct history *h, const struct model *m, struct history_txn *t)
{
    uint32_t births = 0;
    for (const struct history_txn *birth = h->t; birth < t; birth++)
        births += (birth->op.flags & ROW_OP_INSERT) != 0 && t->seen[birth->writer] >= birth->number;
    for (const struct history_txn *birth = h->t; birth < t && births > 1; birth++)
        if (unended_to(h, m, t->writer, birth))
            name(h, t, birth);
    if (t->op.life_count > 0)
        t->op.flags = t->model_op.flags = t->op.flags | ROW_OP_LIVES;
}

static const struct history_txn *find_txn(const struct history *h, uint32_t writer, uint64_t number)
{
    for (uint32_t i = 0; i < h->count; i++)
        if (h->t[i].writer == writer && h->t[i].number == number)
            return &h->t[i];
    return NULL;
}

/* Is the row live to this writer? */
static bool live_to(const struct history *h, const struct model *m, uint32_t writer)
{
    for (uint32_t i = 0; i < h->count; i++)
        if (unended_to(h, m, writer, &h->t[i]))
            return true;
    return false;
}

static uint8_t random_plain_flags(const struct history *h, const struct model *m, uint32_t writer, struct prng *r)
{
    uint64_t dice = prng_below(r, 100);
    if (!live_to(h, m, writer)) /* the last is nothing that SQL does; where updates win it would be a write to the dead */
        return dice < 90 ? ROW_OP_INSERT : dice < 95 || h->schema.updates_win ? ROW_OP_DELETE : 0;
    if (dice < 60)
        return 0;
    if (dice < 80)
        return ROW_OP_DELETE;
    return dice < 94 ? ROW_OP_DELETE | ROW_OP_INSERT : ROW_OP_INSERT; /* the last is nothing that SQL does */
}

/* Where the option is switched: does the writer know of the switch? */
static bool knows_switch(const struct history *h, uint32_t writer, uint32_t at)
{
    return at < h->count && h->known[writer][h->t[at].writer] >= h->t[at].number;
}

static bool counts_to(const struct history *h, uint32_t writer)
{
    return h->schema.updates_win && (!h->switches || knows_switch(h, writer, h->on));
}

static uint8_t random_flags(const struct history *h, const struct model *m, uint32_t writer, struct prng *r)
{
    uint8_t flags = random_plain_flags(h, m, writer, r);
    bool wins = counts_to(h, writer) && !(h->switches && knows_switch(h, writer, h->off));
    return wins && flags != ROW_OP_INSERT ? flags | ROW_OP_WIN : flags;
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

void history_random_of(struct history *h, struct prng *r, enum history_table table, uint32_t writers, uint32_t count)
{
    struct model m;
    struct err err = ERR_INIT;
    history_begin(h, writers);
    model_init(&m);
    h->schema.updates_win = table == HISTORY_UPDATES_WIN;
    h->together = prng_chance(r, 0.5);
    h->switches = h->schema.updates_win && prng_chance(r, 0.5);
    h->on = (uint32_t)prng_below(r, count / 2 + 1);
    h->off = prng_chance(r, 0.5) ? UINT32_MAX : h->on + (uint32_t)prng_below(r, count);
    h->schema.observes = table != HISTORY_OF_PLAIN;
    h->schema.count = table == HISTORY_OF_PLAIN || (table == HISTORY_UPDATES_WIN && prng_chance(r, 0.5)) ? HISTORY_PLAIN_COLUMNS : HISTORY_COLUMNS;
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
        struct history_txn *t = history_add(h, writer, stamp, seen, random_flags(h, &m, writer, r));
        if ((t->op.flags & ROW_OP_INSERT) != 0 || (t->op.flags & ROW_OP_DELETE) == 0 || prng_chance(r, 0.1))
            random_writes(h, t, r);
        bool writes = (t->op.flags & ~ROW_OP_WIN) == 0;
        if (writes && h->schema.updates_win && prng_chance(r, 0.15))
            t->op.write_count = t->model_op.write_count = 0; /* it counts as a write all the same */
        if (writes && counts_to(h, writer))
            name_lives(h, &m, t);
        else if (writes && prng_chance(r, 0.5))
            name_life(h, t, r);
        quartet_status rc = model_add(&m, &t->model_txn, &err);
        QASSERT(rc == QUARTET_OK);
    }
    model_deinit(&m);
}

void history_random(struct history *h, struct prng *r, uint32_t writers, uint32_t count)
{
    history_random_of(h, r, (enum history_table)prng_below(r, 3), writers, count);
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
        {
            const struct row_write *w = &t->writes[k];
            printf(" %s%u:%d/", w->op == ROW_ADD ? "+" : w->op == ROW_CUT ? "-" : "", w->column, w->value.type);
            if (w->value.type == VALUE_TEXT || w->value.type == VALUE_JSON)
                printf("%.*s", (int)w->value.s.n, (const char *)w->value.s.p);
            else
                printf("%lld", w->value.type == VALUE_NULL ? 0LL : (long long)w->value.i);
        }
        for (uint32_t k = 0; k < t->op.life_count; k++)
            printf(" @%llu", (unsigned long long)t->op.lives[k].stamp);
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

static struct row_part *copy_seen(const struct replica *from, const struct replica *to, const struct row_part *parts, uint32_t count, struct arena *a)
{
    struct row_part *copy = arena_dup(a, parts, count * sizeof *parts);
    for (uint32_t i = 0; copy != NULL && i < count; i++)
        copy[i].chain = renumber(from, to, parts[i].chain);
    return copy;
}

static bool copy_cell(const struct row_column *c, const struct replica *from, const struct replica *to, struct arena *a, struct row_cell *cell)
{
    if (cell->ver.stamp != 0)
        cell->ver.chain = renumber(from, to, cell->ver.chain);
    if (!cell_has_items(c)) {
        cell->parts = copy_seen(from, to, cell->parts, cell->part_count, a);
        return cell->parts != NULL;
    }
    cell->items = arena_dup(a, cell->items, cell->part_count * sizeof *cell->items);
    for (uint32_t i = 0; cell->items != NULL && i < cell->part_count; i++)
        cell->items[i].ver.chain = renumber(from, to, cell->items[i].ver.chain);
    return cell->items != NULL;
}

static bool copy_life(const struct history *h, const struct replica *from, const struct replica *to, struct arena *a, struct row_life *life)
{
    life->birth.chain = renumber(from, to, life->birth.chain);
    if (life->cells == NULL)
        return true;
    life->writes = copy_seen(from, to, life->writes, life->write_count, a);
    life->deletes = arena_dup(a, life->deletes, life->delete_count * sizeof *life->deletes);
    life->cells = arena_dup(a, life->cells, h->schema.count * sizeof *life->cells);
    if (life->writes == NULL || life->deletes == NULL || life->cells == NULL)
        return false;
    for (uint32_t i = 0; i < life->delete_count; i++) {
        struct row_delete *d = &life->deletes[i];
        d->ver.chain = renumber(from, to, d->ver.chain);
        d->seen = copy_seen(from, to, d->seen, d->seen_count, a);
        if (d->seen == NULL)
            return false;
    }
    for (uint32_t c = 0; c < h->schema.count; c++)
        if (!copy_cell(&h->columns[c], from, to, a, &life->cells[c]))
            return false;
    return true;
}

/* A deep copy with chains renumbered as `to` has them (NULL: the writers' order). */
static quartet_status copy_row(const struct history *h, const struct replica *from, const struct replica *to, struct arena *a, struct row *out,
                               struct err *err)
{
    const struct row *row = &from->row;
    *out = (struct row){.lives = arena_dup(a, row->lives, row->life_count * sizeof *row->lives), .life_count = row->life_count};
    if (out->lives == NULL)
        return arena_fail(a, err);
    for (uint32_t l = 0; l < row->life_count; l++)
        if (!copy_life(h, from, to, a, &out->lives[l]))
            return arena_fail(a, err);
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

/* test_ddl.c - DDL by everyone at any time: members that change the schema and write rows under what each knows of it, and learn of each other in any order, hold the
 *   same tables in the end, byte for byte; the rows are what the naive model makes of all that was sent, names are those of the earliest births, and no row that is
 *   shown breaks a constraint that is there. QUARTET_SEED replays one world (with
 *   QUARTET_WORLDS: so many from it on; with QUARTET_TWICE: each twice, which must be alike in all), QUARTET_TRACE=1 prints what it does. */
#include "engine/apply.h"
#include "engine/catalog_build.h"
#include "merge/replay.h"
#include "scene_help.h"

#define WORLDS 60u
#define ROUNDS 3u
#define STATEMENTS 22u
#define TABLES_MAX 12u /* visible ones, so that statements meet */

struct world {
    struct cluster *c;
    struct prng r;
    uint64_t seed;
    struct buf log; /* what was done, for people */
    uint32_t done, refused, settled;
};

static bool traced(void)
{
    return getenv("QUARTET_TRACE") != NULL;
}

static void wrong(struct world *w, const char *what, const char *detail)
{
    printf("\nseed %llu: %s: %s\n", (unsigned long long)w->seed, what, detail);
    if (traced())
        printf("%.*s", (int)w->log.len, (const char *)w->log.data);
    (void)fflush(stdout);
    CU_FAIL_FATAL("see above");
}

/* ---- random statements, in the names that a node's catalog has ---- */

static const char *const table_names[] = {"t", "u", "v"};
static const char *const column_names[] = {"a", "b", "c", "d"};
static const char *const constraint_names[] = {"k", "l"};

static uint32_t below(struct world *w, uint32_t n)
{
    return (uint32_t)prng_below(&w->r, n);
}
#define PICK(w, list) ((list)[below((w), sizeof(list) / sizeof *(list))])

static const struct table_def *any_table(struct world *w, const struct catalog *cat)
{
    const struct table_def *t, *users[64];
    uint32_t n = 0;
    for (uint32_t i = 0; (t = catalog_table_at(cat, i)) != NULL && n < 64; i++)
        if (!t->is_system)
            users[n++] = t;
    return n == 0 ? NULL : users[below(w, n)];
}

static const char *any_column(struct world *w, const struct table_def *t)
{
    return t->columns[below(w, t->visible_count)].name;
}

static void literal(struct world *w, const struct column_def *c, struct buf *out)
{
    if (prng_chance(&w->r, 0.1))
        buf_str(out, "NULL");
    else if (c->kind == ROW_SET)
        buf_printf(out, c->element == VALUE_TEXT ? "'[\"%c\"]'" : "'[%c]'", (int)((c->element == VALUE_TEXT ? 'p' : '3') + below(w, 4)));
    else if (c->type == VALUE_TEXT)
        buf_printf(out, "'%c'", (int)('p' + below(w, 4)));
    else
        buf_printf(out, "%u", below(w, 9));
}

static void create_table(struct world *w, const struct catalog *cat, struct buf *out)
{
    static const char *const bodies[] = {"(id INTEGER PRIMARY KEY, a INTEGER, b TEXT)",
                                         "(id INTEGER PRIMARY KEY, a INTEGER, b TEXT, CONSTRAINT k CHECK (a < 8))",
                                         "(id INTEGER PRIMARY KEY, a INTEGER DEFAULT 3, b TEXT, CONSTRAINT l UNIQUE (a))",
                                         "(id INTEGER PRIMARY KEY, a INTEGER, b TEXT NOT NULL DEFAULT 'z', c INTEGER COUNTER, MERGE TOGETHER (a, b))",
                                         "(id INTEGER PRIMARY KEY, a INTEGER, b INTEGER REFERENCES t (id) ON DELETE SET NULL)"};
    const struct table_def *t;
    uint32_t n = 0;
    for (uint32_t i = 0; (t = catalog_table_at(cat, i)) != NULL; i++)
        n += !t->is_system;
    if (n >= TABLES_MAX)
        return;
    buf_printf(out, "CREATE TABLE %s %s", PICK(w, table_names), PICK(w, bodies));
}

static void add_column(struct world *w, struct buf *out)
{
    static const char *const types[] = {"INTEGER", "INTEGER DEFAULT 5", "TEXT", "TEXT NOT NULL DEFAULT 'q'", "INTEGER COUNTER", "INTEGER CHECK (%s <> 7)",
                                        "INTEGER REFERENCES u (id)", "INTEGER MAXIMUM", "TEXT MULTIVALUE"};
    const char *name = PICK(w, column_names), *type = PICK(w, types);
    buf_printf(out, "ADD COLUMN %s ", name);
    if (strstr(type, "%s") != NULL)
        buf_printf(out, "INTEGER CHECK (%s <> 7)", name);
    else
        buf_str(out, type);
}

static void constraint(struct world *w, const struct table_def *t, struct buf *out)
{
    const char *name = PICK(w, constraint_names), *x = any_column(w, t), *y = any_column(w, t);
    buf_printf(out, "ADD CONSTRAINT %s ", name);
    switch (below(w, 6)) {
    case 4: buf_printf(out, "MERGE TOGETHER (%s, %s)", x, y); break;
    case 0: buf_printf(out, "CHECK (%s <> 4)", x); break;
    case 1: buf_printf(out, "CHECK (%s <= %s OR %s = 6)", x, y, x); break;
    case 2: buf_printf(out, "UNIQUE (%s)", x); break;
    case 3: buf_printf(out, strcmp(x, y) == 0 ? "UNIQUE (%s)" : "UNIQUE (%s, %s)", x, y); break;
    default: buf_printf(out, "FOREIGN KEY (%s) REFERENCES %s (id)%s", x, PICK(w, table_names), below(w, 2) == 0 ? " ON DELETE CASCADE" : "");
    }
}

static void alter(struct world *w, const struct table_def *t, struct buf *out)
{
    static const char *const kinds[] = {"COUNTER", "MAXIMUM", "MINIMUM", "MULTIVALUE", "SET"};
    buf_printf(out, "ALTER TABLE %s ", t->name);
    switch (below(w, 23)) {
    case 0: case 1: case 2: add_column(w, out); break;
    case 3: case 4: buf_printf(out, "DROP COLUMN %s", any_column(w, t)); break;
    case 5: case 6: case 7: buf_printf(out, "RENAME COLUMN %s TO %s", any_column(w, t), PICK(w, column_names)); break;
    case 8: buf_printf(out, "RENAME TO %s", PICK(w, table_names)); break;
    case 12: case 17: case 18: case 19: buf_printf(out, "ALTER COLUMN %s SET %s", any_column(w, t), PICK(w, kinds)); break;
    case 9: buf_printf(out, "ALTER COLUMN %s %s NOT NULL", any_column(w, t), below(w, 2) == 0 ? "SET" : "DROP"); break;
    case 10: buf_printf(out, below(w, 3) == 0 ? "ALTER COLUMN %s DROP DEFAULT" : "ALTER COLUMN %s SET DEFAULT %u", any_column(w, t), below(w, 9)); break;
    case 20: case 21: buf_str(out, below(w, 3) > 0 ? "UPDATES WIN" : "UPDATES LOSE"); break;
    case 11: buf_printf(out, "DROP CONSTRAINT %s", PICK(w, constraint_names)); break;
    default: constraint(w, t, out);
    }
}

static void index_or_view(struct world *w, const struct table_def *t, struct buf *out)
{
    switch (below(w, 7)) {
    case 0: buf_printf(out, "DROP INDEX IF EXISTS i%u", below(w, 2)); break;
    case 1: buf_printf(out, "CREATE VIEW %s AS SELECT %s FROM %s", PICK(w, table_names), t->columns[0].name, t->name); break;
    case 2: buf_printf(out, "DROP VIEW IF EXISTS %s", PICK(w, table_names)); break;
    case 3: buf_printf(out, "CREATE UNIQUE INDEX i%u ON %s (%s)", below(w, 2), t->name, any_column(w, t)); break;
    case 4: buf_printf(out, "CREATE TRIGGER g%u AFTER INSERT ON %s BEGIN UPDATE %s SET %s = NULL WHERE %s = 1; END", below(w, 2), t->name, t->name,
                       any_column(w, t), t->columns[0].name); break;
    default: buf_printf(out, "CREATE INDEX i%u ON %s (%s)", below(w, 2), t->name, any_column(w, t));
    }
}

static void write_rows(struct world *w, const struct table_def *t, struct buf *out)
{
    uint32_t id = 1 + below(w, 5), what = below(w, 8);
    const struct column_def *c = &t->columns[below(w, t->visible_count)];
    if (what == 0) {
        buf_printf(out, "DELETE FROM %s WHERE %s = %u", t->name, t->columns[0].name, id);
    } else if (what < 4 && c->key_at < 0) {
        static const char *const changes[] = {"set_add", "set_remove"};
        struct column_def one = *c;
        one.kind = ROW_LWW;
        one.type = c->element;
        buf_printf(out, "UPDATE %s SET %s = ", t->name, c->name);
        if (c->type == VALUE_INTEGER && below(w, 3) == 0)
            buf_printf(out, "%s + ", c->name);
        bool change = c->kind == ROW_SET && below(w, 4) > 0;
        if (change)
            buf_printf(out, "%s(%s, ", PICK(w, changes), c->name);
        literal(w, change ? &one : c, out);
        buf_str(out, change ? ")" : "");
        if (below(w, 4) > 0)
            buf_printf(out, " WHERE %s = %u", t->columns[0].name, id);
    } else {
        buf_printf(out, "%s INTO %s VALUES (%u", what == 4 ? "REPLACE" : "INSERT", t->name, id);
        for (uint32_t i = 1; i < t->visible_count; i++) {
            buf_str(out, ", ");
            literal(w, &t->columns[i], out);
        }
        buf_str(out, ")");
    }
}

static void random_sql(struct world *w, const struct catalog *cat, struct buf *out)
{
    const struct table_def *t = any_table(w, cat);
    uint32_t what = below(w, 40);
    if (t == NULL || what < 2)
        create_table(w, cat, out);
    else if (what == 2)
        buf_printf(out, "DROP TABLE %s", t->name);
    else if (what < 12)
        alter(w, t, out);
    else if (what < 15)
        index_or_view(w, t, out);
    else
        write_rows(w, t, out);
    buf_u8(out, 0);
}

/* What a statement may answer; anything else is a fault of ours. */
static bool is_refusal(quartet_status rc)
{
    return rc == QUARTET_ERROR || rc == QUARTET_CONSTRAINT || rc == QUARTET_MISMATCH;
}

static void one_statement(struct world *w)
{
    struct err err = ERR_INIT;
    struct buf sql = {0};
    cluster_time_passes(w->c, prng_chance(&w->r, 0.7) ? below(w, 3000) : 0);
    uint32_t at = below(w, w->c->count);
    struct catalog *cat = db_catalog(w->c->d[at]);
    random_sql(w, cat, &sql);
    catalog_unref(cat);
    CU_ASSERT_FATAL(!sql.failed);
    if (sql.len <= 1) {
        buf_deinit(&sql);
        return;
    }
    buf_printf(&w->log, "%u: %s", at, (const char *)sql.data);
    quartet_status rc = query_try(w->c->d[at], (const char *)sql.data, NULL, NULL, &err);
    buf_printf(&w->log, rc == QUARTET_OK ? "\n" : "   -- %s\n", err.text);
    w->done += rc == QUARTET_OK;
    w->refused += rc != QUARTET_OK;
    if (rc != QUARTET_OK && !is_refusal(rc))
        wrong(w, (const char *)sql.data, err.text);
    buf_deinit(&sql);
}

/* ---- what must be ---- */

/* All that a catalog says to users, as text. */
static void catalog_text(db *d, struct buf *out)
{
    struct catalog *cat = db_catalog(d);
    const struct table_def *t;
    const struct view_def *v;
    for (uint32_t i = 0; (t = catalog_table_at(cat, i)) != NULL; i++) {
        if (t->is_system)
            continue;
        buf_printf(out, "%s %llx: %s%s\n", t->name, (unsigned long long)t->id, t->sql, t->rows.updates_win ? " (counts writes)" : "");
        for (uint32_t k = 0; k < t->visible_count; k++)
            buf_printf(out, "  column %s %x %s kind %u%s to be %u%s\n", t->columns[k].name, t->columns[k].id, t->columns[k].declared, t->columns[k].kind,
                       t->columns[k].over_lww ? " over a plain one" : "", t->columns[k].kind_claimed, t->columns[k].not_null ? " not null" : "");
        for (uint32_t k = 0; k < t->index_count; k++) {
            buf_printf(out, "  index %s %llx%s:", t->indexes[k].name, (unsigned long long)t->indexes[k].id, t->indexes[k].unique ? " unique" : "");
            for (uint32_t j = 0; j < t->indexes[k].column_count; j++)
                buf_printf(out, " %s", t->columns[t->indexes[k].columns[j]].name);
            buf_str(out, "\n");
        }
        for (uint32_t k = 0; k < t->check_count; k++)
            buf_printf(out, "  check %s: %s\n", t->checks[k].name == NULL ? "" : t->checks[k].name, t->checks[k].text);
        for (uint32_t k = 0; k < t->foreign_key_count; k++)
            buf_printf(out, "  key %s to %s\n", t->foreign_keys[k].name == NULL ? "" : t->foreign_keys[k].name, t->foreign_keys[k].parent);
        for (uint32_t k = 0; k < t->constraint_count; k++)
            buf_printf(out, "  constraint %s %llx\n", t->constraints[k].name, (unsigned long long)t->constraints[k].id);
        for (uint32_t k = 0; k < t->trigger_count; k++)
            buf_printf(out, "  trigger %s: %s\n", t->triggers[k].name, t->triggers[k].sql);
    }
    for (uint32_t i = 0; (v = catalog_view_at(cat, i)) != NULL; i++)
        buf_printf(out, "view %s: %s\n", v->name, v->sql);
    catalog_unref(cat);
}

/* The rows of all tables as SELECT shows them, and what is out of sight, with its reasons. */
static void dump_all(struct world *w, db *d, struct buf *out)
{
    struct err err = ERR_INIT;
    struct catalog *cat = db_catalog(d);
    const struct table_def *t;
    for (uint32_t i = 0; (t = catalog_table_at(cat, i)) != NULL; i++) {
        char sql[256];
        if (t->is_system)
            continue;
        (void)snprintf(sql, sizeof sql, "SELECT * FROM \"%s\" ORDER BY 1", t->name);
        buf_printf(out, "%s:\n", t->name);
        if (query_try(d, sql, NULL, out, &err) != QUARTET_OK)
            wrong(w, sql, err.text);
    }
    buf_str(out, "quarantine:\n");
    if (query_try(d, "SELECT table_name, key, reason, constraint_name, \"row\" FROM quartet_quarantine ORDER BY 1, 2", NULL, out, &err) != QUARTET_OK)
        wrong(w, "quartet_quarantine", err.text);
    catalog_unref(cat);
}

static void compare_text(struct world *w, const char *what, uint32_t node, struct buf *first, struct buf *other)
{
    buf_u8(first, 0);
    buf_u8(other, 0);
    CU_ASSERT_FATAL(!first->failed && !other->failed);
    if (strcmp((const char *)first->data, (const char *)other->data) != 0) {
        printf("\nnode 0: %s\nnode %u: %s\n", (const char *)first->data, node, (const char *)other->data);
        wrong(w, what, "differs between nodes");
    }
}

static void all_equal(struct world *w)
{
    struct err err = ERR_INIT;
    struct state_hash h[4];
    for (uint32_t i = 0; i < w->c->count; i++) {
        struct buf at = {0}, text[2] = {{0}, {0}}, rows[2] = {{0}, {0}};
        OK(db_state_hash(w->c->d[i], &h[i], &at, &err));
        catalog_text(w->c->d[0], &text[0]);
        catalog_text(w->c->d[i], &text[1]);
        compare_text(w, "the catalog", i, &text[0], &text[1]);
        dump_all(w, w->c->d[0], &rows[0]);
        dump_all(w, w->c->d[i], &rows[1]);
        compare_text(w, "what the tables hold", i, &rows[0], &rows[1]);
        if (h[i].lo != h[0].lo || h[i].hi != h[0].hi)
            wrong(w, "the state hash", "differs between nodes");
        buf_deinit(&at);
        for (int k = 0; k < 2; k++) {
            buf_deinit(&text[k]);
            buf_deinit(&rows[k]);
        }
    }
}

static int32_t column_at(void *arg, uint64_t table, uint32_t column_id)
{
    const struct table_def *t = catalog_table_by_id(arg, table);
    for (uint32_t i = 0; t != NULL && i < t->rows.count; i++)
        if (t->record_ids[i] == column_id)
            return (int32_t)i;
    return -1;
}

static void take_all(struct world *w, struct replay *r)
{
    struct err err = ERR_INIT;
    for (uint32_t i = 0; i < w->c->pool.count; i++)
        if (replay_take(r, slice_of(w->c->pool.bytes[i], w->c->pool.n[i]), &err) != QUARTET_OK)
            wrong(w, "the naive model", err.text);
}

/* One row as the model has it, below all that hides rows. */
static void compare_row(struct world *w, struct replay *m, txn *reader, const struct table_def *t, const struct model_key *k)
{
    struct err err = ERR_INIT;
    struct value expected[64], got[64];
    struct slice record;
    struct arena a = {0};
    bool own, found, live = false;
    uint32_t births;
    CU_ASSERT_FATAL(t->rows.count < 64 && t->column_count < 64);
    bool shown = model_show(&m->model, t->id, k->key, NULL, 0, &t->rows, &m->arena, expected, &births);
    OK(txn_row(reader, t->id, k->key, 0, &record, &own, &found, &err));
    if (found)
        OK(table_decode_hidden(t, k->key, record, got, &a, &live, &err));
    bool equal = shown == (found && live);
    for (uint32_t c = 0; equal && shown && c < t->rows.count; c++)
        equal = value_identical(&expected[c], &got[t->record_columns[c]]);
    if (!equal) {
        struct buf text = {0};
        for (uint32_t c = 0; shown && c < t->rows.count; c++) {
            buf_printf(&text, " | %s ", t->columns[t->record_columns[c]].name);
            value_to_literal(&expected[c], &text);
            buf_str(&text, live ? ", node 0: " : ", no row");
            if (live)
                value_to_literal(&got[t->record_columns[c]], &text);
        }
        buf_printf(&text, "%s", shown ? "" : "no row, node 0 has one");
        buf_u8(&text, 0);
        wrong(w, t->name, (const char *)text.data);
    }
    arena_free_all(&a);
}

struct named { /* a table or view, as the naive model knows it */
    const struct model_txn *birth; /* the earliest that has not ended */
    int64_t id;
    char name[64];
};

static int named_cmp(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int c = strcmp(x->name, y->name);
    if (c == 0 && x->birth->stamp != y->birth->stamp)
        c = x->birth->stamp < y->birth->stamp ? -1 : 1;
    return c != 0 ? c : (x->id > y->id) - (x->id < y->id);
}

static const struct model_txn *first_birth(struct replay *m, const struct model_key *k)
{
    const struct model_txn *first = NULL;
    for (uint32_t i = 0; i < m->txn_count; i++) {
        const struct model_txn *t = m->txns[i];
        for (uint32_t n = 0; n < t->op_count; n++)
            if (t->ops[n].table == SYS_OBJECTS && (t->ops[n].flags & ROW_OP_INSERT) != 0 && slice_eq(t->ops[n].key, k->key) &&
                model_unended(&m->model, SYS_OBJECTS, k->key, NULL, 0, false, t) && (first == NULL || t->stamp < first->stamp))
                first = t;
    }
    return first;
}

/* Of tables and views that claim one name the one born first has it; the others' end with their birth. */
static void compare_names(struct world *w, struct replay *m, const struct catalog *cat)
{
    struct named all[64];
    uint32_t n = 0;
    const struct table_def *objects = catalog_table_by_id(cat, SYS_OBJECTS);
    for (size_t i = 0; i < m->model.key_count; i++) {
        const struct model_key *k = m->model.keys[i];
        struct value v[OBJ_COLUMNS], id;
        uint32_t births;
        struct bytes_in in = bytes_in(k->key.p, k->key.n);
        if (k->table != SYS_OBJECTS || !model_show(&m->model, SYS_OBJECTS, k->key, NULL, 0, &objects->rows, &m->arena, v, &births))
            continue;
        const struct value *kind = &v[objects->columns[OBJ_KIND].record_at], *name = &v[objects->columns[OBJ_NAME].record_at];
        if (!slice_eq(kind->s, slice_of("table", 5)) && !slice_eq(kind->s, slice_of("view", 4)))
            continue;
        CU_ASSERT_FATAL(n < 64 && key_get(&in, &objects->keys[0], &id, &m->arena));
        all[n] = (struct named){.birth = first_birth(m, k), .id = id.i};
        (void)snprintf(all[n++].name, sizeof all->name, "%.*s", (int)name->s.n, (const char *)name->s.p);
    }
    qsort(all, n, sizeof *all, named_cmp);
    for (uint32_t i = 0; i < n; i++) {
        char name[96];
        bool first = i == 0 || strcmp(all[i].name, all[i - 1].name) != 0;
        (void)snprintf(name, sizeof name, first ? "%s" : "%s_%llx", all[i].name, (unsigned long long)all[i].birth->stamp);
        const struct table_def *t = catalog_table(cat, name);
        const struct view_def *v = catalog_view(cat, name);
        if ((t == NULL || (int64_t)t->id != all[i].id) && (v == NULL || (int64_t)v->id != all[i].id))
            wrong(w, name, "is not what has this name by its birth");
    }
}

static void compare_model(struct world *w)
{
    struct err err = ERR_INIT;
    struct replay m;
    txn *reader = NULL;
    OK(txn_begin(w->c->d[0], &reader, &err));
    OK(txn_statement_begin(reader, &err));
    struct catalog *cat = db_catalog(w->c->d[0]);
    replay_init(&m, &(struct replay_hooks){.column_at = column_at, .arg = cat});
    take_all(w, &m);
    for (size_t i = 0; i < m.model.key_count; i++) {
        const struct table_def *t = catalog_table_by_id(txn_catalog(reader), m.model.keys[i]->table);
        if (t == NULL)
            wrong(w, "a table", "that rows were written to is not known any longer");
        compare_row(w, &m, reader, t, m.model.keys[i]);
    }
    compare_names(w, &m, txn_catalog(reader));
    replay_deinit(&m);
    catalog_unref(cat);
    txn_rollback(reader);
}

static void none(struct world *w, const char *sql)
{
    struct err err = ERR_INIT;
    struct buf out = {0};
    if (query_try(w->c->d[0], sql, NULL, &out, &err) != QUARTET_OK)
        wrong(w, sql, err.text);
    if (out.len > 0)
        wrong(w, "a row that breaks a constraint is shown", sql);
    buf_deinit(&out);
}

/* Nothing that is shown breaks what the definitions say; asked of the rows, not of indexes. */
static void constraints_hold(struct world *w)
{
    struct catalog *cat = db_catalog(w->c->d[0]);
    const struct table_def *t;
    char sql[1024];
    for (uint32_t i = 0; (t = catalog_table_at(cat, i)) != NULL; i++) {
        if (t->is_system)
            continue;
        for (uint32_t k = 0; k < t->visible_count; k++) {
            (void)snprintf(sql, sizeof sql, "SELECT 1 FROM \"%s\" WHERE \"%s\" IS NULL", t->name, t->columns[k].name);
            if (t->columns[k].not_null)
                none(w, sql);
        }
        for (uint32_t k = 0; k < t->check_count; k++) {
            (void)snprintf(sql, sizeof sql, "SELECT 1 FROM \"%s\" WHERE NOT (%s)", t->name, t->checks[k].text);
            none(w, sql);
        }
        for (uint32_t k = 0; k < t->index_count; k++) {
            const struct index_def *ix = &t->indexes[k];
            size_t n = (size_t)snprintf(sql, sizeof sql, "SELECT 1 FROM \"%s\" x, \"%s\" y WHERE x.%s + 0 < y.%s + 0", t->name, t->name, t->columns[0].name, t->columns[0].name);
            for (uint32_t c = 0; c < ix->column_count; c++)
                n += (size_t)snprintf(sql + n, sizeof sql - n, " AND x.\"%s\" = y.\"%s\"", t->columns[ix->columns[c]].name, t->columns[ix->columns[c]].name);
            if (ix->unique)
                none(w, sql);
        }
        const struct fk_link *out;
        uint32_t links = catalog_links_out(cat, t->id, &out);
        for (uint32_t k = 0; k < links; k++) {
            CU_ASSERT_EQUAL_FATAL(out[k].count, 1);
            (void)snprintf(sql, sizeof sql, "SELECT 1 FROM \"%s\" x WHERE \"%s\" IS NOT NULL AND NOT EXISTS (SELECT 1 FROM \"%s\" p WHERE p.\"%s\" = x.\"%s\")", t->name,
                           t->columns[out[k].columns[0]].name, out[k].parent->name, out[k].parent->columns[out[k].parent_columns[0]].name,
                           t->columns[out[k].columns[0]].name);
            none(w, sql);
        }
    }
    catalog_unref(cat);
}

static void give_some(struct world *w)
{
    for (uint32_t i = 0; i < w->c->count; i++)
        cluster_seal(w->c, i);
    for (int n = 0; n < 12 && w->c->pool.count > 0; n++) {
        uint32_t to = below(w, w->c->count), batch = below(w, w->c->pool.count);
        if (w->c->pool.slot[batch] != to)
            (void)cluster_give(w->c, to, batch);
    }
    buf_str(&w->log, "some are given\n");
}

/* Some members tell some what they have; then one looks whether kinds may take effect. */
static void settle_some(struct world *w)
{
    struct err err = ERR_INIT;
    uint32_t at = below(w, w->c->count), count;
    for (uint32_t i = 0; i < w->c->count; i++)
        if (i != at && prng_chance(&w->r, 0.8))
            cluster_report(w->c, i, at);
    OK(db_settle_kinds(w->c->d[at], &count, &err));
    buf_printf(&w->log, "%u: %u kinds take effect\n", at, count);
    w->settled += count;
}

static void rebuild(db *d)
{
    struct err err = ERR_INIT;
    pthread_mutex_lock(&d->commit_lock);
    OK(apply_rebuild(d, &err));
    pthread_mutex_unlock(&d->commit_lock);
}

static void cannot_take(void *arg, const char *why)
{
    wrong(arg, "a node cannot take a batch", why);
}

/* *events: what was done, sent and answered, as a hash: the same for the same seed. */
static void one_world(uint64_t seed, uint32_t *done, uint32_t *refused, uint32_t *settled, uint64_t *events)
{
    struct world w = {.seed = seed};
    prng_seed(&w.r, seed);
    w.c = cluster_new_made_up(2 + below(&w, 3), seed);
    w.c->failing = cannot_take;
    w.c->arg = &w;
    cluster_peers(w.c);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < STATEMENTS; i++) {
            one_statement(&w);
            if (prng_chance(&w.r, 0.08))
                give_some(&w);
            if (prng_chance(&w.r, 0.2))
                settle_some(&w);
        }
        buf_str(&w.log, "all are given\n");
        cluster_exchange(w.c, &w.r);
        if (prng_chance(&w.r, 0.8)) {
            cluster_all_report(w.c);
            settle_some(&w);
            cluster_exchange(w.c, &w.r);
        }
        all_equal(&w);
        compare_model(&w);
        constraints_hold(&w);
    }
    rebuild(w.c->d[w.c->count - 1]); /* anew from the rows: as it was step by step */
    all_equal(&w);
    *done += w.done;
    *refused += w.refused;
    *settled += w.settled;
    *events = hash64(w.log.data, w.log.len, seed);
    for (uint32_t i = 0; i < w.c->pool.count; i++)
        *events = hash64(w.c->pool.bytes[i], w.c->pool.n[i], *events);
    cluster_free(w.c);
    buf_deinit(&w.log);
}

static void test_ddl_random_worlds(void)
{
    const char *only = getenv("QUARTET_SEED"), *many = getenv("QUARTET_WORLDS");
    uint64_t first = only != NULL ? strtoull(only, NULL, 10) : 1, count = many != NULL ? strtoull(many, NULL, 10) : only != NULL ? 1 : WORLDS;
    uint32_t done = 0, refused = 0, settled = 0;
    bool twice = getenv("QUARTET_TWICE") != NULL;
    for (uint64_t seed = first; seed < first + count; seed++) {
        uint64_t events, again;
        one_world(seed, &done, &refused, &settled, &events);
        if (!twice && seed > first)
            continue;
        one_world(seed, &done, &refused, &settled, &again);
        if (events != again)
            printf("\nseed %llu: two runs of it differ\n", (unsigned long long)seed);
        CU_ASSERT_EQUAL(events, again);
    }
    CU_ASSERT(count < WORLDS || settled > 5);
    if (traced())
        printf("\n%u statements done, %u refused, %u kinds took effect\n", done, refused, settled);
    CU_ASSERT(count < WORLDS || done > refused); /* else they meet nothing */
}

/* ---- cases, in every order of arrival ---- */

static void same_catalog(db *first, db *other, const char *who)
{
    struct buf text[2] = {{0}, {0}};
    catalog_text(first, &text[0]);
    catalog_text(other, &text[1]);
    bool same = slice_eq(slice_of(text[0].data, text[0].len), slice_of(text[1].data, text[1].len));
    if (!same)
        printf("\n%s: %.*s\nanother has %.*s\n", who, (int)text[0].len, (const char *)text[0].data, (int)text[1].len, (const char *)text[1].data);
    CU_ASSERT(same);
    buf_deinit(&text[0]);
    buf_deinit(&text[1]);
}

#define T "CREATE TABLE t (id INTEGER PRIMARY KEY, lo INTEGER, hi INTEGER); INSERT INTO t VALUES (1, 1, 10), (2, 2, 20)"
#define ROWS "SELECT * FROM t ORDER BY 1"

static const struct scene scenes[] = {
    {"a CHECK that one adds and then writes by, another writes one column", T,
     {{0, "", "ALTER TABLE t ADD CHECK (lo < hi)"}, {0, "", "UPDATE t SET lo = 5, hi = 6 WHERE id = 1"}, {1, "", "UPDATE t SET lo = 8"}},
     ROWS, "2|8|20\n"},
    {"the same, one column was written before", T,
     {{1, "", "UPDATE t SET lo = 8"}, {0, "", "ALTER TABLE t ADD CHECK (lo < hi)"}, {0, "", "UPDATE t SET lo = 5, hi = 6 WHERE id = 1"}, {2, "12", "UPDATE t SET hi = 7 WHERE id = 1"}},
     ROWS, "1|5|7\n2|8|20\n"},
    {"one table, a column added by one", "",
     {{0, "", "CREATE TABLE t (x INTEGER PRIMARY KEY)"}, {0, "", "ALTER TABLE t ADD COLUMN y INTEGER DEFAULT 7"}, {0, "", "INSERT INTO t VALUES (1, 1)"},
      {1, "", "CREATE TABLE t (x INTEGER PRIMARY KEY)"}, {1, "", "INSERT INTO t VALUES (2)"}},
     ROWS, "1|1\n2|7\n"},
    {"one table, made by three, one drops what it saw", "",
     {{0, "", "CREATE TABLE t (x INTEGER PRIMARY KEY)"}, {1, "", "CREATE TABLE t (x INTEGER PRIMARY KEY)"}, {1, "", "INSERT INTO t VALUES (1)"}, {2, "0", "DROP TABLE t"}},
     ROWS, "1\n"},
    {"two tables renamed to one name", T "; CREATE TABLE s (id INTEGER PRIMARY KEY)",
     {{0, "", "ALTER TABLE t RENAME TO x"}, {0, "", "INSERT INTO x VALUES (3, 3, 3)"}, {1, "", "ALTER TABLE s RENAME TO x"}, {1, "", "INSERT INTO x VALUES (4)"}},
     "SELECT * FROM x WHERE id > 1 ORDER BY 1", "2|2|20\n3|3|3\n"},
    {"two tables renamed to one name, the older is dropped by a third", T "; CREATE TABLE s (id INTEGER PRIMARY KEY)",
     {{0, "", "ALTER TABLE t RENAME TO x"}, {1, "", "ALTER TABLE s RENAME TO x"}, {1, "", "INSERT INTO x VALUES (4)"}, {2, "0", "DROP TABLE x"}},
     "SELECT * FROM x", "4\n"},
    {"a constraint over a column that another renames", T,
     {{0, "", "ALTER TABLE t ADD CHECK (lo < hi)"}, {1, "", "ALTER TABLE t RENAME COLUMN lo TO low"}, {2, "", "UPDATE t SET lo = 11"}, {1, "0", "ALTER TABLE t RENAME COLUMN hi TO lo"}},
     "SELECT id, low, lo FROM t ORDER BY 1", "2|11|20\n"},
    {"an index over a column that another renames, and a column that takes the name", T,
     {{0, "", "CREATE UNIQUE INDEX i ON t (lo)"}, {1, "", "ALTER TABLE t RENAME COLUMN lo TO low"}, {1, "", "ALTER TABLE t ADD COLUMN lo INTEGER DEFAULT 4"},
      {2, "", "UPDATE t SET lo = 1"}},
     "SELECT id, low, lo FROM t ORDER BY 1", "1|1|4\n"},
    {"a constraint over a column that another drops, and makes anew", T,
     {{0, "", "ALTER TABLE t ADD CONSTRAINT k CHECK (lo < hi)"}, {1, "", "ALTER TABLE t DROP COLUMN lo"}, {1, "", "ALTER TABLE t ADD COLUMN lo INTEGER DEFAULT 90"}},
     "SELECT id, hi, lo FROM t ORDER BY 1", "1|10|90\n2|20|90\n"},
    {"a column dropped by one and written by another, who adds another of its name later", T,
     {{0, "", "ALTER TABLE t DROP COLUMN lo"}, {1, "", "UPDATE t SET lo = 5"}, {1, "0", "ALTER TABLE t ADD COLUMN lo TEXT DEFAULT 'new'"}, {2, "", "INSERT INTO t VALUES (3, 3, 30)"}},
     "SELECT id, hi, lo FROM t ORDER BY 1", "1|10|new\n2|20|new\n3|30|new\n"},
    {"a column of a MERGE TOGETHER gives its name to one that merges by itself, and goes", "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, MERGE TOGETHER (a, b)); INSERT INTO t VALUES (1, 2, 'x')",
     {{0, "", "ALTER TABLE t RENAME COLUMN a TO d"}, {0, "", "ALTER TABLE t ADD COLUMN a INTEGER COUNTER"}, {1, "0", "ALTER TABLE t DROP COLUMN d"}, {2, "01", "UPDATE t SET a = a + 3"}},
     "SELECT id, b, a FROM t", "1|x|3\n"},
    {"columns of one name and different types", T,
     {{0, "", "ALTER TABLE t ADD COLUMN z INTEGER DEFAULT 1"}, {0, "", "UPDATE t SET z = 2 WHERE id = 1"}, {1, "", "ALTER TABLE t ADD COLUMN z TEXT CHECK (z <> 'no')"},
      {1, "", "UPDATE t SET z = 'yes'"}},
     "SELECT id, z FROM t ORDER BY 1", "1|2\n2|1\n"},
    {"a foreign key to what cannot be takes along what hangs on its rows",
     "CREATE TABLE v (id INTEGER PRIMARY KEY); CREATE TABLE t (id INTEGER PRIMARY KEY, b TEXT); CREATE TABLE c (id INTEGER PRIMARY KEY, t INTEGER REFERENCES t)",
     {{0, "", "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES v (id)"}, {1, "", "INSERT INTO t VALUES (1, 's'), (2, NULL)"}, {1, "", "INSERT INTO c VALUES (1, 1), (2, 2)"}},
     "SELECT c.id, t.id FROM c LEFT JOIN t ON t.id = c.t", "2|2\n"},
    {"updates are made to win: who does not know it deletes as before, who knows loses", T "; INSERT INTO t VALUES (3, 3, 30)",
     {{0, "", "ALTER TABLE t UPDATES WIN"}, {0, "", "UPDATE t SET lo = 5 WHERE id <> 2"}, {1, "", "DELETE FROM t WHERE id = 1"}, {2, "0", "UPDATE t SET hi = 9 WHERE id = 2"},
      {0, "", "DELETE FROM t WHERE id = 2"}, {1, "0", "DELETE FROM t WHERE id = 3"}},
     ROWS, "2|2|9\n3|5|30\n"},
    {"updates win no longer: who does not know it loses as those who do", "CREATE TABLE t (id INTEGER PRIMARY KEY, lo INTEGER, hi INTEGER) UPDATES WIN; INSERT INTO t VALUES (1, 1, 10), (2, 2, 20), (3, 3, 30)",
     {{0, "", "ALTER TABLE t UPDATES LOSE"}, {0, "", "DELETE FROM t WHERE id = 1"}, {1, "", "UPDATE t SET lo = 5"}, {2, "0", "UPDATE t SET hi = 9 WHERE id = 2"},
      {1, "", "DELETE FROM t WHERE id = 2"}},
     ROWS, "3|5|30\n"},
    {"a foreign key follows its table, not the name, when names change hands",
     "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE q (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p); INSERT INTO p VALUES (1); INSERT INTO q VALUES (2)",
     {{0, "", "ALTER TABLE p RENAME TO x"}, {1, "", "INSERT INTO c VALUES (10, 1)"}, {2, "0", "ALTER TABLE q RENAME TO p"}, {2, "0", "INSERT INTO x VALUES (3)"}, {1, "", "INSERT INTO p VALUES (4)"},
      {0, "", "INSERT INTO c VALUES (11, 1)"}},
     "SELECT c.id, (SELECT count(*) FROM x), (SELECT count(*) FROM p) FROM c ORDER BY 1", "10|3|1\n11|3|1\n"},
    {"two tables renamed to one name at once, each with children",
     "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE q (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p, q INTEGER REFERENCES q (id)); "
     "INSERT INTO p VALUES (1); INSERT INTO q VALUES (2)",
     {{0, "", "ALTER TABLE p RENAME TO x"}, {1, "", "ALTER TABLE q RENAME TO x"}, {2, "", "INSERT INTO c VALUES (10, 1, 2)"}, {2, "0", "INSERT INTO c VALUES (11, NULL, 2)"},
      {0, "1", "INSERT INTO c VALUES (12, 1, NULL)"}},
     "SELECT id FROM c ORDER BY 1", "10\n11\n12\n"},
    {"a child made where the rename is not known, a new table takes the name",
     "CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1)",
     {{0, "", "ALTER TABLE p RENAME TO x"}, {0, "", "CREATE TABLE p (id INTEGER PRIMARY KEY, v TEXT)"}, {1, "", "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p)"},
      {1, "", "INSERT INTO c VALUES (10, 1)"}, {2, "01", "INSERT INTO p VALUES (2, NULL)"}},
     "SELECT c.id, x.id FROM c, x ORDER BY 1", "10|1\n"},
    {"a parent that comes after its child is told from then on",
     "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p)",
     {{0, "", "CREATE TABLE p (id INTEGER PRIMARY KEY)"}, {0, "", "INSERT INTO p VALUES (1)"}, {1, "01", "INSERT INTO c VALUES (10, 1)"}, {0, "", "ALTER TABLE p RENAME TO x"},
      {2, "0", "CREATE TABLE q (id INTEGER PRIMARY KEY)"}, {2, "13", "ALTER TABLE q RENAME TO p"}},
     "SELECT c.id, x.id FROM c, x ORDER BY 1", "10|1\n"},
    {"UNIQUE added by two under one name, rows by a third", T,
     {{0, "", "ALTER TABLE t ADD CONSTRAINT u UNIQUE (lo)"}, {1, "", "ALTER TABLE t ADD CONSTRAINT u UNIQUE (hi)"}, {2, "", "INSERT INTO t VALUES (3, 1, 30), (4, 40, 10), (5, 5, 5)"}},
     "SELECT id FROM t ORDER BY 1", "1\n2\n5\n"},
};

static void test_ddl_every_order(void)
{
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++)
        run_scene(&scenes[i], same_catalog);
}

/* ADD COLUMN writes nothing per row, here or anywhere. */
static void test_ddl_add_column_writes_no_rows(void)
{
    struct prng r;
    prng_seed(&r, 1);
    struct cluster *c = cluster_new(2);
    run_sql(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    run_sql(c->d[0], "INSERT INTO t SELECT value, 'v' FROM generate_series(1, 3000)");
    cluster_exchange(c, &r);
    struct db_stats before[2], after[2];
    for (uint32_t i = 0; i < 2; i++)
        db_stats(c->d[i], &before[i]);
    run_sql(c->d[0], "ALTER TABLE t ADD COLUMN w INTEGER DEFAULT 9");
    cluster_exchange(c, &r);
    for (uint32_t i = 0; i < 2; i++) {
        db_stats(c->d[i], &after[i]);
        CU_ASSERT(after[i].rows_written - before[i].rows_written <= 4);
        expect_rows(c->d[i], "SELECT count(*), sum(w) FROM t", "3000|27000\n");
    }
    cluster_free(c);
}

/* Definitions say columns by id, so names may be given away, within a CHECK that stands at a column too. */
static void test_ddl_names_that_change_hands(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, z INTEGER, a INTEGER CHECK (a <> 7 AND a < z))");
    run_sql(d, "ALTER TABLE t RENAME COLUMN z TO y");
    run_sql(d, "ALTER TABLE t RENAME COLUMN a TO z");
    run_sql(d, "ALTER TABLE t ADD COLUMN d INTEGER CHECK (d < z OR d <> y)");
    run_sql(d, "CREATE INDEX i ON t (z DESC, d)");
    run_sql(d, "ALTER TABLE t RENAME COLUMN z TO q");
    run_sql(d, "INSERT INTO t VALUES (1, 9, 8, 8)");
    expect_error(d, "INSERT INTO t VALUES (2, 9, 7, 8)", QUARTET_CONSTRAINT, "q <> 7 AND q < y", -2);
    expect_error(d, "INSERT INTO t VALUES (2, 8, 8, 8)", QUARTET_CONSTRAINT, "CHECK", -2);
    expect_error(d, "INSERT INTO t VALUES (2, 9, 8, 9)", QUARTET_CONSTRAINT, "d < q OR d <> y", -2);
    expect_error(d, "ALTER TABLE t DROP COLUMN q", QUARTET_ERROR, "index i holds it", -2);
    expect_error(d, "ALTER TABLE t ADD COLUMN \"#5\" INTEGER", QUARTET_ERROR, "cannot be named #5", -2);
    expect_part(d, "EXPLAIN SELECT * FROM t WHERE q = 8", "using index i");
    /* of a FOREIGN KEY only the child's columns are the table's own */
    run_sql(d, "CREATE TABLE p (k INTEGER PRIMARY KEY)");
    run_sql(d, "ALTER TABLE t ADD COLUMN k INTEGER");
    run_sql(d, "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (k) REFERENCES p (k)");
    run_sql(d, "ALTER TABLE t RENAME COLUMN k TO j");
    expect_error(d, "UPDATE t SET j = 1", QUARTET_CONSTRAINT, "FOREIGN KEY", -2);
    help_close(d);
}

/* ---- kinds ---- */

static void test_ddl_kinds_on_one_node(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, hi INTEGER, v TEXT, u INTEGER UNIQUE, c INTEGER CHECK (c < 9), x INTEGER, y INTEGER, MERGE TOGETHER (x, y))");
    run_sql(d, "INSERT INTO t (id, n, hi, v) VALUES (1, 10, 5, 'a'), (2, NULL, NULL, NULL)");
    run_sql(d, "ALTER TABLE t ALTER COLUMN n SET COUNTER");
    run_sql(d, "ALTER TABLE t ALTER COLUMN hi SET MAXIMUM, ALTER COLUMN v SET MULTIVALUE");
    expect_rows(d, "SELECT id, n, hi, v, siblings(v) FROM t", "1|10|5|a|[\"a\"]\n2|NULL|NULL|NULL|[null]\n"); /* as before: no row was written */
    run_sql(d, "UPDATE t SET n = n + 5, hi = 3, v = v || 'b' WHERE id = 1");
    run_sql(d, "UPDATE t SET n = n + 5, hi = 3 WHERE id = 2");
    run_sql(d, "INSERT INTO t (id, n, hi) VALUES (3, 7, 7)");
    run_sql(d, "UPDATE t SET n = 8, hi = 8 WHERE id = 3");
    expect_rows(d, "SELECT id, n, hi, v FROM t", "1|15|5|ab\n2|5|3|NULL\n3|8|8|NULL\n");
    expect_part(d, "EXPLAIN MERGE UPDATE t SET n = n + 1", "plain register below");
    expect_part(d, "EXPLAIN MERGE UPDATE t SET y = 1", "x, y merge together");
    expect_part(d, "EXPLAIN MERGE INSERT INTO t (id) VALUES (9)", "x, y merge together");
    run_sql(d, "ALTER TABLE t ALTER COLUMN n SET COUNTER"); /* it is */
    run_sql(d, "ALTER TABLE t RENAME COLUMN n TO m");
    run_sql(d, "UPDATE t SET m = m + 1");
    expect_rows(d, "SELECT m FROM t", "16\n6\n9\n");
    static const struct {
        const char *sql, *why;
    } no[] = {{"m SET MAXIMUM", "it is COUNTER, and only a plain column can change"}, {"m SET LWW", "its registers hold what no single value tells"},
              {"id SET COUNTER", "primary key"}, {"u SET COUNTER", "index t_unique_1 holds it"}, {"c SET COUNTER", "CHECK (c < 9) names it"},
              {"x SET COUNTER", "merges together with others"}, {"y SET SET", "merges together with others"}, {"gone SET COUNTER", "no such column"}};
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        char sql[128];
        (void)snprintf(sql, sizeof sql, "ALTER TABLE t ALTER COLUMN %s", no[i].sql);
        expect_error(d, sql, QUARTET_ERROR, no[i].why, -2);
    }
    run_sql(d, "ALTER TABLE t DROP COLUMN y");
    run_sql(d, "ALTER TABLE t ALTER COLUMN x SET COUNTER"); /* alone in its group */
    run_sql(d, "UPDATE t SET x = x + 1");
    expect_rows(d, "SELECT x FROM t", "1\n1\n1\n");
    expect_error(d, "ALTER TABLE t ADD CHECK (m > 0)", QUARTET_ERROR, "a bound cannot be added to the COUNTER m", -2);
    expect_error(d, "ALTER TABLE t ADD CHECK (v <> '')", QUARTET_ERROR, "a CHECK over column v, which merges by itself, cannot be added", -2);
    run_sql(d, "ALTER TABLE t ADD COLUMN left_over INTEGER COUNTER DEFAULT 0 CHECK (left_over >= 0)"); /* the way that the error names */
    run_sql(d, "UPDATE t SET left_over = m");
    expect_rows(d, "SELECT left_over - m FROM t", "0\n0\n0\n");
    expect_error(d, "UPDATE t SET left_over = left_over - 100", QUARTET_CONSTRAINT, "left_over >= 0", -2);
    expect_error(d, "CREATE INDEX i ON t (m)", QUARTET_ERROR, "can be in no key and no index", -2);
    run_sql(d, "ALTER TABLE t UPDATES WIN, UPDATES WIN");
    expect_rows(d, "SELECT count(*) FROM quartet_columns WHERE sql = 'UPDATES WIN'", "1\n");
    run_sql(d, "CREATE TABLE child (id INTEGER PRIMARY KEY, t INTEGER REFERENCES t ON MERGE KEEP PARENT)");
    expect_error(d, "ALTER TABLE t UPDATES LOSE", QUARTET_ERROR, "updates must win in table t: a FOREIGN KEY of table child says ON MERGE KEEP PARENT", -2);
    run_sql(d, "DROP TABLE child");
    run_sql(d, "ALTER TABLE t UPDATES LOSE");
    expect_error(d, "CREATE TABLE child (id INTEGER PRIMARY KEY, t INTEGER REFERENCES t ON MERGE KEEP PARENT)", QUARTET_ERROR, "must be one where UPDATES WIN", -2);
    help_close(d);
}

/* What was a value is an element of the set, in rows that nobody wrote since, whichever way they are read. */
static void test_ddl_sets_on_one_node(void)
{
    static const char *const types[][4] = {{"TEXT", "'it''s \"x\"'", "[\"it's \\\"x\\\"\"]", "''"}, {"INTEGER", "-7", "[-7]", "8"}, {"DECIMAL(6, 2)", "1.5", "[1.50]", "9"},
                                           {"DATE", "'2026-01-02'", "[\"2026-01-02\"]", "'2026-01-03'"}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        db *d = help_memory();
        char sql[256], want[256];
        (void)snprintf(sql, sizeof sql, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, s %s, g TEXT AS (s || '!'))", types[i][0]);
        run_sql(d, sql);
        expect_error(d, "ALTER TABLE t ALTER COLUMN s SET SET", QUARTET_ERROR, "the generated column g is computed from it", -2);
        run_sql(d, "ALTER TABLE t DROP COLUMN g");
        (void)snprintf(sql, sizeof sql, "INSERT INTO t VALUES (1, 1, %s), (2, 2, NULL)", types[i][1]);
        run_sql(d, sql);
        run_sql(d, "ALTER TABLE t ALTER COLUMN s SET SET");
        run_sql(d, "UPDATE t SET a = a + 10");
        (void)snprintf(want, sizeof want, "1|%s\n2|[]\n", types[i][2]);
        expect_rows(d, "SELECT id, s FROM t", want);
        (void)snprintf(want, sizeof want, "%s\n", types[i][2]);
        expect_rows(d, "SELECT s FROM t WHERE id = 1", want);
        expect_rows(d, "SELECT s FROM t WHERE a = 11", want);
        expect_rows(d, "SELECT s FROM t WHERE length(s) > 2", want);
        run_sql(d, "CREATE INDEX by_a ON t (a)");
        expect_rows(d, "SELECT s FROM t INDEXED BY by_a WHERE a = 11", want);
        (void)snprintf(sql, sizeof sql, "SELECT id FROM t WHERE set_has(s, %s) AND set_size(s) = 1", types[i][1]);
        expect_rows(d, sql, "1\n");
        (void)snprintf(sql, sizeof sql, "UPDATE t SET s = set_add(s, %s)", types[i][3]);
        run_sql(d, sql);
        (void)snprintf(sql, sizeof sql, "UPDATE t SET s = set_remove(s, %s) WHERE id = 1", types[i][1]);
        run_sql(d, sql);
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM t WHERE set_has(s, %s) AND set_size(s) = 1", types[i][3]);
        expect_rows(d, sql, "2\n");
        (void)snprintf(sql, sizeof sql, "UPDATE t SET s = '%s' WHERE id = 2", types[i][2]);
        if (i != 0)
            run_sql(d, sql);
        run_sql(d, "INSERT INTO t (id, a) VALUES (3, 3)");
        expect_rows(d, "SELECT s FROM t WHERE id = 3", "[]\n");
        help_close(d);
    }
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT DEFAULT 'x', b JSON, c REAL, e TEXT COLLATE NOCASE)");
    run_sql(d, "INSERT INTO t (id) VALUES (1)");
    run_sql(d, "ALTER TABLE t ADD COLUMN later TEXT DEFAULT 'y'");
    run_sql(d, "ALTER TABLE t ALTER COLUMN later DROP DEFAULT");
    static const struct {
        const char *sql, *why;
    } no[] = {{"a SET SET", "its DEFAULT is a value, not a set"}, {"b SET SET", "a SET is of INTEGER"}, {"c SET SET", "a SET is of INTEGER"}, {"e SET SET", "without NOCASE"},
              {"later SET SET", "rows that were there before it was added show its DEFAULT"}};
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        char sql[128];
        (void)snprintf(sql, sizeof sql, "ALTER TABLE t ALTER COLUMN %s", no[i].sql);
        expect_error(d, sql, QUARTET_ERROR, no[i].why, -2);
    }
    run_sql(d, "ALTER TABLE t ALTER COLUMN a DROP DEFAULT");
    run_sql(d, "ALTER TABLE t ALTER COLUMN a SET SET");
    run_sql(d, "ALTER TABLE t ALTER COLUMN a SET DEFAULT '[\"new\"]'");
    run_sql(d, "INSERT INTO t (id) VALUES (2)");
    expect_rows(d, "SELECT a FROM t", "[\"x\"]\n[\"new\"]\n");
    expect_error(d, "ALTER TABLE t ALTER COLUMN a SET MULTIVALUE", QUARTET_ERROR, "it is SET, and only a plain column can change", -2);
    expect_error(d, "CREATE INDEX i ON t (a)", QUARTET_ERROR, "can be in no key and no index", -2);
    help_close(d);
}

/* Groups of columns that are added and dropped; what cannot be in one. */
static void test_ddl_together_on_one_node(void)
{
    db *d = help_memory();
    run_sql(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, c INTEGER, n INTEGER COUNTER)");
    run_sql(d, "ALTER TABLE t ADD CONSTRAINT pair MERGE TOGETHER (a, b)");
    run_sql(d, "ALTER TABLE t ADD MERGE TOGETHER (b, c)");
    expect_part(d, "EXPLAIN MERGE UPDATE t SET a = 1", "a, b, c merge together");
    static const struct {
        const char *sql, *why;
    } no[] = {{"ADD MERGE TOGETHER (a, n)", "the COUNTER column n merges by itself"}, {"ADD MERGE TOGETHER (id, a)", "is in the primary key, which never changes"},
              {"ADD MERGE TOGETHER (a)", "needs two columns at least"}, {"ADD MERGE TOGETHER (a, a)", "needs two columns at least"},
              {"ADD MERGE TOGETHER (a, gone)", "no such column: gone in table t"}, {"ADD CONSTRAINT pair MERGE TOGETHER (a, c)", "already has a constraint pair"},
              {"ALTER COLUMN a SET COUNTER", "merges together with others"}};
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        char sql[128];
        (void)snprintf(sql, sizeof sql, "ALTER TABLE t %s", no[i].sql);
        expect_error(d, sql, QUARTET_ERROR, no[i].why, -2);
    }
    run_sql(d, "ALTER TABLE t DROP CONSTRAINT t_merge_together_1");
    expect_part(d, "EXPLAIN MERGE UPDATE t SET a = 1", "a, b merge together");
    run_sql(d, "ALTER TABLE t RENAME COLUMN b TO z");
    expect_part(d, "EXPLAIN MERGE UPDATE t SET a = 1", "a, z merge together");
    run_sql(d, "CREATE TABLE child (id INTEGER PRIMARY KEY, t INTEGER REFERENCES t)");
    run_sql(d, "ALTER TABLE t RENAME TO parent");
    run_sql(d, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    expect_rows(d, "SELECT referenced_table_name FROM information_schema.referential_constraints", "parent\n");
    run_sql(d, "DROP TABLE t"); /* it is not the one that is referenced */
    expect_error(d, "DROP TABLE parent", QUARTET_CONSTRAINT, "is referenced by a FOREIGN KEY of table child", -2);
    run_sql(d, "ALTER TABLE child RENAME COLUMN t TO parent_id");
    expect_error(d, "INSERT INTO child VALUES (1, 99)", QUARTET_CONSTRAINT, "FOREIGN KEY", -2);
    run_sql(d, "DROP TABLE child");
    run_sql(d, "ALTER TABLE parent RENAME TO t");
    run_sql(d, "ALTER TABLE t DROP CONSTRAINT pair");
    run_sql(d, "ALTER TABLE t ALTER COLUMN a SET COUNTER");
    help_close(d);
}

static void settle(struct cluster *c, uint32_t at, uint32_t want)
{
    struct err err = ERR_INIT;
    uint32_t count;
    OK(db_settle_kinds(c->d[at], &count, &err));
    CU_ASSERT_EQUAL(count, want);
}

/* Two choose different kinds at once, a third writes the plain column: the choice born first takes effect once all have acknowledged, with nothing lost. */
static void test_ddl_kinds_chosen_by_two(void)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct prng r;
        prng_seed(&r, seed);
        struct cluster *c = cluster_new(3);
        cluster_peers(c);
        run_sql(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)");
        run_sql(c->d[0], "INSERT INTO t VALUES (1, 10), (2, 20)");
        cluster_exchange(c, &r);
        cluster_all_report(c);
        run_sql(c->d[0], "ALTER TABLE t ALTER COLUMN n SET COUNTER");
        settle(c, 0, 0); /* nobody else knows */
        next_millisecond(env_posix());
        run_sql(c->d[1], "ALTER TABLE t ALTER COLUMN n SET MAXIMUM");
        run_sql(c->d[0], "UPDATE t SET n = n + 1 WHERE id = 1"); /* 11, plain */
        run_sql(c->d[2], "CREATE INDEX i ON t (n)");
        run_sql(c->d[2], "ALTER TABLE t ADD CONSTRAINT k CHECK (n < 100)");
        cluster_exchange(c, &r);
        cluster_report(c, 0, 1);
        settle(c, 1, 0); /* node 2 has not told */
        expect_error(c->d[1], "ALTER TABLE t ALTER COLUMN n SET MINIMUM", QUARTET_ERROR, "it is COUNTER", -2);
        expect_part(c->d[2], "EXPLAIN MERGE UPDATE t SET n = 5", "COUNTER once every member has acknowledged that");
        run_sql(c->d[2], "UPDATE t SET n = 15 WHERE id = 2"); /* a plain write, and the base from now on */
        cluster_report(c, 2, 1);
        settle(c, 1, 0); /* node 2 has what is not here */
        cluster_exchange(c, &r);
        cluster_all_report(c);
        settle(c, 1, 1);
        run_sql(c->d[1], "UPDATE t SET n = n + 100");
        run_sql(c->d[0], "UPDATE t SET n = 12 WHERE id = 1"); /* does not know that it is in effect */
        settle(c, 0, 1); /* nor who else says so */
        run_sql(c->d[0], "UPDATE t SET n = n + 1000 WHERE id = 2");
        cluster_exchange(c, &r);
        cluster_expect_equal(c, (const char *const[]){"t", "quartet_columns", NULL}, seed);
        for (uint32_t i = 0; i < 3; i++) {
            same_catalog(c->d[0], c->d[i], "kinds");
            expect_rows(c->d[i], "SELECT * FROM t ORDER BY id", "1|112\n2|1115\n");
        }
        for (uint32_t i = 0; i < 3; i++)
            run_sql(c->d[i], "UPDATE t SET n = n + 1");
        cluster_exchange(c, &r);
        for (uint32_t i = 0; i < 3; i++)
            expect_rows(c->d[i], "SELECT * FROM t ORDER BY id", "1|115\n2|1118\n");
        cluster_free(c);
    }
}

/* Writes by those who know that a column is a SET meet writes by one who does not, and who knows only part of them, in many orders. */
static void test_ddl_sets_and_plain_writes(void)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct prng r;
        prng_seed(&r, seed);
        struct cluster *c = cluster_new(4);
        cluster_peers(c);
        run_sql(c->d[0], "CREATE TABLE t (id INTEGER PRIMARY KEY, tag TEXT)");
        run_sql(c->d[0], "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, NULL)");
        cluster_exchange(c, &r);
        run_sql(c->d[0], "ALTER TABLE t ALTER COLUMN tag SET SET");
        cluster_exchange(c, &r);
        cluster_all_report(c);
        next_millisecond(env_posix());
        run_sql(c->d[3], "UPDATE t SET tag = 'plain' WHERE id IN (1, 2)"); /* before all that follows, by the clock, and unseen by it */
        run_sql(c->d[3], "INSERT INTO t VALUES (6, 'six')");
        next_millisecond(env_posix());
        settle(c, 0, 1);
        settle(c, 1, 1);
        run_sql(c->d[0], "UPDATE t SET tag = set_add(tag, 'x')");
        run_sql(c->d[1], "UPDATE t SET tag = set_remove(tag, 'b') WHERE id = 2"); /* a value that was replaced meanwhile: nothing of it is left, nor of the removal */
        run_sql(c->d[1], "UPDATE t SET tag = set_remove(tag, 'c') WHERE id = 3");
        run_sql(c->d[0], "UPDATE t SET tag = set_add(tag, 'd') WHERE id = 4"); /* adds what is there: the addition wins over a removal of what was there */
        run_sql(c->d[1], "UPDATE t SET tag = set_remove(tag, 'd') WHERE id = 4");
        run_sql(c->d[1], "INSERT INTO t VALUES (6, '[\"y\",\"z\"]')");
        next_millisecond(env_posix());
        run_sql(c->d[3], "UPDATE t SET tag = 'c' WHERE id = 3"); /* after the removal, by the clock, and without knowing of it */
        cluster_exchange(c, &r);
        cluster_expect_equal(c, (const char *const[]){"t", "quartet_columns", NULL}, seed);
        for (uint32_t i = 0; i < 4; i++) {
            same_catalog(c->d[0], c->d[i], "sets");
            expect_rows(c->d[i], "SELECT * FROM t ORDER BY id",
                        "1|[\"plain\",\"x\"]\n2|[\"plain\",\"x\"]\n3|[\"c\",\"x\"]\n4|[\"d\",\"x\"]\n5|[\"x\"]\n6|[\"y\",\"z\"]\n");
        }
        run_sql(c->d[2], "UPDATE t SET tag = '[]'");
        cluster_exchange(c, &r);
        for (uint32_t i = 0; i < 4; i++)
            expect_rows(c->d[i], "SELECT count(*) FROM t WHERE tag = '[]'", "6\n");
        cluster_expect_equal(c, (const char *const[]){"t", NULL}, seed);
        cluster_free(c);
    }
}

/* A column gets a kind once the key over it is dropped. A DROP TABLE that another birth of the table outlives ends the row that dropped the key, and not the kind that it had not
 * seen: the key is left out, and nobody is kept from reading the definition. */
static void test_ddl_kind_outlives_the_drop_of_a_key(void)
{
    static const char create[] = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER UNIQUE, CONSTRAINT l UNIQUE (a))";
    struct prng r;
    prng_seed(&r, 1);
    struct cluster *c = cluster_new(3);
    cluster_peers(c);
    run_sql(c->d[2], create);
    cluster_seal(c, 2);
    uint32_t other = c->pool.count - 1;
    run_sql(c->d[0], create);
    run_sql(c->d[0], "ALTER TABLE t DROP CONSTRAINT l");
    run_sql(c->d[0], "ALTER TABLE t ALTER COLUMN a SET COUNTER");
    cluster_seal(c, 0);
    for (uint32_t i = other + 1; i < c->pool.count; i++) {
        (void)cluster_give(c, 1, i);
        (void)cluster_give(c, 2, i);
    }
    (void)cluster_give(c, 0, other);
    cluster_report(c, 1, 0);
    cluster_report(c, 2, 0);
    settle(c, 0, 1);
    run_sql(c->d[1], "DROP TABLE t");
    cluster_exchange(c, &r);
    run_sql(c->d[1], "INSERT INTO t VALUES (1, 5, 1), (2, 5, 2)");
    cluster_exchange(c, &r);
    for (uint32_t i = 0; i < 3; i++)
        run_sql(c->d[i], "UPDATE t SET a = a + 5 WHERE id = 1");
    cluster_exchange(c, &r);
    for (uint32_t i = 0; i < 3; i++) {
        same_catalog(c->d[0], c->d[i], "a kind without its claim");
        expect_rows(c->d[i], "SELECT * FROM t", "1|20|1\n2|5|2\n");
    }
    cluster_free(c);
}

const char *const unit_suite = "ddl";
const struct unit_test unit_tests[] = {
    {"every order of arrival", test_ddl_every_order},
    {"ADD COLUMN writes no rows", test_ddl_add_column_writes_no_rows},
    {"names that change hands", test_ddl_names_that_change_hands},
    {"kinds on one node", test_ddl_kinds_on_one_node},
    {"sets on one node", test_ddl_sets_on_one_node},
    {"sets and plain writes", test_ddl_sets_and_plain_writes},
    {"MERGE TOGETHER on one node", test_ddl_together_on_one_node},
    {"kinds chosen by two", test_ddl_kinds_chosen_by_two},
    {"a kind outlives the drop of a key", test_ddl_kind_outlives_the_drop_of_a_key},
    {"random worlds", test_ddl_random_worlds},
    {NULL, NULL},
};

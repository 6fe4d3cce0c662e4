/* cure.c - changes of schema or session that fit what broke, each tried: first on the shortest schedule, then on further runs.
 * A changed schema is the old one parsed, changed as a tree and printed; transactions stay as they are, so what needs other statements too is only told. */
#include "suite/suite.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "parser/parse.h"

#define TRIAL_RUNS 60u

struct edit { /* of one table; what is NULL or 0 stays */
    const char *table;
    const char *columns[8];
    uint32_t column_count;
    uint8_t kind;               /* of these columns: enum ast_column_kind */
    const char *column_check;   /* printf format of a CHECK, with the column's name */
    const char *constraint;     /* of the table, as SQL */
    bool updates_win;
};
struct trial {
    struct suite *u;
    const struct schedule *s;
    uint32_t invariant;
    struct cures *out;
    struct err *err;
};

static struct cure *new_cure(struct trial *t, const char *what)
{
    if (what == NULL || t->out->count == SUITE_CURES_MAX)
        return NULL;
    for (uint32_t i = 0; i < t->out->count; i++)
        if (strcmp(t->out->item[i].what, what) == 0)
            return NULL;
    struct cure *c = &t->out->item[t->out->count++];
    *c = (struct cure){.what = what, .verdict = CURE_UNTRIED, .detail = ""};
    return c;
}

static bool holds_here(struct trial *t, const struct schedule *s, struct cure *c)
{
    struct outcome o;
    bool ok = suite_replay(t->u, s, &o);
    bool holds = ok && !o.breaks[t->invariant].broken;
    if (!ok) {
        c->verdict = CURE_REFUSED;
        c->detail = arena_printf(&t->u->arena, "%s", o.fault);
    }
    outcome_free(&o);
    return holds;
}

/* The same, where the network is cut from the beginning, each node for itself as far as one cut does that. */
static bool holds_cut(struct trial *t, struct cure *c)
{
    bool holds = true;
    for (uint8_t k = 0; holds && k < t->s->nodes && t->s->count < SUITE_STEPS_MAX; k++) {
        struct schedule s = *t->s;
        memmove(&s.steps[1], &s.steps[0], s.count * sizeof s.steps[0]);
        s.steps[0] = (struct step){.kind = STEP_CUT, .other = (uint8_t)(1u << k)};
        s.count++;
        holds = holds_here(t, &s, c);
    }
    return holds;
}

/* The same, all transactions begun before any has ended. */
static bool holds_open(struct trial *t, struct cure *c)
{
    struct schedule s = *t->s;
    bool begun[SIM_NODES_MAX] = {false};
    for (uint32_t i = 0; i < t->s->count && s.count < SUITE_STEPS_MAX; i++)
        if (s.steps[i].kind == STEP_RUN && !begun[s.steps[i].node]) {
            begun[s.steps[i].node] = true;
            s.steps[i].kind = STEP_BEGIN;
            s.steps[s.count++] = (struct step){.kind = STEP_COMMIT, .node = s.steps[i].node};
        }
    return holds_here(t, &s, c);
}

/* With the changed schema or session in u: does the schedule hold, also at its worst, and do further runs? What the engine refuses is a refusal. */
static void try_it(struct trial *t, struct cure *c)
{
    struct suite *u = t->u;
    struct outcome o;
    uint64_t held = 0, tried = 0, done = 0, asked = 0;
    c->verdict = CURE_NOT_ENOUGH;
    c->detail = "this schedule still breaks";
    if (!holds_here(t, t->s, c))
        return;
    c->detail = "this schedule holds, but not while the network is cut";
    if (!holds_cut(t, c))
        return;
    c->detail = "this schedule holds, but not where the transactions are open at the same time";
    if (!holds_open(t, c))
        return;
    for (uint64_t run = 0; run < TRIAL_RUNS; run++) {
        struct schedule s;
        if (schedule_draw(u, run + 16, &s, t->err) != QUARTET_OK)
            break;
        tried++;
        held += suite_replay(u, &s, &o) && !o.breaks[t->invariant].broken;
        for (uint32_t i = 0; i < o.write_count; i++, asked++)
            done += o.writes[i].committed;
        outcome_free(&o);
    }
    c->verdict = held == tried ? CURE_HELPS : CURE_NOT_ENOUGH;
    c->detail = arena_printf(&u->arena, "this schedule holds, and so do %llu of %llu further runs, in which %llu of %llu transactions committed",
                             (unsigned long long)held, (unsigned long long)tried, (unsigned long long)done, (unsigned long long)asked);
}

/* ---- changing the schema ---- */

static struct ast_stmt *parse_one(struct trial *t, const char *sql)
{
    struct ast_stmt *st = NULL;
    size_t consumed = 0;
    struct err err = ERR_INIT;
    return parse_sql(&t->u->arena, sql, strlen(sql), NULL, &st, &consumed, &err) == QUARTET_OK ? st : NULL;
}

static bool append(struct trial *t, struct ast_constraints *to, const struct ast_constraints *more)
{
    struct ast_constraint **grown = arena_alloc(&t->u->arena, (to->count + more->count + 1) * sizeof(struct ast_constraint *));
    if (grown == NULL)
        return false;
    if (to->count > 0)
        memcpy(grown, to->item, to->count * sizeof(struct ast_constraint *));
    if (more->count > 0)
        memcpy(grown + to->count, more->item, more->count * sizeof(struct ast_constraint *));
    to->item = grown;
    to->count += more->count;
    to->cap = to->count + 1;
    return true;
}

static bool is_named(const struct edit *e, const char *column)
{
    for (uint32_t i = 0; i < e->column_count; i++)
        if (strcasecmp(e->columns[i], column) == 0)
            return true;
    return false;
}

static bool change_table(struct trial *t, struct ast_create_table *c, const struct edit *e)
{
    for (uint32_t i = 0; i < c->columns.count; i++) {
        struct ast_column_def *col = c->columns.item[i];
        if (!is_named(e, col->name.text))
            continue;
        if (e->kind != AST_COLUMN_LWW)
            col->column_kind = e->kind;
        if (e->column_check != NULL) {
            const char *sql = arena_printf(&t->u->arena, "CREATE TABLE x (%s INTEGER CHECK (%s %s))", col->name.text, col->name.text, e->column_check);
            struct ast_stmt *st = sql == NULL ? NULL : parse_one(t, sql);
            if (st == NULL || !append(t, &col->constraints, &st->u.create_table->columns.item[0]->constraints))
                return false;
        }
    }
    if (e->constraint != NULL) {
        const char *sql = arena_printf(&t->u->arena, "CREATE TABLE x (x INTEGER, %s)", e->constraint);
        struct ast_stmt *st = sql == NULL ? NULL : parse_one(t, sql);
        if (st == NULL || !append(t, &c->constraints, &st->u.create_table->constraints))
            return false;
    }
    c->updates_win = c->updates_win || e->updates_win;
    return true;
}

/* The whole schema with this change; NULL where it cannot be made. */
static const char *const *changed_schema(struct trial *t, const struct edit *edits, uint32_t edit_count)
{
    const struct wl_stmts *old = &t->u->w.schema;
    const char **list = arena_zalloc(&t->u->arena, old->count + 1, sizeof *list);
    uint32_t hit = 0;
    for (uint32_t i = 0; list != NULL && i < old->count; i++) {
        struct ast_stmt *st = parse_one(t, old->item[i].sql);
        bool mine = false;
        for (uint32_t e = 0; e < edit_count && st != NULL && st->kind == AST_STMT_CREATE_TABLE; e++)
            if (strcasecmp(st->u.create_table->name.name.text, edits[e].table) == 0) {
                mine = true;
                hit++;
                if (!change_table(t, st->u.create_table, &edits[e]))
                    return NULL;
            }
        list[i] = old->item[i].sql;
        if (mine) {
            struct buf text = {0};
            ast_print_stmt(st, &text);
            list[i] = text.failed ? NULL : arena_strndup(&t->u->arena, (const char *)text.data, text.len);
            buf_deinit(&text);
        }
        if (list[i] == NULL)
            return NULL;
    }
    return hit == edit_count ? list : NULL;
}

/* True: it helps. */
static bool try_edits(struct trial *t, const struct edit *e, uint32_t count, const char *what)
{
    struct cure *c = new_cure(t, what);
    if (c == NULL)
        return false;
    t->u->schema = changed_schema(t, e, count);
    if (t->u->schema != NULL)
        try_it(t, c);
    t->u->schema = NULL;
    return c->verdict == CURE_HELPS;
}

static bool try_edit(struct trial *t, const struct edit *e, const char *what)
{
    return try_edits(t, e, 1, what);
}

static void try_session(struct trial *t, const char *sql)
{
    struct cure *c = new_cure(t, sql);
    if (c == NULL)
        return;
    t->u->session = sql;
    try_it(t, c);
    t->u->session = NULL;
}

/* ---- what fits what ---- */

static const struct ast_column_def *column_in(struct trial *t, const char *table, const char *column)
{
    for (uint32_t i = 0; i < t->u->w.schema.count; i++) {
        struct ast_stmt *st = parse_one(t, t->u->w.schema.item[i].sql);
        if (st == NULL || st->kind != AST_STMT_CREATE_TABLE || strcasecmp(st->u.create_table->name.name.text, table) != 0)
            continue;
        for (uint32_t k = 0; k < st->u.create_table->columns.count; k++)
            if (strcasecmp(st->u.create_table->columns.item[k]->name.text, column) == 0)
                return st->u.create_table->columns.item[k];
    }
    return NULL;
}

static bool is_number(const struct ast_column_def *c)
{
    static const char *const numbers[] = {"INT", "DEC", "NUM", "MONEY", "FIXED"};
    for (size_t i = 0; c != NULL && c->type.text != NULL && i < sizeof numbers / sizeof *numbers; i++)
        if (strncasecmp(c->type.text, numbers[i], strlen(numbers[i])) == 0 || strcasestr(c->type.text, "INT") != NULL)
            return true;
    return false;
}

static const char *list_columns(struct trial *t, const struct diagnosis *d)
{
    struct buf b = {0};
    for (uint32_t i = 0; i < d->column_count; i++)
        buf_printf(&b, "%s%s", i > 0 ? ", " : "", d->columns[i]);
    const char *s = b.failed || b.len == 0 ? NULL : arena_strndup(&t->u->arena, (const char *)b.data, b.len);
    buf_deinit(&b);
    return s;
}

/* Both wrote these columns. */
static void cures_for_column(struct trial *t, const struct diagnosis *d)
{
    struct arena *a = &t->u->arena;
    const char *table = d->row_a->table;
    for (uint32_t i = 0; i < d->column_count; i++) {
        const char *c = d->columns[i];
        const struct ast_column_def *def = column_in(t, table, c);
        struct edit e = {.table = table, .columns = {c}, .column_count = 1};
        if (def != NULL && def->column_kind == AST_COLUMN_COUNTER) {
            e.column_check = ">= 0";
            (void)try_edit(t, &e, arena_printf(a, "table %s: %s COUNTER CHECK (%s >= 0), a counter that keeps its bound", table, c, c));
        } else if (is_number(def)) {
            e.kind = AST_COLUMN_COUNTER;
            if (try_edit(t, &e, arena_printf(a, "table %s: %s COUNTER", table, c)))
                continue;
            e.column_check = ">= 0";
            if (try_edit(t, &e, arena_printf(a, "table %s: %s COUNTER CHECK (%s >= 0), a counter that keeps its bound", table, c, c)))
                continue;
            e.column_check = NULL;
            e.kind = AST_COLUMN_MAXIMUM;
            (void)try_edit(t, &e, arena_printf(a, "table %s: %s MAXIMUM", table, c));
        } else if (new_cure(t, arena_printf(a, "table %s: %s SET (add and remove members by set_add, set_remove), or MULTIVALUE to keep both texts", table, c)) != NULL) {
            t->out->item[t->out->count - 1].detail = "not tried: the transactions' statements change with it";
        }
    }
}

static void cures_for_row(struct trial *t, const struct diagnosis *d)
{
    const char *columns = list_columns(t, d);
    struct edit e = {.table = d->row_a->table};
    if (columns == NULL || d->column_count < 2)
        return;
    e.constraint = arena_printf(&t->u->arena, "MERGE TOGETHER (%s)", columns);
    if (e.constraint != NULL)
        (void)try_edit(t, &e, arena_printf(&t->u->arena, "table %s: %s", e.table, e.constraint));
}

static void cures_for_duplicate(struct trial *t, const struct diagnosis *d)
{
    struct arena *a = &t->u->arena;
    struct edit e = {.table = d->row_a->table};
    for (uint32_t i = 0; i < d->column_count; i++) {
        e.constraint = arena_printf(a, "UNIQUE (%s)", d->columns[i]);
        if (e.constraint != NULL)
            (void)try_edit(t, &e, arena_printf(a, "table %s: %s; of two rows that claim a value one shows and the other is quarantined", e.table, e.constraint));
    }
    const char *all = d->column_count > 1 ? list_columns(t, d) : NULL;
    if (all != NULL && (e.constraint = arena_printf(a, "UNIQUE (%s)", all)) != NULL)
        (void)try_edit(t, &e, arena_printf(a, "table %s: %s; of two rows that claim a value one shows and the other is quarantined", e.table, e.constraint));
    struct cure *c = new_cure(t, arena_printf(a, "table %s: make these columns (%s) the primary key: two rows with one value are then one row", e.table,
                                              all != NULL ? all : d->columns[0]));
    if (c != NULL)
        c->detail = "not tried: the transactions' statements change with it";
}

static void cures_for_dangling(struct trial *t, const struct diagnosis *d)
{
    struct arena *a = &t->u->arena;
    const char *parent = d->row_a->table, *child = d->row_b->table;
    const char *fk = arena_printf(a, "FOREIGN KEY (%s) REFERENCES %s ON DELETE CASCADE", d->parent_column, parent);
    struct edit one = {.table = child, .constraint = fk};
    if (fk == NULL)
        return;
    (void)try_edit(t, &one, arena_printf(a, "table %s: %s; a row whose parent is gone is an orphan, which does not show", child, fk));
    const char *keep = arena_printf(a, "FOREIGN KEY (%s) REFERENCES %s ON MERGE KEEP PARENT", d->parent_column, parent);
    if (keep == NULL)
        return;
    struct edit both[2] = {{.table = child, .constraint = keep}, {.table = parent, .updates_win = true}};
    (void)try_edits(t, both, 2, arena_printf(a, "table %s: %s, and table %s: UPDATES WIN; then the parent stays", child, keep, parent));
}

static void cures_for_delete(struct trial *t, const struct diagnosis *d)
{
    struct edit e = {.table = d->row_a->table, .updates_win = true};
    (void)try_edit(t, &e, arena_printf(&t->u->arena, "table %s: UPDATES WIN", e.table));
}

static void untried(struct trial *t, const char *what)
{
    struct cure *c = new_cure(t, what);
    if (c != NULL)
        c->detail = "not tried: the transactions change with it";
}

quartet_status suite_cure(struct suite *u, const struct schedule *s, uint32_t invariant, const struct diagnosis *d, struct cures *out, struct err *err)
{
    struct trial t = {.u = u, .s = s, .invariant = invariant, .out = out, .err = err};
    *out = (struct cures){.count = 0};
    if (d->kind == ANOMALY_NONE_CONCURRENT) {
        untried(&t, "look at the transactions themselves: no merge is involved");
        return QUARTET_OK;
    }
    switch (d->kind) {
    case ANOMALY_LOST_UPDATE:
    case ANOMALY_OVERWRITE:
    case ANOMALY_OVERSPEND:
        cures_for_column(&t, d);
        cures_for_row(&t, d);
        break;
    case ANOMALY_MIXED_ROW:
        cures_for_row(&t, d);
        break;
    case ANOMALY_LOST_TO_DELETE:
        cures_for_delete(&t, d);
        break;
    case ANOMALY_DUPLICATE:
        cures_for_duplicate(&t, d);
        break;
    case ANOMALY_DANGLING:
        cures_for_dangling(&t, d);
        break;
    case ANOMALY_KEY_COLLISION:
        untried(&t, "give each row a key that nobody else makes: id UUID PRIMARY KEY DEFAULT (uuid()), or INTEGER PRIMARY KEY left to the node");
        break;
    default:
        if (d->row_a != NULL && d->column_count > 0)
            cures_for_column(&t, d);
        if (d->row_a != NULL)
            cures_for_row(&t, d);
        break;
    }
    try_session(&t, "SET consistency = 'cluster'");
    try_session(&t, "SET commit_acks = 'all'");
    if (d->kind == ANOMALY_WRITE_SKEW || d->kind == ANOMALY_STALE_READ)
        untried(&t, "let what is decided on and what is written be one row, or one bounded COUNTER: merging then sees the clash");
    return QUARTET_OK;
}

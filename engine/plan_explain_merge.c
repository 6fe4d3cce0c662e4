/* plan_explain_merge.c - EXPLAIN MERGE: which registers a statement writes, by which rule each merges, and what somebody who writes on another node at the same time can
 * do to it. Nothing is run: it tells what the table's definition and the statement say, for any row.
 * Not here: the plan itself (plan_explain.c); what merging does (crdt/row.c, docs/MERGE.md). */
#include "derived.h"
#include "plan.h"

#include <string.h>

#include "kind.h"

struct told {
    struct planner *p;
    struct ptext *text;
    uint32_t cap, node_cap;
    struct err *err;
};

static quartet_status tell(struct told *t, uint32_t depth, const char *text)
{
    struct arena *a = t->p->a;
    char *line = arena_printf(a, "%*s%s", (int)(2 * depth), "", text);
    if (line == NULL || !bind_grow(a, &t->text->lines, t->text->count, &t->cap, sizeof(char *)) ||
        !bind_grow(a, &t->text->nodes, t->text->count, &t->node_cap, sizeof(struct pnode *)))
        return arena_fail(a, t->err);
    t->text->nodes[t->text->count] = NULL;
    t->text->lines[t->text->count++] = line;
    return QUARTET_OK;
}

/* How a column's register merges, and what a concurrent write to it comes to. */
static const char *rule(uint8_t kind)
{
    switch (kind) {
    case ROW_COUNTER: return "all changes add up; a concurrent change counts as well";
    case ROW_MAXIMUM: return "the largest value ever written holds; a concurrent smaller one does nothing";
    case ROW_MINIMUM: return "the smallest value ever written holds; a concurrent larger one does nothing";
    case ROW_SET: return "merges by element; a concurrent addition of an element wins over its removal";
    case ROW_MULTIVALUE: return "replaces the values that this node has seen; a concurrent value stays beside it (siblings)";
    default: return "the last writer wins, by stamp; of concurrent values one is overridden and told in quartet_conflicts";
    }
}

static const char *set_writes(const struct column_def *c, const struct pset_column *set)
{
    if (c->kind == ROW_COUNTER)
        return set->add ? "adds, and does not read it" : "adds the difference to what was read";
    if (c->kind == ROW_SET)
        return set->add ? "adds and removes the elements named" : "adds and removes what makes the array of what was read";
    return c->kind == ROW_MAXIMUM || c->kind == ROW_MINIMUM ? "writes a value that may be the outermost" : "writes the value";
}

static quartet_status tell_column(struct told *t, const struct table_def *table, uint32_t column, const char *writes)
{
    const struct column_def *c = &table->columns[column];
    const char *bound = bounded_any(&c->bound) ? "; its bound holds on all nodes: what this node may take is its share" : "";
    const char *base = !c->over_lww ? "" : c->kind == ROW_SET ? "; who did not know that it is so yet wrote the plain register below, whose value is one element"
                                                              : "; who did not know that it is so yet wrote the plain register below, whose value it counts from";
    const char *soon = c->kind_claimed == ROW_LWW ? "" : arena_printf(t->p->a, "; %s once every member has acknowledged that", kind_name(c->kind_claimed));
    char *line = soon == NULL ? NULL : arena_printf(t->p->a, "%s.%s (%s): %s; %s%s%s%s", table->name, c->name, kind_name(c->kind), writes, rule(c->kind), bound, base, soon);
    return line == NULL ? arena_fail(t->p->a, t->err) : tell(t, 1, line);
}

static quartet_status tell_sets(struct told *t, const struct table_def *table, const struct pset_column *sets, uint32_t count)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < count && rc == QUARTET_OK; i++) {
        const struct column_def *c = &table->columns[sets[i].column];
        if (c->key_at < 0)
            rc = tell_column(t, table, sets[i].column, set_writes(c, &sets[i]));
    }
    return rc;
}

static bool touches(const uint32_t *columns, uint32_t n, const struct pset_column *sets, uint32_t set_count)
{
    bool found = sets == NULL;
    for (uint32_t i = 0; i < n && !found; i++)
        for (uint32_t k = 0; k < set_count; k++)
            found |= sets[k].column == columns[i];
    return found;
}

/* Columns that win or lose as one, where one of them is written. */
static quartet_status tell_together(struct told *t, const struct table_def *table, const struct pset_column *sets, uint32_t set_count)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; table->together != NULL && i < table->rows.count && rc == QUARTET_OK; i++) {
        uint16_t group = table->together[i];
        bool first = group != 0, written = false;
        const char *names = "";
        for (uint32_t k = 0; k < table->rows.count; k++) {
            if (table->together[k] != group)
                continue;
            first &= k >= i;
            written |= touches(&table->record_columns[k], 1, sets, set_count);
            names = arena_printf(t->p->a, "%s%s%s", names, names[0] != '\0' ? ", " : "", table->columns[table->record_columns[k]].name);
            if (names == NULL)
                return arena_fail(t->p->a, t->err);
        }
        if (!first || !written)
            continue;
        char *line = arena_printf(t->p->a, "%s merge together: who writes one of them writes all, as its node shows the row; of concurrent writes one wins as a whole", names);
        rc = line == NULL ? arena_fail(t->p->a, t->err) : tell(t, 1, line);
    }
    return rc;
}

static bool touches_index(const struct table_def *t, const struct index_def *ix, const struct pset_column *sets, uint32_t set_count)
{
    bool touched = sets == NULL;
    for (uint32_t i = 0; i <= ix->column_count && !touched; i++)
        for (uint32_t k = 0; k < set_count && !touched; k++) {
            uint32_t column = i < ix->column_count ? ix->columns[i] : ix->where;
            touched = column != INDEX_WHOLE && derived_reads(t, column, sets[k].column);
        }
    return touched;
}

/* What is checked here and can be broken by two that are each right. sets NULL: all columns are written. */
static quartet_status tell_constraints(struct told *t, const struct table_def *table, const struct pset_column *sets, uint32_t set_count)
{
    quartet_status rc = tell_together(t, table, sets, set_count);
    char *line = NULL;
    for (uint32_t i = 0; i < table->index_count && rc == QUARTET_OK; i++) {
        const struct index_def *ix = &table->indexes[i];
        if (!ix->unique || !touches_index(table, ix, sets, set_count))
            continue;
        line = arena_printf(t->p->a, "UNIQUE %s: of concurrent rows with one value the one born first keeps it, the other is out of sight (quartet_quarantine) until that changes", ix->name);
        rc = line == NULL ? arena_fail(t->p->a, t->err) : tell(t, 1, line);
    }
    for (uint32_t i = 0; i < table->check_count && rc == QUARTET_OK; i++) {
        line = arena_printf(t->p->a, "CHECK (%s): concurrent writes can break it together where it names several columns; such a row is out of sight (quartet_quarantine) until that changes",
                            table->checks[i].text);
        rc = line == NULL ? arena_fail(t->p->a, t->err) : tell(t, 1, line);
    }
    for (uint32_t i = 0; i < table->foreign_key_count && rc == QUARTET_OK; i++) {
        const struct foreign_key_def *f = &table->foreign_keys[i];
        if (f->keep_parent && (line = arena_printf(t->p->a, "REFERENCES %s ON MERGE KEEP PARENT: a write to that row too, which no concurrent DELETE takes away", f->parent)) == NULL)
            return arena_fail(t->p->a, t->err);
        if (f->keep_parent)
            rc = tell(t, 1, line);
        if (f->keep_parent || !touches(f->columns, f->column_count, sets, set_count))
            continue;
        line = arena_printf(t->p->a, "REFERENCES %s: where that row is deleted concurrently, this one is out of sight until it is there again", f->parent);
        rc = line == NULL ? arena_fail(t->p->a, t->err) : tell(t, 1, line);
    }
    return rc;
}

static quartet_status tell_against_delete(struct told *t, const struct table_def *table)
{
    return tell(t, 1, table->updates_win ? "a concurrent DELETE of the row: the row stays, as this leaves it (UPDATES WIN)"
                                              : "a concurrent DELETE of the row: no row, what this writes is lost and told in quartet_conflicts");
}

static quartet_status tell_insert(struct told *t, const struct pwrite *w)
{
    const struct table_def *table = w->table;
    char *head = arena_printf(t->p->a, "INSERT into %s: a birth of the row, with all its columns", table->name);
    quartet_status rc = head == NULL ? arena_fail(t->p->a, t->err) : tell(t, 0, head);
    if (rc == QUARTET_OK)
        rc = tell(t, 1, table->hidden_key ? "the key is made by this node: nobody else inserts the same row"
                        : table->rowid_key && w->from[table->key_columns[0]] == PLAN_NONE
                            ? "the key is assigned by this node, from numbers that no other member assigns"
                            : "a concurrent INSERT of the same key: one row; plain columns are the later INSERT's, COUNTERs add up, SETs unite, MAXIMUM and MINIMUM hold the outermost, MULTIVALUE all");
    if (rc == QUARTET_OK)
        rc = tell(t, 1, "a concurrent DELETE: ends only rows that its node has seen, never this one");
    for (uint32_t i = 0; i < w->upsert_count && rc == QUARTET_OK; i++)
        if (w->upserts[i].do_update) {
            rc = tell(t, 1, "over a row that this node sees, ON CONFLICT writes instead:");
            if (rc == QUARTET_OK)
                rc = tell_sets(t, table, w->upserts[i].sets, w->upserts[i].set_count);
            if (rc == QUARTET_OK)
                rc = tell_against_delete(t, table);
        }
    if (rc == QUARTET_OK && w->on_conflict == AST_CONFLICT_REPLACE)
        rc = tell(t, 1, "rows that stand in the way are deleted: concurrent changes of those are lost with them");
    return rc == QUARTET_OK ? tell_constraints(t, table, NULL, 0) : rc;
}

static quartet_status tell_update(struct told *t, const struct pwrite *w)
{
    char *head = arena_printf(t->p->a, "UPDATE of %s: the rows that this node sees; rows inserted concurrently are not touched", w->table->name);
    quartet_status rc = head == NULL ? arena_fail(t->p->a, t->err) : tell(t, 0, head);
    if (rc == QUARTET_OK)
        rc = tell_sets(t, w->table, w->sets, w->set_count);
    if (rc == QUARTET_OK && w->key_changes)
        rc = tell(t, 1, "the primary key: where it changes, a DELETE of the old row and an INSERT of the new one; concurrent changes of the old row are lost with it");
    if (rc == QUARTET_OK)
        rc = tell_against_delete(t, w->table);
    return rc == QUARTET_OK ? tell_constraints(t, w->table, w->sets, w->set_count) : rc;
}

static quartet_status tell_delete(struct told *t, const struct pwrite *w)
{
    char *head = arena_printf(t->p->a, "DELETE from %s: ends the births that this node has seen; rows inserted concurrently stay", w->table->name);
    quartet_status rc = head == NULL ? arena_fail(t->p->a, t->err) : tell(t, 0, head);
    if (rc == QUARTET_OK)
        rc = tell(t, 1, w->table->updates_win ? "a concurrent UPDATE of the row: the row stays, as the UPDATE left it (UPDATES WIN)"
                                                   : "a concurrent UPDATE of the row: no row, what it wrote is lost and told in quartet_conflicts");
    return rc;
}

static quartet_status tell_statement(struct told *t, const struct pnode *n)
{
    if ((n->kind == PN_INSERT || n->kind == PN_UPDATE || n->kind == PN_DELETE) && n->u.write->instead)
        return tell(t, 0, "writes a view: what its INSTEAD OF triggers write is all that is written");
    if ((n->kind == PN_INSERT || n->kind == PN_UPDATE || n->kind == PN_DELETE) && n->u.write->table->temporary)
        return tell(t, 0, "writes a temporary table: nobody else ever sees it");
    switch (n->kind) {
    case PN_INSERT: return tell_insert(t, n->u.write);
    case PN_UPDATE: return tell_update(t, n->u.write);
    case PN_DELETE: return tell_delete(t, n->u.write);
    case PN_BACKTRACK:
        return tell(t, 0, "BACKTRACK writes the old values as new ones: plain and MULTIVALUE columns as UPDATE does, COUNTERs and SETs by the difference, a MAXIMUM or MINIMUM begins anew, and "
                          "concurrent writes to the one before no longer count");
    case PN_RESOLVE: return tell(t, 0, "RESOLVE CONFLICT writes the value back as UPDATE does: a plain column, the last writer wins, by stamp");
    default: return tell(t, 0, "writes no register: nothing that others do at the same time can change it, nor it them");
    }
}

quartet_status plan_explain_merge(struct planner *p, struct ptext **out, struct err *err)
{
    struct told t = {.p = p, .text = arena_zalloc(p->a, 1, sizeof *t.text), .err = err};
    const struct pnode *root = p->plan->root;
    if (t.text == NULL)
        return arena_fail(p->a, err);
    while (root->kind == PN_WITH)
        root = root->child[0];
    *out = t.text;
    quartet_status rc = tell_statement(&t, root);
    bool writes = root->kind == PN_INSERT || root->kind == PN_UPDATE || root->kind == PN_DELETE;
    for (uint32_t i = 0; writes && rc == QUARTET_OK && i < 3; i++)
        if (root->u.write->effects[i] != NULL) {
            rc = tell(&t, 1, "triggers and actions of foreign keys write too, as statements of their own: EXPLAIN MERGE those");
            break;
        }
    return rc;
}

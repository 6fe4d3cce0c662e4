/* catalog_table.c - a table's definition from its SQL: CREATE TABLE as first created, columns added since, indexes.
 * Why from SQL: the text is what replicates, so every node derives the same structure from the same bytes, and a later version can read more
 *   out of it than this one.
 * Invariants: column ids 0, 1, ... are those of CREATE TABLE, added columns bring their own; the record holds the non-key columns in that order, then the added
 *   ones in the order in which this node learnt of them, so that records written before stay readable.
 * Not here: whether a definition is allowed for users (ddl.c asks table_box_new and reports its errors). */
#include "catalog_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/mem.h"
#include "kind.h"
#include "parser/parse.h"
#include "types.h"

tree_id object_id(const char *kind, const char *name, const char *sql, uint64_t dropped)
{
    char folded[256];
    size_t n = 0;
    for (; name[n] != '\0' && n < sizeof folded - 1; n++)
        folded[n] = name[n] >= 'A' && name[n] <= 'Z' ? (char)(name[n] + ('a' - 'A')) : name[n];
    uint64_t h = XXH3_64bits_withSeed(kind, strlen(kind), dropped);
    h = XXH3_64bits_withSeed(folded, n, h);
    uint64_t id = XXH3_64bits_withSeed(sql, strlen(sql), h) & INT64_MAX;
    return id < SYS_TREES_END ? id + SYS_TREES_END : id;
}

/* A tree of an index that stands in the table's own definition. */
static tree_id implied_index_id(tree_id table, const char *kind, const struct column_def *columns, const uint32_t *at, uint32_t n)
{
    uint64_t h = XXH3_64bits_withSeed(kind, strlen(kind), table);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t le[4];
        store_le32(le, columns[at[i]].id);
        h = XXH3_64bits_withSeed(le, sizeof le, h);
    }
    uint64_t id = h & INT64_MAX;
    return id < SYS_TREES_END ? id + SYS_TREES_END : id;
}

quartet_status build_parse(struct build *b, const char *sql, struct ast_stmt **out)
{
    size_t consumed;
    quartet_status rc = parse_sql(b->a, sql, strlen(sql), NULL, out, &consumed, b->err);
    if (rc == QUARTET_OK && *out == NULL)
        rc = err_set(b->err, QUARTET_CORRUPT, "table %s: empty definition", b->src->name);
    return rc;
}

/* A column by the name that a definition gives it: one of CREATE TABLE by the name it was created with, whatever has that name since; any other by the one it has. */
int32_t build_column_called(const struct build *b, const char *name, bool original)
{
    if (!original || b->present)
        return table_column(b->t, name);
    for (uint32_t i = 0; i < b->base; i++)
        if (name_cmp(b->first_name[i], name) == 0)
            return b->dropped[i] ? -1 : (int32_t)b->place[i];
    return -1;
}

/* UNIQUE and INDEX in the table's own definition. */
static quartet_status build_implied(struct build *b, const struct ast_constraint *c, int32_t own)
{
    uint32_t *at, n;
    bool *desc;
    quartet_status rc = build_key_columns(b, c, NULL, own, true, &at, &n, &desc);
    if (rc != QUARTET_OK)
        return rc;
    bool unique = c->kind == AST_CONSTRAINT_UNIQUE;
    tree_id id = implied_index_id(b->src->id, unique ? "unique" : "index", b->columns, at, n);
    for (uint32_t i = 0; i < b->t->index_count; i++)
        if (b->indexes[i].id == id)
            return QUARTET_OK; /* said twice */
    bool is_key = unique && n == b->t->key_count;
    for (uint32_t i = 0; is_key && i < n; i++)
        is_key = b->t->key_columns[i] == at[i];
    if (is_key)
        return QUARTET_OK; /* the primary key is unique anyway */
    struct index_def *ix = &b->indexes[b->t->index_count];
    *ix = (struct index_def){.id = id, .unique = unique, .implied = true, .name = c->name.text, .columns = at, .column_count = n, .where = INDEX_WHOLE};
    if (ix->name == NULL)
        ix->name = arena_printf(b->a, "%s_%s_%u", b->src->name, unique ? "unique" : "index", b->t->index_count + 1);
    if (ix->name == NULL)
        return build_nomem(b);
    rc = build_keys(b, at, desc, n, &ix->keys);
    if (rc == QUARTET_OK)
        b->t->index_count++;
    return rc;
}

static bool word_char(char c)
{
    return c == '_' || c == '$' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

/* Does the canonical text of an expression name this column? Texts in quotes may answer yes too often, which refuses too much, never too little. */
bool build_names(const char *text, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = text; *p != '\0'; p++) {
        if (p > text && word_char(p[-1]))
            continue;
        size_t i = 0;
        while (i < n && p[i] != '\0') {
            char x[2] = {p[i], 0}, y[2] = {name[i], 0};
            if (name_cmp(x, y) != 0)
                break;
            i++;
        }
        if (i == n && !word_char(p[n]))
            return true;
    }
    return false;
}

const char *build_now_called(void *build, const char *name)
{
    struct build *b = build;
    uint32_t id;
    if (!catalog_column_id(name, &id))
        return NULL;
    for (uint32_t i = 0; i < b->t->visible_count; i++)
        if (b->columns[i].id == id)
            return b->columns[i].name;
    b->missed = true;
    return NULL;
}

/* A CHECK of CREATE TABLE says the names that columns had there; one of a column that was added or changed that column's own name, and others by id. */
const char *build_new_name(void *arg, const char *name)
{
    struct build *b = arg;
    uint32_t own = b->at_column;
    if (own != UINT32_MAX && (own >= b->base || b->overridden[own]))
        return name_cmp(b->own_name[own], name) == 0 ? b->columns[b->place[own]].name : build_now_called(b, name);
    for (uint32_t i = 0; i < b->base; i++)
        if (name_cmp(b->first_name[i], name) == 0) {
            b->missed |= b->dropped[i];
            return b->dropped[i] ? NULL : b->columns[b->place[i]].name;
        }
    return NULL;
}

/* Kinds whose value may be one that nobody wrote. */
static bool merges_values(uint8_t kind)
{
    return kind == ROW_COUNTER || kind == ROW_SET || kind == ROW_MULTIVALUE;
}

/* A CHECK over a generated column is one over what that is computed from. */
static quartet_status check_computed(struct build *b, const struct ast_constraint *c, uint32_t at)
{
    for (uint32_t i = 0; i < b->t->column_count; i++)
        if (i != at && derived_reads(b->t, at, i) && merges_values(b->columns[i].kind))
            return err_set_at(b->err, QUARTET_ERROR, c->offset, "a CHECK over column %s, which is computed from the %s column %s, is not supported", b->columns[at].name,
                              kind_name(b->columns[i].kind), b->columns[i].name);
    return QUARTET_OK;
}

static quartet_status build_check(struct build *b, struct ast_constraint *c)
{
    struct check_def *k = &b->checks[b->t->check_count];
    struct buf text = {0};
    b->missed = false;
    quartet_status rc = b->present ? QUARTET_OK : catalog_rename_constraint(c, build_new_name, b, b->a, b->err);
    if (rc == QUARTET_OK && b->missed) /* it names a column that another node dropped: it went with that */
        c->check = NULL;
    if (rc != QUARTET_OK || c->check == NULL)
        return rc;
    struct ast_expr *check = c->check;
    ast_print_expr(check, &text);
    rc = buf_check(&text, b->err);
    *k = (struct check_def){.name = c->name.text, .expr = check,
                            .text = rc == QUARTET_OK ? arena_strndup(b->a, (const char *)text.data, text.len) : NULL};
    buf_deinit(&text);
    if (rc != QUARTET_OK)
        return rc;
    if (k->text == NULL)
        return build_nomem(b);
    for (uint32_t i = 0; i < b->t->visible_count && rc == QUARTET_OK; i++) {
        if (b->columns[i].derived && build_names(k->text, b->columns[i].name))
            rc = check_computed(b, c, i);
        if (rc != QUARTET_OK || !merges_values(b->columns[i].kind) || !build_names(k->text, b->columns[i].name))
            continue;
        if (b->columns[i].over_lww) { /* made while another node gave the column its kind: it went with that */
            c->check = NULL;
            return QUARTET_OK;
        }
        if (b->columns[i].kind == ROW_COUNTER)
            rc = build_bound(b, &b->columns[i], check);
        else
            rc = err_set_at(b->err, QUARTET_ERROR, c->offset, "a CHECK over the %s column %s is not supported: what merges into it need not keep what each writer kept",
                            kind_name(b->columns[i].kind), b->columns[i].name);
    }
    if (rc != QUARTET_OK)
        return rc;
    b->t->check_count++;
    return QUARTET_OK;
}

/* What the key says, in what no RENAME of another table changes. */
static uint32_t told_as(const struct build *b, const uint32_t *at, uint32_t n, const struct ast_references *r)
{
    uint64_t h = XXH3_64bits(r->table.name.text, strlen(r->table.name.text));
    for (uint32_t i = 0; i < n; i++)
        h = XXH3_64bits_withSeed(&b->columns[at[i]].id, sizeof b->columns[at[i]].id, h);
    for (uint32_t i = 0; i < r->columns.count; i++)
        h = XXH3_64bits_withSeed(r->columns.item[i].text, strlen(r->columns.item[i].text), h);
    return (uint32_t)h;
}

/* Who is referenced, as far as that is told; the text says what it is called now. */
static quartet_status build_parent(struct build *b, struct ast_references *r, struct foreign_key_def *f)
{
    for (uint32_t i = 0; i < b->src->parent_count; i++) {
        const struct table_parent *p = &b->src->parents[i];
        if (p->told_as != f->told_as)
            continue;
        f->parent_id = p->parent;
        if (p->name == NULL)
            continue;
        r->table.name.text = arena_strndup(b->a, p->name, strlen(p->name));
        r->table.name.len = (uint32_t)strlen(p->name);
        if (r->table.name.text == NULL)
            return build_nomem(b);
    }
    f->parent = r->table.name.text;
    return QUARTET_OK;
}

static quartet_status build_foreign_key(struct build *b, struct ast_constraint *c, int32_t own)
{
    struct foreign_key_def *f = &b->fks[b->t->foreign_key_count];
    uint32_t n = own >= 0 ? 1 : c->fk_columns.count;
    uint32_t *at = arena_zalloc(b->a, n + 1u, sizeof *at);
    const struct ast_references *r = c->references;
    const char **parent = r->columns.count > 0 ? arena_zalloc(b->a, r->columns.count, sizeof *parent) : NULL;
    if (at == NULL || (r->columns.count > 0 && parent == NULL))
        return build_nomem(b);
    if (own >= 0)
        at[0] = (uint32_t)own;
    for (uint32_t i = 0; own < 0 && i < n; i++) {
        int32_t k = build_column_called(b, c->fk_columns.item[i].text, true);
        if (k >= 0)
            c->fk_columns.item[i].text = b->columns[k].name;
        if (k < 0)
            return err_set_at(b->err, QUARTET_ERROR, c->fk_columns.item[i].offset, "no such column: %s", c->fk_columns.item[i].text);
        at[i] = (uint32_t)k;
    }
    if (r->columns.count > 0 && r->columns.count != n)
        return err_set_at(b->err, QUARTET_ERROR, c->offset, "FOREIGN KEY has %u columns, but references %u", n, r->columns.count);
    for (uint32_t i = 0; i < r->columns.count; i++)
        parent[i] = r->columns.item[i].text;
    for (uint32_t i = 0; i < n; i++)
        if (b->columns[at[i]].derived)
            return err_set_at(b->err, QUARTET_ERROR, c->offset, "the generated column %s can be in no foreign key", b->columns[at[i]].name);
        else if (b->columns[at[i]].kind != ROW_LWW)
            return err_set_at(b->err, QUARTET_ERROR, c->offset, "the %s column %s can be in no foreign key", kind_name(b->columns[at[i]].kind),
                              b->columns[at[i]].name);
    *f = (struct foreign_key_def){.name = c->name.text, .parent = r->table.name.text, .column_count = n, .columns = at,
                                  .parent_columns = parent, .on_delete = r->on_delete, .on_update = r->on_update,
                                  .keep_parent = r->keep_parent, .told_as = told_as(b, at, n, r)};
    b->t->foreign_key_count++;
    return build_parent(b, c->references, f);
}

static quartet_status build_primary(struct build *b)
{
    struct table_def *t = b->t;
    if (b->primary == NULL) {
        t->hidden_key = true;
        return QUARTET_OK;
    }
    uint32_t *at, n;
    bool *desc;
    quartet_status rc = build_key_columns(b, b->primary, NULL, b->primary_column, true, &at, &n, &desc);
    if (rc != QUARTET_OK)
        return rc;
    rc = build_keys(b, at, desc, n, &t->keys);
    if (rc != QUARTET_OK)
        return rc;
    for (uint32_t i = 0; i < n; i++) {
        struct column_def *c = &b->columns[at[i]];
        if (c->derived)
            return err_set_at(b->err, QUARTET_ERROR, b->primary->offset, "the generated column %s cannot be in the primary key", c->name);
        if (c->kind != ROW_LWW)
            return err_set_at(b->err, QUARTET_ERROR, b->primary->offset, "the %s column %s cannot be in the primary key", kind_name(c->kind), c->name);
        if (c->nocase)
            return err_set_at(b->err, QUARTET_ERROR, b->primary->offset,
                              "column %s: a primary key compares bytes; declare COLLATE NOCASE with UNIQUE instead", c->name);
        c->key_at = (int32_t)i;
        c->not_null = true;
    }
    t->key_count = n;
    t->key_columns = at;
    t->rowid_key = n == 1 && b->columns[at[0]].type == VALUE_INTEGER && !b->columns[at[0]].is_boolean && !desc[0];
    if (t->rowid_key)
        b->columns[at[0]].not_null = false; /* a NULL is assigned */
    return QUARTET_OK;
}

/* Calls `each` for every constraint of one kind, the columns' own first. */
static quartet_status each_constraint(struct build *b, quartet_status (*each)(struct build *, struct ast_constraint *, int32_t))
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 0; i < b->total && rc == QUARTET_OK; i++) {
        const struct ast_constraints *own = &b->ast->columns.item[i]->constraints;
        b->at_column = i;
        for (uint32_t k = 0; k < own->count && rc == QUARTET_OK && !b->dropped[i]; k++)
            rc = each(b, own->item[k], (int32_t)b->place[i]);
    }
    b->at_column = UINT32_MAX;
    for (uint32_t k = 0; k < b->ast->constraints.count && rc == QUARTET_OK; k++)
        rc = each(b, b->ast->constraints.item[k], -1);
    b->present = true;
    for (uint32_t k = 0; k < b->more_count && rc == QUARTET_OK; k++)
        rc = each(b, b->more[k], -1);
    b->present = false;
    return rc;
}

static quartet_status find_primary(struct build *b, struct ast_constraint *c, int32_t own)
{
    b->check_cap += c->kind == AST_CONSTRAINT_CHECK;
    b->fk_cap += c->kind == AST_CONSTRAINT_FOREIGN_KEY;
    b->index_cap += c->kind == AST_CONSTRAINT_UNIQUE || c->kind == AST_CONSTRAINT_INDEX;
    if (c->kind != AST_CONSTRAINT_PRIMARY_KEY)
        return QUARTET_OK;
    if (b->primary != NULL)
        return err_set_at(b->err, QUARTET_ERROR, c->offset, "table %s has more than one primary key", b->src->name);
    b->primary = c;
    b->primary_column = own;
    return QUARTET_OK;
}

static quartet_status build_constraint(struct build *b, struct ast_constraint *c, int32_t own)
{
    switch (c->kind) {
    case AST_CONSTRAINT_UNIQUE: case AST_CONSTRAINT_INDEX:
        if (own >= 0 && b->columns[own].kind != ROW_LWW)
            return err_set_at(b->err, QUARTET_ERROR, c->offset, "the %s column %s can be in no key and no index", kind_name(b->columns[own].kind), b->columns[own].name);
        return build_implied(b, c, own);
    case AST_CONSTRAINT_CHECK: return build_check(b, c);
    case AST_CONSTRAINT_FOREIGN_KEY: return build_foreign_key(b, c, own);
    case AST_CONSTRAINT_MERGE_TOGETHER: return build_together_clause(b, c);
    default: return QUARTET_OK;
    }
}

/* Do the first columns of a key make up these, in any order? */
static bool begins_with(const uint32_t *key, uint32_t key_count, const uint32_t *columns, uint32_t n)
{
    uint32_t met = 0;
    for (uint32_t i = 0; i < n && n <= key_count; i++)
        for (uint32_t k = 0; k < n; k++)
            met += key[i] == columns[k];
    return met == n;
}

/* A FOREIGN KEY whose columns no other index begins with gets one of its own: which rows reference a key is asked wherever a row that is referenced goes. */
static quartet_status build_key_indexes(struct build *b)
{
    for (uint32_t k = 0; k < b->t->foreign_key_count; k++) {
        const struct foreign_key_def *f = &b->fks[k];
        bool held = !b->t->hidden_key && begins_with(b->t->key_columns, b->t->key_count, f->columns, f->column_count);
        for (uint32_t i = 0; i < b->t->index_count && !held; i++)
            held = b->indexes[i].where == INDEX_WHOLE && begins_with(b->indexes[i].columns, b->indexes[i].column_count, f->columns, f->column_count);
        if (held)
            continue;
        struct index_def *ix = &b->indexes[b->t->index_count];
        bool *desc = arena_zalloc(b->a, f->column_count + 1u, sizeof *desc);
        *ix = (struct index_def){.id = implied_index_id(b->src->id, "foreign", b->columns, f->columns, f->column_count), .implied = true,
                                 .columns = f->columns, .column_count = f->column_count, .where = INDEX_WHOLE};
        ix->name = arena_printf(b->a, "%s_foreign_%u", b->src->name, k + 1);
        if (desc == NULL || ix->name == NULL)
            return build_nomem(b);
        quartet_status rc = build_keys(b, f->columns, desc, f->column_count, &ix->keys);
        if (rc != QUARTET_OK)
            return rc;
        b->t->index_count++;
    }
    return QUARTET_OK;
}

quartet_status catalog_triggers(const struct table_trigger *from, uint32_t count, struct arena *a, const struct trigger_def **out, uint32_t *out_count, struct err *err)
{
    struct trigger_def *triggers = arena_zalloc(a, count + 1u, sizeof *triggers);
    uint32_t n = 0;
    if (triggers == NULL)
        return arena_fail(a, err);
    *out = triggers;
    for (uint32_t i = 0; i < count; i++) {
        struct trigger_def *to = &triggers[n];
        struct ast_stmt *stmt = NULL;
        size_t consumed;
        *to = (struct trigger_def){.id = from[i].id, .name = arena_strndup(a, from[i].name, strlen(from[i].name)), .sql = arena_strndup(a, from[i].sql, strlen(from[i].sql))};
        if (to->name == NULL || to->sql == NULL)
            return arena_fail(a, err);
        quartet_status rc = parse_sql(a, to->sql, strlen(to->sql), NULL, &stmt, &consumed, err);
        if (rc == QUARTET_NOMEM)
            return rc;
        err_clear(err);
        if (rc != QUARTET_OK || stmt == NULL || stmt->kind != AST_STMT_CREATE_TRIGGER)
            continue;
        to->ast = stmt->u.create_trigger;
        n++;
    }
    *out_count = n;
    return QUARTET_OK;
}

/* CHECKs that went with a column; a MERGE TOGETHER of nothing. */
static void leave_out_gone(struct ast_constraints *list)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++)
        if ((list->item[i]->kind != AST_CONSTRAINT_CHECK || list->item[i]->check != NULL) &&
            (list->item[i]->kind != AST_CONSTRAINT_MERGE_TOGETHER || list->item[i]->columns.count > 0))
            list->item[kept++] = list->item[i];
    list->count = kept;
}

static quartet_status build_text(struct build *b)
{
    struct buf text = {0};
    size_t n = strlen(b->src->name);
    b->ast->name.name.text = b->t->name; /* after a rename */
    b->ast->name.name.len = (uint32_t)n;
    b->ast->name.schema.text = NULL;
    uint32_t shown = 0;
    leave_out_gone(&b->ast->constraints);
    for (uint32_t i = 0; i < b->total; i++)
        if (!b->dropped[i]) {
            leave_out_gone(&b->ast->columns.item[i]->constraints);
            b->ast->columns.item[shown++] = b->ast->columns.item[i];
        }
    b->ast->columns.count = shown;
    ast_print_stmt(b->stmt, &text);
    quartet_status rc = buf_check(&text, b->err);
    if (rc == QUARTET_OK) {
        b->t->sql = arena_strndup(b->a, (const char *)text.data, text.len);
        if (b->t->sql == NULL)
            rc = build_nomem(b);
    }
    buf_deinit(&text);
    return rc;
}

static quartet_status build_table(struct build *b)
{
    struct table_def *t = b->t;
    quartet_status rc = build_parse(b, b->src->sql, &b->stmt);
    if (rc != QUARTET_OK)
        return rc;
    if (b->stmt->kind != AST_STMT_CREATE_TABLE)
        return err_set(b->err, QUARTET_CORRUPT, "table %s: its definition is no CREATE TABLE", b->src->name);
    b->ast = b->stmt->u.create_table;
    uint32_t base = b->base = b->ast->columns.count;
    if (base == 0)
        return err_set(b->err, QUARTET_ERROR, "table %s has no columns", b->src->name);
    rc = build_added(b);
    if (rc != QUARTET_OK)
        return rc;
    uint32_t total = b->ast->columns.count;
    if (total > ROW_COLUMNS_MAX)
        return err_set(b->err, QUARTET_LIMIT, "table %s has %u columns, limit %u", b->src->name, total, ROW_COLUMNS_MAX);
    t->first_name = b->ast->name.name.text;
    for (uint32_t i = 0; i < b->ast->options.count; i++)
        if (name_cmp(b->ast->options.item[i].name.text, "COMMENT") == 0)
            t->comment = b->ast->options.item[i].value;
    rc = build_columns(b, base);
    if (rc != QUARTET_OK)
        return rc;
    rc = build_constraints(b);
    if (rc == QUARTET_OK)
        rc = each_constraint(b, find_primary);
    if (rc == QUARTET_OK)
        rc = build_primary(b);
    if (rc == QUARTET_OK)
        rc = build_record(b, base);
    if (rc == QUARTET_OK)
        rc = build_generated(b);
    if (rc == QUARTET_OK)
        rc = build_indexes_begin(b);
    if (rc == QUARTET_OK)
        rc = build_together_begin(b);
    if (rc != QUARTET_OK)
        return rc;
    b->checks = arena_zalloc(b->a, b->check_cap + 1u, sizeof *b->checks);
    b->fks = arena_zalloc(b->a, b->fk_cap + 1u, sizeof *b->fks);
    b->indexes = arena_zalloc(b->a, b->index_cap + b->fk_cap + b->src->index_count + 1u, sizeof *b->indexes);
    if (b->checks == NULL || b->fks == NULL || b->indexes == NULL)
        return build_nomem(b);
    t->checks = b->checks;
    t->foreign_keys = b->fks;
    t->indexes = b->indexes;
    rc = each_constraint(b, build_constraint);
    for (uint32_t i = 0; i < b->src->index_count && rc == QUARTET_OK; i++)
        rc = build_created_index(b, i);
    if (rc == QUARTET_OK)
        rc = build_key_indexes(b);
    if (rc == QUARTET_OK)
        rc = catalog_triggers(b->src->triggers, b->src->trigger_count, b->a, &t->triggers, &t->trigger_count, b->err);
    if (rc == QUARTET_OK)
        rc = build_together(b);
    if (rc == QUARTET_OK)
        rc = build_constraints_text(b);
    return rc == QUARTET_OK ? build_text(b) : rc;
}

uint64_t table_source_hash(const struct table_source *s)
{
    uint64_t h = XXH3_64bits_withSeed(s->name, strlen(s->name), s->id);
    h = XXH3_64bits_withSeed(s->sql, strlen(s->sql), h);
    for (uint32_t i = 0; i < s->added_count; i++) /* a name differs from the definition's by a suffix only */
        h = XXH3_64bits_withSeed(s->added[i].sql, strlen(s->added[i].sql),
                                 h ^ s->added[i].id ^ (uint64_t)s->added[i].order << 32) + strlen(s->added[i].name);
    for (uint32_t i = 0; i < s->override_count; i++) {
        h = XXH3_64bits_withSeed(s->overrides[i].sql, strlen(s->overrides[i].sql), h ^ s->overrides[i].id);
        h = XXH3_64bits_withSeed(s->overrides[i].name, strlen(s->overrides[i].name), h);
    }
    for (uint32_t i = 0; i < s->kind_count; i++) {
        const struct table_kind *k = &s->kinds[i];
        uint64_t told[4] = {k->id, (uint64_t)k->kind << 1 | k->settled, k->birth.stamp, k->birth.chain};
        h = XXH3_64bits_withSeed(told, sizeof told, h);
    }
    for (uint32_t i = 0; i < s->parent_count; i++) {
        const struct table_parent *p = &s->parents[i];
        uint64_t told[2] = {p->told_as, p->parent};
        h = XXH3_64bits_withSeed(told, sizeof told, h);
        h = p->name == NULL ? h : XXH3_64bits_withSeed(p->name, strlen(p->name), h);
    }
    for (uint32_t i = 0; i < s->index_count; i++) {
        h = XXH3_64bits_withSeed(s->indexes[i].sql, strlen(s->indexes[i].sql), h ^ s->indexes[i].id);
        h = XXH3_64bits_withSeed(s->indexes[i].name, strlen(s->indexes[i].name), h);
    }
    for (uint32_t i = 0; i < s->trigger_count; i++) {
        h = XXH3_64bits_withSeed(s->triggers[i].sql, strlen(s->triggers[i].sql), h ^ s->triggers[i].id);
        h = XXH3_64bits_withSeed(s->triggers[i].name, strlen(s->triggers[i].name), h);
    }
    for (uint32_t i = 0; i < s->constraint_count; i++) {
        h = XXH3_64bits_withSeed(s->constraints[i].sql, strlen(s->constraints[i].sql), h ^ s->constraints[i].id);
        h = XXH3_64bits_withSeed(s->constraints[i].name, strlen(s->constraints[i].name), h);
    }
    return h ^ (uint64_t)s->temporary << 8 ^ (uint64_t)s->dropped ^ (uint64_t)s->is_system << 1 ^ (uint64_t)s->updates << 2;
}

quartet_status table_box_new(const struct table_source *source, struct table_box **out, struct err *err)
{
    struct table_box *box = mem_zalloc(1, sizeof *box);
    if (box == NULL)
        return err_nomem(err);
    atomic_init(&box->refs, 1);
    box->inputs = table_source_hash(source);
    struct build b = {.a = &box->arena, .src = source, .t = &box->def, .err = err, .primary_column = -1};
    box->def.id = source->id;
    box->def.is_system = source->is_system;
    box->def.dropped = source->dropped;
    box->def.temporary = source->temporary;
    box->def.name = arena_strndup(&box->arena, source->name, strlen(source->name));
    quartet_status rc = box->def.name == NULL ? build_nomem(&b) : build_table(&b);
    if (rc != QUARTET_OK) {
        table_box_unref(box);
        return rc;
    }
    *out = box;
    return QUARTET_OK;
}

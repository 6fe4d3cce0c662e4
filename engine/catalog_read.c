/* catalog_read.c - the schema out of the system tables' rows.
 * Why rows: DDL then merges by the same rules as data, and this function of the merged rows gives every node the same tables.
 * Invariants: among live objects of one name (tables and views share theirs) the one with the earliest birth keeps it, the others are shown with "_" and their birth's stamp; the same
 *   for added columns of one table; an index whose table is gone is not shown.
 * Not here: how definitions are read (catalog_table.c), who writes these rows (ddl.c). */
#include "catalog_build.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/plant.h"
#include "kind.h"
#include "kv_spill.h"
#include "system_table.h"

struct object {
    tree_id id, table_id;
    const char *kind, *name, *sql;
    struct ver birth;
    bool dropped;
};
struct column_row {
    tree_id table_id;
    struct table_added added;
};
struct override_row {
    tree_id table_id;
    struct table_override override;
};
struct parent_row {
    tree_id table_id;
    struct table_parent parent;
};

struct option_row {
    tree_id table_id;
    uint8_t updates; /* enum table_updates */
};

struct kind_row {
    tree_id table_id;
    struct table_kind kind;
};
struct order_row {
    tree_id table_id;
    uint32_t id;
    int64_t position;
};
struct reading {
    const struct catalog_source *src;
    struct arena arena;
    struct object *objects;
    uint32_t object_count, object_cap;
    struct column_row *columns;
    uint32_t column_count, column_cap;
    struct override_row *overrides;
    uint32_t override_count, override_cap;
    struct kind_row *kinds;
    uint32_t kind_count, kind_cap;
    struct option_row *options;
    uint32_t option_count, option_cap;
    struct parent_row *parents;
    uint32_t parent_count, parent_cap;
    struct catalog_comment *comments;
    uint32_t comment_count, comment_cap;
    struct order_row *orders;
    uint32_t order_count, order_cap;
    struct table_box **boxes;
    uint32_t box_count, box_cap;
    struct view_box **views;
    uint32_t view_count, view_cap;
    struct err *err;
};

static const struct {
    tree_id id;
    const char *name, *sql;
} system_tables[] = {
    {SYS_OBJECTS, "quartet_objects",
     "CREATE TABLE quartet_objects (id INTEGER PRIMARY KEY, kind TEXT, name TEXT, table_id INTEGER, sql TEXT)"},
    {SYS_COLUMNS, "quartet_columns",
     "CREATE TABLE quartet_columns (table_id INTEGER, id INTEGER, name TEXT, sql TEXT, PRIMARY KEY (table_id, id))"},
    {SYS_GRAVES, "quartet_graves",
     "CREATE TABLE quartet_graves (id INTEGER PRIMARY KEY, kind TEXT, name TEXT, table_id INTEGER, sql TEXT)"},
    {SYS_SETTINGS, "quartet_settings", "CREATE TABLE quartet_settings (name TEXT PRIMARY KEY, value TEXT)"},
    {SYS_COLUMN_ORDER, "quartet_column_order",
     "CREATE TABLE quartet_column_order (table_id INTEGER, id INTEGER, position INTEGER, PRIMARY KEY (table_id, id))"},
    {SYS_CONFLICTS, "quartet_conflict_log",
     "CREATE TABLE quartet_conflict_log (losing_stamp INTEGER, id INTEGER, at TIMESTAMP, table_id INTEGER, column_id INTEGER, key BLOB, table_name TEXT, "
     "row_key TEXT, column_name TEXT, rule TEXT, winning_value, losing_value, winning_stamp INTEGER, winning_node INTEGER, losing_node INTEGER, "
     "PRIMARY KEY (losing_stamp, id))"},
    {SYS_CLOSINGS, "quartet_closings",
     "CREATE TABLE quartet_closings (slot INTEGER, incarnation INTEGER, member INTEGER, number INTEGER, successor INTEGER, PRIMARY KEY (slot, incarnation, member))"},
    {SYS_FOLDS, "quartet_folds", "CREATE TABLE quartet_folds (slot INTEGER, incarnation INTEGER, number INTEGER, PRIMARY KEY (slot, incarnation))"},
    {SYS_SHARES, "quartet_share_moves",
     "CREATE TABLE quartet_share_moves (table_id INTEGER, row_key BLOB, column_id INTEGER, side INTEGER, birth_stamp INTEGER, birth_slot INTEGER, "
     "birth_incarnation INTEGER, from_slot INTEGER, from_incarnation INTEGER, to_slot INTEGER, to_incarnation INTEGER, amount DECIMAL(38, 0), asked INTEGER, "
     "PRIMARY KEY (table_id, row_key, column_id, side, birth_stamp, birth_slot, birth_incarnation, from_slot, from_incarnation, to_slot, to_incarnation))"},
    {SYS_FORKS, "quartet_forks",
     "CREATE TABLE quartet_forks (slot INTEGER, incarnation INTEGER, number INTEGER, member INTEGER, taken INTEGER, header BLOB, other_header BLOB, "
     "PRIMARY KEY (slot, incarnation, number, member))"},
    {SYS_RESOLVED, "quartet_resolved", "CREATE TABLE quartet_resolved (losing_stamp INTEGER, id INTEGER, at TIMESTAMP, PRIMARY KEY (losing_stamp, id))"},
    {SYS_BROKEN, "quartet_broken_keys",
     "CREATE TABLE quartet_broken_keys (table_id INTEGER, key_id INTEGER, row_key BLOB, PRIMARY KEY (table_id, key_id, row_key))"},
    {SYS_FOLLOW_UPS, "quartet_follow_ups",
     "CREATE TABLE quartet_follow_ups (table_id INTEGER, key_id INTEGER, row_key BLOB, PRIMARY KEY (table_id, key_id, row_key))"},
    {SYS_GIVEN_UP, "quartet_given_up",
     "CREATE TABLE quartet_given_up (table_id INTEGER, key_id INTEGER, value BLOB, row_key BLOB, PRIMARY KEY (table_id, key_id, value, row_key))"},
    {SYS_OUTCOMES, "quartet_outcomes",
     "CREATE TABLE quartet_outcomes (slot INTEGER, incarnation INTEGER, session INTEGER, request INTEGER, stamp INTEGER, gave_rows INTEGER, affected INTEGER, "
     "last_insert_id INTEGER, PRIMARY KEY (slot, incarnation, session))"},
    {SYS_QUARANTINE, "quartet_quarantined",
     "CREATE TABLE quartet_quarantined (table_id INTEGER, row_key BLOB, since INTEGER, PRIMARY KEY (table_id, row_key))"},
};
#define SYSTEM_TABLE_COUNT (sizeof system_tables / sizeof system_tables[0])

static quartet_status box_add(struct reading *r, const struct table_source *s)
{
    if (r->box_count == r->box_cap) {
        uint32_t cap = r->box_cap == 0 ? 32 : r->box_cap * 2;
        struct table_box **grown = mem_realloc(r->boxes, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(r->err);
        r->boxes = grown;
        r->box_cap = cap;
    }
    const struct catalog *old = r->src == NULL ? NULL : r->src->old;
    if (old != NULL) {
        uint64_t inputs = table_source_hash(s);
        for (uint32_t lo = 0, hi = old->count; lo < hi;) {
            uint32_t mid = lo + (hi - lo) / 2;
            struct table_box *b = old->by_id[mid];
            if (b->def.id == s->id) {
                if (b->inputs != inputs)
                    break;
                atomic_fetch_add(&b->refs, 1);
                r->boxes[r->box_count++] = b;
                return QUARTET_OK;
            }
            if (b->def.id < s->id)
                lo = mid + 1;
            else
                hi = mid;
        }
    }
    quartet_status rc = table_box_new(s, &r->boxes[r->box_count], r->err);
    if (rc == QUARTET_OK)
        r->box_count++;
    return rc;
}

/* Tables and views are named alike in FROM. */
static const char *namespace_of(const struct object *o)
{
    return strcmp(o->kind, "view") == 0 ? "table" : o->kind;
}

static quartet_status view_add(struct reading *r, const struct view_source *s)
{
    const struct catalog *old = r->src == NULL ? NULL : r->src->old;
    if (r->view_count == r->view_cap) {
        uint32_t cap = r->view_cap == 0 ? 8 : r->view_cap * 2;
        struct view_box **grown = mem_realloc(r->views, cap, sizeof *grown);
        if (grown == NULL)
            return err_nomem(r->err);
        r->views = grown;
        r->view_cap = cap;
    }
    const struct view_def *had = old == NULL ? NULL : catalog_view(old, s->name);
    if (had != NULL && view_is_made_of(had, s)) {
        struct view_box *b = NULL;
        for (uint32_t i = 0; b == NULL; i++)
            b = &old->views[i]->def == had ? old->views[i] : NULL;
        atomic_fetch_add(&b->refs, 1);
        r->views[r->view_count++] = b;
        return QUARTET_OK;
    }
    quartet_status rc = view_box_new(s, &r->views[r->view_count], r->err);
    if (rc == QUARTET_OK)
        r->view_count++;
    return rc;
}

/* What people read of system tables. */
static const struct view_source system_views[] = {
    {.id = SYS_VIEW_CONFLICTS, .name = "quartet_conflicts",
     .sql = "CREATE VIEW quartet_conflicts AS SELECT c.id AS id, c.at AS at, c.table_name AS table_name, c.row_key AS row_key, c.column_name AS column_name, "
            "c.rule AS rule, c.winning_value AS winning_value, c.losing_value AS losing_value, c.winning_node AS winning_node, c.losing_node AS losing_node, "
            "c.winning_stamp AS winning_stamp, c.losing_stamp AS losing_stamp, r.id IS NOT NULL AS resolved FROM quartet_conflict_log AS c "
            "LEFT JOIN quartet_resolved AS r ON r.losing_stamp = c.losing_stamp AND r.id = c.id"},
    {.id = SYS_VIEW_HOT_CELLS, .name = "quartet_hot_cells",
     .sql = "CREATE VIEW quartet_hot_cells AS SELECT table_name AS table_name, row_key AS row_key, column_name AS column_name, count(*) AS conflicts, "
            "min(at) AS first_at, max(at) AS last_at FROM quartet_conflict_log GROUP BY table_id, key, column_id"},
    {.id = SYS_VIEW_QUARANTINE, .name = "quartet_quarantine",
     .sql = "CREATE VIEW quartet_quarantine AS SELECT table_name AS table_name, key AS key, reason AS reason, constraint_name AS constraint_name, "
            "detail AS detail, \"row\" AS \"row\" FROM quartet_quarantined()"},
};

static quartet_status system_boxes(struct reading *r)
{
    for (size_t i = 0; i < SYSTEM_TABLE_COUNT; i++) {
        struct table_source s = {.id = system_tables[i].id, .name = system_tables[i].name, .sql = system_tables[i].sql, .is_system = true};
        quartet_status rc = box_add(r, &s);
        if (rc != QUARTET_OK)
            return rc;
    }
    quartet_status rc = QUARTET_OK;
    for (size_t i = 0; i < sizeof system_views / sizeof system_views[0] && rc == QUARTET_OK; i++)
        rc = view_add(r, &system_views[i]);
    return rc;
}

static void reading_end(struct reading *r)
{
    for (uint32_t i = 0; i < r->box_count; i++)
        table_box_unref(r->boxes[i]);
    for (uint32_t i = 0; i < r->view_count; i++)
        view_box_unref(r->views[i]);
    mem_free(r->views);
    mem_free(r->boxes);
    mem_free(r->objects);
    mem_free(r->columns);
    mem_free(r->overrides);
    mem_free(r->kinds);
    mem_free(r->options);
    mem_free(r->parents);
    mem_free(r->comments);
    mem_free(r->orders);
    arena_free_all(&r->arena);
}

static quartet_status reading_finish(struct reading *r, uint64_t version, struct catalog **out)
{
    struct catalog_parts parts = {.boxes = r->boxes, .count = r->box_count, .views = r->views, .view_count = r->view_count,
                                   .comments = r->comments, .comment_count = r->comment_count};
    r->box_count = r->view_count = 0; /* the references move */
    return catalog_new(version, &parts, out, r->err);
}

quartet_status catalog_bare(uint64_t version, struct catalog **out, struct err *err)
{
    struct reading r = {.err = err};
    quartet_status rc = system_boxes(&r);
    if (rc == QUARTET_OK)
        rc = reading_finish(&r, version, out);
    reading_end(&r);
    return rc;
}

/* The earliest unended birth. */
static quartet_status birth_of(struct reading *r, const struct table_def *t, struct slice key, struct slice record, struct ver *out)
{
    struct slice pending;
    apply_no version;
    const struct catalog_source *src = r->src;
    *out = (struct ver){.stamp = UINT64_MAX};
    if (src->pending && src->over != NULL && src->over->own != NULL &&
        kv_own_get(src->over->own, t->id, key, src->over->through, &pending, &version))
        return QUARTET_OK; /* of this transaction: newer than all */
    if (src->pending && src->over != NULL && src->over->spill != NULL) {
        struct kv_run_page page = {0};
        bool found;
        struct kv_run_probe probe = kv_run_probe_of(t->id, key);
        quartet_status rc = kv_spill_get(src->over->spill, &page, &probe, src->over->through, &pending, &version, &found, r->err);
        kv_run_page_deinit(&page);
        if (rc != QUARTET_OK || found)
            return rc; /* likewise */
    }
    struct record_view view;
    if (record_view(record, &view) && (view.flags & RECORD_SIMPLE) != 0) {
        *out = view.ver;
        return QUARTET_OK;
    }
    struct row row;
    quartet_status rc = row_decode(record, &t->rows, &r->arena, &row, r->err);
    if (rc != QUARTET_OK)
        return rc;
    for (uint32_t i = 0; i < row.life_count; i++)
        if (!row.lives[i].ended) { /* sorted by birth */
            *out = row.lives[i].birth;
            break;
        }
    return QUARTET_OK;
}

static const char *text_of(struct reading *r, const struct value *v)
{
    return v->type == VALUE_TEXT ? arena_strndup(&r->arena, (const char *)v->s.p, v->s.n) : arena_strndup(&r->arena, "", 0);
}

static void *grow(void *p, uint32_t count, uint32_t *cap, size_t size)
{
    if (count < *cap)
        return p;
    uint32_t n = *cap == 0 ? 32 : *cap * 2;
    void *q = mem_realloc(p, n, size);
    if (q != NULL)
        *cap = n;
    return q;
}

static quartet_status take_object(struct reading *r, const struct table_def *t, const struct value *v, struct ver birth)
{
    struct object *o = grow(r->objects, r->object_count, &r->object_cap, sizeof *o);
    if (o == NULL)
        return err_nomem(r->err);
    r->objects = o;
    o = &r->objects[r->object_count];
    *o = (struct object){.id = (tree_id)v[OBJ_ID].i, .table_id = v[OBJ_TABLE_ID].type == VALUE_INTEGER ? (tree_id)v[OBJ_TABLE_ID].i : 0,
                         .kind = text_of(r, &v[OBJ_KIND]), .name = text_of(r, &v[OBJ_NAME]), .sql = text_of(r, &v[OBJ_SQL]),
                         .birth = birth, .dropped = t->id == SYS_GRAVES};
    if (o->kind == NULL || o->name == NULL || o->sql == NULL)
        return err_nomem(r->err);
    r->object_count++;
    return QUARTET_OK;
}

static quartet_status take_override(struct reading *r, const struct value *v)
{
    struct override_row *o = grow(r->overrides, r->override_count, &r->override_cap, sizeof *o);
    if (o == NULL)
        return err_nomem(r->err);
    r->overrides = o;
    o = &r->overrides[r->override_count];
    *o = (struct override_row){.table_id = (tree_id)v[COL_TABLE_ID].i,
                               .override = {.id = (uint32_t)(v[COL_ID].i - CATALOG_OVERRIDE), .name = text_of(r, &v[COL_NAME]),
                                            .sql = text_of(r, &v[COL_SQL])}};
    if (o->override.name == NULL || o->override.sql == NULL)
        return err_nomem(r->err);
    r->override_count++;
    return QUARTET_OK;
}

static quartet_status take_kind(struct reading *r, const struct value *v, struct ver birth)
{
    uint32_t upper = (uint32_t)(v[COL_ID].i >> 32);
    const char *name = text_of(r, &v[COL_SQL]);
    struct table_kind kind = {.id = (uint32_t)v[COL_ID].i, .settled = upper == CATALOG_KIND_SETTLED, .birth = birth};
    if (name == NULL)
        return err_nomem(r->err);
    for (uint8_t k = ROW_COUNTER; k <= ROW_MULTIVALUE; k++)
        if (kind.settled ? strcmp(name, kind_name(k)) == 0 : upper == CATALOG_KIND_CLAIM + k)
            kind.kind = k;
    if (kind.kind == ROW_LWW)
        return QUARTET_OK; /* a newer version's */
    struct kind_row *grown = grow(r->kinds, r->kind_count, &r->kind_cap, sizeof *grown);
    if (grown == NULL)
        return err_nomem(r->err);
    r->kinds = grown;
    r->kinds[r->kind_count++] = (struct kind_row){.table_id = (tree_id)v[COL_TABLE_ID].i, .kind = kind};
    return QUARTET_OK;
}

static quartet_status take_parent(struct reading *r, const struct value *v)
{
    const char *id = text_of(r, &v[COL_SQL]);
    struct parent_row *grown = grow(r->parents, r->parent_count, &r->parent_cap, sizeof *grown);
    if (id == NULL || grown == NULL)
        return err_nomem(r->err);
    r->parents = grown;
    r->parents[r->parent_count++] = (struct parent_row){
        .table_id = (tree_id)v[COL_TABLE_ID].i, .parent = {.told_as = (uint32_t)v[COL_ID].i, .parent = (tree_id)strtoull(id, NULL, 16)}};
    return QUARTET_OK;
}

static quartet_status take_option(struct reading *r, const struct value *v)
{
    const char *words = text_of(r, &v[COL_SQL]);
    struct option_row *grown = grow(r->options, r->option_count, &r->option_cap, sizeof *grown);
    if (words == NULL || grown == NULL)
        return err_nomem(r->err);
    r->options = grown;
    r->options[r->option_count++] = (struct option_row){.table_id = (tree_id)v[COL_TABLE_ID].i,
                                                        .updates = strcmp(words, "UPDATES WIN") == 0 ? TABLE_UPDATES_WIN : TABLE_UPDATES_LOSE};
    return QUARTET_OK;
}

static quartet_status take_comment(struct reading *r, const struct value *v)
{
    const char *text = text_of(r, &v[COL_SQL]);
    struct catalog_comment *grown = grow(r->comments, r->comment_count, &r->comment_cap, sizeof *grown);
    if (text == NULL || grown == NULL)
        return err_nomem(r->err);
    r->comments = grown;
    r->comments[r->comment_count++] = (struct catalog_comment){.object = (tree_id)v[COL_TABLE_ID].i, .column = (uint32_t)v[COL_ID].i, .text = text};
    return QUARTET_OK;
}

static quartet_status take_column(struct reading *r, const struct value *v, struct ver birth)
{
    if (v[COL_ID].i >> 32 == CATALOG_COMMENT)
        return take_comment(r, v);
    if (v[COL_ID].i == catalog_kind_row(0, CATALOG_OPTION_UPDATES))
        return take_option(r, v);
    if (v[COL_ID].i >> 32 == CATALOG_PARENT)
        return take_parent(r, v);
    if (v[COL_ID].i >= 2 * CATALOG_OVERRIDE)
        return take_kind(r, v, birth);
    if (v[COL_ID].i >= CATALOG_OVERRIDE)
        return take_override(r, v);
    struct column_row *c = grow(r->columns, r->column_count, &r->column_cap, sizeof *c);
    if (c == NULL)
        return err_nomem(r->err);
    r->columns = c;
    c = &r->columns[r->column_count];
    *c = (struct column_row){.table_id = (tree_id)v[COL_TABLE_ID].i,
                             .added = {.id = (uint32_t)v[COL_ID].i, .name = text_of(r, &v[COL_NAME]), .sql = text_of(r, &v[COL_SQL]),
                                       .birth = birth, .order = INT64_MAX}};
    if (c->added.name == NULL || c->added.sql == NULL)
        return err_nomem(r->err);
    r->column_count++;
    return QUARTET_OK;
}

static quartet_status take_order(struct reading *r, const struct value *v)
{
    struct order_row *o = grow(r->orders, r->order_count, &r->order_cap, sizeof *o);
    if (o == NULL)
        return err_nomem(r->err);
    r->orders = o;
    r->orders[r->order_count++] = (struct order_row){.table_id = (tree_id)v[ORDER_TABLE_ID].i, .id = (uint32_t)v[ORDER_ID].i,
                                                     .position = v[ORDER_POSITION].i};
    return QUARTET_OK;
}

struct reading_table {
    struct reading *r;
    const struct table_def *t;
};

static quartet_status take_system_row(void *arg, const struct value *v, struct slice key, struct slice record, struct err *err)
{
    const struct reading_table *x = arg;
    struct ver birth;
    (void)err; /* it is the reading's */
    quartet_status rc = birth_of(x->r, x->t, key, record, &birth);
    if (rc != QUARTET_OK)
        return rc;
    return x->t->id == SYS_COLUMNS ? take_column(x->r, v, birth) : x->t->id == SYS_COLUMN_ORDER ? take_order(x->r, v) : take_object(x->r, x->t, v, birth);
}

static quartet_status read_table(struct reading *r, tree_id id)
{
    struct reading_table x = {.r = r};
    for (uint32_t i = 0; i < r->box_count; i++)
        if (r->boxes[i]->def.id == id)
            x.t = &r->boxes[i]->def;
    QASSERT(x.t != NULL);
    return system_rows(r->src->snap, r->src->over, x.t, NULL, &r->arena, take_system_row, &x, r->err);
}

static int birth_cmp(const struct reading *r, struct ver a, struct ver b)
{
    if (plant_is(PLANT_NAME_LOCAL_ORDER) && a.chain != b.chain)
        return a.chain < b.chain ? -1 : 1;
    if (r->src->chains != NULL && a.stamp == b.stamp && a.stamp != UINT64_MAX)
        return ver_cmp(r->src->chains, a, b);
    return (a.stamp > b.stamp) - (a.stamp < b.stamp);
}

/* Insertion sort by name then birth is enough for columns (few) but not for objects (maybe thousands): those go through a merge sort. */
static int object_cmp(const struct reading *r, const struct object *a, const struct object *b)
{
    int c = (a->dropped > b->dropped) - (a->dropped < b->dropped);
    if (c == 0)
        c = strcmp(namespace_of(a), namespace_of(b));
    if (c == 0)
        c = name_cmp(a->name, b->name);
    if (c == 0)
        c = birth_cmp(r, a->birth, b->birth);
    return c != 0 ? c : (a->id > b->id) - (a->id < b->id);
}

static quartet_status sort_objects(struct reading *r)
{
    uint32_t n = r->object_count;
    struct object *spare = mem_zalloc(n + 1u, sizeof *spare);
    if (spare == NULL)
        return err_nomem(r->err);
    for (uint32_t width = 1; width < n; width *= 2) {
        for (uint32_t lo = 0; lo < n; lo += 2 * width) {
            uint32_t i = lo, mid = lo + width < n ? lo + width : n, j = mid, end = mid + width < n ? mid + width : n;
            for (uint32_t k = lo; k < end; k++)
                spare[k] = i < mid && (j >= end || object_cmp(r, &r->objects[i], &r->objects[j]) <= 0) ? r->objects[i++] : r->objects[j++];
        }
        memcpy(r->objects, spare, n * sizeof *spare);
    }
    mem_free(spare);
    return QUARTET_OK;
}

static const char *suffixed(struct reading *r, const char *name, struct ver birth)
{
    return arena_printf(&r->arena, "%s_%llx", name, (unsigned long long)birth.stamp);
}

/* Later births of one name give way. Objects are sorted, so that those of one name are neighbours. */
static quartet_status settle_names(struct reading *r)
{
    const char *first = NULL; /* name as it was, of the run's first */
    for (uint32_t i = 0; i < r->object_count; i++) {
        struct object *o = &r->objects[i], *p = i == 0 ? NULL : &r->objects[i - 1];
        bool same = p != NULL && first != NULL && strcmp(o->kind, "constraint") != 0 && !o->dropped && p->dropped == o->dropped && strcmp(namespace_of(p), namespace_of(o)) == 0 &&
                    name_cmp(first, o->name) == 0;
        if (!same) {
            first = o->name;
            continue;
        }
        o->name = suffixed(r, o->name, o->birth);
        if (o->name == NULL)
            return err_nomem(r->err);
    }
    return QUARTET_OK;
}

/* Dropped or renamed: its first name is free again. */
static bool is_overridden(const struct reading *r, tree_id table, uint32_t column)
{
    for (uint32_t i = 0; i < r->override_count; i++)
        if (r->overrides[i].table_id == table && r->overrides[i].override.id == column)
            return true;
    return false;
}

/* The columns added to one table, by birth, names settled. */
static quartet_status added_of(struct reading *r, tree_id table, struct table_added **out, uint32_t *count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->column_count; i++)
        n += r->columns[i].table_id == table;
    *count = n;
    *out = NULL;
    if (n == 0)
        return QUARTET_OK;
    struct table_added *added = arena_zalloc(&r->arena, n, sizeof *added);
    if (added == NULL)
        return err_nomem(r->err);
    n = 0;
    for (uint32_t i = 0; i < r->column_count; i++) {
        if (r->columns[i].table_id != table)
            continue;
        struct table_added x = r->columns[i].added;
        for (uint32_t k = 0; k < r->order_count; k++)
            if (r->orders[k].table_id == table && r->orders[k].id == x.id)
                x.order = r->orders[k].position;
        uint32_t at = n++;
        for (; at > 0 && birth_cmp(r, added[at - 1].birth, x.birth) > 0; at--)
            added[at] = added[at - 1];
        added[at] = x;
    }
    for (uint32_t i = 1; i < n; i++)
        for (uint32_t k = 0; k < i; k++)
            if (name_cmp(added[i].name, added[k].name) == 0 && !is_overridden(r, table, added[k].id) && !is_overridden(r, table, added[i].id)) {
                added[i].name = suffixed(r, added[i].name, added[i].birth);
                if (added[i].name == NULL)
                    return err_nomem(r->err);
                break;
            }
    *out = added;
    return QUARTET_OK;
}

static quartet_status overrides_of(struct reading *r, tree_id table, struct table_override **out, uint32_t *count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->override_count; i++)
        n += r->overrides[i].table_id == table;
    *count = n;
    *out = n == 0 ? NULL : arena_zalloc(&r->arena, n, sizeof **out);
    if (n > 0 && *out == NULL)
        return err_nomem(r->err);
    n = 0;
    for (uint32_t i = 0; i < r->override_count; i++)
        if (r->overrides[i].table_id == table)
            (*out)[n++] = r->overrides[i].override;
    return QUARTET_OK;
}

static quartet_status kinds_of(struct reading *r, tree_id table, struct table_kind **out, uint32_t *count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->kind_count; i++)
        n += r->kinds[i].table_id == table;
    *count = n;
    *out = n == 0 ? NULL : arena_zalloc(&r->arena, n, sizeof **out);
    if (n > 0 && *out == NULL)
        return err_nomem(r->err);
    n = 0;
    for (uint32_t i = 0; i < r->kind_count; i++) {
        if (r->kinds[i].table_id != table)
            continue;
        uint32_t at = n++;
        for (; at > 0 && birth_cmp(r, (*out)[at - 1].birth, r->kinds[i].kind.birth) > 0; at--)
            (*out)[at] = (*out)[at - 1];
        (*out)[at] = r->kinds[i].kind;
    }
    return QUARTET_OK;
}

/* Once names are settled. */
static quartet_status parents_of(struct reading *r, tree_id table, struct table_parent **out, uint32_t *count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->parent_count; i++)
        n += r->parents[i].table_id == table;
    *count = n;
    *out = n == 0 ? NULL : arena_zalloc(&r->arena, n, sizeof **out);
    if (n > 0 && *out == NULL)
        return err_nomem(r->err);
    n = 0;
    for (uint32_t i = 0; i < r->parent_count; i++) {
        if (r->parents[i].table_id != table)
            continue;
        struct table_parent *p = &(*out)[n++];
        *p = r->parents[i].parent;
        for (uint32_t k = 0; k < r->object_count; k++)
            if (r->objects[k].id == p->parent && !r->objects[k].dropped)
                p->name = r->objects[k].name;
    }
    return QUARTET_OK;
}

static uint8_t updates_of(const struct reading *r, tree_id table)
{
    uint8_t updates = TABLE_UPDATES_AS_CREATED;
    for (uint32_t i = 0; i < r->option_count; i++)
        updates = r->options[i].table_id == table ? r->options[i].updates : updates;
    return updates;
}

static quartet_status indexes_of(struct reading *r, tree_id table, struct table_index **out, uint32_t *count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->object_count; i++)
        n += r->objects[i].table_id == table && !r->objects[i].dropped && strcmp(r->objects[i].kind, "index") == 0;
    *count = n;
    *out = n == 0 ? NULL : arena_zalloc(&r->arena, n, sizeof **out);
    if (n > 0 && *out == NULL)
        return err_nomem(r->err);
    n = 0;
    for (uint32_t i = 0; i < r->object_count; i++) {
        const struct object *o = &r->objects[i];
        if (o->table_id == table && !o->dropped && strcmp(o->kind, "index") == 0)
            (*out)[n++] = (struct table_index){.id = o->id, .name = o->name, .sql = o->sql};
    }
    return QUARTET_OK;
}

static quartet_status triggers_of(struct reading *r, tree_id table, struct table_trigger **out, uint32_t *count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->object_count; i++)
        n += r->objects[i].table_id == table && !r->objects[i].dropped && strcmp(r->objects[i].kind, "trigger") == 0;
    *count = n;
    *out = n == 0 ? NULL : arena_zalloc(&r->arena, n, sizeof **out);
    if (n > 0 && *out == NULL)
        return err_nomem(r->err);
    n = 0;
    for (uint32_t i = 0; i < r->object_count; i++) {
        const struct object *o = &r->objects[i];
        if (o->table_id != table || o->dropped || strcmp(o->kind, "trigger") != 0)
            continue;
        uint32_t at = n++;
        for (; at > 0 && birth_cmp(r, (*out)[at - 1].birth, o->birth) > 0; at--)
            (*out)[at] = (*out)[at - 1];
        (*out)[at] = (struct table_trigger){.id = o->id, .name = o->name, .sql = o->sql, .birth = o->birth};
    }
    return QUARTET_OK;
}

/* Names of constraints are the table's own: later births of one name give way. */
static quartet_status constraints_of(struct reading *r, tree_id table, struct table_constraint **out, uint32_t *count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->object_count; i++)
        n += r->objects[i].table_id == table && !r->objects[i].dropped && strcmp(r->objects[i].kind, "constraint") == 0;
    *count = n;
    *out = n == 0 ? NULL : arena_zalloc(&r->arena, n, sizeof **out);
    if (n > 0 && *out == NULL)
        return err_nomem(r->err);
    n = 0;
    for (uint32_t i = 0; i < r->object_count; i++) {
        const struct object *o = &r->objects[i];
        if (o->table_id != table || o->dropped || strcmp(o->kind, "constraint") != 0)
            continue;
        uint32_t at = n++;
        for (; at > 0 && (birth_cmp(r, (*out)[at - 1].birth, o->birth) > 0 || (birth_cmp(r, (*out)[at - 1].birth, o->birth) == 0 && (*out)[at - 1].id > o->id)); at--)
            (*out)[at] = (*out)[at - 1];
        (*out)[at] = (struct table_constraint){.id = o->id, .name = o->name, .sql = o->sql, .birth = o->birth};
    }
    for (uint32_t i = 1; i < n; i++)
        for (uint32_t k = 0; k < i; k++)
            if (name_cmp((*out)[i].name, (*out)[k].name) == 0) {
                (*out)[i].name = suffixed(r, (*out)[i].name, (*out)[i].birth);
                if ((*out)[i].name == NULL)
                    return err_nomem(r->err);
                break;
            }
    return QUARTET_OK;
}

static quartet_status view_of(struct reading *r, const struct object *o)
{
    struct view_source s = {.id = o->id, .name = o->name, .sql = o->sql, .temporary = r->src->temporary};
    quartet_status rc = triggers_of(r, o->id, &s.triggers, &s.trigger_count);
    return rc == QUARTET_OK ? view_add(r, &s) : rc;
}

static bool lives_too(const struct reading *r, const struct object *grave)
{
    for (uint32_t i = 0; i < r->object_count; i++)
        if (!r->objects[i].dropped && r->objects[i].id == grave->id)
            return true; /* dropped here, but a concurrent creation keeps it alive */
    return false;
}

quartet_status catalog_read(const struct catalog_source *src, uint64_t version, struct catalog **out, struct err *err)
{
    struct reading r = {.src = src, .err = err};
    quartet_status rc = system_boxes(&r);
    static const tree_id trees[] = {SYS_OBJECTS, SYS_GRAVES, SYS_COLUMNS, SYS_COLUMN_ORDER};
    for (size_t i = 0; i < sizeof trees / sizeof trees[0] && rc == QUARTET_OK; i++)
        rc = read_table(&r, trees[i]);
    if (rc == QUARTET_OK)
        rc = sort_objects(&r);
    if (rc == QUARTET_OK)
        rc = settle_names(&r);
    for (uint32_t i = 0; i < r.object_count && rc == QUARTET_OK; i++) {
        const struct object *o = &r.objects[i];
        if (strcmp(o->kind, "view") == 0 && !o->dropped)
            rc = view_of(&r, o);
        if (strcmp(o->kind, "table") != 0 || (o->dropped && lives_too(&r, o)))
            continue;
        struct table_source s = {.id = o->id, .name = o->name, .sql = o->sql, .updates = updates_of(&r, o->id), .dropped = o->dropped, .temporary = src->temporary};
        rc = added_of(&r, o->id, &s.added, &s.added_count);
        if (rc == QUARTET_OK)
            rc = overrides_of(&r, o->id, &s.overrides, &s.override_count);
        if (rc == QUARTET_OK)
            rc = kinds_of(&r, o->id, &s.kinds, &s.kind_count);
        if (rc == QUARTET_OK)
            rc = parents_of(&r, o->id, &s.parents, &s.parent_count);
        if (rc == QUARTET_OK)
            rc = indexes_of(&r, o->id, &s.indexes, &s.index_count);
        if (rc == QUARTET_OK)
            rc = triggers_of(&r, o->id, &s.triggers, &s.trigger_count);
        if (rc == QUARTET_OK)
            rc = constraints_of(&r, o->id, &s.constraints, &s.constraint_count);
        if (rc == QUARTET_OK)
            rc = box_add(&r, &s);
    }
    if (rc == QUARTET_OK)
        rc = reading_finish(&r, version, out);
    reading_end(&r);
    return rc;
}

/* catalog_column.c - a table's columns from their definitions: types, kinds, defaults, names as ALTER TABLE left them, places in records.
 * Why a dropped column stays: its values keep their place in records (ddl_alter.c).
 * Not here: constraints and indexes (catalog_table.c), types' names (types.c). */
#include <string.h>

#include "catalog_internal.h"
#include "kind.h"
#include "parser/parse.h"
#include "types.h"

/* A literal as a value of the column's type. */
static quartet_status constant_value(struct build *b, const struct column_def *c, const struct ast_expr *e, struct value *out)
{
    bool negative = false;
    *out = VALUE_NULL_INIT;
    while (e->kind == AST_EXPR_UNARY && (e->op == AST_OP_NEG || e->op == AST_OP_POS)) {
        negative ^= e->op == AST_OP_NEG;
        e = e->u.binary.left;
    }
    switch (e->kind) {
    case AST_EXPR_NULL: return QUARTET_OK;
    case AST_EXPR_BOOL: case AST_EXPR_INTEGER:
        if (negative && e->u.integer == INT64_MIN)
            return err_set_at(b->err, QUARTET_ERROR, e->offset, "integer overflow in DEFAULT of column %s", c->name);
        *out = value_int(negative ? -e->u.integer : e->u.integer);
        break;
    case AST_EXPR_REAL:
        *out = (struct value){.type = VALUE_REAL, .r = negative ? -e->u.real.value : e->u.real.value};
        if (c->type == VALUE_DECIMAL) { /* exactly as written */
            const char *text = e->u.real.text;
            char *all = arena_printf(b->a, "%s%s", negative && text[0] != '-' ? "-" : "", negative && text[0] == '-' ? text + 1 : text);
            if (all == NULL)
                return build_nomem(b);
            *out = value_text(all, strlen(all));
        }
        break;
    case AST_EXPR_STRING: *out = value_text(e->u.string.p, e->u.string.n); break;
    case AST_EXPR_TYPED: *out = value_text(e->u.typed.text, strlen(e->u.typed.text)); break;
    case AST_EXPR_BLOB: *out = (struct value){.type = VALUE_BLOB, .s = {(const uint8_t *)e->u.string.p, e->u.string.n}}; break;
    default:
        return err_set_at(b->err, QUARTET_ERROR, e->offset, "the DEFAULT of an added column must be a constant (column %s)", c->name);
    }
    struct type_decl decl = {.type = c->type, .precision = c->precision, .scale = c->scale, .is_boolean = c->is_boolean, .length = c->length};
    return types_convert(&decl, c->name, out, b->a, b->err);
}

uint8_t catalog_kind(uint8_t ast_kind)
{
    static const uint8_t kinds[] = {[AST_COLUMN_LWW] = ROW_LWW, [AST_COLUMN_COUNTER] = ROW_COUNTER, [AST_COLUMN_MAXIMUM] = ROW_MAXIMUM,
                                    [AST_COLUMN_MINIMUM] = ROW_MINIMUM, [AST_COLUMN_SET] = ROW_SET, [AST_COLUMN_MULTIVALUE] = ROW_MULTIVALUE};
    QASSERT(ast_kind < sizeof kinds);
    return kinds[ast_kind];
}

static uint8_t ast_kind_of(uint8_t kind)
{
    uint8_t k = AST_COLUMN_LWW;
    while (catalog_kind(k) != kind)
        k++;
    return k;
}

static quartet_status build_column(struct build *b, uint32_t at, uint32_t id, const struct ast_column_def *def)
{
    struct column_def *c = &b->columns[at];
    *c = (struct column_def){.name = def->name.text, .id = id, .key_at = -1, .record_at = -1, .type = VALUE_NULL};
    for (uint32_t i = 0; i < at && i < b->t->visible_count; i++)
        if (at < b->t->visible_count && name_cmp(b->columns[i].name, c->name) == 0)
            return err_set_at(b->err, QUARTET_ERROR, def->name.offset, "column %s stands twice in table %s", c->name, b->src->name);
    uint32_t reserved;
    if (catalog_column_id(c->name, &reserved))
        return err_set_at(b->err, QUARTET_ERROR, def->name.offset, "a column cannot be named %s: stored definitions mean a number by that", c->name);
    struct type_decl decl;
    quartet_status rc = types_from_name(def->type.text, def->type.arg_count, def->type.arg, &decl, b->err);
    if (rc != QUARTET_OK)
        return rc;
    c->type = decl.type;
    c->precision = decl.precision;
    c->scale = decl.scale;
    c->is_boolean = decl.is_boolean;
    c->length = decl.length;
    struct buf text = {0};
    if (def->type.text != NULL)
        ast_print_type(&def->type, &text);
    rc = buf_check(&text, b->err);
    c->declared = rc == QUARTET_OK ? arena_strndup(b->a, (const char *)text.data, text.len) : NULL;
    buf_deinit(&text);
    if (rc != QUARTET_OK)
        return rc;
    if (c->declared == NULL)
        return build_nomem(b);
    c->not_null = def->not_null == 1;
    c->default_expr = def->default_value;
    c->comment = def->comment.text;
    c->derived = def->generated != NULL;
    if (c->derived && (def->default_value != NULL || def->column_kind != AST_COLUMN_LWW || def->autoincrement || def->identity.text != NULL))
        return err_set_at(b->err, QUARTET_ERROR, def->name.offset, "column %s is generated: it can have no DEFAULT and no kind, since nothing is ever written to it", c->name);
    if (def->collate.text != NULL) {
        if (name_cmp(def->collate.text, "NOCASE") == 0)
            c->nocase = true;
        else if (name_cmp(def->collate.text, "BINARY") != 0)
            return err_set_at(b->err, QUARTET_ERROR, def->collate.offset, "no such collation: %s (BINARY and NOCASE are known)", def->collate.text);
    }
    rc = kind_declare(c, catalog_kind(def->column_kind), b->err);
    if (rc != QUARTET_OK)
        b->err->sql_offset = def->name.offset;
    return rc;
}

/* What ALTER TABLE made of its kind. A claim that cannot be is none: only a member that lies makes one. shown: what rows show that were there before the column. */
static quartet_status changed_kind(struct build *b, struct column_def *c, bool visible, const struct ast_expr *shown)
{
    const struct table_kind *settled = NULL, *claim = NULL;
    for (uint32_t i = 0; i < b->src->kind_count && c->kind == ROW_LWW && !c->derived; i++) {
        const struct table_kind *k = &b->src->kinds[i];
        if (k->id != c->id)
            continue;
        if (k->settled && settled == NULL)
            settled = k;
        if (!k->settled && claim == NULL)
            claim = k;
    }
    if (settled == NULL && (claim == NULL || !visible))
        return QUARTET_OK;
    struct column_def as = *c;
    uint8_t kind = settled != NULL ? settled->kind : claim->kind;
    struct value missing = VALUE_NULL_INIT;
    quartet_status rc = kind == ROW_SET && shown != NULL ? constant_value(b, c, shown, &missing) : QUARTET_OK;
    if (rc != QUARTET_OK || missing.type != VALUE_NULL)
        return rc;
    rc = kind_declare(&as, kind, b->err);
    if (rc != QUARTET_OK) {
        err_clear(b->err);
        return QUARTET_OK;
    }
    if (settled != NULL) {
        *c = as;
        c->over_lww = true;
        return QUARTET_OK;
    }
    c->kind_claimed = claim->kind;
    c->kind_birth = claim->birth;
    b->t->claims_kind = true;
    return QUARTET_OK;
}

static quartet_status parse_column(struct build *b, const char *definition, struct ast_column_def **out)
{
    char *sql = arena_printf(b->a, "ALTER TABLE x ADD COLUMN %s", definition);
    struct ast_stmt *stmt;
    if (sql == NULL)
        return build_nomem(b);
    quartet_status rc = build_parse(b, sql, &stmt);
    if (rc != QUARTET_OK)
        return rc;
    if (stmt->kind != AST_STMT_ALTER_TABLE || stmt->u.alter->action_count != 1 || stmt->u.alter->action[0].column == NULL)
        return err_set(b->err, QUARTET_CORRUPT, "table %s: damaged definition of a column", b->src->name);
    *out = stmt->u.alter->action[0].column;
    return QUARTET_OK;
}

/* Parse the added columns and hang them into the tree, so that constraints and the printed definition show them. */
quartet_status build_added(struct build *b)
{
    b->own_name = arena_zalloc(b->a, b->base + b->src->added_count + 1u, sizeof *b->own_name);
    if (b->own_name == NULL)
        return build_nomem(b);
    for (uint32_t i = 0; i < b->src->added_count; i++) {
        struct ast_column_def *column;
        quartet_status rc = parse_column(b, b->src->added[i].sql, &column);
        if (rc != QUARTET_OK)
            return rc;
        struct ast_column_defs *defs = &b->ast->columns;
        struct ast_column_def **grown = arena_zalloc(b->a, defs->count + 1u, sizeof *grown);
        if (grown == NULL)
            return build_nomem(b);
        if (defs->count > 0)
            memcpy(grown, defs->item, defs->count * sizeof *grown);
        grown[defs->count] = column;
        b->own_name[b->base + i] = column->name.text;
        grown[defs->count]->name.text = arena_strndup(b->a, b->src->added[i].name, strlen(b->src->added[i].name));
        if (grown[defs->count]->name.text == NULL)
            return build_nomem(b);
        grown[defs->count]->name.len = (uint32_t)strlen(b->src->added[i].name);
        *defs = (struct ast_column_defs){.item = grown, .count = defs->count + 1, .cap = defs->count + 1};
    }
    return QUARTET_OK;
}

static uint32_t column_id(const struct build *b, uint32_t i, uint32_t base)
{
    return i < base ? i : b->src->added[i - base].id;
}

/* Put what ALTER TABLE made of a column into the tree. */
static quartet_status override_column(struct build *b, uint32_t i, uint32_t base)
{
    const struct table_override *o = NULL;
    for (uint32_t k = 0; k < b->src->override_count; k++)
        if (b->src->overrides[k].id == column_id(b, i, base))
            o = &b->src->overrides[k];
    if (o == NULL)
        return QUARTET_OK;
    b->overridden[i] = true;
    b->dropped[i] = *o->sql == '\0';
    if (b->dropped[i])
        return QUARTET_OK;
    struct ast_column_def *def;
    quartet_status rc = parse_column(b, o->sql, &def);
    if (rc != QUARTET_OK)
        return rc;
    b->own_name[i] = def->name.text;
    def->name.text = arena_strndup(b->a, o->name, strlen(o->name));
    def->name.len = (uint32_t)strlen(o->name);
    b->ast->columns.item[i] = def;
    return def->name.text == NULL ? build_nomem(b) : QUARTET_OK;
}

/* Two columns that were renamed alike on two nodes: the one that stands later gets a suffix. */
static quartet_status settle_column(struct build *b, uint32_t i, uint32_t base)
{
    struct ast_column_defs *defs = &b->ast->columns;
    for (uint32_t k = 0; k < i; k++) {
        if (b->dropped[k] || (!b->overridden[i] && !b->overridden[k]) || name_cmp(defs->item[k]->name.text, defs->item[i]->name.text) != 0)
            continue;
        char *name = arena_printf(b->a, "%s_%x", defs->item[i]->name.text, column_id(b, i, base));
        if (name == NULL)
            return build_nomem(b);
        defs->item[i]->name.text = name;
        defs->item[i]->name.len = (uint32_t)strlen(name);
        return QUARTET_OK;
    }
    return QUARTET_OK;
}

/* Which columns there are, under which names, and where: the visible ones first. */
static quartet_status place_columns(struct build *b, uint32_t base)
{
    uint32_t n = b->total = b->ast->columns.count;
    b->place = arena_zalloc(b->a, n, sizeof *b->place);
    b->dropped = arena_zalloc(b->a, n, sizeof *b->dropped);
    b->overridden = arena_zalloc(b->a, n, sizeof *b->overridden);
    b->first_name = arena_zalloc(b->a, n, sizeof *b->first_name);
    b->first_default = arena_zalloc(b->a, n, sizeof *b->first_default);
    b->columns = arena_zalloc(b->a, n, sizeof *b->columns);
    if (b->place == NULL || b->dropped == NULL || b->overridden == NULL || b->first_name == NULL || b->first_default == NULL || b->columns == NULL)
        return build_nomem(b);
    b->t->columns = b->columns;
    bool any = false;
    for (uint32_t i = 0; i < n; i++) {
        b->first_name[i] = b->ast->columns.item[i]->name.text;
        b->first_default[i] = b->ast->columns.item[i]->default_value;
        quartet_status rc = override_column(b, i, base);
        if (rc == QUARTET_OK && !b->dropped[i])
            rc = settle_column(b, i, base);
        if (rc != QUARTET_OK)
            return rc;
        any |= !b->dropped[i];
    }
    if (!any)
        b->dropped[0] = false; /* two nodes dropped the last two: one stays */
    uint32_t at = 0;
    for (int hidden = 0; hidden < 2; hidden++)
        for (uint32_t i = 0; i < n; i++) {
            if (b->dropped[i] == (hidden != 0))
                b->place[i] = at++;
            b->t->visible_count += hidden == 0 && !b->dropped[i];
        }
    return QUARTET_OK;
}

static quartet_status define_columns(struct build *b, uint32_t base)
{
    for (int hidden = 0; hidden < 2; hidden++)
        for (uint32_t i = 0; i < b->total; i++) {
            if (b->dropped[i] != (hidden != 0))
                continue;
            struct column_def *c = &b->columns[b->place[i]];
            quartet_status rc = build_column(b, b->place[i], column_id(b, i, base), b->ast->columns.item[i]);
            if (rc == QUARTET_OK) /* of a dropped one too: its registers are in records */
                rc = changed_kind(b, c, hidden == 0, i < base ? NULL : b->first_default[i]);
            if (rc != QUARTET_OK)
                return rc;
            if (c->over_lww)
                b->ast->columns.item[i]->column_kind = ast_kind_of(c->kind); /* as it is shown */
            c->first_name = b->first_name[i];
            b->t->column_count++;
            if (hidden == 0)
                continue;
            c->name = c->first_name = "";
            c->not_null = false;
            c->default_expr = NULL;
        }
    return QUARTET_OK;
}

/* Record positions: base columns in order, then added ones as `order` says. */
quartet_status build_record(struct build *b, uint32_t base)
{
    struct table_def *t = b->t;
    uint32_t n = 0;
    struct row_column *rows = arena_zalloc(b->a, t->column_count + 1u, sizeof *rows);
    uint32_t *columns = arena_zalloc(b->a, t->column_count + 1u, sizeof *columns);
    uint32_t *ids = arena_zalloc(b->a, t->column_count + 1u, sizeof *ids);
    bool *placed = arena_zalloc(b->a, t->column_count + 1u, sizeof *placed);
    if (rows == NULL || columns == NULL || ids == NULL || placed == NULL)
        return build_nomem(b);
    for (uint32_t i = 0; i < base; i++)
        if (b->columns[b->place[i]].key_at < 0 && !b->columns[b->place[i]].derived)
            columns[n++] = i;
    for (uint32_t k = base; k < t->column_count; k++) { /* few: the smallest order that is left */
        uint32_t best = UINT32_MAX;
        for (uint32_t i = base; i < t->column_count; i++)
            if (!placed[i] && (best == UINT32_MAX || b->src->added[i - base].order < b->src->added[best - base].order))
                best = i;
        placed[best] = true;
        if (!b->columns[b->place[best]].derived)
            columns[n++] = best;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = columns[i];
        struct column_def *c = &b->columns[b->place[at]];
        columns[i] = b->place[at];
        c->record_at = (int32_t)i;
        ids[i] = c->id;
        rows[i] = (struct row_column){.kind = c->kind, .scale = c->scale, .is_decimal = c->type == VALUE_DECIMAL, .over_lww = c->over_lww, .missing = VALUE_NULL_INIT};
        bool set_below = c->kind == ROW_SET && c->over_lww;
        rows[i].element = set_below ? kind_element : NULL;
        t->sets_below |= set_below;
        if (at >= base && b->first_default[at] != NULL && !set_below) { /* a later SET DEFAULT is for new rows */
            quartet_status rc = constant_value(b, c, b->first_default[at], &rows[i].missing);
            if (rc != QUARTET_OK)
                return rc;
        }
        struct value empty = {.type = VALUE_JSON, .s = slice_of("[]", 2)};
        if (at >= base && c->kind == ROW_SET && !set_below) {
            if (rows[i].missing.type != VALUE_NULL && !value_identical(&rows[i].missing, &empty))
                return err_set_at(b->err, QUARTET_ERROR, b->first_default[at]->offset, "the DEFAULT of an added SET column must be empty (column %s): it is "
                                  "so in the rows that are there", c->name);
            rows[i].missing = empty;
        }
        if (at >= base && c->kind == ROW_COUNTER && !c->over_lww && rows[i].missing.type == VALUE_NULL)
            rows[i].missing = c->type == VALUE_DECIMAL ? (struct value){.type = VALUE_DECIMAL, .scale = c->scale} : value_int(0);
    }
    bool ever = b->ast->updates_win || b->src->updates != TABLE_UPDATES_AS_CREATED;
    t->updates_win = b->src->updates == TABLE_UPDATES_AS_CREATED ? b->ast->updates_win : b->src->updates == TABLE_UPDATES_WIN;
    b->ast->updates_win = t->updates_win; /* as the text shows it */
    t->rows = (struct row_schema){.columns = rows, .count = n, .updates_win = ever, .observes = ever};
    for (uint32_t i = 0; i < n; i++)
        t->rows.observes |= rows[i].kind > ROW_COUNTER || rows[i].over_lww;
    t->record_columns = columns;
    t->record_ids = ids;
    return QUARTET_OK;
}

quartet_status build_columns(struct build *b, uint32_t base)
{
    quartet_status rc = place_columns(b, base);
    return rc == QUARTET_OK ? define_columns(b, base) : rc;
}

/* catalog_view.c - a view's definition from its SQL.
 * Why parsed once and kept: a view is bound in every statement that names it, and parsing it there would cost more than binding.
 * Invariants: the tree never changes after view_box_new, so that connections may bind it side by side.
 * Not here: what a view means (bind_from.c), whether it may be created (ddl.c). */
#include "catalog_build.h"

#include <string.h>

#include "base/mem.h"
#include "parser/parse.h"

bool view_is_made_of(const struct view_def *v, const struct view_source *source)
{
    bool same = v->id == source->id && strcmp(v->name, source->name) == 0 && strcmp(v->sql, source->sql) == 0 && v->trigger_count == source->trigger_count;
    for (uint32_t i = 0; i < v->trigger_count && same; i++)
        same = v->triggers[i].id == source->triggers[i].id && strcmp(v->triggers[i].name, source->triggers[i].name) == 0;
    return same;
}

quartet_status view_box_new(const struct view_source *source, struct view_box **out, struct err *err)
{
    struct view_box *b = mem_zalloc(1, sizeof *b);
    struct ast_stmt *stmt = NULL;
    size_t consumed, n = strlen(source->sql);
    if (b == NULL)
        return err_nomem(err);
    atomic_init(&b->refs, 1);
    b->def = (struct view_def){.id = source->id, .is_system = source->id < SYS_TREES_END, .temporary = source->temporary, .name = arena_strndup(&b->arena, source->name, strlen(source->name)),
                               .sql = arena_strndup(&b->arena, source->sql, n)};
    quartet_status rc = b->def.name == NULL || b->def.sql == NULL ? arena_fail(&b->arena, err) : QUARTET_OK;
    if (rc == QUARTET_OK)
        rc = catalog_triggers(source->triggers, source->trigger_count, &b->arena, &b->def.triggers, &b->def.trigger_count, err);
    if (rc == QUARTET_OK)
        rc = parse_sql(&b->arena, source->sql, n, NULL, &stmt, &consumed, err);
    if (rc == QUARTET_OK && stmt != NULL && stmt->kind == AST_STMT_CREATE_VIEW)
        b->def.ast = stmt->u.create_view;
    if (rc == QUARTET_ERROR || rc == QUARTET_LIMIT) { /* of a newer member: whoever names the view hears of it */
        err_clear(err);
        rc = QUARTET_OK;
    }
    if (rc != QUARTET_OK)
        view_box_unref(b);
    else
        *out = b;
    return rc;
}

void view_box_unref(struct view_box *b)
{
    if (b == NULL || atomic_fetch_sub(&b->refs, 1) != 1)
        return;
    arena_free_all(&b->arena);
    mem_free(b);
}

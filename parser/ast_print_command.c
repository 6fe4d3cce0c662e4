/* ast_print_command.c - transactions, settings, SHOW and upkeep back to SQL. */
#include "parser/ast_print.h"

#include <string.h>

static void print_word_and_name(struct printer *p, const char *word, const struct ast_name *name)
{
    buf_str(p->out, word);
    print_name(p, name);
}

static void print_transaction(struct printer *p, const struct ast_transaction *t)
{
    static const char *const modes[] = {"BEGIN", "BEGIN DEFERRED", "BEGIN IMMEDIATE",
                                        "BEGIN EXCLUSIVE"};
    static const char *const access[] = {"", " READ ONLY", " READ WRITE"};
    switch ((enum ast_txn)t->action) {
    case AST_TXN_BEGIN:
        buf_printf(p->out, "%s%s", modes[t->mode], access[t->access]);
        break;
    case AST_TXN_COMMIT:
        buf_str(p->out, "COMMIT");
        break;
    case AST_TXN_ROLLBACK:
        buf_str(p->out, "ROLLBACK");
        break;
    case AST_TXN_SAVEPOINT:
        print_word_and_name(p, "SAVEPOINT ", &t->savepoint);
        break;
    case AST_TXN_RELEASE:
        print_word_and_name(p, "RELEASE ", &t->savepoint);
        break;
    case AST_TXN_ROLLBACK_TO:
        print_word_and_name(p, "ROLLBACK TO ", &t->savepoint);
        break;
    }
}

static void print_setting(struct printer *p, const struct ast_setting *s)
{
    static const char *const scopes[] = {"", "SESSION ", "GLOBAL ", "LOCAL "};
    buf_str(p->out, scopes[s->scope]);
    print_qname(p, &s->name);
    if (s->value == NULL)
        return;
    buf_str(p->out, " = ");
    print_expr(p, s->value);
}

static void print_settings(struct printer *p, const struct ast_settings *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        buf_str(p->out, i > 0 ? ", " : "SET ");
        print_setting(p, &list->item[i]);
    }
}

static void print_show(struct printer *p, const struct ast_show *s)
{
    bool of_object = strncmp(s->what, "CREATE ", 7) == 0;
    buf_printf(p->out, "SHOW %s%s", s->full ? "FULL " : "", s->what);
    if (s->name.name.text != NULL) {
        buf_str(p->out, of_object ? " " : " FROM ");
        print_qname(p, &s->name);
    }
    if (s->from.text != NULL)
        print_word_and_name(p, " FROM ", &s->from);
    if (s->like != NULL || s->where != NULL) {
        buf_str(p->out, s->like != NULL ? " LIKE " : " WHERE ");
        print_expr(p, s->like != NULL ? s->like : s->where);
    }
}

static void print_maintenance(struct printer *p, const char *word, const struct ast_maintenance *m,
                              const char *path_word)
{
    buf_str(p->out, word);
    if (m->name.name.text != NULL) {
        buf_str(p->out, " ");
        print_qname(p, &m->name);
    }
    if (m->path == NULL)
        return;
    buf_str(p->out, path_word);
    print_expr(p, m->path);
}

static void print_backtrack(struct printer *p, const struct ast_backtrack *b)
{
    buf_str(p->out, b->table.name.text != NULL ? "BACKTRACK TABLE " : "BACKTRACK DATABASE");
    if (b->table.name.text != NULL)
        print_qname(p, &b->table);
    buf_str(p->out, b->to == AST_AS_OF_STAMP ? " TO STAMP " : " TO ");
    print_expr(p, b->value);
}

static void print_copy(struct printer *p, const struct ast_copy *c)
{
    buf_str(p->out, c->query != NULL ? "COPY (" : "COPY ");
    if (c->query != NULL)
        print_query(p, c->query);
    else
        print_qname(p, &c->table);
    buf_str(p->out, c->query != NULL ? ")" : "");
    if (c->columns.count > 0) {
        buf_str(p->out, " (");
        print_names(p, &c->columns);
        buf_str(p->out, ")");
    }
    buf_str(p->out, c->is_from ? " FROM " : " TO ");
    if (c->file != NULL)
        print_string(p, c->file);
    else
        buf_str(p->out, c->is_from ? "STDIN" : "STDOUT");
    for (uint32_t i = 0; i < c->options.count; i++) {
        buf_printf(p->out, "%s%s", i > 0 ? ", " : " WITH (", c->options.item[i].name.text);
        if (c->options.item[i].value == NULL)
            continue;
        buf_str(p->out, " ");
        print_string(p, c->options.item[i].value);
    }
    buf_str(p->out, c->options.count > 0 ? ")" : "");
}

static void print_comment(struct printer *p, const struct ast_comment *c)
{
    static const char *const objects[] = {"TABLE",   "INDEX",  "VIEW",
                                          "TRIGGER", "COLUMN", "DATABASE"};
    buf_printf(p->out, "COMMENT ON %s ", objects[c->object]);
    print_qname(p, &c->name);
    if (c->column.text != NULL)
        print_word_and_name(p, ".", &c->column);
    buf_str(p->out, " IS ");
    if (c->text != NULL)
        print_string(p, c->text);
    else
        buf_str(p->out, "NULL");
}

static void print_database(struct printer *p, enum ast_stmt_kind kind, const struct ast_database *d)
{
    switch (kind) {
    case AST_STMT_ATTACH:
        buf_str(p->out, "ATTACH ");
        print_expr(p, d->file);
        buf_str(p->out, " AS ");
        break;
    case AST_STMT_DETACH:
        buf_str(p->out, "DETACH ");
        break;
    case AST_STMT_CREATE_DATABASE:
        buf_str(p->out, d->if_not_exists ? "CREATE DATABASE IF NOT EXISTS " : "CREATE DATABASE ");
        break;
    default:
        buf_str(p->out, "USE ");
        break;
    }
    print_name(p, &d->name);
}

void print_command(struct printer *p, const struct ast_stmt *s)
{
    switch ((enum ast_stmt_kind)s->kind) {
    case AST_STMT_TRANSACTION:
        print_transaction(p, s->u.transaction);
        break;
    case AST_STMT_SET:
        print_settings(p, s->u.settings);
        break;
    case AST_STMT_PRAGMA:
        buf_str(p->out, "PRAGMA ");
        print_setting(p, s->u.setting);
        break;
    case AST_STMT_SHOW:
        print_show(p, s->u.show);
        break;
    case AST_STMT_TRUNCATE:
        print_maintenance(p, "TRUNCATE TABLE", s->u.maintenance, "");
        break;
    case AST_STMT_VACUUM:
        print_maintenance(p, "VACUUM", s->u.maintenance, " INTO ");
        break;
    case AST_STMT_ANALYZE:
        print_maintenance(p, "ANALYZE", s->u.maintenance, "");
        break;
    case AST_STMT_REINDEX:
        print_maintenance(p, "REINDEX", s->u.maintenance, "");
        break;
    case AST_STMT_BACKUP:
        print_maintenance(p, "BACKUP", s->u.maintenance, " TO ");
        break;
    case AST_STMT_BACKTRACK:
        print_backtrack(p, s->u.backtrack);
        break;
    case AST_STMT_COPY:
        print_copy(p, s->u.copy);
        break;
    case AST_STMT_COMMENT:
        print_comment(p, s->u.comment);
        break;
    case AST_STMT_RESOLVE:
        buf_str(p->out, "RESOLVE CONFLICT ");
        print_expr(p, s->u.resolve->id);
        buf_str(p->out, s->u.resolve->using_loser ? " USING LOSER" : " USING WINNER");
        break;
    case AST_STMT_USE:
    case AST_STMT_ATTACH:
    case AST_STMT_DETACH:
    case AST_STMT_CREATE_DATABASE:
        print_database(p, (enum ast_stmt_kind)s->kind, s->u.database);
        break;
    default:
        break;
    }
}

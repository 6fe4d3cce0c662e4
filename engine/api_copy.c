/* api_copy.c - COPY t FROM and COPY t | (SELECT ...) TO: what drives the parts of copy.h, as a user of the public interface would.
 * Why up here and not in a connection: then the files, and standard input and output, are those of the process that uses the library, embedded or over a
 *   quartet:// URL alike, and no client can make a node read or write a file.
 * Invariants: COPY FROM is one transaction, or a part of the one that is open, unless BATCH says otherwise: after an error nothing of it is there. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api_internal.h"
#include "base/mem.h"
#include "copy.h"
#include "json.h"
#include "kind.h"
#include "parser/lex.h"
#include "parser/parse.h"

#define PARAMETERS_MAX 960u    /* of one INSERT: a statement for each row costs a third more, over a network a round trip each */
#define PROGRESS_ROWS 1024u
#define FLUSH_BYTES (64u << 10)
#define PLACE_BYTES 400u

struct api_copy {
    struct arena arena; /* the tree and the text */
    const struct ast_copy *tree;
    const char *sql;
    size_t sql_len;
};

struct copying {
    quartet_db *q;
    const struct ast_copy *tree;
    struct copy_options o;
    struct arena a;   /* of the whole */
    struct arena row; /* of the row at hand */
    struct copy_in in;
    struct copy_out out;
    struct copy_csv csv;
    uint64_t line;    /* JSON: of the present line */
    uint64_t lines[PARAMETERS_MAX]; /* of the rows that wait */
    struct copy_column *columns;
    uint32_t count;
    uint32_t *order;  /* FROM with a header: the column of each field */
    quartet_stmt *stmt;
    quartet_stmt *undo[2]; /* FROM: made ready before there is something to undo, so that no memory is needed for it */
    uint32_t many, waiting; /* rows of one INSERT, rows bound so far */
    uint64_t rows, committed;
};

bool api_copy_is(const char *sql, size_t n)
{
    struct lexer lx;
    struct token t;
    int code;
    if (n > PARSE_SQL_BYTES_MAX || (n > 0 && ((unsigned char)sql[0] | 0x20u) >= 'd' && ((unsigned char)sql[0] | 0x20u) <= 'z'))
        return false; /* nearly all statements: they begin with another letter */
    lex_init(&lx, sql, n);
    do {
        code = lex_next(&lx, &t);
    } while (code > 0 && t.n == 1 && t.p[0] == ';');
    return code > 0 && t.n == 4 && strncasecmp(t.p, "COPY", 4) == 0;
}

quartet_status api_copy_prepare(const char *sql, size_t n, struct api_copy **out, size_t *consumed, struct err *err)
{
    struct ast_stmt *tree = NULL;
    struct api_copy *c = mem_zalloc(1, sizeof *c);
    if (c == NULL)
        return err_nomem(err);
    quartet_status rc = parse_sql(&c->arena, sql, n, NULL, &tree, consumed, err);
    if (rc == QUARTET_OK) {
        QASSERT(tree != NULL && tree->kind == AST_STMT_COPY);
        c->tree = tree->u.copy;
        c->sql_len = *consumed;
        c->sql = arena_strndup(&c->arena, sql, *consumed);
        if (c->sql == NULL)
            rc = arena_fail(&c->arena, err);
    }
    if (rc == QUARTET_OK && tree->params.count > 0)
        rc = err_set(err, QUARTET_ERROR, "COPY takes no parameters");
    if (rc != QUARTET_OK)
        api_copy_free(c);
    else
        *out = c;
    return rc;
}

void api_copy_free(struct api_copy *c)
{
    if (c == NULL)
        return;
    arena_free_all(&c->arena);
    mem_free(c);
}

const char *api_copy_sql(const struct api_copy *c, size_t *n)
{
    *n = c->sql_len;
    return c->sql;
}

/* ---- options ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcasecmp(text + n - m, end) == 0;
}

static quartet_status bad_option(const char *name, const char *wants, struct err *err)
{
    return err_set(err, QUARTET_ERROR, "COPY: %s wants %s", name, wants);
}

static quartet_status read_option(struct copy_options *o, const char *name, const char *value, bool *header_said, struct err *err)
{
    const char *v = value != NULL ? value : "";
    if (strcmp(name, "FORMAT") == 0) {
        bool json = strcasecmp(v, "json") == 0 || strcasecmp(v, "jsonl") == 0;
        o->format = json ? COPY_JSON : COPY_CSV;
        return json || strcasecmp(v, "csv") == 0 ? QUARTET_OK : bad_option(name, "csv or json", err);
    }
    if (strcmp(name, "HEADER") == 0) {
        bool off = strcasecmp(v, "off") == 0 || strcasecmp(v, "false") == 0 || strcmp(v, "0") == 0;
        bool on = value == NULL || strcasecmp(v, "on") == 0 || strcasecmp(v, "true") == 0 || strcmp(v, "1") == 0;
        o->header = *header_said = on;
        return on || off ? QUARTET_OK : bad_option(name, "on or off", err);
    }
    if (strcmp(name, "DELIMITER") == 0) {
        o->delimiter = v[0] == '\\' && v[1] == 't' ? '\t' : v[0];
        bool good = v[0] != '\0' && (v[1] == '\0' || o->delimiter == '\t') && strchr("\"\r\n", v[0]) == NULL && (unsigned char)v[0] < 0x80;
        return good ? QUARTET_OK : bad_option(name, "one ASCII character that is no quote and no line end", err);
    }
    if (strcmp(name, "NULL") == 0) {
        size_t n = strlen(v);
        if (n > COPY_NULL_BYTES_MAX || strpbrk(v, "\"\r\n") != NULL)
            return bad_option(name, "a text of at most 63 bytes without quotes and line ends", err);
        memcpy(o->null_text, v, n + 1);
        return QUARTET_OK;
    }
    if (strcmp(name, "BATCH") == 0) {
        char *end = NULL;
        o->batch = strtoll(v, &end, 10);
        return v[0] != '\0' && *end == '\0' && o->batch > 0 ? QUARTET_OK : bad_option(name, "a number of rows, 1 or more", err);
    }
    return err_set(err, QUARTET_ERROR, "COPY has no option %s; it has FORMAT, HEADER, DELIMITER, NULL and BATCH", name);
}

static quartet_status read_options(struct copying *c, struct err *err)
{
    const char *file = c->tree->file;
    quartet_status rc = QUARTET_OK;
    bool header = false;
    c->o = (struct copy_options){.delimiter = ','};
    if (file != NULL && (ends_with(file, ".json") || ends_with(file, ".jsonl") || ends_with(file, ".ndjson")))
        c->o.format = COPY_JSON;
    for (uint32_t i = 0; rc == QUARTET_OK && i < c->tree->options.count; i++)
        rc = read_option(&c->o, c->tree->options.item[i].name.text, c->tree->options.item[i].value, &header, err);
    if (rc == QUARTET_OK && c->o.format == COPY_CSV && strchr(c->o.null_text, c->o.delimiter) != NULL && c->o.null_text[0] != '\0')
        rc = bad_option("NULL", "a text without the delimiter", err);
    if (rc == QUARTET_OK && c->o.batch > 0 && !c->tree->is_from)
        rc = err_set(err, QUARTET_ERROR, "COPY: BATCH is for COPY FROM");
    if (rc == QUARTET_OK && c->o.batch > 0 && quartet_in_transaction(c->q))
        rc = err_set(err, QUARTET_MISUSE, "COPY: BATCH commits by itself, so it cannot be used inside a transaction");
    return rc;
}

/* ---- columns ---- */

#define TABLE_INFO_MERGES_BY 6 /* column of PRAGMA table_info */

/* A statement of our own failed: its text is the connection's last error. */
static quartet_status inner(struct copying *c, int rc, struct err *err)
{
    return rc == QUARTET_OK || rc == QUARTET_ROW || rc == QUARTET_DONE ? QUARTET_OK : err_set(err, (quartet_status)rc, "%s", quartet_errmsg(c->q));
}

static quartet_status run(struct copying *c, const char *sql, struct err *err)
{
    return inner(c, quartet_exec(c->q, sql, NULL, NULL, NULL), err);
}

static quartet_status type_of(struct copying *c, const char *declared, struct type_decl *out, struct err *err)
{
    struct ast_expr *e = NULL;
    struct buf text = {0};
    *out = (struct type_decl){.type = VALUE_NULL};
    if (declared == NULL || declared[0] == '\0')
        return QUARTET_OK;
    buf_printf(&text, "CAST(NULL AS %s)", declared);
    quartet_status rc = buf_check(&text, err);
    if (rc == QUARTET_OK)
        rc = parse_expression(&c->a, (const char *)text.data, text.len, NULL, &e, err);
    buf_deinit(&text);
    if (rc != QUARTET_OK)
        return rc;
    const struct ast_type *t = e->u.cast.type;
    return types_from_name(t->text, t->arg_count, t->arg, out, err);
}

static bool wanted(const struct ast_names *list, const char *name, uint32_t *at)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (strcasecmp(list->item[i].text, name) == 0) {
            *at = i;
            return true;
        }
    return false;
}

static quartet_status no_such_column(struct copying *c, const char *name, struct err *err)
{
    return err_set(err, QUARTET_ERROR, "table %s has no column %s", c->tree->table.name.text, name);
}

/* The columns of the list, or all of the table's. */
static quartet_status table_columns(struct copying *c, struct err *err)
{
    const struct ast_names *list = &c->tree->columns;
    struct buf sql = {0};
    quartet_stmt *s = NULL;
    uint32_t cap = list->count;
    struct value name = value_text(c->tree->table.name.text, strlen(c->tree->table.name.text));
    buf_str(&sql, "PRAGMA table_info(");
    value_to_literal(&name, &sql);
    buf_str(&sql, ")");
    buf_u8(&sql, 0);
    quartet_status rc = buf_check(&sql, err);
    if (rc == QUARTET_OK)
        rc = inner(c, quartet_prepare(c->q, (const char *)sql.data, -1, &s, NULL), err);
    buf_deinit(&sql);
    if (rc == QUARTET_OK && list->count > 0 && (c->columns = arena_zalloc(&c->a, list->count, sizeof *c->columns)) == NULL)
        rc = arena_fail(&c->a, err);
    c->count = list->count;
    int step = QUARTET_DONE;
    while (rc == QUARTET_OK && (step = quartet_step(s)) == QUARTET_ROW) {
        const char *text = quartet_column_text(s, 1), *declared = quartet_column_text(s, 2), *merges = quartet_column_text(s, TABLE_INFO_MERGES_BY);
        uint32_t at = c->count;
        if (text == NULL || declared == NULL || merges == NULL) { /* none of them is NULL */
            rc = err_nomem(err);
            break;
        }
        if (list->count > 0 ? !wanted(list, text, &at) : strcmp(merges, KIND_COMPUTED) == 0)
            continue;
        if (list->count == 0) {
            if (c->count == cap) {
                struct copy_column *grown = arena_zalloc(&c->a, cap == 0 ? 16 : cap * 2, sizeof *grown);
                if (grown == NULL) {
                    rc = arena_fail(&c->a, err);
                    break;
                }
                if (c->count > 0)
                    memcpy(grown, c->columns, c->count * sizeof *grown);
                c->columns = grown;
                cap = cap == 0 ? 16 : cap * 2;
            }
            c->count++;
        }
        struct copy_column *col = &c->columns[at];
        col->name = arena_strndup(&c->a, text, strlen(text));
        rc = col->name == NULL ? arena_fail(&c->a, err) : type_of(c, declared, &col->type, err);
        if (strcmp(merges, kind_merges(ROW_SET)) == 0)
            col->type = (struct type_decl){.type = VALUE_JSON}; /* an array of what was declared */
        col->untyped = col->type.type == VALUE_NULL;
    }
    if (rc == QUARTET_OK)
        rc = inner(c, step, err);
    (void)quartet_finalize(s); /* repeats rc */
    if (rc == QUARTET_OK && c->count == 0)
        return err_set(err, QUARTET_ERROR, "no such table: %s", c->tree->table.name.text);
    for (uint32_t i = 0; rc == QUARTET_OK && i < list->count; i++)
        if (c->columns[i].name == NULL)
            rc = no_such_column(c, list->item[i].text, err);
    return rc;
}

static void put_names(const struct copying *c, struct buf *out)
{
    for (uint32_t i = 0; i < c->count; i++) {
        buf_str(out, i > 0 ? ", " : "");
        ast_print_name(c->columns[i].name, out);
    }
}

/* ---- where it is, how far it is ---- */

static const char *stream_name(const struct copying *c)
{
    return c->tree->file != NULL ? c->tree->file : c->tree->is_from ? "standard input" : "standard output";
}

static quartet_status at_place(const struct copying *c, uint64_t line, quartet_status rc, struct err *err)
{
    char place[PLACE_BYTES];
    if (rc == QUARTET_OK || rc == QUARTET_NOMEM)
        return rc;
    snprintf(place, sizeof place, "%.300s, line %" PRIu64, stream_name(c), line);
    err_prefix(err, place);
    return rc;
}

static void progress(struct copying *c, bool done)
{
    const struct quartet_copy_io *io = &c->q->copy_io;
    if (io->progress != NULL)
        io->progress(io->arg, c->rows, c->tree->is_from ? c->in.bytes : c->out.bytes + c->out.pending.len, c->in.total, done);
}

static quartet_status interrupted(const struct copying *c, struct err *err)
{
    return __atomic_load_n(&c->q->interrupted, __ATOMIC_RELAXED) ? err_set(err, QUARTET_INTERRUPTED, "interrupted") : QUARTET_OK;
}

/* ---- FROM ---- */

static quartet_status prepare_insert(struct copying *c, uint32_t rows, quartet_stmt **out, struct err *err)
{
    struct buf sql = {0};
    buf_str(&sql, "INSERT INTO ");
    ast_print_name(c->tree->table.name.text, &sql);
    buf_str(&sql, " (");
    put_names(c, &sql);
    buf_str(&sql, ") VALUES ");
    for (uint32_t r = 0; r < rows; r++) {
        buf_str(&sql, r > 0 ? ", (" : "(");
        for (uint32_t i = 0; i < c->count; i++)
            buf_str(&sql, i > 0 ? ", ?" : "?");
        buf_str(&sql, ")");
    }
    buf_u8(&sql, 0);
    quartet_status rc = buf_check(&sql, err);
    if (rc == QUARTET_OK)
        rc = inner(c, quartet_prepare(c->q, (const char *)sql.data, -1, out, NULL), err);
    buf_deinit(&sql);
    return rc;
}

static uint64_t line_now(const struct copying *c)
{
    return c->o.format == COPY_JSON ? c->line : c->csv.line;
}

static quartet_status bind(struct copying *c, quartet_stmt *s, uint32_t row, uint32_t column, const struct value *v, struct err *err)
{
    uint32_t number = row * c->count + column + 1;
    return c->q->local != NULL ? conn_bind(s->local, number, v, err) : remote_bind(s->far, number, v, err);
}

/* Some row of those that wait was refused, and so none of them is there: one by one tells which. Where all go in the other reason is gone. */
static quartet_status insert_singly(struct copying *c, struct err *err)
{
    quartet_stmt *s = NULL;
    quartet_status rc = prepare_insert(c, 1, &s, err);
    for (uint32_t r = 0; rc == QUARTET_OK && r < c->waiting; r++) {
        for (uint32_t i = 0; rc == QUARTET_OK && i < c->count; i++) {
            uint32_t number = r * c->count + i + 1;
            const struct value *v = c->q->local != NULL ? conn_param(c->stmt->local, number) : remote_param(c->stmt->far, number);
            rc = bind(c, s, 0, i, v, err);
        }
        if (rc == QUARTET_OK)
            rc = inner(c, quartet_step(s), err);
        if (rc == QUARTET_OK)
            rc = inner(c, quartet_reset(s), err);
        if (rc != QUARTET_OK)
            (void)at_place(c, c->lines[r], rc, err); /* gives rc */
    }
    (void)quartet_finalize(s); /* its error was told */
    return rc;
}

static quartet_status insert_waiting(struct copying *c, struct err *err)
{
    quartet_stmt *s = c->stmt, *rest = NULL;
    quartet_status rc = QUARTET_OK;
    if (c->waiting < c->many) { /* the last ones are fewer than the statement takes */
        rc = prepare_insert(c, c->waiting, &rest, err);
        if (rc == QUARTET_OK)
            rc = inner(c, quartet_bind_copy(rest, s), err);
        s = rest;
    }
    if (rc == QUARTET_OK)
        rc = inner(c, quartet_step(s), err);
    if (rc == QUARTET_OK)
        rc = inner(c, quartet_reset(s), err);
    (void)quartet_finalize(rest); /* its error was told */
    if (rc != QUARTET_OK && c->waiting == 1)
        return at_place(c, c->lines[0], rc, err);
    if (rc != QUARTET_OK && rc != QUARTET_INTERRUPTED && quartet_in_transaction(c->q)) {
        (void)quartet_reset(c->stmt); /* repeats the error */
        err_clear(err);
        rc = insert_singly(c, err);
    }
    if (rc != QUARTET_OK)
        return rc;
    c->rows += c->waiting;
    c->waiting = 0;
    return QUARTET_OK;
}

static quartet_status commit_batch(struct copying *c, struct err *err)
{
    quartet_status rc = run(c, "COMMIT", err);
    if (rc == QUARTET_OK) {
        c->committed = c->rows;
        rc = run(c, "BEGIN", err);
    }
    return rc;
}

/* The row at hand is bound: insert it, or wait for more. */
static quartet_status take_row(struct copying *c, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    c->lines[c->waiting++] = line_now(c);
    bool batch_full = c->o.batch > 0 && c->rows + c->waiting - c->committed >= (uint64_t)c->o.batch;
    if (c->waiting == c->many || batch_full)
        rc = insert_waiting(c, err);
    if (rc == QUARTET_OK && batch_full)
        rc = commit_batch(c, err);
    if (rc == QUARTET_OK && (c->rows + c->waiting) % PROGRESS_ROWS == 0) {
        progress(c, false);
        rc = interrupted(c, err);
    }
    return rc;
}

static quartet_status csv_row(struct copying *c, struct err *err)
{
    struct arena_mark mark = arena_mark(&c->row);
    quartet_status rc = QUARTET_OK;
    if (c->csv.count != c->count)
        return err_set(err, QUARTET_ERROR, "%u fields, expected %u", c->csv.count, c->count);
    for (uint32_t i = 0; rc == QUARTET_OK && i < c->count; i++) {
        struct value v;
        uint32_t at = c->order != NULL ? c->order[i] : i;
        rc = copy_value_of_csv(&c->columns[at], &c->csv.fields[i], c->o.null_text, &v, &c->row, err);
        if (rc == QUARTET_OK)
            rc = bind(c, c->stmt, c->waiting, at, &v, err);
    }
    arena_rewind(&c->row, mark);
    return rc;
}

/* With a header its names say which columns there are; a list of columns says it before. */
static quartet_status read_header(struct copying *c, struct err *err)
{
    bool end;
    quartet_status rc = copy_csv_next(&c->csv, &c->in, 0, &end, err);
    if (rc != QUARTET_OK || end || c->tree->columns.count > 0)
        return rc;
    struct copy_column *chosen = arena_zalloc(&c->a, c->csv.count, sizeof *chosen);
    if (chosen == NULL)
        return arena_fail(&c->a, err);
    for (uint32_t i = 0; i < c->csv.count; i++) {
        const struct slice name = c->csv.fields[i].text;
        uint32_t at = 0;
        while (at < c->count && (strlen(c->columns[at].name) != name.n || strncasecmp(c->columns[at].name, (const char *)name.p, name.n) != 0))
            at++;
        const char *text = arena_strndup(&c->a, (const char *)name.p, name.n);
        if (text == NULL)
            return arena_fail(&c->a, err);
        if (at == c->count)
            return no_such_column(c, text, err);
        for (uint32_t k = 0; k < i; k++)
            if (chosen[k].name == c->columns[at].name)
                return err_set(err, QUARTET_ERROR, "the header names column %s twice", text);
        chosen[i] = c->columns[at];
    }
    c->columns = chosen;
    c->count = c->csv.count;
    return QUARTET_OK;
}

static quartet_status start_insert(struct copying *c, struct err *err)
{
    c->many = c->count < PARAMETERS_MAX ? PARAMETERS_MAX / c->count : 1;
    return prepare_insert(c, c->many, &c->stmt, err);
}

static quartet_status from_csv(struct copying *c, struct err *err)
{
    bool end = false;
    c->csv.delimiter = c->o.delimiter;
    quartet_status rc = c->o.header ? read_header(c, err) : QUARTET_OK;
    if (rc != QUARTET_OK)
        return at_place(c, c->csv.line, rc, err);
    rc = start_insert(c, err);
    while (rc == QUARTET_OK) {
        rc = copy_csv_next(&c->csv, &c->in, c->count, &end, err);
        if (rc == QUARTET_OK && !end)
            rc = csv_row(c, err);
        if (rc != QUARTET_OK)
            return at_place(c, c->csv.line, rc, err);
        if (end)
            break;
        rc = take_row(c, err);
    }
    return rc == QUARTET_OK && c->waiting > 0 ? insert_waiting(c, err) : rc;
}

/* The column of a key, or count. */
static uint32_t column_of_key(const struct copying *c, struct slice key, uint32_t guess)
{
    for (uint32_t k = 0; k < c->count; k++) {
        uint32_t at = (guess + k) % c->count;
        if (strlen(c->columns[at].name) == key.n && strncasecmp(c->columns[at].name, (const char *)key.p, key.n) == 0)
            return at;
    }
    return c->count;
}

static quartet_status unknown_key(struct copying *c, struct slice key, struct err *err)
{
    return err_set(err, QUARTET_ERROR, "the key \"%.*s\" is no column %s", (int)(key.n < 100 ? key.n : 100), (const char *)key.p,
                   c->stmt != NULL ? "that the first line names" : "of the table");
}

/* Without a list of columns the first line's keys are the list: what it does not name gets its default. */
static quartet_status json_columns(struct copying *c, struct slice object, struct err *err)
{
    struct slice key, value;
    uint32_t n = 0;
    if (c->tree->columns.count > 0)
        return QUARTET_OK;
    struct copy_column *chosen = arena_zalloc(&c->a, c->count, sizeof *chosen);
    if (chosen == NULL)
        return arena_fail(&c->a, err);
    for (size_t at = 0; json_next(object, &at, &key, &value);) {
        struct slice name;
        if (!json_unquote(key, &c->a, &name))
            return arena_fail(&c->a, err);
        uint32_t col = column_of_key(c, name, n);
        if (col == c->count)
            return unknown_key(c, name, err);
        for (uint32_t k = 0; k < n; k++)
            if (chosen[k].name == c->columns[col].name)
                return err_set(err, QUARTET_ERROR, "the key \"%s\" stands twice", c->columns[col].name);
        chosen[n++] = c->columns[col];
    }
    c->columns = chosen;
    c->count = n;
    return n > 0 ? QUARTET_OK : err_set(err, QUARTET_ERROR, "an object without keys");
}

static quartet_status json_row(struct copying *c, struct slice object, bool *seen, struct err *err)
{
    struct slice key, cell, name;
    quartet_status rc = QUARTET_OK;
    uint32_t guess = 0;
    memset(seen, 0, c->count * sizeof *seen);
    for (size_t at = 0; rc == QUARTET_OK && json_next(object, &at, &key, &cell); guess++) {
        struct value v;
        if (!json_unquote(key, &c->row, &name))
            return arena_fail(&c->row, err);
        uint32_t col = column_of_key(c, name, guess);
        if (col == c->count)
            return unknown_key(c, name, err);
        if (seen[col])
            return err_set(err, QUARTET_ERROR, "the key \"%s\" stands twice", c->columns[col].name);
        seen[col] = true;
        rc = copy_value_of_json(&c->columns[col], cell, &v, &c->row, err);
        if (rc == QUARTET_OK)
            rc = bind(c, c->stmt, c->waiting, col, &v, err);
    }
    for (uint32_t i = 0; rc == QUARTET_OK && i < c->count; i++)
        if (!seen[i]) {
            struct value null = VALUE_NULL_INIT;
            rc = bind(c, c->stmt, c->waiting, i, &null, err);
        }
    return rc;
}

static quartet_status json_line(struct copying *c, struct slice line, bool **seen, struct err *err)
{
    struct slice object = json_trim(line);
    if (!json_valid(line) || json_type_of(object) != JSON_OBJECT)
        return err_set(err, QUARTET_ERROR, "not a JSON object in valid UTF-8 (a line each)");
    quartet_status rc = QUARTET_OK;
    if (c->stmt == NULL) {
        rc = json_columns(c, object, err);
        if (rc == QUARTET_OK && (*seen = arena_zalloc(&c->a, c->count, sizeof **seen)) == NULL)
            rc = arena_fail(&c->a, err);
        if (rc == QUARTET_OK)
            rc = start_insert(c, err);
    }
    if (rc != QUARTET_OK)
        return rc;
    struct arena_mark mark = arena_mark(&c->row);
    rc = json_row(c, object, *seen, err);
    arena_rewind(&c->row, mark);
    return rc;
}

static quartet_status from_json(struct copying *c, struct err *err)
{
    bool end = false, *seen = NULL;
    struct slice line;
    for (;;) {
        quartet_status rc = copy_line_next(&c->in, &c->line, &line, &end, err);
        if (rc == QUARTET_OK && !end)
            rc = json_line(c, line, &seen, err);
        if (rc != QUARTET_OK)
            return at_place(c, c->line, rc, err);
        if (end)
            return c->waiting > 0 ? insert_waiting(c, err) : QUARTET_OK;
        rc = take_row(c, err);
        if (rc != QUARTET_OK)
            return rc;
    }
}

static quartet_status prepare_undo(struct copying *c, bool began, struct err *err)
{
    static const char *const texts[][2] = {{"ROLLBACK TO quartet_copy", "RELEASE quartet_copy"}, {"ROLLBACK", NULL}};
    quartet_status rc = QUARTET_OK;
    for (size_t i = 0; rc == QUARTET_OK && i < 2 && texts[began][i] != NULL; i++)
        rc = inner(c, quartet_prepare(c->q, texts[began][i], -1, &c->undo[i], NULL), err);
    return rc;
}

/* After an error: take back what was inserted and keep the error's text. */
static void undo(struct copying *c, struct err *err)
{
    struct err ignored = ERR_INIT; /* a link that is lost: so is the transaction, and the first error says more */
    quartet_status rc = QUARTET_OK;
    for (size_t i = 0; rc == QUARTET_OK && i < 2 && c->undo[i] != NULL && quartet_in_transaction(c->q); i++)
        rc = inner(c, quartet_step(c->undo[i]), &ignored);
    if (c->committed > 0) {
        size_t n = strlen(err->text);
        snprintf(err->text + n, sizeof err->text - n, " (%" PRIu64 " rows were committed before, by BATCH)", c->committed);
    }
}

static quartet_status copy_from(struct copying *c, struct err *err)
{
    bool began = !quartet_in_transaction(c->q);
    quartet_status rc = table_columns(c, err);
    if (rc == QUARTET_OK)
        rc = copy_in_open(&c->in, env_posix(), c->tree->file, err);
    if (rc == QUARTET_OK)
        rc = prepare_undo(c, began, err);
    if (rc == QUARTET_OK)
        rc = run(c, began ? "BEGIN" : "SAVEPOINT quartet_copy", err);
    if (rc == QUARTET_OK) {
        rc = c->o.format == COPY_JSON ? from_json(c, err) : from_csv(c, err);
        (void)quartet_finalize(c->stmt); /* its error was told */
        c->stmt = NULL;
        if (rc == QUARTET_OK)
            rc = run(c, began ? "COMMIT" : "RELEASE quartet_copy", err);
        if (rc != QUARTET_OK)
            undo(c, err);
    }
    (void)quartet_finalize(c->undo[0]); /* that they ran was seen above */
    (void)quartet_finalize(c->undo[1]);
    return rc;
}

/* ---- TO ---- */

static quartet_status prepare_select(struct copying *c, struct err *err)
{
    struct buf sql = {0};
    quartet_status rc = c->tree->query == NULL ? table_columns(c, err) : QUARTET_OK;
    if (rc != QUARTET_OK)
        return rc;
    if (c->tree->query != NULL) {
        ast_print_query(c->tree->query, &sql);
    } else {
        buf_str(&sql, "SELECT ");
        put_names(c, &sql);
        buf_str(&sql, " FROM ");
        ast_print_name(c->tree->table.name.text, &sql);
    }
    buf_u8(&sql, 0);
    rc = buf_check(&sql, err);
    if (rc == QUARTET_OK)
        rc = inner(c, quartet_prepare(c->q, (const char *)sql.data, -1, &c->stmt, NULL), err);
    buf_deinit(&sql);
    if (rc != QUARTET_OK || c->tree->query == NULL)
        return rc;
    int n = quartet_column_count(c->stmt);
    c->columns = arena_zalloc(&c->a, (size_t)n + 1, sizeof *c->columns);
    if (c->columns == NULL)
        return arena_fail(&c->a, err);
    for (c->count = 0; c->count < (uint32_t)n; c->count++) {
        const char *name = quartet_column_name(c->stmt, (int)c->count);
        if ((c->columns[c->count].name = arena_strndup(&c->a, name, strlen(name))) == NULL)
            return arena_fail(&c->a, err);
    }
    return QUARTET_OK;
}

static void put_row(struct copying *c, struct buf *out)
{
    bool json = c->o.format == COPY_JSON;
    if (json)
        buf_u8(out, '{');
    for (uint32_t i = 0; i < c->count; i++) {
        struct value v = api_cell(c->stmt, (int)i);
        if (i > 0)
            buf_u8(out, json ? ',' : (uint8_t)c->o.delimiter);
        if (json) {
            json_put_string(out, slice_of(c->columns[i].name, strlen(c->columns[i].name)));
            buf_u8(out, ':');
            copy_put_json(out, &v, c->columns[i].untyped);
        } else {
            copy_put_csv(out, &v, c->columns[i].untyped, c->o.delimiter, c->o.null_text);
        }
    }
    buf_str(out, json ? "}\n" : "\n");
}

static quartet_status put_header(struct copying *c, struct err *err)
{
    for (uint32_t i = 0; i < c->count; i++) {
        struct value v = value_text(c->columns[i].name, strlen(c->columns[i].name));
        if (i > 0)
            buf_u8(&c->out.pending, (uint8_t)c->o.delimiter);
        copy_put_csv(&c->out.pending, &v, false, c->o.delimiter, "");
    }
    buf_str(&c->out.pending, "\n");
    return buf_check(&c->out.pending, err);
}

static quartet_status copy_to(struct copying *c, struct err *err)
{
    quartet_status rc = prepare_select(c, err);
    if (rc == QUARTET_OK)
        rc = copy_out_open(&c->out, env_posix(), c->tree->file, err);
    if (rc == QUARTET_OK && c->o.header && c->o.format == COPY_CSV)
        rc = put_header(c, err);
    int step = QUARTET_DONE;
    while (rc == QUARTET_OK && (step = quartet_step(c->stmt)) == QUARTET_ROW) {
        put_row(c, &c->out.pending);
        rc = copy_out_flush(&c->out, FLUSH_BYTES, err);
        if (++c->rows % PROGRESS_ROWS == 0) {
            progress(c, false);
            if (rc == QUARTET_OK)
                rc = interrupted(c, err);
        }
    }
    if (rc == QUARTET_OK)
        rc = inner(c, step, err);
    (void)quartet_finalize(c->stmt); /* its error was told */
    if (rc == QUARTET_OK && (rc = copy_out_end(&c->out, err)) != QUARTET_OK && c->tree->file == NULL)
        err_prefix(err, stream_name(c));
    return rc;
}

quartet_status api_copy_run(quartet_db *q, const struct api_copy *copy, struct err *err)
{
    struct copying c = {.q = q, .tree = copy->tree};
    const struct quartet_copy_io *io = &q->copy_io;
    __atomic_store_n(&q->interrupted, 0, __ATOMIC_RELAXED);
    quartet_status rc = read_options(&c, err);
    if (rc == QUARTET_OK && c.tree->file == NULL && (c.tree->is_from ? io->read == NULL : io->write == NULL))
        rc = err_set(err, QUARTET_MISUSE, "COPY %s: this program gives COPY no standard %s (quartet_on_copy)", c.tree->is_from ? "FROM STDIN" : "TO STDOUT",
                     c.tree->is_from ? "input" : "output");
    c.in.read = io->read;
    c.out.write = io->write;
    c.in.arg = c.out.arg = io->arg;
    if (rc == QUARTET_OK)
        rc = c.tree->is_from ? copy_from(&c, err) : copy_to(&c, err);
    if (rc == QUARTET_OK)
        q->copied = (int64_t)c.rows;
    if (c.rows > 0)
        progress(&c, true);
    copy_in_close(&c.in);
    copy_out_close(&c.out);
    copy_csv_deinit(&c.csv);
    arena_free_all(&c.row);
    arena_free_all(&c.a);
    return rc;
}

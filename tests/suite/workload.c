/* workload.c - reads a schema and a workload file. A section is a line that begins it, statements that end in ';', and a line `end`.
 *   setup                          session                        statements, run once on node 0; on every node's connection
 *   transaction NAME [weight N]    draw, let, require, SQL        one transaction
 *   invariant TEXT   same TEXT     one query                      no row, ever; the same on all nodes at the end
 * Not here: whether the SQL means anything to the engine; that is asked of a node (suite_verify). */
#include "suite/workload.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/mem.h"

struct reader {
    struct workload *w;
    const char *file, *at, *end;
    uint32_t line;
    struct err *err;
};

static quartet_status fail(struct reader *r, uint32_t line, const char *format, ...) __attribute__((format(printf, 3, 4)));
static quartet_status fail(struct reader *r, uint32_t line, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return err_set(r->err, QUARTET_ERROR, "%s:%u: %s", r->file, line, text);
}

static quartet_status nomem(struct reader *r)
{
    return err_nomem(r->err);
}

/* ---- characters ---- */

static void step(struct reader *r)
{
    r->line += *r->at == '\n';
    r->at++;
}

/* Blanks, and comments from -- to the line's end. */
static void skip_blanks(struct reader *r)
{
    while (r->at < r->end)
        if (isspace((unsigned char)*r->at)) {
            step(r);
        } else if (r->end - r->at >= 2 && r->at[0] == '-' && r->at[1] == '-') {
            while (r->at < r->end && *r->at != '\n')
                r->at++;
        } else {
            break;
        }
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* The next word, without taking it. */
static struct slice peek_word(const struct reader *r)
{
    const char *p = r->at;
    while (p < r->end && is_word(*p))
        p++;
    return slice_of(r->at, (size_t)(p - r->at));
}

static bool word_is(struct slice s, const char *word)
{
    return s.n == strlen(word) && strncasecmp((const char *)s.p, word, s.n) == 0;
}

/* The rest of the line, blanks at both ends and a comment cut off. */
static char *rest_of_line(struct reader *r)
{
    const char *from = r->at;
    while (r->at < r->end && *r->at != '\n')
        r->at++;
    const char *to = r->at;
    for (const char *p = from; p + 1 < to; p++)
        if (p[0] == '-' && p[1] == '-')
            to = p;
    while (from < to && isspace((unsigned char)*from))
        from++;
    while (to > from && isspace((unsigned char)to[-1]))
        to--;
    return arena_strndup(&r->w->arena, from, (size_t)(to - from));
}

/* The text up to the ';' that ends it, outside of quotes and comments; comments are left out. */
static quartet_status take_statement(struct reader *r, char **out)
{
    uint32_t from = r->line;
    struct buf text = {0};
    char quote = 0;
    while (r->at < r->end && (quote != 0 || *r->at != ';')) {
        if (quote == 0 && r->end - r->at >= 2 && r->at[0] == '-' && r->at[1] == '-') {
            skip_blanks(r);
            buf_u8(&text, ' ');
            continue;
        }
        if (quote == 0 && (*r->at == '\'' || *r->at == '"'))
            quote = *r->at;
        else if (quote == *r->at)
            quote = 0;
        buf_u8(&text, (uint8_t)*r->at);
        step(r);
    }
    if (r->at == r->end) {
        buf_deinit(&text);
        return fail(r, from, "this statement does not end: put a ';' after it%s", quote != 0 ? " (a quote in it is not closed)" : "");
    }
    r->at++;
    while (text.len > 0 && isspace(text.data[text.len - 1]))
        text.len--;
    *out = text.failed ? NULL : arena_strndup(&r->w->arena, text.data != NULL ? (const char *)text.data : "", text.len);
    buf_deinit(&text);
    return *out == NULL ? nomem(r) : QUARTET_OK;
}

/* Runs of blanks outside of quotes become one, for people. */
static char *on_one_line(struct arena *a, const char *s)
{
    char *out = arena_strndup(a, s, strlen(s)), *to = out, quote = 0;
    for (; out != NULL && *s != '\0'; s++) {
        if (quote == 0 && (*s == '\'' || *s == '"'))
            quote = *s;
        else if (quote == *s)
            quote = 0;
        if (quote == 0 && isspace((unsigned char)*s)) {
            if (to > out && to[-1] != ' ')
                *to++ = ' ';
        } else {
            *to++ = *s;
        }
    }
    if (out != NULL)
        *to = '\0';
    return out;
}

/* ---- pieces ---- */

static quartet_status take_name(struct reader *r, const char *what, const char **out)
{
    skip_blanks(r);
    if (r->at < r->end && *r->at == ':')
        r->at++; /* as it is written where it is used */
    struct slice word = peek_word(r);
    if (word.n == 0 || isdigit(word.p[0]))
        return fail(r, r->line, "%s needs a name of letters, digits and _", what);
    r->at += word.n;
    *out = arena_strndup(&r->w->arena, (const char *)word.p, word.n);
    return *out == NULL ? nomem(r) : QUARTET_OK;
}

static bool take_integer(struct reader *r, int64_t *out)
{
    char digits[24] = "", *end = NULL;
    size_t n = 0;
    skip_blanks(r);
    while (r->at < r->end && n + 1 < sizeof digits && (isdigit((unsigned char)*r->at) || (n == 0 && *r->at == '-')))
        digits[n++] = *r->at++;
    *out = (int64_t)strtoll(digits, &end, 10);
    return n > 0 && *end == '\0' && isdigit((unsigned char)digits[n - 1]);
}

static bool take_char(struct reader *r, char c)
{
    skip_blanks(r);
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static quartet_status take_choice(struct reader *r, struct value *out)
{
    skip_blanks(r);
    int64_t i = 0;
    if (r->at < r->end && *r->at == '\'') {
        struct buf text = {0};
        for (r->at++; r->at < r->end && (*r->at != '\'' || (r->end - r->at > 1 && r->at[1] == '\'')); step(r)) {
            if (*r->at == '\'')
                r->at++; /* '' is one quote */
            buf_u8(&text, (uint8_t)*r->at);
        }
        char *copy = text.failed ? NULL : arena_strndup(&r->w->arena, text.data != NULL ? (const char *)text.data : "", text.len);
        *out = value_text(copy, text.len);
        buf_deinit(&text);
        if (copy == NULL)
            return nomem(r);
        return take_char(r, '\'') ? QUARTET_OK : fail(r, r->line, "a quote in this list is not closed");
    }
    if (word_is(peek_word(r), "null")) {
        r->at += 4;
        *out = VALUE_NULL_INIT;
        return QUARTET_OK;
    }
    if (!take_integer(r, &i))
        return fail(r, r->line, "a list holds integers, 'texts' and NULL, with commas between them");
    *out = value_int(i);
    return QUARTET_OK;
}

static quartet_status take_choices(struct reader *r, struct draw *d)
{
    quartet_status rc = QUARTET_OK;
    d->kind = DRAW_CHOICE;
    d->choices = arena_zalloc(&r->w->arena, WORKLOAD_CHOICES_MAX, sizeof *d->choices);
    if (d->choices == NULL)
        return nomem(r);
    do {
        if (d->choice_count == WORKLOAD_CHOICES_MAX)
            return fail(r, r->line, "a list of more than %u: draw a number from a range and look the value up", WORKLOAD_CHOICES_MAX);
        rc = take_choice(r, &d->choices[d->choice_count++]);
    } while (rc == QUARTET_OK && take_char(r, ','));
    if (rc == QUARTET_OK && !take_char(r, ')'))
        rc = fail(r, r->line, "a list ends with ')'");
    return rc;
}

/* draw NAME in LO..HI; draw NAME in ('a', 'b'); draw NAME uuid; draw NAME unique; */
static quartet_status take_draw(struct reader *r, struct wl_txn *t)
{
    if (t->draw_count == WORKLOAD_DRAWS_MAX)
        return fail(r, r->line, "more than %u draws in one transaction", WORKLOAD_DRAWS_MAX);
    struct draw *d = &t->draws[t->draw_count];
    *d = (struct draw){.line = r->line};
    quartet_status rc = take_name(r, "draw", &d->name);
    if (rc != QUARTET_OK)
        return rc;
    for (uint32_t i = 0; i < t->draw_count; i++)
        if (strcmp(t->draws[i].name, d->name) == 0)
            return fail(r, r->line, "%s is drawn twice", d->name);
    t->draw_count++;
    skip_blanks(r);
    struct slice word = peek_word(r);
    r->at += word.n;
    if (word_is(word, "uuid")) {
        d->kind = DRAW_UUID;
    } else if (word_is(word, "unique")) {
        d->kind = DRAW_UNIQUE;
    } else if (!word_is(word, "in")) {
        return fail(r, r->line, "write: draw %s in 1..9; or in ('a', 'b'); or draw %s uuid; or draw %s unique;", d->name, d->name, d->name);
    } else if (take_char(r, '(')) {
        rc = take_choices(r, d);
    } else if (!take_integer(r, &d->lo) || !take_char(r, '.') || !take_char(r, '.') || !take_integer(r, &d->hi) || d->lo > d->hi ||
               (d->lo < 0 && d->hi > INT64_MAX + d->lo)) {
        return fail(r, r->line, "a range is LOW..HIGH, two integers, as in: draw %s in 1..9;", d->name);
    }
    if (rc == QUARTET_OK && !take_char(r, ';'))
        rc = fail(r, r->line, "draw %s ends with ';'", d->name);
    return rc;
}

static quartet_status new_stmt(struct reader *r, struct wl_stmts *list, struct wl_stmt **out)
{
    if (list->item == NULL && (list->item = arena_zalloc(&r->w->arena, WORKLOAD_STATEMENTS_MAX, sizeof *list->item)) == NULL)
        return nomem(r);
    if (list->count == WORKLOAD_STATEMENTS_MAX)
        return fail(r, r->line, "more than %u statements in one section", WORKLOAD_STATEMENTS_MAX);
    *out = &list->item[list->count++];
    **out = (struct wl_stmt){.line = r->line};
    return QUARTET_OK;
}

static quartet_status take_text(struct reader *r, struct wl_stmts *list, struct wl_stmt **s, char **text)
{
    quartet_status rc = new_stmt(r, list, s);
    return rc == QUARTET_OK ? take_statement(r, text) : rc;
}

static quartet_status take_sql(struct reader *r, struct wl_stmts *list)
{
    struct wl_stmt *s = NULL;
    char *text = NULL;
    quartet_status rc = take_text(r, list, &s, &text);
    if (rc != QUARTET_OK)
        return rc;
    if (text[0] == '\0')
        return fail(r, s->line, "an empty statement: take this ';' out");
    s->sql = text;
    s->shown = on_one_line(&r->w->arena, text);
    return s->shown == NULL ? nomem(r) : QUARTET_OK;
}

/* let a, b = SELECT ...; */
static quartet_status take_let(struct reader *r, struct wl_stmts *list)
{
    struct wl_stmt *s = NULL;
    char *text = NULL;
    quartet_status rc = new_stmt(r, list, &s);
    s->kind = LINE_LET;
    do {
        if (rc == QUARTET_OK && s->name_count == WORKLOAD_NAMES_MAX)
            rc = fail(r, r->line, "more than %u names in one let", WORKLOAD_NAMES_MAX);
        if (rc == QUARTET_OK)
            rc = take_name(r, "let", &s->names[s->name_count++]);
    } while (rc == QUARTET_OK && take_char(r, ','));
    if (rc == QUARTET_OK && !take_char(r, '='))
        rc = fail(r, r->line, "write: let %s = SELECT ...;", s->names[0]);
    skip_blanks(r);
    if (rc == QUARTET_OK)
        rc = take_statement(r, &text);
    if (rc != QUARTET_OK)
        return rc;
    s->sql = text;
    struct buf shown = {0};
    buf_str(&shown, "let ");
    for (uint32_t i = 0; i < s->name_count; i++)
        buf_printf(&shown, "%s%s", i > 0 ? ", " : "", s->names[i]);
    buf_printf(&shown, " = %s", text);
    buf_u8(&shown, 0);
    s->shown = shown.failed ? NULL : on_one_line(&r->w->arena, (const char *)shown.data);
    buf_deinit(&shown);
    return s->shown == NULL ? nomem(r) : QUARTET_OK;
}

static quartet_status take_require(struct reader *r, struct wl_stmts *list)
{
    struct wl_stmt *s = NULL;
    char *text = NULL;
    quartet_status rc = take_text(r, list, &s, &text);
    if (rc != QUARTET_OK)
        return rc;
    if (text[strspn(text, " \t\r\n")] == '\0')
        return fail(r, s->line, "require needs a condition, as in: require :have >= :amount;");
    s->kind = LINE_REQUIRE;
    s->sql = arena_printf(&r->w->arena, "SELECT 1 WHERE (%s)", text);
    char *shown = arena_printf(&r->w->arena, "require%s", text);
    s->shown = shown == NULL ? NULL : on_one_line(&r->w->arena, shown);
    return s->sql == NULL || s->shown == NULL ? nomem(r) : QUARTET_OK;
}

/* ---- sections ---- */

/* At `end`, which is taken? */
static bool take_end(struct reader *r)
{
    skip_blanks(r);
    if (!word_is(peek_word(r), "end"))
        return false;
    r->at += 3;
    (void)take_char(r, ';'); /* one may be there */
    return true;
}

static quartet_status take_plain_section(struct reader *r, struct wl_stmts *list, const char *name)
{
    uint32_t line = r->line;
    quartet_status rc = QUARTET_OK;
    while (rc == QUARTET_OK && !take_end(r)) {
        if (r->at == r->end)
            return fail(r, line, "the section %s has no line that says: end", name);
        rc = take_sql(r, list);
    }
    return rc;
}

static quartet_status take_transaction(struct reader *r)
{
    struct workload *w = r->w;
    uint32_t line = r->line;
    if (w->txn_count == WORKLOAD_TRANSACTIONS_MAX)
        return fail(r, line, "more than %u transactions", WORKLOAD_TRANSACTIONS_MAX);
    struct wl_txn *t = &w->txns[w->txn_count++];
    *t = (struct wl_txn){.weight = 1, .line = line};
    quartet_status rc = take_name(r, "transaction", &t->name);
    for (uint32_t i = 0; rc == QUARTET_OK && i + 1 < w->txn_count; i++)
        if (strcmp(w->txns[i].name, t->name) == 0)
            rc = fail(r, line, "there are two transactions %s", t->name);
    skip_blanks(r);
    if (rc == QUARTET_OK && r->line == line && word_is(peek_word(r), "weight")) {
        int64_t weight = 0;
        r->at += 6;
        if (!take_integer(r, &weight) || weight < 1 || weight > WORKLOAD_WEIGHT_MAX)
            return fail(r, line, "a weight is an integer from 1 to %u", WORKLOAD_WEIGHT_MAX);
        t->weight = (uint32_t)weight;
    }
    while (rc == QUARTET_OK && !take_end(r)) {
        struct slice word = peek_word(r);
        if (r->at == r->end)
            return fail(r, line, "transaction %s has no line that says: end", t->name);
        bool draw = word_is(word, "draw"), let = word_is(word, "let"), require = word_is(word, "require");
        if (draw || let || require)
            r->at += word.n;
        rc = draw ? take_draw(r, t) : let ? take_let(r, &t->body) : require ? take_require(r, &t->body) : take_sql(r, &t->body);
    }
    if (rc == QUARTET_OK && t->body.count == 0)
        rc = fail(r, line, "transaction %s does nothing", t->name);
    return rc;
}

static quartet_status take_invariant(struct reader *r, bool same)
{
    struct workload *w = r->w;
    uint32_t line = r->line;
    struct wl_stmts one = {0};
    if (w->invariant_count == WORKLOAD_INVARIANTS_MAX)
        return fail(r, line, "more than %u invariants", WORKLOAD_INVARIANTS_MAX);
    struct wl_invariant *v = &w->invariants[w->invariant_count++];
    *v = (struct wl_invariant){.line = line, .same = same, .name = rest_of_line(r)};
    if (v->name == NULL)
        return nomem(r);
    if (v->name[0] == '\0')
        return fail(r, line, "say on the same line what must hold, as in: invariant no balance is negative");
    quartet_status rc = take_plain_section(r, &one, v->name);
    if (rc == QUARTET_OK && one.count != 1)
        rc = fail(r, line, "an invariant is one query%s", same ? "" : ", which must return no row");
    v->sql = rc == QUARTET_OK ? one.item[0].sql : NULL;
    return rc;
}

static quartet_status take_sections(struct reader *r)
{
    quartet_status rc = QUARTET_OK;
    for (skip_blanks(r); rc == QUARTET_OK && r->at < r->end; skip_blanks(r)) {
        struct slice word = peek_word(r);
        r->at += word.n;
        if (word_is(word, "setup"))
            rc = take_plain_section(r, &r->w->setup, "setup");
        else if (word_is(word, "session"))
            rc = take_plain_section(r, &r->w->session, "session");
        else if (word_is(word, "transaction"))
            rc = take_transaction(r);
        else if (word_is(word, "invariant") || word_is(word, "same"))
            rc = take_invariant(r, word_is(word, "same"));
        else
            rc = fail(r, r->line, "here begins no section: there are setup, session, transaction NAME, invariant TEXT and same TEXT, each ended by a line: end");
    }
    if (rc == QUARTET_OK && r->w->txn_count == 0)
        rc = fail(r, 1, "no transaction: what should the nodes do? (transaction NAME ... end)");
    if (rc == QUARTET_OK && r->w->invariant_count == 0)
        rc = fail(r, 1, "no invariant: what must hold? (invariant TEXT ... end)");
    return rc;
}

static quartet_status open_file(struct reader *r, const char *path, uint8_t **data)
{
    size_t n = 0;
    r->file = path;
    r->line = 1;
    quartet_status rc = env_read_file(env_posix(), path, WORKLOAD_FILE_BYTES_MAX, data, &n, r->err);
    if (rc != QUARTET_OK)
        return rc;
    r->at = (const char *)*data;
    r->end = r->at + n;
    return memchr(*data, 0, n) != NULL ? fail(r, 1, "this is no text file") : QUARTET_OK;
}

quartet_status workload_read(struct workload *w, const char *schema_file, const char *file, struct err *err)
{
    struct reader r = {.w = w, .err = err};
    uint8_t *data = NULL;
    *w = (struct workload){.schema_file = schema_file, .file = file};
    w->txns = arena_zalloc(&w->arena, WORKLOAD_TRANSACTIONS_MAX, sizeof *w->txns);
    w->invariants = arena_zalloc(&w->arena, WORKLOAD_INVARIANTS_MAX, sizeof *w->invariants);
    if (w->txns == NULL || w->invariants == NULL)
        return err_nomem(err);
    quartet_status rc = open_file(&r, schema_file, &data);
    for (skip_blanks(&r); rc == QUARTET_OK && r.at < r.end; skip_blanks(&r))
        rc = take_sql(&r, &w->schema);
    if (rc == QUARTET_OK && w->schema.count == 0)
        rc = fail(&r, 1, "no statement: this file should hold the CREATE TABLEs");
    mem_free(data);
    data = NULL;
    if (rc == QUARTET_OK)
        rc = open_file(&r, file, &data);
    if (rc == QUARTET_OK)
        rc = take_sections(&r);
    mem_free(data);
    return rc;
}

void workload_free(struct workload *w)
{
    arena_free_all(&w->arena);
}

/* verify_cluster.c - quartet verify quartet://...: which rows differ between the nodes of a cluster that know the same transactions.
 * How: a stamp is agreed on, so that nothing at or below it can come any more: the newest stamp that any node knows, then every node reads once with all that anybody has
 *   acknowledged (so its clock is past that stamp, and nobody will stamp anything below), then once more (so what was stamped meanwhile has arrived). AS OF that stamp, nodes are compared
 *   with the first one, row by row in the order of the key, while everybody goes on writing.
 * Why a question for each difference: whether a key that only one stream has is missing in the other one, or comes later there, is what the server's order says; we do not
 *   build that order a second time.
 * It says what each node has and never which is right. */
#include "nodes.h"
#include "shell.h"

#include <stdlib.h>
#include <string.h>

#include "quartet.h"
#include "verify_cluster.h"

#define COLUMNS_MAX 2000
#define ROWS_TOLD_MAX 100 /* of a table and a pair of nodes */
#define ANSWER_MS 5000

struct column {
    char name[256], type[64];
    int key; /* place in the primary key, from 1; 0: none */
};
struct comparing {
    struct nodes nodes;
    quartet_db *db[NODES_MAX];
    long long stamp;
    bool json;
    unsigned long long tables, rows, differences;
    char table[512]; /* quoted */
    const char *table_name;
    struct column *columns;
    int column_count, key_count;
    char *order; /* "a", "b", ...: the key's columns, or all */
};

static int complain(const struct comparing *c, int node, const char *what)
{
    fprintf(stderr, "quartet verify: %s%s%s: %s\n", what, node >= 0 ? " at " : "", node >= 0 ? c->nodes.node[node].address : "",
            node >= 0 && c->db[node] != NULL ? quartet_errmsg(c->db[node]) : "out of memory");
    return 1;
}

static bool quote(char *out, size_t n, const char *name)
{
    char *quoted = text_quote_name(name);
    bool fits = quoted != NULL && strlen(quoted) < n;
    if (fits)
        memcpy(out, quoted, strlen(quoted) + 1);
    free(quoted);
    return fits;
}

/* ---- a stamp at which all can be compared ---- */

static int read_stamp(struct comparing *c, int node, long long *out)
{
    quartet_stmt *s = NULL;
    int rc = quartet_prepare(c->db[node], "SELECT quartet_stamp()", -1, &s, NULL);
    if (rc == QUARTET_OK && quartet_step(s) == QUARTET_ROW)
        *out = quartet_column_int64(s, 0);
    rc = quartet_finalize(s);
    return rc;
}

static int agree(struct comparing *c)
{
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < c->nodes.count; i++) {
            long long stamp = 0;
            if (round == 1 && quartet_exec(c->db[i], "SET consistency = 'cluster'", NULL, NULL, NULL) != QUARTET_OK)
                return complain(c, i, "consistency cannot be set");
            if (read_stamp(c, i, &stamp) != QUARTET_OK)
                return complain(c, i, round == 0 ? "its newest transaction cannot be asked for" : "all nodes must answer for this");
            if (round == 0 && stamp > c->stamp)
                c->stamp = stamp;
        }
    for (int i = 0; i < c->nodes.count; i++)
        if (quartet_exec(c->db[i], "SET consistency = 'local'", NULL, NULL, NULL) != QUARTET_OK)
            return complain(c, i, "consistency cannot be set");
    return 0;
}

/* ---- one table ---- */

static int read_columns(struct comparing *c)
{
    char sql[600];
    quartet_stmt *s = NULL;
    size_t order = 1, at = 0;
    c->column_count = c->key_count = 0;
    snprintf(sql, sizeof sql, "SHOW COLUMNS FROM %s", c->table);
    int rc = quartet_prepare(c->db[0], sql, -1, &s, NULL);
    while (rc == QUARTET_OK && quartet_step(s) == QUARTET_ROW) { /* what went wrong finalize repeats */
        struct column *x = &c->columns[c->column_count];
        const char *name = quartet_column_text(s, 1), *type = quartet_column_text(s, 2);
        if (c->column_count < COLUMNS_MAX && name != NULL && quote(x->name, sizeof x->name, name)) {
            snprintf(x->type, sizeof x->type, "%s", type != NULL ? type : "");
            x->key = (int)quartet_column_int64(s, 5);
            c->key_count += x->key > 0;
            c->column_count++;
            order += strlen(x->name) + 2;
        }
    }
    if (quartet_finalize(s) != QUARTET_OK)
        return complain(c, 0, "columns cannot be read");
    free(c->order);
    c->order = calloc(order, 1);
    if (c->order == NULL)
        return complain(c, -1, "columns");
    for (int place = 1; place <= (c->key_count > 0 ? c->key_count : c->column_count); place++)
        for (int i = 0; i < c->column_count; i++)
            if ((c->key_count > 0 ? c->columns[i].key == place : i + 1 == place) && at < order)
                at += (size_t)snprintf(c->order + at, order - at, "%s%s", place > 1 ? ", " : "", c->columns[i].name);
    return 0;
}

static bool is_key(const struct comparing *c, int column)
{
    return c->key_count == 0 || c->columns[column].key > 0;
}

static bool same_value(quartet_stmt *a, quartet_stmt *b, int column)
{
    if (quartet_column_type(a, column) != quartet_column_type(b, column))
        return false;
    if (quartet_column_type(a, column) == QUARTET_NULL)
        return true;
    int64_t n = quartet_column_bytes(a, column), m = quartet_column_bytes(b, column);
    const void *x = quartet_column_blob(a, column), *y = quartet_column_blob(b, column);
    return n == m && (n == 0 || (x != NULL && y != NULL && memcmp(x, y, (size_t)n) == 0));
}

static bool same(const struct comparing *c, quartet_stmt *a, quartet_stmt *b, bool key_only)
{
    for (int i = 0; i < c->column_count; i++)
        if ((!key_only || is_key(c, i)) && !same_value(a, b, i))
            return false;
    return true;
}

static int open_rows(struct comparing *c, int node, quartet_stmt **out)
{
    size_t n = strlen(c->order) + sizeof c->table + 128;
    char *sql = malloc(n);
    if (sql == NULL)
        return complain(c, -1, "a query");
    snprintf(sql, n, "SELECT * FROM %s AS OF STAMP %lld ORDER BY %s", c->table, c->stamp, c->order);
    int rc = quartet_prepare(c->db[node], sql, -1, out, NULL);
    free(sql);
    return rc == QUARTET_OK ? 0 : complain(c, node, "rows cannot be read");
}

static int bind(quartet_stmt *to, int at, quartet_stmt *from, int column)
{
    switch (quartet_column_type(from, column)) {
    case QUARTET_INTEGER:
        return quartet_bind_int64(to, at, quartet_column_int64(from, column));
    case QUARTET_REAL:
        return quartet_bind_double(to, at, quartet_column_double(from, column));
    case QUARTET_NULL:
        return quartet_bind_null(to, at);
    case QUARTET_BLOB:
        return quartet_bind_blob(to, at, quartet_column_blob(from, column), quartet_column_bytes(from, column));
    default:
        return quartet_bind_text(to, at, quartet_column_text(from, column), quartet_column_bytes(from, column));
    }
}

/* Has this node a row with the key of the row that `from` stands on? Exit status; *has. */
static int has_key(struct comparing *c, int node, quartet_stmt *from, bool *has)
{
    size_t n = (size_t)c->column_count * 360 + sizeof c->table + 128, at = 0;
    char *sql = malloc(n);
    quartet_stmt *s = NULL;
    int parameters = 0, rc;
    if (sql == NULL)
        return complain(c, -1, "a query");
    at += (size_t)snprintf(sql, n, "SELECT 1 FROM %s AS OF STAMP %lld WHERE ", c->table, c->stamp);
    for (int i = 0; i < c->column_count; i++) {
        if (!is_key(c, i))
            continue;
        int type = quartet_column_type(from, i);
        bool plain = type <= QUARTET_NULL || c->columns[i].type[0] == '\0';
        parameters++;
        at += (size_t)snprintf(sql + at, n - at, plain ? "%s%s IS ?%d" : "%s%s IS CAST(?%d AS %s)", parameters > 1 ? " AND " : "", c->columns[i].name, parameters, c->columns[i].type);
    }
    rc = quartet_prepare(c->db[node], sql, -1, &s, NULL);
    for (int i = 0, p = 1; rc == QUARTET_OK && i < c->column_count; i++)
        if (is_key(c, i))
            rc = bind(s, p++, from, i);
    *has = rc == QUARTET_OK && quartet_step(s) == QUARTET_ROW;
    rc = quartet_finalize(s);
    free(sql);
    return rc == QUARTET_OK ? 0 : complain(c, node, "a row cannot be looked for");
}

/* Its values, or its key's only, with commas between, each as put() writes it. */
static void print_row(const struct comparing *c, quartet_stmt *s, bool key_only, const char *null, void (*put)(FILE *, const char *, size_t))
{
    const char *between = "";
    for (int i = 0; i < c->column_count; i++) {
        if (key_only && !is_key(c, i))
            continue;
        const char *text = quartet_column_text(s, i);
        fputs(between, stdout);
        between = ", ";
        if (text == NULL)
            fputs(null, stdout);
        else
            put(stdout, text, strlen(text));
    }
}

static void print_json_row(const struct comparing *c, const char *name, quartet_stmt *s, bool key_only)
{
    printf(", \"%s\": %s", name, s == NULL ? "null" : "[");
    if (s == NULL)
        return;
    print_row(c, s, key_only, "null", text_print_json);
    fputs("]", stdout);
}

/* a, b: the rows that the first node and `node` have; NULL: none */
static void tell(struct comparing *c, int node, quartet_stmt *a, quartet_stmt *b)
{
    int first_slot = c->nodes.node[0].slot, slot = c->nodes.node[node].slot;
    c->differences++;
    if (c->json) {
        fputs(c->differences > 1 ? ",\n  {\"table\": " : "\n  {\"table\": ", stdout);
        text_print_json(stdout, c->table_name, strlen(c->table_name));
        printf(", \"nodes\": [%d, %d]", first_slot, slot);
        print_json_row(c, "key", a != NULL ? a : b, true);
        print_json_row(c, "first", a, false);
        print_json_row(c, "second", b, false);
        fputs("}", stdout);
        return;
    }
    printf("table %s, key ", c->table_name);
    print_row(c, a != NULL ? a : b, true, "NULL", text_print_safe);
    for (int i = 0; i < 2; i++) {
        quartet_stmt *s = i == 0 ? a : b;
        printf("%s node %d has ", i == 0 ? ":" : ";", i == 0 ? first_slot : slot);
        if (s == NULL) {
            fputs("no such row", stdout);
        } else {
            fputs("(", stdout);
            print_row(c, s, false, "NULL", text_print_safe);
            fputs(")", stdout);
        }
    }
    putchar('\n');
}

static int compare_with(struct comparing *c, int node)
{
    quartet_stmt *a = NULL, *b = NULL;
    unsigned told = 0;
    int failed = open_rows(c, 0, &a) || open_rows(c, node, &b), ra = QUARTET_ROW, rb = QUARTET_ROW;
    bool step_a = true, step_b = true;
    while (!failed && told < ROWS_TOLD_MAX) {
        if (step_a)
            ra = quartet_step(a);
        if (step_b)
            rb = quartet_step(b);
        if ((ra != QUARTET_ROW && ra != QUARTET_DONE) || (rb != QUARTET_ROW && rb != QUARTET_DONE)) {
            failed = complain(c, ra != QUARTET_ROW && ra != QUARTET_DONE ? 0 : node, "rows cannot be read");
            break;
        }
        if (ra == QUARTET_DONE && rb == QUARTET_DONE)
            break;
        bool one_key = ra == QUARTET_ROW && rb == QUARTET_ROW && same(c, a, b, true), in_b = false;
        c->rows += ra == QUARTET_ROW && step_a;
        if (one_key && same(c, a, b, false)) {
            step_a = step_b = true;
            continue;
        }
        if (!one_key && ra == QUARTET_ROW && rb == QUARTET_ROW)
            failed = has_key(c, node, a, &in_b);
        step_a = one_key || (ra == QUARTET_ROW && !in_b);
        step_b = one_key || !step_a;
        if (!failed) {
            tell(c, node, step_a ? a : NULL, step_b ? b : NULL);
            told++;
        }
    }
    if (told == ROWS_TOLD_MAX && !c->json)
        printf("table %s: %u differences to node %d; the rest of it was not compared\n", c->table_name, told, c->nodes.node[node].slot);
    (void)quartet_finalize(a); /* what went wrong was told */
    (void)quartet_finalize(b);
    return failed;
}

static int compare_table(struct comparing *c, const char *name)
{
    c->table_name = name;
    c->tables++;
    int failed = quote(c->table, sizeof c->table, name) ? read_columns(c) : complain(c, -1, "a table's name");
    for (int i = 1; i < c->nodes.count && !failed; i++)
        failed = compare_with(c, i);
    return failed;
}

/* ---- all of it ---- */

struct names {
    char **name;
    int count;
};

static int keep_name(void *arg, int count, char **values, char **columns)
{
    struct names *n = arg;
    (void)columns; /* one is asked for */
    char **grown = count > 0 && values[0] != NULL ? realloc(n->name, (size_t)(n->count + 1) * sizeof *grown) : NULL;
    if (grown == NULL)
        return 1;
    n->name = grown;
    grown[n->count] = strdup(values[0]);
    return grown[n->count] == NULL ? 1 : (n->count++, 0);
}

static int open_all(struct comparing *c)
{
    char url[NODES_URL_MAX + 96];
    nodes_ask(&c->nodes, ANSWER_MS);
    for (int i = 0; i < c->nodes.count; i++) {
        struct node_view *v = &c->nodes.node[i];
        if (!v->up) {
            fprintf(stderr, "quartet verify: all nodes must answer for this, and %s does not: %s\n", v->address, v->error);
            return 1;
        }
        snprintf(url, sizeof url, "%s%sconsistency=local&timeout=600000", v->url, strchr(v->url, '?') != NULL ? "&" : "?");
        if (quartet_open(url, &c->db[i]) != QUARTET_OK)
            return complain(c, i, "no connection");
    }
    return 0;
}

int verify_cluster(const char *url, int count, char **tables, bool json)
{
    struct comparing *c = calloc(1, sizeof *c);
    struct names all = {0};
    const char *why;
    if (c == NULL || (c->columns = calloc(COLUMNS_MAX + 1, sizeof *c->columns)) == NULL) {
        free(c);
        fprintf(stderr, "quartet verify: out of memory\n");
        return 1;
    }
    c->json = json;
    int failed = 0;
    if (!nodes_parse(&c->nodes, url, &why) || c->nodes.count < 2) {
        fprintf(stderr, "quartet verify: %s\n", c->nodes.count == 1 ? "the URL names one node, and nodes are compared with each other" : why);
        failed = 64;
    }
    if (!failed)
        failed = open_all(c) || agree(c);
    if (!failed && count == 0 && quartet_exec(c->db[0], "SHOW TABLES", keep_name, &all, NULL) != QUARTET_OK)
        failed = complain(c, 0, "tables cannot be listed");
    if (!failed && json)
        fputs("{\"differences\": [", stdout);
    for (int i = 0; i < (count > 0 ? count : all.count) && !failed; i++)
        failed = compare_table(c, count > 0 ? tables[i] : all.name[i]);
    if (!failed && json)
        printf("%s], \"count\": %llu, \"tables\": %llu, \"rows\": %llu, \"stamp\": %lld}\n", c->differences > 0 ? "\n" : "", c->differences, c->tables, c->rows, c->stamp);
    else if (!failed && c->differences == 0)
        printf("%d nodes, %llu tables, as of stamp %lld: no row differs\n", c->nodes.count, c->tables, c->stamp);
    else if (!failed)
        printf("%llu rows differ, as of stamp %lld. Which is right cannot be told from the rows\n", c->differences, c->stamp);
    for (int i = 0; i < c->nodes.count; i++)
        quartet_close(c->db[i]);
    for (int i = 0; i < all.count; i++)
        free(all.name[i]);
    failed = failed ? failed : c->differences > 0;
    free(all.name);
    free(c->order);
    free(c->columns);
    free(c);
    return failed;
}

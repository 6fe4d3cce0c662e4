/* matrix_work.c - the workloads of the matrix: a table of what writers do, and of what every reader on every node must see at any time. See matrix.h.
 * Why queries that must give one value: each is one statement, so it sees one snapshot, and holds a table against the journal that was written by the same
 *   transactions: half a transaction, a lost write, an effect without its cause and a wrong sum all show as another value. */
#include "netns/matrix.h"

#include <stdio.h>
#include <string.h>

#define LISTS 8
#define ACCOUNTS 10
#define REGISTERS 8
#define BAGS 64
#define EMAILS 60
#define PARENTS 32
#define TALLIES 20
#define STOCKS 5
#define LONG_ROWS 30
#define DDL_EVERY 50
#define DDL_MAX 10 /* of one writer */

static int64_t row_id(const struct client *c, uint64_t n)
{
    return (int64_t)MATRIX_ID * (c->slot + 1) + (int64_t)n;
}

static void remember(struct client *c, int64_t id)
{
    if (c->own_count < MATRIX_OWN_MAX)
        c->own[c->own_count++] = id;
}

static int64_t take_own(struct client *c)
{
    int64_t id = c->own[0];
    memmove(c->own, c->own + 1, --c->own_count * sizeof *c->own);
    return id;
}

/* DELETE of a row of one's own, with its line in the journal; where the row is out of sight (quarantined) it stays. */
static int delete_own(struct client *c, uint64_t n, const char *table)
{
    int64_t id = take_own(c);
    int rc = matrix_run(c, "BEGIN; DELETE FROM %s WHERE id = %lld", table, (long long)id);
    if (rc != QUARTET_OK)
        return rc;
    if (quartet_changes(c->db) == 0) {
        rc = matrix_run(c, "ROLLBACK");
        return rc == QUARTET_OK ? QUARTET_CONSTRAINT : rc;
    }
    return matrix_run(c, "%s; COMMIT", matrix_journal(c, n, 1, id, 0, 0));
}

/* ---- append ---- */

static int write_append(struct client *c, uint64_t n)
{
    int k = (int)matrix_draw(c, LISTS);
    int64_t seen = 0;
    if (c->cell->wrong && n % 10 == 3)
        return QUARTET_OK; /* acknowledged, and never done */
    int rc = matrix_run(c, "BEGIN");
    if (rc == QUARTET_OK)
        rc = matrix_number(c, &seen, "SELECT count(*) FROM list WHERE k = %d", k);
    if (rc == QUARTET_OK)
        rc = matrix_run(c, "INSERT INTO list VALUES (%d, %d, %llu, %lld); %s; COMMIT", k, c->slot, (unsigned long long)n, (long long)seen, matrix_journal(c, n, 0, k, 0, seen));
    return rc;
}

static const struct look append_looks[] = {
    {"SELECT (SELECT count(*) FROM list) - (SELECT count(*) FROM journal)", "0"},
    {"SELECT count(*) FROM list l JOIN (SELECT k, count(*) AS c FROM list GROUP BY k) g ON g.k = l.k WHERE l.seen >= g.c", "0"},
    {NULL, NULL}};

/* ---- bank ---- */

static int write_bank(struct client *c, uint64_t n)
{
    int a = (int)matrix_draw(c, ACCOUNTS), b = (a + 1 + (int)matrix_draw(c, ACCOUNTS - 1)) % ACCOUNTS, x = 1 + (int)matrix_draw(c, 9);
    return matrix_run(c, "BEGIN; UPDATE account SET n = n - %d WHERE id = %d; UPDATE account SET n = n + %d WHERE id = %d; %s; COMMIT", x, a, x, b,
                      matrix_journal(c, n, 0, a, b, x));
}

static const struct look bank_looks[] = {
    {"SELECT sum(n) FROM account", "10000"},
    {"SELECT count(*) FROM account c LEFT JOIN (SELECT a, sum(x) AS s FROM journal GROUP BY a) o ON o.a = c.id LEFT JOIN (SELECT b, sum(x) AS s FROM journal GROUP BY b) i ON i.b = c.id "
     "WHERE c.n <> 1000 - coalesce(o.s, 0) + coalesce(i.s, 0)", "0"},
    {NULL, NULL}};

/* ---- register ---- */

/* A transaction of unknown outcome may yet be stamped later than the next one of its writer, which had not seen it: here it is asked for first. */
static bool is_settled(struct client *c)
{
    for (; c->own_count < c->unknown_count; c->own_count++) {
        int outcome = QUARTET_OUTCOME_UNKNOWN;
        if (quartet_outcome(c->db, c->unknown[c->own_count].name, 200, &outcome) != QUARTET_OK || outcome == QUARTET_OUTCOME_UNKNOWN)
            return false;
    }
    return true;
}

static int write_register(struct client *c, uint64_t n)
{
    if (!is_settled(c))
        return QUARTET_SERIALIZATION; /* nothing was done */
    int k = (int)matrix_draw(c, REGISTERS), w = c->slot;
    unsigned long long u = n;
    bool half = c->cell->wrong && n % 10 == 3;
    char b[64];
    snprintf(b, sizeof b, "%d-%llu", w, half ? u + 1 : u);
    return matrix_run(c, "BEGIN; UPDATE reg SET a = '%d-%llu', b = '%s', w = %d, n = %llu WHERE id = %d; UPDATE own SET n = %llu WHERE w = %d; %s; COMMIT", w, u, b, w, u, k, u, w,
                      matrix_journal(c, n, 0, k, 0, 0));
}

static const struct look register_looks[] = {
    {"SELECT count(*) FROM reg WHERE a <> b OR (n >= 0 AND a <> w || '-' || n)", "0"},
    {"SELECT count(*) FROM reg r JOIN journal j ON j.a = r.id AND j.w = r.w WHERE j.n > r.n", "0"}, /* a writer's later write wins */
    {"SELECT count(*) FROM reg r LEFT JOIN journal j ON j.w = r.w AND j.n = r.n WHERE r.n >= 0 AND j.n IS NULL", "0"},
    {"SELECT count(*) FROM own o LEFT JOIN (SELECT w, max(n) AS m FROM journal GROUP BY w) j ON j.w = o.w WHERE o.n <> coalesce(j.m, -1)", "0"},
    {NULL, NULL}};

/* ---- set ---- */

static int write_set(struct client *c, uint64_t n)
{
    unsigned long long u = n;
    if (c->own_count > 0 && matrix_draw(c, 3) == 0) {
        int64_t of = take_own(c);
        return matrix_run(c, "BEGIN; UPDATE bag SET s = set_remove(s, '%d-%lld') WHERE id = %lld; %s; COMMIT", c->slot, (long long)of, (long long)(of % BAGS),
                          matrix_journal(c, n, 1, of % BAGS, of, 0));
    }
    int rc = matrix_run(c, "BEGIN; UPDATE bag SET s = set_add(s, '%d-%llu') WHERE id = %d; %s; COMMIT", c->slot, c->cell->wrong && n % 10 == 3 ? u + 1 : u, (int)(n % BAGS),
                        matrix_journal(c, n, 0, (int64_t)(n % BAGS), (int64_t)n, 0));
    if (rc == QUARTET_OK)
        remember(c, (int64_t)n);
    return rc;
}

static const struct look set_looks[] = {
    {"SELECT count(*) FROM journal j JOIN bag b ON b.id = j.a LEFT JOIN (SELECT w, b FROM journal WHERE kind = 1) r ON r.w = j.w AND r.b = j.n "
     "WHERE j.kind = 0 AND set_has(b.s, j.w || '-' || j.n) <> (r.b IS NULL)", "0"},
    {"SELECT (SELECT sum(set_size(s)) FROM bag) - (SELECT count(*) FROM journal WHERE kind = 0) + (SELECT count(*) FROM journal WHERE kind = 1)", "0"},
    {NULL, NULL}};

/* ---- unique ---- */

static int write_unique(struct client *c, uint64_t n)
{
    if (c->own_count == MATRIX_OWN_MAX || (c->own_count > 0 && matrix_draw(c, 3) == 0))
        return delete_own(c, n, "users");
    int64_t id = row_id(c, n);
    int rc = matrix_run(c, "BEGIN; INSERT INTO users VALUES (%lld, 'u%d@example'); %s; COMMIT", (long long)id, (int)matrix_draw(c, EMAILS), matrix_journal(c, n, 0, id, 0, 0));
    if (rc == QUARTET_OK)
        remember(c, id);
    return rc;
}

static const struct look unique_looks[] = {{"SELECT count(*) FROM (SELECT email FROM users GROUP BY email HAVING count(*) > 1)", "0"}, {NULL, NULL}};
static const struct look unique_ends[] = {
    {"SELECT count(*) FROM journal j LEFT JOIN (SELECT a FROM journal WHERE kind = 1) r ON r.a = j.a WHERE j.kind = 0 AND r.a IS NULL AND j.a NOT IN (SELECT id FROM users) "
     "AND CAST(j.a AS TEXT) NOT IN (SELECT key FROM quartet_quarantine WHERE table_name = 'users')", "0"},
    {"SELECT count(*) FROM quartet_quarantine WHERE json_extract(\"row\", '$.email') NOT IN (SELECT email FROM users)", "0"},
    {NULL, NULL}};

/* ---- foreign keys ---- */

static int write_foreign(struct client *c, uint64_t n)
{
    int64_t id = row_id(c, n);
    int p = (int)matrix_draw(c, PARENTS), op = (int)matrix_draw(c, 10);
    if (c->own_count == MATRIX_OWN_MAX || (c->own_count > 0 && op < 2))
        return delete_own(c, n, "child");
    if (op < 4)
        return matrix_run(c, "BEGIN; INSERT INTO parent VALUES (%d); %s; COMMIT", p, matrix_journal(c, n, 2, p, 0, 0));
    if (op < 6)
        return matrix_run(c, "BEGIN; DELETE FROM parent WHERE id = %d; %s; COMMIT", p, matrix_journal(c, n, 3, p, 0, 0));
    if (op < 7)
        return matrix_run(c, "BEGIN; INSERT INTO kid VALUES (%lld, %d); %s; COMMIT", (long long)id, p, matrix_journal(c, n, 4, id, p, 0));
    int rc = matrix_run(c, "BEGIN; INSERT INTO child VALUES (%lld, %d); %s; COMMIT", (long long)id, p, matrix_journal(c, n, 0, id, p, 0));
    if (rc == QUARTET_OK)
        remember(c, id);
    return rc;
}

static const struct look foreign_looks[] = {
    {"SELECT (SELECT count(*) FROM child c LEFT JOIN parent p ON p.id = c.p WHERE p.id IS NULL) + (SELECT count(*) FROM kid c LEFT JOIN parent p ON p.id = c.p WHERE p.id IS NULL)", "0"},
    {NULL, NULL}};
static const struct look foreign_ends[] = {
    {"SELECT count(*) FROM journal j LEFT JOIN (SELECT a FROM journal WHERE kind = 1) r ON r.a = j.a WHERE j.kind = 0 AND r.a IS NULL AND j.a NOT IN (SELECT id FROM child) "
     "AND CAST(j.a AS TEXT) NOT IN (SELECT key FROM quartet_quarantine WHERE table_name = 'child')", "0"},
    {NULL, NULL}};

/* ---- counters, free and bounded ---- */

static int write_counter(struct client *c, uint64_t n)
{
    int k = (int)matrix_draw(c, TALLIES), x = (int)matrix_draw(c, 21) - 10;
    return matrix_run(c, "BEGIN; UPDATE tally SET n = n + %d, hi = %llu WHERE id = %d; %s; COMMIT", x, (unsigned long long)n, k, matrix_journal(c, n, 0, k, 0, x));
}

static const struct look counter_looks[] = {
    {"SELECT count(*) FROM tally t LEFT JOIN (SELECT a, sum(x) AS s, max(n) AS m FROM journal GROUP BY a) j ON j.a = t.id WHERE t.n <> coalesce(j.s, 0) OR t.hi <> coalesce(j.m, 0)", "0"},
    {NULL, NULL}};

static int write_stock(struct client *c, uint64_t n)
{
    int k = (int)matrix_draw(c, STOCKS), x = matrix_draw(c, 3) == 0 ? 1 + (int)matrix_draw(c, 9) : -1 - (int)matrix_draw(c, 5);
    return matrix_run(c, "BEGIN; UPDATE stock SET n = n + %d WHERE id = %d; %s; COMMIT", x, k, matrix_journal(c, n, 0, k, 0, x));
}

static const struct look stock_looks[] = {
    {"SELECT count(*) FROM stock t LEFT JOIN (SELECT a, sum(x) AS s FROM journal GROUP BY a) j ON j.a = t.id WHERE t.n < 0 OR t.n <> 100 + coalesce(j.s, 0)", "0"}, {NULL, NULL}};

/* ---- causes and effects, and what a session has seen ---- */

static int write_chain(struct client *c, uint64_t n)
{
    int w = (int)matrix_draw(c, CLUSTER_NODES);
    int64_t after = 0, mine = 0, from = (int64_t)MATRIX_ID * (w + 1);
    int rc = matrix_number(c, &after, "SELECT max(id) FROM chain WHERE id >= %lld AND id < %lld", (long long)from, (long long)(from + MATRIX_ID));
    if (rc == QUARTET_OK && c->last >= 0)
        rc = matrix_number(c, &mine, "SELECT count(*) FROM chain WHERE id = %lld", (long long)row_id(c, (uint64_t)c->last));
    if (rc != QUARTET_OK)
        return rc;
    if (c->last >= 0 && mine != 1)
        matrix_found(c->cell, "writer %d, on %s, does not see its own transaction %lld", c->slot, quartet_where(c->db), (long long)c->last);
    if (after < c->own[w])
        matrix_found(c->cell, "writer %d, on %s, saw row %lld, and now none after %lld", c->slot, quartet_where(c->db), (long long)c->own[w], (long long)after);
    c->own[w] = after;
    if (c->cell->wrong && n % 10 == 3)
        after = row_id(c, n + 1); /* an effect before its cause */
    return matrix_run(c, "BEGIN; INSERT INTO chain VALUES (%lld, %lld); %s; COMMIT", (long long)row_id(c, n), (long long)after, matrix_journal(c, n, 0, after, 0, 0));
}

static const struct look chain_looks[] = {
    {"SELECT count(*) FROM chain a LEFT JOIN chain b ON b.id = a.after WHERE a.after > 0 AND b.id IS NULL", "0"},
    {"SELECT (SELECT count(*) FROM chain) - (SELECT count(*) FROM journal)", "0"},
    {NULL, NULL}};

/* ---- a schema that changes ---- */

static int write_ddl(struct client *c, uint64_t n)
{
    unsigned long long u = n;
    int w = c->slot;
    if (n % DDL_EVERY != 7 || n / DDL_EVERY >= DDL_MAX)
        return matrix_run(c, "BEGIN; INSERT INTO t (w, n, v) VALUES (%d, %llu, %d); %s; COMMIT", w, u, (int)matrix_draw(c, 1000), matrix_journal(c, n, 0, 0, 0, 0));
    c->kind[n] = (uint8_t)(1 + n / DDL_EVERY % 4);
    if (c->cell->wrong)
        return QUARTET_OK;
    switch (c->kind[n]) {
    case 1:
        return matrix_run(c, "ALTER TABLE t ADD COLUMN c_%d_%llu INTEGER DEFAULT 7", w, u);
    case 2:
        return matrix_run(c, "CREATE TABLE s_%d_%llu (id INTEGER PRIMARY KEY, v TEXT UNIQUE)", w, u);
    case 3:
        return matrix_run(c, "CREATE INDEX i_%d_%llu ON t (v, n)", w, u);
    default:
        return matrix_run(c, "CREATE TABLE IF NOT EXISTS both_%llu (id INTEGER PRIMARY KEY, v TEXT)", u); /* all writers come to the same numbers */
    }
}

static void check_ddl(struct cell *x, int slot)
{
    static const char *const query[] = {NULL, "SELECT count(*) FROM information_schema.columns WHERE table_name = 't' AND column_name = 'c_%d_%llu'",
                                        "SELECT count(*) FROM information_schema.tables WHERE table_name = 's_%d_%llu'",
                                        "SELECT count(DISTINCT index_name) FROM information_schema.statistics WHERE table_name = 't' AND index_name = 'i_%d_%llu'",
                                        "SELECT count(*) FROM information_schema.tables WHERE %d >= 0 AND table_name = 'both_%llu'"};
    char sql[256], text[512];
    for (int k = 0; k < CLUSTER_NODES; k++)
        for (uint64_t n = 0; n < x->writers[k].next; n++) {
            int kind = x->writers[k].kind[n];
            if (kind == 0 || x->writers[k].told[n] != TOLD_DONE)
                continue;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(sql, sizeof sql, query[kind], k, (unsigned long long)n); /* of the table above */
#pragma GCC diagnostic pop
            if (!cluster_ask(x->p.cluster.node_url[slot], sql, text, sizeof text) || strcmp(text, "1") != 0)
                matrix_found(x, "node %d: %s: %s", slot, sql, text);
        }
}

static const struct look ddl_looks[] = {
    {"SELECT (SELECT count(*) FROM t) - (SELECT count(*) FROM journal)", "0"}, {"SELECT (SELECT count(v) FROM t WHERE v BETWEEN 0 AND 1000) - (SELECT count(*) FROM t)", "0"}, {NULL, NULL}};

/* ---- long transactions ---- */

static int write_long(struct client *c, uint64_t n)
{
    long long id = row_id(c, n);
    const char *text = matrix_draw(c, 8) == 0 ? "hex(randomblob(6000))" : "''"; /* in all more than one message takes */
    bool sheet = n % 3 == 0;
    int rc = c->cell->wrong ? QUARTET_OK : matrix_run(c, "BEGIN");
    for (int i = 0; rc == QUARTET_OK && i < LONG_ROWS; i += LONG_ROWS / 3) {
        rc = sheet ? matrix_run(c, "UPDATE sheet SET tag = %lld WHERE id >= %d AND id < %d", id, i, i + LONG_ROWS / 3)
                   : matrix_run(c, "INSERT INTO big SELECT %lld, value, %s FROM generate_series(%d, %d)", id, text, i, i + LONG_ROWS / 3 - 1);
        pause_ms((long)matrix_draw(c, 12));
    }
    if (rc == QUARTET_OK)
        rc = matrix_run(c, "%s", matrix_journal(c, n, sheet, id, 0, 0));
    return rc == QUARTET_OK && !c->cell->wrong ? matrix_run(c, "COMMIT") : rc;
}

static const struct look long_looks[] = {
    {"SELECT count(*) FROM (SELECT tag FROM big GROUP BY tag HAVING count(*) <> 30)", "0"},
    {"SELECT count(DISTINCT tag) FROM sheet", "1"},
    {"SELECT (SELECT count(DISTINCT tag) FROM big) - (SELECT count(*) FROM journal WHERE kind = 0)", "0"},
    {NULL, NULL}};

/* ---- the table ---- */

#define NO_COUNTER_ACCOUNT "INSERT INTO account SELECT value, 1000 FROM generate_series(0, 9)"
#define REFUSES_CONSTRAINT MATRIX_STATUS(QUARTET_CONSTRAINT)

const struct workload matrix_workloads[] = {
    {"append", "lists that all append to, having read how long they are: who sees an element sees as many as its writer saw",
     "CREATE TABLE list (k INTEGER, w INTEGER, n INTEGER, seen INTEGER, PRIMARY KEY (k, w, n))", NULL, write_append, append_looks, NULL, NULL, 0},
    {"bank", "transfers between COUNTERs: no reader sees another sum",
     "CREATE TABLE account (id INTEGER PRIMARY KEY, n INTEGER COUNTER); " NO_COUNTER_ACCOUNT, "CREATE TABLE account (id INTEGER PRIMARY KEY, n INTEGER); " NO_COUNTER_ACCOUNT, write_bank,
     bank_looks, NULL, NULL, 0},
    {"register", "columns of a group, and registers with one writer: all of a write shows or none, and nobody's older one",
     "CREATE TABLE reg (id INTEGER PRIMARY KEY, a TEXT, b TEXT, w INTEGER, n INTEGER, MERGE TOGETHER (a, b, w, n)); CREATE TABLE own (w INTEGER PRIMARY KEY, n INTEGER); "
     "INSERT INTO reg SELECT value, 'start', 'start', -1, -1 FROM generate_series(0, 7); INSERT INTO own SELECT value, -1 FROM generate_series(0, 3)",
     NULL, write_register, register_looks, NULL, NULL, 0},
    {"set", "elements of SETs added and removed: each once added is there until its remover is seen",
     "CREATE TABLE bag (id INTEGER PRIMARY KEY, s TEXT SET); INSERT INTO bag (id) SELECT value FROM generate_series(0, 63)", NULL, write_set, set_looks, NULL, NULL, 0},
    {"unique", "e-mail addresses, few enough to clash: none is seen twice, and a row that lost is in quarantine",
     "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE)", "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT)", write_unique, unique_looks, unique_ends, NULL, REFUSES_CONSTRAINT},
    {"foreign", "parents come and go, children of theirs too: no child is seen without its parent",
     "CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE child (id INTEGER PRIMARY KEY, p INTEGER REFERENCES parent (id)); "
     "CREATE TABLE kid (id INTEGER PRIMARY KEY, p INTEGER REFERENCES parent (id) ON DELETE CASCADE)",
     "CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE child (id INTEGER PRIMARY KEY, p INTEGER); CREATE TABLE kid (id INTEGER PRIMARY KEY, p INTEGER)", write_foreign, foreign_looks,
     foreign_ends, NULL, REFUSES_CONSTRAINT},
    {"counter", "COUNTERs and high-water marks: exact in every snapshot",
     "CREATE TABLE tally (id INTEGER PRIMARY KEY, n INTEGER COUNTER DEFAULT 0, hi INTEGER MAXIMUM DEFAULT 0); INSERT INTO tally (id) SELECT value FROM generate_series(0, 19)",
     "CREATE TABLE tally (id INTEGER PRIMARY KEY, n INTEGER DEFAULT 0, hi INTEGER DEFAULT 0); INSERT INTO tally (id) SELECT value FROM generate_series(0, 19)", write_counter, counter_looks, NULL,
     NULL, 0},
    {"stock", "COUNTERs that must not go below zero: none is ever seen there, and what was refused was not taken",
     "CREATE TABLE stock (id INTEGER PRIMARY KEY, n INTEGER COUNTER CHECK (n >= 0)); INSERT INTO stock SELECT value, 100 FROM generate_series(0, 4)",
     "CREATE TABLE stock (id INTEGER PRIMARY KEY, n INTEGER COUNTER); INSERT INTO stock SELECT value, 100 FROM generate_series(0, 4)", write_stock, stock_looks, NULL, NULL,
     REFUSES_CONSTRAINT | MATRIX_STATUS(QUARTET_UNAVAILABLE)},
    {"chain", "rows that name one that their writer saw, and sessions that look for their own: no effect without its cause, read your writes, time does not go back",
     "CREATE TABLE chain (id INTEGER PRIMARY KEY, after INTEGER)", NULL, write_chain, chain_looks, NULL, NULL, 0},
    {"ddl", "columns, tables and indexes that come while all write", "CREATE TABLE t (w INTEGER, n INTEGER, v INTEGER, PRIMARY KEY (w, n)); CREATE INDEX t_v ON t (v)", NULL, write_ddl, ddl_looks, NULL,
     check_ddl, 0},
    {"long", "transactions of thirty rows that take their time, some larger than a message: all of one shows or nothing",
     "CREATE TABLE big (tag INTEGER, i INTEGER, v TEXT, PRIMARY KEY (tag, i)); CREATE TABLE sheet (id INTEGER PRIMARY KEY, tag INTEGER); INSERT INTO sheet SELECT value, 0 FROM generate_series(0, 29)",
     NULL, write_long, long_looks, NULL, NULL, 0},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0}};

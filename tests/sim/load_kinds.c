/* load_kinds.c - MAXIMUM, MINIMUM, SET, MULTIVALUE, and tables where updates win. Every write also goes into a log beside its register, in the same transaction, so in every
 * snapshot of every node the register must be what the log makes of the writes that are there: one query for each kind, which knows nothing of registers.
 * The tables kinds and kinds_win have births and deletes as well, and elements that are added again; they are held against the naive model alone. */
#include "sim/sim_load.h"

#define EVERY_KIND "(id INTEGER PRIMARY KEY, v TEXT, n INTEGER COUNTER, hi INTEGER MAXIMUM, lo INTEGER MINIMUM, tags TEXT SET, body TEXT MULTIVALUE)"

static const char *const schema[] = {
    "CREATE TABLE peaks (id INTEGER PRIMARY KEY, hi INTEGER MAXIMUM, lo INTEGER MINIMUM)",
    "CREATE TABLE peak_log (k INTEGER PRIMARY KEY, id INTEGER, v INTEGER)",
    "CREATE TABLE members (id INTEGER PRIMARY KEY, tags INTEGER SET)",
    "CREATE TABLE member_log (k INTEGER PRIMARY KEY, id INTEGER, e INTEGER, saw JSON)",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, body INTEGER MULTIVALUE DEFAULT 0)",
    "CREATE TABLE note_log (k INTEGER PRIMARY KEY, id INTEGER, saw JSON)",
    "CREATE TABLE wins (id INTEGER PRIMARY KEY, name TEXT, qty INTEGER) UPDATES WIN",
    "CREATE TABLE win_log (k INTEGER PRIMARY KEY, id INTEGER, saw JSON)", /* saw: of a DELETE; NULL: an UPDATE */
    "CREATE TABLE kinds " EVERY_KIND,
    "CREATE TABLE kinds_win " EVERY_KIND " UPDATES WIN",
    NULL,
};

static bool prepare(struct sim *s)
{
    static const char *const tables[] = {"peaks", "members", "notes", "wins"};
    struct err err = ERR_INIT;
    for (uint32_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (uint32_t id = 0; id < s->o.keys; id++)
            if (sim_sqlf(&s->nodes[0], NULL, &err, "INSERT INTO %s (id) VALUES (%u)", tables[i], id) != QUARTET_OK) {
                sim_fail(s, "node 0: %s", err.text);
                return false;
            }
    return true;
}

typedef unsigned long long ull;

static quartet_status peak(struct sim *s, struct sim_node *n, const struct sim_txn *t, struct err *err)
{
    long long v = (long long)prng_between(&s->prng, -50, 50);
    quartet_status rc = sim_sqlf(n, NULL, err, "UPDATE peaks SET hi = %lld, lo = %lld WHERE id = %llu", v, v, (ull)t->id);
    if (rc != QUARTET_OK || conn_changes(n->c) == 0) /* its row has not arrived here yet */
        return rc;
    return sim_sqlf(n, NULL, err, "INSERT INTO peak_log VALUES (%llu, %llu, %lld)", (ull)t->unique, (ull)t->id, v);
}

/* An addition logs itself, a removal which additions it had seen: the element must be there while one addition is left that no removal had seen. */
static quartet_status member(struct sim *s, struct sim_node *n, const struct sim_txn *t, struct err *err)
{
    bool adds = prng_below(&s->prng, 2) != 0;
    ull e = (ull)prng_below(&s->prng, 3), k = (ull)t->unique, id = (ull)(t->id % 3);
    const char *saw = adds ? "NULL" : "(SELECT json_group_array(l.k) FROM member_log l WHERE l.id = m.id AND l.e = o.e AND l.saw IS NULL)";
    quartet_status rc = sim_sqlf(n, NULL, err, "INSERT INTO member_log SELECT %llu, m.id, o.e, %s FROM members m, (SELECT %llu AS e) o WHERE m.id = %llu", k, saw, e, id);
    if (rc != QUARTET_OK || conn_changes(n->c) == 0)
        return rc;
    sim_time_passes(s);
    return sim_sqlf(n, NULL, err, "UPDATE members SET tags = %s(tags, %llu) WHERE id = %llu", adds ? "set_add" : "set_remove", e, id);
}

static quartet_status note(struct sim *s, struct sim_node *n, const struct sim_txn *t, struct err *err)
{
    quartet_status rc = sim_sqlf(n, NULL, err, "INSERT INTO note_log SELECT %llu, id, siblings(body) FROM notes WHERE id = %llu", (ull)t->unique, (ull)t->id);
    if (rc != QUARTET_OK || conn_changes(n->c) == 0)
        return rc;
    sim_time_passes(s);
    return sim_sqlf(n, NULL, err, "UPDATE notes SET body = %llu WHERE id = %llu", (ull)t->unique, (ull)t->id);
}

/* Of the newest rows, so that several write to one. */
static quartet_status win(struct sim *s, struct sim_node *n, const struct sim_txn *t, struct err *err)
{
    uint64_t what = prng_below(&s->prng, 8);
    ull k = (ull)t->unique, at = (ull)prng_below(&s->prng, 3);
    bool deletes = what < 2;
    if (what == 7)
        return sim_sqlf(n, NULL, err, "INSERT INTO wins (id) VALUES (%llu)", k);
    const char *saw = deletes ? "(SELECT json_group_array(l.k) FROM win_log l WHERE l.id = w.id AND l.saw IS NULL)" : "NULL";
    quartet_status rc = sim_sqlf(n, NULL, err, "INSERT INTO win_log SELECT %llu, id, %s FROM wins w ORDER BY id DESC LIMIT 1 OFFSET %llu", k, saw, at);
    if (rc != QUARTET_OK || conn_changes(n->c) == 0) /* there are less rows */
        return rc;
    if (deletes)
        return sim_sqlf(n, NULL, err, "DELETE FROM wins WHERE id = (SELECT id FROM win_log WHERE k = %llu)", k);
    return sim_sqlf(n, NULL, err, "UPDATE wins SET name = %llu WHERE id = (SELECT id FROM win_log WHERE k = %llu)", k, k);
}

/* Anything at all, births and deletes among it. */
static quartet_status any_kind(struct sim *s, struct sim_node *n, const struct sim_txn *t, struct err *err)
{
    const char *table = prng_below(&s->prng, 2) == 0 ? "kinds" : "kinds_win";
    ull id = (ull)prng_below(&s->prng, s->o.keys / 4 + 1), x = (ull)prng_below(&s->prng, 5), y = (ull)prng_below(&s->prng, 5), k = (ull)t->unique;
    switch (prng_below(&s->prng, 9)) {
    case 0: return sim_sqlf(n, NULL, err, "DELETE FROM %s WHERE id = %llu", table, id);
    case 1: return sim_sqlf(n, NULL, err, "REPLACE INTO %s VALUES (%llu, 'r%llu', %llu, %llu, %llu, '[\"%llu\"]', 'r%llu')", table, id, k, x, x, y, y, k);
    case 2: return sim_sqlf(n, NULL, err, "UPDATE %s SET tags = set_add(set_remove(tags, '%llu'), '%llu') WHERE id = %llu", table, x, y, id);
    case 3: return sim_sqlf(n, NULL, err, "UPDATE %s SET tags = '[\"%llu\",\"%llu\"]', n = n + 1 WHERE id = %llu", table, x, y, id);
    case 4: return sim_sqlf(n, NULL, err, "UPDATE %s SET body = '%llu', hi = %llu WHERE id = %llu", table, k, x * 10, id);
    case 5: return sim_sqlf(n, NULL, err, "UPDATE %s SET v = 'u%llu', lo = -%llu, n = n - %llu WHERE id = %llu", table, k, x, y, id);
    default:
        return sim_sqlf(n, NULL, err, "INSERT INTO %s VALUES (%llu, 'i%llu', %llu, %llu, %llu, '[\"%llu\"]', 'i%llu') ON CONFLICT (id) DO UPDATE SET tags = set_add(tags, "
                        "'%llu'), hi = %llu, n = n + 1, body = 'u%llu'", table, id, k, x, x, y, y, k, x, k % 100, k);
    }
}

static quartet_status run(struct sim *s, struct sim_node *n, struct sim_txn *t, struct err *err)
{
    switch (prng_below(&s->prng, 6)) {
    case 0: return peak(s, n, t, err);
    case 1: return member(s, n, t, err);
    case 2: return note(s, n, t, err);
    case 3: return win(s, n, t, err);
    default: return any_kind(s, n, t, err);
    }
}

static const struct sim_invariant invariants[] = {
    {"a MAXIMUM or MINIMUM is not the outermost value that was written (peaks, peak_log)",
     "SELECT count(*) FROM peaks p LEFT JOIN (SELECT id, max(v) AS hi, min(v) AS lo FROM peak_log GROUP BY id) l ON l.id = p.id "
     "WHERE p.hi IS DISTINCT FROM l.hi OR p.lo IS DISTINCT FROM l.lo"},
    {"a SET is not what was added and not taken away by one who had seen it (members, member_log)",
     "SELECT count(*) FROM (SELECT DISTINCT id, e FROM member_log) i JOIN members m ON m.id = i.id WHERE set_has(m.tags, i.e) <> "
     "EXISTS (SELECT 1 FROM member_log a WHERE a.id = i.id AND a.e = i.e AND a.saw IS NULL AND NOT EXISTS "
     "(SELECT 1 FROM member_log c, json_each(c.saw) x WHERE c.id = i.id AND c.e = i.e AND x.value = a.k))"},
    {"a value of a MULTIVALUE column went without being seen, or came back (notes, note_log)",
     "SELECT count(*) FROM note_log a JOIN (SELECT id, siblings(body) AS all_of FROM notes) m ON m.id = a.id WHERE "
     "EXISTS (SELECT 1 FROM json_each(m.all_of) x WHERE x.value = a.k) = EXISTS (SELECT 1 FROM note_log c, json_each(c.saw) y WHERE c.id = a.id AND y.value = a.k)"},
    {"where updates win a row is there though a DELETE had seen all, or is not though each had missed something (wins, win_log)",
     "SELECT count(*) FROM (SELECT DISTINCT id FROM win_log) i LEFT JOIN wins w ON w.id = i.id WHERE (w.id IS NOT NULL) = "
     "EXISTS (SELECT 1 FROM win_log d WHERE d.id = i.id AND d.saw IS NOT NULL AND NOT EXISTS "
     "(SELECT 1 FROM win_log u WHERE u.id = i.id AND u.saw IS NULL AND u.k NOT IN (SELECT value FROM json_each(d.saw))))"},
    {NULL, NULL},
};
static const char *const dumps[] = {"SELECT * FROM peaks ORDER BY id",
                                    "SELECT * FROM members ORDER BY id",
                                    "SELECT *, siblings(body) FROM notes ORDER BY id",
                                    "SELECT * FROM wins ORDER BY id",
                                    "SELECT *, siblings(body) FROM kinds ORDER BY id",
                                    "SELECT *, siblings(body) FROM kinds_win ORDER BY id",
                                    NULL};

const struct sim_load sim_load_kinds = {
    .name = "kinds", .schema = schema, .prepare = prepare, .run = run, .invariants = invariants, .dumps = dumps, .weight = 3};

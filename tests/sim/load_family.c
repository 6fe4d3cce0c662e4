/* load_family.c - parents, children, children of those, and circles, written and deleted by all nodes at once, with every ON DELETE action and ON MERGE KEEP PARENT: no snapshot shows a row that
 *   references one that is not shown, and what is out of sight at the end is what an evaluation from scratch leaves out (AS OF the present, which knows nothing of the stored set of broken keys). */
#include "sim/sim_load.h"

#include <string.h>

static const char *const schema[] = {
    "CREATE TABLE fp (id INTEGER PRIMARY KEY, code INTEGER UNIQUE, up INTEGER REFERENCES fp ON DELETE CASCADE)",
    "CREATE TABLE fc (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES fp ON DELETE CASCADE, code INTEGER REFERENCES fp (code) ON DELETE SET NULL)",
    "CREATE TABLE fs (id INTEGER PRIMARY KEY, cid INTEGER REFERENCES fc ON DELETE SET NULL, pid INTEGER DEFAULT 0 REFERENCES fp ON DELETE SET DEFAULT)",
    "CREATE TABLE fk (id INTEGER PRIMARY KEY, n INTEGER) UPDATES WIN",
    "CREATE TABLE fo (id INTEGER PRIMARY KEY, k INTEGER REFERENCES fk ON MERGE KEEP PARENT)", NULL};

static quartet_status run(struct sim *s, struct sim_node *n, struct sim_txn *t, struct err *err)
{
    unsigned long long id = t->id, a = prng_below(&s->prng, s->o.keys), b = prng_below(&s->prng, s->o.keys);
    switch (prng_below(&s->prng, 20)) {
    case 0: case 1: return sim_sqlf(n, NULL, err, "INSERT OR IGNORE INTO fp VALUES (%llu, %llu, NULL)", id, a);
    case 2: return sim_sqlf(n, NULL, err, "INSERT OR IGNORE INTO fp VALUES (%llu, NULL, %llu)", id, a);
    case 3: return sim_sqlf(n, NULL, err, "UPDATE fp SET up = %llu WHERE id = %llu", a, id);
    case 4: return sim_sqlf(n, NULL, err, "UPDATE fp SET code = %llu WHERE id = %llu", a, id);
    case 5: case 6: return sim_sqlf(n, NULL, err, "DELETE FROM fp WHERE id = %llu", id);
    case 7: case 8: return sim_sqlf(n, NULL, err, "INSERT OR IGNORE INTO fc VALUES (%llu, %llu, NULL)", id, a);
    case 9: return sim_sqlf(n, NULL, err, "INSERT OR IGNORE INTO fc SELECT %llu, NULL, code FROM fp WHERE id = %llu", id, a);
    case 10: return sim_sqlf(n, NULL, err, "UPDATE fc SET pid = %llu WHERE id = %llu", a, id);
    case 11: return sim_sqlf(n, NULL, err, "DELETE FROM fc WHERE id = %llu", id);
    case 12: case 13: return sim_sqlf(n, NULL, err, "INSERT OR IGNORE INTO fs VALUES (%llu, %llu, NULL)", id, a);
    case 14: return sim_sqlf(n, NULL, err, "INSERT OR REPLACE INTO fs SELECT %llu, NULL, id FROM fp WHERE id IN (%llu, %llu) LIMIT 1", id, a, b);
    case 15: return sim_sqlf(n, NULL, err, "INSERT OR IGNORE INTO fk VALUES (%llu, 0)", id);
    case 16: return sim_sqlf(n, NULL, err, "DELETE FROM fk WHERE id = %llu", id);
    /* Of one birth and one write each, so that nobody's later change lets go of what it keeps. */
    default: return sim_sqlf(n, NULL, err, "INSERT INTO fo VALUES (%llu, %llu)", (unsigned long long)t->unique, id);
    }
}

static bool may_fail(quartet_status rc, const struct err *err)
{
    (void)err;
    return rc == QUARTET_CONSTRAINT; /* a parent that is not there, a child that is, a row out of sight in the way */
}

static void check_end(struct sim *s)
{
    static const char *const tables[] = {"fp", "fc", "fs", "fk", "fo"};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        for (int way = 0; way < 2; way++) {
            struct err err = ERR_INIT;
            int64_t differ = 0;
            const char *now = tables[i];
            quartet_status rc = way == 0 ? sim_sqlf(&s->nodes[0], &differ, &err, "SELECT count(*) FROM (SELECT * FROM %s EXCEPT SELECT * FROM %s AS OF STAMP quartet_stamp())", now, now)
                                         : sim_sqlf(&s->nodes[0], &differ, &err, "SELECT count(*) FROM (SELECT * FROM %s AS OF STAMP quartet_stamp() EXCEPT SELECT * FROM %s)", now, now);
            if (rc != QUARTET_OK)
                sim_fail(s, "node 0: %s", err.text);
            else if (differ != 0)
                sim_fail(s, way == 0 ? "a row shows whose parent is missing (%s)" : "a row is out of sight that references nothing missing (%s)", now);
        }
}

static const struct sim_invariant invariants[] = {
    {"a row shows whose parent does not (fp.up)", "SELECT count(*) FROM fp x LEFT JOIN fp y ON y.id = x.up WHERE x.up + 0 IS NOT NULL AND y.id IS NULL"},
    {"a row shows whose parent does not (fc.pid)", "SELECT count(*) FROM fc x LEFT JOIN fp y ON y.id = x.pid WHERE x.pid + 0 IS NOT NULL AND y.id IS NULL"},
    {"a row shows whose parent does not (fc.code)", "SELECT count(*) FROM fc x LEFT JOIN fp y ON y.code = x.code WHERE x.code + 0 IS NOT NULL AND y.id IS NULL"},
    {"a row shows whose parent does not (fs.cid)", "SELECT count(*) FROM fs x LEFT JOIN fc y ON y.id = x.cid WHERE x.cid + 0 IS NOT NULL AND y.id IS NULL"},
    {"a row shows whose parent does not (fs.pid)", "SELECT count(*) FROM fs x LEFT JOIN fp y ON y.id = x.pid WHERE x.pid + 0 IS NOT NULL AND y.id IS NULL"},
    {"a row shows whose parent does not (fo.k)", "SELECT count(*) FROM fo x LEFT JOIN fk y ON y.id = x.k WHERE x.k + 0 IS NOT NULL AND y.id IS NULL"},
    {"a parent that was to be kept is gone (fo.k)", "SELECT count(*) FROM quartet_quarantine WHERE table_name = 'fo'"},
    {NULL, NULL},
};
static const char *const dumps[] = {"SELECT * FROM fp ORDER BY id", "SELECT * FROM fc ORDER BY id", "SELECT * FROM fs ORDER BY id", "SELECT * FROM fk ORDER BY id", "SELECT * FROM fo ORDER BY id",
                                    "SELECT table_id, key_id, hex(row_key) FROM quartet_broken_keys ORDER BY 1, 2, 3", NULL};
static const char *const derived[] = {"fp", "fc", "fs", "fo", NULL};

const struct sim_load sim_load_family = {.name = "family", .schema = schema, .run = run, .may_fail = may_fail, .invariants = invariants, .dumps = dumps,
                                         .derived_tables = derived, .check_end = check_end, .weight = 3};

/* anomaly.c - which anomaly a shortest schedule shows, decided from what its transactions wrote and what they depended on.
 *
 * Writes come from the transactions' deltas. Whether b depended on what a wrote is found by experiment rather than from names or plans: b is run once
 * without and once with a's writes before its eyes, all else equal; where b then writes something else (or gives up), it had read what a wrote. So a blind
 * write, an addition to a COUNTER and a read that changes nothing count as what they are. */
#include "suite/suite.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *means;
} anomalies[ANOMALY_COUNT] = {
    [ANOMALY_NONE_CONCURRENT] = {"no concurrency needed", "It breaks where each transaction has seen the ones before it, as it would on one node."},
    [ANOMALY_KEY_COLLISION] = {"key collision", "Both inserted the same key, neither knowing of the other; they became one row, which shows the later one's values."},
    [ANOMALY_LOST_TO_DELETE] = {"update lost to a delete", "One deleted the row while the other changed it; a DELETE wins over changes that it had not seen."},
    [ANOMALY_LOST_UPDATE] = {"lost update", "Both wrote the same column of the same row, from what it held before; the later write replaced the other."},
    [ANOMALY_OVERWRITE] = {"blind overwrite", "Both wrote the same column of the same row without having read each other's value; the later one shows."},
    [ANOMALY_DANGLING] = {"dangling reference", "One deleted the row that the other, not knowing, referred to."},
    [ANOMALY_DUPLICATE] = {"duplicate", "Both inserted a row with the same value, under different keys; neither could see the other's."},
    [ANOMALY_LONG_FORK] = {"long fork", "Two readers saw two independent writes in opposite orders."},
    [ANOMALY_OVERSPEND] = {"overspending", "Both took from one counter, each on the strength of a value that the other's change is missing from; together they took too much."},
    [ANOMALY_WRITE_SKEW] = {"write skew", "Each decided on what the other was changing at that moment, and wrote elsewhere."},
    [ANOMALY_STALE_READ] = {"stale read", "One decided on a value that the other had already changed elsewhere."},
    [ANOMALY_MIXED_ROW] = {"mixed row", "They did not write the same columns of one row; columns merge one by one, so the row holds some of each."},
    [ANOMALY_COMBINED] = {"combined effect", "Neither read or overwrote what the other wrote; each is right alone, and the sum is not."},
};

const char *anomaly_name(enum anomaly a)
{
    return anomalies[a].name;
}

/* ---- comparing what a write did ---- */

static bool same_rows(const struct write_result *x, const struct write_result *y)
{
    if (x->committed != y->committed || x->row_count != y->row_count)
        return false;
    for (uint32_t i = 0; i < x->row_count; i++) {
        const struct row_change *p = &x->rows[i], *q = &y->rows[i];
        if (strcmp(p->table, q->table) != 0 || strcmp(p->key, q->key) != 0 || p->insert != q->insert || p->del != q->del || p->cell_count != q->cell_count)
            return false;
        for (uint32_t c = 0; c < p->cell_count; c++)
            if (p->cells[c].add != q->cells[c].add || strcmp(p->cells[c].column, q->cells[c].column) != 0 || strcmp(p->cells[c].value, q->cells[c].value) != 0)
                return false;
    }
    return true;
}

/* The steps of a schedule before writes a and b; then a, or not; then their nodes meet; then b. So b has seen all that a's node knew, with a or without. */
static void put_in_order(const struct schedule *s, const struct outcome *o, uint32_t a, uint32_t b, bool with_a, struct schedule *out)
{
    const struct write_result *wa = &o->writes[a], *wb = &o->writes[b];
    uint32_t last = wa->step > wb->step ? wa->step : wb->step;
    *out = (struct schedule){.seed = s->seed, .nodes = s->nodes};
    for (uint32_t i = 0; i < last; i++) {
        struct step x = s->steps[i];
        if (i == wa->step || i == wb->step || x.kind == STEP_CUT || x.kind == STEP_HEAL)
            continue;
        if (x.kind == STEP_COMMIT && (x.node == wa->node || x.node == wb->node))
            continue; /* a and b are whole here, and what else was open stays so */
        out->steps[out->count++] = x;
    }
    struct step x = s->steps[wa->step];
    x.kind = STEP_RUN;
    if (with_a)
        out->steps[out->count++] = x;
    out->steps[out->count++] = (struct step){.kind = STEP_MEET, .node = wa->node, .other = wb->node};
    x = s->steps[wb->step];
    x.kind = STEP_RUN;
    x.id = SUITE_STEPS_MAX; /* its time, the same in both, after all others' */
    out->steps[out->count++] = x;
}

/* Would b have done otherwise, had it seen a? */
static bool depends(struct suite *u, const struct schedule *s, const struct outcome *o, uint32_t b, uint32_t a)
{
    struct schedule c;
    struct outcome without, with;
    put_in_order(s, o, a, b, false, &c);
    bool ok = suite_replay(u, &c, &without);
    put_in_order(s, o, a, b, true, &c);
    ok = suite_replay(u, &c, &with) && ok;
    bool differs = ok && without.write_count > 0 && with.write_count > 0 &&
                   !same_rows(&without.writes[without.write_count - 1], &with.writes[with.write_count - 1]);
    outcome_free(&without);
    outcome_free(&with);
    return differs;
}

/* ---- one pair of concurrent transactions ---- */

static bool mentions(const char *sql, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = sql; *p != '\0'; p++)
        if (strncasecmp(p, name, n) == 0 && (p == sql || (!isalnum((unsigned char)p[-1]) && p[-1] != '_')) && !isalnum((unsigned char)p[n]) && p[n] != '_')
            return true;
    return false;
}

static void clash(struct diagnosis *d, enum anomaly kind, const struct row_change *ra, const struct row_change *rb)
{
    if (kind < d->kind || d->kind == ANOMALY_NONE_CONCURRENT) {
        d->kind = kind;
        d->row_a = ra;
        d->row_b = rb;
        d->column_count = 0;
        d->parent_column = NULL;
    }
}

static void name_column(struct diagnosis *d, const char *column)
{
    for (uint32_t i = 0; i < d->column_count; i++)
        if (strcmp(d->columns[i], column) == 0)
            return;
    if (d->column_count < sizeof d->columns / sizeof *d->columns)
        d->columns[d->column_count++] = column;
}

static const struct cell_change *cell_of(const struct row_change *r, const char *column)
{
    for (uint32_t i = 0; i < r->cell_count; i++)
        if (strcmp(r->cells[i].column, column) == 0)
            return &r->cells[i];
    return NULL;
}

/* Does this write touch a column that the invariant asks about? Where the query names none of the row's, all count. */
static bool matters(const struct row_change *r, const struct cell_change *c, const char *query)
{
    bool any = false;
    for (uint32_t i = 0; query != NULL && i < r->cell_count; i++)
        any = any || (!r->cells[i].key && mentions(query, r->cells[i].column));
    return !c->key && (!any || mentions(query, c->column));
}

static void name_columns(struct diagnosis *d, const struct row_change *r, const struct row_change *only_with, const char *query)
{
    for (uint32_t i = 0; i < r->cell_count; i++)
        if (matters(r, &r->cells[i], query) && (only_with == NULL || cell_of(only_with, r->cells[i].column) != NULL))
            name_column(d, r->cells[i].column);
}

/* Both wrote one row. */
static void same_row(struct diagnosis *d, const struct row_change *ra, const struct row_change *rb, bool ab, bool ba, const char *query)
{
    uint32_t set = 0, added = 0, alone = 0;
    enum anomaly kind;
    if (ra->insert && rb->insert) {
        clash(d, ANOMALY_KEY_COLLISION, ra, rb);
        return;
    }
    if ((ra->del && !rb->del && !rb->insert) || (rb->del && !ra->del && !ra->insert)) {
        clash(d, ANOMALY_LOST_TO_DELETE, ra->del ? ra : rb, ra->del ? rb : ra);
        return;
    }
    for (uint32_t i = 0; i < ra->cell_count; i++) {
        const struct cell_change *other = cell_of(rb, ra->cells[i].column);
        bool counts = matters(ra, &ra->cells[i], query);
        alone += counts && other == NULL;
        set += counts && other != NULL && !ra->cells[i].add && !other->add;
        added += counts && other != NULL && (ra->cells[i].add || other->add);
    }
    for (uint32_t i = 0; i < rb->cell_count; i++)
        alone += matters(rb, &rb->cells[i], query) && cell_of(ra, rb->cells[i].column) == NULL;
    if (alone > 0)
        kind = ab && ba && set == 0 ? ANOMALY_WRITE_SKEW : ANOMALY_MIXED_ROW;
    else if (set > 0)
        kind = ab || ba ? ANOMALY_LOST_UPDATE : ANOMALY_OVERWRITE;
    else
        kind = added > 0 && (ab || ba) ? ANOMALY_OVERSPEND : ANOMALY_COMBINED;
    clash(d, kind, ra, rb);
    if (d->row_a != ra || d->row_b != rb)
        return;
    name_columns(d, ra, alone > 0 ? NULL : rb, query);
    if (alone > 0)
        name_columns(d, rb, NULL, query);
}

/* They wrote different rows. */
static void other_row(struct diagnosis *d, const struct row_change *ra, const struct row_change *rb, const char *query)
{
    for (uint32_t i = 0; ra->del && !rb->del && strcmp(ra->table, rb->table) != 0 && i < rb->cell_count; i++) {
        const char *v = rb->cells[i].value;
        size_t n = strlen(v);
        bool quoted = n >= 2 && v[0] == '\'' && ra->key[0] != '\'';
        if (strcmp(v, ra->key) == 0 || (quoted && strlen(ra->key) == n - 2 && strncmp(v + 1, ra->key, n - 2) == 0)) {
            clash(d, ANOMALY_DANGLING, ra, rb);
            if (d->row_a == ra && d->row_b == rb)
                d->parent_column = rb->cells[i].column;
            return;
        }
    }
    uint32_t equal = 0;
    for (uint32_t i = 0; ra->insert && rb->insert && strcmp(ra->table, rb->table) == 0 && i < ra->cell_count; i++) {
        const struct cell_change *other = cell_of(rb, ra->cells[i].column);
        equal += other != NULL && (matters(ra, &ra->cells[i], query) || ra->cells[i].key) && strcmp(other->value, ra->cells[i].value) == 0 && strcmp(other->value, "NULL") != 0;
    }
    if (equal == 0)
        return;
    clash(d, ANOMALY_DUPLICATE, ra, rb);
    for (uint32_t i = 0; d->row_a == ra && d->row_b == rb && i < ra->cell_count; i++) {
        const struct cell_change *other = cell_of(rb, ra->cells[i].column);
        if (other != NULL && (matters(ra, &ra->cells[i], query) || ra->cells[i].key) && strcmp(other->value, ra->cells[i].value) == 0 &&
            strcmp(other->value, "NULL") != 0)
            name_column(d, ra->cells[i].column);
    }
}

static void judge_pair(const struct outcome *o, uint32_t a, uint32_t b, bool ab, bool ba, const char *query, struct diagnosis *d)
{
    const struct write_result *wa = &o->writes[a], *wb = &o->writes[b];
    struct diagnosis mine = {.kind = ANOMALY_NONE_CONCURRENT, .a = a, .b = b};
    for (uint32_t i = 0; i < wa->row_count; i++)
        for (uint32_t k = 0; k < wb->row_count; k++) {
            const struct row_change *ra = &wa->rows[i], *rb = &wb->rows[k];
            if (query != NULL && !mentions(query, ra->table) && !mentions(query, rb->table))
                continue; /* what clashes there is not what broke */
            if (strcmp(ra->table, rb->table) == 0 && strcmp(ra->key, rb->key) == 0) {
                same_row(&mine, ra, rb, ab, ba, query);
            } else {
                other_row(&mine, ra, rb, query);
                if (strcmp(ra->table, rb->table) != 0)
                    other_row(&mine, rb, ra, query);
            }
        }
    enum anomaly by_reads = ab && ba ? ANOMALY_WRITE_SKEW : ab || ba ? ANOMALY_STALE_READ : ANOMALY_COMBINED;
    if (mine.kind == ANOMALY_NONE_CONCURRENT || mine.kind > by_reads)
        clash(&mine, by_reads, mine.row_a, mine.row_b);
    if (d->kind == ANOMALY_NONE_CONCURRENT || mine.kind < d->kind)
        *d = mine;
}

/* Of two readers one saw w1 and not w2, the other w2 and not w1; and both would have done otherwise. */
static bool long_fork(const struct outcome *o, bool dep[SUITE_WRITES_MAX][SUITE_WRITES_MAX], struct diagnosis *d)
{
    for (uint32_t w1 = 0; w1 < o->write_count; w1++)
        for (uint32_t w2 = w1 + 1; w2 < o->write_count; w2++)
            for (uint32_t r1 = 0; r1 < o->write_count; r1++)
                for (uint32_t r2 = 0; r2 < o->write_count; r2++) {
                    bool apart = r1 != r2 && r1 != w1 && r1 != w2 && r2 != w1 && r2 != w2;
                    bool sees = (o->writes[r1].saw >> w1 & 1) && !(o->writes[r1].saw >> w2 & 1) && (o->writes[r2].saw >> w2 & 1) && !(o->writes[r2].saw >> w1 & 1);
                    if (apart && sees && dep[r1][w2] && dep[r2][w1]) {
                        *d = (struct diagnosis){.kind = ANOMALY_LONG_FORK, .a = r1, .b = r2};
                        return true;
                    }
                }
    return false;
}

static void explain(const struct suite *u, const struct outcome *o, struct diagnosis *d)
{
    char where[256] = "";
    int n = 0;
    for (uint32_t i = 0; i < d->column_count && n >= 0 && (size_t)n < sizeof where; i++)
        n += snprintf(where + n, sizeof where - (size_t)n, "%s%s", i > 0 ? ", " : d->column_count > 1 ? " Columns " : " Column ", d->columns[i]);
    if (d->row_a != NULL && n >= 0 && (size_t)n < sizeof where)
        snprintf(where + n, sizeof where - (size_t)n, "%s%s%s%s.", n > 0 ? " of table " : " Table ", d->row_a->table,
                 d->row_b != NULL && strcmp(d->row_b->key, d->row_a->key) == 0 ? ", row " : "",
                 d->row_b != NULL && strcmp(d->row_b->key, d->row_a->key) == 0 ? d->row_a->key : "");
    if (d->kind == ANOMALY_NONE_CONCURRENT)
        snprintf(d->text, sizeof d->text, "%s", anomalies[d->kind].means);
    else
        snprintf(d->text, sizeof d->text, "%s on node %u and %s on node %u did not know of each other. %s%s", u->w.txns[o->writes[d->a].txn].name,
                 (unsigned)o->writes[d->a].node, u->w.txns[o->writes[d->b].txn].name, (unsigned)o->writes[d->b].node, anomalies[d->kind].means, where);
}

static bool concurrent(const struct outcome *o, uint32_t a, uint32_t b)
{
    return o->writes[a].committed && o->writes[b].committed && !(o->writes[a].saw >> b & 1) && !(o->writes[b].saw >> a & 1);
}

/* Does it break as well where every transaction has seen all those before it? Then no merge is to blame. */
static bool breaks_in_turn(struct suite *u, const struct schedule *s, uint32_t invariant)
{
    struct schedule c = {.seed = s->seed, .nodes = s->nodes};
    struct outcome out;
    for (uint32_t i = 0; i < s->count; i++)
        if ((s->steps[i].kind == STEP_RUN || s->steps[i].kind == STEP_BEGIN) && c.count + s->nodes < SUITE_STEPS_MAX) {
            c.steps[c.count] = s->steps[i];
            c.steps[c.count++].kind = STEP_RUN;
            for (uint8_t k = 0; k < s->nodes; k++)
                if (k != s->steps[i].node)
                    c.steps[c.count++] = (struct step){.kind = STEP_MEET, .node = s->steps[i].node, .other = k};
        }
    bool broken = suite_replay(u, &c, &out) && out.breaks[invariant].broken;
    outcome_free(&out);
    return broken;
}

void suite_diagnose(struct suite *u, const struct schedule *s, const struct outcome *o, uint32_t invariant, struct diagnosis *d)
{
    bool dep[SUITE_WRITES_MAX][SUITE_WRITES_MAX] = {{false}};
    const char *query = u->w.invariants[invariant].sql;
    *d = (struct diagnosis){.kind = ANOMALY_NONE_CONCURRENT};
    if (breaks_in_turn(u, s, invariant)) {
        explain(u, o, d);
        return;
    }
    for (uint32_t a = 0; a < o->write_count; a++)
        for (uint32_t b = a + 1; b < o->write_count; b++)
            if (concurrent(o, a, b)) {
                dep[b][a] = depends(u, s, o, b, a);
                dep[a][b] = depends(u, s, o, a, b);
            }
    /* What clashes in tables that the invariant asks about comes first. */
    for (int pass = 0; pass < 2 && (pass == 0 || d->kind == ANOMALY_NONE_CONCURRENT || d->kind == ANOMALY_COMBINED); pass++)
        for (uint32_t a = 0; a < o->write_count; a++)
            for (uint32_t b = a + 1; b < o->write_count; b++)
                if (concurrent(o, a, b))
                    judge_pair(o, a, b, dep[b][a], dep[a][b], pass == 0 ? query : NULL, d);
    if (d->kind > ANOMALY_LONG_FORK)
        (void)long_fork(o, dep, d); /* else d stays */
    explain(u, o, d);
}

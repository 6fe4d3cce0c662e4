/* replay.c - one schedule on simulated nodes: same steps, same outcome. See suite.h.
 * Every link is blocked but for the moment of a MEET, in which gossip itself carries what one node has and the other lacks. */
#include "suite/suite.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/types.h"

#define STEP_US 60000000u      /* from one write's time to the next one's: more than any MEETs between them take */
#define MEET_TICKS_MAX 400u
#define BINDINGS_MAX (WORKLOAD_DRAWS_MAX + 64u)

struct binding {
    const char *name;
    struct value value;
};
struct play {
    struct suite *u;
    const struct schedule *s;
    struct outcome *out;
    struct sim *sim;
    conn *open[SIM_NODES_MAX];           /* for transactions that stay open */
    conn *look[SIM_NODES_MAX];           /* for invariants: what this node has, whatever the session asks of the others */
    int open_write[SIM_NODES_MAX];       /* position in out->writes, or -1 */
    uint64_t knows[SIM_NODES_MAX];       /* writes, as bits */
    uint64_t started_us;
    uint32_t cut;                        /* one side of the cut; 0: none */
};

static void fault(struct play *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fault(struct play *p, const char *format, ...)
{
    va_list args;
    if (p->out->fault[0] != '\0')
        return;
    va_start(args, format);
    vsnprintf(p->out->fault, sizeof p->out->fault, format, args);
    va_end(args);
}

static bool good(struct play *p)
{
    if (p->sim->failure[0] != '\0')
        fault(p, "%s", p->sim->failure);
    return p->out->fault[0] == '\0';
}

/* ---- SQL ---- */

static quartet_status bind_all(conn_stmt *st, const struct binding *b, uint32_t count, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    for (uint32_t i = 1; rc == QUARTET_OK && i <= conn_param_count(st); i++) {
        const char *name = conn_param_name(st, i);
        uint32_t k = 0;
        while (k < count && (name == NULL || name[0] != ':' || strcmp(name + 1, b[k].name) != 0))
            k++;
        if (k == count)
            return err_set(err, QUARTET_ERROR, "%s is neither drawn nor let before", name != NULL ? name : "a ? (write :name)");
        rc = conn_bind(st, i, &b[k].value, err);
    }
    return rc;
}

/* Run one statement. Where it answers rows: *rows counts them, the first one's values go to `first` (up to `first_max`; bytes in the arena), and up
 * to three rows, for people, to `text`. `first` and `text` may be NULL. */
static quartet_status run_sql(conn *c, const char *sql, const struct binding *b, uint32_t count, struct arena *a, struct value *first, uint32_t first_max,
                              uint64_t *rows, struct buf *text, struct err *err)
{
    conn_stmt *st = NULL;
    size_t consumed = 0;
    struct batch out;
    *rows = 0;
    quartet_status rc = conn_prepare(c, sql, strlen(sql), &st, &consumed, err);
    if (rc == QUARTET_OK && st != NULL && sql[consumed + strspn(sql + consumed, " \t\r\n;")] != '\0')
        rc = err_set(err, QUARTET_ERROR, "more than one statement");
    if (rc == QUARTET_OK && st != NULL)
        rc = bind_all(st, b, count, err);
    while (rc == QUARTET_OK && st != NULL && (rc = conn_step(st, &out, err)) == QUARTET_OK && out.n > 0)
        for (uint32_t r = 0; r < out.n; r++, ++*rows) {
            for (uint32_t k = 0; *rows == 0 && first != NULL && k < out.col_count && k < first_max; k++) {
                first[k] = vec_get(&out.cols[k], batch_row(&out, r));
                if (!value_copy(a, &first[k]))
                    rc = err_nomem(err);
            }
            for (uint32_t k = 0; *rows < 3 && text != NULL && k < out.col_count; k++) {
                struct value v = vec_get(&out.cols[k], batch_row(&out, r));
                buf_printf(text, "%s%s = ", k > 0 ? ", " : *rows > 0 ? "; " : "", conn_column(st, k)->name);
                if (v.type == VALUE_NULL)
                    buf_str(text, "NULL");
                else
                    value_to_text(&v, text);
            }
        }
    conn_finalize(st);
    return rc;
}

/* The write is committed: let its node seal it, and read what the delta says. */
static void take_writes(struct play *p, uint8_t slot, struct write_result *w, size_t batches_before)
{
    struct err err = ERR_INIT;
    sim_tick(p->sim);
    struct catalog *catalog = db_catalog(p->sim->nodes[slot].d);
    for (size_t i = batches_before; i < p->sim->batch_count; i++)
        if (!suite_take_batch(&p->out->arena, &p->sim->batches[i], slot, catalog, w, &err))
            fault(p, "a delta of node %u cannot be read: %s", (unsigned)slot, err.text);
    catalog_unref(catalog);
}

/* ---- transactions ---- */

static const char *given_up(struct play *p, struct write_result *w, const struct wl_stmt *s, const char *why)
{
    (void)w;
    const char *text = arena_printf(&p->out->arena, "%s: %s", s->shown, why);
    return text != NULL ? text : why;
}

/* The body, without COMMIT. False: it was given up, or the engine refused; w->why says so. */
static bool run_body(struct play *p, conn *c, const struct step *step, struct write_result *w)
{
    const struct wl_txn *t = &p->u->w.txns[step->txn];
    struct binding b[BINDINGS_MAX];
    uint32_t count = 0;
    struct buf reads = {0};
    struct arena *a = &p->out->arena;
    struct err err = ERR_INIT;
    uint64_t rows = 0;
    for (uint32_t i = 0; i < t->draw_count; i++)
        b[count++] = (struct binding){.name = t->draws[i].name, .value = step->params[i]};
    quartet_status rc = run_sql(c, "BEGIN", NULL, 0, a, NULL, 0, &rows, NULL, &err);
    if (rc != QUARTET_OK)
        w->why = arena_printf(a, "BEGIN: %s", err.text);
    for (uint32_t i = 0; rc == QUARTET_OK && w->why == NULL && i < t->body.count; i++) {
        const struct wl_stmt *s = &t->body.item[i];
        struct value first[WORKLOAD_NAMES_MAX];
        rc = run_sql(c, s->sql, b, count, a, first, s->name_count, &rows, NULL, &err);
        if (rc != QUARTET_OK)
            w->why = given_up(p, w, s, err.text);
        else if (s->kind == LINE_LET && rows == 0)
            w->why = given_up(p, w, s, "no row, so it gives up");
        else if (s->kind == LINE_REQUIRE && rows == 0)
            w->why = given_up(p, w, s, "not so, so it gives up");
        for (uint32_t k = 0; rc == QUARTET_OK && w->why == NULL && s->kind == LINE_LET && k < s->name_count && count < BINDINGS_MAX; k++) {
            b[count++] = (struct binding){.name = s->names[k], .value = first[k]};
            buf_printf(&reads, "%s%s = %s", reads.len > 0 ? ", " : "", s->names[k], suite_value_text(a, &first[k]));
        }
    }
    w->reads = reads.failed ? "" : arena_strndup(a, reads.data != NULL ? (const char *)reads.data : "", reads.len);
    buf_deinit(&reads);
    return w->why == NULL;
}

static void end_txn(struct play *p, uint8_t slot, conn *c, struct write_result *w, uint32_t position)
{
    struct err err = ERR_INIT, ignored = ERR_INIT;
    size_t before = p->sim->batch_count;
    uint64_t rows = 0;
    if (w->why == NULL && run_sql(c, "COMMIT", NULL, 0, &p->out->arena, NULL, 0, &rows, NULL, &err) != QUARTET_OK)
        w->why = arena_printf(&p->out->arena, "COMMIT: %s", err.text);
    if (w->why != NULL && conn_in_transaction(c))
        (void)run_sql(c, "ROLLBACK", NULL, 0, &p->out->arena, NULL, 0, &rows, NULL, &ignored); /* it is given up either way */
    w->committed = w->why == NULL;
    w->saw = p->knows[slot];
    if (w->committed) {
        p->knows[slot] |= (uint64_t)1 << position;
        take_writes(p, slot, w, before);
    }
}

static struct write_result *begin_write(struct play *p, uint32_t at)
{
    const struct step *step = &p->s->steps[at];
    struct sim_node *n = &p->sim->nodes[step->node];
    uint64_t due = p->started_us + (uint64_t)(step->id + 1) * STEP_US;
    struct write_result *w = &p->out->writes[p->out->write_count++];
    *w = (struct write_result){.step = at, .txn = step->txn, .id = step->id, .node = step->node, .reads = ""};
    if (due <= p->sim->now_us) /* out of its turn, in an experiment: the next full step, so that what met before does not show in its clock */
        due = p->started_us + ((p->sim->now_us - p->started_us) / STEP_US + 1) * STEP_US;
    p->sim->now_us = due - SIM_TICK_US;
    sim_tick(p->sim); /* clocks move with it */
    prng_seed(&n->env.prng, p->s->seed * 1000003u + step->id);
    return w;
}

/* ---- links ---- */

static bool may_meet(const struct play *p, uint8_t a, uint8_t b)
{
    return ((p->cut >> a ^ p->cut >> b) & 1) == 0;
}

static bool meet(struct play *p, uint8_t a, uint8_t b)
{
    struct sim *s = p->sim;
    s->blocked[a][b] = s->blocked[b][a] = false;
    uint32_t ticks = 0;
    do
        sim_tick(s);
    while (good(p) && !sim_same_vectors(s, a, b) && ++ticks < MEET_TICKS_MAX);
    if (ticks == MEET_TICKS_MAX)
        fault(p, "nodes %u and %u do not come to know the same within %u s", (unsigned)a, (unsigned)b, MEET_TICKS_MAX * SIM_TICK_US / 1000000u);
    s->blocked[a][b] = s->blocked[b][a] = true;
    sim_tick(s);
    p->knows[a] |= p->knows[b];
    p->knows[b] = p->knows[a];
    return good(p);
}

/* consistency = 'cluster' and commit_acks ask the others; what the schedule has cut does not answer. */
static quartet_status meet_others(struct play *p, uint8_t slot, uint32_t wanted, const char *what, struct err *err)
{
    uint32_t met = 0;
    for (uint8_t k = 0; k < p->s->nodes; k++)
        if (k != slot && may_meet(p, slot, k) && met < wanted && meet(p, slot, k))
            met++;
    return met >= wanted ? QUARTET_OK : err_set(err, QUARTET_UNAVAILABLE, "%s: %u of %u other nodes answer", what, met, wanted);
}

struct hook {
    struct play *p;
    uint8_t node;
};
static quartet_status before_read(void *ctx, enum conn_consistency consistency, struct slice token, uint32_t timeout_ms, struct err *err)
{
    const struct hook *h = ctx;
    (void)token; /* every client stays at its node here, which has all that it has seen */
    (void)timeout_ms;
    return consistency == CONN_CLUSTER ? meet_others(h->p, h->node, h->p->s->nodes - 1, "consistency 'cluster'", err) : QUARTET_OK;
}
static quartet_status after_commit(void *ctx, hlc_stamp stamp, int acks, uint32_t timeout_ms, struct err *err)
{
    const struct hook *h = ctx;
    uint32_t others = h->p->s->nodes - 1;
    uint32_t wanted = acks == CONN_ACKS_ALL ? others : acks == CONN_ACKS_MAJORITY ? (others + 1) / 2 : (uint32_t)acks;
    (void)stamp;
    (void)timeout_ms;
    return meet_others(h->p, h->node, wanted < others ? wanted : others, "commit_acks", err);
}

static void all_meet(struct play *p)
{
    p->cut = 0;
    for (int round = 0; round < 4 && good(p); round++) { /* what apply itself follows up with, too */
        bool equal = true;
        for (uint8_t k = 1; k < p->s->nodes; k++)
            equal = equal && sim_same_vectors(p->sim, 0, k);
        if (equal && round > 0)
            return;
        for (uint8_t k = 1; k < p->s->nodes && good(p); k++)
            meet(p, 0, k);
        for (uint32_t k = 1; k + 1 < p->s->nodes && good(p); k++)
            meet(p, 0, (uint8_t)k);
    }
}

/* ---- invariants ---- */

static void mark_broken(struct play *p, uint32_t i, uint32_t step, uint8_t slot, struct buf *text)
{
    struct break_point *b = &p->out->breaks[i];
    if (!b->broken) {
        *b = (struct break_point){.broken = true, .step = step, .node = slot};
        b->rows = text->failed ? "?" : arena_strndup(&p->out->arena, text->data != NULL ? (const char *)text->data : "", text->len);
        p->out->broken_count++;
    }
}

static void judge(struct play *p, uint8_t slot, uint32_t step)
{
    const struct workload *w = &p->u->w;
    for (uint32_t i = 0; i < w->invariant_count && good(p); i++) {
        struct err err = ERR_INIT;
        struct buf text = {0};
        uint64_t rows = 0;
        if (w->invariants[i].same || p->out->breaks[i].broken)
            continue;
        if (run_sql(p->look[slot], w->invariants[i].sql, NULL, 0, &p->out->arena, NULL, 0, &rows, &text, &err) != QUARTET_OK)
            fault(p, "%s:%u: invariant %s: %s", w->file, w->invariants[i].line, w->invariants[i].name, err.text);
        else if (rows > 0)
            mark_broken(p, i, step, slot, &text);
        buf_deinit(&text);
    }
}

/* All rows as bytes: what "the same" means. */
static bool dump(struct play *p, uint8_t slot, const struct wl_invariant *v, struct buf *bytes)
{
    conn_stmt *st = NULL;
    size_t consumed = 0;
    struct batch out;
    struct err err = ERR_INIT;
    quartet_status rc = conn_prepare(p->look[slot], v->sql, strlen(v->sql), &st, &consumed, &err);
    while (rc == QUARTET_OK && st != NULL && (rc = conn_step(st, &out, &err)) == QUARTET_OK && out.n > 0)
        for (uint32_t r = 0; r < out.n; r++)
            for (uint32_t k = 0; k < out.col_count; k++) {
                struct value x = vec_get(&out.cols[k], batch_row(&out, r));
                value_encode(bytes, &x);
            }
    conn_finalize(st);
    if (rc != QUARTET_OK)
        fault(p, "%s:%u: same %s: %s", p->u->w.file, v->line, v->name, err.text);
    return rc == QUARTET_OK;
}

static void judge_same(struct play *p)
{
    const struct workload *w = &p->u->w;
    for (uint32_t i = 0; i < w->invariant_count && good(p); i++) {
        struct buf first = {0};
        for (uint8_t k = 0; w->invariants[i].same && k < p->s->nodes && good(p); k++) {
            struct buf mine = {0}, text = {0};
            if (dump(p, k, &w->invariants[i], k == 0 ? &first : &mine) && k > 0 && !slice_eq(slice_of(first.data, first.len), slice_of(mine.data, mine.len))) {
                buf_printf(&text, "node %u answers otherwise than node 0", (unsigned)k);
                mark_broken(p, i, p->s->count, k, &text);
            }
            buf_deinit(&mine);
            buf_deinit(&text);
        }
        buf_deinit(&first);
    }
    struct state_hash first = {0}, h = {0};
    struct err err = ERR_INIT;
    for (uint8_t k = 0; k < p->s->nodes && good(p); k++) {
        struct buf at = {0};
        if (db_state_hash(p->sim->nodes[k].d, k == 0 ? &first : &h, &at, &err) != QUARTET_OK)
            fault(p, "node %u: %s", (unsigned)k, err.text);
        else if (k > 0 && (h.lo != first.lo || h.hi != first.hi))
            fault(p, "nodes 0 and %u know the same transactions and have different states: a mistake in Quartet, please report it with this seed", (unsigned)k);
        buf_deinit(&at);
    }
}

/* ---- the whole ---- */

static bool run_list(struct play *p, conn *c, const char *file, const struct wl_stmts *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct err err = ERR_INIT;
        uint64_t rows = 0;
        if (run_sql(c, list->item[i].sql, NULL, 0, &p->out->arena, NULL, 0, &rows, NULL, &err) != QUARTET_OK) {
            fault(p, "%s:%u: %s", file, list->item[i].line, err.text);
            return false;
        }
    }
    return true;
}

static bool prepare(struct play *p)
{
    const struct workload *w = &p->u->w;
    struct err err = ERR_INIT;
    uint64_t rows = 0;
    for (const char *const *sql = p->u->schema; sql != NULL && *sql != NULL; sql++)
        if (run_sql(p->sim->nodes[0].c, *sql, NULL, 0, &p->out->arena, NULL, 0, &rows, NULL, &err) != QUARTET_OK) {
            fault(p, "%s", err.text);
            return false;
        }
    if ((p->u->schema == NULL && !run_list(p, p->sim->nodes[0].c, w->schema_file, &w->schema)) ||
        !run_list(p, p->sim->nodes[0].c, w->file, &w->setup))
        return false;
    all_meet(p);
    for (uint8_t k = 0; k < p->s->nodes && good(p); k++) {
        conn *both[2];
        if (conn_open(p->sim->nodes[k].d, &p->open[k], &err) != QUARTET_OK || conn_open(p->sim->nodes[k].d, &p->look[k], &err) != QUARTET_OK) {
            fault(p, "%s", err.text);
            return false;
        }
        both[0] = p->open[k];
        both[1] = p->sim->nodes[k].c;
        for (int i = 0; i < 2; i++) {
            if (!run_list(p, both[i], w->file, &w->session))
                return false;
            if (p->u->session != NULL && run_sql(both[i], p->u->session, NULL, 0, &p->out->arena, NULL, 0, &rows, NULL, &err) != QUARTET_OK) {
                fault(p, "%s", err.text);
                return false;
            }
        }
    }
    judge(p, 0, 0);
    for (uint32_t i = 0; i < w->invariant_count && good(p); i++)
        if (p->out->breaks[i].broken)
            fault(p, "%s:%u: invariant %s is broken before any transaction has run (%s): look at the query, or at setup", w->file, w->invariants[i].line,
                  w->invariants[i].name, p->out->breaks[i].rows);
    p->started_us = p->sim->now_us;
    return good(p);
}

static void do_step(struct play *p, uint32_t at)
{
    const struct step *x = &p->s->steps[at];
    struct write_result *w;
    switch (x->kind) {
    case STEP_RUN:
        w = begin_write(p, at);
        (void)run_body(p, p->sim->nodes[x->node].c, x, w); /* w->why says it */
        end_txn(p, x->node, p->sim->nodes[x->node].c, w, (uint32_t)(w - p->out->writes));
        judge(p, x->node, at);
        break;
    case STEP_BEGIN:
        if (p->open_write[x->node] >= 0)
            break; /* a COMMIT was left out: it stays open, and this one does not come */
        w = begin_write(p, at);
        (void)run_body(p, p->open[x->node], x, w); /* likewise */
        p->open_write[x->node] = (int)(w - p->out->writes);
        break;
    case STEP_COMMIT:
        if (p->open_write[x->node] < 0)
            break;
        end_txn(p, x->node, p->open[x->node], &p->out->writes[p->open_write[x->node]], (uint32_t)p->open_write[x->node]);
        p->open_write[x->node] = -1;
        judge(p, x->node, at);
        break;
    case STEP_MEET:
        if (may_meet(p, x->node, x->other) && meet(p, x->node, x->other)) {
            judge(p, x->node, at);
            judge(p, x->other, at);
        }
        break;
    case STEP_CUT:
        p->cut = x->other;
        break;
    default:
        p->cut = 0;
        break;
    }
}

static void play(struct play *p)
{
    struct hook hooks[SIM_NODES_MAX];
    if (!prepare(p))
        return;
    for (uint8_t k = 0; k < p->s->nodes; k++) {
        hooks[k] = (struct hook){.p = p, .node = k};
        db_set_node_hooks(p->sim->nodes[k].d, &(struct conn_node_hooks){.ctx = &hooks[k], .before_read = before_read, .after_commit = after_commit});
    }
    for (uint32_t i = 0; i < p->s->count && good(p); i++)
        do_step(p, i);
    for (uint8_t k = 0; k < p->s->nodes && good(p); k++)
        if (p->open_write[k] >= 0) {
            struct write_result *w = &p->out->writes[p->open_write[k]];
            w->why = "left open";
            end_txn(p, k, p->open[k], w, (uint32_t)p->open_write[k]);
        }
    for (uint8_t k = 0; k < p->s->nodes; k++)
        db_set_node_hooks(p->sim->nodes[k].d, NULL);
    if (good(p))
        all_meet(p);
    for (uint8_t k = 0; k < p->s->nodes && good(p); k++)
        judge(p, k, p->s->count);
    judge_same(p);
}

bool suite_replay(struct suite *u, const struct schedule *s, struct outcome *out)
{
    struct sim *sim = mem_zalloc(1, sizeof *sim);
    struct sim_options o = {.seed = s->seed, .nodes = s->nodes, .keys = 1, .delay_us_min = 100, .delay_us_max = 1000, .cheap_signature = true};
    struct play p = {.u = u, .s = s, .out = out, .sim = sim, .open_write = {-1, -1, -1, -1}};
    *out = (struct outcome){.fault = ""};
    if (sim == NULL) {
        snprintf(out->fault, sizeof out->fault, "out of memory");
        return false;
    }
    u->replays++;
    bool ok = sim_begin(sim, &o, false);
    for (uint8_t a = 0; a < s->nodes; a++)
        for (uint8_t b = 0; b < s->nodes; b++)
            sim->blocked[a][b] = true;
    if (ok)
        play(&p);
    (void)good(&p); /* takes over a failure of the simulator */
    for (uint8_t k = 0; k < s->nodes; k++) {
        conn_close(p.open[k]);
        conn_close(p.look[k]);
    }
    sim_free(sim);
    mem_free(sim);
    return out->fault[0] == '\0';
}

void outcome_free(struct outcome *out)
{
    arena_free_all(&out->arena);
    *out = (struct outcome){.fault = ""};
}

/* ---- do the files mean something? ---- */

static quartet_status verify_stmt(struct suite *u, conn *c, const struct wl_txn *t, uint32_t at, struct err *err)
{
    const struct wl_stmt *s = &t->body.item[at];
    conn_stmt *st = NULL;
    size_t consumed = 0;
    struct err told = ERR_INIT;
    quartet_status rc = conn_prepare(c, s->sql, strlen(s->sql), &st, &consumed, &told);
    for (uint32_t i = 1; rc == QUARTET_OK && st != NULL && i <= conn_param_count(st); i++) {
        const char *name = conn_param_name(st, i);
        bool known = false;
        for (uint32_t k = 0; name != NULL && k < t->draw_count; k++)
            known = known || strcmp(name + 1, t->draws[k].name) == 0;
        for (uint32_t k = 0; name != NULL && k < at; k++)
            for (uint32_t m = 0; m < t->body.item[k].name_count; m++)
                known = known || strcmp(name + 1, t->body.item[k].names[m]) == 0;
        if (!known)
            rc = err_set(&told, QUARTET_ERROR, "%s is neither drawn nor let before: draw %s in 1..9; or let %s = SELECT ...;", name != NULL ? name : "?",
                         name != NULL ? name + 1 : "x", name != NULL ? name + 1 : "x");
    }
    if (rc == QUARTET_OK && st == NULL)
        rc = err_set(&told, QUARTET_ERROR, "here should stand a statement");
    if (rc == QUARTET_OK && s->kind == LINE_LET && conn_column_count(st) < s->name_count)
        rc = err_set(&told, QUARTET_ERROR, "the query has %u columns for %u names", conn_column_count(st), s->name_count);
    if (rc == QUARTET_OK && conn_stmt_ends(st))
        rc = err_set(&told, QUARTET_ERROR, "the suite itself says BEGIN and COMMIT; a transaction that should end without effect uses require");
    conn_finalize(st);
    return rc == QUARTET_OK ? rc : err_set(err, QUARTET_ERROR, "%s:%u: %s", u->w.file, s->line, told.text);
}

quartet_status suite_verify(struct suite *u, struct err *err)
{
    struct schedule empty = {.seed = u->seed, .nodes = 2};
    struct outcome out;
    quartet_status rc = QUARTET_OK;
    bool ok = suite_replay(u, &empty, &out);
    if (!ok)
        rc = err_set(err, QUARTET_ERROR, "%s", out.fault);
    outcome_free(&out);
    struct sim *sim = ok ? mem_zalloc(1, sizeof *sim) : NULL;
    if (ok && sim == NULL)
        return err_nomem(err);
    if (!ok)
        return rc;
    struct sim_options o = {.seed = u->seed, .nodes = 2, .keys = 1, .cheap_signature = true};
    struct play p = {.u = u, .s = &empty, .out = &out, .sim = sim};
    if (!sim_begin(sim, &o, false) || !run_list(&p, sim->nodes[0].c, u->w.schema_file, &u->w.schema) ||
        !run_list(&p, sim->nodes[0].c, u->w.file, &u->w.setup))
        rc = err_set(err, QUARTET_ERROR, "%s", out.fault[0] != '\0' ? out.fault : sim->failure);
    for (uint32_t t = 0; rc == QUARTET_OK && t < u->w.txn_count; t++)
        for (uint32_t i = 0; rc == QUARTET_OK && i < u->w.txns[t].body.count; i++)
            rc = verify_stmt(u, sim->nodes[0].c, &u->w.txns[t], i, err);
    outcome_free(&out);
    sim_free(sim);
    mem_free(sim);
    return rc;
}

/* schedule.c - schedules drawn from a seed, and made short again: what is left of a schedule that breaks an invariant when nothing more can be taken away. */
#include "suite/suite.h"

#include <string.h>

#define WRITES_DRAWN_MAX 12u
#define PAIRS_UP_TO 14u /* steps, up to which every pair of them is tried, too */

/* ---- drawing ---- */

struct drawing {
    struct suite *u;
    struct schedule *s;
    struct prng r;
    bool open[SIM_NODES_MAX];
    uint32_t next_id;
    double meet, stay_open, cut;
};

static void add_step(struct drawing *d, struct step step)
{
    if (d->s->count < SUITE_STEPS_MAX)
        d->s->steps[d->s->count++] = step;
}

static void draw_uuid(struct prng *r, uint8_t out[16])
{
    prng_fill(r, out, 16);
    out[6] = (uint8_t)((out[6] & 0x0f) | 0x40);
    out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
}

static struct value draw_value(struct drawing *d, const struct draw *x)
{
    struct value v = VALUE_NULL_INIT;
    switch (x->kind) {
    case DRAW_RANGE:
        return value_int(prng_between(&d->r, x->lo, x->hi));
    case DRAW_CHOICE:
        return x->choices[prng_below(&d->r, x->choice_count)];
    case DRAW_UNIQUE:
        return value_int((int64_t)d->next_id + 1);
    default:
        v.type = VALUE_UUID;
        draw_uuid(&d->r, v.uuid);
        return v;
    }
}

static uint32_t draw_txn(struct drawing *d)
{
    const struct workload *w = &d->u->w;
    uint64_t total = 0;
    for (uint32_t i = 0; i < w->txn_count; i++)
        total += w->txns[i].weight;
    uint64_t at = prng_below(&d->r, total);
    uint32_t i = 0;
    while (at >= w->txns[i].weight)
        at -= w->txns[i++].weight;
    return i;
}

static bool draw_write(struct drawing *d)
{
    uint8_t slot = (uint8_t)prng_below(&d->r, d->s->nodes);
    if (d->open[slot]) {
        add_step(d, (struct step){.kind = STEP_COMMIT, .node = slot});
        d->open[slot] = false;
    }
    struct step x = {.kind = STEP_RUN, .node = slot, .txn = draw_txn(d), .id = d->next_id};
    const struct wl_txn *t = &d->u->w.txns[x.txn];
    x.params = arena_zalloc(&d->u->arena, t->draw_count + 1, sizeof *x.params);
    if (x.params == NULL)
        return false;
    for (uint32_t i = 0; i < t->draw_count; i++)
        x.params[i] = draw_value(d, &t->draws[i]);
    d->next_id++;
    if (prng_chance(&d->r, d->stay_open)) {
        x.kind = STEP_BEGIN;
        d->open[slot] = true;
    }
    add_step(d, x);
    return true;
}

/* What happens between two writes: nodes meet, commits that were waited for, the network. */
static void draw_between(struct drawing *d)
{
    uint32_t n = d->s->nodes;
    for (uint8_t k = 0; k < n; k++)
        if (d->open[k] && prng_chance(&d->r, 0.4)) {
            add_step(d, (struct step){.kind = STEP_COMMIT, .node = k});
            d->open[k] = false;
        }
    while (prng_chance(&d->r, d->meet)) {
        uint8_t a = (uint8_t)prng_below(&d->r, n), b = (uint8_t)prng_below(&d->r, n - 1);
        b = (uint8_t)(b + (b >= a));
        add_step(d, (struct step){.kind = STEP_MEET, .node = a, .other = b});
    }
    if (prng_chance(&d->r, d->cut))
        add_step(d, (struct step){.kind = STEP_CUT, .other = (uint8_t)(1 + prng_below(&d->r, (1u << n) - 2))});
    else if (prng_chance(&d->r, d->cut))
        add_step(d, (struct step){.kind = STEP_HEAL});
}

quartet_status schedule_draw(struct suite *u, uint64_t run, struct schedule *out, struct err *err)
{
    static const double meets[] = {0.1, 0.4, 0.7};
    struct drawing d = {.u = u, .s = out};
    prng_seed(&d.r, (u->seed + run) ^ 0x5c4ed01eu);
    *out = (struct schedule){.seed = u->seed + run};
    out->nodes = u->nodes_min + (uint32_t)prng_below(&d.r, u->nodes_max - u->nodes_min + 1);
    d.meet = meets[prng_below(&d.r, 3)];
    d.stay_open = prng_chance(&d.r, 0.5) ? 0.3 : 0;
    d.cut = prng_chance(&d.r, 0.5) ? 0.15 : 0;
    uint64_t most = 1 + run / 8 < WRITES_DRAWN_MAX - 1 ? 1 + run / 8 : WRITES_DRAWN_MAX - 1; /* short ones first: they explain themselves */
    uint64_t writes = 2 + prng_below(&d.r, most);
    for (uint64_t i = 0; i < writes; i++) {
        if (i > 0)
            draw_between(&d);
        if (!draw_write(&d))
            return err_nomem(err);
    }
    for (uint8_t k = 0; k < out->nodes; k++)
        if (d.open[k])
            add_step(&d, (struct step){.kind = STEP_COMMIT, .node = k});
    return QUARTET_OK;
}

/* ---- making it short ---- */

struct shrinking {
    struct suite *u;
    struct schedule *s; /* the shortest so far that breaks */
    uint32_t invariant;
};

void schedule_drop(struct schedule *s, uint32_t step)
{
    memmove(&s->steps[step], &s->steps[step + 1], (s->count - step - 1) * sizeof s->steps[0]);
    s->count--;
}

/* Does it still break? Then it is the shortest so far. */
static bool take_if_broken(struct shrinking *k, const struct schedule *candidate)
{
    struct outcome out;
    bool broken = suite_replay(k->u, candidate, &out) && out.breaks[k->invariant].broken;
    outcome_free(&out);
    if (broken)
        *k->s = *candidate;
    return broken;
}

static bool drop_range(struct shrinking *k, uint32_t from, uint32_t n)
{
    struct schedule c = *k->s;
    for (uint32_t i = 0; i < n; i++)
        schedule_drop(&c, from);
    return take_if_broken(k, &c);
}

static bool drop_steps(struct shrinking *k)
{
    bool any = false;
    for (uint32_t size = k->s->count > 1 ? k->s->count / 2 : 1; size > 0; size /= 2)
        for (uint32_t from = 0; from + size <= k->s->count;)
            if (drop_range(k, from, size))
                any = true;
            else
                from += size;
    return any;
}

static bool drop_pairs(struct shrinking *k)
{
    for (uint32_t a = 0; k->s->count <= PAIRS_UP_TO && a < k->s->count; a++)
        for (uint32_t b = a + 1; b < k->s->count; b++) {
            struct schedule c = *k->s;
            schedule_drop(&c, b);
            schedule_drop(&c, a);
            if (take_if_broken(k, &c))
                return true;
        }
    return false;
}

/* BEGIN and COMMIT become one step. */
static bool join_halves(struct shrinking *k)
{
    for (uint32_t a = 0; a < k->s->count; a++)
        for (uint32_t b = a + 1; k->s->steps[a].kind == STEP_BEGIN && b < k->s->count; b++)
            if (k->s->steps[b].kind == STEP_COMMIT && k->s->steps[b].node == k->s->steps[a].node) {
                struct schedule c = *k->s;
                c.steps[a].kind = STEP_RUN;
                schedule_drop(&c, b);
                if (take_if_broken(k, &c))
                    return true;
                break;
            }
    return false;
}

/* Nodes that do nothing go; the others are numbered anew. */
static bool drop_nodes(struct shrinking *k)
{
    struct schedule c = *k->s;
    uint8_t to[SIM_NODES_MAX] = {0};
    bool used[SIM_NODES_MAX] = {false};
    uint32_t n = 0;
    for (uint32_t i = 0; i < c.count; i++) {
        if (c.steps[i].kind == STEP_CUT)
            return false; /* its mask names nodes */
        if (c.steps[i].kind != STEP_HEAL)
            used[c.steps[i].node] = true;
        if (c.steps[i].kind == STEP_MEET)
            used[c.steps[i].other] = true;
    }
    for (uint8_t i = 0; i < c.nodes; i++)
        if (used[i])
            to[i] = (uint8_t)n++;
    c.nodes = n < 2 ? 2 : n;
    if (c.nodes == k->s->nodes)
        return false;
    for (uint32_t i = 0; i < c.count; i++) {
        c.steps[i].node = to[c.steps[i].node];
        if (c.steps[i].kind == STEP_MEET)
            c.steps[i].other = to[c.steps[i].other];
    }
    return take_if_broken(k, &c);
}

/* Plain values read better: the lower end of a range, the first of a list. */
static bool plain_values(struct shrinking *k)
{
    bool any = false;
    for (uint32_t i = 0; i < k->s->count; i++) {
        const struct step *x = &k->s->steps[i];
        const struct wl_txn *t = &k->u->w.txns[x->txn];
        for (uint32_t d = 0; x->params != NULL && d < t->draw_count; d++) {
            const struct draw *draw = &t->draws[d];
            struct value plain = draw->kind == DRAW_RANGE ? value_int(draw->lo) : VALUE_NULL_INIT;
            if (draw->kind == DRAW_CHOICE)
                plain = draw->choices[0];
            if ((draw->kind != DRAW_RANGE && draw->kind != DRAW_CHOICE) || value_identical(&plain, &x->params[d]))
                continue;
            struct schedule c = *k->s;
            struct value *params = arena_dup(&k->u->arena, x->params, t->draw_count * sizeof *params);
            if (params == NULL)
                return any; /* it is only nicer so */
            params[d] = plain;
            c.steps[i].params = params;
            any = take_if_broken(k, &c) || any;
        }
    }
    return any;
}

quartet_status schedule_shrink(struct suite *u, struct schedule *s, uint32_t invariant, struct outcome *out, struct err *err)
{
    struct shrinking k = {.u = u, .s = s, .invariant = invariant};
    for (int round = 0; round < 8; round++) {
        bool any = drop_steps(&k);
        any = join_halves(&k) || any;
        any = drop_pairs(&k) || any;
        any = drop_nodes(&k) || any;
        any = plain_values(&k) || any;
        if (!any)
            break;
    }
    if (!suite_replay(u, s, out) || !out->breaks[invariant].broken)
        return err_set(err, QUARTET_INTERNAL, "the shortest schedule of seed %llu does not break again: %s", (unsigned long long)s->seed, out->fault);
    return QUARTET_OK;
}

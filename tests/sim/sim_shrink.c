/* sim_shrink.c - a failing run made short: events are left out, and the network's faults turned off, as long as it fails in the same way. */
#include "sim/sim_load.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define SHRINK_RUNS_MAX 3000u

struct shrinking {
    struct sim *s;
    struct sim_options *o;
    bool *leave_out;
    uint64_t events, runs;
    char kind[64];
};

/* What kind of failure it is: its text without times and numbers, as far as it tells kinds apart. */
static void kind_of(const char *failure, char out[64])
{
    const char *from = strstr(failure, " s: ");
    size_t n = 0;
    for (const char *p = from != NULL ? from + 4 : failure; *p != '\0' && n < 40; p++)
        if (!isdigit((unsigned char)*p))
            out[n++] = *p;
    out[n] = '\0';
}

static bool still_fails(struct shrinking *k)
{
    char kind[64];
    bool held = sim_run(k->s, k->o, k->leave_out, false, false);
    k->runs++;
    kind_of(k->s->failure, kind);
    sim_free(k->s);
    return !held && strcmp(kind, k->kind) == 0;
}

static uint64_t kept(const struct shrinking *k, uint64_t *list)
{
    uint64_t n = 0;
    for (uint64_t e = 0; e < k->events; e++)
        if (!k->leave_out[e])
            list[n++] = e;
    return n;
}

/* Halves, quarters, ... and single events. */
static bool drop_events(struct shrinking *k, uint64_t *list)
{
    bool any = false;
    uint64_t n = kept(k, list);
    for (uint64_t size = n > 1 ? n / 2 : 1; size > 0 && n > 0; size /= 2)
        for (uint64_t from = 0; from < n && k->runs < SHRINK_RUNS_MAX;) {
            uint64_t to = from + size < n ? from + size : n;
            for (uint64_t i = from; i < to; i++)
                k->leave_out[list[i]] = true;
            if (still_fails(k)) {
                any = true;
                n = kept(k, list);
            } else {
                for (uint64_t i = from; i < to; i++)
                    k->leave_out[list[i]] = false;
                from = to;
            }
        }
    return any;
}

/* An option on trial: it stays at `plain` if the run still fails. */
static bool plain_double(struct shrinking *k, double *option)
{
    double was = *option;
    *option = 0;
    if (was > 0 && still_fails(k))
        return true;
    *option = was;
    return false;
}

static bool plain_network(struct shrinking *k)
{
    struct sim_options *o = k->o;
    bool any = plain_double(k, &o->loss);
    any = plain_double(k, &o->repeat) || any;
    any = plain_double(k, &o->corrupt) || any;
    any = plain_double(k, &o->slow) || any;
    uint64_t lo = o->delay_us_min, hi = o->delay_us_max;
    o->delay_us_min = 0;
    o->delay_us_max = 1000;
    if (lo + hi > 1000 && still_fails(k))
        return true;
    o->delay_us_min = lo;
    o->delay_us_max = hi;
    return any;
}

void sim_shrink(struct sim_options *o, uint64_t events, bool *leave_out, uint64_t *runs)
{
    struct shrinking k = {.o = o, .leave_out = leave_out, .events = events < SIM_EVENTS_MAX ? events : SIM_EVENTS_MAX};
    uint64_t *list = mem_alloc(SIM_EVENTS_MAX * sizeof *list);
    k.s = mem_zalloc(1, sizeof *k.s);
    *runs = 0;
    if (list != NULL && k.s != NULL) {
        (void)sim_run(k.s, o, leave_out, false, false); /* it fails: that is why we are here */
        kind_of(k.s->failure, k.kind);
        sim_free(k.s);
        while (k.runs < SHRINK_RUNS_MAX && (drop_events(&k, list) || plain_network(&k)))
            continue;
    }
    *runs = k.runs;
    mem_free(list);
    mem_free(k.s);
}

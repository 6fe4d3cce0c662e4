/* test_memcut.c - as test_cut.c, over the disk in memory (fault_env) and the base in memory: a script is run again and again, each time the power goes one write
 * or sync later. Thousands of cuts a second, without threads, so that each is the same every time.
 *   fault-memcut [--seed N] [--runs N] [--stride N] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "fault/fault_env.h"
#include "fault/work.h"

struct run {
    const struct script *script;
    uint64_t seed, at;
    bool keep; /* a kill, no power cut */
    uint32_t started, acknowledged;
    int failures;
};

static void fail(struct run *r, const char *what)
{
    printf("FAILED: seed %llu, cut after %llu writes and syncs%s: %s\n", (unsigned long long)r->seed, (unsigned long long)r->at, r->keep ? " (killed)" : "", what);
    r->failures++;
}

static void check(struct run *r, struct work *w)
{
    struct err err = ERR_INIT;
    struct buf dump = {0};
    char why[600];
    if (work_open(w, &err) != QUARTET_OK) {
        fail(r, err.text);
        return;
    }
    if (work_dump(w, &dump, &err) != QUARTET_OK) {
        fail(r, err.text);
    } else if (script_state(r->script, &dump, r->acknowledged, r->started) < 0) {
        snprintf(why, sizeof why, "the state before step %d, not one of %u to %u", script_state(r->script, &dump, 0, r->script->count), r->acknowledged,
                 r->started);
        fail(r, why);
        script_explain(r->script, &dump, r->acknowledged);
    } else if (!work_consistent(w, why, sizeof why)) {
        fail(r, why);
    }
    buf_deinit(&dump);
    if (work_close(w, &err) != QUARTET_OK)
        fail(r, err.text);
}

/* False: the script ended before the cut. */
static bool once(struct run *r, size_t buffer_bytes)
{
    struct fault_env f;
    struct err err = ERR_INIT;
    fault_env_init(&f, r->seed * 1000003 + r->at);
    struct work w = {.env = &f.env, .path = "/d", .options = {.base_in_memory = true, .buffer_bytes = buffer_bytes}};
    f.crash_at_write = r->at;
    r->started = r->acknowledged = 0;
    quartet_status rc = work_open(&w, &err);
    for (uint32_t i = 0; rc == QUARTET_OK && i < r->script->count; i++) {
        r->started = i + 1;
        rc = script_step(r->script, i, &w, &err);
        if (rc == QUARTET_OK)
            r->acknowledged = i + 1;
    }
    bool cut = f.dead;
    if (rc != QUARTET_OK && !cut)
        fail(r, err.text);
    if (w.d != NULL)
        (void)work_close(&w, &err); /* the power is gone */
    fault_env_restart(&f, r->keep);
    if (r->failures == 0)
        check(r, &w);
    fault_env_deinit(&f);
    return cut;
}

int main(int argc, char **argv)
{
    const char *given = getenv("QUARTET_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : 1, runs = 2, stride = 1, cuts = 0;
    for (int i = 1; i + 1 < argc; i += 2)
        *(strcmp(argv[i], "--runs") == 0 ? &runs : strcmp(argv[i], "--stride") == 0 ? &stride : &seed) = strtoull(argv[i + 1], NULL, 10);
    static struct script script;
    int failures = 0;
    for (uint64_t k = 0; k < runs && failures == 0; k++) {
        struct run r = {.script = &script, .seed = seed + k};
        struct prng p;
        prng_seed(&p, r.seed);
        script_make(&script, r.seed, 40, true);
        size_t buffer = prng_chance(&p, 0.5) ? 8192 : 0;
        bool cut = true;
        for (r.at = 1; cut && r.failures < 5; cuts++) {
            r.keep = prng_chance(&p, 0.1);
            cut = once(&r, buffer);
            /* The log is made of zeros first: 256 writes that are all alike. */
            r.at += r.at > 4 && r.at < 250 ? 40 : stride > 1 ? 1 + prng_below(&p, 2 * stride - 1) : 1;
        }
        failures += r.failures;
        script_free(&script);
    }
    if (failures == 0)
        printf("memcut: %llu cuts, seeds %llu to %llu: nothing acknowledged was lost, nothing was half done\n", (unsigned long long)cuts,
               (unsigned long long)seed, (unsigned long long)(seed + runs - 1));
    return failures > 0;
}

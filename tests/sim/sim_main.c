/* sim_main.c - the program quartet-check: seeds of the simulated cluster, one after the other; a failing one is printed and replays. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/plant.h"
#include "sim/sim.h"
#include "suite/suite.h"

struct arguments {
    uint64_t seed, runs;
    bool trace, twice, expect_failure;
    unsigned long plant;
};

static int usage(void)
{
    fputs("usage: quartet-check [--seed N] [--runs N] [--trace] [--twice]"
#ifdef QUARTET_PLANTED_BUGS
          " [--plant BUG]"
#endif
          "\n  Runs a cluster of two to four nodes in one process and in simulated time, with lost, late, repeated and reordered messages,\n"
          "  partitions, crashes and clock jumps; every run is drawn from its seed: seed, seed + 1, ... Exit status 0 if nothing broke,\n"
          "  1 with the failing seed, which replays.\n"
          "  --twice       runs each seed twice and compares the hash of all events\n"
          "  --trace       prints every event\n"
          "  --plant BUG   plants bug 1, 2, ... and succeeds when it is found (builds with PLANTED_BUGS only)\n",
          stderr);
    return 64;
}

static bool parse(int argc, char **argv, struct arguments *a)
{
    for (int i = 1; i < argc; i++) {
        char *end = NULL;
        if (strcmp(argv[i], "--trace") == 0) {
            a->trace = true;
        } else if (strcmp(argv[i], "--twice") == 0) {
            a->twice = true;
        } else if (i + 1 < argc) {
            unsigned long long v = strtoull(argv[i + 1], &end, 0);
            if (*end != '\0' || end == argv[i + 1])
                return false;
            if (strcmp(argv[i], "--seed") == 0)
                a->seed = v;
            else if (strcmp(argv[i], "--runs") == 0)
                a->runs = v;
            else if (strcmp(argv[i], "--plant") == 0 && v > PLANT_NONE && v < PLANT_COUNT)
                a->plant = (unsigned long)v;
            else
                return false;
            i++;
        } else {
            return false;
        }
    }
    return true;
}

static void tell_failure(const struct sim *s, const struct sim_options *o, const char *program)
{
    printf("FAILED ");
    sim_options_print(o);
    printf("  %s\n", s->failure);
    if (s->log.len > 0) {
        size_t from = s->log.len > 4000 ? s->log.len - 4000 : 0;
        printf("  the nodes' last log lines:\n%.*s", (int)(s->log.len - from), (const char *)s->log.data + from);
    }
    printf("  replay: %s --seed %llu --runs 1\n", program, (unsigned long long)o->seed);
}

/* One seed; with --twice two runs of it must agree in every event. */
static bool run_seed(const struct arguments *a, uint64_t seed, struct sim *s, const char *program)
{
    struct sim_options o;
    uint64_t hash = 0;
    sim_options_draw(&o, seed);
    for (int round = 0; round < (a->twice ? 2 : 1); round++) {
        bool ok = sim_run(s, &o, a->trace);
        if (!ok && a->plant == 0)
            tell_failure(s, &o, program);
        if (ok && round == 1 && hash != s->event_hash) {
            printf("FAILED seed %llu: two runs differ (%016llx, %016llx)\n", (unsigned long long)seed, (unsigned long long)hash,
                   (unsigned long long)s->event_hash);
            ok = false;
        }
        hash = s->event_hash;
        if (a->runs == 1 && a->plant == 0) {
            sim_options_print(&o);
            printf("%s: %llu events, hash %016llx; %llu committed, %llu failed, %llu crashes, %llu partitions, %llu of %llu messages lost\n",
                   ok ? "held" : "FAILED", (unsigned long long)s->events, (unsigned long long)hash, (unsigned long long)s->committed,
                   (unsigned long long)s->failed_txns, (unsigned long long)s->crashes, (unsigned long long)s->partitions,
                   (unsigned long long)s->lost, (unsigned long long)s->messages);
        }
        if (!ok) {
            if (a->plant != 0)
                printf("planted bug %lu found at seed %llu: %s\n", a->plant, (unsigned long long)seed, s->failure);
            sim_free(s);
            return false;
        }
        sim_free(s);
    }
    return true;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--schema") == 0 || strcmp(argv[i], "--workload") == 0)
            return suite_main(argc, argv);
    struct arguments a = {.seed = 1, .runs = 100};
    struct sim *s = mem_zalloc(1, sizeof *s);
    if (s == NULL || !parse(argc, argv, &a)) {
        mem_free(s);
        return usage();
    }
#ifdef QUARTET_PLANTED_BUGS
    plant_set((enum plant)a.plant);
#else
    if (a.plant != 0) {
        fprintf(stderr, "quartet-check: this build plants no bugs (configure with PLANTED_BUGS=ON)\n");
        mem_free(s);
        return 64;
    }
#endif
    clock_t started = clock();
    uint64_t held = 0;
    bool ok = true;
    for (uint64_t k = 0; ok && k < a.runs; k++) {
        ok = run_seed(&a, a.seed + k, s, argv[0]);
        held += ok;
    }
    double seconds = (double)(clock() - started) / CLOCKS_PER_SEC;
    mem_free(s);
    if (a.plant != 0) {
        if (ok)
            printf("planted bug %lu was NOT found in %llu seeds\n", a.plant, (unsigned long long)a.runs);
        return ok ? 1 : 0;
    }
    printf("%llu of %llu seeds held, %.1f s of CPU\n", (unsigned long long)held, (unsigned long long)a.runs, seconds);
    return ok ? 0 : 1;
}

/* sim_main.c - the program quartet-check: seeds of the simulated cluster, one after the other; a failing one is made short, printed, and replays.
 * With --schema and --workload it is the suite for users (suite/suite_main.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/plant.h"
#include "sim/sim.h"
#include "suite/suite.h"

struct arguments {
    uint64_t seed, runs;
    bool trace, twice, no_shrink, all_plants, keep, shrink_plant;
    bool *leave_out; /* SIM_EVENTS_MAX */
    bool no_loss, no_repeat, no_corrupt, no_slow, no_delay;
    uint32_t plant;
    const char *until; /* what must have happened; NULL: nothing in particular */
};

static int usage(void)
{
    fputs("usage: quartet-check [--seed N] [--runs N] [--twice] [--trace] [--no-shrink] [--keep EVENTS] [--no NETWORK] [--until WHAT]"
#ifdef QUARTET_PLANTED_BUGS
          " [--plant BUG]"
#endif
          "\n       quartet-check --schema FILE --workload FILE ...   (your own schema and transactions: docs/CHECK.md)\n"
          "  Runs a cluster of two to four nodes in one process and in simulated time, with what can go wrong with networks, clocks, disks and memory;\n"
          "  every run is drawn from its seed: seed, seed + 1, ... Exit status 0 if nothing broke, 1 with the failing seed, which replays.\n"
          "  --twice        runs each seed twice and compares the hash of all events\n"
          "  --trace        prints everything that happens\n"
          "  --no-shrink    does not make a failing run short; --shrink does so with a planted bug, too\n"
          "  --keep EVENTS  only these of the seed's transactions and faults, as in 3,17-20: how a failing run that was made short is replayed\n"
          "  --no NETWORK   without some of loss,repeat,corrupt,slow,delay\n"
          "  --until WHAT   until it has happened, and fails where it has not in these seeds: look-back-cut (a log was cut while a peer looked in it for where two histories part),\n"
          "                 missing-came (what no member's log held came after all)\n"
          "  --plant BUG    plants a bug, by name or number, or all of them in turn; succeeds where it is found (builds with PLANTED_BUGS only)\n",
          stderr);
    return 2;
}

/* 3,17-20 */
static bool parse_events(const char *s, bool *leave_out)
{
    memset(leave_out, true, SIM_EVENTS_MAX);
    while (*s != '\0') {
        char *end = NULL;
        unsigned long from = strtoul(s, &end, 10), to = from;
        if (end == s)
            return false;
        if (*end == '-') {
            s = end + 1;
            to = strtoul(s, &end, 10);
        }
        if (end == s || to < from || to >= SIM_EVENTS_MAX || (*end != ',' && *end != '\0'))
            return false;
        for (unsigned long e = from; e <= to; e++)
            leave_out[e] = false;
        s = *end == ',' ? end + 1 : end;
    }
    return true;
}

static bool parse_no(const char *s, struct arguments *a)
{
    const struct {
        const char *name;
        bool *flag;
    } parts[] = {{"loss", &a->no_loss}, {"repeat", &a->no_repeat}, {"corrupt", &a->no_corrupt}, {"slow", &a->no_slow}, {"delay", &a->no_delay}};
    while (*s != '\0') {
        size_t n = strcspn(s, ","), i = 0;
        while (i < 5 && !(strlen(parts[i].name) == n && strncmp(parts[i].name, s, n) == 0))
            i++;
        if (i == 5)
            return false;
        *parts[i].flag = true;
        s += s[n] == ',' ? n + 1 : n;
    }
    return true;
}

static bool parse_plant(const char *s, struct arguments *a)
{
    char *end = NULL;
    unsigned long n = strtoul(s, &end, 10);
    a->all_plants = strcmp(s, "all") == 0;
    a->plant = end != s && *end == '\0' && n < PLANT_COUNT ? (uint32_t)n : 0;
    for (uint32_t i = 1; i < PLANT_COUNT; i++)
        if (strcmp(s, plant_name(i)) == 0)
            a->plant = i;
    return a->all_plants || a->plant != 0;
}

static bool parse(int argc, char **argv, struct arguments *a)
{
    for (int i = 1; i < argc; i++) {
        char *end = NULL;
        const char *name = argv[i];
        if (strcmp(name, "--trace") == 0 || strcmp(name, "--twice") == 0 || strcmp(name, "--no-shrink") == 0 || strcmp(name, "--shrink") == 0) {
            a->trace = a->trace || strcmp(name, "--trace") == 0;
            a->twice = a->twice || strcmp(name, "--twice") == 0;
            a->shrink_plant = a->shrink_plant || strcmp(name, "--shrink") == 0;
            a->no_shrink = a->no_shrink || strcmp(name, "--no-shrink") == 0;
            continue;
        }
        if (++i == argc)
            return false;
        const char *v = argv[i];
        uint64_t number = strtoull(v, &end, 0);
        bool is_number = end != v && *end == '\0';
        if (strcmp(name, "--seed") == 0 && is_number) {
            a->seed = number;
        } else if (strcmp(name, "--runs") == 0 && is_number) {
            a->runs = number;
        } else if (strcmp(name, "--until") == 0 && (strcmp(v, "look-back-cut") == 0 || strcmp(v, "missing-came") == 0)) {
            a->until = v;
        } else if (strcmp(name, "--keep") == 0) {
            a->keep = true;
            if (!parse_events(v, a->leave_out))
                return false;
        } else if (strcmp(name, "--no") == 0) {
            if (!parse_no(v, a))
                return false;
        } else if (strcmp(name, "--plant") != 0 || !parse_plant(v, a)) {
            return false;
        }
    }
    return true;
}

static void draw(const struct arguments *a, uint64_t seed, struct sim_options *o)
{
    sim_options_draw(o, seed);
    o->loss = a->no_loss ? 0 : o->loss;
    o->repeat = a->no_repeat ? 0 : o->repeat;
    o->corrupt = a->no_corrupt ? 0 : o->corrupt;
    o->slow = a->no_slow ? 0 : o->slow;
    if (a->no_delay) {
        o->delay_us_min = 0;
        o->delay_us_max = 1000;
    }
}

static void tell_log(const struct sim *s)
{
    size_t from = s->log.len > 4000 ? s->log.len - 4000 : 0;
    if (s->log.len > 0)
        printf("  the nodes' last log lines:\n%.*s", (int)(s->log.len - from), (const char *)s->log.data + from);
}

static void tell_events(const bool *leave_out, uint64_t events)
{
    bool first = true;
    for (uint64_t e = 0; e < events && e < SIM_EVENTS_MAX; e++) {
        uint64_t to = e;
        if (leave_out[e])
            continue;
        while (to + 1 < events && to + 1 < SIM_EVENTS_MAX && !leave_out[to + 1])
            to++;
        printf(to > e ? "%s%llu-%llu" : "%s%llu", first ? "" : ",", (unsigned long long)e, (unsigned long long)to);
        first = false;
        e = to;
    }
    if (first)
        printf("%u", SIM_EVENTS_MAX - 1); /* none at all: one that never falls due */
}

/* The run failed, in `s`; it is freed. */
static void tell_failure(struct sim *s, const struct arguments *a, struct sim_options o, const char *program)
{
    uint64_t events = s->next_event, runs = 0;
    const struct sim_options full = o;
    printf("FAILED ");
    sim_options_print(&o);
    printf("  %s\n", s->failure);
    tell_log(s);
    sim_free(s);
    printf("  replay: %s --seed %llu --runs 1%s\n", program, (unsigned long long)o.seed, a->keep ? " (and its --keep and --no)" : "");
    if (a->no_shrink || a->keep)
        return;
    sim_shrink(&o, events, a->leave_out, &runs);
    printf("  made short in %llu runs:\n", (unsigned long long)runs);
    (void)sim_run(s, &o, a->leave_out, true, false); /* it fails as before */
    printf("  %s\n", s->failure);
    sim_free(s);
    printf("  replay: %s --seed %llu --runs 1 --keep ", program, (unsigned long long)o.seed);
    tell_events(a->leave_out, events);
    bool quiet[] = {full.loss > 0 && o.loss == 0, full.repeat > 0 && o.repeat == 0, full.corrupt > 0 && o.corrupt == 0, full.slow > 0 && o.slow == 0,
                    full.delay_us_max != o.delay_us_max || full.delay_us_min != o.delay_us_min};
    static const char *const names[] = {"loss", "repeat", "corrupt", "slow", "delay"};
    for (size_t i = 0, told = 0; i < 5; i++)
        if (quiet[i])
            printf("%s%s", told++ == 0 ? " --no " : ",", names[i]);
    printf("\n");
    memset(a->leave_out, false, SIM_EVENTS_MAX);
}

static void tell_one(const struct sim *s, const struct sim_options *o, bool ok, uint64_t hash)
{
    sim_options_print(o);
    printf("%s: %llu events, hash %016llx; %llu committed, %llu failed, %llu crashes, %llu partitions, %llu disks replaced, %llu snapshots, %llu of %llu messages lost, %llu comparisons of hashes (%llu rounds without)\n",
           ok ? "held" : "FAILED", (unsigned long long)s->events, (unsigned long long)hash, (unsigned long long)s->committed,
           (unsigned long long)s->failed_txns, (unsigned long long)s->crashes, (unsigned long long)s->partitions, (unsigned long long)s->replaced, (unsigned long long)s->snapshots,
           (unsigned long long)s->lost, (unsigned long long)s->messages, (unsigned long long)s->compared, (unsigned long long)s->compare_skipped);
}

static bool has_happened(const struct sim *s, const char *what)
{
    return strcmp(what, "look-back-cut") == 0 ? s->looks_back_cut > 0 : s->came > 0;
}

/* One seed; with --twice two runs of it must agree in every event. */
static bool run_seed(const struct arguments *a, uint64_t seed, struct sim *s, const char *program, bool *happened)
{
    struct sim_options o;
    uint64_t hash = 0;
    draw(a, seed, &o);
    for (int round = 0; round < (a->twice ? 2 : 1); round++) {
        bool ok = sim_run(s, &o, a->keep ? a->leave_out : NULL, a->keep, a->trace);
        if (round == 1 && hash != s->event_hash) {
            printf("FAILED seed %llu: two runs differ (%016llx, %016llx)\n", (unsigned long long)seed, (unsigned long long)hash,
                   (unsigned long long)s->event_hash);
            sim_free(s);
            return false;
        }
        hash = s->event_hash;
        if (!ok && (a->plant == 0 || a->shrink_plant)) {
            tell_failure(s, a, o, program);
            return false;
        }
        if (a->runs == 1 && a->plant == 0)
            tell_one(s, &o, ok, hash);
        *happened = ok && a->until != NULL && has_happened(s, a->until);
        if (!ok)
            printf("%-28s found at seed %llu (the %lluth): %.110s\n", plant_name(a->plant), (unsigned long long)seed, (unsigned long long)(seed - a->seed + 1),
                   s->failure);
        sim_free(s);
        if (!ok)
            return false;
    }
    return true;
}

static bool run_seeds(const struct arguments *a, struct sim *s, const char *program, uint64_t *held)
{
    bool ok = true, happened = false;
    *held = 0;
    for (uint64_t k = 0; ok && !happened && k < a->runs; k++) {
        ok = run_seed(a, a->seed + k, s, program, &happened);
        *held += ok;
        if (happened)
            printf("%s: in seed %llu\n", a->until, (unsigned long long)(a->seed + k));
    }
    if (ok && !happened && a->until != NULL)
        printf("%s has not happened in %llu seeds\n", a->until, (unsigned long long)a->runs);
    return ok && (happened || a->until == NULL);
}

#ifdef QUARTET_PLANTED_BUGS
/* In a process of its own: some of these bugs end it, and that is a way of being found, too. */
static bool find_plant(const struct arguments *a, struct sim *s, const char *program)
{
    int how = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        uint64_t held;
        plant_set((enum plant)a->plant);
        bool missed = run_seeds(a, s, program, &held);
        fflush(stdout);
        _exit(missed ? 1 : 0);
    }
    if (child < 0 || waitpid(child, &how, 0) != child)
        return false;
    if (WIFSIGNALED(how))
        printf("%-28s found: the process died of signal %d\n", plant_name(a->plant), WTERMSIG(how));
    else if (WEXITSTATUS(how) == 1)
        printf("%-28s was NOT found in %llu seeds\n", plant_name(a->plant), (unsigned long long)a->runs);
    return WIFSIGNALED(how) || WEXITSTATUS(how) != 1;
}

/* Mistakes whose consequences no load of the simulator meets in thousands of seeds: docs/SIMULATOR.md says why of each, and a unit test finds it, with PLANT=name. NULL: it is ours to find. */
static const char *found_elsewhere(uint32_t plant)
{
    switch (plant) {
    case PLANT_KEYS_UNASKED: return "tests/unit/engine/test_assign.c";
    default: return NULL;
    }
}

/* true: each was found. One that others find is looked for here only where it is asked for by name. */
static bool run_plants(struct arguments *a, struct sim *s, const char *program)
{
    uint32_t from = a->all_plants ? 1 : a->plant, to = a->all_plants ? PLANT_COUNT - 1 : a->plant, found = 0, wanted = 0;
    for (a->plant = from; a->plant <= to; a->plant++) {
        const char *elsewhere = a->all_plants ? found_elsewhere(a->plant) : NULL;
        if (elsewhere != NULL)
            printf("%-28s is found by %s\n", plant_name(a->plant), elsewhere);
        else
            found += find_plant(a, s, program);
        wanted += elsewhere == NULL;
    }
    if (a->all_plants)
        printf("%u of %u planted bugs found\n", found, wanted);
    return found == wanted;
}
#else
static bool run_plants(struct arguments *a, struct sim *s, const char *program)
{
    (void)a;
    (void)s;
    (void)program;
    fprintf(stderr, "quartet-check: this build plants no bugs (configure with PLANTED_BUGS=ON)\n");
    return false;
}
#endif

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--schema") == 0 || strcmp(argv[i], "--workload") == 0)
            return suite_main(argc, argv);
    struct arguments a = {.seed = 1, .runs = 100, .leave_out = mem_zalloc(SIM_EVENTS_MAX, sizeof(bool))};
    struct sim *s = mem_zalloc(1, sizeof *s);
    int status = 1;
    if (s == NULL || a.leave_out == NULL || !parse(argc, argv, &a)) {
        status = usage();
    } else if (a.plant != 0 || a.all_plants) {
        status = run_plants(&a, s, argv[0]) ? 0 : 1;
    } else {
        clock_t started = clock();
        uint64_t held = 0;
        status = run_seeds(&a, s, argv[0], &held) ? 0 : 1;
        printf("%llu of %llu seeds held, %.1f s of CPU\n", (unsigned long long)held, (unsigned long long)a.runs,
               (double)(clock() - started) / CLOCKS_PER_SEC);
    }
    mem_free(a.leave_out);
    mem_free(s);
    return status;
}

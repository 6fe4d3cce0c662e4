/* bench_main.c - the program quartet-bench: Quartet beside SQLite on this machine, in one run, with the same settings.
 * The two sides take turns, so that what disturbs the machine disturbs both; the ratio is the median of the turns' ratios, and above 1
 * where Quartet is better. Nothing here fails because of a time; it fails where the two sides' answers differ. */
#include "bench.h"

#include <errno.h>
#include <ftw.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RUNS_MAX 99
#define EXIT_USAGE 64

struct options {
    bool json;
    long runs;
    const char *dir;
    const char *script; /* NULL: benchmarks */
    bool disk;          /* its databases */
    char **names;
    int name_count;
};
struct result {
    const struct bench *bench;
    double figure[BENCH_SIDES], ratio;
};

double bench_now(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_MONOTONIC, &t) == 0 ? (double)t.tv_sec + (double)t.tv_nsec / 1e9 : 0;
}

uint64_t bench_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

bool bench_fail(const char *what, const char *text)
{
    fprintf(stderr, "quartet-bench: %s: %s\n", what, text);
    return false;
}

void bench_path(struct bench_ctx *c, enum bench_side side, char *out, size_t n)
{
    snprintf(out, n, "%s/%u%s", c->dir, c->serial++, side == BENCH_SQLITE ? ".sqlite" : "");
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;   /* only the name counts */
    (void)type; /* remove() knows files from directories */
    (void)walk; /* depth first: directories come empty */
    return remove(path);
}

void bench_remove(const char *path)
{
    static const char *const beside[] = {"-wal", "-shm"};
    for (size_t i = 0; i < 2; i++) {
        char name[4300];
        snprintf(name, sizeof name, "%s%s", path, beside[i]);
        unlink(name); /* mostly not there */
    }
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        bench_fail(path, strerror(errno));
}

void bench_make_row(int64_t id, struct bench_row *out)
{
    uint64_t state = (uint64_t)id * 2654435761u;
    uint64_t r = bench_random(&state);
    out->id = id;
    out->k = (int64_t)(r % 100000000u);
    out->g = (int64_t)(r >> 32) % 100;
    out->v = (double)((r >> 40) % 40000u) * 0.25;
    /* By hand: snprintf would cost a good part of what is measured. */
    static const char hex[] = "0123456789abcdef";
    memcpy(out->name, "name 00000000 of row 00000000", 30);
    for (int i = 0; i < 8; i++) {
        out->name[5 + i] = hex[(r >> (60 - 4 * i)) & 15];
        out->name[21 + i] = hex[((uint64_t)id >> (28 - 4 * i)) & 15];
    }
    out->name_bytes = 29;
}

bool bench_shuffle(struct bench_ctx *c)
{
    if (c->shuffled != NULL)
        return true;
    c->shuffled = malloc((size_t)c->rows * sizeof *c->shuffled);
    if (c->shuffled == NULL)
        return bench_fail("shuffle", "out of memory");
    uint64_t state = 4;
    for (int64_t i = 0; i < c->rows; i++) {
        int64_t j = (int64_t)(bench_random(&state) % (uint64_t)(i + 1));
        c->shuffled[i] = c->shuffled[j];
        c->shuffled[j] = (int32_t)(i + 1);
    }
    return true;
}

/* ---- running ---- */

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *v, long n)
{
    qsort(v, (size_t)n, sizeof *v, compare);
    return n % 2 == 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static bool run_bench(struct bench_ctx *c, const struct bench *b, long runs, struct result *out)
{
    double figures[BENCH_SIDES][RUNS_MAX], ratios[RUNS_MAX];
    int sides = b->alone ? 1 : BENCH_SIDES;
    for (long r = 0; r < runs; r++) {
        uint64_t checks[BENCH_SIDES] = {0};
        for (int i = 0; i < sides; i++) {
            int side = r % 2 == 0 || sides == 1 ? i : 1 - i; /* who begins changes, too */
            fprintf(stderr, "\r\033[K%s %ld/%ld %s ", b->name, r + 1, runs, side == BENCH_QUARTET ? "quartet" : "sqlite");
            if (!b->run(c, (enum bench_side)side, &figures[side][r], &checks[side]))
                return bench_fail(b->name, "failed");
        }
        if (sides == BENCH_SIDES && checks[0] != checks[1])
            return bench_fail(b->name, "the two sides give different answers");
        if (sides == BENCH_SIDES)
            ratios[r] = b->lower ? figures[1][r] / figures[0][r] : figures[0][r] / figures[1][r];
    }
    *out = (struct result){.bench = b, .figure = {median(figures[0], runs), sides == 2 ? median(figures[1], runs) : NAN},
                           .ratio = sides == 2 ? median(ratios, runs) : NAN};
    return true;
}

static void print_number(double v)
{
    if (isnan(v))
        fputs("null", stdout);
    else
        printf("%.6g", v);
}

static void print_result(const struct result *r, bool json, bool first)
{
    fputs("\r\033[K", stderr);
    if (!json) {
        if (first)
            printf("%-16s %12s %12s %8s  %s\n", "name", "quartet", "sqlite", "ratio", "unit");
        const int digits = r->figure[0] < 100 ? 3 : 0;
        printf("%-16s %12.*f", r->bench->name, digits, r->figure[0]);
        if (isnan(r->ratio))
            printf(" %12s %8s  %s\n", "-", "-", r->bench->unit);
        else
            printf(" %12.*f %8.2f  %s%s\n", digits, r->figure[1], r->ratio, r->bench->unit, r->bench->lower ? " (lower is better)" : "");
    } else {
        printf("%s{\"name\": \"%s\", \"quartet\": ", first ? "[\n  " : ",\n  ", r->bench->name);
        print_number(r->figure[0]);
        fputs(", \"peer\": ", stdout);
        print_number(r->figure[1]);
        fputs(", \"ratio\": ", stdout);
        print_number(r->ratio);
        printf(", \"unit\": \"%s\"}", r->bench->unit);
    }
    fflush(stdout);
}

static bool wanted(const struct options *o, const char *name)
{
    for (int i = 0; i < o->name_count; i++)
        if (strcmp(o->names[i], name) == 0)
            return true;
    return o->name_count == 0;
}

/* The last ones take minutes, tell once more in parts, tell of the machine alone, or of a cluster: they run only where they are named. */
static const struct bench *const lists[] = {bench_write_list, bench_merge_list,   bench_read_list,   bench_tpch_list,     bench_size_list,
                                            bench_recovery_list, bench_visible_list, bench_growth_list, bench_tpch_each_list,
                                            bench_limit_list, bench_cluster_list, bench_oltp_list};
#define LISTS (sizeof lists / sizeof *lists)
#define LISTS_ALWAYS (LISTS - 5)

static bool run_all(struct bench_ctx *c, const struct options *o)
{
    bool ok = true, first = true;
    for (size_t l = 0; l < (o->name_count > 0 ? LISTS : LISTS_ALWAYS); l++)
        for (const struct bench *b = lists[l]; b->name != NULL; b++) {
            struct result r;
            if (!wanted(o, b->name))
                continue;
            if (!run_bench(c, b, o->runs, &r)) {
                ok = false;
                continue;
            }
            print_result(&r, o->json, first);
            first = false;
        }
    if (o->json)
        fputs(first ? "[]\n" : "\n]\n", stdout);
    return ok;
}

static void usage(FILE *out)
{
    fputs("usage: quartet-bench [--json] [--runs N] [--rows N] [--seconds S] [--dir DIR] [NAME...]\n"
          "  Quartet beside SQLite: WAL, the same synchronous level, 64 MiB of cache, prepared statements, warm.\n"
          "  --runs N     take turns N times, print medians (3)\n"
          "  --rows N     rows of the large tables (1000000)\n"
          "  --seconds S  of each benchmark that is bounded by time (1)\n"
          "  --dir DIR    where to put the temporary directory ($TMPDIR, else /tmp)\n"
          "  --script FILE  instead of benchmarks: a text of SQL, cut where a line begins with \"-- begin test \"; - is standard input\n"
          "  --disk       the script's databases on disk (in memory)\n"
          "names:",
          out);
    for (size_t l = 0; l < LISTS; l++)
        for (const struct bench *b = lists[l]; b->name != NULL; b++)
            fprintf(out, "%s%s", l == LISTS_ALWAYS && b == lists[l] ? "\nonly if named: " : " ", b->name);
    fputc('\n', out);
}

static bool known(const char *name)
{
    for (size_t l = 0; l < LISTS; l++)
        for (const struct bench *b = lists[l]; b->name != NULL; b++)
            if (strcmp(b->name, name) == 0)
                return true;
    return false;
}

/* 0: go on; otherwise the exit status plus one. */
static int parse_options(int argc, char **argv, struct options *o, struct bench_ctx *c)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        char *end = NULL;
        bool ok = value != NULL;
        if (strcmp(argv[i], "--help") == 0) {
            usage(stdout);
            return 1;
        } else if (strcmp(argv[i], "--json") == 0) {
            o->json = true;
            continue;
        } else if (strcmp(argv[i], "--disk") == 0) {
            o->disk = true;
            continue;
        } else if (argv[i][0] != '-' && known(argv[i])) {
            o->names[o->name_count++] = argv[i];
            continue;
        } else if (ok && strcmp(argv[i], "--runs") == 0) {
            o->runs = strtol(value, &end, 10);
            ok = *end == '\0' && o->runs >= 1 && o->runs <= RUNS_MAX;
        } else if (ok && strcmp(argv[i], "--rows") == 0) {
            c->rows = strtol(value, &end, 10);
            ok = *end == '\0' && c->rows >= 100 && c->rows <= 100000000;
        } else if (ok && strcmp(argv[i], "--seconds") == 0) {
            c->seconds = strtod(value, &end);
            ok = *end == '\0' && c->seconds > 0 && c->seconds <= 600;
        } else if (ok && strcmp(argv[i], "--script") == 0) {
            o->script = value;
        } else if (ok && strcmp(argv[i], "--dir") == 0) {
            o->dir = value;
        } else {
            ok = false;
        }
        if (!ok) {
            fprintf(stderr, "quartet-bench: wrong: %s\n", argv[i]);
            usage(stderr);
            return EXIT_USAGE + 1;
        }
        i++;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct bench_ctx c; /* large; one */
    const char *tmp = getenv("TMPDIR");
    if (argc == 4 && strcmp(argv[1], "--recovery-writer") == 0) /* what the benchmark `recovery` starts, and kills */
        return bench_recovery_writer(argv[2], argv[3]);
    struct options o = {.runs = 3, .dir = tmp != NULL ? tmp : "/tmp", .names = calloc((size_t)argc, sizeof(char *))};
    c.rows = 1000000;
    c.seconds = 1;
    int stop = o.names != NULL ? parse_options(argc, argv, &o, &c) : 2;
    if (stop != 0) {
        free(o.names);
        return stop - 1;
    }
    signal(SIGPIPE, SIG_IGN);
    snprintf(c.dir, sizeof c.dir, "%.4000s/quartet-bench-XXXXXX", o.dir);
    if (mkdtemp(c.dir) == NULL) {
        bench_fail(c.dir, strerror(errno));
        free(o.names);
        return 1;
    }
    bool ok = o.script != NULL ? bench_script(&c, o.script, o.runs, o.disk, o.json) : run_all(&c, &o);
    for (int side = 0; side < BENCH_SIDES; side++)
        ok = bench_close(c.tpch[side]) && bench_close(c.query[side]) && ok;
    bench_remove(c.dir);
    free(c.shuffled);
    free(o.names);
    return ok ? 0 : 1;
}

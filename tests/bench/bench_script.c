/* bench_script.c - quartet-bench --script FILE: a text of SQL, part by part, on both sides.
 * A part begins with a line `-- begin test NAME`, as SQLite's speedtest1 prints them; what stands before the first one, or a whole file without such lines, is a
 * part of its own. Each is run by one call of exec, the rows go to a callback, and their texts must be equal, but for their order.
 * Why processor time of the whole process beside the time on the clock: it is what a part costs, the work of the store's own threads included, and a busy machine disturbs it less.
 * Each turn is a database of its own, and the figures of a part are the least of all turns. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PART_NAME_BYTES 64u

struct part {
    char name[PART_NAME_BYTES];
    char *text; /* ends with a zero byte */
    uint64_t hash[BENCH_SIDES];
    double cpu_s[BENCH_SIDES], wall_s[BENCH_SIDES];
};
struct script {
    char *text;
    struct part *parts;
    size_t count;
};

static double cpu_now(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0 ? (double)t.tv_sec + (double)t.tv_nsec / 1e9 : 0;
}

static char *read_all(FILE *f)
{
    char *text = NULL;
    size_t n = 0, got;
    do {
        char *more = realloc(text, n + (1u << 20) + 1);
        if (more == NULL) {
            free(text);
            return NULL;
        }
        text = more;
        got = fread(text + n, 1, 1u << 20, f);
        n += got;
        text[n] = 0;
    } while (got > 0);
    return text;
}

static bool part_add(struct script *s, const char *name, size_t n, char *text)
{
    struct part *more = realloc(s->parts, (s->count + 1) * sizeof *more);
    if (more == NULL)
        return bench_fail("script", "out of memory");
    s->parts = more;
    struct part *p = &s->parts[s->count++];
    *p = (struct part){.text = text};
    snprintf(p->name, sizeof p->name, "%.*s", (int)(n < PART_NAME_BYTES ? n : PART_NAME_BYTES - 1), name);
    return true;
}

/* Cuts the text where parts begin; the line itself is a comment and stays with what is before it. */
static bool split(struct script *s)
{
    static const char mark[] = "-- begin test ";
    char *at = s->text;
    if (strncmp(at, mark, sizeof mark - 1) != 0 && !part_add(s, "(before)", 8, at))
        return false;
    while ((at = strstr(at, mark)) != NULL) {
        char *name = at + sizeof mark - 1, *end = strchr(name, '\n');
        bool begins = at == s->text || at[-1] == '\n';
        if (!begins || end == NULL) {
            at = name;
            continue;
        }
        *at = 0;
        at = end + 1;
        if (!part_add(s, name, (size_t)(end - name), at))
            return false;
    }
    return true;
}

static bool run_turn(struct bench_ctx *c, struct script *s, enum bench_side side, bool disk, bool first)
{
    char path[4300] = ":memory:";
    bench_db *db = NULL;
    if (disk)
        bench_path(c, side, path, sizeof path);
    bool ok = bench_open(side, path, BENCH_NORMAL, &db);
    for (size_t i = 0; i < s->count && ok; i++) {
        struct part *p = &s->parts[i];
        uint64_t hash = 0;
        double wall = bench_now(), cpu = cpu_now();
        ok = bench_exec_hash(db, p->text, &hash);
        cpu = cpu_now() - cpu;
        wall = bench_now() - wall;
        p->hash[side] = hash;
        p->cpu_s[side] = first || cpu < p->cpu_s[side] ? cpu : p->cpu_s[side];
        p->wall_s[side] = first || wall < p->wall_s[side] ? wall : p->wall_s[side];
    }
    ok = bench_close(db) && ok;
    if (disk)
        bench_remove(path);
    return ok;
}

static void print_line(const char *name, const double *cpu, const double *wall, bool json, bool first)
{
    double ratio = cpu[BENCH_QUARTET] > 0 ? cpu[BENCH_SQLITE] / cpu[BENCH_QUARTET] : 0;
    double wall_ratio = wall[BENCH_QUARTET] > 0 ? wall[BENCH_SQLITE] / wall[BENCH_QUARTET] : 0;
    if (json) {
        printf("%s{\"name\": \"", first ? "[\n  " : ",\n  ");
        for (; *name != 0; name++)
            putchar(*name == '"' || *name == '\\' || (unsigned char)*name < ' ' ? '_' : *name);
        printf("\", \"quartet\": %.6g, \"peer\": %.6g, \"ratio\": %.4g, \"wall_ratio\": %.4g, \"unit\": \"ms of processor time (less is better)\"}", cpu[BENCH_QUARTET] * 1e3,
               cpu[BENCH_SQLITE] * 1e3, ratio, wall_ratio);
        return;
    }
    if (first)
        printf("%-52s %10s %10s %6s   %10s %10s %6s\n", "part", "cpu ms", "sqlite", "ratio", "clock ms", "sqlite", "ratio");
    printf("%-52.52s %10.2f %10.2f %6.2f   %10.2f %10.2f %6.2f\n", name, cpu[BENCH_QUARTET] * 1e3, cpu[BENCH_SQLITE] * 1e3, ratio, wall[BENCH_QUARTET] * 1e3,
           wall[BENCH_SQLITE] * 1e3, wall_ratio);
}

static bool print_all(const struct script *s, bool json)
{
    double cpu[BENCH_SIDES] = {0}, wall[BENCH_SIDES] = {0};
    bool same = true;
    for (size_t i = 0; i < s->count; i++) {
        const struct part *p = &s->parts[i];
        print_line(p->name, p->cpu_s, p->wall_s, json, i == 0);
        for (int side = 0; side < BENCH_SIDES; side++) {
            cpu[side] += p->cpu_s[side];
            wall[side] += p->wall_s[side];
        }
        if (p->hash[BENCH_QUARTET] != p->hash[BENCH_SQLITE])
            same = bench_fail(p->name, "the two sides give different rows");
    }
    print_line("all", cpu, wall, json, s->count == 0);
    if (json)
        fputs("\n]\n", stdout);
    return same;
}

bool bench_script(struct bench_ctx *c, const char *file, long runs, bool disk, bool json)
{
    struct script s = {0};
    FILE *f = strcmp(file, "-") == 0 ? stdin : fopen(file, "rb");
    if (f == NULL)
        return bench_fail(file, "cannot be read");
    s.text = read_all(f);
    bool ok = s.text != NULL || bench_fail(file, "out of memory");
    if (ferror(f) != 0)
        ok = bench_fail(file, "cannot be read");
    if (f != stdin)
        (void)fclose(f); /* read only */
    ok = ok && split(&s);
    for (long r = 0; r < runs && ok; r++)
        for (int i = 0; i < BENCH_SIDES && ok; i++) {
            int side = r % 2 == 0 ? i : 1 - i;
            fprintf(stderr, "\r\033[K%s %ld/%ld %s ", file, r + 1, runs, side == BENCH_QUARTET ? "quartet" : "sqlite");
            ok = run_turn(c, &s, (enum bench_side)side, disk, r == 0);
        }
    fputs("\r\033[K", stderr);
    ok = ok && print_all(&s, json);
    free(s.parts);
    free(s.text);
    return ok;
}

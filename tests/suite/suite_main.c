/* suite_main.c - quartet-check --schema FILE --workload FILE: runs, findings, output, exit status. */
#include "suite/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

struct options {
    const char *schema, *workload, *junit;
    bool json;
};

static int usage(const char *wrong)
{
    if (wrong != NULL)
        fprintf(stderr, "quartet-check: %s\n", wrong);
    fputs("usage: quartet-check --schema FILE --workload FILE [--nodes N or N..M] [--runs N] [--seed S] [--json] [--junit FILE]\n"
          "  Runs the workload's transactions on simulated nodes that hear of each other late or not at all, and reports which invariants break,\n"
          "  the shortest schedule that breaks each, which anomaly it is, and what would cure it. The files' form: docs/CHECK.md.\n"
          "  --nodes  2 to 4, or a range; 2..4 unless said     --runs  200 unless said     --seed  1 unless said\n"
          "  Exit status: 0 all held, 1 something broke, 2 usage or a bad file.\n",
          stderr);
    return 2;
}

static bool parse_number(const char *s, uint64_t *out, const char **end)
{
    char *e = NULL;
    if (*s < '0' || *s > '9')
        return false;
    *out = strtoull(s, &e, 10);
    *end = e;
    return true;
}

static const char *parse_arguments(int argc, char **argv, struct options *o, struct suite *u)
{
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL, *end = "x";
        uint64_t n = 0, m = 0;
        if (strcmp(a, "--json") == 0) {
            o->json = true;
            continue;
        }
        if (v == NULL)
            return "an option without its value, or an unknown one";
        i++;
        if (strcmp(a, "--schema") == 0) {
            o->schema = v;
        } else if (strcmp(a, "--workload") == 0) {
            o->workload = v;
        } else if (strcmp(a, "--junit") == 0) {
            o->junit = v;
        } else if (strcmp(a, "--runs") == 0) {
            if (!parse_number(v, &u->runs, &end) || *end != '\0' || u->runs == 0)
                return "--runs takes a number from 1 on";
        } else if (strcmp(a, "--seed") == 0) {
            if (!parse_number(v, &u->seed, &end) || *end != '\0')
                return "--seed takes a number";
        } else if (strcmp(a, "--nodes") == 0) {
            bool ok = parse_number(v, &n, &end);
            m = n;
            if (ok && strncmp(end, "..", 2) == 0)
                ok = parse_number(end + 2, &m, &end);
            if (!ok || *end != '\0' || n < 2 || m > SIM_NODES_MAX || n > m)
                return "--nodes takes 2, 3, 4 or a range such as 2..4";
            u->nodes_min = (uint32_t)n;
            u->nodes_max = (uint32_t)m;
        } else {
            return "an unknown option";
        }
    }
    return o->schema == NULL || o->workload == NULL ? "--schema and --workload are needed" : NULL;
}

static bool run_all(struct suite *u, struct report *r, struct err *err)
{
    for (uint64_t run = 0; run < u->runs; run++) {
        struct schedule s;
        struct outcome o;
        if (schedule_draw(u, run, &s, err) != QUARTET_OK)
            return false;
        if (!suite_replay(u, &s, &o)) {
            err_set(err, QUARTET_ERROR, "run of seed %llu: %s", (unsigned long long)s.seed, o.fault);
            outcome_free(&o);
            return false;
        }
        r->runs++;
        for (uint32_t i = 0; i < o.write_count; i++) {
            r->committed += o.writes[i].committed;
            r->given_up += !o.writes[i].committed;
        }
        for (uint32_t i = 0; i < u->w.invariant_count; i++)
            if (o.breaks[i].broken) {
                struct finding *f = &r->findings[i];
                if (f->broken_runs++ == 0 || s.count < f->shortest.count) { /* what is short already is soonest shortest */
                    f->first_seed = f->broken_runs == 1 ? s.seed : f->first_seed;
                    f->shortest = s;
                }
            }
        outcome_free(&o);
    }
    return true;
}

static bool explain_all(struct suite *u, struct report *r, struct err *err)
{
    for (uint32_t i = 0; i < u->w.invariant_count; i++) {
        struct finding *f = &r->findings[i];
        if (f->broken_runs == 0)
            continue;
        if (schedule_shrink(u, &f->shortest, i, &f->outcome, err) != QUARTET_OK)
            return false;
        suite_diagnose(u, &f->shortest, &f->outcome, i, &f->diagnosis);
        if (suite_cure(u, &f->shortest, i, &f->diagnosis, &f->cures, err) != QUARTET_OK)
            return false;
    }
    return true;
}

static bool write_out(const char *path, const struct buf *text)
{
    FILE *f = path == NULL ? stdout : fopen(path, "w");
    bool ok = f != NULL && !text->failed && fwrite(text->data, 1, text->len, f) == text->len;
    if (f != NULL && f != stdout)
        ok = fclose(f) == 0 && ok;
    if (!ok)
        fprintf(stderr, "quartet-check: %s cannot be written\n", path == NULL ? "the report" : path);
    return ok;
}

static int tell(const struct report *r, const struct options *o)
{
    struct buf text = {0}, junit = {0};
    int status = 0;
    if (o->json)
        report_json(r, &text);
    else
        report_people(r, &text);
    if (o->junit != NULL)
        report_junit(r, &junit);
    if (!write_out(NULL, &text) || (o->junit != NULL && !write_out(o->junit, &junit)))
        status = 2;
    buf_deinit(&text);
    buf_deinit(&junit);
    for (uint32_t i = 0; i < r->u->w.invariant_count && status == 0; i++)
        status = r->findings[i].broken_runs > 0;
    return status;
}

int suite_main(int argc, char **argv)
{
    struct suite *u = mem_zalloc(1, sizeof *u);
    struct options o = {0};
    struct err err = ERR_INIT;
    struct report r = {.u = u};
    int status = 2;
    clock_t started = clock();
    if (u == NULL)
        return usage("out of memory");
    u->nodes_min = 2;
    u->nodes_max = 4;
    u->seed = 1;
    u->runs = 200;
    const char *wrong = parse_arguments(argc, argv, &o, u);
    if (wrong != NULL) {
        mem_free(u);
        return usage(wrong);
    }
    bool ok = workload_read(&u->w, o.schema, o.workload, &err) == QUARTET_OK && suite_verify(u, &err) == QUARTET_OK;
    if (ok)
        r.findings = mem_zalloc(u->w.invariant_count, sizeof *r.findings);
    ok = ok && r.findings != NULL && run_all(u, &r, &err) && explain_all(u, &r, &err);
    if (ok) {
        r.seconds = (double)(clock() - started) / CLOCKS_PER_SEC;
        status = tell(&r, &o);
    } else {
        fprintf(stderr, "quartet-check: %s\n", err.text[0] != '\0' ? err.text : "out of memory");
    }
    for (uint32_t i = 0; r.findings != NULL && i < u->w.invariant_count; i++)
        outcome_free(&r.findings[i].outcome);
    mem_free(r.findings);
    workload_free(&u->w);
    arena_free_all(&u->arena);
    mem_free(u);
    return status;
}

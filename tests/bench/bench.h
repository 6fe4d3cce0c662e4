/* bench.h - quartet-bench: what its files share. A benchmark is one function that is run on either side and gives one figure. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bench_side { BENCH_QUARTET, BENCH_SQLITE, BENCH_SIDES };
enum bench_sync { BENCH_NORMAL, BENCH_FULL };

/* One connection and one statement of either engine behind the same few calls, so that both sides run the same code. */
typedef struct bench_db bench_db;
typedef struct bench_stmt bench_stmt;

/* Each returns false after printing what failed. */
bool bench_open(enum bench_side side, const char *path, enum bench_sync sync, bench_db **out);
bool bench_close(bench_db *b); /* NULL is allowed */
bool bench_exec(bench_db *b, const char *sql);
/* The same, all rows hashed into *h as texts. */
bool bench_exec_hash(bench_db *b, const char *sql, uint64_t *h);
bool bench_prepare(bench_db *b, const char *sql, bench_stmt **out);
void bench_finalize(bench_stmt *s); /* NULL is allowed */
bool bench_bind_int(bench_stmt *s, int index, int64_t v);
bool bench_bind_real(bench_stmt *s, int index, double v);
bool bench_bind_text(bench_stmt *s, int index, const char *text, size_t n); /* stays valid until the step */
bool bench_step(bench_stmt *s, bool *row); /* *row false: done */
bool bench_reset(bench_stmt *s);
bool bench_run(bench_stmt *s); /* step to the end, reset */
int bench_columns(bench_stmt *s);
int64_t bench_int(bench_stmt *s, int column);
const char *bench_text(bench_stmt *s, int column);
/* Hash of a row's values into *h: numbers as numbers, so that both sides' ways to print them do not count. */
void bench_hash_row(bench_stmt *s, uint64_t *h);
/* Run a query, hash all its rows in order. */
bool bench_query_hash(bench_db *b, const char *sql, uint64_t *h);

struct bench_ctx {
    char dir[4096];                 /* temporary; removed at the end */
    int64_t rows;
    double seconds;                 /* of a benchmark that is bounded by time */
    unsigned serial;                /* for fresh names */
    int32_t *shuffled;              /* 1 ... rows in a random order, made once */
    bench_db *query[BENCH_SIDES];   /* the database of the read benchmarks, made once */
    bench_db *tpch[BENCH_SIDES];    /* likewise, of bench_tpch.c */
};

struct bench {
    const char *name, *unit;
    bool lower;    /* lower is better */
    bool alone;    /* no peer: figures are absolute */
    /* `check`: a hash of the outcome that must be equal on both sides; 0: nothing to compare. */
    bool (*run)(struct bench_ctx *c, enum bench_side side, double *figure, uint64_t *check);
};
extern const struct bench bench_write_list[], bench_read_list[], bench_merge_list[], bench_size_list[], bench_recovery_list[], bench_visible_list[], bench_growth_list[],
    bench_tpch_list[], bench_tpch_each_list[], bench_limit_list[], bench_cluster_list[], bench_oltp_list[]; /* end with a NULL name */

/* bench_script.c: `file` ("-": standard input) part by part on both sides, figures printed. False after telling what failed or where rows differ. */
bool bench_script(struct bench_ctx *c, const char *file, long runs, bool disk, bool json);
int bench_recovery_writer(const char *path, const char *rows); /* returns only where it failed */

double bench_now(void); /* seconds, monotonic */
uint64_t bench_random(uint64_t *state);
/* A fresh path in the temporary directory. */
void bench_path(struct bench_ctx *c, enum bench_side side, char *out, size_t n);
/* Remove a directory or a SQLite file with what belongs to it. */
void bench_remove(const char *path);
bool bench_fail(const char *what, const char *text); /* prints; false */
/* The columns of row `id`: the same on both sides. */
struct bench_row {
    int64_t id, k, g;
    double v;
    char name[40];
    size_t name_bytes;
};
void bench_make_row(int64_t id, struct bench_row *out);
bool bench_shuffle(struct bench_ctx *c);

#endif

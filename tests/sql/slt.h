/* slt.h - what the runner of SQL logic tests is made of: an engine behind a table of functions, and
 * MD5 of result values. */
#ifndef TESTS_SQL_SLT_H
#define TESTS_SQL_SLT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slt_values { /* the texts of a result, row by row */
    char **item;
    size_t count, cap;
};

struct slt_engine {
    const char *name; /* what skipif and onlyif call it */
    bool (*open)(void **db);
    void (*close)(void *db);
    /* Run all statements of sql; false: *message (owned by the db) tells. */
    bool (*run)(void *db, const char *sql, const char **message);
    /* Run a query; types has a letter for each column ('I', 'R', 'T'; 'A': as the value's own type;
     * 'N': so too, but every number as R). Values are appended as the format prints them. *columns:
     * how many there were. */
    bool (*query)(void *db, const char *sql, const char *types, struct slt_values *out,
                  size_t *columns, const char **message);
};
extern const struct slt_engine slt_quartet, slt_sqlite;

bool slt_add(struct slt_values *v, const char *text); /* a copy; false: out of memory */
bool slt_add_text(struct slt_values *v, const char *text, size_t n); /* as type T prints it */
void slt_clear(struct slt_values *v);

struct md5 {
    uint32_t state[4];
    uint64_t bytes;
    uint8_t block[64];
};
void md5_start(struct md5 *m);
void md5_add(struct md5 *m, const void *p, size_t n);
void md5_end(struct md5 *m, char out[33]);

#endif

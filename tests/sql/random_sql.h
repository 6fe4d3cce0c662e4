/* random_sql.h - random schemas and statements from a seed, sensible ones and nonsense, for test_sql_random.c. */
#ifndef TESTS_SQL_RANDOM_SQL_H
#define TESTS_SQL_RANDOM_SQL_H

#include "base/buf.h"
#include "base/prng.h"

#define RANDOM_TABLES  4u
#define RANDOM_COLUMNS 7u

struct random_table {
    char name[8];
    uint32_t column_count;
    const char *types[RANDOM_COLUMNS]; /* as declared; "" for none */
    bool indexed[RANDOM_COLUMNS];      /* first of a key or of an index */
    uint32_t key_count;                /* columns of the primary key: the first ones */
};

struct random_sql {
    struct prng r;
    struct buf out; /* the statement, with a NUL behind it */
    struct random_table tables[RANDOM_TABLES + 2]; /* the last two stand for sources of one and of three columns */
    uint32_t next_index;
    uint32_t scope; /* how many of the aliases a0, a1, ... can be named */
    uint32_t in[4]; /* the table of each alias */
    bool pure;      /* nothing that says something else the next time, and no parameters */
};

void random_sql_init(struct random_sql *g, uint64_t seed);
void random_sql_deinit(struct random_sql *g);
uint32_t random_pick(struct random_sql *g, uint32_t n);

/* Each gives a statement that is good until the next call. */
const char *random_create(struct random_sql *g, uint32_t table);
const char *random_query(struct random_sql *g);
const char *random_write(struct random_sql *g);
const char *random_ddl(struct random_sql *g);
const char *random_statement(struct random_sql *g); /* any of these, transactions and settings */
/* A condition over `table`, whose columns it names c0, c1, ...; the same whenever it is asked. */
const char *random_condition(struct random_sql *g, uint32_t table);

#endif

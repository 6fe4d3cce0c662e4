/* cunit.h - what every unit test file needs: one suite per file, a table of named tests, one main for all (cunit_main.c). */
#ifndef TESTS_UNIT_CUNIT_H
#define TESTS_UNIT_CUNIT_H

#include <CUnit/Basic.h>
#include <stdint.h>

struct unit_test {
    const char *name;
    void (*run)(void);
};

/* Each test file defines these; the table ends with a NULL name. */
extern const char *const unit_suite;
extern const struct unit_test unit_tests[];

/* The seed of this run: QUARTET_SEED, or `fallback`. Print it with every failure: it replays. */
uint64_t unit_seed(uint64_t fallback);

#endif

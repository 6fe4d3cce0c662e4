/* cunit_main.c - runs the suite of one test file; exit status 0 only if every assertion held and at least one ran. */
#include "unit/cunit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"

uint64_t unit_seed(uint64_t fallback)
{
    const char *text = getenv("QUARTET_SEED");
    return text != NULL ? strtoull(text, NULL, 0) : fallback;
}

/* PLANT=name plants a bug, in builds that have them: to see the tests fail that are to find it. */
static bool plant_named(void)
{
    bool found = getenv("PLANT") == NULL;
#ifdef QUARTET_PLANTED_BUGS
    for (uint32_t p = 1; !found && p < PLANT_COUNT; p++)
        if (strcmp(plant_name(p), getenv("PLANT")) == 0) {
            plant_set((enum plant)p);
            found = true;
        }
#endif
    return found;
}

int main(int argc, char **argv)
{
    if (!plant_named()) {
        (void)fprintf(stderr, "PLANT=%s: there is no such bug in this build\n", getenv("PLANT"));
        return 2;
    }
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    CU_pSuite suite = CU_add_suite(unit_suite, NULL, NULL);
    if (suite == NULL)
        return 2;
    for (const struct unit_test *t = unit_tests; t->name != NULL; t++)
        if ((argc < 2 || strcmp(argv[1], t->name) == 0) && CU_add_test(suite, t->name, t->run) == NULL)
            return 2;
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    unsigned ran = CU_get_number_of_asserts();
    CU_cleanup_registry();
    return failed == 0 && ran > 0 ? 0 : 1;
}

/* sim_load.c - the table of all loads. See sim_load.h. */
#include "sim/sim_load.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct sim_load *const sim_loads[] = {
    &sim_load_rows,
    &sim_load_counter,
    &sim_load_pair,
    &sim_load_causal,
    &sim_load_serial,
    &sim_load_unique,
    &sim_load_kinds,
    &sim_load_bounded,
    &sim_load_schema,
    &sim_load_keys,
    &sim_load_family,
    &sim_load_rules,
    &sim_load_torn,
    &sim_load_computed,
};
const uint32_t sim_load_count = sizeof sim_loads / sizeof *sim_loads;
_Static_assert(sizeof sim_loads / sizeof *sim_loads <= SIM_LOADS_MAX, "struct sim_options has a weight for each");

bool sim_load_derives(const char *table)
{
    for (uint32_t i = 0; i < sim_load_count; i++)
        for (const char *const *t = sim_loads[i]->derived_tables; t != NULL && *t != NULL; t++)
            if (strcmp(*t, table) == 0)
                return true;
    return false;
}

quartet_status sim_sqlf(struct sim_node *n, int64_t *number, struct err *err, const char *format, ...)
{
    char sql[512];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    QASSERT(len > 0 && (size_t)len < sizeof sql);
    return sim_sql(n, sql, number, err);
}

/* plant.c - which bug is planted, in builds that may plant one. A global, since the mistakes lie in pure functions everywhere. */
#include "plant.h"

const char *plant_name(uint32_t p)
{
    static const char *const names[] = {
        "NONE",
#define X(name) #name,
        PLANTS(X)
#undef X
    };
    return names[p < PLANT_COUNT ? p : 0];
}

#ifdef QUARTET_PLANTED_BUGS
static enum plant active = PLANT_NONE;

void plant_set(enum plant p)
{
    active = p;
}

bool plant_is(enum plant p)
{
    return active == p;
}
#endif

/* test_spin.c - when a thread looks again before it sleeps: only after short waits, not where others want the processor, and never where it is switched off. */
#include "unit/cunit.h"

#include "base/env.h"
#include "base/spin.h"

#define MS 1000000u

/* The system has just been asked, so that who else runs here is of no matter. */
static uint64_t begin(struct spin *s, uint64_t now)
{
    s->asked_ns = now;
    return spin_begin(s, now);
}

static struct spin eager(uint32_t limit_us)
{
    struct spin s;
    spin_init(&s, limit_us);
    for (int i = 0; i < 8; i++)
        spin_slept(&s, 60000);
    return s;
}

static void test_spin_begins_after_short_waits_only(void)
{
    struct spin s;
    spin_init(&s, 50);
    CU_ASSERT_EQUAL(begin(&s, 1000), 0);
    spin_slept(&s, 60000);
    spin_slept(&s, 60000);
    CU_ASSERT_EQUAL(begin(&s, 1000), 51000);
    spin_slept(&s, 5 * MS); /* one long wait in a conversation */
    spin_slept(&s, 60000);
    spin_slept(&s, 60000);
    CU_ASSERT_NOT_EQUAL(begin(&s, 1000), 0);
    for (int i = 0; i < 5; i++)
        spin_slept(&s, 5 * MS);
    CU_ASSERT_EQUAL(begin(&s, 1000), 0);
}

static void test_spin_that_never_pays_ends(void)
{
    struct spin s = eager(50);
    int begun = 0;
    for (int i = 0; i < 100 && begin(&s, 1000) != 0; i++, begun++) {
        spin_judge(&s, false, false, 1000);
        spin_slept(&s, MS); /* it came long after */
    }
    CU_ASSERT(begun > 0 && begun < 5);
    s = eager(50);
    for (int i = 0; i < 100; i++) {
        CU_ASSERT_NOT_EQUAL_FATAL(begin(&s, 1000), 0);
        spin_judge(&s, true, false, 1000);
    }
}

static void test_spin_gives_way_to_others(void)
{
    struct spin s = eager(50);
    uint64_t now = MS, off[3];
    for (int i = 0; i < 3; i++) { /* for longer each time */
        CU_ASSERT_NOT_EQUAL_FATAL(begin(&s, now), 0);
        spin_judge(&s, true, true, now);
        CU_ASSERT_EQUAL(begin(&s, now + 1), 0);
        off[i] = s.off_until_ns - now;
        now = s.off_until_ns;
    }
    CU_ASSERT(off[1] == 2 * off[0] && off[2] == 2 * off[1]);
    for (int i = 0; i < 20; i++) {
        CU_ASSERT_NOT_EQUAL_FATAL(begin(&s, now), 0);
        spin_judge(&s, true, true, now);
        CU_ASSERT(s.off_until_ns - now <= 1024u * MS);
        now = s.off_until_ns;
    }
    for (int i = 0; i < 20; i++) { /* alone again */
        now += 3000u * (uint64_t)MS;
        spin_judge(&s, true, false, now);
    }
    spin_judge(&s, true, true, now);
    CU_ASSERT_EQUAL(s.off_until_ns - now, off[0]);
}

static void test_spin_is_off_at_zero_and_bounded(void)
{
    struct spin s = eager(0);
    CU_ASSERT_EQUAL(begin(&s, 1000), 0);
    s = eager(1000000);
    CU_ASSERT_EQUAL(begin(&s, 1000), 1000 + SPIN_US_MAX * 1000u);
    spin_pause();
    spin_end(&s, true, 2000);
    CU_ASSERT_EQUAL(s.off_until_ns, 0);
    uint64_t until = begin(&s, 3000);
    spin_end(&s, true, until + 5 * MS); /* interrupted */
    CU_ASSERT(s.off_until_ns > until + 5 * MS);
    uint64_t now = env_posix()->ops->mono_ns(env_posix()), later = spin_begin(&s, now); /* asks the system; what it says is not known here */
    CU_ASSERT(later == 0 ? s.off_until_ns > now : later == now + SPIN_US_MAX * 1000u);
}

const char *const unit_suite = "spin";
const struct unit_test unit_tests[] = {
    {"spin begins after short waits only", test_spin_begins_after_short_waits_only},
    {"spin that never pays ends", test_spin_that_never_pays_ends},
    {"spin gives way to others", test_spin_gives_way_to_others},
    {"spin is off at zero and bounded", test_spin_is_off_at_zero_and_bounded},
    {NULL, NULL},
};

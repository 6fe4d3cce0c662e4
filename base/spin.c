/* spin.c - when looking again pays. See spin.h.
 * Why the processor is offered now and then and not at each look: who yields to somebody gets it back after that one's slice, milliseconds later, and not as a sleeper does when what it
 *   waits for comes. So others are asked every ASK_MS whether they want it, less often each time that they did, and in between a look lasts no longer than limit_us.
 * Why involuntary switches: a thread that yields and loses its processor to another one is counted so (getrusage), and only then. The load of the machine would have to be read from files,
 *   and counts us, too. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RUSAGE_THREAD */
#endif
#include "spin.h"

#include <sched.h>
#include <sys/resource.h>

#define SCORE_MAX 16u
#define SCORE_BEGIN 4u
#define SHORT_FACTOR 4u /* a wait of so many limits is still a short one: it might be over sooner if both sides looked */
#define PAUSES 8
#if defined(__x86_64__) || defined(__i386__)
#define PAUSE() __builtin_ia32_pause()
#else
#define PAUSE() ((void)0)
#endif
#define ASK_MS 5u
#define PREEMPTED_NS 200000u /* a look that ends so late was interrupted */
#define OFF_MS_MIN 8u
#define OFF_MS_MAX 1024u

static int64_t switches_now(void)
{
    struct rusage u;
    return getrusage(RUSAGE_THREAD, &u) == 0 ? (int64_t)u.ru_nivcsw : 0;
}

static void lower(struct spin *s, uint32_t by)
{
    s->score = s->score > by ? s->score - by : 0;
}

static void raise(struct spin *s, uint32_t by)
{
    s->score = s->score + by < SCORE_MAX ? s->score + by : SCORE_MAX;
}

void spin_init(struct spin *s, uint32_t limit_us)
{
    *s = (struct spin){.limit_us = limit_us < SPIN_US_MAX ? limit_us : SPIN_US_MAX};
}

uint64_t spin_begin(struct spin *s, uint64_t now_ns)
{
    if (s->limit_us == 0 || s->score < SCORE_BEGIN || now_ns < s->off_until_ns)
        return 0;
    if (now_ns - s->asked_ns >= ASK_MS * 1000000u) {
        int64_t before = switches_now();
        (void)sched_yield(); /* it cannot fail here */
        s->asked_ns = now_ns;
        if (switches_now() != before) {
            spin_judge(s, false, true, now_ns);
            return 0;
        }
    }
    s->until_ns = now_ns + (uint64_t)s->limit_us * 1000u;
    return s->until_ns;
}

void spin_judge(struct spin *s, bool came, bool crowded, uint64_t now_ns)
{
    if (crowded) {
        s->off_ms = s->off_ms == 0 ? OFF_MS_MIN : s->off_ms * 2 < OFF_MS_MAX ? s->off_ms * 2 : OFF_MS_MAX;
        s->off_until_ns = now_ns + (uint64_t)s->off_ms * 1000000u;
        return;
    }
    if (now_ns > s->off_until_ns + (uint64_t)s->off_ms * 1000000u)
        s->off_ms /= 2; /* it was alone for as long as it had been off */
    if (came)
        raise(s, 1);
    else
        lower(s, 2);
}

void spin_end(struct spin *s, bool came, uint64_t now_ns)
{
    spin_judge(s, came, now_ns > s->until_ns + PREEMPTED_NS, now_ns);
}

void spin_slept(struct spin *s, uint64_t waited_ns)
{
    if (s->limit_us == 0)
        return;
    if (waited_ns <= (uint64_t)s->limit_us * 1000u * SHORT_FACTOR)
        raise(s, 2);
    else
        lower(s, 4);
}

void spin_pause(void)
{
    for (int i = 0; i < PAUSES; i++)
        PAUSE();
}

/* spin.h - looking again for a moment before going to sleep, where that pays: being woken costs tens of microseconds, which is most of a short conversation.
 *
 * For a thread that waits for what another thread or process is about to do:
 *     uint64_t from = now, until = spin_begin(&s, from);
 *     while (until != 0 && !(came = look()) && now < until) spin_pause();
 *     if (until != 0) spin_end(&s, came, now);
 *     if (!came) { sleep; spin_slept(&s, now - from); }
 * It is not begun where the last waits were long (an idle connection costs nothing), and not for a while where somebody else wants the processor: then every core has work. Used by one
 * thread. Times are monotonic nanoseconds. */
#ifndef BASE_SPIN_H
#define BASE_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#define SPIN_US_DEFAULT 50u
#define SPIN_US_MAX 1000u

struct spin {
    uint32_t limit_us; /* 0: never */
    uint32_t score;
    uint32_t off_ms; /* for how long it was given up last */
    uint64_t off_until_ns, asked_ns, until_ns;
};

void spin_init(struct spin *s, uint32_t limit_us);
uint64_t spin_begin(struct spin *s, uint64_t now_ns); /* until when; 0: sleep at once */
void spin_end(struct spin *s, bool came, uint64_t now_ns);
void spin_slept(struct spin *s, uint64_t waited_ns);
void spin_pause(void); /* between two looks */
/* Of these waits: what spin_end finds out of the system, for tests. `crowded`: somebody else wanted this processor meanwhile. */
void spin_judge(struct spin *s, bool came, bool crowded, uint64_t now_ns);

#endif

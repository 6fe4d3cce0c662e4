/* clock.h - how long something took, and a short wait between two looks at it: for the programs and their tests. */
#ifndef SHELL_CLOCK_H
#define SHELL_CLOCK_H

double now_seconds(void); /* monotonic, to the nanosecond; 0 where there is no clock */
/* Cut short by a signal: the caller looks again anyway. */
void pause_ms(long ms);

#endif

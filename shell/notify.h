/* notify.h - telling systemd how the node is (sd_notify(3)), without its library. All of it does nothing where nobody asked for it. */
#ifndef SHELL_NOTIFY_H
#define SHELL_NOTIFY_H

#include <stdbool.h>

/* Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, so that no child believes they are its own. Before threads start. */
void notify_begin(void);
void notify_tell(const char *state); /* "READY=1", ... */
/* The service is to say WATCHDOG=1 now: half of the time that it has been given is over. */
bool notify_is_due(void);

#endif

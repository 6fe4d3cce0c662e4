/* notify.c - the few lines of sd_notify that a service needs: one datagram to a socket whose name is in the environment. */
#include "notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"

/* Of the process, as the environment that they come from. */
static int notify_socket = -1;
static double every_seconds, next_seconds;

void notify_begin(void)
{
    const char *path = getenv("NOTIFY_SOCKET"), *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (path != NULL && (path[0] == '/' || path[0] == '@') && strlen(path) < sizeof at.sun_path) {
        memcpy(at.sun_path, path, strlen(path));
        if (path[0] == '@')
            at.sun_path[0] = '\0'; /* an abstract name */
        notify_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (notify_socket >= 0 && connect(notify_socket, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))) != 0) {
            fprintf(stderr, "quartetd: NOTIFY_SOCKET %s cannot be reached; systemd is told nothing\n", path);
            (void)close(notify_socket); /* nothing was written */
            notify_socket = -1;
        }
    }
    bool ours = pid == NULL || strtol(pid, NULL, 10) == (long)getpid();
    if (notify_socket >= 0 && usec != NULL && ours)
        every_seconds = strtod(usec, NULL) / 2e6;
    (void)unsetenv("NOTIFY_SOCKET"); /* these names are valid */
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

void notify_tell(const char *state)
{
    if (notify_socket >= 0 && send(notify_socket, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        fprintf(stderr, "quartetd: systemd could not be told %s\n", state);
}

bool notify_is_due(void)
{
    double now = now_seconds();
    if (every_seconds <= 0 || now < next_seconds)
        return false;
    next_seconds = now + every_seconds;
    return true;
}

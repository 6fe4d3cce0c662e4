/* free_port.h - ports of loopback for node processes that are about to be started, by the demonstration, the drill and the tests. */
#ifndef SHELL_FREE_PORT_H
#define SHELL_FREE_PORT_H

#include <stdint.h>

/* A TCP port of 127.0.0.1 that nobody holds now and that this process was not given before; 0: there is none (errno).
 * It lies outside the kernel's range for outgoing connections: a port of that range may become some client's before the
 * node listens on it, or while the node is down. One thread. */
uint16_t free_port(void);

#endif

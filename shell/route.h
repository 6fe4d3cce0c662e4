/* route.h - quartetd route: one address for clients that know only one. args follow the word; the exit status. */
#ifndef SHELL_ROUTE_H
#define SHELL_ROUTE_H

int route_run(int count, char **args);

/* A TCP connection with "host:port", not blocking; the caller's to close. -1: none within a moment. */
int route_connect(const char *address);

#endif

/* route.h - quartetd route: one address for clients that know only one. args follow the word; the exit status. */
#ifndef SHELL_ROUTE_H
#define SHELL_ROUTE_H

int route_run(int count, char **args);

#endif

/* verify_cluster.h - the nodes of a cluster compared row by row: quartet verify quartet://... */
#ifndef SHELL_VERIFY_CLUSTER_H
#define SHELL_VERIFY_CLUSTER_H

#include <stdbool.h>

/* Compares all tables, or these, and prints what differs. The exit status: 0 if nothing does. */
int verify_cluster(const char *url, int count, char **tables, bool json);

#endif

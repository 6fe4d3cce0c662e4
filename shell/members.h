/* members.h - quartetd member: changes who belongs to a cluster. args follow the word; the exit status: 0, 1 (it could not be done), 64 (wrong usage). */
#ifndef SHELL_MEMBERS_H
#define SHELL_MEMBERS_H

int members_run(int count, char **args);
int token_run(int count, char **args); /* quartetd token */
int join_run(int count, char **args);  /* quartetd join */

#endif

/* doctor.h - quartetd status and quartetd doctor: args follow the word. The exit status: 0 all is well, 1 something is not, 64 wrong usage. */
#ifndef SHELL_DOCTOR_H
#define SHELL_DOCTOR_H

int status_run(int count, char **args);
int doctor_run(int count, char **args);

#endif

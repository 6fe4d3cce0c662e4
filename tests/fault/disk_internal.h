/* disk_internal.h - what shim.c (the wrapped calls) tells disk.c (the record). All under disk_lock. */
#ifndef TESTS_FAULT_DISK_INTERNAL_H
#define TESTS_FAULT_DISK_INTERNAL_H

#include <pthread.h>
#include <sys/types.h>

#include "fault/disk.h"

extern pthread_mutex_t disk_lock;

bool disk_inside(const char *path);             /* is it watched? */
bool disk_fd_inside(int fd);
/* Does this call fail? errno is set then. */
bool disk_strikes(enum disk_call kind, const char *name, const char *path, bool *partial);
const char *disk_fd_path(int fd);
bool disk_across(const char *from, const char *to); /* from one file system to another */

void disk_opened(int fd, const char *path, int flags, bool made);
void disk_closed(int fd);
void disk_wrote(int fd, const void *p, size_t n, uint64_t offset);
void disk_synced(int fd, bool good);
void disk_sized(int fd, uint64_t bytes);
void disk_renamed(const char *from, const char *to);
void disk_unlinked(const char *path);
void disk_made_dir(const char *path);

/* The system's own, for disk.c. */
int __real_open(const char *path, int flags, ...);
int __real_close(int fd);
void *__real_malloc(size_t n);
void *__real_realloc(void *p, size_t n);

#endif

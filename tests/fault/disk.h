/* disk.h - stands between a test program and the system: records what it writes below one directory, builds the disk that a power cut would have
 * left at any moment of that record, and lets the Nth call of a kind fail.
 *
 * The calls are wrapped at link time (shim.c, -Wl,--wrap=...), those of LMDB, which is linked as an archive, among them. So the real engine runs
 * on real files, threads and all. One record at a time; calls are made one after the other while it runs, so that their order is known.
 *
 * What a cut may do. A write that was not synced since is there, is not, or is there in part, by sectors of 512 bytes; a sector that was written several times
 * shows any of them. A file's size likewise. Names (made, renamed, removed) hold once their directory was synced; before, any number of them
 * in their order (POSIX promises not even the order; the file systems that databases are used on do). What was written through
 * O_DSYNC is there once the call has returned. After a sync that failed, nothing written before it counts as synced, ever: Linux marks the pages clean. */
#ifndef TESTS_FAULT_DISK_H
#define TESTS_FAULT_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum disk_call { /* kinds of calls that can be made to fail, as bits */
    DISK_READ = 1,    /* pread */
    DISK_WRITE = 2,   /* pwrite, writev, write */
    DISK_SYNC = 4,    /* fsync, fdatasync, of files and directories */
    DISK_OPEN = 8,
    DISK_NAME = 16,   /* rename, unlink, mkdir */
    DISK_SIZE = 32,   /* ftruncate, fallocate */
    DISK_MAP = 64,    /* mmap of a file */
    DISK_THREAD = 128 /* pthread_create; counted wherever it is called */
};

void disk_watch(const char *root); /* an empty record of what happens below `root`, an existing directory without links in its path */
void disk_stop(void);              /* recording and faults end; the record stays */
void disk_forget(void);            /* the record goes */
size_t disk_moments(void);         /* recorded so far: a cut lies before moment 0 ... disk_moments() */
void disk_mark(int kind, uint64_t n); /* put a note of the test's own between the calls; kinds 0 to 3, n grows */

/* The call number `at` from now (1: the next) of these kinds fails with `error`; `persists`: and all later ones. `partial`: a write does half of its work
 * first. At 0: none any more. disk_fail_hits: how often since the last `at` above 0. disk_fail_text: the call that was hit first, for people. */
void disk_fail(unsigned kinds, uint64_t at, int error, bool persists, bool partial);
uint64_t disk_fail_hits(void);
const char *disk_fail_text(void);

/* What lies below this directory of the watched one counts as another file system: no rename leads into it or out of it. NULL: none. */
void disk_other_fs(const char *dir);

/* Let allocation number `at` from now fail, of malloc and its kin anywhere in the program but libc: of this thread, or of all others. */
void disk_fail_memory(uint64_t at, bool persists, bool others);
uint64_t disk_fail_memory_hits(void);

struct disk_cut {
    size_t moment;     /* what was recorded from here on did not happen; the first of it may have begun */
    uint64_t seed;     /* decides what of the unsynced is there; 0: all, as after a mere kill */
    uint64_t marks[4]; /* out: the last note of each kind before the cut */
    char what[160];    /* out: the call that was cut off */
    bool lie;          /* no sync did anything: the checks must notice */
};
/* Make the directory `to` (which must not exist) what a machine that lost power would find as `root`. Exits the program where it cannot be written. */
void disk_build(struct disk_cut *cut, const char *to);
/* Is the moment the middle of a row of equal calls (zeros written ahead)? Such cuts teach little. */
bool disk_is_dull(size_t moment);

void disk_remove_tree(const char *path); /* a missing one is fine */
void disk_copy_tree(const char *from, const char *to);

#endif

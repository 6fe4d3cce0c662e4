/* fault_env.h - an environment in memory: files that crash as real disks do, a clock and randomness from a seed, faults on request.
 *
 * What was written and not synced may after a crash be there, not there, or there in part: each 512-byte sector is decided by the seed, so
 * that writes are lost, torn and reordered. Memory is used only for pages that are not all zeros. One thread at a time, unless the
 * test says `threads` (then a lock guards all). */
#ifndef TESTS_FAULT_FAULT_ENV_H
#define TESTS_FAULT_FAULT_ENV_H

#include <pthread.h>

#include "base/env.h"
#include "base/map.h"
#include "base/prng.h"

#define FAULT_SECTOR_BYTES 512u

struct fault_env {
    struct env env;          /* give &f->env to what is tested */
    struct prng prng;
    struct map files;        /* path -> struct fault_file */
    struct map dirs;         /* path -> itself */
    pthread_mutex_t lock;
    uint64_t wall_us, mono_ns; /* move them by hand (fault_env_advance), or jump wall_us as a bad clock does */
    uint64_t disk_bytes;     /* 0: no limit; else QUARTET_FULL past it */
    uint64_t used_bytes;
    /* Faults: the call number `..._at` from now (1: the next) fails, once, or for good where `..._persists`; 0: none. */
    uint64_t fail_write_at, fail_sync_at, fail_read_at, fail_open_at;
    bool fail_persists;
    uint64_t writes, syncs;  /* done so far */
    uint64_t crash_at_write; /* the writes and syncs after this many (writes + syncs) fail as if the power were gone; 0: none */
    bool dead;               /* after a crash point was reached, or fault_env_die: every call fails until fault_env_restart */
    bool lying_sync;         /* sync says yes and does nothing */
    void (*on_log)(void *arg, int level, const char *component, const char *line);
    void *on_log_arg;
};

void fault_env_init(struct fault_env *f, uint64_t seed);
void fault_env_deinit(struct fault_env *f);
void fault_env_advance(struct fault_env *f, uint64_t us);
/* From now on every call fails with QUARTET_IO; the owner closes what it has open. */
void fault_env_die(struct fault_env *f);
/* The machine comes back: unsynced sectors are decided, files never made durable may be gone, calls work again. All files must be closed.
 * keep_unsynced: as after a mere kill of the process: everything that was written is there. */
void fault_env_restart(struct fault_env *f, bool keep_unsynced);
/* A deep copy of all files, as a backup of a disk is; `to` is initialised. */
quartet_status fault_env_copy_files(struct fault_env *to, const struct fault_env *from, struct err *err);
/* Change one byte on disk: *size tells how long the file is. false: no such file or offset. */
bool fault_env_flip(struct fault_env *f, const char *path, uint64_t offset, uint8_t mask);
/* Change a byte that is not 0 in some file below the root, as damage does that matters. false: none was found. */
bool fault_env_flip_any(struct fault_env *f, struct prng *r);
void fault_env_erase(struct fault_env *f); /* all files and directories; none may be open */
void fault_env_swap_files(struct fault_env *a, struct fault_env *b); /* the two machines change disks; no file may be open */
uint64_t fault_env_file_bytes(const struct fault_env *f, const char *path);

#endif

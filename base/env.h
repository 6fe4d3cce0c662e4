/* env.h - the table of functions through which all time, randomness and files are reached.
 *
 * Production uses env_posix(); the simulator supplies its own, so that four nodes run in one thread from one seed with
 * crashes, torn writes and jumping clocks. Sockets have a table of their own (net/). All functions are thread-safe
 * in env_posix. Paths are UTF-8 and relative to nothing: the caller joins them. */
#ifndef BASE_ENV_H
#define BASE_ENV_H

#include "status.h"

struct file; /* an open file; defined by the environment */
struct env;

enum file_mode {
    FILE_READ,      /* must exist */
    FILE_WRITE,     /* read and write; made if missing, mode 0600 */
    FILE_CREATE_NEW /* read and write; an error if it exists */
};

struct env_ops {
    uint64_t (*wall_us)(struct env *env); /* Unix time in microseconds; may jump */
    uint64_t (*mono_ns)(struct env *env); /* never goes back */
    uint64_t (*coarse_ns)(struct env *env); /* the same clock as it was some ms ago, for a fraction of the price */
    quartet_status (*random)(struct env *env, void *p, size_t n, struct err *err); /* from the system, for keys too */
    void (*log)(struct env *env, int level, const char *component, const char *line);

    /* QUARTET_NOTFOUND: FILE_READ of a missing file. QUARTET_CANTOPEN: rights, a directory, exists already, no such directory. */
    quartet_status (*open)(struct env *env, const char *path, enum file_mode mode, struct file **out, struct err *err);
    void (*close)(struct file *f); /* NULL is allowed */
    /* Reads up to n bytes at `offset`; *got < n only at the end of the file. */
    quartet_status (*pread)(struct file *f, void *p, size_t n, uint64_t offset, size_t *got, struct err *err);
    /* All or an error (then any part may have been written). QUARTET_FULL where the disk is full. */
    quartet_status (*pwrite)(struct file *f, const void *p, size_t n, uint64_t offset, struct err *err);
    /* As pwrite, for a few bytes into a part of the file that was written before and made durable; may go through a mapping, without a system call. Given to
     * the system when it returns: the end of the process loses nothing, sync makes it durable. One thread at a time for a file. */
    quartet_status (*store)(struct file *f, const void *p, size_t n, uint64_t offset, struct err *err);
    quartet_status (*sync)(struct file *f, struct err *err); /* fdatasync; after an error the file must be closed and verified */
    quartet_status (*truncate)(struct file *f, uint64_t bytes, struct err *err);
    quartet_status (*size)(struct file *f, uint64_t *bytes, struct err *err);
    /* Exclusive advisory lock of the whole file (OFD), which is open for writing and kept for nothing else: on QUARTET_OK it
     * holds our pid as text, nothing more; close frees the lock. QUARTET_BUSY: *holder_pid is set where known, else 0. */
    quartet_status (*lock)(struct file *f, int64_t *holder_pid, struct err *err);

    quartet_status (*rename)(struct env *env, const char *from, const char *to, struct err *err);
    quartet_status (*unlink)(struct env *env, const char *path, struct err *err); /* a missing file is QUARTET_NOTFOUND */
    quartet_status (*mkdir)(struct env *env, const char *path, struct err *err);  /* an existing directory is QUARTET_OK */
    quartet_status (*sync_dir)(struct env *env, const char *path, struct err *err);
    bool (*exists)(struct env *env, const char *path);
    /* Calls each(arg, name) for every entry but "." and "..", in byte order of the names; stops at the first failure. */
    quartet_status (*list)(struct env *env, const char *path,
                           quartet_status (*each)(void *arg, const char *name, struct err *err), void *arg, struct err *err);
};

struct env {
    const struct env_ops *ops;
    void *ctx;
    bool threads; /* background threads may be started; false in the simulator, which calls the work by itself */
};

/* The real thing; one value for the process, never freed. Log lines go to stderr from `min_level` on (log.h). */
struct env *env_posix(void);
void env_posix_set_log(int min_level, bool json); /* before threads start */

static inline uint64_t env_wall_ms(struct env *env)
{
    return env->ops->wall_us(env) / 1000u;
}

/* Read a whole file of at most max_bytes; *data is the caller's (mem_free). Write a whole file so that after a crash it is
 * the old or the new one: temporary file, sync, rename, sync of the directory. mode is 0600. */
quartet_status env_read_file(struct env *env, const char *path, size_t max_bytes, uint8_t **data, size_t *n, struct err *err);
quartet_status env_write_file(struct env *env, const char *path, const void *p, size_t n, struct err *err);
/* Make the entry of `path` in the directory that holds it durable. Where that directory may not be read it is left to the system: QUARTET_OK. */
quartet_status env_sync_parent(struct env *env, const char *path, struct err *err);
/* "dir/name" into out (n bytes); QUARTET_LIMIT where it does not fit. */
quartet_status path_join(char *out, size_t n, const char *dir, const char *name, struct err *err);

#endif

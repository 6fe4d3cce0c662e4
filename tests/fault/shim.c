/* shim.c - the system's calls as the linker's --wrap hands them over: watched, recorded, and made to fail on request.
 * Why at link time: LMDB reaches the disk by itself, past the table of file functions; as an archive its calls are wrapped like ours, so one
 *   record holds the writes of log and base in their true order.
 * While a directory is watched its calls run one after the other under disk_lock. Others go straight through. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fault/disk_internal.h"

/* The linker's names; declared here since no header knows them. */
int __wrap_open(const char *path, int flags, ...);
int __wrap_close(int fd);
ssize_t __wrap_pread(int fd, void *p, size_t n, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t offset);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_writev(int fd, const struct iovec *v, int count);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_ftruncate(int fd, off_t bytes);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t bytes);
int __wrap_rename(const char *from, const char *to);
int __wrap_unlink(const char *path);
int __wrap_mkdir(const char *path, mode_t mode);
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);
int __wrap_posix_memalign(void **p, size_t align, size_t n);
char *__wrap_strdup(const char *s);

ssize_t __real_pread(int fd, void *p, size_t n, off_t offset);
ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t offset);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __real_writev(int fd, const struct iovec *v, int count);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_ftruncate(int fd, off_t bytes);
int __real_fallocate(int fd, int mode, off_t offset, off_t bytes);
int __real_rename(const char *from, const char *to);
int __real_unlink(const char *path);
int __real_mkdir(const char *path, mode_t mode);
void *__real_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset);
int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
void *__real_calloc(size_t count, size_t n);
int __real_posix_memalign(void **p, size_t align, size_t n);
char *__real_strdup(const char *s);

/* ---- files ---- */

int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    pthread_mutex_lock(&disk_lock);
    int fd = -1;
    bool inside = disk_inside(path), partial;
    if (!inside || !disk_strikes(DISK_OPEN, "open", path, &partial)) {
        bool made = (flags & O_CREAT) != 0 && access(path, F_OK) != 0;
        fd = __real_open(path, flags, mode);
        if (fd >= 0 && inside)
            disk_opened(fd, path, flags, made);
    }
    int error = errno;
    pthread_mutex_unlock(&disk_lock);
    errno = error;
    return fd;
}

int __wrap_close(int fd)
{
    pthread_mutex_lock(&disk_lock);
    disk_closed(fd);
    int rc = __real_close(fd);
    int error = errno;
    pthread_mutex_unlock(&disk_lock);
    errno = error;
    return rc;
}

/* Begin a call on a descriptor. False: it is not watched. With the lock where it is. */
static bool enter(int fd)
{
    pthread_mutex_lock(&disk_lock);
    if (disk_fd_inside(fd))
        return true;
    pthread_mutex_unlock(&disk_lock);
    return false;
}

static void leave(void)
{
    int error = errno;
    pthread_mutex_unlock(&disk_lock);
    errno = error;
}

ssize_t __wrap_pread(int fd, void *p, size_t n, off_t offset)
{
    bool partial;
    if (!enter(fd))
        return __real_pread(fd, p, n, offset);
    ssize_t got = disk_strikes(DISK_READ, "pread", disk_fd_path(fd), &partial) ? -1 : __real_pread(fd, p, n, offset);
    leave();
    return got;
}

/* How much of a write is done: all, half of it, or -1. */
static ssize_t allowed(int fd, const char *name, size_t n)
{
    bool partial;
    if (!disk_strikes(DISK_WRITE, name, disk_fd_path(fd), &partial))
        return (ssize_t)n;
    return partial && n > 1 ? (ssize_t)(n / 2) : -1;
}

ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t offset)
{
    if (!enter(fd))
        return __real_pwrite(fd, p, n, offset);
    ssize_t done = allowed(fd, "pwrite", n);
    if (done > 0)
        done = __real_pwrite(fd, p, (size_t)done, offset);
    if (done > 0)
        disk_wrote(fd, p, (size_t)done, (uint64_t)offset);
    leave();
    return done;
}

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
    if (!enter(fd))
        return __real_write(fd, p, n);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t done = allowed(fd, "write", n);
    if (done > 0)
        done = __real_write(fd, p, (size_t)done);
    if (done > 0)
        disk_wrote(fd, p, (size_t)done, (uint64_t)offset);
    leave();
    return done;
}

ssize_t __wrap_writev(int fd, const struct iovec *v, int count)
{
    if (!enter(fd))
        return __real_writev(fd, v, count);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += v[i].iov_len;
    ssize_t done = allowed(fd, "writev", total);
    if (done > 0 && (size_t)done < total) /* part of the first piece will do */
        done = __real_write(fd, v[0].iov_base, v[0].iov_len > 1 ? v[0].iov_len / 2 : 1);
    else if (done > 0)
        done = __real_writev(fd, v, count);
    for (size_t i = 0, at = 0; done > 0 && at < (size_t)done; at += v[i].iov_len, i++)
        disk_wrote(fd, v[i].iov_base, v[i].iov_len < (size_t)done - at ? v[i].iov_len : (size_t)done - at, (uint64_t)offset + at);
    leave();
    return done;
}

static int sync_one(int fd, const char *name, int (*real)(int fd))
{
    bool partial;
    if (!enter(fd))
        return real(fd);
    int rc = disk_strikes(DISK_SYNC, name, disk_fd_path(fd), &partial) ? -1 : real(fd);
    disk_synced(fd, rc == 0);
    leave();
    return rc;
}

int __wrap_fsync(int fd)
{
    return sync_one(fd, "fsync", __real_fsync);
}

int __wrap_fdatasync(int fd)
{
    return sync_one(fd, "fdatasync", __real_fdatasync);
}

int __wrap_ftruncate(int fd, off_t bytes)
{
    bool partial;
    if (!enter(fd))
        return __real_ftruncate(fd, bytes);
    int rc = disk_strikes(DISK_SIZE, "ftruncate", disk_fd_path(fd), &partial) ? -1 : __real_ftruncate(fd, bytes);
    if (rc == 0)
        disk_sized(fd, (uint64_t)bytes);
    leave();
    return rc;
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t bytes)
{
    bool partial;
    if (!enter(fd))
        return __real_fallocate(fd, mode, offset, bytes);
    int rc = disk_strikes(DISK_SIZE, "fallocate", disk_fd_path(fd), &partial) ? -1 : __real_fallocate(fd, mode, offset, bytes);
    leave();
    return rc;
}

/* ---- names ---- */

int __wrap_rename(const char *from, const char *to)
{
    bool partial;
    pthread_mutex_lock(&disk_lock);
    bool inside = disk_inside(from);
    int rc = -1;
    if (inside && disk_across(from, to))
        errno = EXDEV;
    else if (!inside || !disk_strikes(DISK_NAME, "rename", from, &partial))
        rc = __real_rename(from, to);
    if (rc == 0 && inside)
        disk_renamed(from, to);
    leave();
    return rc;
}

int __wrap_unlink(const char *path)
{
    bool partial;
    pthread_mutex_lock(&disk_lock);
    bool inside = disk_inside(path);
    int rc = inside && disk_strikes(DISK_NAME, "unlink", path, &partial) ? -1 : __real_unlink(path);
    if (rc == 0 && inside)
        disk_unlinked(path);
    leave();
    return rc;
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    bool partial;
    pthread_mutex_lock(&disk_lock);
    bool inside = disk_inside(path);
    int rc = inside && disk_strikes(DISK_NAME, "mkdir", path, &partial) ? -1 : __real_mkdir(path, mode);
    if (rc == 0 && inside)
        disk_made_dir(path);
    leave();
    return rc;
}

void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset)
{
    bool partial;
    if (fd < 0 || !enter(fd))
        return __real_mmap(at, n, prot, flags, fd, offset);
    /* What is written through a mapping is in no record; env_posix then writes by calls. LMDB maps its own files: its data to read, its table of readers. */
    if ((prot & PROT_WRITE) != 0 && strstr(disk_fd_path(fd), "/log/") != NULL) {
        leave();
        errno = ENODEV;
        return MAP_FAILED;
    }
    void *p = disk_strikes(DISK_MAP, "mmap", disk_fd_path(fd), &partial) ? MAP_FAILED : __real_mmap(at, n, prot, flags, fd, offset);
    leave();
    return p;
}

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
    bool partial;
    pthread_mutex_lock(&disk_lock);
    bool fails = disk_strikes(DISK_THREAD, "pthread_create", "", &partial);
    pthread_mutex_unlock(&disk_lock);
    return fails ? EAGAIN : __real_pthread_create(t, attr, run, arg);
}

/* ---- memory ---- */

static _Thread_local bool mine; /* this thread asked for the failures */
static atomic_bool armed, for_others, for_good;
static atomic_uint_fast64_t countdown, hits;

void disk_fail_memory(uint64_t at, bool persists, bool others)
{
    atomic_store(&armed, false);
    atomic_store(&hits, 0);
    atomic_store(&countdown, at);
    atomic_store(&for_good, persists);
    atomic_store(&for_others, others);
    mine = true;
    atomic_store(&armed, at != 0);
    if (at == 0)
        mine = false;
}

uint64_t disk_fail_memory_hits(void)
{
    return atomic_load(&hits);
}

static bool memory_strikes(void)
{
    if (!atomic_load_explicit(&armed, memory_order_relaxed) || mine == atomic_load_explicit(&for_others, memory_order_relaxed))
        return false;
    uint64_t left = atomic_load(&countdown);
    while (left > 1)
        if (atomic_compare_exchange_weak(&countdown, &left, left - 1))
            return false;
    if (!atomic_load(&for_good)) {
        if (left == 0 || !atomic_compare_exchange_strong(&countdown, &left, 0))
            return false;
    }
    atomic_fetch_add(&hits, 1);
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return memory_strikes() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
    return memory_strikes() ? NULL : __real_calloc(count, n);
}

void *__wrap_realloc(void *p, size_t n)
{
    return memory_strikes() ? NULL : __real_realloc(p, n);
}

int __wrap_posix_memalign(void **p, size_t align, size_t n)
{
    return memory_strikes() ? ENOMEM : __real_posix_memalign(p, align, n);
}

char *__wrap_strdup(const char *s)
{
    return memory_strikes() ? NULL : __real_strdup(s);
}

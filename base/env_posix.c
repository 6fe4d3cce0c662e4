/* env_posix.c - the real environment: the system's clocks, random numbers, files and stderr.
 * Why: the one file outside net/ and shell/ that may ask the system for time, randomness or files (tests/tools/check_layers.sh),
 *   so that a simulator can stand in for all of it.
 * Invariants: every descriptor is closed on exec; a file's name is kept with it, so that every message names the file.
 * Why store writes through a mapping: a commit of a few hundred bytes costs less than the system call that would write it (0.1 us against 1).
 * Not here: the order of steps that makes a write survive a crash (env.c, and the store). */
#include "base/env.h"

#include "base/log.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ENV_IO_BYTES_MAX (1u << 30) /* one system call; Linux moves at most 2 GiB less a page */
#define ENV_MAP_BYTES (1u << 20)  /* of a file that is mapped at a time */
#define ENV_MAP_STEP (64u << 10)  /* pages are asked for in such steps */
#define ENV_PID_BYTES_MAX 24u       /* the pid, as text, in a lock file */

struct file {
    int fd;
    uint8_t *map;       /* of ENV_MAP_BYTES from map_at on, for store; NULL: none */
    uint64_t map_at;
    size_t map_ready;   /* bytes from its start whose pages are there and may be written */
    char path[]; /* for messages */
};

struct posix_log {
    int min_level;
    bool json;
};

/* What went wrong in `what`, from errno. */
static quartet_status fail_errno(struct err *err, const char *what, const char *path, int error)
{
    quartet_status code = QUARTET_IO;
    if (error == ENOSPC || error == EDQUOT)
        code = QUARTET_FULL;
    else if (error == ENOMEM)
        code = QUARTET_NOMEM;
    char text[128];
    const char *reason = strerror_r(error, text, sizeof text); /* the GNU form: returns the text */
    return err_set(err, code, "%s: cannot %s: %s", path, what, reason);
}

/* As fail_errno, where it is the path that is wrong and not the disk. */
static quartet_status fail_path(struct err *err, const char *what, const char *path, int error)
{
    quartet_status code = fail_errno(err, what, path, error);
    switch (error) {
    case ENOENT:
    case EEXIST:
    case EACCES:
    case EPERM:
    case EROFS:
    case EISDIR:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
        err->code = QUARTET_CANTOPEN;
        return QUARTET_CANTOPEN;
    default:
        return code;
    }
}

static uint64_t clock_read(clockid_t clock, uint64_t units_per_s)
{
    struct timespec t;
    int rc = clock_gettime(clock, &t);
    QASSERT(rc == 0);
    return (uint64_t)t.tv_sec * units_per_s + (uint64_t)t.tv_nsec / (1000000000u / units_per_s);
}

static uint64_t posix_wall_us(struct env *env)
{
    (void)env; /* the table's signature */
    return clock_read(CLOCK_REALTIME, 1000000u);
}

static uint64_t posix_mono_ns(struct env *env)
{
    (void)env; /* the table's signature */
    return clock_read(CLOCK_MONOTONIC, 1000000000u);
}

static uint64_t posix_coarse_ns(struct env *env)
{
    (void)env; /* the table's signature */
    return clock_read(CLOCK_MONOTONIC_COARSE, 1000000000u);
}

static quartet_status posix_random(struct env *env, void *p, size_t n, struct err *err)
{
    (void)env; /* the table's signature */
    uint8_t *to = p;
    while (n > 0) {
        ssize_t got = getrandom(to, n < ENV_IO_BYTES_MAX ? n : ENV_IO_BYTES_MAX, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fail_errno(err, "read", "the system's random numbers", errno);
        to += got;
        n -= (size_t)got;
    }
    return QUARTET_OK;
}

static const char *level_name(int level)
{
    static const char *const NAMES[] = {"DEBUG", "INFO", "WARN", "ERROR"};
    return level >= 0 && level < 4 ? NAMES[level] : "ERROR";
}

/* The inside of a JSON string; the line has no control characters any more (log.c), so these two are all. */
static size_t json_escape(char *out, size_t n, const char *s)
{
    size_t len = 0;
    for (; *s != '\0' && len + 2u < n; s++) {
        if (*s == '"' || *s == '\\')
            out[len++] = '\\';
        out[len++] = *s;
    }
    out[len] = '\0';
    return len;
}

static void posix_log(struct env *env, int level, const char *component, const char *line)
{
    const struct posix_log *log = env->ctx;
    if (level < log->min_level)
        return;
    uint64_t us = posix_wall_us(env);
    time_t seconds = (time_t)(us / 1000000u);
    struct tm tm;
    char when[32] = "";
    if (gmtime_r(&seconds, &tm) != NULL)
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm); /* 19 characters fit */
    unsigned ms = (unsigned)(us / 1000u % 1000u);

    char out[2600];
    int n;
    if (log->json) {
        char name[64];
        char text[2100]; /* twice the longest line */
        (void)json_escape(name, sizeof name, component);
        (void)json_escape(text, sizeof text, line);
        n = snprintf(out, sizeof out, "{\"time\":\"%s.%03uZ\",\"level\":\"%s\",\"component\":\"%s\",\"text\":\"%s\"}\n",
                     when, ms, level_name(level), name, text);
    } else {
        n = snprintf(out, sizeof out, "%s.%03uZ %s %s: %s\n", when, ms, level_name(level), component, line);
    }
    if (n <= 0)
        return;
    size_t len = (size_t)n < sizeof out ? (size_t)n : sizeof out - 1u;
    /* One call for a line, so that lines of several threads do not mix. Nobody is left to tell when it fails. */
    ssize_t written = write(STDERR_FILENO, out, len);
    (void)written;
}

static void unmap(struct file *f)
{
    if (f->map != NULL)
        (void)munmap(f->map, ENV_MAP_BYTES); /* ours, whole and aligned: it cannot fail */
    f->map = NULL;
}

static void posix_close(struct file *f)
{
    if (f == NULL)
        return;
    unmap(f);
    (void)close(f->fd); /* what had to be on disk was synced before, and that was checked */
    mem_free(f);
}

static quartet_status posix_open(struct env *env, const char *path, enum file_mode mode, struct file **out,
                                 struct err *err)
{
    (void)env; /* the table's signature */
    static const int FLAGS[] = {
        [FILE_READ] = O_RDONLY,
        [FILE_WRITE] = O_RDWR | O_CREAT,
        [FILE_CREATE_NEW] = O_RDWR | O_CREAT | O_EXCL,
    };
    size_t len = strlen(path);
    struct file *f = mem_alloc(sizeof *f + len + 1u);
    if (f == NULL)
        return err_nomem(err);
    *f = (struct file){.map_ready = 0};
    memcpy(f->path, path, len + 1u);
    do
        f->fd = open(path, FLAGS[mode] | O_CLOEXEC, 0600);
    while (f->fd < 0 && errno == EINTR);
    if (f->fd < 0) {
        int error = errno;
        mem_free(f);
        quartet_status rc = fail_path(err, mode == FILE_READ ? "open" : "create", path, error);
        if (mode == FILE_READ && error == ENOENT)
            rc = err->code = QUARTET_NOTFOUND;
        return rc;
    }
    *out = f;
    return QUARTET_OK;
}

/* A damaged file may send us anywhere; the system takes signed offsets. */
static quartet_status check_offset(const struct file *f, size_t n, uint64_t offset, struct err *err)
{
    if (offset > (uint64_t)INT64_MAX || n > (uint64_t)INT64_MAX - offset)
        return err_set(err, QUARTET_RANGE, "%s: offset %llu is past the largest possible file", f->path,
                       (unsigned long long)offset);
    return QUARTET_OK;
}

static quartet_status posix_pread(struct file *f, void *p, size_t n, uint64_t offset, size_t *got, struct err *err)
{
    quartet_status rc = check_offset(f, n, offset, err);
    if (rc != QUARTET_OK)
        return rc;
    uint8_t *to = p;
    size_t done = 0;
    while (done < n) {
        size_t part = n - done < ENV_IO_BYTES_MAX ? n - done : ENV_IO_BYTES_MAX;
        ssize_t k = pread(f->fd, to + done, part, (off_t)(offset + done));
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return fail_errno(err, "read", f->path, errno);
        if (k == 0)
            break;
        done += (size_t)k;
    }
    *got = done;
    return QUARTET_OK;
}

static quartet_status posix_pwrite(struct file *f, const void *p, size_t n, uint64_t offset, struct err *err)
{
    quartet_status rc = check_offset(f, n, offset, err);
    if (rc != QUARTET_OK)
        return rc;
    const uint8_t *from = p;
    size_t done = 0;
    while (done < n) {
        size_t part = n - done < ENV_IO_BYTES_MAX ? n - done : ENV_IO_BYTES_MAX;
        ssize_t k = pwrite(f->fd, from + done, part, (off_t)(offset + done));
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) /* a disk that takes nothing and says nothing is full */
            return fail_errno(err, "write", f->path, k < 0 ? errno : ENOSPC);
        done += (size_t)k;
    }
    return QUARTET_OK;
}

static bool map_part(struct file *f, uint64_t offset)
{
    uint64_t at = offset / ENV_MAP_BYTES * ENV_MAP_BYTES;
    if (f->map != NULL && f->map_at == at)
        return true;
    unmap(f);
    void *p = mmap(NULL, ENV_MAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, (off_t)at);
    if (p == MAP_FAILED)
        return false;
    f->map = p;
    f->map_at = at;
    f->map_ready = (size_t)(offset - at) / ENV_MAP_STEP * ENV_MAP_STEP;
    return true;
}

/* Have the system bring the pages in, of those that the file has: an error of the disk is then told here, and is no signal at the store. */
static bool map_reach(struct file *f, size_t end)
{
    struct stat st;
    if (f->map_ready >= end)
        return true;
    if (fstat(f->fd, &st) != 0 || st.st_size < 0 || (uint64_t)st.st_size < f->map_at + end)
        return false;
    uint64_t has = (uint64_t)st.st_size - f->map_at;
    size_t upto = has < ENV_MAP_BYTES ? (size_t)has : ENV_MAP_BYTES;
    while (f->map_ready < end) {
        size_t step = upto - f->map_ready < ENV_MAP_STEP ? upto - f->map_ready : ENV_MAP_STEP;
        if (madvise(f->map + f->map_ready, step, MADV_POPULATE_WRITE) != 0)
            return false;
        f->map_ready += step; /* where it is no whole page, the next step is refused, and pwrite does it */
    }
    return true;
}

static quartet_status posix_store(struct file *f, const void *p, size_t n, uint64_t offset, struct err *err)
{
    const uint8_t *from = p;
    quartet_status rc = check_offset(f, n, offset, err);
    while (rc == QUARTET_OK && n > 0) {
        size_t in_map = (size_t)(offset % ENV_MAP_BYTES), part = ENV_MAP_BYTES - in_map < n ? ENV_MAP_BYTES - in_map : n;
        if (!map_part(f, offset) || !map_reach(f, in_map + part)) /* an old system, or the disk has an error, which pwrite tells */
            return posix_pwrite(f, from, n, offset, err);
        memcpy(f->map + in_map, from, part);
        from += part;
        offset += part;
        n -= part;
    }
    return rc;
}

static quartet_status posix_sync(struct file *f, struct err *err)
{
    int rc;
    do
        rc = fdatasync(f->fd);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? QUARTET_OK : fail_errno(err, "sync", f->path, errno);
}

static quartet_status posix_truncate(struct file *f, uint64_t bytes, struct err *err)
{
    quartet_status status = check_offset(f, 0, bytes, err);
    if (status != QUARTET_OK)
        return status;
    int rc;
    do
        rc = ftruncate(f->fd, (off_t)bytes);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? QUARTET_OK : fail_errno(err, "change the size", f->path, errno);
}

static quartet_status posix_size(struct file *f, uint64_t *bytes, struct err *err)
{
    struct stat st;
    if (fstat(f->fd, &st) != 0)
        return fail_errno(err, "tell the size", f->path, errno);
    QASSERT(st.st_size >= 0);
    *bytes = (uint64_t)st.st_size;
    return QUARTET_OK;
}

/* OFD locks name no holder, so each holder leaves its pid in the file. 0 where it cannot be read. */
static int64_t lock_holder(int fd)
{
    char text[ENV_PID_BYTES_MAX];
    ssize_t n = pread(fd, text, sizeof text - 1u, 0);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    char *end = NULL;
    errno = 0;
    long long pid = strtoll(text, &end, 10);
    return errno == 0 && end != text && pid > 0 && pid <= INT32_MAX ? pid : 0;
}

static quartet_status posix_lock(struct file *f, int64_t *holder_pid, struct err *err)
{
    /* Not fcntl's older locks: those belong to the process and vanish when any descriptor of the file is closed. */
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    *holder_pid = 0;
    int rc;
    do
        rc = fcntl(f->fd, F_OFD_SETLK, &all);
    while (rc != 0 && errno == EINTR);
    if (rc != 0 && (errno == EAGAIN || errno == EACCES)) {
        *holder_pid = lock_holder(f->fd);
        if (*holder_pid == 0)
            return err_set(err, QUARTET_BUSY, "%s: in use by another process", f->path);
        return err_set(err, QUARTET_BUSY, "%s: in use by process %lld", f->path, (long long)*holder_pid);
    }
    if (rc != 0)
        return fail_errno(err, "lock", f->path, errno);
    char pid[ENV_PID_BYTES_MAX];
    int n = snprintf(pid, sizeof pid, "%lld\n", (long long)getpid());
    QASSERT(n > 0 && (size_t)n < sizeof pid);
    /* Written first and cut afterwards: a reader in between sees our digits, not an empty file. A full disk must not keep
     * anybody from opening the database to make room, so failures here lose only the holder's number. */
    struct err ignored = ERR_INIT;
    if (posix_pwrite(f, pid, (size_t)n, 0, &ignored) == QUARTET_OK)
        (void)posix_truncate(f, (uint64_t)n, &ignored);
    return QUARTET_OK;
}

static quartet_status posix_rename(struct env *env, const char *from, const char *to, struct err *err)
{
    (void)env; /* the table's signature */
    return rename(from, to) == 0 ? QUARTET_OK : fail_path(err, "rename", from, errno);
}

static quartet_status posix_unlink(struct env *env, const char *path, struct err *err)
{
    (void)env; /* the table's signature */
    if (unlink(path) == 0)
        return QUARTET_OK;
    int error = errno;
    quartet_status rc = fail_path(err, "remove", path, error);
    if (error == ENOENT)
        rc = err->code = QUARTET_NOTFOUND;
    return rc;
}

static quartet_status posix_mkdir(struct env *env, const char *path, struct err *err)
{
    (void)env; /* the table's signature */
    if (mkdir(path, 0700) == 0)
        return QUARTET_OK;
    int error = errno;
    struct stat st;
    if (error == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return QUARTET_OK;
    return fail_path(err, "make the directory", path, error);
}

static quartet_status posix_sync_dir(struct env *env, const char *path, struct err *err)
{
    (void)env; /* the table's signature */
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_path(err, "open the directory", path, errno);
    int rc;
    do
        rc = fsync(fd);
    while (rc != 0 && errno == EINTR);
    int error = errno;
    (void)close(fd); /* nothing was written through it */
    return rc == 0 ? QUARTET_OK : fail_errno(err, "sync the directory", path, error);
}

static bool posix_exists(struct env *env, const char *path)
{
    (void)env; /* the table's signature */
    struct stat st;
    return stat(path, &st) == 0;
}

struct names {
    char **at;
    size_t count;
    size_t cap;
};

static void names_deinit(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        mem_free(names->at[i]);
    mem_free(names->at);
}

static quartet_status names_add(struct names *names, const char *name, struct err *err)
{
    if (names->count == names->cap) {
        size_t cap = names->cap != 0 ? names->cap * 2u : 32u;
        char **at = mem_realloc(names->at, cap, sizeof *at);
        if (at == NULL)
            return err_nomem(err);
        names->at = at;
        names->cap = cap;
    }
    names->at[names->count] = mem_strdup(name);
    if (names->at[names->count] == NULL)
        return err_nomem(err);
    names->count++;
    return QUARTET_OK;
}

static int names_order(const void *a, const void *b)
{
    const char *const *x = a;
    const char *const *y = b;
    return strcmp(*x, *y);
}

static quartet_status posix_list(struct env *env, const char *path,
                                 quartet_status (*each)(void *arg, const char *name, struct err *err), void *arg,
                                 struct err *err)
{
    (void)env; /* the table's signature */
    struct names names = {0};
    quartet_status rc = QUARTET_OK;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* not opendir: ThreadSanitizer does not see that it makes a descriptor, and takes it for one that libuv closed */
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        int no = errno;
        if (fd >= 0)
            (void)close(fd); /* nothing was read */
        return fail_path(err, "list the directory", path, no);
    }
    while (rc == QUARTET_OK) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            if (errno != 0)
                rc = fail_errno(err, "list the directory", path, errno);
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = names_add(&names, entry->d_name, err);
    }
    (void)closedir(dir); /* only read */
    if (rc == QUARTET_OK && names.count > 1)
        qsort(names.at, names.count, sizeof *names.at, names_order);
    for (size_t i = 0; rc == QUARTET_OK && i < names.count; i++)
        rc = each(arg, names.at[i], err);
    names_deinit(&names);
    return rc;
}

static const struct env_ops POSIX_OPS = {
    .wall_us = posix_wall_us,
    .mono_ns = posix_mono_ns,
    .coarse_ns = posix_coarse_ns,
    .random = posix_random,
    .log = posix_log,
    .open = posix_open,
    .close = posix_close,
    .pread = posix_pread,
    .pwrite = posix_pwrite,
    .store = posix_store,
    .sync = posix_sync,
    .truncate = posix_truncate,
    .size = posix_size,
    .lock = posix_lock,
    .rename = posix_rename,
    .unlink = posix_unlink,
    .mkdir = posix_mkdir,
    .sync_dir = posix_sync_dir,
    .exists = posix_exists,
    .list = posix_list,
};

/* The process has one stderr, so what goes there is set once for the process, before threads start. */
static struct posix_log posix_log_settings = {.min_level = LOG_INFO};
static struct env posix_env = {.ops = &POSIX_OPS, .ctx = &posix_log_settings, .threads = true};

struct env *env_posix(void)
{
    return &posix_env;
}

void env_posix_set_log(int min_level, bool json)
{
    posix_log_settings = (struct posix_log){.min_level = min_level, .json = json};
}

/* disk.c - see disk.h: the record of calls, and the disks that could be found after a cut.
 * How: a disk is made by playing the record up to the cut. Each file has what is durable and a list of what is not; a sync folds the list into the durable part.
 *   What is left in the lists at the cut is decided by the seed.
 * Not here: the calls themselves (shim.c). */
#include "fault/disk_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/prng.h"

#define FDS_MAX 4096
#define FILES_MAX 4096
#define PATH_BYTES 512
#define SECTOR 512u
#define PAGE 4096u

enum op_kind { OP_MAKE, OP_DIR, OP_RENAME, OP_UNLINK, OP_WRITE, OP_SYNC, OP_SYNC_FAILED, OP_SYNC_DIR, OP_SIZE, OP_MARK };
static const char *const op_names[] = {"create", "mkdir", "rename", "unlink", "write", "sync", "failed sync", "sync of the directory", "truncate", "mark"};

struct op {
    enum op_kind kind;
    bool through; /* a write by O_DSYNC */
    int file;     /* or the kind of a mark */
    uint64_t offset;
    size_t n;
    uint8_t *data;
    char *path, *to; /* below the root */
};
struct name {
    char path[PATH_BYTES];
    int file; /* -1: a directory */
};
struct names {
    struct name *at;
    size_t count, cap;
};

pthread_mutex_t disk_lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    char root[PATH_BYTES];
    bool on;
    struct op *ops;
    size_t count, cap, first; /* ops before `first` only say what was there at the beginning */
    int files;
    struct names live;
    struct {
        int file; /* -1: none; -2: a directory */
        bool through;
        char path[PATH_BYTES];
    } fds[FDS_MAX];
    bool fds_ready;
    char other_fs[PATH_BYTES]; /* "": none */
    struct {
        unsigned kinds;
        uint64_t at, hits;
        int error;
        bool persists, partial;
        char text[PATH_BYTES + 64];
    } fault;
} disk;

static _Noreturn void give_up(const char *what, const char *path)
{
    fprintf(stderr, "disk: %s: %s: %s\n", what, path, strerror(errno));
    exit(2);
}

static void *grow(void *p, size_t n)
{
    void *grown = __real_realloc(p, n);
    if (grown == NULL)
        give_up("memory", "");
    return grown;
}

static char *text_copy(const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(grow(NULL, n), s, n);
}

/* ---- names ---- */

static struct name *names_find(const struct names *n, const char *path)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->at[i].path, path) == 0)
            return &n->at[i];
    return NULL;
}

static void names_put(struct names *n, const char *path, int file)
{
    struct name *x = names_find(n, path);
    if (x == NULL) {
        if (n->count == n->cap)
            n->at = grow(n->at, (n->cap = n->cap * 2 + 16) * sizeof *n->at);
        x = &n->at[n->count++];
        snprintf(x->path, sizeof x->path, "%s", path);
    }
    x->file = file;
}

static void names_drop(struct names *n, const char *path)
{
    struct name *x = names_find(n, path);
    if (x != NULL) {
        size_t i = (size_t)(x - n->at);
        memmove(x, x + 1, (--n->count - i) * sizeof *x);
    }
}

/* What is in a directory moves with it. What was made in it and was not durable when it was renamed stays lost: its sync comes under the new name. */
static void names_move(struct names *n, const char *from, const char *to)
{
    size_t len = strlen(from);
    for (size_t i = 0; i < n->count; i++) {
        char *path = n->at[i].path, moved[PATH_BYTES];
        if (strncmp(path, from, len) != 0 || path[len] != '/')
            continue;
        if (snprintf(moved, sizeof moved, "%s%s", to, path + len) >= (int)sizeof moved)
            give_up("a name is too long", path);
        snprintf(path, sizeof moved, "%s", moved);
    }
}

static void names_apply(struct names *n, const struct op *o)
{
    struct name *x;
    switch (o->kind) {
    case OP_MAKE: names_put(n, o->path, o->file); break;
    case OP_DIR: names_put(n, o->path, -1); break;
    case OP_UNLINK: names_drop(n, o->path); break;
    case OP_RENAME:
        if ((x = names_find(n, o->path)) != NULL) {
            int file = x->file;
            names_drop(n, o->path);
            names_put(n, o->to, file);
            if (file < 0)
                names_move(n, o->path, o->to);
        }
        break;
    default: break;
    }
}

/* ---- the record ---- */

static struct op *op_add(enum op_kind kind)
{
    if (disk.count == disk.cap)
        disk.ops = grow(disk.ops, (disk.cap = disk.cap * 2 + 256) * sizeof *disk.ops);
    struct op *o = &disk.ops[disk.count++];
    *o = (struct op){.kind = kind, .file = -1};
    return o;
}

static const char *below(const char *path)
{
    return path + strlen(disk.root) + 1;
}

static struct op *name_op(enum op_kind kind, const char *path)
{
    struct op *o = op_add(kind);
    o->path = text_copy(path);
    return o;
}

static int file_made(const char *path)
{
    struct op *o = name_op(OP_MAKE, path);
    if (disk.files == FILES_MAX) {
        errno = ENFILE;
        give_up("too many files", path);
    }
    o->file = disk.files++;
    names_apply(&disk.live, o);
    return o->file;
}

static void write_op(int file, const void *p, size_t n, uint64_t offset, bool through)
{
    struct op *o = op_add(OP_WRITE);
    *o = (struct op){.kind = OP_WRITE, .through = through, .file = file, .offset = offset, .n = n, .data = memcpy(grow(NULL, n), p, n)};
}

/* What was there before counts as durable. */
static void load_tree(const char *dir)
{
    DIR *d = opendir(dir);
    if (d == NULL)
        give_up("opendir", dir);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[PATH_BYTES * 2];
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (lstat(path, &st) != 0)
            give_up("stat", path);
        if (S_ISDIR(st.st_mode)) {
            names_apply(&disk.live, name_op(OP_DIR, below(path)));
            load_tree(path);
            continue;
        }
        int file = file_made(below(path)), fd = __real_open(path, O_RDONLY);
        uint8_t *bytes = grow(NULL, (size_t)st.st_size + 1);
        if (fd < 0 || read(fd, bytes, (size_t)st.st_size) != st.st_size)
            give_up("read", path);
        __real_close(fd);
        if (st.st_size > 0)
            write_op(file, bytes, (size_t)st.st_size, 0, true);
        free(bytes);
    }
    closedir(d);
}

void disk_forget(void)
{
    pthread_mutex_lock(&disk_lock);
    for (size_t i = 0; i < disk.count; i++) {
        free(disk.ops[i].data);
        free(disk.ops[i].path);
        free(disk.ops[i].to);
    }
    free(disk.ops);
    free(disk.live.at);
    disk.ops = NULL;
    disk.live = (struct names){0};
    disk.count = disk.cap = disk.first = 0;
    disk.files = 0;
    disk.on = false;
    pthread_mutex_unlock(&disk_lock);
}

void disk_watch(const char *root)
{
    disk_forget();
    pthread_mutex_lock(&disk_lock);
    snprintf(disk.root, sizeof disk.root, "%s", root);
    for (int i = 0; i < FDS_MAX; i++)
        disk.fds[i].file = -1;
    disk.fds_ready = true;
    disk.fault.kinds = 0;
    load_tree(root);
    disk.first = disk.count;
    disk.on = true;
    pthread_mutex_unlock(&disk_lock);
}

void disk_stop(void)
{
    pthread_mutex_lock(&disk_lock);
    disk.on = false;
    disk.fault.kinds = 0;
    pthread_mutex_unlock(&disk_lock);
}

size_t disk_moments(void)
{
    pthread_mutex_lock(&disk_lock);
    size_t n = disk.count - disk.first;
    pthread_mutex_unlock(&disk_lock);
    return n;
}

void disk_mark(int kind, uint64_t n)
{
    pthread_mutex_lock(&disk_lock);
    if (disk.on) {
        struct op *o = op_add(OP_MARK);
        o->file = kind;
        o->offset = n;
    }
    pthread_mutex_unlock(&disk_lock);
}

bool disk_is_dull(size_t moment)
{
    static const uint8_t zeros[PAGE];
    size_t i = disk.first + moment;
    if (moment == 0 || i >= disk.count)
        return false;
    const struct op *o = &disk.ops[i], *before = &disk.ops[i - 1];
    bool mark = o->kind == OP_MARK;
    return mark || (o->kind == OP_WRITE && before->kind == OP_WRITE && o->file == before->file && o->n == PAGE && before->n == PAGE &&
                    memcmp(o->data, zeros, PAGE) == 0 && memcmp(before->data, zeros, PAGE) == 0);
}

/* ---- faults ---- */

void disk_fail(unsigned kinds, uint64_t at, int error, bool persists, bool partial)
{
    pthread_mutex_lock(&disk_lock);
    disk.fault.kinds = at != 0 ? kinds : 0;
    disk.fault.at = at;
    disk.fault.error = error;
    disk.fault.persists = persists;
    disk.fault.partial = partial;
    if (at != 0) {
        disk.fault.hits = 0;
        disk.fault.text[0] = '\0';
    }
    pthread_mutex_unlock(&disk_lock);
}

uint64_t disk_fail_hits(void)
{
    pthread_mutex_lock(&disk_lock);
    uint64_t n = disk.fault.hits;
    pthread_mutex_unlock(&disk_lock);
    return n;
}

const char *disk_fail_text(void)
{
    return disk.fault.text;
}

bool disk_strikes(enum disk_call kind, const char *name, const char *path, bool *partial)
{
    *partial = false;
    if (!disk.on || (disk.fault.kinds & (unsigned)kind) == 0 || disk.fault.at == 0)
        return false;
    if (disk.fault.at > 1) {
        disk.fault.at--;
        return false;
    }
    if (disk.fault.hits++ == 0)
        snprintf(disk.fault.text, sizeof disk.fault.text, "%s of %s", name, path);
    /* A write that is cut short is no failure yet: the call after it is, if any. */
    *partial = disk.fault.partial && disk.fault.hits == 1;
    if (!disk.fault.persists && !*partial)
        disk.fault.at = 0;
    if (disk.fault.partial && disk.fault.error == 0)
        disk.fault.at = 0; /* short, and that was all */
    errno = disk.fault.error;
    return true;
}

void disk_other_fs(const char *dir)
{
    pthread_mutex_lock(&disk_lock);
    snprintf(disk.other_fs, sizeof disk.other_fs, "%s", dir != NULL ? dir : "");
    pthread_mutex_unlock(&disk_lock);
}

/* ---- what shim.c tells ---- */

static bool is_other_fs(const char *path)
{
    size_t n = strlen(disk.other_fs);
    return n > 0 && strncmp(below(path), disk.other_fs, n) == 0 && below(path)[n] == '/';
}

bool disk_across(const char *from, const char *to)
{
    return is_other_fs(from) != is_other_fs(to);
}

bool disk_inside(const char *path)
{
    size_t n = strlen(disk.root);
    return disk.on && strncmp(path, disk.root, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

bool disk_fd_inside(int fd)
{
    return disk.on && fd >= 0 && fd < FDS_MAX && disk.fds[fd].file != -1;
}

const char *disk_fd_path(int fd)
{
    return disk.fds[fd].path;
}

void disk_opened(int fd, const char *path, int flags, bool made)
{
    if (fd >= FDS_MAX)
        give_up("too many descriptors", path);
    bool is_root = strlen(path) == strlen(disk.root);
    const char *name = is_root ? "" : below(path);
    const struct name *x = names_find(&disk.live, name);
    int file = is_root || (x != NULL && x->file < 0) ? -2 : x != NULL ? x->file : made ? file_made(name) : -1;
    disk.fds[fd].file = file;
    disk.fds[fd].through = (flags & (O_DSYNC | O_SYNC)) != 0;
    snprintf(disk.fds[fd].path, sizeof disk.fds[fd].path, "%s", name);
}

void disk_closed(int fd)
{
    if (disk.fds_ready && fd >= 0 && fd < FDS_MAX)
        disk.fds[fd].file = -1;
}

void disk_wrote(int fd, const void *p, size_t n, uint64_t offset)
{
    if (disk.fds[fd].file >= 0)
        write_op(disk.fds[fd].file, p, n, offset, disk.fds[fd].through);
}

void disk_synced(int fd, bool good)
{
    if (disk.fds[fd].file == -2) {
        if (good)
            (void)name_op(OP_SYNC_DIR, disk.fds[fd].path);
        return;
    }
    op_add(good ? OP_SYNC : OP_SYNC_FAILED)->file = disk.fds[fd].file;
}

void disk_sized(int fd, uint64_t bytes)
{
    struct op *o = op_add(OP_SIZE);
    o->file = disk.fds[fd].file;
    o->offset = bytes;
}

void disk_renamed(const char *from, const char *to)
{
    struct op *o = name_op(OP_RENAME, below(from));
    o->to = text_copy(below(to));
    names_apply(&disk.live, o);
}

void disk_unlinked(const char *path)
{
    names_apply(&disk.live, name_op(OP_UNLINK, below(path)));
}

void disk_made_dir(const char *path)
{
    names_apply(&disk.live, name_op(OP_DIR, below(path)));
}

/* ---- disks after a cut ---- */

struct waiting { /* a write or change of size that is not durable for certain */
    const struct op *op;
    bool must;  /* it is, but something before it may not be */
    bool never; /* a sync failed since */
};
struct content {
    uint8_t *bytes;
    size_t size, cap;
    struct waiting *waits;
    size_t count, wait_cap;
};
struct cutting {
    struct content *files;
    struct names names;
    const struct op **name_ops; /* not durable, in order */
    size_t name_count, name_cap;
    struct prng prng;
    bool all;
    int mode;
    const struct op *torn; /* MODE_IN_ORDER: what was written before it is there, what came after is not */
};
enum { MODE_NONE, MODE_ALL, MODE_SECTORS, MODE_WHOLE, MODE_IN_ORDER, MODE_FEW_LOST, MODES };

static void content_size(struct content *c, size_t size)
{
    if (size > c->cap)
        c->bytes = grow(c->bytes, c->cap = size + size / 2 + PAGE);
    if (size > c->size)
        memset(c->bytes + c->size, 0, size - c->size);
    c->size = size;
}

static void content_write(struct content *c, uint64_t offset, const uint8_t *p, size_t n)
{
    if (offset + n > c->size)
        content_size(c, (size_t)offset + n);
    memcpy(c->bytes + offset, p, n);
}

static void content_apply(struct content *c, const struct op *o)
{
    if (o->kind == OP_SIZE)
        content_size(c, (size_t)o->offset);
    else
        content_write(c, o->offset, o->data, o->n);
}

static void content_wait(struct content *c, const struct op *o, bool must)
{
    if (must && c->count == 0) {
        content_apply(c, o);
        return;
    }
    if (c->count == c->wait_cap)
        c->waits = grow(c->waits, (c->wait_cap = c->wait_cap * 2 + 64) * sizeof *c->waits);
    c->waits[c->count++] = (struct waiting){.op = o, .must = must};
}

static void content_sync(struct content *c, bool good)
{
    bool doubt = false;
    for (size_t i = 0; i < c->count; i++) {
        if (!good)
            c->waits[i].never |= !c->waits[i].must;
        else if (!c->waits[i].never)
            c->waits[i].must = true;
        doubt |= c->waits[i].never;
    }
    if (!good || doubt)
        return;
    for (size_t i = 0; i < c->count; i++)
        content_apply(c, c->waits[i].op);
    c->count = 0;
}

static bool in_dir(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    const char *slash = strrchr(path, '/');
    return slash == NULL ? n == 0 : (size_t)(slash - path) == n && strncmp(path, dir, n) == 0;
}

static void names_sync(struct cutting *c, const char *dir)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->name_count; i++)
        if (in_dir(c->name_ops[i]->path, dir))
            names_apply(&c->names, c->name_ops[i]);
        else
            c->name_ops[kept++] = c->name_ops[i];
    c->name_count = kept;
}

/* One call; `whole` false: it had only begun. */
static void play(struct cutting *c, const struct op *o, bool whole, struct disk_cut *cut)
{
    switch (o->kind) {
    case OP_MAKE:
    case OP_DIR:
    case OP_RENAME:
    case OP_UNLINK:
        if (c->name_count == c->name_cap)
            c->name_ops = grow(c->name_ops, (c->name_cap = c->name_cap * 2 + 64) * sizeof *c->name_ops);
        c->name_ops[c->name_count++] = o;
        break;
    case OP_WRITE:
    case OP_SIZE: content_wait(&c->files[o->file], o, o->through && whole); break;
    case OP_SYNC:
    case OP_SYNC_FAILED:
        if (whole && !cut->lie)
            content_sync(&c->files[o->file], o->kind == OP_SYNC);
        break;
    case OP_SYNC_DIR:
        if (whole)
            names_sync(c, o->path);
        break;
    case OP_MARK:
        if (whole)
            cut->marks[o->file & 3] = o->offset;
        break;
    }
}

/* Is this sector of the write there? */
static bool sector_kept(struct cutting *c, const struct op *o, bool fate)
{
    switch (c->mode) {
    case MODE_NONE: return false;
    case MODE_ALL: return true;
    case MODE_SECTORS: return prng_chance(&c->prng, 0.5);
    case MODE_WHOLE: return fate;
    case MODE_IN_ORDER: return o == c->torn ? prng_chance(&c->prng, 0.5) : o < c->torn;
    default: return fate || prng_chance(&c->prng, 0.7);
    }
}

static void settle_write(struct cutting *c, struct content *f, const struct op *o)
{
    bool fate = prng_chance(&c->prng, c->mode == MODE_FEW_LOST ? 0.9 : 0.5);
    for (size_t at = 0; at < o->n;) {
        size_t part = SECTOR - (size_t)((o->offset + at) % SECTOR);
        part = part < o->n - at ? part : o->n - at;
        if (sector_kept(c, o, fate))
            content_write(f, o->offset + at, o->data + at, part);
        at += part;
    }
    if (c->mode != MODE_NONE && o->offset + o->n > f->size && prng_chance(&c->prng, 0.3))
        content_size(f, (size_t)(o->offset + o->n)); /* longer already, with nothing in it */
}

static void settle(struct cutting *c)
{
    size_t first = SIZE_MAX, last = 0, files = (size_t)disk.files;
    for (size_t k = 0; k < files; k++)
        for (size_t i = 0; i < c->files[k].count; i++) {
            size_t at = (size_t)(c->files[k].waits[i].op - disk.ops);
            first = at < first ? at : first;
            last = at > last ? at : last;
        }
    c->torn = first <= last ? disk.ops + first + prng_below(&c->prng, last - first + 1) : disk.ops;
    for (size_t k = 0; k < files; k++)
        for (size_t i = 0; i < c->files[k].count; i++) {
            const struct waiting *w = &c->files[k].waits[i];
            if (w->must || c->all)
                content_apply(&c->files[k], w->op);
            else if (w->op->kind == OP_WRITE)
                settle_write(c, &c->files[k], w->op);
            else if (sector_kept(c, w->op, prng_chance(&c->prng, 0.5)))
                content_apply(&c->files[k], w->op);
        }
    size_t names = c->all || prng_chance(&c->prng, 0.4) ? c->name_count : (size_t)prng_below(&c->prng, c->name_count + 1);
    for (size_t i = 0; i < names; i++)
        names_apply(&c->names, c->name_ops[i]);
}

static void write_out(const char *path, const struct content *f)
{
    int fd = __real_open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)f->size) != 0)
        give_up("create", path);
    for (size_t at = 0; at < f->size; at += PAGE) {
        size_t n = f->size - at < PAGE ? f->size - at : PAGE;
        if (f->bytes[at] == 0 && memcmp(f->bytes + at, f->bytes + at + 1, n - 1) == 0)
            continue; /* a hole */
        if (pwrite(fd, f->bytes + at, n, (off_t)at) != (ssize_t)n)
            give_up("write", path);
    }
    __real_close(fd);
}

/* Directories before what is in them, whatever the order in which the names became durable: as many rounds as they are deep. */
static void write_tree(const struct cutting *c, const char *to)
{
    char path[PATH_BYTES * 2];
    if (mkdir(to, 0700) != 0)
        give_up("mkdir", to);
    for (int pass = -2; pass < 2; pass++)
        for (size_t i = 0; i < c->names.count; i++) {
            const struct name *x = &c->names.at[i];
            snprintf(path, sizeof path, "%s/%s", to, x->path);
            if (pass <= 0 && x->file < 0 && mkdir(path, 0700) != 0 && errno != ENOENT && errno != EEXIST)
                give_up("mkdir", path);
            char *slash = strrchr(path, '/');
            *slash = '\0';
            bool parent = access(path, F_OK) == 0; /* a directory that is lost takes what was in it along */
            *slash = '/';
            if (pass == 1 && x->file >= 0 && parent)
                write_out(path, &c->files[x->file]);
        }
}

void disk_build(struct disk_cut *cut, const char *to)
{
    struct cutting c = {.files = grow(NULL, (size_t)(disk.files + 1) * sizeof *c.files), .all = cut->seed == 0};
    memset(c.files, 0, (size_t)(disk.files + 1) * sizeof *c.files);
    memset(cut->marks, 0, sizeof cut->marks);
    prng_seed(&c.prng, cut->seed);
    c.mode = (int)prng_below(&c.prng, MODES);
    for (size_t i = 0; i < disk.first; i++) {
        names_apply(&c.names, &disk.ops[i]);
        if (disk.ops[i].kind == OP_WRITE)
            content_apply(&c.files[disk.ops[i].file], &disk.ops[i]);
    }
    size_t end = disk.first + cut->moment;
    for (size_t i = disk.first; i < end; i++)
        play(&c, &disk.ops[i], true, cut);
    snprintf(cut->what, sizeof cut->what, "the end");
    if (end < disk.count) {
        const struct op *o = &disk.ops[end];
        snprintf(cut->what, sizeof cut->what, "%s%s file %d, offset %llu, %zu bytes", op_names[o->kind], o->through ? " through" : "", o->file,
                 (unsigned long long)o->offset, o->n);
        if (!c.all)
            play(&c, o, false, cut);
    }
    settle(&c);
    write_tree(&c, to);
    for (int k = 0; k < disk.files; k++) {
        free(c.files[k].bytes);
        free(c.files[k].waits);
    }
    free(c.files);
    free(c.names.at);
    free(c.name_ops);
}

/* ---- trees ---- */

void disk_remove_tree(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char inner[PATH_BYTES * 2];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
        if (unlink(inner) != 0)
            disk_remove_tree(inner);
    }
    if (d != NULL)
        closedir(d);
    (void)rmdir(path); /* what cannot be removed is in the way later, and told there */
}

static void copy_file(const char *from, const char *to)
{
    static uint8_t bytes[1 << 16];
    int in = __real_open(from, O_RDONLY), out = __real_open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t n = -1;
    if (in < 0 || out < 0)
        give_up("copy", from);
    while ((n = read(in, bytes, sizeof bytes)) > 0)
        if (write(out, bytes, (size_t)n) != n)
            give_up("copy", to);
    if (n < 0)
        give_up("copy", from);
    __real_close(in);
    __real_close(out);
}

void disk_copy_tree(const char *from, const char *to)
{
    DIR *d = opendir(from);
    if (d == NULL || (mkdir(to, 0700) != 0 && errno != EEXIST))
        give_up("copy", from);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char a[PATH_BYTES * 2], b[PATH_BYTES * 2];
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(a, sizeof a, "%s/%s", from, e->d_name);
        snprintf(b, sizeof b, "%s/%s", to, e->d_name);
        if (lstat(a, &st) != 0)
            give_up("stat", a);
        if (S_ISDIR(st.st_mode))
            disk_copy_tree(a, b);
        else
            copy_file(a, b);
    }
    closedir(d);
}

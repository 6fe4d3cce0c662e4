/* test_flip.c - damaged files: a bit flipped, a page of rubbish, a file cut short, emptied, missing, or that of another database; of a database that was closed
 * and of one that was killed. Opening and reading it all must either give exactly what was written, or fail with an error that names the file.
 * Never a crash, a hang, a wrong row. (Of a killed database the last commit may be lost: nothing tells its record from one that was torn.)
 *   fault-flip [--seed N] [--trials N] [--only N]
 * Each trial runs in a process of its own. --only N does trial N again, in this process. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/prng.h"
#include "fault/disk.h"
#include "fault/work.h"

#define FILES_MAX 32
#define SECONDS_MAX 60

enum verdict { SAME, REFUSED, EARLIER, DIFFERENT, UNCLEAR, VERDICTS };
static const char *const verdicts[] = {"same", "refused", "without the last commit", "DIFFERENT ROWS", "REFUSED WITHOUT A NAME"};
enum damage { FLIP, PAGE, SHORT, EMPTY, MISSING, FOREIGN, DAMAGES };
static const char *const damages[] = {"bit flipped", "rubbish", "cut short", "emptied", "missing", "of another database"};

struct run {
    uint64_t seed, trials, only;
    struct script script;
    uint32_t before_last; /* the state before the last step that changed anything */
    char dir[512], closed[600], killed[600], other[600];
    char files[FILES_MAX][64];
    uint32_t file_count;
    uint64_t counts[DAMAGES][VERDICTS];
    int failures;
};

static void path_of(char *out, size_t n, const char *dir, const char *name)
{
    if (snprintf(out, n, "%s/%s", dir, name) >= (int)n)
        exit(2);
}

/* Run the script in dir/db; `killed` (may be NULL) gets the files as they are before the end. */
static void make(const struct script *s, const char *dir, const char *killed)
{
    struct work w = {.env = env_posix(), .options = {.buffer_bytes = 16 << 10}};
    struct err err = ERR_INIT;
    path_of(w.path, sizeof w.path, dir, "db");
    quartet_status rc = mkdir(dir, 0700) == 0 ? work_open(&w, &err) : QUARTET_IO;
    for (uint32_t i = 0; rc == QUARTET_OK && i < s->count; i++)
        rc = script_step(s, i, &w, &err);
    if (rc == QUARTET_OK && killed != NULL)
        disk_copy_tree(dir, killed);
    if (rc == QUARTET_OK)
        rc = work_close(&w, &err);
    if (rc != QUARTET_OK) {
        fprintf(stderr, "flip: the database cannot be made: %s\n", err.text);
        exit(2);
    }
}

static void list(struct run *r, const char *dir, const char *prefix)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char path[700], name[64];
        struct stat st;
        if (e->d_name[0] == '.' || snprintf(name, sizeof name, "%s%s", prefix, e->d_name) >= (int)sizeof name)
            continue;
        path_of(path, sizeof path, dir, e->d_name);
        if (stat(path, &st) != 0)
            exit(2);
        if (S_ISDIR(st.st_mode)) {
            char deeper[72];
            snprintf(deeper, sizeof deeper, "%s/", name);
            list(r, path, deeper);
        } else if (r->file_count < FILES_MAX) {
            snprintf(r->files[r->file_count++], sizeof r->files[0], "%s", name);
        }
    }
    if (d != NULL)
        closedir(d);
}

static void change(const char *path, uint64_t at, const uint8_t *p, size_t n)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0 || pwrite(fd, p, n, (off_t)at) != (ssize_t)n || close(fd) != 0)
        exit(2);
}

/* Most of a log is zeros made ahead, most of a base are blocks with checksums: damage where something is, in a base mostly in LMDB's own pages. */
static uint64_t place(struct prng *p, const char *path, uint64_t size)
{
    uint8_t byte = 0, head[16] = {0};
    uint64_t at = 0;
    bool own = strstr(path, "base.mdb") != NULL && size >= 8192 && prng_chance(p, 0.7);
    int fd = open(path, O_RDONLY);
    for (int tries = 0; fd >= 0 && tries < 200 && byte == 0; tries++) {
        at = prng_chance(p, 0.2) ? prng_below(p, size < 8192 ? size : 8192) : prng_below(p, size);
        if (own && (pread(fd, head, sizeof head, (off_t)(at / 4096 * 4096)) != sizeof head || (head[10] & 11) == 0))
            continue; /* branch, leaf and meta pages say so in their flags */
        if (own && prng_chance(p, 0.3))
            at = at / 4096 * 4096 + prng_below(p, 64);
        if (pread(fd, &byte, 1, (off_t)at) != 1)
            break;
    }
    close(fd);
    return at;
}

static void damage_file(struct run *r, struct prng *p, enum damage how, const char *path, const char *other, char *what, size_t n)
{
    struct stat st;
    if (stat(path, &st) != 0)
        exit(2);
    uint64_t size = (uint64_t)st.st_size, at = size > 0 ? place(p, path, size) : 0;
    uint8_t page[4096], byte;
    (void)r;
    switch (how) {
    case FLIP:
        if (size > 0) {
            int fd = open(path, O_RDONLY);
            if (fd < 0 || pread(fd, &byte, 1, (off_t)at) != 1)
                exit(2);
            close(fd);
            byte ^= (uint8_t)(1u << prng_below(p, 8));
            change(path, at, &byte, 1);
        }
        break;
    case PAGE:
        at = at / 4096 * 4096;
        if (prng_chance(p, 0.5))
            prng_fill(p, page, sizeof page);
        else
            memset(page, 0, sizeof page);
        if (size > 0)
            change(path, at, page, size - at < 4096 ? (size_t)(size - at) : 4096);
        break;
    case SHORT:
        if (truncate(path, (off_t)at) != 0)
            exit(2);
        break;
    case EMPTY:
        at = 0;
        if (truncate(path, 0) != 0)
            exit(2);
        break;
    case MISSING:
        at = 0;
        if (unlink(path) != 0)
            exit(2);
        break;
    default:
        at = 0;
        (void)unlink(path);
        if (access(other, F_OK) == 0) {
            FILE *in = fopen(other, "rb"), *out = fopen(path, "wb");
            static char bytes[1 << 16];
            for (size_t got; in != NULL && out != NULL && (got = fread(bytes, 1, sizeof bytes, in)) > 0;)
                fwrite(bytes, 1, got, out);
            if (in == NULL || out == NULL || fclose(in) != 0 || fclose(out) != 0)
                exit(2);
        }
        break;
    }
    snprintf(what, n, "%s at %llu", damages[how], (unsigned long long)at);
}

/* Does the error name a file or place? */
static enum verdict refused(const struct err *err, const char *path)
{
    bool clear = strstr(err->text, path) != NULL || strstr(err->text, "base.mdb") != NULL || strstr(err->text, "/log") != NULL;
    printf("%s    %s: %s\n", clear ? "" : "  ", status_name(err->code), err->text);
    return clear && err->code != QUARTET_INTERNAL ? REFUSED : UNCLEAR;
}

static enum verdict look(const struct run *r, const char *dir, bool killed)
{
    struct work w = {.env = env_posix(), .options = {.buffer_bytes = 16 << 10}};
    struct err err = ERR_INIT;
    struct buf dump = {0};
    char why[600];
    path_of(w.path, sizeof w.path, dir, "db");
    if (work_open(&w, &err) != QUARTET_OK)
        return refused(&err, w.path);
    enum verdict v = SAME;
    if (work_dump(&w, &dump, &err) != QUARTET_OK) {
        v = refused(&err, w.path);
    } else if (script_state(&r->script, &dump, r->script.count, r->script.count) < 0) {
        v = killed && script_state(&r->script, &dump, r->before_last, r->before_last) >= 0 ? EARLIER : DIFFERENT;
        if (v == DIFFERENT)
            script_explain(&r->script, &dump, r->script.count);
    } else if (!work_consistent(&w, why, sizeof why)) {
        snprintf(err.text, sizeof err.text, "%.500s", why);
        v = strstr(why, "cannot be read") != NULL ? refused(&err, w.path) : DIFFERENT;
        if (v == DIFFERENT)
            printf("    %s\n", why);
    }
    buf_deinit(&dump);
    err = ERR_INIT;
    if (work_close(&w, &err) != QUARTET_OK && v != REFUSED)
        v = refused(&err, w.path);
    return v;
}

/* In a process of its own, since damage may end it. -1: it did. */
static int look_apart(const struct run *r, const char *dir, bool killed, char *how, size_t n)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(SECONDS_MAX);
        exit((int)look(r, dir, killed));
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        exit(2);
    if (WIFEXITED(status) && WEXITSTATUS(status) < VERDICTS)
        return WEXITSTATUS(status);
    snprintf(how, n, "it ended by %s %d", WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return -1;
}

static void trial(struct run *r, uint64_t n)
{
    struct prng p;
    char image[600], path[700], other[700], what[200], how[100] = "";
    prng_seed(&p, r->seed * 1000003 + n);
    bool killed = prng_chance(&p, 0.5);
    const char *file = r->files[prng_below(&p, r->file_count)];
    if (prng_chance(&p, 0.5))
        file = "db/base.mdb";
    enum damage d = prng_chance(&p, 0.6) ? FLIP : (enum damage)prng_below(&p, DAMAGES);
    path_of(image, sizeof image, r->dir, "image");
    disk_copy_tree(killed ? r->killed : r->closed, image);
    path_of(path, sizeof path, image, file);
    path_of(other, sizeof other, r->other, file);
    if (access(path, F_OK) == 0) {
        damage_file(r, &p, d, path, other, what, sizeof what);
        int v = r->only != UINT64_MAX ? (int)look(r, image, killed) : look_apart(r, image, killed, how, sizeof how);
        if (v >= 0)
            r->counts[d][v]++;
        if (v < 0 || v == DIFFERENT || v == UNCLEAR || (v == EARLIER && strstr(file, "log/") == NULL)) {
            printf("FAILED: seed %llu, trial %llu: %s of a %s database: %s: %s\n", (unsigned long long)r->seed, (unsigned long long)n, file,
                   killed ? "killed" : "closed", what, v < 0 ? how : verdicts[v]);
            r->failures++;
        }
    }
    disk_remove_tree(image);
}

static void setup(struct run *r)
{
    static struct script second;
    script_make(&r->script, r->seed, 60, true);
    script_make(&second, r->seed + 1, 30, true);
    r->before_last = r->script.count;
    while (r->before_last > 0 && script_state(&r->script, &r->script.state[r->before_last], r->script.count, r->script.count) >= 0)
        r->before_last--;
    work_dir_begin(r->dir, sizeof r->dir, "flip");
    path_of(r->closed, sizeof r->closed, r->dir, "closed");
    path_of(r->killed, sizeof r->killed, r->dir, "killed");
    path_of(r->other, sizeof r->other, r->dir, "other");
    make(&r->script, r->closed, r->killed);
    make(&second, r->other, NULL);
    script_free(&second);
    list(r, r->closed, "");
}

int main(int argc, char **argv)
{
    static struct run r; /* large */
    const char *seed = getenv("QUARTET_SEED");
    r = (struct run){.seed = seed != NULL ? strtoull(seed, NULL, 10) : 1, .trials = 300, .only = UINT64_MAX};
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t *to = strcmp(argv[i], "--seed") == 0     ? &r.seed
                       : strcmp(argv[i], "--trials") == 0 ? &r.trials
                       : strcmp(argv[i], "--only") == 0   ? &r.only
                                                          : NULL;
        if (to == NULL)
            return fprintf(stderr, "usage: fault-flip [--seed N] [--trials N] [--only N]\n"), 2;
        *to = strtoull(argv[i + 1], NULL, 10);
    }
    env_posix_set_log(4, false); /* what the engine tells of damage is looked at where it is returned */
    setup(&r);
    if (r.only != UINT64_MAX)
        trial(&r, r.only);
    for (uint64_t n = 0; r.only == UINT64_MAX && n < r.trials && r.failures < 20; n++)
        trial(&r, n);
    for (int d = 0; d < DAMAGES; d++)
        printf("flip: %s: %llu the same, %llu refused, %llu without the last commit\n", damages[d], (unsigned long long)r.counts[d][SAME],
               (unsigned long long)r.counts[d][REFUSED], (unsigned long long)r.counts[d][EARLIER]);
    work_dir_end(r.dir);
    script_free(&r.script);
    return r.failures > 0;
}

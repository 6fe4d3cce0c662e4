/* test_jobs.c - faults inside BACKUP, VACUUM, COPY TO, COPY FROM, `quartet restore` and `quartet verify`: the Nth allocation, read, write, sync, ... of the job fails, for
 * N = 1, 2, ...; and power goes at any moment of the job and of the commits after it. After each: the job said so with its code, or had done its work; what was
 * acknowledged is there; the same handle goes on, or says that the database is to be opened again; nothing that is half done has the name of a whole backup, database or file; no
 * file is left that is nobody's.
 *   fault-jobs [--seed N] [--job NAME] [--kind NAME] [--stride N] [--from N] [--to N] [--cuts N]
 * With a stride only about each N-th call is tried, chosen by the seed. --cuts: so many disks after cuts of a job without another fault. Prints what replays a failure. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/prng.h"
#include "fault/disk.h"
#include "fault/kinds.h"
#include "fault/work.h"
#include "quartet.h"

#define ROWS 500
#define COPIED 300
#define WAIT_S 10
enum { MARK_COMMITTED, MARK_STARTED, MARK_ENDED };

struct run;
struct job {
    const char *name;
    int (*run)(struct run *r, char **errmsg);
    bool alone;        /* nobody may have the database open */
    const char *makes; /* below the watched directory; NULL: nothing */
};
struct run {
    const struct job *job;
    const struct fault_kind *kind; /* NULL: none, only cuts */
    uint64_t seed, n;
    struct prng prng;
    char dir[512], template[600], live[600], db[700];
    struct buf rows;    /* of the template's table, as text */
    struct buf csv;     /* what COPY TO writes */
    quartet_db *q;
    uint64_t committed; /* markers that were acknowledged */
    bool hit, failed, done;
    char what[600];     /* the call that failed */
    char finding[400];  /* of verify */
};

static void fail(struct run *r, const char *when, const char *what)
{
    printf("FAILED: seed %llu, %s, %s, call %llu (%s): %s: %s\n", (unsigned long long)r->seed, r->job->name, r->kind != NULL ? r->kind->name : "cut",
           (unsigned long long)r->n, r->kind != NULL && r->kind->calls != 0 ? r->what : "allocation", when, what);
    r->failed = true;
}

static _Noreturn void give_up(const char *what, const char *text)
{
    fprintf(stderr, "jobs: %s: %s\n", what, text);
    exit(2);
}

static void path_of(char *out, size_t n, const char *dir, const char *name)
{
    if (snprintf(out, n, "%s/%s", dir, name) >= (int)n)
        exit(2);
}

static bool is_there(const char *dir, const char *name)
{
    char path[900];
    struct stat st;
    path_of(path, sizeof path, dir, name);
    return lstat(path, &st) == 0;
}

/* ---- the public interface ---- */

static int add_row(void *arg, int columns, char **values, char **names)
{
    struct buf *out = arg;
    (void)names;
    for (int i = 0; i < columns; i++)
        buf_printf(out, "%s%s", values[i] != NULL ? values[i] : "NULL", i + 1 < columns ? "," : "\n");
    return 0;
}

static int sql(quartet_db *q, const char *text, struct buf *rows)
{
    return quartet_exec(q, text, rows != NULL ? add_row : NULL, rows, NULL);
}

static int open_db(const char *path, quartet_db **q)
{
    int rc = quartet_open(path, q);
    return rc == QUARTET_OK ? sql(*q, "SET buffer_bytes = 65536", NULL) : rc; /* so that the commits after the job are flushed */
}

static bool same(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* Is it what it should be, from `least` to `most` markers? `c`: COPY FROM may have filled it. */
static bool content(struct run *r, quartet_db *q, const char *when, uint64_t least, uint64_t most, bool must_copied, bool may_copied)
{
    struct buf rows = {0}, rest = {0};
    char text[200];
    unsigned long long markers = 0, top = 0, copied = 0, sum = 0;
    bool good = false;
    if (sql(q, "SELECT id, v, n, u FROM t ORDER BY id", &rows) != QUARTET_OK ||
        sql(q, "SELECT (SELECT count(*) FROM marks), (SELECT coalesce(max(n), 0) FROM marks), (SELECT count(*) FROM c), (SELECT coalesce(sum(id), 0) FROM c)", &rest) !=
            QUARTET_OK) {
        fail(r, when, quartet_errmsg(q));
    } else {
        buf_u8(&rest, 0);
        bool read = sscanf((const char *)rest.data, "%llu,%llu,%llu,%llu", &markers, &top, &copied, &sum) == 4;
        snprintf(text, sizeof text, "%llu markers up to %llu, not %llu to %llu; %llu rows copied", markers, top, (unsigned long long)least, (unsigned long long)most, copied);
        bool whole = copied == 0 ? !must_copied : may_copied && copied == COPIED && sum == COPIED * (COPIED + 1) / 2;
        if (!same(&rows, &r->rows))
            fail(r, when, "the rows are not those that were committed");
        else if (!read || markers != top || markers < least || markers > most || !whole)
            fail(r, when, text);
        else
            good = true;
    }
    buf_deinit(&rows);
    buf_deinit(&rest);
    return good;
}

static bool is_copy_from(const struct run *r)
{
    return strcmp(r->job->name, "copy-from") == 0;
}

/* ---- the jobs ---- */

/* `before` the path of `name` in quotes. */
static int by_sql(struct run *r, const char *before, const char *name, char **errmsg)
{
    char text[900];
    snprintf(text, sizeof text, "%s '%s/%s'", before, r->live, name);
    return quartet_exec(r->q, text, NULL, NULL, errmsg);
}

static int run_backup(struct run *r, char **errmsg)
{
    return by_sql(r, "BACKUP TO", "backup", errmsg);
}

static int run_vacuum(struct run *r, char **errmsg)
{
    return quartet_exec(r->q, "VACUUM", NULL, NULL, errmsg);
}

static int run_copy_to(struct run *r, char **errmsg)
{
    return by_sql(r, "COPY t (id, v, u) TO", "out.csv", errmsg);
}

static int run_copy_from(struct run *r, char **errmsg)
{
    return by_sql(r, "COPY c FROM", "in.csv", errmsg);
}

static int run_restore(struct run *r, char **errmsg)
{
    char from[700], to[700];
    path_of(from, sizeof from, r->live, "whole");
    path_of(to, sizeof to, r->live, "restored");
    return quartet_restore(from, to, errmsg);
}

static void note_finding(void *arg, const struct quartet_finding *f)
{
    struct run *r = arg;
    snprintf(r->finding, sizeof r->finding, "; %s: %.300s", f->file, f->what);
}

static int run_verify(struct run *r, char **errmsg)
{
    return quartet_verify(r->db, note_finding, r, NULL, errmsg);
}

static int run_verify_backup(struct run *r, char **errmsg)
{
    char path[700];
    path_of(path, sizeof path, r->live, "whole");
    return quartet_verify(path, note_finding, r, NULL, errmsg);
}

static const struct job jobs[] = {
    {"backup", run_backup, false, "backup"},      {"vacuum", run_vacuum, false, NULL},   {"copy-to", run_copy_to, false, "out.csv"}, {"copy-from", run_copy_from, false, NULL},
    {"restore", run_restore, false, "restored"}, {"verify", run_verify, true, NULL}, {"verify-backup", run_verify_backup, false, NULL},
};
#define JOBS (sizeof jobs / sizeof *jobs)

/* ---- what is there before ---- */

static void put_file(const char *path, const struct buf *b)
{
    FILE *f = fopen(path, "w");
    if (f == NULL || (b->len > 0 && fwrite(b->data, b->len, 1, f) != 1) || fclose(f) != 0)
        give_up(path, strerror(errno));
}

static void get_file(const char *path, struct buf *b)
{
    char part[4096];
    size_t n;
    FILE *f = fopen(path, "r");
    while (f != NULL && (n = fread(part, 1, sizeof part, f)) > 0)
        buf_put(b, part, n);
    if (f == NULL || fclose(f) != 0)
        give_up(path, strerror(errno));
}

static void must(quartet_db *q, const char *text, struct buf *rows)
{
    if (sql(q, text, rows) != QUARTET_OK)
        give_up(text, quartet_errmsg(q));
}

static void put_rows(struct run *r, struct buf *out)
{
    buf_str(out, "INSERT INTO t (id, v, u) VALUES ");
    for (int i = 1; i <= ROWS; i++) {
        buf_printf(out, "%s(%d, '", i > 1 ? ", " : "", i * 7);
        for (uint64_t k = prng_below(&r->prng, 400); k > 0; k--)
            buf_u8(out, (uint8_t)('a' + prng_below(&r->prng, 26)));
        buf_printf(out, "', 'u%d')", i);
    }
    buf_u8(out, 0);
}

static void make_template(struct run *r)
{
    struct buf text = {0}, in = {0};
    char path[700], out[900];
    quartet_db *q = NULL;
    if (mkdir(r->template, 0700) != 0)
        give_up(r->template, strerror(errno));
    path_of(path, sizeof path, r->template, "db");
    if (open_db(path, &q) != QUARTET_OK)
        give_up(path, quartet_errmsg(q));
    put_rows(r, &text);
    must(q, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n INTEGER COUNTER DEFAULT 0, u TEXT UNIQUE); CREATE INDEX t_v ON t (v); CREATE TABLE c (id INTEGER PRIMARY KEY, v TEXT);"
            "CREATE TABLE marks (n INTEGER PRIMARY KEY, pad TEXT)", NULL);
    must(q, (const char *)text.data, NULL);
    must(q, "UPDATE t SET n = n + id WHERE id % 3 = 0; DELETE FROM t WHERE id % 5 = 2; UPDATE t SET v = 'changed' WHERE id % 11 = 0", NULL);
    must(q, "SELECT id, v, n, u FROM t ORDER BY id", &r->rows);
    path_of(path, sizeof path, r->template, "out.csv");
    snprintf(out, sizeof out, "COPY t (id, v, u) TO '%s'", path);
    must(q, out, NULL);
    get_file(path, &r->csv);
    buf_clear(&text);
    buf_str(&text, "old\n");
    put_file(path, &text); /* what COPY TO replaces, or leaves */
    for (int i = 1; i <= COPIED; i++)
        buf_printf(&in, "%d,\"row, number %d\"\n", i, i);
    path_of(path, sizeof path, r->template, "in.csv");
    put_file(path, &in);
    path_of(path, sizeof path, r->template, "whole");
    snprintf(out, sizeof out, "BACKUP TO '%s'", path);
    must(q, out, NULL);
    if (quartet_close(q) != QUARTET_OK)
        give_up("close", "the template");
    buf_deinit(&text);
    buf_deinit(&in);
}

/* ---- one trial ---- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool reopen(struct run *r, const char *when)
{
    (void)quartet_close(r->q); /* what is broken may say so once more */
    r->q = NULL;
    if (open_db(r->db, &r->q) == QUARTET_OK)
        return true;
    fail(r, when, r->q != NULL ? quartet_errmsg(r->q) : "no handle");
    return false;
}

/* Commit the next marker: at once, when the thread that flushes has tried again, or after the database was opened again because an error says so. */
static bool commit_marker(struct run *r, const char *when)
{
    char text[2400], pad[2001];
    for (size_t i = 0; i < sizeof pad - 1; i++)
        pad[i] = (char)('a' + prng_below(&r->prng, 26));
    pad[sizeof pad - 1] = '\0';
    snprintf(text, sizeof text, "INSERT INTO marks VALUES (%llu, '%s')", (unsigned long long)r->committed + 1, pad);
    disk_mark(MARK_STARTED, r->committed + 1);
    int rc = sql(r->q, text, NULL);
    for (double end = now() + WAIT_S; (rc == QUARTET_NOMEM || rc == QUARTET_FULL) && r->hit && now() < end;) {
        poll(NULL, 0, 2);
        rc = sql(r->q, text, NULL);
    }
    if (rc == QUARTET_IO && r->hit) {
        if (!reopen(r, when) || !content(r, r->q, when, r->committed, r->committed + 1, r->done && is_copy_from(r), is_copy_from(r)))
            return false;
        rc = sql(r->q, text, NULL);
        if (rc == QUARTET_CONSTRAINT) /* it was done */
            rc = QUARTET_OK;
    }
    if (rc != QUARTET_OK) {
        fail(r, when, quartet_errmsg(r->q));
        return false;
    }
    disk_mark(MARK_COMMITTED, ++r->committed);
    return true;
}

static void arm(const struct run *r)
{
    if (r->kind == NULL)
        return;
    if (r->kind->calls == 0)
        disk_fail_memory(r->n, r->kind->persists, r->kind->others);
    else
        disk_fail(r->kind->calls, r->n, r->kind->error, r->kind->persists, r->kind->partial);
}

static void disarm(struct run *r)
{
    if (r->kind == NULL)
        return;
    disk_fail(0, 0, 0, false, false); /* before it is asked whether it struck: the flusher goes on meanwhile */
    r->hit = r->kind->calls == 0 ? disk_fail_memory_hits() > 0 : disk_fail_hits() > 0;
    snprintf(r->what, sizeof r->what, "%s", disk_fail_text());
    disk_fail_memory(0, false, false);
}

static void run_job(struct run *r)
{
    char *errmsg = NULL, text[900];
    if (r->job->alone) {
        if (quartet_close(r->q) != QUARTET_OK)
            fail(r, "close", "before the job");
        r->q = NULL;
    }
    arm(r);
    int rc = r->job->run(r, &errmsg);
    disarm(r);
    r->done = rc == QUARTET_OK;
    disk_mark(MARK_ENDED, r->done);
    bool told = r->kind != NULL && r->hit && ((quartet_status)rc == r->kind->code || (quartet_status)rc == r->kind->or_code) &&
                (rc == QUARTET_NOMEM || (errmsg != NULL && errmsg[0] != '\0'));
    if (!r->done && !told) {
        snprintf(text, sizeof text, "told as %s: %.300s%s", status_name((quartet_status)rc), errmsg != NULL ? errmsg : "without a text", r->finding);
        fail(r, "the job", text);
    }
    quartet_free(errmsg);
    if (r->job->alone && open_db(r->db, &r->q) != QUARTET_OK)
        fail(r, "open", r->q != NULL ? quartet_errmsg(r->q) : "no handle");
}

/* ---- what is there afterwards ---- */

static void list_db(struct run *r, const char *dir, const char *when)
{
    DIR *d = opendir(dir);
    char text[700];
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        static const char *const known[] = {".", "..", "base.mdb", "base.mdb-lock", "lock", "log"};
        bool good = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            good |= strcmp(e->d_name, known[i]) == 0;
        snprintf(text, sizeof text, "%.255s is left in the database", e->d_name);
        if (!good)
            fail(r, when, text);
    }
    if (d != NULL)
        closedir(d);
}

/* Nothing but what was there and what the job made. */
static void list_live(struct run *r)
{
    char text[700];
    DIR *d = opendir(r->live);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        static const char *const known[] = {".", "..", "db", "whole", "in.csv", "out.csv"};
        /* Memory may run out after the job, when its result is given: then it is there, and whole (check_end). */
        bool good = (r->done || (r->hit && r->kind->code == QUARTET_NOMEM)) && r->job->makes != NULL && strcmp(e->d_name, r->job->makes) == 0;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            good |= strcmp(e->d_name, known[i]) == 0;
        snprintf(text, sizeof text, "%.255s is left", e->d_name);
        if (!good)
            fail(r, "files", text);
    }
    if (d != NULL)
        closedir(d);
}

static void check_db(struct run *r, const char *path, const char *when, uint64_t least, uint64_t most, bool must_copied, bool may_copied)
{
    quartet_db *q = NULL;
    struct work w = {.env = env_posix()};
    struct err err = ERR_INIT;
    char why[600];
    if (open_db(path, &q) != QUARTET_OK) {
        fail(r, when, q != NULL ? quartet_errmsg(q) : "no handle");
        (void)quartet_close(q); /* as documented: in any case */
        return;
    }
    (void)content(r, q, when, least, most, must_copied, may_copied);
    if (quartet_close(q) != QUARTET_OK)
        fail(r, when, "close");
    snprintf(w.path, sizeof w.path, "%.511s", path);
    if (work_open(&w, &err) != QUARTET_OK)
        fail(r, when, err.text);
    else if (!work_consistent(&w, why, sizeof why))
        fail(r, when, why);
    if (work_close(&w, &err) != QUARTET_OK)
        fail(r, when, err.text);
    list_db(r, path, when);
}

static void check_restored(struct run *r, const char *dir, const char *name, const char *when, uint64_t least, uint64_t most)
{
    char from[900], to[900];
    char *errmsg = NULL;
    path_of(from, sizeof from, dir, name);
    path_of(to, sizeof to, dir, "again");
    if (quartet_restore(from, to, &errmsg) != QUARTET_OK)
        fail(r, when, errmsg != NULL ? errmsg : "no memory");
    else
        check_db(r, to, when, least, most, false, false);
    quartet_free(errmsg);
    disk_remove_tree(to);
}

static void check_csv(struct run *r, const char *dir, const char *when, bool must_be_new, bool may_be_new)
{
    struct buf have = {0}, old = {0};
    char path[900];
    path_of(path, sizeof path, dir, "out.csv");
    buf_str(&old, "old\n");
    get_file(path, &have);
    bool is_new = same(&have, &r->csv);
    if (is_new ? !may_be_new : must_be_new || !same(&have, &old))
        fail(r, when, "out.csv is neither the old one nor the new one, or the wrong of them");
    buf_deinit(&have);
    buf_deinit(&old);
}

/* What stands there under a name that a crash left: refused with a reason, or whole. */
static void check_partial(struct run *r, const char *dir, const char *name, const char *when, uint64_t most)
{
    char path[900], to[900], text[1200];
    char *errmsg = NULL;
    quartet_db *q = NULL;
    path_of(path, sizeof path, dir, name);
    path_of(to, sizeof to, dir, "again");
    bool backup = strncmp(name, "backup", 6) == 0;
    int rc = backup ? quartet_restore(path, to, &errmsg) : quartet_open(path, &q);
    const char *why = backup ? errmsg : q != NULL ? quartet_errmsg(q) : NULL;
    bool refused = (rc == QUARTET_NOTFOUND || rc == QUARTET_CORRUPT || rc == QUARTET_CANTOPEN) && why != NULL && strstr(why, name) != NULL;
    if (rc != QUARTET_OK && !refused) {
        snprintf(text, sizeof text, "%.200s is not refused with a reason: %s: %.400s", name, status_name((quartet_status)rc), why != NULL ? why : "none");
        fail(r, when, text);
    } else if (rc == QUARTET_OK && !backup) { /* empty, or all that the backup had */
        struct buf rows = {0};
        if (sql(q, "SELECT 1 FROM quartet_objects", &rows) == QUARTET_OK && rows.len > 0)
            (void)content(r, q, when, 0, 0, false, false);
        buf_deinit(&rows);
    }
    (void)quartet_close(q); /* NULL, or refused, or only read */
    if (rc == QUARTET_OK && backup)
        check_db(r, to, when, 0, most, false, false);
    quartet_free(errmsg);
    disk_remove_tree(to);
}

static void check_image(struct run *r, const char *image, const struct disk_cut *c)
{
    char when[300], path[900], names[8][256];
    size_t count = 0;
    snprintf(when, sizeof when, "power cut at moment %zu, seed %llu (%s)", c->moment, (unsigned long long)c->seed, c->what);
    bool ended = c->marks[MARK_ENDED] != 0;
    path_of(path, sizeof path, image, "db");
    DIR *d = opendir(image);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        if (strstr(e->d_name, ".partial-") != NULL && count < 8)
            snprintf(names[count++], sizeof names[0], "%s", e->d_name);
    if (d != NULL)
        closedir(d);
    for (size_t i = 0; i < count && !r->failed; i++)
        check_partial(r, image, names[i], when, c->marks[MARK_STARTED]);
    /* One whose name could not be made durable is taken away again, and power may go meanwhile. */
    const char *taken = r->hit && !ended && r->job->makes != NULL && strcmp(r->job->name, "copy-to") != 0 && is_there(image, r->job->makes) ? r->job->makes : NULL;
    if (taken != NULL && !r->failed)
        check_partial(r, image, taken, when, c->marks[MARK_STARTED]);
    if (taken == NULL && strcmp(r->job->name, "backup") == 0 && (ended || is_there(image, "backup")) && !r->failed)
        check_restored(r, image, "backup", when, 1, c->marks[MARK_STARTED]);
    if (taken == NULL && strcmp(r->job->name, "restore") == 0 && (ended || is_there(image, "restored")) && !r->failed) {
        char restored[900];
        path_of(restored, sizeof restored, image, "restored");
        check_db(r, restored, when, 0, 0, false, false);
    }
    if (!r->failed)
        check_csv(r, image, when, ended && strcmp(r->job->name, "copy-to") == 0, strcmp(r->job->name, "copy-to") == 0);
    if (!r->failed)
        check_db(r, path, when, c->marks[MARK_COMMITTED], c->marks[MARK_STARTED], ended && is_copy_from(r), is_copy_from(r));
}

static void cut(struct run *r, size_t moment)
{
    char image[600];
    struct disk_cut c = {.moment = moment, .seed = prng_chance(&r->prng, 0.1) ? 0 : prng_u64(&r->prng)};
    path_of(image, sizeof image, r->dir, "image");
    disk_build(&c, image);
    check_image(r, image, &c);
    disk_remove_tree(image);
}

static void check_end(struct run *r)
{
    char path[700];
    list_live(r);
    bool syncs = r->kind != NULL && r->hit && (r->kind->calls & (DISK_SYNC | DISK_OPEN)) != 0; /* the file may have its name, and not for certain */
    check_db(r, r->db, "at the end", r->committed, r->committed, r->done && is_copy_from(r), is_copy_from(r));
    check_csv(r, r->live, "at the end", r->done && strcmp(r->job->name, "copy-to") == 0, (r->done || syncs) && strcmp(r->job->name, "copy-to") == 0);
    if (is_there(r->live, "backup"))
        check_restored(r, r->live, "backup", "at the end", 1, 1);
    path_of(path, sizeof path, r->live, "restored");
    if (is_there(r->live, "restored"))
        check_db(r, path, "at the end", 0, 0, false, false);
}

/* LMDB shows nothing more after a write to its first page has failed; everything else leaves reading as it was. */
static bool can_read(struct run *r)
{
    return sql(r->q, "SELECT count(*) FROM t", NULL) != QUARTET_IO;
}

/* Watch a copy of the template while the job runs between commits. The record stays. */
static void live_begin(struct run *r)
{
    disk_copy_tree(r->template, r->live);
    r->hit = r->failed = r->done = false;
    r->what[0] = r->finding[0] = '\0';
    r->committed = 0;
    r->q = NULL;
    disk_watch(r->live);
    if (open_db(r->db, &r->q) != QUARTET_OK)
        give_up(r->db, r->q != NULL ? quartet_errmsg(r->q) : "no handle");
}

static void live_work(struct run *r, size_t *begins)
{
    if (!commit_marker(r, "before the job"))
        return;
    *begins = disk_moments();
    run_job(r);
    if (!r->failed && r->hit && !can_read(r) && !reopen(r, "after the job"))
        return;
    if (r->failed || !content(r, r->q, "after the job", 1, 1, r->done && is_copy_from(r), r->done && is_copy_from(r)))
        return;
    for (int i = 0; i < 80 && !r->failed; i++)
        (void)commit_marker(r, "a commit after the job");
}

static bool once(struct run *r, uint64_t cuts)
{
    size_t begins = 0;
    live_begin(r);
    live_work(r, &begins);
    int rc = quartet_close(r->q);
    disk_stop();
    if (rc != QUARTET_OK && !r->failed && !r->hit)
        fail(r, "close", "an unexpected code");
    size_t end = disk_moments();
    for (uint64_t k = 0; k < cuts && !r->failed; k++)
        cut(r, prng_chance(&r->prng, 0.1) ? end : begins + (size_t)prng_below(&r->prng, end - begins + 1));
    if (!r->failed)
        check_end(r);
    disk_forget();
    disk_remove_tree(r->live);
    return r->hit;
}

struct options {
    uint64_t seed, stride, from, to, cuts;
    const char *job, *kind;
};

static uint64_t sweep(const struct options *o, struct run *r, uint32_t *failures)
{
    struct prng p;
    uint64_t tried = 0, misses = 0;
    prng_seed(&p, o->seed ^ (uint64_t)(r->kind - fault_kinds) << 8 ^ (uint64_t)(r->job - jobs));
    /* Threads make the number of calls vary: the end is where a few in a row were not reached. */
    for (r->n = o->from + (o->stride > 1 ? prng_below(&p, o->stride) : 0); r->n <= o->to && misses < 3 && *failures < 10; tried++) {
        prng_seed(&r->prng, o->seed ^ r->n << 16);
        misses = once(r, (r->kind->calls & (DISK_SYNC | DISK_WRITE | DISK_NAME)) != 0) ? 0 : misses + 1;
        *failures += r->failed;
        r->n += 1 + (o->stride > 1 ? prng_below(&p, 2 * o->stride - 1) : 0);
    }
    return tried;
}

static bool work_on(const struct options *o, struct run *r)
{
    uint32_t failures = 0;
    uint64_t tried = 0;
    for (size_t k = 0; k < FAULT_KINDS; k++) {
        r->kind = &fault_kinds[k];
        if (o->kind == NULL || strcmp(o->kind, r->kind->name) == 0)
            tried += sweep(o, r, &failures);
    }
    r->kind = NULL;
    r->n = 0;
    prng_seed(&r->prng, o->seed);
    uint64_t cuts = o->kind == NULL || strcmp(o->kind, "cut") == 0 ? o->cuts : 0;
    if (cuts > 0) {
        (void)once(r, cuts);
        failures += r->failed;
    }
    printf("jobs: %s: %llu failures tried, %llu power cuts\n", r->job->name, (unsigned long long)tried, (unsigned long long)cuts);
    fflush(stdout);
    return failures == 0;
}

static bool read_options(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        uint64_t *to = strcmp(argv[i], "--seed") == 0     ? &o->seed
                       : strcmp(argv[i], "--stride") == 0 ? &o->stride
                       : strcmp(argv[i], "--from") == 0   ? &o->from
                       : strcmp(argv[i], "--to") == 0     ? &o->to
                       : strcmp(argv[i], "--cuts") == 0   ? &o->cuts
                                                          : NULL;
        if (i + 1 == argc)
            return false;
        if (to != NULL)
            *to = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--job") == 0)
            o->job = argv[i + 1];
        else if (strcmp(argv[i], "--kind") == 0)
            o->kind = argv[i + 1];
        else
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct run r;
    const char *seed = getenv("QUARTET_SEED");
    struct options o = {.seed = seed != NULL ? strtoull(seed, NULL, 10) : 1, .stride = 1, .from = 1, .to = UINT64_MAX, .cuts = 40};
    if (!read_options(&o, argc, argv)) {
        fprintf(stderr, "usage: fault-jobs [--seed N] [--job NAME] [--kind NAME] [--stride N] [--from N] [--to N] [--cuts N]\n");
        return 2;
    }
    env_posix_set_log(4, false); /* what the engine tells of its failures is not the test's output */
    r.seed = o.seed;
    prng_seed(&r.prng, o.seed);
    work_dir_begin(r.dir, sizeof r.dir, "jobs");
    path_of(r.template, sizeof r.template, r.dir, "template");
    path_of(r.live, sizeof r.live, r.dir, "live");
    path_of(r.db, sizeof r.db, r.live, "db");
    make_template(&r);
    bool good = true;
    for (size_t k = 0; k < JOBS; k++) {
        r.job = &jobs[k];
        if (o.job == NULL || strcmp(o.job, r.job->name) == 0)
            good = work_on(&o, &r) && good;
    }
    buf_deinit(&r.rows);
    buf_deinit(&r.csv);
    work_dir_end(r.dir);
    return !good;
}

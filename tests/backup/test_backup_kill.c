/* test_backup_kill.c - kill -9 while BACKUP and VACUUM run: --rounds N (12), --seed N.
 * A child commits and takes turns at BACKUP and VACUUM; what it has acknowledged it says through a pipe. It is killed at a random moment. Then the database opens, every
 * acknowledged commit is there, what VACUUM left half done is gone, and every directory that is called a backup can be restored and is whole. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "quartet.h"

#define ROWS_PER_COMMIT 50

static char dir[64], backups[80];

static int told(const char *what, quartet_db *db)
{
    fprintf(stderr, "FAILED: %s: %s\n", what, db != NULL ? quartet_errmsg(db) : "");
    return 1;
}

static int64_t ask(quartet_db *db, const char *sql)
{
    quartet_stmt *s = NULL;
    int64_t v = -1;
    if (quartet_prepare(db, sql, -1, &s, NULL) == QUARTET_OK && quartet_step(s) == QUARTET_ROW)
        v = quartet_column_int64(s, 0);
    else
        (void)told(sql, db); /* -1 fails whatever asks */
    (void)quartet_finalize(s); /* its error was told */
    return v;
}

/* Never returns. */
static void child(int out, int round)
{
    quartet_db *db = NULL;
    char sql[200];
    if (quartet_open(dir, &db) != QUARTET_OK)
        _exit(told(dir, db));
    for (int64_t n = ask(db, "SELECT coalesce(max(n), 0) FROM t") + 1;; n++) {
        snprintf(sql, sizeof sql, "BEGIN; INSERT INTO t (n, x) SELECT %lld, 'row ' || x FROM seed; COMMIT", (long long)n);
        if (quartet_exec(db, sql, NULL, NULL, NULL) != QUARTET_OK)
            _exit(told(sql, db));
        if (write(out, &n, sizeof n) != (ssize_t)sizeof n)
            _exit(told("the pipe", NULL));
        if (n % 7 == 0)
            snprintf(sql, sizeof sql, "BACKUP TO '%s/r%d-%lld'", backups, round, (long long)n);
        else if (n % 3 == 0)
            snprintf(sql, sizeof sql, "VACUUM");
        else
            continue;
        if (quartet_exec(db, sql, NULL, NULL, NULL) != QUARTET_OK)
            _exit(told(sql, db));
    }
}

static int check_whole(const char *path, int64_t at_least)
{
    quartet_db *db = NULL;
    int bad = 0;
    if (quartet_open(path, &db) != QUARTET_OK)
        bad = told(path, db);
    else if (ask(db, "SELECT count(*) FROM t") != ROWS_PER_COMMIT * ask(db, "SELECT coalesce(max(n), 0) FROM t"))
        bad = told("half a transaction", NULL);
    else if (ask(db, "SELECT coalesce(max(n), 0) FROM t") < at_least)
        bad = told("an acknowledged commit is lost", NULL);
    else if (ask(db, "SELECT count(*) FROM t WHERE n > 0") != ask(db, "SELECT count(*) FROM t NOT INDEXED"))
        bad = told("the index and its table", NULL);
    if (quartet_close(db) != QUARTET_OK)
        bad = told("close", NULL);
    return bad;
}

static int check_backups(int *count)
{
    char path[400], copy[100], command[200];
    int bad = 0;
    DIR *d = opendir(backups);
    snprintf(copy, sizeof copy, "%s/copy", dir);
    snprintf(copy, sizeof copy, "%.60s-copy", dir);
    snprintf(command, sizeof command, "rm -rf %s", copy);
    for (struct dirent *e; d != NULL && !bad && (e = readdir(d)) != NULL;) {
        char *error = NULL;
        if (e->d_name[0] == '.' || strstr(e->d_name, ".partial-") != NULL)
            continue;
        snprintf(path, sizeof path, "%s/%s", backups, e->d_name);
        if (quartet_restore(path, copy, &error) != QUARTET_OK)
            bad = told(error, NULL);
        quartet_free(error);
        bad = bad || check_whole(copy, 1);
        ++*count;
        if (system(command) != 0)
            bad = told(command, NULL);
    }
    if (d != NULL)
        closedir(d);
    snprintf(command, sizeof command, "rm -rf %s && mkdir %s", backups, backups);
    return system(command) != 0 ? told(command, NULL) : bad;
}

static int leftovers(void)
{
    int found = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        found += strstr(e->d_name, "vacuum") != NULL;
    if (d != NULL)
        closedir(d);
    return found;
}

static int one_round(int round, int *seen, int *whole_backups)
{
    int64_t n = 0, last = 0;
    int fds[2];
    if (pipe(fds) != 0)
        return told("pipe", NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        child(fds[1], round);
    }
    close(fds[1]);
    struct timespec nap = {.tv_nsec = 1000000L * (20 + rand() % 400)};
    (void)nanosleep(&nap, NULL); /* any moment will do */
    if (kill(pid, SIGKILL) != 0)
        return told("kill", NULL);
    while (read(fds[0], &n, sizeof n) == (ssize_t)sizeof n)
        last = n;
    close(fds[0]);
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
        return told("the child ended by itself", NULL);
    *seen += leftovers() > 0;
    int bad = check_whole(dir, last);
    if (!bad && leftovers() > 0)
        bad = told("a half-written base stayed", NULL);
    return bad || check_backups(whole_backups);
}

int main(int argc, char **argv)
{
    int rounds = 12, seen = 0, whole = 0, bad = 0;
    unsigned seed = 1;
    char command[300];
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--rounds") == 0)
            rounds = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = (unsigned)atoi(argv[i + 1]);
    }
    srand(seed);
    snprintf(dir, sizeof dir, "/tmp/quartet-backup-kill-%ld", (long)getpid());
    snprintf(backups, sizeof backups, "%.60s-backups", dir);
    snprintf(command, sizeof command, "mkdir %s", backups);
    bad = system(command) != 0;
    pid_t maker = bad ? -1 : fork(); /* the parent opens no database before it forks: its children inherit no threads' locks */
    if (maker == 0) {
        quartet_db *db = NULL;
        int rc = quartet_open(dir, &db);
        if (rc == QUARTET_OK)
            rc = quartet_exec(db, "CREATE TABLE t (n INTEGER, x TEXT); CREATE INDEX t_n ON t (n); CREATE TABLE seed (x INTEGER PRIMARY KEY)", NULL, NULL, NULL);
        for (int i = 0; rc == QUARTET_OK && i < ROWS_PER_COMMIT; i++)
            rc = quartet_exec(db, "INSERT INTO seed (x) VALUES (NULL)", NULL, NULL, NULL);
        if (rc != QUARTET_OK)
            (void)told("making it", db); /* the status says so, too */
        _exit(quartet_close(db) != QUARTET_OK || rc != QUARTET_OK);
    }
    int status = 1;
    bad = bad || waitpid(maker, &status, 0) != maker || status != 0;
    for (int k = 0; k < rounds && !bad; k++)
        if ((bad = one_round(k, &seen, &whole)) != 0)
            fprintf(stderr, "round %d, seed %u\n", k, seed);
    printf("%d kills, %d of them in a VACUUM's copying; %d whole backups restored\n", rounds, seen, whole);
    snprintf(command, sizeof command, "rm -rf %s %s %s-copy", dir, backups, dir);
    return system(command) != 0 || bad;
}

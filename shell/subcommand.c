/* subcommand.c - `quartet restore`, `quartet dump`: what is done with databases that nobody has open, or with a whole one. One table, from which help is made. */
#include "drill.h"
#include "shell.h"
#include "verify_cluster.h"

#include <string.h>

#define EXIT_USAGE 64

struct subcommand {
    const char *name, *arguments, *help;
    int args_min, args_max;
    int (*run)(int count, char **args);
};

static const struct subcommand commands[];

static int run_restore(int count, char **args)
{
    char *error = NULL;
    (void)count; /* the table says two */
    if (quartet_restore(args[0], args[1], &error) != QUARTET_OK) {
        fprintf(stderr, "quartet restore: %s\n", error != NULL ? error : "out of memory");
        quartet_free(error);
        return 1;
    }
    printf("restored %s: open it with: quartet %s\n", args[1], args[1]);
    return 0;
}

struct verifying {
    bool json;
    unsigned long long count;
};

static void print_finding(void *arg, const struct quartet_finding *f)
{
    struct verifying *v = arg;
    if (v->json) {
        fputs(v->count++ > 0 ? ",\n  {\"file\": " : "\n  {\"file\": ", stdout);
        text_print_json(stdout, f->file, strlen(f->file));
        printf(", \"offset\": %lld, \"table\": ", (long long)f->offset);
        text_print_json(stdout, f->table, strlen(f->table));
        fputs(", \"key\": ", stdout);
        text_print_json(stdout, f->key, strlen(f->key));
        fputs(", \"what\": ", stdout);
        text_print_json(stdout, f->what, strlen(f->what));
        fputs("}", stdout);
        return;
    }
    v->count++;
    printf("%s", f->file);
    if (f->offset >= 0)
        printf(", offset %lld", (long long)f->offset);
    if (f->table[0] != '\0')
        printf(", %s", f->table);
    if (f->key[0] != '\0') {
        fputs(", key ", stdout);
        text_print_safe(stdout, f->key, strlen(f->key));
    }
    printf(": ");
    text_print_safe(stdout, f->what, strlen(f->what));
    putchar('\n');
}

static void print_verified(const struct quartet_verified *s, bool json)
{
    if (json) {
        printf("%s], \"found\": %llu, \"pages\": %llu, \"blocks\": %llu, \"tables\": %llu, \"rows\": %llu, \"indexes\": %llu, \"entries\": %llu, "
               "\"log_records\": %llu, \"batches\": %llu, \"signatures\": %llu, \"compared\": %s}\n",
               s->found > 0 ? "\n" : "", (unsigned long long)s->found, (unsigned long long)s->pages, (unsigned long long)s->blocks,
               (unsigned long long)s->tables, (unsigned long long)s->rows, (unsigned long long)s->indexes, (unsigned long long)s->entries,
               (unsigned long long)s->records, (unsigned long long)s->batches, (unsigned long long)s->signatures, s->unread ? "false" : "true");
        return;
    }
    printf("%s%llu pages, %llu blocks, %llu tables with %llu rows, %llu indexes with %llu entries, %llu log records, %llu batches, %llu signatures\n",
           s->is_backup ? "a backup: " : "", (unsigned long long)s->pages, (unsigned long long)s->blocks, (unsigned long long)s->tables,
           (unsigned long long)s->rows, (unsigned long long)s->indexes, (unsigned long long)s->entries, (unsigned long long)s->records,
           (unsigned long long)s->batches, (unsigned long long)s->signatures);
    if (s->unread)
        printf("rows, indexes and hashes were not compared: there is damage\n");
    if (s->found == 0)
        printf("nothing is wrong\n");
    else
        printf("%llu things are wrong\n", (unsigned long long)s->found);
}

static int run_verify(int count, char **args)
{
    bool first_is_json = strcmp(args[0], "--json") == 0;
    if (count > first_is_json && strncmp(args[first_is_json], "quartet://", 10) == 0)
        return verify_cluster(args[first_is_json], count - 1 - first_is_json, args + 1 + first_is_json, first_is_json);
    struct verifying v = {.json = count == 2 && strcmp(args[0], "--json") == 0};
    struct quartet_verified summary = {.size = sizeof summary};
    char *error = NULL;
    if (count > 2 || (count == 2 && !v.json)) {
        fprintf(stderr, "usage: quartet verify [--json] DIRECTORY|URL [TABLE...]\n");
        return EXIT_USAGE;
    }
    if (v.json)
        fputs("{\"findings\": [", stdout);
    int rc = quartet_verify(args[count - 1], print_finding, &v, &summary, &error);
    if (rc == QUARTET_OK || rc == QUARTET_CORRUPT)
        print_verified(&summary, v.json);
    else if (v.json)
        fputs("]}\n", stdout);
    if (rc != QUARTET_OK && rc != QUARTET_CORRUPT)
        fprintf(stderr, "quartet verify: %s\n", error != NULL ? error : "out of memory");
    quartet_free(error);
    return rc != QUARTET_OK;
}

static const struct subcommand commands[] = {
    {"verify", "[--json] DIRECTORY | [--json] URL [TABLE...]",
     "Checks a database that nobody has open, or a backup: every page, block, log record, link and signature, rows against index\n"
     "entries and hashes. Names what is wrong by file, offset, table and key; changes nothing. With a cluster's URL: compares its nodes row by row, while they are\n"
     "written to, and prints each row that differs. Exit status 0, or 1.\n",
     1, 1000, run_verify},
    {"top", "[--interval SECONDS] [--count N] [URL]",
     "Shows a cluster's nodes again and again: state, commits and merged rows a second, how far each is behind, buffer, log, base and hash.\n",
     0, 5, top_run},
    {"drill", "[--rounds N] [--commit-acks 0..3] [--seed N] [--json] [FAULT...]",
     "Makes a cluster of four nodes on this machine, lets four clients write, and breaks its nodes on purpose (stop, kill, pause, slow, two; all of them unless\n"
     "named): prints the longest time in which a client could not write, failed statements, and lost commits. Exit status 0 if nothing was lost.\n",
     0, 20, drill_run},
    {"dump", "DIRECTORY|URL [TABLE...]",
     "Writes the database, or some of its tables with their indexes and triggers, as SQL that Quartet and SQLite load, to standard output,\n"
     "as of one moment.\n",
     1, 1000, dump_run},
    {"restore", "BACKUP DIRECTORY",
     "Makes a database in DIRECTORY, which must be new or empty, of the directory that BACKUP TO wrote. The backup is checked\n"
     "first, and stays as it is. The database belongs to no cluster, whatever the backup was taken of.\n",
     2, 2, run_restore},
    {NULL, NULL, NULL, 0, 0, NULL},
};

bool subcommand_run(int argc, char **argv, int *status)
{
    const struct subcommand *c = commands;
    while (argc > 1 && c->name != NULL && strcmp(c->name, argv[1]) != 0)
        c++;
    if (argc < 2 || c->name == NULL)
        return false;
    bool help = argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0);
    if (help || argc - 2 < c->args_min || argc - 2 > c->args_max) {
        fprintf(help ? stdout : stderr, "usage: quartet %s %s\n%s", c->name, c->arguments, c->help);
        *status = help ? 0 : EXIT_USAGE;
        return true;
    }
    *status = c->run(argc - 2, argv + 2);
    return true;
}

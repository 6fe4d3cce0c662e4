/* subcommand.c - `quartet restore`, `quartet dump`: what is done with databases that nobody has open, or with a whole one. One table, from which help is made. */
#include "shell.h"

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

static const struct subcommand commands[] = {
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

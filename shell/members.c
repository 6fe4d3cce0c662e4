/* members.c - quartetd member. See members.h; the work is quartet_cluster_change's. */
#include "members.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quartet.h"

#define EXIT_USAGE 64

struct form { /* what follows `member DIR` */
    const char *word, *arguments, *help;
    int what, args_min, args_max;
};
static const struct form forms[] = {
    {"add-node", "HOST:PORT [HTTP-HOST:PORT]", "makes DIR/SLOT with a key for one more node", QUARTET_ADD_NODE, 1, 2},
    {"evict", "SLOT", "the node is no member any more, and never will be again", QUARTET_EVICT_NODE, 1, 1},
    {"new-key", "SLOT", "makes DIR/node-SLOT.key; the key that the node has opens nothing any more", QUARTET_NEW_NODE_KEY, 1, 1},
    {"new-root", "", "another root key in DIR/root.key; the one before signs nothing any more", QUARTET_NEW_ROOT_KEY, 0, 0},
    {"address", "SLOT HOST:PORT [HTTP-HOST:PORT]", "the node is to be found elsewhere", QUARTET_SET_ADDRESS, 2, 3},
    {"drain", "SLOT on|off", "clients keep away from the node while another one answers", QUARTET_SET_DRAINED, 2, 2},
    {"standby", "SLOT on|off", "clients come to the node only where no other one answers", QUARTET_SET_STANDBY, 2, 2},
    {"zone", "SLOT NAME", "where the node stands", QUARTET_SET_ZONE, 2, 2},
    {"add-client", "NAME", "makes DIR/NAME.key and DIR/NAME.url", QUARTET_ADD_CLIENT, 1, 1},
    {"remove-client", "NAME", "its key opens nothing any more", QUARTET_REMOVE_CLIENT, 1, 1},
};

static int usage(void)
{
    fprintf(stderr, "usage: quartetd member DIR CHANGE, where DIR holds root.key and admin.key. Changes:\n");
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        fprintf(stderr, "  %-14s %-34s %s\n", forms[i].word, forms[i].arguments, forms[i].help);
    return EXIT_USAGE;
}

static bool parse_slot(const char *text, int *slot)
{
    *slot = text[0] - '0';
    return text[0] >= '0' && text[0] <= '3' && text[1] == '\0';
}

int members_run(int count, char **args)
{
    const struct form *f = NULL;
    for (size_t i = 0; count >= 2 && i < sizeof forms / sizeof *forms; i++)
        f = strcmp(args[1], forms[i].word) == 0 ? &forms[i] : f;
    if (f == NULL || count - 2 < f->args_min || count - 2 > f->args_max)
        return usage();
    struct quartet_cluster_change c = {.size = sizeof c, .what = f->what};
    bool at_slot = f->what == QUARTET_SET_ADDRESS || f->what == QUARTET_SET_ZONE || f->what == QUARTET_EVICT_NODE || f->what == QUARTET_NEW_NODE_KEY ||
                   f->what == QUARTET_SET_DRAINED || f->what == QUARTET_SET_STANDBY;
    if (at_slot && !parse_slot(args[2], &c.slot))
        return usage();
    char **rest = args + 2 + at_slot;
    int left = count - 2 - at_slot;
    if (f->what == QUARTET_ADD_NODE || f->what == QUARTET_SET_ADDRESS) {
        c.address = rest[0];
        c.http = left > 1 ? rest[1] : NULL;
    } else if (left > 0) {
        c.name = rest[0];
    }
    char *error = NULL;
    int slot = 0;
    uint64_t epoch = 0;
    if (quartet_cluster_change(args[0], &c, &slot, &epoch, &error) != QUARTET_OK) {
        fprintf(stderr, "quartetd member: %s\n", error != NULL ? error : "out of memory");
        quartet_free(error);
        return 1;
    }
    printf("made membership %llu: %s/member.qm\n", (unsigned long long)epoch, args[0]);
    if (f->what == QUARTET_ADD_NODE)
        printf("  a new node %d at %s: move %s/%d to its machine, and start it there once the others know: quartetd --dir %s/%d\n", slot, c.address, args[0], slot, args[0], slot);
    if (f->what == QUARTET_NEW_NODE_KEY)
        printf("  a new key for node %d: move %s/node-%d.key to keys/node.key.next in its directory first, mode 0600; it is taken into use as soon as the node hears of the membership\n", c.slot,
               args[0], c.slot);
    if (f->what == QUARTET_NEW_ROOT_KEY)
        printf("  a new root key: %s/root.key. Destroy every copy of the old one, and keep this one offline\n", args[0]);
    if (f->what == QUARTET_EVICT_NODE)
        printf("  node %d is evicted: stop it where it still runs. Its slot is free for a new node once the others know\n", slot);
    if (f->what == QUARTET_ADD_CLIENT)
        printf("  a new client: quartet \"$(cat %s/%s.url)\"\n", args[0], c.name);
    printf("  now give member.qm to any running node: copy it to keys/member.qm in its directory, and kill -HUP its quartetd; the others take it from there\n");
    return 0;
}

/* ---- token, join ---- */

static int token_usage(void)
{
    fprintf(stderr, "usage: quartetd token DIR [--at SLOT] [--minutes N], where DIR holds root.key and admin.key.\n"
                    "  Prints a token, good for one new node within N minutes (60), which is to be shown to node SLOT (the lowest), and makes DIR/member.qm.\n");
    return EXIT_USAGE;
}

int token_run(int count, char **args)
{
    long sponsor = -1, minutes = 60;
    bool ok = count >= 1 && count % 2 == 1 && args[0][0] != '-';
    for (int i = 1; ok && i < count; i += 2) {
        char *end = NULL;
        long v = strtol(args[i + 1], &end, 10);
        ok = end != args[i + 1] && *end == '\0';
        if (strcmp(args[i], "--at") == 0)
            sponsor = v;
        else if (strcmp(args[i], "--minutes") == 0)
            minutes = v;
        else
            ok = false;
    }
    if (!ok || sponsor < -1 || sponsor > 3 || minutes < 1 || minutes > 30 * 24 * 60)
        return token_usage();
    char *token = NULL, *error = NULL;
    int slot = 0;
    uint64_t epoch = 0;
    if (quartet_cluster_token(args[0], (int)sponsor, (uint64_t)minutes * 60, &token, &slot, &epoch, &error) != QUARTET_OK) {
        fprintf(stderr, "quartetd token: %s\n", error != NULL ? error : "out of memory");
        quartet_free(error);
        return 1;
    }
    fprintf(stderr, "made membership %llu: %s/member.qm, with an invitation for node %d, good for %ld minutes\n"
                    "  give member.qm to any running node: copy it to keys/member.qm in its directory, and kill -HUP its quartetd; the others take it from there\n"
                    "  then, on the new node's machine: quartetd join TOKEN --dir DIR --listen HOST:PORT. Who has the token can become a member: keep it as a key\n",
            (unsigned long long)epoch, args[0], slot, minutes);
    printf("%s\n", token);
    quartet_free(token);
    return 0;
}

int join_run(int count, char **args)
{
    const char *token = NULL, *dir = NULL, *address = NULL, *http = NULL;
    bool ok = true;
    for (int i = 0; ok && i < count; i++) {
        const char **to = strcmp(args[i], "--dir") == 0 ? &dir : strcmp(args[i], "--listen") == 0 ? &address : strcmp(args[i], "--http") == 0 ? &http : NULL;
        if (to != NULL && i + 1 < count)
            *to = args[++i];
        else if (to == NULL && args[i][0] != '-' && token == NULL)
            token = args[i];
        else
            ok = false;
    }
    if (!ok || dir == NULL || address == NULL || (token == NULL && getenv("QUARTET_TOKEN") == NULL)) {
        fprintf(stderr, "usage: quartetd join [TOKEN] --dir DIR --listen HOST:PORT [--http HOST:PORT]\n"
                        "  makes the directory of a new node by a token of `quartetd token` (or in QUARTET_TOKEN, where other users cannot read it off the list of processes).\n");
        return EXIT_USAGE;
    }
    char *error = NULL;
    int slot = 0;
    if (quartet_cluster_join(token != NULL ? token : getenv("QUARTET_TOKEN"), dir, address, http, &slot, &error) != QUARTET_OK) {
        fprintf(stderr, "quartetd join: %s\n", error != NULL ? error : "out of memory");
        quartet_free(error);
        return 1;
    }
    printf("joined as node %d; start it: quartetd --dir %s\n", slot, dir);
    return 0;
}

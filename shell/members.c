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
    if (f->what == QUARTET_EVICT_NODE)
        printf("  node %d is evicted: stop it where it still runs. Its slot is free for a new node once the others know\n", slot);
    if (f->what == QUARTET_ADD_CLIENT)
        printf("  a new client: quartet \"$(cat %s/%s.url)\"\n", args[0], c.name);
    printf("  now give member.qm to any running node: copy it to keys/member.qm in its directory, and kill -HUP its quartetd; the others take it from there\n");
    return 0;
}

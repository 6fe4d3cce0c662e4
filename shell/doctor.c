/* doctor.c - quartetd status: a line per node. quartetd doctor: what could go wrong with a cluster and with the machine a node runs on, and what to do about it.
 * Each finding is one of: ok, note (worth knowing), WRONG (to be seen to). Nothing is changed, but for a file that is written in the node's directory to time its disk, and removed. */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "clock.h"
#include "nodes.h"
#include "route.h"

#define EXIT_USAGE 64
#define ANSWER_MS 2000
#define SKEW_NOTE_MS 50
#define SKEW_WRONG_MS 250        /* a node that far ahead of the others stops committing (DESIGN.md, section 2) */
#define FREE_WRONG (1ULL << 30)  /* bytes */
#define FILES_LEAST 1024
#define SYNCS 21                 /* an odd number: the median is one of them */
#define SYNC_NOTE_MS 10.0
#define DIR_TEXT 3900

static bool url_of(const char *who, int count, char **args, int at, struct nodes *n)
{
    const char *url = at < count ? args[at] : getenv("QUARTET_URL"), *why = "which cluster? Give its URL, or set QUARTET_URL";
    if (url != NULL && nodes_parse(n, url, &why))
        return true;
    fprintf(stderr, "quartetd %s: %s\n", who, why);
    return false;
}

/* ---- status ---- */

int status_run(int count, char **args)
{
    static struct nodes n; /* large */
    if (count > 1 || !url_of("status", count, args, 0, &n))
        return EXIT_USAGE;
    int well = 0;
    nodes_ask(&n, ANSWER_MS);
    for (int i = 0; i < n.count; i++) {
        const struct node_view *v = &n.node[i];
        well += node_is_well(v);
        if (!v->up) {
            printf("node %c  %-22s  no answer: %s\n", v->slot >= 0 ? '0' + v->slot : '?', v->address, v->error);
            continue;
        }
        printf("node %d  %-22s  %s, version %s, %lld commits, ", v->slot, v->address, v->slot >= 0 ? v->says[v->slot].state : "?", v->version, (long long)v->figures.commits);
        int sees = 0;
        for (int k = 0; k < NODES_MAX; k++)
            sees += v->says[k].there && k != v->slot && strcmp(v->says[k].state, "unreachable") != 0;
        printf("sees %d other%s\n", sees, sees == 1 ? "" : "s");
    }
    printf("%s: %d of %d nodes are well\n", well == n.count ? "well" : well > 0 ? "impaired" : "down", well, n.count);
    return well == n.count ? 0 : 1;
}

/* ---- doctor ---- */

struct findings {
    int wrong, notes;
};
enum grade { FINE, NOTE, WRONG };

static void tell(struct findings *f, enum grade grade, const char *what, const char *todo, ...) __attribute__((format(printf, 3, 5)));
static void tell(struct findings *f, enum grade grade, const char *what, const char *todo, ...)
{
    static const char *const names[] = {"ok   ", "note ", "WRONG"};
    va_list args;
    va_start(args, todo);
    printf("%s  ", names[grade]);
    vprintf(what, args);
    putchar('\n');
    va_end(args);
    if (grade != FINE && todo != NULL)
        printf("       -> %s\n", todo);
    f->wrong += grade == WRONG;
    f->notes += grade == NOTE;
}

static void look_at_nodes(const struct nodes *n, struct findings *f)
{
    int64_t waits = 0;
    for (int i = 0; i < n->count; i++) {
        const struct node_view *v = &n->node[i];
        const struct node_says *s = v->slot >= 0 ? &v->says[v->slot] : NULL;
        if (!v->up)
            tell(f, WRONG, "%s does not answer: %s", "is quartetd running there, its port open from here, and the URL's key one of this cluster?", v->address, v->error);
        else if (s == NULL || strcmp(s->state, "ready") != 0)
            tell(f, WRONG, "node %d is %s", "its log and GET /healthz say why; OPERATIONS.md has a section for each state", v->slot, s != NULL ? s->state : "in no slot");
        else
            tell(f, FINE, "node %d at %s is ready, version %s, answered in %.0f ms", NULL, v->slot, v->address, v->version, v->answered_ms);
        if (v->up && v->figures.held_batches > 0)
            tell(f, NOTE, "node %d holds back %lld batches whose causes it has not", "normal for a moment; if it stays, a member that has them is out of reach", v->slot,
                 (long long)v->figures.held_batches);
        waits |= v->up ? v->figures.purge_waits_for : 0;
    }
    for (int k = 0; k < NODES_MAX; k++)
        if ((waits >> k & 1) != 0)
            tell(f, NOTE, "deleted rows and logs are kept for node %d, which has not told that it has them", "bring it back: while it is away the others' disks fill", k);
}

static void look_at_versions(const struct nodes *n, struct findings *f)
{
    const struct node_view *first = NULL;
    for (int i = 0; i < n->count; i++) {
        const struct node_view *v = &n->node[i];
        if (v->up && first != NULL && strcmp(first->version, v->version) != 0)
            tell(f, NOTE, "node %d runs version %s, node %d version %s", "fine while you upgrade one node after the other; then bring all to the newer one", first->slot, first->version,
                 v->slot, v->version);
        else if (v->up && first == NULL)
            first = v;
    }
}

/* Members whose builds speak different levels, or cannot speak with each other at all. */
static void look_at_levels(const struct nodes *n, struct findings *f)
{
    int least = 0, most = 0, least_slot = 0, most_slot = 0;
    for (int i = 0; i < n->count; i++)
        for (int k = 0; n->node[i].up && k < NODES_MAX; k++) {
            const struct node_view *v = &n->node[i];
            const struct node_link *l = &v->links[k];
            if (!l->there || l->speaks_to == 0)
                continue;
            if (least == 0 || l->speaks_to < least) {
                least = l->speaks_to;
                least_slot = k;
            }
            if (l->speaks_to > most) {
                most = l->speaks_to;
                most_slot = k;
            }
            if (l->note[0] != '\0')
                tell(f, WRONG, "node %d has no link with node %d: %s", "OPERATIONS.md, \"Upgrading\": what one of them writes does not come to the other", v->slot, k, l->note);
        }
    if (least != most)
        tell(f, NOTE, "node %d speaks levels up to %d, node %d up to %d", "an upgrade that is not done yet: what the newer version brought is used once all run it", least_slot, least,
             most_slot, most);
}

/* Who sees whom, both ways; clocks; hashes. */
static void look_at_links(const struct nodes *n, struct findings *f)
{
    int links = 0, skew = 0;
    for (int i = 0; i < n->count; i++)
        for (int k = 0; k < NODES_MAX; k++) {
            const struct node_view *v = &n->node[i];
            const struct node_says *s = &v->says[k];
            if (!v->up || !s->there || k == v->slot)
                continue;
            const struct node_view *other = nodes_in_slot(n, k);
            int apart = (int)(s->skew_ms < 0 ? -s->skew_ms : s->skew_ms);
            links++;
            if (strcmp(s->state, "unreachable") == 0 && v->links[k].note[0] == '\0')
                tell(f, other != NULL && other->up ? WRONG : NOTE, "node %d has no link to node %d at %s%s",
                     other != NULL && other->up ? "open the port in at least one direction, and look at both logs; others relay meanwhile" : "start it", v->slot, k, s->address,
                     other != NULL && other->up ? ", which answers from here" : "");
            if (strncmp(s->equal, "NO", 2) == 0)
                tell(f, WRONG, "nodes %d and %d know the same and show different tables (%s, %s)",
                     "a bug, or a disk that lies: stop neither, keep both directories, compare with `quartet verify` on copies, and report it", v->slot, k, v->says[v->slot].hash, s->hash);
            skew = apart > skew ? apart : skew;
            if (apart > SKEW_WRONG_MS)
                tell(f, WRONG, "the clocks of nodes %d and %d are %d ms apart", "set them by NTP (chrony); commits of the one that is ahead win over later ones", v->slot, k, apart);
        }
    if (links > 0)
        tell(f, skew > SKEW_NOTE_MS ? NOTE : FINE, "clocks are %d ms apart at most", "set them by NTP (chrony)", skew);
}

/* The members' ports as the others dial them, which need not be as the URL has them. */
static void look_at_ports(const struct nodes *n, struct findings *f)
{
    for (int k = 0; k < NODES_MAX; k++) {
        const char *address = NULL;
        for (int i = 0; i < n->count && address == NULL; i++)
            if (n->node[i].up && n->node[i].says[k].there)
                address = n->node[i].says[k].address;
        if (address == NULL)
            continue; /* no member, or nobody who could tell */
        const struct node_view *v = nodes_in_slot(n, k);
        int fd = route_connect(address);
        if (fd >= 0) {
            close(fd); /* nothing was said */
            tell(f, FINE, "the port of node %d, %s, is open from this machine", NULL, k, address);
        } else {
            tell(f, v != NULL && v->up ? WRONG : NOTE, "the port of node %d, %s, cannot be reached from this machine%s",
                 v != NULL && v->up ? "members dial each other there: correct the address (`quartetd member`) or open the port; run this on each node's machine to see every way"
                                    : "start the node, or open the port; run this on each node's machine to see every way",
                 k, address, v != NULL && v->up ? ", though the node answers where the URL says" : "");
        }
    }
}

/* ---- the machine of one node ---- */

static double sync_ms(const char *dir, char *why, size_t n)
{
    char path[DIR_TEXT + 64];
    double ms[SYNCS];
    snprintf(path, sizeof path, "%s/doctor-XXXXXX", dir);
    int fd = mkstemp(path);
    bool ok = fd >= 0;
    for (int i = 0; i < SYNCS && ok; i++) {
        double began = now_seconds();
        ok = pwrite(fd, &began, sizeof began, (off_t)i * 4096) == (ssize_t)sizeof began && fdatasync(fd) == 0;
        double took = (now_seconds() - began) * 1e3;
        int k = i;
        for (; k > 0 && ms[k - 1] > took; k--)
            ms[k] = ms[k - 1];
        ms[k] = took;
    }
    if (!ok)
        snprintf(why, n, "%s", strerror(errno));
    if (fd >= 0) {
        close(fd); /* its content was synced, and goes */
        unlink(path);
    }
    return ok ? ms[SYNCS / 2] : -1;
}

static void look_at_keys(const char *dir, struct findings *f)
{
    static const char *const names[] = {"keys/node.key", "keys/member.qm"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[DIR_TEXT + 64];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        if (stat(path, &st) != 0)
            tell(f, WRONG, "%s: %s", "a node's directory is one that `quartetd init` made; its keys belong to it alone", path, strerror(errno));
        else if (i == 0 && (st.st_mode & 077) != 0)
            tell(f, WRONG, "%s can be read by others (mode %03o)", "chmod 600: who has it can be this node", path, (unsigned)(st.st_mode & 0777));
        else
            tell(f, FINE, "%s is there", NULL, path);
    }
}

static void look_at_machine(const char *dir, struct findings *f)
{
    struct statvfs fs;
    struct rlimit files;
    char why[256] = "";
    if (access(dir, R_OK | W_OK | X_OK) != 0) {
        tell(f, WRONG, "%s: %s", "give the directory of this node (DIR/SLOT), and run this as the user that runs it", dir, strerror(errno));
        return;
    }
    look_at_keys(dir, f);
    if (statvfs(dir, &fs) == 0) {
        unsigned long long left = (unsigned long long)fs.f_bavail * fs.f_frsize;
        tell(f, left < FREE_WRONG ? WRONG : FINE, "%llu MiB are free in %s", "make room: a full disk refuses writes until there is some; VACUUM needs as much as the base has", left >> 20, dir);
    } else {
        tell(f, WRONG, "%s: %s", "look at the file system", dir, strerror(errno));
    }
    double ms = sync_ms(dir, why, sizeof why);
    if (ms < 0)
        tell(f, WRONG, "a file in %s cannot be written and synced: %s", "look at the file system", dir, why);
    else
        tell(f, ms > SYNC_NOTE_MS ? NOTE : FINE, "an fdatasync takes %.2f ms (median of %d): no commit with synchronous = full is faster", "a disk with a write cache that survives power cuts is faster", ms, SYNCS);
    struct timex clock = {.modes = 0};
    int state = adjtimex(&clock);
    tell(f, state < 0 || state == TIME_ERROR || (clock.status & STA_UNSYNC) != 0 ? NOTE : FINE, "this machine's clock %s", "run an NTP client (chrony)",
         state < 0 || state == TIME_ERROR || (clock.status & STA_UNSYNC) != 0 ? "says of itself that nothing keeps it right" : "is kept by NTP");
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        tell(f, files.rlim_cur < FILES_LEAST ? NOTE : FINE, "a process may have %llu files open", "raise the limit of open files (LimitNOFILE of the service) to 1024 or more", (unsigned long long)files.rlim_cur);
}

int doctor_run(int count, char **args)
{
    static struct nodes n; /* large */
    struct findings f = {0};
    const char *dir = count >= 2 && strcmp(args[0], "--dir") == 0 ? args[1] : NULL;
    int at = dir != NULL ? 2 : 0;
    bool cluster = at < count || dir == NULL || getenv("QUARTET_URL") != NULL;
    if (count > at + 1 || (at < count && args[at][0] == '-') || (dir != NULL && strlen(dir) >= DIR_TEXT) || (cluster && !url_of("doctor", count, args, at, &n))) {
        fprintf(stderr, "usage: quartetd doctor [--dir DIR/SLOT] [URL]\n");
        return EXIT_USAGE;
    }
    if (dir != NULL)
        look_at_machine(dir, &f);
    if (cluster) {
        nodes_ask(&n, ANSWER_MS);
        look_at_nodes(&n, &f);
        look_at_versions(&n, &f);
        look_at_levels(&n, &f);
        look_at_links(&n, &f);
        look_at_ports(&n, &f);
    }
    printf("%d wrong, %d worth a look\n", f.wrong, f.notes);
    return f.wrong > 0 ? 1 : 0;
}

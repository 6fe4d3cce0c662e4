/* api_open.c - the registry of open databases: one database, however often a process opens its directory.
 * It is the one mutable global of the library, guarded by a lock. Keyed by device and inode, so that two names of one directory meet. */
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api_internal.h"
#include "base/mem.h"

struct api_shared {
    struct api_shared *next;
    bool in_memory;
    dev_t device;
    ino_t inode;
    pid_t pid;
    uint32_t users;
    db *d;
    node *n;
    char *path; /* owned; "" in memory */
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct api_shared *registry; /* under the lock */
/* Beside the registry, since fork() is as much the process's matter as what it has open. */
static atomic_uint generation;
static atomic_uint remote_turns; /* likewise */
static pthread_once_t generation_once = PTHREAD_ONCE_INIT;

static void after_fork(void)
{
    atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
}

static void generation_begin(void)
{
    if (pthread_atfork(NULL, NULL, after_fork) == 0)
        atomic_store(&generation, 1);
}

unsigned api_generation(void)
{
    unsigned now = atomic_load_explicit(&generation, memory_order_relaxed);
    if (now != 0)
        return now;
    (void)pthread_once(&generation_once, generation_begin); /* where it cannot be set up, it stays 0 */
    return atomic_load_explicit(&generation, memory_order_relaxed);
}

static quartet_status shared_new(const char *path, bool in_memory, struct api_shared **out, struct err *err)
{
    struct api_shared *s = mem_zalloc(1, sizeof *s);
    char *copy = mem_strdup(in_memory ? "" : path);
    if (s == NULL || copy == NULL) {
        mem_free(s);
        mem_free(copy);
        return err_nomem(err);
    }
    struct db_options options = {.in_memory = in_memory};
    *s = (struct api_shared){.in_memory = in_memory, .pid = getpid(), .users = 1, .path = copy};
    quartet_status rc = db_open(env_posix(), path, &options, &s->d, err);
    if (rc != QUARTET_OK) {
        mem_free(copy);
        mem_free(s);
        return rc;
    }
    *out = s;
    return QUARTET_OK;
}

/* Under the lock. */
static struct api_shared *find(dev_t device, ino_t inode)
{
    for (struct api_shared *s = registry; s != NULL; s = s->next)
        if (!s->in_memory && s->device == device && s->inode == inode && s->pid == getpid())
            return s;
    return NULL;
}

static quartet_status open_directory(const char *path, struct api_shared **out, struct err *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && (*out = find(st.st_dev, st.st_ino)) != NULL) {
        (*out)->users++;
        return QUARTET_OK;
    }
    quartet_status rc = shared_new(path, false, out, err);
    if (rc != QUARTET_OK)
        return rc;
    if (stat(path, &st) != 0) {
        struct err ignored = ERR_INIT;
        rc = err_set(err, QUARTET_IO, "%s: it is gone after it was opened", path);
        (void)db_close((*out)->d, &ignored); /* the first failure is told */
        mem_free((*out)->path);
        mem_free(*out);
        return rc;
    }
    (*out)->device = st.st_dev;
    (*out)->inode = st.st_ino;
    (*out)->next = registry;
    registry = *out;
    return QUARTET_OK;
}

quartet_status api_shared_open(const char *path, struct api_shared **out, struct err *err)
{
    if (sodium_init() < 0)
        return err_set(err, QUARTET_INTERNAL, "libsodium cannot be started");
    if (strcmp(path, ":memory:") == 0)
        return shared_new(path, true, out, err);
    struct api_shared *s = NULL;
    pthread_mutex_lock(&registry_lock);
    quartet_status rc = open_directory(path, &s, err);
    pthread_mutex_unlock(&registry_lock);
    if (rc == QUARTET_OK)
        *out = s;
    return rc;
}

quartet_status api_shared_close(struct api_shared *s, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    pthread_mutex_lock(&registry_lock);
    bool last = --s->users == 0;
    if (last) {
        for (struct api_shared **at = &registry; *at != NULL; at = &(*at)->next)
            if (*at == s) {
                *at = s->next;
                break;
            }
        /* Closed under the lock: who opens the same directory now must wait until it is free. */
        node_stop(s->n);
        rc = db_close(s->d, err);
    }
    pthread_mutex_unlock(&registry_lock);
    if (last) {
        mem_free(s->path);
        mem_free(s);
    }
    return rc;
}

db *api_shared_db(struct api_shared *s)
{
    return s->d;
}

const char *api_shared_path(const struct api_shared *s)
{
    return s->path;
}

node *api_shared_node(struct api_shared *s)
{
    pthread_mutex_lock(&registry_lock);
    node *n = s->n;
    pthread_mutex_unlock(&registry_lock);
    return n;
}

bool api_shared_set_node(struct api_shared *s, node *n)
{
    pthread_mutex_lock(&registry_lock);
    bool free_place = n == NULL || s->n == NULL;
    if (free_place)
        s->n = n;
    pthread_mutex_unlock(&registry_lock);
    return free_place;
}

uint32_t api_next_turn(void)
{
    return atomic_fetch_add(&remote_turns, 1);
}

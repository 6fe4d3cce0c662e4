/* api_verify.c - quartet_verify: verify.h for programs that know quartet.h only, with the cluster's public keys where they are there. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "api_internal.h"
#include "base/mem.h"
#include "verify.h"

_Static_assert(sizeof ((struct verify_keys *)0)->of / sizeof ((struct verify_keys *)0)->of[0] >= SLOTS_MAX + MEMBER_FORMER_MAX, "room for all keys");

/* The public keys of DIR/keys; false: there are none. */
static bool read_keys(const char *dir, struct verify_keys *out)
{
    struct node_identity id = {0};
    struct err ignored = ERR_INIT; /* without them signatures are not checked, which the result says */
    char path[NODE_PATH_BYTES_MAX];
    *out = (struct verify_keys){0};
    if (path_join(path, sizeof path, dir, "keys", &ignored) != QUARTET_OK || !env_posix()->ops->exists(env_posix(), path))
        return false;
    bool good = node_identity_read(env_posix(), path, &id, &ignored) == QUARTET_OK;
    out->cluster = id.doc.cluster;
    for (uint32_t i = 0; good && i < id.doc.node_count; i++) {
        out->of[out->count].slot = id.doc.nodes[i].slot;
        memcpy(out->of[out->count++].key, id.doc.nodes[i].public_key, sizeof out->of[0].key);
    }
    for (uint32_t i = 0; good && i < id.doc.former_count; i++) {
        out->of[out->count].slot = id.doc.former[i].slot;
        memcpy(out->of[out->count++].key, id.doc.former[i].public_key, sizeof out->of[0].key);
    }
    node_identity_deinit(&id);
    return good;
}

int quartet_verify(const char *dir, void (*found)(void *arg, const struct quartet_finding *f), void *arg, struct quartet_verified *summary, char **errmsg)
{
    struct err err = ERR_INIT;
    struct verify_keys keys;
    struct verify v = {.env = env_posix(), .dir = dir};
    quartet_status rc = QUARTET_OK;
    if (errmsg != NULL)
        *errmsg = NULL;
    if (dir == NULL || dir[0] == '\0')
        rc = err_set(&err, QUARTET_MISUSE, "quartet_verify: a directory is needed");
    else if (sodium_init() < 0)
        rc = err_set(&err, QUARTET_INTERNAL, "libsodium cannot be started");
    if (rc == QUARTET_OK && read_keys(dir, &keys))
        v.keys = &keys;
    if (rc == QUARTET_OK)
        rc = verify_run(&v, &err);
    for (size_t i = 0; found != NULL && i < v.count; i++) {
        const struct verify_finding *f = &v.findings[i];
        struct quartet_finding out = {.size = sizeof out, .file = f->file, .offset = f->offset, .table = f->table, .key = f->key, .what = f->what};
        found(arg, &out);
    }
    if (summary != NULL && summary->size == sizeof *summary)
        *summary = (struct quartet_verified){.size = sizeof *summary, .found = v.found, .pages = v.pages, .blocks = v.blocks, .tables = v.tables,
                                             .rows = v.rows, .indexes = v.indexes, .entries = v.entries, .records = v.records, .batches = v.batches,
                                             .signatures = v.signatures, .is_backup = v.backup, .unread = v.unread};
    if (rc == QUARTET_OK && v.found > 0)
        rc = err_set(&err, QUARTET_CORRUPT, "%llu findings", (unsigned long long)v.found);
    verify_deinit(&v);
    if (rc != QUARTET_OK && errmsg != NULL)
        *errmsg = mem_strdup(err.text);
    return (int)rc;
}

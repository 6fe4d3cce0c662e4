/* kv_run.h - an immutable sorted run of entries (tree, key, version; record or erasure): what is too large for a buffer in memory.
 *
 * Pages of neighbouring entries of one tree, found through the first entry of each, which is in memory. The pages are in memory up to a limit, else
 * in a file that has no name any longer (a crash leaves nothing behind), each with a checksum. A finished run is read by any number of threads. */
#ifndef ENGINE_KV_RUN_H
#define ENGINE_KV_RUN_H

#include "base/env.h"
#include "kv_buffer.h"

#define KV_RUN_FILE_PREFIX "run-" /* of names of files that a crash between making and unlinking left behind */
#define KV_RUN_PAGE_BYTES_MAX (KV_RECORD_BYTES_MAX + KV_KEY_BYTES_MAX + (64u << 10))

typedef struct kv_run kv_run;
typedef struct kv_run_writer kv_run_writer;

struct kv_run_place {
    struct env *env;
    const char *dir;     /* of the file; NULL: all in memory */
    size_t memory_bytes; /* more than this goes to the file */
    const char *name;    /* the file is made at once and keeps this name; NULL: one that is gone before its first byte is written */
    bool stay;           /* the first memory_bytes stay in memory, only what follows goes to the file */
};

/* env and dir are borrowed until the writer is gone. */
quartet_status kv_run_writer_new(const struct kv_run_place *place, kv_run_writer **out, struct err *err);
/* Trees may take turns; within one, keys ascend, and versions of one key descend. Bytes are copied. QUARTET_MISUSE: out of order, the writer is as
 * before. QUARTET_LIMIT past the limits of kv_buffer.h. QUARTET_FULL, QUARTET_IO: of the file; the writer can only be dropped then. */
quartet_status kv_run_put(kv_run_writer *w, tree_id tree, struct slice key, apply_no version, struct slice record, struct err *err);
/* Take the entries of a tree out again, each given to a function: only while no page of it was closed (*taken false: nothing was done). */
quartet_status kv_run_take_back(kv_run_writer *w, tree_id tree,
                                quartet_status (*each)(void *arg, tree_id tree, struct slice key, struct slice record, struct err *err), void *arg,
                                bool *taken, struct err *err);
uint64_t kv_run_writer_bytes(const kv_run_writer *w);
/* The writer is gone in any case. Every version is raised by `shift`: for who learns the number at the end. */
quartet_status kv_run_finish(kv_run_writer *w, apply_no shift, kv_run **out, struct err *err);
/* Of a run with a name: put `tail` behind its pages and make the file durable; its entry in the directory is the caller's care. */
quartet_status kv_run_keep(kv_run *r, struct slice tail, struct err *err);
/* Such a run again, from its file: `bytes` of pages, all of which are looked at. QUARTET_CORRUPT, QUARTET_NOTFOUND, QUARTET_IO: of the file. */
quartet_status kv_run_open(const struct kv_run_place *place, uint64_t bytes, kv_run **out, struct err *err);
void kv_run_writer_free(kv_run_writer *w); /* without finishing; NULL is allowed */
void kv_run_free(kv_run *r);               /* NULL is allowed; nobody reads it any longer */

uint64_t kv_run_entries(const kv_run *r);
uint64_t kv_run_bytes(const kv_run *r);        /* of all pages */
uint64_t kv_run_memory_bytes(const kv_run *r); /* what of it is in memory, the index included */
bool kv_run_tree_changed(const kv_run *r, tree_id tree, apply_no since); /* as kv_buffer_tree_changed */

/* Which versions a reader sees: those up to `through`, but none of these spans: versions above `after`, up to `last`, that were rolled back. */
struct kv_span {
    apply_no after, last;
};
struct kv_sight {
    apply_no through;
    const struct kv_span *gone; /* ascending, apart; borrowed */
    uint32_t gone_count;
    bool every;                 /* a walk forward shows all of them, not the newest of each key only */
};

/* One page at hand: a reader's, used by one thread. {0} is empty; what a reader got from it lasts until it holds another page. */
struct kv_run_page {
    const kv_run *run;
    uint32_t index;
    uint32_t count;       /* entries */
    const uint8_t *p;     /* NULL: none */
    uint32_t bytes;
    uint8_t *own;         /* memory for pages of files */
    size_t own_cap;
};
void kv_run_page_rest(struct kv_run_page *page); /* hold none, keep the memory: before a run goes */
void kv_run_page_deinit(struct kv_run_page *page);

/* A key to look for, in any number of runs. The key's bytes are borrowed. */
struct kv_run_probe {
    tree_id tree;
    struct slice key;
    uint64_t word, hash;
};
struct kv_run_probe kv_run_probe_of(tree_id tree, struct slice key);

void kv_run_ahead(const kv_run *r, const struct kv_run_probe *probe); /* a get follows: have the memory that it looks at first in the cache by then */

/* The newest version in sight. *found false: none. record->p is NULL for an erasure. QUARTET_IO, QUARTET_CORRUPT: of the file. */
quartet_status kv_run_get(const kv_run *r, struct kv_run_page *page, const struct kv_run_probe *probe, const struct kv_sight *sight, struct slice *record,
                          apply_no *version, bool *found, struct err *err);

/* Walk as with kv_cursor: on the newest version in sight of one key, or at the end. {0} before the first seek; deinit at the end. key and record last until the
 * cursor moves. After an error it stands at the end. */
struct kv_run_cursor {
    struct kv_run_page page;
    const kv_run *run;
    struct kv_sight sight;
    uint32_t entry;
    bool valid; /* false: the end */
    tree_id tree;
    struct slice key, record;
    apply_no version;
};
void kv_run_cursor_deinit(struct kv_run_cursor *c);
quartet_status kv_run_seek(struct kv_run_cursor *c, const kv_run *r, const struct kv_sight *sight, tree_id tree, struct slice key, struct err *err);
quartet_status kv_run_seek_before(struct kv_run_cursor *c, const kv_run *r, const struct kv_sight *sight, tree_id tree, struct slice key, struct err *err);
quartet_status kv_run_seek_last(struct kv_run_cursor *c, const kv_run *r, const struct kv_sight *sight, struct err *err);
quartet_status kv_run_next(struct kv_run_cursor *c, struct err *err);
quartet_status kv_run_prev(struct kv_run_cursor *c, struct err *err);

#endif

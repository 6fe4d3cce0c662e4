/* db_snapshot_internal.h - the stream of a snapshot, and the checkpoint in it; for db_donate.c and db_snapshot*.c only. Format: docs/WIRE.md, "Snapshots". */
#ifndef ENGINE_DB_SNAPSHOT_INTERNAL_H
#define ENGINE_DB_SNAPSHOT_INTERNAL_H

#include "db_internal.h"
#include "db_snapshot.h"

#define SNAPSHOT_MAGIC "QRTSNAP1"
#define SNAPSHOT_MAGIC_BYTES 8u
#define SNAPSHOT_SUM_BYTES 32u
#define SNAPSHOT_HEAD_BYTES 29u /* up to the checkpoint: magic, u8 slot of the donor, u64 lo and u64 hi of its state hash, u32 bytes of the checkpoint */
#define SNAPSHOT_BLOCK 1u
#define SNAPSHOT_BLOCK_HEAD_BYTES 15u /* u8 SNAPSHOT_BLOCK, u64 tree, u16 bytes of the separator, u32 bytes of the block; both follow */
#define SNAPSHOT_END 2u
#define SNAPSHOT_END_BYTES 9u         /* u8 SNAPSHOT_END, u64 blocks; then the BLAKE2b-256 of all before */
#define SNAPSHOT_TAIL_MAGIC "QRTSNEXT"
#define SNAPSHOT_TAIL_BYTES 20u       /* behind the stream of a file to be installed: the checkpoint, then u32 its bytes, u64 XXH3 of both, the magic */
#define SNAPSHOT_CHECKPOINT_BYTES_MAX (64u << 20)
#define CHECKPOINT_HEAD_OF_CHAIN_BYTES 56u /* of a chain in a checkpoint, behind the vector that it had seen: u64 number, u64 stamp, 32 bytes hash of its last batch; u64 last stamp */

/* Where the parts of a checkpoint stand (db_checkpoint.c). */
struct checkpoint_view {
    struct slice blob;
    uint8_t flags;
    uint32_t chains;
    size_t applied_at;            /* the vector */
    size_t states_at, states_end; /* of each chain */
    size_t body_end;              /* behind the stamp that history goes back to: from here the index of the log, the incarnation, the trailer */
    size_t trailer_at;            /* blob.n: there is none */
    struct state_hash hash;       /* of all tables */
};
quartet_status checkpoint_look(struct slice blob, struct checkpoint_view *out, struct err *err); /* QUARTET_CORRUPT; the bytes may be a stranger's */
struct vv_entry checkpoint_applied(const struct checkpoint_view *v, uint32_t chain); /* all zeros: nothing of it */
void checkpoint_skip_vector(struct bytes_in *in);
/* Nobody's: without identity, log, incarnation. What is derived from rows is to be derived again. */
quartet_status checkpoint_neutral(struct buf *blob, struct err *err);
/* From such a one: that of a database that was never in a cluster; that of `d`, whose log goes on at `pos`. */
quartet_status checkpoint_alone(struct env *env, struct slice neutral, struct buf *out, struct err *err);
quartet_status checkpoint_of_member(const db *d, struct slice neutral, log_pos pos, struct buf *out, struct err *err);

/* Fill a base from the stream in `file`: the checkpoint stored with it is the file's tail where it has one, else checkpoint_alone. */
quartet_status snapshot_load(struct env *env, const char *file, struct kv_base *to, struct err *err);
/* db.c, before the store is opened: make DIR/base.mdb of `file`; where that is the database's own SNAPSHOT_NEXT it goes afterwards. */
quartet_status snapshot_install(db *d, const char *file, bool own, struct err *err);

#endif

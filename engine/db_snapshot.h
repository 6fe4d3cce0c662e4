/* db_snapshot.h - the state of one member handed to another that lacks what no log holds any longer (docs/WIRE.md, "Snapshots").
 *
 * The donor reads a whole state of its base as one stream of bytes. The receiver keeps the bytes in a file, checks them as a database of their own, and then, where its own state holds nothing
 * that the other one lacks, seals itself and lays the file down under a name that the next opening finds: that opening begins with the other's state, its own identity, and its own log from here on.
 * A crash at any moment leaves the old state or the new one. Who carries the bytes is node_snapshot.c's matter. */
#ifndef ENGINE_DB_SNAPSHOT_H
#define ENGINE_DB_SNAPSHOT_H

#include "db.h"

#define SNAPSHOT_NEXT "snapshot.next" /* in the database's directory: to be installed at the next opening; of a base in memory it is the base */

/* ---- the donor ---- */
typedef struct db_donation db_donation;
/* Flush all that is applied, and hold that state. Takes as long as a flush does; commits go on. QUARTET_BUSY: not now (an unfinished transaction's batches cannot be named); ask again. */
quartet_status db_donate(db *d, db_donation **out, struct err *err);
/* Append the stream's next bytes to `out`, `bytes` of them (fewer: it is the end). */
quartet_status db_donation_read(db_donation *o, size_t bytes, struct buf *out, bool *end, struct err *err);
void db_donation_free(db_donation *o); /* before the database is closed; NULL is allowed */

/* ---- the receiver ---- */
struct db_snapshot_info {
    uint8_t donor;             /* slot, as it says */
    struct state_hash claimed; /* as the donor says */
    struct state_hash hash;    /* as its rows are */
    struct buf vector;         /* of what is applied there (vv_encode); owned */
};
void db_snapshot_info_deinit(struct db_snapshot_info *info);
/* Open the stream in `file` as a database of its own in the new directory `scratch`, which goes again (NULL: in memory), with all that is derived from rows made anew: structure, order, checksums,
 * each record's encoding, and whether the rows make the hash that the donor tells. QUARTET_CORRUPT says what is wrong with it. */
quartet_status db_snapshot_check(struct env *env, const char *file, const char *scratch, struct db_snapshot_info *out, struct err *err);
/* Make `file`, which was checked, what the next opening of the database begins with. Afterwards the database takes nothing any longer (QUARTET_BUSY) and is to be closed and opened.
 * Both vectors are encoded: the snapshot's, and what the donor has on its disk and can give again. QUARTET_NOTFOUND: something of this slot is not in the first, or something applied or on disk
 * here is in neither; nothing has changed. Another failure: opening it again tells which state it is. */
quartet_status db_snapshot_adopt(db *d, const char *file, struct slice vector, struct slice kept, struct err *err);
bool db_is_sealed(db *d); /* that was done */
/* Does the encoded vector name all that the other one does, by chains and numbers? */
bool db_vector_covers(struct slice whole, struct slice part);

#endif

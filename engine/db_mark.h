/* db_mark.h - the tables' hashes as of a stamp, beside writers: what nodes that never stand still compare (node_alarm.h, docs/STORAGE.md "State hash").
 *
 * One mark at a time: begin it before the stamp's time has come; take it some time after, when what others stamped up to it has mostly come; let it be worked out in steps. */
#ifndef ENGINE_DB_MARK_H
#define ENGINE_DB_MARK_H

#include "db.h"

#define DB_MARK_TOUCHED_BYTES_MAX ((size_t)4 << 20) /* keys of rows that are written between begin and take; with more the mark says nothing */

typedef struct db_mark db_mark; /* owned; used by one thread; freed before the database is closed */

/* From now on it is kept which rows are written with a stamp above this one. False: something so stamped is here already, so it is too late; or a mark has begun. */
bool db_mark_begin(db *d, hlc_stamp stamp);
void db_mark_drop(db *d); /* whatever was begun is not wanted any longer */
/* The state of this moment: vector, hashes, and a snapshot. QUARTET_NOTFOUND: nothing had begun, too much was written since, or the schema changed. In any case nothing has begun any longer. */
quartet_status db_mark_take(db *d, db_mark **out, struct err *err);
/* Work on up to `rows` rows. *done: all of them have been seen. */
quartet_status db_mark_step(db_mark *m, uint32_t rows, bool *done, struct err *err);
void db_mark_free(db_mark *m); /* NULL is allowed */

hlc_stamp db_mark_stamp(const db_mark *m);
struct slice db_mark_vector(const db_mark *m); /* encoded (vv_encode): what was applied when it was taken. What it names up to the stamp is what the hashes are of */
bool db_mark_whole(const db_mark *m); /* once done: it could be told of every table */
/* Once done: tables by id, ascending, without those of which it cannot be told. False: there is no i-th. */
bool db_mark_table(const db_mark *m, uint32_t i, uint64_t *table, struct state_hash *hash);

#endif

/* backup.h - BACKUP of an open database into a directory, and a new database made of such a directory (docs/STORAGE.md, "Backups").
 *
 * A backup is base.mdb, a whole base, and backup.manifest with its size and checksum. It has no log, no keys, and no identity that could be taken up: a restored
 * database is one of its own, whose commits are numbered in a chain that nobody has used. */
#ifndef ENGINE_BACKUP_H
#define ENGINE_BACKUP_H

#include "db.h"

#define BACKUP_MANIFEST "backup.manifest"
#define BACKUP_FORMAT "quartet backup 1"

/* Everything that is committed when it is called, maybe more, never a part of a transaction. Commits go on. `dir` must not exist, or be empty; it has the name only
 * once it is whole and on disk. *bytes: of its files. */
quartet_status db_backup(db *d, const char *dir, uint64_t *bytes, struct err *err);
/* VACUUM: sizes of base.mdb before and after. */
quartet_status db_vacuum(db *d, uint64_t *before, uint64_t *after, struct err *err);

struct backup_info {
    uint64_t taken_us, stamp, bytes;
    uint64_t hash[2]; /* of base.mdb: XXH3, 128 bits */
};
/* Read and check the manifest. QUARTET_CORRUPT, QUARTET_NOTFOUND (no backup). */
quartet_status backup_read(struct env *env, const char *dir, struct backup_info *out, struct err *err);
/* Read base.mdb and compare it with the manifest. */
quartet_status backup_check(struct env *env, const char *dir, const struct backup_info *info, struct err *err);
/* Make a database in `dir`, which must not exist or be empty, of the backup in `from`. Checks first; `dir` has the name only once all is done. */
quartet_status backup_restore(struct env *env, const char *from, const char *dir, struct err *err);

#endif

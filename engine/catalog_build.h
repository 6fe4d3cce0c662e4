/* catalog_build.h - how a catalog is made; for catalog*.c, ddl.c, apply.c and db*.c. Readers of a catalog need catalog.h only.
 *
 * Every table is a box of its own, reference counted, so that a new catalog shares the boxes whose inputs did not change: a schema of
 * a thousand tables is not parsed a thousand times while it is being created. */
#ifndef ENGINE_CATALOG_BUILD_H
#define ENGINE_CATALOG_BUILD_H

#include <stdatomic.h>

#include "catalog.h"
#include "kv.h"
#include "kv_past.h"

#define SYS_COLUMN_ORDER 5u /* local: in which order this node learnt of added columns = their place in records */
#define SYS_QUARANTINE 6u   /* local: which rows break a constraint of their own table (RECORD_HIDDEN), and since when here */
#define SYS_CONFLICTS 8u    /* local: quartet_conflict_log, what concurrent writes overrode */
#define SYS_RESOLVED 9u     /* replicated: conflicts that somebody settled by RESOLVE CONFLICT */
#define SYS_CLOSINGS 10u    /* replicated: up to where members have chains whose writer runs no more (db_close.c) */
#define SYS_FORKS 11u       /* replicated: who signed two histories, and the proof (db_fork_rows.c) */
#define SYS_GIVEN_UP KV_GIVEN_UP /* local: referenced UNIQUE values that transactions of this slot took from rows (given_up.c) */
#define SYS_SHARES 13u      /* replicated: room of bounded COUNTERs that chains gave to others, and who asked for some (share.h) */
#define SYS_FOLDS 14u       /* replicated: closed chains that every member has as a whole, so what they wrote may be summed up (db_folds.c) */
#define SYS_FOLLOW_UPS 16u  /* local: broken keys whose row a DELETE of this node ended, on whose children its ON DELETE actions are to follow (follow_up.c) */
#define SYS_OUTCOMES 17u    /* local: the last commit of each session of a client, of whichever node (outcome.c) */
#define SYS_TREES_END 256u
#define SYS_VIEW_CONFLICTS 200u /* views that every catalog has */
#define SYS_VIEW_HOT_CELLS 201u
#define SYS_VIEW_QUARANTINE 202u
#define CONFLICTS_MAX 1000000u /* rows of quartet_conflict_log; the oldest go first */
#define CONFLICTS_KEPT_MS ((uint64_t)7 * 24 * 3600 * 1000)
/* Whether a system table is this node's own: made by apply, neither replicated nor part of the state hash. */
static inline bool system_is_local(tree_id id)
{
    return id == SYS_GRAVES || id == SYS_COLUMN_ORDER || id == SYS_QUARANTINE || id == SYS_CONFLICTS || id == SYS_BROKEN || id == SYS_FOLLOW_UPS ||
           id == SYS_GIVEN_UP || id == SYS_OUTCOMES;
}
#define CATALOG_COLUMN_ADDED (1u << 16) /* ids of added columns begin here */

/* Column positions of the system tables. */
enum { OBJ_ID, OBJ_KIND, OBJ_NAME, OBJ_TABLE_ID, OBJ_SQL, OBJ_COLUMNS };
enum {
    CONFLICT_LOSING_STAMP,
    CONFLICT_ID,
    CONFLICT_AT,
    CONFLICT_TABLE_ID,
    CONFLICT_COLUMN_ID,
    CONFLICT_KEY,
    CONFLICT_TABLE_NAME,
    CONFLICT_KEY_TEXT,
    CONFLICT_COLUMN_NAME,
    CONFLICT_RULE,
    CONFLICT_WINNING_VALUE,
    CONFLICT_LOSING_VALUE,
    CONFLICT_WINNING_STAMP,
    CONFLICT_WINNING_NODE,
    CONFLICT_LOSING_NODE,
    CONFLICT_COLUMNS
};
enum { RESOLVED_LOSING_STAMP, RESOLVED_ID, RESOLVED_AT, RESOLVED_COLUMNS };
enum { FORK_SLOT, FORK_INCARNATION, FORK_NUMBER, FORK_MEMBER, FORK_TAKEN, FORK_ONE, FORK_OTHER, FORK_COLUMNS };
enum { FOLD_SLOT, FOLD_INCARNATION, FOLD_NUMBER, FOLD_COLUMNS };
enum { CLOSING_SLOT, CLOSING_INCARNATION, CLOSING_MEMBER, CLOSING_NUMBER, CLOSING_SUCCESSOR, CLOSING_COLUMNS };
enum { /* all but the last two are the key */
    SHARE_TABLE_ID,
    SHARE_KEY,
    SHARE_COLUMN_ID,
    SHARE_SIDE,
    SHARE_BIRTH_STAMP,
    SHARE_BIRTH_SLOT,
    SHARE_BIRTH_INCARNATION,
    SHARE_FROM_SLOT,
    SHARE_FROM_INCARNATION, /* 0: nobody gave, `to` asks */
    SHARE_TO_SLOT,
    SHARE_TO_INCARNATION,
    SHARE_AMOUNT,
    SHARE_ASKED,
    SHARE_COLUMNS
};
enum { COL_TABLE_ID, COL_ID, COL_NAME, COL_SQL, COL_COLUMNS };
enum { QUARANTINE_TABLE_ID, QUARANTINE_KEY, QUARANTINE_SINCE, QUARANTINE_COLUMNS };
enum { ORDER_TABLE_ID, ORDER_ID, ORDER_POSITION, ORDER_COLUMNS };

struct table_box {
    atomic_uint refs;
    struct arena arena;
    uint64_t inputs; /* hash of all that it was made from */
    struct table_def def;
};

/* What a table is made from. */
struct table_added { /* a column of ALTER TABLE ADD COLUMN */
    uint32_t id;
    const char *name; /* as shown: a clash of concurrent additions gives the later one a suffix */
    const char *sql;  /* column definition */
    struct ver birth;
    int64_t order;   /* place among the added columns in records; INT64_MAX: last */
};
/* What ALTER TABLE made of a column: a row of quartet_columns whose id is the column's plus CATALOG_OVERRIDE. The newest counts, as of any row. */
#define CATALOG_OVERRIDE ((int64_t)1 << 32)
struct table_override {
    uint32_t id;
    const char *name;
    const char *sql; /* the definition as it is now; empty: dropped */
};
/* ALTER TABLE ... SET COUNTER and its like, in quartet_columns too: a claim by each node that chose a kind, of which the one born first counts, and that this one is in
 * effect since every member knew a claim. The id's upper 32 bits, above the column's. */
#define CATALOG_KIND_SETTLED 2u /* the definition is the kind's name */
#define CATALOG_KIND_CLAIM 2u   /* + the kind */
static inline int64_t catalog_kind_row(uint32_t column, uint32_t upper)
{
    return (int64_t)upper << 32 | column;
}
/* ALTER TABLE ... UPDATES WIN, or LOSE, in quartet_columns too: one row a table, whose definition is these words. The newest counts. */
#define CATALOG_OPTION_UPDATES 8u /* upper 32 bits of the id; the lower are 0 */
enum table_updates { TABLE_UPDATES_AS_CREATED, TABLE_UPDATES_WIN, TABLE_UPDATES_LOSE };
/* Who a FOREIGN KEY references, in quartet_columns too: its definition is the table's id. Written with the key, or when that table comes: a name may change hands. */
#define CATALOG_PARENT 9u /* upper 32 bits of the id; the lower: foreign_key_def.told_as */
struct table_parent {
    uint32_t told_as;
    tree_id parent;
    const char *name; /* now; NULL: it is not there */
};
/* COMMENT ON, in quartet_columns too: a register of the object whose id stands as table_id. Its definition is the text; empty: there is none. */
#define CATALOG_COMMENT 10u           /* upper 32 bits of the id; the lower: the column's id, or */
#define CATALOG_COMMENT_OF_OBJECT UINT32_MAX
struct catalog_comment {
    tree_id object;
    uint32_t column; /* its id, or CATALOG_COMMENT_OF_OBJECT */
    const char *text;
};
struct table_kind {
    uint32_t id;
    uint8_t kind;
    bool settled;
    struct ver birth;
};
struct table_index {
    tree_id id;
    const char *name;
    const char *sql; /* CREATE INDEX */
};
struct table_trigger {
    tree_id id;
    const char *name;
    const char *sql; /* CREATE TRIGGER */
    struct ver birth;
};
struct table_constraint {
    tree_id id;
    const char *name;
    const char *sql; /* ALTER TABLE, with one action: ADD or DROP CONSTRAINT */
    struct ver birth;
};
struct table_source {
    tree_id id;
    const char *name;
    const char *sql; /* CREATE TABLE as first created */
    struct table_added *added;
    uint32_t added_count;
    struct table_override *overrides;
    uint32_t override_count;
    struct table_kind *kinds; /* by birth */
    uint32_t kind_count;
    uint8_t updates; /* enum table_updates */
    struct table_parent *parents;
    uint32_t parent_count;
    struct table_index *indexes;
    uint32_t index_count;
    struct table_trigger *triggers; /* by birth */
    uint32_t trigger_count;
    struct table_constraint *constraints; /* by birth */
    uint32_t constraint_count;
    bool is_system, dropped, temporary;
};
/* catalog_rename.c: a canonical text of SQL with other names: `name` gives the new one of an identifier, or NULL to leave it. Strings and names of functions
 * stay. Failure is sticky in `out`. */
void catalog_rename(const char *text, const char *(*name)(void *arg, const char *name), void *arg, struct buf *out);
/* The columns of its own table that a constraint, or an index, names; in place. What a FOREIGN KEY references is left. */
void catalog_rename_columns(struct ast_orders *columns, const char *(*name)(void *arg, const char *name), void *arg);
quartet_status catalog_rename_constraint(struct ast_constraint *c, const char *(*name)(void *arg, const char *name), void *arg, struct arena *a, struct err *err);
quartet_status catalog_rename_index(struct ast_create_index *c, const char *(*name)(void *arg, const char *name), void *arg, struct arena *a, struct err *err);
/* Stored definitions of what came after CREATE TABLE call columns "#" and their id. No column can be named so. */
bool catalog_column_id(const char *name, uint32_t *id);
/* Parsed, into the arena. One whose text this version cannot read (a newer member's) is left out: it runs where it can be read, at its origin. QUARTET_NOMEM. */
quartet_status catalog_triggers(const struct table_trigger *from, uint32_t count, struct arena *a, const struct trigger_def **out, uint32_t *out_count, struct err *err);
quartet_status table_box_new(const struct table_source *source, struct table_box **out, struct err *err);
uint64_t table_source_hash(const struct table_source *source); /* what box->inputs would be */
void table_box_unref(struct table_box *b);

/* catalog_view.c */
struct view_box {
    atomic_uint refs;
    struct arena arena;
    struct view_def def;
};
struct view_source {
    tree_id id;
    const char *name;
    const char *sql; /* CREATE VIEW */
    struct table_trigger *triggers; /* by birth */
    uint32_t trigger_count;
    bool temporary;
};
/* Parse a stored CREATE VIEW; def.ast is NULL where this version cannot read it. QUARTET_NOMEM. */
quartet_status view_box_new(const struct view_source *source, struct view_box **out, struct err *err);
bool view_is_made_of(const struct view_def *v, const struct view_source *source);
void view_box_unref(struct view_box *b); /* NULL is allowed */

struct catalog {
    atomic_uint refs;
    uint64_t version;
    uint64_t bare_version;            /* of the catalog that catalog_with_temp was given */
    struct catalog *temp;             /* an owned reference, or NULL */
    struct table_box **by_id;         /* owned references, by id */
    uint32_t count;
    const struct table_def **by_name; /* without dropped ones */
    uint32_t name_count;
    bool has_foreign_keys;
    bool claims_kinds; /* of some table */
    struct view_box **views;          /* owned references, by name */
    uint32_t view_count;
    struct catalog_comment *comments; /* by object and column; in the arena */
    uint32_t comment_count;
    struct fk_link *links;            /* by child, then in the order of its definition */
    const struct fk_link **links_in;  /* by parent, then by its key (the primary one first) */
    uint32_t link_count;
    struct arena arena;               /* of links and comments */
};
/* catalog_link.c */
quartet_status catalog_link(struct catalog *c, struct err *err); /* once tables stand in it */
/* Takes the references, also where it fails. */
struct catalog_parts {
    struct table_box **boxes;
    uint32_t count;
    struct view_box **views;
    uint32_t view_count;
    const struct catalog_comment *comments; /* copied; in any order */
    uint32_t comment_count;
};
/* catalog_comment.c */
quartet_status catalog_take_comments(struct catalog *c, const struct catalog_parts *parts, struct err *err);
quartet_status catalog_new(uint64_t version, const struct catalog_parts *parts, struct catalog **out, struct err *err);

/* Read the system tables in a snapshot. `over` (may be NULL) is laid over it; its rows are a transaction's pending ones (`pending`: no births, newest) or merged
 * ones. `old` lends boxes that are unchanged. */
struct catalog_source {
    kv_snap *snap;
    const struct kv_overlay *over;
    bool pending;
    const struct chain_table *chains; /* may be NULL where only one chain can be */
    const struct catalog *old;
    bool temporary; /* the objects are a session's own */
};
quartet_status catalog_read(const struct catalog_source *src, uint64_t version, struct catalog **out, struct err *err);
/* The same with another session's part. `temp` is borrowed. */
quartet_status catalog_with_temp(const struct catalog *c, struct catalog *temp, uint64_t version, struct catalog **out, struct err *err);
quartet_status catalog_bare(uint64_t version, struct catalog **out, struct err *err); /* the system tables alone */

const struct table_def *catalog_at_id(const struct catalog *c, uint32_t i); /* by id order, dropped ones included; NULL past the end */
uint8_t catalog_kind(uint8_t ast_kind); /* enum ast_column_kind as enum row_kind */
int name_cmp(const char *a, const char *b); /* without case, ASCII */
tree_id object_id(const char *kind, const char *name, const char *sql, uint64_t dropped);
/* All columns of a row from its key and record: bytes point into both or lie in the arena. Dead rows: *live false, values untouched. */
quartet_status table_decode(const struct table_def *t, struct slice key, struct slice record, struct value *values, struct arena *a, bool *live,
                            struct err *err);
/* The same where a row that is live by its births counts, quarantined or not. */
quartet_status table_decode_hidden(const struct table_def *t, struct slice key, struct slice record, struct value *values, struct arena *a, bool *live,
                                   struct err *err);

#endif

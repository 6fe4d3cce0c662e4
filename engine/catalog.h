/* catalog.h - tables, columns, indexes: an immutable picture of the schema, made from the rows of the system tables.
 *
 * DDL writes rows of system tables like any other rows, so it replicates and merges as they do; whoever applies a delta that touches them makes
 * a new catalog. A statement holds the catalog it was planned with (reference counted). Object ids are derived from the
 * definition (name, text as first created, and how often that name was dropped as far as the creator knew), so that equal concurrent
 * creations are one object. */
#ifndef ENGINE_CATALOG_H
#define ENGINE_CATALOG_H

#include "crdt/bounded.h"
#include "crdt/key.h"
#include "crdt/row.h"
#include "kv_buffer.h"
#include "parser/ast.h"

#define SYS_OBJECTS 1u  /* the tree and table id of quartet_objects: every table, index, view and trigger */
#define SYS_COLUMNS 2u  /* columns added later */
#define SYS_GRAVES 3u   /* local: definitions of dropped objects, whose rows still merge out of sight */
#define SYS_BROKEN 7u   /* local: referenced keys that are broken (orphan.h) */
#define SYS_SETTINGS 4u /* replicated settings */

enum column_type_flags { COLUMN_NO_TYPE = 1 }; /* declared without a type: takes anything */

struct column_def {
    const char *name;
    const char *first_name; /* before any RENAME COLUMN */
    const char *declared;   /* as written, for people: "NVARCHAR(160)" */
    uint32_t id;            /* never reused in its table; what deltas ship */
    uint8_t type;           /* enum value_type that values are converted to; VALUE_NULL: none */
    uint8_t precision, scale; /* DECIMAL(p, s) */
    uint32_t length;        /* VARCHAR(n): told, never cut; 0: none */
    bool is_boolean;        /* BOOLEAN: an INTEGER that is 0 or 1 */
    bool not_null;
    bool nocase;            /* COLLATE NOCASE */
    const char *comment;    /* COMMENT 'text' of the definition itself; catalog_column_comment() tells what it is now; or NULL */
    bool derived;           /* computed from the others (derived.h): in no key and no record, and never written */
    uint8_t kind;           /* enum row_kind */
    bool over_lww;          /* ALTER TABLE made it so: a register above the plain one, which merges on and gives the base value */
    uint8_t kind_claimed;   /* what ALTER TABLE makes of it once every member has acknowledged that (kind_settle.c); ROW_LWW: nothing */
    struct ver kind_birth;  /* of that claim */
    struct bounded bound;   /* of a COUNTER: what its CHECKs say */
    uint8_t element, element_precision, element_scale; /* SET: the type of its elements; its own is JSON */
    int32_t key_at;         /* position in the primary key, or -1 */
    int32_t record_at;      /* position in the record (row_schema), or -1 for key columns */
    const struct ast_expr *default_expr; /* or NULL */
    const struct ast_expr *generated;    /* GENERATED ALWAYS AS (this); or NULL */
};

#define INDEX_WHOLE UINT32_MAX

struct index_def {
    const char *name;
    tree_id id;
    bool unique;
    bool implied;               /* made by UNIQUE in the table's own definition */
    uint32_t column_count;
    const uint32_t *columns;    /* positions in table_def.columns */
    const struct key_column *keys; /* encoding of each */
    uint32_t where;             /* the derived column that is true for rows that have an entry; INDEX_WHOLE: all have */
};
/* An index entry's key: the indexed columns, then the row's whole primary key bytes; its record is empty. */

struct expr;
struct derived_def { /* derived.h */
    uint32_t column;         /* position in table_def.columns */
    const struct expr *expr; /* its columns are the table's, by position; NULL: it names what is not there any longer, and is NULL in all rows */
    const uint32_t *reads;   /* columns that it is computed from, by way of derived ones too; they themselves are not derived */
    uint32_t read_count;
};

struct check_def {
    const char *name; /* or NULL */
    const struct ast_expr *expr;
    const char *text;
};
struct foreign_key_def {
    const char *name; /* or NULL */
    const char *parent;    /* as it is called now, where that is told; else as the definition calls it */
    tree_id parent_id;     /* who it is, told by the node that made the definition; 0: it was not there */
    uint32_t told_as;      /* stands for this key in what tells that */
    uint32_t column_count;
    const uint32_t *columns;
    const char *const *parent_columns; /* or NULL: the parent's primary key */
    uint8_t on_delete, on_update;      /* the parser's action codes */
    bool keep_parent;                  /* ON MERGE KEEP PARENT */
};

struct trigger_def {
    const char *name;
    tree_id id;
    const char *sql;                      /* canonical CREATE TRIGGER */
    const struct ast_create_trigger *ast; /* read-only, as a view's */
};

struct constraint_def { /* added by ALTER TABLE; what it is stands among checks, indexes and foreign_keys */
    const char *name; /* empty: it says that one of the definition was dropped */
    tree_id id;
};

struct table_def {
    const char *name;
    const char *first_name;   /* as it was created: what foreign keys of other tables may still say */
    tree_id id;
    const char *sql;          /* canonical CREATE TABLE */
    const char *comment;      /* as a column's */
    uint32_t column_count, visible_count;
    const struct column_def *columns; /* those from visible_count on were dropped: nameless, they keep their place in records; behind them stand the expressions of indexes */
    uint32_t derived_count;
    const struct derived_def *derived; /* in an order in which they can be computed */
    bool hidden_key;          /* no PRIMARY KEY declared: key is (stamp, incarnation, ordinal), 20 bytes big-endian */
    bool rowid_key;           /* INTEGER PRIMARY KEY: a NULL is assigned */
    uint32_t key_count;
    const uint32_t *key_columns;       /* positions in columns, in key order */
    const struct key_column *keys;     /* encoding of each */
    struct row_schema rows;            /* the non-key columns, in record order */
    const uint32_t *record_columns;    /* record position -> position in columns */
    const uint32_t *record_ids;        /* record position -> column id */
    uint32_t index_count;
    const struct index_def *indexes;
    uint32_t check_count;
    const struct check_def *checks;
    uint32_t foreign_key_count;
    const struct foreign_key_def *foreign_keys;
    uint32_t constraint_count;
    const struct constraint_def *constraints;
    const uint16_t *together;          /* by record position: columns of one number (not 0) are all written where one is; NULL: there are none */
    uint32_t trigger_count;
    const struct trigger_def *triggers; /* in the order in which they were created */
    bool updates_win;         /* to those who write now; rows.updates_win: or it once was so */
    const char *problem;      /* why the newest index that is not there, or generated column that is NULL, is so; NULL: all is there */
    bool claims_kind;         /* some column's kind_claimed is set */
    bool sets_below;          /* some SET lies over a plain register: records may show that one's value (kind_show_sets) */
    bool bounded;             /* a column that is there has a bound */
    bool is_system;           /* quartet_...: read-only to users */
    bool temporary;           /* of one session: its rows are in that session's own database (txn_temp.c) */
    bool dropped;             /* in the graveyard: merges, never shown */
};

/* A view: its query is bound anew in each statement that names it, and sees no names of that statement. */
struct view_def {
    const char *name;
    tree_id id;
    const char *sql;                    /* canonical CREATE VIEW */
    bool is_system;                     /* quartet_...: every catalog has it */
    bool temporary;                     /* of one session, and may name what only that has */
    const struct ast_create_view *ast;  /* read-only: statements of all connections bind it; NULL: a newer version's, not readable here */
    uint32_t trigger_count;
    const struct trigger_def *triggers; /* INSTEAD OF, in the order in which they were created */
};

/* A foreign key and the tables on both its sides, as one catalog has them. One whose parent, or whose key of the parent, is not there is no link: it hides no
 * row, and statements that would write such a child fail. */
struct fk_link {
    const struct table_def *child, *parent;
    const struct foreign_key_def *fk;
    const struct index_def *key;       /* of the parent: what is referenced; NULL: its primary key */
    const struct key_column *keys;     /* its encoding */
    const uint32_t *parent_columns;    /* its columns, in its order */
    const uint32_t *columns;           /* those of the child that reference them, in the same order */
    const struct index_def *index;     /* of the child: entries begin with these columns, in some order; NULL: its primary key does */
    uint32_t count;
    bool seeks;                        /* a key's rows are neighbours in that index; else, for types or collations that differ, all must be looked at */
    bool casts;                        /* the types differ: a value may be one that no row of the parent can have */
};

struct catalog;
/* What only the session has, a catalog of its own; NULL: nothing. Nothing permanent ever refers to it: all functions below but catalog_named are of what is permanent. */
const struct catalog *catalog_temp(const struct catalog *c);
/* What statements of the session mean by a name: its own table before a permanent one. NULL: none. */
const struct table_def *catalog_named(const struct catalog *c, const char *name);
/* Links whose child is this table, neighbours in an array; and those whose parent it is. The count. */
uint32_t catalog_links_out(const struct catalog *c, tree_id child, const struct fk_link **first);
uint32_t catalog_links_in(const struct catalog *c, tree_id parent, const struct fk_link *const **first);
/* Why ON MERGE KEEP PARENT of this foreign key of `child` can have no effect: more of the sentence that begins with "ON MERGE KEEP PARENT of table t: "; NULL: it can, or its
 * parent is not there. */
const char *catalog_keep_problem(const struct catalog *c, const struct table_def *child, const struct foreign_key_def *fk);
/* The link of one of the child's foreign keys; NULL: its parent is not there, or has no such key. */
const struct fk_link *catalog_link_of(const struct catalog *c, const struct table_def *child, const struct foreign_key_def *fk);
/* The table that is told; is it not there, by the name it has, else the one it was created with; NULL: none. */
const struct table_def *catalog_parent(const struct catalog *c, const struct foreign_key_def *fk);
const struct table_def *catalog_table(const struct catalog *c, const char *name); /* case-insensitive; NULL: none */
const struct table_def *catalog_table_by_id(const struct catalog *c, tree_id id); /* dropped ones included */
const struct index_def *catalog_index(const struct catalog *c, const char *name, const struct table_def **table);
const struct table_def *catalog_table_at(const struct catalog *c, uint32_t i);    /* by name order; NULL past the end; no dropped ones */
const struct trigger_def *catalog_trigger(const struct catalog *c, const char *name);
bool catalog_has_foreign_keys(const struct catalog *c); /* any, of any table */
const struct view_def *catalog_view(const struct catalog *c, const char *name); /* case-insensitive; NULL: none */
const struct view_def *catalog_view_at(const struct catalog *c, uint32_t i);     /* by name order; NULL past the end */
/* catalog_comment.c. What COMMENT ON said of an object (its id) or of one of a table's columns (a position), else what the definition says; NULL: there is none. */
const char *catalog_comment(const struct catalog *c, tree_id object);
const char *catalog_table_comment(const struct catalog *c, const struct table_def *t);
const char *catalog_column_comment(const struct catalog *c, const struct table_def *t, uint32_t at);
/* CREATE TABLE with all comments in it; in the arena. */
quartet_status catalog_commented(const struct catalog *c, const struct table_def *t, struct arena *a, const char **out, struct err *err);
uint64_t catalog_version(const struct catalog *c); /* differs after every change: a cached plan is valid for one version */
struct catalog *catalog_ref(struct catalog *c);
void catalog_unref(struct catalog *c);
int32_t table_column(const struct table_def *t, const char *name); /* position, or -1 */
/* rowid, oid or _rowid_: SQLite's names of an INTEGER PRIMARY KEY. */
bool name_is_rowid(const char *name);
int32_t table_column_or_rowid(const struct table_def *t, const char *name); /* a column so called, else the INTEGER PRIMARY KEY by one of these names; -1 */
int32_t table_column_first(const struct table_def *t, const char *name); /* by the name it has, else by the one it was created with */
/* Does this foreign key's text name the table? By the name it has or had. */
bool table_is_called(const struct table_def *t, const char *name);

/* A key as SQL literals: 7, or 'a', 2. NULL for a hidden one. */
quartet_status table_key_text(const struct table_def *t, struct slice key, struct arena *a, struct value *out, struct err *err);

#endif

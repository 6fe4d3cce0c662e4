/* quartet_status.h - the status codes of Quartet: one list for the library's users and for every layer below it.
 *
 * Every call that can fail returns one of these; a text that says what was wrong, where, and what to do comes with it
 * (quartet_errmsg). Numbers are part of the ABI: they never change and are never reused. */
#ifndef QUARTET_STATUS_H
#define QUARTET_STATUS_H

typedef enum quartet_status {
    QUARTET_OK = 0,
    QUARTET_ERROR = 1,        /* the statement is wrong: syntax, unknown name, type mismatch */
    QUARTET_INTERNAL = 2,     /* a broken promise of ours; please report */
    QUARTET_NOMEM = 3,        /* an allocation failed; nothing was changed */
    QUARTET_LIMIT = 4,        /* a documented limit was passed */
    QUARTET_CONSTRAINT = 5,   /* NOT NULL, UNIQUE, PRIMARY KEY, CHECK or FOREIGN KEY */
    QUARTET_SERIALIZATION = 6, /* another transaction got in between: run the transaction again (SQLSTATE 40001) */
    QUARTET_IO = 7,           /* reading, writing or syncing a file failed */
    QUARTET_FULL = 8,         /* the disk is full; reads go on, nothing is half done */
    QUARTET_CORRUPT = 9,      /* stored or received bytes fail their checks */
    QUARTET_BUSY = 10,        /* in use by another process, or by another thread of this one */
    QUARTET_MISUSE = 11,      /* the API was called wrongly */
    QUARTET_RANGE = 12,       /* a parameter or column index out of range */
    QUARTET_MISMATCH = 13,    /* a value cannot be converted without loss */
    QUARTET_INTERRUPTED = 14, /* quartet_interrupt() or statement_timeout */
    QUARTET_READONLY = 15,    /* writing is not possible here */
    QUARTET_NOTFOUND = 16,    /* internal: no such key; never returned by the public API */
    QUARTET_CANTOPEN = 17,    /* the database cannot be opened: missing, rights, another format version */
    QUARTET_NET = 18,         /* no node could be reached, or a link broke */
    QUARTET_AUTH = 19,        /* an unknown key, a wrong signature, or another cluster */
    QUARTET_UNAVAILABLE = 20, /* what the session's consistency asks for cannot be had within its time-out */
    QUARTET_UNKNOWN_OUTCOME = 21, /* the link broke during COMMIT; the transaction identifier tells the outcome later */
    QUARTET_TOO_OLD = 22,     /* a snapshot or a time before the history that is kept */
    QUARTET_ROW = 100,        /* quartet_step: a row is ready */
    QUARTET_DONE = 101        /* quartet_step: the statement is finished */
} quartet_status;

#endif

/* exec_window.h - a window operator at work; inside exec_window.c, exec_window_frame.c and exec_window_call.c. */
#ifndef ENGINE_EXEC_WINDOW_H
#define ENGINE_EXEC_WINDOW_H

#include "exec_pages.h"
#include "exec_pile.h"

struct wrow { /* a row in memory, by its key: partition, then order */
    uint64_t prefix; /* the key's first eight bytes, big-endian */
    const uint8_t *key;
    uint32_t part_bytes, key_bytes; /* of the partition; of all */
    uint32_t row;
};
struct frame { /* sorted positions [from, to), of one partition [first, last) */
    uint32_t first, last;
    uint32_t from, to;
};
struct wcall { /* a call: where its values are among a row's columns, and how far it has come in the partition */
    uint32_t *args;
    uint32_t filter, start, end; /* PLAN_NONE: there is none */
    struct arena mem;            /* of the aggregate, and of `last` */
    agg *g;
    bool any;                    /* from, to and last are of the row before */
    uint32_t from, to;
    struct arena last_mem;
    struct value last;
    uint32_t rank; /* of the peers at hand among the partition's */
};
struct xwindow {
    struct xnode x;
    bool built;
    struct arena data;   /* rows and keys in memory */
    struct rows rows;    /* the input's columns, then those of `extra` */
    struct expr **extra; /* what calls ask for and is no column of the input */
    uint32_t extra_count;
    uint32_t order_value; /* column of the first ORDER BY expression, for RANGE with a distance; or PLAN_NONE */
    struct wrow *sorted;
    uint32_t cap;
    struct wcall *calls;
    /* past memory_limit */
    spill *spilled;       /* NULL: all is in memory */
    struct pages *pages;  /* the partition at hand: the order's key, then the row's columns */
    struct slice next;    /* the row that begins the next partition; p NULL: there is none */
    struct buf part, row; /* the partition's key; scratch */
    /* the partition at hand */
    struct frame at_hand;
    uint32_t at;                     /* the next row to be given */
    uint32_t peers_from, peers_to;   /* those of the row that was asked last */
    quartet_status failed;           /* of a read that could not say so */
    struct err why;
    struct outvec *cols;
    struct buf key;
    uint16_t sel[BATCH_ROWS_MAX];
};

/* The value of a column in the row at a sorted position. Its bytes last until some other rows are asked for. After an error NULL: window_check tells. */
struct value window_cell(struct xwindow *w, uint32_t at, uint32_t column);
bool window_peers(struct xwindow *w, uint32_t a, uint32_t b); /* equal in ORDER BY */
quartet_status window_check(const struct xwindow *w, struct err *err);

/* exec_window_frame.c */
quartet_status frame_of(struct xwindow *w, struct frame *f, uint32_t call, uint32_t at, struct err *err);
void frame_peers(struct xwindow *w, uint32_t at); /* into peers_from and peers_to */

/* exec_window_call.c: the results of a call for the rows from .. to-1, which come in order, into out[0 ..]; bytes lie in x.tmp or with the rows in memory. */
quartet_status window_call(struct xwindow *w, uint32_t call, uint32_t from, uint32_t to, struct value *out, struct err *err);
void window_call_begin(struct xwindow *w, uint32_t call); /* a partition begins */

#endif

/* like.h - LIKE, ILIKE, GLOB, REGEXP and SIMILAR TO: patterns compiled once, matched often. */
#ifndef ENGINE_LIKE_H
#define ENGINE_LIKE_H

#include "base/arena.h"
#include "base/bytes.h"

#define LIKE_PATTERN_BYTES_MAX 65536u
#define LIKE_REGEXP_STEPS_MAX 1000000u /* PCRE2's match limit: a pattern that needs more is an error, not a hang */

enum like_kind {
    LIKE_LIKE,   /* % and _; ASCII letters without case, as in SQLite */
    LIKE_ILIKE,  /* without case for all of Unicode */
    LIKE_GLOB,   /* * ? [set], with case */
    LIKE_REGEXP, /* PCRE2, unanchored */
    LIKE_SIMILAR /* SQL's SIMILAR TO, anchored */
};

struct like_pattern;

/* Compile. escape: the ESCAPE text, p NULL for none (then LIKE has no escape character). Lives in the arena, with all that matching needs.
 * QUARTET_ERROR: the escape is not one character, or the regular expression is wrong. QUARTET_LIMIT: too long. */
quartet_status like_compile(enum like_kind kind, struct slice pattern, struct slice escape, struct arena *a, struct like_pattern **out,
                            struct err *err);
/* 1 or 0 into *match. QUARTET_LIMIT: a regular expression needs too many steps. A pattern is used by one thread at a time. */
quartet_status like_match(const struct like_pattern *p, struct slice text, bool *match, struct err *err);

/* ---- regular expressions beyond yes and no ---- */

#define LIKE_SPANS_MAX 100u

struct like_span { /* bytes from .. to-1; from SIZE_MAX: the group took no part */
    size_t from, to;
};
/* PCRE2, unanchored. flags: of the letters c (with case, the default), i (without), m (^ and $ at lines), n or s (. takes line ends, too); QUARTET_ERROR: another one. */
quartet_status like_regexp(struct slice pattern, struct slice flags, struct arena *a, struct like_pattern **out, struct err *err);
/* The first match at byte `from` or behind: itself and its groups, *count of them (at most LIKE_SPANS_MAX); 0: there is none. */
quartet_status like_find(const struct like_pattern *p, struct slice text, size_t from, struct like_span *spans, uint32_t *count, struct err *err);

#endif

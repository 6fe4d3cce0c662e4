/* json.h - JSON text: checked, walked and rewritten in place of a tree. A node is a slice of the text. */
#ifndef ENGINE_JSON_H
#define ENGINE_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"

#define JSON_DEPTH_MAX 1000u

enum json_type { JSON_NULL, JSON_TRUE, JSON_FALSE, JSON_INTEGER, JSON_REAL, JSON_TEXT, JSON_ARRAY, JSON_OBJECT };

bool json_valid(struct slice s); /* RFC 8259, blanks around allowed, at most JSON_DEPTH_MAX deep, valid UTF-8 */
/* All below take text that json_valid has accepted. */
struct slice json_trim(struct slice s);           /* without blanks around: a node */
enum json_type json_type_of(struct slice node);
const char *json_type_name(enum json_type t);     /* "null", "true", ..., as SQLite's json_type */
/* Walk an array or object: *at starts as 0. key has p == NULL in arrays (else its JSON string, quotes included). False: the end. */
bool json_next(struct slice node, size_t *at, struct slice *key, struct slice *value);
uint32_t json_length(struct slice node); /* elements of an array, members of an object */
/* The text of a JSON string node, unescaped; the slice itself where there is no escape. false: out of memory. */
bool json_unquote(struct slice node, struct arena *a, struct slice *out);
/* One step of a path '$.a[0]."b c"[#-1]': a member by its name (in quotes: a JSON string), an element by its index. */
struct json_step {
    bool element;
    bool from_end;     /* [#-n]; [#] is n = 0, the place behind the last */
    uint64_t index;
    struct slice name; /* as it stands in the path, quotes included */
};
/* *at starts as 0. 1: *out is the next step; 0: the path is at its end; -1: it is wrong. */
int json_path_next(struct slice path, size_t *at, struct json_step *out);
bool json_path_valid(struct slice path);
bool json_step_names(const struct json_step *step, struct slice key); /* is it this member? key as json_next gives it */
/* Follow a path. 1: *out is the node; 0: no such; -1: the path is wrong. */
int json_path(struct slice root, struct slice path, struct slice *out);
void json_put_string(struct buf *out, struct slice text); /* with quotes and escapes */
void json_minify(struct buf *out, struct slice node);     /* without blanks outside of strings */

#endif

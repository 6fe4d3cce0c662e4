/* func_json.h - what the functions on JSON share: documents in, SQL values and JSON out. For func_json*.c, the aggregates and
 * the table functions. */
#ifndef ENGINE_FUNC_JSON_H
#define ENGINE_FUNC_JSON_H

#include "expr_ops.h"
#include "json.h"

/* The document that v is, without blanks around; an error where it is no JSON. */
quartet_status func_json_document(const struct value *v, struct arena *arena, struct slice *out, struct err *err);
/* A node as an SQL value: objects and arrays as JSON, the rest as what it is. */
quartet_status func_json_value(struct slice node, struct arena *arena, struct value *out, struct err *err);
/* An SQL value as JSON, appended; a BLOB is an error. */
quartet_status func_json_put(struct buf *b, const struct value *v, struct err *err);
/* The end of a function: the buffer's text as its JSON result; rc, and the buffer released, where it failed before. */
quartet_status func_json_take(const struct func_call *call, quartet_status rc, struct buf *b, struct value *out, struct err *err);
/* The node that a path leads to; *found is false where there is none, or the path is NULL. */
quartet_status func_json_find(const struct func_call *call, const struct slice *root, const struct value *path, struct slice *node, bool *found,
                              struct err *err);
quartet_status func_json_bad_path(struct slice path, struct err *err); /* always an error */

#endif

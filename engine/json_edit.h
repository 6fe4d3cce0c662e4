/* json_edit.h - JSON text with one place changed, and two documents merged. The text is copied around the change; there is no tree. */
#ifndef ENGINE_JSON_EDIT_H
#define ENGINE_JSON_EDIT_H

#include "json.h"

enum json_edit {
    JSON_EDIT_INSERT = 1,  /* only where nothing stands yet */
    JSON_EDIT_REPLACE = 2, /* only where something stands */
    JSON_EDIT_SET = 3,     /* either */
    JSON_EDIT_REMOVE = 4
};

/* doc (json_valid) with the node at path changed to value (JSON text; not for REMOVE), appended to out without blanks. As in SQLite: a member or element that a
 * path needs on its way is made by INSERT and SET, an element only behind the last; where the path does not fit, doc stays as it is. False: the path is wrong.
 * Removing the whole document appends nothing. */
bool json_edit(struct buf *out, struct slice doc, struct slice path, enum json_edit edit, struct slice value);

/* RFC 7396, appended to out: what patch says replaces what doc says, member by member; null takes a member away. */
void json_merge_patch(struct buf *out, struct slice doc, struct slice patch);

#endif

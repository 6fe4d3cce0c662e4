/* json_edit.c - JSON text with one place changed, and two documents merged: the old text is walked and copied, and where the path leads something else is written.
 * Documents are at most JSON_DEPTH_MAX deep; what a path adds on its way is at most as deep as the path is long, so the depth is looked at here too. */
#include "json_edit.h"

struct edit {
    struct buf *out;
    struct slice path, value;
    enum json_edit kind;
};

static void put_key(struct buf *out, bool *first, struct slice key)
{
    if (!*first)
        buf_u8(out, ',');
    *first = false;
    if (key.p != NULL) {
        buf_put(out, key.p, key.n);
        buf_u8(out, ':');
    }
}

static void put_name(struct buf *out, bool *first, struct slice name)
{
    if (!*first)
        buf_u8(out, ',');
    *first = false;
    if (name.p[0] == '"')
        buf_put(out, name.p, name.n);
    else
        json_put_string(out, name);
    buf_u8(out, ':');
}

/* What a path makes where nothing stands: containers for its further steps, the value within. False: it leads nowhere ([3] of an empty array; [#] too, as in
 * SQLite). */
static bool can_make(const struct edit *e, size_t at)
{
    struct json_step step;
    uint32_t depth = 0;
    while (json_path_next(e->path, &at, &step) == 1)
        if (++depth > JSON_DEPTH_MAX || (step.element && (step.from_end || step.index != 0)))
            return false;
    return true;
}

static void make(const struct edit *e, size_t at)
{
    struct json_step step;
    struct buf closing = {.limit_bytes = JSON_DEPTH_MAX};
    while (json_path_next(e->path, &at, &step) == 1) {
        bool first = true;
        buf_u8(e->out, step.element ? '[' : '{');
        buf_u8(&closing, step.element ? ']' : '}');
        if (!step.element)
            put_name(e->out, &first, step.name);
    }
    json_minify(e->out, e->value);
    while (closing.len > 0)
        buf_u8(e->out, closing.data[--closing.len]);
    if (closing.failed)
        e->out->failed = true;
    buf_deinit(&closing);
}

/* Does the step mean this member or element? */
static bool meant(const struct json_step *step, uint64_t wanted, uint64_t k, struct slice key)
{
    return step->element ? k == wanted : json_step_names(step, key);
}

/* The node with the rest of the path, from `at` on, done to it. */
static void edit_node(const struct edit *e, struct slice node, size_t at)
{
    struct json_step step;
    struct slice key, value;
    if (json_path_next(e->path, &at, &step) == 0) {
        json_minify(e->out, (e->kind & JSON_EDIT_REPLACE) != 0 ? e->value : node);
        return;
    }
    enum json_type type = json_type_of(node);
    if (type != (step.element ? JSON_ARRAY : JSON_OBJECT)) {
        json_minify(e->out, node);
        return;
    }
    size_t rest = at;
    struct json_step after;
    bool last = json_path_next(e->path, &rest, &after) == 0, first = true, found = false;
    uint64_t length = step.element ? json_length(node) : 0, k = 0;
    uint64_t wanted = !step.from_end ? step.index : step.index <= length ? length - step.index : UINT64_MAX;
    buf_u8(e->out, node.p[0]);
    for (size_t i = 0; json_next(node, &i, &key, &value); k++) {
        bool here = !found && meant(&step, wanted, k, key);
        found |= here;
        if (here && last && e->kind == JSON_EDIT_REMOVE)
            continue;
        put_key(e->out, &first, key);
        if (here)
            edit_node(e, value, at);
        else
            json_minify(e->out, value);
    }
    bool may_add = !found && e->kind != JSON_EDIT_REMOVE && (e->kind & JSON_EDIT_INSERT) != 0;
    if (may_add && (!step.element || wanted == length) && can_make(e, at)) {
        if (step.element)
            put_key(e->out, &first, (struct slice){NULL, 0});
        else
            put_name(e->out, &first, step.name);
        make(e, at);
    }
    buf_u8(e->out, step.element ? ']' : '}');
}

bool json_edit(struct buf *out, struct slice doc, struct slice path, enum json_edit kind, struct slice value)
{
    struct edit e = {.out = out, .path = path, .value = value, .kind = kind};
    struct json_step step;
    size_t at = 0;
    if (!json_path_valid(path))
        return false;
    if (kind == JSON_EDIT_REMOVE && json_path_next(path, &at, &step) == 0)
        return true;
    edit_node(&e, json_trim(doc), 0);
    return true;
}

static bool find_member(struct slice object, struct slice key, struct slice *value)
{
    struct json_step name = {.name = key};
    struct slice other;
    for (size_t at = 0; json_next(object, &at, &other, value);)
        if (json_step_names(&name, other))
            return true;
    return false;
}

void json_merge_patch(struct buf *out, struct slice doc, struct slice patch)
{
    static const uint8_t empty[] = "{}";
    struct slice key, mine, theirs;
    bool first = true;
    if (json_type_of(patch) != JSON_OBJECT) {
        json_minify(out, patch);
        return;
    }
    if (json_type_of(doc) != JSON_OBJECT)
        doc = slice_of(empty, 2);
    buf_u8(out, '{');
    for (size_t at = 0; json_next(doc, &at, &key, &mine);) {
        bool patched = find_member(patch, key, &theirs);
        if (patched && json_type_of(theirs) == JSON_NULL)
            continue;
        put_key(out, &first, key);
        if (patched)
            json_merge_patch(out, mine, theirs);
        else
            json_minify(out, mine);
    }
    for (size_t at = 0; json_next(patch, &at, &key, &theirs);) {
        if (json_type_of(theirs) == JSON_NULL || find_member(doc, key, &mine))
            continue;
        put_key(out, &first, key);
        json_merge_patch(out, slice_of(empty, 2), theirs);
    }
    buf_u8(out, '}');
}

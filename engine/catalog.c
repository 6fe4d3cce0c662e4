/* catalog.c - the picture of the schema that statements are planned with: look-ups and reference counts.
 * Why immutable: a plan points into it, and DDL of other sessions or other nodes may come at any time; whoever holds a reference keeps what it saw.
 * Invariants: by_id and by_name are sorted; a catalog never changes after catalog_new; it owns one reference on each of its boxes.
 * Not here: how tables are made from their SQL (catalog_table.c) and found in the store (catalog_read.c). */
#include "catalog_build.h"
#include "derived.h"
#include "kind.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "types.h"

static int fold(char c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : (unsigned char)c;
}

int name_cmp(const char *a, const char *b)
{
    for (; *a != '\0' && fold(*a) == fold(*b); a++)
        b++;
    return fold(*a) - fold(*b);
}

void table_box_unref(struct table_box *b)
{
    if (b == NULL || atomic_fetch_sub(&b->refs, 1) != 1)
        return;
    arena_free_all(&b->arena);
    mem_free(b);
}

static int by_id_cmp(const void *a, const void *b)
{
    const struct table_box *x = *(struct table_box *const *)a, *y = *(struct table_box *const *)b;
    return (x->def.id > y->def.id) - (x->def.id < y->def.id);
}

static int by_name_cmp(const void *a, const void *b)
{
    const struct table_def *x = *(const struct table_def *const *)a, *y = *(const struct table_def *const *)b;
    int c = name_cmp(x->name, y->name);
    return c != 0 ? c : (x->id > y->id) - (x->id < y->id);
}

static int by_view_name_cmp(const void *a, const void *b)
{
    const struct view_box *x = *(struct view_box *const *)a, *y = *(struct view_box *const *)b;
    return name_cmp(x->def.name, y->def.name);
}

static void catalog_free(struct catalog *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        table_box_unref(c->by_id[i]);
    for (uint32_t i = 0; i < c->view_count; i++)
        view_box_unref(c->views[i]);
    mem_free(c->by_id);
    mem_free(c->by_name);
    mem_free(c->views);
    catalog_unref(c->temp);
    arena_free_all(&c->arena);
    mem_free(c);
}

quartet_status catalog_new(uint64_t version, const struct catalog_parts *parts, struct catalog **out, struct err *err)
{
    struct catalog *c = mem_zalloc(1, sizeof *c);
    if (c != NULL) {
        c->by_id = mem_zalloc(parts->count + 1u, sizeof *c->by_id);
        c->by_name = mem_zalloc(parts->count + 1u, sizeof *c->by_name);
        c->views = mem_zalloc(parts->view_count + 1u, sizeof *c->views);
    }
    if (c == NULL || c->by_id == NULL || c->by_name == NULL || c->views == NULL) {
        for (uint32_t i = 0; i < parts->count; i++)
            table_box_unref(parts->boxes[i]);
        for (uint32_t i = 0; i < parts->view_count; i++)
            view_box_unref(parts->views[i]);
        if (c != NULL)
            catalog_free(c);
        return err_nomem(err);
    }
    atomic_init(&c->refs, 1);
    c->version = version;
    c->count = parts->count;
    c->view_count = parts->view_count;
    if (parts->count > 0)
        memcpy(c->by_id, parts->boxes, parts->count * sizeof *parts->boxes);
    if (parts->view_count > 0)
        memcpy(c->views, parts->views, parts->view_count * sizeof *parts->views);
    qsort(c->by_id, c->count, sizeof *c->by_id, by_id_cmp);
    for (uint32_t i = 0; i < c->count; i++)
        if (!c->by_id[i]->def.dropped) {
            c->by_name[c->name_count++] = &c->by_id[i]->def;
            c->has_foreign_keys |= c->by_id[i]->def.foreign_key_count > 0;
            c->claims_kinds |= c->by_id[i]->def.claims_kind;
        }
    qsort(c->by_name, c->name_count, sizeof *c->by_name, by_name_cmp);
    qsort(c->views, c->view_count, sizeof *c->views, by_view_name_cmp);
    quartet_status rc = c->has_foreign_keys ? catalog_link(c, err) : QUARTET_OK;
    if (rc == QUARTET_OK)
        rc = catalog_take_comments(c, parts, err);
    if (rc != QUARTET_OK) {
        catalog_free(c);
        return rc;
    }
    *out = c;
    return QUARTET_OK;
}

quartet_status catalog_with_temp(const struct catalog *c, struct catalog *temp, uint64_t version, struct catalog **out, struct err *err)
{
    struct catalog_parts parts = {.boxes = mem_zalloc(c->count + 1u, sizeof *parts.boxes), .views = mem_zalloc(c->view_count + 1u, sizeof *parts.views),
                                  .comments = c->comments, .comment_count = c->comment_count};
    quartet_status rc = parts.boxes == NULL || parts.views == NULL ? err_nomem(err) : QUARTET_OK;
    for (; rc == QUARTET_OK && parts.count < c->count; parts.count++) {
        parts.boxes[parts.count] = c->by_id[parts.count];
        atomic_fetch_add(&c->by_id[parts.count]->refs, 1);
    }
    for (; rc == QUARTET_OK && parts.view_count < c->view_count; parts.view_count++) {
        parts.views[parts.view_count] = c->views[parts.view_count];
        atomic_fetch_add(&c->views[parts.view_count]->refs, 1);
    }
    if (rc == QUARTET_OK)
        rc = catalog_new(version, &parts, out, err);
    if (rc == QUARTET_OK) {
        (*out)->bare_version = c->version;
        (*out)->temp = catalog_ref(temp);
    }
    mem_free(parts.boxes);
    mem_free(parts.views);
    return rc;
}

const struct catalog *catalog_temp(const struct catalog *c)
{
    return c->temp;
}

const struct table_def *catalog_named(const struct catalog *c, const char *name)
{
    const struct table_def *t = c->temp != NULL ? catalog_table(c->temp, name) : NULL;
    return t != NULL && !t->is_system ? t : catalog_table(c, name);
}

struct catalog *catalog_ref(struct catalog *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void catalog_unref(struct catalog *c)
{
    if (c == NULL || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    catalog_free(c);
}

const struct table_def *catalog_table(const struct catalog *c, const char *name)
{
    uint32_t lo = 0, hi = c->name_count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int r = name_cmp(c->by_name[mid]->name, name);
        if (r == 0)
            return c->by_name[mid];
        if (r < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

const struct table_def *catalog_table_by_id(const struct catalog *c, tree_id id)
{
    uint32_t lo = 0, hi = c->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (c->by_id[mid]->def.id == id)
            return &c->by_id[mid]->def;
        if (c->by_id[mid]->def.id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

const struct index_def *catalog_index(const struct catalog *c, const char *name, const struct table_def **table)
{
    for (uint32_t i = 0; i < c->name_count; i++)
        for (uint32_t k = 0; k < c->by_name[i]->index_count; k++)
            if (name_cmp(c->by_name[i]->indexes[k].name, name) == 0) {
                *table = c->by_name[i];
                return &c->by_name[i]->indexes[k];
            }
    return NULL;
}

static const struct trigger_def *named_trigger(const struct trigger_def *list, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (name_cmp(list[i].name, name) == 0)
            return &list[i];
    return NULL;
}

const struct trigger_def *catalog_trigger(const struct catalog *c, const char *name)
{
    const struct trigger_def *found = NULL;
    for (uint32_t i = 0; i < c->name_count && found == NULL; i++)
        found = named_trigger(c->by_name[i]->triggers, c->by_name[i]->trigger_count, name);
    for (uint32_t i = 0; i < c->view_count && found == NULL; i++)
        found = named_trigger(c->views[i]->def.triggers, c->views[i]->def.trigger_count, name);
    return found;
}

const struct table_def *catalog_table_at(const struct catalog *c, uint32_t i)
{
    return i < c->name_count ? c->by_name[i] : NULL;
}

const struct table_def *catalog_at_id(const struct catalog *c, uint32_t i)
{
    return i < c->count ? &c->by_id[i]->def : NULL;
}

bool catalog_has_foreign_keys(const struct catalog *c)
{
    return c->has_foreign_keys;
}

const struct view_def *catalog_view(const struct catalog *c, const char *name)
{
    uint32_t lo = 0, hi = c->view_count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int r = name_cmp(c->views[mid]->def.name, name);
        if (r == 0)
            return &c->views[mid]->def;
        if (r < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

const struct view_def *catalog_view_at(const struct catalog *c, uint32_t i)
{
    return i < c->view_count ? &c->views[i]->def : NULL;
}

uint64_t catalog_version(const struct catalog *c)
{
    return c->version;
}

int32_t table_column_first(const struct table_def *t, const char *name)
{
    int32_t at = table_column(t, name);
    for (uint32_t i = 0; i < t->visible_count && at < 0; i++)
        if (name_cmp(t->columns[i].first_name, name) == 0)
            at = (int32_t)i;
    return at;
}

bool table_is_called(const struct table_def *t, const char *name)
{
    return name_cmp(t->name, name) == 0 || name_cmp(t->first_name, name) == 0;
}

int32_t table_column(const struct table_def *t, const char *name)
{
    for (uint32_t i = 0; i < t->visible_count; i++)
        if (name_cmp(t->columns[i].name, name) == 0)
            return (int32_t)i;
    return -1;
}

bool name_is_rowid(const char *name)
{
    return name_cmp(name, "rowid") == 0 || name_cmp(name, "oid") == 0 || name_cmp(name, "_rowid_") == 0;
}

int32_t table_column_or_rowid(const struct table_def *t, const char *name)
{
    int32_t at = table_column(t, name);
    return at < 0 && t->rowid_key && name_is_rowid(name) ? (int32_t)t->key_columns[0] : at;
}

/* key_get failed on column i, whose bytes begin at `at`: they are damaged, or there was no memory for the text in them. */
static quartet_status key_failed(const struct table_def *t, struct bytes_in at, uint32_t i, const struct arena *a, struct err *err)
{
    return key_skip(&at, &t->keys[i]) ? arena_fail(a, err) : err_set(err, QUARTET_CORRUPT, "damaged key in table %s", t->name);
}

static quartet_status decode(const struct table_def *t, struct slice key, const struct record_view *view, struct value *values, struct arena *a,
                             struct err *err)
{
    struct bytes_in in = bytes_in(key.p, key.n);
    for (uint32_t i = 0; i < t->key_count; i++) {
        struct bytes_in at = in;
        if (!key_get(&in, &t->keys[i], &values[t->key_columns[i]], a))
            return key_failed(t, at, i, a, err);
    }
    in = bytes_in(view->values.p, view->values.n);
    for (uint32_t i = 0; i < t->rows.count; i++) {
        struct value *v = &values[t->record_columns[i]];
        if (i >= view->value_count)
            *v = t->rows.columns[i].missing;
        else if (!value_decode(&in, v))
            return err_set(err, QUARTET_CORRUPT, "damaged record in table %s", t->name);
    }
    quartet_status rc = t->sets_below ? kind_show_sets(t, values, a, err) : QUARTET_OK;
    return rc == QUARTET_OK && t->derived_count > 0 ? derived_fill(t, values, a, err) : rc;
}

quartet_status table_decode(const struct table_def *t, struct slice key, struct slice record, struct value *values, struct arena *a, bool *live,
                            struct err *err)
{
    struct record_view view;
    if (!record_view(record, &view))
        return err_set(err, QUARTET_CORRUPT, "damaged record in table %s", t->name);
    *live = (view.flags & RECORD_LIVE) != 0;
    return *live ? decode(t, key, &view, values, a, err) : QUARTET_OK;
}

quartet_status table_decode_hidden(const struct table_def *t, struct slice key, struct slice record, struct value *values, struct arena *a, bool *live,
                                   struct err *err)
{
    struct record_view view;
    if (!record_view(record, &view))
        return err_set(err, QUARTET_CORRUPT, "damaged record in table %s", t->name);
    *live = record_has_values(view.flags);
    return *live ? decode(t, key, &view, values, a, err) : QUARTET_OK;
}

quartet_status table_key_text(const struct table_def *t, struct slice key, struct arena *a, struct value *out, struct err *err)
{
    struct bytes_in in = bytes_in(key.p, key.n);
    struct buf text = {0};
    *out = VALUE_NULL_INIT;
    for (uint32_t i = 0; i < t->key_count && !t->hidden_key; i++) {
        struct value v;
        struct bytes_in at = in;
        if (!key_get(&in, &t->keys[i], &v, a)) {
            buf_deinit(&text);
            return key_failed(t, at, i, a, err);
        }
        if (i > 0)
            buf_str(&text, ", ");
        value_to_literal(&v, &text);
    }
    void *copy = t->hidden_key || text.failed ? NULL : arena_dup(a, text.data, text.len);
    size_t n = text.len;
    buf_deinit(&text);
    if (t->hidden_key)
        return QUARTET_OK;
    if (copy == NULL)
        return err_nomem(err);
    *out = value_text(copy, n);
    return QUARTET_OK;
}

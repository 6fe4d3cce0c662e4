/* quarantine.c - the rows that are out of sight, and why.
 * How: for each foreign key its broken keys are gone through, and of each the rows that reference it, by the index that the foreign key has. So what is asked
 *   costs what is in quarantine and not what is in the tables. Only where the types of child and parent differ the child is read whole.
 * Rows that break a constraint of their own table come first (quarantine_claims.c).
 * Why the reason is asked for again, row by row: a row may reference several broken keys, and is shown once, with the first.
 * Not here: what hides a row (orphan.c), how one is written (exec_quarantine.c). */
#include "quarantine.h"

#include <string.h>

#include "base/mem.h"
#include "func_json.h"
#include "json.h"
#include "orphan.h"
#include "quarantine_claims.h"
#include "types.h"

struct quarantine {
    txn *t;
    quarantine_claims *claims;       /* rows that break something themselves come first; NULL: all were told */
    const struct catalog *catalog;
    uint32_t table, link;
    const struct table_def *of;      /* NULL: the next table is to be begun */
    const struct fk_link *links;
    uint32_t link_count;
    struct orphan_filter filter;     /* of the table */
    kv_iter *keys;                   /* broken ones of the link; NULL: its rows are read whole, or it is to be begun */
    struct kv_rows key_rows;
    uint32_t key_at;
    struct buf key_hi, key;          /* the key at hand; empty: of a whole scan */
    struct orphan_key prefix;
    bool link_open, scan_last;       /* scan_last: no scan of this link follows the one that is open */
    table_scan *scan;
    struct batch rows;
    uint32_t row_at;
    uint32_t *columns;               /* 0, 1, 2, ... for the widest table */
    struct value *values;
    struct arena bound, out;
    struct buf text;
};

quartet_status quarantine_open(txn *t, quarantine **out, struct err *err)
{
    quarantine *q = mem_zalloc(1, sizeof *q);
    const struct table_def *d;
    uint32_t widest = 1;
    if (q == NULL)
        return err_nomem(err);
    q->t = t;
    q->catalog = txn_catalog(t);
    for (uint32_t i = 0; (d = catalog_table_at(q->catalog, i)) != NULL; i++)
        widest = d->column_count > widest ? d->column_count : widest;
    q->columns = mem_zalloc(widest, sizeof *q->columns);
    q->values = mem_zalloc(widest, sizeof *q->values);
    if (q->columns == NULL || q->values == NULL) {
        quarantine_close(q);
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < widest; i++)
        q->columns[i] = i;
    quartet_status rc = quarantine_claims_open(t, &q->claims, err);
    if (rc != QUARTET_OK)
        quarantine_close(q);
    else
        *out = q;
    return rc;
}

static void scan_end(quarantine *q)
{
    table_scan_close(q->scan);
    q->scan = NULL;
    q->rows = (struct batch){0};
    q->row_at = 0;
}

static void link_end(quarantine *q)
{
    scan_end(q);
    kv_iter_close(q->keys);
    q->keys = NULL;
    q->key_rows = (struct kv_rows){0};
    q->key_at = 0;
    q->link_open = false;
    q->link++;
}

void quarantine_close(quarantine *q)
{
    if (q == NULL)
        return;
    link_end(q);
    quarantine_claims_close(q->claims);
    orphan_filter_deinit(&q->filter);
    orphan_key_deinit(&q->prefix);
    buf_deinit(&q->key_hi);
    buf_deinit(&q->key);
    buf_deinit(&q->text);
    arena_free_all(&q->bound);
    arena_free_all(&q->out);
    mem_free(q->columns);
    mem_free(q->values);
    mem_free(q);
}

/* ---- what is read ---- */

static quartet_status scan_begin(quarantine *q, const struct index_def *index, const struct key_bound *bound, struct err *err)
{
    struct scan_want want = {.columns = q->columns, .column_count = q->of->column_count, .keys = true, .orphans = true};
    scan_end(q);
    return table_scan_open(q->t, q->of, index, bound, &want, &q->scan, err);
}

static quartet_status keys_begin(quarantine *q, const struct fk_link *l, struct err *err)
{
    struct kv_want want = {.keys = true};
    quartet_status rc = orphan_prefix(l, &q->prefix, err);
    if (rc != QUARTET_OK)
        return rc;
    buf_clear(&q->key_hi);
    buf_put(&q->key_hi, q->prefix.key.data, q->prefix.key.len);
    struct kv_range range = {.lo = slice_of(q->prefix.key.data, q->prefix.key.len), .hi_open = !key_prefix_end(&q->key_hi)};
    range.hi = slice_of(q->key_hi.data, q->key_hi.len);
    return q->key_hi.failed ? err_nomem(err) : kv_iter_open(q->t->snap, NULL, SYS_BROKEN, &range, &want, &q->keys, err);
}

/* The next broken key of the link into q->key; empty: there is none. */
static quartet_status next_key(quarantine *q, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    buf_clear(&q->key);
    if (q->key_at == q->key_rows.n) {
        rc = kv_iter_next(q->keys, 0, &q->key_rows, err);
        q->key_at = 0;
    }
    if (rc != QUARTET_OK || q->key_rows.n == 0)
        return rc;
    buf_put(&q->key, q->key_rows.keys[q->key_at].p, q->key_rows.keys[q->key_at].n);
    q->key_at++;
    return buf_check(&q->key, err);
}

/* A scan of the rows that may reference the key in q->key; none where the child cannot hold it. */
static quartet_status children_begin(quarantine *q, const struct fk_link *l, struct err *err)
{
    tree_id table, index;
    struct slice raw;
    bool never;
    arena_rewind(&q->bound, (struct arena_mark){0});
    struct value *v = arena_alloc(&q->bound, l->count * sizeof *v);
    if (v == NULL)
        return arena_fail(&q->bound, err);
    if (!orphan_split(slice_of(q->key.data, q->key.len), &table, &index, &raw, &q->bound))
        return err_set(err, QUARTET_CORRUPT, "a damaged key in quartet_broken_keys");
    quartet_status rc = orphan_child_values(l, raw, v, &never, &q->bound, err);
    struct key_bound bound = {.prefix = v, .prefix_count = l->count};
    return rc == QUARTET_OK && !never ? scan_begin(q, l->index, &bound, err) : rc;
}

static quartet_status link_begin(quarantine *q, const struct fk_link *l, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    q->link_open = true;
    q->scan_last = !l->seeks || l->casts;
    buf_clear(&q->key);
    if (!l->casts)
        rc = keys_begin(q, l, err);
    if (rc != QUARTET_OK || !q->scan_last)
        return rc;
    if (!l->casts) { /* the rows must be looked at one by one, but only where a key is broken */
        rc = next_key(q, err);
        if (rc != QUARTET_OK || q->key.len == 0)
            return rc;
        buf_clear(&q->key);
    }
    return scan_begin(q, NULL, NULL, err);
}

/* The next scan of the table's links. *more false: there is none. */
static quartet_status next_scan(quarantine *q, bool *more, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    scan_end(q);
    while (rc == QUARTET_OK && q->scan == NULL && q->link < q->link_count) {
        const struct fk_link *l = &q->links[q->link];
        if (!q->link_open) {
            rc = link_begin(q, l, err);
            continue;
        }
        if (!q->scan_last)
            rc = next_key(q, err);
        if (rc == QUARTET_OK && (q->scan_last || q->key.len == 0))
            link_end(q);
        else if (rc == QUARTET_OK)
            rc = children_begin(q, l, err);
    }
    *more = q->scan != NULL;
    return rc;
}

/* The next table that has foreign keys, and may have rows out of sight by them. */
static quartet_status next_table(quarantine *q, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    q->of = NULL;
    for (const struct table_def *d; rc == QUARTET_OK && q->of == NULL && (d = catalog_table_at(q->catalog, q->table)) != NULL; q->table++) {
        q->link_count = catalog_links_out(q->catalog, d->id, &q->links);
        q->link = 0;
        if (q->link_count == 0)
            continue;
        orphan_filter_rest(&q->filter); /* it is another table's */
        rc = orphan_filter_start(&q->filter, q->t, d, false, err);
        q->of = q->filter.on ? d : NULL;
    }
    return rc;
}

/* ---- what is told ---- */

/* "pid, sub" */
static void put_columns(struct buf *out, const struct table_def *t, const uint32_t *columns, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        buf_printf(out, "%s%s", i > 0 ? ", " : "", t->columns[columns[i]].name);
}

static void put_constraint(struct buf *out, const struct fk_link *l)
{
    if (l->fk->name != NULL) {
        buf_str(out, l->fk->name);
        return;
    }
    buf_str(out, "FOREIGN KEY (");
    put_columns(out, l->child, l->columns, l->count);
    buf_printf(out, ") REFERENCES %s (", l->parent->name);
    put_columns(out, l->parent, l->parent_columns, l->count);
    buf_u8(out, ')');
}

/* Is there a row that gives the key, in sight or not? */
static quartet_status parent_there(quarantine *q, const struct fk_link *l, struct slice raw, bool *there, struct err *err)
{
    struct slice record;
    struct record_view view;
    bool own;
    *there = false;
    if (l->key == NULL) {
        quartet_status rc = txn_row(q->t, l->parent->id, raw, q->t->statement, &record, &own, there, err);
        *there = rc == QUARTET_OK && *there && record_view(record, &view) && record_has_values(view.flags);
        return rc;
    }
    struct kv_want want = {.keys = true};
    struct kv_rows rows = {0};
    struct kv_overlay over;
    struct buf hi = {0};
    kv_iter *it = NULL;
    buf_put(&hi, raw.p, raw.n);
    struct kv_range range = {.lo = raw, .hi_open = !key_prefix_end(&hi)};
    range.hi = slice_of(hi.data, hi.len);
    quartet_status rc = hi.failed ? err_nomem(err) : txn_overlay(q->t, q->t->statement, &over, err);
    if (rc == QUARTET_OK)
        rc = kv_iter_open(q->t->snap, &over, l->key->id, &range, &want, &it, err);
    if (rc == QUARTET_OK)
        rc = kv_iter_next(it, 1, &rows, err);
    *there = rows.n > 0;
    kv_iter_close(it);
    buf_deinit(&hi);
    return rc;
}

/* "pid = 7 references a row of p (id) that is not there" */
static quartet_status put_detail(quarantine *q, const struct fk_link *l, enum orphan_ref ref, struct err *err)
{
    struct buf *out = &q->text;
    tree_id table, index;
    struct slice raw;
    bool there = false;
    for (uint32_t i = 0; i < l->count; i++) {
        buf_printf(out, "%s%s = ", i > 0 ? ", " : "", l->child->columns[l->columns[i]].name);
        value_to_literal(&q->values[l->columns[i]], out);
    }
    buf_printf(out, " references a row of %s (", l->parent->name);
    put_columns(out, l->parent, l->parent_columns, l->count);
    if (ref == ORPHAN_NEVER) {
        buf_str(out, ") that cannot be: no value of that type is equal to it");
        return buf_check(out, err);
    }
    arena_rewind(&q->bound, (struct arena_mark){0});
    if (!orphan_split(slice_of(q->filter.key.key.data, q->filter.key.key.len), &table, &index, &raw, &q->bound))
        return err_set(err, QUARTET_CORRUPT, "a damaged key in quartet_broken_keys");
    quartet_status rc = parent_there(q, l, raw, &there, err);
    buf_str(out, there ? ") that is in quarantine itself" : ") that is not there");
    return rc == QUARTET_OK ? buf_check(out, err) : rc;
}

static quartet_status take_text(quarantine *q, struct value *out, struct err *err)
{
    const char *copy = q->text.failed ? NULL : arena_dup(&q->out, q->text.data, q->text.len);
    if (copy == NULL)
        return err_nomem(err);
    *out = value_text(copy, q->text.len);
    buf_clear(&q->text);
    return QUARTET_OK;
}

/* All that is told of a row whatever the reason. */
static quartet_status tell(quarantine *q, const struct table_def *t, struct slice key, const struct value *values, const char *reason, struct value *row,
                           struct err *err)
{
    arena_rewind(&q->out, (struct arena_mark){0});
    buf_clear(&q->text);
    row[QUARANTINED_TABLE_NAME] = value_text(t->name, strlen(t->name));
    row[QUARANTINED_TABLE_ID] = value_int((int64_t)t->id);
    row[QUARANTINED_ROW_ID] = (struct value){.type = VALUE_BLOB, .s = key};
    row[QUARANTINED_REASON] = value_text(reason, strlen(reason));
    quartet_status rc = table_key_text(t, key, &q->out, &row[QUARANTINED_KEY], err);
    if (rc == QUARTET_OK)
        rc = quarantine_json(t, values, &q->text, err);
    if (rc == QUARTET_OK)
        rc = take_text(q, &row[QUARANTINED_ROW], err);
    row[QUARANTINED_ROW].type = VALUE_JSON;
    return rc;
}

static quartet_status tell_orphan(quarantine *q, struct slice key, const struct fk_link *l, enum orphan_ref ref, struct value *row, struct err *err)
{
    quartet_status rc = tell(q, q->of, key, q->values, "FOREIGN KEY", row, err);
    put_constraint(&q->text, l);
    if (rc == QUARTET_OK)
        rc = take_text(q, &row[QUARANTINED_CONSTRAINT], err);
    if (rc == QUARTET_OK)
        rc = put_detail(q, l, ref, err);
    return rc == QUARTET_OK ? take_text(q, &row[QUARANTINED_DETAIL], err) : rc;
}

/* The next row that breaks something itself. */
static quartet_status next_claim(quarantine *q, struct value *row, bool *found, struct err *err)
{
    struct quarantine_claim c;
    quartet_status rc = quarantine_claims_next(q->claims, &c, found, err);
    if (rc != QUARTET_OK || !*found) {
        quarantine_claims_close(q->claims);
        q->claims = NULL;
        return rc;
    }
    rc = tell(q, c.table, c.key, c.values, quarantine_claim_reason(&c), row, err);
    quarantine_claim_name(&c, &q->text);
    if (rc == QUARTET_OK)
        rc = take_text(q, &row[QUARANTINED_CONSTRAINT], err);
    if (rc == QUARTET_OK)
        rc = quarantine_claim_detail(&c, &q->out, &q->text, err);
    return rc == QUARTET_OK ? take_text(q, &row[QUARANTINED_DETAIL], err) : rc;
}

/* The scan's row at hand, unless it is told of elsewhere: by the first link that it is an orphan by, and with the key that is at hand. */
static quartet_status take_row(quarantine *q, struct value *row, bool *taken, struct err *err)
{
    uint32_t link, r = batch_row(&q->rows, q->row_at);
    enum orphan_ref ref;
    struct slice key = q->rows.keys[q->row_at];
    q->row_at++;
    *taken = false;
    for (uint32_t i = 0; i < q->of->column_count; i++)
        q->values[i] = vec_get(&q->rows.cols[i], r);
    quartet_status rc = orphan_filter_find(&q->filter, q->values, key, &link, &ref, err);
    if (rc != QUARTET_OK || ref == ORPHAN_NONE || link != q->link)
        return rc;
    if (q->key.len > 0 && !slice_eq(slice_of(q->key.data, q->key.len), slice_of(q->filter.key.key.data, q->filter.key.key.len)))
        return QUARTET_OK;
    *taken = true;
    return tell_orphan(q, key, &q->links[q->link], ref, row, err);
}

quartet_status quarantine_next(quarantine *q, struct value *row, bool *found, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    *found = false;
    if (q->claims != NULL)
        rc = next_claim(q, row, found, err);
    while (rc == QUARTET_OK && !*found) {
        bool more = true;
        if (q->row_at < q->rows.n) {
            rc = take_row(q, row, found, err);
            continue;
        }
        if (q->scan != NULL)
            rc = table_scan_next(q->scan, 0, &q->rows, err);
        q->row_at = 0;
        if (rc != QUARTET_OK || q->rows.n > 0)
            continue;
        if (q->of != NULL)
            rc = next_scan(q, &more, err);
        if (rc == QUARTET_OK && (q->of == NULL || !more)) {
            rc = next_table(q, err);
            if (q->of == NULL)
                return rc;
        }
    }
    return rc;
}

/* ---- a row as JSON ---- */

quartet_status quarantine_json(const struct table_def *t, const struct value *values, struct buf *out, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    buf_u8(out, '{');
    for (uint32_t i = 0; i < t->visible_count && rc == QUARTET_OK; i++) {
        const struct value *v = &values[i];
        if (i > 0)
            buf_str(out, ", ");
        json_put_string(out, slice_of(t->columns[i].name, strlen(t->columns[i].name)));
        buf_str(out, ": ");
        if (v->type != VALUE_BLOB) {
            rc = func_json_put(out, v, err);
            continue;
        }
        buf_u8(out, '"');
        for (size_t k = 0; k < v->s.n; k++)
            buf_printf(out, "%02x", v->s.p[k]);
        buf_u8(out, '"');
    }
    buf_u8(out, '}');
    return rc == QUARTET_OK ? buf_check(out, err) : rc;
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static quartet_status from_hex(const struct column_def *c, struct slice text, struct arena *a, struct value *out, struct err *err)
{
    uint8_t *bytes = arena_alloc(a, text.n / 2 + 1);
    bool fits = text.n % 2 == 0;
    if (bytes == NULL)
        return arena_fail(a, err);
    for (size_t i = 0; i + 1 < text.n && fits; i += 2) {
        int hi = hex_digit(text.p[i]), lo = hex_digit(text.p[i + 1]);
        fits = hi >= 0 && lo >= 0;
        bytes[i / 2] = (uint8_t)((unsigned)hi << 4 | (unsigned)lo);
    }
    if (!fits)
        return err_set(err, QUARTET_MISMATCH, "column %s is a BLOB: a string of hexadecimal digits, two for each byte", c->name);
    *out = (struct value){.type = VALUE_BLOB, .s = slice_of(bytes, text.n / 2)};
    return QUARTET_OK;
}

quartet_status quarantine_json_value(const struct column_def *c, struct slice node, struct arena *a, struct value *out, struct err *err)
{
    struct slice text = node;
    enum json_type type = json_type_of(node);
    if (type == JSON_TEXT && !json_unquote(node, a, &text))
        return arena_fail(a, err);
    switch (type) {
    case JSON_NULL: *out = VALUE_NULL_INIT; return QUARTET_OK;
    case JSON_TRUE: *out = value_int(1); return QUARTET_OK;
    case JSON_FALSE: *out = value_int(0); return QUARTET_OK;
    case JSON_TEXT:
        if (c->type == VALUE_BLOB)
            return from_hex(c, text, a, out, err);
        *out = value_text((const char *)text.p, text.n);
        return QUARTET_OK;
    case JSON_INTEGER:
    case JSON_REAL:
        if (c->type == VALUE_DECIMAL)
            *out = value_text((const char *)text.p, text.n); /* its digits, not the double next to them */
        else
            (void)types_number_from_text(text, false, out); /* JSON numbers are numbers */
        return QUARTET_OK;
    default: *out = (struct value){.type = VALUE_JSON, .s = text}; return QUARTET_OK;
    }
}

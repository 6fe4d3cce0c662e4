/* catalog_link.c - foreign keys with both their tables: who references which key of whom, and how the rows that do are found.
 * Why in the catalog and not in the table: a table is made from its own text alone, and its parent may come, go and be renamed without it.
 * Why a key may have several columns in any order: what is referenced is the set of them; the order of the parent's key is the one that counts from here on.
 * Not here: what a reference means for rows (orphan.c), for statements (plan_effect.c). */
#include "catalog_build.h"

#include <stdlib.h>
#include <string.h>

const struct table_def *catalog_parent(const struct catalog *c, const struct foreign_key_def *fk)
{
    const struct table_def *t = fk->parent_id != 0 ? catalog_table_by_id(c, fk->parent_id) : NULL;
    if (t != NULL && !t->dropped)
        return t;
    t = catalog_table(c, fk->parent);
    for (uint32_t i = 0; t == NULL && catalog_table_at(c, i) != NULL; i++)
        if (table_is_called(catalog_table_at(c, i), fk->parent))
            t = catalog_table_at(c, i);
    return t;
}

static int32_t place(const uint32_t *columns, uint32_t n, uint32_t column)
{
    for (uint32_t i = 0; i < n; i++)
        if (columns[i] == column)
            return (int32_t)i;
    return -1;
}

/* Are these the first n columns of a key, in any order? */
static bool begins_with(const uint32_t *key, uint32_t key_count, const uint32_t *columns, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (n > key_count || place(columns, n, key[i]) < 0)
            return false;
    return true;
}

static bool computed(const struct table_def *t, const struct index_def *ix)
{
    bool any = false;
    for (uint32_t i = 0; i < ix->column_count; i++)
        any |= t->columns[ix->columns[i]].derived;
    return any;
}

/* The key of the parent that has these columns, all of them and no other. false: there is none. */
static bool find_key(struct fk_link *l, const uint32_t *columns, uint32_t n)
{
    const struct table_def *p = l->parent;
    if (!p->hidden_key && p->key_count == n && begins_with(p->key_columns, n, columns, n)) {
        l->parent_columns = p->key_columns;
        l->keys = p->keys;
        return true;
    }
    for (uint32_t i = 0; i < p->index_count; i++) {
        const struct index_def *ix = &p->indexes[i];
        if (ix->unique && ix->where == INDEX_WHOLE && !computed(p, ix) && ix->column_count == n && begins_with(ix->columns, n, columns, n) && (l->key == NULL || ix->id < l->key->id))
            l->key = ix;
    }
    if (l->key == NULL)
        return false;
    l->parent_columns = l->key->columns;
    l->keys = l->key->keys;
    return true;
}

static bool is_number(uint8_t type)
{
    return type == VALUE_INTEGER || type == VALUE_REAL || type == VALUE_DECIMAL;
}

static void compare_types(struct fk_link *l)
{
    l->seeks = true;
    for (uint32_t i = 0; i < l->count; i++) {
        const struct column_def *p = &l->parent->columns[l->parent_columns[i]], *c = &l->child->columns[l->columns[i]];
        bool same = p->type == c->type && (p->type != VALUE_DECIMAL || (p->precision > 0 && c->precision > 0 && p->scale == c->scale));
        bool numbers = is_number(p->type) && (is_number(c->type) || c->type == VALUE_NULL);
        l->casts |= !same;
        l->seeks &= (same || numbers) && (c->nocase || !(l->key != NULL && p->nocase));
    }
}

static void find_index(struct fk_link *l)
{
    const struct table_def *c = l->child;
    for (uint32_t i = 0; i < c->index_count && l->index == NULL; i++)
        if (c->indexes[i].where == INDEX_WHOLE && begins_with(c->indexes[i].columns, c->indexes[i].column_count, l->columns, l->count))
            l->index = &c->indexes[i];
    if (!c->hidden_key && begins_with(c->key_columns, c->key_count, l->columns, l->count))
        l->index = NULL; /* the rows themselves stand in that order */
}

static quartet_status link_one(struct catalog *c, const struct table_def *child, const struct foreign_key_def *fk, struct err *err)
{
    struct fk_link *l = &c->links[c->link_count];
    uint32_t n = fk->column_count, *named = arena_zalloc(&c->arena, n + 1u, sizeof *named), *columns = arena_zalloc(&c->arena, n + 1u, sizeof *columns);
    if (named == NULL || columns == NULL)
        return arena_fail(&c->arena, err);
    *l = (struct fk_link){.child = child, .parent = catalog_parent(c, fk), .fk = fk, .columns = columns, .count = n};
    if (l->parent == NULL || (fk->parent_columns == NULL && l->parent->key_count != n))
        return QUARTET_OK;
    for (uint32_t i = 0; i < n; i++) {
        int32_t at = fk->parent_columns == NULL ? (int32_t)l->parent->key_columns[i] : table_column_first(l->parent, fk->parent_columns[i]);
        if (at < 0)
            return QUARTET_OK;
        named[i] = (uint32_t)at;
    }
    if (!find_key(l, named, n))
        return QUARTET_OK;
    for (uint32_t i = 0; i < n; i++)
        columns[i] = fk->columns[place(named, n, l->parent_columns[i])];
    compare_types(l);
    find_index(l);
    c->link_count++;
    return QUARTET_OK;
}

/* By parent, then by its key: those of one key stand together. */
static int by_parent_cmp(const void *a, const void *b)
{
    const struct fk_link *x = *(const struct fk_link *const *)a, *y = *(const struct fk_link *const *)b;
    tree_id kx = x->key != NULL ? x->key->id : 0, ky = y->key != NULL ? y->key->id : 0;
    if (x->parent->id != y->parent->id)
        return x->parent->id < y->parent->id ? -1 : 1;
    if (kx != ky)
        return kx < ky ? -1 : 1;
    return (x > y) - (x < y); /* both lie in one array */
}

quartet_status catalog_link(struct catalog *c, struct err *err)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < c->count; i++)
        total += c->by_id[i]->def.dropped ? 0 : c->by_id[i]->def.foreign_key_count;
    c->links = arena_zalloc(&c->arena, total + 1u, sizeof *c->links);
    c->links_in = arena_zalloc(&c->arena, total + 1u, sizeof *c->links_in);
    if (c->links == NULL || c->links_in == NULL)
        return arena_fail(&c->arena, err);
    for (uint32_t i = 0; i < c->count; i++) {
        const struct table_def *t = &c->by_id[i]->def;
        for (uint32_t k = 0; k < t->foreign_key_count && !t->dropped; k++) {
            quartet_status rc = link_one(c, t, &t->foreign_keys[k], err);
            if (rc != QUARTET_OK)
                return rc;
        }
    }
    for (uint32_t i = 0; i < c->link_count; i++)
        c->links_in[i] = &c->links[i];
    if (c->link_count > 0)
        qsort(c->links_in, c->link_count, sizeof *c->links_in, by_parent_cmp);
    return QUARTET_OK;
}

uint32_t catalog_links_out(const struct catalog *c, tree_id child, const struct fk_link **first)
{
    uint32_t lo = 0, hi = c->link_count, n = 0;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (c->links[mid].child->id < child)
            lo = mid + 1;
        else
            hi = mid;
    }
    *first = c->link_count > 0 ? c->links + lo : NULL;
    while (lo + n < c->link_count && c->links[lo + n].child->id == child)
        n++;
    return n;
}

uint32_t catalog_links_in(const struct catalog *c, tree_id parent, const struct fk_link *const **first)
{
    uint32_t lo = 0, hi = c->link_count, n = 0;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (c->links_in[mid]->parent->id < parent)
            lo = mid + 1;
        else
            hi = mid;
    }
    *first = c->link_count > 0 ? c->links_in + lo : NULL;
    while (lo + n < c->link_count && c->links_in[lo + n]->parent->id == parent)
        n++;
    return n;
}

const struct fk_link *catalog_link_of(const struct catalog *c, const struct table_def *child, const struct foreign_key_def *fk)
{
    const struct fk_link *out;
    uint32_t n = catalog_links_out(c, child->id, &out);
    for (uint32_t i = 0; i < n; i++)
        if (out[i].fk == fk)
            return &out[i];
    return NULL;
}

const char *catalog_keep_problem(const struct catalog *c, const struct table_def *child, const struct foreign_key_def *fk)
{
    const struct table_def *parent = catalog_parent(c, fk);
    const struct fk_link *l = catalog_link_of(c, child, fk);
    if (!fk->keep_parent || parent == NULL)
        return NULL;
    if (!parent->updates_win)
        return "the table that it references must be one where UPDATES WIN; elsewhere a DELETE ends a row whoever else writes to it";
    if (l != NULL && l->key != NULL)
        return "it must reference the primary key: who has a UNIQUE value may be another row by the time that this is merged";
    return NULL;
}

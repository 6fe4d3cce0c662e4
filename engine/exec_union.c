/* exec_union.c - rows that any of several searches of one table finds: OR by index.
 * Why by the row's key: a row that two sides of the OR accept comes once from each search, and nothing else tells it from
 * another one with the same values. The keys that were seen are kept until the end. */
#include <string.h>

#include "exec_internal.h"

struct xunion {
    struct xnode x;
    struct xnode **parts;
    uint32_t part;
    struct keyset keys;
    uint32_t ids[BATCH_ROWS_MAX];
    uint16_t sel[BATCH_ROWS_MAX];
};

static quartet_status union_open(struct xnode *x, struct err *err)
{
    struct xunion *u = (struct xunion *)x;
    const struct punion *p = x->p->u.any;
    struct exec *e = x->run->e;
    quartet_status rc = QUARTET_OK;
    u->part = 0;
    if (u->parts == NULL) {
        struct xnode **parts = keep_alloc(e, p->part_count, sizeof(struct xnode *));
        if (parts == NULL)
            return arena_fail(&e->keep, err);
        for (uint32_t i = 0; i < p->part_count && rc == QUARTET_OK; i++)
            rc = xnode_make(e, x->run, p->parts[i], &parts[i], err);
        if (rc != QUARTET_OK)
            return rc;
        u->parts = parts;
    }
    keyset_init(&u->keys, 1, NULL, &x->run->data);
    for (uint32_t i = 0; i < p->part_count && rc == QUARTET_OK; i++)
        rc = u->parts[i]->ops->open(u->parts[i], err);
    return rc;
}

static quartet_status union_next(struct xnode *x, struct err *err)
{
    struct xunion *u = (struct xunion *)x;
    const struct punion *p = x->p->u.any;
    while (u->part < p->part_count) {
        struct xnode *part = u->parts[u->part];
        quartet_status rc = part->ops->next(part, err);
        if (rc != QUARTET_OK)
            return rc;
        if (part->out.n == 0) {
            u->part++;
            continue;
        }
        uint32_t known = u->keys.n, fresh = 0;
        x->out = part->out;
        x->out.col_count = x->p->col_count;
        rc = keyset_rows(&u->keys, &part->out.cols[part->out.col_count - 1u], part->out.sel, part->out.n, true, false, u->ids, err);
        if (rc != QUARTET_OK)
            return rc;
        for (uint32_t k = 0; k < part->out.n; k++)
            if (u->ids[k] == known + fresh)
                u->sel[fresh++] = (uint16_t)batch_row(&part->out, k);
        x->out.sel = u->sel;
        x->out.n = fresh;
        if (fresh > 0)
            return QUARTET_OK;
    }
    x->out.n = 0;
    return QUARTET_OK;
}

static void union_close(struct xnode *x)
{
    keyset_deinit(&((struct xunion *)x)->keys);
}

const struct xkind xkind_union = {sizeof(struct xunion), {union_open, union_next, union_close}, 0};

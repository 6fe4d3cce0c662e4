/* exec_json.c - json_each and json_tree: the nodes of a JSON document as rows, as SQLite numbers and names them.
 * The document is walked, not parsed into a tree: what is remembered is one frame a level, and the path to where the walk is. A node's id is the number of names and
 * values that begin before it in the text. */
#include "exec_internal.h"

#include "func_json.h"

#include <string.h>

enum { COL_KEY, COL_VALUE, COL_TYPE, COL_ATOM, COL_ID, COL_PARENT, COL_FULLKEY, COL_PATH, COL_COUNT };

struct frame { /* a container that is being walked */
    struct slice node;
    size_t at;       /* json_next's */
    uint64_t index;  /* of the next element */
    int64_t id;
    size_t path_len; /* its own path's length */
};

struct entry { /* a row to be */
    struct slice key, node; /* key.p NULL: an element, or the first node */
    uint64_t index;
    size_t container_len;   /* of the path's text: the container's part */
    bool first;
};

struct xjson {
    struct xnode x;
    bool tree, done, started;
    struct slice root;       /* the node to begin with, within the document */
    struct frame *frames;
    uint32_t depth, cap;
    struct buf path;         /* of the node at hand */
    size_t root_container;   /* of the first node's path: what is above it */
    const uint8_t *counted;  /* names and values before this place: */
    int64_t count;
    struct outvec col[COL_COUNT];
};

/* Names and values that begin between the last place asked for and p. */
static int64_t id_of(struct xjson *j, const uint8_t *p)
{
    while (j->counted < p) {
        uint8_t c = *j->counted++;
        if (c == '"') {
            while (*j->counted != '"')
                j->counted += *j->counted == '\\' ? 2 : 1;
            j->counted++;
        } else if (c != '{' && c != '[') {
            if (strchr(" \t\r\n,:}]", c) != NULL)
                continue;
            while (j->counted < p && strchr(" \t\r\n,:}]", *j->counted) == NULL)
                j->counted++;
        }
        j->count++;
    }
    return j->count;
}

/* The document and the path's text; *found is false where there is nothing to walk. */
static quartet_status arguments(struct xjson *j, struct slice *doc, struct slice *path, bool *found, struct err *err)
{
    struct expr_ctx ctx = j->x.ctx;
    struct value v[2] = {VALUE_NULL_INIT, value_text("$", 1)};
    ctx.arena = &j->x.run->data; /* rows point into the document until the run is opened again */
    for (uint32_t i = 0; i < 2; i++) {
        quartet_status rc = j->x.p->u.args[i] == NULL ? QUARTET_OK : expr_value(j->x.p->u.args[i], &ctx, NULL, 0, &v[i], err);
        if (rc != QUARTET_OK)
            return rc;
    }
    *found = v[0].type != VALUE_NULL && v[1].type != VALUE_NULL;
    if (!*found)
        return QUARTET_OK;
    quartet_status rc = func_json_document(&v[0], ctx.arena, doc, err);
    if (rc == QUARTET_OK)
        rc = types_text(&v[1], ctx.arena, path, err);
    if (rc != QUARTET_OK)
        return rc;
    int r = json_path(*doc, *path, &j->root);
    if (r < 0)
        return func_json_bad_path(*path, err);
    *found = r == 1;
    return QUARTET_OK;
}

static quartet_status json_open(struct xnode *x, struct err *err)
{
    struct xjson *j = (struct xjson *)x;
    struct slice doc = {NULL, 0}, path = {NULL, 0};
    struct json_step step;
    bool found = false;
    j->tree = x->p->kind == PN_JSON_TREE;
    j->depth = 0;
    j->started = false;
    quartet_status rc = arguments(j, &doc, &path, &found, err);
    j->done = !found;
    if (rc != QUARTET_OK || !found)
        return rc == QUARTET_OK ? out_vecs(x, COL_COUNT, err) : rc;
    j->path.limit_bytes = 4 * (size_t)TYPES_VALUE_BYTES_MAX;
    buf_clear(&j->path);
    buf_put(&j->path, path.p, path.n);
    j->root_container = path.n;
    for (size_t at = 0, before = 0; json_path_next(path, &at, &step) == 1; before = at)
        j->root_container = before == 0 ? 1 : before;
    j->counted = doc.p;
    j->count = 0;
    return out_vecs(x, COL_COUNT, err);
}

static bool plain_name(struct slice key)
{
    for (size_t i = 1; i + 1 < key.n; i++) {
        uint8_t c = key.p[i] | 32;
        bool letter = c >= 'a' && c <= 'z' && key.p[i] < 128;
        if (!letter && (i == 1 || key.p[i] < '0' || key.p[i] > '9'))
            return false;
    }
    return key.n > 2;
}

static quartet_status push(struct xjson *j, struct slice node, int64_t id, struct err *err)
{
    if (j->depth == j->cap) {
        uint32_t cap = j->cap == 0 ? 16 : j->cap * 2;
        struct frame *more = keep_alloc(j->x.run->e, cap, sizeof *more);
        if (more == NULL)
            return arena_fail(&j->x.run->e->keep, err);
        if (j->depth > 0)
            memcpy(more, j->frames, j->depth * sizeof *more);
        j->frames = more;
        j->cap = cap;
    }
    j->frames[j->depth++] = (struct frame){.node = node, .id = id, .path_len = j->path.len};
    return QUARTET_OK;
}

/* The next node in the text's order, and its path. False: the end. */
static bool step_on(struct xjson *j, struct entry *out)
{
    *out = (struct entry){.first = !j->started};
    if (!j->started) {
        out->node = j->root;
        out->container_len = j->tree ? j->root_container : j->path.len;
        j->started = true;
        return true;
    }
    while (j->depth > 0) {
        struct frame *f = &j->frames[j->depth - 1];
        j->path.len = f->path_len;
        if (!json_next(f->node, &f->at, &out->key, &out->node)) {
            j->depth--;
            continue;
        }
        out->container_len = f->path_len;
        out->index = f->index++;
        if (out->key.p == NULL) {
            buf_printf(&j->path, "[%llu]", (unsigned long long)out->index);
        } else {
            bool plain = plain_name(out->key);
            buf_u8(&j->path, '.');
            buf_put(&j->path, out->key.p + plain, out->key.n - 2 * (size_t)plain);
        }
        return true;
    }
    return false;
}

static quartet_status put_row(struct xjson *j, const struct entry *e, int64_t id, uint32_t n, struct err *err)
{
    struct outvec *c = j->col;
    struct slice text;
    enum json_type type = json_type_of(e->node);
    const char *name = json_type_name(type);
    quartet_status rc = buf_check(&j->path, err);
    struct value *value = &c[COL_VALUE].v.v[n], *atom = &c[COL_ATOM].v.v[n], *key = &c[COL_KEY].v.v[n];
    if (rc == QUARTET_OK)
        rc = func_json_value(e->node, &j->x.tmp, value, err);
    if (rc != QUARTET_OK)
        return rc;
    *atom = type >= JSON_ARRAY ? VALUE_NULL_INIT : *value;
    *key = e->first ? VALUE_NULL_INIT : value_int((int64_t)e->index);
    if (e->key.p != NULL) {
        if (!json_unquote(e->key, &j->x.tmp, &text))
            return arena_fail(&j->x.tmp, err);
        *key = (struct value){.type = VALUE_TEXT, .s = text};
    }
    for (uint32_t i = COL_KEY; i <= COL_ATOM; i++)
        if (i != COL_TYPE && c[i].v.v[n].type == VALUE_NULL) {
            c[i].null[n] = 1;
            c[i].v.has_null = true;
        }
    const uint8_t *path = arena_dup(&j->x.tmp, j->path.data, j->path.len);
    if (path == NULL)
        return arena_fail(&j->x.tmp, err);
    c[COL_TYPE].v.s[n] = slice_of(name, strlen(name));
    c[COL_ID].v.i[n] = id;
    c[COL_FULLKEY].v.s[n] = slice_of(path, j->path.len);
    c[COL_PATH].v.s[n] = slice_of(path, e->container_len);
    c[COL_PARENT].v.i[n] = 0;
    if (j->tree && j->depth > 0) {
        c[COL_PARENT].v.i[n] = j->frames[j->depth - 1].id;
    } else {
        c[COL_PARENT].null[n] = 1;
        c[COL_PARENT].v.has_null = true;
    }
    return QUARTET_OK;
}

static quartet_status json_rows(struct xnode *x, struct err *err)
{
    static const uint8_t types[COL_COUNT] = {VEC_MIXED, VEC_MIXED, VALUE_TEXT, VEC_MIXED, VALUE_INTEGER, VALUE_INTEGER, VALUE_TEXT, VALUE_TEXT};
    struct xjson *j = (struct xjson *)x;
    struct entry e;
    uint32_t n = 0;
    quartet_status rc = exec_check(x->run->e, err);
    tmp_reset(x);
    for (uint32_t i = 0; i < COL_COUNT && rc == QUARTET_OK; i++)
        if (!outvec_reset(&j->col[i], types[i], BATCH_ROWS_MAX, &x->run->e->keep))
            rc = arena_fail(&x->run->e->keep, err);
    while (rc == QUARTET_OK && !j->done && n < BATCH_ROWS_MAX) {
        if (!step_on(j, &e)) {
            j->done = true;
            break;
        }
        int64_t id = id_of(j, e.node.p);
        bool container = json_type_of(e.node) >= JSON_ARRAY;
        if (j->tree || !e.first || !container)
            rc = put_row(j, &e, id, n++, err);
        if (rc == QUARTET_OK && container && (j->tree || e.first))
            rc = push(j, e.node, id, err);
    }
    for (uint32_t i = 0; i < COL_COUNT; i++)
        x->out.cols[i] = j->col[i].v;
    x->out.n = n;
    return rc;
}

static void json_close(struct xnode *x)
{
    buf_deinit(&((struct xjson *)x)->path);
}

const struct xkind xkind_json = {sizeof(struct xjson), {json_open, json_rows, json_close}, 0};

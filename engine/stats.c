/* stats.c - how many rows a table has, and what its columns are like, from the rows themselves.
 * Why not kept with every write: a plan needs the order of magnitude, and blocks are counted at about a nanosecond a row, so figures made anew each time a table has
 * doubled cost less than a counter in every apply, and cannot go wrong. Distinct values are estimated by HyperLogLog (Flajolet et al. 2007) with linear counting for
 * few: 4,096 registers, 1.6 % off.
 * Of a large table one batch of rows in so many is looked at. Whether the rest holds other values is read off the sample itself: where its two halves have the same
 * values there are no more, where they have none in common their number grows as the rows do. */
#include "stats.h"

#include "base/mem.h"
#include "db_internal.h"
#include "txn_internal.h"
#include "types.h"

#include <math.h>

#define REGISTERS  4096u
#define REGISTER_BITS 12
#define SAMPLE_BATCHES 128u
#define WRITES_MIN 1000u /* so many rows must be written before figures are old */

struct column_figures {
    uint32_t id;
    struct column_stats s;
};
struct table_stats { /* table_state.stats; under db.tables_lock */
    double rows;
    uint64_t old_at; /* table_state.written from which on they are old */
    struct column_figures *columns;
    uint32_t column_count, column_cap;
};

static void figures_free(struct table_stats *s)
{
    if (s != NULL)
        mem_free(s->columns);
    mem_free(s);
}

void stats_free(struct table_state *s)
{
    figures_free(s->stats);
    s->stats = NULL;
}

uint64_t stats_epoch(const db *d)
{
    return atomic_load_explicit(&d->stats_epoch, memory_order_relaxed);
}

void stats_written(db *d, struct table_state *s, uint64_t rows)
{
    uint64_t now = atomic_fetch_add_explicit(&s->written, rows, memory_order_relaxed) + rows;
    if (now < atomic_load_explicit(&s->stats_old_at, memory_order_relaxed))
        return;
    atomic_store_explicit(&s->stats_old_at, UINT64_MAX, memory_order_relaxed);
    atomic_fetch_add_explicit(&d->stats_epoch, 1, memory_order_relaxed);
}

static bool number_of(const struct value *v, double *out)
{
    if (v->type == VALUE_DATE || v->type == VALUE_TIME || v->type == VALUE_TIMESTAMP) {
        *out = (double)v->i * (v->type == VALUE_DATE ? (double)VALUE_DAY_US : 1.0);
        return true;
    }
    if (v->type != VALUE_INTEGER && v->type != VALUE_REAL && v->type != VALUE_DECIMAL)
        return false;
    return types_to_double(v, out) && !isnan(*out);
}

/* Eight bytes of a text, behind those that all texts of the column have in common. */
static double text_place(const uint8_t *common, uint32_t common_bytes, struct slice s)
{
    uint8_t bytes[8] = {0};
    size_t n = s.n < common_bytes ? s.n : common_bytes;
    int c = n > 0 ? memcmp(s.p, common, n) : 0;
    if (c != 0 || n < common_bytes)
        return c > 0 ? (double)UINT64_MAX : 0;
    size_t rest = s.n - common_bytes < sizeof bytes ? s.n - common_bytes : sizeof bytes;
    if (rest > 0)
        memcpy(bytes, (const uint8_t *)s.p + common_bytes, rest);
    return (double)load_be64(bytes);
}

bool stats_place(const struct column_stats *c, const struct value *v, double *out)
{
    if (!c->texts)
        return number_of(v, out);
    if (v->type != VALUE_TEXT)
        return false;
    *out = text_place(c->common, c->common_bytes, v->s);
    return true;
}

/* ---- one column ---- */

struct sketch {
    uint64_t rows, nulls;
    uint8_t half[2][REGISTERS];
    uint32_t at; /* the half that rows go to */
    bool ranged, any;
    double lo, hi;
    bool texts, any_text; /* nothing but texts so far; their first bytes: */
    uint8_t least[STATS_TEXT_BYTES], most[STATS_TEXT_BYTES];
    uint32_t least_bytes, most_bytes;
};

static void keep_text(uint8_t *to, uint32_t *bytes, struct slice s)
{
    *bytes = s.n < STATS_TEXT_BYTES ? (uint32_t)s.n : STATS_TEXT_BYTES;
    if (*bytes > 0)
        memcpy(to, s.p, *bytes);
}

static void sketch_text(struct sketch *k, struct slice s)
{
    struct slice cut = slice_of(s.p, s.n < STATS_TEXT_BYTES ? s.n : STATS_TEXT_BYTES);
    if (!k->any_text || slice_cmp(cut, slice_of(k->least, k->least_bytes)) < 0)
        keep_text(k->least, &k->least_bytes, cut);
    if (!k->any_text || slice_cmp(cut, slice_of(k->most, k->most_bytes)) > 0)
        keep_text(k->most, &k->most_bytes, cut);
    k->any_text = true;
}

static void sketch_add(struct sketch *k, const struct value *v)
{
    uint64_t h;
    double x;
    k->rows++;
    switch (v->type) {
    case VALUE_NULL:
        k->nulls++;
        return;
    case VALUE_TEXT:
    case VALUE_JSON:
    case VALUE_BLOB:
        h = hash64(v->s.p, v->s.n, v->type);
        break;
    case VALUE_DECIMAL:
        h = hash64(&v->dec, sizeof v->dec, v->scale);
        break;
    case VALUE_UUID:
        h = hash64(v->uuid, sizeof v->uuid, v->type);
        break;
    default:
        h = hash64(&v->i, sizeof v->i, v->type);
    }
    uint32_t at = (uint32_t)(h >> (64 - REGISTER_BITS));
    uint8_t rank = (uint8_t)(__builtin_ctzll(h | 1ull << (63 - REGISTER_BITS)) + 1);
    if (rank > k->half[k->at][at])
        k->half[k->at][at] = rank;
    k->texts &= v->type == VALUE_TEXT;
    if (k->texts)
        sketch_text(k, v->s);
    if (!k->ranged)
        return;
    k->ranged = number_of(v, &x);
    if (!k->ranged)
        return;
    if (!k->any || x < k->lo)
        k->lo = x;
    if (!k->any || x > k->hi)
        k->hi = x;
    k->any = true;
}

static double distinct_of(const uint8_t *a, const uint8_t *b)
{
    const double m = REGISTERS;
    double sum = 0;
    uint32_t zeros = 0;
    for (uint32_t i = 0; i < REGISTERS; i++) {
        uint8_t rank = a[i] > b[i] ? a[i] : b[i];
        sum += ldexp(1, -rank);
        zeros += rank == 0;
    }
    double raw = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    return raw <= 2.5 * m && zeros > 0 ? m * log(m / zeros) : raw;
}

/* Texts have a range where their first bytes tell them apart. */
static void end_texts(const struct sketch *k, struct column_stats *out)
{
    if (!k->texts || !k->any_text)
        return;
    uint32_t n = 0, shorter = k->least_bytes < k->most_bytes ? k->least_bytes : k->most_bytes;
    while (n < shorter && k->least[n] == k->most[n])
        n++;
    memcpy(out->common, k->least, n);
    out->common_bytes = n;
    out->texts = true;
    out->lo = text_place(out->common, n, slice_of(k->least, k->least_bytes));
    out->hi = text_place(out->common, n, slice_of(k->most, k->most_bytes));
    out->ranged = out->hi > out->lo;
}

static struct column_stats sketch_end(const struct sketch *k, double table_rows)
{
    double filled = (double)(k->rows - k->nulls), all = distinct_of(k->half[0], k->half[1]);
    double half = (distinct_of(k->half[0], k->half[0]) + distinct_of(k->half[1], k->half[1])) / 2;
    if (table_rows > (double)k->rows && half >= 1 && all > half)
        all *= pow(table_rows / (double)k->rows, log2(all / half));
    double most = k->rows > 0 ? filled / (double)k->rows * table_rows : 0;
    if (all > most)
        all = most;
    struct column_stats out = {.distinct = all < 1 ? 1 : all,
                               .null_share = k->rows > 0 ? (double)k->nulls / (double)k->rows : 0,
                               .ranged = k->ranged && k->any,
                               .lo = k->lo,
                               .hi = k->hi};
    end_texts(k, &out);
    return out;
}

/* ---- reading ---- */

/* Count all rows; or look at one column of one batch in `step`. */
static quartet_status read_rows(db *d, const struct table_def *t, uint32_t column, uint64_t step, struct sketch *k, uint64_t *rows, struct err *err)
{
    const bool late = true;
    struct scan_want want = {.columns = &column, .column_count = k != NULL ? 1 : 0, .late = &late};
    table_scan *scan = NULL;
    struct batch b = {.n = 0};
    txn *x = NULL;
    *rows = 0;
    quartet_status rc = txn_begin_read(d, NULL, &x, err);
    if (rc != QUARTET_OK)
        return rc;
    rc = table_scan_open(x, t, NULL, NULL, &want, &scan, err);
    for (uint64_t n = 0; rc == QUARTET_OK; n++) {
        rc = table_scan_next(scan, 0, &b, err);
        if (rc != QUARTET_OK || b.n == 0)
            break;
        *rows += b.n;
        if (k == NULL || n % step != 0)
            continue;
        rc = table_scan_late(scan, &b, err);
        k->at ^= 1;
        for (uint32_t i = 0; rc == QUARTET_OK && i < b.n; i++) {
            struct value v = vec_get(&b.cols[0], batch_row(&b, i));
            sketch_add(k, &v);
        }
    }
    table_scan_close(scan);
    txn_rollback(x);
    return rc;
}

/* ---- what is kept ---- */

static struct table_stats *current(struct table_state *s)
{
    if (s->stats != NULL && atomic_load_explicit(&s->written, memory_order_relaxed) >= s->stats->old_at)
        stats_free(s);
    return s->stats;
}

static quartet_status keep_rows(db *d, struct table_state *s, uint64_t written, uint64_t rows, struct err *err)
{
    struct table_stats *fresh = mem_zalloc(1, sizeof *fresh);
    if (fresh == NULL)
        return err_nomem(err);
    fresh->rows = (double)rows;
    fresh->old_at = written + (rows < WRITES_MIN ? WRITES_MIN : rows);
    pthread_mutex_lock(&d->tables_lock);
    stats_free(s);
    s->stats = fresh;
    atomic_store_explicit(&s->stats_old_at, fresh->old_at, memory_order_relaxed);
    pthread_mutex_unlock(&d->tables_lock);
    return QUARTET_OK;
}

static quartet_status keep_column(db *d, struct table_state *s, uint32_t id, const struct column_stats *column, struct err *err)
{
    quartet_status rc = QUARTET_OK;
    pthread_mutex_lock(&d->tables_lock);
    struct table_stats *k = s->stats;
    if (k != NULL && k->column_count == k->column_cap) {
        uint32_t cap = k->column_cap == 0 ? 8 : k->column_cap * 2;
        struct column_figures *more = mem_realloc(k->columns, cap, sizeof *more);
        if (more != NULL) {
            k->columns = more;
            k->column_cap = cap;
        } else {
            rc = err_nomem(err);
        }
    }
    if (k != NULL && rc == QUARTET_OK)
        k->columns[k->column_count++] = (struct column_figures){.id = id, .s = *column};
    pthread_mutex_unlock(&d->tables_lock);
    return rc;
}

static quartet_status count_rows(db *d, const struct table_def *t, struct table_state *s, double *rows, struct err *err)
{
    uint64_t n, written = atomic_load_explicit(&s->written, memory_order_relaxed);
    quartet_status rc = read_rows(d, t, 0, 1, NULL, &n, err);
    *rows = (double)n;
    return rc == QUARTET_OK ? keep_rows(d, s, written, n, err) : rc;
}

static quartet_status find_rows(db *d, const struct table_def *t, double *rows, struct err *err)
{
    struct table_state *s = db_table(d, t->id, err);
    if (s == NULL)
        return QUARTET_NOMEM;
    pthread_mutex_lock(&d->tables_lock);
    struct table_stats *k = current(s);
    if (k != NULL)
        *rows = k->rows;
    pthread_mutex_unlock(&d->tables_lock);
    return k != NULL ? QUARTET_OK : count_rows(d, t, s, rows, err);
}

bool stats_rows(db *d, const struct table_def *t, double *rows)
{
    struct err err = ERR_INIT;
    if (d == NULL || t->is_system || t->temporary) /* its rows are in another database */
        return false;
    return find_rows(d, t, rows, &err) == QUARTET_OK && *rows > 0;
}

static quartet_status find_column(db *d, const struct table_def *t, uint32_t column, struct column_stats *out, struct err *err)
{
    double rows;
    bool known = false;
    quartet_status rc = find_rows(d, t, &rows, err);
    struct table_state *s = rc == QUARTET_OK ? db_table(d, t->id, err) : NULL;
    if (s == NULL)
        return rc != QUARTET_OK ? rc : QUARTET_NOMEM;
    uint32_t id = t->columns[column].id;
    pthread_mutex_lock(&d->tables_lock);
    for (uint32_t i = 0; s->stats != NULL && i < s->stats->column_count && !known; i++) {
        known = s->stats->columns[i].id == id;
        *out = s->stats->columns[i].s;
    }
    pthread_mutex_unlock(&d->tables_lock);
    if (known)
        return QUARTET_OK;
    struct sketch *k = mem_zalloc(1, sizeof *k);
    if (k == NULL)
        return err_nomem(err);
    uint64_t n, step = (uint64_t)rows / BATCH_ROWS_MAX / SAMPLE_BATCHES + 1;
    k->ranged = k->texts = true;
    rc = read_rows(d, t, column, step, k, &n, err);
    if (rc == QUARTET_OK) {
        *out = sketch_end(k, rows);
        rc = keep_column(d, s, id, out, err);
    }
    mem_free(k);
    return rc;
}

bool stats_column(db *d, const struct table_def *t, uint32_t column, struct column_stats *out)
{
    struct err err = ERR_INIT;
    double rows;
    return stats_rows(d, t, &rows) && find_column(d, t, column, out, &err) == QUARTET_OK;
}

quartet_status stats_analyze(db *d, const struct table_def *t, struct err *err)
{
    struct column_stats c;
    double rows;
    struct table_state *s = db_table(d, t->id, err);
    if (s == NULL)
        return QUARTET_NOMEM;
    quartet_status rc = count_rows(d, t, s, &rows, err);
    for (uint32_t k = 0; k < t->key_count && rc == QUARTET_OK && !t->hidden_key; k++)
        rc = find_column(d, t, t->key_columns[k], &c, err);
    for (uint32_t i = 0; i < t->index_count && rc == QUARTET_OK; i++)
        for (uint32_t k = 0; k < t->indexes[i].column_count && rc == QUARTET_OK; k++)
            rc = find_column(d, t, t->indexes[i].columns[k], &c, err);
    atomic_fetch_add_explicit(&d->stats_epoch, 1, memory_order_relaxed);
    return rc;
}

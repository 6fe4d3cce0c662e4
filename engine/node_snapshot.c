/* node_snapshot.c - the receiver's side: a node that is left behind by the logs asks a member for its state, looks at it, lets another member confirm it, and takes it up.
 * How: while the database says that it is behind (node_behind.c), a connected member is chosen that serves, and whose vectors cover all that is here: what this node wrote was pulled by then, as
 *   everything is. Pieces come in order into snapshot.part; the worker looks at the whole as a database of its own; another member's hash at the very same vector, heard since the
 *   pieces began or within NODE_SNAPSHOT_CONFIRM_MS, confirms or contradicts it; then the database is sealed and waits to be opened again.
 * What of a donor's lies is found, and when: docs/WIRE.md, "Snapshots".
 * Why nothing resumes after this process ends: the file is begun anew; a cut link or a lost message only repeats what is missing.
 * Not here: the donor's side (node_snapshot_give.c), the stream (db_snapshot.c). */
#include "node_snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/plant.h"
#include "node_alarm.h"
#include "node_snapshot_internal.h"

#define PART_FILE "snapshot.part"
#define CHECK_DIR "snapshot.check"
#define ALARM_MS 60000u

/* ---- shared with the donor's side ---- */

uint64_t snapshot_now_ms(const struct node_gossip *g)
{
    return g->env->ops->mono_ns(g->env) / 1000000u;
}

void snapshot_piece_hash(const struct node_gossip *g, uint8_t slot, uint64_t stream, uint64_t piece, bool last, const uint8_t *before, struct slice bytes, uint8_t *out)
{
    static const char label[] = "quartet snapshot 1";
    uint8_t fixed[18] = {slot, last};
    uint8_t sum[SNAPSHOT_HASH_BYTES];
    crypto_generichash_state state;
    store_le64(fixed + 2, stream);
    store_le64(fixed + 10, piece);
    (void)crypto_generichash(sum, sizeof sum, bytes.p, bytes.n, NULL, 0); /* none of these can fail with these sizes */
    (void)crypto_generichash_init(&state, NULL, 0, SNAPSHOT_HASH_BYTES);
    (void)crypto_generichash_update(&state, (const uint8_t *)label, sizeof label);
    (void)crypto_generichash_update(&state, g->identity.cluster.b, sizeof g->identity.cluster.b);
    (void)crypto_generichash_update(&state, fixed, sizeof fixed);
    (void)crypto_generichash_update(&state, before, SNAPSHOT_HASH_BYTES);
    (void)crypto_generichash_update(&state, sum, sizeof sum);
    (void)crypto_generichash_final(&state, out, SNAPSHOT_HASH_BYTES);
}

size_t snapshot_reply_begin(struct buf *replies, uint8_t kind)
{
    size_t begun = replies->len;
    buf_u32(replies, 0);
    buf_u8(replies, kind);
    return begun;
}

void snapshot_reply_end(struct buf *replies, size_t begun)
{
    if (!replies->failed)
        store_le32(replies->data + begun, (uint32_t)(replies->len - begun - 4));
}

/* ---- files ---- */

static bool path_of(const struct node_gossip *g, const char *name, char *out, size_t n)
{
    struct err err = ERR_INIT;
    return path_join(out, n, db_path(g->d), name, &err) == QUARTET_OK;
}

static void unlink_named(const struct node_gossip *g, const char *name)
{
    char path[NODE_PATH_BYTES_MAX];
    struct err ignored = ERR_INIT; /* it is overwritten by the next one */
    if (path_of(g, name, path, sizeof path) && g->env->ops->exists(g->env, path))
        (void)g->env->ops->unlink(g->env, path, &ignored);
}

static void read_from(struct node_gossip *g)
{
    struct node_snapshot *n = g->snapshot;
    char path[NODE_PATH_BYTES_MAX];
    uint8_t *data = NULL;
    size_t bytes = 0;
    struct err ignored = ERR_INIT; /* then it is not known to be unconfirmed */
    if (!path_of(g, NODE_SNAPSHOT_FROM, path, sizeof path) || !g->env->ops->exists(g->env, path) ||
        env_read_file(g->env, path, 64, &data, &bytes, &ignored) != QUARTET_OK)
        return;
    n->unconfirmed = bytes >= 2 && bytes <= SLOTS_MAX + 1u && data[bytes - 1] == '\n';
    n->donors = 0;
    for (size_t i = 0; i + 1 < bytes && n->unconfirmed; i++) {
        n->unconfirmed = data[i] >= '0' && data[i] < '0' + (int)SLOTS_MAX;
        if (n->unconfirmed)
            n->donors = (uint8_t)(n->donors | 1u << (data[i] - '0'));
    }
    n->donor = n->unconfirmed ? (uint8_t)(data[0] - '0') : 0;
    mem_free(data);
}

quartet_status node_snapshot_new(struct node_gossip *g, struct err *err)
{
    g->snapshot = mem_zalloc(1, sizeof *g->snapshot);
    if (g->snapshot == NULL)
        return err_nomem(err);
    if (pthread_mutex_init(&g->snapshot->lock, NULL) != 0) {
        mem_free(g->snapshot);
        g->snapshot = NULL;
        return err_nomem(err);
    }
    unlink_named(g, PART_FILE); /* of a process that ended midway */
    read_from(g);
    return QUARTET_OK;
}

/* Back to the beginning; `bad_ms`: the donor is not asked again so soon. */
static void give_up(struct node_gossip *g, uint64_t bad_ms)
{
    struct node_snapshot *n = g->snapshot;
    struct snapshot_taking *t = &n->take;
    if (t->phase == TAKING_NONE)
        return;
    n->members[t->from].bad_until_ms = snapshot_now_ms(g) + bad_ms;
    g->env->ops->close(t->f);
    db_snapshot_info_deinit(&t->info);
    *t = (struct snapshot_taking){0};
    unlink_named(g, PART_FILE);
}

void node_snapshot_free(struct node_gossip *g)
{
    struct node_snapshot *n = g->snapshot;
    if (n == NULL)
        return;
    snapshot_give_end(n);
    if (n->take.phase != TAKING_ADOPTED)
        give_up(g, 0);
    db_snapshot_info_deinit(&n->take.info);
    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        buf_deinit(&n->members[i].disk);
    pthread_mutex_destroy(&n->lock);
    mem_free(n);
    g->snapshot = NULL;
}

/* ---- pieces ---- */

static void ask(struct node_gossip *g, struct buf *replies)
{
    struct snapshot_taking *t = &g->snapshot->take;
    size_t begun = snapshot_reply_begin(replies, SNAPSHOT_ASK);
    buf_u64(replies, t->stream);
    buf_u64(replies, t->next);
    buf_u8(replies, NODE_SNAPSHOT_WINDOW);
    snapshot_reply_end(replies, begun);
    t->asked_ms = snapshot_now_ms(g);
}

static void begin(struct node_gossip *g, uint8_t slot, struct buf *replies)
{
    struct snapshot_taking *t = &g->snapshot->take;
    char path[NODE_PATH_BYTES_MAX];
    struct err err = ERR_INIT;
    struct file *f = NULL;
    uint64_t stream = 0;
    if (!path_of(g, PART_FILE, path, sizeof path))
        return;
    quartet_status rc = g->env->ops->random(g->env, &stream, sizeof stream, &err);
    if (rc == QUARTET_OK)
        rc = g->env->ops->open(g->env, path, FILE_WRITE, &f, &err);
    if (rc == QUARTET_OK)
        rc = g->env->ops->truncate(f, 0, &err);
    if (rc != QUARTET_OK) {
        log_line(g->env, LOG_WARN, "gossip", "no snapshot can be taken: %s", err.text);
        g->env->ops->close(f);
        return;
    }
    *t = (struct snapshot_taking){.phase = TAKING_PIECES, .from = slot, .stream = stream | 1, .f = f, .moved_ms = snapshot_now_ms(g)};
    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        g->snapshot->members[i].heard_count = 0;
    log_line(g->env, LOG_INFO, "gossip", "this node is too far behind for the logs: node %u is asked for a snapshot", (unsigned)slot);
    ask(g, replies);
}

static quartet_status take_piece(struct node_gossip *g, uint8_t slot, struct bytes_in *in, struct buf *replies, struct err *err)
{
    struct snapshot_taking *t = &g->snapshot->take;
    uint64_t stream = bytes_u64(in), piece = bytes_u64(in);
    uint8_t last = bytes_u8(in);
    const uint8_t *before = bytes_take(in, SNAPSHOT_HASH_BYTES);
    uint32_t n = bytes_u32(in);
    const uint8_t *bytes = bytes_take(in, n), *signature = bytes_take(in, SNAPSHOT_SIGNATURE_BYTES);
    uint8_t hash[SNAPSHOT_HASH_BYTES];
    if (in->bad || in->left > 0 || last > 1 || n > NODE_SNAPSHOT_PIECE_BYTES)
        return err_set(err, QUARTET_CORRUPT, "a malformed piece of a snapshot");
    if (t->phase != TAKING_PIECES || t->from != slot || stream != t->stream || piece != t->next)
        return QUARTET_OK; /* late, or twice */
    const struct member_node *donor = member_find_slot(&g->doc, slot);
    snapshot_piece_hash(g, slot, stream, piece, last != 0, before, slice_of(bytes, n), hash);
    if (donor == NULL || memcmp(before, t->hash, sizeof t->hash) != 0 || crypto_sign_verify_detached(signature, hash, sizeof hash, donor->public_key) != 0)
        return err_set(err, QUARTET_CORRUPT, "a piece of a snapshot that is not signed by its donor, or does not follow the one before");
    if (t->bytes + n > NODE_SNAPSHOT_BYTES_MAX)
        return err_set(err, QUARTET_LIMIT, "a snapshot of more than %llu bytes", (unsigned long long)NODE_SNAPSHOT_BYTES_MAX);
    struct err why = ERR_INIT;
    if (g->env->ops->pwrite(t->f, bytes, n, t->bytes, &why) != QUARTET_OK) {
        log_line(g->env, LOG_WARN, "gossip", "the snapshot of node %u cannot be kept: %s", (unsigned)slot, why.text);
        give_up(g, NODE_SNAPSHOT_ASK_MS);
        return QUARTET_OK;
    }
    memcpy(t->hash, hash, sizeof t->hash);
    t->bytes += n;
    t->next++;
    t->moved_ms = snapshot_now_ms(g);
    if (last != 0)
        t->phase = TAKING_CHECK; /* the worker's from here on */
    else if (t->next % (NODE_SNAPSHOT_WINDOW / 2) == 0)
        ask(g, replies);
    return QUARTET_OK;
}

static void take_no(struct node_gossip *g, uint8_t slot, struct bytes_in *in)
{
    struct snapshot_taking *t = &g->snapshot->take;
    uint64_t stream = bytes_u64(in);
    if (in->bad || t->phase != TAKING_PIECES || t->from != slot || stream != t->stream)
        return;
    log_line(g->env, LOG_INFO, "gossip", "node %u gives no snapshot: another member is asked", (unsigned)slot);
    give_up(g, 5000);
}

static void tick(struct node_gossip *g, uint8_t slot, struct buf *replies)
{
    struct node_snapshot *n = g->snapshot;
    struct snapshot_taking *t = &n->take;
    uint64_t now = snapshot_now_ms(g);
    bool behind = db_is_behind(g->d);
    if (t->phase == TAKING_PIECES && (!behind || now - t->moved_ms > NODE_SNAPSHOT_PATIENCE_MS))
        give_up(g, behind ? NODE_SNAPSHOT_PATIENCE_MS : 0);
    if (t->phase == TAKING_NONE && behind && !db_is_fenced(g->d) && n->members[slot].may_give && now >= n->members[slot].bad_until_ms)
        begin(g, slot, replies);
    else if (t->phase == TAKING_PIECES && t->from == slot && now - t->asked_ms > NODE_SNAPSHOT_ASK_MS && now - t->moved_ms > NODE_SNAPSHOT_ASK_MS)
        ask(g, replies);
}

quartet_status node_snapshot_message(void *ctx, uint8_t slot, struct slice bytes, struct buf *replies, struct err *err)
{
    struct node_gossip *g = ctx;
    quartet_status rc = QUARTET_OK;
    if (bytes.p == NULL)
        node_alarm_tell(g, slot, replies);
    if (bytes.n > 0 && bytes.p[0] == SNAPSHOT_HASHES) {
        struct bytes_in in = bytes_in(bytes.p + 1, bytes.n - 1);
        return node_alarm_message(g, slot, &in, err);
    }
    pthread_mutex_lock(&g->snapshot->lock);
    if (bytes.p == NULL) {
        snapshot_give_tick(g, slot, replies);
        tick(g, slot, replies);
    } else {
        struct bytes_in in = bytes_in(bytes.p, bytes.n);
        switch (bytes_u8(&in)) {
        case SNAPSHOT_ASK:
            snapshot_give_ask(g, slot, &in, replies);
            break;
        case SNAPSHOT_PIECE:
            rc = take_piece(g, slot, &in, replies, err);
            break;
        case SNAPSHOT_WAIT:
            if (g->snapshot->take.from == slot)
                g->snapshot->take.moved_ms = snapshot_now_ms(g);
            break;
        case SNAPSHOT_NO:
            take_no(g, slot, &in);
            break;
        default:
            rc = err_set(err, QUARTET_CORRUPT, "an unknown message about snapshots");
        }
    }
    pthread_mutex_unlock(&g->snapshot->lock);
    return rc;
}

/* ---- what members say of themselves ---- */

static uint64_t vector_hash(const struct idvec *v)
{
    uint64_t h = v->count;
    for (uint32_t i = 0; i < v->count; i++) {
        uint64_t parts[4] = {h, v->e[i].chain.slot, v->e[i].chain.incarnation, v->e[i].number};
        uint8_t sum[16];
        (void)crypto_generichash(sum, sizeof sum, (const uint8_t *)parts, sizeof parts, NULL, 0); /* cannot fail */
        h = load_le64(sum);
    }
    return h;
}

static bool decode(struct slice encoded, struct idvec *out)
{
    struct bytes_in in = bytes_in(encoded.p, encoded.n);
    struct err ignored = ERR_INIT; /* then nothing is said about it */
    return idvec_decode(&in, out, &ignored) == QUARTET_OK;
}

/* Who holds batches that wait for others' says so; what it has applied is as whole as anybody's. */
static bool serves(const struct gossip_status *s)
{
    return s->state == GOSSIP_STATE_READY || s->state == GOSSIP_STATE_CATCHING_UP;
}

/* Would its state lack nothing that is here, and hold what is missing? What it has on its disk beyond its state it can give again. */
static bool may_give(struct node_gossip *g, const struct gossip_status *s)
{
    struct buf applied = {0}, durable = {0};
    struct idvec ours = {0}, disk = {0};
    struct err ignored = ERR_INIT; /* then it may not */
    if (plant_is(PLANT_SNAPSHOT_NOT_UPLOADED))
        return serves(s);
    bool may = serves(s) && db_vectors(g->d, &applied, &durable, &ignored) == QUARTET_OK && decode(slice_of(applied.data, applied.len), &ours) &&
               decode(slice_of(durable.data, durable.len), &disk) && idvec_covers(&s->disk, &ours) && idvec_covers(&s->disk, &disk);
    for (uint32_t i = 0; may && i < ours.count; i++)
        may = ours.e[i].chain.slot != g->identity.slot || idvec_number(&s->applied, ours.e[i].chain) >= ours.e[i].number;
    for (uint32_t i = 0; may && i < g->lost_count; i++)
        may = idvec_number(&s->applied, g->lost[i].chain) >= g->lost[i].from;
    buf_deinit(&applied);
    buf_deinit(&durable);
    idvec_deinit(&ours);
    idvec_deinit(&disk);
    return may;
}

/* Another member holds the same: as_of: as of a stamp that both have passed. Lock held. */
static void confirmed_by(struct node_gossip *g, uint8_t slot, bool as_of)
{
    struct node_snapshot *n = g->snapshot;
    log_line(g->env, LOG_INFO, "gossip", "node %u confirms the snapshot that node %u gave", (unsigned)slot, (unsigned)n->donor);
    n->unconfirmed = false;
    n->donors = 0;
    n->counters.confirmed++;
    n->counters.as_of += as_of;
    unlink_named(g, NODE_SNAPSHOT_FROM);
}

/* Another one. Lock held. */
static void contradicted_by(struct node_gossip *g, uint8_t slot, bool as_of)
{
    struct node_snapshot *n = g->snapshot;
    uint64_t now = snapshot_now_ms(g);
    if (n->alarm_ms != 0 && now - n->alarm_ms <= ALARM_MS)
        return;
    n->alarm_ms = now + (now == 0);
    n->counters.contradicted++;
    n->counters.as_of += as_of;
    log_line(g->env, LOG_ERROR, "gossip",
             "DIVERGED: this node's state came as a snapshot of node %u, and node %u has another one %s: one of the two is wrong; OPERATIONS.md, \"A snapshot that is contradicted\"",
             (unsigned)n->donor, (unsigned)slot, as_of ? "as of a stamp that both have passed" : "at the same vector");
}

/* This node runs on a donor's state: does another member, at this node's own vector, say the same of it? */
static void confirm_own(struct node_gossip *g, uint8_t slot, const struct gossip_status *s)
{
    struct buf at = {0};
    struct idvec ours = {0};
    struct state_hash h;
    struct err ignored = ERR_INIT; /* then the next status tells */
    bool equal = db_state_hash(g->d, &h, &at, &ignored) == QUARTET_OK && decode(slice_of(at.data, at.len), &ours) && idvec_equal(&ours, &s->applied);
    buf_deinit(&at);
    idvec_deinit(&ours);
    if (!equal)
        return;
    if (load_le64(s->hash) == h.lo && load_le64(s->hash + 8) == h.hi)
        confirmed_by(g, slot, false);
    else
        contradicted_by(g, slot, false);
}

void node_snapshot_compared(struct node_gossip *g, uint8_t slot, bool whole, bool differ)
{
    struct node_snapshot *n = g->snapshot;
    const struct snapshot_member *m = &n->members[slot];
    pthread_mutex_lock(&n->lock);
    bool may_say = n->unconfirmed && (n->donors >> slot & 1) == 0 && m->connected && m->donors == 0;
    if (may_say && differ)
        contradicted_by(g, slot, true);
    else if (may_say && whole)
        confirmed_by(g, slot, true);
    pthread_mutex_unlock(&n->lock);
}

uint8_t node_snapshot_unconfirmed(struct node_gossip *g)
{
    if (g->snapshot == NULL)
        return 0;
    pthread_mutex_lock(&g->snapshot->lock);
    uint8_t donors = g->snapshot->unconfirmed ? g->snapshot->donors : 0;
    pthread_mutex_unlock(&g->snapshot->lock);
    return donors;
}

void node_snapshot_status(struct node_gossip *g, uint8_t slot, const struct gossip_status *s)
{
    struct node_snapshot *n = g->snapshot;
    struct snapshot_member *m = &n->members[slot];
    pthread_mutex_lock(&n->lock);
    m->connected = true;
    m->may_give = db_is_behind(g->d) && may_give(g, s);
    buf_clear(&m->disk);
    idvec_encode(&m->disk, &s->disk);
    m->donors = s->hash_bytes == NODE_SNAPSHOT_UNCONFIRMED_BYTES ? s->hash[NODE_SNAPSHOT_UNCONFIRMED_BYTES - 1] : 0;
    if (s->hash_bytes == 16 && serves(s)) { /* else nobody vouches for it either */
        if (n->take.phase != TAKING_NONE) {
            struct snapshot_heard *h = &m->heard[m->heard_count++ % SNAPSHOT_HEARD_MAX];
            h->vector = vector_hash(&s->applied);
            memcpy(h->hash, s->hash, sizeof h->hash);
        }
        if (n->unconfirmed && (n->donors >> slot & 1) == 0)
            confirm_own(g, slot, s);
    }
    pthread_mutex_unlock(&n->lock);
}

void node_snapshot_link(struct node_gossip *g, uint8_t slot, bool connected)
{
    struct snapshot_member *m = &g->snapshot->members[slot];
    pthread_mutex_lock(&g->snapshot->lock);
    m->connected = connected;
    m->may_give = false; /* until it says so */
    pthread_mutex_unlock(&g->snapshot->lock);
}

/* ---- the worker's part ---- */

/* Whose state it is that is taken: the donor's, and where that one's is somebody's and not confirmed, theirs. */
static uint8_t donors_of(const struct node_snapshot *n)
{
    return (uint8_t)(1u << n->take.from | n->members[n->take.from].donors);
}

static bool others_than(const struct node_gossip *g, uint8_t donors)
{
    for (uint32_t i = 0; i < g->doc.node_count; i++)
        if (g->doc.nodes[i].slot != g->identity.slot && (donors >> g->doc.nodes[i].slot & 1) == 0)
            return true;
    return false;
}

/* The pieces are all here. Lock held on entry and exit, not in between. */
static void look(struct node_gossip *g)
{
    struct node_snapshot *n = g->snapshot;
    struct snapshot_taking *t = &n->take;
    char part[NODE_PATH_BYTES_MAX], scratch[NODE_PATH_BYTES_MAX];
    struct err err = ERR_INIT;
    struct db_snapshot_info info = {0};
    struct idvec v = {0};
    struct file *f = t->f;
    t->f = NULL;
    pthread_mutex_unlock(&n->lock);
    bool named = path_of(g, PART_FILE, part, sizeof part) && path_of(g, CHECK_DIR, scratch, sizeof scratch);
    quartet_status rc = named ? g->env->ops->sync(f, &err) : err_set(&err, QUARTET_LIMIT, "the directory's name is too long");
    g->env->ops->close(f);
    if (rc == QUARTET_OK)
        rc = db_snapshot_check(g->env, part, db_is_in_memory(g->d) ? NULL : scratch, &info, &err);
    pthread_mutex_lock(&n->lock);
    if (rc == QUARTET_OK && (info.donor != t->from || !decode(slice_of(info.vector.data, info.vector.len), &v))) {
        db_snapshot_info_deinit(&info);
        rc = err_set(&err, QUARTET_CORRUPT, "it names another donor");
    }
    if (rc != QUARTET_OK) {
        n->counters.refused++;
        log_line(g->env, LOG_ERROR, "gossip", "the snapshot that node %u gave is refused: %s", (unsigned)t->from, err.text);
        give_up(g, rc == QUARTET_CORRUPT ? NODE_SNAPSHOT_BAD_MS : NODE_SNAPSHOT_ASK_MS);
        return;
    }
    t->info = info;
    t->vector = vector_hash(&v);
    t->phase = TAKING_CONFIRM;
    t->decide_ms = snapshot_now_ms(g) + (others_than(g, donors_of(n)) ? NODE_SNAPSHOT_CONFIRM_MS : 0);
    idvec_deinit(&v);
}

/* Has a member other than the donor told the hash of its state at this vector? -1: another one. */
static int heard(struct node_gossip *g, uint8_t *who)
{
    struct node_snapshot *n = g->snapshot;
    const struct snapshot_taking *t = &n->take;
    uint8_t hash[16];
    int said = 0;
    store_le64(hash, t->info.hash.lo);
    store_le64(hash + 8, t->info.hash.hi);
    for (uint8_t slot = 0; slot < SLOTS_MAX && said >= 0; slot++) {
        const struct snapshot_member *m = &n->members[slot];
        for (uint32_t i = 0; (donors_of(n) >> slot & 1) == 0 && i < m->heard_count && i < SNAPSHOT_HEARD_MAX; i++)
            if (m->heard[i].vector == t->vector) {
                said = memcmp(m->heard[i].hash, hash, sizeof hash) == 0 ? 1 : -1;
                *who = slot;
            }
    }
    return said;
}

static quartet_status write_from(struct node_gossip *g, struct err *err)
{
    char path[NODE_PATH_BYTES_MAX], text[SLOTS_MAX + 1u] = {(char)('0' + g->snapshot->take.from)};
    size_t n = 1;
    for (uint8_t slot = 0; slot < SLOTS_MAX; slot++)
        if (slot != g->snapshot->take.from && (donors_of(g->snapshot) >> slot & 1) != 0)
            text[n++] = (char)('0' + slot);
    text[n++] = '\n';
    if (!path_of(g, NODE_SNAPSHOT_FROM, path, sizeof path))
        return err_set(err, QUARTET_LIMIT, "the directory's name is too long");
    return env_write_file(g->env, path, text, n, err);
}

static void adopt(struct node_gossip *g)
{
    struct node_snapshot *n = g->snapshot;
    struct snapshot_taking *t = &n->take;
    char part[NODE_PATH_BYTES_MAX];
    struct err err = ERR_INIT;
    const struct buf *disk = &n->members[t->from].disk;
    quartet_status rc = path_of(g, PART_FILE, part, sizeof part) ? QUARTET_OK : err_set(&err, QUARTET_LIMIT, "the directory's name is too long");
    if (rc == QUARTET_OK && !t->confirmed)
        rc = write_from(g, &err);
    if (rc == QUARTET_OK)
        rc = db_snapshot_adopt(g->d, part, slice_of(t->info.vector.data, t->info.vector.len), slice_of(disk->data, disk->len), &err);
    if (rc == QUARTET_OK || db_is_sealed(g->d)) {
        n->counters.taken++;
        t->phase = TAKING_ADOPTED;
        log_line(g->env, LOG_INFO, "gossip", "the snapshot of node %u, %s, takes the place of this node's state: it is opened again", (unsigned)t->from,
                 t->confirmed ? "confirmed by another member" : "not confirmed yet");
        return;
    }
    log_line(g->env, LOG_WARN, "gossip", "the snapshot of node %u is not taken up: %s", (unsigned)t->from, err.text);
    unlink_named(g, NODE_SNAPSHOT_FROM);
    give_up(g, NODE_SNAPSHOT_ASK_MS);
}

/* Taken up once it is confirmed, or nobody was heard at that vector in time. */
static void decide(struct node_gossip *g)
{
    struct node_snapshot *n = g->snapshot;
    struct snapshot_taking *t = &n->take;
    uint8_t who = 0;
    int said = heard(g, &who);
    if (said < 0) {
        n->counters.contradicted++;
        log_line(g->env, LOG_ERROR, "gossip", "the snapshot that node %u gave is refused: node %u tells another state at the same vector, so one of the two is wrong", (unsigned)t->from, (unsigned)who);
        give_up(g, NODE_SNAPSHOT_BAD_MS);
        return;
    }
    t->confirmed = said > 0;
    n->counters.confirmed += t->confirmed;
    if (t->confirmed || snapshot_now_ms(g) >= t->decide_ms)
        adopt(g);
}

void node_snapshot_work(struct node_gossip *g)
{
    struct node_snapshot *n = g->snapshot;
    pthread_mutex_lock(&n->lock);
    snapshot_give_work(g);
    if (n->take.phase == TAKING_CHECK)
        look(g);
    if (n->take.phase == TAKING_CONFIRM && !db_is_behind(g->d))
        give_up(g, 0); /* what was missing has come after all */
    if (n->take.phase == TAKING_CONFIRM)
        decide(g);
    pthread_mutex_unlock(&n->lock);
}

bool node_snapshot_is_adopted(struct node_gossip *g)
{
    pthread_mutex_lock(&g->snapshot->lock);
    bool adopted = g->snapshot->take.phase == TAKING_ADOPTED;
    pthread_mutex_unlock(&g->snapshot->lock);
    return adopted;
}

void node_snapshot_text(struct node_gossip *g, struct buf *out)
{
    struct node_snapshot *n = g->snapshot;
    pthread_mutex_lock(&n->lock);
    const struct snapshot_taking *t = &n->take;
    if (t->phase == TAKING_PIECES)
        buf_printf(out, "takes a snapshot of node %u: %llu bytes so far", (unsigned)t->from, (unsigned long long)t->bytes);
    else if (t->phase == TAKING_CHECK || t->phase == TAKING_CONFIRM)
        buf_printf(out, "looks at a snapshot of node %u", (unsigned)t->from);
    else if (t->phase == TAKING_ADOPTED)
        buf_printf(out, "is opened again with a snapshot of node %u", (unsigned)t->from);
    else if (n->unconfirmed)
        buf_printf(out, "has the state of node %u, not confirmed by another member yet%s", (unsigned)n->donor, n->alarm_ms != 0 ? ": CONTRADICTED" : "");
    pthread_mutex_unlock(&n->lock);
}

struct node_snapshot_counters node_snapshot_counters(struct node_gossip *g)
{
    pthread_mutex_lock(&g->snapshot->lock);
    struct node_snapshot_counters c = g->snapshot->counters;
    pthread_mutex_unlock(&g->snapshot->lock);
    return c;
}

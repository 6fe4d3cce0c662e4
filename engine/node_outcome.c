/* node_outcome.c - a client asks what became of a request whose answer did not come: who may say that it never took effect.
 * "It did" is easy: whoever has applied the commit says so. "It did not, and never will" can be said by
 *   - this run of the node that was asked, once the session that was to commit has been ended here: nothing of it can run any more;
 *   - a later run of the same directory: what that run had committed is in the log that this one has recovered. `runs` in the directory lists them, since the number of a slot
 *     alone does not tell whether the directory is the one that it was;
 *   - anybody who has all of a chain that is closed: nothing more can come of it.
 * Everyone else says that it cannot tell. What some member is known to have of that chain and this node has not may be the commit: then it is "not yet" here, whoever asks.
 * What this rests on, beyond what a crash may do: a directory that is put back from an older copy while no member can be reached answers for the copy. */
#include "node_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "outcome.h"

#define RUNS_FILE "runs"
#define RUNS_BYTES_MAX (64u << 10)
#define END_WAIT_MS 2000u /* for a statement that runs; it is interrupted */

/* Lines of hexadecimal numbers; what is not one is left out. */
static void parse_runs(struct node *n, const char *text)
{
    while (*text != '\0') {
        char *end = NULL;
        uint64_t run = strtoull(text, &end, 16);
        if (end != text && run != 0) {
            if (n->run_count == NODE_RUNS_MAX)
                memmove(n->runs, n->runs + 1, --n->run_count * sizeof n->runs[0]);
            n->runs[n->run_count++] = run;
        }
        text = end != text ? end : text + 1;
    }
}

static quartet_status read_runs(struct node *n, const char *path, struct err *err)
{
    uint8_t *data = NULL;
    size_t size = 0;
    if (!n->env->ops->exists(n->env, path))
        return QUARTET_OK;
    quartet_status rc = env_read_file(n->env, path, RUNS_BYTES_MAX, &data, &size, err);
    char *text = rc == QUARTET_OK ? mem_zalloc(1, size + 1) : NULL;
    if (rc == QUARTET_OK && text == NULL)
        rc = err_nomem(err);
    if (rc == QUARTET_OK) {
        memcpy(text, data, size);
        parse_runs(n, text);
    }
    mem_free(text);
    mem_free(data);
    return rc;
}

void node_note_run(struct node *n)
{
    char path[NODE_PATH_BYTES_MAX];
    struct buf out = {0};
    struct err err = ERR_INIT;
    n->run = db_incarnation(n->d);
    if (db_path(n->d)[0] == '\0' || n->run == 0)
        return;
    quartet_status rc = path_join(path, sizeof path, db_path(n->d), RUNS_FILE, &err);
    if (rc == QUARTET_OK)
        rc = read_runs(n, path, &err);
    for (uint32_t i = n->run_count < NODE_RUNS_MAX ? 0 : 1; i < n->run_count; i++)
        buf_printf(&out, "%016llx\n", (unsigned long long)n->runs[i]);
    buf_printf(&out, "%016llx\n", (unsigned long long)n->run);
    if (rc == QUARTET_OK)
        rc = buf_check(&out, &err);
    if (rc == QUARTET_OK)
        rc = env_write_file(n->env, path, out.data, out.len, &err);
    if (rc != QUARTET_OK) /* the next run will not know of this one, and so say that it cannot tell */
        log_line(n->env, LOG_WARN, "node", "that this run began could not be noted: %s", err.text);
    buf_deinit(&out);
}

static bool ran_here(const struct node *n, uint64_t incarnation)
{
    for (uint32_t i = 0; i < n->run_count; i++)
        if (n->runs[i] == incarnation)
            return true;
    return false;
}

/* A member that has more of the chain than is applied here, or -1. */
static int who_has_more(struct node *n, const struct session_name *name, uint64_t applied)
{
    struct chain_id chain = {.slot = name->slot, .incarnation = name->incarnation};
    int who = -1;
    pthread_mutex_lock(&n->lock);
    for (int slot = 0; slot < (int)SLOTS_MAX && who < 0; slot++)
        if (idvec_number(&n->peer_disk[slot], chain) > applied || idvec_number(&n->peer_status[slot].applied, chain) > applied)
            who = slot;
    pthread_mutex_unlock(&n->lock);
    return who;
}

/* Nothing is known of it here: is that the last word? *why: else. */
static bool is_final(struct node *n, const struct session_name *name, const struct outcome *o, char *why, size_t why_bytes)
{
    bool own = name->slot == node_slot(n);
    if (o->forked || db_slot_frozen(n->d, name->slot)) {
        (void)snprintf(why, why_bytes, "node %u signed two histories: what it committed is not known", name->slot);
        return false;
    }
    if (o->ended)
        return true;
    if (!own || (name->incarnation != n->run && !ran_here(n, name->incarnation))) {
        (void)snprintf(why, why_bytes, "node %u has not heard of it%s; node %u, which was to commit it, can tell", node_slot(n),
                       own ? ", and its directory is another than then" : "", name->slot);
        return false;
    }
    int who = who_has_more(n, name, o->applied);
    if (who >= 0)
        (void)snprintf(why, why_bytes, "node %u cannot tell until it has caught up with node %d", name->slot, who);
    return who < 0;
}

static quartet_status look(struct node *n, const struct session_name *name, struct outcome *o, struct err *err)
{
    struct outcome_name at = {.slot = name->slot, .incarnation = name->incarnation, .session = name->session, .request = name->request};
    return db_outcome(n->d, &at, o, err);
}

quartet_status node_ask(struct node *n, uint64_t asker, const struct session_name *name, struct session_ruling *out, char *why, size_t why_bytes, struct err *err)
{
    struct outcome o;
    bool ours = name->slot == node_slot(n) && name->incarnation == n->run, ended = true;
    *out = (struct session_ruling){.verdict = SESSION_UNKNOWN};
    why[0] = '\0';
    quartet_status rc = look(n, name, &o, err);
    if (rc == QUARTET_OK && ours && o.kind == OUTCOME_NONE && name->session != asker) {
        ended = node_session_end(n, name->session, END_WAIT_MS);
        rc = look(n, name, &o, err); /* it may just have committed */
    }
    if (rc != QUARTET_OK)
        return rc;
    if (o.kind == OUTCOME_COMMITTED) {
        out->verdict = SESSION_COMMITTED;
        out->gave_rows = o.gave_rows;
        out->stamp = o.stamp;
        out->affected = o.affected;
        out->last_insert_id = o.last_insert_id;
    } else if (o.kind == OUTCOME_OVERTAKEN) {
        (void)snprintf(why, why_bytes, "its session has committed something else since, and only a session's last commit is remembered");
    } else if (o.kind == OUTCOME_FORGOTTEN) {
        (void)snprintf(why, why_bytes, "it is too old to be remembered");
    } else if (!ended) {
        (void)snprintf(why, why_bytes, "node %u is still at work on it", node_slot(n));
    } else if (is_final(n, name, &o, why, why_bytes)) {
        out->verdict = SESSION_NEVER;
    }
    return QUARTET_OK;
}

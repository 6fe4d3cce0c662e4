/* client_outcome.c - the link broke before an answer came: what became of the request? All nodes are asked, none is guessed about.
 * The node that serves now is asked first, then the one that was to commit, which alone can say "no" in most cases, then the others. Each is asked over a link of its own, for a
 *   short time: a node that is stopped takes bytes and answers nothing; one that was given up for that very thing is not asked in the first round. Where nobody can tell, and the URL says outcome_timeout, they are asked again until that is over.
 * Not here: who may say what (engine/node_outcome.c), what may be run again (client.c). */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "client_internal.h"
#include "idvec.h"

#define NODE_ANSWER_MS  3000u /* it may have to end what runs there */
#define ROUND_PAUSE_MS  20

void client_name_write(const struct session_name *name, char out[CLIENT_NAME_BYTES])
{
    (void)snprintf(out, CLIENT_NAME_BYTES, "%u-%016" PRIx64 "-%" PRIu64 "-%u", name->slot, name->incarnation, name->session, name->request);
}

static bool number(const char **text, int base, uint64_t max, char after, uint64_t *out)
{
    char *end = NULL;
    if ((**text < '0' || **text > '9') && (base == 10 || **text < 'a' || **text > 'f'))
        return false; /* no blanks, no signs */
    *out = strtoull(*text, &end, base);
    if (*end != after || *out > max)
        return false;
    *text = end + (after != '\0');
    return true;
}

bool client_name_read(const char *text, struct session_name *name)
{
    uint64_t slot, incarnation, session, request;
    if (strlen(text) >= CLIENT_NAME_BYTES || !number(&text, 10, SLOTS_MAX - 1, '-', &slot) || !number(&text, 16, INT64_MAX, '-', &incarnation) ||
        !number(&text, 10, INT64_MAX, '-', &session) || !number(&text, 10, UINT32_MAX, '\0', &request) || incarnation == 0 || session == 0)
        return false;
    *name = (struct session_name){.slot = (uint8_t)slot, .incarnation = incarnation, .session = session, .request = (uint32_t)request};
    return true;
}

/* What a node says. Its text is kept in `why`, and what it says was seen goes into the token. */
static quartet_status ask_link(client *c, struct client_link *l, const struct session_name *name, struct client_verdict *out, struct err *err)
{
    struct buf message = {0};
    struct slice answer;
    struct bytes_in in;
    struct session_ruling r;
    uint8_t kind = 0;
    uint32_t id = client_next_id(c), got = 0;
    session_put_ask(&message, id, name);
    quartet_status rc = buf_check(&message, err);
    if (rc == QUARTET_OK)
        rc = client_link_send(l, c->env, slice_of(message.data, message.len), err);
    buf_deinit(&message);
    while (rc == QUARTET_OK && got != id) {
        rc = client_link_receive(l, c->env, -1, client_now_ms(c->env) + NODE_ANSWER_MS, &answer, err);
        if (rc == QUARTET_OK)
            rc = session_open_message(answer, &in, &kind, &got, err);
        if (rc == QUARTET_OK && got == 0 && (kind == SESSION_BYE || kind == SESSION_ERROR))
            rc = err_set(err, QUARTET_NET, "it ends the session");
    }
    if (rc == QUARTET_OK && kind != SESSION_RULING)
        return err_set(err, QUARTET_UNAVAILABLE, "it gave no ruling"); /* an error: it cannot tell */
    if (rc == QUARTET_OK)
        rc = session_get_ruling(&in, &r, err);
    if (rc != QUARTET_OK)
        return rc;
    if (r.text.n > 0)
        (void)snprintf(out->why, sizeof out->why, "%.*s", (int)r.text.n, (const char *)r.text.p);
    out->verdict = r.verdict;
    out->gave_rows = r.gave_rows;
    out->affected = r.affected;
    out->last_insert_id = r.last_insert_id;
    if (r.verdict == SESSION_COMMITTED && l != &c->link) /* the node that serves may lack it still */
        c->token_untold = true;
    return r.verdict == SESSION_COMMITTED ? client_merge_token(c, r.token, err) : QUARTET_OK;
}

/* Over a link of its own. A node that cannot be reached, or refuses, is one that cannot tell. */
static void ask_node(client *c, const struct client_node *n, const struct session_name *name, struct client_verdict *out)
{
    struct client_link l;
    struct buf doc = {0};
    struct err err = ERR_INIT;
    struct session_welcome welcome;
    client_link_init(&l);
    if (client_link_open(&l, &c->config, n->host, n->port, c->url.connect_timeout_ms, &doc, &err) == QUARTET_OK) {
        struct slice no_token = {0};
        if (client_log_in(c, &l, no_token, client_now_ms(c->env) + NODE_ANSWER_MS, &welcome, &err) == QUARTET_OK)
            (void)ask_link(c, &l, name, out, &err); /* see above */
        client_link_close(&l, true);
    }
    buf_deinit(&doc);
}

/* One round. The node of the slot that was asked comes before the others. */
static void ask_all(client *c, const struct session_name *name, struct client_verdict *out)
{
    struct err err = ERR_INIT;
    if (c->link.fd >= 0 && ask_link(c, &c->link, name, out, &err) != QUARTET_OK && err.code != QUARTET_UNAVAILABLE)
        client_lost(c, err.text);
    for (int first = 1; first >= 0; first--)
        for (uint32_t i = 0; i < c->node_count && out->verdict == SESSION_UNKNOWN; i++)
            if ((c->nodes[i].slot == name->slot) == (first == 1) && (i != c->current || c->link.fd < 0) && (c->silent_slot < 0 || c->nodes[i].slot != c->silent_slot))
                ask_node(c, &c->nodes[i], name, out);
    c->silent_slot = -1; /* in the next round it may be back */
}

void client_rule(client *c, const struct session_name *name, uint32_t timeout_ms, struct client_verdict *out)
{
    uint64_t deadline = client_now_ms(c->env) + timeout_ms;
    *out = (struct client_verdict){.verdict = SESSION_UNKNOWN};
    while (true) {
        struct err ignored = ERR_INIT; /* who cannot be reached cannot tell */
        ask_all(c, name, out);
        if (out->verdict != SESSION_UNKNOWN || client_now_ms(c->env) >= deadline)
            return;
        (void)poll(NULL, 0, ROUND_PAUSE_MS); /* a pause, nothing to wait for */
        (void)client_connect(c, &ignored);
    }
}

quartet_status client_merge_token(client *c, struct slice token, struct err *err)
{
    struct idvec mine = {0}, theirs = {0};
    struct bytes_in in = bytes_in(token.p, token.n);
    quartet_status rc = QUARTET_OK;
    if (token.n == 0)
        return QUARTET_OK;
    rc = idvec_decode(&in, &theirs, err);
    in = bytes_in(c->token.data, c->token.len);
    if (rc == QUARTET_OK && c->token.len > 0)
        rc = idvec_decode(&in, &mine, err);
    if (rc == QUARTET_OK)
        rc = idvec_merge(&mine, &theirs, err);
    if (rc == QUARTET_OK) {
        buf_clear(&c->token);
        idvec_encode(&c->token, &mine);
        rc = buf_check(&c->token, err);
    }
    idvec_deinit(&mine);
    idvec_deinit(&theirs);
    return rc;
}

quartet_status client_settle(client *c, const struct session_name *name, struct client_answer *answer, bool *again, struct err *err)
{
    struct client_verdict v = {.verdict = SESSION_UNKNOWN};
    char text[CLIENT_NAME_BYTES];
    *again = false;
    if (name->session == 0 || name->incarnation == 0)
        return err_set(err, QUARTET_UNKNOWN_OUTCOME, "the link broke before the answer came: it is unknown whether the statement took effect");
    client_name_write(name, text);
    client_rule(c, name, c->url.outcome_timeout_ms, &v);
    if (v.verdict == SESSION_NEVER) {
        client_tell(c, "the link broke before the answer came; what was asked did not take effect");
        *again = true;
        return QUARTET_OK;
    }
    if (v.verdict == SESSION_COMMITTED && !v.gave_rows) {
        memset(answer, 0, sizeof *answer);
        answer->kind = SESSION_RESULT;
        answer->settled = true;
        answer->result.flags = SESSION_DONE;
        answer->result.affected = v.affected;
        answer->result.last_insert_id = v.last_insert_id;
        c->in_transaction = false;
        client_tell(c, "the link broke before the answer came; what was asked did take effect");
        return QUARTET_OK;
    }
    memcpy(c->doubt, text, sizeof c->doubt);
    if (v.verdict == SESSION_COMMITTED)
        return err_set(err, QUARTET_UNKNOWN_OUTCOME, "the statement took effect, but the rows that it gave were lost with the link: do not run it again (transaction %s)", text);
    return err_set(err, QUARTET_UNKNOWN_OUTCOME, "the link broke before the answer came, and it is unknown whether the transaction %s took effect: %s", text,
                   v.why[0] != '\0' ? v.why : "no node that can be reached knows of it");
}

quartet_status client_outcome(client *c, const char *transaction, uint32_t timeout_ms, enum session_verdict *verdict, struct err *err)
{
    struct session_name name;
    struct client_verdict v;
    if (!client_name_read(transaction, &name))
        return err_set(err, QUARTET_MISUSE, "%.80s is no transaction's identifier", transaction);
    quartet_status rc = client_connect(c, err);
    if (rc != QUARTET_OK)
        return rc;
    client_rule(c, &name, timeout_ms, &v);
    *verdict = (enum session_verdict)v.verdict;
    return QUARTET_OK;
}

const char *client_doubt(const client *c)
{
    return c->doubt;
}

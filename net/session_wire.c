/* session_wire.c - the messages between client and node, field by field; writers and readers mirror
 * each other. */
#include "session_wire.h"

#include <string.h>

static quartet_status malformed(const char *what, struct err *err)
{
    return err_set(err, QUARTET_CORRUPT, "a malformed %s message", what);
}

static void begin(struct buf *out, uint32_t fields, uint8_t kind, uint32_t id)
{
    wire_put_array(out, fields);
    wire_put_u64(out, kind);
    wire_put_u64(out, id);
}

/* How many fields each kind has, kind and id included; 0: no such kind. */
static uint32_t fields_of(uint64_t kind)
{
    switch (kind) {
    case SESSION_LOGIN:
        return 7;
    case SESSION_EXECUTE:
    case SESSION_PREPARE:
    case SESSION_RUN:
    case SESSION_FETCH:
    case SESSION_CLOSE:
    case SESSION_RESET:
        return 8;
    case SESSION_CANCEL:
    case SESSION_PING:
    case SESSION_NODES:
    case SESSION_BYE:
        return 2;
    case SESSION_ASK:
        return 6;
    case SESSION_RULING:
        return 9;
    case SESSION_WELCOME:
        return 8;
    case SESSION_PREPARED:
    case SESSION_RESULT:
        return 14;
    case SESSION_ERROR:
        return 6;
    case SESSION_PONG:
        return 4;
    case SESSION_NODES_ARE:
        return 3;
    default:
        return 0;
    }
}

quartet_status session_open_message(struct slice message, struct bytes_in *in, uint8_t *kind,
                                    uint32_t *id, struct err *err)
{
    *in = bytes_in(message.p, message.n);
    uint32_t fields = wire_array(in);
    uint64_t k = wire_u64(in);
    *id = wire_u32(in);
    if (in->bad || fields == 0 || fields != fields_of(k) || (fields == 2 && in->left != 0))
        return malformed("session", err);
    *kind = (uint8_t)k;
    return QUARTET_OK;
}

/* [LOGIN, id, version, user, application, token, [name, value, ...]] */
void session_put_login(struct buf *out, uint32_t id, const struct session_login *login)
{
    QASSERT(login->setting_count <= SESSION_SETTINGS_MAX);
    begin(out, 7, SESSION_LOGIN, id);
    wire_put_u64(out, login->version);
    wire_put_str(out, login->user);
    wire_put_str(out, login->application);
    wire_put_bin(out, login->token);
    wire_put_array(out, login->setting_count * 2);
    for (uint32_t i = 0; i < login->setting_count; i++) {
        wire_put_str(out, login->settings[i].name);
        wire_put_str(out, login->settings[i].value);
    }
}

quartet_status session_get_login(struct bytes_in *in, struct session_login *login, struct err *err)
{
    memset(login, 0, sizeof *login);
    login->version = wire_u32(in);
    login->user = wire_str(in, SESSION_NAME_BYTES_MAX);
    login->application = wire_str(in, SESSION_NAME_BYTES_MAX);
    login->token = wire_bin(in, SESSION_TOKEN_BYTES_MAX);
    uint32_t count = wire_array(in);
    if (in->bad || count % 2 != 0 || count / 2 > SESSION_SETTINGS_MAX)
        return malformed("login", err);
    login->setting_count = count / 2;
    for (uint32_t i = 0; i < login->setting_count; i++) {
        login->settings[i].name = wire_str(in, SESSION_NAME_BYTES_MAX);
        login->settings[i].value = wire_str(in, SESSION_SETTING_BYTES_MAX);
    }
    return in->bad || in->left != 0 ? malformed("login", err) : QUARTET_OK;
}

/* [kind, id, statement, sql, params, count, max rows, token] */
void session_put_request(struct buf *out, const struct session_request *r)
{
    begin(out, 8, r->kind, r->id);
    wire_put_u64(out, r->statement);
    wire_put_bin(out, r->sql);
    wire_put_bin(out, r->params);
    wire_put_u64(out, r->param_count);
    wire_put_u64(out, r->max_rows);
    wire_put_bin(out, r->token);
}

/* `count` whole values and nothing else. */
static bool values_whole(struct slice bytes, uint64_t count)
{
    struct bytes_in in = bytes_in(bytes.p, bytes.n);
    for (uint64_t i = 0; i < count; i++)
        if (!value_skip(&in))
            return false;
    return in.left == 0;
}

quartet_status session_get_request(struct bytes_in *in, uint8_t kind, uint32_t id,
                                   struct session_request *r, struct err *err)
{
    *r = (struct session_request){.kind = kind, .id = id};
    r->statement = wire_u32(in);
    r->sql = wire_bin(in, SESSION_SQL_BYTES_MAX);
    r->params = wire_bin(in, SESSION_REQUEST_BYTES_MAX);
    r->param_count = wire_u32(in);
    r->max_rows = wire_u32(in);
    r->token = wire_bin(in, SESSION_TOKEN_BYTES_MAX);
    if (in->bad || in->left != 0 || r->statement == 0 || r->param_count > SESSION_PARAMS_MAX ||
        !values_whole(r->params, r->param_count))
        return malformed("request", err);
    return QUARTET_OK;
}

void session_put_simple(struct buf *out, uint8_t kind, uint32_t id)
{
    begin(out, 2, kind, id);
}

/* [WELCOME, id, slot, state, version, token, incarnation, session] */
void session_put_welcome(struct buf *out, uint32_t id, const struct session_welcome *w)
{
    begin(out, 8, SESSION_WELCOME, id);
    wire_put_u64(out, w->slot);
    wire_put_u64(out, w->state);
    wire_put_str(out, w->server_version);
    wire_put_bin(out, w->token);
    wire_put_u64(out, w->incarnation);
    wire_put_u64(out, w->session);
}

quartet_status session_get_welcome(struct bytes_in *in, struct session_welcome *w, struct err *err)
{
    uint32_t slot = wire_u32(in), state = wire_u32(in);
    w->server_version = wire_str(in, SESSION_NAME_BYTES_MAX);
    w->token = wire_bin(in, SESSION_TOKEN_BYTES_MAX);
    w->incarnation = wire_u64(in);
    w->session = wire_u64(in);
    if (in->bad || in->left != 0 || slot >= SLOTS_MAX || state > UINT8_MAX)
        return malformed("welcome", err);
    w->slot = (uint8_t)slot;
    w->state = (uint8_t)state;
    return QUARTET_OK;
}

static void put_columns(struct buf *out, const struct session_result *r)
{
    if (!r->has_columns) {
        wire_put_nil(out);
        wire_put_nil(out);
        return;
    }
    wire_put_array(out, r->column_count * 3);
    for (uint32_t i = 0; i < r->column_count; i++) {
        wire_put_str(out, r->columns[i].name);
        wire_put_str(out, r->columns[i].declared);
        wire_put_u64(out, r->columns[i].type);
    }
    wire_put_array(out, r->param_names != NULL ? r->param_count : 0);
    for (uint32_t i = 0; r->param_names != NULL && i < r->param_count; i++)
        wire_put_str(out, r->param_names[i]);
}

/* [kind, id, flags, params, consumed, columns, [name, declared, type, ...] or nil, [param names] or
 * nil, rows, values, affected, last id, [warnings], token] */
void session_put_result(struct buf *out, uint8_t kind, uint32_t id, const struct session_result *r)
{
    QASSERT(r->warning_count <= SESSION_WARNINGS_MAX);
    begin(out, 14, kind, id);
    wire_put_u64(out, r->flags);
    wire_put_u64(out, r->param_count);
    wire_put_u64(out, r->consumed_bytes);
    wire_put_u64(out, r->column_count);
    put_columns(out, r);
    wire_put_u64(out, r->row_count);
    wire_put_bin(out, r->rows);
    wire_put_i64(out, r->affected);
    wire_put_i64(out, r->last_insert_id);
    wire_put_array(out, r->warning_count);
    for (uint32_t i = 0; i < r->warning_count; i++)
        wire_put_str(out, r->warnings[i]);
    wire_put_bin(out, r->token);
}

static quartet_status get_columns(struct bytes_in *in, struct arena *a, struct session_result *r,
                                  struct err *err)
{
    if (wire_is_nil(in)) {
        if (!wire_is_nil(in))
            in->bad = true;
        return QUARTET_OK; /* the caller looks at in->bad */
    }
    r->has_columns = true;
    uint32_t count = wire_array(in);
    if (count != (uint64_t)r->column_count * 3)
        in->bad = true;
    if (in->bad)
        return QUARTET_OK;
    r->columns = arena_zalloc(a, r->column_count, sizeof *r->columns);
    if (r->columns == NULL)
        return arena_fail(a, err);
    for (uint32_t i = 0; i < r->column_count; i++) {
        r->columns[i].name = wire_str(in, SESSION_NAME_BYTES_MAX);
        r->columns[i].declared = wire_str(in, SESSION_NAME_BYTES_MAX);
        r->columns[i].type = (uint8_t)wire_u32(in);
    }
    count = wire_array(in);
    if (in->bad || count == 0)
        return QUARTET_OK;
    struct slice *names = arena_zalloc(a, count, sizeof *names);
    if (names == NULL)
        return arena_fail(a, err);
    if (count != r->param_count)
        in->bad = true;
    for (uint32_t i = 0; i < count && !in->bad; i++)
        names[i] = wire_str(in, SESSION_NAME_BYTES_MAX);
    r->param_names = names;
    return QUARTET_OK;
}

quartet_status session_get_result(struct bytes_in *in, struct arena *a, struct session_result *r,
                                  struct err *err)
{
    memset(r, 0, sizeof *r);
    r->flags = wire_u32(in);
    r->param_count = wire_u32(in);
    r->consumed_bytes = wire_u32(in);
    r->column_count = wire_u32(in);
    if (in->bad || r->column_count > SESSION_COLUMNS_MAX || r->param_count > SESSION_PARAMS_MAX)
        return malformed("result", err);
    quartet_status rc = get_columns(in, a, r, err);
    if (rc != QUARTET_OK)
        return rc;
    r->row_count = wire_u32(in);
    r->rows = wire_bin(in, SESSION_REQUEST_BYTES_MAX);
    r->affected = wire_i64(in);
    r->last_insert_id = wire_i64(in);
    r->warning_count = wire_array(in);
    if (r->warning_count > SESSION_WARNINGS_MAX)
        return malformed("result", err);
    for (uint32_t i = 0; i < r->warning_count; i++)
        r->warnings[i] = wire_str(in, SESSION_WARNING_BYTES_MAX);
    r->token = wire_bin(in, SESSION_TOKEN_BYTES_MAX);
    uint64_t values = (uint64_t)r->row_count * r->column_count;
    if (in->bad || in->left != 0 || (r->column_count == 0 && r->row_count != 0) ||
        values > r->rows.n || !values_whole(r->rows, values))
        return malformed("result", err);
    return QUARTET_OK;
}

/* [ERROR, id, code, offset, text, flags] */
void session_put_error(struct buf *out, uint32_t id, const struct session_error *e)
{
    begin(out, 6, SESSION_ERROR, id);
    wire_put_u64(out, (uint64_t)e->code);
    wire_put_i64(out, e->sql_offset);
    wire_put_str(out, e->text);
    wire_put_u64(out, e->flags);
}

quartet_status session_get_error(struct bytes_in *in, struct session_error *e, struct err *err)
{
    uint32_t code = wire_u32(in);
    e->sql_offset = wire_i64(in);
    e->text = wire_str(in, ERR_TEXT_BYTES_MAX);
    e->flags = wire_u32(in);
    if (in->bad || in->left != 0 || code == QUARTET_OK || code >= QUARTET_ROW)
        return malformed("error", err);
    e->code = (quartet_status)code;
    return QUARTET_OK;
}

/* [PONG, id, slot, state] */
void session_put_pong(struct buf *out, uint32_t id, uint8_t slot, uint8_t state)
{
    begin(out, 4, SESSION_PONG, id);
    wire_put_u64(out, slot);
    wire_put_u64(out, state);
}

quartet_status session_get_pong(struct bytes_in *in, uint8_t *slot, uint8_t *state, struct err *err)
{
    uint32_t s = wire_u32(in), st = wire_u32(in);
    if (in->bad || in->left != 0 || s >= SLOTS_MAX || st > UINT8_MAX)
        return malformed("pong", err);
    *slot = (uint8_t)s;
    *state = (uint8_t)st;
    return QUARTET_OK;
}

/* [NODES_ARE, id, [slot, up, address, http, ...]] */
void session_put_nodes(struct buf *out, uint32_t id, const struct session_node *nodes,
                       uint32_t count)
{
    QASSERT(count <= SLOTS_MAX);
    begin(out, 3, SESSION_NODES_ARE, id);
    wire_put_array(out, count * 4);
    for (uint32_t i = 0; i < count; i++) {
        wire_put_u64(out, nodes[i].slot);
        wire_put_u64(out, nodes[i].up);
        wire_put_str(out, nodes[i].address);
        wire_put_str(out, nodes[i].http);
    }
}

quartet_status session_get_nodes(struct bytes_in *in, struct session_node nodes[SLOTS_MAX],
                                 uint32_t *count, struct err *err)
{
    uint32_t n = wire_array(in);
    if (in->bad || n % 4 != 0 || n / 4 > SLOTS_MAX)
        return malformed("nodes", err);
    *count = n / 4;
    for (uint32_t i = 0; i < *count; i++) {
        uint32_t slot = wire_u32(in), up = wire_u32(in);
        if (slot >= SLOTS_MAX || up > 1)
            in->bad = true;
        nodes[i] = (struct session_node){.slot = (uint8_t)slot, .up = (uint8_t)up};
        nodes[i].address = wire_str(in, MEMBER_ADDRESS_BYTES_MAX - 1);
        nodes[i].http = wire_str(in, MEMBER_ADDRESS_BYTES_MAX - 1);
    }
    return in->bad || in->left != 0 ? malformed("nodes", err) : QUARTET_OK;
}

/* [ASK, id, slot, incarnation, session, request] */
void session_put_ask(struct buf *out, uint32_t id, const struct session_name *name)
{
    begin(out, 6, SESSION_ASK, id);
    wire_put_u64(out, name->slot);
    wire_put_u64(out, name->incarnation);
    wire_put_u64(out, name->session);
    wire_put_u64(out, name->request);
}

quartet_status session_get_ask(struct bytes_in *in, struct session_name *name, struct err *err)
{
    uint32_t slot = wire_u32(in);
    *name = (struct session_name){.slot = (uint8_t)slot, .incarnation = wire_u64(in)};
    name->session = wire_u64(in);
    name->request = wire_u32(in);
    if (in->bad || in->left != 0 || slot >= SLOTS_MAX || name->incarnation == 0 ||
        name->incarnation > INT64_MAX || name->session == 0 || name->session > INT64_MAX)
        return malformed("question", err);
    return QUARTET_OK;
}

/* [RULING, id, verdict, gave rows, stamp, affected, last id, token, text] */
void session_put_ruling(struct buf *out, uint32_t id, const struct session_ruling *r)
{
    begin(out, 9, SESSION_RULING, id);
    wire_put_u64(out, r->verdict);
    wire_put_u64(out, r->gave_rows);
    wire_put_u64(out, r->stamp);
    wire_put_i64(out, r->affected);
    wire_put_i64(out, r->last_insert_id);
    wire_put_bin(out, r->token);
    wire_put_str(out, r->text);
}

quartet_status session_get_ruling(struct bytes_in *in, struct session_ruling *r, struct err *err)
{
    uint32_t verdict = wire_u32(in), rows = wire_u32(in);
    *r = (struct session_ruling){.verdict = (uint8_t)verdict, .gave_rows = rows == 1};
    r->stamp = wire_u64(in);
    r->affected = wire_i64(in);
    r->last_insert_id = wire_i64(in);
    r->token = wire_bin(in, SESSION_TOKEN_BYTES_MAX);
    r->text = wire_str(in, ERR_TEXT_BYTES_MAX);
    if (in->bad || in->left != 0 || verdict > SESSION_NEVER || rows > 1)
        return malformed("ruling", err);
    return QUARTET_OK;
}

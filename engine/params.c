/* params.c - see params.h. A text's buffer is kept and used again, so that binding in a loop allocates once. */
#include "params.h"

bool params_init(struct params *p, const struct ast_params *declared, struct arena *a)
{
    p->values = arena_zalloc(a, declared->count + 1u, sizeof *p->values);
    p->bytes = arena_zalloc(a, declared->count + 1u, sizeof *p->bytes);
    if (p->values == NULL || p->bytes == NULL)
        return false;
    p->declared = declared;
    params_clear(p);
    return true;
}

void params_deinit(struct params *p)
{
    for (uint32_t i = 0; i < params_count(p); i++)
        buf_deinit(&p->bytes[i]);
    p->declared = NULL;
}

uint32_t params_count(const struct params *p)
{
    return p->declared != NULL ? p->declared->count : 0;
}

static bool known(const struct params *p, uint32_t number)
{
    return number >= 1 && number <= params_count(p);
}

const char *params_name(const struct params *p, uint32_t number)
{
    return known(p, number) ? p->declared->names[number - 1] : NULL;
}

const struct value *params_get(const struct params *p, uint32_t number)
{
    return known(p, number) ? &p->values[number - 1] : NULL;
}

quartet_status params_bind(struct params *p, uint32_t number, const struct value *v, struct err *err)
{
    if (!known(p, number))
        return err_set(err, QUARTET_RANGE, "there is no parameter %u: the statement has %u", number, params_count(p));
    struct value *to = &p->values[number - 1];
    if (v->type != VALUE_TEXT && v->type != VALUE_BLOB && v->type != VALUE_JSON) {
        *to = *v;
        return QUARTET_OK;
    }
    struct buf *bytes = &p->bytes[number - 1];
    struct value copy = *v;
    buf_clear(bytes);
    buf_put(bytes, v->s.p, v->s.n);
    copy.s = slice_of(bytes->len > 0 ? bytes->data : (const uint8_t *)"", bytes->len);
    quartet_status rc = buf_check(bytes, err);
    *to = rc == QUARTET_OK ? copy : VALUE_NULL_INIT;
    return rc;
}

void params_clear(struct params *p)
{
    for (uint32_t i = 0; i < params_count(p); i++)
        p->values[i] = VALUE_NULL_INIT;
}

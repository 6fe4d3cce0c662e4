/* func_impl.h - what the files of built-in functions share. Inside engine/func*.c only. */
#ifndef ENGINE_FUNC_IMPL_H
#define ENGINE_FUNC_IMPL_H

#include "expr_ops.h"

/* The tables of the families; each ends with a NULL name. */
extern const struct func func_text_table[], func_string_table[], func_math_table[], func_date_table[], func_json_table[], func_json_edit_table[], func_set_table[],
    func_misc_table[], func_agg_table[], func_compat_table[], func_regexp_table[];

#define FUNC_PURE (FUNC_DETERMINISTIC | FUNC_STRICT)

static inline quartet_status func_int(struct value *out, int64_t i)
{
    *out = value_int(i);
    return QUARTET_OK;
}
static inline quartet_status func_null(struct value *out)
{
    *out = VALUE_NULL_INIT;
    return QUARTET_OK;
}
quartet_status func_real(struct value *out, double r); /* NaN is NULL */
quartet_status func_slice(struct value *out, struct slice s);
/* Text of an argument; blobs as their bytes. */
static inline quartet_status func_arg(const struct func_call *call, const struct value *v, struct slice *s, struct err *err)
{
    return types_text(v, call->ctx->arena, s, err);
}
static inline quartet_status func_arg2(const struct func_call *call, const struct value *args, struct slice *first, struct slice *second, struct err *err)
{
    quartet_status rc = func_arg(call, &args[0], first, err);
    return rc == QUARTET_OK ? func_arg(call, &args[1], second, err) : rc;
}
int64_t func_arg_int(const struct value *v); /* 0 for NULL */
double func_arg_real(const struct value *v);
/* Room for a result of n bytes; QUARTET_LIMIT past TYPES_VALUE_BYTES_MAX. */
quartet_status func_room(const struct func_call *call, uint64_t n, uint8_t **out, struct err *err);
/* What a buf holds becomes a text in the arena; the buf is released in any case. */
quartet_status func_take(const struct func_call *call, struct buf *b, struct value *out, struct err *err);
bool func_word(struct slice s, const char *word); /* equal, ASCII case aside */
quartet_status func_now(const struct func_call *call, int64_t *us, struct err *err);
struct tz;
/* A time zone; the session's where the name is empty or 'local'. */
quartet_status func_zone(const struct func_call *call, struct slice name, const struct tz **out, struct err *err);
quartet_status func_random_bytes(const struct func_call *call, void *p, size_t n, struct err *err);
int64_t func_char_count(struct slice s);
size_t func_char_offset(struct slice s, uint64_t chars); /* byte offset of a character, at most s.n */

#endif

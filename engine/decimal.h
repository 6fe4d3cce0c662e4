/* decimal.h - exact decimal arithmetic on 128 bits: v / 10^scale, at most 38 digits. The rules of scales are at the top of decimal.c. */
#ifndef ENGINE_DECIMAL_H
#define ENGINE_DECIMAL_H

#include "types.h"

struct decimal {
    __int128 v;
    uint8_t scale; /* 0 to 38 */
};

__int128 decimal_pow10(uint32_t n); /* n at most 38 */
bool decimal_fits(__int128 v);      /* at most 38 digits */
/* All but the comparisons return false where the result does not fit 38 digits; *out is then untouched. */
bool decimal_add(struct decimal a, struct decimal b, struct decimal *out);
bool decimal_sub(struct decimal a, struct decimal b, struct decimal *out);
bool decimal_mul(struct decimal a, struct decimal b, struct decimal *out);
bool decimal_div(struct decimal a, struct decimal b, struct decimal *out); /* b is not 0 */
bool decimal_mod(struct decimal a, struct decimal b, struct decimal *out); /* b is not 0; the sign of a */
/* To another scale; rounds half away from zero. *exact (may be NULL) tells whether nothing was lost. */
bool decimal_rescale(struct decimal a, uint8_t scale, struct decimal *out, bool *exact);
struct decimal decimal_trim(struct decimal a); /* without trailing zeros after the point */
double decimal_to_double(struct decimal a);    /* the nearest */
bool decimal_from_double(double r, struct decimal *out); /* the shortest decimal that reads back as r */
int64_t decimal_to_int64(struct decimal a);    /* towards zero, clamped */
/* The whole of a text: [sign] digits [. digits] [e [sign] digits]. False: no number, or more than 38 digits. */
bool decimal_parse(const char *p, size_t n, struct decimal *out);
size_t decimal_format(struct decimal a, char out[TYPES_NUMBER_TEXT_BYTES]);

static inline struct decimal decimal_of(const struct value *v) /* INTEGER or DECIMAL */
{
    return v->type == VALUE_DECIMAL ? (struct decimal){dec_get(v->dec), v->scale} : (struct decimal){v->i, 0};
}
static inline struct value decimal_value(struct decimal d)
{
    return (struct value){.type = VALUE_DECIMAL, .scale = d.scale, .dec = dec_make(d.v)};
}

#endif

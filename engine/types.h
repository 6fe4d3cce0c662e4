/* types.h - declared types: their names in every dialect, and how a value becomes one of theirs.
 *
 * Two ways lead from a value to a type. types_convert is for storing: without loss or QUARTET_MISMATCH. types_cast is for CAST: lenient, as in
 * SQLite. A third, types_affinity, is for comparing: it converts what looks like the other side's type and leaves the rest alone.
 * All of them are in docs/SQL.md, "Types" and "Conversions". */
#ifndef ENGINE_TYPES_H
#define ENGINE_TYPES_H

#include "crdt/value.h"

#define TYPES_DECIMAL_DIGITS_MAX 38u
#define TYPES_VALUE_BYTES_MAX (8u << 20) /* of one TEXT, BLOB or JSON value: quartet.h's QUARTET_VALUE_BYTES_MAX */
#define TYPES_NUMBER_TEXT_BYTES 64u      /* room for every number, date, time and UUID as text */

struct type_decl {
    uint8_t type;      /* enum value_type; VALUE_NULL: takes anything */
    uint8_t precision; /* DECIMAL(p, s); 0: any digits and any scale, kept as written */
    uint8_t scale;
    bool is_boolean;   /* an INTEGER that is 0 or 1 */
    uint32_t length;   /* VARCHAR(n): told, never cut; 0: none */
};

/* From a declared name, as ast_type has it ("DOUBLE PRECISION", args 10 and 2). `name` NULL: no type. Case does not matter. Unknown names follow
 * SQLite's rules (..INT.. is INTEGER, ..CHAR.., ..CLOB.., ..TEXT.. TEXT, ..BLOB.. BLOB, ..REAL.., ..FLOA.., ..DOUB.. REAL), what is left takes
 * anything. QUARTET_ERROR: DECIMAL with a precision or scale out of range. */
quartet_status types_from_name(const char *name, uint8_t arg_count, const int32_t *args, struct type_decl *out, struct err *err);
const char *types_name(uint8_t value_type); /* "INTEGER", "NULL"; never NULL */

/* Convert *v for storing in a column. Texts must be valid UTF-8. New bytes go to the arena. QUARTET_MISMATCH names column (NULL: not named), value and
 * type; *v is then unchanged. NULL stays NULL. */
quartet_status types_convert(const struct type_decl *to, const char *column, struct value *v, struct arena *a, struct err *err);
/* CAST(v AS to), lenient: 'abc' is 0 as INTEGER. QUARTET_MISMATCH only where nothing sensible exists ('abc' AS DATE, UUID, JSON; DECIMAL out of
 * range; invalid UTF-8 AS TEXT). */
quartet_status types_cast(const struct type_decl *to, struct value *v, struct arena *a, struct err *err);

/* TRY_CAST(v AS to): NULL where CAST fails, and where it would guess: of a text that is not as a whole a number, of a number that an INTEGER cannot hold, of a BOOLEAN
 * that is neither 0 nor 1. QUARTET_NOMEM, QUARTET_LIMIT. */
quartet_status types_try_cast(const struct type_decl *to, struct value *v, struct arena *a, struct err *err);

/* "cannot make DATE of the TEXT 'abc'": QUARTET_MISMATCH. */
quartet_status types_mismatch(const struct type_decl *to, const struct value *v, struct err *err);

/* What comparing `left <op> right` does to each side before: the value type that the side is converted to by types_affinity (0: nothing). The inputs are
 * the sides' affinities: the type of the column or CAST (VALUE_BLOB for a column without a type), 0 for any other expression. */
void types_compare_affinity(uint8_t left, uint8_t right, uint8_t *left_to, uint8_t *right_to);
/* Convert *v to `type` if that loses nothing, as '12' to 12 for INTEGER; otherwise leave it. QUARTET_NOMEM or QUARTET_LIMIT only. */
quartet_status types_affinity(uint8_t type, struct value *v, struct arena *a, struct err *err);
/* Compare as SQL's operators do: like value_cmp, but a TEXT beside a DATE, TIME, TIMESTAMP or UUID is read as one if it can be, and `nocase` folds case.
 * Neither is NULL. */
int types_compare(const struct value *a, const struct value *b, bool nocase);

/* Make *v a value of this type that is equal to it, as types_compare says. NEVER: there is none; for INTEGER *v is then the floor of a REAL. INEXACT: there may be
 * one, or several; *v stays as it is. */
enum types_fit { TYPES_FIT_EXACT, TYPES_FIT_NEVER, TYPES_FIT_INEXACT };
enum types_fit types_fit(const struct type_decl *to, struct value *v, struct arena *a);

/* Append the text of any value but NULL, as column_text and CAST AS TEXT give it: REAL shortest that reads back the same, always with point or
 * exponent; TIMESTAMP 'YYYY-MM-DD HH:MM:SS[.ffffff]'; UUID in lower case; BLOB as its bytes. NULL appends nothing. Failure is sticky in out. */
void value_to_text(const struct value *v, struct buf *out);
/* The same as a slice: of the value itself where it is text already, else of new bytes in the arena. */
quartet_status types_text(const struct value *v, struct arena *a, struct slice *out, struct err *err);
/* A value as an SQL literal, as quote() gives it. */
void value_to_literal(const struct value *v, struct buf *out);

/* A number from the whole of a text, or from its beginning (`whole` false; no digits at all give INTEGER 0): INTEGER where it is one and fits, else REAL.
 * Blanks around are allowed. False: `whole`, and it is no number. */
bool types_number_from_text(struct slice s, bool whole, struct value *out);
/* Numeric value of anything for arithmetic: INTEGER, REAL, DECIMAL stay; text by its leading number; NULL stays; dates as their text would. */
void types_to_number(const struct value *v, struct value *out);
bool types_to_int64(const struct value *v, int64_t *out);   /* CAST AS INTEGER, clamped; false: NULL */
bool types_to_double(const struct value *v, double *out);   /* false: NULL */
/* Is it true? 1, 0, or -1 for NULL. */
int types_truth(const struct value *v);

/* Independent of locale: the shortest text that reads back as r; the nearest double. */
size_t types_format_real(double r, char out[TYPES_NUMBER_TEXT_BYTES]);
size_t types_format_int(int64_t i, char out[TYPES_NUMBER_TEXT_BYTES]);
/* What follows the e of a number: [sign] digits, the whole text; added to *exponent. Digits past the one that reaches max count as none: no more of it matters. */
bool types_parse_exponent(const char *p, size_t n, int64_t max, int64_t *exponent);
bool types_parse_real(const char *p, size_t n, double *out); /* the whole text: [sign] digits [. digits] [e [sign] digits] */

#endif

/* lex.h - SQL text to tokens, one at a time, without copying. Token codes are Lemon's (sql.h):
 * TK_... */
#ifndef PARSER_LEX_H
#define PARSER_LEX_H

#include "base/status.h"

struct token {
    const char *p; /* its text in the SQL, quotes included */
    uint32_t n;
    uint32_t offset;
};

struct lexer {
    const char *sql;
    uint32_t n;
    uint32_t at;
    uint32_t error_at;       /* where the byte is that `error` speaks of */
    const char *error;       /* why the last token is TK_ILLEGAL */
    bool open;               /* the text ended inside a block comment, a string or a quoted name */
    bool values_is_function; /* in ON DUPLICATE KEY UPDATE, VALUES(col) is the value that was to be
                                inserted */
};

/* Skips a byte order mark. `n` must be at most PARSE_SQL_BYTES_MAX. */
void lex_init(struct lexer *lx, const char *sql, size_t n);

/* The next token's code, 0 at the end, or TK_ILLEGAL with lx->error set. Blanks and comments are
 * skipped. Words whose meaning hangs on their neighbours (DATE '...', FETCH FIRST, ON CONFLICT) are
 * told apart here by looking ahead. */
int lex_next(struct lexer *lx, struct token *out);

/* Finds a statement's end: feed it every token; true for the ';' that ends it. Inside CREATE
 * TRIGGER ... END, ';' does not. */
struct lex_split {
    uint8_t phase;
};
bool lex_split_feed(struct lex_split *s, int code);

/* keyword.c: the code of a word, or TK_ID. Letters of any case. */
int keyword_find(const char *p, size_t n);
/* Must a name so spelt be quoted? True for words that do not stand for a name everywhere. */
bool keyword_is_known(const char *p, size_t n);
/* The keyword of a token code ("FROM"), or NULL where it is none. */
const char *keyword_text(int code);

#endif

/* log.c - one log line: formatted, made harmless, cut, and given to the environment's sink.
 * Why: names and messages of peers and users end up in log lines. A newline in one would forge a line, an escape sequence
 *   would drive the reader's terminal, a stray byte would break the JSON form; so none passes. */
#include "base/log.h"

#include "base/bytes.h"

#include <stdio.h>
#include <string.h>

#define LOG_TEXT_BYTES_MAX 1000u

/* Length of what at p may be shown as it is; 0 where the byte must be escaped. */
static size_t shown_length(const uint8_t *p, size_t left)
{
    if (p[0] < 0x80u)
        return p[0] >= 0x20u && p[0] != 0x7Fu ? 1u : 0;
    size_t length = p[0] >= 0xF0u ? 4u : p[0] >= 0xE0u ? 3u : 2u;
    if (length > left || !utf8_valid(p, length))
        return 0;
    if (p[0] == 0xC2u && p[1] < 0xA0u)
        return 0; /* U+0080 to U+009F: control characters in two bytes */
    return length;
}

static void escape_into(char out[LOG_TEXT_BYTES_MAX + 1u], const char *text, size_t n)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t len = 0;
    for (size_t i = 0; i < n;) {
        char hex[5];
        const void *from = p + i;
        size_t shown = shown_length(p + i, n - i);
        size_t size = shown;
        if (shown == 0) {
            (void)snprintf(hex, sizeof hex, "\\x%02X", p[i]); /* always four characters */
            from = hex;
            size = 4u;
        }
        if (size > LOG_TEXT_BYTES_MAX - len)
            break;
        memcpy(out + len, from, size);
        len += size;
        i += shown != 0 ? shown : 1u;
    }
    out[len] = '\0';
}

void log_line(struct env *env, enum log_level level, const char *component, const char *format, ...)
{
    char text[LOG_TEXT_BYTES_MAX + 4u]; /* room to see that a sequence at the cut was whole */
    char line[LOG_TEXT_BYTES_MAX + 1u];
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (wanted < 0)
        return; /* the arguments cannot be printed in this locale; a log line is not worth an error path */
    size_t n = (size_t)wanted < sizeof text ? (size_t)wanted : sizeof text - 1u;
    escape_into(line, text, n);
    env->ops->log(env, (int)level, component, line);
}

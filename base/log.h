/* log.h - leveled log lines through the environment's sink. Never put a secret in one. Text from outside is escaped. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "env.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* One line: "component: text"; control characters and bytes outside UTF-8 are written as \xNN, cut at 1,000 bytes. */
void log_line(struct env *env, enum log_level level, const char *component, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif

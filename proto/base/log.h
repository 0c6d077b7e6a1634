/* log.h: one line to standard error for what an operator should read; never per packet, never a secret.
 *
 * Any thread. Text from outside is escaped by the caller with log_text(). The level is process-wide and set once at
 * start by the mains.
 */
#ifndef FARLAN_PROTO_BASE_LOG_H
#define FARLAN_PROTO_BASE_LOG_H

#include <stddef.h>

enum log_level { LOG_ERROR = 3, LOG_WARNING = 4, LOG_NOTICE = 5, LOG_INFO = 6, LOG_DEBUG = 7 };

void log_level_set(enum log_level);
__attribute__((format(printf, 2, 3))) void log_line(enum log_level, const char *format, ...);

/* Copies hostile text with control characters, bidi controls and invalid UTF-8 escaped as \xNN; always terminated,
 * cut at room - 1. Returns buf. */
const char *log_text(char *buf, size_t room, const void *text, size_t len);

#define log_error(...)   log_line(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_DEBUG, __VA_ARGS__)

#endif

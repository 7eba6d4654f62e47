/* Structured log lines on stderr: `time=… level=… process=… event=… key=value …` (logfmt). Any thread.
 *
 * Rate-limited to 100 lines a second per process; what is left out is counted and said. A write that would
 * block is dropped and counted: a stuck pipe never stops the program. Control bytes become spaces, so that
 * hostile text stays on its line. Library folders do not log; their owner logs the error once. */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdint.h>

#include "common/error.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_LEVEL_COUNT };

/* Names this process in every line ("agent", "link", "core", …); the text must outlive the process. */
void log_init(const char *process, enum log_level least);

/* event: a word for machines; format: `key=value` pairs, quotes written by the caller where a value may hold
 * spaces: log_line(LOG_WARN, "probe_failed", "target=%s error=\"%s\"", …). */
void log_line(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* `error="text"` with kind, after the words of `format`. */
void log_error(const char *event, const struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Lines dropped so far (limit or blocked write). */
uint64_t log_dropped(void);

#endif

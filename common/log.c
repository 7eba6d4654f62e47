#include "common/log.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/timetext.h"

#define LINES_PER_SECOND_MAX 100

static const char *process_name = "faultline";
static enum log_level least_level = LOG_INFO;
static _Atomic uint64_t dropped_total;
static _Atomic int64_t window_s;
static _Atomic unsigned window_lines;

static const char *const level_names[LOG_LEVEL_COUNT] = {"debug", "info", "warn", "error"};

void log_init(const char *process, enum log_level least)
{
    process_name = process;
    least_level = least;
}

uint64_t log_dropped(void)
{
    return atomic_load(&dropped_total);
}

/* Whether this line still fits into the present second. */
static int admitted(int64_t now_ms)
{
    int64_t second = now_ms / 1000;
    int64_t seen = atomic_load(&window_s);
    if (seen != second && atomic_compare_exchange_strong(&window_s, &seen, second))
        atomic_store(&window_lines, 0);
    return atomic_fetch_add(&window_lines, 1) < LINES_PER_SECOND_MAX;
}

/* Control bytes would break the line or the terminal that shows it. */
static void flatten(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) *text = ' ';
}

static void emit(enum log_level level, const char *event, const char *body, const char *tail)
{
    int64_t now_ms = clock_wall_ms();
    if (!admitted(now_ms)) {
        atomic_fetch_add(&dropped_total, 1);
        return;
    }
    char stamp[TIMETEXT_RFC3339_SIZE];
    char line[2048];
    int n = snprintf(line, sizeof line - 1, "time=%s level=%s process=%s event=%s%s%s%s%s",
        timetext_rfc3339(now_ms, stamp), level_names[level], process_name, event, body[0] != '\0' ? " " : "",
        body, tail[0] != '\0' ? " " : "", tail);
    if (n < 0) return;
    size_t size = (size_t)n < sizeof line - 1 ? (size_t)n : sizeof line - 2;
    line[size] = '\0';
    flatten(line);
    line[size++] = '\n';
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0 || write(STDERR_FILENO, line, size) < 0)
        atomic_fetch_add(&dropped_total, 1);
}

void log_line(enum log_level level, const char *event, const char *format, ...)
{
    if (level < least_level) return;
    char body[1400];
    va_list args;
    va_start(args, format);
    vsnprintf(body, sizeof body, format, args);
    va_end(args);
    emit(level, event, body, "");
}

void log_error(const char *event, const struct error *err, const char *format, ...)
{
    char body[900];
    va_list args;
    va_start(args, format);
    vsnprintf(body, sizeof body, format, args);
    va_end(args);
    char text[sizeof err->text];
    snprintf(text, sizeof text, "%s", err->text);
    for (char *c = text; *c != '\0'; c++)
        if (*c == '"') *c = '\'';
    char tail[sizeof text + 40];
    snprintf(tail, sizeof tail, "kind=%s error=\"%s\"", error_kind_name(err->kind), text);
    emit(LOG_ERROR, event, body, tail);
}

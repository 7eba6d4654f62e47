#include "common/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[] = {
    [ERROR_NONE] = "none",
    [ERROR_INPUT] = "input",
    [ERROR_IO] = "io",
    [ERROR_LIMIT] = "limit",
    [ERROR_AGAIN] = "again",
    [ERROR_CORRUPT] = "corrupt",
    [ERROR_DENIED] = "denied",
    [ERROR_UNSUPPORTED] = "unsupported",
};
static_assert(sizeof kind_names / sizeof kind_names[0] == ERROR_KIND_COUNT, "a name per kind");

const char *error_kind_name(enum error_kind kind)
{
    return (unsigned)kind < ERROR_KIND_COUNT ? kind_names[kind] : "unknown";
}

int fail(struct error *err, enum error_kind kind, const char *format, ...)
{
    if (err == NULL) return -1;
    va_list args;
    va_start(args, format);
    err->kind = kind;
    err->os_errno = 0;
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return -1;
}

int fail_errno(struct error *err, const char *format, ...)
{
    int saved = errno;
    if (err == NULL) return -1;
    va_list args;
    va_start(args, format);
    err->kind = ERROR_IO;
    err->os_errno = saved;
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", strerrordesc_np(saved));
    return -1;
}

int fail_context(struct error *err, const char *format, ...)
{
    if (err == NULL) return -1;
    char context[sizeof err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    char text[sizeof err->text];
    memcpy(text, err->text, sizeof text);
    snprintf(err->text, sizeof err->text, "%s: %s", context, text);
    return -1;
}

#include "common/check.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void check_failed(const char *file, int line, const char *condition)
{
    fprintf(stderr, "level=fatal event=check_failed where=%s:%d condition=\"%s\"\n", file, line, condition);
    abort();
}

static void *must(void *memory)
{
    if (memory == NULL) {
        fputs("level=fatal event=out_of_memory\n", stderr);
        abort();
    }
    return memory;
}

void *check_alloc(size_t size)
{
    return must(calloc(1, size > 0 ? size : 1));
}

void *check_alloc_array(size_t count, size_t size)
{
    return must(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *check_realloc_array(void *old, size_t count, size_t size)
{
    return must(reallocarray(old, count > 0 ? count : 1, size > 0 ? size : 1));
}

char *check_strdup(const char *text)
{
    return must(strdup(text));
}

char *check_format(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    return must(n < 0 ? NULL : text);
}

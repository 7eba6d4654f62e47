#include "common/span.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

struct span span_text(const char *text)
{
    return span_of(text, strlen(text));
}

bool span_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

void buffer_fini(struct buffer *buffer)
{
    if (buffer == NULL) return;
    free(buffer->data);
    buffer->data = NULL;
    buffer->size = buffer->capacity = 0;
}

void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t size, struct error *err)
{
    size_t most = buffer->size_max > 0 ? buffer->size_max : BUFFER_SIZE_MAX;
    if (size > most || buffer->size > most - size) {
        fail(err, ERROR_LIMIT, "buffer would pass its bound of %zu bytes", most);
        return NULL;
    }
    size_t need = buffer->size + size;
    if (need > buffer->capacity || buffer->data == NULL) {
        size_t capacity = buffer->capacity > 0 ? buffer->capacity : 64;
        while (capacity < need) capacity *= 2;
        buffer->data = check_realloc_array(buffer->data, capacity, 1);
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->size;
}

int buffer_append(struct buffer *buffer, struct span bytes, struct error *err)
{
    uint8_t *room = buffer_reserve(buffer, bytes.size, err);
    if (room == NULL) return -1;
    if (bytes.size > 0) memcpy(room, bytes.data, bytes.size);
    buffer->size += bytes.size;
    return 0;
}

int buffer_format(struct buffer *buffer, struct error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) return fail(err, ERROR_INPUT, "unprintable format");
    uint8_t *room = buffer_reserve(buffer, (size_t)n + 1, err);
    if (room == NULL) return -1;
    va_start(args, format);
    vsnprintf((char *)room, (size_t)n + 1, format, args);
    va_end(args);
    buffer->size += (size_t)n;
    return 0;
}

struct span buffer_span(const struct buffer *buffer)
{
    return span_of(buffer->data, buffer->size);
}

const char *buffer_text(struct buffer *buffer)
{
    if (buffer->size == buffer->capacity || buffer->data == NULL) {
        buffer->capacity = buffer->capacity > 0 ? buffer->capacity * 2 : 64;
        buffer->data = check_realloc_array(buffer->data, buffer->capacity, 1);
    }
    buffer->data[buffer->size] = '\0';
    return (const char *)buffer->data;
}

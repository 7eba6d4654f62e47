/* Bytes: a span borrows them, a buffer owns and grows them up to a bound. Any thread; no sharing. */
#ifndef COMMON_SPAN_H
#define COMMON_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct span {
    const uint8_t *data;
    size_t size;
};

static inline struct span span_of(const void *data, size_t size)
{
    return (struct span){.data = data, .size = size};
}

struct span span_text(const char *text); /* without the NUL */
bool span_equal(struct span a, struct span b);

/* Zeroed is empty and unbounded by choice of the owner: size_max 0 means BUFFER_SIZE_MAX. */
struct buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t size_max; /* bytes */
};
#define BUFFER_SIZE_MAX ((size_t)64 << 20)

void buffer_fini(struct buffer *buffer);
void buffer_clear(struct buffer *buffer); /* keeps the memory */

/* Both fail with ERROR_LIMIT at size_max and then leave the buffer as it was. */
int buffer_append(struct buffer *buffer, struct span bytes, struct error *err);
int buffer_format(struct buffer *buffer, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Room for `size` more bytes, uninitialised; the caller writes them and adds to buffer->size. NULL at the
 * bound. */
uint8_t *buffer_reserve(struct buffer *buffer, size_t size, struct error *err);
struct span buffer_span(const struct buffer *buffer);
/* The content as a NUL-terminated string (the NUL is not counted); valid until the next call on the buffer.
 */
const char *buffer_text(struct buffer *buffer);

#endif

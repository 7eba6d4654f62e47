/* Reading and writing of small binary formats: LEB128 variable-length integers, least significant group
 * first; signed ones zigzag. A cursor that runs out of bytes turns `bad` and yields zeros, so a parser checks
 * once at its end. */
#ifndef COLLECTOR_CORE_STORE_CURSOR_H
#define COLLECTOR_CORE_STORE_CURSOR_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/span.h"

#define VARINT_BYTES_MAX  10
#define VARINT2_BYTES_MAX 19

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 unsigned_wide;

struct cursor {
    const uint8_t *at, *end;
    bool bad;
};

static inline struct cursor cursor_of(struct span bytes)
{
    /* Never NULL, so that arithmetic on an empty cursor is defined. */
    static const uint8_t nothing[1];
    const uint8_t *at = bytes.data != NULL ? bytes.data : nothing;
    return (struct cursor){.at = at, .end = at + bytes.size};
}

static inline size_t cursor_left(const struct cursor *in)
{
    return (size_t)(in->end - in->at);
}

static inline const uint8_t *cursor_bytes(struct cursor *in, size_t size)
{
    if (in->bad || cursor_left(in) < size) {
        in->bad = true;
        return NULL;
    }
    const uint8_t *bytes = in->at;
    in->at += size;
    return bytes;
}

static inline uint8_t cursor_byte(struct cursor *in)
{
    const uint8_t *byte = cursor_bytes(in, 1);
    return byte != NULL ? *byte : 0;
}

static inline uint64_t cursor_u64(struct cursor *in)
{
    const uint8_t *bytes = cursor_bytes(in, 8);
    uint64_t value = 0;
    if (bytes != NULL) memcpy(&value, bytes, 8);
    return le64toh(value);
}

static inline unsigned_wide cursor_varint_wide(struct cursor *in, unsigned bits)
{
    unsigned_wide value = 0;
    for (unsigned shift = 0; shift < bits; shift += 7) {
        uint8_t byte = cursor_byte(in);
        value |= (unsigned_wide)(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
    in->bad = true;
    return 0;
}

static inline uint64_t cursor_varint(struct cursor *in)
{
    if (in->at < in->end && *in->at < 0x80) return *in->at++;
    return (uint64_t)cursor_varint_wide(in, 64);
}

static inline uint64_t zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static inline int64_t unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static inline int64_t cursor_svarint(struct cursor *in)
{
    return unzigzag(cursor_varint(in));
}

static inline uint8_t *put_varint_wide(uint8_t *out, unsigned_wide value)
{
    for (; value >= 0x80; value >>= 7) *out++ = (uint8_t)(value | 0x80);
    *out++ = (uint8_t)value;
    return out;
}

static inline uint8_t *put_varint(uint8_t *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) *out++ = (uint8_t)(value | 0x80);
    *out++ = (uint8_t)value;
    return out;
}

static inline uint8_t *put_svarint(uint8_t *out, int64_t value)
{
    return put_varint(out, zigzag(value));
}

static inline uint8_t *put_u64(uint8_t *out, uint64_t value)
{
    value = htole64(value);
    memcpy(out, &value, 8);
    return out + 8;
}

static inline size_t varint_size(uint64_t value)
{
    return value == 0 ? 1 : (size_t)(70 - __builtin_clzll(value)) / 7;
}

#endif

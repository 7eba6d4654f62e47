#include "collector/core/store/codec.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* A chunk's first byte. Append only. */
enum chunk_mode { CHUNK_REPEAT = 0, CHUNK_LINEAR = 1, CHUNK_FRAME = 2, CHUNK_DELTA = 3, CHUNK_DELTA2 = 4 };
#define CHUNK_MODE    0x07
#define CHUNK_PATCHED 0x08

struct packing {
    uint64_t base;
    unsigned width;
    size_t bytes;
};

struct chunk_context {
    uint64_t value, delta; /* of the value before the chunk */
};

static unsigned bit_width(uint64_t value)
{
    return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
}

static size_t packed_bytes(size_t count, unsigned width)
{
    return (count * width + 7) / 8;
}

/* A patch is its position and the bits above the width. */
static size_t patch_bytes(unsigned bits, unsigned width)
{
    return 1 + (bits - width + 6) / 7;
}

/* The cheapest width for values - base, given how many of them need how many bits, at most `most`. */
static struct packing packing_of(const unsigned histogram[65], unsigned most, size_t count, uint64_t base)
{
    struct packing best = {.base = base, .width = most, .bytes = packed_bytes(count, most)};
    size_t patches = histogram[most];
    for (unsigned width = most; width-- > 0 && patches * 2 < best.bytes; patches += histogram[width]) {
        size_t bytes = packed_bytes(count, width) + 1;
        for (unsigned bits = width + 1; bits <= most; bits++)
            bytes += histogram[bits] * patch_bytes(bits, width);
        if (bytes >= best.bytes) continue;
        best.bytes = bytes;
        best.width = width;
    }
    return best;
}

static struct packing packing_at(const uint64_t *values, size_t count, uint64_t base)
{
    /* Four counters for each width, so that equal neighbours do not wait for each other's increment. */
    uint8_t counters[4][72] = {{0}};
    unsigned histogram[65];
    uint64_t any = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t above = values[i] - base;
        any |= above;
        counters[i % 4][bit_width(above)]++;
    }
    unsigned most = bit_width(any);
    for (unsigned bits = 0; bits <= most; bits++)
        histogram[bits] =
            (unsigned)counters[0][bits] + counters[1][bits] + counters[2][bits] + counters[3][bits];
    return packing_of(histogram, most, count, base);
}

static void sort_lanes(int64_t *lanes, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        int64_t lane = lanes[i];
        size_t at = i;
        for (; at > 0 && lanes[at - 1] > lane; at--) lanes[at] = lanes[at - 1];
        lanes[at] = lane;
    }
}

/* Tries the minimum as base and, against low outliers such as a counter's reset, the third and sixth lowest
 * of eight interleaved minima. What lies below the base wraps round to a large value and so becomes a patch.
 */
static struct packing packing_row(const uint64_t *values, size_t count)
{
    enum { LANES = 8 };
    static const size_t candidates[] = {2, 5};
    int64_t minima[LANES];
    for (size_t lane = 0; lane < LANES; lane++) minima[lane] = (int64_t)values[lane < count ? lane : 0];
    for (size_t i = LANES; i < count; i++)
        if ((int64_t)values[i] < minima[i % LANES]) minima[i % LANES] = (int64_t)values[i];
    sort_lanes(minima, LANES);
    struct packing best = packing_at(values, count, (uint64_t)minima[0]);
    for (size_t i = 0; i < 2 && best.width > 1 && minima[candidates[i]] != minima[0]; i++) {
        struct packing other = packing_at(values, count, (uint64_t)minima[candidates[i]]);
        if (other.bytes < best.bytes) best = other;
    }
    return best;
}

static uint8_t *pack(const uint64_t *values, size_t count, uint64_t base, unsigned width, uint8_t *out)
{
    uint64_t mask = width == 64 ? UINT64_MAX : ((uint64_t)1 << width) - 1;
    uint64_t word = 0;
    unsigned filled = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t value = (values[i] - base) & mask;
        word |= value << filled;
        if (filled + width >= 64) {
            out = put_u64(out, word);
            unsigned taken = 64 - filled;
            word = taken == 64 ? 0 : value >> taken;
            filled = filled + width - 64;
        } else {
            filled += width;
        }
    }
    for (; filled > 0; filled = filled > 8 ? filled - 8 : 0, word >>= 8) *out++ = (uint8_t)word;
    return out;
}

static int unpack(struct cursor *in, size_t count, unsigned width, uint64_t *values)
{
    uint64_t words[CODEC_CHUNK + 1];
    size_t bytes = packed_bytes(count, width);
    const uint8_t *packed = cursor_bytes(in, bytes);
    if (packed == NULL) return -1;
    size_t whole = bytes / 8 + 1;
    words[whole - 1] = 0;
    memcpy(words, packed, bytes);
    words[bytes / 8 + (bytes % 8 > 0)] = 0;
    uint64_t mask = width == 64 ? UINT64_MAX : ((uint64_t)1 << width) - 1;
    size_t bit = 0;
    for (size_t i = 0; i < count; i++, bit += width) {
        size_t word = bit / 64;
        unsigned shift = bit % 64;
        uint64_t value = le64toh(words[word]) >> shift;
        if (shift + width > 64) value |= le64toh(words[word + 1]) << (64 - shift);
        values[i] = value & mask;
    }
    return 0;
}

static uint8_t *put_packed(uint8_t *out, enum chunk_mode mode, const uint64_t *values, size_t count,
    const struct packing *packing, uint64_t base_relative_to)
{
    size_t patches = 0;
    uint8_t positions[CODEC_CHUNK];
    for (size_t i = 0; i < count; i++)
        if (bit_width(values[i] - packing->base) > packing->width) positions[patches++] = (uint8_t)i;
    *out++ = (uint8_t)(mode | (patches > 0 ? CHUNK_PATCHED : 0));
    *out++ = (uint8_t)packing->width;
    if (patches > 0) *out++ = (uint8_t)patches;
    out = put_svarint(out, (int64_t)(packing->base - base_relative_to));
    out = pack(values, count, packing->base, packing->width, out);
    for (size_t i = 0; i < patches; i++) *out++ = positions[i];
    for (size_t i = 0; i < patches; i++)
        out = put_varint(out, (values[positions[i]] - packing->base) >> packing->width);
    return out;
}

static bool all_equal(const uint64_t *values, size_t count)
{
    uint64_t differ = 0;
    for (size_t i = 1; i < count; i++) differ |= values[i] ^ values[0];
    return differ == 0;
}

static uint8_t *encode_chunk(const int64_t *values, size_t count, struct chunk_context *before, uint8_t *out)
{
    uint64_t rows[3][CODEC_CHUNK]; /* frame, delta, delta of delta */
    uint64_t last = before->value, last_delta = before->delta;
    for (size_t i = 0; i < count; i++) {
        rows[0][i] = (uint64_t)values[i];
        rows[1][i] = rows[0][i] - last;
        rows[2][i] = rows[1][i] - last_delta;
        last = rows[0][i];
        last_delta = rows[1][i];
    }
    struct chunk_context context = *before;
    before->value = last;
    before->delta = last_delta;

    if (all_equal(rows[1], count)) {
        if (rows[1][0] == 0) {
            *out++ = CHUNK_REPEAT;
            return out;
        }
        *out++ = CHUNK_LINEAR;
        return put_svarint(out, (int64_t)rows[1][0]);
    }
    struct packing best = packing_row(rows[0], count);
    best.bytes += varint_size(zigzag((int64_t)(best.base - context.value)));
    size_t row = 0;
    for (size_t i = 1; i < 3; i++) {
        struct packing other = packing_row(rows[i], count);
        other.bytes += varint_size(zigzag((int64_t)other.base));
        if (other.bytes < best.bytes) {
            best = other;
            row = i;
        }
    }
    static const enum chunk_mode modes[] = {CHUNK_FRAME, CHUNK_DELTA, CHUNK_DELTA2};
    return put_packed(out, modes[row], rows[row], count, &best, row == 0 ? context.value : 0);
}

size_t codec_ints_bound(size_t count)
{
    /* No width costs more than 64 bits a value without patches, and the cheapest is taken. */
    return (count / CODEC_CHUNK + 1) * (3 + VARINT_BYTES_MAX) + count * 8 + 16;
}

uint8_t *codec_ints_encode(const int64_t *values, size_t count, int64_t before, uint8_t *out)
{
    struct chunk_context context = {.value = (uint64_t)before};
    for (size_t done = 0; done < count;) {
        size_t chunk = count - done < CODEC_CHUNK ? count - done : CODEC_CHUNK;
        out = encode_chunk(values + done, chunk, &context, out);
        done += chunk;
    }
    return out;
}

static int decode_packed(
    struct cursor *in, uint8_t head, size_t count, uint64_t base_relative_to, uint64_t *values)
{
    unsigned width = cursor_byte(in);
    size_t patches = head & CHUNK_PATCHED ? cursor_byte(in) : 0;
    uint64_t base = base_relative_to + (uint64_t)cursor_svarint(in);
    if (in->bad || width > 64 || patches > count || unpack(in, count, width, values) != 0) return -1;
    const uint8_t *positions = cursor_bytes(in, patches);
    for (size_t i = 0; i < patches; i++) {
        uint64_t high = cursor_varint(in);
        if (in->bad || positions[i] >= count || width == 64) return -1;
        values[positions[i]] |= high << width;
    }
    if (in->bad) return -1;
    for (size_t i = 0; i < count; i++) values[i] += base;
    return 0;
}

static int decode_chunk(struct cursor *in, size_t count, struct chunk_context *before, int64_t *values)
{
    uint64_t row[CODEC_CHUNK];
    uint8_t head = cursor_byte(in);
    enum chunk_mode mode = head & CHUNK_MODE;
    if ((head & ~(CHUNK_MODE | CHUNK_PATCHED)) != 0) return -1;
    if (mode == CHUNK_REPEAT || mode == CHUNK_LINEAR) {
        uint64_t delta = mode == CHUNK_LINEAR ? (uint64_t)cursor_svarint(in) : 0;
        for (size_t i = 0; i < count; i++) row[i] = delta;
    } else if (mode > CHUNK_DELTA2 ||
               decode_packed(in, head, count, mode == CHUNK_FRAME ? before->value : 0, row) != 0) {
        return -1;
    }
    if (in->bad) return -1;
    uint64_t value = before->value, delta = before->delta;
    for (size_t i = 0; i < count; i++) {
        uint64_t next = mode == CHUNK_FRAME    ? row[i]
                        : mode == CHUNK_DELTA2 ? value + delta + row[i]
                                               : value + row[i];
        delta = next - value;
        value = next;
        values[i] = (int64_t)next;
    }
    before->value = value;
    before->delta = delta;
    return 0;
}

int codec_ints_decode(struct cursor *in, size_t count, int64_t before, int64_t *values, struct error *err)
{
    struct chunk_context context = {.value = (uint64_t)before};
    for (size_t done = 0; done < count;) {
        size_t chunk = count - done < CODEC_CHUNK ? count - done : CODEC_CHUNK;
        if (decode_chunk(in, chunk, &context, values + done) != 0)
            return fail(err, ERROR_CORRUPT, "not a chunk of integers at value %zu", done);
        done += chunk;
    }
    return 0;
}

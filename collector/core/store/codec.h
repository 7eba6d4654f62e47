/* Columns of 64-bit values to bytes and back, lossless to the bit. Pure, any thread. Formats: README.md.
 *
 * Integers go in chunks of 128, each in the cheapest of: repeat (all equal to the value before), linear (a
 * constant difference), frame of reference, delta, delta of delta; the last three bit-packed at a width that
 * covers most, with the rest patched (PFOR: Zukowski et al., "Super-Scalar RAM-CPU Cache Compression", ICDE
 * 2006). All arithmetic is modulo 2^64, so no difference overflows. */
#ifndef COLLECTOR_CORE_STORE_CODEC_H
#define COLLECTOR_CORE_STORE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "collector/core/store/cursor.h"
#include "common/error.h"

#define CODEC_CHUNK 128

/* Bytes that encoding `count` values can take at most. */
size_t codec_ints_bound(size_t count);

/* Writes `count` values; `before` is the value that stands before them and must be known to the decoder.
 * Returns the end of what was written. */
uint8_t *codec_ints_encode(const int64_t *values, size_t count, int64_t before, uint8_t *out);

/* Reads exactly `count` values; ERROR_CORRUPT where the bytes are not an encoding. */
int codec_ints_decode(struct cursor *in, size_t count, int64_t before, int64_t *values, struct error *err);

/* How a column's values became integers. A byte of the format: append only. CODEC_DIVIDED is a flag beside
 * it: the integers are first + divisor * k, and k is what is stored. */
enum codec_kind {
    CODEC_INT = 0,        /* int64 as they are */
    CODEC_DECIMAL = 1,    /* doubles that are exactly k / 10^e */
    CODEC_DOUBLE = 2,     /* doubles by their bits, mapped so that integer order is numeric order */
    CODEC_DICTIONARY = 3, /* doubles with few distinct bit patterns: their table and indexes into it */
    CODEC_KIND_COUNT
};
#define CODEC_DIVIDED      0x80
#define CODEC_EXPONENT_MAX 9

/* What stands in front of a column's integers. */
struct codec_form {
    enum codec_kind kind;
    unsigned exponent; /* of ten; CODEC_DECIMAL */
    uint64_t divisor;  /* 0 or 1: not divided */
};

/* The integers of `count` doubles (as bits) in the best form: writes them to `ints` and returns the form,
 * which is never CODEC_DICTIONARY: codec_column_encode decides on that. */
struct codec_form codec_form_doubles(const uint64_t *bits, size_t count, int64_t *ints);
/* The largest divisor of all differences; 1 where there is none or an overflow stands against it. */
uint64_t codec_divisor(const int64_t *ints, size_t count);

/* The double (as bits) that an integer of this form stands for; for CODEC_INT the integer's bits. */
uint64_t codec_bits(const struct codec_form *form, int64_t value);

int64_t codec_order_bits(uint64_t double_bits);
uint64_t codec_unorder_bits(int64_t ordered);

/* The values behind the first, count - 1 of them, in the given form. `ints` are values of the form. scratch:
 * `count` values. */
size_t codec_column_bound(size_t count);
uint8_t *codec_column_encode(
    struct codec_form *form, const int64_t *ints, size_t count, int64_t *scratch, uint8_t *out);
/* Reads form and values; `first` is known from the summary. ints: `count` values, the first included. */
int codec_column_decode(struct cursor *in, size_t count, int64_t first, int64_t *ints,
    struct codec_form *form, struct error *err);

#endif

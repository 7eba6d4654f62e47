/* A block: the values of many series of one host in one window, as bytes (README.md has the format). Columns
 * point to shared time axes; beside each stand count, first, last, min, max, sum and resets, so that
 * aggregates over a whole column need not decode it. A checksum covers all of it. Pure, any thread. */
#ifndef COLLECTOR_CORE_STORE_BLOCK_H
#define COLLECTOR_CORE_STORE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/core/store/codec.h"
#include "common/arena.h"
#include "common/error.h"
#include "common/span.h"

#define BLOCK_VERSION     1
#define BLOCK_VALUES_MAX  65536 /* in a column */
#define BLOCK_COLUMNS_MAX 65536
#define BLOCK_BYTES_MAX   ((size_t)32 << 20)

/* One series on its way in. Times ascend strictly. The same series may come twice, once with integers and
 * once with doubles; where both have a time, the later column is right. */
struct block_column {
    uint32_t series; /* what this number means is the container's business */
    bool is_double;
    const int64_t *times_ms;
    const uint64_t *bits; /* int64 or double, by their bits */
    size_t count;         /* 1..BLOCK_VALUES_MAX */
};

/* Appends one block. ERROR_LIMIT beyond the bounds; out is then unchanged. Columns come in any order and keep
 * it. */
int block_encode(const struct block_column *columns, size_t count, struct buffer *out, struct error *err);

/* Values by the column's form: codec_bits() turns them into what people stored. */
struct block_summary {
    int64_t first, last, min, max;
    wide sum;        /* of integers (CODEC_INT, CODEC_DECIMAL); exact */
    uint64_t resets; /* values lower than the one before */
};

struct block_entry {
    uint32_t series;
    bool is_double;
    struct codec_form form; /* exponent and kind; the divisor is the column's own business */
    uint32_t axis;
    size_t count;
    struct block_summary summary;
    struct span data;
};

struct block_axis {
    int64_t first_ms, last_ms;
    size_t count;
    struct span data;
};

struct block {
    const struct block_axis *axes;
    size_t axis_count;
    const struct block_entry *entries;
    size_t entry_count;
};

/* Checks the checksum and reads the directory; entries live in the arena and point into bytes. ERROR_CORRUPT
 * for anything that block_encode did not write; ERROR_UNSUPPORTED for a later version; ERROR_LIMIT if the
 * arena is full. */
int block_open(struct span bytes, struct arena *arena, struct block *block, struct error *err);

/* Decode into the caller's storage, of the axis' or entry's count. */
int block_times(const struct block *block, uint32_t axis, int64_t *times_ms, struct error *err);
int block_values(const struct block_entry *entry, uint64_t *bits, struct error *err);

#endif

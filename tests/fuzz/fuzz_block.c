/* Block decoding. The first byte decides: even, the rest is a block as it is; odd, its checksum is made
 * right, so that the fuzzer gets behind it. What opens must decode or fail, within its bounds. */
#include <stdint.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "collector/core/store/block.h"
#include "common/check.h"
#include "common/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(struct span bytes)
{
    static int64_t times[BLOCK_VALUES_MAX];
    static uint64_t bits[BLOCK_VALUES_MAX];
    AUTO(arena_fini) struct arena arena = {.bytes_max = (size_t)16 << 20};
    struct block block;
    struct error err;
    if (block_open(bytes, &arena, &block, &err) != 0) return;
    for (uint32_t i = 0; i < block.axis_count; i++) {
        CHECK(block.axes[i].count <= BLOCK_VALUES_MAX);
        block_times(&block, i, times, &err);
    }
    for (size_t i = 0; i < block.entry_count; i++) {
        CHECK(block.entries[i].count <= BLOCK_VALUES_MAX);
        block_values(&block.entries[i], bits, &err);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    struct span bytes = span_of(data + 1, size - 1);
    if (data[0] % 2 == 0) {
        decode(bytes);
        return 0;
    }
    AUTO_FREE uint8_t *copy = check_alloc(bytes.size + 8);
    if (bytes.size > 0) memcpy(copy, bytes.data, bytes.size);
    put_u64(copy + bytes.size, XXH3_64bits(copy, bytes.size));
    decode(span_of(copy, bytes.size + 8));
    return 0;
}

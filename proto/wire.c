#include "proto/wire.h"

#include <assert.h>

#include "common/check.h"

static const char *const gap_reason_names[] = {
    [0] = "unknown",
    [WIRE_GAP_SPOOL_FULL] = "spool_full",
    [WIRE_GAP_CORRUPT] = "corrupt",
    [WIRE_GAP_SPOOL_FAILED] = "spool_failed",
    [WIRE_GAP_REFUSED] = "refused",
};
static_assert(ARRAY_COUNT(gap_reason_names) == WIRE_GAP_REASON_COUNT, "a name per reason");

const char *wire_gap_reason_name(enum wire_gap_reason reason)
{
    return (unsigned)reason < WIRE_GAP_REASON_COUNT ? gap_reason_names[reason] : gap_reason_names[0];
}

uint64_t wire_batch_samples(const struct wire_batch *batch)
{
    uint64_t count = batch->probe_count;
    for (size_t i = 0; i < batch->rows_count; i++)
        count += (uint64_t)batch->rows[i].series_count * batch->rows[i].time_count;
    return count;
}

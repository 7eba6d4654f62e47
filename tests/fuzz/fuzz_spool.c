/* Any bytes as a segment of the spool: records lie within it, in order, and the scan ends. */
#include <stdint.h>

#include "agent/spool/segment.h"
#include "common/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct segment_scan scan;
    struct segment_record record;
    size_t end = 0;
    for (segment_scan_begin(&scan, span_of(data, size)); segment_scan_next(&scan, &record);) {
        CHECK(record.offset >= end && record.frame.data >= data && record.frame.size <= size);
        CHECK(record.frame.data + record.frame.size <= data + size);
        end = record.offset + RECORD_HEAD_BYTES + record.frame.size;
    }
    CHECK(scan.torn_bytes <= size);
    return 0;
}

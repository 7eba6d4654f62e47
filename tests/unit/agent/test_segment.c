#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/spool/crc32c.h"
#include "agent/spool/segment.h"
#include "common/check.h"
#include "tests/support/unit.h"

#define SEGMENT_BYTES (64 * 1024)

static uint64_t random_state = 42;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Records of 1..800 bytes up to 64 KiB; ends[i] is where record i ends. */
static size_t make_segment(struct buffer *out, size_t *ends, size_t ends_max)
{
    segment_write_head(out);
    size_t count = 0;
    while (out->size < SEGMENT_BYTES && count < ends_max) {
        uint8_t frame[800];
        size_t size = 1 + next_random() % sizeof frame;
        for (size_t i = 0; i < size; i++) frame[i] = (uint8_t)next_random();
        segment_write_record(out, &(struct segment_record){.kind = RECORD_BATCH,
                                      .incarnation = 7,
                                      .sequence = count + 1,
                                      .samples = (uint32_t)count,
                                      .frame = span_of(frame, size)});
        ends[count++] = out->size;
    }
    return count;
}

struct found {
    size_t intact, broken;
    uint64_t damaged;
    size_t torn_bytes;
};

/* What is intact must be what was written: compared with the original by its place. */
static struct found scan_all(struct span bytes, struct span original)
{
    struct found found = {0};
    struct segment_scan scan;
    struct segment_record record;
    for (segment_scan_begin(&scan, bytes); segment_scan_next(&scan, &record);) {
        if (!record.intact) {
            found.broken++;
            continue;
        }
        found.intact++;
        size_t at = (size_t)(record.frame.data - bytes.data);
        CHECK(memcmp(record.frame.data, original.data + at, record.frame.size) == 0);
    }
    found.damaged = scan.damaged;
    found.torn_bytes = scan.torn_bytes;
    return found;
}

static void the_checksum_is_castagnolis(void)
{
    CU_ASSERT_EQUAL(crc32c(0, span_text("123456789")), 0xe3069283);
    CU_ASSERT_EQUAL(crc32c(crc32c(0, span_text("1234")), span_text("56789")), 0xe3069283);
    uint8_t zeros[32] = {0};
    CU_ASSERT_EQUAL(crc32c(0, span_of(zeros, sizeof zeros)), 0x8a9136aa);
}

static void a_tail_torn_at_any_byte_costs_its_record_only(void)
{
    struct buffer bytes = {0};
    static size_t ends[1000];
    size_t count = make_segment(&bytes, ends, ARRAY_COUNT(ends));
    size_t whole = 0, wrong = 0;
    for (size_t cut = 0; cut <= bytes.size; cut++) {
        while (whole < count && ends[whole] <= cut) whole++;
        struct found found = scan_all(span_of(bytes.data, cut), buffer_span(&bytes));
        size_t good_end = whole > 0 ? ends[whole - 1] : cut < SEGMENT_HEAD_BYTES ? cut : SEGMENT_HEAD_BYTES;
        if (found.intact != whole || found.broken != 0 || found.damaged != 0 ||
            found.torn_bytes != cut - good_end)
            wrong++;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(whole, count);
    buffer_fini(&bytes);
}

static void a_flipped_bit_anywhere_is_detected_and_costs_one_record(void)
{
    struct buffer bytes = {0};
    static size_t ends[1000];
    size_t count = make_segment(&bytes, ends, ARRAY_COUNT(ends));
    struct buffer copy = {0};
    CHECK(buffer_append(&copy, buffer_span(&bytes), NULL) == 0);
    size_t wrong = 0;
    for (int i = 0; i < 10000; i++) {
        size_t bit = next_random() % (bytes.size * 8);
        copy.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct found found = scan_all(buffer_span(&copy), buffer_span(&bytes));
        bool in_head = bit / 8 < SEGMENT_HEAD_BYTES;
        /* In the last record it looks like a torn tail. */
        bool told = found.damaged == 1 || found.torn_bytes > 0;
        if (found.intact != count - !in_head || (!in_head && !told)) wrong++;
        copy.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    buffer_fini(&copy);
    buffer_fini(&bytes);
}

static void a_damaged_frame_still_tells_its_number_and_samples(void)
{
    struct buffer bytes = {0};
    static size_t ends[1000];
    make_segment(&bytes, ends, ARRAY_COUNT(ends));
    bytes.data[ends[4] - 1] ^= 1;
    struct segment_scan scan;
    struct segment_record record;
    segment_scan_begin(&scan, buffer_span(&bytes));
    for (int i = 0; i < 5; i++) CU_ASSERT(segment_scan_next(&scan, &record));
    CU_ASSERT(!record.intact);
    CU_ASSERT_EQUAL(record.sequence, 5);
    CU_ASSERT_EQUAL(record.samples, 4);
    buffer_fini(&bytes);
}

static void bytes_of_anything_else_hold_no_record(void)
{
    uint8_t noise[4096];
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (uint8_t)next_random();
    struct found found = scan_all(span_of(noise, sizeof noise), span_of(noise, sizeof noise));
    CU_ASSERT_EQUAL(found.intact + found.broken, 0);
    CU_ASSERT_EQUAL(found.torn_bytes, sizeof noise - SEGMENT_HEAD_BYTES);
}

UNIT_MAIN("segment", {"the checksum is Castagnoli's", the_checksum_is_castagnolis},
    {"a tail torn at any byte costs its record only", a_tail_torn_at_any_byte_costs_its_record_only},
    {"a flipped bit anywhere is detected and costs one record",
        a_flipped_bit_anywhere_is_detected_and_costs_one_record},
    {"a damaged frame still tells its number and samples",
        a_damaged_frame_still_tells_its_number_and_samples},
    {"bytes of anything else hold no record", bytes_of_anything_else_hold_no_record})

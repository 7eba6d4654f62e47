/* Frames that nobody honest sends, written byte by byte. */
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "proto/limits.h"
#include "proto/wire.h"
#include "tests/support/unit.h"
#include "tests/unit/proto/wire_random.h"

#define STACK_BYTES   (256 * 1024)
#define NESTED_LEVELS 10000

/* ── Protobuf by hand: tag = field number * 8 + wire type ── */

static void put_varint(struct buffer *out, uint64_t value)
{
    uint8_t bytes[10];
    size_t size = 0;
    do {
        bytes[size++] = (uint8_t)((value & 0x7F) | (value > 0x7F ? 0x80 : 0));
        value >>= 7;
    } while (value > 0);
    CHECK(buffer_append(out, span_of(bytes, size), NULL) == 0);
}

static void put_delimited(struct buffer *out, unsigned field, struct span content)
{
    put_varint(out, field << 3 | 2);
    put_varint(out, content.size);
    CHECK(buffer_append(out, content, NULL) == 0);
}

/* FromAgent { field: content }; the batch is field 2. */
static struct buffer wrapped(unsigned field, struct span content)
{
    struct buffer out = {0};
    put_delimited(&out, field, content);
    return out;
}

static struct buffer valid_batch_content(void)
{
    struct buffer out = {0};
    put_varint(&out, 2 << 3);
    put_varint(&out, 1); /* sequence: 1 */
    return out;
}

/* -1 and the error's kind, or 0; every byte beyond the frame is out of bounds for AddressSanitizer. */
static int decode_agent(struct span frame, struct error *err)
{
    struct arena arena = {0};
    struct wire_from_agent message;
    uint8_t *exact = malloc(frame.size > 0 ? frame.size : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
    if (frame.size > 0) memcpy(exact, frame.data, frame.size);
    int result = wire_decode_from_agent(span_of(exact, frame.size), &arena, &message, err);
    free(exact);
    arena_fini(&arena);
    return result;
}

static int decode_collector(struct span frame)
{
    struct arena arena = {0};
    struct wire_from_collector message;
    int result = wire_decode_from_collector(frame, &arena, &message, NULL);
    arena_fini(&arena);
    return result;
}

static void assert_refused(struct buffer *frame, enum error_kind kind)
{
    struct error err = {0};
    CU_ASSERT_EQUAL(decode_agent(buffer_span(frame), &err), -1);
    CU_ASSERT_EQUAL(err.kind, kind);
    if (err.kind != kind) fprintf(stderr, "%s: %s\n", error_kind_name(err.kind), err.text);
    buffer_fini(frame);
}

/* ── Nesting ── */

static void *decode_nested(void *argument)
{
    (void)argument;
    static uint8_t bytes[NESTED_LEVELS * 4];
    for (unsigned field = 1; field <= 12; field++) {
        size_t at = sizeof bytes; /* from the innermost outwards */
        for (int level = 0; level < NESTED_LEVELS; level++) {
            size_t size = sizeof bytes - at;
            bytes[--at] = size > 0x3FFF ? (uint8_t)(size >> 14) : 0;
            bytes[--at] = (uint8_t)(size >> 7 & 0x7F) | 0x80;
            bytes[--at] = (uint8_t)(size & 0x7F) | 0x80;
            bytes[--at] = (uint8_t)(field << 3 | 2);
        }
        struct span frame = span_of(bytes + at, sizeof bytes - at);
        struct buffer in_batch = wrapped(2, frame);
        decode_agent(frame, NULL);
        decode_agent(buffer_span(&in_batch), NULL);
        decode_collector(frame);
        decode_collector(buffer_span(&in_batch));
        buffer_fini(&in_batch);
    }
    return NULL;
}

static void ten_thousand_levels_fit_a_small_stack(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    CU_ASSERT_EQUAL_FATAL(pthread_attr_setstacksize(&attributes, STACK_BYTES), 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, &attributes, decode_nested, NULL), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
}

/* ── Bombs ── */

/* 256 KiB that say `tag, 0` again and again, in a batch, in its rows, in a plan. */
static void bombs_of_two_byte_elements_are_refused_before_anything_is_allocated(void)
{
    const unsigned wire_types[] = {0, 2};
    for (unsigned field = 1; field <= 15; field++)
        for (size_t w = 0; w < 2; w++) {
            struct buffer elements = {0};
            while (elements.size < LIMIT_FRAME_BYTES - 16) {
                put_varint(&elements, field << 3 | wire_types[w]);
                put_varint(&elements, 0);
            }
            struct buffer rows = wrapped(6, buffer_span(&elements));
            struct buffer frames[] = {wrapped(2, buffer_span(&elements)), wrapped(2, buffer_span(&rows)),
                wrapped(3, buffer_span(&elements))};
            for (size_t i = 0; i < 3; i++) {
                struct arena arena = {0};
                struct wire_from_agent agent;
                struct wire_from_collector collector;
                struct error err = {0};
                size_t before = mallinfo2().uordblks;
                int result = wire_decode_from_agent(buffer_span(&frames[i]), &arena, &agent, &err);
                CU_ASSERT_EQUAL(result, -1);
                wire_decode_from_collector(buffer_span(&frames[i]), &arena, &collector, NULL);
                CU_ASSERT(mallinfo2().uordblks - before < (size_t)2 << 20);
                CU_ASSERT(arena.used < (size_t)2 << 20);
                arena_fini(&arena);
                buffer_fini(&frames[i]);
            }
            buffer_fini(&rows);
            buffer_fini(&elements);
        }
}

/* As many as are let in: 4,095 of the largest message that a few bytes can make. */
static void as_many_elements_as_are_allowed_stay_within_2_mib(void)
{
    for (unsigned field = 1; field <= 9; field++) {
        struct buffer elements = {0};
        for (int i = 0; i < LIMIT_ELEMENTS - 2; i++) put_delimited(&elements, field, span_of(NULL, 0));
        struct buffer frames[] = {wrapped(2, buffer_span(&elements)), wrapped(3, buffer_span(&elements))};
        for (size_t i = 0; i < 2; i++) {
            struct arena arena = {0};
            struct wire_from_agent agent;
            struct wire_from_collector collector;
            wire_decode_from_agent(buffer_span(&frames[i]), &arena, &agent, NULL);
            size_t used = arena.used;
            wire_decode_from_collector(buffer_span(&frames[i]), &arena, &collector, NULL);
            CU_ASSERT(used < (size_t)2 << 20 && arena.used - used < (size_t)2 << 20);
            arena_fini(&arena);
            buffer_fini(&frames[i]);
        }
        buffer_fini(&elements);
    }
}

static void the_arenas_own_budget_holds_too(void)
{
    struct random random = {7};
    struct arena made = {0};
    struct wire_from_agent out = {.kind = WIRE_BATCH, .batch = some_batch(&random, &made)}, in;
    struct buffer frame = {0};
    CU_ASSERT_EQUAL_FATAL(wire_encode_from_agent(&out, &frame, NULL), 0);
    size_t needed = 0;
    for (size_t budget = 64;; budget *= 2) {
        struct arena arena = {.bytes_max = budget};
        struct error err = {0};
        int result = wire_decode_from_agent(buffer_span(&frame), &arena, &in, &err);
        CU_ASSERT_EQUAL(arena.bytes_max, budget);
        CU_ASSERT(arena.used <= budget);
        arena_fini(&arena);
        if (result == 0) break;
        CU_ASSERT_EQUAL(err.kind, ERROR_LIMIT);
        needed = budget;
    }
    CU_ASSERT(needed > 0);
    buffer_fini(&frame);
    arena_fini(&made);
}

static void sixteen_thousand_fields_pass_and_one_more_does_not(void)
{
    for (int more = 0; more <= 1; more++) {
        struct buffer content = valid_batch_content();
        for (int i = 0; i < LIMIT_FIELDS - 2 + more; i++) { /* the batch and its sequence are two */
            put_varint(&content, 100 << 3);
            put_varint(&content, 0);
        }
        struct buffer frame = wrapped(2, buffer_span(&content));
        struct error err = {0};
        CU_ASSERT_EQUAL(decode_agent(buffer_span(&frame), &err), more ? -1 : 0);
        if (more) CU_ASSERT_EQUAL(err.kind, ERROR_LIMIT);
        buffer_fini(&frame);
        buffer_fini(&content);
    }
}

static void a_frame_of_256_kib_passes_and_one_more_byte_does_not(void)
{
    for (size_t more = 0; more <= 1; more++) {
        struct buffer frame = {0};
        struct buffer content = valid_batch_content();
        put_delimited(&frame, 2, buffer_span(&content));
        size_t rest = LIMIT_FRAME_BYTES - frame.size - 5 + more; /* tag of 2 bytes, length of 3 */
        uint8_t *zeros = calloc(1, rest);
        put_delimited(&frame, 100, span_of(zeros, rest));
        CU_ASSERT_EQUAL(frame.size, LIMIT_FRAME_BYTES + more);
        struct error err = {0};
        CU_ASSERT_EQUAL(decode_agent(buffer_span(&frame), &err), more ? -1 : 0);
        free(zeros);
        buffer_fini(&frame);
        buffer_fini(&content);
    }
}

/* ── Malformed ── */

static void unknown_fields_are_ignored(void)
{
    struct buffer content = valid_batch_content();
    put_varint(&content, 77 << 3 | 1);
    CU_ASSERT_EQUAL(buffer_append(&content, span_of("12345678", 8), NULL), 0);
    put_varint(&content, 78 << 3 | 5);
    CU_ASSERT_EQUAL(buffer_append(&content, span_of("1234", 4), NULL), 0);
    put_delimited(&content, 79, span_text("\n\xFF not text, not ours"));
    struct buffer frame = wrapped(2, buffer_span(&content));
    CU_ASSERT_EQUAL(decode_agent(buffer_span(&frame), NULL), 0);
    buffer_fini(&frame);
    buffer_fini(&content);
}

static void groups_field_0_and_unknown_bodies_are_refused(void)
{
    const unsigned tags[] = {77 << 3 | 3, 77 << 3 | 4, 77 << 3 | 6, 77 << 3 | 7, 0 << 3, 0 << 3 | 2};
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        struct buffer content = valid_batch_content();
        put_varint(&content, tags[i]);
        put_varint(&content, 0);
        struct buffer frame = wrapped(2, buffer_span(&content));
        assert_refused(&frame, ERROR_INPUT);
        buffer_fini(&content);
    }
    struct buffer unknown = wrapped(9, span_of(NULL, 0)), empty = {0};
    assert_refused(&unknown, ERROR_INPUT);
    assert_refused(&empty, ERROR_INPUT);
}

static void a_message_given_twice_is_refused(void)
{
    struct buffer content = valid_batch_content();
    struct buffer twice = wrapped(2, buffer_span(&content));
    put_delimited(&twice, 2, buffer_span(&content));
    assert_refused(&twice, ERROR_INPUT);
    struct buffer both = wrapped(2, buffer_span(&content));
    put_delimited(&both, 1, span_of(NULL, 0));
    assert_refused(&both, ERROR_INPUT);
    put_delimited(&content, 7, span_of(NULL, 0));
    put_delimited(&content, 7, span_of(NULL, 0));
    struct buffer probes = wrapped(2, buffer_span(&content));
    assert_refused(&probes, ERROR_INPUT);
    buffer_fini(&content);
}

static void a_nul_in_a_text_is_refused(void)
{
    struct buffer entry = {0}, content = valid_batch_content();
    put_varint(&entry, 1 << 3);
    put_varint(&entry, 1);
    put_delimited(&entry, 2, span_of("metric\0name", 11));
    put_delimited(&content, 5, buffer_span(&entry));
    struct buffer frame = wrapped(2, buffer_span(&content));
    assert_refused(&frame, ERROR_INPUT);
    buffer_fini(&entry);
    buffer_fini(&content);
}

static void wrong_wire_types_are_refused(void)
{
    /* sequence as bytes, rows as a number, a repeated number as fixed 32 bits, a packed varint that never
     * ends. */
    const struct {
        const char *label, *bytes;
        size_t size;
    } rows[] = {
        {"sequence as bytes", "\x12\x01\x01", 3},
        {"rows as a number", "\x30\x01", 2},
        {"probes as fixed64", "\x39\1\2\3\4\5\6\7\x08", 9},
        {"series as fixed32", "\x32\x05\x0D\1\2\3\4", 7},
        {"packed varint without end", "\x32\x04\x0A\x02\xFF\xFF", 6},
        {"packed varint of 11 bytes", "\x32\x0D\x0A\x0B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 15},
        {"packed doubles of 7 bytes", "\x32\x09\x22\x07\1\2\3\4\5\6\7", 11},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer content = valid_batch_content();
        CU_ASSERT_EQUAL(buffer_append(&content, span_of(rows[i].bytes, rows[i].size), NULL), 0);
        struct buffer frame = wrapped(2, buffer_span(&content));
        assert_refused(&frame, ERROR_INPUT);
        buffer_fini(&content);
    }
}

/* ── Damage ── */

static struct buffer rich_frame(struct arena *arena)
{
    struct buffer frame = {0};
    for (uint64_t seed = 0; frame.size < 800 || frame.size > 2000; seed++) {
        struct random random = {seed};
        struct wire_from_agent message = {.kind = WIRE_BATCH, .batch = some_batch(&random, arena)};
        buffer_clear(&frame);
        CU_ASSERT_EQUAL_FATAL(wire_encode_from_agent(&message, &frame, NULL), 0);
    }
    return frame;
}

static void a_frame_cut_anywhere_is_refused(void)
{
    struct arena arena = {0};
    struct buffer frame = rich_frame(&arena);
    for (size_t size = 0; size < frame.size; size++)
        CU_ASSERT_EQUAL(decode_agent(span_of(frame.data, size), NULL), -1);
    CU_ASSERT_EQUAL(decode_agent(buffer_span(&frame), NULL), 0);
    buffer_fini(&frame);
    arena_fini(&arena);
}

/* What still decodes can be encoded again: nothing half-checked comes out of the decoder. */
static void no_flipped_bit_does_harm(void)
{
    struct arena arena = {0};
    struct buffer frame = rich_frame(&arena), again = {0};
    size_t decoded = 0;
    for (size_t bit = 0; bit < 8 * frame.size; bit++) {
        frame.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct wire_from_agent message;
        arena_reset(&arena);
        buffer_clear(&again);
        if (wire_decode_from_agent(buffer_span(&frame), &arena, &message, NULL) == 0) {
            decoded++;
            CU_ASSERT_EQUAL(wire_encode_from_agent(&message, &again, NULL), 0);
        }
        frame.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    CU_ASSERT(decoded > 0 && decoded < 8 * frame.size);
    buffer_fini(&frame);
    buffer_fini(&again);
    arena_fini(&arena);
}

static void random_bytes_do_no_harm(void)
{
    struct random random = {1};
    uint8_t bytes[200];
    for (int i = 0; i < 20000; i++) {
        size_t size = random_below(&random, sizeof bytes);
        for (size_t k = 0; k < size; k++) bytes[k] = (uint8_t)random_next(&random);
        if (size > 2) { /* often enough something that begins like a batch or a plan */
            bytes[0] = (uint8_t)((1 + random_below(&random, 6)) << 3 | 2);
            bytes[1] = (uint8_t)(size - 2);
        }
        decode_agent(span_of(bytes, size), NULL);
        decode_collector(span_of(bytes, size));
    }
}

UNIT_MAIN("wire_hostile", {"ten thousand levels fit a small stack", ten_thousand_levels_fit_a_small_stack},
    {"bombs of two-byte elements are refused before anything is allocated",
        bombs_of_two_byte_elements_are_refused_before_anything_is_allocated},
    {"as many elements as are allowed stay within 2 MiB", as_many_elements_as_are_allowed_stay_within_2_mib},
    {"the arena's own budget holds too", the_arenas_own_budget_holds_too},
    {"16,384 fields pass and one more does not", sixteen_thousand_fields_pass_and_one_more_does_not},
    {"a frame of 256 KiB passes and one more byte does not",
        a_frame_of_256_kib_passes_and_one_more_byte_does_not},
    {"unknown fields are ignored", unknown_fields_are_ignored},
    {"groups, field 0 and unknown bodies are refused", groups_field_0_and_unknown_bodies_are_refused},
    {"a message given twice is refused", a_message_given_twice_is_refused},
    {"a NUL in a text is refused", a_nul_in_a_text_is_refused},
    {"wrong wire types are refused", wrong_wire_types_are_refused},
    {"a frame cut anywhere is refused", a_frame_cut_anywhere_is_refused},
    {"no flipped bit does harm", no_flipped_bit_does_harm},
    {"random bytes do no harm", random_bytes_do_no_harm})

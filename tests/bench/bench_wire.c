/* How long a frame takes to decode: scan, protobuf-c, validation. Prints nanoseconds per sample.
 *     build/release-bench/bin/bench_wire */
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/clock.h"
#include "proto/faultline.pb-c.h"
#include "proto/wire.h"
#include "proto/wire_scan.h"
#include "tests/support/random.h"

#define SERIES 200
#define TIMES  10
#define NOW_MS 1795400000000

static struct buffer bulk_frame(bool doubles)
{
    static uint32_t series[SERIES];
    static int64_t times_ms[TIMES], ints[SERIES * TIMES];
    static double values[SERIES * TIMES];
    struct random random = {1};
    for (uint32_t i = 0; i < SERIES; i++) series[i] = i + 1;
    for (int i = 0; i < TIMES; i++) times_ms[i] = NOW_MS + 1000 * i;
    for (size_t s = 0; s < SERIES; s++) { /* counters that grow by some thousands a second */
        int64_t value = (int64_t)(random_next(&random) >> 24);
        for (size_t t = 0; t < TIMES; t++) {
            ints[s * TIMES + t] = value += (int64_t)random_below(&random, 10000);
            values[s * TIMES + t] = (double)value / 8;
        }
    }
    struct wire_rows rows = {
        .series = series, .series_count = SERIES, .times_ms = times_ms, .time_count = TIMES};
    if (doubles)
        rows.doubles = values;
    else
        rows.ints = ints;
    const struct wire_from_agent message = {
        .kind = WIRE_BATCH, .batch = {.sequence = 1, .base_ms = NOW_MS, .rows = &rows, .rows_count = 1}};
    struct buffer frame = {0};
    CHECK(wire_encode_from_agent(&message, &frame, NULL) == 0);
    return frame;
}

static void *from_arena(void *owner, size_t size)
{
    return arena_alloc(owner, size);
}

static void free_nothing(void *owner, void *memory)
{
    (void)owner;
    (void)memory;
}

static void scan_only(struct span frame, struct arena *arena)
{
    (void)arena;
    CHECK(wire_scan(frame, &faultline__wire__from_agent__descriptor, NULL) == 0);
}

static void unpack_only(struct span frame, struct arena *arena)
{
    ProtobufCAllocator allocator = {.alloc = from_arena, .free = free_nothing, .allocator_data = arena};
    CHECK(faultline__wire__from_agent__unpack(&allocator, frame.size, frame.data) != NULL);
}

static void whole(struct span frame, struct arena *arena)
{
    struct wire_from_agent message;
    CHECK(wire_decode_from_agent(frame, arena, &message, NULL) == 0);
}

static double ns_per_sample(void (*run)(struct span frame, struct arena *arena), struct span frame)
{
    double best = 1e9;
    struct arena arena = {0};
    for (int round = 0; round < 20; round++) {
        int64_t start_ns = clock_mono_ns();
        for (int i = 0; i < 500; i++) {
            arena_reset(&arena);
            run(frame, &arena);
        }
        double ns = (double)(clock_mono_ns() - start_ns) / (500.0 * SERIES * TIMES);
        if (ns < best) best = ns;
    }
    arena_fini(&arena);
    return best;
}

int main(void)
{
    const char *const names[] = {"ints", "doubles"};
    for (int doubles = 0; doubles <= 1; doubles++) {
        struct buffer frame = bulk_frame(doubles);
        struct span bytes = buffer_span(&frame);
        printf("%s: %d samples in %zu bytes: scan %.2f, protobuf-c alone %.2f, all %.2f ns a sample\n",
            names[doubles], SERIES * TIMES, bytes.size, ns_per_sample(scan_only, bytes),
            ns_per_sample(unpack_only, bytes), ns_per_sample(whole, bytes));
        buffer_fini(&frame);
    }
    return 0;
}

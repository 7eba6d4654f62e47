/* Random messages that keep every rule of the wire, for properties over seeds. Header only: each test program
 * that wants it includes it once. What a message points to lives in the arena. */
#ifndef TESTS_UNIT_PROTO_WIRE_RANDOM_H
#define TESTS_UNIT_PROTO_WIRE_RANDOM_H

#include <math.h>
#include <string.h>

#include "proto/wire.h"
#include "tests/support/random.h"

/* Numbers of every size, negative ones too. */
static inline int64_t some_int64(struct random *random)
{
    return (int64_t)random_next(random) >> random_below(random, 64);
}

static inline double some_finite(struct random *random)
{
    for (;;) {
        uint64_t bits = random_next(random);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value)) return value;
    }
}

static inline char *some_text(struct random *random, struct arena *arena, size_t characters_max)
{
    static const char *const pieces[] = {"a", "Z", "0", " ", "\"", "<", "é", "€", "😀", "$(id)", "{{", "~"};
    char *text = arena_alloc(arena, characters_max * 5 + 1);
    size_t count = random_below(random, characters_max + 1);
    for (size_t i = 0; i < count; i++) strcat(text, pieces[random_below(random, 12)]);
    return text;
}

static inline char *some_name(struct random *random, struct arena *arena, const char *prefix)
{
    return arena_format(arena, "%s_%llu", prefix, (unsigned long long)random_below(random, 1000));
}

static inline size_t some_labels(struct random *random, struct arena *arena, struct wire_label *labels)
{
    static const char *const prefixes[LIMIT_LABELS] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    size_t count = 0;
    for (size_t i = 0; i < LIMIT_LABELS; i++)
        if (random_below(random, 2) == 0)
            labels[count++] = (struct wire_label){
                .name = some_name(random, arena, prefixes[i]), .value = some_text(random, arena, 20)};
    return count;
}

static inline struct wire_histogram some_histogram(struct random *random, struct arena *arena)
{
    struct wire_histogram histogram = {.count = random_below(random, 12), .sum = random_next(random)};
    uint32_t *buckets = arena_alloc_array(arena, histogram.count, sizeof *buckets);
    uint64_t *counts = arena_alloc_array(arena, histogram.count, sizeof *counts);
    uint32_t bucket = (uint32_t)random_below(random, 10);
    for (size_t i = 0; i < histogram.count; i++) {
        buckets[i] = bucket;
        counts[i] = 1 + random_below(random, 1u << random_below(random, 30));
        bucket += 1 + (uint32_t)random_below(random, 80);
    }
    histogram.buckets = buckets;
    histogram.counts = counts;
    return histogram;
}

static inline struct wire_rows some_rows(struct random *random, struct arena *arena, int64_t base_ms)
{
    struct wire_rows rows = {
        .series_count = 1 + random_below(random, 20), .time_count = 1 + random_below(random, 10)};
    size_t count = rows.series_count * rows.time_count;
    uint32_t *series = arena_alloc_array(arena, rows.series_count, sizeof *series);
    int64_t *times_ms = arena_alloc_array(arena, rows.time_count, sizeof *times_ms);
    for (size_t i = 0; i < rows.series_count; i++)
        series[i] = 1 + (uint32_t)random_below(random, LIMIT_DICT_ID);
    for (size_t i = 0; i < rows.time_count; i++)
        times_ms[i] = base_ms + (int64_t)random_below(random, 120000) - 60000;
    rows.series = series;
    rows.times_ms = times_ms;
    int64_t *ints = arena_alloc_array(arena, count, sizeof *ints);
    double *doubles = arena_alloc_array(arena, count, sizeof *doubles);
    struct wire_histogram *histograms = arena_alloc_array(arena, count, sizeof *histograms);
    for (size_t i = 0; i < count; i++) {
        ints[i] = some_int64(random);
        doubles[i] = some_finite(random);
        histograms[i] = some_histogram(random, arena);
    }
    switch (random_below(random, 3)) {
    case 0: rows.ints = ints; break;
    case 1: rows.doubles = doubles; break;
    default: rows.histograms = histograms; break;
    }
    return rows;
}

static inline int64_t some_phase_us(struct random *random)
{
    return random_below(random, 4) == 0 ? -1 : (int64_t)random_below(random, 1u << random_below(random, 32));
}

static inline struct wire_probe some_probe(struct random *random, int64_t base_ms)
{
    return (struct wire_probe){.target = 1 + (uint32_t)random_below(random, 500),
        .result = {.start_ms = base_ms + (int64_t)random_below(random, 4000) - 2000,
            .outcome = (enum probe_outcome)random_below(random, PROBE_OUTCOME_COUNT),
            .error = (enum probe_error)random_below(random, PROBE_ERROR_COUNT),
            .code = (uint32_t)random_below(random, 600),
            .flags = (uint32_t)random_below(random, 4),
            .resolve_us = some_phase_us(random),
            .connect_us = some_phase_us(random),
            .tls_us = some_phase_us(random),
            .first_byte_us = some_phase_us(random),
            .total_us = some_phase_us(random)}};
}

static inline struct wire_batch some_batch(struct random *random, struct arena *arena)
{
    struct wire_batch batch = {.incarnation = random_next(random),
        .sequence = 1 + random_below(random, 1u << random_below(random, 32)),
        .base_ms = 1795400000000 + (int64_t)random_below(random, 1000000000),
        .sent_mono_ms = some_int64(random),
        .sent_wall_ms = 1795400000000,
        .dict_count = random_below(random, 8),
        .rows_count = random_below(random, 5),
        .probe_count = random_below(random, 30),
        .gap_count = random_below(random, 4)};
    struct wire_dict_entry *dict = arena_alloc_array(arena, batch.dict_count, sizeof *dict);
    for (size_t i = 0; i < batch.dict_count; i++) {
        dict[i].id = 1 + (uint32_t)i;
        dict[i].metric = some_name(random, arena, "metric");
        dict[i].label_count = some_labels(random, arena, dict[i].labels);
    }
    struct wire_rows *rows = arena_alloc_array(arena, batch.rows_count, sizeof *rows);
    for (size_t i = 0; i < batch.rows_count; i++) rows[i] = some_rows(random, arena, batch.base_ms);
    struct wire_probe *probes = arena_alloc_array(arena, batch.probe_count, sizeof *probes);
    for (size_t i = 0; i < batch.probe_count; i++) probes[i] = some_probe(random, batch.base_ms);
    struct wire_gap *gaps = arena_alloc_array(arena, batch.gap_count, sizeof *gaps);
    for (size_t i = 0; i < batch.gap_count; i++) {
        uint64_t from = 1 + random_below(random, 1000000);
        gaps[i] = (struct wire_gap){.from = from,
            .to = from + random_below(random, 1000),
            .samples = random_next(random),
            .reason = 1 + (enum wire_gap_reason)random_below(random, WIRE_GAP_REASON_COUNT - 1)};
    }
    batch.dict = dict;
    batch.rows = rows;
    batch.probes = probes;
    batch.gaps = gaps;
    return batch;
}

static inline struct wire_hello some_hello(struct random *random, struct arena *arena)
{
    uint64_t next = 1 + random_below(random, 1000000);
    struct wire_hello hello = {.protocol = WIRE_PROTOCOL,
        .version = some_text(random, arena, 10),
        .incarnation = random_next(random),
        .wall_ms = 1795400000000,
        .mono_ms = some_int64(random),
        .next_sequence = next,
        .oldest_sequence = random_below(random, next + 1),
        .capabilities = (uint32_t)random_next(random),
        .plan_version = (uint32_t)random_next(random)};
    for (size_t i = 0; i < sizeof hello.boot_id; i++) hello.boot_id[i] = (uint8_t)random_next(random);
    return hello;
}

static inline struct wire_from_agent some_from_agent(struct random *random, struct arena *arena)
{
    struct wire_from_agent message = {.kind = random_below(random, 4) == 0 ? WIRE_HELLO : WIRE_BATCH};
    if (message.kind == WIRE_HELLO)
        message.hello = some_hello(random, arena);
    else
        message.batch = some_batch(random, arena);
    return message;
}

static inline struct wire_target some_target(struct random *random, struct arena *arena)
{
    struct wire_target target = {.key = random_next(random),
        .probe = 1 + (enum probe_kind)random_below(random, PROBE_KIND_COUNT - 1),
        .url = arena_format(arena, "https://example.org/%s", some_text(random, arena, 30)),
        .connect = random_below(random, 2) ? "10.0.0.5:8080" : "",
        .header_count = random_below(random, 3),
        .interval_ms = 1 + (uint32_t)random_below(random, 10000),
        .late_after_ms = (uint32_t)random_below(random, 2000),
        .timeout_ms = 1 + (uint32_t)random_below(random, 8000),
        .long_timeout_ms = (uint32_t)random_below(random, 30000),
        .expect_code_min = (uint32_t)random_below(random, 300),
        .expect_code_max = 300 + (uint32_t)random_below(random, 300),
        .expect_text = some_text(random, arena, 20),
        .insecure = random_below(random, 2),
        .each_address = random_below(random, 2),
        .follow = random_below(random, 2),
        .credentials_file = random_below(random, 2) ? "main.pw" : "",
        .method = random_below(random, 2) ? "GET" : "HEAD"};
    target.phase_ms = (uint32_t)random_below(random, target.interval_ms);
    struct wire_header *headers = arena_alloc_array(arena, target.header_count, sizeof *headers);
    for (size_t i = 0; i < target.header_count; i++)
        headers[i] = (struct wire_header){.name = "X-Forwarded-Proto", .value = some_text(random, arena, 10)};
    target.headers = headers;
    target.label_count = some_labels(random, arena, target.labels);
    return target;
}

static inline struct wire_plan some_plan(struct random *random, struct arena *arena)
{
    struct wire_plan plan = {.version = 1 + (uint32_t)random_below(random, 100),
        .parts = 1 + (uint32_t)random_below(random, 8),
        .target_count = random_below(random, 20)};
    plan.part = (uint32_t)random_below(random, plan.parts);
    struct wire_target *targets = arena_alloc_array(arena, plan.target_count, sizeof *targets);
    for (size_t i = 0; i < plan.target_count; i++) targets[i] = some_target(random, arena);
    plan.targets = targets;
    return plan;
}

static inline struct wire_ack some_ack(struct random *random)
{
    struct wire_ack ack = {.incarnation = random_next(random),
        .floor = random_below(random, 1000000),
        .range_count = random_below(random, LIMIT_ACK_RANGES + 1),
        .credit = (uint32_t)random_below(random, LIMIT_CREDIT + 1),
        .echo_mono_ms = some_int64(random),
        .wall_ms = 1795400000000};
    uint64_t below = ack.floor;
    for (size_t i = 0; i < ack.range_count; i++) {
        ack.ranges[i].first = below + 2 + random_below(random, 10);
        below = ack.ranges[i].last = ack.ranges[i].first + random_below(random, 10);
    }
    return ack;
}

static inline struct wire_burst some_burst(struct random *random, struct arena *arena)
{
    struct wire_burst burst = {.key_count = random_below(random, 50),
        .duration_ms = (uint32_t)random_below(random, LIMIT_BURST_MS),
        .interval_ms = 250,
        .phase_ms = (uint32_t)random_below(random, 250)};
    uint64_t *keys = arena_alloc_array(arena, burst.key_count, sizeof *keys);
    for (size_t i = 0; i < burst.key_count; i++) keys[i] = random_next(random);
    burst.keys = keys;
    return burst;
}

static inline struct wire_from_collector some_from_collector(struct random *random, struct arena *arena)
{
    struct wire_from_collector message = {
        .kind = WIRE_WELCOME + (enum wire_from_collector_kind)random_below(random, WIRE_RETRY_AFTER)};
    switch (message.kind) {
    case WIRE_WELCOME:
        message.welcome = (struct wire_welcome){
            .collector = "A", .host = "app1.example", .wall_ms = 1795400000000, .credit = 64};
        break;
    case WIRE_ACK: message.ack = some_ack(random); break;
    case WIRE_PLAN: message.plan = some_plan(random, arena); break;
    case WIRE_BURST: message.burst = some_burst(random, arena); break;
    case WIRE_NEED_DICT: message.need_dict.incarnation = random_next(random); break;
    case WIRE_RETRY_AFTER:
        message.retry_after = (struct wire_retry_after){.ms = 1500, .reason = some_text(random, arena, 20)};
        break;
    }
    return message;
}

#endif

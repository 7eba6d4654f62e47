#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/batch/batch.h"
#include "agent/batch/series.h"
#include "common/check.h"
#include "tests/support/unit.h"

/* What a collector would have learned from the frames so far. */
struct reader {
    struct arena arena;
    struct wire_from_agent message;
    struct buffer frame, dictionary;
    uint64_t sequence, samples;
    bool more;
    bool known[LIMIT_SERIES_PER_HOST + 2 * SERIES_ID_SKIP];
};

static void reader_fini(struct reader *r)
{
    arena_fini(&r->arena);
    buffer_fini(&r->frame);
    buffer_fini(&r->dictionary);
}

static const struct wire_batch *encode_at(
    struct reader *r, struct batch *b, const struct wire_gap *gaps, size_t gap_count)
{
    buffer_clear(&r->frame);
    buffer_clear(&r->dictionary);
    arena_reset(&r->arena);
    struct error err = {0};
    const struct batch_stamp stamp = {.incarnation = 9,
        .sequence = ++r->sequence,
        .wall_ms = 1795400000500,
        .mono_ms = 5000,
        .gaps = gaps,
        .gap_count = gap_count};
    CU_ASSERT_EQUAL_FATAL(batch_encode(b, &stamp, &r->frame, &r->samples, &r->more, &r->dictionary, &err), 0);
    CU_ASSERT_EQUAL_FATAL(wire_decode_from_agent(buffer_span(&r->frame), &r->arena, &r->message, &err), 0);
    const struct wire_batch *batch = &r->message.batch;
    CU_ASSERT_EQUAL(wire_batch_samples(batch), r->samples);
    size_t unknown = 0;
    for (size_t i = 0; i < batch->dict_count; i++) r->known[batch->dict[i].id] = true;
    for (size_t i = 0; i < batch->rows_count; i++)
        for (size_t k = 0; k < batch->rows[i].series_count; k++)
            unknown += !r->known[batch->rows[i].series[k]];
    for (size_t i = 0; i < batch->probe_count; i++) unknown += !r->known[batch->probes[i].target];
    CU_ASSERT_EQUAL(unknown, 0);
    return batch;
}

static const struct wire_batch *encode(struct reader *r, struct batch *b)
{
    return encode_at(r, b, NULL, 0);
}

static void disk(struct batch *b, const char *name, int64_t time_ms, int64_t value)
{
    batch_value(b, METRIC_disk_reads_total, &(struct wire_label){"device", name}, 1, time_ms, value);
}

static void meaning_travels_in_the_first_batch_that_uses_it(void)
{
    struct reader r = {0};
    struct batch *b = batch_new();
    disk(b, "vda", 1795400000000, 1);
    disk(b, "vdb", 1795400000000, -2);
    const struct wire_batch *batch = encode(&r, b);
    CU_ASSERT_EQUAL(batch->dict_count, 2);
    CU_ASSERT_STRING_EQUAL(batch->dict[1].labels[0].value, "vdb");
    CU_ASSERT_STRING_EQUAL(batch->dict[1].metric, "disk_reads_total");
    CU_ASSERT_EQUAL(batch->rows[0].ints[1], -2);
    CU_ASSERT(r.dictionary.size > 0);
    CU_ASSERT(batch_is_empty(b));

    disk(b, "vdb", 1795400001000, 3);
    batch = encode(&r, b);
    CU_ASSERT_EQUAL(batch->dict_count, 0);
    CU_ASSERT_EQUAL(batch->rows[0].series[0], 2);
    CU_ASSERT_EQUAL(r.dictionary.size, 0);
    reader_fini(&r);
    batch_free(b);
}

static void values_are_grouped_by_their_time(void)
{
    struct reader r = {0};
    struct batch *b = batch_new();
    for (int64_t t = 0; t < 3; t++)
        for (int i = 0; i < 4; i++) disk(b, (const char *[]){"a", "b", "c", "d"}[i], 1000 + t, 10 * t + i);
    disk(b, "d", 1002, 99); /* the same moment again: replaces */
    const struct wire_batch *batch = encode(&r, b);
    CU_ASSERT_EQUAL_FATAL(batch->rows_count, 3);
    for (size_t t = 0; t < 3; t++) {
        CU_ASSERT_EQUAL(batch->rows[t].series_count, 4);
        CU_ASSERT_EQUAL(batch->rows[t].time_count, 1);
        CU_ASSERT_EQUAL(batch->rows[t].times_ms[0], 1000 + (int64_t)t);
    }
    CU_ASSERT_EQUAL(batch->rows[2].ints[3], 99);
    CU_ASSERT_EQUAL(r.samples, 12);
    reader_fini(&r);
    batch_free(b);
}

static void probes_and_gaps_travel_too(void)
{
    struct reader r = {0};
    struct batch *b = batch_new();
    const struct wire_label labels[] = {{"target", "www"}, {"path", "direct"}};
    const struct wire_label sorted[] = {{"path", "direct"}, {"target", "www"}};
    const struct probe_result result = {.start_ms = 1795400000123,
        .outcome = PROBE_FAIL,
        .error = PROBE_ERROR_REFUSED,
        .resolve_us = -1,
        .connect_us = 80,
        .tls_us = -1,
        .first_byte_us = -1,
        .total_us = 81};
    batch_probe(b, labels, 2, &result);
    batch_probe(b, sorted, 2, &result);
    const struct wire_gap gap = {.from = 3, .to = 5, .samples = 77, .reason = WIRE_GAP_SPOOL_FULL};
    const struct wire_batch *batch = encode_at(&r, b, &gap, 1);
    CU_ASSERT_EQUAL(batch->dict_count, 1);
    CU_ASSERT_STRING_EQUAL(batch->dict[0].metric, WIRE_METRIC_PROBE);
    CU_ASSERT_EQUAL_FATAL(batch->probe_count, 2);
    CU_ASSERT_EQUAL(batch->probes[0].target, batch->probes[1].target);
    CU_ASSERT_EQUAL(memcmp(&batch->probes[0].result, &result, sizeof result), 0);
    CU_ASSERT_EQUAL(batch->gap_count, 1);
    CU_ASSERT_EQUAL(batch->gaps[0].samples, 77);
    reader_fini(&r);
    batch_free(b);
}

static void many_series_are_spread_over_frames_and_bounded(void)
{
    struct reader r = {0};
    struct batch *b = batch_new();
    for (int i = 0; i < LIMIT_SERIES_PER_HOST + 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "disk%d", i);
        disk(b, name, 1795400000000, i);
    }
    CU_ASSERT_EQUAL(batch_refused(b), 100);
    uint64_t samples = 0;
    int frames = 0;
    do {
        encode(&r, b);
        samples += r.samples;
        frames++;
    } while (r.more);
    CU_ASSERT_EQUAL(samples, LIMIT_SERIES_PER_HOST);
    CU_ASSERT(frames > 1);

    /* Once known, all of them fit into one; asked for again, every meaning is told again. */
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < LIMIT_SERIES_PER_HOST; i++) {
            char name[32];
            snprintf(name, sizeof name, "disk%d", i);
            disk(b, name, 1795400001000 + round, i);
        }
        if (round == 1) {
            memset(r.known, 0, sizeof r.known);
            batch_resend_dictionary(b);
        }
        frames = 0;
        do {
            encode(&r, b);
            frames++;
            CU_ASSERT_EQUAL(r.dictionary.size, 0);
        } while (r.more);
        CU_ASSERT_EQUAL(frames > 1, round == 1);
    }
    size_t known = 0;
    for (size_t i = 0; i < ARRAY_COUNT(r.known); i++) known += r.known[i];
    CU_ASSERT_EQUAL(known, LIMIT_SERIES_PER_HOST);
    reader_fini(&r);
    batch_free(b);
}

static void series_unused_for_an_hour_make_room(void)
{
    struct reader r = {0};
    struct batch *b = batch_new();
    char name[32];
    for (int i = 0; i < LIMIT_SERIES_PER_HOST; i++) {
        snprintf(name, sizeof name, "disk%d", i);
        disk(b, name, 1000, i);
    }
    for (int i = 0; i <= 3600 + 3; i++) {
        disk(b, "disk7", 2000 + i, i);
        encode(&r, b);
    }
    disk(b, "new", 1795400000000, 5);
    CU_ASSERT_EQUAL(batch_refused(b), 0);
    const struct wire_batch *batch = encode(&r, b);
    CU_ASSERT_EQUAL_FATAL(batch->dict_count, 1);
    CU_ASSERT_EQUAL(batch->dict[0].id, LIMIT_SERIES_PER_HOST + 1); /* no id gets a second meaning */
    reader_fini(&r);
    batch_free(b);
}

static void labels_outside_the_wires_charset_are_refused(void)
{
    struct batch *b = batch_new();
    disk(b, "a\nb", 1000, 1);
    disk(b, "", 1000, 1);
    batch_value(b, METRIC_disk_reads_total, &(struct wire_label){"De vice", "x"}, 1, 1000, 1);
    uint64_t refused = batch_refused(b);
    CU_ASSERT(refused >= 2);
    disk(b, "good", -1, 1); /* before 1970 */
    CU_ASSERT_EQUAL(batch_refused(b), refused + 1);
    batch_free(b);
}

static void a_restart_goes_on_with_the_ids_that_are_known(void)
{
    struct reader r = {0};
    struct batch *b = batch_new();
    const struct wire_dict_entry known[] = {
        {.id = 5, .metric = "disk_reads_total", .labels = {{"device", "vda"}}, .label_count = 1},
        {.id = 6, .metric = "probe", .labels = {{"target", "www"}}, .label_count = 1},
        {.id = 7, .metric = "of_another_version_count"}};
    batch_learn(b, known, 3);
    disk(b, "vda", 1795400000000, 1);
    disk(b, "vdb", 1795400000000, 1);
    r.known[5] = true;
    const struct wire_batch *batch = encode(&r, b);
    CU_ASSERT_EQUAL_FATAL(batch->dict_count, 1);
    CU_ASSERT(batch->dict[0].id > 7 + SERIES_ID_SKIP);
    CU_ASSERT_EQUAL(batch->rows[0].series[0], 5);
    reader_fini(&r);
    batch_free(b);
}

UNIT_MAIN("batch",
    {"meaning travels in the first batch that uses it", meaning_travels_in_the_first_batch_that_uses_it},
    {"values are grouped by their time", values_are_grouped_by_their_time},
    {"probes and gaps travel too", probes_and_gaps_travel_too},
    {"many series are spread over frames and bounded", many_series_are_spread_over_frames_and_bounded},
    {"series unused for an hour make room", series_unused_for_an_hour_make_room},
    {"labels outside the wire's charset are refused", labels_outside_the_wires_charset_are_refused},
    {"a restart goes on with the ids that are known", a_restart_goes_on_with_the_ids_that_are_known})

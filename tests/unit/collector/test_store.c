/* The path of a batch: appended, committed, sealed, read; once, whatever happens in between. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "tests/support/store_case.h"
#include "tests/support/unit.h"

#define SECOND 1000
#define DAY    ((int64_t)86400000)

/* n samples from first_ms on, a second apart, value = (time / 1000) % 100000 + extra. */
static enum store_verdict send_seconds(
    struct store_case *c, uint64_t sequence, bool with_dict, int64_t first_ms, size_t n, int64_t extra)
{
    static int64_t times[CASE_TIMES_MAX], values[CASE_TIMES_MAX];
    for (size_t i = 0; i < n; i++) {
        times[i] = first_ms + (int64_t)i * SECOND;
        values[i] = times[i] / SECOND % 100000 + extra;
    }
    return case_send_series(c, 1, sequence,
        &(struct case_series){.id = 1,
            .metric = "disk_reads_total",
            .device = "vda",
            .with_dict = with_dict,
            .times_ms = times,
            .ints = values,
            .count = n});
}

/* The samples of that shape that can be read: exactly those of first_ms .. + n seconds, no other. */
static void expect_seconds(struct store_case *c, int64_t first_ms, size_t n, int64_t extra)
{
    struct store_result result = {0};
    CU_ASSERT_FATAL(case_query(c, "disk_reads_total", NULL, 0, CASE_NOON * 2, STORE_RAW, 0, &result));
    CU_ASSERT(result.damaged == 0);
    CU_ASSERT_FATAL(result.count == (n > 0));
    if (n > 0) {
        CU_ASSERT(result.series[0].count == n);
        CU_ASSERT(strcmp(result.series[0].labels, "device=vda") == 0);
        CU_ASSERT(strcmp(result.series[0].host, "app1") == 0);
        for (size_t i = 0; i < n && i < result.series[0].count; i++) {
            int64_t time_ms = first_ms + (int64_t)i * SECOND;
            const struct store_point *point = &result.series[0].points[i];
            if (point->time_ms != time_ms || point->value != (double)(time_ms / SECOND % 100000 + extra)) {
                CU_FAIL("a sample is not what was sent");
                break;
            }
        }
    }
    store_result_fini(&result);
}

static void what_is_appended_can_be_read_from_heads_and_blocks(void)
{
    struct store_case c = {0};
    case_init(&c);
    CU_ASSERT(send_seconds(&c, 1, true, CASE_NOON, 100, 0) == STORE_TAKEN);
    CU_ASSERT(case_commit(&c));
    expect_seconds(&c, CASE_NOON, 100, 0);
    CU_ASSERT(case_seal(&c, true));
    expect_seconds(&c, CASE_NOON, 100, 0);
    CU_ASSERT(send_seconds(&c, 2, false, CASE_NOON + 100 * SECOND, 50, 0) == STORE_TAKEN);
    CU_ASSERT(case_commit(&c));
    expect_seconds(&c, CASE_NOON, 150, 0);
    case_close(&c);
    CU_ASSERT_STRING_EQUAL(c.notes, "");
    case_fini(&c);
}

static void only_a_commit_makes_a_sequence_received(void)
{
    struct store_case c = {0};
    struct received received;
    case_init(&c);
    CU_ASSERT(!store_received(c.store, CASE_KEY, 1, &received));
    CU_ASSERT(send_seconds(&c, 1, true, CASE_NOON, 10, 0) == STORE_TAKEN);
    CU_ASSERT(!store_received(c.store, CASE_KEY, 1, &received));
    CU_ASSERT(case_commit(&c));
    CU_ASSERT_FATAL(store_received(c.store, CASE_KEY, 1, &received));
    CU_ASSERT(received.floor == 1);
    CU_ASSERT(send_seconds(&c, 5, false, CASE_NOON + 10 * SECOND, 10, 0) == STORE_TAKEN);
    CU_ASSERT_FATAL(store_received(c.store, CASE_KEY, 1, &received) && received.range_count == 0);
    CU_ASSERT(case_commit(&c));
    CU_ASSERT_FATAL(store_received(c.store, CASE_KEY, 1, &received) && received.range_count == 1);
    CU_ASSERT(received.ranges[0].first == 5 && received.ranges[0].last == 5);
    case_fini(&c);
}

static void the_same_batch_twice_is_stored_once(void)
{
    struct store_case c = {0};
    struct store_counts counts;
    case_init(&c);
    CU_ASSERT(send_seconds(&c, 1, true, CASE_NOON, 10, 0) == STORE_TAKEN);
    CU_ASSERT(send_seconds(&c, 1, true, CASE_NOON, 10, 0) == STORE_REPEATED);
    CU_ASSERT(case_commit(&c));
    CU_ASSERT(send_seconds(&c, 1, true, CASE_NOON, 10, 0) == STORE_REPEATED);
    CU_ASSERT(case_seal(&c, true));
    CU_ASSERT(send_seconds(&c, 1, true, CASE_NOON, 10, 0) == STORE_REPEATED);
    store_counts(c.store, &counts);
    CU_ASSERT(counts.repeated == 3 && counts.batches == 1 && counts.samples == 10);
    case_close(&c);
    CU_ASSERT_FATAL(case_open(&c));
    CU_ASSERT(send_seconds(&c, 1, true, CASE_NOON, 10, 0) == STORE_REPEATED);
    expect_seconds(&c, CASE_NOON, 10, 0);
    case_fini(&c);
}

static void other_batches_of_the_same_times_are_stored_once_and_the_last_is_right(void)
{
    struct store_case c = {0};
    case_init(&c);
    CU_ASSERT(send_seconds(&c, 1, true, CASE_NOON, 60, 0) == STORE_TAKEN);
    CU_ASSERT(send_seconds(&c, 2, false, CASE_NOON, 60, 5) == STORE_TAKEN);
    CU_ASSERT(case_commit(&c));
    expect_seconds(&c, CASE_NOON, 60, 5);
    CU_ASSERT(case_seal(&c, true));
    expect_seconds(&c, CASE_NOON, 60, 5);
    CU_ASSERT(send_seconds(&c, 3, false, CASE_NOON, 60, 9) == STORE_TAKEN);
    CU_ASSERT(case_commit(&c));
    expect_seconds(&c, CASE_NOON, 60, 9); /* heads cover blocks */
    CU_ASSERT(case_seal(&c, true));
    expect_seconds(&c, CASE_NOON, 60, 9); /* newer blocks cover older ones */
    case_fini(&c);
}

static void batches_out_of_order_come_back_in_order(void)
{
    struct store_case c = {0};
    case_init(&c);
    static const int order[] = {4, 0, 3, 1, 5, 2};
    for (size_t i = 0; i < ARRAY_COUNT(order); i++) {
        CU_ASSERT(send_seconds(&c, (uint64_t)order[i] + 1, true, CASE_NOON + order[i] * 20 * SECOND, 20, 0) ==
                  STORE_TAKEN);
        CU_ASSERT(case_commit(&c));
        if (i % 2 == 1) CU_ASSERT(case_seal(&c, true));
    }
    expect_seconds(&c, CASE_NOON, 120, 0);
    case_fini(&c);
}

static bool file_exists(const struct store_case *c, const char *name)
{
    char path[SCRATCH_SIZE + 64];
    snprintf(path, sizeof path, "%s/%s", c->directory, name);
    return access(path, F_OK) == 0;
}

static void samples_find_the_day_of_their_own_time(void)
{
    struct store_case c = {0};
    int64_t midnight = CASE_NOON + DAY / 2;
    case_init(&c);
    c.now_ms = midnight + 300 * SECOND;
    CU_ASSERT(send_seconds(&c, 1, true, midnight - 300 * SECOND, 600, 0) == STORE_TAKEN);
    CU_ASSERT(case_commit(&c));
    expect_seconds(&c, midnight - 300 * SECOND, 600, 0);
    CU_ASSERT(case_seal(&c, true));
    CU_ASSERT(file_exists(&c, "seconds-2026-11-23.db") && file_exists(&c, "seconds-2026-11-24.db"));
    expect_seconds(&c, midnight - 300 * SECOND, 600, 0);
    /* late data of the day before */
    CU_ASSERT(send_seconds(&c, 2, false, midnight - 900 * SECOND, 600, 0) == STORE_TAKEN);
    CU_ASSERT(case_seal(&c, true));
    expect_seconds(&c, midnight - 900 * SECOND, 1200, 0);
    case_fini(&c);
}

static void reopening_at_any_point_keeps_what_was_committed(void)
{
    struct store_case c = {0};
    case_init(&c);
    size_t sent = 0;
    for (uint64_t round = 0; round < 12; round++) {
        CU_ASSERT(send_seconds(&c, round + 1, round == 0, CASE_NOON + (int64_t)sent * SECOND, 30, 0) ==
                  STORE_TAKEN);
        sent += 30;
        if (round % 3 != 2) CU_ASSERT(case_commit(&c));
        if (round % 4 == 1)
            CU_ASSERT(store_seal(c.store, c.now_ms, true, &c.err) >= 0); /* one step: not pruned */
        if (round % 4 == 2) CU_ASSERT(case_seal(&c, true));
        case_close(&c);
        CU_ASSERT_FATAL(case_open(&c));
        expect_seconds(&c, CASE_NOON, sent, 0);
        struct received received;
        CU_ASSERT_FATAL(store_received(c.store, CASE_KEY, 1, &received));
        CU_ASSERT(received.floor == round + 1);
    }
    CU_ASSERT_STRING_EQUAL(c.notes, "");
    case_fini(&c);
}

static void an_unknown_id_is_asked_for_and_a_dictionary_survives_a_restart(void)
{
    struct store_case c = {0};
    struct received received;
    case_init(&c);
    CU_ASSERT(send_seconds(&c, 1, false, CASE_NOON, 10, 0) == STORE_NEEDS_DICT);
    CU_ASSERT(case_commit(&c));
    CU_ASSERT(!store_received(c.store, CASE_KEY, 1, &received));
    CU_ASSERT(send_seconds(&c, 1, true, CASE_NOON, 10, 0) == STORE_TAKEN);
    CU_ASSERT(case_seal(&c, true)); /* pruned: the entry is in no frame any more */
    case_close(&c);
    CU_ASSERT_FATAL(case_open(&c));
    CU_ASSERT(send_seconds(&c, 2, false, CASE_NOON + 10 * SECOND, 10, 0) == STORE_TAKEN);
    expect_seconds(&c, CASE_NOON, 20, 0);
    case_fini(&c);
}

static void an_id_never_gets_a_second_meaning(void)
{
    struct store_case c = {0};
    int64_t time = CASE_NOON + 5 * SECOND, value = 7;
    case_init(&c);
    CU_ASSERT(send_seconds(&c, 1, true, CASE_NOON, 5, 0) == STORE_TAKEN);
    CU_ASSERT(case_send_series(&c, 1, 2,
                  &(struct case_series){.id = 1,
                      .metric = "disk_writes_total",
                      .device = "vdb",
                      .with_dict = true,
                      .times_ms = &time,
                      .ints = &value,
                      .count = 1}) == STORE_TAKEN);
    CU_ASSERT(case_commit(&c));
    struct store_result result = {0};
    CU_ASSERT_FATAL(case_query(&c, "disk_writes_total", NULL, 0, CASE_NOON * 2, STORE_RAW, 0, &result));
    CU_ASSERT(result.count == 0);
    store_result_fini(&result);
    case_fini(&c);
}

static void times_outside_the_window_are_refused_and_counted(void)
{
    struct store_case c = {.options.retention_days = 2};
    struct store_counts counts;
    case_init(&c);
    int64_t limit = CASE_NOON + LIMIT_FUTURE_MS;
    CU_ASSERT(send_seconds(&c, 1, true, limit - 4 * SECOND, 10, 0) == STORE_TAKEN); /* 5 in, 5 beyond */
    CU_ASSERT(
        send_seconds(&c, 2, true, CASE_NOON - 2 * DAY, 10, 0) == STORE_TAKEN); /* the day before yesterday */
    CU_ASSERT(case_commit(&c));
    store_counts(c.store, &counts);
    CU_ASSERT(counts.refused_time == 15 && counts.samples == 5);
    expect_seconds(&c, limit - 4 * SECOND, 5, 0);
    struct received received; /* refused one by one: the batch is done with */
    CU_ASSERT(store_received(c.store, CASE_KEY, 1, &received) && received.floor == 2);
    case_fini(&c);
}

static void series_beyond_the_limits_are_refused_and_the_others_go_on(void)
{
    struct store_case c = {.options.series_per_host_max = 3};
    struct store_counts counts;
    int64_t time = CASE_NOON, value = 1;
    case_init(&c);
    for (uint32_t id = 1; id <= 5; id++) {
        char device[8];
        snprintf(device, sizeof device, "d%u", id);
        CU_ASSERT(case_send_series(&c, 1, id,
                      &(struct case_series){.id = id,
                          .metric = "disk_reads_total",
                          .device = device,
                          .with_dict = true,
                          .times_ms = &time,
                          .ints = &value,
                          .count = 1}) == STORE_TAKEN);
    }
    CU_ASSERT(case_commit(&c));
    store_counts(c.store, &counts);
    CU_ASSERT(counts.refused_series == 2 && counts.samples == 3 && counts.series == 3);
    time += SECOND;
    CU_ASSERT(
        case_send_series(&c, 1, 6,
            &(struct case_series){
                .id = 2, .metric = "disk_reads_total", .times_ms = &time, .ints = &value, .count = 1}) ==
        STORE_TAKEN);
    CU_ASSERT(case_commit(&c));
    store_counts(c.store, &counts);
    CU_ASSERT(counts.samples == 4);
    case_fini(&c);
}

static void idle_series_make_room_for_new_ones(void)
{
    struct store_case c = {.options.series_per_host_max = 1};
    struct store_counts counts;
    int64_t value = 1;
    case_init(&c);
    CU_ASSERT(send_seconds(&c, 1, true, CASE_NOON, 1, 0) == STORE_TAKEN);
    CU_ASSERT(case_seal(&c, true));
    c.now_ms += DAY + 2 * 3600 * SECOND;
    CU_ASSERT(case_seal(&c, true));
    int64_t time = c.now_ms;
    CU_ASSERT(case_send_series(&c, 1, 2,
                  &(struct case_series){.id = 2,
                      .metric = "disk_reads_total",
                      .device = "vdb",
                      .with_dict = true,
                      .times_ms = &time,
                      .ints = &value,
                      .count = 1}) == STORE_TAKEN);
    CU_ASSERT(case_commit(&c));
    store_counts(c.store, &counts);
    CU_ASSERT(counts.refused_series == 0 && counts.samples == 2 && counts.series == 1);
    case_fini(&c);
}

static void integers_and_doubles_come_back_as_they_were(void)
{
    static const double doubles[] = {0.1, 12.5, -0.0, 1e300, 3.0};
    static const int64_t ints[] = {INT64_MIN, INT64_MAX, 0, -1, 4};
    int64_t times[5];
    struct store_case c = {0};
    case_init(&c);
    for (size_t i = 0; i < 5; i++) times[i] = CASE_NOON + (int64_t)i * SECOND;
    struct case_series series = {.id = 1,
        .metric = "some_ratio",
        .with_dict = true,
        .times_ms = times,
        .doubles = doubles,
        .count = 5};
    CU_ASSERT(case_send_series(&c, 1, 1, &series) == STORE_TAKEN);
    for (size_t i = 0; i < 5; i++) times[i] += 5 * SECOND;
    series.doubles = NULL;
    series.ints = ints; /* the same series turns to integers */
    CU_ASSERT(case_send_series(&c, 1, 2, &series) == STORE_TAKEN);
    CU_ASSERT(case_commit(&c));
    for (int sealed = 0; sealed < 2; sealed++) {
        struct store_result result = {0};
        CU_ASSERT_FATAL(case_query(&c, "some_ratio", "app1", 0, CASE_NOON * 2, STORE_RAW, 0, &result));
        CU_ASSERT_FATAL(result.count == 1 && result.series[0].count == 10);
        for (size_t i = 0; i < 5; i++) {
            CU_ASSERT(memcmp(&result.series[0].points[i].value, &doubles[i], sizeof(double)) == 0);
            CU_ASSERT(result.series[0].points[5 + i].value == (double)ints[i]);
        }
        store_result_fini(&result);
        CU_ASSERT(case_seal(&c, true));
    }
    case_fini(&c);
}

/* ---- probes ---- */

static enum store_verdict send_probe(
    struct store_case *c, uint64_t sequence, int64_t start_ms, enum probe_outcome outcome, int64_t total_us)
{
    const struct wire_dict_entry dict = {.id = 9,
        .metric = WIRE_METRIC_PROBE,
        .labels = {{"path", "direct"}, {"service", "www"}, {"target", "app1:80,x\\y"}},
        .label_count = 3};
    const struct wire_probe probe = {.target = 9,
        .result = {.start_ms = start_ms,
            .outcome = outcome,
            .error = outcome == PROBE_FAIL ? PROBE_ERROR_STATUS : PROBE_ERROR_NONE,
            .code = 503,
            .resolve_us = -1,
            .connect_us = 120,
            .tls_us = -1,
            .first_byte_us = total_us - 1,
            .total_us = total_us}};
    const struct wire_batch batch = {.incarnation = 1,
        .sequence = sequence,
        .base_ms = start_ms,
        .dict = &dict,
        .dict_count = 1,
        .probes = &probe,
        .probe_count = 1};
    return case_send(c, CASE_KEY, "ops", &batch);
}

static double only_value(struct store_case *c, const char *metric)
{
    struct store_result result = {0};
    double value = -999;
    if (case_query(c, metric, "ops", 0, CASE_NOON * 2, STORE_RAW, 0, &result) && result.count == 1 &&
        result.series[0].count == 1 && result.series[0].points[0].time_ms == CASE_NOON)
        value = result.series[0].points[0].value;
    store_result_fini(&result);
    return value;
}

static void outcomes_of_probes_become_series_and_the_final_one_covers_the_late_one(void)
{
    struct store_case c = {0};
    case_init(&c);
    CU_ASSERT(send_probe(&c, 1, CASE_NOON, PROBE_LATE, 500000) == STORE_TAKEN);
    CU_ASSERT(case_commit(&c));
    CU_ASSERT(only_value(&c, "probe_outcome") == PROBE_LATE);
    CU_ASSERT(case_seal(&c, true)); /* the late one may be sealed by then */
    CU_ASSERT(send_probe(&c, 2, CASE_NOON, PROBE_FAIL, 2000000) == STORE_TAKEN);
    CU_ASSERT(case_commit(&c));
    for (int sealed = 0; sealed < 2; sealed++) {
        CU_ASSERT(only_value(&c, "probe_outcome") == PROBE_FAIL);
        CU_ASSERT(only_value(&c, "probe_error") == PROBE_ERROR_STATUS);
        CU_ASSERT(only_value(&c, "probe_code") == 503);
        CU_ASSERT(only_value(&c, "probe_flags") == 0);
        CU_ASSERT(only_value(&c, "probe_resolve_us") == -1);
        CU_ASSERT(only_value(&c, "probe_connect_us") == 120);
        CU_ASSERT(only_value(&c, "probe_tls_us") == -1);
        CU_ASSERT(only_value(&c, "probe_first_byte_us") == 1999999);
        CU_ASSERT(only_value(&c, "probe_total_us") == 2000000);
        CU_ASSERT(case_seal(&c, true));
    }
    struct store_result result = {0};
    char name[LIMIT_LABEL_NAME_BYTES + 1], value[LIMIT_LABEL_VALUE_BYTES + 1];
    CU_ASSERT_FATAL(case_query(&c, "probe_outcome", "ops", 0, CASE_NOON * 2, STORE_RAW, 0, &result));
    CU_ASSERT_FATAL(result.count == 1);
    CU_ASSERT_STRING_EQUAL(result.series[0].labels, "path=direct,service=www,target=app1:80\\,x\\\\y");
    const char *cursor = result.series[0].labels;
    CU_ASSERT(
        store_label_next(&cursor, name, value) && strcmp(name, "path") == 0 && strcmp(value, "direct") == 0);
    CU_ASSERT(store_label_next(&cursor, name, value) && strcmp(value, "www") == 0);
    CU_ASSERT(store_label_next(&cursor, name, value) && strcmp(value, "app1:80,x\\y") == 0);
    CU_ASSERT(!store_label_next(&cursor, name, value));
    store_result_fini(&result);
    case_fini(&c);
}

static void a_late_outcome_after_its_final_one_changes_nothing(void)
{
    struct store_case c = {0};
    case_init(&c);
    CU_ASSERT(send_probe(&c, 2, CASE_NOON, PROBE_OK, 900000) == STORE_TAKEN);
    CU_ASSERT(send_probe(&c, 1, CASE_NOON, PROBE_LATE, 500000) == STORE_TAKEN);
    CU_ASSERT(case_commit(&c));
    CU_ASSERT(only_value(&c, "probe_outcome") == PROBE_OK);
    CU_ASSERT(only_value(&c, "probe_total_us") == 900000);
    case_fini(&c);
}

static void gaps_count_as_received_and_their_samples_are_counted(void)
{
    struct store_case c = {0};
    struct received received;
    struct store_counts counts;
    const struct wire_gap gap = {.from = 1, .to = 7, .samples = 280, .reason = WIRE_GAP_SPOOL_FULL};
    const struct wire_batch batch = {
        .incarnation = 1, .sequence = 8, .base_ms = CASE_NOON, .gaps = &gap, .gap_count = 1};
    case_init(&c);
    CU_ASSERT(case_send(&c, CASE_KEY, "app1", &batch) == STORE_TAKEN);
    CU_ASSERT(case_commit(&c));
    CU_ASSERT(
        store_received(c.store, CASE_KEY, 1, &received) && received.floor == 8 && received.range_count == 0);
    store_counts(c.store, &counts);
    CU_ASSERT(counts.gap_samples == 280);
    case_fini(&c);
}

static void too_many_ranges_are_not_acknowledged(void)
{
    struct store_case c = {0};
    case_init(&c);
    uint64_t sequence = 2;
    for (size_t i = 0; i < LIMIT_ACK_RANGES; i++, sequence += 2)
        CU_ASSERT(send_seconds(&c, sequence, true, CASE_NOON + (int64_t)i * SECOND, 1, 0) == STORE_TAKEN);
    CU_ASSERT(send_seconds(&c, sequence, true, CASE_NOON, 1, 0) == STORE_FULL);
    CU_ASSERT(send_seconds(&c, 1, true, CASE_NOON + 100 * SECOND, 1, 0) == STORE_TAKEN);
    CU_ASSERT(send_seconds(&c, sequence, true, CASE_NOON + 101 * SECOND, 1, 0) == STORE_TAKEN);
    CU_ASSERT(case_commit(&c));
    case_fini(&c);
}

static void of_one_key_only_so_many_incarnations_are_kept(void)
{
    struct store_case c = {0};
    struct received received;
    int64_t value = 1, time;
    case_init(&c);
    for (uint64_t incarnation = 1; incarnation <= 40; incarnation++) {
        time = c.now_ms;
        const struct case_series series = {.id = 1,
            .metric = "disk_reads_total",
            .with_dict = true,
            .times_ms = &time,
            .ints = &value,
            .count = 1};
        CU_ASSERT(case_send_series(&c, incarnation, 1, &series) == STORE_TAKEN);
        CU_ASSERT(case_seal(&c, true));
        c.now_ms += SECOND;
    }
    CU_ASSERT(!store_received(c.store, CASE_KEY, 1, &received));
    CU_ASSERT(store_received(c.store, CASE_KEY, 40, &received));
    case_close(&c);
    CU_ASSERT_FATAL(case_open(&c));
    CU_ASSERT(!store_received(c.store, CASE_KEY, 1, &received));
    CU_ASSERT(!store_received(c.store, CASE_KEY, 24, &received));
    CU_ASSERT(store_received(c.store, CASE_KEY, 25, &received));
    case_fini(&c);
}

/* ---- files ---- */

static void a_second_store_on_the_directory_is_refused(void)
{
    struct store_case c = {0};
    struct error err = {0};
    case_init(&c);
    CU_ASSERT(store_open(&c.options, c.now_ms, NULL, NULL, &err) == NULL);
    CU_ASSERT(err.kind == ERROR_AGAIN);
    case_fini(&c);
}

static void old_days_are_deleted_but_not_by_a_clock_that_jumps(void)
{
    struct store_case c = {.options.retention_days = 3};
    case_init(&c);
    for (uint64_t day = 0; day < 6; day++) {
        CU_ASSERT(send_seconds(&c, day + 1, true, c.now_ms, 10, 0) == STORE_TAKEN);
        CU_ASSERT(case_seal(&c, true));
        c.now_ms += DAY;
    }
    CU_ASSERT(!file_exists(&c, "seconds-2026-11-25.db"));
    CU_ASSERT(file_exists(&c, "seconds-2026-11-27.db") && file_exists(&c, "seconds-2026-11-28.db"));
    c.now_ms += 3650 * DAY;
    CU_ASSERT(case_seal(&c, true));
    CU_ASSERT(file_exists(&c, "seconds-2026-11-28.db"));
    case_fini(&c);
}

static void the_journal_is_pruned_and_its_space_used_again(void)
{
    struct store_case c = {0};
    struct store_counts counts;
    case_init(&c);
    uint64_t most = 0;
    for (uint64_t round = 0; round < 60; round++) {
        CU_ASSERT(send_seconds(&c, round + 1, true, c.now_ms, 1000, 0) == STORE_TAKEN);
        CU_ASSERT(case_seal(&c, true));
        store_counts(c.store, &counts);
        if (round == 5) most = counts.journal_bytes;
        c.now_ms += 1000 * SECOND;
    }
    CU_ASSERT(counts.journal_bytes <= most + 8192);
    CU_ASSERT(counts.head_samples == 0);
    case_fini(&c);
}

static void pruning_spares_what_another_host_still_holds(void)
{
    struct store_case c = {0};
    static const uint32_t id = 1;
    int64_t value = 5, time = CASE_NOON;
    const struct wire_dict_entry dict = {.id = id, .metric = "load_1m"};
    const struct wire_rows rows = {
        .series = &id, .series_count = 1, .times_ms = &time, .time_count = 1, .ints = &value};
    const struct wire_batch batch = {.incarnation = 1,
        .sequence = 1,
        .base_ms = CASE_NOON,
        .dict = &dict,
        .dict_count = 1,
        .rows = &rows,
        .rows_count = 1};
    case_init(&c);
    CU_ASSERT(case_send(&c, "key of old", "old", &batch) == STORE_TAKEN);
    CU_ASSERT(case_commit(&c));
    c.now_ms += 59 * SECOND;
    CU_ASSERT(case_send(&c, "key of new", "new", &batch) == STORE_TAKEN);
    CU_ASSERT(case_commit(&c));
    c.now_ms += 2 * SECOND;
    CU_ASSERT(case_seal(&c, false)); /* only old is due */
    struct store_counts counts;
    store_counts(c.store, &counts);
    CU_ASSERT(counts.head_samples == 1);
    case_close(&c);
    CU_ASSERT_FATAL(case_open(&c));
    struct store_result result = {0};
    CU_ASSERT_FATAL(case_query(&c, "load_1m", NULL, 0, CASE_NOON * 2, STORE_RAW, 0, &result));
    CU_ASSERT(result.count == 2);
    store_result_fini(&result);
    case_fini(&c);
}

static void heads_are_sealed_when_they_are_old_enough(void)
{
    struct store_case c = {0};
    struct store_counts counts;
    case_init(&c);
    CU_ASSERT(send_seconds(&c, 1, true, c.now_ms, 10, 0) == STORE_TAKEN);
    CU_ASSERT(case_seal(&c, false));
    store_counts(c.store, &counts);
    CU_ASSERT(counts.head_samples == 10);
    c.now_ms += 61 * SECOND;
    CU_ASSERT(case_seal(&c, false));
    store_counts(c.store, &counts);
    CU_ASSERT(counts.head_samples == 0);
    case_fini(&c);
}

static void readers_work_beside_the_writer_and_after_it(void)
{
    struct store_case c = {0};
    struct store_series_names names = {0};
    case_init(&c);
    CU_ASSERT(send_seconds(&c, 1, true, CASE_NOON, 10, 0) == STORE_TAKEN);
    CU_ASSERT(case_seal(&c, true));
    expect_seconds(&c, CASE_NOON, 10, 0);
    case_close(&c);
    expect_seconds(&c, CASE_NOON, 10, 0); /* the collector is down */
    struct store_reader *reader = store_reader_open(c.directory, &c.err);
    CU_ASSERT_FATAL(reader != NULL);
    CU_ASSERT_FATAL(store_series_list(reader, NULL, NULL, 0, CASE_NOON * 2, 100, &names, &c.err) == 0);
    CU_ASSERT_FATAL(names.count == 1);
    CU_ASSERT_STRING_EQUAL(names.items[0].host, "app1");
    CU_ASSERT_STRING_EQUAL(names.items[0].metric, "disk_reads_total");
    CU_ASSERT_STRING_EQUAL(names.items[0].labels, "device=vda");
    store_series_names_fini(&names);
    store_reader_close(reader);
    CU_ASSERT(store_reader_open("/nonexistent/faultline", &c.err) == NULL && c.err.kind == ERROR_IO);
    case_fini(&c);
}

UNIT_MAIN("store",
    {"what is appended can be read, from heads and from blocks",
        what_is_appended_can_be_read_from_heads_and_blocks},
    {"only a commit makes a sequence received", only_a_commit_makes_a_sequence_received},
    {"the same batch twice is stored once", the_same_batch_twice_is_stored_once},
    {"other batches of the same times are stored once, and the last is right",
        other_batches_of_the_same_times_are_stored_once_and_the_last_is_right},
    {"batches out of order come back in order", batches_out_of_order_come_back_in_order},
    {"samples find the day of their own time", samples_find_the_day_of_their_own_time},
    {"reopening at any point keeps what was committed", reopening_at_any_point_keeps_what_was_committed},
    {"an unknown id is asked for, and a dictionary survives a restart",
        an_unknown_id_is_asked_for_and_a_dictionary_survives_a_restart},
    {"an id never gets a second meaning", an_id_never_gets_a_second_meaning},
    {"times outside the window are refused and counted", times_outside_the_window_are_refused_and_counted},
    {"series beyond the limits are refused, and the others go on",
        series_beyond_the_limits_are_refused_and_the_others_go_on},
    {"idle series make room for new ones", idle_series_make_room_for_new_ones},
    {"integers and doubles come back as they were", integers_and_doubles_come_back_as_they_were},
    {"outcomes of probes become series, and the final one covers the late one",
        outcomes_of_probes_become_series_and_the_final_one_covers_the_late_one},
    {"a late outcome after its final one changes nothing",
        a_late_outcome_after_its_final_one_changes_nothing},
    {"gaps count as received, and their samples are counted",
        gaps_count_as_received_and_their_samples_are_counted},
    {"too many ranges are not acknowledged", too_many_ranges_are_not_acknowledged},
    {"of one key only so many incarnations are kept", of_one_key_only_so_many_incarnations_are_kept},
    {"a second store on the directory is refused", a_second_store_on_the_directory_is_refused},
    {"old days are deleted, but not by a clock that jumps",
        old_days_are_deleted_but_not_by_a_clock_that_jumps},
    {"the journal is pruned and its space used again", the_journal_is_pruned_and_its_space_used_again},
    {"pruning spares what another host still holds", pruning_spares_what_another_host_still_holds},
    {"heads are sealed when they are old enough", heads_are_sealed_when_they_are_old_enough},
    {"readers work beside the writer and after it", readers_work_beside_the_writer_and_after_it})

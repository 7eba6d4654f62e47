/* Queries: aggregates mean what they say, and no answer depends on where the data lies. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/store/labels.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "tests/support/random.h"
#include "tests/support/store_case.h"
#include "tests/support/unit.h"

#define SECOND 1000
#define HOUR   ((int64_t)3600000)

static void send_ints(struct store_case *c, uint64_t sequence, const char *metric, const int64_t *times,
    const int64_t *values, size_t count)
{
    const struct case_series series = {.id = 1,
        .metric = metric,
        .device = "vda",
        .with_dict = true,
        .times_ms = times,
        .ints = values,
        .count = count};
    CU_ASSERT_FATAL(case_send_series(c, 1, sequence, &series) == STORE_TAKEN);
    CU_ASSERT_FATAL(case_commit(c));
}

static void aggregates_mean_what_they_say(void)
{
    struct store_case c = {0};
    int64_t times[20], values[20];
    case_init(&c);
    for (size_t i = 0; i < 20; i++) {
        times[i] = CASE_NOON + (int64_t)i * SECOND;
        values[i] = (int64_t)(i * i);
    }
    send_ints(&c, 1, "disk_in_flight_requests", times, values, 20);
    static const struct {
        const char *word;
        double first, second; /* of the steps 0..9 and 10..19 */
    } cases[] = {{"avg", 28.5, 218.5}, {"min", 0, 100}, {"max", 81, 361}, {"sum", 285, 2185},
        {"count", 10, 10}, {"last", 81, 361}, {"p50", 16, 196}, {"p99", 81, 361}};
    for (int sealed = 0; sealed < 2; sealed++) {
        for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
            enum store_aggregate aggregate;
            struct store_result result = {0};
            CU_ASSERT_FATAL(store_aggregate_parse(cases[i].word, &aggregate) == 0);
            CU_ASSERT_FATAL(case_query(&c, "disk_in_flight_requests", "app1", CASE_NOON,
                CASE_NOON + 20 * SECOND, aggregate, 10 * SECOND, &result));
            CU_ASSERT_FATAL(result.count == 1 && result.series[0].count == 2);
            CU_ASSERT(result.series[0].points[0].time_ms == CASE_NOON);
            CU_ASSERT(result.series[0].points[1].time_ms == CASE_NOON + 10 * SECOND);
            CU_ASSERT(result.series[0].points[0].value == cases[i].first);
            CU_ASSERT(result.series[0].points[1].value == cases[i].second);
            store_result_fini(&result);
            /* all of it as one step */
            CU_ASSERT_FATAL(case_query(&c, "disk_in_flight_requests", "app1", CASE_NOON,
                CASE_NOON + 20 * SECOND, aggregate, 0, &result));
            CU_ASSERT(result.count == 1 && result.series[0].count == 1);
            store_result_fini(&result);
        }
        CU_ASSERT(case_seal(&c, true));
    }
    enum store_aggregate aggregate;
    CU_ASSERT(store_aggregate_parse("mean", &aggregate) == -1);
    case_fini(&c);
}

static void a_rate_survives_a_reset_and_needs_a_counter(void)
{
    struct store_case c = {0};
    static const int64_t values[] = {1000, 1010, 1030, 5, 25, 25};
    int64_t times[6];
    struct store_result result = {0};
    case_init(&c);
    for (size_t i = 0; i < 6; i++) times[i] = CASE_NOON + (int64_t)i * 2 * SECOND;
    send_ints(&c, 1, "disk_reads_total", times, values, 6);
    CU_ASSERT_FATAL(
        case_query(&c, "disk_reads_total", NULL, CASE_NOON, CASE_NOON + 12 * SECOND, STORE_RATE, 0, &result));
    static const double each[] = {5, 10, 2.5, 10, 0};
    CU_ASSERT_FATAL(result.count == 1 && result.series[0].count == 5);
    for (size_t i = 0; i < 5; i++) CU_ASSERT(result.series[0].points[i].value == each[i]);
    store_result_fini(&result);
    /* The sample before the range counts for its first gap. */
    CU_ASSERT_FATAL(case_query(&c, "disk_reads_total", NULL, CASE_NOON + 2 * SECOND, CASE_NOON + 12 * SECOND,
        STORE_RATE, 10 * SECOND, &result));
    CU_ASSERT_FATAL(result.count == 1 && result.series[0].count == 1);
    CU_ASSERT(result.series[0].points[0].value == 5.5);
    store_result_fini(&result);
    CU_ASSERT(!case_query(&c, "load_1m", NULL, CASE_NOON, CASE_NOON + 1, STORE_RATE, 0, &result));
    CU_ASSERT(c.err.kind == ERROR_INPUT);
    case_fini(&c);
}

static void scaled_metrics_are_divided(void)
{
    struct store_case c = {0};
    int64_t time = CASE_NOON, value = 123;
    struct store_result result = {0};
    case_init(&c);
    send_ints(&c, 1, "load_1m", &time, &value, 1);
    CU_ASSERT_FATAL(case_query(&c, "load_1m", NULL, 0, CASE_NOON * 2, STORE_RAW, 0, &result));
    CU_ASSERT(result.count == 1 && result.series[0].points[0].value == 1.23);
    store_result_fini(&result);
    CU_ASSERT_FATAL(case_query(&c, "load_1m", NULL, 0, CASE_NOON * 2, STORE_COUNT, 0, &result));
    CU_ASSERT(result.count == 1 && result.series[0].points[0].value == 1);
    store_result_fini(&result);
    case_fini(&c);
}

static void answers_are_bounded_and_say_so(void)
{
    struct store_case c = {0};
    int64_t times[100], values[100] = {0};
    case_init(&c);
    for (size_t i = 0; i < 100; i++) times[i] = CASE_NOON + (int64_t)i * SECOND;
    send_ints(&c, 1, "disk_reads_total", times, values, 100);
    CU_ASSERT(case_seal(&c, true));
    struct store_reader *reader = store_reader_open(c.directory, &c.err);
    struct store_selector selector = {.metric = "disk_reads_total", .from_ms = 0, .to_ms = CASE_NOON * 2};
    struct store_result result = {0};
    CU_ASSERT_FATAL(store_query(reader, &selector, STORE_RAW, 0, (struct span){0}, clock_mono_ms() + 5000, 30,
                        &result, &c.err) == 0);
    CU_ASSERT(result.truncated && result.count == 1 && result.series[0].count == 30);
    store_result_fini(&result);
    CU_ASSERT(store_query(reader, &selector, STORE_RAW, 0, (struct span){0}, clock_mono_ms() - 1, 30, &result,
                  &c.err) == -1);
    CU_ASSERT(c.err.kind == ERROR_LIMIT);
    selector.to_ms = 0;
    CU_ASSERT(
        store_query(reader, &selector, STORE_RAW, 0, (struct span){0}, INT64_MAX, 30, &result, &c.err) == -1);
    CU_ASSERT(c.err.kind == ERROR_INPUT);
    store_reader_close(reader);
    case_fini(&c);
}

static void labels_and_hosts_select(void)
{
    struct store_case c = {0};
    int64_t time = CASE_NOON, value = 1;
    case_init(&c);
    static const char *const devices[] = {"vda", "vdb", "vdc"};
    for (uint32_t i = 0; i < 3; i++) {
        const struct case_series series = {.id = i + 1,
            .metric = "disk_reads_total",
            .device = devices[i],
            .with_dict = true,
            .times_ms = &time,
            .ints = &value,
            .count = 1};
        CU_ASSERT(case_send_series(&c, 1, i + 1, &series) == STORE_TAKEN);
        if (i == 1) CU_ASSERT(case_seal(&c, true)); /* the third stays in the heads */
    }
    CU_ASSERT(case_commit(&c));
    struct store_reader *reader = store_reader_open(c.directory, &c.err);
    static const char *const wanted[][2] = {{"device", "vdb"}, {"device", "vdc"}, {"device", "vdx"}};
    static const size_t expected[] = {1, 1, 0};
    for (size_t i = 0; i < 3; i++) {
        const struct store_selector selector = {.metric = "disk_reads_total",
            .labels = wanted[i],
            .label_count = 1,
            .from_ms = 0,
            .to_ms = CASE_NOON * 2};
        AUTO(buffer_fini) struct buffer heads = {0};
        struct store_result result = {0};
        CU_ASSERT(store_heads(c.store, &selector, &heads, &c.err) == 0);
        CU_ASSERT_FATAL(store_query(reader, &selector, STORE_RAW, 0, buffer_span(&heads),
                            clock_mono_ms() + 5000, 30, &result, &c.err) == 0);
        CU_ASSERT(result.count == expected[i]);
        store_result_fini(&result);
    }
    store_reader_close(reader);
    struct store_result result = {0};
    CU_ASSERT(case_query(&c, "disk_reads_total", "app2", 0, CASE_NOON * 2, STORE_RAW, 0, &result));
    CU_ASSERT(result.count == 0);
    store_result_fini(&result);
    CU_ASSERT(case_query(&c, "disk_reads_total", NULL, 0, CASE_NOON * 2, STORE_RAW, 0, &result));
    CU_ASSERT(result.count == 3 && strcmp(result.series[0].labels, "device=vda") == 0 &&
              strcmp(result.series[2].labels, "device=vdc") == 0);
    store_result_fini(&result);
    case_fini(&c);
}

/* ---- no seam ---- */

#define SEAM_BATCHES 60
#define SEAM_EACH    40

struct seam_batch {
    int64_t times[SEAM_EACH], ints[SEAM_EACH];
    double doubles[SEAM_EACH];
    bool is_double;
};

/* Over three days, out of order, with repeated times, counters that reset and, at times, doubles. */
static struct seam_batch *make_batches(struct random *random)
{
    struct seam_batch *batches = check_alloc_array(SEAM_BATCHES, sizeof *batches);
    for (size_t b = 0; b < SEAM_BATCHES; b++) {
        int64_t at = CASE_NOON - 60 * HOUR + (int64_t)random_below(random, 60) * HOUR +
                     (int64_t)random_below(random, 3) * 20 * SECOND;
        batches[b].is_double = random_below(random, 8) == 0;
        for (size_t i = 0; i < SEAM_EACH; i++) {
            at += SECOND * (int64_t)(1 + random_below(random, 4) / 3 * 100);
            batches[b].times[i] = at;
            batches[b].ints[i] = (int64_t)random_below(random, 10000);
            batches[b].doubles[i] = (double)random_below(random, 100000) / 7;
        }
    }
    return batches;
}

static void send_seam(struct store_case *c, const struct seam_batch *batch, uint64_t sequence)
{
    const struct case_series series = {.id = 1,
        .metric = "disk_reads_total",
        .device = "vda",
        .with_dict = true,
        .times_ms = batch->times,
        .ints = batch->is_double ? NULL : batch->ints,
        .doubles = batch->is_double ? batch->doubles : NULL,
        .count = SEAM_EACH};
    CU_ASSERT_FATAL(case_send_series(c, 1, sequence, &series) == STORE_TAKEN);
}

static bool same(const struct store_result *a, const struct store_result *b)
{
    if (a->count != b->count || a->damaged != 0 || b->damaged != 0) return false;
    for (size_t s = 0; s < a->count; s++)
        if (a->series[s].count != b->series[s].count ||
            memcmp(a->series[s].points, b->series[s].points,
                a->series[s].count * sizeof(struct store_point)) != 0)
            return false;
    return true;
}

static void compare(struct store_case *one, struct store_case *other)
{
    static const struct {
        enum store_aggregate aggregate;
        int64_t step_ms;
    } cases[] = {{STORE_RAW, 0}, {STORE_AVG, 10 * SECOND}, {STORE_SUM, 7 * HOUR}, {STORE_MIN, 61 * SECOND},
        {STORE_MAX, HOUR}, {STORE_P50, 2 * HOUR}, {STORE_P99, 25 * HOUR}, {STORE_RATE, 30 * SECOND},
        {STORE_RATE, 0}, {STORE_LAST, HOUR}, {STORE_COUNT, 0}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct store_result a = {0}, b = {0};
        CU_ASSERT_FATAL(case_query(one, "disk_reads_total", NULL, CASE_NOON - 57 * HOUR + 13 * SECOND,
            CASE_NOON - 3 * HOUR, cases[i].aggregate, cases[i].step_ms, &a));
        CU_ASSERT_FATAL(case_query(other, "disk_reads_total", NULL, CASE_NOON - 57 * HOUR + 13 * SECOND,
            CASE_NOON - 3 * HOUR, cases[i].aggregate, cases[i].step_ms, &b));
        CU_ASSERT(a.count == 1 && same(&a, &b));
        store_result_fini(&a);
        store_result_fini(&b);
    }
}

/* One store keeps everything in heads; the other seals, closes and compacts at random. */
static void no_answer_depends_on_where_the_data_lies(void)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct random random = {seed};
        AUTO_FREE struct seam_batch *batches = make_batches(&random);
        struct store_case heads = {0}, mixed = {0};
        case_init(&heads);
        case_init(&mixed);
        for (uint64_t i = 0; i < SEAM_BATCHES; i++) {
            send_seam(&heads, &batches[i], i + 1);
            send_seam(&mixed, &batches[i], i + 1);
            if (random_below(&random, 6) == 0) CU_ASSERT(case_seal(&mixed, true));
            if (random_below(&random, 12) == 0) {
                case_close(&mixed);
                CU_ASSERT_FATAL(case_open(&mixed));
            }
            if (random_below(&random, 12) == 0) {
                mixed.now_ms += 61 * 60 * SECOND; /* the hourly work */
                heads.now_ms = mixed.now_ms;
                CU_ASSERT(case_seal(&mixed, true));
            }
        }
        CU_ASSERT(case_commit(&heads) && case_commit(&mixed));
        compare(&heads, &mixed);
        CU_ASSERT(case_seal(&mixed, true));
        compare(&heads, &mixed);
        CU_ASSERT(case_seal(&heads, true));
        compare(&heads, &mixed);
        case_fini(&heads);
        case_fini(&mixed);
    }
}

static void labels_are_written_and_taken_apart(void)
{
    char text[LABELS_TEXT_SIZE], name[LIMIT_LABEL_NAME_BYTES + 1], value[LIMIT_LABEL_VALUE_BYTES + 1];
    char longest[LIMIT_LABEL_VALUE_BYTES + 1];
    memset(longest, ',', LIMIT_LABEL_VALUE_BYTES);
    longest[LIMIT_LABEL_VALUE_BYTES] = '\0';
    struct wire_label labels[LIMIT_LABELS];
    for (size_t i = 0; i < LIMIT_LABELS; i++)
        labels[i] = (struct wire_label){"a_name_of_the_longest_kind_there", i % 2 == 0 ? longest : "=\\,"};
    labels_write(labels, LIMIT_LABELS, text);
    const char *cursor = text;
    for (size_t i = 0; i < LIMIT_LABELS; i++) {
        CU_ASSERT_FATAL(labels_next(&cursor, name, value));
        CU_ASSERT_STRING_EQUAL(name, labels[i].name);
        CU_ASSERT_STRING_EQUAL(value, labels[i].value);
    }
    CU_ASSERT(!labels_next(&cursor, name, value));
}

UNIT_MAIN("store query", {"aggregates mean what they say", aggregates_mean_what_they_say},
    {"a rate survives a reset and needs a counter", a_rate_survives_a_reset_and_needs_a_counter},
    {"scaled metrics are divided", scaled_metrics_are_divided},
    {"answers are bounded and say so", answers_are_bounded_and_say_so},
    {"labels and hosts select", labels_and_hosts_select},
    {"no answer depends on where the data lies", no_answer_depends_on_where_the_data_lies},
    {"labels are written and taken apart", labels_are_written_and_taken_apart})

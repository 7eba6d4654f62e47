#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"
#include "tests/support/unit.h"
#include "tests/unit/proto/wire_random.h"

#define SEEDS 400

static void assert_labels_equal(
    const struct wire_label *a, size_t a_count, const struct wire_label *b, size_t b_count)
{
    CU_ASSERT_EQUAL_FATAL(a_count, b_count);
    for (size_t i = 0; i < a_count; i++) {
        CU_ASSERT_STRING_EQUAL(a[i].name, b[i].name);
        CU_ASSERT_STRING_EQUAL(a[i].value, b[i].value);
    }
}

static bool histograms_equal(const struct wire_histogram *a, const struct wire_histogram *b)
{
    return a->count == b->count && a->sum == b->sum &&
           (a->count == 0 || (memcmp(a->buckets, b->buckets, a->count * sizeof a->buckets[0]) == 0 &&
                                 memcmp(a->counts, b->counts, a->count * sizeof a->counts[0]) == 0));
}

static void assert_rows_equal(const struct wire_rows *a, const struct wire_rows *b)
{
    CU_ASSERT_EQUAL_FATAL(a->series_count, b->series_count);
    CU_ASSERT_EQUAL_FATAL(a->time_count, b->time_count);
    CU_ASSERT(memcmp(a->series, b->series, a->series_count * sizeof a->series[0]) == 0);
    CU_ASSERT(memcmp(a->times_ms, b->times_ms, a->time_count * sizeof a->times_ms[0]) == 0);
    CU_ASSERT_FATAL((a->ints != NULL) == (b->ints != NULL));
    CU_ASSERT_FATAL((a->doubles != NULL) == (b->doubles != NULL));
    CU_ASSERT_FATAL((a->histograms != NULL) == (b->histograms != NULL));
    size_t count = a->series_count * a->time_count;
    if (a->ints != NULL) CU_ASSERT(memcmp(a->ints, b->ints, count * sizeof a->ints[0]) == 0);
    if (a->doubles != NULL) CU_ASSERT(memcmp(a->doubles, b->doubles, count * sizeof a->doubles[0]) == 0);
    bool equal = true;
    for (size_t i = 0; a->histograms != NULL && i < count; i++)
        equal &= histograms_equal(&a->histograms[i], &b->histograms[i]);
    CU_ASSERT(equal);
}

static void assert_batches_equal(const struct wire_batch *a, const struct wire_batch *b)
{
    CU_ASSERT_EQUAL(a->incarnation, b->incarnation);
    CU_ASSERT_EQUAL(a->sequence, b->sequence);
    CU_ASSERT_EQUAL(a->base_ms, b->base_ms);
    CU_ASSERT_EQUAL(a->sent_mono_ms, b->sent_mono_ms);
    CU_ASSERT_EQUAL(a->sent_wall_ms, b->sent_wall_ms);
    CU_ASSERT_EQUAL_FATAL(a->dict_count, b->dict_count);
    CU_ASSERT_EQUAL_FATAL(a->rows_count, b->rows_count);
    CU_ASSERT_EQUAL_FATAL(a->probe_count, b->probe_count);
    CU_ASSERT_EQUAL_FATAL(a->gap_count, b->gap_count);
    for (size_t i = 0; i < a->dict_count; i++) {
        CU_ASSERT_EQUAL(a->dict[i].id, b->dict[i].id);
        CU_ASSERT_STRING_EQUAL(a->dict[i].metric, b->dict[i].metric);
        assert_labels_equal(
            a->dict[i].labels, a->dict[i].label_count, b->dict[i].labels, b->dict[i].label_count);
    }
    for (size_t i = 0; i < a->rows_count; i++) assert_rows_equal(&a->rows[i], &b->rows[i]);
    for (size_t i = 0; i < a->probe_count; i++) {
        const struct probe_result *x = &a->probes[i].result, *y = &b->probes[i].result;
        CU_ASSERT_EQUAL(a->probes[i].target, b->probes[i].target);
        CU_ASSERT(x->start_ms == y->start_ms && x->outcome == y->outcome && x->error == y->error &&
                  x->code == y->code && x->flags == y->flags);
        CU_ASSERT(x->resolve_us == y->resolve_us && x->connect_us == y->connect_us &&
                  x->tls_us == y->tls_us && x->first_byte_us == y->first_byte_us &&
                  x->total_us == y->total_us);
    }
    for (size_t i = 0; i < a->gap_count; i++) {
        const struct wire_gap *x = &a->gaps[i], *y = &b->gaps[i];
        CU_ASSERT(x->from == y->from && x->to == y->to && x->samples == y->samples && x->reason == y->reason);
    }
}

static void assert_hellos_equal(const struct wire_hello *a, const struct wire_hello *b)
{
    CU_ASSERT_STRING_EQUAL(a->version, b->version);
    CU_ASSERT(memcmp(a->boot_id, b->boot_id, sizeof a->boot_id) == 0);
    CU_ASSERT(a->protocol == b->protocol && a->incarnation == b->incarnation && a->wall_ms == b->wall_ms &&
              a->mono_ms == b->mono_ms && a->next_sequence == b->next_sequence &&
              a->oldest_sequence == b->oldest_sequence && a->capabilities == b->capabilities &&
              a->plan_version == b->plan_version);
}

static void agents_messages_come_back_as_they_were(void)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct random random = {seed};
        struct arena made = {0}, decoded = {0};
        struct buffer frame = {0};
        struct error err = {0};
        struct wire_from_agent out = some_from_agent(&random, &made), in;
        int encoded = wire_encode_from_agent(&out, &frame, &err);
        int result = encoded == 0 ? wire_decode_from_agent(buffer_span(&frame), &decoded, &in, &err) : -1;
        if (result != 0) fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, err.text);
        CU_ASSERT_EQUAL_FATAL(result, 0);
        CU_ASSERT_EQUAL_FATAL(in.kind, out.kind);
        if (in.kind == WIRE_HELLO)
            assert_hellos_equal(&out.hello, &in.hello);
        else
            assert_batches_equal(&out.batch, &in.batch);
        buffer_fini(&frame);
        arena_fini(&made);
        arena_fini(&decoded);
    }
}

static void assert_plans_equal(const struct wire_plan *a, const struct wire_plan *b)
{
    CU_ASSERT(a->version == b->version && a->part == b->part && a->parts == b->parts);
    CU_ASSERT_EQUAL_FATAL(a->target_count, b->target_count);
    for (size_t i = 0; i < a->target_count; i++) {
        const struct wire_target *x = &a->targets[i], *y = &b->targets[i];
        CU_ASSERT(x->key == y->key && x->probe == y->probe && x->interval_ms == y->interval_ms &&
                  x->phase_ms == y->phase_ms && x->late_after_ms == y->late_after_ms &&
                  x->timeout_ms == y->timeout_ms && x->long_timeout_ms == y->long_timeout_ms);
        CU_ASSERT(x->expect_code_min == y->expect_code_min && x->expect_code_max == y->expect_code_max &&
                  x->insecure == y->insecure && x->each_address == y->each_address && x->follow == y->follow);
        CU_ASSERT_STRING_EQUAL(x->url, y->url);
        CU_ASSERT_STRING_EQUAL(x->connect, y->connect);
        CU_ASSERT_STRING_EQUAL(x->expect_text, y->expect_text);
        CU_ASSERT_STRING_EQUAL(x->credentials_file, y->credentials_file);
        CU_ASSERT_STRING_EQUAL(x->method, y->method);
        CU_ASSERT_EQUAL_FATAL(x->header_count, y->header_count);
        for (size_t k = 0; k < x->header_count; k++) {
            CU_ASSERT_STRING_EQUAL(x->headers[k].name, y->headers[k].name);
            CU_ASSERT_STRING_EQUAL(x->headers[k].value, y->headers[k].value);
        }
        assert_labels_equal(x->labels, x->label_count, y->labels, y->label_count);
    }
}

static void assert_collectors_messages_equal(
    const struct wire_from_collector *a, const struct wire_from_collector *b)
{
    CU_ASSERT_EQUAL_FATAL(a->kind, b->kind);
    switch (a->kind) {
    case WIRE_WELCOME:
        CU_ASSERT_STRING_EQUAL(a->welcome.collector, b->welcome.collector);
        CU_ASSERT_STRING_EQUAL(a->welcome.host, b->welcome.host);
        CU_ASSERT(a->welcome.wall_ms == b->welcome.wall_ms && a->welcome.credit == b->welcome.credit);
        break;
    case WIRE_ACK:
        CU_ASSERT(a->ack.incarnation == b->ack.incarnation && a->ack.floor == b->ack.floor &&
                  a->ack.credit == b->ack.credit && a->ack.echo_mono_ms == b->ack.echo_mono_ms &&
                  a->ack.wall_ms == b->ack.wall_ms && a->ack.range_count == b->ack.range_count);
        CU_ASSERT(memcmp(a->ack.ranges, b->ack.ranges, sizeof a->ack.ranges) == 0);
        break;
    case WIRE_PLAN: assert_plans_equal(&a->plan, &b->plan); break;
    case WIRE_BURST:
        CU_ASSERT(a->burst.duration_ms == b->burst.duration_ms &&
                  a->burst.interval_ms == b->burst.interval_ms && a->burst.phase_ms == b->burst.phase_ms);
        CU_ASSERT_EQUAL_FATAL(a->burst.key_count, b->burst.key_count);
        CU_ASSERT(a->burst.key_count == 0 ||
                  memcmp(a->burst.keys, b->burst.keys, a->burst.key_count * sizeof a->burst.keys[0]) == 0);
        break;
    case WIRE_NEED_DICT: CU_ASSERT_EQUAL(a->need_dict.incarnation, b->need_dict.incarnation); break;
    case WIRE_RETRY_AFTER:
        CU_ASSERT_EQUAL(a->retry_after.ms, b->retry_after.ms);
        CU_ASSERT_STRING_EQUAL(a->retry_after.reason, b->retry_after.reason);
        break;
    }
}

static void collectors_messages_come_back_as_they_were(void)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct random random = {seed};
        struct arena made = {0}, decoded = {0};
        struct buffer frame = {0};
        struct error err = {0};
        struct wire_from_collector out = some_from_collector(&random, &made), in;
        int encoded = wire_encode_from_collector(&out, &frame, &err);
        int result = encoded == 0 ? wire_decode_from_collector(buffer_span(&frame), &decoded, &in, &err) : -1;
        if (result != 0) fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, err.text);
        CU_ASSERT_EQUAL_FATAL(result, 0);
        assert_collectors_messages_equal(&out, &in);
        buffer_fini(&frame);
        arena_fini(&made);
        arena_fini(&decoded);
    }
}

static void extreme_integers_survive_differences(void)
{
    const int64_t values[] = {0, INT64_MIN, INT64_MAX, -1, 1, INT64_MAX, INT64_MIN, 0};
    const uint32_t series[] = {1, 2};
    const int64_t times_ms[] = {LIMIT_TIME_MS, 0, 1000, 1000};
    struct wire_rows rows = {
        .series = series, .series_count = 2, .times_ms = times_ms, .time_count = 4, .ints = values};
    struct wire_from_agent out = {
        .kind = WIRE_BATCH, .batch = {.sequence = 1, .base_ms = 5000, .rows = &rows, .rows_count = 1}};
    struct wire_from_agent in;
    struct arena arena = {0};
    struct buffer frame = {0};
    CU_ASSERT_EQUAL_FATAL(wire_encode_from_agent(&out, &frame, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(wire_decode_from_agent(buffer_span(&frame), &arena, &in, NULL), 0);
    assert_rows_equal(&rows, in.batch.rows);
    CU_ASSERT_EQUAL(wire_batch_samples(&in.batch), 8);
    buffer_fini(&frame);
    arena_fini(&arena);
}

static void encoding_appends_and_leaves_the_buffer_alone_when_it_fails(void)
{
    struct buffer frame = {0};
    CU_ASSERT_EQUAL_FATAL(buffer_append(&frame, span_text("before"), NULL), 0);
    struct wire_from_agent message = {.kind = WIRE_BATCH, .batch = {.sequence = 0}};
    struct error err = {0};
    CU_ASSERT_EQUAL(wire_encode_from_agent(&message, &frame, &err), -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_INPUT);
    CU_ASSERT_EQUAL(frame.size, 6);
    message.batch.sequence = 1;
    CU_ASSERT_EQUAL(wire_encode_from_agent(&message, &frame, &err), 0);
    CU_ASSERT(frame.size > 6 && memcmp(frame.data, "before", 6) == 0);
    buffer_fini(&frame);
}

/* ── What a caller may get wrong in the structs: the decoder cannot make these, the encoder must not read
 * past them ── */

static const uint32_t one_id[] = {1};
static const int64_t one_time[] = {1000}, one_int[] = {1};
static const double one_double[] = {1};

static struct wire_rows good_rows(void)
{
    return (struct wire_rows){
        .series = one_id, .series_count = 1, .times_ms = one_time, .time_count = 1, .ints = one_int};
}

static void two_kinds(struct wire_rows *rows)
{
    rows->doubles = one_double;
}
static void no_kind(struct wire_rows *rows)
{
    rows->ints = NULL;
}
static void no_series(struct wire_rows *rows)
{
    rows->series_count = 0;
}
static void no_times(struct wire_rows *rows)
{
    rows->time_count = 0;
}
static void too_many_values(struct wire_rows *rows)
{
    rows->time_count = LIMIT_PACKED_VALUES + 1;
}
static void overflowing_product(struct wire_rows *rows)
{
    rows->series_count = 2000;
    rows->time_count = SIZE_MAX / 1999;
}

static void rows_that_no_frame_can_hold_are_refused(void)
{
    void (*const breaks[])(struct wire_rows * rows) = {
        two_kinds, no_kind, no_series, no_times, too_many_values, overflowing_product};
    for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; i++) {
        struct wire_rows rows = good_rows();
        breaks[i](&rows);
        const struct wire_from_agent message = {
            .kind = WIRE_BATCH, .batch = {.sequence = 1, .rows = &rows, .rows_count = 1}};
        struct buffer frame = {0};
        CU_ASSERT_EQUAL(wire_encode_from_agent(&message, &frame, NULL), -1);
        CU_ASSERT_EQUAL(frame.size, 0);
        buffer_fini(&frame);
    }
}

static void counts_beyond_the_arrays_are_refused_unread(void)
{
    struct buffer frame = {0};
    struct error err = {0};
    const struct wire_dict_entry entry = {.id = 1, .metric = "metric", .label_count = LIMIT_LABELS + 1};
    const struct wire_from_agent batch = {
        .kind = WIRE_BATCH, .batch = {.sequence = 1, .dict = &entry, .dict_count = 1}};
    CU_ASSERT_EQUAL(wire_encode_from_agent(&batch, &frame, &err), -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_LIMIT);
    const struct wire_from_collector ack = {.kind = WIRE_ACK, .ack = {.range_count = LIMIT_ACK_RANGES + 1}};
    CU_ASSERT_EQUAL(wire_encode_from_collector(&ack, &frame, &err), -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_LIMIT);
    const struct wire_from_agent no_kind_of_agents = {0};
    CU_ASSERT_EQUAL(wire_encode_from_agent(&no_kind_of_agents, &frame, &err), -1);
    const struct wire_from_collector no_kind_of_collectors = {0};
    CU_ASSERT_EQUAL(wire_encode_from_collector(&no_kind_of_collectors, &frame, &err), -1);
    buffer_fini(&frame);
}

static void names_and_hosts_keep_their_characters(void)
{
    const struct {
        const char *text;
        bool name, host, value;
    } rows[] = {
        {"az_09", true, true, true},
        {"_", true, true, true},
        {"AZ.az-09_", false, true, true},
        {"0a", false, true, true},
        {"a{", false, false, true},
        {"a`", false, false, true},
        {"a@", false, false, true},
        {"a[", false, false, true},
        {"a/", false, false, true},
        {"a:", false, false, true},
        {"", false, false, true},
        {"é \u00A0 \u0800 \uE000 \U0010FFFF", false, false, true},
        {"\x1F", false, false, false},
        {"~\x7F", false, false, false},
        {"\x80", false, false, false},
        {"\xC2\xA0", false, false, true},
        {"\xC2\x9F", false, false, false},
        {"\xF0\x90\x80\x80", false, false, true},
        {"\xF0\x8F\xBF\xBF", false, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CU_ASSERT_EQUAL(wire_name_ok(rows[i].text, 10), rows[i].name);
        CU_ASSERT_EQUAL(wire_host_ok(rows[i].text), rows[i].host);
        CU_ASSERT_EQUAL(wire_label_value_ok(rows[i].text), rows[i].value);
    }
    CU_ASSERT_TRUE(wire_name_ok("abc", 3));
    CU_ASSERT_FALSE(wire_name_ok("abcd", 3));
    CU_ASSERT_STRING_EQUAL(wire_gap_reason_name(WIRE_GAP_REFUSED), "refused");
    CU_ASSERT_STRING_EQUAL(wire_gap_reason_name(WIRE_GAP_REASON_COUNT), "unknown");
}

UNIT_MAIN("wire", {"agents' messages come back as they were", agents_messages_come_back_as_they_were},
    {"collectors' messages come back as they were", collectors_messages_come_back_as_they_were},
    {"extreme integers survive differences", extreme_integers_survive_differences},
    {"encoding appends, and leaves the buffer alone when it fails",
        encoding_appends_and_leaves_the_buffer_alone_when_it_fails},
    {"rows that no frame can hold are refused", rows_that_no_frame_can_hold_are_refused},
    {"names and hosts keep their characters", names_and_hosts_keep_their_characters},
    {"counts beyond the arrays are refused unread", counts_beyond_the_arrays_are_refused_unread})

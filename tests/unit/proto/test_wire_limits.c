/* Frames built with the generated code itself, which checks nothing: each bound of limits.h at the bound and
 * one beyond it, and each rule of wire_check broken once. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "proto/faultline.pb-c.h"
#include "proto/limits.h"
#include "proto/wire.h"
#include "tests/support/unit.h"

#define PB(name)   struct Faultline__Wire__##name
#define NOW_MS     1795400000000
#define SERIES_MAX 40000

/* A small, valid message of each kind, whose parts the cases change. */
struct parts {
    struct arena arena;
    PB(FromAgent) from_agent;
    PB(FromCollector) from_collector;
    PB(Hello) hello;
    PB(Batch) batch;
    PB(DictEntry) dict;
    PB(Rows) rows, more_rows;
    PB(Histogram) histogram;
    PB(Probes) probes;
    PB(Gap) gap;
    PB(Welcome) welcome;
    PB(Ack) ack;
    PB(Plan) plan;
    PB(Target) target;
    PB(Burst) burst;
    PB(RetryAfter) retry_after;
    uint32_t ids[SERIES_MAX], column32[5][4];
    int64_t offsets[SERIES_MAX], ints[SERIES_MAX], column64[6][4];
    double doubles[2];
    uint64_t counts[4], ranges[200], keys[3000];
    char *labels[20], *headers[80];
    PB(DictEntry) * dict_list[5000];
    PB(Rows) * rows_list[2];
    PB(Histogram) * histogram_list[1];
    PB(Gap) * gap_list[100];
    PB(Target) * target_list[300];
};

static char *text_of(struct parts *parts, size_t size)
{
    char *text = arena_alloc(&parts->arena, size + 1);
    memset(text, 'x', size);
    return text;
}

static char *copy_of(struct parts *parts, const char *text)
{
    return arena_strdup(&parts->arena, text);
}

static void set_labels(struct parts *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        parts->labels[2 * i] = arena_format(&parts->arena, "label_%c", (char)('a' + i));
        parts->labels[2 * i + 1] = copy_of(parts, "value");
    }
    parts->dict.n_labels = parts->target.n_labels = 2 * count;
    parts->dict.labels = parts->target.labels = parts->labels;
}

static void set_rows(struct parts *parts, PB(Rows) * rows, size_t series, size_t times)
{
    rows->n_series = series;
    rows->series = parts->ids;
    rows->n_offset_ms = times;
    rows->offset_ms = parts->offsets;
    rows->n_ints = series * times;
    rows->ints = parts->ints;
}

static void set_probes(struct parts *parts, size_t count)
{
    PB(Probes) *probes = &parts->probes;
    probes->n_target = probes->n_outcome = probes->n_error = probes->n_code = probes->n_flags = count;
    probes->n_start_offset_ms = probes->n_resolve_us = probes->n_connect_us = probes->n_tls_us = count;
    probes->n_first_byte_us = probes->n_total_us = count;
    probes->target = parts->ids;
    probes->outcome = parts->column32[0];
    probes->error = parts->column32[1];
    probes->code = parts->column32[2];
    probes->flags = parts->column32[3];
    probes->start_offset_ms = parts->column64[0];
    probes->resolve_us = parts->column64[1];
    probes->connect_us = parts->column64[2];
    probes->tls_us = parts->column64[3];
    probes->first_byte_us = parts->column64[4];
    probes->total_us = parts->column64[5];
    parts->batch.probes = probes;
}

/* One histogram instead of integers. */
static void set_histogram(struct parts *parts, size_t buckets)
{
    set_rows(parts, &parts->rows, 1, 1);
    parts->rows.n_ints = 0;
    parts->rows.n_histograms = 1;
    parts->rows.histograms = parts->histogram_list;
    parts->histogram.n_buckets = parts->histogram.n_counts = buckets;
    parts->histogram.buckets = parts->ids; /* all 1: 1, 2, 3, … */
    parts->histogram.counts = parts->counts;
}

static void use_batch(struct parts *parts)
{
    parts->from_agent.body_case = FAULTLINE__WIRE__FROM_AGENT__BODY_BATCH;
    parts->from_agent.batch = &parts->batch;
}

static struct parts *parts_new(void)
{
    struct parts *parts = check_alloc(sizeof *parts);
    faultline__wire__from_agent__init(&parts->from_agent);
    faultline__wire__from_collector__init(&parts->from_collector);
    faultline__wire__hello__init(&parts->hello);
    faultline__wire__batch__init(&parts->batch);
    faultline__wire__dict_entry__init(&parts->dict);
    faultline__wire__rows__init(&parts->rows);
    faultline__wire__rows__init(&parts->more_rows);
    faultline__wire__histogram__init(&parts->histogram);
    faultline__wire__probes__init(&parts->probes);
    faultline__wire__gap__init(&parts->gap);
    faultline__wire__welcome__init(&parts->welcome);
    faultline__wire__ack__init(&parts->ack);
    faultline__wire__plan__init(&parts->plan);
    faultline__wire__target__init(&parts->target);
    faultline__wire__burst__init(&parts->burst);
    faultline__wire__retry_after__init(&parts->retry_after);
    for (size_t i = 0; i < SERIES_MAX; i++) parts->ids[i] = 1;
    for (size_t i = 0; i < ARRAY_COUNT(parts->dict_list); i++) parts->dict_list[i] = &parts->dict;
    for (size_t i = 0; i < ARRAY_COUNT(parts->gap_list); i++) parts->gap_list[i] = &parts->gap;
    for (size_t i = 0; i < ARRAY_COUNT(parts->target_list); i++) parts->target_list[i] = &parts->target;
    for (size_t i = 0; i < ARRAY_COUNT(parts->counts); i++) parts->counts[i] = 1;
    parts->histogram_list[0] = &parts->histogram;
    parts->rows_list[0] = &parts->rows;
    parts->rows_list[1] = &parts->more_rows;
    parts->hello.protocol = 1;
    parts->hello.next_sequence = 1;
    parts->hello.boot_id = (ProtobufCBinaryData){.len = 16, .data = (uint8_t *)text_of(parts, 20)};
    parts->batch.sequence = 1;
    parts->batch.base_ms = NOW_MS;
    parts->batch.rows = parts->rows_list;
    parts->batch.n_rows = 1;
    parts->batch.dict = parts->dict_list;
    parts->batch.n_dict = 1;
    parts->batch.gaps = parts->gap_list;
    parts->dict.id = 1;
    parts->dict.metric = copy_of(parts, "metric");
    parts->gap.from = parts->gap.to = 1;
    parts->gap.reason = 1;
    set_labels(parts, 1);
    set_rows(parts, &parts->rows, 1, 1);
    set_rows(parts, &parts->more_rows, 1, 1);
    parts->welcome.collector = copy_of(parts, "A");
    parts->welcome.host = copy_of(parts, "app1");
    parts->ack.ranges = parts->ranges;
    for (size_t i = 0; i < ARRAY_COUNT(parts->ranges) / 2; i++)
        parts->ranges[2 * i] = parts->ranges[2 * i + 1] = 2 * i + 2;
    parts->plan.version = parts->plan.parts = 1;
    parts->plan.targets = parts->target_list;
    parts->plan.n_targets = 1;
    parts->target.probe = 1;
    parts->target.url = copy_of(parts, "http://example.org/");
    parts->target.interval_ms = parts->target.timeout_ms = 1000;
    parts->target.headers = parts->headers;
    for (size_t i = 0; i < ARRAY_COUNT(parts->headers); i++) parts->headers[i] = copy_of(parts, "x");
    parts->burst.keys = parts->keys;
    use_batch(parts);
    return parts;
}

static void parts_free(struct parts *parts)
{
    arena_fini(&parts->arena);
    free(parts);
}

/* Packs whichever of the two is filled and decodes it. */
static int decode(struct parts *parts, struct error *err)
{
    struct arena arena = {0};
    bool to_agent = parts->from_collector.body_case != 0;
    const ProtobufCMessage *message = to_agent ? &parts->from_collector.base : &parts->from_agent.base;
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(size + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    protobuf_c_message_pack(message, bytes);
    union {
        struct wire_from_agent agent;
        struct wire_from_collector collector;
    } decoded;
    int result = to_agent ? wire_decode_from_collector(span_of(bytes, size), &arena, &decoded.collector, err)
                          : wire_decode_from_agent(span_of(bytes, size), &arena, &decoded.agent, err);
    CU_ASSERT_EQUAL(arena.bytes_max, 0);
    free(bytes);
    arena_fini(&arena);
    return result;
}

/* ── Bounds: `beyond` is 0 at the bound, 1 one step beyond it ── */

#define COLLECTOR(part, PART)                                                                                \
    do {                                                                                                     \
        p->from_collector.body_case = FAULTLINE__WIRE__FROM_COLLECTOR__BODY_##PART;                          \
        p->from_collector.part = &p->part;                                                                   \
    } while (0)
#define HELLO()                                                                                              \
    do {                                                                                                     \
        p->from_agent.body_case = FAULTLINE__WIRE__FROM_AGENT__BODY_HELLO;                                   \
        p->from_agent.hello = &p->hello;                                                                     \
    } while (0)
#define BOUND(name) static void name(struct parts *p, size_t beyond)

BOUND(labels)
{
    set_labels(p, LIMIT_LABELS + beyond);
}
BOUND(label_name)
{
    p->labels[0] = text_of(p, LIMIT_LABEL_NAME_BYTES + beyond);
}
BOUND(label_value)
{
    p->labels[1] = text_of(p, LIMIT_LABEL_VALUE_BYTES + beyond);
}
BOUND(metric)
{
    p->dict.metric = text_of(p, LIMIT_METRIC_BYTES + beyond);
}
BOUND(dict_id)
{
    p->dict.id = LIMIT_DICT_ID + (uint32_t)beyond;
}
BOUND(dict_id_zero)
{
    p->dict.id = 1 - (uint32_t)beyond;
}
BOUND(series_id)
{
    p->ids[0] = LIMIT_DICT_ID + (uint32_t)beyond;
}
BOUND(series)
{
    set_rows(p, &p->rows, LIMIT_SERIES_PER_HOST + beyond, 1);
}
BOUND(packed_values) /* 1 + 2 t in each of the rows */
{
    p->batch.n_rows = 2;
    set_rows(p, &p->rows, 1, 20000);
    set_rows(p, &p->more_rows, 1, 12767 + beyond);
}
BOUND(elements) /* the batch, 2 a dictionary entry without labels, 1 a gap */
{
    set_labels(p, 0);
    p->batch.n_rows = 0;
    p->batch.n_dict = 2047;
    p->batch.n_gaps = 1 + beyond;
}
BOUND(gaps)
{
    p->batch.n_gaps = LIMIT_GAPS_PER_BATCH + beyond;
}
BOUND(gap_reason)
{
    p->batch.n_gaps = 1;
    p->gap.reason = WIRE_GAP_REASON_COUNT - 1 + (uint32_t)beyond;
}
BOUND(gap_order)
{
    p->batch.n_gaps = 1;
    p->gap.from = p->gap.to + beyond;
}
BOUND(sequence)
{
    p->batch.sequence = (uint64_t)LIMIT_SEQUENCE + beyond;
}
BOUND(sequence_zero)
{
    p->batch.sequence = 1 - beyond;
}
BOUND(time)
{
    p->offsets[0] = LIMIT_TIME_MS - NOW_MS + (int64_t)beyond;
}
BOUND(time_before)
{
    p->offsets[0] = -NOW_MS - (int64_t)beyond;
}
BOUND(base)
{
    p->batch.n_rows = 0;
    p->batch.base_ms = LIMIT_TIME_MS + (int64_t)beyond;
}
BOUND(bucket)
{
    set_histogram(p, 1);
    p->ids[0] = LIMIT_BUCKETS - 1 + (uint32_t)beyond;
    p->rows.series = &p->ids[1];
}
BOUND(bucket_sum)
{
    set_histogram(p, 2);
    p->ids[0] = LIMIT_BUCKETS - 2;
    p->ids[1] = 1 + (uint32_t)beyond;
    p->rows.series = &p->ids[2];
}
BOUND(bucket_order)
{
    set_histogram(p, 2);
    p->ids[1] = 1 - (uint32_t)beyond;
}
BOUND(bucket_count)
{
    set_histogram(p, 2);
    p->counts[1] = 1 - beyond;
}
BOUND(histogram_total)
{
    set_histogram(p, 2);
    p->counts[0] = UINT64_MAX - 1;
    p->counts[1] = 1 + beyond;
}
BOUND(outcome)
{
    set_probes(p, 4);
    p->column32[0][3] = PROBE_OUTCOME_COUNT - 1 + (uint32_t)beyond;
}
BOUND(probe_error)
{
    set_probes(p, 4);
    p->column32[1][0] = PROBE_ERROR_COUNT - 1 + (uint32_t)beyond;
}
BOUND(phase)
{
    set_probes(p, 4);
    p->column64[5][2] = LIMIT_PHASE_US + (int64_t)beyond;
}
BOUND(phase_below)
{
    set_probes(p, 4);
    p->column64[1][2] = -1 - (int64_t)beyond;
}
BOUND(version)
{
    HELLO();
    p->hello.version = text_of(p, LIMIT_VERSION_BYTES + beyond);
}
BOUND(boot_id)
{
    HELLO();
    p->hello.boot_id.len = 16 + beyond;
}
BOUND(boot_id_short)
{
    HELLO();
    p->hello.boot_id.len = 16 - beyond;
}
BOUND(oldest)
{
    HELLO();
    p->hello.oldest_sequence = p->hello.next_sequence + beyond;
}
BOUND(host)
{
    COLLECTOR(welcome, WELCOME);
    p->welcome.host = text_of(p, LIMIT_HOST_BYTES + beyond);
}
BOUND(letter)
{
    COLLECTOR(welcome, WELCOME);
    p->welcome.collector = copy_of(p, beyond ? "AB" : "B");
}
BOUND(welcome_credit)
{
    COLLECTOR(welcome, WELCOME);
    p->welcome.credit = LIMIT_CREDIT + (uint32_t)beyond;
}
BOUND(ack_credit)
{
    COLLECTOR(ack, ACK);
    p->ack.credit = LIMIT_CREDIT + (uint32_t)beyond;
}
BOUND(ack_ranges)
{
    COLLECTOR(ack, ACK);
    p->ack.n_ranges = 2 * (LIMIT_ACK_RANGES + beyond);
}
BOUND(ack_touching) /* the first range would belong to the floor */
{
    COLLECTOR(ack, ACK);
    p->ack.n_ranges = 4;
    p->ack.floor = beyond;
}
BOUND(plan_targets)
{
    COLLECTOR(plan, PLAN);
    set_labels(p, 0);
    p->plan.n_targets = LIMIT_TARGETS_PER_PLAN_PART + beyond;
}
BOUND(plan_part)
{
    COLLECTOR(plan, PLAN);
    p->plan.part = (uint32_t)beyond;
}
BOUND(plan_parts)
{
    COLLECTOR(plan, PLAN);
    p->plan.parts = LIMIT_TARGETS_PER_AGENT + (uint32_t)beyond;
}
BOUND(target_labels)
{
    COLLECTOR(plan, PLAN);
    set_labels(p, LIMIT_LABELS + beyond);
}
BOUND(url)
{
    COLLECTOR(plan, PLAN);
    p->target.url = text_of(p, LIMIT_URL_BYTES + beyond);
}
BOUND(connect_to)
{
    COLLECTOR(plan, PLAN);
    p->target.connect = text_of(p, LIMIT_CONNECT_BYTES + beyond);
}
BOUND(expect_text)
{
    COLLECTOR(plan, PLAN);
    p->target.expect_text = text_of(p, LIMIT_EXPECT_TEXT_BYTES + beyond);
}
BOUND(credentials)
{
    COLLECTOR(plan, PLAN);
    p->target.credentials_file = text_of(p, LIMIT_FILE_NAME_BYTES + beyond);
}
BOUND(headers)
{
    COLLECTOR(plan, PLAN);
    p->target.n_headers = 2 * (LIMIT_HEADERS + beyond);
}
BOUND(header_name)
{
    COLLECTOR(plan, PLAN);
    p->target.n_headers = 2;
    p->headers[0] = text_of(p, LIMIT_HEADER_NAME_BYTES + beyond);
}
BOUND(header_value)
{
    COLLECTOR(plan, PLAN);
    p->target.n_headers = 2;
    p->headers[1] = text_of(p, LIMIT_HEADER_VALUE_BYTES + beyond);
}
BOUND(interval)
{
    COLLECTOR(plan, PLAN);
    p->target.interval_ms = LIMIT_PLAN_MS + (uint32_t)beyond;
}
BOUND(interval_zero)
{
    COLLECTOR(plan, PLAN);
    p->target.interval_ms = 1 - (uint32_t)beyond;
}
BOUND(phase_ms)
{
    COLLECTOR(plan, PLAN);
    p->target.phase_ms = 999 + (uint32_t)beyond;
}
BOUND(expected_codes)
{
    COLLECTOR(plan, PLAN);
    p->target.expect_code_max = 200;
    p->target.expect_code_min = 200 + (uint32_t)beyond;
}
BOUND(probe_kind)
{
    COLLECTOR(plan, PLAN);
    p->target.probe = PROBE_KIND_COUNT - 1 + (uint32_t)beyond;
}
BOUND(burst_keys)
{
    COLLECTOR(burst, BURST);
    p->burst.n_keys = LIMIT_TARGETS_PER_AGENT + beyond;
}
BOUND(retry_ms)
{
    COLLECTOR(retry_after, RETRY_AFTER);
    p->retry_after.ms = LIMIT_PLAN_MS + (uint32_t)beyond;
}
BOUND(reason)
{
    COLLECTOR(retry_after, RETRY_AFTER);
    p->retry_after.reason = text_of(p, LIMIT_REASON_BYTES + beyond);
}

BOUND(probe_target)
{
    set_probes(p, 4);
    p->probes.target = &p->ids[1];
    p->ids[1] = LIMIT_DICT_ID + (uint32_t)beyond;
}

BOUND(probe_target_zero)
{
    set_probes(p, 4);
    p->probes.target = &p->ids[1];
    p->ids[1] = 1 - (uint32_t)beyond;
}

BOUND(protocol)
{
    HELLO();
    p->hello.protocol = 1 - (uint32_t)beyond;
}

BOUND(next_sequence)
{
    HELLO();
    p->hello.next_sequence = 1 - beyond;
}

BOUND(plan_version)
{
    COLLECTOR(plan, PLAN);
    p->plan.version = 1 - (uint32_t)beyond;
}

BOUND(timeout_zero)
{
    COLLECTOR(plan, PLAN);
    p->target.timeout_ms = 1 - (uint32_t)beyond;
}

BOUND(ack_floor)
{
    COLLECTOR(ack, ACK);
    p->ack.floor = (uint64_t)LIMIT_SEQUENCE + beyond;
}

BOUND(header_without_name)
{
    COLLECTOR(plan, PLAN);
    p->target.n_headers = 2;
    p->headers[0] = copy_of(p, beyond ? "" : "x");
}

BOUND(wall)
{
    HELLO();
    p->hello.wall_ms = -(int64_t)beyond;
}

static const struct {
    const char *label;
    void (*set)(struct parts *parts, size_t beyond);
    enum error_kind kind;
} bounds[] = {
    {"labels of a dictionary entry", labels, ERROR_LIMIT},
    {"bytes of a label's name", label_name, ERROR_INPUT},
    {"bytes of a label's value", label_value, ERROR_INPUT},
    {"bytes of a metric", metric, ERROR_INPUT},
    {"dictionary id", dict_id, ERROR_INPUT},
    {"dictionary id from 1", dict_id_zero, ERROR_INPUT},
    {"id of a series", series_id, ERROR_INPUT},
    {"series of rows", series, ERROR_LIMIT},
    {"packed values of a frame", packed_values, ERROR_LIMIT},
    {"elements of a frame", elements, ERROR_LIMIT},
    {"gaps of a batch", gaps, ERROR_LIMIT},
    {"reason of a gap", gap_reason, ERROR_INPUT},
    {"ends of a gap", gap_order, ERROR_INPUT},
    {"sequence", sequence, ERROR_INPUT},
    {"sequence from 1", sequence_zero, ERROR_INPUT},
    {"time of a sample", time, ERROR_INPUT},
    {"time of a sample from 1970", time_before, ERROR_INPUT},
    {"base_ms", base, ERROR_INPUT},
    {"bucket", bucket, ERROR_LIMIT},
    {"bucket, summed up", bucket_sum, ERROR_LIMIT},
    {"ascending buckets", bucket_order, ERROR_INPUT},
    {"count of a bucket", bucket_count, ERROR_INPUT},
    {"count of a histogram", histogram_total, ERROR_INPUT},
    {"outcome of a probe", outcome, ERROR_INPUT},
    {"error of a probe", probe_error, ERROR_INPUT},
    {"phase of a probe", phase, ERROR_INPUT},
    {"phase of a probe from -1", phase_below, ERROR_INPUT},
    {"bytes of a version", version, ERROR_INPUT},
    {"long boot_id", boot_id, ERROR_INPUT},
    {"short boot_id", boot_id_short, ERROR_INPUT},
    {"oldest sequence", oldest, ERROR_INPUT},
    {"bytes of a host", host, ERROR_INPUT},
    {"collector's letter", letter, ERROR_INPUT},
    {"credit of a welcome", welcome_credit, ERROR_LIMIT},
    {"credit of an ack", ack_credit, ERROR_LIMIT},
    {"acknowledged ranges", ack_ranges, ERROR_LIMIT},
    {"a range that touches the floor", ack_touching, ERROR_INPUT},
    {"targets of a part", plan_targets, ERROR_LIMIT},
    {"part of parts", plan_part, ERROR_INPUT},
    {"parts of a plan", plan_parts, ERROR_INPUT},
    {"labels of a target", target_labels, ERROR_LIMIT},
    {"bytes of a URL", url, ERROR_INPUT},
    {"bytes of connect", connect_to, ERROR_INPUT},
    {"bytes of expect_text", expect_text, ERROR_INPUT},
    {"bytes of credentials_file", credentials, ERROR_INPUT},
    {"headers", headers, ERROR_LIMIT},
    {"bytes of a header's name", header_name, ERROR_INPUT},
    {"bytes of a header's value", header_value, ERROR_INPUT},
    {"interval", interval, ERROR_LIMIT},
    {"interval from 1", interval_zero, ERROR_INPUT},
    {"phase within the interval", phase_ms, ERROR_INPUT},
    {"expected codes", expected_codes, ERROR_INPUT},
    {"kind of a probe", probe_kind, ERROR_INPUT},
    {"targets of a burst", burst_keys, ERROR_LIMIT},
    {"retry_after", retry_ms, ERROR_LIMIT},
    {"bytes of a reason", reason, ERROR_INPUT},
    {"clock from 1970", wall, ERROR_INPUT},
    {"name of a header", header_without_name, ERROR_INPUT},
    {"floor of an ack", ack_floor, ERROR_INPUT},
    {"timeout from 1", timeout_zero, ERROR_INPUT},
    {"version of a plan from 1", plan_version, ERROR_INPUT},
    {"next sequence from 1", next_sequence, ERROR_INPUT},
    {"protocol from 1", protocol, ERROR_INPUT},
    {"id of a target from 1", probe_target_zero, ERROR_INPUT},
    {"id of a target", probe_target, ERROR_INPUT},
};

static void each_bound_holds_at_its_value_and_refuses_one_more(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(bounds); i++)
        for (size_t beyond = 0; beyond <= 1; beyond++) {
            struct parts *parts = parts_new();
            struct error err = {0};
            bounds[i].set(parts, beyond);
            int result = decode(parts, &err);
            bool right = beyond ? result == -1 && err.kind == bounds[i].kind && err.text[0] : result == 0;
            if (!right)
                fprintf(stderr, "%s, %s the bound: %s\n", bounds[i].label, beyond ? "beyond" : "at",
                    result == 0 ? "decoded" : err.text);
            CU_ASSERT(right);
            parts_free(parts);
        }
}

/* ── Rules without a number ── */

#define RULE(name) static void name(struct parts *p)

static void set_double(struct parts *p, double value)
{
    p->rows.n_ints = 0;
    p->rows.n_doubles = 1;
    p->rows.doubles = p->doubles;
    p->doubles[0] = value;
}

RULE(not_a_number)
{
    set_double(p, (double)NAN);
}
RULE(infinite)
{
    set_double(p, (double)INFINITY);
}
RULE(minus_infinite)
{
    set_double(p, -(double)INFINITY);
}
RULE(two_kinds)
{
    set_double(p, 1);
    p->rows.n_ints = 1;
}
RULE(two_kinds_of_the_right_sum)
{
    set_rows(p, &p->rows, 1, 2);
    p->rows.n_ints = p->rows.n_doubles = 1;
    p->rows.doubles = p->doubles;
}
RULE(fewer_counts_than_buckets)
{
    set_histogram(p, 2);
    p->histogram.n_counts = 1;
}
RULE(fewer_buckets_than_counts)
{
    set_histogram(p, 2);
    p->histogram.n_buckets = 1;
}
RULE(no_values)
{
    p->rows.n_ints = 0;
}
RULE(no_series)
{
    p->rows.n_series = 0;
}
RULE(no_times)
{
    p->rows.n_offset_ms = 0;
}
RULE(one_value_too_many)
{
    p->rows.n_ints = 2;
}
RULE(one_value_missing)
{
    set_rows(p, &p->rows, 2, 3);
    p->rows.n_ints = 5;
}
RULE(columns_differ)
{
    set_probes(p, 4);
    p->probes.n_flags = 3;
}
RULE(column_missing)
{
    set_probes(p, 4);
    p->probes.n_total_us = 0;
}
RULE(target_missing)
{
    set_probes(p, 4);
    p->probes.n_target = 0;
}
RULE(label_without_value)
{
    p->dict.n_labels = 1;
}
RULE(labels_descending)
{
    set_labels(p, 2);
    p->labels[0] = copy_of(p, "z");
}
RULE(labels_repeated)
{
    set_labels(p, 2);
    p->labels[2] = p->labels[0];
}
RULE(label_in_capitals)
{
    p->labels[0] = copy_of(p, "Label");
}
RULE(label_from_a_digit)
{
    p->labels[0] = copy_of(p, "1label");
}
RULE(label_without_name)
{
    p->labels[0] = copy_of(p, "");
}
RULE(metric_without_name)
{
    p->dict.metric = copy_of(p, "");
}
RULE(metric_with_blank)
{
    p->dict.metric = copy_of(p, "a b");
}
RULE(value_with_newline)
{
    p->labels[1] = copy_of(p, "a\nb");
}
RULE(value_with_escape)
{
    p->labels[1] = copy_of(p, "\033[31m");
}
RULE(value_with_delete)
{
    p->labels[1] = copy_of(p, "\177");
}
RULE(value_with_c1)
{
    p->labels[1] = copy_of(p, "\xC2\x85");
}
RULE(value_in_latin1)
{
    p->labels[1] = copy_of(p, "caf\xE9");
}
RULE(value_cut)
{
    p->labels[1] = copy_of(p, "\xE2\x82");
}
RULE(value_overlong)
{
    p->labels[1] = copy_of(p, "\xC0\xAF");
}
RULE(value_overlong_3)
{
    p->labels[1] = copy_of(p, "\xE0\x80\xAF");
}
RULE(value_surrogate)
{
    p->labels[1] = copy_of(p, "\xED\xA0\x80");
}
RULE(value_beyond_unicode)
{
    p->labels[1] = copy_of(p, "\xF4\x90\x80\x80");
}
RULE(no_body)
{
    p->from_agent.body_case = FAULTLINE__WIRE__FROM_AGENT__BODY__NOT_SET;
}
RULE(host_with_slash)
{
    COLLECTOR(welcome, WELCOME);
    p->welcome.host = copy_of(p, "../x");
}
RULE(no_host)
{
    COLLECTOR(welcome, WELCOME);
    p->welcome.host = copy_of(p, "");
}
RULE(range_without_end)
{
    COLLECTOR(ack, ACK);
    p->ack.n_ranges = 3;
}
RULE(range_backwards)
{
    COLLECTOR(ack, ACK);
    p->ack.n_ranges = 2;
    p->ranges[0] = 3;
}
RULE(ranges_descending)
{
    COLLECTOR(ack, ACK);
    p->ack.n_ranges = 4;
    p->ranges[0] = p->ranges[1] = 50;
}
RULE(no_url)
{
    COLLECTOR(plan, PLAN);
    p->target.url = copy_of(p, "");
}
RULE(harmful_method)
{
    COLLECTOR(plan, PLAN);
    p->target.method = copy_of(p, "DELETE");
}
RULE(header_injected)
{
    COLLECTOR(plan, PLAN);
    p->target.n_headers = 2;
    p->headers[1] = copy_of(p, "x\r\nHost: y");
}
RULE(header_without_value)
{
    COLLECTOR(plan, PLAN);
    p->target.n_headers = 1;
}
RULE(header_name_with_colon)
{
    COLLECTOR(plan, PLAN);
    p->target.n_headers = 2;
    p->headers[0] = copy_of(p, "a:b");
}

static const struct {
    const char *label;
    void (*break_it)(struct parts *parts);
} rules[] = {
    {"NaN", not_a_number},
    {"infinity", infinite},
    {"-infinity", minus_infinite},
    {"two kinds of values", two_kinds},
    {"two kinds of values of the right sum", two_kinds_of_the_right_sum},
    {"fewer counts than buckets", fewer_counts_than_buckets},
    {"fewer buckets than counts", fewer_buckets_than_counts},
    {"no values", no_values},
    {"no series", no_series},
    {"no times", no_times},
    {"a value too many", one_value_too_many},
    {"a value missing", one_value_missing},
    {"columns of different length", columns_differ},
    {"a column missing", column_missing},
    {"targets missing", target_missing},
    {"label without value", label_without_value},
    {"labels descending", labels_descending},
    {"labels repeated", labels_repeated},
    {"label in capitals", label_in_capitals},
    {"label from a digit", label_from_a_digit},
    {"label without name", label_without_name},
    {"metric without name", metric_without_name},
    {"metric with blank", metric_with_blank},
    {"newline", value_with_newline},
    {"escape", value_with_escape},
    {"delete", value_with_delete},
    {"C1", value_with_c1},
    {"Latin-1", value_in_latin1},
    {"cut", value_cut},
    {"overlong", value_overlong},
    {"overlong of 3", value_overlong_3},
    {"surrogate", value_surrogate},
    {"beyond Unicode", value_beyond_unicode},
    {"no body", no_body},
    {"host with slash", host_with_slash},
    {"no host", no_host},
    {"range without end", range_without_end},
    {"range backwards", range_backwards},
    {"ranges descending", ranges_descending},
    {"no url", no_url},
    {"harmful method", harmful_method},
    {"header injected", header_injected},
    {"header without value", header_without_value},
    {"header's name with colon", header_name_with_colon},
};

static void each_broken_rule_is_refused_with_a_word(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        struct parts *parts = parts_new();
        struct error err = {0};
        rules[i].break_it(parts);
        int result = decode(parts, &err);
        bool right = result == -1 && err.kind == ERROR_INPUT && err.text[0] != '\0';
        if (!right) fprintf(stderr, "%s: %s\n", rules[i].label, result == 0 ? "decoded" : err.text);
        CU_ASSERT(right);
        parts_free(parts);
    }
}

static void special_values_that_are_finite_pass(void)
{
    const double values[] = {0.0, -0.0, DBL_MAX, -DBL_MAX, DBL_MIN, 4.9e-324, 9007199254740993.0};
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        struct parts *parts = parts_new();
        set_double(parts, values[i]);
        CU_ASSERT_EQUAL(decode(parts, NULL), 0);
        parts_free(parts);
    }
}

UNIT_MAIN("wire_limits",
    {"each bound holds at its value and refuses one more",
        each_bound_holds_at_its_value_and_refuses_one_more},
    {"each broken rule is refused with a word", each_broken_rule_is_refused_with_a_word},
    {"special values that are finite pass", special_values_that_are_finite_pass})

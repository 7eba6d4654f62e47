#include <string.h>

#include "proto/faultline.pb-c.h"
#include "proto/limits.h"
#include "proto/wire.h"
#include "proto/wire_check.h"
#include "proto/wire_scan.h"

#define PB(name) struct Faultline__Wire__##name

/* protobuf-c unpacks into the caller's arena, which holds the budget; nothing is freed one by one. */
struct decode {
    struct arena *arena;
    bool spent; /* the budget did not suffice */
};

static void *decode_alloc(void *owner, size_t size)
{
    struct decode *decode = owner;
    void *memory = arena_alloc(decode->arena, size);
    if (memory == NULL) decode->spent = true;
    return memory;
}

static void decode_free(void *owner, void *memory)
{
    (void)owner;
    (void)memory;
}

static void *decode_array(struct decode *decode, size_t count, size_t size, struct error *err)
{
    void *memory = arena_alloc_array(decode->arena, count, size);
    if (memory == NULL) fail(err, ERROR_LIMIT, "frame needs more than %d bytes unpacked", LIMIT_DECODE_BYTES);
    return memory;
}

static void *decode_unpack(
    struct decode *decode, struct span frame, const ProtobufCMessageDescriptor *type, struct error *err)
{
    if (wire_scan(frame, type, err) != 0) return NULL;
    ProtobufCAllocator allocator = {.alloc = decode_alloc, .free = decode_free, .allocator_data = decode};
    void *message = protobuf_c_message_unpack(type, &allocator, frame.size, frame.data);
    if (message != NULL) return message;
    if (decode->spent)
        fail(err, ERROR_LIMIT, "frame needs more than %d bytes unpacked", LIMIT_DECODE_BYTES);
    else
        fail(err, ERROR_INPUT, "%s is malformed", type->short_name);
    return NULL;
}

static int labels_from(char *const *texts, size_t text_count, struct wire_label labels[static LIMIT_LABELS],
    size_t *count, struct error *err)
{
    if (text_count % 2 != 0) return fail(err, ERROR_INPUT, "a label without value");
    if (text_count / 2 > LIMIT_LABELS) return fail(err, ERROR_LIMIT, "more than %d labels", LIMIT_LABELS);
    *count = text_count / 2;
    for (size_t i = 0; i < *count; i++)
        labels[i] = (struct wire_label){.name = texts[2 * i], .value = texts[2 * i + 1]};
    return 0;
}

static int dict_from(const PB(Batch) * in, struct decode *decode, struct wire_batch *batch, struct error *err)
{
    struct wire_dict_entry *dict = decode_array(decode, in->n_dict, sizeof *dict, err);
    if (dict == NULL) return -1;
    for (size_t i = 0; i < in->n_dict; i++) {
        const PB(DictEntry) *entry = in->dict[i];
        dict[i].id = entry->id;
        dict[i].metric = entry->metric;
        if (labels_from(entry->labels, entry->n_labels, dict[i].labels, &dict[i].label_count, err) != 0)
            return fail_context(err, "dictionary id %u", entry->id);
    }
    batch->dict = dict;
    batch->dict_count = in->n_dict;
    return 0;
}

/* Sums of differences are modulo 2^64, as the encoder's differences are: every int64 comes back. */
static void add_up(int64_t *values, size_t count, uint64_t start)
{
    for (size_t i = 0; i < count; i++) values[i] = (int64_t)(start += (uint64_t)values[i]);
}

static int histogram_from(PB(Histogram) * in, struct wire_histogram *out, struct error *err)
{
    if (in->n_buckets != in->n_counts)
        return fail(err, ERROR_INPUT, "histogram of %zu buckets and %zu counts", in->n_buckets, in->n_counts);
    uint64_t bucket = 0;
    for (size_t i = 0; i < in->n_buckets; i++) {
        bucket += in->buckets[i];
        if (bucket >= LIMIT_BUCKETS)
            return fail(err, ERROR_LIMIT, "histogram's bucket above %d", LIMIT_BUCKETS - 1);
        in->buckets[i] = (uint32_t)bucket;
    }
    *out = (struct wire_histogram){
        .buckets = in->buckets, .counts = in->counts, .count = in->n_buckets, .sum = in->sum};
    return 0;
}

static int rows_from(
    PB(Rows) * in, int64_t base_ms, struct decode *decode, struct wire_rows *out, struct error *err)
{
    int kinds = (in->n_ints > 0) + (in->n_doubles > 0) + (in->n_histograms > 0);
    if (kinds != 1) return fail(err, ERROR_INPUT, "rows need one kind of values");
    size_t count = in->n_ints + in->n_doubles + in->n_histograms;
    size_t series_count = in->n_series, time_count = in->n_offset_ms;
    if (series_count == 0 || time_count == 0 || count % time_count != 0 || count / time_count != series_count)
        return fail(err, ERROR_INPUT, "rows of %zu series and %zu times with %zu values", series_count,
            time_count, count);
    add_up(in->offset_ms, time_count, (uint64_t)base_ms);
    *out = (struct wire_rows){.series = in->series,
        .series_count = series_count,
        .times_ms = in->offset_ms,
        .time_count = time_count};
    if (in->n_ints > 0) {
        for (size_t s = 0; s < series_count; s++) add_up(in->ints + s * time_count, time_count, 0);
        out->ints = in->ints;
        return 0;
    }
    if (in->n_doubles > 0) {
        out->doubles = in->doubles;
        return 0;
    }
    struct wire_histogram *histograms = decode_array(decode, count, sizeof *histograms, err);
    if (histograms == NULL) return -1;
    for (size_t i = 0; i < count; i++)
        if (histogram_from(in->histograms[i], &histograms[i], err) != 0) return -1;
    out->histograms = histograms;
    return 0;
}

static int probes_from(
    const PB(Probes) * in, struct decode *decode, struct wire_batch *batch, struct error *err)
{
    if (in == NULL) return 0;
    size_t count = in->n_target;
    const size_t lengths[] = {in->n_start_offset_ms, in->n_outcome, in->n_error, in->n_code, in->n_resolve_us,
        in->n_connect_us, in->n_tls_us, in->n_first_byte_us, in->n_total_us, in->n_flags};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        if (lengths[i] != count) return fail(err, ERROR_INPUT, "columns of probes differ in length");
    struct wire_probe *probes = decode_array(decode, count, sizeof *probes, err);
    if (probes == NULL) return -1;
    for (size_t i = 0; i < count; i++) {
        probes[i] = (struct wire_probe){.target = in->target[i],
            .result = {.start_ms = (int64_t)((uint64_t)batch->base_ms + (uint64_t)in->start_offset_ms[i]),
                .outcome = in->outcome[i],
                .error = in->error[i],
                .code = in->code[i],
                .flags = in->flags[i],
                .resolve_us = in->resolve_us[i],
                .connect_us = in->connect_us[i],
                .tls_us = in->tls_us[i],
                .first_byte_us = in->first_byte_us[i],
                .total_us = in->total_us[i]}};
    }
    batch->probes = probes;
    batch->probe_count = count;
    return 0;
}

static int batch_from(
    const PB(Batch) * in, struct decode *decode, struct wire_batch *batch, struct error *err)
{
    *batch = (struct wire_batch){.incarnation = in->incarnation,
        .sequence = in->sequence,
        .base_ms = in->base_ms,
        .sent_mono_ms = in->sent_mono_ms,
        .sent_wall_ms = in->sent_wall_ms};
    if (dict_from(in, decode, batch, err) != 0) return -1;
    struct wire_rows *rows = decode_array(decode, in->n_rows, sizeof *rows, err);
    if (rows == NULL) return -1;
    for (size_t i = 0; i < in->n_rows; i++)
        if (rows_from(in->rows[i], in->base_ms, decode, &rows[i], err) != 0) return -1;
    batch->rows = rows;
    batch->rows_count = in->n_rows;
    if (probes_from(in->probes, decode, batch, err) != 0) return -1;
    struct wire_gap *gaps = decode_array(decode, in->n_gaps, sizeof *gaps, err);
    if (gaps == NULL) return -1;
    for (size_t i = 0; i < in->n_gaps; i++) {
        const PB(Gap) *gap = in->gaps[i];
        gaps[i] = (struct wire_gap){
            .from = gap->from, .to = gap->to, .samples = gap->samples, .reason = gap->reason};
    }
    batch->gaps = gaps;
    batch->gap_count = in->n_gaps;
    return 0;
}

static int hello_from(const PB(Hello) * in, struct wire_hello *hello, struct error *err)
{
    *hello = (struct wire_hello){.protocol = in->protocol,
        .version = in->version,
        .incarnation = in->incarnation,
        .wall_ms = in->wall_ms,
        .mono_ms = in->mono_ms,
        .next_sequence = in->next_sequence,
        .oldest_sequence = in->oldest_sequence,
        .capabilities = in->capabilities,
        .plan_version = in->plan_version};
    if (in->boot_id.len != sizeof hello->boot_id)
        return fail(
            err, ERROR_INPUT, "boot_id of %zu bytes instead of %zu", in->boot_id.len, sizeof hello->boot_id);
    memcpy(hello->boot_id, in->boot_id.data, sizeof hello->boot_id);
    return 0;
}

static int ack_from(const PB(Ack) * in, struct wire_ack *ack, struct error *err)
{
    *ack = (struct wire_ack){.incarnation = in->incarnation,
        .floor = in->floor,
        .credit = in->credit,
        .echo_mono_ms = in->echo_mono_ms,
        .wall_ms = in->wall_ms};
    if (in->n_ranges % 2 != 0) return fail(err, ERROR_INPUT, "an acknowledged range without end");
    if (in->n_ranges / 2 > LIMIT_ACK_RANGES)
        return fail(err, ERROR_LIMIT, "more than %d ranges acknowledged", LIMIT_ACK_RANGES);
    ack->range_count = in->n_ranges / 2;
    for (size_t i = 0; i < ack->range_count; i++)
        ack->ranges[i] = (struct wire_range){.first = in->ranges[2 * i], .last = in->ranges[2 * i + 1]};
    return 0;
}

static int target_from(
    const PB(Target) * in, struct decode *decode, struct wire_target *target, struct error *err)
{
    *target = (struct wire_target){.key = in->key,
        .probe = in->probe,
        .url = in->url,
        .connect = in->connect,
        .interval_ms = in->interval_ms,
        .phase_ms = in->phase_ms,
        .late_after_ms = in->late_after_ms,
        .timeout_ms = in->timeout_ms,
        .long_timeout_ms = in->long_timeout_ms,
        .expect_code_min = in->expect_code_min,
        .expect_code_max = in->expect_code_max,
        .expect_text = in->expect_text,
        .insecure = in->insecure,
        .each_address = in->each_address,
        .follow = in->follow,
        .credentials_file = in->credentials_file,
        .method = in->method};
    if (in->n_headers % 2 != 0) return fail(err, ERROR_INPUT, "a header without value");
    if (in->n_headers / 2 > LIMIT_HEADERS)
        return fail(err, ERROR_LIMIT, "more than %d headers", LIMIT_HEADERS);
    struct wire_header *headers = decode_array(decode, in->n_headers / 2, sizeof *headers, err);
    if (headers == NULL) return -1;
    for (size_t i = 0; i < in->n_headers / 2; i++)
        headers[i] = (struct wire_header){.name = in->headers[2 * i], .value = in->headers[2 * i + 1]};
    target->headers = headers;
    target->header_count = in->n_headers / 2;
    return labels_from(in->labels, in->n_labels, target->labels, &target->label_count, err);
}

static int plan_from(const PB(Plan) * in, struct decode *decode, struct wire_plan *plan, struct error *err)
{
    if (in->n_targets > LIMIT_TARGETS_PER_PLAN_PART)
        return fail(
            err, ERROR_LIMIT, "more than %d targets in a part of a plan", LIMIT_TARGETS_PER_PLAN_PART);
    struct wire_target *targets = decode_array(decode, in->n_targets, sizeof *targets, err);
    if (targets == NULL) return -1;
    for (size_t i = 0; i < in->n_targets; i++)
        if (target_from(in->targets[i], decode, &targets[i], err) != 0)
            return fail_context(err, "target %zu", i);
    *plan = (struct wire_plan){.version = in->version,
        .part = in->part,
        .parts = in->parts,
        .targets = targets,
        .target_count = in->n_targets};
    return 0;
}

static int from_agent(
    struct span frame, struct decode *decode, struct wire_from_agent *message, struct error *err)
{
    PB(FromAgent) *in = decode_unpack(decode, frame, &faultline__wire__from_agent__descriptor, err);
    if (in == NULL) return -1;
    switch (in->body_case) {
    case FAULTLINE__WIRE__FROM_AGENT__BODY_HELLO:
        message->kind = WIRE_HELLO;
        return hello_from(in->hello, &message->hello, err);
    case FAULTLINE__WIRE__FROM_AGENT__BODY_BATCH:
        message->kind = WIRE_BATCH;
        return batch_from(in->batch, decode, &message->batch, err);
    default: return fail(err, ERROR_INPUT, "message of no known kind");
    }
}

static int from_collector(
    struct span frame, struct decode *decode, struct wire_from_collector *message, struct error *err)
{
    PB(FromCollector) *in = decode_unpack(decode, frame, &faultline__wire__from_collector__descriptor, err);
    if (in == NULL) return -1;
    switch (in->body_case) {
    case FAULTLINE__WIRE__FROM_COLLECTOR__BODY_WELCOME:
        message->kind = WIRE_WELCOME;
        message->welcome = (struct wire_welcome){.collector = in->welcome->collector,
            .host = in->welcome->host,
            .wall_ms = in->welcome->wall_ms,
            .credit = in->welcome->credit};
        return 0;
    case FAULTLINE__WIRE__FROM_COLLECTOR__BODY_ACK:
        message->kind = WIRE_ACK;
        return ack_from(in->ack, &message->ack, err);
    case FAULTLINE__WIRE__FROM_COLLECTOR__BODY_PLAN:
        message->kind = WIRE_PLAN;
        return plan_from(in->plan, decode, &message->plan, err);
    case FAULTLINE__WIRE__FROM_COLLECTOR__BODY_BURST:
        message->kind = WIRE_BURST;
        message->burst = (struct wire_burst){.keys = in->burst->keys,
            .key_count = in->burst->n_keys,
            .duration_ms = in->burst->duration_ms,
            .interval_ms = in->burst->interval_ms,
            .phase_ms = in->burst->phase_ms};
        return 0;
    case FAULTLINE__WIRE__FROM_COLLECTOR__BODY_NEED_DICT:
        message->kind = WIRE_NEED_DICT;
        message->need_dict.incarnation = in->need_dict->incarnation;
        return 0;
    case FAULTLINE__WIRE__FROM_COLLECTOR__BODY_RETRY_AFTER:
        message->kind = WIRE_RETRY_AFTER;
        message->retry_after =
            (struct wire_retry_after){.ms = in->retry_after->ms, .reason = in->retry_after->reason};
        return 0;
    default: return fail(err, ERROR_INPUT, "message of no known kind");
    }
}

/* What is left of the arena's own budget, but at most what one frame may take. Returns what to put back. */
static size_t budget_narrow(struct arena *arena)
{
    size_t before = arena->bytes_max;
    size_t most = arena->used + LIMIT_DECODE_BYTES;
    if (before == 0 || before > most) arena->bytes_max = most;
    return before;
}

int wire_decode_from_agent(
    struct span frame, struct arena *arena, struct wire_from_agent *message, struct error *err)
{
    struct decode decode = {.arena = arena};
    struct wire_from_agent decoded = {0};
    size_t bytes_max = budget_narrow(arena);
    int result = from_agent(frame, &decode, &decoded, err);
    arena->bytes_max = bytes_max;
    if (result != 0 || wire_check_from_agent(&decoded, err) != 0) return -1;
    *message = decoded;
    return 0;
}

int wire_decode_from_collector(
    struct span frame, struct arena *arena, struct wire_from_collector *message, struct error *err)
{
    struct decode decode = {.arena = arena};
    struct wire_from_collector decoded = {0};
    size_t bytes_max = budget_narrow(arena);
    int result = from_collector(frame, &decode, &decoded, err);
    arena->bytes_max = bytes_max;
    if (result != 0 || wire_check_from_collector(&decoded, err) != 0) return -1;
    *message = decoded;
    return 0;
}

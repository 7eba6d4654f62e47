#include <stdint.h>

#include "proto/faultline.pb-c.h"
#include "proto/limits.h"
#include "proto/wire.h"
#include "proto/wire_check.h"
#include "proto/wire_scan.h"

#define PB(name) struct Faultline__Wire__##name

/* protobuf-c's structs are not const, though packing only reads them. */
#define READ_ONLY(pointer) ((void *)(uintptr_t)(pointer))

static char **labels_of(struct arena *arena, const struct wire_label *labels, size_t count)
{
    char **texts = arena_alloc_array(arena, 2 * count, sizeof *texts);
    for (size_t i = 0; i < count; i++) {
        texts[2 * i] = READ_ONLY(labels[i].name);
        texts[2 * i + 1] = READ_ONLY(labels[i].value);
    }
    return texts;
}

/* Difference modulo 2^64, the decoder's add_up backwards. */
static int64_t difference(int64_t value, int64_t before)
{
    return (int64_t)((uint64_t)value - (uint64_t)before);
}

static int64_t *differences(
    struct arena *arena, const int64_t *values, size_t row_count, size_t row_length, int64_t start)
{
    int64_t *result = arena_alloc_array(arena, row_count * row_length, sizeof *result);
    for (size_t r = 0; r < row_count; r++) {
        int64_t before = start;
        for (size_t i = r * row_length; i < (r + 1) * row_length; i++) {
            result[i] = difference(values[i], before);
            before = values[i];
        }
    }
    return result;
}

static PB(Histogram) * histogram_of(struct arena *arena, const struct wire_histogram *histogram)
{
    PB(Histogram) *out = arena_alloc(arena, sizeof *out);
    faultline__wire__histogram__init(out);
    out->buckets = arena_alloc_array(arena, histogram->count, sizeof *out->buckets);
    for (size_t i = 0; i < histogram->count; i++)
        out->buckets[i] = histogram->buckets[i] - (i > 0 ? histogram->buckets[i - 1] : 0);
    out->counts = READ_ONLY(histogram->counts);
    out->n_buckets = out->n_counts = histogram->count;
    out->sum = histogram->sum;
    return out;
}

static PB(Rows) * rows_of(struct arena *arena, const struct wire_rows *rows, int64_t base_ms)
{
    PB(Rows) *out = arena_alloc(arena, sizeof *out);
    faultline__wire__rows__init(out);
    size_t count = rows->series_count * rows->time_count;
    out->n_series = rows->series_count;
    out->series = READ_ONLY(rows->series);
    out->n_offset_ms = rows->time_count;
    out->offset_ms = differences(arena, rows->times_ms, 1, rows->time_count, base_ms);
    if (rows->ints != NULL) {
        out->n_ints = count;
        out->ints = differences(arena, rows->ints, rows->series_count, rows->time_count, 0);
    } else if (rows->doubles != NULL) {
        out->n_doubles = count;
        out->doubles = READ_ONLY(rows->doubles);
    } else {
        out->n_histograms = count;
        out->histograms = arena_alloc_array(arena, count, sizeof *out->histograms);
        for (size_t i = 0; i < count; i++) out->histograms[i] = histogram_of(arena, &rows->histograms[i]);
    }
    return out;
}

static PB(Probes) * probes_of(struct arena *arena, const struct wire_batch *batch)
{
    if (batch->probe_count == 0) return NULL;
    PB(Probes) *out = arena_alloc(arena, sizeof *out);
    faultline__wire__probes__init(out);
    size_t count = batch->probe_count;
    struct { /* each column, so that none is forgotten below */
        size_t *length;
        uint32_t **values;
    } const narrow[] = {{&out->n_target, &out->target}, {&out->n_outcome, &out->outcome},
        {&out->n_error, &out->error}, {&out->n_code, &out->code}, {&out->n_flags, &out->flags}};
    struct {
        size_t *length;
        int64_t **values;
    } const wide[] = {{&out->n_start_offset_ms, &out->start_offset_ms},
        {&out->n_resolve_us, &out->resolve_us}, {&out->n_connect_us, &out->connect_us},
        {&out->n_tls_us, &out->tls_us}, {&out->n_first_byte_us, &out->first_byte_us},
        {&out->n_total_us, &out->total_us}};
    for (size_t i = 0; i < sizeof narrow / sizeof narrow[0]; i++) {
        *narrow[i].length = count;
        *narrow[i].values = arena_alloc_array(arena, count, sizeof(uint32_t));
    }
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++) {
        *wide[i].length = count;
        *wide[i].values = arena_alloc_array(arena, count, sizeof(int64_t));
    }
    for (size_t i = 0; i < count; i++) {
        const struct probe_result *result = &batch->probes[i].result;
        out->target[i] = batch->probes[i].target;
        out->start_offset_ms[i] = difference(result->start_ms, batch->base_ms);
        out->outcome[i] = result->outcome;
        out->error[i] = result->error;
        out->code[i] = result->code;
        out->flags[i] = result->flags;
        out->resolve_us[i] = result->resolve_us;
        out->connect_us[i] = result->connect_us;
        out->tls_us[i] = result->tls_us;
        out->first_byte_us[i] = result->first_byte_us;
        out->total_us[i] = result->total_us;
    }
    return out;
}

static PB(Batch) * batch_of(struct arena *arena, const struct wire_batch *batch)
{
    PB(Batch) *out = arena_alloc(arena, sizeof *out);
    faultline__wire__batch__init(out);
    out->incarnation = batch->incarnation;
    out->sequence = batch->sequence;
    out->base_ms = batch->base_ms;
    out->sent_mono_ms = batch->sent_mono_ms;
    out->sent_wall_ms = batch->sent_wall_ms;
    out->n_dict = batch->dict_count;
    out->dict = arena_alloc_array(arena, batch->dict_count, sizeof *out->dict);
    for (size_t i = 0; i < batch->dict_count; i++) {
        const struct wire_dict_entry *entry = &batch->dict[i];
        PB(DictEntry) *pb = out->dict[i] = arena_alloc(arena, sizeof *pb);
        faultline__wire__dict_entry__init(pb);
        pb->id = entry->id;
        pb->metric = READ_ONLY(entry->metric);
        pb->n_labels = 2 * entry->label_count;
        pb->labels = labels_of(arena, entry->labels, entry->label_count);
    }
    out->n_rows = batch->rows_count;
    out->rows = arena_alloc_array(arena, batch->rows_count, sizeof *out->rows);
    for (size_t i = 0; i < batch->rows_count; i++)
        out->rows[i] = rows_of(arena, &batch->rows[i], batch->base_ms);
    out->probes = probes_of(arena, batch);
    out->n_gaps = batch->gap_count;
    out->gaps = arena_alloc_array(arena, batch->gap_count, sizeof *out->gaps);
    for (size_t i = 0; i < batch->gap_count; i++) {
        PB(Gap) *gap = out->gaps[i] = arena_alloc(arena, sizeof *gap);
        faultline__wire__gap__init(gap);
        gap->from = batch->gaps[i].from;
        gap->to = batch->gaps[i].to;
        gap->samples = batch->gaps[i].samples;
        gap->reason = batch->gaps[i].reason;
    }
    return out;
}

static PB(Hello) * hello_of(struct arena *arena, const struct wire_hello *hello)
{
    PB(Hello) *out = arena_alloc(arena, sizeof *out);
    faultline__wire__hello__init(out);
    out->protocol = hello->protocol;
    out->version = READ_ONLY(hello->version);
    out->incarnation = hello->incarnation;
    out->boot_id = (ProtobufCBinaryData){.len = sizeof hello->boot_id, .data = READ_ONLY(hello->boot_id)};
    out->wall_ms = hello->wall_ms;
    out->mono_ms = hello->mono_ms;
    out->next_sequence = hello->next_sequence;
    out->oldest_sequence = hello->oldest_sequence;
    out->capabilities = hello->capabilities;
    out->plan_version = hello->plan_version;
    return out;
}

static PB(Welcome) * welcome_of(struct arena *arena, const struct wire_welcome *welcome)
{
    PB(Welcome) *out = arena_alloc(arena, sizeof *out);
    faultline__wire__welcome__init(out);
    out->collector = READ_ONLY(welcome->collector);
    out->host = READ_ONLY(welcome->host);
    out->wall_ms = welcome->wall_ms;
    out->credit = welcome->credit;
    return out;
}

static PB(Ack) * ack_of(struct arena *arena, const struct wire_ack *ack)
{
    PB(Ack) *out = arena_alloc(arena, sizeof *out);
    faultline__wire__ack__init(out);
    out->incarnation = ack->incarnation;
    out->floor = ack->floor;
    out->credit = ack->credit;
    out->echo_mono_ms = ack->echo_mono_ms;
    out->wall_ms = ack->wall_ms;
    out->n_ranges = 2 * ack->range_count;
    out->ranges = arena_alloc_array(arena, out->n_ranges, sizeof *out->ranges);
    for (size_t i = 0; i < ack->range_count; i++) {
        out->ranges[2 * i] = ack->ranges[i].first;
        out->ranges[2 * i + 1] = ack->ranges[i].last;
    }
    return out;
}

static PB(Target) * target_of(struct arena *arena, const struct wire_target *target)
{
    PB(Target) *out = arena_alloc(arena, sizeof *out);
    faultline__wire__target__init(out);
    out->key = target->key;
    out->probe = target->probe;
    out->url = READ_ONLY(target->url);
    out->connect = READ_ONLY(target->connect);
    out->n_headers = 2 * target->header_count;
    out->headers = arena_alloc_array(arena, out->n_headers, sizeof *out->headers);
    for (size_t i = 0; i < target->header_count; i++) {
        out->headers[2 * i] = READ_ONLY(target->headers[i].name);
        out->headers[2 * i + 1] = READ_ONLY(target->headers[i].value);
    }
    out->interval_ms = target->interval_ms;
    out->phase_ms = target->phase_ms;
    out->late_after_ms = target->late_after_ms;
    out->timeout_ms = target->timeout_ms;
    out->long_timeout_ms = target->long_timeout_ms;
    out->expect_code_min = target->expect_code_min;
    out->expect_code_max = target->expect_code_max;
    out->expect_text = READ_ONLY(target->expect_text);
    out->insecure = target->insecure;
    out->each_address = target->each_address;
    out->follow = target->follow;
    out->credentials_file = READ_ONLY(target->credentials_file);
    out->method = READ_ONLY(target->method);
    out->n_labels = 2 * target->label_count;
    out->labels = labels_of(arena, target->labels, target->label_count);
    return out;
}

static PB(Plan) * plan_of(struct arena *arena, const struct wire_plan *plan)
{
    PB(Plan) *out = arena_alloc(arena, sizeof *out);
    faultline__wire__plan__init(out);
    out->version = plan->version;
    out->part = plan->part;
    out->parts = plan->parts;
    out->n_targets = plan->target_count;
    out->targets = arena_alloc_array(arena, plan->target_count, sizeof *out->targets);
    for (size_t i = 0; i < plan->target_count; i++) out->targets[i] = target_of(arena, &plan->targets[i]);
    return out;
}

static PB(Burst) * burst_of(struct arena *arena, const struct wire_burst *burst)
{
    PB(Burst) *out = arena_alloc(arena, sizeof *out);
    faultline__wire__burst__init(out);
    out->n_keys = burst->key_count;
    out->keys = READ_ONLY(burst->keys);
    out->duration_ms = burst->duration_ms;
    out->interval_ms = burst->interval_ms;
    out->phase_ms = burst->phase_ms;
    return out;
}

static PB(NeedDict) * need_dict_of(struct arena *arena, uint64_t incarnation)
{
    PB(NeedDict) *out = arena_alloc(arena, sizeof *out);
    faultline__wire__need_dict__init(out);
    out->incarnation = incarnation;
    return out;
}

static PB(RetryAfter) * retry_after_of(struct arena *arena, const struct wire_retry_after *retry)
{
    PB(RetryAfter) *out = arena_alloc(arena, sizeof *out);
    faultline__wire__retry_after__init(out);
    out->ms = retry->ms;
    out->reason = READ_ONLY(retry->reason);
    return out;
}

/* Packs behind what is in out; what was packed has to pass the receiver's scan. */
static int pack(const ProtobufCMessage *message, struct buffer *out, struct error *err)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size > LIMIT_FRAME_BYTES)
        return fail(err, ERROR_LIMIT, "frame of %zu bytes, at most %d", size, LIMIT_FRAME_BYTES);
    uint8_t *room = buffer_reserve(out, size, err);
    if (room == NULL) return -1;
    protobuf_c_message_pack(message, room);
    if (wire_scan(span_of(room, size), message->descriptor, err) != 0) return -1;
    out->size += size;
    return 0;
}

int wire_encode_from_agent(const struct wire_from_agent *message, struct buffer *out, struct error *err)
{
    if (wire_check_from_agent(message, err) != 0) return -1;
    struct arena arena = {0}; /* unbounded: what it holds has been checked */
    PB(FromAgent) frame = FAULTLINE__WIRE__FROM_AGENT__INIT;
    switch (message->kind) {
    case WIRE_HELLO:
        frame.body_case = FAULTLINE__WIRE__FROM_AGENT__BODY_HELLO;
        frame.hello = hello_of(&arena, &message->hello);
        break;
    case WIRE_BATCH:
        frame.body_case = FAULTLINE__WIRE__FROM_AGENT__BODY_BATCH;
        frame.batch = batch_of(&arena, &message->batch);
        break;
    }
    int result = pack(&frame.base, out, err);
    arena_fini(&arena);
    return result;
}

int wire_encode_from_collector(
    const struct wire_from_collector *message, struct buffer *out, struct error *err)
{
    if (wire_check_from_collector(message, err) != 0) return -1;
    struct arena arena = {0};
    PB(FromCollector) frame = FAULTLINE__WIRE__FROM_COLLECTOR__INIT;
    switch (message->kind) {
    case WIRE_WELCOME:
        frame.body_case = FAULTLINE__WIRE__FROM_COLLECTOR__BODY_WELCOME;
        frame.welcome = welcome_of(&arena, &message->welcome);
        break;
    case WIRE_ACK:
        frame.body_case = FAULTLINE__WIRE__FROM_COLLECTOR__BODY_ACK;
        frame.ack = ack_of(&arena, &message->ack);
        break;
    case WIRE_PLAN:
        frame.body_case = FAULTLINE__WIRE__FROM_COLLECTOR__BODY_PLAN;
        frame.plan = plan_of(&arena, &message->plan);
        break;
    case WIRE_BURST:
        frame.body_case = FAULTLINE__WIRE__FROM_COLLECTOR__BODY_BURST;
        frame.burst = burst_of(&arena, &message->burst);
        break;
    case WIRE_NEED_DICT:
        frame.body_case = FAULTLINE__WIRE__FROM_COLLECTOR__BODY_NEED_DICT;
        frame.need_dict = need_dict_of(&arena, message->need_dict.incarnation);
        break;
    case WIRE_RETRY_AFTER:
        frame.body_case = FAULTLINE__WIRE__FROM_COLLECTOR__BODY_RETRY_AFTER;
        frame.retry_after = retry_after_of(&arena, &message->retry_after);
        break;
    }
    int result = pack(&frame.base, out, err);
    arena_fini(&arena);
    return result;
}

#include "proto/wire_check.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "common/check.h"
#include "proto/limits.h"
#include "proto/wire_text.h"

static int check_time(int64_t time_ms, const char *what, struct error *err)
{
    if (time_ms >= 0 && time_ms <= LIMIT_TIME_MS) return 0;
    return fail(err, ERROR_INPUT, "%s is not between 1970 and 9999", what);
}

static int check_sequence(uint64_t sequence, struct error *err)
{
    if (sequence > 0 && sequence <= LIMIT_SEQUENCE) return 0;
    return fail(err, ERROR_INPUT, "sequence %llu; they count from 1", (unsigned long long)sequence);
}

static int check_labels(const struct wire_label *labels, size_t count, struct error *err)
{
    if (count > LIMIT_LABELS) return fail(err, ERROR_LIMIT, "more than %d labels", LIMIT_LABELS);
    for (size_t i = 0; i < count; i++) {
        if (!wire_name_ok(labels[i].name, LIMIT_LABEL_NAME_BYTES))
            return fail(err, ERROR_INPUT, "a label's name is not [a-z_][a-z0-9_]* of at most %d bytes",
                LIMIT_LABEL_NAME_BYTES);
        if (!wire_label_value_ok(labels[i].value))
            return fail(err, ERROR_INPUT, "value of label %s is not text of at most %d bytes", labels[i].name,
                LIMIT_LABEL_VALUE_BYTES);
        if (i > 0 && strcmp(labels[i - 1].name, labels[i].name) >= 0)
            return fail(err, ERROR_INPUT, "names of labels are not ascending at %s", labels[i].name);
    }
    return 0;
}

static int check_dict_entry(const struct wire_dict_entry *entry, struct error *err)
{
    if (entry->id == 0 || entry->id > LIMIT_DICT_ID)
        return fail(err, ERROR_INPUT, "dictionary id %u is not within 1..%d", entry->id, LIMIT_DICT_ID);
    if (!wire_name_ok(entry->metric, LIMIT_METRIC_BYTES))
        return fail(err, ERROR_INPUT,
            "metric of dictionary id %u is not [a-z_][a-z0-9_]* of at most %d bytes", entry->id,
            LIMIT_METRIC_BYTES);
    if (check_labels(entry->labels, entry->label_count, err) != 0)
        return fail_context(err, "dictionary id %u", entry->id);
    return 0;
}

static int check_histogram(const struct wire_histogram *histogram, struct error *err)
{
    uint64_t total = 0;
    for (size_t i = 0; i < histogram->count; i++) {
        if (histogram->buckets[i] >= LIMIT_BUCKETS)
            return fail(err, ERROR_LIMIT, "histogram's bucket %u, at most %d", histogram->buckets[i],
                LIMIT_BUCKETS - 1);
        if (i > 0 && histogram->buckets[i] <= histogram->buckets[i - 1])
            return fail(err, ERROR_INPUT, "histogram's buckets are not ascending");
        if (histogram->counts[i] == 0) return fail(err, ERROR_INPUT, "histogram tells an empty bucket");
        if (__builtin_add_overflow(total, histogram->counts[i], &total))
            return fail(err, ERROR_INPUT, "histogram's counts exceed 64 bits");
    }
    return 0;
}

static bool all_finite(const double *values, size_t count)
{
    bool good = true;
    for (size_t i = 0; i < count; i++) good &= fabs(values[i]) <= 1.7976931348623157e308; /* false for NaN */
    return good;
}

static int check_rows(const struct wire_rows *rows, struct error *err)
{
    if ((rows->ints != NULL) + (rows->doubles != NULL) + (rows->histograms != NULL) != 1)
        return fail(err, ERROR_INPUT, "rows need one kind of values");
    if (rows->series_count == 0 || rows->time_count == 0)
        return fail(err, ERROR_INPUT, "rows without series or times");
    if (rows->series_count > LIMIT_SERIES_PER_HOST)
        return fail(err, ERROR_LIMIT, "rows of more than %d series", LIMIT_SERIES_PER_HOST);
    size_t count;
    if (__builtin_mul_overflow(rows->series_count, rows->time_count, &count) || count > LIMIT_PACKED_VALUES)
        return fail(err, ERROR_LIMIT, "rows of more than %d values", LIMIT_PACKED_VALUES);
    for (size_t i = 0; i < rows->series_count; i++)
        if (rows->series[i] == 0 || rows->series[i] > LIMIT_DICT_ID)
            return fail(
                err, ERROR_INPUT, "dictionary id %u is not within 1..%d", rows->series[i], LIMIT_DICT_ID);
    for (size_t i = 0; i < rows->time_count; i++)
        if (check_time(rows->times_ms[i], "a sample's time", err) != 0) return -1;
    if (rows->doubles != NULL && !all_finite(rows->doubles, count))
        return fail(err, ERROR_INPUT, "a value is not finite");
    for (size_t i = 0; rows->histograms != NULL && i < count; i++)
        if (check_histogram(&rows->histograms[i], err) != 0) return -1;
    return 0;
}

static int check_probe(const struct wire_probe *probe, struct error *err)
{
    const struct probe_result *result = &probe->result;
    if (probe->target == 0 || probe->target > LIMIT_DICT_ID)
        return fail(err, ERROR_INPUT, "dictionary id %u is not within 1..%d", probe->target, LIMIT_DICT_ID);
    if (check_time(result->start_ms, "a probe's start", err) != 0) return -1;
    if ((unsigned)result->outcome >= PROBE_OUTCOME_COUNT)
        return fail(err, ERROR_INPUT, "unknown outcome %u of a probe", (unsigned)result->outcome);
    if ((unsigned)result->error >= PROBE_ERROR_COUNT)
        return fail(err, ERROR_INPUT, "unknown error %u of a probe", (unsigned)result->error);
    const int64_t phases_us[] = {
        result->resolve_us, result->connect_us, result->tls_us, result->first_byte_us, result->total_us};
    for (size_t i = 0; i < ARRAY_COUNT(phases_us); i++)
        if (phases_us[i] < -1 || phases_us[i] > LIMIT_PHASE_US)
            return fail(err, ERROR_INPUT, "a phase of a probe took %lld us", (long long)phases_us[i]);
    return 0;
}

static int check_gap(const struct wire_gap *gap, struct error *err)
{
    if (check_sequence(gap->from, err) != 0 || check_sequence(gap->to, err) != 0) return -1;
    if (gap->to < gap->from)
        return fail(err, ERROR_INPUT, "gap from %llu to %llu", (unsigned long long)gap->from,
            (unsigned long long)gap->to);
    if (gap->reason == 0 || (unsigned)gap->reason >= WIRE_GAP_REASON_COUNT)
        return fail(err, ERROR_INPUT, "unknown reason %u of a gap", (unsigned)gap->reason);
    return 0;
}

static int check_batch(const struct wire_batch *batch, struct error *err)
{
    if (check_sequence(batch->sequence, err) != 0) return -1;
    if (check_time(batch->base_ms, "base_ms", err) != 0) return -1;
    if (check_time(batch->sent_wall_ms, "sent_wall_ms", err) != 0) return -1;
    if (batch->gap_count > LIMIT_GAPS_PER_BATCH)
        return fail(err, ERROR_LIMIT, "more than %d gaps in a batch", LIMIT_GAPS_PER_BATCH);
    if (batch->probe_count > LIMIT_PACKED_VALUES)
        return fail(err, ERROR_LIMIT, "more than %d probes in a batch", LIMIT_PACKED_VALUES);
    for (size_t i = 0; i < batch->dict_count; i++)
        if (check_dict_entry(&batch->dict[i], err) != 0) return -1;
    for (size_t i = 0; i < batch->rows_count; i++)
        if (check_rows(&batch->rows[i], err) != 0) return -1;
    for (size_t i = 0; i < batch->probe_count; i++)
        if (check_probe(&batch->probes[i], err) != 0) return -1;
    for (size_t i = 0; i < batch->gap_count; i++)
        if (check_gap(&batch->gaps[i], err) != 0) return -1;
    return 0;
}

static int check_hello(const struct wire_hello *hello, struct error *err)
{
    if (hello->protocol == 0) return fail(err, ERROR_INPUT, "protocol 0; it counts from 1");
    if (!wire_string_ok(hello->version, LIMIT_VERSION_BYTES))
        return fail(err, ERROR_INPUT, "version is not text of at most %d bytes", LIMIT_VERSION_BYTES);
    if (check_time(hello->wall_ms, "wall_ms", err) != 0) return -1;
    if (check_sequence(hello->next_sequence, err) != 0) return -1;
    if (hello->oldest_sequence > hello->next_sequence)
        return fail(err, ERROR_INPUT, "oldest sequence above the next one");
    return 0;
}

static int check_welcome(const struct wire_welcome *welcome, struct error *err)
{
    const char *letter = welcome->collector;
    if (letter[0] < 'A' || letter[0] > 'Z' || letter[1] != '\0')
        return fail(err, ERROR_INPUT, "collector is not one capital letter");
    if (!wire_host_ok(welcome->host))
        return fail(err, ERROR_INPUT, "host is not [A-Za-z0-9._-]+ of at most %d bytes", LIMIT_HOST_BYTES);
    if (welcome->credit > LIMIT_CREDIT)
        return fail(err, ERROR_LIMIT, "credit %u, at most %d", welcome->credit, LIMIT_CREDIT);
    return check_time(welcome->wall_ms, "wall_ms", err);
}

static int check_ack(const struct wire_ack *ack, struct error *err)
{
    if (ack->range_count > LIMIT_ACK_RANGES)
        return fail(err, ERROR_LIMIT, "more than %d ranges acknowledged", LIMIT_ACK_RANGES);
    uint64_t below = ack->floor;
    for (size_t i = 0; i < ack->range_count; i++) {
        const struct wire_range *range = &ack->ranges[i];
        if (range->first <= below || range->first - below < 2 || range->last < range->first)
            return fail(err, ERROR_INPUT, "acknowledged ranges are not ascending and apart");
        below = range->last;
    }
    if (below > LIMIT_SEQUENCE) return fail(err, ERROR_INPUT, "acknowledged sequences beyond 63 bits");
    if (ack->credit > LIMIT_CREDIT)
        return fail(err, ERROR_LIMIT, "credit %u, at most %d", ack->credit, LIMIT_CREDIT);
    return check_time(ack->wall_ms, "wall_ms", err);
}

static int check_target_texts(const struct wire_target *target, struct error *err)
{
    const struct {
        const char *name, *text;
        size_t bytes_max;
    } rows[] = {
        {"url", target->url, LIMIT_URL_BYTES},
        {"connect", target->connect, LIMIT_CONNECT_BYTES},
        {"expect_text", target->expect_text, LIMIT_EXPECT_TEXT_BYTES},
        {"credentials_file", target->credentials_file, LIMIT_FILE_NAME_BYTES},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (!wire_string_ok(rows[i].text, rows[i].bytes_max))
            return fail(
                err, ERROR_INPUT, "%s is not text of at most %zu bytes", rows[i].name, rows[i].bytes_max);
    if (target->url[0] == '\0') return fail(err, ERROR_INPUT, "no url");
    const char *const methods[] = {"", "GET", "HEAD"}; /* harmless by construction */
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++)
        if (strcmp(target->method, methods[i]) == 0) return 0;
    return fail(err, ERROR_INPUT, "method is neither GET nor HEAD");
}

static int check_target_times(const struct wire_target *target, struct error *err)
{
    const struct {
        const char *name;
        uint32_t ms;
    } rows[] = {
        {"interval_ms", target->interval_ms},
        {"late_after_ms", target->late_after_ms},
        {"timeout_ms", target->timeout_ms},
        {"long_timeout_ms", target->long_timeout_ms},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (rows[i].ms > LIMIT_PLAN_MS)
            return fail(err, ERROR_LIMIT, "%s %u, at most %d", rows[i].name, rows[i].ms, LIMIT_PLAN_MS);
    if (target->interval_ms == 0 || target->timeout_ms == 0)
        return fail(err, ERROR_INPUT, "interval or timeout of 0");
    if (target->phase_ms >= target->interval_ms)
        return fail(err, ERROR_INPUT, "phase is not within the interval");
    return 0;
}

static int check_target(const struct wire_target *target, struct error *err)
{
    if (target->probe == 0 || (unsigned)target->probe >= PROBE_KIND_COUNT)
        return fail(err, ERROR_INPUT, "unknown probe %u", (unsigned)target->probe);
    if (check_target_texts(target, err) != 0 || check_target_times(target, err) != 0) return -1;
    if (target->header_count > LIMIT_HEADERS)
        return fail(err, ERROR_LIMIT, "more than %d headers", LIMIT_HEADERS);
    for (size_t i = 0; i < target->header_count; i++) {
        const struct wire_header *header = &target->headers[i];
        if (header->name[0] == '\0' || strpbrk(header->name, ": ") != NULL ||
            !wire_string_ok(header->name, LIMIT_HEADER_NAME_BYTES) ||
            !wire_string_ok(header->value, LIMIT_HEADER_VALUE_BYTES))
            return fail(err, ERROR_INPUT,
                "header is not a name of at most %d and a value of at most %d bytes", LIMIT_HEADER_NAME_BYTES,
                LIMIT_HEADER_VALUE_BYTES);
    }
    if (target->expect_code_min > target->expect_code_max)
        return fail(err, ERROR_INPUT, "expect_code_min above expect_code_max");
    return check_labels(target->labels, target->label_count, err);
}

static int check_plan(const struct wire_plan *plan, struct error *err)
{
    if (plan->version == 0) return fail(err, ERROR_INPUT, "plan version 0; they count from 1");
    if (plan->part >= plan->parts || plan->parts > LIMIT_TARGETS_PER_AGENT)
        return fail(err, ERROR_INPUT, "part %u of %u parts", plan->part, plan->parts);
    if (plan->target_count > LIMIT_TARGETS_PER_PLAN_PART)
        return fail(
            err, ERROR_LIMIT, "more than %d targets in a part of a plan", LIMIT_TARGETS_PER_PLAN_PART);
    for (size_t i = 0; i < plan->target_count; i++)
        if (check_target(&plan->targets[i], err) != 0) return fail_context(err, "target %zu", i);
    return 0;
}

static int check_burst(const struct wire_burst *burst, struct error *err)
{
    if (burst->key_count > LIMIT_TARGETS_PER_AGENT)
        return fail(err, ERROR_LIMIT, "burst of more than %d targets", LIMIT_TARGETS_PER_AGENT);
    return 0;
}

static int check_retry_after(const struct wire_retry_after *retry, struct error *err)
{
    if (retry->ms > LIMIT_PLAN_MS)
        return fail(err, ERROR_LIMIT, "retry after %u ms, at most %d", retry->ms, LIMIT_PLAN_MS);
    if (!wire_string_ok(retry->reason, LIMIT_REASON_BYTES))
        return fail(err, ERROR_INPUT, "reason is not text of at most %d bytes", LIMIT_REASON_BYTES);
    return 0;
}

int wire_check_from_agent(const struct wire_from_agent *message, struct error *err)
{
    switch (message->kind) {
    case WIRE_HELLO: return check_hello(&message->hello, err);
    case WIRE_BATCH: return check_batch(&message->batch, err);
    }
    return fail(err, ERROR_INPUT, "message of no known kind");
}

int wire_check_from_collector(const struct wire_from_collector *message, struct error *err)
{
    switch (message->kind) {
    case WIRE_WELCOME: return check_welcome(&message->welcome, err);
    case WIRE_ACK: return check_ack(&message->ack, err);
    case WIRE_PLAN: return check_plan(&message->plan, err);
    case WIRE_BURST: return check_burst(&message->burst, err);
    case WIRE_NEED_DICT: return 0;
    case WIRE_RETRY_AFTER: return check_retry_after(&message->retry_after, err);
    }
    return fail(err, ERROR_INPUT, "message of no known kind");
}

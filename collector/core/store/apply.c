/* What the samples of a batch become: values in heads. The same code takes a batch from the wire and, after a
 * restart, from the journal. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/store/labels.h"
#include "collector/core/store/store_inside.h"
#include "common/check.h"
#include "common/cleanup.h"

/* The series of a probe's outcome, in the order of probe_values(). */
static const char *const probe_metrics[] = {"probe_outcome", "probe_error", "probe_code", "probe_flags",
    "probe_resolve_us", "probe_connect_us", "probe_tls_us", "probe_first_byte_us", "probe_total_us"};
static_assert(ARRAY_COUNT(probe_metrics) == STREAM_PROBE_SERIES, "a metric per column");

/* ---- dictionary ---- */

/* Makes room for new ids by forgetting those that were not used for long, nor by a frame that is still to be
 * sealed. */
static void forget_idle_entries(struct store *store, struct stream *stream, int64_t now_ms)
{
    AUTO_FREE struct dict_entry **idle = check_alloc_array(stream->dict.count, sizeof(struct dict_entry *));
    size_t count = 0, forgotten = 0;
    int64_t before_ms = now_ms - STORE_IDLE_ENTRY_MS;
    if (stream->host->samples > 0 && stream->host->oldest_ms < before_ms) before_ms = stream->host->oldest_ms;
    struct dict_entry *entry;
    for (size_t at = 0; (entry = table_each(&stream->dict, &at)) != NULL;)
        if (entry->stored && entry->used_ms < before_ms) idle[count++] = entry;
    if (count == 0 || journal_begin(store->journal, NULL) != 0) return;
    while (forgotten < count &&
           journal_forget_entry(store->journal, stream->number, idle[forgotten]->id, NULL) == 0)
        forgotten++;
    if (forgotten < count || journal_commit(store->journal, NULL) != 0) return;
    for (size_t i = 0; i < count; i++) stream_remove_entry(stream, idle[i]);
}

static void remember_new_entry(struct store *store, struct stream *stream, uint32_t id)
{
    if (store->new_entry_count == store->new_entry_capacity) {
        store->new_entry_capacity = store->new_entry_capacity > 0 ? store->new_entry_capacity * 2 : 64;
        store->new_entries =
            check_realloc_array(store->new_entries, store->new_entry_capacity, sizeof *store->new_entries);
    }
    store->new_entries[store->new_entry_count++] = (struct group_entry){stream, id};
}

void apply_dictionary(const struct apply_context *context, const struct wire_batch *batch)
{
    struct stream *stream = context->stream;
    for (size_t i = 0; i < batch->dict_count; i++) {
        const struct wire_dict_entry *row = &batch->dict[i];
        char labels[LABELS_TEXT_SIZE];
        /* An id never gets a second meaning: the first one stays. */
        if (stream_entry(stream, row->id) != NULL) continue;
        if (stream->dict.count >= STREAM_DICT_MAX && !context->replaying)
            forget_idle_entries(context->store, stream, context->arrival_ms);
        labels_write(row->labels, row->label_count, labels);
        struct dict_entry *entry =
            stream_add_entry(stream, row->id, row->metric, labels, context->arrival_ms);
        if (entry == NULL) continue;
        if (context->replaying)
            entry->stored = true; /* with the frame, in the same transaction */
        else
            remember_new_entry(context->store, stream, row->id);
    }
}

bool apply_ids_known(const struct stream *stream, const struct wire_batch *batch)
{
    if (stream->dict.count >= STREAM_DICT_MAX) return true;
    for (size_t r = 0; r < batch->rows_count; r++)
        for (size_t s = 0; s < batch->rows[r].series_count; s++)
            if (stream_entry(stream, batch->rows[r].series[s]) == NULL) return false;
    for (size_t i = 0; i < batch->probe_count; i++)
        if (stream_entry(stream, batch->probes[i].target) == NULL) return false;
    return true;
}

/* ---- times ---- */

static bool is_sealed(const struct series_host *host, int64_t time_ms, uint64_t serial)
{
    int64_t day = day_of(time_ms);
    for (size_t i = 0; i < host->mark_count; i++)
        if (host->marks[i].day == day && serial <= host->marks[i].serial) return true;
    return false;
}

static bool in_window(const struct apply_context *context, int64_t time_ms)
{
    int64_t now_ms = context->arrival_ms;
    return time_ms <= now_ms + LIMIT_FUTURE_MS &&
           day_of(time_ms) > day_of(now_ms) - (int64_t)context->store->retention_days;
}

/* Whether a sample of this time is to be kept; those that are not are counted once per value. */
static bool wanted(const struct apply_context *context, int64_t time_ms, size_t values)
{
    if (!in_window(context, time_ms)) {
        context->counts->refused_time += values;
        return false;
    }
    return !context->replaying || !is_sealed(context->stream->host, time_ms, context->serial);
}

/* ---- values ---- */

/* Before the open group first changes a head: where it stood. */
static void touch(struct store *store, struct series *series)
{
    if (series->group == store->group) return;
    series->group = store->group;
    series->mark = head_mark(&series->head);
    if (store->touched_count == store->touched_capacity) {
        store->touched_capacity = store->touched_capacity > 0 ? store->touched_capacity * 2 : 256;
        store->touched =
            check_realloc_array(store->touched, store->touched_capacity, sizeof(struct series *));
    }
    store->touched[store->touched_count++] = series;
}

static void put_values(const struct apply_context *context, struct series *series, bool is_double,
    const int64_t *times_ms, const void *values, size_t count)
{
    struct store *store = context->store;
    struct series_host *host = series->host;
    touch(store, series);
    if (host->samples == 0) {
        host->first_serial = context->serial;
        host->oldest_ms = context->arrival_ms;
    }
    head_append(&series->head, is_double, times_ms, values, count);
    series->used_ms = context->arrival_ms;
    host->samples += count;
    store->head_samples += count;
    context->counts->samples += count;
}

static struct series *series_of_entry(const struct apply_context *context, struct dict_entry *entry)
{
    if (entry->series == NULL)
        entry->series = registry_series(&context->store->registry, context->stream->host, entry->metric,
            entry->labels, true, context->arrival_ms);
    entry->used_ms = context->arrival_ms;
    return entry->series;
}

/* Copies the wanted ones of `count` values; for rows of which some are refused. */
static size_t pick(const bool *keep, const uint64_t *values, size_t count, uint64_t *out)
{
    size_t kept = 0;
    for (size_t t = 0; t < count; t++)
        if (keep[t]) out[kept++] = values[t];
    return kept;
}

static void apply_rows(const struct apply_context *context, const struct wire_rows *rows)
{
    size_t count = rows->time_count, kept = 0;
    if (rows->ints == NULL && rows->doubles == NULL) { /* no metric of metrics.def is a histogram yet */
        context->counts->refused_value += rows->series_count * count;
        return;
    }
    const uint64_t *values =
        rows->ints != NULL ? (const uint64_t *)rows->ints : (const uint64_t *)(const void *)rows->doubles;
    AUTO_FREE bool *keep = check_alloc_array(count, sizeof *keep);
    AUTO_FREE int64_t *times = check_alloc_array(count, sizeof *times);
    AUTO_FREE uint64_t *some = NULL;
    for (size_t t = 0; t < count; t++) {
        keep[t] = wanted(context, rows->times_ms[t], rows->series_count);
        if (keep[t]) times[kept++] = rows->times_ms[t];
    }
    if (kept == 0) return;
    if (kept < count) some = check_alloc_array(count, sizeof *some);
    for (size_t s = 0; s < rows->series_count; s++) {
        struct dict_entry *entry = stream_entry(context->stream, rows->series[s]);
        struct series *series = entry != NULL && !entry->is_probe ? series_of_entry(context, entry) : NULL;
        if (series == NULL) {
            context->counts->refused_series += kept;
            continue;
        }
        const uint64_t *of_series = values + s * count;
        if (some != NULL) {
            pick(keep, of_series, count, some);
            of_series = some;
        }
        put_values(context, series, rows->doubles != NULL, times, of_series, kept);
    }
}

/* ---- probes ---- */

static bool final_is_known(const struct dict_entry *entry, int64_t start_ms)
{
    for (size_t i = 0; i < STREAM_RECENT_FINALS; i++)
        if (entry->recent_finals_ms[i] == start_ms) return true;
    return false;
}

static bool series_of_target(const struct apply_context *context, struct dict_entry *entry)
{
    entry->used_ms = context->arrival_ms;
    for (size_t i = 0; i < STREAM_PROBE_SERIES; i++) {
        if (entry->probe_series[i] != NULL) continue;
        /* A target counts once against the limits, by its first series. */
        entry->probe_series[i] = registry_series(&context->store->registry, context->stream->host,
            probe_metrics[i], entry->labels, i == 0, context->arrival_ms);
        if (entry->probe_series[i] == NULL) return false;
    }
    return true;
}

static void apply_probe(const struct apply_context *context, const struct wire_probe *probe)
{
    const struct probe_result *result = &probe->result;
    struct dict_entry *entry = stream_entry(context->stream, probe->target);
    if (!wanted(context, result->start_ms, 1)) return;
    if (entry == NULL || !entry->is_probe || !series_of_target(context, entry)) {
        context->counts->refused_series++;
        return;
    }
    if (result->outcome == PROBE_LATE) {
        if (final_is_known(entry, result->start_ms)) return;
    } else {
        entry->recent_finals_ms[entry->recent_next++ % STREAM_RECENT_FINALS] = result->start_ms;
    }
    const int64_t values[] = {result->outcome, result->error, result->code, result->flags, result->resolve_us,
        result->connect_us, result->tls_us, result->first_byte_us, result->total_us};
    static_assert(ARRAY_COUNT(values) == STREAM_PROBE_SERIES, "a value per series");
    for (size_t i = 0; i < STREAM_PROBE_SERIES; i++)
        put_values(context, entry->probe_series[i], false, &result->start_ms, &values[i], 1);
}

void apply_batch(const struct apply_context *context, const struct wire_batch *batch)
{
    for (size_t i = 0; i < batch->rows_count; i++) apply_rows(context, &batch->rows[i]);
    for (size_t i = 0; i < batch->probe_count; i++) apply_probe(context, &batch->probes[i]);
    for (size_t i = 0; i < batch->gap_count; i++) context->counts->gap_samples += batch->gaps[i].samples;
    context->counts->batches++;
}

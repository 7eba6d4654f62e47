#include "collector/core/store/store.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/core/store/store_inside.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/file.h"

void store_note(const struct store *store, const char *format, ...)
{
    char text[1024];
    if (store->note == NULL) return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    store->note(store->owner, text);
}

/* ---- opening ---- */

static struct store *store_new(const struct store_options *options)
{
    struct store *store = check_alloc(sizeof *store);
    store->lock = -1;
    store->directory = check_strdup(options->directory);
    store->retention_days = options->retention_days > 0 ? options->retention_days : 14;
    store->seal_after_ms = options->seal_after_ms > 0 ? options->seal_after_ms : STORE_SEAL_AFTER_MS;
    store->registry.series_max = options->series_max > 0 ? options->series_max : LIMIT_SERIES;
    store->registry.series_per_host_max =
        options->series_per_host_max > 0 ? options->series_per_host_max : LIMIT_SERIES_PER_HOST;
    store->group = 1;
    store->group_bytes.size_max = STORE_GROUP_BYTES_MAX;
    return store;
}

static int take_lock(struct store *store, struct error *err)
{
    AUTO_FREE char *path = check_format("%s/store.lock", store->directory);
    store->lock = file_lock(path, err);
    if (store->lock >= 0) return 0;
    if (err != NULL && err->kind == ERROR_AGAIN) fail_context(err, "another collector uses this store");
    return -1;
}

static int open_files(struct store *store, int64_t now_ms, struct error *err)
{
    if (file_make_directory(store->directory, 0700, err) != 0 || take_lock(store, err) != 0) return -1;
    store->days = (struct days){
        .directory = check_strdup(store->directory), .note = store->note, .owner = store->owner};
    /* Versions first: a later one must be found before anything is written. */
    if (days_check(&store->days, now_ms, err) != 0) return -1;
    store->journal = journal_open(store->directory, now_ms, store->note, store->owner, err);
    if (store->journal == NULL) return -1;
    store->days.journal_id = journal_id(store->journal);
    store->next_serial = journal_next_serial(store->journal);
    store->committed_serial = store->next_serial - 1;
    return store_replay(store, err);
}

struct store *store_open(const struct store_options *options, int64_t now_ms,
    void (*note)(void *owner, const char *text), void *owner, struct error *err)
{
    struct store *store = store_new(options);
    store->note = note;
    store->owner = owner;
    store->now_ms = now_ms;
    if (open_files(store, now_ms, err) == 0) return store;
    store_close(store);
    return NULL;
}

void store_close(struct store *store)
{
    if (store == NULL) return;
    if (store->journal != NULL) {
        struct error err = {0};
        if (store_commit(store, &err) != 0) store_note(store, "the last group is not stored: %s", err.text);
    }
    days_fini(&store->days);
    journal_close(store->journal);
    streams_fini(&store->streams);
    registry_fini(&store->registry);
    compaction_fini(&store->compaction);
    buffer_fini(&store->group_bytes);
    free(store->frames);
    free(store->group_streams);
    free(store->touched);
    free(store->new_entries);
    free(store->directory);
    if (store->lock >= 0) close(store->lock);
    free(store);
}

/* ---- appending ---- */

/* Of one key only the STREAM_PER_KEY_MAX newest incarnations are kept; the oldest goes once none of its
 * frames waits to be sealed. */
static bool make_room_for_stream(struct store *store, const char *key)
{
    struct stream *oldest = NULL;
    if (streams_of_key(&store->streams, key, &oldest) < STREAM_PER_KEY_MAX) return true;
    if (oldest->group == store->group || store->new_entry_count > 0 ||
        (oldest->host->samples > 0 && oldest->seen_ms >= oldest->host->oldest_ms) ||
        journal_forget_stream(store->journal, oldest->number, NULL) != 0)
        return false;
    streams_remove(&store->streams, oldest);
    return true;
}

/* Made where missing; NULL if there is no room for one more of this key. */
static struct stream *stream_of(struct store *store, const char *key, const char *host, uint64_t incarnation)
{
    struct stream *stream = streams_find(&store->streams, key, incarnation);
    if (stream == NULL) {
        if (!make_room_for_stream(store, key)) return NULL;
        return streams_add(&store->streams, key, incarnation, registry_host(&store->registry, host));
    }
    if (strcmp(stream->host->name, host) != 0) { /* the key was given to another host */
        stream->host = registry_host(&store->registry, host);
        stream_detach(stream, false);
    }
    return stream;
}

/* What is received once this batch is. ERROR_LIMIT when it would take one range too many. */
static int receive(
    const struct stream *stream, const struct wire_batch *batch, struct received *received, struct error *err)
{
    *received = stream->pending;
    if (received_add(received, batch->sequence, batch->sequence, err) != 0) return -1;
    for (size_t i = 0; i < batch->gap_count; i++)
        if (received_add(received, batch->gaps[i].from, batch->gaps[i].to, err) != 0) return -1;
    return 0;
}

static void join_group(struct store *store, struct stream *stream)
{
    if (stream->group == store->group) return;
    stream->group = store->group;
    if (store->group_stream_count == store->group_stream_capacity) {
        store->group_stream_capacity =
            store->group_stream_capacity > 0 ? store->group_stream_capacity * 2 : 64;
        store->group_streams =
            check_realloc_array(store->group_streams, store->group_stream_capacity, sizeof(struct stream *));
    }
    store->group_streams[store->group_stream_count++] = stream;
}

static void add_frame(struct store *store, const struct group_frame *frame)
{
    if (store->frame_count == store->frame_capacity) {
        store->frame_capacity = store->frame_capacity > 0 ? store->frame_capacity * 2 : 64;
        store->frames = check_realloc_array(store->frames, store->frame_capacity, sizeof *store->frames);
    }
    store->frames[store->frame_count++] = *frame;
}

/* After a failed commit one group is let in each STORE_RETRY_MS, to find out whether there is room again. */
static bool is_full(const struct store *store, const struct wire_batch *batch, int64_t now_ms)
{
    /* The wall clock may step back meanwhile. */
    bool waits =
        store->retry_ms != 0 && now_ms < store->retry_ms && now_ms >= store->retry_ms - STORE_RETRY_MS;
    return waits ||
           store->head_samples + wire_batch_samples(batch) * STREAM_PROBE_SERIES > STORE_HEAD_SAMPLES_MAX;
}

int store_append(struct store *store, const char *key, const char *host, const struct wire_batch *batch,
    struct span frame, int64_t now_ms, enum store_verdict *verdict, struct error *err)
{
    struct received received;
    if (strlen(key) >= STREAM_KEY_SIZE)
        return fail(err, ERROR_INPUT, "a key of more than %d bytes", STREAM_KEY_SIZE);
    store->now_ms = now_ms;
    struct stream *stream = stream_of(store, key, host, batch->incarnation);
    if (stream == NULL) {
        *verdict = STORE_FULL;
        return 0;
    }
    if (received_has(&stream->pending, batch->sequence)) {
        store->counts.repeated++;
        *verdict = STORE_REPEATED;
        return 0;
    }
    const struct apply_context context = {.store = store,
        .stream = stream,
        .serial = store->next_serial,
        .arrival_ms = now_ms,
        .counts = &store->group_counts};
    apply_dictionary(&context, batch);
    if (!apply_ids_known(stream, batch)) {
        *verdict = STORE_NEEDS_DICT;
        return 0;
    }
    size_t at = store->group_bytes.size;
    if (is_full(store, batch, now_ms) || receive(stream, batch, &received, NULL) != 0 ||
        buffer_append(&store->group_bytes, frame, NULL) != 0) {
        *verdict = STORE_FULL;
        return 0;
    }
    join_group(store, stream);
    add_frame(store, &(struct group_frame){.serial = store->next_serial++,
                         .stream = stream->number,
                         .arrival_ms = now_ms,
                         .at = at,
                         .size = frame.size});
    stream->pending = received;
    stream->seen_ms = now_ms;
    apply_batch(&context, batch);
    *verdict = STORE_TAKEN;
    return 0;
}

/* ---- committing ---- */

static int write_group(struct store *store, struct error *err)
{
    if (journal_begin(store->journal, err) != 0) return -1;
    for (size_t i = 0; i < store->frame_count; i++) {
        const struct group_frame *frame = &store->frames[i];
        const struct journal_frame row = {.serial = frame->serial,
            .stream = frame->stream,
            .arrival_ms = frame->arrival_ms,
            .bytes = span_of(store->group_bytes.data + frame->at, frame->size)};
        if (journal_put_frame(store->journal, &row, err) != 0) return -1;
    }
    for (size_t i = 0; i < store->new_entry_count; i++) {
        const struct group_entry *new = &store->new_entries[i];
        const struct dict_entry *entry = stream_entry(new->stream, new->id);
        const struct journal_entry row = {
            .stream = new->stream->number, .id = entry->id, .metric = entry->metric, .labels = entry->labels};
        if (journal_put_entry(store->journal, &row, err) != 0) return -1;
        join_group(store, new->stream); /* its row, too: the entry may be all that is new */
    }
    for (size_t i = 0; i < store->group_stream_count; i++) {
        const struct stream *stream = store->group_streams[i];
        const struct journal_stream row = {.number = stream->number,
            .key = stream->key,
            .incarnation = stream->incarnation,
            .host = stream->host->name,
            .seen_ms = stream->seen_ms,
            .received = stream->pending};
        if (journal_put_stream(store->journal, &row, err) != 0) return -1;
    }
    return journal_commit(store->journal, err);
}

static void close_group(struct store *store)
{
    store->frame_count = 0;
    store->group_stream_count = 0;
    store->touched_count = 0;
    buffer_clear(&store->group_bytes);
    store->group_counts = (struct store_counts){0};
    store->group++;
}

static void group_is_durable(struct store *store)
{
    for (size_t i = 0; i < store->group_stream_count; i++) {
        struct stream *stream = store->group_streams[i];
        stream->durable = stream->pending;
        stream->stored = true;
    }
    for (size_t i = 0; i < store->new_entry_count; i++)
        stream_entry(store->new_entries[i].stream, store->new_entries[i].id)->stored = true;
    store->new_entry_count = 0;
    if (store->frame_count > 0) store->committed_serial = store->frames[store->frame_count - 1].serial;
    const struct store_counts *group = &store->group_counts;
    store->counts.batches += group->batches;
    store->counts.samples += group->samples;
    store->counts.refused_time += group->refused_time;
    store->counts.refused_series += group->refused_series;
    store->counts.refused_value += group->refused_value;
    store->counts.gap_samples += group->gap_samples;
    store->counts.commits++;
    store->retry_ms = 0;
    close_group(store);
}

/* As if the group had never come: its batches will be sent again. What was learned of dictionaries stays. */
static void group_is_lost(struct store *store)
{
    for (size_t i = 0; i < store->touched_count; i++) {
        struct series *series = store->touched[i];
        size_t undone = head_undo(&series->head, series->mark);
        series->host->samples -= undone;
        store->head_samples -= undone;
    }
    for (size_t i = 0; i < store->group_stream_count; i++)
        store->group_streams[i]->pending = store->group_streams[i]->durable;
    store->retry_ms = store->now_ms + STORE_RETRY_MS;
    close_group(store);
}

int store_commit(struct store *store, struct error *err)
{
    if (store->frame_count == 0 && store->new_entry_count == 0) return 0;
    int64_t began_ns = clock_mono_ns();
    if (write_group(store, err) != 0) {
        group_is_lost(store);
        return -1;
    }
    store->counts.commit_us += (uint64_t)((clock_mono_ns() - began_ns) / 1000);
    group_is_durable(store);
    return 0;
}

/* ---- asking ---- */

bool store_received(
    const struct store *store, const char *key, uint64_t incarnation, struct received *received)
{
    const struct stream *stream = streams_find(&store->streams, key, incarnation);
    if (stream == NULL || !stream->stored) return false;
    *received = stream->durable;
    return true;
}

void store_counts(const struct store *store, struct store_counts *counts)
{
    *counts = store->counts;
    counts->journal_bytes = journal_bytes(store->journal);
    counts->day_bytes = days_bytes(&store->days);
    counts->series = store->registry.series.count;
    counts->head_samples = store->head_samples;
}

double store_pressure(const struct store *store)
{
    double share = (double)store->head_samples / (double)STORE_HEAD_SAMPLES_MAX;
    return share < 1 ? share : 1;
}

#include "collector/core/store/stream.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "proto/wire.h"

struct stream_identity {
    const char *key;
    uint64_t incarnation;
};

static bool is_stream(const void *item, const void *key)
{
    const struct stream *stream = item;
    const struct stream_identity *wanted = key;
    return stream->incarnation == wanted->incarnation && strcmp(stream->key, wanted->key) == 0;
}

static bool is_entry(const void *item, const void *key)
{
    const struct dict_entry *entry = item;
    return entry->id == *(const uint32_t *)key;
}

static uint64_t stream_hash(const char *key, uint64_t incarnation)
{
    return table_hash_texts(&key, 1) ^ table_hash_number(incarnation);
}

struct stream *streams_find(const struct streams *streams, const char *key, uint64_t incarnation)
{
    struct stream_identity wanted = {key, incarnation};
    return table_find(&streams->table, stream_hash(key, incarnation), is_stream, &wanted);
}

struct stream *streams_add(
    struct streams *streams, const char *key, uint64_t incarnation, struct series_host *host)
{
    CHECK(strlen(key) < STREAM_KEY_SIZE);
    struct stream *stream = check_alloc(sizeof *stream);
    strncpy(stream->key, key, sizeof stream->key - 1);
    stream->incarnation = incarnation;
    stream->host = host;
    stream->number = ++streams->next_number;
    table_add(&streams->table, stream_hash(key, incarnation), stream);
    return stream;
}

static void entry_free(struct dict_entry *entry)
{
    if (entry->is_probe) free(entry->probe_series);
    free(entry->recent_finals_ms);
    free(entry->metric);
    free(entry);
}

static void stream_free(struct stream *stream)
{
    struct dict_entry *entry;
    for (size_t at = 0; (entry = table_each(&stream->dict, &at)) != NULL;) entry_free(entry);
    table_fini(&stream->dict);
    free(stream);
}

void streams_remove(struct streams *streams, struct stream *stream)
{
    table_remove(&streams->table, stream_hash(stream->key, stream->incarnation), stream);
    stream_free(stream);
}

void streams_fini(struct streams *streams)
{
    struct stream *stream;
    for (size_t at = 0; (stream = table_each(&streams->table, &at)) != NULL;) stream_free(stream);
    table_fini(&streams->table);
}

size_t streams_of_key(const struct streams *streams, const char *key, struct stream **oldest)
{
    size_t count = 0;
    struct stream *stream;
    *oldest = NULL;
    for (size_t at = 0; (stream = table_each(&streams->table, &at)) != NULL;) {
        if (strcmp(stream->key, key) != 0) continue;
        count++;
        if (*oldest == NULL || stream->seen_ms < (*oldest)->seen_ms) *oldest = stream;
    }
    return count;
}

struct dict_entry *stream_entry(const struct stream *stream, uint32_t id)
{
    return table_find(&stream->dict, table_hash_number(id), is_entry, &id);
}

struct dict_entry *stream_add_entry(
    struct stream *stream, uint32_t id, const char *metric, const char *labels, int64_t now_ms)
{
    if (stream->dict.count >= STREAM_DICT_MAX) return NULL;
    struct dict_entry *entry = check_alloc(sizeof *entry);
    size_t metric_size = strlen(metric) + 1, labels_size = strlen(labels) + 1;
    entry->id = id;
    entry->used_ms = now_ms;
    entry->metric = check_alloc(metric_size + labels_size);
    entry->labels = entry->metric + metric_size;
    memcpy(entry->metric, metric, metric_size);
    memcpy(entry->labels, labels, labels_size);
    entry->is_probe = strcmp(metric, WIRE_METRIC_PROBE) == 0;
    if (entry->is_probe) {
        entry->probe_series = check_alloc_array(STREAM_PROBE_SERIES, sizeof *entry->probe_series);
        entry->recent_finals_ms = check_alloc_array(STREAM_RECENT_FINALS, sizeof *entry->recent_finals_ms);
    }
    table_add(&stream->dict, table_hash_number(id), entry);
    return entry;
}

void stream_remove_entry(struct stream *stream, struct dict_entry *entry)
{
    table_remove(&stream->dict, table_hash_number(entry->id), entry);
    entry_free(entry);
}

static void forget(struct series **series, bool only_expired)
{
    if (*series != NULL && (!only_expired || (*series)->expired)) *series = NULL;
}

void stream_detach(struct stream *stream, bool only_expired)
{
    struct dict_entry *entry;
    for (size_t at = 0; (entry = table_each(&stream->dict, &at)) != NULL;) {
        if (!entry->is_probe)
            forget(&entry->series, only_expired);
        else
            for (size_t i = 0; i < STREAM_PROBE_SERIES; i++) forget(&entry->probe_series[i], only_expired);
    }
}

#include "agent/spool/spool.h"

#include <stdlib.h>
#include <string.h>

#include "agent/spool/segment.h"
#include "agent/spool/spool_private.h"
#include "common/check.h"

#define DEFAULT_BYTES_MAX     (UINT64_C(256) << 20)
#define DEFAULT_SEGMENT_BYTES (UINT64_C(1) << 20)
#define DEFAULT_MEMORY_BYTES  (UINT64_C(8) << 20)

struct spool *spool_open(const struct spool_options *options, struct error *err)
{
    struct spool *s = check_alloc(sizeof *s);
    s->options = *options;
    if (s->options.bytes_max == 0) s->options.bytes_max = DEFAULT_BYTES_MAX;
    if (s->options.segment_bytes == 0) s->options.segment_bytes = DEFAULT_SEGMENT_BYTES;
    if (s->options.memory_bytes == 0) s->options.memory_bytes = DEFAULT_MEMORY_BYTES;
    s->next_sequence = 1;
    s->next_segment = 1;
    if (options->directory != NULL) {
        s->directory = check_strdup(options->directory);
        if (spool_files_open(s, err) != 0) {
            spool_close(s);
            return NULL;
        }
    }
    if (s->incarnation == 0) s->incarnation = options->random;
    CHECK(s->incarnation != 0);
    return s;
}

void spool_close(struct spool *s)
{
    if (s == NULL) return;
    spool_files_close(s);
    while (s->entry_count > 0) spool_free_entry(s, s->entry_count - 1);
    free(s->entries);
    for (size_t i = 0; i < SPOOL_COLLECTORS_MAX; i++) reader_fini(&s->readers[i]);
    index_fini(&s->index);
    gaps_fini(&s->gaps);
    buffer_fini(&s->dictionary);
    free(s->directory);
    free(s);
}

uint64_t spool_incarnation(const struct spool *s)
{
    return s->incarnation;
}

uint64_t spool_next_sequence(const struct spool *s)
{
    return s->next_sequence;
}

uint64_t spool_oldest_sequence(const struct spool *s)
{
    const struct segment *where;
    uint64_t oldest = index_lowest(&s->index, 1, &where);
    if (s->entry_count > 0 && (oldest == 0 || s->entries[0].sequence < oldest))
        oldest = s->entries[0].sequence;
    return oldest != 0 ? oldest : s->next_sequence;
}

bool spool_received_by_all(const struct spool *s, uint64_t sequence)
{
    bool any = false;
    for (size_t i = 0; i < SPOOL_COLLECTORS_MAX; i++) {
        if (!s->cursors[i].used) continue;
        if (!received_has(&s->cursors[i].received, sequence)) return false;
        any = true;
    }
    return any;
}

static bool received_by_all(const void *owner, uint64_t sequence)
{
    return spool_received_by_all(owner, sequence);
}

void spool_give_up(
    struct spool *s, uint64_t first, uint64_t last, uint64_t samples, enum wire_gap_reason reason)
{
    gaps_carrier_lost(&s->gaps, first, last);
    gaps_add(&s->gaps, &(struct wire_gap){.from = first, .to = last, .samples = samples, .reason = reason});
    s->dropped_samples += samples;
}

void spool_free_entry(struct spool *s, size_t position)
{
    struct entry *entry = &s->entries[position];
    s->memory_bytes -= entry->size;
    free(entry->frame);
    memmove(entry, entry + 1, (s->entry_count - position - 1) * sizeof *entry);
    s->entry_count--;
}

bool spool_drop_segment(struct spool *s, enum wire_gap_reason reason)
{
    struct segment *segment = &s->index.list[0];
    if (s->index.count == 0 || (s->writing && segment->number == s->open_segment)) return false;
    uint64_t first = 0, last = 0, samples = 0;
    for (uint64_t q = segment->first; q <= segment->last; q++) {
        if (!index_holds(segment, q) || spool_received_by_all(s, q)) continue;
        if (first == 0) first = q;
        last = q;
        samples += segment->samples[q - segment->first] - 1;
    }
    /* What lies between and is not held was received by all; saying so again does no harm. */
    if (first != 0) spool_give_up(s, first, last, samples, reason);
    spool_files_remove(s, 0);
    return true;
}

static void drop_oldest_entry(struct spool *s, enum wire_gap_reason reason)
{
    struct entry entry = s->entries[0];
    if (entry.state != ENTRY_WRITTEN && !spool_received_by_all(s, entry.sequence))
        spool_give_up(s, entry.sequence, entry.sequence, entry.samples, reason);
    spool_free_entry(s, 0);
}

/* On a full disk the oldest file makes room; a disk that hangs can only be spared. */
static void make_room(struct spool *s, size_t size)
{
    while (s->index.bytes + s->memory_bytes + size > s->options.bytes_max)
        if (!spool_drop_segment(s, WIRE_GAP_SPOOL_FULL)) break;
    bool failing = s->disk != NULL && s->trouble[0] != '\0' && disk_under_way(s->disk) == 0;
    if (failing && s->memory_bytes + size > s->options.memory_bytes / 2 && s->index.count > 0) {
        spool_drop_segment(s, WIRE_GAP_SPOOL_FULL);
        s->retry_ms = s->now_ms;
    }
    uint64_t most =
        s->options.memory_bytes < s->options.bytes_max ? s->options.memory_bytes : s->options.bytes_max;
    while (s->entry_count > 0 && s->memory_bytes + size > most)
        drop_oldest_entry(s, s->directory == NULL ? WIRE_GAP_SPOOL_FULL : WIRE_GAP_SPOOL_FAILED);
}

int spool_append(struct spool *s, struct span frame, uint64_t samples, struct error *err)
{
    if (frame.size > LIMIT_FRAME_BYTES || samples > LIMIT_PACKED_VALUES)
        return fail(err, ERROR_LIMIT, "a batch of %zu bytes and %llu samples", frame.size,
            (unsigned long long)samples);
    make_room(s, frame.size);
    if (s->entry_count == s->entry_capacity) {
        s->entry_capacity = s->entry_capacity > 0 ? s->entry_capacity * 2 : 16;
        s->entries = check_realloc_array(s->entries, s->entry_capacity, sizeof *s->entries);
    }
    struct entry *entry = &s->entries[s->entry_count++];
    *entry = (struct entry){.sequence = s->next_sequence++,
        .samples = (uint32_t)samples,
        .size = (uint32_t)frame.size,
        .frame = check_alloc(frame.size),
        .born_ms = -1};
    memcpy(entry->frame, frame.data, frame.size);
    s->memory_bytes += frame.size;
    /* A restart skips SPOOL_RESTART_SKIP from the last sequence on disk: it must not fall behind by more. */
    if (s->index.count > 0 && entry->sequence % 65536 == 0) entry->must_write = true;
    return 0;
}

void spool_keep_dictionary(struct spool *s, struct span frame)
{
    if (s->directory == NULL) return;
    segment_write_record(&s->dictionary,
        &(struct segment_record){.kind = RECORD_DICTIONARY, .incarnation = s->incarnation, .frame = frame});
}

int spool_add_collector(struct spool *s, unsigned collector, struct error *err)
{
    if (collector >= SPOOL_COLLECTORS_MAX)
        return fail(err, ERROR_LIMIT, "more than %d collectors", SPOOL_COLLECTORS_MAX);
    s->cursors[collector] = (struct cursor){.used = true};
    return 0;
}

void spool_forget_received(struct spool *s)
{
    for (size_t i = s->entry_count; i > 0; i--) {
        const struct entry *entry = &s->entries[i - 1];
        bool marks = entry->must_write && entry->state != ENTRY_WRITTEN;
        if (!marks && entry->state != ENTRY_WRITING && spool_received_by_all(s, entry->sequence))
            spool_free_entry(s, i - 1);
    }
    for (size_t i = s->index.count; i > 0; i--) {
        const struct segment *segment = &s->index.list[i - 1];
        bool needed = s->writing && segment->number == s->open_segment;
        for (uint64_t q = segment->first; q <= segment->last && !needed; q++)
            needed = index_holds(segment, q) && !spool_received_by_all(s, q);
        if (!needed) spool_files_remove(s, i - 1);
    }
    gaps_forget(&s->gaps, received_by_all, s);
}

void spool_acknowledge(struct spool *s, unsigned collector, const struct received *received)
{
    CHECK(collector < SPOOL_COLLECTORS_MAX && s->cursors[collector].used);
    s->cursors[collector].received = *received;
    spool_forget_received(s);
}

void spool_pump(struct spool *s, int64_t now_ms)
{
    s->now_ms = now_ms;
    for (size_t i = s->entry_count; i > 0 && s->entries[i - 1].born_ms < 0; i--)
        s->entries[i - 1].born_ms = now_ms;
    if (s->directory != NULL) spool_files_pump(s);
}

/* The position of the first entry with at least this sequence. */
static size_t entry_at(const struct spool *s, uint64_t sequence)
{
    size_t low = 0, high = s->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->entries[middle].sequence < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

enum spool_found spool_next(struct spool *s, unsigned collector, uint64_t after, uint64_t *sequence,
    struct buffer *out, struct error *err)
{
    CHECK(collector < SPOOL_COLLECTORS_MAX && s->cursors[collector].used);
    const struct received *received = &s->cursors[collector].received;
    for (uint64_t wanted = received_next_missing(received, after);;) {
        size_t position = entry_at(s, wanted);
        const struct entry *entry = position < s->entry_count ? &s->entries[position] : NULL;
        const struct segment *segment = NULL;
        uint64_t on_disk = index_lowest(&s->index, wanted, &segment);
        uint64_t found = on_disk;
        if (entry != NULL && (found == 0 || entry->sequence <= found)) found = entry->sequence;
        if (found == 0) {
            reader_fini(&s->readers[collector]);
            return SPOOL_NONE;
        }
        if (received_has(received, found)) {
            wanted = received_next_missing(received, found);
            continue;
        }
        if (entry == NULL || entry->sequence != found) {
            enum spool_found result = spool_files_read(s, collector, segment, found, out, err);
            if (result == SPOOL_FOUND) *sequence = found;
            return result;
        }
        if (buffer_append(out, span_of(entry->frame, entry->size), err) != 0) return SPOOL_NONE;
        *sequence = found;
        return SPOOL_FOUND;
    }
}

size_t spool_take_gaps(struct spool *s, struct wire_gap *gaps, size_t max)
{
    return gaps_take(&s->gaps, s->next_sequence, gaps, max);
}

void spool_sizes(const struct spool *s, struct spool_sizes *sizes)
{
    uint64_t only_in_memory = 0;
    for (size_t i = 0; i < s->entry_count; i++) only_in_memory += s->entries[i].state != ENTRY_WRITTEN;
    *sizes = (struct spool_sizes){.disk_bytes = s->index.bytes,
        .disk_batches = s->index.batches,
        .memory_bytes = s->memory_bytes,
        .batches = s->index.batches + only_in_memory,
        .dropped_samples = s->dropped_samples};
}

const char *spool_trouble(const struct spool *s)
{
    if (s->hung) return "the disk does not answer";
    return s->trouble[0] != '\0' ? s->trouble : NULL;
}

int spool_helper_pid(const struct spool *s)
{
    return s->disk != NULL ? disk_pid(s->disk) : 0;
}

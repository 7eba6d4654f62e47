#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/spool/segment.h"
#include "agent/spool/spool_private.h"
#include "common/check.h"
#include "common/clock.h"

#define WRITE_BYTES_MAX    ((size_t)256 * 1024) /* at once, so that a restart of the helper repeats little */
#define SEGMENT_SPREAD_MAX 65536                /* sequences from the first to the last of a segment */

/* ---- reading what an earlier run left ---- */

/* Waits for one answer. Only while starting and ending. */
static int wait_for_answer(
    struct spool *s, int64_t deadline_ms, struct disk_answer *answer, struct error *err)
{
    for (;;) {
        int got = disk_pump(s->disk, answer, err);
        if (got != 0) return got > 0 ? 0 : -1;
        int64_t left_ms = deadline_ms - clock_mono_ms();
        if (left_ms <= 0) return fail(err, ERROR_AGAIN, "the disk of %s does not answer", s->directory);
        struct pollfd ready = {
            .fd = disk_fd(s->disk), .events = (short)(POLLIN | (disk_wants_to_write(s->disk) ? POLLOUT : 0))};
        poll(&ready, 1, (int)left_ms);
    }
}

struct recovery {
    struct spool *spool;
    uint64_t number;
    bool newest; /* its batches may define dictionary entries that no segment's head has */
};

static void recover_segment(const struct recovery *r, struct span bytes)
{
    struct spool *s = r->spool;
    struct segment *segment = index_add_segment(&s->index, r->number);
    segment->bytes = bytes.size;
    s->index.bytes += bytes.size;
    struct segment_scan scan;
    struct segment_record record;
    for (segment_scan_begin(&scan, bytes); segment_scan_next(&scan, &record);) {
        if (s->incarnation == 0) s->incarnation = record.incarnation;
        if (!record.intact || record.incarnation != s->incarnation || record.sequence > LIMIT_SEQUENCE)
            continue;
        bool head = record.kind == RECORD_DICTIONARY;
        if ((head || r->newest) && s->options.recovered != NULL)
            s->options.recovered(s->options.owner, record.frame);
        if (head || record.sequence == 0) continue;
        if (segment->batches > 0 && record.sequence - segment->first > SEGMENT_SPREAD_MAX) continue;
        index_add(&s->index, segment, record.sequence, record.samples);
    }
}

/* Sequences that no file holds were acknowledged, lost with the last half second, or flipped: told without
 * samples, so that the collector's floor can rise over them. */
static void tell_holes(struct spool *s, uint64_t highest)
{
    uint64_t expected = 1;
    for (uint64_t q = 1; q != 0 && q <= highest; q++) {
        const struct segment *where;
        q = index_lowest(&s->index, q, &where);
        if (q == 0) break;
        if (q > expected) spool_give_up(s, expected, q - 1, 0, WIRE_GAP_SPOOL_FAILED);
        expected = q + 1;
    }
    spool_give_up(s, expected, s->next_sequence - 1, 0, WIRE_GAP_SPOOL_FAILED);
}

static int read_segments(
    struct spool *s, const uint64_t *numbers, size_t count, int64_t deadline_ms, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct disk_answer answer;
        if (disk_send(s->disk, DISK_READ, numbers[i], 0, span_of(NULL, 0), err) != 0 ||
            wait_for_answer(s, deadline_ms, &answer, err) != 0)
            return -1;
        if (answer.os_errno == 0)
            recover_segment(&(struct recovery){s, numbers[i], i + 1 == count}, answer.bytes);
        s->next_segment = numbers[i] + 1;
    }
    return 0;
}

static int open_directory(struct spool *s, int64_t deadline_ms, struct error *err)
{
    struct disk_answer answer;
    if (disk_send(s->disk, DISK_OPEN, 0, 0, span_text(s->directory), err) != 0 ||
        wait_for_answer(s, deadline_ms, &answer, err) != 0)
        return -1;
    if (answer.os_errno != 0) {
        errno = answer.os_errno;
        return answer.os_errno == EBUSY ? fail(err, ERROR_IO, "%s is in use by another agent", s->directory)
                                        : fail_errno(err, "spool %s", s->directory);
    }
    size_t count = answer.bytes.size / sizeof(uint64_t);
    uint64_t *numbers = check_alloc_array(count + 1, sizeof *numbers);
    memcpy(numbers, answer.bytes.data, count * sizeof *numbers);
    int result = read_segments(s, numbers, count, deadline_ms, err);
    free(numbers);
    return result;
}

int spool_files_open(struct spool *s, struct error *err)
{
    s->disk = disk_new(err);
    if (s->disk == NULL) return -1;
    if (open_directory(s, clock_mono_ms() + SPOOL_OPEN_MS, err) != 0) return -1;
    for (size_t i = s->index.count; i > 0; i--)
        if (s->index.list[i - 1].batches == 0) spool_files_remove(s, i - 1);
    uint64_t highest = index_highest(&s->index);
    if (highest == 0) {
        s->incarnation = 0; /* nothing kept: a new one */
        return 0;
    }
    s->next_sequence = highest + SPOOL_RESTART_SKIP;
    tell_holes(s, highest);
    return 0;
}

/* ---- writing ---- */

void spool_files_remove(struct spool *s, size_t position)
{
    uint64_t number = s->index.list[position].number;
    if (number == s->open_segment) s->open_segment = 0;
    for (size_t i = 0; i < SPOOL_COLLECTORS_MAX; i++)
        if (s->readers[i].segment == number) reader_fini(&s->readers[i]);
    index_remove_segment(&s->index, position);
    /* A file that could not be told to go is found at the next start, and its batches are received then. */
    if (s->disk != NULL) disk_send(s->disk, DISK_DELETE, number, 0, span_of(NULL, 0), NULL);
}

static void write_failed(struct spool *s, const char *why)
{
    for (size_t i = 0; i < s->entry_count; i++) s->entries[i].state = ENTRY_NEW;
    /* Never written to again: after a failed fsync nothing certain is known of its end. */
    struct segment *segment = index_find(&s->index, s->open_segment);
    if (segment != NULL && segment->batches == 0) spool_files_remove(s, (size_t)(segment - s->index.list));
    s->open_segment = 0;
    s->writing = false;
    s->retry_ms = s->now_ms + SPOOL_RETRY_MS;
    snprintf(s->trouble, sizeof s->trouble, "%s", why);
}

static void disk_gone(struct spool *s, const char *why)
{
    disk_free(s->disk, true);
    s->disk = NULL;
    for (size_t i = 0; i < SPOOL_COLLECTORS_MAX; i++) reader_fini(&s->readers[i]);
    write_failed(s, why);
}

static void begin_segment(struct spool *s, struct buffer *out)
{
    s->open_segment = s->next_segment++;
    s->open_offset = 0;
    s->open_first = 0;
    s->dictionary_written = 0;
    index_add_segment(&s->index, s->open_segment);
    segment_write_head(out);
}

/* The entries that are old enough, as records. Returns how many. */
static size_t gather(struct spool *s, struct buffer *out, int64_t age_ms)
{
    size_t count = 0;
    for (size_t i = 0; i < s->entry_count && out->size < WRITE_BYTES_MAX; i++) {
        struct entry *entry = &s->entries[i];
        if (entry->state != ENTRY_NEW) continue;
        if (age_ms > 0 && (entry->born_ms < 0 || s->now_ms - entry->born_ms < age_ms)) break;
        if (s->open_segment != 0 && s->open_first != 0 &&
            entry->sequence - s->open_first > SEGMENT_SPREAD_MAX) {
            if (count > 0) break;
            s->open_segment = 0;
        }
        if (s->open_segment == 0) begin_segment(s, out);
        if (s->open_first == 0) s->open_first = entry->sequence;
        if (s->dictionary_written < s->dictionary.size) {
            CHECK(buffer_append(out,
                      span_of(s->dictionary.data + s->dictionary_written,
                          s->dictionary.size - s->dictionary_written),
                      NULL) == 0);
            s->dictionary_written = s->dictionary.size;
        }
        segment_write_record(out, &(struct segment_record){.kind = RECORD_BATCH,
                                      .incarnation = s->incarnation,
                                      .sequence = entry->sequence,
                                      .samples = entry->samples,
                                      .frame = span_of(entry->frame, entry->size)});
        entry->state = ENTRY_WRITING;
        count++;
    }
    return count;
}

static bool waits_for_sync(const struct spool *s)
{
    return s->open_segment != 0 && s->entry_count > 0 && s->entries[0].state == ENTRY_WRITTEN;
}

static void begin_write(struct spool *s, int64_t age_ms, bool sync)
{
    struct buffer out = {0};
    sync = sync || s->now_ms - s->synced_ms >= SPOOL_SYNC_EVERY_MS;
    if (gather(s, &out, age_ms) > 0 || (sync && waits_for_sync(s))) {
        s->closing_segment = s->open_offset + out.size >= s->options.segment_bytes;
        sync = sync || s->closing_segment;
        if (disk_send(s->disk, sync ? DISK_SYNC : DISK_WRITE, s->open_segment, s->open_offset,
                buffer_span(&out), NULL) == 0) {
            s->writing = true;
            s->open_offset += out.size;
        } else {
            write_failed(s, "too much work for the disk is under way");
        }
    }
    buffer_fini(&out);
}

static void write_done(struct spool *s, bool synced)
{
    struct segment *segment = index_find(&s->index, s->open_segment);
    CHECK(segment != NULL);
    s->index.bytes += s->open_offset - segment->bytes;
    segment->bytes = s->open_offset;
    for (size_t i = s->entry_count; i > 0; i--) {
        struct entry *entry = &s->entries[i - 1];
        if (entry->state == ENTRY_WRITING) {
            index_add(&s->index, segment, entry->sequence, entry->samples);
            entry->state = ENTRY_WRITTEN;
        }
        if (synced && entry->state == ENTRY_WRITTEN) spool_free_entry(s, i - 1);
    }
    if (synced) s->synced_ms = s->now_ms;
    if (s->closing_segment) s->open_segment = 0;
    s->writing = s->closing_segment = false;
    s->trouble[0] = '\0';
    spool_forget_received(s);
}

/* ---- reading the backlog ---- */

void reader_fini(struct reader *reader)
{
    buffer_fini(&reader->bytes);
    free(reader->offsets);
    *reader = (struct reader){0};
}

static void load_reader(struct reader *reader, const struct segment *segment, struct span bytes)
{
    reader->state = READER_LOADED;
    reader->first = segment->first;
    reader->last = segment->last;
    reader->offsets =
        check_alloc_array((size_t)(segment->last - segment->first + 2), sizeof *reader->offsets);
    CHECK(buffer_append(&reader->bytes, bytes, NULL) == 0);
    struct segment_scan scan;
    struct segment_record record;
    for (segment_scan_begin(&scan, buffer_span(&reader->bytes)); segment_scan_next(&scan, &record);)
        if (record.kind == RECORD_BATCH && record.intact && record.sequence >= reader->first &&
            record.sequence <= reader->last)
            reader->offsets[record.sequence - reader->first] = record.offset;
}

/* An unreadable file leaves its readers empty of offsets: every sequence then becomes a gap as it is asked
 * for. */
static void read_done(struct spool *s, const struct disk_answer *answer)
{
    const struct segment *segment = index_find(&s->index, answer->segment);
    for (size_t i = 0; i < SPOOL_COLLECTORS_MAX; i++) {
        struct reader *reader = &s->readers[i];
        if (reader->state != READER_WANTED || reader->segment != answer->segment) continue;
        if (segment == NULL)
            reader_fini(reader);
        else
            load_reader(reader, segment, answer->os_errno == 0 ? answer->bytes : span_of(NULL, 0));
    }
}

enum spool_found spool_files_read(struct spool *s, unsigned collector, const struct segment *segment,
    uint64_t sequence, struct buffer *out, struct error *err)
{
    struct reader *reader = &s->readers[collector];
    bool grown = reader->state == READER_LOADED && (sequence > reader->last || sequence < reader->first);
    if (reader->state != READER_EMPTY && (reader->segment != segment->number || grown)) reader_fini(reader);
    if (reader->state == READER_EMPTY) {
        if (s->disk == NULL || disk_send(s->disk, DISK_READ, segment->number, 0, span_of(NULL, 0), NULL) != 0)
            return SPOOL_READING;
        reader->state = READER_WANTED;
        reader->segment = segment->number;
    }
    if (reader->state == READER_WANTED) return SPOOL_READING;
    size_t offset = reader->offsets[sequence - reader->first];
    if (offset == 0) {
        uint32_t samples = 0;
        uint64_t number = segment->number;
        index_remove(&s->index, index_find(&s->index, number), sequence, &samples);
        spool_give_up(s, sequence, sequence, samples, WIRE_GAP_CORRUPT);
        fail(err, ERROR_CORRUPT, "batch %llu in segment %llu of %s is damaged", (unsigned long long)sequence,
            (unsigned long long)number, s->directory);
        return SPOOL_CORRUPT;
    }
    struct segment_scan scan = {.bytes = buffer_span(&reader->bytes), .offset = offset};
    struct segment_record record;
    CHECK(segment_scan_next(&scan, &record) && record.sequence == sequence && record.intact);
    return buffer_append(out, record.frame, err) == 0 ? SPOOL_FOUND : SPOOL_NONE;
}

/* ---- the pump ---- */

static void take_answer(struct spool *s, const struct disk_answer *answer)
{
    s->answered_ms = s->now_ms;
    if (answer->verb == DISK_OPEN) {
        if (answer->os_errno == EBUSY)
            disk_gone(s, "another agent uses the spool's directory");
        else if (answer->os_errno != 0)
            disk_gone(s, "the spool's directory cannot be opened");
    } else if (answer->verb == DISK_READ) {
        read_done(s, answer);
    } else if (answer->verb == DISK_WRITE || answer->verb == DISK_SYNC) {
        if (answer->os_errno == 0) {
            write_done(s, answer->verb == DISK_SYNC);
        } else {
            char why[96];
            snprintf(why, sizeof why, "write failed: %s", strerrordesc_np(answer->os_errno));
            write_failed(s, why);
        }
    }
}

static bool has_work(const struct spool *s)
{
    return s->index.count > 0 || (s->entry_count > 0 && s->entries[0].born_ms >= 0 &&
                                     s->now_ms - s->entries[0].born_ms >= SPOOL_WRITE_AFTER_MS);
}

/* The index lives here, so a fresh helper needs the directory only. */
static void start_again(struct spool *s)
{
    if (s->now_ms < s->retry_ms || !has_work(s)) return;
    s->disk = disk_new(NULL);
    if (s->disk == NULL) {
        s->retry_ms = s->now_ms + SPOOL_RETRY_MS;
        return;
    }
    s->answered_ms = s->worked_ms = s->now_ms;
    CHECK(disk_send(s->disk, DISK_OPEN, 0, 0, span_text(s->directory), NULL) == 0);
}

void spool_files_pump(struct spool *s)
{
    if (s->disk == NULL) start_again(s);
    struct disk_answer answer;
    int got = 0;
    while (s->disk != NULL && (got = disk_pump(s->disk, &answer, NULL)) > 0) take_answer(s, &answer);
    if (s->disk == NULL) return;
    if (got < 0) {
        disk_gone(s, "the spool's helper has ended");
        return;
    }
    if (disk_under_way(s->disk) == 0) s->answered_ms = s->now_ms;
    s->hung = s->now_ms - s->answered_ms >= SPOOL_HUNG_AFTER_MS;
    if (s->writing || s->now_ms < s->retry_ms) return;
    if (disk_under_way(s->disk) > 0 || has_work(s)) s->worked_ms = s->now_ms;
    if (s->now_ms - s->worked_ms >= SPOOL_REST_AFTER_MS) {
        disk_free(s->disk, false);
        s->disk = NULL;
        return;
    }
    begin_write(s, SPOOL_WRITE_AFTER_MS, false);
    if (disk_wants_to_write(s->disk) && disk_pump(s->disk, &answer, NULL) > 0) take_answer(s, &answer);
}

void spool_files_close(struct spool *s)
{
    if (s->disk == NULL && s->directory != NULL && s->entry_count > 0) {
        s->retry_ms = s->now_ms;
        s->entries[0].born_ms = s->now_ms - SPOOL_WRITE_AFTER_MS;
        start_again(s);
    }
    if (s->disk == NULL) return;
    int64_t deadline_ms = clock_mono_ms() + SPOOL_CLOSE_MS;
    bool hung = false;
    struct disk_answer answer;
    while (s->disk != NULL && !hung && s->incarnation != 0) {
        if (!s->writing) begin_write(s, 0, true);
        if (disk_under_way(s->disk) == 0) break;
        hung = wait_for_answer(s, deadline_ms, &answer, NULL) != 0;
        bool failed = !hung && answer.os_errno != 0 && answer.verb != DISK_READ;
        if (!hung) take_answer(s, &answer);
        if (failed) break;
    }
    disk_free(s->disk, hung);
    s->disk = NULL;
}

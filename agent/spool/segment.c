#include "agent/spool/segment.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "agent/spool/crc32c.h"
#include "common/check.h"
#include "proto/limits.h"

struct record_head {
    uint32_t kind;
    uint32_t size;
    uint64_t incarnation;
    uint64_t sequence;
    uint32_t samples;
    uint32_t frame_crc;
    uint32_t reserved;
    uint32_t head_crc; /* of everything before it */
};
static_assert(sizeof(struct record_head) == RECORD_HEAD_BYTES, "as the format says");

static const char file_head[SEGMENT_HEAD_BYTES] = "faultline spool segment, 1\n";

static void append(struct buffer *out, struct span bytes)
{
    CHECK(buffer_append(out, bytes, NULL) == 0); /* its owner bounds a segment far below */
}

void segment_write_head(struct buffer *out)
{
    append(out, span_of(file_head, sizeof file_head));
}

void segment_write_record(struct buffer *out, const struct segment_record *record)
{
    CHECK(record->frame.size <= LIMIT_FRAME_BYTES);
    struct record_head head = {.kind = record->kind,
        .size = (uint32_t)record->frame.size,
        .incarnation = record->incarnation,
        .sequence = record->sequence,
        .samples = record->samples,
        .frame_crc = crc32c(0, record->frame)};
    head.head_crc = crc32c(0, span_of(&head, offsetof(struct record_head, head_crc)));
    append(out, span_of(&head, sizeof head));
    append(out, record->frame);
}

/* Whether an intact head stands at the offset. */
static bool head_at(struct span bytes, size_t offset, struct record_head *head)
{
    if (bytes.size - offset < sizeof *head) return false;
    memcpy(head, bytes.data + offset, sizeof *head);
    if ((head->kind != RECORD_BATCH && head->kind != RECORD_DICTIONARY) || head->size > LIMIT_FRAME_BYTES)
        return false;
    return head->head_crc == crc32c(0, span_of(head, offsetof(struct record_head, head_crc)));
}

void segment_scan_begin(struct segment_scan *scan, struct span bytes)
{
    size_t offset = bytes.size < SEGMENT_HEAD_BYTES ? bytes.size : SEGMENT_HEAD_BYTES;
    *scan = (struct segment_scan){.bytes = bytes, .offset = offset, .torn_bytes = bytes.size - offset};
}

bool segment_scan_next(struct segment_scan *scan, struct segment_record *record)
{
    struct span bytes = scan->bytes;
    struct record_head head;
    size_t at = scan->offset;
    while (at < bytes.size && !head_at(bytes, at, &head)) at++;
    /* Nothing intact behind: the tail is torn, whatever it holds. */
    if (at >= bytes.size || bytes.size - at - sizeof head < head.size) {
        scan->torn_bytes = bytes.size - scan->offset;
        return false;
    }
    if (at != scan->offset) scan->damaged++;
    struct span frame = span_of(bytes.data + at + sizeof head, head.size);
    *record = (struct segment_record){.kind = (enum record_kind)head.kind,
        .incarnation = head.incarnation,
        .sequence = head.sequence,
        .samples = head.samples,
        .frame = frame,
        .offset = at,
        .intact = head.frame_crc == crc32c(0, frame)};
    if (!record->intact) scan->damaged++;
    scan->offset = at + sizeof head + head.size;
    scan->torn_bytes = bytes.size - scan->offset;
    return true;
}

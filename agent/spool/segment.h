/* The format of a spool segment: a head, then records. Pure: bytes in, records out; files are disk.c's.
 *
 * Numbers are in the host's byte order: a spool does not travel. A record's head has a checksum of its own,
 * so that a flipped bit in the payload costs exactly this record and its number of samples is still known;
 * where the head itself is damaged the next intact head is searched for. A file that ends inside a record is
 * a torn tail. */
#ifndef AGENT_SPOOL_SEGMENT_H
#define AGENT_SPOOL_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/span.h"

#define SEGMENT_HEAD_BYTES 32
#define RECORD_HEAD_BYTES  40

enum record_kind {
    RECORD_BATCH = 0x42544346,     /* "FCTB" */
    RECORD_DICTIONARY = 0x44544346 /* "FCTD": a frame whose batch holds dictionary entries only */
};

struct segment_record {
    enum record_kind kind;
    uint64_t incarnation;
    uint64_t sequence;
    uint32_t samples;
    struct span frame; /* of the bytes scanned */
    size_t offset;     /* of the record's head; set by the scan */
    bool intact;       /* set by the scan; false: the head holds, the frame does not */
};

/* The head says what the file is and which version; the records say the rest, so that a flip in it costs
 * nothing. */
void segment_write_head(struct buffer *out);
void segment_write_record(struct buffer *out, const struct segment_record *record);

struct segment_scan {
    struct span bytes;
    size_t offset;     /* where the next record is expected */
    uint64_t damaged;  /* places that had to be skipped: flipped bits, not the torn tail */
    size_t torn_bytes; /* at the end, known once the scan is over */
};

/* Starts behind the head. */
void segment_scan_begin(struct segment_scan *scan, struct span bytes);
/* False at the end. */
bool segment_scan_next(struct segment_scan *scan, struct segment_record *record);

#endif

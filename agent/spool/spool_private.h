/* What spool.c (memory, cursors, quota) and spool_files.c (segments through the disk helper) share. */
#ifndef AGENT_SPOOL_SPOOL_PRIVATE_H
#define AGENT_SPOOL_SPOOL_PRIVATE_H

#include "agent/spool/disk.h"
#include "agent/spool/gaps.h"
#include "agent/spool/index.h"
#include "agent/spool/spool.h"

enum entry_state {
    ENTRY_NEW,
    ENTRY_WRITING, /* handed to the disk helper */
    ENTRY_WRITTEN /* in a file, not yet synced: kept, for a failing fsync makes nothing of the file certain */
};

struct entry {
    uint64_t sequence;
    uint32_t samples;
    uint32_t size;
    uint8_t *frame;
    enum entry_state state;
    int64_t born_ms; /* -1 until the first pump */
    bool must_write; /* even if acknowledged meanwhile: marks how far the sequences have come */
};

struct cursor {
    bool used;
    struct received received;
};

/* The segment that a collector's backlog is read from. */
struct reader {
    enum { READER_EMPTY, READER_WANTED, READER_LOADED } state;
    uint64_t segment;
    struct buffer bytes;
    size_t *offsets; /* [sequence - first] of the record's head, 0 none */
    uint64_t first, last;
};

struct spool {
    struct spool_options options;
    char *directory;
    uint64_t incarnation;
    uint64_t next_sequence;
    struct entry *entries; /* ascending */
    size_t entry_count, entry_capacity;
    uint64_t memory_bytes;
    struct buffer dictionary;  /* records, ready to be written */
    size_t dictionary_written; /* of it in the open segment */
    struct segment_index index;
    struct gaps gaps;
    uint64_t dropped_samples;
    struct cursor cursors[SPOOL_COLLECTORS_MAX];
    struct reader readers[SPOOL_COLLECTORS_MAX];

    struct disk *disk;
    int64_t now_ms;
    int64_t retry_ms;
    int64_t synced_ms;
    int64_t answered_ms;
    int64_t worked_ms; /* when the disk was last needed */
    bool writing, closing_segment;
    bool hung;             /* a command has been under way for SPOOL_HUNG_AFTER_MS */
    uint64_t open_segment; /* 0 none: the next write starts one */
    uint64_t open_offset, open_first;
    uint64_t next_segment;
    char trouble[160];
};

bool spool_received_by_all(const struct spool *spool, uint64_t sequence);
/* Sequences that are held nowhere any more, with as many samples as anybody missed. */
void spool_give_up(
    struct spool *spool, uint64_t first, uint64_t last, uint64_t samples, enum wire_gap_reason reason);
void spool_free_entry(struct spool *spool, size_t position);
/* The oldest segment goes, told as a gap; false if there is none. */
bool spool_drop_segment(struct spool *spool, enum wire_gap_reason reason);
void spool_forget_received(struct spool *spool);

int spool_files_open(struct spool *spool, struct error *err);
void spool_files_close(struct spool *spool);
void spool_files_pump(struct spool *spool);
void spool_files_remove(struct spool *spool, size_t position);
enum spool_found spool_files_read(struct spool *spool, unsigned collector, const struct segment *segment,
    uint64_t sequence, struct buffer *out, struct error *err);
void reader_fini(struct reader *reader);

#endif

/* What store.c, apply.c, replay.c, seal.c and compact.c share. Nobody else includes this. */
#ifndef COLLECTOR_CORE_STORE_STORE_INSIDE_H
#define COLLECTOR_CORE_STORE_STORE_INSIDE_H

#include "collector/core/store/day.h"
#include "collector/core/store/journal.h"
#include "collector/core/store/series.h"
#include "collector/core/store/store.h"
#include "collector/core/store/stream.h"
#include "common/arena.h"

#define STORE_HEAD_SAMPLES_MAX  ((size_t)8 << 20)   /* 128 MiB of times and values: beyond, STORE_FULL */
#define STORE_HEAD_SAMPLES_HIGH ((size_t)3 << 20)   /* beyond, sealing does not wait for seal_after_ms */
#define STORE_HOST_SAMPLES_HIGH ((size_t)256 << 10) /* of one host, the same */
#define STORE_GROUP_BYTES_MAX   ((size_t)16 << 20)  /* frames in the open group: beyond, STORE_FULL */
#define STORE_SEAL_STEP_SAMPLES ((size_t)256 << 10) /* about 20 ms of encoding and writing */
#define STORE_SEAL_AFTER_MS     60000
#define STORE_RETRY_MS          1000 /* after a commit failed, one group is let in this often */
#define STORE_IDLE_SERIES_MS    DAY_MS
#define STORE_IDLE_ENTRY_MS     HOUR_MS

/* A frame of the open group; its bytes lie in store->group_bytes. */
struct group_frame {
    uint64_t serial;
    uint32_t stream;
    int64_t arrival_ms;
    size_t at, size;
};

struct group_entry {
    struct stream *stream;
    uint32_t id;
};

/* The hourly pass over the days that are in WAL mode. */
struct compaction {
    int64_t began_ms;
    int64_t *days;
    size_t day_count, day_next;
    struct compaction_unit *units; /* of the day at hand */
    size_t unit_count, unit_next;
    bool day_open;
};

struct store {
    char *directory;
    int lock;
    uint32_t retention_days;
    int64_t seal_after_ms;
    void (*note)(void *owner, const char *text);
    void *owner;

    struct journal *journal;
    struct days days;
    struct registry registry;
    struct streams streams;

    /* the open group */
    uint64_t group;
    struct group_frame *frames;
    size_t frame_count, frame_capacity;
    struct buffer group_bytes;
    struct stream **group_streams;
    size_t group_stream_count, group_stream_capacity;
    struct series **touched;
    size_t touched_count, touched_capacity;
    struct group_entry *new_entries; /* not in the journal yet; survives a failed commit */
    size_t new_entry_count, new_entry_capacity;
    struct store_counts group_counts; /* added to counts by a commit */

    uint64_t next_serial, committed_serial, pruned_serial;
    int64_t now_ms;   /* the newest that a caller told */
    int64_t retry_ms; /* full until then; 0 not full */

    size_t seal_at; /* next host to look at */
    size_t head_samples;
    int64_t maintained_ms;
    struct compaction compaction;
    struct store_counts counts;
};

void store_note(const struct store *store, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* apply.c: what a batch's samples become. serial: of its frame. */
struct apply_context {
    struct store *store;
    struct stream *stream;
    uint64_t serial;
    int64_t arrival_ms;
    bool replaying; /* leave out what the sealed marks cover */
    struct store_counts *counts;
};
/* Learns the dictionary entries of a batch; new ones go to store->new_entries unless replaying. */
void apply_dictionary(const struct apply_context *context, const struct wire_batch *batch);
/* Whether every id that the batch uses is explained (or refused for want of room). */
bool apply_ids_known(const struct stream *stream, const struct wire_batch *batch);
void apply_batch(const struct apply_context *context, const struct wire_batch *batch);

/* replay.c: rows of the journal become streams, dictionaries and heads. The visitor alone, for fuzzing: it
 * needs neither journal nor files. */
struct replay {
    struct store *store;
    struct table by_number; /* of struct stream */
    struct arena arena;
    uint64_t unreadable;
};
struct journal_visitor replay_visitor(struct replay *replay);
void replay_fini(struct replay *replay);
int store_replay(struct store *store, struct error *err);

/* compact.c: 1 more to do, 0 done, -1 err. */
int compact_step(struct store *store, int64_t now_ms, struct error *err);
void compaction_fini(struct compaction *compaction);

#endif

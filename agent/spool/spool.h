/* What is not yet acknowledged: batches in segment files of a directory, oldest first, with a cursor per
 * collector. Survives kill -9 (a torn tail is cut at open), bit flips (CRC32C per record; the record is set
 * aside and told as a gap), a full disk (oldest segments go, told as gaps) and a hanging disk (a bounded ring
 * in memory takes over; disk work is done by a helper thread that can be abandoned). The agent's loop thread
 * owns the struct.
 *
 * Sequences count from 1 within an incarnation; the incarnation is kept in the directory. fsync at most once
 * a second. */
#ifndef AGENT_SPOOL_SPOOL_H
#define AGENT_SPOOL_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/span.h"
#include "proto/received.h"
#include "proto/wire.h"

#define SPOOL_COLLECTORS_MAX 4

struct spool;

struct spool_options {
    const char *directory;  /* NULL: memory only */
    uint64_t bytes_max;     /* default 256 MiB: then the oldest goes, told by gap records */
    uint64_t segment_bytes; /* default 4 MiB */
    uint64_t memory_bytes;  /* default 8 MiB: ring while the disk does not answer */
    uint64_t random;        /* for a new incarnation */
};

struct spool *spool_open(const struct spool_options *options, struct error *err);
void spool_close(struct spool *spool);

uint64_t spool_incarnation(const struct spool *spool);
uint64_t spool_next_sequence(const struct spool *spool);
uint64_t spool_oldest_sequence(const struct spool *spool);

/* Keeps one encoded FromAgent frame whose batch has sequence spool_next_sequence. `samples`: for gap records,
 * should it be dropped. */
int spool_append(struct spool *spool, struct span frame, uint64_t samples, struct error *err);

/* Collectors are numbered by the caller, 0..SPOOL_COLLECTORS_MAX-1. A batch is removed when all have received
 * it. */
int spool_add_collector(struct spool *spool, unsigned collector, struct error *err);

/* Notes what a collector acknowledged (whole set). */
void spool_acknowledge(struct spool *spool, unsigned collector, const struct received *received);

/* The lowest sequence above `after` that the collector has not received, its frame appended to out. 1 found,
 * 0 none, -1 err (the record is corrupt: it has become a gap, call again). */
int spool_next(struct spool *spool, unsigned collector, uint64_t after, uint64_t *sequence,
    struct buffer *out, struct error *err);

/* Gap records not yet told to the collector; told ones are removed by spool_acknowledge. */
size_t spool_gaps(const struct spool *spool, unsigned collector, struct wire_gap *gaps, size_t max);

void spool_sizes(const struct spool *spool, uint64_t *bytes, uint64_t *batches, uint64_t *dropped_samples);

#endif

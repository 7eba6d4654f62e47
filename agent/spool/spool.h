/* What is not yet acknowledged, with a cursor per collector: in memory first, after half a second in segment
 * files of a directory. A collector that answers keeps the disk out of it altogether.
 *
 * Survives kill -9 (what is older than half a second and a tick is in the files), power loss (fdatasync every
 * 5 s while anything is written), a torn tail, bit flips (CRC-32C per record; the record is told as a gap), a
 * full disk and a full quota (the oldest goes, told as gaps) and a hanging disk (a bounded ring in memory
 * takes over). Disk work is done by a helper process; nothing here blocks, but for spool_open and
 * spool_close, which have deadlines. The agent's loop thread owns the struct; helper_init comes first.
 *
 * Sequences count from 1 within an incarnation. The incarnation is kept as long as files are left; a restart
 * then goes on SPOOL_RESTART_SKIP sequences further, since batches that never touched the disk may have used
 * up some, and tells the unused ones as a gap without samples. */
#ifndef AGENT_SPOOL_SPOOL_H
#define AGENT_SPOOL_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/span.h"
#include "proto/received.h"
#include "proto/wire.h"

#define SPOOL_COLLECTORS_MAX 4
#define SPOOL_WRITE_AFTER_MS 500
#define SPOOL_SYNC_EVERY_MS  5000
#define SPOOL_HUNG_AFTER_MS  5000
#define SPOOL_RETRY_MS       2000
#define SPOOL_REST_AFTER_MS  20000 /* without work for the disk its helper ends, until there is some */
#define SPOOL_OPEN_MS        10000
#define SPOOL_CLOSE_MS       2000
#define SPOOL_RESTART_SKIP   (UINT64_C(1) << 20)

struct spool;

struct spool_options {
    const char *directory;  /* NULL: memory only */
    uint64_t bytes_max;     /* default 256 MiB: then the oldest goes, told by gap records */
    uint64_t segment_bytes; /* default 1 MiB: the most that is read at once and lost at once */
    uint64_t memory_bytes;  /* default 8 MiB: ring while the disk does not answer */
    uint64_t random;        /* for a new incarnation, not 0 */
    /* Called by spool_open with every frame that dictionary entries may have to be learned from, oldest
     * first. */
    void (*recovered)(void *owner, struct span frame);
    void *owner;
};

/* Reads what an earlier run left. Blocks for at most SPOOL_OPEN_MS: ERROR_AGAIN then, and the owner may go on
 * with memory only. ERROR_IO with EBUSY: another agent uses the directory. */
struct spool *spool_open(const struct spool_options *options, struct error *err);
/* Writes what is not written, for at most SPOOL_CLOSE_MS. */
void spool_close(struct spool *spool);

uint64_t spool_incarnation(const struct spool *spool);
uint64_t spool_next_sequence(const struct spool *spool);
uint64_t spool_oldest_sequence(const struct spool *spool); /* the next one if nothing is kept */

/* Keeps one encoded FromAgent frame whose batch has sequence spool_next_sequence. `samples`: for gap records,
 * should it be dropped. */
int spool_append(struct spool *spool, struct span frame, uint64_t samples, struct error *err);

/* A frame of dictionary entries, kept for the head of every segment: what is on disk explains itself. */
void spool_keep_dictionary(struct spool *spool, struct span frame);

/* Hands work to the disk and takes its answers. Call with every tick and before spool_next. now_ms:
 * monotonic. */
void spool_pump(struct spool *spool, int64_t now_ms);

/* Collectors are numbered by the caller, 0..SPOOL_COLLECTORS_MAX-1. A batch is removed when all have received
 * it. */
int spool_add_collector(struct spool *spool, unsigned collector, struct error *err);

/* Notes what a collector acknowledged (whole set). */
void spool_acknowledge(struct spool *spool, unsigned collector, const struct received *received);

enum spool_found { SPOOL_CORRUPT = -1, SPOOL_NONE = 0, SPOOL_FOUND = 1, SPOOL_READING = 2 };

/* The lowest sequence above `after` that the collector has not received, its frame appended to out.
 * SPOOL_READING: it is being read, call again after a spool_pump. SPOOL_CORRUPT: err says what; it has become
 * a gap, call again. */
enum spool_found spool_next(struct spool *spool, unsigned collector, uint64_t after, uint64_t *sequence,
    struct buffer *out, struct error *err);

/* Gap records to put into the batch that is appended next. They are told again should that batch be dropped.
 */
size_t spool_take_gaps(struct spool *spool, struct wire_gap *gaps, size_t max);

struct spool_sizes {
    uint64_t disk_bytes, disk_batches; /* in files: what kill -9 leaves */
    uint64_t memory_bytes;
    uint64_t batches; /* in all, each once */
    uint64_t dropped_samples;
};
void spool_sizes(const struct spool *spool, struct spool_sizes *sizes);

/* What is wrong with the disk in a sentence, NULL if nothing is. */
const char *spool_trouble(const struct spool *spool);

/* The disk helper's process, 0 none: for tests that stop it as a dying disk would. */
int spool_helper_pid(const struct spool *spool);

#endif

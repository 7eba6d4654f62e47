/* Time series in SQLite. One thread (core's store role) owns a struct store and is the only writer of its
 * files: journal.db (opened by nobody else), seconds-DAY.db. Readers use store_read.h.
 *
 * The path of a batch: store_append keeps it in the open group and in the heads; store_commit makes the group
 * durable (one fdatasync, synchronous=FULL) and only then are its sequences in store_received; the caller
 * acknowledges after that. store_seal moves heads that are old enough into compressed blocks of the day
 * files, then prunes the journal: a crash between the two is noticed at open by the sealed mark, which each
 * sealing transaction writes. */
#ifndef COLLECTOR_CORE_STORE_STORE_H
#define COLLECTOR_CORE_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/span.h"
#include "proto/received.h"
#include "proto/wire.h"

struct store;

struct store_options {
    const char *directory;
    uint32_t retention_days;                /* of seconds-DAY.db */
    int64_t seal_after_ms;                  /* default 60000: heads older than this are sealed */
    size_t series_max, series_per_host_max; /* 0: limits.h */
};

/* Creates what is missing, replays the journal, takes the lock: a second store on the directory fails with
 * ERROR_AGAIN. A newer schema fails with ERROR_UNSUPPORTED and touches nothing. A corrupt file is renamed
 * aside
 * (`.corrupt-TIME`), told through `notes`, and costs only what it held. */
struct store *store_open(const struct store_options *options, int64_t now_ms,
    void (*note)(void *owner, const char *text), void *owner, struct error *err);
/* Seals nothing; commits the open group. NULL is fine. */
void store_close(struct store *store);

enum store_verdict {
    STORE_TAKEN,      /* in the open group */
    STORE_REPEATED,   /* received before: acknowledge again */
    STORE_NEEDS_DICT, /* uses a dictionary id that was never explained: ask with NeedDict, do not acknowledge
                       */
    STORE_FULL        /* no space or at a bound: do not acknowledge, the agent keeps it */
};

/* One validated batch of a host. `frame` are the bytes it was decoded from: the journal keeps them as they
 * are. -1 only when the store is broken (err); samples outside the time window and series beyond the bounds
 * are refused one by one, counted in store_counts, and do not hold up the batch. */
int store_append(struct store *store, const char *key, const char *host, const struct wire_batch *batch,
    struct span frame, int64_t now_ms, enum store_verdict *verdict, struct error *err);

/* Makes all that was appended durable. On failure nothing of the group counts as received; ERROR_LIMIT: disk
 * full. */
int store_commit(struct store *store, struct error *err);

/* What is durably received of (key, incarnation): what an ack says. False if nothing is known of it. */
bool store_received(
    const struct store *store, const char *key, uint64_t incarnation, struct received *received);

/* Seals what is due and deletes what has expired; a bounded piece of work (tens of ms) per call.
 * 1 there is more to do, 0 done, -1 err. */
int store_seal(struct store *store, int64_t now_ms, bool everything, struct error *err);

/* Values still in memory of the series that match, and of the hour before from_ms (a rate needs the sample
 * before), for store_query: appended to out in the format of heads.h. */
struct store_selector;
int store_heads(
    const struct store *store, const struct store_selector *selector, struct buffer *out, struct error *err);

struct store_counts {
    uint64_t batches, samples, repeated, refused_time, refused_series, refused_value, commits, commit_us,
        seals, gap_samples, journal_bytes, day_bytes, series, head_samples;
};
void store_counts(const struct store *store, struct store_counts *counts);

/* How full the memory for what is not sealed is, 0 to 1; at 1 store_append answers STORE_FULL. */
double store_pressure(const struct store *store);

#endif

/* journal.db: what has arrived and is not sealed yet, with what of each stream is received, in group commits.
 * Opened by one process only (exclusive locking, WAL in private memory, synchronous=FULL: one fdatasync a
 * commit). One thread. */
#ifndef COLLECTOR_CORE_STORE_JOURNAL_H
#define COLLECTOR_CORE_STORE_JOURNAL_H

#include <stdint.h>

#include "common/error.h"
#include "common/span.h"
#include "proto/received.h"

#define JOURNAL_APPLICATION_ID 0x464c4a31 /* "FLJ1" */
#define JOURNAL_VERSION        1

struct journal;

struct journal_stream {
    uint32_t number;
    const char *key;
    uint64_t incarnation;
    const char *host;
    int64_t seen_ms;
    struct received received;
};

struct journal_entry {
    uint32_t stream, id;
    const char *metric, *labels;
};

struct journal_frame {
    uint64_t serial; /* ascends, never used twice in a journal of one id */
    uint32_t stream;
    int64_t arrival_ms;
    struct span bytes;
};

/* What journal_replay calls, streams first, then dictionaries, then frames by serial. -1 ends the replay. */
struct journal_visitor {
    void *owner;
    int (*stream)(void *owner, const struct journal_stream *stream, struct error *err);
    int (*entry)(void *owner, const struct journal_entry *entry, struct error *err);
    int (*frame)(void *owner, const struct journal_frame *frame, struct error *err);
};

typedef void journal_note(void *owner, const char *text);

/* A damaged file is renamed aside, what can be read of it is taken over, and that is told. ERROR_UNSUPPORTED:
 * from a later version, untouched. */
struct journal *journal_open(
    const char *directory, int64_t now_ms, journal_note *note, void *owner, struct error *err);
void journal_close(struct journal *journal);

/* Random; the sealed marks of day files hold for this journal only. */
int64_t journal_id(const struct journal *journal);
uint64_t journal_next_serial(const struct journal *journal);

int journal_replay(struct journal *journal, const struct journal_visitor *visitor, struct error *err);

/* begin, then puts, then commit; any failure rolls all of it back. After ERROR_IO the file is opened again
 * and what was committed is looked for, since an fsync that failed once says nothing by succeeding later. */
int journal_begin(struct journal *journal, struct error *err);
int journal_put_stream(struct journal *journal, const struct journal_stream *stream, struct error *err);
int journal_put_entry(struct journal *journal, const struct journal_entry *entry, struct error *err);
int journal_put_frame(struct journal *journal, const struct journal_frame *frame, struct error *err);
int journal_forget_entry(struct journal *journal, uint32_t stream, uint32_t id, struct error *err);
int journal_commit(struct journal *journal, struct error *err);

/* Transactions of their own. */
int journal_prune(struct journal *journal, uint64_t serial_through, struct error *err);
int journal_forget_stream(struct journal *journal, uint32_t stream, struct error *err);

uint64_t journal_bytes(const struct journal *journal);

#endif

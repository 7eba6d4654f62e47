/* Collects values and outcomes of probes and makes batches of them: gives each series an id, sends an id's
 * meaning in the first batch that uses it, groups values by their time, keeps to the limits of the wire.
 * Integers only. Pure but for memory; one owner. */
#ifndef AGENT_BATCH_BATCH_H
#define AGENT_BATCH_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/span.h"
#include "proto/metrics.h"
#include "proto/wire.h"

#define BATCH_VALUES_MAX 16384 /* waiting to be encoded; more are refused and counted */
#define BATCH_PROBES_MAX 4096

struct batch;

struct batch *batch_new(void);
void batch_free(struct batch *batch);

/* The second value of a series at the same time replaces the first. What does not fit (2,000 series, the
 * maxima above, labels outside the wire's charset) is refused and counted. Labels are copied, in any order.
 */
void batch_value(struct batch *batch, enum metric metric, const struct wire_label *labels, size_t label_count,
    int64_t time_ms, int64_t value);
void batch_probe(struct batch *batch, const struct wire_label *labels, size_t label_count,
    const struct probe_result *result);

bool batch_is_empty(const struct batch *batch);
uint64_t batch_refused(const struct batch *batch);

/* The next encoded batches carry the whole dictionary. */
void batch_resend_dictionary(struct batch *batch);

/* What an earlier run of this incarnation sent: its entries keep their ids, new ones get ids
 * SERIES_ID_SKIP beyond. */
void batch_learn(struct batch *batch, const struct wire_dict_entry *entries, size_t count);

struct batch_stamp {
    uint64_t incarnation, sequence;
    int64_t wall_ms, mono_ms;
    const struct wire_gap *gaps;
    size_t gap_count;
};

/* Appends one frame to `frame` with as much of what is waiting as a frame holds, and takes it out of the
 * batch; `more` says whether to call again (next sequence, no gaps). `dictionary`: gets a frame with the
 * entries that appear here for the first time ever, if there are any. On failure what would have been in the
 * frame is lost and counted as refused. */
int batch_encode(struct batch *batch, const struct batch_stamp *stamp, struct buffer *frame,
    uint64_t *samples, bool *more, struct buffer *dictionary, struct error *err);

#endif

/* Aggregates over the samples of one series, fed in ascending time: what query's `agg` words mean. Pure; the
 * owner's storage.
 *
 *   avg, sum, min, max, count, last   of the samples in the step; integers are summed exactly
 *   p50, p99   the sample at rank ceil(q n) of the step: a value that occurred
 *   rate       increase per second over the gaps between consecutive samples whose later one lies in the
 * step; a value below the one before is a counter that began again at 0, and its increase is the value itself
 */
#ifndef COLLECTOR_CORE_STORE_AGGREGATE_H
#define COLLECTOR_CORE_STORE_AGGREGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/core/store/cursor.h"
#include "collector/core/store/store_read.h"

/* What all series of one query share. */
struct aggregate_plan {
    enum store_aggregate aggregate;
    int64_t from_ms, to_ms;
    int64_t step_ms; /* 0: every sample (RAW, RATE) or all of from..to as one step */
    int scale;
    size_t values_left; /* quantiles keep a step's values: all series together */
    size_t points_left;
    bool full; /* one of the two ran out */
};

struct aggregate {
    bool in_step, has_before;
    int64_t step_at_ms; /* start of the open step */
    uint64_t count;
    wide sum_ints;
    double sum_doubles, min, max, last;
    double increase;
    wide increase_ints;
    int64_t elapsed_ms;
    int64_t before_ms;
    uint64_t before_bits;
    bool before_is_double;
    double *values;
    size_t value_count, value_capacity;
    struct store_point *points;
    size_t point_count, point_capacity;
};

void aggregate_feed(
    struct aggregate_plan *plan, struct aggregate *state, int64_t time_ms, uint64_t bits, bool is_double);
void aggregate_end(struct aggregate_plan *plan, struct aggregate *state); /* closes the last step */
void aggregate_fini(struct aggregate *state);

#endif

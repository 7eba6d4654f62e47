/* Which points of the wall clock's grid were never sampled. Pure: both clocks are arguments. */
#ifndef AGENT_TICK_H
#define AGENT_TICK_H

#include <stdint.h>

/* A sampling: the point of the grid that it is stamped with and when it really was, by both clocks. */
struct tick {
    int64_t time_ms, wall_ms, mono_ms;
};

/* Points of the grid between two samplings. As long as both clocks ran alike these are exactly the stamps
 * that nobody will find in the data; across a step of the wall clock, the intervals that passed without a
 * sampling. */
uint64_t tick_missed(const struct tick *before, const struct tick *now, int64_t interval_ms);

#endif

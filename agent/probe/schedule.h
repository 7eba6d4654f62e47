/* When a target's probes are due. Pure: `now` comes in. Wall times are Unix milliseconds, `mono` ones
 * clock_mono_ms. */
#ifndef AGENT_PROBE_SCHEDULE_H
#define AGENT_PROBE_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

/* Of bursts a target takes three in a row (to prove a path, to confirm a failure, to see the repair); in the
 * long run half of the time. */
#define SCHEDULE_BURST_BUDGET_MS 15000

/* The next point of the grid that lies after now and is not `last` again (a timer may fire a little early). A
 * clock that was set back moves the grid back with it. */
int64_t schedule_next_ms(int64_t now_ms, int64_t last_ms, uint32_t interval_ms, uint32_t phase_ms);

/* A burst of one target. Zeroed: none. */
struct schedule_burst {
    int64_t begin_ms, until_ms; /* mono */
    uint32_t interval_ms, phase_ms;
    int64_t last_ms;              /* wall: the grid point used last */
    int64_t spent_ms, counted_ms; /* of the budget, at that mono time; gives back 1 ms in 2 */
};

/* Asks for a burst: starts one, or prolongs the running one; at most LIMIT_BURST_MS from its begin,
 * LIMIT_BURST_PER_SECOND and the budget whatever is asked. False: refused, the budget is spent. */
bool schedule_burst_ask(struct schedule_burst *burst, int64_t mono_ms, uint32_t duration_ms,
    uint32_t interval_ms, uint32_t phase_ms);

/* How long until its next probe, in ms; -1: it is over. */
int64_t schedule_burst_wait_ms(struct schedule_burst *burst, int64_t mono_ms, int64_t wall_ms);

bool schedule_burst_runs(const struct schedule_burst *burst, int64_t mono_ms);

#endif

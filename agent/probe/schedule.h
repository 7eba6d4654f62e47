/* When a target's probes are due. Pure: `now` comes in. Wall times are Unix milliseconds, `mono` ones
 * clock_mono_ms. */
#ifndef AGENT_PROBE_SCHEDULE_H
#define AGENT_PROBE_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#define SCHEDULE_BURST_REST_MS 5000 /* after a burst, before a target takes the next one */

/* The next point of the grid that lies after now and is not `last` again (a timer may fire a little early). A
 * clock that was set back moves the grid back with it. */
int64_t schedule_next_ms(int64_t now_ms, int64_t last_ms, uint32_t interval_ms, uint32_t phase_ms);

/* A burst of one target. Zeroed: none. */
struct schedule_burst {
    int64_t begin_ms, until_ms; /* mono */
    uint32_t interval_ms, phase_ms;
    int64_t last_ms; /* wall: the grid point used last */
};

/* Asks for a burst: starts one, or prolongs the running one; at most LIMIT_BURST_MS from its begin and
 * LIMIT_BURST_PER_SECOND whatever is asked. False: refused, the target rests from the last one. */
bool schedule_burst_ask(struct schedule_burst *burst, int64_t mono_ms, uint32_t duration_ms,
    uint32_t interval_ms, uint32_t phase_ms);

/* How long until its next probe, in ms; -1: it is over. */
int64_t schedule_burst_wait_ms(struct schedule_burst *burst, int64_t mono_ms, int64_t wall_ms);

bool schedule_burst_runs(const struct schedule_burst *burst, int64_t mono_ms);

#endif

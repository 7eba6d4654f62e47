#include "agent/probe/schedule.h"

#include "common/loop.h"
#include "proto/limits.h"

int64_t schedule_next_ms(int64_t now_ms, int64_t last_ms, uint32_t interval_ms, uint32_t phase_ms)
{
    int64_t next_ms = loop_grid_next(now_ms, interval_ms, phase_ms);
    return next_ms == last_ms ? next_ms + interval_ms : next_ms;
}

bool schedule_burst_runs(const struct schedule_burst *burst, int64_t mono_ms)
{
    return burst->interval_ms > 0 && mono_ms < burst->until_ms;
}

bool schedule_burst_ask(struct schedule_burst *burst, int64_t mono_ms, uint32_t duration_ms,
    uint32_t interval_ms, uint32_t phase_ms)
{
    uint32_t least_ms = 1000 / LIMIT_BURST_PER_SECOND;
    if (duration_ms > LIMIT_BURST_MS) duration_ms = LIMIT_BURST_MS;
    if (interval_ms < least_ms) interval_ms = least_ms;
    if (schedule_burst_runs(burst, mono_ms)) {
        int64_t until_ms = mono_ms + duration_ms, most_ms = burst->begin_ms + LIMIT_BURST_MS;
        if (until_ms > most_ms) until_ms = most_ms;
        if (until_ms > burst->until_ms) burst->until_ms = until_ms;
        if (interval_ms < burst->interval_ms) {
            burst->interval_ms = interval_ms;
            burst->phase_ms = phase_ms % interval_ms;
        }
        return true;
    }
    if (burst->interval_ms > 0 && mono_ms < burst->until_ms + SCHEDULE_BURST_REST_MS) return false;
    *burst = (struct schedule_burst){.begin_ms = mono_ms,
        .until_ms = mono_ms + duration_ms,
        .interval_ms = interval_ms,
        .phase_ms = phase_ms % interval_ms};
    return true;
}

int64_t schedule_burst_wait_ms(struct schedule_burst *burst, int64_t mono_ms, int64_t wall_ms)
{
    if (!schedule_burst_runs(burst, mono_ms)) return -1;
    burst->last_ms = schedule_next_ms(wall_ms, burst->last_ms, burst->interval_ms, burst->phase_ms);
    int64_t wait_ms = burst->last_ms - wall_ms;
    return mono_ms + wait_ms < burst->until_ms ? wait_ms : -1;
}

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

/* Takes so much of the budget; false if it is not there. */
static bool spend(struct schedule_burst *burst, int64_t mono_ms, int64_t ms)
{
    int64_t spent_ms = burst->spent_ms - (mono_ms - burst->counted_ms) / 2;
    if (spent_ms < 0) spent_ms = 0;
    if (spent_ms + ms > SCHEDULE_BURST_BUDGET_MS) return false;
    burst->spent_ms = spent_ms + ms;
    burst->counted_ms = mono_ms;
    return true;
}

static void prolong(struct schedule_burst *burst, int64_t mono_ms, uint32_t duration_ms)
{
    int64_t until_ms = mono_ms + duration_ms, most_ms = burst->begin_ms + LIMIT_BURST_MS;
    if (until_ms > most_ms) until_ms = most_ms;
    if (until_ms > burst->until_ms && spend(burst, mono_ms, until_ms - burst->until_ms))
        burst->until_ms = until_ms;
}

bool schedule_burst_ask(struct schedule_burst *burst, int64_t mono_ms, uint32_t duration_ms,
    uint32_t interval_ms, uint32_t phase_ms)
{
    uint32_t least_ms = 1000 / LIMIT_BURST_PER_SECOND;
    if (duration_ms > LIMIT_BURST_MS) duration_ms = LIMIT_BURST_MS;
    if (interval_ms < least_ms) interval_ms = least_ms;
    if (schedule_burst_runs(burst, mono_ms)) {
        prolong(burst, mono_ms, duration_ms);
        if (interval_ms < burst->interval_ms) {
            burst->interval_ms = interval_ms;
            burst->phase_ms = phase_ms % interval_ms;
        }
        return true;
    }
    if (!spend(burst, mono_ms, duration_ms)) return false;
    burst->begin_ms = mono_ms;
    burst->until_ms = mono_ms + duration_ms;
    burst->interval_ms = interval_ms;
    burst->phase_ms = phase_ms % interval_ms;
    burst->last_ms = 0;
    return true;
}

int64_t schedule_burst_wait_ms(struct schedule_burst *burst, int64_t mono_ms, int64_t wall_ms)
{
    if (!schedule_burst_runs(burst, mono_ms)) return -1;
    burst->last_ms = schedule_next_ms(wall_ms, burst->last_ms, burst->interval_ms, burst->phase_ms);
    int64_t wait_ms = burst->last_ms - wall_ms;
    return mono_ms + wait_ms < burst->until_ms ? wait_ms : -1;
}

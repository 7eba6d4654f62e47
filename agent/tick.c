#include "agent/tick.h"

uint64_t tick_missed(const struct tick *before, const struct tick *now, int64_t interval_ms)
{
    int64_t passed_ms = now->mono_ms - before->mono_ms;
    int64_t stepped_ms = now->wall_ms - before->wall_ms - passed_ms;
    int64_t points = stepped_ms > -interval_ms / 2 && stepped_ms < interval_ms / 2
                         ? (now->time_ms - before->time_ms) / interval_ms
                         : (passed_ms + interval_ms / 2) / interval_ms;
    return points > 1 ? (uint64_t)points - 1 : 0;
}

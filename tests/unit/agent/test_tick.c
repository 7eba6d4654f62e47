#include "agent/tick.h"
#include "common/check.h"
#include "tests/support/unit.h"

#define NOON 1795435200000

static struct tick at(int64_t wall_ms, int64_t mono_ms)
{
    return (struct tick){
        .time_ms = NOON + wall_ms / 1000 * 1000, .wall_ms = NOON + wall_ms, .mono_ms = mono_ms};
}

static void missed_are_the_stamps_that_nobody_will_find(void)
{
    static const struct {
        const char *label;
        int64_t wall_ms[2], mono_ms[2];
        uint64_t missed;
    } rows[] = {
        {"on time", {10000, 11000}, {500, 1500}, 0},
        {"late, then on time", {10950, 11000}, {1450, 1500}, 0},
        {"on time, then late", {10000, 11999}, {500, 2499}, 0},
        /* Only 1.1 s lie between, and still nothing is stamped with second 12. */
        {"late, then very late", {11900, 13000}, {2400, 3500}, 1},
        {"late, then later", {11900, 13100}, {2400, 3600}, 1},
        {"a pause", {10000, 70000}, {500, 60500}, 59},
        {"the clock is slewed", {10000, 11000}, {500, 1501}, 0},
        {"the clock steps an hour ahead", {10000, 3611000}, {500, 1500}, 0},
        {"the clock steps an hour back", {3610000, 11000}, {500, 1500}, 0},
        {"it steps back while the agent is paused", {3610000, 14000}, {500, 4500}, 3},
        {"it steps back to the same second", {10000, 10000}, {500, 1100}, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct tick before = at(rows[i].wall_ms[0], rows[i].mono_ms[0]);
        struct tick now = at(rows[i].wall_ms[1], rows[i].mono_ms[1]);
        uint64_t missed = tick_missed(&before, &now, 1000);
        if (missed != rows[i].missed) printf("%s: %llu\n", rows[i].label, (unsigned long long)missed);
        CU_ASSERT_EQUAL(missed, rows[i].missed);
    }
}

UNIT_MAIN(
    "tick", {"missed are the stamps that nobody will find", missed_are_the_stamps_that_nobody_will_find})

/* What is learned, and what is slow without failing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/engine/internal.h"
#include "tests/support/site_world.h"
#include "tests/support/unit.h"

static void histogram_buckets_are_three_percent_wide(void)
{
    for (int64_t us = 1; us < 4000000; us = us * 21 / 20 + 1) {
        uint32_t index = histogram_index(us);
        CU_ASSERT(index < HISTOGRAM_BUCKETS);
        int64_t middle = histogram_value_us(index);
        int64_t off = middle > us ? middle - us : us - middle;
        CU_ASSERT(off * 31 <= us || us < 32);
        CU_ASSERT(histogram_index(us + 1) >= index);
    }
    CU_ASSERT_EQUAL(histogram_index(-5), 0);
    CU_ASSERT_EQUAL(histogram_index(INT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void lateness_follows_the_latency_within_its_bounds(void)
{
    static const struct {
        int64_t us;
        int64_t young_ms_min, young_ms_max, late_ms_min, late_ms_max;
    } rows[] = {{2000, 500, 500, 300, 300}, {100000, 970, 1050, 580, 640}, {900000, 2000, 2000, 2000, 2000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pool pool = {.late_after_ms = 2000};
        for (int k = 0; k < 9; k++) pool_add_latency(NULL, &pool, rows[i].us);
        CU_ASSERT(pool_late_after_ms(&pool) == 2000); /* too few */
        for (int k = 0; k < 50; k++) pool_add_latency(NULL, &pool, rows[i].us);
        CU_ASSERT(pool_late_after_ms(&pool) >= rows[i].young_ms_min);
        CU_ASSERT(pool_late_after_ms(&pool) <= rows[i].young_ms_max);
        for (int k = 0; k < 500; k++) pool_add_latency(NULL, &pool, rows[i].us);
        CU_ASSERT(pool_late_after_ms(&pool) >= rows[i].late_ms_min);
        CU_ASSERT(pool_late_after_ms(&pool) <= rows[i].late_ms_max);
    }
}

static void slow_is_known_after_600_outcomes_and_pages_after_a_day(void)
{
    struct pool pool = {0};
    for (int k = 0; k < 599; k++) pool_add_latency(NULL, &pool, 2000 + k);
    CU_ASSERT_FALSE(pool_is_slow(&pool, 1000000));
    pool_add_latency(NULL, &pool, 2000);
    pool_update_quantiles(NULL, &pool);
    CU_ASSERT_TRUE(pool_is_slow(&pool, 30000));
    CU_ASSERT_FALSE(pool_is_slow(&pool, 8000)); /* 3 medians + 5 ms */
    CU_ASSERT_FALSE(pool_knows_slow(&pool));
    pool.clean_ms = SLOW_LEARNED_MS;
    CU_ASSERT_TRUE(pool_knows_slow(&pool));
}

/* Two hundred milliseconds more through the balancer, far below T: nothing fails. */
static void a_balancer_that_is_only_slow_is_warned_about(void)
{
    struct world *world = world_new(builder_simple(3, 3, false), 1);
    world_run(world, 400000);
    CU_ASSERT_EQUAL(world->step_count, 0);
    world->balancer[0] = WORLD_SLOW;
    world->slow_us = 200000;
    int64_t cut = world->now_ms;
    world_run(world, 60000);
    const struct engine_step *opened = world_find(world, STEP_OPENED, "lb:lb-www");
    CU_ASSERT_PTR_NOT_NULL_FATAL(opened);
    CU_ASSERT(opened->at_ms - cut <= 30000);
    CU_ASSERT_EQUAL(opened->incident.mode, MODE_SLOW);
    CU_ASSERT_EQUAL(opened->incident.severity, SEVERITY_WARNING); /* not yet a day of experience */
    CU_ASSERT_EQUAL(world_count(world, STEP_OPENED, NULL), 1);
    if (world_count(world, STEP_OPENED, NULL) != 1) world_print(world);
    world->balancer[0] = WORLD_FINE;
    world_run(world, 180000);
    CU_ASSERT_EQUAL(world_count(world, STEP_RESOLVED, NULL), 1);
    if (world_count(world, STEP_RESOLVED, NULL) != 1) world_print(world);
    world_free(world);
}

static void applications_that_are_all_slower_do_not_blame_the_balancer(void)
{
    struct world *world = world_new(builder_simple(3, 3, false), 2);
    world_run(world, 400000);
    for (int b = 0; b < 3; b++) world->page[b] = WORLD_SLOW;
    world->slow_us = 200000;
    world_run(world, 60000);
    CU_ASSERT_EQUAL(world_count(world, STEP_COUNT, "lb:lb-www"), 0);
    CU_ASSERT_EQUAL(world_pages(world), 0);
    if (world_count(world, STEP_COUNT, "lb:lb-www") > 0) world_print(world);
    world_free(world);
}

static void a_day_with_growing_load_is_not_slow(void)
{
    struct world *world = world_new(builder_simple(3, 3, false), 3);
    for (int i = 0; i < 30; i++) {
        world->latency_us = 2000 + 500 * i; /* eight times in half an hour */
        world_run(world, 60000);
    }
    CU_ASSERT_EQUAL(world_pages(world), 0);
    CU_ASSERT_EQUAL(world->step_count, 0);
    if (world->step_count > 0) world_print(world);
    world_free(world);
}

UNIT_MAIN("engine_slow",
    {"histogram buckets are three percent wide", histogram_buckets_are_three_percent_wide},
    {"lateness follows the latency within its bounds", lateness_follows_the_latency_within_its_bounds},
    {"slow is known after 600 outcomes and pages after a day",
        slow_is_known_after_600_outcomes_and_pages_after_a_day},
    {"a balancer that is only slow is warned about", a_balancer_that_is_only_slow_is_warned_about},
    {"applications that are all slower do not blame the balancer",
        applications_that_are_all_slower_do_not_blame_the_balancer},
    {"a day with growing load is not slow", a_day_with_growing_load_is_not_slow})

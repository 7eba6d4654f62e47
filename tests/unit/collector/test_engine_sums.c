/* The sums themselves: what counts, what does not, and that bounding them together lazily is exact. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/engine/internal.h"
#include "tests/support/site_world.h"
#include "tests/support/unit.h"

static struct world *proven_world(void)
{
    struct world *world = world_new(builder_simple(3, 3, false), 1);
    world->no_bursts = true;
    world_run(world, 45000);
    CU_ASSERT_EQUAL(world->step_count, 0);
    return world;
}

static double score_of(const struct world *world, const char *key)
{
    uint32_t place = places_find(world->engine, key);
    CU_ASSERT_NOT_EQUAL_FATAL(place, MODEL_NONE);
    return place_score(world->engine, &world->engine->places[place], LAYER_ALL, STREAM_FAIL, NULL);
}

static void observe(struct world *world, uint32_t host, uint32_t target, enum probe_outcome outcome,
    enum probe_error error, int64_t start_ms)
{
    struct engine_observation observation = {.host = host,
        .target = target,
        .address = "",
        .result = {.start_ms = start_ms, .outcome = outcome, .error = error, .total_us = 1000}};
    engine_observe(world->engine, &observation, world->now_ms);
}

static void a_late_probe_and_its_end_count_once(void)
{
    struct world *world = proven_world();
    uint32_t users = builder_target(world->model, 0, ENTRANCE_USERS, 0, PROBE_HTTP);
    observe(world, 0, users, PROBE_LATE, PROBE_ERROR_NONE, world->now_ms);
    double after_late = score_of(world, "lb|lb:lb-www|");
    CU_ASSERT_DOUBLE_EQUAL(after_late, log(.9 / .001), .01);
    observe(world, 0, users, PROBE_LATE, PROBE_ERROR_NONE, world->now_ms); /* told twice */
    observe(world, 0, users, PROBE_FAIL, PROBE_ERROR_NO_ANSWER, world->now_ms);
    CU_ASSERT_DOUBLE_EQUAL(score_of(world, "lb|lb:lb-www|"), after_late, 1e-9);
    observe(world, 0, users, PROBE_FAIL, PROBE_ERROR_NO_ANSWER, world->now_ms + 1); /* another probe */
    CU_ASSERT(score_of(world, "lb|lb:lb-www|") > after_late + 6);
    world_free(world);
}

static void a_good_connect_speaks_against_networks_only(void)
{
    struct world *world = proven_world();
    uint32_t users = builder_target(world->model, 0, ENTRANCE_USERS, 0, PROBE_HTTP);
    uint32_t connect = builder_target(world->model, 0, ENTRANCE_HOP, 0, PROBE_TCP);
    observe(world, 0, users, PROBE_FAIL, PROBE_ERROR_STATUS, world->now_ms);
    double lb = score_of(world, "lb|lb:lb-www|"), observer = score_of(world, "observer|observer:mon|");
    observe(world, 0, connect, PROBE_OK, PROBE_ERROR_NONE, world->now_ms);
    CU_ASSERT_DOUBLE_EQUAL(score_of(world, "lb|lb:lb-www|"), lb, 1e-9);
    CU_ASSERT(score_of(world, "observer|observer:mon|") < observer);
    observe(world, 0, connect, PROBE_FAIL, PROBE_ERROR_REFUSED, world->now_ms + 1);
    CU_ASSERT(score_of(world, "lb|lb:lb-www|") > lb + 6);
    world_free(world);
}

static void a_single_path_needs_more_than_what_it_leads_to(void)
{
    struct world *world = proven_world();
    uint32_t users = builder_target(world->model, 0, ENTRANCE_USERS, 0, PROBE_HTTP);
    for (int i = 0; i < 3; i++) observe(world, 0, users, PROBE_FAIL, PROBE_ERROR_STATUS, world->now_ms + i);
    CU_ASSERT_DOUBLE_EQUAL(
        score_of(world, "lb|lb:lb-www|") - score_of(world, "path|path:mon/lb-www|"), PENALTY_PATH, 1e-9);
    world_free(world);
}

static void a_spread_probe_blames_each_backend_by_its_share(void)
{
    struct world *world = proven_world();
    uint32_t users = builder_target(world->model, 0, ENTRANCE_USERS, 0, PROBE_HTTP);
    observe(world, 0, users, PROBE_FAIL, PROBE_ERROR_STATUS, world->now_ms);
    CU_ASSERT_DOUBLE_EQUAL(score_of(world, "backend|backend:www/app1|"), log((.001 + .3) / .001), .01);
    world_free(world);
}

/* Every sum floored and, after each outcome, lowered by what the largest has above the bound: as the method
 * says it. */
static void bounding_together_is_exact(void)
{
    struct world *world = proven_world();
    struct engine *engine = world->engine;
    struct group *group = &engine->groups[0];
    group_forget(engine, 0);
    double *naive = calloc(engine->place_count * MAGNITUDES, sizeof *naive);
    uint64_t random = 7;
    for (int k = 0; k < 4000; k++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        const struct path *path = &engine->paths[(random >> 33) % engine->path_count];
        if (path->shallow) continue;
        bool bad = ((random >> 20) & 7) < (k / 800 % 2 == 0 ? 6u : 2u);
        struct evidence evidence = {.start_ms = world->now_ms + k, .failed = bad, .slow = bad};
        sums_feed(engine, path, &evidence);
        double p0 = engine->pools[path->pool].p0[STREAM_FAIL];
        double largest = 0;
        for (uint32_t c = 0; c < path->cover_count; c++) {
            const struct cover *cover = &path->covers[c];
            if (!engine->places[cover->place].live) continue; /* no part of the comparison */
            double share = cover_share(engine, path, cover);
            for (int q = 0; q < MAGNITUDES; q++) {
                double *w = &naive[cover->place * MAGNITUDES + (uint32_t)q];
                if (magnitudes[q] < MAGNITUDE_YOUNG_MIN &&
                    engine->pools[path->pool].learned.n < RATE_KNOWN_OUTCOMES) {
                    *w = 0;
                    continue;
                }
                double p1 = share >= 1 ? magnitudes[q] : p0 + magnitudes[q] * share;
                *w += bad ? log(p1 / p0) : log((1 - p1) / (1 - p0));
                if (*w < 0) *w = 0;
                if (*w > largest) largest = *w;
            }
        }
        if (largest > SUM_MAX)
            for (uint32_t i = 0; i < engine->place_count * MAGNITUDES; i++)
                naive[i] = naive[i] > largest - SUM_MAX ? naive[i] - (largest - SUM_MAX) : 0;
    }
    double worst = 0;
    for (uint32_t i = 0; i < engine->place_count; i++)
        for (int q = 0; engine->places[i].live && q < MAGNITUDES; q++) {
            double lazy =
                sum_value(group, &engine->places[i].sums[LAYER_ALL][STREAM_FAIL], LAYER_ALL, STREAM_FAIL, q);
            double off = fabs(lazy - naive[i * MAGNITUDES + (uint32_t)q]);
            if (off > worst) worst = off;
        }
    CU_ASSERT(worst < 1e-6);
    if (worst >= 1e-6) printf("largest difference %g\n", worst);
    free(naive);
    world_free(world);
}

UNIT_MAIN("engine_sums", {"a late probe and its end count once", a_late_probe_and_its_end_count_once},
    {"a good connect speaks against networks only", a_good_connect_speaks_against_networks_only},
    {"a single path needs more than what it leads to", a_single_path_needs_more_than_what_it_leads_to},
    {"a spread probe blames each backend by its share", a_spread_probe_blames_each_backend_by_its_share},
    {"bounding together is exact", bounding_together_is_exact})

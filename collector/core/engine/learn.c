/* Latencies as log-linear histograms (16 buckets an octave, 3 % wide) and failure rates over about a day.
 * Nothing is learned from a minute that was suspicious or that a suspicion followed. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "collector/core/engine/internal.h"
#include "common/check.h"

#define BUCKET_MS        30000
#define RATE_MEMORY_MS   86400000.0
#define HISTOGRAM_FULL   500000 /* about a day at 6 Hz; then every count is halved */
#define P0_FAIL_MIN      .001
#define P0_SLOW_MIN      .01
#define P0_PRIOR         1000 /* outcomes that a young rate is diluted with: one early failure is no rate */
#define P0_SLOW_CHECK_MS 86400000LL

uint32_t histogram_index(int64_t us)
{
    if (us < 16) return us > 0 ? (uint32_t)us : 0;
    uint32_t octave = 63 - (uint32_t)__builtin_clzll((unsigned long long)us); /* >= 4 */
    uint32_t index = (octave - 3) * 16 + (uint32_t)((us >> (octave - 4)) & 15);
    return index < HISTOGRAM_BUCKETS ? index : HISTOGRAM_BUCKETS - 1;
}

int64_t histogram_value_us(uint32_t index)
{
    if (index < 16) return index;
    uint32_t octave = index / 16 + 3;
    return ((int64_t)(16 + index % 16) << (octave - 4)) + ((1LL << (octave - 4)) >> 1);
}

/* ---- pools ---- */

static void pool_key(const struct model *model, const struct model_target *target, char *out, size_t size)
{
    const char *service = target->service != MODEL_NONE ? model->services[target->service].name : "";
    const char *thing = "";
    if (target->entrance == ENTRANCE_HOP) thing = model->balancers[target->balancer].name;
    if (target->entrance == ENTRANCE_REFERENCE) thing = target->name;
    snprintf(out, size, "%s|%d|%d|%s", service, (int)target->entrance, (int)target->probe, thing);
}

void pools_build(struct engine *engine)
{
    const struct model *model = engine->model;
    engine->pools = check_alloc_array(model->target_count + 1, sizeof *engine->pools);
    engine->target_pool = check_alloc_array(model->target_count + 1, sizeof *engine->target_pool);
    for (uint32_t t = 0; t < model->target_count; t++) {
        char key[INCIDENT_COMPONENT_SIZE];
        pool_key(model, &model->targets[t], key, sizeof key);
        uint32_t p = 0;
        while (p < engine->pool_count && strcmp(engine->pools[p].key, key) != 0) p++;
        engine->target_pool[t] = p;
        if (p < engine->pool_count) continue;
        struct pool *pool = &engine->pools[engine->pool_count++];
        memcpy(pool->key, key, sizeof key);
        pool->service = model->targets[t].service;
        pool->group = pool->service != MODEL_NONE ? engine->services[pool->service].group : MODEL_NONE;
        pool->p0[STREAM_FAIL] = P0_FAIL_MIN;
        pool->p0[STREAM_SLOW] = P0_SLOW_MIN;
        pool->late_after_ms = LATE_AFTER_MAX_MS;
        pool_update_llr(pool);
    }
}

void pool_update_llr(struct pool *pool)
{
    for (int stream = 0; stream < STREAM_COUNT; stream++)
        for (int q = 0; q < MAGNITUDES; q++) {
            double p0 = pool->p0[stream];
            pool->llr[stream][1][q] = log(magnitudes[q] / p0);
            pool->llr[stream][0][q] = log((1 - magnitudes[q]) / (1 - p0));
        }
}

static int64_t quantile_us(const struct pool *pool, double share)
{
    uint64_t need = (uint64_t)ceil(share * (double)pool->outcomes);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += pool->histogram[i];
        if (seen >= need) return histogram_value_us(i);
    }
    return histogram_value_us(HISTOGRAM_BUCKETS - 1);
}

void pool_update_quantiles(struct engine *engine, struct pool *pool)
{
    (void)engine;
    pool->fresh = 0;
    if (pool->outcomes < LATE_YOUNG_OUTCOMES) return;
    bool young = pool->outcomes < LATE_LEARNED_OUTCOMES;
    pool->q99_us = quantile_us(pool, .99); /* of a young pool the longest, which is far from its q99 */
    pool->median_us = quantile_us(pool, .5);
    int64_t late = (young ? 10 : 6) * pool->q99_us / 1000;
    int64_t least = young ? LATE_YOUNG_MIN_MS : LATE_AFTER_MIN_MS;
    if (late < least) late = least;
    if (late > LATE_AFTER_MAX_MS) late = LATE_AFTER_MAX_MS;
    pool->late_after_ms = (uint32_t)late;
}

void pool_add_latency(struct engine *engine, struct pool *pool, int64_t total_us)
{
    pool->histogram[histogram_index(total_us)]++;
    pool->outcomes++;
    pool->fresh++;
    if (pool->outcomes >= HISTOGRAM_FULL) {
        pool->outcomes = 0;
        for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) pool->outcomes += pool->histogram[i] /= 2;
    }
    /* Each time while young, then each percent of what is known. */
    if (pool->outcomes <= LATE_LEARNED_OUTCOMES || pool->fresh > 20 + pool->outcomes / 100)
        pool_update_quantiles(engine, pool);
}

void pool_add_outcome(struct pool *pool, bool failed, bool slow)
{
    pool->now.n += 1;
    if (failed) pool->now.fails += 1;
    if (slow && !failed) pool->now.slows += 1;
}

static void pool_update_p0(struct pool *pool, int64_t now_ms)
{
    const struct rate *rate = &pool->learned;
    double fails = rate->fails / (rate->n + P0_PRIOR);
    pool->p0[STREAM_FAIL] = fails > P0_FAIL_MIN ? fails : P0_FAIL_MIN;
    if (now_ms - pool->p0_slow_ms >= P0_SLOW_CHECK_MS) {
        double slows = 2 * (rate->slows + rate->fails) / (rate->n + P0_PRIOR);
        pool->p0[STREAM_SLOW] = slows > P0_SLOW_MIN ? (slows < .3 ? slows : .3) : P0_SLOW_MIN;
        pool->p0_slow_ms = now_ms;
    }
    pool_update_llr(pool);
}

/* A bucket is learned when it ends clean and the one after it ends clean as well: a fault begins below every
 * threshold. */
void pool_roll(struct engine *engine, struct pool *pool)
{
    int64_t now = engine->now_ms;
    if (pool->bucket_ms == 0) {
        pool->bucket_ms = now;
        pool->p0_slow_ms = now;
    }
    if (now - pool->bucket_ms < BUCKET_MS) return;
    bool tainted = pool->group != MODEL_NONE && engine->groups[pool->group].tainted_ms >= pool->bucket_ms;
    if (tainted) {
        pool->waiting = (struct rate){0};
    } else {
        double keep = exp(-BUCKET_MS / RATE_MEMORY_MS);
        pool->learned.n = pool->learned.n * keep + pool->waiting.n;
        pool->learned.fails = pool->learned.fails * keep + pool->waiting.fails;
        pool->learned.slows = pool->learned.slows * keep + pool->waiting.slows;
        if (pool->waiting.n > 0) pool->clean_ms += BUCKET_MS;
        pool->waiting = pool->now;
        pool_update_p0(pool, now);
    }
    pool->now = (struct rate){0};
    pool->bucket_ms = now;
}

bool pool_is_slow(const struct pool *pool, int64_t total_us)
{
    if (pool->outcomes < SLOW_LEARNED_OUTCOMES) return false;
    double limit = 1.5 * (double)pool->q99_us;
    if (limit < 3.0 * (double)pool->median_us) limit = 3.0 * (double)pool->median_us;
    return (double)total_us > limit + 5000;
}

bool pool_knows_slow(const struct pool *pool)
{
    return pool->outcomes >= SLOW_LEARNED_OUTCOMES && pool->clean_ms >= SLOW_LEARNED_MS;
}

int64_t pool_late_after_ms(const struct pool *pool)
{
    return pool->late_after_ms;
}

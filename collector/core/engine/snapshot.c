/* The engine's memory as one JSON object, everything under names that outlive a plan: keys of places, pools
 * and ways, names of hosts and backends. Restoring takes what fits and keeps the rest until its part is seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/engine/internal.h"
#include "common/check.h"

#define SNAPSHOT_VERSION 1
#define UNPLACED_MS      600000 /* who does not come back within this has to prove itself again */
#define SILENCE_GRACE_MS 60000  /* after a start agents come back with a delay of their own */

static json_t *number(int64_t value)
{
    return json_integer((json_int_t)value);
}

static int64_t get_i64(const json_t *object, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(object, key));
}

static double get_double(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static const char *get_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static void way_key(const struct engine *engine, const struct way *way, char *out, size_t size)
{
    const struct model *model = engine->model;
    const char *thing = "";
    if (way->entrance == ENTRANCE_HOP || way->entrance == ENTRANCE_STATS)
        thing = model->balancers[way->thing].name;
    else if (way->entrance == ENTRANCE_BACKEND || way->entrance == ENTRANCE_HEALTH)
        thing = model->backends[way->thing].name;
    else if (way->entrance == ENTRANCE_REFERENCE)
        thing = model->targets[way->thing].name;
    snprintf(out, size, "%s|%s|%d|%s|%s", model->hosts[way->host].name,
        way->service != MODEL_NONE ? model->services[way->service].name : "", (int)way->entrance, thing,
        way->address);
}

/* ---- out ---- */

static json_t *pools_json(const struct engine *engine)
{
    json_t *all = json_object();
    for (uint32_t p = 0; p < engine->pool_count; p++) {
        const struct pool *pool = &engine->pools[p];
        json_t *histogram = json_array(); /* bucket, count, bucket, count, … */
        for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
            if (pool->histogram[i] > 0) {
                json_array_append_new(histogram, number(i));
                json_array_append_new(histogram, number(pool->histogram[i]));
            }
        json_object_set_new(all, pool->key,
            json_pack("{s:o, s:f, s:f, s:f, s:I, s:f, s:f, s:I}", "histogram", histogram, "n",
                pool->learned.n, "fails", pool->learned.fails, "slows", pool->learned.slows, "clean_ms",
                (json_int_t)pool->clean_ms, "p0", pool->p0[STREAM_FAIL], "p0_slow", pool->p0[STREAM_SLOW],
                "p0_slow_ms", (json_int_t)pool->p0_slow_ms));
    }
    return all;
}

static json_t *ways_json(const struct engine *engine)
{
    json_t *all = json_object();
    for (uint32_t w = 0; w < engine->way_count; w++) {
        char key[512];
        way_key(engine, &engine->ways[w], key, sizeof key);
        const struct way *way = &engine->ways[w];
        uint32_t good = way->good_in_row < 1000000 ? way->good_in_row : 1000000;
        json_object_set_new(
            all, key, json_pack("[b, i, i]", (int)way->proven, (int)good, (int)way->blocked_in_row));
    }
    return all;
}

static json_t *causes_json(const struct engine *engine)
{
    json_t *all = json_array();
    for (uint32_t i = 0; i < engine->cause_count; i++) {
        const struct cause *cause = engine->causes[i];
        json_t *grounds = json_array();
        for (uint32_t g = 0; g < cause->ground_count; g++) {
            const struct ground *ground = &cause->grounds[g];
            json_array_append_new(
                grounds, json_pack("{s:s, s:i, s:i, s:I, s:b, s:f}", "place", ground->key, "stream",
                             (int)ground->stream, "q", ground->q, "since", (json_int_t)ground->since_ms,
                             "recovered", (int)ground->recovered, "sum", ground->recovery));
        }
        json_array_append_new(
            all, json_pack("{s:i, s:o, s:o, s:s, s:I, s:I, s:b, s:b, s:b, s:b, s:b, s:b, s:b}", "source",
                     (int)cause->source, "incident", incident_to_json(&cause->incident), "grounds", grounds,
                     "silent_host",
                     cause->silent_host != MODEL_NONE ? engine->model->hosts[cause->silent_host].name : "",
                     "recovered_ms", (json_int_t)cause->recovered_ms, "hold_ms", (json_int_t)cause->hold_ms,
                     "warn_only", (int)cause->warn_only, "hurt_users", (int)cause->hurt_users, "single",
                     (int)cause->single, "guess", (int)cause->guess, "behind", (int)cause->behind, "blind",
                     (int)cause->blind, "inside", (int)cause->inside));
    }
    return all;
}

json_t *snapshot_json(const struct engine *engine)
{
    const struct model *model = engine->model;
    json_t *hosts = json_object(), *backends = json_object(), *balancers = json_object(),
           *flaps = json_array();
    for (uint32_t h = 0; h < model->host_count; h++)
        if (engine->hosts[h].heard_ms != 0)
            json_object_set_new(hosts, model->hosts[h].name, number(engine->hosts[h].heard_ms));
    for (uint32_t b = 0; b < model->backend_count; b++) {
        char key[256];
        snprintf(key, sizeof key, "%s/%s", model->services[model->backends[b].service].name,
            model->backends[b].name);
        const struct backend_run *run = &engine->backends[b];
        if (run->drained_until_ms != 0 || run->said != BALANCER_SAYS_NOTHING)
            json_object_set_new(
                backends, key, json_pack("[I, i]", (json_int_t)run->drained_until_ms, (int)run->said));
    }
    for (uint32_t b = 0; b < model->balancer_count; b++) {
        const struct balancer_run *run = &engine->balancers[b];
        json_object_set_new(balancers, model->balancers[b].name,
            json_pack("{s:f, s:f, s:f, s:I, s:I}", "center", run->center, "scale", run->scale, "product",
                run->product, "learned", (json_int_t)run->learned, "direct_us", (json_int_t)run->direct_us));
    }
    for (size_t i = 0; i < ENGINE_RECENT_MAX; i++)
        if (engine->flaps[i].resolved_ms != 0)
            json_array_append_new(
                flaps, json_pack("[s, I, i]", engine->flaps[i].component,
                           (json_int_t)engine->flaps[i].resolved_ms, (int)engine->flaps[i].count));
    json_t *ways = ways_json(engine);
    /* Ways of the last snapshot that have not been seen again are still remembered: those who observe come
     * back one after the other, and the next restart may be near. */
    if (engine->now_ms - engine->unplaced_ms < UNPLACED_MS)
        json_object_update_missing(ways, engine->unplaced);
    json_t *all = json_pack("{s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "version", SNAPSHOT_VERSION,
        "last_number", (json_int_t)engine->last_number, "pools", pools_json(engine), "ways", ways, "causes",
        causes_json(engine), "hosts", hosts, "backends", backends, "balancers", balancers, "flaps", flaps);
    CHECK(all != NULL);
    return all;
}

void engine_snapshot(const struct engine *engine, struct buffer *out)
{
    json_t *all = snapshot_json(engine);
    char *text = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
    CHECK(text != NULL);
    buffer_append(out, span_text(text), NULL);
    free(text);
    json_decref(all);
}

/* ---- in ---- */

static void apply_pools(struct engine *engine, const json_t *all)
{
    for (uint32_t p = 0; p < engine->pool_count; p++) {
        struct pool *pool = &engine->pools[p];
        const json_t *one = json_object_get(all, pool->key);
        if (one == NULL) continue;
        const json_t *histogram = json_object_get(one, "histogram");
        pool->outcomes = 0;
        memset(pool->histogram, 0, sizeof pool->histogram);
        for (size_t i = 0; i + 1 < json_array_size(histogram); i += 2) {
            json_int_t bucket = json_integer_value(json_array_get(histogram, i));
            json_int_t count = json_integer_value(json_array_get(histogram, i + 1));
            if (bucket < 0 || bucket >= HISTOGRAM_BUCKETS || count < 0 || count > UINT32_MAX) continue;
            pool->histogram[bucket] = (uint32_t)count;
            pool->outcomes += (uint64_t)count;
        }
        pool->learned =
            (struct rate){get_double(one, "n"), get_double(one, "fails"), get_double(one, "slows")};
        pool->clean_ms = get_i64(one, "clean_ms");
        double p0 = get_double(one, "p0"), p0_slow = get_double(one, "p0_slow");
        if (p0 > 0 && p0 < .5) pool->p0[STREAM_FAIL] = p0;
        if (p0_slow > 0 && p0_slow < .5) pool->p0[STREAM_SLOW] = p0_slow;
        pool->p0_slow_ms = get_i64(one, "p0_slow_ms");
        pool_update_llr(pool);
        pool_update_quantiles(engine, pool);
    }
}

static void apply_flaps(struct engine *engine, const json_t *all)
{
    for (size_t i = 0; i < json_array_size(all) && i < ENGINE_RECENT_MAX; i++) {
        const json_t *one = json_array_get(all, i);
        const char *component = json_string_value(json_array_get(one, 0));
        if (component == NULL) continue;
        snprintf(engine->flaps[i].component, sizeof engine->flaps[i].component, "%s", component);
        engine->flaps[i].resolved_ms = (int64_t)json_integer_value(json_array_get(one, 1));
        engine->flaps[i].count = (uint32_t)json_integer_value(json_array_get(one, 2));
    }
}

static void apply_grounds(struct engine *engine, struct cause *cause, const json_t *all)
{
    for (size_t i = 0; i < json_array_size(all) && cause->ground_count < ENGINE_GROUNDS_MAX; i++) {
        const json_t *one = json_array_get(all, i);
        int64_t stream = get_i64(one, "stream"), q = get_i64(one, "q");
        if (stream < 0 || stream >= STREAM_COUNT || q < 0 || q >= MAGNITUDES) continue;
        struct ground *ground = &cause->grounds[cause->ground_count++];
        snprintf(ground->key, sizeof ground->key, "%s", get_text(one, "place"));
        ground->place = places_find(engine, ground->key);
        ground->stream = (enum stream)stream;
        ground->q = (int)q;
        ground->since_ms = get_i64(one, "since");
        ground->recovered = json_is_true(json_object_get(one, "recovered"));
        ground->recovery = get_double(one, "sum");
    }
}

static void apply_causes(struct engine *engine, const json_t *all)
{
    for (size_t i = 0; i < json_array_size(all) && engine->cause_count < ENGINE_CAUSES_MAX; i++) {
        const json_t *one = json_array_get(all, i);
        struct cause *cause = check_alloc(sizeof *cause);
        int64_t source = get_i64(one, "source");
        if (incident_from_json(json_object_get(one, "incident"), &cause->incident, NULL) != 0 || source < 0 ||
            source > CAUSE_SLOWNESS || cause_find(engine, cause->incident.component) != NULL) {
            free(cause);
            engine->dropped++;
            continue;
        }
        cause->source = (enum cause_source)source;
        const char *host = get_text(one, "silent_host");
        cause->silent_host = MODEL_NONE;
        for (uint32_t h = 0; h < engine->model->host_count; h++)
            if (strcmp(engine->model->hosts[h].name, host) == 0) cause->silent_host = h;
        cause->recovered_ms = get_i64(one, "recovered_ms");
        cause->hold_ms = get_i64(one, "hold_ms");
        cause->warn_only = json_is_true(json_object_get(one, "warn_only"));
        cause->hurt_users = json_is_true(json_object_get(one, "hurt_users"));
        cause->single = json_is_true(json_object_get(one, "single"));
        cause->guess = json_is_true(json_object_get(one, "guess"));
        cause->behind = json_is_true(json_object_get(one, "behind"));
        cause->blind = json_is_true(json_object_get(one, "blind"));
        cause->inside = json_is_true(json_object_get(one, "inside"));
        cause->told_impact = cause->incident.impact;
        cause->told_mode = cause->incident.mode;
        cause->told_severity = cause->incident.severity;
        cause->told_confidence = cause->incident.confidence;
        memcpy(cause->told_component, cause->incident.component, sizeof cause->told_component);
        apply_grounds(engine, cause, json_object_get(one, "grounds"));
        engine->causes = check_realloc_array(engine->causes, engine->cause_count + 1, sizeof *engine->causes);
        engine->causes[engine->cause_count++] = cause;
    }
}

static void apply_parts(struct engine *engine, const json_t *snapshot)
{
    const struct model *model = engine->model;
    const json_t *hosts = json_object_get(snapshot, "hosts"),
                 *backends = json_object_get(snapshot, "backends");
    const json_t *balancers = json_object_get(snapshot, "balancers");
    for (uint32_t h = 0; h < model->host_count; h++)
        if (json_object_get(hosts, model->hosts[h].name) != NULL)
            engine->hosts[h].heard_ms = engine->hosts[h].counted_ms = get_i64(hosts, model->hosts[h].name);
    for (uint32_t b = 0; b < model->backend_count; b++) {
        char key[256];
        snprintf(key, sizeof key, "%s/%s", model->services[model->backends[b].service].name,
            model->backends[b].name);
        const json_t *one = json_object_get(backends, key);
        if (one == NULL) continue;
        engine->backends[b].drained_until_ms = (int64_t)json_integer_value(json_array_get(one, 0));
        int64_t said = (int64_t)json_integer_value(json_array_get(one, 1));
        if (said >= 0 && said <= BALANCER_SAYS_MAINTENANCE)
            engine->backends[b].said = (enum balancer_word)said;
    }
    for (uint32_t b = 0; b < model->balancer_count; b++) {
        const json_t *one = json_object_get(balancers, model->balancers[b].name);
        if (one == NULL) continue;
        struct balancer_run *run = &engine->balancers[b];
        run->center = run->recent = get_double(one, "center");
        run->scale = get_double(one, "scale");
        run->product = get_double(one, "product");
        run->learned = (uint64_t)get_i64(one, "learned");
        run->direct_us = get_i64(one, "direct_us");
    }
}

void snapshot_apply(struct engine *engine, json_t *snapshot)
{
    int64_t last = get_i64(snapshot, "last_number");
    if (last > 0 && (uint64_t)last > engine->last_number) engine->last_number = (uint64_t)last;
    apply_pools(engine, json_object_get(snapshot, "pools"));
    apply_flaps(engine, json_object_get(snapshot, "flaps"));
    apply_causes(engine, json_object_get(snapshot, "causes"));
    apply_parts(engine, snapshot);
    json_decref(engine->unplaced);
    engine->unplaced = json_incref(json_object_get(snapshot, "ways"));
    engine->unplaced_ms = engine->now_ms;
    causes_reattach(engine);
}

void snapshot_place_way(struct engine *engine, uint32_t index)
{
    struct way *way = &engine->ways[index];
    if (engine->unplaced == NULL) return;
    char key[512];
    way_key(engine, way, key, sizeof key);
    const json_t *one = json_object_get(engine->unplaced, key);
    if (one == NULL) return;
    way->proven = json_is_true(json_array_get(one, 0));
    way->good_in_row = (uint32_t)json_integer_value(json_array_get(one, 1));
    way->blocked_in_row = (uint32_t)json_integer_value(json_array_get(one, 2));
    json_object_del(engine->unplaced, key);
    engine->stale = true;
}

int engine_restore(struct engine *engine, struct span snapshot, int64_t now_ms, struct error *err)
{
    json_error_t why;
    json_t *all = json_loadb((const char *)snapshot.data, snapshot.size, 0, &why);
    if (all == NULL) return fail(err, ERROR_CORRUPT, "snapshot: %s", why.text);
    if (!json_is_object(all) || !json_is_integer(json_object_get(all, "version"))) {
        json_decref(all);
        return fail(err, ERROR_CORRUPT, "snapshot: no object with a version");
    }
    engine->now_ms = now_ms;
    snapshot_apply(engine, all);
    for (uint32_t h = 0; h < engine->model->host_count; h++)
        if (engine->hosts[h].heard_ms != 0) {
            engine->hosts[h].counted_ms = now_ms; /* nobody could be heard while we were away */
            engine->hosts[h].grace_until_ms = now_ms + SILENCE_GRACE_MS;
        }
    json_decref(all);
    return 0;
}

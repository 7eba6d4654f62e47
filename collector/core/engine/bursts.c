/* Asking for more probes: to confirm a first failure, to see a repair sooner, to prove new paths faster. At
 * most LIMIT_BURST_PER_SECOND a target, all observers and addresses together, for at most LIMIT_BURST_MS,
 * then a rest. */
#include "collector/core/engine/internal.h"
#include "common/check.h"

#define REST_MS                                                                                              \
    15000 /* between bursts of a service: a lasting fault is not probed harder than a quiet site */
#define PROVING_REST_MS  10000
#define PROVING_BURSTS   4
#define PROVING_GOOD_MIN 2

/* What the regular grid already sends to a target, per second. */
static double regular_per_second(const struct model_target *target, uint32_t addresses)
{
    uint32_t interval = target->wire.interval_ms > 0 ? target->wire.interval_ms : 1000;
    return 1000.0 * target->observer_count * addresses / interval;
}

static uint32_t addresses_of(const struct engine *engine, const struct model_target *target)
{
    if (!target->wire.each_address || target->entrance != ENTRANCE_HOP) return 1;
    uint32_t count = engine->balancers[target->balancer].address_count;
    return count > 0 ? count : 1;
}

static void burst_target(struct engine *engine, uint32_t t)
{
    const struct model_target *target = &engine->model->targets[t];
    if (target->observer_count == 0 || engine->targets[t].burst_until_ms > engine->now_ms) return;
    uint32_t addresses = addresses_of(engine, target);
    double left = LIMIT_BURST_PER_SECOND - regular_per_second(target, addresses);
    if (target->entrance == ENTRANCE_REFERENCE) left = 1; /* somebody else's site */
    if (left < 1) return;
    double each = left / (target->observer_count * addresses);
    uint32_t interval_ms = (uint32_t)(1000 / each) + 1;
    if (interval_ms >= LIMIT_BURST_MS) return;
    engine->targets[t].burst_until_ms = engine->now_ms + LIMIT_BURST_MS;
    for (uint32_t i = 0; i < target->observer_count; i++) {
        if (engine->burst_count == engine->burst_room) {
            engine->burst_room = engine->burst_room > 0 ? engine->burst_room * 2 : 16;
            engine->bursts = check_realloc_array(engine->bursts, engine->burst_room, sizeof *engine->bursts);
        }
        engine->bursts[engine->burst_count++] = (struct engine_burst){.target = t,
            .host = target->observers[i],
            .duration_ms = LIMIT_BURST_MS,
            .interval_ms = interval_ms,
            .phase_ms = interval_ms * i / target->observer_count};
    }
}

/* Pages decide; a connect adds little, and the health URL is left in peace to keep a backend below its 30 a
 * second. */
static void burst_service(struct engine *engine, uint32_t service, bool connects)
{
    for (uint32_t t = 0; t < engine->model->target_count; t++) {
        const struct model_target *target = &engine->model->targets[t];
        bool page = target->probe == PROBE_HTTP &&
                    (target->entrance == ENTRANCE_USERS || target->entrance == ENTRANCE_HOP ||
                        target->entrance == ENTRANCE_BACKEND);
        bool connect = target->probe == PROBE_TCP && connects;
        if (target->service == service && (page || connect)) burst_target(engine, t);
    }
}

static void burst_references(struct engine *engine, uint32_t service)
{
    const struct model_service *s = &engine->model->services[service];
    for (uint32_t t = 0; t < engine->model->target_count; t++) {
        const struct model_target *target = &engine->model->targets[t];
        if (target->entrance != ENTRANCE_REFERENCE) continue;
        for (uint32_t i = 0; i < s->observer_count; i++)
            if (engine->model->hosts[s->observers[i]].site == target->site) {
                burst_target(engine, t);
                break;
            }
    }
}

void bursts_on_failure(struct engine *engine, const struct path *path)
{
    uint32_t service = engine->model->targets[path->target].service;
    if (service == MODEL_NONE) return;
    struct service_run *run = &engine->services[service];
    if (engine->now_ms < run->burst_rest_until_ms) {
        /* While it stays hot the rest is prolonged: once a fault, not once a quarter of a minute. */
        run->burst_rest_until_ms = engine->now_ms + REST_MS;
        return;
    }
    run->burst_rest_until_ms = engine->now_ms + REST_MS;
    run->recovery_burst = false;
    burst_service(engine, service, false);
    burst_references(engine, service);
}

/* The first good outcome of a path that was blamed: is it over? Once a fault. */
void bursts_on_recovery(struct engine *engine, const struct path *path)
{
    if (engine->cause_count == 0 || path->shallow) return;
    uint32_t service = engine->model->targets[path->target].service;
    if (service == MODEL_NONE) return;
    struct service_run *run = &engine->services[service];
    if (run->recovery_burst || engine->groups[run->group].open_count == 0) return;
    bool blamed = false;
    for (uint32_t i = 0; i < path->cover_count && !blamed; i++)
        blamed = path->covers[i].share == SHARE_FULL && engine->places[path->covers[i].place].open;
    if (!blamed) return;
    run->recovery_burst = true;
    burst_service(engine, service, false);
}

void bursts_on_good(struct engine *engine, const struct path *path)
{
    const struct way *way = &engine->ways[path->way];
    if (way->proven || way->good_in_row < PROVING_GOOD_MIN || path->shallow) return;
    uint32_t service = engine->model->targets[path->target].service;
    if (service == MODEL_NONE) return;
    struct service_run *run = &engine->services[service];
    if (run->proving_bursts >= PROVING_BURSTS || engine->now_ms < run->proving_rest_until_ms) return;
    run->proving_bursts++;
    run->proving_rest_until_ms = engine->now_ms + PROVING_REST_MS;
    burst_service(engine, service, true);
}

#include "collector/core/engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/engine/internal.h"
#include "common/check.h"

static void build(struct engine *engine, const struct model *model)
{
    engine->model = model;
    engine->balancers = check_alloc_array(model->balancer_count + 1, sizeof *engine->balancers);
    engine->backends = check_alloc_array(model->backend_count + 1, sizeof *engine->backends);
    engine->hosts = check_alloc_array(model->host_count + 1, sizeof *engine->hosts);
    engine->services = check_alloc_array(model->service_count + 1, sizeof *engine->services);
    engine->targets = check_alloc_array(model->target_count + 1, sizeof *engine->targets);
    for (uint32_t b = 0; b < model->balancer_count; b++) engine->balancers[b].group = MODEL_NONE;
    places_build(engine);
    pools_build(engine);
    paths_update_exclusions(engine);
    places_refresh(engine);
}

struct engine *engine_new(const struct model *model, int64_t start_ms)
{
    struct engine *engine = check_alloc(sizeof *engine);
    engine->start_ms = engine->now_ms = start_ms;
    build(engine, model);
    return engine;
}

/* What hangs on the model. Causes and told steps stay. */
static void tear_down(struct engine *engine)
{
    for (uint32_t p = 0; p < engine->path_count; p++) free(engine->paths[p].covers);
    for (uint32_t g = 0; g < engine->group_count; g++) {
        free(engine->groups[g].services);
        free(engine->groups[g].places);
    }
    void *const all[] = {engine->places, engine->paths, engine->path_index, engine->ways, engine->way_index,
        engine->pools, engine->target_pool, engine->groups, engine->balancers, engine->backends,
        engine->hosts, engine->services, engine->targets};
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) free(all[i]);
    json_decref(engine->unplaced);
}

void engine_free(struct engine *engine)
{
    if (engine == NULL) return;
    tear_down(engine);
    for (uint32_t i = 0; i < engine->cause_count; i++) free(engine->causes[i]);
    free(engine->causes);
    free(engine->steps);
    free(engine->bursts);
    free(engine->late);
    free(engine);
}

void engine_replace_model(struct engine *engine, const struct model *model, int64_t now_ms)
{
    engine->now_ms = now_ms;
    json_t *memory = snapshot_json(engine);
    struct host_run *hosts = engine->hosts;
    engine->hosts = NULL;
    tear_down(engine);
    struct engine kept = *engine;
    memset(engine, 0, sizeof *engine);
    engine->start_ms = kept.start_ms;
    engine->now_ms = now_ms;
    engine->stepped_ms = kept.stepped_ms;
    engine->last_number = kept.last_number;
    engine->dropped = kept.dropped;
    engine->proved = kept.proved;
    engine->steps = kept.steps;
    engine->step_count = kept.step_count;
    engine->step_room = kept.step_room;
    engine->bursts = kept.bursts;
    engine->burst_room = kept.burst_room; /* asked for under the old numbers: forgotten */
    engine->late = kept.late;
    engine->late_room = kept.late_room;
    build(engine, model);
    snapshot_apply(engine, memory);
    json_decref(memory);
    for (uint32_t h = 0; h < model->host_count; h++) { /* what a host says does not depend on the plan */
        uint32_t old = model_host_find(kept.model, model->hosts[h].name);
        if (old != MODEL_NONE) engine->hosts[h] = hosts[old];
    }
    free(hosts);
    for (uint32_t i = 0; i < kept.cause_count; i++) free(kept.causes[i]);
    free(kept.causes);
}

void engine_set_last_number(struct engine *engine, uint64_t number)
{
    if (number > engine->last_number) engine->last_number = number;
}

void engine_observe(struct engine *engine, const struct engine_observation *observation, int64_t now_ms)
{
    engine->now_ms = now_ms;
    paths_observe(engine, observation);
}

void engine_heard(struct engine *engine, uint32_t host, int64_t now_ms)
{
    if (host >= engine->model->host_count) return;
    engine->hosts[host].heard_ms = engine->hosts[host].counted_ms = now_ms;
    engine->hosts[host].gone = false;
    engine->hosts[host].grace_until_ms = 0;
}

void engine_excuse(struct engine *engine, uint32_t host, int64_t now_ms)
{
    if (host < engine->model->host_count) engine->hosts[host].counted_ms = now_ms;
}

int64_t engine_last_heard(const struct engine *engine, uint32_t host)
{
    return host < engine->model->host_count ? engine->hosts[host].heard_ms : 0;
}

void engine_gone(struct engine *engine, uint32_t host, int64_t now_ms)
{
    (void)now_ms;
    if (host < engine->model->host_count) engine->hosts[host].gone = true;
}

void engine_balancer_says(
    struct engine *engine, uint32_t balancer, uint32_t backend, enum balancer_word word, int64_t now_ms)
{
    if (balancer >= engine->model->balancer_count || backend >= engine->model->backend_count) return;
    engine->now_ms = now_ms;
    engine->backends[backend].said = word;
    paths_update_exclusions(engine);
}

void engine_notified(struct engine *engine, const char *incident_id, int64_t at_ms)
{
    for (uint32_t i = 0; i < engine->cause_count; i++) {
        struct incident *incident = &engine->causes[i]->incident;
        if (strcmp(incident->id, incident_id) == 0 && incident->notified_ms == 0)
            incident->notified_ms = at_ms;
    }
}

/* T of every target whose pool has moved by a tenth since it was told. */
static void tell_late_after(struct engine *engine)
{
    for (uint32_t t = 0; t < engine->model->target_count; t++) {
        struct pool *pool = &engine->pools[engine->target_pool[t]];
        uint32_t told = engine->targets[t].late_told_ms;
        uint32_t difference =
            told > pool->late_after_ms ? told - pool->late_after_ms : pool->late_after_ms - told;
        if (pool->q99_us == 0 || (told != 0 && difference * 10 <= told)) continue;
        engine->targets[t].late_told_ms = pool->late_after_ms;
        if (engine->late_count == engine->late_room) {
            engine->late_room = engine->late_room > 0 ? engine->late_room * 2 : 16;
            engine->late = check_realloc_array(engine->late, engine->late_room, sizeof *engine->late);
        }
        engine->late[engine->late_count++] =
            (struct engine_late_after){.target = t, .late_after_ms = pool->late_after_ms};
    }
}

void engine_step(struct engine *engine, int64_t now_ms, struct engine_output *output)
{
    engine->now_ms = now_ms;
    paths_update_exclusions(engine);
    if (engine->stale) places_refresh(engine);
    hosts_step(engine);
    causes_judge(engine);
    slowness_step(engine);
    causes_step(engine);
    tell_late_after(engine);
    *output = (struct engine_output){.steps = engine->steps,
        .step_count = engine->step_count,
        .bursts = engine->bursts,
        .burst_count = engine->burst_count,
        .late_after = engine->late,
        .late_after_count = engine->late_count,
        .proved = engine->proved};
    /* The arrays live until the next call; they are filled from the front again. */
    engine->step_count = engine->burst_count = engine->late_count = 0;
    engine->proved = false;
}

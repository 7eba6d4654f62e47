/* What the engine thinks, as JSON for `status`, `map` and the page. */
#include <string.h>

#include "collector/core/engine/internal.h"
#include "common/check.h"
#include "common/timetext.h"

static json_t *time_json(int64_t ms)
{
    char text[TIMETEXT_RFC3339_SIZE];
    return ms != 0 ? json_string(timetext_rfc3339(ms, text)) : json_null();
}

static json_t *text(const char *words)
{
    json_t *value = json_string(words);
    return value != NULL ? value : json_string("?");
}

static json_t *path_json(const struct engine *engine, const struct path *path)
{
    const struct model *model = engine->model;
    const struct model_target *target = &model->targets[path->target];
    const struct way *way = &engine->ways[path->way];
    const struct pool *pool = &engine->pools[path->pool];
    char reason[256], remedy[256];
    bool has_reason = reason_for(engine, path, reason, sizeof reason, remedy, sizeof remedy);
    const char *state = !path_fresh(engine, path)  ? "silent"
                        : way->blocked_in_row >= 3 ? "blocked"
                        : way->proven              ? "proven"
                                                   : "unproven";
    json_t *last = json_pack("{s:s, s:s, s:i, s:I, s:o}", "outcome", probe_outcome_name(path->last.outcome),
        "error", probe_error_name(path->last.error), "code", (int)path->last.code, "total_us",
        (json_int_t)path->last.total_us, "at", time_json(path->last.start_ms));
    return json_pack("{s:o, s:s, s:o, s:o, s:s, s:s, s:i, s:o, s:o, s:i, s:o, s:o, s:o}", "observer",
        text(model->hosts[path->host].name), "entrance", model_entrance_word(target->entrance), "target",
        text(target->name), "address", text(path->address_text), "probe", probe_kind_name(target->probe),
        "state", state, "good_in_row", (int)(way->good_in_row & 0x7fffffff), "p50_us",
        pool->median_us > 0 ? json_integer((json_int_t)pool->median_us) : json_null(), "q99_us",
        pool->q99_us > 0 ? json_integer((json_int_t)pool->q99_us) : json_null(), "late_after_ms",
        (int)pool->late_after_ms, "last", last, "reason", has_reason ? text(reason) : json_null(), "remedy",
        has_reason ? text(remedy) : json_null());
}

static const struct cause *cause_at(const struct engine *engine, const char *component)
{
    for (uint32_t i = 0; i < engine->cause_count; i++)
        if (strcmp(engine->causes[i]->incident.component, component) == 0) return engine->causes[i];
    return NULL;
}

static const char *backend_word(const struct engine *engine, uint32_t b)
{
    const struct backend_run *run = &engine->backends[b];
    const struct model_backend *backend = &engine->model->backends[b];
    if (backend->state == BACKEND_MAINTENANCE || run->said == BALANCER_SAYS_MAINTENANCE) return "maintenance";
    if (run->excluded) return "draining";
    bool known;
    bool answers = backend_answers(engine, b, &known);
    if (answers) return "up";
    if (known) return "down";
    /* Nothing proven and fresh: unproven where probes come at all, else silent. */
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct model_target *target = &engine->model->targets[engine->paths[p].target];
        if (target->entrance == ENTRANCE_BACKEND && target->backend == b &&
            path_fresh(engine, &engine->paths[p]))
            return "unproven";
    }
    return "silent";
}

static json_t *backends_json(const struct engine *engine, uint32_t s)
{
    static const char *const says[] = {"nothing", "up", "down", "draining", "maintenance"};
    const struct model_service *service = &engine->model->services[s];
    json_t *all = json_array();
    for (uint32_t i = 0; i < service->backend_count; i++) {
        uint32_t b = service->first_backend + i;
        json_array_append_new(
            all, json_pack("{s:o, s:s, s:s}", "name", text(engine->model->backends[b].name), "state",
                     backend_word(engine, b), "balancer_says", says[engine->backends[b].said]));
    }
    return all;
}

static json_t *hops_json(const struct engine *engine, uint32_t s)
{
    const struct model_service *service = &engine->model->services[s];
    json_t *all = json_array();
    for (uint32_t i = 0; i < service->hop_count; i++) {
        const char *name = engine->model->balancers[service->hops[i]].name;
        char component[INCIDENT_COMPONENT_SIZE];
        snprintf(component, sizeof component, "lb:%s", name);
        const struct cause *cause = cause_at(engine, component);
        json_t *addresses = json_array();
        const struct balancer_run *run = &engine->balancers[service->hops[i]];
        for (uint32_t a = 0; a < run->address_count; a++)
            json_array_append_new(addresses, text(run->addresses[a]));
        json_array_append_new(
            all, json_pack("{s:o, s:s, s:o}", "name", text(name), "state",
                     cause != NULL ? mode_word(cause->incident.mode) : "healthy", "addresses", addresses));
    }
    return all;
}

/* The word over a service: an incident's mode, else what the paths allow to say. */
static const char *verdict_of(const struct engine *engine, uint32_t s)
{
    const struct group *group = &engine->groups[engine->services[s].group];
    for (uint32_t i = 0; i < engine->cause_count; i++)
        if (engine->causes[i]->recovered_ms == 0 && cause_touches_service(engine, engine->causes[i], s))
            return mode_word(engine->causes[i]->incident.mode);
    uint32_t fresh = 0, proven = 0;
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *path = &engine->paths[p];
        const struct model_target *target = &engine->model->targets[path->target];
        if (target->service != s || (target->entrance != ENTRANCE_USERS && target->entrance != ENTRANCE_HOP))
            continue;
        if (!path_fresh(engine, path)) continue;
        fresh++;
        if (engine->ways[path->way].proven) proven++;
    }
    if (fresh == 0) return "silent";
    if (proven == 0) return "unproven";
    if (engine->now_ms - group->tainted_ms < 5000 && group->tainted_ms != 0) return "suspicious";
    return "healthy";
}

static json_t *service_json(const struct engine *engine, uint32_t s)
{
    const struct model *model = engine->model;
    const struct model_service *service = &model->services[s];
    json_t *observers = json_array(), *paths = json_array();
    for (uint32_t i = 0; i < service->observer_count; i++)
        json_array_append_new(observers, text(model->hosts[service->observers[i]].name));
    for (uint32_t p = 0; p < engine->path_count; p++)
        if (model->targets[engine->paths[p].target].service == s)
            json_array_append_new(paths, path_json(engine, &engine->paths[p]));
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}", "name", text(service->name), "verdict",
        verdict_of(engine, s), "backends", backends_json(engine, s), "hops", hops_json(engine, s),
        "observers", observers, "paths", paths);
}

json_t *engine_status(const struct engine *engine, int64_t now_ms)
{
    json_t *services = json_array(), *hosts = json_array(), *incidents = json_array();
    for (uint32_t s = 0; s < engine->model->service_count; s++)
        json_array_append_new(services, service_json(engine, s));
    for (uint32_t h = 0; h < engine->model->host_count; h++) {
        const struct host_run *run = &engine->hosts[h];
        const char *state = run->heard_ms == 0                   ? "never"
                            : now_ms - run->heard_ms > SILENT_MS ? "silent"
                            : run->left_out                      ? "left out: its references fail"
                                                                 : "reporting";
        json_array_append_new(hosts, json_pack("{s:o, s:s, s:o}", "name", text(engine->model->hosts[h].name),
                                         "state", state, "last_heard", time_json(run->heard_ms)));
    }
    for (uint32_t i = 0; i < engine->cause_count; i++)
        json_array_append_new(incidents, incident_to_json(&engine->causes[i]->incident));
    json_t *status = json_pack("{s:o, s:o, s:o, s:o}", "at", time_json(now_ms), "services", services, "hosts",
        hosts, "incidents", incidents);
    CHECK(status != NULL);
    return status;
}

/* What the engine thinks, as JSON for `status`, `map` and the page. */
#include <stdio.h>
#include <string.h>

#include "collector/core/engine/internal.h"
#include "common/check.h"
#include "common/timetext.h"

#define SUSPICIOUS_MS 5000

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
    return json_pack("{s:o, s:s, s:o, s:o, s:s, s:s, s:i, s:i, s:o, s:o, s:i, s:o, s:o, s:o}", "observer",
        text(model->hosts[path->host].name), "entrance", model_entrance_word(target->entrance), "target",
        text(target->name), "address", text(path->address_text), "probe", probe_kind_name(target->probe),
        "state", state, "good_in_row", (int)(way->good_in_row & 0x7fffffff), "good_needed",
        (int)way_good_needed(way), "p50_us",
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

/* Whether an observer that is not itself in doubt looks at it. */
static bool backend_is_seen(const struct engine *engine, uint32_t b)
{
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *path = &engine->paths[p];
        const struct model_target *target = &engine->model->targets[path->target];
        if (target->entrance == ENTRANCE_BACKEND && target->backend == b && path_fresh(engine, path) &&
            engine->ways[path->way].proven && !path_in_doubt(engine, path) &&
            !engine->hosts[path->host].left_out)
            return true;
    }
    return false;
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
    if (known) return backend_is_seen(engine, b) ? "down" : "unknown";
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

/* How the newest probes of one entrance ended. */
struct outlook {
    uint32_t fresh, proven;
    uint32_t good, bad; /* of the proven ones */
    uint32_t blind;     /* bad, but their observer is in doubt: they say nothing */
};

static void look(struct outlook *outlook, const struct engine *engine, const struct path *path)
{
    if (path->aside || !path_fresh(engine, path)) return;
    outlook->fresh++;
    const struct ending *newest = path_newest(path);
    if (!engine->ways[path->way].proven || newest == NULL) return;
    outlook->proven++;
    if (ending_is_good(newest))
        outlook->good++;
    else if (path_in_doubt(engine, path) || engine->hosts[path->host].left_out)
        outlook->blind++;
    else
        outlook->bad++;
}

static bool is_total(enum mode mode)
{
    return mode == MODE_DOWN || mode == MODE_HUNG || mode == MODE_NOT_ANSWERING;
}

/* One word that is true now: what was seen in the last seconds comes before what is open. */
static const char *word_of(const struct outlook *outlook, const struct cause *cause, bool suspicious)
{
    bool hurts = cause != NULL && cause->incident.impact >= IMPACT_UNKNOWN;
    if (outlook->fresh == 0) return "silent";
    if (outlook->good == 0) {
        if (cause != NULL && (outlook->bad > 0 || outlook->proven == 0))
            return mode_word(cause->incident.mode);
        if (outlook->bad > 0) return "failing";
        return outlook->blind > 0 ? "unknown" : "unproven";
    }
    if (cause != NULL && cause->recovered_ms != 0) return "recovering";
    if (cause != NULL && hurts && outlook->bad == 0 && is_total(cause->incident.mode)) return "recovering";
    if (cause != NULL && hurts) return mode_word(cause->incident.mode);
    if (outlook->bad > 0) return "suspicious";
    if (cause != NULL) return "redundancy lost";
    return suspicious ? "suspicious" : "healthy";
}

static json_t *hops_json(const struct engine *engine, uint32_t s)
{
    const struct model_service *service = &engine->model->services[s];
    json_t *all = json_array();
    for (uint32_t i = 0; i < service->hop_count; i++) {
        uint32_t b = service->hops[i];
        const char *name = engine->model->balancers[b].name;
        char component[INCIDENT_COMPONENT_SIZE];
        snprintf(component, sizeof component, "lb:%s", name);
        struct outlook outlook = {0};
        for (uint32_t p = 0; p < engine->path_count; p++) {
            const struct model_target *target = &engine->model->targets[engine->paths[p].target];
            if (target->service == s && target->entrance == ENTRANCE_HOP && target->balancer == b &&
                target->probe != PROBE_TCP)
                look(&outlook, engine, &engine->paths[p]);
        }
        json_t *addresses = json_array();
        const struct balancer_run *run = &engine->balancers[b];
        for (uint32_t a = 0; a < run->address_count; a++)
            json_array_append_new(addresses, text(run->addresses[a]));
        json_array_append_new(
            all, json_pack("{s:o, s:s, s:o}", "name", text(name), "state",
                     word_of(&outlook, cause_at(engine, component), false), "addresses", addresses));
    }
    return all;
}

/* The way users come; a service that has none is asked at the next entrance behind it. Connects speak only
 * where no page is asked for. */
static struct outlook look_at_service(const struct engine *engine, uint32_t s)
{
    static const struct {
        enum model_entrance entrance;
        bool shallow;
    } levels[] = {{ENTRANCE_USERS, false}, {ENTRANCE_USERS, true}, {ENTRANCE_HOP, false},
        {ENTRANCE_BACKEND, false}, {ENTRANCE_BACKEND, true}};
    struct outlook outlook = {0};
    for (size_t l = 0; l < ARRAY_COUNT(levels); l++) {
        bool planned = false;
        for (uint32_t t = 0; t < engine->model->target_count && !planned; t++)
            planned = engine->model->targets[t].service == s &&
                      engine->model->targets[t].entrance == levels[l].entrance &&
                      (engine->model->targets[t].probe == PROBE_TCP) == levels[l].shallow;
        if (!planned) continue;
        for (uint32_t p = 0; p < engine->path_count; p++) {
            const struct model_target *target = &engine->model->targets[engine->paths[p].target];
            if (target->service == s && target->entrance == levels[l].entrance &&
                engine->paths[p].shallow == levels[l].shallow)
                look(&outlook, engine, &engine->paths[p]);
        }
        break;
    }
    return outlook;
}

static const char *verdict_of(const struct engine *engine, uint32_t s)
{
    const struct group *group = &engine->groups[engine->services[s].group];
    const struct cause *worst = NULL;
    for (uint32_t i = 0; i < engine->cause_count; i++)
        if (cause_touches_service(engine, engine->causes[i], s) &&
            (worst == NULL || engine->causes[i]->incident.impact > worst->incident.impact))
            worst = engine->causes[i];
    struct outlook outlook = look_at_service(engine, s);
    bool suspicious = group->tainted_ms != 0 && engine->now_ms - group->tainted_ms < SUSPICIOUS_MS;
    return word_of(&outlook, worst, suspicious);
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

/* Agents: who is silent, and whether it is the agent, its host, its site or our own link. And observers whose
 * own references fail. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "collector/core/engine/internal.h"

#define STEP_GAP_MS          2500 /* the engine itself was held up: nobody was silent in that time */
#define HOST_TOGETHER_MS     3000 /* agents that fall silent within this time share a cause */
#define REFERENCE_FRESH_MS   15000
#define REFERENCE_BAD_ROUNDS 2
#define PAGE_BAD_MS          5000

static bool is_silent(const struct engine *engine, uint32_t h)
{
    const struct host_run *host = &engine->hosts[h];
    if (host->heard_ms == 0 || engine->model->hosts[h].maintenance) return false;
    return engine->now_ms - host->counted_ms > SILENT_MS && engine->now_ms > host->grace_until_ms;
}

/* Grace keeps silence from being told; only a word ends one that was told before the restart. */
static bool is_still_silent(const struct engine *engine, uint32_t h)
{
    bool unheard = engine->hosts[h].grace_until_ms != 0 && !engine->model->hosts[h].maintenance;
    return unheard || is_silent(engine, h);
}

/* Whether peers cannot reach it either: all backends on it fail when asked by others. */
static bool peers_fail(const struct engine *engine, uint32_t h)
{
    bool any = false;
    for (uint32_t b = 0; b < engine->model->backend_count; b++) {
        if (engine->model->backends[b].host != h) continue;
        bool known;
        if (backend_answers(engine, b, &known)) return false;
        any = any || known;
    }
    return any;
}

/* A backend's incident on a silent host is the host's. */
static struct cause *cause_of_backend_on(struct engine *engine, uint32_t h)
{
    for (uint32_t i = 0; i < engine->cause_count; i++) {
        const struct cause *cause = engine->causes[i];
        for (uint32_t g = 0; g < cause->ground_count; g++) {
            uint32_t place = cause->grounds[g].place;
            if (place == MODEL_NONE || engine->places[place].kind != PLACE_BACKEND) continue;
            if (engine->model->backends[engine->places[place].backend].host == h) return engine->causes[i];
        }
    }
    return NULL;
}

struct census {
    uint32_t known, silent; /* of a site, or of all */
    int64_t first_ms, last_ms;
};

static struct census count(const struct engine *engine, uint32_t site, bool all)
{
    struct census census = {0};
    for (uint32_t h = 0; h < engine->model->host_count; h++) {
        const struct host_run *host = &engine->hosts[h];
        if (host->heard_ms == 0 || engine->model->hosts[h].maintenance) continue;
        if (!all && engine->model->hosts[h].site != site) continue;
        census.known++;
        if (!is_silent(engine, h)) continue;
        census.silent++;
        if (census.first_ms == 0 || host->heard_ms < census.first_ms) census.first_ms = host->heard_ms;
        if (host->heard_ms > census.last_ms) census.last_ms = host->heard_ms;
    }
    return census;
}

/* One dead gateway is one incident, not forty: which name covers this host's silence. */
static bool shared_silence(const struct engine *engine, uint32_t h, char *component, size_t size)
{
    struct census all = count(engine, MODEL_NONE, true);
    if (all.known >= 2 && all.silent == all.known && all.last_ms - all.first_ms <= HOST_TOGETHER_MS) {
        snprintf(component, size, "collector:%c", engine->model->letter);
        return true;
    }
    uint32_t site = engine->model->hosts[h].site;
    if (site == MODEL_NONE) return false;
    struct census here = count(engine, site, false);
    if (here.known >= 2 && here.silent == here.known && here.last_ms - here.first_ms <= HOST_TOGETHER_MS &&
        here.known < all.known) {
        snprintf(component, size, "egress:%s", engine->model->sites[site].name);
        return true;
    }
    return false;
}

static void open_silence(struct engine *engine, uint32_t h, const char *component, enum component kind)
{
    struct cause *cause = cause_new(engine, CAUSE_SILENCE, component, engine->hosts[h].heard_ms);
    if (cause == NULL) return;
    cause->silent_host = kind == COMPONENT_AGENT ? h : MODEL_NONE;
    struct incident *incident = &cause->incident;
    incident->kind = kind;
    incident->mode = MODE_SILENT;
    incident->confidence = CONFIDENCE_HIGH;
    incident->posterior = 1;
    incident->magnitude = 1;
    incident->impact = IMPACT_NONE;
    incident->severity = SEVERITY_WARNING;
    double seconds = (double)(engine->now_ms - engine->hosts[h].heard_ms) / 1000;
    const char *what = kind == COMPONENT_AGENT ? "nothing heard from the agent"
                       : kind == COMPONENT_COLLECTOR
                           ? "nothing heard from any agent: the collector's own link"
                           : "nothing heard from any agent of the site";
    snprintf(incident->headline, sizeof incident->headline, "%s silent, certain: %s for %.0f s", component,
        what, seconds);
    snprintf(incident->advice, sizeof incident->advice, "%s",
        kind == COMPONENT_AGENT ? "is faultline-agent running there, and can it reach the collector?"
                                : "look at the network between there and the collector");
    incident_add_evidence(incident, component, "", seconds, SILENT_MS / 1000.0,
        "last heard %.0f s ago; silence says nothing about the site", seconds);
    cause_tell(engine, cause, STEP_OPENED);
}

static void host_is_down(struct engine *engine, uint32_t h, struct cause *backend)
{
    char component[INCIDENT_COMPONENT_SIZE], agent[INCIDENT_COMPONENT_SIZE];
    const char *name = engine->model->hosts[h].name;
    snprintf(component, sizeof component, "host:%s", name);
    snprintf(agent, sizeof agent, "agent:%s", name);
    if (strcmp(backend->incident.component, component) == 0) return;
    incident_add_symptom(
        &backend->incident, backend->incident.component, backend->incident.mode, backend->incident.onset_ms);
    incident_add_symptom(&backend->incident, agent, MODE_SILENT, engine->hosts[h].heard_ms);
    struct cause *silence = cause_find(engine, agent);
    if (silence != NULL) cause_absorb(engine, backend, silence);
    snprintf(backend->incident.component, sizeof backend->incident.component, "%s", component);
    backend->incident.kind = COMPONENT_HOST;
    backend->incident.mode = MODE_DOWN;
    backend->source = CAUSE_MATRIX;
    cause_tell(engine, backend, STEP_AMENDED);
}

static void silence_of(struct engine *engine, uint32_t h)
{
    struct cause *backend = peers_fail(engine, h) ? cause_of_backend_on(engine, h) : NULL;
    if (backend != NULL) {
        host_is_down(engine, h, backend);
        return;
    }
    char component[INCIDENT_COMPONENT_SIZE];
    snprintf(component, sizeof component, "host:%s", engine->model->hosts[h].name);
    if (cause_find(engine, component) != NULL) return;
    char own[INCIDENT_COMPONENT_SIZE];
    snprintf(own, sizeof own, "agent:%s", engine->model->hosts[h].name);
    enum component kind = COMPONENT_AGENT;
    if (shared_silence(engine, h, component, sizeof component)) {
        kind = component[0] == 'c' ? COMPONENT_COLLECTOR : COMPONENT_EGRESS;
        struct cause *cause = cause_find(engine, component);
        struct cause *single = cause_find(engine, own);
        if (cause != NULL) {
            incident_add_symptom(&cause->incident, own, MODE_SILENT, engine->hosts[h].heard_ms);
            if (single != NULL) cause_absorb(engine, cause, single);
            return;
        }
        open_silence(engine, h, component, kind);
        return;
    }
    for (uint32_t i = 0; i < engine->cause_count; i++) /* told as one of many already */
        for (size_t s = 0; s < engine->causes[i]->incident.symptom_count; s++)
            if (strcmp(engine->causes[i]->incident.symptoms[s].component, own) == 0) return;
    if (cause_find(engine, own) == NULL) open_silence(engine, h, own, kind);
}

/* Agents that stop together are not seen to stop in the same step: a moment's patience names the shared
 * cause. */
static bool wait_for_others(const struct engine *engine, uint32_t h)
{
    return engine->now_ms - engine->hosts[h].counted_ms <= SILENT_MS + 1500;
}

static void silence_over(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->cause_count; i++) {
        struct cause *cause = engine->causes[i];
        if (cause->source != CAUSE_SILENCE) continue;
        bool silent = false;
        uint32_t site_silent = 0, known = 0;
        for (uint32_t h = 0; h < engine->model->host_count; h++) {
            if (cause->silent_host != MODEL_NONE && cause->silent_host != h) continue;
            char name[INCIDENT_COMPONENT_SIZE];
            snprintf(name, sizeof name, "egress:%s",
                engine->model->hosts[h].site != MODEL_NONE
                    ? engine->model->sites[engine->model->hosts[h].site].name
                    : "");
            if (cause->incident.kind == COMPONENT_EGRESS && strcmp(name, cause->incident.component) != 0)
                continue;
            if (engine->hosts[h].heard_ms == 0) continue;
            known++;
            if (is_still_silent(engine, h)) site_silent++;
        }
        silent = known > 0 && site_silent == known;
        if (silent)
            cause->recovered_ms = 0;
        else if (cause->recovered_ms == 0)
            cause->recovered_ms = engine->now_ms;
    }
}

void hosts_step(struct engine *engine)
{
    int64_t gap = engine->now_ms - engine->stepped_ms;
    if (engine->stepped_ms != 0 && gap > STEP_GAP_MS)
        for (uint32_t h = 0; h < engine->model->host_count; h++) engine->hosts[h].counted_ms += gap;
    engine->stepped_ms = engine->now_ms;
    if (engine->now_ms - engine->start_ms < WARM_UP_MS) return;
    for (uint32_t h = 0; h < engine->model->host_count; h++) {
        struct host_run *host = &engine->hosts[h];
        if (is_silent(engine, h) && !wait_for_others(engine, h)) silence_of(engine, h);
        if (host->left_out && engine->now_ms - host->reference_bad_ms > REFERENCE_FRESH_MS)
            host->left_out = false;
    }
    silence_over(engine);
}

/* References speak together: one that answers is enough. */
void hosts_reference(struct engine *engine, const struct path *path, bool good)
{
    struct host_run *host = &engine->hosts[path->host];
    int64_t now = engine->now_ms;
    if (good) {
        host->reference_ok_ms = now;
        host->reference_bad_in_row = 0;
        host->left_out = false;
        return;
    }
    host->reference_bad_ms = now;
    host->reference_bad_in_row++;
    uint32_t references = 0, failing = 0;
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *other = &engine->paths[p];
        if (other->host != path->host || !engine->ways[other->way].proven) continue;
        if (engine->model->targets[other->target].entrance != ENTRANCE_REFERENCE) continue;
        references++;
        const struct ending *newest = path_newest(other);
        if (newest != NULL && !ending_is_good(newest)) failing++;
    }
    host->left_out = failing == references && host->reference_bad_in_row >= REFERENCE_BAD_ROUNDS &&
                     now - host->page_bad_ms <= PAGE_BAD_MS;
}

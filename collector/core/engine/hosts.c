/* Agents: who is silent, and whether it is the agent, its host, its site or our own link. And observers whose
 * own references fail. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "collector/core/engine/internal.h"
#include "common/timetext.h"

#define STEP_GAP_MS          2500  /* the engine itself was held up: nobody was silent in that time */
#define TOGETHER_MS          3000  /* agents that fall silent within this time share a cause */
#define FELL_MS              60000 /* one after another within this time, until none is left: one incident */
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

/* Silent agents under one name: of one host, of all hosts of a site, of all. */
struct silence {
    char component[INCIDENT_COMPONENT_SIZE];
    enum component kind;
    uint32_t host, site;       /* MODEL_NONE: any */
    uint32_t known, silent;    /* hosts it is about */
    uint32_t fell;             /* those that fell silent within FELL_MS before the last one */
    int64_t first_ms, last_ms; /* last words of those */
};

static bool is_about(const struct engine *engine, const struct silence *silence, uint32_t h)
{
    const struct model_host *host = &engine->model->hosts[h];
    if (engine->hosts[h].heard_ms == 0 || host->maintenance) return false;
    return (silence->host == MODEL_NONE || silence->host == h) &&
           (silence->site == MODEL_NONE || silence->site == host->site);
}

static void count(const struct engine *engine, struct silence *silence)
{
    for (uint32_t h = 0; h < engine->model->host_count; h++) {
        if (!is_about(engine, silence, h)) continue;
        silence->known++;
        if (!is_silent(engine, h)) continue;
        silence->silent++;
        if (engine->hosts[h].heard_ms > silence->last_ms) silence->last_ms = engine->hosts[h].heard_ms;
    }
    silence->first_ms = silence->last_ms;
    for (uint32_t h = 0; h < engine->model->host_count; h++) {
        int64_t heard_ms = engine->hosts[h].heard_ms;
        if (!is_about(engine, silence, h) || !is_silent(engine, h)) continue;
        if (silence->last_ms - heard_ms > FELL_MS) continue; /* it went for reasons of its own */
        silence->fell++;
        if (heard_ms < silence->first_ms) silence->first_ms = heard_ms;
    }
}

static bool is_shared(const struct silence *silence)
{
    return silence->silent == silence->known && silence->fell >= 2;
}

/* One dead gateway is one incident, not forty: which name covers this host's silence. */
static struct silence silence_around(const struct engine *engine, uint32_t h)
{
    struct silence all = {.kind = COMPONENT_COLLECTOR, .host = MODEL_NONE, .site = MODEL_NONE};
    count(engine, &all);
    snprintf(all.component, sizeof all.component, "collector:%c", engine->model->letter);
    if (is_shared(&all)) return all;
    uint32_t site = engine->model->hosts[h].site;
    if (site != MODEL_NONE) {
        struct silence here = {.kind = COMPONENT_EGRESS, .host = MODEL_NONE, .site = site};
        count(engine, &here);
        snprintf(here.component, sizeof here.component, "egress:%s", engine->model->sites[site].name);
        if (is_shared(&here) && here.known < all.known) return here;
    }
    struct silence own = {.kind = COMPONENT_AGENT, .host = h, .site = MODEL_NONE};
    count(engine, &own);
    snprintf(own.component, sizeof own.component, "agent:%s", engine->model->hosts[h].name);
    return own;
}

/* Read while the silence goes on: since when it is true, not for how long it has been. */
static void tell_silence(struct engine *engine, struct cause *cause, const struct silence *silence)
{
    struct incident *incident = &cause->incident;
    char last[TIMETEXT_RFC3339_SIZE], first[TIMETEXT_RFC3339_SIZE];
    timetext_rfc3339(silence->last_ms, last);
    timetext_rfc3339(silence->first_ms, first);
    bool together = silence->last_ms - silence->first_ms <= TOGETHER_MS;
    const char *who = silence->kind == COMPONENT_AGENT    ? "the agent"
                      : silence->kind == COMPONENT_EGRESS ? "any agent of the site"
                                                          : "any agent";
    const char *why = silence->kind == COMPONENT_COLLECTOR && together ? ": the collector's own link" : "";
    snprintf(incident->headline, sizeof incident->headline,
        "%s silent, certain: nothing heard from %s since %.8s UTC%s", silence->component, who, last + 11,
        why);
    snprintf(incident->advice, sizeof incident->advice, "%s",
        silence->kind == COMPONENT_AGENT ? "is faultline-agent running there, and can it reach the collector?"
                                         : "look at the network between there and the collector");
    double seconds = (double)(engine->now_ms - silence->last_ms) / 1000;
    if (together)
        incident_add_evidence(incident, silence->component, "", seconds, SILENT_MS / 1000.0,
            "last heard at %.8s UTC; silence says nothing about the site", last + 11);
    else
        incident_add_evidence(incident, silence->component, "", seconds, SILENT_MS / 1000.0,
            "%u agents fell silent one after another, from %.8s to %.8s UTC; silence says nothing about the "
            "site",
            silence->fell, first + 11, last + 11);
    cause_tell(engine, cause, STEP_OPENED);
}

static struct cause *open_silence(struct engine *engine, const struct silence *silence)
{
    struct cause *cause = cause_new(engine, CAUSE_SILENCE, silence->component, silence->first_ms);
    if (cause == NULL) return NULL;
    cause->silent_host = silence->host;
    struct incident *incident = &cause->incident;
    incident->kind = silence->kind;
    incident->mode = MODE_SILENT;
    incident->confidence = CONFIDENCE_HIGH;
    incident->posterior = 1;
    incident->magnitude = 1;
    incident->impact = IMPACT_NONE;
    incident->severity = SEVERITY_WARNING;
    for (uint32_t h = 0; h < engine->model->host_count && silence->host == MODEL_NONE; h++) {
        if (!is_about(engine, silence, h)) continue;
        char agent[INCIDENT_COMPONENT_SIZE];
        snprintf(agent, sizeof agent, "agent:%s", engine->model->hosts[h].name);
        incident_add_symptom(incident, agent, MODE_SILENT, engine->hosts[h].heard_ms);
    }
    tell_silence(engine, cause, silence);
    return cause;
}

/* What was told of single agents, or of one site before all fell silent, is part of the wider one. */
static void absorb_narrower(struct engine *engine, struct cause *wide, const struct silence *silence)
{
    for (uint32_t i = 0; i < engine->cause_count; i++) {
        struct cause *cause = engine->causes[i];
        if (cause == wide || cause->source != CAUSE_SILENCE) continue;
        uint32_t h = cause->silent_host;
        bool inside = h != MODEL_NONE ? is_about(engine, silence, h) : silence->kind == COMPONENT_COLLECTOR;
        if (!inside) continue;
        cause_absorb(engine, wide, cause);
        i--;
    }
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

static bool is_told_as_symptom(const struct engine *engine, const char *component)
{
    for (uint32_t i = 0; i < engine->cause_count; i++)
        for (size_t s = 0; s < engine->causes[i]->incident.symptom_count; s++)
            if (strcmp(engine->causes[i]->incident.symptoms[s].component, component) == 0) return true;
    return false;
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
    struct silence silence = silence_around(engine, h);
    struct cause *cause = cause_find(engine, silence.component);
    if (silence.kind == COMPONENT_AGENT) {
        if (cause == NULL && !is_told_as_symptom(engine, silence.component)) open_silence(engine, &silence);
        return;
    }
    if (cause == NULL) cause = open_silence(engine, &silence);
    if (cause != NULL) absorb_narrower(engine, cause, &silence);
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

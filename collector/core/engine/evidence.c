/* The evidence of an incident: sentences that stand alone, each with the numbers it was read from. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "collector/core/engine/internal.h"
#include "common/check.h"

/* What was asked, as the subject of a sentence; %s is the target. */
struct entrance_words {
    enum model_entrance entrance;
    enum probe_kind probe;
    const char *before, *after;
};
static const struct entrance_words entrance_words[] = {
    {ENTRANCE_USERS, PROBE_HTTP, "", " as users come"},
    {ENTRANCE_USERS, PROBE_TCP, "connecting to ", " as users come"},
    {ENTRANCE_HOP, PROBE_HTTP, "pages through ", ""},
    {ENTRANCE_HOP, PROBE_TCP, "connecting to ", ""},
    {ENTRANCE_BACKEND, PROBE_HTTP, "", " asked directly"},
    {ENTRANCE_BACKEND, PROBE_TCP, "connecting to ", " directly"},
    {ENTRANCE_HEALTH, PROBE_HTTP, "the health URL of ", ""},
    {ENTRANCE_HEALTH, PROBE_TCP, "connecting to the health port of ", ""},
    {ENTRANCE_REFERENCE, PROBE_HTTP, "the reference ", ""},
    {ENTRANCE_REFERENCE, PROBE_TCP, "connecting to the reference ", ""},
};

static void subject_of(const struct model_target *target, char *out, size_t size)
{
    snprintf(out, size, "%s", target->name);
    for (size_t i = 0; i < ARRAY_COUNT(entrance_words); i++)
        if (entrance_words[i].entrance == target->entrance && entrance_words[i].probe == target->probe)
            snprintf(out, size, "%s%s%s", entrance_words[i].before, target->name, entrance_words[i].after);
}

static void component_of(
    const struct engine *engine, const struct model_target *target, char *out, size_t size)
{
    out[0] = '\0';
    if (target->service == MODEL_NONE) return; /* a reference is nobody's component */
    const struct model_service *service = &engine->model->services[target->service];
    switch (target->entrance) {
    case ENTRANCE_USERS: snprintf(out, size, "service:%s", service->name); break;
    case ENTRANCE_HOP:
        snprintf(out, size, "lb:%s", engine->model->balancers[service->hops[target->hop]].name);
        break;
    case ENTRANCE_BACKEND:
    case ENTRANCE_HEALTH:
        snprintf(out, size, "backend:%s/%s", service->name, engine->model->backends[target->backend].name);
        break;
    case ENTRANCE_REFERENCE:
    case ENTRANCE_STATS:
    case ENTRANCE_COUNT: break;
    }
}

/* One line a target: how its probes of the last seconds ended. */
static void evidence_of_target(struct engine *engine, struct cause *cause, uint32_t t, int64_t since)
{
    const struct model_target *target = &engine->model->targets[t];
    struct tally tally = {0};
    uint32_t observers = 0;
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *path = &engine->paths[p];
        if (path->target != t || !engine->ways[path->way].proven) continue;
        uint32_t before = tally_all(&tally);
        tally_path(path, since, &tally);
        if (tally_all(&tally) > before) observers++;
    }
    uint32_t all = tally_all(&tally);
    if (all == 0) return;
    char how[96] = "", subject[INCIDENT_TEXT_SIZE / 2];
    if (tally.failed + tally.nothing > 0 && tally.error == PROBE_ERROR_STATUS)
        snprintf(how, sizeof how, "; the last failure: status %u", tally.code);
    else if (tally.failed + tally.nothing > 0)
        snprintf(how, sizeof how, "; the last failure: %s", probe_error_phrase(tally.error));
    else if (tally.open + tally.slow > 0)
        snprintf(how, sizeof how, "; late means after %" PRId64 " ms",
            pool_late_after_ms(&engine->pools[engine->target_pool[t]]));
    subject_of(target, subject, sizeof subject);
    int64_t span_ms = engine->now_ms - since;
    char component[INCIDENT_COMPONENT_SIZE];
    component_of(engine, target, component, sizeof component);
    incident_add_evidence(&cause->incident, component, "", tally.ok, all,
        "%s: %u of %u probes by %u observer%s were good in the last %.1f s%s", subject, tally.ok, all,
        observers, observers == 1 ? "" : "s", (double)(span_ms < 100 ? 100 : span_ms) / 1000, how);
    struct incident_evidence *fact = &cause->incident.evidence[cause->incident.evidence_count - 1];
    fact->from_ms = since;
    fact->to_ms = engine->now_ms;
}

static bool target_matters(const struct engine *engine, const struct cause *cause, uint32_t t)
{
    const struct model_target *target = &engine->model->targets[t];
    if (target->entrance == ENTRANCE_STATS) return false;
    if (target->service != MODEL_NONE && cause_touches_service(engine, cause, target->service)) return true;
    for (uint32_t g = 0; g < cause->ground_count; g++) {
        if (cause->grounds[g].place == MODEL_NONE) continue;
        for (uint32_t p = 0; p < engine->path_count; p++)
            if (engine->paths[p].target == t && place_covers_path(engine, cause->grounds[g].place, p))
                return true;
    }
    return false;
}

static void evidence_of_paths(struct engine *engine, struct cause *cause)
{
    /* Before anything has come in since the onset, the seconds before speak. */
    int64_t since = cause_window_start_ms(engine, cause);
    static const enum model_entrance order[] = {
        ENTRANCE_USERS, ENTRANCE_HOP, ENTRANCE_BACKEND, ENTRANCE_HEALTH, ENTRANCE_REFERENCE};
    for (size_t o = 0; o < ARRAY_COUNT(order); o++)
        for (uint32_t t = 0; t < engine->model->target_count; t++) {
            if (cause->incident.evidence_count >= INCIDENT_EVIDENCE_MAX - 3) return;
            if (engine->model->targets[t].entrance == order[o] && target_matters(engine, cause, t))
                evidence_of_target(engine, cause, t, since);
        }
}

static void evidence_of_balancer(struct engine *engine, struct cause *cause)
{
    uint32_t said[BALANCER_SAYS_MAINTENANCE + 1] = {0}, all = 0;
    for (uint32_t b = 0; b < engine->model->backend_count; b++) {
        if (!cause_touches_service(engine, cause, engine->model->backends[b].service)) continue;
        said[engine->backends[b].said]++;
        if (engine->backends[b].said != BALANCER_SAYS_NOTHING) all++;
    }
    if (all > 0)
        incident_add_evidence(&cause->incident, "", "", said[BALANCER_SAYS_UP], all,
            "the balancer itself says: %u up, %u down, %u draining or in maintenance", said[BALANCER_SAYS_UP],
            said[BALANCER_SAYS_DOWN], said[BALANCER_SAYS_DRAINING] + said[BALANCER_SAYS_MAINTENANCE]);
}

/* The provider of all sites, if it is known and all the same, and of everybody who observes these services;
 * else NULL.
 */
const char *provider_of_all(const struct engine *engine, const struct cause *cause)
{
    const struct model *model = engine->model;
    for (uint32_t i = 0; i < model->site_count; i++)
        if (model->sites[i].provider[0] == '\0' ||
            strcmp(model->sites[i].provider, model->sites[0].provider) != 0)
            return NULL;
    for (uint32_t s = 0; s < model->service_count; s++) {
        if (!cause_touches_service(engine, cause, s)) continue;
        for (uint32_t i = 0; i < model->services[s].observer_count; i++)
            if (model->hosts[model->services[s].observers[i]].site == MODEL_NONE) return NULL;
    }
    return model->site_count > 0 ? model->sites[0].provider : NULL;
}

/* What cannot be told apart, and what would tell. */
static void evidence_of_blindness(struct cause *cause)
{
    struct incident *i = &cause->incident;
    const char *site = strchr(i->component, ':');
    site = site != NULL ? site + 1 : "";
    switch (i->kind) {
    case COMPONENT_EGRESS:
        incident_add_evidence(i, i->runner_up, "", i->posterior, NAN,
            "no observer gets any answer and all are at %s: its way out cannot be told from %s", site,
            i->runner_up);
        incident_add_evidence(i, "", "", NAN, NAN,
            "an observer at another site, or references for this one (sites.%s.references), would tell",
            site);
        break;
    case COMPONENT_OBSERVER:
        incident_add_evidence(i, i->runner_up, "", i->posterior, NAN,
            "it gets no answer at all and no other observer can tell: it, its way out and %s cannot be told "
            "apart",
            i->runner_up);
        incident_add_evidence(i, "", "", NAN, NAN,
            "a second observer at another site, or references for the site of %s, would tell", site);
        break;
    default:
        incident_add_evidence(i, i->runner_up, "", i->posterior, NAN,
            "no observer gets any answer, from %s as little as from %s: what they share has failed, or both "
            "have",
            i->component, i->runner_up[0] != '\0' ? i->runner_up : "the others");
        incident_add_evidence(
            i, "", "", NAN, NAN, "an agent on one of the servers or on the balancer's host would tell");
        break;
    }
}

static void evidence_of_vantage(struct engine *engine, struct cause *cause)
{
    if (cause->single)
        incident_add_evidence(&cause->incident, "", "", NAN, NAN,
            "only one observer sees it: what it probes and the path to it cannot be told apart");
    if (cause->alive)
        incident_add_evidence(&cause->incident, cause->incident.component, "", NAN, NAN,
            "its health URL answers: the server lives, its workers or something that it calls do not");
    if (cause->blind)
        evidence_of_blindness(cause);
    else if (cause->guess)
        incident_add_evidence(&cause->incident, cause->incident.runner_up, "", cause->incident.posterior, NAN,
            "cannot be told from %s with the paths that are proven", cause->incident.runner_up);
    const char *provider = cause->inside ? provider_of_all(engine, cause) : NULL;
    if (provider != NULL)
        incident_add_evidence(&cause->incident, "", "", NAN, NAN,
            "every observer is at provider %s, like the site: how users come from elsewhere is not seen",
            provider);
}

void evidence_collect(struct engine *engine, struct cause *cause)
{
    cause->incident.evidence_count = 0;
    evidence_of_paths(engine, cause);
    evidence_of_balancer(engine, cause);
    evidence_of_vantage(engine, cause);
}

/* Who suffers, decided at the way users come in; and what follows from that. */
#include <stdio.h>
#include <string.h>

#include "collector/core/engine/internal.h"

#define RECENT_MS         3000
#define STILL_BAD_MS      2000
#define BLIND_TICKET_MS   15000
#define SEVERITY_STAYS_MS 15000 /* a page is not taken back in the seconds in which it is read */

/* The blame of a cause as places; silence blames none. */
static const struct place *ground_place(const struct engine *engine, const struct cause *cause, uint32_t i)
{
    return cause->grounds[i].place != MODEL_NONE ? &engine->places[cause->grounds[i].place] : NULL;
}

static bool service_has_hop(const struct model_service *service, uint32_t balancer)
{
    for (uint32_t i = 0; i < service->hop_count; i++)
        if (service->hops[i] == balancer) return true;
    return false;
}

static bool place_touches_service(const struct engine *engine, const struct place *place, uint32_t s)
{
    const struct model_service *service = &engine->model->services[s];
    if (engine->services[s].group != place->group) return false;
    switch (place->kind) {
    case PLACE_LB:
    case PLACE_LB_ADDRESS:
    case PLACE_LBNET: return service_has_hop(service, place->balancer);
    case PLACE_LBNET_BACKEND:
    case PLACE_BACKEND: return engine->model->backends[place->backend].service == s;
    case PLACE_BACKENDS:
    case PLACE_SERVICE: return place->service == s;
    case PLACE_ZONE:
        for (uint32_t i = 0; i < service->backend_count; i++)
            if (engine->model->backends[service->first_backend + i].zone == place->zone) return true;
        return false;
    case PLACE_OBSERVER:
    case PLACE_EGRESS_USERS:
    case PLACE_EGRESS_HOPS:
    case PLACE_EGRESS_ALL:
    case PLACE_PATH_LB:
    case PLACE_PATH_LB_ADDRESS:
    case PLACE_PATH_BACKEND:
    case PLACE_PATH_SERVICE:
    case PLACE_KIND_COUNT: break;
    }
    return false;
}

bool cause_touches_service(const struct engine *engine, const struct cause *cause, uint32_t service)
{
    for (uint32_t i = 0; i < cause->ground_count; i++) {
        const struct place *place = ground_place(engine, cause, i);
        if (place != NULL && place_touches_service(engine, place, service)) return true;
    }
    return false;
}

void services_text(const struct engine *engine, const struct cause *cause, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t s = 0; s < engine->model->service_count; s++) {
        if (!cause_touches_service(engine, cause, s)) continue;
        const char *name = engine->model->services[s].name;
        if (used + strlen(name) + 2 > size) return; /* whole names only */
        used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? "," : "", name);
    }
}

bool backend_answers(const struct engine *engine, uint32_t backend, bool *known)
{
    uint32_t good = 0, bad = 0;
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *path = &engine->paths[p];
        const struct model_target *target = &engine->model->targets[path->target];
        if (target->entrance != ENTRANCE_BACKEND || target->backend != backend || path->shallow ||
            path->aside)
            continue;
        if (!engine->ways[path->way].proven || !path_fresh(engine, path)) continue;
        const struct ending *newest = path_newest(path);
        if (newest == NULL) continue;
        ending_is_good(newest) ? good++ : bad++;
    }
    *known = good + bad > 0;
    return good > bad;
}

bool path_in_doubt(const struct engine *engine, const struct path *path)
{
    static const bool of_the_observer[PLACE_KIND_COUNT] = {[PLACE_OBSERVER] = true,
        [PLACE_EGRESS_USERS] = true,
        [PLACE_EGRESS_HOPS] = true,
        [PLACE_EGRESS_ALL] = true,
        [PLACE_PATH_LB] = true,
        [PLACE_PATH_LB_ADDRESS] = true,
        [PLACE_PATH_BACKEND] = true,
        [PLACE_PATH_SERVICE] = true};
    for (uint32_t i = 0; i < path->cover_count; i++) {
        const struct place *place = &engine->places[path->covers[i].place];
        if (place->open && of_the_observer[place->kind] && path->covers[i].share == SHARE_FULL) return true;
    }
    return false;
}

static void look_at_entrance(const struct engine *engine, const struct cause *cause, struct impact_view *view)
{
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *path = &engine->paths[p];
        const struct model_target *target = &engine->model->targets[path->target];
        if (target->entrance != ENTRANCE_USERS || path->shallow || path->aside) continue;
        if (!engine->ways[path->way].proven || !path_fresh(engine, path)) continue;
        if (engine->hosts[path->host].left_out || !cause_touches_service(engine, cause, target->service))
            continue;
        if (path_in_doubt(engine, path)) continue; /* it sees nothing for the users */
        const struct ending *newest = path_newest(path);
        if (newest == NULL) continue;
        view->all++;
        if (!ending_is_good(newest)) view->bad++;
        int64_t since = engine->now_ms - RECENT_MS;
        if (since < cause->incident.onset_ms) since = cause->incident.onset_ms;
        for (uint32_t i = 0; i < path->ring_count; i++) {
            const struct ending *e = &path->ring[i];
            if (!ending_is_good(e) && e->at_ms > view->last_bad_ms) view->last_bad_ms = e->at_ms;
            if (e->start_ms < since) continue;
            view->all_recent++;
            if (!ending_is_good(e)) view->bad_recent++;
        }
    }
}

static void look_at_backends(const struct engine *engine, const struct cause *cause, struct impact_view *view)
{
    bool first = true;
    for (uint32_t s = 0; s < engine->model->service_count; s++) {
        const struct model_service *service = &engine->model->services[s];
        if (service->backend_count == 0 || !cause_touches_service(engine, cause, s)) continue;
        uint32_t up = 0;
        for (uint32_t i = 0; i < service->backend_count; i++) {
            bool known;
            uint32_t b = service->first_backend + i;
            bool answers = backend_answers(engine, b, &known);
            if ((answers || !known) && !engine->backends[b].excluded) up++;
        }
        int64_t spare = (int64_t)up - service->capacity_needed;
        if (first || spare < (int64_t)view->up - view->needed) {
            view->up = up;
            view->needed = service->capacity_needed;
            view->backends = service->backend_count;
        }
        first = false;
    }
}

static bool blames(const struct engine *engine, const struct cause *cause, enum place_kind kind)
{
    for (uint32_t i = 0; i < cause->ground_count; i++) {
        const struct place *place = ground_place(engine, cause, i);
        if (place != NULL && place->kind == kind && !cause->grounds[i].recovered) return true;
    }
    return false;
}

/* Where nobody watches the entrance, the verdict itself has to say. */
static enum impact inferred(const struct engine *engine, const struct cause *cause)
{
    if (blames(engine, cause, PLACE_LB) || blames(engine, cause, PLACE_LBNET) ||
        blames(engine, cause, PLACE_BACKENDS) || blames(engine, cause, PLACE_SERVICE))
        return cause->incident.magnitude >= .9 ? IMPACT_USERS_DOWN : IMPACT_USERS_HURT;
    return IMPACT_NONE;
}

/* A guess that blames the observers' side, not the service's. */
static bool is_about_us(const struct cause *cause)
{
    return cause->blind &&
           (cause->incident.kind == COMPONENT_EGRESS || cause->incident.kind == COMPONENT_OBSERVER);
}

enum impact impact_of(struct engine *engine, struct cause *cause, struct impact_view *view)
{
    memset(view, 0, sizeof *view);
    look_at_entrance(engine, cause, view);
    look_at_backends(engine, cause, view);
    if (view->last_bad_ms > cause->users_bad_ms) cause->users_bad_ms = view->last_bad_ms;
    enum impact impact = IMPACT_NONE;
    cause->capacity_short = view->backends > 0 && view->up < view->needed;
    bool a_backend = blames(engine, cause, PLACE_BACKEND) || blames(engine, cause, PLACE_LBNET_BACKEND) ||
                     blames(engine, cause, PLACE_ZONE);
    if (a_backend) impact = cause->capacity_short ? IMPACT_AT_RISK : IMPACT_REDUNDANCY_LOST;
    if (blames(engine, cause, PLACE_LB_ADDRESS))
        impact = IMPACT_USERS_HURT; /* its share of the clients go there */
    if (view->all == 0) {
        /* Nobody sees the users' entrance: nobody knows that they are served, either. */
        enum impact guess = is_about_us(cause) ? IMPACT_UNKNOWN : inferred(engine, cause);
        return guess > impact ? guess : impact;
    }
    bool now_all = view->bad == view->all && view->bad_recent * 10 >= view->all_recent * 9;
    bool now_some = view->bad_recent * 20 >= view->all_recent && view->bad_recent > 0;
    if (view->all_recent > 0 && now_all)
        impact = IMPACT_USERS_DOWN;
    else if (view->all_recent > 0 && now_some)
        impact = IMPACT_USERS_HURT;
    else if (view->bad == view->all)
        impact =
            impact > IMPACT_USERS_HURT ? impact : cause->incident.impact; /* nothing new: as it was told */
    return impact;
}

static bool hurts(enum impact impact)
{
    return impact >= IMPACT_USERS_HURT;
}

enum severity severity_of(
    const struct engine *engine, const struct cause *cause, const struct impact_view *view)
{
    enum impact impact = cause->incident.impact;
    int64_t age = engine->now_ms - cause->incident.onset_ms;
    (void)view;
    if (cause->warn_only || cause->source == CAUSE_SILENCE) return SEVERITY_WARNING;
    if (is_about_us(cause)) return age >= BLIND_TICKET_MS ? SEVERITY_TICKET : SEVERITY_WARNING;
    bool redundant = blames(engine, cause, PLACE_BACKEND) || blames(engine, cause, PLACE_LBNET_BACKEND);
    if (redundant && hurts(impact))
        /* Until its balancer has taken it out, or it is back from a restart, a few requests fail. */
        return impact == IMPACT_USERS_DOWN ||
                       (age >= BACKEND_HURT_PAGE_MS && engine->now_ms - cause->users_bad_ms < STILL_BAD_MS) ||
                       cause->told_severity == SEVERITY_PAGE
                   ? SEVERITY_PAGE
                   : SEVERITY_TICKET;
    if (hurts(impact)) return SEVERITY_PAGE;
    if (impact == IMPACT_AT_RISK) return age >= CAPACITY_PAGE_MS ? SEVERITY_PAGE : SEVERITY_TICKET;
    if (impact == IMPACT_REDUNDANCY_LOST) return SEVERITY_TICKET;
    switch (cause->incident.kind) {
    case COMPONENT_OBSERVER:
    case COMPONENT_PATH:
    case COMPONENT_AGENT: return SEVERITY_WARNING;
    default: return SEVERITY_TICKET;
    }
}

void cause_set_severity(const struct engine *engine, struct cause *cause, const struct impact_view *view)
{
    enum severity severity = severity_of(engine, cause, view);
    if (severity < cause->incident.severity && engine->now_ms - cause->severity_raised_ms < SEVERITY_STAYS_MS)
        return;
    if (severity > cause->incident.severity) cause->severity_raised_ms = engine->now_ms;
    cause->incident.severity = severity;
}

/* Which hypotheses may be blamed: those that proven paths cover and that something can tell from others. */
#include <math.h>

#include "collector/core/engine/internal.h"
#include "common/check.h"

struct census {
    uint32_t observers; /* ordinary ones with a proven path in the group */
    uint32_t sites;
};

static struct census count_group(const struct engine *engine, uint32_t group)
{
    struct census census = {0};
    uint32_t sites[64];
    const struct group *g = &engine->groups[group];
    for (uint32_t i = 0; i < g->place_count; i++) {
        const struct place *place = &engine->places[g->places[i]];
        if (place->kind != PLACE_OBSERVER || place->proven_paths == 0) continue;
        census.observers++;
        uint32_t site = engine->model->hosts[place->host].site;
        uint32_t k = 0;
        while (k < census.sites && sites[k] != site) k++;
        if (k == census.sites && k < ARRAY_COUNT(sites)) sites[census.sites++] = site;
    }
    return census;
}

static uint32_t observers_of_site(const struct engine *engine, uint32_t group, uint32_t site)
{
    uint32_t count = 0;
    const struct group *g = &engine->groups[group];
    for (uint32_t i = 0; i < g->place_count; i++) {
        const struct place *place = &engine->places[g->places[i]];
        if (place->kind == PLACE_OBSERVER && place->proven_paths > 0 &&
            engine->model->hosts[place->host].site == site)
            count++;
    }
    return count;
}

static bool site_has_references(const struct engine *engine, uint32_t site)
{
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *path = &engine->paths[p];
        if (engine->model->targets[path->target].entrance == ENTRANCE_REFERENCE &&
            engine->ways[path->way].proven && engine->model->hosts[path->host].site == site)
            return true;
    }
    return false;
}

static uint32_t proven_addresses(const struct engine *engine, uint32_t balancer)
{
    uint32_t count = 0;
    const struct group *g = &engine->groups[engine->balancers[balancer].group];
    for (uint32_t i = 0; i < g->place_count; i++) {
        const struct place *place = &engine->places[g->places[i]];
        if (place->kind == PLACE_LB_ADDRESS && place->balancer == balancer && place->proven_paths > 0)
            count++;
    }
    return count;
}

static bool zone_is_a_part(const struct engine *engine, const struct place *place)
{
    const struct group *g = &engine->groups[place->group];
    uint32_t inside = 0, outside = 0;
    for (uint32_t i = 0; i < g->service_count; i++) {
        const struct model_service *s = &engine->model->services[g->services[i]];
        for (uint32_t k = 0; k < s->backend_count; k++)
            (zone_of_backend(engine, s->first_backend + k) == place->zone) ? inside++ : outside++;
    }
    return inside >= 2 && outside > 0;
}

static bool is_live(const struct engine *engine, const struct place *place, const struct census *census)
{
    if (place->proven_paths == 0) return false;
    switch (place->kind) {
    case PLACE_LB_ADDRESS:
    case PLACE_PATH_LB_ADDRESS: return proven_addresses(engine, place->balancer) > 1;
    case PLACE_BACKEND:
    case PLACE_PATH_BACKEND:
    case PLACE_LBNET_BACKEND: return !engine->backends[place->backend].excluded;
    case PLACE_BACKENDS: return engine->services[place->service].active > 1;
    case PLACE_ZONE: return zone_is_a_part(engine, place);
    case PLACE_EGRESS_USERS:
    case PLACE_EGRESS_HOPS:
    case PLACE_EGRESS_ALL:
        return observers_of_site(engine, place->group, place->site) > 1 &&
               (census->sites > 1 || site_has_references(engine, place->site));
    case PLACE_LBNET: /* needs the agent's own view */
        for (uint32_t p = 0; p < engine->path_count; p++)
            if (engine->paths[p].aside && engine->ways[engine->paths[p].way].proven &&
                engine->paths[p].host == engine->model->balancers[place->balancer].host)
                return true;
        return false;
    case PLACE_LB:
    case PLACE_OBSERVER:
    case PLACE_PATH_LB:
    case PLACE_PATH_SERVICE:
    case PLACE_SERVICE:
    case PLACE_KIND_COUNT: break;
    }
    return true;
}

void places_refresh(struct engine *engine)
{
    engine->stale = false;
    for (uint32_t i = 0; i < engine->place_count; i++) engine->places[i].proven_paths = 0;
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *path = &engine->paths[p];
        if (!engine->ways[path->way].proven) continue;
        for (uint32_t i = 0; i < path->cover_count; i++)
            if (path->covers[i].share == SHARE_FULL) engine->places[path->covers[i].place].proven_paths++;
    }
    uint64_t live = 0;
    for (uint32_t g = 0; g < engine->group_count; g++) {
        struct census census = count_group(engine, g);
        for (uint32_t i = 0; i < engine->groups[g].place_count; i++) {
            struct place *place = &engine->places[engine->groups[g].places[i]];
            place->live = is_live(engine, place, &census);
            if (place->live) live += MAGNITUDES * (uint64_t)STREAM_COUNT;
        }
    }
    engine->threshold = log((double)(live > 0 ? live : 1) * FALSE_ALARM_SECONDS);
}

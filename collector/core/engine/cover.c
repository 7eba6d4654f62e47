/* Which hypotheses a path crosses: in full, or by its share of what was spread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/engine/internal.h"
#include "common/check.h"

struct cover_list {
    struct cover items[ENGINE_COVERS_MAX];
    uint32_t count;
};

static void add_cover(
    struct cover_list *list, uint32_t place, enum share share, uint32_t part, bool shallow_ok)
{
    if (place == MODEL_NONE || list->count == ENGINE_COVERS_MAX) return;
    list->items[list->count++] = (struct cover){
        .place = place, .part = (uint16_t)part, .share = (uint8_t)share, .shallow_ok = shallow_ok};
}

/* What lies on the observer's side of any probe: the observer itself and its site's way out. */
static void cover_origin(struct engine *engine, struct cover_list *list, uint32_t group, uint32_t host,
    enum model_entrance entrance)
{
    add_cover(list, place_of_observer(engine, group, host), SHARE_FULL, 1, true);
    uint32_t site = engine->model->hosts[host].site;
    if (site == MODEL_NONE) return;
    bool outside = entrance == ENTRANCE_USERS || entrance == ENTRANCE_REFERENCE;
    if (outside)
        add_cover(list, place_of_egress(engine, group, site, PLACE_EGRESS_USERS), SHARE_FULL, 1, true);
    if (outside || entrance == ENTRANCE_HOP)
        add_cover(list, place_of_egress(engine, group, site, PLACE_EGRESS_HOPS), SHARE_FULL, 1, true);
    add_cover(list, place_of_egress(engine, group, site, PLACE_EGRESS_ALL), SHARE_FULL, 1, true);
}

/* The balancer spreads its load: each backend and zone behind it gets its part of the blame. */
static void cover_spread(struct engine *engine, struct cover_list *list, uint32_t service)
{
    const struct model_service *s = &engine->model->services[service];
    uint32_t group = engine->services[service].group;
    for (uint32_t i = 0; i < s->backend_count; i++) {
        uint32_t b = s->first_backend + i;
        add_cover(list, place_of_backend(engine, b), SHARE_BACKENDS, 1, false);
        uint32_t zone = zone_of_backend(engine, b);
        if (zone == MODEL_NONE) continue;
        uint32_t place = place_of_zone(engine, group, zone);
        uint32_t k = 0;
        while (k < list->count && list->items[k].place != place) k++;
        if (k < list->count)
            list->items[k].part++;
        else
            add_cover(list, place, SHARE_BACKENDS, 1, false);
    }
    if (s->backend_count > 1)
        add_cover(list, place_of_service(engine, service, PLACE_BACKENDS), SHARE_FULL, 1, false);
    if (s->backend_count == 0)
        add_cover(list, place_of_service(engine, service, PLACE_SERVICE), SHARE_FULL, 1, false);
    if (s->hop_count == 0) return;
    uint32_t last = s->hops[s->hop_count - 1];
    if (engine->model->balancers[last].host == MODEL_NONE) return;
    add_cover(list, place_of_lbnet(engine, last, MODEL_NONE), SHARE_FULL, 1, false);
    for (uint32_t i = 0; i < s->backend_count; i++)
        add_cover(list, place_of_lbnet(engine, last, s->first_backend + i), SHARE_BACKENDS, 1, false);
}

static void cover_entry(
    struct engine *engine, struct cover_list *list, const struct path *path, uint32_t entry)
{
    const struct balancer_run *run = &engine->balancers[entry];
    if (path->address != MODEL_NONE)
        add_cover(list, place_of_address(engine, entry, path->address), SHARE_FULL, 1, false);
    else
        for (uint32_t a = 0; a < run->address_count; a++)
            add_cover(list, place_of_address(engine, entry, a), SHARE_ADDRESSES, 1, false);
    if (path->aside) return;
    add_cover(list, place_of_path(engine, run->group, PLACE_PATH_LB, path->host, entry, MODEL_NONE),
        SHARE_FULL, 1, true);
    if (path->address != MODEL_NONE)
        add_cover(list,
            place_of_path(engine, run->group, PLACE_PATH_LB_ADDRESS, path->host, entry, path->address),
            SHARE_FULL, 1, true);
}

static void cover_through(struct engine *engine, struct cover_list *list, const struct path *path)
{
    const struct model_target *target = &engine->model->targets[path->target];
    const struct model_service *s = &engine->model->services[target->service];
    uint32_t group = engine->services[target->service].group;
    if (!path->aside) cover_origin(engine, list, group, path->host, target->entrance);
    uint32_t from = target->entrance == ENTRANCE_HOP ? target->hop : 0;
    if (from < s->hop_count) {
        /* A connect ends at the entry; a page crosses every hop behind it as well. */
        uint32_t until = path->shallow ? from + 1 : s->hop_count;
        for (uint32_t i = from; i < until; i++)
            add_cover(list, place_of_balancer(engine, s->hops[i]), SHARE_FULL, 1, false);
        cover_entry(engine, list, path, s->hops[from]);
    } else if (!path->aside) {
        add_cover(list,
            place_of_path(engine, group, PLACE_PATH_SERVICE, path->host, target->service, MODEL_NONE),
            SHARE_FULL, 1, true);
    }
    if (!path->shallow || s->hop_count == 0) cover_spread(engine, list, target->service);
}

static void cover_direct(struct engine *engine, struct cover_list *list, const struct path *path)
{
    const struct model_target *target = &engine->model->targets[path->target];
    uint32_t group = engine->services[target->service].group;
    uint32_t balancer = MODEL_NONE;
    if (host_is_aside(engine, target->service, path->host, &balancer)) {
        add_cover(list, place_of_lbnet(engine, balancer, MODEL_NONE), SHARE_FULL, 1, true);
        add_cover(list, place_of_lbnet(engine, balancer, target->backend), SHARE_FULL, 1, true);
    } else {
        cover_origin(engine, list, group, path->host, target->entrance);
        add_cover(list,
            place_of_path(engine, group, PLACE_PATH_BACKEND, path->host, target->backend, MODEL_NONE),
            SHARE_FULL, 1, true);
    }
    add_cover(list, place_of_backend(engine, target->backend), SHARE_FULL, 1, false);
    uint32_t zone = zone_of_backend(engine, target->backend);
    if (zone != MODEL_NONE) add_cover(list, place_of_zone(engine, group, zone), SHARE_FULL, 1, false);
    if (engine->model->services[target->service].backend_count > 1)
        add_cover(list, place_of_service(engine, target->service, PLACE_BACKENDS), SHARE_FULL, 1, false);
}

static bool group_has_observer(const struct engine *engine, uint32_t group, uint32_t host)
{
    const struct group *g = &engine->groups[group];
    for (uint32_t i = 0; i < g->service_count; i++)
        if (service_observes(&engine->model->services[g->services[i]], host)) return true;
    return false;
}

void places_cover(struct engine *engine, uint32_t index)
{
    struct path *path = &engine->paths[index];
    const struct model_target *target = &engine->model->targets[path->target];
    struct cover_list *list = check_alloc(sizeof *list);
    switch (target->entrance) {
    case ENTRANCE_USERS:
    case ENTRANCE_HOP: cover_through(engine, list, path); break;
    case ENTRANCE_BACKEND:
    case ENTRANCE_HEALTH: cover_direct(engine, list, path); break;
    case ENTRANCE_REFERENCE:
        for (uint32_t g = 0; g < engine->group_count; g++)
            if (group_has_observer(engine, g, path->host))
                cover_origin(engine, list, g, path->host, ENTRANCE_REFERENCE);
        break;
    case ENTRANCE_STATS:
    case ENTRANCE_COUNT: break;
    }
    free(path->covers);
    path->covers = check_alloc_array(list->count + 1, sizeof *path->covers);
    memcpy(path->covers, list->items, list->count * sizeof *path->covers);
    path->cover_count = list->count;
    free(list);
    engine->stale = true;
}

uint32_t places_add_address(struct engine *engine, uint32_t balancer, const char *address)
{
    struct balancer_run *run = &engine->balancers[balancer];
    if (run->group == MODEL_NONE || address[0] == '\0' || strlen(address) >= ADDRESS_SIZE) return MODEL_NONE;
    for (uint32_t i = 0; i < run->address_count; i++)
        if (strcmp(run->addresses[i], address) == 0) return i;
    if (run->address_count == ENGINE_ADDRESSES_MAX) {
        engine->dropped++;
        return MODEL_NONE;
    }
    uint32_t index = run->address_count++;
    snprintf(run->addresses[index], ADDRESS_SIZE, "%s", address);
    /* Probes whose address is not known may have gone there: what they cover has changed. */
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct model_target *target = &engine->model->targets[engine->paths[p].target];
        if (target->service != MODEL_NONE && engine->services[target->service].group == run->group &&
            (target->entrance == ENTRANCE_USERS || target->entrance == ENTRANCE_HOP))
            places_cover(engine, p);
    }
    return index;
}

double cover_share(const struct engine *engine, const struct path *path, const struct cover *cover)
{
    if (cover->share == SHARE_FULL) return 1;
    uint32_t whole = 1;
    if (cover->share == SHARE_BACKENDS)
        whole = engine->services[engine->model->targets[path->target].service].active;
    else
        whole = engine->balancers[engine->places[cover->place].balancer].address_count;
    if (whole <= cover->part) return 1;
    return (double)cover->part / whole;
}

bool place_covers_path(const struct engine *engine, uint32_t place, uint32_t path)
{
    const struct path *p = &engine->paths[path];
    for (uint32_t i = 0; i < p->cover_count; i++)
        if (p->covers[i].place == place) return p->covers[i].share == SHARE_FULL;
    return false;
}

bool place_contains(const struct engine *engine, uint32_t outer, uint32_t inner)
{
    uint32_t both = 0, only_inner = 0;
    for (uint32_t p = 0; p < engine->path_count; p++) {
        if (engine->paths[p].shallow || !engine->ways[engine->paths[p].way].proven) continue;
        if (!place_covers_path(engine, inner, p)) continue;
        if (place_covers_path(engine, outer, p))
            both++;
        else
            only_inner++;
    }
    return both > 0 && only_inner * 9 <= both;
}

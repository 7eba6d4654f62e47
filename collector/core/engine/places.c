#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/engine/internal.h"
#include "common/check.h"

const double magnitudes[MAGNITUDES] = {.03, .10, .35, .90};

const struct place_info place_infos[PLACE_KIND_COUNT] = {
    [PLACE_LB] = {"lb", COMPONENT_LB, 0},
    [PLACE_LB_ADDRESS] = {"lb-address", COMPONENT_LB, 0},
    [PLACE_LBNET] = {"lbnet", COMPONENT_LB, 0},
    [PLACE_LBNET_BACKEND] = {"lbnet-backend", COMPONENT_LB, 0},
    [PLACE_OBSERVER] = {"observer", COMPONENT_OBSERVER, 0},
    [PLACE_BACKEND] = {"backend", COMPONENT_BACKEND, 0},
    [PLACE_BACKENDS] = {"backends", COMPONENT_BACKENDS, 0},
    [PLACE_ZONE] = {"zone", COMPONENT_ZONE, 0},
    [PLACE_EGRESS_USERS] = {"egress-users", COMPONENT_EGRESS, 0},
    [PLACE_EGRESS_HOPS] = {"egress-hops", COMPONENT_EGRESS, 0},
    [PLACE_EGRESS_ALL] = {"egress-all", COMPONENT_EGRESS, 0},
    [PLACE_PATH_LB] = {"path", COMPONENT_PATH, PENALTY_PATH},
    [PLACE_PATH_LB_ADDRESS] = {"path-address", COMPONENT_PATH, PENALTY_PATH},
    [PLACE_PATH_BACKEND] = {"path-backend", COMPONENT_PATH, PENALTY_PATH},
    [PLACE_PATH_SERVICE] = {"path-service", COMPONENT_PATH, PENALTY_PATH},
    [PLACE_SERVICE] = {"service", COMPONENT_SERVICE, 0},
};

static const enum component component_of_kind[] = {
    [SERVICE_WEB] = COMPONENT_SERVICE,
    [SERVICE_DB] = COMPONENT_DB,
    [SERVICE_SEARCH] = COMPONENT_SEARCH,
    [SERVICE_CACHE] = COMPONENT_CACHE,
};

bool service_observes(const struct model_service *service, uint32_t host)
{
    for (uint32_t i = 0; i < service->observer_count; i++)
        if (service->observers[i] == host) return true;
    return false;
}

bool host_is_aside(const struct engine *engine, uint32_t service, uint32_t host, uint32_t *balancer)
{
    const struct model *model = engine->model;
    if (service == MODEL_NONE || service_observes(&model->services[service], host)) return false;
    const struct model_service *s = &model->services[service];
    for (uint32_t i = s->hop_count; i-- > 0;)
        if (model->balancers[s->hops[i]].host == host) {
            if (balancer != NULL) *balancer = s->hops[i];
            return true;
        }
    return false;
}

/* ---- groups: services joined by the balancers they share ---- */

static uint32_t root_of(uint32_t *parent, uint32_t i)
{
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}

static void build_groups(struct engine *engine)
{
    const struct model *model = engine->model;
    uint32_t *parent = check_alloc_array(model->service_count + 1, sizeof *parent);
    uint32_t *first = check_alloc_array(model->balancer_count + 1, sizeof *first);
    for (uint32_t b = 0; b < model->balancer_count; b++) first[b] = MODEL_NONE;
    for (uint32_t s = 0; s < model->service_count; s++) parent[s] = s;
    for (uint32_t s = 0; s < model->service_count; s++)
        for (uint32_t i = 0; i < model->services[s].hop_count; i++) {
            uint32_t b = model->services[s].hops[i];
            if (first[b] == MODEL_NONE) first[b] = s;
            parent[root_of(parent, s)] = root_of(parent, first[b]);
        }
    engine->groups = check_alloc_array(model->service_count + 1, sizeof *engine->groups);
    uint32_t *group_of_root = check_alloc_array(model->service_count + 1, sizeof *group_of_root);
    for (uint32_t s = 0; s < model->service_count; s++) group_of_root[s] = MODEL_NONE;
    for (uint32_t s = 0; s < model->service_count; s++) {
        uint32_t root = root_of(parent, s);
        if (group_of_root[root] == MODEL_NONE) group_of_root[root] = engine->group_count++;
        struct group *group = &engine->groups[group_of_root[root]];
        group->services =
            check_realloc_array(group->services, group->service_count + 1, sizeof *group->services);
        group->services[group->service_count++] = s;
        engine->services[s].group = group_of_root[root];
        for (uint32_t i = 0; i < model->services[s].hop_count; i++)
            engine->balancers[model->services[s].hops[i]].group = group_of_root[root];
    }
    free(group_of_root);
    free(parent);
    free(first);
}

/* ---- places ---- */

static uint32_t add_place(
    struct engine *engine, uint32_t group, enum place_kind kind, const char *component, const char *detail)
{
    if (engine->place_count == ENGINE_PLACES_MAX) {
        engine->dropped++;
        return MODEL_NONE;
    }
    if (engine->place_count == engine->place_room) {
        engine->place_room = engine->place_room > 0 ? engine->place_room * 2 : 64;
        engine->places = check_realloc_array(engine->places, engine->place_room, sizeof *engine->places);
    }
    uint32_t index = engine->place_count++;
    struct place *place = &engine->places[index];
    memset(place, 0, sizeof *place);
    place->kind = kind;
    place->group = group;
    place->balancer = place->host = place->backend = place->service = MODEL_NONE;
    place->zone = place->site = place->address = MODEL_NONE;
    snprintf(place->component, sizeof place->component, "%s", component);
    snprintf(place->key, sizeof place->key, "%s|%s|%s", place_infos[kind].word, component, detail);
    struct group *g = &engine->groups[group];
    for (int layer = 0; layer < LAYER_COUNT; layer++)
        for (int stream = 0; stream < STREAM_COUNT; stream++)
            place->sums[layer][stream].debt = g->debt[layer][stream];
    g->places = check_realloc_array(g->places, g->place_count + 1, sizeof *g->places);
    g->places[g->place_count++] = index;
    return index;
}

static uint32_t find_place(
    const struct engine *engine, uint32_t group, enum place_kind kind, const struct place *like)
{
    const struct group *g = &engine->groups[group];
    for (uint32_t i = 0; i < g->place_count; i++) {
        const struct place *p = &engine->places[g->places[i]];
        if (p->kind == kind && p->balancer == like->balancer && p->host == like->host &&
            p->backend == like->backend && p->service == like->service && p->zone == like->zone &&
            p->site == like->site && p->address == like->address)
            return g->places[i];
    }
    return MODEL_NONE;
}

#define NOWHERE                                                                                              \
    .balancer = MODEL_NONE, .host = MODEL_NONE, .backend = MODEL_NONE, .service = MODEL_NONE,                \
    .zone = MODEL_NONE, .site = MODEL_NONE, .address = MODEL_NONE

static uint32_t obtain_place(struct engine *engine, uint32_t group, enum place_kind kind,
    const struct place *like, const char *component, const char *detail)
{
    uint32_t index = find_place(engine, group, kind, like);
    if (index != MODEL_NONE) return index;
    index = add_place(engine, group, kind, component, detail);
    if (index == MODEL_NONE) return index;
    struct place *place = &engine->places[index];
    place->balancer = like->balancer;
    place->host = like->host;
    place->backend = like->backend;
    place->service = like->service;
    place->zone = like->zone;
    place->site = like->site;
    place->address = like->address;
    engine->stale = true;
    return index;
}

/* Every kind of place by what identifies it; made when first asked for. */
static uint32_t place_of_balancer(struct engine *engine, uint32_t balancer)
{
    char component[INCIDENT_COMPONENT_SIZE];
    snprintf(component, sizeof component, "lb:%s", engine->model->balancers[balancer].name);
    struct place like = {NOWHERE};
    like.balancer = balancer;
    return obtain_place(engine, engine->balancers[balancer].group, PLACE_LB, &like, component, "");
}

static uint32_t place_of_address(struct engine *engine, uint32_t balancer, uint32_t address)
{
    char component[INCIDENT_COMPONENT_SIZE];
    snprintf(component, sizeof component, "lb:%s", engine->model->balancers[balancer].name);
    struct place like = {NOWHERE};
    like.balancer = balancer;
    like.address = address;
    return obtain_place(engine, engine->balancers[balancer].group, PLACE_LB_ADDRESS, &like, component,
        engine->balancers[balancer].addresses[address]);
}

static uint32_t place_of_lbnet(struct engine *engine, uint32_t balancer, uint32_t backend)
{
    const struct model *model = engine->model;
    char component[INCIDENT_COMPONENT_SIZE], detail[160] = "";
    snprintf(component, sizeof component, "lb:%s", model->balancers[balancer].name);
    struct place like = {NOWHERE};
    like.balancer = balancer;
    like.backend = backend;
    if (backend != MODEL_NONE)
        snprintf(detail, sizeof detail, "%s/%s", model->services[model->backends[backend].service].name,
            model->backends[backend].name);
    return obtain_place(engine, engine->balancers[balancer].group,
        backend == MODEL_NONE ? PLACE_LBNET : PLACE_LBNET_BACKEND, &like, component, detail);
}

static uint32_t place_of_observer(struct engine *engine, uint32_t group, uint32_t host)
{
    char component[INCIDENT_COMPONENT_SIZE];
    snprintf(component, sizeof component, "observer:%s", engine->model->hosts[host].name);
    struct place like = {NOWHERE};
    like.host = host;
    return obtain_place(engine, group, PLACE_OBSERVER, &like, component, "");
}

static uint32_t place_of_egress(struct engine *engine, uint32_t group, uint32_t site, enum place_kind kind)
{
    char component[INCIDENT_COMPONENT_SIZE];
    snprintf(component, sizeof component, "egress:%s", engine->model->sites[site].name);
    struct place like = {NOWHERE};
    like.site = site;
    return obtain_place(engine, group, kind, &like, component, "");
}

static uint32_t place_of_backend(struct engine *engine, uint32_t backend)
{
    const struct model_backend *b = &engine->model->backends[backend];
    char component[INCIDENT_COMPONENT_SIZE];
    snprintf(component, sizeof component, "backend:%s/%s", engine->model->services[b->service].name, b->name);
    struct place like = {NOWHERE};
    like.backend = backend;
    return obtain_place(engine, engine->services[b->service].group, PLACE_BACKEND, &like, component, "");
}

static uint32_t place_of_service(struct engine *engine, uint32_t service, enum place_kind kind)
{
    const struct model_service *s = &engine->model->services[service];
    char component[INCIDENT_COMPONENT_SIZE];
    enum component word = kind == PLACE_BACKENDS ? COMPONENT_BACKENDS : component_of_kind[s->kind];
    snprintf(component, sizeof component, "%s:%s", component_word(word), s->name);
    struct place like = {NOWHERE};
    like.service = service;
    return obtain_place(engine, engine->services[service].group, kind, &like, component, "");
}

static uint32_t place_of_zone(struct engine *engine, uint32_t group, uint32_t zone)
{
    char component[INCIDENT_COMPONENT_SIZE];
    snprintf(component, sizeof component, "zone:%s", engine->model->zones[zone].name);
    struct place like = {NOWHERE};
    like.zone = zone;
    return obtain_place(engine, group, PLACE_ZONE, &like, component, "");
}

static uint32_t place_of_path(struct engine *engine, uint32_t group, enum place_kind kind, uint32_t host,
    uint32_t thing, uint32_t address)
{
    const struct model *model = engine->model;
    struct place like = {NOWHERE};
    like.host = host;
    like.address = address;
    const char *name = "";
    const char *detail = "";
    if (kind == PLACE_PATH_BACKEND) {
        like.backend = thing;
        name = model->backends[thing].name;
        detail = model->services[model->backends[thing].service].name;
    } else if (kind == PLACE_PATH_SERVICE) {
        like.service = thing;
        name = model->services[thing].name;
    } else {
        like.balancer = thing;
        name = model->balancers[thing].name;
        if (kind == PLACE_PATH_LB_ADDRESS) detail = engine->balancers[thing].addresses[address];
    }
    char component[INCIDENT_COMPONENT_SIZE];
    snprintf(component, sizeof component, "path:%s/%s", model->hosts[host].name, name);
    return obtain_place(engine, group, kind, &like, component, detail);
}

void places_build(struct engine *engine)
{
    build_groups(engine);
    const struct model *model = engine->model;
    for (uint32_t b = 0; b < model->balancer_count; b++)
        if (engine->balancers[b].group != MODEL_NONE) place_of_balancer(engine, b);
    for (uint32_t s = 0; s < model->service_count; s++)
        if (model->services[s].backend_count > 1) place_of_service(engine, s, PLACE_BACKENDS);
    for (uint32_t b = 0; b < model->backend_count; b++) place_of_backend(engine, b);
    engine->stale = true;
}

uint32_t places_find(const struct engine *engine, const char *key)
{
    for (uint32_t i = 0; i < engine->place_count; i++)
        if (strcmp(engine->places[i].key, key) == 0) return i;
    return MODEL_NONE;
}

bool place_same_component(const struct engine *engine, uint32_t a, uint32_t b)
{
    return strcmp(engine->places[a].component, engine->places[b].component) == 0;
}

void places_set_open(struct engine *engine, const char *component, bool open, int q)
{
    for (uint32_t i = 0; i < engine->place_count; i++)
        if (strcmp(engine->places[i].component, component) == 0) {
            engine->places[i].open = open;
            engine->places[i].open_q = q;
        }
}

/* ---- what a path covers ---- */

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

static uint32_t zone_of_backend(const struct engine *engine, uint32_t backend)
{
    const struct model_backend *b = &engine->model->backends[backend];
    if (b->zone != MODEL_NONE) return b->zone;
    return b->host != MODEL_NONE ? engine->model->hosts[b->host].zone : MODEL_NONE;
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

/* ---- which places may be blamed ---- */

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

/* The hypotheses: which there are, what identifies each, which services are judged together. */
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

uint32_t zone_of_backend(const struct engine *engine, uint32_t backend)
{
    const struct model_backend *b = &engine->model->backends[backend];
    if (b->zone != MODEL_NONE) return b->zone;
    return b->host != MODEL_NONE ? engine->model->hosts[b->host].zone : MODEL_NONE;
}

/* Every kind of place by what identifies it; made when first asked for. */
uint32_t place_of_balancer(struct engine *engine, uint32_t balancer)
{
    char component[INCIDENT_COMPONENT_SIZE];
    snprintf(component, sizeof component, "lb:%s", engine->model->balancers[balancer].name);
    struct place like = {NOWHERE};
    like.balancer = balancer;
    return obtain_place(engine, engine->balancers[balancer].group, PLACE_LB, &like, component, "");
}

uint32_t place_of_address(struct engine *engine, uint32_t balancer, uint32_t address)
{
    char component[INCIDENT_COMPONENT_SIZE];
    snprintf(component, sizeof component, "lb:%s", engine->model->balancers[balancer].name);
    struct place like = {NOWHERE};
    like.balancer = balancer;
    like.address = address;
    return obtain_place(engine, engine->balancers[balancer].group, PLACE_LB_ADDRESS, &like, component,
        engine->balancers[balancer].addresses[address]);
}

uint32_t place_of_lbnet(struct engine *engine, uint32_t balancer, uint32_t backend)
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

uint32_t place_of_observer(struct engine *engine, uint32_t group, uint32_t host)
{
    char component[INCIDENT_COMPONENT_SIZE];
    snprintf(component, sizeof component, "observer:%s", engine->model->hosts[host].name);
    struct place like = {NOWHERE};
    like.host = host;
    return obtain_place(engine, group, PLACE_OBSERVER, &like, component, "");
}

uint32_t place_of_egress(struct engine *engine, uint32_t group, uint32_t site, enum place_kind kind)
{
    char component[INCIDENT_COMPONENT_SIZE];
    snprintf(component, sizeof component, "egress:%s", engine->model->sites[site].name);
    struct place like = {NOWHERE};
    like.site = site;
    return obtain_place(engine, group, kind, &like, component, "");
}

uint32_t place_of_backend(struct engine *engine, uint32_t backend)
{
    const struct model_backend *b = &engine->model->backends[backend];
    char component[INCIDENT_COMPONENT_SIZE];
    snprintf(component, sizeof component, "backend:%s/%s", engine->model->services[b->service].name, b->name);
    struct place like = {NOWHERE};
    like.backend = backend;
    return obtain_place(engine, engine->services[b->service].group, PLACE_BACKEND, &like, component, "");
}

uint32_t place_of_service(struct engine *engine, uint32_t service, enum place_kind kind)
{
    const struct model_service *s = &engine->model->services[service];
    char component[INCIDENT_COMPONENT_SIZE];
    enum component word = kind == PLACE_BACKENDS ? COMPONENT_BACKENDS : component_of_kind[s->kind];
    snprintf(component, sizeof component, "%s:%s", component_word(word), s->name);
    struct place like = {NOWHERE};
    like.service = service;
    return obtain_place(engine, engine->services[service].group, kind, &like, component, "");
}

uint32_t place_of_zone(struct engine *engine, uint32_t group, uint32_t zone)
{
    char component[INCIDENT_COMPONENT_SIZE];
    snprintf(component, sizeof component, "zone:%s", engine->model->zones[zone].name);
    struct place like = {NOWHERE};
    like.zone = zone;
    return obtain_place(engine, group, PLACE_ZONE, &like, component, "");
}

uint32_t place_of_path(struct engine *engine, uint32_t group, enum place_kind kind, uint32_t host,
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

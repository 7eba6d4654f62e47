#include "tests/support/site_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

#define MOST 512

struct service_more {
    uint32_t hops[8], depends[8];
    bool no_health;
};

struct site_builder {
    struct model model;
    struct service_more more[MOST];
    const char *addresses[MOST][SITE_ADDRESSES_MAX];
    uint32_t address_count[MOST];
    const char *references[MOST];
    uint32_t reference_site[MOST], reference_count;
    char names[64][32]; /* of builder_simple */
    uint32_t name_count;
    uint32_t target_room;
    bool pages_only;
    uint32_t through_ms; /* 0: each second like everything else */
};

struct site_builder *builder_new(void)
{
    struct site_builder *site = check_alloc(sizeof *site);
    struct model *m = &site->model;
    m->letter = 'A';
    m->sites = check_alloc_array(MOST, sizeof *m->sites);
    m->zones = check_alloc_array(MOST, sizeof *m->zones);
    m->hosts = check_alloc_array(MOST * 4, sizeof *m->hosts);
    m->balancers = check_alloc_array(MOST, sizeof *m->balancers);
    m->backends = check_alloc_array(MOST * 4, sizeof *m->backends);
    m->services = check_alloc_array(MOST, sizeof *m->services);
    return site;
}

void builder_free(struct site_builder *site)
{
    if (site == NULL) return;
    free(site->model.sites);
    free(site->model.zones);
    free(site->model.hosts);
    free(site->model.balancers);
    free(site->model.backends);
    free(site->model.services);
    free(site->model.targets);
    free(site);
}

uint32_t builder_add_site(struct site_builder *site, const char *name, const char *provider)
{
    CHECK(site->model.site_count < MOST);
    site->model.sites[site->model.site_count] = (struct model_site){.name = name, .provider = provider};
    return site->model.site_count++;
}

void builder_add_reference(struct site_builder *site, uint32_t where, const char *url)
{
    site->references[site->reference_count] = url;
    site->reference_site[site->reference_count++] = where;
}

uint32_t builder_add_zone(struct site_builder *site, const char *name)
{
    site->model.zones[site->model.zone_count].name = name;
    return site->model.zone_count++;
}

uint32_t builder_add_host(struct site_builder *site, const char *name, uint32_t where, uint32_t zone)
{
    CHECK(site->model.host_count < MOST * 4);
    site->model.hosts[site->model.host_count] =
        (struct model_host){.name = name, .site = where, .zone = zone};
    return site->model.host_count++;
}

uint32_t builder_add_balancer(struct site_builder *site, const char *name, uint32_t host)
{
    CHECK(site->model.balancer_count < MOST);
    site->model.balancers[site->model.balancer_count] = (struct model_balancer){.name = name, .host = host};
    return site->model.balancer_count++;
}

void builder_add_address(struct site_builder *site, uint32_t balancer, const char *address)
{
    CHECK(site->address_count[balancer] < SITE_ADDRESSES_MAX);
    site->addresses[balancer][site->address_count[balancer]++] = address;
}

uint32_t builder_add_service(struct site_builder *site, const char *name, enum service_kind kind)
{
    CHECK(site->model.service_count < MOST);
    uint32_t s = site->model.service_count++;
    site->model.services[s] = (struct model_service){.name = name,
        .kind = kind,
        .hops = site->more[s].hops,
        .depends_on = site->more[s].depends,
        .first_backend = site->model.backend_count};
    return s;
}

void builder_add_hop(struct site_builder *site, uint32_t service, uint32_t balancer)
{
    struct model_service *s = &site->model.services[service];
    s->hops[s->hop_count++] = balancer;
}

uint32_t builder_add_backend(
    struct site_builder *site, uint32_t service, const char *name, uint32_t host, uint32_t zone)
{
    CHECK(site->model.backend_count < MOST * 4);
    uint32_t b = site->model.backend_count++;
    site->model.backends[b] = (struct model_backend){
        .name = name, .service = service, .host = host, .zone = zone, .state = BACKEND_NORMAL};
    struct model_service *s = &site->model.services[service];
    s->backend_count++;
    s->capacity_needed = s->backend_count > 1 ? s->backend_count - 1 : 1;
    return b;
}

void builder_add_observer(struct site_builder *site, uint32_t service, uint32_t host)
{
    struct model_service *s = &site->model.services[service];
    CHECK(s->observer_count < MODEL_OBSERVERS_MAX);
    s->observers[s->observer_count++] = host;
}

void builder_depends(struct site_builder *site, uint32_t service, uint32_t on)
{
    struct model_service *s = &site->model.services[service];
    s->depends_on[s->depends_count++] = on;
}

void builder_needs(struct site_builder *site, uint32_t service, uint32_t capacity)
{
    site->model.services[service].capacity_needed = capacity;
}

void builder_without_health(struct site_builder *site, uint32_t service)
{
    site->more[service].no_health = true;
}

void builder_through_every(struct site_builder *site, uint32_t interval_ms)
{
    site->through_ms = interval_ms;
}

void builder_pages_only(struct site_builder *site)
{
    site->pages_only = true;
}

/* ---- targets ---- */

static struct model_target *add_target(struct site_builder *site, uint32_t service,
    enum model_entrance entrance, enum probe_kind probe, const char *name)
{
    struct model *m = &site->model;
    if (m->target_count == site->target_room) {
        site->target_room = site->target_room > 0 ? site->target_room * 2 : 64;
        m->targets = check_realloc_array(m->targets, site->target_room, sizeof *m->targets);
    }
    struct model_target *t = &m->targets[m->target_count];
    memset(t, 0, sizeof *t);
    t->key = ++m->target_count;
    t->service = service;
    t->entrance = entrance;
    t->probe = probe;
    t->balancer = t->backend = t->site = MODEL_NONE;
    t->name = name;
    t->address = "";
    t->wire.key = t->key;
    t->wire.probe = probe;
    t->wire.interval_ms = 1000;
    t->wire.late_after_ms = t->wire.timeout_ms = 2000;
    if (service == MODEL_NONE) return t;
    const struct model_service *s = &m->services[service];
    t->observer_count = s->observer_count;
    memcpy(t->observers, s->observers, sizeof s->observers);
    return t;
}

/* The agent on a balancer's host joins what that balancer does. */
static void add_aside(struct site_builder *site, struct model_target *target)
{
    const struct model_service *s = &site->model.services[target->service];
    if (s->hop_count == 0) return;
    uint32_t host = site->model.balancers[s->hops[s->hop_count - 1]].host;
    for (uint32_t i = 0; i < s->observer_count; i++)
        if (s->observers[i] == host) return;
    if (host != MODEL_NONE) target->observers[target->observer_count++] = host;
}

static void add_hop_targets(struct site_builder *site, uint32_t service, uint32_t i, const char *address)
{
    const struct model_service *s = &site->model.services[service];
    static const enum probe_kind kinds[] = {PROBE_HTTP, PROBE_TCP};
    for (size_t k = 0; k < ARRAY_COUNT(kinds); k++) {
        struct model_target *t =
            add_target(site, service, ENTRANCE_HOP, kinds[k], site->model.balancers[s->hops[i]].name);
        t->balancer = s->hops[i];
        t->hop = i;
        t->address = address;
        if (kinds[k] == PROBE_HTTP && site->through_ms > 0) t->wire.interval_ms = site->through_ms;
    }
}

static void add_service_targets(struct site_builder *site, uint32_t service)
{
    const struct model_service *s = &site->model.services[service];
    struct model_target *users = add_target(site, service, ENTRANCE_USERS, PROBE_HTTP, s->name);
    if (site->through_ms > 0) {
        users->wire.interval_ms = site->through_ms;
        add_target(site, service, ENTRANCE_USERS, PROBE_TCP, s->name);
    }
    for (uint32_t i = 0; i < s->hop_count && !site->pages_only; i++) {
        uint32_t b = s->hops[i];
        if (site->address_count[b] == 0) add_hop_targets(site, service, i, "");
        for (uint32_t a = 0; a < site->address_count[b]; a++)
            add_hop_targets(site, service, i, site->addresses[b][a]);
    }
    for (uint32_t i = 0; i < s->backend_count; i++) {
        static const struct {
            enum model_entrance entrance;
            enum probe_kind probe;
        } kinds[] = {
            {ENTRANCE_BACKEND, PROBE_HTTP}, {ENTRANCE_BACKEND, PROBE_TCP}, {ENTRANCE_HEALTH, PROBE_HTTP}};
        for (size_t k = 0; k < ARRAY_COUNT(kinds); k++) {
            if (kinds[k].entrance == ENTRANCE_HEALTH && site->more[service].no_health) continue;
            if (k > 0 && site->pages_only) continue;
            uint32_t b = s->first_backend + i;
            struct model_target *t =
                add_target(site, service, kinds[k].entrance, kinds[k].probe, site->model.backends[b].name);
            t->backend = b;
            add_aside(site, t);
        }
    }
}

struct model *builder_model(struct site_builder *site)
{
    for (uint32_t s = 0; s < site->model.service_count; s++) add_service_targets(site, s);
    for (uint32_t r = 0; r < site->reference_count; r++) {
        struct model_target *t =
            add_target(site, MODEL_NONE, ENTRANCE_REFERENCE, PROBE_HTTP, site->references[r]);
        t->site = site->reference_site[r];
        t->wire.interval_ms = 2000; /* as a plan asks other people's sites */
        for (uint32_t h = 0; h < site->model.host_count && t->observer_count < MODEL_OBSERVERS_MAX; h++)
            if (site->model.hosts[h].site == t->site) t->observers[t->observer_count++] = h;
    }
    return &site->model;
}

const char *const *builder_addresses(const struct site_builder *site, uint32_t balancer, uint32_t *count)
{
    *count = site->address_count[balancer];
    return site->addresses[balancer];
}

uint32_t builder_target(const struct model *model, uint32_t service, enum model_entrance entrance,
    uint32_t thing, enum probe_kind probe)
{
    for (uint32_t t = 0; t < model->target_count; t++) {
        const struct model_target *target = &model->targets[t];
        if (target->service != service || target->entrance != entrance || target->probe != probe) continue;
        if (entrance == ENTRANCE_HOP && target->balancer != thing) continue;
        if ((entrance == ENTRANCE_BACKEND || entrance == ENTRANCE_HEALTH) && target->backend != thing)
            continue;
        return t;
    }
    return MODEL_NONE;
}

static const char *numbered(struct site_builder *site, const char *word, uint32_t number)
{
    char *name = site->names[site->name_count++];
    snprintf(name, sizeof site->names[0], "%s%u", word, number);
    return name;
}

struct site_builder *builder_simple(uint32_t observers, uint32_t backends, bool agent_on_balancer)
{
    static const char *const names[MODEL_OBSERVERS_MAX] = {"mon", "social", "beta", "ops", "far"};
    struct site_builder *site = builder_new();
    uint32_t east = builder_add_site(site, "east", "");
    uint32_t lb_host = MODEL_NONE;
    for (uint32_t i = 0; i < observers; i++) builder_add_host(site, names[i], east, MODEL_NONE);
    if (agent_on_balancer) lb_host = builder_add_host(site, "lb1", east, MODEL_NONE);
    uint32_t lb = builder_add_balancer(site, "lb-www", lb_host);
    uint32_t www = builder_add_service(site, "www", SERVICE_WEB);
    builder_add_hop(site, www, lb);
    for (uint32_t b = 0; b < backends; b++)
        builder_add_backend(site, www, numbered(site, "app", b + 1), MODEL_NONE, MODEL_NONE);
    for (uint32_t i = 0; i < observers; i++) builder_add_observer(site, www, i);
    return site;
}

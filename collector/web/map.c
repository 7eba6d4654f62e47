#include "collector/web/map.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "collector/contract/incident.h"
#include "common/check.h"

struct map {
    const struct config *config;
    const json_t *status;
    json_t *nodes, *edges;
};

static const char *service_prefix(enum service_kind kind)
{
    static const enum component components[] = {[SERVICE_WEB] = COMPONENT_SERVICE,
        [SERVICE_DB] = COMPONENT_DB,
        [SERVICE_SEARCH] = COMPONENT_SEARCH,
        [SERVICE_CACHE] = COMPONENT_CACHE};
    return component_word(components[kind]);
}

static void name_service(const struct config_service *service, char out[static INCIDENT_COMPONENT_SIZE])
{
    snprintf(out, INCIDENT_COMPONENT_SIZE, "%s:%s", service_prefix(service->kind), service->name);
}

static const char *find_word(const json_t *rows, const char *key, const char *value, const char *want)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        const char *got = json_string_value(json_object_get(row, key));
        if (got != NULL && strcmp(got, value) == 0) return json_string_value(json_object_get(row, want));
    }
    return NULL;
}

/* What the open incidents say of a component; NULL: nothing. */
static const char *incident_state_of(const json_t *incidents, const char *id)
{
    const char *mode = find_word(incidents, "component", id, "mode");
    if (mode != NULL) return mode;
    size_t i;
    json_t *incident;
    json_array_foreach(incidents, i,
        incident) if (find_word(json_object_get(incident, "symptoms"), "component", id, "component") !=
                      NULL) return "affected";
    return NULL;
}

/* Whether anything is heard that could tell of this: no host reports, or all paths to it are silent. */
static bool is_known(const json_t *status, const char *id)
{
    size_t i, k, paths = 0, silent = 0;
    json_t *service, *path;
    const json_t *hosts = json_object_get(status, "hosts");
    if (status == NULL) return false;
    if (json_array_size(hosts) > 0 && find_word(hosts, "state", "reporting", "name") == NULL) return false;
    const char *slash = strchr(id, '/'), *colon = strchr(id, ':');
    const char *name = slash != NULL ? slash + 1 : colon != NULL ? colon + 1 : id;
    json_array_foreach(json_object_get(status, "services"), i, service)
        json_array_foreach(json_object_get(service, "paths"), k, path)
    {
        const char *target = json_string_value(json_object_get(path, "target"));
        const char *state = json_string_value(json_object_get(path, "state"));
        if (target == NULL || state == NULL || strcmp(target, name) != 0) continue;
        paths++;
        silent += strcmp(state, "silent") == 0;
    }
    return paths == 0 || silent < paths;
}

/* `section` and `name`: where engine_status speaks of it, NULL nowhere. */
static json_t *add_node(
    struct map *map, const char *id, const char *kind, const char *section, const char *name)
{
    const char *state = incident_state_of(json_object_get(map->status, "incidents"), id);
    if (state == NULL && section != NULL)
        state = find_word(json_object_get(map->status, section), "name", name,
            strcmp(section, "hosts") == 0 ? "state" : "verdict");
    if (state == NULL) state = is_known(map->status, id) ? "no incident" : "unknown";
    json_t *node = json_pack(
        "{s:s, s:s, s:s, s:[], s:[]}", "id", id, "kind", kind, "state", state, "measured", "missing");
    json_array_append_new(map->nodes, node);
    return node;
}

static void note(json_t *node, const char *list, const char *text)
{
    json_array_append_new(json_object_get(node, list), json_string(text));
}

static void add_edge(struct map *map, const char *from, const char *to, const char *kind)
{
    json_array_append_new(map->edges, json_pack("{s:s, s:s, s:s}", "from", from, "to", to, "kind", kind));
}

static void add_balancers(struct map *map)
{
    const struct config *config = map->config;
    for (size_t i = 0; i < config->balancer_count; i++) {
        const struct config_balancer *balancer = &config->balancers[i];
        char id[INCIDENT_COMPONENT_SIZE], host[INCIDENT_COMPONENT_SIZE];
        snprintf(id, sizeof id, "lb:%s", balancer->name);
        json_t *node = add_node(map, id, "lb", NULL, NULL);
        note(node, "measured", "each address, past it to the backends");
        if (balancer->stats[0] != '\0')
            note(node, "measured", "what it says of its servers");
        else
            note(node, "missing", "stats: what it says of its servers");
        if (balancer->host == CONFIG_NONE) {
            note(node, "missing", "host: an agent on it sees which servers it reaches, and soonest");
            continue;
        }
        snprintf(host, sizeof host, "host:%s", config->hosts[balancer->host].name);
        add_edge(map, id, host, "on");
    }
}

static void add_backends(struct map *map, const struct config_service *service, const char *above)
{
    for (size_t i = 0; i < service->backend_count; i++) {
        const struct config_backend *backend = &service->backends[i];
        char id[INCIDENT_COMPONENT_SIZE], host[INCIDENT_COMPONENT_SIZE], other[INCIDENT_COMPONENT_SIZE];
        snprintf(id, sizeof id, "backend:%s/%s", service->name, backend->name);
        json_t *node = add_node(map, id, "backend", NULL, NULL);
        add_edge(map, above, id, "balances");
        note(node, "measured", "the page, asked directly");
        if (service->health[0] != '\0')
            note(node, "measured", "health");
        else
            note(node, "missing", "health: tells drains, and causes behind the application");
        for (size_t k = 0; k < service->depends_count; k++) {
            name_service(&map->config->services[service->depends_on[k]], other);
            add_edge(map, id, other, "depends");
        }
        if (backend->host == CONFIG_NONE) {
            note(node, "missing", "host: its disks, load and memory");
            continue;
        }
        snprintf(host, sizeof host, "host:%s", map->config->hosts[backend->host].name);
        add_edge(map, id, host, "on");
    }
}

static void add_service(struct map *map, const struct config_service *service)
{
    char id[INCIDENT_COMPONENT_SIZE], above[INCIDENT_COMPONENT_SIZE], other[INCIDENT_COMPONENT_SIZE];
    name_service(service, id);
    json_t *node = add_node(map, id, service_prefix(service->kind), "services", service->name);
    if (service->url[0] != '\0')
        note(node, "measured", "as users come");
    else
        note(node, "missing", "url: the way users come");
    if (service->kind == SERVICE_WEB) add_edge(map, "users", id, "uses");
    snprintf(above, sizeof above, "%s", id);
    for (size_t i = 0; i < service->through_count; i++) {
        snprintf(other, sizeof other, "lb:%s", map->config->balancers[service->through[i].balancer].name);
        add_edge(map, above, other, "through");
        memcpy(above, other, sizeof above);
    }
    add_backends(map, service, above);
    if (service->backend_count == 0)
        for (size_t i = 0; i < service->depends_count; i++) {
            name_service(&map->config->services[service->depends_on[i]], other);
            add_edge(map, above, other, "depends");
        }
    for (size_t i = 0; i < service->host_count; i++) {
        snprintf(other, sizeof other, "host:%s", map->config->hosts[service->hosts[i]].name);
        add_edge(map, id, other, "on");
    }
}

static bool has_node(const struct map *map, const char *id)
{
    return find_word(map->nodes, "id", id, "id") != NULL;
}

static void add_hosts(struct map *map)
{
    const struct config *config = map->config;
    for (size_t i = 0; i < config->host_count; i++) {
        const struct config_host *host = &config->hosts[i];
        char id[INCIDENT_COMPONENT_SIZE], place[INCIDENT_COMPONENT_SIZE];
        snprintf(id, sizeof id, "host:%s", host->name);
        json_t *node = add_node(map, id, "host", "hosts", host->name);
        const char *heard = find_word(json_object_get(map->status, "hosts"), "name", host->name, "state");
        if (heard != NULL && strcmp(heard, "reporting") == 0)
            note(node, "measured", "disks, pressure, processors, memory, network");
        else if (map->status != NULL)
            note(node, "missing", "an agent that reports");
        if (host->zone[0] != '\0') {
            snprintf(place, sizeof place, "zone:%s", host->zone);
            if (!has_node(map, place)) add_node(map, place, "zone", NULL, NULL);
            add_edge(map, id, place, "in");
        }
        if (host->site != CONFIG_NONE) {
            snprintf(place, sizeof place, "egress:%s", config->sites[host->site].name);
            add_edge(map, id, place, "in");
        }
    }
}

static void add_sites(struct map *map)
{
    for (size_t i = 0; i < map->config->site_count; i++) {
        const struct config_site *site = &map->config->sites[i];
        char id[INCIDENT_COMPONENT_SIZE];
        snprintf(id, sizeof id, "egress:%s", site->name);
        json_t *node = add_node(map, id, "egress", NULL, NULL);
        if (site->references.count > 0)
            note(node, "measured", "reference URLs");
        else
            note(node, "missing", "references: two URLs elsewhere tell the way out from the target");
    }
}

json_t *map_build(const struct config *config, const json_t *status)
{
    struct map map = {.config = config, .status = status, .nodes = json_array(), .edges = json_array()};
    add_node(&map, "users", "users", NULL, NULL);
    add_balancers(&map);
    for (size_t i = 0; i < config->service_count; i++) add_service(&map, &config->services[i]);
    add_hosts(&map);
    add_sites(&map);
    return json_pack("{s:o, s:o}", "nodes", map.nodes, "edges", map.edges);
}

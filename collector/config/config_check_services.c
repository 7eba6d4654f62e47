/* Sense beyond the table, for balancers and services. */
#include <string.h>

#include "collector/config/config_build.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/url.h"

#define error_at(build, node, ...)   schema_problem((build)->report, SCHEMA_ERROR, node, __VA_ARGS__)
#define warning_at(build, node, ...) schema_problem((build)->report, SCHEMA_WARNING, node, __VA_ARGS__)

/* ── balancers ── */

static void check_balancers(struct config_build *build)
{
    const struct config *config = build->config;
    const struct schema_node *map = schema_get(build->root, "balancers");
    AUTO_FREE bool *used = check_alloc_array(config->balancer_count, sizeof *used);
    for (size_t i = 0; i < config->service_count; i++)
        for (size_t h = 0; h < config->services[i].through_count; h++)
            used[config->services[i].through[h].balancer] = true;
    for (size_t i = 0; i < config->balancer_count; i++) {
        const struct schema_node *addresses = schema_get(map->children[i], "addresses");
        for (size_t a = 0; a < config_list_count(addresses); a++) {
            const struct schema_node *node = addresses->children[a];
            struct span host;
            uint16_t port;
            struct error err;
            if (node->kind == SCHEMA_SCALAR && node->text[0] != '\0' &&
                url_split_authority(span_text(node->text), &host, &port, &err) != 0)
                error_at(build, node, "'addresses': '%.80s' is no ADDRESS or ADDRESS:PORT: %s", node->text,
                    err.text);
        }
        if (!used[i])
            warning_at(build, map->key_nodes[i],
                "no service goes 'through' balancer '%.64s': it is not judged", config->balancers[i].name);
    }
}

/* ── backends ── */

static void check_backend(struct config_build *build, const struct config_service *service,
    const struct schema_node *list, size_t index)
{
    const struct schema_node *node = list->children[index];
    const struct schema_node *url = node->kind == SCHEMA_SCALAR ? node : schema_get(node, "url");
    const struct config_backend *backend = &service->backends[index];
    struct url_parts parts;
    if (url == NULL || url_split(backend->url, &parts, NULL) != 0) return;
    if (parts.rest.size > 0 && !span_equal(parts.rest, span_text("/")))
        error_at(build, url,
            "'%.80s': a backend is scheme://ADDRESS[:PORT]; the path comes from the service's 'url'",
            backend->url);
    if (span_equal(parts.scheme, span_text("tcp")) && parts.port == 0)
        error_at(build, url, "'%.80s' has no port", backend->url);
    for (size_t i = 0; i < index; i++) {
        if (strcmp(service->backends[i].name, backend->name) != 0) continue;
        error_at(build, node, "two backends of '%.64s' are called '%.64s' (the other one in line %d)",
            service->name, backend->name, list->children[i]->line);
        break;
    }
}

static void check_backends(
    struct config_build *build, const struct schema_node *node, const struct config_service *service)
{
    const struct schema_node *list = schema_get(node, "backends"), *from = schema_get(node, "backends_from");
    for (size_t i = 0; i < service->backend_count; i++) check_backend(build, service, list, i);
    if (service->backends_from != BACKENDS_LISTED)
        warning_at(build, from,
            "'backends_from: %.40s' is read but not carried out yet: list them in 'backends'",
            schema_text(from, ""));
    if (service->through_count > 0 && service->backend_count == 0)
        warning_at(build, schema_get(node, "through"),
            "service '%.64s' has no 'backends': without asking them directly no verdict can tell the "
            "balancer from the servers",
            service->name);
    if (service->capacity_needed > service->backend_count)
        error_at(build, schema_get(schema_get(node, "capacity"), "needed"),
            "service '%.64s' needs %u backends but has %zu", service->name, service->capacity_needed,
            service->backend_count);
}

/* ── services ── */

static void check_url(struct config_build *build, const struct schema_node *key,
    const struct schema_node *node, const struct config_service *service)
{
    const struct schema_node *url = schema_get(node, "url");
    struct url_parts parts;
    if (url == NULL && schema_get(node, "postgres") == NULL) {
        if (schema_misspelt(node, "url")) return;
        error_at(build, key, "service '%.64s' lacks 'url': as users come", service->name);
        return;
    }
    if (url == NULL || url_split(service->url, &parts, NULL) != 0) return;
    bool tcp = span_equal(parts.scheme, span_text("tcp"));
    if (tcp && parts.port == 0) error_at(build, url, "'%.80s' has no port", service->url);
    if (tcp && parts.rest.size > 0)
        error_at(build, url, "'%.80s': nothing comes after the port", service->url);
    if (tcp && service->health[0] != '\0')
        error_at(build, schema_get(node, "health"), "'health' is a path; '%.80s' has none", service->url);
    if (service->health[0] != '\0' && service->health[0] != '/')
        error_at(
            build, schema_get(node, "health"), "'health' must begin with '/', not '%.40s'", service->health);
    if (service->expect_text[0] != '\0' && strcmp(service->method, "HEAD") == 0)
        error_at(
            build, schema_get(schema_get(node, "expect"), "text"), "a HEAD request brings no text to expect");
    if (service->insecure && span_equal(parts.scheme, span_text("http")))
        warning_at(build, schema_get(node, "insecure"), "'insecure' changes nothing for %.80s", service->url);
}

static void check_through(
    struct config_build *build, const struct schema_node *node, const struct config_service *service)
{
    const struct schema_node *list = schema_get(node, "through");
    for (size_t i = 0; i < service->through_count; i++)
        for (size_t k = 0; k < i; k++)
            if (service->through[i].balancer == service->through[k].balancer)
                error_at(build, list, "service '%.64s' goes through '%.64s' twice", service->name,
                    build->config->balancers[service->through[i].balancer].name);
}

/* A way along depends_on that comes back to where it began is reported once, at the service that closes it.
 */
enum visit { VISIT_NONE, VISIT_OPEN, VISIT_DONE };

struct walk {
    struct config_build *build;
    const struct schema_node *map;
    enum visit *visits;
};

static void report_cycle(struct walk *walk, size_t service, size_t callee)
{
    const struct config *config = walk->build->config;
    const struct schema_node *node = schema_get(walk->map->children[service], "depends_on");
    if (service == callee)
        error_at(walk->build, node, "service '%.64s' depends on itself", config->services[service].name);
    else
        error_at(walk->build, node,
            "services depend on each other in a circle: '%.64s' needs '%.64s', which needs it",
            config->services[service].name, config->services[callee].name);
}

/* Depth first, with a stack of our own: a chain may be as long as there are services. */
static void walk_from(struct walk *walk, size_t start)
{
    const struct config *config = walk->build->config;
    AUTO_FREE size_t *stack = check_alloc_array(config->service_count, sizeof *stack);
    AUTO_FREE size_t *next = check_alloc_array(config->service_count, sizeof *next);
    size_t depth = 1;
    stack[0] = start;
    walk->visits[start] = VISIT_OPEN;
    while (depth > 0) {
        size_t service = stack[depth - 1];
        if (next[service] == config->services[service].depends_count) {
            walk->visits[service] = VISIT_DONE;
            depth--;
            continue;
        }
        size_t callee = config->services[service].depends_on[next[service]++];
        if (walk->visits[callee] == VISIT_OPEN) report_cycle(walk, service, callee);
        if (walk->visits[callee] != VISIT_NONE) continue;
        walk->visits[callee] = VISIT_OPEN;
        stack[depth++] = callee;
    }
}

static void check_dependencies(struct config_build *build, const struct schema_node *map)
{
    size_t count = build->config->service_count;
    AUTO_FREE enum visit *visits = check_alloc_array(count, sizeof *visits);
    struct walk walk = {.build = build, .map = map, .visits = visits};
    for (size_t i = 0; i < count; i++)
        if (visits[i] == VISIT_NONE) walk_from(&walk, i);
}

/* From one place a broken balancer and a broken route to it look the same, so the engine does not wake
 * anybody. */
static void check_observers(struct config_build *build, const struct schema_node *map)
{
    const struct config *config = build->config;
    size_t able = 0;
    for (size_t i = 0; i < config->host_count; i++) able += config->hosts[i].observer;
    if (config->service_count > 0 && config->host_count > 0 && able <= 1) {
        warning_at(build, schema_get(build->root, "hosts"),
            "%s: outages can only warn, since a broken balancer and a broken route look the same from one "
            "place; add a host with an agent, best at another site",
            able == 1 ? "one observer" : "no observer");
        return;
    }
    for (size_t i = 0; i < config->service_count; i++) {
        const struct schema_node *node = schema_get(map->children[i], "observers");
        if (map->children[i]->kind == SCHEMA_MAPPING && node != NULL && config->services[i].observers == 1)
            warning_at(build, node,
                "one observer: outages of '%.64s' can only warn, since a broken balancer and a broken route "
                "look the same from one place",
                config->services[i].name);
    }
}

void config_check_services(struct config_build *build)
{
    const struct schema_node *map = schema_get(build->root, "services");
    check_balancers(build);
    for (size_t i = 0; i < build->config->service_count; i++) {
        const struct schema_node *node = map->children[i];
        const struct config_service *service = &build->config->services[i];
        if (node->kind != SCHEMA_MAPPING) continue;
        check_url(build, map->key_nodes[i], node, service);
        check_through(build, node, service);
        check_backends(build, node, service);
    }
    check_dependencies(build, map);
    check_observers(build, map);
}

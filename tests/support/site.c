#include "tests/support/site.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"

static char *name(struct site *site, const char *stem, size_t number)
{
    return arena_format(&site->arena, "%s%zu", stem, number);
}

static char *text(struct site *site, const char *value)
{
    return arena_strdup(&site->arena, value);
}

static void add_balancer(struct site *site)
{
    struct config *config = &site->config;
    config->balancers = arena_alloc_array(&site->arena, 1, sizeof *config->balancers);
    config->balancer_count = 1;
    char **address = arena_alloc_array(&site->arena, 1, sizeof *address);
    address[0] = text(site, "127.0.0.1:8080");
    config->balancers[0] = (struct config_balancer){.name = text(site, "lb-www"),
        .addresses = {address, 1},
        .host = CONFIG_NONE,
        .stats = text(site, "")};
}

static void add_service(
    struct site *site, struct config_service *service, char *service_name, size_t backends)
{
    char *none = text(site, "");
    *service = (struct config_service){.name = service_name,
        .url = text(site, "http://127.0.0.1:8080/inbox"),
        .health = none,
        .optional = none,
        .data = none,
        .expect_text = none,
        .method = text(site, "GET"),
        .credentials_file = none};
    service->through = arena_alloc_array(&site->arena, 1, sizeof *service->through);
    service->through_count = 1;
    service->through[0] = (struct config_hop){.balancer = 0, .scheme = none};
    service->backends = arena_alloc_array(&site->arena, backends, sizeof *service->backends);
    service->backend_count = backends;
    for (size_t i = 0; i < backends; i++)
        service->backends[i] = (struct config_backend){.name = name(site, "app", i + 1),
            .url = arena_format(&site->arena, "http://127.0.0.1:%zu", 9001 + i),
            .host = CONFIG_NONE,
            .balancer_server = none};
}

static void add_hosts(
    struct site *site, size_t hosts, size_t sites, const char *const *zones, size_t zone_count)
{
    struct config *config = &site->config;
    config->hosts = arena_alloc_array(&site->arena, hosts + 1, sizeof *config->hosts);
    site->present = arena_alloc_array(&site->arena, hosts + 1, sizeof *site->present);
    for (size_t i = 0; i < hosts; i++) {
        config->hosts[i] = (struct config_host){.name = name(site, "o", i + 1),
            .site = i % sites,
            .zone = text(site, zones[i % zone_count]),
            .observer = true};
        site->present[site->present_count++] = config->hosts[i].name;
    }
    config->host_count = hosts;
}

static struct site *site_new(size_t services, size_t sites)
{
    struct site *site = check_alloc(sizeof *site);
    struct config *config = &site->config;
    config->collector.letter = text(site, "A");
    config->sites = arena_alloc_array(&site->arena, sites, sizeof *config->sites);
    for (size_t i = 0; i < sites; i++)
        config->sites[i] =
            (struct config_site){.name = name(site, "site", i + 1), .provider = text(site, "")};
    config->site_count = sites;
    config->services = arena_alloc_array(&site->arena, services, sizeof *config->services);
    config->service_count = services;
    add_balancer(site);
    return site;
}

struct site *site_small(size_t backends, size_t observers)
{
    static const char *const zones[] = {""};
    struct site *site = site_new(1, 1);
    add_service(site, &site->config.services[0], text(site, "www"), backends);
    add_hosts(site, observers, 1, zones, 1);
    return site;
}

struct site *site_large(size_t services, size_t backends, size_t hosts)
{
    static const char *const zones[] = {"a", "b"};
    struct site *site = site_new(services, 3);
    for (size_t i = 0; i < services; i++)
        add_service(site, &site->config.services[i], name(site, "www", i + 1), backends);
    add_hosts(site, hosts, 3, zones, 2);
    return site;
}

void site_free(struct site *site)
{
    if (site == NULL) return;
    arena_fini(&site->arena);
    free(site);
}

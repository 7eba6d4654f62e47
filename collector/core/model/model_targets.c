/* The list of probes: what is asked, by whom, how often, under which labels. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "collector/core/model/model_build.h"
#include "common/check.h"

#define TIMEOUT_MS            2000
#define LONG_TIMEOUT_MS       15000
#define TCP_INTERVAL_MS       1000
#define STATS_INTERVAL_MS     1000
#define REFERENCE_INTERVAL_MS 2000
#define TARGETS_MAX           100000

static bool given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

static void add_label(struct wire_target *wire, const char *name, const char *value)
{
    if (!given(value)) return;
    CHECK(wire->label_count < LIMIT_LABELS);
    wire->labels[wire->label_count++] = (struct wire_label){.name = name, .value = value};
}

static uint64_t mix(uint64_t seed, const char *text)
{
    return XXH3_64bits_withSeed(or_empty(text), strlen(or_empty(text)) + 1, seed);
}

/* Of the labels and of the way there, not of rates and observers: a target keeps its key while those change.
 */
static uint64_t target_key(const struct wire_target *wire)
{
    uint64_t key = 0;
    for (size_t i = 0; i < wire->label_count; i++)
        key = mix(mix(key, wire->labels[i].name), wire->labels[i].value);
    key = mix(mix(mix(key, wire->url), wire->connect), wire->method);
    for (size_t i = 0; i < wire->header_count; i++)
        key = mix(mix(key, wire->headers[i].name), wire->headers[i].value);
    return key != 0 ? key : 1;
}

static const char *label_value(struct model_build *build, const char *text)
{
    char *value = arena_strdup(build->model->arena, text);
    if (strlen(value) > LIMIT_LABEL_VALUE_BYTES) value[LIMIT_LABEL_VALUE_BYTES] = '\0';
    return value;
}

/* A row with its labels, key and defaults; the caller has filled in the way. */
static struct model_target *add_target(struct model_build *build, const struct model_target *from)
{
    struct model *model = build->model;
    if (model->target_count == build->targets_capacity) {
        uint32_t capacity = build->targets_capacity > 0 ? 2 * build->targets_capacity : 64;
        struct model_target *larger = arena_alloc_array(model->arena, capacity, sizeof *larger);
        if (model->target_count > 0) memcpy(larger, model->targets, model->target_count * sizeof *larger);
        model->targets = larger;
        build->targets_capacity = capacity;
    }
    struct model_target *target = &model->targets[model->target_count++];
    *target = *from;
    target->name = label_value(build, from->name);
    struct wire_target *wire = &target->wire;
    wire->probe = target->probe;
    wire->timeout_ms = TIMEOUT_MS;
    wire->late_after_ms = TIMEOUT_MS; /* until the engine has learned better */
    wire->long_timeout_ms = target->probe == PROBE_HTTP ? LONG_TIMEOUT_MS : 0;
    if (wire->method == NULL) wire->method = "GET";
    if (wire->connect == NULL) wire->connect = "";
    if (wire->expect_text == NULL) wire->expect_text = "";
    if (wire->credentials_file == NULL) wire->credentials_file = "";
    /* Ascending by name. */
    add_label(wire, "address", target->address);
    add_label(wire, "path", model_entrance_word(target->entrance));
    add_label(wire, "probe", probe_kind_name(target->probe));
    add_label(wire, "service", target->service != MODEL_NONE ? model->services[target->service].name : NULL);
    if (target->entrance == ENTRANCE_REFERENCE) add_label(wire, "site", model->sites[target->site].name);
    add_label(wire, "target", target->name);
    wire->key = target->key = target_key(wire);
    return target;
}

static struct model_target blank(enum model_entrance entrance, uint32_t service, const char *name)
{
    return (struct model_target){.service = service,
        .entrance = entrance,
        .probe = PROBE_HTTP,
        .balancer = MODEL_NONE,
        .hop = MODEL_NONE,
        .backend = MODEL_NONE,
        .site = MODEL_NONE,
        .name = name,
        .address = ""};
}

static void set_observers(struct model_target *target, const uint32_t *hosts, uint32_t count)
{
    memcpy(target->observers, hosts, count * sizeof *hosts);
    target->observer_count = count;
}

static void add_observer(struct model_target *target, uint32_t host)
{
    for (uint32_t i = 0; i < target->observer_count; i++)
        if (target->observers[i] == host) return;
    if (target->observer_count < ARRAY_COUNT(target->observers))
        target->observers[target->observer_count++] = host;
}

/* The same observers and place, only a connection. */
static void add_connect_only(
    struct model_build *build, const struct model_target *http, const char *host, uint32_t port)
{
    struct model_target tcp = *http;
    tcp.probe = PROBE_TCP;
    tcp.wire =
        (struct wire_target){.url = arena_format(build->model->arena,
                                 strchr(host, ':') != NULL ? "tcp://[%s]:%u" : "tcp://%s:%u", host, port),
            .connect = http->wire.connect,
            .each_address = http->wire.each_address,
            .interval_ms = TCP_INTERVAL_MS};
    add_target(build, &tcp);
}

/* What one service's targets are made from. */
struct way {
    const struct config_service *config;
    const struct model_service *service;
    uint32_t index;
    struct model_url url; /* as users write it */
    struct model_rates rates;
};

static void expect(struct wire_target *wire, const struct config_service *config)
{
    wire->expect_code_min = config->expect_code_min;
    wire->expect_code_max = config->expect_code_max;
    wire->expect_text = or_empty(config->expect_text);
    wire->method = given(config->method) ? config->method : "GET";
    wire->credentials_file = or_empty(config->credentials_file);
    wire->insecure = config->insecure;
    wire->follow = config->follow;
}

/* The same URL in another scheme. A port that users do not write is not written here either: Host stays
 * theirs. */
static const char *url_in_scheme(
    struct model_build *build, const struct model_url *url, const char *scheme, const char *path)
{
    return arena_format(build->model->arena, "%s://%s%s", scheme, url->authority, path);
}

static void add_users(struct model_build *build, const struct way *way)
{
    struct model_target target = blank(ENTRANCE_USERS, way->index, way->service->name);
    set_observers(&target, way->service->observers, way->service->observer_count);
    expect(&target.wire, way->config);
    target.wire.url = arena_strdup(build->model->arena, way->config->url);
    target.wire.interval_ms = way->rates.users_ms;
    add_target(build, &target);
    add_connect_only(build, &target, way->url.host, model_url_port(&way->url));
}

static uint32_t scheme_port(const char *scheme)
{
    return strcmp(scheme, "https") == 0 ? 443 : 80;
}

static void set_headers(struct model_build *build, struct wire_target *wire,
    const struct config_text_list *list, const char *host)
{
    size_t pairs = list->count / 2;
    struct wire_header *headers = arena_alloc_array(build->model->arena, pairs + 1, sizeof *headers);
    for (size_t i = 0; i < pairs; i++) {
        headers[i].name = arena_strdup(build->model->arena, list->items[2 * i]);
        headers[i].value = arena_strdup(build->model->arena, list->items[2 * i + 1]);
        if (strcasecmp(headers[i].name, "host") == 0) host = NULL;
    }
    if (host != NULL)
        headers[pairs++] = (struct wire_header){"Host", arena_strdup(build->model->arena, host)};
    wire->headers = headers;
    wire->header_count = pairs;
}

/* One hop at one address; address NULL: each that the name resolves to. */
static void add_hop(struct model_build *build, const struct way *way, uint32_t position, const char *address)
{
    struct arena *arena = build->model->arena;
    const struct config_hop *hop = &way->config->through[position];
    const char *scheme = given(hop->scheme) ? hop->scheme : way->url.scheme;
    bool same_scheme = strcmp(scheme, way->url.scheme) == 0;
    uint32_t port = hop->port;
    if (port == 0) port = same_scheme ? model_url_port(&way->url) : scheme_port(scheme);
    uint32_t balancer = way->service->hops[position];
    struct model_target target = blank(ENTRANCE_HOP, way->index, build->model->balancers[balancer].name);
    target.balancer = balancer;
    target.hop = position;
    set_observers(&target, way->service->observers, way->service->observer_count);
    expect(&target.wire, way->config);
    target.wire.insecure |= hop->insecure;
    target.wire.interval_ms = way->rates.hop_ms;
    target.wire.url = url_in_scheme(build, &way->url, scheme, way->url.rest);
    const char *host = NULL;
    if (address != NULL) {
        target.wire.connect = model_url_connect(arena, address, port);
        target.address = target.wire.connect;
    } else {
        target.wire.each_address = true;
        if (hop->port != 0 && hop->port != model_url_port(&way->url)) {
            /* The port can only stand in the URL here; the header keeps what users send. */
            target.wire.url =
                arena_format(arena, strchr(way->url.host, ':') != NULL ? "%s://[%s]:%u%s" : "%s://%s:%u%s",
                    scheme, way->url.host, port, way->url.rest);
            host = way->url.authority;
        }
    }
    set_headers(build, &target.wire, &hop->headers, host);
    add_target(build, &target);
    add_connect_only(build, &target, way->url.host, port);
}

static void add_hops(struct model_build *build, const struct way *way)
{
    for (uint32_t i = 0; i < way->service->hop_count; i++) {
        const struct config_balancer *balancer = &build->config->balancers[way->service->hops[i]];
        if (balancer->addresses_dns) add_hop(build, way, i, NULL);
        for (size_t a = 0; !balancer->addresses_dns && a < balancer->addresses.count; a++)
            add_hop(build, way, i, balancer->addresses.items[a]);
    }
}

/* Everyone of the service but the backend's own host, unless nobody else is there; for the page also the
 * agent on the last balancer's host, whose direct probes share the balancer's route to its servers. */
static void set_backend_observers(
    struct model_build *build, const struct way *way, struct model_target *target)
{
    uint32_t own = build->model->backends[target->backend].host;
    for (uint32_t i = 0; i < way->service->observer_count; i++)
        if (way->service->observers[i] != own) add_observer(target, way->service->observers[i]);
    if (target->entrance == ENTRANCE_BACKEND && way->service->hop_count > 0) {
        uint32_t host = build->model->balancers[way->service->hops[way->service->hop_count - 1]].host;
        if (host != MODEL_NONE && host != own && build->enrolled[host]) add_observer(target, host);
    }
    if (target->observer_count == 0)
        set_observers(target, way->service->observers, way->service->observer_count);
}

static int add_backend(struct model_build *build, const struct way *way, uint32_t position, struct error *err)
{
    const struct config_backend *from = &way->config->backends[position];
    uint32_t backend = way->service->first_backend + position;
    struct model_url url;
    if (model_url_split(from->url, &url, err) != 0) return fail_context(err, "backend %s", from->name);
    struct model_target page = blank(ENTRANCE_BACKEND, way->index, build->model->backends[backend].name);
    page.backend = backend;
    set_backend_observers(build, way, &page);
    expect(&page.wire, way->config);
    page.wire.url = url_in_scheme(build, &way->url, url.scheme, way->url.rest);
    page.wire.connect = model_url_connect(build->model->arena, url.authority, scheme_port(url.scheme));
    page.wire.interval_ms = way->rates.page_ms;
    add_target(build, &page);
    add_connect_only(build, &page, url.host, model_url_port(&url));
    if (!given(way->config->health)) return 0;
    struct model_target health = blank(ENTRANCE_HEALTH, way->index, build->model->backends[backend].name);
    health.backend = backend;
    set_backend_observers(build, way, &health);
    health.wire.insecure = way->config->insecure;
    health.wire.url = url_in_scheme(build, &way->url, url.scheme, way->config->health);
    health.wire.connect = page.wire.connect;
    health.wire.interval_ms = way->rates.health_ms;
    add_target(build, &health);
    return 0;
}

static uint32_t hop_paths(const struct model_build *build, const struct model_service *service)
{
    uint32_t paths = 0;
    for (uint32_t i = 0; i < service->hop_count; i++) {
        const struct config_balancer *balancer = &build->config->balancers[service->hops[i]];
        paths += balancer->addresses_dns ? MODEL_DNS_ADDRESSES : (uint32_t)balancer->addresses.count;
    }
    return paths;
}

static struct model_rates choose_rates(struct model_build *build, const struct way *way)
{
    const struct model_service *service = way->service;
    struct model_load load = {.backends = service->backend_count,
        .users_observers = service->observer_count,
        .hop_observers = service->observer_count * hop_paths(build, service)};
    for (uint32_t i = 0; i < service->backend_count; i++) {
        struct model_target page = blank(ENTRANCE_BACKEND, way->index, ""), health = page;
        health.entrance = ENTRANCE_HEALTH;
        page.backend = health.backend = service->first_backend + i;
        set_backend_observers(build, way, &page);
        set_backend_observers(build, way, &health);
        if (page.observer_count > load.page_observers) load.page_observers = page.observer_count;
        if (given(way->config->health) && health.observer_count > load.health_observers)
            load.health_observers = health.observer_count;
    }
    return model_choose_rates(&load);
}

static int add_service_targets(struct model_build *build, uint32_t index, struct error *err)
{
    struct way way = {
        .config = &build->config->services[index], .service = &build->model->services[index], .index = index};
    /* A service without a URL (a database reached by SQL) has no probe of this version. */
    if (!given(way.config->url) || way.service->observer_count == 0) return 0;
    if (model_url_split(way.config->url, &way.url, err) != 0)
        return fail_context(err, "service %s", way.config->name);
    way.rates = choose_rates(build, &way);
    add_users(build, &way);
    add_hops(build, &way);
    for (uint32_t i = 0; i < way.service->backend_count; i++)
        if (add_backend(build, &way, i, err) != 0) return -1;
    return 0;
}

static bool observes(const struct model *model, uint32_t host)
{
    for (uint32_t s = 0; s < model->service_count; s++)
        for (uint32_t i = 0; i < model->services[s].observer_count; i++)
            if (model->services[s].observers[i] == host) return true;
    return false;
}

/* Who observes something from a site asks its references too. */
static void add_references(struct model_build *build, uint32_t site)
{
    const struct model *model = build->model;
    const struct config_site *from = &build->config->sites[site];
    struct model_target all = blank(ENTRANCE_REFERENCE, MODEL_NONE, "");
    all.site = site;
    for (uint32_t host = 0; host < model->host_count; host++)
        if (model->hosts[host].site == site && observes(model, host)) add_observer(&all, host);
    for (size_t i = 0; i < from->references.count && all.observer_count > 0; i++) {
        struct model_target target = all;
        target.name = from->references.items[i];
        target.wire = (struct wire_target){.url = arena_strdup(model->arena, from->references.items[i]),
            .interval_ms = REFERENCE_INTERVAL_MS,
            .follow = true};
        add_target(build, &target);
    }
}

/* Whoever stands nearest asks the balancer what it says of itself: its own host, else an observer of a
 * service. */
static void add_stats(struct model_build *build, uint32_t balancer)
{
    const struct model *model = build->model;
    const struct config_balancer *from = &build->config->balancers[balancer];
    if (!given(from->stats)) return;
    struct model_target target = blank(ENTRANCE_STATS, MODEL_NONE, model->balancers[balancer].name);
    target.probe = PROBE_HAPROXY_STATS;
    target.balancer = balancer;
    uint32_t host = model->balancers[balancer].host;
    if (host != MODEL_NONE && build->enrolled[host]) add_observer(&target, host);
    for (uint32_t s = 0; s < model->service_count && target.observer_count == 0; s++)
        for (uint32_t i = 0; i < model->services[s].hop_count; i++)
            if (model->services[s].hops[i] == balancer && model->services[s].observer_count > 0)
                add_observer(&target, model->services[s].observers[0]);
    if (target.observer_count == 0) return;
    target.observer_count = 1;
    target.wire.url = arena_strdup(model->arena, from->stats);
    target.wire.interval_ms = STATS_INTERVAL_MS;
    add_target(build, &target);
}

int model_add_targets(struct model_build *build, struct error *err)
{
    for (uint32_t i = 0; i < build->model->service_count; i++)
        if (add_service_targets(build, i, err) != 0) return -1;
    for (uint32_t i = 0; i < build->model->site_count; i++) add_references(build, i);
    for (uint32_t i = 0; i < build->model->balancer_count; i++) add_stats(build, i);
    if (build->model->target_count > TARGETS_MAX)
        return fail(err, ERROR_LIMIT, "%u targets to probe, the bound is %d", build->model->target_count,
            TARGETS_MAX);
    return 0;
}

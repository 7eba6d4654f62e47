#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "collector/config/config_build.h"
#include "common/check.h"
#include "common/url.h"

/* ── Helpers ── */

static size_t bounded_count(const struct schema_node *node)
{
    if (node == NULL || node->kind == SCHEMA_SCALAR) return 0;
    /* What is beyond the table's bound has been reported, and costs no further time. */
    int64_t most = node->field != NULL ? node->field->max : 0;
    return most > 0 && node->count > (size_t)most ? (size_t)most : node->count;
}

/* The same for one kind only: what has the wrong shape has been reported and counts as absent. */
size_t config_list_count(const struct schema_node *node)
{
    return node != NULL && node->kind == SCHEMA_SEQUENCE ? bounded_count(node) : 0;
}

size_t config_map_count(const struct schema_node *node)
{
    return node != NULL && node->kind == SCHEMA_MAPPING ? bounded_count(node) : 0;
}

static char *copy(struct config_build *build, const char *words)
{
    char *text = arena_strdup(build->arena, words);
    CHECK(text != NULL);
    return text;
}

static void *new_array(struct config_build *build, size_t count, size_t size)
{
    void *array = arena_alloc_array(build->arena, count, size);
    CHECK(array != NULL);
    return array;
}

static char *text_of(struct config_build *build, const struct schema_node *node)
{
    return copy(build, schema_text(node, ""));
}

/* An absolute file name; "" where there is none. */
static char *file_of(struct config_build *build, const struct schema_node *node)
{
    const char *path = schema_text(node, "");
    if (path[0] == '\0' || path[0] == '/') return copy(build, path);
    char *joined = arena_format(build->arena, "%s/%s", build->directory, path);
    CHECK(joined != NULL);
    return joined;
}

static char *below(struct config_build *build, const char *directory, const char *name)
{
    char *joined = arena_format(build->arena, "%s/%s", directory, name);
    CHECK(joined != NULL);
    return joined;
}

static uint32_t number_of(const struct schema_node *node, uint32_t otherwise)
{
    int64_t value = schema_integer(node, otherwise);
    return value >= 0 && value <= UINT32_MAX ? (uint32_t)value : otherwise;
}

/* A list of texts, or one text as a list of one. */
static struct config_text_list texts_of(struct config_build *build, const struct schema_node *node)
{
    struct config_text_list list = {0};
    bool one = node != NULL && node->kind == SCHEMA_SCALAR;
    size_t count = one ? 1 : config_list_count(node);
    list.items = new_array(build, count, sizeof *list.items);
    for (size_t i = 0; i < count; i++) {
        const char *words = schema_text(one ? node : node->children[i], "");
        if (words[0] != '\0') list.items[list.count++] = copy(build, words);
    }
    return list;
}

size_t config_index(const struct config_build *build, const char *map, const char *name)
{
    const struct schema_node *node = schema_get(build->root, map);
    if (node == NULL || node->kind != SCHEMA_MAPPING) return CONFIG_NONE;
    for (size_t i = 0; i < node->count; i++)
        if (strcmp(node->keys[i], name) == 0) return i;
    return CONFIG_NONE;
}

static size_t reference_of(const struct config_build *build, const char *map, const struct schema_node *node)
{
    return node != NULL ? config_index(build, map, schema_text(node, "")) : CONFIG_NONE;
}

/* Indexes of a list of names; unknown ones are left out (the table has reported them). */
static size_t *references_of(
    struct config_build *build, const char *map, const struct schema_node *node, size_t *count)
{
    size_t most = config_list_count(node), found = 0;
    size_t *indexes = new_array(build, most, sizeof *indexes);
    for (size_t i = 0; i < most; i++) {
        size_t index = reference_of(build, map, node->children[i]);
        if (index != CONFIG_NONE) indexes[found++] = index;
    }
    *count = found;
    return indexes;
}

/* ── collector ── */

#define DAY_US INT64_C(86400000000)

static void read_collector(struct config_build *build)
{
    const struct schema_node *node = schema_get(build->root, "collector");
    struct config_collector *into = &build->config->collector;
    into->listen = texts_of(build, schema_get(node, "listen"));
    into->data = file_of(build, schema_get(node, "data"));
    into->run = file_of(build, schema_get(node, "run"));
    if (into->run[0] == '\0') into->run = below(build, into->data, "run");
    into->letter = text_of(build, schema_get(node, "letter"));
    into->key_file = file_of(build, schema_get(node, "key_file"));
    if (into->key_file[0] == '\0') into->key_file = below(build, into->data, "collector.key");
    into->agents_file = file_of(build, schema_get(node, "agents_file"));
    if (into->agents_file[0] == '\0') into->agents_file = below(build, into->data, "agents");
    into->api_socket = file_of(build, schema_get(node, "api_socket"));
    if (into->api_socket[0] == '\0') into->api_socket = below(build, into->run, "api.sock");
    into->web_listen = text_of(build, schema_get(node, "web_listen"));
    int64_t kept_us = schema_duration_us(schema_get(schema_get(node, "retention"), "seconds"), 14 * DAY_US);
    int64_t days = kept_us / DAY_US + (kept_us % DAY_US != 0);
    into->retention_seconds_days = days < 1 ? 1 : days > 36500 ? 36500 : (uint32_t)days;
}

/* ── sites, hosts, balancers ── */

static void read_sites(struct config_build *build)
{
    const struct schema_node *map = schema_get(build->root, "sites");
    struct config *config = build->config;
    config->site_count = config_map_count(map);
    config->sites = new_array(build, config->site_count, sizeof *config->sites);
    for (size_t i = 0; i < config->site_count; i++)
        config->sites[i] = (struct config_site){.name = copy(build, map->keys[i]),
            .provider = text_of(build, schema_get(map->children[i], "provider")),
            .references = texts_of(build, schema_get(map->children[i], "references"))};
}

static void read_hosts(struct config_build *build)
{
    const struct schema_node *map = schema_get(build->root, "hosts");
    struct config *config = build->config;
    config->host_count = config_map_count(map);
    config->hosts = new_array(build, config->host_count, sizeof *config->hosts);
    for (size_t i = 0; i < config->host_count; i++) {
        const struct schema_node *node = map->children[i];
        config->hosts[i] = (struct config_host){.name = copy(build, map->keys[i]),
            .site = reference_of(build, "sites", schema_get(node, "site")),
            .zone = text_of(build, schema_get(node, "zone")),
            .observer = schema_bool(schema_get(node, "observer"), true),
            .maintenance = schema_bool(schema_get(node, "maintenance"), false)};
    }
}

static size_t find_host(const struct config *config, const char *name, size_t size)
{
    for (size_t i = 0; i < config->host_count; i++)
        if (strlen(config->hosts[i].name) == size && strncasecmp(config->hosts[i].name, name, size) == 0)
            return i;
    return CONFIG_NONE;
}

/* A host that is named where 'hosts' does not list it exists all the same, without site and zone; a warning
 * says so, since it may be a misspelt one. */
static size_t host_of(struct config_build *build, const struct schema_node *node)
{
    const char *name = schema_text(node, "");
    if (name[0] == '\0') return CONFIG_NONE;
    struct config *config = build->config;
    size_t found = find_host(config, name, strlen(name));
    if (found != CONFIG_NONE) return found;
    const struct schema_node *map = schema_get(build->root, "hosts");
    const char *close =
        map != NULL && map->kind == SCHEMA_MAPPING ? schema_suggest(name, map->keys, map->count) : NULL;
    if (close != NULL)
        schema_problem(build->report, SCHEMA_WARNING, node,
            "no '%.64s' in 'hosts'; did you mean '%.64s'? Taken as a host without site and zone", name,
            close);
    else
        schema_problem(build->report, SCHEMA_WARNING, node,
            "no '%.64s' in 'hosts': taken as a host without site and zone", name);
    struct config_host *grown = new_array(build, config->host_count + 1, sizeof *grown);
    if (config->host_count > 0) memcpy(grown, config->hosts, config->host_count * sizeof *grown);
    grown[config->host_count] = (struct config_host){
        .name = copy(build, name), .site = CONFIG_NONE, .zone = copy(build, ""), .observer = true};
    config->hosts = grown;
    return config->host_count++;
}

static void read_balancers(struct config_build *build)
{
    const struct schema_node *map = schema_get(build->root, "balancers");
    struct config *config = build->config;
    config->balancer_count = config_map_count(map);
    config->balancers = new_array(build, config->balancer_count, sizeof *config->balancers);
    for (size_t i = 0; i < config->balancer_count; i++) {
        const struct schema_node *node = map->children[i];
        const struct schema_node *addresses = schema_get(node, "addresses");
        bool listed = addresses != NULL && addresses->kind == SCHEMA_SEQUENCE;
        config->balancers[i] = (struct config_balancer){.name = copy(build, map->keys[i]),
            .addresses_dns = !listed,
            .addresses = texts_of(build, listed ? addresses : NULL),
            .host = host_of(build, schema_get(node, "host")),
            .stats = text_of(build, schema_get(node, "stats"))};
    }
}

/* ── services ── */

static void read_hops(struct config_build *build, const struct schema_node *list, struct config_service *into)
{
    size_t count = config_list_count(list);
    into->through = new_array(build, count, sizeof *into->through);
    for (size_t i = 0; i < count; i++) {
        const struct schema_node *node = list->children[i];
        const struct schema_node *name = node->kind == SCHEMA_SCALAR ? node : schema_get(node, "balancer");
        size_t balancer = reference_of(build, "balancers", name);
        if (balancer == CONFIG_NONE) continue;
        struct config_hop *hop = &into->through[into->through_count++];
        *hop = (struct config_hop){.balancer = balancer,
            .scheme = text_of(build, schema_get(node, "scheme")),
            .port = number_of(schema_get(node, "port"), 0),
            .insecure = schema_bool(schema_get(node, "insecure"), false)};
        const struct schema_node *headers = schema_get(node, "headers");
        size_t header_count = config_map_count(headers);
        hop->headers.items = new_array(build, 2 * header_count, sizeof *hop->headers.items);
        for (size_t h = 0; h < header_count; h++) {
            hop->headers.items[hop->headers.count++] = copy(build, headers->keys[h]);
            hop->headers.items[hop->headers.count++] = text_of(build, headers->children[h]);
        }
    }
}

static enum backend_state backend_state_of(const char *word)
{
    return strcmp(word, "draining") == 0      ? BACKEND_DRAINING
           : strcmp(word, "maintenance") == 0 ? BACKEND_MAINTENANCE
                                              : BACKEND_NORMAL;
}

static struct span url_host(const char *url)
{
    struct url_parts parts;
    return url_split(url, &parts, NULL) == 0 ? parts.host : span_of("", 0);
}

/* "app1", or "127.0.0.1:8001" where several backends of the service share the host part. */
static char *backend_name(
    struct config_build *build, const struct schema_node *list, size_t index, const char *url)
{
    struct url_parts parts;
    if (url_split(url, &parts, NULL) != 0) return copy(build, url);
    bool shared = false;
    for (size_t i = 0; i < config_list_count(list); i++) {
        const struct schema_node *node = list->children[i];
        const char *other = schema_text(node->kind == SCHEMA_SCALAR ? node : schema_get(node, "url"), "");
        bool named = schema_get(node, "name") != NULL;
        if (i != index && !named && span_equal(url_host(other), parts.host)) shared = true;
    }
    char *name =
        shared ? arena_format(build->arena, "%.*s:%u", (int)parts.host.size, (const char *)parts.host.data,
                     parts.port > 0 ? parts.port : url_default_port(parts.scheme))
               : arena_format(build->arena, "%.*s", (int)parts.host.size, (const char *)parts.host.data);
    CHECK(name != NULL);
    return name;
}

static void read_backends(
    struct config_build *build, const struct schema_node *list, struct config_service *into)
{
    size_t count = config_list_count(list);
    into->backends = new_array(build, count, sizeof *into->backends);
    into->backend_count = count; /* all of them, so that entry i stands at position i of the list */
    for (size_t i = 0; i < count; i++) {
        const struct schema_node *node = list->children[i];
        const char *url = schema_text(node->kind == SCHEMA_SCALAR ? node : schema_get(node, "url"), "");
        const struct schema_node *name = schema_get(node, "name"), *host = schema_get(node, "host");
        struct span from_url = url_host(url);
        into->backends[i] = (struct config_backend){
            .name = name != NULL ? text_of(build, name) : backend_name(build, list, i, url),
            .url = copy(build, url),
            .host = host != NULL ? host_of(build, host)
                                 : find_host(build->config, (const char *)from_url.data, from_url.size),
            .state = backend_state_of(schema_text(schema_get(node, "state"), "")),
            .balancer_server = text_of(build, schema_get(node, "server"))};
    }
}

/* "200", "200-299"; false if it is neither. */
static bool parse_status(const char *words, uint32_t *least, uint32_t *most)
{
    char *end = NULL;
    unsigned long first = strtoul(words, &end, 10), last = first;
    if (end == words) return false;
    if (*end == '-') {
        const char *second = end + 1;
        last = strtoul(second, &end, 10);
        if (end == second) return false;
    }
    if (*end != '\0' || first < 100 || last > 599 || first > last) return false;
    *least = (uint32_t)first;
    *most = (uint32_t)last;
    return true;
}

static void read_expect(
    struct config_build *build, const struct schema_node *node, struct config_service *into)
{
    const struct schema_node *status = schema_get(node, "status");
    if (status != NULL && status->kind == SCHEMA_SCALAR &&
        !parse_status(status->text, &into->expect_code_min, &into->expect_code_max))
        schema_problem(build->report, SCHEMA_ERROR, status,
            "'status' must be an HTTP status or a range of them, like 200 or 200-299, not '%.40s'",
            status->text);
    into->expect_text = text_of(build, schema_get(node, "text"));
}

/* Words of the table's CHOICE, in the order of the enum. */
static size_t choice_of(const struct schema_node *node, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(schema_text(node, ""), words[i]) == 0) return i;
    return 0;
}

static const char *const kind_words[] = {
    [SERVICE_WEB] = "web", [SERVICE_DB] = "db", [SERVICE_SEARCH] = "search", [SERVICE_CACHE] = "cache"};
static const char *const from_words[] = {[BACKENDS_LISTED] = "listed",
    [BACKENDS_DNS] = "dns",
    [BACKENDS_FILE] = "file",
    [BACKENDS_HAPROXY] = "haproxy",
    [BACKENDS_HTTP] = "http",
    [BACKENDS_EXEC] = "exec"};

static void read_service(
    struct config_build *build, const char *name, const struct schema_node *node, struct config_service *into)
{
    into->name = copy(build, name);
    into->kind = (enum service_kind)choice_of(schema_get(node, "kind"), kind_words, ARRAY_COUNT(kind_words));
    into->url = text_of(build, schema_get(node, "url"));
    into->health = text_of(build, schema_get(node, "health"));
    read_hops(build, schema_get(node, "through"), into);
    into->backends_from =
        (enum backends_from)choice_of(schema_get(node, "backends_from"), from_words, ARRAY_COUNT(from_words));
    read_backends(build, schema_get(node, "backends"), into);
    into->depends_on = references_of(build, "services", schema_get(node, "depends_on"), &into->depends_count);
    into->alternatives = texts_of(build, schema_get(node, "alternatives"));
    const struct schema_node *slo = schema_get(node, "slo");
    into->slo_latency_us = schema_duration_us(schema_get(slo, "latency"), 0);
    into->slo_availability = schema_share(schema_get(slo, "availability"), 0);
    into->optional = text_of(build, schema_get(node, "optional"));
    const struct schema_node *hosts = schema_get(node, "hosts");
    into->hosts = new_array(build, config_list_count(hosts), sizeof *into->hosts);
    for (size_t i = 0; i < config_list_count(hosts); i++) {
        size_t host = host_of(build, hosts->children[i]);
        if (host != CONFIG_NONE) into->hosts[into->host_count++] = host;
    }
    into->data = text_of(build, schema_get(node, "data"));
    read_expect(build, schema_get(node, "expect"), into);
    into->method = text_of(build, schema_get(node, "method"));
    into->credentials_file = text_of(build, schema_get(node, "credentials_file"));
    into->insecure = schema_bool(schema_get(node, "insecure"), false);
    into->follow = schema_bool(schema_get(node, "follow"), false);
    into->capacity_needed = number_of(schema_get(schema_get(node, "capacity"), "needed"), 0);
    into->observers = number_of(schema_get(node, "observers"), 0);
    const struct schema_node *postgres = schema_get(node, "postgres");
    into->postgres_host = text_of(build, schema_get(postgres, "host"));
    into->postgres_dbname = text_of(build, schema_get(postgres, "dbname"));
    into->postgres_user = text_of(build, schema_get(postgres, "user"));
    into->postgres_password_file = text_of(build, schema_get(postgres, "password_file"));
}

static void read_services(struct config_build *build)
{
    const struct schema_node *map = schema_get(build->root, "services");
    struct config *config = build->config;
    config->service_count = config_map_count(map);
    config->services = new_array(build, config->service_count, sizeof *config->services);
    for (size_t i = 0; i < config->service_count; i++)
        read_service(build, map->keys[i], map->children[i], &config->services[i]);
}

/* ── control planes, hooks, routes ── */

static void read_control_planes(struct config_build *build)
{
    const struct schema_node *map = schema_get(build->root, "control_planes");
    struct config *config = build->config;
    config->control_plane_count = config_map_count(map);
    config->control_planes = new_array(build, config->control_plane_count, sizeof *config->control_planes);
    for (size_t i = 0; i < config->control_plane_count; i++)
        config->control_planes[i] = (struct config_control_plane){
            .name = copy(build, map->keys[i]), .url = text_of(build, schema_get(map->children[i], "url"))};
}

static void read_hooks(struct config_build *build)
{
    const struct schema_node *map = schema_get(build->root, "hooks");
    struct config *config = build->config;
    config->hook_count = config_map_count(map);
    config->hooks = new_array(build, config->hook_count, sizeof *config->hooks);
    for (size_t i = 0; i < config->hook_count; i++) {
        const struct schema_node *webhook = schema_get(map->children[i], "webhook");
        const struct schema_node *x = schema_get(map->children[i], "x");
        config->hooks[i] = (struct config_hook){.name = copy(build, map->keys[i]),
            .kind = webhook == NULL && x != NULL ? HOOK_X : HOOK_WEBHOOK,
            .url = text_of(build, schema_get(webhook, "url")),
            .secret_file = file_of(build, schema_get(webhook, "secret_file")),
            .credentials_file = file_of(build, schema_get(x, "credentials_file")),
            .allow_private = schema_bool(schema_get(webhook, "allow_private"), false)};
    }
}

static void read_routes(struct config_build *build)
{
    const struct schema_node *list = schema_get(build->root, "routes");
    struct config *config = build->config;
    config->route_count = config_list_count(list);
    config->routes = new_array(build, config->route_count, sizeof *config->routes);
    for (size_t i = 0; i < config->route_count; i++) {
        const struct schema_node *node = list->children[i];
        struct config_route *into = &config->routes[i];
        into->severity_min = (enum severity)0;
        severity_parse(schema_text(schema_get(node, "severity"), ""), &into->severity_min);
        into->has_impact = impact_parse(schema_text(schema_get(node, "impact"), ""), &into->impact_min) == 0;
        into->to = references_of(build, "hooks", schema_get(node, "to"), &into->to_count);
        into->after_ms = schema_duration_us(schema_get(node, "after"), 0) / 1000;
        into->approve = schema_bool(schema_get(node, "approve"), false);
    }
}

void config_read(struct config_build *build)
{
    read_collector(build);
    read_sites(build);
    read_hosts(build);
    read_balancers(build);
    read_services(build);
    read_control_planes(build);
    read_hooks(build);
    read_routes(build);
}

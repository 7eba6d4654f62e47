/* Sense beyond the table, for everything but services: addresses, files, sites and zones, hooks and routes.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "collector/config/config_build.h"
#include "common/file.h"
#include "common/url.h"

#define RUN_BYTES_MAX    60  /* names of sockets are appended, see SOCKET_BYTES_MAX */
#define SOCKET_BYTES_MAX 107 /* sun_path without its NUL, unix(7) */

#define error_at(build, node, ...)   schema_problem((build)->report, SCHEMA_ERROR, node, __VA_ARGS__)
#define warning_at(build, node, ...) schema_problem((build)->report, SCHEMA_WARNING, node, __VA_ARGS__)

/* ── addresses ── */

static bool ipv4_is_private(uint32_t address)
{
    static const struct {
        uint32_t network, mask;
    } rows[] = {
        {0x7f000000, 0xff000000},                                                     /* loopback */
        {0x0a000000, 0xff000000}, {0xac100000, 0xfff00000}, {0xc0a80000, 0xffff0000}, /* RFC 1918 */
        {0xa9fe0000, 0xffff0000}, /* link-local: clouds' metadata */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if ((address & rows[i].mask) == rows[i].network) return true;
    return false;
}

/* Addresses written out and "localhost"; what other names lead to is known only when they are asked. */
static bool address_is_private(struct span host)
{
    char text[256];
    if (host.size >= sizeof text) return false;
    memcpy(text, host.data, host.size);
    text[host.size] = '\0';
    struct in_addr v4;
    struct in6_addr v6;
    if (strcmp(text, "localhost") == 0) return true;
    if (inet_pton(AF_INET, text, &v4) == 1) return ipv4_is_private(ntohl(v4.s_addr));
    if (inet_pton(AF_INET6, text, &v6) != 1) return false;
    return IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_LINKLOCAL(&v6) || (v6.s6_addr[0] & 0xfe) == 0xfc;
}

/* ── collector ── */

/* Behind "*": ":7440". */
static int check_any_address(struct span port_part, struct error *err)
{
    char text[16] = "0.0.0.0";
    struct span host;
    uint16_t port;
    if (port_part.size > 6) return fail(err, ERROR_INPUT, "a port is 1 to 65535");
    memcpy(text + 7, port_part.data, port_part.size);
    return url_split_authority(span_text(text), &host, &port, err);
}

/* "tcp://ADDRESS:PORT", where ADDRESS may be * and PORT may be *: what zmq_bind takes. */
static int check_endpoint(const char *endpoint, struct error *err)
{
    static const char scheme[] = "tcp://";
    if (strncmp(endpoint, scheme, strlen(scheme)) != 0)
        return fail(err, ERROR_INPUT, "it does not begin with tcp://");
    const char *address = endpoint + strlen(scheme), *colon = strrchr(address, ':');
    if (colon == NULL || colon == address)
        return fail(err, ERROR_INPUT, "it has no port: write tcp://0.0.0.0:7440");
    struct span host = span_of(address, (size_t)(colon - address)), authority = span_text(address);
    uint16_t port = 0;
    if (strcmp(colon + 1, "*") == 0) authority.size -= 2; /* a free port */
    if (span_equal(host, span_text("*"))) {               /* all addresses */
        authority = span_of(address + 1, authority.size - 1);
        return authority.size == 0 ? 0 : check_any_address(authority, err);
    }
    return url_split_authority(authority, &host, &port, err);
}

static void check_listen(struct config_build *build, const struct schema_node *collector)
{
    const struct schema_node *node = schema_get(collector, "listen");
    if (node == NULL) return;
    bool one = node->kind == SCHEMA_SCALAR;
    for (size_t i = 0; i < (one ? 1 : config_list_count(node)); i++) {
        const struct schema_node *at = one ? node : node->children[i];
        if (at->kind != SCHEMA_SCALAR || at->text[0] == '\0') continue;
        struct error err;
        if (check_endpoint(at->text, &err) != 0)
            error_at(build, at, "'listen': '%.80s' is no endpoint: %s", at->text, err.text);
        for (size_t k = 0; k < i; k++)
            if (strcmp(schema_text(node->children[k], ""), at->text) == 0 && strstr(at->text, ":*") == NULL)
                error_at(build, at, "'listen': '%.80s' stands here twice", at->text);
    }
}

static void check_web_listen(struct config_build *build, const struct schema_node *collector)
{
    const struct schema_node *node = schema_get(collector, "web_listen");
    const char *text = schema_text(node, "");
    if (text[0] == '\0') return;
    struct span host;
    uint16_t port;
    struct error err;
    if (url_split_authority(span_text(text), &host, &port, &err) != 0)
        error_at(build, node, "'web_listen': '%.80s' is no ADDRESS:PORT: %s", text, err.text);
    else if (port == 0)
        error_at(build, node, "'web_listen': '%.80s' has no port: write 127.0.0.1:7441", text);
    else if (!address_is_private(host))
        warning_at(
            build, node, "'web_listen': whoever reaches %.80s reads everything: there is no login yet", text);
}

static void check_collector(struct config_build *build)
{
    const struct schema_node *node = schema_get(build->root, "collector");
    if (node == NULL || node->kind != SCHEMA_MAPPING) return;
    const struct config_collector *collector = &build->config->collector;
    check_listen(build, node);
    check_web_listen(build, node);
    const struct schema_node *letter = schema_get(node, "letter");
    if (letter != NULL && letter->kind == SCHEMA_SCALAR &&
        (strlen(letter->text) != 1 || letter->text[0] < 'A' || letter->text[0] > 'Z'))
        error_at(build, letter, "'letter' must be one capital letter A to Z, not '%.40s'", letter->text);
    const struct schema_node *run = schema_get(node, "run");
    if (strlen(collector->run) > RUN_BYTES_MAX)
        error_at(build, run != NULL ? run : schema_get(node, "data"),
            "'run' is %zu bytes long, at most %d fit: sockets are made below it; set 'run' to a shorter one "
            "(now %.160s)",
            strlen(collector->run), RUN_BYTES_MAX, collector->run);
    else if (strlen(collector->api_socket) > SOCKET_BYTES_MAX)
        error_at(build, schema_get(node, "api_socket"),
            "'api_socket' is longer than the %d bytes of a socket's name", SOCKET_BYTES_MAX);
}

/* ── sites and hosts ── */

static void check_hosts(struct config_build *build)
{
    const struct config *config = build->config;
    const struct schema_node *map = schema_get(build->root, "hosts");
    size_t declared = config_map_count(map);
    for (size_t i = 0; i < declared; i++) {
        const struct config_host *host = &config->hosts[i];
        if (host->zone[0] == '\0') continue;
        const struct schema_node *zone = schema_get(map->children[i], "zone");
        if (host->site == CONFIG_NONE)
            warning_at(
                build, zone, "host '%.64s' has a zone but no site: a zone is part of a site", host->name);
        /* Against the first host of the zone only: one warning per host that strays. */
        for (size_t k = 0; k < i; k++) {
            if (strcmp(config->hosts[k].zone, host->zone) != 0) continue;
            if (host->site != CONFIG_NONE && config->hosts[k].site != CONFIG_NONE &&
                config->hosts[k].site != host->site)
                warning_at(build, zone,
                    "zone '%.64s' is in site '%.64s' for host '%.64s' and in '%.64s' here", host->zone,
                    config->sites[config->hosts[k].site].name, config->hosts[k].name,
                    config->sites[host->site].name);
            break;
        }
    }
}

/* ── hooks and routes ── */

/* A secret must be there and be one. */
static void check_secret(
    struct config_build *build, const struct schema_node *node, const char *path, enum schema_level level)
{
    struct error err;
    if (node == NULL || node->kind != SCHEMA_SCALAR || path[0] == '\0') return;
    if (file_check_private(path, &err) != 0) schema_problem(build->report, level, node, "%s", err.text);
}

static void check_webhook(
    struct config_build *build, const struct schema_node *node, const struct config_hook *hook)
{
    const struct schema_node *url = schema_get(node, "url");
    struct url_parts parts;
    check_secret(build, schema_get(node, "secret_file"), hook->secret_file, SCHEMA_ERROR);
    if (hook->secret_file[0] == '\0')
        warning_at(
            build, node, "hook '%.64s' has no 'secret_file': its receiver cannot tell who posts", hook->name);
    if (url == NULL || url_split(hook->url, &parts, NULL) != 0) return;
    bool private = address_is_private(parts.host);
    if (private && !hook->allow_private)
        error_at(build, url,
            "hook '%.64s' leads to a private address: nothing is sent there without 'allow_private: yes'",
            hook->name);
    if (!private && span_equal(parts.scheme, span_text("http")))
        warning_at(build, url, "hook '%.64s' posts without encryption: https://", hook->name);
}

static void check_hooks(struct config_build *build)
{
    const struct schema_node *map = schema_get(build->root, "hooks");
    for (size_t i = 0; i < build->config->hook_count; i++) {
        const struct schema_node *webhook = schema_get(map->children[i], "webhook"),
                                 *x = schema_get(map->children[i], "x");
        const struct config_hook *hook = &build->config->hooks[i];
        if (map->children[i]->kind != SCHEMA_MAPPING) continue;
        if (webhook == NULL && x == NULL)
            error_at(build, map->key_nodes[i], "hook '%.64s' has neither 'webhook' nor 'x'", hook->name);
        if (webhook != NULL && x != NULL)
            error_at(build, map->key_nodes[i], "hook '%.64s' has both 'webhook' and 'x': make it two hooks",
                hook->name);
        if (webhook != NULL && webhook->kind == SCHEMA_MAPPING) check_webhook(build, webhook, hook);
        /* Not carried out yet, so a file that is missing stops nothing. */
        check_secret(build, schema_get(x, "credentials_file"), hook->credentials_file, SCHEMA_WARNING);
    }
}

static void check_routes(struct config_build *build)
{
    const struct config *config = build->config;
    const struct schema_node *list = schema_get(build->root, "routes"),
                             *hooks = schema_get(build->root, "hooks");
    for (size_t i = 0; i < config->route_count; i++) {
        const struct schema_node *node = list->children[i];
        if (node->kind == SCHEMA_MAPPING && schema_get(node, "severity") == NULL &&
            schema_get(node, "impact") == NULL)
            warning_at(build, node, "this route has neither 'severity' nor 'impact': everything goes there");
    }
    /* Without any route every hook gets tickets and pages. */
    for (size_t h = 0; h < config->hook_count && config->route_count > 0; h++) {
        bool reached = false;
        for (size_t i = 0; i < config->route_count; i++)
            for (size_t t = 0; t < config->routes[i].to_count; t++) reached |= config->routes[i].to[t] == h;
        if (!reached)
            warning_at(build, hooks->key_nodes[h],
                "no route leads to hook '%.64s': it is never told anything", config->hooks[h].name);
    }
}

void config_check(struct config_build *build)
{
    check_collector(build);
    check_hosts(build);
    config_check_services(build);
    check_hooks(build);
    check_routes(build);
}

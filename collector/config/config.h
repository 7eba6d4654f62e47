/* The collector's configuration as typed data: read from YAML through one table (config_table.c) that parses,
 * checks, prints itself and writes its own manual page. Loaded once per process; immutable afterwards; any
 * thread may read.
 *
 * Strings are owned by the config and never NULL ("" where absent, unless said). Names are
 * [A-Za-z0-9._-]{1,64}. */
#ifndef COLLECTOR_CONFIG_CONFIG_H
#define COLLECTOR_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/contract/words.h"
#include "common/error.h"
#include "common/schema.h"

#define CONFIG_NONE ((size_t)-1) /* "refers to nothing" in the index fields below */

struct config_text_list {
    char **items;
    size_t count;
};

struct config_collector {
    struct config_text_list listen; /* "tcp://0.0.0.0:7440"; "tcp://127.0.0.1:*" takes a free port */
    char *data;                     /* directory of the store, created 0700 */
    char *run;                      /* directory of sockets, default DATA/run; at most 60 bytes */
    char *letter;                   /* one capital letter */
    char *key_file;                 /* default DATA/collector.key, made at the first start */
    char *agents_file; /* who may speak: lines "HOST PUBLICKEY"; default DATA/agents; read again on change */
    char *api_socket;  /* default RUN/api.sock, mode 0660 */
    char *web_listen;  /* "127.0.0.1:7441", "" off (default) */
    uint32_t retention_seconds_days;
};

struct config_site {
    char *name;
    char *provider;                     /* "" unknown */
    struct config_text_list references; /* URLs that tell this site's way out from the target */
};

struct config_host {
    char *name;
    size_t site;   /* index into sites, CONFIG_NONE */
    char *zone;    /* "" none */
    bool observer; /* may be chosen to probe; default true */
    bool maintenance;
};

struct config_balancer {
    char *name;
    bool addresses_dns; /* `addresses: dns`: each address the service's host name resolves to */
    struct config_text_list addresses; /* else "10.0.0.5" or "10.0.0.5:8080" */
    size_t host;                       /* index into hosts where an agent runs on it, CONFIG_NONE */
    char *stats;                       /* HAProxy's "http://…/stats;csv", "" none */
};

/* One hop of `through`, with what it overrides of the URL's way. */
struct config_hop {
    size_t balancer;
    char *scheme;                    /* "" as the URL */
    uint32_t port;                   /* 0 as the URL or the address */
    struct config_text_list headers; /* name, value, … */
    bool insecure;
};

enum backend_state { BACKEND_NORMAL, BACKEND_DRAINING, BACKEND_MAINTENANCE };

struct config_backend {
    char *name;  /* default: host part of the URL; ":port" appended where that alone is not unique */
    char *url;   /* scheme://address[:port] */
    size_t host; /* index into hosts, by `host:` or equal name, CONFIG_NONE */
    enum backend_state state;
    char *balancer_server; /* HAProxy's "proxy/server" where it is not found by address, "" */
};

enum backends_from {
    BACKENDS_LISTED,
    BACKENDS_DNS,
    BACKENDS_FILE,
    BACKENDS_HAPROXY,
    BACKENDS_HTTP,
    BACKENDS_EXEC
};

enum service_kind { SERVICE_WEB, SERVICE_DB, SERVICE_SEARCH, SERVICE_CACHE };

struct config_service {
    char *name;
    enum service_kind kind;
    char *url;    /* as users come */
    char *health; /* path, "" none */
    struct config_hop *through;
    size_t through_count;
    enum backends_from backends_from;
    struct config_backend *backends;
    size_t backend_count;
    size_t *depends_on; /* indexes into services */
    size_t depends_count;
    struct config_text_list alternatives;
    int64_t slo_latency_us;  /* 0 none */
    double slo_availability; /* 0..1, 0 none */
    char *optional;          /* name of the action that switches it off, "" none */
    size_t *hosts;           /* indexes into hosts */
    size_t host_count;
    char *data;                                /* directory on those hosts, "" none */
    uint32_t expect_code_min, expect_code_max; /* 0: 200..399 */
    char *expect_text;
    char *method;           /* "GET" */
    char *credentials_file; /* name of a file on the observer, "" none */
    bool insecure, follow;
    uint32_t capacity_needed; /* backends that must be up to carry the load; 0: all but one, at least one */
    uint32_t observers;       /* 0: 3 */
    /* postgres: {host, dbname, user, password_file}; "" where the service has none */
    char *postgres_host, *postgres_dbname, *postgres_user, *postgres_password_file;
};

struct config_control_plane {
    char *name;
    char *url;
};

enum hook_kind { HOOK_WEBHOOK, HOOK_X, HOOK_KIND_COUNT }; /* a row in delivery's table of channels each */

struct config_hook {
    char *name;
    enum hook_kind kind;
    char *url;
    char *secret_file;      /* webhook: key for the signature, "" unsigned */
    char *credentials_file; /* x */
    bool allow_private;     /* the URL may lead to loopback, private or link-local addresses */
};

struct config_route {
    enum severity severity_min; /* `severity: page` */
    bool has_impact;
    enum impact impact_min;
    size_t *to; /* indexes into hooks */
    size_t to_count;
    int64_t after_ms;
    bool approve;
};

struct config {
    char *path;
    struct config_collector collector;
    struct config_site *sites;
    size_t site_count;
    struct config_host *hosts;
    size_t host_count;
    struct config_balancer *balancers;
    size_t balancer_count;
    struct config_service *services;
    size_t service_count;
    struct config_control_plane *control_planes;
    size_t control_plane_count;
    struct config_hook *hooks;
    size_t hook_count;
    struct config_route *routes;
    size_t route_count;
    struct schema_tree *tree; /* positions, for messages that point into the file */
};

/* Reads and checks. All problems are appended to `report` in file order (errors and warnings: unknown keys
 * with "did you mean", wrong units, references to nothing, duplicates, files that are missing or too open,
 * what this version reads but does not carry out). NULL if there was an error; a config with warnings is
 * good. */
struct config *config_load(const char *path, struct schema_report *report);
/* The same for text in memory; relative file names count from `directory`. */
struct config *config_parse(
    const char *text, size_t size, const char *path, const char *directory, struct schema_report *report);
void config_free(struct config *config);

/* The table, for `faultline check --print-schema` and the manual page. */
const struct schema_field *config_schema(void);

#endif

/* What `faultline setup` finds on a host: disks, listening sockets, balancers and what stands behind them.
 * Parsers take text; what reads files takes a root directory, so that tests run on recorded hosts. Bounded:
 * what is beyond a maximum is left out. One thread. */
#ifndef COLLECTOR_CLI_FIND_H
#define COLLECTOR_CLI_FIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

#define FIND_DISKS_MAX     64
#define FIND_LISTENERS_MAX 512
#define FIND_FRONTS_MAX    64
#define FIND_POOLS_MAX     64
#define FIND_SERVERS_MAX   128 /* of one pool */
#define FIND_BINDS_MAX     8   /* of one front */
#define FIND_NAME_SIZE     65
#define FIND_HOST_SIZE     254

struct find_disk {
    char name[32];
    char model[64]; /* "" unknown */
    uint64_t size_bytes;
    bool rotational;
};

struct find_listener {
    char host[FIND_HOST_SIZE]; /* "127.0.0.1", "::1"; "" all addresses */
    uint16_t port;
    uint64_t inode;
    char process[32]; /* "" not permitted to see */
};

struct find_bind {
    char host[FIND_HOST_SIZE]; /* "" all addresses */
    uint16_t port;
    bool tls;
};

/* Where users come in: an HAProxy frontend or listen, an nginx server. */
struct find_front {
    char name[FIND_NAME_SIZE]; /* nginx: the first server_name, "" none */
    struct find_bind binds[FIND_BINDS_MAX];
    size_t bind_count;
    char pool[FIND_NAME_SIZE]; /* where its requests go, "" nowhere by itself */
    bool http;                 /* else TCP */
};

struct find_server {
    char name[FIND_NAME_SIZE];
    char host[FIND_HOST_SIZE];
    uint16_t port;
    bool tls, disabled;
};

struct find_pool {
    char name[FIND_NAME_SIZE];
    struct find_server servers[FIND_SERVERS_MAX];
    size_t server_count;
    char health[128]; /* the path of its checks, "" none */
    bool http;
};

struct find_balancer {
    const char *program; /* "haproxy", "nginx" */
    struct find_front fronts[FIND_FRONTS_MAX];
    size_t front_count;
    struct find_pool pools[FIND_POOLS_MAX];
    size_t pool_count;
    struct find_bind stats; /* port 0: none */
    char stats_path[128];
    bool stats_login;
};

struct find_host {
    char name[FIND_NAME_SIZE];
    struct find_disk disks[FIND_DISKS_MAX];
    size_t disk_count;
    struct find_listener listeners[FIND_LISTENERS_MAX];
    size_t listener_count;
    struct find_balancer haproxy, nginx;
};

/* Lines of /proc/net/tcp (or tcp6) whose state is LISTEN; one of each port, all addresses before any single
 * one. */
void find_parse_sockets(const char *text, bool ipv6, struct find_host *host);

/* haproxy.cfg. Unknown keywords and broken lines are passed over: HAProxy judges them, not we. */
void find_parse_haproxy(const char *text, struct find_balancer *balancer);

/* nginx.conf. `include` gives the text of an include's pattern, for the caller to free (NULL none). */
typedef char *find_include(void *owner, const char *pattern);
void find_parse_nginx(const char *text, find_include *include, void *owner, struct find_balancer *balancer);

/* "10.0.0.5:80", "*:80", ":80", "[::]:443", "80": false for sockets of files and what is neither. */
bool find_parse_address(const char *text, char host[static FIND_HOST_SIZE], uint16_t *port);

/* Everything below root ("" for this host). */
void find_all(const char *root, struct find_host *host);

/* Whether somebody listens on the port, and who ("" unknown); NULL if nobody. */
const struct find_listener *find_listener_of(const struct find_host *host, uint16_t port);
const struct find_pool *find_pool_of(const struct find_balancer *balancer, const char *name);

#endif

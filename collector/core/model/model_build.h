/* Steps of model_build, each in its own file. Internal to this folder; the building thread. */
#ifndef COLLECTOR_CORE_MODEL_MODEL_BUILD_H
#define COLLECTOR_CORE_MODEL_MODEL_BUILD_H

#include "collector/core/model/model.h"
#include "common/arena.h"

/* What stands over the model while it is built. `enrolled` and `unheard` run along model->hosts. */
struct model_build {
    const struct config *config;
    struct model *model;
    bool *enrolled, *unheard;
    uint32_t targets_capacity;
};

/* Chooses model->services[service].observers. model_observers.c */
void model_choose_observers(const struct model_build *build, uint32_t service);

/* Appends all targets of all services, balancers and references. model_targets.c */
int model_add_targets(struct model_build *build, struct error *err);

/* How often the probes of a service go out so that a backend gets at most MODEL_REQUESTS_PER_SECOND requests.
 * model_rates.c */
#define MODEL_REQUESTS_PER_SECOND 6
#define MODEL_DNS_ADDRESSES       3 /* assumed behind `addresses: dns` */

struct model_rates {
    uint32_t health_ms, hop_ms, users_ms, page_ms;
};
struct model_load {
    uint32_t backends;        /* over which what comes through a balancer spreads */
    uint32_t users_observers; /* 0: no HTTP probe of that kind */
    uint32_t hop_observers;   /* summed over hops and addresses */
    uint32_t page_observers;  /* of one backend, the most */
    uint32_t health_observers;
};
struct model_rates model_choose_rates(const struct model_load *load);
/* Requests a second that one backend gets. */
double model_requests_per_second(const struct model_load *load, const struct model_rates *rates);

/* scheme://host[:port][rest]. port 0: none written. Spans of the text. model_url.c */
struct model_url {
    char scheme[8];
    char authority[280]; /* host[:port] as written */
    char host[264];      /* without brackets */
    uint32_t port;       /* as written, 0 none */
    const char *rest;    /* from the path on, "/" at least; borrowed */
};
int model_url_split(const char *text, struct model_url *url, struct error *err);
uint32_t model_url_port(const struct model_url *url); /* as written or the scheme's */
/* "10.0.0.5", "10.0.0.5:80", "[::1]:80", "::1" -> "address:port" (IPv6 in brackets); port where none is
 * written. */
const char *model_url_connect(struct arena *arena, const char *address, uint32_t port);

#endif

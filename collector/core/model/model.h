/* The site as the engine sees it: what can break, what is probed from where, and which components each probe
 * crosses. Compiled from the config (model_build) or by hand in tests and simulations; immutable while an
 * engine uses it.
 *
 * Indexes point into the arrays of struct model; MODEL_NONE means none. Any thread may read. */
#ifndef COLLECTOR_CORE_MODEL_MODEL_H
#define COLLECTOR_CORE_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/config/config.h"
#include "collector/contract/words.h"
#include "common/error.h"
#include "proto/limits.h"
#include "proto/probe.h"
#include "proto/wire.h"

#define MODEL_NONE          UINT32_MAX
#define MODEL_OBSERVERS_MAX 5 /* per service */

struct model_site {
    const char *name;
    const char *provider; /* "" unknown */
};

struct model_zone {
    const char *name;
};

struct model_host {
    const char *name;
    uint32_t site, zone;
    bool maintenance;
};

struct model_balancer {
    const char *name;
    uint32_t host; /* with an agent on it */
};

struct model_backend {
    const char *name;
    uint32_t service;
    uint32_t host; /* where it runs, if known: for its zone, and so that it never observes itself */
    uint32_t zone;
    enum backend_state state; /* as the config says; the balancer's word arrives at run time */
};

struct model_service {
    const char *name;
    enum service_kind kind;
    uint32_t *hops; /* balancers in the order users pass them */
    uint32_t hop_count;
    uint32_t first_backend, backend_count;   /* consecutive */
    uint32_t observers[MODEL_OBSERVERS_MAX]; /* hosts, never a backend's own */
    uint32_t observer_count;
    uint32_t capacity_needed; /* backends that must be up; at least 1 where there are any */
    uint32_t *depends_on;
    uint32_t depends_count;
    const char *const *alternatives;
    uint32_t alternative_count;
};

/* Where a probe enters. What it crosses follows:
 *   USERS      egress of the observer's site, every hop in order, one of the backends (each 1/B), what is
 * behind HOP        hop `balancer` and those after it, one of the backends BACKEND    backend `backend` only
 * (page)          HEALTH  the same with the health URL: no worker, no dependency REFERENCE  the egress of the
 * observer's site only STATS      nothing: what the balancer says of itself, evidence only */
enum model_entrance {
    ENTRANCE_USERS,
    ENTRANCE_HOP,
    ENTRANCE_BACKEND,
    ENTRANCE_HEALTH,
    ENTRANCE_REFERENCE,
    ENTRANCE_STATS,
    ENTRANCE_COUNT
};
const char *model_entrance_word(enum model_entrance entrance); /* "users", "hop", … : the label `path` */

/* One probe in the plan of its observers. */
struct model_target {
    uint64_t key;     /* wire_target.key: xxh3 of the labels and the way, stable across plans */
    uint32_t service; /* MODEL_NONE for REFERENCE */
    enum model_entrance entrance;
    enum probe_kind probe;
    uint32_t balancer; /* HOP, STATS: the balancer probed */
    uint32_t hop;      /* HOP: its position in the service's hops */
    uint32_t backend;  /* BACKEND, HEALTH: index into backends */
    uint32_t site;     /* REFERENCE */
    const char *name;  /* the label `target`: "www", "lb-www", "app1", the reference's URL */
    const char
        *address; /* the label `address`: a configured "10.0.0.5:80"; "" when observers fill it in or none */
    uint32_t
        observers[MODEL_OBSERVERS_MAX + 1]; /* those of the service; +1: the agent on the balancer's host */
    uint32_t observer_count;
    struct wire_target wire; /* what is sent; strings live in the model */
};

struct model {
    char letter; /* of this collector */
    struct model_site *sites;
    uint32_t site_count;
    struct model_zone *zones;
    uint32_t zone_count;
    struct model_host *hosts;
    uint32_t host_count;
    struct model_balancer *balancers;
    uint32_t balancer_count;
    struct model_backend *backends;
    uint32_t backend_count;
    struct model_service *services;
    uint32_t service_count;
    struct model_target *targets;
    uint32_t target_count;
    struct arena *arena; /* owns all of the above */
};

/* Observers: at most five a service (config: default 3), chosen by rendezvous hashing over sites and zones
 * among `present` (names of enrolled hosts; those with observer: false or in maintenance are left out). Hosts
 * of the service's own backends and balancers fill up only where fewer than three others are there; a
 * backend's own host never probes it unless there is no other. The agent on the host of the last hop's
 * balancer is added to the page and connect probes of the backends. Hosts that are enrolled without being in
 * the config are added to the model, without a site. Rates are set so that a backend gets at most 6 requests
 * a second for a service when quiet, from all observers and entrances together. Deterministic. ERROR_INPUT: a
 * URL that is none. */
struct model *model_build(
    const struct config *config, const char *const *present, size_t present_count, struct error *err);
/* The same; the last `unheard` names of `present` are chosen only where all others are too few. */
struct model *model_build_unheard(const struct config *config, const char *const *present,
    size_t present_count, size_t unheard, struct error *err);
void model_free(struct model *model);

/* MODEL_NONE if unknown. */
uint32_t model_host_find(const struct model *model, const char *name);
uint32_t model_target_find(const struct model *model, uint64_t key);
/* By the labels of a dictionary entry (service, path, target, probe): for data that came before this plan. */
uint32_t model_target_by_labels(const struct model *model, const struct wire_label *labels, size_t count);

#endif

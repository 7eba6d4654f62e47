/* A simulated site in virtual time: agents that probe on the grid and in bursts, send failures at once and
 * successes with the next second, report late probes twice; faults that a test switches on and off; the
 * engine that judges it. Deterministic by seed. */
#ifndef TESTS_SUPPORT_SITE_WORLD_H
#define TESTS_SUPPORT_SITE_WORLD_H

#include "collector/core/engine/engine.h"
#include "tests/support/site_builder.h"

#define WORLD_MOST     1024
#define WORLD_START_MS 1795400000000LL

enum world_fault {
    WORLD_FINE,
    WORLD_REFUSES, /* connection refused */
    WORLD_DROPS,   /* nothing comes back */
    WORLD_HANGS,   /* connects, never answers */
    WORLD_ERRORS,  /* 503 */
    WORLD_SLOW     /* slow_us more */
};

struct world {
    struct site_builder *site;
    struct model *model;
    struct engine *engine;
    int64_t now_ms;
    uint64_t random;
    /* faults; share: of the requests, 0 means all */
    enum world_fault balancer[WORLD_MOST], address[WORLD_MOST][SITE_ADDRESSES_MAX];
    double balancer_share[WORLD_MOST];
    enum world_fault backend[WORLD_MOST]; /* page, health and, where it refuses or drops, the connect */
    double backend_share[WORLD_MOST];
    enum world_fault page[WORLD_MOST];            /* of a backend: only the page, health answers */
    bool health_503[WORLD_MOST];                  /* announces a drain */
    enum world_fault behind_balancer[WORLD_MOST]; /* the balancer cannot reach its servers */
    bool unreachable_from_balancer[WORLD_MOST];   /* this backend, from the balancer's host only */
    bool out_of_rotation[WORLD_MOST];             /* the balancer sends nothing there */
    bool observer_cut[WORLD_MOST];                /* everything it does ends in nothing */
    bool agent_dead[WORLD_MOST];                  /* no frames at all */
    bool probes_stop[WORLD_MOST];                 /* heartbeats, but no outcomes */
    bool to_balancer_cut[WORLD_MOST], to_backend_cut[WORLD_MOST][8];  /* one observer's route */
    double observer_share[WORLD_MOST], to_balancer_share[WORLD_MOST]; /* of what the two above would break */
    enum world_fault cut_as; /* how cut probes end, WORLD_DROPS unless set */
    bool references_down;
    enum probe_error answer[WORLD_MOST]; /* by target: always ends so (redirect, blocked, …) */
    uint32_t answer_code[WORLD_MOST];
    double slow_us;
    double latency_us; /* median, 2 ms by default */
    double noise;      /* each probe fails with this probability */
    double noise_rho;  /* correlation of a path's noise from probe to probe (AR(1) behind a threshold) */
    bool no_bursts;
    /* what came out */
    struct engine_step *steps;
    size_t step_count, step_room;
    uint64_t bursts, observations;
    uint32_t sent_in_second[WORLD_MOST]; /* by target, the present second */
    uint32_t sent_in_second_max[WORLD_MOST];
    struct world_events *events;
};

/* Takes the builder; makes its model and an engine. */
struct world *world_new(struct site_builder *site, uint64_t seed);
void world_free(struct world *world);
void world_run(
    struct world *world, int64_t ms); /* steps the engine every 50 ms, as a role would after a batch */

/* What waits is answered now, as after packets that were dropped come through again. */
void world_release(struct world *world);

/* The engine from a snapshot, as after a restart; agents stay. */
void world_restart(struct world *world, int64_t away_ms);
/* What an engine that has watched such a site knows; the same for every world of that site. Restored: paths
 * proven. */
void world_remember(const struct world *world, struct buffer *memory);
void world_recall(struct world *world, const struct buffer *memory);
void world_replace_model(struct world *world); /* by itself: keeps what is known */

/* Steps of one kind, or all with STEP_COUNT; of incidents whose component is `component` (NULL any). */
size_t world_count(const struct world *world, enum step step, const char *component);
const struct engine_step *world_find(const struct world *world, enum step step, const char *component);
const struct incident *world_last(const struct world *world, const char *component); /* as last told, NULL */
size_t world_pages(const struct world *world); /* steps of severity page */
void world_print(const struct world *world);
void world_forget_steps(struct world *world);

#endif

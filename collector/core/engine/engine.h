/* Judges. Deterministic: observations and `now` in, steps of incidents, bursts and lateness limits out. It
 * sees no socket, no database and no clock; one thread (core's engine role) owns it.
 *
 * Method: sequential likelihood ratios over the probe matrix (Page's CUSUM per hypothesis, Lorden's bound for
 * the threshold); README.md beside this file writes down the hypotheses, streams, thresholds and what was
 * measured. */
#ifndef COLLECTOR_CORE_ENGINE_ENGINE_H
#define COLLECTOR_CORE_ENGINE_ENGINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/contract/incident.h"
#include "collector/core/model/model.h"
#include "common/error.h"
#include "common/span.h"
#include "proto/probe.h"

struct engine;

/* One outcome of one probe. Times on the collector's wall clock: the caller has corrected the observer's
 * offset. */
struct engine_observation {
    uint32_t host;       /* observer */
    uint32_t target;     /* index into the model's targets */
    const char *address; /* of the label `address`, "" none: each address is a path of its own */
    struct probe_result result;
};

struct engine_step {
    enum step step;
    struct incident incident; /* as it is after the step; incident.steps numbers it */
    int64_t at_ms;
};

/* Ask these observers to probe these targets more often for a while. */
struct engine_burst {
    uint32_t target;
    uint32_t host;
    uint32_t duration_ms, interval_ms, phase_ms;
};

struct engine_late_after {
    uint32_t target;
    uint32_t late_after_ms; /* T of the target, learned: 300 ms .. 2 s */
};

struct engine_output {
    struct engine_step *steps;
    size_t step_count;
    struct engine_burst *bursts;
    size_t burst_count;
    struct engine_late_after *late_after;
    size_t late_after_count;
    bool proved; /* a way has proven itself: without a snapshot of it, it would have to do so again */
};

/* The model is borrowed and must outlive the engine (or the next engine_replace_model). start_ms: nothing
 * opens before 2 s have passed since then. */
struct engine *engine_new(const struct model *model, int64_t start_ms);
void engine_free(struct engine *engine);

/* A new plan: what both models know by key or name is kept, the rest starts anew. */
void engine_replace_model(struct engine *engine, const struct model *model, int64_t now_ms);

/* Feeds one observation. Observations older than 10 s go to baselines only. Order by arrival. */
void engine_observe(struct engine *engine, const struct engine_observation *observation, int64_t now_ms);

/* The agent of a host has been heard (any frame), or its connection went. */
void engine_heard(struct engine *engine, uint32_t host, int64_t now_ms);
void engine_gone(struct engine *engine, uint32_t host, int64_t now_ms);
/* Nobody could hear this host until now: its silence is counted from here, what was heard stays as it is. */
void engine_excuse(struct engine *engine, uint32_t host, int64_t now_ms);
/* When the host spoke last, also before a restart of the collector; 0 never. */
int64_t engine_last_heard(const struct engine *engine, uint32_t host);

/* What a balancer says of one of its servers: up, down, draining or in maintenance. */
enum balancer_word {
    BALANCER_SAYS_NOTHING,
    BALANCER_SAYS_UP,
    BALANCER_SAYS_DOWN,
    BALANCER_SAYS_DRAINING,
    BALANCER_SAYS_MAINTENANCE
};
void engine_balancer_says(
    struct engine *engine, uint32_t balancer, uint32_t backend, enum balancer_word word, int64_t now_ms);

/* The highest incident number ever used: ids count on from there. Smaller numbers than the engine's own are
 * ignored. */
void engine_set_last_number(struct engine *engine, uint64_t number);

/* The first delivery of an incident's step succeeded. */
void engine_notified(struct engine *engine, const char *incident_id, int64_t at_ms);

/* Judges what has come in and what time has done; call after each batch of observations and at least every
 * 250 ms. Appends to output (whose arrays live until the next call on this engine). */
void engine_step(struct engine *engine, int64_t now_ms, struct engine_output *output);

/* The whole state as bytes, and back. A snapshot of an unknown version or another model's parts restores what
 * it can; ERROR_CORRUPT leaves the engine as new. */
void engine_snapshot(const struct engine *engine, struct buffer *out);
int engine_restore(struct engine *engine, struct span snapshot, int64_t now_ms, struct error *err);

/* What it thinks now, for `status`, `map` and the page:
 * {"at", "services": [{"name", "verdict", "backends":
 * [{"name","state":"up|down|unknown|unproven|silent|draining| maintenance","balancer_says"}], "hops":
 * [{"name","state","addresses"}], "observers": [...], "paths":
 *  [{"observer","entrance","target","address","probe","state":"proven|unproven|blocked|silent",
 *  "good_in_row","good_needed","p50_us","q99_us","late_after_ms","last":
 * {"outcome","error","code","total_us","at"}, "reason","remedy"}]}], "hosts":
 * [{"name","state":"reporting|silent|never|left out…","last_heard"}], "incidents": [open ones]} A verdict
 * (and a hop's state) is what the last seconds showed at the way users come: "healthy" (proven, answered,
 * nothing open), "redundancy lost" (answered, an incident that users do not feel), "suspicious" (some just
 * failed), "failing" (nobody got an answer, no verdict yet), an incident's mode ("down", "hung", "errors",
 * …), "recovering" (answered again, the incident not resolved yet), "unknown" (every observer is itself in
 * doubt), "unproven", "silent". */
json_t *engine_status(const struct engine *engine, int64_t now_ms);

#endif

/* state.db: incidents, their steps, deliveries with their outcomes, the timeline, the engine's snapshot. One
 * thread (core's state role) writes; web and command line read through state_open_reader. WAL,
 * synchronous=FULL. */
#ifndef COLLECTOR_CORE_STATE_STATE_H
#define COLLECTOR_CORE_STATE_STATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "collector/contract/incident.h"
#include "common/error.h"
#include "common/span.h"

struct state;

/* Takes the lock of the directory (ERROR_AGAIN: another process has it). A newer schema is ERROR_UNSUPPORTED
 * and touches nothing. A corrupt file is moved aside (state.db.corrupt-N) and a new one begun. */
struct state *state_open(const char *directory, struct error *err);
/* What happened to a corrupt file at opening, for a note and the log; "" if nothing did. */
const char *state_replaced(const struct state *state);
/* Read-only, beside a running writer or after it; ERROR_IO if there is no file. */
struct state *state_open_reader(const char *directory, struct error *err);
void state_close(struct state *state);

/* One transaction: the incident as it now is, the step, its deliveries (ROLE_STEP's JSON). 0 also when the
 * same (incident, number) is there already: then only deliveries of an id not yet known are added (those of
 * routes with `after` come later than their step). ERROR_INPUT names the key that is wrong. */
int state_record_step(struct state *state, const json_t *step, struct error *err);
/* The same with the engine's snapshot (empty: none) in the same transaction: a restart knows both or neither.
 */
int state_record_step_and_snapshot(
    struct state *state, const json_t *step, struct span snapshot, struct error *err);

/* Outcome of a delivery (ROLE_OUTCOME's JSON). first_delivered: incident id whose first delivery this was,
 * else "". */
int state_record_outcome(struct state *state, const json_t *outcome,
    char first_delivered[static INCIDENT_ID_SIZE], int64_t *at_ms, struct error *err);

/* 1 once per incident, when its first delivery has succeeded (at_ms says when); 0 otherwise. For outcomes
 * that arrived before their step. */
int state_take_notified(struct state *state, const char *incident, int64_t *at_ms, struct error *err);

/* {"at", "kind", "component" ("" none), "text"}. The newest 100,000 are kept. */
int state_record_note(struct state *state, const json_t *note, struct error *err);

/* Deliveries without a final outcome, oldest first, as ROLE_DELIVER's JSON with "attempts" so far. New
 * reference. */
json_t *state_pending(struct state *state, struct error *err);

int state_put_snapshot(struct state *state, struct span bytes, int64_t now_ms, struct error *err);
/* Appends the newest snapshot; nothing if there is none. */
int state_get_snapshot(struct state *state, struct buffer *out, struct error *err);

/* Incidents as incident_to_json's objects, newest first; `only_state` NULL: all. New reference. */
json_t *state_incidents(struct state *state, const char *only_state, size_t limit, struct error *err);

/* One incident with everything that belongs to it: {"incident", "timeline": [{at, kind, text, source}],
 * "deliveries": [{id, hook, channel, step, number, attempts, result ("pending", "retry",
 * "delivered", "permanent"), at, last_attempt_at, delivered_at, status, detail, ms}]}. NULL with ERROR_INPUT:
 * unknown id. */
json_t *state_incident(struct state *state, const char *id, struct error *err);

/* The number the next incident gets is the highest ever used plus one. */
int state_last_number(struct state *state, uint64_t *number, struct error *err);

#endif

/* Who is told what and when: steps of incidents in, deliveries out, by the config's routes. No socket, no
 * clock; one thread (core's engine role) owns it.
 *
 * A hook hears of an incident when a route that leads to it matches: severity and impact at least those of
 * the route, and the incident has lasted `after`. From then on it hears every step, whatever the route says:
 * who was woken must learn that it is over. An incident that is over before a hook has heard of it is not
 * told to it. Without routes every hook hears of incidents of severity ticket or worse. Routes with `approve`
 * tell nobody by themselves.
 *
 * At most NOTIFY_CAP messages go to a hook within NOTIFY_CAP_MS (NOTIFY_CAP_OPENED for the opening of a
 * page); what is above waits, and only the newest step of an incident is told then: nothing is lost, steps in
 * between are. */
#ifndef COLLECTOR_CORE_NOTIFY_NOTIFY_H
#define COLLECTOR_CORE_NOTIFY_NOTIFY_H

#include <jansson.h>
#include <stdint.h>

#include "collector/config/config.h"
#include "collector/core/engine/engine.h"
#include "common/error.h"

#define NOTIFY_CAP           30
#define NOTIFY_CAP_OPENED    60
#define NOTIFY_CAP_MS        (10 * 60 * 1000)
#define NOTIFY_INCIDENTS_MAX 512 /* remembered; the one whose step is oldest is forgotten first */
#define NOTIFY_ID_SIZE       33  /* 128 bits in hex and NUL */

struct notify;

/* The config is borrowed. */
struct notify *notify_new(const struct config *config);
void notify_free(struct notify *notify);

/* What is to be recorded of a step, with what is to be told at once: ROLE_STEP's object {"incident", "step",
 * "number", "at", "deliveries": [ROLE_DELIVER's objects]}. New reference, never NULL. */
json_t *notify_step(struct notify *notify, const struct engine_step *step, int64_t now_ms);

/* What has become due since: routes with `after`, caps that give way. Array of ROLE_STEP's objects of steps
 * already recorded, each with the deliveries that are new. Empty most of the time. New reference. */
json_t *notify_due(struct notify *notify, int64_t now_ms);

/* What it remembers of incidents, and back, by the names of hooks. ERROR_INPUT: not what notify_to_json
 * wrote; then it remembers nothing. */
json_t *notify_to_json(const struct notify *notify);
int notify_from_json(struct notify *notify, const json_t *object, struct error *err);

/* The same message of the same step to the same hook has the same id, today and after any restart. */
void notify_delivery_id(
    const char *incident, uint32_t number, const char *hook, char id[static NOTIFY_ID_SIZE]);

#endif

/* What time does to incidents: impact raised and lowered, mitigated when users are served again, resolved
 * when the reversed sum says that it is over and it stays so. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "collector/core/engine/internal.h"
#include "common/check.h"

#define AMEND_MS     5000   /* amendments that raise nothing wait for each other */
#define FIRST_MS     1000   /* … and the first for what the first seconds bring */
#define HELD_MS      10000  /* a hold that is longer is told as mitigated; a shorter one ends soon enough */
#define SERVED_MS    5000   /* good at the entrance for so long: users are served */
#define LOWER_MS     4000   /* an impact is lowered after this time without it */
#define UNPLANNED_MS 120000 /* after a start, until an incident without any path is given up */

/* ---- recovery ---- */

static void recover_ground(struct engine *engine, struct cause *cause, struct ground *ground,
    const struct path *path, const struct evidence *evidence)
{
    const struct cover *cover = NULL;
    for (uint32_t i = 0; i < path->cover_count && cover == NULL; i++)
        if (path->covers[i].place == ground->place) cover = &path->covers[i];
    if (cover == NULL || cover->share != SHARE_FULL) return;
    bool bad = ground->stream == STREAM_FAIL ? evidence->failed : evidence->slow;
    if (!bad && (evidence->start_ms < ground->since_ms || (path->shallow && !cover->shallow_ok))) return;
    ground->recovery -= engine->pools[path->pool].llr[ground->stream][bad][ground->q];
    if (ground->recovery < 0) ground->recovery = 0;
    if (bad && ground->recovered) return; /* whether it is back is for the sums to say */
    if (ground->recovery < RECOVERY_SUM || ground->recovered) return;
    ground->recovered = true;
    uint32_t group = engine->places[ground->place].group;
    group_forget(engine, group);
    engine->groups[group].reset_ms = evidence->start_ms;
    for (uint32_t i = 0; i < cause->ground_count; i++)
        if (!cause->grounds[i].recovered) return;
    cause->recovered_ms = engine->now_ms;
}

/* What users met since: a fault of one request in thirty is not over because ten went well. */
static void count_entrance(
    struct engine *engine, struct cause *cause, const struct path *path, const struct evidence *evidence)
{
    const struct model_target *target = &engine->model->targets[path->target];
    if (target->entrance != ENTRANCE_USERS || path->aside ||
        !cause_touches_service(engine, cause, target->service))
        return;
    if (evidence->failed) {
        cause->entrance_good = 0;
        cause->entrance_good_ms = 0;
        return;
    }
    cause->entrance_good++;
    if (cause->entrance_good_ms == 0) cause->entrance_good_ms = evidence->start_ms;
}

static bool entrance_is_well(const struct engine *engine, const struct cause *cause)
{
    double q = cause->ground_count > 0 ? magnitudes[cause->grounds[0].q] : .9;
    return cause->entrance_good_ms != 0 && engine->now_ms - cause->entrance_good_ms >= SERVED_MS &&
           cause->entrance_good >= RECOVERY_SUM / -log(1 - q);
}

static bool touches_any_service(const struct engine *engine, const struct cause *cause)
{
    for (uint32_t s = 0; s < engine->model->service_count; s++)
        if (cause_touches_service(engine, cause, s)) return true;
    return false;
}

/* Another open incident of the same users: one that hurts them, or too young to know. */
static bool users_have_another(const struct engine *engine, const struct cause *cause)
{
    for (uint32_t i = 0; i < engine->cause_count; i++) {
        const struct cause *other = engine->causes[i];
        if (other == cause || other->recovered_ms != 0 || other->incident.state != INCIDENT_STATE_OPEN)
            continue;
        if (other->incident.impact < IMPACT_USERS_HURT &&
            engine->now_ms - other->incident.detected_ms >= SERVED_MS)
            continue;
        for (uint32_t s = 0; s < engine->model->service_count; s++)
            if (cause_touches_service(engine, cause, s) && cause_touches_service(engine, other, s))
                return true;
    }
    return false;
}

/* Recovered, but it came back before: watched for a while, and told as what users have meanwhile. */
static bool is_held(const struct cause *cause)
{
    return cause->recovered_ms != 0 && cause->hold_ms > HELD_MS;
}

void causes_recover(struct engine *engine, const struct path *path, const struct evidence *evidence)
{
    for (uint32_t i = 0; i < engine->cause_count; i++) {
        struct cause *cause = engine->causes[i];
        count_entrance(engine, cause, path, evidence);
        for (uint32_t g = 0; g < cause->ground_count; g++)
            if (cause->grounds[g].place != MODEL_NONE)
                recover_ground(engine, cause, &cause->grounds[g], path, evidence);
    }
}

/* A backend that is drained on purpose, or that the plan no longer has, is nobody's fault any more. */
static bool excused(const struct engine *engine, const struct cause *cause)
{
    bool any = false;
    for (uint32_t i = 0; i < cause->ground_count; i++) {
        if (cause->grounds[i].place == MODEL_NONE) continue;
        const struct place *place = &engine->places[cause->grounds[i].place];
        if (place->backend == MODEL_NONE || !engine->backends[place->backend].excluded) return false;
        any = true;
    }
    return any;
}

/* ---- what time does ---- */

static void lower_or_raise(struct engine *engine, struct cause *cause)
{
    struct incident *incident = &cause->incident;
    if (cause->recovered_ms != 0 && !is_held(cause)) return; /* what it was stays in its last word */
    struct impact_view view;
    enum impact impact = impact_of(engine, cause, &view);
    /* One bad request alone makes nobody suffer whom nothing ailed before. */
    bool raised =
        impact > incident->impact && (impact < IMPACT_USERS_HURT || view.bad_recent > 1 || view.all == 0);
    if (raised) incident->impact = impact;
    if (impact >= incident->impact) {
        cause->lower_since_ms = 0;
    } else if (cause->lower_since_ms == 0) {
        cause->lower_since_ms = engine->now_ms;
    } else if (engine->now_ms - cause->lower_since_ms >= LOWER_MS &&
               (incident->impact < IMPACT_USERS_HURT || entrance_is_well(engine, cause) ||
                   !touches_any_service(engine, cause))) {
        incident->impact = impact;
        cause->lower_since_ms = 0;
    }
    if (incident->impact >= IMPACT_USERS_HURT) cause->hurt_users = true;
    cause_set_severity(engine, cause, &view);
}

static bool differs_from_told(const struct cause *cause)
{
    const struct incident *i = &cause->incident;
    return i->impact != cause->told_impact || i->mode != cause->told_mode ||
           i->severity != cause->told_severity || i->confidence != cause->told_confidence ||
           strcmp(i->component, cause->told_component) != 0;
}

static void tell_changes(struct engine *engine, struct cause *cause)
{
    struct incident *incident = &cause->incident;
    bool hurts = incident->impact >= IMPACT_USERS_HURT;
    bool goes_on = cause->recovered_ms == 0 || is_held(cause);
    if (incident->state == INCIDENT_STATE_OPEN && cause->hurt_users && !hurts && goes_on &&
        entrance_is_well(engine, cause) && !users_have_another(engine, cause)) {
        incident->state = INCIDENT_STATE_MITIGATED;
        incident->mitigated_ms = engine->now_ms;
        cause_tell(engine, cause, STEP_MITIGATED);
        return;
    }
    if (incident->state == INCIDENT_STATE_MITIGATED && hurts) {
        incident->state = INCIDENT_STATE_OPEN;
        incident->mitigated_ms = 0;
        cause_tell(engine, cause, STEP_AMENDED);
        return;
    }
    if (!goes_on || !differs_from_told(cause)) return;
    bool urgent = (incident->severity == SEVERITY_PAGE && cause->told_severity != SEVERITY_PAGE) ||
                  strcmp(incident->component, cause->told_component) != 0;
    bool patient =
        engine->now_ms - cause->amended_ms >= AMEND_MS && engine->now_ms - incident->detected_ms >= FIRST_MS;
    if (urgent || patient) cause_tell(engine, cause, STEP_AMENDED);
}

/* Silence is no recovery: something it covers must still be seen. */
static bool still_seen(const struct engine *engine, const struct cause *cause)
{
    if (cause->source != CAUSE_MATRIX) return true;
    for (uint32_t i = 0; i < cause->ground_count; i++)
        if (cause->grounds[i].place != MODEL_NONE && place_viewers(engine, cause->grounds[i].place) > 0)
            return true;
    return false;
}

/* Places come with their paths: a cause restored from a snapshot finds its own when they are seen again. One
 * that the plan does not have any more is closed, and said so. */
static bool find_grounds(struct engine *engine, struct cause *cause)
{
    bool found = cause->source != CAUSE_MATRIX || cause->ground_count == 0, changed = false;
    for (uint32_t i = 0; i < cause->ground_count; i++) {
        struct ground *ground = &cause->grounds[i];
        if (ground->place == MODEL_NONE) {
            ground->place = places_find(engine, ground->key);
            changed = changed || ground->place != MODEL_NONE;
        }
        found = found || ground->place != MODEL_NONE;
    }
    if (changed) causes_reattach(engine);
    return found;
}

/* Whether the cause is gone for good and was resolved (and freed). */
static bool resolve_if_over(struct engine *engine, struct cause *cause)
{
    if (cause->source == CAUSE_MATRIX && excused(engine, cause)) {
        snprintf(cause->incident.advice, sizeof cause->incident.advice, "taken out of service on purpose");
        cause_resolve(engine, cause);
        return true;
    }
    if (!find_grounds(engine, cause) && engine->now_ms - engine->start_ms > UNPLANNED_MS) {
        snprintf(cause->incident.advice, sizeof cause->incident.advice, "no longer part of the plan");
        cause_resolve(engine, cause);
        return true;
    }
    if (cause->recovered_ms == 0 || engine->now_ms - cause->recovered_ms < cause->hold_ms) return false;
    if (!still_seen(engine, cause)) return false;
    cause_resolve(engine, cause);
    return true;
}

void causes_step(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->cause_count; i++) {
        struct cause *cause = engine->causes[i];
        if (resolve_if_over(engine, cause)) {
            i--;
            continue;
        }
        if (cause->source == CAUSE_MATRIX && cause->ground_count > 0 &&
            cause->grounds[0].place != MODEL_NONE && cause->recovered_ms == 0) {
            const struct ground *ground = &cause->grounds[0];
            cause->incident.mode = mode_of(
                engine, ground->place, ground->stream, cause->incident.mode, cause->incident.onset_ms);
            if (engine->now_ms - cause->incident.detected_ms < 10000) {
                cause_name(engine, cause);
                cause_set_confidence(cause, cause->incident.posterior);
            }
            struct cause *callee =
                cause->behind ? cause_of_callee(engine, engine->places[ground->place].service) : NULL;
            if (callee != NULL && callee != cause) {
                if (callee->ground_count < ENGINE_GROUNDS_MAX)
                    callee->grounds[callee->ground_count++] = *ground;
                cause_absorb(engine, callee, cause);
                causes_reattach(engine);
                i--;
                continue;
            }
        }
        lower_or_raise(engine, cause);
        tell_changes(engine, cause);
    }
}

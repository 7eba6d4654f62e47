/* Incidents as objects: found, told, opened, absorbed, resolved; which places they hold open. verdicts.c
 * opens and renames them, recovery.c ends them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/engine/internal.h"
#include "common/check.h"

#define HOLD_FLAPPING_MS 60000

/* ---- finding ---- */

struct cause *cause_find(struct engine *engine, const char *component)
{
    for (uint32_t i = 0; i < engine->cause_count; i++)
        if (strcmp(engine->causes[i]->incident.component, component) == 0) return engine->causes[i];
    return NULL;
}

const struct place *cause_place(const struct engine *engine, const struct cause *cause)
{
    return cause->ground_count > 0 && cause->grounds[0].place != MODEL_NONE
               ? &engine->places[cause->grounds[0].place]
               : NULL;
}

/* The cause that blames this component of the matrix, whatever it is called to people. */
struct cause *cause_of_component(struct engine *engine, const char *component)
{
    for (uint32_t i = 0; i < engine->cause_count; i++) {
        const struct cause *cause = engine->causes[i];
        for (uint32_t g = 0; g < cause->ground_count; g++)
            if (cause->grounds[g].place != MODEL_NONE &&
                strcmp(engine->places[cause->grounds[g].place].component, component) == 0)
                return engine->causes[i];
    }
    return NULL;
}

static bool cause_in_group(const struct engine *engine, const struct cause *cause, uint32_t group)
{
    for (uint32_t i = 0; i < cause->ground_count; i++)
        if (cause->grounds[i].place != MODEL_NONE && engine->places[cause->grounds[i].place].group == group)
            return true;
    return false;
}

uint32_t place_viewers(const struct engine *engine, uint32_t place)
{
    uint32_t hosts[MODEL_OBSERVERS_MAX * 4];
    uint32_t count = 0;
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *path = &engine->paths[p];
        if (!engine->ways[path->way].proven || !place_covers_path(engine, place, p)) continue;
        if (!path_fresh(engine, path)) continue;
        uint32_t k = 0;
        while (k < count && hosts[k] != path->host) k++;
        if (k == count && k < ARRAY_COUNT(hosts)) hosts[count++] = path->host;
    }
    return count;
}

/* ---- flapping ---- */

void flap_note(struct engine *engine, const char *component)
{
    struct flap *at = &engine->flaps[0];
    for (size_t i = 0; i < ENGINE_RECENT_MAX; i++) {
        struct flap *flap = &engine->flaps[i];
        if (strcmp(flap->component, component) == 0) {
            at = flap;
            break;
        }
        if (flap->resolved_ms < at->resolved_ms) at = flap;
    }
    if (strcmp(at->component, component) != 0 || engine->now_ms - at->resolved_ms > FLAP_MEMORY_MS)
        at->count = 0;
    snprintf(at->component, sizeof at->component, "%s", component);
    at->resolved_ms = engine->now_ms;
    at->count++;
}

int64_t hold_for(const struct engine *engine, const char *component)
{
    for (size_t i = 0; i < ENGINE_RECENT_MAX; i++) {
        const struct flap *flap = &engine->flaps[i];
        if (strcmp(flap->component, component) != 0 || engine->now_ms - flap->resolved_ms > FLAP_MEMORY_MS)
            continue;
        int64_t hold = (int64_t)HOLD_FLAPPING_MS * flap->count * flap->count;
        return hold < HOLD_MAX_MS ? hold : HOLD_MAX_MS;
    }
    return HOLD_MS;
}

/* ---- telling ---- */

bool cause_is_past(const struct cause *cause)
{
    return cause->incident.state == INCIDENT_STATE_RESOLVED || cause->recovered_ms != 0;
}

void cause_tell(struct engine *engine, struct cause *cause, enum step step)
{
    struct impact_view view;
    enum impact keep = cause->incident.impact;
    impact_of(engine, cause, &view);
    cause->incident.impact = keep;
    cause->incident.steps++;
    if (cause_is_past(cause) && cause->source == CAUSE_MATRIX) {
        /* The words of the fault stay as they were told; so does what they say. */
        cause->incident.mode = cause->told_mode;
        cause->incident.confidence = cause->told_confidence;
    }
    describe(engine, cause, &view);
    if (step == STEP_AMENDED) cause->amended_ms = engine->now_ms;
    cause->told_impact = cause->incident.impact;
    cause->told_mode = cause->incident.mode;
    cause->told_severity = cause->incident.severity;
    cause->told_confidence = cause->incident.confidence;
    memcpy(cause->told_component, cause->incident.component, sizeof cause->told_component);
    if (engine->step_count == engine->step_room) {
        engine->step_room = engine->step_room > 0 ? engine->step_room * 2 : 4;
        engine->steps = check_realloc_array(engine->steps, engine->step_room, sizeof *engine->steps);
    }
    engine->steps[engine->step_count++] =
        (struct engine_step){.step = step, .incident = cause->incident, .at_ms = engine->now_ms};
}

struct cause *cause_new(
    struct engine *engine, enum cause_source source, const char *component, int64_t onset_ms)
{
    if (engine->cause_count == ENGINE_CAUSES_MAX) {
        engine->dropped++;
        return NULL;
    }
    struct cause *cause = check_alloc(sizeof *cause);
    engine->causes = check_realloc_array(engine->causes, engine->cause_count + 1, sizeof *engine->causes);
    engine->causes[engine->cause_count++] = cause;
    cause->source = source;
    cause->silent_host = MODEL_NONE;
    struct incident *incident = &cause->incident;
    snprintf(incident->id, sizeof incident->id, "%c-%llu", engine->model->letter,
        (unsigned long long)++engine->last_number);
    incident->state = INCIDENT_STATE_OPEN;
    snprintf(incident->component, sizeof incident->component, "%s", component);
    incident->onset_ms = onset_ms;
    incident->detected_ms = engine->now_ms;
    cause->hold_ms = hold_for(engine, component);
    return cause;
}

void cause_set_component(struct cause *cause, const char *component)
{
    snprintf(cause->incident.component, sizeof cause->incident.component, "%s", component);
    char word[INCIDENT_COMPONENT_SIZE];
    snprintf(word, sizeof word, "%s", component);
    word[strcspn(word, ":")] = '\0';
    CHECK(component_parse(word, &cause->incident.kind) == 0);
}

void group_start_rest(struct engine *engine, uint32_t g)
{
    struct group *group = &engine->groups[g];
    for (uint32_t i = 0; i < group->place_count; i++)
        for (int stream = 0; stream < STREAM_COUNT; stream++) {
            struct sum *sum = &engine->places[group->places[i]].sums[LAYER_REST][stream];
            memset(sum, 0, sizeof *sum);
            sum->debt = group->debt[LAYER_REST][stream];
        }
    memset(group->above[LAYER_REST], 0, sizeof group->above[LAYER_REST]);
    memset(group->above_ms[LAYER_REST], 0, sizeof group->above_ms[LAYER_REST]);
    memset(group->led_ms[LAYER_REST], 0, sizeof group->led_ms[LAYER_REST]);
}

void causes_count_open(struct engine *engine)
{
    for (uint32_t g = 0; g < engine->group_count; g++) {
        uint32_t before = engine->groups[g].open_count, now = 0;
        for (uint32_t i = 0; i < engine->cause_count; i++)
            now += cause_in_group(engine, engine->causes[i], g);
        engine->groups[g].open_count = now;
        if (now != before) group_start_rest(engine, g);
    }
}

void cause_mark(struct engine *engine, const struct cause *cause, bool open)
{
    for (uint32_t i = 0; i < cause->ground_count; i++)
        if (cause->grounds[i].place != MODEL_NONE)
            places_set_open(
                engine, engine->places[cause->grounds[i].place].component, open, cause->grounds[i].q);
}

void cause_remove(struct engine *engine, struct cause *cause)
{
    for (uint32_t i = 0; i < engine->cause_count; i++)
        if (engine->causes[i] == cause) {
            memmove(&engine->causes[i], &engine->causes[i + 1],
                (engine->cause_count - i - 1) * sizeof *engine->causes);
            engine->cause_count--;
            break;
        }
    cause_mark(engine, cause, false);
    free(cause);
    for (uint32_t i = 0; i < engine->cause_count; i++) cause_mark(engine, engine->causes[i], true);
    causes_count_open(engine);
}

void causes_reattach(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->cause_count; i++) cause_mark(engine, engine->causes[i], true);
    causes_count_open(engine);
}

void cause_resolve(struct engine *engine, struct cause *cause)
{
    cause->incident.state = INCIDENT_STATE_RESOLVED;
    cause->incident.resolved_ms = engine->now_ms;
    flap_note(engine, cause->incident.component);
    cause_tell(engine, cause, STEP_RESOLVED);
    cause_remove(engine, cause);
}

void cause_absorb(struct engine *engine, struct cause *into, struct cause *cause)
{
    incident_add_symptom(
        &into->incident, cause->incident.component, cause->incident.mode, cause->incident.onset_ms);
    struct incident *gone = &cause->incident;
    char names[INCIDENT_COMPONENT_SIZE + 96], follow[INCIDENT_ID_SIZE + 96];
    snprintf(names, sizeof names, "merged into %s, %.80s, which is still open: ", into->incident.id,
        into->incident.component);
    snprintf(
        follow, sizeof follow, "follow %s: only this number ends, nothing says that ", into->incident.id);
    snprintf(gone->headline, sizeof gone->headline, "%s%.120s goes on there", names, gone->component);
    snprintf(gone->advice, sizeof gone->advice, "%s%.120s is back", follow, gone->component);
    cause->incident.state = INCIDENT_STATE_RESOLVED;
    cause->incident.resolved_ms = engine->now_ms;
    cause_tell(engine, cause, STEP_RESOLVED);
    cause_remove(engine, cause);
}

/* Incidents: one per cause. Opened by a verdict, amended by a clearer one, absorbed by a broader one,
 * mitigated when users are served again, resolved when the reversed sum says that it is over and it stays so.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/engine/internal.h"
#include "common/check.h"

#define AMEND_MS         1000 /* amendments that raise nothing wait for each other */
#define LOWER_MS         4000 /* an impact is lowered after this time without it */
#define NARROW_MS        3000
#define CALM_MS          3000
#define SAME_ONSET_MS    15000 /* a symptom begins no later than this before its cause is seen */
#define HEALTH_GOOD_MIN  3
#define UNPLANNED_MS     120000 /* after a start, until an incident without any path is given up */
#define HOLD_FLAPPING_MS 60000
#define HOLD_MAX_MS      600000

/* ---- finding ---- */

struct cause *cause_find(struct engine *engine, const char *component)
{
    for (uint32_t i = 0; i < engine->cause_count; i++)
        if (strcmp(engine->causes[i]->incident.component, component) == 0) return engine->causes[i];
    return NULL;
}

static const struct place *main_place(const struct engine *engine, const struct cause *cause)
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

void cause_tell(struct engine *engine, struct cause *cause, enum step step)
{
    struct impact_view view;
    enum impact keep = cause->incident.impact;
    impact_of(engine, cause, &view);
    cause->incident.impact = keep;
    cause->incident.steps++;
    describe(engine, cause, &view);
    cause->amended_ms = engine->now_ms;
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

static void set_component(struct cause *cause, const char *component)
{
    snprintf(cause->incident.component, sizeof cause->incident.component, "%s", component);
    char word[INCIDENT_COMPONENT_SIZE];
    snprintf(word, sizeof word, "%s", component);
    word[strcspn(word, ":")] = '\0';
    CHECK(component_parse(word, &cause->incident.kind) == 0);
}

static void start_rest(struct engine *engine, uint32_t g)
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

static void count_open(struct engine *engine)
{
    for (uint32_t g = 0; g < engine->group_count; g++) {
        uint32_t before = engine->groups[g].open_count, now = 0;
        for (uint32_t i = 0; i < engine->cause_count; i++)
            now += cause_in_group(engine, engine->causes[i], g);
        engine->groups[g].open_count = now;
        if (now != before) start_rest(engine, g);
    }
}

static void mark(struct engine *engine, const struct cause *cause, bool open)
{
    for (uint32_t i = 0; i < cause->ground_count; i++)
        if (cause->grounds[i].place != MODEL_NONE)
            places_set_open(
                engine, engine->places[cause->grounds[i].place].component, open, cause->grounds[i].q);
}

static void remove_cause(struct engine *engine, struct cause *cause)
{
    for (uint32_t i = 0; i < engine->cause_count; i++)
        if (engine->causes[i] == cause) {
            memmove(&engine->causes[i], &engine->causes[i + 1],
                (engine->cause_count - i - 1) * sizeof *engine->causes);
            engine->cause_count--;
            break;
        }
    mark(engine, cause, false);
    free(cause);
    for (uint32_t i = 0; i < engine->cause_count; i++) mark(engine, engine->causes[i], true);
    count_open(engine);
}

void causes_reattach(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->cause_count; i++) mark(engine, engine->causes[i], true);
    count_open(engine);
}

void cause_resolve(struct engine *engine, struct cause *cause)
{
    cause->incident.state = INCIDENT_STATE_RESOLVED;
    cause->incident.resolved_ms = engine->now_ms;
    flap_note(engine, cause->incident.component);
    cause_tell(engine, cause, STEP_RESOLVED);
    remove_cause(engine, cause);
}

void cause_absorb(struct engine *engine, struct cause *into, struct cause *cause)
{
    incident_add_symptom(
        &into->incident, cause->incident.component, cause->incident.mode, cause->incident.onset_ms);
    snprintf(cause->incident.advice, sizeof cause->incident.advice, "part of %s: %s", into->incident.id,
        into->incident.component);
    cause->incident.state = INCIDENT_STATE_RESOLVED;
    cause->incident.resolved_ms = engine->now_ms;
    cause_tell(engine, cause, STEP_RESOLVED);
    remove_cause(engine, cause);
}

/* ---- verdicts ---- */

static void set_confidence(struct cause *cause, double posterior)
{
    struct incident *incident = &cause->incident;
    incident->posterior = posterior;
    incident->confidence = posterior >= .99  ? CONFIDENCE_HIGH
                           : posterior >= .9 ? CONFIDENCE_MEDIUM
                                             : CONFIDENCE_LOW;
    if (cause->guess) incident->confidence = CONFIDENCE_LOW;
    /* One server whose health URL answers while its pages do not may only be the first to feel what it calls.
     */
    if ((cause->single || cause->alive) && incident->confidence == CONFIDENCE_HIGH)
        incident->confidence = CONFIDENCE_MEDIUM;
}

static bool health_answers(const struct engine *engine, uint32_t backend, int64_t since_ms)
{
    uint32_t good = 0, bad = 0;
    for (uint32_t p = 0; p < engine->path_count; p++) {
        const struct path *path = &engine->paths[p];
        const struct model_target *target = &engine->model->targets[path->target];
        if (target->entrance != ENTRANCE_HEALTH || target->backend != backend || !path_fresh(engine, path))
            continue;
        /* Good answers in a row are proof enough here; bad ones count only where it has been proven. */
        const struct way *way = &engine->ways[path->way];
        if (!way->proven && way->good_in_row < HEALTH_GOOD_MIN) continue;
        const struct ending *newest = path_newest(path);
        if (newest != NULL && newest->start_ms >= since_ms) ending_is_good(newest) ? good++ : bad++;
    }
    return good > 0 && good >= bad;
}

/* Pages fail on all backends while their health URLs answer: not the applications, but what they call. */
static bool health_answers_everywhere(const struct engine *engine, uint32_t s, int64_t since_ms)
{
    const struct model_service *service = &engine->model->services[s];
    for (uint32_t i = 0; i < service->backend_count; i++) {
        uint32_t b = service->first_backend + i;
        if (!engine->backends[b].excluded && !health_answers(engine, b, since_ms)) return false;
    }
    return service->backend_count > 0;
}

/* How people call it: what the place names, but for causes behind the applications. */
static void name_cause(struct engine *engine, struct cause *cause)
{
    const struct place *place = main_place(engine, cause);
    cause->alive = place != NULL && place->kind == PLACE_BACKEND &&
                   health_answers(engine, place->backend, cause->incident.onset_ms);
    if (place == NULL || place->kind != PLACE_BACKENDS) {
        cause->behind = false;
        if (place != NULL) set_component(cause, place->component);
        return;
    }
    cause->behind = health_answers_everywhere(engine, place->service, cause->incident.onset_ms);
    char component[INCIDENT_COMPONENT_SIZE];
    snprintf(component, sizeof component, "%s:%s", cause->behind ? "service" : "backends",
        engine->model->services[place->service].name);
    set_component(cause, component);
}

static bool knows_slow(const struct engine *engine, uint32_t group)
{
    for (uint32_t p = 0; p < engine->pool_count; p++)
        if (engine->pools[p].group == group && pool_knows_slow(&engine->pools[p])) return true;
    return false;
}

static void ground_on(struct engine *engine, struct cause *cause, const struct pick *pick)
{
    if (cause->ground_count == ENGINE_GROUNDS_MAX) return;
    struct ground *ground = &cause->grounds[cause->ground_count++];
    *ground = (struct ground){
        .place = pick->place, .stream = pick->stream, .q = pick->q, .since_ms = engine->now_ms};
    snprintf(ground->key, sizeof ground->key, "%s", engine->places[pick->place].key);
}

static void take_pick(struct engine *engine, struct cause *cause, const struct pick *pick)
{
    const struct place *place = &engine->places[pick->place];
    cause->guess = pick->choice == CHOICE_GUESS;
    uint32_t viewers = place_viewers(engine, pick->place);
    bool path = (place->kind >= PLACE_PATH_LB && place->kind <= PLACE_PATH_SERVICE) ||
                place->kind == PLACE_LBNET_BACKEND;
    struct group *group = &engine->groups[place->group];
    uint32_t observers = 0; /* a path has one viewer by nature: it needs others to be told from its target */
    for (uint32_t i = 0; i < group->place_count; i++) {
        const struct place *other = &engine->places[group->places[i]];
        if (other->kind == PLACE_OBSERVER && other->proven_paths > 0) observers++;
    }
    cause->single = path || place->kind == PLACE_OBSERVER ? observers <= 1 : viewers <= 1;
    cause->warn_only = cause->single || (pick->stream == STREAM_SLOW && !knows_slow(engine, place->group));
    cause->incident.magnitude = magnitudes[pick->q];
    name_cause(engine, cause);
    set_confidence(cause, pick->posterior);
    snprintf(cause->incident.runner_up, sizeof cause->incident.runner_up, "%s",
        pick->runner_up != MODEL_NONE ? engine->places[pick->runner_up].component : "");
    cause->incident.mode = mode_of(engine, pick->place, pick->stream, MODE_NOT_ANSWERING, pick->onset_ms);
}

static void update_told(struct engine *engine, struct cause *cause)
{
    struct impact_view view;
    enum impact impact = impact_of(engine, cause, &view);
    cause->incident.impact = impact;
    if (impact >= IMPACT_USERS_HURT) cause->hurt_users = true;
    cause->incident.severity = severity_of(engine, cause, &view);
}

/* A callee of the service that is itself an open incident explains it. */
static struct cause *callee_cause(struct engine *engine, uint32_t s)
{
    const struct model_service *service = &engine->model->services[s];
    for (uint32_t i = 0; i < service->depends_count; i++)
        for (uint32_t c = 0; c < engine->cause_count; c++)
            if (cause_touches_service(engine, engine->causes[c], service->depends_on[i]))
                return engine->causes[c];
    return NULL;
}

static void open_cause(struct engine *engine, const struct pick *pick)
{
    const struct place *place = &engine->places[pick->place];
    struct cause *cause = cause_new(engine, CAUSE_MATRIX, place->component, pick->onset_ms);
    if (cause == NULL) return;
    ground_on(engine, cause, pick);
    take_pick(engine, cause, pick);
    struct cause *callee = cause->behind ? callee_cause(engine, place->service) : NULL;
    if (callee != NULL) {
        /* Known before it was told: it never becomes an incident of its own. */
        engine->last_number--;
        incident_add_symptom(
            &callee->incident, cause->incident.component, cause->incident.mode, pick->onset_ms);
        if (callee->ground_count < ENGINE_GROUNDS_MAX)
            callee->grounds[callee->ground_count++] = cause->grounds[0];
        remove_cause(engine, cause);
        causes_reattach(engine);
        return;
    }
    mark(engine, cause, true);
    count_open(engine);
    update_told(engine, cause);
    cause_tell(engine, cause, STEP_OPENED);
}

/* The same incident under a better name. */
static void rename_cause(struct engine *engine, struct cause *cause, const struct pick *pick)
{
    mark(engine, cause, false);
    incident_add_symptom(
        &cause->incident, cause->incident.component, cause->incident.mode, cause->incident.onset_ms);
    cause->ground_count = 0;
    cause->recovered_ms = 0;
    ground_on(engine, cause, pick);
    if (pick->onset_ms < cause->incident.onset_ms) cause->incident.onset_ms = pick->onset_ms;
    take_pick(engine, cause, pick);
    for (uint32_t i = 0; i < engine->cause_count; i++) mark(engine, engine->causes[i], true);
    start_rest(engine, engine->places[pick->place].group);
    update_told(engine, cause);
    cause_tell(engine, cause, STEP_AMENDED);
}

/* Whether the place explains the cause altogether: what it covers, and from the beginning. */
static bool contains_cause(const struct engine *engine, const struct pick *pick, const struct cause *cause)
{
    uint32_t place = pick->place;
    if (cause->ground_count == 0 || pick->onset_ms > cause->incident.onset_ms + SAME_ONSET_MS) return false;
    if (pick->stream == STREAM_SLOW && cause->grounds[0].stream == STREAM_FAIL) return false;
    for (uint32_t i = 0; i < cause->ground_count; i++) {
        uint32_t other = cause->grounds[i].place;
        if (other == MODEL_NONE || engine->places[other].group != engine->places[place].group ||
            !place_contains(engine, place, other))
            return false;
    }
    return true;
}

/* A broader place takes up what it explains. Returns whether there was any. */
static bool broaden(struct engine *engine, const struct pick *pick)
{
    struct cause *first = NULL;
    for (uint32_t i = 0; i < engine->cause_count; i++) {
        struct cause *cause = engine->causes[i];
        if (cause->source != CAUSE_MATRIX || !contains_cause(engine, pick, cause)) continue;
        if (first == NULL) {
            first = cause;
            continue;
        }
        cause_absorb(engine, first, cause);
        i--;
    }
    if (first != NULL) rename_cause(engine, first, pick);
    return first != NULL;
}

/* A narrower place leads over an open one for a while: the first word was too broad. */
static void narrow(struct engine *engine, uint32_t g, const struct pick *pick)
{
    struct group *group = &engine->groups[g];
    for (uint32_t i = 0; i < engine->cause_count; i++) {
        struct cause *cause = engine->causes[i];
        if (cause->source != CAUSE_MATRIX || cause->ground_count != 1 || cause->recovered_ms != 0) continue;
        uint32_t place = cause->grounds[0].place;
        if (place == MODEL_NONE || engine->places[place].group != g ||
            !place_contains(engine, place, pick->place))
            continue;
        if (group->narrow_ms == 0) group->narrow_ms = engine->now_ms;
        if (engine->now_ms - group->narrow_ms < NARROW_MS) return;
        group->narrow_ms = 0;
        rename_cause(engine, cause, pick);
        return;
    }
    group->narrow_ms = 0;
}

/* The component is open already: another group sees it too, it has become clearer, or it is back. */
static void strengthen(struct engine *engine, struct cause *cause, const struct pick *pick)
{
    bool known = false;
    for (uint32_t i = 0; i < cause->ground_count; i++) {
        struct ground *ground = &cause->grounds[i];
        if (ground->place == MODEL_NONE ||
            engine->places[ground->place].group != engine->places[pick->place].group)
            continue;
        known = true;
        if (ground->recovered) {
            ground->recovered = false;
            ground->recovery = 0;
            ground->since_ms = engine->now_ms;
            ground->place = pick->place;
            ground->q = pick->q;
        }
    }
    if (!known) {
        ground_on(engine, cause, pick);
        mark(engine, cause, true);
        count_open(engine);
    }
    if (cause->recovered_ms != 0) {
        cause->recovered_ms = 0;
        cause->hold_ms = cause->hold_ms * 2 < HOLD_MAX_MS ? cause->hold_ms * 2 : HOLD_MAX_MS;
    }
    /* The opening word is certain enough when it says so; later only better news about it counts. */
    if (pick->choice == CHOICE_VERDICT && pick->posterior > cause->incident.posterior) {
        cause->guess = false;
        set_confidence(cause, pick->posterior);
    }
}

static void judge_group(struct engine *engine, uint32_t g)
{
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        /* Failures are in both streams: while they may decide, slowness has nothing to say. */
        if (stream == STREAM_SLOW &&
            (engine->groups[g].open_count > 0 || engine->now_ms - engine->groups[g].tainted_ms < CALM_MS))
            break;
        struct pick pick = select_verdict(engine, g, LAYER_ALL, (enum stream)stream);
        if (pick.choice != CHOICE_VERDICT && pick.choice != CHOICE_GUESS) continue;
        struct cause *same = cause_of_component(engine, engine->places[pick.place].component);
        if (same != NULL) {
            engine->groups[g].narrow_ms = 0;
            strengthen(engine, same, &pick);
        } else if (engine->groups[g].open_count == 0) {
            open_cause(engine, &pick);
        } else if (pick.choice == CHOICE_VERDICT && !broaden(engine, &pick)) {
            narrow(engine, g, &pick);
        }
    }
    if (engine->groups[g].open_count == 0) return;
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        if (stream == STREAM_SLOW && engine->now_ms - engine->groups[g].tainted_ms < CALM_MS) break;
        struct pick pick = select_verdict(engine, g, LAYER_REST, (enum stream)stream);
        if (pick.choice != CHOICE_VERDICT) continue;
        if (!broaden(engine, &pick)) open_cause(engine, &pick);
    }
}

void causes_judge(struct engine *engine)
{
    if (engine->now_ms - engine->start_ms < WARM_UP_MS) return;
    for (uint32_t g = 0; g < engine->group_count; g++) {
        const struct group *group = &engine->groups[g];
        if (group->above[LAYER_ALL][STREAM_FAIL] || group->above[LAYER_ALL][STREAM_SLOW] ||
            group->above[LAYER_REST][STREAM_FAIL] || group->above[LAYER_REST][STREAM_SLOW])
            judge_group(engine, g);
    }
}

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
static void count_entrance(struct engine *engine, struct cause *cause, const struct path *path, bool bad)
{
    const struct model_target *target = &engine->model->targets[path->target];
    if (target->entrance != ENTRANCE_USERS || path->aside ||
        !cause_touches_service(engine, cause, target->service))
        return;
    cause->entrance_good = bad ? 0 : cause->entrance_good + 1;
}

static bool entrance_is_well(const struct cause *cause)
{
    double q = cause->ground_count > 0 ? magnitudes[cause->grounds[0].q] : .9;
    return cause->entrance_good >= RECOVERY_SUM / -log(1 - q);
}

void causes_recover(struct engine *engine, const struct path *path, const struct evidence *evidence)
{
    for (uint32_t i = 0; i < engine->cause_count; i++) {
        struct cause *cause = engine->causes[i];
        count_entrance(engine, cause, path, evidence->failed);
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
    if (cause->recovered_ms != 0) return; /* what it was stays in its last word */
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
               (incident->impact < IMPACT_USERS_HURT || entrance_is_well(cause))) {
        incident->impact = impact;
        cause->lower_since_ms = 0;
    }
    if (incident->impact >= IMPACT_USERS_HURT) cause->hurt_users = true;
    incident->severity = severity_of(engine, cause, &view);
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
    if (incident->state == INCIDENT_STATE_OPEN && cause->hurt_users && !hurts && cause->recovered_ms == 0) {
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
    if (cause->recovered_ms != 0 || !differs_from_told(cause)) return;
    bool urgent = incident->severity > cause->told_severity || incident->impact > cause->told_impact ||
                  strcmp(incident->component, cause->told_component) != 0;
    if (urgent || engine->now_ms - cause->amended_ms >= AMEND_MS) cause_tell(engine, cause, STEP_AMENDED);
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
                name_cause(engine, cause);
                set_confidence(cause, cause->incident.posterior);
            }
            struct cause *callee =
                cause->behind ? callee_cause(engine, engine->places[ground->place].service) : NULL;
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

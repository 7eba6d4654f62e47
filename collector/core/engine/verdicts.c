/* From the verdicts of the sums to incidents: opened, amended by a clearer one, taken up by a broader or
 * narrower one. */
#include <stdio.h>
#include <string.h>

#include "collector/core/engine/internal.h"
#include "common/check.h"

#define NARROW_MS       3000
#define CALM_MS         3000
#define SAME_ONSET_MS   15000 /* a symptom begins no later than this before its cause is seen */
#define HEALTH_GOOD_MIN 3

void cause_set_confidence(struct cause *cause, double posterior)
{
    struct incident *incident = &cause->incident;
    incident->posterior = posterior;
    incident->confidence = posterior >= .99  ? CONFIDENCE_HIGH
                           : posterior >= .9 ? CONFIDENCE_MEDIUM
                                             : CONFIDENCE_LOW;
    if (cause->guess) incident->confidence = CONFIDENCE_LOW;
    /* One server whose health URL answers while its pages do not may only be the first to feel what it calls.
     */
    if ((cause->single || cause->alive || cause->inside) && incident->confidence == CONFIDENCE_HIGH)
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
void cause_name(struct engine *engine, struct cause *cause)
{
    const struct place *place = cause_place(engine, cause);
    cause->alive = place != NULL && place->kind == PLACE_BACKEND &&
                   health_answers(engine, place->backend, cause->incident.onset_ms);
    if (place == NULL || place->kind != PLACE_BACKENDS) {
        cause->behind = false;
        if (place != NULL) cause_set_component(cause, place->component);
        return;
    }
    cause->behind =
        !cause->blind && health_answers_everywhere(engine, place->service, cause->incident.onset_ms);
    char component[INCIDENT_COMPONENT_SIZE];
    snprintf(component, sizeof component, "%s:%s", cause->behind ? "service" : "backends",
        engine->model->services[place->service].name);
    cause_set_component(cause, component);
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
    cause->blind = pick->blind;
    cause->inside =
        place_infos[place->kind].component == COMPONENT_LB && provider_of_all(engine, cause) != NULL;
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
    cause_name(engine, cause);
    cause_set_confidence(cause, pick->posterior);
    snprintf(cause->incident.runner_up, sizeof cause->incident.runner_up, "%s",
        pick->runner_up != MODEL_NONE ? engine->places[pick->runner_up].component : "");
    cause->incident.mode = mode_of(engine, pick->place, pick->stream, MODE_NOT_ANSWERING, pick->onset_ms);
}

static void update_told(struct engine *engine, struct cause *cause)
{
    struct impact_view view;
    enum impact impact = impact_of(engine, cause, &view);
    if (impact > cause->incident.impact) cause->incident.impact = impact; /* time lowers it, not a name */
    if (impact >= IMPACT_USERS_HURT) cause->hurt_users = true;
    cause_set_severity(engine, cause, &view);
}

/* A callee of the service that is itself an open incident explains it. */
struct cause *cause_of_callee(struct engine *engine, uint32_t s)
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
    struct cause *callee = cause->behind ? cause_of_callee(engine, place->service) : NULL;
    if (callee != NULL) {
        /* Known before it was told: it never becomes an incident of its own. */
        engine->last_number--;
        incident_add_symptom(
            &callee->incident, cause->incident.component, cause->incident.mode, pick->onset_ms);
        if (callee->ground_count < ENGINE_GROUNDS_MAX)
            callee->grounds[callee->ground_count++] = cause->grounds[0];
        cause_remove(engine, cause);
        causes_reattach(engine);
        return;
    }
    cause_mark(engine, cause, true);
    causes_count_open(engine);
    update_told(engine, cause);
    cause_tell(engine, cause, STEP_OPENED);
}

/* The same incident under a better name, which is not told yet. */
static void name_better(struct engine *engine, struct cause *cause, const struct pick *pick)
{
    cause_mark(engine, cause, false);
    incident_add_symptom(
        &cause->incident, cause->incident.component, cause->incident.mode, cause->incident.onset_ms);
    cause->ground_count = 0;
    cause->recovered_ms = 0;
    cause->entrance_good = 0; /* whether users are served is asked of the new name */
    cause->entrance_good_ms = 0;
    ground_on(engine, cause, pick);
    if (pick->onset_ms < cause->incident.onset_ms) cause->incident.onset_ms = pick->onset_ms;
    take_pick(engine, cause, pick);
    for (uint32_t i = 0; i < engine->cause_count; i++) cause_mark(engine, engine->causes[i], true);
    group_start_rest(engine, engine->places[pick->place].group);
}

static void tell_name(struct engine *engine, struct cause *cause)
{
    update_told(engine, cause);
    if (strcmp(cause->incident.component, cause->told_component) != 0)
        cause_tell(engine, cause, STEP_AMENDED);
}

static void rename_cause(struct engine *engine, struct cause *cause, const struct pick *pick)
{
    name_better(engine, cause, pick);
    tell_name(engine, cause);
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
        if (cause->source != CAUSE_MATRIX || cause == first || !contains_cause(engine, pick, cause)) continue;
        if (first == NULL) {
            first = cause;
            name_better(engine, first, pick); /* the others are told whose part they are by this name */
            continue;
        }
        cause_absorb(engine, first, cause);
        i--;
    }
    if (first != NULL) tell_name(engine, first);
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
        cause_mark(engine, cause, true);
        causes_count_open(engine);
    }
    if (cause->recovered_ms != 0) {
        cause->recovered_ms = 0;
        cause->hold_ms = cause->hold_ms * 2 < HOLD_MAX_MS ? cause->hold_ms * 2 : HOLD_MAX_MS;
    }
    /* The opening word is certain enough when it says so; later only better news about it counts. */
    if (pick->choice == CHOICE_VERDICT && pick->posterior > cause->incident.posterior) {
        cause->guess = cause->blind = false;
        cause_set_confidence(cause, pick->posterior);
    }
}

/* Nobody sees anything: one incident, whose name may still become better. */
static void judge_blind(struct engine *engine, uint32_t g, const struct pick *pick)
{
    struct group *group = &engine->groups[g];
    struct cause *same = cause_of_component(engine, engine->places[pick->place].component);
    group->blind = true;
    if (same != NULL) {
        group->narrow_ms = 0;
        strengthen(engine, same, pick);
        return;
    }
    for (uint32_t i = 0; i < engine->cause_count; i++) {
        struct cause *cause = engine->causes[i];
        const struct place *place = cause_place(engine, cause);
        if (place == NULL || place->group != g) continue;
        /* What is known for certain explains it, also while its observers come back one by one. */
        if (!cause->blind && place_contains(engine, cause->grounds[0].place, pick->place)) return;
        if (!cause->blind) continue;
        if (group->narrow_ms == 0) group->narrow_ms = engine->now_ms;
        if (engine->now_ms - group->narrow_ms < NARROW_MS) return;
        group->narrow_ms = 0;
        rename_cause(engine, cause, pick);
        return;
    }
    if (!broaden(engine, pick)) open_cause(engine, pick);
}

/* The sums are full of what everybody met while nobody saw anything; the first answer does not make them
 * true. */
static void see_again(struct engine *engine, uint32_t g)
{
    engine->groups[g].blind = false;
    group_forget(engine, g);
    engine->groups[g].reset_ms = engine->now_ms;
}

static void judge_group(struct engine *engine, uint32_t g)
{
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        /* Failures are in both streams: while they may decide, slowness has nothing to say. */
        if (stream == STREAM_SLOW &&
            (engine->groups[g].open_count > 0 || engine->now_ms - engine->groups[g].tainted_ms < CALM_MS))
            break;
        struct pick pick = select_verdict(engine, g, LAYER_ALL, (enum stream)stream);
        enum sight sight = stream == STREAM_FAIL ? blind_review(engine, g, &pick) : SIGHT_SOME;
        if (sight == SIGHT_NONE) judge_blind(engine, g, &pick);
        if (sight != SIGHT_SOME) return;
        if (engine->groups[g].blind) {
            see_again(engine, g);
            return;
        }
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

/* The life of incidents and of the engine itself: drains, restarts, silence, flapping, bursts, snapshots. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "tests/support/site_world.h"
#include "tests/support/unit.h"

#define HEALTHY_MS 35000

static struct world *healthy_world(uint64_t seed)
{
    struct world *world = world_new(builder_simple(3, 3, false), seed);
    world_run(world, HEALTHY_MS);
    CU_ASSERT_EQUAL(world->step_count, 0);
    return world;
}

static void check(const struct world *world, bool right)
{
    CU_ASSERT(right);
    if (!right) world_print(world);
}

/* ---- what is no fault ---- */

static void quiet_minutes_with_noise_open_nothing(void)
{
    struct world *world = world_new(builder_simple(3, 3, true), 1);
    world->noise = .0005;
    for (int minute = 0; minute < 10; minute++) {
        world->latency_us = 1500 + 700 * (minute % 5); /* the load changes */
        world_run(world, 60000);
    }
    check(world, world->step_count == 0);
    world_free(world);
}

/* Two seconds of failure per server, one after the other. */
static void roll(struct world *world, bool announced)
{
    for (int b = 0; b < 3; b++) {
        world->health_503[b] = announced;
        world->out_of_rotation[b] = announced;
        if (announced) world_run(world, 3000);
        world->backend[b] = WORLD_REFUSES;
        world_run(world, 1000);
        world->out_of_rotation[b] = true;
        world_run(world, 1000);
        world->backend[b] = WORLD_FINE;
        world->health_503[b] = world->out_of_rotation[b] = false;
        world_run(world, 15000);
    }
}

static void an_announced_rolling_restart_opens_nothing(void)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct world *world = healthy_world(seed);
        roll(world, true);
        check(world, world->step_count == 0);
        world_free(world);
    }
}

static void a_rolling_restart_without_drain_does_not_page(void)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct world *world = healthy_world(seed);
        roll(world, false);
        world_run(world, 70000); /* what was opened is resolved again */
        check(world, world_pages(world) == 0 &&
                         world_count(world, STEP_OPENED, NULL) == world_count(world, STEP_RESOLVED, NULL));
        world_free(world);
    }
}

static void draining_and_maintenance_are_no_faults(void)
{
    struct world *world = healthy_world(2);
    engine_balancer_says(world->engine, 0, 0, BALANCER_SAYS_MAINTENANCE, world->now_ms);
    world->model->backends[1].state = BACKEND_DRAINING;
    world_replace_model(world);
    world->backend[0] = world->backend[1] = WORLD_REFUSES;
    world->out_of_rotation[0] = world->out_of_rotation[1] = true;
    world_run(world, 30000);
    check(world, world->step_count == 0);
    world_free(world);
}

static void taking_a_dead_backend_out_of_service_resolves_it(void)
{
    struct world *world = healthy_world(3);
    world->backend[0] = WORLD_REFUSES;
    world->out_of_rotation[0] = true;
    world_run(world, 10000);
    check(world, world_count(world, STEP_OPENED, "backend:www/app1") == 1);
    engine_balancer_says(world->engine, 0, 0, BALANCER_SAYS_MAINTENANCE, world->now_ms);
    world_run(world, 1000);
    check(world, world_count(world, STEP_RESOLVED, "backend:www/app1") == 1);
    world_free(world);
}

static void blocked_observers_are_no_failure(void)
{
    static const uint32_t codes[] = {401, 403, 429};
    for (size_t i = 0; i < ARRAY_COUNT(codes); i++) {
        struct world *world = healthy_world(4);
        for (uint32_t t = 0; t < world->model->target_count; t++)
            if (world->model->targets[t].probe == PROBE_HTTP) {
                world->answer[t] = PROBE_ERROR_BLOCKED;
                world->answer_code[t] = codes[i];
            }
        world_run(world, 30000);
        check(world, world->step_count == 0);
        world_free(world);
    }
}

/* ---- severity and impact ---- */

static void a_lost_backend_pages_only_if_the_rest_cannot_carry_the_load(void)
{
    struct world *world = healthy_world(5);
    world->backend[0] = WORLD_REFUSES;
    world->out_of_rotation[0] = true;
    world_run(world, 40000);
    check(world, world_pages(world) == 0 && world_last(world, NULL)->impact == IMPACT_REDUNDANCY_LOST);
    world_free(world);

    struct site_builder *site = builder_simple(3, 3, false);
    builder_needs(site, 0, 3);
    world = world_new(site, 5);
    world_run(world, HEALTHY_MS);
    int64_t cut = world->now_ms;
    world->backend[0] = WORLD_REFUSES;
    world->out_of_rotation[0] = true;
    world_run(world, 14000);
    check(world, world_pages(world) == 0 && world_last(world, NULL)->impact == IMPACT_AT_RISK);
    world_run(world, 4000);
    const struct incident *last = world_last(world, NULL);
    check(world, last->severity == SEVERITY_PAGE && world->steps[world->step_count - 1].at_ms - cut >= 15000);
    world_free(world);
}

static void served_again_but_not_repaired_is_mitigated(void)
{
    struct world *world = healthy_world(6);
    world->balancer[0] = WORLD_REFUSES;
    world_run(world, 8000);
    /* Users are led around the balancer: the entrance answers, the hop does not. */
    uint32_t users = builder_target(world->model, 0, ENTRANCE_USERS, 0, PROBE_HTTP);
    uint32_t hop = builder_target(world->model, 0, ENTRANCE_HOP, 0, PROBE_HTTP);
    world->balancer[0] = WORLD_FINE;
    world->answer[hop] = PROBE_ERROR_REFUSED;
    (void)users;
    world_run(world, 15000);
    const struct incident *last = world_last(world, "lb:lb-www");
    check(world, last != NULL && last->state == INCIDENT_STATE_MITIGATED && last->mitigated_ms > 0);
    world->answer[hop] = PROBE_ERROR_NONE;
    world_run(world, 20000);
    last = world_last(world, "lb:lb-www");
    check(world, last->state == INCIDENT_STATE_RESOLVED && last->resolved_ms > 0 &&
                     world_count(world, STEP_OPENED, NULL) == 1);
    world_free(world);
}

static void the_mode_is_raised_and_not_lowered(void)
{
    struct world *world = healthy_world(7);
    world->balancer[0] = WORLD_DROPS;
    world_run(world, 6000);
    CU_ASSERT_EQUAL(world_last(world, NULL)->mode, MODE_HUNG);
    world->balancer[0] = WORLD_ERRORS; /* its own timeouts begin to end requests */
    world_run(world, 10000);
    CU_ASSERT_EQUAL(world_last(world, NULL)->mode, MODE_DOWN);
    world->balancer[0] = WORLD_DROPS;
    world_run(world, 10000);
    CU_ASSERT_EQUAL(world_last(world, NULL)->mode, MODE_DOWN);
    world_free(world);
}

/* Every word of an incident is told with the mode that its headline names. */
static bool headlines_name_the_mode(const struct world *world)
{
    for (size_t i = 0; i < world->step_count; i++) {
        const struct incident *incident = &world->steps[i].incident;
        char words[INCIDENT_TEXT_SIZE];
        snprintf(words, sizeof words, "%s %s, ", incident->component, mode_word(incident->mode));
        if (strncmp(incident->headline, words, strlen(words)) != 0) return false;
    }
    return true;
}

/* Packets are dropped until `after_ms` after the opening; then what waits is answered late. */
static void check_mode_after_release(uint64_t seed, int64_t after_ms, bool may_be_open, bool may_have_ended)
{
    struct world *world = healthy_world(seed);
    world->balancer[0] = WORLD_DROPS;
    while (world_count(world, STEP_OPENED, NULL) == 0 && world->now_ms < WORLD_START_MS + HEALTHY_MS + 5000)
        world_run(world, 50);
    world_run(world, after_ms);
    world->balancer[0] = WORLD_FINE;
    world_release(world);
    world_run(world, 20000);
    const struct incident *last = world_last(world, "lb:lb-www");
    check(world, last != NULL && last->state == INCIDENT_STATE_RESOLVED && headlines_name_the_mode(world) &&
                     ((may_be_open && last->mode == MODE_NOT_ANSWERING) ||
                         (may_have_ended && (last->mode == MODE_HUNG || last->mode == MODE_DOWN))));
    world_free(world);
}

static void a_repair_that_releases_probes_does_not_rename_the_fault(void)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        check_mode_after_release(seed, 0, true, false);
        check_mode_after_release(seed, 1500, true, true);
        check_mode_after_release(seed, 5000, false, true);
    }
}

static void a_broader_cause_takes_up_its_first_symptom(void)
{
    struct world *world = healthy_world(8);
    world->backend[0] = WORLD_REFUSES;
    world_run(world, 1800);
    world->backend[1] = world->backend[2] = WORLD_REFUSES;
    world_run(world, 15000);
    const struct incident *last = world_last(world, "backends:www");
    check(world, last != NULL && strcmp(last->id, "A-1") == 0 && last->state == INCIDENT_STATE_OPEN &&
                     world_count(world, STEP_OPENED, NULL) - world_count(world, STEP_RESOLVED, NULL) == 1);
    world_free(world);
}

static void kill_in_turn(struct world *world, int64_t gap_ms)
{
    for (int b = 0; b < 3; b++) {
        world->backend[b] = WORLD_REFUSES;
        world_run(world, 1500);
        world->out_of_rotation[b] = true;
        world_run(world, gap_ms - 1500);
    }
    world_run(world, 20000);
}

/* What is told of one incident: severity is not taken back within 15 s, and amendments that neither page nor
 * rename come 5 s apart. */
static bool tells_calmly(const struct world *world, const char *id)
{
    const struct engine_step *before = NULL;
    int64_t raised_ms = 0, amended_ms = 0;
    for (size_t i = 0; i < world->step_count; i++) {
        const struct engine_step *step = &world->steps[i];
        if (strcmp(step->incident.id, id) != 0 || step->step == STEP_RESOLVED) continue;
        enum severity severity = step->incident.severity;
        if (before == NULL || severity > before->incident.severity) raised_ms = step->at_ms;
        if (before != NULL && severity < before->incident.severity && step->at_ms - raised_ms < 15000)
            return false;
        bool renamed = before != NULL && strcmp(step->incident.component, before->incident.component) != 0;
        bool pages = before != NULL && severity == SEVERITY_PAGE && before->incident.severity < severity;
        bool again = before != NULL && before->incident.state == INCIDENT_STATE_MITIGATED;
        if (step->step == STEP_AMENDED) {
            if (!renamed && !pages && !again && amended_ms != 0 && step->at_ms - amended_ms < 5000)
                return false;
            amended_ms = step->at_ms;
        }
        before = step;
    }
    return true;
}

static void an_outage_that_grows_is_told_calmly_and_never_mitigated(void)
{
    static const int64_t gaps[] = {2000, 3500, 5000};
    for (uint64_t seed = 1; seed <= 5; seed++)
        for (size_t g = 0; g < ARRAY_COUNT(gaps); g++) {
            struct world *world = healthy_world(seed);
            kill_in_turn(world, gaps[g]);
            bool calm = true;
            for (size_t i = 0; i < world->step_count; i++)
                calm = calm && tells_calmly(world, world->steps[i].incident.id);
            check(world, calm && world_count(world, STEP_MITIGATED, NULL) == 0);
            world_free(world);
        }
}

/* The advice of a dead server follows the count in its headline, and evidence names components. */
static void advice_and_evidence_agree_with_the_headline(void)
{
    struct world *world = healthy_world(3);
    kill_in_turn(world, 3500);
    size_t alone = 0, one_of_two = 0;
    bool right = true;
    for (size_t i = 0; i < world->step_count; i++) {
        const struct incident *incident = &world->steps[i].incident;
        for (size_t k = 0; k < incident->evidence_count; k++) {
            const char *component = incident->evidence[k].component;
            right = right && (component[0] == '\0' || strchr(component, ':') != NULL);
        }
        if (incident->kind != COMPONENT_BACKEND || world->steps[i].step != STEP_OPENED) continue;
        bool others_answer = strstr(incident->advice, "the others answer") != NULL;
        bool two_answer = strstr(incident->headline, "2 of 3 backends answer") != NULL;
        right = right && others_answer == two_answer;
        two_answer ? alone++ : one_of_two++;
        right = right && strcmp(incident->evidence[0].component, "service:www") == 0;
    }
    check(world, right && alone > 0 && one_of_two > 0);
    world_free(world);
}

static void what_is_absorbed_is_not_told_as_gone(void)
{
    size_t absorbed = 0;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct world *world = healthy_world(seed);
        kill_in_turn(world, 3500);
        bool right = true;
        for (size_t i = 0; i < world->step_count; i++) {
            const struct incident *gone = &world->steps[i].incident;
            if (world->steps[i].step != STEP_RESOLVED) continue;
            absorbed++;
            right = right && strstr(gone->headline, "merged into A-1, backends:www") != NULL &&
                    strstr(gone->advice, "follow A-1") != NULL &&
                    strstr(gone->headline, gone->component) != NULL;
        }
        check(world, right);
        world_free(world);
    }
    CU_ASSERT(absorbed > 0);
}

static void two_faults_at_once_are_two_incidents(void)
{
    struct world *world = healthy_world(9);
    world->backend[0] = WORLD_REFUSES;
    world->out_of_rotation[0] = true;
    world_run(world, 30000);
    world->balancer[0] = WORLD_REFUSES;
    world_run(world, 10000);
    const struct incident *backend = world_last(world, "backend:www/app1"),
                          *lb = world_last(world, "lb:lb-www");
    check(world, backend != NULL && lb != NULL && backend->state == INCIDENT_STATE_OPEN &&
                     lb->state == INCIDENT_STATE_OPEN && strcmp(lb->id, "A-2") == 0);
    world->balancer[0] = WORLD_FINE;
    world_run(world, 20000);
    check(world, world_count(world, STEP_RESOLVED, "lb:lb-www") == 1 &&
                     world_count(world, STEP_RESOLVED, "backend:www/app1") == 0);
    world_free(world);
}

static void flapping_is_told_a_few_times_and_not_each_time(void)
{
    struct world *world = healthy_world(10);
    for (int i = 0; i < 20; i++) {
        world->balancer[0] = WORLD_REFUSES;
        world_run(world, 10000);
        world->balancer[0] = WORLD_FINE;
        world_run(world, 20000);
    }
    check(world, world_count(world, STEP_OPENED, NULL) <= 2 && world_count(world, STEP_RESOLVED, NULL) <= 1);
    world_free(world);
}

static void flapping_that_is_over_is_mitigated_while_it_is_watched(void)
{
    struct world *world = healthy_world(10);
    for (int i = 0; i < 7; i++) {
        world->balancer[0] = WORLD_REFUSES;
        world_run(world, 4000);
        world->balancer[0] = WORLD_FINE;
        world_run(world, 9000);
    }
    world_run(world, 6000);
    const struct incident *last = world_last(world, "lb:lb-www");
    check(world, last->state == INCIDENT_STATE_MITIGATED && last->mitigated_ms > 0 &&
                     last->impact == IMPACT_NONE && strstr(last->advice, "came back before") != NULL);
    world_run(world, 15000); /* nor does it go on to page */
    check(world, world_last(world, "lb:lb-www")->severity < SEVERITY_PAGE);
    world->balancer[0] = WORLD_REFUSES;
    world_run(world, 4000);
    last = world_last(world, "lb:lb-www");
    check(world, last->state == INCIDENT_STATE_OPEN && last->severity == SEVERITY_PAGE);
    world->balancer[0] = WORLD_FINE;
    world_run(world, 700000);
    check(world, world_last(world, "lb:lb-www")->state == INCIDENT_STATE_RESOLVED);
    world_free(world);
}

/* ---- silence ---- */

static const char *last_heard_of(struct world *world, const char *name, json_t **status)
{
    *status = engine_status(world->engine, world->now_ms);
    size_t i;
    json_t *host;
    json_array_foreach(json_object_get(*status, "hosts"), i,
        host) if (strcmp(json_string_value(json_object_get(host, "name")), name) ==
                  0) return json_string_value(json_object_get(host, "last_heard"));
    return "";
}

static void a_silent_agent_is_a_warning_and_comes_back(void)
{
    struct world *world = healthy_world(11);
    world->agent_dead[1] = true;
    world_run(world, 12000);
    const struct incident *last = world_last(world, "agent:social");
    check(world, last != NULL && last->mode == MODE_SILENT && last->severity == SEVERITY_WARNING &&
                     world_count(world, STEP_OPENED, NULL) == 1);
    world->agent_dead[1] = false;
    world_run(world, 10000);
    check(world, world_count(world, STEP_RESOLVED, "agent:social") == 1);
    world_free(world);
}

static void all_agents_silent_are_our_own_link(void)
{
    struct world *world = healthy_world(12);
    for (int h = 0; h < 3; h++) world->agent_dead[h] = true;
    world_run(world, 15000);
    check(world, world_count(world, STEP_OPENED, "collector:A") == 1 &&
                     world_count(world, STEP_OPENED, NULL) == 1 && world_pages(world) == 0);
    for (int h = 0; h < 3; h++) world->agent_dead[h] = false;
    world_run(world, 15000);
    check(world, world_count(world, STEP_RESOLVED, "collector:A") == 1);
    world_free(world);
}

static void agents_that_fall_silent_one_by_one_become_one_incident(void)
{
    struct world *world = healthy_world(33);
    for (int h = 0; h < 3; h++) {
        world->agent_dead[h] = true;
        world_run(world, 8000);
    }
    world_run(world, 7000);
    const struct incident *all = world_last(world, "collector:A");
    check(world, world_count(world, STEP_OPENED, "collector:A") == 1 && all->symptom_count == 3 &&
                     world_count(world, STEP_RESOLVED, NULL) == 2 && world_pages(world) == 0);
    for (int h = 0; h < 3; h++) world->agent_dead[h] = false;
    world_run(world, 15000);
    check(world,
        world_count(world, STEP_OPENED, NULL) == 3 && world_count(world, STEP_RESOLVED, "collector:A") == 1);
    world_free(world);
}

static void the_last_agent_does_not_answer_for_one_that_is_long_silent(void)
{
    struct world *world = world_new(builder_simple(3, 2, false), 34);
    world_run(world, HEALTHY_MS);
    world->agent_dead[0] = true;
    world_run(world, 120000);
    world->agent_dead[1] = true;
    world_run(world, 15000);
    check(world, world_count(world, STEP_OPENED, "agent:mon") == 1 &&
                     world_count(world, STEP_OPENED, "agent:social") == 1 &&
                     world_count(world, STEP_OPENED, NULL) == 2 &&
                     world_count(world, STEP_RESOLVED, NULL) == 0);
    world_free(world);
}

static void a_silence_is_told_since_when(void)
{
    struct world *world = healthy_world(35);
    world->agent_dead[1] = true;
    world_run(world, 12000);
    json_t *status;
    char words[128];
    snprintf(words, sizeof words, "agent:social silent, certain: nothing heard from the agent since %.8s UTC",
        last_heard_of(world, "social", &status) + strlen("2026-11-23T"));
    CU_ASSERT_STRING_EQUAL(world_last(world, "agent:social")->headline, words);
    json_decref(status);
    world_free(world);
}

static void a_host_that_its_peers_cannot_reach_either_is_down(void)
{
    struct site_builder *site = builder_new();
    uint32_t east = builder_add_site(site, "east", "");
    static const char *const names[] = {"mon", "social", "beta", "app1"};
    for (int i = 0; i < 4; i++) builder_add_host(site, names[i], east, MODEL_NONE);
    uint32_t lb = builder_add_balancer(site, "lb-www", MODEL_NONE);
    uint32_t www = builder_add_service(site, "www", SERVICE_WEB);
    builder_add_hop(site, www, lb);
    builder_add_backend(site, www, "app1", 3, MODEL_NONE);
    builder_add_backend(site, www, "app2", MODEL_NONE, MODEL_NONE);
    builder_add_backend(site, www, "app3", MODEL_NONE, MODEL_NONE);
    for (uint32_t i = 0; i < 3; i++) builder_add_observer(site, www, i);
    struct world *world = world_new(site, 13);
    world_run(world, HEALTHY_MS);
    world->agent_dead[3] = true;
    world->backend[0] = WORLD_DROPS;
    world->out_of_rotation[0] = true;
    world_run(world, 15000);
    const struct incident *last = world_last(world, "host:app1");
    check(world, last != NULL && last->mode == MODE_DOWN && world_count(world, STEP_OPENED, NULL) == 1 &&
                     world_pages(world) == 0);
    world->agent_dead[3] = false;
    world->backend[0] = WORLD_FINE;
    world_run(world, 15000);
    check(world, world_count(world, STEP_RESOLVED, NULL) == 1);
    world_free(world);
}

static void missing_data_never_resolves(void)
{
    struct world *world = healthy_world(14);
    world->balancer[0] = WORLD_REFUSES;
    world_run(world, 8000);
    check(world, world_count(world, STEP_OPENED, "lb:lb-www") == 1);
    for (int h = 0; h < 3; h++) world->probes_stop[h] = true;
    world->balancer[0] = WORLD_FINE; /* nobody sees it */
    world_run(world, 300000);
    check(
        world, world_count(world, STEP_RESOLVED, NULL) == 0 && world_count(world, STEP_MITIGATED, NULL) == 0);
    for (int h = 0; h < 3; h++) world->probes_stop[h] = false;
    world_run(world, 15000);
    check(world, world_count(world, STEP_RESOLVED, "lb:lb-www") == 1);
    world_free(world);
}

static void a_restart_does_not_end_a_silence_that_goes_on(void)
{
    struct world *world = healthy_world(31);
    world->agent_dead[1] = true;
    world_run(world, 12000);
    check(world, world_count(world, STEP_OPENED, "agent:social") == 1);
    json_t *before, *after;
    const char *heard = last_heard_of(world, "social", &before);
    world_restart(world, 3000);
    world_run(world, 30000);
    CU_ASSERT_STRING_EQUAL(last_heard_of(world, "social", &after), heard);
    json_decref(before);
    json_decref(after);
    world_run(world, 60000); /* past the grace */
    check(world, world_count(world, STEP_RESOLVED, NULL) == 0 && world_count(world, STEP_OPENED, NULL) == 1);
    world->agent_dead[1] = false;
    world_run(world, 10000);
    check(world, world_count(world, STEP_RESOLVED, "agent:social") == 1);
    world_free(world);
}

static void a_new_plan_soon_after_a_restart_keeps_the_grace(void)
{
    struct world *world = healthy_world(32);
    world->agent_dead[1] = true; /* it takes half a minute to come back */
    world_restart(world, 1000);
    world_run(world, 10000);
    world_replace_model(world);
    world_run(world, 20000);
    check(world, world->step_count == 0);
    world->agent_dead[1] = false;
    world_run(world, 60000);
    check(world, world->step_count == 0);
    world_free(world);
}

static void an_engine_held_up_calls_nobody_silent(void)
{
    struct world *world = healthy_world(15);
    struct engine_output output;
    world->now_ms += 60000; /* suspended; frames wait */
    engine_step(world->engine, world->now_ms, &output);
    CU_ASSERT_EQUAL(output.step_count, 0);
    world_free(world);
}

/* ---- memory ---- */

static void a_restart_keeps_incidents_numbers_and_what_was_learned(void)
{
    struct world *world = healthy_world(16);
    world->balancer[0] = WORLD_REFUSES;
    world_run(world, 8000);
    check(world, world_count(world, STEP_OPENED, "lb:lb-www") == 1);
    world_forget_steps(world);
    world_restart(world, 5000);
    world_run(world, 10000);
    check(world, world_count(world, STEP_OPENED, NULL) == 0 && world_count(world, STEP_RESOLVED, NULL) == 0);
    world->balancer[0] = WORLD_FINE;
    world_run(world, 15000);
    check(world, world_count(world, STEP_RESOLVED, "lb:lb-www") == 1);
    CU_ASSERT_STRING_EQUAL(world_last(world, NULL)->id, "A-1");
    world_forget_steps(world);
    world_run(world, 60000);
    int64_t cut = world->now_ms; /* proven and learned still */
    world->balancer[0] = WORLD_DROPS;
    world_run(world, 6000);
    const struct engine_step *opened = world_find(world, STEP_OPENED, "lb:lb-www");
    check(world, opened != NULL && opened->at_ms - cut <= 2500 && strcmp(opened->incident.id, "A-2") == 0);
    world_free(world);
}

static void a_restart_of_a_quiet_site_opens_nothing(void)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct world *world = healthy_world(seed);
        world_restart(world, (int64_t)seed * 3000);
        world_run(world, 20000);
        check(world, world->step_count == 0);
        world_free(world);
    }
}

static size_t count_unproven(struct world *world)
{
    size_t count = 0, s, p;
    json_t *status = engine_status(world->engine, world->now_ms), *service, *path;
    json_array_foreach(json_object_get(status, "services"), s, service)
        json_array_foreach(json_object_get(service, "paths"), p, path) count +=
        strcmp(json_string_value(json_object_get(path, "state")), "unproven") == 0;
    json_decref(status);
    return count;
}

/* Killed again while only one observer is back: the proof of the others is not forgotten. */
static void restarts_that_follow_each_other_keep_every_proof(void)
{
    struct world *world = healthy_world(18);
    CU_ASSERT_EQUAL(count_unproven(world), 0);
    world_restart(world, 2000);
    for (uint32_t h = 1; h < world->model->host_count; h++) world->agent_dead[h] = true;
    world_run(world, 3000);
    world_restart(world, 2000);
    memset(world->agent_dead, 0, sizeof world->agent_dead);
    world_run(world, 4000);
    CU_ASSERT_EQUAL(count_unproven(world), 0);
    world_free(world);
}

static void a_new_plan_keeps_what_is_known(void)
{
    struct world *world = healthy_world(17);
    world_replace_model(world);
    int64_t cut = world->now_ms;
    world->balancer[0] = WORLD_REFUSES;
    world_run(world, 4000);
    const struct engine_step *opened = world_find(world, STEP_OPENED, "lb:lb-www");
    check(world, opened != NULL && opened->at_ms - cut <= 2500);
    world_replace_model(world); /* and in the middle of an incident */
    world_run(world, 4000);
    check(world, world_count(world, STEP_OPENED, NULL) == 1 && world_count(world, STEP_RESOLVED, NULL) == 0);
    world->balancer[0] = WORLD_FINE;
    world_run(world, 15000);
    check(world, world_count(world, STEP_RESOLVED, NULL) == 1);
    world_free(world);
}

static void a_damaged_snapshot_leaves_the_engine_as_new(void)
{
    struct world *world = healthy_world(18);
    struct buffer snapshot = {0};
    engine_snapshot(world->engine, &snapshot);
    uint64_t random = 1;
    for (int i = 0; i < 300; i++) {
        struct buffer damaged = {0};
        buffer_append(&damaged, buffer_span(&snapshot), NULL);
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        size_t at = (size_t)(random >> 33) % damaged.size;
        if (i % 3 == 0)
            damaged.size = at;
        else
            damaged.data[at] ^= (uint8_t)(1 + (random >> 20) % 255);
        struct engine *engine = engine_new(world->model, world->now_ms);
        struct error err = {0};
        if (engine_restore(engine, buffer_span(&damaged), world->now_ms, &err) != 0)
            CU_ASSERT_EQUAL(err.kind, ERROR_CORRUPT);
        struct engine_output output;
        engine_step(engine, world->now_ms + 100, &output);
        engine_free(engine);
        buffer_fini(&damaged);
    }
    buffer_fini(&snapshot);
    world_free(world);
}

static void numbers_go_on_from_the_last_one_used(void)
{
    struct world *world = world_new(builder_simple(3, 3, false), 19);
    engine_set_last_number(world->engine, 1041);
    world_run(world, HEALTHY_MS);
    world->balancer[0] = WORLD_REFUSES;
    world_run(world, 5000);
    CU_ASSERT_STRING_EQUAL(world_last(world, NULL)->id, "A-1042");
    world_free(world);
}

/* ---- probes that the engine asks for ---- */

static void bursts_are_bounded_and_not_repeated_while_hot(void)
{
    struct world *world = healthy_world(20);
    for (uint32_t t = 0; t < world->model->target_count; t++) CU_ASSERT(world->sent_in_second_max[t] <= 11);
    uint64_t before = world->bursts;
    CU_ASSERT(before > 0); /* proving the paths */
    memset(world->sent_in_second_max, 0, sizeof world->sent_in_second_max);
    world->balancer[0] = WORLD_DROPS;
    world_run(world, 4000);
    uint64_t first = world->bursts - before;
    CU_ASSERT(first > 0);
    world_run(world, 120000);
    CU_ASSERT_EQUAL(world->bursts - before, first);
    for (uint32_t t = 0; t < world->model->target_count; t++) CU_ASSERT(world->sent_in_second_max[t] <= 11);
    world_free(world);
}

static void lateness_is_learned_and_told(void)
{
    struct world *world = world_new(builder_simple(3, 3, false), 21);
    uint32_t told = 0;
    for (int i = 0; i < 400; i++) {
        world_run(world, 50);
        struct engine_output output;
        engine_step(world->engine, world->now_ms, &output);
        for (size_t k = 0; k < output.late_after_count; k++) told = output.late_after[k].late_after_ms;
    }
    json_t *status = engine_status(world->engine, world->now_ms);
    const json_t *paths = json_object_get(json_array_get(json_object_get(status, "services"), 0), "paths");
    size_t i;
    json_t *path;
    json_array_foreach(paths, i, path)
        CU_ASSERT_EQUAL(json_integer_value(json_object_get(path, "late_after_ms")), 300);
    json_decref(status);
    (void)told;
    world_free(world);
}

static void nothing_opens_in_the_first_two_seconds(void)
{
    struct world *world = healthy_world(22);
    world->balancer[0] = WORLD_REFUSES;
    world_restart(world, 0);
    world_run(world, 1900);
    CU_ASSERT_EQUAL(world->step_count, 0);
    world_run(world, 2000);
    CU_ASSERT_EQUAL(world_count(world, STEP_OPENED, "lb:lb-www"), 1);
    world_free(world);
}

static void old_observations_do_not_judge(void)
{
    struct world *world = healthy_world(23);
    for (int i = 0; i < 200; i++) {
        struct engine_observation observation = {.host = (uint32_t)i % 3,
            .target = builder_target(world->model, 0, ENTRANCE_USERS, 0, PROBE_HTTP),
            .address = "",
            .result = {.start_ms = world->now_ms - 20000 + i * 20,
                .outcome = PROBE_FAIL,
                .error = PROBE_ERROR_REFUSED,
                .total_us = 100}};
        engine_observe(world->engine, &observation, world->now_ms);
    }
    world_run(world, 3000);
    check(world, world->step_count == 0);
    world_free(world);
}

static void nonsense_is_dropped(void)
{
    struct world *world = healthy_world(24);
    struct engine_observation observation = {.host = 9999, .target = 0, .address = ""};
    engine_observe(world->engine, &observation, world->now_ms);
    observation = (struct engine_observation){.host = 0, .target = 9999, .address = NULL};
    engine_observe(world->engine, &observation, world->now_ms);
    char endless[500];
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    observation = (struct engine_observation){.host = 0, .target = 0, .address = endless};
    observation.result.start_ms = world->now_ms;
    engine_observe(world->engine, &observation, world->now_ms);
    engine_heard(world->engine, 9999, world->now_ms);
    engine_balancer_says(world->engine, 7, 7, BALANCER_SAYS_DOWN, world->now_ms);
    engine_notified(world->engine, "A-77", world->now_ms);
    world_run(world, 3000);
    check(world, world->step_count == 0);
    world_free(world);
}

UNIT_MAIN("engine_life", {"quiet minutes with noise open nothing", quiet_minutes_with_noise_open_nothing},
    {"an announced rolling restart opens nothing", an_announced_rolling_restart_opens_nothing},
    {"a rolling restart without drain does not page", a_rolling_restart_without_drain_does_not_page},
    {"draining and maintenance are no faults", draining_and_maintenance_are_no_faults},
    {"taking a dead backend out of service resolves it", taking_a_dead_backend_out_of_service_resolves_it},
    {"blocked observers are no failure", blocked_observers_are_no_failure},
    {"a lost backend pages only if the rest cannot carry the load",
        a_lost_backend_pages_only_if_the_rest_cannot_carry_the_load},
    {"served again but not repaired is mitigated", served_again_but_not_repaired_is_mitigated},
    {"the mode is raised and not lowered", the_mode_is_raised_and_not_lowered},
    {"a repair that releases probes does not rename the fault",
        a_repair_that_releases_probes_does_not_rename_the_fault},
    {"a broader cause takes up its first symptom", a_broader_cause_takes_up_its_first_symptom},
    {"an outage that grows is told calmly and never mitigated",
        an_outage_that_grows_is_told_calmly_and_never_mitigated},
    {"advice and evidence agree with the headline", advice_and_evidence_agree_with_the_headline},
    {"what is absorbed is not told as gone", what_is_absorbed_is_not_told_as_gone},
    {"flapping that is over is mitigated while it is watched",
        flapping_that_is_over_is_mitigated_while_it_is_watched},
    {"two faults at once are two incidents", two_faults_at_once_are_two_incidents},
    {"flapping is told a few times and not each time", flapping_is_told_a_few_times_and_not_each_time},
    {"a silent agent is a warning and comes back", a_silent_agent_is_a_warning_and_comes_back},
    {"all agents silent are our own link", all_agents_silent_are_our_own_link},
    {"agents that fall silent one by one become one incident",
        agents_that_fall_silent_one_by_one_become_one_incident},
    {"the last agent does not answer for one that is long silent",
        the_last_agent_does_not_answer_for_one_that_is_long_silent},
    {"a silence is told since when", a_silence_is_told_since_when},
    {"a host that its peers cannot reach either is down", a_host_that_its_peers_cannot_reach_either_is_down},
    {"missing data never resolves", missing_data_never_resolves},
    {"a restart does not end a silence that goes on", a_restart_does_not_end_a_silence_that_goes_on},
    {"a new plan soon after a restart keeps the grace", a_new_plan_soon_after_a_restart_keeps_the_grace},
    {"an engine held up calls nobody silent", an_engine_held_up_calls_nobody_silent},
    {"a restart keeps incidents, numbers and what was learned",
        a_restart_keeps_incidents_numbers_and_what_was_learned},
    {"a restart of a quiet site opens nothing", a_restart_of_a_quiet_site_opens_nothing},
    {"restarts that follow each other keep every proof", restarts_that_follow_each_other_keep_every_proof},
    {"a new plan keeps what is known", a_new_plan_keeps_what_is_known},
    {"a damaged snapshot leaves the engine as new", a_damaged_snapshot_leaves_the_engine_as_new},
    {"numbers go on from the last one used", numbers_go_on_from_the_last_one_used},
    {"bursts are bounded and not repeated while hot", bursts_are_bounded_and_not_repeated_while_hot},
    {"lateness is learned and told", lateness_is_learned_and_told},
    {"nothing opens in the first two seconds", nothing_opens_in_the_first_two_seconds},
    {"old observations do not judge", old_observations_do_not_judge},
    {"nonsense is dropped", nonsense_is_dropped})

/* Sites of other shapes: several hops, many services, addresses, zones, gateways, paths that never worked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "tests/support/site_world.h"
#include "tests/support/unit.h"

#define HEALTHY_MS 20000

/* One incident, with this component, told for sure within the time; prints the story otherwise. */
static const struct incident *only_incident(
    const struct world *world, const char *component, int64_t since, int64_t within_ms)
{
    const struct engine_step *opened = world_find(world, STEP_OPENED, component);
    bool right = opened != NULL && world_count(world, STEP_OPENED, NULL) == 1 &&
                 opened->at_ms - since <= within_ms && opened->incident.confidence == CONFIDENCE_HIGH;
    const struct incident *last = world_last(world, component);
    right = right && last == world_last(world, NULL);
    CU_ASSERT(right);
    if (!right) {
        printf("\nexpected %s only, since %.2f s\n", component, (double)(since - WORLD_START_MS) / 1000);
        world_print(world);
    }
    return right ? last : NULL;
}

/* nginx -> HAProxy -> three servers */
static struct site_builder *two_hops(void)
{
    struct site_builder *site = builder_new();
    uint32_t east = builder_add_site(site, "east", "");
    static const char *const names[] = {"mon", "social", "beta"};
    for (int i = 0; i < 3; i++) builder_add_host(site, names[i], east, MODEL_NONE);
    uint32_t nginx = builder_add_balancer(site, "nginx", MODEL_NONE);
    uint32_t haproxy = builder_add_balancer(site, "haproxy", MODEL_NONE);
    uint32_t www = builder_add_service(site, "www", SERVICE_WEB);
    builder_add_hop(site, www, nginx);
    builder_add_hop(site, www, haproxy);
    static const char *const apps[] = {"app1", "app2", "app3"};
    for (int i = 0; i < 3; i++) builder_add_backend(site, www, apps[i], MODEL_NONE, MODEL_NONE);
    for (uint32_t i = 0; i < 3; i++) builder_add_observer(site, www, i);
    return site;
}

static void of_two_hops_the_broken_one_is_named(void)
{
    static const struct {
        int hop;
        bool behind; /* it lives, but cannot reach what is behind it */
        enum world_fault fault;
        const char *component;
    } rows[] = {
        {0, false, WORLD_REFUSES, "lb:nginx"},
        {0, false, WORLD_DROPS, "lb:nginx"},
        {0, false, WORLD_HANGS, "lb:nginx"},
        {0, true, WORLD_ERRORS, "lb:nginx"},
        {1, false, WORLD_REFUSES, "lb:haproxy"},
        {1, false, WORLD_DROPS, "lb:haproxy"},
        {1, false, WORLD_HANGS, "lb:haproxy"},
        {1, true, WORLD_HANGS, "lb:haproxy"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct world *world = world_new(two_hops(), i + 1);
        world_run(world, HEALTHY_MS);
        int64_t cut = world->now_ms;
        if (rows[i].behind)
            world->behind_balancer[rows[i].hop] = rows[i].fault;
        else
            world->balancer[rows[i].hop] = rows[i].fault;
        world_run(world, 10000);
        only_incident(world, rows[i].component, cut, 2500);
        world_free(world);
    }
}

static void ten_services_behind_one_dead_balancer_are_one_incident(void)
{
    struct site_builder *site = builder_new();
    uint32_t east = builder_add_site(site, "east", "");
    static const char *const names[] = {"mon", "social", "beta"};
    for (int i = 0; i < 3; i++) builder_add_host(site, names[i], east, MODEL_NONE);
    uint32_t lb = builder_add_balancer(site, "lb-www", MODEL_NONE);
    static const char *const services[] = {"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"};
    for (int s = 0; s < 10; s++) {
        uint32_t service = builder_add_service(site, services[s], SERVICE_WEB);
        builder_add_hop(site, service, lb);
        builder_add_backend(site, service, "app1", MODEL_NONE, MODEL_NONE);
        builder_add_backend(site, service, "app2", MODEL_NONE, MODEL_NONE);
        for (uint32_t i = 0; i < 3; i++) builder_add_observer(site, service, i);
    }
    struct world *world = world_new(site, 3);
    world_run(world, HEALTHY_MS);
    int64_t cut = world->now_ms;
    world->balancer[0] = WORLD_DROPS;
    world_run(world, 10000);
    const struct incident *last = only_incident(world, "lb:lb-www", cut, 2500);
    if (last != NULL) {
        CU_ASSERT_STRING_EQUAL(last->services, "s0,s1,s2,s3,s4,s5,s6,s7,s8,s9");
        CU_ASSERT_EQUAL(last->symptom_count, 10);
        CU_ASSERT_PTR_NOT_NULL(strstr(last->headline, "0 of 30 through the balancer, 20 of 20 directly"));
    }
    world->balancer[0] = WORLD_FINE;
    world_run(world, 15000);
    CU_ASSERT_EQUAL(world_count(world, STEP_RESOLVED, "lb:lb-www"), 1);
    CU_ASSERT_EQUAL(world_count(world, STEP_OPENED, NULL), 1);
    world_free(world);
}

static void one_dead_address_of_three_is_partial_and_named(void)
{
    struct site_builder *site = builder_simple(3, 3, false);
    builder_add_address(site, 0, "10.0.0.1:80");
    builder_add_address(site, 0, "10.0.0.2:80");
    builder_add_address(site, 0, "10.0.0.3:80");
    struct world *world = world_new(site, 4);
    world_run(world, HEALTHY_MS);
    int64_t cut = world->now_ms;
    world->address[0][1] = WORLD_DROPS;
    world_run(world, 10000);
    const struct incident *last = only_incident(world, "lb:lb-www", cut, 3000);
    if (last != NULL) {
        CU_ASSERT_EQUAL(last->mode, MODE_PARTIAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(last->headline, "10.0.0.2:80"));
        CU_ASSERT_EQUAL(last->severity, SEVERITY_PAGE);
    }
    world->address[0][1] = WORLD_FINE;
    world_run(world, 15000);
    CU_ASSERT_EQUAL(world_count(world, STEP_RESOLVED, NULL), 1);
    world_free(world);
}

static void all_addresses_dead_are_the_balancer_and_not_one_of_them(void)
{
    struct site_builder *site = builder_simple(3, 3, false);
    builder_add_address(site, 0, "10.0.0.1:80");
    builder_add_address(site, 0, "10.0.0.2:80");
    struct world *world = world_new(site, 4);
    world_run(world, HEALTHY_MS);
    int64_t cut = world->now_ms;
    world->balancer[0] = WORLD_DROPS;
    world_run(world, 10000);
    const struct incident *last = only_incident(world, "lb:lb-www", cut, 3000);
    if (last != NULL) CU_ASSERT_EQUAL(last->mode, MODE_HUNG);
    world_free(world);
}

static void one_zone_is_named_as_such(void)
{
    struct site_builder *site = builder_new();
    uint32_t east = builder_add_site(site, "east", "");
    uint32_t a = builder_add_zone(site, "a"), b = builder_add_zone(site, "b");
    static const char *const names[] = {"mon", "social", "beta"};
    for (int i = 0; i < 3; i++) builder_add_host(site, names[i], east, MODEL_NONE);
    uint32_t lb = builder_add_balancer(site, "lb-www", MODEL_NONE);
    uint32_t www = builder_add_service(site, "www", SERVICE_WEB);
    builder_add_hop(site, www, lb);
    static const char *const apps[] = {"app1", "app2", "app3", "app4"};
    for (uint32_t i = 0; i < 4; i++) builder_add_backend(site, www, apps[i], MODEL_NONE, i < 2 ? a : b);
    for (uint32_t i = 0; i < 3; i++) builder_add_observer(site, www, i);
    struct world *world = world_new(site, 5);
    world_run(world, HEALTHY_MS);
    int64_t cut = world->now_ms;
    world->backend[0] = world->backend[1] = WORLD_DROPS;
    world_run(world, 10000);
    only_incident(world, "zone:a", cut, 3500);
    world_free(world);
}

/* east: three observers; optionally one outside; optionally references */
static struct site_builder *gateway_site(bool outside, bool references)
{
    struct site_builder *site = builder_new();
    uint32_t east = builder_add_site(site, "east", "");
    uint32_t far = builder_add_site(site, "outside", "other");
    static const char *const names[] = {"mon", "social", "beta", "ops"};
    for (uint32_t i = 0; i < (outside ? 4u : 3u); i++)
        builder_add_host(site, names[i], i < 3 ? east : far, MODEL_NONE);
    if (references) {
        builder_add_reference(site, east, "https://example.org/");
        builder_add_reference(site, east, "https://example.net/");
    }
    uint32_t lb = builder_add_balancer(site, "lb-www", MODEL_NONE);
    uint32_t www = builder_add_service(site, "www", SERVICE_WEB);
    builder_add_hop(site, www, lb);
    static const char *const apps[] = {"app1", "app2", "app3"};
    for (int i = 0; i < 3; i++) builder_add_backend(site, www, apps[i], MODEL_NONE, MODEL_NONE);
    for (uint32_t i = 0; i < (outside ? 4u : 3u); i++) builder_add_observer(site, www, i);
    return site;
}

static void three_observers_behind_one_dead_gateway_are_the_sites_way_out(void)
{
    static const struct {
        bool outside, references;
    } rows[] = {{true, true}, {true, false}, {false, true}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct world *world = world_new(gateway_site(rows[i].outside, rows[i].references), i + 1);
        world_run(world, 35000); /* references are proven at their regular pace */
        int64_t cut = world->now_ms;
        for (int h = 0; h < 3; h++) world->observer_cut[h] = true;
        world_run(world, 15000);
        const struct incident *last = only_incident(world, "egress:east", cut, 5000);
        if (last != NULL) CU_ASSERT(last->severity < SEVERITY_PAGE);
        for (int h = 0; h < 3; h++) world->observer_cut[h] = false;
        world_run(world, 20000);
        CU_ASSERT_EQUAL(world_count(world, STEP_RESOLVED, "egress:east"), 1);
        world_free(world);
    }
}

static void with_references_a_dead_balancer_is_still_the_balancer(void)
{
    struct world *world = world_new(gateway_site(false, true), 2);
    world_run(world, 35000);
    int64_t cut = world->now_ms;
    world->balancer[0] = WORLD_DROPS;
    world_run(world, 8000);
    only_incident(world, "lb:lb-www", cut, 5000);
    world_free(world);
}

/* Ten seconds after the start, as soon as the pages are proven by their bursts. */
static void references_are_proven_in_time_to_name_the_way_out(void)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct world *world = world_new(gateway_site(false, true), seed);
        world_run(world, 10000);
        int64_t cut = world->now_ms;
        for (int i = 0; i < 3; i++) world->observer_cut[i] = true;
        world->references_down = true;
        world_run(world, 10000);
        only_incident(world, "egress:east", cut, 4000);
        uint32_t reference = world->model->target_count - 1;
        CU_ASSERT(world->sent_in_second_max[reference] <= 3);
        world_free(world);
    }
}

static void references_that_fail_alone_are_nobodys_fault(void)
{
    struct world *world = world_new(gateway_site(true, true), 2);
    world_run(world, 35000);
    world->references_down = true;
    world_run(world, 20000);
    CU_ASSERT_EQUAL(world_count(world, STEP_OPENED, "lb:lb-www"), 0);
    CU_ASSERT_EQUAL(world->step_count, 0);
    if (world->step_count > 0) world_print(world);
    world_free(world);
}

/* ---- paths that never worked ---- */

static const json_t *find_path(
    const json_t *status, const char *observer, const char *target, const char *probe, const char *entrance)
{
    const json_t *service = json_array_get(json_object_get(status, "services"), 0);
    size_t i;
    json_t *path;
    json_array_foreach(json_object_get(service, "paths"), i, path)
    {
        if (strcmp(json_string_value(json_object_get(path, "observer")), observer) == 0 &&
            strcmp(json_string_value(json_object_get(path, "target")), target) == 0 &&
            strcmp(json_string_value(json_object_get(path, "entrance")), entrance) == 0 &&
            strcmp(json_string_value(json_object_get(path, "probe")), probe) == 0)
            return path;
    }
    return NULL;
}

static void check_reason(const struct world *world, const char *target, const char *probe,
    const char *entrance, const char *reason, const char *remedy)
{
    json_t *status = engine_status(world->engine, world->now_ms);
    const json_t *path = find_path(status, "mon", target, probe, entrance);
    CU_ASSERT_PTR_NOT_NULL_FATAL(path);
    const char *state = json_string_value(json_object_get(path, "state"));
    CU_ASSERT(strcmp(state, "unproven") == 0 || strcmp(state, "blocked") == 0);
    const char *its_reason = json_string_value(json_object_get(path, "reason"));
    const char *its_remedy = json_string_value(json_object_get(path, "remedy"));
    CU_ASSERT(its_reason != NULL && strstr(its_reason, reason) != NULL);
    CU_ASSERT(its_remedy != NULL && strstr(its_remedy, remedy) != NULL);
    if (its_reason != NULL && its_remedy != NULL)
        printf("  %s %s: %s -> %s\n", entrance, target, its_reason, its_remedy);
    json_decref(status);
}

static void what_never_worked_opens_nothing_and_says_why_within_ten_seconds(void)
{
    struct world *world = world_new(builder_simple(3, 3, false), 7);
    const struct model *m = world->model;
    uint32_t hop = builder_target(m, 0, ENTRANCE_HOP, 0, PROBE_HTTP);
    world->answer[hop] = PROBE_ERROR_REDIRECT;
    world->answer_code[hop] = 301;
    world->answer[builder_target(m, 0, ENTRANCE_BACKEND, 0, PROBE_HTTP)] = PROBE_ERROR_CONNECT_TIMEOUT;
    world->answer[builder_target(m, 0, ENTRANCE_BACKEND, 0, PROBE_TCP)] = PROBE_ERROR_CONNECT_TIMEOUT;
    world->answer[builder_target(m, 0, ENTRANCE_HEALTH, 0, PROBE_HTTP)] = PROBE_ERROR_CONNECT_TIMEOUT;
    uint32_t second = builder_target(m, 0, ENTRANCE_BACKEND, 1, PROBE_HTTP);
    world->answer[second] = PROBE_ERROR_TLS;
    uint32_t third = builder_target(m, 0, ENTRANCE_BACKEND, 2, PROBE_HTTP);
    world->answer[third] = PROBE_ERROR_BLOCKED;
    world->answer_code[third] = 401;
    world_run(world, 10000);
    check_reason(world, "lb-www", "http", "hop", "redirects (301)", "scheme");
    check_reason(world, "app1", "http", "backend", "firewall", "observer");
    check_reason(world, "app2", "http", "backend", "certificate", "insecure");
    check_reason(world, "app3", "http", "backend", "login (401)", "credentials_file");
    world_run(world, 120000);
    CU_ASSERT_EQUAL(world->step_count, 0);
    if (world->step_count > 0) world_print(world);
    world_free(world);
}

/* TLS in front, plain HTTP that redirects at the hop, one backend firewalled: what is left still judges. */
static void what_is_proven_still_judges(void)
{
    struct world *world = world_new(builder_simple(3, 3, false), 8);
    const struct model *m = world->model;
    uint32_t hop = builder_target(m, 0, ENTRANCE_HOP, 0, PROBE_HTTP);
    world->answer[hop] = PROBE_ERROR_REDIRECT;
    world->answer[builder_target(m, 0, ENTRANCE_BACKEND, 0, PROBE_HTTP)] = PROBE_ERROR_CONNECT_TIMEOUT;
    world->answer[builder_target(m, 0, ENTRANCE_BACKEND, 0, PROBE_TCP)] = PROBE_ERROR_CONNECT_TIMEOUT;
    world->answer[builder_target(m, 0, ENTRANCE_HEALTH, 0, PROBE_HTTP)] = PROBE_ERROR_CONNECT_TIMEOUT;
    world_run(world, 40000);
    CU_ASSERT_EQUAL(world->step_count, 0);
    int64_t cut = world->now_ms;
    world->balancer[0] = WORLD_REFUSES;
    world_run(world, 8000);
    const struct incident *last = only_incident(world, "lb:lb-www", cut, 4000);
    if (last != NULL)
        CU_ASSERT_PTR_NOT_NULL(strstr(last->headline, "0 of 3 through the balancer, 2 of 2 directly"));
    world_free(world);
}

/* A server that dies before its health URL has proven itself needs no other address or port. */
static void what_worked_before_is_given_no_remedy(void)
{
    struct world *world = world_new(builder_simple(1, 3, false), 8);
    const struct model *m = world->model;
    uint32_t page = builder_target(m, 0, ENTRANCE_BACKEND, 0, PROBE_HTTP);
    world_run(world, 3500);
    for (int i = 0; i < 12; i++) { /* good ones in between, but never enough in a row */
        world->backend[0] = WORLD_FINE;
        world_run(world, 2500);
        world->backend[0] = WORLD_REFUSES;
        world_run(world, 1500);
    }
    char reason[256] = "", remedy[256] = "";
    json_t *status = engine_status(world->engine, world->now_ms);
    const json_t *paths = json_object_get(json_array_get(json_object_get(status, "services"), 0), "paths");
    size_t i, seen = 0;
    json_t *path;
    json_array_foreach(paths, i, path)
    {
        if (strcmp(json_string_value(json_object_get(path, "target")), m->targets[page].name) != 0 ||
            !json_is_string(json_object_get(path, "reason")))
            continue;
        if (strcmp(json_string_value(json_object_get(path, "probe")), "tcp") == 0) continue;
        snprintf(reason, sizeof reason, "%s", json_string_value(json_object_get(path, "reason")));
        snprintf(remedy, sizeof remedy, "%s", json_string_value(json_object_get(path, "remedy")));
        CU_ASSERT_STRING_EQUAL(reason, "app1 worked before and fails now: connection refused");
        CU_ASSERT_STRING_EQUAL(remedy, "");
        seen++;
    }
    CU_ASSERT(seen > 0);
    json_decref(status);
    world_free(world);
}

/* Whether the fault of the balancer is called certain, and whether the provider is said. */
static void seen_from(const char *observers, const char *service, bool certain)
{
    struct site_builder *site = builder_new();
    uint32_t here = builder_add_site(site, "here", observers);
    builder_add_site(site, "there", service);
    static const char *const names[] = {"mon", "social", "beta"}, *const apps[] = {"app1", "app2", "app3"};
    for (int i = 0; i < 3; i++) builder_add_host(site, names[i], here, MODEL_NONE);
    uint32_t lb = builder_add_balancer(site, "lb-www", MODEL_NONE);
    uint32_t www = builder_add_service(site, "www", SERVICE_WEB);
    builder_add_hop(site, www, lb);
    for (int i = 0; i < 3; i++) builder_add_backend(site, www, apps[i], MODEL_NONE, MODEL_NONE);
    for (uint32_t i = 0; i < 3; i++) builder_add_observer(site, www, i);
    struct world *world = world_new(site, 12);
    world_run(world, 20000);
    world->balancer[0] = WORLD_REFUSES;
    world_run(world, 4000);
    const struct incident *last = world_last(world, "lb:lb-www");
    CU_ASSERT_PTR_NOT_NULL_FATAL(last);
    CU_ASSERT_EQUAL(last->confidence, certain ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM);
    bool said = false;
    for (size_t i = 0; i < last->evidence_count; i++) {
        said = said || strstr(last->evidence[i].text, "every observer is at provider");
        CU_ASSERT_NOT_EQUAL(last->evidence[i].text[0], ' ');
    }
    CU_ASSERT_EQUAL(said, !certain);
    CU_ASSERT_EQUAL(last->severity, SEVERITY_PAGE);
    world_free(world);
}

static void the_users_way_seen_from_one_provider_only_is_at_most_likely(void)
{
    seen_from("alpha", "alpha", false);
    seen_from("alpha", "beta", true);
    seen_from("alpha", "", true);
    seen_from("", "", true);
}

static void a_single_observer_only_warns_and_says_so(void)
{
    struct world *world = world_new(builder_simple(1, 3, false), 9);
    world_run(world, 30000);
    world->balancer[0] = WORLD_REFUSES;
    world_run(world, 10000);
    const struct incident *last = world_last(world, "lb:lb-www");
    CU_ASSERT_PTR_NOT_NULL_FATAL(last);
    CU_ASSERT_EQUAL(last->severity, SEVERITY_WARNING);
    CU_ASSERT_NOT_EQUAL(last->confidence, CONFIDENCE_HIGH);
    bool said = false;
    for (size_t i = 0; i < last->evidence_count; i++)
        said = said || strstr(last->evidence[i].text, "only one observer");
    CU_ASSERT_TRUE(said);
    CU_ASSERT_EQUAL(world_pages(world), 0);
    world_free(world);
}

static void a_service_without_listed_backends_is_named_itself(void)
{
    struct site_builder *site = builder_new();
    uint32_t east = builder_add_site(site, "east", "");
    static const char *const names[] = {"mon", "social", "beta"};
    for (int i = 0; i < 3; i++) builder_add_host(site, names[i], east, MODEL_NONE);
    uint32_t finder = builder_add_service(site, "finder", SERVICE_SEARCH);
    for (uint32_t i = 0; i < 3; i++) builder_add_observer(site, finder, i);
    struct world *world = world_new(site, 10);
    world_run(world, 30000);
    int64_t cut = world->now_ms;
    uint32_t target = builder_target(world->model, finder, ENTRANCE_USERS, 0, PROBE_HTTP);
    world->answer[target] = PROBE_ERROR_REFUSED;
    world_run(world, 8000);
    only_incident(world, "search:finder", cut, 3000);
    world_free(world);
}

/* www on three servers calls search, a service of its own: one incident, the caller a symptom. */
static void a_broken_callee_is_the_cause_and_its_caller_a_symptom(void)
{
    struct site_builder *site = builder_simple(3, 3, false);
    uint32_t finder = builder_add_service(site, "finder", SERVICE_SEARCH);
    for (uint32_t i = 0; i < 3; i++) builder_add_observer(site, finder, i);
    builder_depends(site, 0, finder);
    struct world *world = world_new(site, 11);
    world_run(world, 30000);
    uint32_t target = builder_target(world->model, finder, ENTRANCE_USERS, 0, PROBE_HTTP);
    world->answer[target] = PROBE_ERROR_REFUSED;
    for (int b = 0; b < 3; b++) world->page[b] = WORLD_HANGS;
    world_run(world, 12000);
    const struct incident *last = world_last(world, "search:finder");
    CU_ASSERT_PTR_NOT_NULL_FATAL(last);
    CU_ASSERT_EQUAL(last->state, INCIDENT_STATE_OPEN);
    size_t still_open = world_count(world, STEP_OPENED, NULL) - world_count(world, STEP_RESOLVED, NULL);
    CU_ASSERT_EQUAL(still_open, 1);
    if (still_open != 1) world_print(world);
    world->answer[target] = PROBE_ERROR_NONE;
    for (int b = 0; b < 3; b++) world->page[b] = WORLD_FINE;
    world_run(world, 20000);
    CU_ASSERT_EQUAL(world_count(world, STEP_OPENED, NULL), world_count(world, STEP_RESOLVED, NULL));
    world_free(world);
}

UNIT_MAIN("engine_sites", {"of two hops the broken one is named", of_two_hops_the_broken_one_is_named},
    {"ten services behind one dead balancer are one incident",
        ten_services_behind_one_dead_balancer_are_one_incident},
    {"one dead address of three is partial and named", one_dead_address_of_three_is_partial_and_named},
    {"all addresses dead are the balancer and not one of them",
        all_addresses_dead_are_the_balancer_and_not_one_of_them},
    {"one zone is named as such", one_zone_is_named_as_such},
    {"three observers behind one dead gateway are the site's way out",
        three_observers_behind_one_dead_gateway_are_the_sites_way_out},
    {"with references a dead balancer is still the balancer",
        with_references_a_dead_balancer_is_still_the_balancer},
    {"references are proven in time to name the way out", references_are_proven_in_time_to_name_the_way_out},
    {"references that fail alone are nobody's fault", references_that_fail_alone_are_nobodys_fault},
    {"what never worked opens nothing and says why within ten seconds",
        what_never_worked_opens_nothing_and_says_why_within_ten_seconds},
    {"what is proven still judges", what_is_proven_still_judges},
    {"what worked before is given no remedy", what_worked_before_is_given_no_remedy},
    {"the users' way seen from one provider only is at most likely",
        the_users_way_seen_from_one_provider_only_is_at_most_likely},
    {"a single observer only warns and says so", a_single_observer_only_warns_and_says_so},
    {"a service without listed backends is named itself", a_service_without_listed_backends_is_named_itself},
    {"a broken callee is the cause and its caller a symptom",
        a_broken_callee_is_the_cause_and_its_caller_a_symptom})

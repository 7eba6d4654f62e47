/* When no observer gets any answer, and when only some do: an incident opens, as a guess where it is one, and
 * nothing that is shown is better than what is known. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "tests/support/site_world.h"
#include "tests/support/unit.h"

#define BLIND_MS 6000

/* One balancer, three servers; the observers take turns at the sites. references: at the first of them. */
static struct site_builder *shape(int sites, int observers, bool references)
{
    static const char *const where[] = {"east", "west", "north"};
    static const char *const names[] = {"mon", "social", "beta"};
    static const char *const apps[] = {"app1", "app2", "app3"};
    struct site_builder *site = builder_new();
    for (int i = 0; i < sites; i++) builder_add_site(site, where[i], "");
    for (int i = 0; i < observers; i++)
        builder_add_host(site, names[i], sites > 0 ? (uint32_t)(i % sites) : MODEL_NONE, MODEL_NONE);
    if (references) {
        builder_add_reference(site, 0, "https://example.org/");
        builder_add_reference(site, 0, "https://example.net/");
    }
    uint32_t lb = builder_add_balancer(site, "lb-www", MODEL_NONE);
    uint32_t www = builder_add_service(site, "www", SERVICE_WEB);
    builder_add_hop(site, www, lb);
    for (int i = 0; i < 3; i++) builder_add_backend(site, www, apps[i], MODEL_NONE, MODEL_NONE);
    for (uint32_t i = 0; i < (uint32_t)observers; i++) builder_add_observer(site, www, i);
    return site;
}

static void cut_all(struct world *world, bool cut)
{
    for (uint32_t h = 0; h < world->model->host_count; h++) world->observer_cut[h] = cut;
}

static bool says(const struct incident *incident, const char *words)
{
    for (size_t i = 0; i < incident->evidence_count; i++)
        if (strstr(incident->evidence[i].text, words) != NULL) return true;
    return false;
}

struct row {
    int sites, observers;
    bool references;
    enum world_fault how;
    const char *component;
    enum confidence confidence;
    const char *runner_up;
    enum impact impact;
    enum severity severity;
};

static const struct row rows[] = {
    /* nothing comes back: one site's own way out is likelier than a balancer and all backends at once */
    {1, 3, false, WORLD_DROPS, "egress:east", CONFIDENCE_LOW, "backends:www", IMPACT_UNKNOWN,
        SEVERITY_WARNING},
    {1, 2, false, WORLD_DROPS, "egress:east", CONFIDENCE_LOW, "backends:www", IMPACT_UNKNOWN,
        SEVERITY_WARNING},
    {1, 1, false, WORLD_DROPS, "observer:mon", CONFIDENCE_LOW, "backends:www", IMPACT_UNKNOWN,
        SEVERITY_WARNING},
    /* several sites do not lose their ways out together */
    {2, 2, false, WORLD_DROPS, "backends:www", CONFIDENCE_LOW, "lb:lb-www", IMPACT_USERS_DOWN, SEVERITY_PAGE},
    {3, 3, false, WORLD_DROPS, "backends:www", CONFIDENCE_LOW, "lb:lb-www", IMPACT_USERS_DOWN, SEVERITY_PAGE},
    /* nor is anything known about observers without a site */
    {0, 3, false, WORLD_DROPS, "backends:www", CONFIDENCE_LOW, "lb:lb-www", IMPACT_USERS_DOWN, SEVERITY_PAGE},
    /* a refusal comes from a host that was reached */
    {1, 3, false, WORLD_REFUSES, "backends:www", CONFIDENCE_LOW, "lb:lb-www", IMPACT_USERS_DOWN,
        SEVERITY_PAGE},
    {1, 1, false, WORLD_REFUSES, "backends:www", CONFIDENCE_LOW, "lb:lb-www", IMPACT_USERS_DOWN,
        SEVERITY_WARNING},
    /* references that fail as well tell */
    {1, 3, true, WORLD_DROPS, "egress:east", CONFIDENCE_HIGH, NULL, IMPACT_NONE, SEVERITY_TICKET},
};

static void one_row(const struct row *row, uint64_t seed, int64_t healthy_ms)
{
    struct world *world = world_new(shape(row->sites, row->observers, row->references), seed);
    world->cut_as = row->how;
    world_run(world, healthy_ms);
    CU_ASSERT_EQUAL(world->step_count, 0);
    cut_all(world, true);
    world->references_down = true;
    world_run(world, BLIND_MS);
    const struct incident *last = world_last(world, NULL);
    bool right = last != NULL && world_count(world, STEP_OPENED, NULL) == 1 &&
                 strcmp(last->component, row->component) == 0 && last->confidence == row->confidence &&
                 (row->runner_up == NULL || strcmp(last->runner_up, row->runner_up) == 0) &&
                 last->impact == row->impact && last->severity == row->severity;
    if (right && row->confidence == CONFIDENCE_LOW)
        right = says(last, row->runner_up) && says(last, "would tell");
    CU_ASSERT(right);
    /* It ends with the same incident, and no better name is made up while it does. */
    cut_all(world, false);
    world->references_down = false;
    world_run(world, 20000);
    bool over = world_count(world, STEP_RESOLVED, NULL) == 1 && world_count(world, STEP_OPENED, NULL) == 1 &&
                strcmp(world_last(world, NULL)->component, row->component) == 0;
    CU_ASSERT(over);
    if (!right || !over) {
        printf("\n%d sites, %d observers, references %d, seed %llu, cut at %.2f:\n", row->sites,
            row->observers, row->references, (unsigned long long)seed, (double)healthy_ms / 1000);
        world_print(world);
    }
    world_free(world);
}

static void a_dead_way_out_says_what_told_it(void)
{
    static const struct {
        int sites, observers;
        bool references;
        const char *says, *not ;
    } shapes[] = {{1, 3, true, ", its references too", "other sites"},
        {2, 3, false, ", other sites' observers do not", "references"}};
    for (size_t i = 0; i < ARRAY_COUNT(shapes); i++) {
        struct world *world =
            world_new(shape(shapes[i].sites, shapes[i].observers, shapes[i].references), 1 + i);
        world_run(world, 35000);
        for (uint32_t h = 0; h < world->model->host_count; h++)
            world->observer_cut[h] = world->model->hosts[h].site == 0;
        world_run(world, BLIND_MS);
        const struct incident *last = world_last(world, "egress:east");
        bool right = last != NULL && strstr(last->headline, shapes[i].says) != NULL &&
                     strstr(last->headline, shapes[i].not ) == NULL;
        CU_ASSERT(right);
        if (!right) world_print(world);
        world_free(world);
    }
}

static void when_nobody_sees_anything_the_likeliest_place_is_told_as_a_guess(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        for (uint64_t seed = 1; seed <= 5; seed++)
            one_row(&rows[i], seed, 12000 + 7137 * (int64_t)(seed - 1));
}

static void a_lasting_guess_about_ourselves_becomes_a_ticket_and_no_page(void)
{
    struct world *world = world_new(shape(1, 3, false), 2);
    world_run(world, 20000);
    cut_all(world, true);
    world_run(world, 60000);
    CU_ASSERT_EQUAL(world_last(world, "egress:east")->severity, SEVERITY_TICKET);
    CU_ASSERT_EQUAL(world_pages(world), 0);
    CU_ASSERT_EQUAL(world_count(world, STEP_OPENED, NULL), 1);
    world_free(world);
}

/* Services of two servers each, all behind one balancer or each behind one of its own. */
static struct site_builder *many(int sites, int services, bool one_balancer)
{
    static const char *const names[] = {"mon", "social", "beta"}, *const where[] = {"east", "west", "north"};
    static const char *const www[] = {"s0", "s1", "s2", "s3"}, *const lbs[] = {"lb0", "lb1", "lb2", "lb3"};
    struct site_builder *site = builder_new();
    for (int i = 0; i < sites; i++) builder_add_site(site, where[i], "");
    for (int i = 0; i < 3; i++) builder_add_host(site, names[i], (uint32_t)(i % sites), MODEL_NONE);
    for (int i = 0; i < (one_balancer ? 1 : services); i++) builder_add_balancer(site, lbs[i], MODEL_NONE);
    for (int i = 0; i < services; i++) {
        uint32_t s = builder_add_service(site, www[i], SERVICE_WEB);
        builder_add_hop(site, s, one_balancer ? 0 : (uint32_t)i);
        builder_add_backend(site, s, "a", MODEL_NONE, MODEL_NONE);
        builder_add_backend(site, s, "b", MODEL_NONE, MODEL_NONE);
        for (uint32_t h = 0; h < 3; h++) builder_add_observer(site, s, h);
    }
    return site;
}

static void many_services_that_vanish_are_one_incident(void)
{
    static const struct {
        int sites;
        bool one_balancer;
        const char *component;
    } shapes[] = {{1, true, "egress:east"}, {1, false, "egress:east"}, {3, true, "lb:lb0"}};
    for (size_t i = 0; i < ARRAY_COUNT(shapes); i++)
        for (uint64_t seed = 1; seed <= 5; seed++) {
            struct world *world = world_new(many(shapes[i].sites, 4, shapes[i].one_balancer), seed);
            world_run(world, 30000 + (int64_t)seed * 170);
            cut_all(world, true);
            world_run(world, BLIND_MS);
            bool right = world_count(world, STEP_OPENED, NULL) == 1 &&
                         strcmp(world_last(world, NULL)->component, shapes[i].component) == 0;
            world_run(world, 20000);
            cut_all(world, false);
            world_run(world, 20000);
            right = right && world_count(world, STEP_OPENED, NULL) == 1 &&
                    world_count(world, STEP_RESOLVED, NULL) == 1;
            CU_ASSERT(right);
            if (!right) {
                printf("\nshape %zu, seed %llu\n", i, (unsigned long long)seed);
                world_print(world);
            }
            world_free(world);
        }
}

static void a_restart_in_the_dark_keeps_the_guess(void)
{
    struct world *world = world_new(shape(1, 3, false), 6);
    world_run(world, 20000);
    cut_all(world, true);
    world_run(world, 6000);
    world_restart(world, 2000);
    world_run(world, 15000);
    const struct incident *last = world_last(world, NULL);
    CU_ASSERT_STRING_EQUAL(last->component, "egress:east");
    CU_ASSERT_EQUAL(last->confidence, CONFIDENCE_LOW);
    CU_ASSERT(says(last, "would tell"));
    cut_all(world, false);
    world_run(world, 20000);
    CU_ASSERT_EQUAL(world_count(world, STEP_OPENED, NULL), 1);
    CU_ASSERT_EQUAL(world_count(world, STEP_RESOLVED, "egress:east"), 1);
    CU_ASSERT_EQUAL(world_pages(world), 0);
    if (world_count(world, STEP_RESOLVED, "egress:east") != 1) world_print(world);
    world_free(world);
}

static void a_guess_becomes_clear_when_somebody_sees_again(void)
{
    struct world *world = world_new(shape(1, 3, false), 3);
    world_run(world, 20000);
    cut_all(world, true);
    world_run(world, 8000);
    CU_ASSERT_EQUAL(world_count(world, STEP_OPENED, "egress:east"), 1);
    cut_all(world, false);
    world->balancer[0] = WORLD_DROPS;
    world_run(world, 8000);
    const struct incident *last = world_last(world, "lb:lb-www");
    CU_ASSERT(last != NULL && last->confidence == CONFIDENCE_HIGH && last->severity == SEVERITY_PAGE);
    CU_ASSERT_EQUAL(world_count(world, STEP_OPENED, "backends:www"), 0);
    if (last == NULL) world_print(world);
    world_free(world);
}

/* The verdict over the service, and the state of its balancer and of its first backend. */
static bool status_is(const struct world *world, const char *verdict, const char *hop, const char *backend)
{
    json_t *status = engine_status(world->engine, world->now_ms);
    const json_t *www = json_array_get(json_object_get(status, "services"), 0);
    const char *v = json_string_value(json_object_get(www, "verdict"));
    const char *h =
        json_string_value(json_object_get(json_array_get(json_object_get(www, "hops"), 0), "state"));
    const char *b =
        json_string_value(json_object_get(json_array_get(json_object_get(www, "backends"), 0), "state"));
    bool right = strcmp(v, verdict) == 0 && strcmp(h, hop) == 0 && strcmp(b, backend) == 0;
    if (!right)
        printf("\nat %.2f s: %s, %s, %s instead of %s, %s, %s\n",
            (double)(world->now_ms - WORLD_START_MS) / 1000, v, h, b, verdict, hop, backend);
    json_decref(status);
    return right;
}

static void the_status_says_what_the_last_seconds_showed(void)
{
    struct world *world = world_new(shape(1, 3, false), 4);
    CU_ASSERT(status_is(world, "silent", "silent", "silent"));
    world_run(world, 3000);
    CU_ASSERT(status_is(world, "unproven", "unproven", "unproven"));
    world_run(world, 20000);
    CU_ASSERT(status_is(world, "healthy", "healthy", "up"));
    cut_all(world, true);
    world_run(world, 8000);
    CU_ASSERT(status_is(world, "unknown", "unknown", "unknown"));
    cut_all(world, false);
    world_run(world, 20000);
    CU_ASSERT(status_is(world, "healthy", "healthy", "up"));
    world->backend[0] = WORLD_REFUSES;
    world->out_of_rotation[0] = true;
    world_run(world, 12000);
    CU_ASSERT(status_is(world, "redundancy lost", "healthy", "down"));
    world->backend[0] = WORLD_FINE;
    world->out_of_rotation[0] = false;
    world_run(world, 30000);
    for (uint32_t h = 0; h < 3; h++) world->probes_stop[h] = true;
    world_run(world, 7000);
    CU_ASSERT(status_is(world, "silent", "silent", "silent"));
    world_free(world);
}

static void while_a_dead_balancer_comes_back_the_service_recovers(void)
{
    struct world *world = world_new(shape(3, 3, false), 5);
    world_run(world, 20000);
    world->balancer[0] = WORLD_REFUSES;
    world_run(world, 8000);
    CU_ASSERT(status_is(world, "down", "down", "up"));
    world->balancer[0] = WORLD_FINE;
    world_run(world, 2500);
    CU_ASSERT_EQUAL(world_count(world, STEP_RESOLVED, NULL), 0);
    CU_ASSERT(status_is(world, "recovering", "recovering", "up"));
    world_run(world, 10000);
    CU_ASSERT(status_is(world, "healthy", "healthy", "up"));
    world_free(world);
}

UNIT_MAIN("engine_blind", {"a dead way out says what told it", a_dead_way_out_says_what_told_it},
    {"when nobody sees anything the likeliest place is told as a guess",
        when_nobody_sees_anything_the_likeliest_place_is_told_as_a_guess},
    {"a lasting guess about ourselves becomes a ticket and no page",
        a_lasting_guess_about_ourselves_becomes_a_ticket_and_no_page},
    {"the status says what the last seconds showed", the_status_says_what_the_last_seconds_showed},
    {"while a dead balancer comes back the service recovers",
        while_a_dead_balancer_comes_back_the_service_recovers},
    {"many services that vanish are one incident", many_services_that_vanish_are_one_incident},
    {"a restart in the dark keeps the guess", a_restart_in_the_dark_keeps_the_guess},
    {"a guess becomes clear when somebody sees again", a_guess_becomes_clear_when_somebody_sees_again})

#include "collector/core/notify/notify.h"

#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "tests/support/unit.h"

#define T0 1795400000000

static char ops_name[] = "ops", public_name[] = "public", nothing[] = "";
static struct config_hook hooks[] = {{.name = ops_name, .kind = HOOK_WEBHOOK, .url = nothing},
    {.name = public_name, .kind = HOOK_X, .url = nothing}};
static size_t to_ops[] = {0}, to_public[] = {1};

static struct engine_step step_of(const char *id, uint32_t number, enum step word, enum severity severity,
    enum impact impact, int64_t at_ms)
{
    struct engine_step step = {.step = word, .at_ms = at_ms};
    struct incident *incident = &step.incident;
    snprintf(incident->id, sizeof incident->id, "%s", id);
    snprintf(incident->component, sizeof incident->component, "lb:lb-www");
    incident->kind = COMPONENT_LB;
    incident->severity = severity;
    incident->impact = impact;
    incident->steps = number;
    incident->detected_ms = T0;
    incident->onset_ms = T0 - 2000;
    return step;
}

/* The hooks a step is told to, "ops public". */
static const char *told(const json_t *step)
{
    static char text[128];
    text[0] = '\0';
    const json_t *deliveries = json_object_get(step, "deliveries");
    for (size_t i = 0; i < json_array_size(deliveries); i++) {
        if (i > 0) strcat(text, " ");
        strcat(text, json_string_value(json_object_get(json_array_get(deliveries, i), "hook")));
    }
    return text;
}

static void expect_step(struct notify *notify, struct engine_step step, int64_t now_ms, const char *expected)
{
    json_t *object = notify_step(notify, &step, now_ms);
    CU_ASSERT_STRING_EQUAL(told(object), expected);
    json_decref(object);
}

/* The hooks of all that became due. */
static void expect_due(struct notify *notify, int64_t now_ms, const char *expected, uint32_t number)
{
    json_t *steps = notify_due(notify, now_ms);
    CU_ASSERT_EQUAL(json_array_size(steps), expected[0] != '\0' ? 1 : 0);
    if (json_array_size(steps) > 0) {
        CU_ASSERT_STRING_EQUAL(told(json_array_get(steps, 0)), expected);
        CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_array_get(steps, 0), "number")), number);
    }
    json_decref(steps);
}

static void without_routes_every_hook_hears_of_tickets_and_worse(void)
{
    struct config config = {.hooks = hooks, .hook_count = 2};
    struct notify *notify = notify_new(&config);
    expect_step(notify, step_of("A-1", 1, STEP_OPENED, SEVERITY_WARNING, IMPACT_NONE, T0), T0, "");
    expect_step(notify, step_of("A-2", 1, STEP_OPENED, SEVERITY_TICKET, IMPACT_NONE, T0), T0, "ops public");
    expect_step(notify, step_of("A-1", 2, STEP_RESOLVED, SEVERITY_WARNING, IMPACT_NONE, T0), T0, "");
    expect_step(notify, step_of("A-2", 2, STEP_RESOLVED, SEVERITY_INFO, IMPACT_NONE, T0), T0, "ops public");
    notify_free(notify);
}

static void a_delivery_carries_what_the_contract_says(void)
{
    struct config config = {.hooks = hooks, .hook_count = 1};
    struct notify *notify = notify_new(&config);
    struct engine_step step = step_of("A-1", 1, STEP_OPENED, SEVERITY_PAGE, IMPACT_USERS_DOWN, T0);
    json_t *object = notify_step(notify, &step, T0);
    json_t *delivery = json_array_get(json_object_get(object, "deliveries"), 0);
    const char *id, *hook, *channel, *incident, *word, *at, *inner, *inner_step;
    json_int_t number;
    CU_ASSERT_EQUAL_FATAL(
        json_unpack_ex(delivery, NULL, 0, "{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:{s:{s:s}, s:s}}", "id", &id,
            "hook", &hook, "channel", &channel, "incident", &incident, "step", &word, "number", &number, "at",
            &at, "message", "incident", "id", &inner, "step", &inner_step),
        0);
    char expected[NOTIFY_ID_SIZE];
    notify_delivery_id("A-1", 1, "ops", expected);
    CU_ASSERT_STRING_EQUAL(id, expected);
    CU_ASSERT_EQUAL(strlen(id), 32);
    CU_ASSERT_STRING_EQUAL(channel, "webhook");
    CU_ASSERT_STRING_EQUAL(word, "opened");
    CU_ASSERT_STRING_EQUAL(inner, "A-1");
    CU_ASSERT_EQUAL(number, 1);
    char other[NOTIFY_ID_SIZE];
    notify_delivery_id("A-1", 2, "ops", other);
    CU_ASSERT_STRING_NOT_EQUAL(other, expected);
    notify_delivery_id("A-1", 1, "public", other);
    CU_ASSERT_STRING_NOT_EQUAL(other, expected);
    json_decref(object);
    notify_free(notify);
}

static void a_route_asks_for_severity_and_impact_and_then_for_every_step(void)
{
    struct config_route routes[] = {
        {.severity_min = SEVERITY_PAGE, .to = to_ops, .to_count = 1},
        {.severity_min = SEVERITY_INFO,
            .has_impact = true,
            .impact_min = IMPACT_USERS_DOWN,
            .to = to_public,
            .to_count = 1},
    };
    struct config config = {.hooks = hooks, .hook_count = 2, .routes = routes, .route_count = 2};
    struct notify *notify = notify_new(&config);
    expect_step(notify, step_of("A-1", 1, STEP_OPENED, SEVERITY_TICKET, IMPACT_REDUNDANCY_LOST, T0), T0, "");
    expect_step(notify, step_of("A-1", 2, STEP_AMENDED, SEVERITY_PAGE, IMPACT_USERS_HURT, T0), T0, "ops");
    expect_step(
        notify, step_of("A-1", 3, STEP_AMENDED, SEVERITY_PAGE, IMPACT_USERS_DOWN, T0), T0, "ops public");
    expect_step(
        notify, step_of("A-1", 4, STEP_MITIGATED, SEVERITY_TICKET, IMPACT_NONE, T0), T0, "ops public");
    expect_step(notify, step_of("A-1", 5, STEP_RESOLVED, SEVERITY_INFO, IMPACT_NONE, T0), T0, "ops public");
    expect_due(notify, T0 + 1000000, "", 0);
    notify_free(notify);
}

static void after_waits_until_the_incident_has_lasted_and_tells_its_newest_step(void)
{
    struct config_route routes[] = {
        {.severity_min = SEVERITY_INFO, .to = to_public, .to_count = 1, .after_ms = 120000}};
    struct config config = {.hooks = hooks, .hook_count = 2, .routes = routes, .route_count = 1};
    struct notify *notify = notify_new(&config);
    expect_step(notify, step_of("A-1", 1, STEP_OPENED, SEVERITY_PAGE, IMPACT_USERS_DOWN, T0), T0, "");
    expect_due(notify, T0 + 60000, "", 0);
    expect_step(
        notify, step_of("A-1", 2, STEP_AMENDED, SEVERITY_PAGE, IMPACT_USERS_DOWN, T0), T0 + 61000, "");
    expect_due(notify, T0 + 119999, "", 0);
    expect_due(notify, T0 + 120000, "public", 2);
    expect_due(notify, T0 + 120001, "", 0);
    expect_step(
        notify, step_of("A-1", 3, STEP_RESOLVED, SEVERITY_PAGE, IMPACT_NONE, T0), T0 + 130000, "public");
    /* Over before it had lasted: never told. */
    expect_step(notify, step_of("A-2", 1, STEP_OPENED, SEVERITY_PAGE, IMPACT_USERS_DOWN, T0), T0, "");
    expect_step(notify, step_of("A-2", 2, STEP_RESOLVED, SEVERITY_PAGE, IMPACT_NONE, T0), T0 + 5000, "");
    expect_due(notify, T0 + 999999, "", 0);
    notify_free(notify);
}

static void a_route_that_asks_for_approval_tells_nobody_by_itself(void)
{
    struct config_route routes[] = {
        {.severity_min = SEVERITY_INFO, .to = to_public, .to_count = 1, .approve = true}};
    struct config config = {.hooks = hooks, .hook_count = 2, .routes = routes, .route_count = 1};
    struct notify *notify = notify_new(&config);
    expect_step(notify, step_of("A-1", 1, STEP_OPENED, SEVERITY_PAGE, IMPACT_USERS_DOWN, T0), T0, "");
    expect_due(notify, T0 + 999999, "", 0);
    notify_free(notify);
}

static void a_storm_is_capped_and_nothing_is_lost(void)
{
    struct config config = {.hooks = hooks, .hook_count = 1};
    struct notify *notify = notify_new(&config);
    size_t sent = 0;
    for (uint32_t i = 0; i < 100; i++) {
        char id[16];
        snprintf(id, sizeof id, "A-%u", i);
        struct engine_step step = step_of(id, 1, STEP_OPENED, SEVERITY_PAGE, IMPACT_USERS_DOWN, T0 + i);
        json_t *object = notify_step(notify, &step, T0 + i);
        sent += json_array_size(json_object_get(object, "deliveries"));
        json_decref(object);
    }
    CU_ASSERT_EQUAL(sent, NOTIFY_CAP_OPENED);
    json_t *late = notify_due(notify, T0 + 100 + NOTIFY_CAP_MS);
    CU_ASSERT_EQUAL(json_array_size(late), 100 - NOTIFY_CAP_OPENED);
    json_decref(late);
    notify_free(notify);
}

static void one_incident_that_changes_without_end_is_capped_to_its_newest_step(void)
{
    struct config config = {.hooks = hooks, .hook_count = 1};
    struct notify *notify = notify_new(&config);
    size_t sent = 0;
    for (uint32_t i = 1; i <= 100; i++) {
        struct engine_step step =
            step_of("A-1", i, i == 1 ? STEP_OPENED : STEP_AMENDED, SEVERITY_PAGE, IMPACT_USERS_DOWN, T0);
        json_t *object = notify_step(notify, &step, T0);
        sent += json_array_size(json_object_get(object, "deliveries"));
        json_decref(object);
    }
    CU_ASSERT_EQUAL(sent, NOTIFY_CAP);
    expect_due(notify, T0 + NOTIFY_CAP_MS, "ops", 100);
    notify_free(notify);
}

static void what_was_told_survives_a_restart(void)
{
    struct config_route routes[] = {{.severity_min = SEVERITY_PAGE, .to = to_ops, .to_count = 1},
        {.severity_min = SEVERITY_INFO, .to = to_public, .to_count = 1, .after_ms = 120000}};
    struct config config = {.hooks = hooks, .hook_count = 2, .routes = routes, .route_count = 2};
    struct notify *before = notify_new(&config);
    expect_step(before, step_of("A-1", 1, STEP_OPENED, SEVERITY_PAGE, IMPACT_USERS_DOWN, T0), T0, "ops");
    json_t *memory = notify_to_json(before);
    notify_free(before);
    struct notify *after = notify_new(&config);
    CU_ASSERT_EQUAL(notify_from_json(after, memory, NULL), 0);
    expect_due(after, T0 + 60000, "", 0);
    expect_due(after, T0 + 120000, "public", 1);
    json_decref(memory);
    struct error err;
    memory = json_pack("[{s:s}]", "incident", "none");
    CU_ASSERT_EQUAL(notify_from_json(after, memory, &err), -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_INPUT);
    json_decref(memory);
    notify_free(after);
}

static void memory_is_bounded(void)
{
    struct config config = {.hooks = hooks, .hook_count = 1};
    struct notify *notify = notify_new(&config);
    for (uint32_t i = 0; i < 2 * NOTIFY_INCIDENTS_MAX; i++) {
        char id[16];
        snprintf(id, sizeof id, "A-%u", i);
        struct engine_step step = step_of(id, 1, STEP_OPENED, SEVERITY_INFO, IMPACT_NONE, T0 + i);
        json_decref(notify_step(notify, &step, T0 + i));
    }
    json_t *memory = notify_to_json(notify);
    CU_ASSERT_EQUAL(json_array_size(memory), NOTIFY_INCIDENTS_MAX);
    json_decref(memory);
    notify_free(notify);
}

UNIT_MAIN("notify",
    {"without routes every hook hears of tickets and worse",
        without_routes_every_hook_hears_of_tickets_and_worse},
    {"a delivery carries what the contract says", a_delivery_carries_what_the_contract_says},
    {"a route asks for severity and impact, and then for every step",
        a_route_asks_for_severity_and_impact_and_then_for_every_step},
    {"after waits until the incident has lasted and tells its newest step",
        after_waits_until_the_incident_has_lasted_and_tells_its_newest_step},
    {"a route that asks for approval tells nobody by itself",
        a_route_that_asks_for_approval_tells_nobody_by_itself},
    {"a storm is capped and nothing is lost", a_storm_is_capped_and_nothing_is_lost},
    {"one incident that changes without end is capped to its newest step",
        one_incident_that_changes_without_end_is_capped_to_its_newest_step},
    {"what was told survives a restart", what_was_told_survives_a_restart},
    {"memory is bounded", memory_is_bounded})

#include "collector/core/judge/agents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/judge/clock_offset.h"
#include "collector/core/judge/outbox.h"
#include "common/check.h"
#include "tests/support/site.h"
#include "tests/support/unit.h"

#define T0 1795400000000

/* ── Clocks ── */

struct sent {
    int64_t arrival_ms, wall_ms, mono_ms;
};

static void clocks_are_corrected_by_the_shortest_way_seen(void)
{
    static const struct {
        const char *label;
        struct sent batches[8];
        int64_t correction_ms;
    } cases[] = {
        {"in step", {{T0, T0 - 3, 1000}, {T0 + 1000, T0 + 980, 1983}, {T0 + 2000, T0 + 1999, 3002}}, 1},
        {"5 s ahead", {{T0, T0 + 4990, 1000}, {T0 + 1000, T0 + 5995, 2005}}, -4995},
        {"5 min behind", {{T0, T0 - 300003, 1000}, {T0 + 1000, T0 - 299001, 2002}}, 300001},
        {"a batch that waited an hour in the spool",
            {{T0, T0 - 3, 1000}, {T0 + 10, T0 - 3600000, 997 - 3600000 + 6}}, 3},
        {"set an hour ahead: believed at once", {{T0, T0, 1000}, {T0 + 1000, T0 + 3601000, 2000}}, -3600000},
        {"set an hour back: believed when three say so",
            {{T0, T0, 1000}, {T0 + 1000, T0 - 3599000, 2000}, {T0 + 2000, T0 - 3598000, 3000},
                {T0 + 3000, T0 - 3597000, 4000}},
            3600000},
        {"two are not enough",
            {{T0, T0, 1000}, {T0 + 1000, T0 - 3599000, 2000}, {T0 + 2000, T0 - 3598000, 3000}}, 0},
        {"from before a reboot, in between",
            {{T0, T0, 1000}, {T0 + 1, T0 - 9000, 50000000}, {T0 + 1000, T0 + 1000, 2000},
                {T0 + 1001, T0 - 8000, 50001000}, {T0 + 2000, T0 + 2000, 3000},
                {T0 + 2001, T0 - 7000, 50002000}},
            0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct clock_offset offset = {0};
        CU_ASSERT_EQUAL(clock_offset_correction_ms(&offset), 0);
        for (size_t b = 0; b < ARRAY_COUNT(cases[i].batches) && cases[i].batches[b].arrival_ms != 0; b++)
            clock_offset_batch(&offset, cases[i].batches[b].arrival_ms, cases[i].batches[b].wall_ms,
                cases[i].batches[b].mono_ms);
        int64_t correction_ms = clock_offset_correction_ms(&offset);
        CU_ASSERT_EQUAL(correction_ms, cases[i].correction_ms);
        if (correction_ms != cases[i].correction_ms)
            printf("%s: %lld\n", cases[i].label, (long long)correction_ms);
    }
}

static void a_clock_that_drifts_is_followed_within_five_minutes(void)
{
    struct clock_offset offset = {0};
    clock_offset_hello(&offset, T0, T0, 0);
    /* 100 ms behind from now on, by slewing: the base moves with it. */
    for (int64_t s = 1; s <= 301; s++)
        clock_offset_batch(&offset, T0 + s * 1000, T0 + s * 1000 - 100, s * 1000);
    CU_ASSERT_EQUAL(clock_offset_correction_ms(&offset), 100);
    clock_offset_hello(&offset, T0 + 400000, T0 + 400007, 5);
    CU_ASSERT_EQUAL(clock_offset_correction_ms(&offset), -7);
}

/* ── Dictionaries ── */

static struct wire_dict_entry probe_entry(uint32_t id, const struct model_target *target, const char *address)
{
    struct wire_dict_entry entry = {.id = id, .metric = WIRE_METRIC_PROBE};
    if (address != NULL) entry.labels[entry.label_count++] = (struct wire_label){"address", address};
    for (size_t i = 0; i < target->wire.label_count; i++)
        entry.labels[entry.label_count++] = target->wire.labels[i];
    return entry;
}

static void ids_lead_to_targets_and_follow_a_new_model(void)
{
    struct site *site = site_small(3, 3);
    struct model *model = model_build(&site->config, site->present, site->present_count, NULL);
    struct agents agents;
    agents_init(&agents);
    struct agent *agent = agents_get(&agents, "key");
    CU_ASSERT_PTR_EQUAL(agents_get(&agents, "key"), agent);
    CU_ASSERT_PTR_NOT_EQUAL(agents_get(&agents, "other"), agent);
    snprintf(agent->host, sizeof agent->host, "o2");
    agent_begin_incarnation(agent, 7);
    const struct wire_dict_entry dict[] = {
        probe_entry(1, &model->targets[0], "10.0.0.9"),
        {.id = 2,
            .metric = "balancer_server_state",
            .label_count = 4,
            .labels = {{"address", "127.0.0.1:9002"}, {"balancer", "lb-www"}, {"proxy", "be"},
                {"server", "s2"}}},
        {.id = 3, .metric = "disk_reads_total", .label_count = 1, .labels = {{"device", "vda"}}},
        {.id = 4, .metric = "agent_spool_batches"},
        /* An agent that was killed forty times: it skips 4,096 ids at each start. */
        {.id = 40 * 4096, .metric = "load_1m"},
        {.id = 5, .metric = "uptime_s"},
    };
    struct wire_batch batch = {.dict = dict, .dict_count = 6};
    CU_ASSERT_TRUE(agent_learn(agent, &batch, model, &site->config));
    CU_ASSERT_EQUAL(agent_entry(agent, 40 * 4096)->metric, METRIC_load_1m);
    CU_ASSERT_EQUAL(agent_entry(agent, 5)->metric, METRIC_uptime_s);
    CU_ASSERT_PTR_NULL(agent_entry(agent, 6));
    CU_ASSERT_PTR_NULL(agent_entry(agent, 40 * 4096 + 1));
    for (uint32_t id = 1000; agent->entry_count < DICTIONARY_ENTRIES_MAX; id++) {
        const struct wire_dict_entry one = {.id = id, .metric = "load_1m"};
        CU_ASSERT_TRUE_FATAL(
            agent_learn(agent, &(struct wire_batch){.dict = &one, .dict_count = 1}, model, &site->config));
    }
    const struct wire_dict_entry beyond = {.id = 41 * 4096, .metric = "load_1m"};
    CU_ASSERT_FALSE(
        agent_learn(agent, &(struct wire_batch){.dict = &beyond, .dict_count = 1}, model, &site->config));
    const struct dictionary_entry *entry = agent_entry(agent, 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(entry);
    CU_ASSERT_EQUAL(entry->kind, DICTIONARY_PROBE);
    CU_ASSERT_EQUAL(entry->target, 0);
    CU_ASSERT_STRING_EQUAL(entry->address, "10.0.0.9");
    CU_ASSERT_EQUAL(agent_entry(agent, 2)->kind, DICTIONARY_BALANCER);
    CU_ASSERT_EQUAL(agent_entry(agent, 2)->balancer, 0);
    CU_ASSERT_EQUAL_FATAL(agent_entry(agent, 2)->backend_count, 1);
    CU_ASSERT_EQUAL(agent_entry(agent, 2)->backends[0], 1);
    CU_ASSERT_STRING_EQUAL(agent_entry(agent, 3)->device, "vda");
    CU_ASSERT_EQUAL(agent_entry(agent, 4)->kind, DICTIONARY_BACKLOG);
    CU_ASSERT_PTR_NULL(agent_entry(agent, 6));
    CU_ASSERT_PTR_NULL(agent_entry(agent, UINT32_MAX));

    /* Another plan without that service: the id means nothing now, and everything again with the old one. */
    size_t services = site->config.service_count;
    site->config.service_count = 0;
    struct model *empty = model_build(&site->config, site->present, site->present_count, NULL);
    agent_resolve(agent, empty, &site->config);
    CU_ASSERT_EQUAL(agent_entry(agent, 1)->target, MODEL_NONE);
    CU_ASSERT_EQUAL(agent_entry(agent, 2)->backend_count, 0);
    site->config.service_count = services;
    agent_resolve(agent, model, &site->config);
    CU_ASSERT_EQUAL(agent_entry(agent, 1)->target, 0);
    CU_ASSERT_EQUAL(agent->model_host, 1);

    /* HAProxy's own name, where the addresses differ. */
    char server[] = "be/s2";
    site->config.services[0].backends[2].balancer_server = server;
    agent_resolve(agent, model, &site->config);
    CU_ASSERT_EQUAL(agent_entry(agent, 2)->backend_count, 2);

    agent_begin_incarnation(agent, 7);
    CU_ASSERT_PTR_NOT_NULL(agent_entry(agent, 1));
    agent_begin_incarnation(agent, 8);
    CU_ASSERT_PTR_NULL(agent_entry(agent, 1));
    agents_fini(&agents);
    model_free(empty);
    model_free(model);
    site_free(site);
}

static size_t learn_server(struct agent *agent, const struct model *model, const struct config *config,
    uint32_t id, const char *proxy, const char *server)
{
    struct wire_dict_entry entry = {.id = id,
        .metric = "balancer_server_state",
        .label_count = 3,
        .labels = {{"balancer", "lb-www"}, {"proxy", proxy}, {"server", server}}};
    struct wire_batch batch = {.dict = &entry, .dict_count = 1};
    CU_ASSERT_TRUE(agent_learn(agent, &batch, model, config));
    return agent_entry(agent, id)->backend_count;
}

static void servers_without_address_are_known_by_name_where_only_one_has_it(void)
{
    struct site *one = site_small(3, 3), *two = site_large(2, 3, 3);
    struct model *model = model_build(&one->config, one->present, one->present_count, NULL);
    struct model *models = model_build(&two->config, two->present, two->present_count, NULL);
    struct agents agents;
    agents_init(&agents);
    struct agent *agent = agents_get(&agents, "key"), *other = agents_get(&agents, "other");
    CU_ASSERT_EQUAL_FATAL(learn_server(agent, model, &one->config, 1, "be", "app2"), 1);
    CU_ASSERT_EQUAL(agent_entry(agent, 1)->backends[0], 1);
    CU_ASSERT_EQUAL(learn_server(agent, model, &one->config, 2, "be", "app9"), 0);
    CU_ASSERT_EQUAL(learn_server(agent, model, &one->config, 3, "be", "BACKEND"), 0);
    CU_ASSERT_EQUAL(learn_server(agent, model, &one->config, 4, "static", "app2"), 0); /* which one? */
    CU_ASSERT_EQUAL(agent_entry(agent, 1)->backend_count, 0);
    CU_ASSERT_EQUAL_FATAL(learn_server(agent, model, &one->config, 5, "www", "app2"), 1);
    CU_ASSERT_EQUAL(agent_entry(agent, 5)->backends[0], 1);
    CU_ASSERT_EQUAL(learn_server(other, models, &two->config, 1, "be", "app2"), 0);
    CU_ASSERT_EQUAL_FATAL(learn_server(other, models, &two->config, 2, "www2", "app2"), 1);
    CU_ASSERT_EQUAL(agent_entry(other, 2)->backends[0], 4);
    agents_fini(&agents);
    model_free(model);
    model_free(models);
    site_free(one);
    site_free(two);
}

static void repeated_sequences_are_known_even_with_more_gaps_than_fit(void)
{
    struct agents agents;
    agents_init(&agents);
    struct agent *agent = agents_get(&agents, "key");
    for (uint64_t s = 1; s < 1000; s += 2)
        CU_ASSERT_TRUE(agent_receive(agent, &(struct wire_batch){.sequence = s}));
    for (uint64_t s = 1; s < 1000; s += 2)
        CU_ASSERT_FALSE(agent_receive(agent, &(struct wire_batch){.sequence = s}));
    CU_ASSERT_TRUE(agent_receive(agent, &(struct wire_batch){.sequence = 998}));
    const struct wire_gap gap = {.from = 1001, .to = 1010};
    CU_ASSERT_TRUE(
        agent_receive(agent, &(struct wire_batch){.sequence = 1011, .gaps = &gap, .gap_count = 1}));
    CU_ASSERT_FALSE(agent_receive(agent, &(struct wire_batch){.sequence = 1005}));
    agents_fini(&agents);
}

static void thousands_of_agents_are_found_and_one_too_many_is_refused(void)
{
    struct agents agents;
    agents_init(&agents);
    char key[ROLE_KEY_SIZE];
    for (int i = 0; i < AGENTS_MAX; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        CU_ASSERT_PTR_NOT_NULL_FATAL(agents_get(&agents, key));
    }
    CU_ASSERT_PTR_NULL(agents_get(&agents, "one too many"));
    CU_ASSERT_PTR_EQUAL(agents_get(&agents, "key-4711"), agents.items[4711]);
    agents_fini(&agents);
}

/* ── Outbox ── */

struct post {
    bool state_takes, delivery_takes;
    uint64_t serials[16];
    size_t steps, deliveries;
};

static bool to_state(void *owner, uint64_t serial, const json_t *step)
{
    struct post *post = owner;
    (void)step;
    if (!post->state_takes) return false;
    post->serials[post->steps++ % 16] = serial;
    return true;
}

static bool to_delivery(void *owner, const json_t *delivery)
{
    struct post *post = owner;
    (void)delivery;
    if (post->delivery_takes) post->deliveries++;
    return post->delivery_takes;
}

static json_t *a_step(void)
{
    return json_pack("{s:i, s:[{s:s}, {s:s}]}", "number", 1, "deliveries", "id", "a", "id", "b");
}

static void a_step_is_repeated_until_recorded_and_its_deliveries_until_taken(void)
{
    static struct outbox outbox;
    struct post post = {0};
    const struct outbox_calls calls = {.to_state = to_state, .to_delivery = to_delivery, .owner = &post};
    outbox_add(&outbox, a_step());
    outbox_send(&outbox, T0, &calls);
    CU_ASSERT_EQUAL(post.steps, 0);
    post.state_takes = true;
    outbox_send(&outbox, T0 + 1, &calls);
    outbox_send(&outbox, T0 + 500, &calls);
    CU_ASSERT_EQUAL(post.steps, 1);
    outbox_send(&outbox, T0 + 1 + OUTBOX_REPEAT_MS, &calls);
    CU_ASSERT_EQUAL(post.steps, 2);
    CU_ASSERT_EQUAL(post.serials[0], post.serials[1]);
    post.delivery_takes = true;
    outbox_send(&outbox, T0 + 1100, &calls);
    CU_ASSERT_EQUAL(post.deliveries, 2);
    CU_ASSERT_EQUAL(outbox.count, 1);
    outbox_recorded(&outbox, post.serials[0] + 1, T0 + 1200);
    outbox_send(&outbox, T0 + 1200, &calls);
    CU_ASSERT_EQUAL(outbox.count, 1); /* that was another's */
    outbox_recorded(&outbox, post.serials[0], T0 + 1300);
    outbox_send(&outbox, T0 + 1300, &calls);
    CU_ASSERT_EQUAL(outbox.count, 0);
    CU_ASSERT_EQUAL(post.steps, 2);
    CU_ASSERT_EQUAL(post.deliveries, 2);

    /* Recorded while delivery is away: state will send it; here it is not kept for ever. */
    post.delivery_takes = false;
    outbox_add(&outbox, a_step());
    outbox_send(&outbox, T0 + 2000, &calls);
    outbox_recorded(&outbox, post.serials[2], T0 + 2010);
    outbox_send(&outbox, T0 + 2020, &calls);
    CU_ASSERT_EQUAL(outbox.count, 1);
    outbox_send(&outbox, T0 + 2010 + OUTBOX_DELIVERY_MS, &calls);
    CU_ASSERT_EQUAL(outbox.count, 0);
    outbox_fini(&outbox);
}

static void what_is_not_recorded_comes_back_after_a_restart(void)
{
    static struct outbox before, after;
    struct post post = {.state_takes = true, .delivery_takes = false};
    const struct outbox_calls calls = {.to_state = to_state, .to_delivery = to_delivery, .owner = &post};
    outbox_add(&before, a_step());
    outbox_add(&before, a_step());
    outbox_send(&before, T0, &calls);
    outbox_recorded(&before, post.serials[0], T0);
    json_t *kept = outbox_to_json(&before);
    CU_ASSERT_EQUAL(json_array_size(kept), 1);
    outbox_from_json(&after, kept);
    post.delivery_takes = true;
    outbox_send(&after, T0 + 10, &calls);
    CU_ASSERT_EQUAL(post.steps, 3);
    CU_ASSERT_TRUE(json_is_true(json_object_get(after.entries[0].step, "restored")));
    /* State does not answer: then it is told by us. */
    outbox_send(&after, T0 + 9 + OUTBOX_RESTORED_MS, &calls);
    CU_ASSERT_EQUAL(post.deliveries, 0);
    outbox_send(&after, T0 + 10 + OUTBOX_RESTORED_MS, &calls);
    CU_ASSERT_EQUAL(post.deliveries, 2);
    json_decref(kept);
    outbox_fini(&before);
    outbox_fini(&after);
}

/* Core and delivery may both be killed many times before there is a newer snapshot. */
static void what_a_restart_brings_back_is_for_state_to_tell(void)
{
    for (int restart = 0; restart < 3; restart++) {
        static struct outbox before, after;
        struct post post = {.state_takes = true, .delivery_takes = true};
        const struct outbox_calls calls = {.to_state = to_state, .to_delivery = to_delivery, .owner = &post};
        outbox_add(&before, a_step());
        json_t *kept = outbox_to_json(&before);
        outbox_from_json(&after, kept);
        outbox_send(&after, T0, &calls);
        CU_ASSERT_EQUAL(post.steps, 1);
        outbox_recorded(&after, post.serials[0], T0 + 10);
        outbox_send(&after, T0 + 20, &calls);
        CU_ASSERT_EQUAL(post.deliveries, 0);
        CU_ASSERT_EQUAL(after.count, 0);
        json_decref(kept);
        outbox_fini(&before);
        outbox_fini(&after);
    }
}

static void a_full_outbox_gives_up_the_oldest_and_says_so(void)
{
    static struct outbox outbox;
    for (int i = 0; i < OUTBOX_MAX + 3; i++) outbox_add(&outbox, a_step());
    CU_ASSERT_EQUAL(outbox.count, OUTBOX_MAX);
    CU_ASSERT_EQUAL(outbox.given_up, 3);
    CU_ASSERT_EQUAL(outbox.entries[0].serial, 4);
    outbox_fini(&outbox);
}

UNIT_MAIN("core agents",
    {"clocks are corrected by the shortest way seen", clocks_are_corrected_by_the_shortest_way_seen},
    {"a clock that drifts is followed within five minutes",
        a_clock_that_drifts_is_followed_within_five_minutes},
    {"ids lead to targets and follow a new model", ids_lead_to_targets_and_follow_a_new_model},
    {"servers without address are known by name where only one has it",
        servers_without_address_are_known_by_name_where_only_one_has_it},
    {"repeated sequences are known even with more gaps than fit",
        repeated_sequences_are_known_even_with_more_gaps_than_fit},
    {"thousands of agents are found and one too many is refused",
        thousands_of_agents_are_found_and_one_too_many_is_refused},
    {"a step is repeated until recorded and its deliveries until taken",
        a_step_is_repeated_until_recorded_and_its_deliveries_until_taken},
    {"what is not recorded comes back after a restart", what_is_not_recorded_comes_back_after_a_restart},
    {"what a restart brings back is for state to tell", what_a_restart_brings_back_is_for_state_to_tell},
    {"a full outbox gives up the oldest and says so", a_full_outbox_gives_up_the_oldest_and_says_so})

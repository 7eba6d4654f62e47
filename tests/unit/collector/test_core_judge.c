/* The judge without sockets, in virtual time. */
#include "collector/core/judge/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/model/model.h"
#include "common/check.h"
#include "proto/wire.h"
#include "tests/support/site.h"
#include "tests/support/unit.h"

#define T0 1795400000000

/* What the judge said, as counts and as the newest of its kind. */
static struct {
    bool link_takes, state_takes, delivery_takes;
    struct {
        char host[65];
        uint32_t version;
        size_t targets, parts;
        uint32_t late_after_ms; /* of the first target */
    } plans[64];
    size_t plan_count, steps, snapshots, notes, deliveries;
    uint64_t serial;
    char last_note[256], last_step[32];
    struct buffer snapshot; /* that came with the newest step or as one */
} heard;

static bool to_agent(void *owner, const char *key, const char *host, struct span frame)
{
    (void)owner;
    (void)key;
    if (!heard.link_takes) return false;
    struct arena arena = {0};
    struct wire_from_collector message;
    CU_ASSERT_EQUAL_FATAL(wire_decode_from_collector(frame, &arena, &message, NULL), 0);
    if (message.kind == WIRE_PLAN && heard.plan_count < ARRAY_COUNT(heard.plans)) {
        if (message.plan.part == 0) heard.plan_count++;
        snprintf(heard.plans[heard.plan_count - 1].host, 65, "%s", host);
        heard.plans[heard.plan_count - 1].version = message.plan.version;
        heard.plans[heard.plan_count - 1].targets += message.plan.target_count;
        heard.plans[heard.plan_count - 1].parts++;
        if (message.plan.target_count > 0)
            heard.plans[heard.plan_count - 1].late_after_ms = message.plan.targets[0].late_after_ms;
    }
    arena_fini(&arena);
    return true;
}

static bool to_state(
    void *owner, enum role_message message, uint64_t serial, struct span payload, struct span second)
{
    (void)owner;
    if (!heard.state_takes) return false;
    json_t *object =
        message == ROLE_SNAPSHOT ? NULL : json_loadb((const char *)payload.data, payload.size, 0, NULL);
    struct span snapshot = message == ROLE_SNAPSHOT ? payload : second;
    if (message == ROLE_STEP) {
        heard.steps++;
        heard.serial = serial;
        snprintf(heard.last_step, sizeof heard.last_step, "%s",
            json_string_value(json_object_get(object, "step")));
        CU_ASSERT_TRUE(snapshot.size > 0);
    }
    heard.snapshots += message == ROLE_SNAPSHOT;
    if (message == ROLE_NOTE) {
        heard.notes++;
        snprintf(heard.last_note, sizeof heard.last_note, "%s",
            json_string_value(json_object_get(object, "text")));
    }
    if (snapshot.size > 0) {
        buffer_clear(&heard.snapshot);
        buffer_append(&heard.snapshot, snapshot, NULL);
    }
    json_decref(object);
    return true;
}

static bool to_delivery(void *owner, struct span delivery)
{
    (void)owner;
    (void)delivery;
    if (heard.delivery_takes) heard.deliveries++;
    return heard.delivery_takes;
}

static void on_step(void *owner, const struct engine_step *step)
{
    (void)owner;
    (void)step;
}

static const struct judge_io io = {
    .to_agent = to_agent, .to_state = to_state, .to_delivery = to_delivery, .on_step = on_step};

static struct site *site;
static struct judge *judge;
static int64_t now_ms;
static uint64_t sequences[8];

static void begin(size_t hosts)
{
    buffer_fini(&heard.snapshot);
    memset(&heard, 0, sizeof heard);
    memset(sequences, 0, sizeof sequences);
    heard.link_takes = heard.state_takes = heard.delivery_takes = true;
    static char ops[] = "ops", nothing[] = "";
    static struct config_hook hook;
    hook = (struct config_hook){.name = ops, .kind = HOOK_WEBHOOK, .url = nothing};
    site = site_small(3, hosts);
    site->config.hooks = &hook;
    site->config.hook_count = 1;
    now_ms = T0;
    struct error err;
    judge = judge_new(&site->config, &io, site->present, site->present_count, now_ms, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(judge);
    CU_ASSERT_EQUAL(judge_restore(judge, (struct span){0}, now_ms, &err), 0);
}

static void end(void)
{
    judge_free(judge);
    site_free(site);
    buffer_fini(&heard.snapshot);
}

static void give(size_t host, enum role_message message, const struct wire_from_agent *body)
{
    struct buffer frame = {0};
    CU_ASSERT_EQUAL_FATAL(wire_encode_from_agent(body, &frame, NULL), 0);
    struct role_header header = role_header_of(message, now_ms);
    header.connection = 1;
    snprintf(header.key, sizeof header.key, "key-%zu", host);
    snprintf(header.host, sizeof header.host, "o%zu", host);
    CU_ASSERT_EQUAL(judge_take(judge, &header, buffer_span(&frame), now_ms, now_ms, NULL), 0);
    buffer_fini(&frame);
}

/* weather: 0 fine, 1 everything through the balancer fails. */
static void batch(size_t host, int weather)
{
    struct error err;
    struct model *model = model_build(&site->config, site->present, site->present_count, &err);
    uint32_t index = model_host_find(model, "o1") + (uint32_t)host - 1;
    struct wire_dict_entry dict[64];
    struct wire_probe probes[64];
    size_t count = 0;
    for (uint32_t t = 0; t < model->target_count; t++) {
        const struct model_target *target = &model->targets[t];
        bool mine = false;
        for (uint32_t o = 0; o < target->observer_count; o++) mine |= target->observers[o] == index;
        if (!mine) continue;
        dict[count] = (struct wire_dict_entry){
            .id = t + 1, .metric = WIRE_METRIC_PROBE, .label_count = target->wire.label_count};
        memcpy(dict[count].labels, target->wire.labels, sizeof dict[count].labels);
        bool fails = weather == 1 && target->probe == PROBE_HTTP &&
                     (target->entrance == ENTRANCE_USERS || target->entrance == ENTRANCE_HOP);
        probes[count++] = (struct wire_probe){.target = t + 1,
            .result = {.start_ms = now_ms - 5,
                .outcome = fails ? PROBE_FAIL : PROBE_OK,
                .error = fails ? PROBE_ERROR_REFUSED : PROBE_ERROR_NONE,
                .resolve_us = -1,
                .connect_us = 100,
                .tls_us = -1,
                .first_byte_us = fails ? -1 : 2000,
                .total_us = fails ? 200 : 3000}};
    }
    struct wire_from_agent body = {.kind = WIRE_BATCH,
        .batch = {.incarnation = host,
            .sequence = ++sequences[host],
            .base_ms = now_ms,
            .sent_wall_ms = now_ms,
            .sent_mono_ms = now_ms - T0 + 1000,
            .dict = dict,
            .dict_count = count,
            .probes = probes,
            .probe_count = count}};
    give(host, ROLE_FRAME, &body);
    model_free(model);
}

/* Seconds pass; the hosts of the mask speak. */
static void seconds(int count, unsigned mask, int weather)
{
    for (int s = 0; s < count; s++) {
        for (size_t host = 1; host < 8; host++)
            if (mask & 1u << host) batch(host, weather);
        for (int i = 0; i < 10; i++) {
            judge_tick(judge, now_ms);
            now_ms += 100;
        }
    }
}

static size_t observers_of_www(char names[3][65])
{
    json_t *question = json_pack("{s:s}", "ask", "agents"), *answer = judge_answer(judge, question, now_ms),
           *agent;
    size_t i, count = 0;
    json_array_foreach(answer, i, agent)
    {
        if (json_array_size(json_object_get(agent, "observes")) == 0 || count == 3) continue;
        snprintf(names[count++], 65, "%s", json_string_value(json_object_get(agent, "host")));
    }
    json_decref(answer);
    json_decref(question);
    return count;
}

static bool observes(const char *host)
{
    char names[3][65];
    size_t count = observers_of_www(names);
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], host) == 0) return true;
    return false;
}

static void a_silent_observer_is_replaced_and_comes_back_without_flapping(void)
{
    begin(4);
    char names[3][65];
    CU_ASSERT_EQUAL_FATAL(observers_of_www(names), 3);
    unsigned silent = (unsigned)(names[0][1] - '0'), all = 0x1e, others = all & ~(1u << silent);
    seconds(10, all, 0);
    seconds(59, others, 0);
    CU_ASSERT_TRUE(observes(names[0]));
    seconds(8, others, 0);
    CU_ASSERT_FALSE(observes(names[0]));
    CU_ASSERT_EQUAL(observers_of_www((char[3][65]){{0}}), 3);
    CU_ASSERT_EQUAL(heard.notes, 1);
    /* It blinks: half a minute here, half a minute gone. Nobody's plan moves. */
    for (int i = 0; i < 3; i++) {
        seconds(30, all, 0);
        seconds(30, others, 0);
    }
    CU_ASSERT_FALSE(observes(names[0]));
    CU_ASSERT_EQUAL(heard.notes, 1);
    seconds(70, all, 0);
    CU_ASSERT_TRUE(observes(names[0]));
    CU_ASSERT_EQUAL(heard.notes, 2);
    end();
}

static void without_a_replacement_a_silent_observer_stays_one(void)
{
    begin(3);
    seconds(5, 0xe, 0);
    seconds(90, 0x6, 0);
    CU_ASSERT_TRUE(observes("o3"));
    CU_ASSERT_EQUAL(heard.notes, 0);
    end();
}

static void a_newly_enrolled_host_is_planned_at_once(void)
{
    begin(3);
    seconds(2, 0xe, 0);
    size_t plans = heard.plan_count;
    CU_ASSERT_EQUAL(plans, 3);
    const char *three[] = {site->present[0], site->present[1]};
    CU_ASSERT_EQUAL(judge_set_enrolled(judge, three, 2, now_ms, NULL), 0);
    seconds(1, 0xe, 0);
    CU_ASSERT_FALSE(observes("o3"));
    CU_ASSERT_EQUAL(heard.plan_count, plans + 3);
    for (size_t i = plans; i < heard.plan_count; i++) {
        CU_ASSERT_TRUE(heard.plans[i].version > heard.plans[0].version);
        CU_ASSERT_EQUAL(heard.plans[i].targets, strcmp(heard.plans[i].host, "o3") == 0 ? 0 : 10);
    }
    CU_ASSERT_EQUAL(judge_set_enrolled(judge, site->present, 3, now_ms, NULL), 0);
    seconds(1, 0xe, 0);
    CU_ASSERT_TRUE(observes("o3"));
    end();
}

static void a_host_never_heard_takes_nobody_s_place(void)
{
    begin(4);
    char names[3][65];
    CU_ASSERT_EQUAL_FATAL(observers_of_www(names), 3);
    /* The one it would displace stands in for it. */
    size_t late = (size_t)(names[0][1] - '1');
    const char *heard_ones[3], *all[4];
    unsigned mask = 0;
    for (size_t i = 0, k = 0; i < 4; i++) {
        all[i] = site->present[i];
        if (i == late) continue;
        heard_ones[k++] = site->present[i];
        mask |= 2u << i;
    }
    CU_ASSERT_EQUAL(judge_set_enrolled(judge, heard_ones, 3, now_ms, NULL), 0);
    seconds(10, mask, 0);
    CU_ASSERT_EQUAL(judge_set_enrolled(judge, all, 4, now_ms, NULL), 0);
    seconds(10, mask, 0);
    CU_ASSERT_FALSE(observes(site->present[late]));
    seconds(6, mask | 2u << late, 0);
    CU_ASSERT_TRUE(observes(site->present[late]));
    end();
}

static void agents_are_listed_whether_enrolled_or_heard_or_not(void)
{
    begin(3);
    const char *one[] = {"o1"};
    CU_ASSERT_EQUAL(judge_set_enrolled(judge, one, 1, now_ms, NULL), 0);
    seconds(1, 0x6, 0); /* o2 is heard and not enrolled any more: link has not noticed yet */
    now_ms += 6000;
    json_t *question = json_pack("{s:s}", "ask", "agents"), *answer = judge_answer(judge, question, now_ms);
    static const struct {
        const char *host, *state;
        bool enrolled;
    } expected[] = {{"o1", "silent", true}, {"o2", "silent", false}, {"o3", "never", false}};
    CU_ASSERT_EQUAL_FATAL(json_array_size(answer), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *agent = json_array_get(answer, i);
        CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(agent, "host")), expected[i].host);
        CU_ASSERT_PTR_NULL(json_object_get(agent, "round_trip_us")); /* only agents could know */
        CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(agent, "state")), expected[i].state);
        CU_ASSERT_EQUAL(json_is_true(json_object_get(agent, "enrolled")), expected[i].enrolled);
    }
    json_decref(answer);
    json_decref(question);
    end();
}

/* The table of agents starts anew, the engine's memory does not: both say the same. */
static void after_a_restart_agents_and_status_know_who_was_heard(void)
{
    begin(3);
    seconds(40, 0x6, 0);
    struct buffer snapshot = {0};
    judge_snapshot(judge, &snapshot);
    judge_free(judge);
    now_ms += 20000;
    judge = judge_new(&site->config, &io, site->present, site->present_count, now_ms, NULL);
    CU_ASSERT_EQUAL(judge_restore(judge, buffer_span(&snapshot), now_ms, NULL), 0);
    buffer_fini(&snapshot);
    seconds(3, 0x2, 0);
    static const char *const states[] = {"reporting", "silent", "never"};
    json_t *ask_agents = json_pack("{s:s}", "ask", "agents"),
           *ask_status = json_pack("{s:s}", "ask", "status");
    json_t *agents = judge_answer(judge, ask_agents, now_ms),
           *status = judge_answer(judge, ask_status, now_ms);
    for (size_t i = 0; i < 3; i++) {
        const json_t *agent = json_array_get(agents, i), *host;
        CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(agent, "state")), states[i]);
        size_t k = 0;
        while ((host = json_array_get(json_object_get(status, "hosts"), k++)) != NULL &&
               !json_equal(json_object_get(host, "name"), json_object_get(agent, "host"))) {
        }
        CU_ASSERT_TRUE(json_equal(json_object_get(host, "last_heard"), json_object_get(agent, "last_heard")));
        CU_ASSERT_TRUE(json_equal(json_object_get(host, "state"), json_object_get(agent, "state")));
    }
    json_decref(agents);
    json_decref(status);
    json_decref(ask_agents);
    json_decref(ask_status);
    end();
}

static void drain_and_maintenance_are_heard_without_addresses(void)
{
    static const struct {
        int64_t said;
        const char *state;
    } words[] = {{BALANCER_SERVER_DRAINING, "draining"}, {BALANCER_SERVER_MAINTENANCE, "maintenance"}};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        begin(3);
        seconds(40, 0xe, 0);
        const struct wire_dict_entry dict = {.id = 60,
            .metric = "balancer_server_state",
            .label_count = 3,
            .labels = {{"balancer", "lb-www"}, {"proxy", "be_www"}, {"server", "app2"}}};
        const uint32_t series = 60;
        const struct wire_rows rows = {.series = &series,
            .series_count = 1,
            .times_ms = &now_ms,
            .time_count = 1,
            .ints = &words[i].said};
        struct wire_from_agent body = {.kind = WIRE_BATCH,
            .batch = {.incarnation = 1,
                .sequence = ++sequences[1],
                .base_ms = now_ms,
                .sent_wall_ms = now_ms,
                .sent_mono_ms = now_ms - T0 + 1000,
                .dict = &dict,
                .dict_count = 1,
                .rows = &rows,
                .rows_count = 1}};
        give(1, ROLE_FRAME, &body);
        seconds(1, 0xe, 0);
        json_t *question = json_pack("{s:s}", "ask", "status"),
               *status = judge_answer(judge, question, now_ms);
        const json_t *service = json_array_get(json_object_get(status, "services"), 0),
                     *backend = json_array_get(json_object_get(service, "backends"), 1);
        CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(backend, "state")), words[i].state);
        json_decref(status);
        json_decref(question);
        end();
    }
}

static void plans_wait_for_link(void)
{
    begin(3);
    heard.link_takes = false;
    seconds(3, 0xe, 0);
    CU_ASSERT_EQUAL(heard.plan_count, 0);
    heard.link_takes = true;
    seconds(1, 0, 0);
    CU_ASSERT_EQUAL(heard.plan_count, 3);
    end();
}

static void a_learned_lateness_renews_the_plans(void)
{
    begin(3);
    seconds(5, 0xe, 0);
    CU_ASSERT_EQUAL(heard.plan_count, 3);
    CU_ASSERT_EQUAL(heard.plans[0].late_after_ms, 2000);
    seconds(700, 0xe, 0);
    CU_ASSERT_TRUE(heard.plan_count > 3);
    CU_ASSERT_TRUE(heard.plan_count < 40); /* each five seconds at most, and only for real changes */
    CU_ASSERT_TRUE(heard.plans[heard.plan_count - 1].late_after_ms < 2000);
    CU_ASSERT_TRUE(heard.plans[heard.plan_count - 1].version > heard.plans[0].version);
    end();
}

static void steps_are_repeated_until_recorded_and_survive_a_restart(void)
{
    begin(3);
    seconds(61, 0xe, 0);
    CU_ASSERT_EQUAL(heard.steps, 0);
    CU_ASSERT_TRUE(heard.snapshots >= 1);
    heard.delivery_takes = false;
    for (int i = 0; i < 30 && heard.steps == 0; i++) seconds(1, 0xe, 1);
    CU_ASSERT_STRING_EQUAL(heard.last_step, "opened");
    CU_ASSERT_EQUAL(heard.deliveries, 0);
    size_t before = heard.steps;
    seconds(3, 0, 1);
    CU_ASSERT_TRUE(heard.steps >= before + 2);

    /* Killed before anything was confirmed: the snapshot that came with the step knows it all. */
    struct buffer snapshot = {0};
    buffer_append(&snapshot, buffer_span(&heard.snapshot), NULL);
    judge_free(judge);
    heard.steps = 0;
    heard.delivery_takes = true;
    struct error err;
    judge = judge_new(&site->config, &io, site->present, site->present_count, now_ms, &err);
    CU_ASSERT_EQUAL(judge_restore(judge, buffer_span(&snapshot), now_ms, &err), 0);
    judge_tick(judge, now_ms);
    CU_ASSERT_TRUE(heard.steps >= 1);
    CU_ASSERT_EQUAL(heard.deliveries, 0); /* state knows what was told before, and has the rest told */
    size_t deliveries = heard.deliveries;
    judge_recorded(judge, heard.serial, now_ms);
    judge_tick(judge, now_ms + 50);
    heard.steps = 0;
    judge_tick(judge, now_ms + 5000);
    CU_ASSERT_EQUAL(heard.steps, 0);
    CU_ASSERT_EQUAL(heard.deliveries, deliveries);
    buffer_fini(&snapshot);
    end();
}

/* Killed within the first minute, then the site breaks: what was proven must not have to prove itself again,
 * which it could not. */
static void what_was_proven_before_the_first_minute_survives_a_restart(void)
{
    begin(3);
    seconds(34, 0xe, 0);
    CU_ASSERT_TRUE(heard.snapshots >= 1 && heard.snapshots <= 10);
    struct buffer snapshot = {0};
    buffer_append(&snapshot, buffer_span(&heard.snapshot), NULL);
    judge_free(judge);
    struct error err;
    judge = judge_new(&site->config, &io, site->present, site->present_count, now_ms, &err);
    CU_ASSERT_EQUAL(judge_restore(judge, buffer_span(&snapshot), now_ms, &err), 0);
    for (int i = 0; i < 20 && heard.steps == 0; i++) seconds(1, 0xe, 1);
    CU_ASSERT_STRING_EQUAL(heard.last_step, "opened");
    buffer_fini(&snapshot);
    end();
}

static void a_snapshot_cut_anywhere_is_refused_without_harm(void)
{
    begin(3);
    seconds(40, 0xe, 0);
    for (int i = 0; i < 30 && heard.steps == 0; i++) seconds(1, 0xe, 1);
    struct buffer whole = {0};
    judge_snapshot(judge, &whole);
    for (size_t size = 1; size < whole.size; size += 97) {
        struct error err = {0};
        struct judge *other = judge_new(&site->config, &io, site->present, site->present_count, now_ms, &err);
        CU_ASSERT_EQUAL(judge_restore(other, span_of(whole.data, size), now_ms, &err), -1);
        CU_ASSERT_EQUAL(err.kind, ERROR_CORRUPT);
        judge_tick(other, now_ms);
        judge_free(other);
    }
    buffer_fini(&whole);
    end();
}

static void link_s_own_counts_stand_beside_ours(void)
{
    begin(3);
    struct role_header header = role_header_of(ROLE_COUNTS, now_ms);
    CU_ASSERT_EQUAL(
        judge_take(judge, &header, span_text("{\"link_frames_total\": 12}"), now_ms, now_ms, NULL), 0);
    CU_ASSERT_EQUAL(judge_take(judge, &header, span_text("[]"), now_ms, now_ms, NULL), -1);
    json_t *question = json_pack("{s:s}", "ask", "counts"), *answer = judge_answer(judge, question, now_ms);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(answer, "link_frames_total")), 12);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(answer, "engine_models_total")), 1);
    json_decref(answer);
    json_decref(question);
    end();
}

static void link_says(const char *counts)
{
    struct role_header header = role_header_of(ROLE_COUNTS, now_ms);
    CU_ASSERT_EQUAL(judge_take(judge, &header, span_text(counts), now_ms, now_ms, NULL), 0);
}

/* Seconds with link's own word each. */
static void seconds_with_link(int count, unsigned mask, const char *counts)
{
    for (int i = 0; i < count; i++) {
        link_says(counts);
        seconds(1, mask, 0);
    }
}

static bool is_ready(char reason[128])
{
    json_t *question = json_pack("{s:s}", "ask", "ready"), *answer = judge_answer(judge, question, now_ms);
    bool ready = json_is_true(json_object_get(answer, "ready"));
    snprintf(reason, 128, "%s", json_string_value(json_object_get(answer, "reason")));
    json_decref(answer);
    json_decref(question);
    return ready;
}

static void without_link_nothing_is_ready(void)
{
    char reason[128];
    begin(3);
    seconds(10, 0, 0); /* it cannot listen, and ends again and again */
    CU_ASSERT_FALSE(is_ready(reason));
    CU_ASSERT_PTR_NOT_NULL(strstr(reason, "link"));
    seconds_with_link(2, 0xe, "{\"link_batches_total\": 1}");
    CU_ASSERT_TRUE(is_ready(reason));
    seconds(4, 0, 0);
    CU_ASSERT_FALSE(is_ready(reason));
    CU_ASSERT_PTR_NOT_NULL(strstr(reason, "link"));
    end();
}

static void nobody_is_silent_while_link_is_away(void)
{
    static const struct {
        const char *label;
        int away;          /* seconds without link */
        const char *after; /* its counts when it is back */
        int missing;       /* seconds that agents 2 and 3 take to come back after that */
        bool opens;
    } cases[] = {
        {"link restarts, an agent takes its time", 1, "{\"link_batches_total\": 1}", 8, false},
        {"link hangs and goes on", 8, "{\"link_batches_total\": 200}", 6, false},
        {"an agent does not come back", 1, "{\"link_batches_total\": 1}", 30, true},
        {"link was there all the time", 0, "{\"link_batches_total\": 200}", 12, true},
        {"link stays away", 60, "{\"link_batches_total\": 1}", 0, true},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        begin(3);
        seconds_with_link(40, 0xe, "{\"link_batches_total\": 100}");
        seconds(cases[i].away, 0, 0);
        seconds_with_link(cases[i].missing, 0x2, cases[i].after);
        seconds_with_link(5, 0xe, "{\"link_batches_total\": 300}");
        CU_ASSERT_EQUAL(heard.steps > 0, cases[i].opens);
        if ((heard.steps > 0) != cases[i].opens) printf("%s: %zu steps\n", cases[i].label, heard.steps);
        end();
    }
}

UNIT_MAIN("core judge",
    {"a silent observer is replaced and comes back without flapping",
        a_silent_observer_is_replaced_and_comes_back_without_flapping},
    {"without a replacement a silent observer stays one", without_a_replacement_a_silent_observer_stays_one},
    {"a newly enrolled host is planned at once", a_newly_enrolled_host_is_planned_at_once},
    {"a host never heard takes nobody's place", a_host_never_heard_takes_nobody_s_place},
    {"agents are listed whether enrolled or heard or not",
        agents_are_listed_whether_enrolled_or_heard_or_not},
    {"after a restart agents and status know who was heard",
        after_a_restart_agents_and_status_know_who_was_heard},
    {"drain and maintenance are heard without addresses", drain_and_maintenance_are_heard_without_addresses},
    {"plans wait for link", plans_wait_for_link},
    {"a learned lateness renews the plans", a_learned_lateness_renews_the_plans},
    {"steps are repeated until recorded and survive a restart",
        steps_are_repeated_until_recorded_and_survive_a_restart},
    {"what was proven before the first minute survives a restart",
        what_was_proven_before_the_first_minute_survives_a_restart},
    {"a snapshot cut anywhere is refused without harm", a_snapshot_cut_anywhere_is_refused_without_harm},
    {"without link nothing is ready", without_link_nothing_is_ready},
    {"nobody is silent while link is away", nobody_is_silent_while_link_is_away},
    {"link's own counts stand beside ours", link_s_own_counts_stand_beside_ours})

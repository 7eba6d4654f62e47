/* core's threads with real sockets: this program is link with three agents, delivery, and web. The agents'
 * probes are made up here, frame by frame; everything behind the sockets is real. */
#include "collector/core/core.h"

#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "collector/contract/roles.h"
#include "collector/core/state/state.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/keys.h"
#include "common/log.h"
#include "proto/wire.h"
#include "tests/support/scratch.h"
#include "tests/support/site.h"
#include "tests/support/unit.h"

#define DEADLINE_MS 20000
#define AGENTS      3
#define TARGETS_MAX 64

struct target {
    uint64_t key;
    uint32_t id; /* in the dictionary */
    struct wire_label labels[LIMIT_LABELS];
    size_t label_count;
    char path[16], probe[16];
};

struct agent {
    char key[ROLE_KEY_SIZE], host[65];
    uint64_t incarnation, sequence, connection;
    uint32_t plan_version;
    struct target targets[TARGETS_MAX];
    size_t target_count;
    bool dictionary_sent;
    unsigned need_dicts, bursts;
    struct arena arena; /* of the targets' labels */
};

static struct {
    char directory[SCRATCH_SIZE], data[SCRATCH_SIZE + 8], run[SCRATCH_SIZE + 8], book[SCRATCH_SIZE + 8];
    struct site *site;
    struct config_hook hook;
    struct core *core;
    void *zmq;
    void *link_out, *to_engine;   /* link's ends */
    void *delivery_in, *to_state; /* delivery's */
    void *ask;                    /* web's */
    struct agent agents[AGENTS];
    struct buffer payload, second, frame;
    struct error err;
} world;

/* ── The world around core ── */

static void open_ends(void)
{
    world.zmq = zmq_ctx_new();
    CU_ASSERT_PTR_NOT_NULL_FATAL(world.link_out = role_bind(world.zmq, world.run, ROLE_LINK_OUT, &world.err));
    CU_ASSERT_PTR_NOT_NULL_FATAL(
        world.delivery_in = role_bind(world.zmq, world.run, ROLE_DELIVERY_IN, &world.err));
    world.to_engine = role_connect(world.zmq, world.run, ROLE_ENGINE_DATA, &world.err);
    world.to_state = role_connect(world.zmq, world.run, ROLE_STATE_IN, &world.err);
    world.ask = role_connect(world.zmq, world.run, ROLE_ENGINE_ASK, &world.err);
}

static void make_world(void)
{
    memset(&world, 0, sizeof world);
    log_init("test", LOG_ERROR);
    scratch_make(world.directory);
    snprintf(world.data, sizeof world.data, "%s/data", world.directory);
    snprintf(world.run, sizeof world.run, "%s/run", world.directory);
    snprintf(world.book, sizeof world.book, "%s/agents", world.directory);
    world.site = site_small(3, AGENTS);
    struct config *config = &world.site->config;
    config->collector.data = world.data;
    config->collector.run = world.run;
    config->collector.agents_file = world.book;
    config->collector.retention_seconds_days = 14;
    static char hook_name[] = "ops", nothing[] = "";
    world.hook = (struct config_hook){.name = hook_name, .kind = HOOK_WEBHOOK, .url = nothing};
    config->hooks = &world.hook;
    config->hook_count = 1;
    for (size_t i = 0; i < AGENTS; i++) {
        struct agent *agent = &world.agents[i];
        char secret[41];
        CU_ASSERT_EQUAL_FATAL(zmq_curve_keypair(agent->key, secret), 0);
        snprintf(agent->host, sizeof agent->host, "o%zu", i + 1);
        agent->incarnation = 0x1234567800 + i;
        agent->connection = i + 1;
        CU_ASSERT_EQUAL_FATAL(key_book_enroll(world.book, agent->host, agent->key, &world.err), 0);
    }
}

static void start_core(void)
{
    world.core = core_open(&world.site->config, &world.err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(world.core);
}

static void end_world(void)
{
    CU_ASSERT_EQUAL(core_close(world.core), 0);
    void *const sockets[] = {world.link_out, world.to_engine, world.delivery_in, world.to_state, world.ask};
    for (size_t i = 0; i < ARRAY_COUNT(sockets); i++) zmq_close(sockets[i]);
    zmq_ctx_term(world.zmq);
    for (size_t i = 0; i < AGENTS; i++) arena_fini(&world.agents[i].arena);
    site_free(world.site);
    buffer_fini(&world.payload);
    buffer_fini(&world.second);
    buffer_fini(&world.frame);
    scratch_remove(world.directory);
}

/* Sends, waiting until somebody takes it. */
static void send_message(void *socket, struct role_header *header, struct span payload)
{
    int64_t until_ms = clock_mono_ms() + DEADLINE_MS;
    while (role_send(socket, NULL, header, payload, (struct span){0}, &world.err) != 0) {
        zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLOUT};
        CU_ASSERT_TRUE_FATAL(clock_mono_ms() < until_ms);
        zmq_poll(&item, 1, 100);
    }
}

/* ── Agents ── */

static void send_frame(struct agent *agent, enum role_message message, const struct wire_from_agent *body)
{
    buffer_clear(&world.frame);
    CU_ASSERT_EQUAL_FATAL(wire_encode_from_agent(body, &world.frame, &world.err), 0);
    struct role_header header = role_header_of(message, clock_wall_ms());
    header.arrival_mono_ms = clock_mono_ms();
    header.connection = agent->connection;
    memcpy(header.key, agent->key, sizeof header.key);
    memcpy(header.host, agent->host, sizeof header.host);
    send_message(world.to_engine, &header, buffer_span(&world.frame));
}

static void hello(struct agent *agent)
{
    struct wire_from_agent body = {.kind = WIRE_HELLO,
        .hello = {.protocol = WIRE_PROTOCOL,
            .version = "test",
            .incarnation = agent->incarnation,
            .wall_ms = clock_wall_ms(),
            .mono_ms = clock_mono_ms(),
            .next_sequence = agent->sequence + 1,
            .oldest_sequence = 1,
            .plan_version = agent->plan_version}};
    send_frame(agent, ROLE_AGENT_UP, &body);
}

static struct agent *agent_of(const char *key)
{
    for (size_t i = 0; i < AGENTS; i++)
        if (strcmp(world.agents[i].key, key) == 0) return &world.agents[i];
    return NULL;
}

static const char *label(const struct target *target, const char *name)
{
    for (size_t i = 0; i < target->label_count; i++)
        if (strcmp(target->labels[i].name, name) == 0) return target->labels[i].value;
    return "";
}

static void take_plan(struct agent *agent, const struct wire_plan *plan)
{
    if (plan->part == 0) agent->target_count = 0;
    for (size_t i = 0; i < plan->target_count && agent->target_count < TARGETS_MAX; i++) {
        struct target *target = &agent->targets[agent->target_count++];
        *target = (struct target){.key = plan->targets[i].key,
            .id = (uint32_t)agent->target_count,
            .label_count = plan->targets[i].label_count};
        for (size_t l = 0; l < target->label_count; l++) {
            target->labels[l].name = arena_strdup(&agent->arena, plan->targets[i].labels[l].name);
            target->labels[l].value = arena_strdup(&agent->arena, plan->targets[i].labels[l].value);
        }
        snprintf(target->path, sizeof target->path, "%s", label(target, "path"));
        snprintf(target->probe, sizeof target->probe, "%s", label(target, "probe"));
    }
    agent->plan_version = plan->version;
}

/* What core sends to agents. */
static void take_from_core(void)
{
    struct role_header header;
    while (role_receive(world.link_out, NULL, &header, &world.payload, &world.second, &world.err) == 1) {
        struct agent *agent = agent_of(header.key);
        CU_ASSERT_PTR_NOT_NULL_FATAL(agent);
        CU_ASSERT_STRING_EQUAL(header.host, agent->host);
        struct arena arena = {0};
        struct wire_from_collector message;
        CU_ASSERT_EQUAL_FATAL(
            wire_decode_from_collector(buffer_span(&world.payload), &arena, &message, &world.err), 0);
        if (message.kind == WIRE_PLAN) take_plan(agent, &message.plan);
        if (message.kind == WIRE_NEED_DICT) {
            agent->need_dicts++;
            agent->dictionary_sent = false;
        }
        if (message.kind == WIRE_BURST) agent->bursts++;
        arena_fini(&arena);
    }
}

static void wait_for_plans(void)
{
    int64_t until_ms = clock_mono_ms() + DEADLINE_MS;
    for (size_t i = 0; i < AGENTS;) {
        zmq_pollitem_t item = {.socket = world.link_out, .events = ZMQ_POLLIN};
        CU_ASSERT_TRUE_FATAL(clock_mono_ms() < until_ms);
        if (zmq_poll(&item, 1, 100) > 0) take_from_core();
        while (i < AGENTS && world.agents[i].plan_version != 0) i++;
    }
}

enum weather { WEATHER_FINE, WEATHER_BALANCER_DEAD };

static struct probe_result result_of(const struct target *target, enum weather weather, int64_t start_ms)
{
    struct probe_result result = {.start_ms = start_ms,
        .code = 200,
        .resolve_us = -1,
        .connect_us = 300,
        .tls_us = -1,
        .first_byte_us = 4000,
        .total_us = 5000};
    bool through = strcmp(target->path, "users") == 0 || strcmp(target->path, "hop") == 0;
    bool tcp = strcmp(target->probe, "tcp") == 0;
    if (tcp) {
        result.code = 0;
        result.first_byte_us = -1;
        result.total_us = 300;
    }
    if (weather == WEATHER_BALANCER_DEAD && through && !tcp) {
        result.outcome = PROBE_FAIL;
        result.error = PROBE_ERROR_STATUS;
        result.code = 503;
    }
    return result;
}

/* One batch with `rounds` outcomes of each target, begun over the last span_ms. */
static void probe(struct agent *agent, enum weather weather, int rounds, int64_t span_ms)
{
    int64_t now_ms = clock_wall_ms();
    struct wire_dict_entry dict[TARGETS_MAX];
    struct wire_probe *probes = check_alloc_array(agent->target_count * (size_t)rounds + 1, sizeof *probes);
    size_t count = 0;
    for (size_t t = 0; t < agent->target_count; t++) {
        const struct target *target = &agent->targets[t];
        dict[t] = (struct wire_dict_entry){
            .id = target->id, .metric = WIRE_METRIC_PROBE, .label_count = target->label_count};
        memcpy(dict[t].labels, target->labels, sizeof dict[t].labels);
    }
    for (int r = 0; r < rounds; r++)
        for (size_t t = 0; t < agent->target_count; t++)
            probes[count++] = (struct wire_probe){.target = agent->targets[t].id,
                .result = result_of(&agent->targets[t], weather, now_ms - span_ms + span_ms * r / rounds)};
    struct wire_from_agent body = {.kind = WIRE_BATCH,
        .batch = {.incarnation = agent->incarnation,
            .sequence = ++agent->sequence,
            .base_ms = now_ms,
            .sent_mono_ms = clock_mono_ms(),
            .sent_wall_ms = now_ms,
            .dict = dict,
            .dict_count = agent->dictionary_sent ? 0 : agent->target_count,
            .probes = probes,
            .probe_count = count}};
    agent->dictionary_sent = true;
    send_frame(agent, ROLE_FRAME, &body);
    free(probes);
}

static void probe_all(enum weather weather, int rounds, int64_t span_ms)
{
    for (size_t i = 0; i < AGENTS; i++) probe(&world.agents[i], weather, rounds, span_ms);
}

/* ── Web ── */

static json_t *ask(const char *word)
{
    char question[64];
    snprintf(question, sizeof question, "{\"ask\": \"%s\"}", word);
    struct role_header header = role_header_of(ROLE_QUESTION, clock_wall_ms());
    header.number = 42;
    send_message(world.ask, &header, span_text(question));
    zmq_pollitem_t item = {.socket = world.ask, .events = ZMQ_POLLIN};
    CU_ASSERT_EQUAL_FATAL(zmq_poll(&item, 1, DEADLINE_MS), 1);
    CU_ASSERT_EQUAL_FATAL(
        role_receive(world.ask, NULL, &header, &world.payload, &world.second, &world.err), 1);
    CU_ASSERT_EQUAL(header.number, 42);
    json_t *answer = json_loadb((const char *)world.payload.data, world.payload.size, 0, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
    return answer;
}

static int64_t count_of(const char *name)
{
    json_t *counts = ask("counts");
    json_t *value = json_object_get(counts, name);
    CU_ASSERT_TRUE(json_is_integer(value));
    int64_t count = json_integer_value(value);
    json_decref(counts);
    return count;
}

/* Frames and questions come by different ways: what was sent before the question may arrive after it. */
static void wait_for_count(const char *name, int64_t expected)
{
    int64_t until_ms = clock_mono_ms() + DEADLINE_MS, got;
    while ((got = count_of(name)) < expected && clock_mono_ms() < until_ms) zmq_poll(NULL, 0, 5);
    CU_ASSERT_EQUAL(got, expected);
}

static void say_that_link_is_there(void)
{
    struct role_header header = role_header_of(ROLE_COUNTS, clock_wall_ms());
    send_message(world.to_engine, &header, span_text("{\"link_batches_total\": 1}"));
}

/* Fine weather until it is ready and has judged fine weather; agents go on once a step. */
static void wait_until_ready(enum weather weather)
{
    int64_t until_ms = clock_mono_ms() + DEADLINE_MS;
    for (bool ready = false; !ready;) {
        CU_ASSERT_TRUE_FATAL(clock_mono_ms() < until_ms);
        zmq_pollitem_t item = {.socket = world.link_out, .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, 100);
        take_from_core();
        probe_all(weather, 1, 0);
        say_that_link_is_there();
        json_t *answer = ask("ready");
        ready = json_is_true(json_object_get(answer, "ready"));
        json_decref(answer);
    }
}

/* ── Delivery ── */

/* What delivery hears next of this kind; the agents go on meanwhile. New reference, or the id as a string. */
static json_t *wait_for_delivery(enum role_message message, enum weather weather)
{
    int64_t until_ms = clock_mono_ms() + DEADLINE_MS;
    struct role_header header;
    for (;;) {
        CU_ASSERT_TRUE_FATAL(clock_mono_ms() < until_ms);
        zmq_pollitem_t items[] = {{.socket = world.delivery_in, .events = ZMQ_POLLIN}};
        if (zmq_poll(items, 1, 100) == 0) {
            take_from_core();
            probe_all(weather, 1, 0);
            continue;
        }
        CU_ASSERT_EQUAL_FATAL(
            role_receive(world.delivery_in, NULL, &header, &world.payload, &world.second, &world.err), 1);
        if (header.message != (uint32_t)message) continue;
        if (message == ROLE_RECORDED)
            return json_stringn((const char *)world.payload.data, world.payload.size);
        return json_loadb((const char *)world.payload.data, world.payload.size, 0, NULL);
    }
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static void delivered(const char *id)
{
    json_t *outcome = json_pack("{s:s, s:s, s:s, s:i, s:s, s:i, s:s, s:i}", "id", id, "hook", "ops", "at",
        "2026-11-23T13:45:01.000Z", "attempt", 1, "result", "delivered", "status", 204, "detail", "", "ms",
        9);
    char *text = json_dumps(outcome, 0);
    struct role_header header = role_header_of(ROLE_OUTCOME, clock_wall_ms());
    send_message(world.to_state, &header, span_text(text));
    free(text);
    json_decref(outcome);
}

/* Until state.db says so of the incident. */
static void wait_for_state(const char *id, const char *key, const char *expected)
{
    int64_t until_ms = clock_mono_ms() + DEADLINE_MS;
    char got[128] = "";
    struct state *reader = state_open_reader(world.data, &world.err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reader);
    while (strcmp(got, expected) != 0 && clock_mono_ms() < until_ms) {
        json_t *object = state_incident(reader, id, &world.err);
        snprintf(got, sizeof got, "%s", text_of(json_object_get(object, "incident"), key));
        json_decref(object);
        zmq_pollitem_t item = {.socket = world.link_out, .events = ZMQ_POLLIN};
        if (strcmp(got, expected) != 0 && zmq_poll(&item, 1, 20) > 0) take_from_core();
    }
    CU_ASSERT_STRING_EQUAL(got, expected);
    state_close(reader);
}

/* ── Cases ── */

static void begin(void)
{
    make_world();
    start_core();
    open_ends();
    for (size_t i = 0; i < AGENTS; i++) hello(&world.agents[i]);
    wait_for_plans();
}

static void agents_get_plans_of_their_own_and_are_known(void)
{
    begin();
    /* users, hop: 2 each; 3 servers with page and TCP */
    for (size_t i = 0; i < AGENTS; i++) CU_ASSERT_EQUAL(world.agents[i].target_count, 10);
    wait_until_ready(WEATHER_FINE);
    CU_ASSERT_EQUAL(count_of("engine_probes_unknown_total"), 0);
    json_t *agents = ask("agents");
    CU_ASSERT_EQUAL(json_array_size(agents), AGENTS);
    json_t *first = json_array_get(agents, 0);
    CU_ASSERT_STRING_EQUAL(text_of(first, "host"), "o1");
    CU_ASSERT_STRING_EQUAL(text_of(first, "site"), "site1");
    CU_ASSERT_STRING_EQUAL(text_of(first, "state"), "reporting");
    CU_ASSERT_STRING_EQUAL(text_of(first, "version"), "test");
    CU_ASSERT_TRUE(json_is_true(json_object_get(first, "enrolled")));
    CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(json_object_get(first, "observes"), 0)), "www");
    CU_ASSERT_TRUE(llabs(json_integer_value(json_object_get(first, "offset_ms"))) < 1000);
    json_decref(agents);
    json_t *status = ask("status");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(status, "services")), 1);
    json_decref(status);
    json_t *unknown = ask("weather");
    CU_ASSERT_STRING_NOT_EQUAL(text_of(unknown, "error"), "");
    json_decref(unknown);
    /* The same plan is not sent again to who has it. */
    int64_t plans = count_of("engine_plans_total");
    hello(&world.agents[0]);
    probe_all(WEATHER_FINE, 1, 0);
    wait_for_count("engine_hellos_total", AGENTS + 1);
    CU_ASSERT_EQUAL(count_of("engine_plans_total"), plans);
    end_world();
}

static void repeated_frames_are_dropped_and_lost_dictionaries_asked_for(void)
{
    begin();
    wait_until_ready(WEATHER_FINE);
    struct agent *agent = &world.agents[0];
    uint64_t sequences = 0;
    for (size_t i = 0; i < AGENTS; i++) sequences += world.agents[i].sequence;
    wait_for_count("engine_observations_total", (int64_t)sequences * 10);
    agent->sequence--;
    probe(agent, WEATHER_FINE, 1, 0);
    wait_for_count("engine_repeated_total", 1);
    CU_ASSERT_EQUAL(count_of("engine_observations_total"), (int64_t)sequences * 10);
    /* A new incarnation whose dictionary got lost. */
    agent->incarnation++;
    agent->sequence = 0;
    agent->dictionary_sent = true;
    probe(agent, WEATHER_FINE, 1, 0);
    probe(agent, WEATHER_FINE, 1, 0);
    wait_for_count("engine_probes_unknown_total", 20);
    take_from_core();
    CU_ASSERT_EQUAL(agent->need_dicts, 1); /* asked once, not for every batch */
    probe(agent, WEATHER_FINE, 1, 0);
    wait_for_count("engine_observations_total", (int64_t)sequences * 10 + 10);
    wait_for_count("engine_probes_unknown_total", 20);
    struct role_header header = role_header_of(ROLE_FRAME, clock_wall_ms());
    memcpy(header.key, agent->key, sizeof header.key);
    send_message(world.to_engine, &header, span_text("not a frame"));
    wait_for_count("engine_malformed_total", 1);
    end_world();
}

static void a_dead_balancer_is_told_recorded_and_kept_over_a_restart(void)
{
    begin();
    wait_until_ready(WEATHER_FINE);
    probe_all(WEATHER_FINE, 60, 8000);

    json_t *delivery = wait_for_delivery(ROLE_DELIVER, WEATHER_BALANCER_DEAD);
    char id[40], incident[INCIDENT_ID_SIZE];
    snprintf(id, sizeof id, "%s", text_of(delivery, "id"));
    snprintf(incident, sizeof incident, "%s", text_of(delivery, "incident"));
    CU_ASSERT_STRING_EQUAL(text_of(delivery, "step"), "opened");
    CU_ASSERT_STRING_EQUAL(incident, "A-1");
    const json_t *body = json_object_get(json_object_get(delivery, "message"), "incident");
    CU_ASSERT_STRING_EQUAL(text_of(body, "component"), "lb:lb-www");
    json_decref(delivery);
    json_t *recorded = wait_for_delivery(ROLE_RECORDED, WEATHER_BALANCER_DEAD);
    CU_ASSERT_STRING_EQUAL(json_string_value(recorded), id);
    json_decref(recorded);
    wait_for_state(incident, "component", "lb:lb-www");
    take_from_core();
    unsigned bursts = 0;
    for (size_t i = 0; i < AGENTS; i++) bursts += world.agents[i].bursts;
    CU_ASSERT_TRUE(bursts > 0);

    /* Killed before delivery said how it went: it is sent again under the same id when delivery asks. */
    CU_ASSERT_EQUAL(core_close(world.core), 0);
    start_core();
    struct role_header header = role_header_of(ROLE_DELIVERY_UP, clock_wall_ms());
    send_message(world.to_state, &header, (struct span){0});
    do {
        delivery = wait_for_delivery(ROLE_DELIVER, WEATHER_BALANCER_DEAD);
        bool again = strcmp(text_of(delivery, "id"), id) == 0;
        if (again) CU_ASSERT_TRUE(json_is_true(json_object_get(delivery, "recorded")));
        json_decref(delivery);
        if (again) break;
    } while (true);
    delivered(id);
    wait_for_state(incident, "notified_at", "2026-11-23T13:45:01.000Z");

    /* No hello comes after a restart of core alone; the agents get their plan with the first frame all the
     * same, and the incident is the same one, until it is over. */
    wait_until_ready(WEATHER_BALANCER_DEAD);
    json_t *status = ask("status");
    json_t *open = json_object_get(status, "incidents");
    CU_ASSERT_EQUAL(json_array_size(open), 1);
    CU_ASSERT_STRING_EQUAL(text_of(json_array_get(open, 0), "id"), incident);
    json_decref(status);
    for (bool over = false; !over;) {
        delivery = wait_for_delivery(ROLE_DELIVER, WEATHER_FINE);
        CU_ASSERT_STRING_EQUAL(text_of(delivery, "incident"), incident);
        over = strcmp(text_of(delivery, "step"), "resolved") == 0;
        json_decref(delivery);
    }
    wait_for_state(incident, "state", "resolved");
    end_world();
}

static void a_database_that_cannot_be_opened_is_tried_again(void)
{
    make_world();
    char path[SCRATCH_SIZE + 24];
    snprintf(path, sizeof path, "%s/state.db", world.data);
    CU_ASSERT_EQUAL_FATAL(file_make_directory(path, 0700, &world.err), 0); /* where the file should be */
    start_core();
    open_ends();
    struct pollfd ended = {.fd = core_ended_fd(world.core), .events = POLLIN};
    /* Longer than it takes to fail: a role that gave up would show. */
    CU_ASSERT_EQUAL(poll(&ended, 1, 300), 0);
    CU_ASSERT_EQUAL(rmdir(path), 0);
    for (size_t i = 0; i < AGENTS; i++) hello(&world.agents[i]);
    wait_for_plans();
    wait_until_ready(WEATHER_FINE);
    end_world();
}

static void a_newer_database_ends_the_process(void)
{
    make_world();
    CU_ASSERT_EQUAL(file_make_directory(world.data, 0700, &world.err), 0);
    char path[SCRATCH_SIZE + 24];
    snprintf(path, sizeof path, "%s/state.db", world.data);
    sqlite3 *db;
    CU_ASSERT_EQUAL(sqlite3_open(path, &db), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    start_core();
    open_ends();
    struct pollfd ended = {.fd = core_ended_fd(world.core), .events = POLLIN};
    CU_ASSERT_EQUAL(poll(&ended, 1, DEADLINE_MS), 1);
    end_world();
}

/* The order to stop comes before the threads have connected to where it is given. */
static void it_ends_when_stopped_right_after_its_start(void)
{
    make_world();
    for (int i = 0; i < 20; i++) {
        start_core();
        CU_ASSERT_EQUAL_FATAL(core_close(world.core), 0);
    }
    start_core();
    open_ends();
    end_world();
}

UNIT_MAIN("core",
    {"agents get plans of their own and are known", agents_get_plans_of_their_own_and_are_known},
    {"repeated frames are dropped and lost dictionaries asked for",
        repeated_frames_are_dropped_and_lost_dictionaries_asked_for},
    {"a dead balancer is told, recorded, and kept over a restart",
        a_dead_balancer_is_told_recorded_and_kept_over_a_restart},
    {"a database that cannot be opened is tried again", a_database_that_cannot_be_opened_is_tried_again},
    {"a newer database ends the process", a_newer_database_ends_the_process},
    {"it ends when stopped right after its start", it_ends_when_stopped_right_after_its_start})

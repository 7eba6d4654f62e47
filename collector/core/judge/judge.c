#include "collector/core/judge/judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/judge/judge_inside.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/timetext.h"

/* ── Life ── */

struct judge *judge_new(const struct config *config, const struct judge_io *io, const char *const *enrolled,
    size_t enrolled_count, int64_t now_ms, struct error *err)
{
    struct judge *judge = check_alloc(sizeof *judge);
    judge->config = config;
    judge->io = *io;
    judge->start_ms = judge->snapshot_ms = now_ms;
    judge->arena.bytes_max = LIMIT_DECODE_BYTES;
    judge->notify = notify_new(config);
    agents_init(&judge->agents);
    judge_set_presence(judge, enrolled, enrolled_count, now_ms);
    if (judge_first_model(judge, now_ms, err) == 0) return judge;
    judge_free(judge);
    return NULL;
}

void judge_free(struct judge *judge)
{
    if (judge == NULL) return;
    engine_free(judge->engine);
    model_free(judge->model);
    notify_free(judge->notify);
    outbox_fini(&judge->outbox);
    agents_fini(&judge->agents);
    free(judge->presence);
    free(judge->late_after_ms);
    free(judge->late_sent_ms);
    json_decref(judge->link_counts);
    arena_fini(&judge->arena);
    buffer_fini(&judge->frame);
    free(judge);
}

int judge_set_enrolled(struct judge *judge, const char *const *enrolled, size_t enrolled_count,
    int64_t now_ms, struct error *err)
{
    (void)err;
    judge_set_presence(judge, enrolled, enrolled_count, now_ms);
    judge->rebuilt_ms = 0; /* somebody waits for the effect of `faultline enroll` */
    judge_refresh_model(judge, now_ms);
    return 0;
}

/* ── Snapshot: magic, size of the JSON, JSON {"outbox", "told"}, the engine's bytes ── */

static const char snapshot_magic[4] = "FLJ1";

void judge_snapshot(const struct judge *judge, struct buffer *out)
{
    json_t *object = json_pack(
        "{s:o, s:o}", "outbox", outbox_to_json(&judge->outbox), "told", notify_to_json(judge->notify));
    AUTO_FREE char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    uint32_t size = (uint32_t)strlen(text);
    CHECK(buffer_append(out, span_of(snapshot_magic, sizeof snapshot_magic), NULL) == 0);
    CHECK(buffer_append(out, span_of(&size, sizeof size), NULL) == 0);
    CHECK(buffer_append(out, span_of(text, size), NULL) == 0);
    engine_snapshot(judge->engine, out);
}

static int restore_own(struct judge *judge, struct span bytes, struct error *err)
{
    json_error_t why;
    json_t *object = json_loadb((const char *)bytes.data, bytes.size, 0, &why);
    if (object == NULL) return fail(err, ERROR_CORRUPT, "snapshot: %s", why.text);
    outbox_from_json(&judge->outbox, json_object_get(object, "outbox"));
    int result = notify_from_json(judge->notify, json_object_get(object, "told"), err);
    json_decref(object);
    return result == 0 ? 0 : fail_context(err, "snapshot");
}

int judge_restore(struct judge *judge, struct span snapshot, int64_t now_ms, struct error *err)
{
    judge->restored = true;
    if (snapshot.size == 0) return 0;
    uint32_t size = 0;
    size_t head = sizeof snapshot_magic + sizeof size;
    if (snapshot.size < head || memcmp(snapshot.data, snapshot_magic, sizeof snapshot_magic) != 0)
        return fail(err, ERROR_CORRUPT, "snapshot: of another kind");
    memcpy(&size, snapshot.data + sizeof snapshot_magic, sizeof size);
    if (size > snapshot.size - head) return fail(err, ERROR_CORRUPT, "snapshot: cut off");
    int own = restore_own(judge, span_of(snapshot.data + head, size), err);
    struct span rest = span_of(snapshot.data + head + size, snapshot.size - head - size);
    int engine = engine_restore(judge->engine, rest, now_ms, own == 0 ? err : NULL);
    if (engine == 0) judge_recall_unheard(judge);
    return own == 0 && engine == 0 ? 0 : -1;
}

void judge_set_last_number(struct judge *judge, uint64_t number)
{
    engine_set_last_number(judge->engine, number);
}

/* ── Frames ── */

static void take_probes(
    struct judge *judge, struct agent *agent, const struct wire_batch *batch, bool *ask, int64_t now_ms)
{
    int64_t correction_ms = clock_offset_correction_ms(&agent->clock);
    judge->counts.probes += batch->probe_count;
    for (size_t i = 0; i < batch->probe_count; i++) {
        const struct dictionary_entry *entry = agent_entry(agent, batch->probes[i].target);
        if (entry == NULL) *ask = true;
        if (entry == NULL || entry->kind != DICTIONARY_PROBE || entry->target == MODEL_NONE ||
            agent->model_host == MODEL_NONE) {
            judge->counts.probes_unknown++;
            continue;
        }
        struct engine_observation observation = {.host = agent->model_host,
            .target = entry->target,
            .address = entry->address,
            .result = batch->probes[i].result};
        observation.result.start_ms += correction_ms;
        engine_observe(judge->engine, &observation, now_ms);
        judge->counts.observations++;
    }
}

static enum balancer_word balancer_word_of(int64_t state)
{
    static const enum balancer_word words[] = {
        [BALANCER_SERVER_UNKNOWN] = BALANCER_SAYS_NOTHING,
        [BALANCER_SERVER_UP] = BALANCER_SAYS_UP,
        [BALANCER_SERVER_DOWN] = BALANCER_SAYS_DOWN,
        [BALANCER_SERVER_DRAINING] = BALANCER_SAYS_DRAINING,
        [BALANCER_SERVER_MAINTENANCE] = BALANCER_SAYS_MAINTENANCE,
        [BALANCER_SERVER_UNCHECKED] = BALANCER_SAYS_NOTHING,
    };
    return state >= 0 && (size_t)state < ARRAY_COUNT(words) ? words[state] : BALANCER_SAYS_NOTHING;
}

#define FRESH_MS 10000 /* what a balancer said before is history */

static void take_value(struct judge *judge, struct agent *agent, const struct dictionary_entry *entry,
    int64_t value, int64_t now_ms)
{
    if (entry->kind == DICTIONARY_BACKLOG) agent->backlog_batches = value;
    if (entry->kind != DICTIONARY_BALANCER || entry->balancer == MODEL_NONE) return;
    for (uint32_t i = 0; i < entry->backend_count; i++)
        engine_balancer_says(
            judge->engine, entry->balancer, entry->backends[i], balancer_word_of(value), now_ms);
}

/* Everything is shown; the newest value of what matters is judged. */
static void take_series(struct judge *judge, struct agent *agent, const struct dictionary_entry *entry,
    const struct wire_rows *rows, const int64_t *values, int64_t now_ms)
{
    int64_t correction_ms = clock_offset_correction_ms(&agent->clock);
    size_t last = rows->time_count - 1;
    for (size_t t = 0; t <= last && entry->metric != METRIC_COUNT; t++)
        hostview_sample(
            agent->view, entry->metric, entry->device, rows->times_ms[t] + correction_ms, values[t]);
    if (rows->times_ms[last] + correction_ms >= now_ms - FRESH_MS)
        take_value(judge, agent, entry, values[last], now_ms);
}

static void take_rows(
    struct judge *judge, struct agent *agent, const struct wire_batch *batch, int64_t now_ms)
{
    for (size_t r = 0; r < batch->rows_count; r++) {
        const struct wire_rows *rows = &batch->rows[r];
        if (rows->ints == NULL || rows->time_count == 0) continue;
        for (size_t s = 0; s < rows->series_count; s++) {
            const struct dictionary_entry *entry = agent_entry(agent, rows->series[s]);
            if (entry != NULL)
                take_series(judge, agent, entry, rows, rows->ints + s * rows->time_count, now_ms);
        }
    }
}

static void ask_dictionary(struct judge *judge, struct agent *agent, int64_t now_ms)
{
    if (agent->asked_dict_ms != 0 && now_ms - agent->asked_dict_ms < JUDGE_ASK_DICT_MS) return;
    struct wire_from_collector message = {
        .kind = WIRE_NEED_DICT, .need_dict = {.incarnation = agent->incarnation}};
    buffer_clear(&judge->frame);
    CHECK(wire_encode_from_collector(&message, &judge->frame, NULL) == 0);
    if (!judge->io.to_agent(judge->io.owner, agent->key, agent->host, buffer_span(&judge->frame))) return;
    agent->asked_dict_ms = now_ms;
    judge->counts.dictionary_asked++;
}

static void take_batch(struct judge *judge, struct agent *agent, const struct wire_batch *batch,
    int64_t arrival_ms, int64_t now_ms)
{
    agent_begin_incarnation(agent, batch->incarnation);
    clock_offset_batch(&agent->clock, arrival_ms, batch->sent_wall_ms, batch->sent_mono_ms);
    /* Also of a repeated batch: that is how an asked-for dictionary may come. */
    if (!agent_learn(agent, batch, judge->model, judge->config)) judge->counts.dictionary_refused++;
    if (!agent_receive(agent, batch)) {
        judge->counts.repeated++;
        return;
    }
    bool ask = false;
    take_probes(judge, agent, batch, &ask, now_ms);
    take_rows(judge, agent, batch, now_ms);
    if (ask) ask_dictionary(judge, agent, now_ms);
}

static void take_hello(
    struct judge *judge, struct agent *agent, const struct wire_hello *hello, int64_t arrival_ms)
{
    judge->counts.hellos++;
    agent_begin_incarnation(agent, hello->incarnation);
    clock_offset_hello(&agent->clock, arrival_ms, hello->wall_ms, hello->mono_ms);
    snprintf(agent->version, sizeof agent->version, "%s", hello->version);
    agent->plan_version = hello->plan_version;
}

static void heard(struct judge *judge, struct agent *agent, const struct role_header *header, int64_t now_ms)
{
    if (strcmp(agent->host, header->host) != 0) {
        snprintf(agent->host, sizeof agent->host, "%s", header->host);
        agent->model_host = model_host_find(judge->model, agent->host);
    }
    if (!agent->connected || header->connection > agent->connection) agent->connection = header->connection;
    agent->connected = true;
    agent->heard_ms = now_ms;
    judge_host_heard(judge, agent->host, now_ms);
    if (agent->model_host != MODEL_NONE) engine_heard(judge->engine, agent->model_host, now_ms);
}

static void gone(struct judge *judge, struct agent *agent, const struct role_header *header, int64_t now_ms)
{
    if (!agent->connected || header->connection < agent->connection)
        return; /* a newer one has taken its place */
    agent->connected = false;
    if (agent->model_host != MODEL_NONE) engine_gone(judge->engine, agent->model_host, now_ms);
}

static int take_frame(struct judge *judge, const struct role_header *header, struct span payload,
    int64_t arrival_ms, int64_t now_ms, struct error *err)
{
    struct wire_from_agent message;
    arena_reset(&judge->arena);
    judge->counts.frames++;
    if (wire_decode_from_agent(payload, &judge->arena, &message, err) != 0) {
        judge->counts.malformed++;
        return -1;
    }
    struct agent *agent = agents_get(&judge->agents, header->key);
    if (agent == NULL) {
        judge->counts.agents_refused++;
        return fail(err, ERROR_LIMIT, "more than %d agents", AGENTS_MAX);
    }
    heard(judge, agent, header, now_ms);
    if (message.kind == WIRE_HELLO)
        take_hello(judge, agent, &message.hello, arrival_ms);
    else
        take_batch(judge, agent, &message.batch, arrival_ms, now_ms);
    return 0;
}

/* ── Link's absence ── */

#define PRESENT_MS 5000

bool judge_link_is_away(const struct judge *judge, int64_t now_ms)
{
    return judge->link_ms != 0 && now_ms - judge->link_ms > JUDGE_DEAF_MS;
}

/* Whoever spoke until link went cannot be blamed for what follows. */
static void become_deaf(struct judge *judge)
{
    if (judge->deaf) return;
    judge->deaf = true;
    for (size_t i = 0; i < judge->agents.count; i++) {
        struct agent *agent = judge->agents.items[i];
        agent->excused = agent->connected && judge->link_ms - agent->heard_ms <= PRESENT_MS;
    }
}

/* While link is away and a little longer the engine is told that those who were there still are: nobody is
 * silent whom nobody could hear. What they measured is missing all the same, and the engine knows that by
 * itself. */
static void excuse_silence(struct judge *judge, int64_t now_ms)
{
    bool away = judge_link_is_away(judge, now_ms);
    if (away) become_deaf(judge);
    if (!judge->deaf || (away && now_ms - judge->link_ms > JUDGE_DEAF_MAX_MS)) return;
    if (!away && now_ms >= judge->deaf_until_ms) {
        judge->deaf = false;
        return;
    }
    for (size_t i = 0; i < judge->agents.count; i++) {
        const struct agent *agent = judge->agents.items[i];
        if (agent->excused && agent->model_host != MODEL_NONE)
            engine_excuse(judge->engine, agent->model_host, now_ms);
    }
}

static int take_link_counts(struct judge *judge, struct span payload, int64_t now_ms, struct error *err)
{
    json_t *counts = json_loadb((const char *)payload.data, payload.size, 0, NULL);
    if (!json_is_object(counts)) {
        json_decref(counts);
        return fail(err, ERROR_INPUT, "link's counts are no JSON object");
    }
    int64_t batches = json_integer_value(json_object_get(counts, "link_batches_total"));
    if (batches < judge->link_batches || judge_link_is_away(judge, now_ms)) {
        become_deaf(judge);
        judge->deaf_until_ms = now_ms + JUDGE_DEAF_GRACE_MS;
    }
    judge->link_batches = batches;
    judge->link_ms = now_ms;
    json_decref(judge->link_counts);
    judge->link_counts = counts;
    return 0;
}

int judge_take(struct judge *judge, const struct role_header *header, struct span payload, int64_t arrival_ms,
    int64_t now_ms, struct error *err)
{
    switch (header->message) {
    case ROLE_FRAME:
    case ROLE_AGENT_UP: return take_frame(judge, header, payload, arrival_ms, now_ms, err);
    case ROLE_COUNTS: return take_link_counts(judge, payload, now_ms, err);
    case ROLE_AGENT_DOWN: {
        struct agent *agent = agents_get(&judge->agents, header->key);
        if (agent != NULL) gone(judge, agent, header, now_ms);
        return 0;
    }
    default: return fail(err, ERROR_INPUT, "message %u is not for the engine", header->message);
    }
}

/* ── Steps ── */

void judge_recorded(struct judge *judge, uint64_t serial, int64_t now_ms)
{
    outbox_recorded(&judge->outbox, serial, now_ms);
}

void judge_notified(struct judge *judge, const char *incident, int64_t at_ms)
{
    engine_notified(judge->engine, incident, at_ms);
}

/* One round of the outbox: the snapshot is taken once, when the first step needs it. */
struct round {
    struct judge *judge;
    struct buffer snapshot;
};

static bool step_to_state(void *owner, uint64_t serial, const json_t *step)
{
    struct round *round = owner;
    if (round->snapshot.size == 0) judge_snapshot(round->judge, &round->snapshot);
    AUTO_FREE char *text = json_dumps(step, JSON_COMPACT);
    const struct judge_io *io = &round->judge->io;
    return io->to_state(io->owner, ROLE_STEP, serial, span_text(text), buffer_span(&round->snapshot));
}

static bool delivery_to_delivery(void *owner, const json_t *delivery)
{
    struct round *round = owner;
    AUTO_FREE char *text = json_dumps(delivery, JSON_COMPACT);
    bool taken = round->judge->io.to_delivery(round->judge->io.owner, span_text(text));
    if (taken) round->judge->counts.deliveries++;
    return taken;
}

static void send_outbox(struct judge *judge, int64_t now_ms)
{
    struct round round = {.judge = judge};
    const struct outbox_calls calls = {
        .to_state = step_to_state, .to_delivery = delivery_to_delivery, .owner = &round};
    outbox_send(&judge->outbox, now_ms, &calls);
    buffer_fini(&round.snapshot);
}

static void take_steps(struct judge *judge, const struct engine_output *output, int64_t now_ms)
{
    for (size_t i = 0; i < output->step_count; i++) {
        judge->counts.steps++;
        judge->io.on_step(judge->io.owner, &output->steps[i]);
        outbox_add(&judge->outbox, notify_step(judge->notify, &output->steps[i], now_ms));
    }
}

static void take_due(struct judge *judge, int64_t now_ms)
{
    json_t *due = notify_due(judge->notify, now_ms), *step;
    size_t i;
    json_array_foreach(due, i, step) outbox_add(&judge->outbox, json_incref(step));
    json_decref(due);
}

/* Each minute, and soon after a way has proven itself: a restart during a fault could not prove it again. */
static void snapshot_when_due(struct judge *judge, int64_t now_ms)
{
    if (now_ms - judge->snapshot_ms < (judge->proved ? JUDGE_PROVED_MS : JUDGE_SNAPSHOT_MS)) return;
    struct buffer snapshot = {0};
    judge_snapshot(judge, &snapshot);
    if (judge->io.to_state(judge->io.owner, ROLE_SNAPSHOT, 0, buffer_span(&snapshot), (struct span){0})) {
        judge->snapshot_ms = now_ms;
        judge->proved = false;
    }
    buffer_fini(&snapshot);
}

void judge_note(
    struct judge *judge, int64_t now_ms, const char *kind, const char *component, const char *format, ...)
{
    char words[512], at[TIMETEXT_RFC3339_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    json_t *note = json_pack("{s:s, s:s, s:s, s:s}", "at", timetext_rfc3339(now_ms, at), "kind", kind,
        "component", component, "text", words);
    AUTO_FREE char *text = json_dumps(note, JSON_COMPACT);
    json_decref(note);
    judge->io.to_state(judge->io.owner, ROLE_NOTE, 0, span_text(text), (struct span){0});
}

void judge_tick(struct judge *judge, int64_t now_ms)
{
    struct engine_output output = {0};
    excuse_silence(judge, now_ms);
    engine_step(judge->engine, now_ms, &output);
    judge->proved = judge->proved || output.proved;
    take_steps(judge, &output, now_ms);
    take_due(judge, now_ms);
    /* First what wakes people, then what makes it more certain. */
    send_outbox(judge, now_ms);
    judge_send_bursts(judge, &output);
    judge_take_late_after(judge, &output);
    judge_refresh_model(judge, now_ms);
    judge_send_plans(judge, now_ms);
    snapshot_when_due(judge, now_ms);
}

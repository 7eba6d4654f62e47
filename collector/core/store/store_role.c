#include "collector/core/store/store_role.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "collector/contract/roles.h"
#include "collector/core/store/store.h"
#include "collector/core/store/store_read.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"

#define IDLE_MS          500   /* how often sealing is looked at when nothing arrives */
#define TROUBLE_MS       10000 /* how often the same trouble is logged */
#define SEAL_RETRY_MS    1000
#define REOPEN_MS        1000
#define CREDIT_MIN       4
#define LABELS_ASKED_MAX LIMIT_LABELS

/* One agent that the open group owes an acknowledgement. */
struct debtor {
    char key[ROLE_KEY_SIZE];
    char host[LIMIT_HOST_BYTES + 1];
    uint64_t incarnation;
    int64_t echo_mono_ms; /* sent_mono_ms of its newest batch */
};

struct store_role {
    const struct config *config;
    void *control, *data, *ask; /* receiving */
    void *out;                  /* to link */
    struct store *store;        /* NULL while it cannot be opened */
    char unopened[256];         /* why */
    int64_t opened_mono_ms;
    struct debtor *debtors;
    size_t debtor_count, debtor_capacity;
    size_t group_batches;
    int64_t group_since_ms; /* when the open group began; 0 none */
    int64_t committed_ms;   /* the last commit */
    int64_t seal_after_ms;  /* not before: after a failure */
    int64_t trouble_ms;
    uint64_t refused_frames, full, unsent;
    struct arena arena;
    struct buffer payload, second, frame;
};

/* ---- telling agents ---- */

static void send_to_agent(
    struct store_role *role, const char *key, const char *host, const struct wire_from_collector *message)
{
    struct error err;
    struct role_header header = role_header_of(ROLE_SEND, clock_wall_ms());
    memcpy(header.key, key, sizeof header.key);
    snprintf(header.host, sizeof header.host, "%s", host);
    buffer_clear(&role->frame);
    if (wire_encode_from_collector(message, &role->frame, &err) != 0) {
        log_error("ack_not_encoded", &err, "host=%s", host);
        return;
    }
    /* Link is gone or full: the agent asks again. */
    if (role_send(role->out, NULL, &header, buffer_span(&role->frame), (struct span){0}, NULL) != 0)
        role->unsent++;
}

/* How many batches an agent may have on the way: fewer as memory fills with what is not sealed. */
static uint32_t credit(const struct store_role *role)
{
    uint32_t credit = (uint32_t)((1.0 - store_pressure(role->store)) * LIMIT_CREDIT);
    return credit > CREDIT_MIN ? credit : CREDIT_MIN;
}

static void acknowledge(struct store_role *role, const struct debtor *debtor, uint32_t credit_now)
{
    struct received received;
    if (!store_received(role->store, debtor->key, debtor->incarnation, &received)) return;
    struct wire_from_collector message = {.kind = WIRE_ACK,
        .ack = {.incarnation = debtor->incarnation,
            .floor = received.floor,
            .range_count = received.range_count,
            .credit = credit_now,
            .echo_mono_ms = debtor->echo_mono_ms,
            .wall_ms = clock_wall_ms()}};
    memcpy(message.ack.ranges, received.ranges, received.range_count * sizeof received.ranges[0]);
    send_to_agent(role, debtor->key, debtor->host, &message);
}

static void owe(
    struct store_role *role, const struct role_header *header, uint64_t incarnation, int64_t echo_mono_ms)
{
    for (size_t i = role->debtor_count; i-- > 0;) {
        struct debtor *debtor = &role->debtors[i];
        if (debtor->incarnation != incarnation || strcmp(debtor->key, header->key) != 0) continue;
        if (echo_mono_ms > debtor->echo_mono_ms) debtor->echo_mono_ms = echo_mono_ms;
        return;
    }
    if (role->debtor_count == role->debtor_capacity) {
        role->debtor_capacity = role->debtor_capacity > 0 ? role->debtor_capacity * 2 : 64;
        role->debtors = check_realloc_array(role->debtors, role->debtor_capacity, sizeof *role->debtors);
    }
    struct debtor *debtor = &role->debtors[role->debtor_count++];
    *debtor = (struct debtor){.incarnation = incarnation, .echo_mono_ms = echo_mono_ms};
    memcpy(debtor->key, header->key, sizeof debtor->key);
    memcpy(debtor->host, header->host, sizeof debtor->host);
}

static void log_trouble(struct store_role *role, const char *event, const struct error *err)
{
    int64_t now_ms = clock_mono_ms();
    if (role->trouble_ms != 0 && now_ms - role->trouble_ms < TROUBLE_MS) return;
    role->trouble_ms = now_ms;
    log_error(event, err, "retry=%ds", SEAL_RETRY_MS / 1000);
}

/* Makes the group durable; then, and only then, tells the agents. */
static void commit(struct store_role *role)
{
    struct error err = {0};
    if (role->group_since_ms == 0) return;
    if (store_commit(role->store, &err) == 0) {
        uint32_t credit_now = credit(role);
        for (size_t i = 0; i < role->debtor_count; i++) acknowledge(role, &role->debtors[i], credit_now);
    } else {
        log_trouble(role, "store_commit_failed", &err);
    }
    role->debtor_count = 0;
    role->group_batches = 0;
    role->group_since_ms = 0;
    role->committed_ms = clock_mono_ms();
}

/* ---- frames ---- */

static void take_batch(
    struct store_role *role, const struct role_header *header, const struct wire_batch *batch)
{
    enum store_verdict verdict;
    struct error err = {0};
    if (store_append(role->store, header->key, header->host, batch, buffer_span(&role->payload),
            clock_wall_ms(), &verdict, &err) != 0) {
        log_trouble(role, "store_append_failed", &err);
        return;
    }
    if (verdict == STORE_NEEDS_DICT) {
        const struct wire_from_collector message = {
            .kind = WIRE_NEED_DICT, .need_dict.incarnation = batch->incarnation};
        send_to_agent(role, header->key, header->host, &message);
    }
    if (verdict == STORE_FULL) role->full++;
    /* Also for NEEDS_DICT: the entries that it did bring are to be kept. */
    if (role->group_since_ms == 0 && verdict != STORE_FULL) role->group_since_ms = clock_mono_ms();
    if (verdict != STORE_TAKEN && verdict != STORE_REPEATED) return;
    role->group_batches++;
    owe(role, header, batch->incarnation, batch->sent_mono_ms);
}

/* A new connection of an agent that is known: what is received of it, so that its spool can shrink. */
static void take_hello(
    struct store_role *role, const struct role_header *header, const struct wire_hello *hello)
{
    struct debtor debtor = {.incarnation = hello->incarnation, .echo_mono_ms = hello->mono_ms};
    memcpy(debtor.key, header->key, sizeof debtor.key);
    memcpy(debtor.host, header->host, sizeof debtor.host);
    acknowledge(role, &debtor, credit(role));
}

static void take_frame(struct store_role *role, const struct role_header *header)
{
    struct wire_from_agent message;
    struct error err = {0};
    arena_reset(&role->arena);
    if (header->message != ROLE_FRAME && header->message != ROLE_AGENT_UP) {
        role->refused_frames++;
    } else if (wire_decode_from_agent(buffer_span(&role->payload), &role->arena, &message, &err) != 0) {
        role->refused_frames++; /* link has checked it: only a link of another build gets here */
        log_trouble(role, "store_frame_refused", &err);
    } else if (message.kind == WIRE_BATCH) {
        take_batch(role, header, &message.batch);
    } else {
        take_hello(role, header, &message.hello);
    }
}

static bool group_is_complete(const struct store_role *role)
{
    return role->group_since_ms != 0 && (role->group_batches >= STORE_ROLE_GROUP_BATCHES ||
                                            clock_mono_ms() - role->group_since_ms >= STORE_ROLE_GROUP_MS);
}

/* What waits, up to one group. */
static void drain(struct store_role *role)
{
    struct role_header header;
    while (!group_is_complete(role)) {
        struct error err = {0};
        int got = role_receive(role->data, NULL, &header, &role->payload, &role->second, &err);
        if (got == 0) break;
        if (got > 0)
            take_frame(role, &header);
        else if (err.kind != ERROR_CORRUPT)
            break;
    }
    commit(role);
}

/* ---- questions ---- */

static json_t *answer_counts(struct store_role *role, const json_t *question)
{
    struct store_counts c;
    (void)question;
    store_counts(role->store, &c);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"batches", c.batches},
        {"samples", c.samples},
        {"repeated", c.repeated},
        {"refused_time", c.refused_time},
        {"refused_series", c.refused_series},
        {"refused_value", c.refused_value},
        {"commits", c.commits},
        {"commit_us", c.commit_us},
        {"seals", c.seals},
        {"gap_samples", c.gap_samples},
        {"journal_bytes", c.journal_bytes},
        {"day_bytes", c.day_bytes},
        {"series", c.series},
        {"head_samples", c.head_samples},
        {"refused_frames_total", role->refused_frames},
        {"refused_full_total", role->full},
        {"acks_unsent_total", role->unsent},
    };
    json_t *counts = json_object();
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        json_object_set_new(counts, rows[i].name, json_integer((json_int_t)rows[i].value));
    return counts;
}

static json_t *answer_ready(struct store_role *role, const json_t *question)
{
    (void)question;
    if (role->store == NULL) return json_pack("{s:b, s:s}", "ready", 0, "reason", role->unopened);
    bool troubled = role->trouble_ms != 0 && clock_mono_ms() - role->trouble_ms < TROUBLE_MS;
    return troubled ? json_pack("{s:b, s:s}", "ready", 0, "reason", "the store cannot write; see the log")
                    : json_pack("{s:b}", "ready", 1);
}

static json_t *answer_heads(struct store_role *role, const json_t *question)
{
    const char *pairs[2 * LABELS_ASKED_MAX];
    struct store_selector selector = {.metric = json_string_value(json_object_get(question, "metric")),
        .host = json_string_value(json_object_get(question, "host")),
        .labels = pairs,
        .from_ms = json_integer_value(json_object_get(question, "from_ms")),
        .to_ms = json_integer_value(json_object_get(question, "to_ms"))};
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(question, "labels"), name, value)
    {
        if (selector.label_count == LABELS_ASKED_MAX || !json_is_string(value))
            return json_pack("{s:s}", "error", "labels are at most 8 strings");
        pairs[2 * selector.label_count] = name;
        pairs[2 * selector.label_count++ + 1] = json_string_value(value);
    }
    struct error err = {0};
    if (store_heads(role->store, &selector, &role->second, &err) != 0)
        return json_pack("{s:s}", "error", err.text);
    return json_pack("{s:I}", "heads", (json_int_t)role->second.size);
}

static const struct {
    const char *word;
    bool needs_store;
    json_t *(*answer)(struct store_role *role, const json_t *question); /* bytes, if any, in role->second */
} questions[] = {
    {"counts", true, answer_counts}, {"ready", false, answer_ready}, {"heads", true, answer_heads}};

static json_t *answer(struct store_role *role)
{
    json_t *question = json_loadb((const char *)role->payload.data, role->payload.size, 0, NULL);
    const char *word = json_string_value(json_object_get(question, "ask"));
    json_t *result = NULL;
    buffer_clear(&role->second);
    for (size_t i = 0; word != NULL && result == NULL && i < ARRAY_COUNT(questions); i++)
        if (strcmp(questions[i].word, word) == 0)
            result = questions[i].needs_store && role->store == NULL
                         ? json_pack("{s:s}", "error", role->unopened)
                         : questions[i].answer(role, question);
    if (result == NULL) result = json_pack("{s:s}", "error", "unknown question");
    json_decref(question);
    return result;
}

static void answer_all(struct store_role *role)
{
    struct role_header header;
    struct role_identity from;
    for (int got;
         (got = role_receive(role->ask, &from, &header, &role->payload, &role->second, NULL)) != 0;) {
        if (got < 0) break;
        if (header.message != ROLE_QUESTION) continue;
        json_t *result = answer(role);
        AUTO_FREE char *text = json_dumps(result, JSON_COMPACT);
        json_decref(result);
        if (text == NULL) continue;
        struct role_header back = role_header_of(ROLE_ANSWER, clock_wall_ms());
        back.number = header.number;
        role_send(role->ask, &from, &back, span_text(text), buffer_span(&role->second), NULL);
    }
}

/* ---- running ---- */

/* One step of sealing; true if there is more to do at once. */
static bool seal(struct store_role *role)
{
    struct error err = {0};
    if (clock_mono_ms() < role->seal_after_ms) return false;
    int more = store_seal(role->store, clock_wall_ms(), false, &err);
    if (more >= 0) return more > 0;
    log_trouble(role, "store_seal_failed", &err);
    role->seal_after_ms = clock_mono_ms() + SEAL_RETRY_MS;
    return false;
}

static void take_note(void *owner, const char *text)
{
    (void)owner;
    log_line(LOG_ERROR, "store_note", "text=\"%s\"", text);
}

/* Tried again while it fails: without a store nothing is acknowledged, but core goes on judging. */
static void open_store(struct store_role *role)
{
    struct error err = {0};
    const struct store_options options = {.directory = role->config->collector.data,
        .retention_days = role->config->collector.retention_seconds_days};
    int64_t now_ms = clock_mono_ms();
    if (role->opened_mono_ms != 0 && now_ms - role->opened_mono_ms < REOPEN_MS) return;
    role->opened_mono_ms = now_ms;
    role->store = store_open(&options, clock_wall_ms(), take_note, NULL, &err);
    if (role->store != NULL) return;
    snprintf(role->unopened, sizeof role->unopened, "%s", err.text);
    log_trouble(role, "store_not_opened", &err);
}

static void run(struct store_role *role)
{
    enum { CONTROL, ASK, DATA, ITEMS };
    zmq_pollitem_t items[ITEMS] = {[CONTROL] = {.socket = role->control, .events = ZMQ_POLLIN},
        [ASK] = {.socket = role->ask, .events = ZMQ_POLLIN},
        [DATA] = {.socket = role->data, .events = ZMQ_POLLIN}};
    bool more = true;
    do {
        int64_t pause_ms = role->committed_ms + STORE_ROLE_PAUSE_MS - clock_mono_ms();
        bool pausing = pause_ms > 0 && pause_ms <= STORE_ROLE_PAUSE_MS;
        bool listening = !pausing && role->store != NULL; /* without a store, frames wait in the socket */
        long wait_ms = more ? 0 : pausing ? (long)pause_ms : IDLE_MS;
        if (zmq_poll(items, listening ? ITEMS : DATA, wait_ms) < 0 && zmq_errno() != EINTR) return;
        if (role->store == NULL) open_store(role);
        answer_all(role);
        if (listening) drain(role);
        more = role->store != NULL && seal(role);
    } while (!(items[CONTROL].revents & ZMQ_POLLIN));
    if (role->store != NULL) drain(role);
}

static int open_sockets(struct store_role *role, void *zmq, struct error *err)
{
    const char *where = role->config->collector.run;
    role->control = zmq_socket(zmq, ZMQ_PAIR);
    if (role->control == NULL || zmq_connect(role->control, STORE_ROLE_CONTROL) != 0)
        return fail(err, ERROR_IO, "control socket: %s", zmq_strerror(zmq_errno()));
    if ((role->data = role_bind(zmq, where, ROLE_STORE_DATA, err)) == NULL) return -1;
    if ((role->ask = role_bind(zmq, where, ROLE_STORE_ASK, err)) == NULL) return -1;
    return (role->out = role_connect(zmq, where, ROLE_LINK_OUT, err)) != NULL ? 0 : -1;
}

int store_role_main(void *zmq, const struct config *config)
{
    struct store_role role = {.config = config, .arena.bytes_max = LIMIT_DECODE_BYTES};
    struct error err = {0};
    int result = open_sockets(&role, zmq, &err);
    if (result == 0) {
        open_store(&role);
        run(&role);
    } else {
        log_error("store_role_failed", &err, "%s", "role=store");
    }
    store_close(role.store);
    void *const sockets[] = {role.control, role.data, role.ask, role.out};
    for (size_t i = 0; i < ARRAY_COUNT(sockets); i++)
        if (sockets[i] != NULL) zmq_close(sockets[i]);
    free(role.debtors);
    arena_fini(&role.arena);
    buffer_fini(&role.payload);
    buffer_fini(&role.second);
    buffer_fini(&role.frame);
    return result;
}

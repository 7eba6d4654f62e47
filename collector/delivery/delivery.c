#include "collector/delivery/delivery.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <zmq.h>

#include "collector/contract/roles.h"
#include "collector/delivery/http.h"
#include "collector/delivery/queue.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/timetext.h"

#define OUTBOX_MAX                                                                                           \
    1024 /* outcomes that state did not take yet; final ones beyond are told when asked again */
#define HELLO_FAST      5 /* DELIVERY_UP each second, this often or until state answers */
#define HELLO_FAST_NS   INT64_C(1000000000)
#define HELLO_SLOW_NS   INT64_C(60000000000) /* and then as a cure for whatever was lost */
#define OUTBOX_RETRY_NS INT64_C(250000000)
#define STOP_GRACE_NS   INT64_C(3000000000)
#define NS_PER_MS       INT64_C(1000000)

struct counts {
    uint64_t received, malformed, refused, attempts, delivered, retried, permanent, outcomes_lost;
};

struct delivery;

/* One attempt under way. */
struct flight {
    struct delivery *delivery;
    struct queue_job *job; /* NULL: free */
    const struct config_hook *hook;
};

struct delivery {
    const struct config *config;
    void *zmq, *in, *ask, *state;
    struct loop *loop;
    struct http *http;
    struct queue *queue;
    struct flight flights[QUEUE_IN_FLIGHT_MAX];
    struct loop_timer due, hello, outbox_retry, stop_timer;
    unsigned hellos;
    bool state_answered;
    char *outbox[OUTBOX_MAX]; /* ring */
    size_t outbox_first, outbox_count;
    bool stopping;
    struct counts counts;
};

static void start_due(struct delivery *delivery);

static void flush_outbox(struct delivery *delivery)
{
    while (delivery->outbox_count > 0) {
        char *text = delivery->outbox[delivery->outbox_first];
        struct role_header header = role_header_of(ROLE_OUTCOME, clock_wall_ms());
        if (role_send(delivery->state, NULL, &header, span_text(text), (struct span){0}, NULL) < 0) {
            loop_at(delivery->loop, &delivery->outbox_retry, clock_mono_ns() + OUTBOX_RETRY_NS);
            return;
        }
        free(text);
        delivery->outbox_first = (delivery->outbox_first + 1) % OUTBOX_MAX;
        delivery->outbox_count--;
    }
}

static void tell_outcome(struct delivery *delivery, const char *text)
{
    if (delivery->outbox_count == OUTBOX_MAX) {
        free(delivery->outbox[delivery->outbox_first]);
        delivery->outbox_first = (delivery->outbox_first + 1) % OUTBOX_MAX;
        delivery->outbox_count--;
        delivery->counts.outcomes_lost++;
    }
    delivery->outbox[(delivery->outbox_first + delivery->outbox_count++) % OUTBOX_MAX] = check_strdup(text);
    flush_outbox(delivery);
}

static char *outcome_text(const struct queue_job *job, enum channel_verdict verdict,
    const struct channel_response *response, int64_t wall_ms)
{
    char at[TIMETEXT_RFC3339_SIZE];
    json_t *outcome = json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:i, s:s, s:I}", "id", job->id, "hook",
        job->hook, "incident", job->incident, "at", timetext_rfc3339(wall_ms, at), "attempt",
        (int)job->attempt, "result", channel_verdict_word(verdict), "status", response->status, "detail",
        response->detail, "ms", (json_int_t)response->duration_ms);
    /* A peer's bytes in the detail were reduced to ASCII, so this is UTF-8. */
    CHECK(outcome != NULL);
    char *text = json_dumps(outcome, JSON_COMPACT);
    json_decref(outcome);
    CHECK(text != NULL);
    return text;
}

/* An attempt ended, by an answer or without a request ever leaving. */
static void ended(struct delivery *delivery, struct queue_job *job, enum channel_verdict verdict,
    struct channel_response *response)
{
    verdict = queue_ended(delivery->queue, job, verdict, response->retry_after_ms, clock_mono_ms());
    delivery->counts.attempts++;
    uint64_t *counter[] = {[CHANNEL_DELIVERED] = &delivery->counts.delivered,
        [CHANNEL_RETRY] = &delivery->counts.retried,
        [CHANNEL_PERMANENT] = &delivery->counts.permanent};
    (*counter[verdict])++;
    log_line(verdict == CHANNEL_DELIVERED ? LOG_INFO : LOG_WARN, "delivery",
        "hook=%s incident=%s step=%s id=%s attempt=%u result=%s ms=%" PRId64 " detail=\"%s\"", job->hook,
        job->incident, job->step, job->id, job->attempt, channel_verdict_word(verdict), response->duration_ms,
        response->detail);
    char *text = outcome_text(job, verdict, response, clock_wall_ms());
    if (verdict != CHANNEL_RETRY) queue_finish(delivery->queue, job, text);
    tell_outcome(delivery, text);
    free(text);
}

static void on_done(void *owner, struct channel_response *response)
{
    struct flight *flight = owner;
    struct delivery *delivery = flight->delivery;
    enum channel_verdict verdict = channel_of(flight->hook->kind)->classify(response);
    struct queue_job *job = TAKE(flight->job);
    ended(delivery, job, verdict, response);
    start_due(delivery);
}

static const struct config_hook *hook_find(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->hook_count; i++)
        if (strcmp(config->hooks[i].name, name) == 0) return &config->hooks[i];
    return NULL;
}

static void start(struct delivery *delivery, struct queue_job *job)
{
    const struct config_hook *hook = hook_find(delivery->config, job->hook);
    struct channel_response none = {0};
    if (hook == NULL) {
        snprintf(none.detail, sizeof none.detail, "the config has no hook of this name any more");
        ended(delivery, job, CHANNEL_PERMANENT, &none);
        return;
    }
    struct channel_message message = {.id = job->id,
        .step = job->step,
        .incident = job->incident,
        .at_ms = job->at_ms,
        .message = job->message,
        .letter = delivery->config->collector.letter[0]};
    struct channel_request request = {0};
    struct error err;
    if (delivery_render(hook, &message, clock_wall_ms(), &request, &err) < 0) {
        snprintf(none.detail, sizeof none.detail, "%s", err.text);
        /* A missing or open key file can be cured while the incident lasts; a missing channel cannot. */
        bool curable = err.kind != ERROR_UNSUPPORTED && err.kind != ERROR_INPUT;
        ended(delivery, job, curable ? CHANNEL_RETRY : CHANNEL_PERMANENT, &none);
        return;
    }
    struct flight *flight = delivery->flights;
    while (flight->job != NULL) flight++; /* the queue never has more under way than there are */
    *flight = (struct flight){.delivery = delivery, .job = job, .hook = hook};
    struct http_rules rules = {.allow_private = hook->allow_private};
    http_start(delivery->http, &request, &rules, on_done, flight);
}

static void start_due(struct delivery *delivery)
{
    if (delivery->stopping) {
        if (queue_in_flight(delivery->queue) == 0) loop_stop(delivery->loop);
        return;
    }
    int64_t now_ms = clock_mono_ms();
    for (struct queue_job *job; (job = queue_next(delivery->queue, now_ms)) != NULL;) start(delivery, job);
    int64_t due_ms = queue_due_ms(delivery->queue, now_ms);
    if (due_ms == INT64_MAX)
        loop_cancel(delivery->loop, &delivery->due);
    else
        loop_at(delivery->loop, &delivery->due, due_ms * NS_PER_MS);
}

static void on_due(void *owner, int64_t now_ns)
{
    (void)now_ns;
    start_due(owner);
}

static void take_delivery(struct delivery *delivery, struct span payload)
{
    json_error_t problem;
    json_t *object = json_loadb((const char *)payload.data, payload.size, 0, &problem);
    struct error err = {0};
    const char *outcome = NULL;
    delivery->counts.received++;
    enum queue_added added = QUEUE_MALFORMED;
    if (object == NULL)
        fail(&err, ERROR_INPUT, "delivery: %s", problem.text);
    else
        added = queue_add(delivery->queue, object, clock_wall_ms(), clock_mono_ms(), &outcome, &err);
    if (added == QUEUE_MALFORMED) {
        delivery->counts.malformed++;
        log_error("delivery_malformed", &err, "%s", "");
    } else if (added == QUEUE_FULL) {
        delivery->counts.refused++;
    } else if (added == QUEUE_FINISHED) {
        tell_outcome(delivery, outcome);
    }
    if (json_is_true(json_object_get(object, "recorded"))) delivery->state_answered = true;
    json_decref(object);
}

static void drain_in(struct delivery *delivery)
{
    struct buffer payload = {0}, second = {0};
    struct role_header header;
    struct error err;
    int got;
    while ((got = role_receive(delivery->in, NULL, &header, &payload, &second, &err)) != 0) {
        if (got < 0) {
            delivery->counts.malformed++;
            if (err.kind != ERROR_CORRUPT) break;
            continue;
        }
        if (header.message == ROLE_DELIVER) {
            take_delivery(delivery, buffer_span(&payload));
        } else if (header.message == ROLE_RECORDED) {
            delivery->state_answered = true;
            queue_recorded(delivery->queue, buffer_text(&payload), clock_mono_ms());
        }
    }
    buffer_fini(&payload);
    buffer_fini(&second);
}

static json_t *answer(const struct delivery *delivery, const char *ask)
{
    const struct counts *counts = &delivery->counts;
    if (strcmp(ask, "ready") == 0) return json_pack("{s:b}", "ready", 1);
    if (strcmp(ask, "counts") != 0)
        return json_pack("{s:s}", "error", "delivery answers \"ready\" and \"counts\"");
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "received_total",
        (json_int_t)counts->received, "malformed_total", (json_int_t)counts->malformed, "refused_total",
        (json_int_t)counts->refused, "attempts_total", (json_int_t)counts->attempts, "delivered_total",
        (json_int_t)counts->delivered, "retried_total", (json_int_t)counts->retried, "permanent_total",
        (json_int_t)counts->permanent, "outcomes_lost_total", (json_int_t)counts->outcomes_lost,
        "waiting_count", (json_int_t)queue_waiting(delivery->queue), "in_flight_count",
        (json_int_t)queue_in_flight(delivery->queue));
}

static void drain_ask(struct delivery *delivery)
{
    struct buffer payload = {0}, second = {0};
    struct role_header header;
    struct role_identity from;
    while (role_receive(delivery->ask, &from, &header, &payload, &second, NULL) == 1) {
        if (header.message != ROLE_QUESTION) continue;
        json_t *question = json_loadb((const char *)payload.data, payload.size, 0, NULL);
        const char *ask = json_string_value(json_object_get(question, "ask"));
        json_t *said = answer(delivery, ask != NULL ? ask : "");
        char *text = json_dumps(said, JSON_COMPACT);
        struct role_header reply = role_header_of(ROLE_ANSWER, clock_wall_ms());
        reply.number = header.number;
        role_send(delivery->ask, &from, &reply, span_text(text), (struct span){0}, NULL);
        free(text);
        json_decref(said);
        json_decref(question);
    }
    buffer_fini(&payload);
    buffer_fini(&second);
}

/* ZMQ_FD is edge-triggered: the queues are looked at after every turn, whatever woke the loop. */
static void each_turn(void *owner)
{
    struct delivery *delivery = owner;
    drain_in(delivery);
    drain_ask(delivery);
    start_due(delivery);
}

static void on_zmq(void *owner, int fd, unsigned events)
{
    (void)owner, (void)fd, (void)events; /* each_turn does the work */
}

static void on_hello(void *owner, int64_t now_ns)
{
    struct delivery *delivery = owner;
    struct role_header header = role_header_of(ROLE_DELIVERY_UP, clock_wall_ms());
    bool sent = role_send(delivery->state, NULL, &header, (struct span){0}, (struct span){0}, NULL) == 0;
    if (sent) delivery->hellos++;
    bool fast = !sent || (!delivery->state_answered && delivery->hellos < HELLO_FAST);
    loop_at(delivery->loop, &delivery->hello, now_ns + (fast ? HELLO_FAST_NS : HELLO_SLOW_NS));
}

static void on_outbox(void *owner, int64_t now_ns)
{
    (void)now_ns;
    flush_outbox(owner);
}

static void on_stop_timer(void *owner, int64_t now_ns)
{
    (void)now_ns;
    struct delivery *delivery = owner;
    loop_stop(delivery->loop);
}

static void on_stop(void *owner)
{
    struct delivery *delivery = owner;
    delivery->stopping = true;
    loop_at(delivery->loop, &delivery->stop_timer, clock_mono_ns() + STOP_GRACE_NS);
    start_due(delivery);
}

static int watch_zmq(struct delivery *delivery, void *socket, struct error *err)
{
    int fd = -1;
    size_t size = sizeof fd;
    if (zmq_getsockopt(socket, ZMQ_FD, &fd, &size) != 0)
        return fail(err, ERROR_IO, "%s", zmq_strerror(zmq_errno()));
    return loop_watch(delivery->loop, fd, LOOP_READ, on_zmq, delivery, err);
}

static int open_all(struct delivery *delivery, struct error *err)
{
    const char *run = delivery->config->collector.run;
    delivery->zmq = zmq_ctx_new();
    if ((delivery->in = role_bind(delivery->zmq, run, ROLE_DELIVERY_IN, err)) == NULL) return -1;
    if ((delivery->ask = role_bind(delivery->zmq, run, ROLE_DELIVERY_ASK, err)) == NULL) return -1;
    if ((delivery->state = role_connect(delivery->zmq, run, ROLE_STATE_IN, err)) == NULL) return -1;
    if ((delivery->loop = loop_new(err)) == NULL) return -1;
    if ((delivery->http = http_new(delivery->loop, err)) == NULL) return -1;
    if (loop_signals(delivery->loop, on_stop, NULL, delivery, err) < 0) return -1;
    if (watch_zmq(delivery, delivery->in, err) < 0 || watch_zmq(delivery, delivery->ask, err) < 0) return -1;
    if (loop_each_turn(delivery->loop, each_turn, delivery, err) < 0) return -1;
    delivery->due = (struct loop_timer){.call = on_due, .owner = delivery};
    delivery->hello = (struct loop_timer){.call = on_hello, .owner = delivery};
    delivery->outbox_retry = (struct loop_timer){.call = on_outbox, .owner = delivery};
    delivery->stop_timer = (struct loop_timer){.call = on_stop_timer, .owner = delivery};
    return 0;
}

static void close_all(struct delivery *delivery)
{
    http_free(delivery->http);
    queue_free(delivery->queue);
    loop_free(delivery->loop);
    /* The outcomes just sent must not die with the socket: half a second for state to take them. */
    int linger_ms = 500;
    if (delivery->state != NULL) zmq_setsockopt(delivery->state, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    void *sockets[] = {delivery->in, delivery->ask, delivery->state};
    for (size_t i = 0; i < ARRAY_COUNT(sockets); i++)
        if (sockets[i] != NULL) zmq_close(sockets[i]);
    if (delivery->zmq != NULL) zmq_ctx_term(delivery->zmq);
    for (; delivery->outbox_count > 0; delivery->outbox_count--) {
        free(delivery->outbox[delivery->outbox_first]);
        delivery->outbox_first = (delivery->outbox_first + 1) % OUTBOX_MAX;
    }
}

int delivery_main(const struct config *config)
{
    struct delivery *delivery = check_alloc(sizeof *delivery);
    delivery->config = config;
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = (uint64_t)clock_mono_ns();
    delivery->queue = queue_new(seed);
    signal(SIGPIPE, SIG_IGN); /* NOLINT: curl and OpenSSL write to sockets that peers close */
    struct error err = {0};
    int result = open_all(delivery, &err);
    if (result == 0) {
        log_line(LOG_INFO, "ready", "hooks=%zu", config->hook_count);
        loop_at(delivery->loop, &delivery->hello, clock_mono_ns());
        result = loop_run(delivery->loop, &err);
    }
    if (result < 0) log_error("delivery_stopped", &err, "%s", "");
    close_all(delivery);
    free(delivery);
    return result < 0 ? 1 : 0;
}

#include "agent/uplink/uplink.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "agent/uplink/plan.h"
#include "agent/uplink/resolve.h"
#include "agent/uplink/socket.h"
#include "agent/uplink/window.h"
#include "common/arena.h"
#include "common/check.h"
#include "common/log.h"

#define GREETING_MS        15000 /* to connect, shake hands and be welcomed */
#define NEED_DICTIONARY_MS 2000  /* asked again within this: the answer is on its way */
#define HELLO_AGAIN_MS     1000
#define FRAMES_PER_TURN    256
#define CLOCK_OFFSET_MS    2000 /* worth a line in the log */
#define IDLE_MS            60000

enum state { WAITING, RESOLVING, CONNECTING, GREETING, UP };

struct connection {
    struct uplink *uplink;
    unsigned number; /* in the spool */
    char *address;
    char key[KEYS_TEXT_SIZE];
    enum state state;
    int64_t due_ms; /* WAITING: the next attempt; CONNECTING, GREETING: given up then */
    unsigned attempt;
    struct resolve resolve;
    char endpoint[RESOLVE_ADDRESS_SIZE]; /* numeric; the last that was known */
    struct wire_socket socket;
    int fds[2];
    struct window window;
    char letter[LIMIT_HOST_BYTES + 1]; /* "" before the first welcome */
    struct plan_parts plan;
    uint32_t plan_version;
    int64_t asked_dictionary_ms, hello_ms;
    bool told_offset;
    bool backlog_waits; /* for backlog_due_ms; otherwise there is none, or an ack has to come first */
    char why[96];       /* the connection failed; logged once per cause */
};

struct uplink {
    void *context;
    struct uplink_options options;
    struct uplink_sink sink;
    struct connection connections[SPOOL_COLLECTORS_MAX];
    size_t count;
    uint64_t random;
    struct buffer frame;
    struct arena arena;
    int64_t now_ms, wall_ms;
};

static uint64_t next_random(struct uplink *u)
{
    u->random ^= u->random << 13;
    u->random ^= u->random >> 7;
    u->random ^= u->random << 17;
    return u->random;
}

struct uplink *uplink_new(
    const struct uplink_options *options, const struct uplink_sink *sink, struct error *err)
{
    CHECK(options->collector_count > 0 && options->collector_count <= SPOOL_COLLECTORS_MAX);
    void *context = zmq_ctx_new();
    if (context == NULL) {
        fail(err, ERROR_IO, "zmq: %s", zmq_strerror(zmq_errno()));
        return NULL;
    }
    struct uplink *u = check_alloc(sizeof *u);
    u->context = context;
    u->options = *options;
    u->options.collectors = NULL;
    u->sink = *sink;
    u->random = options->random | 1;
    u->arena.bytes_max = 2 * LIMIT_DECODE_BYTES;
    for (; u->count < options->collector_count; u->count++) {
        struct connection *c = &u->connections[u->count];
        *c = (struct connection){.uplink = u,
            .number = (unsigned)u->count,
            .fds = {-1, -1},
            .address = check_strdup(options->collectors[u->count].address)};
        snprintf(c->key, sizeof c->key, "%s", options->collectors[u->count].key);
        spool_add_collector(options->spool, c->number, NULL);
    }
    return u;
}

static void close_socket(struct connection *c)
{
    for (int i = 0; i < 2; i++) {
        if (c->fds[i] >= 0) c->uplink->sink.watch(c->uplink->sink.owner, c->fds[i], false);
        c->fds[i] = -1;
    }
    socket_close(&c->socket);
}

void uplink_free(struct uplink *u)
{
    if (u == NULL) return;
    for (size_t i = 0; i < u->count; i++) {
        struct connection *c = &u->connections[i];
        close_socket(c);
        resolve_cancel(&c->resolve);
        plan_fini(&c->plan);
        free(c->address);
    }
    zmq_ctx_term(u->context);
    buffer_fini(&u->frame);
    arena_fini(&u->arena);
    free(u);
}

size_t uplink_connected(const struct uplink *u)
{
    size_t count = 0;
    for (size_t i = 0; i < u->count; i++) count += u->connections[i].state == UP;
    return count;
}

/* ---- up and down ---- */

/* Every cause is logged once, not at every attempt. */
static void go_down(struct connection *c, const char *why, int64_t wait_ms)
{
    if (c->state == UP || strcmp(c->why, why) != 0)
        log_line(LOG_WARN, "disconnected", "collector=%s why=\"%s\" retry_ms=%lld", c->address, why,
            (long long)wait_ms);
    snprintf(c->why, sizeof c->why, "%s", why);
    close_socket(c);
    resolve_cancel(&c->resolve);
    plan_fini(&c->plan);
    c->state = WAITING;
    c->due_ms = c->uplink->now_ms + wait_ms;
}

static void try_again_later(struct connection *c, const char *why)
{
    go_down(c, why, window_backoff_ms(c->attempt++, next_random(c->uplink)));
}

static void connect_to(struct connection *c)
{
    struct uplink *u = c->uplink;
    struct error err;
    if (socket_open(&c->socket, u->context, c->endpoint, c->key, u->options.key, &err) != 0) {
        try_again_later(c, err.text);
        return;
    }
    c->fds[0] = socket_fd(&c->socket);
    c->fds[1] = socket_monitor_fd(&c->socket);
    for (int i = 0; i < 2; i++) u->sink.watch(u->sink.owner, c->fds[i], true);
    c->state = CONNECTING;
    c->due_ms = u->now_ms + GREETING_MS;
}

static void begin(struct connection *c)
{
    struct error err;
    if (resolve_is_numeric(c->address, c->endpoint)) {
        connect_to(c);
    } else if (resolve_begin(&c->resolve, c->address, c->uplink->now_ms, &err) == 0) {
        c->state = RESOLVING;
    } else {
        try_again_later(c, err.text);
    }
}

/* A resolver that is down must not keep us from an address that worked before. */
static void look_at_resolver(struct connection *c)
{
    struct error err;
    int got = resolve_poll(&c->resolve, c->uplink->now_ms, c->endpoint, &err);
    if (got == 0) return;
    if (got > 0 || c->endpoint[0] != '\0')
        connect_to(c);
    else
        try_again_later(c, err.text);
}

static void say_hello(struct connection *c)
{
    struct uplink *u = c->uplink;
    struct wire_from_agent message = {.kind = WIRE_HELLO,
        .hello = {.protocol = WIRE_PROTOCOL,
            .version = FAULTLINE_VERSION,
            .incarnation = spool_incarnation(u->options.spool),
            .wall_ms = u->wall_ms,
            .mono_ms = u->now_ms,
            .next_sequence = spool_next_sequence(u->options.spool),
            .oldest_sequence = spool_oldest_sequence(u->options.spool),
            .capabilities = u->options.capabilities,
            .plan_version = c->plan_version}};
    memcpy(message.hello.boot_id, u->options.boot_id, sizeof message.hello.boot_id);
    struct error err;
    buffer_clear(&u->frame);
    c->hello_ms = u->now_ms;
    if (wire_encode_from_agent(&message, &u->frame, &err) != 0)
        log_error("hello_failed", &err, "collector=%s", c->address);
    else if (socket_send(&c->socket, buffer_span(&u->frame)) != 0)
        try_again_later(c, "the greeting could not be sent");
}

/* ---- what a collector says ---- */

static void on_welcome(struct connection *c, const struct wire_welcome *welcome)
{
    snprintf(c->letter, sizeof c->letter, "%s", welcome->collector);
    if (c->state == UP) return;
    c->state = UP;
    c->why[0] = '\0';
    window_open(&c->window, welcome->credit, c->uplink->now_ms);
    log_line(LOG_INFO, "connected", "collector=%s letter=%s host=%s credit=%u", c->address,
        welcome->collector, welcome->host, welcome->credit);
}

/* The collector's clock was wall_ms half a round trip ago. */
static void look_at_clock(struct connection *c, const struct wire_ack *ack)
{
    struct uplink *u = c->uplink;
    int64_t round_trip_ms = u->now_ms - ack->echo_mono_ms;
    if (c->told_offset || ack->echo_mono_ms <= 0 || round_trip_ms < 0 || round_trip_ms > CLOCK_OFFSET_MS / 2)
        return;
    int64_t offset_ms = ack->wall_ms + round_trip_ms / 2 - u->wall_ms;
    if (offset_ms > -CLOCK_OFFSET_MS && offset_ms < CLOCK_OFFSET_MS) return;
    c->told_offset = true;
    log_line(LOG_WARN, "clock_differs", "collector=%s ahead_ms=%lld", c->address, (long long)offset_ms);
}

static void on_ack(struct connection *c, const struct wire_ack *ack)
{
    struct uplink *u = c->uplink;
    if (ack->incarnation != spool_incarnation(u->options.spool)) return;
    struct received received = {.floor = ack->floor, .range_count = ack->range_count};
    memcpy(received.ranges, ack->ranges, ack->range_count * sizeof ack->ranges[0]);
    c->attempt = 0;
    window_acknowledged(&c->window, &received, ack->credit, u->now_ms);
    spool_acknowledge(u->options.spool, c->number, &received);
    look_at_clock(c, ack);
}

static void on_plan(struct connection *c, const struct wire_plan *plan, struct span frame)
{
    struct uplink *u = c->uplink;
    struct wire_target *targets;
    size_t count;
    struct error err;
    int got = plan_add(&c->plan, plan, frame, &u->arena, &targets, &count, &err);
    if (got < 0) log_error("plan_refused", &err, "collector=%s", c->address);
    if (got <= 0) return;
    c->plan_version = plan->version;
    log_line(LOG_INFO, "plan", "collector=%s version=%u targets=%zu", c->address, c->plan_version, count);
    u->sink.plan(u->sink.owner, c->letter[0] != '\0' ? c->letter : c->address, targets, count);
}

static void on_need_dictionary(struct connection *c, uint64_t incarnation)
{
    struct uplink *u = c->uplink;
    if (incarnation != spool_incarnation(u->options.spool)) return;
    if (c->asked_dictionary_ms != 0 && u->now_ms - c->asked_dictionary_ms < NEED_DICTIONARY_MS) return;
    c->asked_dictionary_ms = u->now_ms;
    window_start_over(&c->window);
    u->sink.need_dictionary(u->sink.owner);
}

static void on_retry_after(struct connection *c, const struct wire_retry_after *retry)
{
    struct uplink *u = c->uplink;
    if (retry->ms == 0) { /* this connection is fine, its greeting was missed */
        if (u->now_ms - c->hello_ms >= HELLO_AGAIN_MS) say_hello(c);
        return;
    }
    int64_t wait_ms = retry->ms + (int64_t)(next_random(u) % ((uint64_t)retry->ms + 1));
    go_down(c, retry->reason, wait_ms < WINDOW_RETRY_MS_MAX ? wait_ms : WINDOW_RETRY_MS_MAX);
}

static void take_frame(struct connection *c, struct span frame)
{
    struct uplink *u = c->uplink;
    struct wire_from_collector message;
    struct error err;
    if (wire_decode_from_collector(frame, &u->arena, &message, &err) != 0) {
        log_error("frame_refused", &err, "collector=%s", c->address);
        return;
    }
    if (message.kind == WIRE_WELCOME) on_welcome(c, &message.welcome);
    if (message.kind == WIRE_RETRY_AFTER) on_retry_after(c, &message.retry_after);
    if (c->state != UP) return;
    switch (message.kind) {
    case WIRE_ACK: on_ack(c, &message.ack); break;
    case WIRE_PLAN: on_plan(c, &message.plan, frame); break;
    case WIRE_BURST: u->sink.burst(u->sink.owner, &message.burst); break;
    case WIRE_NEED_DICT: on_need_dictionary(c, message.need_dict.incarnation); break;
    case WIRE_WELCOME:
    case WIRE_RETRY_AFTER: break;
    }
}

/* ---- work ---- */

static void look_at_connection(struct connection *c)
{
    char why[96] = "";
    enum socket_event event;
    while (c->socket.dealer != NULL && (event = socket_next_event(&c->socket, why)) != SOCKET_NOTHING) {
        if (event == SOCKET_CONNECTED && c->state == CONNECTING) {
            c->state = GREETING;
            say_hello(c);
        } else if (event == SOCKET_REFUSED || event == SOCKET_GONE) {
            try_again_later(c, why);
        }
    }
}

static void receive(struct connection *c)
{
    struct uplink *u = c->uplink;
    struct buffer frame = {0};
    for (int i = 0; i < FRAMES_PER_TURN && c->socket.dealer != NULL; i++) {
        buffer_clear(&frame);
        if (socket_receive(&c->socket, &frame) == 0) break;
        take_frame(c, buffer_span(&frame));
        arena_reset(&u->arena);
    }
    buffer_fini(&frame);
}

static int send_batch(struct connection *c, uint64_t sequence, struct span frame)
{
    if (socket_send(&c->socket, frame) != 0) return -1;
    window_sent(&c->window, sequence, c->uplink->now_ms);
    return 0;
}

/* One batch of the backlog, if it is its turn. The cursor passes what is on its way already. */
static void send_backlog(struct connection *c)
{
    struct uplink *u = c->uplink;
    c->backlog_waits = c->backlog_waits && c->window.backlog_due_ms > u->now_ms;
    if (!window_has_room_for_backlog(&c->window, u->now_ms)) return;
    spool_pump(u->options.spool, u->now_ms);
    for (;;) {
        uint64_t sequence;
        struct error err;
        buffer_clear(&u->frame);
        enum spool_found found =
            spool_next(u->options.spool, c->number, c->window.cursor, &sequence, &u->frame, &err);
        if (found == SPOOL_CORRUPT) {
            log_error("batch_damaged", &err, "collector=%s", c->address);
            continue;
        }
        if (found == SPOOL_NONE) return;
        if (found == SPOOL_FOUND && window_is_in_flight(&c->window, sequence)) {
            c->window.cursor = sequence;
            continue;
        }
        c->backlog_waits = true;
        c->window.backlog_due_ms = u->now_ms + WINDOW_BACKLOG_MS;
        if (found == SPOOL_READING) return;
        if (send_batch(c, sequence, buffer_span(&u->frame)) == 0) c->window.cursor = sequence;
        return;
    }
}

static int64_t work_on(struct connection *c)
{
    struct uplink *u = c->uplink;
    if (c->state == WAITING && u->now_ms >= c->due_ms) begin(c);
    if (c->state == RESOLVING) look_at_resolver(c);
    look_at_connection(c);
    receive(c);
    if ((c->state == CONNECTING || c->state == GREETING) && u->now_ms >= c->due_ms)
        try_again_later(c, "no answer to the greeting");
    if (c->state == UP && window_is_deaf(&c->window, u->now_ms))
        try_again_later(c, "acknowledgements have stopped");
    if (c->state == UP) send_backlog(c);
    switch (c->state) {
    case RESOLVING: return u->now_ms + WINDOW_BACKLOG_MS;
    case UP: return c->backlog_waits ? c->window.backlog_due_ms : u->now_ms + IDLE_MS / 10;
    default: return c->due_ms;
    }
}

int64_t uplink_work(struct uplink *u, int64_t now_ms, int64_t wall_ms)
{
    u->now_ms = now_ms;
    u->wall_ms = wall_ms;
    int64_t due_ms = now_ms + IDLE_MS;
    for (size_t i = 0; i < u->count; i++) {
        int64_t due = work_on(&u->connections[i]);
        if (due < due_ms) due_ms = due;
    }
    return due_ms;
}

void uplink_send(struct uplink *u, uint64_t sequence, struct span frame, int64_t now_ms)
{
    u->now_ms = now_ms;
    for (size_t i = 0; i < u->count; i++) {
        struct connection *c = &u->connections[i];
        if (c->state != UP || !window_has_room(&c->window)) continue;
        if (send_batch(c, sequence, frame) != 0) continue;
        c->window.hold_backlog = false;
    }
}

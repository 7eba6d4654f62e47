#include "collector/core/state/state_role.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <zmq.h>

#include "collector/contract/roles.h"
#include "collector/core/state/state.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/timetext.h"

#define REOPEN_MS                                                                                            \
    1000 /* after a failed write the file is closed and opened again: its cache cannot be trusted */
#define DRAIN_MS 2000 /* at the end */

struct state_role {
    const struct config *config;
    void *control, *in;            /* receiving */
    void *to_engine, *to_delivery; /* sending */
    struct state *state;           /* NULL while it cannot be opened */
    int64_t opened_mono_ms;
    bool owes_pending; /* to delivery, which was not there */
    struct buffer payload, second;
};

static bool tell(void *socket, enum role_message message, uint64_t number, struct span payload)
{
    struct role_header header = role_header_of(message, clock_wall_ms());
    header.number = number;
    /* Nobody there: whoever starts asks for what was missed. */
    return role_send(socket, NULL, &header, payload, (struct span){0}, NULL) == 0;
}

static bool tell_json(void *socket, enum role_message message, const json_t *object)
{
    AUTO_FREE char *text = json_dumps(object, JSON_COMPACT);
    return tell(socket, message, 0, span_text(text));
}

static void tell_notified(struct state_role *role, const char *incident, int64_t at_ms)
{
    char at[TIMETEXT_RFC3339_SIZE];
    json_t *object = json_pack("{s:s, s:s}", "incident", incident, "at", timetext_rfc3339(at_ms, at));
    tell_json(role->to_engine, ROLE_NOTIFIED, object);
    json_decref(object);
}

/* ── Messages; each returns 0 or -1 with err ── */

static void tell_recorded(struct state_role *role, const json_t *step)
{
    size_t i;
    json_t *delivery;
    json_array_foreach(json_object_get(step, "deliveries"), i, delivery)
    {
        const char *id = json_string_value(json_object_get(delivery, "id"));
        if (id != NULL) tell(role->to_delivery, ROLE_RECORDED, 0, span_text(id));
    }
    const char *incident = json_string_value(json_object_get(json_object_get(step, "incident"), "id"));
    int64_t at_ms;
    if (incident != NULL && state_take_notified(role->state, incident, &at_ms, NULL) > 0)
        tell_notified(role, incident, at_ms);
}

/* Every delivery without an outcome; delivery knows what it has already. */
static int tell_pending(struct state_role *role, struct error *err)
{
    json_t *pending = state_pending(role->state, err);
    if (pending == NULL) return -1;
    size_t i;
    json_t *delivery;
    role->owes_pending = false;
    json_array_foreach(pending, i, delivery)
    {
        json_object_set_new(delivery, "recorded", json_true());
        if (!tell_json(role->to_delivery, ROLE_DELIVER, delivery)) role->owes_pending = true;
    }
    json_decref(pending);
    return 0;
}

static int take_step(
    struct state_role *role, const struct role_header *header, const json_t *object, struct error *err)
{
    int result = state_record_step_and_snapshot(role->state, object, buffer_span(&role->second), err);
    /* What can never be recorded is not asked for again. */
    if (result == 0 || err->kind == ERROR_INPUT)
        tell(role->to_engine, ROLE_STEP_RECORDED, header->number, (struct span){0});
    if (result == 0) tell_recorded(role, object);
    /* After a restart of core only we know what of it was delivered before. */
    if (result == 0 && json_is_true(json_object_get(object, "restored"))) result = tell_pending(role, err);
    return result;
}

static int take_outcome(
    struct state_role *role, const struct role_header *header, const json_t *object, struct error *err)
{
    (void)header;
    char incident[INCIDENT_ID_SIZE];
    int64_t at_ms;
    if (state_record_outcome(role->state, object, incident, &at_ms, err) != 0) return -1;
    if (incident[0] != '\0') tell_notified(role, incident, at_ms);
    return 0;
}

static int take_note(
    struct state_role *role, const struct role_header *header, const json_t *object, struct error *err)
{
    (void)header;
    return state_record_note(role->state, object, err);
}

static int take_snapshot(
    struct state_role *role, const struct role_header *header, const json_t *object, struct error *err)
{
    (void)object;
    return state_put_snapshot(role->state, buffer_span(&role->payload), header->arrival_ms, err);
}

static int take_engine_up(
    struct state_role *role, const struct role_header *header, const json_t *object, struct error *err)
{
    (void)header;
    (void)object;
    struct buffer snapshot = {0};
    uint64_t last_number = 0;
    int result = state_get_snapshot(role->state, &snapshot, err);
    if (result == 0) result = state_last_number(role->state, &last_number, err);
    if (result == 0) tell(role->to_engine, ROLE_RESTORE, last_number, buffer_span(&snapshot));
    buffer_fini(&snapshot);
    return result;
}

static int take_delivery_up(
    struct state_role *role, const struct role_header *header, const json_t *object, struct error *err)
{
    (void)header;
    (void)object;
    return tell_pending(role, err);
}

static const struct {
    enum role_message message;
    bool is_json;
    int (*take)(
        struct state_role *role, const struct role_header *header, const json_t *object, struct error *err);
} messages[] = {
    {ROLE_STEP, true, take_step},
    {ROLE_OUTCOME, true, take_outcome},
    {ROLE_NOTE, true, take_note},
    {ROLE_SNAPSHOT, false, take_snapshot},
    {ROLE_ENGINE_UP, false, take_engine_up},
    {ROLE_DELIVERY_UP, false, take_delivery_up},
};

static int take(struct state_role *role, const struct role_header *header, struct error *err)
{
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        if (messages[i].message != (enum role_message)header->message) continue;
        json_t *object = NULL;
        json_error_t why;
        if (messages[i].is_json) {
            object = json_loadb((const char *)role->payload.data, role->payload.size, 0, &why);
            if (object == NULL) return fail(err, ERROR_INPUT, "message %u: %s", header->message, why.text);
        }
        int result = messages[i].take(role, header, object, err);
        json_decref(object);
        return result;
    }
    return fail(err, ERROR_INPUT, "message %u is not for state", header->message);
}

/* ── The file ── */

static void note_replaced(struct state_role *role)
{
    const char *text = state_replaced(role->state);
    if (text[0] == '\0') return;
    char at[TIMETEXT_RFC3339_SIZE];
    log_line(LOG_ERROR, "database_corrupt", "text=\"%s\"", text);
    json_t *note = json_pack("{s:s, s:s, s:s, s:s}", "at", timetext_rfc3339(clock_wall_ms(), at), "kind",
        "database_corrupt", "component", "", "text", text);
    state_record_note(role->state, note, NULL);
    json_decref(note);
}

static int open_state(struct state_role *role, struct error *err)
{
    role->opened_mono_ms = clock_mono_ms();
    role->state = state_open(role->config->collector.data, err);
    if (role->state == NULL) return -1;
    note_replaced(role);
    return 0;
}

/* True if there is a file to work with. */
static bool have_state(struct state_role *role)
{
    if (role->state != NULL) return true;
    if (clock_mono_ms() - role->opened_mono_ms < REOPEN_MS) return false;
    struct error err;
    if (open_state(role, &err) == 0) return true;
    log_error("state_unavailable", &err, "%s", "retry=1s");
    return false;
}

/* After a failed write or sync the pages in memory are not those on disk: never go on with them. */
static void close_after(struct state_role *role, const struct error *err)
{
    if (err->kind == ERROR_INPUT || err->kind == ERROR_AGAIN) return;
    state_close(role->state);
    role->state = NULL;
}

/* All that waits. While there is no file messages stay in the socket, up to its bound. */
static void drain(struct state_role *role)
{
    struct role_header header;
    struct error err = {0};
    while (have_state(role)) {
        int got = role_receive(role->in, NULL, &header, &role->payload, &role->second, &err);
        if (got == 0) return;
        if (got > 0 && take(role, &header, &err) == 0) continue;
        log_error("state_refused", &err, "message=%u", got > 0 ? header.message : 0);
        if (got > 0) close_after(role, &err);
    }
}

static void run(struct state_role *role)
{
    zmq_pollitem_t items[] = {
        {.socket = role->control, .events = ZMQ_POLLIN}, {.socket = role->in, .events = ZMQ_POLLIN}};
    do {
        /* Without a file the socket stays full: wait for the stop alone, or this would spin. */
        if (zmq_poll(items, role->state != NULL ? 2 : 1, 500) < 0 && zmq_errno() != EINTR) return;
        drain(role);
        struct error err;
        if (role->owes_pending && role->state != NULL && tell_pending(role, &err) != 0)
            log_error("state_refused", &err, "%s", "while=pending");
    } while (!(items[0].revents & ZMQ_POLLIN));
    int64_t until_mono_ms = clock_mono_ms() + DRAIN_MS;
    /* The engine's last snapshot is on its way when the order to stop comes. */
    while (clock_mono_ms() < until_mono_ms && zmq_poll(&items[1], 1, 100) > 0) drain(role);
}

static int open_sockets(struct state_role *role, void *zmq, struct error *err)
{
    const char *where = role->config->collector.run;
    role->control = zmq_socket(zmq, ZMQ_PAIR);
    if (role->control == NULL || zmq_connect(role->control, STATE_ROLE_CONTROL) != 0)
        return fail(err, ERROR_IO, "control socket: %s", zmq_strerror(zmq_errno()));
    if ((role->in = role_bind(zmq, where, ROLE_STATE_IN, err)) == NULL) return -1;
    if ((role->to_engine = role_connect(zmq, where, ROLE_ENGINE_IN, err)) == NULL) return -1;
    return (role->to_delivery = role_connect(zmq, where, ROLE_DELIVERY_IN, err)) != NULL ? 0 : -1;
}

int state_role_main(void *zmq, const struct config *config)
{
    struct state_role role = {.config = config};
    struct error err = {0};
    int result = open_state(&role, &err);
    if (result != 0 && err.kind != ERROR_UNSUPPORTED) {
        /* A full or broken disk: the engine judges without us after a while, and we try again. */
        log_error("state_unavailable", &err, "%s", "retry=1s");
        result = 0;
    }
    if (result == 0) result = open_sockets(&role, zmq, &err);
    if (result == 0)
        run(&role);
    else
        log_error("state_role_failed", &err, "%s", "role=state");
    state_close(role.state);
    void *const sockets[] = {role.control, role.in, role.to_engine, role.to_delivery};
    for (size_t i = 0; i < ARRAY_COUNT(sockets); i++)
        if (sockets[i] != NULL) zmq_close(sockets[i]);
    buffer_fini(&role.payload);
    buffer_fini(&role.second);
    return result;
}

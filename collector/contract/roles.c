#include "collector/contract/roles.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include "common/check.h"

#define RUN_BYTES_MAX 60 /* sun_path holds 108 with the file name */

static const struct role_endpoint_info endpoints[ROLE_ENDPOINT_COUNT] = {
    [ROLE_ENGINE_DATA] = {"engine.data", 8192, 0},
    [ROLE_STORE_DATA] = {"store.data", 2048, 0},
    [ROLE_LINK_OUT] = {"link.out", 8192, 0},
    [ROLE_STATE_IN] = {"state.in", 1024, 0},
    [ROLE_ENGINE_IN] = {"engine.in", 1024, 0},
    [ROLE_DELIVERY_IN] = {"delivery.in", 1024, 0},
    [ROLE_ENGINE_ASK] = {"engine.ask", 64, 1},
    [ROLE_STORE_ASK] = {"store.ask", 64, 1},
    [ROLE_DELIVERY_ASK] = {"delivery.ask", 16, 1},
};

const struct role_endpoint_info *role_endpoint_info(enum role_endpoint endpoint)
{
    CHECK((unsigned)endpoint < ROLE_ENDPOINT_COUNT);
    return &endpoints[endpoint];
}

static int fail_zmq(struct error *err, enum error_kind kind, const char *what, const char *name)
{
    return fail(err, kind, "%s %s: %s", what, name, zmq_strerror(zmq_errno()));
}

static int set(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value);
}

/* What both ends have in common. Reconnecting starts at once after a restart of the other side: 20 ms, at
 * most 200. */
static int set_common(void *socket, const struct role_endpoint_info *info)
{
    int64_t size_max = (int64_t)BUFFER_SIZE_MAX;
    if (set(socket, ZMQ_LINGER, 0) != 0 || set(socket, ZMQ_SNDHWM, info->hwm) != 0 ||
        set(socket, ZMQ_RCVHWM, info->hwm) != 0)
        return -1;
    if (set(socket, ZMQ_RECONNECT_IVL, 20) != 0 || set(socket, ZMQ_RECONNECT_IVL_MAX, 200) != 0) return -1;
    return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max);
}

static int endpoint_address(
    const char *run, const struct role_endpoint_info *info, char *out, size_t size, struct error *err)
{
    if (strlen(run) > RUN_BYTES_MAX)
        return fail(err, ERROR_INPUT, "run directory %s is longer than %d bytes: unix sockets do not fit",
            run, RUN_BYTES_MAX);
    snprintf(out, size, "ipc://%s/%s", run, info->name);
    return 0;
}

void *role_bind(void *zmq, const char *run, enum role_endpoint endpoint, struct error *err)
{
    const struct role_endpoint_info *info = role_endpoint_info(endpoint);
    char address[128];
    if (endpoint_address(run, info, address, sizeof address, err) != 0) return NULL;
    void *socket = zmq_socket(zmq, info->is_router ? ZMQ_ROUTER : ZMQ_PULL);
    if (socket == NULL) {
        fail_zmq(err, ERROR_IO, "socket for", info->name);
        return NULL;
    }
    /* Mandatory: an answer to somebody who left is an error, not a silent success. */
    if (set_common(socket, info) != 0 || (info->is_router && set(socket, ZMQ_ROUTER_MANDATORY, 1) != 0) ||
        zmq_bind(socket, address) != 0) {
        fail_zmq(err, ERROR_IO, "bind", address);
        zmq_close(socket);
        return NULL;
    }
    return socket;
}

void *role_connect(void *zmq, const char *run, enum role_endpoint endpoint, struct error *err)
{
    const struct role_endpoint_info *info = role_endpoint_info(endpoint);
    char address[128];
    if (endpoint_address(run, info, address, sizeof address, err) != 0) return NULL;
    void *socket = zmq_socket(zmq, info->is_router ? ZMQ_DEALER : ZMQ_PUSH);
    if (socket == NULL) {
        fail_zmq(err, ERROR_IO, "socket for", info->name);
        return NULL;
    }
    if (set_common(socket, info) != 0 || set(socket, ZMQ_IMMEDIATE, 1) != 0 ||
        zmq_connect(socket, address) != 0) {
        fail_zmq(err, ERROR_IO, "connect", address);
        zmq_close(socket);
        return NULL;
    }
    return socket;
}

static int send_part(void *socket, const void *data, size_t size, int more)
{
    int rc;
    do rc = zmq_send(socket, data, size, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
    while (rc < 0 && zmq_errno() == EINTR);
    return rc < 0 ? -1 : 0;
}

int role_send(void *socket, const struct role_identity *to, const struct role_header *header,
    struct span payload, struct span second, struct error *err)
{
    struct span parts[4];
    size_t count = 0;
    if (to != NULL) parts[count++] = span_of(to->bytes, to->size);
    parts[count++] = span_of(header, sizeof *header);
    if (payload.size > 0 || second.size > 0) parts[count++] = payload;
    if (second.size > 0) parts[count++] = second;
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        if (send_part(socket, parts[i].data, parts[i].size, i + 1 < count) == 0) continue;
        failed = zmq_errno();
        if (i == 0) break;
        /* The peer left in the middle. libzmq takes back what was sent and swallows the rest up to the last
         * part: give it the rest, or it would swallow the next message. */
    }
    if (failed == 0) return 0;
    if (failed == EAGAIN || failed == EHOSTUNREACH)
        return fail(err, ERROR_AGAIN, "nobody takes the message now");
    return fail(err, ERROR_IO, "send: %s", zmq_strerror(failed));
}

/* One part into `out` (NULL: thrown away). 1 there are more parts, 0 it was the last, -1 error (errno of
 * zmq). */
static int receive_part(void *socket, zmq_msg_t *part)
{
    int rc;
    do rc = zmq_msg_recv(part, socket, ZMQ_DONTWAIT);
    while (rc < 0 && zmq_errno() == EINTR);
    return rc < 0 ? -1 : zmq_msg_more(part);
}

static void drop_rest(void *socket)
{
    zmq_msg_t part;
    zmq_msg_init(&part);
    while (receive_part(socket, &part) > 0) {
    }
    zmq_msg_close(&part);
}

/* Copies the part if it is one of this version. */
static int take_header(zmq_msg_t *part, struct role_header *header, struct error *err)
{
    struct role_header got;
    if (zmq_msg_size(part) != sizeof got)
        return fail(err, ERROR_CORRUPT, "header of %zu bytes instead of %zu", zmq_msg_size(part), sizeof got);
    memcpy(&got, zmq_msg_data(part), sizeof got);
    if (got.version != ROLE_MESSAGE_VERSION)
        return fail(
            err, ERROR_CORRUPT, "message of version %u, this is %d", got.version, ROLE_MESSAGE_VERSION);
    if (got.message == 0 || got.message >= ROLE_MESSAGE_COUNT)
        return fail(err, ERROR_CORRUPT, "unknown message %u", got.message);
    got.key[sizeof got.key - 1] = '\0';
    got.host[sizeof got.host - 1] = '\0';
    *header = got;
    return 0;
}

static int take_identity(zmq_msg_t *part, struct role_identity *from, struct error *err)
{
    size_t size = zmq_msg_size(part);
    if (size > sizeof from->bytes) return fail(err, ERROR_CORRUPT, "identity of %zu bytes", size);
    memcpy(from->bytes, zmq_msg_data(part), size);
    from->size = size;
    return 0;
}

int role_receive(void *socket, struct role_identity *from, struct role_header *header, struct buffer *payload,
    struct buffer *second, struct error *err)
{
    buffer_clear(payload);
    buffer_clear(second);
    struct buffer *const rest[] = {payload, second};
    zmq_msg_t part;
    zmq_msg_init(&part);
    int more = receive_part(socket, &part);
    if (more < 0) {
        int code = zmq_errno();
        zmq_msg_close(&part);
        return code == EAGAIN ? 0 : fail(err, ERROR_IO, "receive: %s", zmq_strerror(code));
    }
    int result = 0;
    if (from != NULL) {
        result = take_identity(&part, from, err);
        if (result == 0 && more == 0) result = fail(err, ERROR_CORRUPT, "message without a header");
        if (result == 0) more = receive_part(socket, &part);
    }
    if (result == 0) result = take_header(&part, header, err);
    for (size_t i = 0; result == 0 && more > 0; i++) {
        more = receive_part(socket, &part);
        if (i >= ARRAY_COUNT(rest))
            result = fail(err, ERROR_CORRUPT, "message of too many parts");
        else
            result = buffer_append(rest[i], span_of(zmq_msg_data(&part), zmq_msg_size(&part)), err);
    }
    zmq_msg_close(&part);
    if (result != 0 && more > 0) drop_rest(socket);
    return result == 0 ? 1 : -1;
}

struct role_header role_header_of(enum role_message message, int64_t now_ms)
{
    return (struct role_header){
        .version = ROLE_MESSAGE_VERSION, .message = (uint32_t)message, .arrival_ms = now_ms};
}

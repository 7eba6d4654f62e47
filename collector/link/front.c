#include "collector/link/front.h"

#include <stdint.h>
#include <string.h>
#include <zmq.h>

#include "collector/link/zap.h"
#include "common/check.h"

/* In libzmq since 4.3.2, but only declared with its draft API. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

/* A CURVE message is longer than its content: name, nonce, flags and authenticator are 33 bytes. */
#define CURVE_BYTES 64

static int set_text(void *socket, int option, const char *text)
{
    return zmq_setsockopt(socket, option, text, strlen(text));
}

static int set_numbers(void *socket)
{
    static const struct {
        int option, value;
    } rows[] = {
        {ZMQ_CURVE_SERVER, 1},
        {ZMQ_ZAP_ENFORCE_DOMAIN, 1},
        {ZMQ_LINGER, 0},
        {ZMQ_ROUTER_MANDATORY, 1}, /* sending to who has left is told */
        {ZMQ_HANDSHAKE_IVL, 5000}, /* ms; the default lets half-open handshakes stay for 30 s */
        {ZMQ_HEARTBEAT_IVL, 5000}, /* ms */
        {ZMQ_HEARTBEAT_TIMEOUT, 15000},
        {ZMQ_TCP_KEEPALIVE, 1},
        {ZMQ_TCP_KEEPALIVE_IDLE, 30}, /* s */
        {ZMQ_TCP_KEEPALIVE_INTVL, 5},
        {ZMQ_TCP_KEEPALIVE_CNT, 3},
        {ZMQ_TCP_MAXRT, 15000}, /* ms: TCP_USER_TIMEOUT */
        {ZMQ_RCVHWM, 16},       /* messages of a connection, of LIMIT_FRAME_BYTES each: 4 MiB */
        {ZMQ_SNDHWM, 128},
        {ZMQ_BACKLOG, 1024},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (zmq_setsockopt(socket, rows[i].option, &rows[i].value, sizeof rows[i].value) != 0) return -1;
    int64_t size_max = LIMIT_FRAME_BYTES + CURVE_BYTES;
    return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max);
}

void *front_open(void *zmq, const struct key_pair *key, struct error *err)
{
    void *socket = zmq_socket(zmq, ZMQ_ROUTER);
    if (socket != NULL && set_numbers(socket) == 0 && set_text(socket, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN) == 0 &&
        set_text(socket, ZMQ_CURVE_SECRETKEY, key->secret_key) == 0)
        return socket;
    fail(err, ERROR_IO, "socket for agents: %s", zmq_strerror(zmq_errno()));
    if (socket != NULL) zmq_close(socket);
    return NULL;
}

int front_bind(void *socket, const char *endpoint, char *resolved, size_t resolved_size, struct error *err)
{
    if (zmq_bind(socket, endpoint) != 0)
        return fail(err, ERROR_IO, "listen at %s: %s", endpoint, zmq_strerror(zmq_errno()));
    if (zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, resolved, &resolved_size) != 0)
        return fail(err, ERROR_IO, "listen at %s: %s", endpoint, zmq_strerror(zmq_errno()));
    return 0;
}

static bool receive_part(void *socket, zmq_msg_t *part)
{
    int rc;
    do rc = zmq_msg_recv(part, socket, ZMQ_DONTWAIT);
    while (rc < 0 && zmq_errno() == EINTR);
    return rc >= 0;
}

static size_t drop_rest(void *socket, bool more)
{
    zmq_msg_t part;
    zmq_msg_init(&part);
    size_t count = 0;
    for (; more && receive_part(socket, &part); count++) more = zmq_msg_more(&part);
    zmq_msg_close(&part);
    return count;
}

bool front_receive(void *socket, zmq_msg_t *frame, struct front_message *message)
{
    zmq_msg_t route;
    zmq_msg_init(&route);
    if (!receive_part(socket, &route)) {
        zmq_msg_close(&route);
        return false;
    }
    *message = (struct front_message){0};
    size_t size = zmq_msg_size(&route);
    CHECK(size <= ROUTE_BYTES_MAX); /* libzmq refuses longer ones */
    message->route.size = (uint8_t)size;
    memcpy(message->route.bytes, zmq_msg_data(&route), size);
    bool more = zmq_msg_more(&route);
    zmq_msg_close(&route);
    if (more && receive_part(socket, frame)) {
        message->frame_count = 1 + drop_rest(socket, zmq_msg_more(frame));
        message->frame = span_of(zmq_msg_data(frame), zmq_msg_size(frame));
        message->key = zmq_msg_gets(frame, "User-Id");
    }
    return true;
}

enum front_sent front_send(void *socket, const struct route *route, struct span frame)
{
    int rc;
    do rc = zmq_send(socket, route->bytes, route->size, ZMQ_DONTWAIT | ZMQ_SNDMORE);
    while (rc < 0 && zmq_errno() == EINTR);
    if (rc < 0) return zmq_errno() == EAGAIN ? FRONT_FULL : FRONT_GONE;
    do rc = zmq_send(socket, frame.data, frame.size, ZMQ_DONTWAIT);
    while (rc < 0 && zmq_errno() == EINTR);
    return rc < 0 ? FRONT_GONE : FRONT_SENT;
}

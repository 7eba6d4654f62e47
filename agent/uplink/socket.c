#include "agent/uplink/socket.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include "common/check.h"
#include "proto/limits.h"

#define CONNECT_MS   5000
#define HANDSHAKE_MS 8000
#define HEARTBEAT_MS 5000
#define SILENCE_MS   15000 /* of heartbeats: the peer or the way to it is dead */
#define QUEUE_FRAMES 512   /* twice the largest credit */

static const struct {
    int option;
    int value;
} options[] = {
    {ZMQ_LINGER, 0},
    {ZMQ_IPV6, 1},
    {ZMQ_IMMEDIATE, 1}, /* nothing is queued for a connection that does not exist */
    {ZMQ_RECONNECT_IVL, -1},
    {ZMQ_CONNECT_TIMEOUT, CONNECT_MS},
    {ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS},
    {ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS},
    {ZMQ_HEARTBEAT_TIMEOUT, SILENCE_MS},
    {ZMQ_HEARTBEAT_TTL, SILENCE_MS},
    {ZMQ_TCP_MAXRT, SILENCE_MS},
    {ZMQ_SNDHWM, QUEUE_FRAMES},
    {ZMQ_RCVHWM, QUEUE_FRAMES},
    {ZMQ_TCP_KEEPALIVE, 1},
};

static const int events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                          ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                          ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED;

static int set_options(void *dealer, const char *collector_key, const struct key_pair *own)
{
    for (size_t i = 0; i < ARRAY_COUNT(options); i++)
        if (zmq_setsockopt(dealer, options[i].option, &options[i].value, sizeof(int)) != 0) return -1;
    const int64_t size_max = LIMIT_FRAME_BYTES;
    if (zmq_setsockopt(dealer, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max) != 0) return -1;
    if (zmq_setsockopt(dealer, ZMQ_CURVE_SERVERKEY, collector_key, KEYS_TEXT_SIZE) != 0) return -1;
    if (zmq_setsockopt(dealer, ZMQ_CURVE_PUBLICKEY, own->public_key, KEYS_TEXT_SIZE) != 0) return -1;
    return zmq_setsockopt(dealer, ZMQ_CURVE_SECRETKEY, own->secret_key, KEYS_TEXT_SIZE);
}

static int open_monitor(struct wire_socket *s, void *context)
{
    static atomic_uint number;
    char name[64];
    snprintf(name, sizeof name, "inproc://uplink-monitor-%u", atomic_fetch_add(&number, 1));
    const int none = 0;
    if (zmq_socket_monitor(s->dealer, name, events) != 0) return -1;
    s->monitor = zmq_socket(context, ZMQ_PAIR);
    if (s->monitor == NULL || zmq_setsockopt(s->monitor, ZMQ_LINGER, &none, sizeof none) != 0) return -1;
    return zmq_connect(s->monitor, name);
}

int socket_open(struct wire_socket *s, void *context, const char *endpoint, const char *collector_key,
    const struct key_pair *own, struct error *err)
{
    *s = (struct wire_socket){.dealer = zmq_socket(context, ZMQ_DEALER)};
    if (s->dealer != NULL && set_options(s->dealer, collector_key, own) == 0 &&
        open_monitor(s, context) == 0 && zmq_connect(s->dealer, endpoint) == 0)
        return 0;
    fail(err, ERROR_IO, "connect to %s: %s", endpoint, zmq_strerror(zmq_errno()));
    socket_close(s);
    return -1;
}

void socket_close(struct wire_socket *s)
{
    if (s->dealer != NULL) {
        zmq_socket_monitor(s->dealer, NULL, 0);
        zmq_close(s->dealer);
    }
    if (s->monitor != NULL) zmq_close(s->monitor);
    *s = (struct wire_socket){0};
}

static int descriptor(void *socket)
{
    int fd = -1;
    size_t size = sizeof fd;
    CHECK(zmq_getsockopt(socket, ZMQ_FD, &fd, &size) == 0);
    return fd;
}

int socket_fd(const struct wire_socket *s)
{
    return descriptor(s->dealer);
}

int socket_monitor_fd(const struct wire_socket *s)
{
    return descriptor(s->monitor);
}

static enum socket_event meaning(unsigned event, char why[static 96])
{
    switch (event) {
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: return SOCKET_CONNECTED;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        snprintf(why, 96, "the collector does not know this agent's key");
        return SOCKET_REFUSED;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        snprintf(why, 96, "handshake failed: is this the collector's public key?");
        return SOCKET_REFUSED;
    default:
        snprintf(why, 96, "%s", event == ZMQ_EVENT_CLOSED ? "cannot connect" : "the connection is gone");
        return SOCKET_GONE;
    }
}

enum socket_event socket_next_event(struct wire_socket *s, char why[static 96])
{
    uint8_t head[6]; /* event as u16, value as u32 */
    if (zmq_recv(s->monitor, head, sizeof head, ZMQ_DONTWAIT) < 0) return SOCKET_NOTHING;
    char address[256];
    zmq_recv(s->monitor, address, sizeof address, ZMQ_DONTWAIT);
    uint16_t event;
    memcpy(&event, head, sizeof event);
    return meaning(event, why);
}

int socket_receive(struct wire_socket *s, struct buffer *out)
{
    for (;;) {
        zmq_msg_t message;
        zmq_msg_init(&message);
        int n = zmq_msg_recv(&message, s->dealer, ZMQ_DONTWAIT);
        bool more = n >= 0 && zmq_msg_more(&message);
        int result = n < 0 ? 0 : -1;
        if (n >= 0 && !more && buffer_append(out, span_of(zmq_msg_data(&message), (size_t)n), NULL) == 0)
            result = 1;
        zmq_msg_close(&message);
        while (more) {
            zmq_msg_init(&message);
            more = zmq_msg_recv(&message, s->dealer, ZMQ_DONTWAIT) >= 0 && zmq_msg_more(&message);
            zmq_msg_close(&message);
        }
        if (result >= 0) return result;
    }
}

int socket_send(struct wire_socket *s, struct span frame)
{
    return zmq_send(s->dealer, frame.data, frame.size, ZMQ_DONTWAIT) >= 0 ? 0 : -1;
}

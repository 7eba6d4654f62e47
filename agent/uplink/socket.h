/* A CURVE DEALER to one collector and what libzmq tells about its connection. Non-blocking; the loop's
 * thread. libzmq's own reconnecting is off: whoever owns this decides when to try again, with an address that
 * may have changed. */
#ifndef AGENT_UPLINK_SOCKET_H
#define AGENT_UPLINK_SOCKET_H

#include <stdbool.h>

#include "common/error.h"
#include "common/keys.h"
#include "common/span.h"

struct wire_socket {
    void *dealer; /* NULL: closed */
    void *monitor;
};

enum socket_event { SOCKET_NOTHING, SOCKET_CONNECTED, SOCKET_REFUSED, SOCKET_GONE };

/* endpoint: numeric. Connecting goes on in libzmq's thread. */
int socket_open(struct wire_socket *socket, void *context, const char *endpoint, const char *collector_key,
    const struct key_pair *own, struct error *err);
void socket_close(struct wire_socket *socket);

/* Descriptors to wait for (LOOP_READ), edge-triggered: call the functions below until they have nothing. */
int socket_fd(const struct wire_socket *socket);
int socket_monitor_fd(const struct wire_socket *socket);

/* SOCKET_REFUSED: the collector does not accept our key (or is another one). why gets a few words. */
enum socket_event socket_next_event(struct wire_socket *socket, char why[static 96]);

/* 1 a frame was appended to out, 0 nothing. Messages of several frames are thrown away. */
int socket_receive(struct wire_socket *socket, struct buffer *out);

/* 0 sent, -1 not now. */
int socket_send(struct wire_socket *socket, struct span frame);

#endif

/* The socket that listens to the network: a ROUTER behind CURVE, with every bound that libzmq offers. One
 * thread. */
#ifndef COLLECTOR_LINK_FRONT_H
#define COLLECTOR_LINK_FRONT_H

#include <stddef.h>

#include "collector/link/peers.h"
#include "common/error.h"
#include "common/keys.h"
#include "common/span.h"

/* NULL and err on failure. The ZAP handler is bound before. */
void *front_open(void *zmq, const struct key_pair *key, struct error *err);

/* Listens at "tcp://ADDRESS:PORT" ("*" as port: any free one); writes the address it got into resolved. */
int front_bind(void *socket, const char *endpoint, char *resolved, size_t resolved_size, struct error *err);

/* One message. The frame's bytes are valid until front_release. */
struct front_message {
    struct route route;
    const char *key; /* whose handshake it was, Z85; NULL: libzmq names nobody */
    struct span frame;
    size_t
        frame_count; /* of payload; other than 1: the message is not ours, and frame is the first of them */
};
/* Takes a message that waits; false if there is none. */
struct zmq_msg_t;
bool front_receive(void *socket, struct zmq_msg_t *storage, struct front_message *message);

enum front_sent { FRONT_SENT, FRONT_GONE, FRONT_FULL };
/* Sends without waiting; FRONT_GONE: there is no such connection any more. */
enum front_sent front_send(void *socket, const struct route *route, struct span frame);

#endif

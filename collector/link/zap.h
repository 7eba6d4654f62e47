/* The ZMTP authentication handler (RFC 27/ZAP): libzmq asks it about each CURVE handshake. Without a live
 * handler libzmq 4.3.4 lets any key in unless ZMQ_ZAP_ENFORCE_DOMAIN is set; link sets that and binds this
 * first. Runs in link's loop: while link is busy, handshakes wait. */
#ifndef COLLECTOR_LINK_ZAP_H
#define COLLECTOR_LINK_ZAP_H

#include <stdbool.h>

#include "common/error.h"

#define ZAP_DOMAIN "faultline"

/* Whether the public key (Z85) may come in; address: the peer's, for the log. */
typedef bool zap_admit(void *owner, const char *key, const char *address);

/* The handler's socket in this context; at most one. NULL on failure. */
void *zap_bind(void *zmq, struct error *err);

/* Answers one request that waits: 200 with the key as User-Id, or 400. True if there was one. Whatever is not
 * a CURVE handshake in our domain is refused without asking. */
bool zap_answer(void *socket, zap_admit *admit, void *owner);

#endif

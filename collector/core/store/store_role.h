/* The thread that owns the store: binds store.data and store.ask, acknowledges through link.out.
 *
 * It drains what waits, commits when the socket is empty, after STORE_ROLE_GROUP_MS or
 * STORE_ROLE_GROUP_BATCHES, whichever is first, and only then acknowledges; it seals in small steps in
 * between. A commit may hang with its disk for half a minute: then frames wait in the socket up to its bound,
 * are dropped beyond it, and agents send them again. Nobody else waits: the engine gets its own copy of every
 * frame from link, on its own socket.
 *
 * Questions: "heads" {"metric", "host", "labels", "from_ms", "to_ms"} -> {"heads": SIZE} and the bytes of
 * store_heads; "counts" -> store_counts and the role's own; "ready" -> {"ready": true | false, "reason"}. */
#ifndef COLLECTOR_CORE_STORE_STORE_ROLE_H
#define COLLECTOR_CORE_STORE_STORE_ROLE_H

#include "collector/config/config.h"

#define STORE_ROLE_CONTROL       "inproc://store.control" /* PAIR, bound by core_main: any message means stop */
#define STORE_ROLE_GROUP_MS      50
#define STORE_ROLE_GROUP_BATCHES 1024
#define STORE_ROLE_PAUSE_MS                                                                                  \
    20 /* after a commit: what arrives meanwhile shares the next one's wakeup and sync */

/* A store that cannot be opened (a full disk, a later version) is tried again each second, told in the log
 * and to "ready"; meanwhile nothing is acknowledged.
 *
 * Runs until told to stop or its context is shut down; then commits what it has taken and acknowledges it.
 * Returns 0, or -1 if it has no sockets (logged). */
int store_role_main(void *zmq, const struct config *config);

#endif

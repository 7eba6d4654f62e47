/* The thread that owns state.db: binds state.in; each message is a transaction, each answer follows its
 * commit. A disk that hangs holds up this thread and nobody else. */
#ifndef COLLECTOR_CORE_STATE_STATE_ROLE_H
#define COLLECTOR_CORE_STATE_STATE_ROLE_H

#include "collector/config/config.h"

#define STATE_ROLE_CONTROL "inproc://state.control" /* PAIR, bound by core_main: any message means stop */

/* Runs until told to stop, then works off what waits. Returns 0, or -1 if it could not start (logged): a
 * newer schema, no sockets. A file that cannot be opened is tried again each second; messages wait in the
 * socket meanwhile. */
int state_role_main(void *zmq, const struct config *config);

#endif

/* The process that judges and stores: threads engine, store and state, each with its own sockets, memory and
 * files. It neither listens to the network nor calls out. */
#ifndef COLLECTOR_CORE_CORE_H
#define COLLECTOR_CORE_CORE_H

#include "collector/config/config.h"
#include "common/error.h"

#define CORE_STOP_MS                                                                                         \
    2500 /* below the supervisor's patience; a role that has not ended by then (a disk that hangs) is left   \
            behind */

/* The process, until SIGTERM or SIGINT, or until its parent dies, or a role ends by itself. Returns the exit
 * status. At the end store commits first, then engine leaves its snapshot, then state records it. */
int core_main(const struct config *config);

/* ── For tests ── */

struct core;

/* Starts the roles. The config is borrowed until core_close. */
struct core *core_open(const struct config *config, struct error *err);
/* Readable when a role has ended by itself. */
int core_ended_fd(const struct core *core);
/* Ends them in order; -1 if one of them did not end in time: then its thread still runs, and the process
 * should exit. */
int core_close(struct core *core);

#endif

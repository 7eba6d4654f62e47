/* The agent as a whole: samples and probes go into batches, batches into the spool and up to the collectors.
 * One loop, one thread; absolute deadlines on the grid of the second. */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include "agent/config/config.h"
#include "common/error.h"

/* Runs until SIGTERM or SIGINT. helper_init comes first. */
int agent_run(const struct agent_config *config, struct error *err);

#endif

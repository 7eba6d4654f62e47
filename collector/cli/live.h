/* `check --live`: tries each probe of the model once, from this host, by the agent's own prober:
 * `faultline-agent try` beside this program, targets as JSON lines on its stdin, results as JSON lines on its
 * stdout. One thread; blocks until every probe ended. */
#ifndef COLLECTOR_CLI_LIVE_H
#define COLLECTOR_CLI_LIVE_H

#include <stddef.h>
#include <stdint.h>

#include "collector/core/model/model.h"
#include "common/error.h"
#include "proto/probe.h"

#define LIVE_SILENCE_MS 30000 /* without a result for so long the agent is given up */

struct live_result {
    const struct model_target *target;
    int line, column; /* in the config, 0 unknown */
    bool tried;       /* false: the agent said nothing about it */
    struct probe_result result;
    char detail[256];
};

/* "…/faultline-agent" in the directory of this program. */
int live_agent_path(char *out, size_t size, struct error *err);

/* Fills results, one per target of the model, in its order; the config tells the lines. What the agent does
 * not answer stays untried. */
int live_try(const char *agent, const struct config *config, const struct model *model,
    struct live_result *results, struct error *err);

/* What to do about it, a sentence; never NULL ("" for PROBE_ERROR_NONE). */
const char *live_remedy(enum probe_error error);

#endif

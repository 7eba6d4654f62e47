/* What one agent is asked to probe: the targets of the model it observes, as a wire plan. Pure, any thread.
 */
#ifndef COLLECTOR_CORE_MODEL_PLAN_H
#define COLLECTOR_CORE_MODEL_PLAN_H

#include <stdint.h>

#include "collector/core/model/model.h"
#include "common/error.h"
#include "common/span.h"

/* How the observers of a target share out its interval: the one at `position` begins this much after the
 * grid. All of one target are interval/observers apart; targets are shifted against each other by their keys.
 */
uint32_t plan_phase_ms(const struct model_target *target, uint32_t position);

/* Calls `part` with each encoded FromCollector frame of the host's plan, in order; at least one, even if it
 * is empty. late_after_ms: learned limits along model->targets. At most LIMIT_TARGETS_PER_AGENT targets; the
 * number left out is returned, or -1 with err. */
int plan_encode(const struct model *model, uint32_t host, uint32_t version, const uint32_t *late_after_ms,
    void (*part)(void *owner, struct span frame), void *owner, struct error *err);

/* Differs between two models whenever what is probed, by whom or how often differs (lateness aside), or the
 * hosts do. */
uint64_t plan_fingerprint(const struct model *model);

#endif

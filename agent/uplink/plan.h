/* Puts the parts of a plan together. Pure but for memory; one owner. */
#ifndef AGENT_UPLINK_PLAN_H
#define AGENT_UPLINK_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/error.h"
#include "common/span.h"
#include "proto/wire.h"

#define PLAN_PARTS_MAX 64

/* Zeroed is "no plan". */
struct plan_parts {
    uint32_t version, parts;
    uint32_t arrived;
    struct buffer frames[PLAN_PARTS_MAX];
};

void plan_fini(struct plan_parts *plan);

/* Takes one part as decoded and as it came. A part of another version starts anew. 1: that was the last one
 * missing, targets are filled (they live in the arena) and the parts forgotten; 0: more have to come; -1 err,
 * parts forgotten. */
int plan_add(struct plan_parts *plan, const struct wire_plan *part, struct span frame, struct arena *arena,
    struct wire_target **targets, size_t *target_count, struct error *err);

#endif

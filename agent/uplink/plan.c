#include "agent/uplink/plan.h"

#include <string.h>

void plan_fini(struct plan_parts *plan)
{
    for (size_t i = 0; i < PLAN_PARTS_MAX; i++) buffer_fini(&plan->frames[i]);
    *plan = (struct plan_parts){0};
}

/* Frames are decoded a second time, all into one arena: strings and headers of targets then need no copies.
 */
static int put_together(struct plan_parts *plan, struct arena *arena, struct wire_target **targets,
    size_t *target_count, struct error *err)
{
    struct wire_target *all = arena_alloc_array(arena, LIMIT_TARGETS_PER_AGENT, sizeof *all);
    if (all == NULL) return fail(err, ERROR_LIMIT, "plan needs too much memory");
    size_t count = 0;
    for (uint32_t i = 0; i < plan->parts; i++) {
        struct wire_from_collector message;
        if (wire_decode_from_collector(buffer_span(&plan->frames[i]), arena, &message, err) != 0) return -1;
        if (message.plan.target_count > LIMIT_TARGETS_PER_AGENT - count)
            return fail(err, ERROR_LIMIT, "plan of more than %d targets", LIMIT_TARGETS_PER_AGENT);
        if (message.plan.target_count > 0)
            memcpy(all + count, message.plan.targets, message.plan.target_count * sizeof *all);
        count += message.plan.target_count;
    }
    *targets = all;
    *target_count = count;
    return 1;
}

int plan_add(struct plan_parts *plan, const struct wire_plan *part, struct span frame, struct arena *arena,
    struct wire_target **targets, size_t *target_count, struct error *err)
{
    if (part->parts == 0 || part->parts > PLAN_PARTS_MAX || part->part >= part->parts)
        return fail(err, ERROR_INPUT, "part %u of %u of a plan", part->part, part->parts);
    if (plan->version != part->version || plan->parts != part->parts) {
        plan_fini(plan);
        plan->version = part->version;
        plan->parts = part->parts;
    }
    struct buffer *slot = &plan->frames[part->part];
    if (slot->size == 0) plan->arrived++;
    buffer_clear(slot);
    if (buffer_append(slot, frame, err) != 0) return -1;
    if (plan->arrived < plan->parts) return 0;
    int result = put_together(plan, arena, targets, target_count, err);
    plan_fini(plan);
    return result;
}

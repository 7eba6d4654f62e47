#include "agent/probe/lane.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/clock.h"
#include "proto/metrics.h"

static void confirm_due(void *owner, int64_t now_ns)
{
    (void)now_ns;
    lane_probe(owner, PROBE_FLAG_BURST);
}

struct lane *lane_new(
    struct lane_context *context, const struct target *target, const struct address *address, uint32_t offset)
{
    struct lane *lane = check_alloc(sizeof *lane);
    *lane = (struct lane){.context = context,
        .target = target,
        .started = offset,
        .confirm = {.call = confirm_due, .owner = lane}};
    for (size_t i = 0; i < LANE_OPEN_MAX; i++) lane->slots[i].lane = lane;
    if (address != NULL) {
        lane->address = *address;
        address_text(address, lane->address_text);
    }
    return lane;
}

void lane_free(struct lane *lane)
{
    if (lane == NULL) return;
    for (size_t i = 0; i < LANE_OPEN_MAX; i++)
        if (lane->slots[i].run != NULL) {
            run_cancel(lane->slots[i].run);
            lane->context->open--;
        }
    loop_cancel(lane->context->run.loop, &lane->confirm);
    free(lane);
}

bool lane_idle(const struct lane *lane)
{
    for (size_t i = 0; i < LANE_OPEN_MAX; i++)
        if (lane->slots[i].run != NULL) return false;
    return true;
}

/* Looks again soon after a regular probe went wrong, unless that is known already. */
static void note(struct lane *lane, const struct probe_result *result, bool first_news)
{
    bool regular = (result->flags & PROBE_FLAG_BURST) == 0;
    if (result->outcome == PROBE_OK) {
        if (regular && first_news) lane->failures = 0;
        return;
    }
    if (!regular || !first_news || ++lane->failures > LANE_CONFIRMED_MAX) return;
    if (lane->confirm.heap_index == 0)
        loop_at(
            lane->context->run.loop, &lane->confirm, clock_mono_ns() + LANE_CONFIRM_MS * INT64_C(1000000));
}

static void told(void *owner, const struct probe_result *result, const struct run_story *story)
{
    (void)story;
    struct lane_slot *slot = owner;
    struct lane *lane = slot->lane;
    bool was_late = slot->late;
    if (result->outcome == PROBE_LATE) {
        slot->late = true;
    } else {
        slot->run = NULL;
        lane->context->open--;
    }
    note(lane, result, !was_late);
    struct wire_label labels[LIMIT_LABELS];
    size_t count = target_labels(lane->target, lane->address.size > 0 ? lane->address_text : NULL, labels);
    const struct prober_sink *sink = &lane->context->sink;
    sink->outcome(sink->owner, labels, count, result, result->outcome != PROBE_OK || was_late);
}

/* The name by which the target's owner knows the balancer: its label `balancer`, else `target`. */
static const char *balancer_of(const struct target *target)
{
    static const char *const names[] = {"balancer", "target"};
    for (size_t n = 0; n < ARRAY_COUNT(names); n++)
        for (size_t i = 0; i < target->label_count; i++)
            if (strcmp(target->labels[i].name, names[n]) == 0) return target->labels[i].value;
    return "";
}

static void server_row(void *owner, const struct haproxy_row *row)
{
    struct lane_slot *slot = owner;
    const struct lane *lane = slot->lane;
    const struct prober_sink *sink = &lane->context->sink;
    struct wire_label labels[4];
    size_t count = 0;
    if (row->address[0] != '\0') labels[count++] = (struct wire_label){"address", row->address};
    labels[count++] = (struct wire_label){"balancer", balancer_of(lane->target)};
    labels[count++] = (struct wire_label){"proxy", row->proxy};
    labels[count++] = (struct wire_label){"server", row->server};
    if (sink->value == NULL) return;
    sink->value(sink->owner, metric_info(METRIC_balancer_server_state)->name, labels, count,
        lane->last_start_ms, (int64_t)row->state);
    if (row->sessions >= 0)
        sink->value(sink->owner, metric_info(METRIC_balancer_server_sessions_count)->name, labels, count,
            lane->last_start_ms, row->sessions);
}

/* Outcomes of a series are told apart by their start: no two have the same. */
static int64_t start_of(struct lane *lane)
{
    int64_t now_ms = clock_wall_ms();
    if (now_ms <= lane->last_start_ms && lane->last_start_ms - now_ms < 1000)
        now_ms = lane->last_start_ms + 1;
    lane->last_start_ms = now_ms;
    return now_ms;
}

void lane_probe(struct lane *lane, uint32_t flags)
{
    struct lane_context *context = lane->context;
    struct lane_slot *slot = NULL;
    bool patience_taken = false;
    for (size_t i = LANE_OPEN_MAX; i-- > 0;) {
        if (lane->slots[i].run == NULL)
            slot = &lane->slots[i];
        else
            patience_taken |= lane->slots[i].patient;
    }
    if (slot == NULL || context->open >= PROBER_OPEN_MAX) {
        context->skipped++;
        return;
    }
    const struct target *target = lane->target;
    bool patient = lane->started++ % LANE_LONG_EACH == 0 && target->long_timeout_ms > target->timeout_ms &&
                   !patience_taken;
    slot->late = false;
    slot->patient = patient;
    struct run_order order = {.target = target,
        .address = lane->address.size > 0 ? &lane->address : NULL,
        .start_ms = start_of(lane),
        .timeout_ms = patient ? target->long_timeout_ms : target->timeout_ms,
        .flags = flags,
        .row = server_row};
    slot->run = run_start(&context->run, &order, told, slot);
    context->open++;
}

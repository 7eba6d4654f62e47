#include "collector/core/judge/outbox.h"

#include <string.h>

static void drop(struct outbox *outbox, size_t index)
{
    json_decref(outbox->entries[index].step);
    outbox->count--;
    memmove(&outbox->entries[index], &outbox->entries[index + 1],
        (outbox->count - index) * sizeof *outbox->entries);
}

void outbox_fini(struct outbox *outbox)
{
    while (outbox->count > 0) drop(outbox, outbox->count - 1);
}

void outbox_add(struct outbox *outbox, json_t *step)
{
    if (outbox->count == OUTBOX_MAX) {
        drop(outbox, 0);
        outbox->given_up++;
    }
    outbox->entries[outbox->count++] = (struct outbox_entry){.serial = ++outbox->serial, .step = step};
}

void outbox_recorded(struct outbox *outbox, uint64_t serial, int64_t now_ms)
{
    for (size_t i = 0; i < outbox->count; i++)
        if (outbox->entries[i].serial == serial && outbox->entries[i].recorded_ms == 0)
            outbox->entries[i].recorded_ms = now_ms;
}

/* The snapshot that came with a step holds it as unrecorded, and is restored again and again until there is a
 * newer one: its deliveries may be done long since. */
static bool may_hand_over(struct outbox_entry *entry, int64_t now_ms)
{
    if (!entry->restored) return true;
    if (entry->restored_ms == 0) entry->restored_ms = now_ms;
    return entry->recorded_ms == 0 && now_ms - entry->restored_ms >= OUTBOX_RESTORED_MS;
}

static void send_one(struct outbox_entry *entry, int64_t now_ms, const struct outbox_calls *calls)
{
    bool due = entry->sent_ms == 0 || now_ms - entry->sent_ms >= OUTBOX_REPEAT_MS;
    if (entry->recorded_ms == 0 && due && calls->to_state(calls->owner, entry->serial, entry->step))
        entry->sent_ms = now_ms;
    if (!may_hand_over(entry, now_ms)) return;
    const json_t *deliveries = json_object_get(entry->step, "deliveries");
    while (entry->handed_over < json_array_size(deliveries) &&
           calls->to_delivery(calls->owner, json_array_get(deliveries, entry->handed_over)))
        entry->handed_over++;
}

static bool is_done(const struct outbox_entry *entry, int64_t now_ms)
{
    if (entry->recorded_ms == 0) return false;
    return entry->restored ||
           entry->handed_over == json_array_size(json_object_get(entry->step, "deliveries")) ||
           now_ms - entry->recorded_ms >= OUTBOX_DELIVERY_MS;
}

void outbox_send(struct outbox *outbox, int64_t now_ms, const struct outbox_calls *calls)
{
    for (size_t i = 0; i < outbox->count;) {
        send_one(&outbox->entries[i], now_ms, calls);
        if (is_done(&outbox->entries[i], now_ms))
            drop(outbox, i);
        else
            i++;
    }
}

json_t *outbox_to_json(const struct outbox *outbox)
{
    json_t *steps = json_array();
    for (size_t i = 0; i < outbox->count; i++)
        if (outbox->entries[i].recorded_ms == 0) json_array_append(steps, outbox->entries[i].step);
    return steps;
}

void outbox_from_json(struct outbox *outbox, const json_t *steps)
{
    for (size_t i = 0; i < json_array_size(steps); i++) {
        json_t *step = json_array_get(steps, i);
        if (!json_is_object(step)) continue;
        json_object_set_new(step, "restored", json_true());
        outbox_add(outbox, json_incref(step));
        outbox->entries[outbox->count - 1].restored = true;
    }
}

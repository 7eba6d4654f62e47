#include "collector/core/model/plan.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/check.h"
#include "common/cleanup.h"

uint32_t plan_phase_ms(const struct model_target *target, uint32_t position)
{
    uint32_t observers = target->observer_count > 0 ? target->observer_count : 1;
    uint32_t apart = target->wire.interval_ms / observers;
    uint32_t shift = apart > 0 ? (uint32_t)(target->key % apart) : 0;
    return shift + position * target->wire.interval_ms / observers;
}

/* MODEL_NONE if the host does not observe the target. */
static uint32_t position_of(const struct model_target *target, uint32_t host)
{
    for (uint32_t i = 0; i < target->observer_count; i++)
        if (target->observers[i] == host) return i;
    return MODEL_NONE;
}

struct plan_parts {
    struct buffer frames[LIMIT_TARGETS_PER_AGENT];
    size_t count;
};

static void parts_free(struct plan_parts *parts)
{
    for (size_t i = 0; i < parts->count; i++) buffer_fini(&parts->frames[i]);
    free(parts);
}

/* All parts of at most `most` targets each. NULL and err if one of them does not fit a frame. */
static struct plan_parts *encode_parts(
    const struct wire_target *targets, size_t count, size_t most, uint32_t version, struct error *err)
{
    struct plan_parts *parts = check_alloc(sizeof *parts);
    struct wire_from_collector message = {.kind = WIRE_PLAN,
        .plan = {.version = version, .parts = count > 0 ? (uint32_t)((count + most - 1) / most) : 1}};
    for (; message.plan.part < message.plan.parts; message.plan.part++) {
        size_t from = message.plan.part * most;
        message.plan.targets = targets + from;
        message.plan.target_count = count - from < most ? count - from : most;
        if (wire_encode_from_collector(&message, &parts->frames[parts->count++], err) == 0) continue;
        parts_free(parts);
        return NULL;
    }
    return parts;
}

int plan_encode(const struct model *model, uint32_t host, uint32_t version, const uint32_t *late_after_ms,
    void (*part)(void *owner, struct span frame), void *owner, struct error *err)
{
    AUTO_FREE struct wire_target *targets = check_alloc_array(LIMIT_TARGETS_PER_AGENT, sizeof *targets);
    size_t count = 0;
    int left_out = 0;
    for (uint32_t i = 0; i < model->target_count; i++) {
        uint32_t position = position_of(&model->targets[i], host);
        if (position == MODEL_NONE) continue;
        if (count == LIMIT_TARGETS_PER_AGENT) {
            left_out++;
            continue;
        }
        targets[count] = model->targets[i].wire;
        targets[count].phase_ms = plan_phase_ms(&model->targets[i], position);
        targets[count].late_after_ms = late_after_ms[i];
        count++;
    }
    /* Targets with long URLs or many headers fill a frame before their number does: then smaller parts. */
    struct plan_parts *parts = NULL;
    struct error why = {0};
    for (size_t most = LIMIT_TARGETS_PER_PLAN_PART; parts == NULL && most > 0; most /= 2) {
        parts = encode_parts(targets, count, most, version, &why);
        if (parts == NULL && why.kind != ERROR_LIMIT) break;
    }
    if (parts == NULL) return fail(err, why.kind, "plan: %s", why.text);
    for (size_t i = 0; i < parts->count; i++) part(owner, buffer_span(&parts->frames[i]));
    parts_free(parts);
    return left_out;
}

uint64_t plan_fingerprint(const struct model *model)
{
    XXH64_hash_t hash = 0;
    for (uint32_t i = 0; i < model->target_count; i++) {
        const struct model_target *target = &model->targets[i];
        const uint64_t parts[] = {hash, target->key, target->wire.interval_ms, target->wire.timeout_ms,
            target->wire.expect_code_min, target->wire.expect_code_max,
            (uint64_t)target->wire.insecure | (uint64_t)target->wire.follow << 1 |
                (uint64_t)target->wire.each_address << 2};
        hash = XXH3_64bits(parts, sizeof parts);
        hash = XXH3_64bits_withSeed(target->wire.expect_text, strlen(target->wire.expect_text), hash);
        hash =
            XXH3_64bits_withSeed(target->wire.credentials_file, strlen(target->wire.credentials_file), hash);
        for (uint32_t o = 0; o < target->observer_count; o++) {
            const char *name = model->hosts[target->observers[o]].name;
            hash = XXH3_64bits_withSeed(name, strlen(name), hash);
        }
    }
    for (uint32_t i = 0; i < model->host_count; i++)
        hash = XXH3_64bits_withSeed(model->hosts[i].name, strlen(model->hosts[i].name), hash);
    return hash;
}

/* Who observes now, and what they are asked to do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/judge/judge_inside.h"
#include "collector/core/model/plan.h"
#include "common/check.h"
#include "common/cleanup.h"

/* ── Presence ── */

static struct presence *find_presence(const struct judge *judge, const char *name)
{
    for (size_t i = 0; i < judge->presence_count; i++)
        if (strcmp(judge->presence[i].name, name) == 0) return &judge->presence[i];
    return NULL;
}

/* Without an engine it is too early to say. */
static bool is_unheard(const struct judge *judge, const char *name)
{
    if (judge->engine == NULL) return false;
    return engine_last_heard(judge->engine, model_host_find(judge->model, name)) == 0;
}

void judge_recall_unheard(struct judge *judge)
{
    for (size_t i = 0; i < judge->presence_count; i++)
        judge->presence[i].unheard = is_unheard(judge, judge->presence[i].name);
    judge->presence_changed = true;
    judge->rebuilt_ms = 0; /* plans have not gone out yet */
}

void judge_set_presence(struct judge *judge, const char *const *names, size_t count, int64_t now_ms)
{
    struct presence *fresh = check_alloc_array(count + 1, sizeof *fresh);
    for (size_t i = 0; i < count; i++) {
        const struct presence *old = find_presence(judge, names[i]);
        if (old != NULL)
            fresh[i] = *old;
        else
            fresh[i] = (struct presence){.known_ms = now_ms, .unheard = is_unheard(judge, names[i])};
        snprintf(fresh[i].name, sizeof fresh[i].name, "%s", names[i]);
    }
    free(judge->presence);
    judge->presence = fresh;
    judge->presence_count = count;
    judge->presence_changed = true;
}

void judge_host_heard(struct judge *judge, const char *host, int64_t now_ms)
{
    struct presence *presence = find_presence(judge, host);
    if (presence == NULL) return;
    if (presence->absent && presence->heard_ms == 0) {
        presence->absent = false; /* its first word ever: it was only slow to be installed */
        judge->presence_changed = true;
    }
    if (presence->unheard) {
        presence->unheard = false;
        judge->presence_changed = true;
    }
    if (presence->absent && (presence->back_ms == 0 || now_ms - presence->heard_ms > JUDGE_BACK_GAP_MS))
        presence->back_ms = now_ms;
    presence->heard_ms = now_ms;
}

/* Leaving and coming back both take a minute, so that a host that blinks does not move everybody's plans. */
static void judge_presence(struct judge *judge, struct presence *presence, int64_t now_ms)
{
    int64_t since_ms = presence->heard_ms > presence->known_ms ? presence->heard_ms : presence->known_ms;
    bool silent = now_ms - since_ms > JUDGE_ABSENT_MS;
    if (!presence->absent && silent) {
        presence->absent = true;
        presence->back_ms = 0;
        judge->presence_changed = true;
    } else if (presence->absent && presence->back_ms != 0) {
        if (now_ms - presence->heard_ms > JUDGE_BACK_GAP_MS)
            presence->back_ms = 0;
        else if (now_ms - presence->back_ms >= JUDGE_BACK_MS)
            presence->absent = false;
        judge->presence_changed |= !presence->absent;
    }
}

/* ── Models ── */

static struct model *build(const struct judge *judge, bool absent_too, struct error *err)
{
    AUTO_FREE const char **names = check_alloc_array(judge->presence_count + 1, sizeof *names);
    size_t count = 0;
    size_t heard = 0;
    for (int unheard = 0; unheard < 2; unheard++) {
        for (size_t i = 0; i < judge->presence_count; i++)
            if (judge->presence[i].unheard == (unheard == 1) && (absent_too || !judge->presence[i].absent))
                names[count++] = judge->presence[i].name;
        if (unheard == 0) heard = count;
    }
    return model_build_unheard(judge->config, names, count, count - heard, err);
}

static bool somewhere_fewer_observers(const struct model *some, const struct model *all)
{
    for (uint32_t i = 0; i < some->service_count; i++)
        if (some->services[i].observer_count < all->services[i].observer_count) return true;
    return false;
}

/* Without the absent ones, unless that leaves a service fewer observers: nobody is gained by dropping a view
 * that may come back, and its silence is part of the picture. */
static struct model *build_present(const struct judge *judge, struct error *err)
{
    struct model *all = build(judge, true, err);
    struct model *some = all != NULL ? build(judge, false, err) : NULL;
    if (some == NULL || somewhere_fewer_observers(some, all)) {
        model_free(some);
        return all;
    }
    model_free(all);
    return some;
}

static uint32_t next_plan_version(const struct judge *judge, int64_t now_ms)
{
    /* Grows over restarts of this program too: agents replace the plan of an older version. */
    uint32_t seconds = (uint32_t)(now_ms / 1000);
    return seconds > judge->plan_version ? seconds : judge->plan_version + 1;
}

/* Lateness that was learned moves with the key. */
static void take_model(struct judge *judge, struct model *model, int64_t now_ms)
{
    uint32_t *late_after_ms = check_alloc_array(model->target_count + 1, sizeof *late_after_ms);
    for (uint32_t i = 0; i < model->target_count; i++) {
        uint32_t old =
            judge->model != NULL ? model_target_find(judge->model, model->targets[i].key) : MODEL_NONE;
        late_after_ms[i] =
            old != MODEL_NONE ? judge->late_after_ms[old] : model->targets[i].wire.late_after_ms;
    }
    free(judge->late_after_ms);
    free(judge->late_sent_ms);
    judge->late_after_ms = late_after_ms;
    judge->late_sent_ms = check_alloc_array(model->target_count + 1, sizeof *judge->late_sent_ms);
    memcpy(judge->late_sent_ms, late_after_ms, model->target_count * sizeof *late_after_ms);
    if (judge->engine == NULL)
        judge->engine = engine_new(model, now_ms);
    else
        engine_replace_model(judge->engine, model, now_ms);
    model_free(judge->model);
    judge->model = model;
    judge->fingerprint = plan_fingerprint(model);
    judge->plan_version = next_plan_version(judge, now_ms);
    judge->rebuilt_ms = now_ms;
    judge->counts.models++;
    for (size_t i = 0; i < judge->agents.count; i++)
        agent_resolve(judge->agents.items[i], model, judge->config);
}

int judge_first_model(struct judge *judge, int64_t now_ms, struct error *err)
{
    struct model *model = build_present(judge, err);
    if (model == NULL) return -1;
    take_model(judge, model, now_ms);
    judge->presence_changed = false;
    return 0;
}

void judge_refresh_model(struct judge *judge, int64_t now_ms)
{
    if (now_ms - judge->presence_ms >= 1000) {
        judge->presence_ms = now_ms;
        for (size_t i = 0; i < judge->presence_count; i++) judge_presence(judge, &judge->presence[i], now_ms);
    }
    if (!judge->presence_changed || now_ms - judge->rebuilt_ms < JUDGE_REBUILD_MS) return;
    judge->presence_changed = false;
    struct error err;
    struct model *model = build_present(judge, &err);
    if (model == NULL) {
        judge_note(judge, now_ms, "plan_failed", "", "%s", err.text);
        return;
    }
    if (plan_fingerprint(model) == judge->fingerprint) {
        model_free(model);
        return;
    }
    take_model(judge, model, now_ms);
    judge_note(judge, now_ms, "plan", "", "plan %u: observers have changed", judge->plan_version);
}

/* ── Plans ── */

void judge_take_late_after(struct judge *judge, const struct engine_output *output)
{
    for (size_t i = 0; i < output->late_after_count; i++)
        if (output->late_after[i].target < judge->model->target_count)
            judge->late_after_ms[output->late_after[i].target] = output->late_after[i].late_after_ms;
}

static bool late_differs(const struct judge *judge, uint32_t target)
{
    double sent = judge->late_sent_ms[target], now = judge->late_after_ms[target];
    return now > sent * (1 + JUDGE_LATE_SHARE) || now < sent * (1 - JUDGE_LATE_SHARE);
}

/* A new version for those who observe something whose lateness has changed; for the others only its number.
 */
static void renew_for_lateness(struct judge *judge, int64_t now_ms)
{
    if (now_ms - judge->late_told_ms < JUDGE_LATE_MS) return;
    judge->late_told_ms = now_ms;
    AUTO_FREE bool *concerned = check_alloc_array(judge->model->host_count + 1, sizeof *concerned);
    bool any = false;
    for (uint32_t t = 0; t < judge->model->target_count; t++) {
        if (!late_differs(judge, t)) continue;
        any = true;
        const struct model_target *target = &judge->model->targets[t];
        for (uint32_t o = 0; o < target->observer_count; o++) concerned[target->observers[o]] = true;
    }
    if (!any) return;
    memcpy(
        judge->late_sent_ms, judge->late_after_ms, judge->model->target_count * sizeof *judge->late_sent_ms);
    uint32_t before = judge->plan_version;
    judge->plan_version = next_plan_version(judge, now_ms);
    for (size_t i = 0; i < judge->agents.count; i++) {
        struct agent *agent = judge->agents.items[i];
        if (agent->plan_version != before) continue;
        if (agent->model_host == MODEL_NONE || !concerned[agent->model_host])
            agent->plan_version = judge->plan_version;
    }
}

struct sending {
    struct judge *judge;
    const struct agent *agent;
    bool failed;
};

static void send_part(void *owner, struct span frame)
{
    struct sending *sending = owner;
    const struct judge_io *io = &sending->judge->io;
    if (!sending->failed && !io->to_agent(io->owner, sending->agent->key, sending->agent->host, frame))
        sending->failed = true;
}

void judge_send_plans(struct judge *judge, int64_t now_ms)
{
    renew_for_lateness(judge, now_ms);
    for (size_t i = 0; i < judge->agents.count; i++) {
        struct agent *agent = judge->agents.items[i];
        if (!agent->connected || agent->plan_version == judge->plan_version) continue;
        struct sending sending = {.judge = judge, .agent = agent};
        struct error err;
        int left_out = plan_encode(judge->model, agent->model_host, judge->plan_version, judge->late_sent_ms,
            send_part, &sending, &err);
        if (left_out > 0)
            judge_note(judge, now_ms, "plan_cut", "", "%s observes more than %d targets: %d are left out",
                agent->host, LIMIT_TARGETS_PER_AGENT, left_out);
        if (left_out < 0) judge_note(judge, now_ms, "plan_failed", "", "%s: %s", agent->host, err.text);
        if (sending.failed) {
            judge->counts.plans_failed++;
            return; /* link is full or away: the next tick goes on here */
        }
        agent->plan_version = judge->plan_version;
        judge->counts.plans++;
    }
}

/* ── Bursts ── */

static const struct agent *agent_of_host(const struct judge *judge, uint32_t host)
{
    for (size_t i = 0; i < judge->agents.count; i++)
        if (judge->agents.items[i]->connected && judge->agents.items[i]->model_host == host)
            return judge->agents.items[i];
    return NULL;
}

static bool same_burst(const struct engine_burst *a, const struct engine_burst *b)
{
    return a->host == b->host && a->duration_ms == b->duration_ms && a->interval_ms == b->interval_ms &&
           a->phase_ms == b->phase_ms;
}

#define BURST_KEYS_MAX 256

/* Those that begin at `first` and ask the same of the same host go out as one message. */
static void send_burst(struct judge *judge, const struct engine_output *output, size_t first, bool *sent)
{
    const struct engine_burst *burst = &output->bursts[first];
    uint64_t keys[BURST_KEYS_MAX];
    size_t count = 0;
    for (size_t i = first; i < output->burst_count && count < BURST_KEYS_MAX; i++) {
        if (sent[i] || !same_burst(burst, &output->bursts[i])) continue;
        sent[i] = true;
        if (output->bursts[i].target < judge->model->target_count)
            keys[count++] = judge->model->targets[output->bursts[i].target].key;
    }
    const struct agent *agent = agent_of_host(judge, burst->host);
    if (agent == NULL || count == 0) return;
    struct wire_from_collector message = {.kind = WIRE_BURST,
        .burst = {.keys = keys,
            .key_count = count,
            .duration_ms = burst->duration_ms,
            .interval_ms = burst->interval_ms,
            .phase_ms = burst->phase_ms}};
    buffer_clear(&judge->frame);
    if (wire_encode_from_collector(&message, &judge->frame, NULL) != 0) return;
    if (judge->io.to_agent(judge->io.owner, agent->key, agent->host, buffer_span(&judge->frame)))
        judge->counts.bursts++;
}

void judge_send_bursts(struct judge *judge, const struct engine_output *output)
{
    if (output->burst_count == 0) return;
    AUTO_FREE bool *sent = check_alloc_array(output->burst_count, sizeof *sent);
    for (size_t i = 0; i < output->burst_count; i++)
        if (!sent[i]) send_burst(judge, output, i, sent);
}

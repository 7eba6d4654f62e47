#include "collector/core/notify/notify.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/check.h"
#include "common/timetext.h"

static const char *const channel_words[] = {[HOOK_WEBHOOK] = "webhook", [HOOK_X] = "x"};
static_assert(ARRAY_COUNT(channel_words) == HOOK_KIND_COUNT, "a word per kind of hook");

/* The newest step of an incident, and which step each hook heard last (0 none). */
struct told {
    struct engine_step newest;
    uint32_t *heard;
};

/* When the last messages to a hook went out, as a ring. */
struct cap {
    int64_t sent_ms[NOTIFY_CAP_OPENED];
    size_t next;
};

struct notify {
    const struct config *config;
    struct told *incidents;
    size_t count;
    struct cap *caps; /* along config->hooks */
};

struct notify *notify_new(const struct config *config)
{
    struct notify *notify = check_alloc(sizeof *notify);
    notify->config = config;
    notify->incidents = check_alloc_array(NOTIFY_INCIDENTS_MAX, sizeof *notify->incidents);
    notify->caps = check_alloc_array(config->hook_count + 1, sizeof *notify->caps);
    return notify;
}

static void forget(struct notify *notify, size_t index)
{
    free(notify->incidents[index].heard);
    notify->incidents[index] = notify->incidents[--notify->count];
}

void notify_free(struct notify *notify)
{
    if (notify == NULL) return;
    while (notify->count > 0) forget(notify, notify->count - 1);
    free(notify->incidents);
    free(notify->caps);
    free(notify);
}

static struct told *remember(struct notify *notify, const struct engine_step *step)
{
    size_t oldest = 0;
    for (size_t i = 0; i < notify->count; i++) {
        struct told *told = &notify->incidents[i];
        if (strcmp(told->newest.incident.id, step->incident.id) == 0) {
            told->newest = *step;
            return told;
        }
        if (told->newest.at_ms < notify->incidents[oldest].newest.at_ms) oldest = i;
    }
    if (notify->count == NOTIFY_INCIDENTS_MAX) forget(notify, oldest);
    struct told *told = &notify->incidents[notify->count++];
    told->newest = *step;
    told->heard = check_alloc_array(notify->config->hook_count + 1, sizeof *told->heard);
    return told;
}

static bool route_leads_to(const struct config_route *route, size_t hook)
{
    for (size_t i = 0; i < route->to_count; i++)
        if (route->to[i] == hook) return true;
    return false;
}

static bool route_matches(const struct config_route *route, const struct incident *incident, int64_t now_ms)
{
    return !route->approve && incident->severity >= route->severity_min &&
           (!route->has_impact || incident->impact >= route->impact_min) &&
           now_ms - incident->detected_ms >= route->after_ms;
}

static bool wants(const struct config *config, size_t hook, const struct incident *incident, int64_t now_ms)
{
    if (config->route_count == 0) return incident->severity >= SEVERITY_TICKET;
    for (size_t i = 0; i < config->route_count; i++)
        if (route_leads_to(&config->routes[i], hook) && route_matches(&config->routes[i], incident, now_ms))
            return true;
    return false;
}

/* Takes a place under the cap if there is one. */
static bool cap_take(struct cap *cap, const struct engine_step *step, int64_t now_ms)
{
    bool page = step->step == STEP_OPENED && step->incident.severity == SEVERITY_PAGE;
    size_t used = 0;
    for (size_t i = 0; i < NOTIFY_CAP_OPENED; i++)
        used += cap->sent_ms[i] != 0 && now_ms - cap->sent_ms[i] < NOTIFY_CAP_MS;
    if (used >= (page ? NOTIFY_CAP_OPENED : NOTIFY_CAP)) return false;
    cap->sent_ms[cap->next] = now_ms;
    cap->next = (cap->next + 1) % NOTIFY_CAP_OPENED;
    return true;
}

void notify_delivery_id(
    const char *incident, uint32_t number, const char *hook, char id[static NOTIFY_ID_SIZE])
{
    char text[INCIDENT_ID_SIZE + 128];
    int size = snprintf(text, sizeof text, "%s/%u/%s", incident, number, hook);
    XXH128_hash_t hash = XXH3_128bits(text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1);
    snprintf(id, NOTIFY_ID_SIZE, "%016llx%016llx", (unsigned long long)hash.high64,
        (unsigned long long)hash.low64);
}

static json_t *time_json(int64_t ms)
{
    char text[TIMETEXT_RFC3339_SIZE];
    return json_string(timetext_rfc3339(ms, text));
}

static json_t *delivery_json(const struct config_hook *hook, const struct engine_step *step)
{
    char id[NOTIFY_ID_SIZE];
    const struct incident *incident = &step->incident;
    notify_delivery_id(incident->id, incident->steps, hook->name, id);
    const char *word = step_word(step->step);
    json_t *message = json_pack("{s:o, s:s}", "incident", incident_to_json(incident), "step", word);
    json_t *delivery = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:o}", "id", id, "hook", hook->name,
        "channel", channel_words[hook->kind], "incident", incident->id, "step", word, "number",
        (json_int_t)incident->steps, "at", time_json(step->at_ms), "message", message);
    CHECK(delivery != NULL);
    return delivery;
}

/* The deliveries of an incident's newest step that are due now. */
static json_t *deliveries_due(struct notify *notify, struct told *told, int64_t now_ms)
{
    json_t *deliveries = json_array();
    const struct engine_step *step = &told->newest;
    bool over = step->step == STEP_RESOLVED;
    for (size_t hook = 0; hook < notify->config->hook_count; hook++) {
        if (told->heard[hook] >= step->incident.steps) continue;
        bool heard = told->heard[hook] > 0;
        if (!heard && (over || !wants(notify->config, hook, &step->incident, now_ms))) continue;
        if (!cap_take(&notify->caps[hook], step, now_ms)) continue;
        told->heard[hook] = step->incident.steps;
        json_array_append_new(deliveries, delivery_json(&notify->config->hooks[hook], step));
    }
    return deliveries;
}

static json_t *step_json(const struct engine_step *step, json_t *deliveries)
{
    json_t *object = json_pack("{s:o, s:s, s:I, s:o, s:o}", "incident", incident_to_json(&step->incident),
        "step", step_word(step->step), "number", (json_int_t)step->incident.steps, "at",
        time_json(step->at_ms), "deliveries", deliveries);
    CHECK(object != NULL);
    return object;
}

/* Over, and whoever heard of it has heard that. */
static bool is_done(const struct notify *notify, const struct told *told)
{
    if (told->newest.step != STEP_RESOLVED) return false;
    for (size_t hook = 0; hook < notify->config->hook_count; hook++)
        if (told->heard[hook] > 0 && told->heard[hook] < told->newest.incident.steps) return false;
    return true;
}

json_t *notify_step(struct notify *notify, const struct engine_step *step, int64_t now_ms)
{
    struct told *told = remember(notify, step);
    json_t *object = step_json(step, deliveries_due(notify, told, now_ms));
    if (is_done(notify, told)) forget(notify, (size_t)(told - notify->incidents));
    return object;
}

json_t *notify_due(struct notify *notify, int64_t now_ms)
{
    json_t *steps = json_array();
    for (size_t i = notify->count; i-- > 0;) {
        struct told *told = &notify->incidents[i];
        json_t *deliveries = deliveries_due(notify, told, now_ms);
        if (json_array_size(deliveries) > 0)
            json_array_append_new(steps, step_json(&told->newest, deliveries));
        else
            json_decref(deliveries);
        if (is_done(notify, told)) forget(notify, i);
    }
    return steps;
}

json_t *notify_to_json(const struct notify *notify)
{
    json_t *all = json_array();
    for (size_t i = 0; i < notify->count; i++) {
        const struct told *told = &notify->incidents[i];
        json_t *heard = json_object();
        for (size_t hook = 0; hook < notify->config->hook_count; hook++)
            if (told->heard[hook] > 0)
                json_object_set_new(heard, notify->config->hooks[hook].name, json_integer(told->heard[hook]));
        json_array_append_new(all,
            json_pack("{s:o, s:s, s:I, s:o}", "incident", incident_to_json(&told->newest.incident), "step",
                step_word(told->newest.step), "at_ms", (json_int_t)told->newest.at_ms, "heard", heard));
    }
    return all;
}

static int restore_one(struct notify *notify, json_t *object, struct error *err)
{
    json_t *incident, *heard;
    const char *word;
    json_int_t at_ms;
    json_error_t why;
    if (json_unpack_ex(object, &why, 0, "{s:o, s:s, s:I, s:o}", "incident", &incident, "step", &word, "at_ms",
            &at_ms, "heard", &heard) != 0)
        return fail(err, ERROR_INPUT, "what was told: %s", why.text);
    struct engine_step step = {.at_ms = at_ms};
    if (step_parse(word, &step.step) != 0) return fail(err, ERROR_INPUT, "what was told: step %.32s", word);
    if (incident_from_json(incident, &step.incident, err) != 0) return -1;
    struct told *told = remember(notify, &step);
    for (size_t hook = 0; hook < notify->config->hook_count; hook++)
        told->heard[hook] =
            (uint32_t)json_integer_value(json_object_get(heard, notify->config->hooks[hook].name));
    return 0;
}

int notify_from_json(struct notify *notify, const json_t *object, struct error *err)
{
    while (notify->count > 0) forget(notify, notify->count - 1);
    if (!json_is_array(object)) return fail(err, ERROR_INPUT, "what was told: no array");
    for (size_t i = 0; i < json_array_size(object); i++) {
        if (restore_one(notify, json_array_get(object, i), err) == 0) continue;
        while (notify->count > 0) forget(notify, notify->count - 1);
        return -1;
    }
    return 0;
}

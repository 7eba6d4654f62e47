/* What the engine role tells web. */
#include <stdio.h>
#include <string.h>

#include "collector/core/judge/judge_inside.h"
#include "common/check.h"
#include "common/timetext.h"

#define SILENT_MS 5000

static json_t *text_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? json_string(text) : json_null();
}

static json_t *time_or_null(int64_t ms)
{
    char text[TIMETEXT_RFC3339_SIZE];
    return ms != 0 ? json_string(timetext_rfc3339(ms, text)) : json_null();
}

static const struct presence *presence_of(const struct judge *judge, const char *host)
{
    for (size_t i = 0; i < judge->presence_count; i++)
        if (strcmp(judge->presence[i].name, host) == 0) return &judge->presence[i];
    return NULL;
}

static json_t *observed_by(const struct model *model, uint32_t host)
{
    json_t *services = json_array();
    for (uint32_t s = 0; host != MODEL_NONE && s < model->service_count; s++)
        for (uint32_t i = 0; i < model->services[s].observer_count; i++)
            if (model->services[s].observers[i] == host)
                json_array_append_new(services, json_string(model->services[s].name));
    return services;
}

/* agent NULL: enrolled, never heard. */
static json_t *agent_json(
    const struct judge *judge, const char *name, const struct agent *agent, int64_t now_ms)
{
    const struct model *model = judge->model;
    uint32_t host = model_host_find(model, name);
    const struct model_host *known = host != MODEL_NONE ? &model->hosts[host] : NULL;
    CHECK(name != NULL);
    const char *site = known != NULL && known->site != MODEL_NONE ? model->sites[known->site].name : NULL;
    const char *zone = known != NULL && known->zone != MODEL_NONE ? model->zones[known->zone].name : NULL;
    int64_t heard_ms = engine_last_heard(judge->engine, host); /* also what was before a restart */
    if (agent != NULL && agent->heard_ms > heard_ms) heard_ms = agent->heard_ms;
    const char *state = heard_ms == 0                                                        ? "never"
                        : agent != NULL && agent->connected && now_ms - heard_ms < SILENT_MS ? "reporting"
                                                                                             : "silent";
    char incarnation[20] = "";
    if (agent != NULL && agent->incarnation != 0)
        snprintf(incarnation, sizeof incarnation, "%016llx", (unsigned long long)agent->incarnation);
    bool clock = agent != NULL && agent->clock.known;
    json_t *object = json_pack("{s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "host", name,
        "site", text_or_null(site), "zone", text_or_null(zone), "state", state, "last_heard",
        time_or_null(heard_ms), "version", text_or_null(agent != NULL ? agent->version : NULL), "incarnation",
        text_or_null(incarnation), "offset_ms",
        clock ? json_integer(-clock_offset_correction_ms(&agent->clock)) : json_null(), "backlog_batches",
        agent != NULL && agent->backlog_batches >= 0 ? json_integer(agent->backlog_batches) : json_null(),
        "enrolled", presence_of(judge, name) != NULL, "observes", observed_by(model, host));
    CHECK(object != NULL);
    return object;
}

static const struct agent *newest_agent(const struct judge *judge, const char *host)
{
    const struct agent *newest = NULL;
    for (size_t i = 0; i < judge->agents.count; i++) {
        const struct agent *agent = judge->agents.items[i];
        if (strcmp(agent->host, host) == 0 && (newest == NULL || agent->heard_ms > newest->heard_ms))
            newest = agent;
    }
    return newest;
}

/* The hosts of the config and of the book of keys, then who was heard and is in neither any more. */
static json_t *answer_agents(const struct judge *judge, int64_t now_ms)
{
    json_t *agents = json_array();
    const struct model *model = judge->model;
    for (uint32_t i = 0; i < model->host_count; i++) {
        const char *name = model->hosts[i].name;
        json_array_append_new(agents, agent_json(judge, name, newest_agent(judge, name), now_ms));
    }
    for (size_t i = 0; i < judge->agents.count; i++) {
        const struct agent *agent = judge->agents.items[i];
        if (model_host_find(model, agent->host) == MODEL_NONE && newest_agent(judge, agent->host) == agent)
            json_array_append_new(agents, agent_json(judge, agent->host, agent, now_ms));
    }
    return agents;
}

/* The engine's view, with each host's figures beside its state. */
static json_t *answer_status(const struct judge *judge, int64_t now_ms)
{
    json_t *status = engine_status(judge->engine, now_ms), *host;
    size_t i;
    json_array_foreach(json_object_get(status, "hosts"), i, host)
    {
        const char *name = json_string_value(json_object_get(host, "name"));
        const struct agent *agent = name != NULL ? newest_agent(judge, name) : NULL;
        if (agent == NULL) continue;
        json_t *view = hostview_json(agent->view, now_ms);
        json_object_update_missing(host, view);
        json_decref(view);
    }
    return status;
}

/* Link tells its counts each second, and only while it can listen. */
static bool link_speaks(const struct judge *judge, int64_t now_ms)
{
    return judge->link_ms != 0 && !judge_link_is_away(judge, now_ms);
}

static json_t *answer_ready(const struct judge *judge, int64_t now_ms)
{
    const char *reason = "";
    if (!judge->restored)
        reason = "state has not said what was before the start";
    else if (now_ms - judge->start_ms < JUDGE_WARM_UP_MS)
        reason = "warming up: two heartbeats have not passed";
    else if (!link_speaks(judge, now_ms))
        reason = "link is not heard: agents cannot reach this collector";
    return json_pack(
        "{s:b, s:s, s:b}", "ready", reason[0] == '\0', "reason", reason, "link", link_speaks(judge, now_ms));
}

static size_t connected_count(const struct judge *judge)
{
    size_t count = 0;
    for (size_t i = 0; i < judge->agents.count; i++) count += judge->agents.items[i]->connected;
    return count;
}

/* Names as in /metrics, link's own beside ours. */
static json_t *answer_counts(const struct judge *judge, int64_t now_ms)
{
    const struct judge_counts *counts = &judge->counts;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"engine_frames_total", counts->frames},
        {"engine_hellos_total", counts->hellos},
        {"engine_malformed_total", counts->malformed},
        {"engine_repeated_total", counts->repeated},
        {"engine_probes_total", counts->probes},
        {"engine_probes_unknown_total", counts->probes_unknown},
        {"engine_observations_total", counts->observations},
        {"engine_dictionary_asked_total", counts->dictionary_asked},
        {"engine_dictionary_refused_total", counts->dictionary_refused},
        {"engine_agents_refused_total", counts->agents_refused},
        {"engine_bursts_total", counts->bursts},
        {"engine_plans_total", counts->plans},
        {"engine_plans_failed_total", counts->plans_failed},
        {"engine_steps_total", counts->steps},
        {"engine_deliveries_total", counts->deliveries},
        {"engine_models_total", counts->models},
        {"engine_steps_given_up_total", judge->outbox.given_up},
        {"engine_outbox_count", judge->outbox.count},
        {"engine_agents_count", judge->agents.count},
        {"engine_agents_connected_count", connected_count(judge)},
        {"engine_targets_count", judge->model->target_count},
    };
    json_t *object = json_object();
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        json_object_set_new(object, rows[i].name, json_integer((json_int_t)rows[i].value));
    if (judge->link_counts != NULL && link_speaks(judge, now_ms))
        json_object_update(object, judge->link_counts);
    return object;
}

static const struct {
    const char *ask;
    json_t *(*answer)(const struct judge *judge, int64_t now_ms);
} answers[] = {
    {"status", answer_status},
    {"map", answer_status}, /* the states; the graph itself is the config's, and web knows that */
    {"agents", answer_agents},
    {"ready", answer_ready},
    {"counts", answer_counts},
};

json_t *judge_answer(const struct judge *judge, const json_t *question, int64_t now_ms)
{
    const char *ask = json_string_value(json_object_get(question, "ask"));
    for (size_t i = 0; ask != NULL && i < ARRAY_COUNT(answers); i++)
        if (strcmp(ask, answers[i].ask) == 0) return answers[i].answer(judge, now_ms);
    return json_pack("{s:s}", "error", "unknown question");
}

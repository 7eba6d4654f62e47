/* What the engine thinks now: /status, /agents, /map. */
#include <stdio.h>
#include <string.h>

#include "collector/web/map.h"
#include "collector/web/resource.h"
#include "common/file.h"
#include "common/timetext.h"

#define PROCESSES_BYTES_MAX 65536

json_t *web_processes(const struct web *web)
{
    char path[256];
    snprintf(path, sizeof path, "%s/processes.json", web->config->collector.run);
    struct buffer text = {0};
    json_t *processes = NULL;
    if (file_read(path, PROCESSES_BYTES_MAX, &text, NULL) == 0)
        processes = json_loadb((const char *)text.data, text.size, 0, NULL);
    buffer_fini(&text);
    if (json_is_array(processes)) return processes;
    json_decref(processes);
    return json_array();
}

/* The collector has been up since its first process started. RFC 3339 texts of one zone compare as times. */
static const char *started_at(const json_t *processes, const char *otherwise)
{
    const char *first = NULL;
    size_t i;
    json_t *process;
    json_array_foreach(processes, i, process)
    {
        const char *at = json_string_value(json_object_get(process, "started_at"));
        if (at != NULL && (first == NULL || strcmp(at, first) < 0)) first = at;
    }
    return first != NULL ? first : otherwise;
}

void resource_status(const struct request *request, struct reply *reply)
{
    struct error err;
    json_t *status;
    if (web_ask_word(request->web, ROLE_ENGINE_ASK, "status", &status, &err) < 0) {
        reply_failure(reply, &err);
        return;
    }
    char own[TIMETEXT_RFC3339_SIZE];
    json_t *processes = web_processes(request->web);
    json_t *collector = json_pack("{s:s, s:s, s:s, s:o}", "letter", request->web->config->collector.letter,
        "version", FAULTLINE_VERSION, "started_at",
        started_at(processes, timetext_rfc3339(request->web->started_ms, own)), "processes", processes);
    json_object_set_new(status, "collector", collector);
    reply_json(reply, 200, status);
}

static const struct config_host *host_find(const struct config *config, const char *name)
{
    for (size_t i = 0; name != NULL && i < config->host_count; i++)
        if (strcmp(config->hosts[i].name, name) == 0) return &config->hosts[i];
    return NULL;
}

/* Every key of the contract is there; site and zone come from the config where the engine left them out. */
static void complete_agent(const struct config *config, json_t *agent)
{
    static const char *const keys[] = {"state", "last_heard", "version", "incarnation", "offset_ms",
        "backlog_batches", "enrolled", "observes"};
    const struct config_host *host = host_find(config, json_string_value(json_object_get(agent, "host")));
    if (json_object_get(agent, "site") == NULL)
        json_object_set_new(agent, "site",
            host != NULL && host->site != CONFIG_NONE ? json_string(config->sites[host->site].name)
                                                      : json_null());
    if (json_object_get(agent, "zone") == NULL)
        json_object_set_new(
            agent, "zone", host != NULL && host->zone[0] != '\0' ? json_string(host->zone) : json_null());
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (json_object_get(agent, keys[i]) == NULL) json_object_set_new(agent, keys[i], json_null());
}

void resource_agents(const struct request *request, struct reply *reply)
{
    struct error err;
    json_t *answer;
    if (web_ask_word(request->web, ROLE_ENGINE_ASK, "agents", &answer, &err) < 0) {
        reply_failure(reply, &err);
        return;
    }
    json_t *agents =
        json_is_object(answer) ? json_incref(json_object_get(answer, "agents")) : json_incref(answer);
    json_decref(answer);
    size_t i;
    json_t *agent;
    json_array_foreach(agents, i, agent) complete_agent(request->web->config, agent);
    reply_json(reply, 200, agents != NULL ? agents : json_array());
}

void resource_map(const struct request *request, struct reply *reply)
{
    /* The graph comes from the config; without the engine its states are unknown, the graph is not. */
    json_t *status = NULL;
    web_ask_word(request->web, ROLE_ENGINE_ASK, "status", &status, NULL);
    reply_json(reply, 200, map_build(request->web->config, status));
    json_decref(status);
}

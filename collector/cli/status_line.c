#include "collector/cli/status_line.h"

#include <stdio.h>
#include <string.h>

#include "collector/contract/words.h"
#include "common/check.h"

#define ANSWERED_WITHIN_MS 5000

static int rank(const json_t *incident)
{
    enum impact impact = IMPACT_NONE;
    enum severity severity = SEVERITY_INFO;
    impact_parse(text_of(incident, "impact"), &impact);
    severity_parse(text_of(incident, "severity"), &severity);
    bool open = strcmp(text_of(incident, "state"), "open") == 0;
    return ((int)severity * IMPACT_COUNT + (int)impact) * 2 + open;
}

const json_t *status_worst_incident(const json_t *incidents, size_t *others)
{
    const json_t *worst = NULL;
    size_t i, count = 0;
    json_t *incident;
    json_array_foreach(incidents, i, incident)
    {
        if (strcmp(text_of(incident, "state"), "resolved") == 0) continue;
        count++;
        if (worst == NULL || rank(incident) > rank(worst)) worst = incident;
    }
    *others = count > 0 ? count - 1 : 0;
    return worst;
}

bool status_path_is_good(const json_t *path)
{
    return strcmp(text_of(json_object_get(path, "last"), "outcome"), "ok") == 0;
}

static bool is_connect(const json_t *path)
{
    return strcmp(text_of(path, "probe"), "tcp") == 0;
}

/* How many backends answer when asked directly, by the engine's word or by the paths to them. */
static void count_backends(const json_t *service, size_t *up, size_t *all)
{
    size_t i, k;
    json_t *backend, *path;
    json_array_foreach(json_object_get(service, "backends"), i, backend)
    {
        const char *name = json_is_string(backend) ? json_string_value(backend) : text_of(backend, "name");
        bool good = false, seen = false;
        json_array_foreach(json_object_get(service, "paths"), k, path)
        {
            if (strcmp(text_of(path, "entrance"), "backend") != 0 ||
                strcmp(text_of(path, "target"), name) != 0 || is_connect(path))
                continue;
            seen = true;
            good |= status_path_is_good(path) && strcmp(text_of(path, "state"), "silent") != 0;
        }
        const char *word =
            text_of(backend, "verdict")[0] != '\0' ? text_of(backend, "verdict") : text_of(backend, "state");
        if (!seen) good = strcmp(word, "healthy") == 0 || strcmp(word, "up") == 0;
        *up += good;
        *all += 1;
    }
}

/* Whether any observer got an answer the way users come, within the last seconds. A connect is an answer only
 * where no page is asked for. */
static bool users_are_answered(const json_t *service, int64_t now_ms)
{
    size_t i;
    json_t *path;
    bool pages = false, page = false, connect = false;
    json_array_foreach(json_object_get(service, "paths"), i, path)
    {
        if (strcmp(text_of(path, "entrance"), "users") != 0) continue;
        if (!is_connect(path)) pages = true;
        if (!status_path_is_good(path) ||
            now_ms - text_time(json_object_get(path, "last"), "at") > ANSWERED_WITHIN_MS)
            continue;
        *(is_connect(path) ? &connect : &page) = true;
    }
    return pages ? page : connect;
}

/* What may be said about the users of these services: never better than what was seen. */
static void served(const json_t *services, const char *verdict, int64_t now_ms, char *out, size_t size)
{
    size_t i, answered = 0, count = json_array_size(services);
    json_t *service;
    json_array_foreach(services, i, service) answered += users_are_answered(service, now_ms);
    bool healthy = strcmp(verdict, "healthy") == 0;
    if (answered == count && healthy)
        snprintf(out, size, "users served");
    else if (answered == count && strcmp(verdict, "unproven") == 0)
        snprintf(out, size, "users served, not everything proven yet");
    else if (answered == count)
        snprintf(out, size, "users served, but %s", verdict[0] != '\0' ? verdict : "no verdict");
    else if (answered > 0)
        snprintf(out, size, "users of %zu served in the last %d s", answered, ANSWERED_WITHIN_MS / 1000);
    else if (strcmp(verdict, "unproven") == 0)
        snprintf(out, size, "not proven yet");
    else if (healthy || verdict[0] == '\0')
        snprintf(out, size, "unknown, no answer seen in the last %d s", ANSWERED_WITHIN_MS / 1000);
    else
        snprintf(out, size, "%s", verdict);
}

static const char *common_verdict(const json_t *services)
{
    static const char *const by_badness[] = {"healthy", "unproven"};
    const char *worst = "";
    size_t i;
    json_t *service;
    json_array_foreach(services, i, service)
    {
        const char *verdict = text_of(service, "verdict");
        bool known = strcmp(verdict, by_badness[0]) == 0 || strcmp(verdict, by_badness[1]) == 0;
        if (!known || worst[0] == '\0' || (strcmp(worst, by_badness[0]) == 0)) worst = verdict;
        if (!known) break;
    }
    return worst;
}

void status_line(const json_t *status, char *out, size_t size, enum text_colour *colour)
{
    size_t others, up = 0, all = 0, i;
    const json_t *worst = status_worst_incident(json_object_get(status, "incidents"), &others);
    if (worst != NULL) {
        *colour = text_severity_colour(text_of(worst, "severity"));
        int n = snprintf(out, size, "%s  %s%s", text_of(worst, "id"), text_of(worst, "headline"),
            strcmp(text_of(worst, "state"), "mitigated") == 0 ? " (mitigated: users are served)" : "");
        if (others > 0 && n > 0 && (size_t)n < size)
            snprintf(out + n, size - (size_t)n, "  (+%zu more)", others);
        return;
    }
    const json_t *services = json_object_get(status, "services");
    json_t *service;
    json_array_foreach(services, i, service) count_backends(service, &up, &all);
    const char *verdict = common_verdict(services);
    size_t count = json_array_size(services);
    char name[128], backends[64] = "", words[128];
    snprintf(name, sizeof name, "%zu services", count);
    if (count == 1) snprintf(name, sizeof name, "%s", text_of(json_array_get(services, 0), "name"));
    served(services, verdict, text_time(status, "at"), words, sizeof words);
    if (all > 0 && up == 0 && strncmp(words, "users served", 12) == 0)
        snprintf(backends, sizeof backends, ", none of %zu backends seen directly", all);
    else if (all > 0)
        snprintf(backends, sizeof backends, ", %zu of %zu backends", up, all);
    *colour = text_state_colour(strncmp(words, "unknown", 7) == 0 ? "unknown" : verdict);
    if (count == 0)
        snprintf(out, size, "no services configured, no open incident");
    else
        snprintf(out, size, "%s: %s%s, no open incident", name, words, backends);
}

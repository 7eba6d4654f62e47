#include "collector/cli/status_line.h"

#include <stdio.h>
#include <string.h>

#include "collector/contract/words.h"
#include "common/check.h"
#include "common/timetext.h"

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

bool status_path_is_silent(const json_t *path)
{
    return strcmp(text_of(path, "state"), "silent") == 0;
}

bool status_path_is_good(const json_t *path)
{
    return !status_path_is_silent(path) &&
           strcmp(text_of(json_object_get(path, "last"), "outcome"), "ok") == 0;
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
            good |= status_path_is_good(path);
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

/* What is still heard of these services. *newest_ms: the newest probe of all, 0: none ever. */
struct heard {
    size_t paths, silent, users, users_silent;
    int64_t newest_ms;
};

static struct heard hear(const json_t *services)
{
    struct heard heard = {0};
    size_t i, k;
    json_t *service, *path;
    json_array_foreach(services, i, service) json_array_foreach(json_object_get(service, "paths"), k, path)
    {
        bool silent = status_path_is_silent(path), users = strcmp(text_of(path, "entrance"), "users") == 0;
        int64_t at_ms = text_time(json_object_get(path, "last"), "at");
        heard.paths++;
        heard.silent += silent;
        heard.users += users;
        heard.users_silent += users && silent;
        if (at_ms > heard.newest_ms) heard.newest_ms = at_ms;
    }
    return heard;
}

/* The worst that open incidents do to users. */
static enum impact worst_impact(const json_t *incidents)
{
    enum impact worst = IMPACT_NONE, impact;
    size_t i;
    json_t *incident;
    json_array_foreach(incidents, i, incident)
    {
        bool open = strcmp(text_of(incident, "state"), "open") == 0;
        if (open && impact_parse(text_of(incident, "impact"), &impact) == 0 && impact > worst) worst = impact;
    }
    return worst;
}

/* Where nothing is heard; false: something is. */
static bool nothing_known(const json_t *services, int64_t now_ms, char *out, size_t size)
{
    struct heard heard = hear(services);
    bool all = heard.paths > 0 && heard.silent == heard.paths;
    bool users = heard.users > 0 && heard.users_silent == heard.users;
    if (!all && !users) return false;
    const char *what = all ? "nothing is known" : "users unknown";
    char about[32];
    int64_t ago_ms = now_ms > heard.newest_ms ? now_ms - heard.newest_ms : 0;
    if (heard.newest_ms == 0)
        snprintf(out, size, "%s (no data yet)", what);
    else if (all)
        snprintf(out, size, "%s (no data for %s)", what, timetext_about(ago_ms, about));
    else
        snprintf(out, size, "%s (nobody who comes as they do is heard)", what);
    return true;
}

/* What may be said about the users of these services: never better than what was seen. */
static void served(
    const json_t *services, const char *verdict, enum impact impact, int64_t now_ms, char *out, size_t size)
{
    size_t i, answered = 0, count = json_array_size(services);
    json_t *service;
    json_array_foreach(services, i, service) answered += users_are_answered(service, now_ms);
    bool healthy = strcmp(verdict, "healthy") == 0, unproven = strcmp(verdict, "unproven") == 0;
    bool known_bad = impact == IMPACT_USERS_HURT || impact == IMPACT_USERS_DOWN;
    if (known_bad)
        snprintf(out, size, "users %s", answered > 0 ? "served in part" : "not served");
    else if (answered == count && unproven)
        snprintf(out, size, "users served, not everything proven yet");
    else if (answered == count && impact == IMPACT_NONE && !healthy)
        snprintf(out, size, "users served, but %s", verdict[0] != '\0' ? verdict : "no verdict");
    else if (answered == count)
        snprintf(out, size, "users served");
    else if (answered > 0)
        snprintf(out, size, "users of %zu served in the last %d s", answered, ANSWERED_WITHIN_MS / 1000);
    else if (unproven)
        snprintf(out, size, "not proven yet");
    else if (healthy || verdict[0] == '\0' || impact == IMPACT_UNKNOWN)
        snprintf(out, size, "users unknown, no answer seen in the last %d s", ANSWERED_WITHIN_MS / 1000);
    else
        snprintf(out, size, "users %s", verdict);
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

/* What stands behind "no open incident". */
static void say_backends(const json_t *services, bool users_served, char *out, size_t size)
{
    size_t up = 0, all = 0, i;
    json_t *service;
    json_array_foreach(services, i, service) count_backends(service, &up, &all);
    out[0] = '\0';
    if (all > 0 && up == 0 && users_served)
        snprintf(out, size, ", none of %zu backends seen directly", all);
    else if (all > 0)
        snprintf(out, size, ", %zu of %zu backends", up, all);
}

/* "www: users served"; *colour as if there were no incident, *known: whether anything is heard. */
static void say_users(
    const json_t *status, char *out, size_t size, enum text_colour *colour, bool *known, bool *are_served)
{
    const json_t *services = json_object_get(status, "services");
    const char *verdict = common_verdict(services);
    size_t count = json_array_size(services);
    char name[128], words[160];
    *colour = TEXT_PLAIN;
    *known = *are_served = false;
    if (count == 0) {
        snprintf(out, size, "no services configured");
        return;
    }
    snprintf(name, sizeof name, "%zu services", count);
    if (count == 1) snprintf(name, sizeof name, "%s", text_of(json_array_get(services, 0), "name"));
    int64_t now_ms = text_time(status, "at");
    *known = !nothing_known(services, now_ms, words, sizeof words);
    if (*known)
        served(services, verdict, worst_impact(json_object_get(status, "incidents")), now_ms, words,
            sizeof words);
    *are_served = strncmp(words, "users served", 12) == 0;
    *colour = text_state_colour(!*known || strncmp(words, "users unknown", 13) == 0 ? "unknown" : verdict);
    snprintf(out, size, "%s: %s", name, words);
}

void status_line(const json_t *status, char *out, size_t size, enum text_colour *colour)
{
    size_t others;
    bool known, are_served;
    char users[320], backends[64] = "", more[32] = "";
    const json_t *worst = status_worst_incident(json_object_get(status, "incidents"), &others);
    say_users(status, users, sizeof users, colour, &known, &are_served);
    if (worst == NULL) {
        if (known) say_backends(json_object_get(status, "services"), are_served, backends, sizeof backends);
        snprintf(out, size, "%s%s, no open incident", users, backends);
        return;
    }
    *colour = text_severity_colour(text_of(worst, "severity"));
    if (others > 0) snprintf(more, sizeof more, "  (+%zu more)", others);
    snprintf(out, size, "%s; %s %s%s%s", users, text_of(worst, "id"), text_of(worst, "headline"),
        strcmp(text_of(worst, "state"), "mitigated") == 0 ? " (mitigated)" : "", more);
}

/* The collector about itself: /metrics, /-/healthy, /-/ready. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/core/state/state.h"
#include "collector/web/metrics_text.h"
#include "collector/web/resource.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/timetext.h"

static const struct role {
    const char *name;
    enum role_endpoint endpoint;
} roles[] = {{"engine", ROLE_ENGINE_ASK}, {"store", ROLE_STORE_ASK}, {"delivery", ROLE_DELIVERY_ASK}};

void resource_healthy(const struct request *request, struct reply *reply)
{
    (void)request;
    reply_text(reply, 200, "ok");
}

/* Why the role is not ready; false: it is. */
static bool role_not_ready(const struct web *web, const struct role *role, char *reason, size_t size)
{
    struct error err;
    json_t *answer;
    if (web_ask_word(web, role->endpoint, "ready", &answer, &err) < 0) {
        snprintf(reason, size, "%s", err.text);
        return true;
    }
    bool ready = json_is_true(json_object_get(answer, "ready"));
    const char *why = json_string_value(json_object_get(answer, "reason"));
    if (!ready) snprintf(reason, size, "%s: %s", role->name, why != NULL ? why : "not ready");
    json_decref(answer);
    return !ready;
}

void resource_ready(const struct request *request, struct reply *reply)
{
    char reason[600];
    for (size_t i = 0; i < 2; i++) /* delivery may be away: judging and storing go on */
        if (role_not_ready(request->web, &roles[i], reason, sizeof reason)) {
            reply_text(reply, 503, reason);
            return;
        }
    struct error err;
    struct state *state = state_open_reader(request->web->config->collector.data, &err);
    reply_text(reply, state != NULL ? 200 : 503, state != NULL ? "ready" : err.text);
    state_close(state);
}

/* ── /metrics ── */

/* Link answers nobody; the engine hears it each second. */
static bool link_is_up(const struct web *web)
{
    json_t *answer;
    if (web_ask_word(web, ROLE_ENGINE_ASK, "ready", &answer, NULL) < 0) return false;
    bool up = json_is_true(json_object_get(answer, "link"));
    json_decref(answer);
    return up;
}

static void write_roles(const struct web *web, struct buffer *out)
{
    struct buffer counts = {0};
    metrics_family(out, "faultline_role_up", "gauge",
        "Whether the role answers within two seconds; link: whether the engine hears it.");
    for (size_t i = 0; i < ARRAY_COUNT(roles); i++) {
        json_t *answer = NULL;
        bool up = web_ask_word(web, roles[i].endpoint, "counts", &answer, NULL) == 0;
        metrics_sample(out, "faultline_role_up", "role", roles[i].name, up);
        if (up) metrics_counts(&counts, roles[i].name, answer);
        json_decref(answer);
    }
    metrics_sample(out, "faultline_role_up", "role", "link", link_is_up(web));
    buffer_append(out, buffer_span(&counts), NULL);
    buffer_fini(&counts);
}

static void write_by_word(struct buffer *out, const char *name, const char *label, const char *help,
    const json_t *rows, const char *const *words, size_t count)
{
    metrics_family(out, name, "gauge", help);
    for (size_t k = 0; k < count; k++) {
        size_t i, matching = 0;
        json_t *row;
        json_array_foreach(rows, i, row)
        {
            const char *word = json_string_value(json_object_get(row, label));
            matching += word != NULL && strcmp(word, words[k]) == 0;
        }
        metrics_sample(out, name, label, words[k], (double)matching);
    }
}

static void write_incidents(const struct web *web, struct buffer *out)
{
    struct state *state = state_open_reader(web->config->collector.data, NULL);
    json_t *incidents = state != NULL ? state_incidents(state, NULL, WEB_INCIDENTS_MAX, NULL) : NULL;
    state_close(state);
    if (incidents == NULL) return;
    const char *words[INCIDENT_STATE_COUNT];
    for (int i = 0; i < INCIDENT_STATE_COUNT; i++) words[i] = incident_state_word((enum incident_state)i);
    write_by_word(out, "faultline_incidents", "state", "Incidents by state, of the newest 1000.", incidents,
        words, INCIDENT_STATE_COUNT);
    json_decref(incidents);
}

static void write_agents(const struct web *web, struct buffer *out)
{
    static const char *const states[] = {"reporting", "silent", "never"};
    json_t *answer;
    if (web_ask_word(web, ROLE_ENGINE_ASK, "agents", &answer, NULL) < 0) return;
    const json_t *agents = json_is_object(answer) ? json_object_get(answer, "agents") : answer;
    write_by_word(out, "faultline_agents", "state", "Agents by state.", agents, states, ARRAY_COUNT(states));
    json_decref(answer);
}

/* utime + stime in seconds and resident bytes of a process of ours (proc(5), /proc/PID/stat). */
static bool read_process(json_int_t pid, double *cpu_s, double *resident_bytes)
{
    char path[64];
    struct buffer text = {0};
    snprintf(path, sizeof path, "/proc/%" JSON_INTEGER_FORMAT "/stat", pid);
    unsigned long user = 0, system = 0;
    long resident = 0;
    bool read = false;
    if (file_read(path, 4096, &text, NULL) == 0) {
        const char *rest = strrchr(buffer_text(&text), ')'); /* the name may hold anything but ends here */
        /* Not of the world: the kernel's numbers fit. */
        read = rest != NULL && // NOLINTNEXTLINE(cert-err34-c)
               sscanf(rest + 1,
                   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %*u "
                   "%*u %ld",
                   &user, &system, &resident) == 3;
    }
    buffer_fini(&text);
    *cpu_s = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
    *resident_bytes = (double)resident * (double)sysconf(_SC_PAGESIZE);
    return read;
}

enum process_field { PROCESS_RESTARTS, PROCESS_CPU, PROCESS_RESIDENT, PROCESS_FIELD_COUNT };

static void write_processes(const struct web *web, struct buffer *out)
{
    static const struct {
        const char *name, *type, *help;
    } families[PROCESS_FIELD_COUNT] = {
        [PROCESS_RESTARTS] = {"faultline_process_restarts_total", "counter",
            "Restarts of a process by its supervisor."},
        [PROCESS_CPU] = {"faultline_process_cpu_seconds_total", "counter", "Processor time of a process."},
        [PROCESS_RESIDENT] = {"faultline_process_resident_memory_bytes", "gauge",
            "Resident memory of a process."},
    };
    json_t *processes = web_processes(web);
    for (int field = 0; field < PROCESS_FIELD_COUNT && json_array_size(processes) > 0; field++) {
        metrics_family(out, families[field].name, families[field].type, families[field].help);
        size_t i;
        json_t *process;
        json_array_foreach(processes, i, process)
        {
            const char *name = json_string_value(json_object_get(process, "name"));
            double values[PROCESS_FIELD_COUNT] = {
                [PROCESS_RESTARTS] = (double)json_integer_value(json_object_get(process, "restarts"))};
            bool alive = read_process(json_integer_value(json_object_get(process, "pid")),
                &values[PROCESS_CPU], &values[PROCESS_RESIDENT]);
            if (name != NULL && (alive || field == PROCESS_RESTARTS))
                metrics_sample(out, families[field].name, "process", name, values[field]);
        }
    }
    json_decref(processes);
}

static void write_web(struct web *web, struct buffer *out)
{
    metrics_family(out, "faultline_build_info", "gauge", "1, with the version as a label.");
    metrics_sample(out, "faultline_build_info", "version", FAULTLINE_VERSION, 1);
    metrics_family(out, "faultline_web_requests_total", "counter", "Requests answered, by class of status.");
    metrics_sample(
        out, "faultline_web_requests_total", "status", "2xx", (double)atomic_load(&web->requests_ok));
    metrics_sample(
        out, "faultline_web_requests_total", "status", "4xx", (double)atomic_load(&web->requests_refused));
    metrics_sample(
        out, "faultline_web_requests_total", "status", "5xx", (double)atomic_load(&web->requests_failed));
}

void resource_metrics(const struct request *request, struct reply *reply)
{
    struct buffer *out = &reply->body;
    write_web(request->web, out);
    write_roles(request->web, out);
    write_agents(request->web, out);
    write_incidents(request->web, out);
    write_processes(request->web, out);
    reply->status = 200;
    reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
}

#include "collector/web/resource.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

static const struct resource resources[] = {
    {"/api/v1/status", resource_status, ""},
    {"/api/v1/incidents", resource_incidents, "state limit"},
    {"/api/v1/incidents/*", resource_incident, ""},
    {"/api/v1/agents", resource_agents, ""},
    {"/api/v1/query", resource_query, "metric host label.* from to step agg"},
    {"/api/v1/series", resource_series, "metric host"},
    {"/api/v1/map", resource_map, ""},
    {"/metrics", resource_metrics, ""},
    {"/-/healthy", resource_healthy, ""},
    {"/-/ready", resource_ready, ""},
};

const struct resource *resource_find(struct request *request)
{
    request->rest = "";
    for (size_t i = 0; i < ARRAY_COUNT(resources); i++) {
        const char *pattern = resources[i].pattern;
        size_t length = strlen(pattern);
        if (pattern[length - 1] != '*') {
            if (strcmp(request->path, pattern) == 0) return &resources[i];
            continue;
        }
        if (strncmp(request->path, pattern, length - 1) != 0) continue;
        const char *rest = request->path + length - 1;
        if (rest[0] == '\0' || strchr(rest, '/') != NULL) continue;
        request->rest = rest;
        return &resources[i];
    }
    return NULL;
}

/* Whether `names` has this one. */
static bool is_taken(const char *names, const char *name)
{
    while (*names != '\0') {
        size_t length = strcspn(names, " ");
        if (names[length - 1] == '*' ? strncmp(names, name, length - 1) == 0
                                     : strlen(name) == length && strncmp(names, name, length) == 0)
            return true;
        names += length + strspn(names + length, " ");
    }
    return false;
}

bool resource_takes(const struct resource *resource, const struct request *request, struct reply *reply)
{
    for (size_t i = 0; i < request->parameter_count; i++) {
        if (is_taken(resource->parameters, request->parameters[i].name)) continue;
        char remedy[128] = "no parameter is taken here";
        if (resource->parameters[0] != '\0')
            snprintf(remedy, sizeof remedy, "known here: %s", resource->parameters);
        reply_error(reply, 400, remedy, "unknown parameter '%.60s'", request->parameters[i].name);
        return false;
    }
    return true;
}

const char *request_parameter(const struct request *request, const char *name)
{
    for (size_t i = 0; i < request->parameter_count; i++)
        if (strcmp(request->parameters[i].name, name) == 0)
            return request->parameters[i].value[0] != '\0' ? request->parameters[i].value : NULL;
    return NULL;
}

void reply_json(struct reply *reply, int status, json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(object);
    CHECK(text != NULL);
    reply->status = status;
    reply->content_type = "application/json";
    buffer_clear(&reply->body);
    if (buffer_append(&reply->body, span_text(text), NULL) < 0) reply->status = 500;
    free(text);
}

void reply_error(struct reply *reply, int status, const char *remedy, const char *format, ...)
{
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    /* Parameters are quoted in errors, and a peer may send anything: what is not UTF-8 is not repeated. */
    json_t *error = json_string(text);
    if (error == NULL) error = json_string("a parameter is not UTF-8");
    reply_json(reply, status, json_pack("{s:o, s:s?}", "error", error, "remedy", remedy));
}

void reply_failure(struct reply *reply, const struct error *err)
{
    int status = err->kind == ERROR_INPUT                               ? 400
                 : err->kind == ERROR_AGAIN || err->kind == ERROR_LIMIT ? 503
                                                                        : 500;
    reply_error(reply, status, NULL, "%s", err->text);
}

void reply_text(struct reply *reply, int status, const char *text)
{
    reply->status = status;
    reply->content_type = "text/plain; charset=utf-8";
    buffer_clear(&reply->body);
    buffer_format(&reply->body, NULL, "%s\n", text);
}

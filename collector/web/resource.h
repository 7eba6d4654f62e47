/* A resource: a path of the API and the function that answers it. Handlers run on the thread of their
 * connection and share nothing but the configuration and the ZeroMQ context; each opens what it reads and
 * closes it again.
 *
 * To add one: a function in a file resource_GROUP.c, a row in resource.c, a line in
 * collector/contract/README.md. */
#ifndef COLLECTOR_WEB_RESOURCE_H
#define COLLECTOR_WEB_RESOURCE_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/config/config.h"
#include "collector/contract/roles.h"
#include "common/error.h"
#include "common/span.h"

#define WEB_ASK_MS         2000 /* a role that takes longer is 503 */
#define WEB_QUERY_MS       5000
#define WEB_POINTS_MAX     200000
#define WEB_INCIDENTS_MAX  1000
#define WEB_PARAMETERS_MAX 32

struct web {
    const struct config *config;
    void *zmq;
    int64_t started_ms;
    _Atomic uint64_t requests_ok, requests_refused, requests_failed; /* by status: below 400, 4xx, 5xx */
};

struct parameter {
    const char *name, *value;
};

struct request {
    struct web *web;
    const char *path;
    const char *rest; /* what stood for the '*' of the pattern, "" */
    struct parameter parameters[WEB_PARAMETERS_MAX];
    size_t parameter_count;
    int64_t now_ms; /* wall clock */
};
/* NULL where it is absent or empty. */
const char *request_parameter(const struct request *request, const char *name);

struct reply {
    int status;
    const char *content_type;
    struct buffer body;
};
/* Takes the object. */
void reply_json(struct reply *reply, int status, json_t *object);
/* {"error", "remedy"}; remedy NULL: none. */
void reply_error(struct reply *reply, int status, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The status that fits the kind: 400 INPUT, 503 AGAIN, 500 else. */
void reply_failure(struct reply *reply, const struct error *err);
void reply_text(struct reply *reply, int status, const char *text);

typedef void resource_handler(const struct request *request, struct reply *reply);

struct resource {
    const char *pattern; /* a final '*' matches one segment */
    resource_handler *handle;
    const char
        *parameters; /* the names that it takes, one blank between; a final '*' takes all that begin so */
};
/* Sets request->rest; NULL if no pattern matches. */
const struct resource *resource_find(struct request *request);
/* Whether the resource takes each parameter of the request; false: reply says which it does not. */
bool resource_takes(const struct resource *resource, const struct request *request, struct reply *reply);

resource_handler resource_status, resource_agents, resource_map;
resource_handler resource_incidents, resource_incident;
resource_handler resource_query, resource_series;
resource_handler resource_metrics, resource_healthy, resource_ready;

/* Asks a role. *answer is a new reference; second (NULL: not wanted) is filled with the second frame.
 * ERROR_AGAIN: no answer within timeout_ms, in words that name the role. The question is borrowed. */
int web_ask(const struct web *web, enum role_endpoint endpoint, const json_t *question, int timeout_ms,
    json_t **answer, struct buffer *second, struct error *err);
/* {"ask": word} */
int web_ask_word(
    const struct web *web, enum role_endpoint endpoint, const char *word, json_t **answer, struct error *err);

/* RUN/processes.json as its supervisor wrote it; an empty array where there is none. New reference. */
json_t *web_processes(const struct web *web);

#endif

/* Incidents, read from state.db beside its writer. */
#include <stdlib.h>

#include "collector/core/state/state.h"
#include "collector/web/resource.h"

void resource_incidents(const struct request *request, struct reply *reply)
{
    const char *state_word = request_parameter(request, "state");
    const char *limit_word = request_parameter(request, "limit");
    enum incident_state only;
    if (state_word != NULL && incident_state_parse(state_word, &only) < 0) {
        reply_error(reply, 400, "use open, mitigated or resolved", "unknown state '%.60s'", state_word);
        return;
    }
    char *end = NULL;
    unsigned long limit = limit_word != NULL ? strtoul(limit_word, &end, 10) : 100;
    if (limit_word != NULL && (*end != '\0' || limit == 0 || limit > WEB_INCIDENTS_MAX)) {
        reply_error(reply, 400, NULL, "limit must be a number from 1 to %d", WEB_INCIDENTS_MAX);
        return;
    }
    struct error err;
    struct state *state = state_open_reader(request->web->config->collector.data, &err);
    json_t *incidents = state != NULL ? state_incidents(state, state_word, limit, &err) : NULL;
    state_close(state);
    if (incidents == NULL)
        reply_failure(reply, &err);
    else
        reply_json(reply, 200, incidents);
}

void resource_incident(const struct request *request, struct reply *reply)
{
    struct error err;
    struct state *state = state_open_reader(request->web->config->collector.data, &err);
    json_t *incident = state != NULL ? state_incident(state, request->rest, &err) : NULL;
    state_close(state);
    if (incident != NULL)
        reply_json(reply, 200, incident);
    else if (err.kind == ERROR_INPUT)
        reply_error(reply, 404, "`faultline incidents` lists them", "no incident '%.60s'", request->rest);
    else
        reply_failure(reply, &err);
}

#include <string.h>

#include "collector/delivery/delivery.h"
#include "collector/delivery/http.h"
#include "collector/delivery/secret.h"

int delivery_render(const struct config_hook *hook, const struct channel_message *message, int64_t now_ms,
    struct channel_request *request, struct error *err)
{
    const struct channel *channel = channel_of(hook->kind);
    if (channel == NULL)
        return fail(
            err, ERROR_UNSUPPORTED, "hook %s: this version has no such channel; use a webhook", hook->name);
    /* Read for each attempt: a key that was rotated holds at once, and none stays in memory between attempts.
     */
    struct secret secret;
    if (secret_load(hook->secret_file, &secret, err) < 0) return fail_context(err, "hook %s", hook->name);
    struct channel_request rendered = {0};
    int result = channel->render(hook, &secret, message, now_ms, &rendered, err);
    secret_fini(&secret);
    if (result < 0)
        channel_request_fini(&rendered);
    else
        *request = rendered;
    return result;
}

struct attempt {
    struct loop *loop;
    const struct channel *channel;
    struct channel_response *response;
    enum channel_verdict *verdict;
};

static void on_done(void *owner, struct channel_response *response)
{
    struct attempt *attempt = owner;
    *attempt->verdict = attempt->channel->classify(response);
    *attempt->response = *response;
    attempt->response->body = (struct span){0}; /* ends with this call */
    loop_stop(attempt->loop);
}

int delivery_try(const struct config_hook *hook, struct channel_request *request,
    struct channel_response *response, enum channel_verdict *verdict, struct error *err)
{
    struct attempt attempt = {.channel = channel_of(hook->kind), .response = response, .verdict = verdict};
    int result = -1;
    struct http *http = NULL;
    attempt.loop = attempt.channel != NULL ? loop_new(err) : NULL;
    if (attempt.channel == NULL) fail(err, ERROR_UNSUPPORTED, "hook %s: no such channel", hook->name);
    if (attempt.loop != NULL) http = http_new(attempt.loop, err);
    if (http != NULL) {
        struct http_rules rules = {.allow_private = hook->allow_private};
        http_start(http, request, &rules, on_done, &attempt);
        result = loop_run(attempt.loop, err);
    }
    channel_request_fini(request);
    http_free(http);
    loop_free(attempt.loop);
    return result;
}

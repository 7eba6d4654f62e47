/* Any HTTP endpoint: CloudEvents 1.0 in JSON, structured mode (https://cloudevents.io), signed the
 * Standard-Webhooks way. The receiver drops repeats by `webhook-id`, which is also the event's id. */
#include <inttypes.h>
#include <stdlib.h>

#include "collector/delivery/channel.h"
#include "collector/delivery/sign.h"
#include "common/check.h"
#include "common/timetext.h"

static char *render_body(const struct channel_message *message, struct error *err)
{
    const json_t *incident = json_object_get(message->message, "incident");
    if (!json_is_object(incident)) {
        fail(err, ERROR_INPUT, "delivery %s carries no incident", message->id);
        return NULL;
    }
    char time[TIMETEXT_RFC3339_SIZE];
    json_t *data = json_copy((json_t *)(uintptr_t)incident); /* a shallow copy changes no count below it */
    json_object_set_new(data, "step", json_string(message->step));
    json_t *event = json_pack("{s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:o}", "specversion", "1.0", "id",
        message->id, "source", json_sprintf("/faultline/%c", message->letter), "type",
        json_sprintf("dev.faultline.incident.%s", message->step), "subject", message->incident, "time",
        timetext_rfc3339(message->at_ms, time), "datacontenttype", "application/json", "data", data);
    CHECK(event != NULL);
    char *text = json_dumps(event, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(event);
    CHECK(text != NULL);
    return text;
}

static int webhook_render(const struct config_hook *hook, const struct secret *secret,
    const struct channel_message *message, int64_t now_ms, struct channel_request *request, struct error *err)
{
    char *body = render_body(message, err);
    if (body == NULL) return -1;
    int appended = buffer_append(&request->body, span_text(body), err);
    free(body);
    if (appended < 0) return -1;
    request->url = check_strdup(hook->url);
    int64_t timestamp_s = now_ms / 1000;
    channel_request_header(request, "content-type", "application/cloudevents+json");
    channel_request_header(request, "webhook-id", "%s", message->id);
    channel_request_header(request, "webhook-timestamp", "%" PRId64, timestamp_s);
    if (secret->bytes != NULL) {
        char signature[SIGN_WEBHOOK_SIZE];
        sign_webhook(secret, message->id, timestamp_s, buffer_span(&request->body), signature);
        channel_request_header(request, "webhook-signature", "%s", signature);
    }
    return 0;
}

const struct channel channel_webhook = {
    .name = "webhook",
    .render = webhook_render,
    .classify = channel_classify_http,
};

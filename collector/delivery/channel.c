#include "collector/delivery/channel.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/check.h"

static const struct channel *const channels[] = {
    [HOOK_WEBHOOK] = &channel_webhook,
    [HOOK_X] = NULL,
};
static_assert(ARRAY_COUNT(channels) == HOOK_KIND_COUNT, "a row per kind of hook");

static const char *const verdict_words[] = {
    [CHANNEL_DELIVERED] = "delivered",
    [CHANNEL_RETRY] = "retry",
    [CHANNEL_PERMANENT] = "permanent",
};
static_assert(ARRAY_COUNT(verdict_words) == CHANNEL_VERDICT_COUNT, "a word per verdict");

const struct channel *channel_of(enum hook_kind kind)
{
    return (unsigned)kind < HOOK_KIND_COUNT ? channels[kind] : NULL;
}

const char *channel_verdict_word(enum channel_verdict verdict)
{
    return (unsigned)verdict < CHANNEL_VERDICT_COUNT ? verdict_words[verdict] : "unknown";
}

void channel_request_fini(struct channel_request *request)
{
    free(request->url);
    for (size_t i = 0; i < request->header_count; i++) free(request->headers[i]);
    buffer_fini(&request->body);
    *request = (struct channel_request){0};
}

void channel_request_header(struct channel_request *request, const char *name, const char *format, ...)
{
    CHECK(request->header_count < CHANNEL_HEADERS_MAX);
    char value[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    for (char *c = value; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = ' ';
    request->headers[request->header_count++] = check_format("%s: %s", name, value);
}

static enum channel_verdict classify_status(struct channel_response *response)
{
    int status = response->status;
    if (status >= 200 && status < 300) return CHANNEL_DELIVERED;
    if (status == 408 || status == 429 || status >= 500) return CHANNEL_RETRY;
    if (status >= 300 && status < 400)
        snprintf(response->detail, sizeof response->detail,
            "HTTP %d: a redirect, and redirects are not followed; configure the final URL", status);
    return CHANNEL_PERMANENT;
}

enum channel_verdict channel_classify_http(struct channel_response *response)
{
    /* A status that did arrive decides, whatever happened to the rest of the answer. */
    if (response->status >= 200) return classify_status(response);
    switch (response->failure) {
    case CHANNEL_FAILURE_ADDRESS:
    case CHANNEL_FAILURE_REQUEST: return CHANNEL_PERMANENT;
    default: return CHANNEL_RETRY;
    }
}

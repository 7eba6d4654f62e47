/* A channel turns a delivery into an HTTP request and an answer into what to do next. Pure, any thread; a
 * file per channel (channel_NAME.c) with its vtable at the bottom and a row in channel.c.
 *
 * To add one: a value of enum hook_kind (config.h), a file, a row, a case in the contract suite
 * (tests/unit/collector/test_delivery_channel.c). */
#ifndef COLLECTOR_DELIVERY_CHANNEL_H
#define COLLECTOR_DELIVERY_CHANNEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/config/config.h"
#include "collector/delivery/secret.h"
#include "common/error.h"
#include "common/span.h"

#define CHANNEL_HEADERS_MAX 16
#define CHANNEL_ANSWER_MAX  (64 * 1024) /* bytes of an answer that are read */

/* What is to be told. Borrowed. */
struct channel_message {
    const char *id;        /* delivery id: the same for every attempt, ever */
    const char *step;      /* "opened" */
    const char *incident;  /* "A-1" */
    int64_t at_ms;         /* of the step, wall clock */
    const json_t *message; /* {"incident": {...}, "step"} */
    char letter;           /* of the collector */
};

/* POST of body. Owns its strings. */
struct channel_request {
    char *url;
    char *headers[CHANNEL_HEADERS_MAX]; /* "name: value" */
    size_t header_count;
    struct buffer body;
};
void channel_request_fini(struct channel_request *request);
/* Appends a header; control bytes in the value become spaces. */
void channel_request_header(struct channel_request *request, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Why there is no whole answer. */
enum channel_failure {
    CHANNEL_FAILURE_NONE,
    CHANNEL_FAILURE_NETWORK, /* resolve, connect, reset */
    CHANNEL_FAILURE_TIMEOUT, /* the total deadline passed */
    CHANNEL_FAILURE_TLS,     /* handshake or certificate */
    CHANNEL_FAILURE_ADDRESS, /* every address is refused by the rules for outgoing requests */
    CHANNEL_FAILURE_REQUEST, /* the URL cannot be used */
    CHANNEL_FAILURE_COUNT
};

struct channel_response {
    int status; /* HTTP, 0: no header arrived */
    enum channel_failure failure;
    int64_t retry_after_ms; /* 0: not said */
    struct span body;       /* at most CHANNEL_ANSWER_MAX bytes */
    int64_t duration_ms;
    char detail[200]; /* for people: "connection refused", "HTTP 503: try later"; never a secret */
};

enum channel_verdict { CHANNEL_DELIVERED, CHANNEL_RETRY, CHANNEL_PERMANENT, CHANNEL_VERDICT_COUNT };
/* "delivered", "retry", "permanent" */
const char *channel_verdict_word(enum channel_verdict verdict);

struct channel {
    const char *name;
    /* Fills a zeroed request for one attempt at now_ms (wall clock). The body depends on the message alone.
     */
    int (*render)(const struct config_hook *hook, const struct secret *secret,
        const struct channel_message *message, int64_t now_ms, struct channel_request *request,
        struct error *err);
    /* May rewrite response->detail into something a person can act on. */
    enum channel_verdict (*classify)(struct channel_response *response);
};

/* NULL where this version has no channel of that kind. */
const struct channel *channel_of(enum hook_kind kind);

/* What holds for HTTP in general: 2xx delivered; 408, 429, 5xx and broken connections again; the rest
 * permanent. */
enum channel_verdict channel_classify_http(struct channel_response *response);

extern const struct channel channel_webhook;

#endif

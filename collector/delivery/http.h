/* Outgoing requests on an event loop, under the rules for everything that leaves this program: hosts from the
 * config only, http and https only, no proxy from the environment, no redirects, the address checked when the
 * connection is opened, certificates verified, one total deadline, a bounded answer. The thread of the loop
 * owns it.
 *
 * Names are resolved in curl's resolver threads, so that a dead name server never stops the loop; what they
 * answer is checked at the socket. */
#ifndef COLLECTOR_DELIVERY_HTTP_H
#define COLLECTOR_DELIVERY_HTTP_H

#include "collector/delivery/channel.h"
#include "common/error.h"
#include "common/loop.h"

#define HTTP_DEADLINE_MS 10000 /* resolve to last byte */

struct http;

/* The loop is borrowed and must outlive it. */
struct http *http_new(struct loop *loop, struct error *err);
/* Ends what is under way without a word to anybody. NULL is fine. */
void http_free(struct http *http);

struct http_rules {
    bool allow_private;
    int64_t deadline_ms; /* 0: HTTP_DEADLINE_MS */
};

/* The response lives until the callback returns. */
typedef void http_done(void *owner, struct channel_response *response);

/* Takes the request (leaves it zeroed). `done` is called exactly once, from the loop, never from inside this
 * call; a URL that cannot be used is an answer too. */
void http_start(struct http *http, struct channel_request *request, const struct http_rules *rules,
    http_done *done, void *owner);

#endif

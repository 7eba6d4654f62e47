/* HTTP requests by libcurl's multi interface on the agent's loop, each on a fresh connection to an address
 * that the caller chose, while URL, Host and SNI stay as they are. HTTP/1.1, no cookies, no proxies, nothing
 * decompressed, redirects told and not followed, User-Agent "faultline/VERSION (+probe)". One thread: the
 * loop's. */
#ifndef AGENT_PROBE_HTTP_H
#define AGENT_PROBE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/probe/address.h"
#include "common/error.h"
#include "common/loop.h"
#include "common/span.h"

struct curl_slist;
struct http;
struct transfer;

struct http_request {
    const char *url;
    const struct address *address; /* to connect to */
    struct curl_slist *headers;    /* these four are borrowed until the transfer has ended */
    struct curl_slist *secrets;    /* sent as well */
    const char *userpwd;           /* "user:password", NULL none */
    const char *expect_text;       /* looked for in the body, NULL none */
    bool head, insecure, want_certificate;
    size_t body_bytes_max; /* then the transfer ends and counts as complete */
    /* Every piece of a body as it arrives, NULL: nobody reads it. */
    void (*body)(void *owner, int code, struct span piece);
};

/* How far it has got, or how it ended. Microseconds, -1 not reached. */
struct http_answer {
    int curl;                   /* CURLcode, 0 where all of the answer came */
    int os_errno;               /* of the connection attempt */
    int code;                   /* HTTP status, 0 none yet */
    int64_t connect_us, tls_us; /* durations */
    int64_t first_byte_us;      /* since http_start */
    bool text_found, drain_found, retry_after;
    const char *redirect; /* absolute URL of Location, NULL none; borrowed until the transfer is freed */
    const char *message;  /* libcurl's words for an error, "" none */
    const char *certificate_names; /* want_certificate: "DNS:www.example.com, …", NULL unknown */
};

/* Called once, never from within http_start. The transfer is freed when it returns. */
typedef void http_done_call(void *owner, const struct http_answer *answer);

/* From here on the process ignores SIGPIPE. */
struct http *http_new(struct loop *loop, struct error *err);
void http_free(struct http *http); /* ends all transfers without calling anybody */

/* NULL with err only for the agent's own trouble. */
struct transfer *http_start(struct http *http, const struct http_request *request, http_done_call *done,
    void *owner, struct error *err);
void http_progress(struct transfer *transfer, struct http_answer *answer);
void http_cancel(struct transfer *transfer); /* NULL is fine */

#endif

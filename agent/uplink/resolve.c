#include "agent/uplink/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "common/url.h"

struct question {
    char host[256];
    char port[8];
};

struct reply {
    bool ok;
    char text[RESOLVE_ADDRESS_SIZE];
};

static bool compose(const char *host, const char *port, char out[static RESOLVE_ADDRESS_SIZE])
{
    bool v6 = strchr(host, ':') != NULL;
    int n = snprintf(out, RESOLVE_ADDRESS_SIZE, "tcp://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port);
    return n > 0 && n < RESOLVE_ADDRESS_SIZE;
}

static int split(const char *address, struct question *out, struct error *err)
{
    struct url_parts parts;
    if (url_split(address, &parts, err) != 0) return -1;
    if (!span_equal(parts.scheme, span_text("tcp"))) return fail(err, ERROR_INPUT, "must be tcp://HOST:PORT");
    if (parts.port == 0) return fail(err, ERROR_INPUT, "needs a port: tcp://HOST:7440");
    if (parts.rest.size > 0) return fail(err, ERROR_INPUT, "must end after the port");
    if (parts.host.size >= sizeof out->host) return fail(err, ERROR_INPUT, "host name too long");
    snprintf(out->host, sizeof out->host, "%.*s", (int)parts.host.size, (const char *)parts.host.data);
    snprintf(out->port, sizeof out->port, "%u", parts.port);
    return 0;
}

int resolve_check(const char *address, struct error *err)
{
    struct question question;
    return split(address, &question, err);
}

bool resolve_is_numeric(const char *address, char out[static RESOLVE_ADDRESS_SIZE])
{
    struct question q;
    unsigned char bytes[16];
    if (split(address, &q, NULL) != 0) return false;
    if (inet_pton(AF_INET, q.host, bytes) != 1 && inet_pton(AF_INET6, q.host, bytes) != 1) return false;
    return compose(q.host, q.port, out);
}

static void answer(const struct question *q, struct reply *reply)
{
    struct addrinfo *list = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    int failed = getaddrinfo(q->host, q->port, &hints, &list);
    char host[64];
    if (failed == 0) {
        failed = getnameinfo(list->ai_addr, list->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST);
        freeaddrinfo(list);
    }
    reply->ok = failed == 0 && compose(host, q->port, reply->text);
    if (failed != 0) snprintf(reply->text, sizeof reply->text, "%s", gai_strerror(failed));
}

static void serve(int fd, const void *argument)
{
    prctl(PR_SET_NAME, "faultline-names");
    struct question question;
    memcpy(&question, argument, sizeof question);
    struct reply reply = {0};
    answer(&question, &reply);
    send(fd, &reply, sizeof reply, MSG_NOSIGNAL);
}

int resolve_begin(struct resolve *r, const char *address, int64_t now_ms, struct error *err)
{
    struct question question = {0};
    if (split(address, &question, err) != 0) return -1;
    resolve_cancel(r);
    if (helper_start(&r->helper, HELPER_PACKETS, serve, &question, sizeof question, err) != 0) return -1;
    r->deadline_ms = now_ms + RESOLVE_TIMEOUT_MS;
    return 0;
}

int resolve_poll(struct resolve *r, int64_t now_ms, char out[static RESOLVE_ADDRESS_SIZE], struct error *err)
{
    struct reply reply;
    ssize_t n = recv(r->helper.fd, &reply, sizeof reply, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (now_ms < r->deadline_ms) return 0;
        resolve_cancel(r);
        return fail(err, ERROR_AGAIN, "the resolver does not answer");
    }
    resolve_cancel(r);
    if (n != (ssize_t)sizeof reply) return fail(err, ERROR_IO, "the resolver's helper has ended");
    if (!reply.ok) return fail(err, ERROR_IO, "cannot resolve: %s", reply.text);
    memcpy(out, reply.text, RESOLVE_ADDRESS_SIZE);
    return 1;
}

void resolve_cancel(struct resolve *r)
{
    helper_abandon(&r->helper);
}

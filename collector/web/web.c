#include "collector/web/web.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include "collector/web/resource.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"

#define CONNECTIONS_MAX   32 /* a thread each; further ones wait in the kernel's queue or are closed */
#define CONNECTION_IDLE_S 10
#define CONNECTION_MEMORY (64 * 1024)
#define BACKLOG           64

/* One place that is listened at. */
struct listener {
    struct web *web;
    struct MHD_Daemon *daemon;
    bool is_tcp;
};

static enum MHD_Result take_parameter(
    void *owner, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    struct request *request = owner;
    if (request->parameter_count == WEB_PARAMETERS_MAX) return MHD_NO;
    request->parameters[request->parameter_count++] = (struct parameter){name, value != NULL ? value : ""};
    return MHD_YES;
}

/* A page elsewhere whose name was made to lead to this host (DNS rebinding) names itself in Host: only
 * addresses and localhost are answered over TCP. */
static bool host_is_ours(const char *header)
{
    if (header == NULL) return false;
    char host[256];
    snprintf(host, sizeof host, "%s", header);
    if (host[0] == '[') {
        char *end = strchr(host, ']');
        if (end == NULL) return false;
        *end = '\0';
        struct in6_addr v6;
        return inet_pton(AF_INET6, host + 1, &v6) == 1;
    }
    host[strcspn(host, ":")] = '\0';
    struct in_addr v4;
    return strcasecmp(host, "localhost") == 0 || inet_pton(AF_INET, host, &v4) == 1;
}

static enum MHD_Result send_reply(struct MHD_Connection *connection, struct web *web, struct reply *reply)
{
    _Atomic uint64_t *counter = reply->status >= 500   ? &web->requests_failed
                                : reply->status >= 400 ? &web->requests_refused
                                                       : &web->requests_ok;
    atomic_fetch_add(counter, 1);
    size_t size = reply->body.size;
    void *bytes = TAKE(reply->body.data);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, bytes != NULL ? bytes : check_alloc(1), MHD_RESPMEM_MUST_FREE);
    if (response == NULL) return MHD_NO;
    static const char *const headers[][2] = {
        {"Cache-Control", "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
        {"Referrer-Policy", "no-referrer"},
    };
    MHD_add_response_header(response, "Content-Type", reply->content_type);
    for (size_t i = 0; i < ARRAY_COUNT(headers); i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
    if (reply->status == 405) MHD_add_response_header(response, "Allow", "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)reply->status, response);
    MHD_destroy_response(response);
    return result;
}

static void answer(const struct listener *listener, struct MHD_Connection *connection, const char *method,
    struct request *request, struct reply *reply)
{
    const struct resource *resource = resource_find(request);
    if (listener->is_tcp &&
        !host_is_ours(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST))) {
        reply_error(reply, 403, "use the address or localhost", "this host name is not answered");
    } else if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        reply_error(reply, 405, NULL, "only GET");
    } else if (resource == NULL) {
        reply_error(reply, 404,
            "/api/v1/status, incidents, agents, query, series and map are answered, and /metrics",
            "no such path");
    } else if (MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, take_parameter, request) < 0 ||
               request->parameter_count == WEB_PARAMETERS_MAX) {
        reply_error(reply, 400, NULL, "too many parameters");
    } else if (resource_takes(resource, request, reply)) {
        resource->handle(request, reply);
    }
}

static enum MHD_Result on_request(void *owner, struct MHD_Connection *connection, const char *path,
    const char *method, const char *version, const char *upload, size_t *upload_size, void **state)
{
    (void)version, (void)upload;
    const struct listener *listener = owner;
    static char seen;
    if (*state == NULL || *upload_size > 0) {
        /* An answer to the first call, which has only headers, would end the connection; a body is not read.
         */
        *state = &seen;
        *upload_size = 0;
        return MHD_YES;
    }
    struct request request = {.web = listener->web, .path = path, .now_ms = clock_wall_ms()};
    struct reply reply = {.status = 500, .content_type = "text/plain"};
    answer(listener, connection, method, &request, &reply);
    enum MHD_Result result = send_reply(connection, listener->web, &reply);
    buffer_fini(&reply.body);
    return result;
}

static int listen_unix(const char *path, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return fail(err, ERROR_INPUT, "collector.api_socket %s is longer than %zu bytes", path,
            sizeof address.sun_path - 1);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return fail_errno(err, "socket");
    unlink(path);                /* of an earlier life; the supervisor's lock keeps a second collector away */
    mode_t before = umask(0117); /* 0660 from its first moment */
    int bound = bind(fd, (struct sockaddr *)&address, sizeof address);
    umask(before);
    if (bound < 0 || listen(fd, BACKLOG) < 0) return fail_errno(err, "listen at %s", path);
    int result = fd;
    fd = -1;
    return result;
}

/* "127.0.0.1:7441", "[::1]:7441", "localhost:0" */
static int listen_tcp(const char *text, struct error *err)
{
    char host[256];
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof host)
        return fail(err, ERROR_INPUT, "collector.web_listen '%s' is not ADDRESS:PORT", text);
    bool bracketed = text[0] == '[' && colon > text && colon[-1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(colon - text) - 2 * bracketed, text + bracketed);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    int problem = getaddrinfo(host, colon + 1, &hints, &found);
    if (problem != 0)
        return fail(err, ERROR_INPUT, "collector.web_listen '%s': %s", text, gai_strerror(problem));
    AUTO_CLOSE int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    bool listening = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                     bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
    freeaddrinfo(found);
    if (!listening) return fail_errno(err, "listen at %s", text);
    int result = fd;
    fd = -1;
    return result;
}

static int start(struct listener *listener, int fd, struct error *err)
{
    if (fd < 0) return -1;
    listener->daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC, 0, NULL,
        NULL, on_request, listener, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
    if (listener->daemon != NULL) return 0;
    close(fd);
    return fail(err, ERROR_UNSUPPORTED, "libmicrohttpd does not start");
}

static int run(struct web *web, const sigset_t *stops, struct error *err)
{
    const struct config_collector *collector = &web->config->collector;
    struct listener local = {.web = web}, tcp = {.web = web, .is_tcp = true};
    int result = start(&local, listen_unix(collector->api_socket, err), err);
    if (result == 0 && collector->web_listen[0] != '\0')
        result = start(&tcp, listen_tcp(collector->web_listen, err), err);
    if (result == 0) {
        log_line(LOG_INFO, "ready", "socket=%s listen=%s", collector->api_socket,
            collector->web_listen[0] != '\0' ? collector->web_listen : "off");
        int got;
        sigwait(stops, &got);
    }
    if (tcp.daemon != NULL) MHD_stop_daemon(tcp.daemon);
    if (local.daemon != NULL) {
        MHD_stop_daemon(local.daemon);
        unlink(collector->api_socket);
    }
    return result;
}

int web_main(const struct config *config)
{
    /* Blocked before the first thread is made, so that no other thread ever takes them. */
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stops, NULL);
    signal(SIGPIPE, SIG_IGN);
    struct web web = {.config = config, .zmq = zmq_ctx_new(), .started_ms = clock_wall_ms()};
    struct error err = {0};
    int result = run(&web, &stops, &err);
    if (result < 0) log_error("web_stopped", &err, "%s", "");
    zmq_ctx_term(web.zmq);
    return result < 0 ? 1 : 0;
}

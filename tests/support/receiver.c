#include "tests/support/receiver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/check.h"
#include "common/clock.h"

#define REQUESTS_MAX 256

struct receiver {
    int listener, port;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    bool stopping;
    int connections;
    struct receiver_request *requests;
    size_t count;
};

struct connection {
    struct receiver *receiver;
    int fd;
};

static bool stopping(struct receiver *receiver)
{
    pthread_mutex_lock(&receiver->lock);
    bool stop = receiver->stopping;
    pthread_mutex_unlock(&receiver->lock);
    return stop;
}

/* More bytes within the patience of a test; 0 when the peer or the test is done. */
static size_t read_some(struct connection *connection, char *out, size_t size)
{
    while (!stopping(connection->receiver)) {
        struct pollfd ready = {.fd = connection->fd, .events = POLLIN};
        if (poll(&ready, 1, 50) != 1) continue;
        ssize_t n = recv(connection->fd, out, size, 0);
        return n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static bool read_request(struct connection *connection, struct receiver_request *request)
{
    static const size_t room = 24000;
    char *text = check_alloc(room + 1);
    size_t size = 0, body = 0, want = SIZE_MAX;
    while (size < room && (want == SIZE_MAX || size < body + want)) {
        size_t n = read_some(connection, text + size, room - size);
        if (n == 0) break;
        size += n;
        char *end = strstr(text, "\r\n\r\n");
        if (end == NULL || want != SIZE_MAX) continue;
        body = (size_t)(end - text) + 4;
        char *length = strcasestr(text, "\ncontent-length:");
        want = length != NULL && length < end ? strtoul(length + 16, NULL, 10) : 0;
    }
    bool whole = want != SIZE_MAX && size >= body + want;
    if (whole) {
        memset(request, 0, sizeof *request);
        snprintf(request->head, sizeof request->head, "%.*s", (int)body, text);
        snprintf(request->body, sizeof request->body, "%.*s", (int)want, text + body);
        if (sscanf(text, "%*15s %127s", request->path) != 1) whole = false;
        request->at_ms = clock_mono_ms();
    }
    free(text);
    return whole;
}

/* Remembers it; how many there are of its path now. */
static size_t record(struct receiver *receiver, const struct receiver_request *request)
{
    pthread_mutex_lock(&receiver->lock);
    CHECK(receiver->count < REQUESTS_MAX);
    receiver->requests[receiver->count++] = *request;
    size_t same = 0;
    for (size_t i = 0; i < receiver->count; i++)
        same += strcmp(receiver->requests[i].path, request->path) == 0;
    pthread_cond_broadcast(&receiver->changed);
    pthread_mutex_unlock(&receiver->lock);
    return same;
}

static bool send_text(int fd, const char *text)
{
    return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

static void answer_status(int fd, int status, const char *extra)
{
    char head[256];
    snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Length: 3\r\n%sConnection: close\r\n\r\nso\n",
        status, extra);
    send_text(fd, head);
}

static void wait_for_peer(struct connection *connection)
{
    char rest[64];
    while (read_some(connection, rest, sizeof rest) > 0) {
    }
}

static void drip(struct connection *connection)
{
    const char *text = "HTTP/1.1 200 OK\r\nX-Long: ";
    for (size_t i = 0; !stopping(connection->receiver); i++) {
        char c = i < strlen(text) ? text[i] : 'a';
        if (send(connection->fd, &c, 1, MSG_NOSIGNAL) != 1) return;
        poll(NULL, 0, 50);
    }
}

static void big(int fd)
{
    static const char block[65536];
    send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n");
    for (int i = 0; i < 1024; i++)
        if (send(fd, block, sizeof block, MSG_NOSIGNAL) < 0) return;
}

static void behave(struct connection *connection, const char *path, size_t nth)
{
    int fd = connection->fd, number = 0;
    if (sscanf(path, "/status/%d", &number) == 1) {
        answer_status(fd, number, "");
    } else if (sscanf(path, "/fail/%d", &number) == 1) {
        answer_status(fd, nth <= (size_t)number ? 500 : 200, "");
    } else if (strcmp(path, "/limit") == 0) {
        answer_status(fd, nth == 1 ? 429 : 200, nth == 1 ? "Retry-After: 1\r\n" : "");
    } else if (strcmp(path, "/hang") == 0) {
        wait_for_peer(connection);
    } else if (strcmp(path, "/drip") == 0) {
        drip(connection);
    } else if (strcmp(path, "/redirect") == 0) {
        answer_status(fd, 302, "Location: http://169.254.169.254/latest/meta-data/\r\n");
    } else if (strcmp(path, "/big") == 0) {
        big(fd);
    } else if (strcmp(path, "/garbage") == 0) {
        send_text(fd, "\x01\x02 not http at all\r\n\r\n");
    } else if (strcmp(path, "/close") != 0) {
        answer_status(fd, 200, "");
    }
}

static void *serve(void *owner)
{
    struct connection *connection = owner;
    struct receiver *receiver = connection->receiver;
    struct receiver_request *request = check_alloc(sizeof *request);
    if (read_request(connection, request)) behave(connection, request->path, record(receiver, request));
    free(request);
    close(connection->fd);
    free(connection);
    pthread_mutex_lock(&receiver->lock);
    receiver->connections--;
    pthread_cond_broadcast(&receiver->changed);
    pthread_mutex_unlock(&receiver->lock);
    return NULL;
}

static void *accept_all(void *owner)
{
    struct receiver *receiver = owner;
    while (!stopping(receiver)) {
        struct pollfd ready = {.fd = receiver->listener, .events = POLLIN};
        if (poll(&ready, 1, 50) != 1) continue;
        int fd = accept4(receiver->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) continue;
        struct connection *connection = check_alloc(sizeof *connection);
        *connection = (struct connection){.receiver = receiver, .fd = fd};
        pthread_mutex_lock(&receiver->lock);
        receiver->connections++;
        pthread_mutex_unlock(&receiver->lock);
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, serve, connection) == 0);
        pthread_detach(thread);
    }
    return NULL;
}

struct receiver *receiver_start(void)
{
    struct receiver *receiver = check_alloc(sizeof *receiver);
    receiver->requests = check_alloc_array(REQUESTS_MAX, sizeof *receiver->requests);
    pthread_mutex_init(&receiver->lock, NULL);
    pthread_cond_init(&receiver->changed, NULL);
    receiver->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    CHECK(bind(receiver->listener, (struct sockaddr *)&address, size) == 0 &&
          listen(receiver->listener, 64) == 0);
    CHECK(getsockname(receiver->listener, (struct sockaddr *)&address, &size) == 0);
    receiver->port = ntohs(address.sin_port);
    CHECK(pthread_create(&receiver->thread, NULL, accept_all, receiver) == 0);
    return receiver;
}

void receiver_stop(struct receiver *receiver)
{
    pthread_mutex_lock(&receiver->lock);
    receiver->stopping = true;
    pthread_mutex_unlock(&receiver->lock);
    pthread_join(receiver->thread, NULL);
    pthread_mutex_lock(&receiver->lock);
    while (receiver->connections > 0) pthread_cond_wait(&receiver->changed, &receiver->lock);
    pthread_mutex_unlock(&receiver->lock);
    close(receiver->listener);
    pthread_cond_destroy(&receiver->changed);
    pthread_mutex_destroy(&receiver->lock);
    free(receiver->requests);
    free(receiver);
}

int receiver_port(const struct receiver *receiver)
{
    return receiver->port;
}

static size_t count_locked(const struct receiver *receiver, const char *path)
{
    size_t count = 0;
    for (size_t i = 0; i < receiver->count; i++) count += strcmp(receiver->requests[i].path, path) == 0;
    return count;
}

size_t receiver_count(struct receiver *receiver, const char *path)
{
    pthread_mutex_lock(&receiver->lock);
    size_t count = count_locked(receiver, path);
    pthread_mutex_unlock(&receiver->lock);
    return count;
}

bool receiver_wait(struct receiver *receiver, const char *path, size_t count, int timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&receiver->lock);
    while (count_locked(receiver, path) < count)
        if (pthread_cond_timedwait(&receiver->changed, &receiver->lock, &until) != 0) break;
    bool enough = count_locked(receiver, path) >= count;
    pthread_mutex_unlock(&receiver->lock);
    return enough;
}

bool receiver_get(struct receiver *receiver, const char *path, size_t n, struct receiver_request *out)
{
    bool found = false;
    pthread_mutex_lock(&receiver->lock);
    for (size_t i = 0; i < receiver->count && !found; i++) {
        if (strcmp(receiver->requests[i].path, path) != 0 || n-- > 0) continue;
        *out = receiver->requests[i];
        found = true;
    }
    pthread_mutex_unlock(&receiver->lock);
    return found;
}

void receiver_header(const struct receiver_request *request, const char *name, char *out, size_t size)
{
    out[0] = '\0';
    size_t length = strlen(name);
    for (const char *line = strstr(request->head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, length) != 0 || line[2 + length] != ':') continue;
        const char *value = line + 3 + length;
        while (*value == ' ') value++;
        snprintf(out, size, "%.*s", (int)strcspn(value, "\r\n"), value);
        return;
    }
}

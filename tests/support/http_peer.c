#include "tests/support/http_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/check.h"

#define CONNECTIONS_MAX 64
#define REQUEST_BYTES   8192
#define ROWS_BYTES      4096
#define TRICKLE_MS      2

struct connection {
    int fd; /* 0: free */
    size_t size, sent;
    bool answered;
    char request[REQUEST_BYTES];
};

struct server {
    int listener;
    enum peer_manner manner;
    const char *text;
    struct connection connections[CONNECTIONS_MAX];
};

static void hang_up(struct connection *connection, bool reset)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (reset) setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(connection->fd);
    connection->fd = 0;
}

static void say(struct connection *connection, const char *text, size_t size)
{
    if (send(connection->fd, text, size, MSG_NOSIGNAL) < 0) hang_up(connection, false);
}

static void echo(struct connection *connection)
{
    char head[128];
    int size =
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", connection->size);
    say(connection, head, (size_t)size);
    if (connection->fd > 0) say(connection, connection->request, connection->size);
    if (connection->fd > 0) hang_up(connection, false);
}

/* A whole request has come. */
static void respond(const struct server *server, struct connection *connection)
{
    connection->answered = true;
    switch (server->manner) {
    case PEER_TEXT:
    case PEER_STALL:
    case PEER_CUT:
        say(connection, server->text, strlen(server->text));
        if (connection->fd > 0 && server->manner != PEER_STALL)
            hang_up(connection, server->manner == PEER_CUT);
        break;
    case PEER_ECHO: echo(connection); break;
    case PEER_RESET: hang_up(connection, true); break;
    case PEER_CLOSE: hang_up(connection, false); break;
    default: break;
    }
}

static void take_bytes(const struct server *server, struct connection *connection)
{
    size_t room = sizeof connection->request - connection->size - 1;
    char spill[512];
    ssize_t size = room > 0 && !connection->answered
                       ? read(connection->fd, connection->request + connection->size, room)
                       : read(connection->fd, spill, sizeof spill);
    if (size <= 0) {
        hang_up(connection, false);
        return;
    }
    if (connection->answered || room == 0) return;
    connection->size += (size_t)size;
    connection->request[connection->size] = '\0';
    if (strstr(connection->request, "\r\n\r\n") != NULL) respond(server, connection);
}

static void take_connection(struct server *server)
{
    int fd = accept(server->listener, NULL, NULL);
    if (fd < 0) return;
    struct connection *connection = NULL;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (server->connections[i].fd == 0) connection = &server->connections[i];
    if (connection == NULL) {
        close(fd);
        return;
    }
    *connection = (struct connection){.fd = fd};
    if (server->manner == PEER_RESET_AT_ONCE) hang_up(connection, true);
}

static void trickle(struct server *server)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &server->connections[i];
        if (connection->fd == 0 || !connection->answered) continue;
        if (connection->sent < strlen(server->text))
            say(connection, server->text + connection->sent++, 1);
        else
            hang_up(connection, false);
    }
}

_Noreturn static void serve(int listener, enum peer_manner manner, const char *text)
{
    static struct server server;
    server = (struct server){.listener = listener, .manner = manner, .text = text};
    for (;;) {
        struct pollfd fds[CONNECTIONS_MAX + 1] = {{.fd = listener, .events = POLLIN}};
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
            fds[i + 1] = (struct pollfd){
                .fd = server.connections[i].fd > 0 ? server.connections[i].fd : -1, .events = POLLIN};
        poll(fds, CONNECTIONS_MAX + 1, manner == PEER_TRICKLE ? TRICKLE_MS : -1);
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
            if (fds[i + 1].revents != 0 && server.connections[i].fd == fds[i + 1].fd)
                take_bytes(&server, &server.connections[i]);
        if (manner == PEER_TRICKLE) trickle(&server);
        if (fds[0].revents != 0) take_connection(&server);
    }
}

static socklen_t place(const char *host, uint16_t port, struct sockaddr_storage *out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(out, &v4, sizeof v4);
        return sizeof v4;
    }
    CHECK(inet_pton(AF_INET6, host, &v6.sin6_addr) == 1);
    memcpy(out, &v6, sizeof v6);
    return sizeof v6;
}

static int bound(const char *host, uint16_t port, int type, uint16_t *got)
{
    struct sockaddr_storage address;
    socklen_t size = place(host, port, &address);
    int fd = socket(address.ss_family, type | SOCK_CLOEXEC, 0), yes = 1;
    CHECK(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    CHECK(bind(fd, (struct sockaddr *)&address, size) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    *got = ntohs(address.ss_family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
                                              : ((struct sockaddr_in6 *)&address)->sin6_port);
    return fd;
}

const char *peer_host(void)
{
    static char host[INET_ADDRSTRLEN];
    unsigned id = (unsigned)getpid();
    snprintf(host, sizeof host, "127.%u.%u.%u", 64 + (id >> 16) % 64, (id >> 8) % 256, id % 256);
    return host;
}

uint16_t peer_free_port(void)
{
    uint16_t port;
    close(bound(peer_host(), 0, SOCK_STREAM, &port));
    return port;
}

/* The child's life is bound to the test's. */
static pid_t fork_bound(void)
{
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
    }
    return pid;
}

/* Two connections that nobody accepts fill a backlog of 1; Linux drops further SYNs. */
static void fill_backlog(struct peer *peer, int listener, const char *host)
{
    CHECK(listen(listener, 0) == 0);
    struct sockaddr_storage address;
    socklen_t size = place(host, peer->port, &address);
    peer->fds[0] = listener;
    for (size_t i = 1; i < ARRAY_COUNT(peer->fds); i++) {
        peer->fds[i] = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(peer->fds[i], (struct sockaddr *)&address, size);
    }
}

void peer_start_at(
    struct peer *peer, const char *host, uint16_t port, enum peer_manner manner, const char *text)
{
    *peer = (struct peer){.pid = 0};
    int listener = bound(host, port, SOCK_STREAM, &peer->port);
    snprintf(peer->url, sizeof peer->url, strchr(host, ':') != NULL ? "http://[%s]:%u/" : "http://%s:%u/",
        host, peer->port);
    if (manner == PEER_DROP) {
        fill_backlog(peer, listener, host);
        return;
    }
    CHECK(listen(listener, 64) == 0);
    peer->pid = fork_bound();
    if (peer->pid == 0) serve(listener, manner, text != NULL ? text : "");
    close(listener);
}

void peer_start(struct peer *peer, enum peer_manner manner, const char *text)
{
    peer_start_at(peer, "127.0.0.1", 0, manner, text);
}

static void end_process(pid_t pid, int signal)
{
    if (pid <= 0) return;
    kill(pid, signal);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

void peer_stop(struct peer *peer)
{
    end_process(peer->pid, SIGKILL);
    for (size_t i = 0; i < ARRAY_COUNT(peer->fds); i++)
        if (peer->fds[i] > 0) close(peer->fds[i]);
    *peer = (struct peer){.pid = 0};
}

static bool accepts(uint16_t port)
{
    struct sockaddr_storage address;
    socklen_t size = place(peer_host(), port, &address);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = connect(fd, (struct sockaddr *)&address, size) == 0;
    close(fd);
    return connected;
}

bool peer_spawn(struct peer *peer, const char *directory, uint16_t port, const char *const argv[])
{
    char log[256];
    snprintf(log, sizeof log, "%s/log", directory);
    *peer = (struct peer){.port = port, .pid = fork_bound()};
    if (peer->pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        char *copies[16] = {0};
        for (size_t i = 0; argv[i] != NULL && i < 15; i++) copies[i] = strdup(argv[i]);
        execvp(copies[0], copies);
        _exit(127);
    }
    snprintf(peer->url, sizeof peer->url, "http://%s:%u/", peer_host(), port);
    for (int tries = 0; tries < 500; tries++) {
        if (accepts(port)) return true;
        if (waitpid(peer->pid, NULL, WNOHANG) == peer->pid) break;
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    }
    peer_stop(peer);
    return false;
}

/* ── Names ── */

enum { TYPE_A = 1, TYPE_AAAA = 28, RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3 };

/* The question's name as text; where its type stands, 0 if malformed. */
static size_t question(const uint8_t *packet, size_t size, char name[static 256])
{
    size_t at = 12, length = 0;
    while (at < size && packet[at] != 0) {
        size_t label = packet[at++];
        if (at + label >= size || length + label + 2 > 255) return 0;
        if (length > 0) name[length++] = '.';
        memcpy(name + length, packet + at, label);
        length += label;
        at += label;
    }
    name[length] = '\0';
    return at + 5 <= size ? at + 1 : 0;
}

static size_t answer_record(uint8_t *out, int type, const char *address)
{
    static const uint8_t head_a[] = {0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 0, 0, 4};
    static const uint8_t head_aaaa[] = {0xc0, 12, 0, TYPE_AAAA, 0, 1, 0, 0, 0, 0, 0, 16};
    bool v6 = strchr(address, ':') != NULL;
    if (v6 != (type == TYPE_AAAA)) return 0;
    memcpy(out, v6 ? head_aaaa : head_a, 12);
    return inet_pton(v6 ? AF_INET6 : AF_INET, address, out + 12) == 1 ? 12 + (v6 ? 16u : 4u) : 0;
}

/* Turns the question into the answer that the rows demand; its size, 0: stay mute. */
static size_t reply(uint8_t *packet, size_t size, const char *rows)
{
    char name[256], copy[ROWS_BYTES];
    size_t type_at = size >= 12 ? question(packet, size, name) : 0;
    if (type_at == 0) return 0;
    int type = packet[type_at] << 8 | packet[type_at + 1], rcode = RCODE_NXDOMAIN, count = 0;
    size_t end = type_at + 4;
    snprintf(copy, sizeof copy, "%s", rows);
    for (char *rest = copy, *row; (row = strsep(&rest, "\n")) != NULL;) {
        char *word = strsep(&row, " ");
        if (strcasecmp(word, name) != 0) continue;
        rcode = 0;
        while ((word = strsep(&row, " ")) != NULL) {
            if (strcmp(word, "MUTE") == 0) return 0;
            if (strcmp(word, "NXDOMAIN") == 0)
                rcode = RCODE_NXDOMAIN;
            else if (strcmp(word, "SERVFAIL") == 0)
                rcode = RCODE_SERVFAIL;
            else {
                size_t added = answer_record(packet + end, type, word);
                end += added;
                count += added > 0;
            }
        }
    }
    packet[2] = 0x84 | (packet[2] & 1);
    packet[3] = (uint8_t)(0x80 | rcode);
    memset(packet + 6, 0, 6);
    packet[7] = (uint8_t)count;
    return end;
}

_Noreturn static void serve_names(int fd, const char *rows)
{
    for (;;) {
        uint8_t packet[2048];
        struct sockaddr_storage from;
        socklen_t from_size = sizeof from;
        ssize_t size = recvfrom(fd, packet, 512, 0, (struct sockaddr *)&from, &from_size);
        size_t answer = size > 0 ? reply(packet, (size_t)size, rows) : 0;
        if (answer > 0) sendto(fd, packet, answer, 0, (struct sockaddr *)&from, from_size);
    }
}

void dns_peer_say(struct dns_peer *peer, const char *rows)
{
    snprintf(peer->rows, ROWS_BYTES, "%s", rows);
}

void dns_peer_start(struct dns_peer *peer, const char *rows)
{
    peer->rows = mmap(NULL, ROWS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(peer->rows != MAP_FAILED);
    dns_peer_say(peer, rows);
    int fd = bound("127.0.0.1", 0, SOCK_DGRAM, &peer->port);
    snprintf(peer->servers, sizeof peer->servers, "127.0.0.1:%u", peer->port);
    peer->pid = fork_bound();
    if (peer->pid == 0) serve_names(fd, peer->rows);
    close(fd);
}

void dns_peer_stop(struct dns_peer *peer)
{
    end_process(peer->pid, SIGKILL);
    munmap(peer->rows, ROWS_BYTES);
    *peer = (struct dns_peer){0};
}

#include "collector/link/link.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "collector/contract/roles.h"
#include "collector/link/book.h"
#include "collector/link/doors.h"
#include "collector/link/front.h"
#include "collector/link/peers.h"
#include "collector/link/zap.h"
#include "common/arena.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "proto/wire.h"

/* What is told at most once a second however often it happens. */
struct noise {
    uint64_t count; /* since it was told last */
    char text[256]; /* the newest */
};

enum noise_kind { NOISE_DENIED, NOISE_REFUSED, NOISE_KIND_COUNT };
static const char *const noise_events[NOISE_KIND_COUNT] = {
    [NOISE_DENIED] = "agent_denied", [NOISE_REFUSED] = "frame_refused"};

struct link {
    void *zmq;
    void *zap, *front; /* bound in this order */
    void *out, *to_engine, *to_store;
    struct book book;
    struct peers peers;
    struct arena arena; /* of the frame at hand */
    struct buffer frame, payload, second;
    uint64_t counts[LINK_COUNT_COUNT];
    struct noise noise[NOISE_KIND_COUNT];
    uint64_t connection;      /* number of the newest one */
    int64_t wall_ms, mono_ms; /* of this turn */
    int64_t second_ms;        /* when the work of each second is due */
    bool reload;
    char letter[2];
    struct doors doors;
    uint64_t files_max;
};

/* ── Counting and telling ── */

static void count(struct link *link, enum link_count what)
{
    link->counts[what]++;
}

uint64_t link_count(const struct link *link, enum link_count what)
{
    return link->counts[what];
}

static void note(struct link *link, enum noise_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void note(struct link *link, enum noise_kind kind, const char *format, ...)
{
    struct noise *noise = &link->noise[kind];
    noise->count++;
    va_list args;
    va_start(args, format);
    vsnprintf(noise->text, sizeof noise->text, format, args);
    va_end(args);
}

static void tell_noise(struct link *link)
{
    for (size_t i = 0; i < NOISE_KIND_COUNT; i++) {
        struct noise *noise = &link->noise[i];
        if (noise->count == 0) continue;
        log_line(LOG_WARN, noise_events[i], "count=%llu %s", (unsigned long long)noise->count, noise->text);
        noise->count = 0;
    }
}

static uint64_t open_files(void)
{
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL) return 0;
    uint64_t found = 0;
    while (readdir(directory) != NULL) found++;
    closedir(directory);
    return found - 3; /* ".", ".." and the directory itself */
}

/* ── To engine and store ── */

static struct role_header header_of(
    const struct link *link, enum role_message message, const struct peer *peer)
{
    struct role_header header = role_header_of(message, link->wall_ms);
    header.arrival_mono_ms = link->mono_ms;
    header.connection = peer->connection;
    memcpy(header.key, peer->key, sizeof header.key);
    memcpy(header.host, peer->host, sizeof header.host);
    return header;
}

static void tell_engine(
    struct link *link, enum role_message message, const struct peer *peer, struct span frame)
{
    struct role_header header = header_of(link, message, peer);
    if (role_send(link->to_engine, NULL, &header, frame, span_of(NULL, 0), NULL) != 0)
        count(link, LINK_engine_dropped_total);
}

static void tell_store(struct link *link, const struct peer *peer, struct span frame)
{
    struct role_header header = header_of(link, ROLE_FRAME, peer);
    if (role_send(link->to_store, NULL, &header, frame, span_of(NULL, 0), NULL) != 0)
        count(link, LINK_store_dropped_total);
}

/* ── Connections ── */

static void go_down(struct link *link, struct peer *peer, const char *why)
{
    if (peer->connection == 0) return;
    tell_engine(link, ROLE_AGENT_DOWN, peer, span_of(NULL, 0));
    log_line(LOG_INFO, "agent_down", "host=%s connection=%llu why=%s", peer->host,
        (unsigned long long)peer->connection, why);
    count(link, LINK_down_total);
    link->counts[LINK_connected]--;
    peer->connection = 0;
}

static void go_up(struct link *link, struct peer *peer, const struct route *route)
{
    go_down(link, peer, "replaced");
    if (!route_equal(&peer->route, route)) peer->old = peer->route;
    peer->route = *route;
    peer->connection = ++link->connection;
    count(link, LINK_up_total);
    link->counts[LINK_connected]++;
    log_line(
        LOG_INFO, "agent_up", "host=%s connection=%llu", peer->host, (unsigned long long)peer->connection);
}

static void send_to(struct link *link, struct peer *peer, struct span frame)
{
    if (peer->connection == 0) {
        count(link, LINK_send_dropped_total);
        return;
    }
    switch (front_send(link->front, &peer->route, frame)) {
    case FRONT_SENT: count(link, LINK_sent_total); return;
    case FRONT_FULL: break; /* it does not read; its silence will tell whether it is gone */
    case FRONT_GONE: go_down(link, peer, "gone"); break;
    }
    count(link, LINK_send_dropped_total);
}

static void send_message(struct link *link, struct peer *peer, const struct wire_from_collector *message)
{
    struct error err = {0};
    buffer_clear(&link->frame);
    if (wire_encode_from_collector(message, &link->frame, &err) != 0) {
        log_error("encode_failed", &err, "host=%s", peer->host);
        return;
    }
    send_to(link, peer, buffer_span(&link->frame));
}

static void send_retry_after(struct link *link, struct peer *peer, uint32_t ms, const char *reason)
{
    const struct wire_from_collector message = {
        .kind = WIRE_RETRY_AFTER, .retry_after = {.ms = ms, .reason = reason}};
    send_message(link, peer, &message);
}

static void welcome(struct link *link, struct peer *peer)
{
    const struct wire_from_collector message = {.kind = WIRE_WELCOME,
        .welcome = {
            .collector = link->letter, .host = peer->host, .wall_ms = link->wall_ms, .credit = LINK_CREDIT}};
    send_message(link, peer, &message);
}

/* ── Frames from agents ── */

/* The row of a key that may speak, NULL if it may not. The book is asked again only after it has changed. */
static struct peer *peer_of(struct link *link, const char *key)
{
    struct peer *peer = peers_find(&link->peers, key);
    if (peer != NULL && peer->generation == link->book.generation) return peer;
    const char *host = book_host(&link->book, key);
    if (host == NULL) return NULL;
    peer = peers_add(&link->peers, key);
    if (strcmp(peer->host, host) != 0) {
        go_down(link, peer, "renamed");
        snprintf(peer->host, sizeof peer->host, "%s", host);
    }
    peer->generation = link->book.generation;
    return peer;
}

static void take_hello(struct link *link, struct peer *peer, const struct route *route, struct span frame)
{
    count(link, LINK_hellos_total);
    if (peer->connection == 0 || !route_equal(&peer->route, route)) go_up(link, peer, route);
    welcome(link, peer);
    if (peer->connection != 0) tell_engine(link, ROLE_AGENT_UP, peer, frame);
}

static void take_batch(struct link *link, struct peer *peer, const struct route *route,
    const struct wire_batch *batch, struct span frame)
{
    count(link, LINK_batches_total);
    link->counts[LINK_samples_total] += wire_batch_samples(batch);
    if (peer->connection == 0 && !route_equal(&peer->old, route)) {
        /* No greeting came before: this process is younger than the connection, or was deaf to it for a
         * while. */
        go_up(link, peer, route);
        send_retry_after(link, peer, 0, "say hello first");
    }
    tell_engine(link, ROLE_FRAME, peer, frame);
    tell_store(link, peer, frame);
}

static void take_wrong(struct link *link, struct peer *peer, const struct error *err)
{
    count(link, err->kind == ERROR_LIMIT ? LINK_over_limit_total : LINK_malformed_total);
    note(link, NOISE_REFUSED, "host=%s kind=%s error=\"%s\"", peer->host, error_kind_name(err->kind),
        err->text);
    if (link->mono_ms - peer->wrong_since_ms > LINK_WRONG_MS) {
        peer->wrong_since_ms = link->mono_ms;
        peer->wrong_count = 0;
    }
    if (++peer->wrong_count < LINK_WRONG_MAX) return;
    peer->wrong_count = 0;
    peer->ignored_until_ms = link->mono_ms + LINK_IGNORE_MS;
    send_retry_after(link, peer, LINK_IGNORE_MS, "too many wrong frames");
}

static void take_frame(struct link *link, const struct front_message *message)
{
    if (message->frame_count != 1) {
        count(link, LINK_multipart_total);
        note(link, NOISE_REFUSED, "key=%s error=\"message of %zu frames\"",
            message->key ? message->key : "none", message->frame_count);
        return;
    }
    if (message->key == NULL || message->key[0] == '\0') {
        count(link, LINK_unauthenticated_total);
        return;
    }
    struct peer *peer = peer_of(link, message->key);
    if (peer == NULL) {
        count(link, LINK_revoked_total);
        note(link, NOISE_DENIED, "key=%s why=\"no longer in the book\"", message->key);
        return;
    }
    count(link, LINK_frames_total);
    link->counts[LINK_frame_bytes_total] += message->frame.size;
    if (link->mono_ms < peer->ignored_until_ms) {
        count(link, LINK_ignored_total);
        return;
    }
    struct wire_from_agent decoded;
    struct error err = {0};
    arena_reset(&link->arena);
    if (wire_decode_from_agent(message->frame, &link->arena, &decoded, &err) != 0) {
        take_wrong(link, peer, &err);
        return;
    }
    if (decoded.kind == WIRE_HELLO)
        take_hello(link, peer, &message->route, message->frame);
    else
        take_batch(link, peer, &message->route, &decoded.batch, message->frame);
    if (route_equal(&peer->route, &message->route)) peer->heard_ms = link->mono_ms;
}

/* False when nothing waits any more. */
static bool receive_frame(struct link *link)
{
    zmq_msg_t storage;
    zmq_msg_init(&storage);
    struct front_message message;
    bool received = front_receive(link->front, &storage, &message);
    if (received) take_frame(link, &message);
    zmq_msg_close(&storage);
    return received;
}

static bool receive_send(struct link *link)
{
    struct role_header header;
    struct error err = {0};
    int received = role_receive(link->out, NULL, &header, &link->payload, &link->second, &err);
    if (received < 0) log_error("message_dropped", &err, "endpoint=link.out");
    if (received <= 0 || header.message != ROLE_SEND) return received != 0;
    struct peer *peer = peers_find(&link->peers, header.key);
    if (peer != NULL)
        send_to(link, peer, buffer_span(&link->payload));
    else
        count(link, LINK_send_dropped_total);
    return true;
}

/* ── Handshakes ── */

static bool admit(void *owner, const char *key, const char *address)
{
    struct link *link = owner;
    if (book_host(&link->book, key) != NULL) return true;
    count(link, LINK_denied_total);
    note(link, NOISE_DENIED, "key=%s address=%s why=\"not in the book of agents\"", key, address);
    return false;
}

/* ── Each second ── */

static bool peer_gone(void *owner, struct peer *peer)
{
    struct link *link = owner;
    if (peer->generation == link->book.generation) return false;
    const char *host = book_host(&link->book, peer->key);
    if (host != NULL && strcmp(host, peer->host) == 0) {
        peer->generation = link->book.generation;
        return false;
    }
    go_down(link, peer, "revoked");
    return true;
}

static void refresh_book(struct link *link)
{
    struct error err = {0};
    int changed = book_refresh(&link->book, &err);
    if (changed < 0) {
        count(link, LINK_book_errors_total);
        log_error("book_unreadable", &err, "keys=%zu", link->book.keys.count);
    }
    if (changed <= 0) return;
    log_line(LOG_INFO, "book_read", "keys=%zu", link->book.keys.count);
    link->counts[LINK_enrolled] = link->book.keys.count;
    peers_remove_if(&link->peers, peer_gone, link);
}

static void check_silence(void *owner, struct peer *peer)
{
    struct link *link = owner;
    if (peer->connection != 0 && link->mono_ms - peer->heard_ms > LINK_SILENT_MS)
        go_down(link, peer, "silent");
}

static void tell_counts(struct link *link)
{
    static const char *const names[] = {
#define COUNT(field, help) #field,
#include "collector/link/counts.def"
#undef COUNT
    };
    buffer_clear(&link->payload);
    for (size_t i = 0; i < LINK_COUNT_COUNT; i++)
        CHECK(buffer_format(&link->payload, NULL, "%s\"link_%s\":%llu", i == 0 ? "{" : ",", names[i],
                  (unsigned long long)link->counts[i]) == 0);
    CHECK(buffer_append(&link->payload, span_text("}"), NULL) == 0);
    struct role_header header = role_header_of(ROLE_COUNTS, link->wall_ms);
    if (role_send(link->to_engine, NULL, &header, buffer_span(&link->payload), span_of(NULL, 0), NULL) != 0)
        count(link, LINK_engine_dropped_total);
}

/* Without descriptors libzmq 4.3.4 would spin in accept. Handshakes that lead nowhere end after 5 s and give
 * theirs back. */
static void guard_files(struct link *link)
{
    uint64_t files = link->counts[LINK_open_files] = open_files();
    if (link->files_max == 0) return;
    bool shut = files > (link->doors.shut ? link->files_max / 2 : link->files_max / 4 * 3);
    if (shut == link->doors.shut) return;
    doors_shut(&link->doors, shut);
    if (shut) count(link, LINK_shut_total);
    log_line(shut ? LOG_WARN : LOG_INFO, shut ? "not_listening" : "listening_again", "files=%llu of=%llu",
        (unsigned long long)files, (unsigned long long)link->files_max);
}

static void work_of_each_second(struct link *link)
{
    link->second_ms = link->mono_ms + 1000;
    guard_files(link);
    refresh_book(link);
    peers_each(&link->peers, check_silence, link);
    tell_noise(link);
    tell_counts(link);
}

void link_work(struct link *link, int64_t wall_ms, int64_t mono_ms)
{
    link->wall_ms = wall_ms;
    link->mono_ms = mono_ms;
    if (link->reload) refresh_book(link);
    link->reload = false;
    for (int i = 0; i < LINK_FRAMES_PER_TURN && zap_answer(link->zap, admit, link); i++) {
    }
    for (int i = 0; i < LINK_FRAMES_PER_TURN && receive_send(link); i++) {
    }
    for (int i = 0; i < LINK_FRAMES_PER_TURN && receive_frame(link); i++) {
    }
    if (mono_ms >= link->second_ms) work_of_each_second(link);
}

void link_reload(struct link *link)
{
    link->reload = true;
}

/* ── Opening and waiting ── */

static int bind_all(struct link *link, const struct link_options *options, struct error *err)
{
    if ((link->zap = zap_bind(link->zmq, err)) == NULL) return -1;
    if ((link->front = front_open(link->zmq, options->key, err)) == NULL) return -1;
    if ((link->out = role_bind(link->zmq, options->run, ROLE_LINK_OUT, err)) == NULL) return -1;
    if ((link->to_engine = role_connect(link->zmq, options->run, ROLE_ENGINE_DATA, err)) == NULL) return -1;
    if ((link->to_store = role_connect(link->zmq, options->run, ROLE_STORE_DATA, err)) == NULL) return -1;
    return doors_open(&link->doors, link->front, options->listen, options->listen_count, options->run, err);
}

struct link *link_open(const struct link_options *options, struct error *err)
{
    struct link *link = check_alloc(sizeof *link);
    link->letter[0] = options->letter;
    link->files_max = options->files_max;
    link->book.path = options->agents_file;
    link->zmq = zmq_ctx_new();
    CHECK(link->zmq != NULL);
    refresh_book(link); /* a wrong book is told, and admits nobody until it is mended */
    if (bind_all(link, options, err) == 0) return link;
    link_close(link);
    return NULL;
}

void link_close(struct link *link)
{
    if (link == NULL) return;
    void *const sockets[] = {link->front, link->out, link->to_engine, link->to_store, link->zap};
    for (size_t i = 0; i < ARRAY_COUNT(sockets); i++)
        if (sockets[i] != NULL) zmq_close(sockets[i]);
    zmq_ctx_term(link->zmq);
    peers_fini(&link->peers);
    book_fini(&link->book);
    arena_fini(&link->arena);
    buffer_fini(&link->frame);
    buffer_fini(&link->payload);
    buffer_fini(&link->second);
    free(link);
}

const char *link_endpoint(const struct link *link, size_t i)
{
    return link->doors.endpoints[i];
}

static bool takes_messages(void *socket)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLOUT) != 0;
}

bool link_reaches_roles(const struct link *link)
{
    return takes_messages(link->to_engine) && takes_messages(link->to_store);
}

int link_wait(struct link *link, int fd, int timeout_ms, struct error *err)
{
    zmq_pollitem_t items[] = {
        {.socket = link->zap, .events = ZMQ_POLLIN},
        {.socket = link->front, .events = ZMQ_POLLIN},
        {.socket = link->out, .events = ZMQ_POLLIN},
        {.fd = fd, .events = ZMQ_POLLIN},
    };
    int count_items = (int)ARRAY_COUNT(items) - (fd < 0);
    if (zmq_poll(items, count_items, timeout_ms) >= 0 || zmq_errno() == EINTR) return 0;
    return fail(err, ERROR_IO, "wait: %s", zmq_strerror(zmq_errno()));
}

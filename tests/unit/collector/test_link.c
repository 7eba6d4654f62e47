#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "collector/contract/roles.h"
#include "collector/link/link.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/file.h"
#include "proto/wire.h"
#include "tests/support/scratch.h"
#include "tests/support/unit.h"

#define AGENTS      3
#define DEADLINE_MS 5000
#define WALL_MS     1795400000000

/* A link between real CURVE clients and the sockets of engine and store, in a directory of its own. */
struct site {
    char directory[SCRATCH_SIZE], book_path[96];
    struct key_pair collector, agents[AGENTS], stranger;
    void *zmq; /* of agents, engine and store */
    void *engine, *store;
    struct link *link;
    uint64_t files_max;
    int64_t later_ms; /* added to the clock that link is given */
    struct role_header header;
    struct buffer payload, second;
};

static void turn(struct site *site)
{
    CU_ASSERT_EQUAL_FATAL(link_wait(site->link, -1, 2, NULL), 0);
    link_work(site->link, WALL_MS + site->later_ms, clock_mono_ms() + site->later_ms);
}

/* ── What to wait for: each returns whether it has happened ── */

#define UNTIL(site, condition)                                                                               \
    do {                                                                                                     \
        int64_t deadline_ms_ = clock_mono_ms() + DEADLINE_MS;                                                \
        bool happened_;                                                                                      \
        while (!(happened_ = (condition)) && clock_mono_ms() < deadline_ms_) turn(site);                     \
        if (!happened_) CU_FAIL_FATAL("waited in vain for " #condition);                                     \
    } while (0)

static void make_pair(struct key_pair *pair)
{
    CU_ASSERT_EQUAL_FATAL(zmq_curve_keypair(pair->public_key, pair->secret_key), 0);
}

static void write_book(struct site *site, size_t agents)
{
    struct buffer text = {0};
    for (size_t i = 0; i < agents; i++)
        buffer_format(&text, NULL, "app%zu %s\n", i + 1, site->agents[i].public_key);
    CU_ASSERT_EQUAL_FATAL(file_write_atomic(site->book_path, buffer_span(&text), 0644, NULL), 0);
    buffer_fini(&text);
}

static void open_link(struct site *site)
{
    static const char *const listen[] = {"tcp://127.0.0.1:*"};
    const struct link_options options = {.listen = listen,
        .listen_count = 1,
        .run = site->directory,
        .agents_file = site->book_path,
        .key = &site->collector,
        .letter = 'A',
        .files_max = site->files_max};
    struct error err = {0};
    site->link = link_open(&options, &err);
    if (site->link == NULL) fprintf(stderr, "%s\n", err.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(site->link);
    UNTIL(site, link_reaches_roles(site->link));
}

static void site_init(struct site *site, uint64_t files_max)
{
    site->files_max = files_max;
    scratch_make(site->directory);
    snprintf(site->book_path, sizeof site->book_path, "%s/agents", site->directory);
    make_pair(&site->collector);
    make_pair(&site->stranger);
    for (size_t i = 0; i < AGENTS; i++) make_pair(&site->agents[i]);
    write_book(site, AGENTS);
    site->zmq = zmq_ctx_new();
    struct error err = {0};
    site->engine = role_bind(site->zmq, site->directory, ROLE_ENGINE_DATA, &err);
    site->store = role_bind(site->zmq, site->directory, ROLE_STORE_DATA, &err);
    open_link(site);
}

static struct site *site_new(void)
{
    struct site *site = check_alloc(sizeof *site);
    site_init(site, 0);
    return site;
}

static void site_free(struct site *site)
{
    link_close(site->link);
    zmq_close(site->engine);
    zmq_close(site->store);
    zmq_ctx_term(site->zmq);
    scratch_remove(site->directory);
    buffer_fini(&site->payload);
    buffer_fini(&site->second);
    free(site);
}

/* The next message of this kind at engine or store; others are skipped. */
static bool got(struct site *site, void *socket, enum role_message message)
{
    while (role_receive(socket, NULL, &site->header, &site->payload, &site->second, NULL) == 1)
        if (site->header.message == (uint32_t)message) return true;
    return false;
}

static bool counted(struct site *site, enum link_count what, uint64_t at_least)
{
    return link_count(site->link, what) >= at_least;
}

/* ── Agents ── */

static void *client_new(struct site *site, const struct key_pair *pair, const char *server_key)
{
    void *socket = zmq_socket(site->zmq, ZMQ_DEALER);
    int linger = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    if (pair != NULL) {
        CU_ASSERT_EQUAL_FATAL(zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server_key, 40), 0);
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, pair->public_key, 40);
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, pair->secret_key, 40);
    }
    CU_ASSERT_EQUAL_FATAL(zmq_connect(socket, link_endpoint(site->link, 0)), 0);
    return socket;
}

static void *agent_new(struct site *site, size_t i)
{
    return client_new(site, &site->agents[i], site->collector.public_key);
}

static void send_bytes(void *socket, struct span frame, int flags)
{
    CU_ASSERT_EQUAL(zmq_send(socket, frame.data, frame.size, flags), (int)frame.size);
}

static struct buffer hello_frame(void)
{
    const struct wire_from_agent message = {.kind = WIRE_HELLO,
        .hello = {.protocol = WIRE_PROTOCOL, .version = "test", .wall_ms = WALL_MS, .next_sequence = 1}};
    struct buffer frame = {0};
    CU_ASSERT_EQUAL_FATAL(wire_encode_from_agent(&message, &frame, NULL), 0);
    return frame;
}

static struct buffer batch_frame(uint64_t sequence)
{
    const uint32_t series[] = {1};
    const int64_t times_ms[] = {WALL_MS}, ints[] = {42};
    const struct wire_rows rows = {
        .series = series, .series_count = 1, .times_ms = times_ms, .time_count = 1, .ints = ints};
    const struct wire_from_agent message = {.kind = WIRE_BATCH,
        .batch = {
            .incarnation = 7, .sequence = sequence, .base_ms = WALL_MS, .rows = &rows, .rows_count = 1}};
    struct buffer frame = {0};
    CU_ASSERT_EQUAL_FATAL(wire_encode_from_agent(&message, &frame, NULL), 0);
    return frame;
}

static void say_hello(void *socket)
{
    struct buffer frame = hello_frame();
    send_bytes(socket, buffer_span(&frame), 0);
    buffer_fini(&frame);
}

static void send_batch(void *socket, uint64_t sequence)
{
    struct buffer frame = batch_frame(sequence);
    send_bytes(socket, buffer_span(&frame), 0);
    buffer_fini(&frame);
}

/* Whether a message of this kind has arrived at the agent. */
static bool heard(void *socket, enum wire_from_collector_kind kind)
{
    static uint8_t bytes[LIMIT_FRAME_BYTES];
    struct arena arena = {0};
    bool found = false;
    int size;
    while (!found && (size = zmq_recv(socket, bytes, sizeof bytes, ZMQ_DONTWAIT)) >= 0) {
        struct wire_from_collector message;
        int decoded = wire_decode_from_collector(span_of(bytes, (size_t)size), &arena, &message, NULL);
        CU_ASSERT_EQUAL(decoded, 0);
        found = decoded == 0 && message.kind == kind;
        if (found && kind == WIRE_WELCOME) {
            CU_ASSERT_STRING_EQUAL(message.welcome.collector, "A");
            CU_ASSERT_EQUAL(message.welcome.credit, LINK_CREDIT);
        }
    }
    arena_fini(&arena);
    return found;
}

/* The proof that nothing else was hurt: agent 3 goes through all of it. */
static void assert_a_legitimate_agent_goes_on(struct site *site)
{
    void *agent = agent_new(site, 2);
    say_hello(agent);
    UNTIL(site, heard(agent, WIRE_WELCOME));
    send_batch(agent, 1);
    UNTIL(site, got(site, site->store, ROLE_FRAME) && strcmp(site->header.host, "app3") == 0);
    zmq_close(agent);
}

/* ── Cases ── */

static void hello_is_welcomed_and_told_to_the_engine(void)
{
    struct site *site = site_new();
    void *agent = agent_new(site, 0);
    say_hello(agent);
    UNTIL(site, heard(agent, WIRE_WELCOME));
    UNTIL(site, got(site, site->engine, ROLE_AGENT_UP));
    CU_ASSERT_STRING_EQUAL(site->header.host, "app1");
    CU_ASSERT_STRING_EQUAL(site->header.key, site->agents[0].public_key);
    CU_ASSERT_EQUAL(site->header.arrival_ms, WALL_MS);
    struct buffer expected = hello_frame();
    CU_ASSERT(span_equal(buffer_span(&site->payload), buffer_span(&expected)));
    buffer_fini(&expected);
    CU_ASSERT(counted(site, LINK_connected, 1));
    zmq_close(agent);
    site_free(site);
}

static void batches_reach_engine_and_store_with_the_host_of_the_key(void)
{
    struct site *site = site_new();
    void *agent = agent_new(site, 1);
    say_hello(agent);
    send_batch(agent, 1);
    struct buffer expected = batch_frame(1);
    void *const receivers[] = {site->engine, site->store};
    for (size_t i = 0; i < 2; i++) {
        UNTIL(site, got(site, receivers[i], ROLE_FRAME));
        CU_ASSERT_STRING_EQUAL(site->header.host, "app2");
        CU_ASSERT(span_equal(buffer_span(&site->payload), buffer_span(&expected)));
    }
    CU_ASSERT_EQUAL(link_count(site->link, LINK_samples_total), 1);
    buffer_fini(&expected);
    zmq_close(agent);
    site_free(site);
}

static void what_engine_and_store_send_goes_to_the_newest_connection(void)
{
    struct site *site = site_new();
    void *first = agent_new(site, 0);
    say_hello(first);
    UNTIL(site, heard(first, WIRE_WELCOME));
    void *second = agent_new(site, 0);
    say_hello(second);
    UNTIL(site, heard(second, WIRE_WELCOME));
    UNTIL(site, got(site, site->engine, ROLE_AGENT_DOWN));

    void *out = role_connect(site->zmq, site->directory, ROLE_LINK_OUT, NULL);
    const struct wire_from_collector message = {.kind = WIRE_NEED_DICT, .need_dict = {.incarnation = 7}};
    struct buffer frame = {0};
    CU_ASSERT_EQUAL_FATAL(wire_encode_from_collector(&message, &frame, NULL), 0);
    struct role_header header = role_header_of(ROLE_SEND, WALL_MS);
    snprintf(header.key, sizeof header.key, "%s", site->agents[0].public_key);
    UNTIL(site, role_send(out, NULL, &header, buffer_span(&frame), span_of(NULL, 0), NULL) == 0);
    UNTIL(site, heard(second, WIRE_NEED_DICT));
    CU_ASSERT_FALSE(heard(first, WIRE_NEED_DICT));

    /* The old connection may still send data; answers keep going to the new one. */
    send_batch(first, 1);
    UNTIL(site, got(site, site->store, ROLE_FRAME));
    UNTIL(site, role_send(out, NULL, &header, buffer_span(&frame), span_of(NULL, 0), NULL) == 0);
    UNTIL(site, heard(second, WIRE_NEED_DICT));

    /* When it has gone, the next message finds out. */
    zmq_close(second);
    UNTIL(site, (role_send(out, NULL, &header, buffer_span(&frame), span_of(NULL, 0), NULL),
                    got(site, site->engine, ROLE_AGENT_DOWN)));
    CU_ASSERT_EQUAL(link_count(site->link, LINK_connected), 0);
    buffer_fini(&frame);
    zmq_close(first);
    zmq_close(out);
    site_free(site);
}

static void silence_of_15_seconds_is_told(void)
{
    struct site *site = site_new();
    void *agent = agent_new(site, 0);
    say_hello(agent);
    UNTIL(site, heard(agent, WIRE_WELCOME));
    UNTIL(site, got(site, site->engine, ROLE_AGENT_UP));
    site->later_ms = LINK_SILENT_MS - 2000;
    turn(site);
    CU_ASSERT_EQUAL(link_count(site->link, LINK_down_total), 0);
    site->later_ms = LINK_SILENT_MS + 5000;
    UNTIL(site, got(site, site->engine, ROLE_AGENT_DOWN));
    /* It speaks again without a greeting: data is taken, and a greeting asked for. */
    send_batch(agent, 2);
    UNTIL(site, heard(agent, WIRE_RETRY_AFTER));
    UNTIL(site, got(site, site->engine, ROLE_FRAME));
    zmq_close(agent);
    site_free(site);
}

static void unknown_keys_are_denied(void)
{
    struct site *site = site_new();
    void *stranger = client_new(site, &site->stranger, site->collector.public_key);
    say_hello(stranger);
    UNTIL(site, counted(site, LINK_denied_total, 1));
    assert_a_legitimate_agent_goes_on(site);
    CU_ASSERT_EQUAL(link_count(site->link, LINK_hellos_total), 1);
    zmq_close(stranger);
    site_free(site);
}

static void a_crowd_of_strangers_keeps_nobody_out(void)
{
    struct site *site = site_new();
    void *strangers[60];
    for (size_t i = 0; i < ARRAY_COUNT(strangers); i++) {
        make_pair(&site->stranger);
        strangers[i] = client_new(site, &site->stranger, site->collector.public_key);
        say_hello(strangers[i]);
    }
    assert_a_legitimate_agent_goes_on(site);
    UNTIL(site, counted(site, LINK_denied_total, ARRAY_COUNT(strangers)));
    CU_ASSERT_EQUAL(link_count(site->link, LINK_frames_total), 2); /* of the legitimate one */
    for (size_t i = 0; i < ARRAY_COUNT(strangers); i++) zmq_close(strangers[i]);
    site_free(site);
}

static void clients_without_a_key_or_with_the_wrong_server_key_never_get_in(void)
{
    struct site *site = site_new();
    void *plain = client_new(site, NULL, NULL);
    void *deceived = client_new(site, &site->agents[0], site->stranger.public_key);
    say_hello(plain);
    say_hello(deceived);
    assert_a_legitimate_agent_goes_on(site);
    CU_ASSERT_EQUAL(link_count(site->link, LINK_frames_total), 2); /* of the legitimate one */
    zmq_close(plain);
    zmq_close(deceived);
    site_free(site);
}

static void a_revoked_key_stops_with_the_next_message(void)
{
    struct site *site = site_new();
    void *agent = agent_new(site, 2);
    say_hello(agent);
    UNTIL(site, heard(agent, WIRE_WELCOME));
    write_book(site, 2);
    link_reload(site->link);
    UNTIL(site, got(site, site->engine, ROLE_AGENT_DOWN));
    send_batch(agent, 1);
    UNTIL(site, counted(site, LINK_revoked_total, 1));
    CU_ASSERT_FALSE(got(site, site->store, ROLE_FRAME));
    /* Enrolled again it goes on, over the same connection. The change is seen without a signal, within a
     * second. */
    write_book(site, AGENTS);
    site->later_ms = 2000;
    UNTIL(site, counted(site, LINK_enrolled, AGENTS));
    send_batch(agent, 2);
    UNTIL(site, got(site, site->store, ROLE_FRAME));
    zmq_close(agent);
    site_free(site);
}

static void a_broken_book_leaves_the_old_one_in_force(void)
{
    struct site *site = site_new();
    struct span nonsense = span_text("this is no book\n");
    CU_ASSERT_EQUAL_FATAL(file_write_atomic(site->book_path, nonsense, 0644, NULL), 0);
    link_reload(site->link);
    UNTIL(site, counted(site, LINK_book_errors_total, 1));
    assert_a_legitimate_agent_goes_on(site);
    CU_ASSERT_EQUAL(link_count(site->link, LINK_book_errors_total), 1);
    site_free(site);
}

/* A TCP connection to link, -1 if it does not come about at once. */
static int connect_raw(struct site *site)
{
    unsigned port = 0;
    CU_ASSERT_EQUAL_FATAL(sscanf(link_endpoint(site->link, 0), "tcp://127.0.0.1:%u", &port), 1);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CU_ASSERT_FATAL(fd >= 0);
    connect(fd, (struct sockaddr *)&address, sizeof address);
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    if (poll(&ready, 1, 50) == 1 && !(ready.revents & (POLLERR | POLLHUP))) return fd;
    close(fd);
    return -1;
}

static bool kept_out(struct site *site)
{
    int fd = connect_raw(site);
    if (fd >= 0) close(fd);
    return fd < 0;
}

static void link_stops_listening_before_descriptors_run_out(void)
{
    struct site *site = check_alloc(sizeof *site);
    site_init(site, 400);
    void *agent = agent_new(site, 0);
    say_hello(agent);
    UNTIL(site, heard(agent, WIRE_WELCOME));
    int sockets[300]; /* two descriptors each, as both ends are in this process */
    size_t count = 0;
    while (count < ARRAY_COUNT(sockets) && (sockets[count] = connect_raw(site)) >= 0) {
        count++;
        if (count % 20 == 0) turn(site);
    }
    CU_ASSERT(count > 100);
    site->later_ms += 2000;
    UNTIL(site, (site->later_ms += 100, counted(site, LINK_shut_total, 1)));
    UNTIL(site, kept_out(site));
    send_batch(agent, 1); /* who is in goes on */
    UNTIL(site, got(site, site->store, ROLE_FRAME));
    while (count > 0) close(sockets[--count]);
    UNTIL(site, (site->later_ms += 100, !kept_out(site)));
    assert_a_legitimate_agent_goes_on(site);
    CU_ASSERT_EQUAL(link_count(site->link, LINK_shut_total), 1);
    zmq_close(agent);
    site_free(site);
}

static void garbage_on_the_port_hurts_nobody(void)
{
    struct site *site = site_new();
    int sockets[20];
    for (size_t i = 0; i < ARRAY_COUNT(sockets); i++) {
        sockets[i] = connect_raw(site);
        CU_ASSERT_FATAL(sockets[i] >= 0);
        char garbage[1000];
        memset(garbage, i % 2 ? 0xFF : 'G', sizeof garbage);
        /* Every third one says nothing at all, and one begins like ZMTP 3.0 with CURVE. */
        if (i == 1) memcpy(garbage, "\xFF\0\0\0\0\0\0\0\1\x7F\3\0CURVE", 17);
        if (i % 3 != 0) send(sockets[i], garbage, sizeof garbage, MSG_NOSIGNAL);
    }
    assert_a_legitimate_agent_goes_on(site);
    CU_ASSERT_EQUAL(link_count(site->link, LINK_frames_total), 2);
    for (size_t i = 0; i < ARRAY_COUNT(sockets); i++) close(sockets[i]);
    site_free(site);
}

static void oversized_frames_cost_the_connection(void)
{
    struct site *site = site_new();
    void *agent = agent_new(site, 0);
    say_hello(agent);
    UNTIL(site, heard(agent, WIRE_WELCOME));
    static const uint8_t zeros[LIMIT_FRAME_BYTES + 1000];
    send_bytes(agent, span_of(zeros, sizeof zeros), 0);
    /* libzmq cuts the connection; the agent's comes back, and what is within bounds passes. */
    assert_a_legitimate_agent_goes_on(site);
    CU_ASSERT_EQUAL(link_count(site->link, LINK_malformed_total), 0);
    UNTIL(site, (send_batch(agent, 1), got(site, site->store, ROLE_FRAME)));
    zmq_close(agent);
    site_free(site);
}

static void a_frame_just_above_the_limit_is_refused_and_counted(void)
{
    struct site *site = site_new();
    void *agent = agent_new(site, 0);
    static const uint8_t zeros[LIMIT_FRAME_BYTES + 1];
    send_bytes(agent, span_of(zeros, sizeof zeros), 0);
    UNTIL(site, counted(site, LINK_over_limit_total, 1));
    assert_a_legitimate_agent_goes_on(site);
    zmq_close(agent);
    site_free(site);
}

static void messages_of_several_frames_are_dropped_whole(void)
{
    struct site *site = site_new();
    void *agent = agent_new(site, 0);
    say_hello(agent);
    UNTIL(site, heard(agent, WIRE_WELCOME));
    struct buffer frame = batch_frame(1);
    for (int i = 0; i < 50; i++) send_bytes(agent, buffer_span(&frame), ZMQ_SNDMORE);
    send_bytes(agent, buffer_span(&frame), 0);
    UNTIL(site, counted(site, LINK_multipart_total, 1));
    /* One that never ends, and one that is broken off. */
    void *other = agent_new(site, 1);
    say_hello(other);
    UNTIL(site, heard(other, WIRE_WELCOME));
    for (int i = 0; i < 50; i++) send_bytes(other, buffer_span(&frame), ZMQ_SNDMORE);
    send_bytes(agent, buffer_span(&frame), ZMQ_SNDMORE);
    zmq_close(agent);
    assert_a_legitimate_agent_goes_on(site);
    CU_ASSERT_EQUAL(link_count(site->link, LINK_batches_total), 1);
    buffer_fini(&frame);
    zmq_close(other);
    site_free(site);
}

static void an_agent_of_too_many_wrong_frames_is_ignored_for_a_while(void)
{
    struct site *site = site_new();
    void *agent = agent_new(site, 0);
    say_hello(agent);
    UNTIL(site, heard(agent, WIRE_WELCOME));
    struct buffer frame = batch_frame(1);
    struct span truncated = span_of(frame.data, frame.size - 1);
    for (int i = 0; i < LINK_WRONG_MAX; i++) send_bytes(agent, truncated, 0);
    UNTIL(site, heard(agent, WIRE_RETRY_AFTER));
    CU_ASSERT_EQUAL(link_count(site->link, LINK_malformed_total), LINK_WRONG_MAX);
    send_bytes(agent, buffer_span(&frame), 0);
    UNTIL(site, counted(site, LINK_ignored_total, 1));
    assert_a_legitimate_agent_goes_on(site);
    CU_ASSERT_FALSE(got(site, site->store, ROLE_FRAME));
    site->later_ms = LINK_IGNORE_MS + 1000;
    turn(site);
    send_bytes(agent, buffer_span(&frame), 0);
    UNTIL(site, got(site, site->store, ROLE_FRAME));
    buffer_fini(&frame);
    zmq_close(agent);
    site_free(site);
}

static void counts_go_to_the_engine_each_second(void)
{
    struct site *site = site_new();
    UNTIL(site, got(site, site->engine, ROLE_COUNTS));
    const char *text = buffer_text(&site->payload);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "{\"link_frames_total\":0,"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"link_enrolled\":3"));
    site_free(site);
}

static void a_store_that_does_not_read_costs_only_its_own_frames(void)
{
    struct site *site = site_new();
    zmq_close(site->store); /* gone: nothing is queued for it (ZMQ_IMMEDIATE) */
    void *agent = agent_new(site, 0);
    say_hello(agent);
    UNTIL(site, heard(agent, WIRE_WELCOME));
    UNTIL(site, (send_batch(agent, 1), counted(site, LINK_store_dropped_total, 1)));
    UNTIL(site, got(site, site->engine, ROLE_FRAME));
    site->store = role_bind(site->zmq, site->directory, ROLE_STORE_DATA, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(site->store);
    UNTIL(site, (send_batch(agent, 2), got(site, site->store, ROLE_FRAME)));
    zmq_close(agent);
    site_free(site);
}

static void the_endpoints_stand_in_a_file(void)
{
    struct site *site = site_new();
    char path[96], expected[160];
    snprintf(path, sizeof path, "%s/link.endpoints", site->directory);
    snprintf(expected, sizeof expected, "%s\n", link_endpoint(site->link, 0));
    struct buffer text = {0};
    CU_ASSERT_EQUAL_FATAL(file_read(path, 1000, &text, NULL), 0);
    CU_ASSERT_STRING_EQUAL(buffer_text(&text), expected);
    CU_ASSERT_PTR_NULL(strchr(expected, '*'));
    buffer_fini(&text);
    site_free(site);
}

static void a_link_that_comes_back_is_found_where_it_was(void)
{
    struct site *site = site_new();
    char before[128];
    snprintf(before, sizeof before, "%s", link_endpoint(site->link, 0));
    void *agent = agent_new(site, 0);
    say_hello(agent);
    UNTIL(site, heard(agent, WIRE_WELCOME));
    link_close(site->link);
    open_link(site);
    CU_ASSERT_STRING_EQUAL(link_endpoint(site->link, 0), before);
    /* The agent's socket reconnects by itself; what it sends without a greeting counts, and a greeting is
     * asked for. */
    UNTIL(site, (send_batch(agent, 1), got(site, site->store, ROLE_FRAME)));
    UNTIL(site, heard(agent, WIRE_RETRY_AFTER));
    say_hello(agent);
    UNTIL(site, heard(agent, WIRE_WELCOME));
    zmq_close(agent);
    site_free(site);
}

UNIT_MAIN("link", {"a hello is welcomed and told to the engine", hello_is_welcomed_and_told_to_the_engine},
    {"batches reach engine and store with the host of the key",
        batches_reach_engine_and_store_with_the_host_of_the_key},
    {"what engine and store send goes to the newest connection",
        what_engine_and_store_send_goes_to_the_newest_connection},
    {"silence of 15 seconds is told", silence_of_15_seconds_is_told},
    {"unknown keys are denied", unknown_keys_are_denied},
    {"a crowd of strangers keeps nobody out", a_crowd_of_strangers_keeps_nobody_out},
    {"clients without a key or with the wrong server key never get in",
        clients_without_a_key_or_with_the_wrong_server_key_never_get_in},
    {"a revoked key stops with the next message", a_revoked_key_stops_with_the_next_message},
    {"a broken book leaves the old one in force", a_broken_book_leaves_the_old_one_in_force},
    {"garbage on the port hurts nobody", garbage_on_the_port_hurts_nobody},
    {"link stops listening before descriptors run out", link_stops_listening_before_descriptors_run_out},
    {"oversized frames cost the connection", oversized_frames_cost_the_connection},
    {"a frame just above the limit is refused and counted",
        a_frame_just_above_the_limit_is_refused_and_counted},
    {"messages of several frames are dropped whole", messages_of_several_frames_are_dropped_whole},
    {"an agent of too many wrong frames is ignored for a while",
        an_agent_of_too_many_wrong_frames_is_ignored_for_a_while},
    {"counts go to the engine each second", counts_go_to_the_engine_each_second},
    {"a store that does not read costs only its own frames",
        a_store_that_does_not_read_costs_only_its_own_frames},
    {"the endpoints stand in a file", the_endpoints_stand_in_a_file},
    {"a link that comes back is found where it was", a_link_that_comes_back_is_found_where_it_was})

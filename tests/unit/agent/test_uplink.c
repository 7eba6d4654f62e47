/* The uplink against a ROUTER with CURVE on loopback: real sockets, a clock that the test moves. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "agent/helper/helper.h"
#include "agent/uplink/uplink.h"
#include "agent/uplink/window.h"
#include "common/check.h"
#include "common/clock.h"
#include "tests/support/unit.h"

#define DEADLINE_MS 20000
#define CREDIT      8

/* The other side: decodes what comes, answers as the test says. */
struct collector {
    void *context, *router;
    struct key_pair key;
    char endpoint[64];
    char peer[64]; /* routing id of the newest connection */
    size_t peer_size;
    unsigned hellos, batches;
    uint64_t sequences[4096];
    uint64_t oldest;
    bool acks;
    bool welcomes;
    unsigned lose; /* so many of the next batches never reach the store: its process was just killed */
    struct received received;
};

struct fixture {
    struct collector collector;
    struct key_pair key;
    struct spool *spool;
    struct uplink *uplink;
    int64_t now_ms;
    unsigned plans, bursts, dictionaries, watched;
    size_t targets;
    char letter[8];
};

static void make_keys(struct key_pair *pair)
{
    CHECK(zmq_curve_keypair(pair->public_key, pair->secret_key) == 0);
}

static void collector_open(struct collector *c, const char *endpoint)
{
    c->router = zmq_socket(c->context, ZMQ_ROUTER);
    const int one = 1, none = 0;
    zmq_setsockopt(c->router, ZMQ_CURVE_SERVER, &one, sizeof one);
    zmq_setsockopt(c->router, ZMQ_CURVE_SECRETKEY, c->key.secret_key, KEYS_TEXT_SIZE);
    zmq_setsockopt(c->router, ZMQ_LINGER, &none, sizeof none);
    CU_ASSERT_EQUAL_FATAL(zmq_bind(c->router, endpoint), 0);
    size_t size = sizeof c->endpoint;
    zmq_getsockopt(c->router, ZMQ_LAST_ENDPOINT, c->endpoint, &size);
    c->welcomes = c->acks = true;
}

static void collector_say(struct collector *c, const struct wire_from_collector *message)
{
    struct buffer frame = {0};
    struct error err = {0};
    int encoded = wire_encode_from_collector(message, &frame, &err);
    if (encoded != 0) fprintf(stderr, "%s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(encoded, 0);
    zmq_send(c->router, c->peer, c->peer_size, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(c->router, frame.data, frame.size, ZMQ_DONTWAIT);
    buffer_fini(&frame);
}

static void collector_acknowledge(struct collector *c, const struct wire_batch *batch)
{
    CU_ASSERT_EQUAL(received_add(&c->received, batch->sequence, batch->sequence, NULL), 0);
    struct wire_from_collector ack = {.kind = WIRE_ACK,
        .ack = {.incarnation = batch->incarnation,
            .floor = c->received.floor,
            .credit = CREDIT,
            .range_count = c->received.range_count,
            .echo_mono_ms = batch->sent_mono_ms,
            .wall_ms = 1795400000000}};
    memcpy(ack.ack.ranges, c->received.ranges, sizeof ack.ack.ranges);
    if (c->acks) collector_say(c, &ack);
}

static void collector_take(struct collector *c, struct span frame)
{
    struct arena arena = {0};
    struct wire_from_agent message;
    struct error err = {0};
    CU_ASSERT_EQUAL_FATAL(wire_decode_from_agent(frame, &arena, &message, &err), 0);
    if (message.kind == WIRE_HELLO) {
        c->hellos++;
        c->oldest = message.hello.oldest_sequence;
        if (c->welcomes)
            collector_say(
                c, &(struct wire_from_collector){.kind = WIRE_WELCOME,
                       .welcome = {
                           .collector = "A", .host = "app1", .wall_ms = 1795400000000, .credit = CREDIT}});
    } else if (c->lose > 0) {
        c->lose--;
    } else {
        CHECK(c->batches < ARRAY_COUNT(c->sequences));
        c->sequences[c->batches++] = message.batch.sequence;
        collector_acknowledge(c, &message.batch);
    }
    arena_fini(&arena);
}

static void collector_work(struct collector *c)
{
    if (c->router == NULL) return;
    for (;;) {
        char peer[64];
        int n = zmq_recv(c->router, peer, sizeof peer, ZMQ_DONTWAIT);
        if (n < 0) return;
        c->peer_size = (size_t)n;
        memcpy(c->peer, peer, c->peer_size);
        static uint8_t frame[LIMIT_FRAME_BYTES];
        n = zmq_recv(c->router, frame, sizeof frame, ZMQ_DONTWAIT);
        CHECK(n >= 0);
        collector_take(c, span_of(frame, (size_t)n));
    }
}

static void on_plan(void *owner, const char *collector, const struct wire_target *targets, size_t count)
{
    struct fixture *f = owner;
    (void)targets;
    f->plans++;
    f->targets = count;
    snprintf(f->letter, sizeof f->letter, "%s", collector);
}

static void on_burst(void *owner, const struct wire_burst *burst)
{
    ((struct fixture *)owner)->bursts += burst->key_count == 2;
}

static void on_need_dictionary(void *owner)
{
    ((struct fixture *)owner)->dictionaries++;
}

static void on_watch(void *owner, int fd, bool on)
{
    CU_ASSERT(fd >= 0);
    ((struct fixture *)owner)->watched += on ? 1u : -1u;
}

static void begin_at(struct fixture *f, const char *address)
{
    *f = (struct fixture){.now_ms = 1000};
    CU_ASSERT_EQUAL_FATAL(helper_init(NULL), 0);
    f->collector.context = zmq_ctx_new();
    make_keys(&f->collector.key);
    make_keys(&f->key);
    collector_open(&f->collector, "tcp://127.0.0.1:*");
    f->spool = spool_open(&(struct spool_options){.random = 77}, NULL);
    char own[64];
    if (address != NULL) {
        snprintf(own, sizeof own, "%s%s", address, strrchr(f->collector.endpoint, ':'));
        address = own;
    }
    const struct uplink_collector collectors[] = {
        {.address = address != NULL ? address : f->collector.endpoint, .key = f->collector.key.public_key}};
    const struct uplink_sink sink = {.owner = f,
        .plan = on_plan,
        .burst = on_burst,
        .need_dictionary = on_need_dictionary,
        .watch = on_watch};
    f->uplink = uplink_new(
        &(struct uplink_options){
            .collectors = collectors, .collector_count = 1, .key = &f->key, .spool = f->spool, .random = 99},
        &sink, NULL);
}

static void begin(struct fixture *f)
{
    begin_at(f, NULL);
}

static void collector_close(struct collector *c)
{
    if (c->router != NULL) zmq_close(c->router);
    c->router = NULL;
}

static void end(struct fixture *f)
{
    uplink_free(f->uplink);
    CU_ASSERT_EQUAL(f->watched, 0);
    spool_close(f->spool);
    collector_close(&f->collector);
    zmq_ctx_term(f->collector.context);
    helper_fini();
}

static void work(struct fixture *f)
{
    uplink_work(f->uplink, f->now_ms, 1795400000000);
    collector_work(&f->collector);
}

/* Works at the present fake moment until something is so. */
#define UNTIL(f, condition)                                                                                  \
    do {                                                                                                     \
        for (int64_t stop_ = clock_mono_ms() + DEADLINE_MS; !(condition) && clock_mono_ms() < stop_;) {      \
            work(f);                                                                                         \
            poll(NULL, 0, 1);                                                                                \
        }                                                                                                    \
        CU_ASSERT(condition);                                                                                \
    } while (0)

/* The same, and fake time passes 20 ms with every look. */
#define UNTIL_PASSING(f, condition)                                                                          \
    do {                                                                                                     \
        for (int64_t stop_ = clock_mono_ms() + DEADLINE_MS; !(condition) && clock_mono_ms() < stop_;) {      \
            (f)->now_ms += 20;                                                                               \
            work(f);                                                                                         \
            poll(NULL, 0, 1);                                                                                \
        }                                                                                                    \
        CU_ASSERT(condition);                                                                                \
    } while (0)

static void produce(struct fixture *f)
{
    struct buffer frame = {0};
    const int64_t value = 1, time_ms = 1795400000000;
    const uint32_t id = 1;
    const struct wire_rows rows = {
        .series = &id, .series_count = 1, .times_ms = &time_ms, .time_count = 1, .ints = &value};
    uint64_t sequence = spool_next_sequence(f->spool);
    const struct wire_from_agent message = {.kind = WIRE_BATCH,
        .batch = {.incarnation = spool_incarnation(f->spool),
            .sequence = sequence,
            .base_ms = time_ms,
            .sent_wall_ms = time_ms,
            .sent_mono_ms = f->now_ms,
            .rows = &rows,
            .rows_count = 1}};
    CU_ASSERT_EQUAL_FATAL(wire_encode_from_agent(&message, &frame, NULL), 0);
    CU_ASSERT_EQUAL(spool_append(f->spool, buffer_span(&frame), 1, NULL), 0);
    uplink_send(f->uplink, sequence, buffer_span(&frame), f->now_ms);
    buffer_fini(&frame);
}

static uint64_t waiting(const struct fixture *f)
{
    struct spool_sizes sizes;
    spool_sizes(f->spool, &sizes);
    return sizes.batches;
}

static void greets_sends_and_forgets_what_is_acknowledged(void)
{
    struct fixture f;
    begin(&f);
    UNTIL(&f, uplink_connected(f.uplink) == 1);
    CU_ASSERT_EQUAL(f.collector.hellos, 1);
    for (int i = 0; i < 5; i++) produce(&f);
    UNTIL(&f, waiting(&f) == 0);
    CU_ASSERT_EQUAL(f.collector.batches, 5);
    end(&f);
}

static void names_are_resolved_by_a_helper(void)
{
    struct fixture f;
    begin_at(&f, "tcp://localhost");
    UNTIL(&f, uplink_connected(f.uplink) == 1);
    end(&f);
}

static void the_backlog_follows_at_ten_a_second_and_live_goes_first(void)
{
    struct fixture f;
    begin(&f);
    for (int i = 0; i < 100; i++) produce(&f); /* not connected yet */
    UNTIL(&f, uplink_connected(f.uplink) == 1);
    int64_t start_ms = f.now_ms;
    f.now_ms += 1;
    produce(&f);
    UNTIL(&f, waiting(&f) <= 99);
    unsigned live_at = 0;
    while (f.collector.sequences[live_at] != 101) live_at++;
    CU_ASSERT(live_at <= 1); /* at most one of the backlog was ahead of it */
    UNTIL_PASSING(&f, waiting(&f) == 0);
    CU_ASSERT(f.now_ms - start_ms >= 98 * WINDOW_BACKLOG_MS);
    CU_ASSERT_EQUAL(f.collector.batches, 101); /* each once */
    CU_ASSERT_EQUAL(f.collector.received.floor, 101);
    end(&f);
}

static void never_more_than_the_credit_is_on_its_way(void)
{
    struct fixture f;
    begin(&f);
    UNTIL(&f, uplink_connected(f.uplink) == 1);
    f.collector.acks = false;
    for (int i = 0; i < 30; i++) produce(&f);
    UNTIL(&f, f.collector.batches == CREDIT);
    for (int i = 0; i < 20; i++) {
        f.now_ms += 100;
        work(&f);
        poll(NULL, 0, 1);
    }
    CU_ASSERT_EQUAL(f.collector.batches, CREDIT);
    end(&f);
}

static void a_collector_that_comes_back_gets_what_it_missed(void)
{
    struct fixture f;
    begin(&f);
    UNTIL(&f, uplink_connected(f.uplink) == 1);
    produce(&f);
    UNTIL(&f, waiting(&f) == 0);
    char endpoint[64];
    memcpy(endpoint, f.collector.endpoint, sizeof endpoint);
    collector_close(&f.collector);
    UNTIL(&f, uplink_connected(f.uplink) == 0);
    for (int i = 0; i < 20; i++) produce(&f);
    collector_open(&f.collector, endpoint);
    UNTIL_PASSING(&f, waiting(&f) == 0);
    CU_ASSERT_EQUAL(f.collector.hellos, 2);
    CU_ASSERT_EQUAL(f.collector.oldest, 2);
    CU_ASSERT_EQUAL(f.collector.batches, 21);
    end(&f);
}

static void a_connection_without_acks_is_given_up_after_ten_seconds(void)
{
    struct fixture f;
    begin(&f);
    UNTIL(&f, uplink_connected(f.uplink) == 1);
    f.collector.acks = false;
    produce(&f);
    UNTIL(&f, f.collector.batches == 1);
    f.now_ms += WINDOW_ACK_MS - 1;
    work(&f);
    CU_ASSERT_EQUAL(uplink_connected(f.uplink), 1);
    f.now_ms += 1;
    work(&f);
    CU_ASSERT_EQUAL(uplink_connected(f.uplink), 0);
    f.collector.acks = true;
    UNTIL_PASSING(&f, waiting(&f) == 0);
    CU_ASSERT_EQUAL(f.collector.hellos, 2);
    CU_ASSERT_EQUAL(f.collector.batches, 2); /* the same once more; the collector tells them apart */
    end(&f);
}

static void a_greeting_that_is_not_answered_is_tried_again(void)
{
    struct fixture f;
    begin(&f);
    f.collector.welcomes = false;
    UNTIL(&f, f.collector.hellos == 1);
    f.collector.welcomes = true;
    CU_ASSERT_EQUAL(uplink_connected(f.uplink), 0);
    UNTIL_PASSING(&f, uplink_connected(f.uplink) == 1);
    CU_ASSERT_EQUAL(f.collector.hellos, 2);
    end(&f);
}

static void a_missing_dictionary_is_asked_for_once_and_everything_goes_again(void)
{
    struct fixture f;
    begin(&f);
    UNTIL(&f, uplink_connected(f.uplink) == 1);
    f.collector.acks = false;
    for (int i = 0; i < 3; i++) produce(&f);
    UNTIL(&f, f.collector.batches == 3);
    f.collector.received = (struct received){0};
    const struct wire_from_collector need = {
        .kind = WIRE_NEED_DICT, .need_dict = {.incarnation = spool_incarnation(f.spool)}};
    for (int i = 0; i < 3; i++) collector_say(&f.collector, &need);
    collector_say(
        &f.collector, &(struct wire_from_collector){.kind = WIRE_NEED_DICT, .need_dict = {.incarnation = 1}});
    UNTIL(&f, f.dictionaries == 1);
    f.collector.acks = true;
    f.now_ms += 500;
    work(&f);
    CU_ASSERT_EQUAL(f.collector.batches, 3); /* the backlog waits for the batch with the dictionary */
    produce(&f);
    UNTIL_PASSING(&f, waiting(&f) == 0);
    CU_ASSERT_EQUAL(f.collector.sequences[3], 4);
    CU_ASSERT_EQUAL(f.collector.batches, 7);
    CU_ASSERT_EQUAL(f.dictionaries, 1);
    end(&f);
}

/* Behind link, store and engine are killed and come back while the connection stays. */
static void what_the_collector_lost_goes_again_on_the_same_connection(void)
{
    struct fixture f;
    begin(&f);
    UNTIL(&f, uplink_connected(f.uplink) == 1);
    produce(&f);
    UNTIL(&f, waiting(&f) == 0);
    f.collector.lose = 2;
    produce(&f);
    produce(&f);
    UNTIL(&f, f.collector.lose == 0);
    CU_ASSERT_EQUAL(waiting(&f), 2);
    produce(&f);
    UNTIL_PASSING(&f, waiting(&f) == 0);
    static const uint64_t order[] = {1, 4, 2, 3};
    CU_ASSERT_EQUAL_FATAL(f.collector.batches, ARRAY_COUNT(order));
    for (size_t i = 0; i < ARRAY_COUNT(order); i++) CU_ASSERT_EQUAL(f.collector.sequences[i], order[i]);
    CU_ASSERT_EQUAL(f.collector.hellos, 1);
    end(&f);
}

static void plans_and_bursts_are_handed_on(void)
{
    struct fixture f;
    begin(&f);
    UNTIL(&f, uplink_connected(f.uplink) == 1);
    const struct wire_target target = {.key = 5,
        .probe = PROBE_TCP,
        .url = "tcp://10.0.0.1:80",
        .connect = "",
        .expect_text = "",
        .credentials_file = "",
        .method = "GET",
        .interval_ms = 1000,
        .timeout_ms = 2000,
        .late_after_ms = 500,
        .labels = {{"target", "www"}},
        .label_count = 1};
    for (uint32_t part = 0; part < 2; part++)
        collector_say(&f.collector,
            &(struct wire_from_collector){.kind = WIRE_PLAN,
                .plan = {.version = 3, .part = part, .parts = 2, .targets = &target, .target_count = 1}});
    const uint64_t keys[] = {5, 6};
    collector_say(
        &f.collector, &(struct wire_from_collector){.kind = WIRE_BURST,
                          .burst = {.keys = keys, .key_count = 2, .duration_ms = 3000, .interval_ms = 300}});
    UNTIL(&f, f.plans == 1 && f.bursts == 1);
    CU_ASSERT_EQUAL(f.targets, 2);
    CU_ASSERT_STRING_EQUAL(f.letter, "A");
    end(&f);
}

static void come_back_later_is_obeyed(void)
{
    struct fixture f;
    begin(&f);
    UNTIL(&f, uplink_connected(f.uplink) == 1);
    collector_say(&f.collector, &(struct wire_from_collector){
                                    .kind = WIRE_RETRY_AFTER, .retry_after = {.ms = 5000, .reason = "full"}});
    UNTIL(&f, uplink_connected(f.uplink) == 0);
    int64_t since_ms = f.now_ms;
    UNTIL_PASSING(&f, uplink_connected(f.uplink) == 1);
    CU_ASSERT(f.now_ms - since_ms >= 5000);
    collector_say(&f.collector, &(struct wire_from_collector){.kind = WIRE_RETRY_AFTER,
                                    .retry_after = {.ms = 0, .reason = "say hello first"}});
    f.now_ms += 2000;
    UNTIL(&f, f.collector.hellos == 3);
    CU_ASSERT_EQUAL(uplink_connected(f.uplink), 1);
    end(&f);
}

static void garbage_from_the_collector_does_no_harm(void)
{
    struct fixture f;
    begin(&f);
    UNTIL(&f, uplink_connected(f.uplink) == 1);
    for (int i = 0; i < 50; i++) {
        char noise[100];
        memset(noise, i * 7, sizeof noise);
        zmq_send(f.collector.router, f.collector.peer, f.collector.peer_size, ZMQ_SNDMORE);
        zmq_send(f.collector.router, noise, (size_t)(2 * i), i % 3 == 0 ? ZMQ_SNDMORE : 0);
        if (i % 3 == 0) zmq_send(f.collector.router, noise, 5, 0);
    }
    produce(&f);
    UNTIL(&f, waiting(&f) == 0);
    end(&f);
}

UNIT_MAIN("uplink",
    {"greets, sends and forgets what is acknowledged", greets_sends_and_forgets_what_is_acknowledged},
    {"names are resolved by a helper", names_are_resolved_by_a_helper},
    {"the backlog follows at ten a second and live goes first",
        the_backlog_follows_at_ten_a_second_and_live_goes_first},
    {"never more than the credit is on its way", never_more_than_the_credit_is_on_its_way},
    {"a collector that comes back gets what it missed", a_collector_that_comes_back_gets_what_it_missed},
    {"a connection without acks is given up after ten seconds",
        a_connection_without_acks_is_given_up_after_ten_seconds},
    {"a greeting that is not answered is tried again", a_greeting_that_is_not_answered_is_tried_again},
    {"a missing dictionary is asked for once and everything goes again",
        a_missing_dictionary_is_asked_for_once_and_everything_goes_again},
    {"what the collector lost goes again on the same connection",
        what_the_collector_lost_goes_again_on_the_same_connection},
    {"plans and bursts are handed on", plans_and_bursts_are_handed_on},
    {"come back later is obeyed", come_back_later_is_obeyed},
    {"garbage from the collector does no harm", garbage_from_the_collector_does_no_harm})

/* The store role between a link and a web process, which are played here. */
#include <jansson.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "collector/contract/roles.h"
#include "collector/core/store/store_read.h"
#include "collector/core/store/store_role.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "proto/wire.h"
#include "tests/support/scratch.h"
#include "tests/support/unit.h"

#define DEADLINE_MS 10000
#define KEY         "0123456789012345678901234567890123456789"

static struct {
    char data[SCRATCH_SIZE], run[SCRATCH_SIZE];
    struct config config;
    void *zmq, *control; /* the role's context */
    void *own;           /* of the played ones */
    void *data_out, *link_in, *ask;
    pthread_t thread;
    struct buffer payload, second;
    struct arena arena;
} t;

static void *role_thread(void *unused)
{
    (void)unused;
    return (void *)(intptr_t)store_role_main(t.zmq, &t.config);
}

/* With connections of its own: what goes out on one to the role before would be lost with it. */
static void start_role(void)
{
    struct error err = {0};
    t.data_out = role_connect(t.own, t.run, ROLE_STORE_DATA, &err);
    t.ask = role_connect(t.own, t.run, ROLE_STORE_ASK, &err);
    CU_ASSERT_FATAL(t.data_out != NULL && t.ask != NULL);
    t.zmq = zmq_ctx_new();
    t.control = zmq_socket(t.zmq, ZMQ_PAIR);
    CU_ASSERT_FATAL(zmq_bind(t.control, STORE_ROLE_CONTROL) == 0);
    CU_ASSERT_FATAL(pthread_create(&t.thread, NULL, role_thread, NULL) == 0);
}

static void stop_role(void)
{
    void *result;
    zmq_send(t.control, "", 0, 0);
    pthread_join(t.thread, &result);
    CU_ASSERT(result == NULL);
    zmq_close(t.control);
    zmq_ctx_term(t.zmq);
    zmq_close(t.data_out);
    zmq_close(t.ask);
}

static void begin_in(const char *data)
{
    memset(&t, 0, sizeof t);
    if (data != NULL)
        memcpy(t.data, data, sizeof t.data);
    else
        scratch_make(t.data);
    scratch_make(t.run);
    t.config.collector.data = t.data;
    t.config.collector.run = t.run;
    t.config.collector.retention_seconds_days = 14;
    t.own = zmq_ctx_new();
    struct error err = {0};
    t.link_in = role_bind(t.own, t.run, ROLE_LINK_OUT, &err);
    CU_ASSERT_FATAL(t.link_in != NULL);
    start_role();
}

static void begin(void)
{
    begin_in(NULL);
}

static void end(void)
{
    stop_role();
    zmq_close(t.link_in);
    zmq_ctx_term(t.own);
    buffer_fini(&t.payload);
    buffer_fini(&t.second);
    arena_fini(&t.arena);
    scratch_remove(t.data);
    scratch_remove(t.run);
}

static bool wait_for(void *socket, short events)
{
    zmq_pollitem_t item = {.socket = socket, .events = events};
    return zmq_poll(&item, 1, DEADLINE_MS) == 1;
}

static void send_message(const struct wire_from_agent *message)
{
    struct buffer frame = {0};
    struct error err = {0};
    struct role_header header = role_header_of(ROLE_FRAME, clock_wall_ms());
    snprintf(header.key, sizeof header.key, "%s", KEY);
    snprintf(header.host, sizeof header.host, "app1");
    CU_ASSERT_FATAL(wire_encode_from_agent(message, &frame, &err) == 0);
    CU_ASSERT_FATAL(wait_for(t.data_out, ZMQ_POLLOUT));
    CU_ASSERT_FATAL(role_send(t.data_out, NULL, &header, buffer_span(&frame), (struct span){0}, &err) == 0);
    buffer_fini(&frame);
}

static void send_batch(uint64_t sequence, bool with_dict, int64_t time_ms, int64_t mono_ms)
{
    static const uint32_t id = 1;
    const int64_t value = 41 + (int64_t)sequence;
    const struct wire_dict_entry dict = {
        .id = id, .metric = "disk_reads_total", .labels = {{"device", "vda"}}, .label_count = 1};
    const struct wire_rows rows = {
        .series = &id, .series_count = 1, .times_ms = &time_ms, .time_count = 1, .ints = &value};
    send_message(&(struct wire_from_agent){.kind = WIRE_BATCH,
        .batch = {.incarnation = 7,
            .sequence = sequence,
            .base_ms = time_ms,
            .sent_mono_ms = mono_ms,
            .dict = &dict,
            .dict_count = with_dict,
            .rows = &rows,
            .rows_count = 1}});
}

static struct wire_from_collector receive_message(void)
{
    struct wire_from_collector message = {0};
    struct role_header header;
    struct error err = {0};
    arena_reset(&t.arena);
    CU_ASSERT_FATAL(wait_for(t.link_in, ZMQ_POLLIN));
    CU_ASSERT_FATAL(role_receive(t.link_in, NULL, &header, &t.payload, &t.second, &err) == 1);
    CU_ASSERT(
        header.message == ROLE_SEND && strcmp(header.key, KEY) == 0 && strcmp(header.host, "app1") == 0);
    CU_ASSERT_FATAL(wire_decode_from_collector(buffer_span(&t.payload), &t.arena, &message, &err) == 0);
    return message;
}

static json_t *ask(const char *text)
{
    struct role_header header = role_header_of(ROLE_QUESTION, clock_wall_ms());
    struct error err = {0};
    header.number = 99;
    CU_ASSERT_FATAL(wait_for(t.ask, ZMQ_POLLOUT));
    CU_ASSERT_FATAL(role_send(t.ask, NULL, &header, span_text(text), (struct span){0}, &err) == 0);
    CU_ASSERT_FATAL(wait_for(t.ask, ZMQ_POLLIN));
    CU_ASSERT_FATAL(role_receive(t.ask, NULL, &header, &t.payload, &t.second, &err) == 1);
    CU_ASSERT(header.message == ROLE_ANSWER && header.number == 99);
    json_t *answer = json_loadb((const char *)t.payload.data, t.payload.size, 0, NULL);
    CU_ASSERT_FATAL(answer != NULL);
    return answer;
}

static void batches_are_acknowledged_and_repeated_ones_again(void)
{
    begin();
    int64_t now_ms = clock_wall_ms();
    send_batch(1, true, now_ms, 1234);
    struct wire_from_collector message = receive_message();
    CU_ASSERT(message.kind == WIRE_ACK && message.ack.incarnation == 7 && message.ack.floor == 1);
    CU_ASSERT(
        message.ack.echo_mono_ms == 1234 && message.ack.credit > 200 && message.ack.credit <= LIMIT_CREDIT);
    CU_ASSERT(message.ack.wall_ms >= now_ms);
    send_batch(3, false, now_ms + 2, 1250);
    message = receive_message();
    CU_ASSERT(message.ack.floor == 1 && message.ack.range_count == 1 && message.ack.ranges[0].first == 3);
    send_batch(1, true, now_ms, 1260);
    message = receive_message();
    CU_ASSERT(message.kind == WIRE_ACK && message.ack.floor == 1 && message.ack.echo_mono_ms == 1260);
    end();
}

static void an_unknown_id_is_asked_for(void)
{
    begin();
    send_batch(1, false, clock_wall_ms(), 1);
    struct wire_from_collector message = receive_message();
    CU_ASSERT(message.kind == WIRE_NEED_DICT && message.need_dict.incarnation == 7);
    send_batch(1, true, clock_wall_ms(), 1);
    message = receive_message();
    CU_ASSERT(message.kind == WIRE_ACK && message.ack.floor == 1);
    end();
}

static void a_hello_is_told_what_is_received_also_after_a_restart(void)
{
    begin();
    send_batch(1, true, clock_wall_ms(), 1);
    CU_ASSERT(receive_message().kind == WIRE_ACK);
    stop_role();
    start_role();
    send_message(&(struct wire_from_agent){.kind = WIRE_HELLO,
        .hello = {.protocol = WIRE_PROTOCOL,
            .version = "1",
            .incarnation = 7,
            .wall_ms = clock_wall_ms(),
            .mono_ms = 5,
            .next_sequence = 2,
            .oldest_sequence = 1}});
    struct wire_from_collector message = receive_message();
    CU_ASSERT(message.kind == WIRE_ACK && message.ack.floor == 1);
    end();
}

static void questions_are_answered(void)
{
    begin();
    int64_t now_ms = clock_wall_ms();
    send_batch(1, true, now_ms, 1);
    CU_ASSERT(receive_message().kind == WIRE_ACK);
    json_t *answer = ask("{\"ask\": \"counts\"}");
    CU_ASSERT(json_integer_value(json_object_get(answer, "samples")) == 1);
    CU_ASSERT(json_integer_value(json_object_get(answer, "head_samples")) == 1);
    json_decref(answer);
    answer = ask("{\"ask\": \"ready\"}");
    CU_ASSERT(json_is_true(json_object_get(answer, "ready")));
    json_decref(answer);
    answer = ask("{\"ask\": \"weather\"}");
    CU_ASSERT(json_object_get(answer, "error") != NULL);
    json_decref(answer);
    answer = ask("no JSON");
    CU_ASSERT(json_object_get(answer, "error") != NULL);
    json_decref(answer);
    answer =
        ask("{\"ask\": \"heads\", \"metric\": \"disk_reads_total\", \"host\": null, \"labels\": {\"device\": "
            "\"vda\"}, \"from_ms\": 0, \"to_ms\": 9000000000000}");
    CU_ASSERT(json_object_get(answer, "error") == NULL && t.second.size > 0);
    json_decref(answer);
    struct error err = {0};
    struct store_result result = {0};
    struct store_reader *reader = store_reader_open(t.data, &err);
    const struct store_selector selector = {
        .metric = "disk_reads_total", .from_ms = now_ms - 1000, .to_ms = now_ms + 1000};
    CU_ASSERT_FATAL(reader != NULL);
    CU_ASSERT_FATAL(store_query(reader, &selector, STORE_RAW, 0, buffer_span(&t.second),
                        clock_mono_ms() + 5000, 10, &result, &err) == 0);
    CU_ASSERT(result.count == 1 && result.series[0].count == 1 && result.series[0].points[0].value == 42);
    store_result_fini(&result);
    store_reader_close(reader);
    end();
}

static void a_store_that_cannot_be_opened_is_told_and_tried_again(void)
{
    char data[SCRATCH_SIZE];
    sqlite3 *db = NULL;
    scratch_make(data);
    AUTO_FREE char *path = check_format("%s/journal.db", data);
    CU_ASSERT_FATAL(sqlite3_open(path, &db) == SQLITE_OK);
    CU_ASSERT(sqlite3_exec(
                  db, "PRAGMA user_version = 99; PRAGMA application_id = 1179404849", NULL, NULL, NULL) == 0);
    sqlite3_close(db);
    begin_in(data);
    json_t *answer = ask("{\"ask\": \"ready\"}");
    CU_ASSERT(json_is_false(json_object_get(answer, "ready")));
    CU_ASSERT(strstr(json_string_value(json_object_get(answer, "reason")), "version 99") != NULL);
    json_decref(answer);
    answer = ask("{\"ask\": \"counts\"}");
    CU_ASSERT(json_object_get(answer, "error") != NULL);
    json_decref(answer);
    send_batch(1, true, clock_wall_ms(), 1);
    CU_ASSERT(unlink(path) == 0);
    CU_ASSERT(receive_message().kind == WIRE_ACK); /* what waited is taken */
    end();
}

UNIT_MAIN("store role",
    {"batches are acknowledged, and repeated ones again", batches_are_acknowledged_and_repeated_ones_again},
    {"an unknown id is asked for", an_unknown_id_is_asked_for},
    {"a hello is told what is received, also after a restart",
        a_hello_is_told_what_is_received_also_after_a_restart},
    {"questions are answered", questions_are_answered},
    {"a store that cannot be opened is told and tried again",
        a_store_that_cannot_be_opened_is_told_and_tried_again})

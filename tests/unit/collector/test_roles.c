#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

#include "collector/contract/roles.h"
#include "common/check.h"
#include "tests/support/scratch.h"
#include "tests/support/unit.h"

#define DEADLINE_MS 5000

static char run_dir[SCRATCH_SIZE];
static void *zmq;
static struct buffer payload, second;

static void begin(void)
{
    scratch_make(run_dir);
    zmq = zmq_ctx_new();
}

static void end(void)
{
    zmq_ctx_term(zmq);
    scratch_remove(run_dir);
    buffer_fini(&payload);
    buffer_fini(&second);
}

static bool wait_for(void *socket, short events)
{
    zmq_pollitem_t item = {.socket = socket, .events = events};
    return zmq_poll(&item, 1, DEADLINE_MS) == 1;
}

static struct role_header header_for_test(uint64_t number)
{
    struct role_header header = role_header_of(ROLE_NOTE, 1795400000123);
    header.number = number;
    snprintf(header.host, sizeof header.host, "app1");
    return header;
}

static void messages_arrive_whole_and_in_order(void)
{
    begin();
    struct error err = {0};
    void *in = role_bind(zmq, run_dir, ROLE_STATE_IN, &err);
    void *out = role_connect(zmq, run_dir, ROLE_STATE_IN, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(in);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    CU_ASSERT_TRUE_FATAL(wait_for(out, ZMQ_POLLOUT));
    static const struct {
        const char *payload, *second;
    } cases[] = {{"", ""}, {"one", ""}, {"one", "two"}, {"", "two"}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct role_header header = header_for_test(i);
        CU_ASSERT_EQUAL(
            role_send(out, NULL, &header, span_text(cases[i].payload), span_text(cases[i].second), &err), 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct role_header header;
        CU_ASSERT_TRUE_FATAL(wait_for(in, ZMQ_POLLIN));
        CU_ASSERT_EQUAL_FATAL(role_receive(in, NULL, &header, &payload, &second, &err), 1);
        CU_ASSERT_EQUAL(header.number, i);
        CU_ASSERT_EQUAL(header.message, ROLE_NOTE);
        CU_ASSERT_EQUAL(header.arrival_ms, 1795400000123);
        CU_ASSERT_STRING_EQUAL(header.host, "app1");
        CU_ASSERT_STRING_EQUAL(buffer_text(&payload), cases[i].payload);
        CU_ASSERT_STRING_EQUAL(buffer_text(&second), cases[i].second);
    }
    struct role_header header;
    CU_ASSERT_EQUAL(role_receive(in, NULL, &header, &payload, &second, &err), 0);
    zmq_close(in);
    zmq_close(out);
    end();
}

static void sending_to_nobody_says_try_later_and_does_not_block(void)
{
    begin();
    struct error err = {0};
    void *out = role_connect(zmq, run_dir, ROLE_LINK_OUT, &err);
    struct role_header header = header_for_test(1);
    CU_ASSERT_EQUAL(role_send(out, NULL, &header, span_text("x"), (struct span){0}, &err), -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_AGAIN);
    zmq_close(out);
    end();
}

static void a_full_queue_says_try_later(void)
{
    begin();
    struct error err = {0};
    void *in = role_bind(zmq, run_dir, ROLE_DELIVERY_IN, &err);
    void *out = role_connect(zmq, run_dir, ROLE_DELIVERY_IN, &err);
    CU_ASSERT_TRUE_FATAL(wait_for(out, ZMQ_POLLOUT));
    struct role_header header = header_for_test(1);
    static char filler[64 * 1024];
    int sent = 0, rc = 0;
    while (sent < 100000 &&
           (rc = role_send(out, NULL, &header, span_of(filler, sizeof filler), span_text("!"), &err)) == 0)
        sent++;
    CU_ASSERT_EQUAL(rc, -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_AGAIN);
    /* What was taken arrives whole: the refused message left no half of itself. */
    int received = 0;
    while (received < sent && wait_for(in, ZMQ_POLLIN)) {
        CU_ASSERT_EQUAL_FATAL(role_receive(in, NULL, &header, &payload, &second, &err), 1);
        CU_ASSERT_EQUAL(payload.size, sizeof filler);
        CU_ASSERT_EQUAL(second.size, 1);
        received++;
    }
    CU_ASSERT_EQUAL(received, sent);
    zmq_close(in);
    zmq_close(out);
    end();
}

static void a_question_is_answered_to_its_asker(void)
{
    begin();
    struct error err = {0};
    void *role = role_bind(zmq, run_dir, ROLE_ENGINE_ASK, &err);
    void *askers[2];
    struct role_header header = role_header_of(ROLE_QUESTION, 1);
    for (uint64_t i = 0; i < 2; i++) {
        askers[i] = role_connect(zmq, run_dir, ROLE_ENGINE_ASK, &err);
        CU_ASSERT_TRUE_FATAL(wait_for(askers[i], ZMQ_POLLOUT));
        header.number = 10 + i;
        CU_ASSERT_EQUAL(role_send(askers[i], NULL, &header, span_text("{}"), (struct span){0}, &err), 0);
    }
    for (int i = 0; i < 2; i++) {
        struct role_identity from;
        CU_ASSERT_TRUE_FATAL(wait_for(role, ZMQ_POLLIN));
        CU_ASSERT_EQUAL_FATAL(role_receive(role, &from, &header, &payload, &second, &err), 1);
        header.message = ROLE_ANSWER;
        CU_ASSERT_EQUAL(role_send(role, &from, &header, span_text("[]"), span_text("bytes"), &err), 0);
    }
    for (uint64_t i = 0; i < 2; i++) {
        CU_ASSERT_TRUE_FATAL(wait_for(askers[i], ZMQ_POLLIN));
        CU_ASSERT_EQUAL_FATAL(role_receive(askers[i], NULL, &header, &payload, &second, &err), 1);
        CU_ASSERT_EQUAL(header.number, 10 + i);
        CU_ASSERT_STRING_EQUAL(buffer_text(&second), "bytes");
        zmq_close(askers[i]);
    }
    struct role_identity gone = {.bytes = "nobody", .size = 6};
    CU_ASSERT_EQUAL(role_send(role, &gone, &header, span_text("x"), (struct span){0}, &err), -1);
    CU_ASSERT_EQUAL(err.kind, ERROR_AGAIN);
    zmq_close(role);
    end();
}

static void malformed_messages_are_dropped_whole(void)
{
    begin();
    struct error err = {0};
    void *in = role_bind(zmq, run_dir, ROLE_STATE_IN, &err);
    void *out = role_connect(zmq, run_dir, ROLE_STATE_IN, &err);
    CU_ASSERT_TRUE_FATAL(wait_for(out, ZMQ_POLLOUT));
    struct role_header good = header_for_test(7), old = good, unknown = good;
    old.version = ROLE_MESSAGE_VERSION + 1;
    unknown.message = ROLE_MESSAGE_COUNT;
    zmq_send(out, "short", 5, ZMQ_SNDMORE);
    zmq_send(out, "rest", 4, 0);
    zmq_send(out, &old, sizeof old, ZMQ_SNDMORE);
    zmq_send(out, "rest", 4, 0);
    zmq_send(out, &unknown, sizeof unknown, 0);
    zmq_send(out, &good, sizeof good, ZMQ_SNDMORE);
    for (int i = 0; i < 3; i++) zmq_send(out, "part", 4, i < 2 ? ZMQ_SNDMORE : 0);
    role_send(out, NULL, &good, span_text("whole"), (struct span){0}, &err);
    struct role_header header;
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_TRUE_FATAL(wait_for(in, ZMQ_POLLIN));
        err.kind = ERROR_NONE;
        CU_ASSERT_EQUAL(role_receive(in, NULL, &header, &payload, &second, &err), -1);
        CU_ASSERT_EQUAL(err.kind, ERROR_CORRUPT);
    }
    CU_ASSERT_TRUE_FATAL(wait_for(in, ZMQ_POLLIN));
    CU_ASSERT_EQUAL(role_receive(in, NULL, &header, &payload, &second, &err), 1);
    CU_ASSERT_STRING_EQUAL(buffer_text(&payload), "whole");
    CU_ASSERT_EQUAL(second.size, 0);
    zmq_close(in);
    zmq_close(out);
    end();
}

static void a_receiver_that_died_leaves_no_socket_file_in_the_way(void)
{
    begin();
    struct error err = {0};
    char path[128];
    snprintf(path, sizeof path, "%s/%s", run_dir, role_endpoint_info(ROLE_STATE_IN)->name);
    FILE *left = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(left);
    fclose(left);
    void *in = role_bind(zmq, run_dir, ROLE_STATE_IN, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(in);
    struct stat status;
    CU_ASSERT_EQUAL(stat(path, &status), 0);
    CU_ASSERT_TRUE(S_ISSOCK(status.st_mode));
    zmq_close(in);
    end();
}

static void a_run_directory_too_long_for_sockets_is_refused(void)
{
    void *context = zmq_ctx_new();
    char path[80];
    memset(path, 'x', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    struct error err = {0};
    CU_ASSERT_PTR_NULL(role_bind(context, path, ROLE_STATE_IN, &err));
    CU_ASSERT_EQUAL(err.kind, ERROR_INPUT);
    zmq_ctx_term(context);
}

UNIT_MAIN("roles", {"messages arrive whole and in order", messages_arrive_whole_and_in_order},
    {"sending to nobody says try later and does not block",
        sending_to_nobody_says_try_later_and_does_not_block},
    {"a full queue says try later", a_full_queue_says_try_later},
    {"a question is answered to its asker", a_question_is_answered_to_its_asker},
    {"malformed messages are dropped whole", malformed_messages_are_dropped_whole},
    {"a receiver that died leaves no socket file in the way",
        a_receiver_that_died_leaves_no_socket_file_in_the_way},
    {"a run directory too long for sockets is refused", a_run_directory_too_long_for_sockets_is_refused})

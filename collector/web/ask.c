#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "collector/web/resource.h"
#include "common/check.h"
#include "common/clock.h"

static const char *const role_words[ROLE_ENDPOINT_COUNT] = {
    [ROLE_ENGINE_ASK] = "engine", [ROLE_STORE_ASK] = "store", [ROLE_DELIVERY_ASK] = "delivery"};

/* 0 once the socket is ready for the events, -1 when the time is over. */
static int wait_for(void *socket, short events, int64_t until_ms)
{
    int64_t left_ms = until_ms - clock_mono_ms();
    zmq_pollitem_t item = {.socket = socket, .events = events};
    return left_ms > 0 && zmq_poll(&item, 1, left_ms) == 1 ? 0 : -1;
}

/* Sending needs the connection, which is being made: ZMQ_IMMEDIATE says "full" until it stands. */
static int send_question(void *socket, const json_t *question, int64_t until_ms)
{
    char *text = json_dumps(question, JSON_COMPACT);
    if (text == NULL) return -1;
    struct role_header header = role_header_of(ROLE_QUESTION, clock_wall_ms());
    header.number = 1;
    int result = -1;
    while (result < 0 && wait_for(socket, ZMQ_POLLOUT, until_ms) == 0)
        result = role_send(socket, NULL, &header, span_text(text), (struct span){0}, NULL);
    free(text);
    return result;
}

static json_t *receive_answer(void *socket, struct buffer *second, int64_t until_ms)
{
    struct buffer payload = {0}, unwanted = {0};
    json_t *answer = NULL;
    while (answer == NULL && wait_for(socket, ZMQ_POLLIN, until_ms) == 0) {
        struct role_header header;
        if (role_receive(socket, NULL, &header, &payload, second != NULL ? second : &unwanted, NULL) != 1)
            continue;
        if (header.message == ROLE_ANSWER)
            answer = json_loadb((const char *)payload.data, payload.size, JSON_DECODE_ANY, NULL);
    }
    buffer_fini(&payload);
    buffer_fini(&unwanted);
    return answer;
}

int web_ask(const struct web *web, enum role_endpoint endpoint, const json_t *question, int timeout_ms,
    json_t **answer, struct buffer *second, struct error *err)
{
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    void *socket = role_connect(web->zmq, web->config->collector.run, endpoint, err);
    if (socket == NULL) return -1;
    json_t *got = NULL;
    if (send_question(socket, question, until_ms) == 0) got = receive_answer(socket, second, until_ms);
    zmq_close(socket);
    if (got == NULL)
        return fail(err, ERROR_AGAIN, "the collector's %s does not answer within %d s", role_words[endpoint],
            timeout_ms / 1000);
    const char *problem = json_string_value(json_object_get(got, "error"));
    if (problem != NULL) {
        fail(err, ERROR_IO, "the collector's %s: %s", role_words[endpoint], problem);
        json_decref(got);
        return -1;
    }
    *answer = got;
    return 0;
}

int web_ask_word(
    const struct web *web, enum role_endpoint endpoint, const char *word, json_t **answer, struct error *err)
{
    json_t *question = json_pack("{s:s}", "ask", word);
    int result = web_ask(web, endpoint, question, WEB_ASK_MS, answer, NULL, err);
    json_decref(question);
    return result;
}

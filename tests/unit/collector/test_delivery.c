/* The delivery process against a real HTTP receiver: the program runs itself as the process under test. */
#include "collector/delivery/delivery.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "collector/contract/roles.h"
#include "collector/delivery/http.h"
#include "collector/delivery/sign.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/loop.h"
#include "tests/support/receiver.h"
#include "tests/support/unit.h"

extern char **environ;

#define DEADLINE_MS 20000
#define SECRET      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

/* ── One request, on a loop of the test ── */

struct outcome {
    struct loop *loop;
    struct channel_response response;
    size_t body_size;
    enum channel_verdict verdict;
};

static void on_done(void *owner, struct channel_response *response)
{
    struct outcome *outcome = owner;
    outcome->verdict = channel_webhook.classify(response);
    outcome->response = *response;
    outcome->body_size = response->body.size;
    loop_stop(outcome->loop);
}

static struct outcome request(const char *url, bool allow_private, int64_t deadline_ms)
{
    struct outcome outcome = {.loop = loop_new(NULL)};
    struct http *http = http_new(outcome.loop, NULL);
    struct channel_request post = {.url = check_strdup(url)};
    CHECK(buffer_append(&post.body, span_text("{}"), NULL) == 0);
    struct http_rules rules = {.allow_private = allow_private, .deadline_ms = deadline_ms};
    http_start(http, &post, &rules, on_done, &outcome);
    CU_ASSERT_EQUAL(loop_run(outcome.loop, NULL), 0);
    http_free(http);
    loop_free(outcome.loop);
    return outcome;
}

static struct receiver *receiver;

static struct outcome request_path(const char *path, int64_t deadline_ms)
{
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", receiver_port(receiver), path);
    return request(url, true, deadline_ms);
}

static void answers_and_what_they_mean(void)
{
    static const struct {
        const char *path;
        int64_t deadline_ms;
        int status;
        enum channel_failure failure;
        enum channel_verdict verdict;
    } rows[] = {
        {"/ok", 0, 200, CHANNEL_FAILURE_NONE, CHANNEL_DELIVERED},
        {"/status/202", 0, 202, CHANNEL_FAILURE_NONE, CHANNEL_DELIVERED},
        {"/status/400", 0, 400, CHANNEL_FAILURE_NONE, CHANNEL_PERMANENT},
        {"/status/401", 0, 401, CHANNEL_FAILURE_NONE, CHANNEL_PERMANENT},
        {"/status/410", 0, 410, CHANNEL_FAILURE_NONE, CHANNEL_PERMANENT},
        {"/status/429", 0, 429, CHANNEL_FAILURE_NONE, CHANNEL_RETRY},
        {"/status/500", 0, 500, CHANNEL_FAILURE_NONE, CHANNEL_RETRY},
        {"/redirect", 0, 302, CHANNEL_FAILURE_NONE, CHANNEL_PERMANENT},
        {"/hang", 300, 0, CHANNEL_FAILURE_TIMEOUT, CHANNEL_RETRY},
        {"/drip", 500, 0, CHANNEL_FAILURE_TIMEOUT, CHANNEL_RETRY},
        {"/garbage", 0, 0, CHANNEL_FAILURE_NETWORK, CHANNEL_RETRY},
        {"/close", 0, 0, CHANNEL_FAILURE_NETWORK, CHANNEL_RETRY},
        {"/big", 0, 200, CHANNEL_FAILURE_NONE, CHANNEL_DELIVERED},
    };
    receiver = receiver_start();
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct outcome got = request_path(rows[i].path, rows[i].deadline_ms);
        if (got.verdict != rows[i].verdict || got.response.failure != rows[i].failure)
            printf("%s: status %d, failure %d, %s\n", rows[i].path, got.response.status, got.response.failure,
                got.response.detail);
        CU_ASSERT_EQUAL(got.response.failure, rows[i].failure);
        CU_ASSERT_EQUAL(got.verdict, rows[i].verdict);
        if (got.response.failure == CHANNEL_FAILURE_NONE)
            CU_ASSERT_EQUAL(got.response.status, rows[i].status);
        CU_ASSERT(got.body_size <= CHANNEL_ANSWER_MAX);
        CU_ASSERT(got.response.detail[0] != '\0');
    }
    struct outcome limited = request_path("/limit", 0);
    CU_ASSERT_EQUAL(limited.response.retry_after_ms, 1000);
    receiver_stop(receiver);
}

static void private_addresses_are_refused(void)
{
    receiver = receiver_start();
    /* The last two: a mapped address, a number in hexadecimal. */
    static const char *const hosts[] = {"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f000001",
        "169.254.169.254", "0xa9fea9fe", "[::ffff:169.254.169.254]"};
    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++) {
        char url[128];
        snprintf(url, sizeof url, "http://%s:%d/ok", hosts[i], receiver_port(receiver));
        struct outcome got = request(url, false, 3000);
        if (got.response.failure != CHANNEL_FAILURE_ADDRESS) printf("%s: %s\n", url, got.response.detail);
        CU_ASSERT_EQUAL(got.response.failure, CHANNEL_FAILURE_ADDRESS);
        CU_ASSERT_EQUAL(got.verdict, CHANNEL_PERMANENT);
        CU_ASSERT_PTR_NOT_NULL(strstr(got.response.detail, "allow_private"));
    }
    CU_ASSERT_EQUAL(receiver_count(receiver, "/ok"), 0);
    receiver_stop(receiver);
}

static void other_schemes_are_refused(void)
{
    static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/",
        "not a url", "dict://127.0.0.1:11211/stat"};
    for (size_t i = 0; i < ARRAY_COUNT(urls); i++) {
        struct outcome got = request(urls[i], true, 3000);
        CU_ASSERT_EQUAL(got.response.failure, CHANNEL_FAILURE_REQUEST);
        CU_ASSERT_EQUAL(got.verdict, CHANNEL_PERMANENT);
        CU_ASSERT_EQUAL(got.body_size, 0);
    }
}

/* ── The whole process ── */

struct bench {
    char run[64], secret_path[96];
    pid_t pid;
    void *zmq, *state, *out;
    struct receiver *receiver;
};

static int serve(char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed case leaves nobody behind who holds the output open */
    static char letter[] = "A", empty[] = "";
    char urls[2][128];
    snprintf(urls[0], sizeof urls[0], "http://127.0.0.1:%s%s", argv[4], argv[5]);
    snprintf(urls[1], sizeof urls[1], "http://127.0.0.1:%s%s", argv[4], argv[6]);
    static char names[2][8] = {"ops", "other"};
    struct config_hook hooks[2] = {{.name = names[0],
                                       .url = urls[0],
                                       .secret_file = argv[3],
                                       .credentials_file = empty,
                                       .allow_private = true},
        {.name = names[1],
            .url = urls[1],
            .secret_file = empty,
            .credentials_file = empty,
            .allow_private = true}};
    struct config config = {.collector = {.run = argv[2], .letter = letter}, .hooks = hooks, .hook_count = 2};
    return delivery_main(&config);
}

static void launch(struct bench *bench, const char *first_path, const char *second_path)
{
    char port[16], self[] = "/proc/self/exe", word[] = "serve", first[64], second[64];
    snprintf(port, sizeof port, "%d", receiver_port(bench->receiver));
    snprintf(first, sizeof first, "%s", first_path);
    snprintf(second, sizeof second, "%s", second_path);
    char *argv[] = {self, word, bench->run, bench->secret_path, port, first, second, NULL};
    CU_ASSERT_EQUAL_FATAL(posix_spawn(&bench->pid, self, NULL, NULL, argv, environ), 0);
}

static void open_bench(struct bench *bench)
{
    *bench = (struct bench){.run = "/tmp/faultline-delivery-XXXXXX"};
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(bench->run));
    snprintf(bench->secret_path, sizeof bench->secret_path, "%s/ops.key", bench->run);
    FILE *file = fopen(bench->secret_path, "w");
    fputs(SECRET "\n", file);
    fchmod(fileno(file), 0600);
    fclose(file);
    bench->receiver = receiver_start();
    bench->zmq = zmq_ctx_new();
    bench->state = role_bind(bench->zmq, bench->run, ROLE_STATE_IN, NULL);
    bench->out = role_connect(bench->zmq, bench->run, ROLE_DELIVERY_IN, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bench->state);
}

static int end_process(struct bench *bench, int signal_number)
{
    int status = 0;
    kill(bench->pid, signal_number);
    waitpid(bench->pid, &status, 0);
    return status;
}

static void close_bench(struct bench *bench)
{
    zmq_close(bench->state);
    zmq_close(bench->out);
    zmq_ctx_term(bench->zmq);
    receiver_stop(bench->receiver);
    static const char *const left[] = {"ops.key", "delivery.in", "delivery.ask", "state.in"};
    char path[128];
    for (size_t i = 0; i < ARRAY_COUNT(left); i++) {
        snprintf(path, sizeof path, "%s/%s", bench->run, left[i]);
        unlink(path);
    }
    CU_ASSERT_EQUAL(rmdir(bench->run), 0);
}

static void deliver(
    struct bench *bench, const char *id, const char *hook, const char *incident, int number, bool recorded)
{
    json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:b, s:{s:{s:s}, s:s}}", "id", id, "hook",
        hook, "channel", "webhook", "incident", incident, "step", number == 1 ? "opened" : "resolved",
        "number", number, "at", "2026-11-23T02:13:20.000Z", "recorded", recorded, "message", "incident", "id",
        incident, "step", "opened");
    char *text = json_dumps(object, 0);
    struct role_header header = role_header_of(ROLE_DELIVER, clock_wall_ms());
    int64_t until_ms = clock_mono_ms() + DEADLINE_MS;
    while (role_send(bench->out, NULL, &header, span_text(text), (struct span){0}, NULL) != 0) {
        CU_ASSERT_FATAL(clock_mono_ms() < until_ms);
        zmq_pollitem_t item = {.socket = bench->out, .events = ZMQ_POLLOUT};
        zmq_poll(&item, 1, 100);
    }
    free(text);
    json_decref(object);
}

/* The next message of this kind to state; its JSON (NULL where it has none). */
static json_t *await_message(struct bench *bench, enum role_message message, int timeout_ms)
{
    struct buffer payload = {0}, second = {0};
    struct role_header header;
    json_t *found = NULL;
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    bool seen = false;
    while (!seen && clock_mono_ms() < until_ms) {
        zmq_pollitem_t item = {.socket = bench->state, .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, 100);
        while (!seen && role_receive(bench->state, NULL, &header, &payload, &second, NULL) == 1) {
            if (header.message != (uint32_t)message) continue;
            seen = true;
            found = json_loadb((const char *)payload.data, payload.size, 0, NULL);
        }
    }
    if (seen && found == NULL) found = json_null();
    buffer_fini(&payload);
    buffer_fini(&second);
    return found;
}

static void check_outcome(json_t *outcome, const char *id, const char *result, int attempt)
{
    CU_ASSERT_PTR_NOT_NULL_FATAL(outcome);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(outcome, "id")), id);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(outcome, "result")), result);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(outcome, "attempt")), attempt);
    json_decref(outcome);
}

static void expect_outcome(struct bench *bench, const char *id, const char *result, int attempt)
{
    check_outcome(await_message(bench, ROLE_OUTCOME, DEADLINE_MS), id, result, attempt);
}

static void check_signed(const struct receiver_request *got, const char *id)
{
    char header[512], timestamp[32], expected[SIGN_WEBHOOK_SIZE];
    receiver_header(got, "webhook-id", header, sizeof header);
    CU_ASSERT_STRING_EQUAL(header, id);
    receiver_header(got, "webhook-timestamp", timestamp, sizeof timestamp);
    struct secret secret;
    CU_ASSERT_EQUAL(secret_parse(SECRET, strlen(SECRET), &secret, NULL), 0);
    sign_webhook(&secret, id, strtoll(timestamp, NULL, 10), span_text(got->body), expected);
    secret_fini(&secret);
    receiver_header(got, "webhook-signature", header, sizeof header);
    CU_ASSERT_STRING_EQUAL(header, expected);
    receiver_header(got, "content-type", header, sizeof header);
    CU_ASSERT_STRING_EQUAL(header, "application/cloudevents+json");
}

static void delivers_signed_and_reports(void)
{
    struct bench bench;
    open_bench(&bench);
    launch(&bench, "/fail/1", "/ok");
    json_t *hello = await_message(&bench, ROLE_DELIVERY_UP, DEADLINE_MS);
    CU_ASSERT_PTR_NOT_NULL(hello);
    json_decref(hello);
    deliver(&bench, "d-1", "ops", "A-1", 1, true);
    expect_outcome(&bench, "d-1", "retry", 1);
    expect_outcome(&bench, "d-1", "delivered", 2);
    static struct receiver_request first, second;
    CU_ASSERT(receiver_get(bench.receiver, "/fail/1", 0, &first));
    CU_ASSERT(receiver_get(bench.receiver, "/fail/1", 1, &second));
    check_signed(&first, "d-1");
    check_signed(&second, "d-1");
    CU_ASSERT_STRING_EQUAL(first.body, second.body);
    /* Asked again: told again from memory, sent no third time. */
    deliver(&bench, "d-1", "ops", "A-1", 1, true);
    expect_outcome(&bench, "d-1", "delivered", 2);
    CU_ASSERT_EQUAL(receiver_count(bench.receiver, "/fail/1"), 2);
    CU_ASSERT_EQUAL(end_process(&bench, SIGTERM), 0);
    close_bench(&bench);
}

static void obeys_retry_after(void)
{
    struct bench bench;
    open_bench(&bench);
    launch(&bench, "/limit", "/ok");
    deliver(&bench, "d-1", "ops", "A-1", 1, true);
    expect_outcome(&bench, "d-1", "retry", 1);
    expect_outcome(&bench, "d-1", "delivered", 2);
    static struct receiver_request first, second;
    receiver_get(bench.receiver, "/limit", 0, &first);
    receiver_get(bench.receiver, "/limit", 1, &second);
    CU_ASSERT(second.at_ms - first.at_ms >= 1000);
    end_process(&bench, SIGTERM);
    close_bench(&bench);
}

static void hanging_hook_holds_up_no_other(void)
{
    struct bench bench;
    open_bench(&bench);
    launch(&bench, "/hang", "/ok");
    char id[16], incident[16];
    for (int i = 0; i < 10; i++) {
        snprintf(id, sizeof id, "h-%d", i);
        snprintf(incident, sizeof incident, "A-%d", i);
        deliver(&bench, id, "ops", incident, 1, true);
    }
    CU_ASSERT(receiver_wait(bench.receiver, "/hang", 2, DEADLINE_MS));
    deliver(&bench, "good", "other", "A-1", 1, true);
    expect_outcome(
        &bench, "good", "delivered", 1); /* the first outcome of all: none of the hanging has ended */
    CU_ASSERT_EQUAL(receiver_count(bench.receiver, "/hang"), 2);
    /* What hangs does not keep the process from stopping either. */
    CU_ASSERT_EQUAL(end_process(&bench, SIGTERM), 0);
    close_bench(&bench);
}

static void permanent_is_told_and_not_repeated(void)
{
    struct bench bench;
    open_bench(&bench);
    launch(&bench, "/status/400", "/ok");
    deliver(&bench, "d-1", "ops", "A-1", 1, true);
    expect_outcome(&bench, "d-1", "permanent", 1);
    deliver(&bench, "d-2", "nobody", "A-1", 1, true);
    expect_outcome(&bench, "d-2", "permanent", 1);
    /* The next step of the incident is tried all the same. */
    deliver(&bench, "d-3", "ops", "A-1", 2, true);
    expect_outcome(&bench, "d-3", "permanent", 1);
    CU_ASSERT_EQUAL(receiver_count(bench.receiver, "/status/400"), 2);
    end_process(&bench, SIGTERM);
    close_bench(&bench);
}

static void same_id_after_a_kill(void)
{
    struct bench bench;
    open_bench(&bench);
    launch(&bench, "/hang", "/ok");
    deliver(&bench, "d-1", "ops", "A-1", 1, false); /* nobody says recorded: goes out after 100 ms */
    CU_ASSERT(receiver_wait(bench.receiver, "/hang", 1, DEADLINE_MS));
    end_process(&bench, SIGKILL);
    launch(&bench, "/ok", "/ok");
    /* State sends what is pending, as recorded, whenever it is asked: what went to the killed one is lost. */
    json_t *outcome = NULL;
    for (int64_t until_ms = clock_mono_ms() + DEADLINE_MS; outcome == NULL && clock_mono_ms() < until_ms;) {
        deliver(&bench, "d-1", "ops", "A-1", 1, true);
        outcome = await_message(&bench, ROLE_OUTCOME, 1000);
    }
    check_outcome(outcome, "d-1", "delivered", 1);
    static struct receiver_request before, after;
    receiver_get(bench.receiver, "/hang", 0, &before);
    receiver_get(bench.receiver, "/ok", 0, &after);
    check_signed(&before, "d-1");
    check_signed(&after, "d-1");
    CU_ASSERT_STRING_EQUAL(before.body, after.body);
    end_process(&bench, SIGTERM);
    close_bench(&bench);
}

static void answers_questions(void)
{
    struct bench bench;
    open_bench(&bench);
    launch(&bench, "/ok", "/ok");
    deliver(&bench, "d-1", "ops", "A-1", 1, true);
    expect_outcome(&bench, "d-1", "delivered", 1);
    void *ask = role_connect(bench.zmq, bench.run, ROLE_DELIVERY_ASK, NULL);
    struct role_header header = role_header_of(ROLE_QUESTION, 0);
    header.number = 42;
    zmq_pollitem_t item = {.socket = ask, .events = ZMQ_POLLOUT};
    CU_ASSERT_EQUAL(zmq_poll(&item, 1, DEADLINE_MS), 1);
    CU_ASSERT_EQUAL(
        role_send(ask, NULL, &header, span_text("{\"ask\":\"counts\"}"), (struct span){0}, NULL), 0);
    item.events = ZMQ_POLLIN;
    CU_ASSERT_EQUAL(zmq_poll(&item, 1, DEADLINE_MS), 1);
    struct buffer payload = {0}, second = {0};
    CU_ASSERT_EQUAL(role_receive(ask, NULL, &header, &payload, &second, NULL), 1);
    CU_ASSERT_EQUAL(header.number, 42);
    json_t *counts = json_loadb((const char *)payload.data, payload.size, 0, NULL);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(counts, "delivered_total")), 1);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(counts, "waiting_count")), 0);
    json_decref(counts);
    buffer_fini(&payload);
    buffer_fini(&second);
    zmq_close(ask);
    end_process(&bench, SIGTERM);
    close_bench(&bench);
}

int main(int argc, char **argv)
{
    if (argc == 7 && strcmp(argv[1], "serve") == 0) return serve(argv);
    static const struct unit_case cases[] = {
        {"knows what each answer means", answers_and_what_they_mean},
        {"refuses private addresses in every spelling", private_addresses_are_refused},
        {"refuses everything but http and https", other_schemes_are_refused},
        {"delivers signed, retries and reports each attempt", delivers_signed_and_reports},
        {"obeys Retry-After", obeys_retry_after},
        {"a hanging hook holds up no other", hanging_hook_holds_up_no_other},
        {"a permanent refusal is told and not repeated", permanent_is_told_and_not_repeated},
        {"sends the same id after a kill", same_id_after_a_kill},
        {"answers questions about itself", answers_questions},
        {0},
    };
    return unit_run("delivery", cases, argc > 1 ? argv[1] : NULL);
}

/* The program itself against a ROUTER with CURVE: what arrives when it runs, is stopped, is killed. It runs
 * at 1 Hz, so this takes some seconds; every wait ends with what it waits for. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/keys.h"
#include "proto/received.h"
#include "proto/wire.h"
#include "tests/support/unit.h"

#define DEADLINE_MS   30000
#define SEQUENCES_MAX 4096

struct site {
    char directory[64];
    void *context, *router;
    struct key_pair key;
    char endpoint[64];
    pid_t agent;
    bool acks;
    uint64_t incarnation;
    struct received received;
    struct {
        uint64_t sequence, hash;
    } batches[SEQUENCES_MAX];
    size_t batch_count, repeated, contradicting;
    int64_t times_ms[SEQUENCES_MAX]; /* of uptime_s */
    size_t time_count;
    uint32_t uptime_id, missed_id;
    int64_t missed;
    uint64_t gap_samples;
};

static void write_file(const struct site *s, const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", s->directory, name);
    FILE *out = fopen(path, "w");
    CHECK(out != NULL);
    fputs(text, out);
    fclose(out);
}

static void start_agent(struct site *s)
{
    char config[200];
    snprintf(config, sizeof config, "%s/agent.yaml", s->directory);
    s->agent = fork();
    if (s->agent == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL) _exit(1);
        execl(
            FAULTLINE_BINARY_DIR "/bin/faultline-agent", "faultline-agent", "--config", config, (char *)NULL);
        _exit(127);
    }
    CU_ASSERT_FATAL(s->agent > 0);
}

static void begin(struct site *s)
{
    *s = (struct site){.directory = "/tmp/faultline-agent-XXXXXX", .acks = true};
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(s->directory));
    s->context = zmq_ctx_new();
    s->router = zmq_socket(s->context, ZMQ_ROUTER);
    CHECK(zmq_curve_keypair(s->key.public_key, s->key.secret_key) == 0);
    const int one = 1, none = 0;
    zmq_setsockopt(s->router, ZMQ_CURVE_SERVER, &one, sizeof one);
    zmq_setsockopt(s->router, ZMQ_CURVE_SECRETKEY, s->key.secret_key, KEYS_TEXT_SIZE);
    zmq_setsockopt(s->router, ZMQ_LINGER, &none, sizeof none);
    CU_ASSERT_EQUAL_FATAL(zmq_bind(s->router, "tcp://127.0.0.1:*"), 0);
    size_t size = sizeof s->endpoint;
    zmq_getsockopt(s->router, ZMQ_LAST_ENDPOINT, s->endpoint, &size);
    char text[400];
    snprintf(text, sizeof text,
        "collectors: [{address: \"%s\", key: \"%s\"}]\nkey_file: own.key\nspool: {directory: spool}\n",
        s->endpoint, s->key.public_key);
    write_file(s, "agent.yaml", text);
    start_agent(s);
}

static void say(struct site *s, const char *peer, size_t peer_size, const struct wire_from_collector *message)
{
    struct buffer frame = {0};
    CU_ASSERT_EQUAL_FATAL(wire_encode_from_collector(message, &frame, NULL), 0);
    zmq_send(s->router, peer, peer_size, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(s->router, frame.data, frame.size, ZMQ_DONTWAIT);
    buffer_fini(&frame);
}

/* The same sequence twice is fine if it says the same; everything it says counts once. */
static bool is_new(struct site *s, uint64_t sequence, struct span frame)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < frame.size; i++) hash = (hash ^ frame.data[i]) * 1099511628211u;
    for (size_t i = 0; i < s->batch_count; i++) {
        if (s->batches[i].sequence != sequence) continue;
        s->repeated++;
        s->contradicting += s->batches[i].hash != hash;
        return false;
    }
    CHECK(s->batch_count < SEQUENCES_MAX);
    s->batches[s->batch_count].sequence = sequence;
    s->batches[s->batch_count++].hash = hash;
    return true;
}

static void take_values(struct site *s, const struct wire_batch *batch)
{
    for (size_t i = 0; i < batch->dict_count; i++) {
        if (strcmp(batch->dict[i].metric, "uptime_s") == 0) s->uptime_id = batch->dict[i].id;
        if (strcmp(batch->dict[i].metric, "agent_ticks_missed_total") == 0) s->missed_id = batch->dict[i].id;
    }
    for (size_t i = 0; i < batch->rows_count; i++) {
        const struct wire_rows *rows = &batch->rows[i];
        for (size_t k = 0; k < rows->series_count; k++) {
            if (rows->series[k] == s->uptime_id) s->times_ms[s->time_count++] = rows->times_ms[0];
            if (rows->series[k] == s->missed_id) s->missed = rows->ints[k];
        }
    }
    for (size_t i = 0; i < batch->gap_count; i++) {
        s->gap_samples += batch->gaps[i].samples;
        CU_ASSERT_EQUAL(received_add(&s->received, batch->gaps[i].from, batch->gaps[i].to, NULL), 0);
    }
}

static void take(struct site *s, const char *peer, size_t peer_size, struct span frame)
{
    struct arena arena = {0};
    struct wire_from_agent message;
    CU_ASSERT_EQUAL_FATAL(wire_decode_from_agent(frame, &arena, &message, NULL), 0);
    if (message.kind == WIRE_HELLO) {
        if (s->incarnation != message.hello.incarnation) s->received = (struct received){0};
        s->incarnation = message.hello.incarnation;
        say(s, peer, peer_size,
            &(struct wire_from_collector){.kind = WIRE_WELCOME,
                .welcome = {.collector = "A", .host = "app1", .wall_ms = clock_wall_ms(), .credit = 64}});
    } else if (s->acks) {
        const struct wire_batch *batch = &message.batch;
        if (is_new(s, batch->sequence, frame)) take_values(s, batch);
        CU_ASSERT_EQUAL(received_add(&s->received, batch->sequence, batch->sequence, NULL), 0);
        struct wire_from_collector ack = {.kind = WIRE_ACK,
            .ack = {.incarnation = batch->incarnation,
                .floor = s->received.floor,
                .credit = 64,
                .range_count = s->received.range_count,
                .echo_mono_ms = batch->sent_mono_ms,
                .wall_ms = clock_wall_ms()}};
        memcpy(ack.ack.ranges, s->received.ranges, sizeof ack.ack.ranges);
        say(s, peer, peer_size, &ack);
    } else {
        s->repeated++; /* heard, not taken: as by a collector that dies before it commits */
    }
    arena_fini(&arena);
}

static void work(struct site *s)
{
    zmq_pollitem_t item = {.socket = s->router, .events = ZMQ_POLLIN};
    if (zmq_poll(&item, 1, 20) <= 0) return;
    char peer[64];
    int n = zmq_recv(s->router, peer, sizeof peer, ZMQ_DONTWAIT);
    static uint8_t frame[LIMIT_FRAME_BYTES];
    int size = zmq_recv(s->router, frame, sizeof frame, ZMQ_DONTWAIT);
    CHECK(n > 0 && size >= 0);
    take(s, peer, (size_t)n, span_of(frame, (size_t)size));
}

#define UNTIL(s, condition)                                                                                  \
    do {                                                                                                     \
        for (int64_t stop_ = clock_mono_ms() + DEADLINE_MS; !(condition) && clock_mono_ms() < stop_;)        \
            work(s);                                                                                         \
        CU_ASSERT(condition);                                                                                \
    } while (0)

static int end_agent(struct site *s, int signal_number)
{
    int status = 0;
    kill(s->agent, signal_number);
    waitpid(s->agent, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void remove_below(const char *path)
{
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", path, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
}

static void end(struct site *s)
{
    CU_ASSERT_EQUAL(end_agent(s, SIGTERM), 0);
    zmq_close(s->router);
    zmq_ctx_term(s->context);
    remove_below(s->directory);
}

static int compare(const void *a, const void *b)
{
    int64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

/* Samples stand on the grid of the second, each second once; returns how many seconds of the span have none.
 */
static size_t holes(struct site *s)
{
    qsort(s->times_ms, s->time_count, sizeof s->times_ms[0], compare);
    size_t wrong = 0, missing = 0;
    for (size_t i = 0; i < s->time_count; i++) {
        wrong += s->times_ms[i] % 1000 != 0;
        if (i == 0) continue;
        wrong += s->times_ms[i] == s->times_ms[i - 1];
        missing += (size_t)((s->times_ms[i] - s->times_ms[i - 1]) / 1000 - 1);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    return missing;
}

static void samples_arrive_once_a_second_on_the_grid(void)
{
    struct site s;
    begin(&s);
    UNTIL(&s, s.time_count >= 3);
    CU_ASSERT_EQUAL(holes(&s), (size_t)s.missed);
    CU_ASSERT_EQUAL(s.received.floor, s.batch_count);
    end(&s);
}

static void what_was_not_acknowledged_survives_kill_9_and_comes_once(void)
{
    struct site s;
    begin(&s);
    UNTIL(&s, s.time_count >= 1);
    uint64_t incarnation = s.incarnation;
    s.acks = false;
    UNTIL(&s, s.repeated >= 3);
    /* One is acknowledged before it touches the disk: its sequence must not be used again. */
    s.acks = true;
    size_t taken = s.batch_count;
    UNTIL(&s, s.batch_count > taken);
    end_agent(&s, SIGKILL);
    start_agent(&s);
    s.repeated = 0;
    size_t before = s.time_count;
    UNTIL(&s, s.time_count >= before + 5);
    CU_ASSERT_EQUAL(s.incarnation, incarnation);
    UNTIL(&s, s.received.range_count == 0); /* nothing is missing below the newest: holes were told */
    CU_ASSERT_EQUAL(s.contradicting, 0);
    CU_ASSERT_EQUAL(s.gap_samples, 0);
    holes(&s);
    end(&s);
}

static void after_a_pause_one_tick_follows_and_the_missed_ones_are_counted(void)
{
    struct site s;
    begin(&s);
    UNTIL(&s, s.time_count >= 1);
    int64_t missed = s.missed;
    kill(s.agent, SIGSTOP);
    poll(NULL, 0, 3200);
    kill(s.agent, SIGCONT);
    size_t before = s.time_count;
    UNTIL(&s, s.time_count >= before + 3);
    CU_ASSERT(s.missed >= missed + 2);
    CU_ASSERT_EQUAL(holes(&s), (size_t)s.missed);
    end(&s);
}

static int exit_code_of(const char *first, const char *second)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL || freopen("/dev/null", "w", stdout) == NULL) _exit(1);
        execl(FAULTLINE_BINARY_DIR "/bin/faultline-agent", "faultline-agent", first, second, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void the_command_line_tells_by_its_exit_code(void)
{
    static const struct {
        const char *first, *second;
        int code;
    } rows[] = {{"--version", NULL, 0}, {"--help", NULL, 0}, {"--print-schema", NULL, 0}, {NULL, NULL, 2},
        {"--config", NULL, 2}, {"--nonsense", NULL, 2}, {"--config", "/nowhere.yaml", 1},
        {"--check", "/nowhere.yaml", 1}, {"keygen", "/nowhere/at/all", 1}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        CU_ASSERT_EQUAL(exit_code_of(rows[i].first, rows[i].second), rows[i].code);
}

UNIT_MAIN("agent", {"samples arrive once a second on the grid", samples_arrive_once_a_second_on_the_grid},
    {"what was not acknowledged survives kill -9 and comes once",
        what_was_not_acknowledged_survives_kill_9_and_comes_once},
    {"after a pause one tick follows and the missed ones are counted",
        after_a_pause_one_tick_follows_and_the_missed_ones_are_counted},
    {"the command line tells by its exit code", the_command_line_tells_by_its_exit_code})

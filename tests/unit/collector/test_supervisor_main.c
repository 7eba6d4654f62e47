/* The program faultline-collector itself, as a person or an init system starts it, with an agent made of a
 * socket. */
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "common/check.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/keys.h"
#include "proto/wire.h"
#include "tests/support/scratch.h"
#include "tests/support/unit.h"

#define PROGRAM     FAULTLINE_BINARY_DIR "/bin/faultline-collector"
#define DEADLINE_MS 20000

struct site {
    char directory[SCRATCH_SIZE];
    char config[128], data[128], run[128], words[128]; /* words: what the program last said */
    struct key_pair agent;
    pid_t pid;
};

static void write_file(const char *path, const char *text)
{
    CU_ASSERT_EQUAL_FATAL(file_write_atomic(path, span_text(text), 0600, NULL), 0);
}

static struct site *site_new(void)
{
    struct site *site = check_alloc(sizeof *site);
    scratch_make(site->directory);
    snprintf(site->config, sizeof site->config, "%s/faultline.yaml", site->directory);
    snprintf(site->data, sizeof site->data, "%s/deep/data", site->directory);
    snprintf(site->run, sizeof site->run, "%s/run", site->directory);
    snprintf(site->words, sizeof site->words, "%s/words", site->directory);
    AUTO_FREE char *text =
        check_format("collector: {listen: \"tcp://127.0.0.1:*\", data: \"%s\", run: \"%s\", letter: B}\n"
                     "hosts: {app1: {}}\n",
            site->data, site->run);
    write_file(site->config, text);
    CU_ASSERT_EQUAL_FATAL(zmq_curve_keypair(site->agent.public_key, site->agent.secret_key), 0);
    return site;
}

static pid_t start(const struct site *site, const char *argument)
{
    fflush(NULL);
    pid_t pid = fork();
    CU_ASSERT_FATAL(pid >= 0);
    if (pid > 0) return pid;
    int fd = open(site->words, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(fd, STDERR_FILENO);
    dup2(fd, STDOUT_FILENO);
    execl(PROGRAM, "faultline-collector", "--config", site->config, argument, (char *)NULL);
    _exit(127);
}

static void pause_a_moment(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

#define UNTIL(condition)                                                                                     \
    do {                                                                                                     \
        int64_t deadline_ms_ = clock_mono_ms() + DEADLINE_MS;                                                \
        bool happened_;                                                                                      \
        while (!(happened_ = (condition)) && clock_mono_ms() < deadline_ms_) pause_a_moment();               \
        if (!happened_) CU_FAIL_FATAL("waited in vain for " #condition);                                     \
    } while (0)

static int exit_status(pid_t pid)
{
    int status = 0;
    UNTIL(waitpid(pid, &status, WNOHANG) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static char *content_of(const char *directory, const char *name)
{
    AUTO_FREE char *path = check_format("%s/%s", directory, name);
    struct buffer text = {0};
    if (file_read(path, 1 << 20, &text, NULL) != 0) buffer_clear(&text);
    buffer_text(&text);
    return (char *)text.data;
}

static bool says(const struct site *site, const char *what)
{
    AUTO_FREE char *words = content_of(site->directory, "words");
    return strstr(words, what) != NULL;
}

static pid_t process_of(const struct site *site, const char *name, json_int_t restarts)
{
    AUTO_FREE char *text = content_of(site->run, "processes.json");
    json_t *all = json_loads(text, 0, NULL);
    pid_t pid = 0;
    size_t i;
    json_t *row;
    json_array_foreach(all, i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0 &&
            json_integer_value(json_object_get(row, "restarts")) == restarts)
            pid = (pid_t)json_integer_value(json_object_get(row, "pid"));
    }
    json_decref(all);
    return pid;
}

static void site_free(struct site *site)
{
    if (site->pid > 0) {
        kill(site->pid, SIGTERM);
        CU_ASSERT_EQUAL(exit_status(site->pid), 0);
    }
    scratch_remove(site->directory);
    free(site);
}

/* ── An agent ── */

static void *agent_new(const struct site *site, void *zmq)
{
    AUTO_FREE char *endpoints = content_of(site->run, "link.endpoints");
    AUTO_FREE char *key = content_of(site->data, "collector.key");
    char server_key[KEYS_TEXT_SIZE] = "";
    CU_ASSERT_EQUAL_FATAL(sscanf(key, "public %40s", server_key), 1);
    void *socket = zmq_socket(zmq, ZMQ_DEALER);
    int linger = 0, quick_ms = 20;
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &quick_ms, sizeof quick_ms);
    zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server_key, 40);
    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, site->agent.public_key, 40);
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, site->agent.secret_key, 40);
    endpoints[strcspn(endpoints, "\n")] = '\0';
    CU_ASSERT_EQUAL_FATAL(zmq_connect(socket, endpoints), 0);
    return socket;
}

static bool welcomed_after_hello(void *socket)
{
    const struct wire_from_agent message = {
        .kind = WIRE_HELLO, .hello = {.protocol = WIRE_PROTOCOL, .version = "test", .next_sequence = 1}};
    struct buffer frame = {0};
    CHECK(wire_encode_from_agent(&message, &frame, NULL) == 0);
    zmq_send(socket, frame.data, frame.size, ZMQ_DONTWAIT);
    buffer_fini(&frame);
    static uint8_t bytes[LIMIT_FRAME_BYTES];
    struct arena arena = {0};
    bool welcomed = false;
    for (int size; !welcomed && (size = zmq_recv(socket, bytes, sizeof bytes, ZMQ_DONTWAIT)) >= 0;) {
        struct wire_from_collector answer;
        CHECK(wire_decode_from_collector(span_of(bytes, (size_t)size), &arena, &answer, NULL) == 0);
        if (answer.kind != WIRE_WELCOME) continue;
        welcomed = strcmp(answer.welcome.collector, "B") == 0 && strcmp(answer.welcome.host, "app1") == 0;
    }
    arena_fini(&arena);
    return welcomed;
}

static void enroll(const struct site *site)
{
    AUTO_FREE char *path = check_format("%s/agents", site->data);
    CU_ASSERT_EQUAL_FATAL(key_book_enroll(path, "app1", site->agent.public_key, NULL), 0);
}

static void begin(struct site *site)
{
    site->pid = start(site, NULL);
    UNTIL(process_of(site, "web", 0) > 0);
    AUTO_FREE char *path = check_format("%s/link.endpoints", site->run);
    UNTIL(access(path, R_OK) == 0);
}

/* ── Cases ── */

static void arguments_and_config_are_checked(void)
{
    struct site *site = site_new();
    CU_ASSERT_EQUAL(exit_status(start(site, "--check")), 0);
    CU_ASSERT_EQUAL(exit_status(start(site, "--help")), 0);
    CU_ASSERT(says(site, "Usage: faultline-collector"));
    CU_ASSERT_EQUAL(exit_status(start(site, "--version")), 0);
    CU_ASSERT(says(site, "faultline-collector " FAULTLINE_VERSION));
    CU_ASSERT_EQUAL(exit_status(start(site, "--nonsense")), 2);
    CU_ASSERT_EQUAL(exit_status(start(site, "nonsense")), 2);
    CU_ASSERT_EQUAL(exit_status(start(site, "--process=nonsense")), 2);
    CU_ASSERT_NOT_EQUAL(access(site->data, F_OK), 0); /* nothing was made yet */
    write_file(site->config, "collector: {letterr: A}\n");
    CU_ASSERT_EQUAL(exit_status(start(site, NULL)), 2);
    CU_ASSERT(says(site, "faultline.yaml:1:13: error: unknown key 'letterr'; did you mean 'letter'?"));
    unlink(site->config);
    CU_ASSERT_EQUAL(exit_status(start(site, NULL)), 2);
    CU_ASSERT(says(site, "No such file"));
    site_free(site);
}

static void it_makes_what_it_needs_and_runs_four_processes(void)
{
    struct site *site = site_new();
    begin(site);
    struct stat status;
    CU_ASSERT(stat(site->data, &status) == 0 && (status.st_mode & 0777) == 0700);
    CU_ASSERT(stat(site->run, &status) == 0 && (status.st_mode & 0777) == 0700);
    AUTO_FREE char *key = check_format("%s/collector.key", site->data);
    CU_ASSERT(stat(key, &status) == 0 && (status.st_mode & 0777) == 0600);
    const char *const names[] = {"link", "core", "delivery", "web"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) CU_ASSERT(process_of(site, names[i], 0) > 0);
    site_free(site);
}

static void a_second_collector_on_the_same_data_refuses(void)
{
    struct site *site = site_new();
    begin(site);
    struct site second = *site;
    snprintf(second.words, sizeof second.words, "%s/second", site->directory);
    CU_ASSERT_EQUAL(exit_status(start(&second, NULL)), 1);
    AUTO_FREE char *words = content_of(site->directory, "second");
    CU_ASSERT_PTR_NOT_NULL(strstr(words, "another faultline-collector runs on"));
    CU_ASSERT(process_of(site, "link", 0) > 0);
    site_free(site);
}

static void an_agent_goes_on_when_link_is_killed(void)
{
    struct site *site = site_new();
    begin(site);
    enroll(site);
    kill(site->pid, SIGHUP);                     /* or a second later without */
    UNTIL(says(site, "event=book_read keys=1")); /* libzmq does not try again after a refusal */
    void *zmq = zmq_ctx_new();
    void *agent = agent_new(site, zmq);
    UNTIL(welcomed_after_hello(agent));
    for (int round = 0; round < 3; round++) {
        CU_ASSERT_EQUAL(kill(process_of(site, "link", round), SIGKILL), 0);
        UNTIL(process_of(site, "link", round + 1) > 0);
        UNTIL(welcomed_after_hello(agent));
    }
    const char *const others[] = {"core", "delivery", "web"};
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) CU_ASSERT(process_of(site, others[i], 0) > 0);
    zmq_close(agent);
    zmq_ctx_term(zmq);
    site_free(site);
}

static void a_collector_that_was_killed_starts_again_where_it_was(void)
{
    struct site *site = site_new();
    begin(site);
    AUTO_FREE char *before = content_of(site->run, "link.endpoints");
    kill(site->pid, SIGKILL);
    CU_ASSERT_EQUAL(exit_status(site->pid), -1);
    /* Its children end with it, and the lock with them at the latest. */
    pid_t old_link = process_of(site, "link", 0);
    UNTIL(kill(old_link, 0) != 0);
    begin(site);
    UNTIL(process_of(site, "link", 0) > 0 && process_of(site, "link", 0) != old_link);
    UNTIL(says(site, "event=listening"));
    AUTO_FREE char *after = content_of(site->run, "link.endpoints");
    CU_ASSERT_STRING_EQUAL(before, after);
    site_free(site);
}

UNIT_MAIN("supervisor_main", {"arguments and config are checked", arguments_and_config_are_checked},
    {"it makes what it needs and runs four processes", it_makes_what_it_needs_and_runs_four_processes},
    {"a second collector on the same data refuses", a_second_collector_on_the_same_data_refuses},
    {"an agent goes on when link is killed", an_agent_goes_on_when_link_is_killed},
    {"a collector that was killed starts again where it was",
        a_collector_that_was_killed_starts_again_where_it_was})

#include "collector/cli/live.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/check.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/span.h"

#define ANSWERS_BYTES_MAX ((size_t)16 << 20)

static const char *const remedies[] = {
    [PROBE_ERROR_NONE] = "",
    [PROBE_ERROR_RESOLVE] = "the name has no address from here: correct it, or write the address",
    [PROBE_ERROR_REFUSED] = "nothing listens there: check the port, and that the service runs",
    [PROBE_ERROR_UNREACHABLE] = "there is no route from here: check the network and its firewalls",
    [PROBE_ERROR_CONNECT_TIMEOUT] =
        "packets vanish on the way: let this host through the firewall, or correct the address",
    [PROBE_ERROR_TLS] =
        ("the certificate or the handshake is refused: write the name that the certificate is for, http:// "
         "where no TLS is spoken, or 'insecure: yes'"),
    [PROBE_ERROR_RESET] =
        "the server breaks the connection: does it want another scheme (http or https) or port?",
    [PROBE_ERROR_NO_ANSWER] = "it connects and does not answer: is the application behind it stuck?",
    [PROBE_ERROR_UNFINISHED] = "the answer does not end in time: probe a smaller page",
    [PROBE_ERROR_STATUS] =
        "another page, a header in 'headers', or 'expect: {status: ...}' where this status is a good one",
    [PROBE_ERROR_CONTENT] = "correct 'expect: {text: ...}', or probe the page that holds it",
    [PROBE_ERROR_REDIRECT] =
        ("write where it leads into the URL (often https:// for http://), a header the server expects into "
         "the hop, or 'follow: yes'"),
    [PROBE_ERROR_BLOCKED] =
        "the server refuses observers: let them in by address, or give 'credentials_file'",
    [PROBE_ERROR_LOCAL] = "this host could not try: see the reason",
    [PROBE_ERROR_MALFORMED] =
        "what answers does not speak HTTP: tcp://ADDRESS:PORT probes the connection only",
};
static_assert(ARRAY_COUNT(remedies) == PROBE_ERROR_COUNT, "a remedy per error");

const char *live_remedy(enum probe_error error)
{
    return (unsigned)error < PROBE_ERROR_COUNT ? remedies[error] : "";
}

int live_agent_path(char *out, size_t size, struct error *err)
{
    ssize_t n = readlink("/proc/self/exe", out, size);
    if (n < 0) return fail_errno(err, "read /proc/self/exe");
    char *slash = memrchr(out, '/', (size_t)n);
    static const char name[] = "/faultline-agent";
    if (slash == NULL || (size_t)(slash - out) + sizeof name > size)
        return fail(err, ERROR_LIMIT, "the path of this program is too long");
    memcpy(slash, name, sizeof name);
    if (access(out, X_OK) != 0) return fail_errno(err, "--live needs the agent's prober, %s", out);
    return 0;
}

/* ── Where a target stands in the config ── */

static const struct schema_node *list_item(const struct schema_node *list, size_t index)
{
    return list != NULL && list->kind == SCHEMA_SEQUENCE && index < list->count ? list->children[index]
                                                                                : NULL;
}

/* The entry of a backend, by its name. */
static const struct schema_node *backend_node(const struct config *config, const struct schema_node *service,
    const char *service_name, const char *name)
{
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *from = &config->services[i];
        if (strcmp(from->name, service_name) != 0) continue;
        for (size_t b = 0; b < from->backend_count; b++)
            if (strcmp(from->backends[b].name, name) == 0)
                return list_item(schema_get(service, "backends"), b);
    }
    return NULL;
}

/* Whether the server itself was not reached: then its address is to blame, not the path that it was asked
 * for. */
static bool is_unreached(const struct live_result *result)
{
    return result->tried &&
           (result->result.error == PROBE_ERROR_RESOLVE || result->result.error == PROBE_ERROR_REFUSED ||
               result->result.error == PROBE_ERROR_UNREACHABLE ||
               result->result.error == PROBE_ERROR_CONNECT_TIMEOUT ||
               result->result.error == PROBE_ERROR_TLS || result->result.error == PROBE_ERROR_RESET);
}

static const struct schema_node *target_node(
    const struct config *config, const struct model *model, const struct live_result *result)
{
    const struct model_target *target = result->target;
    const struct schema_node *root = schema_root(config->tree);
    const char *name = target->service != MODEL_NONE ? model->services[target->service].name : "";
    const struct schema_node *service = schema_get(schema_get(root, "services"), name);
    switch (target->entrance) {
    case ENTRANCE_USERS: return schema_get(service, "url");
    case ENTRANCE_HOP: return list_item(schema_get(service, "through"), target->hop);
    case ENTRANCE_BACKEND: return backend_node(config, service, name, model->backends[target->backend].name);
    case ENTRANCE_HEALTH:
        if (is_unreached(result))
            return backend_node(config, service, name, model->backends[target->backend].name);
        return schema_get(service, "health");
    case ENTRANCE_STATS:
        return schema_get(
            schema_get(schema_get(root, "balancers"), model->balancers[target->balancer].name), "stats");
    case ENTRANCE_REFERENCE:
        return schema_get(
            schema_get(schema_get(root, "sites"), model->sites[target->site].name), "references");
    case ENTRANCE_COUNT: break;
    }
    return NULL;
}

/* ── Lines to the agent, lines from it ── */

static int write_line(const struct model_target *target, size_t index, FILE *out)
{
    const struct wire_target *wire = &target->wire;
    json_t *headers = json_array();
    for (size_t i = 0; i < wire->header_count; i++) {
        json_array_append_new(headers, json_string(wire->headers[i].name));
        json_array_append_new(headers, json_string(wire->headers[i].value));
    }
    json_t *line = json_pack("{s:I, s:s, s:s, s:s, s:s, s:o, s:I, s:b, s:b, s:s, s:I, s:I, s:s}", "key",
        (json_int_t)index, "probe", probe_kind_name(target->probe), "url", wire->url, "connect",
        wire->connect, "method", wire->method, "headers", headers, "timeout_ms", (json_int_t)wire->timeout_ms,
        "insecure", (int)wire->insecure, "follow", (int)wire->follow, "expect_text", wire->expect_text,
        "expect_code_min", (json_int_t)wire->expect_code_min, "expect_code_max",
        (json_int_t)wire->expect_code_max, "credentials_file", wire->credentials_file);
    if (line == NULL) return -1;
    int result = json_dumpf(line, out, JSON_COMPACT);
    fputc('\n', out);
    json_decref(line);
    return result;
}

/* All lines in a file of memory: neither side can wait for the other. -1 with err. */
static int open_lines(const struct model *model, struct error *err)
{
    AUTO_CLOSE int fd = memfd_create("targets", MFD_CLOEXEC);
    if (fd < 0) return fail_errno(err, "memory for the targets");
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    FILE *out = copy >= 0 ? fdopen(copy, "w") : NULL;
    if (out == NULL) return fail_errno(err, "memory for the targets");
    int result = 0;
    for (uint32_t i = 0; i < model->target_count && result == 0; i++)
        result = write_line(&model->targets[i], i, out);
    if (fclose(out) != 0 || lseek(fd, 0, SEEK_SET) != 0) return fail_errno(err, "memory for the targets");
    if (result != 0) return fail(err, ERROR_INPUT, "a target holds what is no text");
    int lines = fd;
    fd = -1;
    return lines;
}

static int start_agent(const char *agent, int in, int out, pid_t *pid, struct error *err)
{
    char word[] = "try", *path = check_strdup(agent);
    char *const argv[] = {path, word, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    int refused = posix_spawn(pid, agent, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    free(path);
    if (refused == 0) return 0;
    errno = refused;
    return fail_errno(err, "start %s", agent);
}

static int read_answers(int fd, struct buffer *answers, struct error *err)
{
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int n = poll(&ready, 1, LIVE_SILENCE_MS);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) return fail(err, ERROR_AGAIN, "faultline-agent says nothing any more");
        uint8_t *room = buffer_reserve(answers, 4096, err);
        if (room == NULL) return -1;
        ssize_t size = read(fd, room, 4096);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return fail_errno(err, "read the results");
        if (size == 0) return 0;
        answers->size += (size_t)size;
    }
}

static enum probe_error error_named(const char *name)
{
    for (enum probe_error error = PROBE_ERROR_NONE; error < PROBE_ERROR_COUNT; error++)
        if (strcmp(probe_error_name(error), name) == 0) return error;
    return PROBE_ERROR_LOCAL;
}

static void take_answer(const char *line, size_t size, struct live_result *results, size_t count)
{
    json_t *object = json_loadb(line, size, 0, NULL);
    json_int_t key = -1, code = 0, times[5] = {-1, -1, -1, -1, -1};
    const char *outcome = "", *error = "", *detail = "";
    bool good =
        json_unpack(object, "{s:I, s:s, s:s, s?I, s?I, s?I, s?I, s?I, s?I, s?s}", "key", &key, "outcome",
            &outcome, "error", &error, "code", &code, "resolve_us", &times[0], "connect_us", &times[1],
            "tls_us", &times[2], "first_byte_us", &times[3], "total_us", &times[4], "detail", &detail) == 0;
    if (good && key >= 0 && (size_t)key < count) {
        struct live_result *into = &results[key];
        into->tried = true;
        into->result = (struct probe_result){
            .outcome = strcmp(outcome, probe_outcome_name(PROBE_OK)) == 0 ? PROBE_OK : PROBE_FAIL,
            .error = error_named(error),
            .code = code >= 0 && code <= 999 ? (uint32_t)code : 0,
            .resolve_us = times[0],
            .connect_us = times[1],
            .tls_us = times[2],
            .first_byte_us = times[3],
            .total_us = times[4]};
        snprintf(into->detail, sizeof into->detail, "%s", detail);
        for (char *c = into->detail; *c != '\0'; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?'; /* a server's words reach a terminal */
    }
    json_decref(object);
}

static int run_agent(const char *agent, int lines, struct buffer *answers, struct error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return fail_errno(err, "pipe");
    AUTO_CLOSE int from = ends[0];
    pid_t pid = -1;
    int started = start_agent(agent, lines, ends[1], &pid, err);
    close(ends[1]);
    if (started != 0) return -1;
    int result = read_answers(from, answers, err);
    if (result != 0) kill(pid, SIGKILL);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    if (result == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        return fail(err, ERROR_IO, "%s try did not end well", agent);
    return result;
}

int live_try(const char *agent, const struct config *config, const struct model *model,
    struct live_result *results, struct error *err)
{
    for (uint32_t i = 0; i < model->target_count; i++)
        results[i] = (struct live_result){.target = &model->targets[i]};
    AUTO_CLOSE int lines = open_lines(model, err);
    if (lines < 0) return -1;
    AUTO(buffer_fini) struct buffer answers = {.size_max = ANSWERS_BYTES_MAX};
    if (run_agent(agent, lines, &answers, err) != 0) return -1;
    const char *text = buffer_text(&answers);
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        take_answer(text, size, results, model->target_count);
        text += size + (text[size] == '\n');
    }
    for (uint32_t i = 0; i < model->target_count; i++) {
        const struct schema_node *node = target_node(config, model, &results[i]);
        results[i].line = node != NULL ? node->line : 0;
        results[i].column = node != NULL ? node->column : 0;
    }
    return 0;
}

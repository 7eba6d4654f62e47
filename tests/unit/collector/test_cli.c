/* The command line against an API that answers with recorded JSON, and against golden outputs:
 * tests/data/cli/NAME.txt, rewritten with UPDATE_GOLDEN=1 and reviewed like code. */
#include <jansson.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/check.h"
#include "common/file.h"
#include "common/span.h"
#include "tests/support/program.h"
#include "tests/support/unit.h"

#define DATA       FAULTLINE_SOURCE_DIR "/tests/data/cli/"
#define PROGRAM    FAULTLINE_BINARY_DIR "/bin/faultline"
#define TIMEOUT_MS 20000

/* ── An API that answers what was recorded ── */

struct answer {
    const char *path;
    const char *file; /* NULL: text */
    int status;
    const char *text;
};

struct api {
    const struct answer *answers; /* ends with path NULL */
    char directory[64], socket_path[96];
    struct MHD_Daemon *daemon;
    char query[512]; /* of the last request: name=value, joined by '&' */
};

static enum MHD_Result take_query(void *owner, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    struct api *api = owner;
    size_t used = strlen(api->query);
    snprintf(api->query + used, sizeof api->query - used, "%s%s=%s", used > 0 ? "&" : "", name, value);
    return MHD_YES;
}

static enum MHD_Result on_request(void *owner, struct MHD_Connection *connection, const char *path,
    const char *method, const char *version, const char *upload, size_t *upload_size, void **state)
{
    (void)method, (void)version, (void)upload, (void)upload_size;
    static char seen;
    if (*state == NULL) {
        *state = &seen;
        return MHD_YES;
    }
    struct api *api = owner;
    api->query[0] = '\0';
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, take_query, api);
    struct buffer body = {0};
    int status = 404;
    buffer_format(&body, NULL, "{\"error\":\"no such path\",\"remedy\":null}");
    for (const struct answer *answer = api->answers; answer->path != NULL; answer++) {
        if (strcmp(answer->path, path) != 0) continue;
        status = answer->status;
        buffer_clear(&body);
        char name[256];
        snprintf(name, sizeof name, DATA "%s.json", answer->file != NULL ? answer->file : "");
        if (answer->file != NULL)
            CHECK(file_read(name, 1 << 20, &body, NULL) == 0);
        else
            buffer_format(&body, NULL, "%s", answer->text);
        break;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body.size, body.data, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    buffer_fini(&body);
    return result;
}

static void api_start(struct api *api, const struct answer *answers)
{
    *api = (struct api){.answers = answers, .directory = "/tmp/faultline-cli-XXXXXX"};
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(api->directory));
    snprintf(api->socket_path, sizeof api->socket_path, "%s/api.sock", api->directory);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", api->socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    listen(fd, 16);
    api->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL, NULL, on_request,
        api, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_END);
    CU_ASSERT_PTR_NOT_NULL_FATAL(api->daemon);
}

static void api_stop(struct api *api)
{
    MHD_stop_daemon(api->daemon);
    unlink(api->socket_path);
    CU_ASSERT_EQUAL(rmdir(api->directory), 0);
}

/* Runs `faultline --socket … WORDS`; words NULL-terminated. */
static struct program_result run(const struct api *api, const char *const *words)
{
    const char *argv[24] = {PROGRAM};
    size_t count = 1;
    if (api != NULL) {
        argv[count++] = "--socket";
        argv[count++] = api->socket_path;
    }
    while (*words != NULL) argv[count++] = *words++;
    return program_run(argv, TIMEOUT_MS);
}
#define RUN(api, ...) run(api, (const char *const[]){__VA_ARGS__, NULL})

static void expect_golden(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, DATA "%s.txt", name);
    struct buffer golden = {0};
    if (getenv("UPDATE_GOLDEN") != NULL) CHECK(file_write_atomic(path, span_text(text), 0644, NULL) == 0);
    CU_ASSERT_EQUAL(file_read(path, 1 << 20, &golden, NULL), 0);
    if (strcmp(buffer_text(&golden), text) != 0) printf("\n%s is not what came:\n%s\n", path, text);
    CU_ASSERT_STRING_EQUAL(buffer_text(&golden), text);
    buffer_fini(&golden);
}

static void golden(const struct api *api, const char *name, const char *const *words)
{
    struct program_result got = run(api, words);
    CU_ASSERT_EQUAL(got.code, 0);
    CU_ASSERT_STRING_EQUAL(got.err, "");
    expect_golden(name, got.out);
    program_result_fini(&got);
}
#define GOLDEN(api, name, ...) golden(api, name, (const char *const[]){__VA_ARGS__, NULL})

/* ── Cases ── */

static void status_pages(void)
{
    static const char *const names[] = {
        "status-healthy", "status-down", "status-unproven", "status-recorded", "status-silent"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const struct answer answers[] = {{"/api/v1/status", names[i], 200, NULL}, {0}};
        struct api api;
        api_start(&api, answers);
        GOLDEN(&api, names[i], "status");
        api_stop(&api);
    }
}

static const struct answer recorded[] = {
    {"/api/v1/status", "status-healthy", 200, NULL},
    {"/api/v1/incidents", "incidents", 200, NULL},
    {"/api/v1/incidents/A-6", "incident", 200, NULL},
    {"/api/v1/incidents/A-9", NULL, 404,
        "{\"error\":\"no incident 'A-9'\",\"remedy\":\"`faultline incidents` lists them\"}"},
    {"/api/v1/agents", "agents", 200, NULL},
    {"/api/v1/query", "query", 200, NULL},
    {"/api/v1/map", "map", 200, NULL},
    {0},
};

static void pages_of_what_was(void)
{
    struct api api;
    api_start(&api, recorded);
    GOLDEN(&api, "incidents", "incidents");
    GOLDEN(&api, "incident", "incident", "A-6");
    GOLDEN(&api, "report", "report", "A-6");
    GOLDEN(&api, "agents", "agents");
    GOLDEN(&api, "map", "map");
    GOLDEN(&api, "query-table", "query", "disk_reads_total");
    GOLDEN(&api, "query-csv", "query", "disk_reads_total", "--format", "csv");
    api_stop(&api);
}

static void json_is_the_answer(void)
{
    struct api api;
    api_start(&api, recorded);
    static const char *const commands[] = {"status", "incidents", "agents", "map"};
    static const char *const files[] = {"status-healthy", "incidents", "agents", "map"};
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        struct program_result got = RUN(&api, commands[i], "--json");
        char path[256];
        snprintf(path, sizeof path, DATA "%s.json", files[i]);
        json_t *expected = json_load_file(path, 0, NULL), *printed = json_loads(got.out, 0, NULL);
        CU_ASSERT(json_equal(expected, printed));
        json_decref(expected);
        json_decref(printed);
        program_result_fini(&got);
    }
    api_stop(&api);
}

static void query_passes_everything_on(void)
{
    struct api api;
    api_start(&api, recorded);
    struct program_result got = RUN(&api, "query", "disk_reads_total", "--host", "app 1&x", "--from", "-10m",
        "--to=now", "--step", "10s", "--agg", "rate", "--label", "device=v=d,a", "--format", "json");
    api_stop(&api); /* its thread wrote the query */
    CU_ASSERT_EQUAL(got.code, 0);
    CU_ASSERT_STRING_EQUAL(api.query,
        "metric=disk_reads_total&host=app 1&x&from=-10m&to=now&step=10s&agg=rate&label.device=v=d,a");
    program_result_fini(&got);
}

static void wrong_usage(void)
{
    static const struct {
        const char *words[6];
        int code;
        const char *says;
    } rows[] = {
        {{"statsu"}, 2, "did you mean 'status'?"},
        {{"status", "--wach"}, 2, "did you mean '--watch'?"},
        {{"status", "now"}, 2, "one word too many"},
        {{"incidents", "--state"}, 2, "--state needs a value"},
        {{"incidents", "--state", "opne"}, 2, "did you mean 'open'?"},
        {{"incident"}, 2, "which one?"},
        {{"incident", "A-9"}, 1, "no incident 'A-9'; `faultline incidents` lists them"},
        {{"report", "A-6", "--format", "pdf"}, 2, "md or json"},
        {{"query"}, 2, "which metric?"},
        {{"query", "disk_read_total"}, 2, "did you mean 'disk_reads_total'?"},
        {{"query", "disk_reads_total", "--agg", "lats"}, 2, "did you mean 'last'?"},
        {{"query", "disk_reads_total", "--label", "vda"}, 2, "NAME=VALUE"},
        {{"hook", "ops"}, 2, "hook test NAME"},
        {{"enroll", "app1"}, 2, "HOST PUBLICKEY"},
        {{"enroll", "app1", "short"}, 2, "enroll:"},
        {{"sta\033[2Jtus"}, 2, "unknown command 'sta\\x1b[2Jtus'"}, /* shown, never obeyed */
        {{"setup", "--root", "/nonexistent"}, 1, "/nonexistent is no directory"},
    };
    struct api api;
    api_start(&api, recorded);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct program_result got = run(&api, rows[i].words);
        if (got.code != rows[i].code || strstr(got.err, rows[i].says) == NULL)
            printf("%s %s: exit %d, %s\n", rows[i].words[0], rows[i].words[1], got.code, got.err);
        CU_ASSERT_EQUAL(got.code, rows[i].code);
        CU_ASSERT_PTR_NOT_NULL(strstr(got.err, rows[i].says));
        CU_ASSERT_STRING_EQUAL(got.out, "");
        program_result_fini(&got);
    }
    api_stop(&api);
}

static void help_for_everything(void)
{
    struct program_result got = RUN(NULL, "--help");
    CU_ASSERT_EQUAL(got.code, 0);
    expect_golden("help", got.out);
    program_result_fini(&got);
    static const char *const commands[] = {"status", "incidents", "incident", "report", "query", "agents",
        "map", "hook", "check", "enroll", "keys"};
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        char usage[64];
        snprintf(usage, sizeof usage, "usage: faultline %s", commands[i]);
        got = RUN(NULL, commands[i], "--help");
        CU_ASSERT_EQUAL(got.code, 0);
        CU_ASSERT_EQUAL(strncmp(got.out, usage, strlen(usage)), 0);
        program_result_fini(&got);
    }
    got = RUN(NULL, "--version");
    CU_ASSERT_STRING_EQUAL(got.out, "faultline " FAULTLINE_VERSION "\n");
    program_result_fini(&got);
}

static void errors_of_the_api(void)
{
    static const struct answer answers[] = {
        {"/api/v1/agents", NULL, 503,
            "{\"error\":\"the collector's engine does not answer within 2 s\",\"remedy\":null}"},
        {"/api/v1/query", NULL, 404,
            "{\"error\":\"unknown host 'app'\",\"remedy\":\"did you mean 'app1'?\"}"},
        {"/api/v1/incidents", NULL, 200, "not json"},
        {0},
    };
    struct api api;
    api_start(&api, answers);
    struct program_result got = RUN(&api, "agents");
    CU_ASSERT_EQUAL(got.code, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(got.err, "engine does not answer within 2 s"));
    program_result_fini(&got);
    got = RUN(&api, "query", "disk_reads_total", "--host", "app");
    CU_ASSERT_EQUAL(got.code, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(got.err, "unknown host 'app'; did you mean 'app1'?"));
    program_result_fini(&got);
    got = RUN(&api, "--config", "/nonexistent", "incidents");
    CU_ASSERT_EQUAL(got.code, 1);
    program_result_fini(&got);
    api_stop(&api);
}

UNIT_MAIN("cli", {"status: healthy, down, unproven, silent", status_pages},
    {"incidents, report, agents, map and query print their golden pages", pages_of_what_was},
    {"--json is the API's answer", json_is_the_answer},
    {"query passes everything on", query_passes_everything_on}, {"wrong usage is explained", wrong_usage},
    {"every command explains itself", help_for_everything}, {"errors of the API are told", errors_of_the_api})

/* The web process over a real store and a real state.db; the roles it asks are played by a thread. The
 * program runs itself as the process under test. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "collector/contract/incident.h"
#include "collector/contract/roles.h"
#include "collector/core/state/state.h"
#include "collector/web/resource.h"
#include "collector/web/web.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/timetext.h"
#include "tests/support/store_case.h"
#include "tests/support/recorded_incident.h"
#include "tests/support/unit.h"

extern char **environ;

#define DEADLINE_MS 20000
#define ODD_DEVICE  "a,b=c\\d" /* the store escapes what separates labels */

/* ── Parts that need no process ── */

static void paths_find_their_resource(void)
{
    static const struct {
        const char *path;
        resource_handler *handle;
        const char *rest;
    } rows[] = {
        {"/api/v1/status", resource_status, ""},
        {"/api/v1/incidents", resource_incidents, ""},
        {"/api/v1/incidents/A-1", resource_incident, "A-1"},
        {"/api/v1/incidents/", NULL, ""},
        {"/api/v1/incidents/A-1/more", NULL, ""},
        {"/api/v1/status/", NULL, ""},
        {"/", NULL, ""},
        {"/-/ready", resource_ready, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct request request = {.path = rows[i].path};
        const struct resource *found = resource_find(&request);
        CU_ASSERT_PTR_EQUAL(found != NULL ? found->handle : NULL, rows[i].handle);
        CU_ASSERT_STRING_EQUAL(request.rest, rows[i].rest);
    }
}

static void hostile_text_in_errors_stays_json(void)
{
    struct reply reply = {0};
    reply_error(&reply, 400, NULL, "unknown metric '%s'", "\xff\xfe\"");
    json_t *parsed = json_loadb((const char *)reply.body.data, reply.body.size, 0, NULL);
    CU_ASSERT_PTR_NOT_NULL(json_object_get(parsed, "error"));
    CU_ASSERT(json_is_null(json_object_get(parsed, "remedy")));
    json_decref(parsed);
    buffer_fini(&reply.body);
}

/* ── The process ── */

struct bench {
    char run[SCRATCH_SIZE], socket_path[SCRATCH_SIZE + 16];
    struct store_case store;
    pid_t pid;
    pthread_t roles;
    void *zmq;
    _Atomic int stopping, engine_silent, engine_not_ready;
};

static int serve(char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed case leaves nobody behind who holds the output open */
    static char letter[] = "A", empty[] = "", app1[] = "app1", app2[] = "app2", socket_path[128];
    snprintf(socket_path, sizeof socket_path, "%s/api.sock", argv[2]);
    struct config_host hosts[] = {{.name = app1, .site = CONFIG_NONE, .zone = empty},
        {.name = app2, .site = CONFIG_NONE, .zone = empty}};
    struct config config = {.collector = {.run = argv[2],
                                .data = argv[3],
                                .letter = letter,
                                .api_socket = socket_path,
                                .web_listen = argv[4]},
        .hosts = hosts,
        .host_count = 2};
    return web_main(&config);
}

/* What the engine, delivery and store say; the store is a real one. */
static json_t *engine_says(const struct bench *bench, const char *ask)
{
    if (strcmp(ask, "status") == 0)
        return json_pack(
            "{s:s, s:[], s:[], s:[]}", "at", "2026-11-23T13:45:00.000Z", "services", "hosts", "incidents");
    if (strcmp(ask, "agents") == 0) return json_pack("[{s:s, s:s}]", "host", "app1", "state", "reporting");
    if (strcmp(ask, "ready") == 0)
        return bench->engine_not_ready ? json_pack("{s:b, s:s}", "ready", 0, "reason", "warming up")
                                       : json_pack("{s:b, s:b}", "ready", 1, "link", 1);
    return json_pack(
        "{s:i, s:i, s:i}", "engine_frames_total", 3, "link_frames_total", 4, "engine_agents_count", 1);
}

static json_t *store_says(struct bench *bench, const json_t *question, const char *ask, struct buffer *heads)
{
    if (strcmp(ask, "ready") == 0) return json_pack("{s:b}", "ready", 1);
    if (strcmp(ask, "heads") != 0) return json_pack("{s:i, s:i}", "batches", 2, "commit_us", 1500);
    struct store_selector selector = {.metric = json_string_value(json_object_get(question, "metric")),
        .host = json_string_value(json_object_get(question, "host")),
        .from_ms = json_integer_value(json_object_get(question, "from_ms")),
        .to_ms = json_integer_value(json_object_get(question, "to_ms"))};
    CHECK(store_heads(bench->store.store, &selector, heads, NULL) == 0);
    return json_object();
}

static void answer_one(struct bench *bench, void *socket, enum role_endpoint endpoint)
{
    struct buffer payload = {0}, second = {0}, heads = {0};
    struct role_identity from;
    struct role_header header;
    while (role_receive(socket, &from, &header, &payload, &second, NULL) == 1) {
        if (endpoint == ROLE_ENGINE_ASK && bench->engine_silent) continue;
        json_t *question = json_loadb((const char *)payload.data, payload.size, 0, NULL);
        const char *ask = json_string_value(json_object_get(question, "ask"));
        buffer_clear(&heads);
        json_t *said = endpoint == ROLE_ENGINE_ASK  ? engine_says(bench, ask)
                       : endpoint == ROLE_STORE_ASK ? store_says(bench, question, ask, &heads)
                                                    : json_pack("{s:i}", "waiting_count", 0);
        char *text = json_dumps(said, 0);
        struct role_header reply = role_header_of(ROLE_ANSWER, clock_wall_ms());
        reply.number = header.number;
        role_send(socket, &from, &reply, span_text(text), buffer_span(&heads), NULL);
        free(text);
        json_decref(said);
        json_decref(question);
    }
    buffer_fini(&payload);
    buffer_fini(&second);
    buffer_fini(&heads);
}

static void *play_roles(void *owner)
{
    static const enum role_endpoint endpoints[] = {ROLE_ENGINE_ASK, ROLE_STORE_ASK, ROLE_DELIVERY_ASK};
    struct bench *bench = owner;
    zmq_pollitem_t items[ARRAY_COUNT(endpoints)] = {0};
    for (size_t i = 0; i < ARRAY_COUNT(endpoints); i++)
        items[i] = (zmq_pollitem_t){
            .socket = role_bind(bench->zmq, bench->run, endpoints[i], NULL), .events = ZMQ_POLLIN};
    while (!bench->stopping) {
        zmq_poll(items, ARRAY_COUNT(endpoints), 20);
        for (size_t i = 0; i < ARRAY_COUNT(endpoints); i++) answer_one(bench, items[i].socket, endpoints[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(endpoints); i++) zmq_close(items[i].socket);
    return NULL;
}

static size_t take_bytes(char *bytes, size_t size, size_t count, void *owner)
{
    return buffer_append(owner, span_of(bytes, size * count), NULL) == 0 ? size * count : 0;
}

/* The status, 0 where nobody answers; *body (owned text) may be NULL. port 0: over the unix socket. */
static int request(
    const struct bench *bench, int port, const char *method, const char *path, const char *host, char **body)
{
    char url[512], header[128];
    struct buffer text = {0};
    long status = 0;
    CURL *curl = curl_easy_init();
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", port == 0 ? 80 : port, path);
    snprintf(header, sizeof header, "Host: %s", host != NULL ? host : "localhost");
    struct curl_slist *headers = curl_slist_append(NULL, header);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (port == 0) curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, bench->socket_path);
    if (strcmp(method, "POST") == 0) curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "body=that nobody reads");
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 15L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &text);
    if (curl_easy_perform(curl) == CURLE_OK) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    if (body != NULL) *body = check_strdup(buffer_text(&text));
    buffer_fini(&text);
    return (int)status;
}

static json_t *get_json(const struct bench *bench, const char *path, int expected)
{
    char *body;
    int status = request(bench, 0, "GET", path, NULL, &body);
    if (status != expected) printf("%s: %d %s\n", path, status, body);
    CU_ASSERT_EQUAL(status, expected);
    json_t *object = json_loads(body, 0, NULL);
    CU_ASSERT_PTR_NOT_NULL(object);
    free(body);
    return object;
}

static void feed_store(struct bench *bench)
{
    static const int64_t sealed[] = {CASE_NOON, CASE_NOON + 1000},
                         heads[] = {CASE_NOON + 2000, CASE_NOON + 3000};
    static const int64_t values[] = {100, 110}, later[] = {130, 160};
    case_init(&bench->store);
    struct case_series series = {.id = 1,
        .metric = "disk_reads_total",
        .device = "vda",
        .with_dict = true,
        .times_ms = sealed,
        .ints = values,
        .count = 2};
    CU_ASSERT_EQUAL(case_send_series(&bench->store, 1, 1, &series), STORE_TAKEN);
    CU_ASSERT(case_commit(&bench->store) && case_seal(&bench->store, true));
    series.times_ms = heads;
    series.ints = later;
    CU_ASSERT_EQUAL(case_send_series(&bench->store, 1, 2, &series), STORE_TAKEN);
    series = (struct case_series){.id = 2,
        .metric = "disk_writes_total",
        .device = ODD_DEVICE,
        .with_dict = true,
        .times_ms = heads,
        .ints = later,
        .count = 2};
    CU_ASSERT_EQUAL(case_send_series(&bench->store, 1, 3, &series), STORE_TAKEN);
    CU_ASSERT(case_commit(&bench->store));
}

static void launch(struct bench *bench, const char *listen)
{
    char self[] = "/proc/self/exe", word[] = "serve", address[64];
    snprintf(address, sizeof address, "%s", listen);
    char *argv[] = {self, word, bench->run, bench->store.directory, address, NULL};
    CU_ASSERT_EQUAL_FATAL(posix_spawn(&bench->pid, self, NULL, NULL, argv, environ), 0);
    int64_t until_ms = clock_mono_ms() + DEADLINE_MS;
    while (request(bench, 0, "GET", "/-/healthy", NULL, NULL) != 200) {
        CU_ASSERT_FATAL(clock_mono_ms() < until_ms);
        poll(NULL, 0, 10);
    }
}

static void open_bench(struct bench *bench, const char *listen)
{
    memset(bench, 0, sizeof *bench);
    scratch_make(bench->run);
    snprintf(bench->socket_path, sizeof bench->socket_path, "%s/api.sock", bench->run);
    feed_store(bench);
    record_incident(bench->store.directory, CASE_NOON, "lb:lb-www down, certain");
    char path[128];
    static const char processes[] =
        "[{\"name\":\"core\",\"pid\":1,\"restarts\":2,\"started_at\":\"2026-11-23T11:00:00.000Z\"}]";
    snprintf(path, sizeof path, "%s/processes.json", bench->run);
    CHECK(file_write_atomic(path, span_text(processes), 0600, NULL) == 0);
    launch(bench, listen);
    bench->zmq = zmq_ctx_new();
    CHECK(pthread_create(&bench->roles, NULL, play_roles, bench) == 0);
}

static void close_bench(struct bench *bench)
{
    int status = 0;
    kill(bench->pid, SIGTERM);
    waitpid(bench->pid, &status, 0);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    bench->stopping = 1;
    pthread_join(bench->roles, NULL);
    zmq_ctx_term(bench->zmq);
    CU_ASSERT_NOT_EQUAL(access(bench->socket_path, F_OK), 0);
    case_fini(&bench->store);
    scratch_remove(bench->run);
}

static void answers_the_contract(void)
{
    struct bench bench;
    open_bench(&bench, "");
    struct stat stat_of;
    CU_ASSERT(stat(bench.socket_path, &stat_of) == 0 && (stat_of.st_mode & 0777) == 0660);
    CU_ASSERT_EQUAL(request(&bench, 0, "GET", "/-/ready", NULL, NULL), 200);
    json_t *status = get_json(&bench, "/api/v1/status", 200),
           *collector = json_object_get(status, "collector");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(collector, "letter")), "A");
    CU_ASSERT_STRING_EQUAL(
        json_string_value(json_object_get(collector, "started_at")), "2026-11-23T11:00:00.000Z");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(collector, "processes")), 1);
    json_decref(status);
    json_t *agents = get_json(&bench, "/api/v1/agents", 200);
    CU_ASSERT(json_is_null(json_object_get(json_array_get(agents, 0), "zone")));
    json_decref(agents);
    json_t *incidents = get_json(&bench, "/api/v1/incidents?state=open", 200);
    CU_ASSERT_EQUAL(json_array_size(incidents), 1);
    json_decref(incidents);
    json_t *incident = get_json(&bench, "/api/v1/incidents/A-1", 200);
    CU_ASSERT_STRING_EQUAL(
        json_string_value(json_object_get(json_object_get(incident, "incident"), "headline")),
        "lb:lb-www down, certain");
    json_decref(incident);
    json_t *map = get_json(&bench, "/api/v1/map", 200);
    CU_ASSERT(json_array_size(json_object_get(map, "nodes")) >= 3);
    json_decref(map);
    close_bench(&bench);
}

static void query_joins_files_and_memory(void)
{
    struct bench bench;
    open_bench(&bench, "");
    json_t *answer = get_json(&bench,
        "/api/v1/query?metric=disk_reads_total&host=app1&from=2026-11-23T12:00:00Z&to=2026-11-23T12:01:00Z",
        200);
    const json_t *series = json_array_get(json_object_get(answer, "series"), 0);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(answer, "agg")), "raw");
    CU_ASSERT_STRING_EQUAL(
        json_string_value(json_object_get(json_object_get(series, "labels"), "device")), "vda");
    static const double expected[] = {100, 110, 130, 160};
    const json_t *points = json_object_get(series, "points");
    CU_ASSERT_EQUAL(json_array_size(points), ARRAY_COUNT(expected));
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        const json_t *point = json_array_get(points, i);
        CU_ASSERT_EQUAL(json_integer_value(json_array_get(point, 0)), CASE_NOON + 1000 * (int64_t)i);
        CU_ASSERT_EQUAL(json_number_value(json_array_get(point, 1)), expected[i]);
    }
    json_decref(answer);
    answer = get_json(&bench,
        "/api/v1/"
        "query?metric=disk_reads_total&label.device=vda&from=2026-11-23T12:00:00Z&to=2026-11-23T12:00:10Z&"
        "agg=max",
        200);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(answer, "step_ms")), 10000);
    points = json_object_get(json_array_get(json_object_get(answer, "series"), 0), "points");
    CU_ASSERT_EQUAL(json_number_value(json_array_get(json_array_get(points, 0), 1)), 160);
    json_decref(answer);
    answer = get_json(&bench,
        "/api/v1/query?metric=disk_reads_total&host=app2&from=2026-11-23T12:00:00Z&to=2026-11-23T12:00:10Z",
        200);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(answer, "series")), 0); /* known, and silent */
    json_decref(answer);
    close_bench(&bench);
}

static void labels_come_as_the_agent_gave_them(void)
{
    struct bench bench;
    open_bench(&bench, "");
    json_t *answer = get_json(&bench,
        "/api/v1/query?metric=disk_writes_total&label.device=a%2Cb%3Dc%5Cd&from=2026-11-23T12:00:00Z&"
        "to=2026-11-23T12:01:00Z",
        200);
    CU_ASSERT_EQUAL_FATAL(json_array_size(json_object_get(answer, "series")), 1);
    const json_t *labels = json_object_get(json_array_get(json_object_get(answer, "series"), 0), "labels");
    CU_ASSERT_EQUAL(json_object_size(labels), 1);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(labels, "device")), ODD_DEVICE);
    json_decref(answer);
    close_bench(&bench);
}

static void wrong_questions(void)
{
    static const struct {
        const char *method, *path;
        int status;
        const char *says;
    } rows[] = {
        {"GET", "/", 404, "no such path"},
        {"GET", "/api/v1/incidents/A-99", 404, "no incident 'A-99'"},
        {"GET", "/api/v1/incidents/..%2f..%2fetc", 404, "error"},
        {"GET", "/api/v1/incidents?state=opne", 400, "unknown state"},
        {"GET", "/api/v1/incidents?limit=-1", 400, "limit must be"},
        {"GET", "/api/v1/incidents?limit=1x", 400, "limit must be"},
        {"GET", "/api/v1/query", 400, "metric is missing"},
        {"GET", "/api/v1/query?metric=disk_reads_totl", 400, "did you mean 'disk_reads_total'?"},
        {"GET", "/api/v1/query?metric=disk_reads_total&from=noon", 400, "from 'noon' is no time"},
        {"GET", "/api/v1/query?metric=disk_reads_total&frm=now", 400, "unknown parameter 'frm'"},
        {"GET", "/api/v1/query?metric=disk_reads_total&labels.x=y", 400, "unknown parameter 'labels.x'"},
        {"GET", "/api/v1/status?verbose=1", 400, "no parameter is taken here"},
        {"GET", "/api/v1/incidents?states=open", 400, "known here: state limit"},
        {"GET", "/api/v1/query?metric=disk_reads_total&from=now&to=-1h", 400, "not before"},
        {"GET", "/api/v1/query?metric=disk_reads_total&step=10", 400, "step"},
        {"GET", "/api/v1/query?metric=disk_reads_total&agg=mean", 400, "unknown aggregate"},
        {"GET", "/api/v1/query?metric=disk_reads_total&from=-30d&step=1ms", 400, "longer step"},
        {"GET", "/api/v1/query?metric=disk_reads_total&host=app", 404, "did you mean 'app1'?"},
        {"GET", "/api/v1/query?metric=%ff%fe", 400, "error"},
        {"GET", "/api/v1/series?metric=nope", 400, "unknown metric"},
        {"POST", "/api/v1/status", 405, "only GET"},
        {"DELETE", "/api/v1/incidents/A-1", 405, "only GET"},
    };
    struct bench bench;
    open_bench(&bench, "");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char *body;
        int status = request(&bench, 0, rows[i].method, rows[i].path, NULL, &body);
        if (status != rows[i].status || strstr(body, rows[i].says) == NULL)
            printf("%s %s: %d %s\n", rows[i].method, rows[i].path, status, body);
        CU_ASSERT_EQUAL(status, rows[i].status);
        CU_ASSERT_PTR_NOT_NULL(strstr(body, rows[i].says));
        json_t *object = json_loads(body, 0, NULL);
        CU_ASSERT(json_is_string(json_object_get(object, "error")));
        json_decref(object);
        free(body);
    }
    close_bench(&bench);
}

static void a_silent_role_is_503(void)
{
    struct bench bench;
    open_bench(&bench, "");
    bench.engine_silent = 1;
    int64_t start_ms = clock_mono_ms();
    json_t *error = get_json(&bench, "/api/v1/status", 503);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(json_string_value(json_object_get(error, "error")), "engine does not answer within 2 s"));
    json_decref(error);
    CU_ASSERT(clock_mono_ms() - start_ms >= 1900);
    CU_ASSERT_EQUAL(request(&bench, 0, "GET", "/-/healthy", NULL, NULL), 200);
    CU_ASSERT_EQUAL(request(&bench, 0, "GET", "/-/ready", NULL, NULL), 503);
    json_t *incidents = get_json(&bench, "/api/v1/incidents", 200); /* needs nobody */
    CU_ASSERT_EQUAL(json_array_size(incidents), 1);
    json_decref(incidents);
    bench.engine_silent = 0;
    bench.engine_not_ready = 1;
    char *body;
    CU_ASSERT_EQUAL(request(&bench, 0, "GET", "/-/ready", NULL, &body), 503);
    CU_ASSERT_PTR_NOT_NULL(strstr(body, "warming up"));
    free(body);
    close_bench(&bench);
}

static void metrics_satisfy_promtool(void)
{
    struct bench bench;
    open_bench(&bench, "");
    char *body;
    CU_ASSERT_EQUAL(request(&bench, 0, "GET", "/metrics", NULL, &body), 200);
    static const char *const expected[] = {"faultline_role_up{role=\"engine\"} 1",
        "faultline_role_up{role=\"link\"} 1", "faultline_engine_frames_total 3",
        "faultline_link_frames_total 4", "faultline_store_commit_seconds_total 0.0015",
        "faultline_incidents{state=\"open\"} 1", "faultline_agents{state=\"reporting\"} 1",
        "faultline_process_restarts_total{process=\"core\"} 2"};
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        if (strstr(body, expected[i]) == NULL) printf("missing %s\n", expected[i]);
        CU_ASSERT_PTR_NOT_NULL(strstr(body, expected[i]));
    }
    if (system("command -v promtool >/dev/null") == 0) {       /* NOLINT */
        FILE *promtool = popen("promtool check metrics", "w"); /* NOLINT */
        fputs(body, promtool);
        CU_ASSERT_EQUAL(pclose(promtool), 0);
    }
    free(body);
    close_bench(&bench);
}

/* Free a moment ago: the process under test binds it itself. Below the range of outgoing connections, or one
 * of another test could take it meanwhile. */
static int free_port(void)
{
    for (int port = 12000 + (int)(getpid() % 10000);; port++) {
        struct sockaddr_in address = {.sin_family = AF_INET,
            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
            .sin_port = htons((uint16_t)port)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int bound = bind(fd, (struct sockaddr *)&address, sizeof address);
        close(fd);
        if (bound == 0) return port;
        CHECK(port < 32000);
    }
}

static void tcp_answers_only_to_its_own_names(void)
{
    struct bench bench;
    char listen[32];
    int port = free_port();
    snprintf(listen, sizeof listen, "127.0.0.1:%d", port);
    open_bench(&bench, listen);
    CU_ASSERT_EQUAL(request(&bench, port, "GET", "/api/v1/incidents", "127.0.0.1", NULL), 200);
    CU_ASSERT_EQUAL(request(&bench, port, "GET", "/api/v1/incidents", "localhost:7441", NULL), 200);
    CU_ASSERT_EQUAL(request(&bench, port, "GET", "/api/v1/incidents", "[::1]:7441", NULL), 200);
    CU_ASSERT_EQUAL(request(&bench, port, "GET", "/api/v1/incidents", "evil.example", NULL), 403);
    CU_ASSERT_EQUAL(request(&bench, port, "GET", "/api/v1/incidents", "localhost.evil.example", NULL), 403);
    CU_ASSERT_EQUAL(request(&bench, 0, "GET", "/api/v1/incidents", "faultline", NULL), 200);
    close_bench(&bench);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "serve") == 0) return serve(argv);
    static const struct unit_case cases[] = {
        {"paths find their resource", paths_find_their_resource},
        {"hostile text in errors stays JSON", hostile_text_in_errors_stays_json},
        {"answers what the contract says", answers_the_contract},
        {"a query joins sealed files and memory", query_joins_files_and_memory},
        {"labels come as the agent gave them", labels_come_as_the_agent_gave_them},
        {"wrong questions are explained", wrong_questions},
        {"a silent role is 503 after 2 s, the rest answers", a_silent_role_is_503},
        {"/metrics satisfies promtool", metrics_satisfy_promtool},
        {"over TCP only addresses and localhost are answered", tcp_answers_only_to_its_own_names},
        {0},
    };
    return unit_run("web", cases, argc > 1 ? argv[1] : NULL);
}

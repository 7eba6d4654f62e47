#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector/cli/cli.h"
#include "collector/cli/live.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "tests/support/scratch.h"
#include "tests/support/unit.h"

static char scratch[SCRATCH_SIZE];

static char *put(const char *name, const char *text, mode_t mode)
{
    char *path = check_format("%s/%s", scratch, name);
    CU_ASSERT_EQUAL_FATAL(file_write_atomic(path, span_text(text), mode, NULL), 0);
    return path;
}

/* Runs the command line and returns what it wrote to stdout. */
static char *run(int *code, const char *const *words)
{
    char *argv[12] = {0};
    int argc = 0;
    while (words[argc] != NULL) {
        argv[argc] = check_strdup(words[argc]);
        argc++;
    }
    AUTO_FREE char *path = check_format("%s/stdout", scratch);
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    CU_ASSERT_PTR_NOT_NULL_FATAL(freopen(path, "w", stdout));
    *code = command_check.run(&(struct cli){.json = argc > 2 && strcmp(argv[argc - 1], "--json") == 0,
                                  .config_path = "/nonexistent"},
        argc > 2 && strcmp(argv[argc - 1], "--json") == 0 ? argc - 1 : argc, argv);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    for (int i = 0; i < argc; i++) free(argv[i]);
    AUTO(buffer_fini) struct buffer content = {0};
    CU_ASSERT_EQUAL(file_read(path, 1 << 20, &content, NULL), 0);
    return check_strdup(buffer_text(&content));
}

static void errors_are_printed_as_compilers_do_and_counted(void)
{
    scratch_make(scratch);
    AUTO_FREE char *path = put("faultline.yaml",
        "collector: {listen: tcp://127.0.0.1:*}\nservices:\n  www: {url: http://a/, depend_on: [b]}\n", 0644);
    int code = -1;
    AUTO_FREE char *out = run(&code, (const char *const[]){"check", path, NULL});
    CU_ASSERT_EQUAL(code, CLI_FAILED);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(out, "faultline.yaml:3:25: error: unknown key 'depend_on'; did you mean 'depends_on'?"));
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "faultline.yaml: 1 error, 0 warnings\n"));
    CU_ASSERT_PTR_NULL(strchr(out, '\033'));
    scratch_remove(scratch);
}

static void a_good_config_says_so(void)
{
    scratch_make(scratch);
    AUTO_FREE char *path = put("faultline.yaml", "collector: {listen: tcp://127.0.0.1:*}\n", 0644);
    int code = -1;
    AUTO_FREE char *out = run(&code, (const char *const[]){"check", path, NULL});
    CU_ASSERT_EQUAL(code, CLI_OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "faultline.yaml: good\n"));
    scratch_remove(scratch);
}

static void json_holds_every_problem_with_its_place(void)
{
    scratch_make(scratch);
    AUTO_FREE char *path = put("faultline.yaml", "collector: {listen: x, lettr: A}\nactions: {}\n", 0644);
    int code = -1;
    AUTO_FREE char *out = run(&code, (const char *const[]){"check", path, "--json", NULL});
    CU_ASSERT_EQUAL(code, CLI_FAILED);
    json_t *object = json_loads(out, 0, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(object);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(object, "errors")), 2);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(object, "warnings")), 1);
    json_t *last = json_array_get(json_object_get(object, "problems"), 2);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(last, "level")), "warning");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(last, "line")), 2);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(last, "column")), 1);
    json_decref(object);
    scratch_remove(scratch);
}

static void wrong_usage_and_missing_files_have_codes_of_their_own(void)
{
    scratch_make(scratch);
    int code = -1;
    AUTO_FREE char *usage = run(&code, (const char *const[]){"check", "--lve", NULL});
    CU_ASSERT_STRING_EQUAL(usage, "");
    CU_ASSERT_EQUAL(code, CLI_USAGE);
    AUTO_FREE char *missing = run(&code, (const char *const[]){"check", "/nonexistent/x.yaml", NULL});
    CU_ASSERT_EQUAL(code, CLI_FAILED);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(missing, "/nonexistent/x.yaml: error: open /nonexistent/x.yaml: No such file"));
    AUTO_FREE char *schema = run(&code, (const char *const[]){"check", "--print-schema", NULL});
    CU_ASSERT_EQUAL(code, CLI_OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(schema, "services.NAME.depends_on "));
    scratch_remove(scratch);
}

/* ── --live, with an agent that says what the test wants ── */

#define SITE                                                                                                 \
    "collector: {listen: tcp://127.0.0.1:*}\n"                                                               \
    "sites: {east: {references: [https://example.org/]}}\n"                                                  \
    "hosts: {app1: {site: east}, ops: {}}\n"                                                                 \
    "balancers: {lb: {addresses: ['10.0.0.5:80'], stats: 'http://10.0.0.5:8404/stats;csv'}}\n"               \
    "services:\n"                                                                                            \
    "  www:\n"                                                                                               \
    "    url: https://www.example.com/inbox\n"                                                               \
    "    health: /healthz\n"                                                                                 \
    "    through: [lb]\n"                                                                                    \
    "    backends: ['http://app1:8080', 'http://app2:8080']\n"

static struct config *config;
static struct model *model;
static struct live_result *results;
static struct schema_report *report;

static int try_with(const char *script, struct error *err)
{
    scratch_make(scratch);
    AUTO_FREE char *agent = put("agent", script, 0755);
    report = check_alloc(sizeof *report);
    config = config_parse(SITE, strlen(SITE), "site.yaml", scratch, report);
    CU_ASSERT_PTR_NOT_NULL_FATAL(config);
    model = model_build(config, (const char *const[]){"app1", "ops"}, 2, err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    results = check_alloc_array(model->target_count, sizeof *results);
    int result = chdir(scratch) == 0 ? live_try(agent, config, model, results, err) : -2;
    CU_ASSERT_EQUAL(chdir("/"), 0);
    return result;
}

static void forget(void)
{
    free(results);
    model_free(model);
    config_free(config);
    schema_report_fini(report);
    free(report);
    scratch_remove(scratch);
}

#define ANSWER_EACH(fields)                                                                                  \
    "#!/bin/sh\n[ \"$1\" = try ] || exit 2\ni=0\nwhile read -r line; do\n"                                   \
    "printf '%s\\n' \"$line\" >> lines\n"                                                                    \
    "printf '{\"key\":%d," fields "}\\n' $i\ni=$((i+1))\ndone\n"

static void every_target_is_tried_and_answered_at_its_line_of_the_config(void)
{
    struct error err = {0};
    CU_ASSERT_EQUAL(
        try_with(
            ANSWER_EACH(
                "\"outcome\":\"fail\",\"error\":\"redirect\",\"code\":301,\"connect_us\":12,\"total_us\":34,"
                "\"detail\":\"redirects to https://x/\\\\u001b[31m\""),
            &err),
        0);
    static const int lines[ENTRANCE_COUNT] = {[ENTRANCE_USERS] = 7,
        [ENTRANCE_HOP] = 9,
        [ENTRANCE_BACKEND] = 10,
        [ENTRANCE_HEALTH] = 8,
        [ENTRANCE_REFERENCE] = 2,
        [ENTRANCE_STATS] = 4};
    bool seen[ENTRANCE_COUNT] = {0};
    for (uint32_t i = 0; i < model->target_count; i++) {
        const struct live_result *result = &results[i];
        CU_ASSERT(result->tried);
        CU_ASSERT_EQUAL(result->result.error, PROBE_ERROR_REDIRECT);
        CU_ASSERT_EQUAL(result->result.code, 301);
        CU_ASSERT_EQUAL(result->result.resolve_us, -1);
        CU_ASSERT_EQUAL(result->result.total_us, 34);
        CU_ASSERT_STRING_EQUAL(result->detail, "redirects to https://x/?[31m");
        CU_ASSERT_EQUAL(result->line, lines[result->target->entrance]);
        seen[result->target->entrance] = true;
    }
    for (int entrance = 0; entrance < ENTRANCE_COUNT; entrance++) CU_ASSERT(seen[entrance]);
    AUTO_FREE char *path = check_format("%s/lines", scratch);
    AUTO(buffer_fini) struct buffer content = {0};
    CU_ASSERT_EQUAL(file_read(path, 1 << 20, &content, NULL), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(buffer_text(&content), "\"url\":\"https://www.example.com/inbox\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(buffer_text(&content), "\"probe\":\"tcp\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(buffer_text(&content), "\"connect\":\"10.0.0.5:80\""));
    forget();
}

static void answers_that_make_no_sense_leave_targets_untried(void)
{
    struct error err = {0};
    CU_ASSERT_EQUAL(
        try_with("#!/bin/sh\ncat > /dev/null\necho nonsense\necho '{\"key\": 99999, \"outcome\": \"ok\", "
                 "\"error\": \"none\"}'\n"
                 "echo '{\"key\": -1, \"outcome\": \"ok\", \"error\": \"none\"}'\necho '{\"key\": 0}'\n"
                 "echo '{\"key\": 1, \"outcome\": \"ok\", \"error\": \"none\"}'\nprintf '{\"key\": 2'\n",
            &err),
        0);
    CU_ASSERT(!results[0].tried);
    CU_ASSERT(results[1].tried);
    CU_ASSERT(!results[2].tried);
    forget();
}

static void an_agent_that_fails_or_is_missing_is_an_error(void)
{
    struct error err = {0};
    CU_ASSERT_EQUAL(try_with("#!/bin/sh\nexit 3\n", &err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "did not end well"));
    CU_ASSERT_EQUAL(live_try("/nonexistent/agent", config, model, results, &err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "No such file"));
    forget();
}

/* The agent's real prober, against a port that is taken and where nobody listens. */
static void the_real_prober_says_refused_at_the_backends_line(void)
{
    const char *agent = FAULTLINE_BINARY_DIR "/bin/faultline-agent";
    if (access(agent, X_OK) != 0) {
        puts("skipped: faultline-agent is not built");
        return;
    }
    AUTO_CLOSE int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *any = (struct sockaddr *)(void *)&address;
    CU_ASSERT_EQUAL_FATAL(bind(taken, any, sizeof address), 0);
    CU_ASSERT_EQUAL_FATAL(getsockname(taken, any, &(socklen_t){sizeof address}), 0);
    AUTO_FREE char *text = check_format(
        "collector: {listen: tcp://127.0.0.1:*}\nhosts: {ops: {}}\nservices:\n  www:\n"
        "    url: http://127.0.0.1:%u/\n    health: /h\n    backends:\n      - http://127.0.0.1:%u\n",
        ntohs(address.sin_port), ntohs(address.sin_port));
    scratch_make(scratch);
    report = check_alloc(sizeof *report);
    config = config_parse(text, strlen(text), "site.yaml", scratch, report);
    CU_ASSERT_PTR_NOT_NULL_FATAL(config);
    struct error err = {0};
    model = model_build(config, (const char *const[]){"ops"}, 1, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    results = check_alloc_array(model->target_count, sizeof *results);
    CU_ASSERT_EQUAL(live_try(agent, config, model, results, &err), 0);
    CU_ASSERT_STRING_EQUAL(err.text, "");
    CU_ASSERT(model->target_count >= 3);
    for (uint32_t i = 0; i < model->target_count; i++) {
        CU_ASSERT(results[i].tried);
        CU_ASSERT_EQUAL(results[i].result.error, PROBE_ERROR_REFUSED);
        CU_ASSERT_EQUAL(results[i].line, results[i].target->entrance == ENTRANCE_USERS ? 5 : 8);
    }
    forget();
}

static void every_error_has_a_remedy(void)
{
    for (int error = 1; error < PROBE_ERROR_COUNT; error++)
        CU_ASSERT(strlen(live_remedy((enum probe_error)error)) > 10);
    CU_ASSERT_STRING_EQUAL(live_remedy(PROBE_ERROR_NONE), "");
    CU_ASSERT_STRING_EQUAL(live_remedy(PROBE_ERROR_COUNT), "");
}

UNIT_MAIN("check",
    {"errors are printed as compilers do, and counted", errors_are_printed_as_compilers_do_and_counted},
    {"a good config says so", a_good_config_says_so},
    {"JSON holds every problem with its place", json_holds_every_problem_with_its_place},
    {"wrong usage and missing files have codes of their own",
        wrong_usage_and_missing_files_have_codes_of_their_own},
    {"every target is tried and answered at its line of the config",
        every_target_is_tried_and_answered_at_its_line_of_the_config},
    {"answers that make no sense leave targets untried", answers_that_make_no_sense_leave_targets_untried},
    {"an agent that fails or is missing is an error", an_agent_that_fails_or_is_missing_is_an_error},
    {"the real prober says refused, at the backend's line",
        the_real_prober_says_refused_at_the_backends_line},
    {"every error has a remedy", every_error_has_a_remedy})

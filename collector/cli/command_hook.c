/* Try a hook before the night. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "collector/cli/cli.h"
#include "collector/contract/incident.h"
#include "collector/delivery/delivery.h"
#include "common/check.h"
#include "common/clock.h"

static const struct config_hook *find_hook(const struct config *config, const char *name)
{
    const char **names = check_alloc_array(config->hook_count + 1, sizeof *names);
    const struct config_hook *found = NULL;
    for (size_t i = 0; i < config->hook_count; i++) {
        names[i] = config->hooks[i].name;
        if (strcmp(names[i], name) == 0) found = &config->hooks[i];
    }
    char close[128];
    if (found == NULL)
        cli_fail(CLI_FAILED, "no hook '%s'%s", name, cli_suggestion(name, names, config->hook_count, close));
    free(names);
    return found;
}

/* An incident that nobody can mistake for a real one. */
static json_t *sample_message(int64_t now_ms, const char *id)
{
    struct incident *incident = check_alloc(sizeof *incident);
    *incident = (struct incident){.state = INCIDENT_STATE_OPEN,
        .kind = COMPONENT_COLLECTOR,
        .mode = MODE_DOWN,
        .magnitude = 1,
        .confidence = CONFIDENCE_HIGH,
        .posterior = 1,
        .impact = IMPACT_NONE,
        .severity = SEVERITY_INFO,
        .steps = 1,
        .onset_ms = now_ms,
        .detected_ms = now_ms};
    snprintf(incident->id, sizeof incident->id, "%s", id);
    snprintf(incident->component, sizeof incident->component, "collector:test");
    snprintf(incident->headline, sizeof incident->headline,
        "test of this hook by `faultline hook test`: nothing is broken");
    incident_add_evidence(incident, "", "", NAN, NAN, "this is a test");
    json_t *message = json_pack("{s:o, s:s}", "incident", incident_to_json(incident), "step", "opened");
    free(incident);
    return message;
}

static json_t *request_json(const struct channel_request *request)
{
    json_t *headers = json_array();
    for (size_t i = 0; i < request->header_count; i++)
        json_array_append_new(headers, json_string(request->headers[i]));
    return json_pack("{s:s, s:s, s:o, s:s%}", "method", "POST", "url", request->url, "headers", headers,
        "body", (const char *)request->body.data, request->body.size);
}

static void print_request(const struct channel_request *request)
{
    printf("POST %s\n", request->url);
    for (size_t i = 0; i < request->header_count; i++) puts(request->headers[i]);
    printf("\n%.*s\n", (int)request->body.size, (const char *)request->body.data);
}

static int send_and_tell(
    struct cli *cli, const struct config_hook *hook, struct channel_request *request, json_t *told)
{
    struct channel_response response;
    enum channel_verdict verdict;
    struct error err;
    if (delivery_try(hook, request, &response, &verdict, &err) < 0)
        return cli_fail(CLI_FAILED, "%s", err.text);
    if (cli->json) {
        json_object_set_new(told, "result", json_string(channel_verdict_word(verdict)));
        json_object_set_new(told, "status", json_integer(response.status));
        json_object_set_new(told, "detail", json_string(response.detail));
        json_object_set_new(told, "ms", json_integer(response.duration_ms));
    } else if (verdict == CHANNEL_DELIVERED) {
        printf("\ndelivered in %" PRId64 " ms: %s\n", response.duration_ms, response.detail);
    }
    if (verdict == CHANNEL_DELIVERED) return CLI_OK;
    return cli_fail(CLI_FAILED, "hook %s: not delivered: %s%s", hook->name, response.detail,
        verdict == CHANNEL_RETRY ? " (a real delivery would be tried again)" : "");
}

static int test_hook(struct cli *cli, const struct config_hook *hook, char letter, bool dry_run)
{
    char id[48];
    int64_t now_ms = clock_wall_ms();
    snprintf(id, sizeof id, "test-%" PRId64, now_ms);
    json_t *told = sample_message(now_ms, "TEST-0");
    struct channel_message message = {
        .id = id, .step = "opened", .incident = "TEST-0", .at_ms = now_ms, .message = told, .letter = letter};
    struct channel_request request = {0};
    struct error err;
    int result = CLI_OK;
    json_t *out = NULL;
    if (delivery_render(hook, &message, now_ms, &request, &err) < 0) {
        result = cli_fail(CLI_FAILED, "%s", err.text);
    } else {
        if (cli->json)
            out = json_pack("{s:s, s:o}", "hook", hook->name, "request", request_json(&request));
        else
            print_request(&request);
        fflush(stdout);
        if (!dry_run) result = send_and_tell(cli, hook, &request, out);
        if (out != NULL) cli_print_json(out);
    }
    channel_request_fini(&request);
    json_decref(out);
    json_decref(told);
    return result;
}

static int run_hook(struct cli *cli, int argc, char **argv)
{
    bool dry_run = false;
    const char *given[2] = {0};
    const struct cli_option options[] = {{.name = "--dry-run", .flag = &dry_run}, {0}};
    size_t words;
    int result = cli_parse("hook", argc, argv, options, given, 2, &words);
    if (result != 0) return result;
    if (words < 2 || strcmp(given[0], "test") != 0)
        return cli_fail(CLI_USAGE, "hook: the only form is `faultline hook test NAME [--dry-run]`");
    const struct config *config = cli_config(cli);
    if (config == NULL) return CLI_FAILED;
    const struct config_hook *hook = find_hook(config, given[1]);
    return hook != NULL ? test_hook(cli, hook, config->collector.letter[0], dry_run) : CLI_FAILED;
}

const struct cli_command command_hook = {
    .name = "hook",
    .arguments = "test NAME [--dry-run]",
    .summary = "try a hook before the night",
    .help = "Prints the exact request that a delivery would send, signed, with an incident TEST-0 that says "
            "so, and sends it\n"
            "under the same rules. --dry-run only prints. The secret is never shown; it must be readable by "
            "this user.",
    .run = run_hook,
};

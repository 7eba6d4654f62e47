/* `faultline check`: every error of a config at once; with --live each probe tried once. */
#include <stdlib.h>
#include <string.h>

#include "collector/cli/cli.h"
#include "collector/cli/live.h"
#include "common/check.h"
#include "common/cleanup.h"

/* ── As compilers say it ── */

static void print_report(const struct cli *cli, const struct schema_report *report)
{
    schema_report_print(report, stdout, cli->colour);
    size_t warnings = report->count + report->left_out - report->errors;
    if (report->errors == 0 && warnings == 0)
        printf("%s: good\n", report->file);
    else if (report->errors == 0)
        printf("%s: good, %zu warning%s\n", report->file, warnings, warnings == 1 ? "" : "s");
    else
        printf("%s: %zu error%s, %zu warning%s\n", report->file, report->errors,
            report->errors == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s");
}

static const char *or_dash(const char *text)
{
    return text[0] != '\0' ? text : "-";
}

static void print_result(
    const struct schema_report *report, const struct model *model, const struct live_result *result)
{
    const struct model_target *target = result->target;
    const char *service = target->service != MODEL_NONE ? model->services[target->service].name : "-";
    const char *word = !result->tried ? "not tried" : result->result.outcome == PROBE_OK ? "ok" : "FAILED";
    printf("%-16s %-9s %-20s %-5s %-9s", service, model_entrance_word(target->entrance),
        or_dash(target->name), probe_kind_name(target->probe), word);
    if (result->tried && result->result.outcome == PROBE_OK) {
        printf(" %.1f ms\n", (double)result->result.total_us / 1000);
        return;
    }
    printf(" %s\n", result->tried ? or_dash(result->detail) : "the agent gave no answer about it");
    printf("    %s%s%s\n", target->wire.url, target->wire.connect[0] != '\0' ? " at " : "",
        target->wire.connect);
    if (result->line > 0)
        printf("    %s:%d:%d: %s\n", report->file, result->line, result->column,
            live_remedy(result->result.error));
    else
        printf("    %s\n", live_remedy(result->result.error));
}

/* ── As JSON ── */

static json_t *report_json(const struct schema_report *report)
{
    json_t *problems = json_array();
    for (size_t i = 0; i < report->count; i++) {
        const struct schema_problem *problem = &report->problems[i];
        json_array_append_new(
            problems, json_pack("{s:s, s:s, s:i, s:i, s:s}", "level",
                          problem->level == SCHEMA_ERROR ? "error" : "warning", "file", report->file, "line",
                          problem->line, "column", problem->column, "text", problem->text));
    }
    json_t *object = json_pack("{s:I, s:I, s:o}", "errors", (json_int_t)report->errors, "warnings",
        (json_int_t)(report->count + report->left_out - report->errors), "problems", problems);
    CHECK(object != NULL);
    return object;
}

static json_t *result_json(
    const struct schema_report *report, const struct model *model, const struct live_result *result)
{
    const struct model_target *target = result->target;
    const struct probe_result *probe = &result->result;
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:i}",
        "service", target->service != MODEL_NONE ? model->services[target->service].name : "", "entrance",
        model_entrance_word(target->entrance), "target", target->name, "probe",
        probe_kind_name(target->probe), "url", target->wire.url, "connect", target->wire.connect, "outcome",
        result->tried ? probe_outcome_name(probe->outcome) : "not_tried", "error",
        probe_error_name(probe->error), "code", (int)probe->code, "resolve_us", (json_int_t)probe->resolve_us,
        "connect_us", (json_int_t)probe->connect_us, "tls_us", (json_int_t)probe->tls_us, "first_byte_us",
        (json_int_t)probe->first_byte_us, "total_us", (json_int_t)probe->total_us, "detail", result->detail,
        "remedy", live_remedy(probe->error), "file", report->file, "line", result->line);
    return object != NULL ? object : json_null(); /* a detail that is no UTF-8 */
}

/* ── --live ── */

static void cleanup_model(struct model **model)
{
    model_free(*model);
}

/* As if an agent ran on every host of the config: each target is in the model then. */
static struct model *model_of(const struct config *config, struct error *err)
{
    AUTO_FREE const char **present = check_alloc_array(config->host_count + 1, sizeof *present);
    size_t count = 0;
    for (size_t i = 0; i < config->host_count; i++) present[count++] = config->hosts[i].name;
    if (count == 0) present[count++] = "here";
    return model_build(config, present, count, err);
}

/* Fills *probes (JSON) or prints; the number that failed, -1 with err. */
static long try_probes(const struct cli *cli, const struct config *config, const struct schema_report *report,
    json_t *probes, struct error *err)
{
    char agent[4096];
    if (live_agent_path(agent, sizeof agent, err) != 0) return -1;
    AUTO(cleanup_model) struct model *model = model_of(config, err);
    if (model == NULL) return -1;
    if (model->target_count == 0) {
        fputs("faultline: check: nothing to try: the configuration names no URL and no address to probe\n",
            stderr);
        return 0;
    }
    AUTO_FREE struct live_result *results = check_alloc_array(model->target_count, sizeof *results);
    if (live_try(agent, config, model, results, err) != 0) return -1;
    long failed = 0;
    for (uint32_t i = 0; i < model->target_count; i++) {
        failed += !results[i].tried || results[i].result.outcome != PROBE_OK;
        if (cli->json)
            json_array_append_new(probes, result_json(report, model, &results[i]));
        else
            print_result(report, model, &results[i]);
    }
    if (!cli->json) printf("%u probes tried, %ld failed\n", model->target_count, failed);
    return failed;
}

/* ── The command ── */

static int check_file(struct cli *cli, const char *path, bool live)
{
    struct schema_report *report = check_alloc(sizeof *report);
    struct config *config = config_load(path, report);
    json_t *object = cli->json ? report_json(report) : NULL;
    if (!cli->json) print_report(cli, report);
    int result = config != NULL ? CLI_OK : CLI_FAILED;
    if (config != NULL && live) {
        struct error err = {0};
        json_t *probes = json_array();
        long failed = try_probes(cli, config, report, probes, &err);
        if (failed < 0) result = cli_fail(CLI_FAILED, "check: %s", err.text);
        if (failed > 0) result = CLI_FAILED;
        if (cli->json) json_object_set(object, "probes", probes);
        json_decref(probes);
    }
    if (cli->json) cli_print_json(object);
    json_decref(object);
    config_free(config);
    schema_report_fini(report);
    free(report);
    return result;
}

static int run_check(struct cli *cli, int argc, char **argv)
{
    bool live = false, print_schema = false;
    const struct cli_option options[] = {
        {.name = "--live", .flag = &live}, {.name = "--print-schema", .flag = &print_schema}, {0}};
    const char *path = cli->config_path;
    size_t words = 0;
    int result = cli_parse("check", argc, argv, options, &path, 1, &words);
    if (result != 0) return result;
    if (print_schema) {
        schema_print(config_schema(), stdout);
        return CLI_OK;
    }
    return check_file(cli, path, live);
}

const struct cli_command command_check = {
    .name = "check",
    .arguments = "[FILE] [--live] [--print-schema]",
    .summary = "every error of a configuration at once, with its place and what was meant",
    .help = "FILE           the configuration (default: as of --config)\n"
            "--live         tries each probe once from this host, and says what to do about those that fail\n"
            "--print-schema every key there is, its type, default and meaning\n\n"
            "Exit codes: 0 good, warnings or not; 1 errors, or a probe that failed; 2 wrong usage.",
    .run = run_check,
};

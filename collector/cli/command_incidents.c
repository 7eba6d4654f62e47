#include <stdlib.h>
#include <string.h>

#include "collector/cli/cli.h"
#include "collector/cli/text.h"
#include "collector/cli/timeline.h"
#include "collector/contract/words.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/timetext.h"

/* "certain" for "high": the word for people. */
static const char *spoken(const char *word)
{
    enum confidence confidence;
    return confidence_parse(word, &confidence) == 0 ? confidence_spoken(confidence) : word;
}

static void print_duration(struct text_table *table, const json_t *incident, int64_t now_ms)
{
    char about[32];
    int64_t onset_ms = text_time(incident, "onset"), end_ms = text_time(incident, "resolved_at");
    int64_t span_ms = (end_ms > 0 ? end_ms : now_ms) - onset_ms;
    text_cell(table, TEXT_PLAIN, "%s", onset_ms > 0 ? timetext_about(span_ms > 0 ? span_ms : 0, about) : "-");
}

static void print_list(const struct cli *cli, const json_t *incidents)
{
    struct text_table table;
    static const char *const heads[] = {
        "ID", "STATE", "SEVERITY", "WHAT", "CONFIDENCE", "SINCE (UTC)", "LASTED"};
    if (json_array_size(incidents) == 0) {
        puts("no incidents");
        return;
    }
    text_table_init(&table, ARRAY_COUNT(heads));
    for (size_t i = 0; i < ARRAY_COUNT(heads); i++) text_cell(&table, TEXT_DIM, "%s", heads[i]);
    size_t i;
    json_t *incident;
    json_array_foreach(incidents, i, incident)
    {
        const char *severity = text_of(incident, "severity"), *state = text_of(incident, "state");
        text_cell(&table, TEXT_BOLD, "%s", text_of(incident, "id"));
        text_cell(&table, text_state_colour(state), "%s", state);
        text_cell(&table, strcmp(state, "resolved") == 0 ? TEXT_PLAIN : text_severity_colour(severity), "%s",
            severity);
        text_cell(&table, TEXT_PLAIN, "%s %s", text_of(incident, "component"), text_of(incident, "mode"));
        text_cell(&table, TEXT_PLAIN, "%s", spoken(text_of(incident, "confidence")));
        text_cell(&table, TEXT_PLAIN, "%.10s %.8s", text_of(incident, "onset"),
            strlen(text_of(incident, "onset")) > 11 ? text_of(incident, "onset") + 11 : "");
        print_duration(&table, incident, clock_wall_ms());
    }
    text_table_print(&table, stdout, "", cli->colour);
    text_table_fini(&table);
}

static int run_incidents(struct cli *cli, int argc, char **argv)
{
    const char *state = NULL, *limit = NULL;
    const struct cli_option options[] = {
        {.name = "--state", .value = &state}, {.name = "--limit", .value = &limit}, {0}};
    size_t words;
    int result = cli_parse("incidents", argc, argv, options, NULL, 0, &words);
    if (result != 0) return result;
    enum incident_state ignored;
    if (state != NULL && incident_state_parse(state, &ignored) < 0) {
        const char *known[INCIDENT_STATE_COUNT];
        for (int i = 0; i < INCIDENT_STATE_COUNT; i++) known[i] = incident_state_word((enum incident_state)i);
        char close[128];
        return cli_fail(CLI_USAGE, "unknown state '%s'%s", state,
            cli_suggestion(state, known, INCIDENT_STATE_COUNT, close)[0] != '\0'
                ? close
                : "; use open, mitigated or resolved");
    }
    const char *const parameters[] = {"state", state, "limit", limit, NULL};
    json_t *incidents = NULL;
    struct error why, err;
    int status = 0;
    enum cli_answer answer = cli_get(cli, "/api/v1/incidents", parameters, &incidents, &status, &why);
    if (answer == CLI_ANSWER_WRONG) return cli_fail(CLI_USAGE, "%s", why.text);
    if (answer == CLI_ANSWER_DOWN) {
        incidents =
            cli_offline_incidents(cli, state, limit != NULL ? strtoul(limit, NULL, 10) : 100, &why, &err);
        if (incidents == NULL) return cli_fail(CLI_FAILED, "%s", err.text);
    }
    if (cli->json)
        cli_print_json(incidents);
    else
        print_list(cli, incidents);
    json_decref(incidents);
    return CLI_OK;
}

static void print_texts(
    const struct cli *cli, const char *title, const json_t *rows, const char *first, const char *second)
{
    if (json_array_size(rows) == 0) return;
    struct text_table table;
    text_table_init(&table, 2);
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        text_cell(&table, TEXT_PLAIN, "%s", text_of(row, first));
        text_cell(&table, TEXT_PLAIN, "%s", text_of(row, second));
    }
    printf("\n%s\n", title);
    text_table_print(&table, stdout, "  ", cli->colour);
    text_table_fini(&table);
}

static void print_timeline(const struct cli *cli, const json_t *incident, const json_t *timeline)
{
    if (json_array_size(timeline) == 0) return;
    struct text_table table;
    text_table_init(&table, 3);
    size_t i;
    json_t *row;
    char clock[32], text[600];
    json_array_foreach(timeline, i, row)
    {
        if (timeline_is_housekeeping(row)) continue;
        text_cell(&table, TEXT_DIM, "%s", text_clock(text_of(row, "at"), clock));
        text_cell(&table, TEXT_PLAIN, "%s", text_of(row, "kind"));
        text_cell(&table, TEXT_PLAIN, "%s", timeline_text(incident, row, text, sizeof text));
    }
    puts("\ntimeline (UTC)");
    text_table_print(&table, stdout, "  ", cli->colour);
    text_table_fini(&table);
}

static void print_deliveries(const struct cli *cli, const json_t *deliveries)
{
    if (json_array_size(deliveries) == 0) return;
    struct text_table table;
    text_table_init(&table, 5);
    size_t i;
    json_t *row;
    char clock[32];
    json_array_foreach(deliveries, i, row)
    {
        const char *at =
            text_of(row, "delivered_at")[0] != '\0' ? text_of(row, "delivered_at") : text_of(row, "at");
        int attempts = (int)text_real(row, "attempts", 0);
        text_cell(&table, TEXT_DIM, "%s", text_clock(at, clock));
        text_cell(&table, TEXT_PLAIN, "%s", text_of(row, "hook"));
        text_cell(&table, TEXT_PLAIN, "%s", text_of(row, "step"));
        text_cell(&table, TEXT_PLAIN, "%s", text_of(row, "result"));
        text_cell(&table, TEXT_PLAIN, "%d attempt%s%s%s", attempts, attempts == 1 ? "" : "s",
            text_of(row, "detail")[0] != '\0' ? ": " : "", text_of(row, "detail"));
    }
    puts("\ntold");
    text_table_print(&table, stdout, "  ", cli->colour);
    text_table_fini(&table);
}

static void print_incident(const struct cli *cli, const json_t *object)
{
    const json_t *incident = json_object_get(object, "incident");
    char about[32], clock[32];
    int64_t onset_ms = text_time(incident, "onset"), end_ms = text_time(incident, "resolved_at");
    printf("%s  ", text_of(incident, "id"));
    text_paint(stdout, cli->colour, text_severity_colour(text_of(incident, "severity")),
        text_of(incident, "headline"));
    printf("\n%s, %s, impact %s, since %.10s %s UTC, %s %s\n", text_of(incident, "state"),
        text_of(incident, "severity"), text_of(incident, "impact"), text_of(incident, "onset"),
        text_clock(text_of(incident, "onset"), clock), end_ms > 0 ? "lasted" : "for",
        timetext_about((end_ms > 0 ? end_ms : clock_wall_ms()) - onset_ms, about));
    if (text_of(incident, "advice")[0] != '\0')
        printf("first thing to do: %s\n", text_of(incident, "advice"));
    size_t i;
    json_t *row;
    if (json_array_size(json_object_get(incident, "evidence")) > 0) puts("\nevidence");
    json_array_foreach(json_object_get(incident, "evidence"), i, row) printf("  %s\n", text_of(row, "text"));
    print_texts(cli, "ruled out", json_object_get(incident, "ruled_out"), "component", "why");
    print_texts(cli, "symptoms", json_object_get(incident, "symptoms"), "component", "mode");
    print_timeline(cli, incident, json_object_get(object, "timeline"));
    print_deliveries(cli, json_object_get(object, "deliveries"));
}

static int run_incident(struct cli *cli, int argc, char **argv)
{
    static const struct cli_option options[] = {{0}};
    const char *id = NULL;
    size_t words;
    int result = cli_parse("incident", argc, argv, options, &id, 1, &words);
    if (result != 0) return result;
    if (words == 0) return cli_fail(CLI_USAGE, "incident: which one? `faultline incidents` lists them");
    json_t *object = NULL;
    result = cli_load_incident(cli, id, &object);
    if (result != 0) return result;
    if (cli->json)
        cli_print_json(object);
    else
        print_incident(cli, object);
    json_decref(object);
    return CLI_OK;
}

const struct cli_command command_incidents = {
    .name = "incidents",
    .arguments = "[--state open|mitigated|resolved] [--limit N]",
    .summary = "incidents, newest first",
    .help = "Works with the collector down: then the files are read, and stderr says so.\n"
            "--json prints an array; times are RFC 3339 UTC with milliseconds.",
    .run = run_incidents,
};

const struct cli_command command_incident = {
    .name = "incident",
    .arguments = "ID",
    .summary = "one incident: evidence, what was ruled out, timeline, who was told",
    .help = "",
    .run = run_incident,
};

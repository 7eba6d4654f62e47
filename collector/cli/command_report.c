/* The report of an incident: for the people who were not awake. */
#include <string.h>

#include "collector/cli/cli.h"
#include "collector/cli/text.h"
#include "collector/cli/timeline.h"
#include "collector/contract/words.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/timetext.h"
#include "proto/metrics.h"

static const char *impact_sentence(const char *word)
{
    static const char *const sentences[] = {
        [IMPACT_NONE] = "Users noticed nothing.",
        [IMPACT_REDUNDANCY_LOST] = "Users were served; one more failure might not have been survived.",
        [IMPACT_AT_RISK] = "Users were served; collapse was forecast.",
        [IMPACT_UNKNOWN] = "No observer saw the users' entrance: nobody knows whether they were served.",
        [IMPACT_USERS_HURT] = "Some users failed or waited.",
        [IMPACT_USERS_DOWN] = "Nobody was served.",
    };
    enum impact impact;
    return impact_parse(word, &impact) == 0 ? sentences[impact] : "Unknown.";
}

static void summary(const json_t *incident)
{
    char span[32], detect[32], at[32];
    enum confidence confidence = CONFIDENCE_LOW;
    confidence_parse(text_of(incident, "confidence"), &confidence);
    printf("# Incident %s: %s\n\n", text_of(incident, "id"), text_of(incident, "headline"));
    puts("## Summary\n");
    printf("- What broke: `%s`, %s (%s, posterior %.3f)\n", text_of(incident, "component"),
        text_of(incident, "mode"), confidence_spoken(confidence), text_real(incident, "posterior", 0));
    printf("- State: %s, severity %s\n", text_of(incident, "state"), text_of(incident, "severity"));
    printf("- Began: %.10s %s UTC; noticed after %s\n", text_of(incident, "onset"),
        text_clock(text_of(incident, "onset"), at),
        timeline_lasted(incident, "onset", "detected_at", detect));
    if (text_time(incident, "resolved_at") > 0)
        printf("- Lasted: %s\n", timeline_lasted(incident, "onset", "resolved_at", span));
    else
        printf("- Not over yet\n");
    if (text_of(incident, "advice")[0] != '\0') printf("- Advice given: %s\n", text_of(incident, "advice"));
}

static void impact(const json_t *incident)
{
    char span[32];
    puts("\n## Impact\n");
    printf("%s", impact_sentence(text_of(incident, "impact")));
    const json_t *services = json_object_get(incident, "services");
    size_t i;
    json_t *service;
    if (json_array_size(services) > 0) printf(" Services:");
    json_array_foreach(services, i, service) printf("%s %s", i > 0 ? "," : "", json_string_value(service));
    if (json_array_size(services) > 0) putchar('.');
    /* A share of requests is the engine's grid, not a measurement: the counts stand under Evidence. */
    double slower = text_real(incident, "magnitude", 0);
    if (slower > 1) printf(" About %.1f times slower than usual.", slower);
    if (text_time(incident, "mitigated_at") > 0)
        printf(
            " Users were served again after %s.", timeline_lasted(incident, "onset", "mitigated_at", span));
    putchar('\n');
    const json_t *symptoms = json_object_get(incident, "symptoms");
    json_array_foreach(symptoms, i, service) printf("%s- followed from it: `%s` %s\n", i == 0 ? "\n" : "",
        text_of(service, "component"), text_of(service, "mode"));
}

/* Text that came from elsewhere must not break the table. */
static void print_cell(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|') putchar('\\');
        putchar((unsigned char)*text < 0x20 ? ' ' : *text);
    }
}

static void timeline(const json_t *incident, const json_t *rows)
{
    size_t i;
    json_t *row;
    char at[32], text[600];
    puts("\n## Timeline (UTC)\n\n| time | what | |\n|---|---|---|");
    json_array_foreach(rows, i, row)
    {
        if (timeline_is_housekeeping(row)) continue;
        printf("| %s | %s | ", text_clock(text_of(row, "at"), at), text_of(row, "kind"));
        print_cell(timeline_text(incident, row, text, sizeof text));
        puts(" |");
    }
}

static void evidence(const json_t *incident)
{
    size_t i;
    json_t *row;
    puts("\n## Evidence\n");
    const json_t *rows = json_object_get(incident, "evidence");
    if (json_array_size(rows) == 0) puts("None was kept.");
    json_array_foreach(rows, i, row)
    {
        char value[32], baseline[32];
        printf("- %s", text_of(row, "text"));
        if (metric_find(text_of(row, "metric")) != NULL && json_is_number(json_object_get(row, "value"))) {
            printf(" (`%s` %s", text_of(row, "metric"), text_number(text_real(row, "value", 0), value));
            if (json_is_number(json_object_get(row, "baseline")))
                printf(", usually %s", text_number(text_real(row, "baseline", 0), baseline));
            putchar(')');
        }
        putchar('\n');
    }
    puts("\n## Ruled out\n");
    rows = json_object_get(incident, "ruled_out");
    if (json_array_size(rows) == 0) puts("Nothing was ruled out explicitly.");
    json_array_foreach(rows, i, row) printf("- `%s`: %s\n", text_of(row, "component"), text_of(row, "why"));
}

static void told(const json_t *deliveries)
{
    size_t i;
    json_t *row;
    puts("\n## Told\n");
    if (json_array_size(deliveries) == 0) {
        puts("Nobody: no route matched.");
        return;
    }
    puts("| step | to | result | when (UTC) | attempts |\n|---|---|---|---|---|");
    json_array_foreach(deliveries, i, row)
    {
        char at[32];
        const char *when =
            text_of(row, "delivered_at")[0] != '\0' ? text_of(row, "delivered_at") : text_of(row, "at");
        printf("| %s | %s (%s) | %s", text_of(row, "step"), text_of(row, "hook"), text_of(row, "channel"),
            text_of(row, "result"));
        if (strcmp(text_of(row, "result"), "delivered") != 0 && text_of(row, "detail")[0] != '\0') {
            fputs(": ", stdout);
            print_cell(text_of(row, "detail"));
        }
        printf(" | %s | %.0f |\n", text_clock(when, at), text_real(row, "attempts", 0));
    }
}

/* What the data cannot answer, so that the review asks it. */
static void open_questions(const json_t *incident, const json_t *deliveries)
{
    size_t i, undelivered = 0;
    json_t *row;
    json_array_foreach(deliveries, i, row) undelivered += strcmp(text_of(row, "result"), "delivered") != 0;
    puts("\n## Open questions\n");
    printf("- Why did `%s` fail? The evidence says where, not why: what was changed before %.16s UTC?\n",
        text_of(incident, "component"), text_of(incident, "onset"));
    if (strcmp(text_of(incident, "confidence"), "high") != 0 && text_of(incident, "runner_up")[0] != '\0')
        printf("- Could it have been `%s`? It explained the observations almost as well.\n",
            text_of(incident, "runner_up"));
    if (strcmp(text_of(incident, "state"), "resolved") != 0) puts("- It is not over: what is still missing?");
    if (text_time(incident, "mitigated_at") > 0 && text_time(incident, "resolved_at") > 0)
        puts("- What served users between mitigation and resolution, and would it carry a busier day?");
    if (undelivered > 0)
        printf("- %zu message%s did not arrive: see Told.\n", undelivered, undelivered == 1 ? "" : "s");
}

static int run_report(struct cli *cli, int argc, char **argv)
{
    const char *format = "md", *id = NULL;
    const struct cli_option options[] = {{.name = "--format", .value = &format}, {0}};
    size_t words;
    int result = cli_parse("report", argc, argv, options, &id, 1, &words);
    if (result != 0) return result;
    if (words == 0) return cli_fail(CLI_USAGE, "report: of which incident? `faultline incidents` lists them");
    bool json = cli->json || strcmp(format, "json") == 0;
    if (!json && strcmp(format, "md") != 0)
        return cli_fail(CLI_USAGE, "report: format is md or json, not '%s'", format);
    json_t *object = NULL;
    result = cli_load_incident(cli, id, &object);
    if (result != 0) return result;
    const json_t *incident = json_object_get(object, "incident"),
                 *deliveries = json_object_get(object, "deliveries");
    if (json) {
        cli_print_json(object);
    } else {
        summary(incident);
        impact(incident);
        timeline(incident, json_object_get(object, "timeline"));
        evidence(incident);
        told(deliveries);
        open_questions(incident, deliveries);
    }
    json_decref(object);
    return CLI_OK;
}

const struct cli_command command_report = {
    .name = "report",
    .arguments = "ID [--format md|json]",
    .summary = "the report of an incident: summary, impact, timeline, evidence, who was told",
    .help = "Works with the collector down: then the files are read, and stderr says so.",
    .run = run_report,
};

#include <stdlib.h>
#include <string.h>

#include "collector/cli/cli.h"
#include "collector/cli/text.h"
#include "common/check.h"
#include "common/timetext.h"
#include "proto/limits.h"
#include "proto/metrics.h"

static const char *const formats[] = {"table", "csv", "json"};
static const char *const aggregates[] = {"avg", "min", "max", "sum", "p50", "p99", "rate", "last", "raw"};

static bool is_one_of(const char *word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0) return true;
    return false;
}

static int list_metrics(void)
{
    struct text_table table;
    text_table_init(&table, 3);
    for (int i = 0; i < METRIC_COUNT; i++) {
        const struct metric_info *info = metric_info((enum metric)i);
        text_cell(&table, TEXT_PLAIN, "%s", info->name);
        text_cell(&table, TEXT_PLAIN, "%s", info->unit);
        text_cell(&table, TEXT_PLAIN, "%s", info->help);
    }
    text_table_print(&table, stdout, "", false);
    text_table_fini(&table);
    return CLI_OK;
}

static int unknown_metric(const char *word)
{
    const char *names[METRIC_COUNT];
    char close[128];
    for (int i = 0; i < METRIC_COUNT; i++) names[i] = metric_info((enum metric)i)->name;
    cli_suggestion(word, names, METRIC_COUNT, close);
    return cli_fail(CLI_USAGE, "unknown metric '%s'%s", word,
        close[0] != '\0' ? close : "; `faultline query --list` names them");
}

/* "device=vda mount=/" */
static void labels_text(const json_t *labels, char *out, size_t size)
{
    size_t used = 0;
    const char *key;
    json_t *value;
    out[0] = '\0';
    json_object_foreach((json_t *)(uintptr_t)labels, key, value)
    {
        int n =
            snprintf(out + used, size - used, "%s%s=%s", used > 0 ? " " : "", key, json_string_value(value));
        used += n > 0 ? (size_t)n : 0;
        if (used >= size) return;
    }
}

static void print_table(const struct cli *cli, const json_t *answer)
{
    size_t i, k;
    json_t *series, *point;
    const json_t *all = json_object_get(answer, "series");
    if (json_array_size(all) == 0) {
        fputs("faultline: no samples in that span\n", stderr);
        return;
    }
    json_array_foreach(all, i, series)
    {
        char labels[512];
        labels_text(json_object_get(series, "labels"), labels, sizeof labels);
        printf("%s%s %s%s%s  %s, %s\n", i > 0 ? "\n" : "", text_of(answer, "metric"), text_of(series, "host"),
            labels[0] != '\0' ? " " : "", labels, text_of(answer, "agg"), text_of(answer, "unit"));
        struct text_table table;
        text_table_init(&table, 2);
        json_array_foreach(json_object_get(series, "points"), k, point)
        {
            char at[TIMETEXT_RFC3339_SIZE], value[32];
            json_t *number = json_array_get(point, 1);
            text_cell(&table, TEXT_DIM, "%s",
                timetext_rfc3339((int64_t)json_number_value(json_array_get(point, 0)), at));
            text_cell(&table, TEXT_PLAIN, "%s",
                json_is_number(number) ? text_number(json_number_value(number), value) : "-");
        }
        text_table_print(&table, stdout, "  ", cli->colour);
        text_table_fini(&table);
    }
}

/* RFC 4180: quotes around what holds a separator, doubled inside. */
static void print_csv_text(const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"') putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static void print_csv(const json_t *answer)
{
    size_t i, k;
    json_t *series, *point;
    puts("time,host,labels,value");
    json_array_foreach(json_object_get(answer, "series"), i, series)
    {
        char labels[512];
        labels_text(json_object_get(series, "labels"), labels, sizeof labels);
        json_array_foreach(json_object_get(series, "points"), k, point)
        {
            char at[TIMETEXT_RFC3339_SIZE];
            const json_t *number = json_array_get(point, 1);
            printf("%s,", timetext_rfc3339((int64_t)json_number_value(json_array_get(point, 0)), at));
            print_csv_text(text_of(series, "host"));
            putchar(',');
            print_csv_text(labels);
            if (json_is_number(number))
                printf(",%.15g\n", json_number_value(number));
            else
                puts(",");
        }
    }
}

/* "--label device=vda" -> "label.device", "vda" */
static int take_labels(
    const char *const *labels, size_t count, const char **parameters, size_t at, char **names)
{
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(labels[i], '=');
        if (equals == NULL || equals == labels[i])
            return cli_fail(CLI_USAGE, "query: --label wants NAME=VALUE, not '%s'", labels[i]);
        names[i] = check_format("label.%.*s", (int)(equals - labels[i]), labels[i]);
        parameters[at++] = names[i];
        parameters[at++] = equals + 1;
    }
    return 0;
}

static int ask_and_print(struct cli *cli, const char *const *parameters, const char *format)
{
    json_t *answer = NULL;
    int result = cli_get_or_fail(cli, "/api/v1/query", parameters, &answer);
    if (result != 0) return result;
    if (json_is_true(json_object_get(answer, "truncated")))
        fputs("faultline: the answer was cut at its bound; take a longer --step or a shorter span\n", stderr);
    if (strcmp(format, "json") == 0)
        cli_print_json(answer);
    else if (strcmp(format, "csv") == 0)
        print_csv(answer);
    else
        print_table(cli, answer);
    json_decref(answer);
    return CLI_OK;
}

static int run_query(struct cli *cli, int argc, char **argv)
{
    const char *metric = NULL, *host = NULL, *from = NULL, *to = NULL, *step = NULL, *agg = NULL,
               *format = cli->json ? "json" : "table", *labels[LIMIT_LABELS];
    size_t words, label_count = 0;
    bool list = false;
    const struct cli_option options[] = {{.name = "--host", .value = &host},
        {.name = "--from", .value = &from}, {.name = "--to", .value = &to},
        {.name = "--step", .value = &step}, {.name = "--agg", .value = &agg},
        {.name = "--format", .value = &format},
        {.name = "--label", .value = labels, .count = &label_count, .values_max = LIMIT_LABELS},
        {.name = "--list", .flag = &list}, {0}};
    int result = cli_parse("query", argc, argv, options, &metric, 1, &words);
    if (result != 0) return result;
    if (list) return list_metrics();
    if (words == 0) return cli_fail(CLI_USAGE, "query: which metric? `faultline query --list` names them");
    if (metric_find(metric) == NULL) return unknown_metric(metric);
    char close[128];
    if (!is_one_of(format, formats, ARRAY_COUNT(formats)))
        return cli_fail(CLI_USAGE, "query: format is table, csv or json, not '%s'", format);
    if (agg != NULL && !is_one_of(agg, aggregates, ARRAY_COUNT(aggregates)))
        return cli_fail(CLI_USAGE, "query: unknown aggregate '%s'%s", agg,
            cli_suggestion(agg, aggregates, ARRAY_COUNT(aggregates), close));
    const char *parameters[2 * (6 + LIMIT_LABELS) + 1] = {
        "metric", metric, "host", host, "from", from, "to", to, "step", step, "agg", agg};
    char *names[LIMIT_LABELS] = {0};
    result = take_labels(labels, label_count, parameters, 12, names);
    if (result == 0) result = ask_and_print(cli, parameters, format);
    for (size_t i = 0; i < label_count; i++) free(names[i]);
    return result;
}

const struct cli_command command_query = {
    .name = "query",
    .arguments = "METRIC [--host H] [--label NAME=VALUE]… [--from T] [--to T] [--step S] [--agg A] [--format "
                 "F] | --list",
    .summary = "samples of a metric",
    .help =
        "T: RFC 3339, now, -10m or Unix seconds; default the last hour. S: 10s, 1m.\n"
        "A: avg, min, max, sum, p50, p99, rate, last; with a step avg, without one the samples as they are.\n"
        "F: table, csv, json (times there are Unix milliseconds). --list names the metrics.",
    .run = run_query,
};

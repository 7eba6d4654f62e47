/* Time series: sealed blocks from the day files, what is newer from the store role. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/core/store/store_read.h"
#include "collector/web/resource.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/schema.h"
#include "common/timetext.h"
#include "proto/metrics.h"

#define SERIES_WINDOW_MS (60 * 60 * INT64_C(1000)) /* /series tells what had a sample by then */

struct query {
    struct store_selector selector;
    const char *labels[2 * LIMIT_LABELS];
    const struct metric_info *metric;
    enum store_aggregate aggregate;
    const char *aggregate_word;
    int64_t step_ms;
};

static const char *suggest_metric(const char *word)
{
    const char *names[METRIC_COUNT];
    for (int i = 0; i < METRIC_COUNT; i++) names[i] = metric_info((enum metric)i)->name;
    return schema_suggest(word, names, METRIC_COUNT);
}

static int fail_metric(struct reply *reply, const char *word)
{
    const char *close = suggest_metric(word);
    char remedy[128];
    if (close != NULL) snprintf(remedy, sizeof remedy, "did you mean '%s'?", close);
    reply_error(reply, 400, close != NULL ? remedy : "`faultline query --list` names them",
        "unknown metric '%.80s'", word);
    return -1;
}

static int take_time(
    const struct request *request, struct reply *reply, const char *name, const char *otherwise, int64_t *ms)
{
    const char *text = request_parameter(request, name);
    struct error err;
    if (timetext_parse(text != NULL ? text : otherwise, request->now_ms, ms, &err) == 0) return 0;
    reply_error(reply, 400, "RFC 3339, now, -10m or Unix seconds", "%s '%.40s' is no time", name,
        text != NULL ? text : otherwise);
    return -1;
}

static int take_labels(const struct request *request, struct reply *reply, struct query *query)
{
    for (size_t i = 0; i < request->parameter_count; i++) {
        if (strncmp(request->parameters[i].name, "label.", 6) != 0) continue;
        if (query->selector.label_count == LIMIT_LABELS) {
            reply_error(reply, 400, NULL, "more than %d labels", LIMIT_LABELS);
            return -1;
        }
        size_t at = 2 * query->selector.label_count++;
        query->labels[at] = request->parameters[i].name + 6;
        query->labels[at + 1] = request->parameters[i].value;
    }
    query->selector.labels = query->labels;
    return 0;
}

/* Without a step the aggregate is taken over the whole span; without both the samples come as they are. */
static int take_step(const struct request *request, struct reply *reply, struct query *query)
{
    const char *step = request_parameter(request, "step"), *word = request_parameter(request, "agg");
    int64_t span_ms = query->selector.to_ms - query->selector.from_ms, step_us = 0;
    struct error err;
    query->aggregate_word = word != NULL ? word : step != NULL ? "avg" : "raw";
    if (store_aggregate_parse(query->aggregate_word, &query->aggregate) < 0) {
        reply_error(reply, 400, "use avg, min, max, sum, p50, p99, rate, last or raw",
            "unknown aggregate '%.40s'", query->aggregate_word);
        return -1;
    }
    if (step != NULL && (timetext_parse_duration(step, &step_us, &err) < 0 || step_us < 1000)) {
        reply_error(reply, 400, "a number and a unit, such as 10s",
            "step '%.40s' is no duration of 1 ms or more", step);
        return -1;
    }
    if (query->aggregate != STORE_RAW) query->step_ms = step != NULL ? step_us / 1000 : span_ms;
    /* Steps begin at multiples of themselves: asked again a second later, the same steps come. */
    if (step != NULL && query->step_ms > 0)
        query->selector.from_ms -= query->selector.from_ms % query->step_ms;
    if (query->step_ms > 0 && span_ms / query->step_ms > WEB_POINTS_MAX) {
        reply_error(reply, 400, "take a longer step", "more than %d points a series", WEB_POINTS_MAX);
        return -1;
    }
    return 0;
}

static int take_query(const struct request *request, struct reply *reply, struct query *query)
{
    const char *name = request_parameter(request, "metric");
    if (name == NULL) {
        reply_error(reply, 400, NULL, "parameter metric is missing");
        return -1;
    }
    query->metric = metric_find(name);
    if (query->metric == NULL) return fail_metric(reply, name);
    query->selector.metric = query->metric->name;
    query->selector.host = request_parameter(request, "host");
    if (take_time(request, reply, "from", "-1h", &query->selector.from_ms) < 0 ||
        take_time(request, reply, "to", "now", &query->selector.to_ms) < 0)
        return -1;
    if (query->selector.from_ms >= query->selector.to_ms) {
        reply_error(reply, 400, NULL, "from is not before to");
        return -1;
    }
    return take_labels(request, reply, query) < 0 ? -1 : take_step(request, reply, query);
}

/* What the store role holds in memory of the selected series. */
static int ask_heads(
    const struct web *web, const struct store_selector *selector, struct buffer *heads, struct error *err)
{
    json_t *labels = json_object();
    for (size_t i = 0; i < selector->label_count; i++)
        json_object_set_new(labels, selector->labels[2 * i], json_string(selector->labels[2 * i + 1]));
    json_t *question = json_pack("{s:s, s:s, s:s?, s:o, s:I, s:I}", "ask", "heads", "metric",
        selector->metric, "host", selector->host, "labels", labels, "from_ms", (json_int_t)selector->from_ms,
        "to_ms", (json_int_t)selector->to_ms);
    if (question == NULL) return fail(err, ERROR_INPUT, "a parameter is not UTF-8");
    json_t *answer;
    int result = web_ask(web, ROLE_STORE_ASK, question, WEB_ASK_MS, &answer, heads, err);
    if (result == 0) json_decref(answer);
    json_decref(question);
    return result;
}

static int run_query(const struct web *web, const struct store_selector *selector,
    enum store_aggregate aggregate, int64_t step_ms, struct store_result *result, struct error *err)
{
    struct buffer heads = {0};
    int outcome = ask_heads(web, selector, &heads, err);
    struct store_reader *reader = outcome == 0 ? store_reader_open(web->config->collector.data, err) : NULL;
    if (reader != NULL)
        outcome = store_query(reader, selector, aggregate, step_ms, buffer_span(&heads),
            clock_mono_ms() + WEB_QUERY_MS, WEB_POINTS_MAX, result, err);
    else
        outcome = -1;
    store_reader_close(reader);
    buffer_fini(&heads);
    return outcome;
}

static json_t *labels_object(const char *text)
{
    json_t *labels = json_object();
    char name[LIMIT_LABEL_NAME_BYTES + 1], value[LIMIT_LABEL_VALUE_BYTES + 1];
    while (store_label_next(&text, name, value)) json_object_set_new(labels, name, json_string(value));
    return labels;
}

static void write_points(struct buffer *out, const struct store_series *series)
{
    for (size_t i = 0; i < series->count; i++) {
        const struct store_point *point = &series->points[i];
        const char *comma = i > 0 ? "," : "";
        if (isfinite(point->value))
            buffer_format(out, NULL, "%s[%" PRId64 ",%.15g]", comma, point->time_ms, point->value);
        else
            buffer_format(out, NULL, "%s[%" PRId64 ",null]", comma, point->time_ms);
    }
}

/* Written by hand: a tree of 200,000 points would take 50 MB before its first byte leaves. */
static void write_result(const struct query *query, const struct store_result *result, struct reply *reply)
{
    struct buffer *out = &reply->body;
    bool rate = query->aggregate == STORE_RATE;
    buffer_format(out, NULL,
        "{\"metric\":\"%s\",\"unit\":\"%s%s\",\"agg\":\"%s\",\"step_ms\":%" PRId64 ",\"series\":[",
        query->metric->name, query->metric->unit, rate ? "/s" : "", query->aggregate_word, query->step_ms);
    for (size_t i = 0; i < result->count; i++) {
        const struct store_series *series = &result->series[i];
        json_t *head = json_pack("{s:s, s:o}", "host", series->host, "labels", labels_object(series->labels));
        char *text = json_dumps(head, JSON_COMPACT);
        json_decref(head);
        if (text == NULL) continue;
        buffer_format(out, NULL, "%s%.*s,\"points\":[", i > 0 ? "," : "", (int)strlen(text) - 1, text);
        free(text);
        write_points(out, series);
        buffer_format(out, NULL, "]}");
    }
    buffer_format(out, NULL, "],\"truncated\":%s}", result->truncated ? "true" : "false");
    reply->status = 200;
    reply->content_type = "application/json";
}

/* Nothing found: a host that nobody knows is an error, silence of a known one is an answer. */
static bool host_is_unknown(const struct config *config, const char *host, struct reply *reply)
{
    if (host == NULL) return false;
    const char **names = check_alloc_array(config->host_count + 1, sizeof *names);
    bool known = false;
    for (size_t i = 0; i < config->host_count; i++) {
        names[i] = config->hosts[i].name;
        known |= strcmp(names[i], host) == 0;
    }
    const char *close = known ? NULL : schema_suggest(host, names, config->host_count);
    char remedy[128];
    if (close != NULL) snprintf(remedy, sizeof remedy, "did you mean '%s'?", close);
    if (!known)
        reply_error(reply, 404, close != NULL ? remedy : "`faultline agents` names those that report",
            "unknown host '%.64s'", host);
    free(names);
    return !known;
}

void resource_query(const struct request *request, struct reply *reply)
{
    struct query query = {0};
    if (take_query(request, reply, &query) < 0) return;
    struct store_result result = {0};
    struct error err;
    if (run_query(request->web, &query.selector, query.aggregate, query.step_ms, &result, &err) < 0) {
        reply_failure(reply, &err);
        return;
    }
    if (result.count > 0 || !host_is_unknown(request->web->config, query.selector.host, reply))
        write_result(&query, &result, reply);
    store_result_fini(&result);
}

void resource_series(const struct request *request, struct reply *reply)
{
    const char *only = request_parameter(request, "metric");
    if (only != NULL && metric_find(only) == NULL) {
        fail_metric(reply, only);
        return;
    }
    json_t *list = json_array();
    struct error err;
    for (int i = 0; i < METRIC_COUNT; i++) {
        const char *name = metric_info((enum metric)i)->name;
        if (only != NULL && strcmp(only, name) != 0) continue;
        struct store_selector selector = {.metric = name,
            .host = request_parameter(request, "host"),
            .from_ms = request->now_ms - SERIES_WINDOW_MS,
            .to_ms = request->now_ms + 1};
        struct store_result result = {0};
        if (run_query(request->web, &selector, STORE_LAST, SERIES_WINDOW_MS + 1, &result, &err) < 0) {
            json_decref(list);
            reply_failure(reply, &err);
            return;
        }
        for (size_t k = 0; k < result.count; k++)
            json_array_append_new(
                list, json_pack("{s:s, s:s, s:o}", "metric", name, "host", result.series[k].host, "labels",
                          labels_object(result.series[k].labels)));
        store_result_fini(&result);
    }
    reply_json(reply, 200, list);
}

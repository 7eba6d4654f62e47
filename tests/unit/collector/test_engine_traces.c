/* Recorded faults of real parts (tests/data/traces), replayed. Each is preceded by the healthy recording, so
 * that paths are proven and latencies known, as they are on a site that has been watched for a minute. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "collector/core/engine/engine.h"
#include "tests/support/site_builder.h"
#include "tests/support/unit.h"

#define PROBES_MAX 40000
#define SETTLE_MS  3000 /* between the healthy recording and the one that matters */

struct arrival {
    int64_t at_ms;
    uint32_t host, target;
    struct probe_result result;
};

struct trace {
    struct arrival *arrivals; /* ends of probes, in no order */
    size_t count;
    int64_t from_ms, until_ms, end_ms;
};

static struct model *model;

static struct site_builder *lab_site(void)
{
    struct site_builder *site = builder_simple(3, 3, true);
    model = builder_model(site);
    return site;
}

/* "a1" and so on as target of the model, MODEL_NONE: not of this service. */
static uint32_t target_of(const char *name)
{
    if (strcmp(name, "lb") == 0) return builder_target(model, 0, ENTRANCE_USERS, 0, PROBE_HTTP);
    if (strcmp(name, "tlb") == 0) return builder_target(model, 0, ENTRANCE_HOP, 0, PROBE_TCP);
    size_t length = strlen(name);
    if (length < 2 || length > 3 || name[length - 1] < '1' || name[length - 1] > '3') return MODEL_NONE;
    uint32_t backend = (uint32_t)(name[length - 1] - '1');
    if (length == 2 && name[0] == 'a') return builder_target(model, 0, ENTRANCE_BACKEND, backend, PROBE_HTTP);
    if (length == 2 && name[0] == 'h') return builder_target(model, 0, ENTRANCE_HEALTH, backend, PROBE_HTTP);
    if (length == 3 && name[0] == 't' && name[1] == 'a')
        return builder_target(model, 0, ENTRANCE_BACKEND, backend, PROBE_TCP);
    return MODEL_NONE;
}

static enum probe_error error_of(const char *word, int64_t code, bool page)
{
    static const struct {
        const char *word;
        enum probe_error error;
    } words[] = {{"ct", PROBE_ERROR_CONNECT_TIMEOUT}, {"cr", PROBE_ERROR_REFUSED}, {"cs", PROBE_ERROR_RESET},
        {"rt", PROBE_ERROR_NO_ANSWER}, {"bt", PROBE_ERROR_UNFINISHED}, {"rs", PROBE_ERROR_RESET},
        {"bs", PROBE_ERROR_RESET}, {"em", PROBE_ERROR_MALFORMED}, {"cu", PROBE_ERROR_UNREACHABLE}};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (strncmp(word, words[i].word, 2) == 0) return words[i].error;
    if (word[0] != '\0') return PROBE_ERROR_LOCAL;
    if (page) return code >= 200 && code < 400 ? PROBE_ERROR_NONE : PROBE_ERROR_STATUS;
    return code == 1 ? PROBE_ERROR_NONE : PROBE_ERROR_REFUSED;
}

static void take_probe(struct trace *trace, const json_t *row)
{
    uint32_t target = target_of(json_string_value(json_array_get(row, 2)));
    if (target == MODEL_NONE || trace->count == PROBES_MAX) return;
    int64_t t = json_integer_value(json_array_get(row, 3)),
            total = json_integer_value(json_array_get(row, 6));
    int64_t code = json_integer_value(json_array_get(row, 7));
    bool page = model->targets[target].probe == PROBE_HTTP;
    enum probe_error error = error_of(json_string_value(json_array_get(row, 8)), code, page);
    trace->arrivals[trace->count++] = (struct arrival){
        .at_ms = t + total / 1000 + 2,
        .host = (uint32_t)json_integer_value(json_array_get(row, 1)),
        .target = target,
        .result = {.start_ms = t,
            .outcome = error == PROBE_ERROR_NONE ? PROBE_OK : PROBE_FAIL,
            .error = error,
            .code = page ? (uint32_t)code : 0,
            .resolve_us = -1,
            .connect_us = json_integer_value(json_array_get(row, 4)),
            .tls_us = -1,
            .first_byte_us = json_integer_value(json_array_get(row, 5)),
            .total_us = total},
    };
}

static int by_arrival(const void *a, const void *b)
{
    const struct arrival *x = a, *y = b;
    return x->at_ms < y->at_ms ? -1 : x->at_ms > y->at_ms;
}

static bool read_trace(const char *name, struct trace *trace)
{
    char command[1024];
    snprintf(
        command, sizeof command, "gzip -dc '%s/tests/data/traces/%s.jsonl.gz'", FAULTLINE_SOURCE_DIR, name);
    FILE *file = popen(command, "r");
    if (file == NULL) return false;
    trace->arrivals = check_alloc_array(PROBES_MAX, sizeof *trace->arrivals);
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, file) > 0) {
        json_t *row = json_loads(line, 0, NULL);
        const json_t *truth = json_object_get(row, "truth");
        if (truth != NULL) {
            trace->from_ms = json_integer_value(json_object_get(truth, "from"));
            trace->until_ms = json_integer_value(json_object_get(truth, "until"));
            trace->end_ms = json_integer_value(json_object_get(truth, "end"));
        }
        const char *kind = json_string_value(json_array_get(row, 0));
        if (kind != NULL && strcmp(kind, "p") == 0) take_probe(trace, row);
        json_decref(row);
    }
    free(line);
    pclose(file);
    qsort(trace->arrivals, trace->count, sizeof trace->arrivals[0], by_arrival);
    return trace->count > 0 && trace->end_ms > 0;
}

#define STEPS_MAX 64
struct outcome {
    struct engine_step steps[STEPS_MAX];
    size_t count;
    uint32_t late_after_ms[64];
};
static struct outcome outcome; /* too large for the stack */

static void step_until(struct engine *engine, int64_t *stepped_ms, int64_t now_ms)
{
    for (; *stepped_ms + 100 <= now_ms; *stepped_ms += 100) {
        struct engine_output output;
        engine_step(engine, *stepped_ms + 100, &output);
        for (size_t i = 0; i < output.step_count && outcome.count < STEPS_MAX; i++)
            outcome.steps[outcome.count++] = output.steps[i];
        for (size_t i = 0; i < output.late_after_count; i++)
            outcome.late_after_ms[output.late_after[i].target] = output.late_after[i].late_after_ms;
    }
}

static void give(struct engine *engine, const struct arrival *a, int64_t offset_ms, bool late)
{
    struct engine_observation observation = {
        .host = a->host, .target = a->target, .address = "", .result = a->result};
    observation.result.start_ms += offset_ms;
    int64_t now = a->at_ms + offset_ms;
    if (late) {
        uint32_t after = outcome.late_after_ms[a->target];
        observation.result.outcome = PROBE_LATE;
        observation.result.error = PROBE_ERROR_NONE;
        observation.result.total_us = after * 1000;
        now = observation.result.start_ms + after;
    }
    engine_heard(engine, a->host, now);
    engine_observe(engine, &observation, now);
}

/* Late ones are told twice: once at T, once at their end. */
static void replay(struct engine *engine, const struct trace *trace, int64_t offset_ms, int64_t *stepped_ms)
{
    struct arrival *late = check_alloc_array(trace->count, sizeof *late);
    size_t late_count = 0;
    for (size_t i = 0; i < trace->count; i++) {
        const struct arrival *a = &trace->arrivals[i];
        if (a->result.total_us <= outcome.late_after_ms[a->target] * 1000) continue;
        late[late_count] = *a;
        late[late_count++].at_ms = a->result.start_ms + outcome.late_after_ms[a->target];
    }
    qsort(late, late_count, sizeof late[0], by_arrival);
    size_t next_late = 0;
    for (size_t i = 0; i < trace->count; i++) {
        const struct arrival *a = &trace->arrivals[i];
        for (; next_late < late_count && late[next_late].at_ms <= a->at_ms; next_late++) {
            step_until(engine, stepped_ms, offset_ms + late[next_late].at_ms);
            give(engine, &late[next_late], offset_ms, true);
        }
        step_until(engine, stepped_ms, offset_ms + a->at_ms);
        give(engine, a, offset_ms, false);
    }
    step_until(engine, stepped_ms, offset_ms + trace->end_ms);
    free(late);
}

static int64_t fault_ms, clear_ms; /* of the recording just replayed, on the engine's clock */

static void run(const char *name)
{
    static struct trace healthy;
    memset(&outcome, 0, sizeof outcome);
    for (size_t i = 0; i < ARRAY_COUNT(outcome.late_after_ms); i++) outcome.late_after_ms[i] = 2000;
    struct site_builder *site = lab_site();
    if (healthy.count == 0) CU_ASSERT_FATAL(read_trace("healthy-1", &healthy));
    struct trace trace = {0};
    CU_ASSERT_FATAL(read_trace(name, &trace));
    int64_t start = 1795420000000;
    struct engine *engine = engine_new(model, start);
    int64_t stepped = start;
    replay(engine, &healthy, start, &stepped);
    int64_t offset = start + healthy.end_ms + SETTLE_MS;
    step_until(engine, &stepped, offset);
    CU_ASSERT_EQUAL(outcome.count, 0);
    fault_ms = offset + trace.from_ms;
    clear_ms = offset + trace.until_ms;
    replay(engine, &trace, offset, &stepped);
    step_until(engine, &stepped, offset + trace.end_ms + 1000);
    for (size_t i = 0; i < outcome.count; i++)
        printf("  %-24s %+6.1f s  %-9s %s [%s, %s]\n", name,
            (double)(outcome.steps[i].at_ms - fault_ms) / 1000, step_word(outcome.steps[i].step),
            outcome.steps[i].incident.headline, impact_word(outcome.steps[i].incident.impact),
            severity_word(outcome.steps[i].incident.severity));
    engine_free(engine);
    builder_free(site);
    free(trace.arrivals);
}

static void faults_of_balancer_and_backends_are_named(void)
{
    static const struct {
        const char *name, *component, *modes;
        int64_t within_ms;
    } rows[] = {
        {"lb_cannot_reach_apps-1", "lb:lb-www", "hung down", 3000},
        {"lb_process_hang-1", "lb:lb-www", "hung", 3000},
        {"lb_slow-1", "lb:lb-www", "hung slow", 3000}, /* three seconds: beyond what the probes waited */
        {"lb_partial_30pct_errors-1", "lb:lb-www", "errors", 12000},
        {"app_down-1", "backend:www/app2", "down hung", 3000},
    };
    double sum = 0;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        run(rows[i].name);
        CU_ASSERT(outcome.count > 0);
        if (outcome.count == 0) continue;
        const struct engine_step *first = &outcome.steps[0], *last = &outcome.steps[outcome.count - 1];
        CU_ASSERT_STRING_EQUAL(first->incident.component, rows[i].component);
        CU_ASSERT_EQUAL(first->step, STEP_OPENED);
        CU_ASSERT(first->at_ms >= fault_ms && first->at_ms - fault_ms <= rows[i].within_ms);
        CU_ASSERT_PTR_NOT_NULL(strstr(rows[i].modes, mode_word(last->incident.mode)));
        for (size_t k = 0; k < outcome.count; k++)
            CU_ASSERT_STRING_EQUAL(outcome.steps[k].incident.id, "A-1"); /* one incident */
        CU_ASSERT_EQUAL(last->step, STEP_RESOLVED);
        CU_ASSERT(last->at_ms >= clear_ms);
        sum += (double)(first->at_ms - fault_ms) / 1000;
    }
    printf("mean %.1f s from injection to verdict\n", sum / (double)ARRAY_COUNT(rows));
}

static void slow_applications_are_no_balancer_and_no_single_backend(void)
{
    run("app_slow-1");
    CU_ASSERT(outcome.count > 0);
    for (size_t i = 0; i < outcome.count; i++) {
        const char *component = outcome.steps[i].incident.component;
        CU_ASSERT(strcmp(component, "backends:www") == 0 || strcmp(component, "service:www") == 0);
        CU_ASSERT_EQUAL(outcome.steps[i].incident.mode == MODE_DOWN, false);
    }
}

static void nothing_opens_while_nothing_is_wrong(void)
{
    static const char *const names[] = {"healthy-1", "benign_backup-1", "benign_deploy-1",
        "benign_logrotate-1", "control_plane_down-1", "dns_down-1"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        run(names[i]);
        CU_ASSERT_EQUAL(outcome.count, 0);
    }
}

/* Faults that other detectors will name: here they must not be taken for the balancer, a backend or an
 * observer. */
static void faults_below_the_applications_blame_no_bystander(void)
{
    static const char *const names[] = {"db_slow-1", "search_down-1", "search_overload-1", "storage_hang-1",
        "storage_slow_high_load-1", "storage_slow_low_load-1"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        run(names[i]);
        for (size_t k = 0; k < outcome.count; k++) {
            const struct incident *in = &outcome.steps[k].incident;
            bool bystander =
                in->kind == COMPONENT_LB || in->kind == COMPONENT_BACKEND || in->kind == COMPONENT_OBSERVER;
            CU_ASSERT(!bystander || in->confidence != CONFIDENCE_HIGH);
        }
    }
}

static void the_whole_afternoon_begins_with_the_balancer(void)
{
    run("incident_replay-1");
    CU_ASSERT(outcome.count > 0);
    if (outcome.count == 0) return;
    CU_ASSERT_STRING_EQUAL(outcome.steps[0].incident.component, "lb:lb-www");
    CU_ASSERT(outcome.steps[0].at_ms - fault_ms <= 38786 + 3000); /* load first, the fault 38.8 s later */
    for (size_t i = 0; i < outcome.count;
         i++) { /* the storage's fault is never the balancer's or one server's for sure */
        const struct incident *in = &outcome.steps[i].incident;
        CU_ASSERT(
            strcmp(in->id, "A-1") == 0 || in->kind != COMPONENT_BACKEND || in->confidence != CONFIDENCE_HIGH);
        CU_ASSERT(strcmp(in->id, "A-1") != 0 || in->kind == COMPONENT_LB);
    }
}

UNIT_MAIN("engine_traces",
    {"faults of balancer and backends are named", faults_of_balancer_and_backends_are_named},
    {"slow applications are no balancer and no single backend",
        slow_applications_are_no_balancer_and_no_single_backend},
    {"nothing opens while nothing is wrong", nothing_opens_while_nothing_is_wrong},
    {"faults below the applications blame no bystander", faults_below_the_applications_blame_no_bystander},
    {"the whole afternoon begins with the balancer", the_whole_afternoon_begins_with_the_balancer})

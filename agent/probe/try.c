#include "agent/probe/try.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/probe/prober.h"
#include "agent/probe/trial.h"
#include "common/check.h"
#include "common/cleanup.h"

#define HEADERS_MAX 32

/* A run over all lines. */
struct session {
    struct trial_bench bench;
    FILE *in, *out;
    size_t open, lines;
    bool at_end;
};

struct trying {
    struct session *session;
    json_t *key;
};

static void write_answer(FILE *out, json_t *key, const struct probe_result *result, const char *detail)
{
    json_t *answer = json_pack("{s:O, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:s}", "key", key, "outcome",
        probe_outcome_name(result->outcome), "error", probe_error_name(result->error), "code",
        (int)result->code, "resolve_us", (json_int_t)result->resolve_us, "connect_us",
        (json_int_t)result->connect_us, "tls_us", (json_int_t)result->tls_us, "first_byte_us",
        (json_int_t)result->first_byte_us, "total_us", (json_int_t)result->total_us, "detail", detail);
    CHECK(answer != NULL);
    json_dumpf(answer, out, JSON_COMPACT);
    fputc('\n', out);
    fflush(out); /* whoever reads shows it now */
    json_decref(answer);
}

/* what, more: put together they say why the line is not tried. key NULL: unknown. */
static void refuse(struct session *session, json_t *key, const char *what, const char *more)
{
    static const struct probe_result none = {.outcome = PROBE_FAIL,
        .error = PROBE_ERROR_LOCAL,
        .resolve_us = -1,
        .connect_us = -1,
        .tls_us = -1,
        .first_byte_us = -1,
        .total_us = -1};
    char detail[EXPLAIN_SIZE];
    snprintf(detail, sizeof detail, "line %zu: %s%s", session->lines, what, more);
    write_answer(session->out, key != NULL ? key : json_null(), &none, detail);
}

static enum probe_kind kind_of(const char *name)
{
    for (enum probe_kind kind = PROBE_HTTP; kind < PROBE_KIND_COUNT; kind++)
        if (strcmp(name, probe_kind_name(kind)) == 0) return kind;
    return 0;
}

static int take_headers(json_t *list, struct wire_header *headers, size_t *count, const char **why)
{
    size_t size = json_array_size(list);
    if (size % 2 != 0 || size / 2 > HEADERS_MAX) {
        *why = "headers are pairs of name and value, 32 at most";
        return -1;
    }
    for (size_t i = 0; i < size; i += 2) {
        const char *name = json_string_value(json_array_get(list, i));
        const char *value = json_string_value(json_array_get(list, i + 1));
        if (name == NULL || value == NULL) {
            *why = "headers are text";
            return -1;
        }
        headers[*count] = (struct wire_header){.name = name, .value = value};
        ++*count;
    }
    return 0;
}

/* Fills target from the object, whose text it borrows. */
static int take_target(json_t *object, struct wire_target *target,
    struct wire_header headers[static HEADERS_MAX], const char **why)
{
    const char *probe = "http", *url = NULL, *connect = "", *method = "GET", *expect_text = "",
               *credentials = "";
    json_t *list = NULL;
    json_int_t timeout_ms = TRY_TIMEOUT_MS, least = 0, most = 0;
    int insecure = 0, follow = 0;
    json_error_t problem;
    static char problem_text[sizeof problem.text];
    if (json_unpack_ex(object, &problem, 0, "{s?s, s:s, s?s, s?s, s?o, s?I, s?b, s?b, s?s, s?I, s?I, s?s}",
            "probe", &probe, "url", &url, "connect", &connect, "method", &method, "headers", &list,
            "timeout_ms", &timeout_ms, "insecure", &insecure, "follow", &follow, "expect_text", &expect_text,
            "expect_code_min", &least, "expect_code_max", &most, "credentials_file", &credentials) != 0) {
        memcpy(problem_text, problem.text, sizeof problem_text);
        *why = problem_text;
        return -1;
    }
    enum probe_kind kind = kind_of(probe);
    if (kind == 0)
        *why = "probe is http, tcp or haproxy";
    else if (timeout_ms < 1 || timeout_ms > TARGET_TIMEOUT_MS_MAX)
        *why = "timeout_ms is 1 to 60000";
    else if (least < 0 || most < least || most > 999)
        *why = "expect_code_min and expect_code_max are status codes";
    else if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        *why = "method is GET or HEAD";
    if (*why != NULL) return -1;
    *target = (struct wire_target){.key = 1,
        .probe = kind,
        .url = url,
        .connect = connect,
        .headers = headers,
        .interval_ms = 1000,
        .timeout_ms = (uint32_t)timeout_ms,
        .expect_code_min = (uint32_t)least,
        .expect_code_max = (uint32_t)most,
        .expect_text = expect_text,
        .insecure = insecure != 0,
        .follow = follow != 0,
        .credentials_file = credentials,
        .method = method};
    return take_headers(list, headers, &target->header_count, why);
}

static void start_more(struct session *session);

static void tried(void *owner, const struct probe_result *result, const char *detail)
{
    struct trying *trying = owner;
    struct session *session = trying->session;
    write_answer(session->out, trying->key, result, detail);
    json_decref(trying->key);
    free(trying);
    session->open--;
    start_more(session);
}

static void start_line(struct session *session, const char *line)
{
    json_error_t problem;
    json_t *object = json_loads(line, 0, &problem);
    if (!json_is_object(object)) {
        refuse(session, NULL, "not a JSON object: ", object == NULL ? problem.text : "another kind of value");
        json_decref(object);
        return;
    }
    json_t *key = json_object_get(object, "key");
    struct wire_target target;
    struct wire_header headers[HEADERS_MAX];
    const char *why = NULL;
    if (take_target(object, &target, headers, &why) != 0) {
        refuse(session, key, "", why);
    } else {
        struct trying *trying = check_alloc(sizeof *trying);
        *trying = (struct trying){.session = session, .key = key != NULL ? json_incref(key) : json_null()};
        session->open++;
        trial_start(&session->bench.context, &target, tried, trying);
    }
    json_decref(object);
}

static void start_more(struct session *session)
{
    AUTO_FREE char *line = NULL;
    size_t capacity = 0;
    while (!session->at_end && session->open < TRY_OPEN_MAX) {
        ssize_t size = session->lines < TRY_LINES_MAX ? getline(&line, &capacity, session->in) : -1;
        if (size < 0) {
            session->at_end = true;
            break;
        }
        session->lines++;
        if (size > TRY_LINE_BYTES_MAX)
            refuse(session, NULL, "longer than 64 KiB", "");
        else if (strspn(line, " \t\r\n") < (size_t)size)
            start_line(session, line);
    }
    if (session->at_end && session->open == 0) loop_stop(session->bench.context.loop);
}

int try_lines(FILE *in, FILE *out, const char *credentials_directory, struct error *err)
{
    struct session session = {.in = in, .out = out};
    if (trial_bench_init(&session.bench, credentials_directory, err) != 0) return -1;
    start_more(&session);
    int ran = session.open > 0 ? loop_run(session.bench.context.loop, err) : 0;
    trial_bench_fini(&session.bench);
    return ran;
}

int agent_try(int argc, char **argv)
{
    const char *directory = argc == 3 && strcmp(argv[1], "--credentials") == 0 ? argv[2] : NULL;
    if (argc != 1 && directory == NULL) {
        fputs("usage: faultline-agent try [--credentials DIRECTORY] < lines of JSON\n", stderr);
        return 2;
    }
    struct error err;
    if (try_lines(stdin, stdout, directory, &err) == 0) return 0;
    fprintf(stderr, "faultline-agent: %s\n", err.text);
    return 1;
}

#include <assert.h>
#include <string.h>

#include "common/check.h"
#include "proto/metrics.h"
#include "proto/probe.h"

static const char *const outcome_names[] = {[PROBE_OK] = "ok", [PROBE_FAIL] = "fail", [PROBE_LATE] = "late"};
static_assert(ARRAY_COUNT(outcome_names) == PROBE_OUTCOME_COUNT, "a name per outcome");

static const struct {
    const char *name, *phrase;
} error_names[] = {
    [PROBE_ERROR_NONE] = {"none", "no error"},
    [PROBE_ERROR_RESOLVE] = {"resolve", "name does not resolve"},
    [PROBE_ERROR_REFUSED] = {"refused", "connection refused"},
    [PROBE_ERROR_UNREACHABLE] = {"unreachable", "no route to the address"},
    [PROBE_ERROR_CONNECT_TIMEOUT] = {"connect_timeout", "no answer to the connection attempt"},
    [PROBE_ERROR_TLS] = {"tls", "TLS handshake or certificate failed"},
    [PROBE_ERROR_RESET] = {"reset", "connection broken"},
    [PROBE_ERROR_NO_ANSWER] = {"no_answer", "connected, but no answer"},
    [PROBE_ERROR_UNFINISHED] = {"unfinished", "answer not finished in time"},
    [PROBE_ERROR_STATUS] = {"status", "unexpected status"},
    [PROBE_ERROR_CONTENT] = {"content", "expected text missing"},
    [PROBE_ERROR_REDIRECT] = {"redirect", "redirects elsewhere"},
    [PROBE_ERROR_BLOCKED] = {"blocked", "observer is not let in"},
    [PROBE_ERROR_LOCAL] = {"local", "observer's own trouble"},
    [PROBE_ERROR_MALFORMED] = {"malformed", "answer is not HTTP"},
};
static_assert(ARRAY_COUNT(error_names) == PROBE_ERROR_COUNT, "a name per error");

static const char *const kind_names[] = {
    [0] = "none", [PROBE_HTTP] = "http", [PROBE_TCP] = "tcp", [PROBE_HAPROXY_STATS] = "haproxy"};
static_assert(ARRAY_COUNT(kind_names) == PROBE_KIND_COUNT, "a name per kind");

const char *probe_outcome_name(enum probe_outcome outcome)
{
    return (unsigned)outcome < PROBE_OUTCOME_COUNT ? outcome_names[outcome] : "unknown";
}

const char *probe_error_name(enum probe_error error)
{
    return (unsigned)error < PROBE_ERROR_COUNT ? error_names[error].name : "unknown";
}

const char *probe_error_phrase(enum probe_error error)
{
    return (unsigned)error < PROBE_ERROR_COUNT ? error_names[error].phrase : "unknown error";
}

const char *probe_kind_name(enum probe_kind kind)
{
    return (unsigned)kind < PROBE_KIND_COUNT ? kind_names[kind] : "unknown";
}

static const struct metric_info metrics[] = {
#define METRIC(name, kind, unit, scale, help) {#name, METRIC_##kind, unit, scale, help},
#include "proto/metrics.def"
#undef METRIC
};
static_assert(ARRAY_COUNT(metrics) == METRIC_COUNT, "a row per metric");

const struct metric_info *metric_info(enum metric metric)
{
    return (unsigned)metric < METRIC_COUNT ? &metrics[metric] : NULL;
}

enum metric metric_of(const char *name)
{
    size_t i = 0;
    while (i < METRIC_COUNT && strcmp(metrics[i].name, name) != 0) i++;
    return (enum metric)i;
}

const struct metric_info *metric_find(const char *name)
{
    return metric_info(metric_of(name));
}

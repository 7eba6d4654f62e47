/* What the tests of the prober share: targets with defaults, single tries, and a recorder of outcomes. */
#ifndef TESTS_UNIT_AGENT_PROBE_FIXTURE_H
#define TESTS_UNIT_AGENT_PROBE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/probe/prober.h"
#include "common/check.h"
#include "common/clock.h"
#include "tests/support/http_peer.h"

#define DEADLINE_NS  (20 * INT64_C(1000000000)) /* no test waits longer; none should wait at all */
#define RECORDED_MAX 512
#define PATIENT_MS   15000 /* a timeout that must not be reached */

static inline struct wire_target target_to(const char *url)
{
    return (struct wire_target){.key = 1,
        .probe = PROBE_HTTP,
        .url = url,
        .connect = "",
        .interval_ms = 100,
        .timeout_ms = PATIENT_MS,
        .expect_text = "",
        .credentials_file = "",
        .method = "GET"};
}

struct recorded {
    struct probe_result result;
    bool urgent;
    char address[64], service[64]; /* labels */
    size_t label_count;
};

struct value {
    char metric[64], balancer[64], proxy[64], server[64], address[64];
    int64_t value;
};

/* A prober on a loop that runs until `enough` says so. */
struct bench {
    struct loop *loop;
    struct prober *prober;
    struct recorded rows[RECORDED_MAX];
    size_t count;
    struct value values[RECORDED_MAX];
    size_t value_count;
    bool (*enough)(const struct bench *bench);
    bool timed_out;
    struct loop_timer deadline;
};

static inline const char *label_of(const struct wire_label *labels, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(labels[i].name, name) == 0) return labels[i].value;
    return "";
}

static inline void bench_outcome(void *owner, const struct wire_label *labels, size_t label_count,
    const struct probe_result *result, bool urgent)
{
    struct bench *bench = owner;
    if (bench->count == RECORDED_MAX) return;
    struct recorded *row = &bench->rows[bench->count++];
    *row = (struct recorded){.result = *result, .urgent = urgent, .label_count = label_count};
    snprintf(row->address, sizeof row->address, "%s", label_of(labels, label_count, "address"));
    snprintf(row->service, sizeof row->service, "%s", label_of(labels, label_count, "service"));
    if (bench->enough != NULL && bench->enough(bench)) loop_stop(bench->loop);
}

static inline void bench_value(void *owner, const char *metric, const struct wire_label *labels,
    size_t label_count, int64_t time_ms, int64_t value)
{
    (void)time_ms;
    struct bench *bench = owner;
    if (bench->value_count == RECORDED_MAX) return;
    struct value *row = &bench->values[bench->value_count++];
    *row = (struct value){.value = value};
    snprintf(row->metric, sizeof row->metric, "%s", metric);
    snprintf(row->balancer, sizeof row->balancer, "%s", label_of(labels, label_count, "balancer"));
    snprintf(row->proxy, sizeof row->proxy, "%s", label_of(labels, label_count, "proxy"));
    snprintf(row->server, sizeof row->server, "%s", label_of(labels, label_count, "server"));
    snprintf(row->address, sizeof row->address, "%s", label_of(labels, label_count, "address"));
}

static inline void bench_deadline(void *owner, int64_t now_ns)
{
    (void)now_ns;
    struct bench *bench = owner;
    bench->timed_out = true;
    loop_stop(bench->loop);
}

static inline void bench_init(struct bench *bench, const char *credentials_directory)
{
    struct error err;
    *bench = (struct bench){.loop = loop_new(&err), .deadline = {.call = bench_deadline, .owner = bench}};
    CHECK(bench->loop != NULL);
    struct prober_sink sink = {.owner = bench, .outcome = bench_outcome, .value = bench_value};
    bench->prober = prober_new(bench->loop, &sink, credentials_directory, 7, &err);
    CHECK(bench->prober != NULL);
}

/* Runs until `enough`; false if the deadline came first. */
static inline bool bench_run(struct bench *bench, bool (*enough)(const struct bench *bench))
{
    struct error err;
    bench->enough = enough;
    bench->timed_out = false;
    loop_at(bench->loop, &bench->deadline, clock_mono_ns() + DEADLINE_NS);
    CHECK(loop_run(bench->loop, &err) == 0);
    loop_cancel(bench->loop, &bench->deadline);
    return !bench->timed_out;
}

/* Plans these targets for collector A and runs. */
static inline bool bench_probe(struct bench *bench, const struct wire_target *targets, size_t count,
    bool (*enough)(const struct bench *bench))
{
    struct error err;
    CHECK(prober_plan(bench->prober, "A", targets, count, &err) == 0);
    return bench_run(bench, enough);
}

static inline void bench_fini(struct bench *bench)
{
    prober_free(bench->prober);
    loop_free(bench->loop);
    free(bench);
}

static inline struct bench *bench_new(void)
{
    struct bench *bench = check_alloc(sizeof *bench);
    bench_init(bench, NULL);
    return bench;
}

#endif

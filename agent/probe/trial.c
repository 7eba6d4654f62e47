#include "agent/probe/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/probe/prober.h"
#include "common/check.h"
#include "common/clock.h"

struct trial {
    struct run_context context;
    struct target *target;
    trial_call *call;
    void *owner;
    struct probe_result result; /* of the first look */
    char message[EXPLAIN_SIZE];
    char detail[EXPLAIN_SIZE];
};

static void end(struct trial *trial)
{
    trial->call(trial->owner, &trial->result, trial->detail);
    target_free(trial->target);
    free(trial);
}

static void second_look(void *owner, const struct probe_result *result, const struct run_story *story)
{
    (void)result;
    struct trial *trial = owner;
    struct run_story both = {
        .address = story->address, .message = trial->message, .certificate_names = story->certificate_names};
    if (story->certificate_names != NULL)
        explain(trial->target, trial->target->timeout_ms, &trial->result, &both, trial->detail);
    end(trial);
}

static void look(struct trial *trial, bool want_certificate, run_call *call)
{
    struct run_order order = {.target = trial->target,
        .start_ms = clock_wall_ms(),
        .timeout_ms = trial->target->timeout_ms,
        .want_certificate = want_certificate};
    run_start(&trial->context, &order, call, trial);
}

static void first_look(void *owner, const struct probe_result *result, const struct run_story *story)
{
    struct trial *trial = owner;
    trial->result = *result;
    explain(trial->target, trial->target->timeout_ms, result, story, trial->detail);
    if (!explain_wants_names(result, story)) {
        end(trial);
        return;
    }
    snprintf(trial->message, sizeof trial->message, "%s", story->message);
    trial->target->insecure = true;
    look(trial, true, second_look);
}

void trial_start(
    const struct run_context *context, const struct wire_target *wanted, trial_call *call, void *owner)
{
    struct trial *trial = check_alloc(sizeof *trial);
    *trial = (struct trial){.context = *context, .target = target_new(wanted), .call = call, .owner = owner};
    trial->target->late_after_ms = 0;
    look(trial, false, first_look);
}

int trial_bench_init(struct trial_bench *bench, const char *credentials_directory, struct error *err)
{
    struct run_context *context = &bench->context;
    *bench = (struct trial_bench){.context = {.credentials_directory = credentials_directory}};
    context->loop = loop_new(err);
    if (context->loop != NULL) context->resolver = resolver_new(context->loop, NULL, err);
    if (context->resolver != NULL) context->http = http_new(context->loop, err);
    if (context->http != NULL) return 0;
    trial_bench_fini(bench);
    return -1;
}

void trial_bench_fini(struct trial_bench *bench)
{
    http_free(bench->context.http);
    resolver_free(bench->context.resolver);
    loop_free(bench->context.loop);
    *bench = (struct trial_bench){0};
}

struct tried {
    struct loop *loop;
    struct probe_result result;
    char detail[EXPLAIN_SIZE];
};

static void take(void *owner, const struct probe_result *result, const char *detail)
{
    struct tried *tried = owner;
    tried->result = *result;
    snprintf(tried->detail, sizeof tried->detail, "%s", detail);
    loop_stop(tried->loop);
}

int prober_try(
    const struct wire_target *target, struct probe_result *result, char detail[static 256], struct error *err)
{
    struct trial_bench bench;
    if (trial_bench_init(&bench, NULL, err) != 0) return -1;
    struct tried tried = {.loop = bench.context.loop};
    trial_start(&bench.context, target, take, &tried);
    int ran = loop_run(bench.context.loop, err);
    trial_bench_fini(&bench);
    if (ran != 0) return -1;
    *result = tried.result;
    memcpy(detail, tried.detail, EXPLAIN_SIZE);
    return 0;
}

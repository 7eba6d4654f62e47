/* One target probed once, to the sentence that explains it. The certificate of a server with another name is
 * looked at a second time, to say whose it is. One thread: the loop's. */
#ifndef AGENT_PROBE_TRIAL_H
#define AGENT_PROBE_TRIAL_H

#include "agent/probe/explain.h"
#include "agent/probe/run.h"

struct trial;

/* detail: EXPLAIN_SIZE at most; borrowed for the call, after which the trial is gone. */
typedef void trial_call(void *owner, const struct probe_result *result, const char *detail);

/* Copies what it needs of the target. Calls back once, never from within this function. */
void trial_start(
    const struct run_context *context, const struct wire_target *wanted, trial_call *call, void *owner);

/* What trials run on. */
struct trial_bench {
    struct run_context context;
};
int trial_bench_init(struct trial_bench *bench, const char *credentials_directory, struct error *err);
void trial_bench_fini(struct trial_bench *bench); /* no trial may be under way */

#endif

/* How a probe ended, as a sentence for the person who has to put it right. Pure. */
#ifndef AGENT_PROBE_EXPLAIN_H
#define AGENT_PROBE_EXPLAIN_H

#include "agent/probe/run.h"

#define EXPLAIN_SIZE 256

/* "redirects to https://www.example.com/", "refused by 10.0.0.5:8080", …: printable ASCII, cut to fit.
 * Returns out. */
const char *explain(const struct target *target, uint32_t timeout_ms, const struct probe_result *result,
    const struct run_story *story, char out[static EXPLAIN_SIZE]);

/* Whether the certificate was refused: then a second look may tell whose it is. */
bool explain_wants_names(const struct probe_result *result, const struct run_story *story);

#endif

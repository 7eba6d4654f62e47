/* One probe from its start to its end: resolve, connect (and ask), judge. Tells LATE once when the target's
 * late_after_ms has passed, and how it ended once; then it is gone. One thread: the loop's.
 *
 * A name with several addresses: as a user's program does, the next address is tried where one refuses or
 * cannot be reached; one that does not answer takes the rest of the time. */
#ifndef AGENT_PROBE_RUN_H
#define AGENT_PROBE_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/probe/haproxy_csv.h"
#include "agent/probe/http.h"
#include "agent/probe/resolve.h"
#include "agent/probe/target.h"

#define RUN_REDIRECTS_MAX 5 /* followed */

struct run;

struct run_context {
    struct loop *loop;
    struct resolver *resolver;
    struct http *http;
    const char *credentials_directory; /* NULL none */
};

/* What a person would want to know besides the result; borrowed for the call, NULL where there is nothing. */
struct run_story {
    const char *address;  /* last connected to, "10.0.0.5:8080" */
    const char *message;  /* the library's words */
    const char *redirect; /* where an answer led to */
    const char *certificate_names;
    int os_errno; /* of the connection attempt, 0 none */
};

typedef void run_call(void *owner, const struct probe_result *result, const struct run_story *story);

struct run_order {
    const struct target *target;   /* borrowed until the end */
    const struct address *address; /* connect here, NULL: as the target says */
    int64_t start_ms;              /* Unix ms, now */
    uint32_t timeout_ms;
    uint32_t flags;
    bool want_certificate; /* for the story */
    haproxy_row_call *row; /* for PROBE_HAPROXY_STATS, with the same owner */
};

/* Calls back never from within this function. */
struct run *run_start(
    const struct run_context *context, const struct run_order *order, run_call *call, void *owner);
void run_cancel(struct run *run); /* tells nobody */

#endif

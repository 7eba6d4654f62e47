/* The probes of one target at one address (or at whatever its name leads to): at most LANE_OPEN_MAX open at a
 * time, one in ten waiting longer, a failure confirmed once. Used by prober.c only. One thread: the loop's.
 */
#ifndef AGENT_PROBE_LANE_H
#define AGENT_PROBE_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/probe/prober.h"
#include "agent/probe/run.h"

#define LANE_OPEN_MAX   3
#define LANE_LONG_EACH  10  /* one probe in so many waits for long_timeout_ms */
#define LANE_CONFIRM_MS 250 /* after a failure, before it is tried again */
#define LANE_CONFIRMED_MAX                                                                                   \
    3 /* failures in a row that are confirmed: a lasting outage is not probed twice as often */
#define LANE_FAREWELLS 3 /* probes of an address that is no longer in the answer */

struct lane;

/* What all lanes of a prober share. */
struct lane_context {
    struct run_context run;
    struct prober_sink sink;
    uint64_t open, skipped;
};

struct lane_slot {
    struct lane *lane;
    struct run *run; /* NULL: free */
    bool late, patient;
};

struct lane {
    struct lane *next; /* of the same target */
    struct lane_context *context;
    const struct target *target;
    struct address address; /* size 0: as the target says */
    char address_text[ADDRESS_TEXT_SIZE];
    bool vanished;      /* not in the latest answer */
    unsigned farewells; /* probes left then */
    uint32_t started;   /* probes, from a random offset: for one in ten */
    uint32_t failures;  /* of regular probes, in a row */
    int64_t last_start_ms;
    struct loop_timer confirm;
    struct lane_slot slots[LANE_OPEN_MAX];
};

/* address NULL: none of its own. */
struct lane *lane_new(struct lane_context *context, const struct target *target,
    const struct address *address, uint32_t offset);
void lane_free(struct lane *lane); /* its open probes end untold */

/* Starts a probe now; skips and counts it where a bound is reached. */
void lane_probe(struct lane *lane, uint32_t flags);

bool lane_idle(const struct lane *lane);

#endif

/* What an agent's clock says when the collector's says now: the smallest difference seen lately between
 * arrival and sending, which is the offset plus the shortest way. Corrected times therefore never lie in the
 * future, and are early by what the network can do at its best: nothing that matters at one probe a second.
 * Pure; the owner's storage. */
#ifndef COLLECTOR_CORE_JUDGE_CLOCK_OFFSET_H
#define COLLECTOR_CORE_JUDGE_CLOCK_OFFSET_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_OFFSET_BUCKETS   10
#define CLOCK_OFFSET_BUCKET_MS 30000 /* the filter looks back five minutes */
#define CLOCK_OFFSET_STEP_MS                                                                                 \
    500                         /* wall minus monotonic clock of the agent moved by more: its clock was set */
#define CLOCK_OFFSET_PATIENCE 3 /* batches in a row that must say so before a later clock is believed */

/* Zeroed knows nothing. */
struct clock_offset {
    bool known;
    int64_t base_ms;  /* the agent's wall clock minus its monotonic one */
    uint32_t strange; /* batches in a row of another base */
    struct {
        int64_t slot; /* arrival / CLOCK_OFFSET_BUCKET_MS */
        int64_t least_ms;
    } buckets[CLOCK_OFFSET_BUCKETS];
};

/* A hello is sent when it is made: it alone begins anew. All in ms; arrival on the collector's clock. */
void clock_offset_hello(struct clock_offset *offset, int64_t arrival_ms, int64_t wall_ms, int64_t mono_ms);
/* A batch may have waited in a spool for hours, and may be from before a reboot. */
void clock_offset_batch(struct clock_offset *offset, int64_t arrival_ms, int64_t wall_ms, int64_t mono_ms);

/* To be added to the agent's times; 0 while nothing is known. */
int64_t clock_offset_correction_ms(const struct clock_offset *offset);

#endif

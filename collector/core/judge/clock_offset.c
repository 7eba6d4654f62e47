#include "collector/core/judge/clock_offset.h"

#include <stdlib.h>

static void restart(struct clock_offset *offset, int64_t arrival_ms, int64_t wall_ms, int64_t mono_ms)
{
    *offset = (struct clock_offset){.known = true, .base_ms = wall_ms - mono_ms};
    for (int i = 0; i < CLOCK_OFFSET_BUCKETS; i++) {
        offset->buckets[i].slot = arrival_ms / CLOCK_OFFSET_BUCKET_MS;
        offset->buckets[i].least_ms = arrival_ms - wall_ms;
    }
}

void clock_offset_hello(struct clock_offset *offset, int64_t arrival_ms, int64_t wall_ms, int64_t mono_ms)
{
    restart(offset, arrival_ms, wall_ms, mono_ms);
}

int64_t clock_offset_correction_ms(const struct clock_offset *offset)
{
    if (!offset->known) return 0;
    int64_t least_ms = offset->buckets[0].least_ms;
    for (int i = 1; i < CLOCK_OFFSET_BUCKETS; i++)
        if (offset->buckets[i].least_ms < least_ms) least_ms = offset->buckets[i].least_ms;
    return least_ms;
}

/* Every bucket that has grown too old takes the newest sample: what is known of old times fades one by one.
 */
static void add(struct clock_offset *offset, int64_t arrival_ms, int64_t sample_ms)
{
    int64_t slot = arrival_ms / CLOCK_OFFSET_BUCKET_MS;
    int index = (int)(((slot % CLOCK_OFFSET_BUCKETS) + CLOCK_OFFSET_BUCKETS) % CLOCK_OFFSET_BUCKETS);
    for (int i = 0; i < CLOCK_OFFSET_BUCKETS; i++) {
        bool old = slot - offset->buckets[i].slot >= CLOCK_OFFSET_BUCKETS;
        bool current = i == index;
        if (!old && !(current && offset->buckets[i].slot != slot) &&
            !(current && sample_ms < offset->buckets[i].least_ms))
            continue;
        offset->buckets[i].slot = slot;
        offset->buckets[i].least_ms = sample_ms;
    }
}

void clock_offset_batch(struct clock_offset *offset, int64_t arrival_ms, int64_t wall_ms, int64_t mono_ms)
{
    int64_t sample_ms = arrival_ms - wall_ms;
    bool same_base = offset->known && llabs(wall_ms - mono_ms - offset->base_ms) <= CLOCK_OFFSET_STEP_MS;
    if (same_base) {
        offset->strange = 0;
        offset->base_ms = wall_ms - mono_ms; /* slewing moves it slowly */
        add(offset, arrival_ms, sample_ms);
        return;
    }
    /* A clock that was set ahead shows at once. One that was set back looks like a batch that waited before a
     * reboot: believed when several in a row say the same. */
    offset->strange++;
    if (!offset->known || sample_ms <= clock_offset_correction_ms(offset) ||
        offset->strange >= CLOCK_OFFSET_PATIENCE)
        restart(offset, arrival_ms, wall_ms, mono_ms);
}

#include "agent/spool/gaps.h"

#include <stdlib.h>

#include "common/check.h"

void gaps_fini(struct gaps *gaps)
{
    free(gaps->list);
    *gaps = (struct gaps){0};
}

static bool join(struct wire_gap *into, const struct wire_gap *gap)
{
    if (gap->reason != into->reason || gap->from != into->to + 1) return false;
    into->to = gap->to;
    into->samples += gap->samples;
    return true;
}

void gaps_add(struct gaps *gaps, const struct wire_gap *gap)
{
    for (size_t i = gaps->count; i > 0; i--)
        if (gaps->list[i - 1].told_in == 0 && join(&gaps->list[i - 1].gap, gap)) return;
    if (gaps->count == GAPS_MAX) {
        struct told_gap *last = &gaps->list[gaps->count - 1];
        if (gap->from < last->gap.from) last->gap.from = gap->from;
        if (gap->to > last->gap.to) last->gap.to = gap->to;
        last->gap.samples += gap->samples;
        last->told_in = 0;
        return;
    }
    if (gaps->count == gaps->capacity) {
        gaps->capacity = gaps->capacity > 0 ? gaps->capacity * 2 : 16;
        gaps->list = check_realloc_array(gaps->list, gaps->capacity, sizeof *gaps->list);
    }
    gaps->list[gaps->count++] = (struct told_gap){.gap = *gap};
}

size_t gaps_take(struct gaps *gaps, uint64_t carrier, struct wire_gap *out, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < gaps->count && count < max; i++) {
        if (gaps->list[i].told_in != 0) continue;
        gaps->list[i].told_in = carrier;
        out[count++] = gaps->list[i].gap;
    }
    return count;
}

void gaps_carrier_lost(struct gaps *gaps, uint64_t first, uint64_t last)
{
    size_t kept = 0;
    struct gaps joined = *gaps;
    for (size_t i = 0; i < gaps->count; i++) {
        struct told_gap told = gaps->list[i];
        if (told.told_in >= first && told.told_in <= last) told.told_in = 0;
        /* A day without a collector would otherwise leave one gap per segment. */
        struct told_gap *before = kept > 0 ? &joined.list[kept - 1] : NULL;
        if (before != NULL && told.told_in == 0 && before->told_in == 0 && join(&before->gap, &told.gap))
            continue;
        joined.list[kept++] = told;
    }
    gaps->count = kept;
}

void gaps_forget(
    struct gaps *gaps, bool (*received_by_all)(const void *owner, uint64_t sequence), const void *owner)
{
    size_t kept = 0;
    for (size_t i = 0; i < gaps->count; i++)
        if (gaps->list[i].told_in == 0 || !received_by_all(owner, gaps->list[i].told_in))
            gaps->list[kept++] = gaps->list[i];
    gaps->count = kept;
}

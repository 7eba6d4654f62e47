#include "proto/received.h"

#include <string.h>

/* Index of the first range that ends at or above the sequence; range_count if there is none. */
static size_t range_at(const struct received *received, uint64_t sequence)
{
    size_t low = 0, high = received->range_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (received->ranges[middle].last < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool received_has(const struct received *received, uint64_t sequence)
{
    if (sequence <= received->floor) return sequence > 0;
    size_t i = range_at(received, sequence);
    return i < received->range_count && received->ranges[i].first <= sequence;
}

static void remove_ranges(struct received *received, size_t from, size_t count)
{
    memmove(&received->ranges[from], &received->ranges[from + count],
        (received->range_count - from - count) * sizeof received->ranges[0]);
    received->range_count -= count;
}

/* Everything up to `last` is received: the floor rises, and swallows the ranges that it reaches. */
static void raise_floor(struct received *received, uint64_t last)
{
    if (last > received->floor) received->floor = last;
    size_t swallowed = 0;
    while (swallowed < received->range_count && received->ranges[swallowed].first - 1 <= received->floor) {
        if (received->ranges[swallowed].last > received->floor)
            received->floor = received->ranges[swallowed].last;
        swallowed++;
    }
    remove_ranges(received, 0, swallowed);
}

int received_add(struct received *received, uint64_t first, uint64_t last, struct error *err)
{
    if (first == 0 || last < first || last > LIMIT_SEQUENCE)
        return fail(
            err, ERROR_INPUT, "sequences %llu to %llu", (unsigned long long)first, (unsigned long long)last);
    if (first - 1 <= received->floor) {
        raise_floor(received, last);
        return 0;
    }
    /* The ranges that the new one overlaps or touches become one with it. */
    size_t from = range_at(received, first - 1);
    size_t to = from;
    while (to < received->range_count && received->ranges[to].first - 1 <= last) to++;
    if (to == from) {
        if (received->range_count == LIMIT_ACK_RANGES)
            return fail(err, ERROR_LIMIT, "more than %d ranges of received sequences", LIMIT_ACK_RANGES);
        memmove(&received->ranges[from + 1], &received->ranges[from],
            (received->range_count - from) * sizeof received->ranges[0]);
        received->range_count++;
        received->ranges[from] = (struct wire_range){.first = first, .last = last};
        return 0;
    }
    struct wire_range *range = &received->ranges[from];
    uint64_t end = received->ranges[to - 1].last;
    range->first = first < range->first ? first : range->first;
    range->last = last > end ? last : end;
    remove_ranges(received, from + 1, to - from - 1);
    return 0;
}

uint64_t received_next_missing(const struct received *received, uint64_t after)
{
    uint64_t sequence = (after > received->floor ? after : received->floor) + 1;
    size_t i = range_at(received, sequence);
    if (i < received->range_count && received->ranges[i].first <= sequence)
        return received->ranges[i].last + 1;
    return sequence;
}

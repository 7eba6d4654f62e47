#include "agent/spool/index.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"

void index_fini(struct segment_index *index)
{
    for (size_t i = 0; i < index->count; i++) free(index->list[i].samples);
    free(index->list);
    *index = (struct segment_index){0};
}

struct segment *index_add_segment(struct segment_index *index, uint64_t number)
{
    CHECK(index->count == 0 || index->list[index->count - 1].number < number);
    if (index->count == index->capacity) {
        index->capacity = index->capacity > 0 ? index->capacity * 2 : 8;
        index->list = check_realloc_array(index->list, index->capacity, sizeof *index->list);
    }
    index->list[index->count] = (struct segment){.number = number, .first = 1};
    return &index->list[index->count++];
}

void index_remove_segment(struct segment_index *index, size_t position)
{
    struct segment *segment = &index->list[position];
    index->bytes -= segment->bytes;
    index->batches -= segment->batches;
    free(segment->samples);
    memmove(segment, segment + 1, (index->count - position - 1) * sizeof *segment);
    index->count--;
}

struct segment *index_find(struct segment_index *index, uint64_t number)
{
    for (size_t i = index->count; i > 0; i--)
        if (index->list[i - 1].number == number) return &index->list[i - 1];
    return NULL;
}

/* Makes [first, last] addressable. */
static void stretch(struct segment *s, uint64_t first, uint64_t last)
{
    size_t old_count = s->last < s->first ? 0 : (size_t)(s->last - s->first + 1);
    size_t count = (size_t)(last - first + 1);
    if (count > s->capacity) {
        size_t capacity = s->capacity > 0 ? s->capacity : 64;
        while (capacity < count) capacity *= 2;
        s->samples = check_realloc_array(s->samples, capacity, sizeof *s->samples);
        s->capacity = capacity;
    }
    size_t shift = old_count > 0 ? (size_t)(s->first - first) : 0;
    if (shift > 0) memmove(s->samples + shift, s->samples, old_count * sizeof *s->samples);
    memset(s->samples, 0, shift * sizeof *s->samples);
    memset(s->samples + shift + old_count, 0, (count - shift - old_count) * sizeof *s->samples);
    s->first = first;
    s->last = last;
}

void index_add(struct segment_index *index, struct segment *s, uint64_t sequence, uint32_t samples)
{
    CHECK(sequence > 0);
    if (s->last < s->first)
        stretch(s, sequence, sequence);
    else if (sequence < s->first)
        stretch(s, sequence, s->last);
    else if (sequence > s->last)
        stretch(s, s->first, sequence);
    uint32_t *slot = &s->samples[sequence - s->first];
    if (*slot == 0) {
        s->batches++;
        index->batches++;
    }
    *slot = samples + 1;
}

bool index_holds(const struct segment *s, uint64_t sequence)
{
    return sequence >= s->first && sequence <= s->last && s->samples[sequence - s->first] != 0;
}

bool index_remove(struct segment_index *index, struct segment *s, uint64_t sequence, uint32_t *samples)
{
    if (!index_holds(s, sequence)) return false;
    uint32_t *slot = &s->samples[sequence - s->first];
    *samples = *slot - 1;
    *slot = 0;
    s->batches--;
    index->batches--;
    return true;
}

uint64_t index_lowest(const struct segment_index *index, uint64_t from, const struct segment **where)
{
    uint64_t lowest = 0;
    for (size_t i = 0; i < index->count; i++) {
        const struct segment *s = &index->list[i];
        if (s->last < s->first || s->last < from || (lowest != 0 && s->first > lowest)) continue;
        for (uint64_t q = from > s->first ? from : s->first; q <= s->last && (lowest == 0 || q <= lowest);
             q++) {
            if (s->samples[q - s->first] == 0) continue;
            lowest = q;
            *where = s;
            break;
        }
    }
    return lowest;
}

uint64_t index_highest(const struct segment_index *index)
{
    uint64_t highest = 0;
    for (size_t i = 0; i < index->count; i++) {
        const struct segment *s = &index->list[i];
        for (uint64_t q = s->last; q >= s->first && q > highest; q--)
            if (s->samples[q - s->first] != 0) highest = q;
    }
    return highest;
}

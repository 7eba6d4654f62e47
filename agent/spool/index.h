/* Which sequences the segment files hold: per segment one number per sequence, so that gaps can be told
 * exactly and nothing has to be read to decide what may go. Pure; the owner's storage. */
#ifndef AGENT_SPOOL_INDEX_H
#define AGENT_SPOOL_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct segment {
    uint64_t number;
    uint64_t bytes;
    uint64_t first, last; /* sequences; last < first: none */
    uint32_t *samples;    /* [sequence - first]: samples + 1, 0 not held */
    size_t capacity;
    size_t batches;
};

/* Zeroed is empty. Ascending by number. */
struct segment_index {
    struct segment *list;
    size_t count, capacity;
    uint64_t bytes;
    uint64_t batches;
};

void index_fini(struct segment_index *index);
struct segment *index_add_segment(
    struct segment_index *index, uint64_t number); /* valid until the next one */
void index_remove_segment(struct segment_index *index, size_t position);
struct segment *index_find(struct segment_index *index, uint64_t number);

/* Sequences of a segment may come in any order but lie close to each other. */
void index_add(struct segment_index *index, struct segment *segment, uint64_t sequence, uint32_t samples);
/* Returns its samples; false if it was not held. */
bool index_remove(struct segment_index *index, struct segment *segment, uint64_t sequence, uint32_t *samples);
bool index_holds(const struct segment *segment, uint64_t sequence);

/* The lowest sequence >= from that any segment holds, and the newest segment that holds it; 0 none. */
uint64_t index_lowest(const struct segment_index *index, uint64_t from, const struct segment **where);
uint64_t index_highest(const struct segment_index *index); /* 0 none */

#endif

/* A head: the values of one series that are not sealed yet, in the order of their arrival. One thread. */
#ifndef COLLECTOR_CORE_STORE_HEAD_H
#define COLLECTOR_CORE_STORE_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Values of one type, integers or doubles by their bits. Where a time comes twice, the later one is right. */
struct run {
    int64_t *times_ms;
    uint64_t *bits;
    size_t count;
    bool is_double;
    bool ascending; /* strictly */
};

/* Most often one run; a series whose type changes has several, the newest last. Zeroed is empty. */
struct head {
    struct head_run *first, *last;
};

struct head_run {
    struct head_run *next;
    struct run run;
    size_t capacity;
};

/* Where a head stood, to go back to. */
struct head_mark {
    struct head_run *last;
    size_t count;
    bool ascending;
};

void head_append(
    struct head *head, bool is_double, const int64_t *times_ms, const void *values, size_t count);
struct head_mark head_mark(const struct head *head);
/* Forgets what was appended since the mark; returns how many values that were. */
size_t head_undo(struct head *head, struct head_mark mark);
void head_fini(struct head *head); /* empty afterwards */

/* The newest value at this time, if there is one. */
bool head_has(const struct head *head, int64_t time_ms, uint64_t *bits);

/* One series from many runs, the newest last: times ascend strictly, of equal times the latest stays. */
struct merged {
    int64_t *times_ms;
    uint64_t *bits;
    bool *is_double;
    size_t count, capacity;
};
void merge_runs(const struct run *runs, size_t count, struct merged *out); /* out: zeroed or used before */
void merged_fini(struct merged *merged);

#endif

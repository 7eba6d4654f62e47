#include "collector/core/store/head.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"

static struct head_run *run_new(bool is_double)
{
    struct head_run *run = check_alloc(sizeof *run);
    run->run.is_double = is_double;
    run->run.ascending = true;
    return run;
}

static void run_free(struct head_run *run)
{
    free(run->run.times_ms);
    free(run->run.bits);
    free(run);
}

static void run_reserve(struct head_run *run, size_t count)
{
    if (run->run.count + count <= run->capacity) return;
    size_t capacity = run->capacity > 0 ? run->capacity + run->capacity / 2 : 16;
    if (capacity < run->run.count + count) capacity = run->run.count + count;
    run->run.times_ms = check_realloc_array(run->run.times_ms, capacity, sizeof *run->run.times_ms);
    run->run.bits = check_realloc_array(run->run.bits, capacity, sizeof *run->run.bits);
    run->capacity = capacity;
}

void head_append(struct head *head, bool is_double, const int64_t *times_ms, const void *values, size_t count)
{
    if (count == 0) return;
    if (head->last == NULL || head->last->run.is_double != is_double) {
        struct head_run *run = run_new(is_double);
        if (head->last == NULL)
            head->first = run;
        else
            head->last->next = run;
        head->last = run;
    }
    run_reserve(head->last, count);
    struct run *run = &head->last->run;
    bool ascending = run->ascending && (run->count == 0 || times_ms[0] > run->times_ms[run->count - 1]);
    for (size_t i = 1; ascending && i < count; i++) ascending = times_ms[i] > times_ms[i - 1];
    memcpy(run->times_ms + run->count, times_ms, count * sizeof *run->times_ms);
    memcpy(run->bits + run->count, values, count * sizeof *run->bits);
    run->ascending = ascending;
    run->count += count;
}

struct head_mark head_mark(const struct head *head)
{
    if (head->last == NULL) return (struct head_mark){0};
    return (struct head_mark){head->last, head->last->run.count, head->last->run.ascending};
}

size_t head_undo(struct head *head, struct head_mark mark)
{
    size_t undone = 0;
    struct head_run *next = mark.last != NULL ? mark.last->next : head->first;
    while (next != NULL) {
        struct head_run *run = next;
        next = run->next;
        undone += run->run.count;
        run_free(run);
    }
    head->last = mark.last;
    if (mark.last == NULL) {
        head->first = NULL;
        return undone;
    }
    undone += mark.last->run.count - mark.count;
    mark.last->next = NULL;
    mark.last->run.count = mark.count;
    mark.last->run.ascending = mark.ascending;
    return undone;
}

void head_fini(struct head *head)
{
    head_undo(head, (struct head_mark){0});
}

bool head_has(const struct head *head, int64_t time_ms, uint64_t *bits)
{
    bool found = false;
    for (const struct head_run *run = head->first; run != NULL; run = run->next)
        for (size_t i = run->run.count; i-- > 0;)
            if (run->run.times_ms[i] == time_ms) {
                *bits = run->run.bits[i];
                found = true;
                break;
            }
    return found;
}

/* ---- merging ---- */

static void merged_reserve(struct merged *out, size_t count)
{
    if (count <= out->capacity) return;
    out->times_ms = check_realloc_array(out->times_ms, count, sizeof *out->times_ms);
    out->bits = check_realloc_array(out->bits, count, sizeof *out->bits);
    out->is_double = check_realloc_array(out->is_double, count, sizeof *out->is_double);
    out->capacity = count;
}

static void append_run(struct merged *out, const struct run *run)
{
    memcpy(out->times_ms + out->count, run->times_ms, run->count * sizeof *out->times_ms);
    memcpy(out->bits + out->count, run->bits, run->count * sizeof *out->bits);
    memset(out->is_double + out->count, run->is_double, run->count * sizeof *out->is_double);
    out->count += run->count;
}

struct position {
    int64_t time_ms;
    size_t index; /* in the order of writing */
};

static int by_time_then_order(const void *left, const void *right)
{
    const struct position *a = left, *b = right;
    if (a->time_ms != b->time_ms) return a->time_ms < b->time_ms ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static void sort_unique(struct merged *all)
{
    size_t count = all->count;
    struct position *order = check_alloc_array(count, sizeof *order);
    uint64_t *bits = check_alloc_array(count, sizeof *bits);
    bool *is_double = check_alloc_array(count, sizeof *is_double);
    for (size_t i = 0; i < count; i++) order[i] = (struct position){all->times_ms[i], i};
    qsort(order, count, sizeof *order, by_time_then_order);
    memcpy(bits, all->bits, count * sizeof *bits);
    memcpy(is_double, all->is_double, count * sizeof *is_double);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && order[i + 1].time_ms == order[i].time_ms) continue;
        all->times_ms[kept] = order[i].time_ms;
        all->bits[kept] = bits[order[i].index];
        all->is_double[kept++] = is_double[order[i].index];
    }
    all->count = kept;
    free(order);
    free(bits);
    free(is_double);
}

void merge_runs(const struct run *runs, size_t count, struct merged *out)
{
    size_t total = 0;
    bool ascending = true;
    out->count = 0;
    for (size_t i = 0; i < count; i++) total += runs[i].count;
    merged_reserve(out, total);
    for (size_t i = 0; i < count; i++) {
        if (runs[i].count == 0) continue;
        ascending = ascending && runs[i].ascending &&
                    (out->count == 0 || runs[i].times_ms[0] > out->times_ms[out->count - 1]);
        append_run(out, &runs[i]);
    }
    if (!ascending) sort_unique(out);
}

void merged_fini(struct merged *merged)
{
    if (merged == NULL) return;
    free(merged->times_ms);
    free(merged->bits);
    free(merged->is_double);
    *merged = (struct merged){0};
}
